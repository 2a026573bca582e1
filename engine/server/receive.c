/* PUT. */
#include "engine/server/partial.h"
#include "engine/server/server_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/http/digest.h"
#include "engine/store/digest.h"

static enum flow step_prepared(struct session *session);
static enum flow step_body(struct session *session);
static enum flow step_piece(struct session *session);
static enum flow step_pumped(struct session *session);
static enum flow step_digested(struct session *session);
static enum flow step_committed(struct session *session);

/* -- an upload that fails ------------------------------------------------------------------------------------------ */

static void abandon_run(struct job *job)
{
    struct session *session = session_of_job(job);

    store_upload_abandon(&session->upload);
    session->uploading = false;
}

static enum flow step_failed(struct session *session)
{
    session->status = session->failure;
    request_failed(session, "in", session->stored, session->failure_why);
    if (session->failure == 0)
        return session_abort(session);
    return request_refuse(session, session->failure, session->failure_why);
}

/* Answers with `status` (0: breaks the connection off) once nothing of the upload is left. */
enum flow receive_fail(struct session *session, unsigned status, const char *why)
{
    if (session->part)
        return partial_failed(session, status, why);
    session->failure = status;
    session->failure_why = why;
    session->step = step_failed;
    if (!session->uploading)
        return FLOW_GO;
    return session_wait_job(session, session->worker->server->files, abandon_run);
}

struct file_refusal {
    int error;
    unsigned status;
    const char *why;
};

static const struct file_refusal file_refusals[] = {
    { -EACCES, 403, "the server may not write here" },
    { -EPERM, 403, "the server may not write here" },
    { -EROFS, 403, "the store is read-only" },
    { -EXDEV, 403, "the path leads out of the store" },
    { -ELOOP, 403, "the path leads out of the store" },
    { -EISDIR, 409, "there is a directory of this name" },
    { -ENOTDIR, 409, "a part of the path is a file" },
    { -ENOTEMPTY, 409, "there is a directory of this name" },
    { -EEXIST, 412, "a file of this name is there now" },
    { -EALREADY, 409, "a file of this name is there, and this store keeps it (overwrite = no)" },
    { -ESTALE, 412, "the file is not the one that was asked for" },
    { -ENAMETOOLONG, 414, "the path is too long" },
    { -EFBIG, 413, "the file is larger than the file system takes" },
    { -ENOSPC, 507, "no space is left in the store" },
    { -EDQUOT, 507, "the quota of the store is used up" },
    { -EMFILE, 503, "the server has too many files open" },
    { -ENFILE, 503, "the server has too many files open" },
};

unsigned receive_status(int rc, const char **why)
{
    if (rc == 412)
        rc = -ESTALE;
    for (size_t i = 0; i < sizeof file_refusals / sizeof *file_refusals; i++) {
        if (file_refusals[i].error == rc) {
            *why = file_refusals[i].why;
            return file_refusals[i].status;
        }
    }
    *why = strerror(-rc);
    return 500;
}

enum flow receive_fail_file(struct session *session, int rc)
{
    const char *why;
    unsigned status = receive_status(rc, &why);

    return receive_fail(session, status, why);
}

enum flow receive_fail_channel(struct session *session, int rc)
{
    const char *reason = channel_reason(session->channel);

    if (rc == 0)
        reason = "the peer ended the session in the middle of the body";
    if (rc == -EKEYEXPIRED)
        session_tell_failure(session, rc);
    return receive_fail(session, 0, reason[0] ? reason : strerror(-rc));
}

static enum flow body_overdue(struct session *session)
{
    return receive_fail(session, 0, "no progress for longer than idle_timeout");
}

/* -- before the body ----------------------------------------------------------------------------------------------- */

int receive_conditions(struct session *session)
{
    const struct http_head *request = session->request;
    struct stat facts;
    char etag[STORE_ETAG_SIZE] = "";
    bool range_holds;
    int present = store_open_read(session_store(session), session->path, &facts);

    if (present >= 0) {
        close(present);
        if (!S_ISREG(facts.st_mode))
            return -EISDIR;
        store_etag(&facts, etag);
    } else if (present != -ENOENT && present != -EACCES) {
        return present; /* a file that may not be read may still be replaced */
    }
    unsigned status =
        http_preconditions(request, etag[0] ? etag : NULL, present >= 0 ? facts.st_mtim.tv_sec : 0, &range_holds);
    if (status)
        return (int)status;
    if (http_field(request, "if-match") || http_field(request, "if-none-match")) {
        session->expects = true;
        memcpy(session->expected, etag, sizeof etag);
    }
    return overwrite_judge(session, present >= 0 || present == -EACCES);
}

/* 0, a status to refuse with, or -errno. */
static int prepare(struct session *session)
{
    const struct http_head *request = session->request;
    int rc = receive_conditions(session);

    if (rc != 0)
        return rc;
    uint64_t size = request->framing == HTTP_BODY_LENGTH ? request->length : UINT64_MAX;
    rc = store_upload_begin(session_store(session), session->path, size, &session->upload);
    session->uploading = rc == 0;
    return rc;
}

