// rooms: support ktls
/*
 * A channel that retires where there is no kernel to keep it: two keys are left, and OpenSSL's ciphers. At the other
 * end is an OpenSSL that goes all the way, so a wrong key, nonce, type or sequence number shows as a record that does
 * not decrypt. (What is refused, by it as by any other past OpenSSL, is in channel_shortcut.c.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/support/cut_scene.h"

static void a_channel_that_retires_without_the_kernel_goes_on_with_each_suite(void **state)
{
    (void)state;
    for (size_t i = 0; i < CUT_SUITES * 2; i++) {
        struct scene scene;
        char byte;
        open_scene(&scene, i & 1, &suites[i / 2], CONFIG_OFFLOAD_OFF);
        retire(scene.ours);
        assert_int_equal(channel_mode(scene.ours, CHANNEL_RX), CHANNEL_USER);
        assert_string_equal(channel_why(scene.ours, CHANNEL_TX), "user: offload = off");
        assert_false(channel_retire(scene.ours)); /* it is retired */
        for (int round = 0; round < 3; round++) {
            channel_busy(scene.ours);
            channel_expect_head(scene.ours);
            carry_both_ways(&scene, 120);
            carry_both_ways(&scene, (size_t)round * LARGE + 4000);
            channel_idle(scene.ours);
            assert_null(scene.ours->wire.in.bytes);
            assert_null(scene.ours->wire.out.bytes);
            assert_null(scene.ours->aside.bytes);
        }
        assert_true(channel_facts(scene.ours)->peer_verified);
        assert_non_null(channel_peer(scene.ours));
        assert_int_equal(channel_close_notify(scene.peer), 0);
        assert_int_equal(read_soon(scene.ours, &byte, 1), 0);
        assert_true(channel_heard_close(scene.ours));
        assert_int_equal(channel_close_notify(scene.ours), 0);
        assert_int_equal(read_soon(scene.peer, &byte, 1), 0);
        close_scene(&scene);
    }
}

static void what_a_large_body_left_to_openssl_retires_too(void **state)
{
    (void)state;
    for (enum channel_way way = CHANNEL_TX; way <= CHANNEL_RX; way++) {
        struct scene scene;
        open_scene(&scene, true, &suites[0], CONFIG_OFFLOAD_OFF);
        cut(scene.ours, way);
        carry_both_ways(&scene, LARGE);
        retire(scene.ours);
        carry_both_ways(&scene, LARGE);
        close_scene(&scene);
    }
}

static void what_came_before_a_channel_retired_is_read_afterwards(void **state)
{
    (void)state;
    struct scene scene;
    char head[8];
    open_scene(&scene, true, &suites[0], CONFIG_OFFLOAD_OFF);
    assert_int_equal(tls_write_all(scene.peer, "head", 4), 4);
    assert_int_equal(channel_close_notify(scene.peer), 0);
    retire(scene.ours);
    assert_int_equal(read_soon(scene.ours, head, sizeof(head)), 4);
    assert_memory_equal(head, "head", 4);
    assert_int_equal(read_soon(scene.ours, head, sizeof(head)), 0);
    close_scene(&scene);
}

static void a_channel_that_has_something_in_hand_does_not_retire(void **state)
{
    (void)state;
    struct scene scene;
    char bytes[8];

    open_scene(&scene, true, &suites[0], CONFIG_OFFLOAD_OFF);
    assert_int_equal(tls_write_all(scene.peer, "head", 4), 4);
    assert_int_equal(read_soon(scene.ours, bytes, 1), 1);
    assert_false(channel_retire(scene.ours)); /* three bytes are decrypted */
    assert_int_equal(read_soon(scene.ours, bytes, 8), 3);
    channel_expect_head(scene.ours);
    assert_int_equal(tls_write_all(scene.peer, "one", 3), 3);
    assert_int_equal(tls_write_all(scene.peer, "two", 3), 3);
    assert_int_equal(read_soon(scene.ours, bytes, 3), 3);
    if (wire_unread(&scene.ours->wire) > 0)
        assert_false(channel_retire(scene.ours)); /* a record was read with another */
    assert_int_equal(read_soon(scene.ours, bytes, 3), 3);

    assert_int_equal(channel_write(scene.ours, "answer", 6), 6);
    scene.soft.refuse = SOFT_SEND;
    scene.soft.refusal = EAGAIN;
    assert_false(channel_retire(scene.ours)); /* the socket is full */
    scene.soft.refuse = SOFT_NONE;
    retire(scene.ours);
    assert_int_equal(tls_read_all(scene.peer, bytes, 6), 6);
    assert_memory_equal(bytes, "answer", 6);
    carry_both_ways(&scene, 1000);
    close_scene(&scene);
}

static void a_channel_amid_a_record_or_a_message_does_not_retire(void **state)
{
    (void)state;
    for (int message = 0; message < 2; message++) {
        struct scene scene;
        char byte;
        open_scene(&scene, true, &suites[0], CONFIG_OFFLOAD_OFF);
        cut(scene.peer, CHANNEL_TX);
        if (message)
            assert_int_equal(channel_send_control(scene.peer, RECORD_HANDSHAKE, (const uint8_t[]){ 24, 0, 0, 1 }, 4),
                             0);
        else
            assert_int_equal(send(channel_fd(scene.peer), (const uint8_t[]){ 23, 3, 3 }, 3, 0), 3);
        struct pollfd there = { .fd = channel_fd(scene.ours), .events = POLLIN };
        assert_int_equal(poll(&there, 1, 10000), 1);
        assert_int_equal(channel_read(scene.ours, &byte, 1), -EAGAIN);
        assert_false(channel_retire(scene.ours));
        assert_non_null(scene.ours->ssl);
        close_scene(&scene);
    }
}

