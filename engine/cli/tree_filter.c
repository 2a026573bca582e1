#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/printable.h"
#include "engine/cli/tree.h"

#define FILES_FROM_MAX (256u << 20)

/*
 * A pattern without a slash is held against the last name of a path; one with a slash against the path as a whole, and
 * then no wildcard stands for a slash. One that ends in a slash is for directories.
 */
static bool matches(const char *pattern, const char *path, bool directory)
{
    char text[TREE_PATH_MAX];
    size_t length = strlen(pattern);

    if (length == 0 || length >= sizeof text)
        return false;
    memcpy(text, pattern, length + 1);
    if (text[length - 1] == '/') {
        if (!directory)
            return false;
        text[--length] = '\0';
    }
    if (!strchr(text, '/')) {
        const char *slash = strrchr(path, '/');
        return fnmatch(text, slash ? slash + 1 : path, 0) == 0;
    }
    return fnmatch(text[0] == '/' ? text + 1 : text, path, FNM_PATHNAME) == 0;
}

/* The first rule that matches decides. What none matches is taken, unless there are rules that say what to include. */
static bool take_one(const struct arguments *arguments, const char *path, bool directory)
{
    bool includes = false;

    for (unsigned i = 0; i < arguments->rule_count; i++) {
        if (matches(arguments->rules[i].pattern, path, directory))
            return arguments->rules[i].include;
        includes |= arguments->rules[i].include;
    }
    return directory || !includes;
}

bool tree_rules_take(const struct arguments *arguments, const char *path, bool directory)
{
    char above[TREE_PATH_MAX];

    if (arguments->rule_count == 0)
        return true;
    /* What lies in a directory that is left out is left out, too. */
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        size_t length = (size_t)(slash - path);
        if (length >= sizeof above)
            return false;
        memcpy(above, path, length);
        above[length] = '\0';
        if (!take_one(arguments, above, true))
            return false;
    }
    return take_one(arguments, path, directory);
}

/* -- --files-from -------------------------------------------------------------------------------------------------- */

struct names {
    char *bytes;
    size_t length;
    struct name {
        const char *text;
        bool found;
    } * items;
    size_t count, capacity;
};

static int read_whole(const char *file, struct names *names)
{
    FILE *in = strcmp(file, "-") == 0 ? stdin : fopen(file, "re");
    size_t capacity = 0;
    int error = 0;

    if (!in)
        return -errno;
    for (;;) {
        if (capacity - names->length < 65536) {
            capacity = capacity ? 2 * capacity : 131072;
            char *grown = capacity > FILES_FROM_MAX ? NULL : realloc(names->bytes, capacity);
            if (!grown) {
                error = capacity > FILES_FROM_MAX ? -EFBIG : -ENOMEM;
                break;
            }
            names->bytes = grown;
        }
        size_t got = fread(names->bytes + names->length, 1, capacity - names->length - 1, in);
        names->length += got;
        if (got == 0)
            break;
    }
    if (error == 0 && ferror(in))
        error = -EIO;
    if (in != stdin)
        fclose(in);
    return error;
}

static int add_name(struct names *names, char *text)
{
    while (strncmp(text, "./", 2) == 0)
        text += 2;
    size_t length = strlen(text);
    while (length > 0 && text[length - 1] == '/')
        text[--length] = '\0';
    if (length == 0)
        return 0;
    if (names->count == names->capacity) {
        size_t capacity = names->capacity ? 2 * names->capacity : 64;
        void *grown = reallocarray(names->items, capacity, sizeof *names->items);
        if (!grown)
            return -ENOMEM;
        names->items = grown;
        names->capacity = capacity;
    }
    names->items[names->count++] = (struct name){ .text = text };
    return 0;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

/* Lines; or, where there is a NUL, names that each end in one, as `find -print0` writes them. */
static int split(struct names *names)
{
    char end = '\n';
    int error = 0;

    if (names->length == 0)
        return 0;
    if (memchr(names->bytes, '\0', names->length))
        end = '\0';
    names->bytes[names->length] = '\0';
    for (char *at = names->bytes, *last = at + names->length; at < last && error == 0;) {
        char *stop = memchr(at, end, (size_t)(last - at));
        if (!stop)
            stop = last;
        *stop = '\0';
        error = add_name(names, at);
        at = stop + 1;
    }
    if (names->count == 0)
        return error;
    qsort(names->items, names->count, sizeof *names->items, by_text);
    size_t kept = 0;
    for (size_t i = 1; i < names->count; i++) {
        if (strcmp(names->items[i].text, names->items[kept].text) != 0)
            names->items[++kept] = names->items[i];
    }
    names->count = kept + 1;
    return error;
}

static bool named_itself(const struct names *names, const char *path)
{
    const struct name key = { .text = path };
    if (names->count == 0)
        return false;
    struct name *found = bsearch(&key, names->items, names->count, sizeof key, by_text);
    if (found)
        found->found = true;
    return found;
}

/* By its own name, or that of a directory above it. */
static bool is_named(const struct names *names, const char *path)
{
    char above[TREE_PATH_MAX];
    bool named = named_itself(names, path);

    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        size_t length = (size_t)(slash - path);
        if (length >= sizeof above)
            break;
        memcpy(above, path, length);
        above[length] = '\0';
        named |= named_itself(names, above);
    }
    return named;
}

static int filter_names(struct command *command, struct tree *tree, const char *file)
{
    struct names names = { 0 };
    int error = read_whole(file, &names);
    if (error == 0)
        error = split(&names);
    for (size_t i = 0; error == 0 && i < tree->count; i++)
        tree->items[i].left_out |= !is_named(&names, tree_path(tree, &tree->items[i]));
    for (size_t i = 0; error == 0 && i < names.count; i++) {
        if (names.items[i].found)
            continue;
        char *shown = printable(names.items[i].text);
        command_fail(command, CLIENT_LOCAL, "--files-from names %s, which is not there", shown ? shown : "?");
        free(shown);
    }
    free(names.items);
    free(names.bytes);
    if (error < 0)
        return command_fail(command, CLIENT_LOCAL, "--files-from %s: %s", file, strerror(-error));
    return CLIENT_OK;
}

int tree_filter(struct command *command, struct tree *tree)
{
    const struct arguments *arguments = command->arguments;

    for (size_t i = 0; i < tree->count; i++) {
        struct tree_entry *entry = &tree->items[i];
        bool directory = entry->kind == TREE_DIRECTORY;
        entry->left_out = !tree_rules_take(arguments, tree_path(tree, entry), directory);
    }
    return arguments->files_from ? filter_names(command, tree, arguments->files_from) : CLIENT_OK;
}
