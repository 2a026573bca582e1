/* Stapled OCSP responses (RFC 6960; RFC 6066, 8; RFC 8446, 4.4.2.1): a server's about itself, and a client's check. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>

#include "ktls/fips_internal.h"
#include "ktls/load_internal.h"
#include "ktls/peer_internal.h"
#include "ktls/verify_internal.h"

#define SKEW 300          /* seconds that a responder's clock may differ */
#define WITHOUT_END 86400 /* seconds for which a response that names no end counts */

static int64_t end_of(const ASN1_TIME *begin, const ASN1_TIME *end)
{
    time_t seconds;
    if (end)
        return tls_peer_time(end, &seconds) == 0 ? seconds : 0;
    return begin && tls_peer_time(begin, &seconds) == 0 ? (int64_t)seconds + WITHOUT_END : 0;
}

static void format_time(const ASN1_TIME *time, char out[32])
{
    struct tm tm;
    if (!time || !ASN1_TIME_to_tm(time, &tm) || !strftime(out, 32, "%Y-%m-%d %H:%M UTC", &tm))
        snprintf(out, 32, "an unknown date");
}

static OCSP_BASICRESP *parse(const unsigned char *bytes, long length, int *status)
{
    const unsigned char *at = bytes;
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &at, length);
    OCSP_BASICRESP *basic = NULL;

    *status = response && at == bytes + length ? OCSP_response_status(response) : -1;
    if (*status == OCSP_RESPONSE_STATUS_SUCCESSFUL)
        basic = OCSP_response_get1_basic(response);
    OCSP_RESPONSE_free(response);
    return basic;
}

/* ---- a client's check ---- */

struct answer {
    struct verdict *verdict;
    SSL *ssl;
    X509 *certificate, *issuer;
};

static bool bad(const struct answer *answer, const char *found)
{
    verdict_say(answer->verdict, "ocsp: wanted a good stapled response, found %s", found);
    return false;
}

static bool check_signature(const struct answer *answer, OCSP_BASICRESP *basic)
{
    /* Only the issuer, or whom it delegated: not somebody who is trusted for other reasons. */
    static const unsigned long flags = OCSP_NOEXPLICIT;
    STACK_OF(X509) *chain = SSL_get0_verified_chain(answer->ssl);
    X509_STORE *store = SSL_CTX_get_cert_store(SSL_get_SSL_CTX(answer->ssl));
    /* OCSP_basic_verify() does not look at what the signature is made with. */
    if (signature_is_weak(OCSP_resp_get0_tbs_sigalg(basic)))
        return bad(answer, "one that is signed with SHA-1 or worse");
    if (OCSP_basic_verify(basic, chain, store, flags) != 1)
        return bad(answer, "one that neither the certificate's issuer nor a responder of it signed");
    return true;
}

/* The response about this certificate, whatever digest it names it with. */
static OCSP_SINGLERESP *find_single(const struct answer *answer, OCSP_BASICRESP *basic)
{
    for (int i = 0; i < OCSP_resp_count(basic); i++) {
        OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);
        const OCSP_CERTID *about = OCSP_SINGLERESP_get0_id(single);
        ASN1_OBJECT *digest = NULL;
        OCSP_id_get0_info(NULL, &digest, NULL, NULL, (OCSP_CERTID *)(uintptr_t)about);
        const EVP_MD *md = digest ? EVP_get_digestbyobj(digest) : NULL;
        OCSP_CERTID *wanted = md ? OCSP_cert_to_id(md, answer->certificate, answer->issuer) : NULL;
        bool same = wanted && OCSP_id_cmp(wanted, about) == 0;
        OCSP_CERTID_free(wanted);
        if (same)
            return single;
    }
    return NULL;
}

static bool check_single(const struct answer *answer, OCSP_SINGLERESP *single)
{
    ASN1_GENERALIZEDTIME *revoked = NULL, *begin = NULL, *end = NULL;
    int reason = 0, status = OCSP_single_get0_status(single, &reason, &revoked, &begin, &end);
    char found[96], when[32];

    if (status == V_OCSP_CERTSTATUS_REVOKED) {
        format_time(revoked, when);
        snprintf(found, sizeof(found), "one that says: revoked since %s", when);
        return bad(answer, found);
    }
    if (status != V_OCSP_CERTSTATUS_GOOD)
        return bad(answer, "one whose responder does not know the certificate");
    if (OCSP_check_validity(begin, end, SKEW, end ? -1 : WITHOUT_END) != 1) {
        format_time(end ? end : begin, when);
        snprintf(found, sizeof(found), "one that is not current: %s %s", end ? "it counts until" : "it is of", when);
        return bad(answer, found);
    }
    verdict_hold_until(answer->verdict, end_of(begin, end));
    return true;
}

