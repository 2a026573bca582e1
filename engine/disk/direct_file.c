#include "engine/disk/direct_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define ALIGN_MIN 4096              /* of a page: no page is half in the page cache and half past it */
#define ALIGN_MAX DIRECT_ALIGN_MOST /* more than that would make the odd ends of a body long */

/* What the file system wants (statx(2), since Linux 6.1); ALIGN_MIN where it does not say. 0: it has no O_DIRECT. */
static size_t alignment(int fd)
{
    size_t align = ALIGN_MIN;
#ifdef STATX_DIOALIGN
    struct statx facts;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &facts) == 0 && facts.stx_mask & STATX_DIOALIGN) {
        uint32_t offsets = facts.stx_dio_offset_align, memory = facts.stx_dio_mem_align;
        if (offsets == 0)
            return 0;
        align = offsets > align ? offsets : align;
        align = memory > align ? memory : align;
    }
#else
    (void)fd;
#endif
    return align > ALIGN_MAX || align & (align - 1) ? 0 : align;
}

const char *direct_open(struct direct_file *direct, int file, int flags)
{
    char name[32];
    snprintf(name, sizeof(name), "/proc/self/fd/%d", file);
    direct->fd = open(name, flags | O_DIRECT | O_CLOEXEC | O_NONBLOCK);
    if (direct->fd < 0) {
        return errno == EINVAL || errno == EOPNOTSUPP ? "this file system has no O_DIRECT"
               : errno == ENOENT                      ? "/proc is not mounted, without which O_DIRECT cannot be had"
                                                      : "the file could not be opened again with O_DIRECT";
    }
    direct->align = alignment(direct->fd);
    if (direct->align > 0)
        return NULL;
    direct_close(direct);
    return "this file system has no O_DIRECT";
}

void direct_close(struct direct_file *direct)
{
    if (direct->fd >= 0)
        close(direct->fd);
    direct->fd = -1;
}
