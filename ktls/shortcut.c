/*
 * The short cut of a large body that the kernel does not carry: from OpenSSL's record layer to its ciphers alone. And
 * what a connection that nothing moves on keeps where there is no kernel to keep it: two keys.
 *
 * What goes through SSL_read() and SSL_write() is copied twice more on its way: between the caller's buffer and a
 * record's, and between that and the wire's. Here a record is made in the one and read in the other. It begins as the
 * switch to the kernel does, at a record boundary with the key in force and the sequence number of the next record; and
 * from there on the direction's mode is that of the kernel for everything in this folder, so that alerts, KeyUpdates
 * and close_notify go the same ways. Outside it is `user`: the socket carries records.
 *
 * TLS 1.3 only, and not where fips = yes has to know who made a record.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "ktls/channel_internal.h"

#define WORTH_IT ((uint64_t)1 << 20) /* bytes of a body: deriving keys takes as long as 100 KiB do */
#define EMPTY_MOST 32                /* records in a row without a byte */

bool channel_may_cut(const struct channel *channel, enum channel_way way)
{
    return channel->established && channel->version == TLS_1_3 && channel->suite && aead_knows(channel->suite) &&
           !tls_context_library(channel->context) && channel->way[way].secret.length > 0;
}

int channel_cut_key(struct channel *channel, enum channel_way way, const struct ktls_keys *keys)
{
    struct direction *direction = &channel->way[way];
    struct aead *aead = aead_new(channel->suite, keys, way == CHANNEL_TX);

    if (!aead)
        return -ENOMEM;
    aead_free(direction->aead);
    direction->aead = aead;
    return 0;
}

int channel_cut(struct channel *channel, enum channel_way way, uint64_t bytes)
{
    struct direction *direction = &channel->way[way];
    struct ktls_keys keys;

    if (direction->mode != CHANNEL_USER || bytes < WORTH_IT || !channel_may_cut(channel, way))
        return 0;
    int failed = channel_at_boundary(channel, way);
    if (failed)
        return failed;
    if (ktls_schedule_keys13(tls_context_library(channel->context), channel->suite, &direction->secret, &keys) != 0)
        return 0;
    keys.sequence = direction->sequence;
    failed = channel_cut_key(channel, way, &keys);
    ktls_keys_wipe(&keys);
    if (failed)
        return 0;
    channel_seal(channel, way);
    return 0;
}

bool channel_hasten(struct channel *channel)
{
    if (!channel->ssl || tls_context_offload(channel->context) == CONFIG_OFFLOAD_REQUIRED)
        return true;
    for (enum channel_way way = CHANNEL_TX; way <= CHANNEL_RX; way++) {
        const struct direction *direction = &channel->way[way];
        if (direction->broken || (direction->mode == CHANNEL_USER && !channel_may_cut(channel, way)))
            return true;
    }
    /* Both or, where one has to wait for the end of a record, neither: OpenSSL's part goes with the second. */
    if (channel->way[CHANNEL_RX].mode == CHANNEL_USER && channel_at_boundary(channel, CHANNEL_RX) != 0)
        return false;
    if (channel_cut(channel, CHANNEL_TX, UINT64_MAX) != 0)
        return false;
    (void)channel_cut(channel, CHANNEL_RX, UINT64_MAX);
    return true;
}

void channel_rest(struct channel *channel)
{
    for (enum channel_way way = CHANNEL_TX; way <= CHANNEL_RX; way++)
        if (channel->way[way].aead)
            aead_rest(channel->way[way].aead);
}

/* ---- sending ---- */

static int seal(struct channel *channel, uint8_t type, const void *bytes, size_t size)
{
    struct direction *tx = &channel->way[CHANNEL_TX];
    uint8_t *room = wire_room(&channel->wire, size + AEAD_OVERHEAD);

    if (!room)
        return -ENOBUFS;
    ssize_t length = aead_seal(tx->aead, type, bytes, size, room);
    if (length < 0)
        return (int)length;
    wire_add(&channel->wire, (size_t)length);
    tx->sequence = aead_sequence(tx->aead);
    return 0;
}

int channel_cut_control(struct channel *channel, uint8_t type, const void *bytes, size_t size)
{
    int failed = seal(channel, type, bytes, size);
    if (failed)
        return failed;
    failed = wire_flush(&channel->wire);
    return failed == -EAGAIN ? 0 : failed; /* the rest goes before what is sent next */
}

