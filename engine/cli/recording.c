#include "engine/cli/recording.h"

#include <stdio.h>
#include <string.h>

#define PATIENCE_MS 3000

void recording_open(struct recording *recording, const struct config *config, struct event_log *log, bool quiet)
{
    struct catalog_writer_options options = { .log = log };

    if (recording->writer || !config || !config->server.catalog)
        return;
    if (!log && !quiet)
        options.log = recording->own_log = event_log_new(stderr, false);
    options.file = config->server.catalog;
    int rc = catalog_writer_new(&recording->writer, &options);
    if (rc < 0)
        event(options.log, "C02W", EVENT_T("file", options.file), EVENT_T("reason", strerror(-rc)));
}

void recording_close(struct recording *recording)
{
    catalog_writer_free(recording->writer, PATIENCE_MS);
    event_log_free(recording->own_log);
    *recording = (struct recording){ 0 };
}

void recording_begin(struct recording *recording, struct recording_run *run, const char *partner, bool put,
                     const char *remote, const char *local)
{
    const struct catalog_record begun = {
        .state = CATALOG_RUNNING,
        .direction = put ? CATALOG_OUT : CATALOG_IN,
        .role = CATALOG_CLIENT,
        .partner = partner,
        .remote = remote,
        .local = local,
        .size = CATALOG_UNKNOWN,
        .begun = run->begun = catalog_now(),
    };

    run->id = catalog_writer_push(recording->writer, &begun);
}

/* Where what was moved is the whole, its length is the file's. */
static uint64_t size_of(const struct client_transfer *transfer, int result)
{
    return result == CLIENT_OK && !(transfer->skipped && transfer->skipped[0])
               ? transfer->bytes + transfer->resumed_bytes + transfer->hole_bytes
               : CATALOG_UNKNOWN;
}

void recording_end(struct recording *recording, const struct recording_run *run, const char *partner,
                   const struct client_transfer *transfer, int result, const char *reason)
{
    uint64_t streams[CATALOG_STREAMS_MAX];
    size_t count = transfer->streams <= CATALOG_STREAMS_MAX ? transfer->streams : 0;
    struct catalog_record ended = {
        .id = run ? run->id : 0,
        .state = result == CLIENT_OK ? CATALOG_DONE : CATALOG_FAILED,
        .direction = strcmp(transfer->direction, "put") == 0 ? CATALOG_OUT : CATALOG_IN,
        .role = CATALOG_CLIENT,
        .partner = partner,
        .remote = transfer->remote,
        .local = transfer->local,
        .size = size_of(transfer, result),
        .bytes = transfer->bytes,
        .digest = transfer->verified ? transfer->digest : NULL,
        .ended = catalog_now(),
        .retries = transfer->retries,
        .status = transfer->status,
        .code = result,
        .event = result == CLIENT_OK       ? "T01I"
                 : result == CLIENT_DIGEST ? "T11E"
                                           : "T01E",
        .reason = result == CLIENT_OK ? transfer->skipped : reason,
        .peer = transfer->peer,
        .pump = transfer->path,
        .tx = transfer->tx,
        .rx = transfer->rx,
        .version = transfer->version,
        .suite = transfer->suite,
        .authentication = transfer->authentication,
        .subject = transfer->subject,
        .resumed = transfer->resumed,
    };

    ended.begun = run ? run->begun : ended.ended - (uint64_t)(transfer->seconds * 1e6);
    for (size_t i = 0; transfer->stream_list && i < count; i++)
        streams[i] = transfer->stream_list[i].bytes;
    if (transfer->stream_list && count) {
        ended.streams = streams;
        ended.stream_count = count;
    }
    catalog_writer_push(recording->writer, &ended);
}
