#include "engine/pump/pump_internal.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "engine/disk/cache.h"

#define TURN_BYTES ((size_t)1 << 20) /* moved by calls of our own before other pumps have their turn */
#define ROOM_MIN ((size_t)16 << 10)  /* one TLS record: less room than that is not worth a call */

/*
 * What is received is written in pieces of this many bytes, or as much as came within so long. One TLS record at a
 * time, which is how it often arrives, each write costs a turn of a kernel thread: buffered writes of most file systems
 * are not tried on the thread that asks for them. PUT of 64 MiB to tmpfs, Debian 12's kernel, instructions per
 * byte: 5.1 without this (bench/instructions --only put-kernel).
 */
#define GATHER ((size_t)256 << 10)
#define GATHER_MILLISECONDS 20

/* What it reads it can read again, where it has to give its lanes up before the peer has taken what is in them. */
static bool can_read_again(const struct relay *relay)
{
    return relay->flow.pump->way == PUMP_SEND && relay->flow.positioned;
}

static void relay_add_lane(struct relay *relay, struct pool_item *buffer)
{
    if (relay->lane_count == 0) {
        relay->turn = 0;
        relay->asked_at = UINT64_MAX;
        if (can_read_again(relay))
            pool_hold(relay->flow.pump->pool, &relay->holder);
    }
    relay->lanes[relay->lane_count++] = (struct lane){ .buffer = buffer };
}

/* Keeps the lane that is being filled where it keeps one. */
static void relay_drop_lane(struct relay *relay)
{
    struct pool_item *buffer = relay->lanes[relay->lane_count == 2 ? relay->filling ^ 1 : 0].buffer;
    relay->lanes[0] = relay->lane_count == 2 ? relay->lanes[relay->filling] : (struct lane){ 0 };
    relay->lanes[1] = (struct lane){ 0 };
    relay->lane_count--;
    relay->filling = relay->draining = 0;
    if (relay->lane_count == 0)
        pool_unhold(&relay->holder);
    pool_give_back(relay->flow.pump->pool, POOL_BUFFER, buffer, false);
}

static void relay_drop_lanes(struct relay *relay)
{
    while (relay->lane_count > 0)
        relay_drop_lane(relay);
}

/* True where a second lane is there. It is taken only when the first is full and still being drained. */
static bool relay_second_lane(struct relay *relay)
{
    if (relay->lane_count == 2)
        return true;
    struct pool_item *buffer = pool_try(relay->flow.pump->pool, POOL_BUFFER);
    if (!buffer)
        return false;
    relay_add_lane(relay, buffer);
    return true;
}

