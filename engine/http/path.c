/* Paths in targets (RFC 3986, 2.1 and 3.3). */
#include "engine/http/http.h"

#include <errno.h>
#include <string.h>

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that an escape stands for, or -1. */
static int unescape(const char *text)
{
    int high = hex(text[1]);
    int low = high < 0 ? -1 : hex(text[2]);

    return low < 0 ? -1 : high << 4 | low;
}

/* The length of what was decoded, up to the end or to what cannot be. */
static size_t decode(const char *target, char *path, size_t size, int *rc)
{
    size_t length = 0;

    for (*rc = 0; *target && *target != '?'; length++) {
        int byte = *target == '%' ? unescape(target) : (unsigned char)*target;
        if (byte <= 0 || length + 1 >= size) {
            *rc = byte <= 0 ? -EINVAL : -ENAMETOOLONG;
            break;
        }
        target += *target == '%' ? 3 : 1;
        path[length] = (char)byte;
    }
    return length;
}

int http_target_path(const char *target, char *path, size_t size)
{
    int rc = -EINVAL;

    if (size == 0)
        return -ENAMETOOLONG;
    size_t length = target[0] == '/' ? decode(target + 1, path, size, &rc) : 0;
    path[length] = '\0';
    return rc;
}

static bool unreserved(unsigned char c)
{
    unsigned char lower = c | 0x20;
    return (c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'z') || (c != '\0' && strchr("-._~/", c));
}

int http_path_encode(const char *path, char *target, size_t size)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t length = 0;

    for (; *path; path++) {
        unsigned char c = (unsigned char)*path;
        bool escape = !unreserved(c);
        if (length + (escape ? 3 : 1) >= size)
            return -ENAMETOOLONG;
        if (escape) {
            target[length++] = '%';
            target[length++] = digits[c >> 4];
            c = (unsigned char)digits[c & 15];
        }
        target[length++] = (char)c;
    }
    if (size == 0)
        return -ENAMETOOLONG;
    target[length] = '\0';
    return 0;
}
