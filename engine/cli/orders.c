/* sluice retry, hold, release, cancel: what an operator does to transfers that are queued. */
#include "engine/cli/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "config/printable.h"
#include "engine/catalog/job.h"
#include "engine/cli/enqueue.h"

static const struct order {
    const char *name;
    enum catalog_order order;
    const char *done, *help;
} orders[] = {
    { "retry", CATALOG_RETRY, "waiting", "Tries transfers again that have failed, were cancelled or wait for later." },
    { "hold", CATALOG_HOLD, "held", "Keeps transfers that wait, or run, until they are released." },
    { "release", CATALOG_RELEASE, "waiting", "Lets transfers that are held go on." },
    { "cancel", CATALOG_CANCEL, "cancelled", "Ends transfers that wait, run or are held." },
};

static const struct order *find(const char *name)
{
    const struct order *order = orders;

    while (strcmp(order->name, name) != 0)
        order++;
    return order;
}

static void usage(const struct order *order, FILE *out)
{
    fprintf(out,
            "Usage: sluice %s [-c FILE] ID...\n"
            "%s The running `sluice serve` of the same configuration heeds it within a second.\n"
            "Exit codes: 0 done, 2 usage, 3 configuration, 9 the catalog, 11 a transfer is in no state for it.\n",
            order->name, order->help);
}

static int give(const struct order *order, struct catalog *catalog, const char *text)
{
    enum catalog_state found = CATALOG_STATES;
    uint64_t id;

    if (catalog_id_parse(text, &id) < 0) {
        printable_line(stderr, "sluice %s: \"%s\" is no id: `sluice history` lists them", order->name, text);
        return 2;
    }
    int rc = catalog_job_order(catalog, id, order->order, &found);
    if (rc == 0)
        printf("%s: %s\n", text, order->done);
    else if (rc == -ENOTSUP)
        printable_line(stderr, "sluice %s: %s was not queued, or is done: nobody would carry it out again", order->name,
                       text);
    else if (rc == -EBUSY && found < CATALOG_STATES)
        printable_line(stderr, "sluice %s: %s is %s", order->name, text, catalog_state_word(found));
    else if (rc == -ENOENT)
        printable_line(stderr, "sluice %s: there is no transfer %s", order->name, text);
    else
        printable_line(stderr, "sluice %s: %s", order->name, catalog_reason(catalog));
    return rc == 0 ? 0 : rc == -ENOTSUP || rc == -ENOENT || (rc == -EBUSY && found < CATALOG_STATES) ? 11 : 9;
}

static int give_all(const struct order *order, const char *file, char **ids, int count)
{
    struct config_errors errors = { 0 };
    struct config *config = config_load(file, &errors);
    struct catalog *catalog = NULL;
    int code = 3;

    if (!config) {
        config_errors_print(&errors, stderr);
    } else {
        code = catalog_of(order->name, config, CATALOG_WRITE, &catalog);
        for (int i = 0; catalog && i < count; i++) {
            int one = give(order, catalog, ids[i]);
            code = code ? code : one;
        }
    }
    catalog_close(catalog);
    config_errors_clear(&errors);
    config_free(config);
    return code;
}

int cli_order(int argc, char **argv)
{
    static const struct option options[] = { { "config", required_argument, NULL, 'c' },
                                             { "help", no_argument, NULL, 'h' },
                                             { 0 } };
    const struct order *order = find(argv[0]);
    const char *file = cli_config_file();
    int option;

    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        if (option == 'c') {
            file = optarg;
            continue;
        }
        usage(order, option == 'h' ? stdout : stderr);
        return option == 'h' ? 0 : 2;
    }
    if (optind == argc) {
        usage(order, stderr);
        return 2;
    }
    return give_all(order, file, argv + optind, argc - optind);
}
