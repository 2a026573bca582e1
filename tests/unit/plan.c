// rooms: client
#include "engine/client/plan.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)

static struct plan *must_plan(uint64_t size, const char *have, unsigned streams)
{
    struct extents extents = { 0 };
    assert_int_equal(extents_parse(&extents, have), 0);
    struct plan *plan = plan_new(size, &extents, streams);
    extents_clear(&extents);
    assert_non_null(plan);
    return plan;
}

static void expect_take(struct plan *plan, unsigned stream, uint64_t wanted_first, uint64_t wanted_end)
{
    uint64_t first, end;
    assert_int_equal(plan_take(plan, stream, 0, &first, &end), 0);
    assert_int_equal(first, wanted_first);
    assert_int_equal(end, wanted_end);
}

static void gives_one_stream_each_gap_whole(void **state)
{
    struct plan *plan = must_plan(100 * MIB + 5, "10-99,50000000-60000000", 1);
    uint64_t first, end;

    (void)state;
    expect_take(plan, 0, 0, 10);
    assert_int_equal(plan_moved(plan, 0, 10), 10);
    assert_false(plan_complete(plan));
    plan_end(plan, 0, 10);
    expect_take(plan, 0, 100, 50000000);
    plan_end(plan, 0, 50000000 - 100);
    expect_take(plan, 0, 60000001, 100 * MIB + 5);
    plan_end(plan, 0, 100 * MIB + 5 - 60000001);
    assert_true(plan_complete(plan));
    assert_int_equal(plan_done(plan), 100 * MIB + 5);
    assert_int_equal(plan_take(plan, 0, 0, &first, &end), -ENODATA);
    plan_free(plan);
}

static void makes_ranges_smaller_to_the_end(void **state)
{
    struct plan *plan = must_plan(64 * MIB, "none", 4);
    uint64_t first, end, before = UINT64_MAX, at = 0;
    unsigned count = 0;

    (void)state;
    while (plan_take(plan, 0, 0, &first, &end) == 0) {
        assert_int_equal(first, at);
        assert_true(end - first <= before);
        assert_true(end - first >= PLAN_SMALLEST);
        before = end - first;
        at = end;
        plan_end(plan, 0, end - first);
        count++;
    }
    assert_int_equal(at, 64 * MIB);
    assert_int_equal(before, PLAN_SMALLEST);
    assert_in_range(count, 10, 40);
    plan_free(plan);
}

static void never_makes_a_range_too_large(void **state)
{
    struct plan *plan = must_plan(UINT64_C(1) << 42, "none", 2);

    (void)state;
    expect_take(plan, 0, 0, PLAN_LARGEST);
    expect_take(plan, 1, PLAN_LARGEST, 2 * PLAN_LARGEST);
    plan_free(plan);
}

static void gives_again_what_a_failed_stream_left(void **state)
{
    struct plan *plan = must_plan(4 * MIB, "none", 2);
    uint64_t first, end;
    struct extents done = { 0 };

    (void)state;
    assert_int_equal(plan_take_this(plan, 0, 0, 3 * MIB), 0);
    expect_take(plan, 1, 3 * MIB, 4 * MIB);
    assert_int_equal(plan_moved(plan, 0, MIB), 3 * MIB);
    plan_end(plan, 1, MIB);
    assert_int_equal(plan_take(plan, 1, 0, &first, &end), -EAGAIN);
    plan_end(plan, 0, MIB + 7);
    assert_int_equal(plan_front(plan), MIB + 7);
    assert_int_equal(plan_copy(plan, &done), 0);
    assert_int_equal(extents_total(&done), 2 * MIB + 7);
    assert_true(extents_hold(&done, 3 * MIB, 4 * MIB));
    extents_clear(&done);
    expect_take(plan, 1, MIB + 7, 2 * MIB);
    plan_end(plan, 1, MIB - 7);
    expect_take(plan, 1, 2 * MIB, 3 * MIB);
    plan_end(plan, 1, MIB);
    assert_true(plan_complete(plan));
    assert_int_equal(plan_front(plan), 4 * MIB);
    plan_free(plan);
}

static void takes_just_the_first_range_that_was_asked_for(void **state)
{
    struct plan *plan = must_plan(10 * MIB, "0-99", 2);

    (void)state;
    assert_int_equal(plan_take_this(plan, 0, 0, 200), -EINVAL);
    assert_int_equal(plan_take_this(plan, 0, 100, 100), -EINVAL);
    assert_int_equal(plan_take_this(plan, 0, 100, 11 * MIB), -EINVAL);
    assert_int_equal(plan_take_this(plan, 0, 100, 5 * MIB), 0);
    assert_int_equal(plan_take_this(plan, 1, 100, 5 * MIB), -EINVAL);
    plan_free(plan);
}

