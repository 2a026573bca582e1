#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "engine/client/pipeline_internal.h"

/* -- who encrypts -------------------------------------------------------------------------------------------------- */

/*
 * Small bodies come many to a record, so RX goes to the kernel at the first record boundary, whatever part of an answer
 * is read by then: what was decrypted stands in the inbox, and the kernel decrypts the rest.
 */
int pipeline_prepare_reading(struct pipeline *pipeline)
{
    struct client *client = pipeline->client;

    if (pipeline->settled || pipeline->lane->put || client->taken < client->filled)
        return 0;
    int error = channel_switch(client->channel, CHANNEL_RX, UINT64_MAX);
    if (error == -EAGAIN)
        return 0;
    pipeline->settled = error >= 0;
    if (error >= 0)
        client_note_path(client, NULL);
    return error > 0 ? 0 : error;
}

int pipeline_prepare_sending(struct pipeline *pipeline)
{
    struct client *client = pipeline->client;
    uint64_t deadline = client_now() + client->options.idle_timeout;

    snprintf(client->path, sizeof client->path, "user");
    while (pipeline->lane->put && !pipeline->settled) {
        int error = channel_switch(client->channel, CHANNEL_TX, UINT64_MAX);
        pipeline->settled = error >= 0;
        if (error == 0)
            snprintf(client->path, sizeof client->path, "send");
        if (error == -EAGAIN)
            error = channel_flush(client->channel);
        if (error == -EAGAIN)
            error = client_wait_channel(client, deadline);
        if (error < 0)
            return error;
    }
    client_note_session(client);
    return 0;
}

int pipeline_read_body(struct pipeline *pipeline, bool *moved, int (*take)(struct pipeline *pipeline))
{
    struct client *client = pipeline->client;

    if (client->taken == client->filled) {
        int error = pipeline_prepare_reading(pipeline);
        if (error < 0)
            return error;
        ssize_t got = channel_read(client->channel, client->inbox, CLIENT_INBOX_SIZE);
        if (got < 0)
            return (int)got;
        client->taken = 0;
        client->filled = (size_t)got;
        if (got == 0 && http_reader_result(client->reader)->framing != HTTP_BODY_TO_END)
            return -ENODATA;
        pipeline->body_ended = got == 0;
        *moved = true;
    }
    return client->taken < client->filled ? take(pipeline) : 0;
}

/* -- threads ------------------------------------------------------------------------------------------------------- */

struct lane_thread {
    pthread_t thread;
    bool runs;
    struct client *first;
    const struct pipeline_lane *lane;
    int result;
    char reason[1024];
};

static void *lane_main(void *argument)
{
    struct lane_thread *thread = argument;
    struct client *client;

    int error = client_new_beside(&client, thread->first, NULL);
    if (error < 0) {
        thread->result = CLIENT_FAILED;
        snprintf(thread->reason, sizeof thread->reason, "another connection: %s", strerror(-error));
        return NULL;
    }
    thread->result = pipeline_run(client, thread->lane);
    snprintf(thread->reason, sizeof thread->reason, "%s", client_reason(client));
    client_free(client);
    return NULL;
}

bool client_pipelines_do(const struct client *client)
{
    return client->options.limit_rate == 0 && client->options.if_exists == CLIENT_IF_EXISTS_REPLACE;
}

int client_pipelines(struct client *client, const struct pipeline_lane *lanes, unsigned count)
{
    struct lane_thread threads[PIPELINE_LANES_MAX] = { 0 };

    count = count < PIPELINE_LANES_MAX ? count : PIPELINE_LANES_MAX;
    /* A lane that has no thread is none: the others do its work. */
    for (unsigned i = 1; i < count; i++) {
        threads[i] = (struct lane_thread){ .first = client, .lane = &lanes[i] };
        threads[i].runs = pthread_create(&threads[i].thread, NULL, lane_main, &threads[i]) == 0;
    }
    int result = pipeline_run(client, &lanes[0]);
    for (unsigned i = 1; i < count; i++) {
        if (!threads[i].runs)
            continue;
        pthread_join(threads[i].thread, NULL);
        if (result == CLIENT_OK && threads[i].result != CLIENT_OK)
            result = client_fail(client, threads[i].result, "%s", threads[i].reason);
    }
    return result;
}
