/* Leftovers: what uploads leave that nobody goes on with, and what a crash leaves where files cannot be nameless. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/store/partial.h"
#include "engine/store/store_internal.h"

#define DEPTH_MAX 100 /* descriptors that one walk holds */

/* The time of change: that of modification is the sender's to set. */
static time_t map_changed(int directory, const char *name)
{
    char full[STORE_PARTIAL_NAME_SIZE + sizeof STORE_PARTIAL_MAP];
    struct stat facts;

    stpcpy(stpcpy(full, name), STORE_PARTIAL_MAP);
    return fstatat(directory, full, &facts, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : facts.st_ctim.tv_sec;
}

static void sweep_partial(struct store_sweep *sweep, int directory, const struct stat *place, const char *name,
                          const struct stat *facts)
{
    time_t map = map_changed(directory, name);
    time_t last = map > facts->st_ctim.tv_sec ? map : facts->st_ctim.tv_sec;

    if (last < sweep->before && store_place_drop(directory, name) == 0) {
        sweep->removed++;
        sweep->bytes += (uint64_t)facts->st_size;
    } else if (sweep->found) {
        struct store_place found = { .directory = directory, .device = place->st_dev, .inode = place->st_ino };
        memcpy(found.name, name, sizeof found.name);
        sweep->found(sweep->argument, &found);
    }
}

/* A map without its file: the process died between the two. */
static void sweep_map(int directory, const char *name)
{
    char file[STORE_PARTIAL_NAME_SIZE];
    struct stat facts;

    memcpy(file, name, sizeof file - 1);
    file[sizeof file - 1] = '\0';
    if (fstatat(directory, file, &facts, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
        unlinkat(directory, name, 0);
}

static bool begins_with(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* As store_temporary_name() makes them. */
static bool is_temporary(const char *name)
{
    const char *digits = name + strlen(STORE_PRIVATE);

    return strlen(digits) == 32 && strspn(digits, "0123456789abcdef") == 32;
}

static void sweep_private(struct store_sweep *sweep, int directory, const struct stat *place, const char *name)
{
    struct stat facts;

    if (fstatat(directory, name, &facts, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(facts.st_mode))
        return;
    if (begins_with(name, STORE_PARTIAL_PREFIX)) {
        size_t length = strlen(name);
        if (length == STORE_PARTIAL_NAME_SIZE - 1)
            sweep_partial(sweep, directory, place, name, &facts);
        else if (length > STORE_PARTIAL_NAME_SIZE - 1)
            sweep_map(directory, name);
    } else if ((begins_with(name, STORE_BAD_PREFIX) || is_temporary(name)) && facts.st_ctim.tv_sec < sweep->before &&
               unlinkat(directory, name, 0) == 0) {
        sweep->removed++;
        sweep->bytes += (uint64_t)facts.st_size;
    }
}

static void walk(struct store_sweep *sweep, int fd, unsigned depth);

static void walk_entry(struct store_sweep *sweep, int directory, const struct stat *place, const struct dirent *entry,
                       unsigned depth)
{
    const char *name = entry->d_name;

    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return;
    if (begins_with(name, STORE_PRIVATE)) {
        sweep_private(sweep, directory, place, name);
        return;
    }
    if ((entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN) || depth == DEPTH_MAX)
        return;
    int fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0)
        walk(sweep, fd, depth + 1);
}

/* Takes the descriptor. */
static void walk(struct store_sweep *sweep, int fd, unsigned depth)
{
    DIR *stream = fdopendir(fd);
    const struct dirent *entry;
    struct stat place;

    if (!stream) {
        close(fd);
        return;
    }
    if (fstat(fd, &place) == 0) {
        while ((!sweep->stop || !sweep->stop(sweep->argument)) && (entry = readdir(stream)))
            walk_entry(sweep, fd, &place, entry, depth);
    }
    closedir(stream);
}

void store_sweep(const struct store *store, struct store_sweep *sweep)
{
    int fd = openat(store->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    sweep->removed = sweep->bytes = 0;
    if (fd >= 0)
        walk(sweep, fd, 0);
}
