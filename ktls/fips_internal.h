/*
 * Where a profile's algorithms come from: OpenSSL's default, or its FIPS provider and nothing else. Private to ktls/.
 */
#ifndef SLUICE_KTLS_FIPS_INTERNAL_H
#define SLUICE_KTLS_FIPS_INTERNAL_H

#include <stdbool.h>

#include <openssl/provider.h>

#include "config/errors.h"
#include "config/model.h"

struct fips {
    OSSL_LIB_CTX *library; /* NULL: OpenSSL's default */
    OSSL_PROVIDER *fips, *base;
};

/*
 * Empty for fips = no; for fips = yes also after an error was added, because the provider cannot be loaded: what is
 * made without it may be looked at, not used. Everything made in the library must be freed before it is closed.
 */
struct fips fips_open(const struct config_profile *profile, struct config_errors *errors);
void fips_close(struct fips *fips);

/* The property query that goes with a library: "fips=yes", or NULL. */
const char *fips_query(const OSSL_LIB_CTX *library);

/* This kernel is in FIPS mode, so that its ciphers may be used under fips = yes. */
bool fips_kernel(void);

/* Tests put other things here. */
extern struct fips_seam {
    OSSL_LIB_CTX *(*library_new)(void);
    const char *kernel; /* the file that says 1 where the kernel is in FIPS mode */
} fips_seam;

#endif
