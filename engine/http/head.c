/* What a head means: its fields, its host, the framing of its body (RFC 9112, 3.2 and 6). */
#include "engine/http/head.h"

#include <string.h>
#include <strings.h>

_Static_assert(PARSER_FIELDS_MAX == HTTP_FIELDS_MAX, "a parser's head fits into ours");

static bool blank(char c)
{
    return c == ' ' || c == '\t';
}

/*
 * The bytes are the reader's own; behind each piece stands at least one that means nothing any more. Not so an empty
 * one: where a library says that one lies is anybody's guess.
 */
static const char *terminate(const struct parser_span *piece)
{
    char *text = (char *)piece->at;

    text[piece->length] = '\0';
    return text;
}

static struct parser_span trimmed(struct parser_span span)
{
    while (span.length > 0 && blank(span.at[0])) {
        span.at++;
        span.length--;
    }
    while (span.length > 0 && blank(span.at[span.length - 1]))
        span.length--;
    return span;
}

static struct http_refusal fill_fields(struct http_head *head, const struct parser_fields *fields)
{
    for (size_t i = 0; i < fields->count; i++) {
        const struct parser_field *field = &fields->field[i];
        struct parser_span value = trimmed(field->value);

        if (!http_token(field->name.at, field->name.length))
            return http_refuse(400, "a field name is no token");
        head->fields[i].name = terminate(&field->name);
        head->fields[i].value = value.length ? terminate(&value) : "";
    }
    head->field_count = fields->count;
    return HTTP_ACCEPTED;
}

/* Takes the next non-empty element off a comma-separated list. */
static bool next_element(const char **list, struct parser_span *element)
{
    while (**list) {
        size_t length = strcspn(*list, ",");
        *element = trimmed((struct parser_span){ .at = *list, .length = length });
        *list += length + ((*list)[length] == ',');
        if (element->length > 0)
            return true;
    }
    return false;
}

static bool is_word(const struct parser_span *element, const char *word)
{
    return element->length == strlen(word) && strncasecmp(element->at, word, element->length) == 0;
}

static bool has_element(const struct http_head *head, const char *name, const char *word)
{
    for (size_t i = 0; i < head->field_count; i++) {
        const char *list = head->fields[i].value;
        struct parser_span element;
        if (!http_field_named(head->fields[i].name, name))
            continue;
        while (next_element(&list, &element)) {
            if (is_word(&element, word))
                return true;
        }
    }
    return false;
}

static size_t count_fields(const struct http_head *head, const char *name)
{
    size_t count = 0;

    for (size_t i = 0; i < head->field_count; i++)
        count += http_field_named(head->fields[i].name, name);
    return count;
}

/* RFC 9112, 6.1 and 6.3: what is not surely framed is refused, never guessed. */
static struct http_refusal read_codings(const struct http_head *head)
{
    size_t chunked = 0, others = 0;
    bool last_is_chunked = false;

    for (size_t i = 0; i < head->field_count; i++) {
        const char *list = head->fields[i].value;
        struct parser_span element;
        if (strcasecmp(head->fields[i].name, "Transfer-Encoding") != 0)
            continue;
        while (next_element(&list, &element)) {
            last_is_chunked = is_word(&element, "chunked");
            *(last_is_chunked ? &chunked : &others) += 1;
        }
    }
    if (!last_is_chunked)
        return http_refuse(400, "the last transfer coding is not chunked");
    if (chunked > 1)
        return http_refuse(400, "chunked more than once");
    if (others > 0)
        return http_refuse(501, "the only transfer coding known here is chunked");
    if (head->minor == 0)
        return http_refuse(400, "HTTP/1.0 has no transfer codings");
    if (http_field(head, "Content-Length"))
        return http_refuse(400, "both Transfer-Encoding and Content-Length");
    return HTTP_ACCEPTED;
}

static struct http_refusal read_length(struct http_head *head)
{
    const char *text = http_field(head, "Content-Length");
    int64_t length = 0; /* no file is longer */

    for (size_t i = 0; i < head->field_count; i++) {
        if (strcasecmp(head->fields[i].name, "Content-Length") == 0 && strcmp(head->fields[i].value, text) != 0)
            return http_refuse(400, "Content-Length fields that differ");
    }
    if (*text == '\0')
        return http_refuse(400, "Content-Length is empty");
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return http_refuse(400, "Content-Length is no number");
        if (__builtin_mul_overflow(length, 10, &length) || __builtin_add_overflow(length, *text - '0', &length))
            return http_refuse(400, "Content-Length is too large");
    }
    head->length = (uint64_t)length;
    return HTTP_ACCEPTED;
}

static struct http_refusal fill_framing(struct http_head *head, enum http_side side, bool to_head)
{
    struct http_refusal refusal = HTTP_ACCEPTED;
    unsigned status = head->status;

