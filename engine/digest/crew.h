/*
 * Digests of many files that grow, by a few threads: each reads on for a while in one that has bytes waiting, then goes
 * to the next. What is over a computation that is not wanted to its end costs nothing more.
 *
 * The owner of a file tells how far its bytes stand for good, and takes the computation over in the end, with what is
 * left to be read. Any thread may call; only what says so waits. The page cache is spared, as of digest_run_finish():
 * of a file that arrives nobody else needs what is not there.
 */
#ifndef SLUICE_DIGEST_CREW_H
#define SLUICE_DIGEST_CREW_H

#include "engine/digest/digest.h"

struct digest_crew;
struct digest_front; /* one file */

/* `name`: of the threads, at most 15 bytes. `nice`: added to that of the process (sched(7)). 0 or -errno. */
int digest_crew_new(struct digest_crew **crew, unsigned threads, const char *name, int nice);
void digest_crew_free(struct digest_crew *crew); /* no file is followed any more. Waits; NULL is allowed */

/* From the file's first byte on, of which none is there yet. The descriptor stays the caller's. 0 or -errno. */
int digest_front_new(struct digest_front **front, struct digest_crew *crew, int fd, unsigned algorithms);
/* Bytes [0, end) are in the file, and do not change while it is followed. What is less than before is passed over. */
void digest_front_reached(struct digest_front *front, uint64_t end);
unsigned digest_front_algorithms(const struct digest_front *front);

/* One of the two ends it. */
void digest_front_drop(struct digest_front *front); /* NULL is allowed */
/*
 * Waits until nobody reads for it. 0: *run, the caller's now, has taken in bytes [0, *end). -errno: the file could not
 * be read.
 */
int digest_front_take(struct digest_front *front, struct digest_run **run, uint64_t *end);

#endif
