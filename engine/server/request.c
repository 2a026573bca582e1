#include "config/rate.h"
#include "engine/server/partial.h"
#include "engine/server/server_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PATH_MORE 16 /* for what an upload's name may get behind it: ".4294967295" */

uint64_t request_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void request_release(struct session *session)
{
    record_release(session);
    if (session->file >= 0)
        close(session->file);
    session->file = -1;
    partial_release(session);
    message_release(session);
    folder_release(session);
    if (session->uploading)
        store_upload_abandon(&session->upload);
    session->uploading = false;
    whole_release(session);
    manifest_free(session->manifest);
    session->manifest = NULL;
    rate_end(session);
    identify_release(session);
    free(session->data);
    session->data = NULL;
    free(session->path);
    session->path = NULL;
    session->request = NULL;
}

bool request_has_body(const struct session *session)
{
    const struct http_head *request = session->request;

    return request->framing == HTTP_BODY_CHUNKED || (request->framing == HTTP_BODY_LENGTH && request->length > 0);
}

/* A body that the client may be sending and nobody will read makes this the last request of the connection. */
static bool body_is_unread(const struct session *session)
{
    return session->request && !session->body_ended && request_has_body(session);
}

/* RFC 9110, 5.6.4: what a protocol is called may hold a quote. */
static void write_quoted(struct http_writer *out, const char *text)
{
    http_write(out, "\"");
    for (; *text; text++)
        http_write(out, "%s%c", *text == '"' || *text == '\\' ? "\\" : "", *text);
    http_write(out, "\"");
}

/* What a status must be accompanied by (RFC 9110, 15.5; RFC 6585, 4). */
static void write_fields_of(struct session *session, unsigned status)
{
    struct http_writer *out = &session->out;

    if (status == 401) {
        http_write(out, "WWW-Authenticate: Basic realm=");
        write_quoted(out, session->service->protocol->name);
        http_write(out, ", charset=\"UTF-8\"\r\n");
    } else if (status == 405) {
        http_write(out, "Allow: %s\r\n",
                   session->request && message_is_meant(session->request) ? "GET, HEAD, POST"
                                                                          : "GET, HEAD, PUT, DELETE");
    } else if (status == 429) {
        http_write(out, "Retry-After: %d\r\n", GUESSES_WINDOW_MS / 1000);
    }
}

static const char *name_of(const struct session *session)
{
    return session->identified && session->identity.name[0] ? session->identity.name : NULL;
}

static void tell_refusal(struct session *session, unsigned status, const char *why)
{
    event(session->worker->server->log, "T02W", EVENT_N("status", status), EVENT_T("reason", why),
          EVENT_T("method", session->request ? session->request->method_name : NULL), EVENT_T("path", session->path),
          EVENT_T("peer", session->peer), EVENT_T("name", name_of(session)),
          EVENT_T("subject", channel_facts(session->channel)->peer_subject));
}

/* That there is no such file yet is what who begins an upload wants to hear. Whoever may not is trying names. */
static bool is_good_news(const struct session *session, unsigned status)
{
    return status == 404 && session->rights & GATE_WRITE && (partial_told(session) || overwrite_asked(session));
}

enum flow request_refuse_because(struct session *session, unsigned status, const char *say, const char *why)
{
    char text[512];
    struct http_writer body = { .bytes = text, .capacity = sizeof text };
    struct http_writer *out = &session->out;

    if (session_out_begin(session) < 0)
        return FLOW_GONE;
    if (body_is_unread(session) || status >= 500 || !session->request)
        session->close_after = true;
    http_write(&body, "%u %s: %s\n", status, http_reason(status), say);
    http_write_status(out, status);
    write_fields_of(session, status);
    overwrite_write_kept(session, status, out);
    http_write(out, "Content-Type: text/plain; charset=utf-8\r\nContent-Length: %zu\r\n", body.length);
    if (session->close_after)
        http_write(out, "Connection: close\r\n");
    partial_write_have(session, out);
    http_write_end(out);
    if (!session->request || session->request->method != HTTP_HEAD)
        http_write(out, "%.*s", (int)body.length, text);
    if (session->opened && !is_good_news(session, status)) {
        tell_refusal(session, status, why);
        record_refused(session, status, why);
    }
    return session_send(session, session_next);
}

