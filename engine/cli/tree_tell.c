/*
 * What is told of a tree that moves: a line or a record of each file, how far it has come, and the summary. It is what
 * counts, too, so that the sum is of what was told.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/printable.h"
#include "engine/cli/report.h"
#include "engine/cli/tree.h"

#define TELL_PATIENCE 0.01 /* seconds that lines about files may wait for more of them, while files come */

double tree_seconds_since(const struct timespec *start)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

char *tree_run_local(const struct tree_run *run, const struct tree_entry *entry)
{
    const char *path = tree_path(run->tree, entry);
    return path_join(run->local, path, strlen(path));
}

void tree_run_flush(struct tree_run *run)
{
    if (!run->unflushed)
        return;
    fflush(run->command->out);
    run->unflushed = false;
}

/* One system call for many lines: they are for programs. */
static void flush_by_and_by(struct tree_run *run)
{
    double now = tree_seconds_since(&run->started);

    run->unflushed = true;
    if (now - run->flushed_at < TELL_PATIENCE)
        return;
    run->flushed_at = now;
    tree_run_flush(run);
}

/* Looked for now and then: that takes as long as a small file does. */
static long resident_kib(struct tree_run *run)
{
    double now = tree_seconds_since(&run->started);

    if (run->resident_kib > 0 && now - run->resident_at < 0.2)
        return run->resident_kib;
    run->resident_at = now;
    run->resident_kib = report_resident_kib();
    return run->resident_kib;
}

static void tell_json(struct tree_run *run, const struct tree_entry *entry, const struct client_transfer *transfer,
                      int result, const char *why)
{
    struct client_transfer told = {
        .path = "none", .tx = "", .rx = "", .version = "", .suite = "", .digest = "", .unverified = ""
    };
    char *local = tree_run_local(run, entry);

    if (transfer)
        told = *transfer;
    told.direction = run->put ? "put" : "get";
    told.remote = entry->full;
    told.local = local ? local : "";
    report_json_of_many(run->command->out, &told, result, why, resident_kib(run));
    flush_by_and_by(run);
    free(local);
}

static void record_one(struct tree_run *run, const struct tree_entry *entry, const struct client_transfer *transfer,
                       int result, const char *why)
{
    struct client_transfer told = { 0 };

    if (!command_records(run->command))
        return;
    char *local = tree_run_local(run, entry);
    if (transfer)
        told = *transfer;
    told.direction = run->put ? "put" : "get";
    told.remote = entry->full;
    told.local = local;
    command_record(run->command, &told, result, why);
    free(local);
}

void tree_run_note(struct tree_run *run, const struct client_transfer *transfer)
{
    snprintf(run->session, sizeof run->session, "%s %s, path %s; tx %s; rx %s", transfer->version, transfer->suite,
             transfer->path, transfer->tx, transfer->rx);
}

static void tell_watcher(struct tree_run *run)
{
    struct command *command = run->command;

    command->watched = run->moved_bytes;
    command->watch_total = run->total_bytes;
    if (command->watch)
        command->watch(command->hear_argument, run->moved_bytes, run->total_bytes, "");
}

static void show_progress(struct tree_run *run)
{
    double now = tree_seconds_since(&run->started);

    tell_watcher(run);
    if (!run->command->shows_progress || now - run->shown_at < 0.2)
        return;
    run->shown_at = now;
    progress_update(&run->progress, run->moved_bytes, run->total_bytes, "");
}

void tree_run_count(struct tree_run *run, const struct tree_entry *entry, const struct client_transfer *transfer)
{
    run->moved++;
    run->moved_bytes += transfer->bytes;
    run->command->succeeded++;
    record_one(run, entry, transfer, CLIENT_OK, NULL);
    if (run->command->arguments->json)
        tell_json(run, entry, transfer, CLIENT_OK, "");
    show_progress(run);
}

void tree_run_moved(struct tree_run *run, const struct tree_entry *entry, const struct client_transfer *transfer)
{
    pthread_mutex_lock(&run->lock);
    tree_run_count(run, entry, transfer);
    pthread_mutex_unlock(&run->lock);
}

/* What is not whole gets no time of its own, which would say so. */
static void mark_above(struct tree_run *run, const struct tree_entry *entry)
{
    char above[TREE_PATH_MAX];

    snprintf(above, sizeof above, "%s", tree_path(run->tree, entry));
    for (char *slash = strrchr(above, '/'); slash; slash = strrchr(above, '/')) {
        *slash = '\0';
        struct tree_entry *folder = tree_find(run->tree, above);
        if (folder)
            folder->lacks = true;
    }
    run->lacks = true;
}

