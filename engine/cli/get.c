#include "engine/cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/cli/report.h"
#include "engine/cli/command.h"

#define DEPTH_MAX 64 /* a server may make up a tree that never ends */

static const char usage[] = "Usage: sluice get [OPTION]... SOURCE... DESTINATION\n"
                            "Fetches remote files. A SOURCE that ends in '/' is a directory: all of it is fetched, as "
                            "cp -r would. DESTINATION is\n"
                            "a file or a directory; - is standard output, for one file.\n";

/* The entries of one directory, copied: the client is needed for the files before the listing is over. */
struct entries {
    struct {
        char *name;
        bool directory;
    } * items;
    size_t count, capacity;
    bool no_memory;
};

static int collect(void *argument, const struct client_entry *entry)
{
    struct entries *entries = argument;
    if (entries->count == entries->capacity) {
        size_t capacity = entries->capacity ? entries->capacity * 2 : 64;
        void *grown = realloc(entries->items, capacity * sizeof *entries->items);
        if (!grown)
            return entries->no_memory = true;
        entries->items = grown;
        entries->capacity = capacity;
    }
    char *name = strdup(entry->name);
    if (!name)
        return entries->no_memory = true;
    entries->items[entries->count].name = name;
    entries->items[entries->count++].directory = entry->directory;
    return 0;
}

static void entries_free(struct entries *entries)
{
    for (size_t i = 0; i < entries->count; i++)
        free(entries->items[i].name);
    free(entries->items);
}

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

static int list(struct command *command, const struct remote *server, const char *path, struct entries *entries)
{
    struct client *client = command_client(command, server);
    if (!client)
        return command->exit_code;
    int result = client_list(client, path, collect, entries);
    if (result == CLIENT_OK && entries->no_memory)
        return command_fail(command, CLIENT_FAILED, "no memory for the listing of /%s", path);
    if (result != CLIENT_OK)
        return command_fail(command, result, "/%s: %s", path, client_reason(client));
    return CLIENT_OK;
}

static void get_tree(struct command *command, const struct remote *server, const char *path, const char *local,
                     unsigned depth);

static void get_entry(struct command *command, const struct remote *server, const char *path, const char *local,
                      const char *name, bool directory, unsigned depth)
{
    char *from = path_join(path, name, strlen(name));
    char *to = path_join(local, name, strlen(name));
    char *inside = from && directory ? path_join(from, "", 0) : NULL;

    if (!from || !to || (directory && !inside)) {
        command_fail(command, CLIENT_FAILED, "no memory");
    } else if (!directory) {
        command_get(command, server, from, to);
    } else if (make_directory(command, to) == CLIENT_OK) {
        get_tree(command, server, inside, to, depth + 1);
    }
    free(from);
    free(to);
    free(inside);
}

/* `path` is "" or ends in '/'; `local` exists. A file that fails does not keep the others from coming. */
static void get_tree(struct command *command, const struct remote *server, const char *path, const char *local,
                     unsigned depth)
{
    struct entries entries = { 0 };

    if (depth > DEPTH_MAX)
        command_fail(command, CLIENT_SERVER, "/%s: more than %u directories deep", path, DEPTH_MAX);
    else if (list(command, server, path, &entries) == CLIENT_OK) {
        for (size_t i = 0; i < entries.count && !command->hopeless; i++)
            get_entry(command, server, path, local, entries.items[i].name, entries.items[i].directory, depth);
    }
    entries_free(&entries);
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

static void get_source(struct command *command, const struct remote *source, const struct destination *destination)
{
    char *local = local_name(command, source, destination);
    if (!local)
        return;
    if (!path_is_directory(source->path))
        command_get(command, source, source->path, local);
    else if (is_there(local) || make_directory(command, local) == CLIENT_OK)
        get_tree(command, source, source->path, local, 0);
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
    if (destination->is_directory && !is_there(destination->path))
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
