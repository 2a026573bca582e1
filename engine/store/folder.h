/*
 * What a tree has beside its files: directories, links, and times and modes of what stands there already. All paths as
 * in store.h, resolved beneath the store's root. All calls may block.
 */
#ifndef SLUICE_STORE_FOLDER_H
#define SLUICE_STORE_FOLDER_H

#include "engine/store/store.h"

/*
 * Makes a directory, and those above it that are missing. 0, also where it is there already; -ENOTDIR: something else
 * is; -ELOOP: a symbolic link is, which is not followed; -EXDEV and others as of store_upload_begin().
 */
int store_make_folder(const struct store *store, const char *path);

/* Sets permission bits and time of modification of a directory or file, and syncs it. NULL: leaves that. 0 or -errno.
 */
int store_set_facts(const struct store *store, const char *path, const unsigned *mode, const struct timespec *modified);

/*
 * Makes a symbolic link, in one step, also over another link or a file that stands there. Refused with -EXDEV unless
 * `target` stays beneath the root wherever it is followed from: it is relative, ".." stands only at its beginning and
 * climbs no higher than the root. The directory must be there, and no link lead to it (-ELOOP). -EISDIR: a directory
 * has that name.
 */
int store_make_link(const struct store *store, const char *path, const char *target);

/* The rule of store_make_link(): whether a link at `path` may have that target. */
bool store_link_stays(const char *path, const char *target);

#endif
