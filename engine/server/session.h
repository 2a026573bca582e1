/*
 * Private to engine/server: one connection, from accept to close. It belongs to its worker, and is touched by no other.
 */
#ifndef SLUICE_SERVER_SESSION_H
#define SLUICE_SERVER_SESSION_H

#include <netinet/in.h>

#include "engine/digest/digest.h"
#include "engine/http/http.h"
#include "engine/server/worker.h"
#include "ktls/channel.h"

struct digest_front;
struct folder;
struct manifest;
struct message;
struct part; /* partial.c */
struct session_ask;

/*
 * A session is a machine of steps. A step does what can be done at once and says what comes next: call the step that
 * stands in `step` again, or wait for the one thing it has started (an operation, a job, a pump), or nothing more: the
 * session is gone.
 */
enum flow { FLOW_GO, FLOW_WAIT, FLOW_GONE };
enum session_wait { WAIT_NOTHING, WAIT_OP, WAIT_JOB, WAIT_PUMP };

#define SESSION_IN_SIZE (16 * 1024)
#define SESSION_OUT_SIZE 4096  /* of a head */
#define SESSION_PATH_SIZE 4096 /* as PATH_MAX: longer ones cannot be opened */
#define LOGIN_MARK_SIZE 32

struct session {
    struct worker *worker;
    struct epoch *epoch; /* held */
    const struct service *service;
    struct session *next, *previous;
    struct ring_task move; /* to another worker */
    bool is_long;          /* the body under way is counted among the worker's long ones */
    bool expects_digest;   /* it is to be asked for when the body begins */
    int fd;
    struct channel *channel;
    struct in6_addr address;
    char peer[INET6_ADDRSTRLEN + 8];

    enum flow (*step)(struct session *session);
    enum session_wait waiting;
    struct ring_op op;
    struct job job;
    struct pump pump;
    int result; /* of what was waited for: an operation's, a pump's, or what a job's run() left here */
    bool ending;
    uint64_t deadline;                             /* milliseconds of the monotonic clock; 0: none */
    enum flow (*overdue)(struct session *session); /* the step that is taken when it passes */
    bool is_overdue;
    unsigned handshake_left; /* milliseconds of handshake_timeout, while a job does its next step */
    uint64_t moved_seen;     /* of the pump, at the last tick */
    size_t lingered;         /* bytes read and dropped while the peer finishes */

    struct http_reader *reader;
    char *in; /* bytes read but not yet used; NULL while there are none */
    size_t in_start, in_end;
    struct http_writer out;
    char *out_bytes;
    size_t out_sent, out_room; /* of what `out_bytes` has */
    size_t held;               /* bytes of answers that wait in the channel for those behind them */
    enum flow (*after_send)(struct session *session);
    unsigned requests;
    unsigned quiet_ticks; /* without a request */
    unsigned turns;       /* requests answered without a pause */
    bool close_after;     /* this request is the last one */
    bool opened;          /* the handshake is done */
    bool hastened;        /* OpenSSL's record layer was left, or will not be */

    /* who it is: identify.c */
    struct gate_identity identity; /* where `identified` */
    bool identified, login_salted;
    bool known_bare, asks_bare;           /* without an Authorization: `identity` was found, the request in hand came */
    unsigned rights;                      /* of enum in gate.h */
    const struct config_partner *checked; /* whose additional checks this session has passed */
    struct store *home;                   /* all that this visitor sees; NULL: the service's store */
    const char *home_path;                /* the model's */
    struct gate_login *login;             /* while it is verified; NULL: none */
    uint8_t login_salt[16];
    uint8_t mark_known[LOGIN_MARK_SIZE];  /* of the Authorization that `identity` was found by */
    uint8_t mark_held[LOGIN_MARK_SIZE];   /* of the last one whose password was verified */
    uint8_t mark_asking[LOGIN_MARK_SIZE]; /* of that of the request in hand */

