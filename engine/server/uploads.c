#include "engine/server/uploads.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "engine/server/server_internal.h"

#define BUCKETS 1024
#define TURN_MS 500    /* how often is looked for what is due */
#define LINGER_MS 2000 /* how long one that nobody holds stays open */
#define KIN_MAX 64     /* leftovers of one sender and target that are removed at once */
#define SWEEP_NICE 10
#define DAY_S (24 * 3600)

struct upload {
    struct upload *next;      /* in its bucket, or in the list of the gone */
    struct upload *next_open; /* of those with a partial */
    struct uploads *home;
    dev_t device;
    ino_t inode;
    char name[STORE_PARTIAL_NAME_SIZE];
    struct store_partial *partial; /* NULL: not open; stays while it is held */
    bool changing;                 /* its partial is being opened or closed, by one thread */
    unsigned holders, writers;
    bool known; /* it is on the disk, as far as is known */
    bool finishing, gone;
    atomic_bool unwanted;
    bool failed; /* the last time it was to be kept */
    uint64_t kept_at, idle_at;
    unsigned seen;                /* by the last sweep */
    const struct pump_path *path; /* of the last part; NULL: none came since it was opened */
    uint64_t began;
};

struct uploads {
    struct event_log *log;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* `stopping` was set */
    pthread_cond_t settled; /* some upload's `changing` ended */
    struct upload *buckets[BUCKETS];
    struct upload *open; /* those with a partial */
    struct upload *gone; /* not in a bucket; closed once nobody holds them */
    unsigned count;      /* in buckets */
    struct epoch *epoch; /* held */
    unsigned sweep;      /* the number of the present or last one */
    pthread_t keeper, sweeper;
    bool running;
    atomic_bool stopping;
};

/* -- the table; called with the lock held -------------------------------------------------------------------------- */

static struct upload **bucket_of(struct uploads *uploads, const char *name)
{
    uint64_t hash = 14695981039346656037u;

    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 1099511628211u;
    return &uploads->buckets[hash % BUCKETS];
}

static struct upload *find(struct uploads *uploads, dev_t device, ino_t inode, const char *name)
{
    for (struct upload *upload = *bucket_of(uploads, name); upload; upload = upload->next) {
        if (upload->device == device && upload->inode == inode && strcmp(upload->name, name) == 0)
            return upload;
    }
    return NULL;
}

static struct upload *insert(struct uploads *uploads, dev_t device, ino_t inode, const char *name)
{
    struct upload **bucket = bucket_of(uploads, name), *upload = calloc(1, sizeof *upload);

    if (!upload)
        return NULL;
    upload->home = uploads;
    upload->device = device;
    upload->inode = inode;
    stpncpy(upload->name, name, sizeof upload->name - 1);
    atomic_init(&upload->unwanted, false);
    upload->seen = uploads->sweep;
    upload->next = *bucket;
    *bucket = upload;
    uploads->count++;
    return upload;
}

static void unlink_from(struct upload **list, struct upload *upload)
{
    while (*list != upload)
        list = &(*list)->next;
    *list = upload->next;
}

static void remove_from_table(struct upload *upload)
{
    unlink_from(bucket_of(upload->home, upload->name), upload);
    upload->home->count--;
}

static void remove_from_open(struct upload *upload)
{
    struct upload **place = &upload->home->open;

    while (*place && *place != upload)
        place = &(*place)->next_open;
    if (*place)
        *place = upload->next_open;
}

/* It has its name, or none any more; who holds it still may look at it. */
static void make_gone(struct upload *upload)
{
    upload->gone = true;
    remove_from_table(upload);
    upload->next = upload->home->gone;
    upload->home->gone = upload;
}

static void upload_free(struct upload *upload)
{
    store_partial_close(upload->partial);
    free(upload);
}

static void drop(struct upload *upload)
{
    if (--upload->holders > 0)
        return;
    upload->idle_at = session_clock();
    if (!upload->gone && !upload->partial && !upload->known) {
        remove_from_table(upload); /* there was nothing to be opened */
        upload_free(upload);
    }
}

