/*
 * From the names in `ciphers` to OpenSSL's two lists (suites of TLS 1.3, ciphers of TLS 1.2).
 *
 * There is no table of suites here: what OpenSSL was built with is asked of OpenSSL, and whether a suite is good enough
 * is read from its parts (key exchange, authentication, AEAD or not).
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "ktls/ciphers.h"
#include "ktls/context_internal.h"
#include "ktls/fips_internal.h"

#define IDS 0x10000
#define BITS_MIN 112
#define SUGGEST_13 "TLS_AES_128_GCM_SHA256"
#define SUGGEST_12_RSA "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
#define SUGGEST_12_ECDSA "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"

static const char *const default_ciphers[] = {
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
};

/* Every suite OpenSSL has a name for, and those of them that it can also carry out here. */
struct catalogue {
    SSL_CTX *scratch;
    SSL *ssl;
    STACK_OF(SSL_CIPHER) * known;
};

struct selection {
    const SSL_CIPHER **suites;
    size_t count;
};

struct report {
    struct config_errors *errors;
    const struct config_profile *profile;
};

static bool is_13(const SSL_CIPHER *suite)
{
    return SSL_CIPHER_get_kx_nid(suite) == NID_kx_any;
}

static const SSL_CIPHER *find_id(const struct catalogue *catalogue, unsigned id)
{
    unsigned char bytes[2] = { (unsigned char)(id >> 8), (unsigned char)id };
    return SSL_CIPHER_find(catalogue->ssl, bytes);
}

/* Lets the scratch context offer everything, so that what it then offers is what this OpenSSL can do. */
static bool offer_all(struct catalogue *catalogue)
{
    size_t capacity = 1;
    for (int i = 0; i < sk_SSL_CIPHER_num(catalogue->known); i++)
        capacity += strlen(SSL_CIPHER_get_name(sk_SSL_CIPHER_value(catalogue->known, i))) + 1;
    char *names = calloc(1, capacity);
    if (!names)
        return false;
    char *end = names;
    for (int i = 0; i < sk_SSL_CIPHER_num(catalogue->known); i++) {
        const SSL_CIPHER *suite = sk_SSL_CIPHER_value(catalogue->known, i);
        if (is_13(suite))
            end = stpcpy(stpcpy(end, end == names ? "" : ":"), SSL_CIPHER_get_name(suite));
    }
    SSL_CTX_set_security_level(catalogue->scratch, 0);
    bool ok = SSL_CTX_set_cipher_list(catalogue->scratch, "ALL:COMPLEMENTOFALL") &&
              SSL_CTX_set_ciphersuites(catalogue->scratch, names);
    free(names);
    return ok;
}

static void catalogue_clear(struct catalogue *catalogue)
{
    sk_SSL_CIPHER_free(catalogue->known);
    SSL_free(catalogue->ssl);
    SSL_CTX_free(catalogue->scratch);
}

static bool catalogue_fill(struct catalogue *catalogue, OSSL_LIB_CTX *library)
{
    catalogue->scratch = SSL_CTX_new_ex(library, fips_query(library), TLS_method());
    catalogue->ssl = catalogue->scratch ? SSL_new(catalogue->scratch) : NULL;
    catalogue->known = sk_SSL_CIPHER_new_null();
    if (!catalogue->ssl || !catalogue->known)
        return false;
    for (unsigned id = 0; id < IDS; id++) {
        const SSL_CIPHER *suite = find_id(catalogue, id);
        /* The two signalling values (RFC 5746, RFC 7507) are no suites and have no standard cipher behind them. */
        if (suite && SSL_CIPHER_standard_name(suite) && !sk_SSL_CIPHER_push(catalogue->known, suite))
            return false;
    }
    return offer_all(catalogue);
}

static bool is_supported(const struct catalogue *catalogue, const SSL_CIPHER *suite)
{
    return sk_SSL_CIPHER_find(SSL_CTX_get_ciphers(catalogue->scratch), (SSL_CIPHER *)suite) >= 0;
}

