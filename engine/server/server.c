#include "engine/server/cpus.h"
#include "engine/server/digests.h"
#include "engine/server/server_internal.h"
#include "engine/server/uploads.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Bytes that move go before new clients, and these before guesses: a flood of either slows itself down first. */
#define HANDSHAKE_NICE 5
#define PASSWORD_NICE 10
#define HOOKS_GRACE 10000 /* milliseconds, once the server has stopped */

#define DIGEST_THREADS 4 /* each reads as fast as its processor computes */

/* -- the whole ----------------------------------------------------------------------------------------------------- */

static int pools_open(struct server *server, struct config_errors *errors)
{
    const struct config_server *limits = &server->epoch->config->server;
    unsigned cores = cpus_usable();
    unsigned count = limits->workers ? limits->workers : cores;
    unsigned strangers = limits->handshake_threads ? limits->handshake_threads : count;
    char why[256];

    int rc = ring_usable(why, sizeof why);
    if (rc < 0) {
        config_errors_add_at(errors, CONFIG_ERROR, limits->section, NULL, "%s", why);
        return rc;
    }
    rc = peers_new(&server->peers);
    if (rc == 0 && !(server->guesses = guesses_new()))
        rc = -ENOMEM;
    if (rc == 0)
        rc = uploads_new(&server->uploads, server->log, cores < DIGEST_THREADS ? cores : DIGEST_THREADS);
    if (rc == 0)
        rc = hooks_new(&server->hooks, server->log);
    if (rc == 0)
        rc = messages_new(&server->messages);
    if (rc == 0)
        rc = jobs_new(&server->handshakes, strangers, "handshake", HANDSHAKE_NICE);
    if (rc == 0)
        rc = jobs_new(&server->passwords, strangers, "password", PASSWORD_NICE);
    if (rc == 0)
        rc = digests_new(&server->digests, cores < DIGEST_THREADS ? cores : DIGEST_THREADS);
    if (rc == 0)
        rc = jobs_new(&server->files, limits->file_threads, "files", 0);
    if (rc == 0 && !(server->workers = calloc(count, sizeof *server->workers)))
        rc = -ENOMEM;
    while (rc == 0 && server->worker_count < count) {
        rc = worker_init(&server->workers[server->worker_count], server, server->worker_count);
        server->worker_count++;
    }
    if (rc < 0)
        config_errors_add_at(errors, CONFIG_ERROR, limits->section, "workers", "the workers cannot be made: %s",
                             strerror(-rc));
    return rc;
}

static int lasting_set(struct lasting *lasting, const struct config_server *settings)
{
    *lasting = (struct lasting){ .workers = settings->workers,
                                 .pin_workers = settings->pin_workers,
                                 .handshake_threads = settings->handshake_threads,
                                 .file_threads = settings->file_threads,
                                 .events = settings->events,
                                 .events_to = settings->events_to };
    if (settings->user && !(lasting->user = strdup(settings->user)))
        return -ENOMEM;
    if (settings->catalog && !(lasting->catalog = strdup(settings->catalog)))
        return -ENOMEM;
    return settings->group && !(lasting->group = strdup(settings->group)) ? -ENOMEM : 0;
}

static int epoch_open(struct server *server, struct config *config, struct config_errors *errors)
{
    const struct epoch_making making = {
        .log = server->log, .abilities = &server->abilities, .serving = true, .starting = true
    };

    ktls_probe(server->sys, &server->abilities);
    server->epoch = epoch_new(config, &making, errors);
    if (!server->epoch)
        return -EINVAL;
    server->epoch->owned = config;
    return lasting_set(&server->lasting, &config->server);
}

static int bindings_open(struct server *server, struct config_errors *errors)
{
    struct plan plan;
    int rc = plan_make(server, server->epoch, &plan, errors);

    if (rc == 0)
        plan_adopt(server, &plan);
    else
        plan_drop(server, &plan);
    return rc;
}

int server_new(struct server **made, const struct server_options *options, struct config_errors *errors)
{
    struct server *server = calloc(1, sizeof *server);

    if (!server) {
        config_free(options->config);
        return -ENOMEM;
    }
    server->options = *options;
    server->log = options->log;
    server->umask = umask(077); /* it can only be read by setting it */
    umask(server->umask);
    server->sys = options->sys ? options->sys : &ktls_sys_linux;
    pthread_mutex_init(&server->swap_lock, NULL);
    pthread_cond_init(&server->swap_done, NULL);
    int rc = epoch_open(server, options->config, errors);
    if (!server->epoch)
        config_free(options->config);
    if (rc == 0)
        rc = pools_open(server, errors);
    if (rc == 0)
        rc = bindings_open(server, errors);
    struct catalog *catalog = NULL;
    if (rc == 0)
        rc = record_open(server, &catalog, errors);
    uid_t before = geteuid();
    if (rc == 0)
        rc = privileges_drop(&server->epoch->config->server, errors);
    if (rc == 0 && geteuid() != before)
        rc = epoch_check_stores(server->epoch, errors);
    if (rc == 0)
        rc = record_start(server, catalog);
    else
        catalog_close(catalog);
    if (rc < 0) {
        server_free(server);
        return rc;
    }
    *made = server;
    return 0;
}

