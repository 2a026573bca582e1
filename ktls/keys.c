/*
 * How much each key has protected, and its renewal.
 *
 *                  half used up                          used up
 *     user, 1.3    TX: KeyUpdate. RX: the peer is asked   -EKEYEXPIRED
 *     kernel, 1.3  TX: KeyUpdate and TLS_TX again, from   -EKEYEXPIRED
 *                  Linux 6.14; before: worn
 *     1.2          worn: there is no renegotiation here   -EKEYEXPIRED
 *
 * "Used up" leaves a little, because the kernel's count is asked for now and then, not for every record.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <linux/tls.h>
#include <openssl/err.h>
#include <sys/utsname.h>

#include "ktls/channel_internal.h"

#define HASTY_UPDATES_MAX 32 /* a peer that renews a key after fewer than ... */
#define HASTY_RECORDS 1024   /* ... records may do so this many times */

static uint64_t used_up_at(const struct channel *channel)
{
    return channel->record_limit - channel->record_limit / 64;
}

static bool counted(const struct channel *channel)
{
    return channel->established && channel->record_limit != UINT64_MAX;
}

static bool half_used(const struct channel *channel, enum channel_way way)
{
    return counted(channel) && channel->way[way].sequence > channel->record_limit / 2;
}

static bool used_up(const struct channel *channel, enum channel_way way)
{
    return counted(channel) && channel->way[way].sequence >= used_up_at(channel);
}

static int fail_used_up(struct channel *channel)
{
    return channel_fail(channel, EKEYEXPIRED,
                        "the key has protected as many records as it may, and cannot be renewed here: connect anew");
}

uint64_t channel_records_left(const struct channel *channel, enum channel_way way)
{
    uint64_t end = used_up_at(channel);
    if (channel->record_limit == UINT64_MAX)
        return UINT64_MAX;
    return end > channel->way[way].sequence ? end - channel->way[way].sequence : 0;
}

bool channel_in_kernel(const struct channel *channel, enum channel_way way)
{
    return channel->way[way].mode == CHANNEL_KERNEL && !channel->way[way].aead;
}

bool channel_kernel_rekeys(const struct channel *channel)
{
    struct utsname kernel;
    unsigned major, minor;

    if (channel->version != TLS_1_3)
        return false;
    if (channel->rekey != REKEY_UNKNOWN)
        return channel->rekey == REKEY_WORKS;
    if (uname(&kernel) != 0 || sscanf(kernel.release, "%u.%u", &major, &minor) != 2)
        return false;
    return major > 6 || (major == 6 && minor >= 14);
}

/* ---- in the kernel ---- */

static int option_of(enum channel_way way)
{
    return way == CHANNEL_TX ? TLS_TX : TLS_RX;
}

/* What is installed, as the kernel has it now: it goes on counting in the struct it was given. */
static int read_installed(const struct channel *channel, enum channel_way way, uint8_t *info)
{
    socklen_t length = (socklen_t)channel->suite->info_size;
    return channel->wire.sys->getsockopt(channel->wire.sys, channel->wire.fd, SOL_TLS, option_of(way), info, &length);
}

int channel_ask_sequence(struct channel *channel, enum channel_way way)
{
    struct direction *direction = &channel->way[way];
    uint8_t info[KTLS_INFO_MAX] = { 0 };
    if (direction->aead)
        return 0; /* it is counted as records go by */
    int failed = read_installed(channel, way, info);

    if (!failed) {
        const uint8_t *at = info + channel->suite->info_size - sizeof(uint64_t);
        direction->sequence = 0;
        for (size_t i = 0; i < sizeof(uint64_t); i++)
            direction->sequence = direction->sequence << 8 | at[i];
    }
    direction->unasked = 0;
    OPENSSL_cleanse(info, sizeof(info));
    return failed;
}

/* Without rekey, what the kernel has needs no secret any more. */
static void forget_rekey(struct channel *channel)
{
    channel->rekey = REKEY_REFUSED;
    for (enum channel_way way = CHANNEL_TX; way <= CHANNEL_RX; way++)
        if (channel_in_kernel(channel, way))
            ktls_secret_wipe(&channel->way[way].secret);
}

/*
 * Whether this kernel takes a second key is found out before the peer is told of one, because there is no way back from
 * a KeyUpdate: the key that is installed is installed again as it stands, which changes nothing where it is taken and
 * fails with EBUSY where it is not (before Linux 6.14).
 */
