/* After a transfer: hooks. */
#include "engine/server/server_internal.h"

#include <stdio.h>
#include <string.h>

static bool is(const char *direction, const char *word)
{
    return strcmp(direction, word) == 0;
}

/* A listing is no file, and a deletion nothing that was received or sent. 0: no hook is meant. */
static unsigned hook_event_of(const struct session *session, const char *direction, const char *why)
{
    if (why)
        return CONFIG_HOOK_FAILED;
    if (is(direction, "in"))
        return CONFIG_HOOK_RECEIVED;
    return is(direction, "out") && S_ISREG(session->facts.st_mode) ? CONFIG_HOOK_SENT : 0;
}

void after_transfer(const struct session *session, const char *direction, uint64_t bytes, const char *why)
{
    const struct config *config = session->epoch->config;
    const struct config_store *store = session->service->protocol->store;
    const struct gate_identity *identity = &session->identity;
    const struct config_partner *partner = session->identified ? identity->partner : NULL;
    bool is_partner = partner && !identity->user && strcmp(identity->name, partner->name) == 0;
    unsigned what = hook_event_of(session, direction, why);
    char local[2 * SESSION_PATH_SIZE];

    if (!what || config->hook_count == 0)
        return;
    int length = snprintf(local, sizeof local, "%s/%s%s%s", store->root, session->home_path ? session->home_path : "",
                          session->home_path ? "/" : "", session->path);
    const struct hook_facts facts = {
        .event = (enum config_hook_event)what,
        .direction = direction,
        .path = session->path,
        .local = length < (int)sizeof local ? local : NULL,
        .partner = partner ? partner->name : NULL,
        .user = session->identified && identity->name[0] && !is_partner ? identity->name : NULL,
        .peer = session->peer,
        .protocol = session->service->protocol->name,
        .store = store->name,
        .reason = why,
        .offset = session->range.first,
        .bytes = bytes,
        .status = session->status,
    };
    hooks_run(session->worker->server->hooks, config, &facts);
}
