/*
 * A head is gathered whole, under the guard, before the library sees it: so it reads the same however it arrives, and
 * what the guard refuses costs nothing more.
 */
#include "engine/http/guard.h"
#include "engine/http/head.h"
#include "engine/http/parser.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define EMPTY_LINES_MAX 4 /* ahead of a request: RFC 9112, 2.2, asks for patience with one */

struct http_reader {
    enum http_side side;
    struct parser *parser;
    char *bytes; /* of the head so far; later what the strings of `head` lie in */
    size_t length, limit;
    size_t empty_lines;
    bool to_head, complete;
    struct head_guard guard;
    struct chunk_guard chunks;
    struct http_refusal refusal;
    struct http_head head;
};

struct http_reader *http_reader_new(enum http_side side, size_t limit)
{
    struct http_reader *reader = calloc(1, sizeof *reader);

    if (!reader)
        return NULL;
    reader->side = side;
    reader->limit = limit;
    reader->bytes = malloc(limit ? limit : 1);
    reader->parser = parser_new(side == HTTP_RESPONSES);
    if (!reader->bytes || !reader->parser) {
        http_reader_free(reader);
        return NULL;
    }
    http_reader_next(reader, false);
    return reader;
}

void http_reader_free(struct http_reader *reader)
{
    if (!reader)
        return;
    parser_free(reader->parser);
    if (reader->bytes)
        explicit_bzero(reader->bytes, reader->length);
    free(reader->bytes);
    free(reader);
}

/* Fields beyond the count are never looked at. */
static void forget_head(struct http_head *head)
{
    memset(head, 0, offsetof(struct http_head, fields));
    memset(&head->field_count, 0, sizeof *head - offsetof(struct http_head, field_count));
}

void http_reader_next(struct http_reader *reader, bool to_head)
{
    parser_reset(reader->parser);
    explicit_bzero(reader->bytes, reader->length);
    reader->length = 0;
    reader->empty_lines = 0;
    reader->to_head = to_head;
    reader->complete = false;
    reader->guard = (struct head_guard){ 0 };
    reader->chunks = (struct chunk_guard){ .limit = reader->limit };
    reader->refusal = HTTP_ACCEPTED;
    forget_head(&reader->head);
}

static struct http_refusal parse(struct http_reader *reader)
{
    struct start_line start = { 0 };
    struct parser_fields fields; /* the array is large, and only as much of it as counts is looked at */
    const char *line_end = memchr(reader->bytes, '\r', reader->length);
    const char *why = NULL;

    fields.count = 0;
    fields.too_many = false;
    struct http_refusal refusal =
        start_line_read(reader->side, reader->bytes, (size_t)(line_end - reader->bytes), &start);
    if (refusal.status)
        return refusal;
    switch (parser_head(reader->parser, reader->bytes, reader->length, &fields, &why)) {
    case PARSER_OK:
        return head_fill(&reader->head, reader->side, reader->to_head, &start, &fields);
    case PARSER_UNKNOWN_METHOD:
        return http_refuse(501, "no such method is known here");
    case PARSER_TOO_LONG:
        return http_refuse(431, "the head is too long");
    case PARSER_MALFORMED:
        break;
    }
    return fields.too_many ? http_refuse(431, "too many fields") : http_refuse(400, why);
}

static struct http_refusal too_long(const struct http_reader *reader)
{
    if (reader->side == HTTP_REQUESTS && reader->guard.line == 0)
        return http_refuse(414, "the request line is too long");
    return http_refuse(431, "the head is too long");
}

/* Empty lines ahead of a request are passed over, some. */
static struct http_refusal pass_over_empty_line(struct http_reader *reader)
{
    if (++reader->empty_lines > EMPTY_LINES_MAX)
        return http_refuse(400, "too many empty lines ahead of a request");
    reader->guard = (struct head_guard){ 0 };
    reader->length = 0;
    return HTTP_ACCEPTED;
}

static struct http_refusal feed(struct http_reader *reader, char byte)
{
    if (reader->length == reader->limit)
        return too_long(reader);
    const char *why = head_guard_feed(&reader->guard, (unsigned char)byte);
    if (why)
        return http_refuse(400, why);
    reader->bytes[reader->length++] = byte;
    if (!reader->guard.over)
        return HTTP_ACCEPTED;
    if (reader->guard.line == 1 && reader->side == HTTP_REQUESTS)
        return pass_over_empty_line(reader);
    reader->complete = true;
    return parse(reader);
}

/* What stands within a line, in one go. Returns how many bytes. */
static size_t feed_run(struct http_reader *reader, const char *bytes, size_t length)
{
    size_t room = reader->limit - reader->length;
    size_t run = head_guard_run(&reader->guard, bytes, length < room ? length : room);

    memcpy(reader->bytes + reader->length, bytes, run);
    reader->length += run;
    return run;
}

enum http_progress http_reader_head(struct http_reader *reader, const char *bytes, size_t length, size_t *used)
{
    *used = 0;
    while (*used < length && !reader->complete && !reader->refusal.status) {
        *used += feed_run(reader, bytes + *used, length - *used);
        if (*used < length)
            reader->refusal = feed(reader, bytes[(*used)++]);
    }
    if (reader->refusal.status)
        return HTTP_REFUSED;
    return reader->complete ? HTTP_COMPLETE : HTTP_MORE;
}

const struct http_head *http_reader_result(const struct http_reader *reader)
{
    return &reader->head;
}

unsigned http_reader_refusal(const struct http_reader *reader, const char **why)
{
    if (why)
        *why = reader->refusal.why;
    return reader->refusal.status;
}

bool http_reader_began(const struct http_reader *reader)
{
    return reader->length > 0 || reader->refusal.status != 0;
}

/* One call's work on a chunked body. */
struct decoding {
    struct chunk_guard *guard;
    char *out;        /* where the next run of the body goes */
    const char *next; /* the first byte the guard has not seen */
};

static int guard_framing(struct decoding *decoding, const char *end)
{
    for (; decoding->next < end; decoding->next++) {
        if (chunk_guard_feed(decoding->guard, (unsigned char)*decoding->next))
            return -EBADMSG;
    }
    return 0;
}

static int take_body(void *argument, const char *at, size_t length)
{
    struct decoding *decoding = argument;

    if (length == 0)
        return 0;
    if (guard_framing(decoding, at) < 0 || decoding->guard->place != CHUNK_DATA_CR)
        return -EBADMSG;
    decoding->guard->run = 0;
    memmove(decoding->out, at, length);
    decoding->out += length;
    decoding->next = at + length;
    return 0;
}

ssize_t http_reader_chunked(struct http_reader *reader, char *bytes, size_t length, size_t *used, bool *end)
{
    struct decoding decoding = { .guard = &reader->chunks, .out = bytes, .next = bytes };

    *used = 0;
    *end = false;
    if (reader->refusal.status)
        return -EBADMSG;
    ssize_t taken = parser_chunked(reader->parser, bytes, length, take_body, &decoding, end);
    if (taken < 0 || guard_framing(&decoding, bytes + taken) < 0 || *end != (reader->chunks.place == CHUNK_OVER)) {
        reader->refusal = http_refuse(400, "the chunked body is malformed");
        *end = false;
        return -EBADMSG;
    }
    *used = (size_t)taken;
    return decoding.out - bytes;
}
