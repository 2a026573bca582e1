/*
 * Shared by the files of this folder.
 *
 *     wait.c      running the ring until something has happened, with a limit and an interrupt
 *     resolve.c   names to addresses
 *     connect.c   a channel to the first address that answers, and its end
 *     login.c     the name and password that go with each request
 *     rate.c      how fast bodies may move
 *     exchange.c  request head out, response head in
 *     body.c      a response's body
 *     get.c  put.c  list.c
 *
 * Below the public calls, functions return 0, an enum client_result with its sentence already set by client_fail(), or,
 * where the caller knows better what to say, -errno: ETIMEDOUT and EINTR (interrupted) come from waiting.
 */
#ifndef SLUICE_CLIENT_INTERNAL_H
#define SLUICE_CLIENT_INTERNAL_H

#include <time.h>

#include "engine/client/client.h"
#include "engine/http/http.h"
#include "engine/pump/pump.h"
#include "engine/ring/jobs.h"
#include "ktls/channel.h"

#define CLIENT_HEAD_LIMIT 65536
#define CLIENT_INBOX_SIZE (256u << 10)
#define CLIENT_LISTING_LIMIT (16u << 20) /* bytes of one directory's listing */
#define CLIENT_WHY_SIZE 256
#define CLIENT_LOGIN_SIZE 520 /* a name of 127 bytes, a colon, a password of 255, in base64 */

/* An operation whose end is only noted. */
struct client_op {
    struct ring_op op;
    struct client *client;
    bool busy;
    int result;
};

struct client {
    struct client_options options;
    struct tls_context *context;
    struct ring *ring;
    struct jobs *jobs;
    struct pump_pool *pool;
    struct http_reader *reader;
    struct client_op interrupt, stop;
    int stop_fd;                   /* of client_heed_stop(); 0: none */
    bool interrupted;              /* by either */
    bool cut_short;                /* what the pump has moved is enough: it ends with -EALREADY */
    char login[CLIENT_LOGIN_SIZE]; /* "": none is sent */
    client_progress *progress;
    void *progress_argument;

    /* The connection. */
    const struct config_address *prefer; /* tried first, and then those behind it; NULL: the first of all */
    bool (*may_use)(void *argument, const struct config_address *address); /* NULL: all of them */
    void *may_use_argument;
    struct channel *channel; /* NULL: none */
    const struct config_address *address;
    char peer[300]; /* the address, as "host:port" */
    bool used;      /* an exchange was completed on it before this one */
    bool keep;      /* it may serve another request after this one */
    char *inbox;    /* CLIENT_INBOX_SIZE bytes read but not yet made sense of: from `taken` to `filled` */
    size_t taken, filled;

    /* The exchange. */
    bool began;     /* a byte of the answer came */
    bool resent;    /* the last exchange began on a connection that was gone, and took a second one */
    bool answered;  /* the final head is in the reader */
    bool continued; /* 100 Continue came */
    unsigned interim;
    bool to_head; /* what is awaited is the answer to a HEAD: it has no body */

    struct client_transfer last;
    char *remote, *local; /* of `last` */
    struct timespec started;
    char why[2][CLIENT_WHY_SIZE]; /* by enum channel_way */
    char version[16], suite[64], path[CLIENT_PATH_SIZE], limited_by[96];
    char subject[256], authentication[24];
    uint64_t rate; /* bytes per second on this connection; 0: no limit */
    char skipped[96];
    struct put_look *look; /* of the last client_put(); NULL: none */
    unsigned number;       /* the file became NAME.number; 0: NAME */
    bool numbers;          /* the server was seen to give such names itself */
    char seen[256];        /* what a PUT may replace: a strong tag, "*" for nothing, "" for what cannot be told */
    char refused[256];     /* the same, of a PUT that was refused because it is not what is there */
    struct verify *verify; /* computes a digest of what is received, from its first byte, or sent; NULL: nobody does */
    char digest[DIGEST_HEX_SIZE + 16], unverified[CLIENT_WHY_SIZE];
    char note[CLIENT_WHY_SIZE];
    struct client_stream *stream_list;
    char reason[1024];
};

/* wait.c */
uint64_t client_now(void); /* milliseconds */
void client_op_poll(struct client *client, struct client_op *op, int fd, short events);
void client_op_timer(struct client *client, struct client_op *op, unsigned milliseconds);
void client_op_connect(struct client *client, struct client_op *op, int fd, const struct sockaddr *address,
                       socklen_t length);
/* Once `fd` is readable every call ends soon, as with `interrupt_fd`. 0: no longer, and that was no interrupt. */
void client_heed_stop(struct client *client, int fd);
int client_turn(struct client *client); /* returns after at least one operation ended; 0 or -errno */
void client_settle(struct client *client, struct client_op *op); /* cancels it and waits until it has ended */
/* 0 when one of `events` is there, -ETIMEDOUT, -EINTR, or -errno. */
int client_wait(struct client *client, int fd, short events, unsigned milliseconds);
int client_wait_op(struct client *client, struct client_op *op, unsigned milliseconds);
int client_wait_channel(struct client *client, uint64_t deadline); /* for channel_events() */
void client_job(struct client *client, void (*work)(void *argument), void *argument);
/* All bytes, at `offset` where the file has such a thing. 0 or -errno. */
int client_write(struct client *client, int fd, const char *bytes, size_t length, uint64_t offset);
/* A pump, and what is told of it while it runs. The caller fills the pump's direction, file, length and filter. */
struct client_pump {
    struct pump pump;
    uint64_t before, total; /* bytes of this body that went another way before; bytes in all, or UINT64_MAX */
    bool listen;            /* for the answer; its coming ends the pump with -ECANCELED */

