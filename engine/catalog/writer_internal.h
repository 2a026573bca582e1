/* Private to engine/catalog: writer.c, the queue and its thread, and writer_file.c, the file it writes to. */
#ifndef SLUICE_CATALOG_WRITER_INTERNAL_H
#define SLUICE_CATALOG_WRITER_INTERNAL_H

#include <pthread.h>

#include "engine/catalog/catalog_internal.h"
#include "engine/catalog/queue.h"
#include "engine/catalog/writer.h"

struct catalog_writer {
    char *file;
    struct event_log *log;
    size_t capacity, capacity_bytes;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;

    /* Under the lock. */
    struct catalog_queue queue;
    size_t taken, taken_bytes; /* that the thread has, and has not written yet: they count, too */
    uint64_t last_id;
    uint64_t written, lost, lost_told;
    uint64_t told_at; /* milliseconds: when C03W was last said */
    bool closing;
    uint64_t deadline; /* of closing */
    uint64_t keep;
    uint64_t purge_at; /* when something old is to be removed; FOREVER: nothing is */

    /* The thread's. */
    struct catalog *catalog; /* NULL: not open */
    struct catalog_queue batch;
    unsigned tag, retry;
    int trouble;       /* the -errno that was told; 0: none */
    uint64_t aside_at; /* when a file was last set aside; 0: never */
    struct catalog_purging purging;
};

uint64_t writer_clock(void); /* milliseconds */

/* `one` of those that were lost: it has its own event about what it was. */
void writer_tell_lost(struct catalog_writer *writer, const struct catalog_record *one, uint64_t lost, const char *why);
void writer_tell_trouble(struct catalog_writer *writer, int rc, const char *reason); /* once, and tries later then */
void writer_tell_recovery(struct catalog_writer *writer);

int writer_open_again(struct catalog_writer *writer); /* where it is not open, or another by now. 0 or -errno, told */
void writer_shut(struct catalog_writer *writer);
void writer_damaged(struct catalog_writer *writer, const char *reason); /* sets it aside */

#endif
