// rooms: ktls config support
#include "tests/unit/verify_rig.h"

static const unsigned versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

static void make_lists(void)
{
    forge_revoke(forge, "good.crl", false, &(struct forge_list){ "ca", { "node70" }, 0, 0, NULL });
    forge_revoke(forge, "revoked.crl", false, &(struct forge_list){ "ca", { "client", "server" }, 0, 0, NULL });
    forge_revoke(forge, "revoked.der", true, &(struct forge_list){ "ca", { "client" }, 0, 0, NULL });
    forge_revoke(forge, "inter.crl", false, &(struct forge_list){ "inter", { NULL }, 0, 0, NULL });
    forge_revoke(forge, "both.crl", false, &(struct forge_list){ "ca", { NULL }, 0, 0, NULL });
    forge_revoke(forge, "both.crl", false, &(struct forge_list){ "inter", { NULL }, 0, 0, NULL });
    forge_revoke(forge, "inter-revoked.crl", false, &(struct forge_list){ "ca", { "inter" }, 0, 0, NULL });
    forge_revoke(forge, "inter-revoked.crl", false, &(struct forge_list){ "inter", { NULL }, 0, 0, NULL });
    forge_revoke(forge, "endless.crl", false, &(struct forge_list){ "ca", { NULL }, -3600, 0, NULL });
    forge_revoke(forge, "deep1.crl", false, &(struct forge_list){ "inter", { "deep1" }, 0, 0, NULL });
    char bytes[8192];
    size_t length = 0;
    static const char *const trusted[] = { "ca.pem", "inter.pem", "deep1.pem" };
    for (size_t i = 0; i < 3; i++) {
        if (i == 2)
            forge_write(forge, "both.pem", bytes, length);
        FILE *in = fopen(forge_path(forge, trusted[i]), "r");
        assert_non_null(in);
        length += fread(bytes + length, 1, sizeof(bytes) - length, in);
        fclose(in);
    }
    forge_write(forge, "three.pem", bytes, length);
}

static int set_up(void **state)
{
    static const struct forge_certificate certificates[] = {
        { .name = "other-ca", .ca = true },
        { .name = "inter", .issuer = "ca", .ca = true },
        { .name = "inner", .issuer = "inter", .ca = true },
        { .name = "server", .issuer = "ca" },
        { .name = "client", .issuer = "ca", .subject = "O=Acme/OU=one/OU=two/CN=node7+UID=7" },
        { .name = "node70", .issuer = "ca", .subject = "O=Acme/CN=node70" },
        { .name = "deep1", .issuer = "inter" },
        { .name = "deep2", .issuer = "inner" },
        { .name = "stranger", .issuer = "other-ca" },
        { .name = "expired", .issuer = "ca", .starts = -7200, .ends = -60 },
        { .name = "only-server", .issuer = "ca", .extended = "serverAuth" },
        { .name = "only-client", .issuer = "ca", .extended = "clientAuth" },
        { .name = "signs", .issuer = "ca", .extended = "", .usage = "critical,cRLSign" },
        { .name = "agrees",
          .issuer = "ca",
          .extended = "clientAuth",
          .usage = "critical,keyAgreement,digitalSignature" },
        { .name = "plain", .issuer = "ca", .extended = "", .usage = "" },
        { .name = "no-ca", .issuer = "ca" },
        { .name = "false-issued", .issuer = "no-ca" },
        { .name = "elsewhere", .issuer = "ca", .names = "DNS:node7.example,DNS:*.example,IP:10.0.0.7" },
    };
    (void)state;
    forge = forge_new();
    for (size_t i = 0; i < sizeof(certificates) / sizeof(certificates[0]); i++)
        forge_make(forge, &certificates[i]);
    make_lists();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    forge_free(forge);
    return 0;
}

/* ---- the rules, in handshakes ---- */

