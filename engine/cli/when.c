#include "engine/cli/when.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SECOND UINT64_C(1000000)

static const struct {
    char letter;
    uint64_t seconds;
} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { 'w', 7 * 86400 } };

/* A number and a letter, and nothing else. */
static bool parse_ago(const char *text, uint64_t *microseconds)
{
    char *end;

    if (!isdigit((unsigned char)text[0]))
        return false;
    errno = 0;
    unsigned long long count = strtoull(text, &end, 10);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (*end != units[i].letter || end[1])
            continue;
        *microseconds =
            count > UINT64_MAX / SECOND / units[i].seconds || errno ? UINT64_MAX : count * units[i].seconds * SECOND;
        return true;
    }
    return false;
}

/* "", "Z" or "+01:00", "-0330": seconds east of Greenwich. False: something else. */
static bool parse_zone(const char *text, bool *local, long *east)
{
    unsigned hours = 0, minutes = 0;
    int used = 0;

    *local = text[0] == '\0';
    *east = 0;
    if (*local || strcmp(text, "Z") == 0)
        return true;
    if (text[0] != '+' && text[0] != '-')
        return false;
    if (sscanf(text + 1, "%2u:%2u%n", &hours, &minutes, &used) < 2 || text[1 + used]) {
        used = 0;
        if (sscanf(text + 1, "%2u%2u%n", &hours, &minutes, &used) < 2 || text[1 + used])
            return false;
    }
    if (hours > 15 || minutes > 59)
        return false;
    *east = (long)(hours * 3600 + minutes * 60) * (text[0] == '-' ? -1 : 1);
    return true;
}

static bool is_date(const struct tm *given, time_t found)
{
    struct tm back;

    return localtime_r(&found, &back) && back.tm_mday == given->tm_mday && back.tm_mon == given->tm_mon;
}

static bool parse_moment(const char *text, uint64_t *when)
{
    struct tm moment = { .tm_isdst = -1 };
    bool local;
    long east;
    const char *end = strptime(text, "%Y-%m-%d", &moment);

    if (!end || strspn(text, "0123456789") != 4)
        return false;
    if ((*end == ' ' || *end == 'T') && isdigit((unsigned char)end[1])) {
        const char *with_seconds = strptime(end + 1, "%H:%M:%S", &moment);
        end = with_seconds ? with_seconds : strptime(end + 1, "%H:%M", &moment);
    }
    if (end && *end == ' ')
        end++;
    if (!end || !parse_zone(end, &local, &east))
        return false;
    struct tm given = moment;
    time_t found = local ? mktime(&moment) : timegm(&moment) - east;
    if (found < 0 || (local ? !is_date(&given, found) : moment.tm_mday != given.tm_mday))
        return false;
    *when = (uint64_t)found * SECOND;
    return true;
}

int when_parse(const char *text, uint64_t now, uint64_t *when)
{
    uint64_t ago;

    if (parse_ago(text, &ago)) {
        *when = ago < now ? now - ago : 0;
        return 0;
    }
    return parse_moment(text, when) ? 0 : -EINVAL;
}

const char *when_text(uint64_t when, char out[WHEN_SIZE])
{
    time_t seconds = (time_t)(when / SECOND);
    struct tm local;

    out[0] = '\0';
    if (when && localtime_r(&seconds, &local))
        strftime(out, WHEN_SIZE, "%Y-%m-%d %H:%M:%S %z", &local);
    return out;
}

const char *when_utc(uint64_t when, char out[WHEN_SIZE])
{
    time_t seconds = (time_t)(when / SECOND);
    struct tm utc;
    char text[24];

    out[0] = '\0';
    if (when && gmtime_r(&seconds, &utc) && strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc))
        snprintf(out, WHEN_SIZE, "%s.%03uZ", text, (unsigned)(when % SECOND / 1000));
    return out;
}
