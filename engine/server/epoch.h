/* Private to engine/server: one model, with all that was made of it. Counted, never changed. */
#ifndef SLUICE_SERVER_EPOCH_H
#define SLUICE_SERVER_EPOCH_H

#include <stdatomic.h>

#include "engine/gate/gate.h"
#include "engine/server/server.h"
#include "engine/store/store.h"
#include "ktls/context.h"
#include "ktls/probe.h"

struct service {
    struct epoch *epoch; /* whose part it is: lives no longer than that */
    const struct config_protocol *protocol;
    struct tls_context *context;
    struct store *store; /* the epoch's */
};

struct epoch {
    atomic_uint holders;
    const struct config *config;
    struct config *owned; /* the same, where it is freed with the epoch */
    struct gate *gate;
    struct tls_context **contexts; /* as config->profiles; NULL for client-profiles. For additional checks */
    struct store **stores;         /* as config->stores */
    struct service *services;
    size_t service_count;
    atomic_uint *bodies; /* under way, by partner: as config->partners */
};

/* For whom an epoch is made. */
struct epoch_making {
    struct event_log *log;                  /* NULL: none */
    const struct ktls_abilities *abilities; /* of this kernel; NULL: not asked for */
    const struct epoch *previous;           /* shares its stores where they are the same directory; NULL: none */
    bool serving;                           /* it must listen */
    bool starting;                          /* a server-profile that is unusable is P20F */
};

/* `config` is lent, until `owned` is set to it. NULL after at least one error was added. Its holder is the caller. */
struct epoch *epoch_new(const struct config *config, const struct epoch_making *making, struct config_errors *errors);
struct epoch *epoch_hold(struct epoch *epoch);
void epoch_drop(struct epoch *epoch); /* any thread; NULL is allowed */

/*
 * Whether this process's user may read the stores (errors) and write them (warnings): epoch_new() asks itself, but not
 * while that user is yet to be become. 0 or -EACCES.
 */
int epoch_check_stores(const struct epoch *epoch, struct config_errors *errors);

/* K01W for each service that OpenSSL will serve because the kernel cannot. */
void epoch_say_fallback(const struct epoch *epoch, const struct ktls_abilities *abilities, struct event_log *log);

/* What was made of a server-profile of the epoch's model: for tls_context_admit(). */
struct tls_context *epoch_context(const struct epoch *epoch, const struct config_profile *profile);

#endif
