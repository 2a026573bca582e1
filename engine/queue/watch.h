/*
 * Watched folders ([watch NAME]): files that are finished are queued to a partner, and moved away or deleted once they
 * were sent.
 *
 * A file is finished when whoever wrote it closes it, or moves it into the folder (inotify). What was there before, or
 * escaped inotify, is found by looking through the folder, at the start and every WATCH_SCAN_MS, and is taken when it
 * has not changed for WATCH_QUIET_MS. What was queued is remembered in the catalog with the file's size, time and
 * inode: it is queued again only once it has changed.
 *     W01I  a file was queued
 *     W02W  a folder cannot be watched, for now: it is tried again
 *     W03W  a file was sent, but could not be moved away or deleted
 *     W04I  a file was moved away or deleted, after it was sent
 */
#ifndef SLUICE_WATCH_H
#define SLUICE_WATCH_H

#include "engine/queue/queue.h"

#define WATCH_SCAN_MS 30000
#define WATCH_QUIET_MS 5000

struct watches;

/* As queue_new(), queue_follow() and queue_free(). */
int watches_new(struct watches **watches, const char *catalog, struct event_log *log, const struct queue_model *model);
void watches_follow(struct watches *watches, const struct queue_model *model);
void watches_free(struct watches *watches);

#endif
