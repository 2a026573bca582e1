/* From the pieces of a head to a checked value. Private to this folder. */
#ifndef SLUICE_HTTP_HEAD_H
#define SLUICE_HTTP_HEAD_H

#include "engine/http/http.h"
#include "engine/http/parser.h"

struct http_refusal {
    unsigned status; /* 0: nothing is refused */
    const char *why; /* static text */
};

#define HTTP_ACCEPTED ((struct http_refusal){ 0 })

static inline struct http_refusal http_refuse(unsigned status, const char *why)
{
    return (struct http_refusal){ .status = status, .why = why };
}

/* The first line of a head. Spans point into the bytes that were given. */
struct start_line {
    struct parser_span method, target; /* requests */
    unsigned minor;
    unsigned status; /* responses */
};

struct http_refusal start_line_read(enum http_side side, const char *line, size_t length, struct start_line *start);

/*
 * Fills *head. Ends its strings in place, so the bytes behind `start` and `fields` are not those that were received any
 * more. `to_head`: see http_reader_next().
 */
struct http_refusal head_fill(struct http_head *head, enum http_side side, bool to_head, const struct start_line *start,
                              const struct parser_fields *fields);

bool http_token(const char *text, size_t length);

/* field.c: the name of a field is this one. Neither is empty. */
bool http_field_named(const char *given, const char *name);

#endif
