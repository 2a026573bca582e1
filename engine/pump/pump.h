/*
 * A pump moves one body between a file and a channel, by one of the data paths of the table in paths.c.
 *
 * The owner fills the public fields, calls pump_start() and hears of the end once, through `done`. The pump is lent
 * until then; file and channel stay the owner's. Nothing else may use that direction of the channel meanwhile. A path
 * is chosen by direction, by who encrypts and by what is known of the file: switch the channel first.
 */
#ifndef SLUICE_PUMP_H
#define SLUICE_PUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/ring/ring.h"
#include "ktls/channel.h"

struct pump_pool; /* pipes and buffers of one ring: a fixed number; a pump that finds none free waits its turn */

/*
 * At least one of each. They are made as they are first needed, by the ring's own thread: a buffer has 512 KiB, a pipe
 * up to 1 MiB. Where bodies wait for a buffer, those that have one take turns with them, so that all move.
 */
int pump_pool_new(struct pump_pool **pool, struct ring *ring, unsigned buffers, unsigned pipes);
void pump_pool_free(struct pump_pool *pool); /* no pump may be under way; NULL is allowed */

enum pump_way { PUMP_SEND, PUMP_RECEIVE };

#define PUMP_TO_END UINT64_MAX /* receive until the peer ends the stream, or until the filter says so */

/*
 * A filter for received bytes (chunked coding): decodes `length` bytes at `bytes` in place and leaves the body bytes at
 * the front. Returns how many those are, or -errno. Where the body ended, *end is set and *used says how many of the
 * `length` input bytes belonged to it; the rest are kept for the owner in `excess`.
 */
typedef ssize_t pump_filter(void *argument, char *bytes, size_t length, size_t *used, bool *end);

/* Which side failed: a message names a file differently from a peer. */
enum pump_fault {
    PUMP_FAULT_NONE,
    PUMP_FAULT_CHANNEL,
    PUMP_FAULT_FILE,
    PUMP_FAULT_SHRUNK /* file shorter than said */
};

struct pump_path;

extern const struct pump_path pump_path_head;  /* of a body that went with its head, without a pump: "head" */
extern const struct pump_path pump_path_whole; /* of one that was gathered in memory, without a pump: "whole" */

/* The path that a body takes, and why. */
struct pump_choice {
    const struct pump_path *path; /* NULL: none yet */
    const char *why;              /* a phrase that lives for ever */
    const char *refused;          /* the path that was asked for and could not be taken, as it was asked; else NULL */
};

struct pump {
    /* Filled by the owner before pump_start(). */
    enum pump_way way;
    struct ring *ring;
    struct pump_pool *pool;
    struct channel *channel;
    int file;        /* a pipe or a terminal will do, too; `offset` is then of no account */
    uint64_t offset; /* in the file */
    uint64_t length; /* bytes, or PUMP_TO_END (receive only) */
    /*
     * Bytes per second, 0: no limit; may be changed while it runs. Receiving, no more than that is taken from the
     * channel. Sending it is channel_pace() that holds them back: here it only keeps the steps short.
     */
    uint64_t rate;
    /*
     * Sending: bytes before other pumps of the ring have their turn, some whole records of TLS; 0: as the path has it.
     * May be changed while it runs, too.
     */
    size_t step;
    const char *asked;                           /* a path, by name; NULL: the best one. Lent as long as `choice` is */
    void (*done)(struct pump *pump, int result); /* 0, or -errno; the sentence of a channel is in channel_reason() */
    pump_filter *filter;                         /* receive only; needs PUMP_TO_END */
    void *filter_argument;
    char *excess;           /* with a filter: room for bytes that follow the body ... */
    size_t excess_capacity; /* ... this many at most, and the pump reads no more than this at once */

    /* For the owner to look at, at any time. */
    uint64_t moved; /* body bytes that arrived where they should */
    struct pump_choice
        choice; /* it may change while nothing was moved, or where the file turns out to be another kind */
    enum pump_fault fault;
    size_t excess_length;

    struct ring_op op; /* private */
    void *state;       /* private */
};

/* Starts the pump. What fails at once is reported through `done` too, never from inside this call. */
void pump_start(struct pump *pump);

/* Ends it early: `done` follows with -ECANCELED. Does nothing where it has ended. */
void pump_stop(struct pump *pump);

const char *pump_path_name(const struct pump *pump); /* a row of the table in paths.c; "none" */

/* Its path leaves the page cache alone. Once pump_start() has chosen; the choice may change, as above. */
bool pump_spares_cache(const struct pump *pump);
/* Whether that of a body would, of so many bytes of this file, none in the page cache, that the kernel sends. */
bool pump_would_spare_cache(int file, uint64_t length, const char *asked);

#define PUMP_TOLD_SIZE 160
/* "sendfile: in the page cache", as channel_why() has it for who encrypts. Returns `text`. */
const char *pump_told(const struct pump_choice *choice, char text[PUMP_TOLD_SIZE]);

#endif
