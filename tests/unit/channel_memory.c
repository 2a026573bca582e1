// rooms: support ktls
/*
 * Past OpenSSL's record layer an idle channel keeps two keys, and the next record wakes the cipher of one again: here
 * there is no memory for that, nor for a new one. The memory is OpenSSL's, which in this program takes its blocks from
 * us (CRYPTO_set_mem_functions()), so each of them can be the first that it does not get.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/crypto.h>
#include <openssl/err.h>

#include "tests/support/cut_scene.h"

static struct {
    bool is_scarce;
    unsigned left;    /* blocks that are given all the same */
    unsigned refused; /* since it is scarce */
    size_t blocks;    /* that OpenSSL has */
} memory;

static bool may_have_one(void)
{
    if (!memory.is_scarce)
        return true;
    if (memory.left == 0) {
        memory.refused++;
        return false;
    }
    memory.left--;
    return true;
}

static void *take_block(size_t size, const char *file, int line)
{
    (void)file, (void)line;
    void *block = may_have_one() ? malloc(size) : NULL;
    memory.blocks += block != NULL;
    return block;
}

static void return_block(void *block, const char *file, int line)
{
    (void)file, (void)line;
    memory.blocks -= block != NULL;
    free(block);
}

static void *resize_block(void *block, size_t size, const char *file, int line)
{
    if (!block)
        return take_block(size, file, line);
    if (size > 0)
        return may_have_one() ? realloc(block, size) : NULL;
    return_block(block, file, line);
    return NULL;
}

static void make_scarce(unsigned left)
{
    memory.left = left;
    memory.refused = 0;
    memory.is_scarce = true;
}

/* What was refused meanwhile. */
static unsigned make_plenty(void)
{
    memory.is_scarce = false;
    return memory.refused;
}

/* ---- one record ---- */

/* Makes a record and opens it, each with so many blocks; and where they are too few, with all. False: they were not. */
static bool pass_one(struct aead *seals, struct aead *opens, unsigned left)
{
    uint8_t record[4 + AEAD_OVERHEAD], back[4], type;
    uint64_t sequence = aead_sequence(seals);
    unsigned refused = 0;

    aead_rest(seals);
    make_scarce(left);
    ssize_t length = aead_seal(seals, RECORD_DATA, "data", 4, record);
    refused += make_plenty();
    if (length < 0) {
        assert_int_equal(length, -ENOMEM);
        assert_true(refused > 0 && aead_sequence(seals) == sequence);
        length = aead_seal(seals, RECORD_DATA, "data", 4, record);
    }
    assert_int_equal(length, sizeof(record));

    aead_rest(opens);
    make_scarce(left);
    ssize_t got = aead_open(opens, record, sizeof(record), back, &type);
    refused += make_plenty();
    if (got < 0) {
        assert_int_equal(got, -ENOMEM);
        assert_int_equal(type, 0);
        assert_true(refused > 0 && aead_sequence(opens) == sequence);
        got = aead_open(opens, record, sizeof(record), back, &type);
    }
    assert_int_equal(got, 4);
    assert_memory_equal(back, "data", 4);
    return refused > 0;
}

static void a_cipher_that_could_not_be_woken_is_woken_later_and_has_lost_nothing(void **state)
{
    (void)state;
    static const int nids[CUT_SUITES] = { NID_aes_128_gcm, NID_aes_256_gcm, NID_chacha20_poly1305 };
    struct ktls_keys keys = { .key = { 1, 2, 3 }, .nonce = { 4, 5, 6 } };
    size_t blocks[2];

    for (size_t i = 0; i < CUT_SUITES; i++) {
        for (size_t round = 0; round < 2; round++) {
            const struct ktls_suite *suite = ktls_suite_by_nid(nids[i]);
            struct aead *seals = aead_new(suite, &keys, true), *opens = aead_new(suite, &keys, false);
            unsigned left = 0;
            assert_true(seals && opens);
            while (pass_one(seals, opens, left))
                left++;
            assert_true(left >= 2); /* its own context and the provider's */
            aead_free(seals);
            aead_free(opens);
            ERR_clear_error();
            blocks[round] = memory.blocks;
        }
        assert_int_equal(blocks[0], blocks[1]); /* what the first round brought along stays, and no more */
    }
}

