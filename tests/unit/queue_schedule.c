// rooms: queue
/* Whether and when a queued transfer is tried again, and what stands in its job. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/queue/queue.h"

static void tries_again_only_what_may_come_right(void **state)
{
    (void)state;
    static const struct {
        int result;
        unsigned status;
        bool heals;
    } rows[] = {
        { CLIENT_CONNECT, 0, true },    { CLIENT_CUT, 0, true },        { CLIENT_SERVER, 500, true },
        { CLIENT_SERVER, 503, true },   { CLIENT_SERVER, 507, true },   { CLIENT_FAILED, 0, true },
        { CLIENT_REFUSED, 429, true },  { CLIENT_REFUSED, 408, true },  { CLIENT_SERVER, 501, false },
        { CLIENT_SERVER, 505, false },  { CLIENT_REFUSED, 401, false }, { CLIENT_REFUSED, 403, false },
        { CLIENT_REFUSED, 404, false }, { CLIENT_REFUSED, 412, false }, { CLIENT_TLS, 0, false },
        { CLIENT_CONFIG, 0, false },    { CLIENT_USAGE, 0, false },     { CLIENT_LOCAL, 0, false },
        { CLIENT_DIGEST, 0, false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (queue_may_heal(rows[i].result, rows[i].status) != rows[i].heals)
            fail_msg("result %d, status %u", rows[i].result, rows[i].status);
    }
}

static void tries_quickly_then_after_longer_and_longer_waits(void **state)
{
    (void)state;
    const struct config_partner partner = { .retry_fast = 2, .retry_wait = 60000, .retry_max = 6 };
    static const uint64_t waits[] = { QUEUE_FAST_MS, QUEUE_FAST_MS, 60000, 120000, 240000, 480000 };
    uint64_t wait;
    for (unsigned i = 0; i < 6; i++) {
        assert_true(queue_retry(&partner, i, &wait));
        assert_int_equal(wait, waits[i]);
    }
    assert_false(queue_retry(&partner, 6, &wait));
    assert_false(queue_retry(&partner, 7, &wait));
}

static void never_waits_longer_than_a_day(void **state)
{
    (void)state;
    const struct config_partner partner = { .retry_fast = 0, .retry_wait = 3600000, .retry_max = 10000 };
    uint64_t wait, before = 0;
    for (unsigned i = 0; i < 10000; i++) {
        assert_true(queue_retry(&partner, i, &wait));
        assert_true(wait >= before && wait <= QUEUE_WAIT_MAX);
        before = wait;
    }
    assert_int_equal(wait, QUEUE_WAIT_MAX);
}

static void gives_up_at_once_where_no_retries_are_wanted(void **state)
{
    (void)state;
    const struct config_partner partner = { .retry_fast = 5, .retry_wait = 1000, .retry_max = 0 };
    uint64_t wait;
    assert_false(queue_retry(&partner, 0, &wait));
}

static void reads_what_it_has_written(void **state)
{
    (void)state;
    static const struct queue_request rows[] = {
        { 0 },
        { .verify = CLIENT_VERIFY_ALWAYS, .digest = DIGEST_SHA_512, .streams = 64, .limit_rate = 12345678901 },
        { .verify = CLIENT_VERIFY_NEVER, .if_exists = CLIENT_IF_EXISTS_RENAME, .limit_rate = INT64_MAX },
        { .no_links = true },
        { .is_tree = true, .tree_links = QUEUE_LINKS_KEEP, .checksum = true, .exact_modes = true, .or_file = true },
        { .is_tree = true, .rules_length = 16, .rules = "+*.\xff\n%\0-a=b\0+\x7f\r" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[QUEUE_REQUEST_SIZE];
        struct queue_request read = { .limit_rate = 7 };
        size_t length = queue_request_print(&rows[i], text);
        assert_true(length < QUEUE_REQUEST_SIZE);
        assert_int_equal(queue_request_parse(text, length, &read), 0);
        assert_int_equal(read.verify, rows[i].verify);
        assert_int_equal(read.digest, rows[i].digest);
        assert_int_equal(read.limit_rate, rows[i].limit_rate);
        assert_int_equal(read.if_exists, rows[i].if_exists);
        assert_int_equal(read.streams, rows[i].streams);
        assert_int_equal(read.no_links, rows[i].no_links);
        assert_int_equal(read.is_tree, rows[i].is_tree);
        assert_int_equal(read.tree_links, rows[i].tree_links);
        assert_int_equal(read.checksum, rows[i].checksum);
        assert_int_equal(read.exact_modes, rows[i].exact_modes);
        assert_int_equal(read.or_file, rows[i].or_file);
        assert_int_equal(read.rules_length, rows[i].rules_length);
        assert_memory_equal(read.rules, rows[i].rules, read.rules_length);
    }
}

static void refuses_what_it_has_not_written(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "verify",          "verify=sometimes", "digest=md5",      "limit_rate=-1",
        "limit_rate=1x",   "limit_rate=",      "what=is this",    "limit_rate=99999999999999999999",
        "verify=usual\nx", "streams=65",       "if_exists=maybe", "links=some",
        "tree_links=no",   "checksum=2",       "or_file=",        "include=",
        "exclude=%0",      "include=%00",      "exclude=%zz",     "include=a%",
    };
    struct queue_request request;
    char large[QUEUE_REQUEST_SIZE + 1] = { 0 };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (queue_request_parse(rows[i], strlen(rows[i]), &request) != -EINVAL)
            fail_msg("\"%s\" was taken", rows[i]);
    }
    memset(large, 'x', sizeof large - 1);
    memcpy(large, "include=", 8);
    assert_int_equal(queue_request_parse(large, QUEUE_RULES_SIZE + 100, &request), -EINVAL);
    memset(large, '\n', sizeof large - 1);
    assert_int_equal(queue_request_parse(large, sizeof large - 1, &request), -EINVAL);
    assert_int_equal(queue_request_parse("verify=usual\0", 13, &request), -EINVAL);
    assert_int_equal(queue_request_parse("", 0, &request), 0);
}

static void what_would_not_fit_in_a_job_is_not_written(void **state)
{
    (void)state;
    char text[QUEUE_REQUEST_SIZE];
    struct queue_request request = { .is_tree = true, .rules_length = QUEUE_RULES_SIZE };
    memset(request.rules, '\n', sizeof request.rules);
    request.rules[0] = '+';
    request.rules[QUEUE_RULES_SIZE - 1] = '\0';
    assert_int_equal(queue_request_print(&request, text), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tries_again_only_what_may_come_right),
        cmocka_unit_test(tries_quickly_then_after_longer_and_longer_waits),
        cmocka_unit_test(never_waits_longer_than_a_day),
        cmocka_unit_test(gives_up_at_once_where_no_retries_are_wanted),
        cmocka_unit_test(reads_what_it_has_written),
        cmocka_unit_test(refuses_what_it_has_not_written),
        cmocka_unit_test(what_would_not_fit_in_a_job_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