static bool check_basic(const struct answer *answer, OCSP_BASICRESP *basic)
{
    OCSP_SINGLERESP *single = find_single(answer, basic);
    if (!check_signature(answer, basic))
        return false;
    return single ? check_single(answer, single) : bad(answer, "one about another certificate");
}

static bool check_staple(const struct answer *answer)
{
    const unsigned char *bytes = NULL;
    long length = SSL_get_tlsext_status_ocsp_resp(answer->ssl, &bytes);
    int status;
    char found[96];
    if (!bytes || length <= 0)
        return bad(answer, "none");
    if (!answer->issuer)
        return bad(answer, "a certificate that is trusted by itself, so that there is no issuer to vouch for it");
    OCSP_BASICRESP *basic = parse(bytes, length, &status);
    if (status > OCSP_RESPONSE_STATUS_SUCCESSFUL) {
        snprintf(found, sizeof(found), "an error of the responder: %s", OCSP_response_status_str(status));
        return bad(answer, found);
    }
    bool ok = basic ? check_basic(answer, basic) : bad(answer, "one that is damaged");
    OCSP_BASICRESP_free(basic);
    return ok;
}

/* For SSL_CTX_set_tlsext_status_cb(). 1: go on; 0: the alert bad_certificate_status_response. */
static int check_response(SSL *ssl, void *unused)
{
    struct verdict *verdict = verdict_of(ssl);
    STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
    (void)unused;
    if (SSL_session_reused(ssl)) /* what the response said is part of how long the session may be resumed */
        return 1;
    if (!verdict)
        return -1;
    if (!verdict->verified) /* verify = none: whoever it is, it is nobody */
        return 1;
    struct answer answer = { .verdict = verdict,
                             .ssl = ssl,
                             .certificate = sk_X509_value(chain, 0),
                             .issuer = sk_X509_num(chain) > 1 ? sk_X509_value(chain, 1) : NULL };
    bool ok = check_staple(&answer);
    ERR_clear_error();
    return ok;
}

/* ---- a server's own ---- */

struct staple {
    unsigned char *bytes;
    size_t length;
    ASN1_INTEGER *serial; /* of the certificate that it is about */
    int64_t until;
};

void ocsp_free(struct staple *staple)
{
    if (!staple)
        return;
    OPENSSL_free(staple->bytes);
    ASN1_INTEGER_free(staple->serial);
    free(staple);
}

/* For SSL_CTX_set_tlsext_status_cb(): a client asks. One of our other certificates, or an old response: no answer. */
static int answer_request(SSL *ssl, void *argument)
{
    const struct staple *staple = argument;
    const X509 *certificate = SSL_get_certificate(ssl);
    if (!certificate || ASN1_INTEGER_cmp(X509_get0_serialNumber(certificate), staple->serial) != 0 ||
        time(NULL) >= staple->until)
        return SSL_TLSEXT_ERR_NOACK;
    unsigned char *copy = OPENSSL_memdup(staple->bytes, staple->length);
    if (!copy)
        return SSL_TLSEXT_ERR_NOACK;
    if (SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)staple->length) == 1)
        return SSL_TLSEXT_ERR_OK;
    OPENSSL_free(copy);
    return SSL_TLSEXT_ERR_NOACK;
}

/* Its serial number and its issuer's name; the issuer's key is for clients to check. */
static bool is_about(OCSP_SINGLERESP *single, const X509 *certificate, ASN1_INTEGER **serial)
{
    ASN1_OCTET_STRING *name = NULL;
    ASN1_OBJECT *digest = NULL;
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned length = 0;

    OCSP_id_get0_info(&name, &digest, NULL, serial,
                      (OCSP_CERTID *)(uintptr_t)OCSP_SINGLERESP_get0_id(single)); /* only looks */
    const EVP_MD *md = digest ? EVP_get_digestbyobj(digest) : NULL;
    return md && ASN1_INTEGER_cmp(*serial, X509_get0_serialNumber(certificate)) == 0 &&
           X509_NAME_digest(X509_get_issuer_name(certificate), md, hash, &length) &&
           ASN1_STRING_length(name) == (int)length && memcmp(ASN1_STRING_get0_data(name), hash, length) == 0;
}

