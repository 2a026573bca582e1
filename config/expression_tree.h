/*
 * Private to config/: an expression as it was parsed. expression.c reads and matches it, overlap.c compares two.
 */
#ifndef SLUICE_CONFIG_EXPRESSION_TREE_H
#define SLUICE_CONFIG_EXPRESSION_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum node_kind { NODE_TERM, NODE_CONTAINS, NODE_NOT, NODE_AND, NODE_OR };

/* One character of a value, folded; a star that was not escaped stands for any run of them. */
#define GLYPH_ANY UINT32_MAX

struct node {
    enum node_kind kind;
    char *type;        /* NODE_TERM */
    uint32_t *pattern; /* NODE_TERM and NODE_CONTAINS (which has no GLYPH_ANY) */
    size_t length;
    struct node *left, *right; /* NODE_NOT has left only */
};

struct config_expression {
    char *text;
    struct node *root;
};

/*
 * The next character of UTF-8, and moves *at behind it; *at < end. Letters that differ only in case are one: those of
 * ASCII, Latin-1, Latin Extended-A, Greek and Cyrillic. A byte that is not UTF-8 is a character of its own, which
 * equals no other.
 */
uint32_t config_fold(const char **at, const char *end);

#endif
