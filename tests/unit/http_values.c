// rooms: http
#include "engine/http/http.h"

#include <errno.h>
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* -- ranges -- */

static void reads_one_range(void **state)
{
    static const struct {
        const char *value;
        uint64_t size;
        enum http_range_verdict verdict;
        uint64_t first, length;
    } cases[] = {
        { "bytes=0-0", 10, HTTP_RANGE_ONE, 0, 1 },
        { "bytes=0-9", 10, HTTP_RANGE_ONE, 0, 10 },
        { "bytes=0-10", 10, HTTP_RANGE_ONE, 0, 10 },
        { "bytes=9-", 10, HTTP_RANGE_ONE, 9, 1 },
        { "bytes=0-", 10, HTTP_RANGE_ONE, 0, 10 },
        { "bytes=-1", 10, HTTP_RANGE_ONE, 9, 1 },
        { "bytes=-10", 10, HTTP_RANGE_ONE, 0, 10 },
        { "bytes=-11", 10, HTTP_RANGE_ONE, 0, 10 },
        { "Bytes= 2-3 ", 10, HTTP_RANGE_ONE, 2, 2 },
        { "bytes=,2-3,", 10, HTTP_RANGE_ONE, 2, 2 },
        { "bytes=2-99999999999999999999999", 10, HTTP_RANGE_ONE, 2, 8 },
        { "bytes=-99999999999999999999999", 10, HTTP_RANGE_ONE, 0, 10 },
        { "bytes=1-18446744073709551615", UINT64_MAX, HTTP_RANGE_ONE, 1, UINT64_MAX - 1 },
        { "bytes=10-", 10, HTTP_RANGE_UNSATISFIABLE, 0, 0 },
        { "bytes=10-12", 10, HTTP_RANGE_UNSATISFIABLE, 0, 0 },
        { "bytes=99999999999999999999999-", 10, HTTP_RANGE_UNSATISFIABLE, 0, 0 },
        { "bytes=-0", 10, HTTP_RANGE_UNSATISFIABLE, 0, 0 },
        { "bytes=0-", 0, HTTP_RANGE_UNSATISFIABLE, 0, 0 },
        { "bytes=-5", 0, HTTP_RANGE_IGNORED, 0, 0 },
        { "bytes=5-4", 10, HTTP_RANGE_IGNORED, 0, 0 },
        { "bytes=0-1,3-4", 10, HTTP_RANGE_IGNORED, 0, 0 },
        { "bytes=", 10, HTTP_RANGE_IGNORED, 0, 0 },
        { "bytes=-", 10, HTTP_RANGE_IGNORED, 0, 0 },
        { "bytes=1", 10, HTTP_RANGE_IGNORED, 0, 0 },
        { "bytes=a-b", 10, HTTP_RANGE_IGNORED, 0, 0 },
        { "bytes=1-2x", 10, HTTP_RANGE_IGNORED, 0, 0 },
        { "bytes=1 -2", 10, HTTP_RANGE_IGNORED, 0, 0 },
        { "bytes=+1-2", 10, HTTP_RANGE_IGNORED, 0, 0 },
        { "bytes=--2", 10, HTTP_RANGE_IGNORED, 0, 0 },
        { "bytes 1-2", 10, HTTP_RANGE_IGNORED, 0, 0 },
        { "lines=1-2", 10, HTTP_RANGE_IGNORED, 0, 0 },
        { "", 10, HTTP_RANGE_IGNORED, 0, 0 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_range range = { 0 };
        if (http_range(cases[i].value, cases[i].size, &range) != cases[i].verdict)
            fail_msg("%s", cases[i].value);
        if (cases[i].verdict == HTTP_RANGE_ONE) {
            assert_int_equal(range.first, cases[i].first);
            assert_int_equal(range.length, cases[i].length);
        }
    }
    (void)state;
}

static void reads_a_content_range(void **state)
{
    static const char *const wrong[] = {
        "",
        "bytes",
        "bytes */10",
        "bytes 0-4",
        "bytes 4-0/10",
        "bytes 0-10/10",
        "bytes 0-4/5x",
        "bytes -4/10",
        "bytes 0-/10",
        "bytes=0-4/10",
        "lines 0-4/10",
        "bytes 0-4/",
        "bytes 0-4/4",
        "bytes 0-99999999999999999999/*",
        "bytes 0-4/99999999999999999999",
    };
    struct http_range range;
    uint64_t complete;

    assert_int_equal(http_content_range("bytes 5-9/10", &range, &complete), 0);
    assert_int_equal(range.first, 5);
    assert_int_equal(range.length, 5);
    assert_int_equal(complete, 10);
    assert_int_equal(http_content_range("bytes 0-0/*", &range, &complete), 0);
    assert_int_equal(range.length, 1);
    assert_int_equal(complete, UINT64_MAX);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (http_content_range(wrong[i], &range, &complete) != -EINVAL)
            fail_msg("%s", wrong[i]);
    }
    (void)state;
}

