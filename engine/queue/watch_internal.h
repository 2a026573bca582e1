/*
 * Private to engine/queue:
 *     watch.c         the thread: files that are finished are queued    watch_sent.c  what was sent
 *     watch_finish.c  one file's end
 */
#ifndef SLUICE_WATCH_INTERNAL_H
#define SLUICE_WATCH_INTERNAL_H

#include <stdbool.h>
#include <sys/stat.h>

#include "config/model.h"
#include "engine/queue/queue_internal.h"
#include "engine/queue/watch.h"

#define WATCH_MARK_SIZE 96

/* What a file is known by: inode, size, time. */
void watch_mark(const struct stat *facts, char mark[WATCH_MARK_SIZE]);
bool watch_is_marked(const char *path, const char *mark);

/*
 * Moves or deletes a file that was sent as the transfer `id`. 0; -ESTALE: it turned out to be another one, which has
 * its name again; -errno.
 */
int watch_finish(const struct config_watch *watch, const char *path, const char *mark, const char *id);

struct watches {
    char *file;
    struct event_log *log;
    pthread_t thread;
    int poke;
    pthread_mutex_t lock;
    struct queue_hold *hold; /* the current model; guarded by lock, as is the next */
    bool closing;

    /* the thread's alone */
    struct queue_hold *followed; /* what the inotify watches were made for */
    struct catalog *catalog;
    struct catalog_wake *wake;
    uint64_t open_again, scan_again; /* milliseconds */
    int64_t version;
    int inotify;            /* -1: none */
    int *ids;               /* of inotify, one for each [watch]; -1: not watched */
    bool *told;             /* W02W, one for each */
    uint64_t *finish_again; /* milliseconds, one for each: before, nothing is moved or deleted */
};

uint64_t watches_clock(void); /* milliseconds */
/* Whether a call to the catalog went well. Locked or full for the moment: it is looked at again with the next scan. */
bool watches_went_well(struct watches *watches, int rc);

/* watch_sent.c: of the `i`th watch, what has been carried out is moved or deleted. */
void watches_finish_sent(struct watches *watches, size_t i, const struct config_watch *watch);
/* What is remembered of files that are no longer there does not grow without an end. */
void watches_forget_gone(struct watches *watches, const struct config_watch *watch);

#endif
