// rooms: support ktls
/*
 * A channel with many small records leaves OpenSSL's record layer, and may still go to the kernel from there: which
 * kTLS in software is here (tests/support/soft_ktls.h). At the other end is an OpenSSL that goes all the way, so a
 * wrong key, nonce or sequence number shows as a record that does not decrypt.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "tests/support/cut_scene.h"

static void open_hastened(struct scene *scene, const struct scene_suite *suite)
{
    open_scene(scene, true, suite, CONFIG_OFFLOAD_AUTO);
    channel_expect_head(scene->ours);
    assert_true(channel_hasten(scene->ours));
    assert_null(scene->ours->ssl);
    carry_both_ways(scene, 4500);
}

static bool is_in_kernel(const struct scene *scene, enum channel_way way)
{
    return channel_in_kernel(scene->ours, way) && channel_mode(scene->ours, way) == CHANNEL_KERNEL;
}

static void small_records_go_past_openssl_with_each_suite(void **state)
{
    (void)state;
    for (size_t i = 0; i < CUT_SUITES; i++) {
        struct scene scene;
        char byte;
        open_hastened(&scene, &suites[i]);
        channel_stay(scene.ours, CHANNEL_TX, "a small body");
        assert_string_equal(channel_why(scene.ours, CHANNEL_TX), "user: a small body");
        assert_true(channel_hasten(scene.ours)); /* there is nothing more to do */
        for (int round = 0; round < 20; round++) {
            channel_expect_head(scene.ours);
            carry_both_ways(&scene, 4000);
        }
        assert_int_equal(channel_close_notify(scene.ours), 0);
        assert_int_equal(read_soon(scene.peer, &byte, 1), 0);
        close_scene(&scene);
    }
}

static void a_large_body_still_goes_to_the_kernel(void **state)
{
    (void)state;
    for (size_t i = 0; i < CUT_SUITES; i++) {
        struct scene scene;
        open_hastened(&scene, &suites[i]);
        assert_int_equal(channel_switch(scene.ours, CHANNEL_TX, LARGE), 0);
        assert_true(is_in_kernel(&scene, CHANNEL_TX));
        carry_both_ways(&scene, LARGE);
        assert_int_equal(channel_switch(scene.ours, CHANNEL_RX, LARGE), 0);
        assert_true(is_in_kernel(&scene, CHANNEL_RX));
        carry_both_ways(&scene, LARGE);
        close_scene(&scene);
    }
}

static void the_kernel_takes_over_where_a_record_begins(void **state)
{
    (void)state;
    struct scene scene;
    char bytes[6000];
    memset(bytes, 'b', sizeof(bytes));
    open_hastened(&scene, &suites[0]);
    channel_expect_head(scene.ours);
    assert_int_equal(tls_write_all(scene.peer, "head", 4), 4);
    assert_int_equal(tls_write_all(scene.peer, bytes, sizeof(bytes)), sizeof(bytes));
    assert_int_equal(read_soon(scene.ours, bytes, 4), 4);
    /* A part of the second record was read with the first, and must be read to its end before. */
    assert_int_equal(channel_switch(scene.ours, CHANNEL_RX, LARGE), -EAGAIN);
    assert_int_equal(read_soon(scene.ours, bytes, sizeof(bytes)), sizeof(bytes));
    assert_int_equal(bytes[5999], 'b');
    assert_int_equal(channel_switch(scene.ours, CHANNEL_RX, LARGE), 0);
    carry_both_ways(&scene, LARGE);
    close_scene(&scene);
}

static void no_more_is_read_than_a_record_where_the_kernel_may_take_the_next(void **state)
{
    (void)state;
    struct scene scene;
    char bytes[64];
    open_hastened(&scene, &suites[0]);
    assert_int_equal(channel_switch(scene.ours, CHANNEL_RX, LARGE),
                     0); /* which ends reading ahead, where it fails, too */
    close_scene(&scene);

    open_hastened(&scene, &suites[0]);
    scene.ours->wire.ahead = false;
    assert_int_equal(tls_write_all(scene.peer, "one", 3), 3);
    assert_int_equal(tls_write_all(scene.peer, "two", 3), 3);
    assert_int_equal(read_soon(scene.ours, bytes, 3), 3);
    assert_int_equal(wire_unread(&scene.ours->wire), 0);
    assert_int_equal(channel_switch(scene.ours, CHANNEL_RX, LARGE), 0);
    assert_int_equal(read_soon(scene.ours, bytes, sizeof(bytes)), 3);
    assert_memory_equal(bytes, "two", 3);
    close_scene(&scene);
}

static void what_the_kernel_refuses_goes_on_past_openssl(void **state)
{
    (void)state;
    for (enum channel_way way = CHANNEL_TX; way <= CHANNEL_RX; way++) {
        struct scene scene;
        open_hastened(&scene, &suites[0]);
        scene.soft.refuse = way == CHANNEL_TX ? SOFT_TX : SOFT_RX;
        scene.soft.refusal = ENOENT;
        assert_int_equal(channel_switch(scene.ours, way, LARGE), 1);
        scene.soft.refuse = SOFT_NONE;
        assert_int_equal(channel_switch(scene.ours, way, LARGE), 1); /* for good */
        assert_int_equal(channel_mode(scene.ours, way), CHANNEL_USER);
        assert_string_equal(channel_why(scene.ours, way), "user: the kernel has no driver for the cipher");
        carry_both_ways(&scene, LARGE);
        close_scene(&scene);
    }
}

static void who_must_be_in_the_kernel_or_speaks_tls_12_is_left_as_it_is(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, true, &suites[0], CONFIG_OFFLOAD_REQUIRED);
    assert_true(channel_hasten(scene.ours));
    assert_non_null(scene.ours->ssl);
    close_scene(&scene);

    open_scene(&scene, true, suite_of(TLS_1_2), CONFIG_OFFLOAD_AUTO);
    assert_true(channel_hasten(scene.ours));
    assert_non_null(scene.ours->ssl);
    carry_both_ways(&scene, 4000);
    close_scene(&scene);
}

static void amid_a_record_it_is_put_off(void **state)
{
    (void)state;
    struct scene scene;
    char bytes[8];
    open_scene(&scene, true, &suites[0], CONFIG_OFFLOAD_AUTO);
    assert_int_equal(tls_write_all(scene.peer, "requests", 8), 8);
    assert_int_equal(read_soon(scene.ours, bytes, 3), 3);
    assert_false(channel_hasten(scene.ours));
    assert_null(scene.ours->way[CHANNEL_TX].aead);
    assert_int_equal(read_soon(scene.ours, bytes, 5), 5);
    assert_memory_equal(bytes, "uests", 5);
    assert_true(channel_hasten(scene.ours));
    assert_null(scene.ours->ssl);
    carry_both_ways(&scene, 4000);
    close_scene(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_records_go_past_openssl_with_each_suite),
        cmocka_unit_test(a_large_body_still_goes_to_the_kernel),
        cmocka_unit_test(the_kernel_takes_over_where_a_record_begins),
        cmocka_unit_test(no_more_is_read_than_a_record_where_the_kernel_may_take_the_next),
        cmocka_unit_test(what_the_kernel_refuses_goes_on_past_openssl),
        cmocka_unit_test(who_must_be_in_the_kernel_or_speaks_tls_12_is_left_as_it_is),
        cmocka_unit_test(amid_a_record_it_is_put_off),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
