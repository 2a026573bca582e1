// rooms: support ktls
/*
 * The traffic secrets, taken where OpenSSL makes them, held against those of its key log; and what happens where
 * openssl.cnf keeps our provider out. The vectors of a single derivation are of RFC 8448, section 3.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>

#include "ktls/secrets_internal.h"
#include "tests/support/tls_scene.h"

#define SECRET 32

/* ---- held against the key log ---- */

static char logged[2][2 * KTLS_SECRET_MAX + 1]; /* of the last handshake: client's, server's */

static void take_line(const SSL *ssl, const char *line)
{
    char label[64];

    (void)ssl;
    assert_int_equal(sscanf(line, "%63s", label), 1);
    if (strcmp(label, "CLIENT_TRAFFIC_SECRET_0") == 0)
        assert_int_equal(sscanf(line, "%*s %*s %96s", logged[0]), 1);
    if (strcmp(label, "SERVER_TRAFFIC_SECRET_0") == 0)
        assert_int_equal(sscanf(line, "%*s %*s %96s", logged[1]), 1);
}

static void assert_logged(const struct ktls_secret *secret, const char *hex, size_t length)
{
    assert_int_equal(secret->length, length);
    assert_int_equal(strlen(hex), 2 * length);
    assert_string_equal(secret->digest, length == 48 ? "SHA384" : "SHA256");
    for (size_t i = 0; i < length; i++) {
        char digits[3];
        snprintf(digits, sizeof(digits), "%02x", secret->bytes[i]);
        assert_memory_equal(digits, hex + 2 * i, 2);
    }
}

static struct tls_pair shake(const struct tls_end *server, const struct tls_end *client)
{
    struct tls_pair pair = shaken_pair(server, client, NULL, NULL);

    assert_int_equal(tls_carry(pair.server, pair.client, 1000), 0);
    return pair;
}

static void expect_secrets(struct tls_pair *pair, size_t length)
{
    assert_logged(&pair->server->way[CHANNEL_RX].secret, logged[0], length);
    assert_logged(&pair->server->way[CHANNEL_TX].secret, logged[1], length);
    assert_logged(&pair->client->way[CHANNEL_TX].secret, logged[0], length);
    assert_logged(&pair->client->way[CHANNEL_RX].secret, logged[1], length);
}

static void both_ends_have_what_the_key_log_says(void **state)
{
    (void)state;
    for (size_t i = 0; suites[i].version == TLS_1_3; i++) {
        struct tls_end server = tls_end_new(pki, CONFIG_SERVER, suites[i].name, TLS1_3_VERSION, CONFIG_OFFLOAD_OFF);
        struct tls_end client = tls_end_new(pki, CONFIG_CLIENT, suites[i].name, TLS1_3_VERSION, CONFIG_OFFLOAD_OFF);
        SSL_CTX *at_server = tls_context_ssl(server.context), *at_client = tls_context_ssl(client.context);

        assert_true(tls_context_watches(server.context) && tls_context_watches(client.context));
        assert_null(SSL_CTX_get_keylog_callback(at_server));
        assert_null(SSL_CTX_get_keylog_callback(at_client));
        for (int resumed = 0; resumed < 2; resumed++) {
            SSL_CTX_set_keylog_callback(resumed ? at_client : at_server, take_line);
            struct tls_pair pair = shake(&server, &client);
            assert_int_equal(channel_facts(pair.server)->resumed, resumed);
            expect_secrets(&pair, i == 1 ? 48 : 32);
            tls_pair_free(&pair);
        }
        tls_end_free(&server);
        tls_end_free(&client);
    }
}

