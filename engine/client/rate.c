/*
 * How fast a body may move. What we send our kernel paces. What we fetch the server's kernel does, where the server
 * says that it heard our wish; from any other no more than that is read, and TCP makes it wait.
 */
#include "engine/client/client_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/rate.h"

void client_limit(struct client *client, unsigned streams)
{
    uint64_t rate = client->options.limit_rate;
    client->rate = rate / (streams ? streams : 1);
    if (rate && client->rate < CONFIG_RATE_MIN)
        client->rate = CONFIG_RATE_MIN;
}

static void note(struct client *client, const char *by)
{
    client->last.limit = client->options.limit_rate;
    snprintf(client->limited_by, sizeof client->limited_by, "%s", by);
}

void client_rate_write(const struct client *client, const char *method, struct http_writer *writer)
{
    if (client->rate && strcmp(method, "GET") == 0)
        http_write(writer, HTTP_LIMIT_RATE ": %llu\r\n", (unsigned long long)client->rate);
}

/* Whether the head that is in the reader says that the server holds its body back for us. */
static bool server_limits(const struct client *client)
{
    const char *text = http_field(http_reader_result(client->reader), HTTP_LIMIT_RATE);
    uint64_t rate;
    return text && config_rate_parse(text, &rate) == 0 && rate <= client->rate;
}

/* Nobody wants a transfer to fail over this; but what does not happen is said. */
static void pace(struct client *client)
{
    char reason[80];
    int error = channel_pace(client->channel, client->rate);
    if (client->rate == 0)
        return;
    if (error == 0) {
        note(client, "our kernel");
        return;
    }
    snprintf(reason, sizeof reason, "nobody: SO_MAX_PACING_RATE: %s", strerror(-error));
    note(client, reason);
    event(client->options.log, "T18W", EVENT_T("peer", client->peer), EVENT_T("path", client->remote),
          EVENT_N("rate", client->rate), EVENT_T("reason", strerror(-error)));
}

uint64_t client_rate_begin(struct client *client, enum pump_way way)
{
    if (way == PUMP_SEND) {
        pace(client);
        return client->rate;
    }
    if (client->rate == 0)
        return 0;
    bool limits = server_limits(client);
    note(client, limits ? "the server" : "reading slowly");
    return limits ? 0 : client->rate;
}
