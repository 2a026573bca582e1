#include "engine/gate/guesses.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct guess {
    uint8_t address[16];
    uint64_t first, last; /* when the window's failures began, and the last one */
    unsigned failures;
    uint64_t name; /* hashed: whose logins they were */
    bool of_several;
};

struct guesses {
    pthread_mutex_t lock;
    size_t count;
    struct guess items[GUESSES_ADDRESSES]; /* the first `count`, in no order */
};

struct guesses *guesses_new(void)
{
    struct guesses *guesses = calloc(1, sizeof(*guesses));
    if (guesses)
        pthread_mutex_init(&guesses->lock, NULL);
    return guesses;
}

void guesses_free(struct guesses *guesses)
{
    if (!guesses)
        return;
    pthread_mutex_destroy(&guesses->lock);
    free(guesses);
}

/* What of an address is counted: all of IPv4's, the network half of IPv6's. */
static void counted_part(const uint8_t address[16], uint8_t part[16])
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
    memcpy(part, address, 16);
    if (memcmp(address, mapped, sizeof(mapped)) != 0)
        memset(part + 8, 0, 8);
}

/* FNV-1a. Of two names that somebody chose to be the same here, one would have to be theirs already. */
static uint64_t hash_of(const char *name)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
    return hash;
}

static struct guess *find(struct guesses *guesses, const uint8_t address[16])
{
    uint8_t part[16];
    counted_part(address, part);
    for (size_t i = 0; i < guesses->count; i++) {
        if (memcmp(guesses->items[i].address, part, sizeof(part)) == 0)
            return &guesses->items[i];
    }
    return NULL;
}

static bool is_over(const struct guess *guess, uint64_t now)
{
    /* Another thread may have read the clock later, and been here earlier. */
    return now > guess->first && now - guess->first >= GUESSES_WINDOW_MS;
}

static struct guess *longest_ago(struct guesses *guesses)
{
    struct guess *oldest = &guesses->items[0];
    for (size_t i = 1; i < guesses->count; i++) {
        if (guesses->items[i].last < oldest->last)
            oldest = &guesses->items[i];
    }
    return oldest;
}

static struct guess *find_or_add(struct guesses *guesses, const uint8_t address[16], uint64_t now)
{
    struct guess *guess = find(guesses, address);
    if (guess && !is_over(guess, now))
        return guess;
    if (!guess && guesses->count < GUESSES_ADDRESSES)
        guess = &guesses->items[guesses->count++];
    else if (!guess)
        guess = longest_ago(guesses);
    *guess = (struct guess){ .first = now };
    counted_part(address, guess->address);
    return guess;
}

bool guesses_allowed(struct guesses *guesses, const uint8_t address[16], uint64_t now)
{
    pthread_mutex_lock(&guesses->lock);
    const struct guess *guess = find(guesses, address);
    bool allowed = !guess || guess->failures < GUESSES_MAX || is_over(guess, now);
    pthread_mutex_unlock(&guesses->lock);
    return allowed;
}

unsigned guesses_failed(struct guesses *guesses, const uint8_t address[16], const char *name, uint64_t now)
{
    pthread_mutex_lock(&guesses->lock);
    struct guess *guess = find_or_add(guesses, address, now);
    uint64_t hash = hash_of(name);
    guess->of_several = guess->failures && (guess->of_several || guess->name != hash);
    guess->name = hash;
    guess->last = now;
    unsigned delay = GUESSES_DELAY_FIRST_MS;
    for (unsigned i = 0; i < guess->failures && delay < GUESSES_DELAY_MAX_MS; i++)
        delay *= 2;
    if (guess->failures < GUESSES_MAX)
        guess->failures++;
    pthread_mutex_unlock(&guesses->lock);
    return delay < GUESSES_DELAY_MAX_MS ? delay : GUESSES_DELAY_MAX_MS;
}

void guesses_succeeded(struct guesses *guesses, const uint8_t address[16], const char *name)
{
    pthread_mutex_lock(&guesses->lock);
    struct guess *guess = find(guesses, address);
    if (guess && !guess->of_several && guess->name == hash_of(name))
        *guess = guesses->items[--guesses->count];
    pthread_mutex_unlock(&guesses->lock);
}
