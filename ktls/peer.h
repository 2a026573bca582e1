/*
 * A certificate as values: what the gate compares, and what events tell.
 *
 * All strings are UTF-8 made from bytes of the peer: escape them before they are printed. They live as long as the
 * channel they were asked of.
 */
#ifndef SLUICE_KTLS_PEER_H
#define SLUICE_KTLS_PEER_H

#include <stddef.h>
#include <time.h>

#include "config/expression.h"

/* One subjectAltName. A value with a NUL in it is left out: what it means is not what it reads like. */
struct tls_san {
    const char *kind;  /* "DNS", "email", "URI" or "IP" */
    const char *value; /* of an IP: as inet_ntop() writes it */
};

struct tls_peer {
    const char *subject, *issuer; /* RFC 4514 */
    const char *serial;           /* hexadecimal digits, lower case */
    const char *fingerprint;      /* SHA-256, 64 hexadecimal digits, lower case */
    const char *key;              /* "RSA 2048", "ECDSA P-256", "Ed25519" */
    time_t not_before, not_after;
    struct config_name subject_name, issuer_name;
    const struct tls_san *sans;
    size_t san_count;
};

/* Whole days from now to the end of its validity; negative: it has expired. */
int tls_peer_days(const struct tls_peer *peer);

#endif
