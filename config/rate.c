#include "config/rate.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/internal.h"

#define FRACTION_DIGITS 6 /* 10^6 * 2^40 fits */

static const struct {
    char suffix;
    unsigned shift;
} units[] = { { 'T', 40 }, { 'G', 30 }, { 'M', 20 }, { 'K', 10 }, { '\0', 0 } };

/* Digits behind the point, as a part of 10^FRACTION_DIGITS; further ones are too small to matter. */
static int parse_fraction(const char **text, uint64_t *parts)
{
    const char *at = *text;
    unsigned digits = 0;

    *parts = 0;
    if (!isdigit((unsigned char)*at))
        return -EINVAL;
    for (; isdigit((unsigned char)*at); at++) {
        if (digits++ < FRACTION_DIGITS)
            *parts = *parts * 10 + (uint64_t)(*at - '0');
    }
    for (; digits < FRACTION_DIGITS; digits++)
        *parts *= 10;
    *text = at;
    return 0;
}

static int unit_shift(const char *text)
{
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (text[0] == units[i].suffix && (text[0] == '\0' || text[1] == '\0'))
            return (int)units[i].shift;
    }
    return -1;
}

int config_rate_parse(const char *text, uint64_t *rate)
{
    uint64_t whole, parts = 0;
    const char *at;

    if (!config_digits(text, &whole, &at))
        return isdigit((unsigned char)text[0]) ? -ERANGE : -EINVAL;
    if (*at == '.') {
        at++;
        if (parse_fraction(&at, &parts) < 0)
            return -EINVAL;
    }
    int shift = unit_shift(at);
    if (shift < 0)
        return -EINVAL;
    if (__builtin_mul_overflow(whole, UINT64_C(1) << shift, &whole))
        return -ERANGE;
    whole += (parts << shift) / 1000000;
    if (whole < CONFIG_RATE_MIN || whole > CONFIG_RATE_MAX)
        return -ERANGE;
    *rate = whole;
    return 0;
}

const char *config_rate_text(uint64_t rate, char out[CONFIG_RATE_SIZE])
{
    size_t i = 0;

    while (units[i].shift > 0 && rate >> units[i].shift == 0)
        i++;
    uint64_t unit = UINT64_C(1) << units[i].shift;
    if (rate % unit == 0)
        snprintf(out, CONFIG_RATE_SIZE, "%llu%.1s", (unsigned long long)(rate / unit), &units[i].suffix);
    else
        snprintf(out, CONFIG_RATE_SIZE, "%.2f%.1s", (double)rate / (double)unit, &units[i].suffix);
    return out;
}
