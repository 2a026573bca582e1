#include "engine/queue/queue_internal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "engine/catalog/job.h"
#include "engine/catalog/wake.h"

#define OPEN_AGAIN_MS 5000

static uint64_t clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* -- the catalog --------------------------------------------------------------------------------------------------- */

static void tell_trouble(struct queue *queue, const char *why)
{
    if (!queue->told)
        event(queue->log, "Q03W", EVENT_T("reason", why), EVENT_T("catalog", queue->file));
    queue->told = true;
}

static void close_catalog(struct queue *queue)
{
    catalog_wake_free(queue->wake);
    catalog_close(queue->catalog);
    queue->wake = NULL;
    queue->catalog = NULL;
}

/* A file that is damaged is set aside by who writes records; it is opened anew until then. */
static void lose_catalog(struct queue *queue)
{
    tell_trouble(queue, catalog_reason(queue->catalog));
    close_catalog(queue);
    queue->open_again = clock_ms() + OPEN_AGAIN_MS;
}

static bool have_catalog(struct queue *queue)
{
    char why[CATALOG_WHY_SIZE];

    if (queue->catalog && !catalog_is_current(queue->catalog))
        close_catalog(queue);
    if (queue->catalog)
        return true;
    if (clock_ms() < queue->open_again)
        return false;
    if (catalog_open(&queue->catalog, queue->file, CATALOG_WRITE, why) == 0) {
        queue->wake = catalog_wake_new(queue->file);
        queue->version = 0;
        return true;
    }
    queue->catalog = NULL;
    tell_trouble(queue, why);
    queue->open_again = clock_ms() + OPEN_AGAIN_MS;
    return false;
}

bool queue_went_well(struct queue *queue, int rc)
{
    if (rc >= 0) {
        queue->told = false;
        return true;
    }
    if (rc == -EBUSY || rc == -ENOSPC)
        tell_trouble(queue, catalog_reason(queue->catalog));
    else
        lose_catalog(queue);
    return false;
}

/* -- what ended ---------------------------------------------------------------------------------------------------- */

static void settle_what_ended(struct queue *queue)
{
    for (struct queue_work **at = &queue->running; *at && queue->catalog;) {
        struct queue_work *work = *at;
        if (!atomic_load(&work->ended) || !queue_settle(queue, work)) {
            at = &work->next;
            continue;
        }
        *at = work->next;
        queue->running_count--;
        pthread_join(work->thread, NULL);
        queue_work_free(work);
        queue->version = 0; /* there is a place free now */
    }
}

/* -- what an operator did to what runs ----------------------------------------------------------------------------- */

static void heed_orders(struct queue *queue)
{
    for (struct queue_work *work = queue->running; work; work = work->next) {
        enum catalog_state state = CATALOG_RUNNING;
        int rc = catalog_job_state(queue->catalog, work->id, &state);
        if (rc == -ENOENT)
            state = CATALOG_CANCELLED;
        else if (!queue_went_well(queue, rc))
            return;
        if (state != CATALOG_RUNNING && !work->interrupted)
            queue_work_interrupt(work);
    }
}

/* -- what begins --------------------------------------------------------------------------------------------------- */

struct chosen {
    struct queue *queue;
    const struct config *config;
    uint64_t ids[QUEUE_RUNNING_MAX];
    char partners[QUEUE_RUNNING_MAX][128];
    size_t count;
};

static unsigned places_of(const struct chosen *chosen, const char *name)
{
    const struct config_partner *partner = config_find_partner(chosen->config, name);
    unsigned limit = partner ? partner->at_once : 1; /* one that is gone: its transfers fail one after the other */

    for (const struct queue_work *work = chosen->queue->running; work; work = work->next)
        limit -= limit > 0 && strcmp(work->partner ? work->partner : "", name) == 0;
    for (size_t i = 0; i < chosen->count; i++)
        limit -= limit > 0 && strcmp(chosen->partners[i], name) == 0;
    return limit;
}

/* One that was held and released is waiting before its thread has come to its end. */
static bool runs(const struct queue *queue, uint64_t id)
{
    const struct queue_work *work = queue->running;

    while (work && work->id != id)
        work = work->next;
    return work != NULL;
}

