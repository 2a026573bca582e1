/*
 * A response's body. What came together with the head, and what OpenSSL had already decrypted, is taken by hand; then
 * the direction is switched, and a pump moves the rest.
 */
#include "engine/client/client_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOWEST_LINK 1 /* bytes per millisecond */

struct body {
    struct client *client;
    enum http_framing framing;
    uint64_t left; /* of HTTP_BODY_LENGTH */
    bool end;
    bool too_much; /* bytes came after its end: nobody asked for them */

    /* Where it goes: a file, somebody who looks at it, or memory. */
    client_sink *sink;
    void *sink_argument;
    int fd;
    uint64_t offset; /* RING_NO_OFFSET: it has none */
    char *bytes;
    size_t length, limit;

    uint64_t begun, before; /* of one that is read by hand: when, and what the client had counted by then */
};

static void body_begin(struct body *body, struct client *client)
{
    const struct http_head *head = http_reader_result(client->reader);
    *body = (struct body){ .client = client, .framing = head->framing, .fd = -1 };
    body->left = head->framing == HTTP_BODY_LENGTH ? head->length : 0;
    body->end = head->framing == HTTP_BODY_NONE || (head->framing == HTTP_BODY_LENGTH && head->length == 0);
}

static int body_store(struct body *body, const char *bytes, size_t length)
{
    if (length == 0)
        return 0;
    if (body->sink)
        return body->sink(body->sink_argument, bytes, length);
    if (body->fd >= 0) {
        int error = client_write(body->client, body->fd, bytes, length, body->offset);
        if (error == 0 && body->offset != RING_NO_OFFSET)
            body->offset += length;
        return error == 0 || error == -EINTR ? error : client_fail_local(body->client, "writing", error);
    }
    if (length > body->limit - body->length)
        return -EFBIG;
    char *grown = realloc(body->bytes, body->length + length);
    if (!grown)
        return -ENOMEM;
    body->bytes = grown;
    memcpy(body->bytes + body->length, bytes, length);
    body->length += length;
    return 0;
}

/* Decodes what stands in the inbox and passes the body's part of it on. */
static int body_take(struct body *body)
{
    struct client *client = body->client;
    char *bytes = client->inbox + client->taken;
    size_t length = client->filled - client->taken, used = length;
    ssize_t plain = (ssize_t)length;

    if (length == 0 || body->end)
        return 0;
    if (body->framing == HTTP_BODY_CHUNKED) {
        plain = http_reader_chunked(client->reader, bytes, length, &used, &body->end);
        if (plain < 0)
            return -EBADMSG;
    } else if (body->framing == HTTP_BODY_LENGTH) {
        used = length < body->left ? length : (size_t)body->left;
        plain = (ssize_t)used;
        body->left -= used;
        body->end = body->left == 0;
    }
    client->taken += used;
    int error = body_store(body, bytes, (size_t)plain);
    if (error == 0) /* what is counted is claimed to be there */
        client->last.bytes += (uint64_t)plain;
    return error;
}

/* One read, without waiting: 0, -EAGAIN, -errno. The end of the stream is the end of a body that has no other. */
static int body_read(struct body *body)
{
    struct client *client = body->client;
    size_t want = CLIENT_INBOX_SIZE;
    if (body->framing == HTTP_BODY_LENGTH && body->left < want)
        want = (size_t)body->left;
    ssize_t got = channel_read(client->channel, client->inbox, want);
    if (got < 0)
        return (int)got;
    client->taken = 0;
    client->filled = (size_t)got;
    if (got > 0)
        return 0;
    if (body->framing != HTTP_BODY_TO_END)
        return -ENODATA;
    body->end = true;
    return 0;
}

static int body_wait(struct body *body)
{
    return client_wait_channel(body->client, client_now() + body->client->options.idle_timeout);
}

/* What is no file is over in its time: who sends a byte now and then does not hold us for days. */
static int body_wait_all(const struct body *body)
{
    uint64_t idle = body->client->options.idle_timeout, came = body->client->last.bytes - body->before;
    uint64_t latest = body->begun + idle + came / SLOWEST_LINK, next = client_now() + idle;

    return client_wait_channel(body->client, next < latest ? next : latest);
}

/* By hand, to its end. 0, -errno or what storing it returned. */
static int body_read_all(struct body *body)
{
    struct client *client = body->client;
    uint64_t moved = client->last.bytes; /* of the file, which this is not */
    body->begun = client_now();
    body->before = moved;
    int error = body_take(body);
    while (error == 0 && !body->end) {
        error = body_read(body);
        if (error == -EAGAIN)
            error = body_wait_all(body);
        else if (error == 0)
            error = body_take(body);
    }
    client->last.bytes = moved;
    if (error != 0 || client->taken != client->filled)
        client->keep = false;
    return error;
}

