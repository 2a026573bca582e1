/*
 * Sending a file in parts, over several streams (RFC 9110, 14.5; engine/server/partial.c says what the server does).
 * What the server has is asked for first, so that the same command, run again, sends only what is missing.
 */
#include "engine/client/put.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/client/exists.h"
#include "engine/client/put_holes.h"
#include "engine/client/streams.h"
#include "engine/client/verify.h"

#define ROUNDS 8 /* times that a server may say that something is missing after all */
#define BUSY_MS 500
#define BUSY_WAITS 120
#define STREAMS_USUAL 4
#define STREAM_BYTES (UINT64_C(32) << 20) /* what makes another one worth its handshake */

struct sending {
    struct client *client; /* of the first stream, on the caller's thread */
    struct put_source *source;
    const char *remote;
    uint64_t size, kept;
    struct put_holes holes;
    char token[PUT_TOKEN_SIZE];
    const char *want;                     /* a field: the request that finishes will bring a digest. Or "" */
    const struct config_address *address; /* of the one server that has the upload */
    struct plan *plan;
    client_progress *shown; /* what the client had */
    void *shown_argument;
};

/* -- what the server has ------------------------------------------------------------------------------------------- */

/* Sluice-Upload-Have, as an answer told it. 0, PUT_NO_PARTS, or an enum client_result. */
static int read_have(const struct sending *sending, const char *text, struct extents *have)
{
    struct client *client = sending->client;

    if (!text)
        return PUT_NO_PARTS;
    extents_clear(have);
    int rc = extents_parse(have, text);
    if (rc == -ENOMEM)
        return client_fail(client, CLIENT_FAILED, "no memory");
    if (rc < 0)
        return client_fail(client, CLIENT_SERVER, "%s says what it has of an upload in a way that cannot be read",
                           client->peer);
    if (have->count > 0 && have->items[have->count - 1].end > sending->size) {
        extents_clear(have);
        return client_fail(client, CLIENT_SERVER, "%s says that it has more of an upload than there is of the file",
                           client->peer);
    }
    return 0;
}

static const char *told(const struct client *client)
{
    return http_field(http_reader_result(client->reader), "Sluice-Upload-Have");
}

static int ask(struct sending *sending, struct extents *have)
{
    char fields[64];
    const char *said;
    struct client *client = sending->client;
    const struct client_request request = { .method = "HEAD", .remote = sending->remote, .fields = fields };

    if (put_look_recall(client, sending->token, &said))
        return read_have(sending, said, have);
    snprintf(fields, sizeof fields, "Sluice-Upload: %s\r\n", sending->token);
    int result = client_exchange(client, &request);
    if (result != CLIENT_OK)
        return result;
    result = read_have(sending, told(client), have);
    client_discard(client);
    return result;
}

/* The server need not keep what will never be gone on with. Where that cannot be told, it finds out by itself. */
static void give_up(struct sending *sending)
{
    char fields[64];
    struct client *client = sending->client;
    const struct client_request request = { .method = "DELETE", .remote = sending->remote, .fields = fields };

    snprintf(fields, sizeof fields, "Sluice-Upload: %s\r\n", sending->token);
    if (client_exchange(client, &request) == CLIENT_OK)
        client_discard(client);
}

/* -- parts --------------------------------------------------------------------------------------------------------- */

static void show(void *argument, const char *path)
{
    struct sending *sending = argument;

    if (sending->shown)
        sending->shown(sending->shown_argument, plan_done(sending->plan), sending->size, path);
}

/* Called about five times a second while a part is on its way. */
static void part_moved(void *argument, uint64_t moved, uint64_t total, const char *path)
{
    struct stream *stream = argument;

    (void)total;
    stream_moved(stream, moved);
    if (stream->number == 0) /* on the caller's thread */
        show(stream->all->argument, path);
}

/* An upload is one server's: where a partner has several addresses, all streams go where the first one is. */
static bool same_address(void *argument, const struct config_address *address)
{
    return address == argument;
}

static void ready(void *argument, struct stream *stream)
{
    struct sending *sending = argument;

    stream->client->may_use = same_address;
    stream->client->may_use_argument = (void *)sending->address;
    client_watch(stream->client, part_moved, stream);
}

/* What of a part that was cut off did not arrive the server will tell in the end. */
static enum stream_verdict judge_failure(struct client *client, int result)
{
    unsigned status = client->last.status;

    if (result == CLIENT_CUT || result == CLIENT_CONNECT)
        return client->cut_short ? STREAM_ON : STREAM_AGAIN;
    client->last.bytes = 0;
    /* The upload is held by another server, or by one that is ending; or there is too much to do for now. */
    if ((result == CLIENT_REFUSED && status == 409 && !exists_keeps(client)) ||
        (result == CLIENT_SERVER && status == 503))
        return STREAM_AGAIN;
    return STREAM_STOP;
}

