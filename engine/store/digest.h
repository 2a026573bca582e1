/*
 * Digests that a file carries with it, in the extended attribute STORE_DIGEST_ATTRIBUTE, bound to its size, time of
 * modification and inode: what was recorded of another state of the file, or came with a copy of it, does not count.
 *
 * Setting an attribute changes the time of change, and with it the etag: so it is done before a file has its name, and
 * never to one that is served. A stale one is left where it is for the same reason, and not believed.
 */
#ifndef SLUICE_STORE_DIGEST_H
#define SLUICE_STORE_DIGEST_H

#include <sys/stat.h>

#include "engine/digest/digest.h"

#define STORE_DIGEST_ATTRIBUTE "user.sluice.digest"

/*
 * Records digests of the file as it is now. Unless it is `dated` (somebody has set its time of modification already)
 * that becomes the exact time of this call, so that what is written to it later can be told. 0, or -errno: -EOPNOTSUPP
 * where the file system has no such attributes, or its times are too coarse, which is no reason to lose the file.
 */
int store_digest_keep(int fd, const struct digest_set *set, bool dated);

/* What is recorded and fits `facts`. 0; -ENOENT: nothing is, or it is stale or damaged; another -errno. */
int store_digest_recall(int fd, const struct stat *facts, struct digest_set *set);

#endif
