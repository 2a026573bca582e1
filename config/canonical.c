/* One text for expressions that mean the same by their structure. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/expression.h"
#include "config/expression_tree.h"
#include "config/model.h"

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool print_node(FILE *out, const struct node *node);

/* What AND or OR joins, however it was nested. */
static bool collect(const struct node *node, enum node_kind kind, struct config_list *parts)
{
    if (node->kind == kind)
        return collect(node->left, kind, parts) && collect(node->right, kind, parts);
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    bool good = out && print_node(out, node);
    good = out && fclose(out) == 0 && good && config_list_add(parts, text) == 0;
    free(text);
    return good;
}

static bool print_joined(FILE *out, const struct node *node)
{
    struct config_list parts = { 0 };
    bool good = collect(node, node->kind, &parts);
    if (parts.count)
        qsort(parts.items, parts.count, sizeof(*parts.items), by_text);
    size_t distinct = 0;
    for (size_t i = 0; i < parts.count; i++)
        distinct += i == 0 || strcmp(parts.items[i - 1], parts.items[i]) != 0;
    if (distinct > 1)
        fputs(node->kind == NODE_AND ? "and(" : "or(", out);
    for (size_t i = 0; i < parts.count; i++) {
        if (i == 0 || strcmp(parts.items[i - 1], parts.items[i]) != 0)
            fprintf(out, "%s%s", i ? " " : "", parts.items[i]);
    }
    if (distinct > 1)
        fputc(')', out);
    config_list_clear(&parts);
    return good;
}

static void print_pattern(FILE *out, const struct node *node)
{
    for (size_t i = 0; i < node->length; i++) {
        if (node->pattern[i] == GLYPH_ANY)
            fputc('*', out);
        else
            fprintf(out, ".%x", (unsigned)node->pattern[i]);
    }
}

static bool print_node(FILE *out, const struct node *node)
{
    switch (node->kind) {
    case NODE_TERM:
        for (const char *c = node->type; *c; c++)
            fputc(tolower((unsigned char)*c), out);
        fputc('=', out);
        print_pattern(out, node);
        return true;
    case NODE_CONTAINS:
        fputs("contains:", out);
        print_pattern(out, node);
        return true;
    case NODE_NOT:
        fputs("not(", out);
        if (!print_node(out, node->left))
            return false;
        fputc(')', out);
        return true;
    case NODE_AND:
    case NODE_OR:
        return print_joined(out, node);
    }
    return false;
}

char *config_expression_canonical(const struct config_expression *expression)
{
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    bool good = out && print_node(out, expression->root);
    if (out && fclose(out) == 0 && good)
        return text;
    free(text);
    return NULL;
}
