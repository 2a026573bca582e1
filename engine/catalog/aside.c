/* The files themselves: made before SQLite sees them, and moved out of the way where they are damaged. */
#include "engine/catalog/catalog_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int say(char why[CATALOG_WHY_SIZE], const char *file, int error, const char *remedy)
{
    snprintf(why, CATALOG_WHY_SIZE, "%s: %s: %s", file, strerror(error), remedy);
    return -error;
}

/* A link would be root's, to a file of anybody's choosing. */
static bool is_plain(const struct stat *facts)
{
    return S_ISREG(facts->st_mode) && facts->st_nlink == 1;
}

static int give_open(int fd, uid_t user, gid_t group)
{
    struct stat facts;

    if (fstat(fd, &facts) < 0)
        return -errno;
    if (facts.st_uid == user && facts.st_gid == group)
        return 0;
    if (!is_plain(&facts))
        return -EMLINK;
    return fchownat(fd, "", user, group, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

/*
 * A file that SQLite has open must not be opened and closed by anybody else in this process, or its locks are gone
 * (POSIX). O_PATH opens nothing that locks would know of, and what was looked at is what is given away.
 */
static int give(const char *file, uid_t user, gid_t group)
{
    int fd = open(file, O_PATH | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    int rc = give_open(fd, user, group);
    close(fd);
    return rc;
}

static int make(const char *file)
{
    int fd = open(file, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return errno == EEXIST ? 0 : -errno;
    close(fd);
    return 0;
}

int catalog_prepare(const char *file, uid_t user, gid_t group, char why[CATALOG_WHY_SIZE])
{
    static const char *const parts[] = { "", "-wal", "-shm", CATALOG_OWNERS };
    char path[PATH_MAX];
    int rc = make(file);

    if (rc < 0)
        return say(why, file, -rc,
                   rc == -ENOENT   ? "make the directory that `catalog` names"
                   : rc == -EACCES ? "make the directory that `catalog` names writable"
                                   : "name another file as `catalog`");
    if (user == (uid_t)-1 || geteuid() != 0)
        return 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if ((size_t)snprintf(path, sizeof path, "%s%s", file, parts[i]) >= sizeof path)
            return say(why, file, ENAMETOOLONG, "name a shorter one as `catalog`");
        if (strcmp(parts[i], CATALOG_OWNERS) == 0)
            rc = make(path);
        if (rc == 0)
            rc = give(path, user, group);
        if (rc < 0)
            return say(why, path, -rc, "it is to be the server's user's, and cannot be given to it");
    }
    return 0;
}

/* -- damage -------------------------------------------------------------------------------------------------------- */

static int lock_folder(const char *file)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(file, '/');
    size_t length = slash ? (size_t)(slash - file) : 0;

    if (length >= sizeof folder)
        return -ENAMETOOLONG;
    memcpy(folder, file, length);
    folder[length] = '\0';
    int fd = open(length ? folder : slash ? "/" : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    for (int tries = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; tries++) {
        const struct timespec moment = { .tv_nsec = 50 * 1000000 };
        if (tries == 20) {
            close(fd);
            return -EBUSY;
        }
        nanosleep(&moment, NULL);
    }
    return fd;
}

static int aside_name(const char *file, char *aside, size_t size)
{
    char stamp[32];
    struct tm utc;
    time_t now = time(NULL);

    gmtime_r(&now, &utc);
    strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &utc);
    for (unsigned n = 0; n < 100; n++) {
        char more[16] = "";
        if (n)
            snprintf(more, sizeof more, "-%u", n);
        if ((size_t)snprintf(aside, size, "%s.damaged-%s%s", file, stamp, more) >= size)
            return -ENAMETOOLONG;
        if (access(aside, F_OK) < 0)
            return errno == ENOENT ? 0 : -errno;
    }
    return -EEXIST;
}

/* What SQLite has beside a file belongs to that file and must not meet the next one. */
static int move(const char *file, const char *aside)
{
    static const char *const parts[] = { "-wal", "-shm", "" };
    char from[PATH_MAX], to[PATH_MAX];

    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if ((size_t)snprintf(from, sizeof from, "%s%s", file, parts[i]) >= sizeof from ||
            (size_t)snprintf(to, sizeof to, "%s%s", aside, parts[i]) >= sizeof to)
            return -ENAMETOOLONG;
        if (rename(from, to) < 0 && errno != ENOENT)
            return -errno;
    }
    return 0;
}

int catalog_set_aside(const char *file, ino_t damaged, char *aside, size_t size)
{
    struct stat facts;
    int folder = lock_folder(file);

    if (folder < 0)
        return folder;
    int rc = stat(file, &facts) < 0 ? -errno : 0;
    if (rc == -ENOENT || (rc == 0 && facts.st_ino != damaged))
        rc = -ESTALE;
    if (rc == 0)
        rc = aside_name(file, aside, size);
    if (rc == 0)
        rc = move(file, aside);
    close(folder);
    return rc;
}
