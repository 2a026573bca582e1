/*
 * Private to engine/server: who holds what.
 *
 *     server   the pools, the addresses it listens on, the current epoch; made and freed by the owner's thread
 *     epoch    one model with all that was made of it; counted, never changed. A reload makes a new one
 *     service  one [protocol] that listens: its context and its store; part of an epoch
 *     worker   one thread, its ring, its pools, its listeners and its sessions; no other thread touches these
 *     session  one connection, from accept to close; belongs to its worker. It keeps the epoch it began with
 */
#ifndef SLUICE_SERVER_INTERNAL_H
#define SLUICE_SERVER_INTERNAL_H

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>

#include "engine/catalog/writer.h"
#include "engine/digest/digest.h"
#include "engine/gate/gate.h"
#include "engine/gate/guesses.h"
#include "engine/hook/hook.h"
#include "engine/http/http.h"
#include "engine/pump/pump.h"
#include "engine/ring/jobs.h"
#include "engine/server/server.h"
#include "engine/server/shelf.h"
#include "engine/store/store.h"
#include "ktls/channel.h"
#include "ktls/context.h"
#include "ktls/probe.h"

struct manifest;

struct service {
    struct epoch *epoch; /* whose part it is: lives no longer than that */
    const struct config_protocol *protocol;
    struct tls_context *context;
    struct store *store; /* the epoch's */
};

struct epoch {
    atomic_uint holders;
    const struct config *config;
    struct config *owned; /* the same, where it is freed with the epoch */
    struct gate *gate;
    struct tls_context **contexts; /* as config->profiles; NULL for client-profiles. For additional checks */
    struct store **stores;         /* as config->stores */
    struct service *services;
    size_t service_count;
    atomic_uint *bodies; /* under way, by partner: as config->partners */
};

/* For whom an epoch is made. */
struct epoch_making {
    struct event_log *log;                  /* NULL: none */
    const struct ktls_abilities *abilities; /* of this kernel; NULL: not asked for */
    const struct epoch *previous;           /* shares its stores where they are the same directory; NULL: none */
    bool serving;                           /* it must listen */
    bool starting;                          /* a server-profile that is unusable is P20F */
};

/* `config` is lent, until `owned` is set to it. NULL after at least one error was added. Its holder is the caller. */
struct epoch *epoch_new(const struct config *config, const struct epoch_making *making, struct config_errors *errors);
struct epoch *epoch_hold(struct epoch *epoch);
void epoch_drop(struct epoch *epoch); /* any thread; NULL is allowed */

/*
 * Whether this process's user may read the stores (errors) and write them (warnings): epoch_new() asks itself, but not
 * while that user is yet to be become. 0 or -EACCES.
 */
int epoch_check_stores(const struct epoch *epoch, struct config_errors *errors);

/* K01W for each service that OpenSSL will serve because the kernel cannot. */
void epoch_say_fallback(const struct epoch *epoch, const struct ktls_abilities *abilities, struct event_log *log);

/* What was made of a server-profile of the epoch's model: for tls_context_admit(). */
struct tls_context *epoch_context(const struct epoch *epoch, const struct config_profile *profile);

/* How many connections each address has, or the /64 of an IPv6 one. Any thread. */
struct peers;
int peers_new(struct peers **peers);
void peers_free(struct peers *peers);
bool peers_enter(struct peers *peers, const struct in6_addr *address,
                 unsigned limit); /* false: it has `limit` already */
void peers_leave(struct peers *peers, const struct in6_addr *address);
/* What counts as one: whoever has an address of IPv6 has all of its /64. */
struct in6_addr peers_part(const struct in6_addr *address);

struct listener {
    struct ring_op accept;
    struct ring_op pause; /* after an error that accepting again at once would only repeat */
    struct worker *worker;
    struct binding *binding;
    struct epoch *epoch; /* held: of those whom it accepts */
    const struct service *service;
    int fd; /* -1: closed */
    bool accepting, pausing, closing;
};

/* One address that is listened on, with a socket for each worker, who share its port (SO_REUSEPORT). */
struct binding {
    struct binding *next;
    char *protocol;                          /* for which it was bound */
    struct sockaddr_storage wanted, address; /* as the model has it (port 0: any), and as it is */
    socklen_t length;
    const struct service *service; /* in the server's epoch; NULL: it is no longer there */
    size_t index;                  /* in that protocol's listen list */
    struct listener *listeners;    /* by number of the worker, each that worker's own */
};

uint16_t binding_port(const struct binding *binding); /* host byte order */
void binding_free(struct binding *binding, unsigned workers);

/* What is to be listened on under a new epoch. */
struct plan {
    struct plan_item {
        struct binding *binding;
        const struct service *service;
        size_t index;
    } * items;
    size_t count;
    struct binding *fresh; /* those that the server does not have yet: bound, with nobody accepting */
};

