/* The arguments that get, put and ls have in common. */
#ifndef SLUICE_CLI_ARGUMENTS_H
#define SLUICE_CLI_ARGUMENTS_H

#include <stdbool.h>

#include "config/model.h"
#include "engine/client/client.h"

#define ARGUMENTS_RULES_MAX 256

enum arguments_links { LINKS_FOLLOW, LINKS_SKIP, LINKS_KEEP };

struct arguments {
    const char *subcommand;
    const char *config_file; /* NULL: cli_config_file() */

    /* For https:// URLs; a partner has its profile. */
    const char *cacert, *cert, *key, *ciphers;
    unsigned min_version, max_version; /* 0: the default */
    enum config_offload offload;
    bool insecure;
    const char *first_tls_option; /* NULL: none was given */

    unsigned connect_timeout, idle_timeout; /* milliseconds; 0: the default */
    bool quiet, json, verbose;
    enum client_if_exists if_exists;
    bool says_if_exists; /* it was given */
    bool queue;          /* to be carried out by the running server */
    uint64_t limit_rate; /* bytes per second; 0: no limit */
    const char *path;    /* NULL: chosen */
    unsigned streams;    /* 0: chosen */
    int retries;         /* as in client_options */
    enum client_verify verify;
    enum digest_algorithm digest;

    /* Of get and put: directories and many files. */
    bool recursive, checksum, dry_run;
    bool exact_modes; /* what arrives gets its permissions as they are, whatever our umask */
    enum arguments_links links;
    const char *files_from; /* NULL: all; "-": standard input */
    struct {
        bool include;
        const char *pattern;
    } rules[ARGUMENTS_RULES_MAX]; /* in the order in which they were given */
    unsigned rule_count;

    char **names; /* what is not an option */
    int name_count;
};

/* 0: go on; else the subcommand ends, with *exit_code, after help or the sentence about a mistake was printed. */
int arguments_parse(struct arguments *arguments, int argc, char **argv, const char *usage, int *exit_code);

/* "sluice get: ..." and where to read more; returns the exit code. */
int arguments_wrong(const struct arguments *arguments, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The profile for https:// URLs. NULL: no memory. For config_profile_free(). */
struct config_profile *arguments_profile(const struct arguments *arguments);

#endif
