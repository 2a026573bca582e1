// rooms: config
/* Rates as operators write them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/model.h"
#include "config/rate.h"

static uint64_t rate_of(const char *text)
{
    uint64_t rate = 0;
    assert_int_equal(config_rate_parse(text, &rate), 0);
    return rate;
}

static void units_are_powers_of_1024(void **state)
{
    (void)state;
    assert_int_equal(rate_of("1024"), 1024);
    assert_int_equal(rate_of("800K"), 800 << 10);
    assert_int_equal(rate_of("100M"), 100 << 20);
    assert_int_equal(rate_of("2G"), UINT64_C(2) << 30);
    assert_int_equal(rate_of("1T"), UINT64_C(1) << 40);
}

static void a_fraction_is_of_the_unit(void **state)
{
    (void)state;
    assert_int_equal(rate_of("1.5G"), UINT64_C(3) << 29);
    assert_int_equal(rate_of("0.25M"), 256 << 10);
    assert_int_equal(rate_of("1.50000000000000000000001M"), 3 << 19);
    assert_int_equal(rate_of("2000.9"), 2000);
    assert_int_equal(rate_of("0.999999T"), 999999 * (UINT64_C(1) << 40) / 1000000);
}

static void what_is_no_rate_is_refused(void **state)
{
    static const char *const wrong[] = { "",    "M",   ".5M", "1.M", "1.5.5M", "-1M", "+1M",  " 1M",
                                         "1 M", "1MB", "1m",  "1Mi", "0x100M", "1e9", "1,5G", "fast" };
    uint64_t rate = 7;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(config_rate_parse(wrong[i], &rate), -EINVAL);
        assert_int_equal(rate, 7);
    }
}

static void what_is_too_small_or_too_large_is_told_apart(void **state)
{
    static const char *const wrong[] = { "0",        "1023", "0.9K", "0.0000001G", "8388608T", "99999999999999999999",
                                         "99999999T" };
    uint64_t rate = 7;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(config_rate_parse(wrong[i], &rate), -ERANGE);
        assert_int_equal(rate, 7);
    }
    assert_int_equal(rate_of("8388607T"), UINT64_C(8388607) << 40);
}

static void a_rate_is_told_as_it_is_written(void **state)
{
    static const struct {
        uint64_t rate;
        const char *text;
    } told[] = {
        { 1000, "1000" },
        { 1024, "1K" },
        { 100 << 20, "100M" },
        { UINT64_C(3) << 29, "1.50G" },
        { UINT64_C(1) << 40, "1T" },
    };
    char text[CONFIG_RATE_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof told / sizeof *told; i++)
        assert_string_equal(config_rate_text(told[i].rate, text), told[i].text);
}

#define SITE(key)                                                                                                      \
    "[client-profile p]\ntrust = system\n[store s]\nroot = /srv\noverwrite = rename\n"                                 \
    "[partner node7]\nhost = node7:8443\nprofile = p\n" key

static void a_partner_has_a_limit_and_a_store_a_policy(void **state)
{
    struct config_errors errors = { 0 };
    const char *text = SITE("limit_rate = 1.5M\n");
    struct config *config = config_parse("/etc/site.ini", text, strlen(text), &errors);
    (void)state;
    assert_non_null(config);
    assert_int_equal(config_find_partner(config, "node7")->limit_rate, 3 << 19);
    assert_int_equal(config_find_store(config, "s")->overwrite, CONFIG_OVERWRITE_RENAME);
    config_free(config);
    config_errors_clear(&errors);
}

static void a_wrong_limit_is_named_with_what_would_be_right(void **state)
{
    static const struct {
        const char *text, *said;
    } wrong[] = {
        { SITE("limit_rate = fast\n"), "limit_rate \"fast\" is not a rate" },
        { SITE("limit_rate = 10\n"), "limit_rate \"10\" is out of bounds: write 1K or more" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct config_errors errors = { 0 };
        assert_null(config_parse("/etc/site.ini", wrong[i].text, strlen(wrong[i].text), &errors));
        assert_int_equal(errors.count, 1);
        assert_non_null(strstr(errors.items[0].text, wrong[i].said));
        config_errors_clear(&errors);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(units_are_powers_of_1024),
        cmocka_unit_test(a_fraction_is_of_the_unit),
        cmocka_unit_test(what_is_no_rate_is_refused),
        cmocka_unit_test(what_is_too_small_or_too_large_is_told_apart),
        cmocka_unit_test(a_rate_is_told_as_it_is_written),
        cmocka_unit_test(a_partner_has_a_limit_and_a_store_a_policy),
        cmocka_unit_test(a_wrong_limit_is_named_with_what_would_be_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
