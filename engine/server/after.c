/* After a transfer: hooks. */
#include "engine/server/server_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/catalog/catalog.h"

static bool is(const char *direction, const char *word)
{
    return strcmp(direction, word) == 0;
}

#define RANGE_SIZE 72

static bool is_part(const struct session *session, const char *direction)
{
    return is(direction, "out") && session->status == 206;
}

/*
 * Parts that go over several connections are requests like any others: nothing surely tells which of them are one
 * transfer to whoever fetches. So the hook runs for that which reaches the end of the file, which each fetch has.
 */
static bool reaches_end(const struct session *session)
{
    return session->range.first + session->range.length == (uint64_t)session->facts.st_size;
}

static const char *range_text(const struct session *session, const char *direction, char text[RANGE_SIZE])
{
    if (!is_part(session, direction) || session->range.length == (uint64_t)session->facts.st_size)
        return NULL;
    snprintf(text, RANGE_SIZE, "%" PRIu64 "-%" PRIu64 "/%" PRIu64, session->range.first,
             session->range.first + session->range.length - 1, (uint64_t)session->facts.st_size);
    return text;
}

/* A listing is no file, and a deletion nothing that was received or sent. 0: no hook is meant. */
static unsigned hook_event_of(const struct session *session, const char *direction, const char *why)
{
    if (why)
        return CONFIG_HOOK_FAILED;
    if (is(direction, "in"))
        return CONFIG_HOOK_RECEIVED;
    if (!is(direction, "out") || !S_ISREG(session->facts.st_mode))
        return 0;
    return is_part(session, direction) && !reaches_end(session) ? 0 : CONFIG_HOOK_SENT;
}

const char *session_partner(const struct session *session)
{
    return session->identified && session->identity.partner ? session->identity.partner->name : NULL;
}

/* A partner that was known by its certificate has no user. */
const char *session_user(const struct session *session)
{
    const struct gate_identity *identity = &session->identity;

    if (!session->identified || !identity->name[0])
        return NULL;
    return identity->user || !identity->partner ? identity->name : NULL;
}

void after_message(const struct session *session, const char *id, const char *text, size_t length)
{
    const struct hook_facts facts = {
        .event = CONFIG_HOOK_MESSAGE,
        .id = id,
        .direction = "in",
        .message = text,
        .partner = session_partner(session),
        .user = session_user(session),
        .peer = session->peer,
        .protocol = session->service->protocol->name,
        .bytes = length,
        .status = 201,
    };

    hooks_run(session->worker->server->hooks, session->epoch->config, &facts);
}

void after_transfer(const struct session *session, const char *direction, uint64_t bytes, const char *why)
{
    const struct config *config = session->epoch->config;
    const struct config_store *store = session->service->protocol->store;
    unsigned what = hook_event_of(session, direction, why);
    char local[2 * SESSION_PATH_SIZE], id[CATALOG_ID_SIZE], range[RANGE_SIZE];

    if (!what || config->hook_count == 0)
        return;
    int length = snprintf(local, sizeof local, "%s/%s%s%s", store->root, session->home_path ? session->home_path : "",
                          session->home_path ? "/" : "", session->path);
    catalog_id_print(session->transfer, id);
    const struct hook_facts facts = {
        .event = (enum config_hook_event)what,
        .direction = direction,
        .path = session->path,
        .local = length < (int)sizeof local ? local : NULL,
        .id = session->transfer ? id : NULL,
        .partner = session_partner(session),
        .user = session_user(session),
        .peer = session->peer,
        .protocol = session->service->protocol->name,
        .store = store->name,
        .reason = why,
        .range = range_text(session, direction, range),
        .offset = session->range.first,
        .bytes = bytes,
        .status = session->status,
    };
    hooks_run(session->worker->server->hooks, config, &facts);
}