enum flow request_refuse(struct session *session, unsigned status, const char *why)
{
    return request_refuse_because(session, status, why, why);
}

enum flow request_done(struct session *session)
{
    struct http_writer *out = &session->out;

    if (session_out_begin(session) < 0)
        return FLOW_GONE;
    session->status = 204;
    http_write_status(out, 204);
    partial_write_have(session, out);
    http_write(out, "%s", session->close_after ? "Connection: close\r\n" : "");
    http_write_end(out);
    return session_send(session, session_next);
}

enum flow request_continue(struct session *session, enum flow (*then)(struct session *session))
{
    const struct http_head *request = session->request;

    session->step = then;
    if (!request->expect_continue || request->minor == 0 || session->in_start < session->in_end)
        return FLOW_GO;
    if (session_out_begin(session) < 0)
        return FLOW_GONE;
    http_write(&session->out, "HTTP/1.1 100 Continue\r\n\r\n");
    return session_send(session, then);
}

/* Who asked not to hear of each transfer that went well. */
static bool is_untold(const struct session *session, const char *direction, const char *reason)
{
    return !reason && session->epoch->config->server.transfer_events == CONFIG_TRANSFER_EVENTS_FAILED &&
           strcmp(direction, "delete") != 0;
}

static void report(struct session *session, const char *id, const char *direction, uint64_t bytes, const char *reason)
{
    const struct channel_facts *facts = channel_facts(session->channel);
    char limit[CONFIG_RATE_SIZE], transfer[CATALOG_ID_SIZE], told[PUMP_TOLD_SIZE];

    if (is_untold(session, direction, reason))
        return;
    catalog_id_print(session->transfer, transfer);
    event(session->worker->server->log, id, EVENT_T("direction", direction), EVENT_T("path", session->path),
          EVENT_T("reason", reason), EVENT_N("status", session->status), EVENT_N("bytes", bytes),
          EVENT_N("us", request_clock() - session->began), EVENT_T("pump", pump_told(&session->pump.choice, told)),
          EVENT_N("worker", session->worker->number), EVENT_T("transfer", session->transfer ? transfer : NULL),
          EVENT_T("limit", session->rate ? config_rate_text(session->rate, limit) : NULL),
          EVENT_T("tx", channel_why(session->channel, CHANNEL_TX)),
          EVENT_T("rx", channel_why(session->channel, CHANNEL_RX)), EVENT_T("version", facts->version),
          EVENT_T("suite", facts->suite), EVENT_T("resumed", facts->resumed ? "yes" : "no"),
          EVENT_T("protocol", session->service->protocol->name), EVENT_T("peer", session->peer),
          EVENT_T("name", name_of(session)), EVENT_T("subject", facts->peer_subject),
          EVENT_T("note", facts->version[0] ? session->service->protocol->server_profile->note : NULL));
}

void request_transferred(struct session *session, const char *direction, uint64_t bytes)
{
    record_ended(session, direction, bytes, "T01I", NULL);
    report(session, "T01I", direction, bytes, NULL);
    after_transfer(session, direction, bytes, NULL);
}

void request_failed(struct session *session, const char *direction, uint64_t bytes, const char *why)
{
    record_ended(session, direction, bytes, "T01E", why);
    report(session, "T01E", direction, bytes, why);
    after_transfer(session, direction, bytes, why);
}

void request_part_came(struct session *session, uint64_t bytes)
{
    report(session, "T14I", "in", bytes, NULL);
}

void request_part_ended(struct session *session, uint64_t bytes, const char *why)
{
    report(session, "T14W", "in", bytes, why);
}

static enum flow refuse_path(struct session *session, int rc)
{
    switch (rc) {
    case -ENOENT:
        return request_refuse(session, 404, "no such file");
    case -ENAMETOOLONG:
        return request_refuse(session, 414, "the path is too long");
    default:
        return request_refuse(session, 400, "the path is malformed");
    }
}