static int choose(void *argument, const struct catalog_record *record)
{
    struct chosen *chosen = argument;
    const char *name = record->partner ? record->partner : "";

    if (chosen->queue->running_count + chosen->count == QUEUE_RUNNING_MAX)
        return 1;
    if (runs(chosen->queue, record->id) || places_of(chosen, name) == 0)
        return 0;
    snprintf(chosen->partners[chosen->count], sizeof chosen->partners[0], "%s", name);
    chosen->ids[chosen->count++] = record->id;
    return 0;
}

static int copy_work(void *argument, const struct catalog_record *record)
{
    struct queue_work **work = argument;

    *work = queue_work_new(record);
    return *work ? 0 : -ENOMEM;
}

/* 0, or -errno: it waits as before, or somebody else has it. */
static int begin(struct queue *queue, struct queue_hold *hold, uint64_t id)
{
    struct queue_work *work = NULL;
    char request[QUEUE_REQUEST_SIZE];
    size_t length = 0;
    enum catalog_state found;

    int rc = catalog_show(queue->catalog, id, copy_work, &work);
    if (rc == 0)
        rc = catalog_job_request(queue->catalog, id, request, sizeof request, &length);
    if (rc == 0 && queue_request_parse(request, length, &work->request) < 0)
        rc = catalog_change(queue->catalog, id, CATALOG_STATE_BIT(CATALOG_WAITING), CATALOG_FAILED, "Q02E",
                            "what is to be done stands in no form that this program knows", &found),
        length = SIZE_MAX;
    if (rc == 0 && length != SIZE_MAX)
        rc = catalog_change(queue->catalog, id, CATALOG_STATE_BIT(CATALOG_WAITING), CATALOG_RUNNING, NULL, "", &found);
    if (rc < 0 || length == SIZE_MAX) {
        queue_work_free(work);
        return rc;
    }
    work->hold = queue_hold_more(hold);
    work->log = queue->log;
    work->move_tree = queue->move_tree;
    work->done = queue->poke;
    rc = queue_work_start(work);
    if (rc < 0) {
        catalog_change(queue->catalog, id, CATALOG_STATE_BIT(CATALOG_RUNNING), CATALOG_WAITING, NULL, NULL, &found);
        queue_work_free(work);
        return rc;
    }
    work->noted_at = clock_ms();
    work->next = queue->running;
    queue->running = work;
    queue->running_count++;
    return 0;
}

static void begin_what_is_due(struct queue *queue, struct queue_hold *hold)
{
    struct chosen chosen = { .queue = queue, .config = hold->model.config };

    int rc = catalog_job_due(queue->catalog, catalog_now(), choose, &chosen);
    for (size_t i = 0; rc >= 0 && i < chosen.count; i++) {
        rc = begin(queue, hold, chosen.ids[i]);
        if (rc == -ENOENT || rc == -EBUSY || rc == -ENOMEM || rc == -EAGAIN)
            rc = 0; /* taken away meanwhile, or too much at once: it is looked at again */
    }
    if (queue_went_well(queue, rc))
        queue_went_well(queue, catalog_job_next(queue->catalog, &queue->due));
}

/* -- the thread ---------------------------------------------------------------------------------------------------- */

static void look(struct queue *queue, struct queue_hold *hold)
{
    int64_t version = 0;

    catalog_wake_look(queue->wake);
    settle_what_ended(queue);
    if (queue->catalog && queue->running)
        queue_note_progress(queue, clock_ms());
    if (!queue->catalog || !queue_went_well(queue, catalog_job_version(queue->catalog, &version)))
        return;
    if (version == queue->version && catalog_now() < queue->due)
        return;
    heed_orders(queue);
    if (!queue->catalog)
        return;
    queue->version = version;
    queue->due = UINT64_MAX;
    if (queue->running_count < QUEUE_RUNNING_MAX)
        begin_what_is_due(queue, hold);
}

static bool has_ended(const struct queue *queue)
{
    const struct queue_work *work = queue->running;

    while (work && !atomic_load(&work->ended))
        work = work->next;
    return work != NULL;
}

/* Milliseconds. Where one that is due has not begun, there is no place for it, or something is in the way. */
static int patience(const struct queue *queue)
{
    uint64_t wait = (uint64_t)catalog_wake_wait(queue->wake), now = catalog_now(), due = QUEUE_AGAIN_MS;

    uint64_t clock = clock_ms();

    if (!queue->catalog)
        return QUEUE_AGAIN_MS;
    if (queue->running && queue->note_at < clock + wait)
        wait = queue->note_at > clock ? queue->note_at - clock : 0;
    if (!queue->told && !has_ended(queue) && queue->due > now)
        due = (queue->due - now) / 1000 + 1;
    return (int)(due < wait ? due : wait);
}

