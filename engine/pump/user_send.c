/* A file into a channel where OpenSSL encrypts. */
#include "engine/pump/pump_internal.h"

#include <errno.h>

static bool user_drain(struct relay *relay, const uint8_t *bytes, size_t size)
{
    struct channel *channel = relay->flow.pump->channel;
    ssize_t taken = channel_write(channel, bytes, size < relay->budget ? size : relay->budget);
    if (taken > 0) {
        relay->budget -= (size_t)taken;
        relay_drained(relay, (size_t)taken);
        return true;
    }
    if (taken == -EAGAIN)
        relay_wait_out(relay, channel_fd(channel), channel_events(channel));
    else
        flow_end(&relay->flow, taken == 0 ? -EPROTO : (int)taken, PUMP_FAULT_CHANNEL);
    return false;
}

/* The drain only ever waits. */
static void user_drain_over(struct relay *relay, int result)
{
    (void)relay;
    (void)result;
}

static int user_finish(struct relay *relay)
{
    struct channel *channel = relay->flow.pump->channel;
    int result = channel_flush(channel);
    if (result == -EAGAIN)
        relay_wait_out(relay, channel_fd(channel), channel_events(channel));
    return result;
}

static const struct relay_ends user_send_ends = {
    .fill = relay_file_fill,
    .fill_over = relay_file_fill_over,
    .drain = user_drain,
    .drain_over = user_drain_over,
    .finish = user_finish,
};

const struct pump_path pump_path_user_send = {
    .name = "user",
    .way = PUMP_SEND,
    .modes = 1u << CHANNEL_USER,
    .state_size = sizeof(struct relay),
    .begin = relay_begin,
    .advance = relay_advance,
    .cancel = relay_cancel,
    .release = relay_release,
    .ends = &user_send_ends,
};
