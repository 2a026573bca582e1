#include "engine/server/handover.h"

/* Beside the number of those on their way: no more of them. */
#define SHUT (1u << 31)
#define CROWD 16

void handover_open(struct worker *worker)
{
    atomic_store(&worker->door, 0);
}

void handover_shut(struct worker *worker)
{
    atomic_fetch_or(&worker->door, SHUT);
}

bool handover_awaits(const struct worker *worker)
{
    return (atomic_load(&worker->door) & ~SHUT) > 0;
}

static bool enter(struct worker *worker)
{
    unsigned door = atomic_load(&worker->door);

    while (!(door & SHUT)) {
        if (atomic_compare_exchange_weak(&worker->door, &door, door + 1))
            return true;
    }
    return false;
}

static unsigned bodies_of(const struct worker *worker)
{
    return atomic_load_explicit(&worker->bodies, memory_order_relaxed);
}

bool handover_crowded(const struct worker *worker)
{
    return bodies_of(worker) > CROWD;
}

/* Who has the fewest, if that is fewer than this one has. NULL: nobody. */
static struct worker *find_freer(const struct worker *worker)
{
    const struct server *server = worker->server;
    unsigned least = bodies_of(worker);
    struct worker *found = NULL;

    for (unsigned i = 0; i < server->worker_count && least > 0; i++) {
        unsigned bodies = bodies_of(&server->workers[i]);
        if (bodies >= least || atomic_load_explicit(&server->workers[i].door, memory_order_relaxed) & SHUT)
            continue;
        found = &server->workers[i];
        least = bodies;
    }
    /* Two who see the same do not both send it one. */
    return found && atomic_compare_exchange_strong(&found->bodies, &least, least + 1) ? found : NULL;
}

static void arrive(struct ring_task *task)
{
    struct session *session = (struct session *)((char *)task - offsetof(struct session, move));
    struct worker *worker = session->worker;

    worker_take(worker, session);
    atomic_fetch_sub(&worker->door, 1);
    if (worker->stopping)
        session_drain(session);
    if (worker->emptied) {
        session_end(session);
        return;
    }
    session_start_pump(session);
}

bool handover_body(struct session *session)
{
    struct worker *here = session->worker;

    if (session->pump.length < HANDOVER_FROM)
        return false;
    session->is_long = true;
    struct worker *there = here->stopping ? NULL : find_freer(here);
    if (there && !enter(there)) {
        atomic_fetch_sub(&there->bodies, 1);
        there = NULL;
    }
    if (!there) {
        atomic_fetch_add(&here->bodies, 1);
        return false;
    }
    session_digest_leaves(session);
    worker_release(here, session);
    session->worker = there;
    session->move.run = arrive;
    ring_post(there->ring, &session->move);
    return true;
}

void handover_body_over(struct session *session)
{
    if (session->is_long)
        atomic_fetch_sub(&session->worker->bodies, 1);
    session->is_long = false;
}
