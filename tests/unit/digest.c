// rooms: digest
#include "engine/digest/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define BOTH (1u << DIGEST_SHA_256 | 1u << DIGEST_SHA_512)

/* FIPS 180-2, appendices B.1 and C.1: "abc". */
static const char abc_256[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
static const char abc_512[] = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                              "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";

static int file_of(const void *bytes, size_t length)
{
    char path[] = "/tmp/sluice-digest-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    assert_int_equal(write(fd, bytes, length), length);
    return fd;
}

/* Bytes that differ from piece to piece. For free(). */
static char *bytes_of(size_t size)
{
    char *bytes = malloc(size);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(i * 31 + i / 4096);
    return bytes;
}

static void assert_hex(const struct digest_set *set, enum digest_algorithm algorithm, const char *expected)
{
    char hex[DIGEST_HEX_SIZE];
    assert_true(set->known & 1u << algorithm);
    digest_hex(&set->items[algorithm], hex);
    assert_string_equal(hex, expected);
}

static void both_algorithms_give_what_the_standard_says(void **state)
{
    struct digest_set set;
    int fd = file_of("abc", 3);
    (void)state;

    assert_int_equal(digest_file(fd, 3, BOTH, NULL, &set), 0);
    assert_hex(&set, DIGEST_SHA_256, abc_256);
    assert_hex(&set, DIGEST_SHA_512, abc_512);
    assert_int_equal(digest_file(fd, 3, 1u << DIGEST_SHA_512, NULL, &set), 0);
    assert_int_equal(set.known, 1u << DIGEST_SHA_512);
    close(fd);
}

static void an_empty_file_has_a_digest(void **state)
{
    struct digest_set set;
    int fd = file_of("", 0);
    (void)state;

    assert_int_equal(digest_file(fd, 0, 1u << DIGEST_SHA_256, NULL, &set), 0);
    assert_hex(&set, DIGEST_SHA_256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    close(fd);
}

static void a_file_that_is_shorter_is_told(void **state)
{
    struct digest_set set;
    int fd = file_of("abc", 3);
    (void)state;

    assert_int_equal(digest_file(fd, 4, BOTH, NULL, &set), -ENODATA);
    close(fd);
}

static void a_descriptor_that_cannot_be_read_is_told(void **state)
{
    struct digest_set set;
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    (void)state;

    assert_int_equal(digest_file(fd, 1, BOTH, NULL, &set), -EBADF);
    close(fd);
}

static void a_computation_can_be_stopped(void **state)
{
    atomic_bool stop = true;
    struct digest_set set;
    int fd = file_of("abc", 3);
    (void)state;

    assert_int_equal(digest_file(fd, 3, BOTH, &stop, &set), -ECANCELED);
    close(fd);
}

static void hex_is_read_back(void **state)
{
    struct digest digest;
    char hex[DIGEST_HEX_SIZE];
    (void)state;

    assert_int_equal(digest_from_hex(DIGEST_SHA_256, abc_256, &digest), 0);
    digest_hex(&digest, hex);
    assert_string_equal(hex, abc_256);
    assert_int_equal(digest_from_hex(DIGEST_SHA_512, abc_256, &digest), -EINVAL);
    assert_int_equal(digest_from_hex(DIGEST_SHA_256, abc_512, &digest), -EINVAL);
    char bad[sizeof abc_256];
    strcpy(bad, abc_256);
    bad[10] = 'g';
    assert_int_equal(digest_from_hex(DIGEST_SHA_256, bad, &digest), -EINVAL);
    bad[10] = 'A'; /* one spelling each */
    assert_int_equal(digest_from_hex(DIGEST_SHA_256, bad, &digest), -EINVAL);
}

static void sets_agree_only_where_all_they_share_is_the_same(void **state)
{
    struct digest_set a = { 0 }, b = { 0 };
    struct digest small = { .algorithm = DIGEST_SHA_256 }, large = { .algorithm = DIGEST_SHA_512 };
    (void)state;

    assert_false(digest_set_agree(&a, &b)); /* nothing in common */
    digest_set_add(&a, &small);
    digest_set_add(&b, &large);
    assert_false(digest_set_agree(&a, &b));
    digest_set_add(&a, &large);
    assert_true(digest_set_agree(&a, &b));
    small.bytes[31] = 1;
    digest_set_add(&b, &small);
    assert_false(digest_set_agree(&a, &b));
    assert_ptr_equal(digest_set_strongest(&a), &a.items[DIGEST_SHA_512]);
}

/* -- beside a transfer -- */

static void follows_a_file_that_is_being_written(void **state)
{
    const size_t size = (20u << 20) + 12345;
    char *bytes = bytes_of(size);
    struct digest_follow *follow;
    struct digest_set beside, after;
    int fd = file_of("", 0);
    (void)state;

    assert_int_equal(digest_follow_new(&follow, fd, BOTH, false), 0);
    for (size_t at = 0; at < size;) {
        size_t piece = size - at < 1000003 ? size - at : 1000003;
        assert_int_equal(pwrite(fd, bytes + at, piece, (off_t)at), piece);
        at += piece;
        digest_follow_reached(follow, at);
        digest_follow_reached(follow, at / 2); /* not back */
    }
    digest_follow_complete(follow, size);
    struct pollfd wait = { .fd = digest_follow_fd(follow), .events = POLLIN };
    assert_int_equal(poll(&wait, 1, 20000), 1);
    assert_int_equal(digest_follow_result(follow, &beside), 0);
    digest_follow_free(follow);
    assert_int_equal(digest_file(fd, size, BOTH, NULL, &after), 0);
    assert_true(digest_set_agree(&beside, &after));
    assert_int_equal(beside.known, BOTH);
    close(fd);
    free(bytes);
}

static void does_not_read_ahead_of_what_was_reached(void **state)
{
    const size_t size = 9u << 20;
    char *bytes = bytes_of(size);
    struct digest_follow *follow;
    struct digest_set beside, after;
    int fd = file_of("", 0);
    (void)state;

    /* The end of the file stands there first, and is wrong until it is reached. */
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    assert_int_equal(digest_follow_new(&follow, fd, 1u << DIGEST_SHA_256, false), 0);
    assert_int_equal(pwrite(fd, bytes, 5u << 20, 0), 5u << 20);
    digest_follow_reached(follow, 5u << 20);
    usleep(50000);
    assert_int_equal(pwrite(fd, bytes + (5u << 20), size - (5u << 20), 5 << 20), size - (5u << 20));
    digest_follow_complete(follow, size);
    assert_int_equal(digest_follow_result(follow, &beside), 0);
    digest_follow_free(follow);
    assert_int_equal(digest_file(fd, size, 1u << DIGEST_SHA_256, NULL, &after), 0);
    assert_true(digest_set_agree(&beside, &after));
    close(fd);
    free(bytes);
}

static void a_follower_tells_that_its_file_became_shorter(void **state)
{
    struct digest_follow *follow;
    struct digest_set set;
    int fd = file_of("abc", 3);
    (void)state;

    assert_int_equal(digest_follow_new(&follow, fd, BOTH, false), 0);
    digest_follow_complete(follow, 4);
    assert_int_equal(digest_follow_result(follow, &set), -ENODATA);
    assert_int_equal(set.known, 0);
    digest_follow_free(follow);
    close(fd);
}

static void a_follower_may_be_dropped_at_any_time(void **state)
{
    struct digest_follow *follow;
    char *bytes = bytes_of(8u << 20);
    int fd = file_of(bytes, 8u << 20);
    (void)state;

    for (int i = 0; i < 20; i++) {
        assert_int_equal(digest_follow_new(&follow, fd, BOTH, false), 0);
        if (i % 2)
            digest_follow_complete(follow, 8u << 20);
        usleep((unsigned)(i * 300));
        digest_follow_free(follow);
    }
    digest_follow_free(NULL);
    close(fd);
    free(bytes);
}

static void a_follower_needs_a_descriptor(void **state)
{
    struct digest_follow *follow;
    (void)state;

    assert_int_equal(digest_follow_new(&follow, -1, BOTH, false), -EBADF);
    assert_null(follow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_algorithms_give_what_the_standard_says),
        cmocka_unit_test(an_empty_file_has_a_digest),
        cmocka_unit_test(a_file_that_is_shorter_is_told),
        cmocka_unit_test(a_descriptor_that_cannot_be_read_is_told),
        cmocka_unit_test(a_computation_can_be_stopped),
        cmocka_unit_test(hex_is_read_back),
        cmocka_unit_test(sets_agree_only_where_all_they_share_is_the_same),
        cmocka_unit_test(follows_a_file_that_is_being_written),
        cmocka_unit_test(does_not_read_ahead_of_what_was_reached),
        cmocka_unit_test(a_follower_tells_that_its_file_became_shorter),
        cmocka_unit_test(a_follower_may_be_dropped_at_any_time),
        cmocka_unit_test(a_follower_needs_a_descriptor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
