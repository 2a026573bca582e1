/*
 * Failed logins, counted per address, so that guessing is slow and short.
 *
 * After each failure the next answers to that address are held back, longer each time; after GUESSES_MAX failures
 * within GUESSES_WINDOW its logins are refused without being verified until the window has passed. A success forgets
 * them only where all were of that very name: somebody who mistyped. Else whoever has one password could guess those of
 * others for ever, with a login of their own in between. The table is bounded: when it is full, the address that failed
 * longest ago is forgotten. IPv6 addresses count by their /64: whoever has one has all of it. Any thread.
 */
#ifndef SLUICE_GATE_GUESSES_H
#define SLUICE_GATE_GUESSES_H

#include <stdbool.h>
#include <stdint.h>

#define GUESSES_MAX 20
#define GUESSES_WINDOW_MS (10 * 60 * 1000)
#define GUESSES_DELAY_FIRST_MS 250
#define GUESSES_DELAY_MAX_MS 8000
#define GUESSES_ADDRESSES 4096

struct guesses;

struct guesses *guesses_new(void); /* NULL: no memory */
void guesses_free(struct guesses *guesses);

/*
 * `now`: milliseconds of a monotonic clock. Ask right before a password is verified, and tell of the outcome right
 * after it, in the job that does it: of what waits for its turn nobody knows yet that it fails, and a thousand
 * connections could each guess once.
 */
bool guesses_allowed(struct guesses *guesses, const uint8_t address[16], uint64_t now); /* false: refuse unverified */
/* How long to hold the answer back: milliseconds, never 0. */
unsigned guesses_failed(struct guesses *guesses, const uint8_t address[16], const char *name, uint64_t now);
void guesses_succeeded(struct guesses *guesses, const uint8_t address[16], const char *name);

#endif
