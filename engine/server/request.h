/*
 * Private to engine/server: what a session does for a request, from its head to the answer. By the file that does it.
 */
#ifndef SLUICE_SERVER_REQUEST_H
#define SLUICE_SERVER_REQUEST_H

#include "engine/server/session.h"

/* identify.c: who sends this request. Goes on with request_admitted(), or refuses. */
enum flow identify_begin(struct session *session);
void identify_visit(const struct session *session, struct gate_visit *visit);
void identify_release(struct session *session); /* lets go of what identifying this request took */
void identify_forget(struct session *session);  /* everything: the session ends */

/* request.c: from a whole head to the handler. */
enum flow request_begin(struct session *session);
enum flow request_admitted(struct session *session);
enum flow request_forbid(struct session *session, unsigned rights); /* 401 or 403: all of these are missing */
enum flow request_refuse(struct session *session, unsigned status,
                         const char *why); /* answers with an error and its reason */
/* The same, with something else for the log than for the peer. */
enum flow request_refuse_because(struct session *session, unsigned status, const char *say, const char *why);
enum flow request_done(struct session *session); /* answers with 204: there is no more to say */
/* Goes on with `then`, which reads the body, after 100 Continue where the peer waits for that (RFC 9110, 10.1.1). */
enum flow request_continue(struct session *session, enum flow (*then)(struct session *session));
uint64_t request_clock(void); /* microseconds, monotonic: as session->began */
bool request_has_body(const struct session *session);
void request_release(struct session *session); /* lets go of what the request holds */
void request_transferred(struct session *session, const char *direction, uint64_t bytes);
void request_failed(struct session *session, const char *direction, uint64_t bytes, const char *why);
void request_part_came(struct session *session, uint64_t bytes);                   /* T14I */
void request_part_ended(struct session *session, uint64_t bytes, const char *why); /* T14W */

/* overwrite.c: an upload whose name is taken. */
int overwrite_judge(struct session *session, bool present); /* 0, or -EALREADY: it may not be replaced */
bool overwrite_keeps(const struct session *session);        /* what is there is never replaced */
unsigned *overwrite_number(struct session *session);        /* for struct store_upload: where it may get another name */
void overwrite_named(struct session *session);              /* it has its name: session->path becomes that */
void overwrite_write_name(const struct session *session, struct http_writer *out);
void overwrite_write_kept(const struct session *session, unsigned status, struct http_writer *out); /* in a refusal */
bool overwrite_asked(const struct session *session); /* a HEAD that asks whether a name is free */
void overwrite_write_known(const struct session *session, struct http_writer *out); /* to a HEAD that asks */

/*
 * small.c: a small body goes with its head. small_body_join(): true where session->out has it behind the head now;
 * small_body_sent() is then the step that follows, and small_body_failed() says what became of it where that does not
 * come.
 */
bool small_body_join(struct session *session);
enum flow small_body_sent(struct session *session);
void small_body_failed(struct session *session);

/* folder.c: a PUT with HTTP_TYPE, and the question whether there may be one. */
bool folder_is_asked_for(const struct http_head *request);
enum flow folder_tell(struct session *session);
enum flow folder_receive(struct session *session);
void folder_release(struct session *session);

/* message.c: messages, which stand in the catalog. */
bool message_is_meant(const struct http_head *request);
enum flow message_begin(struct session *session);
void message_release(struct session *session);

/* send.c, receive.c, delete.c, listing.c, manifest.c: the handlers. */
enum flow send_begin(struct session *session);
enum flow receive_begin(struct session *session);
enum flow delete_begin(struct session *session);
/*
 * receive.c, for uploads in parts: whether the request's conditions hold now (0, 412 or -errno); its body, into
 * session->upload.fd from session->base on; what a file gets before its name; the answer once it has it.
 */
int receive_conditions(struct session *session);
enum flow receive_body(struct session *session);
void receive_dress(struct session *session, int fd);
enum flow receive_answer(struct session *session);
/* It has failed: answers with `status` (0: breaks the connection off) once nothing of the upload is left. */
enum flow receive_fail(struct session *session, unsigned status, const char *why);
enum flow receive_fail_file(struct session *session, int rc); /* as receive_status() has it */
enum flow receive_fail_channel(struct session *session, int rc);
/* whole.c: a small upload, gathered in memory. */
bool whole_may_take(const struct session *session);
enum flow whole_receive(struct session *session);
void whole_release(struct session *session);
#define RECEIVE_OTHER_DIGEST "what arrived is not what was sent: the digests differ, and the file did not get its name"
/* The status for an upload or a deletion that failed with -errno, or with 412, and its reason. */
unsigned receive_status(int rc, const char **why);
/*
 * sparse.c: goes on with `then`, with session->range the first run of data and session->data set, where the file has
 * holes and the peer can leave them out. sparse_write(): that, as a field of the answer in session->out.
 */
enum flow sparse_seek(struct session *session, enum flow (*then)(struct session *session));
void sparse_write(struct session *session);
void listing_make(struct job *job); /* session->file, a directory, becomes a memory file with its listing */
enum flow manifest_begin(struct session *session); /* all beneath session->path, as it is found */
void manifest_free(struct manifest *manifest);     /* NULL is allowed */

#endif
