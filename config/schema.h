/*
 * The table of keys: for every kind of section, each key's name, type, default, bounds and one line of help.
 *
 * It is the only place that knows them. The parser, the messages ("did you mean ..."), `sluice check` and the
 * reference in config/README.md all come from it.
 */
#ifndef SLUICE_CONFIG_SCHEMA_H
#define SLUICE_CONFIG_SCHEMA_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum config_type {
    CONFIG_TYPE_NUMBER,       /* unsigned decimal, within [minimum, maximum] */
    CONFIG_TYPE_SIZE,         /* bytes, with an optional K, M, G or T (powers of 1024) */
    CONFIG_TYPE_DURATION,     /* ms, s, m, h; kept in milliseconds */
    CONFIG_TYPE_CHOICE,       /* one of `choices` */
    CONFIG_TYPE_FLAG,         /* yes or no */
    CONFIG_TYPE_PATH,         /* one file or directory name */
    CONFIG_TYPE_PATHS,        /* several, separated by commas */
    CONFIG_TYPE_NAMES,        /* words separated by commas */
    CONFIG_TYPE_ADDRESSES,    /* HOST:PORT, separated by commas */
    CONFIG_TYPE_REFERENCE,    /* the name of another section */
    CONFIG_TYPE_VERSION,      /* 1.2 or 1.3 */
    CONFIG_TYPE_HOSTNAME,     /* yes, no, or a name */
    CONFIG_TYPE_TEXT,         /* anything on the line */
    CONFIG_TYPE_WORD,         /* one word without blanks or separators */
    CONFIG_TYPE_FOLDER,       /* a path beneath a store's root */
    CONFIG_TYPE_PATTERNS,     /* words separated by commas, in which * and ? stand for others */
    CONFIG_TYPE_NETWORKS,     /* addresses, CIDR blocks and patterns, separated by commas */
    CONFIG_TYPE_EXPRESSION,   /* what a distinguished name must be; see config/expression.h */
    CONFIG_TYPE_FINGERPRINTS, /* SHA-256 in hexadecimal digits, with or without colons, separated by commas */
    CONFIG_TYPE_SANS,         /* KIND:PATTERN, separated by commas */
    CONFIG_TYPE_GRANTS,       /* user:NAME and the like, separated by commas */
    CONFIG_TYPE_CHOICES,      /* one or more of `choices`, whose values are bits */
    CONFIG_TYPE_COMMAND,      /* a program and its arguments */
    CONFIG_TYPE_RATE,         /* bytes per second, with an optional fraction and K, M, G or T; see config/rate.h */
};

struct config_choice {
    const char *word;
    int value;
};

extern const struct config_choice config_path_choices[]; /* in the order of enum config_path */

struct config_key {
    const char *name;
    enum config_type type;
    const char *fallback; /* the default, as one would write it in the file; NULL: none; see `mandatory` */
    uint64_t minimum, maximum;
    const struct config_choice *choices; /* ends with a NULL word */
    const char *refers_to;               /* for references: the kind of section, for messages */
    int mandatory;
    int access;    /* says who gets in and what they may do: edge and server must have it alike */
    size_t offset; /* of the field in the section's struct */
    const char *help;
};

struct config_kind {
    const char *name;              /* "server-profile" */
    int named;                     /* [server] has no name, the others must have one */
    const struct config_key *keys; /* ends with a NULL name */
    const char *help;
};

/* All kinds, in the order of the documentation; ends with a NULL name. */
extern const struct config_kind config_kinds[];

/* What the reference says of a kind beside its keys. The examples of all kinds are right as one file, too. */
struct config_page {
    const char *kind;
    const char *notes;   /* Markdown: paragraphs, ends with a newline */
    const char *example; /* INI, ends with a newline */
};

const struct config_page *config_page_find(const char *kind);

/* Writes the reference of all sections and keys as Markdown. */
void config_schema_document(FILE *out);

#endif
