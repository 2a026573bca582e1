/* Hooks: commands that were meant for a shell,. */
#include <string.h>

#include "config/internal.h"

static bool is_for_a_shell(const char *word)
{
    static const char *const operators[] = { "|", "||", "&", "&&", ">", ">>", "<", "2>", "2>&1", ";" };
    for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
        if (strcmp(word, operators[i]) == 0)
            return true;
    }
    return false;
}

static void check_command(const struct config_hook *hook, struct config_errors *errors)
{
    for (size_t i = 1; i < hook->command.count; i++) {
        const char *word = hook->command.items[i];
        if (!is_for_a_shell(word))
            continue;
        config_errors_add_at(errors, CONFIG_WARNING, hook->section, "command",
                             "command: \"%s\" is handed to the program like any other word, no shell reads it: put the "
                             "whole into a script",
                             word);
        return;
    }
}

void config_hook_rules(const struct config *config, struct config_errors *errors)
{
    for (size_t i = 0; i < config->hook_count; i++)
        check_command(&config->hooks[i], errors);
}
