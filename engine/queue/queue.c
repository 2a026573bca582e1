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

#define OPEN_AGAIN_MS 5000

struct queue {
    char *file;
    struct event_log *log;
    struct hooks *hooks;
    pthread_t thread;
    int poke; /* eventfd */
    pthread_mutex_t lock;
    struct queue_hold *hold; /* the current model; guarded by lock, as is the next */
    bool closing;

    /* the thread's alone */
    struct catalog *catalog;
    uint64_t open_again; /* milliseconds */
    bool told;           /* Q03W since it last went well */
    int64_t version;     /* of the catalog when we last looked */
    uint64_t due;        /* microseconds since 1970: the next one is to be tried */
    struct queue_work *running;
    unsigned running_count;
};

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

/* A file that is damaged is set aside by who writes records; it is opened anew until then. */
static void lose_catalog(struct queue *queue)
{
    tell_trouble(queue, catalog_reason(queue->catalog));
    catalog_close(queue->catalog);
    queue->catalog = NULL;
    queue->open_again = clock_ms() + OPEN_AGAIN_MS;
}

static bool have_catalog(struct queue *queue)
{
    char why[CATALOG_WHY_SIZE];

    if (queue->catalog)
        return true;
    if (clock_ms() < queue->open_again)
        return false;
    if (catalog_open(&queue->catalog, queue->file, CATALOG_WRITE, why) == 0) {
        queue->version = 0;
        return true;
    }
    queue->catalog = NULL;
    tell_trouble(queue, why);
    queue->open_again = clock_ms() + OPEN_AGAIN_MS;
    return false;
}

/* True: it went well. Locked or full for the moment: the same again later. */
static bool went_well(struct queue *queue, int rc)
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

static void run_hooks(struct queue *queue, const struct queue_work *work, const struct catalog_record *record)
{
    char id[CATALOG_ID_SIZE];
    bool failed = record->state == CATALOG_FAILED;

    catalog_id_print(work->id, id);
    const struct hook_facts facts = {
        .event = failed                          ? CONFIG_HOOK_FAILED
                 : work->direction == CATALOG_IN ? CONFIG_HOOK_RECEIVED
                                                 : CONFIG_HOOK_SENT,
        .id = id,
        .direction = catalog_direction_word(work->direction),
        .path = work->remote,
        .local = work->local,
        .partner = work->partner,
        .reason = failed ? record->reason : NULL,
        .message = failed && work->message ? work->message : NULL,
        .bytes = record->bytes,
        .status = record->status,
    };
    if (queue->hooks)
        hooks_run(queue->hooks, work->hold->model.config, &facts);
}

static void tell(struct queue *queue, const struct queue_work *work, const struct catalog_record *record, uint64_t wait)
{
    const struct queue_outcome *outcome = &work->outcome;
    char id[CATALOG_ID_SIZE];

    catalog_id_print(work->id, id);
    event(queue->log, record->event, EVENT_T("transfer", id),
          EVENT_T("direction", catalog_direction_word(work->direction)), EVENT_T("partner", work->partner),
          EVENT_T("remote", work->remote), EVENT_T("local", work->local), EVENT_T("reason", record->reason),
          EVENT_N("code", outcome->result), EVENT_N("status", outcome->status), EVENT_N("bytes", outcome->bytes),
          EVENT_N("retries", work->retries), EVENT_N("again_s", wait / 1000),
          EVENT_T("pump", outcome->pump[0] ? outcome->pump : NULL));
}

