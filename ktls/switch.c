/*
 * The switch: a direction goes from OpenSSL to the kernel, at a record boundary, with the key in force and the sequence
 * number of the next record.
 *
 * Everything that can fail comes before the one setsockopt that cannot be taken back; after it only fields change.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>

#include <linux/tls.h>

#include "ktls/channel_internal.h"

/* Newer than the headers of Debian 12. */
#ifndef TLS_RX_EXPECT_NO_PAD
#define TLS_RX_EXPECT_NO_PAD 4
#endif
#ifndef TLS_TX_ZEROCOPY_RO
#define TLS_TX_ZEROCOPY_RO 3
#endif

enum step { STEP_ULP, STEP_KEY };

static const struct {
    enum step step;
    int error;
    const char *phrase;
} refusals[] = {
    { STEP_ULP, ENOENT, "this kernel has no kTLS (modprobe tls)" },
    { STEP_ULP, EOPNOTSUPP, "this kernel has no kTLS (it needs CONFIG_TLS)" },
    { STEP_ULP, ENOPROTOOPT, "this kernel has no kTLS (it needs CONFIG_TLS)" },
    { STEP_ULP, EPERM, "the tls module is not loaded, and may not be loaded from here (modprobe tls)" },
    { STEP_ULP, ENOTCONN, "the peer has closed its side" },
    { STEP_ULP, EEXIST, "the socket belongs to another protocol (ULP) already" },
    { STEP_KEY, ENOENT, "the kernel has no driver for the cipher" },
    { STEP_KEY, EINVAL, "this kernel's kTLS does not know the suite" },
    { STEP_KEY, EOPNOTSUPP, "this kernel's kTLS does not know the suite" },
    { STEP_KEY, ENOPROTOOPT, "this kernel's kTLS does not know the direction" },
    { STEP_KEY, EBUSY, "the kernel has a key for the direction already" },
};

static int stay_user(struct channel *channel, enum channel_way way, const char *phrase)
{
    struct direction *direction = &channel->way[way];

    direction->settled = true;
    if (!channel_may_cut(channel, way))
        ktls_secret_wipe(&direction->secret);
    snprintf(direction->why, sizeof(direction->why), "user: %s", phrase);
    if (way == CHANNEL_RX)
        channel->wire.bulk = true;
    if (tls_context_offload(channel->context) != CONFIG_OFFLOAD_REQUIRED)
        return 1;
    snprintf(channel->reason, sizeof(channel->reason), "offload = required, but %s", phrase);
    channel->at_peer = false;
    return -EOPNOTSUPP;
}

static int refuse(struct channel *channel, enum channel_way way, enum step step, int error)
{
    char phrase[120];

    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
        if (refusals[i].step == step && refusals[i].error == error)
            return stay_user(channel, way, refusals[i].phrase);
    snprintf(phrase, sizeof(phrase), "%s failed: %s", step == STEP_ULP ? "TCP_ULP" : "the kernel's key install",
             strerrordesc_np(error));
    return stay_user(channel, way, phrase);
}

/* ---- keys ---- */

static uint64_t read_be64(const uint8_t *bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < sizeof(value); i++)
        value = value << 8 | bytes[i];
    return value;
}

/*
 * The explicit nonce that the kernel starts with follows the last one that went over the wire. It need not equal the
 * sequence number: OpenSSL's GCM starts at a random value and counts up, and as the kernel counts up from there too, no
 * nonce can come twice under this key.
 */
static void follow_nonce(const struct channel *channel, struct ktls_keys *keys)
{
    uint64_t next = read_be64(channel->wire.seen[CHANNEL_TX].nonce) + 1;
    uint8_t *at = keys->nonce + channel->suite->salt_size;

    for (int shift = 56; shift >= 0; shift -= 8)
        *at++ = (uint8_t)(next >> shift);
}

static int keys_12(const struct channel *channel, enum channel_way way, struct ktls_keys *keys)
{
    uint8_t master[SSL_MAX_MASTER_KEY_LENGTH], server_random[SSL3_RANDOM_SIZE], client_random[SSL3_RANDOM_SIZE];
    OSSL_LIB_CTX *library = tls_context_library(channel->context);
    struct ktls_keys client, server;
    size_t length = SSL_SESSION_get_master_key(SSL_get_session(channel->ssl), master, sizeof(master));

    SSL_get_server_random(channel->ssl, server_random, sizeof(server_random));
    SSL_get_client_random(channel->ssl, client_random, sizeof(client_random));
    int failed = ktls_schedule_keys12(library, channel->suite, channel->digest, master, length, server_random,
                                      client_random, &client, &server);
    *keys = channel->server == (way == CHANNEL_TX) ? server : client;
    if (way == CHANNEL_TX && channel->suite->explicit_nonce > 0)
        follow_nonce(channel, keys);
    OPENSSL_cleanse(master, sizeof(master));
    ktls_keys_wipe(&client);
    ktls_keys_wipe(&server);
    return failed;
}

