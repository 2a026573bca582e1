// rooms: store
#include "engine/store/extents.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void expect(const struct extents *extents, const char *text)
{
    char out[256];
    assert_int_equal(extents_print(extents, out, sizeof out), 0);
    assert_string_equal(out, text);
}

static void joins_ranges_that_touch_or_overlap(void **state)
{
    static const struct {
        uint64_t first, end;
        const char *then;
    } steps[] = {
        { 10, 20, "10-19" },
        { 30, 40, "10-19,30-39" },
        { 0, 5, "0-4,10-19,30-39" },
        { 20, 25, "0-4,10-24,30-39" },
        { 12, 13, "0-4,10-24,30-39" },
        { 4, 11, "0-24,30-39" },
        { 60, 60, "0-24,30-39" },
        { 50, 51, "0-24,30-39,50-50" },
        { 25, 60, "0-59" },
        { 0, 100, "0-99" },
    };
    struct extents extents = { 0 };

    (void)state;
    expect(&extents, "none");
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        assert_int_equal(extents_add(&extents, steps[i].first, steps[i].end), 0);
        expect(&extents, steps[i].then);
    }
    assert_int_equal(extents_total(&extents), 100);
    assert_int_equal(extents_add(&extents, 7, 6), -EINVAL);
    expect(&extents, "0-99");
    extents_clear(&extents);
    expect(&extents, "none");
}

static void knows_what_it_holds(void **state)
{
    struct extents extents = { 0 };

    (void)state;
    assert_int_equal(extents_parse(&extents, "10-19,30-39"), 0);
    assert_true(extents_hold(&extents, 10, 20));
    assert_true(extents_hold(&extents, 12, 15));
    assert_true(extents_hold(&extents, 30, 31));
    assert_true(extents_hold(&extents, 25, 25));
    assert_false(extents_hold(&extents, 9, 20));
    assert_false(extents_hold(&extents, 10, 21));
    assert_false(extents_hold(&extents, 10, 40));
    assert_false(extents_hold(&extents, 20, 30));
    assert_false(extents_hold(&extents, 100, 101));
    extents_clear(&extents);
}

static void finds_what_is_missing(void **state)
{
    static const struct {
        uint64_t size, from, first, end;
    } cases[] = {
        { 50, 0, 0, 10 },   { 50, 5, 5, 10 },   { 50, 10, 20, 30 }, { 50, 15, 20, 30 }, { 50, 25, 25, 30 },
        { 50, 30, 40, 50 }, { 50, 45, 45, 50 }, { 25, 15, 20, 25 }, { 8, 0, 0, 8 },
    };
    struct extents extents = { 0 };
    uint64_t first, end;

    (void)state;
    assert_int_equal(extents_parse(&extents, "10-19,30-39"), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_true(extents_next_missing(&extents, cases[i].size, cases[i].from, &first, &end));
        assert_int_equal(first, cases[i].first);
        assert_int_equal(end, cases[i].end);
    }
    assert_false(extents_next_missing(&extents, 40, 30, &first, &end));
    assert_false(extents_next_missing(&extents, 20, 12, &first, &end));
    assert_false(extents_next_missing(&extents, 50, 50, &first, &end));
    extents_clear(&extents);
    assert_false(extents_next_missing(&extents, 0, 0, &first, &end));
}

static void reads_what_http_writes(void **state)
{
    static const struct {
        const char *text, *then;
    } good[] = {
        { "none", "none" },
        { "0-0", "0-0" },
        { "0-99,200-299", "0-99,200-299" },
        { "200-299 ,\t0-99", "0-99,200-299" },
        { "5-9,0-4", "0-9" },
        { "0-18446744073709551614", "0-18446744073709551614" },
    };
    static const char *const bad[] = { "",
                                       "-",
                                       "5",
                                       "5-",
                                       "-5",
                                       "5-4",
                                       "0-1,",
                                       ",0-1",
                                       "0-1;2-3",
                                       "+1-2",
                                       "1-+2",
                                       "0x1-2",
                                       "1 - 2",
                                       "None",
                                       "none,1-2",
                                       "0-18446744073709551615",
                                       "0-99999999999999999999999999" };

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct extents extents = { 0 };
        assert_int_equal(extents_parse(&extents, good[i].text), 0);
        expect(&extents, good[i].then);
        extents_clear(&extents);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct extents extents = { 0 };
        if (extents_parse(&extents, bad[i]) != -EINVAL)
            fail_msg("%s", bad[i]);
        assert_int_equal(extents.count, 0);
    }
}

static void writes_the_first_ranges_where_room_is_short(void **state)
{
    struct extents extents = { 0 };
    char out[12];

    (void)state;
    assert_int_equal(extents_parse(&extents, "0-1,4-5,8-9,12-13"), 0);
    assert_int_equal(extents_print(&extents, out, sizeof out), -ENOSPC);
    assert_string_equal(out, "0-1,4-5,8-9");
    assert_int_equal(extents_print(&extents, out, 11), -ENOSPC);
    assert_string_equal(out, "0-1,4-5");
    extents_clear(&extents);
    assert_int_equal(extents_parse(&extents, "1000000-2000000"), 0);
    assert_int_equal(extents_print(&extents, out, sizeof out), -ENOSPC);
    assert_string_equal(out, "none");
    extents_clear(&extents);
}