/* ---- a channel ---- */

static void check_sentence(const struct scene *scene, const char *sentence)
{
    assert_non_null(strstr(channel_reason(scene->ours), sentence));
    assert_false(channel_failed_at_peer(scene->ours));
}

static void a_record_that_cannot_be_sealed_ends_the_channel_and_nothing_of_it_is_sent(void **state)
{
    (void)state;
    unsigned refused, left = 0;
    do {
        struct scene scene;
        char byte;
        open_retired(&scene, left % 2);
        make_scarce(left++);
        ssize_t sent = channel_write(scene.ours, "data", 4);
        refused = make_plenty();
        assert_int_equal(sent, refused > 0 ? -ENOMEM : 4);
        if (refused > 0) {
            check_sentence(&scene, "OpenSSL could not encrypt a record: Cannot allocate memory");
            assert_int_equal(channel_write(scene.ours, "data", 4), -ENOMEM);
            assert_int_equal(channel_read(scene.ours, &byte, 1), -ENOMEM);
            assert_int_equal(channel_close_notify(scene.ours), -ENOMEM);
            shutdown(channel_fd(scene.ours), SHUT_WR);
            assert_int_equal(read_soon(scene.peer, &byte, 1), -ENODATA);
        }
        close_scene(&scene);
    } while (refused > 0);
    assert_true(left > 2);
}

/* The reader has room for the whole record, or it is opened aside. */
static void read_with_too_few_blocks(size_t room)
{
    unsigned refused, left = 0;
    do {
        struct scene scene;
        char bytes[64];
        open_retired(&scene, left % 2);
        assert_int_equal(tls_write_all(scene.peer, "data", 4), 4);
        make_scarce(left++);
        ssize_t got = read_soon(scene.ours, bytes, room);
        refused = make_plenty();
        assert_int_equal(got, refused > 0 ? -ENOMEM : room < 4 ? (ssize_t)room : 4);
        if (refused > 0) {
            check_sentence(&scene, "memory");
            assert_int_equal(channel_read(scene.ours, bytes, room), -ENOMEM);
        }
        channel_idle(scene.ours);
        close_scene(&scene);
    } while (refused > 0);
    assert_true(left > 2);
}

static void a_record_that_cannot_be_opened_ends_reading(void **state)
{
    (void)state;
    read_with_too_few_blocks(64);
    read_with_too_few_blocks(1);
}

static void who_could_not_read_can_still_answer(void **state)
{
    (void)state;
    struct scene scene;
    char bytes[8];
    open_retired(&scene, true);
    assert_int_equal(tls_write_all(scene.peer, "data", 4), 4);
    make_scarce(0);
    ssize_t got = read_soon(scene.ours, bytes, sizeof(bytes));
    assert_true(make_plenty() > 0);
    assert_int_equal(got, -ENOMEM);
    assert_string_equal(channel_reason(scene.ours), "receiving failed: Cannot allocate memory");
    assert_int_equal(tls_write_all(scene.ours, "answer", 6), 6);
    assert_int_equal(channel_close_notify(scene.ours), 0);
    assert_int_equal(tls_read_all(scene.peer, bytes, sizeof(bytes)), 6);
    assert_memory_equal(bytes, "answer", 6);
    close_scene(&scene);
}

static void a_close_notify_that_cannot_be_sealed_is_reported(void **state)
{
    (void)state;
    struct scene scene;
    open_retired(&scene, false);
    make_scarce(0);
    int result = channel_close_notify(scene.ours);
    assert_true(make_plenty() > 0);
    assert_int_equal(result, -ENOMEM);
    check_sentence(&scene, "sending failed: Cannot allocate memory");
    assert_int_equal(channel_close_notify(scene.ours), -ENOMEM);
    close_scene(&scene);
}