static void prepare_run(struct job *job)
{
    struct session *session = session_of_job(job);

    session->result = prepare(session);
}

/* A status to refuse with, or 0. */
static unsigned check_fields(struct session *session, const char **why)
{
    const struct http_head *request = session->request;
    const char *modified = http_field(request, HTTP_MODIFIED), *mode = http_field(request, HTTP_MODE);
    struct timespec when;
    unsigned bits;

    /* RFC 9110, 14.5: a part must not be taken for the whole. */
    *why = "a Content-Range in a PUT needs Sluice-Upload";
    if (http_field(request, "content-range") && !http_field(request, PARTIAL_FIELD))
        return 400;
    *why = "a file is stored as it is: send it without Content-Encoding";
    if (http_field(request, "content-encoding"))
        return 415;
    *why = HTTP_MODIFIED " or " HTTP_MODE " is malformed";
    if ((modified && http_time_parse(modified, &when) < 0) || (mode && http_mode_parse(mode, &bits) < 0))
        return 400;
    *why = "a digest field is malformed";
    return session_promised(session, !http_field(request, PARTIAL_FIELD));
}

enum flow receive_begin(struct session *session)
{
    const struct http_head *request = session->request;
    const char *why;
    uint64_t limit = session->epoch->config->server.max_upload;
    size_t length = strlen(session->path);

    if (request->framing == HTTP_BODY_NONE)
        return request_refuse(session, 411, "a PUT needs a Content-Length or chunked coding");
    unsigned status = check_fields(session, &why);
    if (status)
        return request_refuse(session, status, why);
    if (http_field(request, HTTP_TYPE))
        return folder_receive(session);
    if (limit && request->framing == HTTP_BODY_LENGTH && request->length > limit)
        return request_refuse(session, 413, "the body is larger than max_upload");
    if (length == 0 || session->path[length - 1] == '/')
        return request_refuse(session, 409, "this is the name of a directory");
    if (http_field(request, PARTIAL_FIELD))
        return partial_receive(session);
    if (whole_may_take(session))
        return whole_receive(session);
    session_set_deadline(session, 0, NULL);
    session->step = step_prepared;
    return session_wait_job(session, session->worker->server->files, prepare_run);
}

static enum flow step_prepared(struct session *session)
{
    if (session->result == 412)
        return request_refuse(session, 412, "the file is not the one that was asked for");
    if (session->result < 0)
        return receive_fail_file(session, session->result);
    return receive_body(session);
}

enum flow receive_body(struct session *session)
{
    session_set_deadline(session, session->epoch->config->server.idle_timeout, body_overdue);
    return request_continue(session, step_body);
}

/* -- the body ------------------------------------------------------------------------------------------------------ */

void receive_dress(struct session *session, int fd)
{
    const char *modified = http_field(session->request, HTTP_MODIFIED), *mode = http_field(session->request, HTTP_MODE);
    struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };
    unsigned bits;

    /* Whoever owns the file can always read it: what the server cannot read it could not serve. */
    if (mode && http_mode_parse(mode, &bits) == 0)
        (void)!fchmod(fd, (bits & ~session->worker->server->umask) | S_IRUSR);
    bool dated = modified && http_time_parse(modified, &times[1]) == 0 && futimens(fd, times) == 0;
    if (session->promised.known)
        (void)!store_digest_keep(fd, &session->digests, dated);
}

static void commit_run(struct job *job)
{
    struct session *session = session_of_job(job);

    receive_dress(session, session->upload.fd);
    session->upload.numbered = overwrite_number(session);
    session->result = store_upload_commit(&session->upload, session->expects ? session->expected : NULL,
                                          &session->created, &session->facts);
    session->uploading = false;
}

static void set_aside_run(struct job *job)
{
    struct session *session = session_of_job(job);

    session->result = store_upload_set_aside(&session->upload, session->aside);
    session->uploading = false;
}

static enum flow step_set_aside(struct session *session)
{
    session_set_deadline(session, session->epoch->config->server.idle_timeout, session_abort);
    session_tell_mismatch(session, session->result == 0 ? session->aside : NULL);
    return request_refuse(session, 422, RECEIVE_OTHER_DIGEST);
}

static enum flow step_digested(struct session *session)
{
    if (session->result < 0)
        return receive_fail_file(session, session->result);
    bool holds = !session->promised.known || session_digest_holds(session);
    session->step = holds ? step_committed : step_set_aside;
    return session_wait_job(session, session->worker->server->files, holds ? commit_run : set_aside_run);
}

static enum flow commit(struct session *session)
{
    session->body_ended = true;
    if (session->part)
        return partial_arrived(session);
    session_set_deadline(session, 0, NULL);
    session->step = step_digested;
    if (session->promised.known)
        return session_wait_arrival(session, session->upload.fd, NULL);
    session->result = 0;
    return FLOW_GO;
}

static ssize_t decode(void *argument, char *bytes, size_t length, size_t *used, bool *end)
{
    struct session *session = argument;
    uint64_t limit = session->epoch->config->server.max_upload;
    ssize_t n = http_reader_chunked(session->reader, bytes, length, used, end);

    if (n < 0) {
        session->failure = 400;
        return -EBADMSG;
    }
    session->decoded += (uint64_t)n;
    if (limit == 0 || session->decoded <= limit)
        return n;
    session->failure = 413;
    return -EBADMSG;
}

