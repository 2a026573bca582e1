/* What a file has beside its bytes, as our own fields write it. */
#include "engine/http/http.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NANOSECONDS_DIGITS 9
#define SECONDS_DIGITS 15 /* beyond what any file system keeps, and short of an overflow */

void http_time(const struct timespec *when, char text[HTTP_TIME_SIZE])
{
    struct http_writer writer = { .bytes = text, .capacity = HTTP_TIME_SIZE };
    unsigned long long fraction = (unsigned long long)when->tv_nsec;

    if (when->tv_sec < 0)
        http_write_text(&writer, "-");
    http_write_number(&writer, when->tv_sec < 0 ? 0 - (uint64_t)when->tv_sec : (uint64_t)when->tv_sec);
    http_write_text(&writer, ".");
    for (size_t i = NANOSECONDS_DIGITS; i-- > 0; fraction /= 10)
        text[writer.length + i] = (char)('0' + fraction % 10);
    text[writer.length + NANOSECONDS_DIGITS] = '\0';
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