/*
 * Finds the server's bindings again that an epoch asks for, and binds the others. 0, or -errno after the reasons were
 * added (but for -ENOMEM). Then one of the two: plan_adopt() makes the server's bindings those of the plan, which the
 * workers must be told; plan_drop() leaves all as it was.
 */
int plan_make(struct server *server, const struct epoch *epoch, struct plan *plan, struct config_errors *errors);
void plan_adopt(struct server *server, struct plan *plan);
void plan_drop(struct server *server, struct plan *plan);

/* What stays as it was at start, whatever a reload finds. */
struct lasting {
    unsigned workers, handshake_threads, file_threads;
    bool pin_workers;
    enum config_events events;
    enum config_events_to events_to;
    char *user, *group, *catalog;
};

struct server {
    struct server_options options;
    struct epoch *epoch;      /* the current one; the owner's thread: workers have it, too */
    struct binding *bindings; /* changed only while every worker is known not to look at them */
    struct lasting lasting;
    pthread_mutex_t swap_lock;
    pthread_cond_t swap_done;
    struct event_log *log;
    const struct ktls_sys *sys;
    struct ktls_abilities abilities;
    struct worker *workers;
    unsigned worker_count;
    unsigned workers_running;
    struct jobs *handshakes, *files;
    struct jobs *passwords; /* apart: a hash takes as long as dozens of handshakes, which it must not hold up */
    struct digests *digests;
    struct catalog_writer *catalog; /* NULL: nothing is recorded */
    struct peers *peers;
    struct guesses *guesses; /* failed logins; across epochs */
    struct uploads *uploads; /* those in parts; across epochs */
    mode_t umask;            /* this process's, which a mode that a client asks for is held to */
    struct hooks *hooks;
    struct messages *messages;
    atomic_uint connections;
    atomic_long limit_said; /* second in which the connection limit was last reported */
};

struct worker {
    struct server *server;
    unsigned number;
    int cpu; /* it is pinned to; or CPUS_NONE */
    pthread_t thread;
    struct ring *ring;
    struct pump_pool *pool;
    struct shelf shelf;
    bool knows_memory;
    dev_t memory; /* a file system that lives in memory, where known */
    struct epoch *epoch;      /* held: what new sessions get */
    struct session *sessions; /* doubly linked */
    struct ring_op tick, grace;
    struct ring_task stop, hurry, swap;
    unsigned grace_ms;
    unsigned closing;        /* listeners that a swap waits for */
    struct job look;         /* worker 0: for certificates that expire */
    struct epoch *looked_at; /* held while that runs */
    uint64_t look_due;
    atomic_uint bodies; /* long ones: under way here, or on their way here; handover.h */
    atomic_uint door;   /* sessions on their way here, and whether more may come */
    atomic_bool ended;  /* its ring does not run any more */
    bool asked;         /* to take an epoch over, and not there yet; under the server\'s swap_lock */
    bool stopping, ticking, in_grace, swapping;
    bool emptied; /* all sessions were told to end */
};

int worker_init(struct worker *worker, struct server *server, unsigned number);
void worker_clear(struct worker *worker);
int worker_start(struct worker *worker);
void worker_stop(struct worker *worker, unsigned grace); /* from another thread; then join */
void worker_hurry(struct worker *worker);                /* from another thread, while worker_stop() is waited for */
void worker_session_ended(struct worker *worker);
/* A session becomes the worker's, or ceases to be: then worker_session_ended(), unless another has it. */
void worker_take(struct worker *worker, struct session *session);
void worker_release(struct worker *worker, struct session *session);
/* From another thread: takes the server's epoch and bindings over, then server_swapped(). */
void worker_swap(struct worker *worker);
void server_swapped(struct worker *worker);
void worker_looked(struct worker *worker);
void server_say_bindings(const struct server *server);

/* expiry.c: S79W and S79E for the certificates that a model uses or trusts. Reads files. */
void expiry_say(struct event_log *log, const struct config *config);
void expiry_tick(struct worker *worker, uint64_t now); /* milliseconds: begins that where its time has come */

/* privileges.c: becomes the model's user and group, where it names them. 0, or -errno after the reason was added. */
int privileges_drop(const struct config_server *settings, struct config_errors *errors);
/* Whom the process becomes; both -1: it stays who it is, or there is nobody of that name. */
void privileges_whom(const struct config_server *settings, uid_t *user, gid_t *group);
int privileges_check(const struct config_server *settings, struct config_errors *errors); /* whether there are such */

