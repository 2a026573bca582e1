/* Fields of a head, as a parser library tells them: in pieces, which lie next to each other. */
#include "engine/http/parser.h"

static bool extend(struct parser_span *span, const char *at, size_t length)
{
    if (span->at + span->length != at)
        return false;
    span->length += length;
    return true;
}

int parser_fields_name(struct parser_fields *fields, const char *at, size_t length)
{
    struct parser_field *last = fields->count ? &fields->field[fields->count - 1] : NULL;

    if (last && !last->value.at && extend(&last->name, at, length))
        return 0;
    if (fields->count == PARSER_FIELDS_MAX) {
        fields->too_many = true;
        return -1;
    }
    fields->field[fields->count++] = (struct parser_field){ .name = { .at = at, .length = length } };
    return 0;
}

int parser_fields_value(struct parser_fields *fields, const char *at, size_t length)
{
    struct parser_field *last = fields->count ? &fields->field[fields->count - 1] : NULL;

    if (!last)
        return -1;
    if (last->value.at)
        return extend(&last->value, at, length) ? 0 : -1;
    last->value = (struct parser_span){ .at = at, .length = length };
    return 0;
}
