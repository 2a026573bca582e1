// rooms: support ktls
/*
 * The short cut past OpenSSL's record layer, against an OpenSSL that goes all the way: a wrong key, nonce, type or
 * sequence number shows as a record that does not decrypt.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/support/cut_scene.h"

/* Ours has the short cut both ways; the peer where it is told to. */
static void open_cut(struct scene *scene, bool ours_is_server, bool peer_too)
{
    open_scene(scene, ours_is_server, &suites[0], CONFIG_OFFLOAD_OFF);
    for (enum channel_way way = CHANNEL_TX; way <= CHANNEL_RX; way++) {
        cut(scene->ours, way);
        if (peer_too)
            cut(scene->peer, way);
    }
}

/* ---- what it carries ---- */

static void openssl_understands_each_direction_of_each_end_with_each_suite(void **state)
{
    (void)state;
    for (size_t i = 0; i < CUT_SUITES * 4; i++) {
        struct scene scene;
        char byte;

        open_scene(&scene, i & 1, &suites[i / 4], CONFIG_OFFLOAD_OFF);
        cut(scene.ours, i & 2 ? CHANNEL_RX : CHANNEL_TX);
        carry_both_ways(&scene, LARGE + 12345);
        assert_int_equal(channel_switch(scene.ours, i & 2 ? CHANNEL_RX : CHANNEL_TX, LARGE), 1);
        carry_both_ways(&scene, 1);
        assert_int_equal(channel_close_notify(scene.ours), 0);
        assert_int_equal(channel_close_notify(scene.peer), 0);
        assert_int_equal(read_soon(scene.ours, &byte, 1), 0);
        assert_int_equal(read_soon(scene.peer, &byte, 1), 0);
        close_scene(&scene);
    }
}

static void both_directions_past_it_need_no_openssl(void **state)
{
    (void)state;
    for (int both = 0; both < 2; both++) {
        struct scene scene;
        char byte;

        open_cut(&scene, true, both);
        assert_null(scene.ours->ssl);
        carry_both_ways(&scene, LARGE);
        assert_true(channel_facts(scene.ours)->peer_verified);
        assert_false(channel_worn(scene.ours));
        channel_trim(scene.ours);
        channel_busy(scene.ours);
        channel_idle(scene.ours);
        carry_both_ways(&scene, 100);
        assert_int_equal(channel_close_notify(scene.ours), 0);
        assert_int_equal(read_soon(scene.peer, &byte, 1), 0);
        close_scene(&scene);
    }
}

static void what_is_small_or_of_another_kind_stays_with_openssl(void **state)
{
    (void)state;
    static const struct {
        const struct scene_suite *suite;
        uint64_t bytes;
    } cases[] = {
        { &suites[0], 100000 },
        { &suites[3], UINT64_MAX }, /* CCM */
        { &suites[4], UINT64_MAX }, /* TLS 1.2 */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct scene scene;
        open_scene(&scene, true, cases[i].suite, CONFIG_OFFLOAD_OFF);
        for (enum channel_way way = CHANNEL_TX; way <= CHANNEL_RX; way++) {
            assert_int_equal(channel_switch(scene.ours, way, cases[i].bytes), 1);
            assert_null(scene.ours->way[way].aead);
        }
        assert_non_null(scene.ours->ssl);
        carry_both_ways(&scene, LARGE);
        close_scene(&scene);
    }
}

static void a_small_body_first_does_not_bar_it_for_a_large_one(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, true, &suites[0], CONFIG_OFFLOAD_OFF);
    assert_int_equal(channel_switch(scene.ours, CHANNEL_TX, 1000), 1);
    carry_both_ways(&scene, 1000);
    cut(scene.ours, CHANNEL_TX);
    cut(scene.ours, CHANNEL_RX);
    carry_both_ways(&scene, LARGE);
    close_scene(&scene);
}

