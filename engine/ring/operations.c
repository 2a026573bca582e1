#include "engine/ring/ring_internal.h"

#include <errno.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LENGTH_MAX ((size_t)1 << 30) /* of one operation; the kernel's own limit is a little under 2 GiB */

int ring_ask(struct ring *ring, enum ring_call call, size_t *length)
{
    if (*length > LENGTH_MAX)
        *length = LENGTH_MAX;
    return ring->seam ? ring->seam->before(ring->seam, call, length) : 0;
}

/*
 * Asks the seam. False: the operation was refused, and completes with the seam's result.
 */
static bool ring_admit(struct ring *ring, struct ring_op *op, enum ring_call call, size_t *length)
{
    int refusal = ring_ask(ring, call, length);
    if (refusal == 0)
        return true;
    ring_complete_later(ring, op, refusal);
    return false;
}

static void ring_start(struct ring *ring, struct ring_op *op, struct io_uring_sqe *sqe)
{
    io_uring_sqe_set_data(sqe, op);
    op->ring = ring;
    int result = ring_queue(ring, sqe, 1);
    if (result != 0)
        ring_complete_later(ring, op, result);
}

void ring_accept(struct ring *ring, struct ring_op *op, int listener)
{
    size_t length = 0;
    if (!ring_admit(ring, op, RING_ACCEPT, &length))
        return;
    struct io_uring_sqe sqe = { 0 };
    io_uring_prep_multishot_accept(&sqe, listener, NULL, NULL, SOCK_CLOEXEC);
    ring_start(ring, op, &sqe);
}

void ring_connect(struct ring *ring, struct ring_op *op, int fd, const void *address, socklen_t length)
{
    size_t none = 0;
    if (!ring_admit(ring, op, RING_CONNECT, &none))
        return;
    struct io_uring_sqe sqe = { 0 };
    io_uring_prep_connect(&sqe, fd, address, length);
    ring_start(ring, op, &sqe);
}

void ring_poll(struct ring *ring, struct ring_op *op, int fd, short events)
{
    size_t length = 0;
    if (!ring_admit(ring, op, RING_POLL, &length))
        return;
    struct io_uring_sqe sqe = { 0 };
    io_uring_prep_poll_add(&sqe, fd, (unsigned short)events);
    ring_start(ring, op, &sqe);
}

void ring_recv(struct ring *ring, struct ring_op *op, int fd, void *buffer, size_t length)
{
    if (!ring_admit(ring, op, RING_RECV, &length))
        return;
    struct io_uring_sqe sqe = { 0 };
    io_uring_prep_recv(&sqe, fd, buffer, length, 0);
    ring_start(ring, op, &sqe);
}

void ring_send(struct ring *ring, struct ring_op *op, int fd, const void *buffer, size_t length)
{
    if (!ring_admit(ring, op, RING_SEND, &length))
        return;
    struct io_uring_sqe sqe = { 0 };
    io_uring_prep_send(&sqe, fd, buffer, length, MSG_NOSIGNAL);
    ring_start(ring, op, &sqe);
}

void ring_read(struct ring *ring, struct ring_op *op, int fd, void *buffer, size_t length, uint64_t offset)
{
    if (!ring_admit(ring, op, RING_READ, &length))
        return;
    struct io_uring_sqe sqe = { 0 };
    io_uring_prep_read(&sqe, fd, buffer, (unsigned)length, offset);
    ring_start(ring, op, &sqe);
}

void ring_write(struct ring *ring, struct ring_op *op, int fd, const void *buffer, size_t length, uint64_t offset)
{
    if (!ring_admit(ring, op, RING_WRITE, &length))
        return;
    struct io_uring_sqe sqe = { 0 };
    io_uring_prep_write(&sqe, fd, buffer, (unsigned)length, offset);
    ring_start(ring, op, &sqe);
}

/* On the ring's own thread only: the kernel takes it from nobody else (IORING_SETUP_SINGLE_ISSUER). */
int ring_register(struct ring *ring, unsigned slot, void *bytes, size_t size)
{
    struct iovec memory = { .iov_base = bytes, .iov_len = size };
    size_t length = size;
    int result = ring_ask(ring, RING_REGISTER, &length);
    if (result != 0)
        return result;
    if (!ring->has_slots) {
        result = io_uring_register_buffers_sparse(&ring->uring, RING_SLOTS);
        if (result < 0)
            return result;
        ring->has_slots = true;
    }
    __u64 tag = 0;
    result = io_uring_register_buffers_update_tag(&ring->uring, slot, &memory, &tag, 1);
    return result < 0 ? result : 0;
}

void ring_read_fixed(struct ring *ring, struct ring_op *op, int fd, void *buffer, size_t length, uint64_t offset,
                     unsigned slot)
{
    if (!ring_admit(ring, op, RING_READ, &length))
        return;
    struct io_uring_sqe sqe = { 0 };
    io_uring_prep_read_fixed(&sqe, fd, buffer, (unsigned)length, offset, (int)slot);
    ring_start(ring, op, &sqe);
}

void ring_write_fixed(struct ring *ring, struct ring_op *op, int fd, const void *buffer, size_t length, uint64_t offset,
                      unsigned slot)
{
    if (!ring_admit(ring, op, RING_WRITE, &length))
        return;
    struct io_uring_sqe sqe = { 0 };
    io_uring_prep_write_fixed(&sqe, fd, buffer, (unsigned)length, offset, (int)slot);
    ring_start(ring, op, &sqe);
}

