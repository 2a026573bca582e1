// rooms: support ktls
/*
 * Channels on the kernel's own kTLS. Where this kernel has none every test is skipped, and says so: the same cases run
 * in tests/unit/channel_kernel*.c on kTLS in software.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ktls/probe.h"
#include "tests/support/tls_scene.h"

static struct ktls_abilities abilities;

static void need_ktls(void)
{
    if (abilities.ulp)
        return;
    print_message("skipped: %s\n", abilities.missing);
    skip();
}

/* Nothing stands between either end and Linux. */
static void open_on_linux(struct scene *scene, size_t suite, enum config_offload server, enum config_offload client)
{
    open_between(scene, true, &suites[suite], (struct scene_side){ server, NULL }, (struct scene_side){ client, NULL });
    exchange_heads(scene);
}

static void switch_both(struct channel *channel)
{
    assert_int_equal(channel_switch(channel, CHANNEL_TX, UINT64_MAX), 0);
    assert_int_equal(channel_switch(channel, CHANNEL_RX, UINT64_MAX), 0);
}

static void the_kernel_at_one_end_and_openssl_at_the_other_understand_each_other(void **state)
{
    (void)state;
    need_ktls();
    for (size_t i = 0; i < SUITES * 2; i++) {
        struct scene scene;
        char byte;
        open_between(&scene, i & 1, &suites[i / 2], (struct scene_side){ CONFIG_OFFLOAD_REQUIRED, NULL },
                     (struct scene_side){ CONFIG_OFFLOAD_OFF, NULL });
        exchange_heads(&scene);
        switch_both(scene.ours);
        carry_both_ways(&scene, 1000003);
        assert_int_equal(channel_close_notify(scene.ours), 0);
        assert_int_equal(channel_close_notify(scene.peer), 0);
        assert_int_equal(read_soon(scene.ours, &byte, 1), 0);
        assert_int_equal(read_soon(scene.peer, &byte, 1), 0);
        close_scene(&scene);
    }
}

static void the_kernel_at_both_ends_understands_itself(void **state)
{
    (void)state;
    need_ktls();
    for (size_t i = 0; i < SUITES; i++) {
        struct scene scene;
        open_on_linux(&scene, i, CONFIG_OFFLOAD_REQUIRED, CONFIG_OFFLOAD_REQUIRED);
        switch_both(scene.pair.server);
        switch_both(scene.pair.client);
        assert_int_equal(tls_carry(scene.pair.server, scene.pair.client, 1000003), 0);
        assert_int_equal(tls_carry(scene.pair.client, scene.pair.server, 1000003), 0);
        close_scene(&scene);
    }
}

static void tells_the_exact_sequence_when_asked(void **state)
{
    (void)state;
    need_ktls();
    for (size_t i = 0; i < SUITES; i++) {
        struct scene scene;
        open_on_linux(&scene, i, CONFIG_OFFLOAD_REQUIRED, CONFIG_OFFLOAD_REQUIRED);
        uint64_t before = scene.pair.server->way[CHANNEL_TX].sequence;
        switch_both(scene.pair.server);
        switch_both(scene.pair.client);
        for (uint64_t n = 1; n <= 5; n++)
            assert_int_equal(tls_carry(scene.pair.server, scene.pair.client, 1), 0);
        assert_int_equal(channel_ask_sequence(scene.pair.server, CHANNEL_TX), 0);
        assert_int_equal(channel_ask_sequence(scene.pair.client, CHANNEL_RX), 0);
        assert_int_equal(scene.pair.server->way[CHANNEL_TX].sequence, before + 5);
        assert_int_equal(scene.pair.client->way[CHANNEL_RX].sequence, before + 5);
        close_scene(&scene);
    }
}