static void what_the_kernel_refuses_goes_past_openssl(void **state)
{
    (void)state;
    struct scene scene;
    open_scene(&scene, true, &suites[0], CONFIG_OFFLOAD_AUTO);
    scene.soft.refuse = SOFT_RX;
    scene.soft.refusal = EINVAL;
    assert_int_equal(channel_switch(scene.ours, CHANNEL_RX, LARGE), 1);
    assert_non_null(scene.ours->way[CHANNEL_RX].aead);
    assert_string_equal(channel_why(scene.ours, CHANNEL_RX), "user: this kernel's kTLS does not know the suite");
    assert_int_equal(channel_switch(scene.ours, CHANNEL_TX, LARGE), 0);
    assert_int_equal(channel_mode(scene.ours, CHANNEL_TX), CHANNEL_KERNEL);
    assert_int_equal(tls_carry(scene.peer, scene.ours, LARGE), 0);
    assert_int_equal(tls_carry(scene.ours, scene.peer, LARGE), 0);
    close_scene(&scene);
}

static void odd_pieces_of_the_socket_make_no_difference(void **state)
{
    (void)state;
    static const size_t pieces[] = { 1, 4, 6, 1000, 16406, 30000 };
    for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++) {
        struct scene scene;
        open_cut(&scene, i & 1, false);
        scene.soft.shorten = pieces[i];
        carry_both_ways(&scene, pieces[i] < 1000 ? 20000 : LARGE);
        close_scene(&scene);
    }
}

static void a_reader_with_little_room_gets_it_piece_by_piece(void **state)
{
    (void)state;
    struct scene scene;
    uint8_t sent[40000], got[40000];
    size_t have = 0;

    for (size_t i = 0; i < sizeof(sent); i++)
        sent[i] = (uint8_t)(i * 7 + i / 251);
    open_cut(&scene, true, false);
    assert_int_equal(tls_write_all(scene.peer, sent, sizeof(sent)), sizeof(sent));
    assert_false(channel_pending(scene.ours));
    while (have < sizeof(got)) {
        size_t room = have % 997 + 1 < sizeof(got) - have ? have % 997 + 1 : sizeof(got) - have;
        ssize_t part = read_soon(scene.ours, got + have, room);
        assert_true(part > 0 && (size_t)part <= room);
        have += (size_t)part;
        channel_trim(scene.ours);
    }
    assert_memory_equal(sent, got, sizeof(got));
    assert_false(channel_pending(scene.ours));
    close_scene(&scene);
}

static void padding_is_taken_off(void **state)
{
    (void)state;
    struct scene scene;
    open_cut(&scene, true, false);
    assert_int_equal(SSL_set_block_padding(scene.peer->ssl, 4096), 1);
    carry_both_ways(&scene, 70001);
    close_scene(&scene);
}

/* ---- where it begins ---- */

static void it_begins_where_a_record_does_and_loses_nothing(void **state)
{
    (void)state;
    struct scene scene;
    uint8_t bytes[100] = "0123456789";

    open_scene(&scene, true, &suites[0], CONFIG_OFFLOAD_OFF);
    send_two(scene.peer, bytes, 10, bytes, 100);
    assert_int_equal(read_soon(scene.ours, bytes, 4), 4);
    assert_int_equal(channel_switch(scene.ours, CHANNEL_RX, LARGE), -EAGAIN);
    assert_true(channel_pending(scene.ours));
    assert_int_equal(channel_read(scene.ours, bytes, 100), 6); /* one record only */
    cut(scene.ours, CHANNEL_RX);
    assert_true(channel_pending(scene.ours)); /* the second was read with the first */
    assert_int_equal(channel_read(scene.ours, bytes, 100), 100);
    assert_memory_equal(bytes, "0123456789", 10);
    carry_both_ways(&scene, LARGE);
    close_scene(&scene);
}

