// rooms: ktls config support
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>

#include "ktls/context_internal.h"
#include "tests/support/pki.h"

#define DAY 86400L
#define WORD(text) ((char *)(uintptr_t)(text)) /* the model has no const strings; nobody writes to them */
#define LIST(...)                                                                                                      \
    (struct config_list)                                                                                               \
    {                                                                                                                  \
        (char *[]){ __VA_ARGS__ }, sizeof((char *[]){ __VA_ARGS__ }) / sizeof(char *)                                  \
    }

static struct pki *pki;

static char *path(const char *name)
{
    return (char *)(uintptr_t)pki_path(pki, name);
}

static void copy(const char *const *from, size_t count, const char *to)
{
    char bytes[16384];
    size_t length = 0;
    for (size_t i = 0; i < count; i++) {
        FILE *file = fopen(path(from[i]), "r");
        assert_non_null(file);
        length += fread(bytes + length, 1, sizeof bytes - length, file);
        fclose(file);
    }
    assert_true(length < sizeof bytes);
    pki_write(pki, to, bytes, length);
}

static void write_key(const char *name, EVP_PKEY *key, const char *passphrase)
{
    FILE *file = fopen(path(name), "w");
    assert_true(file && fchmod(fileno(file), 0600) == 0);
    assert_true(PEM_write_PKCS8PrivateKey(file, key, passphrase ? EVP_aes_128_cbc() : NULL, NULL, 0, NULL,
                                          (void *)(uintptr_t)passphrase));
    fclose(file);
}

/* RSA of 1024 bits: OpenSSL reads it, and refuses to use it. */
static void make_weak(void)
{
    EVP_PKEY *key = EVP_RSA_gen(1024u);
    X509 *made = X509_new();
    FILE *file = fopen(path("weak.pem"), "w");
    assert_true(key && made && file);
    assert_true(X509_gmtime_adj(X509_getm_notBefore(made), -DAY) &&
                X509_gmtime_adj(X509_getm_notAfter(made), 90 * DAY));
    assert_true(X509_set_pubkey(made, key) && X509_sign(made, key, EVP_sha256()) && PEM_write_X509(file, made));
    fclose(file);
    write_key("weak.key", key, NULL);
    X509_free(made);
    EVP_PKEY_free(key);
}

static int set_up(void **state)
{
    (void)state;
    pki = pki_new();
    pki_make(pki, &(struct pki_leaf){ "node", PKI_ECDSA, -DAY, 90 * DAY, NULL, 0 });
    pki_make(pki, &(struct pki_leaf){ "rsa", PKI_RSA, -DAY, 90 * DAY, NULL, 0 });
    pki_make(pki, &(struct pki_leaf){ "client", PKI_ECDSA, -DAY, 90 * DAY, NULL, 0 });
    pki_make(pki, &(struct pki_leaf){ "alien", PKI_ECDSA, -DAY, 90 * DAY, NULL, 1 });
    pki_make(pki, &(struct pki_leaf){ "old", PKI_ECDSA, -90 * DAY, -DAY, NULL, 0 });
    pki_make(pki, &(struct pki_leaf){ "early", PKI_ECDSA, 2 * DAY, 90 * DAY, NULL, 0 });
    pki_make(pki, &(struct pki_leaf){ "named", PKI_ECDSA, -DAY, 90 * DAY, "node7.example", 0 });
    copy((const char *[]){ "ca.pem", "node.pem" }, 2, "reversed.pem");
    copy((const char *[]){ "node.pem", "ca.pem" }, 2, "chain.pem");
    copy((const char *[]){ "node.pem", "old.pem" }, 2, "old-chain.pem");
    pki_write(pki, "empty.pem", "", 0);
    pki_write(pki, "text.pem", "hello\n", 6);
    pki_write(pki, "der.pem", "\x30\x82\x01\x00", 4);
    static const char damaged[] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    pki_write(pki, "damaged.pem", damaged, sizeof damaged - 1);
    make_weak();
    EVP_PKEY *key = EVP_EC_gen("P-256");
    write_key("locked.key", key, "secret");
    EVP_PKEY_free(key);
    mkdir(path("none"), 0700);
    mkdir(path("some"), 0700);
    copy((const char *[]){ "ca.pem" }, 1, "some/ca.crt");
    pki_write(pki, "some/README", "not a certificate", 17);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pki_free(pki);
    return 0;
}

/* A list of one, which nobody frees: for profiles that only this test holds. */
static struct config_list one(char *item)
{
    static char *items[256];
    static size_t used;
    items[used % 256] = item;
    return (struct config_list){ &items[used++ % 256], 1 };
}