static int current_keys(const struct channel *channel, enum channel_way way, struct ktls_keys *keys)
{
    OSSL_LIB_CTX *library = tls_context_library(channel->context);
    int failed = channel->version == TLS_1_3
                     ? ktls_schedule_keys13(library, channel->suite, &channel->way[way].secret, keys)
                     : keys_12(channel, way, keys);
    keys->sequence = channel->way[way].sequence;
    return failed;
}

int channel_install(struct channel *channel, enum channel_way way, struct ktls_keys *keys)
{
    uint8_t info[KTLS_INFO_MAX];
    if (channel->way[way].aead) {
        int failed = channel_cut_key(channel, way, keys);
        ktls_keys_wipe(keys);
        return failed;
    }
    size_t length = ktls_suite_info(channel->suite, channel->version, keys, info);

    ktls_keys_wipe(keys);
    int result = channel->wire.sys->setsockopt(channel->wire.sys, channel->wire.fd, SOL_TLS,
                                               way == CHANNEL_TX ? TLS_TX : TLS_RX, info, (socklen_t)length);
    OPENSSL_cleanse(info, sizeof(info));
    return result;
}

/* ---- the switch ---- */

/* A reason that holds for this channel whatever the kernel can do, or NULL. */
static const char *why_never(const struct channel *channel, enum channel_way way, uint64_t bytes)
{
    if (tls_context_offload(channel->context) == CONFIG_OFFLOAD_OFF)
        return "offload = off";
    if (tls_context_fips_forbids_kernel(channel->context))
        return "fips = yes, and this kernel is not in FIPS mode";
    if (!tls_context_tries_kernel(channel->context))
        return "this kernel had no kTLS at start (modprobe tls, and start again)";
    if (!channel->suite)
        return "kTLS has no such suite";
    if (channel->version == TLS_1_3 && channel->way[way].secret.length == 0)
        return "OpenSSL did not tell the traffic secret";
    if (bytes != UINT64_MAX && bytes / TLS_RECORD_PLAINTEXT_MAX >= channel_records_left(channel, way) &&
        !channel_kernel_rekeys(channel))
        return "one key is not enough for this body, and this kernel cannot renew it (Linux 6.14 can)";
    return NULL;
}

int channel_at_boundary(struct channel *channel, enum channel_way way)
{
    bool own = channel->way[way].aead;

    if (way == CHANNEL_TX) {
        /* A KeyUpdate that the peer asked for must leave with the key that is known here. */
        int failed = own ? channel_renew_due(channel) : channel_say_update(channel);
        if (!failed)
            failed = channel_flush(channel);
        if (failed)
            return failed;
    } else if (own) {
        return channel->aside.start < channel->aside.end ? -EAGAIN : 0;
    } else if (SSL_has_pending(channel->ssl) || SSL_in_init(channel->ssl)) {
        return -EAGAIN;
    }
    return own || record_tracker_at_boundary(&channel->wire.seen[way]) ? 0 : -EAGAIN;
}

/* Keys that were used past OpenSSL until now stay in use where the kernel does not take them. */
static int install_first(struct channel *channel, enum channel_way way, struct ktls_keys *keys)
{
    struct direction *direction = &channel->way[way];
    struct aead *own = direction->aead;

    direction->aead = NULL;
    int failed = channel_install(channel, way, keys);
    if (failed)
        direction->aead = own;
    else
        aead_free(own);
    return failed;
}

