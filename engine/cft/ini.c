/*
 * INI that config/read.c takes as it is meant, whatever bytes it is made of: a value there ends at a blank with a
 * semicolon, goes on where a line ends with a backslash, and knows no escapes.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "engine/cft/internal.h"

#define WIDTH 110 /* of a line; the reader takes 196 bytes */
#define INDENT "    "

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

void ini_section(FILE *out, const char *kind, const char *name)
{
    fprintf(out, "[%s %s]\n", kind, name);
}

/* A copy without what would end the value early, and without blanks at its ends. NULL: no memory. */
static char *tame(const char *value)
{
    value += strspn(value, " \t");
    char *copy = strdup(value);
    size_t length = copy ? strlen(copy) : 0;
    while (length && (is_blank(copy[length - 1]) || copy[length - 1] == '\\'))
        copy[--length] = 0;
    for (size_t i = 0; i < length; i++) {
        if (is_control(copy[i]))
            copy[i] = copy[i] == '\t' ? ' ' : '?';
        else if (copy[i] == ';' && (i == 0 || is_blank(copy[i - 1])))
            copy[i] = ',';
    }
    return copy;
}

static bool may_begin_line(char c)
{
    return c && !is_blank(c) && c != ';' && c != '#';
}

/*
 * Where to break text of more than `room` bytes: the end of the piece, or 0. *blank: a blank stands there, for a joint.
 */
static size_t break_at(const char *text, size_t room, bool *blank)
{
    *blank = true;
    for (size_t i = room; i > room / 2; i--) {
        if (text[i] == ' ' && !is_blank(text[i - 1]) && may_begin_line(text[i + 1]))
            return i;
    }
    *blank = false;
    for (size_t i = room; i > 0; i--) {
        if (!is_blank(text[i - 1]) && may_begin_line(text[i]))
            return i;
    }
    return 0;
}

static bool print_lines(FILE *out, const char *key, const char *text)
{
    size_t room = WIDTH - (size_t)fprintf(out, "%s = ", key);
    while (strlen(text) > room) {
        bool blank;
        size_t length = break_at(text, room, &blank);
        if (!length)
            return false;
        fprintf(out, "%.*s%s\\\n" INDENT, (int)length, text, blank ? " " : "");
        text += length + blank;
        room = WIDTH - strlen(INDENT);
    }
    fprintf(out, "%s\n", text);
    return true;
}

void ini_key(FILE *out, const char *key, const char *value)
{
    char *tamed = tame(value), *lines = NULL;
    size_t length;
    FILE *draft = tamed && tamed[0] ? open_memstream(&lines, &length) : NULL;
    if (draft) {
        bool good = print_lines(draft, key, tamed);
        good = fclose(draft) == 0 && good;
        if (good)
            fputs(lines, out);
        else
            ini_comment(out, "%s is left out: no line holds its blanks or signs", key);
        free(lines);
    }
    free(tamed);
}

/* Words to lines; what controls a terminal or ends a line is written as \x... */
static void print_comment(FILE *out, const char *text)
{
    size_t column = (size_t)fprintf(out, "#");
    while (*text) {
        size_t length = strcspn(text, " ");
        if (column > 1 && column + 1 + length > WIDTH) {
            fputs("\n#  ", out);
            column = 3;
        }
        fputc(' ', out);
        for (size_t i = 0; i < length; i++) {
            if (is_control(text[i]))
                fprintf(out, "\\x%02x", (unsigned char)text[i]);
            else
                fputc(text[i], out);
        }
        column += 1 + length;
        text += length;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

void ini_comment(FILE *out, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length < 0)
        return;
    print_comment(out, text);
    free(text);
}
