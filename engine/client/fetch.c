/* What is asked for, and what the answer means. */
#include "engine/client/fetch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define ASKED_MAX 8 /* a file that changes all the time is not fetched for ever */
#define FIRST_RANGE                                                                                                    \
    (UINT64_C(64) << 20) /* what is asked for before the size is known: files up to this take one request */
#define FIRST_RANGE_OF_MANY (UINT64_C(4) << 20) /* where several streams were demanded */
#define CORES_MOST 8

static void note(struct fetch *fetch, const char *text)
{
    snprintf(fetch->client->note, sizeof fetch->client->note, "%s", text);
}

/* Streams at most, where nobody said how many. */
static unsigned streams_most(const struct client *client)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    size_t hosts = client->options.addresses->count;
    unsigned most = cores < 1 ? 1 : cores > CORES_MOST ? CORES_MOST : (unsigned)cores;

    return hosts > most ? (hosts > CORES_MOST ? CORES_MOST : (unsigned)hosts) : most;
}

static unsigned streams_for(const struct client *client, uint64_t bytes)
{
    uint64_t each = client->options.streams ? PLAN_SMALLEST : FIRST_RANGE;
    uint64_t most = client->options.streams ? client->options.streams : streams_most(client);
    uint64_t count = bytes / each;

    if (most > PLAN_STREAMS_MAX)
        most = PLAN_STREAMS_MAX;
    return count < 1 ? 1 : count > most ? (unsigned)most : (unsigned)count;
}

static uint64_t first_range(const struct client *client)
{
    return client->options.streams ? FIRST_RANGE_OF_MANY : FIRST_RANGE;
}

int fetch_part_failed(struct fetch *fetch, const char *doing, int error)
{
    char name[512];

    client_escape(fetch->local, name, sizeof name);
    if (error == -EBUSY)
        return client_fail(fetch->client, CLIENT_LOCAL,
                           "%s" PART_SUFFIX ": another process is fetching this file; wait for it, or end it", name);
    if (error == -EEXIST)
        return client_fail(fetch->client, CLIENT_LOCAL,
                           "%s" PART_SUFFIX " stands in the way: it is not of a transfer of ours; move it away", name);
    return client_fail(fetch->client, CLIENT_LOCAL, "%s %s" PART_SUFFIX ": %s", doing, name, strerror(-error));
}

struct opening {
    struct fetch *fetch;
    int result;
};

static void open_part(void *argument)
{
    struct opening *opening = argument;
    opening->result = part_open(&opening->fetch->part, opening->fetch->local, opening->fetch->remote);
}

/* Takes up what an earlier transfer left, as far as it can be gone on with. */
static void take_up(struct fetch *fetch)
{
    struct store_map *map = &fetch->part.map;

    if (fetch->part.damaged)
        note(fetch, "started over: the journal of the earlier part is damaged, or of another file");
    if (fetch->part.fd < 0 || map->have.count == 0 || source_parse(&fetch->source, map->source, map->size) < 0)
        return;
    fetch->resuming = fetch->conditional = true;
}

int fetch_begin(struct fetch *fetch, struct client *client, const char *remote, const char *local)
{
    struct opening opening = { .fetch = fetch };

    *fetch = (struct fetch){ .client = client, .remote = remote, .local = local, .part.fd = -1, .part.directory = -1 };
    pthread_mutex_init(&fetch->lock, NULL);
    fetch->hosts = calloc(client->options.addresses->count, sizeof *fetch->hosts);
    fetch->streams = calloc(1, sizeof *fetch->streams);
    if (!fetch->hosts || !fetch->streams)
        return client_fail(client, CLIENT_FAILED, "no memory");
    client_job(client, open_part, &opening);
    if (opening.result == -ENOENT || opening.result == -ENAMETOOLONG || opening.result == -EPERM)
        fetch->no_part = opening.result; /* what a file without a .part has to say about that comes later */
    else if (opening.result < 0)
        return fetch_part_failed(fetch, "opening", opening.result);
    fetch->ranged = fetch->no_part == 0;
    take_up(fetch);
    return CLIENT_OK;
}

void fetch_end(struct fetch *fetch)
{
    part_close(&fetch->part);
    extents_clear(&fetch->holes);
    pthread_mutex_destroy(&fetch->lock);
    free(fetch->hosts);
    free(fetch->streams);
}

struct fetch_host *fetch_host(struct fetch *fetch, const struct client *client)
{
    return &fetch->hosts[client->address - client->options.addresses->items];
}

void fetch_write_range(void *argument, const struct client *client, struct http_writer *writer)
{
    const struct fetch_range *range = argument;
    struct fetch *fetch = range->fetch;

    if (range->length == UINT64_MAX)
        http_write(writer, "Range: bytes=%llu-\r\n", (unsigned long long)range->first);
    else if (range->length > 0)
        http_write(writer, "Range: bytes=%llu-%llu\r\n", (unsigned long long)range->first,
                   (unsigned long long)(range->first + range->length - 1));
    pthread_mutex_lock(&fetch->lock);
    const struct fetch_host *host = fetch_host(fetch, client);
    if (host->known)
        source_write_condition(&host->source, writer);
    else if (fetch->conditional)
        source_write_condition(&fetch->source, writer);
    pthread_mutex_unlock(&fetch->lock);
}

