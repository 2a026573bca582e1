/*
 * Shared by the files of this folder.
 *
 * A pump under way is a `flow`: the state of one data path, with its operations. Each completion is first recorded,
 * then the path's `advance` looks at everything and starts what can be started. A flow ends when flow_end() was called
 * and no operation of it is under way any more.
 */
#ifndef SLUICE_PUMP_INTERNAL_H
#define SLUICE_PUMP_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "engine/pump/pace.h"
#include "engine/pump/pump.h"

#define PUMP_BUFFER_SIZE ((size_t)512 << 10)
#define PUMP_PIPE_SIZE ((size_t)1 << 20)
#define PUMP_STEP ((size_t)1 << 20)           /* moved by a call of our own before other pumps have their turn */
#define PUMP_RECORD ((size_t)16 << 10)        /* a TLS record's bytes (RFC 8446, 5.1) */
#define PUMP_CROWDED_TURN ((size_t)128 << 10) /* filled before a buffer or a pipe goes to whoever waits for one */
#define PUMP_THREADS 4                        /* of a pool, for steps that wait for a disk */

struct flow;

/* What is known before a body moves. */
struct pump_facts {
    const struct pump *pump;
    enum channel_mode mode;
    bool positioned;  /* the file has offsets */
    bool regular;     /* it is one, and not a device or a pipe */
    bool on_a_device; /* its file system is on a block device */
};

/* A row of the table in paths.c. */
struct pump_path {
    const char *name;
    enum pump_way way;
    unsigned modes;                                       /* bit per enum channel_mode that it serves */
    const char *(*lacks)(const struct pump_facts *facts); /* why it cannot serve; NULL: it can. NULL: always */
    size_t state_size;                                    /* of what begins with a struct flow */
    void (*begin)(struct flow *flow);                     /* prepares; starts nothing */
    void (*advance)(struct flow *flow);                   /* starts what can be started, or ends */
    void (*cancel)(struct flow *flow);                    /* every operation under way */
    void (*release)(struct flow *flow);                   /* nothing is under way: gives back what was borrowed */
    const struct relay_ends *ends;                        /* of a path that is a relay */
};

extern const struct pump_path *const pump_paths[]; /* ends with NULL */

/* choose.c: fills pump->choice. */
void pump_choose(struct pump *pump, enum channel_mode mode);
const char *pump_needs_offsets(const struct pump_facts *facts); /* a `lacks` */

/* One operation of a flow. */
struct flow_op {
    struct ring_op op;
    struct flow *flow;
    void (*record)(struct flow *flow, int result);
};

struct flow {
    struct pump *pump;
    const struct pump_path *path;
    const struct pump_path *instead; /* set at the end: another path goes on from pump->moved */
    const char *instead_why;
    unsigned under_way; /* operations, those waiting in the pool included; but not `nudge` */
    bool ended;
    int result;
    bool positioned;      /* the file has offsets */
    uint64_t unaccounted; /* bytes moved past the channel that it was not told of yet */
    struct flow_op turn;  /* the flow goes on in the next round of the ring */
    struct flow_op nudge; /* cancels again what a first try missed */
};

void flow_op_init(struct flow_op *op, struct flow *flow, void (*record)(struct flow *flow, int result));
struct ring_op *flow_start(struct flow_op *op); /* counts it as under way */
bool flow_busy(const struct flow_op *op);       /* it is under way in the ring */
void flow_over(struct flow_op *op, int result); /* one that was under way elsewhere; the flow may be gone afterwards */
void flow_cancel(struct flow_op *op);
void flow_yield(struct flow *flow); /* advance() again, after other pumps had their turn */

/* The first result counts. 0: all was moved. */
void flow_end(struct flow *flow, int result, enum pump_fault fault);

/* Another path goes on from pump->moved, which must be what both the file and the channel have seen. */
void flow_instead(struct flow *flow, const struct pump_path *path, const char *why);

/*
 * Bytes moved through the socket itself, past the channel. Ends the flow where the channel says so. While sending, no
 * operation that writes to the socket may be under way.
 */
