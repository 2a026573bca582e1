#include "engine/catalog/writer.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "engine/catalog/writer_internal.h"

#define CAPACITY 65536
#define CAPACITY_BYTES ((size_t)64 << 20)
#define GATHER_MS 200     /* that the first record of a transaction waits for others */
#define GATHER_COUNT 4096 /* but not for more than these */
#define FOREVER UINT64_MAX
#define PURGE_MS 3600000     /* between two purges */
#define PURGE_PAUSE_MS 100   /* between two steps of one: others want the lock, too */
#define PURGE_AGAIN_MS 60000 /* where it was not possible */
#define WRITER_NICE 5        /* bytes that move go before what is noted about them */

/* -- a batch ------------------------------------------------------------------------------------------------------- */

/* Not the file's fault: this one will never fit. */
static bool is_its_own(int rc)
{
    return rc == -EINVAL;
}

/* Those in [first, end), one by one. */
static int put_each(struct catalog_writer *writer, struct catalog_waiting *first, const struct catalog_waiting *end,
                    struct catalog_waiting **misfit)
{
    int rc = 0;

    for (struct catalog_waiting *waiting = first; rc == 0 && waiting != end; waiting = waiting->next) {
        rc = catalog_put(writer->catalog, &waiting->record);
        if (is_its_own(rc))
            *misfit = waiting;
    }
    return rc;
}

static int put_all(struct catalog_writer *writer, struct catalog_waiting **misfit)
{
    struct catalog_record *records[CATALOG_PUT_MANY];
    struct catalog_waiting *first = writer->batch.first;
    int rc = catalog_begin(writer->catalog);

    while (rc == 0 && first) {
        struct catalog_waiting *end = first;
        size_t count = 0;
        for (; end && count < CATALOG_PUT_MANY; end = end->next)
            records[count++] = &end->record;
        bool many = count == CATALOG_PUT_MANY;
        rc = many ? catalog_put_many(writer->catalog, records) : 0;
        if (!many || is_its_own(rc))
            rc = put_each(writer, first, end, misfit);
        first = end;
    }
    if (rc == 0)
        rc = catalog_commit(writer->catalog);
    return rc;
}

static void note_lost(struct catalog_writer *writer, uint64_t count)
{
    pthread_mutex_lock(&writer->lock);
    writer->lost += count;
    writer->lost_told += count;
    pthread_mutex_unlock(&writer->lock);
}

static void drop(struct catalog_writer *writer, struct catalog_waiting *misfit)
{
    struct catalog_queue rest = { 0 };
    struct catalog_waiting *waiting;

    note_lost(writer, 1);
    writer_tell_lost(writer, &misfit->record, 1, catalog_reason(writer->catalog));
    while ((waiting = catalog_queue_take(&writer->batch))) {
        if (waiting == misfit)
            free(waiting);
        else
            catalog_queue_add(&rest, waiting);
    }
    writer->batch = (struct catalog_queue){ 0 };
    catalog_queue_move(&writer->batch, &rest);
}

static void note_taken(struct catalog_writer *writer, uint64_t written)
{
    pthread_mutex_lock(&writer->lock);
    writer->taken = writer->batch.count;
    writer->taken_bytes = writer->batch.bytes;
    writer->written += written;
    pthread_mutex_unlock(&writer->lock);
}

/* 0: all of it is written. Else it stays, to be tried again after writer->retry. */
static int write_batch(struct catalog_writer *writer)
{
    struct catalog_waiting *misfit = NULL;
    size_t count = writer->batch.count;
    int rc = writer_open_again(writer);

    if (rc == 0)
        rc = put_all(writer, &misfit);
    if (rc == 0) {
        catalog_queue_clear(&writer->batch);
        note_taken(writer, count);
        writer_tell_recovery(writer);
        return 0;
    }
    if (!writer->catalog)
        return rc;
    catalog_rollback(writer->catalog);
    if (misfit) {
        drop(writer, misfit);
        note_taken(writer, 0);
        return -EAGAIN;
    }
    if (rc == -EUCLEAN) {
        writer_damaged(writer, catalog_reason(writer->catalog));
        return writer->retry ? rc : -EAGAIN;
    }
    writer_tell_trouble(writer, rc, catalog_reason(writer->catalog));
    return rc;
}

/* -- the thread ---------------------------------------------------------------------------------------------------- */

static void wait_until(struct catalog_writer *writer, uint64_t until)
{
    struct timespec moment = { .tv_sec = (time_t)(until / 1000), .tv_nsec = (long)(until % 1000) * 1000000 };

    pthread_cond_clockwait(&writer->changed, &writer->lock, CLOCK_MONOTONIC, &moment);
}