static struct config_profile server_profile(void)
{
    static char *trust[1];
    trust[0] = path("ca.pem");
    return (struct config_profile){ .role = CONFIG_SERVER,
                                    .name = WORD("inbound"),
                                    .certificate = one(path("node.pem")),
                                    .key = one(path("node.key")),
                                    .trust = { trust, 1 },
                                    .verify = CONFIG_VERIFY_REQUIRED,
                                    .depth = 10,
                                    .min_version = TLS1_2_VERSION,
                                    .max_version = TLS1_3_VERSION };
}

static struct config_profile client_profile(void)
{
    struct config_profile profile = server_profile();
    profile.role = CONFIG_CLIENT;
    profile.name = WORD("outbound");
    profile.certificate = one(path("client.pem"));
    profile.key = one(path("client.key"));
    return profile;
}

static struct tls_context *make(const struct config_profile *profile)
{
    struct config_errors errors = { 0 };
    struct tls_context *context = tls_context_new(profile, profile->role == CONFIG_SERVER ? "bulk" : "", &errors);
    if (!context)
        config_errors_print(&errors, stderr);
    assert_non_null(context);
    config_errors_clear(&errors);
    return context;
}

static const struct config_error *first_of(const struct config_errors *errors, enum config_severity severity)
{
    for (size_t i = 0; i < errors->count; i++)
        if (errors->items[i].severity == severity)
            return &errors->items[i];
    return NULL;
}

/* One problem of this severity, and no worse one, is found; its sentence contains both texts. */
static void expect(const struct config_profile *profile, enum config_severity severity, const char *what,
                   const char *remedy)
{
    struct config_errors errors = { 0 };
    struct tls_context *context = tls_context_new(profile, "bulk", &errors);
    const struct config_error *found = first_of(&errors, severity);
    size_t count = severity == CONFIG_ERROR ? errors.error_count : errors.count;
    if (count != 1 || !found || !strstr(found->text, what) || !strstr(found->text, remedy)) {
        config_errors_print(&errors, stderr);
        fail_msg("expected one message with \"%s\" and \"%s\"", what, remedy);
    }
    assert_true(severity == CONFIG_ERROR ? !context : context != NULL);
    tls_context_drop(context);
    config_errors_clear(&errors);
}

static void expect_error(const struct config_profile *profile, const char *what, const char *remedy)
{
    expect(profile, CONFIG_ERROR, what, remedy);
}

static void accepts_a_certificate_with_its_key(void **state)
{
    (void)state;
    static const char *const names[] = { "node", "rsa", "client" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct config_profile profile = server_profile();
        char certificate[32], key[32];
        snprintf(certificate, sizeof certificate, "%s.pem", names[i]);
        snprintf(key, sizeof key, "%s.key", names[i]);
        profile.certificate = one(path(certificate));
        profile.key = one(path(key));
        struct tls_context *context = make(&profile);
        assert_string_equal(tls_context_name(context), "inbound");
        assert_int_equal(tls_context_role(context), CONFIG_SERVER);
        tls_context_drop(context);
    }
}

