/*
 * What becomes of a transfer whose target is there already (client_options.if_exists). Private to this folder.
 *
 * exists_before_get() or exists_before_put() comes first: it looks, and decides before a body moves where it can. What
 * appears between that look and the end of the transfer is never overwritten unless that is what was asked for.
 */
#ifndef SLUICE_CLIENT_EXISTS_H
#define SLUICE_CLIENT_EXISTS_H

#include "engine/client/client_internal.h"

#define EXISTS_DONE (-EALREADY) /* not of enum client_result: nothing is to be moved, and client->last says why */
#define EXISTS_AGAIN (-EEXIST)
#define EXISTS_TRIES 4

/* CLIENT_OK: go on; EXISTS_DONE; CLIENT_EXISTS, or another result. */
int exists_before_get(struct client *client, const char *remote, const char *local);
/* The same, and *target: the path to send to, the client's. */
int exists_before_put(struct client *client, const char *local, const char *remote, const char **target);

/* The conditions of a PUT, and of each of its parts. At most EXISTS_FIELDS_SIZE bytes. */
#define EXISTS_FIELDS_SIZE 64
void exists_write_fields(const struct client *client, struct http_writer *fields);
/*
 * The condition of one that a server names before it can be verified: only what was looked at is replaced. At most
 * EXISTS_SEEN_SIZE bytes. exists_begin_put() comes before the first try.
 */
#define EXISTS_SEEN_SIZE 300
void exists_begin_put(struct client *client);
void exists_write_seen(const struct client *client, struct http_writer *fields);
/* Of the answer that ended a PUT, while its head is there: the name that the file got becomes that of the transfer. */
void exists_note_name(struct client *client);
/* Whether the last answer says that the server's store lets no file be replaced. */
bool exists_keeps(const struct client *client);
/* After a PUT: what a refusal means. EXISTS_DONE, EXISTS_AGAIN (from exists_before_put()) or a result. */
int exists_after_put(struct client *client, int result);

/* For the commit of a GET: struct store_upload's `numbered`, and what is expected under the name. */
unsigned *exists_number(struct client *client);
const char *exists_expected(const struct client *client);
/* After that commit, `error` being what it returned: CLIENT_OK, CLIENT_EXISTS, or `error` where it is none of ours. */
int exists_after_get(struct client *client, int error);

#endif