static void ring_prep_splice(struct io_uring_sqe *sqe, struct ring_op *op, int from, uint64_t offset, int to,
                             size_t length, bool more)
{
    *sqe = (struct io_uring_sqe){ 0 };
    io_uring_prep_splice(sqe, from, (int64_t)offset, to, -1, (unsigned)length, more ? SPLICE_F_MORE : 0);
    io_uring_sqe_set_data(sqe, op);
}

void ring_splice_through(struct ring *ring, struct ring_op *in, struct ring_op *out, int file, uint64_t offset,
                         const int pipe[2], int socket, size_t length, bool more)
{
    size_t in_length = length;
    if (!ring_admit(ring, in, RING_SPLICE, &in_length)) {
        ring_complete_later(ring, out, -ECANCELED);
        return;
    }
    struct io_uring_sqe sqes[2];
    ring_prep_splice(&sqes[0], in, file, offset, pipe[1], in_length, false);
    if (in_length < length) {
        /* The kernel takes a shortened operation for a whole one: break the link in its place. */
        ring_start(ring, in, &sqes[0]);
        ring_complete_later(ring, out, -ECANCELED);
        return;
    }
    size_t out_length = length;
    if (!ring_admit(ring, out, RING_SPLICE, &out_length)) {
        ring_start(ring, in, &sqes[0]);
        return;
    }
    ring_prep_splice(&sqes[1], out, pipe[0], RING_NO_OFFSET, socket, out_length, more);
    sqes[0].flags |= IOSQE_IO_LINK;
    in->ring = ring;
    out->ring = ring;
    int result = ring_queue(ring, sqes, 2);
    if (result != 0) {
        ring_complete_later(ring, in, result);
        ring_complete_later(ring, out, -ECANCELED);
    }
}

static void splice_alone(struct ring *ring, struct ring_op *op, int from, uint64_t offset, int to, size_t length,
                         bool more)
{
    if (!ring_admit(ring, op, RING_SPLICE, &length))
        return;
    struct io_uring_sqe sqe;
    ring_prep_splice(&sqe, op, from, offset, to, length, more);
    ring_start(ring, op, &sqe);
}

void ring_splice_out(struct ring *ring, struct ring_op *op, int pipe_read, int socket, size_t length, bool more)
{
    splice_alone(ring, op, pipe_read, RING_NO_OFFSET, socket, length, more);
}

void ring_splice_in(struct ring *ring, struct ring_op *op, int file, uint64_t offset, int pipe_write, size_t length)
{
    splice_alone(ring, op, file, offset, pipe_write, length, false);
}

void ring_splice_to_file(struct ring *ring, struct ring_op *op, int pipe_read, int file, uint64_t offset, size_t length)
{
    if (!ring_admit(ring, op, RING_WRITE, &length))
        return;
    struct io_uring_sqe sqe = { 0 };
    io_uring_prep_splice(&sqe, pipe_read, -1, file, (int64_t)offset, (unsigned)length, SPLICE_F_MOVE);
    ring_start(ring, op, &sqe);
}

void ring_open(struct ring *ring, struct ring_op *op, int directory, const char *path, const struct open_how *how)
{
    size_t length = 0;
    if (!ring_admit(ring, op, RING_OPEN, &length))
        return;
    struct io_uring_sqe sqe = { 0 };
    io_uring_prep_openat2(&sqe, directory, path, (struct open_how *)how);
    ring_start(ring, op, &sqe);
}

/* What a kernel before 5.12 says of RESOLVE_CACHED, and every failure, is left to ring_open(). */
int ring_open_cached(struct ring *ring, int directory, const char *path, const struct open_how *how)
{
    struct open_how cached = *how;
    size_t length = 0;
    int refusal = ring->seam ? ring->seam->before(ring->seam, RING_OPEN, &length) : 0;

    if (refusal != 0)
        return refusal;
    cached.resolve |= RESOLVE_CACHED;
    long fd = syscall(SYS_openat2, directory, path, &cached, sizeof(cached));
    return fd < 0 ? -EAGAIN : (int)fd;
}

void ring_timeout(struct ring *ring, struct ring_op *op, unsigned milliseconds)
{
    _Static_assert(sizeof(op->time) == sizeof(struct __kernel_timespec), "time is lent to the kernel");
    op->time[0] = milliseconds / 1000;
    op->time[1] = (long long)(milliseconds % 1000) * 1000000;
    struct io_uring_sqe sqe = { 0 };
    io_uring_prep_timeout(&sqe, (struct __kernel_timespec *)op->time, 0, 0);
    ring_start(ring, op, &sqe);
}

void ring_next(struct ring *ring, struct ring_op *op)
{
    ring_complete_later(ring, op, 0);
}

/*
 * Submissions are handled in order and a cancellation at once, so it never hits a later operation of the same struct.
 */
void ring_cancel(struct ring *ring, struct ring_op *op)
{
    if (!op->ring)
        return;
    struct io_uring_sqe sqe = { 0 };
    io_uring_prep_cancel(&sqe, op, 0);
    io_uring_sqe_set_data(&sqe, NULL);
    ring_queue(ring, &sqe, 1);
}
