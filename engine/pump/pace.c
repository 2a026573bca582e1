/*
 * A body that is taken no faster than it may be: what the socket does not hold any more, TCP makes the peer wait with.
 * Bytes are allowed as time passes; once they are used up the pump waits for a slice of a second's worth.
 */
#include "engine/pump/pace.h"

#include <time.h>

#define SLICES 20.0      /* a second */
#define SAVED_SLICES 4.0 /* so many are made up for where this process had no time */

static double pace_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double slice_of(uint64_t rate)
{
    return (double)rate / SLICES;
}

unsigned pace_wait(struct pace *pace, uint64_t rate, uint64_t least)
{
    double now = pace_now(), slice = slice_of(rate), most = slice * SAVED_SLICES;

    if (pace->at == 0)
        pace->allowed = slice;
    else
        pace->allowed += (now - pace->at) * (double)rate;
    pace->at = now;
    if (pace->allowed > most)
        pace->allowed = most;
    if (pace->allowed >= 1 && (pace->allowed >= slice || pace->allowed >= (double)least))
        return 0;
    double wanted = slice < 1 ? 1 : slice;
    double milliseconds = (wanted - pace->allowed) * 1000 / (double)rate;
    return milliseconds < 1 ? 1 : (unsigned)milliseconds + 1;
}

size_t pace_room(const struct pace *pace, size_t size)
{
    return pace->allowed < (double)size ? (size_t)pace->allowed : size;
}

void pace_used(struct pace *pace, size_t bytes)
{
    pace->allowed -= (double)bytes;
}
