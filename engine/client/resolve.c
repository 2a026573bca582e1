/*
 * Names to addresses. getaddrinfo() may block for many seconds and cannot be cancelled, so it runs on a thread of its
 * own that may be left behind: after a time limit or an interrupt it ends by itself and frees what it found.
 */
#include "engine/client/client_internal.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct resolution {
    atomic_uint holders;
    int done_fd;      /* readable once the rest is filled ... */
    atomic_bool done; /* ... and this is set: what passes through the kernel orders nothing in C's memory model */
    int error;        /* EAI_* */
    int system_error;
    struct addrinfo *list;
    char port[8];
    char host[];
};

static const struct addrinfo stream_hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV };

static void resolution_drop(struct resolution *resolution)
{
    if (atomic_fetch_sub(&resolution->holders, 1) != 1)
        return;
    if (resolution->list)
        freeaddrinfo(resolution->list);
    close(resolution->done_fd);
    free(resolution);
}

static void *resolution_run(void *argument)
{
    struct resolution *resolution = argument;
    resolution->error = getaddrinfo(resolution->host, resolution->port, &stream_hints, &resolution->list);
    resolution->system_error = errno;
    atomic_store_explicit(&resolution->done, true, memory_order_release);
    eventfd_write(resolution->done_fd, 1);
    resolution_drop(resolution);
    return NULL;
}

static struct resolution *resolution_new(const struct config_address *address)
{
    size_t length = strlen(address->host) + 1;
    struct resolution *resolution = calloc(1, sizeof *resolution + length);
    if (!resolution)
        return NULL;
    resolution->done_fd = eventfd(0, EFD_CLOEXEC);
    if (resolution->done_fd < 0) {
        free(resolution);
        return NULL;
    }
    atomic_init(&resolution->holders, 1);
    memcpy(resolution->host, address->host, length);
    snprintf(resolution->port, sizeof resolution->port, "%u", address->port);
    return resolution;
}

/* Signals are for the threads that expect them. */
static int resolution_start(struct resolution *resolution)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    atomic_fetch_add(&resolution->holders, 1);
    int error = pthread_create(&thread, &attributes, resolution_run, resolution);
    if (error != 0)
        atomic_fetch_sub(&resolution->holders, 1);
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -error;
}

static int resolution_take(struct resolution *resolution, struct addrinfo **list, char *why, size_t size)
{
    if (!atomic_load_explicit(&resolution->done, memory_order_acquire))
        return -EIO;
    *list = resolution->list;
    resolution->list = NULL;
    if (resolution->error == 0)
        return 0;
    snprintf(why, size, "the name cannot be resolved: %s",
             resolution->error == EAI_SYSTEM ? strerror(resolution->system_error) : gai_strerror(resolution->error));
    return -EHOSTUNREACH;
}

int client_resolve(struct client *client, const struct config_address *address, struct addrinfo **list, char *why,
                   size_t size)
{
    struct addrinfo numeric = stream_hints;
    char port[8];

    *list = NULL;
    why[0] = '\0';
    numeric.ai_flags |= AI_NUMERICHOST;
    snprintf(port, sizeof port, "%u", address->port);
    if (getaddrinfo(address->host, port, &numeric, list) == 0)
        return 0;

    struct resolution *resolution = resolution_new(address);
    if (!resolution)
        return -ENOMEM;
    int result = resolution_start(resolution);
    if (result == 0)
        result = client_wait(client, resolution->done_fd, POLLIN, client->options.connect_timeout);
    if (result == 0)
        result = resolution_take(resolution, list, why, size);
    resolution_drop(resolution);
    return result;
}
