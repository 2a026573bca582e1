/*
 * Private to engine/queue:
 *     schedule.c  whether and when to try again        request.c  what stands in a job
 *     work.c      one transfer on a thread of its own  queue.c    the thread that has the catalog
 *     progress.c  how far those that run have come
 *     settle.c    what becomes of one that has ended   watch*.c   watched folders
 */
#ifndef SLUICE_QUEUE_INTERNAL_H
#define SLUICE_QUEUE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "engine/queue/queue.h"

/* One model, as long as it is used. */
struct queue_hold {
    struct queue_model model;
    atomic_uint users;
};
struct queue_hold *queue_hold_new(const struct queue_model *model); /* with one user; takes it over */
struct queue_hold *queue_hold_more(struct queue_hold *hold);
void queue_hold_drop(struct queue_hold *hold); /* NULL is allowed */

/* What a try came to. */
struct queue_outcome {
    int result; /* enum client_result */
    unsigned status;
    char reason[1024];
    uint64_t bytes, unmoved, begun, ended; /* `unmoved`: bytes that were there before, and of holes */
    double seconds;
    char digest[160], pump[16], version[16], suite[64], tx[256], rx[256], peer[128];
    char authentication[32], subject[512];
    bool resumed;
};

struct queue_work {
    struct queue_work *next;
    uint64_t id;
    enum catalog_direction direction;
    enum catalog_kind kind;
    char *partner, *remote, *local;
    void *message;
    size_t message_length;
    uint64_t size;
    unsigned retries;
    struct queue_request request;

    struct queue_hold *hold;
    struct event_log *log;
    void (*move_tree)(const struct queue_tree *tree, struct queue_tree_end *end);
    int interrupt; /* eventfd: readable once it shall end */
    int done;      /* the queue's eventfd, written to at the end */
    pthread_t thread;
    atomic_bool ended;
    atomic_uint_fast64_t moved, total; /* so far, of the file; total: UINT64_MAX: not known */
    uint64_t noted, noted_at;          /* how far it had come when that was last written, and when (milliseconds) */
    bool interrupted;
    struct queue_outcome outcome; /* the thread's until `ended` */
};

/* Copies a record; NULL: no memory. */
struct queue_work *queue_work_new(const struct catalog_record *record);
void queue_work_free(struct queue_work *work); /* after its thread has been joined, or never was; NULL is allowed */
int queue_work_start(struct queue_work *work); /* 0 or -errno */
void queue_work_interrupt(struct queue_work *work);

struct queue {
    char *file;
    struct event_log *log;
    struct hooks *hooks;
    void (*move_tree)(const struct queue_tree *tree, struct queue_tree_end *end);
    pthread_t thread;
    int poke; /* eventfd */
    pthread_mutex_t lock;
    struct queue_hold *hold; /* the current model; guarded by lock, as is the next */
    bool closing;

    /* the thread's alone */
    struct catalog *catalog;
    struct catalog_wake *wake;
    uint64_t open_again; /* milliseconds */
    bool told;           /* Q03W since it last went well */
    int64_t version;     /* of the catalog when we last looked */
    uint64_t due;        /* microseconds since 1970: the next one is to be tried */
    struct queue_work *running;
    unsigned running_count;
    uint64_t note_at; /* milliseconds: when it is next written how far they have come */
};

/* Whether a call to the catalog went well, which is told of where not. Locked or full for the moment: again later. */
bool queue_went_well(struct queue *queue, int rc);
/* progress.c: writes how far what runs has come, where it is time to. */
void queue_note_progress(struct queue *queue, uint64_t now);
/* Records what a transfer has come to. True: it is recorded, or never will be. */
bool queue_settle(struct queue *queue, struct queue_work *work);

#endif
