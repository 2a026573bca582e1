#include "tests/support/forge.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#define CERTIFICATES 64

struct made {
    char name[32];
    X509 *certificate;
    EVP_PKEY *key;
    const struct made *issuer;
};

struct forge {
    char folder[32];
    struct made made[CERTIFICATES];
    size_t count;
    long serial;
};

#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "forge.c:%d: %s\n", __LINE__, #condition);                                                 \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

char *forge_path(const struct forge *forge, const char *file)
{
    static char paths[64][128];
    static unsigned next;
    char *path = paths[next++ % 64];

    snprintf(path, sizeof(paths[0]), "%s/%s", forge->folder, file);
    return path;
}

static FILE *open_file(const struct forge *forge, const char *name, const char *ending, const char *mode)
{
    char file[96];
    snprintf(file, sizeof(file), "%s%s", name, ending);
    FILE *out = fopen(forge_path(forge, file), mode);
    MUST(out);
    return out;
}

void forge_write(struct forge *forge, const char *file, const void *bytes, size_t length)
{
    FILE *out = open_file(forge, file, "", "wb");
    MUST(fwrite(bytes, 1, length, out) == length && fclose(out) == 0);
}

static const struct made *find(const struct forge *forge, const char *name)
{
    for (size_t i = 0; i < forge->count; i++)
        if (strcmp(forge->made[i].name, name) == 0)
            return &forge->made[i];
    fprintf(stderr, "forge.c: \"%s\" was not made\n", name);
    abort();
}

X509 *forge_get(const struct forge *forge, const char *name)
{
    return find(forge, name)->certificate;
}

static void extend(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    if (!value[0])
        return;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    MUST(extension && X509_add_ext(certificate, extension, -1));
    X509_EXTENSION_free(extension);
}

/* RDNs between slashes, their attributes joined by +. */
static void name_subject(X509_NAME *subject, const char *text)
{
    char copy[512], *save = NULL;
    snprintf(copy, sizeof(copy), "%s", text);
    for (char *rdn = strtok_r(copy, "/", &save); rdn; rdn = strtok_r(NULL, "/", &save)) {
        char *inner = NULL;
        int set = 0;
        for (char *term = strtok_r(rdn, "+", &inner); term; term = strtok_r(NULL, "+", &inner)) {
            char *value = strchr(term, '=');
            MUST(value);
            *value++ = '\0';
            MUST(X509_NAME_add_entry_by_txt(subject, term, MBSTRING_UTF8, (const unsigned char *)value, -1, -1, set));
            set = -1;
        }
    }
}

static X509 *begin(struct forge *forge, const struct forge_certificate *wanted, EVP_PKEY *key)
{
    X509 *certificate = X509_new();
    bool timed = wanted->starts || wanted->ends;
    char fallback[96];

    MUST(certificate && X509_set_version(certificate, 2) && X509_set_pubkey(certificate, key));
    MUST(ASN1_INTEGER_set(X509_get_serialNumber(certificate), 0x1a00 + ++forge->serial));
    MUST(X509_gmtime_adj(X509_getm_notBefore(certificate), timed ? wanted->starts : -3600));
    MUST(X509_gmtime_adj(X509_getm_notAfter(certificate), timed ? wanted->ends : 86400));
    snprintf(fallback, sizeof(fallback), "O=Sluice tests/CN=%s", wanted->name);
    if (wanted->raw_subject)
        MUST(X509_set_subject_name(certificate, wanted->raw_subject));
    else
        name_subject(X509_get_subject_name(certificate), wanted->subject ? wanted->subject : fallback);
    return certificate;
}

static void extend_all(X509 *certificate, X509 *issuer, const struct forge_certificate *wanted)
{
    const char *usage = wanted->ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature";

    if (wanted->ca)
        extend(certificate, issuer, NID_basic_constraints, "critical,CA:TRUE");
    if (wanted->lists)
        extend(certificate, issuer, NID_crl_distribution_points, wanted->lists);
    extend(certificate, issuer, NID_key_usage, wanted->usage ? wanted->usage : usage);
    extend(certificate, issuer, NID_subject_key_identifier, "hash");
    if (issuer != certificate)
        extend(certificate, issuer, NID_authority_key_identifier, "keyid");
    extend(certificate, issuer, NID_ext_key_usage,
           wanted->extended ? wanted->extended
           : wanted->ca     ? ""
                            : "serverAuth,clientAuth");
    if (!wanted->ca)
        extend(certificate, issuer, NID_subject_alt_name, wanted->names ? wanted->names : "DNS:localhost,IP:127.0.0.1");
}

