/* Our own certificates, their chains and their keys. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#include "ktls/context_internal.h"
#include "ktls/credentials_internal.h"
#include "ktls/fips_internal.h"

/* A certificate of the list with its key. */
struct credential {
    const char *file, *key_file; /* of PKCS#12 both are the same */
    struct load_own own;
    bool usable; /* both halves were read, and belong together */
};

struct credentials {
    struct load load;
    const struct config_profile *profile;
    struct credential *items;
    size_t count;
};

const char *credentials_passphrase(const struct config_profile *profile, size_t index)
{
    const struct config_list *files = &profile->key_passphrase_file;
    if (files->count == 1)
        return files->items[0];
    return index < files->count ? files->items[index] : NULL;
}

/* ---- what is named ---- */

static bool is_complete(const struct credentials *credentials)
{
    const struct config_profile *profile = credentials->profile;
    bool server = profile->role == CONFIG_SERVER;
    if (!profile->certificate.count && (server || profile->key.count))
        load_problem(&credentials->load, CONFIG_ERROR, profile->key.count ? "key" : NULL,
                     "certificate is missing; name the file with our certificate, ours first (PEM, DER or PKCS#12)");
    if (!profile->certificate.count && server && !profile->key.count)
        load_problem(&credentials->load, CONFIG_ERROR, NULL,
                     "key is missing; name the file with the certificate's private key");
    return profile->certificate.count > 0;
}

/* Keys stand in the order of the certificates that need one. */
static void check_counts(const struct credentials *credentials)
{
    const struct config_profile *profile = credentials->profile;
    size_t needed = 0, passphrases = profile->key_passphrase_file.count;
    for (size_t i = 0; i < credentials->count; i++)
        needed += !credentials->items[i].own.archive;
    if (needed && !profile->key.count)
        load_problem(&credentials->load, CONFIG_ERROR, "certificate",
                     "key is missing; name the file with the certificate's private key");
    else if (needed != profile->key.count)
        load_problem(&credentials->load, CONFIG_ERROR, "key",
                     "key names %zu file%s, and %zu of the certificates need%s one; name one for each, in the same "
                     "order (a PKCS#12 file has its own)",
                     profile->key.count, profile->key.count == 1 ? "" : "s", needed, needed == 1 ? "s" : "");
    if (passphrases > 1 && passphrases != credentials->count)
        load_problem(&credentials->load, CONFIG_ERROR, "key_passphrase_file",
                     "key_passphrase_file names %zu files for %zu certificate%s; name one for all, or one for each",
                     passphrases, credentials->count, credentials->count == 1 ? "" : "s");
}

/* ---- what is in it ---- */

/* Takes the next key of the list, unless the certificate came with its own. */
static void read_key(struct credentials *credentials, struct credential *item, const struct load_passphrase *passphrase,
                     size_t *next)
{
    const struct config_list *keys = &credentials->profile->key;
    if (item->own.archive) {
        item->key_file = item->file;
    } else if (*next < keys->count) {
        item->key_file = keys->items[(*next)++];
        item->own.key = load_key(&credentials->load, item->key_file, passphrase);
    }
}

/* A passphrase that several share is read, and complained about, once. */
static void read_passphrase(const struct credentials *credentials, size_t index, struct load_passphrase *passphrase)
{
    if (index > 0 && credentials->profile->key_passphrase_file.count == 1)
        return;
    OPENSSL_cleanse(passphrase, sizeof *passphrase);
    load_passphrase(&credentials->load, credentials_passphrase(credentials->profile, index), passphrase);
}

static void read_all(struct credentials *credentials)
{
    struct load_passphrase passphrase = { 0 };
    size_t next = 0;
    for (size_t i = 0; i < credentials->count; i++) {
        struct credential *item = &credentials->items[i];
        item->file = credentials->profile->certificate.items[i];
        read_passphrase(credentials, i, &passphrase);
        load_own(&credentials->load, item->file, &passphrase, &item->own);
        read_key(credentials, item, &passphrase, &next);
    }
    OPENSSL_cleanse(&passphrase, sizeof passphrase);
}

/* ---- whether it fits ---- */

static bool matches(STACK_OF(X509) * certificates, int place, const EVP_PKEY *key)
{
    bool match = X509_check_private_key(sk_X509_value(certificates, place), key) == 1;
    ERR_clear_error();
    return match;
}

