#include "engine/queue/watch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/catalog/job.h"
#include "engine/catalog/seen.h"
#include "engine/catalog/wake.h"
#include "engine/queue/queue_internal.h"
#include "engine/queue/watch_internal.h"

#define OPEN_AGAIN_MS 5000

uint64_t watches_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void poke(struct watches *watches)
{
    const uint64_t one = 1;

    while (write(watches->poke, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

/* -- the catalog --------------------------------------------------------------------------------------------------- */

static void close_catalog(struct watches *watches)
{
    catalog_wake_free(watches->wake);
    catalog_close(watches->catalog);
    watches->wake = NULL;
    watches->catalog = NULL;
}

static bool have_catalog(struct watches *watches)
{
    char why[CATALOG_WHY_SIZE];

    if (watches->catalog && !catalog_is_current(watches->catalog))
        close_catalog(watches);
    if (watches->catalog)
        return true;
    if (watches_clock() < watches->open_again)
        return false;
    watches->open_again = watches_clock() + OPEN_AGAIN_MS;
    watches->version = 0;
    watches->scan_again = 0;
    if (catalog_open(&watches->catalog, watches->file, CATALOG_WRITE, why) == 0) {
        watches->wake = catalog_wake_new(watches->file);
        return true;
    }
    watches->catalog = NULL; /* the queue tells why, in Q03W */
    return false;
}

bool watches_went_well(struct watches *watches, int rc)
{
    if (rc >= 0)
        return true;
    if (rc != -EBUSY && rc != -ENOSPC && rc != -ENOMEM)
        close_catalog(watches);
    return false;
}

/* -- a file that is finished --------------------------------------------------------------------------------------- */

/* Hidden files are those that others write to before they rename them, and our own. */
static bool is_wanted(const struct config_watch *watch, const char *name)
{
    size_t length = strlen(name), part = strlen(".part");

    if (name[0] == '.' || (length > part && strcmp(name + length - part, ".part") == 0))
        return false;
    for (size_t i = 0; i < watch->files.count; i++) {
        if (config_glob(watch->files.items[i], name))
            return true;
    }
    return watch->files.count == 0;
}

static int add(struct watches *watches, const struct config_watch *watch, const char *name, const char *path,
               const struct stat *facts, uint64_t *id)
{
    /* What is deleted then must be known to be there; who may write to the folder may not choose among our files. */
    const struct queue_request request = { .verify = watch->then == CONFIG_WATCH_DELETE ? CLIENT_VERIFY_ALWAYS
                                                                                        : CLIENT_VERIFY_USUAL,
                                           .no_links = true };
    char text[QUEUE_REQUEST_SIZE], mark[WATCH_MARK_SIZE], remote[PATH_MAX];
    bool seen = true;

    *id = 0;
    watch_mark(facts, mark);
    int length = snprintf(remote, sizeof remote, "%s%s%s", watch->to ? watch->to : "", watch->to ? "/" : "", name);
    if (length >= (int)sizeof remote)
        return 0;
    struct catalog_record record = {
        .state = CATALOG_WAITING,
        .direction = CATALOG_OUT,
        .role = CATALOG_CLIENT,
        .partner = watch->partner->name,
        .remote = remote,
        .local = path,
        .size = (uint64_t)facts->st_size,
    };
    int rc = catalog_begin(watches->catalog);
    if (rc < 0)
        return rc;
    rc = catalog_seen(watches->catalog, watch->name, path, mark, &seen);
    if (rc == 0 && !seen)
        rc = catalog_job_add(watches->catalog, &record, catalog_now(), text, queue_request_print(&request, text));
    if (rc == 0 && !seen)
        rc = catalog_seen_put(watches->catalog, watch->name, path, mark, record.id);
    if (rc == 0)
        rc = catalog_commit(watches->catalog);
    if (rc < 0)
        catalog_rollback(watches->catalog);
    *id = rc == 0 && !seen ? record.id : 0;
    return rc;
}

/* `quiet`: only where it has not changed for a while. False: the catalog cannot be used now. */
static bool take(struct watches *watches, const struct config_watch *watch, const char *name, bool quiet)
{
    char path[PATH_MAX], text[CATALOG_ID_SIZE];
    struct stat facts;
    uint64_t id;

    if (!is_wanted(watch, name) || snprintf(path, sizeof path, "%s/%s", watch->folder, name) >= (int)sizeof path ||
        lstat(path, &facts) < 0 || !S_ISREG(facts.st_mode))
        return true;
    uint64_t changed = (uint64_t)facts.st_ctim.tv_sec * 1000 + (uint64_t)facts.st_ctim.tv_nsec / 1000000;
    if (quiet && catalog_now() / 1000 < changed + WATCH_QUIET_MS && catalog_now() / 1000 + WATCH_QUIET_MS > changed)
        return true;
    int rc = add(watches, watch, name, path, &facts, &id);
    if (id) {
        catalog_id_print(id, text);
        event(watches->log, "W01I", EVENT_T("watch", watch->name), EVENT_T("file", path),
              EVENT_T("partner", watch->partner->name), EVENT_T("transfer", text), EVENT_N("bytes", facts.st_size));
    }
    return watches_went_well(watches, rc);
}

/* -- looking through a folder -------------------------------------------------------------------------------------- */

static void tell_trouble(struct watches *watches, size_t i, const struct config_watch *watch, int error)
{
    if (!watches->told[i])
        event(watches->log, "W02W", EVENT_T("watch", watch->name), EVENT_T("folder", watch->folder),
              EVENT_T("reason", strerror(error)));
    watches->told[i] = true;
}

static int scan(struct watches *watches, const struct config_watch *watch)
{
    DIR *folder = opendir(watch->folder);
    const struct dirent *entry;
    bool good = true;

    if (!folder)
        return -errno;
    while (good && (errno = 0, entry = readdir(folder)))
        good = take(watches, watch, entry->d_name, true);
    int rc = good ? -errno : 0;
    closedir(folder);
    return rc;
}

/* -- inotify ------------------------------------------------------------------------------------------------------- */

static void unwatch(struct watches *watches)
{
    if (watches->inotify >= 0)
        close(watches->inotify);
    watches->inotify = -1;
    free(watches->ids);
    free(watches->told);
    free(watches->finish_again);
    watches->finish_again = NULL;
    watches->ids = NULL;
    watches->told = NULL;
    queue_hold_drop(watches->followed);
    watches->followed = NULL;
}

/* Takes `hold` over. */
static void watch_for(struct watches *watches, struct queue_hold *hold)
{
    size_t count = hold->model.config->watch_count;

    unwatch(watches);
    watches->followed = hold;
    watches->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    watches->ids = calloc(count + 1, sizeof *watches->ids);
    watches->told = calloc(count + 1, sizeof *watches->told);
    watches->finish_again = calloc(count + 1, sizeof *watches->finish_again);
    for (size_t i = 0; watches->ids && i < count; i++)
        watches->ids[i] = -1;
    watches->scan_again = 0;
}

static void look_through(struct watches *watches, const struct config *config)
{
    for (size_t i = 0; i < config->watch_count && watches->catalog; i++) {
        const struct config_watch *watch = &config->watches[i];
        /* Again each time: the folder may be another one by now, and the same one has the same number. */
        watches->ids[i] = inotify_add_watch(watches->inotify, watch->folder,
                                            IN_CLOSE_WRITE | IN_MOVED_TO | IN_ONLYDIR | IN_EXCL_UNLINK);
        int rc = watches->ids[i] < 0 ? -errno : scan(watches, watch);
        if (rc < 0)
            tell_trouble(watches, i, watch, -rc);
        else
            watches->told[i] = false;
        if (watches->catalog)
            watches_forget_gone(watches, watch);
    }
}

/* Two of them may watch one folder. */
static void heed(struct watches *watches, const struct inotify_event *one)
{
    const struct config *config = watches->followed->model.config;

    if (one->mask & (IN_Q_OVERFLOW | IN_IGNORED))
        watches->scan_again = 0;
    if (!one->len || (one->mask & IN_ISDIR))
        return;
    for (size_t i = 0; i < config->watch_count && watches->catalog; i++) {
        if (watches->ids[i] == one->wd && !take(watches, &config->watches[i], one->name, false))
            watches->scan_again = watches_clock() + WATCH_QUIET_MS;
    }
}

static void read_events(struct watches *watches)
{
    char bytes[16384] __attribute__((aligned(__alignof__(struct inotify_event))));
    ssize_t n;

    while (watches->catalog && watches->inotify >= 0 && (n = read(watches->inotify, bytes, sizeof bytes)) > 0) {
        for (char *at = bytes; at < bytes + n;) {
            const struct inotify_event *one = (const struct inotify_event *)at;
            heed(watches, one);
            at += sizeof *one + one->len;
        }
    }
}

/* -- the thread ---------------------------------------------------------------------------------------------------- */

/* False: there was no memory for what it needs. */
static bool is_made(const struct watches *watches)
{
    return watches->ids && watches->told && watches->finish_again;
}

static void look(struct watches *watches)
{
    const struct config *config = watches->followed->model.config;
    int64_t version = 0;
    bool scanned = false;

    if (config->watch_count == 0 || !is_made(watches) || !have_catalog(watches))
        return;
    catalog_wake_look(watches->wake);
    read_events(watches);
    if (watches->catalog && watches_clock() >= watches->scan_again) {
        watches->scan_again = watches_clock() + WATCH_SCAN_MS;
        look_through(watches, config);
        scanned = true;
    }
    if (!watches->catalog || !watches_went_well(watches, catalog_job_version(watches->catalog, &version)) ||
        (version == watches->version && !scanned))
        return;
    watches->version = version;
    for (size_t i = 0; i < config->watch_count && watches->catalog; i++)
        watches_finish_sent(watches, i, &config->watches[i]);
}

/* Milliseconds until something is to be looked at. */
static int patience(const struct watches *watches)
{
    uint64_t now = watches_clock(), next = watches->catalog ? watches->scan_again : watches->open_again;

    if (watches->followed->model.config->watch_count == 0)
        return -1;
    if (!is_made(watches))
        return WATCH_SCAN_MS;
    uint64_t wait = next > now ? next - now : 0;
    if (watches->catalog && wait > (uint64_t)catalog_wake_wait(watches->wake))
        wait = (uint64_t)catalog_wake_wait(watches->wake);
    return (int)wait;
}

static void wait_for_something(struct watches *watches)
{
    struct pollfd files[] = { { .fd = watches->poke, .events = POLLIN },
                              { .fd = watches->inotify, .events = POLLIN },
                              { .fd = catalog_wake_fd(watches->wake), .events = POLLIN } };
    uint64_t count;

    if (!watches->catalog)
        files[1].fd = -1; /* what it tells is to be heard later */
    if (poll(files, 3, patience(watches)) <= 0)
        return;
    while (files[0].revents && read(watches->poke, &count, sizeof count) < 0 && errno == EINTR)
        ;
    catalog_wake_heed(watches->wake);
}

static void *run(void *argument)
{
    struct watches *watches = argument;

    pthread_setname_np(pthread_self(), "watch");
    for (;;) {
        pthread_mutex_lock(&watches->lock);
        bool closing = watches->closing;
        struct queue_hold *fresh = watches->hold != watches->followed ? queue_hold_more(watches->hold) : NULL;
        pthread_mutex_unlock(&watches->lock);
        if (fresh)
            watch_for(watches, fresh);
        if (closing)
            break;
        look(watches);
        wait_for_something(watches);
    }
    unwatch(watches);
    close_catalog(watches);
    return NULL;
}

/* -- from outside -------------------------------------------------------------------------------------------------- */

static int start(struct watches *watches)
{
    sigset_t all, before;

    watches->poke = eventfd(0, EFD_CLOEXEC);
    if (watches->poke < 0)
        return -errno;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&watches->thread, NULL, run, watches);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc)
        close(watches->poke);
    return -rc;
}

int watches_new(struct watches **made, const char *catalog, struct event_log *log, const struct queue_model *model)
{
    struct queue_hold *hold = queue_hold_new(model);
    struct watches *watches = calloc(1, sizeof *watches);
    int rc = -ENOMEM;

    if (watches) {
        watches->file = strdup(catalog);
        watches->log = log;
        watches->hold = hold;
        watches->inotify = -1;
        pthread_mutex_init(&watches->lock, NULL);
    }
    if (watches && watches->file && hold)
        rc = start(watches);
    if (rc == 0) {
        *made = watches;
        return 0;
    }
    queue_hold_drop(hold);
    if (watches) {
        pthread_mutex_destroy(&watches->lock);
        free(watches->file);
    }
    free(watches);
    return rc;
}

void watches_follow(struct watches *watches, const struct queue_model *model)
{
    struct queue_hold *hold = queue_hold_new(model);

    if (!hold)
        return;
    pthread_mutex_lock(&watches->lock);
    struct queue_hold *before = watches->hold;
    watches->hold = hold;
    pthread_mutex_unlock(&watches->lock);
    queue_hold_drop(before);
    poke(watches);
}

void watches_free(struct watches *watches)
{
    if (!watches)
        return;
    pthread_mutex_lock(&watches->lock);
    watches->closing = true;
    pthread_mutex_unlock(&watches->lock);
    poke(watches);
    pthread_join(watches->thread, NULL);
    queue_hold_drop(watches->hold);
    close(watches->poke);
    pthread_mutex_destroy(&watches->lock);
    free(watches->file);
    free(watches);
}
