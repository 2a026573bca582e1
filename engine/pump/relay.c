#include "engine/pump/pump_internal.h"

#include <errno.h>
#include <string.h>

#define TURN_BYTES ((size_t)1 << 20) /* moved by calls of our own before other pumps have their turn */
#define ROOM_MIN ((size_t)16 << 10)  /* one TLS record: less room than that is not worth a call */

static void record_wait(struct flow *flow, int result)
{
    (void)result;
    struct relay *relay = (struct relay *)flow;
    if (!relay->wait.item) {
        flow_end(flow, relay->wait.error, PUMP_FAULT_NONE);
        return;
    }
    relay->lanes[0].buffer = relay->wait.item;
    relay->lane_count = 1;
    if (relay->unread <= PUMP_BUFFER_SIZE || flow->ended)
        return;
    relay->lanes[1].buffer = pool_try(flow->pump->pool, POOL_BUFFER);
    relay->lane_count = relay->lanes[1].buffer ? 2 : 1;
}

static enum pump_fault fault_of_source(const struct relay *relay)
{
    return relay->flow.pump->way == PUMP_SEND ? PUMP_FAULT_FILE : PUMP_FAULT_CHANNEL;
}

static enum pump_fault fault_of_sink(const struct relay *relay)
{
    return relay->flow.pump->way == PUMP_SEND ? PUMP_FAULT_CHANNEL : PUMP_FAULT_FILE;
}

static void fail_wait(struct relay *relay, int error, enum pump_fault fault)
{
    struct flow *flow = &relay->flow;
    flow_end(flow, fault == PUMP_FAULT_CHANNEL ? flow_channel_error(flow, error) : error, fault);
}

static void record_fill(struct flow *flow, int result)
{
    struct relay *relay = (struct relay *)flow;
    bool polled = relay->polls_in;
    relay->polls_in = false;
    if (flow->ended)
        return;
    if (!polled)
        flow->path->ends->fill_over(relay, result);
    else if (result < 0)
        fail_wait(relay, result, fault_of_source(relay));
}

/* Also after the end: what arrived is counted. */
static void record_drain(struct flow *flow, int result)
{
    struct relay *relay = (struct relay *)flow;
    bool polled = relay->polls_out;
    relay->polls_out = false;
    if (!polled)
        flow->path->ends->drain_over(relay, result);
    else if (result < 0 && !flow->ended)
        fail_wait(relay, result, fault_of_sink(relay));
}

void relay_begin(struct flow *flow)
{
    struct relay *relay = (struct relay *)flow;
    const struct pump *pump = flow->pump;
    flow_op_init(&relay->fill, flow, record_fill);
    flow_op_init(&relay->drain, flow, record_drain);
    flow_op_init(&relay->wait.op, flow, record_wait);
    relay->wait.kind = POOL_BUFFER;
    relay->unread = pump->length;
    relay->source_over = pump->length == 0;
    if (pump->filter && (pump->length != PUMP_TO_END || pump->excess_capacity == 0))
        flow_end(flow, -EINVAL, PUMP_FAULT_NONE);
}

void relay_wait_in(struct relay *relay, int fd, short events)
{
    relay->polls_in = true;
    ring_poll(relay->flow.pump->ring, flow_start(&relay->fill), fd, events);
}

void relay_wait_out(struct relay *relay, int fd, short events)
{
    relay->polls_out = true;
    ring_poll(relay->flow.pump->ring, flow_start(&relay->drain), fd, events);
}

/* Decodes in place what was just received. Returns the bytes of the body. */
static size_t relay_filter(struct relay *relay, uint8_t *bytes, size_t length)
{
    struct pump *pump = relay->flow.pump;
    size_t used = length;
    bool end = false;
    ssize_t kept = pump->filter(pump->filter_argument, (char *)bytes, length, &used, &end);
    if (kept < 0) {
        relay_source_failed(relay, (int)kept);
        return 0;
    }
    if (end) {
        pump->excess_length = length - used;
        memcpy(pump->excess, bytes + used, pump->excess_length);
        relay->source_over = true;
    }
    return (size_t)kept;
}

void relay_filled(struct relay *relay, size_t bytes)
{
    struct lane *lane = &relay->lanes[relay->filling];
    relay->fetched += bytes;
    relay->fruitless = 0;
    if (relay->unread != PUMP_TO_END)
        relay->unread -= bytes;
    if (relay->unread == 0)
        relay->source_over = true;
    lane->end += relay->flow.pump->filter ? relay_filter(relay, lane->buffer->bytes + lane->end, bytes) : bytes;
}

void relay_drained(struct relay *relay, size_t bytes)
{
    relay->lanes[relay->draining].begin += bytes;
    relay->flow.pump->moved += bytes;
}

void relay_source_failed(struct relay *relay, int error)
{
    relay->source_over = true;
    relay->verdict = error;
}

