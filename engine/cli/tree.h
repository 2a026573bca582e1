/*
 * Directories and many files: what is to be moved is known first, as a tree, then moved (tree_move.c), then told of.
 *
 *     tree.c         a tree in memory
 *     tree_filter.c  --include, --exclude, --files-from
 *     tree_read.c    what there is, on either side
 *     tree_move.c    small files over pipelined lanes, large ones by themselves
 *     tree_tell.c    what is told of each, and the summary
 *     tree_load.c    what a lane sends
 *     tree_get.c  tree_put.c
 */
#ifndef SLUICE_CLI_TREE_H
#define SLUICE_CLI_TREE_H

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "engine/cli/command.h"
#include "engine/client/pipeline.h"
#include "engine/store/store.h"

#define TREE_ENTRIES_MAX 8000000u
#define TREE_BYTES_MAX (1ull << 30) /* of all paths and targets in memory */
#define TREE_PATH_MAX 4096

enum tree_kind {
    TREE_FILE,
    TREE_DIRECTORY,
    TREE_LINK,
    TREE_OTHER, /* a FIFO, a socket, a device */
    TREE_FAULT  /* cannot be read: `words` says why */
};

struct tree_entry {
    char *full; /* the tree's prefix and the path within; any bytes */
    enum tree_kind kind;
    bool left_out;              /* by a filter */
    bool fills;                 /* of a directory: something in it is to be sent, with which the server makes it */
    bool lacks;                 /* of a directory: something in it failed */
    bool large;                 /* goes by itself: it is too large for a pipeline, or cannot be verified in one */
    bool to_file, to_directory; /* where a link leads */
    bool coarse;                /* `modified` is whole seconds, or unknown where it is 0; `mode` is unknown */
    unsigned mode;
    uint64_t size;
    struct timespec modified;
    char *words; /* of a link its target, of a fault its reason; else NULL */
};

struct tree {
    struct tree_entry *items;
    size_t count, capacity;
    uint64_t bytes;
    char *prefix; /* what `full` begins with: the remote directory, "" or with a slash at its end */
    size_t prefix_length;
};

int tree_init(struct tree *tree, const char *prefix); /* 0 or -ENOMEM */
void tree_clear(struct tree *tree);
/* Adds a copy of `entry`, at `path` within the tree. 0, -ENOMEM, -E2BIG. */
int tree_add(struct tree *tree, const char *path, const struct tree_entry *entry, const char *words);
void tree_sort(struct tree *tree); /* by path: a directory before what is in it. The first of two of a path stays */
/* In a sorted tree. NULL: there is none. */
struct tree_entry *tree_find(const struct tree *tree, const char *path);
const char *tree_path(const struct tree *tree, const struct tree_entry *entry); /* within the tree */

/* tree_filter.c: marks what is left out. Names of --files-from that are not there are failures, told of. */
int tree_filter(struct command *command, struct tree *tree);
/* Whether rules take a path. `directory`: only what leaves out a whole directory counts. */
bool tree_rules_take(const struct arguments *arguments, const char *path, bool directory);

/*
 * tree_read.c: fills and sorts a tree. CLIENT_OK or a result that is not yet told, with its sentence in `why`.
 */
int tree_read_remote(struct client *client, struct tree *tree, bool only_manifest, const char **why);
int tree_read_local(const struct store *root, struct tree *tree, char *why, size_t size);

/* tree_move.c: one move of a tree. */
struct tree_run {
    struct command *command;
    struct tree *tree;
    struct store *store; /* the local side */
    const char *local;   /* its name */
    const char *shown;   /* of the remote side */
    bool put;
    unsigned modes;      /* of what arrives: the permission bits that a file may get here */
    bool lacks;          /* something failed */
    const char *untaken; /* what the server does not take, in words; NULL: nothing */
    bool folders, links; /* the server takes them */
    struct timespec started;

    pthread_mutex_t lock; /* for all below, and for telling */
    atomic_size_t next;
    atomic_bool no_digests;    /* the server gives none, and each file is to be verified */
    struct tree_entry **small; /* what the lanes move */
    size_t small_count;
    uint64_t moved_bytes, total_bytes;
    uint64_t moved, skipped, failed;
    int last_result; /* of tree_run_one() */
    struct progress progress;
    double shown_at;
    double flushed_at; /* what is told of files */
    bool unflushed;
    double resident_at; /* when it was looked for */
    long resident_kib;
    char session[200]; /* version, suite, and who encrypts, of the last file of a lane, or by itself */
};

int tree_run_begin(struct tree_run *run); /* CLIENT_OK, or told of */
/* All of `small`, over so many lanes that each has `per_lane` or more of them. */
#define TREE_FILES_PER_LANE 16 /* fewer are not worth another handshake */
#define TREE_FOLDERS_PER_LANE 256
void tree_run_lanes(struct tree_run *run, struct client *client, size_t per_lane);
void tree_run_small(struct tree_run *run, struct tree_entry *entry); /* it goes in a lane */
/* Notes that a file is to be moved: in a lane, or where it is large or must be watched, by itself. */
void tree_run_plan(struct tree_run *run, struct client *client, struct tree_entry *entry);
/* Whether the local file has the digest of the remote one. */
bool tree_same_digest(const struct tree_run *run, struct client *client, const struct tree_entry *entry);

/* tree_tell.c. Whatever takes the run's lock here must not be called under it. */
void tree_run_moved(struct tree_run *run, const struct tree_entry *entry, const struct client_transfer *transfer);
void tree_run_failed(struct tree_run *run, const struct tree_entry *entry, int result, const char *why,
                     const struct client_transfer *transfer); /* NULL: none was begun */
void tree_run_skipped(struct tree_run *run);
/* A link that was not to replace anything met something of its name. */
void tree_run_taken(struct tree_run *run, const struct tree_entry *entry);
void tree_run_one(struct tree_run *run, int result); /* a file was moved by itself, with that result, and told of */
void tree_run_would(struct tree_run *run, const struct tree_entry *entry);        /* --dry-run */
char *tree_run_local(const struct tree_run *run, const struct tree_entry *entry); /* for free() */
void tree_run_end(struct tree_run *run);                                          /* the summary */
double tree_seconds_since(const struct timespec *start);                          /* of CLOCK_MONOTONIC */
/* Under the run's lock: tree_run_moved() for many at once; what waits to be printed; the summary's last phrases. */
void tree_run_count(struct tree_run *run, const struct tree_entry *entry, const struct client_transfer *transfer);
void tree_run_flush(struct tree_run *run);
void tree_run_note(struct tree_run *run, const struct client_transfer *transfer);

/* tree_load.c: fills `load` with what the entry is now, or was found to be. 0 or -errno; -EFBIG: it goes by itself. */
int tree_load(struct tree_run *run, const struct tree_entry *entry, struct pipeline_load *load);
bool tree_sends_link(const struct tree_run *run, const struct tree_entry *entry); /* it goes as a link */

/* A whole tree. `path`: "" or with a slash at its end; `local` is there, or is made by get. */
/* False: with `or_file`, there is no such directory, which was not told. */
bool tree_get(struct command *command, const struct remote *server, const char *path, const char *local, bool or_file);
void tree_put(struct command *command, const struct remote *server, const char *local, const char *path);

#endif
