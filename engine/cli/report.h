/* What is said about each transfer when it has ended: one line, or one JSON object. */
#ifndef SLUICE_CLI_REPORT_H
#define SLUICE_CLI_REPORT_H

#include <stdio.h>

#include "config/printable.h"
#include "engine/client/client.h"

/* Processor seconds of this process so far, all its threads, user and system. */
double report_cpu_seconds(void);

/* "got  data/run.tar -> ./run.tar  1073741824 bytes in 0.93 s, 1.15 GB/s, TLSv1.3 ..., path user; tx ...; rx ..." */
void report_line(FILE *out, const struct client_transfer *transfer);

/* With `reason` of a failure, "" otherwise; `cpu_seconds`: of this transfer. The resident memory is the process's. */
void report_json(FILE *out, const struct client_transfer *transfer, int result, const char *reason, double cpu_seconds);
/*
 * The same of one of many files, which has no processor seconds of its own. The line may wait in `out` until somebody
 * flushes that. `resident_kib`: as report_resident_kib() said not long ago, for asking takes as long as moving a file.
 */
void report_json_of_many(FILE *out, const struct client_transfer *transfer, int result, const char *reason,
                         long resident_kib);
/* The most memory that this process has had so far, KiB. */
long report_resident_kib(void);

/* A file that --dry-run leaves alone: {"would":"get","remote":..,"bytes":..}. UINT64_MAX: its size is not known. */
void report_plan(FILE *out, const char *direction, const char *remote, uint64_t bytes);

/* The end of a tree. */
struct report_summary {
    const char *direction, *remote, *local;
    bool dry_run;
    const char *untaken; /* what the server does not take, in words; NULL: nothing */
    uint64_t moved, skipped, failed, bytes;
    double seconds;
};
void report_summary(FILE *out, const struct report_summary *summary);

/* One entry of a listing. */
void report_entry(FILE *out, const struct client_entry *entry, int json);

#endif
