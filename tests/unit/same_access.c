// rooms: support config ktls gate server http
/* sluice check --same-access: what stands in files, by content, and the exit codes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

/* First: its locals have the names of what the others declare. */
#include "engine/cli/report.c"

#include "engine/cli/check.c"
#include "engine/cli/config_file.c"
#include "engine/cli/progress.c"
#include "engine/cli/same_access.c"
#include "tests/support/pki.h"

#define YEAR (365L * 24 * 3600)

static struct pki *pki;
static char said[65536];
static char *alice, *alice_again, *bob;

static void write_text(const char *name, const char *text)
{
    pki_write(pki, name, text, strlen(text));
    assert_int_equal(chmod(pki_path(pki, name), 0600), 0);
}

/* `number` negative: none. */
static void write_crl(const char *name, const char *issuer, long number, long began, bool der)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509_CRL *list = X509_CRL_new();
    X509_NAME *subject = X509_NAME_new();
    ASN1_TIME *begin = ASN1_TIME_set(NULL, 1700000000 + began), *end = ASN1_TIME_set(NULL, 4000000000);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)issuer, -1, -1, 0);
    X509_CRL_set_version(list, 1);
    X509_CRL_set_issuer_name(list, subject);
    X509_CRL_set1_lastUpdate(list, begin);
    X509_CRL_set1_nextUpdate(list, end);
    ASN1_INTEGER *integer = ASN1_INTEGER_new();
    ASN1_INTEGER_set(integer, number);
    if (number >= 0)
        assert_int_equal(X509_CRL_add1_ext_i2d(list, NID_crl_number, integer, 0, 0), 1);
    assert_true(X509_CRL_sign(list, key, EVP_sha256()) > 0);
    FILE *out = fopen(pki_path(pki, name), "w");
    assert_int_equal(der ? i2d_X509_CRL_fp(out, list) : PEM_write_X509_CRL(out, list), 1);
    fclose(out);
    ASN1_INTEGER_free(integer);
    ASN1_TIME_free(begin);
    ASN1_TIME_free(end);
    X509_NAME_free(subject);
    X509_CRL_free(list);
    EVP_PKEY_free(key);
}

static void copy(const char *from, const char *to)
{
    char bytes[65536];
    FILE *in = fopen(pki_path(pki, from), "r");
    size_t length = fread(bytes, 1, sizeof(bytes), in);
    fclose(in);
    pki_write(pki, to, bytes, length);
}

static int set_up(void **state)
{
    (void)state;
    static const struct pki_leaf leafs[] = {
        { .name = "node", .starts = -3600, .ends = YEAR },
        { .name = "other", .starts = -3600, .ends = YEAR, .self_signed = 1 },
    };
    pki = pki_new();
    for (size_t i = 0; i < sizeof(leafs) / sizeof(leafs[0]); i++)
        pki_make(pki, &leafs[i]);
    copy("ca.pem", "same-ca.pem");
    write_crl("one.crl", "A", 1, 0, false);
    write_crl("one-too.der", "A", 1, 0, true);
    write_crl("two.crl", "A", 2, 0, false);
    write_crl("b.crl", "B\x1b[2J", 1, 0, false);
    write_crl("none.crl", "A", -1, 0, false);
    write_crl("none-later.crl", "A", -1, 86400, false);
    alice = passwords_hash("alice's");
    alice_again = passwords_hash("alice's");
    bob = passwords_hash("bob's");
    return alice && alice_again && bob ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    free(alice);
    free(alice_again);
    free(bob);
    pki_free(pki);
    return 0;
}

static int run(int argc, char **argv)
{
    FILE *capture = tmpfile();
    assert_non_null(capture);
    int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO);
    fflush(stdout);
    dup2(fileno(capture), STDOUT_FILENO);
    dup2(fileno(capture), STDERR_FILENO);
    int code = cli_check(argc, argv);
    fflush(stdout);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    close(out);
    close(err);
    ssize_t length = pread(fileno(capture), said, sizeof(said) - 1, 0);
    assert_true(length >= 0);
    said[length] = 0;
    fclose(capture);
    return code;
}

static int compare_files(const char *a, const char *b)
{
    char *argv[] = { "check", "-c", strdup(pki_path(pki, a)), "--same-access", strdup(pki_path(pki, b)), NULL };
    int code = run(5, argv);
    free(argv[2]);
    free(argv[4]);
    return code;
}

static int compare_texts(const char *a, const char *b)
{
    write_text("a.ini", a);
    write_text("b.ini", b);
    return compare_files("a.ini", "b.ini");
}

