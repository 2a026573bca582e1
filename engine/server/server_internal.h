/*
 * Private to engine/server: who holds what.
 *
 *     server   the pools, the addresses it listens on, the current epoch; made and freed by the owner's thread
 *     epoch    one model with all that was made of it; counted, never changed. A reload makes a new one
 *     service  one [protocol] that listens: its context and its store; part of an epoch
 *     worker   one thread, its ring, its pools, its listeners and its sessions; no other thread touches these
 *     session  one connection, from accept to close; belongs to its worker. It keeps the epoch it began with
 */
#ifndef SLUICE_SERVER_INTERNAL_H
#define SLUICE_SERVER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "engine/catalog/writer.h"
#include "engine/gate/guesses.h"
#include "engine/hook/hook.h"
#include "engine/server/binding.h"
#include "engine/server/epoch.h"
#include "engine/server/peers.h"
#include "engine/server/request.h"
#include "engine/server/server.h"
#include "engine/server/session.h"
#include "engine/server/transfer.h"
#include "engine/server/worker.h"

struct digests;
struct messages;
struct uploads;

/* What stays as it was at start, whatever a reload finds. */
struct lasting {
    unsigned workers, handshake_threads, file_threads;
    bool pin_workers;
    enum config_events events;
    enum config_events_to events_to;
    char *user, *group, *catalog;
};

struct server {
    struct server_options options;
    struct epoch *epoch;      /* the current one; the owner's thread: workers have it, too */
    struct binding *bindings; /* changed only while every worker is known not to look at them */
    struct lasting lasting;
    pthread_mutex_t swap_lock;
    pthread_cond_t swap_done;
    struct event_log *log;
    const struct ktls_sys *sys;
    struct ktls_abilities abilities;
    struct worker *workers;
    unsigned worker_count;
    unsigned workers_running;
    struct jobs *handshakes, *files;
    struct jobs *passwords; /* apart: a hash takes as long as dozens of handshakes, which it must not hold up */
    struct digests *digests;
    struct catalog_writer *catalog; /* NULL: nothing is recorded */
    struct peers *peers;
    struct guesses *guesses; /* failed logins; across epochs */
    struct uploads *uploads; /* those in parts; across epochs */
    mode_t umask;            /* this process's, which a mode that a client asks for is held to */
    struct hooks *hooks;
    struct messages *messages;
    atomic_uint connections;
    atomic_long limit_said; /* second in which the connection limit was last reported */
};

void server_swapped(struct worker *worker);
void server_say_bindings(const struct server *server);

/* expiry.c: S79W and S79E for the certificates that a model uses or trusts. Reads files. */
void expiry_say(struct event_log *log, const struct config *config);

/* privileges.c: becomes the model's user and group, where it names them. 0, or -errno after the reason was added. */
int privileges_drop(const struct config_server *settings, struct config_errors *errors);
/* Whom the process becomes; both -1: it stays who it is, or there is nobody of that name. */
void privileges_whom(const struct config_server *settings, uid_t *user, gid_t *group);
int privileges_check(const struct config_server *settings, struct config_errors *errors); /* whether there are such */

/* message.c */
int messages_new(struct messages **messages);
void messages_free(struct messages *messages);

/*
 * record.c: the catalog. record_open() as whoever the process is at start, record_start() as whom it has become; 0 or
 * -errno, the first after the reasons were added.
 */
int record_check(const struct config_server *settings, struct config_errors *errors);
int record_open(struct server *server, struct catalog **catalog, struct config_errors *errors);
int record_start(struct server *server, struct catalog *catalog); /* takes it over */
void record_stop(struct server *server);
void record_follow(struct server *server); /* after a reload */

#endif
