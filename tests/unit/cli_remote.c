// rooms: http
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

/* The subcommands are a program, not a room that could be linked. */
#include "engine/cli/remote.c"

static void expect(const char *text, enum remote_kind kind, const char *name, uint16_t port, const char *path)
{
    struct remote remote;
    char why[300];
    if (remote_parse(&remote, text, why, sizeof why) != 0)
        fail_msg("%s: %s", text, why);
    assert_int_equal(remote.kind, kind);
    if (name)
        assert_string_equal(remote.name, name);
    else
        assert_null(remote.name);
    assert_int_equal(remote.port, port);
    assert_string_equal(remote.path, path);
    remote_clear(&remote);
}

static void expect_refusal(const char *text, const char *sentence)
{
    struct remote remote;
    char why[300] = "";
    assert_int_equal(remote_parse(&remote, text, why, sizeof why), -EINVAL);
    remote_clear(&remote);
    if (!strstr(why, sentence) || (text[0] && !strstr(why, text)))
        fail_msg("\"%s\" does not say \"%s\"", why, sentence);
}

static void a_name_without_colon_is_local(void **state)
{
    (void)state;
    expect("file", REMOTE_LOCAL, NULL, 0, "file");
    expect("a/b", REMOTE_LOCAL, NULL, 0, "a/b");
    expect("./a:b", REMOTE_LOCAL, NULL, 0, "./a:b");
    expect("/a:b", REMOTE_LOCAL, NULL, 0, "/a:b");
    expect("../x", REMOTE_LOCAL, NULL, 0, "../x");
}

static void a_colon_ahead_of_a_slash_names_a_partner(void **state)
{
    (void)state;
    expect("node7:data/run.tar", REMOTE_PARTNER, "node7", 0, "data/run.tar");
    expect("node7:", REMOTE_PARTNER, "node7", 0, "");
    expect("node7:data/", REMOTE_PARTNER, "node7", 0, "data/");
    expect("node7:/data", REMOTE_PARTNER, "node7", 0, "data");
    expect("node7:a:b", REMOTE_PARTNER, "node7", 0, "a:b");
    expect("node7:100%25 ..x/...", REMOTE_PARTNER, "node7", 0, "100%25 ..x/...");
}

static void reads_urls(void **state)
{
    (void)state;
    expect("https://host/a/b", REMOTE_URL, "host", 443, "a/b");
    expect("HTTPS://host", REMOTE_URL, "host", 443, "");
    expect("https://host:8443/", REMOTE_URL, "host", 8443, "");
    expect("https://host:65535//a%20b%2Fc", REMOTE_URL, "host", 65535, "a b/c");
    expect("https://[::1]:8443/x", REMOTE_URL, "::1", 8443, "x");
    expect("https://[fe80::1]/x", REMOTE_URL, "fe80::1", 443, "x");
}

static void refuses_urls_that_say_more_than_a_place(void **state)
{
    (void)state;
    expect_refusal("http://host/x", "only https://");
    expect_refusal("ftp://host/x", "only https://");
    expect_refusal("https://", "no host");
    expect_refusal("https:///x", "no host");
    expect_refusal("https://:443/x", "no host");
    expect_refusal("https://me:secret@host/x", "a user name");
    expect_refusal("https://host:0/x", "the port");
    expect_refusal("https://host:65536/x", "the port");
    expect_refusal("https://host:99999999999999999999/x", "the port");
    expect_refusal("https://host:/x", "the port");
    expect_refusal("https://host:8443x/x", "the port");
    expect_refusal("https://[::1/x", "no closing bracket");
    expect_refusal("https://[::1]8443/x", "the port");
    expect_refusal("https://host/x?y", "a query");
    expect_refusal("https://host?y", "a query");
    expect_refusal("https://host/x#y", "a query");
    expect_refusal("https://host/%zz", "two hexadecimal digits");
    expect_refusal("https://host/%00", "two hexadecimal digits");
}

static void refuses_dots_in_remote_paths(void **state)
{
    (void)state;
    expect_refusal("node7:../x", "no \".\" or \"..\"");
    expect_refusal("node7:a/../b", "no \".\" or \"..\"");
    expect_refusal("node7:a/..", "no \".\" or \"..\"");
    expect_refusal("node7:.", "no \".\" or \"..\"");
    expect_refusal("https://host/a/%2e%2E/b", "no \".\" or \"..\"");
    expect_refusal("https://host/./b", "no \".\" or \"..\"");
}

static void refuses_what_names_nothing(void **state)
{
    (void)state;
    expect_refusal("", "empty");
    expect_refusal(":x", "a partner's name");
}

static void refuses_a_path_that_is_too_long(void **state)
{
    (void)state;
    static char text[PATH_SIZE + 100];
    struct remote remote;
    char why[300];
    memset(text, 'x', sizeof text - 1);
    memcpy(text, "a:", 2);
    assert_int_equal(remote_parse(&remote, text, why, sizeof why), -EINVAL);
    remote_clear(&remote);
    memcpy(text, "https://h/", 10);
    assert_int_equal(remote_parse(&remote, text, why, sizeof why), -EINVAL);
    remote_clear(&remote);
}

static void knows_whether_two_names_mean_one_server(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        { "n:x", "n:y", true },
        { "n:x", "N:x", false },
        { "https://h/x", "https://H:443/y", true },
        { "https://h/x", "https://h:444/x", false },
        { "https://n/x", "n:x", false },
        { "n:x", "x", false },
        { "x", "x", false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct remote a, b;
        char why[300];
        assert_int_equal(remote_parse(&a, cases[i].a, why, sizeof why), 0);
        assert_int_equal(remote_parse(&b, cases[i].b, why, sizeof why), 0);
        assert_int_equal(remote_same_server(&a, &b), cases[i].same);
        remote_clear(&a);
        remote_clear(&b);
    }
}

static void finds_the_last_component(void **state)
{
    (void)state;
    static const struct {
        const char *path, *name;
    } cases[] = { { "a", "a" }, { "a/b", "b" }, { "a/b/", "b" }, { "a/b//", "b" }, { "/a", "a" },   { "", "" },
                  { "/", "" },  { ".", "" },    { "a/..", "" },  { "../", "" },    { "...", "..." } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t length;
        const char *name = path_name(cases[i].path, &length);
        assert_int_equal(length, strlen(cases[i].name));
        assert_memory_equal(name, cases[i].name, length);
    }
}

static void joins_with_one_slash(void **state)
{
    (void)state;
    static const struct {
        const char *directory, *name, *joined;
    } cases[] = { { "a", "b", "a/b" }, { "a/", "b", "a/b" }, { "/", "b", "/b" }, { "", "b", "b" }, { "a", "", "a/" } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *joined = path_join(cases[i].directory, cases[i].name, strlen(cases[i].name));
        assert_string_equal(joined, cases[i].joined);
        free(joined);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_without_colon_is_local),
        cmocka_unit_test(a_colon_ahead_of_a_slash_names_a_partner),
        cmocka_unit_test(reads_urls),
        cmocka_unit_test(refuses_urls_that_say_more_than_a_place),
        cmocka_unit_test(refuses_dots_in_remote_paths),
        cmocka_unit_test(refuses_what_names_nothing),
        cmocka_unit_test(refuses_a_path_that_is_too_long),
        cmocka_unit_test(knows_whether_two_names_mean_one_server),
        cmocka_unit_test(finds_the_last_component),
        cmocka_unit_test(joins_with_one_slash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