    head->framing = side == HTTP_REQUESTS ? HTTP_BODY_NONE : HTTP_BODY_TO_END;
    if (http_field(head, "Transfer-Encoding")) {
        refusal = read_codings(head);
        head->framing = HTTP_BODY_CHUNKED;
    } else if (http_field(head, "Content-Length")) {
        refusal = read_length(head);
        head->framing = HTTP_BODY_LENGTH;
    }
    if (side == HTTP_RESPONSES && (to_head || status < 200 || status == 204 || status == 304))
        head->framing = HTTP_BODY_NONE;
    return refusal;
}

static bool authority_valid(const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text, lower = c | 0x20;
        if (!(c >= '0' && c <= '9') && !(lower >= 'a' && lower <= 'z') && !strchr("-._~!$&'()*+,;=:[]%", c))
            return false;
    }
    return true;
}

static struct http_refusal fill_host(struct http_head *head)
{
    size_t count = count_fields(head, "Host");

    if (count > 1)
        return http_refuse(400, "more than one Host");
    if (count == 0 && head->minor > 0)
        return http_refuse(400, "HTTP/1.1 needs a Host");
    head->host = count ? http_field(head, "Host") : "";
    if (!authority_valid(head->host))
        return http_refuse(400, "Host names no host");
    return HTTP_ACCEPTED;
}

static size_t scheme_length(const char *target)
{
    static const char *const schemes[] = { "http://", "https://" };

    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        if (strncasecmp(target, schemes[i], strlen(schemes[i])) == 0)
            return strlen(schemes[i]);
    }
    return 0;
}

/* RFC 9112, 3.2.2: the authority of an absolute form counts, not Host. */
static struct http_refusal cut_absolute_form(struct http_head *head, char *target, size_t scheme)
{
    size_t length = strcspn(target + scheme, "/?");
    char *rest = target + scheme + length;

    /* Moved over the scheme, which makes room for its end and for the slash that may be missing. */
    memmove(target, target + scheme, length);
    target[length] = '\0';
    if (*rest != '/')
        *--rest = '/';
    head->host = target;
    head->target = rest;
    if (length == 0 || !authority_valid(head->host))
        return http_refuse(400, "the target names no host");
    return HTTP_ACCEPTED;
}

static struct http_refusal fill_target(struct http_head *head, const struct parser_span *span)
{
    char *target = (char *)terminate(span);
    size_t scheme = scheme_length(target);

    head->target = target;
    if (scheme)
        return cut_absolute_form(head, target, scheme);
    if (target[0] == '/' || (strcmp(target, "*") == 0 && strcmp(head->method_name, "OPTIONS") == 0))
        return HTTP_ACCEPTED;
    return http_refuse(400, "the target is neither a path nor an http address");
}

static enum http_method method_of(const char *name)
{
    static const struct {
        const char *name;
        enum http_method method;
    } methods[] = { { "GET", HTTP_GET },
                    { "HEAD", HTTP_HEAD },
                    { "PUT", HTTP_PUT },
                    { "DELETE", HTTP_DELETE },
                    { "POST", HTTP_POST } };

    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        if (strcmp(methods[i].name, name) == 0)
            return methods[i].method;
    }
    return HTTP_OTHER;
}

static struct http_refusal fill_request(struct http_head *head, const struct start_line *start)
{
    head->method_name = terminate(&start->method);
    head->method = method_of(head->method_name);
    struct http_refusal refusal = fill_host(head);
    if (!refusal.status)
        refusal = fill_target(head, &start->target);
    if (refusal.status)
        return refusal;
    /* RFC 9110, 11.6.2: one value. Two would be one login to us and another to whoever stands before us. */
    if (count_fields(head, "Authorization") > 1)
        return http_refuse(400, "more than one Authorization");
    if (http_field(head, "Upgrade") && has_element(head, "Connection", "upgrade"))
        return http_refuse(501, "no other protocol is spoken here");
    head->expect_continue = head->minor > 0 && has_element(head, "Expect", "100-continue");
    return HTTP_ACCEPTED;
}

struct http_refusal head_fill(struct http_head *head, enum http_side side, bool to_head, const struct start_line *start,
                              const struct parser_fields *fields)
{
    head->minor = start->minor;
    head->status = start->status;
    if (start->status == 101)
        return http_refuse(400, "the server changes to another protocol, unasked");
    struct http_refusal refusal = fill_fields(head, fields);
    if (!refusal.status && side == HTTP_REQUESTS)
        refusal = fill_request(head, start);
    if (!refusal.status)
        refusal = fill_framing(head, side, to_head);
    if (refusal.status)
        return refusal;
    bool close = has_element(head, "Connection", "close");
    bool stay = head->minor > 0 || has_element(head, "Connection", "keep-alive");
    head->keep_alive = stay && !close && head->framing != HTTP_BODY_TO_END;
    return HTTP_ACCEPTED;
}