static void a_client_that_has_to_offer_another_group_makes_no_difference(void **state)
{
    (void)state;
    struct config_profile *narrow = tls_end_profile(pki, CONFIG_SERVER, NULL, TLS1_3_VERSION, CONFIG_OFFLOAD_OFF);
    config_list_clear(&narrow->groups);
    assert_int_equal(config_list_add(&narrow->groups, "P-384"), 0);
    struct tls_end server = tls_end_from(narrow);
    struct tls_end client = tls_end_new(pki, CONFIG_CLIENT, suites[0].name, TLS1_3_VERSION, CONFIG_OFFLOAD_OFF);
    SSL_CTX_set_keylog_callback(tls_context_ssl(client.context), take_line);
    struct tls_pair pair = shake(&server, &client);
    assert_string_equal(channel_facts(pair.client)->group, "secp384r1");
    expect_secrets(&pair, 32);
    tls_pair_free(&pair);
    tls_end_free(&server);
    tls_end_free(&client);
}

static void there_are_none_before_tls_1_3(void **state)
{
    (void)state;
    struct tls_end server = tls_end_new(pki, CONFIG_SERVER, NULL, TLS1_2_VERSION, CONFIG_OFFLOAD_OFF);
    struct tls_end client = tls_end_new(pki, CONFIG_CLIENT, NULL, TLS1_2_VERSION, CONFIG_OFFLOAD_OFF);
    struct tls_pair pair = shake(&server, &client);
    for (enum channel_way way = CHANNEL_TX; way <= CHANNEL_RX; way++) {
        assert_int_equal(pair.server->way[way].secret.length, 0);
        assert_int_equal(pair.client->way[way].secret.length, 0);
    }
    tls_pair_free(&pair);
    tls_end_free(&server);
    tls_end_free(&client);
}

/* As an openssl.cnf with default_properties says it. */
static void where_openssl_cnf_wants_another_provider_the_key_log_has_them(void **state)
{
    (void)state;
    assert_int_equal(EVP_set_default_properties(NULL, "provider=default"), 1);
    assert_null(secrets_query());
    struct tls_end server = tls_end_new(pki, CONFIG_SERVER, suites[0].name, TLS1_3_VERSION, CONFIG_OFFLOAD_OFF);
    struct tls_end client = tls_end_new(pki, CONFIG_CLIENT, suites[0].name, TLS1_3_VERSION, CONFIG_OFFLOAD_OFF);
    assert_false(tls_context_watches(server.context) || tls_context_watches(client.context));
    assert_ptr_equal(SSL_CTX_get_keylog_callback(tls_context_ssl(server.context)), channel_keylog);
    SSL_CTX_set_keylog_callback(tls_context_ssl(client.context), take_line);
    struct tls_pair pair = shake(&server, &client);
    assert_logged(&pair.server->way[CHANNEL_RX].secret, logged[0], 32);
    assert_logged(&pair.server->way[CHANNEL_TX].secret, logged[1], 32);
    assert_int_equal(pair.client->way[CHANNEL_TX].secret.length, 0); /* whose key log the test took */
    tls_pair_free(&pair);
    tls_end_free(&server);
    tls_end_free(&client);
    assert_int_equal(EVP_set_default_properties(NULL, ""), 1);
    assert_non_null(secrets_query());
}

/* ---- one derivation ---- */

static const uint8_t master[SECRET] = { 0x18, 0xdf, 0x06, 0x84, 0x3d, 0x13, 0xa0, 0x8b, 0xf2, 0xa4, 0x49,
                                        0x84, 0x4c, 0x5f, 0x8a, 0x47, 0x80, 0x01, 0xbc, 0x4d, 0x4c, 0x62,
                                        0x79, 0x84, 0xd5, 0xa4, 0x1d, 0xa8, 0xd0, 0x40, 0x29, 0x19 };
static const uint8_t transcript[SECRET] = { 0x96, 0x08, 0x10, 0x2a, 0x0f, 0x1c, 0xcc, 0x6d, 0xb6, 0x25, 0x0b,
                                            0x7b, 0x7e, 0x41, 0x7b, 0x1a, 0x00, 0x0e, 0xaa, 0xda, 0x3d, 0xaa,
                                            0xe4, 0x77, 0x7a, 0x76, 0x86, 0xc9, 0xff, 0x83, 0xdf, 0x13 };
