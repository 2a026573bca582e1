/* Reads certificates from PEM files, and says in a sentence why that did not work. Private to ktls/. */
#ifndef SLUICE_KTLS_PEM_INTERNAL_H
#define SLUICE_KTLS_PEM_INTERNAL_H

#include <openssl/x509.h>

#include "config/errors.h"

/* All certificates of a file, in order, at least one; or NULL after an error was added under `key`. */
STACK_OF(X509) * pem_read_certificates(struct config_errors *errors, const struct config_section *section,
                                       const char *key, const char *file);

/* The file could not be opened: `error` is errno. */
void pem_report_open(struct config_errors *errors, const struct config_section *section, const char *key,
                     const char *file, int error);

/*
 * The file was read and what was wanted is not in it, or is damaged: tells a file that is not PEM from one that holds
 * something else. `what` is for the reader ("certificate"), `label` how PEM calls it ("CERTIFICATE").
 */
void pem_report_content(struct config_errors *errors, const struct config_section *section, const char *key,
                        const char *file, const char *what, const char *label);

/* Frees a stack and the certificates in it. NULL is allowed. (OSSL_STACK_OF_X509_free is not public in OpenSSL 3.0.) */
void pem_free_certificates(STACK_OF(X509) * certificates);

#endif
