// rooms: digest
#include "engine/digest/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

#include "engine/disk/cache.h"

#define SHA_256 (1u << DIGEST_SHA_256)
#define SPAN READER_SPAN
#define BLOCK ((size_t)4096)
#define MOST (4 * SPAN + BLOCK)

static char *bytes; /* MOST of them, which tell where they stand */

/* What is to happen to the reads past the page cache. */
struct fate {
    struct reader_seam seam;
    unsigned calls, fails_at; /* the first is 1; 0: none fails */
    int error;
    size_t shortens_to; /* 0: none is shortened */
};

static struct fate fate;

static int before(const struct reader_seam *seam, size_t *length)
{
    (void)seam;
    if (++fate.calls == fate.fails_at)
        return fate.error;
    if (fate.shortens_to && *length > fate.shortens_to)
        *length = fate.shortens_to;
    return 0;
}

static int make_bytes(void **state)
{
    (void)state;
    bytes = malloc(MOST);
    for (size_t i = 0; bytes && i < MOST; i++)
        bytes[i] = (char)(i * 31 + i / 4096);
    return bytes ? 0 : -1;
}

static int drop_bytes(void **state)
{
    (void)state;
    free(bytes);
    return 0;
}

static int begin(void **state)
{
    (void)state;
    fate = (struct fate){ .seam.before = before };
    return 0;
}

/* On a disk, where there is one; on it when this returns, and not in the page cache any more. */
static int file_of(size_t size)
{
    char path[] = "/var/tmp/sluice-reader-XXXXXX";
    int fd = mkostemp(path, O_CLOEXEC);

    assert_true(fd >= 0);
    unlink(path);
    assert_int_equal(pwrite(fd, bytes, size, 0), size);
    assert_int_equal(fsync(fd), 0);
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    return fd;
}

/* False, and why: there is nothing to be seen here. */
static bool goes_past(int fd)
{
    struct direct_file direct;
    const char *why = direct_open(&direct, fd, O_RDONLY);

    direct_close(&direct);
    if (!why && cache_is_home(fd))
        why = "/var/tmp is in memory";
    if (!why && cache_holds_untouched(fd, 0, 1) != CACHED_NO)
        why = "/var/tmp keeps what it is told to drop";
    if (why)
        print_message("skipped: %s\n", why);
    return !why;
}

static void assert_digest_of(struct digest_run *run, size_t size)
{
    struct digest_set found, right;
    struct digest_run *memory;

    assert_int_equal(digest_run_end(run, &found), 0);
    assert_int_equal(digest_run_new(&memory, SHA_256), 0);
    assert_int_equal(digest_run_add(memory, bytes, size), 0);
    assert_int_equal(digest_run_end(memory, &right), 0);
    digest_run_free(memory);
    assert_true(digest_set_agree(&found, &right));
}

/* Reads to each of `fronts` in turn, and compares after the last: 0 or what the reader says. */
static int feed(int fd, bool spares, const size_t *fronts, size_t count)
{
    struct reader *reader;
    struct reader_file file;
    struct digest_run *run;
    uint64_t at = 0;
    int error = 0;

    assert_int_equal(reader_new(&reader, &fate.seam), 0);
    assert_int_equal(digest_run_new(&run, SHA_256), 0);
    reader_file_begin(&file, fd, spares);
    for (size_t i = 0; i < count && error == 0; i++) {
        error = reader_feed(reader, &file, run, &at, fronts[i], NULL);
        assert_true(error < 0 || at == fronts[i]);
    }
    if (error == 0)
        assert_digest_of(run, fronts[count - 1]);
    reader_file_end(&file);
    digest_run_free(run);
    reader_free(reader);
    return error;
}

static void assert_nothing_is_cached(int fd, size_t size)
{
    for (size_t at = 0; at < size; at += BLOCK)
        assert_int_equal(cache_holds_untouched(fd, at, 1), CACHED_NO);
}

static void the_digest_is_right_for_all_sizes_around_blocks_and_spans(void **state)
{
    static const size_t about[] = { 0, BLOCK, 3 * BLOCK, SPAN - BLOCK, SPAN, SPAN + BLOCK, 2 * SPAN, 4 * SPAN };
    (void)state;

    for (size_t i = 0; i < sizeof about / sizeof *about; i++) {
        for (int away = -1; away <= 1; away++) {
            size_t size = about[i] + (size_t)(about[i] == 0 ? away + 1 : away);
            int fd = file_of(size);
            assert_int_equal(feed(fd, true, &size, 1), 0);
            close(fd);
        }
    }
}

