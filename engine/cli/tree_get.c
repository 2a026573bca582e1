#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/printable.h"
#include "engine/cli/tree.h"
#include "engine/client/part.h"
#include "engine/store/folder.h"

static bool same_time(const struct tree_entry *entry, const struct timespec *modified)
{
    if (entry->modified.tv_sec != modified->tv_sec)
        return false;
    return entry->coarse ? entry->modified.tv_sec != 0 : entry->modified.tv_nsec == modified->tv_nsec;
}

/* What stands here is what would come: by size and time, or by digest. */
static bool is_unchanged(struct tree_run *run, struct client *client, const struct tree_entry *entry)
{
    const char *path = tree_path(run->tree, entry);
    struct stat facts;

    if (!run->store) /* nothing is there yet */
        return false;
    if (fstatat(store_directory(run->store), path, &facts, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(facts.st_mode) ||
        (uint64_t)facts.st_size != entry->size)
        return false;
    if (!run->command->arguments->checksum) {
        if (!same_time(entry, &facts.st_mtim))
            return false;
    } else if (!tree_same_digest(run, client, entry)) {
        return false;
    }
    const unsigned mode = entry->mode & run->modes;
    if (!entry->coarse && ((facts.st_mode & 07777) != mode || !same_time(entry, &facts.st_mtim)) &&
        !run->command->arguments->dry_run)
        (void)!store_set_facts(run->store, path, &mode, &entry->modified);
    return true;
}

/* One that is here by now may have been given its name by a run that was killed before it was done with its journal. */
static void tidy(struct tree_run *run, const struct tree_entry *entry)
{
    char *local = entry->size >= PART_FROM ? tree_run_local(run, entry) : NULL;

    if (local)
        part_tidy(local, entry->full, false);
    free(local);
}

/* -- one entry: what becomes of it --------------------------------------------------------------------------------- */

static void take_file(struct tree_run *run, struct client *client, struct tree_entry *entry)
{
    const bool dry_run = run->command->arguments->dry_run;

    if (is_unchanged(run, client, entry)) {
        if (!dry_run)
            tidy(run, entry);
        tree_run_skipped(run);
    } else if (dry_run) {
        tree_run_would(run, entry);
    } else {
        tree_run_plan(run, client, entry);
    }
}

static void take_link(struct tree_run *run, struct client *client, struct tree_entry *entry)
{
    const struct arguments *arguments = run->command->arguments;

    if (arguments->links == LINKS_SKIP)
        tree_run_skipped(run);
    else if (arguments->links == LINKS_KEEP && !store_link_stays(tree_path(run->tree, entry), entry->words))
        tree_run_failed(run, entry, CLIENT_LOCAL,
                        "is not fetched: a symbolic link that could lead out of the directory", NULL);
    else if (arguments->links == LINKS_KEEP && arguments->dry_run)
        tree_run_would(run, entry);
    else if (arguments->links == LINKS_KEEP)
        return; /* when all else stands */
    else if (entry->to_file)
        take_file(run, client, entry);
    else
        tree_run_failed(run, entry, CLIENT_REFUSED,
                        entry->to_directory ? "is not fetched: a symbolic link to a directory"
                                            : "is not fetched: a symbolic link to nothing that is served",
                        NULL);
}

static void make_folder(struct tree_run *run, struct tree_entry *entry)
{
    if (run->command->arguments->dry_run)
        return;
    int error = store_make_folder(run->store, tree_path(run->tree, entry));
    if (error == 0)
        return;
    entry->left_out = true; /* its time is not set */
    tree_run_failed(run, entry, CLIENT_LOCAL,
                    error == -ELOOP || error == -EXDEV ? "making the directory: a symbolic link stands there"
                    : error == -ENOTDIR                ? "making the directory: something else stands there"
                                                       : strerror(-error),
                    NULL);
}

static void take_entry(struct tree_run *run, struct client *client, struct tree_entry *entry)
{
    char why[400];

    if (entry->left_out)
        return;
    switch (entry->kind) {
    case TREE_FILE:
        take_file(run, client, entry);
        break;
    case TREE_DIRECTORY:
        make_folder(run, entry);
        break;
    case TREE_LINK:
        take_link(run, client, entry);
        break;
    default: {
        char *reason = printable(entry->words ? entry->words : "?");
        snprintf(why, sizeof why, "the server cannot read it: %s", reason ? reason : "?");
        free(reason);
        tree_run_failed(run, entry, CLIENT_REFUSED, why, NULL);
    }
    }
}

/* -- what comes after the small files ------------------------------------------------------------------------------ */

/* The directory above must lie within the destination: the file is written by its path. */
static bool lies_within(struct tree_run *run, const struct tree_entry *entry)
{
    char above[TREE_PATH_MAX];
    struct stat facts;
    const char *path = tree_path(run->tree, entry), *slash = strrchr(path, '/');

    snprintf(above, sizeof above, "%.*s", slash ? (int)(slash - path) : 0, path);
    int fd = store_open_read(run->store, above, &facts);
    if (fd >= 0)
        close(fd);
    if (fd >= 0 || fd == -ENOENT)
        return true;
    tree_run_failed(run, entry, CLIENT_LOCAL, "writing it here: the path leads out of the destination", NULL);
    return false;
}

/* A file system without times is no reason to fail. */
static void set_facts(const struct tree_run *run, const struct tree_entry *entry)
{
    const unsigned mode = entry->mode & run->modes;

    (void)!store_set_facts(run->store, tree_path(run->tree, entry), &mode, &entry->modified);
}

static void get_large(struct tree_run *run, const struct remote *server, struct tree_entry *entry)
{
    char *local = tree_run_local(run, entry);

    if (!local)
        tree_run_failed(run, entry, CLIENT_FAILED, "no memory", NULL);
    else if (lies_within(run, entry)) {
        tree_run_one(run, command_get(run->command, server, entry->full, local));
        if (run->last_result == CLIENT_OK && !entry->coarse)
            set_facts(run, entry);
    }
    free(local);
}

static void make_link(struct tree_run *run, struct tree_entry *entry)
{
    const struct client_transfer none = { .path = "none", .tx = "", .rx = "", .version = "", .suite = "" };
    char target[TREE_PATH_MAX];
    const char *path = tree_path(run->tree, entry);

    ssize_t length = readlinkat(store_directory(run->store), path, target, sizeof target - 1);
    target[length > 0 ? length : 0] = '\0';
    if (length > 0 && strcmp(target, entry->words) == 0) {
        tree_run_skipped(run);
        return;
    }
    int error = store_make_link(run->store, path, entry->words);
    if (error == 0)
        tree_run_moved(run, entry, &none);
    else
        tree_run_failed(run, entry, CLIENT_LOCAL, strerror(-error), NULL);
}

/* Deepest first, when nothing is put into them any more. */
static void finish_folders(struct tree_run *run)
{
    for (size_t i = run->tree->count; i-- > 0;) {
        const struct tree_entry *entry = &run->tree->items[i];
        if (entry->kind == TREE_DIRECTORY && !entry->left_out && !entry->coarse)
            set_facts(run, entry);
    }
}

static void move(struct tree_run *run, const struct remote *server, struct client *client)
{
    struct tree *tree = run->tree;

    for (size_t i = 0; i < tree->count && !run->command->hopeless; i++)
        take_entry(run, client, &tree->items[i]);
    if (run->command->arguments->dry_run || run->command->hopeless)
        return;
    tree_run_lanes(run, client, TREE_FILES_PER_LANE);
    for (size_t i = 0; i < tree->count && !run->command->hopeless; i++) {
        if (tree->items[i].large && !tree->items[i].left_out)
            get_large(run, server, &tree->items[i]);
    }
    if (run->command->arguments->links == LINKS_KEEP) {
        for (size_t i = 0; i < tree->count && !run->command->hopeless; i++) {
            struct tree_entry *entry = &tree->items[i];
            if (entry->kind == TREE_LINK && !entry->left_out && store_link_stays(tree_path(tree, entry), entry->words))
                make_link(run, entry);
        }
    }
    finish_folders(run);
}

/* -- the whole ----------------------------------------------------------------------------------------------------- */

static int open_destination(struct command *command, const char *local, struct store **store)
{
    char *shown = printable(local);
    int result = CLIENT_OK;

    *store = NULL;
    if (mkdir(local, 0777) < 0 && errno != EEXIST)
        result =
            command_fail(command, CLIENT_LOCAL, "making the directory %s: %s", shown ? shown : "?", strerror(errno));
    int error = result == CLIENT_OK ? store_open(store, local) : 0;
    if (error == -ENOTDIR)
        result = command_fail(command, CLIENT_LOCAL, "%s: a directory is to be made, but something else stands there",
                              shown ? shown : "?");
    else if (error < 0)
        result = command_fail(command, CLIENT_LOCAL, "%s: %s", shown ? shown : "?", strerror(-error));
    free(shown);
    return result;
}

/* umask(2) can only be read by setting it, which other threads would see (proc(5)). */
static unsigned own_umask(void)
{
    char line[256];
    unsigned mask = 077; /* where nobody says: nobody else gets anything */
    FILE *status = fopen("/proc/self/status", "re");

    while (status && fgets(line, sizeof line, status) && sscanf(line, "Umask: %o", &mask) != 1)
        ;
    if (status)
        fclose(status);
    return mask & 0777;
}

static void get_into(struct command *command, const struct remote *server, struct tree *tree, const char *local)
{
    struct tree_run run = { .command = command, .tree = tree, .local = local, .shown = tree->prefix };

    if (tree_filter(command, tree) != CLIENT_OK)
        return;
    struct stat facts;
    bool nothing_is_made = command->arguments->dry_run && stat(local, &facts) < 0;
    if (!nothing_is_made && open_destination(command, local, &run.store) != CLIENT_OK)
        return;
    run.modes = command->arguments->exact_modes ? 0777 : 0777 & ~own_umask();
    if (tree_run_begin(&run) == CLIENT_OK)
        move(&run, server, command_client(command, server));
    tree_run_end(&run);
    store_close(run.store);
}

bool tree_get(struct command *command, const struct remote *server, const char *path, const char *local, bool or_file)
{
    struct client *client = command_client(command, server);
    const char *why;
    struct tree tree;
    bool is_tree = true;

    if (!client)
        return true;
    if (tree_init(&tree, path) < 0) {
        command_fail(command, CLIENT_FAILED, "no memory");
        return true;
    }
    int result = tree_read_remote(client, &tree, false, &why);
    if (result == CLIENT_OK)
        get_into(command, server, &tree, local);
    else if (or_file && result == CLIENT_REFUSED && client_last(client)->status == 404)
        is_tree = false;
    else {
        command->status = client_last(client)->status;
        command_fail(command, result, "/%s: %s", path, why);
    }
    tree_clear(&tree);
    return is_tree;
}
