/*
 * GET of a file with holes, from a peer who can leave them out: what is data is told beside the first run of it.
 * Looking for holes may read the disk, so it is done apart; and only for who asks, where there may be some.
 */
#include "engine/server/server_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/store/holes.h"

#define RANGES_MOST 1000 /* in an answer; the smallest holes go as data, where there are more */
#define RANGE_SIZE 42    /* of one, as text */

static bool changed(const struct stat *then, int fd)
{
    struct stat now;

    return fstat(fd, &now) < 0 || now.st_size != then->st_size || now.st_mtim.tv_sec != then->st_mtim.tv_sec ||
           now.st_mtim.tv_nsec != then->st_mtim.tv_nsec || now.st_ctim.tv_sec != then->st_ctim.tv_sec ||
           now.st_ctim.tv_nsec != then->st_ctim.tv_nsec;
}

/* To the first run of data in what was asked for. */
static void cut_range(struct http_range *range, const struct extents *data)
{
    uint64_t end = range->first + range->length;

    range->length = 1;
    for (size_t i = 0; i < data->count && data->items[i].first < end; i++) {
        const struct extent *run = data->items + i;
        if (run->end <= range->first)
            continue;
        if (run->first > range->first)
            range->first = run->first;
        range->length = (run->end < end ? run->end : end) - range->first;
        return;
    }
}

static void describe(struct session *session, const struct extents *data)
{
    size_t size = data->count * RANGE_SIZE + sizeof EXTENTS_NONE;

    /* What is said must be of the state that the ETag names. */
    if (changed(&session->facts, session->file) || extents_hold(data, 0, (uint64_t)session->facts.st_size))
        return;
    session->data = malloc(size);
    if (!session->data)
        return;
    extents_print(data, session->data, size);
    cut_range(&session->range, data);
}

/* Where it cannot be known the file goes as it reads. */
static void seek_run(struct job *job)
{
    struct session *session = session_of_job(job);
    struct extents data = { 0 };

    if (store_find_data(session->file, (uint64_t)session->facts.st_size, RANGES_MOST, &data) == 0)
        describe(session, &data);
    extents_clear(&data);
    session->result = 0;
}

static enum flow step_sought(struct session *session)
{
    session_set_deadline(session, session->epoch->config->server.idle_timeout, session_abort);
    session->step = session->after_sparse;
    return FLOW_GO;
}

enum flow sparse_seek(struct session *session, enum flow (*then)(struct session *session))
{
    const char *wanted = http_field(session->request, HTTP_WANT_DATA);

    session->step = then;
    if (!wanted || strcasecmp(wanted, HTTP_YES) != 0 || !store_may_have_holes(&session->facts))
        return FLOW_GO;
    session->after_sparse = then;
    session->step = step_sought;
    session_set_deadline(session, 0, NULL);
    return session_wait_job(session, session->worker->server->files, seek_run);
}

/* The text may be longer than any other head. Without memory for it the peer fetches the holes as well. */
void sparse_write(struct session *session)
{
    struct http_writer *out = &session->out;

    if (!session->data)
        return;
    size_t capacity = out->capacity + sizeof HTTP_DATA + strlen(session->data) + 4;
    char *grown = realloc(session->out_bytes, capacity);
    if (!grown)
        return;
    session->out_bytes = out->bytes = grown;
    session->out_room = out->capacity = capacity;
    http_write(out, HTTP_DATA ": %s\r\n", session->data);
}
