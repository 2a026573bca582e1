#include "engine/client/streams.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define TURN_MS 200
#define PROGRESS_BYTES 65536 /* a connection that brought less before it broke counts as a failure in a row */
#define FIRST_PAUSE_MS 250   /* before the first retry; doubled for each further one */
#define LONGEST_PAUSE_MS 8000
#define RETRIES 5

static void signal_fd(int fd)
{
    const uint64_t one = 1;
    (void)!write(fd, &one, sizeof one);
}

static void stop_all(struct streams *streams, int result, const char *reason)
{
    pthread_mutex_lock(&streams->lock);
    if (!streams->stopped) {
        streams->stopped = true;
        streams->result = result;
        snprintf(streams->reason, sizeof streams->reason, "%s", reason);
    }
    pthread_mutex_unlock(&streams->lock);
    plan_stop(streams->plan);
    signal_fd(streams->stop_fd);
}

static bool was_interrupted(const struct client *client)
{
    struct pollfd ready = { .fd = client->options.interrupt_fd, .events = POLLIN };
    return client->options.interrupt_fd > 0 && poll(&ready, 1, 0) > 0;
}

void stream_moved(struct stream *stream, uint64_t moved)
{
    uint64_t length = plan_moved(stream->all->plan, stream->number, moved);

    if (length < stream->length && moved >= length)
        stream->client->cut_short = true;
}

static void note_failure(struct stream *stream, int result)
{
    stream->result = result;
    snprintf(stream->reason, sizeof stream->reason, "%s", client_reason(stream->client));
}

static void tell(const struct stream *stream, const char *id, const char *reason)
{
    const struct client *client = stream->client;

    event(client->options.log, id, EVENT_T("direction", stream->all->direction), EVENT_T("peer", client->peer),
          EVENT_T("path", client->remote), EVENT_N("stream", stream->number), EVENT_T("reason", reason));
}

unsigned streams_retries(const struct client *client)
{
    int wanted = client->options.retries;
    return wanted == 0 ? RETRIES : wanted < 0 ? 0 : (unsigned)wanted;
}

void streams_pause(struct client *client, unsigned failures)
{
    struct client_op timer = { 0 };
    unsigned doubled = failures > 6 ? 6 : failures - 1;
    unsigned pause = (unsigned)FIRST_PAUSE_MS << doubled;

    if (pause > LONGEST_PAUSE_MS)
        pause = LONGEST_PAUSE_MS;
    client_op_timer(client, &timer, pause);
    client_wait_op(client, &timer, pause + 1000);
}

/* Whether it may try again, after a pause. */
static bool again(struct stream *stream, uint64_t moved)
{
    stream->failures = moved >= PROGRESS_BYTES ? 1 : stream->failures + 1;
    if (stream->failures > streams_retries(stream->client))
        return false;
    tell(stream, "T22W", stream->reason);
    stream->retries++;
    streams_pause(stream->client, stream->failures);
    return true;
}

/* Moves the range it has. False: that was its last. */
static bool move(struct stream *stream)
{
    struct streams *streams = stream->all;
    struct client *client = stream->client;
    int result = CLIENT_OK;

    client->cut_short = false;
    client->last.bytes = 0;
    enum stream_verdict verdict = streams->move(streams->argument, stream, &result);
    uint64_t moved = client->last.bytes < stream->length ? client->last.bytes : stream->length;
    plan_end(streams->plan, stream->number, moved);
    stream->bytes += moved;
    snprintf(stream->peer, sizeof stream->peer, "%s", client->peer);
    if (moved > 0)
        snprintf(stream->path, sizeof stream->path, "%s", client->path);
    if (verdict == STREAM_ON) {
        stream->failures = 0;
        return true;
    }
    note_failure(stream, result);
    if (result == CLIENT_INTERRUPTED && !was_interrupted(client))
        return false; /* told to stop by another, whose reason counts */
    if (verdict == STREAM_STOP || result == CLIENT_INTERRUPTED) {
        stop_all(streams, result, stream->reason);
        return false;
    }
    if (verdict == STREAM_ELSEWHERE)
        return true;
    if (verdict == STREAM_AGAIN && again(stream, moved))
        return true;
    tell(stream, "T23W", stream->reason);
    return false;
}

static void tick(const struct stream *stream)
{
    const struct streams *streams = stream->all;
    if (stream->number == 0 && streams->tick)
        streams->tick(streams->argument, stream->path);
}

static void work(struct stream *stream)
{
    struct streams *streams = stream->all;
    bool held = stream->number == 0 && streams->holds_first;

    for (bool going = true; going;) {
        uint64_t end;
        int rc = held ? 0 : plan_take(streams->plan, stream->number, TURN_MS, &stream->first, &end);
        if (rc == 0) {
            if (!held)
                stream->length = end - stream->first;
            going = move(stream);
            held = false;
        } else if (rc == -EAGAIN && was_interrupted(stream->client)) {
            stop_all(streams, CLIENT_INTERRUPTED, "interrupted");
        } else if (rc != -EAGAIN) {
            if (rc != -ENODATA && rc != -ECANCELED)
                stop_all(streams, CLIENT_FAILED, strerror(-rc));
            going = false;
        }
        tick(stream);
    }
}

