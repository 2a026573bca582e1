/* Private to engine/server: what goes with a body: digests, its rate, its record, and what is done once it is over. */
#ifndef SLUICE_SERVER_TRANSFER_H
#define SLUICE_SERVER_TRANSFER_H

#include "engine/server/session.h"

/*
 * digest.c: digests that a request wants, or promises of the file it brings. Computed on threads of their own, one at a
 * time for each state of a file, and remembered.
 *
 * session_promised(): what the request in hand says of the whole file, into session->promised: Repr-Digest, and with
 * `content` Content-Digest, too. 0, or 400 where a field is malformed.
 * session_wait_arrival(): of a file that came and has no name yet, as promised; goes on with session->step;
 * session->result is 0 with session->digests filled, or -errno. The descriptor is open for reading. `front`: what is
 * computed already, which goes to it; or NULL.
 * session_digest_holds(): whether what was computed agrees with what was promised.
 */
unsigned session_promised(struct session *session, bool content);
struct digest_front;
enum flow session_wait_arrival(struct session *session, int fd, struct digest_front *front);
bool session_digest_holds(const struct session *session);
/*
 * session_seek_digest(): goes on with `then`, with session->digests filled where the request wants a digest of
 * session->file and it is known; for a HEAD it is computed where it is not, while the client is there.
 * session_write_digests(): what is known, as a field of the answer in session->out.
 */
enum flow session_seek_digest(struct session *session, enum flow (*then)(struct session *session));
void session_write_digests(struct session *session);
bool session_digest_unwanted(struct session *session);  /* now and then: it waits for one, and nobody waits for it */
void session_digest_release(struct session *session);   /* the session ends */
void session_digest_begins(struct session *session);    /* a body, whose pump has been started */
void session_digest_leaves(struct session *session);    /* for another worker, with a body that begins there */
void session_remember_digests(struct session *session); /* of an upload that has its name now: session->facts */
/* T11E: the file that came is not the one that was promised. `kept`: where it was set aside; NULL: it is gone. */
void session_tell_mismatch(struct session *session, const char *kept);

/* rate.c: how fast bodies may move. Around each pump: */
void rate_begin(struct session *session);
void rate_tick(struct session *session);
void rate_end(struct session *session);           /* nothing moves any more */
void rate_count(struct session *session);         /* this request has a body, which takes its share */
uint64_t rate_announced(struct session *session); /* to a client that asked for a limit; 0: it did not */

bool rate_limits(const struct session *session); /* whether a body of this request is held to one */

/* Who the other side is, as records and hooks have it; NULL: not known by that. */
const char *session_partner(const struct session *session);
const char *session_user(const struct session *session);

/* record.c: what the catalog has of it. */
void record_begin(struct session *session);
void record_tick(struct session *session); /* a transfer that takes long is recorded as running */
void record_ended(struct session *session, const char *direction, uint64_t bytes, const char *event, const char *why);
void record_refused(struct session *session, unsigned status, const char *why);
void record_release(struct session *session);

/* after.c: what the configuration wants done after a transfer. `why`: it failed. */
void after_message(const struct session *session, const char *id, const char *text, size_t length);
void after_transfer(const struct session *session, const char *direction, uint64_t bytes, const char *why);

#endif