/* The first stream knows what the server knows; the others share its options only. */
static void write_condition(const struct sending *sending, char *fields, size_t size)
{
    struct http_writer writer = { .bytes = fields, .capacity = size - 1, .length = strlen(fields) };

    exists_write_fields(sending->client, &writer);
    fields[writer.length] = '\0';
}

static enum stream_verdict send_part(void *argument, struct stream *stream, int *result)
{
    struct sending *sending = argument;
    struct client *client = stream->client;
    char fields[240 + EXISTS_FIELDS_SIZE];
    const struct client_request request = { .method = "PUT",
                                            .remote = sending->remote,
                                            .fields = fields,
                                            .file = sending->source->fd,
                                            .offset = stream->first,
                                            .has_body = true,
                                            .length = stream->length };

    if (put_differs(sending->source)) {
        client->last.bytes = 0;
        *result = client_fail_local(client, "reading", -ESTALE);
        return STREAM_STOP;
    }
    snprintf(fields, sizeof fields,
             "Sluice-Upload: %s\r\n%sContent-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n", sending->token,
             sending->want, stream->first, stream->first + stream->length - 1, sending->size);
    write_condition(sending, fields, sizeof fields);
    *result = client_exchange(client, &request);
    if (*result != CLIENT_OK)
        return judge_failure(client, *result);
    if (client->last.status == 200 || client->last.status == 204) {
        client_discard(client);
        return STREAM_ON;
    }
    *result = client_unwelcome(client);
    return judge_failure(client, *result);
}

/* One stream fills most links; more help where one core encrypts slower than that, or far away. */
static unsigned choose_streams(const struct client *client, uint64_t missing)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t useful = missing / PLAN_SMALLEST, streams = client->options.streams;

    if (streams == 0) {
        streams = missing / STREAM_BYTES;
        streams = streams > STREAMS_USUAL ? STREAMS_USUAL : streams;
        streams = cores > 0 && streams > (uint64_t)cores ? (uint64_t)cores : streams;
    }
    if (streams > useful)
        streams = useful;
    if (streams > PLAN_STREAMS_MAX)
        streams = PLAN_STREAMS_MAX;
    return streams ? (unsigned)streams : 1;
}

static void run_streams(struct sending *sending, struct streams *streams)
{
    struct client *client = sending->client;

    sending->address = client->address;
    sending->shown = client->progress;
    sending->shown_argument = client->progress_argument;
    streams_run(streams);
    client_watch(client, sending->shown, sending->shown_argument);
    client->may_use = NULL;
    streams_note(client, streams);
}

/* Sends what is missing. 0 or an enum client_result. */
static int send_missing(struct sending *sending, const struct extents *have)
{
    struct client *client = sending->client;
    unsigned count = choose_streams(client, sending->size - extents_total(have));
    struct streams *streams = calloc(1, sizeof *streams);

    sending->plan = plan_new(sending->size, have, count);
    if (!streams || !sending->plan) {
        plan_free(sending->plan);
        free(streams);
        return client_fail(client, CLIENT_FAILED, "no memory");
    }
    *streams = (struct streams){ .client = client,
                                 .plan = sending->plan,
                                 .count = count,
                                 .direction = "put",
                                 .move = send_part,
                                 .ready = ready,
                                 .tick = show,
                                 .argument = sending };
    run_streams(sending, streams);
    int result = streams->result;
    if (result != CLIENT_OK)
        client_fail(client, result, "%s", streams->reason);
    plan_free(sending->plan);
    free(streams);
    return result;
}

/* -- the end ------------------------------------------------------------------------------------------------------- */

/* Somebody else finishes it at the moment: the one before us, who was killed after he had asked for that. */
static bool is_busy(const struct client *client)
{
    return client->last.status == 409 && http_field(http_reader_result(client->reader), "Retry-After");
}

static int pause_for(struct client *client, unsigned milliseconds)
{
    struct client_op timer = { 0 };

    client_op_timer(client, &timer, milliseconds);
    if (client_wait_op(client, &timer, milliseconds + 1000) == -EINTR)
        return client_fail(client, CLIENT_INTERRUPTED, "interrupted");
    return CLIENT_OK;
}

/*
 * A request to end the upload went out a second time, because its connection broke, and the server knows nothing of the
 * upload any more: the file has its name, most likely. What stands there tells, where that is the only name it can
 * have.
 */
static int lost_answer(struct client *client)
{
    enum client_if_exists how = client->options.if_exists;

    if (how == CLIENT_IF_EXISTS_REPLACE || how == CLIENT_IF_EXISTS_SKIP)
        return PUT_ENDED;
    return client_fail(
        client, CLIENT_CUT,
        "%s: the answer was lost when the connection broke, and most likely it has the file by now: look "
        "with `sluice ls` before it is sent again",
        client->peer);
}

