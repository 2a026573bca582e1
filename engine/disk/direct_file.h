/* A file past the page cache (O_DIRECT, open(2)). */
#ifndef SLUICE_DISK_DIRECT_FILE_H
#define SLUICE_DISK_DIRECT_FILE_H

#include <stddef.h>

#define DIRECT_ALIGN_MOST ((size_t)16 << 10)

struct direct_file {
    int fd;       /* a description of its own: O_DIRECT on the owner's would be everybody's who shares it. -1: none */
    size_t align; /* of offsets, lengths and memory; a power of two, of a page to DIRECT_ALIGN_MOST */
};

/*
 * The open file once more. `flags`: O_RDONLY or O_WRONLY. NULL, or why it cannot be had: a phrase that lives for ever.
 */
const char *direct_open(struct direct_file *direct, int file, int flags);
void direct_close(struct direct_file *direct);

#endif
