// rooms: store
#include "engine/store/holes.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)

/* In memory, where a page is a page: what has data does not depend on the disk under the tests. */
static int make(uint64_t size)
{
    int fd = memfd_create("holes", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    return fd;
}

static void put(int fd, uint64_t first, uint64_t end)
{
    static const char bytes[65536] = { 'x' };

    while (first < end) {
        size_t length = end - first < sizeof bytes ? (size_t)(end - first) : sizeof bytes;
        assert_int_equal(pwrite(fd, bytes, length, (off_t)first), length);
        first += length;
    }
}

static void expect(int fd, uint64_t size, size_t limit, const char *text)
{
    struct extents data = { 0 };
    char out[1024];

    assert_int_equal(store_find_data(fd, size, limit, &data), 0);
    assert_int_equal(extents_print(&data, out, sizeof out), 0);
    assert_string_equal(out, text);
    extents_clear(&data);
}

static void finds_data_between_holes(void **state)
{
    int fd = make(16 * MIB);

    (void)state;
    expect(fd, 16 * MIB, 100, "none");
    put(fd, 0, 65536);
    put(fd, 4 * MIB, 5 * MIB);
    put(fd, 16 * MIB - 65536, 16 * MIB);
    expect(fd, 16 * MIB, 100, "0-65535,4194304-5242879,16711680-16777215");
    expect(fd, 16 * MIB, 2, "0-5242879,16711680-16777215");
    expect(fd, 16 * MIB, 1, "0-16777215");
    close(fd);
}

static void looks_no_further_than_the_size_it_is_told(void **state)
{
    int fd = make(16 * MIB);

    (void)state;
    put(fd, MIB, 3 * MIB);
    put(fd, 8 * MIB, 9 * MIB);
    expect(fd, 2 * MIB, 100, "1048576-2097151");
    expect(fd, MIB, 100, "none");
    expect(fd, 4 * MIB, 100, "1048576-3145727");
    expect(fd, 64 * MIB, 100, "1048576-3145727,8388608-9437183"); /* it became shorter than that */
    close(fd);
}

/* A file of so many ranges that looking for all of them would take long is data from some point on. */
static void gives_up_on_endless_holes(void **state)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), ranges = STORE_HOLES_LOOKS + 1000, size = 2 * page * ranges;
    struct extents data = { 0 };
    int fd = make(size);

    (void)state;
    for (uint64_t i = 0; i < ranges; i++)
        assert_int_equal(pwrite(fd, "x", 1, (off_t)(2 * page * i)), 1);
    assert_int_equal(store_find_data(fd, size, EXTENTS_MAX, &data), 0);
    assert_true(data.count <= STORE_HOLES_LOOKS + 1);
    assert_true(extents_hold(&data, 2 * page * STORE_HOLES_LOOKS, size));
    assert_false(extents_hold(&data, 0, 2 * page));
    extents_clear(&data);
    assert_int_equal(store_find_data(fd, size, 1000, &data), 0);
    assert_true(data.count <= 1000);
    for (uint64_t i = 0; i < ranges; i++)
        assert_true(extents_hold(&data, 2 * page * i, 2 * page * i + 1));
    extents_clear(&data);
    close(fd);
}

static void says_why_it_cannot_look(void **state)
{
    struct extents data = { 0 };
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(store_find_data(ends[0], MIB, 10, &data), -ESPIPE);
    assert_int_equal(data.count, 0);
    assert_int_equal(store_find_data(-1, MIB, 10, &data), -EBADF);
    assert_int_equal(store_find_data(-1, UINT64_MAX, 10, &data), -EFBIG);
    close(ends[0]);
    close(ends[1]);
}

static void looks_only_where_room_was_saved(void **state)
{
    struct stat facts = { .st_size = 2 * 1048576, .st_blocks = 2 * 2048 };

    (void)state;
    assert_false(store_may_have_holes(&facts));
    facts.st_blocks--;
    assert_true(store_may_have_holes(&facts));
    facts = (struct stat){ .st_size = 1048575 };
    assert_false(store_may_have_holes(&facts));
    facts.st_size++;
    assert_true(store_may_have_holes(&facts));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_data_between_holes),        cmocka_unit_test(looks_no_further_than_the_size_it_is_told),
        cmocka_unit_test(gives_up_on_endless_holes),       cmocka_unit_test(says_why_it_cannot_look),
        cmocka_unit_test(looks_only_where_room_was_saved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
