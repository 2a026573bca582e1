#include "engine/server/server_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ktls/inventory.h"

static void check_offload(const struct ktls_abilities *abilities, const struct config_profile *profile,
                          struct config_errors *errors)
{
    if (abilities && !abilities->ulp && profile->offload == CONFIG_OFFLOAD_REQUIRED)
        config_errors_add_at(errors, CONFIG_ERROR, profile->section, "offload", "offload = required, but %s",
                             abilities->missing);
}

void epoch_say_fallback(const struct epoch *epoch, const struct ktls_abilities *abilities, struct event_log *log)
{
    for (size_t i = 0; !abilities->ulp && i < epoch->service_count; i++) {
        const struct config_profile *profile = epoch->services[i].protocol->server_profile;
        if (profile->offload == CONFIG_OFFLOAD_AUTO)
            event(log, "K01W", EVENT_T("profile", profile->name), EVENT_T("reason", abilities->missing));
    }
}

static void say_unusable(const struct epoch_making *making, const struct config_profile *profile, size_t before,
                         const struct config_errors *errors)
{
    if (!making->starting || profile->role != CONFIG_SERVER)
        return;
    for (size_t i = before; i < errors->count; i++) {
        if (errors->items[i].severity == CONFIG_ERROR)
            event(making->log, "P20F", EVENT_T("profile", profile->name), EVENT_T("reason", errors->items[i].text));
    }
}

/* Every profile is loaded, of either role and in use or not: what is wrong with it is to be heard now. */
static void profiles_open(struct epoch *epoch, const struct epoch_making *making, struct config_errors *errors)
{
    for (size_t i = 0; i < epoch->config->profile_count; i++) {
        const struct config_profile *profile = &epoch->config->profiles[i];
        size_t before = errors->count;
        struct tls_context *context = tls_context_new(profile, "", errors);

        say_unusable(making, profile, before, errors);
        if (profile->role == CONFIG_SERVER)
            epoch->contexts[i] = context;
        else
            tls_context_drop(context);
    }
}

/* A directory that a store of `previous`, or one before it here, has open already: they must know of each other. */
static struct store *store_share(const struct epoch *epoch, const struct epoch *previous, struct store *store)
{
    const struct epoch *places[] = { previous, epoch };

    for (size_t p = 0; p < 2; p++) {
        for (size_t i = 0; places[p] && i < places[p]->config->store_count; i++) {
            struct store *other = places[p]->stores[i];
            if (!other || !store_same(other, store))
                continue;
            store_close(store);
            return store_hold(other);
        }
    }
    return store;
}

static void check_access(const struct config_store *settings, struct config_errors *errors)
{
    const char *root = settings->root;

    if (faccessat(AT_FDCWD, root, R_OK | X_OK, AT_EACCESS) != 0)
        config_errors_add_at(errors, CONFIG_ERROR, settings->section, "root",
                             "root \"%s\" cannot be served: user id %u may not read it; change its owner or mode, or "
                             "those of a directory above it",
                             root, geteuid());
    else if (faccessat(AT_FDCWD, root, W_OK | X_OK, AT_EACCESS) != 0)
        config_errors_add_at(errors, CONFIG_WARNING, settings->section, "root",
                             "root \"%s\" cannot be written by user id %u: uploads will be refused; change its owner "
                             "or mode if that is not what you want",
                             root, geteuid());
}

int epoch_check_stores(const struct epoch *epoch, struct config_errors *errors)
{
    size_t before = errors->error_count;

    for (size_t i = 0; i < epoch->config->store_count; i++)
        check_access(&epoch->config->stores[i], errors);
    return errors->error_count == before ? 0 : -EACCES;
}

static void stores_open(struct epoch *epoch, const struct epoch *previous, struct config_errors *errors)
{
    bool ours = !epoch->config->server.user || geteuid() != 0; /* else another user will serve them */

    for (size_t i = 0; i < epoch->config->store_count; i++) {
        const struct config_store *settings = &epoch->config->stores[i];
        struct store *store = NULL;
        int rc = store_open(&store, settings->root);

        if (rc < 0) {
            config_errors_add_at(errors, CONFIG_ERROR, settings->section, "root",
                                 "root \"%s\" cannot be served: %s; make it a directory that user id %u can read",
                                 settings->root, strerror(-rc), geteuid());
            continue;
        }
        epoch->stores[i] = store_share(epoch, previous, store);
        if (ours)
            check_access(settings, errors);
    }
}