static void an_alert_that_cannot_be_sealed_hides_nothing_of_what_it_is_about(void **state)
{
    (void)state;
    static const uint8_t forged[] = { 23, 3, 3, 0, 17, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17 };
    struct scene scene;
    char byte;
    open_retired(&scene, true);
    assert_int_equal(tls_carry(scene.peer, scene.ours, 1), 0); /* wakes the one that opens */
    assert_int_equal(send(channel_fd(scene.peer), forged, sizeof(forged), 0), sizeof(forged));
    make_scarce(0);
    ssize_t got = read_soon(scene.ours, &byte, 1);
    assert_true(make_plenty() > 0);
    assert_int_equal(got, -EPROTO);
    assert_string_equal(channel_reason(scene.ours), "a record from the peer did not decrypt");
    close_scene(&scene);
}

/* ---- a new cipher ---- */

/* The peer's KeyUpdate, and a record behind it. What is left of the blocks then stands in `memory`. */
static ssize_t read_update(struct scene *scene, bool ours_is_server, unsigned left)
{
    char byte;
    open_retired(scene, ours_is_server);
    assert_int_equal(channel_renew_user(scene->peer, false), 0);
    assert_int_equal(tls_write_all(scene->peer, "x", 1), 1);
    make_scarce(left);
    ssize_t got = read_soon(scene->ours, &byte, 1);
    (void)make_plenty();
    return got;
}

static void a_key_update_whose_cipher_gets_no_memory_ends_the_session(void **state)
{
    (void)state;
    struct scene scene;
    unsigned wanted = 0;
    for (int round = 0; round < 2; round++) { /* the first finds what OpenSSL keeps from then on */
        assert_int_equal(read_update(&scene, round, UINT_MAX), 1);
        wanted = UINT_MAX - memory.left;
        carry_both_ways(&scene, 1000);
        close_scene(&scene);
    }
    assert_true(wanted > 2);
    for (unsigned left = wanted - 2; left < wanted; left++) { /* the cipher's are the last */
        char byte;
        assert_int_equal(read_update(&scene, left % 2, left), -ENOMEM);
        check_sentence(&scene, "the key that follows a KeyUpdate could not be made: Cannot allocate memory");
        assert_int_equal(channel_read(scene.ours, &byte, 1), -ENOMEM);
        close_scene(&scene);
    }
}

static int switch_with(struct scene *scene, enum channel_way way, unsigned left)
{
    open_scene(scene, true, &suites[0], CONFIG_OFFLOAD_OFF);
    make_scarce(left);
    int result = channel_switch(scene->ours, way, LARGE);
    (void)make_plenty();
    return result;
}

static void a_body_whose_cipher_gets_no_memory_stays_with_openssl(void **state)
{
    (void)state;
    for (enum channel_way way = CHANNEL_TX; way <= CHANNEL_RX; way++) {
        struct scene scene;
        unsigned wanted = 0;
        for (int round = 0; round < 2; round++) {
            assert_int_equal(switch_with(&scene, way, UINT_MAX), 1);
            wanted = UINT_MAX - memory.left;
            assert_non_null(scene.ours->way[way].aead);
            close_scene(&scene);
        }
        assert_true(wanted > 2);
        for (unsigned left = wanted - 2; left < wanted; left++) {
            assert_int_equal(switch_with(&scene, way, left), 1);
            assert_null(scene.ours->way[way].aead);
            assert_string_equal(channel_reason(scene.ours), "");
            carry_both_ways(&scene, LARGE);
            cut(scene.ours, way); /* the next body finds memory again */
            carry_both_ways(&scene, LARGE);
            close_scene(&scene);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cipher_that_could_not_be_woken_is_woken_later_and_has_lost_nothing),
        cmocka_unit_test(a_record_that_cannot_be_sealed_ends_the_channel_and_nothing_of_it_is_sent),
        cmocka_unit_test(a_record_that_cannot_be_opened_ends_reading),
        cmocka_unit_test(who_could_not_read_can_still_answer),
        cmocka_unit_test(a_close_notify_that_cannot_be_sealed_is_reported),
        cmocka_unit_test(an_alert_that_cannot_be_sealed_hides_nothing_of_what_it_is_about),
        cmocka_unit_test(a_key_update_whose_cipher_gets_no_memory_ends_the_session),
        cmocka_unit_test(a_body_whose_cipher_gets_no_memory_stays_with_openssl),
    };

    if (CRYPTO_set_mem_functions(take_block, resize_block, return_block) != 1) {
        fprintf(stderr, "channel_memory: OpenSSL took memory before main()\n");
        return 1;
    }
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
