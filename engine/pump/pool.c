#include "engine/pump/pump_internal.h"
#include "engine/ring/jobs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct shelf {
    unsigned bound, made;
    struct pool_item *free;
    struct pool_wait *first, **last; /* who waits, longest first */
};

struct pump_pool {
    struct ring *ring;
    struct shelf shelves[POOL_KINDS];
    struct jobs *threads;
    unsigned slots;              /* of the ring, in use */
    struct pool_holder *holders; /* of buffers */
    uint64_t pressed;            /* when they were last asked for some; milliseconds */
};

int pump_pool_new(struct pump_pool **out, struct ring *ring, unsigned buffers, unsigned pipes)
{
    *out = NULL;
    if (buffers == 0 || pipes == 0)
        return -EINVAL;
    struct pump_pool *pool = calloc(1, sizeof(*pool));
    if (!pool)
        return -ENOMEM;
    pool->ring = ring;
    pool->shelves[POOL_BUFFER].bound = buffers;
    pool->shelves[POOL_PIPE].bound = pipes;
    for (size_t i = 0; i < POOL_KINDS; i++)
        pool->shelves[i].last = &pool->shelves[i].first;
    *out = pool;
    return 0;
}

/* Touched here, on the ring's own thread: its memory is then that of the node where a pinned worker runs. */
static int make_buffer(struct pool_item *item)
{
    void *bytes =
        mmap(NULL, PUMP_BUFFER_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (bytes == MAP_FAILED)
        return -errno;
    item->bytes = bytes;
    return 0;
}

/* Beyond pipe-user-pages-soft the kernel grants less (pipe(7)): take what there is. */
static int make_pipe(struct pool_item *item)
{
    if (pipe2(item->pipe, O_CLOEXEC) != 0)
        return -errno;
    int size = -1;
    for (size_t wish = PUMP_PIPE_SIZE; size < 0 && wish > (size_t)64 << 10; wish /= 2)
        size = fcntl(item->pipe[1], F_SETPIPE_SZ, (int)wish);
    if (size < 0)
        size = fcntl(item->pipe[1], F_GETPIPE_SZ);
    if (size <= 0) {
        int error = -errno;
        close(item->pipe[0]);
        close(item->pipe[1]);
        return error;
    }
    item->pipe_size = (size_t)size;
    return 0;
}

static void item_free(enum pool_kind kind, struct pool_item *item)
{
    if (kind == POOL_BUFFER) {
        munmap(item->bytes, PUMP_BUFFER_SIZE);
    } else {
        close(item->pipe[0]);
        close(item->pipe[1]);
    }
    free(item);
}

static int item_make(enum pool_kind kind, struct pool_item **out)
{
    struct pool_item *item = calloc(1, sizeof(*item));
    if (!item)
        return -ENOMEM;
    int result = kind == POOL_BUFFER ? make_buffer(item) : make_pipe(item);
    if (result != 0) {
        free(item);
        return result;
    }
    *out = item;
    return 0;
}

void pump_pool_free(struct pump_pool *pool)
{
    if (!pool)
        return;
    for (enum pool_kind kind = 0; kind < POOL_KINDS; kind++) {
        struct pool_item *item = pool->shelves[kind].free;
        while (item) {
            struct pool_item *next = item->next;
            item_free(kind, item);
            item = next;
        }
    }
    jobs_free(pool->threads);
    free(pool);
}

bool pool_register(struct pump_pool *pool, struct pool_item *buffer)
{
    if (buffer->registered || buffer->unregistrable)
        return buffer->registered;
    buffer->slot = pool->slots;
    int result =
        pool->slots < RING_SLOTS ? ring_register(pool->ring, buffer->slot, buffer->bytes, PUMP_BUFFER_SIZE) : -ENOSPC;
    buffer->registered = result == 0;
    buffer->unregistrable = result != 0;
    pool->slots += result == 0;
    return buffer->registered;
}

struct jobs *pool_threads(struct pump_pool *pool)
{
    if (!pool->threads)
        jobs_new(&pool->threads, PUMP_THREADS, "pump", 0);
    return pool->threads;
}

/* 0; -EAGAIN: all are lent; or why none could be made, where none is lent that could come back. */
static int shelf_take(struct shelf *shelf, enum pool_kind kind, struct pool_item **out)
{
    *out = NULL;
    if (shelf->free) {
        *out = shelf->free;
        shelf->free = shelf->free->next;
        return 0;
    }
    if (shelf->made == shelf->bound)
        return -EAGAIN;
    int result = item_make(kind, out);
    if (result != 0)
        return shelf->made > 0 ? -EAGAIN : result;
    shelf->made++;
    return 0;
}

static void shelf_answer(struct pump_pool *pool, struct pool_wait *wait, int error)
{
    wait->error = error;
    wait->queued = false;
    ring_next(pool->ring, &wait->op.op);
}

static void shelf_serve(struct pump_pool *pool, enum pool_kind kind)
{
    struct shelf *shelf = &pool->shelves[kind];
    while (shelf->first) {
        struct pool_wait *wait = shelf->first;
        int result = shelf_take(shelf, kind, &wait->item);
        if (result == -EAGAIN)
            return;
        shelf->first = wait->next;
        if (!shelf->first)
            shelf->last = &shelf->first;
        shelf_answer(pool, wait, result);
    }
}

void pool_wait(struct pump_pool *pool, struct pool_wait *wait)
{
    struct shelf *shelf = &pool->shelves[wait->kind];
    flow_start(&wait->op);
    wait->item = NULL;
    wait->next = NULL;
    wait->queued = true;
    *shelf->last = wait;
    shelf->last = &wait->next;
    shelf_serve(pool, wait->kind);
}

void pool_leave(struct pump_pool *pool, struct pool_wait *wait)
{
    if (!wait->queued)
        return;
    struct shelf *shelf = &pool->shelves[wait->kind];
    struct pool_wait **place = &shelf->first;
    while (*place != wait)
        place = &(*place)->next;
    *place = wait->next;
    if (!*place)
        shelf->last = place;
    shelf_answer(pool, wait, -ECANCELED);
}

struct pool_item *pool_try(struct pump_pool *pool, enum pool_kind kind)
{
    struct pool_item *item = NULL;
    if (!pool_contended(pool, kind))
        shelf_take(&pool->shelves[kind], kind, &item);
    return item;
}

bool pool_contended(const struct pump_pool *pool, enum pool_kind kind)
{
    return pool->shelves[kind].first != NULL;
}

void pool_give_back(struct pump_pool *pool, enum pool_kind kind, struct pool_item *item, bool spoilt)
{
    struct shelf *shelf = &pool->shelves[kind];
    if (spoilt) {
        item_free(kind, item);
        shelf->made--;
    } else {
        item->next = shelf->free;
        shelf->free = item;
    }
    shelf_serve(pool, kind);
}

void pool_hold(struct pump_pool *pool, struct pool_holder *holder)
{
    holder->next = pool->holders;
    holder->place = &pool->holders;
    if (holder->next)
        holder->next->place = &holder->next;
    pool->holders = holder;
}

void pool_unhold(struct pool_holder *holder)
{
    if (!holder->place)
        return;
    *holder->place = holder->next;
    if (holder->next)
        holder->next->place = holder->place;
    holder->place = NULL;
}

static uint64_t clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void pool_press(struct pump_pool *pool)
{
    const struct pool_wait *wait = pool->shelves[POOL_BUFFER].first;
    uint64_t now = clock_now();
    if (now - pool->pressed < POOL_PATIENCE_MILLISECONDS)
        return;
    pool->pressed = now;
    for (struct pool_holder *holder = pool->holders; holder && wait; holder = holder->next) {
        if (holder->asked(holder))
            wait = wait->next;
    }
}
