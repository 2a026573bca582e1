#include "tests/support/pki.h"

#include <ftw.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct pki {
    char folder[32];
    EVP_PKEY *key;
    X509 *certificate;
    long serial;
};

#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "pki.c:%d: %s\n", __LINE__, #condition);                                                   \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

const char *pki_folder(const struct pki *pki)
{
    return pki->folder;
}

const char *pki_path(const struct pki *pki, const char *name)
{
    static char paths[16][320];
    static unsigned next;
    char *path = paths[next++ % 16];

    snprintf(path, sizeof paths[0], "%s/%s", pki->folder, name);
    return path;
}

void pki_write(struct pki *pki, const char *name, const void *bytes, size_t length)
{
    FILE *out = fopen(pki_path(pki, name), "wb");

    MUST(out && fwrite(bytes, 1, length, out) == length && fclose(out) == 0);
}

static void extend(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;

    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    MUST(extension && X509_add_ext(certificate, extension, -1));
    X509_EXTENSION_free(extension);
}

static X509 *begin(struct pki *pki, const char *name, EVP_PKEY *key, long starts, long ends)
{
    X509 *certificate = X509_new();

    MUST(certificate && X509_set_version(certificate, 2));
    MUST(ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++pki->serial));
    MUST(X509_gmtime_adj(X509_getm_notBefore(certificate), starts));
    MUST(X509_gmtime_adj(X509_getm_notAfter(certificate), ends));
    MUST(X509_set_pubkey(certificate, key));
    X509_NAME *subject = X509_get_subject_name(certificate);
    MUST(X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_ASC, (const unsigned char *)"Sluice tests", -1, -1, 0));
    MUST(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0));
    return certificate;
}

static void save_certificate(const char *path, X509 *certificate)
{
    FILE *out = fopen(path, "w");

    MUST(out && PEM_write_X509(out, certificate) && fclose(out) == 0);
}

struct pki *pki_new(void)
{
    struct pki *pki = calloc(1, sizeof *pki);

    MUST(pki);
    snprintf(pki->folder, sizeof pki->folder, "/tmp/sluice-pki-XXXXXX");
    MUST(mkdtemp(pki->folder));
    pki->key = EVP_EC_gen("P-256");
    MUST(pki->key);
    pki->certificate = begin(pki, "Test CA", pki->key, -3600, 400L * 86400);
    MUST(X509_set_issuer_name(pki->certificate, X509_get_subject_name(pki->certificate)));
    extend(pki->certificate, pki->certificate, NID_basic_constraints, "critical,CA:TRUE");
    extend(pki->certificate, pki->certificate, NID_key_usage, "critical,keyCertSign,cRLSign");
    extend(pki->certificate, pki->certificate, NID_subject_key_identifier, "hash");
    MUST(X509_sign(pki->certificate, pki->key, EVP_sha256()));
    save_certificate(pki_path(pki, "ca.pem"), pki->certificate);
    return pki;
}

struct issuer {
    X509 *certificate;
    EVP_PKEY *key;
};

static EVP_PKEY *new_key(enum pki_key kind)
{
    EVP_PKEY *key = kind == PKI_ECDSA     ? EVP_EC_gen("P-256")
                    : kind == PKI_ED25519 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
                    : kind == PKI_RSA     ? EVP_RSA_gen(2048u)
                                          : EVP_RSA_gen(1024u);
    MUST(key);
    return key;
}

/* Ed25519 has its digest built in. */
static void sign(X509 *made, EVP_PKEY *key)
{
    MUST(X509_sign(made, key, EVP_PKEY_is_a(key, "ED25519") ? NULL : EVP_sha256()));
}

static void save(const struct pki *pki, const char *name, X509 *made, EVP_PKEY *key)
{
    char file[64];

    snprintf(file, sizeof file, "%s.pem", name);
    save_certificate(pki_path(pki, file), made);
    snprintf(file, sizeof file, "%s.key", name);
    FILE *out = fopen(pki_path(pki, file), "w");
    MUST(out && fchmod(fileno(out), 0600) == 0);
    MUST(PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL) && fclose(out) == 0);
}

static void make(struct pki *pki, const struct issuer *authority, const struct pki_leaf *leaf)
{
    char names[128] = "DNS:localhost,IP:127.0.0.1";
    EVP_PKEY *key = new_key(leaf->key);
    bool timed = leaf->starts || leaf->ends;

    X509 *made = begin(pki, leaf->name, key, timed ? leaf->starts : -3600, timed ? leaf->ends : 86400);
    X509 *issuer = leaf->self_signed ? made : authority->certificate;
    MUST(X509_set_issuer_name(made, X509_get_subject_name(issuer)));
    if (leaf->host)
        snprintf(names, sizeof names, "DNS:%s", leaf->host);
    extend(made, issuer, NID_subject_alt_name, names);
    extend(made, issuer, NID_key_usage, "critical,digitalSignature,keyEncipherment");
    extend(made, issuer, NID_ext_key_usage, "serverAuth,clientAuth");
    sign(made, leaf->self_signed ? key : authority->key);
    save(pki, leaf->name, made, key);
    X509_free(made);
    EVP_PKEY_free(key);
}

void pki_make(struct pki *pki, const struct pki_leaf *leaf)
{
    make(pki, &(struct issuer){ pki->certificate, pki->key }, leaf);
}

void pki_make_ca(struct pki *pki, const char *name, long ends)
{
    EVP_PKEY *key = new_key(PKI_ECDSA);
    X509 *made = begin(pki, name, key, -3600, ends);

    MUST(X509_set_issuer_name(made, X509_get_subject_name(pki->certificate)));
    extend(made, pki->certificate, NID_basic_constraints, "critical,CA:TRUE");
    extend(made, pki->certificate, NID_key_usage, "critical,keyCertSign,cRLSign");
    extend(made, pki->certificate, NID_subject_key_identifier, "hash");
    sign(made, pki->key);
    save(pki, name, made, key);
    X509_free(made);
    EVP_PKEY_free(key);
}

void pki_make_below(struct pki *pki, const char *issuer, const struct pki_leaf *leaf)
{
    char file[64];
    struct issuer authority;

    snprintf(file, sizeof file, "%s.pem", issuer);
    FILE *in = fopen(pki_path(pki, file), "r");
    MUST(in && (authority.certificate = PEM_read_X509(in, NULL, NULL, NULL)));
    fclose(in);
    snprintf(file, sizeof file, "%s.key", issuer);
    in = fopen(pki_path(pki, file), "r");
    MUST(in && (authority.key = PEM_read_PrivateKey(in, NULL, NULL, NULL)));
    fclose(in);
    make(pki, &authority, leaf);
    X509_free(authority.certificate);
    EVP_PKEY_free(authority.key);
}

static int remove_entry(const char *path, const struct stat *facts, int type, struct FTW *where)
{
    (void)facts;
    (void)type;
    (void)where;
    return remove(path);
}

void pki_free(struct pki *pki)
{
    nftw(pki->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    X509_free(pki->certificate);
    EVP_PKEY_free(pki->key);
    free(pki);
}
