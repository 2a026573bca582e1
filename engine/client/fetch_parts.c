/* A large file: its .part, the streams that fill it, and who keeps its journal. */
#include "engine/client/fetch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/client/exists.h"

#define KEEP_BYTES (UINT64_C(64) << 20) /* the journal is saved when this much has come, ... */
#define KEEP_MS 5000                    /* ... or when it is this old */
#define KEEPER_TURN_MS 250

/* -- the journal -- */

static void keep(struct fetch *fetch)
{
    struct extents have = { 0 };
    uint64_t done = plan_done(fetch->plan);
    int rc = plan_copy(fetch->plan, &have);

    if (rc == 0)
        rc = part_save(&fetch->part, &have);
    extents_clear(&have);
    fetch->kept_at = client_now();
    if (rc == 0)
        fetch->kept = done;
    else if (!fetch->keep_failed)
        event(fetch->client->options.log, "T21W", EVENT_T("file", fetch->local), EVENT_T("reason", strerror(-rc)));
    fetch->keep_failed = rc < 0;
}

static void keep_now(void *argument)
{
    struct fetch *fetch = argument;
    if (plan_done(fetch->plan) != fetch->kept)
        keep(fetch);
}

static bool is_time(const struct fetch *fetch)
{
    uint64_t done = plan_done(fetch->plan);
    return done - fetch->kept >= KEEP_BYTES || (done != fetch->kept && client_now() - fetch->kept_at >= KEEP_MS);
}

static void *keeper_main(void *argument)
{
    struct fetch *fetch = argument;

    pthread_mutex_lock(&fetch->keeper_lock);
    while (!fetch->keeper_ends) {
        struct timespec when;
        clock_gettime(CLOCK_REALTIME, &when);
        when.tv_nsec += KEEPER_TURN_MS * 1000000L;
        when.tv_sec += when.tv_nsec / 1000000000;
        when.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&fetch->keeper_wakes, &fetch->keeper_lock, &when);
        if (fetch->keeper_ends || !is_time(fetch))
            continue;
        pthread_mutex_unlock(&fetch->keeper_lock);
        keep(fetch);
        pthread_mutex_lock(&fetch->keeper_lock);
    }
    pthread_mutex_unlock(&fetch->keeper_lock);
    return NULL;
}

static void keeper_begin(struct fetch *fetch)
{
    fetch->kept = plan_done(fetch->plan);
    fetch->kept_at = client_now();
    fetch->keeper_ends = false;
    pthread_mutex_init(&fetch->keeper_lock, NULL);
    pthread_cond_init(&fetch->keeper_wakes, NULL);
    fetch->keeping = pthread_create(&fetch->keeper, NULL, keeper_main, fetch) == 0;
}

static void keeper_end(struct fetch *fetch)
{
    pthread_mutex_lock(&fetch->keeper_lock);
    fetch->keeper_ends = true;
    pthread_cond_signal(&fetch->keeper_wakes);
    pthread_mutex_unlock(&fetch->keeper_lock);
    if (fetch->keeping)
        pthread_join(fetch->keeper, NULL);
    pthread_cond_destroy(&fetch->keeper_wakes);
    pthread_mutex_destroy(&fetch->keeper_lock);
}

/* -- a stream's answers -- */

static bool may_use(void *argument, const struct config_address *address)
{
    struct fetch *fetch = argument;

    pthread_mutex_lock(&fetch->lock);
    bool good = !fetch->hosts[address - fetch->client->options.addresses->items].left;
    pthread_mutex_unlock(&fetch->lock);
    return good;
}

/* This server is of no use for the rest of the transfer. */
static enum stream_verdict leave_host(struct fetch *fetch, struct client *client)
{
    size_t count = client->options.addresses->count, others = 0;

