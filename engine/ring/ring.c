#include "engine/ring/ring_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#define COMPLETIONS_PER_ENTRY 4 /* multishot operations complete more often than they are submitted */
#define BATCH 64

static void ring_woken(struct ring_op *op, int result, unsigned flags);

int ring_setup(struct io_uring *uring, unsigned entries)
{
    const unsigned always = IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE | IORING_SETUP_R_DISABLED;
    static const unsigned wishes[] = {
        IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
        IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN, /* before Linux 6.1 */
        0,                                                   /* before Linux 5.19 */
    };
    int result = -EINVAL;
    for (size_t i = 0; i < sizeof(wishes) / sizeof(*wishes) && result == -EINVAL; i++) {
        struct io_uring_params parameters = { .flags = always | wishes[i],
                                              .cq_entries = entries * COMPLETIONS_PER_ENTRY };
        result = io_uring_queue_init_params(entries, uring, &parameters);
    }
    return result;
}

static void ring_watch_posts(struct ring *ring)
{
    struct io_uring_sqe sqe = { 0 };
    io_uring_prep_poll_multishot(&sqe, ring->wake_fd, POLLIN);
    io_uring_sqe_set_data(&sqe, &ring->wake);
    ring->wake.ring = ring;
    /* Without memory, in the next round: ring_woken() comes back here. */
    if (ring_queue(ring, &sqe, 1) != 0)
        ring_complete_later(ring, &ring->wake, 0);
}

int ring_new(struct ring **out, unsigned entries, const struct ring_seam *seam)
{
    *out = NULL;
    struct ring *ring = calloc(1, sizeof(*ring));
    if (!ring)
        return -ENOMEM;
    ring->seam = seam;
    ring->ready_end = &ring->ready;
    ring->wake.done = ring_woken;

    ring->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (ring->wake_fd < 0) {
        int error = -errno;
        free(ring);
        return error;
    }
    int result = ring_setup(&ring->uring, entries);
    if (result != 0) {
        close(ring->wake_fd);
        free(ring);
        return result;
    }
    ring_watch_posts(ring);
    *out = ring;
    return 0;
}

void ring_free(struct ring *ring)
{
    if (!ring)
        return;
    io_uring_queue_exit(&ring->uring);
    close(ring->wake_fd);
    free(ring->backlog);
    free(ring);
}

