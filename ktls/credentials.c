/* Our own certificate, its chain and its key. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "ktls/context_internal.h"
#include "ktls/pem_internal.h"

#define SOON_DAYS 30

struct report {
    struct config_errors *errors;
    const struct config_profile *profile;
};

/* "certificate" for the leaf, "certificate 2" and so on for what follows it in the file. */
static void name_certificate(int index, char out[32])
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

static void check_validity(const struct report *report, const X509 *certificate, int index)
{
    const struct config_section *section = report->profile->section;
    const char *file = report->profile->certificate.items[0];
    const ASN1_TIME *begin = X509_get0_notBefore(certificate), *end = X509_get0_notAfter(certificate);
    time_t soon = time(NULL) + SOON_DAYS * 86400L;
    char which[32], day[32];
    name_certificate(index, which);

    if (X509_cmp_current_time(begin) > 0) {
        format_day(begin, day);
        config_errors_add_at(report->errors, CONFIG_ERROR, section, "certificate",
                             "%s in \"%s\" is not valid before %s; use one that is valid today, or set the clock right",
                             which, file, day);
    } else if (X509_cmp_current_time(end) < 0) {
        format_day(end, day);
        config_errors_add_at(report->errors, CONFIG_ERROR, section, "certificate",
                             "%s in \"%s\" expired on %s; have it renewed and put the new one there", which, file, day);
    } else if (X509_cmp_time(end, &soon) < 0) {
        char left[32] = "less than a day";
        int days = 0, seconds = 0;
        if (ASN1_TIME_diff(&days, &seconds, NULL, end) && days)
            snprintf(left, sizeof left, "%d day%s", days, days == 1 ? "" : "s");
        format_day(end, day);
        config_errors_add_at(report->errors, CONFIG_WARNING, section, "certificate",
                             "%s in \"%s\" expires on %s, in %s; have it renewed before that", which, file, day, left);
    }
}

/* The leaf and its chain, as SSL_CTX takes them. False after an error was reported. */
static bool use_certificates(SSL_CTX *ssl, const struct report *report, STACK_OF(X509) * certificates)
{
    const struct config_profile *profile = report->profile;
    bool ok = SSL_CTX_use_certificate(ssl, sk_X509_value(certificates, 0)) == 1;
    for (int i = 1; ok && i < sk_X509_num(certificates); i++)
        ok = SSL_CTX_add1_chain_cert(ssl, sk_X509_value(certificates, i)) == 1;
    if (ok)
        return true;

    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    config_errors_add_at(
        report->errors, CONFIG_ERROR, profile->section, "certificate",
        "certificate \"%s\" cannot be used: %s; use RSA of at least 2048 bits or ECDSA P-256, signed with SHA-256 "
        "or better",
        profile->certificate.items[0], reason ? reason : "OpenSSL does not say why");
    return false;
}

static void check_key_mode(const struct report *report)
{
    const struct config_profile *profile = report->profile;
    struct stat status;
    if (stat(profile->key.items[0], &status) != 0)
        return; /* reading it has said why */
    if (status.st_mode & S_IRWXO)
        config_errors_add_at(report->errors, CONFIG_ERROR, profile->section, "key",
                             "key \"%s\" is open to every user of this machine (mode %04o); chmod 600 it, and replace "
                             "the key if others can have read it",
                             profile->key.items[0], (unsigned)(status.st_mode & 07777));
    else if (status.st_mode & S_IRWXG)
        config_errors_add_at(report->errors, CONFIG_WARNING, profile->section, "key",
                             "key \"%s\" is open to its whole group (mode %04o); chmod 600 it unless that is meant",
                             profile->key.items[0], (unsigned)(status.st_mode & 07777));
}

/* Says no to OpenSSL, which would otherwise ask at the terminal. */
static int refuse_passphrase(char *buffer, int size, int writing, void *asked)
{
    (void)buffer;
    (void)size;
    (void)writing;
    *(bool *)asked = true;
    return -1;
}

