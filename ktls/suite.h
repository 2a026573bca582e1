/*
 * The suites the kernel can carry: one table, no code per cipher.
 *
 * A row joins what OpenSSL calls an AEAD with what Linux needs to install it: the cipher type and the size of its
 * struct tls12_crypto_info_* (linux/tls.h), the key, salt, iv and tag sizes, and the first kernel that accepts it for
 * each version of the protocol. The hash of the key schedule belongs to the TLS suite, not to the AEAD, and is asked of
 * OpenSSL.
 */
#ifndef SLUICE_KTLS_SUITE_H
#define SLUICE_KTLS_SUITE_H

#include <stddef.h>
#include <stdint.h>

#define KTLS_KEY_MAX 32
#define KTLS_NONCE_MAX 12
#define KTLS_INFO_MAX 64 /* at least every struct tls12_crypto_info_*; asserted at build time */

struct ktls_suite {
    const char *name;        /* "AES-128-GCM" */
    int nid;                 /* OpenSSL's NID of the AEAD, as SSL_CIPHER_get_cipher_nid() returns it */
    uint16_t kernel_type;    /* TLS_CIPHER_* of linux/tls.h */
    uint8_t key_size;
    uint8_t salt_size;       /* the part of the nonce that never travels; 0 for ChaCha20-Poly1305 */
    uint8_t iv_size;         /* salt_size + iv_size is the 12 byte nonce in TLS 1.3 */
    uint8_t tag_size;
    uint8_t explicit_nonce;  /* bytes of nonce at the front of each TLS 1.2 record: 8 for GCM and CCM, 0 for ChaCha */
    size_t info_size;        /* sizeof the kernel's struct: the length setsockopt wants */
    uint64_t record_limit;   /* records one key may protect (RFC 8446 5.5, RFC 9147 4.5.3); UINT64_MAX: no limit that matters */
    const char *since_12, *since_13; /* the first kernel with it: "4.17", "5.1" */
};

extern const struct ktls_suite ktls_suites[];
extern const size_t ktls_suite_count;

/* The row for an AEAD, or NULL where the kernel has none. */
const struct ktls_suite *ktls_suite_by_nid(int nid);

/* The keys of one direction, ready to be installed. Wipe with ktls_keys_wipe() as soon as that has happened. */
struct ktls_keys {
    uint8_t key[KTLS_KEY_MAX];
    uint8_t nonce[KTLS_NONCE_MAX]; /* TLS 1.3: the whole static iv; TLS 1.2: salt first, then for TX the explicit nonce
                                      that the next record will carry (ignored for RX) */
    uint64_t sequence;             /* of the next record in this direction */
};

void ktls_keys_wipe(struct ktls_keys *keys);

/*
 * Fills the kernel's struct for a suite. `version` is 0x0303 or 0x0304. `info` has KTLS_INFO_MAX bytes; returns the
 * length to pass to setsockopt(SOL_TLS, TLS_TX | TLS_RX). The caller wipes `info`.
 */
size_t ktls_suite_info(const struct ktls_suite *suite, uint16_t version, const struct ktls_keys *keys, void *info);

#endif
