// rooms: ktls config support
#include "tests/unit/verify_rig.h"

#include <openssl/x509v3.h>

#include "ktls/peer_internal.h"

static const unsigned versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

static int set_up(void **state)
{
    static const struct forge_certificate certificates[] = {
        { .name = "inter", .issuer = "ca", .ca = true },
        { .name = "inner", .issuer = "inter", .ca = true },
        { .name = "server", .issuer = "ca" },
        { .name = "client", .issuer = "ca" },
        { .name = "deep1", .issuer = "inter" },
        { .name = "deep2", .issuer = "inner" },
        { .name = "expired", .issuer = "ca", .starts = -7200, .ends = -60 },
        { .name = "plain", .issuer = "ca", .extended = "", .usage = "" },
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_a_certificate_as_values),
        cmocka_unit_test(leaves_out_a_name_with_a_nul),
        cmocka_unit_test(decodes_every_kind_of_string_and_refuses_what_is_none),
        cmocka_unit_test(a_name_that_cannot_be_decoded_authenticates_nobody),
        cmocka_unit_test(tells_which_certificate_was_sent_and_keeps_the_peers_chain),
        cmocka_unit_test(a_client_that_was_not_asked_sent_nothing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
