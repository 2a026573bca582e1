/*
 * Events: what an operator must be able to read later. One line each: a stable id, whose last letter is the severity
 * (I, W, E, F), and fields, as `key=value` or as JSON. Values are escaped: no byte of a peer reaches the log as it
 * came.
 */
#ifndef SLUICE_EVENT_H
#define SLUICE_EVENT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct event_log;

/* `out` stays the caller's and is written to one whole line at a time, from any thread. */
struct event_log *event_log_new(FILE *out, bool json);
/*
 * The journal of systemd: each field of an event as a field of its own (SLUICE_EVENT is the id), MESSAGE the line of
 * text. Where there is no journal, a warning and all that follows go to `fallback`, as event_log_new() would write
 * them.
 */
struct event_log *event_log_new_journal(FILE *fallback, bool json);
void event_log_free(struct event_log *log); /* NULL is allowed */

enum event_kind { EVENT_TEXT, EVENT_NUMBER };

struct event_field {
    const char *key; /* NULL ends the list */
    enum event_kind kind;
    const char *text; /* NULL: the field is left out */
    uint64_t number;
};

#define EVENT_T(k, t)                                                                                                  \
    {                                                                                                                  \
        .key = (k), .kind = EVENT_TEXT, .text = (t)                                                                    \
    }
#define EVENT_N(k, n)                                                                                                  \
    {                                                                                                                  \
        .key = (k), .kind = EVENT_NUMBER, .number = (uint64_t)(n)                                                      \
    }
#define event(log, id, ...) event_emit(log, id, (const struct event_field[]){ __VA_ARGS__, { 0 } })

/* Writes one line. A NULL log swallows it. */
void event_emit(struct event_log *log, const char *id, const struct event_field *fields);

/* One line about an id: the table of all there are, for documentation and `sluice events`. */
struct event_description {
    const char *id;
    const char *meaning;
};
extern const struct event_description event_descriptions[]; /* ends with a NULL id */

#endif
