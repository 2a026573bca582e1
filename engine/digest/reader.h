/*
 * Private to this folder and its tests: a file's bytes, piece by piece, for a digest of them.
 *
 * A file whose cache is to be spared is read past the page cache (O_DIRECT) wherever not all of a piece stands there,
 * and from there where it does: what was not there is not afterwards, and what was there stays.
 */
#ifndef SLUICE_DIGEST_READER_H
#define SLUICE_DIGEST_READER_H

#include <sys/types.h>

#include "engine/digest/digest.h"
#include "engine/disk/direct_file.h"

#define READER_SPAN ((size_t)1 << 20) /* read at once, where it is read past the page cache */

struct reader; /* of one thread: its memory */

/* For tests: asked before each read past the page cache. It may lower *length, or return the -errno of the read. */
struct reader_seam {
    int (*before)(const struct reader_seam *seam, size_t *length);
};

struct reader_file {
    int fd;                    /* lent */
    atomic_bool spares;        /* the page cache; may be changed meanwhile, by any thread */
    bool refused;              /* O_DIRECT cannot be had, so all is read through the page cache */
    struct direct_file direct; /* opened with the first piece that is not in the page cache */
    uint64_t cached_to;        /* what comes before that was there when it was asked about */
};

int reader_new(struct reader **reader, const struct reader_seam *seam); /* `seam` may be NULL. 0 or -ENOMEM */
void reader_free(struct reader *reader);                                /* NULL is allowed */

void reader_file_begin(struct reader_file *file, int fd, bool spares);
void reader_file_end(struct reader_file *file);

/*
 * Bytes [*at, end) go to `run`, and *at follows. `stop`: as of digest_file(). Nothing is read of what lies behind
 * `end`, but for the rest of its block, which is forgotten. 0; -ECANCELED; -ENODATA: the file is shorter; -errno.
 */
int reader_feed(struct reader *reader, struct reader_file *file, struct digest_run *run, uint64_t *at, uint64_t end,
                const atomic_bool *stop);

#endif
