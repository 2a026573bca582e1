/*
 * Uploads in parts (RFC 9110, 14.5), by an agreement of our own that a request states with Sluice-Upload: TOKEN.
 *
 *     HEAD                                   what is there: Sluice-Upload-Have, beside the usual answer
 *     PUT, Content-Range: bytes 0-99/1000    a part; several connections may send parts at once
 *     PUT, Sluice-Holes: bytes 0-99/1000     ranges that are zeros and take no room; they are received with that
 *     PUT, Content-Range: bytes * /1000      that is all: the file gets its name, or what is missing is told (409)
 *     DELETE                                 it is given up
 *
 * An upload belongs to who is identified, and to the path. What came of a part counts, however the part ended.
 */
#include "engine/server/partial_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/http/digest.h"
#include "engine/store/extents.h"

#define TOKEN_MAX 64

static enum flow step_taken(struct session *session);

/* -- what a request says ------------------------------------------------------------------------------------------- */

static bool token_good(const char *token)
{
    size_t length = strspn(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");

    return length > 0 && length <= TOKEN_MAX && token[length] == '\0';
}

/*
 * For free(); NULL: no memory. The means are part of it: a user's name and the subject of a certificate that nobody
 * knows are not the same. Subjects are of any length, and not cut: what differs at the end is somebody else.
 */
static char *print_who(const struct session *session)
{
    const struct gate_identity *identity = &session->identity;
    const char *kind = "anonymous ", *name = "";
    char *who, address[INET6_ADDRSTRLEN] = "";

    if (identity->means != GATE_NOTHING && identity->name[0]) {
        kind = identity->user || !identity->partner ? "user " : "partner ";
        name = identity->name;
    } else if (identity->means != GATE_NOTHING) {
        kind = "subject ";
        name = channel_facts(session->channel)->peer_subject;
    } else {
        const struct in6_addr part = peers_part(&session->address);
        name = inet_ntop(AF_INET6, &part, address, sizeof address);
    }
    return asprintf(&who, "%s%s", kind, name) < 0 ? NULL : who;
}

/* 0 or -ENOMEM. */
static int part_new(struct session *session)
{
    session->part = calloc(1, sizeof *session->part);
    if (!session->part)
        return -ENOMEM;
    session->part->token = http_field(session->request, PARTIAL_FIELD);
    return 0;
}

int part_take(struct session *session, uint64_t size)
{
    struct part *part = session->part;
    char *who = print_who(session);
    const struct upload_key key = { .store = session_store(session),
                                    .path = session->path,
                                    .who = who,
                                    .token = part->token,
                                    .hollow = part->holes.count > 0 };
    int rc = who ? uploads_take(session->worker->server->uploads, &key, size, &part->upload) : -ENOMEM;

    free(who);
    return rc;
}

enum flow part_run(struct session *session, enum flow (*then)(struct session *), void (*work)(struct job *job))
{
    session_set_deadline(session, 0, NULL);
    session->step = then;
    return session_wait_job(session, session->worker->server->files, work);
}

void part_set_deadline(struct session *session)
{
    session_set_deadline(session, session->epoch->config->server.idle_timeout, session_abort);
}

/* -- HEAD ---------------------------------------------------------------------------------------------------------- */

static void ask_run(struct job *job)
{
    struct session *session = session_of_job(job);
    struct part *part = session->part;
    int rc = part_take(session, STORE_PARTIAL_ANY);

    if (rc == 0)
        store_partial_have(upload_partial(part->upload), part->have, sizeof part->have);
    else if (rc == -ENOENT)
        strcpy(part->have, EXTENTS_NONE);
    /* Anything else: a directory, no access. The plain PUT that follows will be told. */
}

static enum flow step_asked(struct session *session)
{
    part_set_deadline(session);
    if (session->rights & (GATE_READ | GATE_LIST))
        return send_begin(session);
    /* Who may write but not read does not learn here whether the file is there. */
    return request_done(session);
}

/* -- PUT of a part ------------------------------------------------------------------------------------------------- */

/* What stands in the file by now. */
static int note(struct session *session)
{
    struct part *part = session->part;
    uint64_t came = session->stored + session->pump.moved;

    return part->writing ? upload_wrote(part->upload, &part->writer, part->range.first + came) : 0;
}

static void stop_writing(struct session *session)
{
    struct part *part = session->part;

    if (!part->writing)
        return;
    note(session);
    upload_write_end(part->upload, &part->writer);
    part->writing = false;
}

static const struct {
    int error;
    unsigned status;
    const char *why;
} refusals[] = {
    { -ESTALE, 409, "this upload was begun with another size" },
    { -EBUSY, 409, "this upload is being finished, or another server is at it" },
    { -EUSERS, 503, "the server has too many unfinished uploads (max_unfinished_uploads)" },
    { -ETOOMANYREFS, 503,
      "you have as many unfinished uploads here as one sender may have (max_unfinished_per_sender): "
      "finish them, give them up, or wait until they are removed (upload_keep)" },
    { -ENODATA, 409, "something of the upload is missing" },
    { -E2BIG, 409, "the upload is in too many pieces" },
    { -EOPNOTSUPP, 501, "the file system of the store makes no holes" },
    { -EAGAIN, 503, "other connections still write into this upload" },
};

/* Before an answer that says so is out: who hears it may come back at once, on another connection. */
static void let_go(struct session *session)
{
    struct part *part = session->part;

    stop_writing(session);
    if (part->finishing)
        upload_finish_end(part->upload, false);
    else if (part->waits > 0)
        upload_finish_give_up(part->upload);
    if (part->upload)
        upload_leave(part->upload);
    part->finishing = false;
    part->waits = 0;
    part->upload = NULL;
}

enum flow part_refuse(struct session *session, int rc)
{
    const char *why;

    part_set_deadline(session);
    session->part->busy = rc == -EBUSY;
    let_go(session);
    if (rc == 412)
        return request_refuse(session, 412, "the file is not the one that was asked for");
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        if (refusals[i].error == rc)
            return request_refuse(session, refusals[i].status, refusals[i].why);
    }
    unsigned status = receive_status(rc, &why);
    return request_refuse(session, status, why);
}

