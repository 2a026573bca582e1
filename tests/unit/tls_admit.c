// rooms: ktls config support
#include "tests/unit/verify_rig.h"

static const unsigned versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

static int set_up(void **state)
{
    (void)state;
    forge = forge_new();
    forge_make(forge, &(struct forge_certificate){ .name = "inter", .issuer = "ca", .ca = true });
    forge_make(forge, &(struct forge_certificate){ .name = "server", .issuer = "ca" });
    forge_make(forge, &(struct forge_certificate){ .name = "node7", .issuer = "ca" });
    forge_make(forge, &(struct forge_certificate){ .name = "deep", .issuer = "inter" });
    forge_make(forge, &(struct forge_certificate){ .name = "only-server", .issuer = "ca", .extended = "serverAuth" });
    forge_make(forge, &(struct forge_certificate){ .name = "stranger" });
    forge_revoke(forge, "good.crl", false, &(struct forge_list){ "ca", { "deep" }, 0, 0, NULL });
    forge_revoke(forge, "revoked.crl", false, &(struct forge_list){ "ca", { "node7" }, 0, 0, NULL });
    forge_make(forge, &(struct forge_certificate){ .name = "parted", .issuer = "ca", .lists = "URI:http://ca.test/1" });
    static const struct {
        const char *file, *point;
    } parts[] = { { "cas.crl", "critical,onlyCA:TRUE" },
                  { "users.crl", "critical,onlyuser:TRUE" },
                  { "part1.crl", "critical,fullname:URI:http://ca.test/1" },
                  { "part2.crl", "critical,fullname:URI:http://ca.test/2" } };
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        forge_revoke_part(forge, parts[i].file, &(struct forge_list){ .issuer = "ca" },
                          &(struct forge_scope){ .point = parts[i].point });
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    forge_free(forge);
    return 0;
}

#define SUITE_12 "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
#define SUITE_13 "TLS_AES_128_GCM_SHA256"

struct row {
    const char *title, *leaf; /* the session's client; NULL: it shows nothing */
    enum config_verify verify;
    const char *subject, *issuer, *crl, *trust; /* trust NULL: somebody else, as it is not run again */

    const char *ciphers[2]; /* none: the default list */
    enum config_key_usage key_usage;
    unsigned depth;
    const char *check, *wanted, *found; /* check NULL: admitted */
};

#define OPTIONAL CONFIG_VERIFY_OPTIONAL
#define REQUIRED CONFIG_VERIFY_REQUIRED
#define NONE CONFIG_VERIFY_NONE

