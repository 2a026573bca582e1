// rooms: ktls
/*
 * The TLS 1.3 vectors are the two application traffic secrets of RFC 8448, section 3, with the keys and ivs printed
 * there. Where no RFC prints one (SHA-384, "traffic upd", the TLS 1.2 key block), the expected bytes come from
 * HKDF-Expand and the PRF written out with Python's hmac module from the formulas of RFC 8446, 7.1 and RFC 5246, 5.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/provider.h>

#include "ktls/schedule.h"

static size_t unhex(const char *hex, uint8_t *bytes)
{
    size_t length = 0;
    unsigned value;

    for (; sscanf(hex, "%2x", &value) == 1; hex += 2)
        bytes[length++] = (uint8_t)value;
    return length;
}

static void assert_hex(const uint8_t *bytes, const char *hex)
{
    uint8_t expected[64];
    size_t length = unhex(hex, expected);
    assert_memory_equal(bytes, expected, length);
}

static struct ktls_secret secret_of(const char *hex)
{
    struct ktls_secret secret = { 0 };
    secret.length = unhex(hex, secret.bytes);
    secret.digest = secret.length == 48 ? "SHA384" : "SHA256";
    return secret;
}

static const char server_secret[] = "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643";
static const char client_secret[] = "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5";
static const char long_secret[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
                                  "202122232425262728292a2b2c2d2e2f";

static void derives_the_keys_of_rfc_8448(void **state)
{
    (void)state;
    const struct ktls_suite *suite = ktls_suite_by_nid(NID_aes_128_gcm);
    struct ktls_secret server = secret_of(server_secret), client = secret_of(client_secret);
    struct ktls_keys keys = { .sequence = 7 };

    assert_int_equal(ktls_schedule_keys13(NULL, suite, &server, &keys), 0);
    assert_hex(keys.key, "9f02283b6c9c07efc26bb9f2ac92e356");
    assert_hex(keys.nonce, "cf782b88dd83549aadf1e984");
    assert_int_equal(keys.sequence, 0);
    assert_int_equal(ktls_schedule_keys13(NULL, suite, &client, &keys), 0);
    assert_hex(keys.key, "17422dda596ed5d9acd890e3c63f5051");
    assert_hex(keys.nonce, "5b78923dee08579033e523d9");
}

static void derives_keys_with_sha_384(void **state)
{
    (void)state;
    struct ktls_secret secret = secret_of(long_secret);
    struct ktls_keys keys;

    assert_int_equal(ktls_schedule_keys13(NULL, ktls_suite_by_nid(NID_aes_256_gcm), &secret, &keys), 0);
    assert_hex(keys.key, "6877d022f1c61d24ebb7487c16752d9a4798e40431c75b39320e537c90e23225");
    assert_hex(keys.nonce, "42822531a0fe88648fc09e9f");
}

static void derives_the_secret_after_a_key_update(void **state)
{
    (void)state;
    struct ktls_secret server = secret_of(server_secret), longer = secret_of(long_secret);

    assert_int_equal(ktls_schedule_update(NULL, &server), 0);
    assert_int_equal(server.length, 32);
    assert_string_equal(server.digest, "SHA256");
    assert_hex(server.bytes, "51921b8aa3001976eb401d0a4319a8516416a6c56001a357e5d162031e84f916");
    assert_int_equal(ktls_schedule_update(NULL, &longer), 0);
    assert_int_equal(longer.length, 48);
    assert_hex(longer.bytes, "401331b63e9d59f202e8f041042d9516f4cd7fa2e2ee14631d3b49fc340d7af3"
                             "7fc2c0c9f252d8036f81ec5b85cbe5db");
}

static void takes_both_directions_from_the_tls_12_key_block(void **state)
{
    (void)state;
    static const struct {
        int nid;
        const char *digest, *client_key, *server_key, *client_iv, *server_iv;
    } cases[] = {
        { NID_aes_128_gcm, "SHA256", "fb398a851d762db4043efa7ebd36a284", "4fd7af95661de2396ab788f9c1b6b81b", "9696f917",
          "f27fff58" },
        { NID_aes_256_gcm, "SHA384", "30b92e83eab1da953e838a004a347c921390f8077b211b5bbe8bc02bd7c1f6e5",
          "1fff35ed9d991bf675ef42c7de0ea88e2fd6f0637a4d50852b6a6c1c1d693dd9", "cd7d1a2a", "ed335354" },
        { NID_chacha20_poly1305, "SHA256", "fb398a851d762db4043efa7ebd36a2844fd7af95661de2396ab788f9c1b6b81b",
          "9696f917f27fff5860af06ec440e19414cbbd633e4b35cfb62ef25e5b5370d62", "6d08997ca739c3a1a9c09696",
          "5c825cd58846e60ce7c3d7da" },
    };
    uint8_t master[48], server_random[32], client_random[32];

    for (uint8_t i = 0; i < 48; i++)
        master[i] = i;
    for (uint8_t i = 0; i < 32; i++) {
        server_random[i] = (uint8_t)(100 + i);
        client_random[i] = (uint8_t)(200 + i);
    }
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ktls_keys client, server;
        assert_int_equal(ktls_schedule_keys12(NULL, ktls_suite_by_nid(cases[i].nid), cases[i].digest, master,
                                              sizeof(master), server_random, client_random, &client, &server),
                         0);
        assert_hex(client.key, cases[i].client_key);
        assert_hex(server.key, cases[i].server_key);
        assert_hex(client.nonce, cases[i].client_iv);
        assert_hex(server.nonce, cases[i].server_iv);
    }
}

static void leaves_the_explicit_nonce_to_the_caller(void **state)
{
    (void)state;
    static const uint8_t zero[8];
    static const uint8_t bytes[48] = { 1 };
    struct ktls_keys client, server;

    assert_int_equal(ktls_schedule_keys12(NULL, ktls_suite_by_nid(NID_aes_128_ccm), "SHA256", bytes, 48, bytes, bytes,
                                          &client, &server),
                     0);
    assert_memory_equal(client.nonce + 4, zero, 8);
    assert_memory_equal(server.nonce + 4, zero, 8);
}

static void an_unknown_secret_gives_no_keys(void **state)
{
    (void)state;
    static const struct ktls_keys zero;
    struct ktls_secret secret = { .digest = "SHA256" };
    struct ktls_keys keys = { .key = { 1 } };

    assert_int_equal(ktls_schedule_keys13(NULL, ktls_suite_by_nid(NID_aes_128_gcm), &secret, &keys), -EIO);
    assert_memory_equal(&keys, &zero, sizeof(keys));
    assert_int_equal(ktls_schedule_update(NULL, &secret), -EIO);
}

static void a_failed_derivation_leaves_no_secret_behind(void **state)
{
    (void)state;
    static const struct ktls_secret zero;
    static const struct ktls_keys no_keys;
    struct ktls_secret secret = secret_of(server_secret);
    struct ktls_keys keys, other;
    static const uint8_t bytes[48] = { 1 };

    secret.digest = "NO-SUCH-HASH";
    assert_int_equal(ktls_schedule_keys13(NULL, ktls_suite_by_nid(NID_aes_128_gcm), &secret, &keys), -EIO);
    assert_memory_equal(&keys, &no_keys, sizeof(keys));
    assert_int_equal(ktls_schedule_update(NULL, &secret), -EIO);
    assert_memory_equal(&secret, &zero, sizeof(secret));
    assert_int_equal(ktls_schedule_keys12(NULL, ktls_suite_by_nid(NID_aes_128_gcm), "NO-SUCH-HASH", bytes, 48, bytes,
                                          bytes, &keys, &other),
                     -EIO);
    assert_memory_equal(&keys, &no_keys, sizeof(keys));
}

/* A library without a provider that has the KDFs: nothing else may be asked in its stead. */
static void asks_the_library_of_the_session_and_no_other(void **state)
{
    (void)state;
    static const struct ktls_secret zero;
    static const struct ktls_keys no_keys;
    static const uint8_t bytes[48] = { 1 };
    OSSL_LIB_CTX *empty = OSSL_LIB_CTX_new();
    OSSL_PROVIDER *provider = empty ? OSSL_PROVIDER_load(empty, "null") : NULL;
    struct ktls_secret secret = secret_of(server_secret);
    struct ktls_keys keys, other;

    assert_non_null(provider);
    assert_int_equal(ktls_schedule_keys13(empty, ktls_suite_by_nid(NID_aes_128_gcm), &secret, &keys), -EIO);
    assert_memory_equal(&keys, &no_keys, sizeof(keys));
    assert_int_equal(ktls_schedule_keys12(empty, ktls_suite_by_nid(NID_aes_128_gcm), "SHA256", bytes, 48, bytes, bytes,
                                          &keys, &other),
                     -EIO);
    assert_memory_equal(&keys, &no_keys, sizeof(keys));
    assert_int_equal(ktls_schedule_update(empty, &secret), -EIO);
    assert_memory_equal(&secret, &zero, sizeof(secret));
    OSSL_PROVIDER_unload(provider);
    OSSL_LIB_CTX_free(empty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(derives_the_keys_of_rfc_8448),
        cmocka_unit_test(derives_keys_with_sha_384),
        cmocka_unit_test(derives_the_secret_after_a_key_update),
        cmocka_unit_test(takes_both_directions_from_the_tls_12_key_block),
        cmocka_unit_test(leaves_the_explicit_nonce_to_the_caller),
        cmocka_unit_test(an_unknown_secret_gives_no_keys),
        cmocka_unit_test(a_failed_derivation_leaves_no_secret_behind),
        cmocka_unit_test(asks_the_library_of_the_session_and_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
