/*
 * Messages: POST MESSAGES_PATH takes one, GET MESSAGES_PATH/ID tells whoever sent it what became of it. They stand in
 * the catalog, and 201 means that it is on disk there.
 */
#include "engine/server/server_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/catalog/inbox.h"

#define NICE 5        /* bytes that move go before what is said about them */
#define FIRST_LINE 80 /* bytes of a message that stand where a file has its name */

#define SENDER_SIZE 512

/*
 * One thread with a connection to the catalog, opened with the first message. Whatever keeps the catalog locked, or its
 * disk busy, holds up messages alone, and not the threads that open and name files.
 */
struct messages {
    struct jobs *thread;
    struct catalog *catalog; /* the thread's */
};

/* One in hand. */
struct message {
    char text[CATALOG_MESSAGE_MAX + 1];
    size_t have;
    const char *given; /* what its sender calls it; NULL: nothing. In the request */
    uint64_t id;
    bool stored_before;
    enum catalog_state state; /* what the one that is asked for has come to */
    char why[CATALOG_WHY_SIZE];
};

static enum flow step_body(struct session *session);
static enum flow step_stored(struct session *session);
static enum flow step_found(struct session *session);

int messages_new(struct messages **made)
{
    struct messages *messages = calloc(1, sizeof *messages);
    int rc = messages ? jobs_new(&messages->thread, 1, "messages", NICE) : -ENOMEM;

    if (rc == 0)
        *made = messages;
    else
        free(messages);
    return rc;
}

void messages_free(struct messages *messages)
{
    if (!messages)
        return;
    jobs_free(messages->thread);
    catalog_close(messages->catalog);
    free(messages);
}

void message_release(struct session *session)
{
    free(session->message);
    session->message = NULL;
}

/* -- on the thread ------------------------------------------------------------------------------------------------- */

/* Of the connection to the catalog, which is kept. */
static bool is_no_fault(int rc)
{
    return rc == -ENOENT || rc == -EBUSY || rc == -ENOSPC || rc == -EEXIST || rc == -EDQUOT;
}

/* What goes wrong with one connection may go right with the next: the file may be another by then. */
static int with_catalog(struct session *session, int (*work)(struct session *session, struct catalog *catalog))
{
    struct server *server = session->worker->server;
    struct messages *messages = server->messages;
    struct message *message = session->message;

    int rc =
        messages->catalog ? 0 : catalog_open(&messages->catalog, server->lasting.catalog, CATALOG_WRITE, message->why);
    if (rc == 0) {
        rc = work(session, messages->catalog);
        if (rc < 0)
            snprintf(message->why, sizeof message->why, "%s", catalog_reason(messages->catalog));
        if (rc < 0 && !is_no_fault(rc)) {
            catalog_close(messages->catalog);
            messages->catalog = NULL;
        }
    } else {
        messages->catalog = NULL;
    }
    return rc;
}

static void first_line(const char *text, char line[FIRST_LINE + 1])
{
    size_t length = strcspn(text, "\r\n");

    if (length > FIRST_LINE)
        length = FIRST_LINE;
    while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
        length--; /* not through a character */
    memcpy(line, text, length);
    line[length] = '\0';
}

/* The same words for the same sender, each time; neither name holds a blank. */
static const char *sender_of(const struct session *session, char sender[SENDER_SIZE])
{
    const char *partner = session_partner(session), *user = session_user(session);

    snprintf(sender, SENDER_SIZE, "%s %s", partner ? partner : "", user ? user : "");
    return sender;
}

static int store(struct session *session, struct catalog *catalog)
{
    const struct channel_facts *facts = channel_facts(session->channel);
    struct message *message = session->message;
    char line[FIRST_LINE + 1];

    first_line(message->text, line);
    struct catalog_record record = {
        .state = CATALOG_DONE,
        .direction = CATALOG_IN,
        .kind = CATALOG_MESSAGE,
        .role = CATALOG_SERVER,
        .remote = line,
        .size = message->have,
        .bytes = message->have,
        .begun = catalog_now(),
        .ended = catalog_now(),
        .status = 201,
        .event = "M01I",
        .message = message->text,
        .message_length = message->have,
        .partner = session_partner(session),
        .user = session_user(session),
        .peer = session->peer,
        .protocol = session->service->protocol->name,
        .version = facts->version,
        .suite = facts->suite,
        .subject = facts->peer_subject,
        .resumed = facts->resumed,
    };
    char sender[SENDER_SIZE];
    int rc = catalog_inbox_add(catalog, &record, sender_of(session, sender), message->given,
                               session->epoch->config->server.max_messages);
    message->id = record.id;
    message->stored_before = rc == 1;
    return rc < 0 ? rc : 0;
}

