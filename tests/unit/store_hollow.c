// rooms: store
/* An unfinished upload that is told of holes. */
#include "engine/store/partial.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)
#define SIZE (8 * MIB)
#define SLACK (64 * 1024) /* what a file system may need besides */

static char root[] = "/tmp/sluice-hollow-XXXXXX";
static struct store *store;

static struct store_partial *open_it(uint64_t size, bool hollow, int wanted)
{
    struct store_partial *partial = NULL;
    struct store_place place;

    assert_int_equal(store_place_find(store, "file", "somebody", "token", true, &place), 0);
    place.hollow = hollow;
    assert_int_equal(store_partial_open(&place, size, &partial), wanted);
    store_place_clear(&place);
    return partial;
}

static void put(struct store_partial *partial, char byte, uint64_t first, uint64_t end)
{
    char bytes[65536];

    memset(bytes, byte, sizeof bytes);
    assert_true(end - first <= sizeof bytes);
    assert_int_equal(pwrite(store_partial_fd(partial), bytes, end - first, (off_t)first), end - first);
}

static int hollow(struct store_partial *partial, const char *ranges)
{
    struct extents holes = { 0 };

    assert_int_equal(extents_parse(&holes, ranges), 0);
    int rc = store_partial_hollow(partial, &holes);
    extents_clear(&holes);
    return rc;
}

static void assert_has(struct store_partial *partial, const char *wanted)
{
    char have[512];

    store_partial_have(partial, have, sizeof have);
    assert_string_equal(have, wanted);
}

static void assert_bytes(int fd, char byte, uint64_t first, uint64_t end)
{
    char found[65536];

    while (first < end) {
        size_t length = end - first < sizeof found ? (size_t)(end - first) : sizeof found;
        assert_int_equal(pread(fd, found, length, (off_t)first), length);
        for (size_t i = 0; i < length; i++)
            assert_int_equal(found[i], byte);
        first += length;
    }
}

static uint64_t room(int fd)
{
    struct stat facts;

    assert_int_equal(fstat(fd, &facts), 0);
    return (uint64_t)facts.st_blocks * 512;
}

static uint64_t length(int fd)
{
    struct stat facts;

    assert_int_equal(fstat(fd, &facts), 0);
    return (uint64_t)facts.st_size;
}

/* What was written there and not noted, or asked for, is gone: the sender's word is that there are zeros. */
static void holes_are_zeros_that_take_no_room(void **state)
{
    struct store_partial *partial = open_it(SIZE, false, 0);
    int fd = store_partial_fd(partial);

    (void)state;
    assert_int_equal(store_partial_reserve(partial, 0, SIZE), 0);
    put(partial, 's', MIB, MIB + 65536);
    assert_int_equal(hollow(partial, "65536-4194303,4259840-8388607"), 0);
    assert_has(partial, "65536-4194303,4259840-8388607");
    assert_bytes(fd, 0, 65536, 4194304);
    assert_int_equal(length(fd), SIZE);
    assert_true(room(fd) <= 2 * 65536 + SLACK);
    put(partial, 'a', 0, 65536);
    put(partial, 'b', 4194304, 4259840);
    assert_int_equal(store_partial_add(partial, 0, 65536), 0);
    assert_false(store_partial_complete(partial));
    assert_int_equal(store_partial_add(partial, 4194304, 4259840), 0);
    assert_true(store_partial_complete(partial));
    store_partial_drop(partial);
    store_partial_close(partial);
}

static void what_was_received_stays(void **state)
{
    struct store_partial *partial = open_it(SIZE, false, 0);
    int fd = store_partial_fd(partial);

    (void)state;
    put(partial, 'a', MIB, MIB + 65536);
    assert_int_equal(store_partial_add(partial, MIB, MIB + 65536), 0);
    assert_int_equal(hollow(partial, "0-2097151"), 0);
    assert_has(partial, "0-2097151");
    assert_bytes(fd, 0, 0, MIB);
    assert_bytes(fd, 'a', MIB, MIB + 65536);
    assert_bytes(fd, 0, MIB + 65536, 2 * MIB);
    assert_int_equal(hollow(partial, "0-2097151"), 0);
    assert_bytes(fd, 'a', MIB, MIB + 65536);
    store_partial_drop(partial);
    store_partial_close(partial);
}

static void a_hole_before_what_is_there_makes_nothing_shorter(void **state)
{
    struct store_partial *partial = open_it(SIZE, false, 0);
    int fd = store_partial_fd(partial);

    (void)state;
    put(partial, 'z', SIZE - 65536, SIZE);
    assert_int_equal(store_partial_add(partial, SIZE - 65536, SIZE), 0);
    assert_int_equal(hollow(partial, "0-1048575"), 0);
    assert_int_equal(length(fd), SIZE);
    assert_bytes(fd, 'z', SIZE - 65536, SIZE);
    store_partial_drop(partial);
    store_partial_close(partial);
}

