/*
 * A rate: bytes per second, written as a number with an optional K, M, G or T behind it (powers of 1024) and an
 * optional fraction: 800K, 100M, 1.5G.
 */
#ifndef SLUICE_CONFIG_RATE_H
#define SLUICE_CONFIG_RATE_H

#include <stddef.h>
#include <stdint.h>

#define CONFIG_RATE_MIN UINT64_C(1024)
#define CONFIG_RATE_MAX ((uint64_t)INT64_MAX)

/* 0, -EINVAL (it is written in another way) or -ERANGE (out of the bounds above). */
int config_rate_parse(const char *text, uint64_t *rate);

#define CONFIG_RATE_SIZE 32
/* As an operator would write it, to three digits at least: "100M", "1.5G", "1000". Returns `out`. */
const char *config_rate_text(uint64_t rate, char out[CONFIG_RATE_SIZE]);

#endif
