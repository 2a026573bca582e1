#include "engine/cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "config/printable.h"

struct subcommand {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
};

static const struct subcommand subcommands[] = {
    { "serve", cli_serve, "serve the stores of a configuration" },
    { "get", cli_get, "fetch files: sluice get PARTNER:PATH... DESTINATION" },
    { "put", cli_put, "send files: sluice put FILE... PARTNER:PATH" },
    { "ls", cli_ls, "list a directory: sluice ls PARTNER:PATH" },
    { "history", cli_history, "what was transferred, in and out" },
    { "show", cli_show, "all about one transfer: sluice show ID" },
    { "message", cli_message, "leave a message: sluice message PARTNER TEXT" },
    { "messages", cli_messages, "list messages, acknowledge them" },
    { "retry", cli_order, "try queued transfers again that have failed" },
    { "hold", cli_order, "keep queued transfers until they are released" },
    { "release", cli_order, "let queued transfers go on that are held" },
    { "cancel", cli_order, "end queued transfers" },
    { "check", cli_check, "is my configuration right?" },
    { "cert", cli_cert, "which certificates are used, and for how long are they good?" },
    { "passwd", cli_passwd, "set, remove or list the passwords with which users log in" },
    { "doctor", cli_doctor, "what can this kernel do, and why not more?" },
    { "import-cft", cli_import_cft, "make a configuration from an extract of Transfer CFT" },
};

static void usage(FILE *out)
{
    fputs("Usage: sluice SUBCOMMAND [ARGUMENTS]\n\n", out);
    for (size_t i = 0; i < sizeof subcommands / sizeof *subcommands; i++)
        fprintf(out, "  %-10s %s\n", subcommands[i].name, subcommands[i].help);
    fputs("\n`sluice SUBCOMMAND --help` says more. `sluice --version` prints the version.\n", out);
}

int main(int argc, char **argv)
{
    /* Session keys live in this process: a crash must not write them to disk. */
    const struct rlimit none = { 0, 0 };
    setrlimit(RLIMIT_CORE, &none);

    const char *name = argc > 1 ? argv[1] : "";
    for (size_t i = 0; i < sizeof subcommands / sizeof *subcommands; i++) {
        if (strcmp(name, subcommands[i].name) == 0)
            return subcommands[i].run(argc - 1, argv + 1);
    }
    if (strcmp(name, "--version") == 0) {
        puts("sluice " SLUICE_VERSION);
        return 0;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        usage(stdout);
        return 0;
    }
    if (name[0]) {
        printable_line(stderr, "sluice: there is no subcommand \"%s\"", name);
        fputc('\n', stderr);
    }
    usage(stderr);
    return 2;
}
