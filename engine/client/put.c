#include "engine/client/put.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/client/exists.h"
#include "engine/client/verify.h"

/* O_NONBLOCK: so that a FIFO is refused, not waited for. It goes again: with it a ring would not wait for the disk. */
static void source_open(void *argument)
{
    struct put_source *source = argument;
    source->fd = open(source->local, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | source->flags);
    if (source->fd < 0)
        source->fd = -errno;
    else if (fstat(source->fd, &source->facts) < 0 || fcntl(source->fd, F_SETFL, 0) < 0) {
        int error = -errno;
        close(source->fd);
        source->fd = error;
    }
}

/* To the kernel, once what OpenSSL has taken is out. 0 whichever way it went. */
static int switch_for(struct client *client, uint64_t length)
{
    uint64_t deadline = client_now() + client->options.idle_timeout;
    for (;;) {
        int error = channel_switch(client->channel, CHANNEL_TX, length);
        if (error != -EAGAIN)
            return error == 1 ? 0 : error;
        error = channel_flush(client->channel);
        if (error == -EAGAIN)
            error = client_wait_channel(client, deadline);
        if (error < 0)
            return error;
    }
}

static int flush(struct client *client)
{
    uint64_t deadline = client_now() + client->options.idle_timeout;
    int error;
    while ((error = channel_flush(client->channel)) == -EAGAIN) {
        error = client_wait_channel(client, deadline);
        if (error < 0)
            break;
    }
    return error;
}

static int file_failed(struct client *client, const struct pump *pump, int error)
{
    char name[512];
    if (pump->fault == PUMP_FAULT_FILE)
        return client_fail_local(client, "reading", error);
    client_escape(client->local, name, sizeof name);
    return client_fail(client, CLIENT_LOCAL, "%s became shorter while it was sent; the server has nothing of it", name);
}

static int send_range(struct client *client, const struct client_request *request, uint64_t from, uint64_t length)
{
    struct client_pump run = {
        .pump = { .way = PUMP_SEND, .file = request->file, .offset = request->offset + from, .length = length },
        .before = from,
        .total = request->length,
        .listen = true,
    };
    int error = client_run_pump(client, &run);
    client->last.bytes = from + run.pump.moved;
    client_note_path(client, &run.pump);
    if (error < 0 && (run.pump.fault == PUMP_FAULT_FILE || run.pump.fault == PUMP_FAULT_SHRUNK)) {
        client_note_session(client);
        return file_failed(client, &run.pump, error);
    }
    return error;
}

/* The server names the file when it has its last byte: until then there is a way back. */
static int send_last_byte(struct client *client, const struct client_request *request)
{
    int error = request->still_right(request->still_right_argument);
    return error < 0 ? error : send_range(client, request, request->length - 1, 1);
}

int client_send_body(struct client *client, const struct client_request *request)
{
    if (request->length == 0)
        return 0;
    int error = switch_for(client, request->length);
    if (error < 0) {
        client_note_session(client);
        return error;
    }
    uint64_t held_back = request->still_right ? 1 : 0;
    if (request->length > held_back)
        error = send_range(client, request, 0, request->length - held_back);
    if (error == 0 && held_back)
        error = send_last_byte(client, request);
    if (error == 0)
        error = flush(client);
    client_note_session(client);
    return error;
}

bool put_differs(const struct put_source *source)
{
    struct stat now;
    const struct stat *then = &source->facts;

    return fstat(source->fd, &now) < 0 || now.st_size != then->st_size || now.st_mtim.tv_sec != then->st_mtim.tv_sec ||
           now.st_mtim.tv_nsec != then->st_mtim.tv_nsec || now.st_ctim.tv_sec != then->st_ctim.tv_sec ||
           now.st_ctim.tv_nsec != then->st_ctim.tv_nsec;
}

bool put_changed(struct put_source *source)
{
    source->stale = put_differs(source);
    return source->stale;
}

static int still_right(void *argument)
{
    return put_changed(argument) ? PUT_CHANGED : 0;
}

