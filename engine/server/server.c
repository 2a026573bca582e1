#include "engine/server/server_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LISTEN_BACKLOG 1024

static unsigned usable_cores(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof set, &set) < 0)
        return 1;
    return (unsigned)CPU_COUNT(&set);
}

/* -- listeners ----------------------------------------------------------------------------------------------------- */

static int listen_on(const struct sockaddr *address, socklen_t length)
{
    int on = 1;
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address->sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0 || bind(fd, address, length) < 0 ||
        listen(fd, LISTEN_BACKLOG) < 0) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    return fd;
}

/* SO_REUSEPORT lets our workers share a port, and would let a second server share it too without a word. */
static int taken_by_another(const struct sockaddr *address, socklen_t length)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;

    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address->sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    int rc = bind(fd, address, length) < 0 ? -errno : 0;
    close(fd);
    return rc;
}

static int worker_listen(struct worker *worker, const struct service *service, size_t index,
                         const struct sockaddr *address, socklen_t length)
{
    int fd = listen_on(address, length);

    if (fd < 0)
        return fd;
    struct listener *listener = &worker->listeners[worker->listener_count++];
    *listener = (struct listener){ .worker = worker, .service = service, .index = index, .fd = fd };
    return 0;
}

static int address_listen(struct server *server, const struct service *service, size_t index,
                          struct sockaddr_storage *address, socklen_t length)
{
    int rc = taken_by_another((struct sockaddr *)address, length);

    for (unsigned i = 0; rc == 0 && i < server->worker_count; i++) {
        struct worker *worker = &server->workers[i];
        rc = worker_listen(worker, service, index, (struct sockaddr *)address, length);
        /* Port 0: the first worker gets a free port, and the others the same. */
        if (rc == 0 &&
            getsockname(worker->listeners[worker->listener_count - 1].fd, (struct sockaddr *)address, &length) < 0)
            rc = -errno;
    }
    return rc;
}

static int listen_item(struct server *server, const struct service *service, size_t index, struct config_errors *errors)
{
    const struct config_protocol *protocol = service->protocol;
    const struct config_address *item = &protocol->listen.items[index];
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE }, *found;
    struct sockaddr_storage address;
    char port[8];

    snprintf(port, sizeof port, "%u", item->port);
    int gai = getaddrinfo(item->host, port, &hints, &found);
    if (gai != 0) {
        config_errors_add_at(errors, CONFIG_ERROR, protocol->section, "listen",
                             "\"%s\" is not an address of this machine: %s", item->host, gai_strerror(gai));
        return -EINVAL;
    }
    socklen_t length = found->ai_addrlen;
    memcpy(&address, found->ai_addr, length);
    freeaddrinfo(found);
    int rc = address_listen(server, service, index, &address, length);
    if (rc < 0)
        config_errors_add_at(errors, CONFIG_ERROR, protocol->section, "listen", "cannot listen on %s port %u: %s",
                             item->host, item->port,
                             rc == -EADDRINUSE ? "another process has it; stop that one, or take another port"
                                               : strerror(-rc));
    return rc;
}

static int listeners_open(struct server *server, struct config_errors *errors)
{
    size_t total = 0;
    int rc = 0;

    for (size_t i = 0; i < server->epoch->service_count; i++)
        total += server->epoch->services[i].protocol->listen.count;
    for (unsigned i = 0; i < server->worker_count; i++) {
        server->workers[i].listeners = calloc(total, sizeof(struct listener));
        if (!server->workers[i].listeners)
            return -ENOMEM;
    }
    for (size_t i = 0; i < server->epoch->service_count; i++) {
        for (size_t k = 0; k < server->epoch->services[i].protocol->listen.count; k++) {
            int one = listen_item(server, &server->epoch->services[i], k, errors);
            rc = one < 0 ? one : rc;
        }
    }
    return rc;
}

/* -- the whole ----------------------------------------------------------------------------------------------------- */

static int pools_open(struct server *server, struct config_errors *errors)
{
    const struct config_server *limits = &server->epoch->config->server;
    unsigned cores = usable_cores();
    unsigned count = limits->workers ? limits->workers : cores;
    char why[256];

    int rc = ring_usable(why, sizeof why);
    if (rc < 0) {
        config_errors_add_at(errors, CONFIG_ERROR, limits->section, NULL, "%s", why);
        return rc;
    }
    rc = peers_new(&server->peers);
    if (rc == 0)
        rc = jobs_new(&server->handshakes, limits->handshake_threads ? limits->handshake_threads : count, "handshake");
    if (rc == 0)
        rc = jobs_new(&server->files, limits->file_threads, "files");
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

int server_new(struct server **made, const struct server_options *options, struct config_errors *errors)
{
    struct server *server = calloc(1, sizeof *server);

    if (!server) {
        config_free(options->config);
        return -ENOMEM;
    }
    server->options = *options;
    server->log = options->log;
    server->sys = options->sys ? options->sys : &ktls_sys_linux;
    ktls_probe(server->sys, &server->abilities);
    const struct epoch_making making = {
        .log = server->log, .abilities = &server->abilities, .serving = true, .starting = true
    };
    server->epoch = epoch_new(options->config, &making, errors);
    int rc = server->epoch ? 0 : -EINVAL;
    if (rc == 0)
        rc = pools_open(server, errors);
    if (rc == 0)
        rc = listeners_open(server, errors);
    if (rc < 0) {
        server_free(server);
        return rc;
    }
    *made = server;
    return 0;
}

static void say_listeners(const struct server *server)
{
    for (size_t i = 0; i < server->workers[0].listener_count; i++) {
        const struct listener *listener = &server->workers[0].listeners[i];
        const struct config_protocol *protocol = listener->service->protocol;
        event(server->log, "S03I", EVENT_T("protocol", protocol->name),
              EVENT_T("address", protocol->listen.items[listener->index].host),
              EVENT_N("port", server_port(server, protocol->name, listener->index)),
              EVENT_T("profile", protocol->server_profile->name), EVENT_T("store", protocol->store->name),
              EVENT_T("root", protocol->store->root));
    }
}

int server_start(struct server *server)
{
    say_listeners(server);
    while (server->workers_running < server->worker_count) {
        int rc = worker_start(&server->workers[server->workers_running]);
        if (rc < 0) {
            server_stop(server, 0);
            return rc;
        }
        server->workers_running++;
    }
    event(server->log, "S01I", EVENT_T("version", SLUICE_VERSION), EVENT_T("config", server->epoch->config->file),
          EVENT_N("workers", server->worker_count), EVENT_N("pid", getpid()));
    return 0;
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
    jobs_free(server->files);
    for (unsigned i = 0; i < server->worker_count; i++)
        worker_clear(&server->workers[i]);
    free(server->workers);
    epoch_drop(server->epoch);
    peers_free(server->peers);
    free(server);
}

uint16_t server_port(const struct server *server, const char *protocol, size_t n)
{
    for (size_t i = 0; i < server->workers[0].listener_count; i++) {
        const struct listener *listener = &server->workers[0].listeners[i];
        struct sockaddr_storage address;
        socklen_t length = sizeof address;

        if (listener->index != n || strcmp(listener->service->protocol->name, protocol) != 0)
            continue;
        if (getsockname(listener->fd, (struct sockaddr *)&address, &length) < 0)
            return 0;
        return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                                   : ((struct sockaddr_in *)&address)->sin_port);
    }
    return 0;
}
