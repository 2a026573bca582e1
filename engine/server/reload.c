/* A new model is checked as a whole, then taken over as a whole, by each worker between two things that it does. */
#include "engine/server/server_internal.h"
#include "engine/server/uploads.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define PROBLEMS_SAID 20 /* events for one refused model; the rest is counted */
#define SWAP_LOOK_MS 100 /* how often a worker that has ended is looked for */

/* -- what is said -------------------------------------------------------------------------------------------------- */

static int refuse(const struct server *server, const struct config_errors *errors)
{
    size_t said = 0;

    for (size_t i = 0; i < errors->count; i++) {
        if (errors->items[i].severity != CONFIG_ERROR)
            continue;
        if (said++ < PROBLEMS_SAID)
            event(server->log, "S10E", EVENT_T("problem", errors->items[i].text));
    }
    if (said > PROBLEMS_SAID)
        event(server->log, "S10E", EVENT_T("problem", "and more: `sluice check` lists them all"),
              EVENT_N("problems", said));
    return -EINVAL;
}

static bool differ(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) != 0 : a != b;
}

static void say_restart(const struct server *server, const char *setting, bool differs)
{
    if (differs)
        event(server->log, "S11W", EVENT_T("setting", setting), EVENT_T("reason", "it takes a restart"));
}

static void say_lasting(const struct server *server, const struct config_server *now)
{
    const struct lasting *then = &server->lasting;

    say_restart(server, "workers", then->workers != now->workers);
    say_restart(server, "handshake_threads", then->handshake_threads != now->handshake_threads);
    say_restart(server, "file_threads", then->file_threads != now->file_threads);
    say_restart(server, "pin_workers", then->pin_workers != now->pin_workers);
    say_restart(server, "user", differ(then->user, now->user));
    say_restart(server, "group", differ(then->group, now->group));
    say_restart(server, "catalog", differ(then->catalog, now->catalog));
    say_restart(server, "events", then->events != now->events);
    say_restart(server, "events_to", then->events_to != now->events_to);
}

/* -- the swap ------------------------------------------------------------------------------------------------------ */

void server_swapped(struct worker *worker)
{
    struct server *server = worker->server;

    pthread_mutex_lock(&server->swap_lock);
    worker->asked = false;
    pthread_cond_signal(&server->swap_done);
    pthread_mutex_unlock(&server->swap_lock);
}

/* A worker whose ring has failed takes nothing over: its sessions are gone. */
static bool one_is_missing(const struct server *server)
{
    for (unsigned i = 0; i < server->workers_running; i++) {
        if (server->workers[i].asked && !atomic_load(&server->workers[i].ended))
            return true;
    }
    return false;
}

static void swap_workers(struct server *server)
{
    pthread_mutex_lock(&server->swap_lock);
    for (unsigned i = 0; i < server->workers_running; i++) {
        if (atomic_load(&server->workers[i].ended))
            continue;
        server->workers[i].asked = true;
        worker_swap(&server->workers[i]);
    }
    while (one_is_missing(server)) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += SWAP_LOOK_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        pthread_cond_timedwait(&server->swap_done, &server->swap_lock, &until);
    }
    pthread_mutex_unlock(&server->swap_lock);
}

static bool is_closed(const struct binding *binding, unsigned workers)
{
    for (unsigned i = 0; i < workers; i++) {
        if (binding->listeners[i].fd >= 0)
            return false;
    }
    return true;
}

static size_t bindings_sweep(struct server *server)
{
    size_t swept = 0;

    for (struct binding **place = &server->bindings; *place;) {
        struct binding *binding = *place;
        if (binding->service || !is_closed(binding, server->worker_count)) {
            place = &binding->next;
            continue;
        }
        *place = binding->next;
        binding_free(binding, server->worker_count);
        swept++;
    }
    return swept;
}

static size_t count(const struct binding *bindings)
{
    size_t found = 0;

    for (; bindings; bindings = bindings->next)
        found++;
    return found;
}

static void take_over(struct server *server, struct epoch *epoch, struct plan *plan)
{
    struct epoch *before = server->epoch;
    struct config_difference difference;
    size_t opened = count(plan->fresh);

    config_compare(before->config, epoch->config, &difference);
    plan_adopt(server, plan);
    server->epoch = epoch;
    swap_workers(server);
    uploads_follow(server->uploads, epoch); /* its threads run already */
    record_follow(server);
    size_t closed = bindings_sweep(server);
    epoch_drop(before);
    say_lasting(server, &epoch->config->server);
    epoch_say_fallback(epoch, &server->abilities, server->log);
    if (opened)
        server_say_bindings(server);
    event(server->log, "S10I", EVENT_T("config", epoch->config->file), EVENT_N("sections_added", difference.added),
          EVENT_N("sections_changed", difference.changed), EVENT_N("sections_removed", difference.removed),
          EVENT_N("addresses_opened", opened), EVENT_N("addresses_closed", closed),
          EVENT_N("connections", atomic_load(&server->connections)));
    expiry_say(server->log, epoch->config);
}

int server_reload(struct server *server, struct config *config, struct config_errors *errors)
{
    const struct epoch_making making = {
        .log = server->log, .abilities = &server->abilities, .previous = server->epoch, .serving = true
    };
    struct plan plan = { 0 };

    if (!config)
        return refuse(server, errors);
    struct epoch *epoch = epoch_new(config, &making, errors);
    if (!epoch) {
        config_free(config);
        return refuse(server, errors);
    }
    epoch->owned = config;
    int rc = plan_make(server, epoch, &plan, errors);
    if (rc < 0) {
        plan_drop(server, &plan);
        epoch_drop(epoch);
        return refuse(server, errors);
    }
    take_over(server, epoch, &plan);
    return 0;
}
