#include <errno.h>
#include <string.h>
#include <strings.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "ktls/peer_internal.h"
#include "ktls/verify_internal.h"

#define CHAIN_MOST 16 /* CA certificates that OpenSSL follows; `depth` is held against what it found */

/* OpenSSL's number for what only we check. It has no better name, and sends the alert certificate_unknown for it. */
#define ERROR_RULE X509_V_ERR_SUBJECT_ISSUER_MISMATCH

/* ---- the rules ---- */

/* An object that has this name in other letters, or NULL. */
static const char *spelled_otherwise(const char *type)
{
    int count = OBJ_new_nid(0);
    for (int nid = 1; nid < count; nid++) {
        const char *shorter = OBJ_nid2sn(nid), *longer = OBJ_nid2ln(nid);
        if (shorter && strcasecmp(shorter, type) == 0)
            return shorter;
        if (longer && strcasecmp(longer, type) == 0)
            return longer;
    }
    ERR_clear_error();
    return NULL;
}

struct type_search {
    char canonical[128]; /* of a dotted OID that was written otherwise */
};

static bool is_known_type(void *argument, const char *type)
{
    struct type_search *search = argument;
    ASN1_OBJECT *object = OBJ_txt2obj(type, 0);
    bool known = object || spelled_otherwise(type);
    /* 2.5.4.03 is the same OID as 2.5.4.3, and would never be found. */
    if (object && type[0] >= '0' && type[0] <= '9' &&
        OBJ_obj2txt(search->canonical, sizeof(search->canonical), object, 1) > 0 &&
        strcmp(search->canonical, type) != 0)
        known = false;
    else
        search->canonical[0] = '\0';
    ASN1_OBJECT_free(object);
    ERR_clear_error();
    return known;
}

/* A copy of its own: rules outlive the model that they come from. */
static struct config_expression *load_expression(const struct config_expression *expression, const char *key,
                                                 const struct config_profile *profile, struct config_errors *errors)
{
    if (!expression)
        return NULL;
    struct type_search search = { "" };
    const char *unknown = config_expression_each_type(expression, is_known_type, &search);
    if (unknown && search.canonical[0])
        config_errors_add_at(errors, CONFIG_ERROR, profile->section, key, "%s has the type \"%s\"; write %s", key,
                             unknown, search.canonical);
    else if (unknown)
        config_errors_add_at(errors, CONFIG_ERROR, profile->section, key,
                             "%s has \"%s\", which is no type that a name could have; write one such as CN, O, OU or "
                             "emailAddress, or its dotted OID",
                             key, unknown);
    char why[256];
    size_t column;
    struct config_expression *copy =
        config_expression_parse(config_expression_text(expression), why, sizeof(why), &column);
    if (!copy)
        config_errors_add_at(errors, CONFIG_ERROR, profile->section, key, "%s %s", key, why);
    return copy;
}

/* ---- held against a chain ---- */

static bool refuse(X509_STORE_CTX *store, int error)
{
    X509_STORE_CTX_set_error(store, error);
    return false;
}

static SSL *ssl_of(X509_STORE_CTX *store)
{
    return X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
}

static bool is_about_a_list(int error)
{
    static const int errors[] = {
        X509_V_ERR_UNABLE_TO_GET_CRL,
        X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER,
        X509_V_ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE,
        X509_V_ERR_CRL_SIGNATURE_FAILURE,
        X509_V_ERR_CRL_NOT_YET_VALID,
        X509_V_ERR_CRL_HAS_EXPIRED,
        X509_V_ERR_ERROR_IN_CRL_LAST_UPDATE_FIELD,
        X509_V_ERR_ERROR_IN_CRL_NEXT_UPDATE_FIELD,
        X509_V_ERR_KEYUSAGE_NO_CRL_SIGN,
        X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION,
        X509_V_ERR_DIFFERENT_CRL_SCOPE,
        X509_V_ERR_CRL_PATH_VALIDATION_ERROR,
    };
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
        if (errors[i] == error)
            return true;
    return false;
}