struct rule {
    const char *title;
    enum config_role judge; /* whose profile has the rule */
    const char *leaf;       /* of the other side */
    const char *subject, *issuer, *trust, *crl;
    int depth; /* -1: 10 */
    enum config_key_usage key_usage;
    const char *refused; /* the reason; NULL: it is accepted */
    const char *alert;
};

#define SERVER CONFIG_SERVER
#define CLIENT CONFIG_CLIENT

static const struct rule rules[] = {
    { "a leaf of the trusted CA", SERVER, "client", .depth = -1 },
    { "the subject as written", SERVER, "client", .subject = "CN=node7", .depth = -1 },
    { "a second OU", SERVER, "client", .subject = "OU=two AND UID=7", .depth = -1 },
    { "any of the alternatives", SERVER, "client", .subject = "CN=node8, CN=node7", .depth = -1 },
    { "a name that only begins so", SERVER, "node70", .subject = "CN=node7", .depth = -1,
      .refused = "subject: wanted CN=node7, found \"CN=node70,O=Acme\"", .alert = "certificate_unknown (46)" },
    { "a denied subject", SERVER, "client", .subject = "NOT O=Acme", .depth = -1,
      .refused = "subject: wanted NOT O=Acme", .alert = "certificate_unknown (46)" },
    { "contains: goes by the text", SERVER, "node70", .subject = "contains:\"node7\"", .depth = -1 },
    { "the issuer as written", SERVER, "client", .issuer = "CN=ca", .depth = -1 },
    { "the direct issuer, not the root", SERVER, "deep1", .issuer = "CN=ca", .depth = -1,
      .refused = "issuer: wanted CN=ca, found \"CN=inter,O=Sluice tests\"", .alert = "certificate_unknown (46)" },
    { "the direct issuer", SERVER, "deep1", .issuer = "CN=inter", .depth = -1 },
    { "the server's subject", CLIENT, "server", .subject = "CN=server", .depth = -1 },
    { "another server's subject", CLIENT, "server", .subject = "CN=node7", .depth = -1,
      .refused = "subject: wanted CN=node7", .alert = "certificate_unknown (46)" },
    { "another server's issuer", CLIENT, "server", .issuer = "CN=inter", .depth = -1,
      .refused = "issuer: wanted CN=inter", .alert = "certificate_unknown (46)" },

    { "directly below the trusted CA", SERVER, "client", .depth = 0 },
    { "one CA between, where none may be", SERVER, "deep1", .depth = 0,
      .refused = "depth: wanted at most 0 CA certificates between the peer's and the trusted one, found 1",
      .alert = "unknown_ca (48)" },
    { "one CA between, where one may be", SERVER, "deep1", .depth = 1 },
    { "two CAs between, where one may be", SERVER, "deep2", .depth = 1, .refused = "depth: wanted at most 1",
      .alert = "unknown_ca (48)" },
    { "two CAs between, where two may be", SERVER, "deep2", .depth = 2 },
    { "below an intermediate that is trusted itself", SERVER, "deep1", .depth = 0, .trust = "inter" },
    { "one below an intermediate that is trusted itself", SERVER, "deep2", .depth = 0, .trust = "inter",
      .refused = "depth: wanted at most 0", .alert = "unknown_ca (48)" },
    { "root and intermediate both trusted", SERVER, "deep1", .depth = 0, .trust = "both" },
    { "the leaf itself trusted", SERVER, "deep2", .depth = 0, .trust = "deep2" },
    { "a server one CA too deep", CLIENT, "deep1", .depth = 0,
      .refused = "depth: wanted at most 0 CA certificates between the peer's and the trusted one, found 1",
      .alert = "unknown_ca (48)" },
    { "a server below one CA", CLIENT, "deep1", .depth = 1 },

    { "a client's certificate for servers", SERVER, "only-server", .depth = -1,
      .refused = "key_usage: wanted a certificate for clients (clientAuth; digitalSignature or keyAgreement), found "
                 "serverAuth, digitalSignature",
      .alert = "unsupported_certificate (43)" },
    { "the same where it does not matter", SERVER, "only-server", .depth = -1, .key_usage = CONFIG_KEY_USAGE_NONE },
    { "a client's certificate", SERVER, "only-client", .depth = -1 },
    { "one for agreement too", SERVER, "agrees", .depth = -1 },
    { "one that says nothing", SERVER, "plain", .depth = -1 },
    { "one that signs lists only", SERVER, "signs", .depth = -1,
      .refused = "key_usage: wanted a certificate for clients", .alert = "unsupported_certificate (43)" },
    { "a server's certificate for clients", CLIENT, "only-client", .depth = -1,
      .refused = "key_usage: wanted a certificate for servers", .alert = "unsupported_certificate (43)" },
    { "the same, where it does not matter", CLIENT, "only-client", .depth = -1, .key_usage = CONFIG_KEY_USAGE_NONE },
    { "issued by what is no CA", SERVER, "false-issued", .depth = -1, .refused = "invalid CA certificate",
      .alert = "unknown_ca (48)" },
    { "issued by what is no CA, whatever it is made for", SERVER, "false-issued", .depth = -1,
      .key_usage = CONFIG_KEY_USAGE_NONE, .refused = "invalid CA certificate", .alert = "unknown_ca (48)" },

    { "of a CA that is not trusted", SERVER, "stranger", .depth = -1,
      .refused = "unable to get local issuer certificate", .alert = "unknown_ca (48)" },
    { "a server made out to another", CLIENT, "elsewhere", .depth = -1,
      .refused = "hostname: wanted localhost, found DNS:node7.example, DNS:*.example, IP:10.0.0.7",
      .alert = "bad_certificate (42)" },

    { "on no list", SERVER, "client", .depth = -1, .crl = "good.crl" },
    { "on the list", SERVER, "client", .depth = -1, .crl = "revoked.crl",
      .refused = "crl: wanted a certificate that is not revoked, found a revoked one: \"UID=7+CN=node7",
      .alert = "certificate_revoked (44)" },
    { "a server on the list", CLIENT, "server", .depth = -1, .crl = "revoked.crl",
      .refused = "crl: wanted a certificate that is not revoked", .alert = "certificate_revoked (44)" },
    { "its issuer has no list", SERVER, "deep1", .depth = -1, .crl = "good.crl",
      .refused = "crl: wanted a list of the certificate's issuer, found none", .alert = "unknown_ca (48)" },
    { "a list of its issuer, none of the root", SERVER, "deep1", .depth = -1, .crl = "inter.crl" },
    { "lists of both", SERVER, "deep1", .depth = -1, .crl = "both.crl" },
    { "its issuer is on the root's list", SERVER, "deep1", .depth = -1, .crl = "inter-revoked.crl",
      .refused = "found a revoked one: \"CN=inter,", .alert = "certificate_revoked (44)" },
    { "the same, where the issuer is trusted itself", SERVER, "deep1", .depth = -1, .trust = "both",
      .crl = "inter-revoked.crl", .refused = "found a revoked one: \"CN=inter,", .alert = "certificate_revoked (44)" },
    { "a trusted issuer on no list", SERVER, "deep1", .depth = -1, .trust = "both", .crl = "both.crl" },
    { "the leaf itself trusted, and its issuer's list", SERVER, "deep1", .depth = -1, .trust = "three",
      .crl = "both.crl" },
    { "the leaf itself trusted, and revoked", SERVER, "deep1", .depth = -1, .trust = "three", .crl = "deep1.crl",
      .refused = "found a revoked one: \"CN=deep1,", .alert = "certificate_revoked (44)" },
    { "the leaf itself trusted, and no list", SERVER, "deep1", .depth = -1, .trust = "three", .crl = "good.crl",
      .refused = "crl: wanted a list of the certificate's issuer, found none", .alert = "unknown_ca (48)" },
    { "lists in DER", SERVER, "client", .depth = -1, .crl = "revoked.der", .refused = "found a revoked one",
      .alert = "certificate_revoked (44)" },
    { "a list without an end", SERVER, "client", .depth = -1, .crl = "endless.crl" },
};

