#include "engine/server/server_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RING_ENTRIES 256
#define TICK_MS 250
#define ACCEPT_PAUSE_MS 100
/* Bounds of one worker's pools: 16 MiB of buffers at the most. More bodies than that wait their turn. */
#define POOL_BUFFERS 32
#define POOL_PIPES 64

#define worker_of(pointer, member) ((struct worker *)((char *)(pointer)-offsetof(struct worker, member)))
#define listener_of(pointer, member) ((struct listener *)((char *)(pointer)-offsetof(struct listener, member)))

static void accept_done(struct ring_op *op, int result, unsigned flags);

static void listener_arm(struct listener *listener)
{
    listener->accept.done = accept_done;
    listener->accepting = true;
    ring_accept(listener->worker->ring, &listener->accept, listener->fd);
}

/* A stopping worker's ring ends with the last thing that was under way on it. */
static void worker_finish(struct worker *worker)
{
    if (!worker->stopping || worker->sessions || worker->ticking || worker->in_grace)
        return;
    for (size_t i = 0; i < worker->listener_count; i++) {
        if (worker->listeners[i].accepting || worker->listeners[i].pausing)
            return;
    }
    ring_stop(worker->ring);
}

static void pause_done(struct ring_op *op, int result, unsigned flags)
{
    struct listener *listener = listener_of(op, pause);
    (void)result;
    (void)flags;

    listener->pausing = false;
    if (listener->worker->stopping)
        worker_finish(listener->worker);
    else
        listener_arm(listener);
}

static void accept_done(struct ring_op *op, int result, unsigned flags)
{
    struct listener *listener = listener_of(op, accept);
    struct worker *worker = listener->worker;

    listener->accepting = (flags & RING_MORE) != 0;
    if (result >= 0) {
        if (worker->stopping)
            close(result);
        else
            session_begin(worker, listener->service, result);
    }
    if (listener->accepting)
        return;
    if (worker->stopping) {
        worker_finish(worker);
        return;
    }
    if (result >= 0 || result == -ECONNABORTED || result == -EINTR || result == -EPROTO) {
        listener_arm(listener);
        return;
    }
    event(worker->server->log, "S06W", EVENT_T("protocol", listener->service->protocol->name),
          EVENT_T("reason", strerror(-result)));
    listener->pause.done = pause_done;
    listener->pausing = true;
    ring_timeout(worker->ring, &listener->pause, ACCEPT_PAUSE_MS);
}

static void tick_done(struct ring_op *op, int result, unsigned flags)
{
    struct worker *worker = worker_of(op, tick);
    uint64_t now = session_clock();
    (void)result;
    (void)flags;

    worker->ticking = false;
    for (struct session *session = worker->sessions, *next; session; session = next) {
        next = session->next;
        session_tick(session, now);
    }
    if (worker->stopping && !worker->sessions) {
        worker_finish(worker);
        return;
    }
    worker->ticking = true;
    ring_timeout(worker->ring, &worker->tick, TICK_MS);
}

static void end_sessions(struct worker *worker)
{
    for (struct session *session = worker->sessions, *next; session; session = next) {
        next = session->next;
        session_end(session);
    }
}

static void grace_done(struct ring_op *op, int result, unsigned flags)
{
    struct worker *worker = worker_of(op, grace);
    (void)flags;

    worker->in_grace = false;
    if (result == -ETIME)
        end_sessions(worker);
    worker_finish(worker);
}

void worker_session_ended(struct worker *worker)
{
    if (!worker->stopping || worker->sessions)
        return;
    if (worker->in_grace)
        ring_cancel(worker->ring, &worker->grace);
    if (worker->ticking)
        ring_cancel(worker->ring, &worker->tick);
    worker_finish(worker);
}

static void stop_task(struct ring_task *task)
{
    struct worker *worker = worker_of(task, stop);

    worker->stopping = true;
    for (size_t i = 0; i < worker->listener_count; i++) {
        if (worker->listeners[i].accepting)
            ring_cancel(worker->ring, &worker->listeners[i].accept);
        if (worker->listeners[i].pausing)
            ring_cancel(worker->ring, &worker->listeners[i].pause);
    }
    worker->grace.done = grace_done;
    worker->in_grace = true;
    ring_timeout(worker->ring, &worker->grace, worker->grace_ms);
    for (struct session *session = worker->sessions, *next; session; session = next) {
        next = session->next;
        session_drain(session);
    }
    worker_session_ended(worker);
}

static void hurry_task(struct ring_task *task)
{
    end_sessions(worker_of(task, hurry));
}

static void *worker_main(void *argument)
{
    struct worker *worker = argument;
    char name[16];

    snprintf(name, sizeof name, "worker-%u", worker->number);
    pthread_setname_np(pthread_self(), name);
    for (size_t i = 0; i < worker->listener_count; i++)
        listener_arm(&worker->listeners[i]);
    worker->tick.done = tick_done;
    worker->ticking = true;
    ring_timeout(worker->ring, &worker->tick, TICK_MS);

    int rc = ring_run(worker->ring);
    if (rc < 0)
        event(worker->server->log, "S07F", EVENT_N("worker", worker->number), EVENT_T("reason", strerror(-rc)));
    return NULL;
}

int worker_init(struct worker *worker, struct server *server, unsigned number)
{
    worker->server = server;
    worker->number = number;
    worker->tick.done = tick_done;
    int rc = ring_new(&worker->ring, RING_ENTRIES, server->options.seam);
    if (rc < 0)
        return rc;
    return pump_pool_new(&worker->pool, worker->ring, POOL_BUFFERS, POOL_PIPES);
}

void worker_clear(struct worker *worker)
{
    for (size_t i = 0; i < worker->listener_count; i++) {
        if (worker->listeners[i].fd >= 0)
            close(worker->listeners[i].fd);
    }
    free(worker->listeners);
    pump_pool_free(worker->pool);
    if (worker->ring)
        ring_free(worker->ring);
}

int worker_start(struct worker *worker)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = -pthread_create(&worker->thread, NULL, worker_main, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc;
}

void worker_hurry(struct worker *worker)
{
    worker->hurry.run = hurry_task;
    ring_post(worker->ring, &worker->hurry);
}

void worker_stop(struct worker *worker, unsigned grace)
{
    worker->grace_ms = grace;
    worker->stop.run = stop_task;
    ring_post(worker->ring, &worker->stop);
}
