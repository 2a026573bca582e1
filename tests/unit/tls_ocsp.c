// rooms: ktls config support
#include "tests/unit/verify_rig.h"

#include <openssl/ocsp.h>

static const unsigned versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

static int set_up(void **state)
{
    static const struct forge_certificate certificates[] = {
        { .name = "other-ca", .ca = true },
        { .name = "inter", .issuer = "ca", .ca = true },
        { .name = "server", .issuer = "ca" },
        { .name = "client", .issuer = "ca" },
        { .name = "deep1", .issuer = "inter" },
        { .name = "responder", .issuer = "ca", .extended = "OCSPSigning", .names = "" },
        { .name = "weak-responder", .issuer = "ca", .extended = "OCSPSigning", .names = "", .rsa = 1024 },
        { .name = "false-responder", .issuer = "other-ca", .extended = "OCSPSigning", .names = "" },
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
    { "of a delegated responder with a weak key",
      "server",
      { .about = "server", .issuer = "ca", .signer = "weak-responder" },
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(demands_a_good_staple),
        cmocka_unit_test(refuses_what_only_another_server_would_staple),
        cmocka_unit_test(says_what_is_wrong_with_a_response),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
