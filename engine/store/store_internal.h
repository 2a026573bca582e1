/* Private to this folder and its tests. */
#ifndef SLUICE_STORE_INTERNAL_H
#define SLUICE_STORE_INTERNAL_H

#include "engine/store/store.h"

#include <pthread.h>
#include <stdatomic.h>

/* What a file system may lack: found out by trying; tests may say so beforehand. */
#define STORE_LACKS_TMPFILE 1u   /* O_TMPFILE */
#define STORE_LACKS_NOREPLACE 2u /* RENAME_NOREPLACE */
#define STORE_LACKS_LINK 4u      /* hard links */

/* Held from looking at what has a name to giving the name away. One for a store and all homes in it. */
struct store_naming {
    pthread_mutex_t lock;
    atomic_uint holders;
};

struct store {
    atomic_uint holders;
    int root;
    unsigned lacks;
    bool in_memory;
    struct store_naming *naming;
};

/* `root` is the store's from here on, also where there is no memory. `naming` NULL: one of its own. */
int store_new(struct store **store, int root, struct store_naming *naming);

/* As store_path_check(); and -EISDIR where the path is the root, or written as a directory. */
int store_check_file(const char *path);

/* openat2 beneath `directory`; a descriptor or -errno. Tried again where a rename came between. */
int store_resolve(int directory, const char *path, uint64_t flags);

/* What has the name now, seen as a reader sees it, but unopened. 0 or -errno. */
int store_look(const struct store *store, const char *path, struct stat *facts);

/* Whether two paths name the same directory above. */
bool store_same_parent(const char *one, const char *other);

/* Opens the directory that holds `path`'s last component; *leaf points to that. A descriptor or -errno. */
int store_open_parent(const struct store *store, const char *path, const char **leaf);
/* Opens the nearest directory above that exists; *rest points to what is missing of the path, or to the leaf. */
int store_open_nearest(const struct store *store, const char *path, const char **rest);
/* The same as store_open_parent(), but makes what is missing, durably. */
int store_make_parent(const struct store *store, const char *path, const char **leaf);

/* fsync, as far as the file system knows it. 0 or -errno. */
int store_sync(int fd);
/* The same for up to STORE_BATCH_MAX, each with a result of its own, in the time of a few. */
void store_sync_all(const int *fds, int *results, size_t count);

/* The path by which an open file can be linked that has no name. */
#define STORE_DESCRIPTOR_SIZE 32
void store_descriptor_path(int fd, char path[STORE_DESCRIPTOR_SIZE]);

/* Gives an open file without a name one that is free; -EEXIST: it is not. 0 or -errno. */
int store_link_file(int fd, int directory, const char *name);

/* Gives an upload that has no name a private one, or makes its file under one. 0 or -errno. */
int store_link_temporary(struct store_upload *upload);
int store_make_temporary(struct store_upload *upload);
void store_forget_temporary(struct store_upload *upload); /* the name that was the temporary's is gone */

/* What the attribute's text, which is taken apart, says of a file in this state; adds to `set`. 0 or -ENOENT. */
struct digest_set;
int store_digest_read(char *text, const struct stat *facts, struct digest_set *set);

/* Overwrites `name` (of STORE_TEMPORARY_SIZE) with a fresh private name. 0 or -errno. */
#define STORE_TEMPORARY_SIZE (sizeof STORE_PRIVATE + 32)
int store_temporary_name(char *name);

#endif