void put_describe(const struct put_source *source, struct http_writer *fields)
{
    char modified[HTTP_TIME_SIZE];

    http_time(&source->facts.st_mtim, modified);
    http_write(fields, HTTP_MODIFIED ": %s\r\n" HTTP_MODE ": 0%03o\r\n", modified, source->facts.st_mode & 0777u);
}

static bool is_done(unsigned status)
{
    return status == 200 || status == 201 || status == 204;
}

int put_judge(struct client *client)
{
    unsigned status = client->last.status;
    if (is_done(status)) {
        exists_note_name(client);
        return CLIENT_OK;
    }
    if (status == 422) {
        client_unwelcome(client);
        return client_fail(client, CLIENT_DIGEST,
                           "%s has got other bytes than were sent: the digests differ, and the file did not get its "
                           "name; send it again",
                           client->peer);
    }
    if (status >= 300)
        return client_unwelcome(client);
    client->keep = false;
    return client_fail(client, CLIENT_SERVER, "%s answers a PUT with %u %s", client->peer, status, http_reason(status));
}

int put_verify(struct client *client, struct verify *verify, const char *remote, uint64_t size)
{
    const struct http_head *head = http_reader_result(client->reader);
    const char *tag = http_field(head, "ETag");
    struct digest_set said = { 0 };
    char etag[256] = "";

    if (tag && strlen(tag) < sizeof etag)
        strcpy(etag, tag);
    bool told = http_digests(head, "Repr-Digest", &said) == 0;
    return verify_sent(verify, remote, etag, size, told ? &said : NULL);
}

void put_verify_begin(struct verify *verify, struct client *client, bool wanted, const struct put_source *source)
{
    uint64_t size = (uint64_t)source->facts.st_size;

    verify_begin(verify, client, wanted, source->fd,
                 pump_would_spare_cache(source->fd, size, client->options.pump_path));
    verify_whole(verify, size);
    client->verify = verify;
}

void put_verify_end(struct verify *verify)
{
    verify->client->verify = NULL;
    verify_end(verify);
}

static int judge_body(struct client *client, uint64_t length)
{
    int result = put_judge(client);
    if (result != CLIENT_OK)
        return result;
    unsigned status = client->last.status;
    if (client->last.bytes == length) {
        client_discard(client);
        return CLIENT_OK;
    }
    client->keep = false;
    return client_fail(client, CLIENT_SERVER, "%s says %u %s, but it has not got the whole file", client->peer, status,
                       http_reason(status));
}

/* A small file goes with its digest, which the server holds against what it got. */
static int write_fields(struct verify *verify, const struct put_source *source, bool small, struct http_writer *fields)
{
    struct digest_set set = { 0 };
    int result = small ? verify_digest(verify, &set) : CLIENT_OK;

    put_describe(source, fields);
    exists_write_fields(verify->client, fields);
    if (!small)
        exists_write_seen(verify->client, fields);
    http_write_digests(fields, "Repr-Digest", &set);
    return result;
}

/* A server that holds no digest against what comes has named it by the time we know. */
static void tell_named(struct client *client)
{
    size_t length = strlen(client->reason);

    snprintf(client->reason + length, sizeof client->reason - length,
             "; it has the name there already: send it again, or delete it there");
}

