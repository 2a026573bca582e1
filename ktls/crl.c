/*
 * Revocation lists (RFC 5280, 5): read with the profile, held against certificates by OpenSSL and, at admission, here.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "ktls/load_internal.h"
#include "ktls/peer_internal.h"
#include "ktls/fips_internal.h"
#include "ktls/verify_internal.h"

struct list {
    X509_CRL *crl;
    bool vouched; /* a certificate in trust signed it */
};

struct crls {
    struct list *lists;
    size_t count;
};

struct reading {
    struct load load;
    SSL_CTX *ssl;
    const char *file;
    struct crls *crls;
};

static void format_time(const ASN1_TIME *time, char out[32])
{
    struct tm tm;
    if (!ASN1_TIME_to_tm(time, &tm) || !strftime(out, 32, "%Y-%m-%d %H:%M UTC", &tm))
        snprintf(out, 32, "an unreadable date");
}

/* ---- whose is it ---- */

static bool signed_by_one_of(X509_CRL *list, STACK_OF(X509) * issuers)
{
    for (int i = 0; i < sk_X509_num(issuers); i++) {
        X509 *issuer = sk_X509_value(issuers, i);
        EVP_PKEY *key = X509_get0_pubkey(issuer);
        if (key && X509_get_key_usage(issuer) & KU_CRL_SIGN && X509_CRL_verify(list, key) == 1)
            return true;
    }
    return false;
}

/* The certificates in trust that have the name of the list's issuer. */
static STACK_OF(X509) * find_issuers(const struct reading *reading, X509_CRL *list)
{
    X509_STORE_CTX *search = X509_STORE_CTX_new_ex(reading->load.library, reading->load.query);
    STACK_OF(X509) *found = NULL;
    if (search && X509_STORE_CTX_init(search, SSL_CTX_get_cert_store(reading->ssl), NULL, NULL))
        found = X509_STORE_CTX_get1_certs(search, X509_CRL_get_issuer(list));
    X509_STORE_CTX_free(search);
    return found;
}

static bool check_issuer(const struct reading *reading, struct list *list, const char *name)
{
    STACK_OF(X509) *issuers = find_issuers(reading, list->crl);
    bool known = sk_X509_num(issuers) > 0;
    list->vouched = known && signed_by_one_of(list->crl, issuers);
    sk_X509_pop_free(issuers, X509_free);
    ERR_clear_error();
    if (list->vouched)
        return true;
    /* Those of a CA that peers send along can only be verified with what they send. */
    if (!known)
        load_problem(&reading->load, CONFIG_WARNING, "crl",
                     "crl \"%s\" is of \"%s\", which is not in trust: it counts only in handshakes with peers that "
                     "send that CA's certificate, not in a partner's additional checks; name the CA in trust if it is "
                     "to be trusted by itself",
                     reading->file, name);
    else
        load_problem(
            &reading->load, CONFIG_ERROR, "crl",
            "crl \"%s\" is not signed by \"%s\" as trust has it; fetch the list again from the CA, or name the "
            "CA's present certificate in trust",
            reading->file, name);
    return !known;
}

/* ---- reading ---- */

static bool check_times(const struct reading *reading, const X509_CRL *list, const char *name)
{
    const ASN1_TIME *begin = X509_CRL_get0_lastUpdate(list), *end = X509_CRL_get0_nextUpdate(list);
    char when[32];
    if (end && X509_cmp_current_time(end) <= 0) {
        format_time(end, when);
        load_problem(&reading->load, CONFIG_ERROR, "crl",
                     "crl \"%s\": the list of \"%s\" expired on %s, so that every certificate of this CA would be "
                     "refused; fetch the current one",
                     reading->file, name, when);
        return false;
    }
    if (X509_cmp_current_time(begin) > 0) {
        format_time(begin, when);
        load_problem(&reading->load, CONFIG_ERROR, "crl",
                     "crl \"%s\": the list of \"%s\" is not valid before %s; fetch the current one, or set the clock "
                     "right",
                     reading->file, name, when);
        return false;
    }
    return true;
}

static bool check_scope(const struct reading *reading, X509_CRL *list, const char *name)
{
    const char *problem = crl_problem(list);
    if (problem)
        load_problem(&reading->load, CONFIG_ERROR, "crl", "crl \"%s\": the list of \"%s\" %s", reading->file, name,
                     problem);
    return !problem;
}

static bool keep(struct crls *crls, SSL_CTX *ssl, struct list list)
{
    struct list *grown = reallocarray(crls->lists, crls->count + 1, sizeof(*grown));
    if (!grown)
        return false;
    crls->lists = grown;
    if (!X509_STORE_add_crl(SSL_CTX_get_cert_store(ssl), list.crl) || !X509_CRL_up_ref(list.crl))
        return false;
    crls->lists[crls->count++] = list;
    return true;
}

/* Takes the list. */
static void add_list(struct reading *reading, X509_CRL *crl)
{
    struct list list = { .crl = crl };
    char *name = tls_peer_name(X509_CRL_get_issuer(crl));
    if (!name)
        load_problem(&reading->load, CONFIG_ERROR, "crl",
                     "crl \"%s\" has a list whose issuer's name cannot be decoded; take it out", reading->file);
    else if (check_times(reading, crl, name) && check_scope(reading, crl, name) && check_issuer(reading, &list, name) &&
             !keep(reading->crls, reading->ssl, list))
        load_problem(&reading->load, CONFIG_ERROR, "crl", "crl \"%s\" cannot be used: %s", reading->file,
                     ERR_peek_last_error() ? ERR_reason_error_string(ERR_peek_last_error()) : "out of memory");
    X509_CRL_free(crl);
    free(name);
}

