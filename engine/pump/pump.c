#include "engine/pump/pump_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define ACCOUNT_EVERY ((uint64_t)64 << 20)
#define NUDGE_MILLISECONDS 10
#define STEPS_A_SECOND 4 /* of a send that is held back */
#define STEP_MIN 4096
#define FRUITLESS_MAX 64 /* errors in a row that say "control record" and bring no data after it */

static void flow_run(struct flow *flow);

void flow_over(struct flow_op *op, int result)
{
    struct flow *flow = op->flow;
    flow->under_way--;
    op->record(flow, result);
    flow_run(flow);
}

static void flow_op_done(struct ring_op *op, int result, unsigned flags)
{
    (void)flags;
    flow_over((struct flow_op *)op, result);
}

void flow_op_init(struct flow_op *op, struct flow *flow, void (*record)(struct flow *flow, int result))
{
    *op = (struct flow_op){ .op.done = flow_op_done, .flow = flow, .record = record };
}

struct ring_op *flow_start(struct flow_op *op)
{
    op->flow->under_way++;
    return &op->op;
}

bool flow_busy(const struct flow_op *op)
{
    return op->op.ring != NULL;
}

void flow_cancel(struct flow_op *op)
{
    ring_cancel(op->flow->pump->ring, &op->op);
}

void flow_yield(struct flow *flow)
{
    if (!flow_busy(&flow->turn))
        ring_next(flow->pump->ring, flow_start(&flow->turn));
}

static void turn_over(struct flow *flow, int result)
{
    (void)flow;
    (void)result;
}

/*
 * A cancellation can miss: a linked operation is nowhere to be found while a kernel thread passes from its forerunner
 * to it. So it is said again until all has ended.
 */
static void flow_cancel_all(struct flow *flow)
{
    flow->path->cancel(flow);
    if (flow->under_way > 0 && !flow_busy(&flow->nudge))
        ring_timeout(flow->pump->ring, &flow->nudge.op, NUDGE_MILLISECONDS);
}

static void nudge_done(struct ring_op *op, int result, unsigned flags)
{
    (void)result;
    (void)flags;
    struct flow *flow = ((struct flow_op *)op)->flow;
    if (flow->under_way > 0)
        flow_cancel_all(flow);
    flow_run(flow);
}

void flow_end(struct flow *flow, int result, enum pump_fault fault)
{
    if (flow->ended)
        return;
    flow->ended = true;
    flow->result = result;
    flow->pump->fault = fault;
    flow_cancel_all(flow);
}

void flow_instead(struct flow *flow, const struct pump_path *path, const char *why)
{
    if (flow->ended)
        return;
    flow->instead = path;
    flow->instead_why = why;
    flow_end(flow, 0, PUMP_FAULT_NONE);
}

static enum channel_way flow_channel_way(const struct flow *flow)
{
    return flow->pump->way == PUMP_SEND ? CHANNEL_TX : CHANNEL_RX;
}

static int flow_tell_channel(struct flow *flow)
{
    if (flow->unaccounted == 0)
        return 0;
    uint64_t bytes = flow->unaccounted;
    flow->unaccounted = 0;
    return channel_account(flow->pump->channel, flow_channel_way(flow), bytes);
}

void flow_account(struct flow *flow, uint64_t bytes)
{
    flow->unaccounted += bytes;
    if (flow->unaccounted < ACCOUNT_EVERY || flow->ended)
        return;
    int result = flow_tell_channel(flow);
    if (result != 0)
        flow_end(flow, result, PUMP_FAULT_CHANNEL);
}

size_t flow_step(const struct flow *flow, size_t size)
{
    uint64_t rate = flow->pump->rate;
    uint64_t most = rate / STEPS_A_SECOND > STEP_MIN ? rate / STEPS_A_SECOND : STEP_MIN;
    if (flow->pump->step && size > flow->pump->step)
        size = flow->pump->step - flow->pump->moved % PUMP_RECORD; /* ends where a full record does */
    return rate == 0 || size < most ? size : (size_t)most;
}

