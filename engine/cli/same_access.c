#include "engine/cli/same_access.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/printable.h"
#include "config/compare.h"
#include "engine/cli/report.h"
#include "engine/gate/passwords.h"
#include "ktls/ciphers.h"
#include "ktls/inventory.h"
#include "ktls/revocation.h"

enum { ACCESS_SAME = 0, ACCESS_DIFFERENT = 1, ACCESS_WRONG = 3 };

struct side {
    const struct config *config;
    const struct passwords *passwords; /* NULL: nobody has one */
};

/* One profile that both have. */
struct pair {
    const struct config_profile *a, *b;
    const struct config *config_b;
};

static void no_memory(struct config_errors *errors, const char *file)
{
    config_errors_add(errors, CONFIG_ERROR, file, 0, "it cannot be compared: there is not enough memory");
}

/* -- what the files of a profile hold ------------------------------------------------------------------------------ */

static bool add_certificate(struct config_list *list, const struct tls_certificate *certificate)
{
    char *text = NULL;
    if (asprintf(&text, "%s (SHA-256 %s)", certificate->subject, certificate->fingerprint) < 0)
        return false;
    bool good = config_list_add(list, text) == 0;
    free(text);
    return good;
}

static bool list_trust(const struct tls_inventory *inventory, struct config_list *list)
{
    for (size_t i = 0; i < inventory->count; i++) {
        if (inventory->items[i].uses & TLS_USE_TRUST && !add_certificate(list, &inventory->items[i]))
            return false;
    }
    return inventory->system_used_by[0] == 0 || config_list_add(list, "every CA of the system") == 0;
}

/* Own certificates are no access, and may be on another machine: what is wrong with those does not matter here. */
static bool read_trust(const struct config *config, const struct config_profile *profile, struct config_list *list,
                       struct config_errors *errors)
{
    struct config_profile trusting = *profile;
    struct config alone = { .file = config->file, .profiles = &trusting, .profile_count = 1 };
    trusting.certificate = trusting.key = trusting.key_passphrase_file = (struct config_list){ 0 };
    if (profile->verify == CONFIG_VERIFY_NONE)
        return true;
    struct tls_inventory *inventory = tls_inventory_new(&alone);
    bool good = inventory && list_trust(inventory, list);
    if (!good)
        no_memory(errors, config->file);
    for (size_t i = 0; inventory && i < inventory->problems.count; i++) {
        const struct config_error *problem = &inventory->problems.items[i];
        config_errors_add(errors, problem->severity, NULL, 0, "%s", problem->text);
        good = good && problem->severity != CONFIG_ERROR;
    }
    tls_inventory_free(inventory);
    return good;
}

static bool holds(const struct config_list *list, const char *item)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i], item) == 0)
            return true;
    }
    return false;
}

/* `here`: the item is in a and not in b; else the other way. */
static void tell_item(const struct pair *pair, const char *key, const char *item, bool here,
                      struct config_errors *differences)
{
    char *text = printable(item);
    config_errors_add_at(differences, CONFIG_ERROR, pair->a->section, key, "%s %s %s, which is %s in %s:%u", key,
                         here ? "has" : "lacks", text ? text : "?", here ? "not" : "listed", pair->config_b->file,
                         config_section_line(pair->b->section, key));
    free(text);
}

static void compare_lists(const struct pair *pair, const char *key, const struct config_list *in_a,
                          const struct config_list *in_b, struct config_errors *differences)
{
    for (size_t i = 0; i < in_a->count; i++) {
        if (!holds(in_b, in_a->items[i]))
            tell_item(pair, key, in_a->items[i], true, differences);
    }
    for (size_t i = 0; i < in_b->count; i++) {
        if (!holds(in_a, in_b->items[i]))
            tell_item(pair, key, in_b->items[i], false, differences);
    }
}

static void compare_profile(const struct side *a, const struct pair *pair, struct config_errors *errors,
                            struct config_errors *differences)
{
    struct config_list trust_a = { 0 }, trust_b = { 0 }, crl_a = { 0 }, crl_b = { 0 };
    bool good = read_trust(a->config, pair->a, &trust_a, errors);
    good = read_trust(pair->config_b, pair->b, &trust_b, errors) && good;
    good = tls_revocation_names(pair->a, &crl_a, errors) && good;
    good = tls_revocation_names(pair->b, &crl_b, errors) && good;
    if (good) {
        compare_lists(pair, "trust", &trust_a, &trust_b, differences);
        compare_lists(pair, "crl", &crl_a, &crl_b, differences);
    }
    config_list_clear(&trust_a);
    config_list_clear(&trust_b);
    config_list_clear(&crl_a);
    config_list_clear(&crl_b);
}

