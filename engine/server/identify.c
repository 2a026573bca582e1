/*
 * Who is this? Asked ahead of each request, and answered anew where it brings another Authorization than the last one;
 * nothing of a request is done before the gate has let its sender in.
 */
#include "engine/server/server_internal.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static enum flow step_verified(struct session *session);
static enum flow step_home_opened(struct session *session);

/* -- what is kept of a login --------------------------------------------------------------------------------------- */

/*
 * An Authorization is remembered as its HMAC under a key of this session alone: enough to know it again, of no use to
 * whoever gets to see it. None has the mark 0.
 */
static bool mark_make(struct session *session, const char *authorization, uint8_t mark[LOGIN_MARK_SIZE])
{
    memset(mark, 0, LOGIN_MARK_SIZE);
    if (!authorization)
        return true;
    if (!session->login_salted &&
        getrandom(session->login_salt, sizeof session->login_salt, 0) != sizeof session->login_salt)
        return false;
    session->login_salted = true;
    return HMAC(EVP_sha256(), session->login_salt, sizeof session->login_salt, (const unsigned char *)authorization,
                strlen(authorization), mark, NULL) != NULL;
}

static bool mark_same(const uint8_t a[LOGIN_MARK_SIZE], const uint8_t b[LOGIN_MARK_SIZE])
{
    return CRYPTO_memcmp(a, b, LOGIN_MARK_SIZE) == 0;
}

static void login_forget(struct session *session)
{
    if (session->login)
        gate_login_wipe(session->login);
    free(session->login);
    session->login = NULL;
}

void identify_release(struct session *session)
{
    login_forget(session);
}

void identify_forget(struct session *session)
{
    login_forget(session);
    store_close(session->home);
    session->home = NULL;
    session->home_path = NULL;
    explicit_bzero(session->login_salt, sizeof session->login_salt);
    explicit_bzero(session->mark_held, sizeof session->mark_held);
    explicit_bzero(session->mark_known, sizeof session->mark_known);
}

/* -- refusals ------------------------------------------------------------------------------------------------------ */

void identify_visit(const struct session *session, struct gate_visit *visit)
{
    bool tls = channel_mode(session->channel, CHANNEL_TX) != CHANNEL_PLAIN;

    *visit = (struct gate_visit){ .protocol = session->service->protocol, .tls = tls };
    memcpy(visit->address, &session->address, sizeof visit->address);
    if (tls) {
        visit->peer = channel_peer(session->channel);
        visit->verified = channel_facts(session->channel)->peer_verified;
    }
}

/* Whoever may not come in is not heard again on this connection. */
static enum flow turn_away(struct session *session, unsigned status, const char *say)
{
    login_forget(session);
    session->close_after = true;
    return request_refuse(session, status, say);
}

static void tell_refusal(struct session *session, const struct gate_verdict *verdict)
{
    const struct gate_identity *identity = &verdict->identity;

    event(session->worker->server->log, verdict->event, EVENT_T("protocol", session->service->protocol->name),
          EVENT_T("peer", session->peer), EVENT_T("name", identity->name[0] ? identity->name : NULL),
          EVENT_T("partner", identity->partner ? identity->partner->name : NULL),
          EVENT_T("class", identity->class ? identity->class->name : NULL), EVENT_T("reason", verdict->why),
          EVENT_T("subject", channel_facts(session->channel)->peer_subject));
}

/* -- a partner's additional checks --------------------------------------------------------------------------------- */

static enum flow refuse_partner(struct session *session, const struct config_partner *partner,
                                const struct tls_denial *denial)
{
    char say[128];

    event(session->worker->server->log, "T48E", EVENT_T("protocol", session->service->protocol->name),
          EVENT_T("peer", session->peer), EVENT_T("partner", partner->name), EVENT_T("profile", partner->profile),
          EVENT_T("check", denial->check), EVENT_T("wanted", denial->wanted), EVENT_T("found", denial->found),
          EVENT_T("subject", channel_facts(session->channel)->peer_subject));
    snprintf(say, sizeof say, "this session does not meet what is demanded of this partner (%s)", denial->check);
    return turn_away(session, 403, say);
}

/* 0, or -EACCES: `denial` says why. */
static int hold_against(struct session *session, const struct config_partner *partner, struct tls_denial *denial)
{
    if (channel_mode(session->channel, CHANNEL_TX) != CHANNEL_PLAIN)
        return tls_context_admit(epoch_context(session->epoch, partner->server_profile), session->channel, denial);
    *denial = (struct tls_denial){ .check = "level", .wanted = "TLS", .found = "a plain connection" };
    return -EACCES;
}

