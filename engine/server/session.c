#include "engine/server/handover.h"
#include "engine/server/partial.h"
#include "engine/server/server_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/path.h"

#define TURNS_WITHOUT_PAUSE 16
#define HELD_MOST (64u << 10)     /* bytes of answers that may wait for the next ones */
#define CROWDED_STEP (128u << 10) /* bytes at a time, and waiting in the socket: see bench/README.md */
#define HASTEN_AFTER 16           /* requests: who has asked so often asks more */
#define QUIET_TICKS 2             /* between requests, after which OpenSSL keeps no buffers */
#define RETIRE_TICKS 12           /* the same, after which OpenSSL has no part of it, where it can be without */
#define RETIRE_MOST 64            /* of a worker's, in a tick: each takes some 100 microseconds */

#define session_of(pointer, member) ((struct session *)((char *)(pointer)-offsetof(struct session, member)))

static enum flow step_head(struct session *session);
static void drop_in(struct session *session);
static void drop_out(struct session *session);

uint64_t session_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now); /* some milliseconds late, as what goes by it is */
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void session_free(struct session *session)
{
    struct worker *worker = session->worker;
    struct server *server = worker->server;

    session_digest_release(session);
    request_release(session);
    identify_forget(session);
    (void)session_let_go(session);
    if (session->channel)
        channel_free(session->channel);
    else if (session->fd >= 0)
        close(session->fd);
    http_reader_free(session->reader);
    if (session->in)
        explicit_bzero(session->in, session->in_end);
    drop_in(session);
    drop_out(session);
    handover_body_over(session);
    worker_release(worker, session);
    peers_leave(server->peers, &session->address);
    atomic_fetch_sub(&server->connections, 1);
    epoch_drop(session->epoch);
    free(session);
    worker_session_ended(worker);
}

void session_run(struct session *session)
{
    enum flow flow;

    do
        flow = session->step(session);
    while (flow == FLOW_GO);
    if (flow == FLOW_GONE)
        session_free(session);
}

/* What was waited for has come; a session that is ending has only waited for this. */
void session_resume(struct session *session, int result)
{
    session->waiting = WAIT_NOTHING;
    session->result = result;
    if (session->ending) {
        session_free(session);
        return;
    }
    if (session->is_overdue) {
        session->is_overdue = false;
        session->step = session->overdue;
    }
    session_run(session);
}

void session_op_done(struct ring_op *op, int result, unsigned flags)
{
    (void)flags;
    session_resume(session_of(op, op), result);
}

static void job_done(struct job *job)
{
    struct session *session = session_of(job, job);

    session_resume(session, session->result); /* which `run` has left there */
}

static void pump_done(struct pump *pump, int result)
{
    struct session *session = session_of(pump, pump);

    handover_body_over(session);
    session_resume(session, result);
}

struct session *session_of_job(struct job *job)
{
    return session_of(job, job);
}

int session_let_go(struct session *session)
{
    int rc = session->held ? channel_flush(session->channel) : 0;

    if (rc != -EAGAIN)
        session->held = 0;
    return rc;
}

/* What went wrong with an answer that is let go of here shows at the next. */
enum flow session_wait_op(struct session *session)
{
    (void)session_let_go(session);
    session->waiting = WAIT_OP;
    return FLOW_WAIT;
}

enum flow session_wait_events(struct session *session, short events)
{
    if (session_let_go(session) == -EAGAIN)
        events |= POLLOUT;
    session->op.done = session_op_done;
    ring_poll(session->worker->ring, &session->op, session->fd, events);
    return session_wait_op(session);
}

enum flow session_wait_socket(struct session *session)
{
    short events = channel_events(session->channel); /* letting go of something may change them */

    return session_wait_events(session, events);
}

enum flow session_wait_job(struct session *session, struct jobs *jobs, void (*run)(struct job *job))
{
    (void)session_let_go(session);
    session->waiting = WAIT_JOB;
    session->job = (struct job){ .run = run, .done = job_done, .home = session->worker->ring };
    jobs_submit(jobs, &session->job);
    return FLOW_WAIT;
}

/* Where many bodies go out at once, each moves in short steps, and little of it waits in its socket. */
static void heed_crowd(struct session *session)
{
    unsigned most = handover_crowded(session->worker) ? CROWDED_STEP : 0;

    if (session->pump.way != PUMP_SEND)
        return;
    session->pump.step = most;
    (void)channel_hold(session->channel, most); /* where the kernel has no such option, it takes more */
}

void session_start_pump(struct session *session)
{
    session->waiting = WAIT_PUMP;
    session->moved_seen = 0;
    session->pump.ring = session->worker->ring;
    session->pump.pool = session->worker->pool;
    session->pump.channel = session->channel;
    session->pump.done = pump_done;
    session->pump.asked = config_path_word(session->service->protocol->store->path);
    rate_begin(session);
    heed_crowd(session);
    pump_start(&session->pump);
    session_digest_begins(session);
}

