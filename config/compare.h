/*
 * Do two configurations let in the same people, and may these do the same? For an edge and the server behind it.
 *
 * Compared is what the schema marks with `access`, value by value as it is meant, not as it is written: lists whose
 * order means nothing as sets, defaults as if they were written, expressions by their structure; further the order of
 * the classes, and sections that only one of them has. Addresses, threads, limits and our own certificates are no
 * access. What stands in files (CAs, revocation lists, passwords) is not read here; engine/cli/same_access.c does that.
 */
#ifndef SLUICE_CONFIG_COMPARE_H
#define SLUICE_CONFIG_COMPARE_H

#include "config/model.h"

/*
 * The one name of a suite that may be written in several ways. False: the word is not known; it is compared as it is.
 */
#define CONFIG_SUITE_NAME 256
struct config_suites {
    bool (*name)(void *argument, const char *word, char name[CONFIG_SUITE_NAME]);
    void *argument;
};

/*
 * Adds one sentence for each difference, with its place in both files, as an error. The same differences are found with
 * a and b exchanged. 0 or -ENOMEM.
 */
int config_compare_access(const struct config *a, const struct config *b, const struct config_suites *suites,
                          struct config_errors *differences);

/* The line of a key, or of its section's header where the key is absent or NULL; 0 for a section that is not there. */
unsigned config_section_line(const struct config_section *section, const char *key);

#endif
