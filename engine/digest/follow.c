/* A thread that computes a digest of a file while its bytes still arrive. */
#include "engine/digest/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/digest/reader.h"

#define FEWEST (4u << 20) /* bytes for which it wakes, so that it is not woken for every packet */

struct digest_follow {
    pthread_t thread;
    int fd, ended_fd;
    struct digest_run *run;
    struct reader *reader; /* the thread's, as both below */
    struct reader_file file;
    uint64_t at;
    atomic_bool stop;

    pthread_mutex_t lock;
    pthread_cond_t moved;
    uint64_t front; /* guarded by lock, as all below */
    bool complete;  /* `front` is the size */
    bool ended;
    int error;
    struct digest_set set;
};

/* Up to where it may read now; false: it is to end. */
static bool next_front(struct digest_follow *follow, uint64_t *front)
{
    pthread_mutex_lock(&follow->lock);
    while (!atomic_load(&follow->stop) && !follow->complete && follow->front - follow->at < FEWEST)
        pthread_cond_wait(&follow->moved, &follow->lock);
    *front = follow->front;
    bool more = !atomic_load(&follow->stop) && *front > follow->at;
    pthread_mutex_unlock(&follow->lock);
    return more;
}

static void end(struct digest_follow *follow, int error)
{
    struct digest_set set = { 0 };

    if (error == 0 && !atomic_load(&follow->stop))
        error = digest_run_end(follow->run, &set);
    pthread_mutex_lock(&follow->lock);
    follow->set = set;
    follow->error = error;
    follow->ended = true;
    pthread_cond_broadcast(&follow->moved);
    pthread_mutex_unlock(&follow->lock);
    eventfd_write(follow->ended_fd, 1);
}

static void *follow_thread(void *argument)
{
    struct digest_follow *follow = argument;
    uint64_t front;
    int error = 0;

    pthread_setname_np(pthread_self(), "digest");
    while (error == 0 && next_front(follow, &front))
        error = reader_feed(follow->reader, &follow->file, follow->run, &follow->at, front, &follow->stop);
    end(follow, error);
    return NULL;
}

static int start(struct digest_follow *follow)
{
    sigset_t all, before;

    sigfillset(&all); /* signals are for the threads that expect them */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&follow->thread, NULL, follow_thread, follow);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -error;
}

static void clear(struct digest_follow *follow)
{
    if (follow->fd >= 0)
        close(follow->fd);
    if (follow->ended_fd >= 0)
        close(follow->ended_fd);
    digest_run_free(follow->run);
    reader_file_end(&follow->file);
    reader_free(follow->reader);
    pthread_cond_destroy(&follow->moved);
    pthread_mutex_destroy(&follow->lock);
    free(follow);
}

int digest_follow_new(struct digest_follow **made, int fd, unsigned algorithms, bool spares_cache)
{
    struct digest_follow *follow = calloc(1, sizeof *follow);

    *made = NULL;
    if (!follow)
        return -ENOMEM;
    pthread_mutex_init(&follow->lock, NULL);
    pthread_cond_init(&follow->moved, NULL);
    follow->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    int error = follow->fd < 0 ? -errno : 0;
    follow->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (error == 0 && follow->ended_fd < 0)
        error = -errno;
    reader_file_begin(&follow->file, follow->fd, spares_cache);
    if (error == 0)
        error = reader_new(&follow->reader, NULL);
    if (error == 0)
        error = digest_run_new(&follow->run, algorithms);
    if (error == 0)
        error = start(follow);
    if (error < 0) {
        clear(follow);
        return error;
    }
    *made = follow;
    return 0;
}

static void advance(struct digest_follow *follow, uint64_t front, bool complete)
{
    pthread_mutex_lock(&follow->lock);
    if (front > follow->front && !follow->complete)
        follow->front = front;
    follow->complete |= complete;
    pthread_cond_broadcast(&follow->moved);
    pthread_mutex_unlock(&follow->lock);
}

void digest_follow_reached(struct digest_follow *follow, uint64_t front)
{
    advance(follow, front, false);
}

void digest_follow_complete(struct digest_follow *follow, uint64_t size)
{
    advance(follow, size, true);
}

void digest_follow_spare(struct digest_follow *follow, bool spares_cache)
{
    atomic_store(&follow->file.spares, spares_cache);
}

int digest_follow_fd(const struct digest_follow *follow)
{
    return follow->ended_fd;
}

int digest_follow_result(struct digest_follow *follow, struct digest_set *set)
{
    pthread_mutex_lock(&follow->lock);
    while (!follow->ended)
        pthread_cond_wait(&follow->moved, &follow->lock);
    *set = follow->set;
    int error = follow->error;
    pthread_mutex_unlock(&follow->lock);
    return error;
}

void digest_follow_free(struct digest_follow *follow)
{
    if (!follow)
        return;
    pthread_mutex_lock(&follow->lock);
    atomic_store(&follow->stop, true);
    pthread_cond_broadcast(&follow->moved);
    pthread_mutex_unlock(&follow->lock);
    pthread_join(follow->thread, NULL);
    clear(follow);
}
