#include "engine/client/client_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct source {
    const char *local;
    int fd; /* or -errno */
    struct stat facts;
};

/* O_NONBLOCK: so that a FIFO is refused, not waited for. It goes again: with it a ring would not wait for the disk. */
static void source_open(void *argument)
{
    struct source *source = argument;
    source->fd = open(source->local, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (source->fd < 0)
        source->fd = -errno;
    else if (fstat(source->fd, &source->facts) < 0 || fcntl(source->fd, F_SETFL, 0) < 0) {
        int error = -errno;
        close(source->fd);
        source->fd = error;
    }
}

/* To the kernel, once what OpenSSL has taken is out. 0 whichever way it went. */
static int switch_for(struct client *client, uint64_t length)
{
    uint64_t deadline = client_now() + client->options.idle_timeout;
    for (;;) {
        int error = channel_switch(client->channel, CHANNEL_TX, length);
        if (error != -EAGAIN)
            return error == 1 ? 0 : error;
        error = channel_flush(client->channel);
        if (error == -EAGAIN)
            error = client_wait_channel(client, deadline);
        if (error < 0)
            return error;
    }
}

static int flush(struct client *client)
{
    uint64_t deadline = client_now() + client->options.idle_timeout;
    int error;
    while ((error = channel_flush(client->channel)) == -EAGAIN) {
        error = client_wait_channel(client, deadline);
        if (error < 0)
            break;
    }
    return error;
}

static int file_failed(struct client *client, const struct pump *pump, int error)
{
    char name[512];
    if (pump->fault == PUMP_FAULT_FILE)
        return client_fail_local(client, "reading", error);
    client_escape(client->local, name, sizeof name);
    return client_fail(client, CLIENT_LOCAL, "%s became shorter while it was sent; the server has nothing of it", name);
}

int client_send_body(struct client *client, const struct client_request *request)
{
    if (request->length == 0)
        return 0;
    int error = switch_for(client, request->length);
    if (error < 0) {
        client_note_session(client);
        return error;
    }
    struct client_pump run = {
        .pump = { .way = PUMP_SEND, .file = request->file, .length = request->length },
        .total = request->length,
        .listen = true,
    };
    error = client_run_pump(client, &run);
    client->last.bytes = run.pump.moved;
    client_note_path(client, &run.pump);
    if (error < 0 && (run.pump.fault == PUMP_FAULT_FILE || run.pump.fault == PUMP_FAULT_SHRUNK)) {
        client_note_session(client);
        return file_failed(client, &run.pump, error);
    }
    if (error == 0)
        error = flush(client);
    client_note_session(client);
    return error;
}

static int judge(struct client *client, uint64_t length)
{
    unsigned status = client->last.status;
    if (status != 200 && status != 201 && status != 204) {
        if (status >= 300)
            return client_unwelcome(client);
        client->keep = false;
        return client_fail(client, CLIENT_SERVER, "%s answers a PUT with %u %s", client->peer, status,
                           http_reason(status));
    }
    if (client->last.bytes == length) {
        char *bytes;
        size_t got;
        if (client_body_to_memory(client, CLIENT_HEAD_LIMIT, &bytes, &got) == 0)
            free(bytes);
        return CLIENT_OK;
    }
    client->keep = false;
    return client_fail(client, CLIENT_SERVER, "%s says %u %s, but it has not got the whole file", client->peer, status,
                       http_reason(status));
}

static int put(struct client *client, const char *local, const char *remote)
{
    struct source source = { .local = local };
    char name[512];

    client_job(client, source_open, &source);
    if (source.fd < 0)
        return client_fail_local(client, "opening", source.fd);
    if (!S_ISREG(source.facts.st_mode)) {
        close(source.fd);
        return client_fail(client, CLIENT_LOCAL, "%s is not a regular file", client_escape(local, name, sizeof name));
    }
    const struct client_request request = {
        .method = "PUT", .remote = remote, .file = source.fd, .has_body = true, .length = (uint64_t)source.facts.st_size
    };
    int result = client_exchange(client, &request);
    if (result == CLIENT_OK)
        result = judge(client, request.length);
    close(source.fd);
    return result;
}

int client_put(struct client *client, const char *local, const char *remote)
{
    int result = client_begin(client, "put", remote, local);
    if (result == CLIENT_OK)
        result = put(client, local, remote);
    return client_finish(client, result);
}