static void splits_the_rest_of_a_slow_stream(void **state)
{
    struct plan *plan = must_plan(100 * MIB, "none", 2);
    uint64_t first, end;

    (void)state;
    assert_int_equal(plan_take_this(plan, 0, 0, 100 * MIB), 0);
    assert_int_equal(plan_take(plan, 1, 0, &first, &end), -EAGAIN); /* it has only begun */
    usleep(50000);
    assert_int_equal(plan_moved(plan, 0, 10000), 100 * MIB);
    assert_int_equal(plan_take(plan, 1, 0, &first, &end), 0);
    assert_int_equal(first, 50 * MIB);
    assert_int_equal(end, 100 * MIB);
    assert_int_equal(plan_moved(plan, 0, 20000), 50 * MIB);
    /* It moved on before it heard of that. */
    assert_int_equal(plan_moved(plan, 0, 51 * MIB), 50 * MIB);
    plan_end(plan, 0, 52 * MIB);
    assert_int_equal(plan_done(plan), 52 * MIB);
    plan_end(plan, 1, 50 * MIB);
    assert_true(plan_complete(plan));
    plan_free(plan);
}

static void leaves_a_fast_stream_its_rest(void **state)
{
    struct plan *plan = must_plan(100 * MIB, "none", 2);
    uint64_t first, end;

    (void)state;
    assert_int_equal(plan_take_this(plan, 0, 0, 100 * MIB), 0);
    usleep(20000);
    plan_moved(plan, 0, 50 * MIB);
    assert_int_equal(plan_take(plan, 1, 0, &first, &end), -EAGAIN);
    plan_free(plan);
}

static void gives_nothing_once_it_is_stopped(void **state)
{
    struct plan *plan = must_plan(100 * MIB, "none", 2);
    uint64_t first, end;

    (void)state;
    plan_stop(plan);
    assert_int_equal(plan_take(plan, 1, 1000, &first, &end), -ECANCELED);
    plan_free(plan);
}

struct worker {
    pthread_t thread;
    struct plan *plan;
    unsigned number, seed;
    uint64_t moved;
};

static unsigned next_random(struct worker *worker)
{
    worker->seed = worker->seed * 1103515245 + 12345;
    return worker->seed >> 16;
}

/* Moves in pieces, and sometimes fails in the midst of a range. */
static void work_on(struct worker *worker, uint64_t first, uint64_t end)
{
    uint64_t moved = 0, length = end - first;

    while (moved < length && next_random(worker) % 16 != 0) {
        uint64_t piece = next_random(worker) % 300000 + 1;
        if (piece > length - moved)
            piece = length - moved;
        moved += piece;
        length = plan_moved(worker->plan, worker->number, moved);
    }
    plan_end(worker->plan, worker->number, moved);
    worker->moved += moved;
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    uint64_t first, end;
    int rc;

    while ((rc = plan_take(worker->plan, worker->number, 100, &first, &end)) == 0 || rc == -EAGAIN) {
        if (rc == 0)
            work_on(worker, first, end);
    }
    return (void *)(intptr_t)rc;
}

static void many_streams_that_fail_now_and_then_finish_the_file(void **state)
{
    enum { STREAMS = 8 };
    const uint64_t size = 200 * MIB + 12345;
    struct worker workers[STREAMS];
    uint64_t moved = 0;
    void *rc;

    (void)state;
    struct plan *plan = must_plan(size, "5000-9999", STREAMS);
    for (unsigned i = 0; i < STREAMS; i++) {
        workers[i] = (struct worker){ .plan = plan, .number = i, .seed = i + 1 };
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < STREAMS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, &rc), 0);
        assert_int_equal((intptr_t)rc, -ENODATA);
        moved += workers[i].moved;
    }
    assert_true(plan_complete(plan));
    assert_int_equal(plan_done(plan), size);
    assert_true(moved >= size - 5000);
    plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_one_stream_each_gap_whole),
        cmocka_unit_test(makes_ranges_smaller_to_the_end),
        cmocka_unit_test(never_makes_a_range_too_large),
        cmocka_unit_test(gives_again_what_a_failed_stream_left),
        cmocka_unit_test(takes_just_the_first_range_that_was_asked_for),
        cmocka_unit_test(splits_the_rest_of_a_slow_stream),
        cmocka_unit_test(leaves_a_fast_stream_its_rest),
        cmocka_unit_test(gives_nothing_once_it_is_stopped),
        cmocka_unit_test(many_streams_that_fail_now_and_then_finish_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
