/* sluice history and sluice show: what the catalog says. */
#include "engine/cli/history.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "config/printable.h"
#include "config/model.h"
#include "engine/cli/cli.h"
#include "engine/cli/when.h"

#define LIMIT 100

static const char history_usage[] =
    "Usage: sluice history [OPTION]...\n"
    "Lists the transfers and messages that the catalog holds, in and out, newest first.\n"
    "\n"
    "  -c, --config FILE     the configuration, whose `catalog` in [server] is read;\n"
    "                        default: $SLUICE_CONFIG, else /etc/sluice/sluice.ini\n"
    "  -f, --file CATALOG    the file itself\n"
    "      --partner NAME    with this partner\n"
    "      --state STATE     waiting, running, held, done, failed, cancelled, acknowledged; may be given several "
    "times\n"
    "      --direction WAY   in or out\n"
    "      --since TIME      90s, 30m, 2h, 7d, 4w ago, or 2026-11-21, \"2026-11-21 14:00\" (local time, or with Z or\n"
    "                        +01:00 behind it)\n"
    "      --limit N         at most so many (100); 0: all\n"
    "      --json            one JSON object a line, with all that is known; times are UTC\n"
    "      --purge TIME      removes what ended before TIME (written as for --since), and lists nothing\n"
    "  -h, --help            print this\n"
    "\n"
    "Exit codes: 0 done, 2 wrong arguments, 3 configuration, 9 the catalog cannot be read.\n";

static const char show_usage[] =
    "Usage: sluice show [-c FILE | -f CATALOG] [--json] ID...\n"
    "Tells all that the catalog holds about a transfer or message.\n"
    "\n"
    "  -c, --config FILE     the configuration, whose `catalog` in [server] is read;\n"
    "                        default: $SLUICE_CONFIG, else /etc/sluice/sluice.ini\n"
    "  -f, --file CATALOG    the file itself\n"
    "      --json            one JSON object a line; times are UTC\n"
    "  -h, --help            print this\n"
    "\n"
    "Exit codes: 0 done, 1 there is no such transfer, 2 wrong arguments, 3 configuration, 9 the catalog cannot be\n"
    "read.\n";

struct request {
    const char *subcommand, *config_file, *file;
    struct catalog_filter filter;
    uint64_t purge; /* 0: no */
    bool json, filtered;
};

static int wrong(const struct request *request, const char *what, const char *value)
{
    printable_line(stderr, "sluice %s: %s%s%s%s", request->subcommand, value ? "\"" : "", value ? value : "",
                   value ? "\" " : "", what);
    fprintf(stderr, "`sluice %s --help` says more.\n", request->subcommand);
    return HISTORY_USAGE;
}

/* -- the file ------------------------------------------------------------------------------------------------------ */

static char *file_of(const char *subcommand, const char *config_file)
{
    struct config_errors errors = { 0 };
    struct config *config = config_load(config_file, &errors);
    char *file = NULL;

    if (!config)
        config_errors_print(&errors, stderr);
    else if (config->server.catalog)
        file = strdup(config->server.catalog);
    else
        printable_line(stderr,
                       "sluice %s: %s names no catalog: add `catalog = FILE` to [server], or name the file with -f",
                       subcommand, config_file);
    config_errors_clear(&errors);
    config_free(config);
    return file;
}

int history_open(struct catalog **catalog, const char *subcommand, const char *config_file, const char *file)
{
    char why[CATALOG_WHY_SIZE], *found = NULL;

    if (!file)
        file = found = file_of(subcommand, config_file ? config_file : cli_config_file());
    if (!file)
        return HISTORY_CONFIG;
    int rc = catalog_open(catalog, file, CATALOG_READ, why);
    free(found);
    if (rc == 0)
        return 0;
    printable_line(stderr, "sluice %s: %s", subcommand, why);
    return HISTORY_FILE;
}

