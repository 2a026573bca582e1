/*
 * Messages that came, by who sent them: one that is sent again, as its sender never heard the answer, is not stored
 * twice, and nobody fills the file. Errors as in catalog.h.
 */
#ifndef SLUICE_CATALOG_INBOX_H
#define SLUICE_CATALOG_INBOX_H

#include "engine/catalog/catalog.h"

#define CATALOG_GIVEN_MAX 64 /* characters of an id that a sender gives */

/* 1 to 64 letters, digits, '-', '_' and '.'. */
bool catalog_given_is_good(const char *given);

/*
 * Stores a message. `sender`: who sent it, in words that mean the same one each time. `given`: what the sender calls
 * it; NULL: nothing. `limit`: how many of that sender's may wait to be acknowledged; 0: any number.
 *     0         it is stored, and record->id is its id
 *     1         it was stored before under that name: record->id is that one's id
 *     -EEXIST   the sender gave that name to another text
 *     -EDQUOT   so many of that sender's wait already
 */
int catalog_inbox_add(struct catalog *catalog, struct catalog_record *record, const char *sender, const char *given,
                      uint64_t limit);

/* Whoever it was for has read it. -ENOENT: it is no message that came; -EBUSY: it is in the state *found. */
int catalog_inbox_acknowledge(struct catalog *catalog, uint64_t id, enum catalog_state *found);

#endif