static void store_run(struct job *job)
{
    struct session *session = session_of_job(job);

    session->result = with_catalog(session, store);
}

static bool same(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

/* Only who sent it may ask: for everybody else there is no such message. */
static int look(void *argument, const struct catalog_record *record)
{
    struct session *session = argument;

    if (record->kind != CATALOG_MESSAGE || record->direction != CATALOG_IN || record->role != CATALOG_SERVER ||
        !same(record->partner, session_partner(session)) || !same(record->user, session_user(session)))
        return -ENOENT;
    session->message->state = record->state;
    return 0;
}

static int find(struct session *session, struct catalog *catalog)
{
    return catalog_show(catalog, session->message->id, look, session);
}

static void find_run(struct job *job)
{
    struct session *session = session_of_job(job);

    session->result = with_catalog(session, find);
}

/* -- taking one ---------------------------------------------------------------------------------------------------- */

static enum flow refuse_more(struct session *session)
{
    event(session->worker->server->log, "M04W", EVENT_T("partner", session_partner(session)),
          EVENT_T("user", session_user(session)), EVENT_N("max_messages", session->epoch->config->server.max_messages),
          EVENT_T("remedy", "acknowledge them (sluice messages --acknowledge ID), remove old ones (sluice history "
                            "--purge TIME), or raise max_messages in [server]"),
          EVENT_T("peer", session->peer));
    return request_refuse(session, 507, "too many messages of yours have not been acknowledged");
}

static enum flow refuse_storing(struct session *session)
{
    event(session->worker->server->log, "M02W", EVENT_T("reason", session->message->why),
          EVENT_T("partner", session_partner(session)), EVENT_T("user", session_user(session)),
          EVENT_T("peer", session->peer));
    return request_refuse(session, session->result == -ENOSPC ? 507 : 503, "the catalog cannot be used now");
}

static enum flow step_stored(struct session *session)
{
    const struct message *message = session->message;
    struct http_writer *out = &session->out;
    char id[CATALOG_ID_SIZE];

    session_set_deadline(session, session->epoch->config->server.idle_timeout, session_abort);
    if (session->result == -EDQUOT)
        return refuse_more(session);
    if (session->result == -EEXIST)
        return request_refuse(session, 422, "another message has that " HTTP_MESSAGE_ID);
    if (session->result < 0)
        return refuse_storing(session);
    catalog_id_print(message->id, id);
    session->status = 201;
    event(session->worker->server->log, message->stored_before ? "M05I" : "M01I", EVENT_T("transfer", id),
          EVENT_T("partner", session_partner(session)), EVENT_T("user", session_user(session)),
          EVENT_N("bytes", message->have), EVENT_T("given", message->given), EVENT_T("peer", session->peer),
          EVENT_T("protocol", session->service->protocol->name));
    if (!message->stored_before)
        after_message(session, id, message->text, message->have);
    if (session_out_begin(session) < 0)
        return FLOW_GONE;
    http_write_status(out, 201);
    http_write(out, "%s: %s\r\nLocation: /%s/%s\r\nContent-Length: 0\r\n%s", HTTP_MESSAGE, id, HTTP_MESSAGES_PATH, id,
               session->close_after ? "Connection: close\r\n" : "");
    http_write_end(out);
    return session_send(session, session_next);
}

static enum flow body_broken(struct session *session)
{
    return session_abort(session);
}

static enum flow step_body(struct session *session)
{
    struct message *message = session->message;
    size_t left = (size_t)session->request->length - message->have;
    size_t ready = session->in_end - session->in_start;

    if (ready > 0 && left > 0) {
        size_t taken = ready < left ? ready : left;
        memcpy(message->text + message->have, session->in + session->in_start, taken);
        message->have += taken;
        session->in_start += taken;
        return FLOW_GO;
    }
    if (left > 0) {
        ssize_t n = session_read(session);
        if (n == -EAGAIN)
            return session_wait_socket(session);
        return n > 0 ? FLOW_GO : body_broken(session);
    }
    session->body_ended = true;
    if (memchr(message->text, '\0', message->have))
        return request_refuse(session, 400, "a message is text: it holds no NUL");
    session_set_deadline(session, 0, NULL);
    session->step = step_stored;
    return session_wait_job(session, session->worker->server->messages->thread, store_run);
}

static enum flow take(struct session *session)
{
    const struct http_head *request = session->request;

    if (request->framing != HTTP_BODY_LENGTH)
        return request_refuse(session, 411, "a message needs a Content-Length");
    if (request->length > CATALOG_MESSAGE_MAX)
        return request_refuse(session, 413, "a message has at most 4096 bytes");
    if (request->length == 0)
        return request_refuse(session, 400, "the message is empty");
    if (http_field(request, "content-encoding"))
        return request_refuse(session, 415, "a message is taken as it is: send it without Content-Encoding");
    session->message->given = http_field(request, HTTP_MESSAGE_ID);
    if (session->message->given && !catalog_given_is_good(session->message->given))
        return request_refuse(session, 400, HTTP_MESSAGE_ID " has 1 to 64 letters, digits, '-', '_' and '.'");
    session_set_deadline(session, session->epoch->config->server.idle_timeout, body_broken);
    return request_continue(session, step_body);
}

/* -- asking after one ---------------------------------------------------------------------------------------------- */

static enum flow step_found(struct session *session)
{
    struct http_writer *out = &session->out;

    session_set_deadline(session, session->epoch->config->server.idle_timeout, session_abort);
    if (session->result == -ENOENT)
        return request_refuse(session, 404, "there is no such message of yours");
    if (session->result < 0)
        return refuse_storing(session);
    const char *state =
        session->message->state == CATALOG_ACKNOWLEDGED ? HTTP_MESSAGE_ACKNOWLEDGED : HTTP_MESSAGE_STORED;
    if (session_out_begin(session) < 0)
        return FLOW_GONE;
    http_write_status(out, 200);
    http_write(out, "%s: %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n%s",
               HTTP_MESSAGE_STATE, state, strlen(state) + 1, session->close_after ? "Connection: close\r\n" : "");
    http_write_end(out);
    if (session->request->method == HTTP_GET)
        http_write(out, "%s\n", state);
    return session_send(session, session_next);
}

static enum flow ask(struct session *session, const char *id)
{
    if (request_has_body(session))
        return request_refuse(session, 400, "this question has no body");
    if (catalog_id_parse(id, &session->message->id) < 0)
        return request_refuse(session, 404, "there is no such message of yours");
    session_set_deadline(session, 0, NULL);
    session->step = step_found;
    return session_wait_job(session, session->worker->server->messages->thread, find_run);
}

/* -- which it is --------------------------------------------------------------------------------------------------- */

bool message_is_meant(const struct http_head *request)
{
    size_t length = strlen(HTTP_MESSAGES_PATH);

    return request->target[0] == '/' && strncmp(request->target + 1, HTTP_MESSAGES_PATH, length) == 0 &&
           strchr("/?", request->target[1 + length]);
}

enum flow message_begin(struct session *session)
{
    const char *rest = session->request->target + 1 + strlen(HTTP_MESSAGES_PATH);
    enum http_method method = session->request->method;

    snprintf(session->path, session->path_room, "%s", HTTP_MESSAGES_PATH);
    if (session->identity.means == GATE_NOTHING)
        return request_forbid(session, GATE_WRITE);
    if (!session->identity.name[0])
        return request_refuse(session, 403, "messages are for users and partners that are known by name");
    if (!session->worker->server->lasting.catalog)
        return request_refuse(session, 404, "no messages are taken here: the server has no catalog");
    session->message = calloc(1, sizeof *session->message);
    if (!session->message)
        return request_refuse(session, 503, "no memory");
    if (method == HTTP_POST && !*rest)
        return take(session);
    if ((method == HTTP_GET || method == HTTP_HEAD) && *rest == '/')
        return ask(session, rest + 1);
    return request_refuse(session, 405, "POST leaves a message, GET asks after one");
}
