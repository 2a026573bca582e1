#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/printable.h"
#include "engine/cli/tree.h"

/* What stands there is what would be sent: by size and time, or by digest. */
static bool is_unchanged(struct tree_run *run, struct client *client, const struct tree *there,
                         const struct tree_entry *entry)
{
    const struct tree_entry *present = tree_find(there, tree_path(run->tree, entry));

    if (!present || present->kind != TREE_FILE || present->coarse || present->size != entry->size)
        return false;
    if (run->command->arguments->checksum)
        return tree_same_digest(run, client, entry);
    return present->modified.tv_sec == entry->modified.tv_sec && present->modified.tv_nsec == entry->modified.tv_nsec &&
           present->mode == entry->mode;
}

static void not_sent(struct tree_run *run, const struct tree_entry *entry, const char *why)
{
    char *name = path_join(run->local, tree_path(run->tree, entry), strlen(tree_path(run->tree, entry)));
    char *shown = printable(name ? name : "?");

    run->failed++;
    command_fail(run->command, CLIENT_LOCAL, "%s is not sent: %s", shown ? shown : "?", why);
    free(shown);
    free(name);
}

static void take_file(struct tree_run *run, struct client *client, const struct tree *there, struct tree_entry *entry)
{
    const char *path = tree_path(run->tree, entry), *slash = strrchr(path, '/');

    if (strncmp(slash ? slash + 1 : path, STORE_PRIVATE, strlen(STORE_PRIVATE)) == 0)
        not_sent(run, entry, "names that begin with " STORE_PRIVATE " are for files on their way");
    else if (is_unchanged(run, client, there, entry))
        tree_run_skipped(run);
    else if (run->command->arguments->dry_run)
        tree_run_would(run, entry);
    else
        tree_run_plan(run, client, entry);
}

static void take_link(struct tree_run *run, struct client *client, const struct tree *there, struct tree_entry *entry)
{
    if (run->command->arguments->links == LINKS_SKIP)
        tree_run_skipped(run);
    else if (entry->to_file)
        take_file(run, client, there, entry);
    else
        not_sent(run, entry,
                 entry->to_directory ? "a symbolic link to a directory"
                                     : "a symbolic link that leads nowhere, out of the directory, or to no file");
}

static void take_entry(struct tree_run *run, struct client *client, const struct tree *there, struct tree_entry *entry)
{
    if (entry->left_out)
        return;
    switch (entry->kind) {
    case TREE_FILE:
        take_file(run, client, there, entry);
        break;
    case TREE_LINK:
        take_link(run, client, there, entry);
        break;
    case TREE_OTHER:
        not_sent(run, entry, "neither a file nor a directory");
        break;
    case TREE_FAULT:
        not_sent(run, entry, entry->words);
        break;
    case TREE_DIRECTORY: /* the server makes it with the first file in it */
        break;
    }
}

static void put_large(struct tree_run *run, const struct remote *server, struct tree_entry *entry)
{
    char *local = tree_run_local(run, entry);
    if (!local)
        tree_run_failed(run, entry, CLIENT_FAILED, "no memory", NULL);
    else
        tree_run_one(run, command_put(run->command, server, local, entry->full));
    free(local);
}

static void move(struct tree_run *run, const struct remote *server, struct client *client, const struct tree *there)
{
    struct tree *tree = run->tree;

    for (size_t i = 0; i < tree->count && !run->command->hopeless; i++)
        take_entry(run, client, there, &tree->items[i]);
    if (run->command->arguments->dry_run || run->command->hopeless)
        return;
    tree_run_lanes(run, client);
    for (size_t i = 0; i < tree->count && !run->command->hopeless; i++) {
        if (tree->items[i].large && !tree->items[i].left_out)
            put_large(run, server, &tree->items[i]);
    }
}

/* What the server has there already, as far as it says: without that, all is sent. */
static int read_there(struct command *command, struct client *client, struct tree *there)
{
    int result = tree_read_remote(client, there, true);
    if (result == CLIENT_REFUSED || result == CLIENT_SERVER) {
        tree_sort(there);
        return CLIENT_OK;
    }
    return result == CLIENT_OK ? result
                               : command_fail(command, result, "/%s: %s", there->prefix, client_reason(client));
}

static void put_from(struct command *command, const struct remote *server, struct tree_run *run)
{
    struct client *client = command_client(command, server);
    struct tree there;

    if (!client)
        return;
    if (tree_init(&there, run->tree->prefix) < 0)
        command_fail(command, CLIENT_FAILED, "no memory");
    else if (read_there(command, client, &there) == CLIENT_OK) {
        if (tree_run_begin(run) == CLIENT_OK)
            move(run, server, client, &there);
        tree_run_end(run);
    }
    tree_clear(&there);
}

void tree_put(struct command *command, const struct remote *server, const char *local, const char *path)
{
    struct tree_run run = { .command = command, .local = local, .put = true };
    struct tree tree = { 0 };
    char why[200] = "no memory";
    char *shown = printable(local), *prefix = path_is_directory(path) ? strdup(path) : path_join(path, "/", 0);
    int result = CLIENT_FAILED;

    if (prefix && tree_init(&tree, prefix) == 0) {
        int error = store_open(&run.store, local);
        snprintf(why, sizeof why, "%s", error < 0 ? strerror(-error) : "");
        result = error < 0 ? CLIENT_LOCAL : tree_read_local(run.store, &tree, why, sizeof why);
    }
    run.tree = &tree;
    run.shown = prefix;
    if (result != CLIENT_OK)
        command_fail(command, result, "%s: %s", shown ? shown : "?", why);
    else if (tree_filter(command, &tree) == CLIENT_OK)
        put_from(command, server, &run);
    store_close(run.store);
    tree_clear(&tree);
    free(shown);
    free(prefix);
}
