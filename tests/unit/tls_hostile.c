// rooms: ktls config support
/* Certificates and flights that only somebody with bad intent sends. */
#include "tests/unit/verify_rig.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <time.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define NAMES 12000 /* what fits into 100 kB, the most that OpenSSL takes */

static const unsigned versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

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

static struct tls_end server_end(enum config_verify verify, unsigned version)
{
    struct config_profile *profile = rig_profile(CONFIG_SERVER, "server", "ca");
    profile->verify = verify;
    profile->min_version = profile->max_version = version;
    return tls_end_from(profile);
}

/* The forge's certificate with another last byte of its signature. */
static X509 *spoil(const char *name)
{
    unsigned char *bytes = NULL;
    int length = i2d_X509(forge_get(forge, name), &bytes);
    assert_true(length > 0);
    bytes[length - 1] ^= 1;
    const unsigned char *at = bytes;
    X509 *spoilt = d2i_X509(NULL, &at, length);
    assert_non_null(spoilt);
    OPENSSL_free(bytes);
    return spoilt;
}

/* An OpenSSL client in memory, whose bytes go to the channel one at a time. */
struct raw {
    SSL_CTX *context;
    SSL *ssl;
    BIO *in, *out;
    int fd;
};

static struct raw raw_new(X509 *certificate, const char *key_of, int fd)
{
    struct raw raw = { .context = SSL_CTX_new(TLS_client_method()), .fd = fd };
    char name[64];
    snprintf(name, sizeof(name), "%s.key", key_of);
    assert_true(SSL_CTX_use_certificate(raw.context, certificate) == 1 &&
                SSL_CTX_use_PrivateKey_file(raw.context, forge_path(forge, name), SSL_FILETYPE_PEM) == 1);
    raw.ssl = SSL_new(raw.context);
    raw.in = BIO_new(BIO_s_mem());
    raw.out = BIO_new(BIO_s_mem());
    SSL_set_bio(raw.ssl, raw.in, raw.out);
    SSL_set_connect_state(raw.ssl);
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int)), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return raw;
}

static void raw_free(struct raw *raw)
{
    SSL_free(raw->ssl);
    SSL_CTX_free(raw->context);
    close(raw->fd);
}

/* What the server's handshake came to. */
static int shake_in_bytes(struct raw *raw, struct channel *server)
{
    unsigned char bytes[4096];
    int at_server = -EAGAIN;
    for (int turns = 0; turns < 500 && at_server == -EAGAIN; turns++) {
        usleep(1000);
        SSL_do_handshake(raw->ssl);
        at_server = channel_handshake(server);
        unsigned char byte;
        while (at_server == -EAGAIN && BIO_read(raw->out, &byte, 1) == 1) {
            assert_int_equal(send(raw->fd, &byte, 1, MSG_NOSIGNAL), 1);
            at_server = channel_handshake(server);
        }
        for (ssize_t got; (got = recv(raw->fd, bytes, sizeof(bytes), 0)) > 0;)
            assert_int_equal(BIO_write(raw->in, bytes, (int)got), got);
    }
    return at_server;
}

/* What OpenSSL noted about the bad certificate must not be taken for an error of the read that found no more bytes. */
static void an_optional_certificate_that_is_forged_is_tolerated_in_whatever_pieces_it_comes(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct tls_end server = server_end(CONFIG_VERIFY_OPTIONAL, versions[i]);
        int server_fd, client_fd;
        tls_sockets(&server_fd, &client_fd);
        X509 *forged = spoil("client");
        struct raw raw = raw_new(forged, "client", client_fd);
        struct channel *channel = channel_accept(server.context, server_fd, NULL);
        int result = shake_in_bytes(&raw, channel);
        if (result)
            fail_msg("%d: %s", result, channel_reason(channel));
        assert_false(channel_facts(channel)->peer_verified);
        rig_expect_text(channel_facts(channel)->peer_error, "signature");
        channel_free(channel);
        raw_free(&raw);
        X509_free(forged);
        tls_end_free(&server);
    }
}

/* ---- chains ---- */

