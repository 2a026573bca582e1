#include "engine/store/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/store/store_internal.h"

/* Something stands there already: fine where it is a directory itself. */
static int check_present(int parent, const char *leaf)
{
    struct stat facts;

    if (fstatat(parent, leaf, &facts, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (S_ISLNK(facts.st_mode))
        return -ELOOP;
    return S_ISDIR(facts.st_mode) ? 0 : -ENOTDIR;
}

/* Opens the directory above, makes the last one where it is missing, and syncs that. A descriptor or -errno. */
static int make_folder(const struct store *store, const char *path, const char **leaf, bool *created)
{
    int rc = store_check_file(path);
    if (rc < 0)
        return rc;
    int parent = store_make_parent(store, path, leaf);
    if (parent < 0)
        return parent;
    *created = mkdirat(parent, *leaf, 0777) == 0;
    rc = *created ? 0 : -errno;
    if (rc == -EEXIST)
        rc = check_present(parent, *leaf);
    if (rc == 0)
        return parent;
    close(parent);
    return rc;
}

int store_make_folder(const struct store *store, const char *path)
{
    const char *leaf;
    bool created;
    int parent = make_folder(store, path, &leaf, &created);

    if (parent < 0)
        return parent;
    close(parent);
    return 0;
}

/* What a directory hands down to what is made in it stays as it is: those bits are its owner's, not a peer's. */
static mode_t mode_for(const struct stat *facts, unsigned mode)
{
    return (mode_t)(mode & 0777) | (S_ISDIR(facts->st_mode) ? facts->st_mode & 07000 : 0);
}

/* `fd` is closed. */
static int dress(int fd, const unsigned *mode, const struct timespec *modified)
{
    struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_nsec = UTIME_OMIT } };
    struct stat facts;

    if (modified)
        times[1] = *modified;
    int rc = store_opened(fd, &facts);
    if (rc == 0 && futimens(fd, times) < 0)
        rc = -errno;
    if (rc == 0 && mode && (facts.st_mode & 07777) != mode_for(&facts, *mode) &&
        fchmod(fd, mode_for(&facts, *mode)) < 0)
        rc = -errno;
    if (rc == 0)
        rc = store_sync(fd);
    close(fd);
    return rc;
}

int store_set_facts(const struct store *store, const char *path, const unsigned *mode, const struct timespec *modified)
{
    int rc = store_path_check(path);
    if (rc < 0)
        return rc;
    int fd = store_resolve(store->root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);
    return fd < 0 ? fd : dress(fd, mode, modified);
}