    pthread_mutex_lock(&fetch->lock);
    fetch_host(fetch, client)->left = true;
    for (size_t i = 0; i < count; i++)
        others += !fetch->hosts[i].left;
    pthread_mutex_unlock(&fetch->lock);
    if (count > 1)
        event(client->options.log, "T24W", EVENT_T("peer", client->peer), EVENT_T("path", fetch->remote),
              EVENT_T("reason", client_reason(client)));
    client_break(client);
    return others > 0 ? STREAM_ELSEWHERE : STREAM_GONE;
}

static enum stream_verdict changed(struct client *client, int *result)
{
    client_break(client);
    *result = client_fail(client, FETCH_AGAIN, "the file changed while it was fetched");
    return STREAM_STOP;
}

/* Of a server that was asked for the first time, the file is compared with that of the others. */
static bool fits(struct fetch *fetch, const struct client *client, const struct source *source)
{
    pthread_mutex_lock(&fetch->lock);
    struct fetch_host *host = fetch_host(fetch, client);
    bool same = host->known ? source_same(source, &host->source) : source_alike(source, &fetch->source);
    if (same && !host->known) {
        host->known = true;
        host->source = *source;
    }
    pthread_mutex_unlock(&fetch->lock);
    return same;
}

static bool knows(struct fetch *fetch, const struct client *client)
{
    pthread_mutex_lock(&fetch->lock);
    bool known = fetch_host(fetch, client)->known;
    pthread_mutex_unlock(&fetch->lock);
    return known;
}

static enum stream_verdict judge_part(struct fetch *fetch, struct stream *stream, int *result)
{
    struct client *client = stream->client;
    struct source source;

    if (source_of(&source, http_reader_result(client->reader)) < 0 || source.range.first != stream->first ||
        source.range.length > stream->length) {
        *result = client_fail(client, CLIENT_SERVER, "%s answers with another part of the file than was asked for",
                              client->peer);
        return leave_host(fetch, client);
    }
    bool known = knows(fetch, client);
    if (fits(fetch, client, &source))
        return STREAM_ON;
    if (known)
        return changed(client, result);
    *result = client_fail(client, CLIENT_SERVER,
                          "%s has another file of that name than the others: size or time differ", client->peer);
    return leave_host(fetch, client);
}

static enum stream_verdict judge_answer(struct fetch *fetch, struct stream *stream, int *result)
{
    struct client *client = stream->client;
    unsigned status = http_reader_result(client->reader)->status;
    struct source source;

    if (status == 206)
        return judge_part(fetch, stream, result);
    if (status == 412 || (status == 416 && knows(fetch, client)))
        return changed(client, result);
    if (status == 200) {
        if (knows(fetch, client) && source_of(&source, http_reader_result(client->reader)) == 0 &&
            !fits(fetch, client, &source))
            return changed(client, result);
        *result = client_fail(client, CLIENT_SERVER, "%s gives no part of the file, although it said so", client->peer);
        return leave_host(fetch, client);
    }
    *result = client_unwelcome(client);
    if (*result == CLIENT_SERVER && status >= 500)
        return STREAM_AGAIN;
    return leave_host(fetch, client);
}

/* What kept an exchange from taking place. */
static enum stream_verdict judge_failure(struct fetch *fetch, struct client *client, int result)
{
    if (result == CLIENT_CUT || result == CLIENT_CONNECT)
        return STREAM_AGAIN;
    if (result == CLIENT_TLS || result == CLIENT_SERVER || result == CLIENT_CONFIG)
        return leave_host(fetch, client);
    return STREAM_STOP;
}

/* -- a stream's work -- */

static enum stream_verdict read_part(struct fetch *fetch, struct stream *stream, int *result)
{
    struct client *client = stream->client;
    int error = client_body_to_file(client, fetch->part.fd, stream->first);

    if (error == 0)
        return STREAM_ON;
    if (error == -EALREADY) { /* another took the rest */
        client_break(client);
        return STREAM_ON;
    }
    if (error > 0) {
        *result = error;
        return STREAM_STOP;
    }
    *result = client_fail_channel(client, error, "in the middle of the file");
    client_break(client);
    return *result == CLIENT_INTERRUPTED || *result == CLIENT_FAILED || *result == CLIENT_CONFIG ? STREAM_STOP
                                                                                                 : STREAM_AGAIN;
}