    /* the request in hand */
    const struct http_head *request;
    char *path; /* decoded and checked; NULL between requests */
    size_t path_room;
    struct open_how how;
    unsigned status;
    uint64_t began; /* microseconds */
    int file;       /* what is served; -1: none */
    struct stat facts;
    struct http_range range;
    bool joined;                                        /* the body stands behind the head in `out` */
    char *data;                                         /* sparse.c: what is told of its holes; NULL: nothing */
    enum flow (*after_sparse)(struct session *session); /* what comes after looking for them */
    bool json;
    struct message *message;   /* in hand; NULL: none */
    struct folder *folder;     /* a directory or link in hand; NULL: none */
    struct manifest *manifest; /* while one is sent */
    struct store_upload upload;
    bool uploading;
    struct part *part;   /* of an upload that comes in parts; NULL: none */
    uint64_t base;       /* where in the file the body's first byte stands */
    uint64_t stored;     /* body bytes written to the file so far; the pump's come on top when it ends */
    char *whole;         /* or gathered here, where the file is small; NULL: it is not */
    uint64_t decoded;    /* body bytes that came out of the chunked coding; not all of them need be written yet */
    size_t piece, taken; /* of what stands in `in`: body bytes being written, and input bytes they were made of */
    bool body_ended;
    uint64_t rate;                  /* bytes per second that this body is held to; 0: none */
    atomic_uint *bodies;            /* where it is counted among its partner's; NULL: nowhere */
    char expected[STORE_ETAG_SIZE]; /* what a conditional PUT may replace; "": nothing */
    bool expects, created;
    bool kept;                           /* the store lets nothing be replaced, and there is something */
    unsigned number;                     /* the upload became path.number; 0: it did not */
    struct digest_set promised, digests; /* of the whole file: what the request says, and what we know */
    unsigned digest_wanted;              /* 1u << algorithm */
    struct session_ask *asking;          /* for a digest, while it is waited for; NULL: not */
    struct session_ask *expecting;       /* one that will be asked for once the body is out; NULL: none */
    enum flow (*after_digest)(struct session *session);
    char aside[STORE_BAD_NAME_SIZE]; /* where a file was put that is not the one that was promised */
    uint64_t transfer;               /* its id in the catalog; 0: none yet */
    bool recorded;                   /* with how it ended */
    unsigned failure; /* the status that a failed upload is answered with; 0: the connection is broken off */
    const char *failure_why;
};

/* open.c: from accept to the first request. */
void session_begin(struct worker *worker, const struct service *service, int fd);

/* session.c */
void session_run(struct session *session);
void session_resume(struct session *session, int result); /* what it waited for has come */
void session_tick(struct session *session, uint64_t now);
void session_drain(struct session *session); /* the server stops: end when idle */
void session_end(struct session *session);   /* at once */
uint64_t session_clock(void);                /* milliseconds, monotonic */

/* Waiting: set session->step to what comes after, then return one of these. */
enum flow session_wait_socket(struct session *session);
enum flow session_wait_events(struct session *session, short events); /* on the socket, where there is no channel */
enum flow session_wait_op(struct session *session);                   /* session->op has been started */
void session_op_done(struct ring_op *op, int result, unsigned flags); /* the usual end of session->op */
enum flow session_wait_job(struct session *session, struct jobs *jobs, void (*run)(struct job *job));
/* Answers that were held back for the next ones go out, as far as they can. 0, -EAGAIN or -errno. */
int session_let_go(struct session *session);
enum flow session_wait_pump(struct session *session); /* perhaps on another worker, who goes on with `step` */
void session_start_pump(struct session *session);
struct session *session_of_job(struct job *job);

/* While a pump moves bytes its deadline moves with them. 0 milliseconds: no deadline. */
void session_set_deadline(struct session *session, unsigned milliseconds, enum flow (*overdue)(struct session *));

/* Begins an answer in session->out. -ENOMEM: there is no memory for it. */
int session_out_begin(struct session *session);
/* Sends what stands in session->out, then goes on with `then`. */
enum flow session_send(struct session *session, enum flow (*then)(struct session *session));
enum flow session_next(struct session *session);   /* this request is answered: the next one, or close */
enum flow session_close(struct session *session);  /* in good order */
enum flow session_linger(struct session *session); /* our last word is out: the peer has a moment to hear it */
enum flow
session_abort(struct session *session); /* without close_notify, so that the peer knows that something is missing */

/* Says, as an event, why the channel failed outside of a transfer, or that its keys were what ended it. */
void session_tell_failure(struct session *session, int rc);

/* Reads into session->in: bytes > 0, 0 at a clean end, -errno. */
ssize_t session_read(struct session *session);

/* What the visitor sees of the store. */
static inline const struct store *session_store(const struct session *session)
{
    return session->home ? session->home : session->service->store;
}

#endif
