#include "engine/event/journal.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "config/printable.h"

#define LINE_MAX_BYTES 8192
#define LINE_RESERVE 64 /* for what ends a line: a mark that fields were left out, brace, LF */
#define VALUE_MAX 1024  /* bytes of one value that are shown; a peer's certificate may hold far more */
#define PATIENCE 100    /* milliseconds that a writer waits for a log that takes nothing */

struct event_log {
    FILE *out;
    bool json;
    pthread_mutex_t lock;
    uint64_t lost;                       /* lines that could not be written since the last that could */
    const struct event_journal *journal; /* NULL: none */
};

struct line {
    char bytes[LINE_MAX_BYTES];
    size_t length;
    size_t dated; /* bytes of the time at its beginning, and what stands around it */
    bool full;    /* something did not fit */
};

struct event_log *event_log_new(FILE *out, bool json)
{
    struct event_log *log = calloc(1, sizeof(*log));
    if (!log)
        return NULL;
    if (pthread_mutex_init(&log->lock, NULL) != 0) {
        free(log);
        return NULL;
    }
    log->out = out;
    log->json = json;
    return log;
}

struct event_log *event_log_new_with(FILE *fallback, bool json, const struct event_journal *journal)
{
    struct event_log *log = event_log_new(fallback, json);
    if (!log)
        return NULL;
    if (event_journal_present(journal))
        log->journal = journal;
    else
        event(log, "S12W", EVENT_T("reason", "events_to = journal, but there is no journal here: events go to stderr"),
              EVENT_T("socket", journal->socket));
    return log;
}

struct event_log *event_log_new_journal(FILE *fallback, bool json)
{
    return event_log_new_with(fallback, json, &event_journal_systemd);
}

void event_log_free(struct event_log *log)
{
    if (!log)
        return;
    pthread_mutex_destroy(&log->lock);
    free(log);
}

static void put(struct line *line, const char *bytes, size_t length)
{
    if (line->full || length > sizeof(line->bytes) - LINE_RESERVE - line->length) {
        line->full = true;
        return;
    }
    memcpy(line->bytes + line->length, bytes, length);
    line->length += length;
}

static void put_text(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

/* At least so many digits. */
static void put_number(struct line *line, uint64_t number, size_t least)
{
    char digits[20];
    size_t at = sizeof(digits);
    while (number > 0 || sizeof(digits) - at < least) {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    }
    put(line, digits + at, sizeof(digits) - at);
}

static void put_bytes_escaped(struct line *line, const char *bytes, size_t length)
{
    char escape[5];
    for (size_t i = 0; i < length; i++) {
        snprintf(escape, sizeof(escape), "\\x%02x", (unsigned char)bytes[i]);
        put_text(line, escape);
    }
}

static void put_plain_char(struct line *line, const char *bytes, size_t length, uint32_t point)
{
    bool escaped = length == 0 || printable_deceives(point) || point == '"' || point == '\\';
    if (escaped)
        put_bytes_escaped(line, bytes, length ? length : 1);
    else
        put(line, bytes, length);
}

/* As JSON has it (RFC 8259, 7): beyond U+FFFF two surrogates. */
static void put_code_units(struct line *line, uint32_t point)
{
    char escape[16];
    if (point > 0xffff)
        snprintf(escape, sizeof(escape), "\\u%04x\\u%04x", 0xd800 + ((point - 0x10000) >> 10 & 0x3ff),
                 0xdc00 + (point & 0x3ff));
    else
        snprintf(escape, sizeof(escape), "\\u%04x", point & 0xffff);
    put_text(line, escape);
}

static void put_json_char(struct line *line, const char *bytes, size_t length, uint32_t point)
{
    char escape[8];
    if (length == 0) {
        put_text(line, "\\ufffd");
    } else if (point == '"' || point == '\\') {
        snprintf(escape, sizeof(escape), "\\%c", (char)point);
        put_text(line, escape);
    } else if (printable_deceives(point)) {
        put_code_units(line, point);
    } else {
        put(line, bytes, length);
    }
}

/* What a byte may be written as. Nearly all of an event's bytes are looked at here, with each request. */
enum { ESCAPED, IN_QUOTES, BARE };
static const unsigned char looks[256] = {
    [' '] = IN_QUOTES, ['!'] = BARE,         ['#' ... '<'] = BARE,
    ['='] = IN_QUOTES, ['>' ... '['] = BARE, [']' ... '~'] = BARE,
};

/* How many bytes stand as they are, in either form: all of most values. */
static size_t plain_run(const char *text, size_t left)
{
    size_t length = 0;
    while (length < left && looks[(unsigned char)text[length]] != ESCAPED)
        length++;
    return length;
}

static void put_escaped(struct line *line, const char *text, bool json)
{
    const char *at = text;
    size_t left = strnlen(text, VALUE_MAX);
    bool cut = text[left] != 0;
    while (left) {
        size_t run = plain_run(at, left);
        put(line, at, run);
        at += run;
        left -= run;
        if (left == 0)
            break;
        uint32_t point = 0;
        size_t length = printable_decode(at, left, &point);
        if (length == 0 && cut && left < 4)
            break; /* the limit went through a character */
        (json ? put_json_char : put_plain_char)(line, at, length, point);
        at += length ? length : 1;
        left -= length ? length : 1;
    }
    if (cut)
        put_text(line, "...");
}

char *event_escape(const char *text, size_t *length)
{
    const char *at = text;
    size_t left = strlen(text);
    char *escaped = malloc(4 * left + 1);
    struct line character;
    *length = 0;
    while (escaped && left) {
        uint32_t point = 0;
        size_t bytes = printable_decode(at, left, &point);
        character.length = 0;
        character.full = false;
        put_plain_char(&character, at, bytes, point);
        memcpy(escaped + *length, character.bytes, character.length);
        *length += character.length;
        at += bytes ? bytes : 1;
        left -= bytes ? bytes : 1;
    }
    return escaped;
}

static void put_value(struct line *line, const char *text, bool json)
{
    size_t bare = 0;
    while (looks[(unsigned char)text[bare]] == BARE)
        bare++;
    bool whole = text[bare] == 0 && bare <= VALUE_MAX;
    bool quotes = json || bare == 0 || text[bare] != 0;
    put(line, "\"", quotes);
    if (whole)
        put(line, text, bare);
    else
        put_escaped(line, text, json);
    put(line, "\"", quotes);
}

static void put_field(struct line *line, const struct event_field *field, bool json)
{
    size_t before = line->length;
    put_text(line, json ? ",\"" : " ");
    put_text(line, field->key);
    put_text(line, json ? "\":" : "=");
    if (field->kind == EVENT_NUMBER) {
        put_number(line, field->number, 1);
    } else {
        put_value(line, field->text, json);
    }
    if (line->full)
        line->length = before; /* a field is there as a whole or not at all */
}

static const char *severity(const char *id)
{
    size_t length = strlen(id);
    switch (length ? id[length - 1] : 0) {
    case 'F':
        return "fatal";
    case 'E':
        return "error";
    case 'W':
        return "warning";
    default:
        return "info";
    }
}

/* RFC 3339, UTC, milliseconds. What a thread wrote last it writes again, for as long as it is the same second. */
static void put_time(struct line *line)
{
    static _Thread_local time_t second = -1;
    static _Thread_local char text[32];
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_sec != second) {
        struct tm utc;
        gmtime_r(&now.tv_sec, &utc);
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S.", &utc);
        second = now.tv_sec;
    }
    put_text(line, text);
    put_number(line, (uint64_t)now.tv_nsec / 1000000, 3);
    put_text(line, "Z");
}

