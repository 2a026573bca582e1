/*
 * Sections to structs: which there are, which keys each has, and every key's value or default.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/internal.h"

/* The table writes through these types. */
_Static_assert(sizeof(enum config_verify) == sizeof(int) && sizeof(enum config_offload) == sizeof(int) &&
                   sizeof(enum config_access) == sizeof(int) && sizeof(enum config_events) == sizeof(int) &&
                   sizeof(enum config_need) == sizeof(int) && sizeof(enum config_key_usage) == sizeof(int),
               "a choice is stored as an int");

/* Where the structs of a kind of section live in the model. [server] is there once and has no array. */
struct shape {
    const char *kind;
    size_t items, count; /* of the array and its length, in struct config */
    size_t size;         /* of one struct */
    size_t section, name;
};

#define SHAPE(kind_, array, length, type)                                                                              \
    {                                                                                                                  \
        .kind = (kind_), .items = offsetof(struct config, array), .count = offsetof(struct config, length),            \
        .size = sizeof(struct type), .section = offsetof(struct type, section), .name = offsetof(struct type, name)    \
    }

static const struct shape shapes[] = {
    SHAPE("store", stores, store_count, config_store),
    SHAPE("server-profile", profiles, profile_count, config_profile),
    SHAPE("client-profile", profiles, profile_count, config_profile),
    SHAPE("protocol", protocols, protocol_count, config_protocol),
    SHAPE("partner", partners, partner_count, config_partner),
    SHAPE("class", classes, class_count, config_class),
    SHAPE("user", users, user_count, config_user),
    SHAPE("hook", hooks, hook_count, config_hook),
    SHAPE("watch", watches, watch_count, config_watch),
};

static const struct shape *shape_find(const char *kind)
{
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        if (strcmp(shapes[i].kind, kind) == 0)
            return &shapes[i];
    }
    return NULL;
}

static char *items_of(const struct config *config, const struct shape *shape)
{
    return *(char *const *)((const char *)config + shape->items);
}

static size_t *count_of(struct config *config, const struct shape *shape)
{
    return (size_t *)((char *)config + shape->count);
}

static void check_kind(struct config_section *section, struct config_errors *errors)
{
    section->schema = config_kind_find(section->kind);
    if (section->schema)
        return;
    struct config_suggestion near = { .wanted = section->kind };
    for (const struct config_kind *kind = config_kinds; kind->name; kind++)
        config_suggest(&near, kind->name);
    if (!near.best) {
        config_errors_add(errors, CONFIG_ERROR, section->file, section->line,
                          "[%s] is no kind of section: the kinds are server, store, server-profile, client-profile, "
                          "protocol, partner, class, user, hook and watch",
                          section->kind);
        return;
    }
    config_errors_add(errors, CONFIG_ERROR, section->file, section->line,
                      "[%s] is no kind of section: did you mean \"%s\"?", section->kind, near.best);
    section->schema = config_kind_find(near.best); /* so that its keys and who refers to it are checked all the same */
}

/* Where the first character stands that a section's name may not hold, or NULL. Users log in with theirs. */
static const char *bad_character(const struct config_section *section)
{
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-@+";
    static const char *const people[] = { "partner", "class", "user" };
    for (size_t i = 0; i < sizeof(people) / sizeof(people[0]); i++) {
        if (strcmp(section->schema->name, people[i]) == 0) {
            const char *stop = section->name + strspn(section->name, good);
            return *stop ? stop : NULL;
        }
    }
    return strpbrk(section->name, " \t\"'[,");
}

static void report_character(const struct config_section *section, const char *stop, struct config_errors *errors)
{
    bool blank = *stop == ' ' || *stop == '\t';
    int length = 1;
    while (((unsigned char)stop[length] & 0xc0) == 0x80) /* the rest of a character of UTF-8 */
        length++;
    config_errors_add_at(errors, CONFIG_ERROR, section, NULL,
                         "the name holds %s%.*s%s: choose one of letters, digits, -, _ and .", blank ? "a blank" : "\"",
                         blank ? 0 : length, stop, blank ? "" : "\"");
}

