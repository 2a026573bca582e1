// rooms: support ktls
/*
 * The switch, against kTLS in software (tests/support/soft_ktls.h) at one end and OpenSSL at the other: so a wrong key,
 * nonce, version or sequence number shows as a record that does not decrypt. And who or what refuses it. What follows a
 * switch is in channel_kernel_control.c and channel_kernel_keys.c.
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

static void openssl_understands_each_direction_of_each_end_with_each_suite(void **state)
{
    (void)state;
    for (size_t i = 0; i < SUITES * 4; i++) {
        struct scene scene;
        bool server = i & 1;
        enum channel_way way = i & 2 ? CHANNEL_RX : CHANNEL_TX;

        open_scene(&scene, server, &suites[i / 4], CONFIG_OFFLOAD_AUTO);
        assert_int_equal(channel_switch(scene.ours, way, 500000), 0);
        assert_int_equal(channel_switch(scene.ours, way, 500000), 0);
        assert_int_equal(channel_mode(scene.ours, way), CHANNEL_KERNEL);
        assert_string_equal(channel_why(scene.ours, way), "kernel");
        carry_both_ways(&scene, 300001);
        assert_int_equal(channel_close_notify(scene.ours), 0);
        assert_int_equal(channel_close_notify(scene.peer), 0);
        char byte;
        assert_int_equal(read_soon(scene.ours, &byte, 1), 0);
        assert_int_equal(read_soon(scene.peer, &byte, 1), 0);
        close_scene(&scene);
    }
}

static void both_directions_in_the_kernel_need_no_openssl(void **state)
{
    (void)state;
    for (size_t i = 0; i < SUITES * 2; i++) {
        struct scene scene;
        open_scene(&scene, i & 1, &suites[i / 2], CONFIG_OFFLOAD_REQUIRED);
        assert_int_equal(channel_switch(scene.ours, CHANNEL_RX, UINT64_MAX), 0);
        carry_both_ways(&scene, 50000);
        assert_int_equal(channel_switch(scene.ours, CHANNEL_TX, UINT64_MAX), 0);
        assert_null(scene.ours->ssl);
        carry_both_ways(&scene, 50000);
        assert_string_equal(channel_facts(scene.ours)->suite, suites[i / 2].name);
        assert_true(channel_facts(scene.ours)->peer_verified);
        assert_int_equal(channel_close_notify(scene.ours), 0);
        channel_trim(scene.ours);
        close_scene(&scene);
    }
}

static uint64_t tail_of(const struct soft_key *key)
{
    uint64_t value = 0;
    for (size_t i = 0; i < 8; i++)
        value = value << 8 | key->info[key->info_size - 8 + i];
    return value;
}

static void hands_over_the_count_of_records_that_went_before(void **state)
{
    (void)state;
    struct scene scene;

    /* TLS 1.3: two tickets and the response head; TLS 1.2: Finished and the response head. */
    open_switched(&scene, true, 0x0304, true, true);
    assert_int_equal(tail_of(&socket_of(&scene)->tx), 3);
    assert_int_equal(tail_of(&socket_of(&scene)->rx), 1);
    close_scene(&scene);
    open_switched(&scene, true, 0x0303, true, true);
    assert_int_equal(tail_of(&socket_of(&scene)->tx), 2);
    assert_int_equal(tail_of(&socket_of(&scene)->rx), 2);
    close_scene(&scene);
}

static void goes_on_after_the_last_explicit_nonce_that_openssl_used(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, true, suite_of(TLS_1_2), CONFIG_OFFLOAD_AUTO);

    uint64_t last = 0;
    for (size_t i = 0; i < 8; i++)
        last = last << 8 | scene.ours->wire.seen[CHANNEL_TX].nonce[i];
    assert_int_equal(channel_switch(scene.ours, CHANNEL_TX, UINT64_MAX), 0);
    assert_true(socket_of(&scene)->tx.explicit_nonce == last + 1);
    close_scene(&scene);
}

static void a_switched_end_keeps_no_secret_it_has_no_use_for(void **state)
{
    (void)state;
    struct scene scene;
    open_switched(&scene, true, 0x0304, true, false);
    assert_int_equal(scene.ours->way[CHANNEL_TX].secret.length, 32); /* the next KeyUpdate needs it */
    close_scene(&scene);
    open_switched(&scene, true, 0x0304, true, true);
    scene.ours->record_limit = 16;
    assert_int_equal(tls_carry(scene.ours, scene.peer, 7 * 16384), 0);
    assert_int_equal(scene.ours->rekey, REKEY_REFUSED); /* found out at half the limit */
    assert_int_equal(scene.ours->way[CHANNEL_TX].secret.length, 0);
    assert_int_equal(scene.ours->way[CHANNEL_RX].secret.length, 0);
    close_scene(&scene);
    open_shaken(&scene, true, &suites[3], CONFIG_OFFLOAD_OFF); /* not even for the short cut */
    assert_int_equal(channel_switch(scene.ours, CHANNEL_TX, UINT64_MAX), 1);
    assert_int_equal(channel_switch(scene.ours, CHANNEL_RX, UINT64_MAX), 1);
    assert_int_equal(scene.ours->way[CHANNEL_TX].secret.length, 0);
    assert_int_equal(scene.ours->way[CHANNEL_RX].secret.length, 0);
    close_scene(&scene);
}

