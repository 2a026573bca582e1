/* Addresses that are listened on: found again at a reload, or bound anew. */
#include "engine/server/server_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LISTEN_BACKLOG 1024

static in_port_t *port_of(struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET6 ? &((struct sockaddr_in6 *)address)->sin6_port
                                          : &((struct sockaddr_in *)address)->sin_port;
}

uint16_t binding_port(const struct binding *binding)
{
    struct sockaddr_storage address = binding->address;

    return ntohs(*port_of(&address));
}

static int socket_for(const struct sockaddr_storage *address, bool shares_port)
{
    int on = 1;
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address->ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (!shares_port || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0)
        return fd;
    int rc = -errno;
    close(fd);
    return rc;
}

static int listen_on(const struct sockaddr_storage *address, socklen_t length)
{
    int fd = socket_for(address, true);

    if (fd < 0)
        return fd;
    if (bind(fd, (const struct sockaddr *)address, length) == 0 && listen(fd, LISTEN_BACKLOG) == 0)
        return fd;
    int rc = -errno;
    close(fd);
    return rc;
}

/* SO_REUSEPORT lets our workers share a port, and would let a second server share it too without a word. */
static int taken_by_another(const struct sockaddr_storage *address, socklen_t length)
{
    int fd = socket_for(address, false);

    if (fd < 0)
        return fd;
    int rc = bind(fd, (const struct sockaddr *)address, length) < 0 ? -errno : 0;
    close(fd);
    return rc;
}

static bool same_place(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    if (a->ss_family != b->ss_family)
        return false;
    if (a->ss_family == AF_INET6) {
        const struct sockaddr_in6 *a6 = (const struct sockaddr_in6 *)a, *b6 = (const struct sockaddr_in6 *)b;
        return a6->sin6_port == b6->sin6_port && a6->sin6_scope_id == b6->sin6_scope_id &&
               memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof a6->sin6_addr) == 0;
    }
    const struct sockaddr_in *a4 = (const struct sockaddr_in *)a, *b4 = (const struct sockaddr_in *)b;
    return a4->sin_port == b4->sin_port && a4->sin_addr.s_addr == b4->sin_addr.s_addr;
}

/* Whether one of ours has the port, perhaps at another address (0.0.0.0 beside 127.0.0.1). */
static bool is_ours(const struct binding *bindings, const struct sockaddr_storage *address)
{
    struct sockaddr_storage wanted = *address;

    for (const struct binding *binding = bindings; binding; binding = binding->next) {
        if (binding->address.ss_family == wanted.ss_family && htons(binding_port(binding)) == *port_of(&wanted))
            return true;
    }
    return false;
}

void binding_free(struct binding *binding, unsigned workers)
{
    for (unsigned i = 0; binding->listeners && i < workers; i++) {
        if (binding->listeners[i].fd >= 0)
            close(binding->listeners[i].fd);
        epoch_drop(binding->listeners[i].epoch);
    }
    free(binding->listeners);
    free(binding->protocol);
    free(binding);
}

static struct binding *binding_alloc(struct server *server, const char *protocol)
{
    struct binding *binding = calloc(1, sizeof *binding);

    if (!binding)
        return NULL;
    binding->protocol = strdup(protocol);
    binding->listeners = calloc(server->worker_count, sizeof *binding->listeners);
    for (unsigned i = 0; binding->listeners && i < server->worker_count; i++)
        binding->listeners[i] = (struct listener){ .worker = &server->workers[i], .binding = binding, .fd = -1 };
    if (binding->protocol && binding->listeners)
        return binding;
    binding_free(binding, server->worker_count);
    return NULL;
}

static int binding_open(struct binding *binding, unsigned workers)
{
    binding->address = binding->wanted;
    for (unsigned i = 0; i < workers; i++) {
        socklen_t length = binding->length;
        int fd = listen_on(&binding->address, length);

        if (fd < 0)
            return fd;
        binding->listeners[i].fd = fd;
        /* Port 0: the first worker gets a free port, and the others the same. */
        if (getsockname(fd, (struct sockaddr *)&binding->address, &length) < 0)
            return -errno;
    }
    return 0;
}

static int bind_anew(struct server *server, struct plan *plan, const char *protocol,
                     const struct sockaddr_storage *address, socklen_t length, struct binding **made)
{
    int rc =
        is_ours(server->bindings, address) || is_ours(plan->fresh, address) ? 0 : taken_by_another(address, length);
    if (rc < 0)
        return rc;
    struct binding *binding = binding_alloc(server, protocol);
    if (!binding)
        return -ENOMEM;
    binding->wanted = *address;
    binding->length = length;
    rc = binding_open(binding, server->worker_count);
    if (rc < 0) {
        binding_free(binding, server->worker_count);
        return rc;
    }
    binding->next = plan->fresh;
    plan->fresh = *made = binding;
    return 0;
}

