/* Key exchange groups and signature algorithms, by OpenSSL's names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/provider.h>

#include "ktls/context_internal.h"
#include "ktls/fips_internal.h"

#define BITS_MIN 112
#define NAME_SIZE 64
#define GROUPS_MOST 128
#define ALGORITHMS 24

struct report {
    struct config_errors *errors;
    const struct config_profile *profile;
    OSSL_LIB_CTX *library;
    SSL_CTX *scratch; /* asked whether it takes a name */
};

struct group {
    char name[NAME_SIZE], inner[NAME_SIZE]; /* the names OpenSSL takes for it */
    unsigned id, bits;
    bool is_12, is_13;
};

struct groups {
    struct group items[GROUPS_MOST];
    size_t count;
};

static void complain(const struct report *report, enum config_severity severity, const char *key, const char *text)
{
    config_errors_add_at(report->errors, severity, report->profile->section, key, "%s", text);
}

/* ---- what this OpenSSL has ---- */

static void take_text(const OSSL_PARAM *params, const char *name, char out[NAME_SIZE])
{
    const OSSL_PARAM *param = OSSL_PARAM_locate_const(params, name);
    out[0] = '\0';
    if (param && param->data_type == OSSL_PARAM_UTF8_STRING)
        snprintf(out, NAME_SIZE, "%s", (const char *)param->data);
}

static int take_number(const OSSL_PARAM *params, const char *name)
{
    const OSSL_PARAM *param = OSSL_PARAM_locate_const(params, name);
    int number = 0;
    return param && OSSL_PARAM_get_int(param, &number) ? number : 0;
}

/* Bounds as provider-base(7) has them: 0 is no bound, -1 is never. */
static bool within(const OSSL_PARAM *params, int version)
{
    int least = take_number(params, OSSL_CAPABILITY_TLS_GROUP_MIN_TLS);
    int most = take_number(params, OSSL_CAPABILITY_TLS_GROUP_MAX_TLS);
    return least >= 0 && most >= 0 && version >= least && (!most || version <= most);
}

static int take_group(const OSSL_PARAM params[], void *argument)
{
    struct groups *groups = argument;
    if (groups->count == GROUPS_MOST)
        return 1;
    struct group *group = &groups->items[groups->count];
    take_text(params, OSSL_CAPABILITY_TLS_GROUP_NAME, group->name);
    take_text(params, OSSL_CAPABILITY_TLS_GROUP_NAME_INTERNAL, group->inner);
    group->id = (unsigned)take_number(params, OSSL_CAPABILITY_TLS_GROUP_ID);
    group->bits = (unsigned)take_number(params, OSSL_CAPABILITY_TLS_GROUP_SECURITY_BITS);
    group->is_12 = within(params, TLS1_2_VERSION);
    group->is_13 = within(params, TLS1_3_VERSION);
    groups->count += group->name[0] != '\0' && (group->is_12 || group->is_13);
    return 1;
}

static int ask_provider(OSSL_PROVIDER *provider, void *groups)
{
    OSSL_PROVIDER_get_capabilities(provider, "TLS-GROUP", take_group, groups);
    return 1;
}

static bool is_usable(const struct report *report, const struct group *group)
{
    return group->bits >= BITS_MIN && SSL_CTX_set1_groups_list(report->scratch, group->name);
}

static bool is_hybrid(const char *name)
{
    return strcasestr(name, "mlkem") || strcasestr(name, "kyber");
}

/* A hybrid has no inner name: "" names nothing. */
static const struct group *find_group(const struct groups *groups, const char *name)
{
    for (size_t i = 0; name[0] && i < groups->count; i++)
        if (strcasecmp(groups->items[i].name, name) == 0 || strcasecmp(groups->items[i].inner, name) == 0)
            return &groups->items[i];
    return NULL;
}

/*
 * One name for each group that may be used, separated by commas; the one that comes last of several is the usual one.
 */
