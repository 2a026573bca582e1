/* The progress bar of get and put: on standard error, and only where that is a terminal. */
#ifndef SLUICE_CLI_PROGRESS_H
#define SLUICE_CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct progress {
    bool shown; /* a bar stands on the terminal's line */
    const char *name;
    struct timespec started;
    double rate; /* bytes per second, smoothed */
    uint64_t seen;
    double seen_at;
};

bool progress_wanted(bool quiet);
void progress_begin(struct progress *progress, const char *name);
void progress_update(void *progress, uint64_t moved, uint64_t total, const char *path); /* a client_progress */
void progress_end(struct progress *progress);                                           /* takes the bar away */

/* The line without moving the cursor, cut to `width` columns. Returns `line`. */
const char *progress_line(char *line, size_t size, unsigned width, const char *name, uint64_t moved, uint64_t total,
                          double rate, const char *path);

/* "1.15 GB/s": decimal units, three digits. Returns `text`. */
const char *rate_text(double bytes_per_second, char *text, size_t size);
const char *bytes_text(uint64_t bytes, char *text, size_t size); /* "1.15 GB" */

#endif
