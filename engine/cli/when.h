/* Moments as operators write and read them: local time with its zone. */
#ifndef SLUICE_CLI_WHEN_H
#define SLUICE_CLI_WHEN_H

#include <stddef.h>
#include <stdint.h>

#define WHEN_SIZE 40

/*
 * "90s", "30m", "2h", "7d", "4w": so long before `now`; "2026-11-21", "2026-11-21 14:00", "2026-11-21T14:00:05": local
 * time, or with "Z" or "+01:00" behind it in that zone. Microseconds since 1970. 0 or -EINVAL.
 */
int when_parse(const char *text, uint64_t now, uint64_t *when);

/* "2026-11-21 14:00:05 +0100"; "" for 0. Returns `out`. */
const char *when_text(uint64_t when, char out[WHEN_SIZE]);
/* RFC 3339 with milliseconds, UTC. */
const char *when_utc(uint64_t when, char out[WHEN_SIZE]);

#endif
