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
#include "ktls/credentials_internal.h"
#include "ktls/fips_internal.h"
#include "ktls/peer_internal.h"

/* ---- files and directories ---- */

struct reading {
    const struct load *load;
    trust_take *take;
    void *argument;
    STACK_OF(X509) * seen; /* the same one may be in several files: rehashed directories link to theirs */
};

static bool is_new(struct reading *reading, X509 *certificate)
{
    for (int i = 0; i < sk_X509_num(reading->seen); i++)
        if (X509_cmp(sk_X509_value(reading->seen, i), certificate) == 0)
            return false;
    if (X509_up_ref(certificate) && !sk_X509_push(reading->seen, certificate))
        X509_free(certificate);
    return true;
}

/* How many certificates the file has. */
static size_t read_file(struct reading *reading, const char *file)
{
    STACK_OF(X509) *certificates = load_certificates(reading->load, "trust", file);
    int count = certificates ? sk_X509_num(certificates) : 0;
    for (int i = 0; i < count; i++) {
        X509 *certificate = sk_X509_value(certificates, i);
        const char *wrong = is_new(reading, certificate) ? reading->take(reading->argument, certificate, file) : NULL;
        if (wrong)
            load_problem(reading->load, CONFIG_ERROR, "trust",
                         "trust \"%s\": certificate %d cannot be used: %s; take it out", file, i + 1, wrong);
    }
    load_free_certificates(certificates);
    return (size_t)count;
}

/* As `openssl rehash` names its links: eight hexadecimal digits and a number. */
static bool is_hashed_name(const char *name)
{
    return strspn(name, "0123456789abcdef") == 8 && name[8] == '.' && name[9] &&
           !name[9 + strspn(name + 9, "0123456789")];
}

static bool has_certificate_name(const char *name)
{
    static const char *const endings[] = { ".pem", ".crt", ".cer", ".der" };
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && name[0] != '.' && i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(dot, endings[i]) == 0)
            return true;
    return is_hashed_name(name);
}

static void read_directory(struct reading *reading, const char *path)
{
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort);
    if (count < 0) {
        load_problem_open(reading->load, "trust", path, errno);
        return;
    }
    size_t found = 0, errors_before = reading->load->errors->error_count;
    for (int i = 0; i < count; i++) {
        char *file;
        if (has_certificate_name(entries[i]->d_name) && asprintf(&file, "%s/%s", path, entries[i]->d_name) >= 0) {
            found += read_file(reading, file);
            free(file);
        }
        free(entries[i]);
    }
    free(entries);
    if (!found && reading->load->errors->error_count == errors_before)
        load_problem(reading->load, CONFIG_ERROR, "trust",
                     "trust \"%s\" is a directory without a certificate; put files that end in .pem, .crt, .cer or "
                     ".der there",
                     path);
}

bool trust_read(const struct load *load, const struct config_profile *profile, trust_take *take, void *argument)
{
    struct reading reading = { load, take, argument, sk_X509_new_null() };
    bool system = false;
    for (size_t i = 0; i < profile->trust.count; i++) {
        const char *item = profile->trust.items[i];
        struct stat status;
        if (strcmp(item, "system") == 0)
            system = true;
        else if (stat(item, &status) != 0)
            load_problem_open(load, "trust", item, errno);
        else if (S_ISDIR(status.st_mode))
            read_directory(&reading, item);
        else
            read_file(&reading, item);
    }
    load_free_certificates(reading.seen);
    return system;
}

/* ---- the system's store ---- */

/* An environment variable may move it, as for every program that uses OpenSSL. */
static const char *system_place(const char *variable, const char *fallback)
{
    const char *value = secure_getenv(variable);
    return value ? value : fallback;
}

static const char *system_file(void)
{
    return system_place(X509_get_default_cert_file_env(), X509_get_default_cert_file());
}

static const char *system_directory(void)
{
    return system_place(X509_get_default_cert_dir_env(), X509_get_default_cert_dir());
}

static bool system_present(void)
{
    return access(system_file(), R_OK) == 0 || access(system_directory(), R_OK | X_OK) == 0;
}

X509_STORE *trust_system_store(OSSL_LIB_CTX *library, const char *query)
{
    X509_STORE *store = system_present() ? X509_STORE_new() : NULL;
    if (store && X509_STORE_set_default_paths_ex(store, library, query) != 1) {
        X509_STORE_free(store);
        store = NULL;
    }
    ERR_clear_error();
    return store;
}

/* ---- a context's ---- */

struct trust {
    SSL_CTX *ssl;
    const struct load *load;
    enum config_role role;
};

static void warn_expired(const struct load *load, const X509 *certificate, const char *file)
{
    char *subject = tls_peer_name(X509_get_subject_name(certificate));
    load_problem(load, CONFIG_WARNING, "trust",
                 "trust \"%s\" has a certificate that has expired, \"%s\": what it issued is refused; put its "
                 "successor there",
                 file, subject ? subject : "?");
    free(subject);
}

static const char *add(void *argument, X509 *certificate, const char *file)
{
    const struct trust *trust = argument;
    if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0)
        warn_expired(trust->load, certificate, file);
    /*
     * What OpenSSL works out about a certificate at its first use is worked out now, not by several handshakes at once.
     */
    X509_check_purpose(certificate, -1, 0);
    bool listed = trust->role == CONFIG_CLIENT || SSL_CTX_add_client_CA(trust->ssl, certificate);
    if (listed && X509_STORE_add_cert(SSL_CTX_get_cert_store(trust->ssl), certificate))
        return NULL;
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    return reason ? reason : "OpenSSL does not say why";
}

void trust_load(SSL_CTX *ssl, OSSL_LIB_CTX *library, const struct config_profile *profile, struct config_errors *errors)
{
    const struct load load = { errors, profile->section, library, fips_query(library) };
    struct trust trust = { ssl, &load, profile->role };
    if (!profile->trust.count && profile->verify != CONFIG_VERIFY_NONE)
        load_problem(&load, CONFIG_ERROR, "trust",
                     "trust is empty, so that no peer could ever be verified; name the CA's certificates, or write "
                     "trust = system");
    bool system = trust_read(&load, profile, add, &trust);
    if (system && !(system_present() && SSL_CTX_set_default_verify_paths(ssl)))
        load_problem(&load, CONFIG_ERROR, "trust",
                     "trust \"system\": this system has no certificates at \"%s\" or \"%s\"; install the package "
                     "ca-certificates",
                     system_file(), system_directory());
    /* An intermediate that the operator named is trusted by itself, whether or not its root is known. */
    X509_STORE_set_flags(SSL_CTX_get_cert_store(ssl), X509_V_FLAG_PARTIAL_CHAIN);
}
