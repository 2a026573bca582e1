/*
 * The system calls that the kernel path depends on, behind one table.
 *
 * Production uses ktls_sys_linux. A test passes its own table to refuse a call, shorten it or fail it, and so walks
 * every branch of the switch without a special kernel. Each entry has the shape and the meaning of the call it is
 * named after, except that errors come back as -errno.
 */
#ifndef SLUICE_KTLS_SYS_H
#define SLUICE_KTLS_SYS_H

#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

struct ktls_sys {
    int (*setsockopt)(const struct ktls_sys *, int fd, int level, int option, const void *value, socklen_t length);
    int (*getsockopt)(const struct ktls_sys *, int fd, int level, int option, void *value, socklen_t *length);
    ssize_t (*recvmsg)(const struct ktls_sys *, int fd, struct msghdr *message, int flags);
    ssize_t (*sendmsg)(const struct ktls_sys *, int fd, const struct msghdr *message, int flags);
};

extern const struct ktls_sys ktls_sys_linux;

#endif