/* -- dates -- */

static void writes_dates_whatever_the_locale(void **state)
{
    static const char *const locales[] = { "C", "de_DE.UTF-8", "fr_FR.UTF-8", "" };
    char text[HTTP_DATE_SIZE];

    for (size_t i = 0; i < sizeof locales / sizeof *locales; i++) {
        setlocale(LC_ALL, locales[i]);
        http_date(784111777, text);
        assert_string_equal(text, "Sun, 06 Nov 1994 08:49:37 GMT");
    }
    setlocale(LC_ALL, "C");
    http_date(0, text);
    assert_string_equal(text, "Thu, 01 Jan 1970 00:00:00 GMT");
    http_date(INT64_MAX, text);
    assert_string_equal(text, "Fri, 31 Dec 9999 23:59:59 GMT");
    http_date(INT64_MIN, text);
    assert_string_equal(text, "Sat, 01 Jan 0000 00:00:00 GMT");
    (void)state;
}

static void reads_the_three_forms_of_a_date(void **state)
{
    static const char *const same[] = {
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
    };
    time_t when;

    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        assert_int_equal(http_date_parse(same[i], &when), 0);
        assert_int_equal(when, 784111777);
    }
    assert_int_equal(http_date_parse("Wed Nov 16 08:49:37 1994", &when), 0);
    assert_int_equal(http_date_parse("Thu, 29 Feb 2024 23:59:60 GMT", &when), 0);
    assert_int_equal(when, 1709251199);
    (void)state;
}

static void reads_back_every_date_it_writes(void **state)
{
    for (time_t when = -62167219200; when < 253402300799; when += 86400 * 13 + 3661) {
        char text[HTTP_DATE_SIZE];
        time_t back;
        http_date(when, text);
        assert_int_equal(http_date_parse(text, &back), 0);
        assert_int_equal(back, when);
    }
    (void)state;
}

static void takes_two_digits_of_a_year_for_the_nearest(void **state)
{
    time_t now = time(NULL), when;
    struct tm tm;
    char text[64];

    gmtime_r(&now, &tm);
    for (int ahead = -49; ahead <= 50; ahead++) {
        int year = tm.tm_year + 1900 + ahead;
        snprintf(text, sizeof text, "Monday, 01-Jan-%02d 00:00:00 GMT", year % 100);
        assert_int_equal(http_date_parse(text, &when), 0);
        struct tm read;
        gmtime_r(&when, &read);
        assert_int_equal(read.tm_year + 1900, year);
    }
    (void)state;
}

static void refuses_what_is_no_date(void **state)
{
    static const char *const wrong[] = {
        "",
        "Sun",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Xxx, 06 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 29 Feb 2023 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov -994 08:49:37 GMT",
        "Sun, 06-Nov-94 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "1994-11-06T08:49:37Z",
    };
    time_t when;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (http_date_parse(wrong[i], &when) != -EINVAL)
            fail_msg("%s", wrong[i]);
    }
    (void)state;
}

/* -- paths -- */

