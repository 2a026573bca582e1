/*
 * A throw-away certificate authority for tests: a folder with ca.pem and whatever leafs are asked for.
 *
 * Every function ends the test program with a sentence where something fails: there is nothing to test without it.
 */
#ifndef SLUICE_TEST_PKI_H
#define SLUICE_TEST_PKI_H

#include <stddef.h>

struct pki;

enum pki_key { PKI_ECDSA, PKI_RSA, PKI_ED25519, PKI_RSA_WEAK /* 1024 bits */ };

struct pki_leaf {
    const char *name; /* of the files NAME.pem and NAME.key, and the common name */
    enum pki_key key;
    long starts, ends; /* seconds from now; both 0: valid for a day from an hour ago */
    const char *host;  /* subjectAltName; NULL: "localhost" and 127.0.0.1 */
    int self_signed;   /* not by the authority */
};

struct pki *pki_new(void);
void pki_free(struct pki *pki); /* removes the folder and all in it */
const char *pki_folder(const struct pki *pki);
void pki_make(struct pki *pki, const struct pki_leaf *leaf);

/* An authority below the first one, valid for `ends` seconds: NAME.pem and NAME.key. */
void pki_make_ca(struct pki *pki, const char *name, long ends);
/* A leaf that such an authority signs. */
void pki_make_below(struct pki *pki, const char *issuer, const struct pki_leaf *leaf);

/* Writes a file of that name into the folder. */
void pki_write(struct pki *pki, const char *name, const void *bytes, size_t length);
/* The full name of a file in the folder, good until the sixteenth call after. */
const char *pki_path(const struct pki *pki, const char *name);

#endif
