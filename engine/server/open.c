/* From accept to the first request: plain or TLS, the handshake, and what is told of the session that came of it. */
#include "engine/server/server_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TLS_HANDSHAKE_RECORD 22 /* RFC 8446, 5.1: the first byte of a ClientHello's record */

static enum flow step_handshake(struct session *session);

/* -- open ---------------------------------------------------------------------------------------------------------- */

static const char *authentication_of(const struct session *session)
{
    if (channel_mode(session->channel, CHANNEL_TX) == CHANNEL_PLAIN)
        return "none";
    return channel_facts(session->channel)->peer_verified ? "both" : "server";
}

static enum flow session_opened(struct session *session)
{
    const struct channel_facts *facts = channel_facts(session->channel);
    bool tls = facts->version[0];

    event(session->worker->server->log, "Y14I", EVENT_T("protocol", session->service->protocol->name),
          EVENT_T("profile", tls ? tls_context_name(session->service->context) : NULL), EVENT_T("peer", session->peer),
          EVENT_T("version", tls ? facts->version : "none"), EVENT_T("suite", facts->suite),
          EVENT_T("group", facts->group), EVENT_T("authentication", authentication_of(session)),
          EVENT_T("resumed", facts->resumed ? "yes" : "no"), EVENT_T("subject", facts->peer_subject),
          EVENT_T("not_verified", facts->peer_error[0] ? facts->peer_error : NULL),
          EVENT_N("worker", session->worker->number), EVENT_T("tx", channel_why(session->channel, CHANNEL_TX)),
          EVENT_T("rx", channel_why(session->channel, CHANNEL_RX)),
          EVENT_T("note", tls ? session->service->protocol->server_profile->note : NULL));
    session->opened = true;
    return session_next(session);
}

static void tell_certificate(struct session *session, const char *id, const struct tls_peer *certificate)
{
    char days[16];

    if (!certificate)
        return;
    snprintf(days, sizeof days, "%d", tls_peer_days(certificate));
    event(session->worker->server->log, id, EVENT_T("protocol", session->service->protocol->name),
          EVENT_T("peer", session->peer), EVENT_T("subject", certificate->subject),
          EVENT_T("issuer", certificate->issuer), EVENT_T("serial", certificate->serial), EVENT_T("days", days));
}

static void keep_chain_run(struct job *job)
{
    struct session *session = session_of_job(job);
    const struct tls_peer *peer = channel_peer(session->channel);
    char *chain = channel_peer_chain(session->channel);
    char name[80];

    session->result = 0;
    if (chain) {
        snprintf(name, sizeof name, "%s.pem", peer->fingerprint);
        session->result = store_keep(session->service->protocol->server_profile->save_chain, name, chain);
    }
    free(chain);
}

static enum flow step_chain_kept(struct session *session)
{
    if (session->result < 0)
        event(session->worker->server->log, "Y24W", EVENT_T("protocol", session->service->protocol->name),
              EVENT_T("peer", session->peer),
              EVENT_T("directory", session->service->protocol->server_profile->save_chain),
              EVENT_T("reason", strerror(-session->result)));
    return session_opened(session);
}

/* Of a peer that was verified: nobody else is to fill the disk. */
static enum flow keep_chain(struct session *session)
{
    if (!session->service->protocol->server_profile->save_chain || !channel_peer(session->channel) ||
        !channel_facts(session->channel)->peer_verified)
        return session_opened(session);
    session_set_deadline(session, 0, NULL);
    session->step = step_chain_kept;
    return session_wait_job(session, session->worker->server->files, keep_chain_run);
}

/* -- plain connections --------------------------------------------------------------------------------------------- */

static enum flow refuse_plain(struct session *session, const char *why)
{
    bool classes = session->epoch->config->class_count > 0;

    event(session->worker->server->log, classes ? "G07W" : "Y32W",
          EVENT_T("protocol", session->service->protocol->name), EVENT_T("peer", session->peer),
          EVENT_T("reason", classes ? why : "this protocol takes TLS only"));
    session->close_after = true;
    return request_refuse(session, 403, "this port takes TLS only: use https");
}

/* Not a byte of the request was read so far, and none is where TLS is required. */
static enum flow open_plain(struct session *session)
{
    struct gate_visit visit;
    const char *why = "";

    session->channel = channel_plain(session->fd, session->worker->server->sys);
    if (!session->channel) {
        session->fd = -1; /* closed with it */
        return FLOW_GONE;
    }
    identify_visit(session, &visit);
    if (!gate_admits_plain(session->epoch->gate, &visit, &why))
        return refuse_plain(session, why);
    return session_opened(session);
}

/* -- TLS ----------------------------------------------------------------------------------------------------------- */

