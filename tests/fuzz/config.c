// rooms: config
/* Any text: a model or errors, never both or neither, no leak, and the same the second time. */
#include <stdlib.h>
#include <string.h>

#include "config/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t parse(const char *text, size_t size)
{
    struct config_errors errors = { 0 };
    struct config *config = config_parse("/etc/sluice/fuzz.ini", text, size, &errors);
    if ((config == NULL) != (errors.error_count > 0))
        abort();
    for (size_t i = 0; i < errors.count; i++) {
        if (strchr(errors.items[i].text, '\n')) /* a message is one line */
            abort();
    }
    for (size_t i = 0; config && i < config->partner_count; i++) {
        const struct config_partner *partner = &config->partners[i];
        if (partner->host.count && !partner->client_profile && !partner->server_profile)
            abort();
        if (partner->profile && !partner->client_profile && !partner->server_profile)
            abort();
    }
    for (size_t i = 1; config && i < config->class_count; i++) {
        if (config->classes[i - 1].order > config->classes[i].order)
            abort();
    }
    for (size_t i = 0; config && i < config->protocol_count; i++) {
        const struct config_protocol *protocol = &config->protocols[i];
        if (protocol->listen.count && (!protocol->server_profile || !protocol->store))
            abort();
    }
    size_t count = errors.count;
    config_free(config);
    config_errors_clear(&errors);
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    if (parse(text, size) != parse(text, size))
        abort();
    return 0;
}