static void wait_for_something(struct queue *queue)
{
    struct pollfd files[] = { { .fd = queue->poke, .events = POLLIN },
                              { .fd = catalog_wake_fd(queue->wake), .events = POLLIN } };
    uint64_t count;

    if (poll(files, 2, patience(queue)) <= 0)
        return;
    while (files[0].revents && read(queue->poke, &count, sizeof count) < 0 && errno == EINTR)
        ;
    catalog_wake_heed(queue->wake);
}

static void end_all(struct queue *queue)
{
    uint64_t patience = clock_ms() + CATALOG_PATIENCE;

    catalog_wake_free(queue->wake); /* what others do to the catalog is of no interest any more */
    queue->wake = NULL;
    for (struct queue_work *work = queue->running; work; work = work->next)
        queue_work_interrupt(work);
    for (struct queue_work *work = queue->running; work; work = work->next) {
        while (!atomic_load(&work->ended))
            wait_for_something(queue);
    }
    do {
        if (have_catalog(queue))
            settle_what_ended(queue);
    } while (queue->running && clock_ms() < patience && usleep(100000) == 0);
    while (queue->running) { /* they are waiting again once somebody opens the catalog */
        struct queue_work *work = queue->running;
        queue->running = work->next;
        pthread_join(work->thread, NULL);
        queue_work_free(work);
    }
}

static void *run(void *argument)
{
    struct queue *queue = argument;

    pthread_setname_np(pthread_self(), "queue");
    for (;;) {
        pthread_mutex_lock(&queue->lock);
        bool closing = queue->closing;
        struct queue_hold *hold = closing ? NULL : queue_hold_more(queue->hold);
        pthread_mutex_unlock(&queue->lock);
        if (closing)
            break;
        if (have_catalog(queue))
            look(queue, hold);
        queue_hold_drop(hold);
        wait_for_something(queue);
    }
    end_all(queue);
    close_catalog(queue);
    return NULL;
}

static void poke(struct queue *queue)
{
    const uint64_t one = 1;

    while (write(queue->poke, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

/* -- from outside -------------------------------------------------------------------------------------------------- */

static int start(struct queue *queue)
{
    sigset_t all, before;

    queue->poke = eventfd(0, EFD_CLOEXEC);
    if (queue->poke < 0)
        return -errno;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&queue->thread, NULL, run, queue);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc)
        close(queue->poke);
    return -rc;
}

int queue_new(struct queue **made, const struct queue_options *options, const struct queue_model *model)
{
    struct queue_hold *hold = queue_hold_new(model);
    struct queue *queue = calloc(1, sizeof *queue);

    if (queue)
        queue->file = strdup(options->catalog);
    if (!hold || !queue || !queue->file) {
        queue_hold_drop(hold);
        free(queue ? queue->file : NULL);
        free(queue);
        return -ENOMEM;
    }
    queue->log = options->log;
    queue->hooks = options->hooks;
    queue->move_tree = options->move_tree;
    queue->hold = hold;
    pthread_mutex_init(&queue->lock, NULL);
    int rc = start(queue);
    if (rc == 0) {
        *made = queue;
        return 0;
    }
    queue_hold_drop(hold);
    pthread_mutex_destroy(&queue->lock);
    free(queue->file);
    free(queue);
    return rc;
}

void queue_follow(struct queue *queue, const struct queue_model *model)
{
    struct queue_hold *hold = queue_hold_new(model);

    if (!hold)
        return; /* no memory: the old one goes on */
    pthread_mutex_lock(&queue->lock);
    struct queue_hold *before = queue->hold;
    queue->hold = hold;
    pthread_mutex_unlock(&queue->lock);
    queue_hold_drop(before);
    poke(queue);
}

void queue_free(struct queue *queue)
{
    if (!queue)
        return;
    pthread_mutex_lock(&queue->lock);
    queue->closing = true;
    pthread_mutex_unlock(&queue->lock);
    poke(queue);
    pthread_join(queue->thread, NULL);
    queue_hold_drop(queue->hold);
    close(queue->poke);
    pthread_mutex_destroy(&queue->lock);
    free(queue->file);
    free(queue);
}
