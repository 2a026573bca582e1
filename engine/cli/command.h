/*
 * One run of get, put or ls: the client for the server in use, what was said, and the exit code.
 *
 * SIGINT, SIGTERM and SIGHUP end the transfer under way in good order: nothing half done stays.
 */
#ifndef SLUICE_CLI_COMMAND_H
#define SLUICE_CLI_COMMAND_H

#include "engine/cli/arguments.h"
#include "engine/cli/progress.h"
#include "engine/cli/recording.h"
#include "engine/cli/remote.h"
#include "engine/client/client.h"

struct command {
    const struct arguments *arguments;
    FILE *out;       /* for the lines at a transfer's end */
    int exit_code;   /* of the first failure */
    bool hopeless;   /* what failed will fail for every other file, too */
    unsigned status; /* of HTTP, that belongs to the failure that is told next; 0: none */
    struct {
        uint64_t moved, skipped, failed, bytes;
    } trees;            /* all that were moved so far, together */
    uint64_t succeeded; /* files that were moved, or need not be: where others failed, the exit code says so */

    /* Of a command that the queue carries out: who hears its failures in place of standard error; and its model. */
    void (*hear)(void *argument, int result, unsigned status, const char *sentence);
    void *hear_argument;
    client_progress *watch; /* and how far it has come: a tree's bytes, and those of a file in it that goes by itself */
    uint64_t watched, watch_total;
    const struct config *lent;

    /* private */
    struct config *config;
    struct config_profile *profile; /* for URLs */
    struct config_address address;
    struct config_addresses addresses;
    struct event_log *log;
    struct recording recording;
    int signal_fd;
    bool shows_progress;
    struct client *client;
    struct remote server; /* whom `client` talks to; its path means nothing */
};

/* 0, or the exit code after the sentence was printed. command_end() either way. */
int command_begin(struct command *command, const struct arguments *arguments);
int command_end(struct command *command); /* returns the exit code */

/* For what the queue carries out: `command` has `lent`, `hear` and what private fields are needed. Frees the rest. */
void command_release(struct command *command);

/* The whole of get and put: `work` is called with at least one source and the destination. Returns the exit code. */
int command_run(int argc, char **argv, const char *usage,
                void (*work)(struct command *command, const struct arguments *arguments));

/* The configuration, read when it is first needed. NULL after the reason was told and noted. */
const struct config *command_config(struct command *command);

/* The client for a remote name, or NULL after the reason was told and noted. */
struct client *command_client(struct command *command, const struct remote *remote);

/* Notes a failure and tells of it: "sluice get: TEXT". Returns `result`. */
int command_fail(struct command *command, int result, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Of a file that is one of many, and whose beginning was not told: command_get() and command_put() do it themselves. */
void command_record(struct command *command, const struct client_transfer *transfer, int result, const char *reason);
bool command_records(const struct command *command); /* whether that leaves anything anywhere */

/* A transfer and the line about it. Return its result. */
int command_get(struct command *command, const struct remote *server, const char *path, const char *local);
int command_get_stdout(struct command *command, const struct remote *server, const char *path);
int command_put(struct command *command, const struct remote *server, const char *local, const char *path);

#endif