static EVP_PKEY *read_key(const struct report *report)
{
    const struct config_profile *profile = report->profile;
    bool encrypted = false;
    BIO *file = BIO_new_file(profile->key.items[0], "r");
    if (!file) {
        pem_report_open(report->errors, profile->section, "key", profile->key.items[0], errno);
        return NULL;
    }
    EVP_PKEY *key = PEM_read_bio_PrivateKey(file, NULL, refuse_passphrase, &encrypted);
    BIO_free(file);
    if (key)
        return key;
    if (encrypted)
        config_errors_add_at(
            report->errors, CONFIG_ERROR, profile->section, "key",
            "key \"%s\" is encrypted with a passphrase; decrypt it with `openssl pkey -in OLD -out NEW` into "
            "a file with mode 600",
            profile->key.items[0]);
    else
        pem_report_content(report->errors, profile->section, "key", profile->key.items[0], "private key",
                           "PRIVATE KEY");
    return NULL;
}

/* Says more than "does not match": the usual mistake is a file with the chain in the wrong order. */
static void report_mismatch(const struct report *report, STACK_OF(X509) * certificates, EVP_PKEY *key)
{
    const struct config_profile *profile = report->profile;
    for (int i = 1; i < sk_X509_num(certificates); i++) {
        if (X509_check_private_key(sk_X509_value(certificates, i), key) != 1)
            continue;
        config_errors_add_at(
            report->errors, CONFIG_ERROR, profile->section, "certificate",
            "certificate \"%s\" has our own certificate at place %d; put it first and its issuers behind it",
            profile->certificate.items[0], i + 1);
        return;
    }
    config_errors_add_at(report->errors, CONFIG_ERROR, profile->section, "certificate",
                         "certificate \"%s\" does not match key \"%s\"; give the key that the certificate was made for",
                         profile->certificate.items[0], profile->key.items[0]);
}

static void load_key(SSL_CTX *ssl, const struct report *report, STACK_OF(X509) * certificates)
{
    EVP_PKEY *key = read_key(report);
    if (!key)
        return;
    check_key_mode(report);
    if (certificates && X509_check_private_key(sk_X509_value(certificates, 0), key) != 1)
        report_mismatch(report, certificates, key);
    else if (certificates && SSL_CTX_use_PrivateKey(ssl, key) != 1)
        config_errors_add_at(report->errors, CONFIG_ERROR, report->profile->section, "key",
                             "key \"%s\" cannot be used: %s; use RSA of at least 2048 bits or ECDSA P-256",
                             report->profile->key.items[0], ERR_reason_error_string(ERR_peek_last_error()));
    EVP_PKEY_free(key);
}

static bool is_complete(const struct report *report)
{
    const struct config_profile *profile = report->profile;
    bool server = profile->role == CONFIG_SERVER;
    if (!profile->certificate.count && (server || profile->key.count))
        config_errors_add_at(report->errors, CONFIG_ERROR, profile->section, profile->key.count ? "key" : NULL,
                             "certificate is missing; name the PEM file with our certificate, ours first");
    if (!profile->key.count && (server || profile->certificate.count))
        config_errors_add_at(report->errors, CONFIG_ERROR, profile->section,
                             profile->certificate.count ? "certificate" : NULL,
                             "key is missing; name the PEM file with the certificate's private key");
    return profile->certificate.count && profile->key.count;
}

void credentials_load(SSL_CTX *ssl, OSSL_LIB_CTX *library, const struct config_profile *profile,
                      struct config_errors *errors)
{
    (void)library;
    struct report report = { errors, profile };
    if (!is_complete(&report))
        return;

    STACK_OF(X509) *certificates =
        pem_read_certificates(errors, profile->section, "certificate", profile->certificate.items[0]);
    for (int i = 0; certificates && i < sk_X509_num(certificates); i++)
        check_validity(&report, sk_X509_value(certificates, i), i);
    bool usable = certificates && use_certificates(ssl, &report, certificates);
    load_key(ssl, &report, usable ? certificates : NULL);
    pem_free_certificates(certificates);
}
