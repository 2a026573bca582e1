/*
 * A file on its way. It has no name at all until it is complete (O_TMPFILE), or a private one where the file system
 * cannot do that; either way it lies in the nearest directory that exists, so an upload that ends early leaves nothing.
 */
#include "engine/store/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#define MODE 0666 /* less the umask */

static int open_nameless(const struct store *store, int directory)
{
    if (store->lacks & STORE_LACKS_TMPFILE)
        return -EOPNOTSUPP;
    int fd = openat(directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, MODE);
    return fd < 0 ? -errno : fd;
}

/* What the kernel answers where a file system has no O_TMPFILE; the last two are of odd ones. */
static bool lacks_tmpfile(int rc)
{
    return rc == -EOPNOTSUPP || rc == -EISDIR || rc == -EINVAL || rc == -ENOENT;
}

static int open_file(struct store_upload *upload)
{
    int fd = open_nameless(upload->store, upload->directory);

    if (fd < 0)
        return lacks_tmpfile(fd) ? store_make_temporary(upload) : fd;
    upload->fd = fd;
    return 0;
}

/* Whether a file system that would allocate every page there and then has room; it may still run full later. */
static int look_for_room(const struct statfs *facts, uint64_t size)
{
    bool limited = facts->f_blocks > 0;

    return limited && size / (uint64_t)facts->f_bsize > facts->f_bavail ? -ENOSPC : 0;
}

/*
 * Asks for the room now, so that a full disk is known before the body and not in its midst. KEEP_SIZE: the file must
 * not look longer than what was written to it. A disk notes down extents, which takes no time; memory has no extents,
 * and fetching a gigabyte's pages here would keep the body waiting.
 */
static int allocate(int fd, uint64_t size)
{
    struct statfs facts;

    if (size == 0 || size == UINT64_MAX)
        return 0;
    if (size > INT64_MAX)
        return -EFBIG;
    if (fstatfs(fd, &facts) == 0 && facts.f_type == TMPFS_MAGIC)
        return look_for_room(&facts, size);
    while (fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)size) < 0) {
        if (errno == EINTR)
            continue;
        return errno == EOPNOTSUPP || errno == ENOSYS ? 0 : -errno;
    }
    return 0;
}

/* A link to nowhere in place of a directory that is to be made would be found only when the whole file is here. */
static int check_missing(int directory, const char *rest)
{
    char name[NAME_MAX + 1];
    const char *slash = strchr(rest, '/');
    struct stat facts;

    if (!slash)
        return 0;
    size_t length = (size_t)(slash - rest);
    memcpy(name, rest, length);
    name[length] = '\0';
    return fstatat(directory, name, &facts, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(facts.st_mode) ? -ENOENT : 0;
}

static int look_at_name(const struct store_upload *upload)
{
    struct stat present;

    if (store_look(upload->store, upload->name, &present) < 0 || S_ISREG(present.st_mode))
        return 0;
    return S_ISDIR(present.st_mode) ? -EISDIR : -EACCES;
}

static int open_directory(struct store_upload *upload)
{
    const char *rest;

    upload->directory = store_open_nearest(upload->store, upload->name, &rest);
    if (upload->directory < 0)
        return upload->directory;
    upload->beside = !strchr(rest, '/');
    return check_missing(upload->directory, rest);
}

static int set_name(struct store_upload *upload, const struct store *store, const char *path)
{
    *upload = (struct store_upload){ .fd = -1, .directory = -1, .store = store };
    int rc = store_check_file(path);
    if (rc < 0)
        return rc;
    upload->name = strdup(path);
    return upload->name ? 0 : -ENOMEM;
}

int store_upload_begin(const struct store *store, const char *path, uint64_t size, struct store_upload *upload)
{
    int rc = set_name(upload, store, path);

    if (rc == 0)
        rc = look_at_name(upload);
    if (rc == 0)
        rc = open_directory(upload);
    if (rc == 0)
        rc = open_file(upload);
    if (rc == 0)
        rc = allocate(upload->fd, size);
    if (rc < 0)
        store_upload_abandon(upload);
    return rc;
}

bool store_same_parent(const char *one, const char *other)
{
    const char *slash = strrchr(one, '/'), *other_slash = strrchr(other, '/');
    size_t length = slash ? (size_t)(slash - one) : 0;

    return !slash == !other_slash &&
           (!slash || ((size_t)(other_slash - other) == length && !memcmp(one, other, length)));
}

int store_batch_begin(const struct store *store, const char *path, struct store_batch *items, size_t count)
{
    const struct store_upload *before = count > 0 ? &items[count - 1].upload : NULL;
    struct store_upload *upload = &items[count].upload;

    items[count] = (struct store_batch){ 0 };
    int rc = set_name(upload, store, path);
    if (rc == 0 && before && before->beside && store_same_parent(before->name, path)) {
        upload->directory = before->directory;
        upload->beside = upload->borrowed = true;
    } else if (rc == 0) {
        rc = open_directory(upload);
    }
    if (rc == 0)
        rc = open_file(upload);
    if (rc < 0)
        store_upload_abandon(upload);
    return rc;
}

bool store_upload_is_new(const struct store_upload *upload)
{
    const char *slash = strrchr(upload->name, '/'), *leaf = slash ? slash + 1 : upload->name;
    struct stat facts;

    /* Where its directory is missing, so is all in it. */
    return !upload->beside || (fstatat(upload->directory, leaf, &facts, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT);
}

void store_upload_abandon(struct store_upload *upload)
{
    if (upload->temporary && !upload->stays)
        unlinkat(upload->directory, upload->temporary, 0);
    if (upload->fd >= 0)
        close(upload->fd);
    if (upload->directory >= 0 && !upload->borrowed)
        close(upload->directory);
    free(upload->name);
    free(upload->temporary);
    *upload = (struct store_upload){ .fd = -1, .directory = -1, .store = upload->store };
}

int store_write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(fd, bytes, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return written < 0 ? -errno : -EIO;
        bytes += written;
        length -= (size_t)written;
    }
    return 0;
}