ssize_t channel_cut_write(struct channel *channel, const uint8_t *bytes, size_t size)
{
    size_t done = 0;

    while (done < size) {
        size_t part = size - done < TLS_RECORD_PLAINTEXT_MAX ? size - done : TLS_RECORD_PLAINTEXT_MAX;
        int failed = seal(channel, RECORD_DATA, bytes + done, part);
        if (failed)
            return channel_fail(channel, -failed, "OpenSSL could not encrypt a record: %s", strerrordesc_np(-failed));
        done += part;
    }
    return (ssize_t)done;
}

/* ---- receiving ---- */

static int refuse(struct channel *channel, uint8_t code, int error)
{
    channel_send_alert(channel, ALERT_FATAL, code);
    return channel_fail_socket(channel, CHANNEL_RX, error);
}

static int refuse_record(struct channel *channel, int error)
{
    static const struct {
        int error;
        uint8_t alert;
    } alerts[] = { { EBADMSG, 20 }, { EMSGSIZE, 22 }, { EINVAL, ALERT_UNEXPECTED_MESSAGE } };

    for (size_t i = 0; i < sizeof(alerts) / sizeof(*alerts); i++) {
        if (alerts[i].error == error)
            return refuse(channel, alerts[i].alert, error);
    }
    return channel_fail_socket(channel, CHANNEL_RX, error);
}

static int wait_or_fail(struct channel *channel, int error)
{
    if (error == EAGAIN)
        return channel_wait(channel, POLLIN);
    return refuse_record(channel, error);
}

static uint8_t *side_room(struct channel *channel)
{
    if (!channel->aside.bytes)
        channel->aside.bytes = OPENSSL_malloc(TLS_RECORD_PLAINTEXT_MAX);
    return channel->aside.bytes;
}

static size_t take_aside(struct channel *channel, uint8_t *buffer, size_t size)
{
    size_t left = channel->aside.end - channel->aside.start, part = left < size ? left : size;

    if (part > 0)
        memcpy(buffer, channel->aside.bytes + channel->aside.start, part);
    channel->aside.start += part;
    return part;
}

/* The next record, decrypted where the reader wants it or, where that has too little room, aside. Bytes, or -errno. */
static ssize_t open_next(struct channel *channel, uint8_t *buffer, size_t size)
{
    struct direction *rx = &channel->way[CHANNEL_RX];
    const uint8_t *record;
    uint8_t type;

    ssize_t length = wire_record(&channel->wire, &record);
    if (length < 0)
        return wait_or_fail(channel, (int)-length);
    if (length == 0)
        return channel_fail_truncated(channel);
    size_t plain = (size_t)length > AEAD_OVERHEAD ? (size_t)length - AEAD_OVERHEAD : 0;
    bool fits = plain <= size;
    uint8_t *room = fits ? buffer : side_room(channel);
    if (!room)
        return channel_fail(channel, ENOMEM, "no memory for a record");
    ssize_t got = aead_open(rx->aead, record, (size_t)length, room, &type);
    if (got < 0)
        return refuse_record(channel, (int)-got);
    wire_take(&channel->wire, (size_t)length);
    rx->sequence = aead_sequence(rx->aead);
    channel->empty_records = got == 0 && type == RECORD_DATA ? channel->empty_records + 1 : 0;
    if (channel->empty_records > EMPTY_MOST)
        return refuse(channel, ALERT_UNEXPECTED_MESSAGE, EINVAL);
    if (type != RECORD_DATA) {
        int result = channel_take_control(channel, type, room, (size_t)got);
        return result < 0 ? result : 0;
    }
    if (fits)
        return got;
    channel->aside.start = 0;
    channel->aside.end = (size_t)got;
    return (ssize_t)take_aside(channel, buffer, size);
}

ssize_t channel_cut_read(struct channel *channel, uint8_t *buffer, size_t size)
{
    size_t have = take_aside(channel, buffer, size);
    ssize_t result = 0;

    while (have < size && !channel->close_received) { /* ends: control records and empty ones are bounded */
        result = open_next(channel, buffer + have, size - have);
        if (result < 0)
            break;
        have += (size_t)result;
        if (channel->wire.ahead && have > 0 && channel->wire.drained && !channel_cut_pending(channel))
            break;
    }
    if (!channel->way[CHANNEL_RX].broken)
        (void)channel_after_read(channel);
    if (have > 0)
        return (ssize_t)have;
    return channel->close_received && result >= 0 ? 0 : result;
}

bool channel_cut_pending(const struct channel *channel)
{
    return channel->aside.start < channel->aside.end || wire_has_record(&channel->wire);
}
