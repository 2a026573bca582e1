/*
 * What a revocation list is about (RFC 5280, 5.2): one of a part of a CA's certificates says nothing about the others.
 * OpenSSL minds that in handshakes. Here it is minded where there is no chain, and said when lists are read.
 */
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "ktls/verify_internal.h"

/* ---- what it is signed with ---- */

static bool is_weak_digest(int nid)
{
    return nid == NID_sha1 || nid == NID_md5 || nid == NID_md4 || nid == NID_md2;
}

/* PSS names its digest in parameters; without them it is SHA-1 (RFC 8017, A.2.3). */
static bool is_weak_pss(int type, const void *parameters)
{
    RSA_PSS_PARAMS *pss = type == V_ASN1_SEQUENCE ? ASN1_item_unpack(parameters, ASN1_ITEM_rptr(RSA_PSS_PARAMS)) : NULL;
    const ASN1_OBJECT *digest = NULL;
    if (pss && pss->hashAlgorithm)
        X509_ALGOR_get0(&digest, NULL, NULL, pss->hashAlgorithm);
    bool weak = !digest || is_weak_digest(OBJ_obj2nid(digest));
    RSA_PSS_PARAMS_free(pss);
    ERR_clear_error();
    return weak;
}

bool signature_is_weak(const X509_ALGOR *algorithm)
{
    const ASN1_OBJECT *object = NULL;
    const void *parameters = NULL;
    int type = V_ASN1_UNDEF, digest = NID_undef, key = NID_undef;
    X509_ALGOR_get0(&object, &type, &parameters, algorithm);
    if (OBJ_obj2nid(object) == NID_rsassaPss)
        return is_weak_pss(type, parameters);
    OBJ_find_sigid_algs(OBJ_obj2nid(object), &digest, &key);
    return is_weak_digest(digest);
}

/* ---- what it is about ---- */

/* As OpenSSL: a critical extension that only others understand spoils the whole list. */
static bool is_foreign(X509_EXTENSION *extension)
{
    static const int known[] = { NID_issuing_distribution_point, NID_authority_key_identifier, NID_delta_crl,
                                 NID_certificate_issuer };
    int nid = OBJ_obj2nid(X509_EXTENSION_get_object(extension));
    if (!X509_EXTENSION_get_critical(extension))
        return false;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (known[i] == nid)
            return false;
    return true;
}

static bool has_foreign(X509_CRL *list)
{
    STACK_OF(X509_REVOKED) *entries = X509_CRL_get_REVOKED(list);
    for (int i = 0; i < X509_CRL_get_ext_count(list); i++)
        if (is_foreign(X509_CRL_get_ext(list, i)))
            return true;
    for (int i = 0; i < sk_X509_REVOKED_num(entries); i++) {
        X509_REVOKED *entry = sk_X509_REVOKED_value(entries, i);
        for (int j = 0; j < X509_REVOKED_get_ext_count(entry); j++)
            if (is_foreign(X509_REVOKED_get_ext(entry, j)))
                return true;
    }
    return false;
}

static const char *find_scope_problem(X509_CRL *list)
{
    int critical = 0;
    ISSUING_DIST_POINT *point = X509_CRL_get_ext_d2i(list, NID_issuing_distribution_point, &critical, NULL);
    const char *problem = NULL;
    if (!point && critical != -1) /* -1: there is none */
        problem = "has a scope that cannot be decoded; fetch the list again from the CA";
    else if (point && point->indirectCRL > 0)
        problem = "is an indirect one, of other CAs' certificates too; name each CA's own list";
    else if (point && point->onlysomereasons)
        problem = "is about some reasons of revocation only; name the CA's complete list";
    else if (point && point->onlyattr > 0)
        problem = "is about attribute certificates only; name the CA's list of certificates";
    ISSUING_DIST_POINT_free(point);
    ERR_clear_error();
    return problem;
}

const char *crl_problem(X509_CRL *list)
{
    const X509_ALGOR *algorithm = NULL;
    X509_CRL_get0_signature(list, NULL, &algorithm);
    if (signature_is_weak(algorithm))
        return "is signed with SHA-1 or worse, and could be forged; have the CA sign its lists with SHA-256";
    if (X509_CRL_get_ext_by_NID(list, NID_delta_crl, -1) >= 0)
        return "is a delta, which has only what changed; name the CA's complete list";
    if (has_foreign(list))
        return "has a critical extension that OpenSSL does not know, so that it cannot be relied on; fetch a list "
               "without it";
    return find_scope_problem(list);
}

/* ---- whom it is about ---- */

static bool share_name(const DIST_POINT_NAME *one, const DIST_POINT_NAME *other)
{
    if (one->type != 0 || other->type != 0) /* a name relative to the issuer's */
        return false;
    for (int i = 0; i < sk_GENERAL_NAME_num(one->name.fullname); i++)
        for (int j = 0; j < sk_GENERAL_NAME_num(other->name.fullname); j++)
            if (GENERAL_NAME_cmp(sk_GENERAL_NAME_value(one->name.fullname, i),
                                 sk_GENERAL_NAME_value(other->name.fullname, j)) == 0)
                return true;
    return false;
}

static bool points_to(const X509 *certificate, const DIST_POINT_NAME *wanted)
{
    CRL_DIST_POINTS *points = X509_get_ext_d2i(certificate, NID_crl_distribution_points, NULL, NULL);
    bool found = false;
    for (int i = 0; !found && i < sk_DIST_POINT_num(points); i++) {
        const DIST_POINT *point = sk_DIST_POINT_value(points, i);
        found = point->distpoint && !point->CRLissuer && !point->reasons && share_name(point->distpoint, wanted);
    }
    CRL_DIST_POINTS_free(points);
    ERR_clear_error();
    return found;
}

bool crl_covers(const X509_CRL *list, X509 *certificate)
{
    ISSUING_DIST_POINT *point = X509_CRL_get_ext_d2i(list, NID_issuing_distribution_point, NULL, NULL);
    bool ca = X509_get_extension_flags(certificate) & EXFLAG_CA;
    bool covers = !point || ((ca ? point->onlyuser : point->onlyCA) <= 0 &&
                             (!point->distpoint || points_to(certificate, point->distpoint)));
    ISSUING_DIST_POINT_free(point);
    return covers;
}
