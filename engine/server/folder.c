/* What is put and is no file: directories and symbolic links (HTTP_TYPE). */
#include "engine/store/folder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/server/server_internal.h"

/* One in hand. */
struct folder {
    bool is_link;
    bool dated, moded;
    struct timespec modified;
    unsigned mode;
    bool must_be_new; /* If-None-Match: * */
    bool created;
    size_t have;
    char target[HTTP_LINK_MAX + 1];
};

static enum flow step_body(struct session *session);
static enum flow step_made(struct session *session);

void folder_release(struct session *session)
{
    free(session->folder);
    session->folder = NULL;
}

/* -- on a thread --------------------------------------------------------------------------------------------------- */

/* What the store says of names that are taken holds for a link, which takes the place of one. */
static int make_link(struct session *session)
{
    struct folder *folder = session->folder;
    struct store_link link = { .target = folder->target };

    bool kept = overwrite_judge(session, true) < 0;
    link.keeps = kept || folder->must_be_new;
    if (!folder->must_be_new)
        link.numbered = overwrite_number(session);
    int rc = store_put_link(session_store(session), session->path, &link);
    session->kept = rc == -EEXIST && kept;
    folder->created = link.created;
    if (rc == 0 && folder->must_be_new && !link.created)
        return -EEXIST;
    return session->kept ? -EALREADY : rc;
}

static void make_run(struct job *job)
{
    struct session *session = session_of_job(job);
    struct folder *folder = session->folder;

    session->result =
        folder->is_link ? make_link(session)
                        : store_put_folder(session_store(session), session->path, folder->moded ? &folder->mode : NULL,
                                           folder->dated ? &folder->modified : NULL, &folder->created);
}

/* -- the answer ---------------------------------------------------------------------------------------------------- */

static enum flow refuse(struct session *session)
{
    const char *why;
    unsigned status = receive_status(session->result, &why);

    if (session->result == -ELOOP)
        why = session->folder->is_link ? "a symbolic link stands in the path, behind which no other is made"
                                       : "a symbolic link stands there or in the path";
    if (session->result == -ENOTDIR && !session->folder->is_link)
        why = "something that is no directory stands there or in the path";
    return request_refuse(session, status, why);
}

static enum flow step_made(struct session *session)
{
    struct folder *folder = session->folder;
    struct http_writer *out = &session->out;

    session_set_deadline(session, session->epoch->config->server.idle_timeout, session_abort);
    if (session->result < 0)
        return refuse(session);
    session->status = folder->created ? 201 : 204;
    overwrite_named(session);
    event(session->worker->server->log, "T25I", EVENT_T("type", folder->is_link ? HTTP_TYPE_LINK : HTTP_TYPE_DIRECTORY),
          EVENT_T("path", session->path), EVENT_T("target", folder->is_link ? folder->target : NULL),
          EVENT_N("status", session->status), EVENT_T("peer", session->peer),
          EVENT_T("subject", channel_facts(session->channel)->peer_subject));
    if (session_out_begin(session) < 0)
        return FLOW_GONE;
    http_write_status(out, session->status);
    http_write(out, "%s%s", folder->created ? "Content-Length: 0\r\n" : "",
               session->close_after ? "Connection: close\r\n" : "");
    overwrite_write_name(session, out);
    http_write_end(out);
    return session_send(session, session_next);
}

/* -- the request --------------------------------------------------------------------------------------------------- */

static enum flow make(struct session *session)
{
    struct folder *folder = session->folder;

    session->body_ended = true;
    if (memchr(folder->target, '\0', folder->have))
        return request_refuse(session, 400, "the target of a link holds no NUL");
    if (folder->is_link && !store_link_stays(session->path, folder->target))
        return request_refuse(session, 403,
                              "a link is taken only if it stays in the store: relative, with \"..\" only at its "
                              "beginning, and no higher than the store's root");
    session_set_deadline(session, 0, NULL);
    session->step = step_made;
    return session_wait_job(session, session->worker->server->files, make_run);
}

static enum flow step_body(struct session *session)
{
    struct folder *folder = session->folder;
    size_t left = (size_t)session->request->length - folder->have;
    size_t ready = session->in_end - session->in_start;