static void check_name(const struct config_section *section, struct config_errors *errors)
{
    const char *stop = bad_character(section);
    if (!section->schema->named && section->name[0])
        config_errors_add_at(errors, CONFIG_ERROR, section, NULL, "this kind of section has no name: write [%s]",
                             section->schema->name);
    else if (section->schema->named && !section->name[0])
        config_errors_add_at(errors, CONFIG_ERROR, section, NULL, "the section has no name: write [%s NAME]",
                             section->schema->name);
    else if (stop)
        report_character(section, stop, errors);
}

static void check_repeated(const struct config *config, size_t index, struct config_errors *errors)
{
    const struct config_section *section = &config->sections[index];
    for (size_t i = 0; i < index; i++) {
        const struct config_section *first = &config->sections[i];
        if (first->schema == section->schema && strcmp(first->name, section->name) == 0) {
            config_errors_add_at(
                errors, CONFIG_ERROR, section, NULL,
                "the section is there already, in line %u: give one of them another name, or join them", first->line);
            return;
        }
    }
}

/* Another kind that has this key: it stands in the wrong section. */
static const char *kind_with_key(const char *name)
{
    for (const struct config_kind *kind = config_kinds; kind->name; kind++) {
        if (config_key_find(kind, name))
            return kind->name;
    }
    return NULL;
}

static void refuse_key(const struct config_section *section, const char *name, struct config_errors *errors)
{
    struct config_suggestion near = { .wanted = name };
    for (const struct config_key *key = section->schema->keys; key->name; key++)
        config_suggest(&near, key->name);
    const char *elsewhere = kind_with_key(name);
    if (elsewhere)
        config_errors_add_at(errors, CONFIG_ERROR, section, name, "%s is a key of a %s, not of a %s: move or remove it",
                             name, elsewhere, section->schema->name);
    else if (near.best)
        config_errors_add_at(errors, CONFIG_ERROR, section, name, "there is no key %s: did you mean \"%s\"?", name,
                             near.best);
    else
        config_errors_add_at(errors, CONFIG_ERROR, section, name,
                             "there is no key %s: remove it; `sluice check --reference` lists those there are", name);
}

static void check_keys(const struct config_section *section, struct config_errors *errors)
{
    for (size_t i = 0; i < section->count; i++) {
        const struct config_entry *entry = &section->entries[i];
        const struct config_entry *first = config_entry_find(section, entry->key);
        if (first != entry)
            config_errors_add(errors, CONFIG_ERROR, section->file, entry->line,
                              "%s%s%s%s: %s is there already, in line %u: remove one of them", section->kind,
                              section->name[0] ? " \"" : "", section->name, section->name[0] ? "\"" : "", entry->key,
                              first->line);
        else if (!config_key_find(section->schema, entry->key))
            refuse_key(section, entry->key, errors);
    }
}

static void check_sections(struct config *config, struct config_errors *errors)
{
    for (size_t i = 0; i < config->section_count; i++) {
        struct config_section *section = &config->sections[i];
        check_kind(section, errors);
        if (!section->schema)
            continue;
        check_name(section, errors);
        check_repeated(config, i, errors);
        check_keys(section, errors);
    }
}

static int fill_default(const struct config_scene *scene, const struct config_key *key, void *base)
{
    return key->fallback ? config_value_set(scene, key, key->fallback, base) : 0;
}

static int fill_key(const struct config_scene *scene, const struct config_key *key, void *base)
{
    const struct config_entry *entry = config_entry_find(scene->section, key->name);
    if (!entry && key->mandatory && scene->section)
        config_errors_add_at(scene->errors, CONFIG_ERROR, scene->section, NULL, "%s is missing: add it (%s)", key->name,
                             key->help);
    if (!entry)
        return fill_default(scene, key, base);
    int result = config_value_set(scene, key, entry->value, base);
    if (result != -EINVAL)
        return result;
    if (!key->fallback)
        return 0;
    /* The default in its place keeps one mistake from looking like several. */
    config_value_free(key, base);
    return fill_default(scene, key, base);
}

