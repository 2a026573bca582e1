#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "ktls/channel_internal.h"

#define OUT_FIRST ((size_t)20 * 1024) /* one full record and what goes with it */
#define OUT_MOST ((size_t)288 * 1024) /* 16 full records */
#define OUT_SPARE ((size_t)16 * 1024) /* beyond that, for what OpenSSL writes unasked: KeyUpdates, alerts */
#define IN_AHEAD ((size_t)4 * 1024)   /* with a head */
#define IN_FIRST ((size_t)32 * 1024)
#define IN_MOST ((size_t)256 * 1024)
#define CHEAP_TO_MOVE ((size_t)64 * 1024)

static size_t filled(const struct wire_buffer *buffer)
{
    return buffer->end - buffer->start;
}

static void release(struct wire_buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (struct wire_buffer){ 0 };
}

ssize_t wire_receive(struct wire *wire, void *buffer, size_t size)
{
    struct iovec part = { .iov_base = buffer, .iov_len = size };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
    ssize_t got;

    do
        got = wire->sys->recvmsg(wire->sys, wire->fd, &message, MSG_DONTWAIT);
    while (got == -EINTR);
    wire->drained = got < 0 || (size_t)got < size;
    return got;
}

ssize_t wire_send(const struct wire *wire, const void *bytes, size_t size)
{
    struct iovec part = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = size };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
    ssize_t sent;

    do
        sent = wire->sys->sendmsg(wire->sys, wire->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent == -EINTR);
    return sent;
}

/* ---- out ---- */

size_t wire_unread(const struct wire *wire)
{
    return filled(&wire->in);
}

size_t wire_unsent(const struct wire *wire)
{
    return filled(&wire->out);
}

static bool grow(struct wire_buffer *buffer, size_t capacity)
{
    uint8_t *bytes = realloc(buffer->bytes, capacity);
    if (!bytes)
        return false;
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return true;
}

static void move_to_front(struct wire_buffer *buffer)
{
    if (filled(buffer) > 0)
        memmove(buffer->bytes, buffer->bytes + buffer->start, filled(buffer));
    buffer->end -= buffer->start;
    buffer->start = 0;
}

/* Room for `wanted` more bytes where `most` allows it. */
static size_t make_room(struct wire_buffer *buffer, size_t wanted, size_t most)
{
    if (buffer->start > 0 && filled(buffer) <= CHEAP_TO_MOVE)
        move_to_front(buffer);
    size_t needed = buffer->end + wanted;
    if (needed > buffer->capacity && buffer->capacity < most) {
        size_t capacity = buffer->capacity < OUT_FIRST ? OUT_FIRST : buffer->capacity;
        while (capacity < needed && capacity < most)
            capacity *= 2;
        if (!grow(buffer, capacity < most ? capacity : most))
            return 0;
    }
    size_t usable = buffer->capacity < most ? buffer->capacity : most;
    return usable > buffer->end ? usable - buffer->end : 0;
}

size_t wire_reserve(struct wire *wire, size_t wanted)
{
    return make_room(&wire->out, wanted, OUT_MOST);
}

int wire_flush(struct wire *wire)
{
    struct wire_buffer *out = &wire->out;

    while (filled(out) > 0) {
        ssize_t sent = wire_send(wire, out->bytes + out->start, filled(out));
        if (sent == -EAGAIN)
            return -EAGAIN;
        if (sent < 0) {
            wire->error[CHANNEL_TX] = (int)-sent;
            return (int)sent;
        }
        out->start += (size_t)sent;
    }
    out->start = out->end = 0;
    return 0;
}

uint8_t *wire_room(struct wire *wire, size_t size)
{
    if (make_room(&wire->out, size, OUT_MOST + OUT_SPARE) < size)
        return NULL;
    return wire->out.bytes + wire->out.end;
}

void wire_add(struct wire *wire, size_t size)
{
    wire->out.end += size;
}

