#include "engine/server/cpus.h"
#include "engine/server/digests.h"
#include "engine/server/handover.h"
#include "engine/server/server_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RING_ENTRIES 256
#define TICK_MS 250
#define TRIM_AFTER 256 /* channels that have retired, some 3 MiB */
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

/* -- its sessions -------------------------------------------------------------------------------------------------- */

void worker_take(struct worker *worker, struct session *session)
{
    session->previous = NULL;
    session->next = worker->sessions;
    if (session->next)
        session->next->previous = session;
    worker->sessions = session;
}

void worker_release(struct worker *worker, struct session *session)
{
    if (session->previous)
        session->previous->next = session->next;
    else
        worker->sessions = session->next;
    if (session->next)
        session->next->previous = session->previous;
}

/* There is nobody to wait for, and nobody will come. */
static bool is_deserted(const struct worker *worker)
{
    return worker->stopping && !worker->sessions && !handover_awaits(worker);
}

/* A stopping worker's ring ends with the last thing that was under way on it. */
static void worker_finish(struct worker *worker)
{
    if (!is_deserted(worker) || worker->ticking || worker->in_grace || worker->looked_at)
        return;
    for (struct binding *binding = worker->server->bindings; binding; binding = binding->next) {
        const struct listener *listener = &binding->listeners[worker->number];
        if (listener->accepting || listener->pausing)
            return;
    }
    ring_stop(worker->ring);
}

/* -- closing a listener, which a new model does not have ----------------------------------------------------------- */

static void swap_finish(struct worker *worker)
{
    if (!worker->swapping || worker->closing)
        return;
    worker->swapping = false;
    server_swapped(worker);
}

/* Nothing accepts any more, and with its end the listener may be gone. Those whom the kernel has let in already have
 * not been told: they are served. */
static void listener_close(struct listener *listener)
{
    struct worker *worker = listener->worker;
    int flags = fcntl(listener->fd, F_GETFL), fd;

    fcntl(listener->fd, F_SETFL, flags | O_NONBLOCK);
    while (!worker->stopping && (fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC)) >= 0)
        session_begin(worker, listener->service, fd);
    close(listener->fd);
    listener->fd = -1;
    epoch_drop(listener->epoch);
    listener->epoch = NULL;
    listener->service = NULL;
    worker->closing--;
    swap_finish(worker);
}

static void listener_end(struct listener *listener)
{
    listener->closing = true;
    listener->worker->closing++;
    if (listener->accepting)
        ring_cancel(listener->worker->ring, &listener->accept);
    else if (listener->pausing)
        ring_cancel(listener->worker->ring, &listener->pause);
    else
        listener_close(listener);
}

/* -- accepting ----------------------------------------------------------------------------------------------------- */

