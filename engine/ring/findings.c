#include "engine/ring/ring_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "ktls/probe.h"

#define PROBE_ENTRIES 8
#define REGISTERED_MAX (32UL << 20) /* RING_SLOTS of the pump's buffers */
#define DISABLED_SYSCTL "/proc/sys/kernel/io_uring_disabled"

struct need {
    uint8_t opcode;
    const char *name;
    const char *since;
};

static const struct need needs[] = {
    { IORING_OP_ACCEPT, "accept", "5.5" },   { IORING_OP_CONNECT, "connect", "5.5" },
    { IORING_OP_POLL_ADD, "poll", "5.1" },   { IORING_OP_RECV, "recv", "5.6" },
    { IORING_OP_SEND, "send", "5.6" },       { IORING_OP_READ, "read", "5.6" },
    { IORING_OP_WRITE, "write", "5.6" },     { IORING_OP_SPLICE, "splice", "5.7" },
    { IORING_OP_OPENAT2, "openat2", "5.6" }, { IORING_OP_ASYNC_CANCEL, "cancel", "5.5" },
    { IORING_OP_TIMEOUT, "timeout", "5.4" },
};

/* -1 where the kernel has no such switch. */
static int disabled_level(void)
{
    FILE *file = fopen(DISABLED_SYSCTL, "re");
    if (!file)
        return -1;
    int level = -1;
    if (fscanf(file, "%d", &level) != 1)
        level = -1;
    fclose(file);
    return level;
}

/* What is in the way of io_uring_setup(), and how to get it out of there. */
static void explain_refusal(int error, char *why, size_t size, char *remedy, size_t remedy_size)
{
    int level = disabled_level();
    if (error == -EPERM && level > 0) {
        snprintf(why, size, "io_uring is switched off: kernel.io_uring_disabled = %d", level);
        snprintf(remedy, remedy_size, "sysctl kernel.io_uring_disabled=0%s",
                 level == 1 ? ", or join the group in kernel.io_uring_group" : "");
        return;
    }
    if (error == -EPERM) {
        snprintf(why, size, "io_uring is forbidden to this process, by a seccomp filter or a security module");
        snprintf(remedy, remedy_size,
                 "allow io_uring_setup, io_uring_enter and io_uring_register in the container's "
                 "seccomp profile");
        return;
    }
    if (error == -ENOSYS) {
        snprintf(why, size, "this kernel has no io_uring, or a seccomp filter hides it");
        snprintf(remedy, remedy_size, "use Linux 6.1 or later, built with CONFIG_IO_URING");
        return;
    }
    if (error == -ENOMEM) {
        snprintf(why, size, "there is no memory for an io_uring within RLIMIT_MEMLOCK or the control group");
        snprintf(remedy, remedy_size, "raise it: ulimit -l, or LimitMEMLOCK= of the service");
        return;
    }
    snprintf(why, size, "io_uring cannot be set up: %s", strerror(-error));
    snprintf(remedy, remedy_size, "use Linux 6.1 or later");
}

/* A ring of our own flags, running; for tries. */
static int probe_ring(struct io_uring *uring)
{
    int result = ring_setup(uring, PROBE_ENTRIES);
    if (result != 0)
        return result;
    if (syscall(__NR_io_uring_register, uring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) == 0)
        return 0;
    result = -errno;
    io_uring_queue_exit(uring);
    return result;
}

/* Names of operations this kernel lacks, separated by commas; *newest is the kernel that would have them. */
static void missing_operations(struct io_uring *uring, char *names, size_t size, const char **newest)
{
    names[0] = '\0';
    *newest = "";
    struct io_uring_probe *probe = io_uring_get_probe_ring(uring);
    for (size_t i = 0; i < sizeof(needs) / sizeof(*needs); i++) {
        if (probe && io_uring_opcode_supported(probe, needs[i].opcode))
            continue;
        size_t used = strlen(names);
        snprintf(names + used, size - used, "%s%s", used ? ", " : "", needs[i].name);
        *newest = strcmp(*newest, needs[i].since) < 0 ? needs[i].since : *newest;
    }
    if (probe)
        io_uring_free_probe(probe);
}

