// rooms: support ktls
/*
 * The keys of a channel that is in the kernel or on its way there: KeyUpdates, and keys that have protected as much as
 * one may. The kernel is kTLS in software (tests/support/soft_ktls.h), with and without what Linux can do since 6.14.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "tests/support/tls_scene.h"

/* ---- KeyUpdate ---- */

static void switches_with_the_key_that_a_key_update_left(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        struct scene scene;
        open_scene(&scene, i & 1, &suites[i % 4], CONFIG_OFFLOAD_AUTO);
        if (i & 2)
            assert_int_equal(channel_renew_user(scene.ours, i & 4), 0);
        assert_int_equal(channel_renew_user(scene.peer, i & 4), 0);
        exchange_heads(&scene);
        exchange_heads(&scene); /* brings the answers */
        assert_int_equal(channel_switch(scene.ours, CHANNEL_TX, UINT64_MAX), 0);
        assert_int_equal(channel_switch(scene.ours, CHANNEL_RX, UINT64_MAX), 0);
        carry_both_ways(&scene, 100000);
        close_scene(&scene);
    }
}

static void an_answer_openssl_still_owes_leaves_before_the_switch(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, true, &suites[0], CONFIG_OFFLOAD_AUTO);
    assert_int_equal(channel_renew_user(scene.peer, true), 0);
    assert_int_equal(tls_carry(scene.peer, scene.ours, 1000), 0);
    assert_int_equal(SSL_get_key_update_type(scene.ours->ssl), SSL_KEY_UPDATE_NOT_REQUESTED);
    assert_int_equal(channel_switch(scene.ours, CHANNEL_TX, UINT64_MAX), 0);
    assert_int_equal(socket_of(&scene)->tx.sequence, 0);
    carry_both_ways(&scene, 100000);
    close_scene(&scene);
}

static void follows_a_key_update_where_the_kernel_can(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        struct scene scene;
        bool request = i & 1, our_tx = i & 2;
        open_switched(&scene, i & 4, 0x0304, our_tx, true);
        scene.soft.rekeys = true;
        for (int round = 0; round < 3; round++) {
            assert_int_equal(channel_renew_user(scene.peer, request), 0);
            assert_int_equal(tls_carry(scene.peer, scene.ours, 100000), 0);
            assert_int_equal(tls_carry(scene.ours, scene.peer, 100000), 0);
        }
        assert_int_equal(socket_of(&scene)->rx.installs, 4);
        if (our_tx)
            assert_int_equal(socket_of(&scene)->tx.installs, request ? 4 : 1);
        close_scene(&scene);
    }
}

static void a_key_update_the_kernel_cannot_follow_ends_the_session(void **state)
{
    (void)state;
    for (int request = 0; request <= 1; request++) {
        struct scene scene;
        char byte;
        open_switched(&scene, true, 0x0304, true, true);
        assert_int_equal(channel_renew_user(scene.peer, request), 0);
        assert_int_equal(read_soon(scene.ours, &byte, 1), -EKEYEXPIRED);
        assert_non_null(strstr(channel_reason(scene.ours), "Linux 6.14"));
        assert_int_equal(channel_read(scene.ours, &byte, 1), -EKEYEXPIRED);
        assert_int_equal(channel_control(scene.ours), -EKEYEXPIRED);
        close_scene(&scene);
    }
}

static void openssls_answer_to_a_key_update_goes_through_the_kernel_that_sends(void **state)
{
    (void)state;
    for (int rekeys = 0; rekeys <= 1; rekeys++) {
        struct scene scene;
        uint8_t byte = 1;
        open_switched(&scene, true, 0x0304, true, false); /* TX kernel, RX OpenSSL */
        scene.soft.rekeys = rekeys;
        assert_int_equal(channel_renew_user(scene.peer, true), 0);
        assert_int_equal(tls_carry(scene.peer, scene.ours, 1000), 0);
        if (rekeys) {
            assert_int_equal(tls_carry(scene.ours, scene.peer, 100000), 0);
            assert_int_equal(scene.peer->way[CHANNEL_RX].sequence, 7); /* counted from the KeyUpdate on */
        } else {
            assert_int_equal(channel_write(scene.ours, &byte, 1), -EKEYEXPIRED);
            assert_non_null(strstr(channel_reason(scene.ours), "Linux 6.14"));
        }
        close_scene(&scene);
    }
}

/* The peer has asked for a KeyUpdate, which the kernel can make and we still owe. */
static void open_asked(struct scene *scene)
{
    open_switched(scene, true, 0x0304, true, true);
    scene->soft.rekeys = true;
    assert_int_equal(channel_renew_user(scene->peer, true), 0);
    assert_int_equal(tls_carry(scene->peer, scene->ours, 1000), 0);
}

static void an_answer_that_cannot_leave_at_once_leaves_before_the_next_data(void **state)
{
    (void)state;
    struct scene scene;
    char byte = 0;
    open_asked(&scene);
    scene.soft.refuse = SOFT_SEND;
    scene.soft.refusal = EAGAIN;
    assert_int_equal(channel_write(scene.ours, &byte, 1), -EAGAIN);
    assert_int_equal(channel_events(scene.ours), POLLOUT);
    scene.soft.refuse = SOFT_NONE;
    assert_int_equal(tls_carry(scene.ours, scene.peer, 100000), 0);
    assert_int_equal(socket_of(&scene)->tx.installs, 2);
    close_scene(&scene);
}