static bool is_planned(const struct plan *plan, const struct binding *binding)
{
    for (size_t i = 0; i < plan->count; i++) {
        if (plan->items[i].binding == binding)
            return true;
    }
    return false;
}

/* Port 0 is a port of its own for each time it is written, so the protocol counts, and the order. */
static struct binding *find_kept(const struct server *server, const struct plan *plan, const char *protocol,
                                 const struct sockaddr_storage *address)
{
    struct sockaddr_storage wanted = *address;
    bool any_port = *port_of(&wanted) == 0;

    for (struct binding *binding = server->bindings; binding; binding = binding->next) {
        if (!binding->service || !same_place(&binding->wanted, &wanted))
            continue;
        if (!any_port || (strcmp(binding->protocol, protocol) == 0 && !is_planned(plan, binding)))
            return binding;
    }
    for (struct binding *binding = plan->fresh; binding && !any_port; binding = binding->next) {
        if (same_place(&binding->wanted, &wanted))
            return binding;
    }
    return NULL;
}

static int resolve(const struct config_address *item, struct sockaddr_storage *address, socklen_t *length)
{
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE }, *found;
    char port[8];

    snprintf(port, sizeof port, "%u", item->port);
    int gai = getaddrinfo(item->host, port, &hints, &found);
    if (gai != 0)
        return gai;
    *length = found->ai_addrlen;
    memset(address, 0, sizeof *address);
    memcpy(address, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return 0;
}

static const char *bind_words(int rc)
{
    switch (rc) {
    case -EADDRINUSE:
        return "another process has it; stop that one, or take another port";
    case -EACCES:
        return "ports below 1024 take root or CAP_NET_BIND_SERVICE, which this process does not have (any more): "
               "restart it, or take another port";
    default:
        return strerror(-rc);
    }
}

static void plan_item(struct server *server, struct plan *plan, const struct service *service, size_t index,
                      struct config_errors *errors)
{
    const struct config_protocol *protocol = service->protocol;
    const struct config_address *item = &protocol->listen.items[index];
    struct sockaddr_storage address;
    socklen_t length;

    int gai = resolve(item, &address, &length);
    if (gai != 0) {
        config_errors_add_at(errors, CONFIG_ERROR, protocol->section, "listen",
                             "\"%s\" is not an address of this machine: %s", item->host, gai_strerror(gai));
        return;
    }
    struct binding *binding = find_kept(server, plan, protocol->name, &address);
    if (binding && is_planned(plan, binding)) {
        config_errors_add_at(errors, CONFIG_ERROR, protocol->section, "listen",
                             "%s port %u is there twice under different names; remove one", item->host, item->port);
        return;
    }
    int rc = binding ? 0 : bind_anew(server, plan, protocol->name, &address, length, &binding);
    if (rc == 0)
        plan->items[plan->count++] = (struct plan_item){ binding, service, index };
    else
        config_errors_add_at(errors, CONFIG_ERROR, protocol->section, "listen", "cannot listen on %s port %u: %s",
                             item->host, item->port, bind_words(rc));
}

int plan_make(struct server *server, const struct epoch *epoch, struct plan *plan, struct config_errors *errors)
{
    size_t before = errors->error_count, total = 0;

    for (size_t i = 0; i < epoch->service_count; i++)
        total += epoch->services[i].protocol->listen.count;
    *plan = (struct plan){ .items = calloc(total ? total : 1, sizeof *plan->items) };
    if (!plan->items)
        return -ENOMEM;
    for (size_t i = 0; i < epoch->service_count; i++) {
        for (size_t k = 0; k < epoch->services[i].protocol->listen.count; k++)
            plan_item(server, plan, &epoch->services[i], k, errors);
    }
    return errors->error_count == before ? 0 : -EINVAL;
}

void plan_drop(struct server *server, struct plan *plan)
{
    while (plan->fresh) {
        struct binding *binding = plan->fresh;
        plan->fresh = binding->next;
        binding_free(binding, server->worker_count);
    }
    free(plan->items);
    *plan = (struct plan){ 0 };
}

void plan_adopt(struct server *server, struct plan *plan)
{
    for (struct binding *binding = server->bindings; binding; binding = binding->next)
        binding->service = NULL;
    while (plan->fresh) {
        struct binding *binding = plan->fresh;
        plan->fresh = binding->next;
        binding->next = server->bindings;
        server->bindings = binding;
    }
    for (size_t i = 0; i < plan->count; i++) {
        plan->items[i].binding->service = plan->items[i].service;
        plan->items[i].binding->index = plan->items[i].index;
    }
    plan_drop(server, plan);
}
