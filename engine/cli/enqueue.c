#include "engine/cli/enqueue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/printable.h"
#include "engine/catalog/job.h"
#include "engine/cli/report.h"

int catalog_of(const char *subcommand, const struct config *config, enum catalog_use use, struct catalog **catalog)
{
    char why[CATALOG_WHY_SIZE];

    *catalog = NULL;
    if (!config->server.catalog) {
        printable_line(stderr, "sluice %s: %s names no catalog: add `catalog = FILE` to its [server]", subcommand,
                       config->file);
        return CLIENT_CONFIG;
    }
    if (catalog_open(catalog, config->server.catalog, use, why) == 0)
        return CLIENT_OK;
    printable_line(stderr, "sluice %s: %s", subcommand, why);
    return CLIENT_LOCAL;
}

/* Where somebody else, in another directory, finds it. For free(); NULL: no memory, or there is no directory. */
static char *absolute(const char *local)
{
    char *here, *path = NULL;

    if (local[0] == '/')
        return strdup(local);
    here = getcwd(NULL, 0);
    if (here && asprintf(&path, "%s/%s", here, local) < 0)
        path = NULL;
    free(here);
    return path;
}

static int check_source(struct command *command, const char *local, bool tree, uint64_t *size)
{
    struct stat facts;

    if (stat(local, &facts) < 0)
        return command_fail(command, CLIENT_LOCAL, "%s: %s", local, strerror(errno));
    if (tree) /* of its files the sizes are known when they are sent */
        return S_ISDIR(facts.st_mode) ? CLIENT_OK : command_fail(command, CLIENT_LOCAL, "%s is no directory", local);
    if (!S_ISREG(facts.st_mode))
        return command_fail(command, CLIENT_LOCAL, "%s is no file: --queue sends files and directories", local);
    *size = (uint64_t)facts.st_size;
    return CLIENT_OK;
}

/* False: there is no room for all of them. */
static bool take_rules(const struct arguments *arguments, struct queue_request *request)
{
    for (unsigned i = 0; i < arguments->rule_count; i++) {
        size_t length = strlen(arguments->rules[i].pattern) + 1, at = request->rules_length;
        if (length + 1 > sizeof request->rules - at)
            return false;
        request->rules[at] = arguments->rules[i].include ? '+' : '-';
        memcpy(request->rules + at + 1, arguments->rules[i].pattern, length);
        request->rules_length += length + 1;
    }
    return true;
}

static bool take_tree_options(const struct arguments *arguments, struct queue_request *request)
{
    static const enum queue_links links[] = {
        [LINKS_FOLLOW] = QUEUE_LINKS_FOLLOW, [LINKS_SKIP] = QUEUE_LINKS_SKIP, [LINKS_KEEP] = QUEUE_LINKS_KEEP
    };

    request->is_tree = true;
    request->tree_links = links[arguments->links];
    request->checksum = arguments->checksum;
    request->exact_modes = arguments->exact_modes;
    return take_rules(arguments, request);
}

static int add(struct command *command, struct catalog_record *record, bool or_file)
{
    const struct arguments *arguments = command->arguments;
    struct queue_request request = { .verify = arguments->verify,
                                     .digest = arguments->digest,
                                     .if_exists = arguments->if_exists,
                                     .streams = arguments->streams,
                                     .limit_rate = arguments->limit_rate,
                                     .or_file = or_file };
    char text[QUEUE_REQUEST_SIZE], id[CATALOG_ID_SIZE];
    struct catalog *catalog;

    bool fits = record->kind != CATALOG_TREE || take_tree_options(arguments, &request);
    size_t length = fits ? queue_request_print(&request, text) : 0;
    if (length == 0)
        return command_fail(command, CLIENT_USAGE,
                            "--queue: the patterns of --include and --exclude are longer than a job holds (%d bytes)",
                            QUEUE_RULES_SIZE);
    int result = catalog_of(arguments->subcommand, command->config, CATALOG_WRITE, &catalog);
    if (result != CLIENT_OK) {
        command->hopeless = true;
        command->exit_code = command->exit_code ? command->exit_code : result;
        return result;
    }
    if (catalog_job_add(catalog, record, catalog_now(), text, length) < 0) {
        result = command_fail(command, CLIENT_LOCAL, "it could not be queued: %s", catalog_reason(catalog));
    } else {
        catalog_id_print(record->id, id);
        if (arguments->json)
            fprintf(command->out, "{\"queued\":\"%s\"}\n", id);
        else if (!arguments->quiet)
            fprintf(command->out, "queued: %s\n", id);
    }
    catalog_close(catalog);
    return result;
}