int fetch_changed(struct fetch *fetch, const char *what)
{
    struct client *client = fetch->client;

    event(client->options.log, "T20W", EVENT_T("peer", client->peer), EVENT_T("path", fetch->remote),
          EVENT_T("reason", what));
    note(fetch, "started over: the file on the server changed");
    fetch->resuming = fetch->conditional = false;
    for (size_t i = 0; i < client->options.addresses->count; i++)
        fetch->hosts[i] = (struct fetch_host){ 0 };
    if (fetch->asked < ASKED_MAX)
        return FETCH_AGAIN;
    return client_fail(client, CLIENT_CUT,
                       "%s: the file changes again and again while it is fetched; fetch it when nobody writes to it",
                       client->peer);
}

/* Of a body that is of no use. */
static int forget_answer(struct fetch *fetch)
{
    client_unwelcome(fetch->client);
    fetch->client->reason[0] = '\0';
    return FETCH_AGAIN;
}

static int ask_for_all(struct fetch *fetch, const char *why)
{
    note(fetch, why);
    fetch->ranged = false;
    client_break(fetch->client);
    return FETCH_AGAIN;
}

static void take_time(struct fetch *fetch, const struct http_head *head)
{
    const char *exact = http_field(head, HTTP_MODIFIED);

    fetch->modified = (struct timespec){ 0 };
    if (exact && http_time_parse(exact, &fetch->modified) == 0)
        return;
    if (!fetch->source.modified[0] || http_date_parse(fetch->source.modified, &fetch->modified.tv_sec) < 0)
        fetch->modified.tv_sec = 0;
}

static int not_an_answer(struct fetch *fetch, const char *what)
{
    fetch->client->keep = false;
    return client_fail(fetch->client, CLIENT_SERVER, "%s %s", fetch->client->peer, what);
}

static const char *why_not_in_parts(const struct fetch *fetch)
{
    const struct source *source = &fetch->source;

    if (fetch->no_part == -ENAMETOOLONG)
        return "one stream, not to be resumed: the name is too long for a .part beside it";
    if (fetch->no_part)
        return "";
    if (source->size == UINT64_MAX)
        return "one stream, not to be resumed: the server does not say how large the file is";
    if (source->size < PART_FROM)
        return "";
    return source->ranges ? "one stream, not to be resumed: the server gives the file no tag to know it by"
                          : "one stream, not to be resumed: the server gives no ranges";
}

/* What the server says of holes: all that is neither data nor in this answer. */
static int take_holes(struct fetch *fetch, const struct http_head *head)
{
    const struct http_range *range = &fetch->source.range;
    const char *text = head->status == 206 && fetch->ranged ? http_field(head, HTTP_DATA) : NULL;
    uint64_t size = fetch->source.size;
    struct extents data = { 0 };

    extents_clear(&fetch->holes);
    if (!text)
        return CLIENT_OK;
    int rc = extents_parse(&data, text);
    if (rc == 0 && data.count > 0 && data.items[data.count - 1].end > size)
        rc = -EINVAL;
    if (rc == 0)
        rc = extents_add(&data, range->first, range->first + range->length);
    if (rc == 0)
        rc = extents_add_missing(&data, 0, size, &fetch->holes);
    extents_clear(&data);
    if (rc == -EINVAL)
        return not_an_answer(fetch, "says where the file has data in a way that cannot be true");
    if (rc < 0)
        extents_clear(&fetch->holes); /* they come as zeros then */
    return CLIENT_OK;
}

/* A part of a file with holes begins where its data does. */
static bool was_asked_for(const struct fetch *fetch)
{
    const struct http_range *range = &fetch->source.range;

    if (!fetch->ranged || (range->first > 0 && fetch->holes.count == 0))
        return false;
    return range->first < fetch->length && range->length <= fetch->length - range->first;
}

/* The first answer of a transfer that begins at the beginning. */
static int judge_fresh(struct fetch *fetch, const struct http_head *head)
{
    struct source *source = &fetch->source;

    if (source_of(source, head) < 0)
        return not_an_answer(fetch, "answers with a part of the file that does not say which");
    int result = take_holes(fetch, head);
    if (result != CLIENT_OK)
        return result;
    if (head->status == 206 && !was_asked_for(fetch))
        return not_an_answer(fetch, "answers a GET with 206 Partial Content, and with another part than was asked for");
    bool whole = source->range.length == source->size;
    bool large = source->size != UINT64_MAX && source->size >= PART_FROM;
    take_time(fetch, head);
    fetch->in_parts = large && fetch->no_part == 0 && source_can_be_resumed(source);
    if (fetch->in_parts)
        return CLIENT_OK;
    if (!whole)
        return ask_for_all(fetch, why_not_in_parts(fetch));
    if (*why_not_in_parts(fetch) && !fetch->client->note[0])
        note(fetch, why_not_in_parts(fetch));
    return CLIENT_OK;
}

