/*
 * Certificates with every defect, their revocation lists and OCSP responses, in a folder of their own.
 *
 * Like tests/support/pki.h, what cannot be made ends the test program with a sentence.
 */
#ifndef SLUICE_TEST_FORGE_H
#define SLUICE_TEST_FORGE_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/x509.h>

struct forge;

struct forge_certificate {
    const char *name;    /* how it is called here: NAME.pem, NAME.key, and NAME-chain.pem without the root */
    const char *issuer;  /* one made before; NULL: itself */
    const char *subject; /* "O=Acme/CN=node7+UID=7"; NULL: "O=Sluice tests/CN=NAME" */
    bool ca;
    const char *extended;   /* as openssl.cnf writes it; NULL: "serverAuth,clientAuth" for a leaf; "": none */
    const char *lists;      /* crlDistributionPoints; NULL: none */
    const char *usage;      /* NULL: "digitalSignature" for a leaf, "keyCertSign,cRLSign" for a CA; "": none */
    const char *names;      /* subjectAltName; NULL: "DNS:localhost,IP:127.0.0.1"; "": none */
    long starts, ends;      /* seconds from now; both 0: from an hour ago for a day */
    unsigned rsa;           /* bits; 0: ECDSA P-256 */
    X509_NAME *raw_subject; /* instead of `subject`; lent */
};

struct forge_list {
    const char *issuer;
    const char *revoked[4]; /* certificates of it, up to a NULL */
    long starts, ends;      /* both 0: from an hour ago for a day; ends alone 0: names no end */
    const char *signer;     /* NULL: the issuer */
};

struct forge_scope {
    const char *point;   /* issuingDistributionPoint as openssl.cnf writes it; NULL: none */
    bool delta, foreign; /* it says what changed; it has a critical extension that nobody knows */
    bool sha1;           /* signed with it */
};

struct forge_response {
    const char *about, *issuer;
    const char *signer;  /* NULL: the issuer */
    int status;          /* V_OCSP_CERTSTATUS_... */
    long starts, ends;   /* as above */
    bool without_signer; /* its certificate is not sent along */
    bool sha1;           /* signed with it */
    int error;           /* OCSP_RESPONSE_STATUS_... instead of an answer */
};

struct forge *forge_new(void); /* with a CA of the name "ca" */
void forge_free(struct forge *forge);
char *forge_path(const struct forge *forge, const char *file); /* good until the sixty-fourth call after */
void forge_make(struct forge *forge, const struct forge_certificate *certificate);
X509 *forge_get(const struct forge *forge, const char *name); /* lent */

/* Appends to a PEM file, or with `der` writes a DER file. */
void forge_revoke(struct forge *forge, const char *file, bool der, const struct forge_list *list);
void forge_revoke_part(struct forge *forge, const char *file, const struct forge_list *list,
                       const struct forge_scope *scope);
void forge_respond(struct forge *forge, const char *file, const struct forge_response *response);
void forge_write(struct forge *forge, const char *file, const void *bytes, size_t length);

#endif
