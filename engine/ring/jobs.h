/*
 * A pool of threads for work that must not stall a ring: signing in a handshake, calls on files that may block.
 *
 * `run` is called on one of the pool's threads, then `done` on the thread of `home`. The job is lent to the pool from
 * jobs_submit() until `done` is called. Jobs start in the order they were submitted.
 */
#ifndef SLUICE_JOBS_H
#define SLUICE_JOBS_H

#include "engine/ring/ring.h"

struct job {
    void (*run)(struct job *job);
    void (*done)(struct job *job);
    struct ring *home;     /* NULL: nobody hears of its end, and the job is its own again as soon as it runs */
    struct ring_task task; /* private */
    struct job *next;      /* private */
};

struct jobs;

/*
 * `name`: of the threads, at most 15 bytes. `nice`: added to that of the process, 0 to 19 (sched(7)): where processors
 * are scarce, threads with less of it go first. They run wherever the process may, whoever calls this.
 */
int jobs_new(struct jobs **jobs, unsigned threads, const char *name, int nice);
void jobs_free(struct jobs *jobs); /* waits until all submitted jobs have run; NULL is allowed */
void jobs_submit(struct jobs *jobs, struct job *job);

#endif