/* -- taking one ---------------------------------------------------------------------------------------------------- */

/* Whose partial it is was found; holds it, or makes room for it. */
static int enter(struct uploads *uploads, const struct store_place *place, bool make, struct upload **upload)
{
    int rc = 0;

    pthread_mutex_lock(&uploads->lock);
    *upload = find(uploads, place->device, place->inode, place->name);
    if (!*upload && make && uploads->count >= uploads->epoch->config->server.max_unfinished_uploads)
        rc = -EUSERS;
    else if (!*upload && !(*upload = insert(uploads, place->device, place->inode, place->name)))
        rc = -ENOMEM;
    else
        (*upload)->holders++;
    pthread_mutex_unlock(&uploads->lock);
    return rc;
}

/* With the lock held. */
static void settle(struct upload *upload)
{
    upload->changing = false;
    pthread_cond_broadcast(&upload->home->settled);
}

/* With the lock held, which is let go of while the disk is asked. */
static int open_changing(struct upload *upload, const struct store_place *place, uint64_t size)
{
    struct uploads *uploads = upload->home;
    struct store_partial *partial = NULL;

    upload->changing = true;
    pthread_mutex_unlock(&uploads->lock);
    int rc = store_partial_open(place, size, &partial);
    pthread_mutex_lock(&uploads->lock);
    if (rc == 0) {
        upload->partial = partial;
        upload->known = true;
        upload->kept_at = session_clock();
        upload->next_open = uploads->open;
        uploads->open = upload;
    } else if (rc == -ENOENT) {
        upload->known = false;
    }
    settle(upload);
    return rc;
}

/* Those who come at the same time wait here for the first of them: two descriptors would lock each other out. */
static int open_partial(struct upload *upload, const struct store_place *place, uint64_t size)
{
    struct uploads *uploads = upload->home;
    int rc = 0;

    pthread_mutex_lock(&uploads->lock);
    while (upload->changing)
        pthread_cond_wait(&uploads->settled, &uploads->lock);
    bool open = upload->partial;
    if (!open)
        rc = open_changing(upload, place, size);
    pthread_mutex_unlock(&uploads->lock);
    return open && size != STORE_PARTIAL_ANY ? store_partial_set_size(upload->partial, size) : rc;
}

int uploads_take(struct uploads *uploads, const struct upload_key *key, uint64_t size, struct upload **upload)
{
    struct store_place place;
    bool make = size != STORE_PARTIAL_ANY;
    int rc = store_place_find(key->store, key->path, key->who, key->token, make, &place);

    *upload = NULL;
    if (rc < 0)
        return rc;
    rc = enter(uploads, &place, make, upload);
    if (rc == 0)
        rc = open_partial(*upload, &place, size);
    store_place_clear(&place);
    if (rc < 0 && *upload) {
        upload_leave(*upload);
        *upload = NULL;
    }
    return rc;
}

struct store_partial *upload_partial(const struct upload *upload)
{
    return upload->partial;
}

void upload_leave(struct upload *upload)
{
    struct uploads *uploads = upload->home;

    pthread_mutex_lock(&uploads->lock);
    drop(upload);
    pthread_mutex_unlock(&uploads->lock);
}

int upload_write_begin(struct upload *upload)
{
    pthread_mutex_lock(&upload->home->lock);
    bool busy = upload->gone || upload->finishing || atomic_load(&upload->unwanted);
    upload->writers += !busy;
    pthread_mutex_unlock(&upload->home->lock);
    return busy ? -EBUSY : 0;
}

void upload_write_end(struct upload *upload)
{
    pthread_mutex_lock(&upload->home->lock);
    upload->writers--;
    pthread_mutex_unlock(&upload->home->lock);
}

bool upload_unwanted(const struct upload *upload)
{
    return atomic_load(&upload->unwanted);
}

