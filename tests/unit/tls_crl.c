// rooms: ktls config support
/* What a revocation list is about, and what it is signed with. */
#include "tests/unit/verify_rig.h"

#include <openssl/rsa.h>

#include "ktls/verify_internal.h"

static int set_up(void **state)
{
    (void)state;
    forge = forge_new();
    forge_make(forge, &(struct forge_certificate){ .name = "server", .issuer = "ca" });
    forge_make(forge, &(struct forge_certificate){ .name = "client", .issuer = "ca" });
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    forge_free(forge);
    return 0;
}

/* None of them would refuse anybody that a complete list refuses. */
static void refuses_to_read_a_list_that_it_could_not_rely_on(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        struct forge_scope scope;
        const char *what, *remedy;
    } cases[] = {
        { "delta.crl", { .delta = true }, "the list of \"CN=ca,O=Sluice tests\" is a delta", "the CA's complete list" },
        { "foreign.crl", { .foreign = true }, "has a critical extension", "fetch a list without it" },
        { "sha1.crl", { .sha1 = true }, "signed with SHA-1 or worse", "have the CA sign its lists with SHA-256" },
        { "indirect.crl", { .point = "critical,indirectCRL:TRUE" }, "is an indirect one", "each CA's own list" },
        { "reasons.crl",
          { .point = "critical,onlysomereasons:keyCompromise" },
          "some reasons of revocation only",
          "complete list" },
        { "attributes.crl", { .point = "critical,onlyAA:TRUE" }, "attribute certificates only", "of certificates" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config_profile *profile = rig_profile(CONFIG_SERVER, "server", "ca");
        forge_revoke_part(forge, cases[i].file, &(struct forge_list){ .issuer = "ca" }, &cases[i].scope);
        config_list_add(&profile->crl, forge_path(forge, cases[i].file));
        rig_expect_problem(profile, CONFIG_ERROR, cases[i].what, cases[i].remedy);
    }
}

/* In handshakes: OpenSSL's part. */
static void a_list_about_others_counts_as_none(void **state)
{
    (void)state;
    static const struct {
        const char *file, *point;
        bool refused;
    } cases[] = {
        { "cas.crl", "critical,onlyCA:TRUE", true },
        { "part.crl", "critical,fullname:URI:http://ca.test/1", true },
        { "users.crl", "critical,onlyuser:TRUE", false },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config_profile *profile = rig_profile(CONFIG_SERVER, "server", "ca");
        forge_revoke_part(forge, cases[i].file, &(struct forge_list){ .issuer = "ca" },
                          &(struct forge_scope){ .point = cases[i].point });
        config_list_add(&profile->crl, forge_path(forge, cases[i].file));
        struct tls_end server = tls_end_from(profile);
        struct tls_end client = tls_end_from(rig_profile(CONFIG_CLIENT, "client", "ca"));
        int at_server, at_client;
        struct tls_pair pair = rig_pair(&server, &client, &at_server, &at_client);
        assert_int_equal(at_server, cases[i].refused ? -EACCES : 0);
        if (cases[i].refused)
            rig_expect_text(channel_reason(pair.server), "CRL scope");
        tls_pair_free(&pair);
        tls_end_free(&server);
        tls_end_free(&client);
    }
}

static void knows_weak_signatures_in_every_form(void **state)
{
    (void)state;
    static const struct {
        const char *digest;
        int padding;
        bool weak;
    } cases[] = {
        { "SHA1", RSA_PKCS1_PADDING, true },        { "MD5", RSA_PKCS1_PADDING, true },
        { "SHA256", RSA_PKCS1_PADDING, false },     { "SHA1", RSA_PKCS1_PSS_PADDING, true },
        { "SHA256", RSA_PKCS1_PSS_PADDING, false }, { "SHA384", RSA_PKCS1_PSS_PADDING, false },
    };
    EVP_PKEY *key = EVP_RSA_gen(2048);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        X509 *certificate = X509_new();
        EVP_MD_CTX *context = EVP_MD_CTX_new();
        EVP_PKEY_CTX *how = NULL;
        const X509_ALGOR *algorithm = NULL;
        assert_true(EVP_DigestSignInit_ex(context, &how, cases[i].digest, NULL, NULL, key, NULL) == 1 &&
                    EVP_PKEY_CTX_set_rsa_padding(how, cases[i].padding) == 1);
        assert_true(X509_gmtime_adj(X509_getm_notBefore(certificate), 0) &&
                    X509_gmtime_adj(X509_getm_notAfter(certificate), 60) && X509_set_pubkey(certificate, key) &&
                    X509_sign_ctx(certificate, context) > 0);
        X509_get0_signature(NULL, &algorithm, certificate);
        assert_int_equal(signature_is_weak(algorithm), cases[i].weak);
        EVP_MD_CTX_free(context);
        X509_free(certificate);
    }
    EVP_PKEY_free(key);
    /* PSS without parameters is PSS with SHA-1. */
    X509_ALGOR *bare = X509_ALGOR_new();
    assert_true(bare && X509_ALGOR_set0(bare, OBJ_nid2obj(NID_rsassaPss), V_ASN1_UNDEF, NULL));
    assert_true(signature_is_weak(bare));
    X509_ALGOR_free(bare);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_to_read_a_list_that_it_could_not_rely_on),
        cmocka_unit_test(a_list_about_others_counts_as_none),
        cmocka_unit_test(knows_weak_signatures_in_every_form),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
