#include "config/expression.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/expression_tree.h"

struct parser {
    const char *text, *at, *end;
    unsigned depth;
    bool no_memory;
    char *why;
    size_t size, *column;
};

static void node_free(struct node *node)
{
    while (node) { /* chains of OR and AND grow to the left */
        struct node *left = node->left;
        node_free(node->right);
        free(node->type);
        free(node->pattern);
        free(node);
        node = left;
    }
}

__attribute__((format(printf, 2, 3))) static struct node *fail(struct parser *parser, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(parser->why, parser->size, format, arguments);
    va_end(arguments);
    *parser->column = (size_t)(parser->at - parser->text) + 1;
    return NULL;
}

static struct node *node_new(struct parser *parser, enum node_kind kind, struct node *left, struct node *right)
{
    struct node *node = calloc(1, sizeof(*node));
    if (!node) {
        parser->no_memory = true;
        node_free(left);
        node_free(right);
        return NULL;
    }
    node->kind = kind;
    node->left = left;
    node->right = right;
    return node;
}

static void skip_blanks(struct parser *parser)
{
    parser->at += strspn(parser->at, " \t");
}

/* A word stands alone: what follows it is not part of a longer one. */
static bool word_at(const char *at, const char *word)
{
    size_t length = strlen(word);
    return strncmp(at, word, length) == 0 && (!at[length] || strchr(" \t(),\"", at[length]));
}

static bool take_word(struct parser *parser, const char *word)
{
    skip_blanks(parser);
    if (!word_at(parser->at, word))
        return false;
    parser->at += strlen(word);
    return true;
}

static bool take(struct parser *parser, char character)
{
    skip_blanks(parser);
    if (*parser->at != character)
        return false;
    parser->at++;
    return true;
}

/* An unquoted value ends here: at a separator, or at a word that joins terms. */
static bool value_ends(const char *start, const char *at)
{
    if (!*at || strchr(",()", *at))
        return true;
    if (at == start || (at[-1] != ' ' && at[-1] != '\t'))
        return false;
    return word_at(at, "AND") || word_at(at, "OR");
}

/* Takes the next character into the pattern, `any` in its stead. */
static void push(struct parser *parser, struct node *node, bool any)
{
    uint32_t character = config_fold(&parser->at, parser->end);
    node->pattern[node->length++] = any ? GLYPH_ANY : character;
}

static struct node *parse_quoted(struct parser *parser, struct node *node, bool stars)
{
    const char *open = parser->at++;
    while (*parser->at != '"') {
        bool escaped = *parser->at == '\\' && parser->at[1];
        parser->at += escaped;
        if (!*parser->at) {
            parser->at = open;
            return fail(parser, "has a quote that is never closed: add a \" at the end of the value");
        }
        push(parser, node, stars && !escaped && *parser->at == '*');
    }
    parser->at++;
    return node;
}

static struct node *parse_bare(struct parser *parser, struct node *node)
{
    const char *start = parser->at;
    size_t kept = 0; /* up to the last character that is no blank, or was escaped */
    while (!value_ends(start, parser->at)) {
        if (*parser->at == '"' || *parser->at == '=')
            return fail(parser, "has a %s inside a value: put the whole value in quotes, or a backslash before it",
                        *parser->at == '"' ? "quote" : "=");
        bool escaped = *parser->at == '\\';
        parser->at += escaped;
        if (!*parser->at) {
            parser->at--;
            return fail(parser, "ends with a backslash: write the character that it is to take as it is");
        }
        bool blank = !escaped && (*parser->at == ' ' || *parser->at == '\t');
        push(parser, node, !escaped && *parser->at == '*');
        if (!blank)
            kept = node->length;
    }
    node->length = kept;
    return node;
}

/* Fills node->pattern from what stands next. NULL after a failure; the node stays the caller's. */
static struct node *parse_value(struct parser *parser, struct node *node, bool stars)
{
    node->pattern = calloc((size_t)(parser->end - parser->at) + 1, sizeof(*node->pattern));
    if (!node->pattern) {
        parser->no_memory = true;
        return NULL;
    }
    return *parser->at == '"' ? parse_quoted(parser, node, stars) : parse_bare(parser, node);
}