static const uint8_t client_secret[SECRET] = { 0x9e, 0x40, 0x64, 0x6c, 0xe7, 0x9a, 0x7f, 0x9d, 0xc0, 0x5a, 0xf8,
                                               0x88, 0x9b, 0xce, 0x65, 0x52, 0x87, 0x5a, 0xfa, 0x0b, 0x06, 0xdf,
                                               0x00, 0x87, 0xf7, 0x92, 0xeb, 0xb7, 0xc1, 0x75, 0x04, 0xa5 };
static const uint8_t server_secret[SECRET] = { 0xa1, 0x1a, 0xf9, 0xf0, 0x55, 0x31, 0xf8, 0x56, 0xad, 0x47, 0x11,
                                               0x6b, 0x45, 0xa9, 0x50, 0x32, 0x82, 0x04, 0xb4, 0xf4, 0x4b, 0xfb,
                                               0x6b, 0x3a, 0x4b, 0x4f, 0x1f, 0x3f, 0xcb, 0x63, 0x16, 0x43 };

static OSSL_PARAM bytes_of(const char *name, const void *bytes, size_t length)
{
    return OSSL_PARAM_construct_octet_string(name, (void *)(uintptr_t)bytes, length);
}

static void set_common(EVP_KDF_CTX *context, int mode)
{
    const OSSL_PARAM common[] = {
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)(uintptr_t) "SHA256", 0),
        bytes_of(OSSL_KDF_PARAM_KEY, master, sizeof(master)),
        bytes_of(OSSL_KDF_PARAM_PREFIX, "tls13 ", 6),
        OSSL_PARAM_construct_end(),
    };
    assert_int_equal(EVP_KDF_CTX_set_params(context, common), 1);
}

static EVP_KDF_CTX *new_context(void)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "TLS13-KDF", secrets_query());
    assert_non_null(kdf);
    assert_string_equal(OSSL_PROVIDER_get0_name(EVP_KDF_get0_provider(kdf)), "sluice");
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);
    EVP_KDF_free(kdf);
    set_common(context, EVP_KDF_HKDF_MODE_EXPAND_ONLY);
    return context;
}

static int derive_with(EVP_KDF_CTX *context, const char *label, uint8_t output[SECRET])
{
    const OSSL_PARAM parameters[] = { bytes_of(OSSL_KDF_PARAM_LABEL, label, strlen(label)),
                                      bytes_of(OSSL_KDF_PARAM_DATA, transcript, sizeof(transcript)),
                                      OSSL_PARAM_construct_end() };
    return EVP_KDF_derive(context, output, SECRET, parameters);
}

static void derive(const char *label, uint8_t output[SECRET])
{
    EVP_KDF_CTX *context = new_context();
    assert_int_equal(derive_with(context, label, output), 1);
    EVP_KDF_CTX_free(context);
}

static void derives_as_rfc_8448_does_and_keeps_only_what_is_expected(void **state)
{
    (void)state;
    struct ktls_secret client = { 0 }, server = { 0 };
    uint8_t output[SECRET];

    derive("c ap traffic", output);
    assert_memory_equal(output, client_secret, SECRET);
    secrets_expect(&client, &server);
    derive("c hs traffic", output);
    derive("exp master", output);
    assert_int_equal(client.length + server.length, 0);
    derive("c ap traffic", output);
    assert_int_equal(client.length, SECRET);
    assert_memory_equal(client.bytes, client_secret, SECRET);
    assert_int_equal(server.length, 0);
    derive("s ap traffic", output);
    assert_memory_equal(output, server_secret, SECRET);
    assert_memory_equal(server.bytes, server_secret, SECRET);
    secrets_expect(NULL, NULL);
    ktls_secret_wipe(&client);
    derive("c ap traffic", output);
    assert_int_equal(client.length, 0);
}

static void *derive_elsewhere(void *output)
{
    derive("c ap traffic", output);
    return NULL;
}