/*
 * A session is a machine of steps. A step does what can be done at once and says what comes next: call the step that
 * stands in `step` again, or wait for the one thing it has started (an operation, a job, a pump), or nothing more: the
 * session is gone.
 */
struct part; /* partial.c */
struct uploads;
enum flow { FLOW_GO, FLOW_WAIT, FLOW_GONE };
enum session_wait { WAIT_NOTHING, WAIT_OP, WAIT_JOB, WAIT_PUMP };

#define SESSION_IN_SIZE (16 * 1024)
#define SESSION_OUT_SIZE 4096 /* of a head */
#define SESSION_PATH_SIZE 4096 /* as PATH_MAX: longer ones cannot be opened */
#define LOGIN_MARK_SIZE 32

struct session {
    struct worker *worker;
    struct epoch *epoch; /* held */
    const struct service *service;
    struct session *next, *previous;
    struct ring_task move; /* to another worker */
    bool is_long;          /* the body under way is counted among the worker's long ones */
    bool expects_digest;   /* while it moves: it is to be asked for again */
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
    enum flow (*after_send)(struct session *session);
    unsigned requests;
    unsigned quiet_ticks; /* without a request */
    unsigned turns;   /* requests answered without a pause */
    bool close_after; /* this request is the last one */
    bool opened;      /* the handshake is done */

