/* A file into a socket through registered buffers: one copy, and the kernel encrypts from them, or nobody does. */
#include "engine/pump/pump_internal.h"

#include <errno.h>
#include <poll.h>

bool relay_socket_drain(struct relay *relay, const uint8_t *bytes, size_t size)
{
    struct pump *pump = relay->flow.pump;
    ring_send(pump->ring, flow_start(&relay->drain), channel_fd(pump->channel), bytes, size);
    return false;
}

void relay_socket_drain_over(struct relay *relay, int result)
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

static bool fixed_fill(struct relay *relay, uint8_t *room, size_t size)
{
    const struct lane *lane = &relay->lanes[relay->filling];
    relay_read(relay, relay->flow.pump->file, (size_t)(room - lane->buffer->bytes), size,
               flow_file_offset(&relay->flow, relay->fetched));
    return false;
}

static const struct relay_ends fixed_ends = {
    .fill = fixed_fill,
    .fill_over = relay_file_fill_over,
    .drain = relay_socket_drain,
    .drain_over = relay_socket_drain_over,
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
