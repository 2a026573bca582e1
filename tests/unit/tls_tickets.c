// rooms: ktls config support
#include "tests/unit/verify_rig.h"

#include <openssl/ocsp.h>

#include "ktls/context_internal.h"
#include "ktls/verify_internal.h"

#define SHORT 3 /* seconds that something holds for */

static const unsigned versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

static int set_up(void **state)
{
    (void)state;
    forge = forge_new();
    forge_make(forge, &(struct forge_certificate){ .name = "server", .issuer = "ca" });
    forge_make(forge, &(struct forge_certificate){ .name = "client", .issuer = "ca" });
    forge_make(forge, &(struct forge_certificate){ .name = "stranger" });
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    forge_free(forge);
    return 0;
}

/* The client has its tickets afterwards. */
static void finish(struct tls_pair *pair)
{
    tls_write_all(pair->server, "x", 1);
    rig_read_on(pair->client);
    tls_pair_free(pair);
}

static void expect_session(const struct tls_end *server, const struct tls_end *client, bool resumed, bool verified)
{
    int at_server, at_client;
    struct tls_pair pair = rig_pair(server, client, &at_server, &at_client);
    if (at_server || at_client)
        fail_msg("server: %s, client: %s", channel_reason(pair.server), channel_reason(pair.client));
    assert_int_equal(channel_facts(pair.server)->resumed, resumed);
    assert_int_equal(channel_facts(pair.client)->resumed, resumed);
    assert_int_equal(channel_facts(pair.server)->peer_verified, verified);
    finish(&pair);
}

static void expect_refusal(const struct tls_end *server, const struct tls_end *client, bool by_server, const char *why)
{
    int at_server, at_client;
    struct tls_pair pair = rig_pair(server, client, &at_server, &at_client);
    assert_int_equal(by_server ? at_server : at_client, -EACCES);
    rig_expect_text(channel_reason(by_server ? pair.server : pair.client), why);
    tls_pair_free(&pair);
}

static struct tls_end end(enum config_role role, const char *leaf, unsigned version)
{
    struct config_profile *profile = rig_profile(role, leaf, "ca");
    if (version)
        profile->min_version = profile->max_version = version;
    return tls_end_from(profile);
}

/* ---- what holds for a short while ---- */

static char *make_brief(const char *kind, size_t index)
{
    static char names[8][16];
    static size_t used;
    char *name = names[used++ % 8];
    snprintf(name, sizeof(names[0]), "%s%zu", kind, index);
    forge_make(forge, &(struct forge_certificate){ .name = name, .issuer = "ca", .starts = -60, .ends = SHORT });
    return name;
}

static void open_brief_client(size_t j, struct tls_end *server, struct tls_end *client)
{
    *server = end(CONFIG_SERVER, "server", versions[j]);
    *client = end(CONFIG_CLIENT, make_brief("client", j), versions[j]);
}

static void open_brief_server(size_t j, struct tls_end *server, struct tls_end *client)
{
    *server = end(CONFIG_SERVER, make_brief("server", j), versions[j]);
    *client = end(CONFIG_CLIENT, "client", versions[j]);
}

static void open_brief_list(size_t j, struct tls_end *server, struct tls_end *client)
{
    char file[32];
    snprintf(file, sizeof(file), "short%zu.crl", j);
    forge_revoke(forge, file, false, &(struct forge_list){ "ca", { NULL }, -60, SHORT, NULL });
    struct config_profile *profile = rig_profile(CONFIG_SERVER, "server", "ca");
    config_list_add(&profile->crl, forge_path(forge, file));
    *server = tls_end_from(profile);
    *client = end(CONFIG_CLIENT, "client", versions[j]);
}

