/*
 * Digest fields (RFC 9530): dictionaries of structured fields (RFC 8941) whose members are byte sequences, or weights.
 */
#ifndef SLUICE_HTTP_DIGEST_H
#define SLUICE_HTTP_DIGEST_H

#include "engine/digest/digest.h"
#include "engine/http/http.h"

/*
 * What a Repr-Digest or Content-Digest says, added to `set`; algorithms that are not ours are passed over. 0; -ENOENT:
 * there is no such field, or it has none of our algorithms; -EINVAL: it is malformed, or a digest has the wrong length.
 * `set` is changed only by 0.
 */
int http_digests(const struct http_head *head, const char *name, struct digest_set *set);

/*
 * Which of our algorithms a Want-Repr-Digest wants most. 0; -ENOENT: there is no such field, or none of ours is wanted
 * (weight 0); -EINVAL: malformed.
 */
int http_digest_wanted(const struct http_head *head, const char *name, enum digest_algorithm *algorithm);

/* "Repr-Digest: sha-256=:...:" with its line end; nothing for an empty set. */
void http_write_digests(struct http_writer *writer, const char *name, const struct digest_set *set);

#endif
