/* Whether bytes of a file stand in memory, so that reading them waits for nothing. */
#ifndef SLUICE_DISK_CACHE_H
#define SLUICE_DISK_CACHE_H

#include <stdbool.h>
#include <stdint.h>

enum cached {
    CACHED_NO,
    CACHED_YES,
    CACHED_UNKNOWN /* this file system does not tell */
};

/* The file system has no other place for its files than memory. */
bool cache_is_home(int file);

/* All of these bytes, which are to be few MiB: with every page asked about where the kernel can (cachestat(2)). */
enum cached cache_holds(int file, uint64_t offset, uint64_t length);

/*
 * The same, and nothing is read to find out: CACHED_NO also where only some are there; CACHED_UNKNOWN where the kernel
 * tells only who may write to the file.
 */
enum cached cache_holds_untouched(int file, uint64_t offset, uint64_t length);

/* Most of these bytes, however many: a few places are looked at. */
enum cached cache_holds_most(int file, uint64_t offset, uint64_t length);

#endif
