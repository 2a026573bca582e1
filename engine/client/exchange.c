#include "engine/client/client_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INTERIM_MAX 16           /* 1xx answers to one request */
#define EXPECT_FROM (1u << 20)   /* bodies larger than this ask first ... */
#define EXPECT_PATIENCE_MS 1000  /* ... and wait this long for the server's word */
#define LAST_WORDS_MS 1000       /* for what stands in a broken connection */
#define SLOWEST_DISK (20u << 10) /* bytes per millisecond: how long a server may take to sync what it got */
#define DISCARD_LIMIT 65536      /* of an unwelcome answer's body; beyond it the connection is given up */

/* RFC 9112, 3.2: an IPv6 address stands in brackets, and 443 is what https means. */
static void write_host(struct http_writer *writer, const struct config_address *address)
{
    bool brackets = strchr(address->host, ':') != NULL;
    http_write_text(writer, brackets ? "Host: [" : "Host: ");
    http_write_text(writer, address->host);
    http_write_text(writer, brackets ? "]" : "");
    if (address->port != 443) {
        http_write_text(writer, ":");
        http_write_number(writer, address->port);
    }
    http_write_end(writer);
}

int client_write_head(struct client *client, const struct client_request *request, bool expect,
                      struct http_writer *writer)
{
    char target[8192];
    if (http_path_encode(request->remote, target, sizeof target) < 0)
        return -ENAMETOOLONG;
    http_write_text(writer, request->method);
    http_write_text(writer, " /");
    http_write_text(writer, target);
    http_write_text(writer, " HTTP/1.1\r\n");
    write_host(writer, client->address);
    http_write_text(writer, "User-Agent: sluice/" SLUICE_VERSION "\r\nAccept-Encoding: identity\r\n");
    if (client_login(client)) {
        http_write_text(writer, "Authorization: Basic ");
        http_write_text(writer, client_login(client));
        http_write_end(writer);
    }
    if (request->accept)
        http_write_field(writer, "Accept", request->accept);
    if (request->has_body) {
        http_write_text(writer, "Content-Length: ");
        http_write_number(writer, request->length);
        http_write_end(writer);
    }
    client_rate_write(client, request->method, writer);
    if (request->fields)
        http_write_text(writer, request->fields);
    if (request->write_fields)
        request->write_fields(request->fields_argument, client, writer);
    if (expect)
        http_write_field(writer, "Expect", "100-continue");
    http_write_end(writer);
    return writer->overflow ? -ENAMETOOLONG : 0;
}

static int send_head(struct client *client, const struct client_request *request, bool expect)
{
    char bytes[12288];
    struct http_writer writer = { .bytes = bytes, .capacity = sizeof bytes };
    uint64_t deadline = client_now() + client->options.idle_timeout;

    int error = client_write_head(client, request, expect, &writer);
    for (size_t sent = 0; error == 0 && sent < writer.length;) {
        ssize_t taken = channel_write(client->channel, bytes + sent, writer.length - sent);
        if (taken > 0)
            sent += (size_t)taken;
        else
            error = taken == -EAGAIN ? client_wait_channel(client, deadline) : (int)taken;
    }
    explicit_bzero(bytes, writer.length);
    while (error == 0 && (error = channel_flush(client->channel)) == -EAGAIN)
        error = client_wait_channel(client, deadline);
    return error;
}

static int take_head(struct client *client, unsigned status)
{
    if (status >= 200) {
        client->answered = true;
        client->last.status = status;
        return 0;
    }
    /* 101 would be the start of another protocol, which nobody asked for. */
    if (status == 101 || ++client->interim > INTERIM_MAX)
        return -EBADMSG;
    client->continued |= status == 100;
    http_reader_next(client->reader, client->to_head);
    return 0;
}

static int feed(struct client *client)
{
    size_t used = 0;
    client->began = true;
    enum http_progress progress =
        http_reader_head(client->reader, client->inbox + client->taken, client->filled - client->taken, &used);
    client->taken += used;
    if (progress == HTTP_REFUSED)
        return -EBADMSG;
    return progress == HTTP_COMPLETE ? take_head(client, http_reader_result(client->reader)->status) : 0;
}

int client_hear(struct client *client)
{
    bool continued = client->continued;
    while (!client->answered && client->continued == continued) {
        if (client->taken == client->filled) {
            ssize_t got = channel_read(client->channel, client->inbox, CLIENT_INBOX_SIZE);
            if (got <= 0)
                return got < 0 ? (int)got : -ENODATA;
            client->taken = 0;
            client->filled = (size_t)got;
        }
        int error = feed(client);
        if (error < 0)
            return error;
    }
    return 0;
}

int client_answer(struct client *client, uint64_t deadline, bool or_continue)
{
    while (!client->answered && !(or_continue && client->continued)) {
        int error = client_hear(client);
        if (error == -EAGAIN)
            error = client_wait_channel(client, deadline);
        if (error < 0)
            return error;
    }
    return 0;
}

static void exchange_reset(struct client *client, bool to_head)
{
    client->to_head = to_head;
    http_reader_next(client->reader, to_head);
    client->began = client->answered = client->continued = false;
    client->interim = 0;
    client->keep = false;
    client->last.status = 0;
}

/* A server that hangs up may have said why just before: its answer or alert counts, not the broken pipe. */
static int last_words(struct client *client, int error)
{
    if (error != -ECONNRESET && error != -EPIPE)
        return error;
    int heard = client_answer(client, client_now() + LAST_WORDS_MS, false);
    return heard == 0 || heard == -EACCES ? heard : error;
}