static void open_brief_staple(size_t j, struct tls_end *server, struct tls_end *client)
{
    forge_respond(forge, "short.der",
                  &(struct forge_response){ .about = "server", .issuer = "ca", .starts = -60, .ends = SHORT });
    struct config_profile *ours = rig_profile(CONFIG_SERVER, "server", "ca");
    ours->ocsp_response = strdup(forge_path(forge, "short.der"));
    struct config_profile *theirs = rig_profile(CONFIG_CLIENT, "client", "ca");
    theirs->ocsp = CONFIG_OCSP_STAPLE;
    theirs->min_version = theirs->max_version = versions[j];
    *server = tls_end_from(ours);
    *client = tls_end_from(theirs);
}

/* As if it was renewed in place: the client's context and its tickets stay. */
static void renew_client(const struct tls_end *client)
{
    SSL_CTX *theirs = tls_context_ssl(client->context);
    assert_true(SSL_CTX_use_certificate_file(theirs, forge_path(forge, "client.pem"), SSL_FILETYPE_PEM));
    assert_true(SSL_CTX_use_PrivateKey_file(theirs, forge_path(forge, "client.key"), SSL_FILETYPE_PEM));
}

static void expect_full_handshake(const struct tls_end *server, const struct tls_end *client)
{
    expect_session(server, client, false, true);
    expect_session(server, client, true, true);
}

static void expect_expired_client(const struct tls_end *server, const struct tls_end *client)
{
    expect_refusal(server, client, true, "certificate has expired");
    renew_client(client);
    expect_full_handshake(server, client);
}

static void expect_expired_server(const struct tls_end *server, const struct tls_end *client)
{
    assert_null(tls_context_session(client->context, "localhost:4433")); /* it is not even offered */
    expect_refusal(server, client, false, "certificate has expired");
}

static void expect_expired_list(const struct tls_end *server, const struct tls_end *client)
{
    expect_refusal(server, client, true, "crl: wanted a current list");
}

static void expect_expired_staple(const struct tls_end *server, const struct tls_end *client)
{
    assert_null(tls_context_session(client->context, "localhost:4433"));
    expect_refusal(server, client, false, "ocsp: wanted a good stapled response, found none");
}

static const struct {
    void (*open)(size_t version, struct tls_end *server, struct tls_end *client);
    void (*after)(const struct tls_end *server, const struct tls_end *client);
} briefs[] = {
    { open_brief_client, expect_expired_client },
    { open_brief_server, expect_expired_server },
    { open_brief_list, expect_expired_list },
    { open_brief_staple, expect_expired_staple },
};

/* The client's tickets from before the renewal are still there, and are not taken. */
static void a_session_is_resumed_as_long_as_what_was_verified_holds(void **state)
{
    (void)state;
    struct tls_end server[8], client[8];
    for (size_t i = 0; i < 8; i++) {
        briefs[i / 2].open(i % 2, &server[i], &client[i]);
        expect_session(&server[i], &client[i], false, true);
        expect_session(&server[i], &client[i], true, true);
    }
    sleep(SHORT + 1);
    for (size_t i = 0; i < 8; i++) {
        briefs[i / 2].after(&server[i], &client[i]);
        tls_end_free(&server[i]);
        tls_end_free(&client[i]);
    }
}

/* What a client shows that was given a ticket elsewhere: the same client, another server behind the same name. */
static void is_not_resumed_by_another(struct tls_context *other, unsigned version)
{
    struct tls_end server = end(CONFIG_SERVER, "server", version), client = end(CONFIG_CLIENT, "client", version);
    struct tls_end elsewhere = { .context = other };
    expect_session(&server, &client, false, true);
    expect_session(&elsewhere, &client, false, true);
    tls_end_free(&server);
    tls_end_free(&client);
}

static void a_ticket_of_another_protocol_or_profile_or_model_leads_to_a_full_handshake(void **state)
{
    (void)state;
    static const char *const scopes[] = { "test", "another" }, *const names[] = { "tested", "other" };
    for (size_t i = 0; i < 4; i++) {
        for (size_t j = 0; j < 2; j++) {
            struct config_profile *profile = rig_profile(CONFIG_SERVER, "server", "ca");
            struct config_errors errors = { 0 };
            free(profile->name);
            profile->name = strdup(names[i / 2]);
            struct tls_context *other = tls_context_new(profile, scopes[i % 2], &errors);
            assert_non_null(other);
            is_not_resumed_by_another(other, versions[j]);
            tls_context_drop(other);
            config_errors_clear(&errors);
            config_profile_free(profile);
        }
    }
}

