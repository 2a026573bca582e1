#include "ktls/suite.h"

#include <assert.h>
#include <string.h>

#include <linux/tls.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

/*
 * Records one key may protect. AES-GCM: 2^24.5, which keeps an attacker's advantage below 2^-57 for full records
 * (RFC 8446, 5.5). AES-CCM: 2^23 (RFC 9147, 4.5.3). ChaCha20-Poly1305: the sequence number ends first.
 */
#define LIMIT_GCM UINT64_C(23726566)
#define LIMIT_CCM (UINT64_C(1) << 23)
#define LIMIT_NONE UINT64_MAX

#define SIZES(cipher, struct_name)                                                                                     \
    .kernel_type = cipher, .key_size = cipher##_KEY_SIZE, .salt_size = cipher##_SALT_SIZE,                             \
    .iv_size = cipher##_IV_SIZE, .tag_size = cipher##_TAG_SIZE, .info_size = sizeof(struct struct_name)

const struct ktls_suite ktls_suites[] = {
    { .name = "AES-128-GCM",
      .nid = NID_aes_128_gcm,
      SIZES(TLS_CIPHER_AES_GCM_128, tls12_crypto_info_aes_gcm_128),
      .explicit_nonce = 8,
      .record_limit = LIMIT_GCM,
      .since_12 = "4.17",
      .since_13 = "5.1" },
    { .name = "AES-256-GCM",
      .nid = NID_aes_256_gcm,
      SIZES(TLS_CIPHER_AES_GCM_256, tls12_crypto_info_aes_gcm_256),
      .explicit_nonce = 8,
      .record_limit = LIMIT_GCM,
      .since_12 = "5.1",
      .since_13 = "5.1" },
    { .name = "ChaCha20-Poly1305",
      .nid = NID_chacha20_poly1305,
      SIZES(TLS_CIPHER_CHACHA20_POLY1305, tls12_crypto_info_chacha20_poly1305),
      .explicit_nonce = 0,
      .record_limit = LIMIT_NONE,
      .since_12 = "5.11",
      .since_13 = "5.11" },
    { .name = "AES-128-CCM",
      .nid = NID_aes_128_ccm,
      SIZES(TLS_CIPHER_AES_CCM_128, tls12_crypto_info_aes_ccm_128),
      .explicit_nonce = 8,
      .record_limit = LIMIT_CCM,
      .since_12 = "5.2",
      .since_13 = "5.2" },
};

const size_t ktls_suite_count = sizeof(ktls_suites) / sizeof(ktls_suites[0]);

/*
 * One function fills every struct because the kernel lays them all out alike: version and type, then iv, key, salt and
 * record sequence, without padding. A struct that breaks the pattern must not compile.
 */
#define ASSERT_LAYOUT(name)                                                                                            \
    static_assert(sizeof(struct name) <= KTLS_INFO_MAX, #name " needs a larger KTLS_INFO_MAX");                        \
    static_assert(offsetof(struct name, iv) == sizeof(struct tls_crypto_info), #name ": iv is not first");             \
    static_assert(offsetof(struct name, key) == offsetof(struct name, iv) + sizeof(((struct name *)0)->iv),            \
                  #name ": key does not follow iv");                                                                   \
    static_assert(offsetof(struct name, salt) == offsetof(struct name, key) + sizeof(((struct name *)0)->key),         \
                  #name ": salt does not follow key");                                                                 \
    static_assert(sizeof(struct name) == offsetof(struct name, rec_seq) + sizeof(uint64_t),                            \
                  #name ": does not end with the record sequence")

ASSERT_LAYOUT(tls12_crypto_info_aes_gcm_128);
ASSERT_LAYOUT(tls12_crypto_info_aes_gcm_256);
ASSERT_LAYOUT(tls12_crypto_info_aes_ccm_128);
ASSERT_LAYOUT(tls12_crypto_info_chacha20_poly1305);

const struct ktls_suite *ktls_suite_by_nid(int nid)
{
    for (size_t i = 0; i < ktls_suite_count; i++)
        if (ktls_suites[i].nid == nid)
            return &ktls_suites[i];
    return NULL;
}

void ktls_keys_wipe(struct ktls_keys *keys)
{
    OPENSSL_cleanse(keys, sizeof(*keys));
}

size_t ktls_suite_info(const struct ktls_suite *suite, uint16_t version, const struct ktls_keys *keys, void *info)
{
    struct tls_crypto_info head = { .version = version, .cipher_type = suite->kernel_type };
    uint8_t *at = memcpy(info, &head, sizeof(head));

    at += sizeof(head);
    memcpy(at, keys->nonce + suite->salt_size, suite->iv_size);
    at += suite->iv_size;
    memcpy(at, keys->key, suite->key_size);
    at += suite->key_size;
    memcpy(at, keys->nonce, suite->salt_size);
    at += suite->salt_size;
    for (int shift = 56; shift >= 0; shift -= 8)
        *at++ = (uint8_t)(keys->sequence >> shift);
    return suite->info_size;
}