static const struct row rows[] = {
    { "a verified client", "node7", REQUIRED, .depth = 10 },
    { "no certificate, where one is required", NULL, REQUIRED, .check = "level", .wanted = "a verified certificate",
      .found = "no certificate" },
    { "a bad one, where one is required", "stranger", REQUIRED, .check = "level", .wanted = "a verified certificate",
      .found = "a certificate that did not verify: self-signed certificate" },
    { "no certificate, where one is optional", NULL, OPTIONAL, .depth = 10 },
    { "a bad one, where one is optional", "stranger", OPTIONAL, .depth = 10 },
    { "no certificate, where nothing is asked", NULL, NONE, .depth = 10 },

    { "the suites that were negotiated", "node7", REQUIRED, .ciphers = { SUITE_12, SUITE_13 } },
    { "other suites", "node7", REQUIRED,
      .ciphers = { "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384" }, .check = "suite",
      .wanted = "TLS_AES_256_GCM_SHA384", .found = "_AES_128_GCM_SHA256" },

    { "the subject", "node7", OPTIONAL, .subject = "CN=node7" },
    { "another subject", "node7", REQUIRED, .subject = "CN=node70, CN=nod", .check = "subject",
      .wanted = "CN=node70, CN=nod", .found = "CN=node7,O=Sluice tests" },
    { "a subject of nobody", NULL, OPTIONAL, .subject = "NOT CN=node7", .check = "subject", .wanted = "NOT CN=node7",
      .found = "no certificate" },
    { "a subject that was never verified", "stranger", OPTIONAL, .subject = "CN=stranger", .check = "subject",
      .wanted = "CN=stranger", .found = "a certificate that did not verify" },
    { "the issuer", "deep", REQUIRED, .issuer = "CN=inter" },
    { "another issuer", "deep", REQUIRED, .issuer = "CN=ca", .check = "issuer", .wanted = "CN=ca",
      .found = "CN=inter,O=Sluice tests" },

    { "a certificate for servers", "only-server", REQUIRED, .check = "key_usage", .wanted = "a certificate for clients",
      .found = "serverAuth, digitalSignature" },
    { "the same, where it does not matter", "only-server", REQUIRED, .key_usage = CONFIG_KEY_USAGE_NONE },

    { "on no list", "node7", REQUIRED, .crl = "good.crl", .trust = "ca" },
    { "a list that nobody in trust signed", "node7", REQUIRED, .crl = "good.crl", .check = "crl",
      .wanted = "a current list of \"CN=ca,O=Sluice tests\"", .found = "none" },
    { "a list about CAs alone", "node7", REQUIRED, .crl = "cas.crl", .trust = "ca", .check = "crl", .found = "none" },
    { "a list about all but CAs", "node7", REQUIRED, .crl = "users.crl", .trust = "ca" },
    { "a list about a part, and not of it", "node7", REQUIRED, .crl = "part1.crl", .trust = "ca", .check = "crl",
      .found = "none" },
    { "the list of its part", "parted", REQUIRED, .crl = "part1.crl", .trust = "ca" },
    { "the list of another part", "parted", REQUIRED, .crl = "part2.crl", .trust = "ca", .check = "crl",
      .found = "none" },
    { "on the list", "node7", REQUIRED, .crl = "revoked.crl", .trust = "ca", .check = "crl",
      .wanted = "a certificate that is not revoked", .found = "a revoked one, serial 1a" },
    { "no list of its issuer", "deep", REQUIRED, .crl = "good.crl", .trust = "ca", .check = "crl",
      .wanted = "a current list of \"CN=inter,O=Sluice tests\"", .found = "none" },
    { "no certificate to be on a list", NULL, OPTIONAL, .crl = "revoked.crl" },

    { "a chain deeper than the partner's", "deep", REQUIRED, .depth = 0 }, /* is not run again */
    { "the first of two that fail", NULL, REQUIRED, .subject = "CN=x", .check = "level", .wanted = "a verified",
      .found = "no certificate" },
};

static struct tls_end partner_of(const struct row *row)
{
    struct config_profile *profile = rig_profile(CONFIG_SERVER, "server", row->trust ? row->trust : "stranger");
    profile->verify = row->verify;
    profile->depth = row->depth;
    profile->key_usage = row->key_usage;
    profile->subject = row->subject ? rig_expression(row->subject) : NULL;
    profile->issuer = row->issuer ? rig_expression(row->issuer) : NULL;
    if (row->crl)
        config_list_add(&profile->crl, forge_path(forge, row->crl));
    for (size_t i = 0; i < 2 && row->ciphers[i]; i++) {
        if (i == 0)
            config_list_clear(&profile->ciphers);
        config_list_add(&profile->ciphers, row->ciphers[i]);
    }
    return tls_end_from(profile);
}

/* The protocol's own profile takes anybody, so that what is refused is the partner's rules' doing. */
static struct tls_end protocol_end(void)
{
    struct config_profile *profile = rig_profile(CONFIG_SERVER, "server", "ca");
    profile->verify = CONFIG_VERIFY_OPTIONAL;
    profile->key_usage = CONFIG_KEY_USAGE_NONE;
    config_list_clear(&profile->ciphers);
    config_list_add(&profile->ciphers, SUITE_12);
    config_list_add(&profile->ciphers, SUITE_13);
    return tls_end_from(profile);
}

static struct tls_end client_end(const char *leaf, unsigned version)
{
    struct config_profile *profile = rig_profile(CONFIG_CLIENT, leaf, "ca");
    if (version)
        profile->min_version = profile->max_version = version;
    return tls_end_from(profile);
}

static void expect(const char *title, const struct tls_context *partner, const struct channel *channel,
                   const char *check, const char *wanted, const char *found)
{
    struct tls_denial denial;
    int result = tls_context_admit(partner, channel, &denial);
    if (result != (check ? -EACCES : 0))
        fail_msg("%s: %d %s: wanted %s, found %s", title, result, denial.check, denial.wanted, denial.found);
    assert_string_equal(denial.check, check ? check : "");
    rig_expect_text(denial.wanted, wanted ? wanted : "");
    rig_expect_text(denial.found, found ? found : "");
}