/* What the record is to say, and after how many milliseconds it is to be tried again. */
static void judge(const struct queue_work *work, struct catalog_record *record, uint64_t *wait)
{
    const struct queue_outcome *outcome = &work->outcome;
    const struct config_partner *partner =
        work->partner ? config_find_partner(work->hold->model.config, work->partner) : NULL;

    record->state = CATALOG_FAILED;
    record->event = "Q02E";
    record->reason = outcome->reason;
    if (outcome->result == CLIENT_OK) {
        record->state = CATALOG_DONE;
        record->event = work->kind == CATALOG_MESSAGE ? "M03I" : "Q01I";
        record->reason = outcome->reason[0] ? outcome->reason : NULL;
    } else if (outcome->result == CLIENT_INTERRUPTED) {
        record->state = CATALOG_WAITING;
        record->event = NULL;
        record->reason = "the server stopped meanwhile";
    } else if (partner && queue_may_heal(outcome->result, outcome->status) &&
               queue_retry(partner, work->retries, wait)) {
        record->state = CATALOG_WAITING;
        record->event = "Q02W";
        record->retries = work->retries + 1;
    }
    if (record->state == CATALOG_WAITING)
        record->ended = 0;
}

/* True: it is recorded, or never will be. */
static bool settle(struct queue *queue, struct queue_work *work)
{
    const struct queue_outcome *outcome = &work->outcome;
    struct catalog_record record = {
        .id = work->id,
        .direction = work->direction,
        .kind = work->kind,
        .role = CATALOG_CLIENT,
        .partner = work->partner,
        .remote = work->remote,
        .local = work->local,
        .size = outcome->result == CLIENT_OK ? outcome->bytes + outcome->resumed_bytes : work->size,
        .bytes = outcome->bytes,
        .digest = outcome->digest,
        .begun = outcome->begun,
        .ended = outcome->ended,
        .retries = work->retries,
        .status = outcome->status,
        .code = outcome->result,
        .pump = outcome->pump,
        .tx = outcome->tx,
        .rx = outcome->rx,
        .version = outcome->version,
        .suite = outcome->suite,
        .peer = outcome->peer,
        .authentication = outcome->authentication,
        .subject = outcome->subject,
        .resumed = outcome->resumed,
    };
    enum catalog_state found = CATALOG_RUNNING;
    uint64_t wait = 0;

    judge(work, &record, &wait);
    int rc = catalog_job_ended(queue->catalog, &record, catalog_now() + wait * 1000, &found);
    if (rc == -ENOENT || (rc == -EBUSY && found != CATALOG_RUNNING)) {
        record.event = "Q04I"; /* an operator has the last word */
        record.reason = rc == -ENOENT ? "its record is gone" : catalog_state_word(found);
        tell(queue, work, &record, 0);
        return true;
    }
    if (!went_well(queue, rc))
        return false;
    if (record.event)
        tell(queue, work, &record, wait);
    if (record.state == CATALOG_FAILED || (record.state == CATALOG_DONE && work->kind == CATALOG_FILE))
        run_hooks(queue, work, &record);
    return true;
}

static void settle_what_ended(struct queue *queue)
{
    for (struct queue_work **at = &queue->running; *at && queue->catalog;) {
        struct queue_work *work = *at;
        if (!atomic_load(&work->ended) || !settle(queue, work)) {
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
        else if (!went_well(queue, rc))
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
    work->done = queue->poke;
    rc = queue_work_start(work);
    if (rc < 0) {
        catalog_change(queue->catalog, id, CATALOG_STATE_BIT(CATALOG_RUNNING), CATALOG_WAITING, NULL, NULL, &found);
        queue_work_free(work);
        return rc;
    }
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
    if (went_well(queue, rc))
        went_well(queue, catalog_job_next(queue->catalog, &queue->due));
}

/* -- the thread ---------------------------------------------------------------------------------------------------- */

static void look(struct queue *queue, struct queue_hold *hold)
{
    int64_t version = 0;

    settle_what_ended(queue);
    if (!queue->catalog || !went_well(queue, catalog_job_version(queue->catalog, &version)))
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

static void wait_for_something(struct queue *queue)
{
    struct pollfd poke = { .fd = queue->poke, .events = POLLIN };
    uint64_t count;

    if (poll(&poke, 1, QUEUE_LOOK_MS) > 0)
        while (read(queue->poke, &count, sizeof count) < 0 && errno == EINTR)
            ;
}

static void end_all(struct queue *queue)
{
    uint64_t patience = clock_ms() + CATALOG_PATIENCE;

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
    catalog_close(queue->catalog);
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