static void put_head(struct line *line, const char *id, bool json)
{
    put_text(line, json ? "{\"ts\":\"" : "");
    put_time(line);
    put_text(line, json ? "\",\"id\":\"" : " ");
    line->dated = line->length;
    put_text(line, id);
    if (!json)
        return;
    put_text(line, "\",\"severity\":\"");
    put_text(line, severity(id));
    put_text(line, "\"");
}

/* What put() kept LINE_RESERVE for. */
static void finish(struct line *line, bool json)
{
    const char *mark = !line->full ? "" : json ? ",\"cut\":true" : " cut=yes";
    char *end = stpcpy(line->bytes + line->length, mark);
    end = stpcpy(end, json ? "}\n" : "\n");
    line->length = (size_t)(end - line->bytes);
}

static bool write_whole(int fd, const char *bytes, size_t length)
{
    while (length) {
        ssize_t written = write(fd, bytes, length);
        if (written >= 0) {
            bytes += written;
            length -= (size_t)written;
            continue;
        }
        struct pollfd slow = { .fd = fd, .events = POLLOUT };
        if (errno != EINTR && (errno != EAGAIN || poll(&slow, 1, PATIENCE) <= 0))
            return false;
    }
    return true;
}

/* One write(2) a line where there is a descriptor; a stream in memory has none. */
static bool write_line(FILE *out, const struct line *line)
{
    int fd = fileno(out);
    if (fd >= 0)
        return fflush(out) == 0 && write_whole(fd, line->bytes, line->length);
    return fwrite(line->bytes, 1, line->length, out) == line->length && fflush(out) == 0;
}

static void format(struct line *line, const char *id, const struct event_field *fields, bool json)
{
    line->length = 0;
    line->full = false;
    put_head(line, id, json);
    for (const struct event_field *field = fields; field->key; field++) {
        if (field->kind == EVENT_NUMBER || field->text)
            put_field(line, field, json);
    }
}

/* Its own time is the journal's. */
static bool write_journal(const struct event_log *log, const char *id, const struct event_field *fields)
{
    struct line line;
    format(&line, id, fields, false);
    finish(&line, false);
    return event_journal_send(log->journal, id, fields, line.bytes + line.dated, line.length - line.dated - 1) == 0;
}

void event_emit(struct event_log *log, const char *id, const struct event_field *fields)
{
    if (!log || (log->journal && write_journal(log, id, fields)))
        return;
    struct line line;
    format(&line, id, fields, log->json);
    pthread_mutex_lock(&log->lock);
    if (log->lost) {
        struct event_field lost = EVENT_N("lost", log->lost);
        put_field(&line, &lost, log->json);
    }
    finish(&line, log->json);
    log->lost = write_line(log->out, &line) ? 0 : log->lost + 1;
    pthread_mutex_unlock(&log->lock);
}