static void holes_are_kept_and_found_again_and_become_the_file(void **state)
{
    struct store_partial *partial = open_it(SIZE, true, 0);
    bool created;
    struct stat facts;

    (void)state;
    assert_int_equal(hollow(partial, "0-1048575,1114112-8388607"), 0);
    assert_int_equal(store_partial_unkept(partial), SIZE - 65536);
    assert_int_equal(store_partial_keep(partial), 0);
    store_partial_close(partial);

    partial = open_it(SIZE, false, 0);
    assert_has(partial, "0-1048575,1114112-8388607");
    assert_int_equal(store_partial_reserve(partial, MIB, 65536), 0);
    put(partial, 'x', MIB, MIB + 65536);
    assert_int_equal(store_partial_add(partial, MIB, MIB + 65536), 0);
    assert_int_equal(store_partial_commit(partial, store, "file", NULL, &created, &facts), 0);
    assert_int_equal(facts.st_size, SIZE);
    assert_true((uint64_t)facts.st_blocks * 512 <= 65536 + SLACK);
    assert_bytes(store_partial_fd(partial), 0, 0, MIB);
    assert_bytes(store_partial_fd(partial), 'x', MIB, MIB + 65536);
    assert_bytes(store_partial_fd(partial), 0, MIB + 65536, SIZE);
    store_partial_close(partial);
    assert_int_equal(store_delete(store, "file", NULL), 0);
}

static void room_that_came_to_be_a_hole_is_given_back(void **state)
{
    struct store_partial *partial = open_it(SIZE, false, 0);

    (void)state;
    assert_int_equal(hollow(partial, "0-4194303"), 0);
    assert_int_equal(store_partial_reserve(partial, 4 * MIB, 4 * MIB), 0);
    store_partial_give_back(partial);
    assert_true(room(store_partial_fd(partial)) <= SLACK);
    assert_has(partial, "0-4194303");
    store_partial_drop(partial);
    store_partial_close(partial);
}

/* Larger than the disk, but not with its holes. */
static void room_is_looked_for_where_no_holes_are_told_of(void **state)
{
    const uint64_t size = UINT64_C(1) << 42;

    (void)state;
    struct statvfs disk;
    assert_int_equal(statvfs(root, &disk), 0);
    if ((uint64_t)disk.f_bavail * disk.f_frsize < size)
        assert_null(open_it(size, false, -ENOSPC));
    struct store_partial *partial = open_it(size, true, 0);
    char ranges[64];
    snprintf(ranges, sizeof ranges, "65536-%llu", (unsigned long long)(UINT64_C(1) << 41));
    assert_int_equal(hollow(partial, ranges), 0);
    assert_int_equal(length(store_partial_fd(partial)), (UINT64_C(1) << 41) + 1);
    assert_true(room(store_partial_fd(partial)) <= SLACK);
    store_partial_drop(partial);
    store_partial_close(partial);
}

static void what_cannot_be_is_said(void **state)
{
    struct store_partial *partial = open_it(SIZE, false, 0);

    (void)state;
    int fd = store_partial_fd(partial), spare = fcntl(fd, F_DUPFD_CLOEXEC, 0), ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(dup2(ends[1], fd), fd); /* a pipe has no holes */
    int rc = hollow(partial, "0-65535");
    assert_true(rc == -ESPIPE || rc == -EOPNOTSUPP || rc == -ENODEV);
    assert_has(partial, "none");
    assert_int_equal(dup2(spare, fd), fd);
    close(spare);
    close(ends[0]);
    close(ends[1]);
    store_partial_drop(partial);
    store_partial_close(partial);
}

static int plant(void **state)
{
    (void)state;
    return mkdtemp(root) && store_open(&store, root) == 0 ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *facts, int type, struct FTW *walk)
{
    (void)facts, (void)type, (void)walk;
    return remove(path);
}

/* Nothing is left by then. */
static int fell(void **state)
{
    (void)state;
    store_close(store);
    bool empty = rmdir(root) == 0;
    if (!empty)
        nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return empty ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holes_are_zeros_that_take_no_room),
        cmocka_unit_test(what_was_received_stays),
        cmocka_unit_test(a_hole_before_what_is_there_makes_nothing_shorter),
        cmocka_unit_test(holes_are_kept_and_found_again_and_become_the_file),
        cmocka_unit_test(room_that_came_to_be_a_hole_is_given_back),
        cmocka_unit_test(room_is_looked_for_where_no_holes_are_told_of),
        cmocka_unit_test(what_cannot_be_is_said),
    };
    return cmocka_run_group_tests(tests, plant, fell);
}