static int wait_for(struct io_uring *uring, unsigned long long tag, unsigned *flags)
{
    for (;;) {
        struct io_uring_cqe *cqe;
        int result = io_uring_submit_and_wait(uring, 1);
        if (result >= 0)
            result = io_uring_peek_cqe(uring, &cqe);
        if (result == -EINTR || result == -EAGAIN)
            continue;
        if (result < 0)
            return result;
        bool wanted = cqe->user_data == tag;
        result = cqe->res;
        *flags = cqe->flags;
        io_uring_cqe_seen(uring, cqe);
        if (wanted)
            return result;
    }
}

/* Multishot accept has no bit of its own in the probe: connect to ourselves and see. 0 or -errno. */
static int try_multishot_accept(struct io_uring *uring)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    socklen_t length = sizeof(sa_family_t); /* binds to a free abstract name */
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int result = 0;
    if (listener < 0 || client < 0 || bind(listener, (struct sockaddr *)&address, length) != 0 ||
        listen(listener, 1) != 0)
        result = -errno;
    length = sizeof(address);
    if (result == 0 && (getsockname(listener, (struct sockaddr *)&address, &length) != 0 ||
                        connect(client, (struct sockaddr *)&address, length) != 0))
        result = -errno;
    if (result == 0) {
        struct io_uring_sqe *sqe = io_uring_get_sqe(uring);
        io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
        sqe->user_data = 1;
        unsigned flags = 0;
        result = wait_for(uring, 1, &flags);
        if (result >= 0) {
            close(result);
            result = flags & IORING_CQE_F_MORE ? 0 : -EOPNOTSUPP;
        }
    }
    if (client >= 0)
        close(client);
    if (listener >= 0)
        close(listener);
    return result;
}

/* The pair of links that a splicing pump uses: file to pipe, then pipe to socket. 0 or -errno. */
static int try_linked_splice(struct io_uring *uring)
{
    int from[2] = { -1, -1 }, through[2] = { -1, -1 }, sockets[2] = { -1, -1 };
    int result = 0;
    if (pipe2(from, O_CLOEXEC) != 0 || pipe2(through, O_CLOEXEC) != 0 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0 || write(from[1], "x", 1) != 1)
        result = -errno;
    if (result == 0) {
        struct io_uring_sqe *sqe = io_uring_get_sqe(uring);
        io_uring_prep_splice(sqe, from[0], -1, through[1], -1, 1, 0);
        sqe->flags |= IOSQE_IO_LINK;
        sqe->user_data = 2;
        sqe = io_uring_get_sqe(uring);
        io_uring_prep_splice(sqe, through[0], -1, sockets[0], -1, 1, 0);
        sqe->user_data = 3;
        unsigned flags;
        result = wait_for(uring, 3, &flags);
        result = result == 1 ? 0 : result < 0 ? result : -EIO;
    }
    int *all[] = { &from[0], &from[1], &through[0], &through[1], &sockets[0], &sockets[1] };
    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
        if (*all[i] >= 0)
            close(*all[i]);
    }
    return result;
}

int ring_usable(char *why, size_t size)
{
    why[0] = '\0';
    struct io_uring uring;
    int result = probe_ring(&uring);
    if (result != 0) {
        char reason[160], remedy[160];
        explain_refusal(result, reason, sizeof(reason), remedy, sizeof(remedy));
        snprintf(why, size, "%s (%s)", reason, remedy);
        return result;
    }
    char names[128];
    const char *since;
    missing_operations(&uring, names, sizeof(names), &since);
    if (names[0]) {
        result = -EOPNOTSUPP;
        snprintf(why, size, "this kernel's io_uring lacks: %s (use Linux 6.1 or later)", names);
    } else if ((result = try_multishot_accept(&uring)) != 0) {
        snprintf(why, size, "this kernel's io_uring has no multishot accept: %s (use Linux 6.1 or later)",
                 strerror(-result));
    }
    io_uring_queue_exit(&uring);
    return result;
}

