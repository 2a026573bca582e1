/* Range and Content-Range (RFC 9110, 14). */
#include "engine/http/http.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

/* Reads digits. A number that does not fit becomes the largest: it lies behind every end. */
static bool read_number(const char **text, uint64_t *number)
{
    const char *start = *text;

    *number = 0;
    for (; **text >= '0' && **text <= '9'; ++*text) {
        if (__builtin_mul_overflow(*number, 10u, number) ||
            __builtin_add_overflow(*number, (unsigned)(**text - '0'), number)) {
            *number = UINT64_MAX;
            *text += strspn(*text, "0123456789");
            break;
        }
    }
    return *text > start;
}

static enum http_range_verdict last_bytes(uint64_t count, uint64_t size, struct http_range *range)
{
    if (count == 0)
        return HTTP_RANGE_UNSATISFIABLE;
    if (size == 0)
        return HTTP_RANGE_IGNORED; /* satisfied by the whole, which no Content-Range can express */
    range->length = count < size ? count : size;
    range->first = size - range->length;
    return HTTP_RANGE_ONE;
}

static enum http_range_verdict one_range(const char *spec, size_t length, uint64_t size, struct http_range *range)
{
    const char *text = spec, *end = spec + length;
    uint64_t first, last = UINT64_MAX;
    bool from_end = !read_number(&text, &first);

    if (text == end || *text++ != '-')
        return HTTP_RANGE_IGNORED;
    bool has_last = read_number(&text, &last);
    if (text != end || (from_end && !has_last))
        return HTTP_RANGE_IGNORED;
    if (from_end)
        return last_bytes(last, size, range);
    if (!has_last)
        last = UINT64_MAX;
    if (last < first)
        return HTTP_RANGE_IGNORED;
    if (first >= size)
        return HTTP_RANGE_UNSATISFIABLE;
    range->first = first;
    range->length = (last < size - 1 ? last : size - 1) - first + 1;
    return HTTP_RANGE_ONE;
}

enum http_range_verdict http_range(const char *value, uint64_t size, struct http_range *range)
{
    const char *only = NULL;
    size_t only_length = 0;

    if (strncasecmp(value, "bytes=", 6) != 0)
        return HTTP_RANGE_IGNORED;
    for (const char *next = value + 6; *next;) {
        next += strspn(next, " \t,");
        size_t length = strcspn(next, " \t,");
        if (length > 0 && only)
            return HTTP_RANGE_IGNORED;
        if (length > 0) {
            only = next;
            only_length = length;
        }
        next += length;
    }
    return only ? one_range(only, only_length, size, range) : HTTP_RANGE_IGNORED;
}

int http_content_range(const char *value, struct http_range *range, uint64_t *complete)
{
    uint64_t first, last, size = UINT64_MAX;

    if (strncasecmp(value, "bytes ", 6) != 0)
        return -EINVAL;
    value += 6;
    if (!read_number(&value, &first) || *value++ != '-' || !read_number(&value, &last) || *value++ != '/')
        return -EINVAL;
    if (*value == '*')
        value++;
    else if (!read_number(&value, &size) || size == UINT64_MAX)
        return -EINVAL;
    if (*value || last < first || last >= size)
        return -EINVAL;
    *range = (struct http_range){ .first = first, .length = last - first + 1 };
    *complete = size;
    return 0;
}
