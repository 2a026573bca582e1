#include "engine/client/plan.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define SPLIT_BYTES (UINT64_C(8) << 20) /* a rest smaller than this is not split: it costs a connection */
#define SPLIT_MS 2000                   /* nor one that will be done in less */
#define TELL_MS 200                     /* how often those who wait look whether something can be split */

struct share {
    bool busy;
    uint64_t first, at, end; /* done to `at` */
    uint64_t since;          /* when it was taken, milliseconds */
};

struct plan {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t size;
    struct extents done;
    unsigned streams;
    bool stopped;
    int error; /* of keeping the books */
    struct share shares[PLAN_STREAMS_MAX];
};

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int copy(const struct extents *from, struct extents *to)
{
    int rc = extents_add_all(to, from);

    if (rc < 0)
        extents_clear(to);
    return rc;
}

struct plan *plan_new(uint64_t size, const struct extents *have, unsigned streams)
{
    struct plan *plan = calloc(1, sizeof *plan);
    pthread_condattr_t attributes;

    if (!plan || (have && copy(have, &plan->done) < 0)) {
        free(plan);
        return NULL;
    }
    plan->size = size;
    plan->streams = streams < PLAN_STREAMS_MAX ? streams : PLAN_STREAMS_MAX;
    pthread_mutex_init(&plan->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&plan->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    return plan;
}

void plan_free(struct plan *plan)
{
    if (!plan)
        return;
    pthread_cond_destroy(&plan->changed);
    pthread_mutex_destroy(&plan->lock);
    extents_clear(&plan->done);
    free(plan);
}

/* Who is busy with the byte at `position`; else NULL, and *end is moved to where the next one begins. */
static const struct share *busy_at(const struct plan *plan, uint64_t position, uint64_t *end)
{
    for (unsigned i = 0; i < plan->streams; i++) {
        const struct share *share = &plan->shares[i];
        if (!share->busy || share->at >= share->end)
            continue;
        if (share->at <= position && position < share->end)
            return share;
        if (share->at > position && share->at < *end)
            *end = share->at;
    }
    return NULL;
}

/* The first gap at or behind `from` that nobody is busy with. */
static bool next_free(const struct plan *plan, uint64_t from, uint64_t *first, uint64_t *end)
{
    while (extents_next_missing(&plan->done, plan->size, from, first, end)) {
        const struct share *share = busy_at(plan, *first, end);
        if (!share)
            return true;
        from = share->end;
    }
    return false;
}

static uint64_t free_bytes(const struct plan *plan)
{
    uint64_t total = 0, first, end;

    for (uint64_t from = 0; next_free(plan, from, &first, &end); from = end)
        total += end - first;
    return total;
}

/* Guided: each range a part of what is left, so that late ones are small. One stream alone has nobody to share with. */
static uint64_t cut(const struct plan *plan, uint64_t first, uint64_t end)
{
    uint64_t length = free_bytes(plan) / (2 * plan->streams);

    if (plan->streams == 1 || end - first <= PLAN_SMALLEST)
        return end;
    length = length < PLAN_SMALLEST ? PLAN_SMALLEST : length > PLAN_LARGEST ? PLAN_LARGEST : length;
    if (end - first <= length)
        return end;
    uint64_t at = (first + length) / PLAN_SMALLEST * PLAN_SMALLEST;
    return at > first ? at : end;
}

static void give(struct plan *plan, unsigned stream, uint64_t first, uint64_t end)
{
    plan->shares[stream] = (struct share){ .busy = true, .first = first, .at = first, .end = end, .since = now_ms() };
}

/* How long the share's rest will take at its pace so far; one that has not begun is given time to. */
static uint64_t rest_ms(const struct share *share, uint64_t now)
{
    uint64_t passed = now - share->since, moved = share->at - share->first;

    if (moved == 0)
        return passed > SPLIT_MS ? UINT64_MAX : 0;
    double left = (double)(share->end - share->at) / (double)moved * (double)passed;
    return left < 1e15 ? (uint64_t)left : UINT64_MAX;
}

/* Takes the second half of the rest of the one that would need longest. */
static bool split(struct plan *plan, unsigned stream)
{
    struct share *slowest = NULL;
    uint64_t now = now_ms(), longest = SPLIT_MS;

    for (unsigned i = 0; i < plan->streams; i++) {
        struct share *share = &plan->shares[i];
        if (!share->busy || share->end - share->at < SPLIT_BYTES)
            continue;
        uint64_t rest = rest_ms(share, now);
        if (rest > longest) {
            longest = rest;
            slowest = share;
        }
    }
    if (!slowest)
        return false;
    uint64_t end = slowest->end;
    uint64_t middle = (slowest->at + (end - slowest->at) / 2) / PLAN_SMALLEST * PLAN_SMALLEST;
    slowest->end = middle;
    give(plan, stream, middle, end);
    return true;
}

/* 0, -EAGAIN, -ENODATA, or why there will be nothing any more. */
static int try_to_take(struct plan *plan, unsigned stream)
{
    uint64_t first, end;

    if (plan->stopped)
        return -ECANCELED;
    if (plan->error < 0)
        return plan->error;
    if (extents_hold(&plan->done, 0, plan->size))
        return -ENODATA;
    if (next_free(plan, 0, &first, &end)) {
        give(plan, stream, first, cut(plan, first, end));
        return 0;
    }
    return split(plan, stream) ? 0 : -EAGAIN;
}

static void wait_until(struct plan *plan, uint64_t when)
{
    struct timespec deadline = { .tv_sec = (time_t)(when / 1000), .tv_nsec = (long)(when % 1000) * 1000000 };

    pthread_cond_timedwait(&plan->changed, &plan->lock, &deadline);
}

int plan_take(struct plan *plan, unsigned stream, unsigned milliseconds, uint64_t *first, uint64_t *end)
{
    uint64_t deadline = now_ms() + milliseconds;
    int rc;

    pthread_mutex_lock(&plan->lock);
    while ((rc = try_to_take(plan, stream)) == -EAGAIN) {
        uint64_t now = now_ms();
        if (now >= deadline)
            break;
        wait_until(plan, now + TELL_MS < deadline ? now + TELL_MS : deadline);
    }
    if (rc == 0) {
        *first = plan->shares[stream].first;
        *end = plan->shares[stream].end;
    }
    pthread_mutex_unlock(&plan->lock);
    return rc;
}

int plan_take_this(struct plan *plan, unsigned stream, uint64_t first, uint64_t end)
{
    uint64_t gap, gap_end;
    int rc = -EINVAL;

    pthread_mutex_lock(&plan->lock);
    if (next_free(plan, first, &gap, &gap_end) && gap == first && end > first && end <= gap_end) {
        give(plan, stream, first, end);
        rc = 0;
    }
    pthread_mutex_unlock(&plan->lock);
    return rc;
}

/* A stream may have moved more than is its own by now: those bytes are as good as anybody's. */
static void note(struct plan *plan, struct share *share, uint64_t bytes)
{
    uint64_t at = share->first + bytes;

    if (!share->busy || at <= share->at)
        return;
    int rc = extents_add(&plan->done, share->first, at);
    if (rc < 0)
        plan->error = rc;
    else
        share->at = at < share->end ? at : share->end;
}

uint64_t plan_moved(struct plan *plan, unsigned stream, uint64_t bytes)
{
    struct share *share = &plan->shares[stream];

    pthread_mutex_lock(&plan->lock);
    note(plan, share, bytes);
    uint64_t length = share->end - share->first;
    pthread_mutex_unlock(&plan->lock);
    return length;
}

void plan_end(struct plan *plan, unsigned stream, uint64_t bytes)
{
    struct share *share = &plan->shares[stream];

    pthread_mutex_lock(&plan->lock);
    note(plan, share, bytes);
    share->busy = false;
    pthread_cond_broadcast(&plan->changed);
    pthread_mutex_unlock(&plan->lock);
}

void plan_stop(struct plan *plan)
{
    pthread_mutex_lock(&plan->lock);
    plan->stopped = true;
    pthread_cond_broadcast(&plan->changed);
    pthread_mutex_unlock(&plan->lock);
}

bool plan_complete(struct plan *plan)
{
    pthread_mutex_lock(&plan->lock);
    bool complete = extents_hold(&plan->done, 0, plan->size);
    pthread_mutex_unlock(&plan->lock);
    return complete;
}

uint64_t plan_done(struct plan *plan)
{
    pthread_mutex_lock(&plan->lock);
    uint64_t total = extents_total(&plan->done);
    pthread_mutex_unlock(&plan->lock);
    return total;
}

int plan_copy(struct plan *plan, struct extents *out)
{
    pthread_mutex_lock(&plan->lock);
    int rc = copy(&plan->done, out);
    pthread_mutex_unlock(&plan->lock);
    return rc;
}

uint64_t plan_front(struct plan *plan)
{
    uint64_t first, end;

    pthread_mutex_lock(&plan->lock);
    if (!extents_next_missing(&plan->done, plan->size, 0, &first, &end))
        first = plan->size;
    pthread_mutex_unlock(&plan->lock);
    return first;
}
