/* Preconditions (RFC 9110, 13). */
#include "engine/http/http.h"

#include <string.h>
#include <strings.h>

static bool is_weak(const char *tag)
{
    return tag[0] == 'W' && tag[1] == '/';
}

/* Length of the entity tag that the text begins with; 0: none. */
static size_t tag_length(const char *text)
{
    size_t start = is_weak(text) ? 2 : 0;

    if (text[start] != '"')
        return 0;
    const char *end = strchr(text + start + 1, '"');
    return end ? (size_t)(end - text) + 1 : 0;
}

/* Whether the list names `etag`, which is a strong one. A list that cannot be read ends where it cannot. */
static bool list_names(const char *list, const char *etag, bool weak_too)
{
    for (;;) {
        list += strspn(list, " \t,");
        size_t length = tag_length(list);
        if (length == 0)
            return false;
        size_t prefix = is_weak(list) ? 2 : 0;
        if ((prefix == 0 || weak_too) && length - prefix == strlen(etag) &&
            memcmp(list + prefix, etag, length - prefix) == 0)
            return true;
        list += length;
    }
}

/* Whether any field of that name (there is one) names what exists. */
static bool names(const struct http_head *request, const char *name, const char *etag, bool weak_too)
{
    if (!etag)
        return false;
    for (size_t i = 0; i < request->field_count; i++) {
        const char *value = request->fields[i].value;
        if (strcasecmp(request->fields[i].name, name) != 0)
            continue;
        if (strcmp(value, "*") == 0 || list_names(value, etag, weak_too))
            return true;
    }
    return false;
}

/* Whether the field holds a date, and nothing says it is to be ignored. */
static bool date_of(const struct http_head *request, const char *name, time_t *when)
{
    const char *value = http_field(request, name);

    return value && http_date_parse(value, when) == 0;
}

/*
 * 13.1.5. A date only holds where it is a strong validator (8.8.2.2): a file that was changed within this second or the
 * last may change again and keep it.
 */
static bool if_range(const struct http_head *request, const char *etag, time_t modified)
{
    const char *value = http_field(request, "If-Range");
    time_t when;

    if (!value)
        return true;
    if (!etag)
        return false;
    if (http_date_parse(value, &when) == 0)
        return when == modified && modified < time(NULL) - 1;
    return strcmp(value, etag) == 0 && !is_weak(value);
}

unsigned http_preconditions(const struct http_head *request, const char *etag, time_t modified, bool *range_holds)
{
    bool reads = request->method == HTTP_GET || request->method == HTTP_HEAD;
    time_t when;

    *range_holds = if_range(request, etag, modified);
    if (http_field(request, "If-Match")) {
        if (!names(request, "If-Match", etag, false))
            return 412;
    } else if (etag && date_of(request, "If-Unmodified-Since", &when) && modified > when) {
        return 412;
    }
    if (http_field(request, "If-None-Match"))
        return !names(request, "If-None-Match", etag, true) ? 0 : reads ? 304 : 412;
    if (reads && etag && date_of(request, "If-Modified-Since", &when) && modified <= when)
        return 304;
    return 0;
}
