// rooms: support ktls
/*
 * The switch and everything after it, against kTLS in software (tests/support/soft_ktls.h) at one end and OpenSSL at
 * the other: so a wrong key, nonce, version or sequence number shows as a record that does not decrypt.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/support/tls_scene.h"

static void open_switched(struct scene *scene, bool ours_is_server, unsigned version, bool tx, bool rx)
{
    open_scene(scene, ours_is_server, suite_of(version), CONFIG_OFFLOAD_AUTO);
    if (tx)
        assert_int_equal(channel_switch(scene->ours, CHANNEL_TX, UINT64_MAX), 0);
    if (rx)
        assert_int_equal(channel_switch(scene->ours, CHANNEL_RX, UINT64_MAX), 0);
}

/* ---- the switch ---- */

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

/* ---- retirement ---- */

static void a_channel_that_retires_goes_on_in_the_kernel_with_each_suite(void **state)
{
    (void)state;
    for (size_t i = 0; i < SUITES * 2; i++) {
        struct scene scene;
        open_scene(&scene, i & 1, &suites[i / 2], CONFIG_OFFLOAD_AUTO);
        channel_expect_head(scene.ours);
        channel_idle(scene.ours);
        assert_true(channel_retire(scene.ours));
        assert_null(scene.ours->ssl);
        assert_string_equal(channel_why(scene.ours, CHANNEL_TX), "kernel");
        assert_string_equal(channel_why(scene.ours, CHANNEL_RX), "kernel");
        assert_false(channel_retire(scene.ours)); /* it is retired */
        channel_busy(scene.ours);
        channel_expect_head(scene.ours);
        exchange_heads(&scene);
        channel_idle(scene.ours);
        assert_true(channel_facts(scene.ours)->peer_verified);
        assert_non_null(channel_peer(scene.ours));
        assert_int_equal(channel_close_notify(scene.peer), 0);
        char byte;
        assert_int_equal(read_soon(scene.ours, &byte, 1), 0);
        close_scene(&scene);
    }
}

static void what_came_before_a_channel_retired_is_read_afterwards(void **state)
{
    (void)state;
    struct scene scene;
    char head[8];
    open_scene(&scene, true, &suites[0], CONFIG_OFFLOAD_AUTO);
    assert_int_equal(channel_write(scene.peer, "head", 4), 4);
    assert_int_equal(channel_flush(scene.peer), 0);
    assert_true(channel_retire(scene.ours));
    assert_null(scene.ours->ssl);
    assert_int_equal(read_soon(scene.ours, head, sizeof(head)), 4);
    assert_memory_equal(head, "head", 4);
    close_scene(&scene);
}

static void a_channel_that_has_something_in_hand_does_not_retire(void **state)
{
    (void)state;
    struct scene scene;
    char byte;
    open_scene(&scene, true, &suites[0], CONFIG_OFFLOAD_AUTO);
    assert_int_equal(channel_write(scene.peer, "head", 4), 4);
    assert_int_equal(channel_flush(scene.peer), 0);
    assert_int_equal(read_soon(scene.ours, &byte, 1), 1);
    assert_false(channel_retire(scene.ours)); /* three bytes are decrypted */
    for (int i = 0; i < 3; i++)
        assert_int_equal(read_soon(scene.ours, &byte, 1), 1);
    assert_true(channel_retire(scene.ours));
    close_scene(&scene);
}

static const enum soft_call refusals_of_retirement[] = { SOFT_ULP, SOFT_RX, SOFT_TX };
#define REFUSALS (sizeof(refusals_of_retirement) / sizeof(*refusals_of_retirement))

static void open_refused(struct scene *scene, size_t suite, enum config_offload offload, enum soft_call refused)
{
    open_scene(scene, true, &suites[suite], offload);
    scene->soft.refuse = refused;
    scene->soft.refusal = ENOENT;
    assert_true(channel_retire(scene->ours));
}

