/*
 * What reader.c needs of an HTTP parser library: which one it is, only the file that implements this knows
 * (parser_http_parser.c or parser_llhttp.c).
 *
 * The library is given a whole head at once, or pieces of a chunked body. It is never given a body of another framing.
 */
#ifndef SLUICE_HTTP_PARSER_H
#define SLUICE_HTTP_PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Not http.h: the libraries' names for methods are ours, too. */
#define PARSER_FIELDS_MAX 128

struct parser_span {
    const char *at;
    size_t length;
};

struct parser_field {
    struct parser_span name, value;
};

/* What a head falls into. Spans point into the bytes that were given. */
struct parser_fields {
    struct parser_field field[PARSER_FIELDS_MAX];
    size_t count;
    bool too_many;
};

enum parser_verdict { PARSER_OK, PARSER_UNKNOWN_METHOD, PARSER_TOO_LONG /* for the library */, PARSER_MALFORMED };

struct parser;

struct parser *parser_new(bool responses); /* NULL: no memory */
void parser_free(struct parser *parser);   /* NULL is allowed */
void parser_reset(struct parser *parser);  /* ready for a head */

/* `bytes` must be one head, from its first byte to its empty line. *why: static text, unless PARSER_OK. */
enum parser_verdict parser_head(struct parser *parser, const char *bytes, size_t length, struct parser_fields *fields,
                                const char **why);

/* A run of body bytes; those between two runs are framing. Non-zero ends the parsing. */
typedef int parser_body(void *argument, const char *at, size_t length);

/*
 * Bytes of the chunked body that follows that head. Returns how many were taken: all, or up to the end of the body
 * (*end) or an error (-EBADMSG).
 */
ssize_t parser_chunked(struct parser *parser, const char *bytes, size_t length, parser_body *body, void *argument,
                       bool *end);

/* For the library's callbacks: collect what it tells into *fields. Non-zero: the head cannot be right. */
int parser_fields_name(struct parser_fields *fields, const char *at, size_t length);
int parser_fields_value(struct parser_fields *fields, const char *at, size_t length);

#endif
