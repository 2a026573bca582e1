#include "engine/client/client_internal.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/store/store.h"

#define GOODBYE_MS 500 /* for a close_notify that a full socket does not take at once */

/* What was tried and what came of it, for the sentence that says that nothing answered. */
struct attempts {
    char text[768];
    size_t length;
};

static void attempts_add(struct attempts *attempts, const char *where, const char *what)
{
    size_t room = sizeof attempts->text - attempts->length;
    int written =
        snprintf(attempts->text + attempts->length, room, "%s%s: %s", attempts->length ? "; " : "", where, what);
    if (written > 0)
        attempts->length += (size_t)written < room ? (size_t)written : room - 1;
}

static void address_text(const struct config_address *address, char *text, size_t size)
{
    snprintf(text, size, strchr(address->host, ':') ? "[%s]:%u" : "%s:%u", address->host, address->port);
}

void client_address(struct client *client, const struct config_address *address)
{
    client->address = address;
    address_text(address, client->peer, sizeof client->peer);
}

static const char *wait_error(int error)
{
    return error == -ETIMEDOUT ? "no answer in time" : strerror(-error);
}

/* A connected socket, or -errno. */
static int connect_socket(struct client *client, const struct addrinfo *to)
{
    int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;

    struct client_op op = { 0 };
    client_op_connect(client, &op, fd, to->ai_addr, to->ai_addrlen);
    int result = client_wait_op(client, &op, client->options.connect_timeout);
    if (result < 0) {
        close(fd);
        return result;
    }
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

/* The socket's own address as text: where a name has several, it says which was tried. */
static void numeric_text(const struct addrinfo *to, char *text, size_t size)
{
    char host[INET6_ADDRSTRLEN], port[8];
    if (getnameinfo(to->ai_addr, to->ai_addrlen, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        snprintf(text, size, "an address");
    else
        snprintf(text, size, to->ai_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
}

struct handshake {
    struct channel *channel;
    int result;
};

static void handshake_step(void *argument)
{
    struct handshake *handshake = argument;
    handshake->result = channel_handshake(handshake->channel);
}

static int handshake(struct client *client)
{
    uint64_t deadline = client_now() + client->options.connect_timeout;
    for (;;) {
        struct handshake step = { .channel = client->channel };
        client_job(client, handshake_step, &step);
        if (step.result != -EAGAIN)
            return step.result;
        int waited = client_wait_channel(client, deadline);
        if (waited < 0)
            return waited;
    }
}

static void tell_certificate(struct client *client, const char *id, const struct tls_peer *certificate)
{
    char days[16];

    if (!certificate)
        return;
    snprintf(days, sizeof days, "%d", tls_peer_days(certificate));
    event(client->options.log, id, EVENT_T("peer", client->peer), EVENT_T("subject", certificate->subject),
          EVENT_T("issuer", certificate->issuer), EVENT_T("serial", certificate->serial), EVENT_T("days", days));
}

static const char *authentication_of(const struct client *client)
{
    const struct channel_facts *facts = channel_facts(client->channel);

    if (!facts->peer_verified)
        return "none";
    /* A resumed session is as authenticated as the one it goes back to, but shows no certificate again. */
    bool shown = facts->resumed ? client->options.profile->certificate.count > 0 : channel_own(client->channel) != NULL;
    return shown ? "both" : "server";
}

static void tell_session(struct client *client)
{
    const struct channel_facts *facts = channel_facts(client->channel);

    tell_certificate(client, "Y23I", channel_own(client->channel));
    if (facts->peer_verified)
        tell_certificate(client, "Y21I", channel_peer(client->channel));
    event(client->options.log, "Y14I", EVENT_T("peer", client->peer), EVENT_T("profile", client->options.profile->name),
          EVENT_T("version", facts->version), EVENT_T("suite", facts->suite), EVENT_T("group", facts->group),
          EVENT_T("authentication", authentication_of(client)), EVENT_T("resumed", facts->resumed ? "yes" : "no"),
          EVENT_T("subject", facts->peer_subject), EVENT_T("tx", channel_why(client->channel, CHANNEL_TX)),
          EVENT_T("rx", channel_why(client->channel, CHANNEL_RX)), EVENT_T("note", client->options.profile->note));
}

struct keeping {
    const struct client *client;
    int result;
};

static void keep_chain_run(void *argument)
{
    struct keeping *keeping = argument;
    const struct channel *channel = keeping->client->channel;
    char *chain = channel_peer_chain(channel);
    char name[80];

    if (!chain)
        return; /* a resumed session shows none */
    snprintf(name, sizeof name, "%s.pem", channel_peer(channel)->fingerprint);
    keeping->result = store_keep(keeping->client->options.profile->save_chain, name, chain);
    free(chain);
}

/* A chain that cannot be kept is no reason not to transfer. */
static void keep_chain(struct client *client)
{
    struct keeping keeping = { .client = client };
    const char *directory = client->options.profile->save_chain;

    if (!directory || !channel_peer(client->channel) || !channel_facts(client->channel)->peer_verified)
        return;
    client_job(client, keep_chain_run, &keeping);
    if (keeping.result < 0)
        event(client->options.log, "Y24W", EVENT_T("peer", client->peer), EVENT_T("directory", directory),
              EVENT_T("reason", strerror(-keeping.result)));
}

/* CLIENT_OK, CLIENT_CONNECT where another address may do better, or what ends the call. */
static int shake_hands(struct client *client, int fd, struct attempts *attempts)
{
    client->channel =
        channel_connect(client->context, fd, client->address->host, client->address->port, client->options.sys);
    if (!client->channel)
        return client_fail(client, CLIENT_FAILED, "no memory for a connection to %s", client->peer);
    int error = handshake(client);
    if (error == 0) {
        tell_session(client);
        keep_chain(client);
        return CLIENT_OK;
    }
    char reason[300];
    client_escape(channel_reason(client->channel), reason, sizeof reason);
    bool by_peer = channel_failed_at_peer(client->channel);
    client_break(client);
    if (error == -EINTR)
        return client_fail(client, CLIENT_INTERRUPTED, "interrupted");
    if (error == -ETIMEDOUT || error == -ECONNRESET || error == -ENODATA) {
        attempts_add(attempts, client->peer,
                     error == -ETIMEDOUT ? "no TLS handshake in time"
                     : reason[0]         ? reason
                                         : "closed the connection in the handshake");
        return CLIENT_CONNECT;
    }
    event(client->options.log, by_peer ? "Y30E" : "Y13E", EVENT_T("peer", client->peer), EVENT_T("reason", reason));
    return client_fail(client, error == -EOPNOTSUPP ? CLIENT_CONFIG : CLIENT_TLS, "%s: TLS handshake failed: %s",
                       client->peer, reason[0] ? reason : strerror(-error));
}

static int try_address(struct client *client, const struct config_address *address, struct attempts *attempts)
{
    char where[64], why[200];
    struct addrinfo *list;

    client_address(client, address);
    int error = client_resolve(client, address, &list, why, sizeof why);
    if (error == -EINTR)
        return client_fail(client, CLIENT_INTERRUPTED, "interrupted");
    if (error < 0) {
        attempts_add(attempts, client->peer,
                     why[0]                ? why
                     : error == -ETIMEDOUT ? "the name was not resolved in time"
                                           : strerror(-error));
        return CLIENT_CONNECT;
    }
    int result = CLIENT_CONNECT;
    for (const struct addrinfo *to = list; to && result == CLIENT_CONNECT; to = to->ai_next) {
        int fd = connect_socket(client, to);
        if (fd == -EINTR) {
            result = client_fail(client, CLIENT_INTERRUPTED, "interrupted");
        } else if (fd < 0) {
            numeric_text(to, where, sizeof where);
            attempts_add(attempts, where, wait_error(fd));
        } else {
            result = shake_hands(client, fd, attempts);
        }
    }
    freeaddrinfo(list);
    return result;
}

static int connect_any(struct client *client)
{
    const struct config_addresses *addresses = client->options.addresses;
    struct attempts attempts = { 0 };

    client->used = false;
    client->keep = false;
    client->taken = client->filled = 0;
    int result = CLIENT_CONNECT;
    size_t first = client->prefer ? (size_t)(client->prefer - addresses->items) : 0;
    for (size_t i = 0; i < addresses->count && result == CLIENT_CONNECT; i++) {
        const struct config_address *address = &addresses->items[(first + i) % addresses->count];
        if (!client->may_use || client->may_use(client->may_use_argument, address))
            result = try_address(client, address, &attempts);
    }
    if (result == CLIENT_CONNECT)
        return client_fail(client, CLIENT_CONNECT, "no connection: %s",
                           attempts.length ? attempts.text : "there is no address to try");
    return result;
}

/* What a server says unasked on an idle connection is either a ticket, which is fine, or its end. */
static bool still_good(struct client *client)
{
    if (!client->keep || client->taken != client->filled || channel_worn(client->channel))
        return false;
    struct pollfd ready = { .fd = channel_fd(client->channel), .events = POLLIN };
    if (poll(&ready, 1, 0) == 0 && !channel_pending(client->channel))
        return true;
    char byte;
    return channel_read(client->channel, &byte, 1) == -EAGAIN;
}

int client_open(struct client *client)
{
    if (client->interrupted)
        return client_fail(client, CLIENT_INTERRUPTED, "interrupted");
    if (client->channel && still_good(client)) {
        client->used = true;
        return CLIENT_OK;
    }
    client_end(client);
    return connect_any(client);
}

void client_end(struct client *client)
{
    if (!client->channel)
        return;
    uint64_t deadline = client_now() + GOODBYE_MS;
    while (channel_close_notify(client->channel) == -EAGAIN && client_wait_channel(client, deadline) == 0)
        ;
    client_break(client);
}

void client_break(struct client *client)
{
    channel_free(client->channel);
    client->channel = NULL;
}