static void save(const struct forge *forge, const struct made *made)
{
    FILE *out = open_file(forge, made->name, ".pem", "w");
    MUST(PEM_write_X509(out, made->certificate) && fclose(out) == 0);
    out = open_file(forge, made->name, ".key", "w");
    MUST(fchmod(fileno(out), 0600) == 0);
    MUST(PEM_write_PrivateKey(out, made->key, NULL, NULL, 0, NULL, NULL) && fclose(out) == 0);
    out = open_file(forge, made->name, "-chain.pem", "w");
    MUST(PEM_write_X509(out, made->certificate));
    for (const struct made *up = made->issuer; up && up->issuer; up = up->issuer)
        MUST(PEM_write_X509(out, up->certificate));
    MUST(fclose(out) == 0);
}

void forge_make(struct forge *forge, const struct forge_certificate *wanted)
{
    MUST(forge->count < CERTIFICATES);
    const struct made *issuer = wanted->issuer ? find(forge, wanted->issuer) : NULL;
    struct made *made = &forge->made[forge->count++];

    snprintf(made->name, sizeof(made->name), "%s", wanted->name);
    made->issuer = issuer;
    made->key = wanted->rsa ? EVP_RSA_gen(wanted->rsa) : EVP_EC_gen("P-256");
    MUST(made->key);
    made->certificate = begin(forge, wanted, made->key);
    X509 *signer = issuer ? issuer->certificate : made->certificate;
    MUST(X509_set_issuer_name(made->certificate, X509_get_subject_name(signer)));
    extend_all(made->certificate, signer, wanted);
    MUST(X509_sign(made->certificate, issuer ? issuer->key : made->key, EVP_sha256()));
    save(forge, made);
}

struct forge *forge_new(void)
{
    struct forge *forge = calloc(1, sizeof(*forge));
    MUST(forge);
    snprintf(forge->folder, sizeof(forge->folder), "/tmp/sluice-forge-XXXXXX");
    MUST(mkdtemp(forge->folder));
    forge_make(forge, &(struct forge_certificate){ .name = "ca", .ca = true });
    return forge;
}

static int remove_entry(const char *path, const struct stat *facts, int type, struct FTW *where)
{
    (void)facts;
    (void)type;
    (void)where;
    return remove(path);
}

void forge_free(struct forge *forge)
{
    nftw(forge->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    for (size_t i = 0; i < forge->count; i++) {
        X509_free(forge->made[i].certificate);
        EVP_PKEY_free(forge->made[i].key);
    }
    free(forge);
}

/* ---- revocation lists ---- */

static void add_revoked(X509_CRL *list, const X509 *certificate)
{
    X509_REVOKED *entry = X509_REVOKED_new();
    ASN1_TIME *when = X509_gmtime_adj(NULL, -60);
    MUST(entry && when &&
         X509_REVOKED_set_serialNumber(entry, (ASN1_INTEGER *)(size_t)X509_get0_serialNumber(certificate)));
    MUST(X509_REVOKED_set_revocationDate(entry, when) && X509_CRL_add0_revoked(list, entry));
    ASN1_TIME_free(when);
}

static void add_list_extensions(X509_CRL *list, const struct forge_scope *wanted)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, NULL, NULL, NULL, list, 0);
    X509_EXTENSION *scope =
        wanted->point ? X509V3_EXT_conf_nid(NULL, &context, NID_issuing_distribution_point, wanted->point) : NULL;
    MUST(!wanted->point || (scope && X509_CRL_add_ext(list, scope, -1)));
    X509_EXTENSION_free(scope);
    ASN1_INTEGER *base = s2i_ASN1_INTEGER(NULL, "1");
    MUST(base && (!wanted->delta || X509_CRL_add1_ext_i2d(list, NID_delta_crl, base, 1, 0)));
    ASN1_INTEGER_free(base);
    X509_EXTENSION *foreign = wanted->foreign ? X509V3_EXT_conf(NULL, &context, "1.2.3.4", "critical,DER:0500") : NULL;
    MUST(!wanted->foreign || (foreign && X509_CRL_add_ext(list, foreign, -1)));
    X509_EXTENSION_free(foreign);
}