static enum stream_verdict move_part(void *argument, struct stream *stream, int *result)
{
    struct fetch *fetch = argument;
    struct client *client = stream->client;
    struct fetch_range range = { .fetch = fetch, .first = stream->first, .length = stream->length };
    const struct client_request request = {
        .method = "GET", .remote = fetch->remote, .write_fields = fetch_write_range, .fields_argument = &range
    };

    if (stream->number == 0 && fetch->first_is_here) {
        fetch->first_is_here = false;
        return read_part(fetch, stream, result);
    }
    *result = client_exchange(client, &request);
    if (*result != CLIENT_OK)
        return judge_failure(fetch, client, *result);
    client->prefer = client->address;
    enum stream_verdict verdict = judge_answer(fetch, stream, result);
    return verdict == STREAM_ON ? read_part(fetch, stream, result) : verdict;
}

static void tick(void *argument, const char *path)
{
    struct fetch *fetch = argument;

    verify_reached(&fetch->verify, plan_front(fetch->plan));
    if (fetch->progress)
        fetch->progress(fetch->progress_argument, plan_done(fetch->plan), fetch->source.size, path);
}

static void watch(void *argument, uint64_t moved, uint64_t total, const char *path)
{
    struct stream *stream = argument;
    struct streams *all = stream->all;

    (void)total;
    stream_moved(stream, moved);
    if (stream->number == 0)
        tick(all->argument, path);
}

static void ready(void *argument, struct stream *stream)
{
    stream->client->may_use = may_use;
    stream->client->may_use_argument = argument;
    client_watch(stream->client, watch, stream);
}

static void run_streams(struct fetch *fetch)
{
    struct client *client = fetch->client;
    struct streams *streams = fetch->streams;
    unsigned count = streams->count;

    *streams = (struct streams){ .client = client,
                                 .plan = fetch->plan,
                                 .count = count,
                                 .direction = "get",
                                 .move = move_part,
                                 .ready = ready,
                                 .tick = tick,
                                 .argument = fetch };
    streams->holds_first = plan_take_this(fetch->plan, 0, fetch->source.range.first,
                                          fetch->source.range.first + fetch->source.range.length) == 0;
    streams->streams[0].first = fetch->source.range.first;
    streams->streams[0].length = fetch->source.range.length;
    fetch->first_is_here = streams->holds_first;
    fetch->progress = client->progress;
    fetch->progress_argument = client->progress_argument;
    streams_run(streams);
    client_watch(client, fetch->progress, fetch->progress_argument);
    client->may_use = NULL;
    client->prefer = NULL;
}

/* -- the whole -- */

struct part_job {
    struct fetch *fetch;
    int result;
    unsigned number; /* of the bad copy */
};

static void begin_part(void *argument)
{
    struct part_job *job = argument;
    struct fetch *fetch = job->fetch;
    char source[SOURCE_TEXT_SIZE];

    source_print(&fetch->source, source);
    job->result = part_begin(&fetch->part, source, fetch->remote, fetch->source.size, &fetch->holes);
}

static void commit_part(void *argument)
{
    struct part_job *job = argument;
    struct fetch *fetch = job->fetch;

    job->result = part_commit(&fetch->part, fetch->modified, exists_expected(fetch->client) == NULL,
                              exists_number(fetch->client));
}

/* Something has the name by now, and keeps it: what was fetched is not wanted any more. */
static void forget_part(void *argument)
{
    struct part_job *job = argument;
    job->result = part_remove(&job->fetch->part);
}

static void set_part_aside(void *argument)
{
    struct part_job *job = argument;
    job->result = part_set_aside(&job->fetch->part, &job->number);
}

static void put_aside(struct fetch *fetch)
{
    struct part_job job = { .fetch = fetch };
    client_job(fetch->client, set_part_aside, &job);
    verify_aside(fetch->client, job.result, job.number);
}