    /* private to wait.c */
    struct client *client;
    bool ended;
    int result, why;
    uint64_t seen, seen_at;
};
/* Runs it to its end. Returns the pump's result; -ETIMEDOUT where it stood still, -EINTR; an error of client_hear(). */
int client_run_pump(struct client *client, struct client_pump *run);

/* resolve.c */
struct addrinfo;
/* Fills *list, for freeaddrinfo(). 0, -ETIMEDOUT, -EINTR, or -errno with the sentence in `why`. */
int client_resolve(struct client *client, const struct config_address *address, struct addrinfo **list, char *why,
                   size_t size);

/* connect.c */
int client_open(struct client *client); /* a channel that is ready for a request */
void client_end(struct client *client); /* in good order */
void client_break(struct client *client);
void client_address(struct client *client, const struct config_address *address);

/* login.c */
int client_login_load(struct client *client, struct config_errors *errors); /* 0 or a result, with reasons */
/* What follows "Basic " on this connection. NULL: none, or the server is not verified. */
const char *client_login(const struct client *client);
const char *client_login_remedy(const struct client *client); /* of a 401 */
void client_login_wipe(struct client *client);

/* rate.c */
void client_limit(struct client *client, unsigned streams); /* this one's share of the limit, of so many streams */
void client_rate_write(const struct client *client, const char *method, struct http_writer *writer);
uint64_t client_rate_begin(struct client *client, enum pump_way way); /* what a pump is held to; 0: nothing */

/* exchange.c */
struct client_request {
    const char *method;
    const char *remote;
    const char *accept; /* or NULL */
    const char *fields; /* further field lines, each with its line end; or NULL */
    uint64_t covers;    /* bytes that the server may have to read or sync before it answers, besides `length` */
    int file;           /* of the body */
    uint64_t offset;    /* in it */
    bool has_body;
    bool ask_first; /* Expect: 100-continue however short the body is */
    uint64_t length;
    /* Asked before the last byte of the body is sent: 0, or -errno, which ends it. Or NULL. */
    int (*still_right)(void *argument);
    void *still_right_argument;
    /* Field lines that depend on whom client->address is: called for each connection that is tried. Or NULL. */
    void (*write_fields)(void *argument, const struct client *client, struct http_writer *writer);
    void *fields_argument;
};
/* Sends it and reads the head of the answer, on a new connection where the old one turns out to be gone. */
int client_exchange(struct client *client, const struct client_request *request);
/* Takes in what has arrived of the answer's head. 0: look at `answered`; -EAGAIN; -errno. */
int client_hear(struct client *client);
/* Waits for the final head, or with `or_continue` for 100 Continue too. 0 or -errno. */
int client_answer(struct client *client, uint64_t deadline, bool or_continue);
/* A request's head, as it goes on the wire. 0 or -ENAMETOOLONG. */
int client_write_head(struct client *client, const struct client_request *request, bool expect,
                      struct http_writer *writer);
/* Makes an answer with another status than was hoped for into a result. */
int client_judge(struct client *client);
/* The same, and reads its body away. */
int client_unwelcome(struct client *client);
/* Reads the answer's body away, so that the connection may serve the next request; where that is too much, or fails,
 * it is not kept. */
void client_discard(struct client *client);

/* put.c: 0, -errno or an enum client_result */
int client_send_body(struct client *client, const struct client_request *request);

/* body.c */
/* 0, -errno or an enum client_result. `offset` as for client_write(). */
int client_body_to_file(struct client *client, int fd, uint64_t offset);
/* Into memory, at most `limit` bytes (else -EFBIG). *bytes is for free(); may be NULL where *length is 0. */
int client_body_to_memory(struct client *client, size_t limit, char **bytes, size_t *length);
/* Piece by piece to somebody who returns 0 to go on; else that is the result and the connection is not kept. */
typedef int client_sink(void *argument, const char *bytes, size_t length);
int client_body_to_sink(struct client *client, client_sink *sink, void *argument);

/* compare.c */
/* Of the first `size` bytes of a local file. 0, -EINTR (interrupted), or -errno. */
int client_digest(struct client *client, int fd, uint64_t size, unsigned algorithms, struct digest_set *set);

/* client.c */
int client_fail(struct client *client, int result, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* A sentence about `error` from the channel or from waiting, `doing` something: "while sending the request". */
int client_fail_channel(struct client *client, int error, const char *doing);
/* The same about the local file: "writing", "reading". */
int client_fail_local(struct client *client, const char *doing, int error);
/*
 * Another client for the same server, on a thread of its own: TLS context and sessions are those of `first`, which must
 * live longer; addresses are tried from `prefer` on (NULL: from the first). To be made and freed on its own thread. Its
 * interrupts are those of `first`. 0 or -errno.
 */
int client_new_beside(struct client **client, struct client *first, const struct config_address *prefer);
int client_begin(struct client *client, const char *direction, const char *remote, const char *local);
int client_finish(struct client *client, int result);                  /* fills what of `last` is known at the end */
void client_note_session(struct client *client);                       /* who encrypts, and why, as it is now */
void client_note_path(struct client *client, const struct pump *pump); /* NULL: by hand, through channel_read() */
void client_show(struct client *client, const struct pump *pump, uint64_t before, uint64_t total);
/* Bytes of a peer or a file's name as printable() has them, as many as fit (17 bytes and more). Returns `out`. */
const char *client_escape(const char *text, char *out, size_t size);

#endif
