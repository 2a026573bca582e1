/* What was written goes to the disk and into the map; what nobody holds is closed. */
#include <string.h>

#include "engine/server/uploads_internal.h"

#define TURN_MS 500    /* how often is looked for what is due */
#define LINGER_MS 2000 /* how long one that nobody holds stays open */

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
    /* Not upload_drop(): that nobody else holds it is not news. */
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
    upload_front_end(upload);
    upload_not_open(upload);
    pthread_mutex_unlock(&uploads->lock);
    if (store_partial_unkept(partial) > 0)
        (void)!store_partial_keep(partial); /* after a failure that was told: the last try */
    store_partial_give_back(partial); /* or one request could fill the disk, and take nothing but its head to do so */
    store_partial_close(partial);
    pthread_mutex_lock(&uploads->lock);
    upload_settle(upload);
    upload_drop(upload);
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
        upload_not_open(upload);
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

void *uploads_keeper(void *argument)
{
    struct uploads *uploads = argument;

    pthread_setname_np(pthread_self(), "uploads");
    pthread_mutex_lock(&uploads->lock);
    do {
        free_gone(uploads);
        while (serve_open(uploads, session_clock()))
            ;
    } while (uploads_rest(uploads, TURN_MS));
    pthread_mutex_unlock(&uploads->lock);
    return NULL;
}

void uploads_keep_all(struct uploads *uploads)
{
    for (struct upload *upload = uploads->open; upload; upload = upload->next_open) {
        int rc = upload->gone ? 0 : store_partial_keep(upload->partial);
        if (rc < 0)
            event(uploads->log, "T15W", EVENT_T("file", upload->name), EVENT_T("reason", strerror(-rc)));
    }
}
