#include "engine/client/part.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "engine/store/store.h"

#define MODE 0666 /* less the umask */
#define ATTEMPTS 8
#define NAMING_PATIENCE_US 10000
#define NAMING_ATTEMPTS 100
#define LOCK_PATIENCE_US 10000
#define LOCK_ATTEMPTS 200
#define NUMBER_ATTEMPTS 1000
#define BINDING_SIZE 24

static int open_directory(const char *local, const char *leaf)
{
    char path[PATH_MAX];
    size_t length = (size_t)(leaf - local);

    if (length >= sizeof path)
        return -ENAMETOOLONG;
    memcpy(path, local, length);
    path[length] = '\0';
    int fd = open(length ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int set_names(struct part *part, const char *local)
{
    const char *slash = strrchr(local, '/'), *leaf = slash ? slash + 1 : local;

    if (strlen(leaf) + strlen(PART_JOURNAL_SUFFIX STORE_MAP_SUFFIX) > NAME_MAX)
        return -ENAMETOOLONG;
    if (strncmp(leaf, STORE_PRIVATE, strlen(STORE_PRIVATE)) == 0)
        return -EPERM;
    part->directory = open_directory(local, leaf);
    if (part->directory < 0)
        return part->directory;
    part->leaf = strdup(leaf);
    if (asprintf(&part->name, "%s" PART_SUFFIX, leaf) < 0)
        part->name = NULL;
    if (asprintf(&part->journal, "%s" PART_JOURNAL_SUFFIX, leaf) < 0)
        part->journal = NULL;
    return part->leaf && part->name && part->journal ? 0 : -ENOMEM;
}

/*
 * A file system without locks is no reason not to fetch. What a killed process had in its io_uring the kernel lets go
 * of a moment after the process is gone, and with it the lock.
 */
static int lock(int fd)
{
    for (int i = 0; i < LOCK_ATTEMPTS; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0 || (errno != EWOULDBLOCK && errno != EINTR))
            return 0;
        usleep(LOCK_PATIENCE_US);
    }
    return -EBUSY;
}

/*
 * Held while names of a .part and its journal come and go together. Whoever holds it for long is no fetch of ours, and
 * is not waited for for ever.
 */
static void lock_names(const struct part *part)
{
    for (int i = 0; i < NAMING_ATTEMPTS && flock(part->directory, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK; i++)
        usleep(NAMING_PATIENCE_US);
}

static void unlock_names(const struct part *part)
{
    flock(part->directory, LOCK_UN);
}

/* Between opening and locking it may have got its final name. */
static bool still_named(const struct part *part, int fd)
{
    struct stat mine, named;

    return fstat(fd, &mine) == 0 && fstatat(part->directory, part->name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           mine.st_dev == named.st_dev && mine.st_ino == named.st_ino;
}

/*
 * Where anybody may make files, what another user has put there is not gone on with: neither its bytes nor its claims.
 */
static bool is_foreign(const struct part *part, const struct stat *facts)
{
    struct stat directory;

    return facts->st_uid != geteuid() && fstat(part->directory, &directory) == 0 && (directory.st_mode & S_IWOTH);
}

static int check_present(const struct part *part, int fd)
{
    struct stat facts;

    if (fstat(fd, &facts) < 0)
        return -errno;
    return !S_ISREG(facts.st_mode) || is_foreign(part, &facts) ? -EEXIST : lock(fd);
}

/* A descriptor of the present .part, locked; -ENOENT. */
static int take(const struct part *part)
{
    for (int i = 0; i < ATTEMPTS; i++) {
        int fd = openat(part->directory, part->name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd < 0)
            return errno == ELOOP || errno == EISDIR || errno == ENXIO ? -EEXIST : -errno;
        int rc = check_present(part, fd);
        if (rc == 0 && fcntl(fd, F_SETFL, 0) < 0)
            rc = -errno;
        if (rc == 0 && still_named(part, fd))
            return fd;
        close(fd);
        if (rc < 0)
            return rc;
    }
    return -EBUSY;
}

/*
 * Names are any bytes: who sends us a tree may send a NAME.part and a journal to it, with bytes of their own that
 * another server would seem to have sent. So a journal says which file it is about, by what no sender knows.
 */
static void print_binding(const struct stat *facts, char binding[BINDING_SIZE])
{
    snprintf(binding, BINDING_SIZE, "%llx ", (unsigned long long)facts->st_ino);
}

static bool unbind(struct store_map *map, const struct stat *facts)
{
    char binding[BINDING_SIZE];

    print_binding(facts, binding);
    size_t length = strlen(binding);
    if (strncmp(map->source, binding, length) != 0)
        return false;
    memmove(map->source, map->source + length, strlen(map->source) - length + 1);
    return true;
}

static int save(const struct part *part, const struct store_map *map, bool durable)
{
    char binding[BINDING_SIZE];
    struct store_map bound = *map;
    struct stat facts;

    if (fstat(part->fd, &facts) < 0)
        return -errno;
    print_binding(&facts, binding);
    if (asprintf(&bound.source, "%s%s", binding, map->source) < 0)
        return -ENOMEM;
    int rc = store_map_save(&bound, part->directory, part->journal, durable);
    free(bound.source);
    return rc;
}

/* What the journal claims can only be there as far as the file reaches. */
static void check_claims(struct part *part, const char *remote, const struct stat *facts)
{
    const struct extents *have = &part->map.have;
    bool there = have->count == 0 || have->items[have->count - 1].end <= (uint64_t)facts->st_size;

    if (there && strcmp(part->map.name, remote) == 0 && unbind(&part->map, facts))
        return;
    part->damaged = true;
    store_map_clear(&part->map);
}

static int read_journal(struct part *part, const char *remote)
{
    struct stat facts;

    if (fstat(part->fd, &facts) < 0)
        return -errno;
    int rc = store_map_load(&part->map, part->directory, part->journal);
    if (rc == 0)
        check_claims(part, remote, &facts);
    if (rc == -ENOENT)
        return facts.st_size == 0 ? 0 : -EEXIST;
    if (rc == -EINVAL || rc == -E2BIG)
        part->damaged = true;
    return part->damaged ? 0 : rc;
}

int part_open(struct part *part, const char *local, const char *remote)
{
    *part = (struct part){ .fd = -1, .directory = -1 };
    int rc = set_names(part, local);
    if (rc < 0)
        return rc;
    rc = take(part);
    if (rc == -ENOENT)
        return 0;
    if (rc < 0)
        return rc;
    part->fd = rc;
    return read_journal(part, remote);
}

static int remove_both(struct part *part)
{
    int rc = unlinkat(part->directory, part->name, 0) < 0 && errno != ENOENT ? -errno : 0;

    if (rc == 0)
        rc = store_map_remove(part->directory, part->journal);
    close(part->fd);
    part->fd = -1;
    return rc;
}

/* Only its creator can have written to it before it is locked: one that was locked by another is still empty. */
static int create(struct part *part)
{
    int fd = openat(part->directory, part->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, MODE);
    if (fd < 0)
        return errno == EEXIST ? -EBUSY : -errno;
    int rc = lock(fd);
    if (rc < 0)
        close(fd);
    else
        part->fd = fd;
    return rc;
}

/* As the store does it (upload.c): known now rather than in the midst; memory is not fetched before it is needed. */
static int ask_for_room(int fd, uint64_t first, uint64_t length)
{
    struct statfs facts;

    if (fstatfs(fd, &facts) == 0 && facts.f_type == TMPFS_MAGIC)
        return length / (uint64_t)facts.f_bsize > facts.f_bavail && facts.f_blocks > 0 ? -ENOSPC : 0;
    while (fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)first, (off_t)length) < 0) {
        if (errno != EINTR)
            return errno == EOPNOTSUPP || errno == ENOSYS ? 0 : -errno;
    }
    return 0;
}

/* For all but the holes. With any the file has its length at once: into the last one nobody writes. */
static int make_room(int fd, uint64_t size, const struct extents *holes)
{
    uint64_t first, end = 0;
    int rc = 0;

    while (rc == 0 && extents_next_missing(holes, size, end, &first, &end))
        rc = ask_for_room(fd, first, end - first);
    if (rc == 0 && holes->count > 0 && ftruncate(fd, (off_t)size) < 0)
        rc = -errno;
    return rc;
}

/* The journal first: from then on whatever is in the .part is ours, and nothing of it is claimed. */
static int start_journal(struct part *part, const char *source, const char *remote, uint64_t size, bool durable)
{
    store_map_clear(&part->map);
    part->map = (struct store_map){ .size = size, .source = strdup(source), .name = strdup(remote) };
    if (!part->map.source || !part->map.name)
        return -ENOMEM;
    return save(part, &part->map, durable);
}

/* As far as the file system knows it. */
static int sync_file(int fd)
{
    while (fsync(fd) < 0) {
        if (errno != EINTR)
            return errno == EINVAL || errno == EROFS ? 0 : -errno;
    }
    return 0;
}

static bool has_journal(const struct part *part)
{
    struct stat facts;
    return fstatat(part->directory, part->journal, &facts, AT_SYMLINK_NOFOLLOW) == 0;
}

/* What a journal of before claims must be gone for good before the first byte comes that it could be taken to mean. */
static int begin_anew(struct part *part, const char *source, const char *remote, uint64_t size,
                      const struct extents *holes)
{
    bool had_journal = has_journal(part);
    int rc = start_journal(part, source, remote, size, had_journal);

    if (rc == 0 && had_journal)
        rc = sync_file(part->directory);
    if (rc == 0 && ftruncate(part->fd, 0) < 0)
        rc = -errno;
    return rc == 0 ? make_room(part->fd, size, holes) : rc;
}

int part_begin(struct part *part, const char *source, const char *remote, uint64_t size, const struct extents *holes)
{
    static const struct extents none = { 0 };

    if (part->directory < 0)
        return -ENOENT;
    if (size > INT64_MAX)
        return -EFBIG;
    part->damaged = false;
    part->lost = 0;
    lock_names(part);
    int rc = part->fd < 0 ? create(part) : 0;
    if (rc == 0) {
        rc = begin_anew(part, source, remote, size, holes ? holes : &none);
        if (rc < 0)
            remove_both(part);
    }
    unlock_names(part);
    return rc;
}

int part_save(struct part *part, const struct extents *have)
{
    struct store_map map = { .size = part->map.size, .source = part->map.source, .name = part->map.name };

    map.have = *have;
    while (part->lost == 0 && fdatasync(part->fd) < 0) {
        if (errno != EINTR)
            part->lost = -errno;
    }
    if (part->lost < 0)
        return part->lost;
    return save(part, &map, true);
}

static int give_name(struct part *part, const char *name, bool replace)
{
    if (replace)
        return renameat(part->directory, part->name, part->directory, name) < 0 ? -errno : 0;
    if (renameat2(part->directory, part->name, part->directory, name, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -errno;
    if (linkat(part->directory, part->name, part->directory, name, 0) < 0)
        return -errno;
    return unlinkat(part->directory, part->name, 0) < 0 ? -errno : 0;
}

/* The .part takes another name and its journal goes. */
static int leave(struct part *part, const char *name, bool replace)
{
    lock_names(part);
    int rc = give_name(part, name, replace);
    if (rc == 0)
        store_map_remove(part->directory, part->journal);
    unlock_names(part);
    return rc == 0 && sync_file(part->directory) < 0 ? -EIO : rc;
}

static int make_ready(struct part *part, struct timespec modified)
{
    const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, modified };
    struct stat facts;

    if (part->lost < 0)
        return part->lost;
    if (fstat(part->fd, &facts) < 0)
        return -errno;
    if ((uint64_t)facts.st_size != part->map.size)
        return -EBADMSG;
    /* A file system without times is no reason to lose the file. */
    if (modified.tv_sec > 0)
        (void)!futimens(part->fd, times);
    return sync_file(part->fd);
}

/* NAME, or where that is taken one of NAME.1, NAME.2 and so on that is free. */
static int leave_numbered(struct part *part, const char *leaf, unsigned most, unsigned *numbered)
{
    char name[NAME_MAX + 1];
    int rc = leave(part, leaf, false);

    *numbered = 0;
    for (unsigned i = 0; rc == -EEXIST && i < NUMBER_ATTEMPTS; i++) {
        *numbered = store_free_number(part->directory, leaf, most);
        if (*numbered == 0)
            return -EEXIST;
        if (store_number_name(name, leaf, *numbered) < 0)
            return -ENAMETOOLONG;
        rc = leave(part, name, false);
    }
    return rc;
}

int part_commit(struct part *part, struct timespec modified, bool replace, unsigned *numbered)
{
    int rc = make_ready(part, modified);

    if (rc < 0)
        return rc;
    return numbered ? leave_numbered(part, part->leaf, STORE_NUMBERED_MAX, numbered) : leave(part, part->leaf, replace);
}

int part_set_aside(struct part *part, unsigned *number)
{
    char name[NAME_MAX + 1];

    snprintf(name, sizeof name, "%s" PART_BAD_SUFFIX, part->leaf);
    int rc = leave_numbered(part, name, PART_BAD_MAX, number);
    /* Wrong bytes are not gone on with. */
    if (rc < 0 && rc != -EIO)
        part_remove(part);
    return rc;
}

/* Whose .part has its name by now: the process was killed between the two. */
static int remove_orphan(const struct part *part)
{
    struct store_map map = { 0 };
    struct stat facts;

    if (fstatat(part->directory, part->name, &facts, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT)
        return 0;
    int rc = store_map_load(&map, part->directory, part->journal);
    if (rc == 0)
        rc = store_map_remove(part->directory, part->journal);
    store_map_clear(&map);
    return rc == -ENOENT || rc == -EINVAL ? 0 : rc; /* there is none, or it is none of ours */
}

int part_remove(struct part *part)
{
    if (part->directory < 0)
        return 0;
    lock_names(part);
    int rc = part->fd < 0 ? remove_orphan(part) : remove_both(part);
    unlock_names(part);
    return rc;
}

void part_tidy(const char *local, const char *remote, bool all)
{
    struct part part = { .fd = -1, .directory = -1 };
    struct stat facts;
    bool there = set_names(&part, local) == 0 &&
                 (has_journal(&part) || fstatat(part.directory, part.name, &facts, AT_SYMLINK_NOFOLLOW) == 0);

    part_close(&part);
    if (!there)
        return;
    if (part_open(&part, local, remote) == 0 && (all || part.fd < 0))
        part_remove(&part);
    part_close(&part);
}

void part_close(struct part *part)
{
    if (part->fd >= 0)
        close(part->fd); /* and so the lock is gone */
    if (part->directory >= 0)
        close(part->directory);
    free(part->leaf);
    free(part->name);
    free(part->journal);
    store_map_clear(&part->map);
    *part = (struct part){ .fd = -1, .directory = -1 };
}
