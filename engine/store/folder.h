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

/*
 * Sets permission bits (0777; a directory keeps its others) and time of modification of a directory or file, and syncs
 * it. NULL: leaves that. 0 or -errno.
 */
int store_set_facts(const struct store *store, const char *path, const unsigned *mode, const struct timespec *modified);

/* store_make_folder() and then store_set_facts(), of the same directory; durably. *created: it was not there. */
int store_put_folder(const struct store *store, const char *path, const unsigned *mode, const struct timespec *modified,
                     bool *created);

/*
 * Makes a symbolic link, and directories above it that are missing, in one step, also over another link or a file that
 * stands there. Where that is the same link already, nothing is done. Refused with -EXDEV unless `target` stays beneath
 * the root wherever it is followed from: it is relative, ".." stands only at its beginning and climbs no higher than
 * the root, and no component is a private name. No link may lead to its directory (-ELOOP). -EISDIR: a directory has
 * that name; -EACCES: something else that is neither file nor link.
 */
struct store_link {
    const char *target;
    bool keeps;         /* what stands there is not replaced: -EEXIST */
    unsigned *numbered; /* as in struct store_upload */
    bool created;       /* set: it is there now, in place of nothing */
};
int store_put_link(const struct store *store, const char *path, struct store_link *link);
int store_make_link(const struct store *store, const char *path, const char *target); /* that replaces */

/* The rule of store_make_link(): whether a link at `path` may have that target. */
bool store_link_stays(const char *path, const char *target);

#endif