static void list_groups(const struct report *report, const struct groups *groups, bool hybrids, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < groups->count; i++) {
        const struct group *group = &groups->items[i];
        bool again = i + 1 < groups->count && groups->items[i + 1].id == group->id;
        if (again || !is_usable(report, group) || (hybrids && !is_hybrid(group->name)))
            continue;
        int length = snprintf(out + used, size - used, "%s%s", used ? ", " : "", group->name);
        if (length < 0 || (size_t)length >= size - used)
            break;
        used += (size_t)length;
    }
}

/* ---- groups ---- */

static void complain_group(const struct report *report, const struct groups *groups, const char *name)
{
    char has[1024], hybrids[256], *text;
    list_groups(report, groups, false, has, sizeof has);
    list_groups(report, groups, true, hybrids, sizeof hybrids);
    const char *version = OpenSSL_version(OPENSSL_VERSION_STRING);
    int length;
    if (is_hybrid(name) && !hybrids[0])
        length = asprintf(&text,
                          "\"%s\" is a post-quantum hybrid, and this OpenSSL (%s) has none: that takes OpenSSL 3.5; "
                          "leave it out, or use of these: %s",
                          name, version, has);
    else
        length = asprintf(&text, "\"%s\" is not a group that this OpenSSL (%s%s) has; use of these: %s", name, version,
                          report->library ? ", FIPS provider" : "", has);
    complain(report, CONFIG_ERROR, "groups", length < 0 ? "out of memory" : text);
    if (length >= 0)
        free(text);
}

static void complain_weak_group(const struct report *report, const struct group *group)
{
    char text[256];
    snprintf(text, sizeof text, "\"%s\" is too weak: it protects with %u bits; use X25519 or P-256", group->name,
             group->bits);
    complain(report, CONFIG_ERROR, "groups", text);
}

/* Appends a name to those that OpenSSL will be given, which are joined by colons. */
static void join(char *names, const char *name)
{
    if (names[0])
        strcat(names, ":");
    strcat(names, name);
}

static size_t joined_size(const struct config_list *list)
{
    return list->count * (NAME_SIZE + 1) + 1;
}

/* Every allowed version needs a group; the hybrids and X448 with its kind are not there in TLS 1.2 everywhere. */
static void check_group_versions(const struct report *report, bool served_12, bool served_13)
{
    const struct config_profile *profile = report->profile;
    if (profile->min_version <= TLS1_2_VERSION && !served_12)
        complain(report, CONFIG_ERROR, "groups",
                 "no listed group serves TLS 1.2, which this profile allows; add X25519 or P-256, or set min_version = "
                 "1.3");
    if (profile->max_version >= TLS1_3_VERSION && !served_13)
        complain(report, CONFIG_ERROR, "groups",
                 "no listed group serves TLS 1.3, which this profile allows; add X25519 or P-256, or set max_version = "
                 "1.2");
}

static void select_groups(const struct report *report, const struct groups *groups, char *names)
{
    const struct config_list *list = &report->profile->groups;
    const struct group *taken[GROUPS_MOST];
    size_t count = 0, errors_before = report->errors->error_count;
    bool served_12 = false, served_13 = false;
    for (size_t i = 0; i < list->count; i++) {
        const struct group *group = find_group(groups, list->items[i]);
        bool again = false;
        for (size_t j = 0; group && j < count; j++)
            again = again || taken[j]->id == group->id;
        if (!group) {
            complain_group(report, groups, list->items[i]);
        } else if (group->bits < BITS_MIN) {
            complain_weak_group(report, group);
        } else if (!is_usable(report, group)) {
            complain_group(report, groups, list->items[i]);
        } else if (again) {
            char text[128];
            snprintf(text, sizeof text, "\"%s\" is listed twice; the first place counts", group->name);
            complain(report, CONFIG_WARNING, "groups", text);
        } else if (count < GROUPS_MOST) {
            taken[count++] = group;
            served_12 = served_12 || group->is_12;
            served_13 = served_13 || group->is_13;
            join(names, group->name);
        }
    }
    if (report->errors->error_count == errors_before)
        check_group_versions(report, served_12, served_13);
}

