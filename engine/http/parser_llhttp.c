/* The parser behind the reader, with llhttp (libllhttp-dev, Debian from 13). */
#include <llhttp.h>

#include "engine/http/parser.h"

#include <errno.h>
#include <stdlib.h>

struct parser {
    llhttp_t library;
    llhttp_settings_t settings;
    bool responses;
    bool head_over, body_over;
    struct parser_fields *fields; /* while a head is parsed; else NULL */
    parser_body *body;            /* while a body is parsed; else NULL */
    void *argument;
};

static int on_field(llhttp_t *library, const char *at, size_t length)
{
    struct parser *parser = library->data;
    return parser->fields ? parser_fields_name(parser->fields, at, length) : 0; /* trailers are passed over */
}

static int on_value(llhttp_t *library, const char *at, size_t length)
{
    struct parser *parser = library->data;
    return parser->fields ? parser_fields_value(parser->fields, at, length) : 0;
}

static int on_head_over(llhttp_t *library)
{
    struct parser *parser = library->data;
    parser->head_over = true;
    return 0;
}

static int on_body(llhttp_t *library, const char *at, size_t length)
{
    struct parser *parser = library->data;
    return parser->body ? parser->body(parser->argument, at, length) : -1;
}

static int on_message_over(llhttp_t *library)
{
    struct parser *parser = library->data;
    if (!parser->body)
        return 0;
    parser->body_over = true;
    return HPE_PAUSED; /* or it would go on with the next message */
}

struct parser *parser_new(bool responses)
{
    struct parser *parser = calloc(1, sizeof *parser);
    if (!parser)
        return NULL;
    parser->responses = responses;
    llhttp_settings_init(&parser->settings);
    parser->settings.on_header_field = on_field;
    parser->settings.on_header_value = on_value;
    parser->settings.on_headers_complete = on_head_over;
    parser->settings.on_body = on_body;
    parser->settings.on_message_complete = on_message_over;
    parser_reset(parser);
    return parser;
}

void parser_free(struct parser *parser)
{
    free(parser);
}

void parser_reset(struct parser *parser)
{
    llhttp_init(&parser->library, parser->responses ? HTTP_RESPONSE : HTTP_REQUEST, &parser->settings);
    parser->library.data = parser;
    parser->head_over = parser->body_over = false;
}

enum parser_verdict parser_head(struct parser *parser, const char *bytes, size_t length, struct parser_fields *fields,
                                const char **why)
{
    parser->fields = fields;
    llhttp_errno_t error = llhttp_execute(&parser->library, bytes, length);
    parser->fields = NULL;

    /* It stops for an upgrade; that this is refused, the head's own check says. */
    if ((error == HPE_OK || error == HPE_PAUSED_UPGRADE) && parser->head_over)
        return PARSER_OK;
    const char *reason = llhttp_get_error_reason(&parser->library);
    *why = error == HPE_OK ? "the head ends early" : reason && reason[0] ? reason : "malformed head";
    return error == HPE_INVALID_METHOD ? PARSER_UNKNOWN_METHOD : PARSER_MALFORMED;
}

ssize_t parser_chunked(struct parser *parser, const char *bytes, size_t length, parser_body *body, void *argument,
                       bool *end)
{
    *end = false;
    if (length == 0)
        return 0;
    parser->body = body;
    parser->argument = argument;
    llhttp_errno_t error = llhttp_execute(&parser->library, bytes, length);
    parser->body = NULL;

    *end = parser->body_over;
    if (*end)
        return llhttp_get_error_pos(&parser->library) - bytes;
    return error == HPE_OK ? (ssize_t)length : -EBADMSG;
}
