#include "engine/ring/jobs.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define NAME_SIZE 16

struct jobs {
    pthread_mutex_t lock;
    pthread_cond_t arrived;
    struct job *first, **end; /* guarded by lock, as is `closing` */
    bool closing;
    char name[NAME_SIZE];
    int nice;
    unsigned thread_count;
    pthread_t threads[];
};

static void job_hand_back(struct ring_task *task)
{
    struct job *job = (struct job *)((char *)task - offsetof(struct job, task));
    job->done(job);
}

/* The next job, or NULL where there is none and will be none. */
static struct job *jobs_take(struct jobs *jobs)
{
    pthread_mutex_lock(&jobs->lock);
    while (!jobs->first && !jobs->closing)
        pthread_cond_wait(&jobs->arrived, &jobs->lock);
    struct job *job = jobs->first;
    if (job) {
        jobs->first = job->next;
        if (!jobs->first)
            jobs->end = &jobs->first;
    }
    pthread_mutex_unlock(&jobs->lock);
    return job;
}

/* On Linux this is of the calling thread alone. Who may not have it goes on as before. */
static void be_nice(int by)
{
    if (by)
        setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + by);
}

static void *jobs_thread(void *argument)
{
    struct jobs *jobs = argument;
    pthread_setname_np(pthread_self(), jobs->name);
    be_nice(jobs->nice);
    for (struct job *job = jobs_take(jobs); job; job = jobs_take(jobs)) {
        struct ring *home = job->home;
        job->run(job);
        if (!home)
            continue;
        job->task.run = job_hand_back;
        ring_post(home, &job->task);
    }
    return NULL;
}

/* Signals are for the threads that expect them, and a processor is for the thread that is pinned to it. */
static int jobs_start_threads(struct jobs *jobs, unsigned threads)
{
    sigset_t all, before;
    pthread_attr_t attributes;
    cpu_set_t cpus;
    sigfillset(&all);
    int error = pthread_attr_init(&attributes);
    if (error != 0)
        return -error;
    if (sched_getaffinity(getpid(), sizeof(cpus), &cpus) == 0)
        pthread_attr_setaffinity_np(&attributes, sizeof(cpus), &cpus);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (jobs->thread_count < threads && error == 0) {
        error = pthread_create(&jobs->threads[jobs->thread_count], &attributes, jobs_thread, jobs);
        if (error == 0)
            jobs->thread_count++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return -error;
}

int jobs_new(struct jobs **out, unsigned threads, const char *name, int nice)
{
    *out = NULL;
    if (threads == 0)
        return -EINVAL;
    struct jobs *jobs = calloc(1, sizeof(*jobs) + threads * sizeof(*jobs->threads));
    if (!jobs)
        return -ENOMEM;
    pthread_mutex_init(&jobs->lock, NULL);
    pthread_cond_init(&jobs->arrived, NULL);
    jobs->end = &jobs->first;
    jobs->nice = nice;
    snprintf(jobs->name, sizeof(jobs->name), "%s", name);
    int result = jobs_start_threads(jobs, threads);
    if (result != 0) {
        jobs_free(jobs);
        return result;
    }
    *out = jobs;
    return 0;
}

void jobs_free(struct jobs *jobs)
{
    if (!jobs)
        return;
    pthread_mutex_lock(&jobs->lock);
    jobs->closing = true;
    pthread_cond_broadcast(&jobs->arrived);
    pthread_mutex_unlock(&jobs->lock);
    for (unsigned i = 0; i < jobs->thread_count; i++)
        pthread_join(jobs->threads[i], NULL);
    pthread_cond_destroy(&jobs->arrived);
    pthread_mutex_destroy(&jobs->lock);
    free(jobs);
}

void jobs_submit(struct jobs *jobs, struct job *job)
{
    job->next = NULL;
    pthread_mutex_lock(&jobs->lock);
    *jobs->end = job;
    jobs->end = &job->next;
    pthread_cond_signal(&jobs->arrived);
    pthread_mutex_unlock(&jobs->lock);
}
