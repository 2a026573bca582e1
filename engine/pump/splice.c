/*
 * A file into a socket through a pipe: the page cache lends its pages, and no byte passes through this process.
 * The pipe is empty whenever the two linked operations of a step start.
 */
#include "engine/pump/pump_internal.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

struct splice {
    struct flow flow;
    struct flow_op in, out;
    struct pool_wait wait;
    struct pool_item *pipe;
    uint64_t taken;            /* from the file */
    size_t step;               /* asked of the operations under way */
    int in_result, out_result; /* of the last step, not looked at yet */
    bool through, draining, polling;
};

static void record_in(struct flow *flow, int result)
{
    struct splice *splice = (struct splice *)flow;
    splice->in_result = result;
    if (result > 0)
        splice->taken += (uint64_t)result;
    /* Where the kernel had to cut the link, the second half would wait for bytes that do not come. */
    if (result < 0 || (size_t)result < splice->step)
        flow_cancel(&splice->out);
}

static void record_out(struct flow *flow, int result)
{
    struct splice *splice = (struct splice *)flow;
    splice->out_result = result;
    if (splice->polling && result < 0 && !flow->ended)
        flow_end(flow, flow_channel_error(flow, result), PUMP_FAULT_CHANNEL);
    if (splice->polling || result <= 0)
        return;
    flow->pump->moved += (uint64_t)result;
    flow_account(flow, (uint64_t)result);
}

static void record_pipe(struct flow *flow, int result)
{
    (void)result;
    struct splice *splice = (struct splice *)flow;
    splice->pipe = splice->wait.item;
    if (!splice->pipe)
        flow_end(flow, splice->wait.error, PUMP_FAULT_NONE);
}

static void splice_begin(struct flow *flow)
{
    struct splice *splice = (struct splice *)flow;
    flow_op_init(&splice->in, flow, record_in);
    flow_op_init(&splice->out, flow, record_out);
    flow_op_init(&splice->wait.op, flow, record_pipe);
    splice->wait.kind = POOL_PIPE;
    splice->taken = flow->pump->moved;
}

/* Pages of the file that begin in the middle take a place in the pipe of their own: end each step at a page's end. */
static size_t step_size(const struct splice *splice, uint64_t left)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t size = splice->pipe->pipe_size;
    if (size > page)
        size -= (splice->flow.pump->offset + splice->taken) % page;
    return flow_step(&splice->flow, (size_t)(size < left ? size : left));
}

static void start_step(struct splice *splice)
{
    struct pump *pump = splice->flow.pump;
    uint64_t left = pump->length - splice->taken;
    splice->step = step_size(splice, left);
    splice->through = true;
    ring_splice_through(pump->ring, flow_start(&splice->in), flow_start(&splice->out), pump->file,
                        flow_file_offset(&splice->flow, splice->taken), splice->pipe->pipe, channel_fd(pump->channel),
                        splice->step, splice->step < left);
}

static void start_rest(struct splice *splice, size_t rest)
{
    struct pump *pump = splice->flow.pump;
    splice->draining = true;
    ring_splice_out(pump->ring, flow_start(&splice->out), splice->pipe->pipe[0], channel_fd(pump->channel), rest,
                    splice->taken < pump->length);
}

static void start_poll(struct splice *splice)
{
    struct pump *pump = splice->flow.pump;
    splice->polling = true;
    ring_poll(pump->ring, flow_start(&splice->out), channel_fd(pump->channel), POLLOUT);
}

/* What came of the file's half of the last step. False: the flow has ended. */
static bool file_went_well(struct splice *splice)
{
    struct flow *flow = &splice->flow;
    int result = splice->in_result;
    if (result == -EINTR || result > 0)
        return true;
    if (result == -EINVAL && splice->taken == 0) {
        flow_instead(flow, &pump_path_fixed, "this file system cannot splice");
    } else if (result == 0) {
        flow_end(flow, -ENODATA, PUMP_FAULT_SHRUNK);
    } else {
        flow_end(flow, result, PUMP_FAULT_FILE);
    }
    return false;
}

/* What came of the socket's half. False: the flow has ended or waits. */
static bool socket_went_well(struct splice *splice, bool link_broken)
{
    int result = splice->out_result;
    if (result > 0 || result == -EINTR || (result == -ECANCELED && link_broken))
        return true;
    if (result == -EAGAIN) {
        start_poll(splice);
        return false;
    }
    struct flow *flow = &splice->flow;
    flow_end(flow, result == 0 ? -EPROTO : flow_channel_error(flow, result), PUMP_FAULT_CHANNEL);
    return false;
}

static void splice_advance(struct flow *flow)
{
    struct splice *splice = (struct splice *)flow;
    struct pump *pump = flow->pump;
    if (flow_busy(&splice->in) || flow_busy(&splice->out) || splice->wait.queued || flow_busy(&splice->wait.op))
        return;
    if (pump->moved == pump->length) {
        flow_end(flow, 0, PUMP_FAULT_NONE);
        return;
    }
    if (!splice->pipe) {
        pool_wait(pump->pool, &splice->wait);
        return;
    }
    bool through = splice->through, draining = splice->draining;
    bool link_broken = through && splice->in_result < (int)splice->step;
    splice->through = splice->draining = splice->polling = false;
    if (through && !file_went_well(splice))
        return;
    if ((through || draining) && !socket_went_well(splice, link_broken))
        return;
    if (splice->taken > pump->moved)
        start_rest(splice, (size_t)(splice->taken - pump->moved));
    else
        start_step(splice);
}

static void splice_cancel(struct flow *flow)
{
    struct splice *splice = (struct splice *)flow;
    flow_cancel(&splice->in);
    flow_cancel(&splice->out);
    pool_leave(flow->pump->pool, &splice->wait);
}

static void splice_release(struct flow *flow)
{
    struct splice *splice = (struct splice *)flow;
    if (splice->pipe)
        pool_give_back(flow->pump->pool, POOL_PIPE, splice->pipe,
                       splice->taken != flow->pump->moved || flow->result != 0);
}

const struct pump_path pump_path_splice = {
    .name = "splice",
    .way = PUMP_SEND,
    .modes = 1u << CHANNEL_PLAIN | 1u << CHANNEL_KERNEL,
    .state_size = sizeof(struct splice),
    .begin = splice_begin,
    .advance = splice_advance,
    .cancel = splice_cancel,
    .release = splice_release,
};