/*
 * 0: the file has its name; PUT_NO_PARTS: something is missing yet, `have` is told; PUT_ENDED; else a result.
 */
static int finish(struct sending *sending, struct verify *verify, struct extents *have)
{
    struct client *client = sending->client;
    struct digest_set set;
    char text[1024];
    struct http_writer fields = { .bytes = text, .capacity = sizeof text - 1 };
    unsigned waited = 0;
    int result = verify_digest(verify, &set);

    if (result != CLIENT_OK)
        return result;
    if (put_changed(sending->source))
        return PUT_CHANGED;
    http_write(&fields, "Sluice-Upload: %s\r\nContent-Range: bytes */%" PRIu64 "\r\n", sending->token, sending->size);
    put_describe(sending->source, &fields);
    exists_write_fields(client, &fields);
    http_write_digests(&fields, "Repr-Digest", &set);
    text[fields.length] = '\0';
    const struct client_request request = {
        .method = "PUT", .remote = sending->remote, .fields = text, .has_body = true, .covers = sending->size
    };
    result = client_exchange(client, &request);
    bool resent = client->resent;
    for (; result == CLIENT_OK && is_busy(client) && waited < BUSY_WAITS; waited++) {
        client_discard(client);
        result = pause_for(client, BUSY_MS);
        if (result == CLIENT_OK)
            result = client_exchange(client, &request);
    }
    if (result != CLIENT_OK)
        return result;
    if (client->last.status == 409 && read_have(sending, told(client), have) == 0) {
        client_discard(client);
        if (resent && have->count == 0)
            return lost_answer(client);
        return waited ? PUT_ENDED : PUT_NO_PARTS;
    }
    if (client->last.status == 412 && resent) {
        client_discard(client);
        return lost_answer(client);
    }
    result = put_judge(client);
    if (result != CLIENT_OK)
        return result;
    result = put_verify(client, verify, client->remote, sending->size);
    client_discard(client);
    return result;
}

/* In a later round those that were told of may be lost as well, and are told of again. */
static int send_round(struct sending *sending, struct extents *have)
{
    struct put_holes *holes = &sending->holes;
    uint64_t told = holes->bytes;
    int result = holes->refused
                     ? CLIENT_OK
                     : put_holes_tell(holes, sending->client, sending->remote, sending->token, sending->size, have);

    if (told > 0)
        holes->bytes = told;
    return result == CLIENT_OK ? send_missing(sending, have) : result;
}

/* Until all has arrived: after a server that was started again, or a cut, some of what was sent did not. */
static int send_all(struct sending *sending, struct verify *verify, struct extents *have)
{
    struct client *client = sending->client;
    int result = PUT_NO_PARTS;

    for (unsigned round = 0; round < ROUNDS && result == PUT_NO_PARTS; round++) {
        result = send_round(sending, have);
        if (result == CLIENT_OK)
            result = finish(sending, verify, have);
    }
    if (result == PUT_NO_PARTS)
        return client_fail(client, CLIENT_SERVER, "%s loses again and again what it has got of the file; try later",
                           client->peer);
    return result;
}

static void sum_up(const struct sending *sending)
{
    struct client *client = sending->client;
    uint64_t holes = sending->holes.bytes;

    client->last.hole_bytes = holes;
    client->last.bytes = sending->size - sending->kept - holes;
    if (sending->holes.refused && !client->note[0])
        snprintf(client->note, sizeof client->note, "the server takes no holes: they were sent as zeros");
}

/* A request goes ahead of the parts, which a server that takes none answers as any HEAD. */
int put_parts(struct client *client, struct put_source *source, const char *remote)
{
    struct sending sending = {
        .client = client, .source = source, .remote = remote, .size = (uint64_t)source->facts.st_size
    };
    struct extents have = { 0 };
    struct verify verify;

    if (!put_token(&source->facts, remote, PUT_MACHINE_FILE, sending.token))
        return client_fail(client, CLIENT_FAILED, "no memory");
    int result = ask(&sending, &have);
    if (result != CLIENT_OK)
        return result;
    sending.kept = extents_total(&have);
    put_holes_find(&sending.holes, client, source);
    put_verify_begin(&verify, client, verify_wanted(client, true, sending.kept > 0), source);
    sending.want = verify_want(client, verify.follow != NULL);
    result = send_all(&sending, &verify, &have);
    put_verify_end(&verify);
    if (result != CLIENT_OK && result != CLIENT_INTERRUPTED && put_changed(source)) {
        result = PUT_CHANGED;
        give_up(&sending);
    }
    if (result == CLIENT_OK)
        sum_up(&sending);
    client->last.resumed_bytes = sending.kept;
    put_holes_clear(&sending.holes);
    extents_clear(&have);
    return result;
}
