#include "config/printable.h"

#include <stdlib.h>
#include <string.h>

size_t printable_decode(const char *text, size_t left, uint32_t *point)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    const unsigned char *bytes = (const unsigned char *)text;
    size_t length = bytes[0] < 0x80 ? 1 : bytes[0] < 0xc0 ? 0 : bytes[0] < 0xe0 ? 2 : bytes[0] < 0xf0 ? 3 : 4;

    if (length == 0 || length > left || bytes[0] >= 0xf8)
        return 0;
    *point = length == 1 ? bytes[0] : bytes[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
        *point = *point << 6 | (bytes[i] & 0x3f);
    }
    bool surrogate = *point >= 0xd800 && *point <= 0xdfff;
    return *point < least[length] || *point > 0x10ffff || surrogate ? 0 : length;
}

/* Controls, separators, and the format characters of Unicode 15 that leave no mark (those of U+0600 and others do). */
static const struct {
    uint32_t first, last;
} deceptive[] = {
    { 0, 0x1f },          { 0x7f, 0x9f },       { 0xad, 0xad },       { 0x61c, 0x61c },   { 0x180e, 0x180e },
    { 0x200b, 0x200f },   { 0x2028, 0x202e },   { 0x2060, 0x206f },   { 0xfeff, 0xfeff }, { 0xfff9, 0xfffb },
    { 0x1bca0, 0x1bca3 }, { 0x1d173, 0x1d17a }, { 0xe0000, 0xe007f },
};

bool printable_deceives(uint32_t point)
{
    for (size_t i = 0; i < sizeof deceptive / sizeof *deceptive && point >= deceptive[i].first; i++) {
        if (point <= deceptive[i].last)
            return true;
    }
    return false;
}

char *printable(const char *text)
{
    size_t left = strlen(text);
    char *out = malloc(left * 4 + 1), *end = out;

    while (out && left > 0) {
        uint32_t point = 0;
        size_t length = printable_decode(text, left, &point), taken = length ? length : 1;
        bool escaped = length == 0 || printable_deceives(point);
        for (size_t i = 0; i < taken; i++)
            end += escaped ? sprintf(end, "\\x%02x", (unsigned char)text[i]) : (*end = text[i], 1);
        text += taken;
        left -= taken;
    }
    if (out)
        *end = '\0';
    return out;
}

void printable_line_with(FILE *out, const char *format, va_list arguments)
{
    char *text = NULL, *shown = NULL;

    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    if (text)
        shown = printable(text);
    fprintf(out, "%s\n", shown ? shown : "no memory");
    free(shown);
    free(text);
}

void printable_line(FILE *out, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    printable_line_with(out, format, arguments);
    va_end(arguments);
}