/* True: the session is turned away, *flow says how it goes on. */
static bool partner_refused(struct session *session, const struct config_partner *partner, enum flow *flow)
{
    struct tls_denial denial;
    bool strict = session->epoch->config->server.strict_partner_profiles;

    if (!partner || !partner->profile || session->checked == partner)
        return false;
    if (partner->server_profile) {
        if (hold_against(session, partner, &denial) < 0) {
            *flow = refuse_partner(session, partner, &denial);
            return true;
        }
    } else {
        event(session->worker->server->log, "T47W", EVENT_T("protocol", session->service->protocol->name),
              EVENT_T("peer", session->peer), EVENT_T("partner", partner->name), EVENT_T("profile", partner->profile),
              EVENT_T("reason", strict ? "there is no such server-profile, and strict_partner_profiles = yes: refused"
                                       : "there is no such server-profile: its additional checks are not run"));
        if (strict) {
            *flow = turn_away(session, 403, "what is demanded of this partner cannot be checked here");
            return true;
        }
    }
    session->checked = partner;
    return false;
}

/* -- admitted ------------------------------------------------------------------------------------------------------ */

static const char *const means[] = {
    [GATE_NOTHING] = "nothing",
    [GATE_CERTIFICATE] = "certificate",
    [GATE_PASSWORD] = "password",
    [GATE_BOTH] = "certificate and password",
};

static enum flow settle(struct session *session)
{
    const struct gate_identity *identity = &session->identity;

    session->rights = gate_rights(session->epoch->gate, session->service->protocol->store, identity);
    session->identified = true;
    session->known_bare = session->asks_bare;
    memcpy(session->mark_known, session->mark_asking, sizeof session->mark_known);
    login_forget(session);
    if (identity->means != GATE_NOTHING)
        event(session->worker->server->log, "G01I", EVENT_T("protocol", session->service->protocol->name),
              EVENT_T("peer", session->peer), EVENT_T("name", identity->name[0] ? identity->name : NULL),
              EVENT_T("partner", identity->partner ? identity->partner->name : NULL),
              EVENT_T("class", identity->class ? identity->class->name : NULL), EVENT_T("by", means[identity->means]),
              EVENT_T("home", session->home_path), EVENT_T("subject", channel_facts(session->channel)->peer_subject));
    return request_admitted(session);
}

static void open_home_run(struct job *job)
{
    struct session *session = session_of_job(job);

    session->result = store_home(session->service->store, session->home_path, &session->home);
}

static enum flow step_home_opened(struct session *session)
{
    char reason[256];

    session_set_deadline(session, session->epoch->config->server.idle_timeout, session_abort);
    if (session->result == 0)
        return settle(session);
    snprintf(reason, sizeof reason, "home \"%s\": %s", session->home_path, strerror(-session->result));
    session->home_path = NULL;
    login_forget(session);
    session->close_after = true;
    return request_refuse_because(session, 500, "your folder cannot be opened", reason);
}

/* A home stays open for as long as the session is its visitor's. */
static enum flow find_home(struct session *session)
{
    const char *path = gate_home(&session->identity);

    if (path == session->home_path || (path && session->home_path && strcmp(path, session->home_path) == 0))
        return settle(session);
    store_close(session->home);
    session->home = NULL;
    session->home_path = path;
    if (!path)
        return settle(session);
    session_set_deadline(session, 0, NULL);
    session->step = step_home_opened;
    return session_wait_job(session, session->worker->server->files, open_home_run);
}

/* -- deciding ------------------------------------------------------------------------------------------------------ */

static enum flow verify(struct session *session);

static enum flow decide(struct session *session, bool holds)
{
    struct gate_visit visit;
    struct gate_verdict verdict;
    enum flow flow;

    identify_visit(session, &visit);
    gate_decide(session->epoch->gate, &visit, session->login, holds, &verdict);
    switch (verdict.answer) {
    case GATE_ADMIT:
        if (partner_refused(session, verdict.identity.partner, &flow))
            return flow;
        session->identity = verdict.identity;
        return find_home(session);
    case GATE_VERIFY:
        return verify(session);
    case GATE_ASK:
        login_forget(session);
        return request_refuse_because(session, 401, verdict.say, verdict.why);
    case GATE_REFUSE:
        break;
    }
    tell_refusal(session, &verdict);
    return turn_away(session, 403, verdict.say);
}

