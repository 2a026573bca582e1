/*
 * fips = yes: a library context of its own, in which OpenSSL's FIPS provider is the only one that computes ("base" only
 * reads and writes file formats; fips_module(7)).
 */
#include "ktls/fips_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/conf.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/x509.h>

struct fips_seam fips_seam = { .library_new = OSSL_LIB_CTX_new, .kernel = "/proc/sys/crypto/fips_enabled" };

const char *fips_query(const OSSL_LIB_CTX *library)
{
    return library ? "fips=yes" : NULL;
}

bool fips_kernel(void)
{
    FILE *file = fopen(fips_seam.kernel, "re");
    int first = file ? fgetc(file) : EOF;
    if (file)
        fclose(file);
    return first == '1';
}

/* Both providers, and nothing without fips=yes from now on, also where nobody says so. */
static bool activate(struct fips *fips)
{
    fips->fips = OSSL_PROVIDER_load(fips->library, "fips");
    fips->base = fips->fips ? OSSL_PROVIDER_load(fips->library, "base") : NULL;
    return fips->base && EVP_default_properties_enable_fips(fips->library, 1);
}

static bool configure(OSSL_LIB_CTX *library, const char *text)
{
    CONF *settings = NCONF_new_ex(library, NULL);
    BIO *memory = BIO_new_mem_buf(text, -1);
    long line = 0;
    bool ok =
        settings && memory && NCONF_load_bio(settings, memory, &line) > 0 && CONF_modules_load(settings, NULL, 0) > 0;
    BIO_free(memory);
    NCONF_free(settings);
    return ok;
}

/* It says of the provider what `openssl fipsinstall` asks one to include there. */
static bool names_provider(const char *file)
{
    CONF *settings = NCONF_new(NULL);
    const char *start = NULL, *providers = NULL, *fips = NULL;
    long line = 0;
    if (settings && NCONF_load(settings, file, &line) > 0)
        start = NCONF_get_string(settings, NULL, "openssl_conf");
    if (start)
        providers = NCONF_get_string(settings, start, "providers");
    if (providers)
        fips = NCONF_get_string(settings, providers, "fips");
    bool named = fips && NCONF_get_section(settings, fips);
    NCONF_free(settings);
    ERR_clear_error();
    return named;
}

/* What `openssl fipsinstall` wrote, where openssl.cnf does not include it. */
static bool configure_from_module(OSSL_LIB_CTX *library, const char *file)
{
    char text[1024];
    int length =
        snprintf(text, sizeof text,
                 "openssl_conf = start\n.include %s\n[start]\nproviders = list\n[list]\nfips = fips_sect\n", file);
    return length > 0 && (size_t)length < sizeof text && configure(library, text);
}

/*
 * With the settings that there are, looked for first: a validated module that is loaded without them fails its
 * self-test, and then it stays unusable as long as the process lives.
 */
static bool load(struct fips *fips)
{
    char *settings = CONF_get1_default_config_file(), module[512];
    snprintf(module, sizeof module, "%s/fipsmodule.cnf", X509_get_default_cert_area());
    bool ok = true;
    if (settings && names_provider(settings))
        ok = OSSL_LIB_CTX_load_config(fips->library, settings);
    else if (access(module, R_OK) == 0)
        ok = configure_from_module(fips->library, module);
    OPENSSL_free(settings);
    return ok && activate(fips);
}

static void report_absent(const struct config_profile *profile, struct config_errors *errors)
{
    char reason[200] = "OpenSSL does not say why";
    if (ERR_peek_error())
        ERR_error_string_n(ERR_peek_error(), reason, sizeof reason);
    config_errors_add_at(errors, CONFIG_ERROR, profile->section, "fips",
                         "fips = yes, but OpenSSL's FIPS provider cannot be loaded (%s); install the package that has "
                         "fips.so (Debian 13: openssl-provider-fips), run `openssl fipsinstall -out "
                         "%s/fipsmodule.cnf -module PATH/fips.so` and start Sluice again, or set fips = no",
                         reason, X509_get_default_cert_area());
}

struct fips fips_open(const struct config_profile *profile, struct config_errors *errors)
{
    struct fips fips = { 0 };
    if (!profile->fips)
        return fips;
    if (profile->offload == CONFIG_OFFLOAD_REQUIRED && !fips_kernel())
        config_errors_add_at(errors, CONFIG_ERROR, profile->section, "offload",
                             "offload = required contradicts fips = yes: this kernel is not in FIPS mode (%s is not "
                             "1); start it with fips=1, or set offload = auto",
                             fips_seam.kernel);
    fips.library = fips_seam.library_new();
    if (!fips.library || !load(&fips)) {
        report_absent(profile, errors);
        fips_close(&fips);
    }
    ERR_clear_error();
    return fips;
}

void fips_close(struct fips *fips)
{
    if (fips->base)
        OSSL_PROVIDER_unload(fips->base);
    if (fips->fips)
        OSSL_PROVIDER_unload(fips->fips);
    OSSL_LIB_CTX_free(fips->library);
    *fips = (struct fips){ 0 };
}