void relay_source_ended(struct relay *relay)
{
    bool may_end = relay->unread == PUMP_TO_END && !relay->flow.pump->filter;
    relay_source_failed(relay, may_end ? 0 : -ENODATA);
}

bool relay_channel_fill(struct relay *relay, uint8_t *room, size_t size)
{
    struct channel *channel = relay->flow.pump->channel;
    ssize_t got = channel_read(channel, room, size);
    if (got > 0) {
        relay->budget -= (size_t)got < relay->budget ? (size_t)got : relay->budget;
        relay_filled(relay, (size_t)got);
        return true;
    }
    if (got == -EAGAIN)
        relay_wait_in(relay, channel_fd(channel), channel_events(channel));
    else if (got == 0)
        relay_source_ended(relay);
    else
        relay_source_failed(relay, (int)got);
    return false;
}

static bool lane_is_empty(const struct lane *lane)
{
    return lane->begin == lane->end;
}

uint8_t *relay_room(struct relay *relay, size_t *size)
{
    struct lane *lane = &relay->lanes[relay->filling];
    if (lane_is_empty(lane))
        lane->begin = lane->end = 0;
    if (PUMP_BUFFER_SIZE - lane->end < ROOM_MIN) {
        if (relay->lane_count < 2 || relay->filling != relay->draining)
            return NULL;
        relay->filling ^= 1;
        lane = &relay->lanes[relay->filling];
        lane->begin = lane->end = 0;
    }
    size_t room = PUMP_BUFFER_SIZE - lane->end;
    if (room > relay->unread)
        room = (size_t)relay->unread;
    if (relay->flow.pump->filter && room > relay->flow.pump->excess_capacity)
        room = relay->flow.pump->excess_capacity;
    *size = room;
    return lane->buffer->bytes + lane->end;
}

static bool relay_fill(struct relay *relay)
{
    if (relay->source_over || relay->budget == 0 || flow_busy(&relay->fill))
        return false;
    size_t size;
    uint8_t *room = relay_room(relay, &size);
    return room && relay->flow.path->ends->fill(relay, room, size);
}

static bool relay_drain(struct relay *relay)
{
    if (relay->budget == 0 || flow_busy(&relay->drain))
        return false;
    if (lane_is_empty(&relay->lanes[relay->draining]))
        relay->draining = relay->filling;
    const struct lane *lane = &relay->lanes[relay->draining];
    if (lane_is_empty(lane))
        return false;
    return relay->flow.path->ends->drain(relay, lane->buffer->bytes + lane->begin, lane->end - lane->begin);
}

/* The second lane is a luxury while others have none. */
static void relay_share(struct relay *relay)
{
    struct pump_pool *pool = relay->flow.pump->pool;
    if (relay->lane_count < 2 || relay->filling != relay->draining || !pool_contended(pool, POOL_BUFFER))
        return;
    struct pool_item *spare = relay->lanes[relay->filling ^ 1].buffer;
    relay->lanes[0] = relay->lanes[relay->filling];
    relay->filling = relay->draining = 0;
    relay->lane_count = 1;
    pool_give_back(pool, POOL_BUFFER, spare, false);
}

static bool relay_is_drained(const struct relay *relay)
{
    return !flow_busy(&relay->fill) && !flow_busy(&relay->drain) && lane_is_empty(&relay->lanes[0]) &&
           lane_is_empty(&relay->lanes[1]);
}

static void relay_finish(struct relay *relay)
{
    struct flow *flow = &relay->flow;
    if (relay->verdict != 0) {
        flow_end(flow, relay->verdict, fault_of_source(relay));
        return;
    }
    int result = flow->path->ends->finish(relay);
    if (result != -EAGAIN)
        flow_end(flow, result, result == 0 ? PUMP_FAULT_NONE : fault_of_sink(relay));
}

void relay_advance(struct flow *flow)
{
    struct relay *relay = (struct relay *)flow;
    if (relay->wait.queued || flow_busy(&relay->wait.op))
        return;
    if (relay->lane_count == 0 && !relay->source_over) {
        pool_wait(flow->pump->pool, &relay->wait);
        return;
    }
    relay->budget = TURN_BYTES;
    bool more = true;
    while (more && !flow->ended) {
        more = relay_fill(relay);
        more |= relay_drain(relay);
    }
    if (flow->ended)
        return;
    relay_share(relay);
    if (relay->source_over && relay_is_drained(relay))
        relay_finish(relay);
    else if (relay->budget == 0)
        flow_yield(flow);
}

void relay_cancel(struct flow *flow)
{
    struct relay *relay = (struct relay *)flow;
    flow_cancel(&relay->fill);
    flow_cancel(&relay->drain);
    pool_leave(flow->pump->pool, &relay->wait);
}

void relay_release(struct flow *flow)
{
    struct relay *relay = (struct relay *)flow;
    for (unsigned i = 0; i < relay->lane_count; i++)
        pool_give_back(flow->pump->pool, POOL_BUFFER, relay->lanes[i].buffer, false);
}
