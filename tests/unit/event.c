// rooms: event
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <ctype.h>
#include <fcntl.h>
#include <glob.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/event/event.h"

#define TIME_SIZE (sizeof("2026-11-21T02:28:00.123Z") - 1)
#define JSON_HEAD "{\"ts\":\""

/* What one event writes, without its time. The caller frees it. */
static char *emitted(bool json, const char *id, const struct event_field *fields)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    struct event_log *log = event_log_new(out, json);
    assert_non_null(log);
    event_emit(log, id, fields);
    event_log_free(log);
    fclose(out);
    size_t from = json ? strlen(JSON_HEAD) : 0;
    assert_true(size > from + TIME_SIZE);
    memmove(text + from, text + from + TIME_SIZE, size - from - TIME_SIZE + 1);
    return text;
}

#define assert_emits(json, wanted, id, ...)                                                                            \
    do {                                                                                                               \
        char *text = emitted((json), (id), (const struct event_field[]){ __VA_ARGS__, { 0 } });                        \
        assert_string_equal(text, (wanted));                                                                           \
        free(text);                                                                                                    \
    } while (0)

static void writes_key_and_value(void **state)
{
    (void)state;
    assert_emits(false, " Y14I version=TLSv1.3 bytes=1073741824 path=/a/b.c:d\n", "Y14I", EVENT_T("version", "TLSv1.3"),
                 EVENT_N("bytes", 1 << 30), EVENT_T("path", "/a/b.c:d"));
}

static void writes_json(void **state)
{
    (void)state;
    assert_emits(
        true,
        "{\"ts\":\"\",\"id\":\"Y14I\",\"severity\":\"info\",\"version\":\"TLSv1.3\",\"n\":18446744073709551615}\n",
        "Y14I", EVENT_T("version", "TLSv1.3"), EVENT_N("n", UINT64_MAX));
}

static void names_the_severity(void **state)
{
    (void)state;
    assert_emits(true, "{\"ts\":\"\",\"id\":\"S04W\",\"severity\":\"warning\",\"a\":\"b\"}\n", "S04W",
                 EVENT_T("a", "b"));
    assert_emits(true, "{\"ts\":\"\",\"id\":\"Y13E\",\"severity\":\"error\",\"a\":\"b\"}\n", "Y13E", EVENT_T("a", "b"));
    assert_emits(true, "{\"ts\":\"\",\"id\":\"P20F\",\"severity\":\"fatal\",\"a\":\"b\"}\n", "P20F", EVENT_T("a", "b"));
}

static void leaves_out_what_is_not_known(void **state)
{
    (void)state;
    assert_emits(false, " T01I b=2\n", "T01I", EVENT_T("a", NULL), EVENT_N("b", 2));
    assert_emits(true, "{\"ts\":\"\",\"id\":\"T01I\",\"severity\":\"info\",\"b\":2}\n", "T01I", EVENT_T("a", NULL),
                 EVENT_N("b", 2));
}

struct escape {
    const char *value, *plain, *json;
};

