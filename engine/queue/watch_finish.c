/* Taking a file away that was sent, and no other. */
#include "engine/queue/watch_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ASIDE_MAX 1000 /* NAME, NAME.1, ... where a file is moved to */

void watch_mark(const struct stat *facts, char mark[WATCH_MARK_SIZE])
{
    snprintf(mark, WATCH_MARK_SIZE, "%ju-%jd-%jd.%09ld", (uintmax_t)facts->st_ino, (intmax_t)facts->st_size,
             (intmax_t)facts->st_mtim.tv_sec, facts->st_mtim.tv_nsec);
}

bool watch_is_marked(const char *path, const char *mark)
{
    char now[WATCH_MARK_SIZE];
    struct stat facts;

    if (lstat(path, &facts) < 0)
        return false;
    watch_mark(&facts, now);
    return strcmp(now, mark) == 0;
}

/*
 * `taken` had the name `path` until now. Between the look at it and its renaming another file, which nobody sent, may
 * have got that name: then it gets it back. 0, -ESTALE, or -errno: it stays what it is called now.
 */
static int check_taken(const char *taken, const char *path, const char *mark)
{
    if (watch_is_marked(taken, mark))
        return 0;
    if (renameat2(AT_FDCWD, taken, AT_FDCWD, path, RENAME_NOREPLACE) == 0 ||
        (errno == EINVAL && link(taken, path) == 0 && unlink(taken) == 0))
        return -ESTALE;
    return -errno;
}

/* In the other folder, under its name or the first free one of NAME.1 ... */
static int move_away(const struct config_watch *watch, const char *path, char to[PATH_MAX])
{
    const char *name = strrchr(path, '/') + 1;

    for (unsigned i = 0; i < ASIDE_MAX; i++) {
        int length = i ? snprintf(to, PATH_MAX, "%s/%s.%u", watch->move_to, name, i)
                       : snprintf(to, PATH_MAX, "%s/%s", watch->move_to, name);
        if (length >= PATH_MAX)
            return -ENAMETOOLONG;
        if (renameat2(AT_FDCWD, path, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
            return 0;
        if (errno != EEXIST)
            return -errno;
    }
    return -EEXIST;
}

static int move_sent(const struct config_watch *watch, const char *path, const char *mark)
{
    char to[PATH_MAX];
    int rc = move_away(watch, path, to);

    return rc == 0 ? check_taken(to, path, mark) : rc;
}

/* Under a hidden name first, which no watch takes. */
static int delete_sent(const struct config_watch *watch, const char *path, const char *mark, const char *id)
{
    char hidden[PATH_MAX];

    if (snprintf(hidden, sizeof hidden, "%s/.sluice-sent-%s", watch->folder, id) >= (int)sizeof hidden)
        return -ENAMETOOLONG;
    if (rename(path, hidden) < 0)
        return -errno;
    int rc = check_taken(hidden, path, mark);
    return rc == 0 && unlink(hidden) < 0 ? -errno : rc;
}

int watch_finish(const struct config_watch *watch, const char *path, const char *mark, const char *id)
{
    return watch->then == CONFIG_WATCH_MOVE ? move_sent(watch, path, mark) : delete_sent(watch, path, mark, id);
}
