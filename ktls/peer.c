#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "ktls/peer_internal.h"

#define DAY 86400

/* A block behind a peer's pointers. */
struct block {
    struct block *next;
    char bytes[];
};

struct owner {
    struct tls_peer peer; /* first: what the callers see */
    struct block *blocks;
    int error; /* of the first thing that failed */
};

static void *keep(struct owner *owner, const void *bytes, size_t length)
{
    struct block *block = calloc(1, sizeof(*block) + length + 1);
    if (!block) {
        owner->error = -ENOMEM;
        return NULL;
    }
    if (bytes)
        memcpy(block->bytes, bytes, length);
    block->next = owner->blocks;
    owner->blocks = block;
    return block->bytes;
}

static const char *keep_text(struct owner *owner, const char *text)
{
    return text ? keep(owner, text, strlen(text)) : NULL;
}

static bool spoilt(struct owner *owner)
{
    if (!owner->error)
        owner->error = -EBADMSG;
    return false;
}

/* RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
static bool is_utf8(const uint8_t *bytes, size_t length)
{
    static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
    for (size_t at = 0; at < length;) {
        uint8_t first = bytes[at++];
        unsigned more = first < 0x80 ? 0 : (first & 0xe0) == 0xc0 ? 1 : (first & 0xf0) == 0xe0 ? 2 : 3;
        if (more == 3 && (first & 0xf8) != 0xf0)
            return false;
        uint32_t code = more ? first & (0x3fu >> more) : first;
        if (length - at < more)
            return false;
        for (unsigned i = 0; i < more; i++, at++) {
            if ((bytes[at] & 0xc0) != 0x80)
                return false;
            code = code << 6 | (bytes[at] & 0x3fu);
        }
        if (code < least[more] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
            return false;
    }
    return true;
}

char *tls_peer_name(const X509_NAME *name)
{
    /* RFC 2253's form without its escapes of what is not ASCII. */
    static const unsigned long flags = XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB;
    BIO *memory = BIO_new(BIO_s_mem());
    char *text, *copy = NULL;

    if (memory && X509_NAME_print_ex(memory, name, 0, flags) >= 0) {
        long length = BIO_get_mem_data(memory, &text);
        copy = strndup(length > 0 ? text : "", (size_t)length);
    }
    BIO_free(memory);
    return copy;
}

static const char *keep_oid(struct owner *owner, const ASN1_OBJECT *object)
{
    int length = OBJ_obj2txt(NULL, 0, object, 1);
    char *text = length > 0 ? keep(owner, NULL, (size_t)length) : NULL;
    if (text)
        OBJ_obj2txt(text, length + 1, object, 1);
    return text;
}

static bool read_attribute(struct owner *owner, const X509_NAME_ENTRY *entry, struct config_attribute *out)
{
    const ASN1_OBJECT *type = X509_NAME_ENTRY_get_object(entry);
    unsigned char *value = NULL;
    int length = ASN1_STRING_to_UTF8(&value, X509_NAME_ENTRY_get_data(entry)), nid = OBJ_obj2nid(type);
    bool ok = length >= 0 && is_utf8(value, (size_t)length);

    if (ok) {
        *out = (struct config_attribute){ .value = keep(owner, value, (size_t)length), .length = (size_t)length };
        out->types[0] = nid != NID_undef ? keep_text(owner, OBJ_nid2sn(nid)) : NULL;
        out->types[1] = nid != NID_undef ? keep_text(owner, OBJ_nid2ln(nid)) : NULL;
        out->types[2] = keep_oid(owner, type);
    }
    OPENSSL_free(value);
    return ok && out->types[2] ? !owner->error : spoilt(owner);
}

static bool read_name(struct owner *owner, const X509_NAME *name, struct config_name *out)
{
    size_t count = (size_t)X509_NAME_entry_count(name);
    struct config_attribute *attributes = keep(owner, NULL, count * sizeof(*attributes));
    for (size_t i = 0; attributes && i < count; i++)
        if (!read_attribute(owner, X509_NAME_get_entry(name, (int)i), &attributes[i]))
            return false;
    char *text = tls_peer_name(name);
    *out = (struct config_name){ attributes, count, text ? keep_text(owner, text) : NULL };
    free(text);
    return attributes && out->text ? true : spoilt(owner);
}

static const char *keep_lower(struct owner *owner, const char *text)
{
    char *copy = text ? keep(owner, text, strlen(text)) : NULL;
    for (char *at = copy; at && *at; at++)
        *at = (char)tolower((unsigned char)*at);
    return copy;
}

static bool read_serial(struct owner *owner, const X509 *certificate)
{
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
    char *text = number ? BN_bn2hex(number) : NULL;
    owner->peer.serial = keep_lower(owner, text);
    OPENSSL_free(text);
    BN_free(number);
    return owner->peer.serial ? true : spoilt(owner);
}

static bool read_fingerprint(struct owner *owner, const X509 *certificate)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    if (!X509_digest(certificate, EVP_sha256(), digest, &length))
        return spoilt(owner);
    char *text = keep(owner, NULL, (size_t)2 * length);
    for (unsigned i = 0; text && i < length; i++)
        snprintf(text + (size_t)2 * i, 3, "%02x", digest[i]);
    owner->peer.fingerprint = text;
    return text != NULL;
}