static void say_binding(const struct server *server, const struct binding *binding)
{
    const struct config_protocol *protocol = binding->service->protocol;

    event(server->log, "S03I", EVENT_T("protocol", protocol->name),
          EVENT_T("address", protocol->listen.items[binding->index].host), EVENT_N("port", binding_port(binding)),
          EVENT_T("profile", protocol->server_profile->name), EVENT_T("store", protocol->store->name),
          EVENT_T("root", protocol->store->root));
}

/* As they stand in the file: the bindings are in the order in which they came. */
void server_say_bindings(const struct server *server)
{
    for (size_t i = 0; i < server->epoch->service_count; i++) {
        const struct service *service = &server->epoch->services[i];
        for (size_t k = 0; k < service->protocol->listen.count; k++) {
            for (const struct binding *binding = server->bindings; binding; binding = binding->next) {
                if (binding->service == service && binding->index == k)
                    say_binding(server, binding);
            }
        }
    }
}

/* Before they start: it is where a worker's memory comes from, too. */
static void pin_workers(struct server *server, char pinned[CPUS_TEXT_SIZE])
{
    unsigned count = server->worker_count;
    int *cpus = calloc(count, sizeof *cpus);
    bool pins = cpus && server->lasting.pin_workers && cpus_share_out(cpus, count);

    snprintf(pinned, CPUS_TEXT_SIZE, "%s", server->lasting.pin_workers ? "no: more workers than processors" : "no");
    for (unsigned i = 0; i < count; i++)
        server->workers[i].cpu = pins ? cpus[i] : CPUS_NONE;
    if (pins)
        cpus_text(cpus, count, pinned);
    free(cpus);
}

int server_start(struct server *server)
{
    char pinned[CPUS_TEXT_SIZE];
    int followed = uploads_follow(server->uploads, server->epoch);
    if (followed < 0)
        return followed;
    epoch_say_fallback(server->epoch, &server->abilities, server->log);
    server_say_bindings(server);
    pin_workers(server, pinned);
    while (server->workers_running < server->worker_count) {
        int rc = worker_start(&server->workers[server->workers_running]);
        if (rc < 0) {
            server_stop(server, 0);
            return rc;
        }
        server->workers_running++;
    }
    event(server->log, "S01I", EVENT_T("version", SLUICE_VERSION), EVENT_T("config", server->epoch->config->file),
          EVENT_N("workers", server->worker_count), EVENT_T("pinned", pinned), EVENT_N("pid", getpid()));
    expiry_say(server->log, server->epoch->config);
    return 0;
}

const struct config *server_model(struct server *server, void **holder)
{
    *holder = epoch_hold(server->epoch);
    return server->epoch->config;
}

void server_let_go(void *holder)
{
    epoch_drop(holder);
}

struct hooks *server_hooks(struct server *server)
{
    return server->hooks;
}

void server_stop(struct server *server, unsigned grace)
{
    for (unsigned i = 0; i < server->workers_running; i++)
        worker_stop(&server->workers[i], grace);
    for (unsigned i = 0; i < server->workers_running; i++)
        pthread_join(server->workers[i].thread, NULL);
    if (server->workers_running)
        event(server->log, "S02I", EVENT_N("pid", getpid()));
    server->workers_running = 0;
}

void server_hurry(struct server *server)
{
    for (unsigned i = 0; i < server->worker_count; i++)
        worker_hurry(&server->workers[i]);
}

void server_free(struct server *server)
{
    if (!server)
        return;
    jobs_free(server->handshakes);
    jobs_free(server->passwords);
    digests_free(server->digests);
    jobs_free(server->files);
    uploads_free(server->uploads);
    hooks_free(server->hooks, HOOKS_GRACE);
    messages_free(server->messages);
    for (unsigned i = 0; i < server->worker_count; i++)
        worker_clear(&server->workers[i]);
    record_stop(server);
    free(server->workers);
    while (server->bindings) {
        struct binding *binding = server->bindings;
        server->bindings = binding->next;
        binding_free(binding, server->worker_count);
    }
    epoch_drop(server->epoch);
    peers_free(server->peers);
    guesses_free(server->guesses);
    free(server->lasting.user);
    free(server->lasting.group);
    free(server->lasting.catalog);
    pthread_cond_destroy(&server->swap_done);
    pthread_mutex_destroy(&server->swap_lock);
    free(server);
}

uint16_t server_port(const struct server *server, const char *protocol, size_t n)
{
    for (const struct binding *binding = server->bindings; binding; binding = binding->next) {
        if (binding->service && binding->index == n && strcmp(binding->service->protocol->name, protocol) == 0)
            return binding_port(binding);
    }
    return 0;
}
