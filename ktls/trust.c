/* Whom we believe: the certificates a peer's chain may end in, and the CA list a server sends. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "ktls/context_internal.h"
#include "ktls/pem_internal.h"

struct trust {
    SSL_CTX *ssl;
    const struct config_profile *profile;
    struct config_errors *errors;
};

static bool add_one(struct trust *trust, X509 *certificate, const char *file)
{
    if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0) {
        char subject[256];
        X509_NAME_oneline(X509_get_subject_name(certificate), subject, sizeof subject);
        config_errors_add_at(trust->errors, CONFIG_WARNING, trust->profile->section, "trust",
                             "trust \"%s\" has a certificate that has expired, \"%s\": what it issued is refused; "
                             "put its successor there",
                             file, subject);
    }
    /* What OpenSSL works out about a certificate at its first use is worked out now, not by several handshakes at once.
     */
    X509_check_purpose(certificate, -1, 0);
    bool listed = trust->profile->role == CONFIG_CLIENT || SSL_CTX_add_client_CA(trust->ssl, certificate);
    return listed && X509_STORE_add_cert(SSL_CTX_get_cert_store(trust->ssl), certificate);
}

static size_t add_file(struct trust *trust, const char *file)
{
    const struct config_section *section = trust->profile->section;
    STACK_OF(X509) *certificates = pem_read_certificates(trust->errors, section, "trust", file);
    size_t added = 0;
    for (int i = 0; certificates && i < sk_X509_num(certificates); i++) {
        if (add_one(trust, sk_X509_value(certificates, i), file)) {
            added++;
            continue;
        }
        const char *reason = ERR_reason_error_string(ERR_peek_last_error());
        config_errors_add_at(trust->errors, CONFIG_ERROR, section, "trust",
                             "trust \"%s\": certificate %d cannot be used: %s; take it out", file, i + 1,
                             reason ? reason : "OpenSSL does not say why");
    }
    pem_free_certificates(certificates);
    return added;
}

static bool has_certificate_name(const char *name)
{
    static const char *const endings[] = { ".pem", ".crt", ".cer" };
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && name[0] != '.' && i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(dot, endings[i]) == 0)
            return true;
    return false;
}

static void add_directory(struct trust *trust, const char *path)
{
    const struct config_section *section = trust->profile->section;
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort);
    if (count < 0) {
        pem_report_open(trust->errors, section, "trust", path, errno);
        return;
    }
    size_t added = 0, errors_before = trust->errors->error_count;
    for (int i = 0; i < count; i++) {
        char *file;
        if (has_certificate_name(entries[i]->d_name) && asprintf(&file, "%s/%s", path, entries[i]->d_name) >= 0) {
            added += add_file(trust, file);
            free(file);
        }
        free(entries[i]);
    }
    free(entries);
    if (!added && trust->errors->error_count == errors_before)
        config_errors_add_at(
            trust->errors, CONFIG_ERROR, section, "trust",
            "trust \"%s\" is a directory without a certificate; put PEM files that end in .pem, .crt or "
            ".cer there",
            path);
}

/* An environment variable may move it, as for every program that uses OpenSSL. */
static const char *system_place(const char *variable, const char *fallback)
{
    const char *value = secure_getenv(variable);
    return value ? value : fallback;
}

static void add_system(struct trust *trust)
{
    const char *file = system_place(X509_get_default_cert_file_env(), X509_get_default_cert_file());
    const char *directory = system_place(X509_get_default_cert_dir_env(), X509_get_default_cert_dir());
    bool present = access(file, R_OK) == 0 || access(directory, R_OK | X_OK) == 0;
    if (!present || !SSL_CTX_set_default_verify_paths(trust->ssl))
        config_errors_add_at(
            trust->errors, CONFIG_ERROR, trust->profile->section, "trust",
            "trust \"system\": this system has no certificates at \"%s\" or \"%s\"; install the package "
            "ca-certificates",
            file, directory);
}

static void add_item(struct trust *trust, const char *item)
{
    struct stat status;
    if (strcmp(item, "system") == 0)
        add_system(trust);
    else if (stat(item, &status) != 0)
        pem_report_open(trust->errors, trust->profile->section, "trust", item, errno);
    else if (S_ISDIR(status.st_mode))
        add_directory(trust, item);
    else
        add_file(trust, item);
}

void trust_load(SSL_CTX *ssl, OSSL_LIB_CTX *library, const struct config_profile *profile, struct config_errors *errors)
{
    (void)library;
    struct trust trust = { ssl, profile, errors };
    if (!profile->trust.count && profile->verify != CONFIG_VERIFY_NONE)
        config_errors_add_at(errors, CONFIG_ERROR, profile->section, "trust",
                             "trust is empty, so that no peer could ever be verified; name the CA's certificates, or "
                             "write trust = system");
    for (size_t i = 0; i < profile->trust.count; i++)
        add_item(&trust, profile->trust.items[i]);
    /* An intermediate that the operator named is trusted by itself, whether or not its root is known. */
    X509_STORE_set_flags(SSL_CTX_get_cert_store(ssl), X509_V_FLAG_PARTIAL_CHAIN);
}