static bool rehearse_rekey(struct channel *channel)
{
    uint8_t info[KTLS_INFO_MAX] = { 0 };

    if (channel->way[CHANNEL_TX].aead)
        return true;
    if (channel->rekey != REKEY_UNKNOWN)
        return channel->rekey == REKEY_WORKS;
    int failed = read_installed(channel, CHANNEL_TX, info);
    if (!failed)
        failed = channel->wire.sys->setsockopt(channel->wire.sys, channel->wire.fd, SOL_TLS, TLS_TX, info,
                                               (socklen_t)channel->suite->info_size);
    OPENSSL_cleanse(info, sizeof(info));
    if (failed)
        forget_rekey(channel);
    else
        channel->rekey = REKEY_WORKS;
    return !failed;
}

/* Makes the next key of a direction that is in the kernel and installs it. */
static int install_next(struct channel *channel, enum channel_way way)
{
    struct direction *direction = &channel->way[way];
    OSSL_LIB_CTX *library = tls_context_library(channel->context);
    struct ktls_keys keys;
    int failed = ktls_schedule_update(library, &direction->secret);

    if (!failed)
        failed = ktls_schedule_keys13(library, channel->suite, &direction->secret, &keys);
    if (!failed)
        failed = channel_install(channel, way, &keys);
    if (failed)
        return failed;
    if (!direction->aead)
        channel->rekey = REKEY_WORKS;
    direction->sequence = direction->unasked = 0;
    return 0;
}

/* After install_next(). Only where the kernel has the direction is it the kernel's fault. */
static int fail_next(struct channel *channel, enum channel_way way, int failed)
{
    if (channel->way[way].aead)
        return channel_fail(channel, -failed, "the key that follows a KeyUpdate could not be made: %s",
                            strerrordesc_np(-failed));
    if (way == CHANNEL_TX)
        return channel_fail(channel, EKEYEXPIRED, "the kernel did not take the key that follows our KeyUpdate: %s",
                            strerrordesc_np(-failed));
    forget_rekey(channel);
    return channel_fail(channel, EKEYEXPIRED,
                        "the peer renewed its key (KeyUpdate), which this kernel cannot follow (Linux 6.14 can): %s",
                        strerrordesc_np(-failed));
}

int channel_renew_due(struct channel *channel)
{
    struct direction *tx = &channel->way[CHANNEL_TX];
    const uint8_t message[] = { MESSAGE_KEY_UPDATE, 0, 0, 1, tx->renewal == RENEWAL_DUE_WITH_REQUEST };

    if (tx->renewal == RENEWAL_NONE)
        return 0;
    if (tx->secret.length == 0 || !rehearse_rekey(channel))
        return channel_fail(channel, EKEYEXPIRED,
                            "the peer asked for a new key (KeyUpdate), which this kernel cannot take (Linux 6.14 can)");
    int failed = channel_send_control(channel, RECORD_HANDSHAKE, message, sizeof(message));
    if (failed == -EAGAIN)
        return -EAGAIN;
    if (failed)
        return channel_fail_socket(channel, CHANNEL_TX, -failed);
    tx->renewal = RENEWAL_NONE;
    failed = install_next(channel, CHANNEL_TX);
    return failed ? fail_next(channel, CHANNEL_TX, failed) : 0;
}

int channel_count_update(struct channel *channel)
{
    if (channel->way[CHANNEL_RX].sequence >= HASTY_RECORDS || ++channel->hasty_updates <= HASTY_UPDATES_MAX)
        return 0;
    return channel_fail(channel, EPROTO, "the peer renews its key for almost every record (more than %d times)",
                        HASTY_UPDATES_MAX);
}

int channel_follow_update(struct channel *channel, bool requested)
{
    (void)channel_ask_sequence(channel, CHANNEL_RX);
    int failed = channel_count_update(channel);
    if (failed)
        return failed;
    failed = install_next(channel, CHANNEL_RX);
    if (failed)
        return fail_next(channel, CHANNEL_RX, failed);
    channel->peer_asked = false;
    if (!requested)
        return 0;
    if (channel->way[CHANNEL_TX].mode == CHANNEL_USER)
        return channel_renew_user(channel, false);
    /* Said before the next data, not now: a pump may have a write under way that still uses the old key. */
    if (channel->way[CHANNEL_TX].renewal == RENEWAL_NONE)
        channel->way[CHANNEL_TX].renewal = RENEWAL_DUE;
    return 0;
}

/*
 * Half of the sending key is used up in the kernel. Where the kernel cannot renew it, the channel is worn, not broken.
 */
