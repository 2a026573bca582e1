#include "ktls/aead.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#define DATA 23 /* what every record says it is, once it is encrypted */

struct aead {
    EVP_CIPHER_CTX *context; /* NULL: it rests */
    const EVP_CIPHER *cipher;
    bool seals;
    uint8_t key[KTLS_KEY_MAX], iv[KTLS_NONCE_MAX];
    uint64_t sequence;
};

static const struct {
    int nid;
    const EVP_CIPHER *(*cipher)(void);
} ciphers[] = {
    { NID_aes_128_gcm, EVP_aes_128_gcm },
    { NID_aes_256_gcm, EVP_aes_256_gcm },
    { NID_chacha20_poly1305, EVP_chacha20_poly1305 },
};

static const EVP_CIPHER *find_cipher(const struct ktls_suite *suite)
{
    for (size_t i = 0; i < sizeof(ciphers) / sizeof(*ciphers); i++) {
        if (ciphers[i].nid == suite->nid)
            return ciphers[i].cipher();
    }
    return NULL;
}

bool aead_knows(const struct ktls_suite *suite)
{
    return find_cipher(suite) != NULL;
}

/* False: no memory, or OpenSSL refused. Costs nothing where it is awake. */
static bool wake(struct aead *aead)
{
    if (aead->context)
        return true;
    aead->context = EVP_CIPHER_CTX_new();
    if (aead->context && EVP_CipherInit_ex2(aead->context, aead->cipher, aead->key, NULL, aead->seals, NULL) == 1)
        return true;
    aead_rest(aead);
    return false;
}

struct aead *aead_new(const struct ktls_suite *suite, const struct ktls_keys *keys, bool seals)
{
    const EVP_CIPHER *cipher = find_cipher(suite);
    struct aead *aead = cipher ? calloc(1, sizeof(*aead)) : NULL;
    if (!aead)
        return NULL;
    aead->cipher = cipher;
    aead->seals = seals;
    memcpy(aead->key, keys->key, sizeof(aead->key));
    memcpy(aead->iv, keys->nonce, sizeof(aead->iv));
    aead->sequence = keys->sequence;
    if (wake(aead))
        return aead;
    aead_free(aead);
    return NULL;
}

void aead_rest(struct aead *aead)
{
    EVP_CIPHER_CTX_free(aead->context); /* which wipes what it made of the key */
    aead->context = NULL;
}

void aead_free(struct aead *aead)
{
    if (!aead)
        return;
    aead_rest(aead);
    OPENSSL_cleanse(aead, sizeof(*aead));
    free(aead);
}

uint64_t aead_sequence(const struct aead *aead)
{
    return aead->sequence;
}

/* The static iv, its end combined with the sequence number (5.3); and the header is what is authenticated beside. */
static bool begin_record(struct aead *aead, const uint8_t *header)
{
    uint8_t nonce[KTLS_NONCE_MAX];
    int length;

    memcpy(nonce, aead->iv, sizeof(nonce));
    for (size_t i = 0; i < sizeof(aead->sequence); i++)
        nonce[sizeof(nonce) - 1 - i] ^= (uint8_t)(aead->sequence >> 8 * i);
    return EVP_CipherInit_ex2(aead->context, NULL, NULL, nonce, -1, NULL) == 1 &&
           EVP_CipherUpdate(aead->context, NULL, &length, header, TLS_RECORD_HEADER) == 1;
}

static bool pass(struct aead *aead, const uint8_t *in, size_t size, uint8_t *out)
{
    int length = 0;
    return size == 0 || (EVP_CipherUpdate(aead->context, out, &length, in, (int)size) == 1 && (size_t)length == size);
}

ssize_t aead_seal(struct aead *aead, uint8_t type, const void *bytes, size_t size, uint8_t *record)
{
    size_t body = size + 1 + AEAD_TAG;
    uint8_t *sealed = record + TLS_RECORD_HEADER, *tag = sealed + size + 1;
    int length = 0;

    if (size > TLS_RECORD_PLAINTEXT_MAX || aead->sequence == UINT64_MAX)
        return -EIO;
    if (!wake(aead))
        return -ENOMEM;
    memcpy(record, (uint8_t[]){ DATA, 3, 3, (uint8_t)(body >> 8), (uint8_t)body }, TLS_RECORD_HEADER);
    if (!begin_record(aead, record) || !pass(aead, bytes, size, sealed) || !pass(aead, &type, 1, sealed + size) ||
        EVP_CipherFinal_ex(aead->context, tag, &length) != 1 ||
        EVP_CIPHER_CTX_ctrl(aead->context, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG, tag) != 1)
        return -EIO;
    aead->sequence++;
    return (ssize_t)(TLS_RECORD_HEADER + body);
}

/* The content's type is the last byte that is not padding. Bytes of the content before it, or -EINVAL where none is. */
static ssize_t strip(const uint8_t *plain, size_t size, uint8_t *type)
{
    while (*type == 0 && size > 0)
        *type = plain[--size];
    return *type == 0 ? -EINVAL : (ssize_t)size;
}

ssize_t aead_open(struct aead *aead, const uint8_t *record, size_t length, uint8_t *plain, uint8_t *type)
{
    const uint8_t *sealed = record + TLS_RECORD_HEADER;
    uint8_t none[AEAD_TAG];
    int more = 0;

    *type = 0;
    if (length < AEAD_OVERHEAD || record[0] != DATA)
        return -EINVAL;
    size_t size = length - AEAD_OVERHEAD;
    if (size > TLS_RECORD_PLAINTEXT_MAX || aead->sequence == UINT64_MAX)
        return -EMSGSIZE;
    if (!wake(aead))
        return -ENOMEM;
    if (!begin_record(aead, record) || !pass(aead, sealed, size, plain) || !pass(aead, sealed + size, 1, type) ||
        EVP_CIPHER_CTX_ctrl(aead->context, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG, (void *)(uintptr_t)(sealed + size + 1)) !=
            1 ||
        EVP_CipherFinal_ex(aead->context, none, &more) != 1) {
        *type = 0;
        return -EBADMSG;
    }
    aead->sequence++;
    return strip(plain, size, type);
}
