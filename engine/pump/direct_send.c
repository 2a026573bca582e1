/*
 * A file into a socket through buffers that the disk writes to (O_DIRECT) and the kernel encrypts from, or nobody: no
 * copy, and nothing of it stays in the page cache. Reads are of whole blocks: a body that begins within one is sent
 * from there, and what follows its end is not sent.
 */
#include "engine/pump/pump_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "engine/disk/direct_file.h"

struct direct_send {
    struct relay relay;
    struct direct_file file;
    size_t head; /* of the read under way: bytes before the body */
};

static const char *direct_send_lacks(const struct pump_facts *facts)
{
    struct direct_file file;
    if (!facts->regular)
        return "the source is not a regular file";
    const char *why = direct_open(&file, facts->pump->file, O_RDONLY);
    direct_close(&file);
    return why;
}

static void direct_send_begin(struct flow *flow)
{
    struct direct_send *send = (struct direct_send *)flow;
    relay_begin(flow);
    const char *why = direct_open(&send->file, flow->pump->file, O_RDONLY);
    if (why)
        flow_instead(flow, &pump_path_fixed, why);
}

static void direct_send_release(struct flow *flow)
{
    direct_close(&((struct direct_send *)flow)->file);
    relay_release(flow);
}

static bool direct_fill(struct relay *relay, uint8_t *room, size_t size)
{
    struct direct_send *send = (struct direct_send *)relay;
    struct pump *pump = relay->flow.pump;
    struct lane *lane = &relay->lanes[relay->filling];
    uint64_t position = pump->offset + relay->fetched;
    (void)room;
    (void)size;
    if (lane->begin == lane->end) {
        send->head = position % send->file.align;
        lane->begin = lane->end = send->head;
    } else if (lane->end % send->file.align != 0) {
        return false; /* a read that was short within a block: the next begins once this lane is drained */
    } else {
        send->head = 0;
    }
    size_t from = lane->end - send->head;
    uint64_t wanted = send->head + relay->unread + send->file.align - 1;
    wanted -= wanted % send->file.align;
    size_t length = PUMP_BUFFER_SIZE - from;
    relay_read(relay, send->file.fd, from, wanted < length ? (size_t)wanted : length, position - send->head);
    return false;
}

/* A read that brought less than what stands before the body: it may only have been short. */
static bool ends_within_head(const struct relay *relay)
{
    const struct pump *pump = relay->flow.pump;
    struct stat facts;
    return fstat(pump->file, &facts) != 0 || (uint64_t)facts.st_size <= pump->offset + relay->fetched;
}

static void direct_fill_over(struct relay *relay, int result)
{
    struct direct_send *send = (struct direct_send *)relay;
    struct flow *flow = &relay->flow;
    if (result > 0 && (size_t)result > send->head) {
        uint64_t got = (size_t)result - send->head;
        relay_filled(relay, (size_t)(got < relay->unread ? got : relay->unread));
    } else if (result >= 0 && (result == 0 || ends_within_head(relay))) {
        flow_end(flow, -ENODATA, PUMP_FAULT_SHRUNK);
    } else if (result == -EINVAL && relay->fetched == flow->pump->moved) {
        flow_instead(flow, &pump_path_fixed, "this file system refuses to read past the page cache");
    } else if (result < 0 && result != -EINTR && result != -EAGAIN) {
        flow_end(flow, result, PUMP_FAULT_FILE);
    }
}

static const struct relay_ends direct_send_ends = {
    .fill = direct_fill,
    .fill_over = direct_fill_over,
    .drain = relay_socket_drain,
    .drain_over = relay_socket_drain_over,
    .finish = relay_nothing_to_finish,
};

const struct pump_path pump_path_direct_send = {
    .name = "direct",
    .way = PUMP_SEND,
    .modes = 1u << CHANNEL_PLAIN | 1u << CHANNEL_KERNEL,
    .lacks = direct_send_lacks,
    .state_size = sizeof(struct direct_send),
    .begin = direct_send_begin,
    .advance = relay_advance,
    .cancel = relay_cancel,
    .release = direct_send_release,
    .ends = &direct_send_ends,
};
