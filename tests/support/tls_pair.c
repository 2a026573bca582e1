#include "tests/support/tls_pair.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "tls_pair.c:%d: %s\n", __LINE__, #condition);                                              \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

static void list_of(struct config_list *list, const char *item)
{
    for (size_t i = 0; i < list->count; i++) /* the default */
        free(list->items[i]);
    free(list->items);
    list->items = calloc(1, sizeof(*list->items));
    MUST(list->items);
    list->items[0] = strdup(item);
    list->count = 1;
}

static void make_once(struct pki *pki, const char *name)
{
    char file[64];

    snprintf(file, sizeof(file), "%s.pem", name);
    if (access(pki_path(pki, file), R_OK) != 0)
        pki_make(pki, &(struct pki_leaf){ .name = name });
}

struct config_profile *tls_end_profile(struct pki *pki, enum config_role role, const char *suite, unsigned version,
                                       enum config_offload offload)
{
    struct config_profile *profile = config_profile_default(role);
    const char *name = role == CONFIG_SERVER ? "server" : "client";
    char file[64];

    MUST(profile);
    make_once(pki, name);
    snprintf(file, sizeof(file), "%s.pem", name);
    config_list_add(&profile->certificate, pki_path(pki, file));
    snprintf(file, sizeof(file), "%s.key", name);
    config_list_add(&profile->key, pki_path(pki, file));
    list_of(&profile->trust, pki_path(pki, "ca.pem"));
    if (suite)
        list_of(&profile->ciphers, suite);
    if (version != 0)
        profile->min_version = profile->max_version = version;
    profile->offload = offload;
    return profile;
}

struct tls_end tls_end_from(struct config_profile *profile)
{
    struct config_errors errors = { 0 };
    const char *scope = profile->role == CONFIG_SERVER ? "test" : "";
    struct tls_end end = { .profile = profile, .context = tls_context_new(profile, scope, &errors) };

    if (!end.context)
        config_errors_print(&errors, stderr);
    MUST(end.context);
    config_errors_clear(&errors);
    return end;
}

struct tls_end tls_end_new(struct pki *pki, enum config_role role, const char *suite, unsigned version,
                           enum config_offload offload)
{
    return tls_end_from(tls_end_profile(pki, role, suite, version, offload));
}

void tls_end_free(struct tls_end *end)
{
    tls_context_drop(end->context);
    config_profile_free(end->profile);
}

void tls_sockets(int *server, int *client)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    MUST(listener >= 0 && bind(listener, (struct sockaddr *)&address, length) == 0 && listen(listener, 1) == 0);
    MUST(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
    *client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MUST(*client >= 0 && connect(*client, (struct sockaddr *)&address, length) == 0);
    *server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    MUST(*server >= 0);
    close(listener);
}

struct tls_pair tls_pair_new(const struct tls_end *server, const struct tls_end *client,
                             const struct ktls_sys *server_sys, const struct ktls_sys *client_sys)
{
    struct tls_pair pair;
    int server_fd, client_fd;

    tls_sockets(&server_fd, &client_fd);
    pair.server = channel_accept(server->context, server_fd, server_sys);
    pair.client = channel_connect(client->context, client_fd, "localhost", 4433, client_sys);
    MUST(pair.server && pair.client);
    return pair;
}

void tls_pair_free(struct tls_pair *pair)
{
    channel_free(pair->server);
    channel_free(pair->client);
    *pair = (struct tls_pair){ 0 };
}

void tls_wait(const struct channel *channel)
{
    struct pollfd ready = { .fd = channel_fd(channel), .events = channel_events(channel) };
    MUST(poll(&ready, 1, 1000) == 1);
}

static int shake(struct channel *channel, int before)
{
    return before == -EAGAIN ? channel_handshake(channel) : before;
}

void tls_pair_shake(struct tls_pair *pair, int *server, int *client)
{
    *server = *client = -EAGAIN;
    for (int turns = 0; turns < 5000 && (*server == -EAGAIN || *client == -EAGAIN); turns++) {
        *client = shake(pair->client, *client);
        *server = shake(pair->server, *server);
        struct pollfd ready[] = {
            { .fd = channel_fd(pair->server), .events = *server == -EAGAIN ? channel_events(pair->server) : 0 },
            { .fd = channel_fd(pair->client), .events = *client == -EAGAIN ? channel_events(pair->client) : 0 },
        };
        if (*server == -EAGAIN || *client == -EAGAIN)
            poll(ready, 2, 10);
    }
}

ssize_t tls_read_all(struct channel *channel, void *buffer, size_t size)
{
    size_t have = 0;

    while (have < size) {
        ssize_t got = channel_read(channel, (char *)buffer + have, size - have);
        if (got == 0)
            break;
        if (got == -EAGAIN)
            tls_wait(channel);
        else if (got < 0)
            return got;
        else
            have += (size_t)got;
    }
    return (ssize_t)have;
}

ssize_t tls_write_all(struct channel *channel, const void *bytes, size_t size)
{
    size_t done = 0;

    while (done < size) {
        ssize_t sent = channel_write(channel, (const char *)bytes + done, size - done);
        if (sent == -EAGAIN)
            tls_wait(channel);
        else if (sent < 0)
            return sent;
        else
            done += (size_t)sent;
    }
    for (;;) {
        int failed = channel_flush(channel);
        if (failed != -EAGAIN)
            return failed ? failed : (ssize_t)done;
        tls_wait(channel);
    }
}

static uint8_t pattern(size_t at)
{
    return (uint8_t)(at * 31 + at / 16384 * 7 + at / 251);
}

/* One write of at most 48 KiB, so that the reader gets its turn before the sockets are full. */
static ssize_t carry_out(struct channel *from, size_t at, size_t size)
{
    uint8_t bytes[49152];
    size_t part = size - at < sizeof(bytes) ? size - at : sizeof(bytes);

    for (size_t i = 0; i < part; i++)
        bytes[i] = pattern(at + i);
    ssize_t sent = channel_write(from, bytes, part);
    int failed = channel_flush(from);
    return sent < 0 || !failed || failed == -EAGAIN ? sent : failed;
}

static ssize_t carry_in(struct channel *to, size_t at, size_t size)
{
    uint8_t bytes[30000];
    size_t part = size - at < sizeof(bytes) ? size - at : sizeof(bytes);
    ssize_t got = channel_read(to, bytes, part);

    for (ssize_t i = 0; i < got; i++)
        if (bytes[i] != pattern(at + (size_t)i))
            return -EILSEQ;
    return got == 0 ? -ENODATA : got;
}

int tls_carry(struct channel *from, struct channel *to, size_t size)
{
    size_t sent = 0, received = 0;

    while (received < size) {
        ssize_t out = sent < size ? carry_out(from, sent, size) : channel_flush(from);
        if (out < 0 && out != -EAGAIN)
            return (int)out;
        sent += out > 0 ? (size_t)out : 0;
        ssize_t in = carry_in(to, received, size);
        if (in < 0 && in != -EAGAIN)
            return (int)in;
        received += in > 0 ? (size_t)in : 0;
        if (in == -EAGAIN && (sent == size || out == -EAGAIN))
            tls_wait(to);
    }
    return 0;
}
