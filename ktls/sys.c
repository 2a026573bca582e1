#include "ktls/sys.h"

#include <errno.h>
#include <stdbool.h>

static int linux_setsockopt(const struct ktls_sys *sys, int fd, int level, int option, const void *value,
                            socklen_t length)
{
    (void)sys;
    return setsockopt(fd, level, option, value, length) == 0 ? 0 : -errno;
}

static int linux_getsockopt(const struct ktls_sys *sys, int fd, int level, int option, void *value, socklen_t *length)
{
    (void)sys;
    return getsockopt(fd, level, option, value, length) == 0 ? 0 : -errno;
}

/* The kernel copies a message and its parts in before it looks at them. */
static bool is_bare(const struct msghdr *message)
{
    return message->msg_iovlen == 1 && !message->msg_control && !message->msg_name;
}

static ssize_t linux_recvmsg(const struct ktls_sys *sys, int fd, struct msghdr *message, int flags)
{
    (void)sys;
    const struct iovec *part = message->msg_iov;
    ssize_t got = is_bare(message) ? recv(fd, part->iov_base, part->iov_len, flags) : recvmsg(fd, message, flags);
    return got >= 0 ? got : -errno;
}

static ssize_t linux_sendmsg(const struct ktls_sys *sys, int fd, const struct msghdr *message, int flags)
{
    (void)sys;
    const struct iovec *part = message->msg_iov;
    ssize_t sent = is_bare(message) ? send(fd, part->iov_base, part->iov_len, flags) : sendmsg(fd, message, flags);
    return sent >= 0 ? sent : -errno;
}

const struct ktls_sys ktls_sys_linux = {
    .setsockopt = linux_setsockopt,
    .getsockopt = linux_getsockopt,
    .recvmsg = linux_recvmsg,
    .sendmsg = linux_sendmsg,
};
