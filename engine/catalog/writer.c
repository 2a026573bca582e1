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

#include "engine/catalog/catalog_internal.h"
#include "engine/catalog/queue.h"

#define CAPACITY 65536
#define CAPACITY_BYTES ((size_t)64 << 20)
#define GATHER_MS 200     /* that the first record of a transaction waits for others */
#define GATHER_COUNT 4096 /* but not for more than these */
#define RETRY_MS 1000     /* after a failure; then twice as long each time */
#define RETRY_MAX_MS 30000
#define ASIDE_MS 60000 /* between two files set aside: a disk that damages each one shall not be filled with them */
#define WRITER_NICE 5  /* bytes that move go before what is noted about them */

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

    /* The thread's. */
    struct catalog *catalog; /* NULL: not open */
    struct catalog_queue batch;
    unsigned tag, retry;
    int trouble;       /* the -errno that was told; 0: none */
    uint64_t aside_at; /* when a file was last set aside; 0: never */
};

static uint64_t milliseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* -- what is said -------------------------------------------------------------------------------------------------- */

/* `one` of those that were lost: it has its own event about what it was. */
static void tell_lost(struct catalog_writer *writer, const struct catalog_record *one, uint64_t lost, const char *why)
{
    char id[CATALOG_ID_SIZE] = "";

    if (one)
        catalog_id_print(one->id, id);
    event(writer->log, "C03W", EVENT_N("records", lost), EVENT_T("reason", why), EVENT_T("file", writer->file),
          EVENT_T("transfer", one ? id : NULL),
          EVENT_T("direction", one ? catalog_direction_word(one->direction) : NULL),
          EVENT_T("state", one ? catalog_state_word(one->state) : NULL), EVENT_T("path", one ? one->remote : NULL),
          EVENT_T("local", one ? one->local : NULL), EVENT_T("partner", one ? one->partner : NULL),
          EVENT_T("name", one ? one->user : NULL), EVENT_T("peer", one ? one->peer : NULL),
          EVENT_N("bytes", one ? one->bytes : 0));
}

static void tell_trouble(struct catalog_writer *writer, int rc, const char *reason)
{
    struct catalog_writer_counts counts;

    writer->retry = writer->retry == 0 ? RETRY_MS : writer->retry * 2 > RETRY_MAX_MS ? RETRY_MAX_MS : writer->retry * 2;
    if (writer->trouble == rc)
        return;
    writer->trouble = rc;
    catalog_writer_count(writer, &counts);
    event(writer->log, "C02W", EVENT_T("file", writer->file), EVENT_T("reason", reason),
          EVENT_N("waiting", counts.waiting), EVENT_N("lost", counts.lost));
}

static void tell_recovery(struct catalog_writer *writer)
{
    struct catalog_writer_counts counts;

    writer->retry = 0;
    if (!writer->trouble)
        return;
    writer->trouble = 0;
    catalog_writer_count(writer, &counts);
    event(writer->log, "C01I", EVENT_T("file", writer->file), EVENT_N("lost", counts.lost));
}

/* -- the file ------------------------------------------------------------------------------------------------------ */

static void shut(struct catalog_writer *writer)
{
    catalog_close(writer->catalog);
    writer->catalog = NULL;
}

static void set_aside(struct catalog_writer *writer, ino_t damaged, const char *reason)
{
    char aside[PATH_MAX], text[CATALOG_WHY_SIZE + PATH_MAX + 128];
    struct catalog_writer_counts counts;
    bool again = writer->aside_at && milliseconds() - writer->aside_at < ASIDE_MS;
    int rc = again ? -EAGAIN : catalog_set_aside(writer->file, damaged, aside, sizeof aside);

    if (rc == -ESTALE)
        return;
    if (again) {
        snprintf(text, sizeof text, "%s, and so was the one before it: look at the disk", reason);
        tell_trouble(writer, -EUCLEAN, text);
        return;
    }
    if (rc < 0) {
        snprintf(text, sizeof text, "%s; it cannot be set aside: %s", reason, strerror(-rc));
        tell_trouble(writer, -EUCLEAN, text);
        return;
    }
    catalog_writer_count(writer, &counts);
    snprintf(text, sizeof text, "%s; what was recorded until now stands in %s, and a new file is begun", reason, aside);
    event(writer->log, "C02W", EVENT_T("file", writer->file), EVENT_T("reason", text), EVENT_T("aside", aside),
          EVENT_N("waiting", counts.waiting), EVENT_N("lost", counts.lost));
    writer->trouble = -EUCLEAN;
    writer->aside_at = milliseconds();
}

static void damaged(struct catalog_writer *writer, const char *reason)
{
    char copy[CATALOG_WHY_SIZE];
    struct stat facts;
    ino_t inode = 0;

    snprintf(copy, sizeof copy, "%s", reason);
    if (writer->catalog)
        inode = catalog_inode(writer->catalog);
    else if (stat(writer->file, &facts) == 0)
        inode = facts.st_ino;
    shut(writer);
    set_aside(writer, inode, copy);
}