static int run_job(struct fetch *fetch, void (*work)(void *argument))
{
    struct part_job job = { .fetch = fetch };
    client_job(fetch->client, work, &job);
    return job.result;
}

/* What the transfer's line says. */
static void sum_up(struct fetch *fetch, uint64_t there)
{
    struct client *client = fetch->client;

    client->last.resumed_bytes = there;
    client->last.hole_bytes = extents_total(&fetch->holes);
    client->last.bytes = plan_done(fetch->plan) - there - client->last.hole_bytes;
    streams_note(client, fetch->streams);
}

static int not_complete(struct fetch *fetch)
{
    struct client *client = fetch->client;
    const struct streams *streams = fetch->streams;
    char name[512];

    client_job(client, keep_now, fetch);
    if (plan_done(fetch->plan) == 0)
        return client_fail(client, streams->result, "%s", streams->reason);
    return client_fail(client, streams->result,
                       "%s; what came is kept in %s" PART_SUFFIX ", and the same command goes on from there",
                       streams->reason, client_escape(fetch->local, name, sizeof name));
}

static int finish(struct fetch *fetch)
{
    struct client *client = fetch->client;
    bool one = client->options.addresses->count == 1;
    uint64_t size = fetch->source.size;
    char name[512];

    verify_reached(&fetch->verify, size);
    int result = verify_fetched(&fetch->verify, fetch->remote, one ? fetch->source.etag : "", size, NULL);
    if (result == CLIENT_DIGEST)
        put_aside(fetch);
    if (result != CLIENT_OK) {
        if (result != CLIENT_DIGEST)
            client_job(client, keep_now, fetch);
        return result;
    }
    int error = exists_after_get(client, run_job(fetch, commit_part));
    if (error == CLIENT_EXISTS || error == EXISTS_DONE)
        run_job(fetch, forget_part);
    if (error >= 0 || error == EXISTS_DONE)
        return error;
    return client_fail(client, CLIENT_LOCAL, "finishing %s: %s", client_escape(fetch->local, name, sizeof name),
                       strerror(-error));
}

static int run_plan(struct fetch *fetch, uint64_t there)
{
    struct client *client = fetch->client;
    bool several = client->options.addresses->count > 1; /* one stream, too, goes on at another when the first dies */

    verify_begin(&fetch->verify, client, verify_wanted(client, false, there > 0 || several), fetch->part.fd, true);
    keeper_begin(fetch);
    if (fetch->nothing_missing)
        *fetch->streams = (struct streams){ .count = 1 };
    else
        run_streams(fetch);
    keeper_end(fetch);
    sum_up(fetch, there);
    int result = fetch->streams->result;
    if (result == FETCH_AGAIN)
        result = fetch_changed(fetch, "it changed while it was fetched");
    else if (result == CLIENT_OK)
        result = finish(fetch);
    else
        result = not_complete(fetch);
    verify_end(&fetch->verify);
    return result;
}

int fetch_parts(struct fetch *fetch)
{
    struct client *client = fetch->client;
    uint64_t there = fetch->resuming ? extents_total(&fetch->part.map.have) : 0;

    if (!fetch->resuming) {
        int error = run_job(fetch, begin_part);
        if (error < 0) {
            client->keep = false;
            return fetch_part_failed(fetch, "making", error);
        }
    } else {
        event(client->options.log, "T20I", EVENT_T("peer", client->peer), EVENT_T("path", fetch->remote),
              EVENT_N("bytes", there), EVENT_N("size", fetch->source.size));
    }
    const struct extents *have = fetch->resuming ? &fetch->part.map.have : &fetch->holes;
    fetch->plan = plan_new(fetch->source.size, have, fetch->streams->count);
    if (!fetch->plan) {
        client->keep = false;
        return client_fail(client, CLIENT_FAILED, "no memory");
    }
    int result = run_plan(fetch, there);
    plan_free(fetch->plan);
    fetch->plan = NULL;
    return result;
}
