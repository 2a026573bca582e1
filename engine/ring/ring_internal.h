/* Shared by the files of this folder. */
#ifndef SLUICE_RING_INTERNAL_H
#define SLUICE_RING_INTERNAL_H

#include <liburing.h>

#include "engine/ring/ring.h"

struct ring {
    struct io_uring uring;
    const struct ring_seam *seam;
    bool enabled; /* the kernel knows who submits: the thread of the first ring_run() */
    bool stop;
    bool has_slots; /* for registered memory */

    int wake_fd; /* written when `posted` becomes non-empty */
    struct ring_op wake;
    struct ring_task *posted; /* a stack, newest first; shared with other threads */

    /* Completions that owe nothing to the kernel: injected by the seam, or out of memory. In order. */
    struct ring_op *ready, **ready_end;

    /* Submissions that found the queue full, or the ring not yet running. In order. */
    struct io_uring_sqe *backlog;
    size_t backlog_first, backlog_count, backlog_capacity;
};

/* Puts `count` linked submissions into the queue, together. 0 or -ENOMEM. */
int ring_queue(struct ring *ring, const struct io_uring_sqe *sqes, unsigned count);

/* The operation completes with `result` in the next round. */
void ring_complete_later(struct ring *ring, struct ring_op *op, int result);

/* Makes an io_uring with the best flags this kernel takes, disabled until the thread that runs it enables it. */
int ring_setup(struct io_uring *uring, unsigned entries);

#endif
