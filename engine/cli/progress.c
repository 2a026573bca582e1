#include "engine/cli/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "config/printable.h"

#define WIDTH_DEFAULT 80
#define WIDTH_MAX 400
#define BAR_MAX 30
#define NAME_MAX_SHOWN 24

bool progress_wanted(bool quiet)
{
    return !quiet && isatty(STDERR_FILENO);
}

static double seconds_since(const struct timespec *start)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

void progress_begin(struct progress *progress, const char *name)
{
    *progress = (struct progress){ .name = name };
    clock_gettime(CLOCK_MONOTONIC, &progress->started);
}

static const char *scaled(double value, const char *const *units, char *text, size_t size)
{
    while (value >= 999.5 && units[1]) {
        value /= 1000;
        units++;
    }
    int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    snprintf(text, size, "%.*f %s", decimals, value, *units);
    return text;
}

const char *rate_text(double bytes_per_second, char *text, size_t size)
{
    static const char *const units[] = { "B/s", "kB/s", "MB/s", "GB/s", NULL };
    return scaled(bytes_per_second, units, text, size);
}

const char *bytes_text(uint64_t bytes, char *text, size_t size)
{
    static const char *const units[] = { "B", "kB", "MB", "GB", "TB", NULL };
    return scaled((double)bytes, units, text, size);
}

static const char *left_text(uint64_t left, double rate, char *text, size_t size)
{
    double seconds = rate > 0 ? (double)left / rate : -1;
    if (seconds < 0 || seconds > 99 * 3600.0)
        snprintf(text, size, "--:--");
    else if (seconds < 3600)
        snprintf(text, size, "%u:%02u", (unsigned)seconds / 60, (unsigned)seconds % 60);
    else
        snprintf(text, size, "%u:%02u:%02u", (unsigned)seconds / 3600, (unsigned)seconds / 60 % 60,
                 (unsigned)seconds % 60);
    return text;
}

static void bar_text(uint64_t moved, uint64_t total, unsigned length, char *text)
{
    unsigned filled = total > 0 ? (unsigned)((double)moved / (double)total * length) : length;
    filled = filled > length ? length : filled;
    memset(text, '=', filled);
    memset(text + filled, ' ', length - filled);
    if (filled > 0 && filled < length)
        text[filled - 1] = '>';
    text[length] = '\0';
}

/* Not through a character: a terminal may obey what would be left of it. */
static const char *whole_characters(const char *text)
{
    while (((unsigned char)*text & 0xc0) == 0x80)
        text++;
    return text;
}

/* The end of a name, which may be a peer's. */
static void tail_text(const char *name, char tail[NAME_MAX_SHOWN + 1])
{
    char *shown = printable(name);
    size_t length = shown ? strlen(shown) : 0;

    snprintf(tail, NAME_MAX_SHOWN + 1, "%s",
             shown ? whole_characters(shown + (length > NAME_MAX_SHOWN ? length - NAME_MAX_SHOWN : 0)) : "?");
    free(shown);
}

const char *progress_line(char *line, size_t size, unsigned width, const char *name, uint64_t moved, uint64_t total,
                          double rate, const char *path)
{
    char bytes[24], of[24], speed[24], left[24], facts[160], bar[BAR_MAX + 1] = "", tail[NAME_MAX_SHOWN + 1];

    tail_text(name, tail);
    bytes_text(moved, bytes, sizeof bytes);
    rate_text(rate, speed, sizeof speed);
    if (total == UINT64_MAX) {
        snprintf(facts, sizeof facts, "%s  %s  %s", bytes, speed, path);
    } else {
        snprintf(facts, sizeof facts, "%s of %s  %s  %s left  %s", bytes, bytes_text(total, of, sizeof of), speed,
                 left_text(total > moved ? total - moved : 0, rate, left, sizeof left), path);
        size_t used = strlen(tail) + strlen(facts) + 6;
        if (used + 8 < width)
            bar_text(moved, total, width - used > BAR_MAX ? BAR_MAX : (unsigned)(width - used), bar);
    }
    int written =
        bar[0] ? snprintf(line, size, "%s  [%s]  %s", tail, bar, facts) : snprintf(line, size, "%s  %s", tail, facts);
    if (written > 0 && width < size && (unsigned)written > width) {
        while (width > 0 && ((unsigned char)line[width] & 0xc0) == 0x80)
            width--;
        line[width] = '\0';
    }
    return line;
}

static unsigned terminal_width(void)
{
    struct winsize window;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &window) < 0 || window.ws_col < 10)
        return WIDTH_DEFAULT;
    return window.ws_col > WIDTH_MAX ? WIDTH_MAX : window.ws_col;
}

void progress_update(void *argument, uint64_t moved, uint64_t total, const char *path)
{
    struct progress *progress = argument;
    char line[WIDTH_MAX + 1], name[32]; /* of the path: what follows is told at the end */
    double now = seconds_since(&progress->started);
    double interval = now - progress->seen_at;

    if (interval > 0.05) {
        double latest = (double)(moved - progress->seen) / interval;
        progress->rate = progress->rate > 0 ? 0.7 * progress->rate + 0.3 * latest : latest;
        progress->seen = moved;
        progress->seen_at = now;
    }
    snprintf(name, sizeof name, "%.*s", (int)strcspn(path, ":"), path);
    progress_line(line, sizeof line, terminal_width() - 1, progress->name, moved, total, progress->rate, name);
    fprintf(stderr, "\r%s\033[K", line);
    fflush(stderr);
    progress->shown = true;
}

void progress_end(struct progress *progress)
{
    if (progress->shown)
        fputs("\r\033[K", stderr);
    progress->shown = false;
}
