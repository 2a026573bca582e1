/* Dates of RFC 9110, 5.6.7. Nothing here looks at the locale, as strftime and strptime would. */
#include "engine/http/http.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define YEAR_9999_END 253402300799 /* what four digits can say at most, and at least: */
#define YEAR_0_START (-62167219200)

static const char *const days[] = { "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday" };
static const char *const months[] = {
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"
};

/* Keeps within so many values: the compiler shall see that the text fits. */
static unsigned bounded(int number, unsigned limit)
{
    return (unsigned)number % limit;
}

void http_date(time_t when, char text[HTTP_DATE_SIZE])
{
    struct tm tm;

    when = when > YEAR_9999_END ? YEAR_9999_END : when < YEAR_0_START ? YEAR_0_START : when;
    gmtime_r(&when, &tm);
    snprintf(text, HTTP_DATE_SIZE, "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT", days[tm.tm_wday],
             bounded(tm.tm_mday, 100), months[tm.tm_mon], bounded(tm.tm_year + 1900, 10000), bounded(tm.tm_hour, 100),
             bounded(tm.tm_min, 100), bounded(tm.tm_sec, 100));
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
