// rooms: gate
/* Failed logins by address: delays, the end of patience, and what is forgotten when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <pthread.h>
#include <string.h>

#include <cmocka.h>

#include "engine/gate/guesses.h"

static const uint8_t *v4(uint8_t address[16], uint32_t number)
{
    memset(address, 0, 16);
    memset(address + 10, 0xff, 2);
    number = htonl(number);
    memcpy(address + 12, &number, 4);
    return address;
}

static const uint8_t *v6(uint8_t address[16], const char *text)
{
    assert_int_equal(inet_pton(AF_INET6, text, address), 1);
    return address;
}

static int set_up(void **state)
{
    *state = guesses_new();
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    guesses_free(*state);
    return 0;
}

static void fail_often(struct guesses *guesses, const uint8_t address[16], unsigned times, uint64_t now)
{
    while (times--)
        guesses_failed(guesses, address, "alice", now);
}

static void each_failure_is_held_back_longer_up_to_a_bound(void **state)
{
    static const unsigned delays[] = { 250, 500, 1000, 2000, 4000, 8000, 8000, 8000 };
    uint8_t a[16];
    for (size_t i = 0; i < sizeof(delays) / sizeof(delays[0]); i++)
        assert_int_equal(guesses_failed(*state, v4(a, 1), "alice", 5000 + i), delays[i]);
}

static void an_address_is_refused_after_its_last_try_until_the_window_has_passed(void **state)
{
    uint8_t a[16], b[16];
    uint64_t began = 1000;
    for (unsigned i = 0; i < GUESSES_MAX; i++) {
        assert_true(guesses_allowed(*state, v4(a, 1), began + i));
        guesses_failed(*state, a, "alice", began + i);
    }
    assert_false(guesses_allowed(*state, a, began + GUESSES_MAX));
    assert_false(guesses_allowed(*state, a, began + GUESSES_WINDOW_MS - 1));
    assert_true(guesses_allowed(*state, v4(b, 2), began + GUESSES_MAX));
    assert_true(guesses_allowed(*state, a, began + GUESSES_WINDOW_MS));
    assert_int_equal(guesses_failed(*state, a, "alice", began + GUESSES_WINDOW_MS), GUESSES_DELAY_FIRST_MS);
    assert_true(guesses_allowed(*state, a, began + GUESSES_WINDOW_MS));
}

static void a_success_forgets_the_failures_of_that_address_only(void **state)
{
    uint8_t a[16], b[16], c[16];
    fail_often(*state, v4(a, 1), GUESSES_MAX, 1000);
    fail_often(*state, v4(b, 2), GUESSES_MAX, 1000);
    fail_often(*state, v4(c, 3), 1, 1000);
    guesses_succeeded(*state, a, "alice");
    guesses_succeeded(*state, a, "alice");
    assert_true(guesses_allowed(*state, a, 1001));
    assert_int_equal(guesses_failed(*state, a, "alice", 1001), GUESSES_DELAY_FIRST_MS);
    assert_false(guesses_allowed(*state, b, 1001));
    assert_int_equal(guesses_failed(*state, c, "alice", 1001), 2 * GUESSES_DELAY_FIRST_MS);
}

/* Whoever has one password must not get more guesses at the others' by using it. */
static void a_success_forgives_nothing_that_was_tried_with_another_name(void **state)
{
    uint8_t a[16];
    for (unsigned i = 0; i < GUESSES_MAX; i++) {
        assert_true(guesses_allowed(*state, v4(a, 1), 1000));
        guesses_failed(*state, a, "victim", 1000);
        guesses_succeeded(*state, a, "mallory");
        if (i < GUESSES_MAX / 2)
            continue;
        guesses_failed(*state, a, "mallory", 1000); /* nor by failing with it as well */
        guesses_succeeded(*state, a, "mallory");
        i++;
    }
    assert_false(guesses_allowed(*state, a, 1000));
    assert_true(guesses_allowed(*state, a, 1000 + GUESSES_WINDOW_MS));
    guesses_failed(*state, a, "mallory", 1000 + GUESSES_WINDOW_MS); /* a new window knows nothing of the one before */
    guesses_succeeded(*state, a, "mallory");
    assert_int_equal(guesses_failed(*state, a, "mallory", 1001 + GUESSES_WINDOW_MS), GUESSES_DELAY_FIRST_MS);
}

