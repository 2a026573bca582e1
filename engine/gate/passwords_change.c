/* One entry of a file of passwords is set or removed; the file is there, whole, at every moment. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/gate/passwords_internal.h"

struct buffer {
    char *bytes; /* NULL: memory has ended */
    size_t length;
};

static void append(struct buffer *out, const char *bytes, size_t length)
{
    if (out->bytes)
        memcpy(out->bytes + out->length, bytes, length);
    out->length += length;
}

static void append_entry(struct buffer *out, const char *name, const char *hash)
{
    append(out, name, strlen(name));
    append(out, ":", 1);
    append(out, hash, strlen(hash));
    append(out, "\n", 1);
}

/* The text with the entry changed: in its place, else at the end. Returns whether it was there. */
static bool rewrite(const char *text, size_t length, const char *name, const char *hash, struct buffer *out)
{
    bool found = false;
    size_t wanted = strlen(name);
    for (const char *line = text, *end = text + length, *next; line < end; line = next) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        next = stop ? stop + 1 : end;
        if ((size_t)(end - line) > wanted && memcmp(line, name, wanted) == 0 && line[wanted] == ':') {
            if (hash && !found)
                append_entry(out, name, hash);
            found = true;
            continue;
        }
        append(out, line, (size_t)(next - line));
        if (!stop)
            append(out, "\n", 1);
    }
    if (hash && !found)
        append_entry(out, name, hash);
    return found;
}

static int write_all(int fd, const char *bytes, size_t length)
{
    while (length) {
        ssize_t wrote = write(fd, bytes, length);
        if (wrote < 0 && errno != EINTR)
            return -errno;
        if (wrote > 0) {
            bytes += wrote;
            length -= (size_t)wrote;
        }
    }
    return 0;
}

static int sync_folder(const char *file)
{
    char *folder = strndup(file, (size_t)(strrchr(file, '/') - file) + 1);
    if (!folder)
        return -ENOMEM;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = fd >= 0 && fsync(fd) == 0 ? 0 : -errno;
    if (fd >= 0)
        close(fd);
    free(folder);
    return result;
}

static int fill(int fd, const struct stat *old, const struct buffer *content)
{
    struct stat made;
    if (fstat(fd, &made) != 0)
        return -errno;
    if ((made.st_uid != old->st_uid || made.st_gid != old->st_gid) && fchown(fd, old->st_uid, old->st_gid) != 0)
        return -errno;
    if (fchmod(fd, old->st_mode & 0770) != 0)
        return -errno;
    int result = write_all(fd, content->bytes, content->length);
    return result ? result : fsync(fd) != 0 ? -errno : 0;
}

static int replace(const char *file, const struct stat *old, const struct buffer *content)
{
    char *beside;
    if (asprintf(&beside, "%s.XXXXXX", file) < 0)
        return -ENOMEM;
    int fd = mkostemp(beside, O_CLOEXEC);
    int result = fd >= 0 ? fill(fd, old, content) : -errno;
    if (fd >= 0 && close(fd) != 0 && result == 0)
        result = -errno;
    if (result == 0 && rename(beside, file) != 0)
        result = -errno;
    if (result && fd >= 0)
        unlink(beside);
    free(beside);
    return result ? result : sync_folder(file);
}

static int change(int fd, const char *file, const char *name, const char *hash)
{
    struct stat old;
    char *text;
    size_t length;
    if (fstat(fd, &old) != 0)
        return -errno;
    if (!S_ISREG(old.st_mode))
        return -EINVAL;
    int result = passwords_take_in(fd, &text, &length);
    if (result)
        return result;
    struct buffer measured = { 0 }, content = { 0 };
    bool found = rewrite(text, length, name, hash, &measured);
    content.bytes = malloc(measured.length + 1);
    if (content.bytes)
        rewrite(text, length, name, hash, &content);
    passwords_wipe(text, length);
    if (!hash && !found)
        result = -ENOENT;
    else if (content.length > PASSWORDS_FILE_MAX)
        result = -EFBIG;
    else
        result = content.bytes ? replace(file, &old, &content) : -ENOMEM;
    passwords_wipe(content.bytes, content.length);
    return result;
}

/*
 * Opened and locked, and still the file of that name: whoever held the lock before may have put another in its place.
 */
static int open_locked(const char *file, int flags)
{
    for (;;) {
        struct stat held, named;
        int fd = open(file, flags, 0600);
        if (fd < 0)
            return -errno;
        int result = flock(fd, LOCK_EX) == 0 && fstat(fd, &held) == 0 ? 0 : -errno;
        if (result == 0 && stat(file, &named) == 0 && named.st_dev == held.st_dev && named.st_ino == held.st_ino)
            return fd;
        close(fd);
        if (result)
            return result;
    }
}

int passwords_change(const char *file, const char *name, const char *hash)
{
    int fd = open_locked(file, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (hash ? O_CREAT : 0));
    if (fd < 0)
        return fd;
    char *real = realpath(file, NULL); /* a link stays one */
    int result = real ? change(fd, real, name, hash) : -errno;
    free(real);
    close(fd);
    return result;
}