static void service_open(struct epoch *epoch, const struct epoch_making *making, const struct config_protocol *protocol,
                         struct config_errors *errors)
{
    struct service *service = &epoch->services[epoch->service_count++];

    service->epoch = epoch;
    service->protocol = protocol;
    check_offload(making->abilities, protocol->server_profile, errors);
    service->store = epoch->stores[protocol->store - epoch->config->stores];
    if (!epoch_context(epoch, protocol->server_profile))
        return;                        /* it was said why */
    struct config_errors said = { 0 }; /* all of it, warnings too, when the profile was loaded by itself */
    service->context = tls_context_new(protocol->server_profile, protocol->name, &said);
    config_errors_clear(&said);
    if (!service->context)
        config_errors_add_at(errors, CONFIG_ERROR, protocol->server_profile->section, NULL,
                             "its files changed while they were read; do it again");
    else if (making->abilities && !making->abilities->ulp)
        tls_context_without_kernel(service->context);
}

static void services_open(struct epoch *epoch, const struct epoch_making *making, struct config_errors *errors)
{
    for (size_t i = 0; i < epoch->config->protocol_count; i++) {
        if (epoch->config->protocols[i].listen.count)
            service_open(epoch, making, &epoch->config->protocols[i], errors);
    }
    if (epoch->service_count == 0 && making->serving)
        config_errors_add(errors, CONFIG_ERROR, epoch->config->file, 0,
                          "no protocol listens; add `listen = ADDRESS:PORT` to a [protocol]");
}

/* One entry even where there is none, so that NULL means that there is no memory. */
static void *table(size_t count, size_t size)
{
    return calloc(count ? count : 1, size);
}

struct epoch *epoch_new(const struct config *config, const struct epoch_making *making, struct config_errors *errors)
{
    size_t before = errors->error_count;
    struct epoch *epoch = calloc(1, sizeof *epoch);

    if (!epoch) {
        config_errors_add(errors, CONFIG_ERROR, "sluice", 0, "there is no memory for the configuration");
        return NULL;
    }
    atomic_init(&epoch->holders, 1);
    epoch->config = config;
    epoch->contexts = table(config->profile_count, sizeof(*epoch->contexts));
    epoch->stores = table(config->store_count, sizeof(*epoch->stores));
    epoch->services = table(config->protocol_count, sizeof(*epoch->services));
    epoch->bodies = table(config->partner_count, sizeof(*epoch->bodies));
    if (epoch->contexts && epoch->stores && epoch->services && epoch->bodies) {
        profiles_open(epoch, making, errors);
        stores_open(epoch, making->previous, errors);
        services_open(epoch, making, errors);
        epoch->gate = gate_new(config, errors);
        privileges_check(&config->server, errors);
        hooks_check(config, errors);
    } else {
        config_errors_add(errors, CONFIG_ERROR, config->file, 0, "there is no memory for the configuration");
    }
    if (errors->error_count == before)
        return epoch;
    epoch_drop(epoch);
    return NULL;
}

struct epoch *epoch_hold(struct epoch *epoch)
{
    atomic_fetch_add_explicit(&epoch->holders, 1, memory_order_relaxed);
    return epoch;
}

void epoch_drop(struct epoch *epoch)
{
    if (!epoch || atomic_fetch_sub_explicit(&epoch->holders, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; epoch->services && i < epoch->service_count; i++)
        tls_context_drop(epoch->services[i].context);
    for (size_t i = 0; epoch->contexts && i < epoch->config->profile_count; i++)
        tls_context_drop(epoch->contexts[i]);
    for (size_t i = 0; epoch->stores && i < epoch->config->store_count; i++)
        store_close(epoch->stores[i]);
    free(epoch->services);
    free(epoch->contexts);
    free(epoch->stores);
    free(epoch->bodies);
    gate_free(epoch->gate);
    config_free(epoch->owned);
    free(epoch);
}

struct tls_context *epoch_context(const struct epoch *epoch, const struct config_profile *profile)
{
    return epoch->contexts[profile - epoch->config->profiles];
}

int server_check(const struct config *config, struct config_errors *errors)
{
    const struct epoch_making making = { 0 };
    struct epoch *epoch = epoch_new(config, &making, errors);
    int recordable = record_check(&config->server, errors);

    epoch_drop(epoch);
    tls_inventory_warn(config, errors); /* a server that runs tells of them as events */
    return epoch && recordable == 0 ? 0 : -EINVAL;
}