static int bio_write(BIO *bio, const char *bytes, int length)
{
    struct wire *wire = BIO_get_data(bio);
    size_t size = (size_t)length;

    BIO_clear_retry_flags(bio);
    if (length <= 0)
        return 0;
    /*
     * OpenSSL's keys are no longer those of the wire. What it wanted to say (a KeyUpdate it owes the peer, an alert)
     * was seen in the clear by channel_observe() and is said through the kernel instead.
     */
    if (wire->sealed[CHANNEL_TX])
        return length;
    if (make_room(&wire->out, size, OUT_MOST + OUT_SPARE) < size) {
        wire->error[CHANNEL_TX] = ENOBUFS;
        return -1;
    }
    record_tracker_feed(&wire->seen[CHANNEL_TX], (const uint8_t *)bytes, size);
    memcpy(wire->out.bytes + wire->out.end, bytes, size);
    wire->out.end += size;
    return length;
}

/* ---- in ---- */

/*
 * The buffer starts small and doubles whenever one read filled it: an idle channel needs little, a busy one gets much.
 */
static ssize_t refill(struct wire *wire)
{
    struct wire_buffer *in = &wire->in;
    bool was_full = in->capacity > 0 && in->end == in->capacity;
    bool grows = wire->bulk && !wire->ahead && was_full && in->capacity < IN_MOST;

    if (!in->bytes || grows) {
        size_t capacity = wire->ahead ? IN_AHEAD : in->capacity < IN_FIRST ? IN_FIRST : in->capacity * 2;
        release(in);
        if (!grow(in, capacity))
            return -ENOMEM;
    }
    in->start = in->end = 0;
    ssize_t got = wire_receive(wire, in->bytes, in->capacity);
    if (got > 0)
        in->end = (size_t)got;
    return got;
}

static ssize_t take_buffered(struct wire *wire, void *buffer, size_t size)
{
    struct wire_buffer *in = &wire->in;

    if (filled(in) == 0) {
        ssize_t got = refill(wire);
        if (got <= 0)
            return got;
    }
    if (size > filled(in))
        size = filled(in);
    memcpy(buffer, in->bytes + in->start, size);
    in->start += size;
    return (ssize_t)size;
}

/* What was read ahead comes first, also where nothing may be any more. */
static ssize_t take(struct wire *wire, void *buffer, size_t size)
{
    bool buffered = wire->bulk || wire->ahead || filled(&wire->in) > 0;

    if (wire->once && wire->drained && filled(&wire->in) == 0)
        return -EAGAIN;
    return buffered ? take_buffered(wire, buffer, size) : wire_receive(wire, buffer, size);
}

static int bio_read(BIO *bio, char *buffer, int size)
{
    struct wire *wire = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (size <= 0)
        return 0;
    ssize_t got = -EAGAIN;
    if (wire->error[CHANNEL_RX])
        got = -wire->error[CHANNEL_RX]; /* the kernel tells it only once */
    else if (!wire->sealed[CHANNEL_RX])
        got = take(wire, buffer, (size_t)size);
    if (got == -EAGAIN) {
        BIO_set_retry_read(bio);
        return -1;
    }
    if (got < 0) {
        wire->error[CHANNEL_RX] = (int)-got;
        return -1;
    }
    wire->ended = got == 0;
    record_tracker_feed(&wire->seen[CHANNEL_RX], (const uint8_t *)buffer, (size_t)got);
    return (int)got;
}

/* Whether what stands in the buffer completes a record, so that OpenSSL can go on without the socket. */
bool wire_has_record(const struct wire *wire)
{
    struct record_tracker ahead = wire->seen[CHANNEL_RX];
    size_t left = filled(&wire->in);

    if (left == 0)
        return false;
    size_t header = ahead.header_have < TLS_RECORD_HEADER ? (size_t)TLS_RECORD_HEADER - ahead.header_have : 0;
    if (left < header)
        return false;
    record_tracker_feed(&ahead, wire->in.bytes + wire->in.start, header);
    return record_tracker_at_boundary(&ahead) || left - header >= ahead.body_left;
}