static struct config_profile *judging(const struct rule *rule, unsigned version)
{
    struct config_profile *profile =
        rig_profile(rule->judge, rule->judge == CONFIG_SERVER ? "server" : "client", rule->trust ? rule->trust : "ca");
    profile->min_version = profile->max_version = version;
    profile->subject = rule->subject ? rig_expression(rule->subject) : NULL;
    profile->issuer = rule->issuer ? rig_expression(rule->issuer) : NULL;
    profile->depth = rule->depth < 0 ? 10 : (unsigned)rule->depth;
    profile->key_usage = rule->key_usage;
    if (rule->crl)
        config_list_add(&profile->crl, forge_path(forge, rule->crl));
    return profile;
}

/* Whoever does not judge takes all that is trusted; what a certificate is made for is the judge's concern. */
static struct config_profile *judged(const struct rule *rule)
{
    struct config_profile *profile =
        rig_profile(rule->judge == CONFIG_SERVER ? CONFIG_CLIENT : CONFIG_SERVER, rule->leaf, "ca");
    profile->key_usage = CONFIG_KEY_USAGE_NONE;
    return profile;
}

static void check_refusal(const struct rule *rule, const struct channel *judge, struct channel *other, int failed)
{
    if (failed != -EACCES)
        fail_msg("%s: %d %s", rule->title, failed, channel_reason(judge));
    rig_expect_text(channel_reason(judge), rule->refused);
    rig_expect_text(channel_reason(judge), rule->alert);
    assert_false(channel_failed_at_peer(judge));
    rig_read_on(other);
    assert_true(channel_failed_at_peer(other));
    rig_expect_text(channel_reason(other), rule->alert);
}

