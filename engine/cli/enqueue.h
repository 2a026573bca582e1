/* --queue: what is left to the running `sluice serve`, through the catalog that both name in their configuration. */
#ifndef SLUICE_CLI_ENQUEUE_H
#define SLUICE_CLI_ENQUEUE_H

#include "engine/catalog/catalog.h"
#include "engine/cli/command.h"
#include "engine/queue/queue.h"

/* The catalog of a configuration, opened. 0, or an exit code after the sentence was printed. */
int catalog_of(const char *subcommand, const struct config *config, enum catalog_use use, struct catalog **catalog);

/*
 * Records one file, or with command_enqueue_tree() one directory and all in it, as waiting: `local` is made absolute,
 * and for a put there must be such a file or directory. `or_file`: of what is fetched the server knows which it is.
 * Prints the id. Returns enum client_result.
 */
int command_enqueue(struct command *command, const struct remote *server, enum catalog_direction direction,
                    const char *local, const char *path);

int command_enqueue_tree(struct command *command, const struct remote *server, enum catalog_direction direction,
                         const char *local, const char *path, bool or_file);

int command_enqueue_message(struct command *command, const struct remote *partner, const char *text, size_t length);

/* What stands for a message where a file has its name: its first line, or the beginning of that. Returns `line`. */
#define MESSAGE_LINE_SIZE 81
const char *message_line(const char *text, size_t length, char line[MESSAGE_LINE_SIZE]);

#endif
