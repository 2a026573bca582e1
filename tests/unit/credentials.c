// rooms: ktls config support
/* Certificates and keys in every format, several at once, chains; groups and signature algorithms; fips. */
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
#include <openssl/pkcs12.h>
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
#define FILES(...) files((const char *[]){ __VA_ARGS__ }, sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *))

static struct pki *pki;

/* Names of files in the folder as a list, which lives until the end. */
static struct config_list files(const char *const *names, size_t count)
{
    static char kept[512][320], *items[512];
    static size_t used;
    assert_true(used + count <= 512);
    struct config_list list = { &items[used], count };
    for (size_t i = 0; i < count; i++, used++) {
        snprintf(kept[used], sizeof kept[used], "%s", pki_path(pki, names[i]));
        items[used] = kept[used];
    }
    return list;
}

/* ---- files in other forms ---- */

static FILE *create(const char *name)
{
    FILE *file = fopen(pki_path(pki, name), "w");
    assert_true(file && fchmod(fileno(file), 0600) == 0);
    return file;
}

static X509 *certificate(const char *name)
{
    FILE *file = fopen(pki_path(pki, name), "r");
    X509 *read = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;
    assert_non_null(read);
    fclose(file);
    return read;
}

static EVP_PKEY *private_key(const char *name)
{
    FILE *file = fopen(pki_path(pki, name), "r");
    EVP_PKEY *read = file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;
    assert_non_null(read);
    fclose(file);
    return read;
}

static void join(const char *to, const char *const *names, size_t count)
{
    FILE *file = create(to);
    for (size_t i = 0; i < count; i++) {
        X509 *one = certificate(names[i]);
        assert_true(PEM_write_X509(file, one));
        X509_free(one);
    }
    fclose(file);
}
#define JOIN(to, ...)                                                                                                  \
    join(to, (const char *[]){ __VA_ARGS__ }, sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *))

static void archive(const char *to, const char *passphrase, const char *own, const char *key, const char *issuer,
                    int method)
{
    X509 *leaf = own ? certificate(own) : NULL, *above = issuer ? certificate(issuer) : NULL;
    EVP_PKEY *secret = key ? private_key(key) : NULL;
    STACK_OF(X509) *others = sk_X509_new_null(), *root = NULL;
    if (above)
        assert_true(sk_X509_push(others, above));
    X509 *first = certificate("ca.pem");
    assert_true(sk_X509_unshift(others, first)); /* not in the order of the chain */
    PKCS12 *made = PKCS12_create(passphrase, "test", secret, leaf, others, method, method, 0, 0, 0);
    FILE *file = create(to);
    assert_true(made && i2d_PKCS12_fp(file, made));
    fclose(file);
    PKCS12_free(made);
    sk_X509_pop_free(others, X509_free);
    sk_X509_free(root);
    X509_free(leaf);
    EVP_PKEY_free(secret);
}

/* NAME.key in every form a key can have. */
static void write_forms(const char *name)
{
    char from[64], to[64];
    snprintf(from, sizeof from, "%s.key", name);
    EVP_PKEY *key = private_key(from);
    static const char *const forms[] = { "traditional-pem", "traditional-der", "pkcs8-der",
                                         "locked-pem",      "locked-der",      "old-locked-pem" };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        bool edwards = EVP_PKEY_is_a(key, "ED25519");
        snprintf(to, sizeof to, "%s.%s", name, forms[i]);
        FILE *file = create(to);
        BIO *out = BIO_new_fp(file, BIO_NOCLOSE);
        char *secret = WORD("secret");
        int ok = 0;
        if (i == 2 || (edwards && i == 1))
            ok = i2d_PKCS8PrivateKey_bio(out, key, NULL, NULL, 0, NULL, NULL);
        else if (i == 3 || (edwards && i == 5))
            ok = PEM_write_bio_PKCS8PrivateKey(out, key, EVP_aes_256_cbc(), NULL, 0, NULL, secret);
        else if (i == 4)
            ok = i2d_PKCS8PrivateKey_bio(out, key, EVP_aes_256_cbc(), NULL, 0, NULL, secret);
        else if (i == 1)
            ok = i2d_PrivateKey_bio(out, key);
        else if (i == 5)
            ok = PEM_write_bio_PrivateKey_traditional(out, key, EVP_aes_128_cbc(), (unsigned char *)secret, 6, NULL,
                                                      NULL);
        else
            ok = edwards ? PEM_write_bio_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL)
                         : PEM_write_bio_PrivateKey_traditional(out, key, NULL, NULL, 0, NULL, NULL);
        assert_true(ok);
        BIO_free(out);
        fclose(file);
    }
    EVP_PKEY_free(key);
}

