/* Where an unfinished upload lies: its names, and opening, locking and removing what has them. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "engine/store/map.h"
#include "engine/store/partial_internal.h"
#include "engine/store/store_internal.h"

#define MODE 0666 /* less the umask, as that of every upload */
#define OPEN_ATTEMPTS 8
#define HASH_SHOWN 12 /* bytes of a hash that a name holds */
#define HASH_HALF 6
#define MAP STORE_PARTIAL_MAP

/* -- names --------------------------------------------------------------------------------------------------------- */

static char *append_hash(char *next, const char *const *parts, size_t count, size_t shown)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char sum[SHA256_DIGEST_LENGTH];
    size_t length = 0;

    /* Each part with its NUL, so that no two lists of parts are the same bytes. */
    for (size_t i = 0; i < count; i++)
        length += strlen(parts[i]) + 1;
    char *bytes = malloc(length);
    if (!bytes)
        return NULL;
    char *at = bytes;
    for (size_t i = 0; i < count; i++)
        at = stpcpy(at, parts[i]) + 1;
    SHA256((unsigned char *)bytes, length, sum);
    free(bytes);
    for (size_t i = 0; i < shown; i++) {
        *next++ = digits[sum[i] >> 4];
        *next++ = digits[sum[i] & 15];
    }
    *next = '\0';
    return next;
}

static int call_it(struct store_place *place, const char *who, const char *leaf, const char *token)
{
    const char *parts[] = { who, leaf, token };
    char *next = append_hash(stpcpy(place->name, STORE_PARTIAL_PREFIX), parts, 1, HASH_HALF);

    if (next)
        next = append_hash(next, parts, 2, HASH_HALF);
    if (!next)
        return -ENOMEM;
    *next++ = '-';
    return append_hash(next, parts, 3, HASH_SHOWN) ? 0 : -ENOMEM;
}

int store_place_find(const struct store *store, const char *path, const char *who, const char *token, bool make,
                     struct store_place *place)
{
    struct stat facts;
    const char *leaf;

    *place = (struct store_place){ .directory = -1 };
    int rc = store_check_file(path);
    if (rc < 0)
        return rc;
    if (store_look(store, path, &facts) == 0 && !S_ISREG(facts.st_mode))
        return S_ISDIR(facts.st_mode) ? -EISDIR : -EACCES;
    place->directory = make ? store_make_parent(store, path, &leaf) : store_open_parent(store, path, &leaf);
    if (place->directory < 0)
        return place->directory;
    rc = fstat(place->directory, &facts) < 0 ? -errno : call_it(place, who, leaf, token);
    place->device = facts.st_dev;
    place->inode = facts.st_ino;
    if (rc < 0)
        store_place_clear(place);
    return rc;
}

void store_place_clear(struct store_place *place)
{
    if (place->directory >= 0)
        close(place->directory);
    place->directory = -1;
}

void store_place_suffix(const char *name, const char *suffix, char out[STORE_SUFFIXED_SIZE])
{
    stpcpy(stpcpy(out, name), suffix);
}

int store_place_remove_map(int directory, const char *name)
{
    char map[STORE_SUFFIXED_SIZE];

    store_place_suffix(name, MAP, map);
    return store_map_remove(directory, map);
}

/* The file first: a map without one claims nothing. */
void store_place_remove(int directory, const char *name)
{
    unlinkat(directory, name, 0);
    store_place_remove_map(directory, name);
}

/* -- opening ------------------------------------------------------------------------------------------------------- */

/* 0, -EBUSY, or -EAGAIN: it has just lost its name, or another has it now. File systems without locks go without. */
static int lock_file(int directory, const char *name, int fd, struct stat *facts)
{
    struct stat named;

    if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
        return -EBUSY;
    if (fstat(fd, facts) < 0)
        return -errno;
    if (fstatat(directory, name, &named, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? -EAGAIN : -errno;
    if (named.st_ino != facts->st_ino || named.st_dev != facts->st_dev)
        return -EAGAIN;
    return S_ISREG(facts->st_mode) ? 0 : -EACCES;
}

/* What an earlier file of this name left must be gone for good before there is a file it could be taken to speak of. */
static int open_fresh(int directory, const char *name)
{
    char map[STORE_SUFFIXED_SIZE];
    struct stat facts;

    store_place_suffix(name, MAP, map);
    if (fstatat(directory, map, &facts, AT_SYMLINK_NOFOLLOW) == 0) {
        int rc = store_place_remove_map(directory, name);
        if (rc == 0)
            rc = store_sync(directory);
        if (rc < 0)
            return rc;
    }
    int fd = openat(directory, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, MODE);
    if (fd >= 0)
        return fd;
    return errno == EEXIST ? -EAGAIN : -errno;
}

/* It is ours, and nobody's who has it open at the moment: then its mode is about to be that of a file with a name. */
static int make_writable(int fd)
{
    struct stat facts;

    if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
        return -EBUSY;
    if (fstat(fd, &facts) < 0)
        return -errno;
    if (!S_ISREG(facts.st_mode))
        return -EACCES;
    return fchmod(fd, (facts.st_mode & 0777) | S_IWUSR) < 0 ? -errno : 0;
}

/* What its sender wants as its mode is set before it gets its name: an end between the two leaves one that is
 * read-only. */
static int open_present(int directory, const char *name)
{
    const int flags = O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    int fd = openat(directory, name, O_RDWR | flags);

    if (fd >= 0 || errno != EACCES)
        return fd < 0 ? -errno : fd;
    fd = openat(directory, name, O_RDONLY | flags);
    if (fd < 0)
        return -errno;
    int rc = make_writable(fd);
    close(fd);
    if (rc < 0)
        return rc;
    fd = openat(directory, name, O_RDWR | flags);
    return fd < 0 ? -errno : fd;
}

static int open_once(const struct store_place *place, bool make, struct stat *facts, bool *fresh)
{
    int fd = open_present(place->directory, place->name);

    *fresh = fd == -ENOENT;
    if (*fresh && make)
        fd = open_fresh(place->directory, place->name);
    if (fd < 0)
        return fd;
    int rc = lock_file(place->directory, place->name, fd, facts);
    if (rc < 0)
        close(fd);
    return rc < 0 ? rc : fd;
}

int store_place_open(const struct store_place *place, bool make, struct stat *facts, bool *fresh)
{
    int rc = -EAGAIN;

    for (int i = 0; i < OPEN_ATTEMPTS && rc == -EAGAIN; i++)
        rc = open_once(place, make, facts, fresh);
    return rc == -EAGAIN ? -EBUSY : rc;
}

int store_place_drop(int directory, const char *name)
{
    struct stat facts;
    int fd = open_present(directory, name);

    if (fd < 0)
        return fd;
    int rc = lock_file(directory, name, fd, &facts);
    if (rc == 0)
        store_place_remove(directory, name);
    close(fd);
    return rc == -EAGAIN ? -ENOENT : rc;
}
