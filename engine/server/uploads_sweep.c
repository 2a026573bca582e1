/* Leftovers in the stores: found, given back what they do not need, and removed when they are old. */
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "engine/server/uploads_internal.h"

#define SWEEP_NICE 10
#define DAY_S (24 * 3600)

static bool sweep_stops(void *argument)
{
    struct uploads *uploads = argument;

    return atomic_load(&uploads->stopping);
}

/*
 * What was asked for before a crash, and did not come. With the lock held, which is let go of meanwhile: whoever takes
 * it waits.
 */
static void give_back(struct upload *upload, const struct store_place *place)
{
    struct uploads *uploads = upload->home;
    struct store_partial *partial;

    upload->changing = true;
    upload->holders++;
    pthread_mutex_unlock(&uploads->lock);
    if (store_partial_open(place, STORE_PARTIAL_ANY, &partial) == 0) {
        store_partial_give_back(partial);
        store_partial_close(partial);
    }
    pthread_mutex_lock(&uploads->lock);
    upload_settle(upload);
    upload_drop(upload);
}

static void sweep_found(void *argument, const struct store_place *place)
{
    struct uploads *uploads = argument;

    pthread_mutex_lock(&uploads->lock);
    struct upload *upload = uploads_find(uploads, place->device, place->inode, place->name);
    if (!upload)
        upload = uploads_insert(uploads, place->device, place->inode, place->name);
    if (upload) {
        upload->known = true;
        upload->seen = uploads->sweep;
        if (upload->holders == 0 && !upload->partial && !upload->changing)
            give_back(upload, place);
    }
    pthread_mutex_unlock(&uploads->lock);
}

/* Those that were there before and were not found are gone from the disk. */
static void forget_unseen(struct uploads *uploads)
{
    for (unsigned i = 0; i < UPLOADS_BUCKETS; i++) {
        for (struct upload *upload = uploads->buckets[i], *next; upload; upload = next) {
            next = upload->next;
            if (upload->holders > 0 || upload->partial || upload->seen == uploads->sweep)
                continue;
            upload_forget(upload);
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

void *uploads_sweeper(void *argument)
{
    struct uploads *uploads = argument;
    bool more = true;

    pthread_setname_np(pthread_self(), "sweep");
    setpriority(PRIO_PROCESS, (id_t)gettid(), getpriority(PRIO_PROCESS, 0) + SWEEP_NICE);
    while (more) {
        sweep(uploads);
        pthread_mutex_lock(&uploads->lock);
        more = uploads_rest(uploads, DAY_S * UINT64_C(1000));
        pthread_mutex_unlock(&uploads->lock);
    }
    return NULL;
}