static void write_der(const char *from, const char *to)
{
    X509 *one = certificate(from);
    FILE *file = create(to);
    assert_true(i2d_X509_fp(file, one));
    fclose(file);
    X509_free(one);
}

static void write_text(const char *name, const char *text)
{
    pki_write(pki, name, text, strlen(text));
    assert_int_equal(chmod(pki_path(pki, name), 0600), 0);
}

static int set_up(void **state)
{
    (void)state;
    /* The system's store has nothing to do with what is tested here. */
    pki = pki_new();
    setenv("SSL_CERT_FILE", pki_path(pki, "nothing"), 1);
    setenv("SSL_CERT_DIR", pki_path(pki, "nowhere"), 1);
    pki_make(pki, &(struct pki_leaf){ .name = "ec", .starts = -DAY, .ends = 90 * DAY });
    pki_make(pki, &(struct pki_leaf){ .name = "ec2", .starts = -DAY, .ends = 90 * DAY });
    pki_make(pki, &(struct pki_leaf){ .name = "rsa", .key = PKI_RSA, .starts = -DAY, .ends = 90 * DAY });
    pki_make(pki, &(struct pki_leaf){ .name = "ed", .key = PKI_ED25519, .starts = -DAY, .ends = 90 * DAY });
    pki_make(pki, &(struct pki_leaf){ .name = "weak", .key = PKI_RSA_WEAK, .starts = -DAY, .ends = 90 * DAY });
    pki_make(pki, &(struct pki_leaf){ .name = "self", .starts = -DAY, .ends = 90 * DAY, .self_signed = 1 });
    pki_make_ca(pki, "middle", 90 * DAY);
    pki_make_ca(pki, "other", 90 * DAY);
    pki_make_ca(pki, "short", -600);
    pki_make_below(pki, "middle", &(struct pki_leaf){ .name = "low", .starts = -DAY, .ends = 90 * DAY });
    pki_make_below(pki, "short", &(struct pki_leaf){ .name = "below", .starts = -DAY, .ends = 90 * DAY });
    write_forms("ec");
    write_forms("rsa");
    write_forms("ed");
    write_der("ec.pem", "ec.der");
    write_der("rsa.pem", "rsa.der");
    write_der("ed.pem", "ed.der");
    write_der("ca.pem", "ca.der");
    JOIN("full.pem", "low.pem", "middle.pem");
    JOIN("rooted.pem", "low.pem", "middle.pem", "ca.pem");
    JOIN("shuffled.pem", "low.pem", "ca.pem", "middle.pem");
    JOIN("reversed.pem", "middle.pem", "low.pem");
    JOIN("foreign.pem", "low.pem", "middle.pem", "other.pem");
    JOIN("weak-chain.pem", "ec.pem", "weak.pem");
    JOIN("ends.pem", "below.pem", "short.pem");
    archive("low.p12", "secret", "low.pem", "low.key", "middle.pem", 0);
    archive("open.p12", "", "ec.pem", "ec.key", NULL, 0);
    archive("keyless.p12", "secret", "ec.pem", NULL, NULL, 0);
    archive("bare.p12", "secret", NULL, "ec.key", NULL, 0);
    write_text("secret", "secret\nand nothing of this\n");
    write_text("windows", "secret\r\n");
    write_text("bare", "secret");
    write_text("wrong", "Secret\n");
    write_text("blank", "\nsecret\n");
    char endless[1200];
    memset(endless, 'x', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    write_text("endless", endless);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pki_free(pki);
    return 0;
}

/* ---- profiles ---- */

static struct config_profile profile_of(enum config_role role)
{
    return (struct config_profile){ .role = role,
                                    .name = WORD("inbound"),
                                    .certificate = FILES("ec.pem"),
                                    .key = FILES("ec.key"),
                                    .trust = FILES("ca.pem"),
                                    .verify = CONFIG_VERIFY_REQUIRED,
                                    .depth = 10,
                                    .min_version = TLS1_2_VERSION,
                                    .max_version = TLS1_3_VERSION };
}

static struct tls_context *make(const struct config_profile *profile)
{
    struct config_errors errors = { 0 };
    struct tls_context *context = tls_context_new(profile, "bulk", &errors);
    if (!context || errors.count)
        config_errors_print(&errors, stderr);
    assert_non_null(context);
    assert_int_equal(errors.count, 0);
    config_errors_clear(&errors);
    return context;
}

/* The only message, of this severity, has both texts. */
static void expect(const struct config_profile *profile, enum config_severity severity, const char *what,
                   const char *remedy)
{
    struct config_errors errors = { 0 };
    struct tls_context *context = tls_context_new(profile, "bulk", &errors);
    if (errors.count != 1 || errors.items[0].severity != severity || !strstr(errors.items[0].text, what) ||
        !strstr(errors.items[0].text, remedy)) {
        config_errors_print(&errors, stderr);
        fail_msg("expected one message with \"%s\" and \"%s\"", what, remedy);
    }
    assert_true((severity == CONFIG_ERROR) == !context);
    tls_context_drop(context);
    config_errors_clear(&errors);
}

/* A handshake in memory, the client limited to `signatures`: the server's leaf, or NULL where it failed. */
static X509 *shown(struct tls_context *server, const char *signatures, const char *group, char out_group[64],
                   STACK_OF(X509) * *chain)
{
    struct config_profile profile = profile_of(CONFIG_CLIENT);
    profile.hostname = CONFIG_HOSTNAME_ANY;
    struct tls_context *client = make(&profile);
    SSL *ours = SSL_new(tls_context_ssl(server)), *theirs = SSL_new(tls_context_ssl(client));
    BIO *near = NULL, *far = NULL;
    assert_true(ours && theirs && BIO_new_bio_pair(&near, 65536, &far, 65536));
    SSL_set_bio(ours, near, near);
    SSL_set_bio(theirs, far, far);
    SSL_set_accept_state(ours);
    SSL_set_connect_state(theirs);
    assert_true(!signatures || SSL_set1_sigalgs_list(theirs, signatures));
    assert_true(!group || SSL_set1_groups_list(theirs, group));
    for (int i = 0; i < 6; i++) {
        SSL_do_handshake(theirs);
        SSL_do_handshake(ours);
    }
    X509 *leaf = SSL_is_init_finished(theirs) && SSL_is_init_finished(ours) ? SSL_get1_peer_certificate(theirs) : NULL;
    if (leaf && out_group)
        snprintf(out_group, 64, "%s", SSL_group_to_name(theirs, (int)SSL_get_negotiated_group(theirs)));
    if (leaf && chain)
        *chain = X509_chain_up_ref(SSL_get_peer_cert_chain(theirs));
    SSL_free(ours);
    SSL_free(theirs);
    tls_context_drop(client);
    return leaf;
}

static void assert_shows(const struct config_profile *profile, const char *signatures, const char *file)
{
    struct tls_context *server = make(profile);
    X509 *leaf = shown(server, signatures, NULL, NULL, NULL), *wanted = certificate(file);
    assert_non_null(leaf);
    assert_int_equal(X509_cmp(leaf, wanted), 0);
    X509_free(leaf);
    X509_free(wanted);
    tls_context_drop(server);
}

/* ---- formats ---- */

static void takes_every_form_of_certificate_and_key_whatever_the_file_is_called(void **state)
{
    (void)state;
    static const char *const names[] = { "ec", "rsa", "ed" };
    static const char *const forms[] = { "key",        "traditional-pem", "traditional-der", "pkcs8-der",
                                         "locked-pem", "locked-der",      "old-locked-pem" };
    for (size_t n = 0; n < 3; n++) {
        for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
            struct config_profile profile = profile_of(CONFIG_SERVER);
            char pem[64], der[64], key[64];
            snprintf(pem, sizeof pem, "%s.pem", names[n]);
            snprintf(der, sizeof der, "%s.der", names[n]);
            snprintf(key, sizeof key, "%s.%s", names[n], forms[i]);
            profile.certificate = FILES(i % 2 ? der : pem);
            profile.key = FILES(key);
            if (strstr(forms[i], "locked"))
                profile.key_passphrase_file = FILES("secret");
            assert_shows(&profile, NULL, pem);
        }
    }
}