static int unreadable(const struct request *request, const struct catalog *catalog)
{
    printable_line(stderr, "sluice %s: %s", request->subcommand, catalog_reason(catalog));
    return HISTORY_FILE;
}

static int flushed(const struct request *request, int code)
{
    if (fflush(stdout) == 0)
        return code;
    printable_line(stderr, "sluice %s: standard output: %s", request->subcommand, strerror(errno));
    return HISTORY_FILE;
}

/* -- what is asked ------------------------------------------------------------------------------------------------- */

static int list_one(void *argument, const struct catalog_record *record)
{
    size_t *count = argument;

    if (*count == 0)
        history_head(stdout);
    ++*count;
    history_line(stdout, record);
    return ferror(stdout);
}

static int json_one(void *argument, const struct catalog_record *record)
{
    ++*(size_t *)argument;
    history_json(stdout, record);
    return ferror(stdout);
}

static int show_one(void *argument, const struct catalog_record *record)
{
    (void)argument;
    history_show(stdout, record);
    return ferror(stdout);
}

static int purge(const struct request *request, struct catalog *catalog)
{
    uint64_t removed = 0;
    char when[WHEN_SIZE];
    int rc = catalog_purge(catalog, request->purge, &removed);

    if (request->json)
        printf("{\"removed\":%" PRIu64 "}\n", removed);
    else
        printf("%" PRIu64 " removed that ended before %s\n", removed, when_text(request->purge, when));
    return rc < 0 ? unreadable(request, catalog) : flushed(request, HISTORY_DONE);
}

static int list(const struct request *request, struct catalog *catalog)
{
    size_t count = 0;
    int rc = catalog_find(catalog, &request->filter, request->json ? json_one : list_one, &count);

    if (rc < 0)
        return unreadable(request, catalog);
    if (count == 0 && !request->json)
        puts("nothing was found");
    else if (count == request->filter.limit && !request->json)
        printf("(the newest %zu; --limit shows more)\n", count);
    return flushed(request, HISTORY_DONE);
}

static int show(const struct request *request, struct catalog *catalog, int count, char **ids)
{
    int code = HISTORY_DONE;

    for (int i = 0; i < count; i++) {
        uint64_t id;
        int rc = catalog_id_parse(ids[i], &id);
        if (rc < 0)
            return wrong(request, "is no id: 13 digits and letters, as `sluice history` prints them", ids[i]);
        if (i > 0 && !request->json)
            putchar('\n');
        rc = catalog_show(catalog, id, request->json ? json_one : show_one, &(size_t){ 0 });
        if (rc == -ENOENT) {
            printable_line(stderr, "sluice show: there is no transfer %s in the catalog", ids[i]);
            code = HISTORY_NOT_FOUND;
        } else if (rc < 0) {
            return unreadable(request, catalog);
        }
    }
    return flushed(request, code);
}

/* -- arguments ----------------------------------------------------------------------------------------------------- */

enum option_id { PARTNER = 256, STATE, DIRECTION, SINCE, LIMIT_TO, JSON, PURGE };

static const struct option history_options[] = {
    { "config", required_argument, NULL, 'c' },
    { "file", required_argument, NULL, 'f' },
    { "partner", required_argument, NULL, PARTNER },
    { "state", required_argument, NULL, STATE },
    { "direction", required_argument, NULL, DIRECTION },
    { "since", required_argument, NULL, SINCE },
    { "limit", required_argument, NULL, LIMIT_TO },
    { "json", no_argument, NULL, JSON },
    { "purge", required_argument, NULL, PURGE },
    { "help", no_argument, NULL, 'h' },
    { 0 },
};
static const struct option show_options[] = {
    { "config", required_argument, NULL, 'c' },
    { "file", required_argument, NULL, 'f' },
    { "json", no_argument, NULL, JSON },
    { "help", no_argument, NULL, 'h' },
    { 0 },
};

static bool take_state(struct catalog_filter *filter, const char *word)
{
    enum catalog_state state;

    if (catalog_state_parse(word, &state) < 0)
        return false;
    filter->states |= CATALOG_STATE_BIT(state);
    return true;
}

