#include "engine/cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/cli/report.h"
#include "engine/cli/command.h"
#include "engine/cli/enqueue.h"
#include "engine/cli/tree.h"

static const char usage[] =
    "Usage: sluice put [OPTION]... SOURCE... DESTINATION\n"
    "Sends local files. A SOURCE that is a directory is sent with all in it, as cp -r would. A DESTINATION that ends "
    "in '/'\n"
    "(or has no path) is a directory, and the sources keep their names; otherwise it is the name of the copy.\n";

static void would_put(struct command *command, const char *path, uint64_t size)
{
    char *name = printable(path);

    command->succeeded++;
    if (command->arguments->json)
        report_plan(command->out, "put", path, size);
    else if (!command->arguments->quiet)
        fprintf(command->out, "would put %s  %llu bytes\n", name ? name : "?", (unsigned long long)size);
    free(name);
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
    else if (S_ISDIR(facts.st_mode) && command->arguments->queue)
        command_enqueue_tree(command, destination, CATALOG_OUT, local, path, false);
    else if (S_ISDIR(facts.st_mode))
        tree_put(command, destination, local, path);
    else if (command->arguments->dry_run)
        would_put(command, path, (uint64_t)facts.st_size);
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
