#include "engine/hook/hook_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FOREVER UINT64_MAX

struct hooks {
    struct event_log *log;
    pthread_t thread;
    int poke; /* eventfd: something came, or the end is near */
    pthread_mutex_t lock;
    struct hook_lanes waiting; /* guarded by lock, as are the next two */
    bool closing;
    uint64_t close_at;
    struct hook_child children[HOOKS_RUNNING_MAX]; /* the thread's alone */
};

static uint64_t clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void poke(struct hooks *hooks)
{
    const uint64_t one = 1;

    while (write(hooks->poke, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

/* -- what became of them ------------------------------------------------------------------------------------------- */

static void tell_left_out(struct hooks *hooks, const struct hook_task *task, const char *why)
{
    event(hooks->log, "H02W", EVENT_T("hook", task->hook), EVENT_T("on", task->event), EVENT_T("reason", why),
          EVENT_T("transfer", task->id), EVENT_T("path", task->path), EVENT_T("partner", task->partner),
          EVENT_T("name", task->user));
}

static void tell_end(struct hooks *hooks, const struct hook_child *child, const char *reason)
{
    const struct hook_task *task = child->task;

    event(hooks->log, reason ? "H01W" : "H01I", EVENT_T("hook", task->hook), EVENT_T("on", task->event),
          EVENT_T("reason", reason), EVENT_T("transfer", task->id), EVENT_T("path", task->path),
          EVENT_T("partner", task->partner), EVENT_N("ms", clock_ms() - child->began),
          EVENT_T("output", child->length ? child->tail : NULL), EVENT_T("cut", child->cut ? "yes" : NULL));
}

static const char *name_end(const struct hook_child *child, int status, char *text, size_t size)
{
    unsigned timeout = child->task->timeout;

    if (child->stopped)
        snprintf(text, size, "the server stopped, and ended it");
    else if (child->stage != HOOK_GOES)
        snprintf(text, size, "it did not end within %u.%03u s, and was ended", timeout / 1000, timeout % 1000);
    else if (WIFSIGNALED(status))
        snprintf(text, size, "it was ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status))
        snprintf(text, size, "it ended with exit status %d", WEXITSTATUS(status));
    else
        return NULL;
    return text;
}

static void finish(struct hooks *hooks, struct hook_child *child, int status)
{
    char text[128];

    tell_end(hooks, child, name_end(child, status, text, sizeof text));
    hook_task_free(child->task);
    child->task = NULL;
}

/* -- the thread ---------------------------------------------------------------------------------------------------- */

static unsigned count_running(const struct hooks *hooks, const char *hook)
{
    unsigned count = 0;

    for (size_t i = 0; i < HOOKS_RUNNING_MAX; i++)
        count += hooks->children[i].task && strcmp(hooks->children[i].task->hook, hook) == 0;
    return count;
}

static struct hook_child *find_place(struct hooks *hooks)
{
    for (size_t i = 0; i < HOOKS_RUNNING_MAX; i++) {
        if (!hooks->children[i].task)
            return &hooks->children[i];
    }
    return NULL;
}

static bool may_run(const void *argument, const struct hook_task *task)
{
    return count_running(argument, task->hook) < task->at_once;
}

static bool any(const void *argument, const struct hook_task *task)
{
    (void)argument;
    (void)task;
    return true;
}

static struct hook_task *take_task(struct hooks *hooks, hook_may_run *which)
{
    pthread_mutex_lock(&hooks->lock);
    struct hook_task *task = hook_lanes_take(&hooks->waiting, which, hooks);
    pthread_mutex_unlock(&hooks->lock);
    return task;
}

/* Returns how many started. */
static unsigned start_what_may(struct hooks *hooks)
{
    unsigned started = 0;

    for (struct hook_child *place = find_place(hooks); place; place = find_place(hooks)) {
        struct hook_task *task = take_task(hooks, may_run);
        if (!task)
            break;
        uint64_t now = clock_ms();
        int rc = hook_child_start(place, task, now);
        if (rc == 0) {
            started++;
            continue;
        }
        struct hook_child none = { .task = task, .began = now };
        char text[512];
        snprintf(text, sizeof text, "%s could not be started: %s", task->arguments[0], strerror(-rc));
        tell_end(hooks, &none, text);
        hook_task_free(task);
    }
    return started;
}

static int wait_time(const struct hooks *hooks, uint64_t close_at)
{
    uint64_t due = close_at, now = clock_ms();

    for (size_t i = 0; i < HOOKS_RUNNING_MAX; i++) {
        if (hooks->children[i].task && hooks->children[i].due < due)
            due = hooks->children[i].due;
    }
    if (due == FOREVER)
        return -1;
    return due <= now ? 0 : due - now > 60000 ? 60000 : (int)(due - now);
}

static void wait_for_something(struct hooks *hooks, uint64_t close_at)
{
    struct pollfd files[1 + 2 * HOOKS_RUNNING_MAX];
    nfds_t count = 0;
    uint64_t pokes;

    files[count++] = (struct pollfd){ .fd = hooks->poke, .events = POLLIN };
    for (size_t i = 0; i < HOOKS_RUNNING_MAX; i++) {
        const struct hook_child *child = &hooks->children[i];
        if (!child->task)
            continue;
        files[count++] = (struct pollfd){ .fd = child->ended, .events = POLLIN };
        files[count++] = (struct pollfd){ .fd = child->output, .events = POLLIN }; /* -1 is passed over */
    }
    if (poll(files, count, wait_time(hooks, close_at)) > 0 && files[0].revents)
        while (read(hooks->poke, &pokes, sizeof pokes) < 0 && errno == EINTR)
            ;
}

/* Returns how many go on. */
static unsigned look_after_children(struct hooks *hooks, bool over)
{
    uint64_t now = clock_ms();
    unsigned running = 0;
    int status;

    for (size_t i = 0; i < HOOKS_RUNNING_MAX; i++) {
        struct hook_child *child = &hooks->children[i];
        if (!child->task)
            continue;
        hook_child_read(child);
        if (hook_child_reap(child, &status)) {
            finish(hooks, child, status);
            continue;
        }
        running++;
        if (over && !child->stopped) {
            child->stopped = true;
            child->stage = HOOK_TERMINATED;
            child->due = now;
        }
        hook_child_press(child, now);
    }
    return running;
}

static void leave_rest_out(struct hooks *hooks)
{
    for (struct hook_task *task; (task = take_task(hooks, any));) {
        tell_left_out(hooks, task, "the server stops");
        hook_task_free(task);
    }
}

static void *run(void *argument)
{
    struct hooks *hooks = argument;

    pthread_setname_np(pthread_self(), "hooks");
    /* Of this thread and the programs it starts: to take ports below 1024 is the server's right alone. */
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    for (;;) {
        pthread_mutex_lock(&hooks->lock);
        bool closing = hooks->closing;
        uint64_t close_at = closing ? hooks->close_at : FOREVER;
        pthread_mutex_unlock(&hooks->lock);
        bool over = clock_ms() >= close_at;
        if (over)
            leave_rest_out(hooks);
        unsigned running = look_after_children(hooks, over);
        running += start_what_may(hooks);
        if (closing && running == 0)
            return NULL;
        wait_for_something(hooks, over ? FOREVER : close_at);
    }
}

/* -- from outside -------------------------------------------------------------------------------------------------- */

int hooks_new(struct hooks **made, struct event_log *log)
{
    struct hooks *hooks = calloc(1, sizeof *hooks);
    sigset_t all, before;

    if (!hooks)
        return -ENOMEM;
    hooks->log = log;
    pthread_mutex_init(&hooks->lock, NULL);
    hooks->poke = eventfd(0, EFD_CLOEXEC);
    int rc = hooks->poke < 0 ? errno : 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (rc == 0)
        rc = pthread_create(&hooks->thread, NULL, run, hooks);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == 0) {
        *made = hooks;
        return 0;
    }
    if (hooks->poke >= 0)
        close(hooks->poke);
    pthread_mutex_destroy(&hooks->lock);
    free(hooks);
    return -rc;
}

void hooks_free(struct hooks *hooks, unsigned grace)
{
    if (!hooks)
        return;
    pthread_mutex_lock(&hooks->lock);
    hooks->closing = true;
    hooks->close_at = clock_ms() + grace;
    pthread_mutex_unlock(&hooks->lock);
    poke(hooks);
    pthread_join(hooks->thread, NULL);
    close(hooks->poke);
    pthread_mutex_destroy(&hooks->lock);
    free(hooks);
}

static void submit(struct hooks *hooks, struct hook_task *task)
{
    pthread_mutex_lock(&hooks->lock);
    struct hook_task *dropped = hook_lanes_add(&hooks->waiting, task);
    pthread_mutex_unlock(&hooks->lock);
    if (dropped != task)
        poke(hooks);
    if (!dropped)
        return;
    tell_left_out(hooks, dropped,
                  "too many wait, and of nobody more than of this one: make the program faster, or raise at_once");
    hook_task_free(dropped);
}

void hooks_run(struct hooks *hooks, const struct config *config, const struct hook_facts *facts)
{
    for (size_t i = 0; i < config->hook_count; i++) {
        const struct config_hook *hook = &config->hooks[i];
        if (!hook_wants(hook, facts))
            continue;
        struct hook_task *task = hook_task_new(hook, facts);
        if (task)
            submit(hooks, task);
        else
            event(hooks->log, "H02W", EVENT_T("hook", hook->name), EVENT_T("reason", "there is no memory for it"),
                  EVENT_T("transfer", facts->id), EVENT_T("path", facts->path));
    }
}

void hooks_check(const struct config *config, struct config_errors *errors)
{
    struct stat facts;

    for (size_t i = 0; i < config->hook_count; i++) {
        const struct config_hook *hook = &config->hooks[i];
        const char *program = hook->command.items[0];
        const char *why = stat(program, &facts) < 0                             ? strerror(errno)
                          : !S_ISREG(facts.st_mode)                             ? "it is no file"
                          : faccessat(AT_FDCWD, program, X_OK, AT_EACCESS) != 0 ? "it may not be executed"
                                                                                : NULL;
        if (why)
            config_errors_add_at(errors, CONFIG_ERROR, hook->section, "command",
                                 "command \"%s\" cannot be run: %s; write the path of a program (chmod +x)", program,
                                 why);
    }
}