static enum flow step_peek(struct session *session)
{
    unsigned char first;
    ssize_t n = recv(session->fd, &first, 1, MSG_PEEK | MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return session_wait_events(session, POLLIN);
    if (n <= 0)
        return FLOW_GONE;
    if (first != TLS_HANDSHAKE_RECORD)
        return open_plain(session);
    session->channel = channel_accept(session->service->context, session->fd, session->worker->server->sys);
    if (!session->channel) {
        session->fd = -1; /* the channel has closed it */
        return FLOW_GONE;
    }
    session->step = step_handshake;
    return FLOW_GO;
}

static void handshake_run(struct job *job)
{
    struct session *session = session_of_job(job);

    session->result = channel_handshake(session->channel);
}

static enum flow handshake_failed(struct session *session)
{
    bool at_peer = channel_failed_at_peer(session->channel);

    event(session->worker->server->log, at_peer ? "Y30E" : "Y13E",
          EVENT_T("protocol", session->service->protocol->name), EVENT_T("peer", session->peer),
          EVENT_T("reason", channel_reason(session->channel)));
    return session_linger(session); /* what the peer has sent meanwhile must not cost it our alert */
}

static enum flow handshake_overdue(struct session *session)
{
    event(session->worker->server->log, "Y13E", EVENT_T("protocol", session->service->protocol->name),
          EVENT_T("peer", session->peer), EVENT_T("reason", "the handshake took longer than handshake_timeout"));
    return FLOW_GONE;
}

static enum flow handshake_answer(struct session *session)
{
    int rc = session->result;

    session->step = step_handshake;
    if (rc == -EAGAIN) {
        session_set_deadline(session, session->handshake_left, handshake_overdue);
        return session_wait_socket(session);
    }
    if (rc < 0)
        return handshake_failed(session);
    tell_certificate(session, "Y23I", channel_own(session->channel));
    if (channel_facts(session->channel)->peer_verified)
        tell_certificate(session, "Y21I", channel_peer(session->channel));
    return keep_chain(session);
}

static enum flow step_handshake(struct session *session)
{
    /* handshake_timeout is the peer's time: what we need ourselves, behind other handshakes, is not taken from it. */
    uint64_t now = session_clock();
    session->handshake_left = session->deadline > now ? (unsigned)(session->deadline - now) : 1;
    session_set_deadline(session, 0, NULL);
    session->step = handshake_answer;
    if (channel_handshake_is_light(session->channel)) {
        session->result = channel_handshake(session->channel);
        return FLOW_GO;
    }
    return session_wait_job(session, session->worker->server->handshakes, handshake_run);
}

/* -- accept -------------------------------------------------------------------------------------------------------- */

static void say_limit(struct server *server, const char *peer, const char *limit)
{
    long now = (long)time(NULL), said = atomic_load(&server->limit_said);

    /* One line a second: whoever opens connections must not be able to fill the log. */
    if (now == said || !atomic_compare_exchange_strong(&server->limit_said, &said, now))
        return;
    event(server->log, "S04W", EVENT_T("peer", peer), EVENT_T("limit", limit));
}

static void name_peer(int fd, struct in6_addr *address, char *text, size_t size)
{
    struct sockaddr_storage from = { 0 };
    socklen_t length = sizeof from;
    char host[INET6_ADDRSTRLEN] = "?";

    memset(address, 0, sizeof *address);
    if (getpeername(fd, (struct sockaddr *)&from, &length) == 0 && from.ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)&from;
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
        address->s6_addr[10] = address->s6_addr[11] = 0xff;
        memcpy(&address->s6_addr[12], &v4->sin_addr, 4);
        snprintf(text, size, "%s:%u", host, ntohs(v4->sin_port));
        return;
    }
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&from;
    if (from.ss_family == AF_INET6) {
        inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
        *address = v6->sin6_addr;
    }
    snprintf(text, size, "[%s]:%u", host, ntohs(v6->sin6_port));
}

void session_begin(struct worker *worker, const struct service *service, int fd)
{
    struct server *server = worker->server;
    const struct config_server *limits = &service->epoch->config->server;
    struct session *session = calloc(1, sizeof *session);

    if (!session) {
        close(fd);
        return;
    }
    session->worker = worker;
    session->epoch = epoch_hold(service->epoch);
    session->service = service;
    session->fd = fd;
    session->file = -1;
    name_peer(fd, &session->address, session->peer, sizeof session->peer);
    if (atomic_fetch_add(&server->connections, 1) >= limits->max_connections) {
        say_limit(server, session->peer, "max_connections");
    } else if (!peers_enter(server->peers, &session->address, limits->max_connections_per_address)) {
        say_limit(server, session->peer, "max_connections_per_address");
    } else {
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        worker_take(worker, session);
        session_set_deadline(session, limits->handshake_timeout, session_abort);
        session->step = step_peek;
        session_wait_events(session, POLLIN);
        return;
    }
    atomic_fetch_sub(&server->connections, 1);
    close(fd);
    epoch_drop(session->epoch);
    free(session);
}
