// rooms: config
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <time.h>

/* The subcommands are a program, not a room that could be linked. */
#include "engine/cli/when.c"

#define NOW (UINT64_C(1780000000) * SECOND)
#define DAY (UINT64_C(86400) * SECOND)

static int set_zone(void **state)
{
    (void)state;
    setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    tzset();
    return 0;
}

static void so_long_ago_is_counted_from_now(void **state)
{
    static const struct {
        const char *text;
        uint64_t ago;
    } cases[] = { { "90s", 90 * SECOND }, { "30m", 1800 * SECOND }, { "2h", 7200 * SECOND },
                  { "7d", 7 * DAY },      { "4w", 28 * DAY },       { "0s", 0 } };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t when;
        assert_int_equal(when_parse(cases[i].text, NOW, &when), 0);
        assert_true(when == NOW - cases[i].ago);
    }
}

static void longer_ago_than_there_was_time_is_the_beginning(void **state)
{
    static const char *const cases[] = { "9999999w", "99999999999999999999999s", "18446744073709551615w" };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t when = 1;
        assert_int_equal(when_parse(cases[i], NOW, &when), 0);
        assert_true(when == 0);
    }
}

static void a_moment_is_local_unless_it_names_its_zone(void **state)
{
    static const struct {
        const char *text;
        uint64_t seconds;
    } cases[] = {
        { "2026-01-02", 1767308400 },
        { "2026-01-02 03:04", 1767319440 },
        { "2026-01-02T03:04:05", 1767319445 },
        { "2026-01-02T03:04:05Z", 1767323045 },
        { "2026-01-02 03:04:05 +01:00", 1767319445 },
        { "2026-01-02T03:04:05-0330", 1767335645 },
        { "2026-07-02 03:04", 1782954240 },
        { "2026-01-02Z", 1767312000 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t when;
        assert_int_equal(when_parse(cases[i].text, NOW, &when), 0);
        assert_true(when == cases[i].seconds * SECOND);
    }
}

static void what_is_no_time_is_refused(void **state)
{
    static const char *const cases[] = { "",
                                         "h",
                                         "2",
                                         "2x",
                                         "2hh",
                                         "-2h",
                                         "2026",
                                         "2026-13-01",
                                         "2026-02-30",
                                         "26-01-01",
                                         "2026-01-01x",
                                         "2026-01-01 25:00",
                                         "yesterday",
                                         "2026-01-01 12:00 CET",
                                         "1969-01-01Z",
                                         "2026-01-01+99:00" };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t when;
        assert_int_equal(when_parse(cases[i], NOW, &when), -EINVAL);
    }
}

static void a_time_is_printed_with_its_zone(void **state)
{
    char text[WHEN_SIZE];
    (void)state;
    assert_string_equal(when_text(UINT64_C(1767319445123456), text), "2026-01-02 03:04:05 +0100");
    assert_string_equal(when_utc(UINT64_C(1767319445123456), text), "2026-01-02T02:04:05.123Z");
    assert_string_equal(when_text(0, text), "");
    assert_string_equal(when_utc(0, text), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(so_long_ago_is_counted_from_now),
        cmocka_unit_test(longer_ago_than_there_was_time_is_the_beginning),
        cmocka_unit_test(a_moment_is_local_unless_it_names_its_zone),
        cmocka_unit_test(what_is_no_time_is_refused),
        cmocka_unit_test(a_time_is_printed_with_its_zone),
    };
    return cmocka_run_group_tests(tests, set_zone, NULL);
}