/* The peer writes a record of 100 bytes, and OpenSSL takes its header and no more. */
static void part_of_a_record_comes(struct scene *scene, uint8_t bytes[100])
{
    assert_int_equal(tls_write_all(scene->peer, bytes, 100), 100);
    scene->soft.shorten = 5;
    scene->soft.refuse = SOFT_RECEIVE;
    scene->soft.refusal = EAGAIN;
    scene->soft.spared = 1;
    assert_int_equal(channel_read(scene->ours, bytes, 100), -EAGAIN);
}

static void the_rest_comes(struct scene *scene, uint8_t bytes[100])
{
    scene->soft.refuse = SOFT_NONE;
    scene->soft.shorten = 0;
    assert_int_equal(read_soon(scene->ours, bytes, 100), 100);
}

static void waits_for_a_record_boundary(void **state)
{
    (void)state;
    struct scene scene;
    uint8_t bytes[100] = "0123456789";
    open_scene(&scene, false, &suites[0], CONFIG_OFFLOAD_AUTO);

    /* Decrypted bytes stand ready. */
    assert_int_equal(tls_write_all(scene.peer, bytes, 10), 10);
    assert_int_equal(read_soon(scene.ours, bytes, 4), 4);
    assert_int_equal(channel_switch(scene.ours, CHANNEL_RX, UINT64_MAX), -EAGAIN);
    assert_true(channel_pending(scene.ours));
    assert_int_equal(channel_read(scene.ours, bytes, 6), 6);

    part_of_a_record_comes(&scene, bytes);
    assert_false(channel_pending(scene.ours));
    assert_int_equal(channel_switch(scene.ours, CHANNEL_RX, UINT64_MAX), -EAGAIN);
    the_rest_comes(&scene, bytes);
    assert_int_equal(channel_switch(scene.ours, CHANNEL_RX, UINT64_MAX), 0);
    assert_int_equal(tls_carry(scene.peer, scene.ours, 100000), 0);
    close_scene(&scene);
}

static void what_was_read_ahead_with_a_head_is_read_before_the_switch(void **state)
{
    (void)state;
    struct scene scene;
    uint8_t bytes[100] = { 0 };
    open_scene(&scene, true, &suites[0], CONFIG_OFFLOAD_AUTO);
    send_two(scene.peer, "head", 4, bytes, 100);

    channel_expect_head(scene.ours);
    assert_int_equal(read_soon(scene.ours, bytes, 100), 4);
    assert_true(wire_unread(&scene.ours->wire) > 0);
    assert_false(channel_drained(scene.ours));
    assert_int_equal(channel_switch(scene.ours, CHANNEL_RX, UINT64_MAX), -EAGAIN);
    assert_true(channel_pending(scene.ours));
    assert_int_equal(channel_read(scene.ours, bytes, 100), 100);
    assert_int_equal(channel_switch(scene.ours, CHANNEL_RX, UINT64_MAX), 0);
    assert_int_equal(tls_carry(scene.peer, scene.ours, 100000), 0);
    close_scene(&scene);
}

/* OpenSSL has a record's header in its buffer, and nobody tells whether it does. */
static void an_idle_channel_keeps_what_it_has_of_a_record(void **state)
{
    (void)state;
    struct scene scene;
    uint8_t bytes[100] = "0123456789";
    open_scene(&scene, true, &suites[0], CONFIG_OFFLOAD_AUTO);
    channel_busy(scene.ours);
    part_of_a_record_comes(&scene, bytes);
    channel_idle(scene.ours);
    the_rest_comes(&scene, bytes);
    assert_memory_equal(bytes, "0123456789", 10);
    channel_idle(scene.ours);
    assert_int_equal(tls_carry(scene.peer, scene.ours, 100000), 0);
    close_scene(&scene);
}

static void waits_until_openssls_last_records_have_left(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, true, &suites[0], CONFIG_OFFLOAD_AUTO);

    assert_int_equal(channel_write(scene.ours, "head", 4), 4);
    scene.soft.refuse = SOFT_SEND;
    scene.soft.refusal = EAGAIN;
    assert_int_equal(channel_switch(scene.ours, CHANNEL_TX, UINT64_MAX), -EAGAIN);
    assert_int_equal(channel_events(scene.ours), POLLOUT);
    scene.soft.refuse = SOFT_NONE;
    assert_int_equal(channel_switch(scene.ours, CHANNEL_TX, UINT64_MAX), 0);
    char head[4];
    assert_int_equal(tls_read_all(scene.peer, head, 4), 4);
    assert_memory_equal(head, "head", 4);
    assert_int_equal(tls_carry(scene.ours, scene.peer, 100000), 0);
    close_scene(&scene);
}

