/*
 * Private to this folder: what the paths share that fill a pipe while they drain another. One would not do: the kernel
 * holds a pipe's lock for as long as it waits for what fills it.
 */
#ifndef SLUICE_PUMP_PIPED_H
#define SLUICE_PUMP_PIPED_H

#include "engine/pump/pump_internal.h"

struct pipe_lane {
    struct pool_item *pipe; /* NULL: none */
    size_t held;
    bool closed; /* nothing more goes in until it is empty */
};

struct piped {
    struct flow flow;
    struct pool_wait wait;
    struct pipe_lane lanes[2];
    unsigned filling, draining; /* indices of lanes */
    size_t turn;                /* filled since it got its first pipe: where others wait for one, no more than
                                   PUMP_CROWDED_TURN */
};

void piped_begin(struct flow *flow);
/* True: there is a pipe. False: it waits for one, and will be advanced. */
bool piped_ready(struct piped *piped);
bool piped_waits(const struct piped *piped);
struct pipe_lane *piped_room(struct piped *piped); /* to be filled, NULL: none; it stays the same until that is done */
void piped_filled(struct piped *piped, size_t bytes);
struct pipe_lane *piped_load(struct piped *piped); /* to be drained, NULL: none; it stays the same until it is empty */
void piped_drained(struct piped *piped, size_t bytes);
bool piped_is_empty(const struct piped *piped);
bool piped_makes_way(const struct piped *piped); /* it has had its turn, and others wait for a pipe */
void piped_rest(struct piped *piped);            /* gives back the pipes that are empty; none is being filled */
void piped_cancel(struct piped *piped);
void piped_release(struct flow *flow);

/*
 * splice(2) between a pipe and a socket, which waits for neither: that needs a non-blocking socket, so it is one for as
 * long as the call takes. Nothing else is under way in this direction, and who moves bytes in the other waits with
 * poll. Bytes or -errno.
 */
ssize_t piped_splice(int from, int to, int socket, size_t size, unsigned flags);

#endif
