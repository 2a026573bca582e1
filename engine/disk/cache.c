#include "engine/disk/cache.h"

#include <errno.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef __NR_cachestat
#define __NR_cachestat 451 /* the same number on every architecture; since Linux 6.5 */
#endif

#define PLACES 16 /* of a large file, each of so many bytes */
#define PLACE ((uint64_t)64 << 10)
#define PAGES_AT_ONCE 256 /* asked about with one mincore(2) */
#define SPOTS 3           /* of a step, where only single bytes can be asked for */

/* As in linux/mman.h, which Debian 12 does not have so yet. */
struct cachestat_range_64 {
    uint64_t offset, length;
};

struct cachestat_64 {
    uint64_t pages, dirty, writeback, evicted, recently_evicted;
};

bool cache_is_home(int file)
{
    struct statfs facts;
    return fstatfs(file, &facts) == 0 && (facts.f_type == TMPFS_MAGIC || facts.f_type == RAMFS_MAGIC);
}

/*
 * One byte, if that is possible without waiting: before cachestat(2), and where a file is not ours to ask about. Where
 * it is not there the kernel begins to read ahead.
 */
static enum cached holds_byte(int file, uint64_t offset)
{
    char byte;
    struct iovec into = { .iov_base = &byte, .iov_len = 1 };
    if (preadv2(file, &into, 1, (off_t)offset, RWF_NOWAIT) >= 0)
        return CACHED_YES; /* the end of the file is waited for by nobody, either */
    return errno == EAGAIN ? CACHED_NO : CACHED_UNKNOWN;
}

static enum cached holds_spots(int file, uint64_t offset, uint64_t length)
{
    for (unsigned i = 0; i < SPOTS; i++) {
        enum cached found = holds_byte(file, offset + (length - 1) / (SPOTS - 1) * i);
        if (found != CACHED_YES)
            return found;
    }
    return holds_byte(file, offset + length - 1);
}

/* -errno, or whether all pages are there. */
static int holds_pages(int file, uint64_t offset, uint64_t length)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    struct cachestat_range_64 range = { .offset = offset, .length = length };
    struct cachestat_64 facts;
    if (syscall(__NR_cachestat, file, &range, &facts, 0u) != 0)
        return -errno;
    return facts.pages >= (offset + length - 1) / page - offset / page + 1;
}

enum cached cache_holds(int file, uint64_t offset, uint64_t length)
{
    if (length == 0)
        return CACHED_YES;
    int found = holds_pages(file, offset, length);
    if (found < 0)
        return holds_spots(file, offset, length);
    return found ? CACHED_YES : CACHED_NO;
}

/* As mincore(2) has it: 1, all pages are there; 0; -errno. */
static int maps_pages(int file, uint64_t offset, uint64_t length)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), first = offset - offset % page;
    size_t size = (size_t)(offset + length - first);
    char *at = mmap(NULL, size, PROT_READ, MAP_SHARED, file, (off_t)first);
    if (at == MAP_FAILED)
        return -errno;
    unsigned char pages[PAGES_AT_ONCE];
    int found = 1;
    for (size_t from = 0; from < size && found == 1; from += PAGES_AT_ONCE * page) {
        size_t part = size - from < PAGES_AT_ONCE * page ? size - from : PAGES_AT_ONCE * page;
        if (mincore(at + from, part, pages) != 0)
            found = -errno;
        for (size_t i = 0; i < (part + page - 1) / page && found == 1; i++)
            found = pages[i] & 1;
    }
    munmap(at, size);
    return found;
}

/* Of a file that is not ours to ask about mincore(2) says that all is there: a page behind its end, too. */
static bool mincore_tells(int file)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    struct stat facts;
    return fstat(file, &facts) == 0 && maps_pages(file, ((uint64_t)facts.st_size / page + 1) * page, 1) == 0;
}

enum cached cache_holds_untouched(int file, uint64_t offset, uint64_t length)
{
    if (length == 0)
        return CACHED_YES;
    int found = holds_pages(file, offset, length);
    if (found < 0 && mincore_tells(file))
        found = maps_pages(file, offset, length);
    if (found < 0)
        return CACHED_UNKNOWN;
    return found ? CACHED_YES : CACHED_NO;
}

enum cached cache_holds_most(int file, uint64_t offset, uint64_t length)
{
    if (length <= PLACES * PLACE)
        return cache_holds(file, offset, length);
    unsigned there = 0;
    for (unsigned i = 0; i < PLACES; i++) {
        uint64_t place = offset + length / PLACES * i;
        enum cached found = cache_holds_untouched(file, place, PLACE);
        if (found == CACHED_UNKNOWN)
            found = holds_byte(file, place);
        if (found == CACHED_UNKNOWN)
            return CACHED_UNKNOWN;
        there += found == CACHED_YES;
    }
    return there > PLACES / 2 ? CACHED_YES : CACHED_NO;
}