static void reads_the_first_line_of_a_passphrase_file(void **state)
{
    (void)state;
    struct config_profile profile = profile_of(CONFIG_SERVER);
    static const char *const good[] = { "secret", "windows", "bare" };
    profile.key = FILES("ec.locked-pem");
    for (size_t i = 0; i < 3; i++) {
        profile.key_passphrase_file = FILES(good[i]);
        tls_context_drop(make(&profile));
    }
    profile.key = FILES("ec.key"); /* needs none, and takes no harm */
    tls_context_drop(make(&profile));
}

static void says_what_is_wrong_with_a_passphrase(void **state)
{
    (void)state;
    static const char *const keys[] = { "ec.locked-pem", "ec.locked-der", "ec.old-locked-pem" };
    struct config_profile profile = profile_of(CONFIG_SERVER);
    for (size_t i = 0; i < 3; i++) {
        profile.key = FILES(keys[i]);
        profile.key_passphrase_file = (struct config_list){ 0 };
        expect(&profile, CONFIG_ERROR, "is encrypted with a passphrase", "key_passphrase_file");
        profile.key_passphrase_file = FILES("wrong");
        expect(&profile, CONFIG_ERROR, "does not open with the passphrase in", "correct the first line");
    }
    profile.key = FILES("ec.key");
    static const struct {
        const char *file, *what, *remedy;
    } cases[] = {
        { "absent", "key_passphrase_file \"", "No such file" },
        { "blank", "has no passphrase in its first line", "write it there" },
        { "endless", "longer than 1023 bytes", "shorten" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        profile.key_passphrase_file = FILES(cases[i].file);
        expect(&profile, CONFIG_ERROR, cases[i].what, cases[i].remedy);
    }
    profile.key_passphrase_file = FILES("secret");
    assert_int_equal(chmod(profile.key_passphrase_file.items[0], 0644), 0);
    expect(&profile, CONFIG_ERROR, "key_passphrase_file \"", "every user of this machine (mode 0644)");
    assert_int_equal(chmod(profile.key_passphrase_file.items[0], 0600), 0);
    profile.key_passphrase_file = FILES("secret", "secret");
    expect(&profile, CONFIG_ERROR, "names 2 files for 1 certificate", "one for all");
}

static void never_prints_a_passphrase(void **state)
{
    (void)state;
    struct config_profile profile = profile_of(CONFIG_SERVER);
    struct config_errors errors = { 0 };
    write_text("hunter", "correct horse battery\n");
    profile.key = FILES("ec.locked-pem");
    profile.key_passphrase_file = FILES("hunter");
    assert_null(tls_context_new(&profile, "bulk", &errors));
    for (size_t i = 0; i < errors.count; i++)
        assert_null(strstr(errors.items[i].text, "horse"));
    config_errors_clear(&errors);
}

static void takes_certificate_key_and_chain_from_pkcs12(void **state)
{
    (void)state;
    struct config_profile profile = profile_of(CONFIG_SERVER);
    STACK_OF(X509) *chain = NULL;
    profile.certificate = FILES("low.p12");
    profile.key = (struct config_list){ 0 };
    profile.key_passphrase_file = FILES("secret");
    struct tls_context *server = make(&profile);
    X509 *leaf = shown(server, NULL, NULL, NULL, &chain), *middle = certificate("middle.pem");
    assert_non_null(leaf);
    assert_true(sk_X509_num(chain) >= 2);
    assert_int_equal(X509_cmp(sk_X509_value(chain, 1), middle), 0); /* in the order of issuers, not of the file */
    sk_X509_pop_free(chain, X509_free);
    X509_free(leaf);
    X509_free(middle);
    tls_context_drop(server);

    profile.certificate = FILES("open.p12");
    profile.key_passphrase_file = (struct config_list){ 0 };
    assert_shows(&profile, NULL, "ec.pem");
}

static void says_what_is_wrong_with_pkcs12(void **state)
{
    (void)state;
    struct config_profile profile = profile_of(CONFIG_SERVER);
    profile.key = (struct config_list){ 0 };
    profile.certificate = FILES("low.p12");
    expect(&profile, CONFIG_ERROR, "(PKCS#12) needs a passphrase", "key_passphrase_file");
    profile.key_passphrase_file = FILES("wrong");
    expect(&profile, CONFIG_ERROR, "(PKCS#12) does not open with the passphrase", "correct the first line");
    profile.key_passphrase_file = FILES("secret");
    profile.certificate = FILES("keyless.p12");
    expect(&profile, CONFIG_ERROR, "has no private key", "export it again");
    profile.certificate = FILES("bare.p12");
    expect(&profile, CONFIG_ERROR, "has no certificate for its key", "export it again");
    profile.certificate = FILES("low.p12");
    profile.key = FILES("ec.key");
    expect(&profile, CONFIG_ERROR, "key names 1 file, and 0 of the certificates need one", "PKCS#12 file has its own");
    profile.key = (struct config_list){ 0 };
    assert_int_equal(chmod(profile.certificate.items[0], 0604), 0);
    expect(&profile, CONFIG_ERROR, "PKCS#12 file \"", "every user of this machine");
    assert_int_equal(chmod(profile.certificate.items[0], 0600), 0);
    profile.trust = FILES("low.p12");
    profile.certificate = FILES("open.p12");
    profile.key_passphrase_file = (struct config_list){ 0 };
    struct config_errors errors = { 0 };
    assert_null(tls_context_new(&profile, "bulk", &errors));
    assert_non_null(strstr(errors.items[0].text, "holds no certificate but a PKCS#12 archive (DER)"));
    config_errors_clear(&errors);
}

static void says_what_a_der_file_is_instead(void **state)
{
    (void)state;
    struct config_profile profile = profile_of(CONFIG_SERVER);
    profile.certificate = FILES("ec.pkcs8-der");
    expect(&profile, CONFIG_ERROR, "holds no certificate but a private key (DER)", "name the file");
    profile.certificate = FILES("ec.pem");
    profile.key = FILES("ec.der");
    expect(&profile, CONFIG_ERROR, "holds no private key but a certificate (DER)", "name the file");
    unsigned char bytes[4096];
    FILE *file = fopen(pki_path(pki, "ec.der"), "r");
    size_t length = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    pki_write(pki, "cut.der", bytes, length - 7);
    profile.certificate = FILES("cut.der");
    profile.key = FILES("ec.key");
    expect(&profile, CONFIG_ERROR, "looks like DER", "no intact certificate");
}

/* ---- several ---- */

static void shows_each_client_the_certificate_it_can_verify(void **state)
{
    (void)state;
    struct config_profile profile = profile_of(CONFIG_SERVER);
    profile.certificate = FILES("rsa.pem", "ec.der", "ed.pem");
    profile.key = FILES("rsa.locked-der", "ec.key", "ed.locked-pem");
    profile.key_passphrase_file = FILES("secret");
    profile.verify = CONFIG_VERIFY_NONE; /* the client could sign with ECDSA only */
    for (unsigned version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        profile.max_version = profile.min_version = version;
        assert_shows(&profile, "rsa_pss_rsae_sha256", "rsa.pem");
        assert_shows(&profile, "ecdsa_secp256r1_sha256", "ec.pem");
        assert_shows(&profile, "ed25519", "ed.pem");
    }
}

static void pairs_keys_with_the_certificates_that_are_no_pkcs12(void **state)
{
    (void)state;
    struct config_profile profile = profile_of(CONFIG_SERVER);
    profile.certificate = FILES("rsa.pem", "low.p12", "ed.pem");
    profile.key = FILES("rsa.key", "ed.locked-pem");
    profile.key_passphrase_file = FILES("bare", "secret", "windows");
    profile.verify = CONFIG_VERIFY_NONE;
    assert_shows(&profile, "rsa_pss_rsae_sha256", "rsa.pem");
    assert_shows(&profile, "ecdsa_secp256r1_sha256", "low.pem");
    assert_shows(&profile, "ed25519", "ed.pem");
}

static void says_what_is_wrong_with_several(void **state)
{
    (void)state;
    struct config_profile profile = profile_of(CONFIG_SERVER);
    profile.certificate = FILES("ec.pem", "rsa.pem");
    expect(&profile, CONFIG_ERROR, "key names 1 file, and 2 of the certificates need one", "in the same order");
    profile.key = FILES("ec.key", "ec2.key");
    expect(&profile, CONFIG_ERROR, "rsa.pem\" does not match key \"", "made for");
    profile.certificate = FILES("ec.pem", "ec2.pem");
    expect(&profile, CONFIG_ERROR, "are both for ECDSA", "leave one");

    struct config_errors errors = { 0 };
    profile.certificate = FILES("ec.pem", "rsa.pem");
    profile.key = FILES("rsa.key", "ec.key");
    assert_null(tls_context_new(&profile, "bulk", &errors));
    assert_int_equal(errors.count, 2);
    for (size_t i = 0; i < 2; i++)
        assert_non_null(strstr(errors.items[i].text, "name keys and certificates in the same order"));
    config_errors_clear(&errors);
}

static void takes_a_suite_that_fits_any_of_the_certificates(void **state)
{
    (void)state;
    struct config_profile profile = profile_of(CONFIG_SERVER);
    profile.certificate = FILES("rsa.pem", "ed.pem");
    profile.key = FILES("rsa.key", "ed.key");
    profile.ciphers = LIST(WORD("TLS_AES_128_GCM_SHA256"), WORD("49195"));
    tls_context_drop(make(&profile)); /* ECDSA's suites sign with Ed25519 */
    profile.ciphers = LIST(WORD("TLS_AES_128_GCM_SHA256"), WORD("49199"));
    tls_context_drop(make(&profile));
    profile.certificate = FILES("ed.pem");
    profile.key = FILES("ed.key");
    expect(&profile, CONFIG_ERROR, "no listed suite of TLS 1.2 works with a certificate for ECDSA or Ed25519",
           "TLS_ECDHE_ECDSA_WITH_");
}

/* ---- chains ---- */

static void walks_the_chain_to_its_root(void **state)
{
    (void)state;
    struct config_profile profile = profile_of(CONFIG_SERVER);
    static const char *const whole[] = { "full.pem", "rooted.pem" };
    profile.key = FILES("low.key");
    for (size_t i = 0; i < 2; i++) {
        profile.certificate = FILES(whole[i]);
        tls_context_drop(make(&profile));
    }
    profile.certificate = FILES("low.pem");
    expect(&profile, CONFIG_WARNING, "incomplete chain: \"CN=middle,O=Sluice tests\", the issuer of the certificate",
           "append that intermediate");
    profile.certificate = FILES("full.pem");
    profile.trust = FILES("self.pem");
    expect(&profile, CONFIG_WARNING, "incomplete chain: \"CN=Test CA,O=Sluice tests\", the issuer of certificate 2",
           "name the root in trust");
    setenv("SSL_CERT_FILE", pki_path(pki, "ca.pem"), 1); /* now the system knows the root */
    tls_context_drop(make(&profile));
    setenv("SSL_CERT_FILE", pki_path(pki, "nothing"), 1);
    profile.trust = FILES("ca.pem");
    profile.certificate = FILES("shuffled.pem");
    expect(&profile, CONFIG_WARNING, "has its chain in the wrong order", "put ours first");
    profile.certificate = FILES("foreign.pem");
    expect(&profile, CONFIG_WARNING, "certificate 3 in it is not part of the chain", "take it out");
    profile.certificate = FILES("reversed.pem");
    expect(&profile, CONFIG_ERROR, "has our own certificate at place 2", "put it first");
    profile.certificate = FILES("self.pem");
    profile.key = FILES("self.key");
    tls_context_drop(make(&profile));
}

static void looks_at_every_certificate_of_the_chain(void **state)
{
    (void)state;
    struct config_profile profile = profile_of(CONFIG_SERVER);
    profile.certificate = FILES("ends.pem");
    profile.key = FILES("below.key");
    expect(&profile, CONFIG_ERROR, "certificate 2 in \"", "expired on 20");
    profile.certificate = FILES("weak.pem");
    profile.key = FILES("weak.key");
    expect(&profile, CONFIG_ERROR, "has a weak key (RSA 1024)", "2048 bits");
    struct config_errors errors = { 0 };
    profile.certificate = FILES("weak-chain.pem");
    profile.key = FILES("ec.key");
    assert_null(tls_context_new(&profile, "bulk", &errors));
    assert_non_null(strstr(errors.items[0].text, "certificate 2 in \""));
    assert_non_null(strstr(errors.items[0].text, "has a weak key (RSA 1024)"));
    config_errors_clear(&errors);
}

static void trusts_certificates_in_der_and_in_rehashed_folders(void **state)
{
    (void)state;
    struct config_profile profile = profile_of(CONFIG_SERVER);
    profile.trust = FILES("ca.der");
    tls_context_drop(make(&profile));
    assert_int_equal(mkdir(pki_path(pki, "hashed"), 0700), 0);
    write_der("ca.pem", "hashed/root.der");
    assert_int_equal(symlink("root.der", pki_path(pki, "hashed/0a1b2c3d.0")), 0);
    write_text("hashed/README", "nothing");
    profile.trust = FILES("hashed");
    struct tls_context *context = make(&profile);
    assert_int_equal(sk_X509_NAME_num(SSL_CTX_get_client_CA_list(tls_context_ssl(context))), 1); /* once */
    tls_context_drop(context);
}

/* ---- groups and signature algorithms ---- */

static void negotiates_only_the_listed_groups(void **state)
{
    (void)state;
    struct config_profile profile = profile_of(CONFIG_SERVER);
    char group[64];
    profile.groups = LIST(WORD("p-384"), WORD("X25519"));
    struct tls_context *server = make(&profile);
    X509 *leaf = shown(server, NULL, "P-521:P-384", group, NULL);
    assert_non_null(leaf);
    X509_free(leaf);
    assert_string_equal(group, "secp384r1");
    assert_null(shown(server, NULL, "P-521", NULL, NULL));
    tls_context_drop(server);
}

static void says_what_is_wrong_with_a_group(void **state)
{
    (void)state;
    struct config_profile profile = profile_of(CONFIG_SERVER);
    static const char *const bad[] = { "P-257", "", "DEFAULT", "X25519:P-256", "*X25519", "?P-256", "-P-256" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char quoted[64];
        snprintf(quoted, sizeof quoted, "\"%s\" is not a group that this OpenSSL", bad[i]);
        profile.groups = LIST(WORD("X25519"), WORD(bad[i]));
        expect(&profile, CONFIG_ERROR, quoted, "P-256");
    }
    profile.groups = LIST(WORD("X25519"), WORD("x25519"));
    expect(&profile, CONFIG_WARNING, "listed twice", "first place counts");
}

static void takes_post_quantum_hybrids_where_openssl_has_them(void **state)
{
    (void)state;
    struct config_profile profile = profile_of(CONFIG_SERVER);
    profile.groups = LIST(WORD("X25519MLKEM768"), WORD("X25519"));
    if (OPENSSL_version_major() == 3 && OPENSSL_version_minor() < 5) {
        expect(&profile, CONFIG_ERROR, "\"X25519MLKEM768\" is a post-quantum hybrid", "that takes OpenSSL 3.5");
        return;
    }
    static const struct {
        const char *offered, *negotiated;
    } cases[] = { { "X25519MLKEM768:X25519", "X25519MLKEM768" }, { "X25519", "x25519" } };
    struct tls_context *server = make(&profile);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char group[64];
        X509 *leaf = shown(server, NULL, cases[i].offered, group, NULL);
        assert_non_null(leaf);
        X509_free(leaf);
        assert_string_equal(group, cases[i].negotiated);
    }
    tls_context_drop(server);
    profile.groups = LIST(WORD("X25519MLKEM768"));
    expect(&profile, CONFIG_ERROR, "no listed group serves TLS 1.2", "set min_version = 1.3");
}

