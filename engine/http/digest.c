/*
 * The digest fields of RFC 9530. They are dictionaries (RFC 8941, 3.2); of the values one can have there, these fields
 * give meaning to byte sequences and integers. A member with another algorithm may hold any value, which is passed
 * over.
 */
#include "engine/http/digest.h"

#include <errno.h>
#include <string.h>

#define FIELD_MAX 4096 /* all fields of the name together */
#define WEIGHT_MAX 10
#define MEMBERS_MAX 64

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

struct cursor {
    const char *at; /* NUL-terminated */
};

/* A member's value, as far as it matters here. */
struct value {
    enum { VALUE_OTHER, VALUE_INTEGER, VALUE_BYTES } kind;
    long long integer;
    const char *bytes; /* base64, without its colons */
    size_t length;
};

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alpha(char c)
{
    return is_lower(c) || (c >= 'A' && c <= 'Z');
}

static bool take(struct cursor *cursor, char c)
{
    if (*cursor->at != c)
        return false;
    cursor->at++;
    return true;
}

static void skip_space(struct cursor *cursor, const char *space)
{
    cursor->at += strspn(cursor->at, space);
}

/* RFC 8941, 4.2.3.3. Length 0: there is none. */
static size_t take_key(struct cursor *cursor, const char **key)
{
    const char *start = cursor->at;

    if (!is_lower(*start) && *start != '*')
        return 0;
    while (is_lower(*cursor->at) || is_digit(*cursor->at) || (*cursor->at && strchr("_-.*", *cursor->at)))
        cursor->at++;
    *key = start;
    return (size_t)(cursor->at - start);
}

/* 4.2.4: an integer of up to 15 digits, or a decimal of up to 12 and 3. */
static int take_number(struct cursor *cursor, struct value *value)
{
    bool negative = take(cursor, '-');
    size_t digits = 0, places = 0;

    value->integer = 0;
    for (; is_digit(*cursor->at) && digits <= 15; digits++)
        value->integer = value->integer * 10 + (*cursor->at++ - '0');
    if (digits == 0 || digits > 15)
        return -EINVAL;
    value->kind = VALUE_INTEGER;
    if (negative)
        value->integer = -value->integer;
    if (!take(cursor, '.'))
        return 0;
    for (; is_digit(*cursor->at) && places <= 3; places++)
        cursor->at++;
    value->kind = VALUE_OTHER;
    return places == 0 || places > 3 || digits > 12 ? -EINVAL : 0;
}

/* 4.2.5 */
static int take_string(struct cursor *cursor)
{
    for (cursor->at++; *cursor->at != '"'; cursor->at++) {
        if (*cursor->at == '\\' && *++cursor->at != '"' && *cursor->at != '\\')
            return -EINVAL;
        if (*cursor->at < 0x20 || *cursor->at > 0x7e) /* the end, too */
            return -EINVAL;
    }
    cursor->at++;
    return 0;
}

/* 4.2.6 */
static int take_token(struct cursor *cursor)
{
    while (is_alpha(*cursor->at) || is_digit(*cursor->at) || (*cursor->at && strchr("!#$%&'*+-.^_`|~:/", *cursor->at)))
        cursor->at++;
    return 0;
}

/* 4.2.7 */
static int take_bytes(struct cursor *cursor, struct value *value)
{
    value->bytes = ++cursor->at;
    while (is_alpha(*cursor->at) || is_digit(*cursor->at) || (*cursor->at && strchr("+/=", *cursor->at)))
        cursor->at++;
    value->length = (size_t)(cursor->at - value->bytes);
    value->kind = VALUE_BYTES;
    return take(cursor, ':') ? 0 : -EINVAL;
}

/* 4.2.8 */
static int take_boolean(struct cursor *cursor)
{
    cursor->at++;
    return take(cursor, '0') || take(cursor, '1') ? 0 : -EINVAL;
}

static int take_bare_item(struct cursor *cursor, struct value *value)
{
    char c = *cursor->at;

    *value = (struct value){ .kind = VALUE_OTHER };
    if (c == '-' || is_digit(c))
        return take_number(cursor, value);
    if (c == ':')
        return take_bytes(cursor, value);
    if (c == '"')
        return take_string(cursor);
    if (c == '*' || is_alpha(c))
        return take_token(cursor);
    return c == '?' ? take_boolean(cursor) : -EINVAL;
}

/* 4.2.3.2 */
static int take_parameters(struct cursor *cursor)
{
    struct value ignored;
    const char *key;

    while (take(cursor, ';')) {
        skip_space(cursor, " ");
        if (take_key(cursor, &key) == 0)
            return -EINVAL;
        if (take(cursor, '=') && take_bare_item(cursor, &ignored) < 0)
            return -EINVAL;
    }
    return 0;
}

/* 4.2.1.2 */
static int take_inner_list(struct cursor *cursor)
{
    struct value ignored;

    cursor->at++;
    for (;;) {
        skip_space(cursor, " ");
        if (take(cursor, ')'))
            return 0;
        if (take_bare_item(cursor, &ignored) < 0 || take_parameters(cursor) < 0)
            return -EINVAL;
        if (*cursor->at != ' ' && *cursor->at != ')')
            return -EINVAL;
    }
}

static int take_value(struct cursor *cursor, struct value *value)
{
    int error = 0;

    *value = (struct value){ .kind = VALUE_OTHER };
    if (take(cursor, '=')) /* without it the value is true */
        error = *cursor->at == '(' ? take_inner_list(cursor) : take_bare_item(cursor, value);
    return error == 0 ? take_parameters(cursor) : error;
}