static const struct escape escapes[] = {
    { "", "\"\"", "\"\"" },
    { "two words", "\"two words\"", "\"two words\"" },
    { "a=b", "\"a=b\"", "\"a=b\"" },
    { "say \"no\"", "\"say \\x22no\\x22\"", "\"say \\\"no\\\"\"" },
    { "back\\slash", "\"back\\x5cslash\"", "\"back\\\\slash\"" },
    { "a\nb\r\t\x1b[1m", "\"a\\x0ab\\x0d\\x09\\x1b[1m\"", "\"a\\u000ab\\u000d\\u0009\\u001b[1m\"" },
    { "\x7f", "\"\\x7f\"", "\"\\u007f\"" },
    { "Zürich \xe2\x82\xac \xf0\x9f\x98\x80", "\"Zürich \xe2\x82\xac \xf0\x9f\x98\x80\"",
      "\"Zürich \xe2\x82\xac \xf0\x9f\x98\x80\"" },
    { "\xff", "\"\\xff\"", "\"\\ufffd\"" },
    { "a\x80z", "\"a\\x80z\"", "\"a\\ufffdz\"" },
    { "\xc3", "\"\\xc3\"", "\"\\ufffd\"" },                                                 /* cut short */
    { "\xc0\xaf", "\"\\xc0\\xaf\"", "\"\\ufffd\\ufffd\"" },                                 /* overlong */
    { "\xed\xa0\x80", "\"\\xed\\xa0\\x80\"", "\"\\ufffd\\ufffd\\ufffd\"" },                 /* surrogate */
    { "\xf4\x90\x80\x80", "\"\\xf4\\x90\\x80\\x80\"", "\"\\ufffd\\ufffd\\ufffd\\ufffd\"" }, /* above U+10FFFF */
    { "\xf8\x88\x80\x80\x80", "\"\\xf8\\x88\\x80\\x80\\x80\"", "\"\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\"" },
    { "\xc2\x9b"
      "1m",
      "\"\\xc2\\x9b1m\"", "\"\\u009b1m\"" }, /* CSI as one character */
    { "a\xe2\x80\xa8"
      "b",
      "\"a\\xe2\\x80\\xa8b\"", "\"a\\u2028b\"" }, /* line separator */
    { "a\xe2\x80\xae"
      "b",
      "\"a\\xe2\\x80\\xaeb\"", "\"a\\u202eb\"" },                             /* right-to-left override */
    { "a\xd8\x9cz", "\"a\\xd8\\x9cz\"", "\"a\\u061cz\"" },                    /* Arabic letter mark */
    { "a\xe2\x81\xa7z", "\"a\\xe2\\x81\\xa7z\"", "\"a\\u2067z\"" },           /* right-to-left isolate */
    { "\xf3\xa0\x81\x81", "\"\\xf3\\xa0\\x81\\x81\"", "\"\\udb40\\udc41\"" }, /* a tag, beyond U+FFFF */
};

static void escapes_every_byte_that_could_mislead(void **state)
{
    (void)state;
    char wanted[256];
    for (size_t i = 0; i < sizeof(escapes) / sizeof(escapes[0]); i++) {
        snprintf(wanted, sizeof(wanted), " Y21I subject=%s n=1\n", escapes[i].plain);
        assert_emits(false, wanted, "Y21I", EVENT_T("subject", escapes[i].value), EVENT_N("n", 1));
        snprintf(wanted, sizeof(wanted), "{\"ts\":\"\",\"id\":\"Y21I\",\"severity\":\"info\",\"subject\":%s}\n",
                 escapes[i].json);
        assert_emits(true, wanted, "Y21I", EVENT_T("subject", escapes[i].value));
    }
}

/* Whatever the bytes: printable ASCII or UTF-8, one line, and quotes only where they end the value. */
static void keeps_any_single_byte_inside_its_value(void **state)
{
    (void)state;
    for (int byte = 1; byte < 256; byte++) {
        char value[2] = { (char)byte, 0 };
        char *text = emitted(false, "X00I", (const struct event_field[]){ EVENT_T("v", value), { 0 } });
        for (const char *at = text; at[1]; at++)
            assert_true(isprint((unsigned char)*at));
        assert_int_equal(text[strlen(text) - 1], '\n');
        free(text);
    }
}

static void shortens_long_values(void **state)
{
    (void)state;
    char value[5000], wanted[1200];
    memset(value, 'x', sizeof(value));
    value[sizeof(value) - 1] = 0;
    snprintf(wanted, sizeof(wanted), " T01I v=%.1024s... n=1\n", value);
    assert_emits(false, wanted, "T01I", EVENT_T("v", value), EVENT_N("n", 1));
    memcpy(value + 1022, "\xe2\x82\xac", 3); /* the limit goes through it: it is left out as a whole */
    snprintf(wanted, sizeof(wanted), " T01I v=\"%.1022s...\" n=1\n", value);
    assert_emits(false, wanted, "T01I", EVENT_T("v", value), EVENT_N("n", 1));
}

