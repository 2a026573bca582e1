/* GET and HEAD. */
#include "engine/server/partial.h"
#include "engine/server/server_internal.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

static enum flow step_opened(struct session *session);
static enum flow step_listed(struct session *session);

static void opened_done(struct ring_op *op, int result, unsigned flags);

/* Opening through the ring does not go by session->op's usual end: the descriptor must not be lost when ending. */
enum flow send_begin(struct session *session)
{
    /* RFC 9110, 9.3.1: a body here means nothing, and left unread it would be taken for the next request. */
    if (request_has_body(session))
        return request_refuse(session, 400, "a GET or HEAD has no body");
    session->how = store_read_how();
    session->step = step_opened;
    const char *path = session->path[0] ? session->path : ".";
    int directory = store_directory(session_store(session));
    session->result = ring_open_cached(session->worker->ring, directory, path, &session->how);
    if (session->result != -EAGAIN) {
        session->file = session->result;
        return step_opened(session);
    }
    session->op.done = opened_done;
    ring_open(session->worker->ring, &session->op, directory, path, &session->how);
    return session_wait_op(session);
}

static void opened_done(struct ring_op *op, int result, unsigned flags)
{
    struct session *session = (struct session *)((char *)op - offsetof(struct session, op));

    if (result >= 0)
        session->file = result;
    session_resume(session, result);
    (void)flags;
}

static enum flow refuse_open(struct session *session, int rc)
{
    switch (rc) {
    case -ENOENT:
    case -ENOTDIR:
    case -ENXIO: /* a socket in the tree */
        return request_refuse(session, 404, "no such file");
    case -EACCES:
    case -EPERM:
        return request_refuse(session, 403, "the server may not read this, or it is neither file nor directory");
    case -EXDEV:
    case -ELOOP:
        return request_refuse(session, 403, "the path leads out of the store");
    case -ENAMETOOLONG:
        return request_refuse(session, 414, "the path is too long");
    case -EMFILE:
    case -ENFILE:
    case -ENOMEM:
        return request_refuse(session, 503, "the server has too many files open");
    default:
        return request_refuse(session, 500, strerror(-rc));
    }
}

static enum flow redirect_to_directory(struct session *session)
{
    char target[3 * SESSION_PATH_SIZE];
    struct http_writer *out = &session->out;

    /* Relative links of a listing only work beneath a path that ends in a slash. */
    if (http_path_encode(session->path, target, sizeof target) < 0)
        return request_refuse(session, 414, "the path is too long");
    if (session_out_begin(session) < 0)
        return FLOW_GONE;
    http_write_status(out, 301);
    http_write(out, "Location: /%s/\r\nContent-Length: 0\r\n%s", target,
               session->close_after ? "Connection: close\r\n" : "");
    http_write_end(out);
    if (out->overflow)
        return request_refuse(session, 414, "the path is too long");
    return session_send(session, session_next);
}

static bool wants(const struct http_head *request, const char *type)
{
    char joined[512];
    const char *accept = http_field_joined(request, "accept", joined, sizeof joined);

    return accept && strcasestr(accept, type);
}

/* Of a file: what Last-Modified is too coarse for, and the permissions. */
static void write_metadata(struct http_writer *out, const struct stat *facts)
{
    char modified[HTTP_TIME_SIZE], octal[5] = "";

    http_time(&facts->st_mtim, modified);
    http_write_field(out, HTTP_MODIFIED, modified);
    for (unsigned i = 0, mode = facts->st_mode & 0777; i < 4; i++)
        octal[i] = (char)('0' + (mode >> (9 - 3 * i) & 7));
    http_write_field(out, HTTP_MODE, octal);
}

static enum flow step_sent(struct session *session);

/* The head of an answer with a body of `range.length` bytes; then the body, unless it is a HEAD or there is none. */
static enum flow answer(struct session *session, unsigned status, const char *etag, const char *type)
{
    struct http_writer *out = &session->out;
    char modified[HTTP_DATE_SIZE];

    if (session_out_begin(session) < 0)
        return FLOW_GONE;
    session->status = status;
    http_date(session->facts.st_mtim.tv_sec, modified);
    http_write_status(out, status);
    http_write_field(out, "Last-Modified", modified);
    if (etag) {
        http_write_field(out, "ETag", etag);
        http_write_text(out, "Accept-Ranges: bytes\r\n");
        write_metadata(out, &session->facts);
    }
    if (etag && status != 304)
        session_write_digests(session);
    if (status != 304) {
        http_write_field(out, "Content-Type", type);
        http_write_text(out, "Content-Length: ");
        http_write_number(out, session->range.length);
        http_write_text(out, "\r\n");
    }
    if (status == 206)
        http_write(out, "Content-Range: bytes %llu-%llu/%llu\r\n", (unsigned long long)session->range.first,
                   (unsigned long long)(session->range.first + session->range.length - 1),
                   (unsigned long long)session->facts.st_size);
    sparse_write(session);
    overwrite_write_known(session, out);
    if (rate_announced(session))
        http_write(out, HTTP_LIMIT_RATE ": %llu\r\n", (unsigned long long)rate_announced(session));
    partial_write_have(session, out);
    if (session->close_after)
        http_write(out, "Connection: close\r\n");
    http_write_end(out);
    if (status == 304 || session->request->method == HTTP_HEAD)
        return session_send(session, session_next);
    if (small_body_join(session))
        return session_send(session, small_body_sent);
    return session_send(session, step_sent);
}

static enum flow refuse_range(struct session *session, const char *etag)
{
    struct http_writer *out = &session->out;

