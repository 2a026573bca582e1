/*
 * HKDF-Expand-Label (RFC 8446, 7.1) for a hash's worth of bytes at most, which is all that TLS asks for: one HMAC
 * (RFC 5869, 2.3; RFC 2104) on OpenSSL's digests.
 *
 * A handshake makes some twenty of them. OpenSSL looks its digest up by name for each, and makes an HMAC of three
 * contexts; here it is one context, and half of the instructions.
 */
#include <string.h>
#include <strings.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>

#include "ktls/secrets_internal.h"

#define LABEL_MOST 255 /* bytes, with "tls13 "; and as many of the context behind it */
#define BLOCK_MOST 128 /* SHA-384's */

struct digest {
    const char *names[2];
    size_t size, block;
    EVP_MD *function; /* as long as the process lives; NULL: OpenSSL has none here */
};

static struct digest digests[] = {
    { { "SHA2-256", "SHA256" }, 32, 64, NULL },
    { { "SHA2-384", "SHA384" }, 48, 128, NULL },
};
#define DIGESTS (sizeof(digests) / sizeof(*digests))

void expand_load(void)
{
    for (size_t i = 0; i < DIGESTS; i++)
        digests[i].function = EVP_MD_fetch(NULL, digests[i].names[0], NULL);
}

static const struct digest *find_digest(const OSSL_PARAM *name)
{
    if (!name || name->data_type != OSSL_PARAM_UTF8_STRING || !name->data)
        return NULL;
    for (size_t i = 0; i < 2 * DIGESTS; i++) {
        if (strcasecmp(name->data, digests[i / 2].names[i % 2]) == 0)
            return digests[i / 2].function ? &digests[i / 2] : NULL;
    }
    return NULL;
}

/* ---- what is asked for ---- */

enum { MODE, DIGEST, KEY, PREFIX, LABEL, DATA, PARTS };

/* All of it, each once, and nothing else: what is not known here may change the result. */
static bool read_parts(const OSSL_PARAM parameters[], const OSSL_PARAM *parts[PARTS])
{
    static const char *const names[PARTS] = { OSSL_KDF_PARAM_MODE,   OSSL_KDF_PARAM_DIGEST, OSSL_KDF_PARAM_KEY,
                                              OSSL_KDF_PARAM_PREFIX, OSSL_KDF_PARAM_LABEL,  OSSL_KDF_PARAM_DATA };
    size_t part;

    for (; parameters->key; parameters++) {
        for (part = 0; part < PARTS && strcmp(parameters->key, names[part]) != 0; part++)
            continue;
        if (part == PARTS || parts[part] || !parameters->data)
            return false;
        if (part >= KEY && parameters->data_type != OSSL_PARAM_OCTET_STRING)
            return false;
        parts[part] = parameters;
    }
    return parts[MODE] && parts[KEY] && parts[PREFIX] && parts[LABEL];
}

/* The HkdfLabel and the number of the block. Its length; 0: too long. */
static size_t make_info(const OSSL_PARAM *const parts[PARTS], size_t size, uint8_t info[2 * LABEL_MOST + 5])
{
    size_t prefix = parts[PREFIX]->data_size, label = parts[LABEL]->data_size;
    size_t data = parts[DATA] ? parts[DATA]->data_size : 0;
    uint8_t *end = info;

    if (prefix > LABEL_MOST || label > LABEL_MOST - prefix || data > LABEL_MOST)
        return 0;
    *end++ = 0;
    *end++ = (uint8_t)size;
    *end++ = (uint8_t)(prefix + label);
    end = (uint8_t *)memcpy(end, parts[PREFIX]->data, prefix) + prefix;
    end = (uint8_t *)memcpy(end, parts[LABEL]->data, label) + label;
    *end++ = (uint8_t)data;
    if (data > 0)
        end = (uint8_t *)memcpy(end, parts[DATA]->data, data) + data;
    *end++ = 1;
    return (size_t)(end - info);
}

/* ---- HMAC ---- */

static bool hash(EVP_MD_CTX *context, const struct digest *digest, const uint8_t *pad, const uint8_t *bytes,
                 size_t length, uint8_t *result)
{
    return EVP_DigestInit_ex(context, digest->function, NULL) == 1 &&
           EVP_DigestUpdate(context, pad, digest->block) == 1 && EVP_DigestUpdate(context, bytes, length) == 1 &&
           EVP_DigestFinal_ex(context, result, NULL) == 1;
}

/* `key` is as long as the digest, and so shorter than its block. */
static bool hmac(const struct digest *digest, const uint8_t *key, const uint8_t *bytes, size_t length, uint8_t *result)
{
    uint8_t inner[BLOCK_MOST], outer[BLOCK_MOST];
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    memset(inner, 0x36, digest->block);
    memset(outer, 0x5c, digest->block);
    for (size_t i = 0; i < digest->size; i++) {
        inner[i] ^= key[i];
        outer[i] ^= key[i];
    }
    bool ok = context && hash(context, digest, inner, bytes, length, result) &&
              hash(context, digest, outer, result, digest->size, result);
    OPENSSL_cleanse(inner, sizeof(inner));
    OPENSSL_cleanse(outer, sizeof(outer));
    EVP_MD_CTX_free(context); /* wiped */
    return ok;
}

bool expand_label(const OSSL_PARAM parameters[], uint8_t *output, size_t size)
{
    const OSSL_PARAM *parts[PARTS] = { NULL };
    uint8_t info[2 * LABEL_MOST + 5], result[EVP_MAX_MD_SIZE];
    int mode;

    if (!read_parts(parameters, parts) || !OSSL_PARAM_get_int(parts[MODE], &mode) ||
        mode != EVP_KDF_HKDF_MODE_EXPAND_ONLY)
        return false;
    const struct digest *digest = find_digest(parts[DIGEST]);
    if (!digest || parts[KEY]->data_size != digest->size || size == 0 || size > digest->size)
        return false;
    size_t length = make_info(parts, size, info);
    bool ok = length > 0 && hmac(digest, parts[KEY]->data, info, length, result);
    if (ok)
        memcpy(output, result, size);
    OPENSSL_cleanse(result, sizeof(result));
    return ok;
}