static struct finding *add(struct findings *findings, enum finding_status status, const char *what, const char *value)
{
    struct finding *finding = findings_add(findings, status, what);
    if (finding)
        snprintf(finding->value, sizeof(finding->value), "%s", value);
    return finding;
}

static void say(struct finding *finding, const char *meaning, const char *remedy)
{
    if (!finding)
        return;
    finding->kernel_path = finding->status == FINDING_FAIL;
    snprintf(finding->meaning, sizeof(finding->meaning), "%s", meaning);
    snprintf(finding->remedy, sizeof(finding->remedy), "%s", remedy);
}

static void add_try(struct findings *findings, const char *what, int result, const char *meaning)
{
    bool works = result == 0;
    say(add(findings, works ? FINDING_OK : FINDING_FAIL, what, works ? "works" : strerror(-result)), meaning,
        works ? "" : "use Linux 6.1 or later");
}

static void add_operations(struct findings *findings, struct io_uring *uring)
{
    char names[128], value[160], remedy[160] = "";
    const char *since;
    missing_operations(uring, names, sizeof(names), &since);
    if (names[0]) {
        snprintf(value, sizeof(value), "missing: %s", names);
        snprintf(remedy, sizeof(remedy), "use Linux %s or later", since);
    } else {
        snprintf(value, sizeof(value), "all %zu that are needed", sizeof(needs) / sizeof(*needs));
    }
    say(add(findings, names[0] ? FINDING_FAIL : FINDING_OK, "io_uring operations", value),
        "Everything that waits for a file or a peer is one of these.", remedy);
}

static void add_task_work(struct findings *findings, const struct io_uring *uring)
{
    bool deferred = uring->flags & IORING_SETUP_DEFER_TASKRUN;
    say(add(findings, deferred ? FINDING_OK : FINDING_NOTE, "io_uring deferred task work", deferred ? "yes" : "no"),
        "Completions are handled in batches, not as interruptions.", deferred ? "" : "use Linux 6.1 or later");
}

/* Of unprivileged processes alone: root's are not counted. */
static void add_locked_memory(struct findings *findings)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0)
        return;
    char value[64];
    bool enough = limit.rlim_cur >= REGISTERED_MAX;
    if (limit.rlim_cur == RLIM_INFINITY)
        snprintf(value, sizeof(value), "unlimited");
    else
        snprintf(value, sizeof(value), "%llu KiB", (unsigned long long)limit.rlim_cur / 1024);
    say(add(findings, enough ? FINDING_OK : FINDING_NOTE, "limit: locked memory", value),
        "The buffers that a worker registers with its io_uring count against it, up to 32 MiB for each; the others are "
        "looked up by the kernel at every use.",
        enough ? "" : "raise it: `ulimit -l unlimited`, or LimitMEMLOCK=infinity in the service");
}

void ring_findings(struct findings *findings)
{
    struct io_uring uring;
    int result = probe_ring(&uring);
    if (result != 0) {
        char reason[160], remedy[160];
        explain_refusal(result, reason, sizeof(reason), remedy, sizeof(remedy));
        say(add(findings, FINDING_FAIL, "io_uring", reason), "Neither server nor client can run without it.", remedy);
        return;
    }
    say(add(findings, FINDING_OK, "io_uring", "works"), "All work on files and sockets goes through it.", "");
    add_operations(findings, &uring);
    add_try(findings, "io_uring multishot accept", try_multishot_accept(&uring),
            "One operation accepts every connection of a listener.");
    add_try(findings, "io_uring linked splice", try_linked_splice(&uring),
            "A file goes into a socket through a pipe, never through this process.");
    add_task_work(findings, &uring);
    add_locked_memory(findings);
    io_uring_queue_exit(&uring);
}