static enum flow refuse_head(struct session *session)
{
    const char *why = "";
    unsigned status = http_reader_refusal(session->reader, &why);

    session->close_after = true; /* where the next request begins is not known */
    return request_refuse(session, status, why);
}

/* As much as the target needs: what is large takes the heap ten times as long. */
static int make_path(struct session *session)
{
    size_t room = strlen(session->request->target) + PATH_MORE;

    session->path_room = room < SESSION_PATH_SIZE ? room : SESSION_PATH_SIZE;
    session->path = malloc(session->path_room);
    return session->path ? 0 : -ENOMEM;
}

enum flow request_begin(struct session *session)
{
    const struct config_server *limits = &session->epoch->config->server;
    const char *why;

    session->began = request_clock();
    session->status = 0;
    session->stored = session->decoded = session->base = 0;
    record_begin(session);
    session->body_ended = false;
    session->expects = false;
    session->number = 0;
    session->kept = false;
    session->failure = 0;
    session->promised.known = session->digests.known = session->digest_wanted = 0;
    session->range = (struct http_range){ 0 };
    session->joined = false;
    session->pump = (struct pump){ .file = -1 };
    if (http_reader_refusal(session->reader, &why) != 0)
        return refuse_head(session);
    session->request = http_reader_result(session->reader);
    if (!session->request->keep_alive || session->requests >= limits->max_requests)
        session->close_after = true;
    /* Answered under the model it began with; but that model shall not live for ever. */
    if (session->epoch != session->worker->epoch)
        session->close_after = true;
    if (make_path(session) < 0)
        return FLOW_GONE;
    session->path[0] = '\0';
    return identify_begin(session);
}

static const struct handler {
    enum http_method method;
    unsigned rights; /* any of these; a handler that then finds that it takes another asks again */
    enum flow (*begin)(struct session *session);
} handlers[] = {
    { HTTP_GET, GATE_READ | GATE_LIST, send_begin },
    { HTTP_HEAD, GATE_READ | GATE_LIST, send_begin },
    { HTTP_PUT, GATE_WRITE, receive_begin },
    { HTTP_DELETE, GATE_DELETE, delete_begin },
};

static const struct {
    unsigned right;
    const char *anonymous, *known;
} forbidden[] = {
    { GATE_READ, "reading here takes a verified client certificate or a login", "you may not read here" },
    { GATE_LIST, "listing here takes a verified client certificate or a login", "you may not list here" },
    { GATE_WRITE, "writing here takes a verified client certificate or a login", "you may not write here" },
    { GATE_DELETE, "deleting here takes a verified client certificate or a login", "you may not delete here" },
};

enum flow request_forbid(struct session *session, unsigned rights)
{
    const struct gate_identity *identity = &session->identity;
    struct gate_visit visit;
    size_t i = 0;

    while (!(forbidden[i].right & rights))
        i++;
    identify_visit(session, &visit);
    bool anonymous = identity->means == GATE_NOTHING;
    bool ask = anonymous && gate_may_ask(session->epoch->gate, &visit, identity);
    return request_refuse(session, ask ? 401 : 403, anonymous ? forbidden[i].anonymous : forbidden[i].known);
}

enum flow request_admitted(struct session *session)
{
    const struct handler *handler = NULL;
    enum flow flow;

    for (size_t i = 0; i < sizeof handlers / sizeof *handlers; i++) {
        if (handlers[i].method == session->request->method)
            handler = &handlers[i];
    }
    if (message_is_meant(session->request))
        return message_begin(session);
    bool asked = folder_is_asked_for(session->request);
    if (!handler && !asked)
        return request_refuse(session, 405, "only GET, HEAD, PUT and DELETE are served here");
    int rc = http_target_path(session->request->target, session->path, session->path_room);
    if (rc == 0)
        rc = store_path_check(session->path);
    if (rc < 0)
        return refuse_path(session, rc);
    if (partial_admitted(session, &flow))
        return flow;
    if (asked)
        return folder_tell(session);
    if (!(session->rights & handler->rights))
        return request_forbid(session, handler->rights);
    return handler->begin(session);
}