static void compare_profiles(const struct side *a, const struct side *b, struct config_errors *errors,
                             struct config_errors *differences)
{
    for (size_t i = 0; i < a->config->profile_count; i++) {
        const struct config_profile *profile = &a->config->profiles[i];
        const struct pair pair = { .a = profile,
                                   .b = config_find_profile(b->config, profile->role, profile->name),
                                   .config_b = b->config };
        if (pair.b)
            compare_profile(a, &pair, errors, differences);
    }
}

/* -- passwords ----------------------------------------------------------------------------------------------------- */

static struct passwords *read_passwords(const struct config *config, struct config_errors *errors)
{
    const struct config_server *server = &config->server;
    return server->password_file ? passwords_read(server->password_file, server->section, "password_file", errors)
                                 : NULL;
}

static void tell_password(const struct side *a, const struct side *b, const char *name, const char *what,
                          struct config_errors *differences)
{
    const struct config_section *section = a->config->server.section;
    unsigned line = config_section_line(b->config->server.section, "password_file");
    char place[32] = "";
    if (line)
        snprintf(place, sizeof(place), ":%u", line);
    if (section)
        config_errors_add_at(differences, CONFIG_ERROR, section, "password_file", "password_file: user \"%s\" %s %s%s",
                             name, what, b->config->file, place);
    else
        config_errors_add(differences, CONFIG_ERROR, a->config->file, 0, "server: password_file: user \"%s\" %s %s%s",
                          name, what, b->config->file, place);
}

static const char *name_at(const struct passwords *passwords, size_t index)
{
    return passwords ? passwords_name(passwords, index) : NULL;
}

static bool knows(const struct passwords *passwords, const char *name)
{
    return passwords && passwords_know(passwords, name);
}

static void compare_passwords(const struct side *a, const struct side *b, struct config_errors *differences)
{
    const char *name;
    for (size_t i = 0; (name = name_at(a->passwords, i)); i++) {
        if (!knows(b->passwords, name))
            tell_password(a, b, name, "has a password here, but none in", differences);
        else if (!passwords_same(a->passwords, b->passwords, name))
            tell_password(a, b, name, "has another password, or the same with another salt, than in", differences);
    }
    for (size_t i = 0; (name = name_at(b->passwords, i)); i++) {
        if (!knows(a->passwords, name))
            tell_password(a, b, name, "has no password here, but one in", differences);
    }
}

/* -- the whole ----------------------------------------------------------------------------------------------------- */

static bool suite_name(void *argument, const char *word, char name[CONFIG_SUITE_NAME])
{
    _Static_assert(CONFIG_SUITE_NAME >= TLS_CIPHER_TEXT, "a name or a reason fits");
    return tls_ciphers_look(argument, word, name);
}

static void compare_models(const struct side *a, const struct side *b, struct config_errors *errors,
                           struct config_errors *differences)
{
    struct tls_ciphers *ciphers = tls_ciphers_new();
    const struct config_suites suites = { .name = suite_name, .argument = ciphers };
    if (!ciphers || config_compare_access(a->config, b->config, &suites, differences) != 0)
        no_memory(errors, a->config->file);
    tls_ciphers_free(ciphers);
}

static void compare(const struct config *config_a, const struct config *config_b, struct config_errors *errors,
                    struct config_errors *differences)
{
    struct passwords *passwords_a = read_passwords(config_a, errors), *passwords_b = read_passwords(config_b, errors);
    const struct side a = { config_a, passwords_a }, b = { config_b, passwords_b };
    compare_models(&a, &b, errors, differences);
    compare_profiles(&a, &b, errors, differences);
    if (errors->error_count == 0)
        compare_passwords(&a, &b, differences);
    passwords_free(passwords_a);
    passwords_free(passwords_b);
}

static int print_all(const char *file, const char *other, const struct config_errors *errors,
                     const struct config_errors *differences)
{
    config_errors_print(differences, stdout);
    if (errors->error_count) {
        config_errors_print(errors, stdout);
        printable_line(stdout, "%s and %s cannot be compared: mend what is said above", file, other);
        return ACCESS_WRONG;
    }
    if (differences->error_count)
        printable_line(stdout, "%s and %s differ in access: %zu difference%s", file, other, differences->error_count,
                       differences->error_count == 1 ? "" : "s");
    else
        printable_line(stdout, "%s and %s give the same access", file, other);
    return differences->error_count ? ACCESS_DIFFERENT : ACCESS_SAME;
}

int same_access(const char *file, const char *other)
{
    struct config_errors errors = { 0 }, differences = { 0 };
    struct config *a = config_load(file, &errors), *b = config_load(other, &errors);
    if (a && b)
        compare(a, b, &errors, &differences);
    int code = print_all(file, other, &errors, &differences);
    config_free(a);
    config_free(b);
    config_errors_clear(&errors);
    config_errors_clear(&differences);
    return code;
}
