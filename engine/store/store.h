/*
 * A store: the directory tree behind a protocol, and the only code that opens files in it.
 *
 * Paths come from the wire and are relative to the root: "a/b". They are resolved beneath it with openat2
 * (RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS), so that neither "..", nor an absolute path, nor a symbolic link leads out.
 * Names that begin with STORE_PRIVATE belong to the store itself: they are neither served, listed nor written.
 *
 * A new file is written to a temporary one on the same file system and takes its name, in one step, only when it is
 * complete: fsync, rename, fsync of the directory. Until then nothing of it can be seen, and nothing is left when the
 * process dies, where the file system has O_TMPFILE.
 *
 * All calls but store_read_how() may block: run them as jobs.
 */
#ifndef SLUICE_STORE_H
#define SLUICE_STORE_H

#include <limits.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#define STORE_PRIVATE ".sluice-"

struct store;

/* `root` must be a directory that can be read. 0 or -errno. */
int store_open(struct store **store, const char *root);
struct store *store_hold(struct store *store); /* one more holder, who will store_close() it. Any thread */
void store_close(struct store *store);         /* with the last holder it is gone; NULL is allowed */
bool store_same(const struct store *store, const struct store *other); /* whether both are the same directory */
int store_directory(const struct store *store);
bool store_in_memory(const struct store *store); /* its root, at least: tmpfs or ramfs, where no disk is waited for */

/*
 * Checks a path from the wire, before any system call: 0, -ENOENT (a private name), -EINVAL (empty component, "." or
 * "..", control bytes are allowed), -ENAMETOOLONG. "" is the root; one trailing slash is allowed.
 */
int store_path_check(const char *path);

/* How to open a checked path for reading, for callers that open through a ring ("." for the root). */
struct open_how store_read_how(void);
/*
 * What must follow such an opening: looks at what was opened. 0, or -EACCES (neither file nor directory) or another
 * -errno; the descriptor stays the caller's. store_opened() then clears O_NONBLOCK, with which a ring does not wait for
 * the disk; where that is left out, store_wait_for_disk() must come before the ring reads.
 */
int store_opened(int fd, struct stat *facts);
int store_look_at(int fd, struct stat *facts);
int store_wait_for_disk(int fd);

/*
 * Opens a file or directory for reading: a descriptor, or -errno (-EXDEV: it leads out of the root; -EACCES: not
 * allowed, or neither file nor directory). As above, store_wait_for_disk() must come before a ring reads.
 */
int store_open_read(const struct store *store, const char *path, struct stat *facts);

#define STORE_ETAG_SIZE 64
/* A strong validator from inode, size and time of change, quotes included. */
void store_etag(const struct stat *facts, char etag[STORE_ETAG_SIZE]);

#define STORE_NUMBERED_MAX 9999

/*
 * The number of a name that is free of NAME.1, NAME.2 and so on up to `most`: the first, where there are few, or none
 * of them is missing in between. 0: all are taken. Some 30 are looked at, not thousands, unless the last ones are
 * taken.
 */
unsigned store_free_number(int directory, const char *name, unsigned most);
int store_number_name(char numbered[NAME_MAX + 1], const char *name, unsigned number); /* 0 or -ENAMETOOLONG */

/* A file on its way into the store. */
struct store_upload {
    int fd;          /* to write to; the store's: closed by commit and abandon */
    int directory;   /* private */
    char *name;      /* private */
    char *temporary; /* private; NULL while the file has no name */
    /*
     * NULL, or for whoever commits: a name that is taken is no error. The file gets NAME or else one of NAME.1, NAME.2
     * and so on, as store_free_number() finds it, and *numbered is set to that number (0: NAME). -EEXIST: none is free
     * up to `numbered_most` (0: STORE_NUMBERED_MAX).
     */
    unsigned *numbered;
    unsigned numbered_most;
    bool stays;                /* private; the temporary is left where it is, should it get no other name */
    bool beside;               /* private; `directory` is the one that will hold the name */
    bool borrowed;             /* private; `directory` is that of an earlier one of its batch */
    const struct store *store; /* private */
};

/*
 * `size`: for preallocation, or UINT64_MAX. 0 or -errno (-EISDIR: a directory has that name; -EACCES: something
 * that is no file has it, or it is not allowed; -ENOTDIR: a file is named as a directory). The store must outlive the
 * upload. Abandoning an upload that did not begin does nothing.
 */
