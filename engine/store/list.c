#include "engine/store/store_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct listing {
    int directory;
    struct store_entry *entries;
    size_t count, capacity, limit;
};

static int append(struct listing *listing, const char *name, const struct stat *facts)
{
    if (listing->count == listing->limit)
        return -E2BIG;
    if (listing->count == listing->capacity) {
        size_t capacity = listing->capacity ? 2 * listing->capacity : 64;
        struct store_entry *entries = reallocarray(listing->entries, capacity, sizeof *entries);
        if (!entries)
            return -ENOMEM;
        listing->entries = entries;
        listing->capacity = capacity;
    }
    struct store_entry entry = { .name = strdup(name),
                                 .directory = S_ISDIR(facts->st_mode),
                                 .size = (uint64_t)facts->st_size,
                                 .modified = facts->st_mtim };
    if (!entry.name)
        return -ENOMEM;
    listing->entries[listing->count++] = entry;
    return 0;
}

/* Looks through a link only where it leads beneath this directory: elsewhere it would tell of what is outside. */
static int look(int directory, const char *name, struct stat *facts)
{
    if (fstatat(directory, name, facts, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (!S_ISLNK(facts->st_mode))
        return 0;
    int fd = store_resolve(directory, name, O_PATH);
    if (fd < 0)
        return fd;
    int rc = fstat(fd, facts) < 0 ? -errno : 0;
    close(fd);
    return rc;
}

static int consider(struct listing *listing, const char *name)
{
    struct stat facts;

    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strncmp(name, STORE_PRIVATE, strlen(STORE_PRIVATE)) == 0)
        return 0;
    if (look(listing->directory, name, &facts) < 0) /* gone meanwhile, or leading out */
        return 0;
    if (!S_ISREG(facts.st_mode) && !S_ISDIR(facts.st_mode))
        return 0;
    return append(listing, name, &facts);
}

static int gather(struct listing *listing, DIR *stream)
{
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(stream);
        if (!entry)
            return -errno;
        int rc = consider(listing, entry->d_name);
        if (rc < 0)
            return rc;
    }
}

/* The caller's descriptor keeps its position: a listing reads through one of its own. */
static int gather_from_start(struct listing *listing)
{
    int fd = openat(listing->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    DIR *stream = fdopendir(fd);
    if (!stream) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    int rc = gather(listing, stream);
    closedir(stream);
    return rc;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct store_entry *)a)->name, ((const struct store_entry *)b)->name);
}

int store_list(int directory, size_t limit, store_visit *visit, void *argument)
{
    struct listing listing = { .directory = directory, .limit = limit };
    int rc = gather_from_start(&listing);

    if (rc == 0 && listing.count > 0)
        qsort(listing.entries, listing.count, sizeof *listing.entries, by_name);
    for (size_t i = 0; rc == 0 && i < listing.count; i++)
        rc = visit(argument, &listing.entries[i]);
    for (size_t i = 0; i < listing.count; i++)
        free((char *)listing.entries[i].name);
    free(listing.entries);
    return rc;
}
