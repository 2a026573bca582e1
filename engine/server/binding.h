/* Private to engine/server: addresses that are listened on, each with a socket for every worker. */
#ifndef SLUICE_SERVER_BINDING_H
#define SLUICE_SERVER_BINDING_H

#include <sys/socket.h>

#include "engine/ring/ring.h"
#include "engine/server/epoch.h"

struct server;
struct worker;

struct listener {
    struct ring_op accept;
    struct ring_op pause; /* after an error that accepting again at once would only repeat */
    struct worker *worker;
    struct binding *binding;
    struct epoch *epoch; /* held: of those whom it accepts */
    const struct service *service;
    int fd; /* -1: closed */
    bool accepting, pausing, closing;
};

/* One address that is listened on, with a socket for each worker, who share its port (SO_REUSEPORT). */
struct binding {
    struct binding *next;
    char *protocol;                          /* for which it was bound */
    struct sockaddr_storage wanted, address; /* as the model has it (port 0: any), and as it is */
    socklen_t length;
    const struct service *service; /* in the server's epoch; NULL: it is no longer there */
    size_t index;                  /* in that protocol's listen list */
    struct listener *listeners;    /* by number of the worker, each that worker's own */
};

uint16_t binding_port(const struct binding *binding); /* host byte order */
void binding_free(struct binding *binding, unsigned workers);

/* What is to be listened on under a new epoch. */
struct plan {
    struct plan_item {
        struct binding *binding;
        const struct service *service;
        size_t index;
    } * items;
    size_t count;
    struct binding *fresh; /* those that the server does not have yet: bound, with nobody accepting */
};

/*
 * Finds the server's bindings again that an epoch asks for, and binds the others. 0, or -errno after the reasons were
 * added (but for -ENOMEM). Then one of the two: plan_adopt() makes the server's bindings those of the plan, which the
 * workers must be told; plan_drop() leaves all as it was.
 */
int plan_make(struct server *server, const struct epoch *epoch, struct plan *plan, struct config_errors *errors);
void plan_adopt(struct server *server, struct plan *plan);
void plan_drop(struct server *server, struct plan *plan);

#endif
