#include "engine/cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/cli/report.h"
#include "engine/cli/command.h"
#include "engine/cli/enqueue.h"
#include "engine/cli/tree.h"

static const char usage[] =
    "Usage: sluice get [OPTION]... SOURCE... DESTINATION\n"
    "Fetches remote files. A SOURCE that ends in '/', or with -r is one, is a directory: all of it "
    "is fetched, as cp -r\n"
    "would. DESTINATION is a file or a directory; - is standard output, for one file.\n";

/* A symbolic link that stands in the way could lead out of the destination: it is not followed. */
static int make_directory(struct command *command, const char *local)
{
    if (mkdir(local, 0777) == 0)
        return CLIENT_OK;
    int error = errno;
    if (error == EEXIST) {
        int fd = open(local, O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC);
        if (fd >= 0) {
            close(fd);
            return CLIENT_OK;
        }
        return command_fail(command, CLIENT_LOCAL, "%s: a directory is to be made, but something else stands there",
                            local);
    }
    return command_fail(command, CLIENT_LOCAL, "making the directory %s: %s", local, strerror(error));
}

struct destination {
    const char *path;
    bool is_directory; /* or is to become one */
};

/* Into an existing directory under the source's name; else under the name that was given. For free(). */
static char *local_name(struct command *command, const struct remote *source, const struct destination *destination)
{
    size_t length;
    const char *name = path_name(source->path, &length);
    char *local;

    if (!destination->is_directory || (length == 0 && path_is_directory(source->path)))
        local = strdup(destination->path);
    else
        local = path_join(destination->path, name, length);
    if (!local)
        command_fail(command, CLIENT_FAILED, "no memory");
    return local;
}

static bool is_there(const char *path)
{
    struct stat facts;
    return stat(path, &facts) == 0 && S_ISDIR(facts.st_mode);
}

static void would_get(struct command *command, const char *path)
{
    char *name = printable(path);

    command->succeeded++;
    if (command->arguments->json)
        report_plan(command->out, "get", path, UINT64_MAX);
    else if (!command->arguments->quiet)
        fprintf(command->out, "would get %s\n", name ? name : "?");
    free(name);
}

/* With -r a directory need not be written as one; whether it is one, the server knows. */
static bool get_recursively(struct command *command, const struct remote *source, const char *local)
{
    char *path = path_join(source->path, "", 0);
    bool is_tree = true;

    if (!path)
        command_fail(command, CLIENT_FAILED, "no memory");
    else
        is_tree = tree_get(command, source, path, local, true);
    free(path);
    return is_tree;
}

static void get_source(struct command *command, const struct remote *source, const struct destination *destination)
{
    char *local = local_name(command, source, destination);
    if (!local)
        return;
    bool directory = path_is_directory(source->path);
    if (command->arguments->queue && (directory || command->arguments->recursive))
        command_enqueue_tree(command, source, CATALOG_IN, local, source->path, !directory);
    else if (directory)
        tree_get(command, source, source->path, local, false);
    else if (!command->arguments->recursive || !get_recursively(command, source, local)) {
        if (command->arguments->dry_run)
            would_get(command, source->path);
        else
            command_get(command, source, source->path, local);
    }
    free(local);
}

static int prepare(struct command *command, struct destination *destination, int source_count)
{
    struct remote remote;
    char why[300];

    if (remote_parse(&remote, destination->path, why, sizeof why) < 0 || remote.kind != REMOTE_LOCAL) {
        bool parsed = remote.path != NULL;
        remote_clear(&remote);
        return command_fail(command, CLIENT_USAGE, "%s",
                            parsed ? "the destination is remote; that is what `sluice put` is for" : why);
    }
    remote_clear(&remote);
    destination->is_directory = is_there(destination->path) || path_is_directory(destination->path) || source_count > 1;
    if (destination->is_directory && !is_there(destination->path) && !command->arguments->dry_run)
        return make_directory(command, destination->path);
    return CLIENT_OK;
}

static void get_named(struct command *command, const char *text, const struct destination *destination)
{
    struct remote source;
    char why[300];

    if (remote_parse(&source, text, why, sizeof why) < 0)
        command_fail(command, CLIENT_USAGE, "%s", why);
    else if (source.kind == REMOTE_LOCAL)
        command_fail(command, CLIENT_USAGE, "\"%s\" is local; a source is PARTNER:PATH or https://HOST/PATH", text);
    else if (!destination->path && path_is_directory(source.path))
        command_fail(command, CLIENT_USAGE, "%s: a directory cannot go to standard output", text);
    else if (!destination->path && command->arguments->dry_run)
        would_get(command, source.path);
    else if (!destination->path)
        command_get_stdout(command, &source, source.path);
    else
        get_source(command, &source, destination);
    remote_clear(&source);
}

static void get_all(struct command *command, const struct arguments *arguments)
{
    int sources = arguments->name_count - 1;
    struct destination destination = { .path = arguments->names[sources] };

    if (strcmp(destination.path, "-") == 0) {
        destination.path = NULL;
        if (sources > 1) {
            command_fail(command, CLIENT_USAGE, "only one file can go to standard output");
            return;
        }
    } else if (prepare(command, &destination, sources) != CLIENT_OK) {
        return;
    }
    for (int i = 0; i < sources && !command->hopeless; i++)
        get_named(command, arguments->names[i], &destination);
}

int cli_get(int argc, char **argv)
{
    return command_run(argc, argv, usage, get_all);
}