static void takes_the_path_out_of_a_target(void **state)
{
    static const struct {
        const char *target, *path;
        int rc;
    } cases[] = {
        { "/", "", 0 },
        { "/a/b", "a/b", 0 },
        { "/a%20b%C3%a4+c?x=%zz", "a b\xc3\xa4+c", 0 },
        { "/?x", "", 0 },
        { "/../%2e%2E/", "../../", 0 },
        { "/a%2Fb", "a/b", 0 },
        { "/%01\x7f", "\x01\x7f", 0 },
        { "", "", -EINVAL },
        { "a", "", -EINVAL },
        { "*", "", -EINVAL },
        { "/%", "", -EINVAL },
        { "/%4", "", -EINVAL },
        { "/%4g", "", -EINVAL },
        { "/%g4", "", -EINVAL },
        { "/%00", "", -EINVAL },
        { "/a%00b", "a", -EINVAL },
        { "/123456789012345", "123456789012345", 0 },
        { "/1234567890123456", "123456789012345", -ENAMETOOLONG },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[16];
        memset(path, 'x', sizeof path);
        assert_int_equal(http_target_path(cases[i].target, path, sizeof path), cases[i].rc);
        assert_string_equal(path, cases[i].path); /* also where it is refused, up to there: an event tells it */
    }
    (void)state;
}

