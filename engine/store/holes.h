/*
 * Where a file has data, and where only holes, which take no room and read as zeros (lseek(2), SEEK_DATA).
 */
#ifndef SLUICE_STORE_HOLES_H
#define SLUICE_STORE_HOLES_H

#include <sys/stat.h>

#include "engine/store/extents.h"

#define STORE_HOLES_FROM (1u << 20) /* bytes: in smaller files holes are not looked for */

/* Whether to look for any: it is large, and takes less room than its size. */
bool store_may_have_holes(const struct stat *facts);

/*
 * Fills `data`, an empty set, with the ranges of the first `size` bytes that are no holes: at most `limit`, at least 1.
 * Where there are more, the smallest holes count as data; so does what lies behind the first STORE_HOLES_LOOKS ranges.
 * The file's position moves. 0 or -errno with an empty set; a file system that knows no holes has none. May block.
 */
#define STORE_HOLES_LOOKS 16384
int store_find_data(int fd, uint64_t size, size_t limit, struct extents *data);

#endif