static void what_the_kernel_refuses_stays_with_openssl_and_says_why(void **state)
{
    (void)state;
    static const struct {
        enum soft_call call;
        int error;
        enum channel_way way;
        const char *why;
    } cases[] = {
        { SOFT_ULP, ENOENT, CHANNEL_TX, "user: this kernel has no kTLS (modprobe tls)" },
        { SOFT_ULP, EOPNOTSUPP, CHANNEL_RX, "user: this kernel has no kTLS (it needs CONFIG_TLS)" },
        { SOFT_ULP, EPERM, CHANNEL_TX, "user: the tls module is not loaded" },
        { SOFT_ULP, ENOTCONN, CHANNEL_TX, "user: the peer has closed its side" },
        { SOFT_ULP, ENOMEM, CHANNEL_TX, "user: TCP_ULP failed: Cannot allocate memory" },
        { SOFT_TX, ENOENT, CHANNEL_TX, "user: the kernel has no driver for the cipher" },
        { SOFT_TX, EINVAL, CHANNEL_TX, "user: this kernel's kTLS does not know the suite" },
        { SOFT_TX, EBUSY, CHANNEL_TX, "user: the kernel has a key for the direction already" },
        { SOFT_RX, EINVAL, CHANNEL_RX, "user: this kernel's kTLS does not know the suite" },
        { SOFT_RX, ENOPROTOOPT, CHANNEL_RX, "user: this kernel's kTLS does not know the direction" },
        { SOFT_RX, ENOBUFS, CHANNEL_RX, "user: the kernel's key install failed: No buffer space available" },
    };

    for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
        struct scene scene;
        bool required = i & 1;
        int result = !required ? 1 : cases[i / 2].error == ENOTCONN ? -ECONNRESET : -EOPNOTSUPP;
        open_scene(&scene, true, &suites[i % SUITES], required ? CONFIG_OFFLOAD_REQUIRED : CONFIG_OFFLOAD_AUTO);
        scene.soft.refuse = cases[i / 2].call;
        scene.soft.refusal = cases[i / 2].error;
        for (int again = 0; again < 2; again++)
            assert_int_equal(channel_switch(scene.ours, cases[i / 2].way, UINT64_MAX), result);
        assert_int_equal(channel_mode(scene.ours, cases[i / 2].way), CHANNEL_USER);
        if (result != -ECONNRESET)
            assert_non_null(strstr(channel_why(scene.ours, cases[i / 2].way), cases[i / 2].why));
        if (required)
            assert_non_null(strstr(channel_reason(scene.ours), "offload = required"));
        scene.soft.refuse = SOFT_NONE;
        if (result != -ECONNRESET)
            carry_both_ways(&scene, 300000);
        close_scene(&scene);
    }
}

static void goes_without_the_hint_about_padding(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, true, &suites[0], CONFIG_OFFLOAD_AUTO);
    scene.soft.refuse = SOFT_NO_PAD;
    scene.soft.refusal = EINVAL;
    assert_int_equal(channel_switch(scene.ours, CHANNEL_RX, UINT64_MAX), 0);
    assert_int_equal(tls_carry(scene.peer, scene.ours, 100000), 0);
    close_scene(&scene);
}

static void tells_the_kernel_that_files_are_immutable_and_takes_it_back(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, true, &suites[0], CONFIG_OFFLOAD_AUTO);
    const struct soft_socket *socket = socket_of(&scene);
    assert_int_equal(channel_immutable(scene.ours, true), -EINVAL);
    assert_int_equal(channel_switch(scene.ours, CHANNEL_TX, UINT64_MAX), 0);
    assert_int_equal(channel_immutable(scene.ours, false), 0);
    assert_string_equal(channel_why(scene.ours, CHANNEL_TX), "kernel");
    assert_int_equal(channel_immutable(scene.ours, true), 0);
    assert_int_equal(socket->zerocopy, 1);
    assert_string_equal(channel_why(scene.ours, CHANNEL_TX), "kernel, files immutable");
    assert_int_equal(tls_carry(scene.ours, scene.peer, 100000), 0);
    assert_int_equal(channel_immutable(scene.ours, false), 0);
    assert_int_equal(socket->zerocopy, 0);
    assert_string_equal(channel_why(scene.ours, CHANNEL_TX), "kernel");
    close_scene(&scene);
}

