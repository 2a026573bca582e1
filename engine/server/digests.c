#include "engine/server/digests.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NICE 10
#define BUCKETS 1024
#define WAYS 4
#define SETTLED_S 2 /* a file that was changed more recently may be again, within one tick of the clock */

/* One state of a file. */
struct state {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified, changed;
};

struct memory {
    struct state state;
    struct digest_set set; /* known 0: free */
    uint64_t used;
};

/* What is computed once, for all who ask the same. */
struct digest_question {
    struct digest_question *next;
    struct digests *digests;
    int fd; /* its own */
    struct stat facts;
    unsigned algorithms;
    bool remember, spares_cache;
    struct digest_front *front; /* NULL: nothing is computed yet */
    struct digest_ask *asks;    /* guarded by the lock of all; none: it is given up */
    atomic_bool stop;
    struct job job;
};

struct digests {
    struct jobs *questions; /* of whoever may read */
    struct jobs *arrivals;  /* of uploads, whose senders wait: no number of questions holds them up */
    atomic_bool stop;
    pthread_mutex_t lock;
    struct digest_question *questioned; /* guarded by lock: those that are computed, or wait for it */
    struct memory *memories;            /* guarded by lock: BUCKETS times WAYS */
    uint64_t clock;
};

static struct state state_of(const struct stat *facts)
{
    return (struct state){ .device = facts->st_dev,
                           .inode = facts->st_ino,
                           .size = facts->st_size,
                           .modified = facts->st_mtim,
                           .changed = facts->st_ctim };
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool same_state(const struct state *a, const struct state *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           same_time(&a->modified, &b->modified) && same_time(&a->changed, &b->changed);
}

/* -- what is remembered -------------------------------------------------------------------------------------------- */

static struct memory *bucket_of(struct digests *digests, const struct state *state)
{
    uint64_t mixed = (state->inode ^ (uint64_t)state->device << 32) * 0x9e3779b97f4a7c15u;

    return &digests->memories[(mixed >> 32) % BUCKETS * WAYS];
}

bool digests_recall(struct digests *digests, const struct stat *facts, unsigned algorithms, struct digest_set *set)
{
    struct state state = state_of(facts);
    struct memory *bucket = bucket_of(digests, &state);
    bool found = false;

    pthread_mutex_lock(&digests->lock);
    for (int i = 0; i < WAYS && !found; i++) {
        found = (bucket[i].set.known & algorithms) == algorithms && same_state(&bucket[i].state, &state);
        if (found) {
            bucket[i].used = ++digests->clock;
            *set = bucket[i].set;
        }
    }
    pthread_mutex_unlock(&digests->lock);
    return found;
}

/* The same file's place, whatever its state was, else the one that was not used for longest. */
static struct memory *place_for(struct memory *bucket, const struct state *state)
{
    struct memory *place = bucket;

    for (int i = 0; i < WAYS; i++) {
        if (bucket[i].state.inode == state->inode && bucket[i].state.device == state->device)
            return &bucket[i];
        if (bucket[i].used < place->used)
            place = &bucket[i];
    }
    return place;
}

void digests_remember(struct digests *digests, const struct stat *facts, const struct digest_set *set)
{
    struct state state = state_of(facts);

    pthread_mutex_lock(&digests->lock);
    struct memory *place = place_for(bucket_of(digests, &state), &state);
    if (!same_state(&place->state, &state))
        place->set.known = 0;
    place->state = state;
    place->used = ++digests->clock;
    for (int i = 0; i < DIGEST_ALGORITHMS; i++) {
        if (set->known & 1u << i)
            digest_set_add(&place->set, &set->items[i]);
    }
    pthread_mutex_unlock(&digests->lock);
}

/* -- what is computed ---------------------------------------------------------------------------------------------- */

/* What is left of it, where some was computed before. */
static int compute_rest(struct digest_question *question, uint64_t size, struct digest_set *set)
{
    struct digest_run *run;
    uint64_t from = 0;
    int error =
        question->front ? digest_front_take(question->front, &run, &from) : digest_run_new(&run, question->algorithms);

    question->front = NULL;
    if (error == 0 && from > size)
        error = -ESTALE;
    if (error == 0)
        error = digest_run_finish(run, question->fd, from, size, question->spares_cache, &question->stop, set);
    digest_run_free(run);
    return error;
}

static int compute(struct digest_question *question, struct digest_set *set)
{
    struct state before = state_of(&question->facts), after;
    uint64_t size = (uint64_t)question->facts.st_size;
    struct stat facts;
    int error = compute_rest(question, size, set);

    if (error == -ENODATA)
        return -ESTALE;
    if (error < 0)
        return error;
    if (fstat(question->fd, &facts) < 0)
        return -errno;
    after = state_of(&facts);
    return same_state(&before, &after) ? 0 : -ESTALE;
}

static void remember(struct digests *digests, const struct digest_question *question, const struct digest_set *set)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (question->remember && now.tv_sec - question->facts.st_ctim.tv_sec > SETTLED_S)
        digests_remember(digests, &question->facts, set);
}

int digests_compute(int fd, const struct stat *facts, unsigned algorithms, struct digest_set *set)
{
    struct digest_question question = { .fd = fd, .facts = *facts, .algorithms = algorithms };

    return compute(&question, set);
}

static void hand_back(struct ring_task *task)
{
    struct digest_ask *ask = (struct digest_ask *)((char *)task - offsetof(struct digest_ask, task));

    ask->done(ask);
}

static void question_free(struct digest_question *question)
{
    digest_front_drop(question->front);
    if (question->fd >= 0)
        close(question->fd);
    free(question);
}

