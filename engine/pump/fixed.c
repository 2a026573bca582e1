/* A file into a socket through buffers: one copy, and the kernel encrypts from them, or nobody does. */
#include "engine/pump/pump_internal.h"

#include <errno.h>
#include <poll.h>

static bool fixed_drain(struct relay *relay, const uint8_t *bytes, size_t size)
{
    struct pump *pump = relay->flow.pump;
    ring_send(pump->ring, flow_start(&relay->drain), channel_fd(pump->channel), bytes, size);
    return false;
}

static void fixed_drain_over(struct relay *relay, int result)
{
    struct flow *flow = &relay->flow;
    if (result > 0) {
        relay_drained(relay, (size_t)result);
        flow_account(flow, (uint64_t)result);
    } else if (result == -EAGAIN && !flow->ended) {
        relay_wait_out(relay, channel_fd(flow->pump->channel), POLLOUT);
    } else if (result != -EINTR && !flow->ended) {
        flow_end(flow, result == 0 ? -EPROTO : flow_channel_error(flow, result), PUMP_FAULT_CHANNEL);
    }
}

static const struct relay_ends fixed_ends = {
    .fill = relay_file_fill,
    .fill_over = relay_file_fill_over,
    .drain = fixed_drain,
    .drain_over = fixed_drain_over,
    .finish = relay_nothing_to_finish,
};

const struct pump_path pump_path_fixed = {
    .name = "fixed",
    .way = PUMP_SEND,
    .modes = 1u << CHANNEL_PLAIN | 1u << CHANNEL_KERNEL,
    .state_size = sizeof(struct relay),
    .begin = relay_begin,
    .advance = relay_advance,
    .cancel = relay_cancel,
    .release = relay_release,
    .ends = &fixed_ends,
};