static void what_openssl_wrote_before_leaves_first(void **state)
{
    (void)state;
    struct scene scene;
    char head[4];

    open_scene(&scene, true, &suites[0], CONFIG_OFFLOAD_OFF);
    assert_int_equal(channel_write(scene.ours, "head", 4), 4);
    scene.soft.refuse = SOFT_SEND;
    scene.soft.refusal = EAGAIN;
    assert_int_equal(channel_switch(scene.ours, CHANNEL_TX, LARGE), -EAGAIN);
    scene.soft.refuse = SOFT_NONE;
    cut(scene.ours, CHANNEL_TX);
    assert_int_equal(tls_read_all(scene.peer, head, 4), 4);
    assert_memory_equal(head, "head", 4);
    carry_both_ways(&scene, LARGE);
    close_scene(&scene);
}

/* ---- what goes wrong ---- */

static void check_refusal_by(bool retired, const void *bytes, size_t size, const char *reason, const char *alert)
{
    struct scene scene;
    uint8_t room[64];

    if (retired)
        open_retired(&scene, true);
    else
        open_cut(&scene, true, false);
    assert_int_equal(send(channel_fd(scene.peer), bytes, size, 0), size);
    assert_int_equal(read_soon(scene.ours, room, sizeof(room)), -EPROTO);
    assert_non_null(strstr(channel_reason(scene.ours), reason));
    assert_int_equal(channel_read(scene.ours, room, sizeof(room)), -EPROTO);
    assert_int_equal(channel_write(scene.ours, room, 1), -EPROTO);
    assert_true(read_soon(scene.peer, room, sizeof(room)) < 0);
    assert_non_null(strstr(channel_reason(scene.peer), alert));
    close_scene(&scene);
}

static void check_refusal(const void *bytes, size_t size, const char *reason, const char *alert)
{
    check_refusal_by(false, bytes, size, reason, alert);
    check_refusal_by(true, bytes, size, reason, alert);
}

