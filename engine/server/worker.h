/* Private to engine/server: one thread, with its ring, its pools, its listeners and its sessions. No other touches
 * these. */
#ifndef SLUICE_SERVER_WORKER_H
#define SLUICE_SERVER_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "engine/pump/pump.h"
#include "engine/ring/jobs.h"
#include "engine/server/epoch.h"
#include "engine/server/shelf.h"

struct server;
struct session;

struct worker {
    struct server *server;
    unsigned number;
    int cpu; /* it is pinned to; or CPUS_NONE */
    pthread_t thread;
    struct ring *ring;
    struct pump_pool *pool;
    struct shelf shelf;
    bool knows_memory;
    dev_t memory;             /* a file system that lives in memory, where known */
    struct epoch *epoch;      /* held: what new sessions get */
    struct session *sessions; /* doubly linked */
    struct ring_op tick, grace;
    unsigned retired, untrimmed; /* channels: in this tick; since the heap last gave memory back */
    struct ring_task stop, hurry, swap;
    unsigned grace_ms;
    unsigned closing;        /* listeners that a swap waits for */
    struct job look;         /* worker 0: for certificates that expire */
    struct epoch *looked_at; /* held while that runs */
    uint64_t look_due;
    atomic_uint bodies; /* long ones: under way here, or on their way here; handover.h */
    atomic_uint door;   /* sessions on their way here, and whether more may come */
    atomic_bool ended;  /* its ring does not run any more */
    bool asked;         /* to take an epoch over, and not there yet; under the server's swap_lock */
    bool stopping, ticking, in_grace, swapping;
    bool emptied; /* all sessions were told to end */
};

int worker_init(struct worker *worker, struct server *server, unsigned number);
void worker_clear(struct worker *worker);
int worker_start(struct worker *worker);
void worker_stop(struct worker *worker, unsigned grace); /* from another thread; then join */
void worker_hurry(struct worker *worker);                /* from another thread, while worker_stop() is waited for */
void worker_session_ended(struct worker *worker);
/* A session becomes the worker's, or ceases to be: then worker_session_ended(), unless another has it. */
void worker_take(struct worker *worker, struct session *session);
void worker_release(struct worker *worker, struct session *session);
/* From another thread: takes the server's epoch and bindings over, then server_swapped(). */
void worker_swap(struct worker *worker);
void worker_looked(struct worker *worker);

/* expiry.c: begins to look for certificates that expire, where its time has come. `now`: milliseconds. */
void expiry_tick(struct worker *worker, uint64_t now);

#endif