static void another_thread_is_none_of_its_business(void **state)
{
    (void)state;
    struct ktls_secret client = { 0 }, server = { 0 };
    uint8_t output[SECRET];
    pthread_t thread;

    secrets_expect(&client, &server);
    assert_int_equal(pthread_create(&thread, NULL, derive_elsewhere, output), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    secrets_expect(NULL, NULL);
    assert_memory_equal(output, client_secret, SECRET);
    assert_int_equal(client.length, 0);
}

static void what_fails_or_is_no_secret_is_not_kept(void **state)
{
    (void)state;
    struct ktls_secret client = { .length = SECRET }, server = { 0 };
    uint8_t output[SECRET];
    EVP_KDF_CTX *context = new_context();

    secrets_expect(&client, &server);
    EVP_KDF_CTX_reset(context);
    assert_true(derive_with(context, "s ap traffic", output) <= 0); /* nothing else was said */
    assert_int_equal(server.length, 0);
    set_common(context, EVP_KDF_HKDF_MODE_EXPAND_ONLY);
    const OSSL_PARAM parameters[] = { bytes_of(OSSL_KDF_PARAM_LABEL, "c ap traffic", 12), OSSL_PARAM_construct_end() };
    assert_int_equal(EVP_KDF_derive(context, output, 16, parameters), 1); /* as long as no hash is */
    assert_int_equal(client.length, 0);
    secrets_expect(NULL, NULL);
    EVP_KDF_CTX_free(context);
}

/* ---- held against OpenSSL's own ---- */

struct asked {
    int mode;
    const char *mode_name; /* instead of the number */
    const char *digest;
    size_t key, prefix, label, data, size; /* bytes; a label of 0: none is given */
    const char *more;                      /* one more parameter */
};

static int ask(const char *query, const struct asked *asked, uint8_t output[512])
{
    static uint8_t bytes[600];
    OSSL_PARAM parameters[9], *next = parameters;
    int mode = asked->mode;

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    if (asked->mode_name)
        *next++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_MODE, (char *)(uintptr_t)asked->mode_name, 0);
    else
        *next++ = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode);
    if (asked->digest)
        *next++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)(uintptr_t)asked->digest, 0);
    if (asked->key > 0)
        *next++ = bytes_of(OSSL_KDF_PARAM_KEY, bytes + 10, asked->key);
    *next++ = bytes_of(OSSL_KDF_PARAM_PREFIX, bytes + 60, asked->prefix);
    if (asked->label > 0)
        *next++ = bytes_of(OSSL_KDF_PARAM_LABEL, bytes + 70, asked->label);
    if (asked->data > 0)
        *next++ = bytes_of(OSSL_KDF_PARAM_DATA, bytes + 200, asked->data);
    if (asked->more)
        *next++ = bytes_of(asked->more, bytes + 300, 32);
    *next = OSSL_PARAM_construct_end();

    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "TLS13-KDF", query);
    EVP_KDF_CTX *context = EVP_KDF_CTX_new(kdf);
    memset(output, 0, 512);
    int done = EVP_KDF_derive(context, output, asked->size, parameters) == 1;
    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
    return done;
}

static void compare(const struct asked *asked, int wanted)
{
    uint8_t ours[512], theirs[512];

    assert_int_equal(ask("provider=default", asked, theirs), wanted);
    assert_int_equal(ask(secrets_query(), asked, ours), wanted);
    if (wanted)
        assert_memory_equal(ours, theirs, sizeof(ours));
}

static void every_length_gives_what_openssl_gives(void **state)
{
    (void)state;
    static const char *const names[] = { "SHA256", "SHA2-256", "sha-256", "SHA384", "SHA2-384" };

    for (size_t name = 0; name < sizeof(names) / sizeof(names[0]); name++) {
        struct asked asked = { .mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY, .digest = names[name], .prefix = 6 };
        size_t hash = strstr(names[name], "384") ? 48 : 32;
        asked.key = hash;
        for (asked.size = 1; asked.size <= hash; asked.size++) {
            asked.label = asked.size % 20 + 1;
            asked.data = asked.size % 3 * hash / 2;
            compare(&asked, 1);
        }
        asked.size = hash;
        for (asked.label = 1; asked.label <= 249; asked.label += 31)
            compare(&asked, 1);
    }
}

