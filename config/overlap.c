/*
 * Whether one name can satisfy two expressions: each is spread into the ways in which it can hold, and those are held
 * against each other, term by term.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/expression.h"
#include "config/expression_tree.h"

/* The attribute types that names mostly have (RFC 4519, RFC 2985), each by all it is called. */
static const char *const aliases[][3] = {
    { "CN", "commonName", "2.5.4.3" },
    { "SN", "surname", "2.5.4.4" },
    { "serialNumber", "2.5.4.5" },
    { "C", "countryName", "2.5.4.6" },
    { "L", "localityName", "2.5.4.7" },
    { "ST", "stateOrProvinceName", "2.5.4.8" },
    { "street", "streetAddress", "2.5.4.9" },
    { "O", "organizationName", "2.5.4.10" },
    { "OU", "organizationalUnitName", "2.5.4.11" },
    { "title", "2.5.4.12" },
    { "GN", "givenName", "2.5.4.42" },
    { "UID", "userId", "0.9.2342.19200300.100.1.1" },
    { "DC", "domainComponent", "0.9.2342.19200300.100.1.25" },
    { "emailAddress", "1.2.840.113549.1.9.1" },
};

static const char *first_alias(const char *type)
{
    for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++) {
        for (size_t j = 0; j < 3 && aliases[i][j]; j++) {
            if (strcasecmp(aliases[i][j], type) == 0)
                return aliases[i][0];
        }
    }
    return type;
}

static bool same_type(const struct node *a, const struct node *b)
{
    return strcasecmp(a->type, b->type) == 0 || strcasecmp(first_alias(a->type), first_alias(b->type)) == 0;
}

/* Both begin, or both end, with something else: no need to look further. */
static bool ends_differ(const struct node *a, const struct node *b)
{
    for (size_t i = 0; i < a->length && i < b->length; i++) {
        if (a->pattern[i] == GLYPH_ANY || b->pattern[i] == GLYPH_ANY)
            break;
        if (a->pattern[i] != b->pattern[i])
            return true;
    }
    for (size_t i = 1; i <= a->length && i <= b->length; i++) {
        uint32_t last_a = a->pattern[a->length - i], last_b = b->pattern[b->length - i];
        if (last_a == GLYPH_ANY || last_b == GLYPH_ANY)
            break;
        if (last_a != last_b)
            return true;
    }
    return false;
}

/* Some text that both patterns match: walks the pairs of positions that can be reached. */
static bool patterns_meet(const struct node *a, const struct node *b)
{
    if (ends_differ(a, b))
        return false;
    size_t columns = b->length + 1, cells = (a->length + 1) * columns;
    bool *reached = calloc(cells, sizeof(*reached));
    if (!reached)
        return true;
    reached[0] = true;
    for (size_t cell = 0; cell < cells; cell++) {
        size_t i = cell / columns, j = cell % columns;
        if (!reached[cell])
            continue;
        bool more_a = i < a->length, more_b = j < b->length;
        bool star_a = more_a && a->pattern[i] == GLYPH_ANY, star_b = more_b && b->pattern[j] == GLYPH_ANY;
        if (star_a || (more_a && star_b))
            reached[cell + columns] = true;
        if (star_b || (more_b && star_a))
            reached[cell + 1] = true;
        if (more_a && more_b && !star_a && !star_b && a->pattern[i] == b->pattern[j])
            reached[cell + columns + 1] = true;
    }
    bool met = reached[cells - 1];
    free(reached);
    return met;
}

static bool is_literal(const struct node *node)
{
    for (size_t i = 0; i < node->length; i++) {
        if (node->pattern[i] == GLYPH_ANY)
            return false;
    }
    return true;
}

/* Whatever `special` matches, `general` does: told for a special one without stars, and for a general one of a star. */
static bool covers(const struct node *general, const struct node *special)
{
    bool all = general->length == 1 && general->pattern[0] == GLYPH_ANY;
    return all || (is_literal(special) && patterns_meet(general, special));
}

static bool terms_agree(const struct node *a, bool a_denied, const struct node *b, bool b_denied)
{
    if (a->kind != NODE_TERM || b->kind != NODE_TERM || !same_type(a, b))
        return true;
    if (!a_denied && !b_denied)
        return patterns_meet(a, b);
    if (a_denied && b_denied)
        return true;
    return a_denied ? !covers(a, b) : !covers(b, a);
}

/* One way to satisfy an expression: these terms hold (or, where denied, do not). */
#define WAYS_MAX 64
#define TERMS_MAX 16

struct way {
    const struct node *terms[TERMS_MAX];
    bool denied[TERMS_MAX];
    size_t count;
};

struct ways {
    struct way items[WAYS_MAX];
    size_t count;
    bool lost; /* there are more than are told apart here */
};

static bool way_add(struct way *way, const struct node *term, bool denied, bool *lost)
{
    for (size_t i = 0; i < way->count; i++) {
        if (!terms_agree(way->terms[i], way->denied[i], term, denied))
            return false;
    }
    if (way->count == TERMS_MAX) {
        *lost = true;
        return true;
    }
    way->terms[way->count] = term;
    way->denied[way->count++] = denied;
    return true;
}

static bool way_join(struct way *way, const struct way *other, bool *lost)
{
    for (size_t i = 0; i < other->count; i++) {
        if (!way_add(way, other->terms[i], other->denied[i], lost))
            return false;
    }
    return true;
}

static void ways_append(struct ways *ways, const struct way *way)
{
    if (ways->count == WAYS_MAX)
        ways->lost = true;
    else
        ways->items[ways->count++] = *way;
}

static void ways_cross(struct ways *out, const struct ways *a, const struct ways *b)
{
    out->lost = a->lost || b->lost;
    for (size_t i = 0; i < a->count; i++) {
        for (size_t j = 0; j < b->count; j++) {
            struct way way = a->items[i];
            if (way_join(&way, &b->items[j], &out->lost))
                ways_append(out, &way);
        }
    }
}

static struct ways *ways_of(const struct node *node, bool denied);

static struct ways *ways_of_both(const struct node *node, bool denied)
{
    struct ways *left = ways_of(node->left, denied), *right = ways_of(node->right, denied);
    struct ways *out = left && right ? calloc(1, sizeof(*out)) : NULL;
    if (out && (node->kind == NODE_AND) != denied) {
        ways_cross(out, left, right);
    } else if (out) {
        *out = *left;
        out->lost = left->lost || right->lost;
        for (size_t i = 0; i < right->count; i++)
            ways_append(out, &right->items[i]);
    }
    free(left);
    free(right);
    return out;
}

/* The ways in which `node` holds, or with `denied` does not. NULL: no memory. */
static struct ways *ways_of(const struct node *node, bool denied)
{
    if (node->kind == NODE_NOT)
        return ways_of(node->left, !denied);
    if (node->kind == NODE_AND || node->kind == NODE_OR)
        return ways_of_both(node, denied);
    struct ways *out = calloc(1, sizeof(*out));
    if (out)
        *out = (struct ways){ .items[0] = { .terms = { node }, .denied = { denied }, .count = 1 }, .count = 1 };
    return out;
}

bool config_expression_overlap(const struct config_expression *a, const struct config_expression *b)
{
    struct ways *ways_a = ways_of(a->root, false), *ways_b = ways_of(b->root, false);
    struct ways *both = ways_a && ways_b ? calloc(1, sizeof(*both)) : NULL;
    bool overlap = true;
    if (both) {
        ways_cross(both, ways_a, ways_b);
        overlap = both->count > 0 || both->lost;
    }
    free(ways_a);
    free(ways_b);
    free(both);
    return overlap;
}
