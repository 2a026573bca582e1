/* DELETE. */
#include "engine/server/server_internal.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* 0, 412, or -errno. */
static int delete_file(struct session *session)
{
    const struct http_head *request = session->request;
    struct stat facts = { 0 };
    char etag[STORE_ETAG_SIZE] = "";
    bool range_holds;
    int present = store_open_read(session_store(session), session->path, &facts);

    if (present >= 0) {
        close(present);
        store_etag(&facts, etag);
    }
    unsigned status =
        http_preconditions(request, etag[0] ? etag : NULL, etag[0] ? facts.st_mtim.tv_sec : 0, &range_holds);
    if (status)
        return (int)status;
    bool conditional = http_field(request, "if-match") || http_field(request, "if-unmodified-since");
    /* What cannot be read may still go, such as a link that leads nowhere. */
    return store_delete(session_store(session), session->path, conditional && etag[0] ? etag : NULL);
}

static void delete_run(struct job *job)
{
    struct session *session = session_of_job(job);

    session->result = delete_file(session);
}

static enum flow step_deleted(struct session *session)
{
    const char *why;

    session_set_deadline(session, session->epoch->config->server.idle_timeout, session_abort);
    if (session->result == -ENOENT || session->result == -ENOTDIR)
        return request_refuse(session, 404, "no such file");
    if (session->result == -EISDIR)
        return request_refuse(session, 409, "this is a directory: only files can be deleted");
    if (session->result != 0) {
        unsigned status = receive_status(session->result, &why);
        return request_refuse(session, status, why);
    }
    session->status = 204;
    request_transferred(session, "delete", 0);
    return request_done(session);
}

enum flow delete_begin(struct session *session)
{
    size_t length = strlen(session->path);

    /* RFC 9110, 9.3.5: a body here means nothing. */
    if (request_has_body(session))
        return request_refuse(session, 400, "a DELETE has no body");
    if (length == 0 || session->path[length - 1] == '/')
        return request_refuse(session, 409, "this is a directory: only files can be deleted");
    session_set_deadline(session, 0, NULL);
    session->step = step_deleted;
    return session_wait_job(session, session->worker->server->files, delete_run);
}
