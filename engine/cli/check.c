/* sluice check: is this configuration right? */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/printable.h"
#include "config/model.h"
#include "config/schema.h"
#include "engine/cli/cli.h"
#include "engine/cli/same_access.h"
#include "engine/server/server.h"

enum { EXIT_RIGHT = 0, EXIT_USAGE = 2, EXIT_WRONG = 3 };

static const char usage[] =
    "Usage: sluice check [-c FILE]\n"
    "       sluice check [-c FILE] --same-access OTHER\n"
    "       sluice check --reference\n"
    "\n"
    "Checks a configuration, with the certificates, keys and directories it names, and lists all\n"
    "problems. Exit code: 0 it is right (warnings apart), 3 it has errors, 2 wrong arguments.\n"
    "\n"
    "  -c, --config FILE  the configuration; default: $SLUICE_CONFIG, else\n"
    "                     /etc/sluice/sluice.ini\n"
    "      --same-access OTHER\n"
    "                     name each difference between two configurations in who gets in and\n"
    "                     what they may do there, as edge and server must have it alike; by\n"
    "                     content where files are named. Exit code: 0 none, 1 some, 3 errors\n"
    "      --reference    print every section and key as Markdown\n"
    "  -h, --help         print this\n";

static void print_count(size_t count, const char *noun, const char *separator)
{
    printf("%zu %s%s%s", count, noun, count == 1 ? "" : "s", separator);
}

static void print_summary(const char *file, const struct config *config, const struct config_errors *errors)
{
    if (errors->count == 0) {
        char *name = printable(file);
        printf("%s is right: ", name ? name : "?");
        free(name);
        print_count(config->profile_count, "profile", ", ");
        print_count(config->store_count, "store", ", ");
        print_count(config->protocol_count, "protocol", ", ");
        print_count(config->partner_count, "partner", "\n");
        return;
    }
    size_t warnings = 0;
    for (size_t i = 0; i < errors->count; i++)
        warnings += errors->items[i].severity == CONFIG_WARNING;
    print_count(errors->error_count, "error", ", ");
    print_count(warnings, "warning", "\n");
}

static int check(const char *file)
{
    struct config_errors errors = { 0 };
    struct config *config = config_load(file, &errors);
    if (config) {
        server_check(config, &errors);
        config_errors_sort(&errors);
    }
    config_errors_print(&errors, stdout);
    print_summary(file, config, &errors);
    int code = errors.error_count ? EXIT_WRONG : EXIT_RIGHT;
    config_free(config);
    config_errors_clear(&errors);
    return code;
}

int cli_check(int argc, char **argv)
{
    static const struct option options[] = {
        { "config", required_argument, NULL, 'c' },
        { "reference", no_argument, NULL, 'r' },
        { "same-access", required_argument, NULL, 's' },
        { "help", no_argument, NULL, 'h' },
        { 0 },
    };
    const char *file = cli_config_file(), *other = NULL;
    optind = 1;
    for (int option; (option = getopt_long(argc, argv, "c:h", options, NULL)) != -1;) {
        switch (option) {
        case 'c':
            file = optarg;
            break;
        case 's':
            other = optarg;
            break;
        case 'r':
            config_schema_document(stdout);
            return EXIT_RIGHT;
        case 'h':
            fputs(usage, stdout);
            return EXIT_RIGHT;
        default:
            fputs(usage, stderr);
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        printable_line(stderr, "sluice check: \"%s\" is one argument too many; write -c FILE", argv[optind]);
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    return other ? same_access(file, other) : check(file);
}
