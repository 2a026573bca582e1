#include "ktls/sys.h"

#include <errno.h>

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

static ssize_t linux_recvmsg(const struct ktls_sys *sys, int fd, struct msghdr *message, int flags)
{
    (void)sys;
    ssize_t got = recvmsg(fd, message, flags);
    return got >= 0 ? got : -errno;
}

static ssize_t linux_sendmsg(const struct ktls_sys *sys, int fd, const struct msghdr *message, int flags)
{
    (void)sys;
    ssize_t sent = sendmsg(fd, message, flags);
    return sent >= 0 ? sent : -errno;
}

const struct ktls_sys ktls_sys_linux = {
    .setsockopt = linux_setsockopt,
    .getsockopt = linux_getsockopt,
    .recvmsg = linux_recvmsg,
    .sendmsg = linux_sendmsg,
};
