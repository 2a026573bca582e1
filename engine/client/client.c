#include "engine/client/client_internal.h"
#include "engine/client/put.h"
#include "engine/client/verify.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/printable.h"
#include "ktls/probe.h"

#define RING_ENTRIES 64
#define JOB_THREADS 2
#define POOL_BUFFERS 8
#define POOL_PIPES 2
#define CONNECT_TIMEOUT_MS 10000
#define IDLE_TIMEOUT_MS 60000

static int no_client(struct config_errors *errors, int result, const char *what)
{
    config_errors_add_at(errors, CONFIG_ERROR, NULL, NULL, "%s", what);
    return result;
}

/* Said before anything is connected: with offload = required there would be no use in it. */
static int check_offload(const struct client_options *options, struct config_errors *errors)
{
    struct ktls_abilities abilities;
    if (options->profile->offload != CONFIG_OFFLOAD_REQUIRED)
        return CLIENT_OK;
    ktls_probe(options->sys ? options->sys : &ktls_sys_linux, &abilities);
    if (abilities.ulp)
        return CLIENT_OK;
    config_errors_add_at(errors, CONFIG_ERROR, options->profile->section, "offload", "offload = required, but %s",
                         abilities.missing);
    return CLIENT_CONFIG;
}

/* What each client has for itself. 0 or -errno. */
static int make_parts(struct client *client)
{
    int error = ring_new(&client->ring, RING_ENTRIES, client->options.seam);
    if (error == 0)
        error = jobs_new(&client->jobs, JOB_THREADS, "sluice-client", 0);
    if (error == 0)
        error = pump_pool_new(&client->pool, client->ring, POOL_BUFFERS, POOL_PIPES);
    client->reader = http_reader_new(HTTP_RESPONSES, CLIENT_HEAD_LIMIT);
    client->inbox = malloc(CLIENT_INBOX_SIZE);
    return error == 0 && (!client->reader || !client->inbox) ? -ENOMEM : error;
}

static int client_prepare(struct client *client, struct config_errors *errors)
{
    char why[256];

    if (ring_usable(why, sizeof why) < 0)
        return no_client(errors, CLIENT_FAILED, why);
    client->context = tls_context_new(client->options.profile, "", errors);
    int result = client_login_load(client, errors);
    if (!client->context || result != CLIENT_OK)
        return CLIENT_CONFIG;
    int error = make_parts(client);
    return error < 0 ? no_client(errors, CLIENT_FAILED, strerror(-error)) : CLIENT_OK;
}

int client_new(struct client **out, const struct client_options *options, struct config_errors *errors)
{
    *out = NULL;
    int result = check_offload(options, errors);
    if (result != CLIENT_OK)
        return result;
    if (!options->addresses || options->addresses->count == 0)
        return no_client(errors, CLIENT_CONFIG, "there is no address to connect to; give the partner a `host`");
    struct client *client = calloc(1, sizeof *client);
    if (!client)
        return no_client(errors, CLIENT_FAILED, "no memory");
    client->options = *options;
    if (!client->options.sys)
        client->options.sys = &ktls_sys_linux;
    if (client->options.connect_timeout == 0)
        client->options.connect_timeout = CONNECT_TIMEOUT_MS;
    if (client->options.idle_timeout == 0)
        client->options.idle_timeout = IDLE_TIMEOUT_MS;
    client_address(client, &options->addresses->items[0]);
    client_limit(client, 1);
    result = client_prepare(client, errors);
    if (result != CLIENT_OK) {
        client_free(client);
        return result;
    }
    if (options->interrupt_fd > 0)
        client_op_poll(client, &client->interrupt, options->interrupt_fd, POLLIN);
    *out = client;
    return CLIENT_OK;
}

