/*
 * Strict reading of the bytes that frame a message, ahead of whatever the parser library would let pass (RFC 9112, 2.2
 * and 11.2: where two readers disagree about where a message ends, requests can be smuggled).
 *
 * Each guard is fed byte by byte and says why it refuses, or NULL.
 */
#ifndef SLUICE_HTTP_GUARD_H
#define SLUICE_HTTP_GUARD_H

#include <stdbool.h>
#include <stddef.h>

/* A head: lines that end in CR LF, no control bytes but tab within, no line that continues another. */
struct head_guard {
    size_t line;   /* number of the present line, the first is 0 */
    size_t column; /* bytes of it so far */
    bool cr;
    bool over; /* the empty line was seen */
};

const char *head_guard_feed(struct head_guard *guard, unsigned char byte);
/* Takes what it would take of `bytes` without another word, as far as one line goes. Returns how many; 0: feed it one. */
size_t head_guard_run(struct head_guard *guard, const char *bytes, size_t length);

/* What stands between the data of chunks: sizes, extensions, trailers. */
enum chunk_place {
    CHUNK_SIZE_FIRST,
    CHUNK_SIZE,
    CHUNK_EXTENSION,
    CHUNK_SIZE_LF,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    CHUNK_TRAILERS,
    CHUNK_OVER,
};

struct chunk_guard {
    enum chunk_place place;
    bool zero;               /* the size read so far is 0 */
    size_t run, limit;       /* framing bytes since the last byte of data, and how many there may be */
    struct head_guard lines; /* of the trailers */
};

const char *chunk_guard_feed(struct chunk_guard *guard, unsigned char byte);

#endif