void flow_account(struct flow *flow, uint64_t bytes);

/* A step of sending that is over soon enough for its owner to see that the body moves. */
size_t flow_step(const struct flow *flow, size_t size);

uint64_t flow_file_offset(const struct flow *flow, uint64_t done); /* as the ring wants it */

/* An operation on the channel's socket failed: the error in the channel's terms, which has the sentence then. */
int flow_channel_error(struct flow *flow, int error);

/*
 * Receiving from the kernel: what an operation on the socket failed with says that a control record stands first in the
 * queue (Documentation/networking/tls.rst). It is read then: 0: go on; 1: the stream is over; -EAGAIN: there was none
 * yet; else an error in the channel's terms. `fruitless` counts how often that brought no data after it, and bounds it.
 */
bool flow_says_control_record(const struct flow *flow, int error);
int flow_control_record(struct flow *flow, int error, unsigned *fruitless);

/* The threads for steps that may wait for a disk, made when they are first needed. NULL: they cannot be. */
struct jobs *pool_threads(struct pump_pool *pool);

/* A pipe or a buffer, borrowed. */
enum pool_kind { POOL_BUFFER, POOL_PIPE, POOL_KINDS };

struct pool_item {
    struct pool_item *next; /* the pool's */
    uint8_t *bytes;         /* of a buffer: PUMP_BUFFER_SIZE of them */
    bool registered, unregistrable;
    unsigned slot; /* of the ring, where it is registered */
    int pipe[2];
    size_t pipe_size; /* what the kernel granted */
};

/* A flow that waits for an item. Its operation completes when `item` is there, or with -errno. */
struct pool_wait {
    struct flow_op op;
    enum pool_kind kind;
    struct pool_item *item;
    int error;
    bool queued;
    struct pool_wait *next;
};

/*
 * A flow with a buffer whose bytes it can read again later. `asked` to give it back where others wait: true, it will,
 * soon.
 */
struct pool_holder {
    struct pool_holder *next, **place; /* the pool's; NULL: not in its list */
    bool (*asked)(struct pool_holder *holder);
};

void pool_wait(struct pump_pool *pool, struct pool_wait *wait);
void pool_leave(struct pump_pool *pool, struct pool_wait *wait);         /* stops waiting, where it still does */
struct pool_item *pool_try(struct pump_pool *pool, enum pool_kind kind); /* at once, or NULL */
/* False: the kernel does not hold this buffer (RLIMIT_MEMLOCK). Buffers stay with the pool, and so do their slots. */
bool pool_register(struct pump_pool *pool, struct pool_item *buffer);
bool pool_contended(const struct pump_pool *pool, enum pool_kind kind); /* somebody waits */
void pool_hold(struct pump_pool *pool, struct pool_holder *holder);
void pool_unhold(struct pool_holder *holder); /* does nothing where it is in no list */
/* By who has waited for a buffer long: as many holders as wait are asked, no more often than that. */
#define POOL_PATIENCE_MILLISECONDS 100
void pool_press(struct pump_pool *pool);
/* A pipe that may still hold bytes is `spoilt`: the next borrower must never see them. */
void pool_give_back(struct pump_pool *pool, enum pool_kind kind, struct pool_item *item, bool spoilt);

/*
 * A relay: a path whose bytes pass through buffers of ours. A source fills one end of a lane while a sink drains the
 * other, with a second lane where the pool has one to spare.
 */
struct relay;

struct relay_ends {
    /*
     * Moves up to `size` bytes, or starts an operation that does. True: it happened at once, and there may be more
     * to do right away.
     */
    bool (*fill)(struct relay *relay, uint8_t *room, size_t size);
    bool (*drain)(struct relay *relay, const uint8_t *bytes, size_t size);
    void (*fill_over)(struct relay *relay, int result);  /* an operation started on relay->fill ended */
    void (*drain_over)(struct relay *relay, int result); /* the same for relay->drain */
    size_t (*lane_start)(const struct relay *relay); /* where in an empty lane the next byte stands; NULL: in front */
    void (*slow)(struct relay *relay);               /* of a path that sets `wakes_late`: nothing came for a while */
    int (*finish)(struct relay *relay);              /* 0; or -EAGAIN, having started an operation on relay->drain */
};

