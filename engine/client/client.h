/*
 * The client: fetches and sends files over a connection that is kept for as long as the server keeps it.
 *
 * A client belongs to one thread, which runs its ring inside each call. Calls return 0 or one of enum client_result,
 * and client_reason() has the sentence.
 */
#ifndef SLUICE_CLIENT_H
#define SLUICE_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/model.h"
#include "engine/digest/digest.h"
#include "engine/event/event.h"
#include "engine/ring/ring.h"
#include "ktls/sys.h"

struct client;

/* Also the exit codes of get, put and ls. Stable. */
enum client_result {
    CLIENT_OK = 0,
    CLIENT_FAILED = 1,       /* anything not listed here */
    CLIENT_USAGE = 2,        /* arguments */
    CLIENT_CONFIG = 3,       /* configuration, profile, offload = required without kTLS */
    CLIENT_CONNECT = 4,      /* no address of the partner answered */
    CLIENT_TLS = 5,          /* handshake: authentication, version, suite */
    CLIENT_REFUSED = 6,      /* the server answered 4xx */
    CLIENT_SERVER = 7,       /* the server answered 5xx, or not as HTTP demands */
    CLIENT_CUT = 8,          /* the connection broke or the body was cut short; nothing took its name */
    CLIENT_LOCAL = 9,        /* a local file: missing, no room, no permission */
    CLIENT_DIGEST = 10,      /* the file that arrived is not the one that was sent; it did not take its name */
    CLIENT_EXISTS = 11,      /* the target is there, and is to be left as it is */
    CLIENT_PARTIAL = 12,     /* of several files some failed; an exit code only */
    CLIENT_INTERRUPTED = 130 /* `interrupt_fd` became readable; nothing took its name */
};

/*
 * What becomes of a transfer whose target is there: it is replaced in one step, unless it is seen to be the same; it is
 * a failure; it is passed over; the file gets the first free name of NAME.1, NAME.2 and so on.
 */
enum client_if_exists {
    CLIENT_IF_EXISTS_REPLACE,
    CLIENT_IF_EXISTS_FAIL,
    CLIENT_IF_EXISTS_SKIP,
    CLIENT_IF_EXISTS_RENAME
};

/* What is verified with a digest: PUTs and what goes on with an earlier part; all, or else it is a failure; nothing. */
enum client_verify { CLIENT_VERIFY_USUAL, CLIENT_VERIFY_ALWAYS, CLIENT_VERIFY_NEVER };

struct client_options {
    const struct config_profile *profile;     /* role client; lent */
    const struct config_addresses *addresses; /* tried in order; lent */
    /*
     * A name, and a file whose first line is its password: sent with each request (RFC 7617), but only to a server that
     * was verified. Both NULL: none. Lent.
     */
    const char *login, *password_file;
    const struct config_section *section;   /* where those two stand, for messages; NULL: in no file; lent */
    struct event_log *log;                  /* NULL: none; lent */
    const struct ktls_sys *sys;             /* NULL: Linux */
    const struct ring_seam *seam;           /* NULL: none */
    unsigned connect_timeout, idle_timeout; /* milliseconds; 0: 10 s and 60 s. The first is for each address */
    int interrupt_fd;                       /* once readable, every call ends soon (a signalfd); 0: none */
    enum client_verify verify;
    enum digest_algorithm digest; /* to verify with */
    unsigned streams;             /* of one transfer; 0: chosen by size, cores and addresses; at most 64 */
    int retries;                  /* new connections in a row, where that of a large GET broke; 0: 5, negative: none */
    enum client_if_exists if_exists;
    uint64_t limit_rate;   /* bytes per second of a transfer, all its streams together; 0: no limit */
    const char *pump_path; /* that bodies are to take, by name (config_path_word()); NULL: the best. Lent */
    bool no_links;         /* a PUT of a symbolic link fails: where others may write, it could lead to any file */
};

#define CLIENT_PATH_SIZE 160

/* One connection's share of a transfer. */
struct client_stream {
    char peer[300]; /* whom it was connected to last */
    char path[CLIENT_PATH_SIZE];
    uint64_t bytes;
    unsigned retries;
};

