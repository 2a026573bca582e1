// rooms: ktls config support
#include "tests/unit/verify_rig.h"

#include <openssl/ocsp.h>
#include <openssl/x509v3.h>

#include "ktls/peer_internal.h"

static const unsigned versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

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
        { .name = "responder", .issuer = "ca", .extended = "OCSPSigning", .names = "" },
        { .name = "false-responder", .issuer = "other-ca", .extended = "OCSPSigning", .names = "" },
        { .name = "elsewhere", .issuer = "ca", .names = "DNS:node7.example,DNS:*.example,IP:10.0.0.7" },
    };
    (void)state;
    forge = forge_new();
    for (size_t i = 0; i < sizeof(certificates) / sizeof(certificates[0]); i++)
        forge_make(forge, &certificates[i]);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    forge_free(forge);
    return 0;
}

/* ---- certificates as values ---- */

static bool has(const struct config_name *name, const char *type, const char *value)
{
    for (size_t i = 0; i < name->count; i++)
        for (size_t j = 0; j < 3; j++)
            if (name->attributes[i].types[j] && strcmp(name->attributes[i].types[j], type) == 0 &&
                name->attributes[i].length == strlen(value) && strcmp(name->attributes[i].value, value) == 0)
                return true;
    return false;
}

static void tells_a_certificate_as_values(void **state)
{
    (void)state;
    forge_make(forge, &(struct forge_certificate){
                          .name = "values",
                          .issuer = "ca",
                          .rsa = 2048,
                          .subject = "C=DE/O=Müller, Söhne/OU=one+L=Köln/1.2.3.4.5=own/CN=node7",
                          .names = "DNS:node7.example,email:ops@example.com,URI:urn:x,IP:10.0.0.7,IP:2001:db8::7,"
                                   "otherName:1.3.6.1.4.1.311.20.2.3;UTF8:someone,RID:1.2.3" });
    int error;
    struct tls_peer *peer = tls_peer_new(forge_get(forge, "values"), &error);
    assert_non_null(peer);
    assert_int_equal(peer->subject_name.count, 6);
    assert_true(has(&peer->subject_name, "O", "Müller, Söhne"));
    assert_true(has(&peer->subject_name, "organizationName", "Müller, Söhne"));
    assert_true(has(&peer->subject_name, "2.5.4.10", "Müller, Söhne"));
    assert_true(has(&peer->subject_name, "OU", "one") && has(&peer->subject_name, "L", "Köln"));
    assert_true(has(&peer->subject_name, "1.2.3.4.5", "own"));
    rig_expect_text(peer->subject, "CN=node7,");
    rig_expect_text(peer->subject, "O=Müller\\, Söhne,C=DE");
    assert_string_equal(peer->issuer, "CN=ca,O=Sluice tests");
    assert_string_equal(peer->key, "RSA 2048");
    assert_int_equal(strlen(peer->fingerprint), 64);
    assert_int_equal(strspn(peer->fingerprint, "0123456789abcdef"), 64);
    assert_int_equal(strncmp(peer->serial, "1a", 2), 0);
    static const struct tls_san sans[] = { { "DNS", "node7.example" },
                                           { "email", "ops@example.com" },
                                           { "URI", "urn:x" },
                                           { "IP", "10.0.0.7" },
                                           { "IP", "2001:db8::7" } };
    assert_int_equal(peer->san_count, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(peer->sans[i].kind, sans[i].kind);
        assert_string_equal(peer->sans[i].value, sans[i].value);
    }
    assert_in_range(peer->not_after - peer->not_before, 86400 + 3595, 86400 + 3605);
    assert_in_range(tls_peer_days(peer), 0, 1);
    tls_peer_free(peer);
    peer = tls_peer_new(forge_get(forge, "expired"), &error);
    assert_int_equal(tls_peer_days(peer), -1);
    assert_string_equal(peer->key, "ECDSA P-256");
    tls_peer_free(peer);
}

static void leaves_out_a_name_with_a_nul(void **state)
{
    (void)state;
    X509 *certificate = X509_dup(forge_get(forge, "plain"));
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    for (int i = 0; i < 2; i++) {
        GENERAL_NAME *name = GENERAL_NAME_new();
        ASN1_IA5STRING *value = ASN1_IA5STRING_new();
        assert_true(ASN1_STRING_set(value, i ? "good.example" : "good.example\0.evil.example", i ? 12 : 26));
        GENERAL_NAME_set0_value(name, GEN_DNS, value);
        sk_GENERAL_NAME_push(names, name);
    }
    assert_true(X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, X509V3_ADD_REPLACE));
    GENERAL_NAMES_free(names);
    int error;
    struct tls_peer *peer = tls_peer_new(certificate, &error);
    assert_non_null(peer);
    assert_int_equal(peer->san_count, 1);
    assert_string_equal(peer->sans[0].value, "good.example");
    tls_peer_free(peer);
    X509_free(certificate);
}

