/* Which class is a visitor of, and what do the classes take from where? */
#include <stddef.h>

#include "engine/gate/gate_internal.h"

/* What a file without any [class] amounts to. */
static const struct config_class everyone = {
    .tls = CONFIG_REQUIRED,
    .certificate = CONFIG_OPTIONAL,
    .password = CONFIG_OPTIONAL,
};

bool gate_class_lists_names(const struct config_class *class)
{
    return class->users.count || class->groups.count || class->partners.count;
}

static bool any_matches(const struct config_list *patterns, const char *name)
{
    for (size_t i = 0; i < patterns->count; i++) {
        if (config_glob(patterns->items[i], name))
            return true;
    }
    return false;
}

static bool class_matches(const struct config_class *class, const struct gate_identity *identity)
{
    if (!gate_class_lists_names(class))
        return true;
    const char *user = gate_user_name(identity);
    if (user && any_matches(&class->users, user))
        return true;
    for (size_t i = 0; identity->user && i < identity->user->groups.count; i++) {
        if (any_matches(&class->groups, identity->user->groups.items[i]))
            return true;
    }
    return identity->partner && any_matches(&class->partners, identity->partner->name);
}

const struct config_class *gate_class_find(const struct gate *gate, const struct gate_visit *visit,
                                           const struct gate_identity *identity)
{
    const struct config *config = gate->config;
    for (size_t i = 0; i < config->class_count; i++) {
        const struct config_class *class = &config->classes[i];
        if (class_matches(class, identity) && config_networks_hold(&class->from, visit->address))
            return class;
    }
    return config->class_count ? NULL : &everyone;
}

/* Calls `holds` with each class that an address can be of. */
static bool any_class(const struct gate *gate, const struct gate_visit *visit,
                      bool (*holds)(const struct config_class *class, const struct gate_visit *visit))
{
    const struct config *config = gate->config;
    for (size_t i = 0; i < config->class_count; i++) {
        const struct config_class *class = &config->classes[i];
        if (holds(class, visit) && config_networks_hold(&class->from, visit->address))
            return true;
    }
    return config->class_count == 0 && holds(&everyone, visit);
}

static bool takes_plain(const struct config_class *class, const struct gate_visit *visit)
{
    (void)visit;
    return class->tls == CONFIG_OPTIONAL;
}

static bool takes_password(const struct config_class *class, const struct gate_visit *visit)
{
    if (class->password == CONFIG_DISABLED)
        return false;
    if (class->certificate == CONFIG_REQUIRED && !(visit->verified && visit->peer))
        return false;
    return visit->tls || (class->tls == CONFIG_OPTIONAL && class->plain_password);
}

bool gate_takes_passwords(const struct gate *gate, const struct gate_visit *visit)
{
    return gate->passwords && any_class(gate, visit, takes_password);
}

bool gate_admits_plain(const struct gate *gate, const struct gate_visit *visit, const char **why)
{
    if (visit->protocol->server_profile && visit->protocol->server_profile->verify == CONFIG_VERIFY_REQUIRED)
        *why = "the protocol's profile has verify = required";
    else if (gate->config->class_count == 0)
        *why = "no class has tls = optional";
    else if (!any_class(gate, visit, takes_plain))
        *why = "no class for this address has tls = optional";
    else
        return true;
    return false;
}
