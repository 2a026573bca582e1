#include "engine/cli/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int tree_init(struct tree *tree, const char *prefix)
{
    *tree = (struct tree){ .prefix = strdup(prefix), .prefix_length = strlen(prefix) };
    return tree->prefix ? 0 : -ENOMEM;
}

static void entry_clear(struct tree_entry *entry)
{
    free(entry->full);
    free(entry->words);
}

void tree_clear(struct tree *tree)
{
    for (size_t i = 0; i < tree->count; i++)
        entry_clear(&tree->items[i]);
    free(tree->items);
    free(tree->prefix);
    *tree = (struct tree){ 0 };
}

static int grow(struct tree *tree)
{
    if (tree->count < tree->capacity)
        return 0;
    if (tree->count >= TREE_ENTRIES_MAX)
        return -E2BIG;
    size_t capacity = tree->capacity ? tree->capacity * 2 : 256;
    struct tree_entry *grown = reallocarray(tree->items, capacity, sizeof *grown);
    if (!grown)
        return -ENOMEM;
    tree->items = grown;
    tree->capacity = capacity;
    return 0;
}

int tree_add(struct tree *tree, const char *path, const struct tree_entry *entry, const char *words)
{
    size_t length = strlen(path);
    int error = grow(tree);
    if (error < 0)
        return error;
    tree->bytes += tree->prefix_length + length + (words ? strlen(words) : 0) + 2;
    if (tree->bytes > TREE_BYTES_MAX)
        return -E2BIG;
    struct tree_entry *added = &tree->items[tree->count];
    *added = *entry;
    added->full = malloc(tree->prefix_length + length + 1);
    added->words = words ? strdup(words) : NULL;
    if (!added->full || (words && !added->words)) {
        entry_clear(added);
        return -ENOMEM;
    }
    memcpy(added->full, tree->prefix, tree->prefix_length);
    memcpy(added->full + tree->prefix_length, path, length + 1);
    tree->count++;
    return 0;
}

/* Of two of the same path a fault comes first: a directory that cannot be read is told of, not made empty. */
static int by_path(const void *a, const void *b)
{
    const struct tree_entry *one = a, *other = b;
    int order = strcmp(one->full, other->full);
    return order ? order : (int)other->kind - (int)one->kind;
}

void tree_sort(struct tree *tree)
{
    size_t kept = 0;

    if (tree->count == 0)
        return;
    qsort(tree->items, tree->count, sizeof *tree->items, by_path);
    for (size_t i = 1; i < tree->count; i++) {
        if (strcmp(tree->items[kept].full, tree->items[i].full) == 0)
            entry_clear(&tree->items[i]);
        else
            tree->items[++kept] = tree->items[i];
    }
    tree->count = kept + 1;
}

const char *tree_path(const struct tree *tree, const struct tree_entry *entry)
{
    return entry->full + tree->prefix_length;
}

struct tree_entry *tree_find(const struct tree *tree, const char *path)
{
    size_t first = 0, end = tree->count;

    while (first < end) {
        size_t middle = first + (end - first) / 2;
        int order = strcmp(path, tree_path(tree, &tree->items[middle]));
        if (order == 0)
            return &tree->items[middle];
        if (order < 0)
            end = middle;
        else
            first = middle + 1;
    }
    return NULL;
}