/* Two contexts that share their ticket keys, as two processes of one cluster would: the scope still divides them. */
static void a_ticket_is_bound_to_its_scope_even_under_the_same_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        for (size_t j = 0; j < 2; j++) {
            struct tls_end server = end(CONFIG_SERVER, "server", versions[j]);
            struct tls_end client = end(CONFIG_CLIENT, "client", versions[j]);
            struct config_profile *profile = rig_profile(CONFIG_SERVER, "server", "ca");
            struct config_errors errors = { 0 };
            struct tls_context *other = tls_context_new(profile, i ? "another" : "test", &errors);
            unsigned char keys[80];
            assert_non_null(other);
            assert_int_equal(SSL_CTX_get_tlsext_ticket_keys(tls_context_ssl(server.context), keys, sizeof(keys)), 1);
            assert_int_equal(SSL_CTX_set_tlsext_ticket_keys(tls_context_ssl(other), keys, sizeof(keys)), 1);
            expect_session(&server, &client, false, true);
            expect_session(&(struct tls_end){ .context = other }, &client, i == 0, true);
            tls_context_drop(other);
            config_errors_clear(&errors);
            config_profile_free(profile);
            tls_end_free(&server);
            tls_end_free(&client);
        }
    }
}

/* A ticket that nobody wrote notes into, or that an optional certificate left, is not enough where one is required. */
static void notes_that_are_missing_or_not_good_enough_lead_to_a_full_handshake(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        for (size_t j = 0; j < 2; j++) {
            struct config_profile *lax = rig_profile(CONFIG_SERVER, "server", "ca");
            lax->verify = CONFIG_VERIFY_OPTIONAL;
            struct tls_end issuer = tls_end_from(lax), strict = end(CONFIG_SERVER, "server", versions[j]);
            if (i == 0)
                SSL_CTX_set_session_ticket_cb(tls_context_ssl(issuer.context), NULL, NULL, NULL);
            struct tls_end client = end(CONFIG_CLIENT, i ? NULL : "client", versions[j]);
            unsigned char keys[80];
            SSL_CTX_get_tlsext_ticket_keys(tls_context_ssl(issuer.context), keys, sizeof(keys));
            SSL_CTX_set_tlsext_ticket_keys(tls_context_ssl(strict.context), keys, sizeof(keys));
            expect_session(&issuer, &client, false, i == 0);
            if (i == 0)
                expect_session(&strict, &client, false, true);
            else
                expect_refusal(&strict, &client, true, "peer did not return a certificate");
            tls_end_free(&issuer);
            tls_end_free(&strict);
            tls_end_free(&client);
        }
    }
}

static void a_bad_certificate_stays_bad_with_its_reason(void **state)
{
    (void)state;
    for (size_t j = 0; j < 2; j++) {
        struct config_profile *profile = rig_profile(CONFIG_SERVER, "server", "ca");
        profile->verify = CONFIG_VERIFY_OPTIONAL;
        struct tls_end server = tls_end_from(profile), client = end(CONFIG_CLIENT, "stranger", versions[j]);
        for (int round = 0; round < 4; round++) { /* resumed, and resumed from what was resumed */
            int at_server, at_client;
            struct tls_pair pair = rig_pair(&server, &client, &at_server, &at_client);
            assert_int_equal(at_server, 0);
            assert_int_equal(channel_facts(pair.server)->resumed, round > 0);
            assert_false(channel_facts(pair.server)->peer_verified);
            rig_expect_text(channel_facts(pair.server)->peer_error, "self-signed certificate");
            assert_string_equal(channel_peer(pair.server)->subject, "CN=stranger,O=Sluice tests");
            finish(&pair);
        }
        tls_end_free(&server);
        tls_end_free(&client);
    }
}

