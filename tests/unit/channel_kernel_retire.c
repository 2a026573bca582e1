// rooms: support ktls
/*
 * A channel that retires into a kernel, which is kTLS in software (tests/support/soft_ktls.h). Where there is none:
 * channel_retire.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "tests/support/tls_scene.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_channel_that_retires_goes_on_in_the_kernel_with_each_suite),
        cmocka_unit_test(what_came_before_a_channel_retired_is_read_afterwards),
        cmocka_unit_test(a_channel_that_has_something_in_hand_does_not_retire),
        cmocka_unit_test(what_the_kernel_does_not_take_of_a_channel_that_retires_goes_past_openssl),
        cmocka_unit_test(what_only_openssl_can_do_without_the_kernel_does_not_retire_twice),
        cmocka_unit_test(a_channel_that_must_be_in_the_kernel_retires_nowhere_else),
        cmocka_unit_test(a_channel_whose_peer_has_gone_does_not_retire),
        cmocka_unit_test(a_channel_that_may_not_go_to_the_kernel_leaves_it_alone),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
