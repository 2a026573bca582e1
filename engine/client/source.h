/*
 * What a remote file is known by while it is fetched: its size and validators (RFC 9110, 8.8). Private to this folder.
 */
#ifndef SLUICE_CLIENT_SOURCE_H
#define SLUICE_CLIENT_SOURCE_H

#include "engine/http/http.h"

#define SOURCE_ETAG_SIZE 256
#define SOURCE_TEXT_SIZE (SOURCE_ETAG_SIZE + HTTP_DATE_SIZE + 1)

struct source {
    uint64_t size;                 /* UINT64_MAX: not known */
    char etag[SOURCE_ETAG_SIZE];   /* "": none, or only a weak one */
    char modified[HTTP_DATE_SIZE]; /* "": none */
    bool dated;                    /* `modified` was long enough ago to tell versions apart */
    bool ranges;                   /* the server said that it gives parts, or gave one */
    struct http_range range;       /* of a 206; of a 200 the whole */
};

/* From the head of a 200 or 206. 0, or -EINVAL: a 206 without a Content-Range that says how large the file is. */
int source_of(struct source *source, const struct http_head *head);

/* Whether parts of this file that are fetched at different times can be told to be of one version. */
bool source_can_be_resumed(const struct source *source);

/* On the same server: the same version, for all that is known. */
bool source_same(const struct source *a, const struct source *b);
/* On another server of the same files, which gives them tags of its own: same size and time. */
bool source_alike(const struct source *a, const struct source *b);

/* If-Match or If-Unmodified-Since. */
void source_write_condition(const struct source *source, struct http_writer *writer);

/* For a journal, and back. The size is not in it. */
void source_print(const struct source *source, char text[SOURCE_TEXT_SIZE]);
int source_parse(struct source *source, const char *text, uint64_t size); /* 0 or -EINVAL */

#endif
