// rooms: config
/* How text becomes keys and values: lines, comments, continuation, and all that inih alone would get wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/internal.h"

struct reading {
    struct config *config;
    struct config_errors errors;
};

static struct reading read_bytes(const char *text, size_t length)
{
    struct reading reading = { 0 };
    reading.config = config_parse("/etc/sluice/site.ini", text, length, &reading.errors);
    return reading;
}

static struct reading read_text(const char *text)
{
    return read_bytes(text, strlen(text));
}

static void end(struct reading *reading)
{
    config_free(reading->config);
    config_errors_clear(&reading->errors);
}

static const char *said(const struct reading *reading, size_t index)
{
    assert_true(index < reading->errors.count);
    return reading->errors.items[index].text;
}

/* The root of the store "s" that the text makes, where it is right. */
static void expect_root(const char *text, const char *root)
{
    struct reading reading = read_text(text);
    if (!reading.config)
        fail_msg("%s", said(&reading, 0));
    assert_string_equal(config_find_store(reading.config, "s")->root, root);
    end(&reading);
}

static void takes_every_end_of_line(void **state)
{
    (void)state;
    expect_root("[store s]\nroot = /d\n", "/d");
    expect_root("[store s]\r\nroot = /d\r\n", "/d");
    expect_root("[store s]\nroot = /d", "/d");
}

static void takes_a_byte_order_mark(void **state)
{
    (void)state;
    expect_root("\xef\xbb\xbf[store s]\nroot = /d\n", "/d");
}

static void takes_indented_keys_for_keys(void **state)
{
    (void)state;
    expect_root("[store s]\n    anonymous = read\n\t  root = /d\n", "/d");
    expect_root("  [ store   s ]  \nroot=/d\n", "/d");
}

static void leaves_comments_out(void **state)
{
    (void)state;
    expect_root("# one\n[store s] ; two\n; three \\\n  # four\nroot = /d ; five\n", "/d");
    expect_root("[store s]\nroot = /d;e#f = g\n", "/d;e#f = g");
}

static void goes_on_behind_a_backslash(void **state)
{
    (void)state;
    expect_root("[store s]\nroot = /d\\\n   /e\\\n/f\n", "/d/e/f");
    expect_root("[store s]\nroot = \\\n   /d\n", "/d");
    expect_root("[store s]\nroot = /d \\\n   e \\ ; why\r\nf\r\nanonymous = read\n", "/d e f");
    expect_root("[store s]\nroot = /d\\\n[e]\\\nf = g\n", "/d[e]f = g");
}

static void takes_values_longer_than_any_line(void **state)
{
    (void)state;
    char text[4096] = "[store s]\nroot = /", root[4096] = "/";
    for (int i = 0; i < 20; i++) {
        char piece[181];
        memset(piece, 'a' + i, sizeof(piece) - 1);
        piece[sizeof(piece) - 1] = 0;
        strcat(strcat(text, "\\\n    "), piece);
        strcat(root, piece);
    }
    expect_root(text, root);
}

/* 196 bytes is what fits; also where it is the second line of a value. */
static void refuses_a_line_that_inih_would_cut(void **state)
{
    (void)state;
    static const char *const before[] = { "[store s]\nroot = /", "[store s]\nroot = /\\\n" };
    for (size_t i = 0; i < 2; i++) {
        size_t taken = i ? 0 : strlen("root = /");
        char text[512], root[512];
        for (size_t length = 195; length <= 198; length++) {
            char filling[256] = { 0 };
            memset(filling, 'x', length - taken);
            snprintf(text, sizeof(text), "%s%s\nanonymous = write\n", before[i], filling);
            snprintf(root, sizeof(root), "/%s", filling);
            if (length <= 196) {
                expect_root(text, root);
                continue;
            }
            struct reading reading = read_text(text);
            assert_null(reading.config);
            assert_int_equal(reading.errors.count, i ? 1 : 2); /* without the line there is no root either */
            assert_int_equal(reading.errors.items[reading.errors.count - 1].line, 2 + i);
            assert_non_null(strstr(said(&reading, reading.errors.count - 1), "more than the 196 that are read"));
            end(&reading);
        }
    }
}

static void takes_comments_of_any_length(void **state)
{
    (void)state;
    char text[4096] = "[store s]\nroot = /d ; ";
    memset(text + strlen(text), 'x', 1000);
    strcat(text, "\n#");
    memset(text + strlen(text), '=', 1000);
    strcat(text, "\n");
    expect_root(text, "/d");
}