static void a_front_may_stand_anywhere(void **state)
{
    static const size_t fronts[] = { 1,
                                     BLOCK - 1,
                                     BLOCK + 7,
                                     3 * BLOCK,
                                     SPAN + 1,
                                     2 * SPAN,
                                     2 * SPAN + 4095,
                                     3 * SPAN,
                                     3 * SPAN + BLOCK + 1,
                                     4 * SPAN + 17 };
    int fd = file_of(4 * SPAN + 17);
    (void)state;

    assert_int_equal(feed(fd, true, fronts, sizeof fronts / sizeof *fronts), 0);
    close(fd);
}

static void what_was_not_in_the_page_cache_is_not_there_afterwards(void **state)
{
    const size_t size = 3 * SPAN + 2 * BLOCK + 5;
    int fd = file_of(size);
    (void)state;

    if (!goes_past(fd)) {
        close(fd);
        skip();
    }
    assert_int_equal(feed(fd, true, &size, 1), 0);
    assert_int_equal(fate.calls, 5); /* three spans, whole blocks, and the rest */
    assert_nothing_is_cached(fd, size);
    assert_int_equal(feed(fd, false, &size, 1), 0);
    assert_int_equal(fate.calls, 5);
    assert_int_equal(cache_holds_untouched(fd, 0, size), CACHED_YES);
    close(fd);
}

static void what_was_there_stays_and_is_read_from_there(void **state)
{
    const size_t size = 4 * SPAN;
    int fd = file_of(size);
    (void)state;

    if (!goes_past(fd)) {
        close(fd);
        skip();
    }
    /* The second of four spans is new, and not on the disk yet; of the last only some is there. */
    assert_int_equal(pwrite(fd, bytes + SPAN, SPAN, (off_t)SPAN), SPAN);
    assert_int_equal(pwrite(fd, bytes + 3 * SPAN + BLOCK, BLOCK, (off_t)(3 * SPAN + BLOCK)), BLOCK);
    assert_int_equal(feed(fd, true, &size, 1), 0);
    assert_int_equal(fate.calls, 3);
    assert_int_equal(cache_holds_untouched(fd, SPAN, SPAN), CACHED_YES);
    assert_int_equal(cache_holds_untouched(fd, 3 * SPAN + BLOCK, BLOCK), CACHED_YES);
    assert_nothing_is_cached(fd, SPAN);
    assert_int_equal(cache_holds_untouched(fd, 2 * SPAN, 1), CACHED_NO);
    assert_int_equal(cache_holds_untouched(fd, 4 * SPAN - 1, 1), CACHED_NO);
    close(fd);
}

static void whether_the_cache_is_spared_may_change_on_the_way(void **state)
{
    const size_t size = 4 * SPAN;
    int fd = file_of(size);
    struct reader *reader;
    struct reader_file file;
    struct digest_run *run;
    uint64_t at = 0;
    (void)state;

    if (!goes_past(fd)) {
        close(fd);
        skip();
    }
    posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM); /* nothing is read ahead */
    assert_int_equal(reader_new(&reader, NULL), 0);
    assert_int_equal(digest_run_new(&run, SHA_256), 0);
    reader_file_begin(&file, fd, false);
    assert_int_equal(reader_feed(reader, &file, run, &at, SPAN, NULL), 0);
    atomic_store(&file.spares, true);
    assert_int_equal(reader_feed(reader, &file, run, &at, 3 * SPAN, NULL), 0);
    atomic_store(&file.spares, false);
    assert_int_equal(reader_feed(reader, &file, run, &at, size, NULL), 0);
    assert_digest_of(run, size);
    assert_int_equal(cache_holds_untouched(fd, 0, SPAN), CACHED_YES);
    assert_int_equal(cache_holds_untouched(fd, SPAN, 1), CACHED_NO);
    assert_int_equal(cache_holds_untouched(fd, 3 * SPAN, SPAN), CACHED_YES);
    reader_file_end(&file);
    digest_run_free(run);
    reader_free(reader);
    close(fd);
}

static void reads_that_are_short_are_gone_on_with(void **state)
{
    static const size_t lengths[] = { BLOCK - 96, BLOCK, 3 * BLOCK + 512, SPAN / 2 };
    const size_t size = 2 * SPAN + BLOCK + 5;
    (void)state;

    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        int fd = file_of(size);
        fate.shortens_to = lengths[i];
        assert_int_equal(feed(fd, true, &size, 1), 0);
        close(fd);
    }
}

