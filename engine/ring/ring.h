/*
 * One io_uring per thread, and operations as small structs with a callback.
 *
 * An operation is embedded in whoever waits for it. It is lent to the ring from the call that starts it until its `done`
 * has run (for multishot accept and poll: until `done` runs without RING_MORE), and may then be used again. Every started
 * operation completes exactly once more: a cancelled one with -ECANCELED.
 * Only the ring's own thread may call anything here but ring_post(). That is the thread of the first ring_run(); before
 * it, operations may be started by the thread that made the ring (one at a time), and begin once the ring runs.
 * What an operation points to (buffers, addresses, paths) is lent until `done`, too.
 *
 * Results are those of io_uring: bytes, a descriptor, or -errno.
 */
#ifndef SLUICE_RING_H
#define SLUICE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

struct ring;
struct findings;

#define RING_MORE 1u /* a multishot operation goes on */

struct ring_op {
    void (*done)(struct ring_op *op, int result, unsigned flags);
    struct ring *ring; /* while it is under way; else NULL */

    struct ring_op *next; /* private, as is the rest */
    int result;
    long long time[2];
};

/* Something to run on the ring's thread, posted from any other. Owned by the poster until `run`. */
struct ring_task {
    void (*run)(struct ring_task *task);
    struct ring_task *next;
};

enum ring_call { RING_ACCEPT, RING_POLL, RING_RECV, RING_SEND, RING_READ, RING_WRITE, RING_SPLICE, RING_CONNECT,
                 RING_OPEN, RING_SENDFILE, RING_REGISTER, RING_CALLS };

/*
 * For tests: asked before an operation starts. It may lower *length, or return -errno, and the operation then completes
 * with that (through the ring, like any other). 0: go on.
 */
struct ring_seam {
    int (*before)(const struct ring_seam *seam, enum ring_call call, size_t *length);
};

/* The same for a call that is made past the ring: 0, go on; or the -errno that it would have failed with. */
int ring_ask(struct ring *ring, enum ring_call call, size_t *length);

/* `entries` submission slots (a power of two). `seam` may be NULL. 0 or -errno. */
int ring_new(struct ring **ring, unsigned entries, const struct ring_seam *seam);
/*
 * Nothing may be under way, and no thread may still post. NULL is allowed. The kernel may hold a descriptor that an
 * operation used a little longer than its `done`, until the ring goes on or is freed: where a peer waits for a socket to
 * be closed, shutdown() it first.
 */
void ring_free(struct ring *ring);

int ring_run(struct ring *ring);   /* until ring_stop(); 0 or -errno. May be called again, on the same thread */
void ring_stop(struct ring *ring); /* from a callback or task; ring_run() returns after the current batch */
void ring_post(struct ring *ring, struct ring_task *task); /* from any thread; tasks of one thread run in order */

void ring_accept(struct ring *ring, struct ring_op *op, int listener); /* multishot; sockets come blocking, CLOEXEC */
void ring_connect(struct ring *ring, struct ring_op *op, int fd, const void *address, socklen_t length);
void ring_poll(struct ring *ring, struct ring_op *op, int fd, short events); /* one shot; result: revents */
void ring_recv(struct ring *ring, struct ring_op *op, int fd, void *buffer, size_t length);
void ring_send(struct ring *ring, struct ring_op *op, int fd, const void *buffer, size_t length);

/* As `offset` of a file that has none (a pipe, a terminal), or for its current position. */
#define RING_NO_OFFSET UINT64_MAX
void ring_read(struct ring *ring, struct ring_op *op, int fd, void *buffer, size_t length, uint64_t offset);
void ring_write(struct ring *ring, struct ring_op *op, int fd, const void *buffer, size_t length, uint64_t offset);

/*
 * Memory that the kernel has looked up and holds on to, so that no operation has to. It is counted against
 * RLIMIT_MEMLOCK. 0, or -errno: then the ordinary operations are to be used. `slot` below RING_SLOTS. The memory stays
 * with the ring until another takes its slot.
 */
#define RING_SLOTS 64
int ring_register(struct ring *ring, unsigned slot, void *bytes, size_t size);
void ring_read_fixed(struct ring *ring, struct ring_op *op, int fd, void *buffer, size_t length, uint64_t offset,
                     unsigned slot);
void ring_write_fixed(struct ring *ring, struct ring_op *op, int fd, const void *buffer, size_t length, uint64_t offset,
                      unsigned slot);

/*
 * `length` bytes from a file through an empty pipe into a socket: two linked operations. Where the first is short the
 * kernel breaks the link, and the second completes with -ECANCELED: send the rest with ring_splice_out(). Which of the
 * two completes first is not said.
 */
void ring_splice_through(struct ring *ring, struct ring_op *in, struct ring_op *out, int file, uint64_t offset,
                         const int pipe[2], int socket, size_t length, bool more);
void ring_splice_out(struct ring *ring, struct ring_op *op, int pipe_read, int socket, size_t length, bool more);

/* A file's bytes into a pipe, which may wait for a disk; and a pipe's into a file: to the seam that is RING_WRITE. */
void ring_splice_in(struct ring *ring, struct ring_op *op, int file, uint64_t offset, int pipe_write, size_t length);
void ring_splice_to_file(struct ring *ring, struct ring_op *op, int pipe_read, int file, uint64_t offset,
                         size_t length);

/* Opens beneath `directory` with openat2: `how` as in openat2(2), lent until done. */
struct open_how;
void ring_open(struct ring *ring, struct ring_op *op, int directory, const char *path, const struct open_how *how);
/* The same at once, where nothing must be waited for: its result, or -EAGAIN: ask ring_open(). */
int ring_open_cached(struct ring *ring, int directory, const char *path, const struct open_how *how);

void ring_timeout(struct ring *ring, struct ring_op *op, unsigned milliseconds); /* result -ETIME when it has passed */
void ring_next(struct ring *ring, struct ring_op *op); /* result 0, in the next round: after others had their turn */
void ring_cancel(struct ring *ring, struct ring_op *op); /* does nothing where the operation is not under way */

/* What of io_uring we need and whether it is here: for `sluice doctor`. */
void ring_findings(struct findings *findings);

/* 0, or -errno with the sentence in `why` (what is missing and how to get it): for the start of server and client. */
int ring_usable(char *why, size_t size);

#endif