/* The lines that were said, without the summary. */
static size_t differences(void)
{
    size_t lines = 0;
    for (const char *c = said; *c; c++)
        lines += *c == '\n';
    return lines - 1;
}

static void profile(char text[1024], const char *name, const char *key, const char *value)
{
    bool trust = strcmp(key, "trust") == 0;
    snprintf(text, 1024, "[server-profile %s]\ncertificate = node.pem\nkey = node.key\n%s%s = %s\n", name,
             trust ? "" : "trust = ca.pem\n", key, value);
}

/* What a profile names in a and in b, how many differences these are, and what is said of one in a. */
static const struct {
    const char *key, *a, *b;
    size_t count;
    const char *said;
} rows[] = {
    { "trust", "ca.pem", "ca.pem", 0, NULL },
    { "trust", "ca.pem", "same-ca.pem", 0, NULL },
    { "trust", "ca.pem, other.pem", "other.pem, same-ca.pem, ca.pem", 0, NULL },
    { "trust", "ca.pem", "other.pem", 2, "/a.ini:4: server-profile \"p\": trust has " },
    { "trust", "ca.pem", "ca.pem, other.pem", 1, "/a.ini:4: server-profile \"p\": trust lacks CN=other,O=" },
    { "trust", "ca.pem", "system", 2, "trust lacks every CA of the system, which is listed in " },
    { "crl", "one.crl", "one-too.der", 0, NULL },
    { "crl", "one.crl, two.crl", "two.crl, one-too.der", 0, NULL },
    { "crl", "one.crl", "two.crl", 2, "/a.ini:5: server-profile \"p\": crl has CN=A, number 1, which is not in " },
    { "crl", "one.crl", "one.crl, b.crl", 1, "crl lacks CN=B" },
    { "crl", "none.crl", "none-later.crl", 2, "crl has CN=A, of 2023-11-14 22:13:20 UTC, which is not in " },
    { "crl", "none.crl", "none.crl", 0, NULL },
};

static void what_a_profile_names_is_compared_by_content(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char a[1024], b[1024];
        profile(a, "p", rows[i].key, rows[i].a);
        profile(b, "p", rows[i].key, rows[i].b);
        int code = compare_texts(a, b);
        bool good = differences() == rows[i].count && code == (rows[i].count > 0) && !strchr(said, 0x1b);
        if (!good || (rows[i].said && !strstr(said, rows[i].said)))
            fail_msg("row %zu: %d\n%s", i, code, said);
        /* Turned around, the same differences from the other side. */
        if (compare_texts(b, a) != code || differences() != rows[i].count)
            fail_msg("row %zu, turned: %s", i, said);
    }
}

static void a_profile_without_a_list_lacks_every_one_of_the_other(void **state)
{
    (void)state;
    char a[1024], b[1024];
    profile(a, "p", "crl", "one.crl");
    profile(b, "p", "depth", "10");
    assert_int_equal(compare_texts(a, b), 1);
    assert_non_null(strstr(said, "crl has CN=A, number 1, which is not in "));
    assert_int_equal(compare_texts(b, a), 1);
    assert_non_null(strstr(said, "/a.ini:1: server-profile \"p\": crl lacks CN=A, number 1, which is listed in "));
    assert_non_null(strstr(said, "/b.ini:5\n"));
}

static void whom_nobody_verifies_nobody_trusts(void **state)
{
    (void)state;
    static const char none[] = "[server-profile p]\ncertificate = node.pem\nkey = node.key\nverify = none\n";
    char with_trust[1024];
    snprintf(with_trust, sizeof(with_trust), "%strust = ca.pem\n", none);
    assert_int_equal(compare_texts(none, with_trust), 0);
}

static void own_certificates_need_not_be_here(void **state)
{
    (void)state;
    assert_int_equal(compare_texts("[server-profile p]\ncertificate = gone.pem\nkey = gone.key\ntrust = ca.pem\n",
                                   "[server-profile p]\ncertificate = node.pem\nkey = node.key\ntrust = same-ca.pem\n"),
                     0);
}

