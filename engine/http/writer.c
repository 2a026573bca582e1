#include "engine/http/http.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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

void http_write_status(struct http_writer *writer, unsigned status)
{
    char date[HTTP_DATE_SIZE];

    http_date(time(NULL), date);
    http_write(writer, "HTTP/1.1 %u %s\r\nDate: %s\r\n", status, http_reason(status), date);
}

void http_write_end(struct http_writer *writer)
{
    append(writer, "\r\n", 2);
}

/* The well-formed sequences of UTF-8 (Unicode, table 3-7), by their first byte; the second has bounds of its own. */
static const struct {
    unsigned char first, last, length, second_min, second_max;
} sequences[] = {
    { 0xc2, 0xdf, 2, 0x80, 0xbf }, { 0xe0, 0xe0, 3, 0xa0, 0xbf }, { 0xe1, 0xec, 3, 0x80, 0xbf },
    { 0xed, 0xed, 3, 0x80, 0x9f }, { 0xee, 0xef, 3, 0x80, 0xbf }, { 0xf0, 0xf0, 4, 0x90, 0xbf },
    { 0xf1, 0xf3, 4, 0x80, 0xbf }, { 0xf4, 0xf4, 4, 0x80, 0x8f },
};

/* Length of the character that a non-ASCII byte begins, or 0. Stops at the NUL, which continues nothing. */
static size_t sequence_length(const char *text)
{
    const unsigned char *bytes = (const unsigned char *)text;

    for (size_t i = 0; i < sizeof sequences / sizeof *sequences; i++) {
        if (bytes[0] < sequences[i].first || bytes[0] > sequences[i].last)
            continue;
        if (bytes[1] < sequences[i].second_min || bytes[1] > sequences[i].second_max)
            return 0;
        for (size_t k = 2; k < sequences[i].length; k++) {
            if ((bytes[k] & 0xc0) != 0x80)
                return 0;
        }
        return sequences[i].length;
    }
    return 0;
}

static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */

typedef void escape_ascii(struct http_writer *writer, char c);

static void write_escaped(struct http_writer *writer, const char *text, escape_ascii *escape)
{
    while (*text && !writer->overflow) {
        if ((unsigned char)*text < 0x80) {
            escape(writer, *text++);
            continue;
        }
        size_t length = sequence_length(text);
        if (length)
            append(writer, text, length);
        else
            append(writer, replacement, sizeof replacement - 1);
        text += length ? length : 1;
    }
}

static void escape_json(struct http_writer *writer, char c)
{
    if (c == '"' || c == '\\')
        append(writer, "\\", 1);
    if ((unsigned char)c < 0x20 || c == 0x7f)
        http_write(writer, "\\u%04x", (unsigned)c);
    else
        append(writer, &c, 1);
}

static void escape_html(struct http_writer *writer, char c)
{
    static const char *const entities[128] = {
        ['&'] = "&amp;", ['<'] = "&lt;", ['>'] = "&gt;", ['"'] = "&quot;", ['\''] = "&#39;",
    };
    const char *entity = entities[(unsigned char)c];

    if (entity)
        append(writer, entity, strlen(entity));
    else if ((unsigned char)c < 0x20 || c == 0x7f)
        append(writer, replacement, sizeof replacement - 1); /* HTML has no way to say a control character */
    else
        append(writer, &c, 1);
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