static int attach(struct channel *channel)
{
    if (channel->ulp)
        return 0;
    int failed =
        channel->wire.sys->setsockopt(channel->wire.sys, channel->wire.fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls"));
    channel->ulp = !failed;
    return failed;
}

void channel_seal(struct channel *channel, enum channel_way way)
{
    channel->way[way].mode = CHANNEL_KERNEL;
    channel->way[way].unasked = 0;
    channel->wire.sealed[way] = true;
    if (channel->way[CHANNEL_TX].mode == CHANNEL_KERNEL && channel->way[CHANNEL_RX].mode == CHANNEL_KERNEL)
        channel_drop_ssl(channel);
}

static void in_the_kernel(struct channel *channel, enum channel_way way)
{
    struct direction *direction = &channel->way[way];

    channel_seal(channel, way);
    snprintf(direction->why, sizeof(direction->why), "kernel");
    if (channel->version == TLS_1_3 && way == CHANNEL_RX) {
        /* Lets the kernel decrypt straight into the reader's buffer; where it cannot, it goes on as it did. */
        unsigned no_pad = 1;
        (void)channel->wire.sys->setsockopt(channel->wire.sys, channel->wire.fd, SOL_TLS, TLS_RX_EXPECT_NO_PAD, &no_pad,
                                            sizeof(no_pad));
    }
}

int channel_immutable(struct channel *channel, bool immutable)
{
    struct direction *tx = &channel->way[CHANNEL_TX];
    unsigned value = immutable;

    if (!channel_in_kernel(channel, CHANNEL_TX))
        return -EINVAL;
    if (channel->immutable == immutable)
        return 0;
    int failed = channel->wire.sys->setsockopt(channel->wire.sys, channel->wire.fd, SOL_TLS, TLS_TX_ZEROCOPY_RO, &value,
                                               sizeof(value));
    if (failed) {
        snprintf(tx->why, sizeof(tx->why), "kernel, not told that files are immutable: %s", strerrordesc_np(-failed));
        return failed;
    }
    channel->immutable = immutable;
    snprintf(tx->why, sizeof(tx->why), immutable ? "kernel, files immutable" : "kernel");
    return 0;
}

static int into_kernel(struct channel *channel, enum channel_way way, uint64_t bytes)
{
    struct direction *direction = &channel->way[way];
    struct ktls_keys keys;

    if (channel_in_kernel(channel, way))
        return 0;
    if (direction->mode == CHANNEL_PLAIN)
        return 1;
    if (!channel->established)
        return -EINVAL;
    if (direction->broken)
        return direction->broken;
    if (direction->settled)
        return tls_context_offload(channel->context) == CONFIG_OFFLOAD_REQUIRED ? -EOPNOTSUPP : 1;

    const char *never = why_never(channel, way, bytes);
    if (never)
        return stay_user(channel, way, never);
    int failed = channel_at_boundary(channel, way);
    if (!failed && way == CHANNEL_RX && wire_unread(&channel->wire) > 0)
        failed = -EAGAIN;
    if (failed)
        return failed;
    failed = attach(channel);
    /* The kernel takes over established connections only. That the peer was faster is no fault of any profile. */
    if (failed == -ENOTCONN && tls_context_offload(channel->context) == CONFIG_OFFLOAD_REQUIRED)
        return channel_fail(channel, ECONNRESET,
                            "offload = required, but the peer closed the connection before the kernel had it");
    if (failed)
        return refuse(channel, way, STEP_ULP, -failed);
    if (current_keys(channel, way, &keys) != 0)
        return stay_user(channel, way, "OpenSSL could not derive the key");
    failed = install_first(channel, way, &keys);
    if (failed)
        return refuse(channel, way, STEP_KEY, -failed);
    in_the_kernel(channel, way);
    return 0;
}

int channel_switch(struct channel *channel, enum channel_way way, uint64_t bytes)
{
    if (way == CHANNEL_RX)
        channel->wire.ahead = false;
    int result = into_kernel(channel, way, bytes);
    if (result != 1)
        return result;
    int failed = channel_cut(channel, way, bytes);
    return failed ? failed : 1;
}

/* ---- retirement ---- */

static bool may_enter_kernel(const struct channel *channel, enum channel_way way)
{
    return channel->way[way].mode == CHANNEL_USER && !channel->way[way].settled && !why_never(channel, way, 0);
}

static bool may_leave_openssl(const struct channel *channel, enum channel_way way)
{
    return may_enter_kernel(channel, way) ||
           (channel_may_cut(channel, way) && tls_context_offload(channel->context) != CONFIG_OFFLOAD_REQUIRED);
}

/* Nothing of OpenSSL's is on its way, in either direction, and both can do without it. */
static bool may_retire(struct channel *channel)
{
    if (!channel->ssl || !channel->established || channel->close_sent || channel->close_received)
        return false;
    for (enum channel_way way = CHANNEL_TX; way <= CHANNEL_RX; way++) {
        const struct direction *direction = &channel->way[way];
        if (direction->broken)
            return false;
        if (direction->mode != CHANNEL_KERNEL &&
            (!may_leave_openssl(channel, way) || channel_at_boundary(channel, way)))
            return false;
    }
    return wire_unread(&channel->wire) == 0;
}

/* What fails is for the next body to report. */
static bool leave_openssl(struct channel *channel, enum channel_way way)
{
    if (channel->way[way].mode != CHANNEL_KERNEL && into_kernel(channel, way, 0) == 1)
        (void)channel_cut(channel, way, UINT64_MAX);
    return channel->way[way].mode == CHANNEL_KERNEL;
}

bool channel_retire(struct channel *channel)
{
    if (!may_retire(channel))
        return false;
    /* That the peer has closed its side is for the next read to find. */
    if ((may_enter_kernel(channel, CHANNEL_RX) || may_enter_kernel(channel, CHANNEL_TX)) &&
        attach(channel) == -ENOTCONN)
        return false;
    if (leave_openssl(channel, CHANNEL_RX))
        (void)leave_openssl(channel, CHANNEL_TX);
    channel_rest(channel);
    return true;
}

void channel_stay(struct channel *channel, enum channel_way way, const char *phrase)
{
    struct direction *direction = &channel->way[way];

    if (channel_mode(channel, way) != CHANNEL_USER || direction->settled || direction->stays == phrase)
        return;
    snprintf(direction->why, sizeof(direction->why), "user: %s", phrase);
    direction->stays = phrase;
}
