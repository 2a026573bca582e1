// rooms: support config ktls http
/* The subcommand itself, with its main() left out: what it prints and its exit code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* clang-format off: report.c's locals would hide cert.c's names */
#include "engine/cli/progress.c"
#include "engine/cli/report.c"
#include "engine/cli/cert.c"
#include "engine/cli/config_file.c"
/* clang-format on */
#include "tests/support/pki.h"

#define DAY 86400L

static struct pki *pki;
static char said[65536];

static int set_up(void **state)
{
    (void)state;
    pki = pki_new();
    setenv("SSL_CERT_FILE", pki_path(pki, "ca.pem"), 1);
    setenv("SSL_CERT_DIR", pki_path(pki, "nowhere"), 1);
    pki_make(pki, &(struct pki_leaf){ .name = "node", .starts = -DAY, .ends = 90 * DAY + 60 });
    pki_make(pki, &(struct pki_leaf){ .name = "soon", .starts = -DAY, .ends = 20 * DAY + 60 });
    pki_make(pki, &(struct pki_leaf){ .name = "old", .starts = -9 * DAY, .ends = -2 * DAY });
    pki_make(pki, &(struct pki_leaf){ .name = "bell\a\x1b[2J", .ends = 90 * DAY, .self_signed = 1 });
    pki_make_ca(pki, "middle", 90 * DAY);
    pki_make_below(pki, "middle", &(struct pki_leaf){ .name = "low", .starts = -DAY, .ends = 90 * DAY });
    return rename(pki_path(pki, "bell\a\x1b[2J.pem"), pki_path(pki, "bell.pem"));
}

static int tear_down(void **state)
{
    (void)state;
    pki_free(pki);
    return 0;
}

/* Runs it with its output in said[], standard error included. */
static int call(int argc, char **argv)
{
    FILE *capture = tmpfile();
    assert_non_null(capture);
    int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO);
    fflush(stdout);
    dup2(fileno(capture), STDOUT_FILENO);
    dup2(fileno(capture), STDERR_FILENO);
    int code = cli_cert(argc, argv);
    fflush(stdout);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    close(out);
    close(err);
    ssize_t length = pread(fileno(capture), said, sizeof said - 1, 0);
    assert_true(length >= 0);
    said[length] = 0;
    fclose(capture);
    return code;
}

#define CALL(...)                                                                                                      \
    call((int)(sizeof((char *[]){ "cert", __VA_ARGS__ }) / sizeof(char *)), (char *[]){ "cert", __VA_ARGS__, NULL })

static char *site(const char *text)
{
    static char file[320];
    pki_write(pki, "site.ini", text, strlen(text));
    snprintf(file, sizeof file, "%s", pki_path(pki, "site.ini"));
    return file;
}

static char *profile(const char *certificate, const char *extra)
{
    char text[1024];
    snprintf(text, sizeof text, "[server-profile in]\ncertificate = %s.pem\nkey = %s.key\ntrust = ca.pem\n%s",
             certificate, certificate, extra);
    return site(text);
}

static void prints_a_tree_by_indentation(void **state)
{
    (void)state;
    assert_int_equal(CALL("list", "-c", profile("node", "")), 0);
    const char *root = strstr(said, "\n  CN=Test CA,O=Sluice tests\n"),
               *node = strstr(said, "    CN=node,O=Sluice tests\n");
    assert_ptr_equal(strstr(said, "  CN=Test CA"), said);
    assert_null(root); /* it is the first line */
    assert_non_null(node);
    assert_true(node[-1] == '\n');
    assert_non_null(strstr(node,
                           "        issuer: CN=Test CA,O=Sluice tests\n        serial: 02  key: ECDSA P-256  days "
                           "left: 90\n        used by: server-profile in (own)\n"));
    assert_null(strstr(said, "SHA-256"));
    assert_null(strchr(said, '!'));
    assert_int_equal(CALL("list", "--long", "-c", profile("node", "")), 0);
    assert_non_null(strstr(said, "        SHA-256: "));
    assert_non_null(strstr(said, "        file: /tmp/"));
    assert_int_equal(CALL("check", "-c", profile("node", "")), 0);
    assert_string_equal(said, "");
}

