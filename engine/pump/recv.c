/* A socket into a file: the kernel decrypts, or nobody encrypts. What the channel has read already comes first. */
#include "engine/pump/pump_internal.h"

#include <errno.h>
#include <poll.h>

#define FRUITLESS_MAX 64 /* errors in a row that say "control record" and bring no data after it */

static bool recv_fill(struct relay *relay, uint8_t *room, size_t size)
{
    struct pump *pump = relay->flow.pump;
    if (channel_pending(pump->channel))
        return relay_channel_fill(relay, room, size);
    ring_recv(pump->ring, flow_start(&relay->fill), channel_fd(pump->channel), room, size);
    return false;
}

/* A control record stands first in the queue (Documentation/networking/tls.rst). */
static void recv_control(struct relay *relay, int error)
{
    struct channel *channel = relay->flow.pump->channel;
    int result = channel_control(channel);
    bool goes_on = result == 0 || result == -EAGAIN;
    if (goes_on && ++relay->fruitless == FRUITLESS_MAX)
        relay_source_failed(relay, flow_channel_error(&relay->flow, error));
    else if (result == 1)
        relay_source_ended(relay);
    else if (result == -EAGAIN)
        relay_wait_in(relay, channel_fd(channel), POLLIN);
    else if (result != 0)
        relay_source_failed(relay, result);
}

static bool says_control_record(const struct pump *pump, int error)
{
    return channel_mode(pump->channel, CHANNEL_RX) == CHANNEL_KERNEL &&
           (error == -EIO || error == -EINVAL || error == -EKEYEXPIRED);
}

static void recv_fill_over(struct relay *relay, int result)
{
    struct pump *pump = relay->flow.pump;
    if (result > 0) {
        relay_filled(relay, (size_t)result);
        flow_account(&relay->flow, (uint64_t)result);
        return;
    }
    if (result == 0) {
        /* The end of TCP: only the channel knows whether it comes in good order. */
        size_t size;
        uint8_t *room = relay_room(relay, &size);
        relay_channel_fill(relay, room, size);
        return;
    }
    if (says_control_record(pump, result))
        recv_control(relay, result);
    else if (result == -EAGAIN)
        relay_wait_in(relay, channel_fd(pump->channel), POLLIN);
    else if (result != -EINTR)
        relay_source_failed(relay, flow_channel_error(&relay->flow, result));
}

static const struct relay_ends recv_ends = {
    .fill = recv_fill,
    .fill_over = recv_fill_over,
    .drain = relay_file_drain,
    .drain_over = relay_file_drain_over,
    .finish = relay_nothing_to_finish,
};

const struct pump_path pump_path_recv = {
    .name = "recv",
    .way = PUMP_RECEIVE,
    .modes = 1u << CHANNEL_PLAIN | 1u << CHANNEL_KERNEL,
    .state_size = sizeof(struct relay),
    .begin = relay_begin,
    .advance = relay_advance,
    .cancel = relay_cancel,
    .release = relay_release,
    .ends = &recv_ends,
};
