/* One program, from its start to its end. */
#include "engine/hook/hook_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define TURNS 64          /* reads of its output at a time */
#define TURNS_AT_END 1024 /* more than a pipe holds */

/* Blanks as its input, one pipe for all it prints, and no other descriptor: not those that lack O_CLOEXEC either. */
static int set_files(posix_spawn_file_actions_t *files, int output)
{
    int rc = posix_spawn_file_actions_addopen(files, 0, "/dev/null", O_RDONLY, 0);

    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(files, output, 1);
    if (rc == 0)
        rc = posix_spawn_file_actions_adddup2(files, output, 2);
    if (rc == 0)
        rc = posix_spawn_file_actions_addclosefrom_np(files, 3);
    return rc ? rc : posix_spawn_file_actions_addchdir_np(files, "/");
}

/* The server blocks some signals and ignores others, and both would be inherited. */
static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;

    sigemptyset(&none);
    sigfillset(&all);
    int rc = posix_spawnattr_setsigmask(attributes, &none);
    if (rc == 0)
        rc = posix_spawnattr_setsigdefault(attributes, &all);
    if (rc == 0)
        rc = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
    return rc;
}

/* posix_spawn(3) copies no memory as fork(2) would: pages that a ring has registered stay the parent's alone. */
static int spawn(pid_t *pid, const struct hook_task *task, int output)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;

    int rc = posix_spawn_file_actions_init(&files);
    if (rc)
        return -rc;
    rc = posix_spawnattr_init(&attributes);
    if (rc == 0) {
        rc = set_files(&files, output);
        if (rc == 0)
            rc = set_attributes(&attributes);
        if (rc == 0)
            rc = posix_spawn(pid, task->arguments[0], &files, &attributes, task->arguments, task->environment);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&files);
    return -rc;
}

/* posix_spawn(3) has no limits, and our own must not be less even for a moment: so where the program runs already. */
static void limit_files(pid_t pid)
{
    struct rlimit files;

    if (prlimit(pid, RLIMIT_NOFILE, NULL, &files) < 0 || files.rlim_cur <= HOOK_FILES_MAX)
        return;
    files.rlim_cur = HOOK_FILES_MAX;
    prlimit(pid, RLIMIT_NOFILE, &files, NULL);
}

/* The leader's process group is its number, which nobody else gets before it is reaped. */
static void signal_all(const struct hook_child *child, int number)
{
    kill(-child->pid, number);
}

int hook_child_start(struct hook_child *child, struct hook_task *task, uint64_t now)
{
    int ends[2];
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    int rc = spawn(&pid, task, ends[1]);
    close(ends[1]);
    if (rc < 0) {
        close(ends[0]);
        return rc;
    }
    limit_files(pid);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    *child = (struct hook_child){
        .pid = pid, .ended = pidfd_open(pid, 0), .output = ends[0], .began = now, .due = now + task->timeout
    };
    if (child->ended >= 0) {
        child->task = task;
        return 0;
    }
    rc = -errno; /* without it nobody would hear of its end */
    signal_all(child, SIGKILL);
    waitpid(pid, NULL, 0);
    close(ends[0]);
    return rc;
}

/* The last bytes of all; `length` is smaller than what is kept. */
static void keep(struct hook_child *child, const char *bytes, size_t length)
{
    size_t over = child->length + length > HOOK_OUTPUT_MAX ? child->length + length - HOOK_OUTPUT_MAX : 0;

    child->cut = child->cut || over;
    memmove(child->tail, child->tail + over, child->length - over);
    memcpy(child->tail + child->length - over, bytes, length);
    child->length += length - over;
    child->tail[child->length] = '\0';
}

/* Bounded: who prints without an end does not keep the others waiting. */
static void read_some(struct hook_child *child, unsigned turns)
{
    char bytes[HOOK_OUTPUT_MAX / 4];

    for (; child->output >= 0 && turns > 0; turns--) {
        ssize_t n = read(child->output, bytes, sizeof bytes);
        if (n > 0) {
            keep(child, bytes, (size_t)n);
            continue;
        }
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        close(child->output);
        child->output = -1;
    }
}

void hook_child_read(struct hook_child *child)
{
    read_some(child, TURNS);
}

void hook_child_press(struct hook_child *child, uint64_t now)
{
    if (now < child->due)
        return;
    signal_all(child, child->stage == HOOK_GOES ? SIGTERM : SIGKILL);
    child->stage = child->stage == HOOK_GOES ? HOOK_TERMINATED : HOOK_KILLED;
    child->due = now + HOOK_KILL_AFTER;
}

bool hook_child_reap(struct hook_child *child, int *status)
{
    siginfo_t info = { 0 };

    /* While it is not reaped its group cannot be anybody else's. */
    if (waitid(P_PIDFD, (id_t)child->ended, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
        return false;
    signal_all(child, SIGKILL);
    if (waitpid(child->pid, status, 0) < 0)
        *status = 0;
    read_some(child, TURNS_AT_END);
    close(child->ended);
    if (child->output >= 0)
        close(child->output);
    child->output = -1;
    return true;
}