static const SSL_CIPHER *find_name(const struct catalogue *catalogue, const char *name)
{
    for (int i = 0; i < sk_SSL_CIPHER_num(catalogue->known); i++) {
        const SSL_CIPHER *suite = sk_SSL_CIPHER_value(catalogue->known, i);
        if (strcasecmp(name, SSL_CIPHER_standard_name(suite)) == 0 || strcasecmp(name, SSL_CIPHER_get_name(suite)) == 0)
            return suite;
    }
    return NULL;
}

/* What makes a suite unfit, as the end of a sentence; NULL: nothing. */
static const char *weakness(const SSL_CIPHER *suite)
{
    int cipher = SSL_CIPHER_get_cipher_nid(suite), exchange = SSL_CIPHER_get_kx_nid(suite);
    if (cipher == NID_undef)
        return "does not encrypt";
    if (SSL_CIPHER_get_auth_nid(suite) == NID_auth_null)
        return "authenticates nobody";
    if (cipher == NID_rc4)
        return "uses RC4, which is broken";
    /* OpenSSL names suites whose cipher it does not have; is_supported() finds those. */
    const EVP_CIPHER *implementation = EVP_get_cipherbynid(cipher);
    if (implementation && EVP_CIPHER_get_block_size(implementation) == 8)
        return "uses a cipher with 64-bit blocks, which is broken for more than a few gigabytes";
    if (exchange == NID_kx_rsa)
        return "has no forward secrecy: who takes the server's key later can read today's sessions";
    if (!SSL_CIPHER_is_aead(suite))
        return "uses CBC, whose padding has given plaintext away again and again";
    if (SSL_CIPHER_get_bits(suite, NULL) < BITS_MIN || strstr(SSL_CIPHER_standard_name(suite), "_CCM_8"))
        return "protects with too few bits";
    return NULL;
}

/* The same for a suite that this OpenSSL does not have at all: IANA names say what is in them. */
static const char *weakness_of_name(const char *name)
{
    static const struct {
        const char *word, *text;
    } words[] = {
        { "_NULL_", "does not encrypt" },
        { "_anon_", "authenticates nobody" },
        { "EXPORT", "was made weak for export" },
        { "RC4", "uses RC4, which is broken" },
        { "RC2", "uses RC2, which is broken" },
        { "DES", "uses DES or 3DES, which is broken" },
        { "IDEA", "uses a cipher with 64-bit blocks, which is broken for more than a few gigabytes" },
        { "MD5", "uses MD5, which is broken" },
        { "CBC", "uses CBC, whose padding has given plaintext away again and again" },
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasestr(name, words[i].word))
            return words[i].text;
    return NULL;
}

/* Sluice authenticates by certificate; suites that need something else can never be negotiated. */
static bool needs_other_authentication(const SSL_CIPHER *suite)
{
    int auth = SSL_CIPHER_get_auth_nid(suite);
    return auth != NID_auth_any && auth != NID_auth_rsa && auth != NID_auth_ecdsa;
}

static const char *replacement(const SSL_CIPHER *suite)
{
    if (suite && is_13(suite))
        return SUGGEST_13;
    return suite && SSL_CIPHER_get_auth_nid(suite) == NID_auth_ecdsa ? SUGGEST_12_ECDSA : SUGGEST_12_RSA;
}

/* Edits (insert, remove, replace) that turn one name into the other; names here have less than 64 bytes. */
static size_t distance(const char *a, const char *b)
{
    size_t row[64], length = strlen(b);
    if (length >= sizeof row / sizeof *row)
        return SIZE_MAX;
    for (size_t j = 0; j <= length; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < length; j++) {
            size_t replace = diagonal + (toupper((unsigned char)a[i]) != toupper((unsigned char)b[j]));
            size_t best = (row[j] < row[j + 1] ? row[j] : row[j + 1]) + 1;
            diagonal = row[j + 1];
            row[j + 1] = replace < best ? replace : best;
        }
    }
    return row[length];
}

