/*
 * Moving a tree's files: small ones over a few lanes, each with a connection and a thread of its own.
 *
 * What arrives is written to files without a name; some dozens of them are synced and named together, for what takes
 * time is the file system's journal, and it is written once for all of them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/printable.h"
#include "engine/cli/report.h"
#include "engine/cli/tree.h"

#define LANES 8 /* where --streams does not say: so many may wait for a server's disk at once */
#define BATCH_FILES 32
#define BATCH_BYTES (8u << 20)
#define BATCH_PATIENCE 0.5 /* seconds until what has arrived gets its name, however few it is */
#define TELL_PATIENCE 0.01 /* seconds that lines about files may wait for more of them, while files come */

struct landed {
    struct tree_entry *entry;
    struct client_transfer transfer;
    char digest[DIGEST_HEX_SIZE + 16]; /* of its own: the connection's is soon that of the next file */
};

struct lane {
    struct tree_run *run;
    size_t count, bytes;
    struct timespec since;
    bool moved;                  /* something, of which `last` is the last */
    struct client_transfer last; /* its strings are the connection's */
    struct store_batch batch[BATCH_FILES];
    struct landed landed[BATCH_FILES];
};

static double seconds_since(const struct timespec *start)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

/* -- what is told; under the run's lock ---------------------------------------------------------------------------- */

char *tree_run_local(const struct tree_run *run, const struct tree_entry *entry)
{
    const char *path = tree_path(run->tree, entry);
    return path_join(run->local, path, strlen(path));
}

static void flush_told(struct tree_run *run)
{
    if (!run->unflushed)
        return;
    fflush(run->command->out);
    run->unflushed = false;
}

/* One system call for many lines: they are for programs. */
static void flush_by_and_by(struct tree_run *run)
{
    double now = seconds_since(&run->started);

    run->unflushed = true;
    if (now - run->flushed_at < TELL_PATIENCE)
        return;
    run->flushed_at = now;
    flush_told(run);
}

/* Looked for now and then: that takes as long as a small file does. */
static long resident_kib(struct tree_run *run)
{
    double now = seconds_since(&run->started);

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

static void note_session(struct tree_run *run, const struct client_transfer *transfer)
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
    double now = seconds_since(&run->started);

    tell_watcher(run);
    if (!run->command->shows_progress || now - run->shown_at < 0.2)
        return;
    run->shown_at = now;
    progress_update(&run->progress, run->moved_bytes, run->total_bytes, "");
}

/* Under the run's lock. */
static void count_moved(struct tree_run *run, const struct tree_entry *entry, const struct client_transfer *transfer)
{
    run->moved++;
    run->moved_bytes += transfer->bytes;
    run->command->succeeded++;
    record_one(run, entry, transfer, CLIENT_OK, NULL);
    if (run->command->arguments->json)
        tell_json(run, entry, transfer, CLIENT_OK, "");
    show_progress(run);
}