static void run_rule(const struct rule *rule, unsigned version)
{
    struct tls_end judge = tls_end_from(judging(rule, version)), other = tls_end_from(judged(rule));
    bool server = rule->judge == CONFIG_SERVER;
    int at_server, at_client;
    struct tls_pair pair = rig_pair(server ? &judge : &other, server ? &other : &judge, &at_server, &at_client);
    struct channel *judging_end = server ? pair.server : pair.client;
    int failed = server ? at_server : at_client;

    if (rule->refused) {
        check_refusal(rule, judging_end, server ? pair.client : pair.server, failed);
    } else if (failed || !channel_facts(judging_end)->peer_verified) {
        fail_msg("%s, TLS %x: %d %s", rule->title, version, failed, channel_reason(judging_end));
    } else {
        assert_true(channel_facts(judging_end)->mutual);
        assert_non_null(channel_peer(judging_end));
    }
    tls_pair_free(&pair);
    tls_end_free(&judge);
    tls_end_free(&other);
}

static void holds_every_rule_in_both_versions(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        for (size_t j = 0; j < 2; j++)
            run_rule(&rules[i], versions[j]);
}

/* What a required certificate fails by, an optional one is only not authenticated by. */
static void tolerates_every_failure_where_a_certificate_is_optional(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (!rules[i].refused || rules[i].judge != CONFIG_SERVER)
            continue;
        for (size_t j = 0; j < 2; j++) {
            struct config_profile *profile = judging(&rules[i], versions[j]);
            profile->verify = CONFIG_VERIFY_OPTIONAL;
            struct tls_end server = tls_end_from(profile), client = tls_end_from(judged(&rules[i]));
            for (int round = 0; round < 2; round++) { /* the second one resumes */
                int at_server, at_client;
                struct tls_pair pair = rig_pair(&server, &client, &at_server, &at_client);
                assert_int_equal(at_server, 0);
                assert_int_equal(at_client, 0);
                const struct channel_facts *facts = channel_facts(pair.server);
                assert_int_equal(facts->resumed, round);
                assert_false(facts->peer_verified || facts->mutual);
                rig_expect_text(facts->peer_error, rules[i].refused);
                assert_non_null(channel_peer(pair.server));
                tls_write_all(pair.server, "x", 1);
                rig_read_on(pair.client);
                tls_pair_free(&pair);
            }
            tls_end_free(&server);
            tls_end_free(&client);
        }
    }
}

