/*
 * Private to config/: the file as it was read, and the steps from there to the model.
 *
 *   read.c       text -> sections and entries, each with its line; reports what is not INI
 *   value.c      one entry -> one field, by the type in the schema; reports what has the wrong shape. address.c:
 *                HOST:PORT, who.c: people and names, network.c: blocks, expression.c: distinguished names
 *   model.c      sections -> structs; reports unknown, repeated and missing keys
 *   rules.c      joins the structs by name; reports what fits its type but makes no sense. partners.c: partners and
 *                users, hooks.c: hooks, watches.c: watches, classes.c: classes and what stores grant, claims.c: two
 * that one certificate can belong to compare.c    two models -> their differences in access; canonical.c: expressions
 * that differ only in writing
 */
#ifndef SLUICE_CONFIG_INTERNAL_H
#define SLUICE_CONFIG_INTERNAL_H

#include "config/expression.h"
#include "config/model.h"
#include "config/schema.h"

/* Bounds, so that no text makes reading it slow or large. */
#define CONFIG_FILE_MAX ((size_t)1 << 20)
#define CONFIG_SECTIONS_MAX 1024
#define CONFIG_ENTRIES_MAX 256
#define CONFIG_VALUE_MAX 16384
#define CONFIG_LIST_MAX 100
#define CONFIG_ERRORS_MAX 1000

struct config_entry {
    char *key;
    char *value;
    unsigned line;
};

struct config_section {
    const char *file; /* the model's */
    char *kind;       /* as written */
    char *name;       /* "" where the header has none */
    unsigned line;
    const struct config_kind *schema; /* NULL where the kind is unknown */
    struct config_entry *entries;
    size_t count;
};

/* Fills config->sections. 0 (also after errors were reported), or -ENOMEM. */
int config_read(struct config *config, const char *text, size_t length, struct config_errors *errors);
void config_sections_free(struct config_section *sections, size_t count);

/* The first entry of that name, or NULL. A NULL section has none. */
const struct config_entry *config_entry_find(const struct config_section *section, const char *key);

/* Where a value stands: for messages, and for what a relative path is relative to. */
struct config_scene {
    const struct config_section *section; /* NULL: a default, not from a file */
    const char *folder;                   /* absolute, without a slash at its end */
    struct config_errors *errors;
};

/* Parses `text` into the key's field of the struct at `base`. 0, -EINVAL (reported) or -ENOMEM. */
int config_value_set(const struct config_scene *scene, const struct config_key *key, const char *text, void *base);
void config_value_free(const struct config_key *key, void *base); /* leaves the field empty */

/* A number in the words of its type, as one would write it: "16K", "10s", "7". */
#define CONFIG_BOUND_SIZE 32
const char *config_bound(enum config_type type, uint64_t number, char text[CONFIG_BOUND_SIZE]);

/* Digits only: no sign, no blank, no 0x. *end is behind the last one. False: none, or too many for 64 bits. */
bool config_digits(const char *text, uint64_t *number, const char **end);

bool config_is_host(const char *host); /* a name, or an IPv4 address */
bool config_is_ipv6(const char *host); /* without brackets, with or without %scope */

/* Splits "HOST:PORT" in place. Returns NULL, or what is wrong with it; `least_port` is 0 or 1. */
const char *config_address_split(char *text, uint64_t least_port, char **host, uint16_t *port);

/* An address, a CIDR block or a pattern. Returns NULL, or what is wrong with it. */
const char *config_network_read(const char *text, struct config_network *network);

const struct config_kind *config_kind_find(const char *name);
void *config_find_struct(const struct config *config, const char *kind, const char *name); /* or NULL; not [server] */
const struct config_key *config_key_find(const struct config_kind *kind, const char *name);

/* Whether every address that `b` holds is held by `a`; says no where it cannot tell. */
bool config_network_covers(const struct config_network *a, const struct config_network *b);

/* Checks what no single value shows, and sets the references. */
void config_rules(struct config *config, struct config_errors *errors);
void config_partner_rules(struct config *config, struct config_errors *errors);
void config_class_rules(struct config *config, struct config_errors *errors);
void config_watch_rules(struct config *config, struct config_errors *errors);
void config_hook_rules(const struct config *config, struct config_errors *errors);
void config_claim_rules(const struct config *config, struct config_errors *errors);

bool config_given(const struct config_section *section, const char *key);

/* The text of a reference, or NULL where the key is absent or empty (reported when it was read). */
const char *config_reference(const struct config_section *section, const char *key);

/* The section of that kind whose name is nearest, for "did you mean"; or NULL. */
const char *config_nearest(const struct config *config, const char *kind, const char *name);

/* Reports a reference to nothing. `id`: of the event that operators know this by, with ": " behind it, or "". */
void config_report_dangling(const struct config *config, const struct config_section *section, const char *key,
                            const char *kind, const char *id, struct config_errors *errors);

/* Whether some protocol listens, and the server-profile of each that does has this `verify`. */
bool config_listeners_all(const struct config *config, enum config_verify verify);

/* Offers candidates one by one; `best` is the nearest that is near enough to `wanted` to be a slip, or NULL. */
struct config_suggestion {
    const char *wanted;
    const char *best;
    unsigned distance;
};
void config_suggest(struct config_suggestion *suggestion, const char *candidate);

#endif
