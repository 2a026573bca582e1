/*
 * Private to engine/cft/.
 *
 * read.c    text -> commands          find.c    commands -> the objects that count, and their names here
 * rule.c    DNUSER -> an expression   profile.c CFTSSL -> profiles     site.c    CFTPROT, CFTPART, CFTTCP
 * ini.c     sections, keys and comments that no text can break out of  write.c   the whole
 */
#ifndef SLUICE_CFT_INTERNAL_H
#define SLUICE_CFT_INTERNAL_H

#include <stdint.h>
#include <stdio.h>

#include "engine/cft/cft.h"

#define NAME_SIZE 33 /* what a section's header has room for beside its kind */

/* Parses "( ... )" in `text` into list->values; key and line say what it is of. */
bool cft_read_list(const struct cft *cft, const char *text, struct cft_parameter *list, struct config_errors *errors);
void cft_parameter_clear(struct cft_parameter *parameter);

/* The last of that key with a value that is not empty, or NULL. */
const struct cft_parameter *cft_find(const struct cft_command *command, const char *key);
/* Its first value, or `fallback`. */
const char *cft_text(const struct cft_command *command, const char *key, const char *fallback);

enum object_kind { OBJECT_SERVER, OBJECT_CLIENT, OBJECT_PROTOCOL, OBJECT_PARTNER, OBJECT_TCP, OBJECT_KINDS };

/* A command that defines something and was neither replaced nor deleted by a later one. */
struct object {
    enum object_kind kind;
    const char *id;
    const struct cft_command *command;
    char name[NAME_SIZE]; /* of the section, "" for CFTTCP */
    bool written;         /* a protocol that has a section */
    bool calls;           /* and a client-profile */
};

/* A file beneath certs/, for an object of the PKI base. */
struct file_name {
    const char *id;
    char name[NAME_SIZE];
};

struct site {
    const struct cft *cft;
    const struct cft_suites *suites;
    struct config_errors *errors;
    FILE *out;
    struct object *objects;
    size_t object_count;
    struct file_name *files;
    size_t file_count;
    uint8_t ports[65536 / 8]; /* a bit for each that a protocol listens on */
    bool failed;
};

/* 0 or -ENOMEM. Writes a comment about each command that a later one replaces or deletes. */
int site_find_objects(struct site *site);
/* First exactly, then without regard to case. NULL id: NULL. */
struct object *site_object(const struct site *site, enum object_kind kind, const char *id);
/* The name of a file without folder and suffix; the same for the same id. NULL: no memory. */
const char *site_file(struct site *site, const char *id);

/* The expression for DNUSER or DNISSUER, for free(). NULL after an error. *joined: a list without operators. */
char *rule_expression(struct site *site, const struct cft_parameter *parameter, bool *joined);

void profile_write(struct site *site, const struct object *object);
void protocol_write(struct site *site, struct object *object);
void partner_write(struct site *site, struct object *object);

/* Comments about the parameters that are in none of the words (which end with NULL). */
void site_write_rest(struct site *site, const struct cft_command *command, const char *const *known);

void ini_section(FILE *out, const char *kind, const char *name);
/*
 * Long values go on in further lines, which can begin neither with a blank nor with a comment's sign: a value with a
 * run of those longer than a line is left out, with a comment. An empty value writes nothing.
 */
void ini_key(FILE *out, const char *key, const char *value);
__attribute__((format(printf, 2, 3))) void ini_comment(FILE *out, const char *format, ...);

#endif
