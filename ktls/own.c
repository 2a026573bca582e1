/*
 * What our own certificates say, read once for all sessions of a context: an event of each session tells it, and to
 * write a certificate out as values takes as long as a tenth of a signature.
 */
#include "ktls/context_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "ktls/peer_internal.h"

#define OWN_MAX 16 /* OpenSSL keeps one for each type of key */

struct own {
    size_t count;
    struct {
        X509 *certificate; /* the context's */
        struct tls_peer *facts;
    } items[OWN_MAX];
};

/* False: no memory. A certificate of which nothing can be told for sure is left out. */
static bool own_add(struct own *own, X509 *certificate)
{
    int error = 0;
    struct tls_peer *facts = certificate && own->count < OWN_MAX ? tls_peer_new(certificate, &error) : NULL;
    if (facts) {
        own->items[own->count].certificate = certificate;
        own->items[own->count].facts = facts;
        own->count++;
    }
    return error != -ENOMEM;
}

struct own *own_load(SSL_CTX *ssl)
{
    struct own *own = calloc(1, sizeof(*own));
    bool well = own != NULL;

    for (long more = SSL_CTX_set_current_cert(ssl, SSL_CERT_SET_FIRST); well && more == 1;
         more = SSL_CTX_set_current_cert(ssl, SSL_CERT_SET_NEXT))
        well = own_add(own, SSL_CTX_get0_certificate(ssl));
    SSL_CTX_set_current_cert(ssl, SSL_CERT_SET_FIRST);
    if (well)
        return own;
    own_free(own);
    return NULL;
}

void own_free(struct own *own)
{
    if (!own)
        return;
    for (size_t i = 0; i < own->count; i++)
        tls_peer_free(own->items[i].facts);
    free(own);
}

const struct tls_peer *own_find(const struct own *own, const X509 *certificate)
{
    for (size_t i = 0; i < own->count; i++) {
        if (own->items[i].certificate == certificate)
            return own->items[i].facts;
    }
    return NULL;
}