static void a_clock_that_was_read_earlier_forgets_nothing(void **state)
{
    uint8_t a[16];
    fail_often(*state, v4(a, 1), GUESSES_MAX, 1000);
    assert_false(guesses_allowed(*state, a, 999));
    guesses_failed(*state, a, "alice", 999);
    assert_false(guesses_allowed(*state, a, 1001));
}

static void a_network_of_ipv6_counts_as_one_address(void **state)
{
    uint8_t a[16];
    fail_often(*state, v6(a, "2001:db8:1:2::1"), GUESSES_MAX - 1, 1000);
    fail_often(*state, v6(a, "2001:db8:1:2:ffff:ffff:ffff:ffff"), 1, 1000);
    assert_false(guesses_allowed(*state, v6(a, "2001:db8:1:2:aaaa::7"), 1000));
    assert_true(guesses_allowed(*state, v6(a, "2001:db8:1:3::1"), 1000));
}

static void addresses_of_ipv4_count_each_by_itself(void **state)
{
    uint8_t a[16];
    fail_often(*state, v4(a, 0x0a000001), GUESSES_MAX, 1000);
    assert_false(guesses_allowed(*state, v4(a, 0x0a000001), 1000));
    assert_true(guesses_allowed(*state, v4(a, 0x0a000002), 1000));
    assert_true(guesses_allowed(*state, v6(a, "::"), 1000));
}

static void a_full_table_forgets_whoever_failed_longest_ago(void **state)
{
    uint8_t a[16];
    fail_often(*state, v4(a, 0), GUESSES_MAX, 1000);
    for (uint32_t i = 1; i < GUESSES_ADDRESSES; i++)
        fail_often(*state, v4(a, i), i == 7 ? GUESSES_MAX : 1, 1000 + i);
    fail_often(*state, v4(a, 0), 1, 9000); /* no longer the one */
    fail_often(*state, v4(a, 1 << 20), 1, 9001);
    assert_false(guesses_allowed(*state, v4(a, 0), 9002));
    assert_int_equal(guesses_failed(*state, v4(a, 2), "alice", 9002), 2 * GUESSES_DELAY_FIRST_MS);
    assert_false(guesses_allowed(*state, v4(a, 7), 9002));
    assert_int_equal(guesses_failed(*state, v4(a, 1), "alice", 9003),
                     GUESSES_DELAY_FIRST_MS); /* it was; 3 made room for it */
    assert_int_equal(guesses_failed(*state, v4(a, 3), "alice", 9004), GUESSES_DELAY_FIRST_MS);
}

static void nothing_is_freed_as_nothing(void **state)
{
    (void)state;
    guesses_free(NULL);
}

static void *guess_from_a_thread(void *guesses)
{
    uint8_t a[16];
    for (uint32_t i = 0; i < 2000; i++) {
        if (guesses_allowed(guesses, v4(a, i % 8), i))
            guesses_failed(guesses, a, "alice", i);
        if (i % 5 == 0)
            guesses_succeeded(guesses, v4(a, (i + 3) % 8), "alice");
    }
    return NULL;
}

static void any_thread_may_ask(void **state)
{
    pthread_t threads[4];
    uint8_t a[16];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, guess_from_a_thread, *state), 0);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (uint32_t i = 0; i < 8; i++)
        guesses_succeeded(*state, v4(a, i), "alice");
    for (uint32_t i = 0; i < 8; i++)
        assert_int_equal(guesses_failed(*state, v4(a, i), "alice", 2000), GUESSES_DELAY_FIRST_MS);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_failure_is_held_back_longer_up_to_a_bound),
        TEST(an_address_is_refused_after_its_last_try_until_the_window_has_passed),
        TEST(a_success_forgets_the_failures_of_that_address_only),
        TEST(a_success_forgives_nothing_that_was_tried_with_another_name),
        TEST(a_clock_that_was_read_earlier_forgets_nothing),
        TEST(a_network_of_ipv6_counts_as_one_address),
        TEST(addresses_of_ipv4_count_each_by_itself),
        TEST(a_full_table_forgets_whoever_failed_longest_ago),
        TEST(any_thread_may_ask),
        cmocka_unit_test(nothing_is_freed_as_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