int client_new_beside(struct client **out, struct client *first, const struct config_address *prefer)
{
    *out = NULL;
    struct client *client = calloc(1, sizeof *client);
    if (!client)
        return -ENOMEM;
    client->options = first->options;
    client->context = tls_context_hold(first->context);
    memcpy(client->login, first->login, sizeof client->login);
    client->prefer = prefer;
    client_limit(client, 1);
    client_address(client, prefer ? prefer : &first->options.addresses->items[0]);
    int error = make_parts(client);
    if (error < 0) {
        client_free(client);
        return error;
    }
    if (client->options.interrupt_fd > 0)
        client_op_poll(client, &client->interrupt, client->options.interrupt_fd, POLLIN);
    *out = client;
    return 0;
}

void client_free(struct client *client)
{
    if (!client)
        return;
    if (client->channel)
        client_end(client);
    put_look_forget(client);
    if (client->interrupt.busy)
        client_settle(client, &client->interrupt);
    if (client->stop.busy)
        client_settle(client, &client->stop);
    jobs_free(client->jobs);
    pump_pool_free(client->pool);
    ring_free(client->ring);
    tls_context_drop(client->context);
    http_reader_free(client->reader);
    free(client->inbox);
    free(client->stream_list);
    free(client->remote);
    free(client->local);
    client_login_wipe(client);
    free(client);
}

void client_watch(struct client *client, client_progress *progress, void *argument)
{
    client->progress = progress;
    client->progress_argument = argument;
}

void client_show(struct client *client, const struct pump *pump, uint64_t before, uint64_t total)
{
    if (client->verify)
        verify_reached(client->verify, before + pump->moved);
    if (client->progress)
        client->progress(client->progress_argument, before + pump->moved, total, pump_path_name(pump));
}

const struct client_transfer *client_last(const struct client *client)
{
    return &client->last;
}

const char *client_reason(const struct client *client)
{
    return client->reason;
}

int client_fail(struct client *client, int result, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(client->reason, sizeof client->reason, format, arguments);
    va_end(arguments);
    return result;
}

static int channel_result(int error)
{
    switch (error) {
    case -EACCES:
        return CLIENT_TLS;
    case -EOPNOTSUPP:
        return CLIENT_CONFIG;
    case -EINTR:
        return CLIENT_INTERRUPTED;
    case -ENOMEM:
        return CLIENT_FAILED;
    default:
        return CLIENT_CUT;
    }
}

int client_fail_channel(struct client *client, int error, const char *doing)
{
    char reason[512] = "";
    if (error == -EINTR)
        return client_fail(client, CLIENT_INTERRUPTED, "interrupted");
    if (error == -ETIMEDOUT)
        return client_fail(client, CLIENT_CUT, "%s: nothing moved for %u ms %s", client->peer,
                           client->options.idle_timeout, doing);
    if (error == -ENODATA)
        return client_fail(client, CLIENT_CUT, "%s: the connection ended %s", client->peer, doing);
    if (client->channel)
        client_escape(channel_reason(client->channel), reason, sizeof reason);
    return client_fail(client, channel_result(error), "%s: %s %s", client->peer, reason[0] ? reason : strerror(-error),
                       doing);
}

int client_fail_local(struct client *client, const char *doing, int error)
{
    char name[512];
    if (error == -EINTR)
        return client_fail(client, CLIENT_INTERRUPTED, "interrupted");
    client_escape(client->local, name, sizeof name);
    return client_fail(client, CLIENT_LOCAL, "%s %s: %s", doing, name, strerror(-error));
}

