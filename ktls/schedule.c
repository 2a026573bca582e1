#include "ktls/schedule.h"

#include <errno.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>

#define RANDOM_SIZE 32

/* OpenSSL's parameters are not const, though a KDF only reads them. */
static OSSL_PARAM octets(const char *name, const void *bytes, size_t length)
{
    return OSSL_PARAM_construct_octet_string(name, (void *)(uintptr_t)bytes, length);
}

static OSSL_PARAM text(const char *name, const char *value)
{
    return OSSL_PARAM_construct_utf8_string(name, (char *)(uintptr_t)value, 0);
}

static int derive(OSSL_LIB_CTX *library, const char *kdf_name, const OSSL_PARAM *parameters, uint8_t *output,
                  size_t length)
{
    EVP_KDF *kdf = EVP_KDF_fetch(library, kdf_name, NULL);
    EVP_KDF_CTX *context = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    int done = context && EVP_KDF_derive(context, output, length, parameters) == 1;

    EVP_KDF_CTX_free(context);
    EVP_KDF_free(kdf);
    if (!done)
        OPENSSL_cleanse(output, length);
    return done ? 0 : -EIO;
}

/* HKDF-Expand-Label(secret, label, "", length) of RFC 8446, 7.1. */
static int expand_label(OSSL_LIB_CTX *library, const struct ktls_secret *secret, const char *label, uint8_t *output,
                        size_t length)
{
    const OSSL_PARAM parameters[] = {
        text(OSSL_KDF_PARAM_MODE, "EXPAND_ONLY"),
        text(OSSL_KDF_PARAM_DIGEST, secret->digest),
        octets(OSSL_KDF_PARAM_KEY, secret->bytes, secret->length),
        octets(OSSL_KDF_PARAM_PREFIX, "tls13 ", strlen("tls13 ")),
        octets(OSSL_KDF_PARAM_LABEL, label, strlen(label)),
        OSSL_PARAM_construct_end(),
    };
    return derive(library, "TLS13-KDF", parameters, output, length);
}

void ktls_secret_wipe(struct ktls_secret *secret)
{
    OPENSSL_cleanse(secret, sizeof(*secret));
}

void ktls_secret_set(struct ktls_secret *secret, const uint8_t *bytes, size_t length)
{
    ktls_secret_wipe(secret);
    if (length != 32 && length != KTLS_SECRET_MAX)
        return;
    memcpy(secret->bytes, bytes, length);
    secret->length = length;
    secret->digest = length == KTLS_SECRET_MAX ? "SHA384" : "SHA256";
}

int ktls_schedule_keys13(OSSL_LIB_CTX *library, const struct ktls_suite *suite, const struct ktls_secret *secret,
                         struct ktls_keys *keys)
{
    memset(keys, 0, sizeof(*keys));
    if (secret->length == 0 || expand_label(library, secret, "key", keys->key, suite->key_size) ||
        expand_label(library, secret, "iv", keys->nonce, KTLS_NONCE_MAX)) {
        ktls_keys_wipe(keys);
        return -EIO;
    }
    return 0;
}

int ktls_schedule_update(OSSL_LIB_CTX *library, struct ktls_secret *secret)
{
    struct ktls_secret next = { .length = secret->length, .digest = secret->digest };
    int failed = secret->length == 0 || expand_label(library, secret, "traffic upd", next.bytes, next.length);

    ktls_secret_wipe(secret);
    if (!failed)
        *secret = next;
    ktls_secret_wipe(&next);
    return failed ? -EIO : 0;
}

int ktls_schedule_keys12(OSSL_LIB_CTX *library, const struct ktls_suite *suite, const char *digest,
                         const uint8_t *master, size_t master_length, const uint8_t *server_random,
                         const uint8_t *client_random, struct ktls_keys *client, struct ktls_keys *server)
{
    static const char label[] = "key expansion";
    const OSSL_PARAM parameters[] = {
        text(OSSL_KDF_PARAM_DIGEST, digest),
        octets(OSSL_KDF_PARAM_SECRET, master, master_length),
        octets(OSSL_KDF_PARAM_SEED, label, strlen(label)),
        octets(OSSL_KDF_PARAM_SEED, server_random, RANDOM_SIZE),
        octets(OSSL_KDF_PARAM_SEED, client_random, RANDOM_SIZE),
        OSSL_PARAM_construct_end(),
    };
    /* An AEAD has no MAC keys: client key, server key, client iv, server iv (RFC 5246, 6.3). */
    uint8_t block[2 * (KTLS_KEY_MAX + KTLS_NONCE_MAX)];
    size_t fixed_iv = (size_t)KTLS_NONCE_MAX - suite->explicit_nonce;
    const uint8_t *ivs = block + 2 * (size_t)suite->key_size;

    memset(client, 0, sizeof(*client));
    memset(server, 0, sizeof(*server));
    if (derive(library, "TLS1-PRF", parameters, block, 2 * (suite->key_size + fixed_iv)))
        return -EIO;
    memcpy(client->key, block, suite->key_size);
    memcpy(server->key, block + suite->key_size, suite->key_size);
    memcpy(client->nonce, ivs, fixed_iv);
    memcpy(server->nonce, ivs + fixed_iv, fixed_iv);
    OPENSSL_cleanse(block, sizeof(block));
    return 0;
}