static struct node *parse_contains(struct parser *parser)
{
    skip_blanks(parser);
    if (*parser->at != '"')
        return fail(parser, "has contains: without a text: write contains:\"TEXT\", in quotes");
    struct node *node = node_new(parser, NODE_CONTAINS, NULL, NULL);
    const char *start = parser->at;
    if (node && parse_value(parser, node, false) && node->length)
        return node;
    if (node && !*parser->why && !parser->no_memory) {
        parser->at = start;
        fail(parser, "has contains: with an empty text, which every name has: write what to look for");
    }
    node_free(node);
    return NULL;
}

static struct node *parse_term(struct parser *parser)
{
    static const char type_characters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";
    const char *start = parser->at;
    size_t length = strspn(start, type_characters);
    if (!length)
        return fail(parser, "has no TYPE=VALUE where one must stand: write one such as CN=node7");
    parser->at += length;
    if (!take(parser, '=')) {
        parser->at = start;
        return fail(parser, "has \"%.*s\" without a = and a value: write TYPE=VALUE, such as CN=node7",
                    length < 64 ? (int)length : 64, start);
    }
    struct node *node = node_new(parser, NODE_TERM, NULL, NULL);
    if (!node)
        return NULL;
    node->type = strndup(start, length);
    parser->no_memory = !node->type;
    skip_blanks(parser);
    if (node->type && parse_value(parser, node, true)) {
        if (node->length)
            return node;
        parser->at = start;
        fail(parser, "has an empty value for %.*s: write one, or * for any", length < 64 ? (int)length : 64, start);
    }
    node_free(node);
    return NULL;
}

static struct node *parse_alternatives(struct parser *parser);

static struct node *parse_factor(struct parser *parser)
{
    struct node *node = NULL;
    skip_blanks(parser);
    const char *start = parser->at;
    if (++parser->depth > CONFIG_EXPRESSION_DEPTH) {
        fail(parser, "is nested deeper than %d: write it with fewer parentheses", CONFIG_EXPRESSION_DEPTH);
    } else if (take_word(parser, "NOT")) {
        node = parse_factor(parser);
        node = node ? node_new(parser, NODE_NOT, node, NULL) : NULL;
    } else if (take(parser, '(')) {
        node = parse_alternatives(parser);
        if (node && !take(parser, ')')) {
            parser->at = start;
            fail(parser, "has a parenthesis that is never closed: add a )");
            node_free(node);
            node = NULL;
        }
    } else if (strncmp(parser->at, "contains:", strlen("contains:")) == 0) {
        parser->at += strlen("contains:");
        node = parse_contains(parser);
    } else {
        node = parse_term(parser);
    }
    parser->depth--;
    return node;
}

static struct node *parse_all_of(struct parser *parser)
{
    struct node *left = parse_factor(parser);
    while (left && take_word(parser, "AND")) {
        struct node *right = parse_factor(parser);
        if (!right) {
            node_free(left);
            return NULL;
        }
        left = node_new(parser, NODE_AND, left, right);
    }
    return left;
}

static struct node *parse_alternatives(struct parser *parser)
{
    struct node *left = parse_all_of(parser);
    while (left && (take(parser, ',') || take_word(parser, "OR"))) {
        struct node *right = parse_all_of(parser);
        if (!right) {
            node_free(left);
            return NULL;
        }
        left = node_new(parser, NODE_OR, left, right);
    }
    return left;
}

/* The bytes of whole characters among the first `most`. */
static int part_of(const char *text, size_t most)
{
    size_t length = strnlen(text, most + 1);
    if (length <= most)
        return (int)length;
    while (most && ((unsigned char)text[most] & 0xc0) == 0x80)
        most--;
    return (int)most;
}

static struct node *parse_whole(struct parser *parser)
{
    if (parser->end - parser->text > CONFIG_EXPRESSION_MAX)
        return fail(parser, "is longer than %d bytes: shorten it", CONFIG_EXPRESSION_MAX);
    struct node *root = parse_alternatives(parser);
    skip_blanks(parser);
    if (!root || !*parser->at)
        return root;
    fail(parser, "goes on with \"%.*s\" where a comma, AND or OR must stand", part_of(parser->at, 20), parser->at);
    node_free(root);
    return NULL;
}

