/*
 * Files of passwords: one NAME:HASH a line, as htpasswd writes them, the hash as crypt(3) knows it (yescrypt $y$,
 * bcrypt $2b$, SHA-512 $6$; older ones are refused). Empty lines and lines that begin with # are comments.
 */
#ifndef SLUICE_GATE_PASSWORDS_H
#define SLUICE_GATE_PASSWORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "config/errors.h"

struct passwords;

/*
 * Reads the file that `key` of a section names. NULL after every problem was added: unreadable, readable by others, a
 * line that is malformed, a name that is there twice, a hash that is too weak or unknown.
 */
struct passwords *passwords_read(const char *file, const struct config_section *section, const char *key,
                                 struct config_errors *errors);
void passwords_free(struct passwords *passwords); /* NULL is allowed; wipes */

bool passwords_know(const struct passwords *passwords, const char *name);

/* The names in their order: 0 is the first, NULL behind the last. */
const char *passwords_name(const struct passwords *passwords, size_t index);

/* Whether both have this name with the same hash. Another hash may be one of the same password, with another salt. */
bool passwords_same(const struct passwords *a, const struct passwords *b, const char *name);

/* Takes as long for a name that is not there. The comparison is in constant time. NULL passwords: false, as slowly. */
bool passwords_hold(const struct passwords *passwords, const char *name, const char *password);

/*
 * Changes one entry (hash NULL: removes it) by writing a new file beside the old one and renaming; owner and mode
 * stay the old one's, but that others lose every access; a new file is 0600. Comments and order stay. Others who change
 * it by this function wait. 0, -ENOENT (nothing to remove) or -errno.
 */
int passwords_change(const char *file, const char *name, const char *hash);

/* A yescrypt hash with a fresh salt, for free(). NULL: errno says why. */
char *passwords_hash(const char *password);

/* Names may hold letters, digits and . _ - @ +, at most 127 of them. */
bool passwords_name_good(const char *name);

#endif
