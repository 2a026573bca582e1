// rooms: digest
#include "engine/digest/crew.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "engine/disk/cache.h"
#include "engine/disk/direct_file.h"

#define MIB (UINT64_C(1) << 20)
#define SHA_256 (1u << DIGEST_SHA_256)
#define BOTH (1u << DIGEST_SHA_256 | 1u << DIGEST_SHA_512)

/* A file without a name, of bytes that tell where they stand. */
static int make_file(uint64_t size)
{
    char path[] = "/tmp/sluice-crew-XXXXXX", *piece = malloc(MIB);
    int fd = mkostemp(path, O_CLOEXEC);

    assert_true(fd >= 0 && piece);
    unlink(path);
    for (uint64_t at = 0; at < size; at += MIB) {
        for (size_t i = 0; i < MIB; i++)
            piece[i] = (char)((at + i) * 31 >> 3);
        assert_int_equal(pwrite(fd, piece, MIB, (off_t)at), MIB);
    }
    free(piece);
    return fd;
}

static struct digest_crew *crew_of(unsigned threads)
{
    struct digest_crew *crew;

    assert_int_equal(digest_crew_new(&crew, threads, "test", 1), 0);
    return crew;
}

/* Takes it over, reads the rest, and compares. Returns how far it had come. */
static uint64_t finish(struct digest_front *front, int fd, uint64_t size, unsigned algorithms)
{
    struct digest_set found, right;
    struct digest_run *run;
    uint64_t at;

    assert_int_equal(digest_front_algorithms(front), algorithms);
    assert_int_equal(digest_front_take(front, &run, &at), 0);
    assert_true(at <= size);
    assert_int_equal(digest_run_finish(run, fd, at, size, true, NULL, &found), 0);
    digest_run_free(run);
    assert_int_equal(digest_file(fd, size, algorithms, NULL, &right), 0);
    assert_int_equal(found.known, algorithms);
    assert_true(digest_set_agree(&found, &right));
    return at;
}

static void reads_ahead_as_far_as_it_is_told_and_no_further(void **state)
{
    (void)state;
    struct digest_crew *crew = crew_of(2);
    int fd = make_file(8 * MIB);
    uint64_t came = 0;

    /* However slow the machine: some day a thread has had its turn. */
    for (useconds_t patience = 1000; came == 0; patience *= 2) {
        struct digest_front *front;
        assert_true(patience < 60u * 1000 * 1000);
        assert_int_equal(digest_front_new(&front, crew, fd, BOTH), 0);
        digest_front_reached(front, 5 * MIB);
        digest_front_reached(front, 2 * MIB); /* is passed over */
        usleep(patience);
        came = finish(front, fd, 8 * MIB, BOTH);
        assert_true(came <= 5 * MIB);
    }
    close(fd);
    digest_crew_free(crew);
}

static void a_little_is_not_begun_with(void **state)
{
    (void)state;
    struct digest_crew *crew = crew_of(1);
    struct digest_front *front;
    int fd = make_file(MIB);

    assert_int_equal(digest_front_new(&front, crew, fd, SHA_256), 0);
    digest_front_reached(front, 1000);
    usleep(20000);
    assert_int_equal(finish(front, fd, MIB, SHA_256), 0);
    close(fd);
    digest_crew_free(crew);
}

static void a_file_that_is_shorter_than_was_said_is_an_error(void **state)
{
    (void)state;
    struct digest_crew *crew = crew_of(1);
    int fd = make_file(2 * MIB), error = 0;

    for (useconds_t patience = 1000; error == 0; patience *= 2) {
        struct digest_front *front;
        struct digest_run *run;
        uint64_t at;
        assert_true(patience < 60u * 1000 * 1000);
        assert_int_equal(digest_front_new(&front, crew, fd, SHA_256), 0);
        digest_front_reached(front, 4 * MIB);
        digest_front_reached(front, 5 * MIB);
        usleep(patience);
        error = digest_front_take(front, &run, &at);
        digest_run_free(run);
    }
    assert_int_equal(error, -ENODATA);
    close(fd);
    digest_crew_free(crew);
}