/* Under the lock: until there is something worth a transaction, or the time for another try has come. */
static void gather(struct catalog_writer *writer)
{
    while (!writer->closing && !writer->queue.first && !writer->batch.first && writer_clock() < writer->purge_at) {
        if (writer->purge_at == FOREVER)
            pthread_cond_wait(&writer->changed, &writer->lock);
        else
            wait_until(writer, writer->purge_at);
    }
    if (!writer->queue.first && !writer->batch.first)
        return;
    uint64_t until = writer_clock() + (writer->retry ? writer->retry : GATHER_MS);
    while (!writer->closing && writer_clock() < until && (writer->retry || writer->queue.count < GATHER_COUNT))
        wait_until(writer, until);
    if (writer->closing && writer->retry && writer_clock() < writer->deadline) {
        uint64_t soon = writer_clock() + 100;
        wait_until(writer, soon < writer->deadline ? soon : writer->deadline);
    }
    /* What failed as a whole need not grow: the rest waits where it is counted. */
    if (!writer->batch.first)
        catalog_queue_move(&writer->batch, &writer->queue);
    writer->taken = writer->batch.count;
    writer->taken_bytes = writer->batch.bytes;
}

/* -- what is old --------------------------------------------------------------------------------------------------- */

/* 0: not now. */
static uint64_t purge_before(struct catalog_writer *writer)
{
    uint64_t now = catalog_now();

    pthread_mutex_lock(&writer->lock);
    bool due = writer->keep && !writer->closing && writer_clock() >= writer->purge_at;
    uint64_t before = due && writer->keep < now ? now - writer->keep : 0;
    pthread_mutex_unlock(&writer->lock);
    return before;
}

static void purge_again(struct catalog_writer *writer, unsigned wait)
{
    pthread_mutex_lock(&writer->lock);
    writer->purge_at = writer->keep ? writer_clock() + wait : FOREVER;
    pthread_mutex_unlock(&writer->lock);
}

/* A step, between two batches. What keeps it from being done keeps records from being written, which is told then. */
static void purge_some(struct catalog_writer *writer)
{
    uint64_t before = purge_before(writer);

    if (!before)
        return;
    if (!writer->purging.before)
        writer->purging = (struct catalog_purging){ .before = before };
    int rc = writer_open_again(writer);
    if (rc == 0)
        rc = catalog_purge_step(writer->catalog, &writer->purging);
    if (rc == 1) {
        purge_again(writer, PURGE_PAUSE_MS);
        return;
    }
    if (rc == -EUCLEAN && writer->catalog)
        writer_damaged(writer, catalog_reason(writer->catalog));
    if (writer->purging.removed)
        event(writer->log, "C05I", EVENT_T("file", writer->file), EVENT_N("records", writer->purging.removed));
    writer->purging = (struct catalog_purging){ 0 };
    purge_again(writer, rc < 0 ? PURGE_AGAIN_MS : PURGE_MS);
}

/* -- its end ------------------------------------------------------------------------------------------------------- */

static void give_up(struct catalog_writer *writer)
{
    uint64_t lost = writer->batch.count + writer->queue.count;

    catalog_queue_move(&writer->batch, &writer->queue);
    if (lost) {
        note_lost(writer, lost);
        writer_tell_lost(writer, &writer->batch.first->record, lost,
                         "this process ends, and they could not be written");
    }
    catalog_queue_clear(&writer->batch);
}

static void *writer_main(void *argument)
{
    struct catalog_writer *writer = argument;
    bool over = false;

    pthread_setname_np(pthread_self(), "catalog");
    setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), WRITER_NICE);
    while (!over) {
        pthread_mutex_lock(&writer->lock);
        gather(writer);
        pthread_mutex_unlock(&writer->lock);
        int rc = writer->batch.first ? write_batch(writer) : 0;
        while (rc == -EAGAIN)
            rc = writer->batch.first ? write_batch(writer) : 0;
        if (rc == 0)
            purge_some(writer);
        pthread_mutex_lock(&writer->lock);
        /* A lock may go away; nothing else that is in the way does so in a moment. */
        over = writer->closing && ((!writer->batch.first && !writer->queue.first) || (rc < 0 && rc != -EBUSY) ||
                                   writer_clock() >= writer->deadline);
        pthread_mutex_unlock(&writer->lock);
    }
    give_up(writer);
    writer_shut(writer);
    return NULL;
}