static int put_whole(struct client *client, struct put_source *source, const char *remote, struct verify *verify)
{
    char text[512 + EXISTS_SEEN_SIZE];
    struct http_writer fields = { .bytes = text, .capacity = sizeof text - 1 };
    uint64_t size = (uint64_t)source->facts.st_size;
    int result = write_fields(verify, source, size < PUT_PARTS_FROM, &fields);

    if (result != CLIENT_OK)
        return result;
    text[fields.length] = '\0';
    const struct client_request request = { .method = "PUT",
                                            .remote = remote,
                                            .fields = text,
                                            .file = source->fd,
                                            .has_body = true,
                                            .length = size,
                                            .covers = size,
                                            .ask_first = client->options.if_exists != CLIENT_IF_EXISTS_REPLACE,
                                            .still_right = still_right,
                                            .still_right_argument = source };
    result = client_exchange(client, &request);
    if (result != CLIENT_OK && source->stale)
        return PUT_CHANGED;
    if (result == CLIENT_OK)
        result = judge_body(client, size);
    if (result == CLIENT_DIGEST && put_changed(source))
        return PUT_CHANGED; /* it is not the one whose digest went ahead of it */
    if (result == CLIENT_OK) {
        result = put_verify(client, verify, client->remote, size);
        if (result == CLIENT_DIGEST)
            tell_named(client);
    }
    /* Between the look at it and its last byte. */
    if (result == CLIENT_OK && put_changed(source) && !client->last.verified) {
        char name[512];
        return client_fail(client, CLIENT_LOCAL,
                           "%s changed while it was sent: what %s has may be a mixture; send it again",
                           client_escape(source->local, name, sizeof name), client->peer);
    }
    return result;
}

/* 0, an enum client_result, or PUT_CHANGED. */
static int put_once(struct client *client, const char *local, const char *remote)
{
    struct put_source source = { .local = local, .flags = client->options.no_links ? O_NOFOLLOW : 0 };
    struct verify verify;
    char name[512];

    client_job(client, source_open, &source);
    if (source.fd == -ELOOP && client->options.no_links)
        return client_fail(client, CLIENT_LOCAL, "%s is a symbolic link, which is not followed here",
                           client_escape(local, name, sizeof name));
    if (source.fd < 0)
        return client_fail_local(client, "opening", source.fd);
    if (!S_ISREG(source.facts.st_mode)) {
        close(source.fd);
        return client_fail(client, CLIENT_LOCAL, "%s is not a regular file", client_escape(local, name, sizeof name));
    }
    int result = PUT_NO_PARTS;
    if (source.facts.st_size >= PUT_PARTS_FROM)
        result = put_parts(client, &source, remote);
    if (result == PUT_NO_PARTS) {
        if (source.facts.st_size >= PUT_PARTS_FROM)
            snprintf(client->note, sizeof client->note,
                     "the server takes no uploads in parts: it went in one piece, which starts over after a cut, and "
                     "its name comes before it can be verified");
        put_verify_begin(&verify, client, verify_wanted(client, true, false), &source);
        result = put_whole(client, &source, remote, &verify);
        put_verify_end(&verify);
    }
    close(source.fd);
    return result;
}

static int put_where_it_may(struct client *client, const char *local, const char *remote)
{
    char name[512];
    const char *target;
    int result = exists_before_put(client, local, remote, &target);

    if (result == CLIENT_OK)
        result = put_once(client, local, target);
    if (result == PUT_CHANGED)
        result = put_once(client, local, target);
    if (result == PUT_ENDED)
        return EXISTS_AGAIN;
    if (result == PUT_CHANGED)
        result = client_fail(client, CLIENT_LOCAL,
                             "%s changes while it is sent, twice by now; %s has nothing of it under that name: send it "
                             "when nobody writes to it",
                             client_escape(local, name, sizeof name), client->peer);
    return exists_after_put(client, result);
}

int client_put(struct client *client, const char *local, const char *remote)
{
    int result = client_begin(client, "put", remote, local);

    exists_begin_put(client);
    if (result == CLIENT_OK)
        result = put_where_it_may(client, local, remote);
    for (unsigned tries = 1; result == EXISTS_AGAIN && tries < EXISTS_TRIES; tries++)
        result = put_where_it_may(client, local, remote);
    if (result == EXISTS_AGAIN)
        result = client_fail(client, CLIENT_EXISTS, "%s: %s; try again", client->peer,
                             client->options.if_exists == CLIENT_IF_EXISTS_REPLACE
                                 ? "others replace the file there again and again"
                                 : "others take every name that is free");
    return client_finish(client, result == EXISTS_DONE ? CLIENT_OK : result);
}