/* A part that wants a digest of the whole says that the request which finishes will bring one (RFC 9530, 4). */
static unsigned digest_announced(const struct session *session)
{
    enum digest_algorithm algorithm;

    return http_digest_wanted(session->request, "want-repr-digest", &algorithm) == 0 ? 1u << algorithm : 0;
}

/* As one of its writers: what another connection has named meanwhile is no upload's any more, and is not touched. */
static int reserve(const struct part *part)
{
    struct upload_writer nothing;
    int rc = upload_write_begin(part->upload, &nothing, part->range.first, 0, 0);

    if (rc < 0)
        return rc;
    rc = store_partial_reserve(upload_partial(part->upload), part->range.first, part->range.length);
    upload_write_end(part->upload, &nothing);
    return rc;
}

/* As above. Nothing of what is there is written again, so that a digest that follows it goes on. */
static int hollow(const struct part *part)
{
    const struct extents *holes = &part->holes;
    struct upload_writer filler;
    int rc = upload_fill_begin(part->upload, &filler, holes->items[0].first, holes->items[holes->count - 1].end);

    if (rc < 0)
        return rc;
    rc = store_partial_hollow(upload_partial(part->upload), holes);
    upload_write_end(part->upload, &filler);
    return rc;
}

static bool is_part(const struct part *part)
{
    return part->range.length > 0;
}

static bool is_last(const struct part *part)
{
    return !is_part(part) && part->holes.count == 0;
}

static void take_run(struct job *job)
{
    struct session *session = session_of_job(job);
    struct part *part = session->part;
    bool last = is_last(part);
    int rc = receive_conditions(session);

    if (rc == 0)
        rc = part_take(session, last ? STORE_PARTIAL_ANY : part->size);
    if (rc == 0 && last)
        rc = store_partial_set_size(upload_partial(part->upload), part->size);
    if (rc == 0 && !last)
        rc = is_part(part) ? reserve(part) : hollow(part);
    session->result = rc;
}

static enum flow step_taken(struct session *session)
{
    struct part *part = session->part;
    int rc = session->result;

    part_set_deadline(session);
    if (is_last(part) && rc == -ENOENT) {
        strcpy(part->have, EXTENTS_NONE);
        rc = -ENODATA;
    }
    if (rc == 0 && !is_part(part)) {
        session->step = is_last(part) ? part_claim : request_done;
        return FLOW_GO;
    }
    if (rc == 0)
        rc = upload_write_begin(part->upload, &part->writer, part->range.first, part->range.length,
                                digest_announced(session));
    if (rc != 0)
        return part_refuse(session, rc);
    part->writing = true;
    session->upload.fd = store_partial_fd(upload_partial(part->upload));
    session->base = part->range.first;
    return receive_body(session);
}

enum flow partial_arrived(struct session *session)
{
    int rc = note(session);

    part_set_deadline(session);
    session->body_ended = true;
    if (session->pump.choice.path)
        upload_carried(session->part->upload, &session->pump.choice, session->began);
    stop_writing(session);
    if (rc < 0)
        return part_refuse(session, rc);
    session->status = 204;
    request_part_came(session, session->stored);
    return request_done(session);
}

enum flow partial_failed(struct session *session, unsigned status, const char *why)
{
    session->status = status;
    if (status == 0 && session->part->writing && upload_unwanted(session->part->upload))
        why = "another connection finishes this upload";
    stop_writing(session);
    request_part_ended(session, session->stored, why);
    return status == 0 ? session_abort(session) : request_refuse(session, status, why);
}

/* -- the ways in --------------------------------------------------------------------------------------------------- */

