/*
 * Several streams working through a plan: the first on the caller's thread with the caller's client, each other on a
 * thread of its own with a client beside it. Private to this folder.
 *
 * A stream takes a range, has it moved, ends it, and so on until the plan is complete. One whose connection broke puts
 * back what it left and tries again with a new one, a bounded number of times in a row; one that gave up leaves the
 * rest to the others.
 */
#ifndef SLUICE_CLIENT_STREAMS_H
#define SLUICE_CLIENT_STREAMS_H

#include <pthread.h>

#include "engine/client/client_internal.h"
#include "engine/client/plan.h"

/* What came of moving a range. */
enum stream_verdict {
    STREAM_ON,        /* it is over, moved or not: the next one */
    STREAM_AGAIN,     /* the connection failed, or the server for now: again, after a while */
    STREAM_ELSEWHERE, /* not on this server: at once on another */
    STREAM_GONE,      /* nothing more can come of this stream; others may do */
    STREAM_STOP       /* nothing can come of the transfer */
};

struct streams;

struct stream {
    struct streams *all;
    unsigned number;
    struct client *client;
    uint64_t first;   /* of the range it has, in the file */
    uint64_t length;  /* of that range as it was asked for */
    uint64_t bytes;   /* it moved, in all ranges */
    unsigned retries; /* connections after the first that were made because one broke */
    int result;       /* enum client_result, and the reason for it: of the last failure */
    char reason[1024];
    char peer[300], path[CLIENT_PATH_SIZE];

    /* private */
    const struct config_address *prefer;
    pthread_t thread;
    bool threaded;
    unsigned failures; /* in a row, without progress */
};

struct streams {
    /* Filled by the owner. */
    struct client *client; /* of the first stream */
    struct plan *plan;
    unsigned count; /* 1 to PLAN_STREAMS_MAX */
    const char *direction;
    /*
     * Moves [stream->first, + stream->length) on stream->client; bytes that moved are told with stream_moved(). Called
     * on the stream's thread. With anything but STREAM_ON the client has its reason.
     */
    enum stream_verdict (*move)(void *argument, struct stream *stream, int *result);
    void (*ready)(void *argument, struct stream *stream); /* its client is new; or NULL */
    void (*tick)(void *argument, const char *path);       /* on the caller's thread, now and then; or NULL */
    void *argument;
    bool holds_first; /* the first stream has a range already, whose answer waits to be read */

    /* To be looked at afterwards. */
    int result; /* CLIENT_OK: the plan is complete */
    char reason[1024];
    unsigned retries;
    struct stream streams[PLAN_STREAMS_MAX];

    /* private */
    pthread_mutex_t lock;
    int stop_fd, done_fd;
    unsigned active;
    bool stopped;
};

/* Until all is done or nothing more can come of it. */
void streams_run(struct streams *streams);

/* How many failures in a row may be tried again, and the time before the next try, which an interrupt ends. */
unsigned streams_retries(const struct client *client);
void streams_pause(struct client *client, unsigned failures); /* 1 or more, so far */

/* What each of them did, and the retries of all, for the transfer's line: client->last. Replaces what an earlier run
 * left there, but for the retries, which add up. */
void streams_note(struct client *client, const struct streams *streams);

/* How far the range is, by a client_progress of the stream's client; ends it early where another took its rest. */
void stream_moved(struct stream *stream, uint64_t moved);

#endif