/* NULL at the end, and where the list is damaged: then the error queue is not empty. */
static X509_CRL *next_pem(const struct reading *reading, BIO *text)
{
    X509_CRL *list = X509_CRL_new_ex(reading->load.library, reading->load.query);
    if (list && PEM_read_bio_X509_CRL(text, &list, NULL, NULL))
        return list;
    X509_CRL_free(list);
    unsigned long error = ERR_peek_last_error();
    if (ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE)
        ERR_clear_error();
    return NULL;
}

static bool read_pem(struct reading *reading, const struct load_bytes *bytes)
{
    BIO *text = BIO_new_mem_buf(bytes->data, (int)bytes->length);
    X509_CRL *list;
    size_t count = 0;
    ERR_clear_error();
    for (; text && (list = next_pem(reading, text)); count++)
        add_list(reading, list);
    BIO_free(text);
    bool ok = count > 0 && !ERR_peek_error();
    ERR_clear_error();
    return ok;
}

static bool read_der(struct reading *reading, const struct load_bytes *bytes)
{
    const unsigned char *at = bytes->data, *end = at + bytes->length;
    while (at < end) {
        X509_CRL *list = X509_CRL_new_ex(reading->load.library, reading->load.query);
        if (!list || !d2i_X509_CRL(&list, &at, end - at)) {
            X509_CRL_free(list);
            ERR_clear_error();
            return false;
        }
        add_list(reading, list);
    }
    return true;
}

static void read_file(struct reading *reading)
{
    static const char what[] = "certificate revocation list";
    struct load_bytes bytes;
    if (!load_file(&reading->load, "crl", reading->file, what, &bytes))
        return;
    if (!(load_is_pem(&bytes) ? read_pem(reading, &bytes) : read_der(reading, &bytes)))
        load_problem_content(&reading->load, "crl", reading->file, &bytes, what, "X509 CRL");
    load_free(&bytes);
}

struct crls *crls_load(SSL_CTX *ssl, OSSL_LIB_CTX *library, const struct config_profile *profile,
                       struct config_errors *errors)
{
    struct crls *crls = profile->crl.count ? calloc(1, sizeof(*crls)) : NULL;
    struct reading reading = { .load = { errors, profile->section, library, fips_query(library) },
                               .ssl = ssl,
                               .crls = crls };
    if (!profile->crl.count)
        return NULL;
    if (!crls) {
        load_problem(&reading.load, CONFIG_ERROR, "crl", "crl does not fit in memory");
        return NULL;
    }
    for (size_t i = 0; i < profile->crl.count; i++) {
        reading.file = profile->crl.items[i];
        read_file(&reading);
    }
    return crls;
}

void crls_free(struct crls *crls)
{
    for (size_t i = 0; crls && i < crls->count; i++)
        X509_CRL_free(crls->lists[i].crl);
    if (crls)
        free(crls->lists);
    free(crls);
}

/* ---- looking ---- */

static bool is_of_issuer(const X509_CRL *list, X509 *certificate)
{
    return X509_NAME_cmp(X509_CRL_get_issuer(list), X509_get_issuer_name(certificate)) == 0;
}

/* Two CAs of one name are told apart by their key identifiers, where both the list and the certificate have one. */
static bool is_of_same_key(X509_CRL *list, X509 *certificate)
{
    const ASN1_OCTET_STRING *wanted = X509_get0_authority_key_id(certificate);
    AUTHORITY_KEYID *have = X509_CRL_get_ext_d2i(list, NID_authority_key_identifier, NULL, NULL);
    bool same = !wanted || !have || !have->keyid || ASN1_OCTET_STRING_cmp(wanted, have->keyid) == 0;
    AUTHORITY_KEYID_free(have);
    return same;
}

static bool is_current(const X509_CRL *list)
{
    const ASN1_TIME *end = X509_CRL_get0_nextUpdate(list);
    return !end || X509_cmp_current_time(end) > 0;
}

bool crls_of_issuer(const struct crls *crls, X509 *certificate)
{
    for (size_t i = 0; crls && i < crls->count; i++)
        if (is_of_issuer(crls->lists[i].crl, certificate))
            return true;
    return false;
}

int64_t crls_until(const struct crls *crls, X509 *certificate)
{
    int64_t until = VERDICT_ALWAYS;
    for (size_t i = 0; crls && i < crls->count; i++) {
        const X509_CRL *list = crls->lists[i].crl;
        const ASN1_TIME *next = X509_CRL_get0_nextUpdate(list);
        time_t end;
        if (is_of_issuer(list, certificate) && next && is_current(list) && tls_peer_time(next, &end) == 0 &&
            end < until)
            until = end;
    }
    return until;
}

enum crls_answer crls_look(const struct crls *crls, X509 *certificate)
{
    enum crls_answer answer = CRLS_MISSING;
    for (size_t i = 0; crls && i < crls->count; i++) {
        X509_CRL *list = crls->lists[i].crl;
        X509_REVOKED *entry;
        if (!crls->lists[i].vouched || !is_of_issuer(list, certificate) || !is_of_same_key(list, certificate))
            continue;
        /* 2: it was on hold, and no longer is. What an expired list says of a certificate is still true. */
        if (X509_CRL_get0_by_cert(list, &entry, certificate) == 1)
            return CRLS_REVOKED;
        if (!crl_covers(list, certificate))
            continue;
        if (is_current(list))
            answer = CRLS_GOOD;
        else if (answer == CRLS_MISSING)
            answer = CRLS_EXPIRED;
    }
    return answer;
}
