#include "engine/store/holes.h"

#include <errno.h>
#include <unistd.h>

bool store_may_have_holes(const struct stat *facts)
{
    return facts->st_size >= (off_t)STORE_HOLES_FROM && (uint64_t)facts->st_blocks * 512 < (uint64_t)facts->st_size;
}

/* 1: the next range at or behind `from`, within `size`; 0: there is none; -errno. */
static int next_data(int fd, uint64_t size, uint64_t from, uint64_t *first, uint64_t *end)
{
    off_t data = lseek(fd, (off_t)from, SEEK_DATA);
    if (data < 0)
        return errno == ENXIO ? 0 : -errno;
    off_t hole = lseek(fd, data, SEEK_HOLE);
    if (hole < 0)
        return errno == ENXIO ? 0 : -errno; /* it became shorter meanwhile */
    *first = (uint64_t)data;
    *end = (uint64_t)hole < size ? (uint64_t)hole : size;
    return *first < size;
}

static int find_all(int fd, uint64_t size, struct extents *data)
{
    uint64_t first = 0, end = 0;
    int rc = 1;

    for (unsigned looks = 0; rc == 1 && end < size; looks++) {
        if (looks == STORE_HOLES_LOOKS)
            return extents_add(data, end, size);
        rc = next_data(fd, size, end, &first, &end);
        int added = rc == 1 ? extents_add(data, first, end) : 0;
        if (added < 0)
            return added;
    }
    return rc < 0 ? rc : 0;
}

int store_find_data(int fd, uint64_t size, size_t limit, struct extents *data)
{
    int rc = size > INT64_MAX ? -EFBIG : find_all(fd, size, data);

    if (rc == 0)
        rc = extents_join(data, limit);
    if (rc < 0)
        extents_clear(data);
    return rc;
}