/*
 * A CA above the leaf's issuer may be without a list, where there is none of its issuer at all. And where a chain ends
 * in a certificate that is trusted by itself, OpenSSL has no issuer to verify a list with: check_anchors() does it.
 */
static int judge_list(int ok, X509_STORE_CTX *store)
{
    const struct verdict *verdict = verdict_of(ssl_of(store));
    int error = X509_STORE_CTX_get_error(store), depth = X509_STORE_CTX_get_error_depth(store);
    X509 *certificate = X509_STORE_CTX_get_current_cert(store);

    if (ok || !verdict || !certificate || !is_about_a_list(error))
        return ok;
    bool missing =
        depth > 0 && error == X509_V_ERR_UNABLE_TO_GET_CRL && !crls_of_issuer(verdict->rules->crls, certificate);
    if (!missing && depth < X509_STORE_CTX_get_num_untrusted(store))
        return ok;
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
}

static bool check_anchors(struct verdict *verdict, X509_STORE_CTX *store)
{
    static const int errors[] = { [CRLS_GOOD] = X509_V_OK,
                                  [CRLS_REVOKED] = X509_V_ERR_CERT_REVOKED,
                                  [CRLS_MISSING] = X509_V_ERR_UNABLE_TO_GET_CRL,
                                  [CRLS_EXPIRED] = X509_V_ERR_CRL_HAS_EXPIRED };
    STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(store);
    int count = verdict->rules->crls ? sk_X509_num(chain) : 0;

    for (int i = X509_STORE_CTX_get_num_untrusted(store); i < count; i++) {
        enum crls_answer answer = crls_look(verdict->rules->crls, sk_X509_value(chain, i));
        if (answer == CRLS_GOOD || (answer == CRLS_MISSING && i > 0))
            continue;
        X509_STORE_CTX_set_error_depth(store, i);
        X509_STORE_CTX_set_current_cert(store, sk_X509_value(chain, i));
        refuse(store, errors[answer]);
        verdict_explain(verdict, verdict->rules, store);
        return false;
    }
    return true;
}

/* CA certificates between the leaf and the first one that we trust by itself. OpenSSL counts some chains otherwise. */
static bool check_depth(struct verdict *verdict, X509_STORE_CTX *store)
{
    int between = X509_STORE_CTX_get_num_untrusted(store) - 1;
    if (between <= (int)verdict->rules->depth)
        return true;
    verdict_say(verdict, "depth: wanted at most %u CA certificates between the peer's and the trusted one, found %d",
                verdict->rules->depth, between);
    return refuse(store, X509_V_ERR_CERT_CHAIN_TOO_LONG);
}

static bool check_names(struct verdict *verdict, X509_STORE_CTX *store, const struct tls_peer *peer)
{
    const struct {
        const char *check;
        const struct config_expression *wanted;
        const struct config_name *found;
    } names[] = { { "subject", verdict->rules->subject, &peer->subject_name },
                  { "issuer", verdict->rules->issuer, &peer->issuer_name } };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!names[i].wanted || config_expression_match(names[i].wanted, names[i].found))
            continue;
        verdict_say(verdict, "%s: wanted %.160s, found \"%.160s\"", names[i].check,
                    config_expression_text(names[i].wanted), names[i].found->text);
        return refuse(store, ERROR_RULE);
    }
    return true;
}

static void hold_while_valid(struct verdict *verdict, X509_STORE_CTX *store)
{
    STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(store);
    for (int i = 0; i < sk_X509_num(chain); i++) {
        X509 *certificate = sk_X509_value(chain, i);
        time_t end;
        verdict_hold_until(verdict, tls_peer_time(X509_get0_notAfter(certificate), &end) == 0 ? end : 0);
        verdict_hold_until(verdict, crls_until(verdict->rules->crls, certificate));
    }
}