int store_upload_begin(const struct store *store, const char *path, uint64_t size, struct store_upload *upload);
bool store_upload_is_new(const struct store_upload *upload); /* nothing at all stands under its name at the moment */
/*
 * Makes it visible under its name, and parent directories that are missing. `expected`: the etag that the present file
 * must have, "" for none may be there, NULL for anything; -EEXIST / -ESTALE where that does not hold. *created: nothing
 * stood there before. On any error nothing changed under the name and the upload is abandoned (but for -EIO, where the
 * disk did not take the directory with the new name in it). `facts`: of the new file.
 */
int store_upload_commit(struct store_upload *upload, const char *expected, bool *created, struct stat *facts);
/*
 * The same for many at once, which costs a file system with a journal hardly more than one: a directory is synced once
 * for all names in it. Each has a result of its own, as above; where a directory could not be synced, -EIO for all.
 */
#define STORE_BATCH_MAX 64
struct store_batch {
    struct store_upload upload;
    const char *expected;
    int result;
    bool created;
    struct stat facts;
};
void store_upload_commit_all(struct store_batch *items, size_t count); /* at most STORE_BATCH_MAX */
/*
 * Begins the upload of items[count], behind those that were begun so before and not abandoned since. It takes fewer
 * system calls than store_upload_begin(): where the one before goes into the same directory, that is not looked for
 * again, and what may keep the file from its name (-EISDIR, -EACCES) is only found by the commit. For small files which
 * are there already. 0 or -errno.
 */
int store_batch_begin(const struct store *store, const char *path, struct store_batch *items, size_t count);
/* All of it, in as many pieces as it takes. 0 or -errno; then some of it may have been written. */
int store_write_all(int fd, const char *bytes, size_t length);
void store_upload_abandon(struct store_upload *upload);
/* It is to take another name than it began with, just that. 0 or -errno, with nothing changed. */
int store_upload_rename(struct store_upload *upload, const char *path);

/*
 * Keeps the upload's file for inspection under a private name, beside where it would have stood, in place of an earlier
 * one for the same path; the upload is over. `name` is set to that of the file. 0 or -errno, with the upload abandoned.
 */
#define STORE_BAD_PREFIX STORE_PRIVATE "bad-"
#define STORE_BAD_NAME_SIZE (sizeof STORE_BAD_PREFIX + 32)
int store_upload_set_aside(struct store_upload *upload, char name[STORE_BAD_NAME_SIZE]);
int store_bad_name(const char *path, char name[STORE_BAD_NAME_SIZE]); /* the same for the same path; 0 or -errno */

/*
 * Deletes a file; of a symbolic link the link itself. `expected`: the etag that a reader must see there now, NULL for
 * anything. 0, or -errno with nothing deleted: -ENOENT, -EISDIR (a directory, or written as one), -ESTALE (another
 * etag), -EACCES (neither file nor link, or not allowed); -EIO: it is gone, but the disk did not take the directory.
 */
int store_delete(const struct store *store, const char *path, const char *expected);

/*
 * A home: the folder `path` of a store as a store of its own, whose root nothing leads out of. Made, parents too, where
 * it is missing (mode 0750 less the umask). Both may be used at once, also for the same files: conditions on what has a
 * name hold among a store and all its homes. The home may outlive the store; store_close() it. 0 or -errno (-EXDEV,
 * -ELOOP: a link leads out of the store; -ENOENT: a private name; -ENOTDIR: a file; -EINVAL: no folder's path).
 */
int store_home(const struct store *store, const char *path, struct store **home);

/*
 * Writes a small file into a directory that is named by the configuration, not by the wire, unless there is one of that
 * name already. It appears whole and durable, or not at all. 0 or -errno.
 */
int store_keep(const char *directory, const char *name, const char *text);

/* One entry of a listing. `name` is any bytes but NUL and '/'. */
struct store_entry {
    const char *name;
    bool directory;
    uint64_t size;
    struct timespec modified;
};
typedef int store_visit(void *argument, const struct store_entry *entry); /* non-zero ends the listing with that */

/* Visits regular files and directories of an open directory, sorted by name. Others and private names are left out. */
int store_list(int directory, size_t limit, store_visit *visit, void *argument); /* -E2BIG: more than `limit` entries */

#endif
