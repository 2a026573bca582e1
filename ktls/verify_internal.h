/*
 * What a profile demands of a peer's certificate, and what was found. Private to ktls/.
 *
 *     verify.c    the rules, held against a chain in the handshake
 *     verdict.c   what came of it, and why, in words
 *     crl.c       revocation lists
 *     crl_scope.c what they are about
 *     ocsp.c      stapled responses, theirs and ours
 *     tickets.c   what a resumed session goes on from, and until when
 *     admit.c     a partner's rules, held against a session that stands
 */
#ifndef SLUICE_KTLS_VERIFY_INTERNAL_H
#define SLUICE_KTLS_VERIFY_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include <openssl/ssl.h>

#include "config/expression.h"
#include "config/model.h"
#include "ktls/peer.h"

struct crls;

struct rules {
    enum config_role role;
    enum config_verify verify;
    enum config_key_usage key_usage;
    unsigned depth;
    struct config_expression *subject, *issuer; /* NULL: any */
    struct crls *crls;                          /* NULL: none are listed */
};

/* ---- verdict.c ---- */

#define VERDICT_REASON 384
#define VERDICT_ALWAYS INT64_MAX

/* Of one session, and of those that resume it. */
struct verdict {
    const struct rules *rules;   /* the profile's, once the peer showed a certificate; lent */
    int64_t until;               /* what was verified holds before this: seconds since 1970 */
    bool verified;               /* the peer showed a certificate and all rules hold */
    bool shown;                  /* resumed: our certificate was shown when the session began */
    char reason[VERDICT_REASON]; /* why it was not verified: `subject: wanted CN=node7, found "CN=node8"`, or "" */
};

struct verdict *verdict_of(SSL *ssl); /* lives as long as the SSL; made at the first call; NULL: no memory */
void verdict_hold_until(struct verdict *verdict, int64_t until); /* the earliest counts */
void verdict_say(struct verdict *verdict, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* What X509_verify_cert() found. */
void verdict_explain(struct verdict *verdict, const struct rules *rules, X509_STORE_CTX *store);
/* What the certificate is made for: "clientAuth, digitalSignature". */
void verdict_key_usage(X509 *certificate, char *text, size_t size);
const char *verdict_key_usage_wanted(enum config_role role);

/* ---- verify.c ---- */

/* Fills `rules` and makes `ssl` follow them: they must live as long. Problems go to `errors`. */
void rules_load(struct rules *rules, SSL_CTX *ssl, OSSL_LIB_CTX *library, const struct config_profile *profile,
                struct config_errors *errors);
void rules_clear(struct rules *rules);

/* ---- crl.c ---- */

/* NULL: none are listed, or an error was added. They are in the store of `ssl` too. */
struct crls *crls_load(SSL_CTX *ssl, OSSL_LIB_CTX *library, const struct config_profile *profile,
                       struct config_errors *errors);
void crls_free(struct crls *crls);                               /* NULL is allowed */
bool crls_of_issuer(const struct crls *crls, X509 *certificate); /* there is one of this certificate's issuer */
int64_t crls_until(const struct crls *crls, X509 *certificate);  /* when the first of these is no longer current */

enum crls_answer { CRLS_GOOD, CRLS_REVOKED, CRLS_MISSING, CRLS_EXPIRED };
/* Without a chain: of the lists that a certificate in trust signed, those that are about this certificate. */
enum crls_answer crls_look(const struct crls *crls, X509 *certificate);

/* ---- crl_scope.c ---- */

/* Why a list says nothing that could be used, and what to do; to follow "the list of NAME". NULL: it does. */
const char *crl_problem(X509_CRL *list);
bool crl_covers(const X509_CRL *list, X509 *certificate); /* of the list's issuer */
bool signature_is_weak(const X509_ALGOR *algorithm);      /* SHA-1 or worse */

/* ---- ocsp.c ---- */

/*
 * After the certificates. A server's response must live as long as `ssl`; NULL: there is none, or an error was added.
 */
struct staple;
struct staple *ocsp_load(SSL_CTX *ssl, OSSL_LIB_CTX *library, const struct config_profile *profile,
                         struct config_errors *errors);
void ocsp_free(struct staple *staple); /* NULL is allowed */

/* ---- tickets.c ---- */

void tickets_load(SSL_CTX *ssl, struct rules *rules); /* server */
/* Client: writes down what a session goes on from. False: it must not be resumed. */
bool tickets_mark(SSL *ssl, SSL_SESSION *session, const struct rules *rules);
bool tickets_hold(SSL_SESSION *session); /* what was verified is still so */
/* After a resumption: the verdict of the session it goes on from. */
void tickets_recall(SSL *ssl);

#endif
