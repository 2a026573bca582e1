/* What partial.c and partial_finish.c share. */
#ifndef SLUICE_SERVER_PARTIAL_INTERNAL_H
#define SLUICE_SERVER_PARTIAL_INTERNAL_H

#include "engine/server/partial.h"
#include "engine/server/uploads.h"

#define PART_HAVE_SIZE 2048 /* of the field in an answer: what does not fit is sent again */

/* A request's, in session->part. */
struct part {
    struct upload *upload; /* NULL: not held */
    const char *token;
    uint64_t size; /* of the whole */
    struct http_range range;
    struct extents holes;        /* that it tells of */
    struct upload_writer writer; /* while `writing` */
    bool writing, finishing;
    bool busy; /* it is refused because others are at the upload, for the moment */
    unsigned waits;
    char have[PART_HAVE_SIZE]; /* "": nothing is told */
    char aside[STORE_BAD_NAME_SIZE];
};

/* Holds the upload, for session->part: as uploads_take(). May block. */
int part_take(struct session *session, uint64_t size);
/* Has `work` done by a thread that may block, then goes on with `then`. */
enum flow part_run(struct session *session, enum flow (*then)(struct session *), void (*work)(struct job *job));
void part_set_deadline(struct session *session);
enum flow part_refuse(struct session *session, int rc); /* -errno or 412; holds the upload no longer */

/* partial_finish.c: a step, of who holds the upload. What a PUT finishes gets its name; what a DELETE does is gone. */
enum flow part_claim(struct session *session);

#endif