static bool check_chain(struct verdict *verdict, X509_STORE_CTX *store, const struct tls_peer *peer)
{
    X509_STORE_CTX_set_verify_cb(store, judge_list);
    if (X509_verify_cert(store) != 1) {
        if (X509_STORE_CTX_get_error(store) == X509_V_OK)
            X509_STORE_CTX_set_error(store, X509_V_ERR_UNSPECIFIED);
        verdict_explain(verdict, verdict->rules, store);
        return false;
    }
    if (!check_depth(verdict, store) || !check_anchors(verdict, store) || !check_names(verdict, store, peer))
        return false;
    hold_while_valid(verdict, store);
    verdict->verified = true;
    return true;
}

static bool check_peer(struct verdict *verdict, X509_STORE_CTX *store)
{
    int error;
    struct tls_peer *peer = tls_peer_new(X509_STORE_CTX_get0_cert(store), &error);
    bool ok = peer && check_chain(verdict, store, peer);
    if (!peer) {
        verdict_say(verdict, error == -ENOMEM ? "no memory for the peer's certificate"
                                              : "a name or a time in the peer's certificate cannot be decoded");
        refuse(store, error == -ENOMEM ? X509_V_ERR_OUT_OF_MEM : X509_V_ERR_CERT_REJECTED);
    }
    tls_peer_free(peer);
    return ok;
}

/* For SSL_CTX_set_cert_verify_callback(): what goes wrong stays in SSL_get_verify_result() and the verdict. */
static int verify_peer(X509_STORE_CTX *store, void *rules)
{
    struct verdict *verdict = verdict_of(ssl_of(store));
    if (!verdict)
        return refuse(store, X509_V_ERR_OUT_OF_MEM);
    verdict->rules = rules;
    if (verdict->rules->verify == CONFIG_VERIFY_NONE) {
        verdict_say(verdict, "not checked: verify = none");
        refuse(store, X509_V_ERR_UNSPECIFIED); /* nobody shall take it for verified */
        return 1;
    }
    /* What OpenSSL notes about a bad certificate would else be taken for an error of its next read that has to wait. */
    ERR_set_mark();
    bool ok = check_peer(verdict, store);
    ERR_pop_to_mark();
    return ok || verdict->rules->verify == CONFIG_VERIFY_OPTIONAL;
}

/* ---- the profile's part ---- */

static const int modes[] = {
    [CONFIG_VERIFY_REQUIRED] = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
    [CONFIG_VERIFY_ENFORCED] = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
    [CONFIG_VERIFY_OPTIONAL] = SSL_VERIFY_PEER,
    [CONFIG_VERIFY_NONE] = SSL_VERIFY_NONE,
};

void rules_load(struct rules *rules, SSL_CTX *ssl, OSSL_LIB_CTX *library, const struct config_profile *profile,
                struct config_errors *errors)
{
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ssl);

    rules->role = profile->role;
    rules->verify = profile->verify;
    rules->key_usage = profile->key_usage;
    rules->depth = profile->depth;
    rules->subject = load_expression(profile->subject, "subject", profile, errors);
    rules->issuer = load_expression(profile->issuer, "issuer", profile, errors);
    rules->crls = crls_load(ssl, library, profile, errors);

    SSL_CTX_set_verify(ssl, modes[profile->verify], NULL);
    SSL_CTX_set_verify_depth(ssl, CHAIN_MOST);
    SSL_CTX_set_cert_verify_callback(ssl, verify_peer, rules);
    if (profile->key_usage == CONFIG_KEY_USAGE_NONE)
        X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_ANY);
    /* Not in the store: what signed an OCSP response is looked at without lists. */
    if (rules->crls)
        X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
}

void rules_clear(struct rules *rules)
{
    config_expression_free(rules->subject);
    config_expression_free(rules->issuer);
    crls_free(rules->crls);
    *rules = (struct rules){ 0 };
}