static void make_list(struct forge *forge, const char *file, bool der, const struct forge_list *wanted,
                      const struct forge_scope *scope)
{
    const struct made *issuer = find(forge, wanted->issuer);
    bool timed = wanted->starts || wanted->ends;
    X509_CRL *list = X509_CRL_new();
    ASN1_TIME *starts = X509_gmtime_adj(NULL, timed ? wanted->starts : -3600);
    ASN1_TIME *ends = timed && !wanted->ends ? NULL : X509_gmtime_adj(NULL, timed ? wanted->ends : 86400);

    MUST(list && X509_CRL_set_version(list, 1));
    MUST(X509_CRL_set_issuer_name(list, X509_get_subject_name(issuer->certificate)));
    MUST(X509_CRL_set1_lastUpdate(list, starts) && (!ends || X509_CRL_set1_nextUpdate(list, ends)));
    for (size_t i = 0; i < 4 && wanted->revoked[i]; i++)
        add_revoked(list, forge_get(forge, wanted->revoked[i]));
    const struct made *signer = wanted->signer ? find(forge, wanted->signer) : issuer;
    add_list_extensions(list, scope);
    MUST(X509_CRL_sort(list) && X509_CRL_sign(list, signer->key, scope->sha1 ? EVP_sha1() : EVP_sha256()));
    FILE *out = open_file(forge, file, "", der ? "wb" : "a");
    MUST((der ? i2d_X509_CRL_fp(out, list) : PEM_write_X509_CRL(out, list)) && fclose(out) == 0);
    ASN1_TIME_free(starts);
    ASN1_TIME_free(ends);
    X509_CRL_free(list);
}

void forge_revoke(struct forge *forge, const char *file, bool der, const struct forge_list *wanted)
{
    make_list(forge, file, der, wanted, &(struct forge_scope){ .point = NULL });
}

void forge_revoke_part(struct forge *forge, const char *file, const struct forge_list *wanted,
                       const struct forge_scope *scope)
{
    make_list(forge, file, false, wanted, scope);
}

/* ---- OCSP ---- */

void forge_respond(struct forge *forge, const char *file, const struct forge_response *wanted)
{
    const struct made *issuer = find(forge, wanted->issuer);
    const struct made *signer = wanted->signer ? find(forge, wanted->signer) : issuer;
    bool timed = wanted->starts || wanted->ends;
    OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
    OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), forge_get(forge, wanted->about), issuer->certificate);
    ASN1_TIME *starts = X509_gmtime_adj(NULL, timed ? wanted->starts : -3600), *revoked = X509_gmtime_adj(NULL, -60);
    ASN1_TIME *ends = timed && !wanted->ends ? NULL : X509_gmtime_adj(NULL, timed ? wanted->ends : 86400);
    ASN1_GENERALIZEDTIME *begin_at = ASN1_TIME_to_generalizedtime(starts, NULL);
    ASN1_GENERALIZEDTIME *end_at = ends ? ASN1_TIME_to_generalizedtime(ends, NULL) : NULL;

    MUST(basic && id);
    MUST(OCSP_basic_add1_status(basic, id, wanted->status, 0,
                                wanted->status == V_OCSP_CERTSTATUS_REVOKED ? revoked : NULL, begin_at, end_at));
    MUST(OCSP_basic_sign(basic, signer->certificate, signer->key, wanted->sha1 ? EVP_sha1() : EVP_sha256(), NULL,
                         wanted->without_signer ? OCSP_NOCERTS : 0));
    OCSP_RESPONSE *response = OCSP_response_create(wanted->error ? wanted->error : OCSP_RESPONSE_STATUS_SUCCESSFUL,
                                                   wanted->error ? NULL : basic);
    BIO *out = BIO_new_file(forge_path(forge, file), "wb");
    MUST(response && out && i2d_OCSP_RESPONSE_bio(out, response));
    BIO_free(out);
    OCSP_RESPONSE_free(response);
    OCSP_BASICRESP_free(basic);
    OCSP_CERTID_free(id);
    ASN1_TIME_free(starts);
    ASN1_TIME_free(revoked);
    ASN1_TIME_free(ends);
    ASN1_GENERALIZEDTIME_free(begin_at);
    ASN1_GENERALIZEDTIME_free(end_at);
}
