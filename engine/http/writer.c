#include "engine/http/http.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "config/printable.h"

#define NUMBER_DIGITS 20 /* of 64 bits */

static void append(struct http_writer *writer, const char *bytes, size_t length)
{
    if (writer->overflow || length > writer->capacity - writer->length) {
        writer->overflow = true;
        return;
    }
    memcpy(writer->bytes + writer->length, bytes, length);
    writer->length += length;
}

void http_write(struct http_writer *writer, const char *format, ...)
{
    size_t room = writer->capacity - writer->length;
    va_list arguments;

    if (writer->overflow)
        return;
    va_start(arguments, format);
    int length = vsnprintf(writer->bytes + writer->length, room, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= room)
        writer->overflow = true; /* what was written of it lies behind `length` */
    else
        writer->length += (size_t)length;
}

void http_write_text(struct http_writer *writer, const char *text)
{
    append(writer, text, strlen(text));
}

void http_write_number(struct http_writer *writer, uint64_t number)
{
    char digits[NUMBER_DIGITS];
    size_t at = sizeof digits;

    do
        digits[--at] = (char)('0' + number % 10);
    while (number /= 10);
    append(writer, digits + at, sizeof digits - at);
}

void http_write_field(struct http_writer *writer, const char *name, const char *value)
{
    http_write_text(writer, name);
    append(writer, ": ", 2);
    http_write_text(writer, value);
    append(writer, "\r\n", 2);
}

void http_write_status(struct http_writer *writer, unsigned status)
{
    static _Thread_local time_t second = -1;
    static _Thread_local char date[HTTP_DATE_SIZE]; /* a thread's last one, for as long as it is the same second */
    time_t now = time(NULL);

    if (now != second)
        http_date(now, date);
    second = now;
    http_write_text(writer, "HTTP/1.1 ");
    http_write_number(writer, status);
    append(writer, " ", 1);
    http_write_text(writer, http_reason(status));
    append(writer, "\r\n", 2);
    http_write_field(writer, "Date", date);
}

void http_write_end(struct http_writer *writer)
{
    append(writer, "\r\n", 2);
}

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

/* Writes a character that is UTF-8. */
typedef void escape(struct http_writer *writer, const char *bytes, size_t length, uint32_t point);

/* Of ASCII, can be seen, and mean nothing of their own in JSON or HTML. */
static const bool plain[256] = {
    [' ' ... '!'] = true, ['#' ... '%'] = true, ['(' ... ';'] = true,
    ['='] = true,         ['?' ... '['] = true, [']' ... '~'] = true,
};

static size_t plain_length(const char *text, size_t left)
{
    size_t length = 0;

    while (length < left && plain[(unsigned char)text[length]])
        length++;
    return length;
}

static void write_escaped(struct http_writer *writer, const char *text, escape *write)
{
    size_t left = strlen(text);

    while (left > 0 && !writer->overflow) {
        size_t run = plain_length(text, left);
        append(writer, text, run);
        text += run;
        left -= run;
        if (left == 0)
            return;
        uint32_t point = 0;
        size_t length = printable_decode(text, left, &point), taken = length ? length : 1;
        if (length)
            write(writer, text, length, point);
        else
            append(writer, replacement, sizeof replacement - 1);
        text += taken;
        left -= taken;
    }
}

/* RFC 8259, 7: beyond U+FFFF two surrogates. */
static void write_code_units(struct http_writer *writer, uint32_t point)
{
    if (point > 0xffff)
        http_write(writer, "\\u%04x\\u%04x", 0xd800 + ((point - 0x10000) >> 10), 0xdc00 + (point & 0x3ff));
    else
        http_write(writer, "\\u%04x", point);
}

/* Programs read the same string either way; a terminal on which it is looked at does not obey it. */
static void escape_json(struct http_writer *writer, const char *bytes, size_t length, uint32_t point)
{
    if (point == '"' || point == '\\')
        append(writer, "\\", 1);
    if (printable_deceives(point))
        write_code_units(writer, point);
    else
        append(writer, bytes, length);
}

static void escape_html(struct http_writer *writer, const char *bytes, size_t length, uint32_t point)
{
    static const char *const entities[128] = {
        ['&'] = "&amp;", ['<'] = "&lt;", ['>'] = "&gt;", ['"'] = "&quot;", ['\''] = "&#39;",
    };
    const char *entity = point < 128 ? entities[point] : NULL;

    if (entity)
        append(writer, entity, strlen(entity));
    else if (printable_deceives(point))
        append(writer, replacement, sizeof replacement - 1); /* HTML has no way to show it that does not do it */
    else
        append(writer, bytes, length);
}

void http_write_json_string(struct http_writer *writer, const char *text)
{
    append(writer, "\"", 1);
    write_escaped(writer, text, escape_json);
    append(writer, "\"", 1);
}

void http_write_html(struct http_writer *writer, const char *text)
{
    write_escaped(writer, text, escape_html);
}