static void leaves_out_whole_fields_where_a_line_is_full(void **state)
{
    (void)state;
    char value[901];
    memset(value, 1, sizeof(value));
    value[sizeof(value) - 1] = 0;
    struct event_field fields[] = { EVENT_T("a", value), EVENT_T("b", value), EVENT_T("c", value), { 0 } };
    char *text = emitted(true, "T01I", fields);
    static const char mark[] = "\\u0001\",\"cut\":true}\n";
    assert_non_null(strstr(text, "\"a\":\"\\u0001"));
    assert_null(strstr(text, "\"b\":"));
    assert_string_equal(text + strlen(text) - strlen(mark), mark);
    free(text);
    text = emitted(false, "T01I", fields);
    assert_non_null(strstr(text, " b=\"\\x01"));
    assert_non_null(strstr(text, "\\x01\" cut=yes\n"));
    assert_null(strstr(text, " c="));
    free(text);
}

static void stamps_the_time_in_utc(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size;
    setenv("TZ", "Asia/Tokyo", 1);
    tzset();
    FILE *out = open_memstream(&text, &size);
    struct event_log *log = event_log_new(out, false);
    /* Not time(2): it reads a coarser clock, which may lag behind the one that events show. */
    struct timespec before, after;
    clock_gettime(CLOCK_REALTIME, &before);
    event(log, "S01I", EVENT_N("a", 1));
    clock_gettime(CLOCK_REALTIME, &after);
    event_log_free(log);
    fclose(out);
    static const char shape[] = "dddd-dd-ddTdd:dd:dd.dddZ ";
    for (size_t i = 0; shape[i]; i++)
        assert_true(shape[i] == 'd' ? isdigit((unsigned char)text[i]) : text[i] == shape[i]);
    struct tm utc = { 0 };
    assert_non_null(strptime(text, "%Y-%m-%dT%H:%M:%S", &utc));
    assert_in_range(timegm(&utc), before.tv_sec, after.tv_sec);
    free(text);
}

static void swallows_events_without_a_log(void **state)
{
    (void)state;
    event(NULL, "S01I", EVENT_N("a", 1));
    event_log_free(NULL);
}

/* A datagram a write: what arrives at once was written at once. */
static void writes_each_line_at_once(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
    FILE *out = fdopen(ends[0], "w");
    struct event_log *log = event_log_new(out, false);
    char value[1025], got[8192];
    memset(value, 1, sizeof(value));
    value[sizeof(value) - 1] = 0;
    for (int i = 0; i < 3; i++) {
        event(log, "T01I", EVENT_N("n", i), EVENT_T("v", value));
        ssize_t length = recv(ends[1], got, sizeof(got), MSG_DONTWAIT);
        assert_true(length > 4096);
        assert_int_equal(got[length - 1], '\n');
    }
    assert_int_equal(recv(ends[1], got, sizeof(got), MSG_DONTWAIT), -1);
    event_log_free(log);
    fclose(out);
    close(ends[1]);
}

static void tells_how_many_lines_were_lost(void **state)
{
    (void)state;
    int ends[2];
    char got[8192];
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    while (send(ends[0], "full", 4, 0) == 4)
        continue;
    FILE *out = fdopen(ends[0], "w");
    struct event_log *log = event_log_new(out, false);
    event(log, "T01I", EVENT_N("n", 1));
    event(log, "T01I", EVENT_N("n", 2));
    while (recv(ends[1], got, sizeof(got), MSG_DONTWAIT) == 4)
        continue;
    event(log, "T01I", EVENT_N("n", 3));
    event(log, "T01I", EVENT_N("n", 4));
    ssize_t length = recv(ends[1], got, sizeof(got) - 1, MSG_DONTWAIT);
    assert_true(length > 0);
    got[length] = 0;
    assert_string_equal(got + TIME_SIZE, " T01I n=3 lost=2\n");
    length = recv(ends[1], got, sizeof(got) - 1, MSG_DONTWAIT);
    assert_true(length > 0);
    got[length] = 0;
    assert_string_equal(got + TIME_SIZE, " T01I n=4\n");
    event_log_free(log);
    fclose(out);
    close(ends[1]);
}

#define WRITERS 4
#define LINES 500

