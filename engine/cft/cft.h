/*
 * From Transfer CFT: reads the commands of CFTUTIL, as `CFTUTIL CFTEXT` extracts them, and writes them as a
 * configuration of sluice (config/model.h).
 *
 *     file      = *( command / comment )
 *     command   = VERB *( [ "," ] KEY "=" VALUE )        the VERB is the first word of its line
 *     VALUE     = word / 'text' / "text" / "(" *( VALUE [ "," ] ) ")"
 *
 * A quote inside a quoted text is doubled. Verbs and keys are taken in any case; a comment is what stands between
 * slash-star and star-slash. Where lines end means nothing, but that a quoted text must be closed on its own.
 *
 * Every message names the line and what to do. Passwords that an extract holds are never printed or written.
 */
#ifndef SLUICE_CFT_CFT_H
#define SLUICE_CFT_CFT_H

#include <stdbool.h>
#include <stddef.h>

#include "config/errors.h"

/* Bounds: bytes of a file and of one value, lists in lists, commands, parameters of one and values of one. */
#define CFT_FILE_MAX ((size_t)1 << 20)
#define CFT_VALUE_MAX 4096
#define CFT_DEPTH_MAX 8
#define CFT_COMMANDS_MAX 20000
#define CFT_PARAMETERS_MAX 256
#define CFT_VALUES_MAX 100

struct cft_value {
    char *text;
    bool quoted;
};

struct cft_parameter {
    char *key; /* in capitals */
    struct cft_value *values;
    size_t count; /* 0: an empty value; lists in lists are made flat */
    unsigned line;
};

struct cft_command {
    char *verb; /* in capitals */
    struct cft_parameter *parameters;
    size_t count;
    unsigned line;
};

struct cft {
    char *file; /* as given to cft_read */
    struct cft_command *commands;
    size_t count;
};

/*
 * Reads a text of `length` bytes; `file` is what messages call it. NULL after every problem that could be told was
 * added to `errors`. For cft_free(), which wipes: there may be passwords in it.
 */
struct cft *cft_read(const char *file, const char *text, size_t length, struct config_errors *errors);
void cft_free(struct cft *cft); /* NULL is allowed */

/*
 * What this build thinks of a suite, by its number in decimal digits. True: it may be used, and `text` holds its name.
 * False: `text` says why not, as a sentence without a full stop.
 */
#define CFT_SUITE_TEXT 256
struct cft_suites {
    bool (*look)(void *argument, const char *number, char text[CFT_SUITE_TEXT]);
    void *argument;
};

/*
 * The configuration, as text for free(). What has no equivalent is a comment at its place. NULL after an error was
 * added: a rule about names (DNUSER, DNISSUER) that cannot be understood, or more than a configuration can hold.
 */
char *cft_write(const struct cft *cft, const struct cft_suites *suites, struct config_errors *errors);

#endif
