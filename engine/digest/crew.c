#include "engine/digest/crew.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine/digest/reader.h"

#define NAME_SIZE 16
#define FEWEST (1u << 20) /* bytes that are worth beginning with */
#define SLICE (16u << 20) /* after which the next file has its turn */

struct digest_front {
    struct digest_crew *crew;
    struct digest_front *next; /* of those that wait */
    int fd;
    unsigned algorithms;
    struct digest_run *run; /* the reading thread's while `busy`, as both below */
    struct reader_file file;
    uint64_t at;
    uint64_t end;       /* guarded by the crew's lock, as all below */
    bool waits, busy;   /* in the queue; being read */
    bool dropped;       /* whoever reads frees it */
    atomic_bool leaves; /* nobody reads on */
    int error;
};

struct digest_crew {
    pthread_mutex_t lock;
    pthread_cond_t arrived, settled;
    struct digest_front *first, **last; /* the queue */
    bool closing;
    char name[NAME_SIZE];
    int nice;
    unsigned thread_count;
    pthread_t threads[];
};

static void front_free(struct digest_front *front)
{
    reader_file_end(&front->file);
    if (front->fd >= 0)
        close(front->fd);
    digest_run_free(front->run);
    free(front);
}

/* -- the queue; called with the lock held -------------------------------------------------------------------------- */

static void enqueue(struct digest_front *front)
{
    struct digest_crew *crew = front->crew;

    if (front->waits || front->busy || front->error || atomic_load(&front->leaves) || front->end - front->at < FEWEST)
        return;
    front->waits = true;
    front->next = NULL;
    *crew->last = front;
    crew->last = &front->next;
    pthread_cond_signal(&crew->arrived);
}

static struct digest_front *dequeue(struct digest_crew *crew)
{
    struct digest_front *front = crew->first;

    crew->first = front->next;
    if (!crew->first)
        crew->last = &crew->first;
    front->waits = false;
    return front;
}

static void take_out(struct digest_front *front)
{
    struct digest_crew *crew = front->crew;

    if (!front->waits)
        return;
    for (struct digest_front **at = &crew->first; *at; at = &(*at)->next) {
        if (*at != front)
            continue;
        *at = front->next;
        if (!*at)
            crew->last = at;
        break;
    }
    front->waits = false;
}

/* -- the threads --------------------------------------------------------------------------------------------------- */

static int read_on(struct digest_front *front, uint64_t end, struct reader *reader)
{
    uint64_t slice = front->at - front->at % SLICE + SLICE;
    int error = reader_feed(reader, &front->file, front->run, &front->at, end < slice ? end : slice, &front->leaves);

    return error == -ECANCELED ? 0 : error; /* who takes it over goes on from there */
}

/* With the lock held, which is let go of meanwhile. */
static void serve(struct digest_front *front, struct reader *reader)
{
    struct digest_crew *crew = front->crew;
    uint64_t end = front->end;

    front->busy = true;
    pthread_mutex_unlock(&crew->lock);
    int error = read_on(front, end, reader);
    pthread_mutex_lock(&crew->lock);
    front->busy = false;
    front->error = error;
    if (front->dropped) {
        front_free(front);
        return;
    }
    enqueue(front);
    pthread_cond_broadcast(&crew->settled);
}

static void *crew_thread(void *argument)
{
    struct digest_crew *crew = argument;
    struct reader *reader;
    int error = reader_new(&reader, NULL);

    pthread_setname_np(pthread_self(), crew->name);
    setpriority(PRIO_PROCESS, (id_t)gettid(), getpriority(PRIO_PROCESS, 0) + crew->nice);
    pthread_mutex_lock(&crew->lock);
    while (error == 0 && !crew->closing) {
        if (crew->first)
            serve(dequeue(crew), reader);
        else
            pthread_cond_wait(&crew->arrived, &crew->lock);
    }
    pthread_mutex_unlock(&crew->lock);
    reader_free(reader);
    return NULL;
}

static int start(struct digest_crew *crew, unsigned threads)
{
    sigset_t all, before;
    int error = 0;

    sigfillset(&all); /* signals are for the threads that expect them */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (crew->thread_count < threads && error == 0) {
        error = pthread_create(&crew->threads[crew->thread_count], NULL, crew_thread, crew);
        crew->thread_count += error == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -error;
}

int digest_crew_new(struct digest_crew **made, unsigned threads, const char *name, int nice)
{
    struct digest_crew *crew = calloc(1, sizeof *crew + threads * sizeof *crew->threads);

    *made = NULL;
    if (!crew)
        return -ENOMEM;
    pthread_mutex_init(&crew->lock, NULL);
    pthread_cond_init(&crew->arrived, NULL);
    pthread_cond_init(&crew->settled, NULL);
    crew->last = &crew->first;
    crew->nice = nice;
    snprintf(crew->name, sizeof crew->name, "%s", name);
    int error = start(crew, threads);
    if (error < 0) {
        digest_crew_free(crew);
        return error;
    }
    *made = crew;
    return 0;
}

void digest_crew_free(struct digest_crew *crew)
{
    if (!crew)
        return;
    pthread_mutex_lock(&crew->lock);
    crew->closing = true;
    pthread_cond_broadcast(&crew->arrived);
    pthread_mutex_unlock(&crew->lock);
    for (unsigned i = 0; i < crew->thread_count; i++)
        pthread_join(crew->threads[i], NULL);
    pthread_cond_destroy(&crew->arrived);
    pthread_cond_destroy(&crew->settled);
    pthread_mutex_destroy(&crew->lock);
    free(crew);
}

/* -- one file ------------------------------------------------------------------------------------------------------ */

int digest_front_new(struct digest_front **made, struct digest_crew *crew, int fd, unsigned algorithms)
{
    struct digest_front *front = calloc(1, sizeof *front);

    *made = NULL;
    if (!front)
        return -ENOMEM;
    front->crew = crew;
    front->algorithms = algorithms;
    atomic_init(&front->leaves, false);
    front->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    reader_file_begin(&front->file, front->fd, true);
    int error = front->fd < 0 ? -errno : digest_run_new(&front->run, algorithms);
    if (error < 0) {
        front_free(front);
        return error;
    }
    *made = front;
    return 0;
}

void digest_front_reached(struct digest_front *front, uint64_t end)
{
    pthread_mutex_lock(&front->crew->lock);
    if (end > front->end) {
        front->end = end;
        if (!front->busy) /* else who reads looks again */
            enqueue(front);
    }
    pthread_mutex_unlock(&front->crew->lock);
}

unsigned digest_front_algorithms(const struct digest_front *front)
{
    return front->algorithms;
}

void digest_front_drop(struct digest_front *front)
{
    if (!front)
        return;
    struct digest_crew *crew = front->crew;
    pthread_mutex_lock(&crew->lock);
    atomic_store(&front->leaves, true);
    take_out(front);
    front->dropped = true;
    if (!front->busy)
        front_free(front);
    pthread_mutex_unlock(&crew->lock);
}

int digest_front_take(struct digest_front *front, struct digest_run **run, uint64_t *end)
{
    struct digest_crew *crew = front->crew;

    pthread_mutex_lock(&crew->lock);
    atomic_store(&front->leaves, true);
    take_out(front);
    while (front->busy)
        pthread_cond_wait(&crew->settled, &crew->lock);
    pthread_mutex_unlock(&crew->lock);
    int error = front->error;
    *run = error ? NULL : front->run;
    *end = front->at;
    if (*run)
        front->run = NULL;
    front_free(front);
    return error;
}