static void other_demands_are_answered_by_openssl(void **state)
{
    (void)state;
    enum { EXPAND = EVP_KDF_HKDF_MODE_EXPAND_ONLY, EXTRACT = EVP_KDF_HKDF_MODE_EXTRACT_ONLY };
    static const struct {
        struct asked asked;
        int wanted;
    } cases[] = {
        { { EXTRACT, NULL, "SHA256", 32, 6, 7, 0, 32, NULL }, 1 },
        { { EXTRACT, NULL, "SHA256", 32, 6, 7, 0, 32, OSSL_KDF_PARAM_SALT }, 1 },
        { { EXTRACT, NULL, "SHA256", 0, 6, 7, 0, 32, OSSL_KDF_PARAM_SALT }, 1 },
        { { EXPAND, "EXPAND_ONLY", "SHA256", 32, 6, 7, 32, 32, NULL }, 1 },
        { { EXPAND, NULL, "SHA512", 32, 6, 7, 32, 32, NULL }, 1 },
        { { EXPAND, NULL, "SHA256", 16, 6, 7, 32, 32, NULL }, 1 },
        { { EXPAND, NULL, "SHA256", 80, 6, 7, 32, 32, NULL }, 1 },
        { { EXPAND, NULL, "SHA256", 32, 6, 7, 32, 33, NULL }, 1 },
        { { EXPAND, NULL, "SHA256", 32, 6, 7, 32, 32, OSSL_KDF_PARAM_SALT }, 1 },
        { { EXPAND, NULL, "SHA256", 0, 6, 7, 32, 32, NULL }, 0 },
        { { EXPAND, NULL, "SHA256", 32, 6, 250, 0, 32, NULL }, 0 },
        { { EXPAND, NULL, "none of this name", 32, 6, 7, 32, 32, NULL }, 0 },
        { { EXPAND, NULL, NULL, 32, 6, 7, 32, 32, NULL }, 0 },
        { { 7, NULL, "SHA256", 32, 6, 7, 32, 32, NULL }, 0 },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        compare(&cases[i].asked, cases[i].wanted);
}

static void expands_by_itself_what_a_handshake_asks_for(void **state)
{
    (void)state;
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    uint8_t output[SECRET];
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)(uintptr_t) "SHA256", 0),
        bytes_of(OSSL_KDF_PARAM_KEY, master, sizeof(master)),
        bytes_of(OSSL_KDF_PARAM_PREFIX, "tls13 ", 6),
        bytes_of(OSSL_KDF_PARAM_LABEL, "s ap traffic", 12),
        bytes_of(OSSL_KDF_PARAM_DATA, transcript, sizeof(transcript)),
        OSSL_PARAM_construct_end(),
    };
    assert_true(expand_label(parameters, output, SECRET));
    assert_memory_equal(output, server_secret, SECRET);
    parameters[0] = bytes_of(OSSL_KDF_PARAM_KEY, master, sizeof(master)); /* twice */
    assert_false(expand_label(parameters, output, SECRET));
    parameters[0] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_LABEL, (char *)(uintptr_t) "x", 0);
    assert_false(expand_label(parameters, output, SECRET));
}

static void says_of_itself_what_the_other_does(void **state)
{
    (void)state;
    EVP_KDF *other = EVP_KDF_fetch(NULL, "TLS13-KDF", "provider=default");
    EVP_KDF *ours = EVP_KDF_fetch(NULL, "TLS13-KDF", secrets_query());
    EVP_KDF_CTX *of_other = EVP_KDF_CTX_new(other), *context = new_context(), *copy;

    set_common(of_other, EVP_KDF_HKDF_MODE_EXPAND_ONLY);
    assert_ptr_not_equal(other, ours);
    assert_ptr_equal(EVP_KDF_settable_ctx_params(ours), EVP_KDF_settable_ctx_params(other));
    assert_ptr_equal(EVP_KDF_gettable_ctx_params(ours), EVP_KDF_gettable_ctx_params(other));
    assert_int_equal(EVP_KDF_CTX_get_kdf_size(context), EVP_KDF_CTX_get_kdf_size(of_other));
    copy = EVP_KDF_CTX_dup(context);
    EVP_KDF_CTX *others_copy = EVP_KDF_CTX_dup(of_other);
    assert_int_equal(copy != NULL, others_copy != NULL); /* OpenSSL 3.0 copies none */
    if (copy) {
        uint8_t output[SECRET];
        assert_int_equal(derive_with(copy, "c ap traffic", output), 1);
        assert_memory_equal(output, client_secret, SECRET);
    }
    EVP_KDF_CTX_free(copy);
    EVP_KDF_CTX_free(others_copy);
    EVP_KDF_CTX_free(context);
    EVP_KDF_CTX_free(of_other);
    EVP_KDF_free(ours);
    EVP_KDF_free(other);
}

