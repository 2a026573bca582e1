// rooms: event
/* What reaches the journal, with a stand-in for the library's one call. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/event/journal.h"

static char *items[128];
static size_t lengths[128];
static int count, answer;

static void forget(void)
{
    while (count > 0)
        free(items[--count]);
}

static int take(const struct iovec *sent, int number)
{
    forget();
    for (; count < number; count++) {
        lengths[count] = sent[count].iov_len;
        items[count] = calloc(1, lengths[count] + 1);
        memcpy(items[count], sent[count].iov_base, lengths[count]);
    }
    return answer;
}

static const struct event_journal present = { take, "/dev/null" }, absent = { take, "/nonexistent/journal" };

/* The value of the one item of that name; NULL: there is none. */
static const char *value(const char *name)
{
    const char *found = NULL;

    for (int i = 0; i < count; i++) {
        if (strncmp(items[i], name, strlen(name)) != 0 || items[i][strlen(name)] != '=')
            continue;
        assert_null(found);
        found = items[i] + strlen(name) + 1;
    }
    return found;
}

static int set_up(void **state)
{
    (void)state;
    forget();
    answer = 0;
    return 0;
}

/* Emits through `journal`, and returns what went to the fallback, which the caller frees. */
static char *emitted(const struct event_journal *journal, bool json, const char *id, const struct event_field *fields)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    struct event_log *log = event_log_new_with(out, json, journal);

    assert_non_null(log);
    event_emit(log, id, fields);
    event_log_free(log);
    fclose(out);
    return text;
}

#define FIELDS(...)                                                                                                    \
    (const struct event_field[])                                                                                       \
    {                                                                                                                  \
        __VA_ARGS__,                                                                                                   \
        {                                                                                                              \
            0                                                                                                          \
        }                                                                                                              \
    }

static void each_field_is_a_field_of_the_journal(void **state)
{
    (void)state;
    char *text = emitted(&present, false, "T01I", FIELDS(EVENT_T("path", "a b"), EVENT_N("bytes", 12)));

    assert_string_equal(text, "");
    assert_string_equal(value("SLUICE_EVENT"), "T01I");
    assert_string_equal(value("SLUICE_PATH"), "a b");
    assert_string_equal(value("SLUICE_BYTES"), "12");
    assert_string_equal(value("MESSAGE"), "T01I path=\"a b\" bytes=12");
    assert_string_equal(value("SYSLOG_IDENTIFIER"), "sluice");
    assert_int_equal(count, 6);
    free(text);
}

static void the_severity_is_the_priority(void **state)
{
    static const char *const pairs[][2] = { { "S07F", "2" }, { "Y13E", "3" }, { "K01W", "4" }, { "Y14I", "6" } };
    (void)state;

    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        free(emitted(&present, true, pairs[i][0], FIELDS(EVENT_T("a", "b"))));
        assert_string_equal(value("PRIORITY"), pairs[i][1]);
    }
}

static void bytes_of_a_peer_are_escaped_in_the_fields_and_in_the_message(void **state)
{
    (void)state;
    free(emitted(&present, false, "Y13E", FIELDS(EVENT_T("subject", "CN=\xff\x01\nPRIORITY=0"))));
    assert_string_equal(value("SLUICE_SUBJECT"), "CN=\\xff\\x01\\x0aPRIORITY=0");
    assert_string_equal(value("MESSAGE"), "Y13E subject=\"CN=\\xff\\x01\\x0aPRIORITY=0\"");
    assert_string_equal(value("PRIORITY"), "3");
}

static void a_field_that_is_not_known_is_left_out(void **state)
{
    (void)state;
    free(emitted(&present, false, "Y14I", FIELDS(EVENT_T("subject", NULL), EVENT_T("odd-key", "x"))));
    assert_null(value("SLUICE_SUBJECT"));
    assert_string_equal(value("SLUICE_ODD_KEY"), "x");
}

static void a_long_value_is_there_as_a_whole(void **state)
{
    char *large = calloc(1, 100001);
    (void)state;

    memset(large, 'x', 100000);
    free(emitted(&present, false, "Y14I", FIELDS(EVENT_T("subject", large))));
    assert_string_equal(value("SLUICE_SUBJECT"), large);
    free(large);
}

static void what_the_journal_refuses_goes_to_the_fallback(void **state)
{
    (void)state;
    answer = -ECONNREFUSED;
    char *text = emitted(&present, false, "T01I", FIELDS(EVENT_T("path", "a")));
    assert_non_null(strstr(text, " T01I path=a\n"));
    free(text);
    text = emitted(&present, true, "T01I", FIELDS(EVENT_T("path", "a")));
    assert_non_null(strstr(text, "\"id\":\"T01I\",\"severity\":\"info\",\"path\":\"a\"}\n"));
    free(text);
}

static void without_a_journal_a_warning_and_all_events_go_to_the_fallback(void **state)
{
    (void)state;
    char *text = emitted(&absent, false, "T01I", FIELDS(EVENT_T("path", "a")));

    assert_int_equal(count, 0);
    assert_non_null(strstr(text, " S12W reason="));
    assert_non_null(strstr(text, " socket=/nonexistent/journal\n"));
    assert_non_null(strstr(text, " T01I path=a\n"));
    free(text);
}

static void an_event_that_has_too_many_fields_goes_to_the_fallback(void **state)
{
    struct event_field fields[101] = { { 0 } };
    (void)state;

    for (size_t i = 0; i < 100; i++)
        fields[i] = (struct event_field)EVENT_N("n", i);
    char *text = emitted(&present, false, "Y14I", fields);
    assert_int_equal(count, 0);
    assert_non_null(strstr(text, " n=99\n"));
    free(text);
}

static void the_system_has_its_own(void **state)
{
    (void)state;
    assert_string_equal(event_journal_systemd.socket, "/run/systemd/journal/socket");
    assert_non_null(event_journal_systemd.send);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_field_is_a_field_of_the_journal, set_up),
        cmocka_unit_test_setup(the_severity_is_the_priority, set_up),
        cmocka_unit_test_setup(bytes_of_a_peer_are_escaped_in_the_fields_and_in_the_message, set_up),
        cmocka_unit_test_setup(a_field_that_is_not_known_is_left_out, set_up),
        cmocka_unit_test_setup(a_long_value_is_there_as_a_whole, set_up),
        cmocka_unit_test_setup(what_the_journal_refuses_goes_to_the_fallback, set_up),
        cmocka_unit_test_setup(without_a_journal_a_warning_and_all_events_go_to_the_fallback, set_up),
        cmocka_unit_test_setup(an_event_that_has_too_many_fields_goes_to_the_fallback, set_up),
        cmocka_unit_test_setup(the_system_has_its_own, set_up),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    forget();
    return failed;
}