static void a_record_that_is_none_breaks_the_channel_and_the_peer_hears_why(void **state)
{
    (void)state;
    static const uint8_t forged[] = { 23, 3, 3, 0, 17, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17 };
    static const uint8_t in_clear[] = { 21, 3, 3, 0, 2, 1, 0 };
    static const uint8_t too_short[] = { 23, 3, 3, 0, 16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
    static const uint8_t too_long[] = { 23, 3, 3, 0x41, 0x01 };
    static const uint8_t empty[] = { 23, 3, 3, 0, 0 };

    check_refusal(forged, sizeof(forged), "did not decrypt", "bad_record_mac");
    check_refusal(in_clear, sizeof(in_clear), "not a TLS record", "unexpected_message");
    check_refusal(too_short, sizeof(too_short), "not a TLS record", "unexpected_message");
    check_refusal(empty, sizeof(empty), "not a TLS record", "unexpected_message");
    check_refusal(too_long, sizeof(too_long), "longer than TLS allows", "record_overflow");
}

static void truncation_is_told_from_an_end(void **state)
{
    (void)state;
    static const uint8_t half[] = { 23, 3, 3, 0, 17, 1, 2, 3 };
    for (size_t size = 0; size <= sizeof(half); size += 4) {
        struct scene scene;
        char byte;
        if (size == 4)
            open_retired(&scene, false);
        else
            open_cut(&scene, false, false);
        assert_int_equal(send(channel_fd(scene.peer), half, size, 0), size);
        shutdown(channel_fd(scene.peer), SHUT_WR);
        assert_int_equal(read_soon(scene.ours, &byte, 1), -ENODATA);
        assert_true(channel_failed_at_peer(scene.ours));
        close_scene(&scene);
    }
}

static void what_came_before_an_error_is_not_lost(void **state)
{
    (void)state;
    struct scene scene;
    char bytes[100];
    open_cut(&scene, false, false);
    assert_int_equal(tls_write_all(scene.peer, "data", 4), 4);
    scene.soft.refuse = SOFT_RECEIVE;
    scene.soft.refusal = ECONNRESET;
    scene.soft.spared = 1;
    struct pollfd there = { .fd = channel_fd(scene.ours), .events = POLLIN };
    assert_int_equal(poll(&there, 1, 10000), 1);
    assert_int_equal(channel_read(scene.ours, bytes, sizeof(bytes)), 4);
    assert_int_equal(channel_read(scene.ours, bytes, sizeof(bytes)), -ECONNRESET);
    close_scene(&scene);
}

static void a_socket_that_breaks_while_sending_is_reported(void **state)
{
    (void)state;
    struct scene scene;
    static uint8_t bytes[LARGE];
    open_cut(&scene, true, false);
    scene.soft.refuse = SOFT_SEND;
    scene.soft.refusal = EPIPE;
    assert_int_equal(tls_write_all(scene.ours, bytes, sizeof(bytes)), -ECONNRESET);
    close_scene(&scene);
}

static void records_without_a_byte_come_to_an_end(void **state)
{
    (void)state;
    struct scene scene;
    char bytes[4];
    open_cut(&scene, true, true);
    for (int i = 0; i < 32; i++)
        assert_int_equal(channel_send_control(scene.peer, RECORD_DATA, "", 0), 0);
    assert_int_equal(tls_write_all(scene.peer, "data", 4), 4);
    assert_int_equal(read_soon(scene.ours, bytes, 4), 4);
    for (int i = 0; i < 33; i++)
        assert_int_equal(channel_send_control(scene.peer, RECORD_DATA, "", 0), 0);
    assert_int_equal(read_soon(scene.ours, bytes, 4), -EPROTO);
    close_scene(&scene);
}

/* ---- control records ---- */

static void names_the_alert_of_the_peer(void **state)
{
    (void)state;
    struct scene scene;
    char byte;
    open_cut(&scene, true, true);
    assert_int_equal(channel_send_control(scene.peer, RECORD_ALERT, (const uint8_t[]){ 2, 80 }, 2), 0);
    assert_int_equal(read_soon(scene.ours, &byte, 1), -EPROTO);
    assert_string_equal(channel_reason(scene.ours), "the peer ended the session: alert internal_error (80)");
    close_scene(&scene);
}

static void a_record_of_an_unknown_type_is_refused(void **state)
{
    (void)state;
    struct scene scene;
    char byte;
    open_cut(&scene, true, true);
    assert_int_equal(channel_send_control(scene.peer, 99, "x", 1), 0);
    assert_int_equal(read_soon(scene.ours, &byte, 1), -EPROTO);
    assert_int_equal(read_soon(scene.peer, &byte, 1), -EPROTO);
    assert_non_null(strstr(channel_reason(scene.peer), "unexpected_message"));
    close_scene(&scene);
}

static void follows_a_key_update_of_openssl_and_answers_it(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2 * 3; i++) {
        bool requested = i & 1;
        struct scene scene;
        open_scene(&scene, i & 2, &suites[0], CONFIG_OFFLOAD_OFF);
        if (i / 2 != 0)
            cut(scene.ours, CHANNEL_RX);
        if (i / 2 != 1)
            cut(scene.ours, CHANNEL_TX);
        for (int round = 0; round < 3; round++) {
            assert_int_equal(channel_renew_user(scene.peer, requested), 0);
            carry_both_ways(&scene, 300000);
            carry_both_ways(&scene, 1);
        }
        close_scene(&scene);
    }
}

static void renews_its_key_before_that_is_used_up(void **state)
{
    (void)state;
    for (int way = 0; way < 2; way++) {
        struct scene scene;
        open_scene(&scene, true, &suites[0], CONFIG_OFFLOAD_OFF);
        scene.ours->record_limit = 64;
        cut(scene.ours, way == 0 ? CHANNEL_TX : CHANNEL_RX);
        for (int i = 0; i < 40; i++)
            carry_both_ways(&scene, 100000); /* 7 records each way */
        assert_false(channel_worn(scene.ours));
        cut(scene.ours, way == 0 ? CHANNEL_RX : CHANNEL_TX);
        for (int i = 0; i < 40; i++)
            carry_both_ways(&scene, 100000);
        assert_true(scene.ours->way[CHANNEL_TX].sequence < 64 && scene.ours->way[CHANNEL_RX].sequence < 64);
        close_scene(&scene);
    }
}