static void passwords_are_compared_by_name_and_hash(void **state)
{
    (void)state;
    char text[2048];
    snprintf(text, sizeof(text), "alice:%s\nbob:%s\n", alice, bob);
    write_text("users", text);
    snprintf(text, sizeof(text), "# the same, elsewhere\nbob:%s\nalice:%s\n", bob, alice);
    write_text("same-users", text);
    snprintf(text, sizeof(text), "alice:%s\ncarl:%s\n", alice_again, bob);
    write_text("other-users", text);

    static const char ours[] = "[server]\npassword_file = users\n";
    assert_int_equal(compare_texts(ours, "[server]\n\npassword_file = same-users\n"), 0);
    assert_int_equal(compare_texts(ours, "[server]\n\npassword_file = other-users\n"), 1);
    assert_int_equal(differences(), 3);
    assert_non_null(strstr(said,
                           "/a.ini:2: server: password_file: user \"alice\" has another password, or the same with "
                           "another salt, than in "));
    assert_non_null(strstr(said, "/a.ini:2: server: password_file: user \"bob\" has a password here, but none in "));
    assert_non_null(strstr(said, "/a.ini:2: server: password_file: user \"carl\" has no password here, but one in "));
    assert_non_null(strstr(said, "/b.ini:3\n"));
    assert_null(strstr(said, "$y$"));

    assert_int_equal(compare_texts("[server]\n\npassword_file = other-users\n", ours), 1);
    assert_int_equal(differences(), 3);
    assert_int_equal(compare_texts(ours, ""), 1);
    assert_int_equal(differences(), 2);
    assert_int_equal(compare_texts("", ours), 1);
    assert_int_equal(differences(), 2);
    assert_non_null(strstr(said, "/a.ini: server: password_file: user \"alice\" has no password here, but one in "));
}

static void values_are_compared_with_suites_by_every_name(void **state)
{
    (void)state;
    char a[1024], b[1024];
    profile(a, "p", "ciphers", "4865, 49199");
    profile(b, "p", "ciphers", "TLS_AES_128_GCM_SHA256, ECDHE-RSA-AES128-GCM-SHA256");
    assert_int_equal(compare_texts(a, b), 0);
    assert_non_null(strstr(said, " give the same access\n"));
    profile(b, "p", "ciphers", "49199, 4865");
    assert_int_equal(compare_texts(a, b), 1);
    assert_non_null(
        strstr(said, "/a.ini:5: server-profile \"p\": ciphers is \"4865, 49199\", but \"49199, 4865\" in "));
    assert_non_null(strstr(said, " differ in access: 1 difference\n"));
    assert_int_equal(compare_texts(a, "[partner x]\n"), 1);
    assert_non_null(strstr(said, " differ in access: 2 differences\n"));
}

/* A file that cannot be compared, and what is said. */
static const struct {
    const char *text, *said;
} broken[] = {
    { "[server]\nworkers = many\n", "/b.ini:2: server: workers \"many\"" },
    { "[server-profile p]\ncertificate = c\nkey = k\ntrust = gone.pem\n", "/b.ini:4: server-profile \"p\": trust \"" },
    { "[server-profile p]\ncertificate = c\nkey = k\ntrust = ca.pem\ncrl = gone.crl\n",
      "/b.ini:5: server-profile \"p\": crl \"" },
    { "[server-profile p]\ncertificate = c\nkey = k\ntrust = ca.pem\ncrl = ca.pem\n",
      "/b.ini:5: server-profile \"p\": crl \"" },
    { "[server]\npassword_file = gone\n", "/b.ini:2: server: password_file \"" },
};

static void a_file_with_errors_is_told_and_is_neither_same_nor_different(void **state)
{
    (void)state;
    char good[1024];
    profile(good, "p", "depth", "10");
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        if (compare_texts(good, broken[i].text) != 3 || !strstr(said, broken[i].said))
            fail_msg("row %zu: %s", i, said);
        assert_non_null(strstr(said, " cannot be compared: mend what is said above\n"));
        write_text("c.ini", good);
        assert_int_equal(compare_files("b.ini", "c.ini"), 3);
    }
    assert_int_equal(compare_files("a.ini", "nowhere.ini"), 3);
    assert_non_null(strstr(said, "nowhere.ini: the configuration cannot be read"));
}

static void the_other_file_must_be_named(void **state)
{
    (void)state;
    char *argv[] = { "check", "--same-access", NULL };
    assert_int_equal(run(2, argv), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_profile_names_is_compared_by_content),
        cmocka_unit_test(a_profile_without_a_list_lacks_every_one_of_the_other),
        cmocka_unit_test(whom_nobody_verifies_nobody_trusts),
        cmocka_unit_test(own_certificates_need_not_be_here),
        cmocka_unit_test(passwords_are_compared_by_name_and_hash),
        cmocka_unit_test(values_are_compared_with_suites_by_every_name),
        cmocka_unit_test(a_file_with_errors_is_told_and_is_neither_same_nor_different),
        cmocka_unit_test(the_other_file_must_be_named),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
