/*
 * The private names of files that are about to take their real one. Each target has one of its own, always the same:
 * what a killed process left under it is removed by the next who brings that target, and nobody has to search for it.
 */
#include "engine/store/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#define NAME_ATTEMPTS 8
#define NAME_BYTES 16
#define MODE 0666 /* less the umask */
#define LOCK_PATIENCE_US 10000
#define LOCK_ATTEMPTS 20

static void print_name(const unsigned char bytes[NAME_BYTES], char *name)
{
    static const char digits[] = "0123456789abcdef";
    char *next = stpcpy(name, STORE_PRIVATE);

    for (size_t i = 0; i < NAME_BYTES; i++) {
        *next++ = digits[bytes[i] >> 4];
        *next++ = digits[bytes[i] & 15];
    }
    *next = '\0';
}

int store_temporary_name(char *name)
{
    unsigned char random[NAME_BYTES];

    if (getrandom(random, sizeof random, 0) != sizeof random)
        return -EIO;
    print_name(random, name);
    return 0;
}

/* The target's own name at first; random ones where another process has that. */
static int next_name(const struct store_upload *upload, int attempt, char *name)
{
    unsigned char sum[SHA256_DIGEST_LENGTH];
    const char *slash = strrchr(upload->name, '/'), *leaf = slash ? slash + 1 : upload->name;

    if (attempt > 0)
        return store_temporary_name(name);
    SHA256((const unsigned char *)leaf, strlen(leaf), sum);
    print_name(sum, name);
    return 0;
}

/* Whoever has a temporary holds this as long as it has that name. File systems without locks go without. */
static bool lock(int fd)
{
    return flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
}

static bool is_named(int directory, const char *name, int fd)
{
    struct stat mine, named;

    return fstat(fd, &mine) == 0 && fstatat(directory, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(mine.st_mode) && mine.st_dev == named.st_dev && mine.st_ino == named.st_ino;
}

/*
 * Removes a file that nobody holds. What a killed process had in its io_uring the kernel lets go of a moment after it
 * is gone: that is waited for. Without locks it cannot be known, and stays.
 */
static bool remove_left_over(int directory, const char *name)
{
    int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT;
    bool locked = false;
    for (int i = 0; i < LOCK_ATTEMPTS && !locked; i++) {
        locked = flock(fd, LOCK_EX | LOCK_NB) == 0;
        if (!locked && errno != EWOULDBLOCK && errno != EINTR)
            break;
        if (!locked)
            usleep(LOCK_PATIENCE_US);
    }
    bool removed = locked && is_named(directory, name, fd) && unlinkat(directory, name, 0) == 0;
    close(fd);
    return removed;
}

static int keep_name(struct store_upload *upload, const char *name)
{
    upload->temporary = strdup(name);
    if (upload->temporary)
        return 0;
    unlinkat(upload->directory, name, 0);
    return -ENOMEM;
}

int store_link_temporary(struct store_upload *upload)
{
    char name[STORE_TEMPORARY_SIZE];
    int rc = -EEXIST;

    (void)lock(upload->fd); /* nobody else knows it yet */
    for (int i = 0; i < NAME_ATTEMPTS && rc == -EEXIST; i++) {
        rc = next_name(upload, i, name);
        if (rc == 0)
            rc = store_link_file(upload->fd, upload->directory, name);
        if (rc == -EEXIST && i == 0 && remove_left_over(upload->directory, name))
            rc = store_link_file(upload->fd, upload->directory, name);
    }
    return rc == 0 ? keep_name(upload, name) : rc;
}

static int create(int directory, const char *name)
{
    int fd = openat(directory, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, MODE);
    if (fd < 0)
        return -errno;
    /* Before it was locked another may have taken it for a left over one. */
    if (lock(fd) && is_named(directory, name, fd))
        return fd;
    close(fd);
    return -EEXIST;
}

int store_make_temporary(struct store_upload *upload)
{
    char name[STORE_TEMPORARY_SIZE];
    int rc = -EEXIST;

    for (int i = 0; i < NAME_ATTEMPTS && rc == -EEXIST; i++) {
        rc = next_name(upload, i, name);
        if (rc == 0)
            rc = create(upload->directory, name);
        if (rc == -EEXIST && i == 0 && remove_left_over(upload->directory, name))
            rc = create(upload->directory, name);
    }
    if (rc < 0)
        return rc;
    upload->fd = rc;
    return keep_name(upload, name);
}