static void a_key_that_the_peer_does_not_renew_ends_the_session(void **state)
{
    (void)state;
    struct scene scene;
    static uint8_t bytes[LARGE];
    ssize_t got;
    open_cut(&scene, true, true);
    scene.ours->record_limit = 64;
    scene.ours->peer_asked = true; /* and it never answered */
    assert_true(tls_write_all(scene.peer, bytes, 64 * 16384) > 0);
    do
        got = read_soon(scene.ours, bytes, sizeof(bytes));
    while (got > 0);
    assert_int_equal(got, -EKEYEXPIRED);
    close_scene(&scene);
}

/* ---- one record ---- */

static void a_record_opens_once_in_its_place_and_whole(void **state)
{
    (void)state;
    static const size_t sizes[] = { 0, 1, 15, 16, 17, 1000, 16383, 16384 };
    struct ktls_keys keys = { .key = { 1, 2, 3 }, .nonce = { 4, 5, 6 }, .sequence = UINT32_MAX };
    static uint8_t plain[16384], back[16384], record[16384 + AEAD_OVERHEAD];

    for (size_t s = 0; s < CUT_SUITES; s++) {
        static const int nids[] = { NID_aes_128_gcm, NID_aes_256_gcm, NID_chacha20_poly1305 };
        const struct ktls_suite *suite = ktls_suite_by_nid(nids[s]);
        struct aead *seals = aead_new(suite, &keys, true), *opens = aead_new(suite, &keys, false);
        assert_non_null(seals);
        assert_non_null(opens);
        for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
            uint8_t type;
            size_t length = sizes[i] + AEAD_OVERHEAD;
            memset(plain, (int)i + 1, sizes[i]);
            aead_rest(seals); /* which changes nothing that could be seen */
            if (i & 1)
                aead_rest(opens);
            assert_int_equal(aead_seal(seals, 23, plain, sizes[i], record), length);
            for (size_t at = 0; at < length; at += at < 6 || at + 20 > length ? 1 : 97) {
                record[at] ^= 4;
                ssize_t got = aead_open(opens, record, length, back, &type);
                assert_true(got == -EBADMSG || (at == 0 && got == -EINVAL));
                assert_int_equal(type, 0);
                record[at] ^= 4;
            }
            assert_int_equal(aead_open(opens, record, length, back, &type), sizes[i]);
            assert_int_equal(type, 23);
            if (sizes[i] > 0)
                assert_memory_equal(plain, back, sizes[i]);
            assert_int_equal(aead_open(opens, record, length, back, &type), -EBADMSG); /* a second time */
        }
        assert_true(aead_sequence(seals) == aead_sequence(opens));
        assert_true(aead_sequence(seals) == UINT32_MAX + sizeof(sizes) / sizeof(*sizes));
        assert_int_equal(aead_seal(seals, 23, plain, 16385, record), -EIO);
        aead_free(seals);
        aead_free(opens);
    }
    aead_free(NULL);
    assert_null(aead_new(ktls_suite_by_nid(NID_aes_128_ccm), &keys, true));
}