/* What happened in one transfer. Strings live until the next call on the client. */
struct client_transfer {
    const char *direction; /* "get" or "put" */
    const char *remote, *local;
    uint64_t bytes;
    double seconds;
    unsigned status;     /* of HTTP; 0 where none came */
    const char *path;    /* of the pump, and why: "recv: many records at once"; "none" for an empty body */
    const char *tx, *rx; /* channel_why() of each direction as the body ended */
    const char *version, *suite;
    bool resumed;
    bool verified;                           /* the digest of our file is that of the server's */
    const char *digest;                      /* "sha-256:" and hex, of our file; "": was not computed */
    const char *unverified;                  /* why it is not verified; "" where it is */
    uint64_t resumed_bytes;                  /* that were here before; `bytes` does not count them */
    uint64_t hole_bytes;                     /* of holes, which were told of and not moved; nor does it count these */
    const char *note;                        /* what is not as one would expect: why one stream, why not resumed; "" */
    const struct client_stream *stream_list; /* `streams` of them, where it was moved in ranges; else none */
    unsigned streams, retries;
    const char *skipped;        /* why nothing was moved, and yet nothing failed; "" where something was */
    uint64_t limit;             /* bytes per second that the body was held to on this connection; 0: none */
    const char *peer;           /* whom it was with, address and port */
    const char *subject;        /* of the server's certificate */
    const char *authentication; /* "none", "server", "mutual", with "+password" where one was sent; "" */
    const char *limited_by; /* whom: "our kernel", "the server", "reading slowly", "nobody: ..."; "" without a limit */
};

typedef void client_progress(void *argument, uint64_t moved, uint64_t total /* UINT64_MAX: not known */,
                             const char *path);

/* Loads profile and login; connects only with the first call. 0 or a result, with reasons in `errors`. */
int client_new(struct client **client, const struct client_options *options, struct config_errors *errors);
void client_free(struct client *client);                                             /* NULL is allowed */
void client_watch(struct client *client, client_progress *progress, void *argument); /* about five times a second */

/*
 * Fetches remote path (not encoded, without leading slash) into a local file, which takes its name in one step when it
 * is complete and on disk; until then what stood there is untouched. A symbolic link of that name is replaced, not
 * followed. A file of 1 MiB or more, of a server that gives parts, comes over several streams where that pays, and what
 * came of it when the transfer failed stays beside it (NAME.part and NAME.part.journal): the next call goes on from
 * there, or starts over where the source has changed. What is neither a file nor a directory (/dev/null, a FIFO) is
 * written to as it is; CLIENT_USAGE where CLIENT_VERIFY_ALWAYS demands to verify that.
 */
int client_get(struct client *client, const char *remote, const char *local);
/*
 * Fetches into an open descriptor (standard output, a pipe), at its position: what arrives is written as it comes.
 * `local` is its name in messages. CLIENT_USAGE with CLIENT_VERIFY_ALWAYS: it cannot be verified.
 */
int client_get_fd(struct client *client, const char *remote, int fd, const char *local);
/* Sends a local file to a remote path. */
int client_put(struct client *client, const char *local, const char *remote);

/*
 * One directory, as JSON in the form of nginx's autoindex_format json. `visit` is called for each entry; non-zero ends
 * it. It must not call the client. `remote` may be "" for the root, and need not end in '/'.
 * No entry's name is empty, ".", ".." or holds a '/': a listing with such a name is refused as a whole, before `visit`.
 */
struct client_entry {
    const char *name;
    bool directory;
    uint64_t size;
    const char *modified; /* as the server wrote it */
};
typedef int client_visit(void *argument, const struct client_entry *entry);
int client_list(struct client *client, const char *remote, client_visit *visit, void *argument);

/*
 * Whether the server says that remote path has the bytes of an open file of `size` bytes (HEAD and Want-Repr-Digest,
 * RFC 9530). False, too, where it cannot be known.
 */
bool client_same(struct client *client, const char *remote, int fd, uint64_t size);

/*
 * Leaves a message of up to CLIENT_MESSAGE_MAX bytes of text with the server, which stores it before it answers; `id`
 * (64 bytes are enough) is what it is called there. And whether who it was for has acknowledged it since.
 *
 * `own`: what we call it, 1 to 64 letters, digits, '-', '_' and '.'; one that comes twice is stored once. NULL: a new
 * name, with which it is sent again where a connection broke, but not the next time.
 */
#define CLIENT_MESSAGE_MAX 4096
int client_message(struct client *client, const char *text, size_t length, const char *own, char *id, size_t size);
int client_message_state(struct client *client, const char *id, bool *acknowledged);

const struct client_transfer *client_last(const struct client *client);
const char *client_reason(const struct client *client); /* of the last result that was not CLIENT_OK; else "" */

#endif
