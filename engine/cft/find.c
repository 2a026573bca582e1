/* Which commands count in the end, and what their objects are called here. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/cft/internal.h"

static const char *const verbs[OBJECT_KINDS] = {
    [OBJECT_SERVER] = "CFTSSL",   [OBJECT_CLIENT] = "CFTSSL", [OBJECT_PROTOCOL] = "CFTPROT",
    [OBJECT_PARTNER] = "CFTPART", [OBJECT_TCP] = "CFTTCP",
};

const struct cft_parameter *cft_find(const struct cft_command *command, const char *key)
{
    for (size_t i = command->count; i-- > 0;) {
        const struct cft_parameter *parameter = &command->parameters[i];
        if (strcmp(parameter->key, key) != 0)
            continue;
        return parameter->count && parameter->values[0].text[0] ? parameter : NULL;
    }
    return NULL;
}

const char *cft_text(const struct cft_command *command, const char *key, const char *fallback)
{
    const struct cft_parameter *parameter = cft_find(command, key);
    return parameter ? parameter->values[0].text : fallback;
}

static bool kind_of(const struct cft_command *command, enum object_kind *kind)
{
    bool server = strcasecmp(cft_text(command, "DIRECT", "CLIENT"), "SERVER") == 0;
    for (*kind = OBJECT_SERVER; *kind < OBJECT_KINDS; ++*kind) {
        bool other_role = (*kind == OBJECT_SERVER && !server) || (*kind == OBJECT_CLIENT && server);
        if (strcmp(command->verb, verbs[*kind]) == 0 && !other_role)
            return true;
    }
    return false;
}

struct object *site_object(const struct site *site, enum object_kind kind, const char *id)
{
    struct object *near = NULL;
    for (size_t i = 0; id && i < site->object_count; i++) {
        struct object *object = &site->objects[i];
        if (object->kind == kind && strcmp(object->id, id) == 0)
            return object;
        if (object->kind == kind && !near && strcasecmp(object->id, id) == 0)
            near = object;
    }
    return near;
}

static struct object *exact(const struct site *site, enum object_kind kind, const char *id)
{
    struct object *object = site_object(site, kind, id);
    return object && strcmp(object->id, id) == 0 ? object : NULL;
}

static void take_away(struct site *site, struct object *object)
{
    size_t index = (size_t)(object - site->objects);
    memmove(object, object + 1, (site->object_count - index - 1) * sizeof(*object));
    site->object_count--;
}

static void note_command(struct site *site, const struct cft_command *command)
{
    enum object_kind kind;
    const char *id = cft_text(command, "ID", NULL);
    if (!kind_of(command, &kind))
        return;
    if (!id) {
        ini_comment(site->out, "line %u: %s has no ID and is left out", command->line, command->verb);
        return;
    }
    struct object *before = exact(site, kind, id);
    bool deletes = strcasecmp(cft_text(command, "MODE", "REPLACE"), "DELETE") == 0;
    if (before)
        ini_comment(site->out, "line %u: %s %s is %s by line %u", before->command->line, command->verb, id,
                    deletes ? "deleted" : "replaced", command->line);
    else if (deletes)
        ini_comment(site->out, "line %u: %s %s is deleted, and was not there", command->line, command->verb, id);
    if (before)
        take_away(site, before);
    if (!deletes)
        site->objects[site->object_count++] = (struct object){ .kind = kind, .id = id, .command = command };
}

/* Letters, digits and a few signs that neither a header nor a file name takes amiss. */
static void plain_name(const char *id, char name[NAME_SIZE])
{
    size_t length = 0;
    for (; id[length] && length < NAME_SIZE - 5; length++) { /* room for a number behind it */
        unsigned char c = (unsigned char)id[length];
        bool good = c < 0x80 && (isalnum(c) || c == '_' || c == '-' || (c == '.' && length));
        name[length] = good ? (char)c : '_';
    }
    if (!length)
        name[length++] = '_';
    name[length] = 0;
}

static void number_name(char name[NAME_SIZE], size_t plain, unsigned number)
{
    snprintf(name + plain, NAME_SIZE - plain, "-%u", number % 1000);
}

static bool is_profile(const struct object *object)
{
    return object->kind == OBJECT_SERVER || object->kind == OBJECT_CLIENT;
}

/* A server's and a client's profile of one id have one name. */
static bool object_name_taken(const struct site *site, const struct object *object)
{
    for (const struct object *other = site->objects; other < object; other++) {
        bool akin = other->kind == object->kind || (is_profile(other) && is_profile(object));
        if (akin && strcmp(other->name, object->name) == 0 && strcmp(other->id, object->id) != 0)
            return true;
    }
    return false;
}

static void name_object(const struct site *site, struct object *object)
{
    plain_name(object->id, object->name);
    size_t plain = strlen(object->name);
    for (unsigned number = 2; object_name_taken(site, object) && number < 1000; number++)
        number_name(object->name, plain, number);
}

int site_find_objects(struct site *site)
{
    site->objects = calloc(site->cft->count, sizeof(*site->objects));
    if (!site->objects)
        return -ENOMEM;
    for (size_t i = 0; i < site->cft->count; i++)
        note_command(site, &site->cft->commands[i]);
    for (size_t i = 0; i < site->object_count; i++)
        name_object(site, &site->objects[i]);
    return 0;
}

static bool file_name_taken(const struct site *site, const char *name)
{
    for (size_t i = 0; i < site->file_count; i++) {
        if (strcasecmp(site->files[i].name, name) == 0)
            return true;
    }
    return false;
}

const char *site_file(struct site *site, const char *id)
{
    for (size_t i = 0; i < site->file_count; i++) {
        if (strcmp(site->files[i].id, id) == 0)
            return site->files[i].name;
    }
    struct file_name *files = reallocarray(site->files, site->file_count + 1, sizeof(*files));
    if (!files)
        return NULL;
    site->files = files;
    struct file_name file = { .id = id };
    plain_name(id, file.name);
    size_t plain = strlen(file.name);
    for (unsigned number = 2; file_name_taken(site, file.name) && number < 1000; number++)
        number_name(file.name, plain, number);
    files[site->file_count] = file;
    return files[site->file_count++].name;
}
