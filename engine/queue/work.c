/* One transfer, on a thread of its own. */
#include "engine/queue/queue_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct queue_hold *queue_hold_new(const struct queue_model *model)
{
    struct queue_hold *hold = calloc(1, sizeof *hold);

    if (!hold) {
        model->drop(model->holder);
        return NULL;
    }
    hold->model = *model;
    atomic_init(&hold->users, 1);
    return hold;
}

struct queue_hold *queue_hold_more(struct queue_hold *hold)
{
    atomic_fetch_add(&hold->users, 1);
    return hold;
}

void queue_hold_drop(struct queue_hold *hold)
{
    if (!hold || atomic_fetch_sub(&hold->users, 1) != 1)
        return;
    hold->model.drop(hold->model.holder);
    free(hold);
}

static char *copy(const char *text, bool *failed)
{
    char *made = text ? strdup(text) : NULL;

    *failed = *failed || (text && !made);
    return made;
}

struct queue_work *queue_work_new(const struct catalog_record *record)
{
    struct queue_work *work = calloc(1, sizeof *work);
    bool failed = false;

    if (!work)
        return NULL;
    work->id = record->id;
    work->direction = record->direction;
    work->kind = record->kind;
    work->size = record->size;
    work->retries = record->retries;
    work->partner = copy(record->partner, &failed);
    work->remote = copy(record->remote, &failed);
    work->local = copy(record->local, &failed);
    if (record->message_length) {
        work->message = calloc(1, record->message_length + 1); /* hooks want its end to be marked */
        failed = failed || !work->message;
        if (work->message)
            memcpy(work->message, record->message, record->message_length);
        work->message_length = record->message_length;
    }
    atomic_init(&work->total, UINT64_MAX);
    work->interrupt = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (!failed && work->interrupt >= 0)
        return work;
    queue_work_free(work);
    return NULL;
}

void queue_work_free(struct queue_work *work)
{
    if (!work)
        return;
    if (work->interrupt >= 0)
        close(work->interrupt);
    queue_hold_drop(work->hold);
    free(work->partner);
    free(work->remote);
    free(work->local);
    free(work->message);
    free(work);
}