/* 0 or -ENOMEM; whatever else is wrong was reported. */
static int fill(const struct config_scene *scene, const struct config_kind *kind, void *base)
{
    for (const struct config_key *key = kind->keys; key->name; key++) {
        int result = fill_key(scene, key, base);
        if (result)
            return result;
    }
    return 0;
}

static int make_arrays(struct config *config)
{
    size_t wanted[sizeof(shapes) / sizeof(shapes[0])] = { 0 };
    for (size_t i = 0; i < config->section_count; i++) {
        const struct config_kind *kind = config->sections[i].schema;
        const struct shape *shape = kind ? shape_find(kind->name) : NULL;
        for (size_t j = 0; shape && j < sizeof(shapes) / sizeof(shapes[0]); j++)
            wanted[j] += shapes[j].items == shape->items;
    }
    for (size_t j = 0; j < sizeof(shapes) / sizeof(shapes[0]); j++) {
        char **items = (char **)((char *)config + shapes[j].items);
        if (*items || wanted[j] == 0)
            continue;
        *items = calloc(wanted[j], shapes[j].size);
        if (!*items)
            return -ENOMEM;
    }
    return 0;
}

static void *add_struct(struct config *config, const struct shape *shape, struct config_section *section)
{
    char *base = items_of(config, shape) + shape->size * (*count_of(config, shape))++;
    *(struct config_section **)(base + shape->section) = section;
    *(char **)(base + shape->name) = section->name;
    if (strcmp(shape->kind, "client-profile") == 0)
        ((struct config_profile *)base)->role = CONFIG_CLIENT;
    return base;
}

static int fill_sections(struct config *config, struct config_scene *scene)
{
    for (size_t i = 0; i < config->section_count; i++) {
        struct config_section *section = &config->sections[i];
        if (!section->schema)
            continue;
        const struct shape *shape = shape_find(section->schema->name);
        if (!shape && config->server.section)
            continue; /* a second [server], reported above */
        if (!shape)
            config->server.section = section;
        void *base = shape ? add_struct(config, shape, section) : &config->server;
        scene->section = section;
        int result = fill(scene, section->schema, base);
        if (result)
            return result;
    }
    scene->section = NULL;
    return config->server.section ? 0 : fill(scene, config_kind_find("server"), &config->server);
}

/* The folder that a file stands in, absolute. NULL: no memory, or the current one is gone. */
static char *folder_of(const char *file)
{
    const char *slash = strrchr(file, '/');
    char *folder = NULL;
    if (file[0] == '/')
        return strndup(file, (size_t)(slash - file));
    char *here = getcwd(NULL, 0);
    if (!here)
        return NULL;
    int length = slash ? asprintf(&folder, "%s/%.*s", here, (int)(slash - file), file) : asprintf(&folder, "%s", here);
    free(here);
    return length < 0 ? NULL : folder;
}

static int build(struct config *config, const char *text, size_t length, struct config_errors *errors)
{
    int result = config_read(config, text, length, errors);
    if (result)
        return result;
    check_sections(config, errors);
    result = make_arrays(config);
    if (result)
        return result;
    char *folder = folder_of(config->file);
    if (!folder)
        return -errno;
    struct config_scene scene = { .folder = folder, .errors = errors };
    result = fill_sections(config, &scene);
    free(folder);
    if (result == 0)
        config_rules(config, errors);
    return result;
}

struct config *config_parse(const char *file, const char *text, size_t length, struct config_errors *errors)
{
    size_t errors_before = errors->error_count;
    struct config *config = calloc(1, sizeof(*config));
    if (config)
        config->file = strdup(file);
    int result = config && config->file ? build(config, text, length, errors) : -ENOMEM;
    if (result)
        config_errors_add(errors, CONFIG_ERROR, file, 0, "the file cannot be taken in: %s", strerror(-result));
    config_errors_sort(errors);
    if (errors->error_count == errors_before)
        return config;
    config_free(config);
    return NULL;
}