/* The partner, if it is one that can be reached. NULL after the reason was told. */
static const struct config_partner *find_partner(struct command *command, const char *name)
{
    const struct config *config = command_config(command);
    const struct config_partner *partner = config ? config_find_partner(config, name) : NULL;

    if (!config || (partner && partner->client_profile && partner->host.count))
        return partner;
    command_fail(command, CLIENT_CONFIG, "%s: [partner %s] %s", config->file, name,
                 !partner                   ? "is not there"
                 : !partner->client_profile ? "has no client-profile"
                                            : "has no `host`");
    return NULL;
}

static int enqueue(struct command *command, const struct remote *server, enum catalog_direction direction,
                   const char *local, const char *path, bool tree, bool or_file)
{
    uint64_t size = CATALOG_UNKNOWN;

    if (server->kind != REMOTE_PARTNER)
        return command_fail(command, CLIENT_USAGE, "--queue is for partners of the configuration, not for URLs");
    if (!find_partner(command, server->name))
        return CLIENT_CONFIG;
    if (direction == CATALOG_OUT && check_source(command, local, tree, &size) != CLIENT_OK)
        return CLIENT_LOCAL;
    char *full = absolute(local);
    if (!full)
        return command_fail(command, CLIENT_LOCAL, "%s: where it is cannot be told: %s", local, strerror(errno));
    struct catalog_record record = {
        .state = CATALOG_WAITING,
        .direction = direction,
        .kind = tree ? CATALOG_TREE : CATALOG_FILE,
        .role = CATALOG_CLIENT,
        .partner = server->name,
        .remote = path,
        .local = full,
        .size = size,
    };
    int result = add(command, &record, or_file);
    free(full);
    return result;
}

int command_enqueue(struct command *command, const struct remote *server, enum catalog_direction direction,
                    const char *local, const char *path)
{
    return enqueue(command, server, direction, local, path, false, false);
}

int command_enqueue_tree(struct command *command, const struct remote *server, enum catalog_direction direction,
                         const char *local, const char *path, bool or_file)
{
    return enqueue(command, server, direction, local, path, true, or_file);
}

const char *message_line(const char *text, size_t length, char line[MESSAGE_LINE_SIZE])
{
    size_t taken = 0;

    while (taken < length && taken < MESSAGE_LINE_SIZE - 1 && text[taken] != '\n' && text[taken] != '\r')
        taken++;
    while (taken > 0 && taken < length && ((unsigned char)text[taken] & 0xc0) == 0x80)
        taken--; /* not through a character */
    memcpy(line, text, taken);
    line[taken] = '\0';
    return line;
}

int command_enqueue_message(struct command *command, const struct remote *partner, const char *text, size_t length)
{
    char line[MESSAGE_LINE_SIZE];

    if (!find_partner(command, partner->name))
        return CLIENT_CONFIG;
    struct catalog_record record = {
        .state = CATALOG_WAITING,
        .direction = CATALOG_OUT,
        .kind = CATALOG_MESSAGE,
        .role = CATALOG_CLIENT,
        .partner = partner->name,
        .remote = message_line(text, length, line),
        .size = length,
        .message = text,
        .message_length = length,
    };
    return add(command, &record, false);
}
