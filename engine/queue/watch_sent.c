/* What a watched folder has sent: it is moved away or deleted, and forgotten once it is gone. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/catalog/seen.h"
#include "engine/queue/watch_internal.h"

struct gone {
    char **paths;
    size_t count, capacity;
};

static int keep_path(struct gone *gone, const char *path)
{
    if (gone->count == gone->capacity) {
        size_t capacity = gone->capacity ? 2 * gone->capacity : 64;
        char **grown = reallocarray(gone->paths, capacity, sizeof *grown);
        if (!grown)
            return -ENOMEM;
        gone->paths = grown;
        gone->capacity = capacity;
    }
    gone->paths[gone->count] = strdup(path);
    return gone->paths[gone->count] ? (gone->count++, 0) : -ENOMEM;
}

static int find_gone(void *argument, const char *path, const char *mark, uint64_t id)
{
    struct stat facts;

    (void)mark;
    (void)id;
    return lstat(path, &facts) < 0 && errno == ENOENT ? keep_path(argument, path) : 0;
}

static void free_paths(struct gone *gone)
{
    for (size_t i = 0; i < gone->count; i++)
        free(gone->paths[i]);
    free(gone->paths);
}

void watches_forget_gone(struct watches *watches, const struct config_watch *watch)
{
    struct gone gone = { 0 };
    int rc = catalog_seen_each(watches->catalog, watch->name, CATALOG_SEEN_ALL, find_gone, &gone);

    for (size_t i = 0; rc == 0 && i < gone.count; i++)
        rc = catalog_seen_forget(watches->catalog, watch->name, gone.paths[i]);
    watches_went_well(watches, rc);
    free_paths(&gone);
}

/* -- after it was sent --------------------------------------------------------------------------------------------- */

struct sent {
    struct watches *watches;
    const struct config_watch *watch;
    struct gone paths; /* of which nothing more is to be remembered */
};

/* One that has changed since is another file, which is queued by itself. */
static int finish(void *argument, const char *path, const char *mark, uint64_t id)
{
    struct sent *sent = argument;
    const struct config_watch *watch = sent->watch;
    char text[CATALOG_ID_SIZE];
    struct stat facts;

    if (lstat(path, &facts) < 0)
        return errno == ENOENT ? keep_path(&sent->paths, path) : 0;
    if (!watch_is_marked(path, mark))
        return 0;
    catalog_id_print(id, text);
    int rc = watch_finish(watch, path, mark, text);
    if (rc == -ESTALE)
        return 0;
    event(sent->watches->log, rc < 0 ? "W03W" : "W04I", EVENT_T("watch", watch->name), EVENT_T("file", path),
          EVENT_T("transfer", text), EVENT_T("then", watch->then == CONFIG_WATCH_MOVE ? "move" : "delete"),
          EVENT_T("reason", rc < 0 ? strerror(-rc) : NULL));
    return keep_path(&sent->paths, path);
}

static bool is_there(const char *path)
{
    struct stat facts;

    return lstat(path, &facts) == 0;
}

/* What could not be moved or deleted stays remembered, lest it be sent again, and is tried again with the next scan. */
void watches_finish_sent(struct watches *watches, size_t i, const struct config_watch *watch)
{
    struct sent sent = { .watches = watches, .watch = watch };

    if (watch->then == CONFIG_WATCH_KEEP || watches_clock() < watches->finish_again[i])
        return;
    /* What went unverified, under an earlier configuration, is not deleted under this one. */
    enum catalog_seen_which which = watch->then == CONFIG_WATCH_DELETE ? CATALOG_SEEN_VERIFIED : CATALOG_SEEN_DONE;
    int rc = catalog_seen_each(watches->catalog, watch->name, which, finish, &sent);
    for (size_t k = 0; rc == 0 && k < sent.paths.count; k++) {
        if (!is_there(sent.paths.paths[k]))
            rc = catalog_seen_forget(watches->catalog, watch->name, sent.paths.paths[k]);
        else
            watches->finish_again[i] = watches_clock() + WATCH_SCAN_MS;
    }
    watches_went_well(watches, rc);
    free_paths(&sent.paths);
}
