/*
 * Many files that are to be on the disk. One after the other each of them waits for the disk to empty its cache; at the
 * same time, they wait for that together, and for the file system's journal as well.
 */
#include "engine/store/store_internal.h"

#include <errno.h>
#include <liburing.h>
#include <unistd.h>

#define UNHEARD 1 /* a result: asked for, and not answered */

static int judge(int result)
{
    return result == -EINVAL || result == -EROFS ? 0 : result; /* a file system without it */
}

int store_sync(int fd)
{
    return fsync(fd) == 0 ? 0 : judge(-errno);
}

/* How many were asked for: the first ones. */
static size_t ask(struct io_uring *ring, const int *fds, int *results, size_t count)
{
    size_t asked = 0;

    for (size_t i = 0; i < count; i++) {
        struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
        if (!sqe)
            break;
        io_uring_prep_fsync(sqe, fds[i], 0);
        io_uring_sqe_set_data64(sqe, i);
        results[i] = UNHEARD;
    }
    while (asked < count) {
        int taken = io_uring_submit(ring);
        if (taken <= 0 && taken != -EINTR)
            break;
        asked += taken > 0 ? (size_t)taken : 0;
    }
    return asked;
}

static void hear(struct io_uring *ring, int *results, size_t asked)
{
    struct io_uring_cqe *cqe;

    while (asked > 0) {
        int rc = io_uring_wait_cqe(ring, &cqe);
        if (rc == -EINTR)
            continue;
        if (rc < 0)
            return;
        results[io_uring_cqe_get_data64(cqe)] = judge(cqe->res);
        io_uring_cqe_seen(ring, cqe);
        asked--;
    }
}

static size_t sync_together(const int *fds, int *results, size_t count)
{
    struct io_uring ring;

    if (count < 2 || io_uring_queue_init(STORE_BATCH_MAX, &ring, 0) < 0)
        return 0;
    size_t asked = ask(&ring, fds, results, count);
    hear(&ring, results, asked);
    io_uring_queue_exit(&ring);
    /* A file tells of an error once: whom it was told to did not say it, and to ask again would find all well. */
    for (size_t i = 0; i < asked; i++)
        results[i] = results[i] == UNHEARD ? -EIO : results[i];
    return asked;
}

void store_sync_all(const int *fds, int *results, size_t count)
{
    for (size_t i = sync_together(fds, results, count); i < count; i++)
        results[i] = store_sync(fds[i]);
}
