/*
 * The plan of a transfer over several streams: which bytes are done, who moves which, and what is next.
 *
 * Each stream (a number below `streams`) takes a range, tells how far it came, and ends it; what it left of the range
 * goes back and another may take it. Ranges are large at first and small to the end, so that all streams end together.
 * Where nothing is left to be taken, and a slow stream would still be busy for more than a moment, an idle one takes
 * the second half of its rest: the slow one hears of it from plan_moved().
 *
 * Any thread. Positions and sizes are in bytes.
 */
#ifndef SLUICE_CLIENT_PLAN_H
#define SLUICE_CLIENT_PLAN_H

#include "engine/store/extents.h"

#define PLAN_STREAMS_MAX 64
#define PLAN_SMALLEST (1u << 20) /* no range is made smaller than this, and ranges begin at multiples of it */
#define PLAN_LARGEST (UINT64_C(256) << 20)

struct plan;

/* `have`: what is there already, or NULL. NULL: no memory. */
struct plan *plan_new(uint64_t size, const struct extents *have, unsigned streams);
void plan_free(struct plan *plan); /* NULL is allowed */

/*
 * The next range [*first, *end) for a stream that has none. Waits, at most `milliseconds`, where there may be one
 * later. 0; -EAGAIN: none yet; -ENODATA: all is done; -ECANCELED: plan_stop(); -ENOMEM, -E2BIG.
 */
int plan_take(struct plan *plan, unsigned stream, unsigned milliseconds, uint64_t *first, uint64_t *end);
/* Takes just this range, before anybody took one: what the first request asked for. -EINVAL: not so. */
int plan_take_this(struct plan *plan, unsigned stream, uint64_t first, uint64_t end);

/* The first `bytes` of the stream's range are done. Returns how many it is to move in all: by now perhaps fewer. */
uint64_t plan_moved(struct plan *plan, unsigned stream, uint64_t bytes);
/* The stream has ended with its range, after `bytes`. */
void plan_end(struct plan *plan, unsigned stream, uint64_t bytes);

void plan_stop(struct plan *plan); /* from now on nothing is given out */

bool plan_complete(struct plan *plan);
uint64_t plan_done(struct plan *plan);                 /* bytes, with those of `have` */
int plan_copy(struct plan *plan, struct extents *out); /* what is done, into an empty set; 0 or -ENOMEM */
uint64_t plan_front(struct plan *plan);                /* all before this is done */

#endif