static void expect_client(const char *title, const char *leaf, const char *why)
{
    for (size_t i = 0; i < 2; i++) {
        struct tls_end server = server_end(CONFIG_VERIFY_OPTIONAL, versions[i]);
        struct tls_end client = tls_end_from(rig_profile(CONFIG_CLIENT, leaf, "ca"));
        int at_server, at_client;
        struct tls_pair pair = rig_pair(&server, &client, &at_server, &at_client);
        if (at_server || at_client)
            fail_msg("%s: %s", title, channel_reason(pair.server));
        const struct channel_facts *facts = channel_facts(pair.server);
        if (facts->peer_verified != !why || (why && !strstr(facts->peer_error, why)))
            fail_msg("%s: %s", title, facts->peer_verified ? "verified" : facts->peer_error);
        tls_pair_free(&pair);
        tls_end_free(&client);
        tls_end_free(&server);
    }
}

static void only_a_ca_issues_certificates(void **state)
{
    (void)state;
    /* RFC 5280, 6.1.4 (k): it takes basic constraints, whatever the key usage says. */
    forge_make(forge, &(struct forge_certificate){
                          .name = "signer", .issuer = "ca", .usage = "critical,digitalSignature,keyCertSign" });
    forge_make(forge, &(struct forge_certificate){ .name = "of-signer", .issuer = "signer" });
    forge_make(forge, &(struct forge_certificate){ .name = "of-client", .issuer = "client" });
    forge_make(forge, &(struct forge_certificate){ .name = "no-sign", .issuer = "ca", .ca = true, .usage = "cRLSign" });
    forge_make(forge, &(struct forge_certificate){ .name = "of-no-sign", .issuer = "no-sign" });
    expect_client("key usage without basic constraints", "of-signer", "invalid CA certificate");
    expect_client("a leaf", "of-client", "invalid CA certificate");
    expect_client("a CA that may sign lists alone", "of-no-sign", "");
    expect_client("a client", "client", NULL);
}

/* ---- many names ---- */

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void expect_soon(const char *leaf, const char *subject)
{
    struct config_profile *profile = rig_profile(CONFIG_SERVER, "server", "ca");
    profile->subject = rig_expression(subject);
    struct tls_end server = tls_end_from(profile), client = tls_end_from(rig_profile(CONFIG_CLIENT, leaf, "ca"));
    int at_server, at_client;
    double begun = seconds();
    struct tls_pair pair = rig_pair(&server, &client, &at_server, &at_client);
    if (at_server != -EACCES)
        fail_msg("%s: %d %s", leaf, at_server, channel_reason(pair.server));
    rig_expect_text(channel_reason(pair.server), "subject: wanted");
    assert_true(seconds() - begun < 5);
    tls_pair_free(&pair);
    tls_end_free(&client);
    tls_end_free(&server);
}

static void thousands_of_names_are_looked_through_at_once(void **state)
{
    (void)state;
    X509_NAME *flood = X509_NAME_new();
    for (int i = 0; i < NAMES / 4; i++)
        assert_true(
            X509_NAME_add_entry_by_txt(flood, "CN", MBSTRING_ASC, (const unsigned char *)"aaaaaaaaab", -1, -1, 0));
    forge_make(forge, &(struct forge_certificate){ .name = "flood", .issuer = "ca", .raw_subject = flood });
    X509_NAME_free(flood);
    char *names = malloc((size_t)NAMES / 4 * 16), *at = names;
    assert_non_null(names);
    for (int i = 0; i < NAMES / 4; i++)
        at += sprintf(at, "%sDNS:a%d.b", i ? "," : "", i);
    forge_make(forge, &(struct forge_certificate){ .name = "sans", .issuer = "ca", .names = names });
    free(names);
    expect_soon("flood", "CN=*a*a*a*a*a*a*a*c OR contains:\"aaaaaaaaac\"");
    expect_soon("sans", "CN=*a*a*c");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_optional_certificate_that_is_forged_is_tolerated_in_whatever_pieces_it_comes),
        cmocka_unit_test(only_a_ca_issues_certificates),
        cmocka_unit_test(thousands_of_names_are_looked_through_at_once),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
