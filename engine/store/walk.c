#include "engine/store/walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/store/store_internal.h"

struct level {
    DIR *stream;
    size_t length; /* of the path of this directory, its slash included */
};

struct walk {
    int root;
    bool also_private;
    size_t before; /* of `path`: where it began, its slash included; what follows is told */
    unsigned depth;
    struct level levels[WALK_DEPTH_MAX];
    char path[PATH_MAX];
    char target[PATH_MAX];
    bool descend; /* the entry told of last is a directory that comes next */
};

/* The directory `name` of the one that is read now, or of the root, becomes the one that is read. */
static int enter(struct walk *walk, int fd, size_t length)
{
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    if (!stream) {
        int error = fd < 0 ? fd : -errno;
        if (fd >= 0)
            close(fd);
        return error;
    }
    walk->levels[walk->depth++] = (struct level){ .stream = stream, .length = length };
    return 0;
}

int walk_begin(struct walk **out, int root, const char *path, bool also_private)
{
    size_t length = strlen(path);
    if (length + 2 > PATH_MAX)
        return -ENAMETOOLONG;
    struct walk *walk = calloc(1, sizeof *walk);
    if (!walk)
        return -ENOMEM;
    walk->root = root;
    walk->also_private = also_private;
    memcpy(walk->path, path, length);
    if (length > 0 && path[length - 1] != '/')
        walk->path[length++] = '/';
    walk->before = length;
    int error = enter(walk, store_resolve(root, length ? walk->path : ".", O_RDONLY | O_DIRECTORY), length);
    if (error < 0) {
        free(walk);
        return error;
    }
    *out = walk;
    return 0;
}

void walk_end(struct walk *walk)
{
    if (!walk)
        return;
    while (walk->depth > 0)
        closedir(walk->levels[--walk->depth].stream);
    free(walk);
}

static int fault(struct walk *walk, struct walk_entry *entry, int error)
{
    *entry = (struct walk_entry){ .kind = WALK_FAULT, .path = walk->path + walk->before, .error = error };
    return 1;
}

/* Looks where a link leads: from the root, so that what it leads to is what a reader of that path would get. */
static void look_beyond(struct walk *walk, struct walk_entry *entry)
{
    int fd = store_resolve(walk->root, walk->path, O_PATH);
    if (fd < 0)
        return;
    entry->leads = fstat(fd, &entry->beyond) == 0 && (S_ISREG(entry->beyond.st_mode) || S_ISDIR(entry->beyond.st_mode));
    close(fd);
}

static int tell_link(struct walk *walk, int directory, const char *name, struct walk_entry *entry)
{
    ssize_t length = readlinkat(directory, name, walk->target, sizeof walk->target);
    if (length < 0 || (size_t)length >= sizeof walk->target)
        return fault(walk, entry, length < 0 ? -errno : -ENAMETOOLONG);
    walk->target[length] = '\0';
    entry->kind = WALK_LINK;
    entry->target = walk->target;
    look_beyond(walk, entry);
    return 1;
}

/* 1: told of; 0: gone meanwhile. */
static int tell(struct walk *walk, int directory, const char *name, struct walk_entry *entry)
{
    *entry = (struct walk_entry){ .kind = WALK_OTHER, .path = walk->path + walk->before };
    if (fstatat(directory, name, &entry->facts, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : fault(walk, entry, -errno);
    if (S_ISLNK(entry->facts.st_mode))
        return tell_link(walk, directory, name, entry);
    if (S_ISREG(entry->facts.st_mode))
        entry->kind = WALK_FILE;
    walk->descend = S_ISDIR(entry->facts.st_mode);
    if (walk->descend)
        entry->kind = WALK_DIRECTORY;
    return 1;
}

static bool is_left_out(const struct walk *walk, const char *name)
{
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return true;
    return !walk->also_private && strncmp(name, STORE_PRIVATE, strlen(STORE_PRIVATE)) == 0;
}

/* Reads on in the innermost directory. 1: an entry; 0: that directory is over. */
static int read_on(struct walk *walk, struct walk_entry *entry)
{
    struct level *level = &walk->levels[walk->depth - 1];
    for (;;) {
        errno = 0;
        const struct dirent *found = readdir(level->stream);
        if (!found && errno == 0)
            return 0;
        if (!found) {
            int error = -errno;
            walk->path[level->length > 0 ? level->length - 1 : 0] = '\0';
            closedir(level->stream);
            walk->depth--;
            return fault(walk, entry, error);
        }
        if (is_left_out(walk, found->d_name))
            continue;
        size_t length = strlen(found->d_name);
        if (level->length + length + 1 >= sizeof walk->path) {
            walk->path[level->length > 0 ? level->length - 1 : 0] = '\0';
            return fault(walk, entry, -ENAMETOOLONG);
        }
        memcpy(walk->path + level->length, found->d_name, length + 1);
        if (tell(walk, dirfd(level->stream), found->d_name, entry) == 1)
            return 1;
    }
}

/* Into the directory that was told of last. 0, or 1 with the fault that kept us out. */
static int descend(struct walk *walk, struct walk_entry *entry)
{
    const struct level *level = &walk->levels[walk->depth - 1];
    size_t length = strlen(walk->path);

    walk->descend = false;
    if (walk->depth == WALK_DEPTH_MAX)
        return fault(walk, entry, -ELOOP);
    int fd = openat(dirfd(level->stream), walk->path + level->length, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : fault(walk, entry, -errno);
    int error = enter(walk, fd, length + 1);
    if (error < 0)
        return fault(walk, entry, error);
    walk->path[length] = '/';
    return 0;
}

int walk_next(struct walk *walk, struct walk_entry *entry)
{
    if (walk->descend && descend(walk, entry) == 1)
        return 1;
    while (walk->depth > 0) {
        if (read_on(walk, entry) == 1)
            return 1;
        closedir(walk->levels[--walk->depth].stream);
    }
    return 0;
}
