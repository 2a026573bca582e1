// rooms: catalog config
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The subcommands are a program, not a room that could be linked. */
#include "engine/cli/history_print.c"
#include "engine/cli/progress.c"
#include "engine/cli/when.c"

typedef void print(FILE *out, const struct catalog_record *record);

/* For free(). */
static char *printed(print *function, const struct catalog_record *record)
{
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    function(out, record);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void expect_in(print *function, const struct catalog_record *record, const char *wanted)
{
    char *text = printed(function, record);
    if (!strstr(text, wanted))
        fail_msg("%s\nis not in\n%s", wanted, text);
    free(text);
}

static void bytes_of_a_peer_come_out_escaped(void **state)
{
    static const struct {
        const char *name, *shown, *json;
    } cases[] = {
        { "plain", "plain\n", "\"remote\":\"plain\"," },
        { "a b\"c", "a b\"c\n", "\"remote\":\"a b\\\"c\"," },
        { "a\\x", "a\\x5cx\n", "\"remote\":\"a\\\\x\"," },
        { "\x1b[2J\r\n", "\\x1b[2J\\x0d\\x0a\n", "\"remote\":\"\\u001b[2J\\u000d\\u000a\"," },
        { "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f\n", "\"remote\":\"gr\xc3\xbc\xc3\x9f\"," },
        { "\xe2\x80\xae", "\\xe2\\x80\\xae\n", "\"remote\":\"\\u202e\"," },
        { "\xff\xc3", "\\xff\\xc3\n", "\"remote\":\"\\ufffd\\ufffd\",\"remote_hex\":\"ffc3\"," },
        { "\xed\xa0\x80", "\\xed\\xa0\\x80\n", "\"remote_hex\":\"eda080\"" },
        { "\xc0\xaf", "\\xc0\\xaf\n", "\"remote_hex\":\"c0af\"" },
        { "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80\n", "\"remote_hex\":\"f4908080\"" },
        { "\xc2\x9b", "\\xc2\\x9b\n", "\"remote\":\"\\u009b\"," },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct catalog_record record = { .id = 1, .remote = cases[i].name };
        expect_in(history_line, &record, cases[i].shown);
        expect_in(history_show, &record, cases[i].shown);
        expect_in(history_json, &record, cases[i].json);
    }
}

static void what_is_not_known_is_not_made_up(void **state)
{
    const struct catalog_record record = { .id = 1, .size = CATALOG_UNKNOWN, .state = CATALOG_WAITING };
    (void)state;
    expect_in(history_json, &record, "\"size\":null,\"offset\":0,");
    expect_in(history_json, &record, "\"begun\":null,\"ended\":null,");
    char *text = printed(history_show, &record);
    assert_null(strstr(text, "size"));
    assert_null(strstr(text, "ended"));
    assert_null(strstr(text, "took"));
    free(text);
}

static void a_finished_transfer_says_how_fast_it_was(void **state)
{
    static const uint64_t streams[] = { 1500000, 500000 };
    const struct catalog_record record = { .id = 1,
                                           .state = CATALOG_DONE,
                                           .size = 2000000,
                                           .bytes = 2000000,
                                           .begun = 1000000,
                                           .ended = 3000000,
                                           .streams = streams,
                                           .stream_count = 2,
                                           .version = "TLSv1.3",
                                           .resumed = true };
    (void)state;
    expect_in(history_show, &record, "2000000 bytes (2.00 MB)\n");
    expect_in(history_show, &record, "2.000 s (1.00 MB/s)\n");
    expect_in(history_show, &record, "stream 2        500000 bytes (500 kB)\n");
    expect_in(history_show, &record, "session         resumed\n");
    expect_in(history_json, &record, "\"streams\":[1500000,500000],");
    expect_in(history_line, &record, "  2.00 MB  ");
}

static void a_message_is_shown_with_its_bytes(void **state)
{
    const struct catalog_record record = { .id = 1, .kind = CATALOG_MESSAGE, .message = "a\0b\n", .message_length = 4 };
    (void)state;
    expect_in(history_show, &record, "message         a\\x00b\\x0a\n");
    expect_in(history_json, &record, "\"message\":\"a\\u0000b\\u000a\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_of_a_peer_come_out_escaped),
        cmocka_unit_test(what_is_not_known_is_not_made_up),
        cmocka_unit_test(a_finished_transfer_says_how_fast_it_was),
        cmocka_unit_test(a_message_is_shown_with_its_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
