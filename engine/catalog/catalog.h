/*
 * The catalog: what was transferred, is being transferred, and waits to be. One SQLite file (WAL), which several
 * processes may use at once.
 *
 * A `struct catalog` is one connection to that file and belongs to one thread at a time. Its calls wait for the disk,
 * and up to CATALOG_PATIENCE for other processes: whoever moves bytes uses engine/catalog/writer.h instead, where
 * nobody waits.
 *
 * Times are microseconds since 1970. Names are any bytes but NUL: escape them before printing. Errors are -errno:
 *     -ENOENT       there is no such file (it is only made for CATALOG_WRITE), or no such transfer
 *     -EBUSY        another process keeps the file locked; or a transfer is in a state that does not allow this
 *     -EUCLEAN      the file is damaged, or no SQLite file: catalog_set_aside()
 *     -EMEDIUMTYPE  an SQLite file of something else, or of a newer Sluice
 *     -ENOSPC, -EIO, -EACCES, -EROFS, -ENOMEM
 *
 * The schema is in schema.c. What else keeps rows of its own beside a transfer's does so in this folder, through
 * catalog_internal.h:
 *     job      id, due (when to try next), request (bytes that say what to do): a transfer that is queued. One whose
 *              process died while it was running is waiting again at the next open; without a job it has failed.
 *     seen     watch, path, mark, id: files of watched folders that were queued, as they were then
 *     message  id, body: the text of a transfer whose kind is CATALOG_MESSAGE
 *     inbox    id, sender, given, unread: of those that came, who sent them, and what the sender calls them
 */
#ifndef SLUICE_CATALOG_H
#define SLUICE_CATALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define CATALOG_PATIENCE 2000    /* milliseconds */
#define CATALOG_WHY_SIZE 4608    /* a sentence about a failure, with a path */
#define CATALOG_ID_SIZE 14       /* of an id as text, with its NUL */
#define CATALOG_MESSAGE_MAX 4096 /* bytes of one message */
#define CATALOG_STREAMS_MAX 256  /* of one transfer; of more, only the sum is kept */

/* Numbers and words are in the file and in --json: stable. */
enum catalog_state {
    CATALOG_WAITING, /* for its time, or its turn */
    CATALOG_RUNNING,
    CATALOG_HELD, /* by an operator, until it is released */
    CATALOG_DONE,
    CATALOG_FAILED,
    CATALOG_CANCELLED,
    CATALOG_ACKNOWLEDGED, /* done, and whoever received it said so */
    CATALOG_STATES
};
#define CATALOG_STATE_BIT(state) (1u << (state))

enum catalog_direction { CATALOG_IN, CATALOG_OUT, CATALOG_DIRECTIONS };
enum catalog_kind { CATALOG_FILE, CATALOG_MESSAGE, CATALOG_TREE, CATALOG_KINDS }; /* a tree: a directory, whole */
enum catalog_role { CATALOG_SERVER, CATALOG_CLIENT, CATALOG_ROLES };              /* who we were: asked, or asking */

const char *catalog_state_word(enum catalog_state state); /* "waiting" */
const char *catalog_direction_word(enum catalog_direction direction);
const char *catalog_kind_word(enum catalog_kind kind);
const char *catalog_role_word(enum catalog_role role);
int catalog_state_parse(const char *word, enum catalog_state *state); /* 0 or -EINVAL */
int catalog_direction_parse(const char *word, enum catalog_direction *direction);

/*
 * Ids grow with time: the microsecond in which they were made, and a few bits that differ from process to process. As
 * text: 13 digits and lower-case letters that nobody confuses (Crockford's base 32), which sort as the numbers do.
 */
void catalog_id_print(uint64_t id, char text[CATALOG_ID_SIZE]);
int catalog_id_parse(const char *text, uint64_t *id); /* 0 or -EINVAL */

#define CATALOG_UNKNOWN UINT64_MAX

/* One transfer or message. Strings: NULL or "" where there is nothing to say. */
struct catalog_record {
    uint64_t id; /* 0: not given yet */
    enum catalog_state state;
    enum catalog_direction direction;
    enum catalog_kind kind;
    enum catalog_role role;
    const char *partner;     /* NULL: no partner of the configuration */
    const char *remote;      /* the path on the wire, decoded; a message's first line */
    const char *local;       /* the local file; NULL on the server, where `remote` says it */
    uint64_t size;           /* of the whole file; CATALOG_UNKNOWN */
    uint64_t offset;         /* of the first byte that was asked for */
    uint64_t bytes;          /* moved so far; of one that runs, with those of earlier tries that need not be again */
    uint64_t rate;           /* bytes per second now, of a queued one that runs, else CATALOG_UNKNOWN; only read */
    const char *digest;      /* "sha-256:HEX", of the whole file, where it was verified */
    uint64_t queued;         /* 0: taken from the id */
    uint64_t begun, ended;   /* 0: not yet */
    unsigned retries;        /* tries after the first */
    unsigned status;         /* of HTTP; 0: none */
    int code;                /* enum client_result; 0 */
    const char *event;       /* the id of the last event about it: "T01I" */
    const char *reason;      /* why it failed, is held, ...; one sentence */
    const uint64_t *streams; /* bytes of each stream */
    size_t stream_count;     /* 0: one, which moved `bytes` */
    const void *message;     /* kind CATALOG_MESSAGE: its text, any bytes */
    size_t message_length;   /* at most CATALOG_MESSAGE_MAX */