static enum flow fail_decode(struct session *session)
{
    session->close_after = true;
    return receive_fail(session, session->failure,
                        session->failure == 413 ? "the body is larger than max_upload"
                                                : "the chunked coding is malformed");
}

static enum flow write_piece(struct session *session)
{
    session->step = step_piece;
    session->op.done = session_op_done;
    ring_write(session->worker->ring, &session->op, session->upload.fd, session->in + session->in_start, session->piece,
               session->base + session->stored);
    return session_wait_op(session);
}

static enum flow step_piece(struct session *session)
{
    if (session->result <= 0)
        return receive_fail_file(session, session->result < 0 ? session->result : -EIO);
    size_t written = (size_t)session->result;
    session->stored += written;
    session->piece -= written;
    if (session->piece > 0) {
        memmove(session->in + session->in_start, session->in + session->in_start + written, session->piece);
        return write_piece(session);
    }
    session->in_start += session->taken;
    session->step = step_body;
    return FLOW_GO;
}

/* Body bytes that stand in session->in, read together with the head or up to a record boundary. */
static enum flow take_piece(struct session *session)
{
    const struct http_head *request = session->request;
    size_t have = session->in_end - session->in_start;

    if (request->framing == HTTP_BODY_CHUNKED) {
        ssize_t n = decode(session, session->in + session->in_start, have, &session->taken, &session->body_ended);
        if (n < 0)
            return fail_decode(session);
        session->piece = (size_t)n;
    } else {
        uint64_t left = request->length - session->stored;
        session->piece = session->taken = have < left ? have : (size_t)left;
    }
    if (session->piece > 0)
        return write_piece(session);
    session->in_start += session->taken;
    return FLOW_GO;
}

static enum flow pump_body(struct session *session)
{
    const struct http_head *request = session->request;

    session->pump =
        (struct pump){ .way = PUMP_RECEIVE, .file = session->upload.fd, .offset = session->base + session->stored };
    if (request->framing == HTTP_BODY_LENGTH) {
        session->pump.length = request->length - session->stored;
    } else {
        if (!session->in && !(session->in = malloc(SESSION_IN_SIZE)))
            return receive_fail(session, 503, "no memory");
        session->pump.length = PUMP_TO_END;
        session->pump.filter = decode;
        session->pump.filter_argument = session;
        session->pump.excess = session->in;
        session->pump.excess_capacity = SESSION_IN_SIZE;
    }
    session->step = step_pumped;
    return session_wait_pump(session);
}

static enum flow step_body(struct session *session)
{
    const struct http_head *request = session->request;
    bool chunked = request->framing == HTTP_BODY_CHUNKED;
    uint64_t left = chunked ? UINT64_MAX : request->length - session->stored;

    if (session->body_ended || left == 0)
        return commit(session);
    if (session->in_start < session->in_end)
        return take_piece(session);
    session->in_start = session->in_end = 0;
    if (session_let_go(session) == -EAGAIN) /* a pump only waits for what comes */
        return session_wait_events(session, POLLOUT);
    int rc = channel_switch(session->channel, CHANNEL_RX, left);
    if (rc >= 0)
        return pump_body(session);
    if (rc != -EAGAIN)
        return receive_fail_channel(session, rc);
    ssize_t n = session_read(session);
    if (n == -EAGAIN)
        return session_wait_socket(session);
    if (n <= 0)
        return receive_fail_channel(session, (int)n);
    return FLOW_GO;
}

static enum flow step_pumped(struct session *session)
{
    session->stored += session->pump.moved;
    session->pump.moved = 0; /* it is counted now */
    session->in_start = 0;
    session->in_end = session->pump.excess_length;
    if (session->result == 0)
        return commit(session);
    if (session->failure)
        return fail_decode(session);
    if (session->pump.fault == PUMP_FAULT_FILE)
        return receive_fail_file(session, session->result);
    return receive_fail_channel(session, session->result);
}

static enum flow step_committed(struct session *session)
{
    if (session->result < 0)
        return receive_fail_file(session, session->result);
    return receive_answer(session);
}

enum flow receive_answer(struct session *session)
{
    const struct config_server *limits = &session->epoch->config->server;
    struct http_writer *out = &session->out;
    char etag[STORE_ETAG_SIZE];

    session_set_deadline(session, limits->idle_timeout, session_abort);
    session->status = session->created ? 201 : 204;
    overwrite_named(session);
    request_transferred(session, "in", session->stored);
    session_remember_digests(session);
    if (session_out_begin(session) < 0)
        return FLOW_GONE;
    store_etag(&session->facts, etag);
    http_write_status(out, session->status);
    http_write(out, "ETag: %s\r\n%s%s", etag, session->created ? "Content-Length: 0\r\n" : "",
               session->close_after ? "Connection: close\r\n" : "");
    overwrite_write_name(session, out);
    session_write_digests(session);
    http_write_end(out);
    return session_send(session, session_next);
}