static void wake(int fd)
{
    const uint64_t one = 1;

    while (write(fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

void queue_work_interrupt(struct queue_work *work)
{
    work->interrupted = true;
    wake(work->interrupt);
}

/* -- the thread ---------------------------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static int say(struct queue_work *work, int result, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    vsnprintf(work->outcome.reason, sizeof work->outcome.reason, format, list);
    va_end(list);
    return result;
}

static int options_of(struct queue_work *work, struct client_options *options)
{
    const struct config *config = work->hold->model.config;
    const struct config_partner *partner = work->partner ? config_find_partner(config, work->partner) : NULL;

    if (!partner)
        return say(work, CLIENT_CONFIG, "%s has no [partner %s]", config->file, work->partner ? work->partner : "");
    if (!partner->client_profile)
        return say(work, CLIENT_CONFIG, "T47E: %s: partner \"%s\" has no client-profile", config->file, partner->name);
    if (partner->host.count == 0)
        return say(work, CLIENT_CONFIG, "%s: partner \"%s\" has no `host`", config->file, partner->name);
    *options = (struct client_options){
        .profile = partner->client_profile,
        .addresses = &partner->host,
        .login = partner->login,
        .password_file = partner->login_password_file,
        .section = partner->section,
        .log = work->log,
        .interrupt_fd = work->interrupt,
        .verify = work->request.verify,
        .digest = work->request.digest,
        .if_exists = work->request.if_exists,
        .streams = work->request.streams,
        .limit_rate = work->request.limit_rate,
        .no_links = work->request.no_links,
    };
    if (partner->limit_rate && (options->limit_rate == 0 || partner->limit_rate < options->limit_rate))
        options->limit_rate = partner->limit_rate;
    return CLIENT_OK;
}

static void keep_facts(struct queue_outcome *outcome, const struct client_transfer *last)
{
    const struct {
        char *to;
        size_t size;
        const char *from;
    } texts[] = {
        { outcome->digest, sizeof outcome->digest, last->verified ? last->digest : "" },
        { outcome->pump, sizeof outcome->pump, last->path },
        { outcome->version, sizeof outcome->version, last->version },
        { outcome->suite, sizeof outcome->suite, last->suite },
        { outcome->tx, sizeof outcome->tx, last->tx },
        { outcome->rx, sizeof outcome->rx, last->rx },
        { outcome->peer, sizeof outcome->peer, last->peer },
        { outcome->authentication, sizeof outcome->authentication, last->authentication },
        { outcome->subject, sizeof outcome->subject, last->subject },
    };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        snprintf(texts[i].to, texts[i].size, "%s", texts[i].from ? texts[i].from : "");
    outcome->bytes = last->bytes;
    outcome->unmoved = last->resumed_bytes + last->hole_bytes;
    outcome->seconds = last->seconds;
    outcome->status = last->status;
    outcome->resumed = last->resumed;
}

static int move(struct queue_work *work, struct client *client)
{
    char id[64], own[CATALOG_ID_SIZE];

    if (work->kind == CATALOG_MESSAGE) {
        catalog_id_print(work->id, own);
        int result = client_message(client, work->message, work->message_length, own, id, sizeof id);
        return result == CLIENT_OK ? say(work, result, "stored there as %s", id) : result;
    }
    return work->direction == CATALOG_IN ? client_get(client, work->remote, work->local)
                                         : client_put(client, work->local, work->remote);
}

static void note(void *argument, uint64_t moved, uint64_t total, const char *path)
{
    struct queue_work *work = argument;

    (void)path;
    atomic_store(&work->moved, moved);
    atomic_store(&work->total, total);
}

static int move_tree(struct queue_work *work)
{
    struct queue_outcome *outcome = &work->outcome;
    const struct queue_tree tree = { .config = work->hold->model.config,
                                     .log = work->log,
                                     .partner = work->partner,
                                     .remote = work->remote ? work->remote : "",
                                     .local = work->local,
                                     .put = work->direction == CATALOG_OUT,
                                     .request = &work->request,
                                     .interrupt = work->interrupt,
                                     .progress = note,
                                     .progress_argument = work };
    struct queue_tree_end end = { .result = CLIENT_FAILED };

    if (!work->partner || !work->local || !work->move_tree)
        return say(work, CLIENT_USAGE, "the record does not say what to move");
    work->move_tree(&tree, &end);
    outcome->bytes = end.bytes;
    outcome->status = end.status;
    return say(work, end.result, "%s", end.reason);
}

static int try(struct queue_work *work)
{
    struct config_errors errors = { 0 };
    struct client_options options;
    struct client *client = NULL;

    if (work->kind == CATALOG_TREE)
        return move_tree(work);
    if (work->kind == CATALOG_MESSAGE ? !work->message : !work->remote || !work->local)
        return say(work, CLIENT_USAGE, "the record does not say what to send");
    int result = options_of(work, &options);
    if (result != CLIENT_OK)
        return result;
    result = client_new(&client, &options, &errors);
    if (result != CLIENT_OK) {
        config_errors_sort(&errors);
        say(work, result, "%s", errors.count ? errors.items[0].text : "the client cannot be made");
    } else {
        client_watch(client, note, work);
        result = move(work, client);
        keep_facts(&work->outcome, client_last(client));
        if (result != CLIENT_OK)
            say(work, result, "%s", client_reason(client));
        client_free(client);
    }
    config_errors_clear(&errors);
    return result;
}

static void *run(void *argument)
{
    struct queue_work *work = argument;
    int done = work->done;

    pthread_setname_np(pthread_self(), "queued");
    work->outcome.begun = catalog_now();
    work->outcome.result = try(work);
    work->outcome.ended = catalog_now();
    atomic_store(&work->ended, true);
    wake(done);
    return NULL;
}

int queue_work_start(struct queue_work *work)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&work->thread, NULL, run, work);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -rc;
}