/* The first read is waited for, the second was looked ahead for. */
static void assert_fails(int error, int expected)
{
    const size_t size = 3 * SPAN;

    for (unsigned at = 1; at <= 2; at++) {
        int fd = file_of(size);
        if (!goes_past(fd)) {
            close(fd);
            skip();
        }
        fate = (struct fate){ .seam.before = before, .fails_at = at, .error = error };
        assert_int_equal(feed(fd, true, &size, 1), expected);
        close(fd);
    }
}

static void a_disk_that_fails_is_told(void **state)
{
    (void)state;
    assert_fails(-EIO, -EIO);
    assert_int_equal(fate.calls, 2);
}

static void a_file_system_that_refuses_is_read_through_the_page_cache(void **state)
{
    (void)state;
    assert_fails(-EINVAL, 0);
    assert_int_equal(fate.calls, 2); /* and not tried again */
    assert_fails(-EOPNOTSUPP, 0);
    assert_int_equal(fate.calls, 2);
}

static void what_would_have_to_be_tried_again_is_read_all_the_same(void **state)
{
    (void)state;
    assert_fails(-EAGAIN, 0);
    assert_true(fate.calls > 2);
}

/* One descriptor is left for the file itself, or none. */
static void where_descriptors_are_scarce_it_is_read_all_the_same(void **state)
{
    const size_t size = 3 * SPAN;
    struct rlimit usual, scarce;
    (void)state;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &usual), 0);
    for (rlim_t left = 0; left < 2; left++) {
        int fd = file_of(size), next = dup(fd);
        assert_int_equal(close(next), 0);
        bool past = goes_past(fd);
        scarce = (struct rlimit){ .rlim_cur = (rlim_t)next + left, .rlim_max = usual.rlim_max };
        fate.calls = 0;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &scarce), 0);
        int error = feed(fd, true, &size, 1);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &usual), 0);
        assert_int_equal(error, 0);
        assert_int_equal(fate.calls, past && left ? 3 : 0);
        close(fd);
    }
}

static void a_file_that_is_shorter_is_told_wherever_it_ends(void **state)
{
    static const size_t sizes[] = { 0, 5, BLOCK, SPAN - 5, SPAN, SPAN + 5, 2 * SPAN };
    const size_t said = 2 * SPAN + BLOCK;
    (void)state;

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int fd = file_of(sizes[i]);
        assert_int_equal(feed(fd, true, &said, 1), -ENODATA);
        close(fd);
    }
}

static void it_can_be_stopped_and_gone_on_with(void **state)
{
    int fd = file_of(3 * SPAN);
    struct reader *reader;
    struct reader_file file;
    struct digest_run *run;
    atomic_bool stop = true;
    uint64_t at = 0;
    (void)state;

    assert_int_equal(reader_new(&reader, NULL), 0);
    assert_int_equal(digest_run_new(&run, SHA_256), 0);
    reader_file_begin(&file, fd, true);
    assert_int_equal(reader_feed(reader, &file, run, &at, SPAN + 5, NULL), 0);
    assert_int_equal(reader_feed(reader, &file, run, &at, 3 * SPAN, &stop), -ECANCELED);
    assert_int_equal(at, SPAN + 5);
    stop = false;
    assert_int_equal(reader_feed(reader, &file, run, &at, 3 * SPAN, &stop), 0);
    assert_digest_of(run, 3 * SPAN);
    reader_file_end(&file);
    digest_run_free(run);
    reader_free(reader);
    reader_free(NULL);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_digest_is_right_for_all_sizes_around_blocks_and_spans, begin),
        cmocka_unit_test_setup(a_front_may_stand_anywhere, begin),
        cmocka_unit_test_setup(what_was_not_in_the_page_cache_is_not_there_afterwards, begin),
        cmocka_unit_test_setup(what_was_there_stays_and_is_read_from_there, begin),
        cmocka_unit_test_setup(whether_the_cache_is_spared_may_change_on_the_way, begin),
        cmocka_unit_test_setup(reads_that_are_short_are_gone_on_with, begin),
        cmocka_unit_test_setup(a_disk_that_fails_is_told, begin),
        cmocka_unit_test_setup(a_file_system_that_refuses_is_read_through_the_page_cache, begin),
        cmocka_unit_test_setup(what_would_have_to_be_tried_again_is_read_all_the_same, begin),
        cmocka_unit_test_setup(where_descriptors_are_scarce_it_is_read_all_the_same, begin),
        cmocka_unit_test_setup(a_file_that_is_shorter_is_told_wherever_it_ends, begin),
        cmocka_unit_test_setup(it_can_be_stopped_and_gone_on_with, begin),
    };

    return cmocka_run_group_tests(tests, make_bytes, drop_bytes);
}
