/*
 * Private to pipeline.c (what is asked and answered), pipeline_verify.c (digests) and pipeline_lanes.c (threads, and
 * the switch to the kernel).
 */
#ifndef SLUICE_CLIENT_PIPELINE_INTERNAL_H
#define SLUICE_CLIENT_PIPELINE_INTERNAL_H

#include "engine/client/client_internal.h"
#include "engine/client/pipeline.h"

#define PIPELINE_WINDOW_MAX 64u
#define PIPELINE_HEAD_MAX 16384u
#define PIPELINE_OUT_ENOUGH (256u << 10) /* what waits to be sent: beyond it no more is added */
#define FRUITLESS_MAX 3                  /* connections in a row without an answer, until a file is given up */
#define GIVEN_UP_MAX 3                   /* files given up so, until the lane is */

struct pipeline_slot {
    struct pipeline_item item;
    uint64_t since; /* when it was asked for */
    uint64_t length;
    struct digest_set promised; /* of what was sent */
};

struct pipeline {
    struct client *client;
    const struct pipeline_lane *lane;
    unsigned window, window_limit; /* now, and at most */

    /* Items that are not answered, in order: the first `asked` of them were asked for on this connection. */
    struct pipeline_slot slots[PIPELINE_WINDOW_MAX];
    unsigned first, count, asked;
    bool no_more;

    /* The connection. */
    unsigned answers;
    unsigned fruitless, given_up;
    bool closing; /* nothing more is asked for on it */
    bool settled; /* who decrypts is decided */
    bool noted;   /* and what there is to say of the session was noted since */
    bool unflushed;
    size_t sent, filled; /* of `out` */

    /* The answer that comes now. */
    bool in_body, body_ended, too_large;
    uint64_t left;
    const char *whole; /* where it stands if it came in one piece; else it is gathered in `answer` */
    size_t got;

    char answer[PIPELINE_BODY_MAX];
    char body[PIPELINE_BODY_MAX];
    char out[PIPELINE_OUT_ENOUGH + PIPELINE_HEAD_MAX + PIPELINE_BODY_MAX];
};

/* pipeline_verify.c: of a PUT. The digest is computed and goes with the fields. 0 or -errno. */
int pipeline_promise(struct pipeline *pipeline, struct pipeline_slot *slot, struct pipeline_load *load);
/* The answer's. CLIENT_OK, or CLIENT_DIGEST with its sentence; client->last says what was verified, and why not. */
int pipeline_check(struct pipeline *pipeline, const struct pipeline_slot *slot);
/* Of an answer that is good otherwise, and of what a GET brought: with a sentence where it is not PIPELINE_DONE. */
enum pipeline_alone pipeline_demand(struct pipeline *pipeline, const struct pipeline_slot *slot, const char *bytes,
                                    size_t length);

int pipeline_run(struct client *client, const struct pipeline_lane *lane);

/*
 * 0, -EAGAIN, or -errno. Ahead of a read where nothing stands in the inbox: the direction goes to the kernel if it can.
 */
int pipeline_prepare_reading(struct pipeline *pipeline);
/* Ahead of the first request. 0 or -errno. */
int pipeline_prepare_sending(struct pipeline *pipeline);
/* Reads where nothing stands in the inbox, and calls `take` with what does. 0, -EAGAIN, -errno. */
int pipeline_read_body(struct pipeline *pipeline, bool *moved, int (*take)(struct pipeline *pipeline));

#endif
