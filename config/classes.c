/*
 * Classes and what stores grant: whether whom they name is there, and classes that nobody can enter, that are never
 * tried, or that say what has no effect.
 */
#include <string.h>

#include "config/internal.h"

#define REPORT(severity, section, key, ...) config_errors_add_at(errors, (severity), (section), (key), __VA_ARGS__)

static bool has_names(const struct config_class *class)
{
    return class->users.count || class->groups.count || class->partners.count;
}

static bool has_passwords(const struct config *config)
{
    return config_given(config->server.section, "password_file");
}

/* -- who is named -------------------------------------------------------------------------------------------------- */

static bool is_group(const struct config *config, const char *name, struct config_suggestion *near)
{
    for (size_t i = 0; i < config->user_count; i++) {
        const struct config_list *groups = &config->users[i].groups;
        for (size_t j = 0; j < groups->count; j++) {
            if (strcmp(groups->items[j], name) == 0)
                return true;
            config_suggest(near, groups->items[j]);
        }
    }
    return false;
}

static bool is_section(const struct config *config, const char *kind, const char *name)
{
    for (size_t i = 0; i < config->section_count; i++) {
        const struct config_section *section = &config->sections[i];
        if (section->schema && strcmp(section->schema->name, kind) == 0 && strcmp(section->name, name) == 0)
            return true;
    }
    return false;
}

/* `written`: as it stands in the file. A user may be one that only the password file has. */
static void check_named(const struct config *config, const struct config_section *section, const char *key,
                        const char *kind, const char *name, const char *written, struct config_errors *errors)
{
    struct config_suggestion near = { .wanted = name };
    bool group = strcmp(kind, "group") == 0, user = strcmp(kind, "user") == 0;
    if (group ? is_group(config, name, &near) : is_section(config, kind, name))
        return;
    if (user && has_passwords(config))
        return;
    if (!group)
        near.best = config_nearest(config, kind, name);
    if (near.best)
        REPORT(CONFIG_ERROR, section, key, "%s \"%s\": there is no %s \"%s\": did you mean \"%s\"?", key, written, kind,
               name, near.best);
    else
        REPORT(CONFIG_ERROR, section, key, "%s \"%s\": there is no %s \"%s\": %s, or name another", key, written, kind,
               name, group ? "add it to the groups of a [user]" : "add that section");
}

static void check_grant(const struct config *config, const struct config_section *section, const char *key,
                        const char *grant, struct config_errors *errors)
{
    static const char *const kinds[] = { "user", "partner", "class", "group" };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t length = strlen(kinds[i]);
        if (strncmp(grant, kinds[i], length) == 0 && grant[length] == ':')
            check_named(config, section, key, kinds[i], grant + length + 1, grant, errors);
    }
}

static void check_store(const struct config *config, const struct config_store *store, struct config_errors *errors)
{
    const struct {
        const char *key;
        const struct config_list *list;
    } grants[] = {
        { "read", &store->read },
        { "write", &store->write },
        { "list", &store->list },
        { "delete", &store->delete },
    };
    bool any = false;
    for (size_t i = 0; i < sizeof(grants) / sizeof(grants[0]); i++) {
        any = any || config_given(store->section, grants[i].key);
        for (size_t j = 0; j < grants[i].list->count; j++)
            check_grant(config, store->section, grants[i].key, grants[i].list->items[j], errors);
    }
    if (any && store->anonymous != CONFIG_ACCESS_NONE)
        REPORT(CONFIG_WARNING, store->section, "anonymous",
               "anonymous has no effect beside read, write, list or delete: remove it, and grant what `anyone` may do");
}

static void check_members(const struct config *config, const struct config_section *section, const char *key,
                          const char *kind, const struct config_list *patterns, struct config_errors *errors)
{
    for (size_t i = 0; i < patterns->count; i++) {
        const char *pattern = patterns->items[i];
        if (!strpbrk(pattern, "*?"))
            check_named(config, section, key, kind, pattern, pattern, errors);
    }
}

/* -- rules about one class ----------------------------------------------------------------------------------------- */

