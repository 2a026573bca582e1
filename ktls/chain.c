/* One of our certificates with what is sent along: is it fit to be shown today, and can a peer follow it to a root? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "ktls/credentials_internal.h"
#include "ktls/peer_internal.h"

#define BITS_MIN 112
#define CHAIN_MOST 64

/* "the certificate" for ours, "certificate 2" and so on for what follows it in the file. */
static void name_place(int index, char out[32])
{
    if (index == 0)
        strcpy(out, "the certificate");
    else
        snprintf(out, 32, "certificate %d", index + 1);
}

static void format_day(const ASN1_TIME *time, char out[32])
{
    struct tm tm;
    if (!ASN1_TIME_to_tm(time, &tm) || !strftime(out, 32, "%Y-%m-%d", &tm))
        strcpy(out, "an unreadable date");
}

static void check_validity(const struct load *load, const char *file, const X509 *certificate, int index)
{
    const ASN1_TIME *begin = X509_get0_notBefore(certificate), *end = X509_get0_notAfter(certificate);
    char which[32], day[32];
    name_place(index, which);

    if (X509_cmp_current_time(begin) > 0) {
        format_day(begin, day);
        load_problem(load, CONFIG_ERROR, "certificate",
                     "%s in \"%s\" is not valid before %s; use one that is valid today, or set the clock right", which,
                     file, day);
    } else if (X509_cmp_current_time(end) < 0) {
        format_day(end, day);
        load_problem(load, CONFIG_ERROR, "certificate",
                     "%s in \"%s\" expired on %s; have it renewed and put the new one there", which, file, day);
    }
}

static void check_strength(const struct load *load, const char *file, X509 *certificate, int index)
{
    const EVP_PKEY *key = X509_get0_pubkey(certificate);
    char which[32], kind[64];
    name_place(index, which);
    load_describe_key(key, kind);
    if (!key)
        load_problem(load, CONFIG_ERROR, "certificate",
                     "%s in \"%s\" has a key of a kind that %s cannot use; use RSA, ECDSA or Ed25519", which, file,
                     load->query ? "OpenSSL's FIPS provider" : "OpenSSL");
    else if (EVP_PKEY_get_security_bits(key) < BITS_MIN)
        load_problem(load, CONFIG_ERROR, "certificate",
                     "%s in \"%s\" has a weak key (%s); use RSA of at least 2048 bits, ECDSA P-256 or Ed25519", which,
                     file, kind);
    ERR_clear_error();
}

/* ---- the chain ---- */

bool chain_issued(X509 *issuer, X509 *certificate)
{
    /* A CA that changed its key but not its name is told apart by the signature. */
    EVP_PKEY *key = X509_get0_pubkey(issuer);
    bool ok = X509_check_issued(issuer, certificate) == X509_V_OK && key && X509_verify(certificate, key) == 1;
    ERR_clear_error();
    return ok;
}

bool chain_is_root(X509 *certificate)
{
    bool root = X509_self_signed(certificate, 1) == 1;
    ERR_clear_error();
    return root;
}

X509 *chain_find_issuer(X509_STORE *store, X509 *certificate)
{
    X509 *issuer = NULL;
    X509_STORE_CTX *search = X509_STORE_CTX_new();
    if (!search || !X509_STORE_CTX_init(search, store, NULL, NULL) ||
        X509_STORE_CTX_get1_issuer(&issuer, search, certificate) != 1)
        issuer = NULL;
    X509_STORE_CTX_free(search);
    ERR_clear_error();
    return issuer;
}

static bool is_known(const struct load *load, X509 *certificate, X509_STORE *trust)
{
    X509 *issuer = chain_find_issuer(trust, certificate);
    X509_STORE *system = issuer ? NULL : trust_system_store(load->library, load->query);
    if (system)
        issuer = chain_find_issuer(system, certificate);
    X509_STORE_free(system);
    X509_free(issuer);
    return issuer != NULL;
}

static void warn_incomplete(const struct load *load, const char *file, const X509 *last, int index)
{
    char which[32], *issuer = tls_peer_name(X509_get_issuer_name(last));
    name_place(index, which);
    load_problem(load, CONFIG_WARNING, "certificate",
                 "certificate \"%s\" has an incomplete chain: \"%s\", the issuer of %s, is neither in the file nor "
                 "trusted here; append that intermediate certificate to the file, or name the root in trust",
                 file, issuer ? issuer : "?", which);
    free(issuer);
}

static void warn_foreign(const struct load *load, const char *file, int index)
{
    load_problem(load, CONFIG_WARNING, "certificate",
                 "certificate \"%s\": certificate %d in it is not part of the chain of ours; take it out", file,
                 index + 1);
}

/* From ours upwards, through the file, wherever in it the next one stands. */
void chain_check(const struct load *load, const char *file, STACK_OF(X509) * certificates, X509_STORE *trust)
{
    int count = sk_X509_num(certificates), last = 0, places = 0;
    bool used[CHAIN_MOST] = { true }, ordered = true;
    X509 *current = sk_X509_value(certificates, 0);
    if (count > CHAIN_MOST) {
        load_problem(load, CONFIG_ERROR, "certificate",
                     "certificate \"%s\" has %d certificates; put ours there and those between it and its root, no "
                     "bundle",
                     file, count);
        return;
    }
    while (!chain_is_root(current)) {
        int next = 1;
        while (next < count && (used[next] || !chain_issued(sk_X509_value(certificates, next), current)))
            next++;
        if (next == count)
            break;
        used[next] = true;
        ordered = ordered && next > last;
        last = next;
        places++;
        current = sk_X509_value(certificates, next);
    }
    if (!ordered)
        load_problem(
            load, CONFIG_WARNING, "certificate",
            "certificate \"%s\" has its chain in the wrong order; put ours first, then the one that issued it, "
            "and so on: some clients follow no other order",
            file);
    for (int i = 1; places < count - 1 && i < count; i++)
        if (!used[i])
            warn_foreign(load, file, i);
    if (!chain_is_root(current) && !is_known(load, current, trust))
        warn_incomplete(load, file, current, last);
}

void chain_check_each(const struct load *load, const char *file, STACK_OF(X509) * certificates)
{
    for (int i = 0; i < sk_X509_num(certificates); i++) {
        check_validity(load, file, sk_X509_value(certificates, i), i);
        check_strength(load, file, sk_X509_value(certificates, i), i);
    }
}
