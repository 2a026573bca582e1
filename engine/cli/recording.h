/*
 * What get and put leave in the catalog of the configuration that names the partner. Nothing is recorded of https://
 * URLs, which have no configuration. What cannot be recorded is told on standard error as an event, and changes
 * neither the transfer nor the exit code.
 */
#ifndef SLUICE_CLI_RECORDING_H
#define SLUICE_CLI_RECORDING_H

#include "config/model.h"
#include "engine/catalog/writer.h"
#include "engine/client/client.h"

struct recording {
    struct catalog_writer *writer; /* NULL: nothing is recorded */
    struct event_log *own_log;
};

/* Once for a run, however often it is called. `log`: NULL: standard error, or nowhere where `quiet`. */
void recording_open(struct recording *recording, const struct config *config, struct event_log *log, bool quiet);
void recording_close(struct recording *recording); /* waits until all is written, for a moment */

/* One transfer: when it begins, and when it has ended. */
struct recording_run {
    uint64_t id, begun;
};
void recording_begin(struct recording *recording, struct recording_run *run, const char *partner, bool put,
                     const char *remote, const char *local);
/* `run` NULL: it was one of many, and of its beginning nobody spoke. Strings that `transfer` lacks may be NULL. */
void recording_end(struct recording *recording, const struct recording_run *run, const char *partner,
                   const struct client_transfer *transfer, int result, const char *reason);

#endif
