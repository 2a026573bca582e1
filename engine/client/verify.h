/*
 * Verifying a transfer end to end (RFC 9530): a digest of the local file, computed beside the transfer, against that of
 * the server. Private to this folder.
 *
 * A GET:  verify_begin() once the file is open; verify_reached() as its contiguous front moves; verify_fetched() when
 * it is complete, before it gets its name. CLIENT_DIGEST: it must not get it; keep it aside as NAME.bad, and say so
 * with verify_aside(). verify_want() in the request and verify_said() save the question afterwards. A PUT:
 * put_verify_begin() once the source is open; verify_digest() where the digest is to be in a request;
 * verify_sent() after the answer that ended it. verify_end() in any case. All are no-ops where nothing is to be
 * verified.
 */
#ifndef SLUICE_CLIENT_VERIFY_H
#define SLUICE_CLIENT_VERIFY_H

#include "engine/client/client_internal.h"
#include "engine/http/digest.h"

struct verify {
    struct client *client;
    struct digest_follow *follow; /* NULL: nothing is computed */
    bool demanded;                /* by --verify: what cannot be verified is a failure */
};

/* Whether this transfer is verified: told to, or not told not to and it is a PUT or goes on with what was there. */
bool verify_wanted(const struct client *client, bool put, bool resumed);

/*
 * `wanted` false: all calls do nothing but say, in client->last, that it was not asked for. `fd` stays the caller's.
 * `spares_cache`: as of engine/digest/digest.h; of a file that is sent, as long as verify_moves() says nothing else.
 * Never fails: what keeps it from computing is the reason why the transfer was not verified.
 */
void verify_begin(struct verify *verify, struct client *client, bool wanted, int fd, bool spares_cache);
void verify_reached(struct verify *verify, uint64_t front);
void verify_whole(struct verify *verify, uint64_t size);
void verify_moves(struct verify *verify, const struct pump *pump); /* a part of it, from here on */

/* What a request must hold for its answer to bring a digest: a field with its line end, or "". */
const char *verify_want(const struct client *client, bool wanted);
/* The digests that the last answer's head brought. False: none. */
bool verify_said(const struct client *client, struct digest_set *set);

/*
 * The digest of the whole file: waits for it. CLIENT_OK (`set` may be empty: nothing is verified, or it cannot be),
 * CLIENT_INTERRUPTED.
 */
int verify_digest(struct verify *verify, struct digest_set *set);

/*
 * Compares with what the server says: what `said` holds (fields of the answer that are known to be of this
 * representation; NULL: nothing) or a HEAD with Want-Repr-Digest, under `etag` ("": unconditional). CLIENT_OK: the
 * same, or it could not be known and was not demanded; CLIENT_DIGEST; CLIENT_SERVER where it was demanded but the
 * server gives none; CLIENT_INTERRUPTED. client->last has the details. Another exchange takes place: the last answer's
 * head is gone, but for client->last.status and .bytes.
 */
int verify_fetched(struct verify *verify, const char *remote, const char *etag, uint64_t size,
                   const struct digest_set *said);
int verify_sent(struct verify *verify, const char *remote, const char *etag, uint64_t size,
                const struct digest_set *said);

/*
 * Adds to the sentence about a mismatch what became of the copy. `error`: 0, or why it could not be kept; -EEXIST:
 * there are PART_BAD_MAX and one of them. `number`: it is NAME.bad.number; 0: NAME.bad.
 */
void verify_aside(struct client *client, int error, unsigned number);

void verify_end(struct verify *verify); /* ends what still computes */

#endif