static void escapes_a_path_so_that_it_reads_back(void **state)
{
    char path[256], target[3 * 256] = "/", back[256];

    for (int c = 1; c < 256; c++)
        path[c - 1] = (char)c;
    path[255] = '\0';
    assert_int_equal(http_path_encode(path, target + 1, sizeof target - 1), 0);
    assert_int_equal(strspn(target, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/%"),
                     strlen(target));
    assert_int_equal(http_target_path(target, back, sizeof back), 0);
    assert_string_equal(path, back);
    assert_int_equal(http_path_encode("a b", target, 6), 0);
    assert_string_equal(target, "a%20b");
    assert_int_equal(http_path_encode("a b", target, 5), -ENAMETOOLONG);
    assert_int_equal(http_path_encode("", target, 1), 0);
    assert_int_equal(http_path_encode("", target, 0), -ENAMETOOLONG);
    (void)state;
}

/* -- preconditions -- */

#define NOON 784111777
#define NOON_TEXT "Sun, 06 Nov 1994 08:49:37 GMT"
#define EARLIER "Sun, 06 Nov 1994 08:49:36 GMT"
#define LATER "Sun, 06 Nov 1994 08:49:38 GMT"

static unsigned judge(enum http_method method, const char *etag, struct http_field first, struct http_field second,
                      bool *range_holds)
{
    struct http_head head = { .method = method, .fields = { first, second } };

    head.field_count = second.name ? 2 : first.name ? 1 : 0;
    return http_preconditions(&head, etag, NOON, range_holds);
}

static void answers_preconditions_in_their_order(void **state)
{
    static const struct {
        enum http_method method;
        const char *etag;
        struct http_field first, second;
        unsigned status;
    } cases[] = {
        { HTTP_GET, "\"a\"", { 0 }, { 0 }, 0 },
        { HTTP_PUT, NULL, { "If-Match", "*" }, { 0 }, 412 },
        { HTTP_PUT, "\"a\"", { "If-Match", "*" }, { 0 }, 0 },
        { HTTP_PUT, "\"a\"", { "if-match", "\"b\", \"a\"" }, { 0 }, 0 },
        { HTTP_PUT, "\"a\"", { "If-Match", "\"b\"" }, { "If-Match", "\"a\"" }, 0 },
        { HTTP_PUT, "\"a\"", { "If-Match", "W/\"a\"" }, { 0 }, 412 },
        { HTTP_PUT, "\"a\"", { "If-Match", "\"b,\"a\"" }, { 0 }, 412 },
        { HTTP_PUT, "\"a\"", { "If-Match", "a" }, { 0 }, 412 },
        { HTTP_PUT, "\"a,b\"", { "If-Match", "\"a,b\"" }, { 0 }, 0 },
        { HTTP_GET, "\"a\"", { "If-Unmodified-Since", EARLIER }, { 0 }, 412 },
        { HTTP_GET, "\"a\"", { "If-Unmodified-Since", NOON_TEXT }, { 0 }, 0 },
        { HTTP_GET, "\"a\"", { "If-Unmodified-Since", "yesterday" }, { 0 }, 0 },
        { HTTP_GET, "\"a\"", { "If-Unmodified-Since", EARLIER }, { "If-Match", "\"a\"" }, 0 },
        { HTTP_PUT, NULL, { "If-Unmodified-Since", EARLIER }, { 0 }, 0 },
        { HTTP_GET, "\"a\"", { "If-None-Match", "\"a\"" }, { 0 }, 304 },
        { HTTP_HEAD, "\"a\"", { "If-None-Match", "\"b\", W/\"a\"" }, { 0 }, 304 },
        { HTTP_GET, "\"a\"", { "If-None-Match", "\"b\"" }, { 0 }, 0 },
        { HTTP_PUT, "\"a\"", { "If-None-Match", "*" }, { 0 }, 412 },
        { HTTP_PUT, NULL, { "If-None-Match", "*" }, { 0 }, 0 },
        { HTTP_GET, "\"a\"", { "If-Modified-Since", NOON_TEXT }, { 0 }, 304 },
        { HTTP_GET, "\"a\"", { "If-Modified-Since", LATER }, { 0 }, 304 },
        { HTTP_GET, "\"a\"", { "If-Modified-Since", EARLIER }, { 0 }, 0 },
        { HTTP_PUT, "\"a\"", { "If-Modified-Since", LATER }, { 0 }, 0 },
        { HTTP_GET, "\"a\"", { "If-Modified-Since", LATER }, { "If-None-Match", "\"b\"" }, 0 },
        { HTTP_GET, "\"a\"", { "If-Match", "\"a\"" }, { "If-None-Match", "\"a\"" }, 304 },
        { HTTP_GET, "\"a\"", { "If-Match", "\"b\"" }, { "If-None-Match", "\"a\"" }, 412 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool range_holds;
        unsigned status = judge(cases[i].method, cases[i].etag, cases[i].first, cases[i].second, &range_holds);
        if (status != cases[i].status)
            fail_msg("%s: %s gives %u", cases[i].first.name, cases[i].first.value, status);
        assert_true(range_holds);
    }
    (void)state;
}

static void allows_a_range_only_of_the_same_file(void **state)
{
    static const struct {
        const char *etag, *value;
        bool holds;
    } cases[] = {
        { "\"a\"", "\"a\"", true },   { "\"a\"", "\"b\"", false }, { "\"a\"", "W/\"a\"", false },
        { "\"a\"", NOON_TEXT, true }, { "\"a\"", LATER, false },   { "\"a\"", EARLIER, false },
        { NULL, "\"a\"", false },     { "\"a\"", "", false },
    };
    struct http_field none = { 0 };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool holds;
        struct http_field field = { "If-Range", cases[i].value };
        assert_int_equal(judge(HTTP_GET, cases[i].etag, field, none, &holds), 0);
        assert_int_equal(holds, cases[i].holds);
    }
    (void)state;
}

static void trusts_no_date_of_just_now(void **state)
{
    time_t now = time(NULL);
    char text[HTTP_DATE_SIZE];
    struct http_head head = { .method = HTTP_GET, .field_count = 1, .fields = { { "If-Range", text } } };
    bool holds;

    http_date(now, text);
    assert_int_equal(http_preconditions(&head, "\"a\"", now, &holds), 0);
    assert_false(holds);
    (void)state;
}

/* -- writing -- */

static void writes_a_head_that_reads_back(void **state)
{
    char bytes[256];
    struct http_writer writer = { .bytes = bytes, .capacity = sizeof bytes };
    struct http_reader *reader = http_reader_new(HTTP_RESPONSES, 1024);
    time_t when;
    size_t used;

    http_write_status(&writer, 206);
    http_write(&writer, "Content-Length: %d\r\n", 5);
    http_write_end(&writer);
    assert_false(writer.overflow);
    assert_int_equal(http_reader_head(reader, bytes, writer.length, &used), HTTP_COMPLETE);
    assert_int_equal(used, writer.length);
    assert_int_equal(http_reader_result(reader)->status, 206);
    assert_int_equal(http_reader_result(reader)->length, 5);
    assert_int_equal(http_date_parse(http_field(http_reader_result(reader), "Date"), &when), 0);
    assert_true(when <= time(NULL) && when > time(NULL) - 60);
    http_reader_free(reader);
    assert_string_equal(http_reason(206), "Partial Content");
    assert_string_equal(http_reason(299), "Unknown");
    (void)state;
}

static void stays_overflown(void **state)
{
    char *bytes = malloc(8);
    struct http_writer writer = { .bytes = bytes, .capacity = 8 };

    http_write(&writer, "%s", "1234567");
    assert_false(writer.overflow);
    assert_int_equal(writer.length, 7);
    http_write(&writer, "8");
    assert_true(writer.overflow); /* there must be room for the NUL */
    http_write(&writer, "%s", "");
    http_write_end(&writer);
    http_write_html(&writer, "<");
    assert_true(writer.overflow);
    assert_int_equal(writer.length, 7);
    writer = (struct http_writer){ .bytes = bytes, .capacity = 8 };
    http_write_json_string(&writer, "\x01\x02");
    assert_true(writer.overflow);
    free(bytes);
    (void)state;
}

static void escapes(const char *text, const char *json, const char *html)
{
    char bytes[256];
    struct http_writer writer = { .bytes = bytes, .capacity = sizeof bytes };

    http_write_json_string(&writer, text);
    assert_int_equal(writer.length, strlen(json));
    assert_memory_equal(bytes, json, writer.length);
    writer.length = 0;
    http_write_html(&writer, text);
    assert_int_equal(writer.length, strlen(html));
    assert_memory_equal(bytes, html, writer.length);
}

#define BAD "\xef\xbf\xbd"

static void escapes_text_for_json_and_html(void **state)
{
    escapes("", "\"\"", "");
    escapes("a<b>&\"'\\", "\"a<b>&\\\"'\\\\\"", "a&lt;b&gt;&amp;&quot;&#39;\\");
    escapes("\n\x1b\x7f", "\"\\u000a\\u001b\\u007f\"", BAD BAD BAD);
    escapes("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"",
            "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
    escapes("\xc2\x9b\xe2\x80\xae\xe2\x80\xa8", "\"\\u009b\\u202e\\u2028\"", BAD BAD BAD);
    escapes("\xf3\xa0\x81\x81", "\"\\udb40\\udc41\"", BAD);
    escapes("\xff", "\"" BAD "\"", BAD);
    escapes("\xc3", "\"" BAD "\"", BAD);                                     /* cut off */
    escapes("\xc3(", "\"" BAD "(\"", BAD "(");                               /* not continued */
    escapes("\xc0\xaf", "\"" BAD BAD "\"", BAD BAD);                         /* longer than need be */
    escapes("\xed\xa0\x80", "\"" BAD BAD BAD "\"", BAD BAD BAD);             /* a surrogate */
    escapes("\xf4\x90\x80\x80", "\"" BAD BAD BAD BAD "\"", BAD BAD BAD BAD); /* beyond Unicode */
    escapes("\xe2\x82", "\"" BAD BAD "\"", BAD BAD);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_one_range),
        cmocka_unit_test(reads_a_content_range),
        cmocka_unit_test(writes_dates_whatever_the_locale),
        cmocka_unit_test(reads_the_three_forms_of_a_date),
        cmocka_unit_test(reads_back_every_date_it_writes),
        cmocka_unit_test(takes_two_digits_of_a_year_for_the_nearest),
        cmocka_unit_test(refuses_what_is_no_date),
        cmocka_unit_test(takes_the_path_out_of_a_target),
        cmocka_unit_test(escapes_a_path_so_that_it_reads_back),
        cmocka_unit_test(answers_preconditions_in_their_order),
        cmocka_unit_test(allows_a_range_only_of_the_same_file),
        cmocka_unit_test(trusts_no_date_of_just_now),
        cmocka_unit_test(writes_a_head_that_reads_back),
        cmocka_unit_test(stays_overflown),
        cmocka_unit_test(escapes_text_for_json_and_html),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