struct config_expression *config_expression_parse(const char *text, char *why, size_t size, size_t *column)
{
    struct parser parser = {
        .text = text, .at = text, .end = text + strlen(text), .why = why, .size = size, .column = column
    };
    why[0] = '\0';
    *column = 0;
    struct node *root = parse_whole(&parser);
    struct config_expression *expression = root ? calloc(1, sizeof(*expression)) : NULL;
    if (expression)
        *expression = (struct config_expression){ .text = strdup(text), .root = root };
    if (expression && expression->text)
        return expression;
    if (parser.no_memory || root) {
        snprintf(why, size, "does not fit in memory");
        *column = 0;
    }
    free(expression);
    node_free(root);
    return NULL;
}

void config_expression_free(struct config_expression *expression)
{
    if (!expression)
        return;
    node_free(expression->root);
    free(expression->text);
    free(expression);
}

const char *config_expression_text(const struct config_expression *expression)
{
    return expression->text;
}

/* The whole of `value` against a pattern with stars: linear but for going back to the last star. */
static bool match_pattern(const struct node *node, const char *value, size_t length)
{
    const char *at = value, *end = value + length, *resume = NULL;
    size_t glyph = 0, star = 0;
    while (at < end) {
        const char *next = at;
        uint32_t character = config_fold(&next, end);
        if (glyph < node->length && node->pattern[glyph] == GLYPH_ANY) {
            star = glyph++;
            resume = at;
        } else if (glyph < node->length && node->pattern[glyph] == character) {
            glyph++;
            at = next;
        } else if (resume) {
            config_fold(&resume, end);
            glyph = star + 1;
            at = resume;
        } else {
            return false;
        }
    }
    while (glyph < node->length && node->pattern[glyph] == GLYPH_ANY)
        glyph++;
    return glyph == node->length;
}

static bool match_term(const struct node *node, const struct config_name *name)
{
    for (size_t i = 0; i < name->count; i++) {
        const struct config_attribute *attribute = &name->attributes[i];
        for (size_t j = 0; j < sizeof(attribute->types) / sizeof(attribute->types[0]); j++) {
            if (attribute->types[j] && strcasecmp(attribute->types[j], node->type) == 0 &&
                match_pattern(node, attribute->value, attribute->length))
                return true;
        }
    }
    return false;
}

static bool match_contains(const struct node *node, const struct config_name *name)
{
    const char *end = name->text + strlen(name->text);
    for (const char *start = name->text; start < end; config_fold(&start, end)) {
        size_t i = 0;
        for (const char *at = start; at < end && i < node->length; i++) {
            if (config_fold(&at, end) != node->pattern[i])
                break;
        }
        if (i == node->length)
            return true;
    }
    return false;
}

static bool match_node(const struct node *node, const struct config_name *name)
{
    switch (node->kind) {
    case NODE_TERM:
        return match_term(node, name);
    case NODE_CONTAINS:
        return match_contains(node, name);
    case NODE_NOT:
        return !match_node(node->left, name);
    case NODE_AND:
        return match_node(node->left, name) && match_node(node->right, name);
    case NODE_OR:
        return match_node(node->left, name) || match_node(node->right, name);
    }
    return false;
}

bool config_expression_match(const struct config_expression *expression, const struct config_name *name)
{
    return match_node(expression->root, name);
}

static const char *each_type(const struct node *node, bool (*visit)(void *argument, const char *type), void *argument)
{
    if (!node)
        return NULL;
    if (node->kind == NODE_TERM)
        return visit(argument, node->type) ? NULL : node->type;
    const char *stopped = each_type(node->left, visit, argument);
    return stopped ? stopped : each_type(node->right, visit, argument);
}

const char *config_expression_each_type(const struct config_expression *expression,
                                        bool (*visit)(void *argument, const char *type), void *argument)
{
    return each_type(expression->root, visit, argument);
}
