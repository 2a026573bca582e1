/*
 * What becomes of an upload whose name is taken: what the store allows (`overwrite`), what the client asks for
 * (Sluice-If-Exists), and what it was named in the end.
 */
#include "engine/server/server_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static enum config_overwrite policy_of(const struct session *session)
{
    const char *wish = http_field(session->request, HTTP_IF_EXISTS);
    bool renames = wish && strcmp(wish, HTTP_IF_EXISTS_RENAME) == 0;

    return renames ? CONFIG_OVERWRITE_RENAME : session->service->protocol->store->overwrite;
}

int overwrite_judge(struct session *session, bool present)
{
    switch (policy_of(session)) {
    case CONFIG_OVERWRITE_NO:
        session->kept = present;
        if (present)
            return -EALREADY;
        session->expects = true;
        session->expected[0] = '\0';
        return 0;
    case CONFIG_OVERWRITE_RENAME:
        session->expects = session->expects && session->expected[0]; /* that it is free is no condition any more */
        return 0;
    case CONFIG_OVERWRITE_YES:
        break;
    }
    return 0;
}

bool overwrite_keeps(const struct session *session)
{
    return policy_of(session) == CONFIG_OVERWRITE_NO;
}

unsigned *overwrite_number(struct session *session)
{
    session->number = 0;
    return policy_of(session) == CONFIG_OVERWRITE_RENAME ? &session->number : NULL;
}

void overwrite_named(struct session *session)
{
    size_t length = strlen(session->path);

    if (session->number == 0)
        return;
    char *asked = strdup(session->path);
    snprintf(session->path + length, session->path_room - length, ".%u", session->number);
    event(session->worker->server->log, "T16I", EVENT_T("asked", asked), EVENT_T("path", session->path),
          EVENT_T("peer", session->peer));
    free(asked);
}

void overwrite_write_name(const struct session *session, struct http_writer *out)
{
    char target[2048]; /* longer ones find no room in an answer's head: the client looks for itself */

    if (session->number && http_path_encode(session->path, target, sizeof target) == 0)
        http_write(out, "Location: /%s\r\n", target);
}

void overwrite_write_kept(const struct session *session, unsigned status, struct http_writer *out)
{
    if (status == 409 && session->kept)
        http_write(out, HTTP_IF_EXISTS ": fail\r\n");
}

bool overwrite_asked(const struct session *session)
{
    const struct http_head *request = session->request;

    return request && request->method == HTTP_HEAD && http_field(request, HTTP_IF_EXISTS);
}

void overwrite_write_known(const struct session *session, struct http_writer *out)
{
    if (overwrite_asked(session))
        http_write(out, HTTP_IF_EXISTS ": " HTTP_IF_EXISTS_RENAME "\r\n");
}
