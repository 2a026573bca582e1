/* sluice messages: those that came and went, and that one was read. */
#include "engine/cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "config/printable.h"
#include "engine/catalog/inbox.h"
#include "engine/cli/enqueue.h"
#include "engine/cli/history.h"
#include "engine/cli/when.h"
#include "engine/event/journal.h"

#define LIMIT_DEFAULT 100

static const char usage[] =
    "Usage: sluice messages [OPTION]...\n"
    "Lists the messages that the catalog holds, in and out, newest first.\n"
    "\n"
    "  -c, --config FILE       the configuration, whose `catalog` in [server] is read\n"
    "                          (else $SLUICE_CONFIG, else /etc/sluice/sluice.ini)\n"
    "  -n, --limit N           at most so many (100); 0: all\n"
    "      --json              one JSON object a line\n"
    "      --acknowledge ID    says that a message that came was read: its sender learns it, when it asks\n"
    "\n"
    "Exit codes: 0 done, 2 wrong arguments, 3 configuration, 9 the catalog cannot be used, 11 the message is in no\n"
    "state for it.\n";

enum { JSON = 256, ACKNOWLEDGE };

struct ids {
    uint64_t *items;
    size_t count, capacity;
};

static int collect(void *argument, const struct catalog_record *record)
{
    struct ids *ids = argument;

    if (ids->count == ids->capacity) {
        size_t capacity = ids->capacity ? 2 * ids->capacity : 128;
        uint64_t *grown = reallocarray(ids->items, capacity, sizeof *grown);
        if (!grown)
            return -ENOMEM;
        ids->items = grown;
        ids->capacity = capacity;
    }
    ids->items[ids->count++] = record->id;
    return 0;
}

static void put_escaped(const char *text)
{
    size_t length;
    char *escaped = event_escape(text, &length);

    if (escaped)
        fwrite(escaped, 1, length, stdout);
    free(escaped);
}

static int print_text(void *argument, const struct catalog_record *record)
{
    char id[CATALOG_ID_SIZE], when[WHEN_SIZE], text[CATALOG_MESSAGE_MAX + 1];
    const char *with = record->partner ? record->partner : record->user ? record->user : "-";
    size_t length = record->message_length <= CATALOG_MESSAGE_MAX ? record->message_length : CATALOG_MESSAGE_MAX;

    (void)argument;
    catalog_id_print(record->id, id);
    if (length)
        memcpy(text, record->message, length);
    text[length] = '\0';
    printf("%-13s  %-12s  %-3s  %-25s  ", id, catalog_state_word(record->state),
           catalog_direction_word(record->direction), when_text(record->queued, when));
    put_escaped(with);
    fputs("  ", stdout);
    put_escaped(text);
    putchar('\n');
    return 0;
}

static int print_json(void *argument, const struct catalog_record *record)
{
    (void)argument;
    history_json(stdout, record);
    return 0;
}

static int list(struct catalog *catalog, uint64_t limit, bool json)
{
    const struct catalog_filter filter = { .kinds = 1u << CATALOG_MESSAGE, .limit = limit };
    struct ids ids = { 0 };

    int rc = catalog_find(catalog, &filter, collect, &ids);
    for (size_t i = 0; rc == 0 && i < ids.count; i++) {
        rc = catalog_show(catalog, ids.items[i], json ? print_json : print_text, NULL);
        if (rc == -ENOENT)
            rc = 0; /* purged meanwhile */
    }
    free(ids.items);
    if (rc == 0)
        return HISTORY_DONE;
    printable_line(stderr, "sluice messages: %s", rc == -ENOMEM ? "no memory" : catalog_reason(catalog));
    return HISTORY_FILE;
}

static int acknowledge(struct catalog *catalog, const char *text)
{
    enum catalog_state found = CATALOG_STATES;
    uint64_t id;

    if (catalog_id_parse(text, &id) < 0) {
        printable_line(stderr, "sluice messages: \"%s\" is no id: `sluice messages` lists them", text);
        return HISTORY_USAGE;
    }
    int rc = catalog_inbox_acknowledge(catalog, id, &found);
    if (rc == 0) {
        printf("%s: acknowledged\n", text);
        return HISTORY_DONE;
    }
    if (rc == -ENOENT)
        printable_line(stderr, "sluice messages: %s is no message that came here", text);
    else if (rc == -EBUSY && found < CATALOG_STATES)
        printable_line(stderr, "sluice messages: %s is %s already", text, catalog_state_word(found));
    else
        printable_line(stderr, "sluice messages: %s", catalog_reason(catalog));
    return rc == -ENOENT || (rc == -EBUSY && found < CATALOG_STATES) ? 11 : HISTORY_FILE;
}

static int open_to_write(const char *file, struct catalog **catalog)
{
    struct config_errors errors = { 0 };
    struct config *config = config_load(file ? file : cli_config_file(), &errors);
    int code = HISTORY_CONFIG;

    if (config)
        code = catalog_of("messages", config, CATALOG_WRITE, catalog);
    else
        config_errors_print(&errors, stderr);
    config_errors_clear(&errors);
    config_free(config);
    return code;
}

static bool parse_limit(const char *text, uint64_t *limit)
{
    char *end;

    errno = 0;
    *limit = strtoull(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0;
}

int cli_messages(int argc, char **argv)
{
    static const struct option options[] = {
        { "config", required_argument, NULL, 'c' }, { "limit", required_argument, NULL, 'n' },
        { "json", no_argument, NULL, JSON },        { "acknowledge", required_argument, NULL, ACKNOWLEDGE },
        { "help", no_argument, NULL, 'h' },         { 0 }
    };
    const char *file = NULL, *id = NULL;
    struct catalog *catalog;
    uint64_t limit = LIMIT_DEFAULT;
    bool json = false, wrong = false;
    int option;

    while ((option = getopt_long(argc, argv, "c:n:h", options, NULL)) != -1) {
        file = option == 'c' ? optarg : file;
        id = option == ACKNOWLEDGE ? optarg : id;
        json = json || option == JSON;
        wrong = wrong || option == '?' || (option == 'n' && !parse_limit(optarg, &limit));
        if (option == 'h') {
            fputs(usage, stdout);
            return HISTORY_DONE;
        }
    }
    if (wrong || optind < argc) {
        fputs(usage, stderr);
        return HISTORY_USAGE;
    }
    int code = id ? open_to_write(file, &catalog) : history_open(&catalog, "messages", file, NULL);
    if (code != 0)
        return code;
    code = id ? acknowledge(catalog, id) : list(catalog, limit, json);
    catalog_close(catalog);
    return code;
}
