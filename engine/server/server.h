/*
 * The server: listens where the model's protocols say, and serves their stores.
 *
 * One worker thread per core with its own ring and its own listening sockets (SO_REUSEPORT); handshakes run on a pool
 * of threads of their own (but for a client's last flight that holds no certificate), and so do calls on files that may
 * block.
 */
#ifndef SLUICE_SERVER_H
#define SLUICE_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include "config/model.h"
#include "engine/event/event.h"
#include "engine/ring/ring.h"
#include "ktls/sys.h"

struct server;

struct server_options {
    struct config *config;        /* taken over by server_new(), also where it fails */
    struct event_log *log;        /* lent until server_free() */
    const struct ktls_sys *sys;   /* NULL: Linux */
    const struct ring_seam *seam; /* NULL: none */
    unsigned expiry_interval;     /* milliseconds between two looks at certificates that expire; 0: a day */
};

/*
 * Loads profiles, opens stores, binds. 0, or -errno after the reasons were added to `errors` (profiles, stores,
 * addresses in use, offload = required without kTLS, io_uring missing).
 */
int server_new(struct server **server, const struct server_options *options, struct config_errors *errors);

/* Starts the workers. 0 or -errno. From here connections are served. */
int server_start(struct server *server);

/*
 * Takes a new model over, which it owns from here on, or NULL where config_load() made none of it. Everything is loaded
 * and bound first; on any error, all of which stand in `errors` then and are told as events, the old model stays. Else
 * 0: whoever connects from now on gets the new model, and sessions that run keep theirs to their end, which is after
 * the request they are at, or the next one. What is listened on under both models goes on without a gap. Settings that
 * take a restart are told. From the thread that starts and stops the server, while it runs.
 */
int server_reload(struct server *server, struct config *config, struct config_errors *errors);

/*
 * Whether a server could be made of a model, but for what depends on the moment (ports, the kernel): all its profiles
 * of both roles, stores, the password file, certificates that expire soon. What is wrong is added. 0 or -EINVAL.
 */
int server_check(const struct config *config, struct config_errors *errors);

/*
 * The current model, for others who follow it: it stays until *holder was given to server_let_go(), from any thread.
 * From the thread that starts and stops the server.
 */
const struct config *server_model(struct server *server, void **holder);
void server_let_go(void *holder);
struct hooks *server_hooks(struct server *server); /* until server_free() */

/* Ends: no new connections, those that move a body may go on for `grace` milliseconds. Waits for all threads. */
void server_stop(struct server *server, unsigned grace);
/* From another thread, while server_stop() waits, and once at most: what still runs is ended at once. */
void server_hurry(struct server *server);
void server_free(struct server *server); /* after server_stop(), or if it never started; NULL is allowed */

/* The port a protocol's n-th listener got (for port 0 in tests), host byte order. */
uint16_t server_port(const struct server *server, const char *protocol, size_t n);

#endif
