/* What contexts and the inventory share about our certificates and those we trust. Private to ktls/. */
#ifndef SLUICE_KTLS_CREDENTIALS_INTERNAL_H
#define SLUICE_KTLS_CREDENTIALS_INTERNAL_H

#include <openssl/x509.h>

#include "ktls/load_internal.h"

/* The file with the passphrase for what the certificate at `index` stands for; NULL: none is named. */
const char *credentials_passphrase(const struct config_profile *profile, size_t index);

/* Says which certificates of one file, ours first, are outside their days or weak. */
void chain_check_each(const struct load *load, const char *file, STACK_OF(X509) * certificates);

/* Says what is wrong with their order, and whether they lead to a root: one of them, in `trust` or in the system's
 * store. */
void chain_check(const struct load *load, const char *file, STACK_OF(X509) * certificates, X509_STORE *trust);

/* The one signed the other: by name, key identifiers, usage and signature. */
bool chain_issued(X509 *issuer, X509 *certificate);
bool chain_is_root(X509 *certificate); /* it signed itself, be it a CA or not */

/* The certificate in a store that issued this one (by name, key identifiers and usage): to be freed; or NULL. */
X509 *chain_find_issuer(X509_STORE *store, X509 *certificate);

/* The system's store, or NULL: there is none. `library` as in struct load. */
X509_STORE *trust_system_store(OSSL_LIB_CTX *library, const char *query);

/*
 * Calls `take` for every certificate that `trust` names, once for each, with the file it is in; it returns NULL, or why
 * it cannot be used. Files that cannot be read are told of. Returns whether `trust` names the system, too.
 */
typedef const char *trust_take(void *argument, X509 *certificate, const char *file);
bool trust_read(const struct load *load, const struct config_profile *profile, trust_take *take, void *argument);

#endif