/* As before: a little room, one call, and no second one to learn that there is no more. */
static void a_head_is_read_by_a_retired_channel_as_by_any_other(void **state)
{
    (void)state;
    struct scene scene;
    char head[8192];
    open_retired(&scene, true);
    for (int round = 0; round < 3; round++) {
        channel_expect_head(scene.ours);
        assert_int_equal(tls_write_all(scene.peer, "head", 4), 4);
        struct pollfd there = { .fd = channel_fd(scene.ours), .events = POLLIN };
        assert_int_equal(poll(&there, 1, 10000), 1);
        unsigned receives = scene.soft.receives;
        assert_int_equal(channel_read(scene.ours, head, sizeof(head)), 4);
        assert_true(channel_drained(scene.ours));
        assert_false(channel_drained(scene.ours));
        assert_int_equal(scene.soft.receives, receives + 1);
        assert_true(scene.ours->wire.in.capacity <= 20 * 1024);
        channel_trim(scene.ours);
    }
    close_scene(&scene);
}

static void a_head_as_long_as_a_record_fits(void **state)
{
    (void)state;
    static const size_t pieces[] = { 0, 1, 4095, 4096, 4097, 16000 };
    static uint8_t sent[16384], got[16384];
    memset(sent, 'h', sizeof(sent));
    for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++) {
        struct scene scene;
        size_t have = 0;
        open_retired(&scene, true);
        channel_expect_head(scene.ours);
        assert_int_equal(tls_write_all(scene.peer, sent, sizeof(sent)), sizeof(sent));
        assert_int_equal(tls_write_all(scene.peer, "next", 4), 4);
        scene.soft.shorten = pieces[i];
        while (have < sizeof(got)) {
            ssize_t part = read_soon(scene.ours, got + have, sizeof(got) - have);
            assert_true(part > 0);
            have += (size_t)part;
        }
        assert_memory_equal(sent, got, sizeof(got));
        if (channel_pending(scene.ours))
            assert_false(channel_drained(scene.ours));
        assert_int_equal(tls_read_all(scene.ours, got, 4), 4);
        assert_memory_equal(got, "next", 4);
        close_scene(&scene);
    }
}

static void a_retired_channel_follows_a_key_update_and_answers_it(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2 * 2; i++) {
        struct scene scene;
        open_retired(&scene, i & 2);
        for (int round = 0; round < 3; round++) {
            assert_int_equal(channel_renew_user(scene.peer, i & 1), 0);
            carry_both_ways(&scene, 1);
            channel_idle(scene.ours);
            carry_both_ways(&scene, 300000);
            channel_idle(scene.ours);
        }
        close_scene(&scene);
    }
}

static void a_key_update_around_retirement_is_answered(void **state)
{
    (void)state;
    for (int read = 0; read < 2; read++) {
        struct scene scene;
        char byte;
        open_scene(&scene, true, &suites[0], CONFIG_OFFLOAD_OFF);
        assert_int_equal(channel_renew_user(scene.peer, true), 0);
        struct pollfd there = { .fd = channel_fd(scene.ours), .events = POLLIN };
        assert_int_equal(poll(&there, 1, 10000), 1);
        if (read)
            assert_int_equal(channel_read(scene.ours, &byte, 1), -EAGAIN); /* the answer waits for the next write */
        retire(scene.ours);
        carry_both_ways(&scene, 1000);
        carry_both_ways(&scene, 1000);
        assert_true(scene.peer->way[CHANNEL_RX].sequence <= 2); /* of a new key: it had 3 by the first */
        close_scene(&scene);
    }
}

static void a_retired_channel_renews_its_key_before_that_is_used_up(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, true, &suites[0], CONFIG_OFFLOAD_OFF);
    scene.ours->record_limit = 64;
    retire(scene.ours);
    for (int i = 0; i < 40; i++) {
        carry_both_ways(&scene, 100000); /* 7 records each way */
        channel_idle(scene.ours);
    }
    assert_true(scene.ours->way[CHANNEL_TX].sequence < 64 && scene.ours->way[CHANNEL_RX].sequence < 64);
    assert_false(channel_worn(scene.ours));
    close_scene(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_channel_that_retires_without_the_kernel_goes_on_with_each_suite),
        cmocka_unit_test(what_a_large_body_left_to_openssl_retires_too),
        cmocka_unit_test(what_came_before_a_channel_retired_is_read_afterwards),
        cmocka_unit_test(a_channel_that_has_something_in_hand_does_not_retire),
        cmocka_unit_test(a_channel_amid_a_record_or_a_message_does_not_retire),
        cmocka_unit_test(a_head_is_read_by_a_retired_channel_as_by_any_other),
        cmocka_unit_test(a_head_as_long_as_a_record_fits),
        cmocka_unit_test(a_retired_channel_follows_a_key_update_and_answers_it),
        cmocka_unit_test(a_key_update_around_retirement_is_answered),
        cmocka_unit_test(a_retired_channel_renews_its_key_before_that_is_used_up),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
