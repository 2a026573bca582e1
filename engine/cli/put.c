#include "engine/cli/cli.h"

#include <errno.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/cli/report.h"
#include "engine/cli/command.h"

static const char usage[] =
    "Usage: sluice put [OPTION]... SOURCE... DESTINATION\n"
    "Sends local files. A SOURCE that is a directory is sent with all in it, as cp -r would. A DESTINATION that ends "
    "in '/'\n"
    "(or has no path) is a directory, and the sources keep their names; otherwise it is the name of the copy.\n";

/* Sends one file of a tree: `from` within the tree at `root`, to the same place beneath `path`. */
static void put_beneath(struct command *command, const struct remote *server, const char *root, const char *from,
                        const char *path)
{
    const char *within = from + strlen(root);
    within += strspn(within, "/");
    char *to = path_join(path, within, strlen(within));
    if (!to) {
        command_fail(command, CLIENT_FAILED, "no memory");
        return;
    }
    command_put(command, server, from, to[0] == '/' ? to + 1 : to);
    free(to);
}

static void skip(struct command *command, const char *name, const char *why)
{
    char *shown = printable(name);
    command_fail(command, CLIENT_LOCAL, "%s is not sent: %s", shown ? shown : "?", why);
    free(shown);
}

/* A link to a file is sent as that file; one to a directory is not followed: it may lead anywhere, also back here. */
static void put_link(struct command *command, const struct remote *server, const char *root, const FTSENT *entry,
                     const char *path)
{
    struct stat facts;
    if (stat(entry->fts_accpath, &facts) < 0)
        skip(command, entry->fts_path, "a symbolic link that leads nowhere");
    else if (S_ISREG(facts.st_mode))
        put_beneath(command, server, root, entry->fts_path, path);
    else
        skip(command, entry->fts_path, "a symbolic link to something that is not a file");
}

static void put_entry(struct command *command, const struct remote *server, const char *root, const FTSENT *entry,
                      const char *path)
{
    switch (entry->fts_info) {
    case FTS_D:
    case FTS_DP:
        break;
    case FTS_F:
        put_beneath(command, server, root, entry->fts_path, path);
        break;
    case FTS_SL:
    case FTS_SLNONE:
        put_link(command, server, root, entry, path);
        break;
    case FTS_DEFAULT:
        skip(command, entry->fts_path, "neither a file nor a directory");
        break;
    default:
        skip(command, entry->fts_path, strerror(entry->fts_errno));
    }
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static void put_tree(struct command *command, const struct remote *server, char *root, const char *path)
{
    char *roots[] = { root, NULL };
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, by_name);
    const FTSENT *entry;

    if (!tree) {
        command_fail(command, CLIENT_LOCAL, "%s: %s", root, strerror(errno));
        return;
    }
    while (!command->hopeless && (errno = 0, entry = fts_read(tree)))
        put_entry(command, server, root, entry, path);
    if (!command->hopeless && errno != 0)
        command_fail(command, CLIENT_LOCAL, "%s: %s", root, strerror(errno));
    fts_close(tree);
}

/* Beneath a destination that is a directory, the source keeps its name. For free(). */
static char *remote_name(const struct remote *destination, const char *local)
{
    size_t length;
    const char *name = path_name(local, &length);
    if (!path_is_directory(destination->path) || length == 0)
        return strdup(destination->path);
    return destination->path[0] ? path_join(destination->path, name, length) : strndup(name, length);
}

static void put_source(struct command *command, const struct remote *destination, char *local)
{
    struct stat facts;
    if (stat(local, &facts) < 0) {
        command_fail(command, CLIENT_LOCAL, "%s: %s", local, strerror(errno));
        return;
    }
    char *path = remote_name(destination, local);
    if (!path)
        command_fail(command, CLIENT_FAILED, "no memory");
    else if (S_ISDIR(facts.st_mode))
        put_tree(command, destination, local, path);
    else
        command_put(command, destination, local, path);
    free(path);
}

static void put_all(struct command *command, const struct arguments *arguments)
{
    int sources = arguments->name_count - 1;
    const char *text = arguments->names[sources];
    struct remote destination;
    char why[300];

    if (remote_parse(&destination, text, why, sizeof why) < 0)
        command_fail(command, CLIENT_USAGE, "%s", why);
    else if (destination.kind == REMOTE_LOCAL)
        command_fail(command, CLIENT_USAGE, "\"%s\" is local; a destination is PARTNER:PATH or https://HOST/PATH",
                     text);
    else if (sources > 1 && !path_is_directory(destination.path))
        command_fail(command, CLIENT_USAGE, "several sources need a directory: end the destination in '/'");
    else {
        for (int i = 0; i < sources && !command->hopeless; i++)
            put_source(command, &destination, arguments->names[i]);
    }
    remote_clear(&destination);
}

int cli_put(int argc, char **argv)
{
    return command_run(argc, argv, usage, put_all);
}
