// rooms: config
/* [hook]: words of a command, sets of events, bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "config/model.h"

#define WORDS_MAX 8

static struct config *parse(const char *on, const char *command, struct config_errors *errors)
{
    char ini[8192];
    snprintf(ini, sizeof(ini), "[hook h]\non = %s\ncommand = %s\n", on, command);
    return config_parse("x.ini", ini, strlen(ini), errors);
}

static void splits_a_command_into_words(void **state)
{
    (void)state;
    static const struct {
        const char *command, *words[WORDS_MAX];
    } rows[] = {
        { "/bin/true", { "/bin/true" } },
        { "/a b\tc   d", { "/a", "b", "c", "d" } },
        { "/a 'b c' \"d e\"", { "/a", "b c", "d e" } },
        { "/a '' \"\"", { "/a", "", "" } },
        { "/a x'y'\"z\"w", { "/a", "xyzw" } },
        { "/a 'it\"s' \"it's\"", { "/a", "it\"s", "it's" } },
        { "/a b\\ c \\\"d \\'e", { "/a", "b c", "\"d", "'e" } },
        { "/a \"b\\\"c\" \"d\\\\e\" \"f\\g\" 'h\\i'", { "/a", "b\"c", "d\\e", "f\\g", "h\\i" } },
        { "/a $HOME *.c `id` ~", { "/a", "$HOME", "*.c", "`id`", "~" } },
        { "\"/srv/my tools/x\" 1", { "/srv/my tools/x", "1" } },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct config_errors errors = { 0 };
        struct config *config = parse("sent", rows[i].command, &errors);
        config_errors_print(&errors, stderr);
        assert_non_null(config);
        const struct config_list *list = &config_find_hook(config, "h")->command;
        size_t count = 0;
        while (count < WORDS_MAX && rows[i].words[count])
            count++;
        assert_int_equal(list->count, count);
        for (size_t k = 0; k < count; k++)
            assert_string_equal(list->items[k], rows[i].words[k]);
        config_free(config);
        config_errors_clear(&errors);
    }
}

static void expect_refusal(const char *on, const char *command, const char *text)
{
    struct config_errors errors = { 0 };
    struct config *config = parse(on, command, &errors);
    assert_null(config);
    assert_int_equal(errors.error_count, 1);
    if (!strstr(errors.items[0].text, text))
        fail_msg("%s: no \"%s\"", errors.items[0].text, text);
    config_errors_clear(&errors);
}

static void refuses_what_is_no_command(void **state)
{
    (void)state;
    char many[512] = "/a";
    for (unsigned i = 0; i < 100; i++)
        strcat(many, i == 50 ? " b \\\n b" : " b");
    expect_refusal("sent", "unpack x",
                   "x.ini:3: hook \"h\": command \"unpack\" is not an absolute path: write where the "
                   "program is, such as /usr/local/bin/unpack");
    expect_refusal("sent", "''", "command \"\" is not an absolute path");
    expect_refusal("sent", "/a 'b", "command has a quote without its second");
    expect_refusal("sent", "/a \"b\\\"", "command has a quote without its second");
    expect_refusal("sent", many, "command has more than 100 words: put them into a script");
}

static void reads_a_set_of_events(void **state)
{
    (void)state;
    static const struct {
        const char *on;
        unsigned bits;
    } rows[] = {
        { "received", CONFIG_HOOK_RECEIVED },
        { "sent, failed", CONFIG_HOOK_SENT | CONFIG_HOOK_FAILED },
        { "failed,failed", CONFIG_HOOK_FAILED },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct config_errors errors = { 0 };
        struct config *config = parse(rows[i].on, "/bin/true", &errors);
        assert_non_null(config);
        assert_int_equal(config->hooks[0].on, rows[i].bits);
        assert_int_equal(config->hooks[0].timeout, 60000);
        assert_int_equal(config->hooks[0].at_once, 4);
        config_free(config);
        config_errors_clear(&errors);
    }
    expect_refusal("sent, recieved", "/bin/true", "x.ini:2: hook \"h\": on \"recieved\" is not one of");
    expect_refusal("sent,", "/bin/true", "on has an empty entry");
}

static void warns_of_what_only_a_shell_would_do(void **state)
{
    (void)state;
    struct config_errors errors = { 0 };
    struct config *config = parse("sent", "/bin/echo a > /tmp/x", &errors);
    assert_non_null(config);
    config_errors_sort(&errors);
    assert_int_equal(errors.error_count, 0);
    assert_non_null(
        strstr(errors.items[errors.count - 1].text, "command: \">\" is handed to the program like any other word"));
    config_errors_clear(&errors);
    config_free(config);
}

static void wants_an_event_and_a_command(void **state)
{
    (void)state;
    struct config_errors errors = { 0 };
    assert_null(config_parse("x.ini", "[hook h]\n", 9, &errors));
    assert_int_equal(errors.error_count, 2);
    assert_non_null(strstr(errors.items[0].text, "on is missing: add it"));
    assert_non_null(strstr(errors.items[1].text, "command is missing: add it"));
    config_errors_clear(&errors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits_a_command_into_words),  cmocka_unit_test(refuses_what_is_no_command),
        cmocka_unit_test(reads_a_set_of_events),        cmocka_unit_test(warns_of_what_only_a_shell_would_do),
        cmocka_unit_test(wants_an_event_and_a_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
