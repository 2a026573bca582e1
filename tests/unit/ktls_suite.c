// rooms: ktls
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include <linux/tls.h>
#include <openssl/evp.h>

#include "ktls/suite.h"

static struct ktls_keys numbered_keys(void)
{
    struct ktls_keys keys = { .sequence = 0x0102030405060708 };
    for (size_t i = 0; i < sizeof(keys.key); i++)
        keys.key[i] = (uint8_t)(0x40 + i);
    for (size_t i = 0; i < sizeof(keys.nonce); i++)
        keys.nonce[i] = (uint8_t)(0xa0 + i);
    return keys;
}

static void finds_each_suite_by_its_aead_and_no_other(void **state)
{
    (void)state;
    static const int nids[] = { NID_aes_128_gcm, NID_aes_256_gcm, NID_chacha20_poly1305, NID_aes_128_ccm };

    assert_int_equal(ktls_suite_count, 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(ktls_suite_by_nid(nids[i])->nid, nids[i]);
    assert_null(ktls_suite_by_nid(NID_aes_256_ccm));
    assert_null(ktls_suite_by_nid(NID_aes_128_cbc));
}

static void splits_the_gcm_nonce_into_salt_and_iv(void **state)
{
    (void)state;
    struct ktls_keys keys = numbered_keys();
    struct tls12_crypto_info_aes_gcm_256 info;
    uint8_t bytes[KTLS_INFO_MAX];
    static const uint8_t sequence[] = { 1, 2, 3, 4, 5, 6, 7, 8 };

    size_t length = ktls_suite_info(ktls_suite_by_nid(NID_aes_256_gcm), 0x0304, &keys, bytes);
    assert_int_equal(length, sizeof(info));
    memcpy(&info, bytes, sizeof(info));
    assert_int_equal(info.info.version, TLS_1_3_VERSION);
    assert_int_equal(info.info.cipher_type, TLS_CIPHER_AES_GCM_256);
    assert_memory_equal(info.salt, keys.nonce, 4);
    assert_memory_equal(info.iv, keys.nonce + 4, 8);
    assert_memory_equal(info.key, keys.key, 32);
    assert_memory_equal(info.rec_seq, sequence, 8);
}

static void gives_chacha_its_whole_nonce_as_iv(void **state)
{
    (void)state;
    struct ktls_keys keys = numbered_keys();
    struct tls12_crypto_info_chacha20_poly1305 info;
    uint8_t bytes[KTLS_INFO_MAX];

    assert_int_equal(ktls_suite_info(ktls_suite_by_nid(NID_chacha20_poly1305), 0x0303, &keys, bytes), sizeof(info));
    memcpy(&info, bytes, sizeof(info));
    assert_int_equal(info.info.version, TLS_1_2_VERSION);
    assert_int_equal(info.info.cipher_type, TLS_CIPHER_CHACHA20_POLY1305);
    assert_memory_equal(info.iv, keys.nonce, 12);
    assert_memory_equal(info.key, keys.key, 32);
    assert_int_equal(info.rec_seq[0], 1);
    assert_int_equal(info.rec_seq[7], 8);
}

static void tells_the_limit_of_each_key(void **state)
{
    (void)state;
    /* 2^24.5 of RFC 8446, 5.5, rounded down: its square is just below 2^49. */
    uint64_t gcm = ktls_suite_by_nid(NID_aes_128_gcm)->record_limit;
    assert_true(gcm * gcm <= UINT64_C(1) << 49);
    assert_true((gcm + 1) * (gcm + 1) > UINT64_C(1) << 49);
    assert_int_equal(ktls_suite_by_nid(NID_aes_128_ccm)->record_limit, 1 << 23);
    assert_true(ktls_suite_by_nid(NID_chacha20_poly1305)->record_limit == UINT64_MAX);
}

static void wipes_keys(void **state)
{
    (void)state;
    static const struct ktls_keys zero;
    struct ktls_keys keys = numbered_keys();
    ktls_keys_wipe(&keys);
    assert_memory_equal(&keys, &zero, sizeof(keys));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_each_suite_by_its_aead_and_no_other),
        cmocka_unit_test(splits_the_gcm_nonce_into_salt_and_iv),
        cmocka_unit_test(gives_chacha_its_whole_nonce_as_iv),
        cmocka_unit_test(tells_the_limit_of_each_key),
        cmocka_unit_test(wipes_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