/* By a reset: who has only ended its own direction may still read the answer. */
static bool peer_gone(const struct session *session)
{
    struct pollfd peer = { .fd = session->fd };

    return poll(&peer, 1, 0) > 0 && (peer.revents & (POLLERR | POLLHUP));
}

/*
 * The result: 0; -EBUSY: not even looked at; -ECONNRESET: nobody waits for it; else it does not hold, and the answer
 * waits for that many milliseconds.
 */
static void verify_run(struct job *job)
{
    struct session *session = session_of_job(job);
    struct guesses *guesses = session->worker->server->guesses;
    const uint8_t *address = session->address.s6_addr;
    const char *name = session->login->name;

    /* Asked and told here, not where the job is posted and ends: many connections that guess once each would all be
     * allowed there. */
    session->result = 0;
    if (peer_gone(session))
        session->result = -ECONNRESET;
    else if (!guesses_allowed(guesses, address, session_clock()))
        session->result = -EBUSY;
    else if (gate_password_holds(session->epoch->gate, session->login))
        guesses_succeeded(guesses, address, name);
    else
        session->result = (int)guesses_failed(guesses, address, name, session_clock());
}

static enum flow verify(struct session *session)
{
    struct server *server = session->worker->server;

    session_set_deadline(session, 0, NULL);
    session->step = step_verified;
    return session_wait_job(session, server->passwords, verify_run);
}

static enum flow refuse_unheard(struct session *session)
{
    event(session->worker->server->log, "G04W", EVENT_T("protocol", session->service->protocol->name),
          EVENT_T("peer", session->peer), EVENT_T("name", session->login->name));
    return turn_away(session, 429, "too many logins have failed from your address: wait");
}

static enum flow step_login_failed(struct session *session)
{
    session_set_deadline(session, session->epoch->config->server.idle_timeout, session_abort);
    return request_refuse(session, 401, "this user name and password do not fit");
}

static enum flow step_verified(struct session *session)
{
    struct server *server = session->worker->server;

    session_set_deadline(session, session->epoch->config->server.idle_timeout, session_abort);
    if (session->result == -ECONNRESET)
        return FLOW_GONE;
    if (session->result == -EBUSY)
        return refuse_unheard(session);
    if (session->result == 0) {
        memcpy(session->mark_held, session->mark_asking, sizeof session->mark_held);
        return decide(session, true);
    }
    unsigned delay = (unsigned)session->result;
    event(server->log, "G02W", EVENT_T("protocol", session->service->protocol->name), EVENT_T("peer", session->peer),
          EVENT_T("name", session->login->name), EVENT_N("delay_ms", delay));
    login_forget(session);
    session_set_deadline(session, 0, NULL);
    session->step = step_login_failed;
    session->op.done = session_op_done;
    ring_timeout(session->worker->ring, &session->op, delay);
    return session_wait_op(session);
}

/* Takes the login out of the request, and overwrites it there. 0 or a status. */
static unsigned take_login(struct session *session)
{
    const char *authorization = http_field(session->request, "Authorization");
    unsigned status = 0;

    session->asks_bare = !authorization;
    if (session->identified && session->asks_bare && session->known_bare)
        return 0;
    if (!mark_make(session, authorization, session->mark_asking))
        return 503;
    if (session->identified && mark_same(session->mark_asking, session->mark_known)) {
        http_field_wipe(session->request, "Authorization");
        return 0;
    }
    session->identified = false;
    session->login = calloc(1, sizeof *session->login);
    int rc = session->login ? gate_login_parse(authorization, session->login) : -ENOMEM;
    http_field_wipe(session->request, "Authorization");
    if (rc < 0)
        login_forget(session);
    if (rc == -ENOMEM)
        status = 503;
    else if (rc == -EINVAL)
        status = 400;
    return status;
}

enum flow identify_begin(struct session *session)
{
    unsigned status = take_login(session);

    if (status)
        return turn_away(session, status,
                         status == 400 ? "the Authorization field is malformed" : "the server is short of memory");
    if (session->identified)
        return request_admitted(session);
    bool holds = session->login && mark_same(session->mark_asking, session->mark_held);
    return decide(session, holds);
}