/* The name nearest to what was written, among suites one may use; NULL where none is near. */
static const char *nearest(const struct catalogue *catalogue, const char *name)
{
    const char *best = NULL;
    size_t best_distance = strlen(name) / 5 + 1;
    for (int i = 0; i < sk_SSL_CIPHER_num(catalogue->known); i++) {
        const SSL_CIPHER *suite = sk_SSL_CIPHER_value(catalogue->known, i);
        const char *names[] = { SSL_CIPHER_standard_name(suite), SSL_CIPHER_get_name(suite) };
        if (weakness(suite) || needs_other_authentication(suite))
            continue;
        for (size_t n = 0; n < 2; n++) {
            size_t edits = distance(name, names[n]);
            if (edits < best_distance) {
                best_distance = edits;
                best = names[n];
            }
        }
    }
    return best;
}

__attribute__((format(printf, 3, 4))) static void complain(const struct report *report, enum config_severity severity,
                                                           const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    config_errors_add_at(report->errors, severity, report->profile->section, "ciphers", "%s", text);
}

static void complain_unknown(const struct report *report, const struct catalogue *catalogue, const char *name)
{
    const char *weak = weakness_of_name(name), *near = nearest(catalogue, name);
    if (near)
        complain(report, CONFIG_ERROR, "\"%s\" is not the name of a suite; did you mean %s?", name, near);
    else if (weak && strncasecmp(name, "TLS_", 4) == 0)
        complain(report, CONFIG_ERROR, "%s is insecure: it %s; use %s", name, weak, SUGGEST_12_RSA);
    else if (strncasecmp(name, "TLS_", 4) == 0)
        complain(report, CONFIG_ERROR, "%s is not supported by this OpenSSL (%s); use %s", name,
                 OpenSSL_version(OPENSSL_VERSION_STRING), SUGGEST_13);
    else
        complain(report, CONFIG_ERROR,
                 "\"%s\" is not the name of a suite; write an IANA name (%s), OpenSSL's name or the decimal number",
                 name, SUGGEST_13);
}

/* A decimal number as CFT writes it: the two bytes of the suite on the wire. */
static bool is_number(const char *text)
{
    return *text && text[strspn(text, "0123456789")] == '\0';
}

static const SSL_CIPHER *find_number(const struct report *report, const struct catalogue *catalogue, const char *text)
{
    unsigned long id = strlen(text) <= 5 ? strtoul(text, NULL, 10) : IDS;
    const SSL_CIPHER *suite = id < IDS ? find_id(catalogue, (unsigned)id) : NULL;
    if (id >= IDS)
        complain(report, CONFIG_ERROR, "%s is not the number of a suite; those go to 65535, for example 4865 (%s)",
                 text, SUGGEST_13);
    else if (!suite)
        complain(report, CONFIG_ERROR,
                 "no suite with the number %s (0x%04lX) is supported by this OpenSSL (%s); use for example 4865 (%s)",
                 text, id, OpenSSL_version(OPENSSL_VERSION_STRING), SUGGEST_13);
    return suite;
}

/* One word of the list: the suite, or NULL after an error was reported. */
static const SSL_CIPHER *resolve(const struct report *report, const struct catalogue *catalogue, const char *word)
{
    const SSL_CIPHER *suite;
    if (is_number(word)) {
        if (!(suite = find_number(report, catalogue, word)))
            return NULL;
    } else if (!(suite = find_name(catalogue, word))) {
        complain_unknown(report, catalogue, word);
        return NULL;
    }

    const char *weak = weakness(suite), *name = SSL_CIPHER_standard_name(suite);
    if (weak)
        complain(report, CONFIG_ERROR, "%s is insecure: it %s; use %s", name, weak, replacement(suite));
    else if (needs_other_authentication(suite))
        complain(report, CONFIG_ERROR, "%s does not authenticate by certificate, and nothing else is supported; use %s",
                 name, replacement(suite));
    else if (!is_supported(catalogue, suite) && report->profile->fips)
        complain(report, CONFIG_ERROR, "%s is not allowed by FIPS, and the profile says fips = yes; use %s", name,
                 replacement(suite));
    else if (!is_supported(catalogue, suite))
        complain(report, CONFIG_ERROR,
                 "%s is not supported by this OpenSSL (%s), as it was built or configured; use %s", name,
                 OpenSSL_version(OPENSSL_VERSION_STRING), replacement(suite));
    else
        return suite;
    return NULL;
}