typedef int visit_member(void *argument, enum digest_algorithm algorithm, const struct value *value);

/* 4.2.2. Visits the members that are our algorithms. 0 or -EINVAL, or what the visitor says. */
static int dictionary(const char *text, visit_member *visit, void *argument)
{
    struct cursor cursor = { text };
    struct value value;
    enum digest_algorithm algorithm;
    const char *key;

    skip_space(&cursor, " ");
    for (int members = 0; *cursor.at; members++) {
        size_t length = take_key(&cursor, &key);
        if (length == 0 || members == MEMBERS_MAX || take_value(&cursor, &value) < 0)
            return -EINVAL;
        if (digest_by_name(key, length, &algorithm)) {
            int error = visit(argument, algorithm, &value);
            if (error < 0)
                return error;
        }
        skip_space(&cursor, " \t");
        if (*cursor.at == '\0')
            return 0;
        if (!take(&cursor, ','))
            return -EINVAL;
        skip_space(&cursor, " \t");
        if (*cursor.at == '\0') /* a comma at the end */
            return -EINVAL;
    }
    return 0;
}

/* The fields of that name as one: 0, -ENOENT, -EINVAL. */
static int field_text(const struct http_head *head, const char *name, char text[FIELD_MAX])
{
    if (!http_field(head, name))
        return -ENOENT;
    return http_field_joined(head, name, text, FIELD_MAX) ? 0 : -EINVAL;
}

/* -- digests ------------------------------------------------------------------------------------------------------- */

static int sextet(char c)
{
    const char *found = c ? strchr(alphabet, c) : NULL;

    return found ? (int)(found - alphabet) : -1;
}

/* Just `size` bytes, in padded base64 whose unused bits are zero: one spelling for each digest. */
static bool decode(const char *text, size_t length, uint8_t *bytes, size_t size)
{
    size_t digits = (size * 8 + 5) / 6, at = 0;
    unsigned held = 0, bits = 0;

    if (length != (size + 2) / 3 * 4)
        return false;
    for (size_t i = 0; i < digits; i++) {
        int six = sextet(text[i]);
        if (six < 0)
            return false;
        held = held << 6 | (unsigned)six;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            bytes[at++] = (uint8_t)(held >> bits);
            held &= (1u << bits) - 1;
        }
    }
    return held == 0 && strspn(text + digits, "=") >= length - digits;
}

static int add_digest(void *argument, enum digest_algorithm algorithm, const struct value *value)
{
    struct digest digest = { .algorithm = algorithm };

    if (value->kind != VALUE_BYTES || !decode(value->bytes, value->length, digest.bytes, digest_size(algorithm)))
        return -EINVAL;
    digest_set_add(argument, &digest);
    return 0;
}

int http_digests(const struct http_head *head, const char *name, struct digest_set *set)
{
    char text[FIELD_MAX];
    struct digest_set found = { 0 };
    int error = field_text(head, name, text);

    if (error == 0)
        error = dictionary(text, add_digest, &found);
    if (error < 0)
        return error;
    for (int i = 0; i < DIGEST_ALGORITHMS; i++) {
        if (found.known & 1u << i)
            digest_set_add(set, &found.items[i]);
    }
    return found.known ? 0 : -ENOENT;
}

/* -- wants --------------------------------------------------------------------------------------------------------- */

static int add_weight(void *argument, enum digest_algorithm algorithm, const struct value *value)
{
    int *weights = argument;

    if (value->kind != VALUE_INTEGER || value->integer < 0 || value->integer > WEIGHT_MAX)
        return -EINVAL;
    weights[algorithm] = (int)value->integer;
    return 0;
}

int http_digest_wanted(const struct http_head *head, const char *name, enum digest_algorithm *algorithm)
{
    char text[FIELD_MAX];
    int weights[DIGEST_ALGORITHMS] = { 0 }, best = 0;
    int error = field_text(head, name, text);

    if (error == 0)
        error = dictionary(text, add_weight, weights);
    for (int i = 0; error == 0 && i < DIGEST_ALGORITHMS; i++) {
        if (weights[i] > best) {
            best = weights[i];
            *algorithm = (enum digest_algorithm)i;
        }
    }
    if (error < 0)
        return error;
    return best > 0 ? 0 : -ENOENT;
}

/* -- writing ------------------------------------------------------------------------------------------------------- */

static void write_base64(struct http_writer *writer, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i += 3) {
        unsigned held = (unsigned)bytes[i] << 16;
        held |= i + 1 < size ? (unsigned)bytes[i + 1] << 8 : 0;
        held |= i + 2 < size ? bytes[i + 2] : 0;
        http_write(writer, "%c%c%c%c", alphabet[held >> 18], alphabet[held >> 12 & 63],
                   i + 1 < size ? alphabet[held >> 6 & 63] : '=', i + 2 < size ? alphabet[held & 63] : '=');
    }
}

void http_write_digests(struct http_writer *writer, const char *name, const struct digest_set *set)
{
    const char *before = ": ";

    for (int i = 0; i < DIGEST_ALGORITHMS; i++) {
        if (!(set->known & 1u << i))
            continue;
        http_write(writer, "%s%s%s=:", *before == ':' ? name : "", before, digest_name((enum digest_algorithm)i));
        write_base64(writer, set->items[i].bytes, digest_size((enum digest_algorithm)i));
        http_write(writer, ":");
        before = ", ";
    }
    if (*before == ',')
        http_write(writer, "\r\n");
}