static void marks_what_needs_care_and_check_prints_nothing_else(void **state)
{
    (void)state;
    static const struct {
        const char *name, *extra, *line;
    } cases[] = {
        { "soon", "", "!   CN=soon,O=Sluice tests: expires soon\n" },
        { "old", "", "!   CN=old,O=Sluice tests: has expired\n" },
        { "low", "", "! CN=low,O=Sluice tests: its issuer is missing\n" },
        { "node", "[server]\nexpiry_warning_days = 91\n", "!   CN=node,O=Sluice tests: expires soon\n" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(CALL("list", "-c", profile(cases[i].name, cases[i].extra)), 0);
        assert_non_null(strstr(said, cases[i].line));
        assert_non_null(strstr(said, "  CN=Test CA"));
        assert_int_equal(CALL("check", "-c", profile(cases[i].name, cases[i].extra)), 1);
        assert_ptr_equal(strstr(said, cases[i].line), said);
        assert_null(strstr(said, "  CN=Test CA,O=Sluice tests\n      "));
    }
    assert_int_equal(CALL("check", "-c", profile("soon", "[server]\nexpiry_warning_days = 20\n")), 0);
}

static void writes_json(void **state)
{
    (void)state;
    assert_int_equal(CALL("list", "--json", "-c", profile("soon", "[client-profile out]\ntrust = system\n")), 0);
    assert_non_null(strstr(said, "{\"certificates\":[{\"subject\":\"CN=Test CA,O=Sluice tests\""));
    assert_non_null(strstr(said, "\"days_left\":20,\"depth\":1,\"issued_by\":\""));
    assert_non_null(strstr(said, "\"uses\":[\"own\"],\"problems\":[\"expires-soon\"]}]"));
    assert_non_null(strstr(said, "\"system\":{\"count\":1,\"used_by\":\"client-profile out (trust)\"}}\n"));
    assert_int_equal(CALL("check", "--json", "-c", profile("low", "")), 1);
    assert_non_null(strstr(said, "\"issued_by\":null,\"uses\":[\"own\"],\"problems\":[\"issuer-missing\"]"));
    assert_int_equal(CALL("check", "--json", "-c", profile("node", "")), 0);
    assert_string_equal(said, "{\"certificates\":[],\"system\":{\"count\":0,\"used_by\":\"\"}}\n");
}

static void lets_no_byte_of_a_certificate_steer_the_terminal(void **state)
{
    (void)state;
    char *file = site("[client-profile out]\ntrust = bell.pem\n");
    assert_int_equal(CALL("list", "--long", "-c", file), 0);
    assert_non_null(strstr(said, "CN=bell\\07\\1B[2J"));
    assert_null(strchr(said, '\a'));
    assert_null(strchr(said, '\x1b'));
    assert_int_equal(CALL("list", "--json", "-c", file), 0);
    assert_null(strchr(said, '\a'));
    assert_null(strchr(said, '\x1b'));
}

static void says_what_it_could_not_read(void **state)
{
    (void)state;
    assert_int_equal(CALL("list", "-c", profile("absent", "")), 3);
    assert_non_null(strstr(said, "  CN=Test CA,O=Sluice tests\n"));
    assert_non_null(strstr(said, "site.ini:2: server-profile \"in\": certificate \""));
    assert_int_equal(CALL("check", "-c", "/nonexistent.ini"), 3);
    assert_non_null(strstr(said, "/nonexistent.ini: "));
}

static void refuses_wrong_arguments(void **state)
{
    (void)state;
    assert_int_equal(call(1, (char *[]){ "cert", NULL }), 2);
    assert_non_null(strstr(said, "say what to do"));
    assert_int_equal(CALL("renew"), 2);
    assert_non_null(strstr(said, "\"renew\" is not something it can do"));
    assert_int_equal(CALL("list", "more"), 2);
    assert_non_null(strstr(said, "\"more\" is one argument too many"));
    assert_int_equal(CALL("list", "--frobnicate"), 2);
    assert_int_equal(CALL("--help"), 0);
    assert_ptr_equal(strstr(said, "Usage: sluice cert list"), said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prints_a_tree_by_indentation),
        cmocka_unit_test(marks_what_needs_care_and_check_prints_nothing_else),
        cmocka_unit_test(writes_json),
        cmocka_unit_test(lets_no_byte_of_a_certificate_steer_the_terminal),
        cmocka_unit_test(says_what_it_could_not_read),
        cmocka_unit_test(refuses_wrong_arguments),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