struct class_rule {
    bool (*broken)(const struct config *config, const struct config_class *class);
    enum config_severity severity;
    const char *key;
    const char *text;
};

static bool takes_passwords(const struct config *config, const struct config_class *class)
{
    return class->password != CONFIG_DISABLED && has_passwords(config);
}

static bool demands_passwords_nobody_has(const struct config *config, const struct config_class *class)
{
    return class->password == CONFIG_REQUIRED && !has_passwords(config);
}

/* Without a certificate: nobody gets in, not by a password either, nor without a name. */
static bool takes_certificates_only(const struct config *config, const struct config_class *class)
{
    bool anonymous = !has_names(class) && class->password == CONFIG_DISABLED;
    return class->certificate == CONFIG_REQUIRED ||
           (!anonymous && !takes_passwords(config, class) && !demands_passwords_nobody_has(config, class));
}

static bool takes_nothing(const struct config *config, const struct config_class *class)
{
    return class->certificate == CONFIG_DISABLED && takes_certificates_only(config, class);
}

static bool demands_certificates_nobody_shows(const struct config *config, const struct config_class *class)
{
    return class->certificate != CONFIG_DISABLED && takes_certificates_only(config, class) &&
           config_listeners_all(config, CONFIG_VERIFY_NONE);
}

static bool passwords_over_tls_only(const struct config *config, const struct config_class *class)
{
    (void)config;
    return class->plain_password && class->tls == CONFIG_REQUIRED;
}

static bool plain_password_of_none(const struct config *config, const struct config_class *class)
{
    return class->plain_password && class->tls == CONFIG_OPTIONAL && !takes_passwords(config, class) &&
           !demands_passwords_nobody_has(config, class);
}

static bool passwords_in_the_clear(const struct config *config, const struct config_class *class)
{
    return class->plain_password && class->tls == CONFIG_OPTIONAL && takes_passwords(config, class);
}

static bool plain_but_verified(const struct config *config, const struct config_class *class)
{
    return class->tls == CONFIG_OPTIONAL && config_listeners_all(config, CONFIG_VERIFY_REQUIRED);
}

static bool plain_but_certificate(const struct config *config, const struct config_class *class)
{
    return class->tls == CONFIG_OPTIONAL && class->certificate == CONFIG_REQUIRED && !plain_but_verified(config, class);
}

static bool plain_but_nameless(const struct config *config, const struct config_class *class)
{
    bool anonymous = !has_names(class) && class->password == CONFIG_DISABLED;
    return class->tls == CONFIG_OPTIONAL && class->certificate != CONFIG_REQUIRED && !anonymous &&
           !class->plain_password && !plain_but_verified(config, class);
}

static const struct class_rule class_rules[] = {
    { demands_passwords_nobody_has, CONFIG_ERROR, "password",
      "password = required, but nobody has one: add password_file to [server], or write password = disabled" },
    { takes_nothing, CONFIG_WARNING, NULL,
      "nobody can enter this class: it takes no certificate, and no password either; write certificate = optional, or "
      "allow passwords (password = optional, and password_file in [server])" },
    { demands_certificates_nobody_shows, CONFIG_WARNING, "certificate",
      "nobody can enter this class: it takes a certificate only, but no protocol asks for one; write verify = optional "
      "or required in its server-profile" },
    { passwords_over_tls_only, CONFIG_WARNING, "plain_password",
      "plain_password = yes has no effect where tls = required: remove it, or write tls = optional" },
    { plain_password_of_none, CONFIG_WARNING, "plain_password",
      "plain_password = yes has no effect where no password is taken: remove it, or allow passwords (password = "
      "optional, and password_file in [server])" },
    { passwords_in_the_clear, CONFIG_WARNING, "plain_password",
      "plain_password = yes: over plain connections everyone on the way can read passwords; remove it unless that is "
      "what you want" },
    { plain_but_verified, CONFIG_WARNING, "tls",
      "tls = optional has no effect: every protocol's server-profile has verify = required, which no plain connection "
      "satisfies; remove it, or write verify = optional there" },
    { plain_but_certificate, CONFIG_WARNING, "tls",
      "tls = optional has no effect where certificate = required: a plain connection shows none; remove one of them" },
    { plain_but_nameless, CONFIG_WARNING, "tls",
      "tls = optional has no effect: over a plain connection nobody can say who they are without plain_password = yes; "
      "add that, or remove tls; for visitors without a name, make a class without users, groups and partners that has "
      "password = disabled" },
};

