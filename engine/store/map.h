/*
 * The map of an unfinished file: a small text file beside it which says whose bytes they are and which of them are
 * there. It never claims more than is on the disk: sync the data, then save the map.
 *
 *     sluice-map 1
 *     size 1048576
 *     source "1f-100000-65a2.00000000"
 *     name node7/data/run%2042.tar
 *     have 0-524287,786432-1048575
 *     check 0123456789abcdef
 *
 * `source` and `name` are any bytes; control bytes, blanks, '%' and non-ASCII ones stand as %XX. `check` is FNV-1a (64
 * bits) of the lines before it. Whatever does not read so, to the last byte, is no map. Calls may block.
 */
#ifndef SLUICE_STORE_MAP_H
#define SLUICE_STORE_MAP_H

#include "engine/store/extents.h"

#define STORE_MAP_SIZE (4u << 20) /* bytes of a map, at most */
#define STORE_MAP_SUFFIX ".new"   /* of the temporary name under which one is saved */

struct store_map {
    uint64_t size; /* of the whole file; at least 1 */
    char *source;  /* what the source is known by: an entity tag, a time, a token. Not empty */
    char *name;    /* what it is called where it comes from; may be empty */
    struct extents have;
};

void store_map_clear(struct store_map *map); /* frees what it holds and zeroes it */

/* *text is for free(). 0, -ENOMEM, -E2BIG (more than STORE_MAP_SIZE). */
int store_map_print(const struct store_map *map, char **text, size_t *length);
/* `map` is filled on success only. 0, -EINVAL, -ENOMEM, -E2BIG. */
int store_map_parse(struct store_map *map, const char *text, size_t length);

/*
 * Replaces the map called `name` in one step: written under `name` + STORE_MAP_SUFFIX, with `durable` synced, renamed.
 * The one of the map alone: its data and the directory are the caller's. 0 or -errno, with the old map as it was.
 */
int store_map_save(const struct store_map *map, int directory, const char *name, bool durable);
/* -ENOENT; -EINVAL: it is damaged, or no map; -errno. Follows no symbolic link. */
int store_map_load(struct store_map *map, int directory, const char *name);
/* Removes the map and what was left of saving it. 0, also where there is none, or -errno. */
int store_map_remove(int directory, const char *name);

#endif