uint64_t flow_file_offset(const struct flow *flow, uint64_t done)
{
    return flow->positioned ? flow->pump->offset + done : RING_NO_OFFSET;
}

int flow_channel_error(struct flow *flow, int error)
{
    return channel_socket_failed(flow->pump->channel, flow_channel_way(flow), error);
}

bool flow_says_control_record(const struct flow *flow, int error)
{
    return channel_mode(flow->pump->channel, CHANNEL_RX) == CHANNEL_KERNEL &&
           (error == -EIO || error == -EINVAL || error == -EKEYEXPIRED);
}

int flow_control_record(struct flow *flow, int error, unsigned *fruitless)
{
    int result = channel_control(flow->pump->channel);
    bool goes_on = result == 0 || result == -EAGAIN;
    return goes_on && ++*fruitless == FRUITLESS_MAX ? flow_channel_error(flow, error) : result;
}

static struct flow *flow_new(struct pump *pump)
{
    const struct pump_path *path = pump->choice.path;
    struct flow *flow = calloc(1, path->state_size);
    if (!flow)
        return NULL;
    flow->pump = pump;
    flow->path = path;
    flow->positioned = lseek(pump->file, 0, SEEK_CUR) >= 0;
    flow_op_init(&flow->turn, flow, turn_over);
    flow->nudge = (struct flow_op){ .op.done = nudge_done, .flow = flow };
    path->begin(flow);
    return flow;
}

static void failed_start(struct ring_op *op, int result, unsigned flags)
{
    (void)flags;
    struct pump *pump = (struct pump *)((char *)op - offsetof(struct pump, op));
    pump->done(pump, result < 0 ? result : -ENOMEM);
}

static void pump_begin(struct pump *pump)
{
    struct flow *flow = flow_new(pump);
    pump->state = flow;
    if (flow) {
        flow_yield(flow);
        return;
    }
    pump->op = (struct ring_op){ .done = failed_start };
    ring_next(pump->ring, &pump->op);
}

static void pump_go_on(struct pump *pump, const struct pump_path *path, const char *why)
{
    if (pump->asked && !pump->choice.refused)
        pump->choice.refused = pump->asked;
    pump->choice.path = path;
    pump->choice.why = why;
    pump_begin(pump);
}

static void flow_finish(struct flow *flow)
{
    struct pump *pump = flow->pump;
    const struct pump_path *instead = flow->instead;
    const char *why = flow->instead_why;
    int told = flow_tell_channel(flow);
    int result = flow->result;
    if (result == 0 && told != 0) {
        result = told;
        pump->fault = PUMP_FAULT_CHANNEL;
    }
    flow->path->release(flow);
    free(flow);
    pump->state = NULL;
    if (instead && result == 0)
        pump_go_on(pump, instead, why);
    else
        pump->done(pump, result);
}

/* After every completion. The flow may be gone afterwards. */
static void flow_run(struct flow *flow)
{
    if (!flow->ended)
        flow->path->advance(flow);
    if (!flow->ended || flow->under_way > 0)
        return;
    if (flow_busy(&flow->nudge))
        flow_cancel(&flow->nudge);
    else
        flow_finish(flow);
}

void pump_start(struct pump *pump)
{
    pump->moved = 0;
    pump->fault = PUMP_FAULT_NONE;
    pump->excess_length = 0;
    enum channel_way way = pump->way == PUMP_SEND ? CHANNEL_TX : CHANNEL_RX;
    pump_choose(pump, channel_mode(pump->channel, way));
    pump_begin(pump);
}

void pump_stop(struct pump *pump)
{
    struct flow *flow = pump->state;
    if (!flow)
        return;
    if (flow->instead) {
        flow->instead = NULL;
        flow->result = -ECANCELED;
    }
    flow_end(flow, -ECANCELED, PUMP_FAULT_NONE);
}
