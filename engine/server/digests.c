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
#define EXPECTED_MAX 64
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

/* A question that nobody waits for yet. */
struct expected {
    struct digest_ask ask;
    struct expected *next;
};

struct digests {
    struct jobs *questions; /* of whoever may read */
    struct jobs *arrivals;  /* of uploads, whose senders wait: no number of questions holds them up */
    atomic_bool stop;
    pthread_mutex_t lock;
    struct digest_ask *asked;  /* guarded by lock: of each question, one has a job and the others wait with it */
    struct expected *expected; /* guarded by lock, as is their number */
    unsigned expected_count;
    struct memory *memories; /* guarded by lock: BUCKETS times WAYS */
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

static bool same_question(const struct digest_ask *a, const struct digest_ask *b)
{
    struct state of_a = state_of(&a->facts), of_b = state_of(&b->facts);

    return a->algorithms == b->algorithms && a->remember == b->remember && same_state(&of_a, &of_b);
}

static int compute(struct digests *digests, struct digest_ask *ask)
{
    struct state before = state_of(&ask->facts), after;
    struct stat facts;
    int error = digest_file(ask->fd, (uint64_t)ask->facts.st_size, ask->algorithms, &digests->stop, &ask->set);

    if (error == -ENODATA)
        return -ESTALE;
    if (error < 0)
        return error;
    if (fstat(ask->fd, &facts) < 0)
        return -errno;
    after = state_of(&facts);
    return same_state(&before, &after) ? 0 : -ESTALE;
}

static void remember(struct digests *digests, const struct digest_ask *ask)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (ask->result == 0 && ask->remember && now.tv_sec - ask->facts.st_ctim.tv_sec > SETTLED_S)
        digests_remember(digests, &ask->facts, &ask->set);
}

static void hand_back(struct ring_task *task)
{
    struct digest_ask *ask = (struct digest_ask *)((char *)task - offsetof(struct digest_ask, task));

    ask->done(ask);
}

/* Takes out who leads and all who ask the same, as one list. */
static struct digest_ask *take_out(struct digests *digests, const struct digest_ask *leader)
{
    struct digest_ask *out = NULL;

    pthread_mutex_lock(&digests->lock);
    for (struct digest_ask **at = &digests->asked; *at;) {
        struct digest_ask *ask = *at;
        if (!same_question(ask, leader)) {
            at = &ask->next;
            continue;
        }
        *at = ask->next;
        ask->next = out;
        out = ask;
    }
    pthread_mutex_unlock(&digests->lock);
    return out;
}

static void run(struct job *job)
{
    struct digest_ask *leader = (struct digest_ask *)((char *)job - offsetof(struct digest_ask, job));
    struct digests *digests = leader->digests;

    leader->result = compute(digests, leader);
    remember(digests, leader);
    for (struct digest_ask *ask = take_out(digests, leader), *next; ask; ask = next) {
        next = ask->next;
        if (ask == leader)
            continue; /* goes home by its job */
        ask->result = leader->result;
        ask->set = leader->set;
        ask->task.run = hand_back;
        ring_post(ask->home, &ask->task);
    }
}

static void job_done(struct job *job)
{
    struct digest_ask *ask = (struct digest_ask *)((char *)job - offsetof(struct digest_ask, job));

    ask->done(ask);
}

void digests_ask(struct digests *digests, struct digest_ask *ask)
{
    bool leads = true;

    ask->digests = digests;
    ask->set = (struct digest_set){ 0 };
    pthread_mutex_lock(&digests->lock);
    for (const struct digest_ask *other = digests->asked; other && leads; other = other->next)
        leads = !same_question(other, ask);
    ask->next = digests->asked;
    digests->asked = ask;
    pthread_mutex_unlock(&digests->lock);
    if (!leads)
        return;
    ask->job = (struct job){ .run = run, .done = job_done, .home = ask->home };
    jobs_submit(ask->remember ? digests->questions : digests->arrivals, &ask->job);
}

/* -- what will be asked for ---------------------------------------------------------------------------------------- */

static void forget_expected(struct expected *expected)
{
    close(expected->ask.fd);
    free(expected);
}

static void expected_done(struct digest_ask *ask)
{
    struct digests *digests = ask->digests;
    struct expected *done = (struct expected *)ask, **at = &digests->expected;

    pthread_mutex_lock(&digests->lock);
    while (*at != done)
        at = &(*at)->next;
    *at = done->next;
    digests->expected_count--;
    pthread_mutex_unlock(&digests->lock);
    forget_expected(done);
}

static bool enlist(struct digests *digests, struct expected *expected)
{
    pthread_mutex_lock(&digests->lock);
    bool room = digests->expected_count < EXPECTED_MAX;
    if (room) {
        digests->expected_count++;
        expected->next = digests->expected;
        digests->expected = expected;
    }
    pthread_mutex_unlock(&digests->lock);
    return room;
}

void digests_expect(struct digests *digests, int fd, const struct stat *facts, unsigned algorithms, struct ring *home)
{
    struct expected *expected = calloc(1, sizeof *expected);

    if (!expected)
        return;
    expected->ask = (struct digest_ask){ .fd = fcntl(fd, F_DUPFD_CLOEXEC, 3),
                                         .facts = *facts,
                                         .algorithms = algorithms,
                                         .remember = true,
                                         .home = home,
                                         .done = expected_done };
    if (expected->ask.fd >= 0 && enlist(digests, expected)) {
        digests_ask(digests, &expected->ask);
        return;
    }
    if (expected->ask.fd >= 0)
        close(expected->ask.fd);
    free(expected);
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
    atomic_store(&digests->stop, true);
}

void digests_free(struct digests *digests)
{
    if (!digests)
        return;
    digests_stop(digests);
    jobs_free(digests->questions);
    jobs_free(digests->arrivals);
    while (digests->expected) { /* whose home has ended before them */
        struct expected *expected = digests->expected;
        digests->expected = expected->next;
        forget_expected(expected);
    }
    free(digests->memories);
    pthread_mutex_destroy(&digests->lock);
    free(digests);
}