static void the_socket_itself_takes_a_file(void **state)
{
    (void)state;
    need_ktls();
    struct scene scene;
    enum { SIZE = 300000 };
    static uint8_t bytes[SIZE], back[SIZE];
    FILE *file = tmpfile();
    off_t at = 0;

    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 300);
    assert_true(file && fwrite(bytes, 1, SIZE, file) == SIZE && fflush(file) == 0);
    open_on_linux(&scene, 0, CONFIG_OFFLOAD_REQUIRED, CONFIG_OFFLOAD_AUTO);
    assert_int_equal(channel_switch(scene.pair.server, CHANNEL_TX, SIZE), 0);
    while (at < SIZE)
        assert_true(sendfile(channel_fd(scene.pair.server), fileno(file), &at, (size_t)(SIZE - at)) > 0);
    assert_int_equal(channel_account(scene.pair.server, CHANNEL_TX, SIZE), 0);
    assert_int_equal(tls_read_all(scene.pair.client, back, SIZE), SIZE);
    assert_memory_equal(bytes, back, SIZE);
    fclose(file);
    close_scene(&scene);
}

static void control_records_stop_a_bare_recv_and_are_read_by_control(void **state)
{
    (void)state;
    need_ktls();
    struct scene scene;
    char bytes[16];
    open_on_linux(&scene, 0, CONFIG_OFFLOAD_OFF, CONFIG_OFFLOAD_REQUIRED);
    struct channel *client = scene.pair.client;
    switch_both(client);

    assert_int_equal(channel_control(client), -EAGAIN);
    assert_int_equal(tls_write_all(scene.pair.server, "data", 4), 4);
    assert_int_equal(channel_close_notify(scene.pair.server), 0);
    tls_wait(client);
    assert_int_equal(channel_control(client), 0); /* data first: left alone */
    assert_int_equal(recv(channel_fd(client), bytes, sizeof(bytes), 0), 4);
    assert_memory_equal(bytes, "data", 4);
    assert_int_equal(recv(channel_fd(client), bytes, sizeof(bytes), 0), -1);
    assert_int_equal(errno, EIO);
    assert_int_equal(channel_control(client), 1);
    assert_int_equal(channel_read(client, bytes, sizeof(bytes)), 0);
    close_scene(&scene);
}

static void tickets_after_the_switch_are_passed_over(void **state)
{
    (void)state;
    need_ktls();
    struct scene scene;
    open_between(&scene, true, &(struct scene_suite){ NULL, 0x0304 }, (struct scene_side){ CONFIG_OFFLOAD_OFF, NULL },
                 (struct scene_side){ CONFIG_OFFLOAD_REQUIRED, NULL });
    assert_int_equal(channel_switch(scene.pair.client, CHANNEL_RX, UINT64_MAX), 0);
    assert_int_equal(tls_carry(scene.pair.server, scene.pair.client, 100000), 0);
    assert_int_equal(scene.pair.client->messages, 2);
    close_scene(&scene);
}

static void reports_truncation_and_corruption(void **state)
{
    (void)state;
    need_ktls();
    struct scene scene;
    static const uint8_t forged[] = { 23, 3, 3, 0, 17, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17 };
    char byte;

    open_on_linux(&scene, 0, CONFIG_OFFLOAD_OFF, CONFIG_OFFLOAD_REQUIRED);
    switch_both(scene.pair.client);
    shutdown(channel_fd(scene.pair.server), SHUT_WR);
    assert_int_equal(read_soon(scene.pair.client, &byte, 1), -ENODATA);
    close_scene(&scene);

    open_on_linux(&scene, 0, CONFIG_OFFLOAD_OFF, CONFIG_OFFLOAD_REQUIRED);
    switch_both(scene.pair.client);
    assert_int_equal(send(channel_fd(scene.pair.server), forged, sizeof(forged), 0), sizeof(forged));
    assert_int_equal(read_soon(scene.pair.client, &byte, 1), -EPROTO);
    close_scene(&scene);
}