void tree_run_failed(struct tree_run *run, const struct tree_entry *entry, int result, const char *why,
                     const struct client_transfer *transfer)
{
    char *name = printable(run->put ? tree_path(run->tree, entry) : entry->full);

    pthread_mutex_lock(&run->lock);
    run->failed++;
    mark_above(run, entry);
    progress_end(&run->progress);
    record_one(run, entry, transfer, result, why);
    if (run->command->arguments->json)
        tell_json(run, entry, transfer, result, why);
    tree_run_flush(run);
    run->command->status = transfer ? transfer->status : 0;
    command_fail(run->command, result, "%s: %s", name ? name : "?", why);
    pthread_mutex_unlock(&run->lock);
    free(name);
}

void tree_run_skipped(struct tree_run *run)
{
    pthread_mutex_lock(&run->lock);
    run->skipped++;
    run->command->succeeded++;
    pthread_mutex_unlock(&run->lock);
}

void tree_run_taken(struct tree_run *run, const struct tree_entry *entry)
{
    if (run->command->arguments->if_exists == CLIENT_IF_EXISTS_SKIP)
        tree_run_skipped(run);
    else
        tree_run_failed(run, entry, CLIENT_EXISTS, "something of that name is there (--if-exists fail)", NULL);
}

void tree_run_one(struct tree_run *run, int result)
{
    run->last_result = result;
    run->failed += result != CLIENT_OK;
    run->moved += result == CLIENT_OK;
    if (result == CLIENT_OK) {
        run->moved_bytes += client_last(run->command->client)->bytes;
        tree_run_note(run, client_last(run->command->client));
    }
    tell_watcher(run);
}

void tree_run_would(struct tree_run *run, const struct tree_entry *entry)
{
    const struct arguments *arguments = run->command->arguments;
    struct client_transfer transfer = { .direction = run->put ? "put" : "get", .bytes = entry->size };

    run->moved++;
    run->moved_bytes += entry->size;
    run->command->succeeded++;
    if (arguments->json) {
        report_plan(run->command->out, transfer.direction, entry->full, entry->size);
    } else if (!arguments->quiet) {
        char *name = printable(run->put ? tree_path(run->tree, entry) : entry->full);
        fprintf(run->command->out, "would %s %s  %" PRIu64 " bytes\n", transfer.direction, name ? name : "?",
                entry->size);
        free(name);
    }
}

static void tell_summary(struct tree_run *run)
{
    double seconds = tree_seconds_since(&run->started);
    char rate[24];
    char *from = printable(run->put ? run->local : run->shown), *to = printable(run->put ? run->shown : run->local);
    bool dry = run->command->arguments->dry_run;

    fprintf(run->command->out,
            "%s %s -> %s  %" PRIu64 " files, %" PRIu64 " bytes in %.2f s, %s; %" PRIu64 " skipped, %" PRIu64
            " failed%s%s%s%s\n",
            dry        ? "plan"
            : run->put ? "sent"
                       : "got ",
            from ? from : "?", to ? to : "?", run->moved, run->moved_bytes, seconds,
            rate_text((double)run->moved_bytes / (seconds > 0 ? seconds : 1e-9), rate, sizeof rate), run->skipped,
            run->failed, run->session[0] ? "; " : "", run->session, run->untaken ? "; " : "",
            run->untaken ? run->untaken : "");
    free(from);
    free(to);
}

void tree_run_end(struct tree_run *run)
{
    const struct arguments *arguments = run->command->arguments;
    const struct report_summary summary = { .direction = run->put ? "put" : "get",
                                            .remote = run->shown,
                                            .local = run->local,
                                            .dry_run = arguments->dry_run,
                                            .untaken = run->untaken,
                                            .moved = run->moved,
                                            .skipped = run->skipped,
                                            .failed = run->failed,
                                            .bytes = run->moved_bytes,
                                            .seconds = tree_seconds_since(&run->started) };

    run->command->trees.moved += run->moved;
    run->command->trees.skipped += run->skipped;
    run->command->trees.failed += run->failed;
    run->command->trees.bytes += run->moved_bytes;
    if (arguments->json)
        report_summary(run->command->out, &summary);
    else if (!arguments->quiet)
        tell_summary(run);
    free(run->small);
    pthread_mutex_destroy(&run->lock);
}