static void load_groups(const struct report *report, SSL_CTX *ssl)
{
    struct groups *groups = calloc(1, sizeof *groups);
    char *names = calloc(1, joined_size(&report->profile->groups));
    size_t errors_before = report->errors->error_count;
    if (groups && names) {
        OSSL_PROVIDER_do_all(report->library, ask_provider, groups);
        select_groups(report, groups, names);
    }
    if (report->errors->error_count == errors_before && !(names && SSL_CTX_set1_groups_list(ssl, names)))
        complain(report, CONFIG_ERROR, "groups", "OpenSSL does not take these groups; leave some out");
    free(groups);
    free(names);
}

/* ---- signature algorithms ---- */

enum signs { SIGNS_RSA = 1, SIGNS_EC = 2, SIGNS_EDWARDS = 4, SIGNS_ML_DSA = 8 };

/* RFC 8446, 4.2.3. There is no asking OpenSSL 3.0 for its list; what of these it takes, is tried. */
static const struct algorithm {
    const char *name;
    const char *alias; /* OpenSSL's older way to write it, or NULL */
    enum signs with;
    bool in_13; /* for handshakes of TLS 1.3; the others are for TLS 1.2 */
} algorithms[] = {
    { "ecdsa_secp256r1_sha256", "ECDSA+SHA256", SIGNS_EC, true },
    { "ecdsa_secp384r1_sha384", "ECDSA+SHA384", SIGNS_EC, true },
    { "ecdsa_secp521r1_sha512", "ECDSA+SHA512", SIGNS_EC, true },
    { "ed25519", NULL, SIGNS_EDWARDS, true },
    { "ed448", NULL, SIGNS_EDWARDS, true },
    { "rsa_pss_rsae_sha256", "RSA-PSS+SHA256", SIGNS_RSA, true },
    { "rsa_pss_rsae_sha384", "RSA-PSS+SHA384", SIGNS_RSA, true },
    { "rsa_pss_rsae_sha512", "RSA-PSS+SHA512", SIGNS_RSA, true },
    { "rsa_pss_pss_sha256", NULL, SIGNS_RSA, true },
    { "rsa_pss_pss_sha384", NULL, SIGNS_RSA, true },
    { "rsa_pss_pss_sha512", NULL, SIGNS_RSA, true },
    { "rsa_pkcs1_sha256", "RSA+SHA256", SIGNS_RSA, false },
    { "rsa_pkcs1_sha384", "RSA+SHA384", SIGNS_RSA, false },
    { "rsa_pkcs1_sha512", "RSA+SHA512", SIGNS_RSA, false },
    { "mldsa44", NULL, SIGNS_ML_DSA, true },
    { "mldsa65", NULL, SIGNS_ML_DSA, true },
    { "mldsa87", NULL, SIGNS_ML_DSA, true },
};
_Static_assert(sizeof algorithms / sizeof *algorithms <= ALGORITHMS, "room for all of them");

static const struct algorithm *find_algorithm(const char *name)
{
    for (size_t i = 0; i < sizeof algorithms / sizeof *algorithms; i++) {
        const struct algorithm *algorithm = &algorithms[i];
        if (strcasecmp(algorithm->name, name) == 0 || (algorithm->alias && strcasecmp(algorithm->alias, name) == 0))
            return algorithm;
    }
    return NULL;
}

static void complain_algorithm(const struct report *report, const char *name)
{
    char has[640] = "", *text;
    for (size_t i = 0; i < sizeof algorithms / sizeof *algorithms; i++) {
        if (!SSL_CTX_set1_sigalgs_list(report->scratch, algorithms[i].name))
            continue;
        if (has[0])
            strcat(has, ", ");
        strcat(has, algorithms[i].name);
    }
    bool broken = strcasestr(name, "sha1") || strcasestr(name, "md5") || strcasestr(name, "sha224");
    int length;
    if (broken)
        length = asprintf(
            &text, "\"%s\" is insecure: signatures over %s can be forged or soon will be; use of these: %s", name,
            strcasestr(name, "md5")      ? "MD5"
            : strcasestr(name, "sha224") ? "SHA-224"
                                         : "SHA-1",
            has);
    else
        length = asprintf(&text, "\"%s\" is not a signature algorithm that this OpenSSL (%s) has; use of these: %s",
                          name, OpenSSL_version(OPENSSL_VERSION_STRING), has);
    complain(report, CONFIG_ERROR, "signature_algorithms", length < 0 ? "out of memory" : text);
    if (length >= 0)
        free(text);
}