static int open_again(struct catalog_writer *writer)
{
    char why[CATALOG_WHY_SIZE];

    if (writer->catalog && !catalog_is_current(writer->catalog))
        shut(writer);
    if (writer->catalog)
        return 0;
    int rc = catalog_open(&writer->catalog, writer->file, CATALOG_WRITE, why);
    if (rc == -EUCLEAN) {
        damaged(writer, why);
        rc = catalog_open(&writer->catalog, writer->file, CATALOG_WRITE, why);
    }
    if (rc == 0)
        rc = catalog_hasten(writer->catalog);
    if (rc < 0) {
        tell_trouble(writer, rc, why);
        shut(writer);
    }
    return rc;
}

/* -- a batch ------------------------------------------------------------------------------------------------------- */

/* Not the file's fault: this one will never fit. */
static bool is_its_own(int rc)
{
    return rc == -EINVAL;
}

static int put_all(struct catalog_writer *writer, struct catalog_waiting **misfit)
{
    int rc = catalog_begin(writer->catalog);

    for (struct catalog_waiting *waiting = writer->batch.first; rc == 0 && waiting; waiting = waiting->next) {
        rc = catalog_put(writer->catalog, &waiting->record);
        if (is_its_own(rc))
            *misfit = waiting;
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
    tell_lost(writer, &misfit->record, 1, catalog_reason(writer->catalog));
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
    int rc = open_again(writer);

    if (rc == 0)
        rc = put_all(writer, &misfit);
    if (rc == 0) {
        catalog_queue_clear(&writer->batch);
        note_taken(writer, count);
        tell_recovery(writer);
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
        damaged(writer, catalog_reason(writer->catalog));
        return writer->retry ? rc : -EAGAIN;
    }
    tell_trouble(writer, rc, catalog_reason(writer->catalog));
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
    while (!writer->closing && !writer->queue.first && !writer->batch.first)
        pthread_cond_wait(&writer->changed, &writer->lock);
    uint64_t until = milliseconds() + (writer->retry ? writer->retry : GATHER_MS);
    while (!writer->closing && milliseconds() < until && (writer->retry || writer->queue.count < GATHER_COUNT))
        wait_until(writer, until);
    if (writer->closing && writer->retry && milliseconds() < writer->deadline) {
        uint64_t soon = milliseconds() + 100;
        wait_until(writer, soon < writer->deadline ? soon : writer->deadline);
    }
    /* What failed as a whole need not grow: the rest waits where it is counted. */
    if (!writer->batch.first)
        catalog_queue_move(&writer->batch, &writer->queue);
    writer->taken = writer->batch.count;
    writer->taken_bytes = writer->batch.bytes;
}

static void give_up(struct catalog_writer *writer)
{
    uint64_t lost = writer->batch.count + writer->queue.count;

    catalog_queue_move(&writer->batch, &writer->queue);
    if (lost) {
        note_lost(writer, lost);
        tell_lost(writer, &writer->batch.first->record, lost, "this process ends, and they could not be written");
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
        pthread_mutex_lock(&writer->lock);
        /* A lock may go away; nothing else that is in the way does so in a moment. */
        over = writer->closing && ((!writer->batch.first && !writer->queue.first) || (rc < 0 && rc != -EBUSY) ||
                                   milliseconds() >= writer->deadline);
        pthread_mutex_unlock(&writer->lock);
    }
    give_up(writer);
    shut(writer);
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
    writer->deadline = milliseconds() + patience;
    pthread_cond_signal(&writer->changed);
    pthread_mutex_unlock(&writer->lock);
    pthread_join(writer->thread, NULL);
    if (writer->lost > writer->lost_told)
        tell_lost(writer, NULL, writer->lost - writer->lost_told, "more came than could be kept in memory");
    pthread_cond_destroy(&writer->changed);
    pthread_mutex_destroy(&writer->lock);
    free(writer->file);
    free(writer);
}

/* -- from other threads -------------------------------------------------------------------------------------------- */

uint64_t catalog_writer_id(struct catalog_writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    uint64_t id = writer->last_id = catalog_id_after(writer->last_id, writer->tag);
    pthread_mutex_unlock(&writer->lock);
    return id;
}

/* Under the lock. Returns how many are to be told of now: once a second, so that a log is not flooded. */
static uint64_t count_lost(struct catalog_writer *writer)
{
    uint64_t now = milliseconds(), untold;

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
    if (id == 0)
        id = catalog_writer_id(writer);
    struct catalog_waiting *waiting = catalog_waiting_new(record);
    if (waiting)
        waiting->record.id = id;
    pthread_mutex_lock(&writer->lock);
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
        tell_lost(writer, &one, tell, "more came than could be kept in memory");
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
