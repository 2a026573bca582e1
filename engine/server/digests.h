/*
 * Digests of files, computed for sessions on a few threads of their own, nicer than the workers.
 *
 * Each state of a file (device, inode, size, times of modification and change) is read by one thread at a time, however
 * many ask; what was computed of files that have their name is remembered, for a bounded number of them.
 */
#ifndef SLUICE_SERVER_DIGESTS_H
#define SLUICE_SERVER_DIGESTS_H

#include <sys/stat.h>

#include "engine/digest/digest.h"
#include "engine/ring/jobs.h"

struct digests;

/* 0 or -errno. `threads` for files that have their name, and as many for those that arrive. */
int digests_new(struct digests **digests, unsigned threads);
void digests_free(struct digests *digests); /* nobody asks any more; NULL is allowed */
void digests_stop(
    struct digests *digests); /* what is computed, and all that is asked from now on, ends with -ECANCELED */

/* Whether it is remembered of just this state of a file. Any thread; does not block. */
bool digests_recall(struct digests *digests, const struct stat *facts, unsigned algorithms, struct digest_set *set);
void digests_remember(struct digests *digests, const struct stat *facts, const struct digest_set *set);

/* Lent from digests_ask() until `done` is called, on the thread of `home`. */
struct digest_ask {
    int fd; /* open for reading */
    struct stat facts;
    unsigned algorithms;
    bool remember; /* the file has its name; what has none yet is computed on threads of its own */
    struct ring *home;
    void (*done)(struct digest_ask *ask);

    int result; /* 0 or -errno; -ESTALE: the file was changed meanwhile */
    struct digest_set set;

    struct digest_ask *next; /* private, as all below */
    struct job job;
    struct ring_task task;
    struct digests *digests;
};
void digests_ask(struct digests *digests, struct digest_ask *ask);

/*
 * For somebody who will ask for it soon: it is computed meanwhile and remembered. `fd` stays the caller's; `home` must
 * run until the digests are freed. Where too many are under way, nothing happens.
 */
void digests_expect(struct digests *digests, int fd, const struct stat *facts, unsigned algorithms, struct ring *home);

#endif