static enum signs signs_with(const X509 *certificate)
{
    const EVP_PKEY *key = X509_get0_pubkey(certificate);
    if (!key)
        return 0;
    return EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS")     ? SIGNS_RSA
           : EVP_PKEY_is_a(key, "EC")                                     ? SIGNS_EC
           : EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448") ? SIGNS_EDWARDS
                                                                          : SIGNS_ML_DSA;
}

/* One of our certificates at least must be able to sign as listed. */
static void check_own(const struct report *report, SSL_CTX *ssl, unsigned with)
{
    unsigned ours = 0;
    for (long more = SSL_CTX_set_current_cert(ssl, SSL_CERT_SET_FIRST); more;
         more = SSL_CTX_set_current_cert(ssl, SSL_CERT_SET_NEXT))
        ours |= signs_with(SSL_CTX_get0_certificate(ssl));
    SSL_CTX_set_current_cert(ssl, SSL_CERT_SET_FIRST);
    if (ours && !(ours & with))
        complain(report, CONFIG_ERROR, "signature_algorithms",
                 "none of the listed algorithms can be used with the key of our certificate; add "
                 "ecdsa_secp256r1_sha256 for ECDSA, ed25519 for Ed25519, rsa_pss_rsae_sha256 for RSA");
}

static void select_algorithms(const struct report *report, SSL_CTX *ssl, char *names)
{
    const struct config_list *list = &report->profile->signature_algorithms;
    bool taken[ALGORITHMS] = { false }, served_13 = false;
    unsigned with = 0;
    size_t errors_before = report->errors->error_count;
    for (size_t i = 0; i < list->count; i++) {
        const struct algorithm *algorithm = find_algorithm(list->items[i]);
        if (!algorithm || !SSL_CTX_set1_sigalgs_list(report->scratch, algorithm->name)) {
            complain_algorithm(report, list->items[i]);
        } else if (taken[algorithm - algorithms]) {
            char text[128];
            snprintf(text, sizeof text, "\"%s\" is listed twice; the first place counts", algorithm->name);
            complain(report, CONFIG_WARNING, "signature_algorithms", text);
        } else {
            taken[algorithm - algorithms] = true;
            with |= algorithm->with;
            served_13 = served_13 || algorithm->in_13;
            join(names, algorithm->name);
        }
    }
    if (report->errors->error_count != errors_before)
        return;
    if (report->profile->max_version >= TLS1_3_VERSION && !served_13)
        complain(report, CONFIG_ERROR, "signature_algorithms",
                 "no listed algorithm serves TLS 1.3, which has no rsa_pkcs1 in handshakes; add "
                 "ecdsa_secp256r1_sha256, rsa_pss_rsae_sha256 or ed25519, or set max_version = 1.2");
    check_own(report, ssl, with);
}

static void load_algorithms(const struct report *report, SSL_CTX *ssl)
{
    char *names = calloc(1, joined_size(&report->profile->signature_algorithms));
    size_t errors_before = report->errors->error_count;
    if (names)
        select_algorithms(report, ssl, names);
    if (report->errors->error_count == errors_before && !(names && SSL_CTX_set1_sigalgs_list(ssl, names)))
        complain(report, CONFIG_ERROR, "signature_algorithms",
                 "OpenSSL does not take these signature algorithms; leave some out");
    free(names);
}

void groups_load(SSL_CTX *ssl, OSSL_LIB_CTX *library, const struct config_profile *profile,
                 struct config_errors *errors)
{
    struct report report = { errors, profile, library, NULL };
    if (!profile->groups.count && !profile->signature_algorithms.count)
        return;
    report.scratch = SSL_CTX_new_ex(library, fips_query(library), TLS_method());
    if (!report.scratch) {
        complain(&report, CONFIG_ERROR, "groups", "OpenSSL cannot make a context: out of memory");
        return;
    }
    if (profile->groups.count)
        load_groups(&report, ssl);
    if (profile->signature_algorithms.count)
        load_algorithms(&report, ssl);
    SSL_CTX_free(report.scratch);
    ERR_clear_error();
}
