#include "engine/server/server_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PEERS_SLOTS 1024

struct peer {
    struct in6_addr address;
    unsigned connections;
    struct peer *next;
};

struct peers {
    pthread_mutex_t lock;
    struct peer *slots[PEERS_SLOTS];
};

int peers_new(struct peers **peers)
{
    struct peers *made = calloc(1, sizeof *made);

    if (!made)
        return -ENOMEM;
    pthread_mutex_init(&made->lock, NULL);
    *peers = made;
    return 0;
}

void peers_free(struct peers *peers)
{
    if (!peers)
        return;
    for (size_t i = 0; i < PEERS_SLOTS; i++) {
        while (peers->slots[i]) {
            struct peer *peer = peers->slots[i];
            peers->slots[i] = peer->next;
            free(peer);
        }
    }
    pthread_mutex_destroy(&peers->lock);
    free(peers);
}

struct in6_addr peers_part(const struct in6_addr *address)
{
    struct in6_addr part = *address;

    if (!IN6_IS_ADDR_V4MAPPED(address))
        memset(part.s6_addr + 8, 0, 8);
    return part;
}

static struct peer **find(struct peers *peers, const struct in6_addr *address)
{
    uint32_t words[4];
    memcpy(words, address, sizeof words);
    uint32_t mixed = (words[0] ^ words[1] ^ words[2] ^ words[3]) * 2654435761u;
    struct peer **place = &peers->slots[mixed >> 22];

    while (*place && memcmp(&(*place)->address, address, sizeof *address) != 0)
        place = &(*place)->next;
    return place;
}

_Static_assert(PEERS_SLOTS == 1u << 10, "the shift in find() keeps 10 bits");

bool peers_enter(struct peers *peers, const struct in6_addr *address, unsigned limit)
{
    const struct in6_addr counted = peers_part(address);
    bool entered = false;

    pthread_mutex_lock(&peers->lock);
    struct peer **place = find(peers, &counted);
    if (!*place) {
        *place = calloc(1, sizeof **place);
        if (*place)
            (*place)->address = counted;
    }
    if (*place && (*place)->connections < limit) {
        (*place)->connections++;
        entered = true;
    }
    pthread_mutex_unlock(&peers->lock);
    return entered;
}

void peers_leave(struct peers *peers, const struct in6_addr *address)
{
    const struct in6_addr counted = peers_part(address);

    pthread_mutex_lock(&peers->lock);
    struct peer **place = find(peers, &counted);
    struct peer *peer = *place;
    if (peer && --peer->connections == 0) {
        *place = peer->next;
        free(peer);
    }
    pthread_mutex_unlock(&peers->lock);
}