int client_begin(struct client *client, const char *direction, const char *remote, const char *local)
{
    free(client->remote);
    free(client->local);
    client->remote = strdup(remote);
    client->local = strdup(local);
    client->reason[0] = '\0';
    client->why[CHANNEL_TX][0] = client->why[CHANNEL_RX][0] = '\0';
    client->version[0] = client->suite[0] = '\0';
    client->subject[0] = client->authentication[0] = '\0';
    client->digest[0] = client->unverified[0] = '\0';
    client->note[0] = '\0';
    free(client->stream_list);
    client->stream_list = NULL;
    client->limited_by[0] = client->skipped[0] = '\0';
    put_look_forget(client);
    snprintf(client->path, sizeof client->path, "none");
    client->last = (struct client_transfer){ .direction = direction,
                                             .remote = client->remote ? client->remote : "",
                                             .local = client->local ? client->local : "",
                                             .path = client->path,
                                             .tx = client->why[CHANNEL_TX],
                                             .rx = client->why[CHANNEL_RX],
                                             .version = client->version,
                                             .suite = client->suite,
                                             .peer = client->peer,
                                             .subject = client->subject,
                                             .authentication = client->authentication,
                                             .digest = client->digest,
                                             .note = client->note,
                                             .unverified = client->unverified,
                                             .skipped = client->skipped,
                                             .limited_by = client->limited_by };
    clock_gettime(CLOCK_MONOTONIC, &client->started);
    if (!client->remote || !client->local)
        return client_fail(client, CLIENT_FAILED, "no memory");
    return CLIENT_OK;
}

void client_note_session(struct client *client)
{
    if (!client->channel)
        return;
    const struct channel_facts *facts = channel_facts(client->channel);
    for (int way = CHANNEL_TX; way <= CHANNEL_RX; way++)
        snprintf(client->why[way], sizeof client->why[way], "%s", channel_why(client->channel, (enum channel_way)way));
    snprintf(client->version, sizeof client->version, "%s", facts->version);
    snprintf(client->suite, sizeof client->suite, "%s", facts->suite);
    snprintf(client->subject, sizeof client->subject, "%s", facts->peer_subject);
    snprintf(client->authentication, sizeof client->authentication, "%s%s",
             !facts->peer_verified ? "none"
             : facts->mutual       ? "mutual"
                                   : "server",
             client_login(client) ? "+password" : "");
    client->last.resumed = facts->resumed;
}

void client_note_path(struct client *client, const struct pump *pump)
{
    _Static_assert(CLIENT_PATH_SIZE == PUMP_TOLD_SIZE, "room for what is told");
    if (pump && pump->choice.path && (pump->moved > 0 || client->last.bytes == 0))
        pump_told(&pump->choice, client->path);
    else if (!pump)
        snprintf(client->path, sizeof client->path, "%s",
                 channel_mode(client->channel, CHANNEL_RX) == CHANNEL_KERNEL ? "recv" : "user");
}

static void tell_mismatch(const struct client *client)
{
    char reason[sizeof client->reason];

    event(client->options.log, "T11E", EVENT_T("direction", client->last.direction),
          EVENT_T("path", client->last.remote), EVENT_T("local", client->last.local), EVENT_T("peer", client->peer),
          EVENT_T("digest", client->digest), EVENT_T("reason", client_escape(client->reason, reason, sizeof reason)));
}

int client_finish(struct client *client, int result)
{
    struct timespec now;
    if (result == CLIENT_DIGEST)
        tell_mismatch(client);
    clock_gettime(CLOCK_MONOTONIC, &now);
    client->last.seconds =
        (double)(now.tv_sec - client->started.tv_sec) + (double)(now.tv_nsec - client->started.tv_nsec) / 1e9;
    if (!client->why[CHANNEL_TX][0])
        client_note_session(client);
    if (!client->channel)
        return result;
    if (client->keep)
        channel_trim(client->channel);
    else
        client_end(client);
    return result;
}

const char *client_escape(const char *text, char *out, size_t size)
{
    size_t left = strlen(text), at = 0;

    /* Room for a character and a NUL; escaped, each byte of it makes four. */
    while (left > 0 && at + 17 <= size) {
        uint32_t point = 0;
        size_t length = printable_decode(text, left, &point), taken = length ? length : 1;
        bool escaped = length == 0 || printable_deceives(point);
        for (size_t i = 0; i < taken; i++) {
            if (escaped)
                at += (size_t)sprintf(out + at, "\\x%02x", (unsigned char)text[i]);
            else
                out[at++] = text[i];
        }
        text += taken;
        left -= taken;
    }
    out[at] = '\0';
    return out;
}
