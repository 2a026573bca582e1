#include "engine/catalog/wake.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

struct catalog_wake {
    int inotify;       /* -1: none */
    unsigned interval; /* milliseconds between the last look and the next */
    uint64_t next;     /* when that is */
};

static uint64_t milliseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void set(struct catalog_wake *wake, unsigned interval)
{
    wake->interval = interval;
    wake->next = milliseconds() + interval;
}

/* What is written stands in FILE-wal until it is brought into FILE; FILE itself may be moved or removed. */
static int watch(const char *file)
{
    char log[PATH_MAX];
    bool fits = (size_t)snprintf(log, sizeof log, "%s-wal", file) < sizeof log;
    int fd = fits ? inotify_init1(IN_CLOEXEC | IN_NONBLOCK) : -1;

    if (fd < 0)
        return -1;
    if (inotify_add_watch(fd, file, IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF) >= 0 &&
        inotify_add_watch(fd, log, IN_MODIFY) >= 0)
        return fd;
    close(fd);
    return -1;
}

struct catalog_wake *catalog_wake_new(const char *file)
{
    struct catalog_wake *wake = calloc(1, sizeof *wake);

    if (!wake)
        return NULL;
    wake->inotify = watch(file);
    set(wake, CATALOG_WAKE_SOON);
    return wake;
}

void catalog_wake_free(struct catalog_wake *wake)
{
    if (wake && wake->inotify >= 0)
        close(wake->inotify);
    free(wake);
}

/* Once a look is to come soon, nothing that happens until then would make it come sooner. */
int catalog_wake_fd(const struct catalog_wake *wake)
{
    return wake && wake->interval > CATALOG_WAKE_SOON ? wake->inotify : -1;
}

int catalog_wake_wait(const struct catalog_wake *wake)
{
    uint64_t now = milliseconds();

    if (!wake)
        return CATALOG_WAKE_POLL;
    return wake->next <= now ? 0 : (int)(wake->next - now);
}

void catalog_wake_heed(struct catalog_wake *wake)
{
    char bytes[4096];

    if (catalog_wake_fd(wake) < 0 || read(wake->inotify, bytes, sizeof bytes) <= 0)
        return;
    while (read(wake->inotify, bytes, sizeof bytes) > 0)
        ;
    set(wake, CATALOG_WAKE_SOON);
}

void catalog_wake_look(struct catalog_wake *wake)
{
    if (!wake || milliseconds() < wake->next)
        return;
    if (wake->inotify < 0)
        set(wake, CATALOG_WAKE_POLL);
    else
        set(wake, wake->interval * 2 < CATALOG_WAKE_SLOW ? wake->interval * 2 : CATALOG_WAKE_SLOW);
}