static void padding_without_content_and_overlong_content_are_refused(void **state)
{
    (void)state;
    struct ktls_keys keys = { .key = { 1, 2, 3 }, .nonce = { 4, 5, 6 } };
    const struct ktls_suite *suite = ktls_suite_by_nid(NID_aes_128_gcm);
    struct aead *seals = aead_new(suite, &keys, true), *opens = aead_new(suite, &keys, false);
    static uint8_t zeros[1000], back[16384], record[16385 + AEAD_OVERHEAD];
    uint8_t type;

    assert_int_equal(aead_seal(seals, 0, zeros, 1000, record), 1000 + AEAD_OVERHEAD);
    assert_int_equal(aead_open(opens, record, 1000 + AEAD_OVERHEAD, back, &type), -EINVAL);
    record[0] = 23;
    assert_int_equal(aead_open(opens, record, 16385 + AEAD_OVERHEAD, back, &type), -EMSGSIZE);
    assert_int_equal(aead_open(opens, record, AEAD_OVERHEAD - 1, back, &type), -EINVAL);
    zeros[0] = 7;
    assert_int_equal(aead_seal(seals, 0, zeros, 1000, record), 1000 + AEAD_OVERHEAD);
    assert_int_equal(aead_open(opens, record, 1000 + AEAD_OVERHEAD, back, &type), 0);
    assert_int_equal(type, 7);
    aead_free(seals);
    aead_free(opens);
}

static void there_is_no_record_after_the_last_number(void **state)
{
    (void)state;
    struct ktls_keys keys = { .key = { 1, 2, 3 }, .nonce = { 4, 5, 6 }, .sequence = UINT64_MAX - 1 };
    const struct ktls_suite *suite = ktls_suite_by_nid(NID_aes_128_gcm);
    struct aead *seals = aead_new(suite, &keys, true), *opens = aead_new(suite, &keys, false);
    uint8_t back[8], record[8 + AEAD_OVERHEAD], type;

    assert_int_equal(aead_seal(seals, 23, "last", 4, record), 4 + AEAD_OVERHEAD);
    assert_int_equal(aead_open(opens, record, 4 + AEAD_OVERHEAD, back, &type), 4);
    aead_rest(seals);
    aead_rest(opens);
    assert_int_equal(aead_seal(seals, 23, "more", 4, record), -EIO);
    assert_int_equal(aead_open(opens, record, 4 + AEAD_OVERHEAD, back, &type), -EMSGSIZE);
    assert_true(aead_sequence(seals) == UINT64_MAX && aead_sequence(opens) == UINT64_MAX);
    aead_free(seals);
    aead_free(opens);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openssl_understands_each_direction_of_each_end_with_each_suite),
        cmocka_unit_test(both_directions_past_it_need_no_openssl),
        cmocka_unit_test(what_is_small_or_of_another_kind_stays_with_openssl),
        cmocka_unit_test(a_small_body_first_does_not_bar_it_for_a_large_one),
        cmocka_unit_test(what_the_kernel_refuses_goes_past_openssl),
        cmocka_unit_test(odd_pieces_of_the_socket_make_no_difference),
        cmocka_unit_test(a_reader_with_little_room_gets_it_piece_by_piece),
        cmocka_unit_test(padding_is_taken_off),
        cmocka_unit_test(it_begins_where_a_record_does_and_loses_nothing),
        cmocka_unit_test(what_openssl_wrote_before_leaves_first),
        cmocka_unit_test(a_record_that_is_none_breaks_the_channel_and_the_peer_hears_why),
        cmocka_unit_test(truncation_is_told_from_an_end),
        cmocka_unit_test(what_came_before_an_error_is_not_lost),
        cmocka_unit_test(a_socket_that_breaks_while_sending_is_reported),
        cmocka_unit_test(records_without_a_byte_come_to_an_end),
        cmocka_unit_test(names_the_alert_of_the_peer),
        cmocka_unit_test(a_record_of_an_unknown_type_is_refused),
        cmocka_unit_test(follows_a_key_update_of_openssl_and_answers_it),
        cmocka_unit_test(renews_its_key_before_that_is_used_up),
        cmocka_unit_test(a_key_that_the_peer_does_not_renew_ends_the_session),
        cmocka_unit_test(a_record_opens_once_in_its_place_and_whole),
        cmocka_unit_test(padding_without_content_and_overlong_content_are_refused),
        cmocka_unit_test(there_is_no_record_after_the_last_number),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