static void follow_key_updates(void)
{
    for (size_t i = 0; i < 8; i++) {
        struct scene scene;
        bool request = i & 4;
        open_on_linux(&scene, i & 3, CONFIG_OFFLOAD_REQUIRED, CONFIG_OFFLOAD_OFF);
        switch_both(scene.pair.server);
        for (int round = 0; round < 3; round++) {
            assert_int_equal(channel_renew_user(scene.pair.client, request), 0);
            assert_int_equal(tls_carry(scene.pair.client, scene.pair.server, 100000), 0);
            assert_int_equal(tls_carry(scene.pair.server, scene.pair.client, 100000), 0);
        }
        close_scene(&scene);
    }
}

static void renew_a_worn_key(void)
{
    struct scene scene;
    open_on_linux(&scene, 0, CONFIG_OFFLOAD_REQUIRED, CONFIG_OFFLOAD_OFF);
    switch_both(scene.pair.server);
    scene.pair.server->record_limit = 64;
    assert_int_equal(tls_carry(scene.pair.server, scene.pair.client, 300 * 16384), 0);
    assert_int_equal(channel_ask_sequence(scene.pair.server, CHANNEL_TX), 0);
    assert_true(scene.pair.server->way[CHANNEL_TX].sequence <= 64);
    assert_false(channel_worn(scene.pair.server));
    close_scene(&scene);
}

static void end_at_a_key_update(void)
{
    struct scene scene;
    char byte;
    open_on_linux(&scene, 0, CONFIG_OFFLOAD_REQUIRED, CONFIG_OFFLOAD_OFF);
    switch_both(scene.pair.server);
    assert_int_equal(channel_renew_user(scene.pair.client, false), 0);
    assert_int_equal(read_soon(scene.pair.server, &byte, 1), -EKEYEXPIRED);
    close_scene(&scene);
}

static void wear_a_key_out(void)
{
    struct scene scene;
    open_on_linux(&scene, 0, CONFIG_OFFLOAD_REQUIRED, CONFIG_OFFLOAD_OFF);
    switch_both(scene.pair.server);
    scene.pair.server->record_limit = 64;
    assert_int_equal(tls_carry(scene.pair.server, scene.pair.client, 40 * 16384), 0);
    assert_true(channel_worn(scene.pair.server));
    assert_int_equal(tls_carry(scene.pair.server, scene.pair.client, 100 * 16384), -EKEYEXPIRED);
    close_scene(&scene);
}

static void key_updates_are_followed_where_the_kernel_can_rekey_and_end_the_session_elsewhere(void **state)
{
    (void)state;
    need_ktls();
    if (abilities.rekey)
        follow_key_updates();
    else
        end_at_a_key_update();
}

static void a_worn_key_is_renewed_where_the_kernel_can_rekey_and_ends_the_session_elsewhere(void **state)
{
    (void)state;
    need_ktls();
    if (abilities.rekey)
        renew_a_worn_key();
    else
        wear_a_key_out();
}

static int prepare(void **state)
{
    ktls_probe(&ktls_sys_linux, &abilities);
    return group_setup(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_kernel_at_one_end_and_openssl_at_the_other_understand_each_other),
        cmocka_unit_test(the_kernel_at_both_ends_understands_itself),
        cmocka_unit_test(tells_the_exact_sequence_when_asked),
        cmocka_unit_test(the_socket_itself_takes_a_file),
        cmocka_unit_test(control_records_stop_a_bare_recv_and_are_read_by_control),
        cmocka_unit_test(tickets_after_the_switch_are_passed_over),
        cmocka_unit_test(reports_truncation_and_corruption),
        cmocka_unit_test(key_updates_are_followed_where_the_kernel_can_rekey_and_end_the_session_elsewhere),
        cmocka_unit_test(a_worn_key_is_renewed_where_the_kernel_can_rekey_and_ends_the_session_elsewhere),
    };
    return cmocka_run_group_tests(tests, prepare, group_teardown);
}
