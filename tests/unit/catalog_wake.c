// rooms: catalog
/* A catalog that is changed wakes who waits for it, and one that is not leaves it alone. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/catalog/catalog.h"
#include "engine/catalog/wake.h"

static char folder[] = "/tmp/sluice-wake-XXXXXX";
static char file[64], why[CATALOG_WHY_SIZE];

static int set_up(void **state)
{
    struct catalog *catalog;

    (void)state;
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
    static const char *const ends[] = { "", "-wal", "-shm", ".owners", ".away" };
    char path[96];

    catalog_close(*state);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        snprintf(path, sizeof path, "%s%s", file, ends[i]);
        unlink(path);
    }
    return rmdir(folder);
}

/* As its user does: waits, reads, looks. True: it was told. */
static bool wait_for(struct catalog_wake *wake, int limit)
{
    struct pollfd ready = { .fd = catalog_wake_fd(wake), .events = POLLIN };
    bool told = poll(&ready, 1, limit) > 0;

    catalog_wake_heed(wake);
    catalog_wake_look(wake);
    return told;
}

/* Until it waits for changes. */
static void settle(struct catalog_wake *wake)
{
    while (catalog_wake_fd(wake) < 0) {
        poll(NULL, 0, catalog_wake_wait(wake));
        catalog_wake_look(wake);
    }
}

static void put(void)
{
    struct catalog_record record = { .state = CATALOG_DONE, .remote = "a", .size = 1 };
    struct catalog *other;

    assert_int_equal(catalog_open(&other, file, CATALOG_WRITE, why), 0);
    assert_int_equal(catalog_put(other, &record), 0);
    catalog_close(other);
}

static void what_another_writes_is_told_and_looked_at_soon(void **state)
{
    (void)state;
    struct catalog_wake *wake = catalog_wake_new(file);
    assert_non_null(wake);
    settle(wake);
    put();
    assert_true(wait_for(wake, 10000));
    assert_int_equal(catalog_wake_fd(wake), -1);
    assert_in_range(catalog_wake_wait(wake), 0, CATALOG_WAKE_SOON);
    catalog_wake_free(wake);
}

static void a_file_that_is_moved_away_is_told(void **state)
{
    char away[80];
    struct catalog_wake *wake = catalog_wake_new(file);

    assert_non_null(wake);
    settle(wake);
    assert_true(catalog_is_current(*state));
    snprintf(away, sizeof away, "%s.away", file);
    assert_int_equal(rename(file, away), 0);
    assert_true(wait_for(wake, 10000));
    assert_false(catalog_is_current(*state));
    catalog_wake_free(wake);
}

static void the_looks_after_a_change_come_later_and_later(void **state)
{
    (void)state;
    struct catalog_wake *wake = catalog_wake_new(file);
    int before = 0;

    assert_non_null(wake);
    for (int i = 0; i < 4; i++) {
        poll(NULL, 0, catalog_wake_wait(wake));
        while (catalog_wake_wait(wake) > 0)
            poll(NULL, 0, 1);
        catalog_wake_look(wake);
        int now = catalog_wake_wait(wake);
        assert_true(now > before);
        assert_true(now <= CATALOG_WAKE_SLOW);
        before = now;
    }
    catalog_wake_free(wake);
}

static void without_the_files_it_is_looked_often(void **state)
{
    (void)state;
    struct catalog_wake *wake = catalog_wake_new("/tmp/no/such/catalog");

    assert_non_null(wake);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(catalog_wake_fd(wake), -1);
        assert_in_range(catalog_wake_wait(wake), 0, CATALOG_WAKE_POLL);
        poll(NULL, 0, catalog_wake_wait(wake) + 1);
        catalog_wake_look(wake);
    }
    catalog_wake_free(wake);
    assert_int_equal(catalog_wake_wait(NULL), CATALOG_WAKE_POLL);
    assert_int_equal(catalog_wake_fd(NULL), -1);
    catalog_wake_heed(NULL);
    catalog_wake_look(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_another_writes_is_told_and_looked_at_soon, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_is_moved_away_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_looks_after_a_change_come_later_and_later, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_the_files_it_is_looked_often, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