/* The body, unless the server's word on the request makes it pointless. */
static int send_body(struct client *client, const struct client_request *request, bool expect)
{
    if (expect) {
        int error = client_answer(client, client_now() + EXPECT_PATIENCE_MS, true);
        if (error < 0 && error != -ETIMEDOUT)
            return error;
    }
    if (client->answered)
        return 0;
    int error = client_send_body(client, request);
    if (error == -ECANCELED && client->answered)
        return 0;
    return error;
}

/* 0, -errno, or an enum client_result. */
static int exchange_once(struct client *client, const struct client_request *request, bool expect)
{
    exchange_reset(client, strcmp(request->method, "HEAD") == 0);
    uint64_t patience = client->options.idle_timeout + request->covers / SLOWEST_DISK;
    int error = send_head(client, request, expect);
    if (error == 0 && request->has_body) {
        error = send_body(client, request, expect);
        patience += request->length / SLOWEST_DISK;
    }
    return error == 0 ? client_answer(client, client_now() + patience, false) : last_words(client, error);
}

/* A body that was not sent whole leaves the connection in the middle of a message. */
static void judge_reuse(struct client *client, const struct client_request *request, uint64_t sent)
{
    const struct http_head *head = http_reader_result(client->reader);
    client->keep =
        head->keep_alive && head->framing != HTTP_BODY_TO_END && (!request->has_body || sent == request->length);
}

/* In TLS 1.3 a server judges our certificate when our end has finished: its alert comes in place of an answer. */
static void tell_refused(const struct client *client)
{
    char reason[300];
    if (client->used || client->began || !client->channel || !channel_failed_at_peer(client->channel))
        return;
    client_escape(channel_reason(client->channel), reason, sizeof reason);
    event(client->options.log, "Y30E", EVENT_T("peer", client->peer), EVENT_T("reason", reason));
}

static int exchange_failed(struct client *client, int error)
{
    tell_refused(client);
    const char *why = "";
    if (error == -EBADMSG && http_reader_refusal(client->reader, &why) != 0)
        error = client_fail(client, CLIENT_SERVER, "%s does not answer as HTTP demands: %s", client->peer, why);
    else if (error == -EBADMSG)
        error = client_fail(client, CLIENT_SERVER, "%s answers with 1xx without end, or with another protocol",
                            client->peer);
    else if (error == -ENAMETOOLONG)
        error = client_fail(client, CLIENT_USAGE, "the remote path is too long");
    else if (error == -ENODATA && !client->began)
        error = client_fail(client, CLIENT_CUT, "%s closed the connection without an answer", client->peer);
    else if (error < 0)
        error = client_fail_channel(client, error, client->began ? "in the head of the answer" : "before an answer");
    client_break(client);
    return error;
}

static bool connection_was_gone(const struct client *client, int error)
{
    return client->used && !client->began && (error == -ENODATA || error == -ECONNRESET || error == -EPIPE);
}

int client_exchange(struct client *client, const struct client_request *request)
{
    bool expect = request->has_body && request->length > (request->ask_first ? 0 : EXPECT_FROM);
    bool retried = false;

    for (;;) {
        int result = client_open(client);
        if (result != 0)
            return result;
        client->last.bytes = 0;
        result = exchange_once(client, request, expect);
        if (result == 0 && client->last.status == 417 && expect) {
            /* RFC 9110, 10.1.1: the server knows no Expect. */
            client_break(client);
            expect = false;
            continue;
        }
        if (result == 0) {
            client->resent = retried;
            judge_reuse(client, request, client->last.bytes);
            return 0;
        }
        bool again = connection_was_gone(client, result) && !retried;
        if (!again)
            return exchange_failed(client, result);
        client_break(client);
        retried = true;
    }
}

static const struct {
    unsigned status;
    const char *remedy;
} remedies[] = {
    { 403, "this path is not open to us: is the client certificate the right one, does the store allow it?" },
    { 404, "look with `sluice ls`" },
    { 405, "the server does not take uploads there" },
    { 409, "a parent directory is missing, or a file stands in its place" },
    { 413, "the file is larger than the server takes" },
    { 429, "too many logins from here have failed: correct the login, and wait some minutes" },
    { 422, "what arrived there is not what is here: was the file changed while it was sent? The server keeps what came "
           "aside" },
    { 507, "the server's disk is full, or a quota there is used up" },
};

static const char *remedy_for(const struct client *client, unsigned status)
{
    if (status == 401)
        return client_login_remedy(client);
    for (size_t i = 0; i < sizeof remedies / sizeof *remedies; i++) {
        if (remedies[i].status == status)
            return remedies[i].remedy;
    }
    return NULL;
}

void client_discard(struct client *client)
{
    char *bytes;
    size_t length;
    if (!client->keep)
        return;
    if (client_body_to_memory(client, DISCARD_LIMIT, &bytes, &length) == 0)
        free(bytes);
    else
        client->keep = false;
}

int client_judge(struct client *client)
{
    const struct http_head *head = http_reader_result(client->reader);
    unsigned status = head->status;
    const char *remedy = remedy_for(client, status);
    char location[512];

    if (status >= 300 && status < 400) {
        const char *to = http_field(head, "Location");
        client_fail(client, CLIENT_REFUSED,
                    "%s: %u %s to %s, which is not followed; use that address (a directory ends in '/')", client->peer,
                    status, http_reason(status), client_escape(to ? to : "nowhere", location, sizeof location));
    } else {
        client_fail(client, CLIENT_SERVER, "%s: %u %s%s%s", client->peer, status, http_reason(status),
                    remedy ? "; " : "", remedy ? remedy : "");
    }
    return status >= 300 && status < 500 ? CLIENT_REFUSED : CLIENT_SERVER;
}

int client_unwelcome(struct client *client)
{
    int result = client_judge(client);
    client_discard(client);
    return result;
}
