/* What a hook is run with. */
#include "engine/hook/hook_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Neither the server's own environment nor anything a peer could put there, but for the facts. */
static const char *const always[] = { "PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8" };

#define ENVIRONMENT_MAX 24

static const char *const words[] = {
    [CONFIG_HOOK_RECEIVED] = "received",
    [CONFIG_HOOK_SENT] = "sent",
    [CONFIG_HOOK_FAILED] = "failed",
    [CONFIG_HOOK_MESSAGE] = "message",
};

const char *hook_event_word(enum config_hook_event event)
{
    return words[event];
}

static bool is_of(const struct config_list *patterns, const char *name)
{
    for (size_t i = 0; name && i < patterns->count; i++) {
        if (config_glob(patterns->items[i], name))
            return true;
    }
    return false;
}

bool hook_wants(const struct config_hook *hook, const struct hook_facts *facts)
{
    if (!(hook->on & (unsigned)facts->event))
        return false;
    return hook->partners.count == 0 || is_of(&hook->partners, facts->partner) || is_of(&hook->partners, facts->user);
}

static char *copy(const char *text, bool *failed)
{
    char *made = text ? strdup(text) : NULL;

    *failed = *failed || (text && !made);
    return made;
}

static void add_text(struct hook_task *task, size_t *count, const char *key, const char *value, bool *failed)
{
    if (!value)
        return;
    if (asprintf(&task->environment[*count], "%s=%s", key, value) < 0) {
        task->environment[*count] = NULL;
        *failed = true;
        return;
    }
    (*count)++;
}

static void add_number(struct hook_task *task, size_t *count, const char *key, uint64_t value, bool *failed)
{
    char digits[24];

    snprintf(digits, sizeof digits, "%" PRIu64, value);
    add_text(task, count, key, digits, failed);
}

static void make_environment(struct hook_task *task, const struct hook_facts *facts, bool *failed)
{
    const struct {
        const char *key, *value;
    } texts[] = {
        { "SLUICE_HOOK", task->hook },        { "SLUICE_EVENT", task->event },
        { "SLUICE_ID", facts->id },           { "SLUICE_DIRECTION", facts->direction },
        { "SLUICE_PATH", facts->path },       { "SLUICE_LOCAL", facts->local },
        { "SLUICE_PARTNER", facts->partner }, { "SLUICE_USER", facts->user },
        { "SLUICE_PEER", facts->peer },       { "SLUICE_PROTOCOL", facts->protocol },
        { "SLUICE_STORE", facts->store },     { "SLUICE_REASON", facts->reason },
        { "SLUICE_MESSAGE", facts->message }, { "SLUICE_RANGE", facts->range },
    };
    size_t count = 0;

    task->environment = calloc(ENVIRONMENT_MAX, sizeof *task->environment);
    if (!task->environment) {
        *failed = true;
        return;
    }
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        task->environment[count++] = copy(always[i], failed);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        add_text(task, &count, texts[i].key, texts[i].value, failed);
    add_number(task, &count, "SLUICE_BYTES", facts->bytes, failed);
    add_number(task, &count, "SLUICE_OFFSET", facts->offset, failed);
    if (facts->status)
        add_number(task, &count, "SLUICE_STATUS", facts->status, failed);
}

static void make_arguments(struct hook_task *task, const struct config_list *command, bool *failed)
{
    task->arguments = calloc(command->count + 1, sizeof *task->arguments);
    if (!task->arguments)
        *failed = true;
    for (size_t i = 0; task->arguments && i < command->count; i++)
        task->arguments[i] = copy(command->items[i], failed);
}

struct hook_task *hook_task_new(const struct config_hook *hook, const struct hook_facts *facts)
{
    struct hook_task *task = calloc(1, sizeof *task);
    bool failed = false;

    if (!task)
        return NULL;
    task->event = hook_event_word(facts->event);
    task->timeout = hook->timeout;
    task->at_once = hook->at_once;
    task->hook = copy(hook->name, &failed);
    task->id = copy(facts->id, &failed);
    task->path = copy(facts->path, &failed);
    task->partner = copy(facts->partner, &failed);
    task->user = copy(facts->user, &failed);
    make_arguments(task, &hook->command, &failed);
    make_environment(task, facts, &failed);
    if (!failed)
        return task;
    hook_task_free(task);
    return NULL;
}

static void free_all(char **strings)
{
    for (size_t i = 0; strings && strings[i]; i++)
        free(strings[i]);
    free(strings);
}

void hook_task_free(struct hook_task *task)
{
    if (!task)
        return;
    free_all(task->arguments);
    free_all(task->environment);
    free(task->hook);
    free(task->id);
    free(task->path);
    free(task->partner);
    free(task->user);
    free(task);
}
