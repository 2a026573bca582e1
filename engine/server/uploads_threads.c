/* From start to end, and the two threads between. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "engine/server/uploads_internal.h"

#define DIGEST_NICE 5

bool uploads_rest(struct uploads *uploads, uint64_t milliseconds)
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

int uploads_new(struct uploads **out, struct event_log *log, unsigned threads)
{
    struct uploads *uploads = calloc(1, sizeof *uploads);
    pthread_condattr_t attributes;

    if (!uploads)
        return -ENOMEM;
    int rc = digest_crew_new(&uploads->crew, threads, "arrive", DIGEST_NICE);
    if (rc < 0) {
        free(uploads);
        return rc;
    }
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
    int rc = -pthread_create(&uploads->keeper, NULL, uploads_keeper, uploads);
    if (rc == 0 && (rc = -pthread_create(&uploads->sweeper, NULL, uploads_sweeper, uploads)) < 0) {
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
    uploads_keep_all(uploads);
    for (unsigned i = 0; i < UPLOADS_BUCKETS; i++)
        free_list(uploads->buckets[i]);
    free_list(uploads->gone);
    for (unsigned i = 0; i < UPLOADS_BUCKETS; i++) {
        for (struct upload_sender *sender = uploads->senders[i], *next; sender; sender = next) {
            next = sender->next;
            free(sender);
        }
    }
    digest_crew_free(uploads->crew);
    epoch_drop(uploads->epoch);
    pthread_mutex_destroy(&uploads->lock);
    pthread_cond_destroy(&uploads->changed);
    pthread_cond_destroy(&uploads->settled);
    free(uploads);
}