static void describe_key(EVP_PKEY *key, char *text, size_t size)
{
    char group[64];
    if (EVP_PKEY_is_a(key, "EC") &&
        EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof(group), NULL)) {
        const char *nist = EC_curve_nid2nist(OBJ_txt2nid(group));
        snprintf(text, size, "ECDSA %s", nist ? nist : group);
    } else if (EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448")) {
        snprintf(text, size, EVP_PKEY_is_a(key, "ED448") ? "Ed448" : "Ed25519");
    } else {
        const char *type = EVP_PKEY_get0_type_name(key);
        snprintf(text, size, "%s %d", type ? type : "unknown", EVP_PKEY_get_bits(key));
    }
}

static bool read_key(struct owner *owner, const X509 *certificate)
{
    EVP_PKEY *key = X509_get0_pubkey(certificate);
    char text[128] = "unknown";
    if (key)
        describe_key(key, text, sizeof(text));
    ERR_clear_error(); /* a key nobody knows is no error here: no signature will verify with it */
    owner->peer.key = keep_text(owner, text);
    return owner->peer.key != NULL;
}

int tls_peer_time(const ASN1_TIME *time, time_t *seconds)
{
    struct tm tm;
    if (!time || !ASN1_TIME_to_tm(time, &tm))
        return -EBADMSG;
    *seconds = timegm(&tm);
    return 0;
}

/* One that can be compared as a string of ASCII, or NULL. */
static const char *keep_ia5(struct owner *owner, const ASN1_STRING *string)
{
    const unsigned char *bytes = ASN1_STRING_get0_data(string);
    int length = ASN1_STRING_length(string);
    for (int i = 0; i < length; i++)
        if (bytes[i] == 0 || bytes[i] > 0x7f)
            return NULL;
    return length > 0 ? keep(owner, bytes, (size_t)length) : NULL;
}

static const char *keep_address(struct owner *owner, const ASN1_STRING *string)
{
    char text[INET6_ADDRSTRLEN];
    int length = ASN1_STRING_length(string), family = length == 4 ? AF_INET : AF_INET6;
    if ((length != 4 && length != 16) || !inet_ntop(family, ASN1_STRING_get0_data(string), text, sizeof(text)))
        return NULL;
    return keep_text(owner, text);
}

/* Names of other kinds (SmartcardLogon's, directory names) are nothing that a rule could name. */
static struct tls_san read_san(struct owner *owner, const GENERAL_NAME *name)
{
    switch (name->type) {
    case GEN_DNS:
        return (struct tls_san){ "DNS", keep_ia5(owner, name->d.dNSName) };
    case GEN_EMAIL:
        return (struct tls_san){ "email", keep_ia5(owner, name->d.rfc822Name) };
    case GEN_URI:
        return (struct tls_san){ "URI", keep_ia5(owner, name->d.uniformResourceIdentifier) };
    case GEN_IPADD:
        return (struct tls_san){ "IP", keep_address(owner, name->d.iPAddress) };
    default:
        return (struct tls_san){ NULL, NULL };
    }
}

static bool read_sans(struct owner *owner, const X509 *certificate)
{
    int critical = 0;
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, &critical, NULL);
    if (!names)
        return critical == -1 ? true : spoilt(owner); /* -1: there is none; else it is there twice, or damaged */

    int count = sk_GENERAL_NAME_num(names);
    struct tls_san *sans = keep(owner, NULL, (size_t)count * sizeof(*sans));
    for (int i = 0; sans && i < count; i++) {
        struct tls_san san = read_san(owner, sk_GENERAL_NAME_value(names, i));
        if (san.value)
            sans[owner->peer.san_count++] = san;
    }
    owner->peer.sans = sans;
    GENERAL_NAMES_free(names);
    return !owner->error;
}

static bool read_all(struct owner *owner, X509 *certificate)
{
    struct tls_peer *peer = &owner->peer;
    if (!read_name(owner, X509_get_subject_name(certificate), &peer->subject_name) ||
        !read_name(owner, X509_get_issuer_name(certificate), &peer->issuer_name))
        return false;
    peer->subject = peer->subject_name.text;
    peer->issuer = peer->issuer_name.text;
    if (tls_peer_time(X509_get0_notBefore(certificate), &peer->not_before) ||
        tls_peer_time(X509_get0_notAfter(certificate), &peer->not_after))
        return spoilt(owner);
    return read_serial(owner, certificate) && read_fingerprint(owner, certificate) && read_key(owner, certificate) &&
           read_sans(owner, certificate);
}

struct tls_peer *tls_peer_new(X509 *certificate, int *error)
{
    struct owner *owner = calloc(1, sizeof(*owner));
    if (!owner) {
        *error = -ENOMEM;
        return NULL;
    }
    bool ok = read_all(owner, certificate);
    *error = owner->error;
    if (ok)
        return &owner->peer;
    ERR_clear_error();
    tls_peer_free(&owner->peer);
    return NULL;
}

void tls_peer_free(struct tls_peer *peer)
{
    struct owner *owner = (struct owner *)peer;
    while (owner && owner->blocks) {
        struct block *next = owner->blocks->next;
        free(owner->blocks);
        owner->blocks = next;
    }
    free(owner);
}

int tls_peer_days(const struct tls_peer *peer)
{
    time_t left = peer->not_after - time(NULL);
    return (int)(left >= 0 ? left / DAY : -((-left + DAY - 1) / DAY));
}
