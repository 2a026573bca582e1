/*
 * The queue: carries out the transfers that wait in the catalog, some at once for each partner, and tries those again
 * that may come right.
 *
 * One thread has the catalog; each transfer that runs has a thread of its own, which is a client like `sluice get`.
 * What another process does to the catalog (a transfer more, `sluice cancel`) is seen soon (engine/catalog/wake.h).
 * Where this process ends, however it does, what ran is waiting again at the next start. Q01I  a queued transfer is
 * done Q02W  a queued transfer failed, and will be tried again: when, and why it failed Q02E  a queued transfer failed,
 * and will not be tried again Q03W  the catalog cannot be used: nothing new is begun, and what ended is recorded as
 * soon as that is possible Q04I  a queued transfer was ended by an operator: held or cancelled
 */
#ifndef SLUICE_QUEUE_H
#define SLUICE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/catalog/catalog.h"
#include "engine/client/client.h"
#include "engine/hook/hook.h"

#define QUEUE_AGAIN_MS 500       /* until the next look where something is in the way, or all places are taken */
#define QUEUE_RUNNING_MAX 32     /* with all partners together */
#define QUEUE_PROGRESS_MS 5000   /* between two notes in the catalog of how far what runs has come */
#define QUEUE_FAST_MS 2000       /* between quick tries */
#define QUEUE_WAIT_MAX 86400000u /* milliseconds: no wait is longer */

struct queue;

/* A model that somebody else owns: `drop` is called once it is not used any more, from any thread. */
struct queue_model {
    const struct config *config;
    void (*drop)(void *holder);
    void *holder;
};

struct queue_tree;
struct queue_tree_end;

struct queue_options {
    const char *catalog;   /* the file; copied */
    struct event_log *log; /* lent */
    struct hooks *hooks;   /* lent; NULL: none are run */
    /* Moves a tree, on a thread of the queue's. NULL: trees are refused. */
    void (*move_tree)(const struct queue_tree *tree, struct queue_tree_end *end);
};

/* Starts the thread. Takes the model over, also where it fails. 0 or -errno. */
int queue_new(struct queue **queue, const struct queue_options *options, const struct queue_model *model);
/* From here on transfers begin under another model; those that run keep theirs. Takes it over. */
void queue_follow(struct queue *queue, const struct queue_model *model);
/* Interrupts what runs, which is waiting again then, and ends. NULL is allowed. */
void queue_free(struct queue *queue);

/* -- what to do, as it stands in a job ----------------------------------------------------------------------------- */

#define QUEUE_RULES_SIZE 2048
struct queue_request {
    enum client_verify verify;
    enum digest_algorithm digest;
    enum client_if_exists if_exists;
    unsigned streams;    /* 0: as the client finds best */
    uint64_t limit_rate; /* bytes per second; 0: the partner's */
    bool no_links;       /* what is to be sent is not sent where it is a symbolic link by then */

    /* Of a tree. */
    bool is_tree; /* this is known, and may be other than nought */
    enum queue_links { QUEUE_LINKS_FOLLOW, QUEUE_LINKS_SKIP, QUEUE_LINKS_KEEP } tree_links;
    bool checksum, exact_modes;
    bool or_file;                 /* what is fetched may turn out to be a file */
    size_t rules_length;          /* bytes of `rules` */
    char rules[QUEUE_RULES_SIZE]; /* each '+' (include) or '-', a glob of any bytes, and its NUL; the first decides */
};

#define QUEUE_REQUEST_SIZE 4096
/* As text: "key=value" in lines, so that an operator can read the file. Returns the length; 0: it is too long. */
size_t queue_request_print(const struct queue_request *request, char text[QUEUE_REQUEST_SIZE]);
/* 0, or -EINVAL: something else wrote it. */
int queue_request_parse(const char *text, size_t length, struct queue_request *request);

/* -- trees --------------------------------------------------------------------------------------------------------- */

/*
 * A tree is one transfer of the queue, however many files it has. Those that stand on both sides already are passed
 * over, so that each try moves what is missing.
 */
struct queue_tree {
    const struct config *config;
    struct event_log *log;
    const char *partner, *remote, *local;
    bool put;
    const struct queue_request *request;
    int interrupt;             /* once readable, it ends soon */
    client_progress *progress; /* of all that is to be moved; called from several threads, one at a time */
    void *progress_argument;
};

struct queue_tree_end {
    int result;      /* enum client_result. Of several failures one that may heal, or else CLIENT_PARTIAL */
    unsigned status; /* of HTTP, that belongs to it */
    uint64_t bytes;
    char reason[1024]; /* how many files came, and the first that did not, and why */
};

/* -- whether and when to try again --------------------------------------------------------------------------------- */

/* Whether what failed so may come right by itself: not authentication, checks, 4xx, digests, or a local file. */
bool queue_may_heal(int result, unsigned status);
/* After `retries` further tries. False: there shall be no more. *wait: milliseconds until the next. */
bool queue_retry(const struct config_partner *partner, unsigned retries, uint64_t *wait);

#endif