static int ring_backlog_add(struct ring *ring, const struct io_uring_sqe *sqes, unsigned count)
{
    if (ring->backlog_first + ring->backlog_count + count > ring->backlog_capacity && ring->backlog_first > 0) {
        memmove(ring->backlog, ring->backlog + ring->backlog_first, ring->backlog_count * sizeof(*sqes));
        ring->backlog_first = 0;
    }
    if (ring->backlog_count + count > ring->backlog_capacity) {
        size_t capacity = ring->backlog_capacity ? ring->backlog_capacity * 2 : 64;
        struct io_uring_sqe *grown = realloc(ring->backlog, capacity * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        ring->backlog = grown;
        ring->backlog_capacity = capacity;
    }
    memcpy(ring->backlog + ring->backlog_first + ring->backlog_count, sqes, count * sizeof(*sqes));
    ring->backlog_count += count;
    return 0;
}

static void ring_fill(struct ring *ring, const struct io_uring_sqe *sqes, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        *io_uring_get_sqe(&ring->uring) = sqes[i];
}

int ring_queue(struct ring *ring, const struct io_uring_sqe *sqes, unsigned count)
{
    if (ring->backlog_count > 0)
        return ring_backlog_add(ring, sqes, count);
    if (io_uring_sq_space_left(&ring->uring) < count && ring->enabled)
        io_uring_submit(&ring->uring); /* what it could not take stays queued: seen by the next check */
    if (io_uring_sq_space_left(&ring->uring) < count)
        return ring_backlog_add(ring, sqes, count);
    ring_fill(ring, sqes, count);
    return 0;
}

/* A link must not be cut in two: the kernel ends a chain at the end of a submission. */
static void ring_backlog_flush(struct ring *ring)
{
    while (ring->backlog_count > 0) {
        const struct io_uring_sqe *first = ring->backlog + ring->backlog_first;
        unsigned count = first->flags & IOSQE_IO_LINK ? 2 : 1;
        if (io_uring_sq_space_left(&ring->uring) < count)
            return;
        ring_fill(ring, first, count);
        ring->backlog_first += count;
        ring->backlog_count -= count;
    }
    ring->backlog_first = 0;
}

void ring_complete_later(struct ring *ring, struct ring_op *op, int result)
{
    op->ring = ring;
    op->result = result;
    op->next = NULL;
    *ring->ready_end = op;
    ring->ready_end = &op->next;
}

static void ring_finish(struct ring_op *op, int result, unsigned flags)
{
    if (!(flags & RING_MORE))
        op->ring = NULL;
    op->done(op, result, flags);
}

static void ring_dispatch_ready(struct ring *ring)
{
    struct ring_op *op = ring->ready;
    ring->ready = NULL;
    ring->ready_end = &ring->ready;
    while (op) {
        struct ring_op *next = op->next; /* the callback may free it */
        ring_finish(op, op->result, 0);
        op = next;
    }
}

static void ring_dispatch(struct ring *ring)
{
    struct io_uring_cqe *cqes[BATCH];
    unsigned count = io_uring_peek_batch_cqe(&ring->uring, cqes, BATCH);
    for (unsigned i = 0; i < count; i++) {
        struct ring_op *op = io_uring_cqe_get_data(cqes[i]);
        int result = cqes[i]->res;
        unsigned flags = cqes[i]->flags & IORING_CQE_F_MORE ? RING_MORE : 0;
        io_uring_cq_advance(&ring->uring, 1);
        if (op)
            ring_finish(op, result, flags);
    }
}

static int ring_enable(struct ring *ring)
{
    if (ring->enabled)
        return 0;
    /* liburing 2.3 forgot to export io_uring_enable_rings(). */
    if (syscall(__NR_io_uring_register, ring->uring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) < 0)
        return -errno;
    ring->enabled = true;
    return 0;
}

static int ring_submit_and_wait(struct ring *ring)
{
    ring_backlog_flush(ring);
    bool waits = !ring->ready && ring->backlog_count == 0;
    int result = waits ? io_uring_submit_and_wait(&ring->uring, 1) : io_uring_submit_and_get_events(&ring->uring);
    if (result == -EAGAIN) {
        /* No memory for a request: nothing else would keep us from spinning. */
        poll(NULL, 0, 1);
        return 0;
    }
    bool harmless = result >= 0 || result == -EINTR || result == -EBUSY; /* EBUSY: completions must be taken first */
    return harmless ? 0 : result;
}

int ring_run(struct ring *ring)
{
    int result = ring_enable(ring);
    while (result == 0 && !ring->stop) {
        result = ring_submit_and_wait(ring);
        if (result != 0)
            break;
        ring_dispatch_ready(ring);
        ring_dispatch(ring);
    }
    ring->stop = false;
    /* What the last batch started shall not wait for the next run. */
    if (result == 0 && io_uring_sq_ready(&ring->uring) > 0)
        io_uring_submit(&ring->uring);
    return result;
}

void ring_stop(struct ring *ring)
{
    ring->stop = true;
}

/*
 * Whoever finds the stack empty writes the eventfd, and the ring takes the stack only after it has read the eventfd. So
 * a task runs only when its poster no longer touches the ring, and may free it.
 */
void ring_post(struct ring *ring, struct ring_task *task)
{
    int wake_fd = ring->wake_fd;
    struct ring_task *top = __atomic_load_n(&ring->posted, __ATOMIC_RELAXED);
    do {
        task->next = top;
    } while (!__atomic_compare_exchange_n(&ring->posted, &top, task, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
    if (top)
        return;
    uint64_t one = 1;
    ssize_t written;
    do {
        written = write(wake_fd, &one, sizeof(one));
    } while (written < 0 && errno == EINTR);
}

static struct ring_task *ring_take_posted(struct ring *ring)
{
    struct ring_task *newest = __atomic_exchange_n(&ring->posted, NULL, __ATOMIC_ACQUIRE);
    struct ring_task *oldest = NULL;
    while (newest) {
        struct ring_task *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

static void ring_woken(struct ring_op *op, int result, unsigned flags)
{
    (void)result;
    struct ring *ring = (struct ring *)((char *)op - offsetof(struct ring, wake));
    if (!(flags & RING_MORE))
        ring_watch_posts(ring);
    uint64_t count;
    if (read(ring->wake_fd, &count, sizeof(count)) != (ssize_t)sizeof(count))
        return;
    struct ring_task *task = ring_take_posted(ring);
    while (task) {
        struct ring_task *next = task->next; /* the task may free itself */
        task->run(task);
        task = next;
    }
}