static void says_what_is_wrong_with_a_certificate_file(void **state)
{
    (void)state;
    static const struct {
        const char *file, *what, *remedy;
    } cases[] = {
        { "absent.pem", "cannot be read: No such file", "put the file there" },
        { "none", "cannot be read: Is a directory", "name a file in it" },
        { "empty.pem", "is empty", "put a certificate there" },
        { "text.pem", "is neither PEM nor DER", "-----BEGIN" },
        { "der.pem", "looks like DER", "no intact certificate" },
        { "damaged.pem", "holds a damaged certificate", "intact" },
        { "node.key", "holds no certificate but \"PRIVATE KEY\"", "name the file" },
        { "old-chain.pem", "certificate 2 in", "expired on" },
        { "reversed.pem", "our own certificate at place 2", "put it first" },
        { "rsa.pem", "does not match key", "the key that the certificate was made for" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct config_profile profile = server_profile();
        profile.certificate = one(path(cases[i].file));
        expect_error(&profile, cases[i].what, cases[i].remedy);
    }
}

static void says_what_is_wrong_with_a_key_file(void **state)
{
    (void)state;
    static const struct {
        const char *file, *what, *remedy;
    } cases[] = {
        { "absent.key", "key \"", "cannot be read: No such file" },
        { "empty.pem", "is empty", "put a private key there" },
        { "node.pem", "holds no private key but \"CERTIFICATE\"", "name the file" },
        { "locked.key", "is encrypted with a passphrase", "key_passphrase_file" },
        { "rsa.key", "does not match key", "made for" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct config_profile profile = server_profile();
        profile.key = one(path(cases[i].file));
        expect_error(&profile, cases[i].what, cases[i].remedy);
    }
}

static void refuses_a_certificate_outside_its_days(void **state)
{
    (void)state;
    struct config_profile profile = server_profile();
    profile.certificate = one(path("old.pem"));
    profile.key = one(path("old.key"));
    expect_error(&profile, "expired on 20", "renewed");
    profile.certificate = one(path("early.pem"));
    profile.key = one(path("early.key"));
    expect_error(&profile, "is not valid before 20", "clock");
}

static void refuses_a_key_that_everybody_may_read(void **state)
{
    (void)state;
    struct config_profile profile = server_profile();
    assert_int_equal(chmod(profile.key.items[0], 0644), 0);
    expect_error(&profile, "every user of this machine (mode 0644)", "chmod 600");
    assert_int_equal(chmod(profile.key.items[0], 0640), 0);
    expect(&profile, CONFIG_WARNING, "whole group (mode 0640)", "chmod 600");
    assert_int_equal(chmod(profile.key.items[0], 0600), 0);
}

static void refuses_a_key_that_is_too_weak(void **state)
{
    (void)state;
    struct config_profile profile = server_profile();
    profile.certificate = one(path("weak.pem"));
    profile.key = one(path("weak.key"));
    expect_error(&profile, "has a weak key (RSA 1024)", "2048 bits");
}

static void needs_a_certificate_for_a_server_and_both_halves_for_a_client(void **state)
{
    (void)state;
    struct config_profile profile = client_profile();
    profile.key = (struct config_list){ 0 };
    expect_error(&profile, "key is missing", "private key");
    profile = client_profile();
    profile.certificate = (struct config_list){ 0 };
    expect_error(&profile, "certificate is missing", "PEM");
    profile.key = (struct config_list){ 0 };
    tls_context_drop(make(&profile));

    struct config_errors errors = { 0 };
    profile.role = CONFIG_SERVER;
    assert_null(tls_context_new(&profile, "bulk", &errors));
    assert_int_equal(errors.error_count, 2);
    config_errors_clear(&errors);
}

static void says_what_is_wrong_with_trust(void **state)
{
    (void)state;
    struct config_profile profile = client_profile();
    profile.trust = (struct config_list){ 0 };
    expect_error(&profile, "trust is empty", "trust = system");
    profile.trust = LIST(path("absent.pem"));
    expect_error(&profile, "trust \"", "No such file");
    profile.trust = LIST(path("none"));
    expect_error(&profile, "a directory without a certificate", ".crt");
    profile.trust = LIST(path("text.pem"));
    expect_error(&profile, "is neither PEM nor DER", "-----BEGIN");
    profile.certificate = profile.key = (struct config_list){ 0 };
    profile.trust = LIST(path("old.pem"));
    expect(&profile, CONFIG_WARNING, "has expired, \"CN=old,O=Sluice tests\"", "successor");

    setenv("SSL_CERT_FILE", path("absent.pem"), 1);
    setenv("SSL_CERT_DIR", path("absent"), 1);
    profile.trust = LIST(WORD("system"));
    expect_error(&profile, "this system has no certificates", "ca-certificates");
    setenv("SSL_CERT_FILE", path("ca.pem"), 1);
    tls_context_drop(make(&profile));
    unsetenv("SSL_CERT_FILE");
    unsetenv("SSL_CERT_DIR");
}

static void reads_every_certificate_of_a_trust_directory_and_lists_it_to_clients(void **state)
{
    (void)state;
    struct config_profile profile = server_profile();
    profile.trust = LIST(path("some"));
    struct tls_context *context = make(&profile);
    STACK_OF(X509_NAME) *names = SSL_CTX_get_client_CA_list(tls_context_ssl(context));
    assert_int_equal(sk_X509_NAME_num(names), 1);
    tls_context_drop(context);
}

static void reports_every_problem_in_one_run_with_its_line(void **state)
{
    (void)state;
    char text[2048];
    snprintf(text, sizeof text,
             "[server-profile inbound]\ncertificate = %s\nkey = %s\ntrust = %s\nciphers = TLS_AES_128_GCM_SHA265\n",
             path("absent.pem"), path("locked.key"), path("none"));
    struct config_errors errors = { 0 };
    struct config *config = config_parse("/site.ini", text, strlen(text), &errors);
    assert_non_null(config);
    config_errors_clear(&errors);
    const struct config_profile *profile = config_find_profile(config, CONFIG_SERVER, "inbound");
    assert_null(tls_context_new(profile, "bulk", &errors));
    assert_int_equal(errors.count, 4);
    config_errors_sort(&errors);
    for (size_t i = 0; i < 4; i++) {
        char place[64];
        snprintf(place, sizeof place, "/site.ini:%zu: server-profile \"inbound\": ", i + 2);
        assert_memory_equal(errors.items[i].text, place, strlen(place));
    }
    config_errors_clear(&errors);
    config_free(config);
}

static void assert_suites(const struct config_profile *profile, const char *const *names, size_t count)
{
    struct tls_context *context = make(profile);
    STACK_OF(SSL_CIPHER) *list = SSL_CTX_get_ciphers(tls_context_ssl(context));
    assert_int_equal(sk_SSL_CIPHER_num(list), count);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(SSL_CIPHER_standard_name(sk_SSL_CIPHER_value(list, (int)i)), names[i]);
    tls_context_drop(context);
}

static void takes_iana_names_openssl_names_and_numbers_in_the_order_written(void **state)
{
    (void)state;
    struct config_profile profile = server_profile();
    profile.ciphers = LIST(WORD("TLS_AES_256_GCM_SHA384"), WORD("49199"), WORD("ECDHE-ECDSA-CHACHA20-POLY1305"),
                           WORD("4868"), WORD("tls_ecdhe_ecdsa_with_aes_128_ccm"));
    static const char *const names[] = { "TLS_AES_256_GCM_SHA384", "TLS_AES_128_CCM_SHA256",
                                         "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
                                         "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
                                         "TLS_ECDHE_ECDSA_WITH_AES_128_CCM" };
    assert_suites(&profile, names, 5);
}

static void offers_only_aead_with_forward_secrecy_by_default(void **state)
{
    (void)state;
    struct config_profile profile = client_profile();
    struct tls_context *context = make(&profile);
    STACK_OF(SSL_CIPHER) *list = SSL_CTX_get_ciphers(tls_context_ssl(context));
    assert_int_equal(sk_SSL_CIPHER_num(list), 9);
    assert_string_equal(SSL_CIPHER_standard_name(sk_SSL_CIPHER_value(list, 0)), "TLS_AES_128_GCM_SHA256");
    for (int i = 0; i < sk_SSL_CIPHER_num(list); i++) {
        int exchange = SSL_CIPHER_get_kx_nid(sk_SSL_CIPHER_value(list, i));
        assert_true(SSL_CIPHER_is_aead(sk_SSL_CIPHER_value(list, i)));
        assert_true(exchange == NID_kx_any || exchange == NID_kx_ecdhe);
    }
    tls_context_drop(context);
}

static void says_what_is_wrong_with_a_suite(void **state)
{
    (void)state;
    static const struct {
        const char *word, *what, *remedy;
    } cases[] = {
        { "TLS_AES_128_GCM_SHA265", "not the name of a suite", "did you mean TLS_AES_128_GCM_SHA256?" },
        { "ECDHE-RSA-AES128-GCM-SHA25", "not the name", "did you mean ECDHE-RSA-AES128-GCM-SHA256?" },
        { "HIGH", "not the name of a suite", "write an IANA name" },
        { "", "not the name of a suite", "write an IANA name" },
        { "TLS_FROBNICATE_1024_XYZ", "is not supported by this OpenSSL", "use TLS_AES_128_GCM_SHA256" },
        { "99999", "not the number of a suite", "65535" },
        { "65000", "0xFDE8", "is supported by this OpenSSL" },
        { "TLS_ECDHE_RSA_WITH_NULL_SHA", "does not encrypt", "use TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" },
        { "TLS_ECDH_anon_WITH_AES_128_CBC_SHA", "authenticates nobody", "use " },
        { "TLS_RSA_WITH_RC4_128_SHA", "RC4", "use " },
        { "TLS_RSA_EXPORT_WITH_RC4_40_MD5", "export", "use " },
        { "TLS_RSA_WITH_3DES_EDE_CBC_SHA", "DES", "use " },
        { "TLS_RSA_WITH_AES_128_GCM_SHA256", "no forward secrecy", "use " },
        { "53", "TLS_RSA_WITH_AES_256_CBC_SHA is insecure", "use " },
        { "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "CBC", "use TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" },
        { "ECDHE-ECDSA-AES256-SHA384", "CBC", "use TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256" },
        { "TLS_AES_128_CCM_8_SHA256", "too few bits", "use TLS_AES_128_GCM_SHA256" },
        { "TLS_DHE_PSK_WITH_AES_128_GCM_SHA256", "does not authenticate by certificate", "use " },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct config_profile profile = server_profile();
        profile.ciphers = LIST(WORD("TLS_AES_128_GCM_SHA256"), (char *)(uintptr_t)cases[i].word, WORD("49199"));
        expect_error(&profile, cases[i].what, cases[i].remedy);
    }
}

static void refuses_a_list_that_leaves_an_allowed_version_without_a_suite(void **state)
{
    (void)state;
    struct config_profile profile = server_profile();
    profile.ciphers = LIST(WORD("TLS_AES_128_GCM_SHA256"));
    expect_error(&profile, "no listed suite serves TLS 1.2", "min_version = 1.3");
    profile.min_version = TLS1_3_VERSION;
    tls_context_drop(make(&profile));

    profile = server_profile();
    profile.ciphers = LIST(WORD("49195"));
    expect_error(&profile, "no listed suite serves TLS 1.3", "max_version = 1.2");
    profile.max_version = TLS1_2_VERSION;
    tls_context_drop(make(&profile));
}

static void refuses_suites_that_the_servers_own_certificate_cannot_serve(void **state)
{
    (void)state;
    struct config_profile profile = server_profile();
    profile.ciphers = LIST(WORD("TLS_AES_128_GCM_SHA256"), WORD("49199"));
    expect_error(&profile, "no listed suite of TLS 1.2 works with a certificate", "TLS_ECDHE_ECDSA_WITH_");
    profile.certificate = one(path("rsa.pem"));
    profile.key = one(path("rsa.key"));
    tls_context_drop(make(&profile));
    profile.ciphers = LIST(WORD("TLS_AES_128_GCM_SHA256"), WORD("49195"));
    expect_error(&profile, "no listed suite of TLS 1.2 works with a certificate", "TLS_ECDHE_RSA_WITH_");
}

static void warns_of_suites_that_can_never_be_used(void **state)
{
    (void)state;
    struct config_profile profile = server_profile();
    profile.ciphers = LIST(WORD("TLS_AES_128_GCM_SHA256"), WORD("49195"), WORD("4865"));
    expect(&profile, CONFIG_WARNING, "TLS_AES_128_GCM_SHA256 is listed twice", "first place counts");
    profile.min_version = TLS1_3_VERSION;
    profile.ciphers = LIST(WORD("TLS_AES_128_GCM_SHA256"), WORD("49195"));
    expect(&profile, CONFIG_WARNING, "AES_128_GCM_SHA256 is never used", "belongs to TLS 1.2");
}

/* Two ends over memory. */
struct session {
    SSL *server, *client;
    bool done;
};

static const char peer[] = "localhost:8443";

static void step(SSL *ssl, bool *failed)
{
    int result = SSL_do_handshake(ssl);
    if (result <= 0 && SSL_get_error(ssl, result) != SSL_ERROR_WANT_READ)
        *failed = true;
}

static struct session handshake(struct tls_context *server, struct tls_context *client, const char *dialled,
                                SSL_SESSION *resume)
{
    struct session session = { SSL_new(tls_context_ssl(server)), SSL_new(tls_context_ssl(client)), false };
    BIO *near = NULL, *far = NULL;
    bool failed = false;
    assert_true(session.server && session.client && BIO_new_bio_pair(&near, 65536, &far, 65536));
    SSL_set_bio(session.server, near, near);
    SSL_set_bio(session.client, far, far);
    SSL_set_accept_state(session.server);
    SSL_set_connect_state(session.client);
    assert_true(SSL_set_ex_data(session.client, tls_context_key_index(), (void *)(uintptr_t)peer));
    assert_int_equal(tls_context_prepare(client, session.client, dialled), 0);
    if (resume)
        assert_true(SSL_set_session(session.client, resume));
    for (int i = 0; i < 10 && !failed; i++) {
        step(session.client, &failed);
        if (!failed)
            step(session.server, &failed);
    }
    session.done = !failed && SSL_is_init_finished(session.server) && SSL_is_init_finished(session.client);
    char byte;
    if (session.done) /* takes the tickets */
        assert_int_equal(SSL_read(session.client, &byte, 1), -1);
    return session;
}

static void session_end(struct session *session)
{
    if (session->done) {
        SSL_shutdown(session->client); /* or OpenSSL takes the session for broken */
        SSL_shutdown(session->server);
    }
    SSL_free(session->server);
    SSL_free(session->client);
}

static bool connects(const struct config_profile *server, const struct config_profile *client, const char *dialled)
{
    struct tls_context *ours = make(server), *theirs = make(client);
    struct session session = handshake(ours, theirs, dialled, NULL);
    bool done = session.done;
    session_end(&session);
    tls_context_drop(ours);
    tls_context_drop(theirs);
    return done;
}

static void authenticates_both_sides(void **state)
{
    (void)state;
    struct config_profile server = server_profile(), client = client_profile();
    assert_true(connects(&server, &client, "localhost"));
    server.certificate = one(path("chain.pem"));
    assert_true(connects(&server, &client, "localhost"));
    client.certificate = one(path("alien.pem"));
    client.key = one(path("alien.key"));
    assert_false(connects(&server, &client, "localhost"));
    client.certificate = client.key = (struct config_list){ 0 };
    assert_false(connects(&server, &client, "localhost"));
    server.verify = CONFIG_VERIFY_NONE;
    assert_true(connects(&server, &client, "localhost"));
    server.certificate = one(path("alien.pem"));
    server.key = one(path("alien.key"));
    assert_false(connects(&server, &client, "localhost"));
    client.verify = CONFIG_VERIFY_NONE;
    assert_true(connects(&server, &client, "localhost"));
}

static void compares_the_certificate_with_the_name_the_profile_says(void **state)
{
    (void)state;
    struct config_profile server = server_profile(), client = client_profile();
    assert_true(connects(&server, &client, "127.0.0.1"));
    assert_true(connects(&server, &client, "localhost."));
    assert_false(connects(&server, &client, "127.0.0.2"));
    assert_false(connects(&server, &client, "elsewhere.example"));
    client.hostname = CONFIG_HOSTNAME_ANY;
    assert_true(connects(&server, &client, "elsewhere.example"));

    server.certificate = one(path("named.pem"));
    server.key = one(path("named.key"));
    client.hostname = CONFIG_HOSTNAME_NAMED;
    client.hostname_value = WORD("node7.example");
    assert_true(connects(&server, &client, "127.0.0.1"));
    client.hostname_value = WORD("node8.example");
    assert_false(connects(&server, &client, "node7.example"));
}

static void tells_the_server_the_name_that_was_dialled(void **state)
{
    (void)state;
    static const struct {
        const char *dialled, *expected, *sent;
    } cases[] = {
        { "node7.example", NULL, "node7.example" },
        { "node7.example.", NULL, "node7.example" },
        { "10.0.0.7", NULL, NULL },
        { "fe80::1%eth0", NULL, NULL },
        { "10.0.0.7", "node7.example", "node7.example" },
        { "alias.example", "node7.example", "alias.example" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct config_profile profile = client_profile();
        profile.hostname = cases[i].expected ? CONFIG_HOSTNAME_NAMED : CONFIG_HOSTNAME_DIALLED;
        profile.hostname_value = (char *)(uintptr_t)cases[i].expected;
        struct tls_context *context = make(&profile);
        SSL *ssl = SSL_new(tls_context_ssl(context));
        assert_int_equal(tls_context_prepare(context, ssl, cases[i].dialled), 0);
        const char *sent = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
        assert_true(cases[i].sent ? sent && strcmp(sent, cases[i].sent) == 0 : !sent);
        assert_true(tls_context_prepare(context, ssl, "") < 0);
        SSL_free(ssl);
        tls_context_drop(context);
    }
}

static void tolerates_a_bad_certificate_where_it_is_optional_but_does_not_call_it_good(void **state)
{
    (void)state;
    static const char *const names[] = { "alien", "client" };
    for (size_t i = 0; i < 2; i++) {
        struct config_profile server = server_profile(), client = client_profile();
        char certificate[32], key[32];
        snprintf(certificate, sizeof certificate, "%s.pem", names[i]);
        snprintf(key, sizeof key, "%s.key", names[i]);
        server.verify = CONFIG_VERIFY_OPTIONAL;
        client.certificate = one(path(certificate));
        client.key = one(path(key));
        struct tls_context *ours = make(&server), *theirs = make(&client);
        struct session first = handshake(ours, theirs, "localhost", NULL);
        assert_true(first.done);
        bool good = SSL_get_verify_result(first.server) == X509_V_OK;
        assert_int_equal(good, i == 1);
        session_end(&first);

        /* What a ticket brings back is no better. */
        SSL_SESSION *ticket = tls_context_session(theirs, peer);
        struct session second = handshake(ours, theirs, "localhost", ticket);
        assert_true(second.done && SSL_session_reused(second.server));
        assert_int_equal(SSL_get_verify_result(second.server) == X509_V_OK, i == 1);
        SSL_SESSION_free(ticket);
        session_end(&second);
        tls_context_drop(ours);
        tls_context_drop(theirs);
    }
}

static void resumes_with_a_ticket_once_in_tls_13_and_again_in_tls_12(void **state)
{
    (void)state;
    for (unsigned version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct config_profile server = server_profile(), client = client_profile();
        client.min_version = client.max_version = version;
        struct tls_context *ours = make(&server), *theirs = make(&client);
        assert_null(tls_context_session(theirs, peer));
        struct session session = handshake(ours, theirs, "localhost", NULL);
        assert_true(session.done && !SSL_session_reused(session.client));
        session_end(&session);

        assert_null(tls_context_session(theirs, "elsewhere:8443"));
        SSL_SESSION *one = tls_context_session(theirs, peer), *two = tls_context_session(theirs, peer);
        assert_true(one && two && (one == two) == (version == TLS1_2_VERSION));
        SSL_SESSION *three = tls_context_session(theirs, peer);
        assert_true(!three == (version == TLS1_3_VERSION));

        session = handshake(ours, theirs, "localhost", one);
        assert_true(session.done && SSL_session_reused(session.client));
        session_end(&session);
        SSL_SESSION_free(one);
        SSL_SESSION_free(two);
        SSL_SESSION_free(three);
        tls_context_drop(ours);
        tls_context_drop(theirs);
    }
}

static void does_not_take_a_ticket_of_another_context(void **state)
{
    (void)state;
    struct config_profile server = server_profile(), client = client_profile();
    struct tls_context *ours = make(&server), *others = make(&server), *theirs = make(&client);
    struct session session = handshake(ours, theirs, "localhost", NULL);
    session_end(&session);
    SSL_SESSION *ticket = tls_context_session(theirs, peer);
    assert_non_null(ticket);
    session = handshake(others, theirs, "localhost", ticket);
    assert_true(session.done && !SSL_session_reused(session.server));
    session_end(&session);
    SSL_SESSION_free(ticket);
    tls_context_drop(ours);
    tls_context_drop(others);
    tls_context_drop(theirs);
}

static void keeps_a_bounded_number_of_sessions(void **state)
{
    (void)state;
    struct config_profile server = server_profile(), client = client_profile();
    struct tls_context *ours = make(&server), *theirs = make(&client);
    for (int i = 0; i < 40; i++) {
        struct session session = handshake(ours, theirs, "localhost", NULL);
        assert_true(session.done);
        session_end(&session);
    }
    size_t count = 0;
    for (SSL_SESSION *ticket; (ticket = tls_context_session(theirs, peer)); count++)
        SSL_SESSION_free(ticket);
    assert_int_equal(count, 64);
    tls_context_drop(ours);
    tls_context_drop(theirs);
}

static void follows_our_order_of_suites_not_the_clients(void **state)
{
    (void)state;
    struct config_profile server = server_profile(), client = client_profile();
    server.ciphers =
        LIST(WORD("TLS_AES_128_CCM_SHA256"), WORD("TLS_AES_128_GCM_SHA256"), WORD("TLS_ECDHE_ECDSA_WITH_AES_128_CCM"));
    client.ciphers = LIST(WORD("TLS_AES_128_GCM_SHA256"), WORD("TLS_AES_128_CCM_SHA256"), WORD("49195"),
                          WORD("TLS_ECDHE_ECDSA_WITH_AES_128_CCM"));
    static const char *const chosen[] = { "TLS_ECDHE_ECDSA_WITH_AES_128_CCM", "TLS_AES_128_CCM_SHA256" };
    for (unsigned version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        struct tls_context *ours = make(&server), *theirs = make(&client);
        SSL_CTX_set_max_proto_version(tls_context_ssl(theirs), (int)version);
        struct session session = handshake(ours, theirs, "localhost", NULL);
        assert_true(session.done);
        assert_string_equal(SSL_CIPHER_standard_name(SSL_get_current_cipher(session.client)),
                            chosen[version - TLS1_2_VERSION]);
        session_end(&session);
        tls_context_drop(ours);
        tls_context_drop(theirs);
    }
}

static void keeps_to_the_versions_of_the_profile(void **state)
{
    (void)state;
    struct config_profile server = server_profile(), client = client_profile();
    server.min_version = TLS1_3_VERSION;
    client.max_version = TLS1_2_VERSION;
    assert_false(connects(&server, &client, "localhost"));
}

static unsigned compressed;

static void count_compressed(int write, int version, int type, const void *bytes, size_t length, SSL *ssl, void *unused)
{
    (void)write;
    (void)version;
    (void)ssl;
    (void)unused;
    compressed += type == SSL3_RT_HANDSHAKE && length > 0 && *(const uint8_t *)bytes == 25; /* RFC 8879, 4 */
}

static int count_offers(SSL *ssl, int *alert, void *unused)
{
    const unsigned char *extension;
    size_t length;
    (void)alert;
    (void)unused;
    compressed += (unsigned)SSL_client_hello_get0_ext(ssl, 27, &extension, &length);
    return SSL_CLIENT_HELLO_SUCCESS;
}

static void neither_asks_for_compressed_certificates_nor_sends_them(void **state)
{
    (void)state;
    struct config_profile server = server_profile(), client = client_profile();
    for (int other = 0; other < 2; other++) {
        struct tls_context *ours = make(&server), *theirs = make(&client);
        SSL_CTX *willing = tls_context_ssl(other ? ours : theirs);
        compressed = 0;
        SSL_CTX_clear_options(willing, SSL_OP_NO_TX_CERTIFICATE_COMPRESSION | SSL_OP_NO_RX_CERTIFICATE_COMPRESSION);
        SSL_CTX_set_msg_callback(willing, count_compressed);
        if (other)
            SSL_CTX_set_client_hello_cb(willing, count_offers, NULL);
        struct session session = handshake(ours, theirs, "localhost", NULL);
        assert_true(session.done);
        assert_int_equal(compressed, 0);
        session_end(&session);
        tls_context_drop(ours);
        tls_context_drop(theirs);
    }
}

static void lives_until_the_last_holder_drops_it(void **state)
{
    (void)state;
    struct config_profile profile = client_profile();
    profile.verify = CONFIG_VERIFY_ENFORCED;
    profile.offload = CONFIG_OFFLOAD_REQUIRED;
    struct tls_context *context = make(&profile);
    assert_ptr_equal(tls_context_hold(context), context);
    tls_context_drop(context);
    assert_true(tls_context_enforced(context));
    assert_int_equal(tls_context_offload(context), CONFIG_OFFLOAD_REQUIRED);
    tls_context_drop(context);
    tls_context_drop(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_a_certificate_with_its_key),
        cmocka_unit_test(says_what_is_wrong_with_a_certificate_file),
        cmocka_unit_test(says_what_is_wrong_with_a_key_file),
        cmocka_unit_test(refuses_a_certificate_outside_its_days),
        cmocka_unit_test(refuses_a_key_that_everybody_may_read),
        cmocka_unit_test(refuses_a_key_that_is_too_weak),
        cmocka_unit_test(needs_a_certificate_for_a_server_and_both_halves_for_a_client),
        cmocka_unit_test(says_what_is_wrong_with_trust),
        cmocka_unit_test(reads_every_certificate_of_a_trust_directory_and_lists_it_to_clients),
        cmocka_unit_test(reports_every_problem_in_one_run_with_its_line),
        cmocka_unit_test(takes_iana_names_openssl_names_and_numbers_in_the_order_written),
        cmocka_unit_test(offers_only_aead_with_forward_secrecy_by_default),
        cmocka_unit_test(says_what_is_wrong_with_a_suite),
        cmocka_unit_test(refuses_a_list_that_leaves_an_allowed_version_without_a_suite),
        cmocka_unit_test(refuses_suites_that_the_servers_own_certificate_cannot_serve),
        cmocka_unit_test(warns_of_suites_that_can_never_be_used),
        cmocka_unit_test(authenticates_both_sides),
        cmocka_unit_test(compares_the_certificate_with_the_name_the_profile_says),
        cmocka_unit_test(tells_the_server_the_name_that_was_dialled),
        cmocka_unit_test(tolerates_a_bad_certificate_where_it_is_optional_but_does_not_call_it_good),
        cmocka_unit_test(resumes_with_a_ticket_once_in_tls_13_and_again_in_tls_12),
        cmocka_unit_test(does_not_take_a_ticket_of_another_context),
        cmocka_unit_test(keeps_a_bounded_number_of_sessions),
        cmocka_unit_test(follows_our_order_of_suites_not_the_clients),
        cmocka_unit_test(keeps_to_the_versions_of_the_profile),
        cmocka_unit_test(neither_asks_for_compressed_certificates_nor_sends_them),
        cmocka_unit_test(lives_until_the_last_holder_drops_it),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