enum flow session_wait_pump(struct session *session)
{
    if (!handover_body(session))
        session_start_pump(session);
    return FLOW_WAIT;
}

void session_set_deadline(struct session *session, unsigned milliseconds, enum flow (*overdue)(struct session *))
{
    session->deadline = milliseconds ? session_clock() + milliseconds : 0;
    session->overdue = overdue;
}

/* Makes what the session waits for end soon, so that something else can happen. */
static void interrupt(struct session *session)
{
    switch (session->waiting) {
    case WAIT_OP:
        ring_cancel(session->worker->ring, &session->op);
        break;
    case WAIT_PUMP:
        pump_stop(&session->pump);
        break;
    case WAIT_JOB: /* a handshake fails on a socket that is shut down; other jobs end by themselves */
    case WAIT_NOTHING:
        break;
    }
}

void session_end(struct session *session)
{
    if (session->waiting == WAIT_NOTHING) {
        session_free(session);
        return;
    }
    session->ending = true;
    shutdown(session->fd, SHUT_RDWR);
    interrupt(session);
}

/* Between two requests. */
static bool is_idle(const struct session *session)
{
    return session->opened && session->waiting == WAIT_OP && session->step == step_head &&
           !(session->reader && http_reader_began(session->reader));
}

void session_drain(struct session *session)
{
    session->close_after = true;
    /* Between requests nothing is lost when the session ends now. */
    if (is_idle(session))
        session_end(session);
}

/* The longer no request comes, the less is kept for it. */
static void heed_quiet(struct session *session)
{
    struct worker *worker = session->worker;

    if (!is_idle(session) || session->quiet_ticks >= RETIRE_TICKS)
        return;
    session->quiet_ticks++;
    if (session->quiet_ticks == QUIET_TICKS) {
        channel_idle(session->channel);
        http_reader_free(session->reader);
        session->reader = NULL;
    }
    if (session->quiet_ticks < RETIRE_TICKS)
        return;
    if (worker->retired < RETIRE_MOST)
        worker->retired += channel_retire(session->channel);
    else
        session->quiet_ticks--; /* others have kept the worker long enough */
}

void session_tick(struct session *session, uint64_t now)
{
    const struct config_server *limits = &session->epoch->config->server;

    record_tick(session);
    heed_quiet(session);
    if (session_digest_unwanted(session)) {
        session_free(session);
        return;
    }
    if (partial_tick(session) && session->deadline) {
        session->moved_seen = session->pump.moved;
        session->deadline = now;
    }
    if (session->waiting == WAIT_PUMP)
        heed_crowd(session);
    if (session->waiting == WAIT_PUMP && session->pump.moved != session->moved_seen) {
        session->moved_seen = session->pump.moved;
        session->deadline = now + limits->idle_timeout;
        rate_tick(session);
        return;
    }
    if (!session->deadline || now < session->deadline || session->ending)
        return;
    session->deadline = 0;
    session->is_overdue = true;
    interrupt(session);
}

/* -- requests, one after the other ------------------------------------------------------------------------------ */

ssize_t session_read(struct session *session)
{
    if (!session->in && !(session->in = shelf_take(&session->worker->shelf)))
        return -ENOMEM;
    if (session->in_start == session->in_end)
        session->in_start = session->in_end = 0;
    if (session->in_end == SESSION_IN_SIZE)
        return -ENOBUFS;
    ssize_t n = channel_read(session->channel, session->in + session->in_end, SESSION_IN_SIZE - session->in_end);
    if (n > 0)
        session->in_end += (size_t)n;
    return n;
}

static void drop_in(struct session *session)
{
    shelf_put(&session->worker->shelf, session->in);
    session->in = NULL;
    session->in_start = session->in_end = 0;
}

static void drop_out(struct session *session)
{
    if (session->out_room == SHELF_BUFFER)
        shelf_put(&session->worker->shelf, session->out_bytes);
    else
        free(session->out_bytes);
    session->out_bytes = NULL;
}

/* An idle session keeps no buffers. */
static void session_rest(struct session *session)
{
    if (session->in_start == session->in_end)
        drop_in(session);
    drop_out(session);
    channel_trim(session->channel);
}

static enum flow step_refresh(struct session *session)
{
    session->step = step_head;
    return FLOW_GO;
}

static bool reader_begin(struct session *session)
{
    if (!session->reader)
        session->reader = http_reader_new(HTTP_REQUESTS, (size_t)session->epoch->config->server.header_limit);
    return session->reader;
}

enum flow session_next(struct session *session)
{
    const struct config_server *limits = &session->epoch->config->server;

