/* Looking up the fields of a checked head. */
#include "engine/http/head.h"

#include <string.h>
#include <strings.h>

/*
 * Nearly all names differ in their first letter, and every request asks for some twenty fields that it does not have.
 */
bool http_field_named(const char *given, const char *name)
{
    return ((given[0] ^ name[0]) & ~('a' ^ 'A')) == 0 && strcasecmp(given, name) == 0;
}

const char *http_field(const struct http_head *head, const char *name)
{
    for (size_t i = 0; i < head->field_count; i++) {
        if (http_field_named(head->fields[i].name, name))
            return head->fields[i].value;
    }
    return NULL;
}

void http_field_wipe(const struct http_head *head, const char *name)
{
    for (size_t i = 0; i < head->field_count; i++) {
        const char *value = head->fields[i].value;
        /* An empty value may lie in memory that is not the reader's. */
        if (*value && http_field_named(head->fields[i].name, name))
            explicit_bzero((char *)(uintptr_t)value, strlen(value));
    }
}

const char *http_field_joined(const struct http_head *head, const char *name, char *buffer, size_t size)
{
    size_t length = 0;
    bool found = false;

    for (size_t i = 0; i < head->field_count; i++) {
        const struct http_field *field = &head->fields[i];
        if (!http_field_named(field->name, name))
            continue;
        size_t separator = found ? 2 : 0, value = strlen(field->value);
        if (length + separator + value >= size)
            return NULL;
        memcpy(buffer + length, ", ", separator);
        memcpy(buffer + length + separator, field->value, value + 1);
        length += separator + value;
        found = true;
    }
    return found ? buffer : NULL;
}
