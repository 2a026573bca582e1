/* sluice message: leaves a short text with a partner, or asks what became of one. */
#include "engine/cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/printable.h"
#include "engine/catalog/job.h"
#include "engine/cli/enqueue.h"

static const char usage[] =
    "Usage: sluice message [OPTION]... PARTNER TEXT     - reads the text from standard input\n"
    "       sluice message [OPTION]... --state PARTNER ID\n"
    "Leaves a message of up to 4096 bytes with a partner, which stores it before it says so; prints its id there.\n"
    "\n"
    "  -c, --config FILE   the configuration (else $SLUICE_CONFIG, else /etc/sluice/sluice.ini)\n"
    "      --queue         leave it to the running `sluice serve`, which tries again where that helps\n"
    "      --id ID         what the message is called here, 1 to 64 letters, digits, `-`, `_` and `.`: if it is sent "
    "again\n"
    "                      under that id, as nobody heard the answer, the partner stores it once\n"
    "      --state         ask whether the partner has acknowledged the message ID: prints `stored` or `acknowledged`\n"
    "      --json          one JSON object on standard output\n"
    "  -q, --quiet         print nothing\n"
    "\n"
    "Exit codes: as of `sluice get`. A partner that takes no messages: 6.\n";

enum { QUEUE = 256, STATE, JSON, OWN_ID };

static int read_input(struct command *command, char text[CLIENT_MESSAGE_MAX + 1], size_t *length)
{
    *length = 0;
    for (;;) {
        ssize_t n = read(STDIN_FILENO, text + *length, CLIENT_MESSAGE_MAX + 1 - *length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return command_fail(command, CLIENT_LOCAL, "standard input: %s", strerror(errno));
        *length += (size_t)n;
        if (n == 0 || *length > CLIENT_MESSAGE_MAX)
            return CLIENT_OK;
    }
}

static void print(struct command *command, const char *what, const char *value)
{
    if (command->arguments->json)
        fprintf(command->out, "{\"%s\":\"%s\"}\n", what, value);
    else if (!command->arguments->quiet)
        fprintf(command->out, "%s%s%s\n", strcmp(what, "state") == 0 ? "" : what,
                strcmp(what, "state") == 0 ? "" : ": ", value);
}

/* What went out is in the catalog, too, where there is one; that it is not is told, and changes nothing else. */
static void record(struct command *command, const struct remote *partner, const char *text, size_t length,
                   const char *id)
{
    const struct client_transfer *last = client_last(command->client);
    struct catalog *catalog;
    char reason[128], line[MESSAGE_LINE_SIZE];
    const struct config *config = command_config(command);

    if (!config || !config->server.catalog || catalog_of("message", config, CATALOG_WRITE, &catalog) != CLIENT_OK)
        return;
    snprintf(reason, sizeof reason, "stored there as %s", id);
    struct catalog_record record = {
        .state = CATALOG_DONE,
        .direction = CATALOG_OUT,
        .kind = CATALOG_MESSAGE,
        .role = CATALOG_CLIENT,
        .partner = partner->name,
        .remote = message_line(text, length, line),
        .size = length,
        .bytes = length,
        .begun = catalog_now() - (uint64_t)(last->seconds * 1e6),
        .ended = catalog_now(),
        .status = last->status,
        .reason = reason,
        .version = last->version,
        .suite = last->suite,
        .resumed = last->resumed,
        .message = text,
        .message_length = length,
    };
    if (catalog_put(catalog, &record) < 0)
        printable_line(stderr, "sluice message: it is not recorded: %s", catalog_reason(catalog));
    catalog_close(catalog);
}

static void leave(struct command *command, const struct remote *partner, const char *text, const char *own)
{
    char input[CLIENT_MESSAGE_MAX + 1], id[64];
    size_t length = strlen(text);

    if (strcmp(text, "-") == 0) {
        if (read_input(command, input, &length) != CLIENT_OK)
            return;
        text = input;
    }
    if (length == 0 || length > CLIENT_MESSAGE_MAX || memchr(text, '\0', length)) {
        command_fail(command, CLIENT_USAGE, "a message is text of 1 to %d bytes, without NUL", CLIENT_MESSAGE_MAX);
        return;
    }
    if (command->arguments->queue) {
        command_enqueue_message(command, partner, text, length);
        return;
    }
    struct client *client = command_client(command, partner);
    if (!client)
        return;
    int result = client_message(client, text, length, own, id, sizeof id);
    if (result != CLIENT_OK) {
        command_fail(command, result, "%s", client_reason(client));
        return;
    }
    print(command, "stored", id);
    record(command, partner, text, length, id);
}

static void ask(struct command *command, const struct remote *partner, const char *id)
{
    struct client *client = command_client(command, partner);
    bool acknowledged = false;

    if (!client)
        return;
    int result = client_message_state(client, id, &acknowledged);
    if (result != CLIENT_OK)
        command_fail(command, result, "%s: %s", id, client_reason(client));
    else
        print(command, "state", acknowledged ? "acknowledged" : "stored");
}

int cli_message(int argc, char **argv)
{
    static const struct option options[] = {
        { "config", required_argument, NULL, 'c' }, { "queue", no_argument, NULL, QUEUE },
        { "state", no_argument, NULL, STATE },      { "id", required_argument, NULL, OWN_ID },
        { "json", no_argument, NULL, JSON },        { "quiet", no_argument, NULL, 'q' },
        { "help", no_argument, NULL, 'h' },         { 0 }
    };
    struct arguments arguments = { .subcommand = "message" };
    struct command command;
    const char *own = NULL;
    bool state = false;
    int option;

    while ((option = getopt_long(argc, argv, "c:qh", options, NULL)) != -1) {
        arguments.config_file = option == 'c' ? optarg : arguments.config_file;
        arguments.quiet = arguments.quiet || option == 'q';
        arguments.json = arguments.json || option == JSON;
        arguments.queue = arguments.queue || option == QUEUE;
        state = state || option == STATE;
        own = option == OWN_ID ? optarg : own;
        if (option == 'h' || option == '?') {
            fputs(usage, option == 'h' ? stdout : stderr);
            return option == 'h' ? CLIENT_OK : CLIENT_USAGE;
        }
    }
    if (argc - optind != 2)
        return arguments_wrong(&arguments, "a partner and %s are needed", state ? "an id" : "a text");
    if (state && arguments.queue)
        return arguments_wrong(&arguments, "--state is answered at once: leave out --queue");
    if (own && (state || arguments.queue))
        return arguments_wrong(&arguments, "--id is for a message that is sent now: %s",
                               state ? "--state takes the id that the partner gave it" : "--queue names it by itself");
    struct remote partner = { .kind = REMOTE_PARTNER, .name = argv[optind], .path = NULL };
    if (command_begin(&command, &arguments) == CLIENT_OK)
        state ? ask(&command, &partner, argv[optind + 1]) : leave(&command, &partner, argv[optind + 1], own);
    return command_end(&command);
}
