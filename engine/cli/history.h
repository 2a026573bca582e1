/* What history, show and their like print of the catalog. Bytes of peers come out escaped. */
#ifndef SLUICE_CLI_HISTORY_H
#define SLUICE_CLI_HISTORY_H

#include <stdio.h>

#include "engine/catalog/catalog.h"

/* Exit codes of the subcommands that look into the catalog. Stable. */
enum { HISTORY_DONE = 0, HISTORY_NOT_FOUND = 1, HISTORY_USAGE = 2, HISTORY_CONFIG = 3, HISTORY_FILE = 9 };

/*
 * Opens the catalog that `file` names, or where that is NULL the configuration (NULL: cli_config_file()). 0, or the
 * exit code after the sentence was printed.
 */
int history_open(struct catalog **catalog, const char *subcommand, const char *config_file, const char *file);

void history_head(FILE *out);
void history_line(FILE *out, const struct catalog_record *record);
void history_show(FILE *out, const struct catalog_record *record); /* all there is, a line each */
void history_json(FILE *out, const struct catalog_record *record); /* one object on one line */

#endif
