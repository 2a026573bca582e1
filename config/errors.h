/*
 * Problems found in a configuration, collected so that one run reports them all.
 *
 * Each is one sentence that says what is wrong and what to do, with the place it is about:
 *
 *     site.ini:14: server-profile "inbound": certificate "certs/node.pem" cannot be read: no such file; make it, or ...
 */
#ifndef SLUICE_CONFIG_ERRORS_H
#define SLUICE_CONFIG_ERRORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct config_section; /* a section of the file as it was read; private to config/ */

enum config_severity { CONFIG_WARNING, CONFIG_ERROR };

struct config_error {
    enum config_severity severity;
    unsigned line; /* 0: about the file as a whole */
    char *text;    /* the whole message, "file:line: ..." included, without a newline */
};

struct config_errors {
    struct config_error *items; /* in the order of their lines once config_errors_sort() was called */
    size_t count;
    size_t error_count; /* of severity CONFIG_ERROR */
};

/* Zeroed memory is an empty list. Frees the entries, and leaves an empty list. */
void config_errors_clear(struct config_errors *errors);

/* Adds "file:line: text"; line 0 leaves the line out. */
void config_errors_add(struct config_errors *errors, enum config_severity severity, const char *file, unsigned line,
                       const char *format, ...) __attribute__((format(printf, 5, 6)));

/*
 * Adds `file:line: section "name": text`, with the line of `key` in that section, or of the section's own header where
 * the key is absent or NULL. A NULL section (a profile made without a file) leaves the place out.
 */
void config_errors_add_at(struct config_errors *errors, enum config_severity severity,
                          const struct config_section *section, const char *key, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

void config_errors_sort(struct config_errors *errors);

/* Prints one message a line, warnings marked as such. */
void config_errors_print(const struct config_errors *errors, FILE *out);

#endif
