/* Paths: which are refused unseen, and how the others are opened, beneath the root. */
#include "engine/store/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RESOLVE_ATTEMPTS 64

static int component_check(const char *name, size_t length)
{
    if (length == 0 || (length == 1 && name[0] == '.') || (length == 2 && name[0] == '.' && name[1] == '.'))
        return -EINVAL;
    if (length > NAME_MAX)
        return -ENAMETOOLONG;
    if (strncmp(name, STORE_PRIVATE, strlen(STORE_PRIVATE)) == 0)
        return -ENOENT;
    return 0;
}

int store_path_check(const char *path)
{
    if (strlen(path) >= PATH_MAX)
        return -ENAMETOOLONG;
    if (*path == '\0')
        return 0;
    for (;;) {
        size_t length = strcspn(path, "/");
        int rc = component_check(path, length);
        if (rc < 0)
            return rc;
        path += length;
        if (*path == '\0' || path[1] == '\0')
            return 0;
        path++;
    }
}

int store_check_file(const char *path)
{
    size_t length = strlen(path);
    int rc = store_path_check(path);

    if (rc < 0)
        return rc;
    return length == 0 || path[length - 1] == '/' ? -EISDIR : 0;
}

int store_resolve(int directory, const char *path, uint64_t flags)
{
    struct open_how how = { .flags = flags | O_CLOEXEC, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };

    /* EAGAIN: something on the way was renamed, so the kernel cannot vouch for "..". */
    for (int i = 0; i < RESOLVE_ATTEMPTS; i++) {
        long fd = syscall(SYS_openat2, directory, *path ? path : ".", &how, sizeof how);
        if (fd >= 0)
            return (int)fd;
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
    }
    return -EBUSY;
}

int store_look(const struct store *store, const char *path, struct stat *facts)
{
    int fd = store_resolve(store->root, path, O_PATH);
    if (fd < 0)
        return fd;
    int rc = fstat(fd, facts) < 0 ? -errno : 0;
    close(fd);
    return rc;
}

struct open_how store_read_how(void)
{
    /* O_NONBLOCK: a FIFO must not hold us up. O_NOCTTY: nor a terminal become ours. */
    return (struct open_how){ .flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
                              .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS };
}

/* glibc since 2.33 has the kernel look up an empty path in place of fstat(2), which doubles what it costs there. */
static int facts_of(int fd, struct stat *facts)
{
#if defined(__x86_64__) && defined(__LP64__) /* where its struct is the kernel's */
    return (int)syscall(SYS_fstat, fd, facts);
#else
    return fstat(fd, facts);
#endif
}

int store_look_at(int fd, struct stat *facts)
{
    if (facts_of(fd, facts) < 0)
        return -errno;
    return S_ISREG(facts->st_mode) || S_ISDIR(facts->st_mode) ? 0 : -EACCES;
}

int store_wait_for_disk(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    return flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0 ? -errno : 0;
}

int store_opened(int fd, struct stat *facts)
{
    int rc = store_look_at(fd, facts);

    return rc < 0 ? rc : store_wait_for_disk(fd);
}

int store_open_read(const struct store *store, const char *path, struct stat *facts)
{
    int rc = store_path_check(path);
    if (rc < 0)
        return rc;
    int fd = store_resolve(store->root, path, store_read_how().flags);
    if (fd == -ENXIO || fd == -ENODEV) /* a socket, a device that is not there */
        return -EACCES;
    if (fd < 0)
        return fd;
    rc = store_look_at(fd, facts);
    if (rc < 0) {
        close(fd);
        return rc;
    }
    return fd;
}

/* The directories of `path` up to and without the slash at `end`. */
static int open_prefix(const struct store *store, const char *path, const char *end)
{
    char prefix[PATH_MAX];
    size_t length = end ? (size_t)(end - path) : 0;

    memcpy(prefix, path, length);
    prefix[length] = '\0';
    return store_resolve(store->root, prefix, O_RDONLY | O_DIRECTORY);
}

int store_open_parent(const struct store *store, const char *path, const char **leaf)
{
    const char *slash = strrchr(path, '/');

    *leaf = slash ? slash + 1 : path;
    return open_prefix(store, path, slash);
}

int store_open_nearest(const struct store *store, const char *path, const char **rest)
{
    int fd = store_open_parent(store, path, rest);

    while (fd == -ENOENT && *rest > path) {
        const char *slash = memrchr(path, '/', (size_t)(*rest - 1 - path));
        *rest = slash ? slash + 1 : path;
        fd = open_prefix(store, path, slash);
    }
    return fd;
}

/* The directory `name` in `parent`, which is what `path` up to `end` names. */
static int make_directory(const struct store *store, int parent, const char *path, const char *start, const char *end)
{
    char name[NAME_MAX + 1];
    size_t length = (size_t)(end - start);

    memcpy(name, start, length);
    name[length] = '\0';
    if (mkdirat(parent, name, 0777) < 0 && errno != EEXIST)
        return -errno;
    int rc = store_sync(parent);
    return rc < 0 ? rc : open_prefix(store, path, end);
}

int store_make_parent(const struct store *store, const char *path, const char **leaf)
{
    int fd = store_open_parent(store, path, leaf);
    if (fd != -ENOENT)
        return fd;

    /* Each step is resolved from the root again: a link on the way may lead up, as long as it stays beneath. */
    fd = open_prefix(store, path, NULL);
    for (const char *start = path; fd >= 0 && start < *leaf;) {
        const char *end = strchr(start, '/');
        int next = open_prefix(store, path, end);
        if (next == -ENOENT)
            next = make_directory(store, fd, path, start, end);
        close(fd);
        fd = next;
        start = end + 1;
    }
    return fd;
}
