/*
 * Which bytes of a file are there: an ordered set of ranges that neither overlap nor touch. Zeroed is empty.
 *
 * Positions are bytes; a range is [first, end). Not for several threads at once. Calls return 0 or -errno.
 */
#ifndef SLUICE_STORE_EXTENTS_H
#define SLUICE_STORE_EXTENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXTENTS_MAX 65536
#define EXTENTS_NONE "none" /* how an empty set is written */

struct extent {
    uint64_t first, end;
};

struct extents {
    struct extent *items;
    size_t count;
    size_t capacity; /* private */
};

void extents_clear(struct extents *extents); /* empty, without memory of its own */

/* Merges with what it overlaps or touches. An empty range is nothing. -EINVAL (end before first), -ENOMEM, -E2BIG (it
 * would be one more than EXTENTS_MAX); after an error the set is as it was. */
int extents_add(struct extents *extents, uint64_t first, uint64_t end);

/* Whether every byte of the range is in the set. */
bool extents_hold(const struct extents *extents, uint64_t first, uint64_t end);

/* The first range at or behind `from` that a file of `size` bytes still lacks; false where it lacks none. */
bool extents_next_missing(const struct extents *extents, uint64_t size, uint64_t from, uint64_t *first, uint64_t *end);

uint64_t extents_total(const struct extents *extents); /* bytes */

/* Adds each range of another set. 0 or -errno; after an error some of them are in it. */
int extents_add_all(struct extents *extents, const struct extents *more);
/* Adds to `gaps` what the set lacks of [first, end). 0 or -errno, as above. */
int extents_add_missing(const struct extents *extents, uint64_t first, uint64_t end, struct extents *gaps);
/* Joins what the smallest gaps part until no more than `limit` ranges, at least 1, are left. 0 or -ENOMEM. */
int extents_join(struct extents *extents, size_t limit);

/*
 * "0-99,200-299", inclusive as HTTP writes ranges (RFC 9110, 14.4), in any order, with blanks around commas allowed; or
 * "none". Adds to the set. -EINVAL, -ENOMEM, -E2BIG; after an error the set is empty.
 */
int extents_parse(struct extents *extents, const char *text);

/* As above, NUL included. -ENOSPC: `out` was too small and holds only the first ranges, as many as there was room for;
 * `size` must be at least sizeof EXTENTS_NONE. */
int extents_print(const struct extents *extents, char *out, size_t size);

#endif
