// rooms: support ktls
/*
 * fips = yes. The provider is one of our own, called "fips": what OpenSSL's default provider computes, less what FIPS
 * does not allow. So it shows that everything is done in the provider's library and nothing beside it, on machines that
 * have no validated module. Where there is one, the last test uses it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/provider.h>

#include "ktls/channel_internal.h"
#include "ktls/fips_internal.h"
#include "tests/support/soft_ktls.h"
#include "tests/support/tls_pair.h"

#define OPERATIONS 32
#define ALGORITHMS 256

static struct pki *pki;
static char on[320], off[320]; /* files as /proc/sys/crypto/fips_enabled */
static OSSL_LIB_CTX *library_behind;
static OSSL_PROVIDER *behind, *ours; /* the default provider, in a library of its own; and what we make of it there */

/* ---- the provider ---- */

static bool is_allowed(const char *names)
{
    static const char *const never[] = { "ChaCha20", "Poly1305", "MD5", "ED25519", "X25519", "RC4", "BLAKE2" };
    for (size_t i = 0; i < sizeof never / sizeof *never; i++)
        if (strcasestr(names, never[i]))
            return false;
    return true;
}

/* Formats are the base provider's, as with the real one. */
static const OSSL_ALGORITHM *query(void *context, int operation, int *no_cache)
{
    static OSSL_ALGORITHM lists[OPERATIONS][ALGORITHMS];
    const OSSL_ALGORITHM *all;
    size_t count = 0;
    (void)context;
    if (operation >= OPERATIONS || operation == OSSL_OP_ENCODER || operation == OSSL_OP_DECODER ||
        operation == OSSL_OP_STORE)
        return NULL;
    all = OSSL_PROVIDER_query_operation(behind, operation, no_cache);
    for (; all && all->algorithm_names && count + 1 < ALGORITHMS; all++) {
        if (!is_allowed(all->algorithm_names))
            continue;
        lists[operation][count] = *all;
        lists[operation][count++].property_definition = "provider=fips,fips=yes";
    }
    lists[operation][count] = (OSSL_ALGORITHM){ 0 };
    return lists[operation];
}

static int capabilities(void *context, const char *capability, OSSL_CALLBACK *callback, void *argument)
{
    (void)context;
    return OSSL_PROVIDER_get_capabilities(behind, capability, callback, argument);
}

static int start(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out, void **context)
{
    static const OSSL_DISPATCH table[] = {
        { OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query },
        { OSSL_FUNC_PROVIDER_GET_CAPABILITIES, (void (*)(void))capabilities },
        { 0, NULL },
    };
    (void)handle;
    (void)in;
    *out = table;
    *context = OSSL_PROVIDER_get0_provider_ctx(behind);
    return 1;
}

static OSSL_LIB_CTX *library_with_provider(void)
{
    OSSL_LIB_CTX *library = OSSL_LIB_CTX_new();
    assert_true(library && OSSL_PROVIDER_add_builtin(library, "fips", start));
    return library;
}

static int set_up(void **state)
{
    (void)state;
    pki = pki_new();
    assert_int_equal(mkdir(pki_path(pki, "modules"), 0700), 0);
    pki_write(pki, "on", "1\n", 2);
    pki_write(pki, "off", "0\n", 2);
    snprintf(on, sizeof on, "%s", pki_path(pki, "on"));
    snprintf(off, sizeof off, "%s", pki_path(pki, "off"));
    library_behind = OSSL_LIB_CTX_new();
    behind = OSSL_PROVIDER_load(library_behind, "default");
    /* What an algorithm needs of others (a signature of a digest) it asks for in there, again with fips=yes. */
    bool ok = behind && OSSL_PROVIDER_add_builtin(library_behind, "fips", start);
    ours = ok ? OSSL_PROVIDER_load(library_behind, "fips") : NULL;
    return ours ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    OSSL_PROVIDER_unload(ours);
    OSSL_PROVIDER_unload(behind);
    OSSL_LIB_CTX_free(library_behind);
    pki_free(pki);
    return 0;
}

static int use_provider(void **state)
{
    (void)state;
    fips_seam.library_new = library_with_provider;
    fips_seam.kernel = off;
    return 0;
}

