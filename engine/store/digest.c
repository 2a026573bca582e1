#include "engine/store/digest.h"
#include "engine/store/store_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <time.h>

#define VALUE_MAX 512
#define VERSION "1"

/* What the digests are bound to: "1 SIZE SECONDS.NANOSECONDS INODE", and then " ALGORITHM:HEX" for each. */
static int write_binding(const struct stat *facts, char *text, size_t size)
{
    return snprintf(text, size, VERSION " %jd %jd.%09ld %ju", (intmax_t)facts->st_size, (intmax_t)facts->st_mtim.tv_sec,
                    facts->st_mtim.tv_nsec, (uintmax_t)facts->st_ino);
}

/*
 * A file system takes its times from a clock that ticks every few milliseconds: whoever writes into the file within the
 * tick of its last write leaves no trace in them. A time set by hand is finer than any tick, so what is written later
 * has another one.
 */
static int make_distinct(int fd)
{
    struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };
    struct stat facts;

    clock_gettime(CLOCK_REALTIME, &times[1]);
    if (futimens(fd, times) < 0 || fstat(fd, &facts) < 0)
        return -errno;
    return facts.st_mtim.tv_nsec == times[1].tv_nsec ? 0 : -EOPNOTSUPP;
}

int store_digest_keep(int fd, const struct digest_set *set, bool dated)
{
    char text[VALUE_MAX], hex[DIGEST_HEX_SIZE];
    struct stat facts;

    if (set->known == 0)
        return 0;
    int error = dated ? 0 : make_distinct(fd);
    if (error == 0 && fstat(fd, &facts) < 0)
        error = -errno;
    if (error < 0)
        return error;
    int length = write_binding(&facts, text, sizeof text);
    for (int i = 0; i < DIGEST_ALGORITHMS; i++) {
        if (!(set->known & 1u << i))
            continue;
        digest_hex(&set->items[i], hex);
        length +=
            snprintf(text + length, sizeof text - (size_t)length, " %s:%s", digest_name((enum digest_algorithm)i), hex);
    }
    return fsetxattr(fd, STORE_DIGEST_ATTRIBUTE, text, (size_t)length, 0) < 0 ? -errno : 0;
}

static int read_digest(char *word, struct digest_set *set)
{
    enum digest_algorithm algorithm;
    struct digest digest;
    char *colon = strchr(word, ':');

    if (!colon || !digest_by_name(word, (size_t)(colon - word), &algorithm) ||
        digest_from_hex(algorithm, colon + 1, &digest) < 0)
        return -ENOENT;
    digest_set_add(set, &digest);
    return 0;
}

int store_digest_read(char *text, const struct stat *facts, struct digest_set *set)
{
    char binding[VALUE_MAX];
    int length = write_binding(facts, binding, sizeof binding);

    if (strncmp(text, binding, (size_t)length) != 0 || text[length] != ' ')
        return -ENOENT;
    char *rest;
    for (char *word = strtok_r(text + length, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        int error = read_digest(word, set);
        if (error < 0)
            return error;
    }
    return set->known ? 0 : -ENOENT;
}

int store_digest_recall(int fd, const struct stat *facts, struct digest_set *set)
{
    char text[VALUE_MAX + 1];
    struct digest_set found = { 0 };

    *set = found;
    ssize_t length = fgetxattr(fd, STORE_DIGEST_ATTRIBUTE, text, VALUE_MAX);
    if (length < 0) /* no such attribute, none at all on this file system, or longer than any of ours */
        return errno == ENODATA || errno == EOPNOTSUPP || errno == ERANGE ? -ENOENT : -errno;
    text[length] = '\0';
    int error = strlen(text) == (size_t)length ? store_digest_read(text, facts, &found) : -ENOENT;
    if (error == 0)
        *set = found;
    return error;
}