    /* What many transfers have in common. */
    const char *user;     /* of the server, by name; NULL: anonymous, or we are the client */
    const char *peer;     /* its address and port */
    const char *protocol; /* [protocol] of the server */
    const char *pump;     /* the data path: "splice", "recv", "user", "none" */
    const char *tx, *rx;  /* who encrypted in each direction, and why: channel_why() */
    const char *version, *suite;
    const char *authentication; /* "none", "server", "client", "mutual", with "+password" where one was given */
    const char *subject;        /* of the peer's certificate */
    bool resumed;               /* the TLS session */
};

struct catalog;

enum catalog_use { CATALOG_READ, CATALOG_WRITE };

/*
 * Opens the file; for CATALOG_WRITE it is made where there is none (0600), and what a process that is gone left running
 * is marked. 0, or -errno with a sentence in `why` that names the file and the remedy.
 */
int catalog_open(struct catalog **catalog, const char *file, enum catalog_use use, char why[CATALOG_WHY_SIZE]);
void catalog_close(struct catalog *catalog);               /* NULL is allowed */
const char *catalog_reason(const struct catalog *catalog); /* a sentence about the last call that failed */

/*
 * Makes the file, or takes care of the one that is there, for somebody else than us: both ids are to be -1 where it is
 * for ourselves. Only root can give it away. Before catalog_open(). 0 or -errno with the sentence.
 */
int catalog_prepare(const char *file, uid_t user, gid_t group, char why[CATALOG_WHY_SIZE]);

/*
 * Renames a file that is damaged, with what belongs to it, to FILE.damaged-TIME. 0 with that name in `aside`; -ESTALE:
 * another process has done it already; else -errno.
 */
int catalog_set_aside(const char *file, ino_t damaged, char *aside, size_t size);
ino_t catalog_inode(const struct catalog *catalog); /* of the file as it was opened */
/* False: somebody has moved or removed the file, and what is written to it now nobody would find. */
bool catalog_is_current(const struct catalog *catalog);

/* Writes all of a record: a new row, or over this process's own or a waiting one. An id of 0 is given one. */
int catalog_put(struct catalog *catalog, struct catalog_record *record);

/* Several calls as one, all or nothing. */
int catalog_begin(struct catalog *catalog);
int catalog_commit(struct catalog *catalog);
void catalog_rollback(struct catalog *catalog);

/*
 * From one of the states in `from` (CATALOG_STATE_BIT) to another, with the event and reason that go with it (NULL:
 * they stay). To CATALOG_RUNNING: this process is who runs it now, and `begun` is now; to a state in which nothing
 * happens any more: `ended` is now. -ENOENT; -EBUSY: it is in another state, which is in *found (may be NULL).
 */
int catalog_change(struct catalog *catalog, uint64_t id, unsigned from, enum catalog_state to, const char *event,
                   const char *reason, enum catalog_state *found);

/* Called with each record, which lives until it returns. Non-zero ends the search, which returns it. */
typedef int catalog_visit(void *argument, const struct catalog_record *record);

/* All zeros: everything. */
struct catalog_filter {
    const char *partner;
    unsigned states;     /* bits; 0: any */
    unsigned directions; /* bits: 1u << CATALOG_IN; 0: any */
    unsigned kinds;      /* bits; 0: any */
    uint64_t since;      /* made at or after this time */
    uint64_t limit;      /* 0: none */
    bool oldest_first;   /* else the newest */
};

int catalog_find(struct catalog *catalog, const struct catalog_filter *filter, catalog_visit *visit, void *argument);
/* 0, -ENOENT, or what the visit returned. With message and streams. */
int catalog_show(struct catalog *catalog, uint64_t id, catalog_visit *visit, void *argument);

/*
 * Removes what ended before a time, a few thousand rows at once so that others get their turn. What waits, runs or is
 * held stays. *removed counts them, also where -errno is returned.
 */
int catalog_purge(struct catalog *catalog, uint64_t before, uint64_t *removed);

/* The same in steps, each of which is over in a moment: all zeros but `before`. 1: there is more to do; 0; -errno. */
struct catalog_purging {
    uint64_t before, removed;
    /* private */
    int stage;
    unsigned scans;
    uint64_t from, last;
    int64_t version;
};
int catalog_purge_step(struct catalog *catalog, struct catalog_purging *purging);

uint64_t catalog_now(void);

#endif
