#include "config/compare.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "config/internal.h"

/* One section in one of the files, or what it would be by the defaults. */
struct side {
    const struct config *config;
    const struct config_section *section; /* NULL: [server] that is not there */
    const void *base;
};

struct comparison {
    const struct config *a, *b;
    const struct config_suites *suites;
    struct config_errors *differences;
    bool no_memory;
};

/* -- values as they are meant -------------------------------------------------------------------------------------- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_in(char *const *items, size_t count, const char *item)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(items[i], item) == 0)
            return true;
    }
    return false;
}

/* Takes the strings of `list`; repeated ones count once. NULL: no memory. */
static char *join(struct config_list *list, bool ordered)
{
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    if (!ordered && list->count)
        qsort(list->items, list->count, sizeof(*list->items), by_text);
    for (size_t i = 0; out && i < list->count; i++) {
        if (!is_in(list->items, i, list->items[i]))
            fprintf(out, "%s\n", list->items[i]);
    }
    config_list_clear(list);
    if (out && fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

static char *join_copy(const struct config_list *list, bool ordered)
{
    struct config_list copy = { 0 };
    for (size_t i = 0; i < list->count; i++) {
        if (config_list_add(&copy, list->items[i]) != 0) {
            config_list_clear(&copy);
            return NULL;
        }
    }
    return join(&copy, ordered);
}

/* Suites by their one name, and OpenSSL's other names without regard to case, in their order. */
static char *ordered_names(const struct comparison *comparison, const struct config_list *list, bool suites)
{
    struct config_list copy = { 0 };
    for (size_t i = 0; i < list->count; i++) {
        char name[CONFIG_SUITE_NAME];
        bool known = suites && comparison->suites->name(comparison->suites->argument, list->items[i], name);
        if (config_list_add(&copy, known ? name : list->items[i]) != 0) {
            config_list_clear(&copy);
            return NULL;
        }
        for (char *c = copy.items[i]; *c; c++)
            *c = (char)tolower((unsigned char)*c);
    }
    return join(&copy, true);
}

static char *networks(const struct config_networks *networks)
{
    struct config_list list = { 0 };
    for (size_t i = 0; i < networks->count; i++) {
        const struct config_network *network = &networks->items[i];
        char address[INET6_ADDRSTRLEN] = "", text[INET6_ADDRSTRLEN + 16];
        if (!network->pattern)
            inet_ntop(AF_INET6, network->address, address, sizeof(address));
        snprintf(text, sizeof(text), "%s/%u", address, network->prefix);
        if (config_list_add(&list, network->pattern ? network->pattern : text) != 0) {
            config_list_clear(&list);
            return NULL;
        }
    }
    return join(&list, false);
}

static char *text_of(const char *text)
{
    return strdup(text ? text : "");
}

static char *number(unsigned long long value)
{
    char *text = NULL;
    return asprintf(&text, "%llu", value) < 0 ? NULL : text;
}

static char *hostname(const struct config_profile *profile)
{
    char *text = NULL;
    const char *name = profile->hostname == CONFIG_HOSTNAME_NAMED ? profile->hostname_value : "";
    if (asprintf(&text, "%d %s", (int)profile->hostname, name) < 0)
        return NULL;
    for (char *c = text; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return text;
}

/* Who may read may list, where nothing else is said. */
static const struct config_list *effective(const struct side *side, const struct config_key *key,
                                           const struct config_list *list)
{
    bool listing = key->type == CONFIG_TYPE_GRANTS && strcmp(key->name, "list") == 0;
    return listing && list->count == 0 ? &((const struct config_store *)side->base)->read : list;
}

/* What the key comes to, as a text of its own kind, for free(). NULL: no memory. */
static char *meaning(const struct comparison *comparison, const struct side *side, const struct config_key *key)
{
    const void *field = (const char *)side->base + key->offset;
    const struct config_entry *entry = config_entry_find(side->section, key->name);
    switch (key->type) {
    case CONFIG_TYPE_REFERENCE:
        return text_of(entry ? entry->value : NULL);
    case CONFIG_TYPE_NAMES:
        if (strcmp(key->name, "groups") == 0 && strcmp(side->section->schema->name, "user") == 0)
            return join_copy(field, false);
        return ordered_names(comparison, field, strcmp(key->name, "ciphers") == 0);
    case CONFIG_TYPE_PATTERNS:
    case CONFIG_TYPE_FINGERPRINTS:
    case CONFIG_TYPE_SANS:
    case CONFIG_TYPE_GRANTS:
        return join_copy(effective(side, key, field), false);
    case CONFIG_TYPE_NETWORKS:
        return networks(field);
    case CONFIG_TYPE_EXPRESSION: {
        const struct config_expression *expression = *(struct config_expression *const *)field;
        return expression ? config_expression_canonical(expression) : text_of(NULL);
    }
    case CONFIG_TYPE_HOSTNAME:
        return hostname(side->base);
    case CONFIG_TYPE_TEXT:
    case CONFIG_TYPE_WORD:
    case CONFIG_TYPE_FOLDER:
        return text_of(*(char *const *)field);
    case CONFIG_TYPE_FLAG:
        return number(*(const bool *)field);
    case CONFIG_TYPE_SIZE:
    case CONFIG_TYPE_RATE:
        return number(*(const uint64_t *)field);
    case CONFIG_TYPE_CHOICE:
    case CONFIG_TYPE_CHOICES:
    case CONFIG_TYPE_NUMBER:
    case CONFIG_TYPE_DURATION:
    case CONFIG_TYPE_VERSION:
        return number(*(const unsigned *)field);
    case CONFIG_TYPE_ADDRESSES: /* where, not who */
    case CONFIG_TYPE_PATH:      /* by content, elsewhere */
    case CONFIG_TYPE_PATHS:
    case CONFIG_TYPE_COMMAND: /* what follows a transfer, not who may begin one */
        break;
    }
    return text_of(NULL);
}

/* -- what is told -------------------------------------------------------------------------------------------------- */

unsigned config_section_line(const struct config_section *section, const char *key)
{
    const struct config_entry *entry = key ? config_entry_find(section, key) : NULL;
    return entry ? entry->line : section ? section->line : 0;
}

/* FILE:LINE, or the file alone. */
static void print_place(FILE *out, const struct side *side, const char *key)
{
    unsigned line = config_section_line(side->section, key);
    fprintf(out, "%s", side->config->file);
    if (line)
        fprintf(out, ":%u", line);
}

static void print_value(FILE *out, const struct side *side, const struct config_key *key)
{
    const struct config_entry *entry = config_entry_find(side->section, key->name);
    if (entry)
        fprintf(out, "\"%s\"", entry->value);
    else if (key->fallback)
        fprintf(out, "\"%s\" by default", key->fallback);
    else
        fputs("not given", out);
}

/* A sentence about a key of one side, with its place. */
__attribute__((format(printf, 4, 5))) static void tell(struct comparison *comparison, const struct side *side,
                                                       const char *key, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length < 0)
        comparison->no_memory = true;
    else if (side->section)
        config_errors_add_at(comparison->differences, CONFIG_ERROR, side->section, key, "%s", text);
    else
        config_errors_add(comparison->differences, CONFIG_ERROR, side->config->file, 0, "server: %s", text);
    if (length >= 0)
        free(text);
}

static void tell_values(struct comparison *comparison, const struct side *a, const struct side *b,
                        const struct config_key *key)
{
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    if (out) {
        fprintf(out, "%s is ", key->name);
        print_value(out, a, key);
        fputs(", but ", out);
        print_value(out, b, key);
        fputs(" in ", out);
        print_place(out, b, key->name);
    }
    if (!out || fclose(out) != 0)
        comparison->no_memory = true;
    else
        tell(comparison, a, key->name, "%s", text);
    free(text);
}

/* -- sections ------------------------------------------------------------------------------------------------------ */

static bool is_compared(const struct config_key *key)
{
    bool by_order = strcmp(key->name, "order") == 0; /* compare_order(): what the numbers come to */
    return key->access && !by_order && key->type != CONFIG_TYPE_PATH && key->type != CONFIG_TYPE_PATHS;
}

static bool differs(struct comparison *comparison, const struct side *a, const struct side *b,
                    const struct config_key *key)
{
    /* A list that neither gives follows from another key, which is told of itself. */
    if (!config_entry_find(a->section, key->name) && !config_entry_find(b->section, key->name))
        return false;
    char *in_a = meaning(comparison, a, key), *in_b = meaning(comparison, b, key);
    comparison->no_memory = comparison->no_memory || !in_a || !in_b;
    bool different = in_a && in_b && strcmp(in_a, in_b) != 0;
    free(in_a);
    free(in_b);
    return different;
}

static void compare_sections(struct comparison *comparison, const struct config_kind *kind, const struct side *a,
                             const struct side *b)
{
    for (const struct config_key *key = kind->keys; key->name; key++) {
        if (is_compared(key) && differs(comparison, a, b, key))
            tell_values(comparison, a, b, key);
    }
    if (strcmp(kind->name, "protocol") != 0)
        return;
    bool in_a = config_entry_find(a->section, "listen"), in_b = config_entry_find(b->section, "listen");
    if (in_a != in_b)
        tell(comparison, a, "listen", "it %s, but %s in %s:%u", in_a ? "listens" : "does not listen",
             in_b ? "listens" : "does not", b->config->file, config_section_line(b->section, "listen"));
}

/* A user with nothing but defaults is one that only the password file has. */
static bool says_something(const struct config_section *section)
{
    if (strcmp(section->schema->name, "user") != 0)
        return true;
    for (size_t i = 0; i < section->count; i++) {
        const struct config_key *key = config_key_find(section->schema, section->entries[i].key);
        if (key->access && !(key->fallback && strcmp(key->fallback, section->entries[i].value) == 0))
            return true;
    }
    return false;
}

static bool is_access(const struct config_kind *kind)
{
    for (const struct config_key *key = kind->keys; key->name; key++) {
        if (key->access)
            return true;
    }
    return false;
}

static const struct config_section *find_section(const struct config *config, const struct config_section *like)
{
    for (size_t i = 0; i < config->section_count; i++) {
        const struct config_section *section = &config->sections[i];
        if (section->schema == like->schema && strcmp(section->name, like->name) == 0)
            return section;
    }
    return NULL;
}

static struct side side_of(const struct config *config, const struct config_section *section)
{
    return (struct side){ config, section, config_find_struct(config, section->schema->name, section->name) };
}

/* The sections of `mine` that the other has not, and those that both have where `both`. */
static void compare_all(struct comparison *comparison, const struct config *mine, const struct config *other, bool both)
{
    for (size_t i = 0; i < mine->section_count; i++) {
        const struct config_section *section = &mine->sections[i];
        const struct config_kind *kind = section->schema;
        if (!kind->named || !is_access(kind))
            continue;
        const struct config_section *counterpart = find_section(other, section);
        const struct side here = side_of(mine, section);
        if (!counterpart && says_something(section)) {
            tell(comparison, &here, NULL, "%s has no such section", other->file);
        } else if (counterpart && both) {
            const struct side there = side_of(other, counterpart);
            compare_sections(comparison, kind, &here, &there);
        }
    }
}

/* -- order of the classes ------------------------------------------------------------------------------------------ */

/* The names of the classes that the other has, too, in the order in which they are tried. False: no memory. */
static bool common_classes(const struct config *config, const struct config *other, struct config_list *names)
{
    for (size_t i = 0; i < config->class_count; i++) {
        const char *name = config->classes[i].name;
        if (config_find_class(other, name) && config_list_add(names, name) != 0)
            return false;
    }
    return true;
}

static void compare_order(struct comparison *comparison)
{
    struct config_list in_a = { 0 }, in_b = { 0 };
    bool good =
        common_classes(comparison->a, comparison->b, &in_a) && common_classes(comparison->b, comparison->a, &in_b);
    size_t first = 0;
    while (good && first < in_a.count && strcmp(in_a.items[first], in_b.items[first]) == 0)
        first++;
    if (good && first < in_a.count) {
        const struct config_class *class = config_find_class(comparison->a, in_a.items[first]);
        const struct side a = { comparison->a, class->section, class };
        tell(comparison, &a, "order", "it is tried before \"%s\", but after it in %s:%u", in_b.items[first],
             comparison->b->file,
             config_section_line(config_find_class(comparison->b, in_b.items[first])->section, NULL));
    }
    comparison->no_memory = comparison->no_memory || !good;
    config_list_clear(&in_a);
    config_list_clear(&in_b);
}

int config_compare_access(const struct config *a, const struct config *b, const struct config_suites *suites,
                          struct config_errors *differences)
{
    struct comparison comparison = { .a = a, .b = b, .suites = suites, .differences = differences };
    const struct side server_a = { a, a->server.section, &a->server }, server_b = { b, b->server.section, &b->server };
    compare_sections(&comparison, config_kind_find("server"), &server_a, &server_b);
    compare_all(&comparison, a, b, true);
    compare_all(&comparison, b, a, false);
    compare_order(&comparison);
    return comparison.no_memory ? -ENOMEM : 0;
}
