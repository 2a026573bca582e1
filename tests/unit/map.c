// rooms: store
#include "engine/store/map.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static char folder[] = "/tmp/sluice-map-XXXXXX";
static int directory;

static struct store_map sample(const char *ranges)
{
    struct store_map map = { .size = 1000, .source = strdup("\"a b%\""), .name = strdup("node7/d\xc3\xa4ta/a\nb") };

    assert_non_null(map.source);
    assert_non_null(map.name);
    assert_int_equal(extents_parse(&map.have, ranges), 0);
    return map;
}

static void expect(const char *name, const char *ranges)
{
    struct store_map map;
    char text[128];

    assert_int_equal(store_map_load(&map, directory, name), 0);
    assert_int_equal(map.size, 1000);
    assert_string_equal(map.source, "\"a b%\"");
    assert_string_equal(map.name, "node7/d\xc3\xa4ta/a\nb");
    assert_int_equal(extents_print(&map.have, text, sizeof text), 0);
    assert_string_equal(text, ranges);
    store_map_clear(&map);
}

static bool exists(const char *name)
{
    return faccessat(directory, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void reads_back_what_it_saved(void **state)
{
    static const char *const ranges[] = { "none", "0-9,20-29", "0-999" };

    (void)state;
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        struct store_map map = sample(ranges[i]);
        assert_int_equal(store_map_save(&map, directory, "m", i % 2 == 0), 0);
        store_map_clear(&map);
        expect("m", ranges[i]);
        assert_false(exists("m" STORE_MAP_SUFFIX));
    }
    assert_int_equal(store_map_remove(directory, "m"), 0);
    assert_int_equal(store_map_remove(directory, "m"), 0);
    assert_false(exists("m"));
}

static void is_the_text_that_is_documented(void **state)
{
    static const char wanted[] = "sluice-map 1\nsize 1000\nsource \"a%20b%25\"\nname node7/d%C3%A4ta/a%0Ab\n"
                                 "have 0-9,20-29\ncheck ";
    struct store_map map = sample("0-9,20-29");
    char *text;
    size_t length;

    (void)state;
    assert_int_equal(store_map_print(&map, &text, &length), 0);
    assert_memory_equal(text, wanted, sizeof wanted - 1);
    assert_int_equal(strlen(text), length);
    free(text);
    store_map_clear(&map);
}

static void refuses_every_damaged_byte_and_every_cut(void **state)
{
    struct store_map map = sample("0-9,20-29"), read;
    char *text;
    size_t length;

    (void)state;
    assert_int_equal(store_map_print(&map, &text, &length), 0);
    store_map_clear(&map);
    for (size_t i = 0; i < length; i++) {
        text[i] ^= 1;
        assert_int_equal(store_map_parse(&read, text, length), -EINVAL);
        text[i] ^= 1;
        assert_int_equal(store_map_parse(&read, text, i), -EINVAL);
    }
    assert_int_equal(store_map_parse(&read, text, length), 0);
    store_map_clear(&read);
    free(text);
}

/* With a right check line behind them. */
static void refuses_what_no_map_says(void **state)
{
    static const char *const bad[] = {
        "size 0\nsource x\nname y\nhave none\n",
        "size 10\nsource \nname y\nhave none\n",
        "size 10\nsource x\nname y\nhave 0-10\n",
        "size 10\nsource x\nname y\nhave 5-4\n",
        "size 10\nsource x\nname y\n",
        "size 10\nname y\nsource x\nhave none\n",
        "size 10\nsource x\nname y\nhave none\nz\n",
        "size 10\nsource a b\nname y\nhave none\n",
        "size 10\nsource x%4\nname y\nhave none\n",
        "size 10\nsource x%41\nname y\nhave none\n",
        "size 10\nsource x%00\nname y\nhave none\n",
        "size 010\nsource x\nname y\nhave none\n",
        "size 1e3\nsource x\nname y\nhave none\n",
        "size 9223372036854775808\nsource x\nname y\nhave none\n",
        "size 10\nsource x%\nname y\nhave none\n",
    };
    struct store_map read;
    char text[256];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint64_t hash = 14695981039346656037u;
        int length = snprintf(text, sizeof text, "sluice-map 1\n%s", bad[i]);
        for (int k = 0; k < length; k++)
            hash = (hash ^ (unsigned char)text[k]) * 1099511628211u;
        length += snprintf(text + length, sizeof text - (size_t)length, "check %016llx\n", (unsigned long long)hash);
        if (store_map_parse(&read, text, (size_t)length) != -EINVAL)
            fail_msg("%s", bad[i]);
    }
}

static void keeps_the_old_map_where_a_new_one_cannot_be_written(void **state)
{
    struct store_map map = sample("0-9");

    (void)state;
    assert_int_equal(store_map_save(&map, directory, "m", true), 0);
    assert_int_equal(mkdirat(directory, "m" STORE_MAP_SUFFIX, 0700), 0);
    assert_int_equal(extents_add(&map.have, 10, 20), 0);
    assert_int_equal(store_map_save(&map, directory, "m", true), -EISDIR);
    expect("m", "0-9");
    assert_int_equal(unlinkat(directory, "m" STORE_MAP_SUFFIX, AT_REMOVEDIR), 0);
    assert_int_equal(store_map_remove(directory, "m"), 0);
    store_map_clear(&map);
}

static void loads_only_files_of_its_own(void **state)
{
    struct store_map map;
    char name[251];

    (void)state;
    assert_int_equal(store_map_load(&map, directory, "nothing"), -ENOENT);
    assert_int_equal(symlinkat("elsewhere", directory, "link"), 0);
    assert_int_equal(store_map_load(&map, directory, "link"), -EINVAL);
    assert_int_equal(mkfifoat(directory, "fifo", 0600), 0);
    assert_int_equal(store_map_load(&map, directory, "fifo"), -EINVAL);
    int fd = openat(directory, "large", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && ftruncate(fd, STORE_MAP_SIZE + 1) == 0);
    close(fd);
    assert_int_equal(store_map_load(&map, directory, "large"), -EINVAL);
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    map = sample("none");
    assert_int_equal(store_map_save(&map, directory, name, false), 0);
    assert_int_equal(store_map_remove(directory, name), 0);
    store_map_clear(&map);
}

static int begin_group(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return directory < 0 ? -1 : 0;
}

static int remove_one(const char *path, const struct stat *facts, int kind, struct FTW *where)
{
    (void)facts;
    (void)kind;
    (void)where;
    return remove(path);
}

static int end_group(void **state)
{
    (void)state;
    close(directory);
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_back_what_it_saved),
        cmocka_unit_test(is_the_text_that_is_documented),
        cmocka_unit_test(refuses_every_damaged_byte_and_every_cut),
        cmocka_unit_test(refuses_what_no_map_says),
        cmocka_unit_test(keeps_the_old_map_where_a_new_one_cannot_be_written),
        cmocka_unit_test(loads_only_files_of_its_own),
    };
    return cmocka_run_group_tests(tests, begin_group, end_group);
}
