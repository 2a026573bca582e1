/*
 * A file that is being fetched: NAME.part beside NAME, and NAME.part.journal, the map of what of it is there
 * (engine/store/map.h). Both stay when a transfer ends early, so that the next one moves only what is missing.
 *
 * The journal never claims more than is on the disk: it is saved after the data it claims was synced. It is older than
 * the first byte of its .part, and goes only with it: a .part that holds something and has no journal is not ours, and
 * is left alone. One process at a time has a .part (flock).
 *
 * All calls may block; return 0 or -errno. One thread at a time, but part->fd may be written to by any.
 */
#ifndef SLUICE_CLIENT_PART_H
#define SLUICE_CLIENT_PART_H

#include <sys/types.h>
#include <time.h>

#include "engine/store/map.h"

#define PART_FROM (1u << 20) /* bytes: smaller files have none, and are fetched again, which costs little */
#define PART_SUFFIX ".part"
#define PART_JOURNAL_SUFFIX PART_SUFFIX ".journal"
#define PART_BAD_SUFFIX ".bad"
#define PART_BAD_MAX 3 /* NAME.bad, and up to NAME.bad.3 */

struct part {
    int fd;               /* -1: there is none yet */
    struct store_map map; /* what the journal says, as far as the .part can bear it out; its `name` is the remote one */
    bool damaged;         /* there was a journal, but it could not be believed, or was of another file */

    /* private */
    int lost; /* a sync failed with this: the kernel says so once, but what is on the disk is not known any more */
    int directory;
    char *leaf, *name, *journal;
};

/*
 * Looks for what an earlier transfer of `remote` to `local` left, and takes it for us. 0, with fd -1 where there is
 * nothing; -EBUSY: another process is fetching that file; -EEXIST: NAME.part is somebody else's; -ENOENT: the directory
 * is missing; -ENAMETOOLONG: NAME leaves no room for the suffixes; -EPERM: NAME is private to stores. part_close() in
 * any case.
 */
int part_open(struct part *part, const char *local, const char *remote);

/*
 * Begins anew: what was there is forgotten, a .part made where there was none, and room asked for, but not for `holes`
 * (NULL: there are none), which are there at once, as zeros. As above, and -ENOSPC.
 */
int part_begin(struct part *part, const char *source, const char *remote, uint64_t size, const struct extents *holes);

/* Syncs the data, then claims `have`. Once a sync has failed nothing more is claimed, and nothing gets its name. */
int part_save(struct part *part, const struct extents *have);

/*
 * The whole is there: it is synced, gets its time (0: as it is) and the name, in one step. `replace` false: -EEXIST
 * where the name is taken; `numbered` not NULL: then it is NAME or one of NAME.1, NAME.2 and so on that is free, and
 * *numbered which. On an error before that all is as it was; -EIO: it has its name, but the disk did not take the
 * directory.
 */
int part_commit(struct part *part, struct timespec modified, bool replace, unsigned *numbered);
/*
 * For inspection as NAME.bad, or as NAME.bad.1 to NAME.bad.3, and *number is which; nothing is replaced. -EEXIST: all
 * of those are taken. On any error but -EIO the part is removed.
 */
int part_set_aside(struct part *part, unsigned *number);
/* Where there is no .part: a journal that has lost its own. 0 or -errno. */
int part_remove(struct part *part);
void part_close(struct part *part);

/*
 * For a file that need not be fetched: removes what an earlier transfer of `remote` left beside it, which a kill
 * between its name and the end leaves. `all`: a .part, too, as nobody will go on with it. Blocks.
 */
void part_tidy(const char *local, const char *remote, bool all);

#endif
