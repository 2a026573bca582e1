/*
 * A file into a socket with sendfile(2), a step at a time: on the ring's own thread where the file stands in memory,
 * and elsewhere, where it would wait for a disk, on a thread of the pool.
 *
 * No step may wait for the socket, and sendfile(2) has no flag for that: the socket is non-blocking from the first step
 * until the path ends. Nothing else is under way in this direction, and who receives meanwhile waits with poll.
 */
#include "engine/pump/pump_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/sendfile.h>

#include "engine/disk/cache.h"
#include "engine/ring/jobs.h"

struct sendfile {
    struct flow flow;
    struct flow_op wait; /* for room in the socket */
    struct flow_op away; /* a step on a thread */
    struct job job;
    bool in_memory; /* all of the file, always */
    bool is_away;
    int flags; /* of the socket's file, as they were; -1: not changed */

    /* The step under way. */
    int file, socket;
    off_t offset;
    size_t size;
    ssize_t result;
};

static ssize_t send_step(const struct sendfile *send)
{
    off_t offset = send->offset;
    ssize_t sent = sendfile(send->socket, send->file, &offset, send->size);
    return sent < 0 ? -errno : sent;
}

static void run_away(struct job *job)
{
    struct sendfile *send = (struct sendfile *)((char *)job - offsetof(struct sendfile, job));
    send->result = send_step(send);
}

static void come_back(struct job *job)
{
    struct sendfile *send = (struct sendfile *)((char *)job - offsetof(struct sendfile, job));
    send->is_away = false;
    flow_over(&send->away, 0);
}

/* sendfile(2) does not say which side failed: these are what a socket says. */
static bool is_of_the_socket(int error)
{
    static const int errors[] = { EPIPE,     ECONNRESET, ECONNABORTED, ETIMEDOUT, EHOSTUNREACH, ENETUNREACH,
                                  EHOSTDOWN, ENETDOWN,   ENOTCONN,     ESHUTDOWN, ECONNREFUSED, EKEYEXPIRED,
                                  EMSGSIZE,  ENOBUFS,    ENOTSOCK,     EACCES,    EPERM,        EBADMSG };
    for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
        if (error == errors[i])
            return true;
    }
    return false;
}

static void step_failed(struct sendfile *send, int error)
{
    struct flow *flow = &send->flow;
    if (error == -EINVAL && flow->pump->moved == 0)
        flow_instead(flow, &pump_path_fixed, "this file system has no sendfile");
    else if (is_of_the_socket(-error))
        flow_end(flow, flow_channel_error(flow, error), PUMP_FAULT_CHANNEL);
    else
        flow_end(flow, error, PUMP_FAULT_FILE);
}

/* What came of a step: also after the end, what was sent is counted. */
static void step_over(struct sendfile *send)
{
    struct flow *flow = &send->flow;
    struct pump *pump = flow->pump;
    ssize_t result = send->result;
    if (result > 0) {
        pump->moved += (uint64_t)result;
        flow_account(flow, (uint64_t)result);
    }
    if (flow->ended || result == -EINTR)
        return;
    if (result == 0)
        flow_end(flow, -ENODATA, PUMP_FAULT_SHRUNK);
    else if (result < 0 && result != -EAGAIN)
        step_failed(send, (int)result);
    else if (pump->moved < pump->length && result < (ssize_t)send->size)
        ring_poll(pump->ring, flow_start(&send->wait), send->socket, POLLOUT);
}

static void record_away(struct flow *flow, int result)
{
    (void)result;
    step_over((struct sendfile *)flow);
}

static void record_wait(struct flow *flow, int result)
{
    if (result < 0 && !flow->ended)
        flow_end(flow, flow_channel_error(flow, result), PUMP_FAULT_CHANNEL);
}

static void sendfile_begin(struct flow *flow)
{
    struct sendfile *send = (struct sendfile *)flow;
    flow_op_init(&send->wait, flow, record_wait);
    flow_op_init(&send->away, flow, record_away);
    send->file = flow->pump->file;
    send->socket = channel_fd(flow->pump->channel);
    send->in_memory = cache_is_home(send->file);
    send->flags = fcntl(send->socket, F_GETFL);
    if (send->flags < 0 || fcntl(send->socket, F_SETFL, send->flags | O_NONBLOCK) != 0) {
        int error = -errno;
        send->flags = -1;
        flow_end(flow, error, PUMP_FAULT_CHANNEL);
    }
}

/* The last record of a step is sent as it is: end each step where a full one ends. */
static size_t step_size(const struct sendfile *send)
{
    const struct pump *pump = send->flow.pump;
    uint64_t left = pump->length - pump->moved;
    uint64_t step = PUMP_STEP - pump->moved % PUMP_RECORD;
    return flow_step(&send->flow, (size_t)(step < left ? step : left));
}

static bool waits_for_nothing(const struct sendfile *send)
{
    return send->in_memory || cache_holds(send->file, (uint64_t)send->offset, send->size) == CACHED_YES;
}

static void start_away(struct sendfile *send)
{
    struct flow *flow = &send->flow;
    struct jobs *threads = pool_threads(flow->pump->pool);
    if (!threads) {
        flow_instead(flow, &pump_path_splice, "no thread could be made for sendfile");
        return;
    }
    flow_start(&send->away);
    send->is_away = true;
    send->job = (struct job){ .run = run_away, .done = come_back, .home = flow->pump->ring };
    jobs_submit(threads, &send->job);
}

static void sendfile_advance(struct flow *flow)
{
    struct sendfile *send = (struct sendfile *)flow;
    struct pump *pump = flow->pump;
    if (send->is_away || flow_busy(&send->wait) || flow_busy(&flow->turn))
        return;
    if (pump->moved == pump->length) {
        flow_end(flow, 0, PUMP_FAULT_NONE);
        return;
    }
    send->offset = (off_t)(pump->offset + pump->moved);
    send->size = step_size(send);
    int refusal = ring_ask(pump->ring, RING_SENDFILE, &send->size);
    if (refusal != 0) {
        send->result = refusal;
    } else if (waits_for_nothing(send)) {
        send->result = send_step(send);
    } else {
        start_away(send);
        return;
    }
    step_over(send);
    if (!flow->ended && pump->moved == pump->length)
        flow_end(flow, 0, PUMP_FAULT_NONE);
    else if (!flow->ended && !flow_busy(&send->wait))
        flow_yield(flow);
}

/* A step on a thread cannot be called back, and waits for nothing but a disk. */
static void sendfile_cancel(struct flow *flow)
{
    flow_cancel(&((struct sendfile *)flow)->wait);
}

/* Who comes next, another path or a request, lets the ring wait on the socket. */
static void sendfile_release(struct flow *flow)
{
    const struct sendfile *send = (const struct sendfile *)flow;
    if (send->flags >= 0)
        fcntl(send->socket, F_SETFL, send->flags);
}

const struct pump_path pump_path_sendfile = {
    .name = "sendfile",
    .way = PUMP_SEND,
    .modes = 1u << CHANNEL_PLAIN | 1u << CHANNEL_KERNEL,
    .lacks = pump_needs_offsets,
    .state_size = sizeof(struct sendfile),
    .begin = sendfile_begin,
    .advance = sendfile_advance,
    .cancel = sendfile_cancel,
    .release = sendfile_release,
};
