#include "engine/client/put_holes.h"

#include <inttypes.h>
#include <string.h>

#include "engine/client/exists.h"
#include "engine/client/streams.h"
#include "engine/store/holes.h"

#define RUNS_MOST 1000 /* of data: each is a request of its own; the smallest holes are sent, where there are more */
#define TEXT_SIZE 2048 /* of one request's ranges */
#define RANGE_SIZE 42
#define FIELDS_SIZE (TEXT_SIZE + EXISTS_FIELDS_SIZE + 200)

struct search {
    const struct put_source *source;
    struct extents *holes;
};

static void search(void *argument)
{
    struct search *search = argument;
    uint64_t size = (uint64_t)search->source->facts.st_size;
    struct extents data = { 0 };

    if (store_find_data(search->source->fd, size, RUNS_MOST, &data) == 0 &&
        extents_add_missing(&data, 0, size, search->holes) < 0)
        extents_clear(search->holes);
    extents_clear(&data);
}

void put_holes_find(struct put_holes *holes, struct client *client, const struct put_source *source)
{
    struct search looked = { .source = source, .holes = &holes->all };

    if (store_may_have_holes(&source->facts))
        client_job(client, search, &looked);
}

/* What is missing from *next on, as much as one request holds. */
static void write_ranges(const struct extents *missing, size_t *next, struct http_writer *text)
{
    for (size_t i = *next; *next < missing->count && text->capacity - text->length > RANGE_SIZE; ++*next)
        http_write(text, "%s%" PRIu64 "-%" PRIu64, *next > i ? "," : "", missing->items[*next].first,
                   missing->items[*next].end - 1);
}

static int tell_some(struct client *client, const char *remote, const char *token, uint64_t size, const char *ranges)
{
    char text[FIELDS_SIZE];
    struct http_writer fields = { .bytes = text, .capacity = sizeof text - 1 };
    const struct client_request request = { .method = "PUT", .remote = remote, .fields = text, .has_body = true };

    http_write(&fields, "Sluice-Upload: %s\r\n" HTTP_HOLES ": bytes %s/%" PRIu64 "\r\n", token, ranges, size);
    exists_write_fields(client, &fields);
    text[fields.length] = '\0';
    int result = client_exchange(client, &request);
    if (result == CLIENT_OK && client->last.status != 204)
        return client_unwelcome(client);
    if (result == CLIENT_OK)
        client_discard(client);
    return result;
}

/* As with a part: the connection broke, or another server still has the upload, or there is too much to do for now. */
static bool may_pass(const struct client *client, int result)
{
    unsigned status = client->last.status;

    return result == CLIENT_CUT || result == CLIENT_CONNECT || (result == CLIENT_SERVER && status == 503) ||
           (result == CLIENT_REFUSED && status == 409 && !exists_keeps(client));
}

static int tell_patiently(struct client *client, const char *remote, const char *token, uint64_t size,
                          const char *ranges)
{
    for (unsigned failures = 1;; failures++) {
        int result = tell_some(client, remote, token, size, ranges);
        if (!may_pass(client, result) || failures > streams_retries(client))
            return result;
        event(client->options.log, "T22W", EVENT_T("direction", "put"), EVENT_T("peer", client->peer),
              EVENT_T("path", client->remote), EVENT_N("stream", 0), EVENT_T("reason", client_reason(client)));
        client->last.retries++;
        streams_pause(client, failures);
    }
}

/* Whatever it is that was answered: a server that does not take the parts either will say so. */
static bool was_answered(const struct client *client, int result)
{
    return (result == CLIENT_REFUSED || result == CLIENT_SERVER) && client->last.status > 0;
}

int put_holes_tell(struct put_holes *holes, struct client *client, const char *remote, const char *token, uint64_t size,
                   struct extents *have)
{
    struct extents missing = { 0 };
    int result = CLIENT_OK;

    for (size_t i = 0; i < holes->all.count; i++)
        holes->refused |= extents_add_missing(have, holes->all.items[i].first, holes->all.items[i].end, &missing) < 0;
    for (size_t next = 0; next < missing.count && !holes->refused && result == CLIENT_OK;) {
        char ranges[TEXT_SIZE];
        struct http_writer text = { .bytes = ranges, .capacity = sizeof ranges };
        size_t first = next;

        write_ranges(&missing, &next, &text);
        result = tell_patiently(client, remote, token, size, ranges);
        holes->refused = was_answered(client, result);
        if (holes->refused || result == CLIENT_OK) {
            client->reason[0] = '\0';
            result = CLIENT_OK;
        }
        for (size_t i = first; i < next && result == CLIENT_OK && !holes->refused; i++) {
            holes->refused = extents_add(have, missing.items[i].first, missing.items[i].end) < 0;
            holes->bytes += missing.items[i].end - missing.items[i].first;
        }
    }
    extents_clear(&missing);
    return result;
}

void put_holes_clear(struct put_holes *holes)
{
    extents_clear(&holes->all);
}