static void *write_many(void *log)
{
    for (unsigned i = 0; i < LINES; i++)
        event(log, "T01I", EVENT_N("n", i), EVENT_T("v", "a value that needs quotes"));
    return NULL;
}

static void keeps_lines_of_many_threads_apart(void **state)
{
    (void)state;
    FILE *file = tmpfile();
    assert_non_null(file);
    struct event_log *log = event_log_new(file, false);
    pthread_t writers[WRITERS];
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&writers[i], NULL, write_many, log), 0);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(writers[i], NULL);
    event_log_free(log);
    rewind(file);
    char line[256];
    unsigned lines = 0, sum = 0;
    while (fgets(line, sizeof(line), file)) {
        unsigned n;
        int end = 0;
        assert_int_equal(sscanf(line + TIME_SIZE, " T01I n=%u v=\"a value that needs quotes\"%n", &n, &end), 1);
        assert_string_equal(line + TIME_SIZE + end, "\n");
        lines++;
        sum += n;
    }
    assert_int_equal(lines, WRITERS * LINES);
    assert_int_equal(sum, WRITERS * (LINES * (LINES - 1) / 2));
    fclose(file);
}

static void describes_each_id_once(void **state)
{
    (void)state;
    for (const struct event_description *row = event_descriptions; row->id; row++) {
        assert_int_equal(strlen(row->id), 4);
        assert_true(isupper((unsigned char)row->id[0]) && strchr("IWEF", row->id[3]));
        assert_true(isdigit((unsigned char)row->id[1]) && isdigit((unsigned char)row->id[2]));
        assert_true(strlen(row->meaning) > 0);
        for (const struct event_description *other = event_descriptions; other != row; other++)
            assert_string_not_equal(other->id, row->id);
    }
}

static bool is_described(const char *id)
{
    const struct event_description *row = event_descriptions;
    while (row->id && strncmp(row->id, id, 4) != 0)
        row++;
    return row->id != NULL;
}

/* Looks for "Y14I" and its like in what follows a call of event(). */
static size_t check_ids(const char *file)
{
    char *text = NULL;
    size_t size = 0, found = 0;
    FILE *in = fopen(file, "r");
    assert_non_null(in);
    ssize_t length = getdelim(&text, &size, 0, in);
    fclose(in);
    for (char *at = length > 0 ? text : NULL; at && (at = strchr(at, '"')); at++) {
        bool id = isupper((unsigned char)at[1]) && isdigit((unsigned char)at[2]) && isdigit((unsigned char)at[3]) &&
                  at[4] && strchr("IWEF", at[4]) && at[5] == '"';
        if (id && !is_described(at + 1))
            fail_msg("%s emits %.4s, which engine/event/descriptions.c does not describe", file, at + 1);
        found += id;
    }
    free(text);
    return found;
}

static void describes_every_id_that_is_emitted(void **state)
{
    (void)state;
    glob_t files;
    size_t found = 0;
    assert_int_equal(glob(SLUICE_SOURCE_FOLDER "/engine/*/*.c", 0, NULL, &files), 0);
    for (size_t i = 0; i < files.gl_pathc; i++)
        found += strstr(files.gl_pathv[i], "/event/") ? 0 : check_ids(files.gl_pathv[i]);
    globfree(&files);
    assert_true(found > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_key_and_value),
        cmocka_unit_test(writes_json),
        cmocka_unit_test(names_the_severity),
        cmocka_unit_test(leaves_out_what_is_not_known),
        cmocka_unit_test(escapes_every_byte_that_could_mislead),
        cmocka_unit_test(keeps_any_single_byte_inside_its_value),
        cmocka_unit_test(shortens_long_values),
        cmocka_unit_test(leaves_out_whole_fields_where_a_line_is_full),
        cmocka_unit_test(stamps_the_time_in_utc),
        cmocka_unit_test(swallows_events_without_a_log),
        cmocka_unit_test(writes_each_line_at_once),
        cmocka_unit_test(tells_how_many_lines_were_lost),
        cmocka_unit_test(keeps_lines_of_many_threads_apart),
        cmocka_unit_test(describes_each_id_once),
        cmocka_unit_test(describes_every_id_that_is_emitted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