void upload_carried(struct upload *upload, const struct pump_path *path, uint64_t began)
{
    pthread_mutex_lock(&upload->home->lock);
    if (!upload->path || began < upload->began)
        upload->began = began;
    upload->path = path;
    pthread_mutex_unlock(&upload->home->lock);
}

void upload_carriage(const struct upload *upload, const struct pump_path **path, uint64_t *began)
{
    pthread_mutex_lock(&upload->home->lock);
    if (upload->path) {
        *path = upload->path;
        *began = upload->began;
    }
    pthread_mutex_unlock(&upload->home->lock);
}

/* -- finishing one ------------------------------------------------------------------------------------------------- */

int upload_finish_begin(struct upload *upload, bool again)
{
    int rc = 0;

    pthread_mutex_lock(&upload->home->lock);
    if (upload->gone || upload->finishing || (atomic_load(&upload->unwanted) && !again))
        rc = -EBUSY;
    else if (upload->writers > 0)
        rc = -EAGAIN;
    else
        upload->finishing = true;
    if (rc != -EBUSY)
        atomic_store(&upload->unwanted, rc == -EAGAIN);
    pthread_mutex_unlock(&upload->home->lock);
    return rc;
}

void upload_finish_give_up(struct upload *upload)
{
    atomic_store(&upload->unwanted, false);
}

/* Leftovers of the same sender and target, whatever their token. */
static unsigned take_kin(const struct upload *upload, struct upload *kin[KIN_MAX])
{
    struct uploads *uploads = upload->home;
    unsigned count = 0;

    for (unsigned i = 0; i < BUCKETS; i++) {
        for (struct upload *other = uploads->buckets[i], *next; other; other = next) {
            next = other->next;
            if (count == KIN_MAX || other->holders > 0 || other->device != upload->device ||
                other->inode != upload->inode || strncmp(other->name, upload->name, STORE_PARTIAL_KIN) != 0)
                continue;
            make_gone(other);
            other->holders++;
            kin[count++] = other;
        }
    }
    return count;
}

void upload_finish_end(struct upload *upload, bool gone)
{
    struct uploads *uploads = upload->home;
    struct upload *kin[KIN_MAX];
    unsigned count = 0;

    pthread_mutex_lock(&uploads->lock);
    upload->finishing = false;
    if (gone) {
        make_gone(upload);
        count = take_kin(upload, kin);
    }
    pthread_mutex_unlock(&uploads->lock);
    for (unsigned i = 0; i < count; i++) {
        if (kin[i]->partial)
            store_partial_drop(kin[i]->partial);
        else
            store_partial_drop_beside(upload->partial, kin[i]->name);
        upload_leave(kin[i]);
    }
}

/* -- the thread ---------------------------------------------------------------------------------------------------- */

static bool keep_is_due(const struct upload *upload, uint64_t now)
{
    uint64_t unkept = store_partial_unkept(upload->partial), since = now - upload->kept_at;

    if (unkept == 0)
        return false;
    if (upload->failed)
        return since >= UPLOADS_KEEP_MS;
    return unkept >= UPLOADS_KEEP_BYTES || since >= UPLOADS_KEEP_MS || upload->holders == 0;
}

static bool close_is_due(const struct upload *upload, uint64_t now)
{
    return upload->holders == 0 && now - upload->idle_at >= LINGER_MS &&
           (upload->failed || store_partial_unkept(upload->partial) == 0);
}

/* The lock is let go of meanwhile. */
static void keep(struct upload *upload)
{
    struct uploads *uploads = upload->home;
    bool failed = upload->failed;

    upload->holders++;
    pthread_mutex_unlock(&uploads->lock);
    int rc = store_partial_keep(upload->partial);
    if (rc < 0 && !failed)
        event(uploads->log, "T15W", EVENT_T("file", upload->name), EVENT_T("reason", strerror(-rc)));
    pthread_mutex_lock(&uploads->lock);
    upload->failed = rc < 0;
    upload->kept_at = session_clock();
    /* Not drop(): that nobody else holds it is not news. */
    upload->holders--;
}

