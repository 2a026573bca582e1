/*
 * An upload that comes in parts: one private file beside its target, and a map of which bytes of it are there.
 *
 * The file is called after who sends it, the target's name and a token of the sender's, so that whoever knows all three
 * finds it again, on any connection and after any crash. The map never claims what is not on the disk: it is written
 * anew, and takes its name in one step, only after fdatasync() of what it claims. A map that is missing, damaged or of
 * another file claims nothing. One process has a partial open at a time (flock).
 *
 * Calls return 0 or -errno, and may block, but for those that say otherwise.
 */
#ifndef SLUICE_STORE_PARTIAL_H
#define SLUICE_STORE_PARTIAL_H

#include "engine/store/extents.h"
#include "engine/store/store.h"

#define STORE_PARTIAL_PREFIX STORE_PRIVATE "up-"
#define STORE_PARTIAL_SENDER (sizeof STORE_PARTIAL_PREFIX - 1 + 12) /* bytes: the same for all of one sender */
#define STORE_PARTIAL_KIN                                                                                              \
    (sizeof STORE_PARTIAL_PREFIX - 1 + 24) /* bytes: the same for all tokens of one sender and target */
#define STORE_PARTIAL_NAME_SIZE (STORE_PARTIAL_KIN + 1 + 24 + 1)
#define STORE_PARTIAL_MAP ".map" /* behind the name: its map (map.h) */

/* Where a partial lies, whether it is there or not. */
struct store_place {
    int directory; /* -1: none */
    dev_t device;  /* of the directory, as its inode */
    ino_t inode;
    bool hollow; /* the caller's: holes will be told of at once, so that its size says nothing of the room it takes */
    char name[STORE_PARTIAL_NAME_SIZE];
};

/*
 * `who` and `token` are any text. `make`: directories of the path that are missing are made. -ENOENT without `make`: a
 * directory is missing, so there is no such partial. -EISDIR, -EACCES as store_upload_begin().
 */
int store_place_find(const struct store *store, const char *path, const char *who, const char *token, bool make,
                     struct store_place *place);
void store_place_clear(struct store_place *place);

struct store_partial;

#define STORE_PARTIAL_ANY UINT64_MAX

/*
 * Opens what lies there. `size`: of the whole file; it is begun where it does not exist, and refused where there is no
 * room for what is missing (-ENOSPC); not 0. STORE_PARTIAL_ANY: only what exists already (-ENOENT). -ESTALE: it was
 * begun with another size; -EBUSY: another process has it open. The place stays the caller's.
 */
int store_partial_open(const struct store_place *place, uint64_t size, struct store_partial **partial);
void store_partial_close(struct store_partial *partial); /* does not keep; NULL is allowed */

int store_partial_fd(const struct store_partial *partial);
/* For one that was opened without: 0, or -ESTALE, -EINVAL, -EFBIG, -ENOSPC as above. Any thread. */
int store_partial_set_size(struct store_partial *partial, uint64_t size);

/* Asks the file system for the room of a part before it comes. */
int store_partial_reserve(struct store_partial *partial, uint64_t first, uint64_t length);

/*
 * Those bytes are zeros, as their sender says: they count as received, and take no room. What was received of them
 * stays as it is. 0, or -errno with some of them received: -EOPNOTSUPP where the file system makes no holes; -E2BIG.
 */
int store_partial_hollow(struct store_partial *partial, const struct extents *holes);

/* Gives back what was asked for and did not come, also before a crash. Nobody may write to it meanwhile. */
void store_partial_give_back(struct store_partial *partial);

/* These five may be called by any thread, and do not block. */
int store_partial_add(struct store_partial *partial, uint64_t first, uint64_t end); /* was written; extents_add() */
uint64_t store_partial_unkept(struct store_partial *partial); /* bytes added since the map was written */
bool store_partial_complete(struct store_partial *partial);
uint64_t store_partial_front(struct store_partial *partial);                    /* all bytes before this are there */
void store_partial_have(struct store_partial *partial, char *out, size_t size); /* extents_print(); as fits */

/* Puts on the disk what was written, then claims it in the map. After an error what was not claimed counts as lost. */
int store_partial_keep(struct store_partial *partial);

/*
 * The whole becomes the file `path`, as store_upload_commit() does it, but with any error before the name was given the
 * partial stays. -ENODATA: something is missing. Either way the caller closes it; nobody else may write to it.
 */
int store_partial_commit(struct store_partial *partial, const struct store *store, const char *path,
                         const char *expected, bool *created, struct stat *facts);

/*
 * It has its name, also where the disk may not have taken that (-EIO), or was dropped: nobody may write to it any more.
 */
bool store_partial_over(struct store_partial *partial);

/* Before that: as `numbered` of struct store_upload. */
void store_partial_number(struct store_partial *partial, unsigned *numbered);

/* In place of that: store_upload_set_aside(). Either way it is over. */
int store_partial_set_aside(struct store_partial *partial, const struct store *store, const char *path,
                            char name[STORE_BAD_NAME_SIZE]);

/* Removes it from the disk. */
void store_partial_drop(struct store_partial *partial);
/* The same for another where nobody has it open, of that name in a directory or beside one: 0, -EBUSY, -ENOENT. */
int store_place_drop(int directory, const char *name);
int store_partial_drop_beside(const struct store_partial *partial, const char *name);

/* Looks through a whole store for leftovers of uploads. Links are not followed. */
struct store_sweep {
    time_t before;                                                  /* last changed before this: removed */
    bool (*stop)(void *argument);                                   /* asked often; true ends it; may be NULL */
    void (*found)(void *argument, const struct store_place *place); /* a partial that stays; may be NULL */
    void *argument;
    uint64_t removed, bytes; /* the result: how many, and how large they were */
};
void store_sweep(const struct store *store, struct store_sweep *sweep);

#endif
