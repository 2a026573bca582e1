/* What a file has beside its bytes, as our own fields write it. */
#include "engine/http/http.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NANOSECONDS_DIGITS 9
#define SECONDS_DIGITS 15 /* beyond what any file system keeps, and short of an overflow */

void http_time(const struct timespec *when, char text[HTTP_TIME_SIZE])
{
    snprintf(text, HTTP_TIME_SIZE, "%lld.%09ld", (long long)when->tv_sec, when->tv_nsec);
}

static const char *read_digits(const char *text, size_t most, size_t *count, long long *value)
{
    *value = 0;
    for (*count = 0; text[*count] >= '0' && text[*count] <= '9'; (*count)++) {
        if (*count == most)
            return NULL;
        *value = *value * 10 + (text[*count] - '0');
    }
    return *count > 0 ? text + *count : NULL;
}

int http_time_parse(const char *text, struct timespec *when)
{
    bool negative = *text == '-';
    long long seconds, nanoseconds;
    size_t count;

    const char *rest = read_digits(text + negative, SECONDS_DIGITS, &count, &seconds);
    if (!rest || *rest != '.')
        return -EINVAL;
    rest = read_digits(rest + 1, NANOSECONDS_DIGITS, &count, &nanoseconds);
    if (!rest || *rest || count != NANOSECONDS_DIGITS)
        return -EINVAL;
    *when = (struct timespec){ .tv_sec = (time_t)(negative ? -seconds : seconds), .tv_nsec = (long)nanoseconds };
    return 0;
}

int http_mode_parse(const char *text, unsigned *mode)
{
    unsigned value = 0;
    size_t length = strlen(text);

    if (length < 3 || length > 4)
        return -EINVAL;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '7')
            return -EINVAL;
        value = value * 8 + (unsigned)(text[i] - '0');
    }
    if (value > 0777)
        return -EINVAL;
    *mode = value;
    return 0;
}