struct lane {
    struct pool_item *buffer;
    size_t begin, end; /* filled and not drained yet */
};

struct relay {
    struct flow flow;
    struct flow_op fill, drain, pause, hold, patience;
    struct pace pace;
    bool in_memory;           /* the file that is read */
    bool polls_in, polls_out; /* the operation under way only waits */
    struct pool_wait wait;
    struct pool_holder holder;
    uint64_t asked_at; /* pump->moved when it was last asked for its lanes */
    bool yields;       /* `drain` is being cancelled, and the lanes go */
    struct lane lanes[2];
    size_t room_min;                        /* less room than that is not worth an operation */
    unsigned lane_count, filling, draining; /* indices of lanes; equal where one lane is both filled and drained */
    uint64_t unread;                        /* from the source, or PUMP_TO_END */
    uint64_t fetched;                       /* from the source */
    bool source_over;
    int verdict;   /* why the source is over; what had arrived by then goes on to the sink first */
    size_t turn;   /* filled since it got its first lane: where others wait for one, no more than PUMP_CROWDED_TURN */
    size_t budget; /* bytes that may still be moved at once before others have their turn */
    unsigned fruitless; /* control records announced since the last byte */
    uint64_t held_at;   /* pump->moved when `hold` began */
    bool held_long;     /* what is there goes out, however little it is */
    bool wakes_late;    /* recv.c: the socket wakes us for many records, not for each */
    uint64_t slow_at;   /* `fetched` when the peer was slow last */
    uint64_t seen;      /* `fetched` when `hold` began */
};

void relay_begin(struct flow *flow);
void relay_advance(struct flow *flow);
void relay_cancel(struct flow *flow);
void relay_release(struct flow *flow);

void relay_filled(struct relay *relay, size_t bytes); /* by the source, to the room it was given */
void relay_drained(struct relay *relay, size_t bytes);
void relay_source_ended(struct relay *relay); /* in good order; an error where more was due */
void relay_source_failed(struct relay *relay, int error);
bool relay_makes_way(const struct relay *relay);        /* it has had its turn, and others wait for a lane */
uint8_t *relay_room(struct relay *relay, size_t *size); /* where to fill, as it was given to `fill`; NULL: nowhere */
void relay_tick(struct relay *relay);                   /* lets `hold` run */
bool relay_channel_fill(struct relay *relay, uint8_t *room, size_t size); /* with channel_read() */
void relay_wait_in(struct relay *relay, int fd, short events);
void relay_wait_out(struct relay *relay, int fd, short events);

/* The file's end of a relay. */
bool relay_file_fill(struct relay *relay, uint8_t *room, size_t size);
void relay_file_fill_over(struct relay *relay, int result);
bool relay_file_drain(struct relay *relay, const uint8_t *bytes, size_t size);
void relay_file_drain_over(struct relay *relay, int result);
int relay_nothing_to_finish(struct relay *relay);
/* Registered operations where the pool could register the buffer: at `from` of the lane that is filled, or drained. */
void relay_read(struct relay *relay, int fd, size_t from, size_t size, uint64_t offset);
void relay_write(struct relay *relay, int fd, const uint8_t *bytes, size_t size, uint64_t offset);

/* The socket's end of a relay, of fixed.c and recv.c. */
bool relay_socket_drain(struct relay *relay, const uint8_t *bytes, size_t size);
void relay_socket_drain_over(struct relay *relay, int result);
bool recv_fill(struct relay *relay, uint8_t *room, size_t size);
void recv_fill_over(struct relay *relay, int result);
void recv_slow(struct relay *relay);
void recv_release(struct flow *flow);

extern const struct pump_path pump_path_splice, pump_path_splice_hybrid, pump_path_sendfile, pump_path_fixed,
    pump_path_direct_send, pump_path_recv, pump_path_direct_receive, pump_path_splice_receive, pump_path_user_send,
    pump_path_user_receive;

#endif