    request_release(session);
    if (session->close_after || session->worker->stopping || channel_worn(session->channel))
        return session_close(session);
    if (session->reader)
        http_reader_next(session->reader, false);
    else if (!reader_begin(session))
        return session_close(session);
    if (!session->hastened && session->requests >= HASTEN_AFTER)
        session->hastened = channel_hasten(session->channel);
    channel_expect_head(session->channel);
    channel_busy(session->channel);
    session->quiet_ticks = 0;
    session_set_deadline(session, limits->idle_timeout, session_close);
    session->step = step_head;
    if (++session->turns < TURNS_WITHOUT_PAUSE)
        return FLOW_GO;
    /* Many pipelined requests: let the other sessions of this worker have their turn. */
    session->turns = 0;
    session->step = step_refresh;
    session->op.done = session_op_done;
    ring_next(session->worker->ring, &session->op);
    return session_wait_op(session);
}

static enum flow head_overdue(struct session *session)
{
    session->close_after = true;
    return request_refuse(session, 408, "the request's head took longer than header_timeout");
}

void session_tell_failure(struct session *session, int rc)
{
    /* The two causes of -EKEYEXPIRED are told apart by how far the key is used. */
    const char *id = rc != -EKEYEXPIRED ? "Y33E" : channel_worn(session->channel) ? "K03W" : "K02W";

    event(session->worker->server->log, id, EVENT_T("peer", session->peer),
          EVENT_T("reason", channel_reason(session->channel)));
}

static enum flow head_ended(struct session *session, ssize_t n)
{
    struct event_log *log = session->worker->server->log;
    bool began = http_reader_began(session->reader);

    if (n == 0)
        return session_close(session);
    if (n == -ENODATA && began)
        event(log, "Y31W", EVENT_T("peer", session->peer), EVENT_T("reason", channel_reason(session->channel)));
    else if (n != -ENODATA && n != -ECONNRESET)
        session_tell_failure(session, (int)n);
    return FLOW_GONE;
}

static enum flow step_head(struct session *session)
{
    const struct config_server *limits = &session->epoch->config->server;

    if (!reader_begin(session))
        return session_close(session);
    for (;;) {
        if (session->in_start < session->in_end) {
            size_t used = 0;
            bool began = http_reader_began(session->reader);
            enum http_progress progress = http_reader_head(session->reader, session->in + session->in_start,
                                                           session->in_end - session->in_start, &used);
            explicit_bzero(session->in + session->in_start, used); /* a password may be in it */
            session->in_start += used;
            if (progress != HTTP_MORE) {
                session_set_deadline(session, limits->idle_timeout, session_abort);
                session->requests++;
                return request_begin(session);
            }
            if (!began)
                session_set_deadline(session, limits->header_timeout, head_overdue);
        }
        ssize_t n = channel_drained(session->channel) ? -EAGAIN : session_read(session);
        if (n == -EAGAIN) {
            session->turns = 0;
            (void)session_let_go(session);
            if (!http_reader_began(session->reader))
                session_rest(session);
            return session_wait_socket(session);
        }
        if (n <= 0)
            return head_ended(session, n);
    }
}

/* -- answers ------------------------------------------------------------------------------------------------------ */

int session_out_begin(struct session *session)
{
    if (!session->out_bytes) {
        session->out_bytes = shelf_take(&session->worker->shelf);
        session->out_room = SHELF_BUFFER;
    }
    if (!session->out_bytes)
        return -ENOMEM;
    session->out = (struct http_writer){ .bytes = session->out_bytes, .capacity = SESSION_OUT_SIZE };
    session->out_sent = 0;
    return 0;
}

static enum flow send_failed(struct session *session, int rc)
{
    if (rc != -ECONNRESET)
        session_tell_failure(session, rc);
    small_body_failed(session);
    return FLOW_GONE;
}

/*
 * Where the next request stands there already its answer comes soon, and goes with this one in one system call, which
 * wakes the peer once. Whatever a session waits for, it lets go first.
 */
static bool may_hold(const struct session *session)
{
    bool is_over = session->after_send == session_next || session->after_send == small_body_sent;
    bool more = session->in_start < session->in_end || channel_pending(session->channel);

    return is_over && more && !session->close_after && channel_mode(session->channel, CHANNEL_TX) == CHANNEL_USER &&
           session->held + session->out.length <= HELD_MOST;
}

static enum flow step_send(struct session *session)
{
    while (session->out_sent < session->out.length) {
        ssize_t n = channel_write(session->channel, session->out.bytes + session->out_sent,
                                  session->out.length - session->out_sent);
        if (n == -EAGAIN)
            return session_wait_socket(session);
        if (n < 0)
            return send_failed(session, (int)n);
        session->out_sent += (size_t)n;
    }
    if (may_hold(session)) {
        session->held += session->out.length;
        session->step = session->after_send;
        return FLOW_GO;
    }
    session->held = 0;
    int rc = channel_flush(session->channel);
    if (rc == -EAGAIN)
        return session_wait_socket(session);
    if (rc < 0)
        return send_failed(session, rc);
    session->step = session->after_send;
    return FLOW_GO;
}

enum flow session_send(struct session *session, enum flow (*then)(struct session *session))
{
    session->after_send = then;
    session->step = step_send;
    return FLOW_GO;
}