/* A server that does not ask is refused, and leaves nothing behind that a second attempt could resume. */
static void enforced_is_not_got_around_by_resuming(void **state)
{
    (void)state;
    for (size_t j = 0; j < 2; j++) {
        for (int asks = 0; asks < 2; asks++) {
            struct config_profile *ours = rig_profile(CONFIG_SERVER, "server", "ca");
            ours->verify = asks ? CONFIG_VERIFY_REQUIRED : CONFIG_VERIFY_NONE;
            struct config_profile *theirs = rig_profile(CONFIG_CLIENT, "client", "ca");
            theirs->verify = CONFIG_VERIFY_ENFORCED;
            theirs->min_version = theirs->max_version = versions[j];
            struct tls_end server = tls_end_from(ours), client = tls_end_from(theirs);
            for (int round = 0; round < 3; round++) {
                if (!asks) {
                    expect_refusal(&server, &client, false, "did not ask for our certificate");
                    assert_null(tls_context_session(client.context, "localhost:4433"));
                    continue;
                }
                int at_server, at_client;
                struct tls_pair pair = rig_pair(&server, &client, &at_server, &at_client);
                assert_int_equal(at_client, 0);
                assert_int_equal(channel_facts(pair.client)->resumed, round > 0);
                assert_true(channel_facts(pair.client)->mutual);
                finish(&pair);
            }
            tls_end_free(&server);
            tls_end_free(&client);
        }
    }
}

/* We choose nothing by SNI (RFC 6066, 3): whoever resumes under another name is who it was, by the same profile. */
static void another_server_name_lends_no_rights(void **state)
{
    (void)state;
    for (size_t j = 0; j < 2; j++) {
        struct tls_end server = end(CONFIG_SERVER, "server", versions[j]);
        struct tls_end client = end(CONFIG_CLIENT, "client", versions[j]);
        expect_session(&server, &client, false, true);
        SSL_SESSION *session = tls_context_session(client.context, "localhost:4433");
        assert_non_null(session);
        assert_null(tls_context_session(client.context, "elsewhere.example:4433"));

        int server_fd, client_fd;
        tls_sockets(&server_fd, &client_fd);
        struct channel *channel = channel_accept(server.context, server_fd, NULL);
        SSL_CTX *theirs = SSL_CTX_new(TLS_client_method());
        SSL *ssl = SSL_new(theirs);
        struct timeval limit = { .tv_usec = 20000 };
        setsockopt(client_fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
        SSL_set_fd(ssl, client_fd);
        SSL_set_connect_state(ssl);
        assert_true(SSL_set_session(ssl, session) && SSL_set_tlsext_host_name(ssl, "elsewhere.example"));
        int result = -EAGAIN;
        for (int turns = 0; turns < 100 && result == -EAGAIN; turns++) {
            (void)SSL_do_handshake(ssl);
            result = channel_handshake(channel);
        }
        assert_int_equal(result, 0);
        assert_true(channel_facts(channel)->resumed);
        assert_string_equal(channel_peer(channel)->subject, "CN=client,O=Sluice tests");
        SSL_free(ssl);
        SSL_CTX_free(theirs);
        SSL_SESSION_free(session);
        close(client_fd);
        channel_free(channel);
        tls_end_free(&server);
        tls_end_free(&client);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_is_resumed_as_long_as_what_was_verified_holds),
        cmocka_unit_test(a_ticket_of_another_protocol_or_profile_or_model_leads_to_a_full_handshake),
        cmocka_unit_test(a_ticket_is_bound_to_its_scope_even_under_the_same_keys),
        cmocka_unit_test(notes_that_are_missing_or_not_good_enough_lead_to_a_full_handshake),
        cmocka_unit_test(a_bad_certificate_stays_bad_with_its_reason),
        cmocka_unit_test(enforced_is_not_got_around_by_resuming),
        cmocka_unit_test(another_server_name_lends_no_rights),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
