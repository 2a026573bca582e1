#include "engine/client/source.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define SETTLED_SECONDS 60 /* RFC 9110, 8.8.2.2: by then nobody changes it a second time within its second */

/* Only what can stand in a field line again: visible characters between quotes (RFC 9110, 8.8.3). */
static bool is_strong_etag(const char *text)
{
    size_t length = strlen(text);

    if (length < 2 || length >= SOURCE_ETAG_SIZE || text[0] != '"' || text[length - 1] != '"')
        return false;
    for (size_t i = 1; i < length - 1; i++) {
        if (text[i] == '"' || (unsigned char)text[i] <= 0x20 || text[i] == 0x7f)
            return false;
    }
    return true;
}

static void set_modified(struct source *source, const struct http_head *head)
{
    const char *modified = http_field(head, "Last-Modified"), *date = http_field(head, "Date");
    time_t changed, now;

    if (!modified || http_date_parse(modified, &changed) < 0)
        return;
    http_date(changed, source->modified);
    source->dated = date && http_date_parse(date, &now) == 0 && now - changed >= SETTLED_SECONDS;
}

int source_of(struct source *source, const struct http_head *head)
{
    const char *etag = http_field(head, "ETag"), *range = http_field(head, "Content-Range");
    const char *accepts = http_field(head, "Accept-Ranges");
    bool counted = head->framing == HTTP_BODY_LENGTH || head->framing == HTTP_BODY_NONE;

    *source = (struct source){ .size = counted ? head->length : UINT64_MAX };
    source->range.length = source->size;
    if (etag && is_strong_etag(etag))
        snprintf(source->etag, sizeof source->etag, "%s", etag);
    set_modified(source, head);
    source->ranges = head->status == 206 || (accepts && strcasecmp(accepts, "bytes") == 0);
    if (head->status != 206)
        return 0;
    if (!range || http_content_range(range, &source->range, &source->size) < 0 || source->size == UINT64_MAX)
        return -EINVAL;
    return counted && head->length == source->range.length ? 0 : -EINVAL;
}

bool source_can_be_resumed(const struct source *source)
{
    return source->size != UINT64_MAX && source->ranges && (source->etag[0] || source->dated);
}

bool source_same(const struct source *a, const struct source *b)
{
    return a->size == b->size && strcmp(a->etag, b->etag) == 0 && strcmp(a->modified, b->modified) == 0;
}

bool source_alike(const struct source *a, const struct source *b)
{
    bool known = a->etag[0] && strcmp(a->etag, b->etag) == 0;

    return a->size == b->size && (known || (a->modified[0] && strcmp(a->modified, b->modified) == 0));
}

void source_write_condition(const struct source *source, struct http_writer *writer)
{
    if (source->etag[0])
        http_write(writer, "If-Match: %s\r\n", source->etag);
    else if (source->modified[0])
        http_write(writer, "If-Unmodified-Since: %s\r\n", source->modified);
}

void source_print(const struct source *source, char text[SOURCE_TEXT_SIZE])
{
    snprintf(text, SOURCE_TEXT_SIZE, "%s %s", source->etag, source->modified);
}

int source_parse(struct source *source, const char *text, uint64_t size)
{
    const char *blank = strchr(text, ' ');
    time_t when;

    *source = (struct source){ .size = size, .ranges = true, .dated = true };
    if (!blank || (size_t)(blank - text) >= sizeof source->etag || strlen(blank + 1) >= sizeof source->modified)
        return -EINVAL;
    memcpy(source->etag, text, (size_t)(blank - text));
    memcpy(source->modified, blank + 1, strlen(blank + 1));
    if (source->etag[0] && !is_strong_etag(source->etag))
        return -EINVAL;
    if (source->modified[0] && http_date_parse(source->modified, &when) < 0)
        return -EINVAL;
    return source->etag[0] || source->modified[0] ? 0 : -EINVAL;
}
