/*
 * A socket into a file past the page cache (O_DIRECT): decrypted by the kernel, or by nobody, into buffers that the
 * disk reads from. Only whole blocks go that way; what a body has before the first and after the last takes the usual
 * one. A byte stands in its buffer where it will stand within its block.
 */
#include "engine/pump/pump_internal.h"

#include <errno.h>
#include <fcntl.h>

#include "engine/disk/direct_file.h"

struct direct_receive {
    struct relay relay;
    struct direct_file file; /* closed: this file system refuses, and all goes the usual way */
    bool past_cache;         /* the write under way */
};

static const char *direct_receive_lacks(const struct pump_facts *facts)
{
    struct direct_file file;
    if (!facts->regular)
        return "the target is not a regular file";
    const char *why = direct_open(&file, facts->pump->file, O_WRONLY);
    direct_close(&file);
    return why;
}

/* Of the next byte that comes. */
static uint64_t position(const struct relay *relay)
{
    const struct pump *pump = relay->flow.pump;
    const struct lane *lanes = relay->lanes;
    return pump->offset + pump->moved + (lanes[0].end - lanes[0].begin) + (lanes[1].end - lanes[1].begin);
}

static size_t direct_lane_start(const struct relay *relay)
{
    return position(relay) % ((const struct direct_receive *)relay)->file.align;
}

static void direct_receive_begin(struct flow *flow)
{
    struct direct_receive *receive = (struct direct_receive *)flow;
    relay_begin(flow);
    receive->relay.room_min = 1;
    const char *why = direct_open(&receive->file, flow->pump->file, O_WRONLY);
    if (why)
        flow_instead(flow, &pump_path_recv, why);
}

static void direct_receive_release(struct flow *flow)
{
    direct_close(&((struct direct_receive *)flow)->file);
    recv_release(flow);
}

static bool direct_drain(struct relay *relay, const uint8_t *bytes, size_t size)
{
    struct direct_receive *receive = (struct direct_receive *)relay;
    const struct pump *pump = relay->flow.pump;
    size_t align = receive->file.align, lead = (pump->offset + pump->moved) % align;
    receive->past_cache = receive->file.fd >= 0 && lead == 0 && size >= align;
    if (receive->past_cache) {
        relay_write(relay, receive->file.fd, bytes, size - size % align, pump->offset + pump->moved);
        return false;
    }
    if (receive->file.fd >= 0 && lead > 0 && size >= align - lead)
        size = align - lead;
    else if (receive->file.fd >= 0 && !relay->source_over && !relay_makes_way(relay))
        return false; /* the rest of this block has not come yet */
    return relay_file_drain(relay, bytes, size);
}

static void direct_drain_over(struct relay *relay, int result)
{
    struct direct_receive *receive = (struct direct_receive *)relay;
    struct pump *pump = relay->flow.pump;
    if (!receive->past_cache || result != -EINVAL || relay->flow.ended) {
        relay_file_drain_over(relay, result);
        return;
    }
    direct_close(&receive->file);
    pump->choice = (struct pump_choice){ .path = &pump_path_recv,
                                         .why = "this file system refuses to write past the page cache",
                                         .refused = pump->asked };
}

static const struct relay_ends direct_receive_ends = {
    .fill = recv_fill,
    .fill_over = recv_fill_over,
    .lane_start = direct_lane_start,
    .drain = direct_drain,
    .drain_over = direct_drain_over,
    .slow = recv_slow,
    .finish = relay_nothing_to_finish,
};

const struct pump_path pump_path_direct_receive = {
    .name = "direct",
    .way = PUMP_RECEIVE,
    .modes = 1u << CHANNEL_PLAIN | 1u << CHANNEL_KERNEL,
    .lacks = direct_receive_lacks,
    .state_size = sizeof(struct direct_receive),
    .begin = direct_receive_begin,
    .advance = relay_advance,
    .cancel = relay_cancel,
    .release = direct_receive_release,
    .ends = &direct_receive_ends,
};