static void refuses_a_nul_byte_and_goes_on(void **state)
{
    (void)state;
    static const char text[] = "[store s]\nroot = /d\0e\nroot = /f\nanonymous = x\n";
    struct reading reading = read_bytes(text, sizeof(text) - 1);
    assert_null(reading.config);
    assert_int_equal(reading.errors.count, 2);
    assert_non_null(strstr(said(&reading, 0), "site.ini:2: the line holds a NUL byte"));
    assert_non_null(strstr(said(&reading, 1), "site.ini:4: store \"s\": anonymous \"x\""));
    end(&reading);
}

static void refuses_a_file_too_large(void **state)
{
    (void)state;
    size_t length = CONFIG_FILE_MAX + 1;
    char *text = malloc(length);
    assert_non_null(text);
    memset(text, '\n', length);
    struct reading reading = read_bytes(text, length - 1);
    assert_non_null(reading.config);
    end(&reading);
    reading = read_bytes(text, length);
    assert_null(reading.config);
    assert_int_equal(reading.errors.count, 1);
    assert_non_null(strstr(said(&reading, 0), "site.ini: the file is larger than 1024 KiB"));
    end(&reading);
    free(text);
}

/* `line` as often as the file holds it. */
static struct reading read_repeated(const char *head, const char *line)
{
    char *text = malloc(CONFIG_FILE_MAX + 1);
    assert_non_null(text);
    size_t length = (size_t)(stpcpy(text, head) - text), step = strlen(line);
    for (; length + step <= CONFIG_FILE_MAX; length += step)
        memcpy(text + length, line, step);
    struct reading reading = read_bytes(text, length);
    free(text);
    return reading;
}

static void bounds_the_sections_of_a_file(void **state)
{
    (void)state;
    struct reading reading = read_repeated("", "[server]\n");
    assert_null(reading.config);
    assert_int_equal(reading.errors.count, CONFIG_ERRORS_MAX + 1);
    assert_true(reading.errors.error_count > 100000);
    end(&reading);
}

static void bounds_the_keys_of_a_section(void **state)
{
    (void)state;
    struct reading reading = read_repeated("[server]\n", "a=b\n");
    assert_null(reading.config);
    assert_int_equal(reading.errors.count, CONFIG_ENTRIES_MAX + 1);
    assert_non_null(strstr(said(&reading, CONFIG_ENTRIES_MAX), ":258: the section has more than 256 keys"));
    end(&reading);
}

/* What continues the key that was one too many must not become part of the one before it. */
static void skips_what_continues_a_key_too_many(void **state)
{
    (void)state;
    char text[4096] = "[server]\n";
    for (int i = 0; i < CONFIG_ENTRIES_MAX - 1; i++)
        strcat(text, "a=b\n");
    strcat(text, "workers = 4\nmax_requests = 3 \\\nx\n[store s]\nroot = /d\\\ne\nfoo = 1\n");
    struct reading reading = read_text(text);
    assert_null(reading.config);
    assert_int_equal(reading.errors.count, CONFIG_ENTRIES_MAX - 1 + 2);
    assert_non_null(strstr(said(&reading, CONFIG_ENTRIES_MAX - 1), ":258: the section has more than 256 keys"));
    assert_non_null(strstr(said(&reading, CONFIG_ENTRIES_MAX), ":263: store \"s\": there is no key foo"));
    end(&reading);
}

static void bounds_the_length_of_a_value(void **state)
{
    (void)state;
    struct reading reading = read_repeated("[client-profile p]\nciphers = A\\\n", "A\\\n");
    assert_null(reading.config);
    assert_int_equal(reading.errors.count, 2); /* and the backslash at the end of the file */
    assert_string_equal(said(&reading, 0),
                        "/etc/sluice/site.ini:16386: the value has more than 16384 bytes: shorten it");
    end(&reading);
}

static void bounds_the_entries_of_a_list(void **state)
{
    (void)state;
    char text[1024] = "[client-profile p]\nciphers = A";
    for (int i = 1; i < CONFIG_LIST_MAX; i++)
        strcat(text, i % 50 ? ",A" : ",\\\nA");
    struct reading reading = read_text(text);
    assert_non_null(reading.config);
    assert_int_equal(config_find_profile(reading.config, CONFIG_CLIENT, "p")->ciphers.count, CONFIG_LIST_MAX);
    end(&reading);
    strcat(text, ",A");
    reading = read_text(text);
    assert_null(reading.config);
    assert_non_null(strstr(said(&reading, 0), "ciphers has more than 100 entries"));
    end(&reading);
}