/* From here on nobody joins it, and nobody who asked can take that back. */
static struct digest_ask *close_question(struct digest_question *question)
{
    struct digests *digests = question->digests;
    struct digest_question **at = &digests->questioned;

    pthread_mutex_lock(&digests->lock);
    while (*at != question)
        at = &(*at)->next;
    *at = question->next;
    struct digest_ask *asks = question->asks;
    for (struct digest_ask *ask = asks; ask; ask = ask->next)
        ask->question = NULL;
    pthread_mutex_unlock(&digests->lock);
    return asks;
}

static void run(struct job *job)
{
    struct digest_question *question = (struct digest_question *)((char *)job - offsetof(struct digest_question, job));
    struct digest_set set = { 0 };

    int result = atomic_load(&question->stop) ? -ECANCELED : compute(question, &set);
    if (result == 0)
        remember(question->digests, question, &set);
    for (struct digest_ask *ask = close_question(question), *next; ask; ask = next) {
        next = ask->next;
        ask->result = result;
        ask->set = set;
        ask->task.run = hand_back;
        ring_post(ask->home, &ask->task);
    }
    question_free(question);
}

/* With the lock held. */
static bool has_too_many(const struct digests *digests, uint64_t asker)
{
    unsigned count = 0;

    for (const struct digest_question *question = digests->questioned; question; question = question->next) {
        for (const struct digest_ask *ask = question->asks; ask; ask = ask->next)
            count += ask->asker == asker;
    }
    return asker != 0 && count >= DIGESTS_PER_ASKER;
}

/* With the lock held. One that was given up is not gone on with: its thread may be past the last look. */
static struct digest_question *find_question(struct digests *digests, const struct digest_ask *ask)
{
    struct state state = state_of(&ask->facts);

    for (struct digest_question *question = digests->questioned; question; question = question->next) {
        struct state other = state_of(&question->facts);
        if (question->asks && question->algorithms == ask->algorithms && question->remember == ask->remember &&
            same_state(&other, &state))
            return question;
    }
    return NULL;
}

static struct digest_question *question_new(struct digests *digests, const struct digest_ask *ask)
{
    struct digest_question *question = calloc(1, sizeof *question);

    if (!question)
        return NULL;
    question->digests = digests;
    question->fd = fcntl(ask->fd, F_DUPFD_CLOEXEC, 3);
    question->facts = ask->facts;
    question->algorithms = ask->algorithms;
    question->remember = ask->remember;
    question->spares_cache = ask->spares_cache;
    atomic_init(&question->stop, atomic_load(&digests->stop));
    if (question->fd >= 0)
        return question;
    question_free(question);
    return NULL;
}

/* With the lock held. */
static int join(struct digests *digests, struct digest_ask *ask, struct digest_question **fresh)
{
    struct digest_question *question = find_question(digests, ask);

    if (has_too_many(digests, ask->asker))
        return -EUSERS;
    if (!question) {
        question = *fresh = question_new(digests, ask);
        if (!question)
            return -ENOMEM;
        question->front = ask->front;
        ask->front = NULL;
        question->next = digests->questioned;
        digests->questioned = question;
    }
    ask->question = question;
    ask->next = question->asks;
    question->asks = ask;
    return 0;
}

int digests_ask(struct digests *digests, struct digest_ask *ask)
{
    struct digest_question *fresh = NULL;

    ask->set = (struct digest_set){ 0 };
    pthread_mutex_lock(&digests->lock);
    int error = join(digests, ask, &fresh);
    struct digest_front *left = ask->front;
    ask->front = NULL;
    if (fresh) {
        fresh->job = (struct job){ .run = run };
        jobs_submit(fresh->remember ? digests->questions : digests->arrivals, &fresh->job);
    }
    pthread_mutex_unlock(&digests->lock);
    digest_front_drop(left);
    return error;
}

bool digests_forget(struct digests *digests, struct digest_ask *ask)
{
    pthread_mutex_lock(&digests->lock);
    struct digest_question *question = ask->question;
    if (question) {
        struct digest_ask **at = &question->asks;
        while (*at != ask)
            at = &(*at)->next;
        *at = ask->next;
        if (!question->asks)
            atomic_store(&question->stop, true);
    }
    pthread_mutex_unlock(&digests->lock);
    return question;
}

int digests_new(struct digests **made, unsigned threads)
{
    struct digests *digests = calloc(1, sizeof *digests);

    *made = NULL;
    if (!digests)
        return -ENOMEM;
    pthread_mutex_init(&digests->lock, NULL);
    digests->memories = calloc(BUCKETS * WAYS, sizeof *digests->memories);
    int error = digests->memories ? jobs_new(&digests->questions, threads, "digest", NICE) : -ENOMEM;
    if (error == 0)
        error = jobs_new(&digests->arrivals, threads, "verify", NICE);
    if (error < 0) {
        digests_free(digests);
        return error;
    }
    *made = digests;
    return 0;
}

void digests_stop(struct digests *digests)
{
    pthread_mutex_lock(&digests->lock);
    atomic_store(&digests->stop, true);
    for (struct digest_question *question = digests->questioned; question; question = question->next)
        atomic_store(&question->stop, true);
    pthread_mutex_unlock(&digests->lock);
}

void digests_free(struct digests *digests)
{
    if (!digests)
        return;
    digests_stop(digests);
    jobs_free(digests->questions);
    jobs_free(digests->arrivals);
    free(digests->memories);
    pthread_mutex_destroy(&digests->lock);
    free(digests);
}
