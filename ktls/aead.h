/*
 * Single records of TLS 1.3 (RFC 8446, 5.2 and 5.3) with OpenSSL's ciphers: from the caller's memory into the caller's
 * memory, each byte touched once. One direction's key each; it counts its records.
 */
#ifndef SLUICE_KTLS_AEAD_H
#define SLUICE_KTLS_AEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ktls/record.h"
#include "ktls/suite.h"

#define AEAD_TAG 16
#define AEAD_OVERHEAD (TLS_RECORD_HEADER + 1 + AEAD_TAG)
/* A record's body, TLSCiphertext.fragment: what is longer is against RFC 8446, 5.2. */
#define AEAD_BODY_MAX (TLS_RECORD_PLAINTEXT_MAX + 256)

struct aead;

bool aead_knows(const struct ktls_suite *suite); /* not CCM, which wants to know a record's length first */

/*
 * NULL: no memory, not known, or OpenSSL refused. `keys` stays the caller's, who wipes it.
 */
struct aead *aead_new(const struct ktls_suite *suite, const struct ktls_keys *keys, bool seals);
void aead_free(struct aead *aead); /* wipes the key; NULL is allowed */

/* Keeps the key alone, a hundred bytes instead of a thousand, until the next record. */
void aead_rest(struct aead *aead);

uint64_t aead_sequence(const struct aead *aead); /* of the next record */

/*
 * One record of up to TLS_RECORD_PLAINTEXT_MAX bytes; `record` has room for AEAD_OVERHEAD more. Its length, -EIO, or
 * -ENOMEM.
 */
ssize_t aead_seal(struct aead *aead, uint8_t type, const void *bytes, size_t size, uint8_t *record);

/*
 * One whole record of `length` bytes, header and all. `plain` has room for length - AEAD_OVERHEAD bytes, whose content
 * is of no account unless this succeeds. The bytes of the content, and its *type; or
 *
 *     -EBADMSG    it was not made with this key, as the next record
 *     -EMSGSIZE   longer than TLS allows
 *     -EINVAL     no record that may come now: of another type, too short, or padding without content
 *     -ENOMEM     nothing was looked at
 */
ssize_t aead_open(struct aead *aead, const uint8_t *record, size_t length, uint8_t *plain, uint8_t *type);

#endif