/* Whoever takes it from now on waits until it can be opened again. */
static void close_idle(struct upload *upload)
{
    struct uploads *uploads = upload->home;

    upload->changing = true;
    upload->holders++;
    struct store_partial *partial = upload->partial;
    upload->partial = NULL;
    remove_from_open(upload);
    pthread_mutex_unlock(&uploads->lock);
    store_partial_give_back(partial); /* or one request could fill the disk, and take nothing but its head to do so */
    store_partial_close(partial);
    pthread_mutex_lock(&uploads->lock);
    settle(upload);
    drop(upload);
}

static void free_gone(struct uploads *uploads)
{
    for (struct upload **place = &uploads->gone; *place;) {
        struct upload *upload = *place;
        if (upload->holders > 0) {
            place = &upload->next;
            continue;
        }
        *place = upload->next;
        remove_from_open(upload);
        pthread_mutex_unlock(&uploads->lock);
        upload_free(upload);
        pthread_mutex_lock(&uploads->lock);
        place = &uploads->gone; /* others may have come */
    }
}

/* One thing that is due; false where there is none. */
static bool serve_open(struct uploads *uploads, uint64_t now)
{
    for (struct upload *upload = uploads->open; upload; upload = upload->next_open) {
        if (upload->gone || upload->finishing)
            continue;
        if (keep_is_due(upload, now)) {
            keep(upload);
            return true;
        }
        if (close_is_due(upload, now)) {
            close_idle(upload);
            return true;
        }
    }
    return false;
}

/* -- leftovers ----------------------------------------------------------------------------------------------------- */

static bool sweep_stops(void *argument)
{
    struct uploads *uploads = argument;

    return atomic_load(&uploads->stopping);
}

static void sweep_found(void *argument, dev_t device, ino_t directory, const char *name)
{
    struct uploads *uploads = argument;

    pthread_mutex_lock(&uploads->lock);
    struct upload *upload = find(uploads, device, directory, name);
    if (!upload)
        upload = insert(uploads, device, directory, name);
    if (upload) {
        upload->known = true;
        upload->seen = uploads->sweep;
    }
    pthread_mutex_unlock(&uploads->lock);
}

/* Those that were there before and were not found are gone from the disk. */
static void forget_unseen(struct uploads *uploads)
{
    for (unsigned i = 0; i < BUCKETS; i++) {
        for (struct upload *upload = uploads->buckets[i], *next; upload; upload = next) {
            next = upload->next;
            if (upload->holders > 0 || upload->partial || upload->seen == uploads->sweep)
                continue;
            remove_from_table(upload);
            upload_free(upload);
        }
    }
}

static void sweep_stores(struct uploads *uploads, const struct epoch *epoch)
{
    time_t now = time(NULL);

    for (size_t i = 0; i < epoch->config->store_count && !sweep_stops(uploads); i++) {
        struct store_sweep sweep = { .before = now - (time_t)(epoch->config->server.upload_keep / 1000),
                                     .stop = sweep_stops,
                                     .found = sweep_found,
                                     .argument = uploads };
        store_sweep(epoch->stores[i], &sweep);
        if (sweep.removed)
            event(uploads->log, "S13I", EVENT_T("store", epoch->config->stores[i].name),
                  EVENT_N("files", sweep.removed), EVENT_N("bytes", sweep.bytes));
    }
}

static void sweep(struct uploads *uploads)
{
    pthread_mutex_lock(&uploads->lock);
    struct epoch *epoch = epoch_hold(uploads->epoch);
    uploads->sweep++;
    pthread_mutex_unlock(&uploads->lock);
    sweep_stores(uploads, epoch);
    epoch_drop(epoch);
    pthread_mutex_lock(&uploads->lock);
    if (!atomic_load(&uploads->stopping))
        forget_unseen(uploads);
    pthread_mutex_unlock(&uploads->lock);
}

/* -- from start to end --------------------------------------------------------------------------------------------- */