/* Reads at most one byte more than is allowed, so that config_read() sees that it is too much. */
static int read_all(const char *file, char **text, size_t *length)
{
    *text = NULL;
    *length = 0;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    char *bytes = malloc(CONFIG_FILE_MAX + 1);
    int result = bytes ? 0 : -ENOMEM;
    while (result == 0 && *length <= CONFIG_FILE_MAX) {
        ssize_t got = read(fd, bytes + *length, CONFIG_FILE_MAX + 1 - *length);
        if (got == 0)
            break;
        if (got > 0)
            *length += (size_t)got;
        else if (errno != EINTR)
            result = -errno;
    }
    close(fd);
    if (result)
        free(bytes);
    else
        *text = bytes;
    return result;
}

struct config *config_load(const char *file, struct config_errors *errors)
{
    char *text;
    size_t length;
    int result = read_all(file, &text, &length);
    if (result) {
        config_errors_add(errors, CONFIG_ERROR, file, 0,
                          "the configuration cannot be read: %s; name another with -c FILE or in $SLUICE_CONFIG",
                          strerror(-result));
        return NULL;
    }
    struct config *config = config_parse(file, text, length, errors);
    free(text);
    return config;
}

static void free_values(const struct config_kind *kind, void *base)
{
    for (const struct config_key *key = kind->keys; key->name; key++)
        config_value_free(key, base);
}

static void free_structs(struct config *config, const struct shape *shape)
{
    char *items = items_of(config, shape);
    for (size_t i = 0; i < *count_of(config, shape); i++) {
        char *base = items + shape->size * i;
        const struct config_section *section = *(struct config_section **)(base + shape->section);
        free_values(section->schema, base);
    }
    free(items);
    /* The profiles of both roles are in one array, which comes up twice. */
    *(char **)((char *)config + shape->items) = NULL;
    *count_of(config, shape) = 0;
}

static const struct config_kind *profile_kind(enum config_role role)
{
    return config_kind_find(role == CONFIG_CLIENT ? "client-profile" : "server-profile");
}

void config_free(struct config *config)
{
    if (!config)
        return;
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
        free_structs(config, &shapes[i]);
    free_values(config_kind_find("server"), &config->server);
    config_sections_free(config->sections, config->section_count);
    free(config->file);
    free(config);
}

void *config_find_struct(const struct config *config, const char *kind, const char *name)
{
    const struct shape *shape = shape_find(kind);
    size_t count = *(const size_t *)((const char *)config + shape->count);
    for (size_t i = 0; i < count; i++) {
        char *base = items_of(config, shape) + shape->size * i;
        const struct config_section *section = *(struct config_section **)(base + shape->section);
        if (strcmp(section->schema->name, kind) == 0 && strcmp(section->name, name) == 0)
            return base;
    }
    return NULL;
}

const struct config_store *config_find_store(const struct config *config, const char *name)
{
    return config_find_struct(config, "store", name);
}

const struct config_protocol *config_find_protocol(const struct config *config, const char *name)
{
    return config_find_struct(config, "protocol", name);
}

const struct config_partner *config_find_partner(const struct config *config, const char *name)
{
    return config_find_struct(config, "partner", name);
}

const struct config_class *config_find_class(const struct config *config, const char *name)
{
    return config_find_struct(config, "class", name);
}

const struct config_user *config_find_user(const struct config *config, const char *name)
{
    return config_find_struct(config, "user", name);
}

const struct config_hook *config_find_hook(const struct config *config, const char *name)
{
    return config_find_struct(config, "hook", name);
}

const struct config_profile *config_find_profile(const struct config *config, enum config_role role, const char *name)
{
    return config_find_struct(config, role == CONFIG_CLIENT ? "client-profile" : "server-profile", name);
}

struct config_profile *config_profile_default(enum config_role role)
{
    struct config_profile *profile = calloc(1, sizeof(*profile));
    if (!profile)
        return NULL;
    profile->role = role;
    profile->name = strdup("default");
    struct config_errors errors = { 0 };
    struct config_scene scene = { .folder = "", .errors = &errors };
    int result = profile->name ? fill(&scene, profile_kind(role), profile) : -ENOMEM;
    config_errors_clear(&errors);
    if (result == 0)
        return profile;
    config_profile_free(profile);
    return NULL;
}

void config_profile_free(struct config_profile *profile)
{
    if (!profile)
        return;
    free_values(profile_kind(profile->role), profile);
    free(profile->name);
    free(profile);
}