static void run_row(const struct row *row, unsigned version)
{
    struct tls_end server = protocol_end(), client = client_end(row->leaf, version), partner = partner_of(row);
    for (int round = 0; round < 2; round++) { /* a resumed session is judged alike */
        int at_server, at_client;
        struct tls_pair pair = rig_pair(&server, &client, &at_server, &at_client);
        if (at_server)
            fail_msg("%s: %s", row->title, channel_reason(pair.server));
        assert_int_equal(channel_facts(pair.server)->resumed, round);
        expect(row->title, partner.context, pair.server, row->check, row->wanted, row->found);
        tls_write_all(pair.server, "x", 1);
        rig_read_on(pair.client);
        tls_pair_free(&pair);
    }
    tls_end_free(&server);
    tls_end_free(&client);
    tls_end_free(&partner);
}

static void runs_every_additional_check_in_both_versions_and_on_resumption(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (size_t j = 0; j < 2; j++)
            run_row(&rows[i], versions[j]);
}

static void compares_the_version(void **state)
{
    (void)state;
    static const char *const names[] = { "TLSv1.2", "TLSv1.3" };
    for (size_t i = 0; i < 2; i++) {
        for (size_t j = 0; j < 2; j++) {
            struct tls_end server = protocol_end(), client = client_end("node7", versions[j]);
            struct config_profile *profile = rig_profile(CONFIG_SERVER, "server", "ca");
            profile->min_version = profile->max_version = versions[i];
            struct tls_end partner = tls_end_from(profile);
            int at_server, at_client;
            struct tls_pair pair = rig_pair(&server, &client, &at_server, &at_client);
            assert_int_equal(at_server, 0);
            expect("version", partner.context, pair.server, i == j ? NULL : "version", i == j ? "" : names[i],
                   i == j ? "" : names[j]);
            tls_pair_free(&pair);
            tls_end_free(&server);
            tls_end_free(&client);
            tls_end_free(&partner);
        }
    }
}

static void a_plain_connection_satisfies_no_profile(void **state)
{
    (void)state;
    static const enum config_verify levels[] = { REQUIRED, OPTIONAL, NONE };
    static const char *const checks[] = { "level", "version", "version" };
    for (size_t i = 0; i < 3; i++) {
        struct tls_end partner = partner_of(&(struct row){ .title = "plain", .verify = levels[i] });
        int server_fd, client_fd;
        tls_sockets(&server_fd, &client_fd);
        struct channel *channel = channel_plain(server_fd, NULL);
        expect("plain", partner.context, channel, checks[i], "", "a plain connection");
        channel_free(channel);
        close(client_fd);
        tls_end_free(&partner);
    }
}

static void a_list_that_ran_out_admits_nobody(void **state)
{
    (void)state;
    forge_revoke(forge, "short.crl", false, &(struct forge_list){ "ca", { NULL }, -60, 2, NULL });
    /* The list's signature is looked at when it is read, with the partner's own trust. */
    struct config_profile *profile = rig_profile(CONFIG_SERVER, "server", "ca");
    config_list_add(&profile->crl, forge_path(forge, "short.crl"));
    struct tls_end server = protocol_end(), client = client_end("node7", 0), partner = tls_end_from(profile);
    int at_server, at_client;
    struct tls_pair pair = rig_pair(&server, &client, &at_server, &at_client);
    assert_int_equal(at_server, 0);
    expect("current", partner.context, pair.server, NULL, NULL, NULL);
    sleep(3);
    expect("old", partner.context, pair.server, "crl", "a current list of \"CN=ca,O=Sluice tests\"",
           "one that has expired");
    tls_pair_free(&pair);
    tls_end_free(&server);
    tls_end_free(&client);
    tls_end_free(&partner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_every_additional_check_in_both_versions_and_on_resumption),
        cmocka_unit_test(compares_the_version),
        cmocka_unit_test(a_plain_connection_satisfies_no_profile),
        cmocka_unit_test(a_list_that_ran_out_admits_nobody),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
