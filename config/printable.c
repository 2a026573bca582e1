#include "config/printable.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* C0, DEL, and C1 in its UTF-8 form (U+0080 to U+009F), which terminals obey as well. */
static size_t control_length(const unsigned char *at)
{
    if (at[0] < 0x20 || at[0] == 0x7f)
        return 1;
    return at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0 ? 2 : 0;
}

char *printable(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    char *out = malloc(strlen(text) * 4 + 1), *end = out;
    if (!out)
        return NULL;
    while (*at) {
        size_t escaped = control_length(at);
        for (; escaped > 0; escaped--)
            end += sprintf(end, "\\x%02x", *at++);
        if (*at && control_length(at) == 0)
            *end++ = (char)*at++;
    }
    *end = '\0';
    return out;
}
