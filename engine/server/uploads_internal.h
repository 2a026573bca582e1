/* Private to uploads*.c: the table, under one lock, and the threads that look after it. */
#ifndef SLUICE_SERVER_UPLOADS_INTERNAL_H
#define SLUICE_SERVER_UPLOADS_INTERNAL_H

#include <pthread.h>

#include "engine/digest/crew.h"
#include "engine/server/server_internal.h"
#include "engine/server/uploads.h"

#define UPLOADS_BUCKETS 1024

/* Whose they are, by what their names begin with. */
struct upload_sender {
    struct upload_sender *next;
    char name[STORE_PARTIAL_SENDER + 1];
    unsigned count;
};

struct upload {
    struct upload *next;      /* in its bucket, or in the list of the gone */
    struct upload *next_open; /* of those with a partial */
    struct uploads *home;
    struct upload_sender *sender; /* NULL: it is gone */
    dev_t device;
    ino_t inode;
    char name[STORE_PARTIAL_NAME_SIZE];
    struct store_partial *partial; /* NULL: not open; stays while it is held */
    bool changing;                 /* its partial is being opened or closed, by one thread */
    unsigned holders;
    struct upload_writer *writers;
    bool known; /* it is on the disk, as far as is known */
    bool finishing, gone;
    atomic_bool unwanted;
    bool failed; /* the last time it was to be kept */
    uint64_t kept_at, idle_at;
    unsigned seen;             /* by the last sweep */
    struct pump_choice choice; /* of the last part; its path NULL: none came since it was opened */
    uint64_t began;
    struct digest_front *front; /* computes its digest meanwhile; NULL: nobody does */
    uint64_t told;              /* to that: how far its bytes stand */
    unsigned fronts;            /* that were begun since it was opened */
};

struct uploads {
    struct event_log *log;
    struct digest_crew *crew;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* `stopping` was set */
    pthread_cond_t settled; /* some upload's `changing` ended */
    struct upload *buckets[UPLOADS_BUCKETS];
    struct upload_sender *senders[UPLOADS_BUCKETS];
    struct upload *open; /* those with a partial */
    struct upload *gone; /* not in a bucket; closed once nobody holds them */
    unsigned count;      /* in buckets */
    unsigned fronts;     /* of all uploads */
    struct epoch *epoch; /* held */
    unsigned sweep;      /* the number of the present or last one */
    pthread_t keeper, sweeper;
    bool running;
    atomic_bool stopping;
};

/* All of these with the lock held. */
struct upload *uploads_find(struct uploads *uploads, dev_t device, ino_t inode, const char *name);
struct upload *uploads_insert(struct uploads *uploads, dev_t device, ino_t inode, const char *name);
void upload_forget(struct upload *upload);                         /* takes it out of the table */
void upload_not_open(struct upload *upload);                       /* takes it out of the list of those that are open */
void upload_free(struct upload *upload);                           /* the rest of it; also without the lock */
void upload_drop(struct upload *upload);                           /* one holds it no longer */
void upload_settle(struct upload *upload);                         /* its `changing` has ended */
bool uploads_rest(struct uploads *uploads, uint64_t milliseconds); /* true while there is no reason to end */

/* uploads_front.c, with the lock held. */
void upload_front_begin(struct upload *upload, const struct upload_writer *writer, unsigned algorithms);
void upload_front_move(struct upload *upload);
void upload_front_end(struct upload *upload);

/* The threads. */
void *uploads_keeper(void *uploads);
void *uploads_sweeper(void *uploads);
void uploads_keep_all(struct uploads *uploads); /* at the end */

#endif