static X509_NAME *name_with(int type, const char *bytes, int length)
{
    X509_NAME *name = X509_NAME_new();
    assert_true(
        X509_NAME_add_entry_by_NID(name, NID_commonName, V_ASN1_UTF8STRING, (const unsigned char *)"node7", -1, -1, 0));
    X509_NAME_ENTRY *entry = X509_NAME_ENTRY_new();
    assert_true(X509_NAME_ENTRY_set_object(entry, OBJ_nid2obj(NID_organizationName)));
    assert_true(X509_NAME_ENTRY_set_data(entry, type, (const unsigned char *)bytes, length));
    assert_true(X509_NAME_add_entry(name, entry, -1, 0));
    X509_NAME_ENTRY_free(entry);
    return name;
}

static void decodes_every_kind_of_string_and_refuses_what_is_none(void **state)
{
    (void)state;
    static const struct {
        int type;
        const char *bytes;
        int length;
        const char *value; /* NULL: refused */
    } cases[] = {
        { V_ASN1_BMPSTRING, "\0K\0\xf6\0l\0n", 8, "Köln" },
        { V_ASN1_T61STRING, "K\xf6ln", 4, "Köln" },
        { V_ASN1_UNIVERSALSTRING, "\0\x01\xf4\xa7", 4, "\xf0\x9f\x92\xa7" },
        { V_ASN1_PRINTABLESTRING, "Acme", 4, "Acme" },
        { V_ASN1_BIT_STRING, "Acme", 4, NULL },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        X509 *certificate = X509_dup(forge_get(forge, "plain"));
        X509_NAME *name = name_with(cases[i].type, cases[i].bytes, cases[i].length);
        assert_true(X509_set_subject_name(certificate, name));
        int error = 0;
        struct tls_peer *peer = tls_peer_new(certificate, &error);
        if (cases[i].value)
            assert_true(peer && has(&peer->subject_name, "O", cases[i].value));
        else
            assert_true(!peer && error == -EBADMSG);
        tls_peer_free(peer);
        X509_NAME_free(name);
        X509_free(certificate);
    }
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

static void a_name_that_cannot_be_decoded_authenticates_nobody(void **state)
{
    (void)state;
    X509_NAME *name = name_with(V_ASN1_BIT_STRING, "Acme", 4);
    forge_make(forge, &(struct forge_certificate){ .name = "undecoded", .issuer = "ca", .raw_subject = name });
    X509_NAME_free(name);
    for (size_t j = 0; j < 2; j++) {
        for (int optional = 0; optional < 2; optional++) {
            struct config_profile *profile = rig_profile(CONFIG_SERVER, "server", "ca");
            profile->min_version = profile->max_version = versions[j];
            profile->verify = optional ? CONFIG_VERIFY_OPTIONAL : CONFIG_VERIFY_REQUIRED;
            struct tls_end server = tls_end_from(profile);
            struct tls_end client = tls_end_from(rig_profile(CONFIG_CLIENT, "undecoded", "ca"));
            int at_server, at_client;
            struct tls_pair pair = rig_pair(&server, &client, &at_server, &at_client);
            if (optional) {
                assert_int_equal(at_server, 0);
                assert_false(channel_facts(pair.server)->peer_verified);
                assert_null(channel_peer(pair.server));
                rig_expect_text(channel_facts(pair.server)->peer_error, "cannot be decoded");
            } else {
                assert_int_equal(at_server, -EACCES);
                rig_expect_text(channel_reason(pair.server), "cannot be decoded; sent alert bad_certificate");
            }
            tls_pair_free(&pair);
            tls_end_free(&server);
            tls_end_free(&client);
        }
    }
}

/* ---- ours, and the chain ---- */

static void tells_which_certificate_was_sent_and_keeps_the_peers_chain(void **state)
{
    (void)state;
    for (size_t j = 0; j < 2; j++) {
        struct config_profile *profile = rig_profile(CONFIG_SERVER, "deep1", "ca");
        profile->min_version = profile->max_version = versions[j];
        profile->save_chain = strdup("/tmp");
        profile->note = strdup("the note");
        struct tls_end server = tls_end_from(profile);
        struct tls_end client = tls_end_from(rig_profile(CONFIG_CLIENT, "deep2", "ca"));
        assert_string_equal(tls_context_save_chain(server.context), "/tmp");
        assert_string_equal(tls_context_note(server.context), "the note");
        assert_null(tls_context_save_chain(client.context));
        assert_null(tls_context_note(client.context));
        int at_server, at_client;
        struct tls_pair pair = rig_pair(&server, &client, &at_server, &at_client);
        assert_int_equal(at_server, 0);
        assert_string_equal(channel_own(pair.server)->subject, "CN=deep1,O=Sluice tests");
        assert_string_equal(channel_own(pair.client)->subject, "CN=deep2,O=Sluice tests");
        assert_string_equal(channel_peer(pair.server)->subject, "CN=deep2,O=Sluice tests");
        assert_null(channel_peer_chain(pair.client));
        char *chain = channel_peer_chain(pair.server);
        assert_non_null(chain);
        FILE *file = fopen(forge_path(forge, "deep2-chain.pem"), "r");
        char sent[16384];
        size_t length = fread(sent, 1, sizeof(sent) - 1, file);
        sent[length] = '\0';
        fclose(file);
        assert_string_equal(chain, sent);
        free(chain);
        tls_write_all(pair.server, "x", 1);
        rig_read_on(pair.client);
        tls_pair_free(&pair);

        pair = rig_pair(&server, &client, &at_server, &at_client);
        assert_true(channel_facts(pair.server)->resumed && channel_facts(pair.client)->resumed);
        assert_null(channel_own(pair.server));
        assert_null(channel_own(pair.client));
        assert_null(channel_peer_chain(pair.server));
        assert_string_equal(channel_peer(pair.server)->subject, "CN=deep2,O=Sluice tests");
        assert_true(channel_facts(pair.server)->mutual && channel_facts(pair.client)->mutual);
        tls_pair_free(&pair);
        tls_end_free(&server);
        tls_end_free(&client);
    }
}

static void a_client_that_was_not_asked_sent_nothing(void **state)
{
    (void)state;
    for (size_t j = 0; j < 2; j++) {
        for (int asked = 0; asked < 2; asked++) {
            struct config_profile *profile = rig_profile(CONFIG_SERVER, "server", "ca");
            profile->min_version = profile->max_version = versions[j];
            profile->verify = asked ? CONFIG_VERIFY_OPTIONAL : CONFIG_VERIFY_NONE;
            struct tls_end server = tls_end_from(profile);
            struct tls_end client = tls_end_from(rig_profile(CONFIG_CLIENT, asked ? NULL : "client", "ca"));
            for (int round = 0; round < 2; round++) {
                int at_server, at_client;
                struct tls_pair pair = rig_pair(&server, &client, &at_server, &at_client);
                assert_int_equal(at_server, 0);
                assert_null(channel_own(pair.client));
                assert_null(channel_peer(pair.server));
                assert_true(channel_facts(pair.client)->peer_verified);
                assert_false(channel_facts(pair.client)->mutual || channel_facts(pair.server)->mutual);
                assert_int_equal(channel_facts(pair.client)->resumed, round);
                tls_write_all(pair.server, "x", 1);
                rig_read_on(pair.client);
                tls_pair_free(&pair);
            }
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

/* ---- OCSP ---- */

static const struct staple_case {
    const char *title, *leaf;
    struct forge_response response;
    const char *refused; /* NULL: good */
} staples[] = {
    { "a good response of the issuer", "server", { .about = "server", .issuer = "ca" }, NULL },
    { "one without the signer's certificate",
      "server",
      { .about = "server", .issuer = "ca", .without_signer = true },
      NULL },
    { "one of a delegated responder", "server", { .about = "server", .issuer = "ca", .signer = "responder" }, NULL },
    { "below an intermediate", "deep1", { .about = "deep1", .issuer = "inter" }, NULL },
    { "none", "server", { .about = NULL }, "found none" },
    { "revoked",
      "server",
      { .about = "server", .issuer = "ca", .status = V_OCSP_CERTSTATUS_REVOKED },
      "found one that says: revoked since 20" },
    { "unknown",
      "server",
      { .about = "server", .issuer = "ca", .status = V_OCSP_CERTSTATUS_UNKNOWN },
      "whose responder does not know the certificate" },
    { "not yet current",
      "server",
      { .about = "server", .issuer = "ca", .starts = 3600, .ends = 7200 },
      "found one that is not current" },
    { "without an end and old",
      "server",
      { .about = "server", .issuer = "ca", .starts = -90000 },
      "found none" }, /* the server no longer staples it */
    { "of a stranger with a certificate for it",
      "server",
      { .about = "server", .issuer = "ca", .signer = "false-responder" },
      "neither the certificate's issuer nor a responder of it signed" },
    { "of a certificate that is no responder's",
      "server",
      { .about = "server", .issuer = "ca", .signer = "client" },
      "neither the certificate's issuer nor a responder of it signed" },
    { "signed with SHA-1", "server", { .about = "server", .issuer = "ca", .sha1 = true }, "SHA-1" },
};

static void run_staple(const struct staple_case *row, unsigned version)
{
    struct config_profile *ours = rig_profile(CONFIG_SERVER, row->leaf, "ca");
    struct config_profile *theirs = rig_profile(CONFIG_CLIENT, "client", "ca");
    theirs->ocsp = CONFIG_OCSP_STAPLE;
    theirs->min_version = theirs->max_version = version;
    if (row->response.about) {
        forge_respond(forge, "staple.der", &row->response);
        ours->ocsp_response = strdup(forge_path(forge, "staple.der"));
    }
    struct tls_end server = tls_end_from(ours), client = tls_end_from(theirs);
    for (int round = 0; round < (row->refused ? 1 : 2); round++) {
        int at_server, at_client;
        struct tls_pair pair = rig_pair(&server, &client, &at_server, &at_client);
        if (!row->refused && (at_client || !channel_facts(pair.client)->peer_verified))
            fail_msg("%s: %s", row->title, channel_reason(pair.client));
        if (row->refused) {
            assert_int_equal(at_client, -EACCES);
            rig_expect_text(channel_reason(pair.client), "ocsp: wanted a good stapled response");
            rig_expect_text(channel_reason(pair.client), row->refused);
            rig_expect_text(channel_reason(pair.client), "bad_certificate_status_response (113)");
        } else {
            assert_int_equal(channel_facts(pair.client)->resumed, round);
            tls_write_all(pair.server, "x", 1);
            rig_read_on(pair.client);
        }
        tls_pair_free(&pair);
    }
    tls_end_free(&server);
    tls_end_free(&client);
}

static void demands_a_good_staple(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(staples) / sizeof(staples[0]); i++)
        for (size_t j = 0; j < 2; j++)
            run_staple(&staples[i], versions[j]);
}

/* A server of somebody else, which staples whatever it is given. */
static int staple_file(SSL *ssl, void *file)
{
    FILE *in = fopen(file, "rb");
    unsigned char *bytes = OPENSSL_malloc(8192);
    assert_true(in && bytes);
    size_t length = fread(bytes, 1, 8192, in);
    fclose(in);
    SSL_set_tlsext_status_ocsp_resp(ssl, bytes, (long)length);
    return SSL_TLSEXT_ERR_OK;
}

static void refuses_what_only_another_server_would_staple(void **state)
{
    (void)state;
    forge_respond(forge, "other.der", &(struct forge_response){ .about = "client", .issuer = "ca" });
    forge_respond(forge, "old.der",
                  &(struct forge_response){ .about = "server", .issuer = "ca", .starts = -7200, .ends = -3600 });
    forge_respond(
        forge, "later.der",
        &(struct forge_response){ .about = "server", .issuer = "ca", .error = OCSP_RESPONSE_STATUS_TRYLATER });
    forge_write(forge, "junk.der", "\x30\x03junk", 6);
    static const struct {
        const char *file, *reason;
    } cases[] = {
        { "other.der", "one about another certificate" },
        { "old.der", "one that is not current: it counts until 20" },
        { "later.der", "an error of the responder: trylater" },
        { "junk.der", "one that is damaged" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t j = 0; j < 2; j++) {
            struct config_profile *theirs = rig_profile(CONFIG_CLIENT, NULL, "ca");
            theirs->ocsp = CONFIG_OCSP_STAPLE;
            theirs->min_version = theirs->max_version = versions[j];
            struct tls_end client = tls_end_from(theirs);
            SSL_CTX *other = SSL_CTX_new(TLS_server_method());
            assert_true(SSL_CTX_use_certificate_file(other, forge_path(forge, "server.pem"), SSL_FILETYPE_PEM));
            assert_true(SSL_CTX_use_PrivateKey_file(other, forge_path(forge, "server.key"), SSL_FILETYPE_PEM));
            SSL_CTX_set_tlsext_status_cb(other, staple_file);
            SSL_CTX_set_tlsext_status_arg(other, forge_path(forge, cases[i].file));
            int server_fd, client_fd;
            tls_sockets(&server_fd, &client_fd);
            SSL *ssl = SSL_new(other);
            struct timeval limit = { .tv_usec = 20000 };
            setsockopt(server_fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
            SSL_set_fd(ssl, server_fd);
            SSL_set_accept_state(ssl);
            struct channel *channel = channel_connect(client.context, client_fd, "localhost", 4433, NULL);
            int failed = -EAGAIN;
            for (int turns = 0; turns < 100 && failed == -EAGAIN; turns++) {
                failed = channel_handshake(channel);
                (void)SSL_do_handshake(ssl);
            }
            assert_int_equal(failed, -EACCES);
            rig_expect_text(channel_reason(channel), cases[i].reason);
            rig_expect_text(channel_reason(channel), "bad_certificate_status_response (113)");
            channel_free(channel);
            SSL_free(ssl);
            SSL_CTX_free(other);
            close(server_fd);
            tls_end_free(&client);
        }
    }
}

static void says_what_is_wrong_with_a_response(void **state)
{
    (void)state;
    forge_respond(forge, "other.der", &(struct forge_response){ .about = "client", .issuer = "ca" });
    forge_respond(forge, "old.der",
                  &(struct forge_response){ .about = "server", .issuer = "ca", .starts = -7200, .ends = -3600 });
    forge_respond(
        forge, "later.der",
        &(struct forge_response){ .about = "server", .issuer = "ca", .error = OCSP_RESPONSE_STATUS_TRYLATER });
    forge_respond(forge, "revoked-own.der",
                  &(struct forge_response){ .about = "server", .issuer = "ca", .status = V_OCSP_CERTSTATUS_REVOKED });
    static const struct {
        const char *file;
        enum config_severity severity;
        const char *what, *remedy;
    } cases[] = {
        { "absent.der", CONFIG_ERROR, "cannot be read: No such file", "put the file there" },
        { "ca.pem", CONFIG_ERROR, "is not an OCSP response in DER", "openssl ocsp" },
        { "other.der", CONFIG_ERROR, "is not about our certificate", "fetch one" },
        { "later.der", CONFIG_ERROR, "is an error of the responder: trylater", "ask it again" },
        { "old.der", CONFIG_WARNING, "is no longer current (it counted until 20", "fetch a new one" },
        { "revoked-own.der", CONFIG_WARNING, "says that our certificate is revoked", "have a new certificate made" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config_profile *profile = rig_profile(CONFIG_SERVER, "server", "ca");
        profile->ocsp_response = strdup(forge_path(forge, cases[i].file));
        rig_expect_problem(profile, cases[i].severity, cases[i].what, cases[i].remedy);
    }
}

static int set_up_with_lists(void **state)
{
    set_up(state);
    make_lists();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_a_certificate_as_values),
        cmocka_unit_test(leaves_out_a_name_with_a_nul),
        cmocka_unit_test(decodes_every_kind_of_string_and_refuses_what_is_none),
        cmocka_unit_test(holds_every_rule_in_both_versions),
        cmocka_unit_test(tolerates_every_failure_where_a_certificate_is_optional),
        cmocka_unit_test(refuses_certificates_that_our_own_side_would_not_load),
        cmocka_unit_test(a_name_that_cannot_be_decoded_authenticates_nobody),
        cmocka_unit_test(tells_which_certificate_was_sent_and_keeps_the_peers_chain),
        cmocka_unit_test(a_client_that_was_not_asked_sent_nothing),
        cmocka_unit_test(says_what_is_wrong_with_an_expression),
        cmocka_unit_test(says_what_is_wrong_with_a_list),
        cmocka_unit_test(a_list_that_runs_out_refuses_everybody),
        cmocka_unit_test(warns_of_a_save_chain_that_is_no_directory),
        cmocka_unit_test(demands_a_good_staple),
        cmocka_unit_test(refuses_what_only_another_server_would_staple),
        cmocka_unit_test(says_what_is_wrong_with_a_response),
    };
    return cmocka_run_group_tests(tests, set_up_with_lists, tear_down);
}
