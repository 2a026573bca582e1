/*
 * Many small files over few connections (RFC 9112, 9.3.2): the requests for the next files are on the wire before the
 * first is answered, and the answers are read in their order. Where a connection is cut, only what is not answered is
 * asked for again, on a new one: GET and PUT may be repeated.
 *
 * A lane is one connection, on a thread of its own. All calls of a lane come from its thread; those of several lanes at
 * the same time.
 */
#ifndef SLUICE_CLIENT_PIPELINE_H
#define SLUICE_CLIENT_PIPELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "engine/client/client.h"

#define PIPELINE_BODY_MAX (1u << 20) /* larger files are transfers of their own: client_get(), client_put() */
#define PIPELINE_FIELDS_SIZE 512
#define PIPELINE_LANES_MAX 16

struct pipeline_item {
    const char *remote; /* lent until done() */
    void *tag;          /* the caller's */
};

/* The body of a GET, whole. */
struct pipeline_answer {
    const char *bytes;
    size_t length;
    bool has_modified, has_mode; /* the server told */
    struct timespec modified;
    unsigned mode;
};

/* What a PUT sends. */
struct pipeline_load {
    char *bytes; /* room for PIPELINE_BODY_MAX */
    size_t length;
    char *fields; /* further field lines, each with its line end; room for PIPELINE_FIELDS_SIZE */
    bool no_file; /* a directory or a link (HTTP_TYPE), which has no digest */
};

/* Why a file that was begun in a lane is to be moved by itself, which nothing but this was said of then. */
enum pipeline_alone {
    PIPELINE_DONE,         /* it is not */
    PIPELINE_TOO_LARGE,    /* of GET: larger than PIPELINE_BODY_MAX, and was not fetched */
    PIPELINE_OTHER_DIGEST, /* of GET with --verify: what came is not what the server says that it has */
    PIPELINE_NO_DIGEST     /* with --verify: the answer has none. It is in vain to ask this server for more in lanes */
};

struct pipeline_lane {
    void *argument;
    bool put;
    unsigned window; /* requests that may be unanswered; 0: what is usual */
    /* The next file, or false: there are no more. */
    bool (*next)(void *argument, struct pipeline_item *item);
    /*
     * Of PUT: fills `load`, also a second time where the connection was cut. 0, or an enum client_result, and then it
     * has called done() itself and the item is over.
     */
    int (*load)(void *argument, const struct pipeline_item *item, struct pipeline_load *load);
    /* Of GET: takes the file over, and calls done() itself, then or later. */
    void (*land)(void *argument, const struct pipeline_item *item, const struct pipeline_answer *answer,
                 const struct client_transfer *transfer);
    /*
     * An item is over: a PUT with CLIENT_OK, or either with another result and its sentence, or it is to be moved
     * `alone`. `transfer` has its status, bytes and who encrypted.
     */
    void (*done)(void *argument, const struct pipeline_item *item, int result, const char *reason,
                 enum pipeline_alone alone, const struct client_transfer *transfer);
    /* Nothing has come for a moment, or the lane is at its end: what land() has gathered need not wait for more. */
    void (*pause)(void *argument, bool at_end);
};

/* Whether this client's files may go so: not where each is held to a rate or its name must be free. */
bool client_pipelines_do(const struct client *client);

/*
 * Runs all lanes to their end, the first one on this thread with `client`. CLIENT_OK, or the result that made a lane
 * give up (nobody answers, authentication, interrupted), with its sentence in client_reason(client): then what next()
 * would still give was not tried.
 */
int client_pipelines(struct client *client, const struct pipeline_lane *lanes, unsigned count);

#endif