static struct config_profile *profile_new(enum config_role role, enum config_offload offload)
{
    struct config_profile *profile = tls_end_profile(pki, role, NULL, 0, offload);
    profile->fips = true;
    return profile;
}

/* The only error has both texts. */
static void expect(struct config_profile *profile, const char *what, const char *remedy)
{
    struct config_errors errors = { 0 };
    assert_null(tls_context_new(profile, "bulk", &errors));
    const char *text = "";
    for (size_t i = 0; i < errors.count; i++)
        if (errors.items[i].severity == CONFIG_ERROR)
            text = errors.items[i].text;
    if (errors.error_count != 1 || !strstr(text, what) || !strstr(text, remedy)) {
        config_errors_print(&errors, stderr);
        fail_msg("expected one error with \"%s\" and \"%s\"", what, remedy);
    }
    config_errors_clear(&errors);
    config_profile_free(profile);
}

/* ---- tests ---- */

static void says_what_to_do_where_there_is_no_provider(void **state)
{
    (void)state;
    fips_seam.library_new = OSSL_LIB_CTX_new;
    setenv("OPENSSL_MODULES", pki_path(pki, "modules"), 1);
    expect(profile_new(CONFIG_SERVER, CONFIG_OFFLOAD_AUTO), "fips = yes, but OpenSSL's FIPS provider cannot be loaded",
           "openssl fipsinstall");
    unsetenv("OPENSSL_MODULES");
}

static void reads_whether_the_kernel_is_in_fips_mode(void **state)
{
    (void)state;
    fips_seam.kernel = on;
    assert_true(fips_kernel());
    fips_seam.kernel = off;
    assert_false(fips_kernel());
    fips_seam.kernel = pki_path(pki, "absent");
    assert_false(fips_kernel());
}

static void refuses_a_required_offload_that_the_kernel_may_not_do(void **state)
{
    use_provider(state);
    expect(profile_new(CONFIG_SERVER, CONFIG_OFFLOAD_REQUIRED), "offload = required contradicts fips = yes",
           "set offload = auto");
}

