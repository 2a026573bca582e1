/*
 * The traffic secrets of TLS 1.3, seen as they are made. Private to ktls/ and its tests.
 */
#ifndef SLUICE_KTLS_SECRETS_INTERNAL_H
#define SLUICE_KTLS_SECRETS_INTERNAL_H

#include "ktls/schedule.h"

/*
 * The property query for SSL_CTX_new_ex() in OpenSSL's default library under which secrets are seen; lent for good.
 * NULL: they are not, since openssl.cnf demands what we do not have, or there is no memory.
 */
const char *secrets_query(void);

/* Where this thread copies what is made from here on, with such a query. NULL, NULL: no longer. */
void secrets_expect(struct ktls_secret *client, struct ktls_secret *server);

/*
 * expand.c: HKDF-Expand-Label from the parameters of a TLS13-KDF. false: that is not what they ask for, or it failed;
 * nothing was written. Before the first: expand_load(), once.
 */
bool expand_label(const OSSL_PARAM parameters[], uint8_t *output, size_t size);
void expand_load(void);

#endif
