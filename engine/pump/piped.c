#include "engine/pump/piped.h"

#include <errno.h>
#include <fcntl.h>

static void add_pipe(struct piped *piped, struct pool_item *pipe)
{
    piped->lanes[piped->filling].pipe = pipe;
    piped->turn = 0;
}

static void record_pipe(struct flow *flow, int result)
{
    (void)result;
    struct piped *piped = (struct piped *)flow;
    if (piped->wait.item)
        add_pipe(piped, piped->wait.item);
    else
        flow_end(flow, piped->wait.error, PUMP_FAULT_NONE);
}

void piped_begin(struct flow *flow)
{
    struct piped *piped = (struct piped *)flow;
    flow_op_init(&piped->wait.op, flow, record_pipe);
    piped->wait.kind = POOL_PIPE;
}

bool piped_waits(const struct piped *piped)
{
    return piped->wait.queued || flow_busy(&piped->wait.op);
}

bool piped_ready(struct piped *piped)
{
    struct pump_pool *pool = piped->flow.pump->pool;
    if (piped_waits(piped))
        return false;
    if (piped->lanes[0].pipe || piped->lanes[1].pipe)
        return true;
    struct pool_item *pipe = pool_try(pool, POOL_PIPE);
    if (pipe)
        add_pipe(piped, pipe);
    else
        pool_wait(pool, &piped->wait);
    return pipe != NULL;
}

struct pipe_lane *piped_room(struct piped *piped)
{
    for (unsigned i = 0; i < 2; i++) {
        unsigned at = piped->filling ^ i;
        struct pipe_lane *lane = &piped->lanes[at];
        if (!lane->pipe && !lane->closed)
            lane->pipe = pool_try(piped->flow.pump->pool, POOL_PIPE);
        if (!lane->pipe || lane->closed)
            continue;
        piped->filling = at;
        return lane;
    }
    return NULL;
}

void piped_filled(struct piped *piped, size_t bytes)
{
    if (piped->lanes[piped->filling ^ 1].held == 0)
        piped->draining = piped->filling;
    piped->lanes[piped->filling].held += bytes;
    piped->turn += bytes;
}

struct pipe_lane *piped_load(struct piped *piped)
{
    struct pipe_lane *lane = &piped->lanes[piped->draining];
    return lane->held > 0 ? lane : NULL;
}

void piped_drained(struct piped *piped, size_t bytes)
{
    struct pipe_lane *lane = &piped->lanes[piped->draining];
    lane->held -= bytes;
    piped->flow.pump->moved += bytes;
    if (lane->held > 0)
        return;
    lane->closed = false;
    piped->draining ^= 1; /* what the other holds is older than what comes into this one */
}

bool piped_is_empty(const struct piped *piped)
{
    return piped->lanes[0].held == 0 && piped->lanes[1].held == 0;
}

bool piped_makes_way(const struct piped *piped)
{
    return piped->turn >= PUMP_CROWDED_TURN && pool_contended(piped->flow.pump->pool, POOL_PIPE);
}

static void give_back(struct piped *piped, struct pipe_lane *lane, bool spoilt)
{
    struct pool_item *pipe = lane->pipe;
    lane->pipe = NULL;
    if (pipe)
        pool_give_back(piped->flow.pump->pool, POOL_PIPE, pipe, spoilt);
}

void piped_rest(struct piped *piped)
{
    for (size_t i = 0; i < 2; i++) {
        if (piped->lanes[i].held == 0)
            give_back(piped, &piped->lanes[i], false);
    }
}

void piped_cancel(struct piped *piped)
{
    pool_leave(piped->flow.pump->pool, &piped->wait);
}

void piped_release(struct flow *flow)
{
    struct piped *piped = (struct piped *)flow;
    for (size_t i = 0; i < 2; i++)
        give_back(piped, &piped->lanes[i], piped->lanes[i].held > 0 || flow->result != 0);
}

ssize_t piped_splice(int from, int to, int socket, size_t size, unsigned flags)
{
    int usual = fcntl(socket, F_GETFL);
    if (usual < 0 || fcntl(socket, F_SETFL, usual | O_NONBLOCK) != 0)
        return -errno;
    ssize_t moved = splice(from, NULL, to, NULL, size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK | flags);
    ssize_t result = moved < 0 ? -errno : moved;
    fcntl(socket, F_SETFL, usual);
    return result;
}