static void what_is_dropped_is_not_waited_for(void **state)
{
    (void)state;
    struct digest_crew *crew = crew_of(2);
    int fd = make_file(32 * MIB);

    for (unsigned i = 0; i < 200; i++) {
        struct digest_front *front;
        assert_int_equal(digest_front_new(&front, crew, fd, SHA_256), 0);
        digest_front_reached(front, 32 * MIB);
        if (i % 3 == 0)
            usleep(500);
        digest_front_drop(front);
    }
    digest_front_drop(NULL);
    close(fd);
    digest_crew_free(crew);
    digest_crew_free(NULL);
}

/* Of what is in the page cache already nothing is dropped; of what is not, nothing is brought in. */
static void a_file_that_arrives_leaves_the_page_cache_as_it_is(void **state)
{
    (void)state;
    char path[] = "/var/tmp/sluice-crew-XXXXXX", *bytes = calloc(1, 6 * MIB);
    int fd = mkostemp(path, O_CLOEXEC);
    struct digest_crew *crew = crew_of(1);
    struct direct_file direct;
    struct digest_front *front;
    struct digest_set found, right;
    struct digest_run *run;
    uint64_t at;

    assert_true(fd >= 0 && bytes);
    unlink(path);
    assert_int_equal(write(fd, bytes, 6 * MIB), 6 * MIB);
    assert_int_equal(fsync(fd), 0);
    posix_fadvise(fd, 0, 4 * MIB, POSIX_FADV_DONTNEED);
    bool is_to_be_seen =
        cache_holds_untouched(fd, 0, 1) == CACHED_NO && !cache_is_home(fd) && !direct_open(&direct, fd, O_RDONLY);
    if (is_to_be_seen) {
        direct_close(&direct);
        assert_int_equal(digest_front_new(&front, crew, fd, SHA_256), 0);
        digest_front_reached(front, 3 * MIB + 5);
        assert_int_equal(digest_front_take(front, &run, &at), 0);
        assert_int_equal(digest_run_finish(run, fd, at, 6 * MIB, true, NULL, &found), 0);
        digest_run_free(run);
        assert_int_equal(digest_run_new(&run, SHA_256), 0);
        assert_int_equal(digest_run_add(run, bytes, 6 * MIB), 0);
        assert_int_equal(digest_run_end(run, &right), 0);
        digest_run_free(run);
        assert_true(digest_set_agree(&found, &right));
        for (uint64_t place = 0; place < 4 * MIB; place += 4096)
            assert_int_equal(cache_holds_untouched(fd, place, 1), CACHED_NO);
        assert_int_equal(cache_holds_untouched(fd, 4 * MIB, 2 * MIB), CACHED_YES);
    }
    free(bytes);
    close(fd);
    digest_crew_free(crew);
    if (!is_to_be_seen) {
        print_message("skipped: /var/tmp is not on a disk with O_DIRECT\n");
        skip();
    }
}

struct follower {
    struct digest_crew *crew;
    int fd;
    pthread_t thread;
};

static void *follow(void *argument)
{
    struct follower *follower = argument;

    for (unsigned turn = 0; turn < 5; turn++) {
        struct digest_front *front;
        assert_int_equal(digest_front_new(&front, follower->crew, follower->fd, SHA_256), 0);
        for (uint64_t to = MIB; to <= 20 * MIB; to += MIB)
            digest_front_reached(front, to);
        finish(front, follower->fd, 20 * MIB, SHA_256);
    }
    return NULL;
}

static void more_files_than_threads_have_their_turns(void **state)
{
    (void)state;
    struct follower followers[6] = { { 0 } };
    struct digest_crew *crew = crew_of(2);
    int fd = make_file(20 * MIB);

    for (size_t i = 0; i < 6; i++) {
        followers[i] = (struct follower){ .crew = crew, .fd = fd };
        assert_int_equal(pthread_create(&followers[i].thread, NULL, follow, &followers[i]), 0);
    }
    for (size_t i = 0; i < 6; i++)
        pthread_join(followers[i].thread, NULL);
    close(fd);
    digest_crew_free(crew);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_ahead_as_far_as_it_is_told_and_no_further),
        cmocka_unit_test(a_little_is_not_begun_with),
        cmocka_unit_test(a_file_that_is_shorter_than_was_said_is_an_error),
        cmocka_unit_test(what_is_dropped_is_not_waited_for),
        cmocka_unit_test(a_file_that_arrives_leaves_the_page_cache_as_it_is),
        cmocka_unit_test(more_files_than_threads_have_their_turns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