/* With the lock held; true while there is no reason to end. */
static bool rest(struct uploads *uploads, uint64_t milliseconds)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(milliseconds / 1000);
    until.tv_nsec += (long)(milliseconds % 1000) * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    while (!atomic_load(&uploads->stopping) &&
           pthread_cond_timedwait(&uploads->changed, &uploads->lock, &until) != ETIMEDOUT)
        ;
    return !atomic_load(&uploads->stopping);
}

static void *keeper_main(void *argument)
{
    struct uploads *uploads = argument;

    pthread_setname_np(pthread_self(), "uploads");
    pthread_mutex_lock(&uploads->lock);
    do {
        free_gone(uploads);
        while (serve_open(uploads, session_clock()))
            ;
    } while (rest(uploads, TURN_MS));
    pthread_mutex_unlock(&uploads->lock);
    return NULL;
}

static void *sweeper_main(void *argument)
{
    struct uploads *uploads = argument;
    bool more = true;

    pthread_setname_np(pthread_self(), "sweep");
    setpriority(PRIO_PROCESS, (id_t)gettid(), getpriority(PRIO_PROCESS, 0) + SWEEP_NICE);
    while (more) {
        sweep(uploads);
        pthread_mutex_lock(&uploads->lock);
        more = rest(uploads, DAY_S * UINT64_C(1000));
        pthread_mutex_unlock(&uploads->lock);
    }
    return NULL;
}

int uploads_new(struct uploads **out, struct event_log *log)
{
    struct uploads *uploads = calloc(1, sizeof *uploads);
    pthread_condattr_t attributes;

    if (!uploads)
        return -ENOMEM;
    uploads->log = log;
    pthread_mutex_init(&uploads->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&uploads->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_cond_init(&uploads->settled, NULL);
    atomic_init(&uploads->stopping, false);
    *out = uploads;
    return 0;
}

static void stop(struct uploads *uploads)
{
    pthread_mutex_lock(&uploads->lock);
    atomic_store(&uploads->stopping, true);
    pthread_cond_broadcast(&uploads->changed);
    pthread_mutex_unlock(&uploads->lock);
}

static int start(struct uploads *uploads)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = -pthread_create(&uploads->keeper, NULL, keeper_main, uploads);
    if (rc == 0 && (rc = -pthread_create(&uploads->sweeper, NULL, sweeper_main, uploads)) < 0) {
        stop(uploads);
        pthread_join(uploads->keeper, NULL);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    uploads->running = rc == 0;
    return rc;
}

int uploads_follow(struct uploads *uploads, struct epoch *epoch)
{
    pthread_mutex_lock(&uploads->lock);
    struct epoch *before = uploads->epoch;
    uploads->epoch = epoch_hold(epoch);
    pthread_mutex_unlock(&uploads->lock);
    epoch_drop(before);
    return uploads->running ? 0 : start(uploads);
}

static void keep_all(struct uploads *uploads)
{
    for (struct upload *upload = uploads->open; upload; upload = upload->next_open) {
        int rc = upload->gone ? 0 : store_partial_keep(upload->partial);
        if (rc < 0)
            event(uploads->log, "T15W", EVENT_T("file", upload->name), EVENT_T("reason", strerror(-rc)));
    }
}

static void free_list(struct upload *list)
{
    for (struct upload *next; list; list = next) {
        next = list->next;
        upload_free(list);
    }
}

void uploads_free(struct uploads *uploads)
{
    if (!uploads)
        return;
    if (uploads->running) {
        stop(uploads);
        pthread_join(uploads->keeper, NULL);
        pthread_join(uploads->sweeper, NULL);
    }
    keep_all(uploads);
    for (unsigned i = 0; i < BUCKETS; i++)
        free_list(uploads->buckets[i]);
    free_list(uploads->gone);
    epoch_drop(uploads->epoch);
    pthread_mutex_destroy(&uploads->lock);
    pthread_cond_destroy(&uploads->changed);
    pthread_cond_destroy(&uploads->settled);
    free(uploads);
}
