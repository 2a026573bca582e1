// rooms: ktls config
/*
 * Records as a hostile peer could send them to who reads past OpenSSL: of any type, padded, empty, altered, or no
 * records at all, in any pieces. The first byte says which end we are, whether heads are expected and whether the
 * ciphers rest between reads, the second how much comes at once, the third how much is read at once; then each record
 * is a type, flags, an amount of padding, a length and so many bytes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/obj_mac.h>

#include "tests/fuzz/channel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { IS_SERVER = 1, EXPECTS_HEADS = 2, RESTS = 4 };
enum { ALTERED = 1, BARE = 2, MANY = 4 };

#define STREAM_MOST ((size_t)1 << 20)
#define RECORDS_MOST 64

struct script {
    struct ktls_sys sys;
    uint8_t *stream, *content; /* what comes, and what of it may reach the reader at the most */
    size_t length, at, piece, expected;
};

static ssize_t next_piece(const struct ktls_sys *sys, int fd, struct msghdr *message, int flags)
{
    struct script *script = (struct script *)(uintptr_t)sys;
    size_t left = script->length - script->at, taken = left < script->piece ? left : script->piece;
    (void)fd;
    (void)flags;

    if (taken > message->msg_iov->iov_len)
        taken = message->msg_iov->iov_len;
    memcpy(message->msg_iov->iov_base, script->stream + script->at, taken);
    script->at += taken;
    return (ssize_t)taken;
}

/* The inner plaintext: content, type, padding. Its length without the last byte, which the sealer adds. */
static size_t inner_of(const uint8_t *head, const uint8_t *bytes, size_t length, uint8_t *inner)
{
    size_t times = head[1] & MANY ? 64 : 1, size = 0, padding = head[2];

    for (size_t i = 0; i < times; i++, size += length)
        memcpy(inner + size, bytes, length);
    if (padding == 0)
        return size;
    inner[size] = head[0];
    memset(inner + size + 1, 0, padding - 1);
    return size + padding;
}

/* Everything behind what is not as it should be is lost on the reader: nothing more is expected. */
static void write_stream(struct script *script, struct aead *sealer, const uint8_t *at, const uint8_t *end)
{
    static uint8_t inner[256 * 64 + 256];
    bool holds = true;

    for (unsigned i = 0; i < RECORDS_MOST && end - at >= 4; i++) {
        const uint8_t *head = at, *bytes = at + 4;
        size_t length = head[3] < end - bytes ? head[3] : (size_t)(end - bytes);
        uint8_t *record = script->stream + script->length;
        at = bytes + length;
        if (head[1] & BARE) {
            memcpy(record, bytes, length);
            script->length += length;
            holds = holds && length == 0;
            continue;
        }
        size_t size = inner_of(head, bytes, length, inner);
        ssize_t sealed = aead_seal(sealer, head[2] ? 0 : head[0], inner, size, record);
        if (sealed < 0)
            break; /* longer than TLS allows: the sealer makes no such record */
        script->length += (size_t)sealed;
        if (head[1] & ALTERED)
            record[(size_t)sealed - 1 - head[2] % (size_t)sealed] ^= 0x40;
        holds = holds && !(head[1] & ALTERED);
        uint8_t type = head[2] ? 0 : head[0];
        while (type == 0 && size > 0)
            type = inner[--size];
        if (!holds || type != RECORD_DATA)
            continue;
        memcpy(script->content + script->expected, inner, size);
        script->expected += size;
    }
}

static void read_all(struct channel *channel, const struct script *script, size_t room, uint8_t how)
{
    static uint8_t buffer[1 << 16];
    size_t have = 0;

    for (;;) {
        if (how & EXPECTS_HEADS)
            channel_expect_head(channel);
        if (how & RESTS)
            channel_idle(channel);
        ssize_t got = channel_read(channel, buffer, room);
        if (got <= 0)
            break;
        if ((size_t)got > room || have + (size_t)got > script->expected ||
            memcmp(buffer, script->content + have, (size_t)got) != 0)
            abort();
        have += (size_t)got;
        if (channel_drained(channel) && channel_pending(channel))
            abort();
    }
    if (!channel->close_received && !channel->way[CHANNEL_RX].broken)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t stream[STREAM_MOST + (1 << 15)], content[STREAM_MOST + (1 << 15)];
    if (size < 3)
        return 0;
    struct script script = { .sys = { .recvmsg = next_piece, .sendmsg = swallow },
                             .stream = stream,
                             .content = content,
                             .piece = 1 + (size_t)data[1] * data[1] };
    struct channel channel = { .context = context(), .wire = { .sys = &script.sys, .fd = -1 }, .established = true };
    struct ktls_keys keys = { .sequence = 0 };
    channel.server = data[0] & IS_SERVER;
    channel.version = TLS_1_3;
    channel.suite = ktls_suite_by_nid(NID_aes_128_gcm);
    channel.digest = "SHA256";
    channel.record_limit = channel.suite->record_limit;
    for (enum channel_way way = CHANNEL_TX; way <= CHANNEL_RX; way++) {
        channel.way[way].mode = CHANNEL_KERNEL;
        channel.way[way].secret = (struct ktls_secret){ .length = 32, .digest = "SHA256" };
        channel.way[way].aead = aead_new(channel.suite, &keys, way == CHANNEL_TX);
        channel.wire.sealed[way] = true;
    }
    struct aead *sealer = aead_new(channel.suite, &keys, true);
    if (!sealer || !channel.way[CHANNEL_TX].aead || !channel.way[CHANNEL_RX].aead)
        abort();

    write_stream(&script, sealer, data + 3, data + size);
    read_all(&channel, &script, 1 + (size_t)data[2] * 200, data[0]);
    if (memchr(channel.reason, '\0', sizeof channel.reason) == NULL)
        abort();

    aead_free(sealer);
    for (enum channel_way way = CHANNEL_TX; way <= CHANNEL_RX; way++) {
        ktls_secret_wipe(&channel.way[way].secret);
        aead_free(channel.way[way].aead);
    }
    wire_clear(&channel.wire);
    OPENSSL_free(channel.aside.bytes);
    return 0;
}
