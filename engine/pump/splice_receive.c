/*
 * A socket into a file through pipes: no byte passes through this process, and still each is copied, from the pipe into
 * the page cache. kTLS gives one record for a call (tls_sw_splice_read() in the kernel's net/tls/tls_sw.c), where
 * recv(2) takes as many as there is room for. So nobody gets this path who does not ask for it.
 */
#include "engine/pump/pump_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "engine/pump/piped.h"

struct splice_receive {
    struct piped piped;
    struct flow_op in;    /* waits for something in the socket */
    struct flow_op out;   /* to the file */
    struct flow_op pause; /* until more may be taken */
    struct pace pace;
    uint64_t unread; /* or PUMP_TO_END */
    size_t budget;   /* bytes that may still be taken before others have their turn */
    bool tried;      /* the file takes what a pipe has */
    bool source_over;
    int verdict; /* why the source is over; what had arrived by then goes to the file first */
    unsigned fruitless;
    uint8_t record[PUMP_RECORD]; /* what the channel had decrypted already */
};

static const char *splice_receive_lacks(const struct pump_facts *facts)
{
    if (!facts->regular)
        return "the target is not a regular file";
    return facts->pump->filter ? "the body comes in chunks, which must be read" : NULL;
}

static void record_wait(struct flow *flow, int result)
{
    if (result < 0 && !flow->ended)
        flow_end(flow, flow_channel_error(flow, result), PUMP_FAULT_CHANNEL);
}

static void record_pause(struct flow *flow, int result)
{
    if (result < 0 && result != -ETIME)
        flow_end(flow, result, PUMP_FAULT_NONE);
}

/* Also after the end: what arrived is counted. */
static void record_out(struct flow *flow, int result)
{
    struct splice_receive *receive = (struct splice_receive *)flow;
    if (result > 0)
        piped_drained(&receive->piped, (size_t)result);
    else if (result != -EINTR && result != -EAGAIN)
        flow_end(flow, result == 0 ? -EIO : result, PUMP_FAULT_FILE);
}

static void splice_receive_begin(struct flow *flow)
{
    struct splice_receive *receive = (struct splice_receive *)flow;
    const struct pump *pump = flow->pump;
    piped_begin(flow);
    flow_op_init(&receive->in, flow, record_wait);
    flow_op_init(&receive->out, flow, record_out);
    flow_op_init(&receive->pause, flow, record_pause);
    receive->unread = pump->length == PUMP_TO_END ? PUMP_TO_END : pump->length - pump->moved;
    receive->source_over = receive->unread == 0;
}

static void source_failed(struct splice_receive *receive, int error)
{
    receive->source_over = true;
    receive->verdict = error;
}

static void wait_for_bytes(struct splice_receive *receive, short events)
{
    struct pump *pump = receive->piped.flow.pump;
    ring_poll(pump->ring, flow_start(&receive->in), channel_fd(pump->channel), events);
}

static void took(struct splice_receive *receive, size_t bytes)
{
    piped_filled(&receive->piped, bytes);
    pace_used(&receive->pace, bytes);
    receive->fruitless = 0;
    receive->budget -= bytes < receive->budget ? bytes : receive->budget;
    if (receive->unread != PUMP_TO_END)
        receive->unread -= bytes;
    if (receive->unread == 0)
        receive->source_over = true;
}

/* What the channel itself has to say, into an empty pipe: bytes that were decrypted before the switch, or the end. */
static bool take_from_channel(struct splice_receive *receive, const struct pipe_lane *lane, size_t size)
{
    struct channel *channel = receive->piped.flow.pump->channel;
    size_t most = lane->pipe->pipe_size < PUMP_RECORD ? lane->pipe->pipe_size : PUMP_RECORD;
    ssize_t got = channel_read(channel, receive->record, size < most ? size : most);
    if (got > 0 && write(lane->pipe->pipe[1], receive->record, (size_t)got) == got)
        took(receive, (size_t)got);
    else if (got > 0)
        source_failed(receive, -EIO);
    else if (got == -EAGAIN)
        wait_for_bytes(receive, channel_events(channel));
    else
        source_failed(receive, got == 0 && receive->unread != PUMP_TO_END ? -ENODATA : (int)got);
    return got > 0;
}

/* A splice that failed; with -EAGAIN only where the pipe is empty. */
static bool take_failed(struct splice_receive *receive, int error)
{
    struct flow *flow = &receive->piped.flow;
    if (error == -EINTR)
        return true;
    int result = error;
    if (flow_says_control_record(flow, error))
        result = flow_control_record(flow, error, &receive->fruitless);
    else if (error == -EINVAL && flow->pump->moved == 0 && piped_is_empty(&receive->piped))
        flow_instead(flow, &pump_path_recv, "this socket cannot splice");
    else if (error != -EAGAIN)
        result = flow_channel_error(flow, error);
    if (result == -EAGAIN)
        wait_for_bytes(receive, POLLIN);
    else if (result == 1)
        source_failed(receive, receive->unread == PUMP_TO_END ? 0 : -ENODATA);
    else if (result != 0)
        source_failed(receive, result);
    return result == 0;
}

static size_t take_size(const struct splice_receive *receive, const struct pipe_lane *lane)
{
    size_t size = lane->pipe->pipe_size < receive->budget ? lane->pipe->pipe_size : receive->budget;
    if (size > receive->unread)
        size = (size_t)receive->unread;
    return receive->piped.flow.pump->rate > 0 ? pace_room(&receive->pace, size) : size;
}

