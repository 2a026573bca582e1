#include "engine/client/client_internal.h"

#include <errno.h>
#include <poll.h>

#include "engine/client/verify.h"

#define TICK_MS 200 /* how often a running pump is looked at */

uint64_t client_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void op_done(struct ring_op *ring_op, int result, unsigned flags)
{
    struct client_op *op = (struct client_op *)ring_op;
    (void)flags;
    op->busy = false;
    op->result = result;
    ring_stop(op->client->ring);
}

static void op_begin(struct client *client, struct client_op *op)
{
    op->op.done = op_done;
    op->client = client;
    op->busy = true;
    op->result = 0;
}

void client_op_poll(struct client *client, struct client_op *op, int fd, short events)
{
    op_begin(client, op);
    ring_poll(client->ring, &op->op, fd, events);
}

void client_op_timer(struct client *client, struct client_op *op, unsigned milliseconds)
{
    op_begin(client, op);
    ring_timeout(client->ring, &op->op, milliseconds);
}

void client_op_connect(struct client *client, struct client_op *op, int fd, const struct sockaddr *address,
                       socklen_t length)
{
    op_begin(client, op);
    ring_connect(client->ring, &op->op, fd, address, length);
}

int client_turn(struct client *client)
{
    int result = ring_run(client->ring);
    if (!client->interrupt.busy && client->options.interrupt_fd > 0 && client->interrupt.result > 0)
        client->interrupted = true;
    if (client->stop_fd > 0 && !client->stop.busy && client->stop.result > 0)
        client->interrupted = true;
    return result;
}

void client_heed_stop(struct client *client, int fd)
{
    if (client->stop.busy)
        client_settle(client, &client->stop);
    client->stop_fd = fd;
    if (fd > 0) {
        client_op_poll(client, &client->stop, fd, POLLIN);
        return;
    }
    bool real = !client->interrupt.busy && client->options.interrupt_fd > 0 && client->interrupt.result > 0;
    client->interrupted = real;
}

/* Where what is under way must be waited for, a ring that fails (no memory) is tried again, but not in a hot loop. */
static void turn_or_sleep(struct client *client)
{
    if (client_turn(client) < 0)
        poll(NULL, 0, 10);
}

void client_settle(struct client *client, struct client_op *op)
{
    if (op->busy)
        ring_cancel(client->ring, &op->op);
    while (op->busy)
        turn_or_sleep(client);
}

int client_wait_op(struct client *client, struct client_op *op, unsigned milliseconds)
{
    struct client_op timer = { 0 };
    int error = 0;

    client_op_timer(client, &timer, milliseconds);
    while (error == 0 && op->busy && timer.busy && !client->interrupted)
        error = client_turn(client);
    bool late = !timer.busy;
    bool ended = !op->busy;
    client_settle(client, op);
    client_settle(client, &timer);
    if (error < 0)
        return error;
    if (ended)
        return op->result < 0 ? op->result : 0;
    return late ? -ETIMEDOUT : -EINTR;
}

int client_wait(struct client *client, int fd, short events, unsigned milliseconds)
{
    struct client_op ready = { 0 };
    if (client->interrupted)
        return -EINTR;
    client_op_poll(client, &ready, fd, events);
    return client_wait_op(client, &ready, milliseconds);
}

int client_wait_channel(struct client *client, uint64_t deadline)
{
    uint64_t now = client_now();
    if (now >= deadline)
        return -ETIMEDOUT;
    return client_wait(client, channel_fd(client->channel), channel_events(client->channel),
                       (unsigned)(deadline - now));
}

struct client_work {
    struct job job;
    struct client *client;
    void (*work)(void *argument);
    void *argument;
    bool done;
};

static void work_run(struct job *job)
{
    struct client_work *work = (struct client_work *)job;
    work->work(work->argument);
}

static void work_done(struct job *job)
{
    struct client_work *work = (struct client_work *)job;
    work->done = true;
    ring_stop(work->client->ring);
}

