/*
 * Digests of files, computed for sessions on a few threads of their own, nicer than the workers.
 *
 * Each state of a file (device, inode, size, times of modification and change) is read by one thread at a time, however
 * many ask; what was computed of files that have their name is remembered, for a bounded number of them.
 */
#ifndef SLUICE_SERVER_DIGESTS_H
#define SLUICE_SERVER_DIGESTS_H

#include <sys/stat.h>

#include "engine/digest/crew.h"
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

/*
 * Computes it on this thread, of a file so small that it is not worth remembering. 0 or -errno; -ESTALE: the file is
 * not, or no longer, in the state of `facts`. Any thread; waits for the disk.
 */
int digests_compute(int fd, const struct stat *facts, unsigned algorithms, struct digest_set *set);

/*
 * Lent from digests_ask() until `done` is called, on the thread of `home`, or digests_forget() has returned true. What
 * nobody waits for any more is not computed to its end.
 */
struct digest_ask {
    int fd; /* open for reading; the caller's again once digests_ask() has returned */
    struct stat facts;
    unsigned algorithms;
    bool remember;              /* the file has its name; what has none yet is computed on threads of its own */
    bool spares_cache;          /* as of digest_run_finish(); of those who ask the same the first is heard */
    struct digest_front *front; /* what is computed already, of all these algorithms: goes to them. NULL: nothing */
    uint64_t asker;             /* a hash of who has DIGESTS_PER_ASKER under way at most; 0: nobody's, not counted */
    struct ring *home;
    void (*done)(struct digest_ask *ask);

    int result; /* 0 or -errno; -ESTALE: the file was changed meanwhile */
    struct digest_set set;

    struct digest_ask *next; /* private, as all below */
    struct digest_question *question;
    struct ring_task task;
};
#define DIGESTS_PER_ASKER 16

/* 0; or -errno, and `done` is not called: -EUSERS: this asker has too many under way. */
int digests_ask(struct digests *digests, struct digest_ask *ask);
/* On the thread of `home`: nobody waits for it any more. False: `done` will be called all the same. */
bool digests_forget(struct digests *digests, struct digest_ask *ask);

#endif