int catalog_writer_new(struct catalog_writer **made, const struct catalog_writer_options *options)
{
    struct catalog_writer *writer = calloc(1, sizeof *writer);
    sigset_t all, before;

    if (writer)
        writer->file = strdup(options->file);
    if (!writer || !writer->file) {
        free(writer);
        catalog_close(options->catalog);
        return -ENOMEM;
    }
    writer->log = options->log;
    writer->catalog = options->catalog;
    writer->capacity = options->capacity ? options->capacity : CAPACITY;
    writer->capacity_bytes = options->bytes ? options->bytes : CAPACITY_BYTES;
    writer->keep = options->keep;
    writer->purge_at = options->keep ? 0 : FOREVER;
    writer->tag = catalog_id_tag();
    pthread_mutex_init(&writer->lock, NULL);
    pthread_cond_init(&writer->changed, NULL);
    if (writer->catalog)
        catalog_hasten(writer->catalog);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = -pthread_create(&writer->thread, NULL, writer_main, writer);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc < 0) {
        catalog_close(writer->catalog);
        pthread_cond_destroy(&writer->changed);
        pthread_mutex_destroy(&writer->lock);
        free(writer->file);
        free(writer);
        return rc;
    }
    *made = writer;
    return 0;
}

void catalog_writer_free(struct catalog_writer *writer, unsigned patience)
{
    if (!writer)
        return;
    pthread_mutex_lock(&writer->lock);
    writer->closing = true;
    writer->deadline = writer_clock() + patience;
    pthread_cond_signal(&writer->changed);
    pthread_mutex_unlock(&writer->lock);
    pthread_join(writer->thread, NULL);
    if (writer->lost > writer->lost_told)
        writer_tell_lost(writer, NULL, writer->lost - writer->lost_told, "more came than could be kept in memory");
    pthread_cond_destroy(&writer->changed);
    pthread_mutex_destroy(&writer->lock);
    free(writer->file);
    free(writer);
}

/* -- from other threads -------------------------------------------------------------------------------------------- */

void catalog_writer_keep(struct catalog_writer *writer, uint64_t keep)
{
    pthread_mutex_lock(&writer->lock);
    if (keep != writer->keep) {
        writer->keep = keep;
        writer->purge_at = keep ? 0 : FOREVER;
        pthread_cond_signal(&writer->changed);
    }
    pthread_mutex_unlock(&writer->lock);
}

/* Under the lock. */
static uint64_t next_id(struct catalog_writer *writer)
{
    return writer->last_id = catalog_id_after(writer->last_id, writer->tag);
}

uint64_t catalog_writer_id(struct catalog_writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    uint64_t id = next_id(writer);
    pthread_mutex_unlock(&writer->lock);
    return id;
}

/* Under the lock. Returns how many are to be told of now: once a second, so that a log is not flooded. */
static uint64_t count_lost(struct catalog_writer *writer)
{
    uint64_t now = writer_clock(), untold;

    writer->lost++;
    if (writer->told_at && now - writer->told_at < 1000)
        return 0;
    untold = writer->lost - writer->lost_told;
    writer->told_at = now;
    writer->lost_told = writer->lost;
    return untold;
}

uint64_t catalog_writer_push(struct catalog_writer *writer, const struct catalog_record *record)
{
    uint64_t id = record->id, tell = 0;

    if (!writer)
        return 0;
    struct catalog_waiting *waiting = catalog_waiting_new(record);
    pthread_mutex_lock(&writer->lock);
    if (id == 0)
        id = next_id(writer);
    if (waiting)
        waiting->record.id = id;
    bool fits = waiting && writer->queue.count + writer->taken < writer->capacity &&
                writer->queue.bytes + writer->taken_bytes + waiting->size <= writer->capacity_bytes;
    if (fits) {
        catalog_queue_add(&writer->queue, waiting);
        if (writer->queue.count == 1 || writer->queue.count == GATHER_COUNT)
            pthread_cond_signal(&writer->changed);
    } else {
        tell = count_lost(writer);
    }
    pthread_mutex_unlock(&writer->lock);
    if (fits)
        return id;
    free(waiting);
    if (tell) {
        struct catalog_record one = *record;
        one.id = id;
        writer_tell_lost(writer, &one, tell, "more came than could be kept in memory");
    }
    return id;
}

void catalog_writer_count(struct catalog_writer *writer, struct catalog_writer_counts *counts)
{
    pthread_mutex_lock(&writer->lock);
    *counts = (struct catalog_writer_counts){ .written = writer->written,
                                              .lost = writer->lost,
                                              .waiting = writer->queue.count + writer->taken };
    pthread_mutex_unlock(&writer->lock);
}
