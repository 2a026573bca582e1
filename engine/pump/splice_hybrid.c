/*
 * A file into a socket through pipes, read ahead: the ring lends the pages of the file to one pipe, on a thread of the
 * kernel's that may wait for a disk, while this thread gives another pipe's to the socket, which encrypts them here.
 */
#include "engine/pump/pump_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "engine/pump/piped.h"

struct hybrid {
    struct piped piped;
    struct flow_op in;   /* from the file */
    struct flow_op room; /* waits for some in the socket */
    uint64_t taken;      /* from the file */
};

static void record_in(struct flow *flow, int result)
{
    struct hybrid *hybrid = (struct hybrid *)flow;
    struct piped *piped = &hybrid->piped;
    if (result > 0) {
        hybrid->taken += (uint64_t)result;
        piped_filled(piped, (size_t)result);
        piped->lanes[piped->filling].closed = true;
    } else if (result == 0) {
        flow_end(flow, -ENODATA, PUMP_FAULT_SHRUNK);
    } else if (result == -EINVAL && hybrid->taken == 0) {
        flow_instead(flow, &pump_path_fixed, "this file system cannot splice");
    } else if (result != -EINTR && result != -EAGAIN) {
        flow_end(flow, result, PUMP_FAULT_FILE);
    }
}

static void record_room(struct flow *flow, int result)
{
    if (result < 0 && !flow->ended)
        flow_end(flow, flow_channel_error(flow, result), PUMP_FAULT_CHANNEL);
}

static void hybrid_begin(struct flow *flow)
{
    struct hybrid *hybrid = (struct hybrid *)flow;
    piped_begin(flow);
    flow_op_init(&hybrid->in, flow, record_in);
    flow_op_init(&hybrid->room, flow, record_room);
    hybrid->taken = flow->pump->moved;
}

/* Pages of the file that begin in the middle take a place in the pipe of their own: end each step at a page's end. */
static size_t read_size(const struct hybrid *hybrid, size_t room)
{
    const struct pump *pump = hybrid->piped.flow.pump;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint64_t left = pump->length - hybrid->taken;
    if (room > PUMP_CROWDED_TURN && pool_contended(pump->pool, POOL_PIPE))
        room = PUMP_CROWDED_TURN;
    if (pump->step > page && room > pump->step)
        room = pump->step;
    if (room > page)
        room -= (size_t)((pump->offset + hybrid->taken) % page);
    return room < left ? room : (size_t)left;
}

static void read_ahead(struct hybrid *hybrid)
{
    struct piped *piped = &hybrid->piped;
    struct pump *pump = piped->flow.pump;
    if (flow_busy(&hybrid->in) || hybrid->taken == pump->length || piped_makes_way(piped))
        return;
    struct pipe_lane *lane = piped_room(piped);
    if (!lane)
        return;
    ring_splice_in(pump->ring, flow_start(&hybrid->in), pump->file, pump->offset + hybrid->taken, lane->pipe->pipe[1],
                   read_size(hybrid, lane->pipe->pipe_size));
}

static void wait_for_room(struct hybrid *hybrid)
{
    struct pump *pump = hybrid->piped.flow.pump;
    ring_poll(pump->ring, flow_start(&hybrid->room), channel_fd(pump->channel), POLLOUT);
}

/* Where it can go on at once, that is for after the others' turn. */
static void send_over(struct hybrid *hybrid, ssize_t result, size_t size)
{
    struct flow *flow = &hybrid->piped.flow;
    struct pump *pump = flow->pump;
    if (result > 0) {
        piped_drained(&hybrid->piped, (size_t)result);
        flow_account(flow, (uint64_t)result);
    }
    if (flow->ended)
        return;
    if (pump->moved == pump->length)
        flow_end(flow, 0, PUMP_FAULT_NONE);
    else if (result == -EAGAIN || (result > 0 && (size_t)result < size))
        wait_for_room(hybrid);
    else if (result > 0 || result == -EINTR)
        flow_yield(flow);
    else
        flow_end(flow, result == 0 ? -EPROTO : flow_channel_error(flow, (int)result), PUMP_FAULT_CHANNEL);
}

static void send_step(struct hybrid *hybrid)
{
    struct flow *flow = &hybrid->piped.flow;
    struct pump *pump = flow->pump;
    const struct pipe_lane *lane = flow_busy(&hybrid->room) ? NULL : piped_load(&hybrid->piped);
    if (!lane)
        return;
    int socket = channel_fd(pump->channel);
    size_t size = flow_step(flow, lane->held);
    ssize_t result = ring_ask(pump->ring, RING_SPLICE, &size);
    unsigned more = pump->moved + size < pump->length ? SPLICE_F_MORE : 0;
    if (result == 0)
        result = piped_splice(lane->pipe->pipe[0], socket, socket, size, more);
    send_over(hybrid, result, size);
}

static void hybrid_advance(struct flow *flow)
{
    struct hybrid *hybrid = (struct hybrid *)flow;
    struct piped *piped = &hybrid->piped;
    if (flow_busy(&flow->turn))
        return;
    if (flow->pump->moved == flow->pump->length) {
        flow_end(flow, 0, PUMP_FAULT_NONE);
        return;
    }
    if (piped_makes_way(piped) && piped_is_empty(piped) && !flow_busy(&hybrid->in))
        piped_rest(piped);
    if (!piped_ready(piped))
        return;
    read_ahead(hybrid);
    send_step(hybrid);
    if (!flow->ended)
        read_ahead(hybrid); /* into what was sent from just now */
}

static void hybrid_cancel(struct flow *flow)
{
    struct hybrid *hybrid = (struct hybrid *)flow;
    flow_cancel(&hybrid->in);
    flow_cancel(&hybrid->room);
    piped_cancel(&hybrid->piped);
}

const struct pump_path pump_path_splice_hybrid = {
    .name = "splice-hybrid",
    .way = PUMP_SEND,
    .modes = 1u << CHANNEL_PLAIN | 1u << CHANNEL_KERNEL,
    .lacks = pump_needs_offsets,
    .state_size = sizeof(struct hybrid),
    .begin = hybrid_begin,
    .advance = hybrid_advance,
    .cancel = hybrid_cancel,
    .release = piped_release,
};
