/* A socket into a file: the kernel decrypts, or nobody encrypts. What the channel has read already comes first. */
#include "engine/pump/pump_internal.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

/*
 * A peer that sends fast wakes us once for so many bytes (SO_RCVLOWAT, socket(7)): kTLS takes what wakes it from TCP,
 * and a turn of this thread for each record costs a fifth of what the record itself does. Never near the body's end,
 * and only while it flows: what came is waited for no longer than the relay's tick. PUT of 64 MiB, bench/instructions
 * --only put-kernel.
 */
#define WAKE_LATE ((int)256 << 10)
#define FAST ((uint64_t)1 << 20) /* came without a pause */

static void wake_late(struct relay *relay, bool late)
{
    int bytes = late ? WAKE_LATE : 1;
    if (late == relay->wakes_late)
        return;
    if (setsockopt(channel_fd(relay->flow.pump->channel), SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof(bytes)) == 0)
        relay->wakes_late = late;
}

void recv_slow(struct relay *relay)
{
    relay->slow_at = relay->fetched;
    wake_late(relay, false);
}

static void choose_wake(struct relay *relay)
{
    const struct pump *pump = relay->flow.pump;
    bool lasts = relay->unread != PUMP_TO_END && relay->unread > 2 * (uint64_t)WAKE_LATE;
    bool fast = relay->fetched - relay->slow_at >= FAST;
    wake_late(relay, lasts && fast && pump->rate == 0);
    if (relay->wakes_late)
        relay_tick(relay);
}

bool recv_fill(struct relay *relay, uint8_t *room, size_t size)
{
    struct pump *pump = relay->flow.pump;
    if (channel_pending(pump->channel))
        return relay_channel_fill(relay, room, size);
    choose_wake(relay);
    ring_recv(pump->ring, flow_start(&relay->fill), channel_fd(pump->channel), room, size);
    return false;
}

static void recv_control(struct relay *relay, int error)
{
    int result = flow_control_record(&relay->flow, error, &relay->fruitless);
    if (result == 1)
        relay_source_ended(relay);
    else if (result == -EAGAIN)
        relay_wait_in(relay, channel_fd(relay->flow.pump->channel), POLLIN);
    else if (result != 0)
        relay_source_failed(relay, result);
}

void recv_fill_over(struct relay *relay, int result)
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
    if (flow_says_control_record(&relay->flow, result))
        recv_control(relay, result);
    else if (result == -EAGAIN)
        relay_wait_in(relay, channel_fd(pump->channel), POLLIN);
    else if (result != -EINTR)
        relay_source_failed(relay, flow_channel_error(&relay->flow, result));
}

/* The next request is waited for as every other. */
void recv_release(struct flow *flow)
{
    wake_late((struct relay *)flow, false);
    relay_release(flow);
}

static const struct relay_ends recv_ends = {
    .fill = recv_fill,
    .fill_over = recv_fill_over,
    .drain = relay_file_drain,
    .drain_over = relay_file_drain_over,
    .slow = recv_slow,
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
    .release = recv_release,
    .ends = &recv_ends,
};
