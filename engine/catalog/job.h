/*
 * Transfers that are queued: rows of `job` beside those of `transfer`. A job stays with its transfer until that is
 * purged, so that a failed one can be tried again. Errors as in catalog.h.
 */
#ifndef SLUICE_CATALOG_JOB_H
#define SLUICE_CATALOG_JOB_H

#include "engine/catalog/catalog.h"

#define CATALOG_REQUEST_MAX 4096

/* Records a transfer that is to be carried out at `due`, and what to do. record->state: waiting or held. */
int catalog_job_add(struct catalog *catalog, struct catalog_record *record, uint64_t due, const void *request,
                    size_t length);

/*
 * Visits the jobs that wait and are due, those that have waited longest first. The record has no message and no
 * streams. Non-zero from the visit ends the search, which returns it. The visit must not change the catalog.
 */
int catalog_job_due(struct catalog *catalog, uint64_t now, catalog_visit *visit, void *argument);
/* When the next one is due that waits; UINT64_MAX: none does. */
int catalog_job_next(struct catalog *catalog, uint64_t *due);

/* What stands in a job. *length: its bytes, at most `size`. 0, -ENOENT, -EMSGSIZE. */
int catalog_job_request(struct catalog *catalog, uint64_t id, void *request, size_t size, size_t *length);

/* How far one that runs has come: bytes that are there, those in all (CATALOG_UNKNOWN), and how many a second. */
int catalog_job_progress(struct catalog *catalog, uint64_t id, uint64_t bytes, uint64_t size, uint64_t rate);

/*
 * Writes what became of a try, where the transfer is still running; nothing where somebody has cancelled or held it
 * meanwhile: -EBUSY, and *found is what it is now. A record that waits again is due then.
 */
int catalog_job_ended(struct catalog *catalog, struct catalog_record *record, uint64_t due, enum catalog_state *found);

/* What an operator does to one. 0; -ENOENT: no such transfer; -EBUSY: not in *found; -ENOTSUP: it is not queued. */
enum catalog_order { CATALOG_RETRY, CATALOG_HOLD, CATALOG_RELEASE, CATALOG_CANCEL };
int catalog_job_order(struct catalog *catalog, uint64_t id, enum catalog_order order, enum catalog_state *found);

/* The state of any transfer. 0 or -ENOENT. */
int catalog_job_state(struct catalog *catalog, uint64_t id, enum catalog_state *state);

/* A number that differs once another connection has changed the file. */
int catalog_job_version(struct catalog *catalog, int64_t *version);

#endif
