/* The parser behind the reader, with http_parser (libhttp-parser-dev, Debian up to 12). */
#include <http_parser.h>

#include "engine/http/parser.h"

#include <errno.h>
#include <stdlib.h>

struct parser {
    http_parser library;
    bool responses;
    bool head_over, body_over;
    struct parser_fields *fields; /* while a head is parsed; else NULL */
    parser_body *body;            /* while a body is parsed; else NULL */
    void *argument;
};

static int on_field(http_parser *library, const char *at, size_t length)
{
    struct parser *parser = library->data;
    return parser->fields ? parser_fields_name(parser->fields, at, length) : 0; /* trailers are passed over */
}

static int on_value(http_parser *library, const char *at, size_t length)
{
    struct parser *parser = library->data;
    return parser->fields ? parser_fields_value(parser->fields, at, length) : 0;
}

static int on_head_over(http_parser *library)
{
    struct parser *parser = library->data;
    parser->head_over = true;
    return 0;
}

static int on_body(http_parser *library, const char *at, size_t length)
{
    struct parser *parser = library->data;
    return parser->body ? parser->body(parser->argument, at, length) : -1;
}

static int on_message_over(http_parser *library)
{
    struct parser *parser = library->data;
    if (parser->body) {
        parser->body_over = true;
        http_parser_pause(library, 1); /* or it would go on with the next message */
    }
    return 0;
}

static const http_parser_settings settings = {
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_head_over,
    .on_body = on_body,
    .on_message_complete = on_message_over,
};

struct parser *parser_new(bool responses)
{
    struct parser *parser = calloc(1, sizeof *parser);
    if (!parser)
        return NULL;
    parser->responses = responses;
    parser_reset(parser);
    return parser;
}

void parser_free(struct parser *parser)
{
    free(parser);
}

void parser_reset(struct parser *parser)
{
    http_parser_init(&parser->library, parser->responses ? HTTP_RESPONSE : HTTP_REQUEST);
    parser->library.data = parser;
    parser->head_over = parser->body_over = false;
}

enum parser_verdict parser_head(struct parser *parser, const char *bytes, size_t length, struct parser_fields *fields,
                                const char **why)
{
    parser->fields = fields;
    size_t parsed = http_parser_execute(&parser->library, &settings, bytes, length);
    parser->fields = NULL;

    enum http_errno error = HTTP_PARSER_ERRNO(&parser->library);
    if (error == HPE_OK && parser->head_over && parsed == length)
        return PARSER_OK;
    *why = error == HPE_OK ? "the head ends early" : http_errno_description(error);
    if (error == HPE_HEADER_OVERFLOW)
        return PARSER_TOO_LONG;
    return error == HPE_INVALID_METHOD ? PARSER_UNKNOWN_METHOD : PARSER_MALFORMED;
}

ssize_t parser_chunked(struct parser *parser, const char *bytes, size_t length, parser_body *body, void *argument,
                       bool *end)
{
    *end = false;
    if (length == 0)
        return 0; /* to the library, this would be the end of the connection */
    parser->body = body;
    parser->argument = argument;
    size_t parsed = http_parser_execute(&parser->library, &settings, bytes, length);
    parser->body = NULL;

    *end = parser->body_over;
    if (!*end && (HTTP_PARSER_ERRNO(&parser->library) != HPE_OK || parsed != length))
        return -EBADMSG;
    return (ssize_t)parsed;
}
