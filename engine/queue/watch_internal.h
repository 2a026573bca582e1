/* Shared by watch.c and watch_finish.c: a watched file, and its end. */
#ifndef SLUICE_WATCH_INTERNAL_H
#define SLUICE_WATCH_INTERNAL_H

#include <stdbool.h>
#include <sys/stat.h>

#include "config/model.h"

#define WATCH_MARK_SIZE 96

/* What a file is known by: inode, size, time. */
void watch_mark(const struct stat *facts, char mark[WATCH_MARK_SIZE]);
bool watch_is_marked(const char *path, const char *mark);

/*
 * Moves or deletes a file that was sent as the transfer `id`. 0; -ESTALE: it turned out to be another one, which has
 * its name again; -errno.
 */
int watch_finish(const struct config_watch *watch, const char *path, const char *mark, const char *id);

#endif