    /* who it is: identify.c */
    struct gate_identity identity; /* where `identified` */
    bool identified, login_salted;
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
    struct open_how how;
    unsigned status;
    uint64_t began; /* microseconds */
    int file;       /* what is served; -1: none */
    struct stat facts;
    struct http_range range;
    bool joined; /* the body stands behind the head in `out` */
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

/* identify.c: who sends this request. Goes on with request_admitted(), or refuses. */
enum flow identify_begin(struct session *session);
void identify_visit(const struct session *session, struct gate_visit *visit);
void identify_release(struct session *session); /* lets go of what identifying this request took */
void identify_forget(struct session *session);  /* everything: the session ends */

/* request.c: from a whole head to the handler. */
enum flow request_begin(struct session *session);
enum flow request_admitted(struct session *session);
enum flow request_forbid(struct session *session, unsigned rights); /* 401 or 403: all of these are missing */
enum flow request_refuse(struct session *session, unsigned status,
                         const char *why); /* answers with an error and its reason */
/* The same, with something else for the log than for the peer. */
enum flow request_refuse_because(struct session *session, unsigned status, const char *say, const char *why);
enum flow request_done(struct session *session); /* answers with 204: there is no more to say */
/* Goes on with `then`, which reads the body, after 100 Continue where the peer waits for that (RFC 9110, 10.1.1). */
enum flow request_continue(struct session *session, enum flow (*then)(struct session *session));
uint64_t request_clock(void); /* microseconds, monotonic: as session->began */
bool request_has_body(const struct session *session);
void request_release(struct session *session); /* lets go of what the request holds */
void request_transferred(struct session *session, const char *direction, uint64_t bytes);
void request_failed(struct session *session, const char *direction, uint64_t bytes, const char *why);
void request_part_came(struct session *session, uint64_t bytes);                   /* T14I */
void request_part_ended(struct session *session, uint64_t bytes, const char *why); /* T14W */

/*
 * digest.c: digests that a request wants, or promises of the file it brings. Computed on threads of their own, one at a
 * time for each state of a file, and remembered.
 *
 * session_promised(): what the request in hand says of the whole file, into session->promised: Repr-Digest, and with
 * `content` Content-Digest, too. 0, or 400 where a field is malformed.
 * session_wait_arrival(): of a file that came and has no name yet, as promised; goes on with session->step;
 * session->result is 0 with session->digests filled, or -errno. The descriptor is open for reading. `front`: what is
 * computed already, which goes to it; or NULL.
 * session_digest_holds(): whether what was computed agrees with what was promised.
 */
unsigned session_promised(struct session *session, bool content);
struct digest_front;
enum flow session_wait_arrival(struct session *session, int fd, struct digest_front *front);
bool session_digest_holds(const struct session *session);
/*
 * session_seek_digest(): goes on with `then`, with session->digests filled where the request wants a digest of
 * session->file and it is known; for a HEAD it is computed where it is not, while the client is there.
 * session_write_digests(): what is known, as a field of the answer in session->out.
 */
enum flow session_seek_digest(struct session *session, enum flow (*then)(struct session *session));
void session_write_digests(struct session *session);
bool session_digest_unwanted(struct session *session);  /* now and then: it waits for one, and nobody waits for it */
void session_digest_release(struct session *session);   /* the session ends */
void session_digest_leaves(struct session *session);    /* for another worker: nothing will be heard of here any more */
void session_digest_arrived(struct session *session);   /* and what was asked for is asked for again */
void session_remember_digests(struct session *session); /* of an upload that has its name now: session->facts */
/* T11E: the file that came is not the one that was promised. `kept`: where it was set aside; NULL: it is gone. */
void session_tell_mismatch(struct session *session, const char *kept);

/* overwrite.c: an upload whose name is taken. */
int overwrite_judge(struct session *session, bool present); /* 0, or -EALREADY: it may not be replaced */
unsigned *overwrite_number(struct session *session);        /* for struct store_upload: where it may get another name */
void overwrite_named(struct session *session);              /* it has its name: session->path becomes that */
void overwrite_write_name(const struct session *session, struct http_writer *out);
void overwrite_write_kept(const struct session *session, unsigned status, struct http_writer *out); /* in a refusal */
bool overwrite_asked(const struct session *session); /* a HEAD that asks whether a name is free */
void overwrite_write_known(const struct session *session, struct http_writer *out); /* to a HEAD that asks */

/* rate.c: how fast bodies may move. Around each pump: */
void rate_begin(struct session *session);
void rate_tick(struct session *session);
void rate_end(struct session *session);           /* nothing moves any more */
void rate_count(struct session *session);         /* this request has a body, which takes its share */
uint64_t rate_announced(struct session *session); /* to a client that asked for a limit; 0: it did not */

bool rate_limits(const struct session *session);  /* whether a body of this request is held to one */

/*
 * small.c: a small body goes with its head. small_body_join(): true where session->out has it behind the head now;
 * small_body_sent() is then the step that follows, and small_body_failed() says what became of it where that does not
 * come.
 */
bool small_body_join(struct session *session);
enum flow small_body_sent(struct session *session);
void small_body_failed(struct session *session);

/* folder.c: a PUT with HTTP_TYPE, and the question whether there may be one. */
bool folder_is_asked_for(const struct http_head *request);
enum flow folder_tell(struct session *session);
enum flow folder_receive(struct session *session);
void folder_release(struct session *session);

/* message.c: messages, which stand in the catalog. */
int messages_new(struct messages **messages);
void messages_free(struct messages *messages);
bool message_is_meant(const struct http_head *request);
enum flow message_begin(struct session *session);
void message_release(struct session *session);

/* Who the other side is, as records and hooks have it; NULL: not known by that. */
const char *session_partner(const struct session *session);
const char *session_user(const struct session *session);

/* after.c: what the configuration wants done after a transfer. `why`: it failed. */
void after_message(const struct session *session, const char *id, const char *text, size_t length);
void after_transfer(const struct session *session, const char *direction, uint64_t bytes, const char *why);

/*
 * record.c: the catalog. record_open() as whoever the process is at start, record_start() as whom it has become; 0 or
 * -errno, the first after the reasons were added.
 */
int record_check(const struct config_server *settings, struct config_errors *errors);
int record_open(struct server *server, struct catalog **catalog, struct config_errors *errors);
int record_start(struct server *server, struct catalog *catalog); /* takes it over */
void record_stop(struct server *server);
void record_follow(struct server *server); /* after a reload */
void record_begin(struct session *session);
void record_tick(struct session *session); /* a transfer that takes long is recorded as running */
void record_ended(struct session *session, const char *direction, uint64_t bytes, const char *event, const char *why);
void record_refused(struct session *session, unsigned status, const char *why);
void record_release(struct session *session);

/* send.c, receive.c, delete.c, listing.c, manifest.c: the handlers. */
enum flow send_begin(struct session *session);
enum flow receive_begin(struct session *session);
enum flow delete_begin(struct session *session);
/*
 * receive.c, for uploads in parts: whether the request's conditions hold now (0, 412 or -errno); its body, into
 * session->upload.fd from session->base on; what a file gets before its name; the answer once it has it.
 */
int receive_conditions(struct session *session);
enum flow receive_body(struct session *session);
void receive_dress(struct session *session, int fd);
enum flow receive_answer(struct session *session);
#define RECEIVE_OTHER_DIGEST "what arrived is not what was sent: the digests differ, and the file did not get its name"
/* The status for an upload or a deletion that failed with -errno, or with 412, and its reason. */
unsigned receive_status(int rc, const char **why);
/*
 * sparse.c: goes on with `then`, with session->range the first run of data and session->data set, where the file has
 * holes and the peer can leave them out. sparse_write(): that, as a field of the answer in session->out.
 */
enum flow sparse_seek(struct session *session, enum flow (*then)(struct session *session));
void sparse_write(struct session *session);
void listing_make(struct job *job); /* session->file, a directory, becomes a memory file with its listing */
enum flow manifest_begin(struct session *session); /* all beneath session->path, as it is found */
void manifest_free(struct manifest *manifest);     /* NULL is allowed */

#endif
