/*
 * A GET into a file: what is asked for, and the file in parts. Private to this folder.
 *
 * fetch_begin() looks at what an earlier transfer left. fetch_ask() makes the request; then either the whole body is to
 * be read from the connection (fetch.in_parts false), or fetch_parts() moves what is missing. FETCH_AGAIN from either:
 * ask again, for the source or the server is not what it was taken for. That is bounded.
 */
#ifndef SLUICE_CLIENT_FETCH_H
#define SLUICE_CLIENT_FETCH_H

#include <pthread.h>

#include "engine/client/part.h"
#include "engine/client/source.h"
#include "engine/client/streams.h"
#include "engine/client/verify.h"

#define FETCH_AGAIN (-ESTALE) /* not of enum client_result */

/* One of the partner's addresses. */
struct fetch_host {
    bool known; /* `source` is what it said of the file */
    bool left;  /* it is of no use for this transfer */
    struct source source;
};

struct fetch {
    struct client *client;
    const char *remote, *local;
    struct part part;
    int no_part; /* why there can be no .part, -errno; 0: there can */

    /* What is asked for. */
    bool ranged;      /* parts may be asked for: no server has shown that it gives none */
    bool resuming;    /* .part holds something of `source` */
    bool conditional; /* on being just `source`, also from a server that we do not know yet */
    unsigned asked;   /* times */
    uint64_t first, length;

    /* What the answer is. */
    bool in_parts;
    bool nothing_missing; /* all was there: there is no body */
    struct source source;
    struct extents holes; /* of a file that is not resumed: they are in .part as it begins, and are not fetched */
    struct timespec modified;

    /* While parts are moved. */
    struct plan *plan;
    struct streams *streams;
    struct verify verify;
    bool first_is_here; /* the answer to the first range waits in the first client */
    client_progress *progress;
    void *progress_argument;
    pthread_mutex_t lock; /* of `hosts` */
    struct fetch_host *hosts;

    /* Who keeps the journal. */
    pthread_t keeper;
    pthread_mutex_t keeper_lock;
    pthread_cond_t keeper_wakes;
    bool keeping, keeper_ends, keep_failed;
    uint64_t kept, kept_at; /* bytes, and when */
};

int fetch_begin(struct fetch *fetch, struct client *client, const char *remote, const char *local);
int fetch_ask(struct fetch *fetch);
int fetch_parts(struct fetch *fetch);
void fetch_end(struct fetch *fetch);

/* Shared by fetch.c and fetch_parts.c. */
struct fetch_host *fetch_host(struct fetch *fetch, const struct client *client); /* whom it is connected to */
/* Range and condition for whomever the client is connected to: struct fetch_range as client_request.fields_argument. */
struct fetch_range {
    struct fetch *fetch;
    uint64_t first, length;
};
void fetch_write_range(void *argument, const struct client *client, struct http_writer *writer);
/* The source is not what it was: told, and all that is there forgotten. FETCH_AGAIN, or a result when it is enough. */
int fetch_changed(struct fetch *fetch, const char *what);
/* About the .part: CLIENT_LOCAL with its sentence. */
int fetch_part_failed(struct fetch *fetch, const char *doing, int error);

#endif