static void a_new_key_refused_after_its_announcement_ends_the_session(void **state)
{
    (void)state;
    struct scene scene;
    char byte = 0;
    open_asked(&scene);
    scene.soft.refuse = SOFT_TX;
    scene.soft.refusal = ENOMEM;
    assert_int_equal(channel_write(scene.ours, &byte, 1), -EKEYEXPIRED);
    assert_int_equal(channel_write(scene.ours, &byte, 1), -EKEYEXPIRED);
    assert_int_equal(channel_close_notify(scene.ours), -EKEYEXPIRED); /* the peer could not read it */
    close_scene(&scene);
}

static void hasty_key_updates_end_the_session_in_the_kernel_too(void **state)
{
    (void)state;
    struct scene scene;
    int result = 0, rounds = 0;
    open_switched(&scene, true, 0x0304, true, true);
    scene.soft.rekeys = true;
    for (; rounds < 100 && result == 0; rounds++) {
        assert_int_equal(channel_renew_user(scene.peer, false), 0);
        result = tls_carry(scene.peer, scene.ours, 1);
    }
    assert_int_equal(result, -EPROTO);
    assert_int_equal(rounds, 33);
    close_scene(&scene);
}

/* ---- worn keys ---- */

static void renews_a_worn_key_in_the_kernel(void **state)
{
    (void)state;
    struct scene scene;
    open_switched(&scene, true, 0x0304, true, true);
    scene.soft.rekeys = true;
    scene.ours->record_limit = 64;
    assert_int_equal(tls_carry(scene.ours, scene.peer, 300 * 16384), 0);
    assert_true(socket_of(&scene)->tx.installs > 300 / 64);
    assert_true(socket_of(&scene)->tx.sequence <= 64);
    assert_false(channel_worn(scene.ours));
    /* The peer's key: asked for with the next thing we send. */
    for (int i = 0; i < 5; i++) {
        scene.ours->rekey = REKEY_WORKS;
        assert_int_equal(tls_carry(scene.peer, scene.ours, 40 * 16384), 0);
        assert_int_equal(tls_carry(scene.ours, scene.peer, 1), 0);
    }
    close_scene(&scene);
}

static void where_the_kernel_cannot_renew_it_a_key_wears_out(void **state)
{
    (void)state;
    for (unsigned version = 0x0303; version <= 0x0304; version++) {
        struct scene scene;
        open_switched(&scene, true, version, true, true);
        scene.ours->record_limit = 64;
        scene.ours->rekey = REKEY_REFUSED;
        assert_int_equal(tls_carry(scene.ours, scene.peer, 20 * 16384), 0);
        assert_false(channel_worn(scene.ours));
        assert_int_equal(tls_carry(scene.ours, scene.peer, 20 * 16384), 0);
        assert_true(channel_worn(scene.ours));
        assert_int_equal(tls_carry(scene.ours, scene.peer, 100 * 16384), -EKEYEXPIRED);
        assert_true(socket_of(&scene)->tx.sequence <= 64);
        close_scene(&scene);
    }
}

static void counts_what_a_pump_moved_by_itself(void **state)
{
    (void)state;
    struct scene scene;
    open_switched(&scene, true, 0x0304, true, true);
    scene.ours->rekey = REKEY_REFUSED;
    scene.ours->record_limit = 64;
    soft_ktls_socket(&scene.soft, channel_fd(scene.ours))->tx.sequence = 40;
    assert_int_equal(channel_account(scene.ours, CHANNEL_TX, 1), 0); /* one byte, and no reason to ask yet */
    assert_false(channel_worn(scene.ours));
    assert_int_equal(channel_account(scene.ours, CHANNEL_TX, 16), 0);
    assert_true(channel_worn(scene.ours));
    soft_ktls_socket(&scene.soft, channel_fd(scene.ours))->tx.sequence = 64;
    assert_int_equal(channel_account(scene.ours, CHANNEL_TX, 16), -EKEYEXPIRED);
    close_scene(&scene);

    /* Where the kernel does not tell, bytes do. */
    open_switched(&scene, true, 0x0304, true, true);
    scene.ours->record_limit = 64;
    scene.soft.refuse = SOFT_ASK;
    scene.soft.refusal = EINVAL;
    assert_int_equal(channel_account(scene.ours, CHANNEL_RX, 20 * 16384), 0);
    assert_int_equal(channel_account(scene.ours, CHANNEL_RX, 50 * 16384), -EKEYEXPIRED);
    close_scene(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(switches_with_the_key_that_a_key_update_left),
        cmocka_unit_test(an_answer_openssl_still_owes_leaves_before_the_switch),
        cmocka_unit_test(follows_a_key_update_where_the_kernel_can),
        cmocka_unit_test(a_key_update_the_kernel_cannot_follow_ends_the_session),
        cmocka_unit_test(openssls_answer_to_a_key_update_goes_through_the_kernel_that_sends),
        cmocka_unit_test(an_answer_that_cannot_leave_at_once_leaves_before_the_next_data),
        cmocka_unit_test(a_new_key_refused_after_its_announcement_ends_the_session),
        cmocka_unit_test(hasty_key_updates_end_the_session_in_the_kernel_too),
        cmocka_unit_test(renews_a_worn_key_in_the_kernel),
        cmocka_unit_test(where_the_kernel_cannot_renew_it_a_key_wears_out),
        cmocka_unit_test(counts_what_a_pump_moved_by_itself),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
