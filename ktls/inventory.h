/*
 * Every certificate that a configuration uses or trusts, as values, in the order of a tree: each stands behind its
 * issuer, and what is self-issued, or whose issuer is not here, at the top. A certificate that several profiles or
 * files have is there once.
 *
 * The system's store is not listed, only counted: `system_count`. A certificate whose issuer is in there has
 * TLS_ISSUER_SYSTEM.
 *
 * Strings are UTF-8 made from bytes of the certificates: escape them before they are printed. All of it belongs to the
 * inventory and is only read.
 */
#ifndef SLUICE_KTLS_INVENTORY_H
#define SLUICE_KTLS_INVENTORY_H

#include <stddef.h>
#include <time.h>

#include "config/model.h"

enum tls_certificate_use {
    TLS_USE_OWN = 1,   /* shown to peers, and its key is ours */
    TLS_USE_CHAIN = 2, /* sent along with one of ours */
    TLS_USE_TRUST = 4, /* whom peers may be issued by */
};

enum { TLS_ISSUER_MISSING = -1, TLS_ISSUER_SYSTEM = -2 };

struct tls_certificate {
    const char *subject, *issuer; /* RFC 4514 */
    const char *serial;           /* hexadecimal digits, lower case */
    const char *fingerprint;      /* SHA-256, 64 hexadecimal digits, lower case */
    const char *key;              /* "RSA 2048", "ECDSA P-256", "Ed25519" */
    const char *file;             /* where it was found first */
    const char *used_by;          /* "server-profile inbound (own), client-profile outbound (trust)" */
    unsigned uses;                /* enum tls_certificate_use, or-ed over all profiles */
    time_t not_before, not_after;
    int days_left;    /* whole days until not_after; negative: it has expired */
    int issuer_index; /* in items; its own where it is self-issued, or one of the two above */
    unsigned depth;   /* issuers above it in the tree */
};

struct tls_inventory {
    struct config_errors problems; /* files that could not be read, in a sentence each; `items` lacks them */
    size_t system_count;           /* certificates in the system's store, where a profile trusts it; else 0 */
    const char *system_used_by;    /* as used_by; "" where no profile trusts it */
    size_t count;
    struct tls_certificate items[];
};

enum tls_expiry { TLS_EXPIRY_LATER, TLS_EXPIRY_SOON, TLS_EXPIRY_PAST };
/* Soon: there are fewer whole days left than `warning_days`. Whoever warns asks here, so that all say the same. */
enum tls_expiry tls_certificate_expiry(const struct tls_certificate *certificate, unsigned warning_days);

/* Reads the files that the profiles name, as they are now. NULL: no memory. `config` is not needed afterwards. */
struct tls_inventory *tls_inventory_new(const struct config *config);
void tls_inventory_free(struct tls_inventory *inventory); /* NULL is allowed */

/*
 * Adds a warning for each certificate that expires within [server] expiry_warning_days, at the key that names its file.
 * What has expired is said where profiles are loaded, and what cannot be read as well.
 */
void tls_inventory_warn(const struct config *config, struct config_errors *errors);

#endif