static void signs_only_as_listed(void **state)
{
    (void)state;
    struct config_profile profile = profile_of(CONFIG_SERVER);
    profile.certificate = FILES("rsa.pem");
    profile.key = FILES("rsa.key");
    profile.verify = CONFIG_VERIFY_NONE; /* the list is for the client's signatures, too, and its key is for ECDSA */
    profile.signature_algorithms = LIST(WORD("rsa_pss_rsae_sha384"), WORD("RSA+SHA256"));
    struct tls_context *server = make(&profile);
    assert_null(shown(server, "rsa_pss_rsae_sha256", NULL, NULL, NULL));
    X509 *leaf = shown(server, "ecdsa_secp256r1_sha256:rsa_pss_rsae_sha384", NULL, NULL, NULL);
    assert_non_null(leaf);
    X509_free(leaf);
    tls_context_drop(server);
}

static void says_what_is_wrong_with_a_signature_algorithm(void **state)
{
    (void)state;
    static const struct {
        const char *word, *what;
    } cases[] = {
        { "rsa_pkcs1_sha1", "is insecure: signatures over SHA-1" },
        { "ECDSA+SHA1", "is insecure: signatures over SHA-1" },
        { "RSA+MD5", "is insecure: signatures over MD5" },
        { "ecdsa_sha257", "is not a signature algorithm that this OpenSSL" },
        { "ed25519:ed448", "is not a signature algorithm that this OpenSSL" },
    };
    struct config_profile profile = profile_of(CONFIG_SERVER);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        profile.signature_algorithms = LIST(WORD("ecdsa_secp256r1_sha256"), WORD(cases[i].word));
        expect(&profile, CONFIG_ERROR, cases[i].what, "use of these: ecdsa_secp256r1_sha256, ");
    }
    profile.signature_algorithms = LIST(WORD("ed25519"), WORD("rsa_pss_rsae_sha256"));
    expect(&profile, CONFIG_ERROR, "none of the listed algorithms can be used with the key", "ecdsa_secp256r1_sha256");
    profile.certificate = FILES("rsa.pem");
    profile.key = FILES("rsa.key");
    profile.signature_algorithms = LIST(WORD("rsa_pkcs1_sha256"));
    expect(&profile, CONFIG_ERROR, "no listed algorithm serves TLS 1.3", "max_version = 1.2");
    profile.max_version = TLS1_2_VERSION;
    tls_context_drop(make(&profile));
    profile.signature_algorithms = LIST(WORD("rsa_pkcs1_sha256"), WORD("RSA+SHA256"));
    expect(&profile, CONFIG_WARNING, "listed twice", "first place counts");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_every_form_of_certificate_and_key_whatever_the_file_is_called),
        cmocka_unit_test(reads_the_first_line_of_a_passphrase_file),
        cmocka_unit_test(says_what_is_wrong_with_a_passphrase),
        cmocka_unit_test(never_prints_a_passphrase),
        cmocka_unit_test(takes_certificate_key_and_chain_from_pkcs12),
        cmocka_unit_test(says_what_is_wrong_with_pkcs12),
        cmocka_unit_test(says_what_a_der_file_is_instead),
        cmocka_unit_test(shows_each_client_the_certificate_it_can_verify),
        cmocka_unit_test(pairs_keys_with_the_certificates_that_are_no_pkcs12),
        cmocka_unit_test(says_what_is_wrong_with_several),
        cmocka_unit_test(takes_a_suite_that_fits_any_of_the_certificates),
        cmocka_unit_test(walks_the_chain_to_its_root),
        cmocka_unit_test(looks_at_every_certificate_of_the_chain),
        cmocka_unit_test(trusts_certificates_in_der_and_in_rehashed_folders),
        cmocka_unit_test(negotiates_only_the_listed_groups),
        cmocka_unit_test(says_what_is_wrong_with_a_group),
        cmocka_unit_test(takes_post_quantum_hybrids_where_openssl_has_them),
        cmocka_unit_test(signs_only_as_listed),
        cmocka_unit_test(says_what_is_wrong_with_a_signature_algorithm),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