static bool is_selected(const struct selection *selection, const SSL_CIPHER *suite)
{
    for (size_t i = 0; i < selection->count; i++)
        if (selection->suites[i] == suite)
            return true;
    return false;
}

static void select_all(const struct report *report, const struct catalogue *catalogue, struct selection *selection)
{
    const struct config_list *list = &report->profile->ciphers;
    for (size_t i = 0; i < list->count; i++) {
        const SSL_CIPHER *suite = resolve(report, catalogue, list->items[i]);
        if (!suite)
            continue;
        if (is_selected(selection, suite))
            complain(report, CONFIG_WARNING, "%s is listed twice; the first place counts",
                     SSL_CIPHER_standard_name(suite));
        else
            selection->suites[selection->count++] = suite;
    }
}

/* The defaults are not the operator's words: one that this OpenSSL cannot do is left out in silence. */
static void select_defaults(const struct catalogue *catalogue, struct selection *selection)
{
    for (size_t i = 0; i < sizeof default_ciphers / sizeof *default_ciphers; i++) {
        const SSL_CIPHER *suite = find_name(catalogue, default_ciphers[i]);
        if (suite && is_supported(catalogue, suite))
            selection->suites[selection->count++] = suite;
    }
}

static const char *version_name(unsigned version)
{
    return version == TLS1_3_VERSION ? "TLS 1.3" : "TLS 1.2";
}

static bool is_allowed(const struct config_profile *profile, unsigned version)
{
    return profile->min_version <= version && version <= profile->max_version;
}

/* Every allowed version needs a suite, and every listed suite an allowed version. */
static void check_versions(const struct report *report, const struct selection *selection)
{
    const struct config_profile *profile = report->profile;
    for (unsigned version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        bool allowed = is_allowed(profile, version), served = false, other = version == TLS1_2_VERSION;
        for (size_t i = 0; i < selection->count; i++) {
            if (is_13(selection->suites[i]) != (version == TLS1_3_VERSION))
                continue;
            served = true;
            if (!allowed)
                complain(report, CONFIG_WARNING,
                         "%s is never used: it belongs to %s, which this profile does not allow",
                         SSL_CIPHER_standard_name(selection->suites[i]), version_name(version));
        }
        if (allowed && !served)
            complain(report, CONFIG_ERROR, "no listed suite serves %s, which this profile allows; add %s, or set %s",
                     version_name(version), other ? SUGGEST_12_RSA " or " SUGGEST_12_ECDSA : SUGGEST_13,
                     other ? "min_version = 1.3" : "max_version = 1.2");
    }
}

struct types {
    bool rsa, ecdsa; /* Ed25519 signs in the suites of ECDSA (RFC 8422, 5.10) */
};

