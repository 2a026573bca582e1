/*
 * Reads certificates and keys from files, and says in a sentence why that did not work. What a file is shows in its
 * content (PEM, DER, PKCS#12), never in its name. Private to ktls/.
 */
#ifndef SLUICE_KTLS_LOAD_INTERNAL_H
#define SLUICE_KTLS_LOAD_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <openssl/x509.h>

#include "config/errors.h"
#include "config/model.h"

/* For whom is read: where it is to be used, and who is told of problems. */
struct load {
    struct config_errors *errors;
    const struct config_section *section;
    OSSL_LIB_CTX *library; /* NULL: OpenSSL's default */
    const char *query;     /* properties of the algorithms: "fips=yes", or NULL */
};

/* A whole file. */
struct load_bytes {
    unsigned char *data;
    size_t length;
    mode_t mode;
};

/* All of these tell of a problem under `key`, the key of the configuration that names the file. */
__attribute__((format(printf, 4, 5))) void load_problem(const struct load *load, enum config_severity severity,
                                                        const char *key, const char *format, ...);
void load_problem_open(const struct load *load, const char *key, const char *file, int error); /* errno */

/* False after the problem was told, an empty file being one. `what` is wanted: "certificate". Wiped when freed. */
bool load_file(const struct load *load, const char *key, const char *file, const char *what, struct load_bytes *bytes);
void load_free(struct load_bytes *bytes);
bool load_is_pem(const struct load_bytes *bytes);

/* The file has no `what` ("certificate"; in PEM: `label`), or a damaged one: tells what it has instead. */
void load_problem_content(const struct load *load, const char *key, const char *file, const struct load_bytes *bytes,
                          const char *what, const char *label);

/* What is secret must not be open to others: an error where everybody may read it, a warning for the group. */
void load_check_mode(const struct load *load, const char *key, const char *what, const char *file, mode_t mode);

/* All certificates of a PEM or DER file, in order, at least one; NULL after the problem was told. */
STACK_OF(X509) * load_certificates(const struct load *load, const char *key, const char *file);

/* Frees a stack and the certificates in it. NULL is allowed. (OSSL_STACK_OF_X509_free is not public in OpenSSL 3.0.) */
void load_free_certificates(STACK_OF(X509) * certificates);

/* The first line of a file. Wipe it with OPENSSL_cleanse(). */
struct load_passphrase {
    const char *file; /* NULL: none was named */
    bool unreadable;  /* one was, and what is wrong with it has been told */
    char text[1024];
    size_t length;
};

/* `file` NULL gives none. False after the problem was told. */
bool load_passphrase(const struct load *load, const char *file, struct load_passphrase *passphrase);

/* A private key, PEM or DER, encrypted or not; NULL after the problem was told. */
EVP_PKEY *load_key(const struct load *load, const char *file, const struct load_passphrase *passphrase);

/* One of our own: what a file that `certificate` names has. */
struct load_own {
    STACK_OF(X509) * certificates; /* ours first, then what is sent along */
    EVP_PKEY *key;                 /* PKCS#12 only */
    bool archive;                  /* it is PKCS#12 */
};

/* False after the problem was told; `archive` is right even then, where the file could be read. */
bool load_own(const struct load *load, const char *file, const struct load_passphrase *passphrase,
              struct load_own *own);
void load_own_free(struct load_own *own);

/* archive.c: PKCS#12. `bytes` are known to be that. */
bool load_is_archive(const struct load *load, const struct load_bytes *bytes);
bool load_archive(const struct load *load, const char *file, const struct load_bytes *bytes,
                  const struct load_passphrase *passphrase, struct load_own *own);

/* A certificate's key as it is told: "RSA 2048", "ECDSA P-256", "Ed25519". */
void load_describe_key(const EVP_PKEY *key, char out[64]);

#endif
