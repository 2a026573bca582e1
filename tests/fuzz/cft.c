// rooms: cft config
/* Any text: errors, or a configuration that has none, and the same the second time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/model.h"
#include "engine/cft/cft.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool look(void *argument, const char *number, char text[CFT_SUITE_TEXT])
{
    (void)argument;
    bool good = strlen(number) == 5 || strcmp(number, "4865") == 0;
    snprintf(text, CFT_SUITE_TEXT, "%s", good ? "A_SUITE" : "it is refused\n[server]\n ; \\");
    return good;
}

static void check_messages(const struct config_errors *errors)
{
    for (size_t i = 0; i < errors->count; i++) {
        if (strchr(errors->items[i].text, '\n')) /* a message is one line */
            abort();
    }
}

static char *convert(const char *text, size_t size)
{
    static const struct cft_suites suites = { .look = look };
    struct config_errors errors = { 0 };
    struct cft *cft = cft_read("extract.cft", text, size, &errors);
    char *ini = cft ? cft_write(cft, &suites, &errors) : NULL;
    if ((ini == NULL) != (errors.error_count > 0))
        abort();
    check_messages(&errors);
    config_errors_clear(&errors);
    cft_free(cft);
    return ini;
}

static void check_configuration(const char *ini)
{
    struct config_errors errors = { 0 };
    struct config *config = config_parse("/etc/sluice/fuzz.ini", ini, strlen(ini), &errors);
    if (!config) {
        fputs(ini, stderr);
        config_errors_print(&errors, stderr);
        abort();
    }
    /* Nothing in the extract may become a section or a key of its own. */
    if (config->server.section || config->user_count || config->class_count || config->store_count > 1)
        abort();
    config_free(config);
    config_errors_clear(&errors);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *first = convert((const char *)data, size), *second = convert((const char *)data, size);
    if (!first != !second || (first && strcmp(first, second) != 0))
        abort();
    if (first)
        check_configuration(first);
    free(first);
    free(second);
    return 0;
}
