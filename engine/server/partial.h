/* Uploads in parts: what other handlers ask of partial.c. */
#ifndef SLUICE_SERVER_PARTIAL_H
#define SLUICE_SERVER_PARTIAL_H

#include "engine/server/server_internal.h"

#define PARTIAL_FIELD "Sluice-Upload"

/* A PUT with that field. */
enum flow partial_receive(struct session *session);
/* A HEAD or DELETE with that field, from who may write: true, *flow says how it goes on. False: as without it. */
bool partial_admitted(struct session *session, enum flow *flow);

/* receive.c: the body of a part is in the file; it ended early, to be answered with `status` (0: broken off). */
enum flow partial_arrived(struct session *session);
enum flow partial_failed(struct session *session, unsigned status, const char *why);

/* Sluice-Upload-Have, where the request is to be told. */
void partial_write_have(const struct session *session, struct http_writer *out);
bool partial_told(const struct session *session); /* it was asked for, and is told */
/* Tells the upload how far this part has come. True: the part must end. */
bool partial_tick(struct session *session);
void partial_release(struct session *session);

#endif
