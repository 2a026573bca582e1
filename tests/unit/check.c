// rooms: support config ktls store server
/* The subcommand itself, with its main() left out: what it prints and its exit code. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* First: its locals have the names of what the others declare. */
#include "engine/cli/report.c"

#include "engine/cli/check.c"
#include "engine/cli/config_file.c"
#include "engine/cli/progress.c"
#include "engine/cli/same_access.c"
#include "tests/support/pki.h"

#define NOBODY 65534
#define YEAR (365L * 24 * 3600) /* longer than what is warned about */

static struct pki *pki;
static char said[16384];

static int set_up(void **state)
{
    (void)state;
    static const struct pki_leaf node = { .name = "node", .starts = -3600, .ends = YEAR };
    static const struct pki_leaf other = { .name = "other", .starts = -3600, .ends = YEAR };
    pki = pki_new();
    pki_make(pki, &node);
    pki_make(pki, &other);
    pki_make(pki, &(struct pki_leaf){ .name = "soon", .starts = -3600, .ends = 10L * 24 * 3600 + 60 });
    return chmod(pki_folder(pki), 0755) || mkdir(pki_path(pki, "data"), 0755) || mkdir(pki_path(pki, "closed"), 0);
}

static int tear_down(void **state)
{
    (void)state;
    rmdir(pki_path(pki, "data"));
    rmdir(pki_path(pki, "closed"));
    pki_free(pki);
    return 0;
}

/* Runs it with its output in said[], standard error included. */
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

#define RUN(...)                                                                                                       \
    run((int)(sizeof((char *[]){ "check", __VA_ARGS__ }) / sizeof(char *)), (char *[]){ "check", __VA_ARGS__, NULL })

static int check_text(const char *text)
{
    pki_write(pki, "site.ini", text, strlen(text));
    char *file = strdup(pki_path(pki, "site.ini"));
    int code = RUN("-c", file);
    free(file);
    return code;
}

static const char *last_line(void)
{
    size_t end = strlen(said);
    assert_true(end > 0 && said[end - 1] == '\n');
    const char *start = said;
    for (size_t i = 0; i + 1 < end; i++) {
        if (said[i] == '\n')
            start = said + i + 1;
    }
    return start;
}

#define SERVER(key)                                                                                                    \
    "[store main]\nroot = data\n[server-profile in]\ncertificate = node.pem\nkey = " key "\ntrust = ca.pem\n"          \
    "[protocol p]\nlisten = 127.0.0.1:0\nprofile = in\nstore = main\n"

static void says_that_a_file_is_right(void **state)
{
    (void)state;
    assert_int_equal(check_text(SERVER("node.key")), 0);
    char wanted[4200];
    snprintf(wanted, sizeof(wanted), "%s is right: 1 profile, 1 store, 1 protocol, 0 partners\n",
             pki_path(pki, "site.ini"));
    assert_string_equal(said, wanted);
}

static void looks_at_certificates_and_keys(void **state)
{
    (void)state;
    assert_int_equal(check_text(SERVER("other.key")), 3);
    assert_non_null(strstr(said, ": server-profile \"in\": certificate \""));
    assert_non_null(strstr(said, "\" does not match key \""));
    assert_string_equal(last_line(), "1 error, 0 warnings\n");
}

static void lists_problems_of_every_kind_in_the_order_of_lines(void **state)
{
    (void)state;
    assert_int_equal(
        check_text("[partner x]\nhost = h:1\nprofile = out\n[client-profile out]\nverify = none\n"
                   "insecure = yes\n[store s]\nroot = nowhere\n[server-profile in]\ncertificate = node.pem\n"
                   "key = other.key\ntrust = ca.pem\n"),
        3);
    const char *warning = strstr(said, "warning: "), *store = strstr(said, "site.ini:8: store \"s\": root ");
    const char *key = strstr(said, ": server-profile \"in\": certificate \"");
    assert_true(warning && store && key && warning < store && store < key);
    assert_non_null(strstr(store, "cannot be served: No such file or directory; make it a directory that user id "));
    assert_string_equal(last_line(), "2 errors, 1 warning\n");
}

static void stops_before_certificates_where_the_file_is_wrong(void **state)
{
    (void)state;
    assert_int_equal(check_text("[server]\nworkers = many\nfoo = 1\n"), 3);
    assert_non_null(strstr(said, "site.ini:2: server: workers \"many\""));
    assert_string_equal(last_line(), "2 errors, 0 warnings\n");
}

