// rooms: support ktls
/*
 * What a channel in the kernel hears besides data, and what it says of it: the end of the stream, alerts, tickets, what
 * may not come, a socket that breaks. The kernel is kTLS in software (tests/support/soft_ktls.h).
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

#include "tests/support/tls_scene.h"

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

/* ---- what goes wrong ---- */

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reports_truncation_in_the_kernel_too),
        cmocka_unit_test(control_reads_close_notify_and_leaves_data_alone),
        cmocka_unit_test(a_corrupted_record_breaks_the_channel),
        cmocka_unit_test(openssls_alert_goes_through_the_kernel_that_sends),
        cmocka_unit_test(tells_the_errors_of_a_kernel_socket_apart),
        cmocka_unit_test(names_the_alert_of_the_peer),
        cmocka_unit_test(an_alert_that_only_warns_ends_nothing_unless_it_comes_without_end),
        cmocka_unit_test(a_client_passes_over_tickets_however_they_are_packed),
        cmocka_unit_test(real_tickets_that_come_after_the_switch_are_passed_over),
        cmocka_unit_test(refuses_what_may_not_come_after_the_handshake),
        cmocka_unit_test(does_not_renegotiate),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
