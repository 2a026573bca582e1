/* Dates of RFC 9110, 5.6.7. Nothing here looks at the locale, as strftime and strptime would. */
#include "engine/http/http.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define DAY 86400
#define YEAR_9999_END 253402300799 /* what four digits can say at most, and at least: */
#define YEAR_0_START (-62167219200)

static const char *const days[] = { "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday" };
static const char *const months[] = {
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"
};

/* Of 400 years, which are all alike. */
#define ERA_DAYS 146097
#define ERA_YEARS 400
#define DAYS_TO_1970 719468 /* since 1 March of the year 0 */

struct day {
    unsigned year, month, day, weekday;
};

/* In years that begin in March, so that a leap day is the last of its year. */
static struct day find_day(int64_t count)
{
    int64_t shifted = count + DAYS_TO_1970;
    int64_t era = (shifted >= 0 ? shifted : shifted - (ERA_DAYS - 1)) / ERA_DAYS;
    unsigned in_era = (unsigned)(shifted - era * ERA_DAYS);
    unsigned year = (in_era - in_era / 1460 + in_era / 36524 - in_era / (ERA_DAYS - 1)) / 365;
    unsigned in_year = in_era - (365 * year + year / 4 - year / 100);
    unsigned month = (5 * in_year + 2) / 153;
    int64_t weekday = (count + 4) % 7; /* 1 January 1970 was a Thursday */

    return (struct day){ .year = (unsigned)(era * ERA_YEARS + year + (month >= 10)),
                         .month = month < 10 ? month + 2 : month - 10,
                         .day = in_year - (153 * month + 2) / 5 + 1,
                         .weekday = (unsigned)(weekday < 0 ? weekday + 7 : weekday) };
}

static char *put(char *at, const char *text, size_t length)
{
    memcpy(at, text, length);
    return at + length;
}

static char *put_number(char *at, unsigned number, unsigned digits)
{
    for (unsigned i = digits; i-- > 0; number /= 10)
        at[i] = (char)('0' + number % 10);
    return at + digits;
}

void http_date(time_t when, char text[HTTP_DATE_SIZE])
{
    when = when > YEAR_9999_END ? YEAR_9999_END : when < YEAR_0_START ? YEAR_0_START : when;
    int64_t days_since = when / DAY, second = when % DAY;
    if (second < 0) {
        second += DAY;
        days_since--;
    }
    struct day day = find_day(days_since);
    char *at = put(text, days[day.weekday], 3);

    at = put_number(put(at, ", ", 2), day.day, 2);
    at = put(put(put(at, " ", 1), months[day.month], 3), " ", 1);
    at = put_number(put_number(at, day.year, 4) + 1, (unsigned)(second / 3600), 2);
    at = put_number(at + 1, (unsigned)(second / 60 % 60), 2);
    at = put_number(at + 1, (unsigned)(second % 60), 2);
    memcpy(at, " GMT", sizeof " GMT");
    at[-9] = ' ';
    at[-6] = at[-3] = ':';
}

/* A cursor over the text; once something did not match, nothing does. */
struct scan {
    const char *text;
    bool failed;
};

static void literal(struct scan *scan, const char *expected)
{
    size_t length = strlen(expected);

    if (scan->failed || strncmp(scan->text, expected, length) != 0)
        scan->failed = true;
    else
        scan->text += length;
}

static int number(struct scan *scan, unsigned digits)
{
    int value = 0;

    for (unsigned i = 0; i < digits && !scan->failed; i++) {
        char c = scan->text[i];
        scan->failed = c < '0' || c > '9';
        value = value * 10 + (c - '0');
    }
    if (!scan->failed)
        scan->text += digits;
    return scan->failed ? 0 : value;
}

/* One of `names`, of which `letters` count (0: all). */
static int name(struct scan *scan, const char *const *names, int count, size_t letters)
{
    for (int i = 0; i < count && !scan->failed; i++) {
        size_t length = letters ? letters : strlen(names[i]);
        if (strncmp(scan->text, names[i], length) == 0) {
            scan->text += length;
            return i;
        }
    }
    scan->failed = true;
    return 0;
}

static void time_of_day(struct scan *scan, struct tm *tm)
{
    tm->tm_hour = number(scan, 2);
    literal(scan, ":");
    tm->tm_min = number(scan, 2);
    literal(scan, ":");
    tm->tm_sec = number(scan, 2);
}

/* Sun, 06 Nov 1994 08:49:37 GMT */
static void imf_fixdate(struct scan *scan, struct tm *tm)
{
    name(scan, days, 7, 3);
    literal(scan, ", ");
    tm->tm_mday = number(scan, 2);
    literal(scan, " ");
    tm->tm_mon = name(scan, months, 12, 3);
    literal(scan, " ");
    tm->tm_year = number(scan, 4) - 1900;
    literal(scan, " ");
    time_of_day(scan, tm);
    literal(scan, " GMT");
}

/* A year of two digits lies at most 50 years ahead. */
static int century_of(int year)
{
    time_t now = time(NULL);
    struct tm tm;

    gmtime_r(&now, &tm);
    int full = tm.tm_year / 100 * 100 + year;
    return full > tm.tm_year + 50 ? full - 100 : full;
}

/* Sunday, 06-Nov-94 08:49:37 GMT */
static void rfc850_date(struct scan *scan, struct tm *tm)
{
    name(scan, days, 7, 0);
    literal(scan, ", ");
    tm->tm_mday = number(scan, 2);
    literal(scan, "-");
    tm->tm_mon = name(scan, months, 12, 3);
    literal(scan, "-");
    tm->tm_year = century_of(number(scan, 2));
    literal(scan, " ");
    time_of_day(scan, tm);
    literal(scan, " GMT");
}

/* Sun Nov  6 08:49:37 1994 */
static void asctime_date(struct scan *scan, struct tm *tm)
{
    name(scan, days, 7, 3);
    literal(scan, " ");
    tm->tm_mon = name(scan, months, 12, 3);
    literal(scan, " ");
    bool one_digit = !scan->failed && *scan->text == ' ';
    if (one_digit)
        scan->text++;
    tm->tm_mday = number(scan, one_digit ? 1 : 2);
    literal(scan, " ");
    time_of_day(scan, tm);
    literal(scan, " ");
    tm->tm_year = number(scan, 4) - 1900;
}

/* timegm() turns what is out of bounds into another day: only what it leaves alone was a date. */
static bool is_a_date(const struct tm *given, time_t *when)
{
    struct tm made = *given;

    if (made.tm_sec == 60)
        made.tm_sec = 59; /* a leap second, which time_t does not have */
    int second = made.tm_sec;
    *when = timegm(&made);
    return made.tm_year == given->tm_year && made.tm_mon == given->tm_mon && made.tm_mday == given->tm_mday &&
           made.tm_hour == given->tm_hour && made.tm_min == given->tm_min && made.tm_sec == second;
}

int http_date_parse(const char *text, time_t *when)
{
    static void (*const forms[])(struct scan *, struct tm *) = { imf_fixdate, rfc850_date, asctime_date };

    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct scan scan = { .text = text };
        struct tm tm = { 0 };
        forms[i](&scan, &tm);
        if (!scan.failed && *scan.text == '\0')
            return is_a_date(&tm, when) ? 0 : -EINVAL;
    }
    return -EINVAL;
}