int store_put_folder(const struct store *store, const char *path, const unsigned *mode, const struct timespec *modified,
                     bool *created)
{
    const char *leaf;
    int parent = make_folder(store, path, &leaf, created);

    if (parent < 0)
        return parent;
    int fd = openat(parent, leaf, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int rc = fd < 0 ? -errno : dress(fd, mode, modified);
    if (rc == 0 && *created)
        rc = store_sync(parent);
    close(parent);
    return rc;
}

/* ".." only climbs where nothing but ".." stands before it: then it starts from a directory, not from another link. */
bool store_link_stays(const char *path, const char *target)
{
    size_t height = 0;

    if (target[0] == '\0' || target[0] == '/' || strlen(target) >= PATH_MAX)
        return false;
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/'))
        height++;
    for (bool climbing = true; *target;) {
        size_t length = strcspn(target, "/");
        bool up = length == 2 && target[0] == '.' && target[1] == '.';
        bool nothing = length == 0 || (length == 1 && target[0] == '.');
        if (up && (!climbing || height == 0))
            return false;
        if (strncmp(target, STORE_PRIVATE, strlen(STORE_PRIVATE)) == 0)
            return false;
        height -= up;
        climbing &= up || nothing;
        target += length;
        target += *target == '/';
    }
    return true;
}

static bool is_that_link(int parent, const char *leaf, const char *target)
{
    char present[PATH_MAX];
    ssize_t length = readlinkat(parent, leaf, present, sizeof present);

    return length >= 0 && (size_t)length == strlen(target) && memcmp(present, target, (size_t)length) == 0;
}

/* In one step; a directory is not replaced, whatever comes between (rename(2)). */
static int replace_by_link(int parent, const char *leaf, const char *target)
{
    char temporary[STORE_TEMPORARY_SIZE];
    struct stat facts;

    if (fstatat(parent, leaf, &facts, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(facts.st_mode) && !S_ISLNK(facts.st_mode))
        return S_ISDIR(facts.st_mode) ? -EISDIR : -EACCES;
    int rc = store_temporary_name(temporary);
    if (rc < 0)
        return rc;
    if (symlinkat(target, parent, temporary) < 0)
        return -errno;
    if (renameat(parent, temporary, parent, leaf) == 0)
        return 0;
    rc = -errno;
    unlinkat(parent, temporary, 0);
    return rc;
}

static int number_link(int parent, const char *leaf, struct store_link *link)
{
    char name[NAME_MAX + 1];

    *link->numbered = store_free_number(parent, leaf, STORE_NUMBERED_MAX);
    if (*link->numbered == 0)
        return -EEXIST;
    if (store_number_name(name, leaf, *link->numbered) < 0)
        return -ENAMETOOLONG;
    link->created = symlinkat(link->target, parent, name) == 0;
    return link->created ? 0 : -errno;
}

/* Called with the store's `naming` held. */
static int put_link(int parent, const char *leaf, struct store_link *link)
{
    link->created = symlinkat(link->target, parent, leaf) == 0;
    if (link->numbered)
        *link->numbered = 0;
    if (link->created)
        return 0;
    if (errno != EEXIST)
        return -errno;
    if (is_that_link(parent, leaf, link->target))
        return 0;
    if (link->numbered)
        return number_link(parent, leaf, link);
    return link->keeps ? -EEXIST : replace_by_link(parent, leaf, link->target);
}

/*
 * Through no link at all: behind one the directory may be less deep than its path looks, and ".." lead out of the root.
 */
static int open_real_parent(const struct store *store, const char *path, const char **leaf)
{
    struct open_how how = { .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
                            .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };
    const char *slash = strrchr(path, '/');
    char prefix[PATH_MAX] = ".";

    *leaf = slash ? slash + 1 : path;
    if (slash) {
        memcpy(prefix, path, (size_t)(slash - path));
        prefix[slash - path] = '\0';
    }
    long fd = syscall(SYS_openat2, store->root, prefix, &how, sizeof how);
    return fd < 0 ? -errno : (int)fd;
}

static int make_real_parent(const struct store *store, const char *path, const char **leaf)
{
    char above[PATH_MAX];
    int parent = open_real_parent(store, path, leaf);

    if (parent != -ENOENT || *leaf == path)
        return parent;
    memcpy(above, path, (size_t)(*leaf - path));
    above[*leaf - path - 1] = '\0';
    int rc = store_make_folder(store, above);
    return rc < 0 ? rc : open_real_parent(store, path, leaf);
}

int store_put_link(const struct store *store, const char *path, struct store_link *link)
{
    const char *leaf;
    int rc = store_check_file(path);
    if (rc < 0)
        return rc;
    if (!store_link_stays(path, link->target))
        return -EXDEV;
    int parent = make_real_parent(store, path, &leaf);
    if (parent < 0)
        return parent;
    pthread_mutex_lock(&store->naming->lock);
    rc = put_link(parent, leaf, link);
    pthread_mutex_unlock(&store->naming->lock);
    if (rc == 0)
        rc = store_sync(parent);
    close(parent);
    return rc;
}

int store_make_link(const struct store *store, const char *path, const char *target)
{
    struct store_link link = { .target = target };

    return store_put_link(store, path, &link);
}
