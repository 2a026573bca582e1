/*
 * A tree that was queued: the running `sluice serve` moves it as get and put do, on a thread of the queue's. What goes
 * wrong with single files is gathered for the one record that the tree has.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/printable.h"
#include "engine/cli/tree.h"
#include "engine/cli/tree_job.h"

#define NAMED_MAX 3 /* failures that are told of; each has a record of its own, too */

struct heard {
    const struct queue_tree *tree;
    unsigned count;
    int first, healing; /* results; `healing`: of one that may come right by itself, or CLIENT_OK */
    unsigned first_status, healing_status;
    bool interrupted;
    char names[760];
};

static void hear(void *argument, int result, unsigned status, const char *sentence)
{
    struct heard *heard = argument;
    size_t used = strlen(heard->names);

    if (heard->count++ == 0) {
        heard->first = result;
        heard->first_status = status;
    }
    heard->interrupted |= result == CLIENT_INTERRUPTED;
    if (heard->healing == CLIENT_OK && queue_may_heal(result, status)) {
        heard->healing = result;
        heard->healing_status = status;
    }
    if (heard->count <= NAMED_MAX)
        snprintf(heard->names + used, sizeof heard->names - used, "; %.240s", sentence);
}

static void watch(void *argument, uint64_t moved, uint64_t total, const char *path)
{
    const struct heard *heard = argument;

    heard->tree->progress(heard->tree->progress_argument, moved, total, path);
}

static void take_rules(struct arguments *arguments, const struct queue_request *request)
{
    const char *end = request->rules + request->rules_length;

    for (const char *rule = request->rules; rule < end && arguments->rule_count < ARGUMENTS_RULES_MAX;
         rule += strlen(rule) + 1) {
        arguments->rules[arguments->rule_count].include = *rule == '+';
        arguments->rules[arguments->rule_count++].pattern = rule + 1;
    }
}

static void take_request(struct arguments *arguments, const struct queue_tree *tree)
{
    static const enum arguments_links links[] = {
        [QUEUE_LINKS_FOLLOW] = LINKS_FOLLOW, [QUEUE_LINKS_SKIP] = LINKS_SKIP, [QUEUE_LINKS_KEEP] = LINKS_KEEP
    };
    const struct queue_request *request = tree->request;

    *arguments = (struct arguments){ .subcommand = tree->put ? "put" : "get",
                                     .quiet = true,
                                     .recursive = true,
                                     .verify = request->verify,
                                     .digest = request->digest,
                                     .if_exists = request->if_exists,
                                     .streams = request->streams,
                                     .limit_rate = request->limit_rate,
                                     .links = links[request->tree_links],
                                     .checksum = request->checksum,
                                     .exact_modes = request->exact_modes };
    take_rules(arguments, request);
}

static void get(struct command *command, const struct remote *remote, const struct queue_tree *tree)
{
    char *path = path_is_directory(tree->remote) ? strdup(tree->remote) : path_join(tree->remote, "", 0);

    if (!path)
        command_fail(command, CLIENT_FAILED, "no memory");
    else if (!tree_get(command, remote, path, tree->local, tree->request->or_file) && !command->hopeless)
        command_get(command, remote, tree->remote, tree->local);
    free(path);
}

static void judge(const struct command *command, const struct heard *heard, struct queue_tree_end *end)
{
    char counts[200];

    end->bytes = command->trees.bytes;
    end->result = heard->interrupted                       ? CLIENT_INTERRUPTED
                  : heard->healing != CLIENT_OK            ? heard->healing
                  : heard->first && command->succeeded > 0 ? CLIENT_PARTIAL
                                                           : heard->first;
    end->status = heard->healing != CLIENT_OK ? heard->healing_status : heard->first_status;
    snprintf(counts, sizeof counts, "%" PRIu64 " files moved, %" PRIu64 " were there, %" PRIu64 " failed",
             command->trees.moved, command->trees.skipped, command->trees.failed);
    snprintf(end->reason, sizeof end->reason, "%s%s%s", counts, heard->names,
             heard->count > NAMED_MAX ? "; and more, which have records of their own" : "");
}

void tree_job(const struct queue_tree *tree, struct queue_tree_end *end)
{
    struct arguments *arguments = calloc(1, sizeof *arguments);
    struct heard heard = { .tree = tree };
    struct command command = { .arguments = arguments,
                               .out = stderr,
                               .lent = tree->config,
                               .hear = hear,
                               .hear_argument = &heard,
                               .watch = watch,
                               .log = tree->log,
                               .signal_fd = tree->interrupt };
    char *name = strdup(tree->partner);
    const struct remote remote = { .kind = REMOTE_PARTNER, .name = name };

    if (!arguments || !name) {
        *end = (struct queue_tree_end){ .result = CLIENT_FAILED, .reason = "no memory" };
    } else {
        take_request(arguments, tree);
        if (tree->put)
            tree_put(&command, &remote, tree->local, tree->remote);
        else
            get(&command, &remote, tree);
        command_release(&command);
        judge(&command, &heard, end);
    }
    free(name);
    free(arguments);
}