void tree_run_moved(struct tree_run *run, struct tree_entry *entry, const struct client_transfer *transfer)
{
    pthread_mutex_lock(&run->lock);
    count_moved(run, entry, transfer);
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
    flush_told(run);
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

void tree_run_plan(struct tree_run *run, struct client *client, struct tree_entry *entry)
{
    run->total_bytes += entry->size;
    if (entry->size > PIPELINE_BODY_MAX || !client_pipelines_do(client))
        entry->large = true;
    else
        tree_run_small(run, entry);
}

void tree_run_one(struct tree_run *run, int result)
{
    run->last_result = result;
    run->failed += result != CLIENT_OK;
    run->moved += result == CLIENT_OK;
    if (result == CLIENT_OK) {
        run->moved_bytes += client_last(run->command->client)->bytes;
        note_session(run, client_last(run->command->client));
    }
    tell_watcher(run);
}

bool tree_same_digest(const struct tree_run *run, struct client *client, const struct tree_entry *entry)
{
    struct stat facts;
    bool same = false;

    int fd = store_open_read(run->store, tree_path(run->tree, entry), &facts);
    if (fd < 0)
        return false;
    if (S_ISREG(facts.st_mode))
        same = client_same(client, entry->full, fd, (uint64_t)facts.st_size);
    close(fd);
    return same;
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

/* -- files that arrive --------------------------------------------------------------------------------------------- */

static void say_local(struct tree_run *run, const struct tree_entry *entry, const char *doing, int error,
                      const struct client_transfer *transfer)
{
    char why[300];
    const char *reason = error == -EXDEV || error == -ELOOP ? "the path leads out of the destination"
                         : error == -EISDIR                 ? "there is a directory of this name"
                         : error == -ENOTDIR                ? "a part of the path is a file"
                                                            : strerror(-error);
    snprintf(why, sizeof why, "%s it here: %s", doing, reason);
    tree_run_failed(run, entry, CLIENT_LOCAL, why, transfer);
}

static void name_landed(struct lane *lane)
{
    size_t count = lane->count;

    if (count == 0)
        return;
    lane->count = lane->bytes = 0;
    store_upload_commit_all(lane->batch, count);
    pthread_mutex_lock(&lane->run->lock);
    for (size_t i = 0; i < count; i++) {
        if (lane->batch[i].result == 0)
            count_moved(lane->run, lane->landed[i].entry, &lane->landed[i].transfer);
    }
    pthread_mutex_unlock(&lane->run->lock);
    for (size_t i = 0; i < count; i++) {
        const struct landed *landed = &lane->landed[i];
        if (lane->batch[i].result != 0)
            say_local(lane->run, landed->entry, "finishing", lane->batch[i].result, &landed->transfer);
    }
    lane->moved = true;
    lane->last = lane->landed[count - 1].transfer;
}

/* A file system without times or modes is no reason to lose the file. */
static void set_facts(int fd, const struct tree_run *run, const struct tree_entry *entry,
                      const struct pipeline_answer *answer)
{
    struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, entry->modified };

    if (answer->has_modified)
        times[1] = answer->modified;
    if (answer->has_mode || !entry->coarse)
        (void)!fchmod(fd, (mode_t)((answer->has_mode ? answer->mode : entry->mode) & run->modes));
    if (answer->has_modified || !entry->coarse || entry->modified.tv_sec != 0)
        (void)!futimens(fd, times);
}

static void land(void *argument, const struct pipeline_item *item, const struct pipeline_answer *answer,
                 const struct client_transfer *transfer)
{
    struct lane *lane = argument;
    struct tree_entry *entry = item->tag;
    struct store_batch *place = &lane->batch[lane->count];

    int error = store_batch_begin(lane->run->store, tree_path(lane->run->tree, entry), lane->batch, lane->count);
    if (error == 0)
        error = store_write_all(place->upload.fd, answer->bytes, answer->length);
    if (error < 0) {
        store_upload_abandon(&place->upload);
        say_local(lane->run, entry, "writing", error, transfer);
        return;
    }
    set_facts(place->upload.fd, lane->run, entry, answer);
    if (lane->count == 0)
        clock_gettime(CLOCK_MONOTONIC, &lane->since);
    struct landed *landed = &lane->landed[lane->count++];
    *landed = (struct landed){ .entry = entry, .transfer = *transfer };
    snprintf(landed->digest, sizeof landed->digest, "%s", transfer->digest);
    landed->transfer.digest = landed->digest;
    lane->bytes += answer->length;
    if (lane->count == BATCH_FILES || lane->bytes >= BATCH_BYTES)
        name_landed(lane);
}

static void pause_lane(void *argument, bool at_end)
{
    struct lane *lane = argument;
    struct tree_run *run = lane->run;

    if (at_end || (lane->count > 0 && seconds_since(&lane->since) > BATCH_PATIENCE))
        name_landed(lane);
    pthread_mutex_lock(&run->lock);
    if (at_end && lane->moved)
        note_session(run, &lane->last);
    flush_told(run);
    pthread_mutex_unlock(&run->lock);
}

/* -- files that are sent ------------------------------------------------------------------------------------------- */

static void mark_large(struct tree_run *run, struct tree_entry *entry)
{
    pthread_mutex_lock(&run->lock);
    entry->large = true;
    pthread_mutex_unlock(&run->lock);
}

static int load(void *argument, const struct pipeline_item *item, struct pipeline_load *load)
{
    struct lane *lane = argument;
    struct tree_entry *entry = item->tag;
    char why[200];

    int error = tree_load(lane->run, entry, load);
    if (error == 0)
        return 0;
    if (error == -EFBIG) {
        mark_large(lane->run, entry);
        return CLIENT_FAILED;
    }
    snprintf(why, sizeof why, "reading it: %s",
             error == -ENODATA  ? "it became shorter"
             : error == -ESTALE ? "it changes all the time; send it when nobody writes to it"
             : error == -EXDEV  ? "a symbolic link that leads out of the tree"
                                : strerror(-error));
    tree_run_failed(lane->run, entry, CLIENT_LOCAL, why, NULL);
    return CLIENT_LOCAL;
}

/* -- lanes --------------------------------------------------------------------------------------------------------- */

static bool next(void *argument, struct pipeline_item *item)
{
    struct lane *lane = argument;
    struct tree_run *run = lane->run;

    for (;;) {
        size_t index = atomic_fetch_add(&run->next, 1);
        if (index >= run->small_count)
            return false;
        struct tree_entry *entry = run->small[index];
        if (entry->kind == TREE_FILE && atomic_load(&run->no_digests)) {
            mark_large(run, entry);
            continue;
        }
        *item = (struct pipeline_item){ .remote = entry->full, .tag = entry };
        return true;
    }
}

static void moved(struct lane *lane, struct tree_entry *entry, const struct client_transfer *transfer)
{
    lane->moved = true;
    lane->last = *transfer;
    tree_run_moved(lane->run, entry, transfer);
}

static void done(void *argument, const struct pipeline_item *item, int result, const char *reason,
                 enum pipeline_alone alone, const struct client_transfer *transfer)
{
    struct lane *lane = argument;
    struct tree_entry *entry = item->tag;

    if (alone == PIPELINE_NO_DIGEST)
        atomic_store(&lane->run->no_digests, true);
    if (alone)
        mark_large(lane->run, entry);
    else if (entry->kind == TREE_DIRECTORY && result == CLIENT_OK)
        return;
    else if (entry->kind == TREE_LINK && transfer->status == 412)
        tree_run_taken(lane->run, entry);
    else if (result == CLIENT_OK)
        moved(lane, entry, transfer);
    else
        tree_run_failed(lane->run, entry, result, reason, transfer);
}

void tree_run_small(struct tree_run *run, struct tree_entry *entry)
{
    run->small[run->small_count++] = entry;
}

int tree_run_begin(struct tree_run *run)
{
    clock_gettime(CLOCK_MONOTONIC, &run->started);
    pthread_mutex_init(&run->lock, NULL);
    progress_begin(&run->progress, run->shown);
    run->small = calloc(run->tree->count + 1, sizeof(struct tree_entry *));
    return run->small ? CLIENT_OK : command_fail(run->command, CLIENT_FAILED, "no memory");
}

static void say_untried(struct tree_run *run, int result, const char *reason)
{
    size_t next = atomic_load(&run->next), left = next < run->small_count ? run->small_count - next : 0;

    if (result == CLIENT_OK)
        return;
    run->failed += left;
    atomic_store(&run->next, run->small_count);
    if (left > 0)
        command_fail(run->command, result, "%zu more files were not tried: %s", left, reason);
    else
        command_fail(run->command, result, "%s", reason);
}

void tree_run_lanes(struct tree_run *run, struct client *client, size_t per_lane)
{
    unsigned wanted = run->command->arguments->streams, most = wanted ? wanted : LANES;
    size_t count = run->small_count / per_lane + 1;
    struct pipeline_lane works[PIPELINE_LANES_MAX];
    struct lane *lanes = calloc(PIPELINE_LANES_MAX, sizeof *lanes);

    if (!lanes) {
        say_untried(run, CLIENT_FAILED, "no memory");
        return;
    }
    most = most < PIPELINE_LANES_MAX ? most : PIPELINE_LANES_MAX;
    count = count < most ? count : most;
    for (size_t i = 0; i < count; i++) {
        lanes[i].run = run;
        works[i] = (struct pipeline_lane){ .argument = &lanes[i],
                                           .put = run->put,
                                           .next = next,
                                           .load = load,
                                           .land = land,
                                           .done = done,
                                           .pause = pause_lane };
    }
    int result = run->small_count > 0 ? client_pipelines(client, works, (unsigned)count) : CLIENT_OK;
    progress_end(&run->progress);
    say_untried(run, result, client_reason(client));
    free(lanes);
}

static void tell_summary(struct tree_run *run)
{
    double seconds = seconds_since(&run->started);
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
                                            .seconds = seconds_since(&run->started) };

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
