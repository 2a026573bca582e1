#include "engine/store/walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/store/store_internal.h"

#define ATTEMPTS 64 /* to open what is renamed meanwhile */

/*
 * What is found in a directory is told of at once; the directories in it are noted by name, and gone into once it has
 * been read to its end and closed. Where their names become too many, it stays open meanwhile.
 */
struct level {
    DIR *stream;   /* NULL: read to its end */
    size_t length; /* of the path of this directory, its slash included */
    size_t names;  /* of `walk->names`: where those of this level begin */
};

struct walk {
    int root;
    int start; /* the directory that the walk began with */
    bool also_private;
    size_t before; /* of `path`: where it began, its slash included; what follows is told */
    unsigned depth, streams;
    struct level levels[WALK_DEPTH_MAX];
    char *names; /* of directories to go into, each with its NUL */
    size_t used, room;
    char path[PATH_MAX];
    char target[PATH_MAX];
};

/* The directory `fd` becomes the one that is read. It is closed where that fails. */
static int enter(struct walk *walk, int fd, size_t length)
{
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    if (!stream) {
        int error = fd < 0 ? fd : -errno;
        if (fd >= 0)
            close(fd);
        return error;
    }
    walk->levels[walk->depth++] = (struct level){ .stream = stream, .length = length, .names = walk->used };
    walk->streams++;
    return 0;
}

static int open_start(struct walk *walk)
{
    walk->start = store_resolve(walk->root, walk->before ? walk->path : ".", O_RDONLY | O_DIRECTORY);
    if (walk->start < 0)
        return walk->start;
    int fd = openat(walk->start, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return enter(walk, fd < 0 ? -errno : fd, walk->before);
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
    int error = open_start(walk);
    if (error < 0) {
        walk_end(walk);
        return error;
    }
    *out = walk;
    return 0;
}

static void close_stream(struct walk *walk, struct level *level)
{
    if (!level->stream)
        return;
    closedir(level->stream);
    level->stream = NULL;
    walk->streams--;
}

void walk_end(struct walk *walk)
{
    if (!walk)
        return;
    while (walk->depth > 0)
        close_stream(walk, &walk->levels[--walk->depth]);
    if (walk->start >= 0)
        close(walk->start);
    free(walk->names);
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
    if (S_ISDIR(entry->facts.st_mode))
        entry->kind = WALK_DIRECTORY;
    return 1;
}

static bool is_left_out(const struct walk *walk, const char *name)
{
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return true;
    return !walk->also_private && strncmp(name, STORE_PRIVATE, strlen(STORE_PRIVATE)) == 0;
}

/* 0 or -ENOMEM. */
static int note(struct walk *walk, const char *name)
{
    size_t length = strlen(name) + 1;

    if (walk->used + length > walk->room) {
        size_t room = walk->room ? 2 * walk->room : 4096;
        char *grown = realloc(walk->names, room);
        if (!grown)
            return -ENOMEM;
        walk->names = grown;
        walk->room = room;
    }
    memcpy(walk->names + walk->used, name, length);
    walk->used += length;
    return 0;
}

/* Of the directory itself that is read. */
static int fault_of(struct walk *walk, const struct level *level, struct walk_entry *entry, int error)
{
    walk->path[level->length > 0 ? level->length - 1 : 0] = '\0';
    return fault(walk, entry, error);
}

/* Reads on in the innermost directory. 1: an entry; 0: that directory is over; -ENOMEM. */
static int read_on(struct walk *walk, struct walk_entry *entry)
{
    struct level *level = &walk->levels[walk->depth - 1];
    for (;;) {
        errno = 0;
        const struct dirent *found = readdir(level->stream);
        if (!found) {
            int error = -errno;
            close_stream(walk, level);
            return error == 0 ? 0 : fault_of(walk, level, entry, error);
        }
        if (is_left_out(walk, found->d_name))
            continue;
        size_t length = strlen(found->d_name);
        if (level->length + length + 1 >= sizeof walk->path)
            return fault_of(walk, level, entry, -ENAMETOOLONG);
        memcpy(walk->path + level->length, found->d_name, length + 1);
        if (tell(walk, dirfd(level->stream), found->d_name, entry) == 0)
            continue;
        int error = entry->kind == WALK_DIRECTORY ? note(walk, found->d_name) : 0;
        return error < 0 ? error : 1;
    }
}

/* By its path, for the directory above is closed; but through no link, so it lies where the path says. */
static int open_directory(const struct walk *walk)
{
    struct open_how how = { .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
                            .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };

    for (int i = 0; i < ATTEMPTS; i++) {
        long fd = syscall(SYS_openat2, walk->start, walk->path + walk->before, &how, sizeof how);
        if (fd >= 0)
            return (int)fd;
        if (errno != EAGAIN && errno != EINTR)
            return errno == ELOOP ? -ENOTDIR : -errno;
    }
    return -EBUSY;
}

/* Into the directory that was noted last. 0, or 1 with the fault that kept us out. */
static int descend(struct walk *walk, struct walk_entry *entry)
{
    size_t end = walk->used - 1;
    const size_t start = walk->levels[walk->depth - 1].length;

    do
        walk->used--;
    while (walk->used > walk->levels[walk->depth - 1].names && walk->names[walk->used - 1] != '\0');
    size_t length = end - walk->used;
    memcpy(walk->path + start, walk->names + walk->used, length + 1);
    if (walk->depth == WALK_DEPTH_MAX)
        return fault(walk, entry, -ELOOP);
    if (walk->streams == WALK_STREAMS_MAX)
        return fault(walk, entry, -EMFILE);
    int fd = open_directory(walk);
    if (fd < 0)
        return fd == -ENOENT ? 0 : fault(walk, entry, fd);
    int error = enter(walk, fd, start + length + 1);
    if (error < 0)
        return fault(walk, entry, error);
    walk->path[start + length] = '/';
    return 0;
}

/* There is room for further names; or there is none, but no name of this level is noted either. */
static bool may_read(const struct walk *walk, const struct level *level)
{
    return level->stream && (walk->used < WALK_NAMES_MAX || walk->used == level->names);
}

int walk_next(struct walk *walk, struct walk_entry *entry)
{
    while (walk->depth > 0) {
        struct level *level = &walk->levels[walk->depth - 1];
        int told = 0;
        if (level->length > 0)
            walk->path[level->length - 1] = '/'; /* a fault may have cut it */
        if (may_read(walk, level))
            told = read_on(walk, entry);
        else if (walk->used > level->names)
            told = descend(walk, entry);
        else
            walk->depth--;
        if (told != 0)
            return told;
    }
    return 0;
}
