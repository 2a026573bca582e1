/* Watched folders: to whom, and what becomes of a file that was sent. */
#include <string.h>

#include "config/internal.h"

#define REPORT(section, key, ...) config_errors_add_at(errors, CONFIG_ERROR, (section), (key), __VA_ARGS__)

static void join_partner(const struct config *config, struct config_watch *watch, struct config_errors *errors)
{
    const char *name = config_reference(watch->section, "partner");
    watch->partner = name ? config_find_partner(config, name) : NULL;
    if (name && !watch->partner)
        config_report_dangling(config, watch->section, "partner", "partner", "", errors);
    else if (watch->partner && !config_given(watch->partner->section, "host"))
        REPORT(watch->section, "partner", "partner \"%s\" has no host to send to: give it one, or name another", name);
}

static void check_then(const struct config_watch *watch, struct config_errors *errors)
{
    bool moves = watch->then == CONFIG_WATCH_MOVE;
    if (moves && !config_given(watch->section, "move_to"))
        REPORT(watch->section, "then", "then = move needs a folder: add move_to");
    else if (!moves && config_given(watch->section, "move_to"))
        REPORT(watch->section, "move_to", "move_to means nothing without then = move: write that, or remove it");
    else if (moves && watch->folder && watch->move_to && strcmp(watch->folder, watch->move_to) == 0)
        REPORT(watch->section, "move_to", "move_to is the folder that is watched: name another");
}

void config_watch_rules(struct config *config, struct config_errors *errors)
{
    for (size_t i = 0; i < config->watch_count; i++) {
        struct config_watch *watch = &config->watches[i];
        join_partner(config, watch, errors);
        check_then(watch, errors);
        if (!config->server.catalog)
            REPORT(watch->section, NULL,
                   "a watch needs the queue, and this a catalog: add `catalog = FILE` to [server]");
    }
}