static void warns_of_what_expires_within_the_days_of_the_configuration(void **state)
{
    (void)state;
#define SOON(days)                                                                                                     \
    "[server]\nexpiry_warning_days = " days "\n[client-profile out]\ncertificate = soon.pem\nkey = soon.key\ntrust = " \
    "ca.pem, soon.pem\n"
    assert_int_equal(check_text(SOON("11")), 0);
    assert_non_null(strstr(said, "site.ini:4: client-profile \"out\": certificate \""));
    assert_non_null(strstr(said, "soon.pem\": \"CN=soon,O=Sluice tests\" expires on 20"));
    assert_non_null(strstr(said, ", in 10 days; have it renewed, and put the new one there before that (used by "
                                 "client-profile out (own), client-profile out (trust))\n"));
    assert_string_equal(last_line(), "0 errors, 2 warnings\n"); /* and that nothing listens */
    assert_int_equal(check_text(SOON("10")), 0);
    assert_null(strstr(said, "expires on"));
    assert_string_equal(last_line(), "0 errors, 1 warning\n");
}

static void lets_warnings_pass(void **state)
{
    (void)state;
    assert_int_equal(check_text("[server]\n"), 0);
    assert_string_equal(last_line(), "0 errors, 1 warning\n");
}

static void says_that_a_root_is_no_directory(void **state)
{
    (void)state;
    assert_int_equal(check_text("[store s]\nroot = ca.pem\n"), 3);
    assert_non_null(strstr(said, "site.ini:2: store \"s\": root "));
    assert_non_null(strstr(said, "Not a directory"));
}

/* As somebody who may not do everything. */
static void says_what_this_user_may_not_do_with_a_root(void **state)
{
    (void)state;
    uid_t user = geteuid();
    assert_int_equal(check_text("[store s]\nroot = closed\n[store t]\nroot = data\n"), user == 0 ? 0 : 3);
    if (user == 0)
        assert_int_equal(seteuid(NOBODY), 0);
    else
        chmod(pki_path(pki, "data"), 0555);
    char *file = strdup(pki_path(pki, "site.ini"));
    int code = RUN("-c", file);
    free(file);
    if (user == 0)
        assert_int_equal(seteuid(user), 0);
    chmod(pki_path(pki, "data"), 0755);
    assert_int_equal(code, 3);
    assert_non_null(strstr(said, "site.ini:2: store \"s\": root "));
    assert_non_null(strstr(said, "Permission denied"));
    assert_non_null(strstr(said, "site.ini:4: store \"t\": root "));
    assert_non_null(strstr(said, "uploads will be refused"));
}

static void says_that_a_file_is_not_there(void **state)
{
    (void)state;
    assert_int_equal(RUN("--config", "/nonexistent.ini"), 3);
    assert_non_null(strstr(said, "/nonexistent.ini: the configuration cannot be read"));
    assert_string_equal(last_line(), "1 error, 0 warnings\n");
}

static void takes_the_file_from_the_environment(void **state)
{
    (void)state;
    setenv("SLUICE_CONFIG", "/nonexistent-either.ini", 1);
    assert_string_equal(cli_config_file(), "/nonexistent-either.ini");
    char *argv[] = { "check", NULL };
    assert_int_equal(run(1, argv), 3);
    assert_non_null(strstr(said, "/nonexistent-either.ini: "));
    setenv("SLUICE_CONFIG", "", 1);
    assert_string_equal(cli_config_file(), "/etc/sluice/sluice.ini");
    unsetenv("SLUICE_CONFIG");
    assert_string_equal(cli_config_file(), "/etc/sluice/sluice.ini");
}

static void refuses_wrong_arguments(void **state)
{
    (void)state;
    assert_int_equal(RUN("--frobnicate"), 2);
    assert_non_null(strstr(said, "Usage: sluice check"));
    assert_int_equal(RUN("site.ini"), 2);
    assert_non_null(strstr(said, "\"site.ini\" is one argument too many"));
    assert_int_equal(RUN("-c"), 2);
}

static void prints_help_and_reference(void **state)
{
    (void)state;
    assert_int_equal(RUN("--help"), 0);
    assert_non_null(strstr(said, "Usage: sluice check"));
    assert_int_equal(RUN("--reference"), 0);
    assert_non_null(strstr(said, "### [client-profile NAME]"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_that_a_file_is_right),
        cmocka_unit_test(looks_at_certificates_and_keys),
        cmocka_unit_test(lists_problems_of_every_kind_in_the_order_of_lines),
        cmocka_unit_test(stops_before_certificates_where_the_file_is_wrong),
        cmocka_unit_test(warns_of_what_expires_within_the_days_of_the_configuration),
        cmocka_unit_test(lets_warnings_pass),
        cmocka_unit_test(says_that_a_root_is_no_directory),
        cmocka_unit_test(says_what_this_user_may_not_do_with_a_root),
        cmocka_unit_test(says_that_a_file_is_not_there),
        cmocka_unit_test(takes_the_file_from_the_environment),
        cmocka_unit_test(refuses_wrong_arguments),
        cmocka_unit_test(prints_help_and_reference),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