/* The response about one of our certificates. */
static OCSP_SINGLERESP *find_own(SSL_CTX *ssl, OCSP_BASICRESP *basic, ASN1_INTEGER **serial)
{
    for (long more = SSL_CTX_set_current_cert(ssl, SSL_CERT_SET_FIRST); more == 1;
         more = SSL_CTX_set_current_cert(ssl, SSL_CERT_SET_NEXT)) {
        const X509 *certificate = SSL_CTX_get0_certificate(ssl);
        for (int i = 0; certificate && i < OCSP_resp_count(basic); i++)
            if (is_about(OCSP_resp_get0(basic, i), certificate, serial))
                return OCSP_resp_get0(basic, i);
    }
    return NULL;
}

static void warn_of_content(const struct load *load, const char *file, OCSP_SINGLERESP *single)
{
    ASN1_GENERALIZEDTIME *begin = NULL, *end = NULL;
    int status = OCSP_single_get0_status(single, NULL, NULL, &begin, &end);
    char when[32];
    if (status != V_OCSP_CERTSTATUS_GOOD)
        load_problem(load, CONFIG_WARNING, "ocsp_response",
                     "ocsp_response \"%s\" says that our certificate is %s: clients that look will refuse us; have a "
                     "new certificate made",
                     file, OCSP_cert_status_str(status));
    if (time(NULL) >= end_of(begin, end)) {
        format_time(end ? end : begin, when);
        load_problem(load, CONFIG_WARNING, "ocsp_response",
                     "ocsp_response \"%s\" is no longer current (%s %s), so it is not stapled; fetch a new one and "
                     "reload",
                     file, end ? "it counted until" : "it is of", when);
    }
}

static struct staple *make_staple(const struct load *load, const char *file, SSL_CTX *ssl,
                                  const struct load_bytes *bytes)
{
    ASN1_INTEGER *serial = NULL;
    ASN1_GENERALIZEDTIME *begin = NULL, *end = NULL;
    int status;
    OCSP_BASICRESP *basic = parse(bytes->data, (long)bytes->length, &status);
    OCSP_SINGLERESP *single = basic ? find_own(ssl, basic, &serial) : NULL;
    struct staple *staple = single ? calloc(1, sizeof(*staple)) : NULL;

    if (status > OCSP_RESPONSE_STATUS_SUCCESSFUL)
        load_problem(load, CONFIG_ERROR, "ocsp_response",
                     "ocsp_response \"%s\" is an error of the responder: %s; ask it again", file,
                     OCSP_response_status_str(status));
    else if (!basic)
        load_problem(load, CONFIG_ERROR, "ocsp_response",
                     "ocsp_response \"%s\" is not an OCSP response in DER; fetch one with `openssl ocsp -respout`",
                     file);
    else if (!single)
        load_problem(load, CONFIG_ERROR, "ocsp_response",
                     "ocsp_response \"%s\" is not about our certificate; fetch one that is", file);
    if (staple) {
        warn_of_content(load, file, single);
        OCSP_single_get0_status(single, NULL, NULL, &begin, &end);
        staple->bytes = OPENSSL_memdup(bytes->data, bytes->length);
        staple->length = bytes->length;
        staple->serial = ASN1_INTEGER_dup(serial);
        staple->until = end_of(begin, end);
    }
    OCSP_BASICRESP_free(basic);
    ERR_clear_error();
    return staple;
}

static struct staple *load_staple(const struct load *load, const char *file, SSL_CTX *ssl)
{
    struct load_bytes bytes;
    if (!load_file(load, "ocsp_response", file, "OCSP response in DER", &bytes))
        return NULL;
    struct staple *staple = make_staple(load, file, ssl, &bytes);
    load_free(&bytes);
    if (staple && (!staple->bytes || !staple->serial)) {
        load_problem(load, CONFIG_ERROR, "ocsp_response", "ocsp_response \"%s\" does not fit in memory", file);
        ocsp_free(staple);
        return NULL;
    }
    return staple;
}

struct staple *ocsp_load(SSL_CTX *ssl, OSSL_LIB_CTX *library, const struct config_profile *profile,
                         struct config_errors *errors)
{
    struct load load = { errors, profile->section, library, fips_query(library) };
    if (profile->role == CONFIG_CLIENT) {
        if (profile->ocsp == CONFIG_OCSP_STAPLE) {
            SSL_CTX_set_tlsext_status_type(ssl, TLSEXT_STATUSTYPE_ocsp);
            SSL_CTX_set_tlsext_status_cb(ssl, check_response);
        }
        return NULL;
    }
    struct staple *staple = profile->ocsp_response ? load_staple(&load, profile->ocsp_response, ssl) : NULL;
    if (staple) {
        SSL_CTX_set_tlsext_status_cb(ssl, answer_request);
        SSL_CTX_set_tlsext_status_arg(ssl, staple);
    }
    return staple;
}
