// rooms: printable
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/printable.h"

static const struct {
    const char *text, *shown;
} cases[] = {
    { "", "" },
    { "plain", "plain" },
    { "back\\slash", "back\\slash" },
    { "\x1b[2Jx", "\\x1b[2Jx" },
    { "a\nb\tc\x7f", "a\\x0ab\\x09c\\x7f" },
    /* What is to be read stays as it is. */
    { "Zürich \xe2\x82\xac \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x98\x80", "Zürich \xe2\x82\xac \xe6\x97\xa5\xe6\x9c\xac "
                                                                       "\xf0\x9f\x98\x80" },
    { "\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d", "\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d" }, /* Hebrew letters */
    { "\xc2\xa0", "\xc2\xa0" },
    /* C1, as UTF-8 and as the bytes themselves. */
    { "\xc2\x9b"
      "1m",
      "\\xc2\\x9b1m" },
    { "\xc2\x80\xc2\x9f", "\\xc2\\x80\\xc2\\x9f" },
    { "\x9b"
      "1m",
      "\\x9b1m" },
    /* What turns the direction of writing, and what breaks a line. */
    { "\xd8\x9c", "\\xd8\\x9c" },
    { "\xe2\x80\x8e\xe2\x80\x8f", "\\xe2\\x80\\x8e\\xe2\\x80\\x8f" },
    { "\xe2\x80\xa8\xe2\x80\xa9", "\\xe2\\x80\\xa8\\xe2\\x80\\xa9" },
    { "gpj.\xe2\x80\xae"
      "exe",
      "gpj.\\xe2\\x80\\xaeexe" },
    { "\xe2\x81\xa6\xe2\x81\xa9", "\\xe2\\x81\\xa6\\xe2\\x81\\xa9" },
    /* What cannot be seen at all. */
    { "\xc2\xad\xe2\x80\x8b\xe2\x81\xa0\xef\xbb\xbf", "\\xc2\\xad\\xe2\\x80\\x8b\\xe2\\x81\\xa0\\xef\\xbb\\xbf" },
    { "\xf3\xa0\x81\x81", "\\xf3\\xa0\\x81\\x81" },
    /* No UTF-8: cut short, longer than need be, a surrogate, beyond Unicode, of five bytes. */
    { "\xff", "\\xff" },
    { "a\xc3", "a\\xc3" },
    { "\xe2\x82(", "\\xe2\\x82(" },
    { "\xc0\xaf", "\\xc0\\xaf" },
    { "\xe0\x82\x9b", "\\xe0\\x82\\x9b" },
    { "\xed\xa0\x80", "\\xed\\xa0\\x80" },
    { "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80" },
    { "\xf8\x88\x80\x80\x80", "\\xf8\\x88\\x80\\x80\\x80" },
};

static void what_deceives_is_escaped_and_the_rest_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *shown = printable(cases[i].text);
        assert_string_equal(shown, cases[i].shown);
        free(shown);
    }
}

static void done_twice_it_is_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *again = printable(cases[i].shown);
        assert_string_equal(again, cases[i].shown);
        free(again);
    }
}

static void every_control_of_c0_and_c1_is_escaped_and_no_other_byte_of_ascii(void **state)
{
    (void)state;
    for (uint32_t point = 0; point < 0x100; point++)
        assert_int_equal(printable_deceives(point), point < 0x20 || (point >= 0x7f && point < 0xa0) || point == 0xad);
}

static void a_line_is_one_line_whatever_its_arguments_hold(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    printable_line(out, "%s: %d", "a\nsluice: all is well\x1b[8m\xe2\x80\xae", 7);
    fclose(out);
    assert_string_equal(text, "a\\x0asluice: all is well\\x1b[8m\\xe2\\x80\\xae: 7\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_deceives_is_escaped_and_the_rest_is_read),
        cmocka_unit_test(done_twice_it_is_the_same),
        cmocka_unit_test(every_control_of_c0_and_c1_is_escaped_and_no_other_byte_of_ascii),
        cmocka_unit_test(a_line_is_one_line_whatever_its_arguments_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
