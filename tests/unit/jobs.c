// rooms: ring
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "engine/ring/jobs.h"

#define COUNT 500

struct work {
    struct job job;
    struct batch *batch;
    unsigned number;
    pthread_t ran_on, done_on;
    char thread[16];
    bool signals_blocked;
    int nice;
};

struct batch {
    struct ring *ring;
    struct jobs *jobs;
    unsigned started, finished, expected;
    unsigned starts[COUNT];
    struct work works[COUNT];
};

static void work_run(struct job *job)
{
    struct work *work = (struct work *)job;
    unsigned place = __atomic_fetch_add(&work->batch->started, 1, __ATOMIC_RELAXED);
    work->batch->starts[place] = work->number;
    work->ran_on = pthread_self();
    pthread_getname_np(pthread_self(), work->thread, sizeof(work->thread));
    work->nice = getpriority(PRIO_PROCESS, 0);
    sigset_t blocked;
    pthread_sigmask(SIG_BLOCK, NULL, &blocked);
    work->signals_blocked = sigismember(&blocked, SIGTERM) == 1 && sigismember(&blocked, SIGINT) == 1;
}

static void work_done(struct job *job)
{
    struct work *work = (struct work *)job;
    work->done_on = pthread_self();
    if (++work->batch->finished == work->batch->expected)
        ring_stop(work->batch->ring);
}

static void submit(struct batch *batch, unsigned number)
{
    struct work *work = &batch->works[number];
    work->batch = batch;
    work->number = number;
    work->job = (struct job){ .run = work_run, .done = work_done, .home = batch->ring };
    jobs_submit(batch->jobs, &work->job);
}

static int setup(void **state)
{
    static struct batch batch;
    memset(&batch, 0, sizeof(batch));
    *state = &batch;
    return ring_new(&batch.ring, 8, NULL);
}

static int teardown(void **state)
{
    struct batch *batch = *state;
    jobs_free(batch->jobs);
    ring_free(batch->ring);
    return 0;
}

static void runs_each_job_elsewhere_and_its_end_at_home(void **state)
{
    struct batch *batch = *state;
    assert_int_equal(jobs_new(&batch->jobs, 4, "sluice-jobs", 0), 0);
    batch->expected = COUNT;
    for (unsigned i = 0; i < COUNT; i++)
        submit(batch, i);
    assert_int_equal(ring_run(batch->ring), 0);
    assert_int_equal(batch->finished, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_false(pthread_equal(batch->works[i].ran_on, pthread_self()));
        assert_true(pthread_equal(batch->works[i].done_on, pthread_self()));
        assert_string_equal(batch->works[i].thread, "sluice-jobs");
        assert_true(batch->works[i].signals_blocked);
    }
}

static void starts_jobs_in_the_order_they_were_submitted(void **state)
{
    struct batch *batch = *state;
    assert_int_equal(jobs_new(&batch->jobs, 1, "a-name-longer-than-fifteen-bytes", 0), 0);
    batch->expected = COUNT;
    for (unsigned i = 0; i < COUNT; i++)
        submit(batch, i);
    assert_int_equal(ring_run(batch->ring), 0);
    for (unsigned i = 0; i < COUNT; i++)
        assert_int_equal(batch->starts[i], i);
    assert_string_equal(batch->works[0].thread, "a-name-longer-t");
}

static void its_threads_are_nicer_than_the_one_that_made_them_by_what_was_asked_for(void **state)
{
    struct batch *batch = *state;
    int own = getpriority(PRIO_PROCESS, 0);
    if (own > 14)
        skip();
    assert_int_equal(jobs_new(&batch->jobs, 2, "sluice-jobs", 5), 0);
    batch->expected = COUNT;
    for (unsigned i = 0; i < COUNT; i++)
        submit(batch, i);
    assert_int_equal(ring_run(batch->ring), 0);
    for (unsigned i = 0; i < COUNT; i++)
        assert_int_equal(batch->works[i].nice, own + 5);
    assert_int_equal(getpriority(PRIO_PROCESS, 0), own);
}

static void freeing_the_pool_waits_for_what_was_submitted(void **state)
{
    struct batch *batch = *state;
    assert_int_equal(jobs_new(&batch->jobs, 2, "sluice-jobs", 0), 0);
    batch->expected = COUNT;
    for (unsigned i = 0; i < COUNT; i++)
        submit(batch, i);
    jobs_free(batch->jobs);
    batch->jobs = NULL;
    assert_int_equal(batch->started, COUNT);
    assert_int_equal(ring_run(batch->ring), 0);
    assert_int_equal(batch->finished, COUNT);
}

static void refuses_a_pool_without_threads(void **state)
{
    struct batch *batch = *state;
    assert_true(jobs_new(&batch->jobs, 0, "none", 0) < 0);
    assert_null(batch->jobs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(runs_each_job_elsewhere_and_its_end_at_home, setup, teardown),
        cmocka_unit_test_setup_teardown(starts_jobs_in_the_order_they_were_submitted, setup, teardown),
        cmocka_unit_test_setup_teardown(its_threads_are_nicer_than_the_one_that_made_them_by_what_was_asked_for, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(freeing_the_pool_waits_for_what_was_submitted, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_a_pool_without_threads, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
