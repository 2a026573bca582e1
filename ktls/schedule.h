/*
 * The key schedule after the handshake: from secrets that OpenSSL negotiated to keys the kernel can be given.
 *
 * TLS 1.3: RFC 8446, 7.2 and 7.3. TLS 1.2: RFC 5246, 6.3. All derivations are the KDFs of OpenSSL's `library`, which is
 * the session's own (NULL: the default one): under fips = yes they are the FIPS provider's.
 * Every function returns 0, or -EIO where OpenSSL failed (then the output holds no secret).
 */
#ifndef SLUICE_KTLS_SCHEDULE_H
#define SLUICE_KTLS_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/types.h>

#include "ktls/suite.h"

#define KTLS_SECRET_MAX 48 /* SHA-384 */

/* A TLS 1.3 application traffic secret; `digest` is OpenSSL's name of the suite's hash, e.g. "SHA256". */
struct ktls_secret {
    uint8_t bytes[KTLS_SECRET_MAX];
    size_t length; /* 0: not known */
    const char *digest;
};

void ktls_secret_wipe(struct ktls_secret *secret);
/* A copy of `bytes`. A secret is as long as its hash (RFC 8446, 7.1); of any other length it is not known. */
void ktls_secret_set(struct ktls_secret *secret, const uint8_t *bytes, size_t length);

/* key and nonce from a traffic secret; sets keys->sequence to 0. */
int ktls_schedule_keys13(OSSL_LIB_CTX *library, const struct ktls_suite *suite, const struct ktls_secret *secret,
                         struct ktls_keys *keys);

/* The secret that follows a KeyUpdate, in place. */
int ktls_schedule_update(OSSL_LIB_CTX *library, struct ktls_secret *secret);

/*
 * Both directions of TLS 1.2 from the master secret. `server_random` and `client_random` have 32 bytes each.
 * Explicit nonces are left zero: they are the caller's, who saw what went over the wire.
 */
int ktls_schedule_keys12(OSSL_LIB_CTX *library, const struct ktls_suite *suite, const char *digest,
                         const uint8_t *master, size_t master_length, const uint8_t *server_random,
                         const uint8_t *client_random, struct ktls_keys *client, struct ktls_keys *server);

#endif