int client_body_to_memory(struct client *client, size_t limit, char **bytes, size_t *length)
{
    struct body body;
    body_begin(&body, client);
    body.limit = limit;
    int error = body_read_all(&body);
    if (error != 0) {
        free(body.bytes);
        return error;
    }
    *bytes = body.bytes;
    *length = body.length;
    return 0;
}

int client_body_to_sink(struct client *client, client_sink *sink, void *argument)
{
    struct body body;
    body_begin(&body, client);
    body.sink = sink;
    body.sink_argument = argument;
    return body_read_all(&body);
}

/*
 * To the kernel, at a record boundary (see channel.h): what OpenSSL holds is taken first. Small bodies are often over
 * before that. 0 whichever way it went.
 */
static int body_switch(struct body *body)
{
    struct channel *channel = body->client->channel;
    uint64_t expected = body->framing == HTTP_BODY_LENGTH ? body->left : UINT64_MAX;
    int error = body_take(body);

    while (error == 0 && !body->end) {
        error = channel_switch(channel, CHANNEL_RX, expected);
        if (error != -EAGAIN)
            break;
        error = body_read(body);
        if (error == 0)
            error = body_take(body);
        else if (error == -EAGAIN)
            error = body_wait(body);
    }
    return error == 1 ? 0 : error;
}

/*
 * The whole body came before it could be switched, as small ones do. That is no reason to let a session pass which
 * could not be in the kernel at all, where the profile demands it.
 */
static int body_came_with_head(struct body *body)
{
    struct client *client = body->client;
    if (client->last.bytes == 0 || channel_mode(client->channel, CHANNEL_RX) == CHANNEL_KERNEL)
        return 0;
    if (client->options.profile->offload != CONFIG_OFFLOAD_REQUIRED)
        return 0;
    int error = channel_switch(client->channel, CHANNEL_RX, client->last.bytes);
    return error == -EAGAIN || error == 1 ? 0 : error;
}

static ssize_t unchunk(void *argument, char *bytes, size_t length, size_t *used, bool *end)
{
    return http_reader_chunked(argument, bytes, length, used, end);
}

static int body_pump(struct body *body)
{
    struct client *client = body->client;
    bool chunked = body->framing == HTTP_BODY_CHUNKED;
    bool counted = body->framing == HTTP_BODY_LENGTH;
    struct client_pump run = {
        .pump = { .way = PUMP_RECEIVE,
                  .file = body->fd,
                  .offset = body->offset,
                  .length = counted ? body->left : PUMP_TO_END,
                  .filter = chunked ? unchunk : NULL,
                  .filter_argument = client->reader,
                  .excess = client->inbox,
                  .excess_capacity = CLIENT_INBOX_SIZE },
        .before = client->last.bytes,
        .total = counted ? client->last.bytes + body->left : UINT64_MAX,
    };
    int error = client_run_pump(client, &run);
    client->last.bytes += run.pump.moved;
    client_note_path(client, &run.pump);
    if (run.pump.excess_length > 0)
        body->too_much = true;
    if (error == 0 && counted && run.pump.moved != body->left)
        error = -ENODATA;
    if (error < 0 && run.pump.fault == PUMP_FAULT_FILE)
        return client_fail_local(client, "writing", error);
    body->offset = body->offset == RING_NO_OFFSET ? RING_NO_OFFSET : body->offset + run.pump.moved;
    body->end = error == 0;
    return error;
}

int client_body_to_file(struct client *client, int fd, uint64_t offset)
{
    struct body body;
    body_begin(&body, client);
    body.fd = fd;
    body.offset = offset;
    int error = body_switch(&body);
    if (error == 0 && client->last.bytes > 0)
        client_note_path(client, NULL);
    bool by_hand = error == 0 && body.end;
    if (by_hand)
        error = body_came_with_head(&body);
    else if (error == 0)
        error = body_pump(&body);
    client_note_session(client);
    if (by_hand && client->last.bytes > 0 && channel_mode(client->channel, CHANNEL_RX) == CHANNEL_USER)
        snprintf(client->why[CHANNEL_RX], sizeof client->why[CHANNEL_RX], "user: the body came with the head");
    if (error != 0 || body.too_much || client->taken != client->filled)
        client->keep = false;
    return error;
}
