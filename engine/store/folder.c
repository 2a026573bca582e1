#include "engine/store/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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

int store_make_folder(const struct store *store, const char *path)
{
    const char *leaf;
    int rc = store_check_file(path);
    if (rc < 0)
        return rc;
    int parent = store_make_parent(store, path, &leaf);
    if (parent < 0)
        return parent;
    rc = mkdirat(parent, leaf, 0777) == 0 ? 0 : -errno;
    if (rc == -EEXIST)
        rc = check_present(parent, leaf);
    close(parent);
    return rc;
}

int store_set_facts(const struct store *store, const char *path, const unsigned *mode, const struct timespec *modified)
{
    struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_nsec = UTIME_OMIT } };
    struct stat facts;
    int rc = store_path_check(path);
    if (rc < 0)
        return rc;
    int fd = store_resolve(store->root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);
    if (fd < 0)
        return fd;
    if (modified)
        times[1] = *modified;
    rc = store_opened(fd, &facts);
    if (rc == 0 && futimens(fd, times) < 0)
        rc = -errno;
    if (rc == 0 && mode && (facts.st_mode & 07777) != *mode && fchmod(fd, (mode_t)*mode) < 0)
        rc = -errno;
    if (rc == 0)
        rc = store_sync(fd);
    close(fd);
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
        height -= up;
        climbing &= up || nothing;
        target += length;
        target += *target == '/';
    }
    return true;
}

static int put_link(int parent, const char *leaf, const char *target)
{
    char temporary[STORE_TEMPORARY_SIZE];
    struct stat facts;

    if (symlinkat(target, parent, leaf) == 0)
        return 0;
    if (errno != EEXIST)
        return -errno;
    if (fstatat(parent, leaf, &facts, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(facts.st_mode))
        return -EISDIR;
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

/* Through no link at all: behind one the directory may be less deep than its path looks, and ".." lead out of the root.
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

int store_make_link(const struct store *store, const char *path, const char *target)
{
    const char *leaf;
    int rc = store_check_file(path);
    if (rc < 0)
        return rc;
    if (!store_link_stays(path, target))
        return -EXDEV;
    int parent = open_real_parent(store, path, &leaf);
    if (parent < 0)
        return parent;
    rc = put_link(parent, leaf, target);
    if (rc == 0)
        rc = store_sync(parent);
    close(parent);
    return rc;
}