static void run_beside(struct stream *stream)
{
    struct streams *streams = stream->all;
    struct client *first = streams->client;

    if (client_new_beside(&stream->client, first, stream->prefer) < 0)
        return; /* fewer streams are no failure */
    client_heed_stop(stream->client, streams->stop_fd);
    client_limit(stream->client, streams->count);
    if (client_begin(stream->client, streams->direction, first->remote, first->local) == CLIENT_OK) {
        if (streams->ready)
            streams->ready(streams->argument, stream);
        work(stream);
    }
    client_free(stream->client);
    stream->client = NULL;
}

static void *thread_main(void *argument)
{
    struct stream *stream = argument;
    struct streams *streams = stream->all;

    run_beside(stream);
    pthread_mutex_lock(&streams->lock);
    streams->active--;
    pthread_mutex_unlock(&streams->lock);
    signal_fd(streams->done_fd);
    return NULL;
}

static void start_threads(struct streams *streams)
{
    for (unsigned i = 1; i < streams->count; i++) {
        struct stream *stream = &streams->streams[i];
        stream->threaded = pthread_create(&stream->thread, NULL, thread_main, stream) == 0;
        if (stream->threaded)
            continue;
        pthread_mutex_lock(&streams->lock);
        streams->active--; /* fewer streams are no failure */
        pthread_mutex_unlock(&streams->lock);
    }
}

static bool others_work(struct streams *streams, bool *stopped)
{
    pthread_mutex_lock(&streams->lock);
    bool some = streams->active > 0;
    *stopped = streams->stopped;
    pthread_mutex_unlock(&streams->lock);
    return some;
}

/* The first stream is done; its thread goes on to look after interrupts and progress. */
static void await_others(struct streams *streams)
{
    int interrupt = streams->client->options.interrupt_fd;

    for (bool stopped; others_work(streams, &stopped);) {
        struct pollfd ready[2] = { { .fd = streams->done_fd, .events = POLLIN },
                                   { .fd = interrupt > 0 && !stopped ? interrupt : -1, .events = POLLIN } };
        uint64_t count;
        if (poll(ready, 2, TURN_MS) > 0 && (ready[0].revents & POLLIN))
            (void)!read(streams->done_fd, &count, sizeof count);
        if (ready[1].revents & POLLIN)
            stop_all(streams, CLIENT_INTERRUPTED, "interrupted");
        tick(&streams->streams[0]);
    }
    for (unsigned i = 1; i < streams->count; i++) {
        if (streams->streams[i].threaded)
            pthread_join(streams->streams[i].thread, NULL);
    }
}

/*
 * Who stopped it all knew why, even where every byte was moved: what is sent counts as moved before the server has said
 * what became of it. All gave up: the reason of one that has one.
 */
static void conclude(struct streams *streams)
{
    for (unsigned i = 0; i < streams->count; i++)
        streams->retries += streams->streams[i].retries;
    if (streams->stopped)
        return;
    if (plan_complete(streams->plan)) {
        streams->result = CLIENT_OK;
        return;
    }
    streams->result = CLIENT_FAILED;
    snprintf(streams->reason, sizeof streams->reason, "no stream could be started");
    for (unsigned i = 0; i < streams->count; i++) {
        const struct stream *stream = &streams->streams[i];
        if (stream->result == CLIENT_OK)
            continue;
        streams->result = stream->result;
        snprintf(streams->reason, sizeof streams->reason, "%s", stream->reason);
        break;
    }
}

void streams_run(struct streams *streams)
{
    struct client *client = streams->client;

    streams->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    streams->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&streams->lock, NULL);
    streams->active = streams->count - 1;
    const struct config_addresses *addresses = client->options.addresses;
    size_t here = (size_t)(client->address - addresses->items);
    for (unsigned i = 0; i < streams->count; i++) {
        streams->streams[i].all = streams;
        streams->streams[i].number = i;
        streams->streams[i].prefer = &addresses->items[(here + i) % addresses->count];
    }
    streams->streams[0].client = client;
    client_heed_stop(client, streams->stop_fd);
    client_limit(client, streams->count);
    if (streams->ready)
        streams->ready(streams->argument, &streams->streams[0]);
    start_threads(streams);
    work(&streams->streams[0]);
    await_others(streams);
    conclude(streams);
    client_heed_stop(client, 0);
    client_limit(client, 1);
    client->cut_short = false;
    close(streams->stop_fd);
    close(streams->done_fd);
    pthread_mutex_destroy(&streams->lock);
}

void streams_note(struct client *client, const struct streams *streams)
{
    struct client_transfer *last = &client->last;

    last->retries += streams->retries;
    free(client->stream_list);
    client->stream_list = calloc(streams->count, sizeof *client->stream_list);
    last->stream_list = client->stream_list;
    last->streams = client->stream_list ? streams->count : 0;
    for (unsigned i = 0; i < last->streams; i++) {
        const struct stream *stream = &streams->streams[i];
        struct client_stream *shown = &client->stream_list[i];

        snprintf(shown->peer, sizeof shown->peer, "%s", stream->peer);
        snprintf(shown->path, sizeof shown->path, "%s", stream->path);
        shown->bytes = stream->bytes;
        shown->retries = stream->retries;
        if (stream->path[0] && strcmp(client->path, "none") == 0)
            snprintf(client->path, sizeof client->path, "%s", stream->path);
    }
}
