#include "engine/pump/pump_internal.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

/*
 * A file that is nowhere but in memory (tmpfs) is read by this thread itself: the kernel refuses to try that without
 * waiting (RWF_NOWAIT) and the ring would hand each read to a kernel thread. With both ends on two processors that
 * costs a server 15 % more of its time, and the bytes are in another processor's cache when they are encrypted.
 */
static bool read_here(struct relay *relay, uint8_t *room, size_t size)
{
    struct pump *pump = relay->flow.pump;
    ssize_t got = ring_ask(pump->ring, RING_READ, &size);
    if (got == 0) {
        got = pread(pump->file, room, size, (off_t)flow_file_offset(&relay->flow, relay->fetched));
        got = got < 0 ? -errno : got;
    }
    relay_file_fill_over(relay, (int)got);
    return got > 0 || got == -EINTR;
}

bool relay_file_fill(struct relay *relay, uint8_t *room, size_t size)
{
    struct pump *pump = relay->flow.pump;
    if (relay->in_memory)
        return read_here(relay, room, size);
    ring_read(pump->ring, flow_start(&relay->fill), pump->file, room, size,
              flow_file_offset(&relay->flow, relay->fetched));
    return false;
}

void relay_file_fill_over(struct relay *relay, int result)
{
    struct flow *flow = &relay->flow;
    if (result > 0)
        relay_filled(relay, (size_t)result);
    else if (result == 0)
        flow_end(flow, -ENODATA, PUMP_FAULT_SHRUNK);
    else if (result == -EAGAIN)
        relay_wait_in(relay, flow->pump->file, POLLIN);
    else if (result != -EINTR)
        flow_end(flow, result, PUMP_FAULT_FILE);
}

bool relay_file_drain(struct relay *relay, const uint8_t *bytes, size_t size)
{
    struct pump *pump = relay->flow.pump;
    ring_write(pump->ring, flow_start(&relay->drain), pump->file, bytes, size,
               flow_file_offset(&relay->flow, pump->moved));
    return false;
}

void relay_file_drain_over(struct relay *relay, int result)
{
    struct flow *flow = &relay->flow;
    if (result > 0)
        relay_drained(relay, (size_t)result);
    else if (result == -EAGAIN && !flow->ended)
        relay_wait_out(relay, flow->pump->file, POLLOUT);
    else if (result != -EINTR)
        flow_end(flow, result == 0 ? -EIO : result, PUMP_FAULT_FILE);
}

static void say_what_lacks(struct pump *pump)
{
    if (pump->asked && !pump->choice.refused)
        pump->choice.why = "asked for; RLIMIT_MEMLOCK leaves no room for registered buffers (ulimit -l)";
}

void relay_read(struct relay *relay, int fd, size_t from, size_t size, uint64_t offset)
{
    struct pump *pump = relay->flow.pump;
    struct pool_item *buffer = relay->lanes[relay->filling].buffer;
    struct ring_op *op = flow_start(&relay->fill);
    if (pool_register(pump->pool, buffer)) {
        ring_read_fixed(pump->ring, op, fd, buffer->bytes + from, size, offset, buffer->slot);
        return;
    }
    say_what_lacks(pump);
    ring_read(pump->ring, op, fd, buffer->bytes + from, size, offset);
}

void relay_write(struct relay *relay, int fd, const uint8_t *bytes, size_t size, uint64_t offset)
{
    struct pump *pump = relay->flow.pump;
    struct pool_item *buffer = relay->lanes[relay->draining].buffer;
    struct ring_op *op = flow_start(&relay->drain);
    if (pool_register(pump->pool, buffer)) {
        ring_write_fixed(pump->ring, op, fd, bytes, size, offset, buffer->slot);
        return;
    }
    say_what_lacks(pump);
    ring_write(pump->ring, op, fd, bytes, size, offset);
}

int relay_nothing_to_finish(struct relay *relay)
{
    (void)relay;
    return 0;
}
