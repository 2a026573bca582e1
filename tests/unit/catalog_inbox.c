// rooms: catalog
/* Messages that came: none is stored twice, and nobody has more than is allowed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "engine/catalog/inbox.h"

static char folder[] = "/tmp/sluice-inbox-XXXXXX";
static char file[64], why[CATALOG_WHY_SIZE];

static int set_up(void **state)
{
    struct catalog *catalog;

    memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
    if (!mkdtemp(folder))
        return -1;
    snprintf(file, sizeof file, "%s/catalog", folder);
    if (catalog_open(&catalog, file, CATALOG_WRITE, why) < 0)
        return -1;
    *state = catalog;
    return 0;
}

static int tear_down(void **state)
{
    static const char *const ends[] = { "", "-wal", "-shm", ".owners" };
    char path[96];

    catalog_close(*state);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        snprintf(path, sizeof path, "%s%s", file, ends[i]);
        unlink(path);
    }
    return rmdir(folder);
}

static int add(struct catalog *catalog, const char *sender, const char *given, const char *text, uint64_t limit,
               uint64_t *id)
{
    struct catalog_record record = { .state = CATALOG_DONE,
                                     .direction = CATALOG_IN,
                                     .kind = CATALOG_MESSAGE,
                                     .message = text,
                                     .message_length = strlen(text),
                                     .ended = catalog_now() };
    int rc = catalog_inbox_add(catalog, &record, sender, given, limit);
    *id = record.id;
    return rc;
}

static int count_one(void *argument, const struct catalog_record *record)
{
    (void)record;
    ++*(size_t *)argument;
    return 0;
}

static size_t rows(struct catalog *catalog)
{
    size_t count = 0;
    assert_int_equal(catalog_find(catalog, &(struct catalog_filter){ 0 }, count_one, &count), 0);
    return count;
}

static void one_that_comes_again_is_stored_once(void **state)
{
    uint64_t first, again, other;
    assert_int_equal(add(*state, "node7 ", "id-1", "hello", 0, &first), 0);
    assert_int_equal(add(*state, "node7 ", "id-1", "hello", 0, &again), 1);
    assert_int_equal(again, first);
    assert_int_equal(rows(*state), 1);
    assert_int_equal(add(*state, "node8 ", "id-1", "hello", 0, &other), 0); /* another's id is its own */
    assert_true(other != first);
    assert_int_equal(rows(*state), 2);
    assert_int_equal(add(*state, "node7 ", NULL, "hello", 0, &other), 0); /* without one, each is another */
    assert_int_equal(add(*state, "node7 ", NULL, "hello", 0, &other), 0);
    assert_int_equal(rows(*state), 4);
}

static void an_id_names_one_text(void **state)
{
    uint64_t id;
    assert_int_equal(add(*state, "node7 ", "x", "hello", 0, &id), 0);
    assert_int_equal(add(*state, "node7 ", "x", "hellO", 0, &id), -EEXIST);
    assert_int_equal(add(*state, "node7 ", "x", "hello!", 0, &id), -EEXIST);
    assert_int_equal(rows(*state), 1);
}

static void refuses_ids_that_are_none(void **state)
{
    char long_one[CATALOG_GIVEN_MAX + 2];
    uint64_t id;
    static const char *const bad[] = { "", "a b", "a/b", "\xc3\xbc", "a\n", "a\"" };
    memset(long_one, 'a', sizeof long_one - 1);
    long_one[sizeof long_one - 1] = '\0';
    assert_false(catalog_given_is_good(long_one));
    long_one[CATALOG_GIVEN_MAX] = '\0';
    assert_true(catalog_given_is_good(long_one));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(catalog_given_is_good(bad[i]));
        assert_int_equal(add(*state, "node7 ", bad[i], "hello", 0, &id), -EINVAL);
    }
    assert_int_equal(rows(*state), 0);
}

static void a_sender_has_no_more_than_the_limit_until_some_are_acknowledged(void **state)
{
    enum catalog_state found;
    uint64_t first, id;
    assert_int_equal(add(*state, "node7 ", "a", "1", 2, &first), 0);
    assert_int_equal(add(*state, "node7 ", "b", "2", 2, &id), 0);
    assert_int_equal(add(*state, "node7 ", "c", "3", 2, &id), -EDQUOT);
    assert_int_equal(add(*state, "node7 ", "a", "1", 2, &id), 1); /* is there already, and takes no room */
    assert_int_equal(add(*state, "node8 ", "c", "3", 2, &id), 0); /* another has room */
    assert_int_equal(catalog_inbox_acknowledge(*state, first, &found), 0);
    assert_int_equal(catalog_inbox_acknowledge(*state, first, &found), -EBUSY);
    assert_int_equal(found, CATALOG_ACKNOWLEDGED);
    assert_int_equal(catalog_inbox_acknowledge(*state, 77, &found), -ENOENT);
    assert_int_equal(add(*state, "node7 ", "c", "3", 2, &id), 0);
    assert_int_equal(add(*state, "node7 ", "d", "4", 2, &id), -EDQUOT);
}

static void what_is_purged_makes_room_and_frees_its_id(void **state)
{
    uint64_t first, id, removed;
    assert_int_equal(add(*state, "node7 ", "a", "1", 1, &first), 0);
    assert_int_equal(catalog_purge(*state, catalog_now() + 1000000, &removed), 0);
    assert_int_equal(removed, 1);
    assert_int_equal(add(*state, "node7 ", "a", "other", 1, &id), 0);
    assert_true(id != first);
}

/* A file of the version that had no inbox. */
static void a_file_of_an_earlier_version_goes_on(void **state)
{
    struct catalog *later;
    sqlite3 *raw;
    uint64_t id;
    struct catalog_record record = { .state = CATALOG_DONE, .remote = "a file" };
    assert_int_equal(catalog_put(*state, &record), 0);
    catalog_close(*state);
    *state = NULL;
    assert_int_equal(sqlite3_open(file, &raw), SQLITE_OK);
    assert_int_equal(sqlite3_exec(raw,
                                  "DROP TABLE inbox; ALTER TABLE transfer DROP COLUMN rate; PRAGMA user_version = 1",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(raw);
    assert_int_equal(catalog_open(&later, file, CATALOG_READ, why), 0);
    assert_int_equal(rows(later), 1);
    assert_int_equal(add(later, "node7 ", "a", "1", 1, &id), 0);
    assert_int_equal(add(later, "node7 ", "a", "1", 1, &id), 1);
    *state = later;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(one_that_comes_again_is_stored_once),
        TEST(an_id_names_one_text),
        TEST(refuses_ids_that_are_none),
        TEST(a_sender_has_no_more_than_the_limit_until_some_are_acknowledged),
        TEST(what_is_purged_makes_room_and_frees_its_id),
        TEST(a_file_of_an_earlier_version_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
