// rooms: server support
/* How many connections an address may have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>

#include <cmocka.h>

#include "engine/server/server_internal.h"

static int set_up(void **state)
{
    return peers_new((struct peers **)state);
}

static int tear_down(void **state)
{
    peers_free(*state);
    return 0;
}

static struct in6_addr address(const char *text)
{
    struct in6_addr made;

    assert_int_equal(inet_pton(AF_INET6, text, &made), 1);
    return made;
}

static bool enter(struct peers *peers, const char *text)
{
    struct in6_addr from = address(text);

    return peers_enter(peers, &from, 2);
}

static void leave(struct peers *peers, const char *text)
{
    struct in6_addr from = address(text);

    peers_leave(peers, &from);
}

static void an_address_has_as_many_as_it_may_and_others_have_their_own(void **state)
{
    assert_true(enter(*state, "::ffff:192.0.2.1"));
    assert_true(enter(*state, "::ffff:192.0.2.1"));
    assert_false(enter(*state, "::ffff:192.0.2.1"));
    assert_true(enter(*state, "::ffff:192.0.2.2"));
    leave(*state, "::ffff:192.0.2.1");
    assert_true(enter(*state, "::ffff:192.0.2.1"));
    assert_false(enter(*state, "::ffff:192.0.2.1"));
}

static void a_network_of_ipv6_counts_as_one_address(void **state)
{
    assert_true(enter(*state, "2001:db8:1:2::1"));
    assert_true(enter(*state, "2001:db8:1:2:ffff:ffff:ffff:ffff"));
    assert_false(enter(*state, "2001:db8:1:2:aaaa::7"));
    assert_true(enter(*state, "2001:db8:1:3::1"));
    leave(*state, "2001:db8:1:2::1");
    assert_true(enter(*state, "2001:db8:1:2:aaaa::7"));
}

static void whoever_is_not_there_may_leave(void **state)
{
    leave(*state, "::1");
    assert_true(enter(*state, "::1"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_address_has_as_many_as_it_may_and_others_have_their_own),
        TEST(a_network_of_ipv6_counts_as_one_address),
        TEST(whoever_is_not_there_may_leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