static bool take_direction(struct catalog_filter *filter, const char *word)
{
    enum catalog_direction direction;

    if (catalog_direction_parse(word, &direction) < 0)
        return false;
    filter->directions |= 1u << direction;
    return true;
}

static bool take_limit(struct catalog_filter *filter, const char *text)
{
    char *end;

    errno = 0;
    filter->limit = strtoull(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && !*end && !errno;
}

/* NULL, or what the value is not. */
static const char *take(struct request *request, int option, const char *value)
{
    request->filtered = request->filtered || (option >= PARTNER && option <= LIMIT_TO);
    switch (option) {
    case 'c':
        request->config_file = value;
        return NULL;
    case 'f':
        request->file = value;
        return NULL;
    case PARTNER:
        request->filter.partner = value;
        return value[0] ? NULL : "is no partner's name";
    case STATE:
        return take_state(&request->filter, value)
                   ? NULL
                   : "is no state: waiting, running, held, done, failed, cancelled or acknowledged";
    case DIRECTION:
        return take_direction(&request->filter, value) ? NULL : "is no direction: in or out";
    case SINCE:
        return when_parse(value, catalog_now(), &request->filter.since) == 0 ? NULL : "is no time: 2h, or 2026-11-21";
    case LIMIT_TO:
        return take_limit(&request->filter, value) ? NULL : "is no number";
    case PURGE:
        return when_parse(value, catalog_now(), &request->purge) == 0 && request->purge
                   ? NULL
                   : "is no time: 30d, or 2026-11-21";
    default:
        request->json = true;
        return NULL;
    }
}

/* HISTORY_DONE: go on; else, or with *stop, the code to end with. */
static int read_arguments(struct request *request, int argc, char **argv, const struct option *options,
                          const char *usage, bool *stop)
{
    optind = 1;
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, ":c:f:h", options, NULL)) != -1;) {
        if (option == 'h') {
            fputs(usage, stdout);
            *stop = true;
            return HISTORY_DONE;
        }
        if (option == '?' || option == ':')
            return wrong(request, option == ':' ? "needs a value" : "is not an option of this subcommand",
                         argv[optind - 1]);
        const char *fault = take(request, option, optarg);
        if (fault)
            return wrong(request, fault, optarg);
    }
    if (request->config_file && request->file)
        return wrong(request, "-c and -f name the catalog in two ways: choose one", NULL);
    return HISTORY_DONE;
}

int cli_history(int argc, char **argv)
{
    struct request request = { .subcommand = argv[0], .filter = { .limit = LIMIT } };
    struct catalog *catalog = NULL;
    bool stop = false;
    int code = read_arguments(&request, argc, argv, history_options, history_usage, &stop);

    if (code != HISTORY_DONE || stop)
        return code;
    if (optind < argc)
        return wrong(&request, "is not expected: history takes options only", argv[optind]);
    if (request.purge && request.filtered)
        return wrong(&request, "--purge takes no filter: it removes all that is older", NULL);
    code = history_open(&catalog, request.subcommand, request.config_file, request.file);
    if (code != HISTORY_DONE)
        return code;
    code = request.purge ? purge(&request, catalog) : list(&request, catalog);
    catalog_close(catalog);
    return code;
}

int cli_show(int argc, char **argv)
{
    struct request request = { .subcommand = argv[0] };
    struct catalog *catalog = NULL;
    bool stop = false;
    int code = read_arguments(&request, argc, argv, show_options, show_usage, &stop);

    if (code != HISTORY_DONE || stop)
        return code;
    if (optind == argc)
        return wrong(&request, "which one? ID is missing; `sluice history` lists them", NULL);
    code = history_open(&catalog, request.subcommand, request.config_file, request.file);
    if (code != HISTORY_DONE)
        return code;
    code = show(&request, catalog, argc - optind, argv + optind);
    catalog_close(catalog);
    return code;
}
