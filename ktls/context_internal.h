/*
 * What the rest of ktls/ needs of a context, and how the files behind context.h share the work. Private to ktls/.
 */
#ifndef SLUICE_KTLS_CONTEXT_INTERNAL_H
#define SLUICE_KTLS_CONTEXT_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/ssl.h>

#include "ktls/context.h"
#include "ktls/peer.h"

/*
 * Compressed certificates (RFC 8879) stay off: what nobody has authenticated yet would be inflated. OpenSSL before 3.2
 * has none.
 */
#ifndef SSL_OP_NO_TX_CERTIFICATE_COMPRESSION
#define SSL_OP_NO_TX_CERTIFICATE_COMPRESSION 0
#define SSL_OP_NO_RX_CERTIFICATE_COMPRESSION 0
#endif

/* For SSL_new(); lent. */
SSL_CTX *tls_context_ssl(const struct tls_context *context);

/* Where all of its algorithms come from; lent. NULL: OpenSSL's default. */
OSSL_LIB_CTX *tls_context_library(const struct tls_context *context);

/*
 * Sets on one client SSL what depends on the peer: SNI, and the name or address its certificate must carry as the
 * profile says. `dialled` is a host name or an address without brackets. 0, -EINVAL (no usable name) or -ENOMEM.
 */
int tls_context_prepare(const struct tls_context *context, SSL *ssl, const char *dialled);

/* Channels may try the kernel: neither offload = off nor tls_context_without_kernel(), nor FIPS mode against it. */
bool tls_context_tries_kernel(const struct tls_context *context);

/* fips = yes, and this kernel is not in FIPS mode: what it would encrypt would not count. */
bool tls_context_fips_forbids_kernel(const struct tls_context *context);

/* verify = enforced: the session must fail where the server did not ask for our certificate. */
bool tls_context_enforced(const struct tls_context *context);

/* What the profile demands of a certificate: verify_internal.h. */
const struct rules *tls_context_rules(const struct tls_context *context);

/*
 * Client sessions, kept so that further streams to the same peer resume. A channel names its peer with a `char *` at
 * SSL_get_ex_data(ssl, tls_context_key_index()), which must live as long as the SSL; what the server sends as tickets
 * is then stored under it. tls_context_session() returns a reference that the caller frees, or NULL. A TLS 1.3 session
 * is taken out: its ticket must not be shown twice (RFC 8446, appendix C.4).
 */
int tls_context_key_index(void);
SSL_SESSION *tls_context_session(struct tls_context *context, const char *key);

/*
 * The traffic secrets of TLS 1.3 come to a channel in one of two ways. tls_context_watches(): secrets.c sees them made.
 * Else OpenSSL's key log has them, where anybody wants them.
 */
bool tls_context_watches(const struct tls_context *context);
void channel_keylog(const SSL *ssl, const char *line); /* the channel's */

/* Of the channel behind `ssl` (none: false): the peer asked for our certificate; we sent one. */
bool channel_was_asked(const SSL *ssl);
bool channel_has_shown(const SSL *ssl);

/* own.c: what the certificates of a context say, read when it is made. NULL: no memory. */
struct own;
struct own *own_load(SSL_CTX *ssl);
void own_free(struct own *own);                                                    /* NULL is allowed */
const struct tls_peer *own_find(const struct own *own, const X509 *certificate); /* NULL: nothing is told of it */

/* Of a certificate that a channel of this context sent. NULL as above. */
const struct tls_peer *tls_context_own(const struct tls_context *context, const X509 *certificate);

/* sessions.c: a bounded store, safe to use from any thread. */
struct sessions;
struct sessions *sessions_new(void);
void sessions_free(struct sessions *sessions);                                       /* NULL is allowed */
bool sessions_put(struct sessions *sessions, const char *key, SSL_SESSION *session); /* true: took the reference */
SSL_SESSION *sessions_take(struct sessions *sessions, const char *key);              /* one that tickets_hold() */

/*
 * Each of these makes one part of a profile true on `ssl`, and adds a sentence to `errors` for everything that stands
 * against it. A caller that sees errors->error_count grow must not use `ssl`. `library` is fips_open()'s. In this
 * order: the certificate's chain is held against the trust, suites and signatures against the certificate.
 */
void trust_load(SSL_CTX *ssl, OSSL_LIB_CTX *library, const struct config_profile *profile,
                struct config_errors *errors);
void credentials_load(SSL_CTX *ssl, OSSL_LIB_CTX *library, const struct config_profile *profile,
                      struct config_errors *errors);
void ciphers_load(SSL_CTX *ssl, OSSL_LIB_CTX *library, const struct config_profile *profile,
                  struct config_errors *errors);
void groups_load(SSL_CTX *ssl, OSSL_LIB_CTX *library, const struct config_profile *profile,
                 struct config_errors *errors);

#endif