static int renew_kernel_tx(struct channel *channel)
{
    struct direction *tx = &channel->way[CHANNEL_TX];

    if (half_used(channel, CHANNEL_TX) && tx->renewal == RENEWAL_NONE && tx->secret.length > 0 &&
        rehearse_rekey(channel))
        tx->renewal = RENEWAL_DUE;
    return channel_renew_due(channel);
}

/* ---- in OpenSSL ---- */

static int say_update(struct channel *channel, int type)
{
    ERR_clear_error();
    if (SSL_key_update(channel->ssl, type) != 1)
        return channel_fail_ssl(channel, CHANNEL_TX, SSL_ERROR_SSL);
    int result = SSL_do_handshake(channel->ssl); /* writes the message; it waits for nothing */
    return result == 1 ? 0 : channel_fail_ssl(channel, CHANNEL_TX, SSL_get_error(channel->ssl, result));
}

/*
 * OpenSSL keeps a KeyUpdate it owes until its next write. Where the kernel has TX there is none: then what it says here
 * is not sent, but noted by channel_observe() as due.
 */
int channel_say_update(struct channel *channel)
{
    int owed = SSL_get_key_update_type(channel->ssl);
    return owed == SSL_KEY_UPDATE_NONE ? 0 : say_update(channel, owed);
}

int channel_renew_user(struct channel *channel, bool request)
{
    int failed = say_update(channel, request ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED);
    if (failed)
        return failed;
    failed = wire_flush(&channel->wire);
    return failed && failed != -EAGAIN ? channel_fail_socket(channel, CHANNEL_TX, -failed) : 0;
}

/* The peer's key is half used up: only the peer can renew it, and in TLS 1.3 it must when asked. */
static int ask_peer(struct channel *channel)
{
    if (channel->peer_asked || channel->version != TLS_1_3)
        return 0;
    bool can_follow = !channel_in_kernel(channel, CHANNEL_RX) || channel_kernel_rekeys(channel);
    if (!can_follow)
        return 0;
    channel->peer_asked = true;
    if (channel->way[CHANNEL_TX].mode == CHANNEL_USER)
        return channel_renew_user(channel, true);
    if (!channel_in_kernel(channel, CHANNEL_TX) || channel_kernel_rekeys(channel))
        channel->way[CHANNEL_TX].renewal = RENEWAL_DUE_WITH_REQUEST;
    return 0;
}

/* ---- what read, write and the pumps report ---- */

int channel_before_write(struct channel *channel, size_t bytes)
{
    struct direction *tx = &channel->way[CHANNEL_TX];
    int failed = 0;

    if (tx->mode == CHANNEL_KERNEL)
        failed = renew_kernel_tx(channel);
    else if (half_used(channel, CHANNEL_TX) && channel->version == TLS_1_3)
        failed = channel_renew_user(channel, false);
    if (failed)
        return failed;
    return counted(channel) && bytes / TLS_RECORD_PLAINTEXT_MAX >= channel_records_left(channel, CHANNEL_TX)
               ? fail_used_up(channel)
               : 0;
}

int channel_after_read(struct channel *channel)
{
    if (used_up(channel, CHANNEL_RX))
        return fail_used_up(channel);
    return half_used(channel, CHANNEL_RX) ? ask_peer(channel) : 0;
}

int channel_account(struct channel *channel, enum channel_way way, uint64_t bytes)
{
    struct direction *direction = &channel->way[way];
    int failed = 0;

    if (!channel_in_kernel(channel, way))
        return 0;
    if (direction->broken)
        return direction->broken;
    if (counted(channel)) {
        /* An estimate, until enough bytes went by that even the smallest records would be a part of the limit. */
        direction->sequence += bytes / TLS_RECORD_PLAINTEXT_MAX + (bytes > 0);
        direction->unasked += bytes;
        if (direction->unasked >= channel->record_limit / 4 || half_used(channel, way))
            (void)channel_ask_sequence(channel, way);
    }
    if (way == CHANNEL_RX)
        return channel_after_read(channel);
    failed = renew_kernel_tx(channel);
    if (failed && failed != -EAGAIN)
        return failed; /* where it could not be sent at once, the next call tries again */
    return used_up(channel, CHANNEL_TX) ? fail_used_up(channel) : 0;
}

static bool renewable(const struct channel *channel, enum channel_way way)
{
    if (channel->version != TLS_1_3)
        return false;
    return !channel_in_kernel(channel, way) || channel_kernel_rekeys(channel);
}

bool channel_worn(const struct channel *channel)
{
    for (enum channel_way way = CHANNEL_TX; way <= CHANNEL_RX; way++)
        if (half_used(channel, way) && !renewable(channel, way))
            return true;
    return false;
}
