#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/cli/tree.h"
#include "engine/client/manifest.h"
#include "engine/http/http.h"
#include "engine/store/walk.h"

#define TREE_TOO_LARGE                                                                                                 \
    "it has more than 8000000 entries, or 1024 MiB of names, which is as much as is kept in memory; take its "         \
    "directories one by one"
_Static_assert(TREE_ENTRIES_MAX == 8000000 && TREE_BYTES_MAX == 1024ull << 20, "what the sentence says");

#define LISTING_DEPTH_MAX 64 /* a server may make up a tree that never ends */

/* -- remote -------------------------------------------------------------------------------------------------------- */

struct reading {
    struct client *client;
    struct tree *tree;
    int error;
};

static int take_node(void *argument, const struct manifest_node *node)
{
    static const enum tree_kind kinds[] = { [MANIFEST_FILE] = TREE_FILE,
                                            [MANIFEST_DIRECTORY] = TREE_DIRECTORY,
                                            [MANIFEST_LINK] = TREE_LINK,
                                            [MANIFEST_FAULT] = TREE_FAULT };
    struct reading *reading = argument;
    const struct tree_entry entry = { .kind = kinds[node->kind],
                                      .to_file = node->to_file,
                                      .to_directory = node->to_directory,
                                      .mode = node->mode,
                                      .size = node->size,
                                      .modified = node->modified };

    reading->error = tree_add(reading->tree, node->path, &entry, node->target ? node->target : node->reason);
    return reading->error < 0 ? CLIENT_FAILED : 0;
}

/* One directory of a server that has only listings: what is in it, gathered until the listing is over. */
struct listed {
    struct reading *reading;
    const char *path; /* within the tree: "" or with a slash at its end */
};

static int take_listed(void *argument, const struct client_entry *entry)
{
    struct listed *listed = argument;
    struct tree_entry made = { .kind = entry->directory ? TREE_DIRECTORY : TREE_FILE,
                               .size = entry->size,
                               .coarse = true };
    char path[TREE_PATH_MAX];

    int length = snprintf(path, sizeof path, "%s%s", listed->path, entry->name);
    if (length < 0 || (size_t)length >= sizeof path)
        listed->reading->error = -ENAMETOOLONG;
    else {
        time_t modified;
        if (http_date_parse(entry->modified, &modified) == 0)
            made.modified.tv_sec = modified;
        listed->reading->error = tree_add(listed->reading->tree, path, &made, NULL);
    }
    return listed->reading->error;
}

static unsigned depth_of(const char *path)
{
    unsigned depth = 0;
    for (; *path; path++)
        depth += *path == '/';
    return depth;
}

static int add_fault(struct reading *reading, const char *path, const char *why)
{
    const struct tree_entry fault = { .kind = TREE_FAULT };
    int error = tree_add(reading->tree, path, &fault, why);
    return error < 0 ? CLIENT_FAILED : CLIENT_OK;
}

/* A failure that only concerns this directory is an entry; `tree->items` moves while they are added. */
static int list_one(struct reading *reading, const char *path)
{
    char within[TREE_PATH_MAX], full[2 * TREE_PATH_MAX];
    struct listed listed = { .reading = reading, .path = within };

    int length = snprintf(within, sizeof within, "%s%s", path, path[0] ? "/" : "");
    int full_length = snprintf(full, sizeof full, "%s%s", reading->tree->prefix, within);
    if (length < 0 || (size_t)length >= sizeof within || full_length < 0 || (size_t)full_length >= sizeof full)
        return add_fault(reading, path, "the path is too long");
    if (depth_of(within) > LISTING_DEPTH_MAX)
        return add_fault(reading, path, "too many directories deep");
    int result = client_list(reading->client, full, take_listed, &listed);
    if (reading->error < 0 && reading->error != -ENAMETOOLONG)
        return CLIENT_FAILED;
    reading->error = 0;
    bool alone = result == CLIENT_REFUSED || result == CLIENT_SERVER;
    if (alone && path[0])
        return add_fault(reading, path, client_reason(reading->client));
    return result;
}

/* The list grows by what is found while it is gone through: breadth first, without recursion. */
static int read_listings(struct reading *reading)
{
    char path[TREE_PATH_MAX];
    int result = list_one(reading, "");

    for (size_t i = 0; result == CLIENT_OK && i < reading->tree->count; i++) {
        if (reading->tree->items[i].kind != TREE_DIRECTORY)
            continue;
        snprintf(path, sizeof path, "%s", tree_path(reading->tree, &reading->tree->items[i]));
        result = list_one(reading, path);
    }
    return result;
}

int tree_read_remote(struct client *client, struct tree *tree, bool only_manifest, const char **why)
{
    struct reading reading = { .client = client, .tree = tree };
    bool told;

    int result = client_manifest(client, tree->prefix, take_node, &reading, &told);
    if (result == CLIENT_OK && !told && !only_manifest)
        result = read_listings(&reading);
    if (result == CLIENT_OK)
        tree_sort(tree);
    *why = reading.error == -E2BIG ? TREE_TOO_LARGE : reading.error == -ENOMEM ? "no memory" : client_reason(client);
    return result;
}

/* -- local --------------------------------------------------------------------------------------------------------- */

static int add_walked(struct tree *tree, const struct walk_entry *walked)
{
    static const enum tree_kind kinds[] = { [WALK_FILE] = TREE_FILE,
                                            [WALK_DIRECTORY] = TREE_DIRECTORY,
                                            [WALK_LINK] = TREE_LINK,
                                            [WALK_OTHER] = TREE_OTHER,
                                            [WALK_FAULT] = TREE_FAULT };
    const struct stat *facts = walked->leads ? &walked->beyond : &walked->facts;
    struct tree_entry entry = { .kind = kinds[walked->kind],
                                .to_file = walked->leads && S_ISREG(walked->beyond.st_mode),
                                .to_directory = walked->leads && S_ISDIR(walked->beyond.st_mode) };
    const char *words = walked->target;

    if (walked->kind == WALK_FAULT) {
        words = walked->error == -ELOOP ? "too many directories deep" : strerror(-walked->error);
    } else {
        entry.mode = facts->st_mode & 0777;
        entry.size = (uint64_t)facts->st_size;
        entry.modified = facts->st_mtim;
    }
    return tree_add(tree, walked->path, &entry, words);
}

int tree_read_local(const struct store *root, struct tree *tree, char *why, size_t size)
{
    struct walk_entry entry;
    struct walk *walk;
    int more;

    int error = walk_begin(&walk, store_directory(root), "", true);
    if (error == 0) {
        while ((more = walk_next(walk, &entry)) == 1 && error == 0)
            error = add_walked(tree, &entry);
        if (more < 0)
            error = more;
        walk_end(walk);
    }
    if (error < 0) {
        snprintf(why, size, "%s", error == -E2BIG ? TREE_TOO_LARGE : strerror(-error));
        return error == -ENOMEM ? CLIENT_FAILED : CLIENT_LOCAL;
    }
    tree_sort(tree);
    return CLIENT_OK;
}