/* Says more than "does not match": the usual mistakes are a chain, or a list, in the wrong order. */
static void report_mismatch(const struct credentials *credentials, const struct credential *item)
{
    for (int i = 1; i < sk_X509_num(item->own.certificates); i++) {
        if (!matches(item->own.certificates, i, item->own.key))
            continue;
        load_problem(&credentials->load, CONFIG_ERROR, "certificate",
                     "certificate \"%s\" has our own certificate at place %d; put it first and its issuers behind it",
                     item->file, i + 1);
        return;
    }
    for (size_t i = 0; i < credentials->count; i++) {
        const struct credential *other = &credentials->items[i];
        if (!other->own.certificates || !matches(other->own.certificates, 0, item->own.key))
            continue;
        load_problem(&credentials->load, CONFIG_ERROR, "key",
                     "key \"%s\" belongs to certificate \"%s\", not to \"%s\"; name keys and certificates in the same "
                     "order",
                     item->key_file, other->file, item->file);
        return;
    }
    load_problem(&credentials->load, CONFIG_ERROR, "certificate",
                 "certificate \"%s\" does not match key \"%s\"; give the key that the certificate was made for",
                 item->file, item->key_file);
}

/* OpenSSL keeps one certificate for each type of key: a second one would take the first one's place in silence. */
static const struct credential *find_same_type(const struct credentials *credentials, const struct credential *item)
{
    const char *type = EVP_PKEY_get0_type_name(item->own.key);
    for (const struct credential *other = credentials->items; other < item; other++)
        if (other->usable && type && EVP_PKEY_is_a(other->own.key, type))
            return other;
    return NULL;
}

static const char *type_of(const EVP_PKEY *key)
{
    const char *type = EVP_PKEY_get0_type_name(key);
    return EVP_PKEY_is_a(key, "EC") ? "ECDSA" : type ? type : "unknown";
}

static void check_fit(const struct credentials *credentials, struct credential *item)
{
    if (!item->own.certificates || !item->own.key)
        return;
    const struct credential *same = find_same_type(credentials, item);
    if (!matches(item->own.certificates, 0, item->own.key))
        report_mismatch(credentials, item);
    else if (same)
        load_problem(&credentials->load, CONFIG_ERROR, "certificate",
                     "certificates \"%s\" and \"%s\" are both for %s, and only one of a type can be shown; leave one "
                     "of them out",
                     same->file, item->file, type_of(item->own.key));
    else
        item->usable = true;
}

static void use(const struct credentials *credentials, SSL_CTX *ssl, const struct credential *item)
{
    STACK_OF(X509) *chain = sk_X509_dup(item->own.certificates);
    X509 *own = chain ? sk_X509_shift(chain) : NULL;
    if (!own || SSL_CTX_use_cert_and_key(ssl, own, item->own.key, chain, 0) != 1) {
        const char *reason = ERR_reason_error_string(ERR_peek_last_error());
        load_problem(&credentials->load, CONFIG_ERROR, "certificate",
                     "certificate \"%s\" cannot be used: %s; use RSA of at least 2048 bits, ECDSA P-256 or Ed25519, "
                     "signed with SHA-256 or better",
                     item->file, reason ? reason : "OpenSSL does not say why");
    }
    sk_X509_free(chain);
    ERR_clear_error();
}

void credentials_load(SSL_CTX *ssl, OSSL_LIB_CTX *library, const struct config_profile *profile,
                      struct config_errors *errors)
{
    struct credentials credentials = { { errors, profile->section, library, fips_query(library) },
                                       .profile = profile,
                                       .count = profile->certificate.count };
    if (!is_complete(&credentials))
        return;
    credentials.items = calloc(credentials.count, sizeof *credentials.items);
    if (!credentials.items) {
        load_problem(&credentials.load, CONFIG_ERROR, "certificate", "there is no memory for the certificates");
        return;
    }
    read_all(&credentials);
    check_counts(&credentials);
    for (size_t i = 0; i < credentials.count; i++) {
        struct credential *item = &credentials.items[i];
        size_t errors_before = errors->error_count;
        if (item->own.certificates)
            chain_check_each(&credentials.load, item->file, item->own.certificates);
        check_fit(&credentials, item);
        if (item->usable)
            chain_check(&credentials.load, item->file, item->own.certificates, SSL_CTX_get_cert_store(ssl));
        if (item->usable && errors->error_count == errors_before)
            use(&credentials, ssl, item);
    }
    for (size_t i = 0; i < credentials.count; i++)
        load_own_free(&credentials.items[i].own);
    free(credentials.items);
    SSL_CTX_set_current_cert(ssl, SSL_CERT_SET_FIRST);
}