    if (session_out_begin(session) < 0)
        return FLOW_GONE;
    http_write_status(out, 416);
    http_write(out, "Content-Range: bytes */%llu\r\nETag: %s\r\nContent-Length: 0\r\n%s",
               (unsigned long long)session->facts.st_size, etag, session->close_after ? "Connection: close\r\n" : "");
    http_write_end(out);
    return session_send(session, session_next);
}

static enum flow step_answer(struct session *session)
{
    char etag[STORE_ETAG_SIZE];

    store_etag(&session->facts, etag);
    return answer(session, session->status, etag, "application/octet-stream");
}

/* With the digest of the whole file, where it is wanted. */
static enum flow step_digest(struct session *session)
{
    return session_seek_digest(session, step_answer);
}

static enum flow answer_whole_or_part(struct session *session, unsigned status)
{
    session->status = status;
    return status == 206 ? sparse_seek(session, step_digest) : step_digest(session);
}

static enum flow answer_file(struct session *session)
{
    const struct http_head *request = session->request;
    uint64_t size = (uint64_t)session->facts.st_size;
    char etag[STORE_ETAG_SIZE];
    bool range_holds = false;

    store_etag(&session->facts, etag);
    session->range = (struct http_range){ .length = size };
    unsigned status = http_preconditions(request, etag, session->facts.st_mtim.tv_sec, &range_holds);
    if (status == 412)
        return request_refuse(session, 412, "the file is not the one that was asked for");
    if (status == 304)
        return answer(session, 304, etag, "application/octet-stream");
    const char *range = http_field(request, "range");
    /* RFC 9110, 14.2: an empty file has no part; whoever asks for its first bytes, size unknown, is best served so. */
    if (range && range_holds && request->method == HTTP_GET && size > 0) {
        switch (http_range(range, size, &session->range)) {
        case HTTP_RANGE_ONE:
            return answer_whole_or_part(session, 206);
        case HTTP_RANGE_UNSATISFIABLE:
            return refuse_range(session, etag);
        case HTTP_RANGE_IGNORED:
            session->range = (struct http_range){ .length = size };
        }
    }
    return answer_whole_or_part(session, 200);
}

static enum flow step_opened(struct session *session)
{
    if (session->result < 0)
        return refuse_open(session, session->result);
    int rc = store_look_at(session->file, &session->facts);
    if (rc < 0)
        return refuse_open(session, rc);
    unsigned needed = S_ISREG(session->facts.st_mode) ? GATE_READ : GATE_LIST;
    if (!(session->rights & needed))
        return request_forbid(session, needed);
    if (S_ISREG(session->facts.st_mode)) {
        size_t length = strlen(session->path);
        if (length > 0 && session->path[length - 1] == '/')
            return request_refuse(session, 404, "no such directory");
        return answer_file(session);
    }
    if (session->path[0] && session->path[strlen(session->path) - 1] != '/')
        return redirect_to_directory(session);
    if (wants(session->request, HTTP_MANIFEST) && session->request->minor > 0)
        return manifest_begin(session);
    session->json = wants(session->request, "application/json");
    session->step = step_listed;
    return session_wait_job(session, session->worker->server->files, listing_make);
}

static enum flow step_listed(struct session *session)
{
    if (session->result == -E2BIG)
        return request_refuse(session, 507, "the directory has too many entries to list");
    if (session->result < 0)
        return refuse_open(session, session->result);
    session->range = (struct http_range){ .length = (uint64_t)session->result };
    return answer(session, 200, NULL, session->json ? "application/json" : "text/html; charset=utf-8");
}

/* -- the body ------------------------------------------------------------------------------------------------------ */

static const char *pump_words(const struct session *session, int rc)
{
    switch (session->pump.fault) {
    case PUMP_FAULT_SHRUNK:
        return "the file became shorter while it was sent";
    case PUMP_FAULT_FILE:
        return strerror(-rc);
    default:
        return channel_reason(session->channel)[0] ? channel_reason(session->channel) : strerror(-rc);
    }
}

static enum flow body_overdue(struct session *session)
{
    request_failed(session, "out", session->pump.moved, "no progress for longer than idle_timeout");
    return FLOW_GONE;
}

static enum flow step_pumped(struct session *session)
{
    if (session->result < 0) {
        if (session->result == -EKEYEXPIRED)
            session_tell_failure(session, session->result);
        request_failed(session, "out", session->pump.moved, pump_words(session, session->result));
        return session_abort(session);
    }
    request_transferred(session, "out", session->pump.moved);
    return session_next(session);
}

static enum flow step_sent(struct session *session)
{
    const struct config_server *limits = &session->epoch->config->server;

    if (session->range.length == 0) {
        request_transferred(session, "out", 0);
        return session_next(session);
    }
    int rc = store_wait_for_disk(session->file);
    if (rc < 0) {
        request_failed(session, "out", 0, strerror(-rc));
        return session_abort(session);
    }
    rc = channel_switch(session->channel, CHANNEL_TX, session->range.length);
    if (rc == -EAGAIN) {
        session->step = step_sent;
        return session_wait_socket(session);
    }
    if (rc < 0) {
        request_failed(session, "out", 0, channel_reason(session->channel));
        return session_abort(session);
    }
    /* Only a promise: a kernel that does not take it sends as it always does. */
    if (rc == 0)
        (void)channel_immutable(session->channel, session->service->protocol->store->immutable);
    session->pump = (struct pump){
        .way = PUMP_SEND, .file = session->file, .offset = session->range.first, .length = session->range.length
    };
    session_set_deadline(session, limits->idle_timeout, body_overdue);
    session->step = step_pumped;
    return session_wait_pump(session);
}
