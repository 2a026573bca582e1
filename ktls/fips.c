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

/* With what openssl.cnf says of the provider, as `openssl fipsinstall` asks one to include it there. */
static bool from_settings(struct fips *fips)
{
    char *file = CONF_get1_default_config_file();
    bool ok = file && (access(file, R_OK) != 0 || OSSL_LIB_CTX_load_config(fips->library, file));
    OPENSSL_free(file);
    return ok && activate(fips);
}

/* With what `openssl fipsinstall` wrote, where openssl.cnf does not include it. */
static bool from_module(struct fips *fips)
{
    char text[1024];
    int length = snprintf(text, sizeof text,
                          "openssl_conf = start\n.include %s/fipsmodule.cnf\n[start]\nproviders = list\n[list]\n"
                          "fips = fips_sect\n",
                          X509_get_default_cert_area());
    return length > 0 && (size_t)length < sizeof text && configure(fips->library, text) && activate(fips);
}

static bool try_with(struct fips *fips, bool (*start)(struct fips *fips))
{
    fips->library = fips_seam.library_new();
    if (fips->library && start(fips))
        return true;
    fips_close(fips);
    return false;
}

static void report_absent(const struct config_profile *profile, struct config_errors *errors)
{
    char reason[200] = "OpenSSL does not say why";
    if (ERR_peek_error())
        ERR_error_string_n(ERR_peek_error(), reason, sizeof reason);
    config_errors_add_at(errors, CONFIG_ERROR, profile->section, "fips",
                         "fips = yes, but OpenSSL's FIPS provider cannot be loaded (%s); install the package that has "
                         "fips.so (Debian 13: openssl-provider-fips), run `openssl fipsinstall -out "
                         "%s/fipsmodule.cnf -module PATH/fips.so`, or set fips = no",
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
    if (!try_with(&fips, from_settings) && !try_with(&fips, from_module))
        report_absent(profile, errors);
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