static void names_suites_and_groups_that_fips_does_not_allow(void **state)
{
    use_provider(state);
    struct config_profile *profile = profile_new(CONFIG_SERVER, CONFIG_OFFLOAD_AUTO);
    config_list_add(&profile->ciphers, "TLS_AES_128_GCM_SHA256");
    config_list_add(&profile->ciphers, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256");
    config_list_add(&profile->ciphers, "TLS_CHACHA20_POLY1305_SHA256");
    expect(profile, "TLS_CHACHA20_POLY1305_SHA256 is not allowed by FIPS", "use TLS_AES_128_GCM_SHA256");
    profile = profile_new(CONFIG_SERVER, CONFIG_OFFLOAD_AUTO);
    config_list_add(&profile->groups, "X25519");
    expect(profile, "\"X25519\" is not a group that this OpenSSL", "FIPS provider) has; use of these: ");
}

static void says_that_a_certificate_has_a_key_of_another_world(void **state)
{
    use_provider(state);
    pki_make(pki, &(struct pki_leaf){ .name = "ed", .key = PKI_ED25519, .starts = -60, .ends = 90 * 86400L });
    struct config_profile *profile = profile_new(CONFIG_SERVER, CONFIG_OFFLOAD_AUTO);
    config_list_clear(&profile->certificate);
    config_list_clear(&profile->key);
    config_list_add(&profile->certificate, pki_path(pki, "ed.pem"));
    config_list_add(&profile->key, pki_path(pki, "ed.key"));
    struct config_errors errors = { 0 };
    assert_null(tls_context_new(profile, "bulk", &errors));
    bool told = false;
    for (size_t i = 0; i < errors.count; i++)
        told = told || strstr(errors.items[i].text, "a kind that OpenSSL's FIPS provider cannot use");
    assert_true(told);
    config_errors_clear(&errors);
    config_profile_free(profile);
}

static struct tls_pair shake(const struct tls_end *server, const struct tls_end *client, const struct ktls_sys *sys)
{
    struct tls_pair pair = tls_pair_new(server, client, sys, NULL);
    int server_result, client_result;
    tls_pair_shake(&pair, &server_result, &client_result);
    if (server_result || client_result)
        fail_msg("server: %d %s, client: %d %s", server_result, channel_reason(pair.server), client_result,
                 channel_reason(pair.client));
    return pair;
}

static void keeps_the_kernel_out_unless_it_is_in_fips_mode(void **state)
{
    use_provider(state);
    for (int kernel = 0; kernel < 2; kernel++) {
        fips_seam.kernel = kernel ? on : off;
        struct soft_ktls soft;
        soft_ktls_init(&soft);
        struct tls_end server = tls_end_from(profile_new(CONFIG_SERVER, CONFIG_OFFLOAD_AUTO));
        struct tls_end client = tls_end_from(profile_new(CONFIG_CLIENT, CONFIG_OFFLOAD_AUTO));
        struct tls_pair pair = shake(&server, &client, &soft.sys);
        const struct channel_facts *facts = channel_facts(pair.server);
        assert_string_equal(facts->version, "TLSv1.3");
        assert_true(strstr(facts->suite, "_AES_") && strcmp(facts->group, "x25519") != 0);
        assert_int_equal(channel_switch(pair.server, CHANNEL_TX, 1 << 20), kernel ? 0 : 1);
        assert_string_equal(channel_why(pair.server, CHANNEL_TX),
                            kernel ? "kernel" : "user: fips = yes, and this kernel is not in FIPS mode");
        /* Nor is there a short cut, and so nobody who would need the secrets. */
        assert_null(pair.server->way[CHANNEL_TX].aead);
        assert_int_equal(SSL_CTX_get_keylog_callback(tls_context_ssl(server.context)) != NULL, kernel);
        assert_int_equal(tls_carry(pair.server, pair.client, 100000), 0);
        tls_pair_free(&pair);
        tls_end_free(&server);
        tls_end_free(&client);
        soft_ktls_clear(&soft);
    }
}

/* What an administrator does, in the test's own folder; false: OpenSSL has no fips.so here. */
static bool install_real(void)
{
    static const char text[] =
        "openssl_conf = start\n.include %s\n[start]\nproviders = list\n[list]\nfips = fips_sect\n";
    char module[320], said[320], command[1024], settings[640];
    snprintf(module, sizeof module, "%s/fips.so", OPENSSL_info(OPENSSL_INFO_MODULES_DIR));
    if (access(module, R_OK) != 0)
        return false;
    snprintf(said, sizeof said, "%s", pki_path(pki, "fipsmodule.cnf"));
    snprintf(command, sizeof command, "openssl fipsinstall -quiet -out '%s' -module '%s'", said, module);
    assert_int_equal(system(command), 0);
    int length = snprintf(settings, sizeof settings, text, said);
    pki_write(pki, "openssl.cnf", settings, (size_t)length);
    setenv("OPENSSL_CONF", pki_path(pki, "openssl.cnf"), 1);
    return true;
}

static void works_with_the_real_provider_where_there_is_one(void **state)
{
    (void)state;
    if (!install_real())
        skip();
    fips_seam.library_new = OSSL_LIB_CTX_new;
    fips_seam.kernel = off;
    for (unsigned version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct config_profile *profile = profile_new(CONFIG_SERVER, CONFIG_OFFLOAD_AUTO);
        profile->min_version = profile->max_version = version;
        struct tls_end server = tls_end_from(profile);
        struct tls_end client = tls_end_from(profile_new(CONFIG_CLIENT, CONFIG_OFFLOAD_AUTO));
        struct tls_pair pair = shake(&server, &client, NULL);
        assert_int_equal(tls_carry(pair.client, pair.server, 100000), 0);
        tls_pair_free(&pair);
        tls_end_free(&server);
        tls_end_free(&client);
    }
    unsetenv("OPENSSL_CONF");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_to_do_where_there_is_no_provider),
        cmocka_unit_test(reads_whether_the_kernel_is_in_fips_mode),
        cmocka_unit_test(refuses_a_required_offload_that_the_kernel_may_not_do),
        cmocka_unit_test(names_suites_and_groups_that_fips_does_not_allow),
        cmocka_unit_test(says_that_a_certificate_has_a_key_of_another_world),
        cmocka_unit_test(keeps_the_kernel_out_unless_it_is_in_fips_mode),
        cmocka_unit_test(works_with_the_real_provider_where_there_is_one),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
