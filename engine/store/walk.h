/*
 * A walk through a directory and all beneath it, for manifests and for trees that are sent: one entry at a time, a
 * directory before what is in it, in no particular order. Nothing leads out: directories are opened by name in their
 * parent, and links are told of, never walked through.
 *
 * Bounded: WALK_DEPTH_MAX directories deep, paths below PATH_MAX bytes; what is beyond is told of as a fault, and the
 * walk goes on beside it. It holds two descriptors, and WALK_NAMES_MAX bytes of names of directories that it has not
 * gone into yet; where more are side by side, another descriptor for each such directory, up to WALK_STREAMS_MAX.
 */
#ifndef SLUICE_STORE_WALK_H
#define SLUICE_STORE_WALK_H

#include <stdbool.h>
#include <sys/stat.h>

#define WALK_DEPTH_MAX 64
#define WALK_STREAMS_MAX 8
#define WALK_NAMES_MAX (1u << 20)

enum walk_kind {
    WALK_FILE,
    WALK_DIRECTORY,
    WALK_LINK,
    WALK_OTHER, /* a device, a socket, a FIFO */
    WALK_FAULT  /* it cannot be read: `error` says why; other entries follow */
};

struct walk_entry {
    enum walk_kind kind;
    const char *path;   /* relative to where the walk began, without slashes at its ends; any bytes but NUL */
    struct stat facts;  /* of the link itself where it is one; not of a fault */
    const char *target; /* of a link, as it stands there */
    /*
     * Of a link, where it leads, if that is a file or directory beneath `root`: else `leads` is false. `beyond` is of
     * what it leads to.
     */
    bool leads;
    struct stat beyond;
    int error; /* -errno of a fault */
};

struct walk;

/*
 * `root`: what links may lead to. `path`: of the directory to walk, relative to it, "" for `root` itself.
 * `also_private`: names that begin with STORE_PRIVATE, too. `root` is lent until walk_end(). 0 or -errno.
 */
int walk_begin(struct walk **walk, int root, const char *path, bool also_private);
/* 1: the next entry, whose strings live until the next call; 0: there are no more; -errno: no memory. May block. */
int walk_next(struct walk *walk, struct walk_entry *entry);
void walk_end(struct walk *walk); /* NULL is allowed */

#endif