/* Cannot be interrupted: a thread that is in fsync() cannot be, either. */
void client_job(struct client *client, void (*function)(void *argument), void *argument)
{
    struct client_work work = { .job = { .run = work_run, .done = work_done, .home = client->ring },
                                .client = client,
                                .work = function,
                                .argument = argument };
    jobs_submit(client->jobs, &work.job);
    /* The job points into this frame: leaving early is no choice. */
    while (!work.done)
        turn_or_sleep(client);
}

int client_write(struct client *client, int fd, const char *bytes, size_t length, uint64_t offset)
{
    while (length > 0) {
        struct client_op op = { 0 };
        op_begin(client, &op);
        ring_write(client->ring, &op.op, fd, bytes, length, offset);
        int result = client_wait_op(client, &op, client->options.idle_timeout);
        if (result == -EAGAIN) /* a descriptor that was made non-blocking by somebody else */
            result = client_wait(client, fd, POLLOUT, client->options.idle_timeout);
        else if (result == 0 && op.result == 0)
            result = -ENOSPC;
        if (result < 0)
            return result;
        size_t written = op.result > 0 ? (size_t)op.result : 0;
        bytes += written;
        length -= written;
        if (offset != RING_NO_OFFSET)
            offset += written;
    }
    return 0;
}

static void pump_done(struct pump *pump, int result)
{
    struct client_pump *run = (struct client_pump *)pump;
    run->ended = true;
    run->result = result;
    ring_stop(run->client->ring);
}

static void pump_end_early(struct client_pump *run, int why)
{
    if (run->why == 0) {
        run->why = why;
        pump_stop(&run->pump);
    }
}

/* The answer is heard while the body is still on its way: a refusal in mid-body is a refusal, not a broken pipe. */
static void pump_listen(struct client_pump *run, struct client_op *readable)
{
    if (readable->busy || !run->listen)
        return;
    if (readable->client) {
        int error;
        do {
            error = client_hear(run->client);
        } while (error == 0 && !run->client->answered); /* 100 Continue */
        if (error != -EAGAIN) {
            run->listen = false;
            pump_end_early(run, error < 0 ? error : -ECANCELED);
            return;
        }
    }
    client_op_poll(run->client, readable, channel_fd(run->client->channel), POLLIN);
}

static void pump_tick(struct client_pump *run, struct client_op *timer)
{
    struct client *client = run->client;
    if (timer->busy)
        return;
    if (timer->client)
        client_show(client, &run->pump, run->before, run->total);
    uint64_t now = client_now();
    if (run->pump.moved != run->seen || run->seen_at == 0) {
        run->seen = run->pump.moved;
        run->seen_at = now;
    } else if (now - run->seen_at >= client->options.idle_timeout) {
        pump_end_early(run, -ETIMEDOUT);
    }
    if (client->cut_short)
        pump_end_early(run, -EALREADY);
    client_op_timer(client, timer, TICK_MS);
}

int client_run_pump(struct client *client, struct client_pump *run)
{
    struct client_op timer = { 0 }, readable = { 0 };

    run->client = client;
    run->pump.ring = client->ring;
    run->pump.pool = client->pool;
    run->pump.channel = client->channel;
    run->pump.done = pump_done;
    run->pump.asked = client->options.pump_path;
    run->pump.rate = client_rate_begin(client, run->pump.way);
    pump_start(&run->pump);
    if (client->verify)
        verify_moves(client->verify, &run->pump);
    while (!run->ended) {
        pump_tick(run, &timer);
        pump_listen(run, &readable);
        if (client->interrupted)
            pump_end_early(run, -EINTR);
        if (!run->ended)
            turn_or_sleep(client);
    }
    client_settle(client, &timer);
    client_settle(client, &readable);
    client_show(client, &run->pump, run->before, run->total);
    /* It may have come to its end before it could be stopped. */
    return run->why != 0 && run->result != 0 ? run->why : run->result;
}