/* It may be that only this one of several servers has another file, or another tag for the same. */
static int not_the_same(struct fetch *fetch)
{
    forget_answer(fetch);
    if (!fetch->conditional || fetch->client->options.addresses->count < 2)
        return fetch_changed(fetch, "it is not the file that an earlier transfer began with");
    fetch->conditional = false;
    return FETCH_AGAIN;
}

static int judge_resumed(struct fetch *fetch, const struct http_head *head)
{
    struct source source;

    if (head->status == 412 || head->status == 416)
        return not_the_same(fetch);
    if (head->status != 206 && !(head->status == 200 && fetch->nothing_missing)) {
        fetch->resuming = fetch->conditional = false;
        note(fetch, "started over: the server answers with the whole file");
        return judge_fresh(fetch, head);
    }
    bool good = source_of(&source, head) == 0;
    bool same = good && (fetch->conditional ? source_same : source_alike)(&source, &fetch->source);
    bool place = good && (fetch->nothing_missing ||
                          (source.range.first == fetch->first && source.range.length <= fetch->length));
    if (same && !place)
        return not_an_answer(fetch, "answers with another part of the file than was asked for");
    if (!same) {
        client_break(fetch->client);
        return fetch_changed(fetch, "it is not the file that an earlier transfer began with");
    }
    fetch->source = source;
    take_time(fetch, head);
    fetch->in_parts = true;
    return CLIENT_OK;
}

static int judge(struct fetch *fetch)
{
    const struct http_head *head = http_reader_result(fetch->client->reader);
    const char *coding = http_field(head, "Content-Encoding");

    if ((head->status == 200 || head->status == 206) && coding && strcasecmp(coding, "identity") != 0)
        return not_an_answer(fetch, "sends the file compressed, although it was not asked to");
    if (fetch->resuming && (head->status == 412 || head->status == 416))
        return not_the_same(fetch);
    if (head->status == 416 && fetch->ranged) { /* an empty file has no first byte */
        fetch->ranged = false;
        return forget_answer(fetch);
    }
    if (head->status >= 300)
        return client_unwelcome(fetch->client);
    if (head->status != 200 && head->status != 206) {
        fetch->client->keep = false;
        return client_fail(fetch->client, CLIENT_SERVER, "%s answers a GET with %u %s", fetch->client->peer,
                           head->status, http_reason(head->status));
    }
    return fetch->resuming ? judge_resumed(fetch, head) : judge_fresh(fetch, head);
}

/* What is to be asked for first, and over how many streams the rest will come, as far as that is known. */
static void choose_range(struct fetch *fetch)
{
    struct client *client = fetch->client;
    uint64_t end, left = UINT64_MAX;

    fetch->first = fetch->length = 0;
    fetch->nothing_missing = false;
    if (fetch->resuming) {
        const struct extents *have = &fetch->part.map.have;
        left = fetch->source.size - extents_total(have);
        fetch->nothing_missing = !extents_next_missing(have, fetch->source.size, 0, &fetch->first, &end);
        fetch->length = fetch->nothing_missing ? 0 : end - fetch->first;
    } else if (fetch->ranged) {
        fetch->length = client->options.streams == 1 ? UINT64_MAX : first_range(client);
    }
    if (fetch->length > first_range(client) && streams_for(client, left) > 1)
        fetch->length = first_range(client);
}

int fetch_ask(struct fetch *fetch)
{
    choose_range(fetch);
    struct fetch_range range = { .fetch = fetch, .first = fetch->first, .length = fetch->length };
    bool verified = !fetch->nothing_missing && verify_wanted(fetch->client, false, fetch->resuming);
    char fields[128];
    const struct client_request request = { .method = fetch->nothing_missing ? "HEAD" : "GET",
                                            .remote = fetch->remote,
                                            .fields = fields,
                                            .write_fields = fetch_write_range,
                                            .fields_argument = &range };

    snprintf(fields, sizeof fields, "%s%s", verify_want(fetch->client, verified),
             fetch->ranged && !fetch->resuming ? HTTP_WANT_DATA ": " HTTP_YES "\r\n" : "");
    extents_clear(&fetch->holes);
    fetch->asked++;
    fetch->in_parts = false;
    int result = client_exchange(fetch->client, &request);
    if (result == CLIENT_OK)
        result = judge(fetch);
    if (result == CLIENT_OK && fetch->in_parts) {
        struct fetch_host *host = fetch_host(fetch, fetch->client);
        host->known = true;
        host->source = fetch->source;
        uint64_t there = extents_total(fetch->resuming ? &fetch->part.map.have : &fetch->holes);
        fetch->streams->count = streams_for(fetch->client, fetch->source.size - there);
    }
    return result == FETCH_AGAIN && fetch->asked > ASKED_MAX
               ? client_fail(fetch->client, CLIENT_SERVER, "%s does not answer the same question twice in the same way",
                             fetch->client->peer)
               : result;
}