static void sends_as_ever_where_the_kernel_knows_of_no_immutable_files(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, true, &suites[0], CONFIG_OFFLOAD_AUTO);
    assert_int_equal(channel_switch(scene.ours, CHANNEL_TX, UINT64_MAX), 0);
    scene.soft.refuse = SOFT_ZEROCOPY;
    scene.soft.refusal = ENOPROTOOPT;
    assert_int_equal(channel_immutable(scene.ours, true), -ENOPROTOOPT);
    assert_string_equal(channel_why(scene.ours, CHANNEL_TX),
                        "kernel, not told that files are immutable: Protocol not available");
    assert_int_equal(tls_carry(scene.ours, scene.peer, 100000), 0);
    close_scene(&scene);
}

static void a_profile_without_offload_never_asks_the_kernel(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, true, &suites[0], CONFIG_OFFLOAD_OFF);
    assert_int_equal(channel_switch(scene.ours, CHANNEL_TX, UINT64_MAX), 1);
    assert_string_equal(channel_why(scene.ours, CHANNEL_TX), "user: offload = off");
    assert_false(socket_of(&scene)->ulp);
    close_scene(&scene);
}

static void a_context_told_that_there_is_no_ktls_never_asks_for_it(void **state)
{
    (void)state;
    static const enum config_offload offloads[] = { CONFIG_OFFLOAD_AUTO, CONFIG_OFFLOAD_REQUIRED };
    for (size_t i = 0; i < 2; i++) {
        bool required = offloads[i] == CONFIG_OFFLOAD_REQUIRED;
        struct scene scene;
        open_shaken(&scene, true, &suites[0], offloads[i]);
        tls_context_without_kernel(scene.server_end.context);
        exchange_heads(&scene);
        assert_int_equal(channel_switch(scene.ours, CHANNEL_TX, UINT64_MAX), required ? 0 : 1);
        assert_int_equal(socket_of(&scene)->ulp, required);
        assert_int_equal(strncmp(channel_why(scene.ours, CHANNEL_TX), "user: this kernel had no kTLS", 29) == 0,
                         !required);
        close_scene(&scene);
    }
}

static void a_suite_the_kernel_lacks_stays_with_openssl(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, true, &(struct scene_suite){ "TLS_ECDHE_ECDSA_WITH_AES_256_CCM", 0x0303 }, CONFIG_OFFLOAD_AUTO);
    assert_int_equal(channel_switch(scene.ours, CHANNEL_TX, UINT64_MAX), 1);
    assert_string_equal(channel_why(scene.ours, CHANNEL_TX), "user: kTLS has no such suite");
    assert_int_equal(tls_carry(scene.ours, scene.peer, 100000), 0);
    close_scene(&scene);
}

static void a_body_longer_than_its_key_lasts_is_not_begun_in_the_kernel(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, true, &suites[0], CONFIG_OFFLOAD_AUTO);
    scene.ours->rekey = REKEY_REFUSED;
    assert_int_equal(channel_switch(scene.ours, CHANNEL_TX, UINT64_C(1) << 40), 1);
    assert_non_null(strstr(channel_why(scene.ours, CHANNEL_TX), "one key is not enough"));
    scene.ours->rekey = REKEY_WORKS;
    assert_int_equal(channel_switch(scene.ours, CHANNEL_RX, UINT64_C(1) << 40), 0);
    close_scene(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openssl_understands_each_direction_of_each_end_with_each_suite),
        cmocka_unit_test(both_directions_in_the_kernel_need_no_openssl),
        cmocka_unit_test(hands_over_the_count_of_records_that_went_before),
        cmocka_unit_test(goes_on_after_the_last_explicit_nonce_that_openssl_used),
        cmocka_unit_test(a_switched_end_keeps_no_secret_it_has_no_use_for),
        cmocka_unit_test(waits_for_a_record_boundary),
        cmocka_unit_test(what_was_read_ahead_with_a_head_is_read_before_the_switch),
        cmocka_unit_test(an_idle_channel_keeps_what_it_has_of_a_record),
        cmocka_unit_test(waits_until_openssls_last_records_have_left),
        cmocka_unit_test(what_the_kernel_refuses_stays_with_openssl_and_says_why),
        cmocka_unit_test(goes_without_the_hint_about_padding),
        cmocka_unit_test(tells_the_kernel_that_files_are_immutable_and_takes_it_back),
        cmocka_unit_test(sends_as_ever_where_the_kernel_knows_of_no_immutable_files),
        cmocka_unit_test(a_profile_without_offload_never_asks_the_kernel),
        cmocka_unit_test(a_context_told_that_there_is_no_ktls_never_asks_for_it),
        cmocka_unit_test(a_suite_the_kernel_lacks_stays_with_openssl),
        cmocka_unit_test(a_body_longer_than_its_key_lasts_is_not_begun_in_the_kernel),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
