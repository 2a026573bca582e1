/* Private to this folder: a file past the page cache (O_DIRECT, open(2)). */
#ifndef SLUICE_PUMP_DIRECT_FILE_H
#define SLUICE_PUMP_DIRECT_FILE_H

#include <stddef.h>

struct direct_file {
    int fd;       /* a description of its own: O_DIRECT on the owner's would be everybody's who shares it. -1: none */
    size_t align; /* of offsets, lengths and memory; a power of two, of a page or more */
};

/*
 * The open file once more. `flags`: O_RDONLY or O_WRONLY. NULL, or why it cannot be had: a phrase that lives for ever.
 */
const char *direct_open(struct direct_file *direct, int file, int flags);
void direct_close(struct direct_file *direct);

#endif