/*
 * True where another try may bring more. A pipe that takes nothing is full, or there is nothing: that is told apart by
 * an empty one, and what is to come through the channel needs an empty one anyhow.
 */
static bool take(struct splice_receive *receive, struct pipe_lane *lane)
{
    struct pump *pump = receive->piped.flow.pump;
    int socket = channel_fd(pump->channel);
    size_t size = take_size(receive, lane);
    bool pending = channel_pending(pump->channel);
    ssize_t got = pending ? 0 : ring_ask(pump->ring, RING_SPLICE, &size);
    if (!pending && got == 0)
        got = piped_splice(socket, lane->pipe->pipe[1], socket, size, 0);
    if (got > 0) {
        took(receive, (size_t)got);
        flow_account(&receive->piped.flow, (uint64_t)got);
        return true;
    }
    if (lane->held > 0 && (got == 0 || got == -EAGAIN)) {
        lane->closed = true;
        return true;
    }
    return got == 0 ? take_from_channel(receive, lane, size) : take_failed(receive, (int)got);
}

/* True where nothing more may be taken for a while. */
static bool pauses(struct splice_receive *receive)
{
    struct pump *pump = receive->piped.flow.pump;
    unsigned milliseconds = 0;
    if (!flow_busy(&receive->pause) && pump->rate > 0)
        milliseconds = pace_wait(&receive->pace, pump->rate, PUMP_RECORD);
    if (milliseconds > 0)
        ring_timeout(pump->ring, flow_start(&receive->pause), milliseconds);
    return flow_busy(&receive->pause);
}

static bool fill(struct splice_receive *receive)
{
    struct piped *piped = &receive->piped;
    if (receive->source_over || receive->budget == 0 || flow_busy(&receive->in) || piped_makes_way(piped) ||
        pauses(receive))
        return false;
    struct pipe_lane *lane = piped_room(piped);
    return lane && take(receive, lane);
}

static void drain(struct splice_receive *receive)
{
    struct flow *flow = &receive->piped.flow;
    struct pump *pump = flow->pump;
    struct pipe_lane *lane = flow_busy(&receive->out) ? NULL : piped_load(&receive->piped);
    if (!lane)
        return;
    lane->closed = true;
    ring_splice_to_file(pump->ring, flow_start(&receive->out), lane->pipe->pipe[0], pump->file,
                        flow_file_offset(flow, pump->moved), lane->held);
}

/* An empty pipe is refused for what it lacks, where the file can splice at all (pipe(7), splice(2)). */
static int try_file(struct splice_receive *receive)
{
    struct pump *pump = receive->piped.flow.pump;
    const struct pipe_lane *lane = piped_room(&receive->piped);
    off_t offset = (off_t)pump->offset;
    size_t size = 1;
    int result = ring_ask(pump->ring, RING_SPLICE, &size);
    if (result == 0 && splice(lane->pipe->pipe[0], NULL, pump->file, &offset, size, SPLICE_F_NONBLOCK) < 0)
        result = -errno;
    receive->tried = true;
    return result == -EAGAIN || result == -EINTR ? 0 : result;
}

/* False: there is no pipe to put something into, and it waits for one; or it has ended. */
static bool has_pipe(struct splice_receive *receive)
{
    struct flow *flow = &receive->piped.flow;
    if (receive->source_over || flow_busy(&receive->in) || flow_busy(&receive->pause))
        return true;
    if (!piped_ready(&receive->piped))
        return false;
    int result = receive->tried ? 0 : try_file(receive);
    if (result == -EINVAL)
        flow_instead(flow, &pump_path_recv, "this file system cannot splice");
    else if (result != 0)
        flow_end(flow, result, PUMP_FAULT_FILE);
    return !flow->ended;
}

static void splice_receive_advance(struct flow *flow)
{
    struct splice_receive *receive = (struct splice_receive *)flow;
    struct piped *piped = &receive->piped;
    if (piped_waits(piped) || !has_pipe(receive))
        return;
    receive->budget = PUMP_STEP;
    while (!flow->ended && fill(receive))
        ;
    if (flow->ended)
        return;
    drain(receive);
    if (flow_busy(&receive->in) || flow_busy(&receive->pause) || piped_makes_way(piped))
        piped_rest(piped);
    if (receive->source_over && piped_is_empty(piped))
        flow_end(flow, receive->verdict, receive->verdict == 0 ? PUMP_FAULT_NONE : PUMP_FAULT_CHANNEL);
    else if (receive->budget == 0 || flow->under_way == 0)
        flow_yield(flow);
}

static void splice_receive_cancel(struct flow *flow)
{
    struct splice_receive *receive = (struct splice_receive *)flow;
    flow_cancel(&receive->in);
    flow_cancel(&receive->out);
    flow_cancel(&receive->pause);
    piped_cancel(&receive->piped);
}

const struct pump_path pump_path_splice_receive = {
    .name = "splice",
    .way = PUMP_RECEIVE,
    .modes = 1u << CHANNEL_PLAIN | 1u << CHANNEL_KERNEL,
    .lacks = splice_receive_lacks,
    .state_size = sizeof(struct splice_receive),
    .begin = splice_receive_begin,
    .advance = splice_receive_advance,
    .cancel = splice_receive_cancel,
    .release = piped_release,
};
