#include "engine/gate/gate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/gate/gate_internal.h"

static int compare_users(const void *a, const void *b)
{
    return strcmp((*(const struct config_user *const *)a)->name, (*(const struct config_user *const *)b)->name);
}

static bool index_users(struct gate *gate)
{
    size_t count = gate->config->user_count;
    if (count == 0)
        return true;
    gate->users = malloc(count * sizeof(*gate->users));
    if (!gate->users)
        return false;
    for (size_t i = 0; i < count; i++)
        gate->users[i] = &gate->config->users[i];
    qsort(gate->users, count, sizeof(*gate->users), compare_users);
    return true;
}

struct gate *gate_new(const struct config *config, struct config_errors *errors)
{
    const struct config_server *server = &config->server;
    struct gate *gate = calloc(1, sizeof(*gate));
    if (gate)
        gate->config = config;
    if (!gate || !index_users(gate)) {
        config_errors_add(errors, CONFIG_ERROR, config->file, 0, "the file cannot be taken in: %s", strerror(ENOMEM));
        gate_free(gate);
        return NULL;
    }
    if (!server->password_file)
        return gate;
    gate->passwords = passwords_read(server->password_file, server->section, "password_file", errors);
    if (gate->passwords)
        return gate;
    gate_free(gate);
    return NULL;
}

void gate_free(struct gate *gate)
{
    if (!gate)
        return;
    passwords_free(gate->passwords);
    free(gate->users);
    free(gate);
}

bool gate_password_holds(const struct gate *gate, const struct gate_login *login)
{
    return passwords_hold(gate->passwords, login->name, login->password);
}

bool gate_may_ask(const struct gate *gate, const struct gate_visit *visit, const struct gate_identity *identity)
{
    return identity->means == GATE_NOTHING && gate_takes_passwords(gate, visit);
}
