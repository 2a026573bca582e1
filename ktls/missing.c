/* Where the kernel has no kTLS: finds out which of the several reasons it is, because each has another remedy. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ktls/probe_internal.h"

enum built { BUILT_UNKNOWN, BUILT_NOT, BUILT_MODULE, BUILT_IN };

struct kernel {
    const char *root;
    const char *release;
};

__attribute__((format(printf, 3, 4))) static FILE *open_below(const struct kernel *kernel, const char *mode,
                                                              const char *format, ...)
{
    char path[PATH_MAX], tail[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(tail, sizeof tail, format, arguments);
    va_end(arguments);
    int length = snprintf(path, sizeof path, "%s%s", kernel->root, tail);
    return length > 0 && (size_t)length < sizeof path ? fopen(path, mode) : NULL;
}

/* True where a line of the file contains `text`. */
static bool has_text(FILE *file, const char *text)
{
    char *line = NULL;
    size_t size = 0;
    bool found = false;
    while (file && !found && getline(&line, &size, file) >= 0)
        found = strstr(line, text) != NULL;
    free(line);
    if (file)
        fclose(file);
    return found;
}

static bool module_listed(const struct kernel *kernel, const char *list)
{
    return has_text(open_below(kernel, "re", "/lib/modules/%s/%s", kernel->release, list), "/net/tls/tls.ko");
}

static bool ulp_listed(const struct kernel *kernel)
{
    return has_text(open_below(kernel, "re", "/proc/sys/net/ipv4/tcp_available_ulp"), "tls");
}

/* What the kernel's configuration says about CONFIG_TLS; reads to the end, so that whoever writes it can finish. */
static enum built read_config(FILE *file)
{
    enum built built = BUILT_UNKNOWN;
    char line[1024];
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, "CONFIG_TLS=y", 12) == 0)
            built = BUILT_IN;
        else if (strncmp(line, "CONFIG_TLS=m", 12) == 0)
            built = BUILT_MODULE;
        else if (strncmp(line, "CONFIG_", 7) == 0 && built == BUILT_UNKNOWN)
            built = BUILT_NOT; /* a configuration indeed, and so far without it */
    }
    fclose(file);
    return built;
}

/* /proc/config.gz, through gzip(1): a library to inflate with would be there for this one file. */
static enum built read_packed_config(const struct kernel *kernel)
{
    char path[PATH_MAX];
    int ends[2];
    pid_t child;
    posix_spawn_file_actions_t actions;
    snprintf(path, sizeof path, "%s/proc/config.gz", kernel->root);
    if (access(path, R_OK) != 0 || posix_spawn_file_actions_init(&actions) != 0)
        return BUILT_UNKNOWN;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return BUILT_UNKNOWN;
    }

    char *arguments[] = { (char *)"gzip", (char *)"-dc", path, NULL };
    char *environment[] = { NULL };
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    int failed = posix_spawn(&child, "/bin/gzip", &actions, NULL, arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    FILE *unpacked = fdopen(ends[0], "r");
    if (!unpacked)
        close(ends[0]);
    enum built built = unpacked ? read_config(unpacked) : BUILT_UNKNOWN;
    while (!failed && waitpid(child, NULL, 0) < 0 && errno == EINTR)
        ;
    return built;
}

static enum built how_built(const struct kernel *kernel)
{
    if (module_listed(kernel, "modules.builtin"))
        return BUILT_IN;
    FILE *file = open_below(kernel, "re", "/boot/config-%s", kernel->release);
    if (!file)
        file = open_below(kernel, "re", "/lib/modules/%s/config", kernel->release);
    enum built built = file ? read_config(file) : BUILT_UNKNOWN;
    return built == BUILT_UNKNOWN ? read_packed_config(kernel) : built;
}

static const char *explain_absence(const struct kernel *kernel)
{
    if (ulp_listed(kernel))
        return "this kernel lists the tls ULP but does not give it to this process: look into the kernel's log";
    if (module_listed(kernel, "modules.dep"))
        return "the kernel's module tls is installed but not loaded: run `modprobe tls` as root, and write tls into "
               "/etc/modules-load.d/tls.conf so that it is loaded at every start";
    switch (how_built(kernel)) {
    case BUILT_NOT:
        return "this kernel was built without kTLS (CONFIG_TLS is not set): run a kernel that has it, as those of "
               "Debian, Ubuntu, Fedora and RHEL do";
    case BUILT_MODULE:
        return "this kernel has kTLS as a module (CONFIG_TLS=m), but the module is not installed here: install the "
               "kernel's modules, then run `modprobe tls` as root; in a container, load it on the host";
    case BUILT_IN:
        return "this kernel has kTLS built in and yet refuses it: look for a security module or a sandbox that hides "
               "it";
    case BUILT_UNKNOWN:
        break;
    }
    return "this kernel offers no kTLS, and neither its configuration nor its modules can be read here: run "
           "`modprobe tls` as root (on the host, if this is a container); if there is no such module, use a kernel "
           "with "
           "CONFIG_TLS";
}

void missing_explain(const char *root, const char *release, int error, char *sentence, size_t size)
{
    const struct kernel kernel = { root, release };
    switch (error) {
    case 0:
        snprintf(sentence, size,
                 "kTLS cannot be tried, no TCP connection to ourselves could be made: bring the loopback interface up "
                 "(`ip link set lo up`), and allow this process sockets and descriptors");
        break;
    case ENOENT:
        snprintf(sentence, size, "%s", explain_absence(&kernel));
        break;
    case EPERM:
    case EACCES:
        snprintf(
            sentence, size,
            "this process may not use kTLS (%s): allow setsockopt(TCP_ULP) in its seccomp filter or security module",
            strerror(error));
        break;
    case ENOPROTOOPT:
    case ENOSYS:
        snprintf(
            sentence, size,
            "this kernel does not know TCP_ULP, so it is older than Linux 4.13 or not Linux (a sandbox): use Linux "
            "6.1 or later with CONFIG_TLS");
        break;
    default:
        snprintf(sentence, size, "the kernel refused TCP_ULP \"tls\": %s: look into the kernel's log", strerror(error));
    }
}
