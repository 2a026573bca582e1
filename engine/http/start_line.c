/* Request line and status line (RFC 9112, 3 and 4), read without the leniency that parser libraries have here. */
#include "engine/http/head.h"

#include <limits.h>
#include <string.h>

#define TARGET_MAX (3 * PATH_MAX) /* the longest path, each of its bytes escaped */
#define VERSION_LENGTH 8          /* HTTP/1.1 */

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

bool http_token(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        char c = text[i], lower = (char)(c | 0x20);
        if (!digit(c) && !(lower >= 'a' && lower <= 'z') && (c == '\0' || !strchr("!#$%&'*+-.^_`|~", c)))
            return false;
    }
    return length > 0;
}

static struct http_refusal version_read(const char *text, size_t length, unsigned *minor)
{
    if (length < 6 || memcmp(text, "HTTP/", 5) != 0 || !digit(text[5]))
        return http_refuse(400, "the first line names no version of HTTP");
    if (length != VERSION_LENGTH || text[5] != '1' || text[6] != '.' || (text[7] != '0' && text[7] != '1'))
        return http_refuse(505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
    *minor = (unsigned)(text[7] - '0');
    return HTTP_ACCEPTED;
}

static struct http_refusal target_check(const struct parser_span *target)
{
    if (target->length == 0)
        return http_refuse(400, "the request line has no target");
    if (target->length > TARGET_MAX)
        return http_refuse(414, "the target is too long");
    for (size_t i = 0; i < target->length; i++) {
        unsigned char c = (unsigned char)target->at[i];
        if (c <= 0x20 || c >= 0x7f || c == '#')
            return http_refuse(400, "the target holds a byte that must be escaped");
    }
    return HTTP_ACCEPTED;
}

static struct http_refusal request_line(const char *line, size_t length, struct start_line *start)
{
    const char *end = line + length;
    const char *first = memchr(line, ' ', length);
    const char *last = memrchr(line, ' ', length);

    if (!first || first == last)
        return http_refuse(400, "the request line is not METHOD TARGET VERSION");
    start->method = (struct parser_span){ .at = line, .length = (size_t)(first - line) };
    start->target = (struct parser_span){ .at = first + 1, .length = (size_t)(last - first - 1) };
    if (!http_token(start->method.at, start->method.length))
        return http_refuse(400, "the method is no token");
    struct http_refusal refusal = version_read(last + 1, (size_t)(end - last - 1), &start->minor);
    if (refusal.status)
        return refusal;
    if (start->method.length == 7 && memcmp(line, "CONNECT", 7) == 0)
        return http_refuse(501, "this is no proxy");
    return target_check(&start->target);
}

static struct http_refusal status_line(const char *line, size_t length, struct start_line *start)
{
    const char *code = line + VERSION_LENGTH + 1;
    const char *space = memchr(line, ' ', length);
    struct http_refusal refusal = version_read(line, space ? (size_t)(space - line) : length, &start->minor);

    if (refusal.status)
        return refusal;
    if (length < VERSION_LENGTH + 4 || !digit(code[0]) || !digit(code[1]) || !digit(code[2]) ||
        (length > VERSION_LENGTH + 4 && code[3] != ' '))
        return http_refuse(400, "the status is not three digits");
    start->status = (unsigned)((code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0'));
    if (start->status < 100 || start->status > 599)
        return http_refuse(400, "no such class of status");
    return HTTP_ACCEPTED;
}

struct http_refusal start_line_read(enum http_side side, const char *line, size_t length, struct start_line *start)
{
    return side == HTTP_REQUESTS ? request_line(line, length, start) : status_line(line, length, start);
}