static void takes_no_more_than_its_limit(void **state)
{
    struct extents extents = { 0 };

    (void)state;
    for (uint64_t i = 0; i < EXTENTS_MAX; i++)
        assert_int_equal(extents_add(&extents, i * 2, i * 2 + 1), 0);
    assert_int_equal(extents_add(&extents, EXTENTS_MAX * 2 + 10, EXTENTS_MAX * 2 + 11), -E2BIG);
    assert_int_equal(extents.count, EXTENTS_MAX);
    assert_int_equal(extents_add(&extents, 1, 2), 0); /* joins two */
    assert_int_equal(extents_add(&extents, EXTENTS_MAX * 2 + 10, EXTENTS_MAX * 2 + 11), 0);
    assert_int_equal(extents_total(&extents), EXTENTS_MAX + 2);
    extents_clear(&extents);
}

/* Against a map of single bytes. */
static void agrees_with_a_map_of_bytes(void **state)
{
    enum { SIZE = 300 };
    struct extents extents = { 0 };
    bool map[SIZE] = { false };
    unsigned seed = 1;

    (void)state;
    for (int round = 0; round < 2000; round++) {
        seed = seed * 1103515245 + 12345;
        uint64_t first = seed >> 8 & 0xff, length = seed >> 20 & 7;
        assert_int_equal(extents_add(&extents, first, first + length), 0);
        memset(map + first, true, length);

        uint64_t total = 0, from = 0, begin, end;
        while (extents_next_missing(&extents, SIZE, from, &begin, &end)) {
            for (; from < begin; from++, total++)
                assert_true(map[from]);
            for (; from < end; from++)
                assert_false(map[from]);
        }
        for (; from < SIZE; from++, total++)
            assert_true(map[from]);
        assert_int_equal(extents_total(&extents), total);
        if (round % 100 == 99) {
            extents_clear(&extents);
            memset(map, 0, sizeof map);
        }
    }
    extents_clear(&extents);
}

static void tells_what_a_range_lacks(void **state)
{
    static const struct {
        const char *have;
        uint64_t first, end;
        const char *gaps;
    } cases[] = {
        { "none", 0, 100, "0-99" },         { "0-99", 0, 100, "none" },  { "10-19,30-39", 0, 50, "0-9,20-29,40-49" },
        { "10-19,30-39", 15, 35, "20-29" }, { "10-19", 12, 18, "none" }, { "10-19", 12, 12, "none" },
        { "10-19", 15, 10, "none" },        { "10-19", 0, 10, "0-9" },   { "10-19", 20, 30, "20-29" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct extents have = { 0 }, gaps = { 0 };
        assert_int_equal(extents_parse(&have, cases[i].have), 0);
        assert_int_equal(extents_add_missing(&have, cases[i].first, cases[i].end, &gaps), 0);
        expect(&gaps, cases[i].gaps);
        extents_clear(&have);
        extents_clear(&gaps);
    }
}

static void joins_across_the_smallest_gaps(void **state)
{
    static const struct {
        const char *have;
        size_t limit;
        const char *then;
    } cases[] = {
        { "none", 1, "none" },
        { "0-9,20-29", 2, "0-9,20-29" },
        { "0-9,20-29", 1, "0-29" },
        { "0-9,20-29,35-39,100-109", 3, "0-9,20-39,100-109" },
        { "0-9,20-29,35-39,100-109", 2, "0-39,100-109" },
        { "0-9,20-29,35-39,100-109", 1, "0-109" },
        /* equal gaps: only as many as needed, from the front */
        { "0-0,2-2,4-4,6-6,8-8", 3, "0-4,6-6,8-8" },
        { "0-0,2-2,5-5,7-7,10-10", 4, "0-2,5-5,7-7,10-10" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct extents have = { 0 };
        assert_int_equal(extents_parse(&have, cases[i].have), 0);
        assert_int_equal(extents_join(&have, cases[i].limit), 0);
        expect(&have, cases[i].then);
        extents_clear(&have);
    }
}

static void adds_one_set_to_another(void **state)
{
    struct extents one = { 0 }, other = { 0 };

    (void)state;
    assert_int_equal(extents_parse(&one, "0-9,40-49"), 0);
    assert_int_equal(extents_parse(&other, "10-19,30-34,45-59"), 0);
    assert_int_equal(extents_add_all(&one, &other), 0);
    expect(&one, "0-19,30-34,40-59");
    expect(&other, "10-19,30-34,45-59");
    extents_clear(&one);
    extents_clear(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joins_ranges_that_touch_or_overlap),
        cmocka_unit_test(knows_what_it_holds),
        cmocka_unit_test(finds_what_is_missing),
        cmocka_unit_test(reads_what_http_writes),
        cmocka_unit_test(writes_the_first_ranges_where_room_is_short),
        cmocka_unit_test(takes_no_more_than_its_limit),
        cmocka_unit_test(agrees_with_a_map_of_bytes),
        cmocka_unit_test(tells_what_a_range_lacks),
        cmocka_unit_test(joins_across_the_smallest_gaps),
        cmocka_unit_test(adds_one_set_to_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