static void pause_done(struct ring_op *op, int result, unsigned flags)
{
    struct listener *listener = listener_of(op, pause);
    (void)result;
    (void)flags;

    listener->pausing = false;
    if (listener->closing)
        listener_close(listener);
    else if (listener->worker->stopping)
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
    if (listener->closing) {
        listener_close(listener);
        return;
    }
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

/*
 * What many channels have freed stands in pieces between what they keep, and the heap would hold on to it: 9,000 that
 * retire at once leave 7.3 KiB each without this, and 4.9 with it.
 */
static void trim_heap(struct worker *worker)
{
    worker->untrimmed += worker->retired;
    if (worker->retired > 0 || worker->untrimmed < TRIM_AFTER)
        return;
    worker->untrimmed = 0;
    malloc_trim(0);
}

static void tick_done(struct ring_op *op, int result, unsigned flags)
{
    struct worker *worker = worker_of(op, tick);
    uint64_t now = session_clock();
    (void)result;
    (void)flags;

    worker->ticking = false;
    worker->retired = 0;
    for (struct session *session = worker->sessions, *next; session; session = next) {
        next = session->next;
        session_tick(session, now);
    }
    if (is_deserted(worker)) {
        worker_finish(worker);
        return;
    }
    trim_heap(worker);
    expiry_tick(worker, now);
    worker->ticking = true;
    ring_timeout(worker->ring, &worker->tick, TICK_MS);
}

void worker_looked(struct worker *worker)
{
    worker_finish(worker);
}

static void end_sessions(struct worker *worker)
{
    worker->emptied = true;
    digests_stop(worker->server->digests); /* a large file would keep its session for minutes */
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
    if (!is_deserted(worker))
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
    handover_shut(worker);
    for (struct binding *binding = worker->server->bindings; binding; binding = binding->next) {
        struct listener *listener = &binding->listeners[worker->number];
        if (listener->accepting)
            ring_cancel(worker->ring, &listener->accept);
        if (listener->pausing)
            ring_cancel(worker->ring, &listener->pause);
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

/* -- a new epoch --------------------------------------------------------------------------------------------------- */

static void listener_take(struct listener *listener, struct epoch *epoch, const struct service *service)
{
    struct epoch *before = listener->epoch;

    listener->epoch = epoch_hold(epoch);
    listener->service = service;
    if (!before)
        listener_arm(listener);
    epoch_drop(before);
}

/* All at once, as far as anybody can see: nothing else runs on this worker meanwhile. */
static void take_epoch(struct worker *worker)
{
    struct server *server = worker->server;
    struct epoch *before = worker->epoch;

    worker->epoch = epoch_hold(server->epoch);
    for (struct binding *binding = server->bindings; binding; binding = binding->next) {
        if (binding->service)
            listener_take(&binding->listeners[worker->number], server->epoch, binding->service);
    }
    for (struct binding *binding = server->bindings; binding; binding = binding->next) {
        struct listener *listener = &binding->listeners[worker->number];
        if (!binding->service && listener->fd >= 0 && !listener->closing)
            listener_end(listener);
    }
    epoch_drop(before);
}

static void swap_task(struct ring_task *task)
{
    struct worker *worker = worker_of(task, swap);

    worker->swapping = true;
    worker->closing++; /* until all have been begun with */
    take_epoch(worker);
    worker->closing--;
    swap_finish(worker);
}

void worker_swap(struct worker *worker)
{
    worker->swap.run = swap_task;
    ring_post(worker->ring, &worker->swap);
}

/* -- from start to end --------------------------------------------------------------------------------------------- */

static void *worker_main(void *argument)
{
    struct worker *worker = argument;
    char name[16];

    snprintf(name, sizeof name, "worker-%u", worker->number);
    pthread_setname_np(pthread_self(), name);
    worker->tick.done = tick_done;
    worker->ticking = true;
    ring_timeout(worker->ring, &worker->tick, TICK_MS);
    handover_open(worker);

    int rc = ring_run(worker->ring);
    if (rc < 0)
        event(worker->server->log, "S07F", EVENT_N("worker", worker->number), EVENT_T("reason", strerror(-rc)));
    handover_shut(worker);
    atomic_store(&worker->ended, true);
    return NULL;
}

int worker_init(struct worker *worker, struct server *server, unsigned number)
{
    worker->server = server;
    worker->number = number;
    handover_shut(worker); /* until it runs */
    worker->tick.done = tick_done;
    int rc = ring_new(&worker->ring, RING_ENTRIES, server->options.seam);
    if (rc < 0)
        return rc;
    return pump_pool_new(&worker->pool, worker->ring, POOL_BUFFERS, POOL_PIPES);
}

void worker_clear(struct worker *worker)
{
    pump_pool_free(worker->pool);
    shelf_clear(&worker->shelf);
    if (worker->ring)
        ring_free(worker->ring);
    epoch_drop(worker->epoch);
}

int worker_start(struct worker *worker)
{
    sigset_t all, before;

    /* Here, not in the thread: once it runs, the owner's thread may change the server's bindings. */
    take_epoch(worker);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = cpus_start_thread(&worker->thread, worker->cpu, worker_main, worker);
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