static void check_class(const struct config *config, const struct config_class *class, struct config_errors *errors)
{
    check_members(config, class->section, "users", "user", &class->users, errors);
    check_members(config, class->section, "groups", "group", &class->groups, errors);
    check_members(config, class->section, "partners", "partner", &class->partners, errors);
    for (size_t i = 0; i < sizeof(class_rules) / sizeof(class_rules[0]); i++) {
        const struct class_rule *rule = &class_rules[i];
        if (rule->broken(config, class))
            REPORT(rule->severity, class->section, rule->key, "%s", rule->text);
    }
}

/* -- classes that are never tried ---------------------------------------------------------------------------------- */

/* Every name that a pattern of `b` takes, one of `a` takes, too. */
static bool patterns_cover(const struct config_list *a, const struct config_list *b)
{
    for (size_t i = 0; i < b->count; i++) {
        const char *pattern = b->items[i];
        bool covered = false;
        for (size_t j = 0; j < a->count && !covered; j++) {
            const char *wider = a->items[j];
            covered = strcmp(wider, "*") == 0 || strcmp(wider, pattern) == 0 ||
                      (!strpbrk(pattern, "*?") && config_glob(wider, pattern));
        }
        if (!covered)
            return false;
    }
    return (a->count > 0) == (b->count > 0);
}

static bool is_everywhere(const struct config_networks *from)
{
    static const struct config_network all[] = { { .prefix = 0 },
                                                 { .address = { [10] = 0xff, [11] = 0xff }, .prefix = 96 } };
    size_t held = 0;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        for (size_t j = 0; j < from->count; j++) {
            if (config_network_covers(&from->items[j], &all[i])) {
                held++;
                break;
            }
        }
    }
    return from->count == 0 || held == sizeof(all) / sizeof(all[0]);
}

static bool networks_cover(const struct config_networks *a, const struct config_networks *b)
{
    if (is_everywhere(a))
        return true;
    for (size_t i = 0; i < b->count; i++) {
        size_t j = 0;
        while (j < a->count && !config_network_covers(&a->items[j], &b->items[i]))
            j++;
        if (j == a->count)
            return false;
    }
    return b->count > 0;
}

static bool class_covers(const struct config_class *a, const struct config_class *b)
{
    if (!networks_cover(&a->from, &b->from))
        return false;
    return !has_names(a) || (patterns_cover(&a->users, &b->users) && patterns_cover(&a->groups, &b->groups) &&
                             patterns_cover(&a->partners, &b->partners));
}

static void check_reached(const struct config *config, size_t index, struct config_errors *errors)
{
    const struct config_class *class = &config->classes[index];
    for (size_t i = 0; i < index; i++) {
        const struct config_class *earlier = &config->classes[i];
        if (!class_covers(earlier, class))
            continue;
        REPORT(CONFIG_WARNING, class->section, "order",
               "this class is never tried: class \"%s\" in line %u comes first and takes everyone that it would; give "
               "it a lower order, or remove it",
               earlier->name, earlier->section->line);
        return;
    }
}

/* By insertion: equal ones keep their places. */
static void sort_classes(struct config *config)
{
    for (size_t i = 1; i < config->class_count; i++) {
        struct config_class moving = config->classes[i];
        size_t j = i;
        for (; j > 0 && config->classes[j - 1].order > moving.order; j--)
            config->classes[j] = config->classes[j - 1];
        config->classes[j] = moving;
    }
}

void config_class_rules(struct config *config, struct config_errors *errors)
{
    sort_classes(config);
    for (size_t i = 0; i < config->store_count; i++)
        check_store(config, &config->stores[i], errors);
    for (size_t i = 0; i < config->class_count; i++) {
        check_class(config, &config->classes[i], errors);
        check_reached(config, i, errors);
    }
}
