/*
 * The server: listens where the model's protocols say, and serves their stores.
 *
 * One worker thread per core with its own ring and its own listening sockets (SO_REUSEPORT); handshakes run on a pool
 * of threads of their own, and so do calls on files that may block.
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
};

/*
 * Loads profiles, opens stores, binds. 0, or -errno after the reasons were added to `errors` (profiles, stores,
 * addresses in use, offload = required without kTLS, io_uring missing).
 */
int server_new(struct server **server, const struct server_options *options, struct config_errors *errors);

/* Starts the workers. 0 or -errno. From here connections are served. */
int server_start(struct server *server);

/* Ends: no new connections, those that move a body may go on for `grace` milliseconds. Waits for all threads. */
void server_stop(struct server *server, unsigned grace);
/* From another thread, while server_stop() waits, and once at most: what still runs is ended at once. */
void server_hurry(struct server *server);
void server_free(struct server *server); /* after server_stop(), or if it never started; NULL is allowed */

/* The port a protocol's n-th listener got (for port 0 in tests), host byte order. */
uint16_t server_port(const struct server *server, const char *protocol, size_t n);

#endif
