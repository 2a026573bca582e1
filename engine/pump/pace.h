/* Private to this folder and its tests: how many bytes a pump may take now. Zeroed memory is one that begins. */
#ifndef SLUICE_PUMP_PACE_H
#define SLUICE_PUMP_PACE_H

#include <stddef.h>
#include <stdint.h>

struct pace {
    double allowed; /* bytes; below 0 where more were taken */
    double at;      /* seconds of the monotonic clock when that was reckoned; 0: never */
};

/*
 * Reckons what `rate` (bytes per second) has allowed by now. 0: go on, pace_room() says how far; else wait that many
 * milliseconds. Where `least` bytes are there it is worth going on in any case.
 */
unsigned pace_wait(struct pace *pace, uint64_t rate, uint64_t least);
size_t pace_room(const struct pace *pace, size_t size); /* at most `size`; at least 1 after pace_wait() gave 0 */
void pace_used(struct pace *pace, size_t bytes);

#endif
