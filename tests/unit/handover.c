// rooms: server
/* Which worker a long body goes to. No thread runs here: what is posted to a worker stays on its way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/server/handover.h"

#define WORKERS 3

static struct worker workers[WORKERS];
static struct server server = { .workers = workers, .worker_count = WORKERS };
static struct session session;

static int begin(void **state)
{
    (void)state;
    memset(workers, 0, sizeof workers);
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i].server = &server;
        workers[i].number = i;
        if (ring_new(&workers[i].ring, 8, NULL) < 0)
            return -1;
    }
    session = (struct session){ .worker = &workers[0], .pump.length = HANDOVER_FROM };
    worker_take(&workers[0], &session);
    return 0;
}

static int end(void **state)
{
    (void)state;
    for (unsigned i = 0; i < WORKERS; i++)
        ring_free(workers[i].ring);
    return 0;
}

static void bodies(unsigned first, unsigned second, unsigned third)
{
    atomic_store(&workers[0].bodies, first);
    atomic_store(&workers[1].bodies, second);
    atomic_store(&workers[2].bodies, third);
}

static void assert_stays(void)
{
    unsigned before = atomic_load(&workers[0].bodies);

    assert_false(handover_body(&session));
    assert_ptr_equal(session.worker, &workers[0]);
    assert_ptr_equal(workers[0].sessions, &session);
    assert_int_equal(atomic_load(&workers[0].bodies), before + 1);
    handover_body_over(&session);
    assert_int_equal(atomic_load(&workers[0].bodies), before);
}

static void stays_where_nothing_else_moves(void **state)
{
    (void)state;
    assert_stays();
}

static void stays_where_the_others_have_as_many(void **state)
{
    (void)state;
    bodies(2, 2, 3);
    assert_stays();
}

static void goes_to_who_has_the_fewest(void **state)
{
    (void)state;
    bodies(3, 2, 1);
    assert_true(handover_body(&session));
    assert_ptr_equal(session.worker, &workers[2]);
    assert_null(workers[0].sessions);
    assert_int_equal(atomic_load(&workers[0].bodies), 3);
    assert_int_equal(atomic_load(&workers[2].bodies), 2);
    assert_true(handover_awaits(&workers[2]));
    assert_false(handover_awaits(&workers[1]));
    handover_body_over(&session);
    assert_int_equal(atomic_load(&workers[2].bodies), 1);
}

static void is_counted_once(void **state)
{
    (void)state;
    assert_false(handover_body(&session));
    handover_body_over(&session);
    handover_body_over(&session);
    assert_int_equal(atomic_load(&workers[0].bodies), 0);
}

static void leaves_its_neighbours_in_the_list(void **state)
{
    static struct session before, after;
    (void)state;

    before = after = session;
    workers[0].sessions = NULL;
    worker_take(&workers[0], &after);
    worker_take(&workers[0], &session);
    worker_take(&workers[0], &before);
    bodies(1, 0, 0);
    assert_true(handover_body(&session));
    assert_ptr_equal(workers[0].sessions, &before);
    assert_ptr_equal(before.next, &after);
    assert_ptr_equal(after.previous, &before);
}

static void a_short_body_is_not_counted_and_stays(void **state)
{
    (void)state;
    bodies(5, 0, 0);
    session.pump.length = HANDOVER_FROM - 1;
    assert_false(handover_body(&session));
    assert_int_equal(atomic_load(&workers[0].bodies), 5);
    handover_body_over(&session);
    assert_int_equal(atomic_load(&workers[0].bodies), 5);
}

static void a_worker_that_stops_neither_sends_nor_takes(void **state)
{
    (void)state;
    bodies(5, 0, 0);
    handover_shut(&workers[1]);
    handover_shut(&workers[2]);
    assert_stays();
    handover_open(&workers[2]);
    workers[0].stopping = true;
    assert_stays();
}

static void who_is_on_the_way_still_arrives_where_nobody_else_may_come(void **state)
{
    (void)state;
    bodies(5, 0, 9);
    assert_true(handover_body(&session));
    handover_shut(&workers[1]);
    assert_true(handover_awaits(&workers[1]));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(stays_where_nothing_else_moves),
        TEST(stays_where_the_others_have_as_many),
        TEST(goes_to_who_has_the_fewest),
        TEST(is_counted_once),
        TEST(leaves_its_neighbours_in_the_list),
        TEST(a_short_body_is_not_counted_and_stays),
        TEST(a_worker_that_stops_neither_sends_nor_takes),
        TEST(who_is_on_the_way_still_arrives_where_nobody_else_may_come),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
