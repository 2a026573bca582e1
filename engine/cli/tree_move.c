/*
 * Moving a tree's files: small ones over a few lanes, each with a connection and a thread of its own.
 *
 * What arrives is written to files without a name; some dozens of them are synced and named together, for what takes
 * time is the file system's journal, and it is written once for all of them.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/cli/tree.h"

#define LANES 8 /* where --streams does not say: so many may wait for a server's disk at once */
#define BATCH_FILES 32
#define BATCH_BYTES (8u << 20)
#define BATCH_PATIENCE 0.5 /* seconds until what has arrived gets its name, however few it is */

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

void tree_run_plan(struct tree_run *run, struct client *client, struct tree_entry *entry)
{
    run->total_bytes += entry->size;
    if (entry->size > PIPELINE_BODY_MAX || !client_pipelines_do(client))
        entry->large = true;
    else
        tree_run_small(run, entry);
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
            tree_run_count(lane->run, lane->landed[i].entry, &lane->landed[i].transfer);
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

    if (at_end || (lane->count > 0 && tree_seconds_since(&lane->since) > BATCH_PATIENCE))
        name_landed(lane);
    pthread_mutex_lock(&run->lock);
    if (at_end && lane->moved)
        tree_run_note(run, &lane->last);
    tree_run_flush(run);
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