static void refuses_certificates_that_our_own_side_would_not_load(void **state)
{
    (void)state;
    forge_make(forge, &(struct forge_certificate){ .name = "weak", .issuer = "ca", .rsa = 1024 });
    static const char *const leafs[] = { "weak", "expired" };
    static const char *const reasons[] = { "key too weak", "certificate has expired" };
    static const char *const alerts[] = { "(4", "certificate_expired (45)" };
    for (size_t i = 0; i < 2; i++) {
        for (size_t j = 0; j < 2; j++) {
            struct config_profile *profile = rig_profile(CONFIG_SERVER, "server", "ca");
            profile->min_version = profile->max_version = versions[j];
            struct tls_end server = tls_end_from(profile);
            struct tls_end client = tls_end_from(rig_profile(CONFIG_CLIENT, NULL, "ca"));
            int server_fd, client_fd;
            tls_sockets(&server_fd, &client_fd);
            struct channel *channel = channel_accept(server.context, server_fd, NULL);
            /* Somebody else's client, which does not look at what it sends. */
            SSL_CTX *theirs = SSL_CTX_new(TLS_client_method());
            char file[32];
            SSL_CTX_set_security_level(theirs, 0);
            snprintf(file, sizeof(file), "%s.pem", leafs[i]);
            assert_true(SSL_CTX_use_certificate_file(theirs, forge_path(forge, file), SSL_FILETYPE_PEM));
            snprintf(file, sizeof(file), "%s.key", leafs[i]);
            assert_true(SSL_CTX_use_PrivateKey_file(theirs, forge_path(forge, file), SSL_FILETYPE_PEM));
            SSL *ssl = SSL_new(theirs);
            struct timeval limit = { .tv_usec = 20000 };
            setsockopt(client_fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
            SSL_set_fd(ssl, client_fd);
            SSL_set_connect_state(ssl);
            int failed = -EAGAIN;
            for (int turns = 0; turns < 100 && failed == -EAGAIN; turns++) {
                (void)SSL_do_handshake(ssl);
                failed = channel_handshake(channel);
            }
            assert_int_equal(failed, -EACCES);
            rig_expect_text(channel_reason(channel), reasons[i]);
            rig_expect_text(channel_reason(channel), alerts[i]);
            SSL_free(ssl);
            SSL_CTX_free(theirs);
            close(client_fd);
            channel_free(channel);
            tls_end_free(&server);
            tls_end_free(&client);
        }
    }
}

/* ---- what is wrong with a profile ---- */

static void says_what_is_wrong_with_an_expression(void **state)
{
    (void)state;
    static const struct {
        const char *text, *what, *remedy;
    } cases[] = {
        { "CN=x AND COLOUR=red", "subject has \"COLOUR\"", "write one such as CN" },
        { "1.2.x=y", "subject has \"1.2.x\"", "write one such as CN" },
        { "2.5.4.03=y", "subject has the type \"2.5.4.03\"", "write 2.5.4.3" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config_profile *profile = rig_profile(CONFIG_SERVER, "server", "ca");
        profile->subject = rig_expression(cases[i].text);
        rig_expect_problem(profile, CONFIG_ERROR, cases[i].what, cases[i].remedy);
    }
    struct config_profile *profile = rig_profile(CONFIG_SERVER, "server", "ca");
    profile->issuer = rig_expression("commonname=x, 2.5.4.3=y, cn=z, emailAddress=a, 1.2.3.4=b, UID=c");
    struct tls_end end = tls_end_from(profile);
    tls_end_free(&end);
}

static void says_what_is_wrong_with_a_list(void **state)
{
    (void)state;
    forge_revoke(forge, "old.crl", false, &(struct forge_list){ "ca", { NULL }, -7200, -60, NULL });
    forge_revoke(forge, "early.crl", false, &(struct forge_list){ "ca", { NULL }, 3600, 7200, NULL });
    forge_revoke(forge, "forged.crl", false, &(struct forge_list){ "ca", { NULL }, 0, 0, "other-ca" });
    forge_revoke(forge, "others.crl", false, &(struct forge_list){ "other-ca", { NULL }, 0, 0, NULL });
    static const char damaged[] = "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n";
    forge_write(forge, "damaged.crl", damaged, sizeof(damaged) - 1);
    forge_write(forge, "empty.crl", "", 0);
    forge_write(forge, "text.crl", "hello\n", 6);
    static const struct {
        const char *file;
        enum config_severity severity;
        const char *what, *remedy;
    } cases[] = {
        { "absent.crl", CONFIG_ERROR, "absent.crl\" cannot be read: No such file", "put the file there" },
        { "empty.crl", CONFIG_ERROR, "is empty", "put a certificate revocation list there" },
        { "text.crl", CONFIG_ERROR, "text.crl\"", "" },
        { "damaged.crl", CONFIG_ERROR, "damaged certificate revocation list", "intact" },
        { "ca.pem", CONFIG_ERROR, "no certificate revocation list but \"CERTIFICATE\"", "name the file" },
        { "old.crl", CONFIG_ERROR, "the list of \"CN=ca,O=Sluice tests\" expired on 20", "fetch the current one" },
        { "early.crl", CONFIG_ERROR, "is not valid before 20", "clock" },
        { "forged.crl", CONFIG_ERROR, "is not signed by \"CN=ca,O=Sluice tests\"", "fetch the list again" },
        { "others.crl", CONFIG_WARNING, "of \"CN=other-ca,O=Sluice tests\", which is not in trust", "name the CA" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config_profile *profile = rig_profile(CONFIG_SERVER, "server", "ca");
        config_list_add(&profile->crl, forge_path(forge, cases[i].file));
        rig_expect_problem(profile, cases[i].severity, cases[i].what, cases[i].remedy);
    }
}

static void a_list_that_runs_out_refuses_everybody(void **state)
{
    (void)state;
    forge_revoke(forge, "short.crl", false, &(struct forge_list){ "ca", { NULL }, -60, 2, NULL });
    struct config_profile *profile = rig_profile(CONFIG_SERVER, "server", "ca");
    config_list_add(&profile->crl, forge_path(forge, "short.crl"));
    struct tls_end server = tls_end_from(profile);
    sleep(3);
    for (size_t j = 0; j < 2; j++) {
        profile = rig_profile(CONFIG_CLIENT, "client", "ca");
        profile->min_version = profile->max_version = versions[j];
        struct tls_end client = tls_end_from(profile);
        int at_server, at_client;
        struct tls_pair pair = rig_pair(&server, &client, &at_server, &at_client);
        assert_int_equal(at_server, -EACCES);
        rig_expect_text(channel_reason(pair.server),
                        "crl: wanted a current list of the certificate's issuer, found one "
                        "that has expired");
        tls_pair_free(&pair);
        tls_end_free(&client);
    }
    tls_end_free(&server);
}

static void warns_of_a_save_chain_that_is_no_directory(void **state)
{
    (void)state;
    struct config_profile *profile = rig_profile(CONFIG_SERVER, "server", "ca");
    profile->save_chain = strdup(forge_path(forge, "ca.pem"));
    rig_expect_problem(profile, CONFIG_WARNING, "save_chain", "make it");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_every_rule_in_both_versions),
        cmocka_unit_test(tolerates_every_failure_where_a_certificate_is_optional),
        cmocka_unit_test(refuses_certificates_that_our_own_side_would_not_load),
        cmocka_unit_test(says_what_is_wrong_with_an_expression),
        cmocka_unit_test(says_what_is_wrong_with_a_list),
        cmocka_unit_test(a_list_that_runs_out_refuses_everybody),
        cmocka_unit_test(warns_of_a_save_chain_that_is_no_directory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