static void bounds_the_list_of_problems(void **state)
{
    (void)state;
    struct reading reading = read_repeated("", "[x]\n");
    assert_null(reading.config);
    assert_int_equal(reading.errors.count, CONFIG_ERRORS_MAX + 1);
    assert_string_equal(said(&reading, CONFIG_ERRORS_MAX), "there are more problems than can be listed: mend these");
    end(&reading);
}

static void says_that_a_file_is_not_there(void **state)
{
    (void)state;
    struct config_errors errors = { 0 };
    assert_null(config_load("/nonexistent/site.ini", &errors));
    assert_int_equal(errors.count, 1);
    assert_string_equal(errors.items[0].text,
                        "/nonexistent/site.ini: the configuration cannot be read: No such file or "
                        "directory; name another with -c FILE or in $SLUICE_CONFIG");
    config_errors_clear(&errors);
}

static void says_that_a_file_is_a_directory(void **state)
{
    (void)state;
    struct config_errors errors = { 0 };
    assert_null(config_load("/", &errors));
    assert_non_null(strstr(errors.items[0].text, "Is a directory"));
    config_errors_clear(&errors);
}

static void loads_a_file(void **state)
{
    (void)state;
    char name[] = "/tmp/sluice-config-XXXXXX";
    static const char text[] = "[store s]\nroot = data\n";
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
    close(fd);
    struct config_errors errors = { 0 };
    struct config *config = config_load(name, &errors);
    unlink(name);
    assert_non_null(config);
    assert_string_equal(config->file, name);
    assert_string_equal(config_find_store(config, "s")->root, "/tmp/data");
    config_free(config);
    config_errors_clear(&errors);
}

/* A file with errors before must not make the next one look wrong. */
static void counts_only_its_own_errors(void **state)
{
    (void)state;
    struct config_errors errors = { 0 };
    assert_null(config_parse("a.ini", "[x]\n", 4, &errors));
    struct config *config = config_parse("b.ini", "", 0, &errors);
    assert_non_null(config);
    assert_int_equal(errors.error_count, 1);
    config_free(config);
    config_errors_clear(&errors);
}

static void a_sentence_is_one_line_that_steers_no_terminal(void **state)
{
    (void)state;
    struct config_errors errors = { 0 };
    config_errors_add(&errors, CONFIG_ERROR, "a\nb.ini", 3, "holds \"%s\"",
                      "\x1b[31mred\nb.ini:4: \xc2\x9b \x7f \xc3\xa9");
    config_errors_add_at(&errors, CONFIG_WARNING, NULL, NULL, "%s", "\r\t");
    assert_string_equal(errors.items[0].text,
                        "a\\x0ab.ini:3: holds \"\\x1b[31mred\\x0ab.ini:4: \\xc2\\x9b \\x7f \xc3\xa9\"");
    assert_string_equal(errors.items[1].text, "\\x0d\\x09");
    config_errors_clear(&errors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_every_end_of_line),
        cmocka_unit_test(takes_a_byte_order_mark),
        cmocka_unit_test(takes_indented_keys_for_keys),
        cmocka_unit_test(leaves_comments_out),
        cmocka_unit_test(goes_on_behind_a_backslash),
        cmocka_unit_test(takes_values_longer_than_any_line),
        cmocka_unit_test(refuses_a_line_that_inih_would_cut),
        cmocka_unit_test(takes_comments_of_any_length),
        cmocka_unit_test(refuses_a_nul_byte_and_goes_on),
        cmocka_unit_test(refuses_a_file_too_large),
        cmocka_unit_test(bounds_the_sections_of_a_file),
        cmocka_unit_test(bounds_the_keys_of_a_section),
        cmocka_unit_test(skips_what_continues_a_key_too_many),
        cmocka_unit_test(bounds_the_length_of_a_value),
        cmocka_unit_test(bounds_the_entries_of_a_list),
        cmocka_unit_test(bounds_the_list_of_problems),
        cmocka_unit_test(says_that_a_file_is_not_there),
        cmocka_unit_test(says_that_a_file_is_a_directory),
        cmocka_unit_test(loads_a_file),
        cmocka_unit_test(counts_only_its_own_errors),
        cmocka_unit_test(a_sentence_is_one_line_that_steers_no_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