/* ---- where the default provider does not derive ---- */

static void *foreign_new(void *provider)
{
    (void)provider;
    return NULL;
}

static void foreign_free(void *context)
{
    (void)context;
}

static int foreign_derive(void *context, unsigned char *output, size_t size, const OSSL_PARAM parameters[])
{
    (void)context, (void)output, (void)size, (void)parameters;
    return 0;
}

static const OSSL_ALGORITHM *foreign_query(void *provider, int operation, int *no_cache)
{
    static const OSSL_DISPATCH kdf[] = {
        { OSSL_FUNC_KDF_NEWCTX, (void (*)(void))foreign_new },
        { OSSL_FUNC_KDF_FREECTX, (void (*)(void))foreign_free },
        { OSSL_FUNC_KDF_DERIVE, (void (*)(void))foreign_derive },
        { 0, NULL },
    };
    static const OSSL_ALGORITHM kdfs[] = { { "TLS13-KDF", "provider=foreign", kdf, "" }, { NULL, NULL, NULL, NULL } };

    (void)provider;
    *no_cache = 0;
    return operation == OSSL_OP_KDF ? kdfs : NULL;
}

static int foreign_start(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *core, const OSSL_DISPATCH **functions,
                         void **provider)
{
    static const OSSL_DISPATCH table[] = { { OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))foreign_query },
                                           { 0, NULL } };

    (void)handle, (void)core;
    *functions = table;
    *provider = &pki;
    return 1;
}

/* Providers are loaded once for a process, so this is one of its own. */
static int alone_with(const char *name)
{
    pid_t child = fork();
    int status = -1;

    if (child == 0) {
        bool loaded = OSSL_PROVIDER_add_builtin(NULL, "foreign", foreign_start) && OSSL_PROVIDER_load(NULL, name);
        _exit(loaded && !secrets_query() && !OSSL_PROVIDER_available(NULL, "sluice") ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void stays_away_where_openssl_cnf_has_chosen_another_provider(void **state)
{
    (void)state;
    assert_int_equal(alone_with("foreign"), 0);
    assert_int_equal(alone_with("null"), 0); /* which derives nothing at all */
}

/* Not for the whole group: the first test is to find OpenSSL untouched. */
static int with_pki(void **state)
{
    return pki ? 0 : group_setup(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stays_away_where_openssl_cnf_has_chosen_another_provider),
        cmocka_unit_test_setup(both_ends_have_what_the_key_log_says, with_pki),
        cmocka_unit_test_setup(a_client_that_has_to_offer_another_group_makes_no_difference, with_pki),
        cmocka_unit_test_setup(there_are_none_before_tls_1_3, with_pki),
        cmocka_unit_test_setup(where_openssl_cnf_wants_another_provider_the_key_log_has_them, with_pki),
        cmocka_unit_test(derives_as_rfc_8448_does_and_keeps_only_what_is_expected),
        cmocka_unit_test(another_thread_is_none_of_its_business),
        cmocka_unit_test(what_fails_or_is_no_secret_is_not_kept),
        cmocka_unit_test(every_length_gives_what_openssl_gives),
        cmocka_unit_test(other_demands_are_answered_by_openssl),
        cmocka_unit_test(expands_by_itself_what_a_handshake_asks_for),
        cmocka_unit_test(says_of_itself_what_the_other_does),
    };
    return cmocka_run_group_tests(tests, NULL, group_teardown);
}
