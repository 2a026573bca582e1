// rooms: server ring
/* Which processor a worker gets, and who does not get stuck on it. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/ring/jobs.h"
#include "engine/server/cpus.h"

static cpu_set_t all;

static int remember(void **state)
{
    (void)state;
    return sched_getaffinity(0, sizeof all, &all);
}

static int restore(void **state)
{
    (void)state;
    return sched_setaffinity(0, sizeof all, &all);
}

static int first_cpu(const cpu_set_t *set)
{
    int cpu = 0;

    while (!CPU_ISSET((size_t)cpu, set))
        cpu++;
    return cpu;
}

static void confine_to_one(void)
{
    cpu_set_t one;

    CPU_ZERO(&one);
    CPU_SET((size_t)first_cpu(&all), &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
}

static void gives_each_worker_its_own(void **state)
{
    int cpus[CPU_SETSIZE];
    unsigned count = cpus_usable();
    cpu_set_t seen;
    (void)state;

    CPU_ZERO(&seen);
    assert_int_equal(count, CPU_COUNT(&all));
    assert_true(cpus_share_out(cpus, count));
    for (unsigned i = 0; i < count; i++)
        CPU_SET((size_t)cpus[i], &seen);
    assert_true(CPU_EQUAL(&seen, &all));
    assert_true(cpus_share_out(cpus, 1));
    assert_int_equal(cpus[0], first_cpu(&all));
}

static void pins_nobody_where_there_are_more_workers(void **state)
{
    int cpus[CPU_SETSIZE + 1];
    unsigned count = cpus_usable() + 1;
    (void)state;

    assert_false(cpus_share_out(cpus, count));
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(cpus[i], CPUS_NONE);
}

static void uses_no_more_than_the_process_may(void **state)
{
    int cpus[2];
    (void)state;

    confine_to_one();
    assert_int_equal(cpus_usable(), 1);
    assert_true(cpus_share_out(cpus, 1));
    assert_int_equal(cpus[0], first_cpu(&all));
    assert_false(cpus_share_out(cpus, 2));
}

static void says_runs_as_runs(void **state)
{
    static const int cpus[] = { 0, 1, 2, 5, 7, 8 },
                     many[] = { 0,  2,  4,  6,  8,  10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34,
                                36, 38, 40, 42, 44, 46, 48, 50, 52, 54, 56, 58, 60, 62, 64, 66, 68, 70 };
    char text[CPUS_TEXT_SIZE];
    (void)state;

    assert_string_equal(cpus_text(cpus, 6, text), "0-2,5,7-8");
    assert_string_equal(cpus_text(cpus, 1, text), "0");
    assert_string_equal(cpus_text(cpus, 0, text), "");
    assert_true(strlen(cpus_text(many, sizeof many / sizeof *many, text)) < CPUS_TEXT_SIZE);
}

struct found {
    struct job job;
    cpu_set_t worker, job_thread;
};

static void look(struct job *job)
{
    struct found *found = (struct found *)job;

    sched_getaffinity(0, sizeof found->job_thread, &found->job_thread);
}

static void *worker(void *argument)
{
    struct found *found = argument;
    struct jobs *jobs;

    sched_getaffinity(0, sizeof found->worker, &found->worker);
    if (jobs_new(&jobs, 1, "job", 0) < 0)
        return NULL;
    found->job.run = look;
    jobs_submit(jobs, &found->job);
    jobs_free(jobs);
    return NULL;
}

static void pins_the_worker_and_none_of_the_threads_it_makes(void **state)
{
    static struct found found;
    pthread_t thread;
    cpu_set_t one;
    (void)state;

    CPU_ZERO(&one);
    CPU_SET((size_t)first_cpu(&all), &one);
    assert_int_equal(cpus_start_thread(&thread, first_cpu(&all), worker, &found), 0);
    pthread_join(thread, NULL);
    assert_true(CPU_EQUAL(&found.worker, &one));
    assert_true(CPU_EQUAL(&found.job_thread, &all));
}

static void a_thread_whose_processor_is_gone_runs_elsewhere(void **state)
{
    static struct found found;
    pthread_t thread;
    (void)state;

    assert_int_equal(cpus_start_thread(&thread, CPU_SETSIZE - 1, worker, &found), 0);
    pthread_join(thread, NULL);
    assert_true(CPU_EQUAL(&found.worker, &all));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, remember, restore)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(gives_each_worker_its_own),
        TEST(pins_nobody_where_there_are_more_workers),
        TEST(uses_no_more_than_the_process_may),
        TEST(says_runs_as_runs),
        TEST(pins_the_worker_and_none_of_the_threads_it_makes),
        TEST(a_thread_whose_processor_is_gone_runs_elsewhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
