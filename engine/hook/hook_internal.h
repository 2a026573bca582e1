/*
 * Private to engine/hook:
 *     task.c    what is to be run: program, arguments, environment; made from the model and the facts, needs neither
 *     child.c   one program from its start to its end
 *     lanes.c   what waits
 *     hook.c    the thread
 */
#ifndef SLUICE_HOOK_INTERNAL_H
#define SLUICE_HOOK_INTERNAL_H

#include <stdbool.h>
#include <sys/types.h>

#include "engine/hook/hook.h"

struct hook_task {
    struct hook_task *next;
    char *hook, *id, *path, *partner, *user; /* for events; all but `hook` may be NULL */
    const char *event;
    char **arguments; /* the first is the program; ends with NULL */
    char **environment;
    unsigned timeout, at_once;
};

/* NULL: no memory. */
struct hook_task *hook_task_new(const struct config_hook *hook, const struct hook_facts *facts);
void hook_task_free(struct hook_task *task); /* NULL is allowed */
bool hook_wants(const struct config_hook *hook, const struct hook_facts *facts);

struct hook_lanes {
    struct hook_lane *first;
    size_t count; /* tasks in all lanes */
};

/* Takes a task over. Returns the one there is no room for, which may be the same, or NULL. */
struct hook_task *hook_lanes_add(struct hook_lanes *lanes, struct hook_task *task);

/* The next that may run, which is the caller's then. NULL: none. */
typedef bool hook_may_run(const void *argument, const struct hook_task *task);
struct hook_task *hook_lanes_take(struct hook_lanes *lanes, hook_may_run *may_run, const void *argument);

enum hook_stage { HOOK_GOES, HOOK_TERMINATED, HOOK_KILLED };

struct hook_child {
    struct hook_task *task; /* owned; NULL: no child */
    pid_t pid;
    int ended;  /* pidfd: readable when it has ended */
    int output; /* the reading end of its standard output and error; -1: closed */
    enum hook_stage stage;
    uint64_t began, due; /* milliseconds; `due`: when the next stage begins */
    char tail[HOOK_OUTPUT_MAX + 1];
    size_t length;
    bool cut;     /* more was printed than is kept */
    bool stopped; /* killed because the server stops */
};

/* 0: it runs and owns the task. -errno: nothing runs, the task stays the caller's. */
int hook_child_start(struct hook_child *child, struct hook_task *task, uint64_t now);
void hook_child_read(struct hook_child *child);                /* what it has printed */
void hook_child_press(struct hook_child *child, uint64_t now); /* the next stage, where it is due */
/* Whether it has ended: then all of it is, and *status is that of waitpid(2). */
bool hook_child_reap(struct hook_child *child, int *status);

#endif