/* What grew full at once gets more room; for a head a little does, unless its record is larger. */
static size_t wanted_room(const struct wire *wire)
{
    const struct wire_buffer *in = &wire->in;
    bool grows = in->capacity < IN_MOST && in->capacity > 0 && in->end == in->capacity && !wire->drained;

    if (wire->ahead && filled(in) < IN_AHEAD)
        return IN_AHEAD;
    return in->capacity < IN_FIRST ? IN_FIRST : grows ? in->capacity * 2 : in->capacity;
}

/* What the record at the front lacks, or its header. */
static size_t lacking(const struct wire_buffer *in)
{
    const uint8_t *header = in->bytes + in->start;
    size_t have = filled(in), whole = TLS_RECORD_HEADER;

    if (have >= TLS_RECORD_HEADER)
        whole += (size_t)header[3] << 8 | header[4];
    return whole - have;
}

/* Reads behind the front of a record that stands there; no more than that record where the kernel may take the next. */
static ssize_t read_more(struct wire *wire)
{
    struct wire_buffer *in = &wire->in;
    size_t capacity = wanted_room(wire);

    move_to_front(in);
    if (capacity > in->capacity && !grow(in, capacity))
        return -ENOMEM;
    size_t room = in->capacity - in->end;
    size_t most = wire->bulk || wire->ahead ? room : lacking(in);
    ssize_t got = wire_receive(wire, in->bytes + in->end, most < room ? most : room);
    if (got > 0)
        in->end += (size_t)got;
    return got;
}

ssize_t wire_record(struct wire *wire, const uint8_t **record)
{
    struct wire_buffer *in = &wire->in;
    for (;;) { /* ends: each round reads, and what is read is a record sooner or later, or too long for one */
        if (filled(in) >= TLS_RECORD_HEADER) {
            const uint8_t *header = in->bytes + in->start;
            size_t body = (size_t)header[3] << 8 | header[4];
            if (body > AEAD_BODY_MAX)
                return -EMSGSIZE;
            *record = header;
            if (filled(in) >= TLS_RECORD_HEADER + body)
                return (ssize_t)(TLS_RECORD_HEADER + body);
        }
        if (wire->error[CHANNEL_RX])
            return -wire->error[CHANNEL_RX];
        ssize_t got = read_more(wire);
        if (got < 0 && got != -EAGAIN)
            wire->error[CHANNEL_RX] = (int)-got;
        if (got <= 0)
            return got;
    }
}

void wire_take(struct wire *wire, size_t size)
{
    wire->in.start += size;
}

/* ---- the BIO ---- */

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    struct wire *wire = BIO_get_data(bio);

    (void)number;
    (void)pointer;
    switch (command) {
    case BIO_CTRL_FLUSH: /* the channel sends, when OpenSSL has said all it wanted to */
        return 1;
    case BIO_CTRL_EOF:
        return wire->ended && filled(&wire->in) == 0;
    case BIO_CTRL_PENDING:
        return (long)filled(&wire->in);
    case BIO_CTRL_WPENDING:
        return (long)filled(&wire->out);
    default:
        return 0;
    }
}

static BIO_METHOD *method;
static pthread_once_t method_once = PTHREAD_ONCE_INIT;

/* OpenSSL wants one table of functions per kind of BIO; it is made once and never changes. */
static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "sluice wire");
    if (!method)
        return;
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_ctrl(method, bio_control);
}

BIO *wire_bio(struct wire *wire)
{
    pthread_once(&method_once, make_method);
    BIO *bio = method ? BIO_new(method) : NULL;
    if (!bio)
        return NULL;
    BIO_set_data(bio, wire);
    BIO_set_init(bio, 1);
    return bio;
}

void wire_trim(struct wire *wire)
{
    if (filled(&wire->in) == 0)
        release(&wire->in);
    if (filled(&wire->out) == 0)
        release(&wire->out);
}

void wire_clear(struct wire *wire)
{
    release(&wire->in);
    release(&wire->out);
}