static struct types own_types(SSL_CTX *ssl)
{
    struct types types = { false, false };
    for (long more = SSL_CTX_set_current_cert(ssl, SSL_CERT_SET_FIRST); more;
         more = SSL_CTX_set_current_cert(ssl, SSL_CERT_SET_NEXT)) {
        const EVP_PKEY *key = X509_get0_pubkey(SSL_CTX_get0_certificate(ssl));
        bool rsa = key && (EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS"));
        types.rsa = types.rsa || rsa;
        types.ecdsa = types.ecdsa || (key && !rsa);
    }
    SSL_CTX_set_current_cert(ssl, SSL_CERT_SET_FIRST);
    return types;
}

/* In TLS 1.2 a suite says what kind of key the server signs with; a list without any of ours is never negotiated. */
static void check_certificates(const struct report *report, SSL_CTX *ssl, const struct selection *selection)
{
    const struct types types = own_types(ssl);
    bool listed = false;
    if (report->profile->role != CONFIG_SERVER || !(types.rsa || types.ecdsa) ||
        !is_allowed(report->profile, TLS1_2_VERSION))
        return;
    for (size_t i = 0; i < selection->count; i++) {
        int auth = SSL_CIPHER_get_auth_nid(selection->suites[i]);
        if ((types.rsa && auth == NID_auth_rsa) || (types.ecdsa && auth == NID_auth_ecdsa))
            return;
        listed = listed || !is_13(selection->suites[i]);
    }
    if (listed)
        complain(
            report, CONFIG_ERROR,
            "no listed suite of TLS 1.2 works with a certificate for %s, as ours is; add %s, or set min_version = 1.3",
            types.rsa ? "RSA" : "ECDSA or Ed25519", types.rsa ? SUGGEST_12_RSA : SUGGEST_12_ECDSA);
}

/* The names on one side of the version line, joined as OpenSSL wants them. NULL: no memory. */
static char *join(const struct selection *selection, bool for_13)
{
    size_t size = 1;
    for (size_t i = 0; i < selection->count; i++)
        size += strlen(SSL_CIPHER_get_name(selection->suites[i])) + 1;
    char *names = calloc(1, size), *end = names;
    for (size_t i = 0; names && i < selection->count; i++)
        if (is_13(selection->suites[i]) == for_13)
            end = stpcpy(stpcpy(end, end == names ? "" : ":"), SSL_CIPHER_get_name(selection->suites[i]));
    return names;
}

static bool apply(SSL_CTX *ssl, const struct selection *selection)
{
    char *names13 = join(selection, true), *names12 = join(selection, false);
    bool ok = names13 && names12 && SSL_CTX_set_ciphersuites(ssl, names13) &&
              (!*names12 || SSL_CTX_set_cipher_list(ssl, names12));
    free(names13);
    free(names12);
    return ok;
}

void ciphers_load(SSL_CTX *ssl, OSSL_LIB_CTX *library, const struct config_profile *profile,
                  struct config_errors *errors)
{
    struct report report = { errors, profile };
    struct catalogue catalogue = { 0 };
    struct selection selection = { 0 };
    size_t errors_before = errors->error_count;
    size_t capacity = profile->ciphers.count + sizeof default_ciphers / sizeof *default_ciphers;

    selection.suites = calloc(capacity, sizeof *selection.suites);
    bool ok = selection.suites && catalogue_fill(&catalogue, library);
    if (ok && profile->ciphers.count)
        select_all(&report, &catalogue, &selection);
    else if (ok)
        select_defaults(&catalogue, &selection);
    if (ok && profile->ciphers.count && errors->error_count == errors_before)
        check_versions(&report, &selection);
    if (ok && profile->ciphers.count && errors->error_count == errors_before)
        check_certificates(&report, ssl, &selection);
    if (errors->error_count == errors_before && !(ok && apply(ssl, &selection)))
        complain(&report, CONFIG_ERROR, "OpenSSL does not take the suites: %s",
                 ERR_peek_last_error() ? ERR_reason_error_string(ERR_peek_last_error()) : "out of memory");

    catalogue_clear(&catalogue);
    free(selection.suites);
}

struct tls_ciphers {
    struct catalogue catalogue;
};

struct tls_ciphers *tls_ciphers_new(void)
{
    struct tls_ciphers *ciphers = calloc(1, sizeof *ciphers);
    if (ciphers && catalogue_fill(&ciphers->catalogue, NULL))
        return ciphers;
    tls_ciphers_free(ciphers);
    return NULL;
}

void tls_ciphers_free(struct tls_ciphers *ciphers)
{
    if (!ciphers)
        return;
    catalogue_clear(&ciphers->catalogue);
    free(ciphers);
}

bool tls_ciphers_look(const struct tls_ciphers *ciphers, const char *word, char text[TLS_CIPHER_TEXT])
{
    const struct config_profile nowhere = { 0 };
    struct config_errors errors = { 0 };
    struct report report = { &errors, &nowhere };
    const SSL_CIPHER *suite = resolve(&report, &ciphers->catalogue, word);
    const char *said = suite          ? SSL_CIPHER_standard_name(suite)
                       : errors.count ? errors.items[0].text
                                      : "there is no memory to look for it";
    snprintf(text, TLS_CIPHER_TEXT, "%s", said);
    config_errors_clear(&errors);
    return suite != NULL;
}
