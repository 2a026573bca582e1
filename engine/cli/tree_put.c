#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "config/printable.h"
#include "engine/cli/tree.h"
#include "engine/client/folder.h"
#include "engine/http/http.h"
#include "engine/store/folder.h"

/* One sending: what the server has already, and the directory itself, which is no entry of the tree. */
struct sending {
    struct tree_run *run;
    struct client *client;
    struct tree there;
    bool fresh;             /* the server has no such directory yet */
    struct tree_entry root; /* `full` NULL: it is not sent */
    uint64_t untaken_links;
    char words[200];
};

/* A server's umask takes from others what we would give them; that is no reason to send it all again. */
static bool same_mode(unsigned there, unsigned here)
{
    return (there & 0700) == ((here & 0700) | 0400) && (there & ~here & 077) == 0;
}

/* What stands there is what would be sent: by size and time, or by digest. */
static bool is_unchanged(struct sending *sending, const struct tree_entry *entry)
{
    struct tree_run *run = sending->run;
    const struct tree_entry *present = tree_find(&sending->there, tree_path(run->tree, entry));

    if (!present || present->kind != TREE_FILE || present->coarse || present->size != entry->size)
        return false;
    if (run->command->arguments->checksum)
        return tree_same_digest(run, sending->client, entry);
    return present->modified.tv_sec == entry->modified.tv_sec && present->modified.tv_nsec == entry->modified.tv_nsec &&
           same_mode(present->mode, entry->mode);
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

/* -- one entry: what becomes of it --------------------------------------------------------------------------------- */

/* What the server makes anyway for something in it need not be made by itself. */
static void fill_folders_above(struct sending *sending, const struct tree_entry *entry)
{
    char above[TREE_PATH_MAX];
    const char *path = tree_path(sending->run->tree, entry);
    size_t length = strlen(path);

    if (length >= sizeof above)
        return;
    memcpy(above, path, length + 1);
    for (char *slash = strrchr(above, '/'); slash; slash = strrchr(above, '/')) {
        *slash = '\0';
        struct tree_entry *folder = tree_find(sending->run->tree, above);
        if (!folder || folder->fills)
            return;
        folder->fills = true;
    }
}

static void take_file(struct sending *sending, struct tree_entry *entry)
{
    struct tree_run *run = sending->run;
    const char *path = tree_path(run->tree, entry), *slash = strrchr(path, '/');

    if (strncmp(slash ? slash + 1 : path, STORE_PRIVATE, strlen(STORE_PRIVATE)) == 0) {
        not_sent(run, entry, "names that begin with " STORE_PRIVATE " are for files on their way");
    } else if (is_unchanged(sending, entry)) {
        tree_run_skipped(run);
    } else if (run->command->arguments->dry_run) {
        tree_run_would(run, entry);
    } else {
        tree_run_plan(run, sending->client, entry);
        fill_folders_above(sending, entry);
    }
}

static void take_link_itself(struct sending *sending, struct tree_entry *entry)
{
    struct tree_run *run = sending->run;
    const char *path = tree_path(run->tree, entry);
    const struct tree_entry *present = tree_find(&sending->there, path);
    enum client_if_exists if_exists = run->command->arguments->if_exists;

    if (!store_link_stays(path, entry->words)) {
        not_sent(run, entry, "a symbolic link that could lead out of the directory");
    } else if (present && present->kind == TREE_LINK && strcmp(present->words, entry->words) == 0) {
        tree_run_skipped(run);
    } else if (run->command->arguments->dry_run) {
        tree_run_would(run, entry);
    } else if (!run->links) {
        sending->untaken_links++;
    } else if (present && (if_exists == CLIENT_IF_EXISTS_FAIL || if_exists == CLIENT_IF_EXISTS_SKIP)) {
        tree_run_taken(run, entry);
    } else {
        tree_run_small(run, entry);
        fill_folders_above(sending, entry);
    }
}

static void take_link(struct sending *sending, struct tree_entry *entry)
{
    struct tree_run *run = sending->run;

    if (run->command->arguments->links == LINKS_SKIP)
        tree_run_skipped(run);
    else if (tree_sends_link(run, entry))
        take_link_itself(sending, entry);
    else if (entry->to_file)
        take_file(sending, entry);
    else
        not_sent(run, entry,
                 entry->to_directory ? "a symbolic link to a directory"
                                     : "a symbolic link that leads nowhere, out of the directory, or to no file");
}

static void take_entry(struct sending *sending, struct tree_entry *entry)
{
    if (entry->left_out)
        return;
    switch (entry->kind) {
    case TREE_FILE:
        take_file(sending, entry);
        break;
    case TREE_LINK:
        take_link(sending, entry);
        break;
    case TREE_OTHER:
        not_sent(sending->run, entry, "neither a file nor a directory");
        break;
    case TREE_FAULT:
        not_sent(sending->run, entry, entry->words);
        break;
    case TREE_DIRECTORY: /* once it is known what is sent in it */
        break;
    }
}

/* -- directories --------------------------------------------------------------------------------------------------- */

/* Whatever is put into a directory gives it another time, so its own is set when all is there. */
static bool is_dressed(const struct tree_entry *entry, const struct tree_entry *present)
{
    return present && present->kind == TREE_DIRECTORY && !entry->fills &&
           present->modified.tv_sec == entry->modified.tv_sec && present->modified.tv_nsec == entry->modified.tv_nsec &&
           present->mode == (entry->mode | 0700); /* as servers keep them */
}

/* Those that are empty, and not there yet, are made with the files. */
static void plan_new_folders(struct sending *sending)
{
    struct tree *tree = sending->run->tree;

    for (size_t i = tree->count; i-- > 0;) {
        struct tree_entry *entry = &tree->items[i];
        if (entry->kind != TREE_DIRECTORY || entry->left_out || entry->fills ||
            tree_find(&sending->there, tree_path(tree, entry)))
            continue;
        tree_run_small(sending->run, entry);
        fill_folders_above(sending, entry);
    }
}

static void dress_folders(struct sending *sending)
{
    struct tree_run *run = sending->run;
    struct tree *tree = run->tree;

    run->small_count = 0;
    run->next = 0;
    for (size_t i = tree->count; i-- > 0;) {
        struct tree_entry *entry = &tree->items[i];
        if (entry->kind == TREE_DIRECTORY && !entry->left_out && !entry->lacks &&
            !is_dressed(entry, tree_find(&sending->there, tree_path(tree, entry))))
            tree_run_small(run, entry);
    }
    if (sending->fresh && sending->root.full && !run->lacks)
        tree_run_small(run, &sending->root);
    tree_run_lanes(run, sending->client, TREE_FOLDERS_PER_LANE);
}

/* -- the whole ----------------------------------------------------------------------------------------------------- */

static void put_large(struct tree_run *run, const struct remote *server, struct tree_entry *entry)
{
    char *local = tree_run_local(run, entry);
    if (!local)
        tree_run_failed(run, entry, CLIENT_FAILED, "no memory", NULL);
    else
        tree_run_one(run, command_put(run->command, server, local, entry->full));
    free(local);
}

static bool has(const struct tree *tree, enum tree_kind kind)
{
    for (size_t i = 0; i < tree->count; i++) {
        if (tree->items[i].kind == kind && !tree->items[i].left_out)
            return true;
    }
    return false;
}

/* A server that knows nothing of them would store a link's target as a file: it is asked before. */
static void ask_what_is_taken(struct sending *sending)
{
    struct tree_run *run = sending->run;
    bool links = run->command->arguments->links == LINKS_KEEP && has(run->tree, TREE_LINK);
    bool folders = has(run->tree, TREE_DIRECTORY);
    struct client_takes takes;

    if (run->command->arguments->dry_run || (!links && !folders && !sending->fresh))
        return;
    int result = client_ask_takes(sending->client, run->shown, &takes);
    if (result != CLIENT_OK) {
        command_fail(run->command, result, "/%s: %s", run->shown, client_reason(sending->client));
        return;
    }
    run->folders = takes.directories;
    run->links = takes.links;
    if (!takes.directories && folders) {
        snprintf(sending->words, sizeof sending->words,
                 "empty directories, and times and modes of directories, were not sent: the server does not take them "
                 "(%u %s)",
                 takes.status, http_reason(takes.status));
        run->untaken = sending->words;
    }
}

static void say_untaken_links(struct sending *sending)
{
    if (sending->untaken_links == 0)
        return;
    sending->run->failed += sending->untaken_links;
    command_fail(sending->run->command, CLIENT_REFUSED,
                 "%llu symbolic links were not sent: the server does not take them; --links follow sends the files "
                 "they lead to",
                 (unsigned long long)sending->untaken_links);
}

static void move(struct sending *sending, const struct remote *server)
{
    struct tree_run *run = sending->run;
    struct tree *tree = run->tree;

    ask_what_is_taken(sending);
    for (size_t i = 0; i < tree->count && !run->command->hopeless; i++)
        take_entry(sending, &tree->items[i]);
    if (run->command->arguments->dry_run || run->command->hopeless)
        return;
    say_untaken_links(sending);
    if (run->folders)
        plan_new_folders(sending);
    tree_run_lanes(run, sending->client, TREE_FILES_PER_LANE);
    for (size_t i = 0; i < tree->count && !run->command->hopeless; i++) {
        if (tree->items[i].large && !tree->items[i].left_out)
            put_large(run, server, &tree->items[i]);
    }
    if (run->folders && !run->command->hopeless)
        dress_folders(sending);
}

/* What the server has there already, as far as it says: without that, all is sent. */
static int read_there(struct command *command, struct sending *sending)
{
    struct client *client = sending->client;
    const char *why;
    int result = tree_read_remote(client, &sending->there, true, &why);

    if (result == CLIENT_REFUSED || result == CLIENT_SERVER) {
        sending->fresh = client_last(client)->status == 404;
        tree_sort(&sending->there);
        return CLIENT_OK;
    }
    if (result == CLIENT_OK)
        return result;
    command->status = client_last(client)->status;
    return command_fail(command, result, "/%s: %s", sending->there.prefix, why);
}

/* The directory itself, where it is new to the server: it gets its own time and mode, too. */
static void find_root(struct sending *sending)
{
    struct tree_run *run = sending->run;
    struct stat facts;

    if (!run->tree->prefix[0] || fstat(store_directory(run->store), &facts) < 0)
        return;
    sending->root = (struct tree_entry){
        .full = run->tree->prefix, .kind = TREE_DIRECTORY, .mode = facts.st_mode & 0777, .modified = facts.st_mtim
    };
}

static void put_from(struct command *command, const struct remote *server, struct tree_run *run)
{
    struct sending sending = { .run = run, .client = command_client(command, server) };

    if (!sending.client)
        return;
    find_root(&sending);
    if (tree_init(&sending.there, run->tree->prefix) < 0)
        command_fail(command, CLIENT_FAILED, "no memory");
    else if (read_there(command, &sending) == CLIENT_OK) {
        if (tree_run_begin(run) == CLIENT_OK)
            move(&sending, server);
        tree_run_end(run);
    }
    tree_clear(&sending.there);
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