static void what_the_kernel_does_not_take_of_a_channel_that_retires_goes_past_openssl(void **state)
{
    (void)state;
    for (size_t i = 0; i < REFUSALS; i++) {
        enum soft_call refused = refusals_of_retirement[i];
        struct scene scene;
        char byte;
        open_refused(&scene, 0, CONFIG_OFFLOAD_AUTO, refused);
        assert_null(scene.ours->ssl);
        assert_int_equal(channel_in_kernel(scene.ours, CHANNEL_RX), refused == SOFT_TX);
        assert_int_equal(channel_in_kernel(scene.ours, CHANNEL_TX), refused == SOFT_RX);
        assert_false(channel_retire(scene.ours)); /* it is retired */
        for (int round = 0; round < 3; round++) {
            exchange_heads(&scene);
            channel_idle(scene.ours);
        }
        assert_int_equal(channel_close_notify(scene.peer), 0);
        assert_int_equal(read_soon(scene.ours, &byte, 1), 0);
        assert_int_equal(channel_close_notify(scene.ours), 0);
        assert_int_equal(read_soon(scene.peer, &byte, 1), 0);
        close_scene(&scene);
    }
}

static void what_only_openssl_can_do_without_the_kernel_does_not_retire_twice(void **state)
{
    static const size_t others[] = { 3, 4 }; /* CCM, TLS 1.2 */
    (void)state;
    for (size_t i = 0; i < REFUSALS * 2; i++) {
        struct scene scene;
        open_refused(&scene, others[i & 1], CONFIG_OFFLOAD_AUTO, refusals_of_retirement[i / 2]);
        assert_non_null(scene.ours->ssl);
        assert_false(channel_retire(scene.ours)); /* it was heard once */
        exchange_heads(&scene);
        close_scene(&scene);
    }
}

static void a_channel_that_must_be_in_the_kernel_retires_nowhere_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < REFUSALS; i++) {
        struct scene scene;
        open_refused(&scene, 0, CONFIG_OFFLOAD_REQUIRED, refusals_of_retirement[i]);
        assert_non_null(scene.ours->ssl);
        assert_null(scene.ours->way[CHANNEL_TX].aead);
        assert_null(scene.ours->way[CHANNEL_RX].aead);
        assert_false(channel_retire(scene.ours));
        exchange_heads(&scene);
        close_scene(&scene);
    }
}

static void a_channel_whose_peer_has_gone_does_not_retire(void **state)
{
    (void)state;
    struct scene scene;
    char byte;
    open_scene(&scene, true, &suites[0], CONFIG_OFFLOAD_REQUIRED);
    scene.soft.refuse = SOFT_ULP;
    scene.soft.refusal = ENOTCONN;
    assert_false(channel_retire(scene.ours));
    assert_string_equal(channel_reason(scene.ours), "");
    assert_int_equal(channel_close_notify(scene.peer), 0);
    assert_int_equal(read_soon(scene.ours, &byte, 1), 0);
    close_scene(&scene);
}