    if (left == 0)
        return make(session);
    if (ready > 0) {
        size_t taken = ready < left ? ready : left;
        memcpy(folder->target + folder->have, session->in + session->in_start, taken);
        folder->have += taken;
        session->in_start += taken;
        return FLOW_GO;
    }
    ssize_t n = session_read(session);
    if (n == -EAGAIN)
        return session_wait_socket(session);
    return n > 0 ? FLOW_GO : session_abort(session);
}

/* 0, or a status to refuse with. */
static unsigned check(const struct session *session, const char **why)
{
    const struct folder *folder = session->folder;
    const struct http_head *request = session->request;
    const char *none = http_field(request, "if-none-match");

    *why = "a directory or a link needs a Content-Length";
    if (request->framing != HTTP_BODY_LENGTH)
        return 411;
    *why = folder->is_link ? "the target of a link has 1 to 4095 bytes" : "a directory has no body";
    if (folder->is_link ? request->length == 0 || request->length > HTTP_LINK_MAX : request->length > 0)
        return 400;
    *why = "of conditions, only If-None-Match: * is held against a link, and none against a directory";
    if (http_field(request, "if-match") || http_field(request, "if-unmodified-since") ||
        (none && (!folder->is_link || strcmp(none, "*") != 0)))
        return 400;
    *why = "neither a directory nor a link has a digest or comes in parts";
    if (http_field(request, "repr-digest") || http_field(request, "content-digest") ||
        http_field(request, "content-range") || http_field(request, "sluice-upload"))
        return 400;
    return 0;
}

/* Whoever owns a directory can always read it and write to it: else the server could neither serve nor fill it. */
static void read_facts(struct session *session)
{
    struct folder *folder = session->folder;
    const char *modified = http_field(session->request, HTTP_MODIFIED), *mode = http_field(session->request, HTTP_MODE);

    folder->dated = modified && http_time_parse(modified, &folder->modified) == 0;
    folder->moded = mode && http_mode_parse(mode, &folder->mode) == 0;
    folder->mode = (folder->mode & ~session->worker->server->umask) | 0700;
}

enum flow folder_receive(struct session *session)
{
    const struct http_head *request = session->request;
    const char *type = http_field(request, HTTP_TYPE), *why;
    size_t length = strlen(session->path);

    if (strcmp(type, HTTP_TYPE_DIRECTORY) != 0 && strcmp(type, HTTP_TYPE_LINK) != 0)
        return request_refuse(session, 400, HTTP_TYPE " is \"directory\" or \"link\"");
    session->folder = calloc(1, sizeof *session->folder);
    if (!session->folder)
        return request_refuse(session, 503, "no memory");
    session->folder->is_link = strcmp(type, HTTP_TYPE_LINK) == 0;
    session->folder->must_be_new = http_field(request, "if-none-match");
    unsigned status = check(session, &why);
    if (status)
        return request_refuse(session, status, why);
    if (!session->folder->is_link && length > 0 && session->path[length - 1] == '/')
        session->path[--length] = '\0';
    if (length == 0 || session->path[length - 1] == '/')
        return request_refuse(session, 409, length ? "this is the name of a directory" : "this is the store itself");
    read_facts(session);
    session_set_deadline(session, session->epoch->config->server.idle_timeout, session_abort);
    return request_continue(session, step_body);
}

/* -- whether it may be sent ---------------------------------------------------------------------------------------- */

bool folder_is_asked_for(const struct http_head *request)
{
    return strcmp(request->method_name, "OPTIONS") == 0 && http_field(request, HTTP_TYPE);
}

enum flow folder_tell(struct session *session)
{
    struct http_writer *out = &session->out;

    if (request_has_body(session))
        return request_refuse(session, 400, "this question has no body");
    if (!(session->rights & GATE_WRITE))
        return request_forbid(session, GATE_WRITE);
    session->status = 204;
    if (session_out_begin(session) < 0)
        return FLOW_GONE;
    http_write_status(out, 204);
    http_write(out, "Allow: GET, HEAD, PUT, DELETE\r\n" HTTP_TYPE ": " HTTP_TYPE_DIRECTORY ", " HTTP_TYPE_LINK "\r\n%s",
               session->close_after ? "Connection: close\r\n" : "");
    http_write_end(out);
    return session_send(session, session_next);
}