static void record_wait(struct flow *flow, int result)
{
    (void)result;
    struct relay *relay = (struct relay *)flow;
    if (!relay->wait.item) {
        flow_end(flow, relay->wait.error, PUMP_FAULT_NONE);
        return;
    }
    relay_add_lane(relay, relay->wait.item);
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

/* ---- a peer that takes nothing ---- */

/*
 * Others wait for a buffer. It is theirs where nothing has left this one since it was asked before: a peer that reads
 * slowly, or not at all, would hold it for as long as it likes.
 */
static bool relay_asked(struct pool_holder *holder)
{
    struct relay *relay = (struct relay *)((char *)holder - offsetof(struct relay, holder));
    uint64_t moved = relay->flow.pump->moved;
    bool is_stuck = relay->asked_at == moved && flow_busy(&relay->drain) && !flow_busy(&relay->fill);
    relay->asked_at = moved;
    if (!is_stuck || relay->yields || relay->verdict != 0)
        return false;
    relay->yields = true;
    flow_cancel(&relay->drain);
    return true;
}

/* What stands in the lanes is read again once there is room for it in the socket. */
static void relay_yield(struct relay *relay)
{
    struct pump *pump = relay->flow.pump;
    uint64_t back = relay->fetched - pump->moved;
    relay_drop_lanes(relay);
    relay->fetched = pump->moved;
    if (relay->unread != PUMP_TO_END)
        relay->unread += back;
    if (back > 0)
        relay->source_over = false;
    relay_wait_out(relay, channel_fd(pump->channel), POLLOUT);
}

static void relay_wait_for_lane(struct relay *relay)
{
    struct pump *pump = relay->flow.pump;
    pool_wait(pump->pool, &relay->wait);
    if (relay->wait.queued && !flow_busy(&relay->patience))
        ring_timeout(pump->ring, flow_start(&relay->patience), POOL_PATIENCE_MILLISECONDS);
}

static void record_patience(struct flow *flow, int result)
{
    struct relay *relay = (struct relay *)flow;
    if (result == -ECANCELED || flow->ended || !relay->wait.queued)
        return;
    pool_press(flow->pump->pool);
    ring_timeout(flow->pump->ring, flow_start(&relay->patience), POOL_PATIENCE_MILLISECONDS);
}

static void record_pause(struct flow *flow, int result)
{
    struct relay *relay = (struct relay *)flow;
    if (result < 0 && result != -ETIME && !flow->ended)
        relay_source_failed(relay, result);
}

static void record_hold(struct flow *flow, int result)
{
    struct relay *relay = (struct relay *)flow;
    if (result == -ECANCELED || flow->ended)
        return;
    relay->held_long = flow->pump->moved == relay->held_at;
    if (!relay->wakes_late)
        return;
    if (relay->fetched == relay->seen)
        flow->path->ends->slow(relay);
    else
        relay_tick(relay);
}

void relay_tick(struct relay *relay)
{
    struct flow *flow = &relay->flow;
    if (flow_busy(&relay->hold))
        return;
    relay->held_at = flow->pump->moved;
    relay->seen = relay->fetched;
    ring_timeout(flow->pump->ring, flow_start(&relay->hold), GATHER_MILLISECONDS);
}

/* Also after the end: what arrived is counted. */
static void record_drain(struct flow *flow, int result)
{
    struct relay *relay = (struct relay *)flow;
    bool polled = relay->polls_out, yields = relay->yields && result == -ECANCELED && !flow->ended;
    relay->polls_out = relay->yields = false;
    if (yields)
        relay_yield(relay);
    else if (!polled)
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
    flow_op_init(&relay->pause, flow, record_pause);
    flow_op_init(&relay->hold, flow, record_hold);
    flow_op_init(&relay->patience, flow, record_patience);
    relay->holder.asked = relay_asked;
    flow_op_init(&relay->wait.op, flow, record_wait);
    relay->wait.kind = POOL_BUFFER;
    relay->room_min = ROOM_MIN;
    relay->in_memory = pump->way == PUMP_SEND && flow->positioned && cache_is_home(pump->file);
    relay->unread = pump->length == PUMP_TO_END ? PUMP_TO_END : pump->length - pump->moved;
    relay->fetched = pump->moved;
    relay->source_over = relay->unread == 0;
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
    relay->turn += bytes;
    relay->fruitless = 0;
    pace_used(&relay->pace, bytes);
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

static bool relay_is_paced(const struct relay *relay)
{
    const struct pump *pump = relay->flow.pump;
    return pump->way == PUMP_RECEIVE && pump->rate > 0;
}

/* True where nothing more may be taken for a while. */
static bool relay_pauses(struct relay *relay)
{
    struct pump *pump = relay->flow.pump;
    if (flow_busy(&relay->pause))
        return true;
    if (!relay_is_paced(relay))
        return false;
    unsigned milliseconds = pace_wait(&relay->pace, pump->rate, ROOM_MIN);
    if (milliseconds == 0)
        return false;
    ring_timeout(pump->ring, flow_start(&relay->pause), milliseconds);
    return true;
}

static size_t lane_start(const struct relay *relay)
{
    const struct relay_ends *ends = relay->flow.path->ends;
    return ends->lane_start ? ends->lane_start(relay) : 0;
}

uint8_t *relay_room(struct relay *relay, size_t *size)
{
    struct lane *lane = &relay->lanes[relay->filling];
    if (lane_is_empty(lane))
        lane->begin = lane->end = lane_start(relay);
    if (PUMP_BUFFER_SIZE - lane->end < relay->room_min) {
        if (relay->filling != relay->draining || !relay_second_lane(relay))
            return NULL;
        relay->filling ^= 1;
        lane = &relay->lanes[relay->filling];
        lane->begin = lane->end = lane_start(relay);
    }
    size_t room = PUMP_BUFFER_SIZE - lane->end;
    if (room > relay->unread)
        room = (size_t)relay->unread;
    if (pool_contended(relay->flow.pump->pool, POOL_BUFFER) && room > PUMP_CROWDED_TURN)
        room = PUMP_CROWDED_TURN;
    if (relay->flow.pump->filter && room > relay->flow.pump->excess_capacity)
        room = relay->flow.pump->excess_capacity;
    *size = relay_is_paced(relay) ? pace_room(&relay->pace, room) : room;
    return lane->buffer->bytes + lane->end;
}

bool relay_makes_way(const struct relay *relay)
{
    return relay->turn >= PUMP_CROWDED_TURN && pool_contended(relay->flow.pump->pool, POOL_BUFFER);
}

static bool relay_fill(struct relay *relay)
{
    if (relay->source_over || relay->yields || relay_makes_way(relay) || relay->budget == 0 ||
        flow_busy(&relay->fill) || relay_pauses(relay))
        return false;
    size_t size;
    uint8_t *room = relay_room(relay, &size);
    return room && relay->flow.path->ends->fill(relay, room, size);
}

/* True where what was received is too little to be written yet: more will come soon, or the timer says otherwise. */
static bool relay_holds(struct relay *relay, size_t size)
{
    struct flow *flow = &relay->flow;
    if (flow->pump->way == PUMP_SEND || !flow->positioned || relay->source_over || size >= GATHER)
        return false;
    bool has_room = PUMP_BUFFER_SIZE - relay->lanes[relay->filling].end >= relay->room_min;
    if (relay->filling != relay->draining || relay->held_long || !has_room || relay_makes_way(relay))
        return false;
    relay_tick(relay);
    return true;
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
    size_t size = lane->end - lane->begin;
    if (relay_holds(relay, size))
        return false;
    relay->held_long = false;
    if (relay->flow.pump->way == PUMP_SEND)
        size = flow_step(&relay->flow, size);
    return relay->flow.path->ends->drain(relay, lane->buffer->bytes + lane->begin, size);
}

/*
 * A pump that waits for a slow peer holds no more than it needs: the second lane only while both are in use, and none
 * at all while it waits for the first byte to put into one.
 */
static void relay_give_back(struct relay *relay)
{
    bool drains = flow_busy(&relay->drain);
    bool contended = pool_contended(relay->flow.pump->pool, POOL_BUFFER);
    if (relay->lane_count == 2 && relay->filling == relay->draining && (!drains || contended))
        relay_drop_lane(relay);
    bool waits = relay->polls_in || flow_busy(&relay->pause) || (relay_makes_way(relay) && !flow_busy(&relay->fill));
    if (relay->lane_count == 1 && !drains && waits && lane_is_empty(&relay->lanes[0]))
        relay_drop_lane(relay);
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
    else if (relay->polls_out) /* what is still to go stands elsewhere */
        relay_drop_lanes(relay);
}

/* False: it waits, for a buffer or for something to put into it. */
static bool relay_first_lane(struct relay *relay)
{
    struct pump_pool *pool = relay->flow.pump->pool;
    if (flow_busy(&relay->fill) || flow_busy(&relay->pause) || relay->polls_out)
        return false;
    struct pool_item *buffer = pool_try(pool, POOL_BUFFER);
    if (buffer)
        relay_add_lane(relay, buffer);
    else
        relay_wait_for_lane(relay);
    return buffer != NULL;
}

void relay_advance(struct flow *flow)
{
    struct relay *relay = (struct relay *)flow;
    if (relay->wait.queued || flow_busy(&relay->wait.op))
        return;
    if (relay->lane_count == 0 && !relay->source_over && !relay_first_lane(relay))
        return;
    relay->budget = TURN_BYTES;
    bool more = true;
    while (more && !flow->ended) {
        more = relay_fill(relay);
        if (!flow->ended)
            more |= relay_drain(relay);
    }
    if (flow->ended)
        return;
    relay_give_back(relay);
    if (relay->source_over && relay_is_drained(relay))
        relay_finish(relay);
    else if (relay->lane_count == 0 && !relay->source_over && !flow_busy(&relay->fill) && !flow_busy(&relay->pause))
        relay_wait_for_lane(relay);
    else if (relay->budget == 0 || flow->under_way == (unsigned)flow_busy(&relay->patience))
        flow_yield(flow);
}

void relay_cancel(struct flow *flow)
{
    struct relay *relay = (struct relay *)flow;
    flow_cancel(&relay->fill);
    flow_cancel(&relay->drain);
    flow_cancel(&relay->pause);
    flow_cancel(&relay->hold);
    flow_cancel(&relay->patience);
    pool_leave(flow->pump->pool, &relay->wait);
}

void relay_release(struct flow *flow)
{
    struct relay *relay = (struct relay *)flow;
    pool_unhold(&relay->holder);
    for (unsigned i = 0; i < relay->lane_count; i++)
        pool_give_back(flow->pump->pool, POOL_BUFFER, relay->lanes[i].buffer, false);
}