static void a_channel_that_may_not_go_to_the_kernel_leaves_it_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < SUITES; i++) {
        bool can = suites[i].version == 0x0304 && !strstr(suites[i].name, "CCM");
        struct scene scene;
        open_shaken(&scene, true, &suites[i], i & 1 ? CONFIG_OFFLOAD_OFF : CONFIG_OFFLOAD_AUTO);
        if (!(i & 1))
            tls_context_without_kernel(scene.server_end.context);
        exchange_heads(&scene);
        assert_int_equal(channel_retire(scene.ours), can);
        assert_int_equal(scene.ours->ssl == NULL, can);
        assert_false(socket_of(&scene)->ulp);
        exchange_heads(&scene);
        assert_int_equal(channel_close_notify(scene.ours), 0);
        assert_false(channel_retire(scene.ours));
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
    /* Two records, sent at once. */
    assert_int_equal(channel_write(scene.peer, "head", 4), 4);
    assert_int_equal(channel_write(scene.peer, bytes, 100), 100);
    assert_int_equal(channel_flush(scene.peer), 0);

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

/* ---- the end of a stream ---- */

static void reports_truncation_in_the_kernel_too(void **state)
{
    (void)state;
    struct scene scene;
    char byte;
    open_switched(&scene, false, 0x0304, false, true);
    shutdown(channel_fd(scene.peer), SHUT_WR);
    assert_int_equal(read_soon(scene.ours, &byte, 1), -ENODATA);
    assert_true(channel_failed_at_peer(scene.ours));
    close_scene(&scene);

    open_switched(&scene, false, 0x0304, false, true);
    shutdown(channel_fd(scene.peer), SHUT_WR);
    assert_int_equal(channel_control(scene.ours), -ENODATA);
    close_scene(&scene);
}

static void control_reads_close_notify_and_leaves_data_alone(void **state)
{
    (void)state;
    struct scene scene;
    char bytes[8];
    open_switched(&scene, false, 0x0304, false, true);

    assert_int_equal(channel_control(scene.ours), -EAGAIN);
    assert_int_equal(channel_events(scene.ours), POLLIN);
    assert_int_equal(tls_write_all(scene.peer, "data", 4), 4);
    tls_wait(scene.ours);
    assert_int_equal(channel_control(scene.ours), 0);
    assert_int_equal(channel_control(scene.ours), 0);
    assert_int_equal(read_soon(scene.ours, bytes, sizeof(bytes)), 4);
    assert_memory_equal(bytes, "data", 4);
    assert_int_equal(channel_close_notify(scene.peer), 0);
    tls_wait(scene.ours);
    assert_int_equal(channel_control(scene.ours), 1);
    assert_int_equal(channel_control(scene.ours), 1);
    assert_int_equal(channel_read(scene.ours, bytes, sizeof(bytes)), 0);
    close_scene(&scene);
}

static void a_corrupted_record_breaks_the_channel(void **state)
{
    (void)state;
    struct scene scene;
    static const uint8_t forged[] = { 23, 3, 3, 0, 17, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17 };
    char byte;
    open_switched(&scene, true, 0x0304, true, true);
    assert_int_equal(send(channel_fd(scene.peer), forged, sizeof(forged), 0), sizeof(forged));
    assert_int_equal(read_soon(scene.ours, &byte, 1), -EPROTO);
    assert_non_null(strstr(channel_reason(scene.ours), "did not decrypt"));
    assert_int_equal(channel_read(scene.ours, &byte, 1), -EPROTO);
    assert_int_equal(channel_write(scene.ours, &byte, 1), -EPROTO);
    close_scene(&scene);
}

/* ---- control records; the peer is in the kernel of its own, where it may send any ---- */

struct duel {
    struct scene scene;
    struct soft_ktls peer_soft;
};

static void open_duel(struct duel *duel, bool ours_is_server, unsigned version, bool our_tx, bool rekeys)
{
    struct scene *scene = &duel->scene;

    soft_ktls_init(&duel->peer_soft);
    duel->peer_soft.rekeys = true;
    open_between(scene, ours_is_server, suite_of(version), (struct scene_side){ CONFIG_OFFLOAD_AUTO, &scene->soft.sys },
                 (struct scene_side){ CONFIG_OFFLOAD_AUTO, &duel->peer_soft.sys });
    scene->soft.rekeys = rekeys;
    exchange_heads(scene);
    assert_int_equal(channel_switch(scene->peer, CHANNEL_TX, UINT64_MAX), 0);
    assert_int_equal(channel_switch(scene->ours, CHANNEL_RX, UINT64_MAX), 0);
    if (our_tx)
        assert_int_equal(channel_switch(scene->ours, CHANNEL_TX, UINT64_MAX), 0);
}

static void close_duel(struct duel *duel)
{
    close_scene(&duel->scene);
    soft_ktls_clear(&duel->peer_soft);
}

static void say(struct duel *duel, uint8_t type, const void *bytes, size_t size)
{
    assert_int_equal(channel_send_control(duel->scene.peer, type, bytes, size), 0);
}

static void names_the_alert_of_the_peer(void **state)
{
    (void)state;
    static const struct {
        uint8_t code;
        int error;
        const char *reason;
    } cases[] = {
        { 80, -EPROTO, "the peer ended the session: alert internal_error (80)" },
        { 116, -EACCES, "the peer ended the session: alert certificate_required (116)" },
        { 20, -EPROTO, "the peer ended the session: alert bad_record_mac (20)" },
        { 200, -EPROTO, "the peer ended the session: alert unknown (200)" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct duel duel;
        char byte;
        open_duel(&duel, true, 0x0304, false, false);
        say(&duel, RECORD_ALERT, (const uint8_t[]){ 2, cases[i].code }, 2);
        assert_int_equal(read_soon(duel.scene.ours, &byte, 1), cases[i].error);
        assert_string_equal(channel_reason(duel.scene.ours), cases[i].reason);
        assert_true(channel_failed_at_peer(duel.scene.ours));
        close_duel(&duel);
    }
}

static void an_alert_that_only_warns_ends_nothing_unless_it_comes_without_end(void **state)
{
    (void)state;
    struct duel duel;
    char bytes[4];
    open_duel(&duel, true, 0x0304, false, false);
    for (int i = 0; i < 8; i++)
        say(&duel, RECORD_ALERT, (const uint8_t[]){ 1, 90 }, 2);
    assert_int_equal(channel_write(duel.scene.peer, "data", 4), 4);
    assert_int_equal(read_soon(duel.scene.ours, bytes, 4), 4);
    say(&duel, RECORD_ALERT, (const uint8_t[]){ 1, 90 }, 2);
    assert_int_equal(read_soon(duel.scene.ours, bytes, 4), -EPROTO);
    close_duel(&duel);
}

static void a_client_passes_over_tickets_however_they_are_packed(void **state)
{
    (void)state;
    struct duel duel;
    uint8_t tickets[700] = { 0 }, bytes[4];

    /* Three of 229 bytes with their headers, which makes 687; cut in every way into two or three records. */
    for (size_t i = 0; i < 3; i++) {
        tickets[i * 229] = 4;
        tickets[i * 229 + 3] = 225;
    }
    open_duel(&duel, false, 0x0304, false, false);
    static const size_t cuts[] = { 1, 3, 4, 5, 228, 229, 230, 400, 686 };
    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        say(&duel, RECORD_HANDSHAKE, tickets, cuts[i]);
        say(&duel, RECORD_HANDSHAKE, tickets + cuts[i], 687 - cuts[i]);
        assert_int_equal(channel_write(duel.scene.peer, "data", 4), 4);
        assert_int_equal(read_soon(duel.scene.ours, bytes, 4), 4);
        assert_memory_equal(bytes, "data", 4);
    }
    assert_int_equal(duel.scene.ours->messages, 27);
    for (size_t i = 0; i < 20; i++)
        say(&duel, RECORD_HANDSHAKE, tickets, 687);
    assert_int_equal(read_soon(duel.scene.ours, bytes, 4), -EPROTO); /* at the 65th */
    close_duel(&duel);
}

static void real_tickets_that_come_after_the_switch_are_passed_over(void **state)
{
    (void)state;
    struct scene scene;
    open_shaken(&scene, false, &suites[0], CONFIG_OFFLOAD_AUTO);
    assert_int_equal(channel_switch(scene.ours, CHANNEL_RX, UINT64_MAX), 0);
    assert_int_equal(tls_carry(scene.peer, scene.ours, 100000), 0);
    assert_int_equal(scene.ours->messages, 2);
    close_scene(&scene);
}

static void refuses_what_may_not_come_after_the_handshake(void **state)
{
    (void)state;
    static const struct {
        bool to_server;
        unsigned version;
        uint8_t type;
        size_t size;
        uint8_t bytes[8];
    } cases[] = {
        { true, 0x0304, 22, 8, { 4, 0, 0, 4, 1, 2, 3, 4 } },   /* a ticket for a server */
        { false, 0x0304, 22, 4, { 1, 0, 0, 0 } },              /* a ClientHello */
        { false, 0x0304, 22, 8, { 13, 0, 0, 4, 0, 0, 0, 0 } }, /* authentication that was not offered */
        { false, 0x0304, 22, 4, { 4, 0xff, 0xff, 0xff } },     /* a ticket of 16 MiB */
        { false, 0x0304, 22, 6, { 24, 0, 0, 2, 0, 0 } },       /* a KeyUpdate of two bytes */
        { false, 0x0304, 22, 5, { 24, 0, 0, 1, 2 } },          /* one that asks for 2 */
        { false, 0x0304, 22, 4, { 24, 0, 0, 0 } },             /* one that asks nothing */
        { false, 0x0304, 22, 6, { 24, 0, 0, 1, 0, 4 } },       /* one with something behind it */
        { false, 0x0304, 21, 1, { 2 } },                       /* half an alert */
        { false, 0x0304, 20, 1, { 1 } },                       /* a ChangeCipherSpec, encrypted */
        { false, 0x0304, 24, 3, { 1, 0, 0 } },                 /* a heartbeat */
        { false, 0x0303, 22, 5, { 24, 0, 0, 1, 0 } },          /* TLS 1.2 has no KeyUpdate */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct duel duel;
        char byte;
        open_duel(&duel, cases[i].to_server, cases[i].version, true, true);
        say(&duel, cases[i].type, cases[i].bytes, cases[i].size);
        assert_int_equal(read_soon(duel.scene.ours, &byte, 1), -EPROTO);
        assert_false(channel_failed_at_peer(duel.scene.ours));
        assert_int_equal(read_soon(duel.scene.peer, &byte, 1), -EPROTO); /* and the peer hears of it */
        assert_true(channel_failed_at_peer(duel.scene.peer));
        close_duel(&duel);
    }
}

static void does_not_renegotiate(void **state)
{
    (void)state;
    struct duel duel;
    char bytes[4];
    open_duel(&duel, false, 0x0303, true, false);
    say(&duel, RECORD_HANDSHAKE, (const uint8_t[]){ 0, 0, 0, 0 }, 4);
    assert_int_equal(channel_write(duel.scene.peer, "data", 4), 4);
    assert_int_equal(read_soon(duel.scene.ours, bytes, 4), 4);
    close_duel(&duel);
    open_duel(&duel, false, 0x0303, false, false);
    say(&duel, RECORD_HANDSHAKE, (const uint8_t[]){ 0, 0, 0, 0 }, 4);
    assert_int_equal(read_soon(duel.scene.ours, bytes, 4), -EPROTO);
    assert_non_null(strstr(channel_reason(duel.scene.ours), "renegotiate"));
    close_duel(&duel);
}

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

static void an_answer_that_cannot_leave_at_once_leaves_before_the_next_data(void **state)
{
    (void)state;
    struct scene scene;
    char byte = 0;
    open_switched(&scene, true, 0x0304, true, true);
    scene.soft.rekeys = true;
    assert_int_equal(channel_renew_user(scene.peer, true), 0);
    assert_int_equal(tls_carry(scene.peer, scene.ours, 1000), 0);
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
    open_switched(&scene, true, 0x0304, true, true);
    scene.soft.rekeys = true;
    assert_int_equal(channel_renew_user(scene.peer, true), 0);
    assert_int_equal(tls_carry(scene.peer, scene.ours, 1000), 0);
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

static void openssls_alert_goes_through_the_kernel_that_sends(void **state)
{
    (void)state;
    struct scene scene;
    static const uint8_t forged[] = { 23, 3, 3, 0, 17, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17 };
    char byte;
    open_switched(&scene, true, 0x0304, true, false);
    assert_int_equal(send(channel_fd(scene.peer), forged, sizeof(forged), 0), sizeof(forged));
    assert_int_equal(read_soon(scene.ours, &byte, 1), -EPROTO);
    assert_int_equal(read_soon(scene.peer, &byte, 1), -EPROTO);
    assert_string_equal(channel_reason(scene.peer), "the peer ended the session: alert bad_record_mac (20)");
    close_scene(&scene);
}

static void tells_the_errors_of_a_kernel_socket_apart(void **state)
{
    (void)state;
    static const struct {
        enum soft_call call;
        int error, result;
    } cases[] = {
        { SOFT_SEND, EPIPE, -ECONNRESET },
        { SOFT_SEND, ETIMEDOUT, -ECONNRESET },
        { SOFT_SEND, ENOMEM, -ENOMEM },
        { SOFT_RECEIVE, ECONNRESET, -ECONNRESET },
        { SOFT_RECEIVE, EBADMSG, -EPROTO },
        { SOFT_RECEIVE, EMSGSIZE, -EPROTO },
        { SOFT_RECEIVE, EINVAL, -EPROTO },
        { SOFT_RECEIVE, EKEYEXPIRED, -EKEYEXPIRED },
        { SOFT_RECEIVE, ENOMEM, -ENOMEM },
        { SOFT_RECEIVE, EIO, -EIO },
        { SOFT_RECEIVE, EHOSTUNREACH, -ECONNRESET },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct scene scene;
        char byte = 0;
        open_switched(&scene, true, 0x0304, true, true);
        scene.soft.refuse = cases[i].call;
        scene.soft.refusal = cases[i].error;
        for (int again = 0; again < 2; again++)
            assert_int_equal(cases[i].call == SOFT_SEND ? channel_write(scene.ours, &byte, 1)
                                                        : channel_read(scene.ours, &byte, 1),
                             cases[i].result);
        assert_string_not_equal(channel_reason(scene.ours), "");
        close_scene(&scene);
    }
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
        cmocka_unit_test(openssl_understands_each_direction_of_each_end_with_each_suite),
        cmocka_unit_test(both_directions_in_the_kernel_need_no_openssl),
        cmocka_unit_test(a_channel_that_retires_goes_on_in_the_kernel_with_each_suite),
        cmocka_unit_test(what_came_before_a_channel_retired_is_read_afterwards),
        cmocka_unit_test(a_channel_that_has_something_in_hand_does_not_retire),
        cmocka_unit_test(what_the_kernel_does_not_take_of_a_channel_that_retires_goes_past_openssl),
        cmocka_unit_test(what_only_openssl_can_do_without_the_kernel_does_not_retire_twice),
        cmocka_unit_test(a_channel_that_must_be_in_the_kernel_retires_nowhere_else),
        cmocka_unit_test(a_channel_whose_peer_has_gone_does_not_retire),
        cmocka_unit_test(a_channel_that_may_not_go_to_the_kernel_leaves_it_alone),
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
        cmocka_unit_test(reports_truncation_in_the_kernel_too),
        cmocka_unit_test(control_reads_close_notify_and_leaves_data_alone),
        cmocka_unit_test(a_corrupted_record_breaks_the_channel),
        cmocka_unit_test(names_the_alert_of_the_peer),
        cmocka_unit_test(an_alert_that_only_warns_ends_nothing_unless_it_comes_without_end),
        cmocka_unit_test(a_client_passes_over_tickets_however_they_are_packed),
        cmocka_unit_test(real_tickets_that_come_after_the_switch_are_passed_over),
        cmocka_unit_test(refuses_what_may_not_come_after_the_handshake),
        cmocka_unit_test(does_not_renegotiate),
        cmocka_unit_test(switches_with_the_key_that_a_key_update_left),
        cmocka_unit_test(an_answer_openssl_still_owes_leaves_before_the_switch),
        cmocka_unit_test(follows_a_key_update_where_the_kernel_can),
        cmocka_unit_test(a_key_update_the_kernel_cannot_follow_ends_the_session),
        cmocka_unit_test(openssls_answer_to_a_key_update_goes_through_the_kernel_that_sends),
        cmocka_unit_test(an_answer_that_cannot_leave_at_once_leaves_before_the_next_data),
        cmocka_unit_test(a_new_key_refused_after_its_announcement_ends_the_session),
        cmocka_unit_test(hasty_key_updates_end_the_session_in_the_kernel_too),
        cmocka_unit_test(openssls_alert_goes_through_the_kernel_that_sends),
        cmocka_unit_test(tells_the_errors_of_a_kernel_socket_apart),
        cmocka_unit_test(renews_a_worn_key_in_the_kernel),
        cmocka_unit_test(where_the_kernel_cannot_renew_it_a_key_wears_out),
        cmocka_unit_test(counts_what_a_pump_moved_by_itself),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
