/* The whole configuration, in the order in which one reads it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/cft/internal.h"

#define SECTIONS_MAX 1000                   /* what config/ takes, less what may be added by hand */
#define CONFIGURATION_MAX ((size_t)1 << 20) /* bytes, the same */

static const char head[] =
    "# Made by `sluice import-cft` from an extract of Transfer CFT; the line numbers are those of the extract.\n"
    "# What has no equivalent is named at its place. Put the certificates and keys where the comments say, and ask\n"
    "#\n"
    "#     sluice check -c THIS-FILE\n"
    "\n";

static void write_store(struct site *site)
{
    bool listens = false;
    for (size_t i = 0; i < sizeof(site->ports); i++)
        listens = listens || site->ports[i];
    if (!listens)
        return;
    fputc('\n', site->out);
    ini_comment(site->out,
                "CFT names files in CFTSEND and CFTRECV; here a store is a directory that partners see. Name "
                "yours, and give each partner a home folder in it where they must not see each other's files");
    ini_section(site->out, "store", "main");
    ini_key(site->out, "root", "/srv/sluice");
}

static void write_objects(struct site *site, enum object_kind kind)
{
    for (size_t i = 0; i < site->object_count; i++) {
        struct object *object = &site->objects[i];
        if (object->kind != kind)
            continue;
        if (kind == OBJECT_PROTOCOL)
            protocol_write(site, object);
        else if (kind == OBJECT_PARTNER)
            partner_write(site, object);
        else
            profile_write(site, object);
    }
}

static bool has_partner(const struct site *site, const struct cft_command *command)
{
    return site_object(site, OBJECT_PARTNER, cft_text(command, "ID", NULL)) != NULL;
}

/* CFTTCP was used up by its partner. */
static void write_others(struct site *site)
{
    static const char *const used[] = { "CFTSSL", "CFTPROT", "CFTPART" };
    fputc('\n', site->out);
    for (size_t i = 0; i < site->cft->count; i++) {
        const struct cft_command *command = &site->cft->commands[i];
        bool known = strcmp(command->verb, "CFTTCP") == 0 && has_partner(site, command);
        for (size_t j = 0; j < sizeof(used) / sizeof(used[0]); j++)
            known = known || strcmp(command->verb, used[j]) == 0;
        const char *id = cft_text(command, "ID", NULL);
        if (!known)
            ini_comment(site->out, "line %u: %.64s%s%.64s has no equivalent", command->line, command->verb,
                        id ? " ID = " : "", id ? id : "");
    }
}

static void fail(struct site *site, const char *what)
{
    config_errors_add(site->errors, CONFIG_ERROR, site->cft->file, 0, "%s", what);
    site->failed = true;
}

static bool check_count(struct site *site)
{
    size_t sections = 0;
    for (size_t i = 0; i < site->object_count; i++)
        sections += site->objects[i].kind != OBJECT_TCP;
    if (sections > SECTIONS_MAX)
        fail(site, "the file has more than 1000 profiles, protocols and partners: split it");
    return sections <= SECTIONS_MAX;
}

static void write_all(struct site *site)
{
    fputs(head, site->out);
    if (site_find_objects(site) != 0) {
        site->failed = true;
        return;
    }
    if (!check_count(site))
        return;
    write_objects(site, OBJECT_SERVER);
    write_objects(site, OBJECT_CLIENT);
    write_objects(site, OBJECT_PROTOCOL);
    write_objects(site, OBJECT_PARTNER);
    write_store(site);
    write_others(site);
}

char *cft_write(const struct cft *cft, const struct cft_suites *suites, struct config_errors *errors)
{
    struct site *site = calloc(1, sizeof(*site));
    char *text = NULL;
    size_t length = 0, errors_before = errors->error_count;
    bool failed = true;
    if (site) {
        *site = (struct site){ .cft = cft, .suites = suites, .errors = errors, .out = open_memstream(&text, &length) };
        if (site->out) {
            write_all(site);
            failed = fclose(site->out) != 0 || site->failed;
        }
        if (!failed && length > CONFIGURATION_MAX) {
            fail(site, "what comes of the file is larger than a configuration may be: extract only SSL, PROT, PART and "
                       "TCP, or split it");
            failed = true;
        }
        free(site->objects);
        free(site->files);
    }
    free(site);
    if (failed && errors->error_count == errors_before)
        config_errors_add(errors, CONFIG_ERROR, cft->file, 0, "the configuration does not fit in memory: %s",
                          strerror(ENOMEM));
    if (!failed)
        return text;
    free(text);
    return NULL;
}
