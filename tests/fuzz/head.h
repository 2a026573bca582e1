/*
 * What request and response heads have in common: read at once and split anywhere, the outcome must be the same, and an
 * accepted head must hold what http.h promises. A chunked body after it must decode alike, too.
 */
#ifndef SLUICE_FUZZ_HEAD_H
#define SLUICE_FUZZ_HEAD_H

#include "engine/http/http.h"

#include <stdlib.h>
#include <string.h>

#define FUZZ_LIMIT 2048

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            abort();                                                                                                   \
    } while (0)

struct reading {
    struct http_reader *reader;
    enum http_progress progress;
    size_t head; /* bytes of it */
    char *body;  /* a chunked one, decoded */
    size_t length, used;
    bool end, failed;
};

static inline size_t step_at(size_t at, size_t split, size_t step, size_t size)
{
    size_t next = at < split ? split : at + step;

    return (next < size ? next : size) - at;
}

/* A copy of exactly that size: the sanitizer sees a byte too far. */
static inline char *fuzz_copy(const uint8_t *data, size_t size)
{
    char *copy = malloc(size ? size : 1);

    REQUIRE(copy);
    memcpy(copy, data, size);
    return copy;
}

static inline void read_body(struct reading *reading, const uint8_t *data, size_t size, size_t split, size_t step)
{
    for (size_t at = 0; at < size && !reading->end && !reading->failed;) {
        size_t piece = step_at(at, split, step, size), used;
        char *bytes = fuzz_copy(data + at, piece);
        ssize_t n = http_reader_chunked(reading->reader, bytes, piece, &used, &reading->end);
        REQUIRE(used <= piece && n <= (ssize_t)used);
        if (n < 0) {
            reading->failed = true;
        } else {
            REQUIRE(reading->end || used == piece);
            memcpy(reading->body + reading->length, bytes, (size_t)n);
            reading->length += (size_t)n;
            reading->used += used;
        }
        free(bytes);
        at += piece;
    }
}

/* First up to `split`, then in pieces of `step`. */
static inline struct reading read_in_pieces(enum http_side side, bool to_head, const uint8_t *data, size_t size,
                                            size_t split, size_t step)
{
    struct reading reading = { .reader = http_reader_new(side, FUZZ_LIMIT), .progress = HTTP_MORE };

    REQUIRE(reading.reader);
    reading.body = malloc(size + 1);
    REQUIRE(reading.body);
    http_reader_next(reading.reader, to_head);
    while (reading.head < size && reading.progress == HTTP_MORE) {
        size_t piece = step_at(reading.head, split, step, size), used;
        char *bytes = fuzz_copy(data + reading.head, piece);
        reading.progress = http_reader_head(reading.reader, bytes, piece, &used);
        REQUIRE(used <= piece && (reading.progress != HTTP_MORE || used == piece));
        reading.head += used;
        free(bytes);
    }
    if (reading.progress == HTTP_COMPLETE && http_reader_result(reading.reader)->framing == HTTP_BODY_CHUNKED)
        read_body(&reading, data + reading.head, size - reading.head, split > reading.head ? split - reading.head : 0,
                  step);
    return reading;
}

static inline void require_same(const struct reading *a, const struct reading *b)
{
    const struct http_head *x = http_reader_result(a->reader), *y = http_reader_result(b->reader);

    REQUIRE(a->progress == b->progress && a->head == b->head);
    REQUIRE(http_reader_refusal(a->reader, NULL) == http_reader_refusal(b->reader, NULL));
    REQUIRE(a->end == b->end && a->failed == b->failed);
    if (a->progress != HTTP_COMPLETE)
        return;
    REQUIRE(x->framing == y->framing && x->length == y->length && x->keep_alive == y->keep_alive);
    REQUIRE(x->field_count == y->field_count && x->status == y->status && x->method == y->method);
    for (size_t i = 0; i < x->field_count; i++) {
        REQUIRE(strcmp(x->fields[i].name, y->fields[i].name) == 0);
        REQUIRE(strcmp(x->fields[i].value, y->fields[i].value) == 0);
    }
    if (!a->failed)
        REQUIRE(a->used == b->used && a->length == b->length && memcmp(a->body, b->body, a->length) == 0);
}

static inline void require_printable(const char *text)
{
    for (; *text; text++)
        REQUIRE(*text == '\t' || (unsigned char)*text >= 0x20);
}

static inline void require_valid(const struct http_head *head)
{
    REQUIRE(head->minor <= 1 && head->field_count <= HTTP_FIELDS_MAX);
    for (size_t i = 0; i < head->field_count; i++) {
        const char *value = head->fields[i].value;
        size_t length = strlen(value);
        REQUIRE(*head->fields[i].name && !strpbrk(head->fields[i].name, " \t:()<>@,;\\\"/[]?={}"));
        require_printable(head->fields[i].name);
        require_printable(value);
        REQUIRE(length == 0 || !strchr(" \t", value[0]));
        REQUIRE(length == 0 || !strchr(" \t", value[length - 1]));
    }
    if (http_field(head, "Transfer-Encoding"))
        REQUIRE(!http_field(head, "Content-Length") && head->minor == 1);
}

static inline void free_reading(struct reading *reading)
{
    http_reader_free(reading->reader);
    free(reading->body);
}

/* The first two bytes say where to split, the third to what a response answers. */
static inline struct reading fuzz_head(enum http_side side, const uint8_t *data, size_t size)
{
    size_t split = data[0] | (size_t)data[1] << 8;
    bool to_head = data[2] & 1;

    data += 3;
    size -= 3;
    struct reading whole = read_in_pieces(side, to_head, data, size, size, size + 1);
    struct reading split_once = read_in_pieces(side, to_head, data, size, split % (size + 1), size + 1);
    struct reading bytewise = read_in_pieces(side, to_head, data, size, 0, 1);
    require_same(&whole, &split_once);
    require_same(&whole, &bytewise);
    free_reading(&split_once);
    free_reading(&bytewise);
    if (whole.progress == HTTP_COMPLETE)
        require_valid(http_reader_result(whole.reader));
    else if (whole.progress == HTTP_REFUSED)
        REQUIRE(http_reader_refusal(whole.reader, NULL) >= 400);
    else
        REQUIRE(whole.head == size && size <= FUZZ_LIMIT + 8);
    return whole;
}

#endif
