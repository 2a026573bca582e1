#include "engine/cli/cli.h"

#include "engine/cli/report.h"
#include "engine/cli/command.h"

static const char usage[] = "Usage: sluice ls [OPTION]... REMOTE...\n"
                            "Lists remote directories: size, time of change, name. The server answers in JSON (nginx: "
                            "autoindex_format json).\n";

static int print_entry(void *argument, const struct client_entry *entry)
{
    const struct command *command = argument;
    report_entry(command->out, entry, command->arguments->json);
    return 0;
}

static void list(struct command *command, const char *text)
{
    struct remote remote;
    char why[300];

    if (remote_parse(&remote, text, why, sizeof why) < 0) {
        command_fail(command, CLIENT_USAGE, "%s", why);
    } else if (remote.kind == REMOTE_LOCAL) {
        command_fail(command, CLIENT_USAGE, "\"%s\" is local; a remote directory is PARTNER:PATH or https://HOST/PATH",
                     text);
    } else {
        struct client *client = command_client(command, &remote);
        int result = client ? client_list(client, remote.path, print_entry, command) : CLIENT_OK;
        if (result != CLIENT_OK)
            command_fail(command, result, "%s: %s", text, client_reason(client));
    }
    remote_clear(&remote);
}

int cli_ls(int argc, char **argv)
{
    struct arguments arguments;
    struct command command;
    int exit_code;

    if (arguments_parse(&arguments, argc, argv, usage, &exit_code) != 0)
        return exit_code;
    if (arguments.name_count < 1)
        return arguments_wrong(&arguments, "the remote directory is missing");
    if (command_begin(&command, &arguments) == CLIENT_OK) {
        for (int i = 0; i < arguments.name_count && !command.hopeless; i++)
            list(&command, arguments.names[i]);
    }
    return command_end(&command);
}