/* "bytes * /SIZE", without the blank. */
static bool read_size(const char *range, uint64_t *size)
{
    struct http_range all;
    char text[64];

    if (strncmp(range, "bytes */", 8) != 0)
        return false;
    snprintf(text, sizeof text, "bytes 0-0/%s", range + 8);
    return strlen(range + 8) < 24 && http_content_range(text, &all, size) == 0 && *size != UINT64_MAX;
}

/* "bytes 0-99,200-299/1000": not in a Content-Range, so that who does not know of it does not take it for the end. */
static const char *read_holes(struct part *part, const struct http_head *request, const char *text)
{
    const char *slash = strchr(text, '/');
    char size[64];

    if (http_field(request, "content-range") || request->length > 0)
        return "Sluice-Holes comes without a Content-Range and without a body";
    if (!slash || strncmp(text, "bytes ", 6) != 0 ||
        snprintf(size, sizeof size, "bytes *%s", slash) >= (int)sizeof size)
        return "Sluice-Holes is malformed";
    char *ranges = strndup(text + 6, (size_t)(slash - text) - 6);
    int rc = ranges ? extents_parse(&part->holes, ranges) : -ENOMEM;
    free(ranges);
    if (rc < 0 || part->holes.count == 0 || !read_size(size, &part->size))
        return "Sluice-Holes is malformed";
    return part->holes.items[part->holes.count - 1].end > part->size ? "Sluice-Holes lies beyond its own end" : NULL;
}

static const char *read_part(struct session *session)
{
    const struct http_head *request = session->request;
    struct part *part = session->part;
    const char *range = http_field(request, "content-range"), *holes = http_field(request, HTTP_HOLES);

    if (holes)
        return read_holes(part, request, holes);
    if (!range)
        return "Sluice-Upload without a Content-Range";
    if (request->framing != HTTP_BODY_LENGTH)
        return "a part needs a Content-Length";
    if (read_size(range, &part->size))
        return request->length == 0 ? NULL : "a request that finishes an upload has no body";
    if (http_content_range(range, &part->range, &part->size) < 0 || part->size == UINT64_MAX)
        return "the Content-Range is malformed, or lies beyond its own end";
    return part->range.length == request->length ? NULL : "Content-Range and Content-Length differ";
}

enum flow partial_receive(struct session *session)
{
    uint64_t limit = session->epoch->config->server.max_upload;

    if (part_new(session) < 0)
        return request_refuse(session, 503, "no memory");
    if (!token_good(session->part->token))
        return request_refuse(session, 400, "the token of Sluice-Upload is malformed");
    const char *wrong = read_part(session);
    if (wrong)
        return request_refuse(session, 400, wrong);
    if (limit && session->part->size > limit)
        return request_refuse(session, 413, "the body is larger than max_upload");
    return part_run(session, step_taken, take_run);
}

static enum flow step_to_give_up(struct session *session)
{
    part_set_deadline(session);
    if (session->result == -ENOENT || session->result == -ENOTDIR)
        return request_refuse(session, 404, "no such upload");
    if (session->result < 0)
        return part_refuse(session, session->result);
    session->step = part_claim;
    return FLOW_GO;
}

static void take_to_give_up_run(struct job *job)
{
    struct session *session = session_of_job(job);

    session->result = part_take(session, STORE_PARTIAL_ANY);
}

bool partial_admitted(struct session *session, enum flow *flow)
{
    const struct http_head *request = session->request;
    const char *token = http_field(request, PARTIAL_FIELD);
    bool asks = request->method == HTTP_HEAD, gives_up = request->method == HTTP_DELETE;

    if (!token || (!asks && !gives_up) || request_has_body(session))
        return false;
    if (!(session->rights & GATE_WRITE)) {
        if (gives_up)
            *flow = request_forbid(session, GATE_WRITE);
        return gives_up; /* who only asks gets the usual answer */
    }
    if (!token_good(token))
        *flow = request_refuse(session, 400, "the token of Sluice-Upload is malformed");
    else if (part_new(session) < 0)
        *flow = request_refuse(session, 503, "no memory");
    else
        *flow = asks ? part_run(session, step_asked, ask_run) : part_run(session, step_to_give_up, take_to_give_up_run);
    return true;
}

void partial_write_have(const struct session *session, struct http_writer *out)
{
    if (session->part && session->part->have[0])
        http_write(out, "Sluice-Upload-Have: %s\r\n", session->part->have);
    if (session->part && session->part->busy)
        http_write(out, "Retry-After: 1\r\n");
}

bool partial_told(const struct session *session)
{
    return session->part && session->part->have[0] && session->request->method == HTTP_HEAD;
}

bool partial_tick(struct session *session)
{
    struct part *part = session->part;

    if (!part || !part->writing)
        return false;
    note(session); /* what cannot be noted now is noted at the end, or not */
    return upload_unwanted(part->upload);
}

void partial_release(struct session *session)
{
    struct part *part = session->part;

    if (!part)
        return;
    let_go(session);
    extents_clear(&part->holes);
    free(part);
    session->part = NULL;
}
