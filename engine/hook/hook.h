/*
 * Hooks: programs that the configuration wants run after transfers ([hook NAME]).
 *
 * One thread starts them, watches them and ends those that take too long; whoever reports a transfer only leaves the
 * facts in a bounded queue. A hook can fail in any way without the transfer noticing:
 *     H01I  a hook has run: its output
 *     H01W  a hook failed: its exit status, the signal that ended it, its time was over, it could not be started
 *     H02W  a hook was not run: too many wait, or the server stops. Who has the most waiting gives way
 *
 * A program is started with execve(2), by no shell, in a session of its own, with a clean environment, /dev/null as
 * its input and none of our descriptors, signal masks or handlers. What it leaves running in its process group ends
 * with it.
 */
#ifndef SLUICE_HOOK_H
#define SLUICE_HOOK_H

#include <stdint.h>

#include "config/model.h"
#include "engine/event/event.h"

#define HOOKS_WAITING_MAX 1000
#define HOOKS_RUNNING_MAX 64 /* of all hooks together */
#define HOOK_OUTPUT_MAX 1024 /* bytes of what a program prints that are kept: the last ones */
#define HOOK_KILL_AFTER 2000 /* milliseconds between SIGTERM and SIGKILL */
/* RLIMIT_NOFILE of a program, from a moment after its start: ours is far higher, which old ones cannot bear. */
#define HOOK_FILES_MAX 1024

struct hooks;

/* What a program is told in its environment. Strings: NULL where there is nothing to say. */
struct hook_facts {
    enum config_hook_event event;
    const char *id;        /* SLUICE_ID */
    const char *direction; /* SLUICE_DIRECTION: "in", "out", "delete" */
    const char *path;      /* SLUICE_PATH: on the wire, decoded; any bytes but NUL */
    const char *local;     /* SLUICE_LOCAL: absolute */
    const char *partner;   /* SLUICE_PARTNER */
    const char *user;      /* SLUICE_USER */
    const char *peer;      /* SLUICE_PEER: address and port */
    const char *protocol;  /* SLUICE_PROTOCOL */
    const char *store;     /* SLUICE_STORE */
    const char *reason;    /* SLUICE_REASON */
    const char *message;   /* SLUICE_MESSAGE: the text of a message */
    const char *range;     /* SLUICE_RANGE: "FIRST-LAST/SIZE": only these bytes were asked for */
    uint64_t offset;       /* SLUICE_OFFSET: of the first byte that was moved */
    uint64_t bytes;        /* SLUICE_BYTES: moved */
    unsigned status;       /* SLUICE_STATUS: of HTTP; 0: none */
};

/* Starts the thread. `log` is lent. 0 or -errno. */
int hooks_new(struct hooks **hooks, struct event_log *log);

/*
 * Ends: what runs and what waits has `grace` milliseconds, then the rest is killed, or left out (H02W). Nobody may call
 * hooks_run() any more. NULL is allowed.
 */
void hooks_free(struct hooks *hooks, unsigned grace);

/* Runs the model's hooks that want such an event. Any thread; waits for nothing and keeps neither model nor facts. */
void hooks_run(struct hooks *hooks, const struct config *config, const struct hook_facts *facts);

/* Adds an error for each hook whose program is no file that this process's user may execute. */
void hooks_check(const struct config *config, struct config_errors *errors);

const char *hook_event_word(enum config_hook_event event); /* "received" */

#endif
