/* Makes a struct tls_peer of a certificate. Private to ktls/. */
#ifndef SLUICE_KTLS_PEER_INTERNAL_H
#define SLUICE_KTLS_PEER_INTERNAL_H

#include <openssl/x509.h>

#include "ktls/peer.h"

/*
 * NULL: *error is -ENOMEM, or -EBADMSG where something in it cannot be told for sure: a name that is not text, two
 * subjectAltNames, a time that is none. Such a certificate must count as unverified: what was left out could be what a
 * check looks for.
 */
struct tls_peer *tls_peer_new(X509 *certificate, int *error);
void tls_peer_free(struct tls_peer *peer); /* NULL is allowed */

/* A name as RFC 4514 writes it, in UTF-8, for free(). NULL: it cannot be decoded, or no memory. */
char *tls_peer_name(const X509_NAME *name);

/* Seconds since 1970. 0, or -EBADMSG. */
int tls_peer_time(const ASN1_TIME *time, time_t *seconds);

#endif
