/* An upload takes its name. */
#include "engine/store/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NUMBER_ATTEMPTS 1000 /* of as many who want a name at once each time one gets it */

/* Whether the name may be given to the new file, as things stand. */
static int may_name(const struct store_upload *upload, const char *expected)
{
    char etag[STORE_ETAG_SIZE];
    struct stat present;
    int rc = store_look(upload->store, upload->name, &present);

    if (rc == 0 && !S_ISREG(present.st_mode))
        return S_ISDIR(present.st_mode) ? -EISDIR : -EACCES;
    if (!expected)
        return 0;
    if (*expected == '\0')
        return rc == -ENOENT || rc == -ENOTDIR ? 0 : -EEXIST;
    if (rc < 0)
        return -ESTALE;
    store_etag(&present, etag);
    return strcmp(etag, expected) == 0 ? 0 : -ESTALE;
}

int store_link_file(int fd, int directory, const char *name)
{
    char path[STORE_DESCRIPTOR_SIZE];

    if (linkat(fd, "", directory, name, AT_EMPTY_PATH) == 0)
        return 0;
    if (errno != ENOENT && errno != EPERM) /* what those without CAP_DAC_READ_SEARCH get */
        return -errno;
    store_descriptor_path(fd, path);
    return linkat(AT_FDCWD, path, directory, name, AT_SYMLINK_FOLLOW) == 0 ? 0 : -errno;
}

void store_forget_temporary(struct store_upload *upload)
{
    free(upload->temporary);
    upload->temporary = NULL;
}

static int rename_over(struct store_upload *upload, int parent, const char *leaf, bool *created)
{
    struct stat present;

    *created = fstatat(parent, leaf, &present, AT_SYMLINK_NOFOLLOW) < 0;
    if (renameat(upload->directory, upload->temporary, parent, leaf) < 0)
        return -errno;
    store_forget_temporary(upload);
    return 0;
}

/* Three ways to take a name only where it is free; the last can be raced by those who do not go through this store. */
static int rename_new(struct store_upload *upload, int parent, const char *leaf, bool *created)
{
    unsigned lacks = upload->store->lacks;
    struct stat present;

    *created = true;
    if (!(lacks & STORE_LACKS_NOREPLACE)) {
        if (renameat2(upload->directory, upload->temporary, parent, leaf, RENAME_NOREPLACE) == 0) {
            store_forget_temporary(upload);
            return 0;
        }
        if (errno != EINVAL && errno != ENOSYS)
            return -errno;
    }
    if (!(lacks & STORE_LACKS_LINK)) {
        if (linkat(upload->directory, upload->temporary, parent, leaf, 0) == 0) {
            unlinkat(upload->directory, upload->temporary, 0);
            store_forget_temporary(upload);
            return 0;
        }
        if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS)
            return -errno;
    }
    if (fstatat(parent, leaf, &present, AT_SYMLINK_NOFOLLOW) == 0)
        return -EEXIST;
    return rename_over(upload, parent, leaf, created);
}

static int take_name(struct store_upload *upload, int parent, const char *leaf, const char *expected, bool *created)
{
    bool must_be_new = expected && *expected == '\0', must_be_there = expected && *expected;
    int rc = 0;

    if (!upload->temporary && !must_be_there) {
        rc = store_link_file(upload->fd, parent, leaf);
        if (rc != -EEXIST || must_be_new) {
            *created = true;
            return rc;
        }
    }
    if (!upload->temporary)
        rc = store_link_temporary(upload);
    if (rc < 0)
        return rc;
    return must_be_new ? rename_new(upload, parent, leaf, created) : rename_over(upload, parent, leaf, created);
}

/*
 * What takes a name that is free need not look whether it is, for linkat(2) does, nor keep others from looking: who saw
 * something there has it kept from being deleted. -EEXIST: it must be looked at.
 */
static int take_free_name(struct store_upload *upload, int parent, const char *leaf, const char *expected,
                          bool *created)
{
    if (upload->temporary || (expected && *expected))
        return -EEXIST;
    *created = true;
    return store_link_file(upload->fd, parent, leaf);
}

static int give_name(struct store_upload *upload, int parent, const char *leaf, const char *expected, bool *created)
{
    pthread_mutex_t *naming = &upload->store->naming->lock;

    int rc = take_free_name(upload, parent, leaf, expected, created);
    if (rc != -EEXIST)
        return rc;
    pthread_mutex_lock(naming);
    rc = may_name(upload, expected);
    if (rc == 0)
        rc = take_name(upload, parent, leaf, upload->numbered ? "" : expected, created);
    pthread_mutex_unlock(naming);
    return rc;
}

static int give_number(struct store_upload *upload, int parent, const char *leaf, unsigned number, bool *created)
{
    pthread_mutex_t *naming = &upload->store->naming->lock;
    char name[NAME_MAX + 1];

    if (store_number_name(name, leaf, number) < 0)
        return -ENAMETOOLONG;
    pthread_mutex_lock(naming);
    int rc = take_name(upload, parent, name, "", created);
    pthread_mutex_unlock(naming);
    *upload->numbered = number;
    return rc;
}

/*
 * The name is taken. Which other is free is looked up while nothing is held, for there may be thousands: whoever was
 * faster, also past this store, has that one, and there is another look.
 */
static int take_numbered(struct store_upload *upload, int parent, const char *leaf, bool *created)
{
    unsigned most = upload->numbered_most ? upload->numbered_most : STORE_NUMBERED_MAX;
    int rc = -EEXIST;

    for (unsigned i = 0; rc == -EEXIST && i < NUMBER_ATTEMPTS; i++) {
        unsigned number = store_free_number(parent, leaf, most);
        if (number == 0)
            return -EEXIST;
        rc = give_number(upload, parent, leaf, number, created);
    }
    return rc;
}

/* `parent`: the directory that has the name then, to be synced by the caller. */
static int publish(struct store_upload *upload, const char *expected, bool *created, struct stat *facts, int parent)
{
    const char *slash = strrchr(upload->name, '/'), *leaf = slash ? slash + 1 : upload->name;
    int rc = give_name(upload, parent, leaf, expected, created);

    if (upload->numbered)
        *upload->numbered = 0;
    if (rc == -EEXIST && upload->numbered && !expected)
        rc = take_numbered(upload, parent, leaf, created);

    /* Taking the name was a change, too: the tag is that of afterwards. */
    return rc == 0 && fstat(upload->fd, facts) < 0 ? -errno : rc;
}

int store_upload_commit(struct store_upload *upload, const char *expected, bool *created, struct stat *facts)
{
    const char *leaf;

    /* Asked twice: here, before anything is made or waited for, and again when it counts. */
    int rc = may_name(upload, expected);
    if (rc == 0)
        rc = store_sync(upload->fd);
    int parent = rc == 0 ? store_make_parent(upload->store, upload->name, &leaf) : rc;
    if (parent >= 0) {
        rc = publish(upload, expected, created, facts, parent);
        if (rc == 0 && store_sync(parent) < 0)
            rc = -EIO;
        close(parent);
    } else {
        rc = parent;
    }
    store_upload_abandon(upload); /* of a file that has its name this only closes */
    return rc;
}

/* A directory in which names of a batch stand. */
struct named_in {
    const struct store_upload *first; /* that goes there */
    int fd;
};

/* The directory for an upload's name, each opened once for a batch. A descriptor or -errno. */
static int parent_of(const struct store_upload *upload, struct named_in *parents, size_t *count)
{
    const char *leaf;

    for (size_t i = *count; i-- > 0;) {
        if (parents[i].first->store == upload->store && store_same_parent(parents[i].first->name, upload->name))
            return parents[i].fd;
    }
    int parent = store_make_parent(upload->store, upload->name, &leaf);
    if (parent >= 0)
        parents[(*count)++] = (struct named_in){ .first = upload, .fd = parent };
    return parent;
}

/* In memory there is no disk to wait for, and each call returns at once. */
static void sync_some(const struct store *store, const int *fds, int *results, size_t count)
{
    if (!store->in_memory) {
        store_sync_all(fds, results, count);
        return;
    }
    for (size_t i = 0; i < count; i++)
        results[i] = store_sync(fds[i]);
}

/*
 * Writing is begun for all files before the first is waited for, so that the file system's journal, once it is written,
 * is written for all of them.
 */
static void sync_all(struct store_batch *items, size_t count)
{
    bool begins = count > 1 && !items[0].upload.store->in_memory;
    int fds[STORE_BATCH_MAX], results[STORE_BATCH_MAX];
    size_t places[STORE_BATCH_MAX], good = 0;

    for (size_t i = 0; i < count; i++) {
        bool replaces = items[i].expected && *items[i].expected;
        items[i].result = replaces ? may_name(&items[i].upload, items[i].expected) : 0;
        if (items[i].result != 0)
            continue;
        if (begins)
            (void)!sync_file_range(items[i].upload.fd, 0, 0, SYNC_FILE_RANGE_WRITE);
        fds[good] = items[i].upload.fd;
        places[good++] = i;
    }
    sync_some(items[0].upload.store, fds, results, good);
    for (size_t i = 0; i < good; i++)
        items[places[i]].result = results[i];
}

/* The directories that the names stand in now. 0, or an error where the disk did not take one of them. */
static int sync_parents(const struct store *store, const struct named_in *parents, size_t count)
{
    int fds[STORE_BATCH_MAX], results[STORE_BATCH_MAX], error = 0;

    for (size_t i = 0; i < count; i++)
        fds[i] = parents[i].fd;
    sync_some(store, fds, results, count);
    for (size_t i = 0; i < count; i++) {
        error = results[i] < 0 ? results[i] : error;
        close(fds[i]);
    }
    return error;
}

void store_upload_commit_all(struct store_batch *items, size_t count)
{
    struct named_in parents[STORE_BATCH_MAX];
    size_t parent_count = 0;

    if (count == 0)
        return;
    sync_all(items, count);
    for (size_t i = 0; i < count; i++) {
        struct store_batch *item = &items[i];
        int parent = item->result == 0 ? parent_of(&item->upload, parents, &parent_count) : item->result;
        item->result =
            parent < 0 ? parent : publish(&item->upload, item->expected, &item->created, &item->facts, parent);
    }
    bool failed = sync_parents(items[0].upload.store, parents, parent_count) < 0;
    for (size_t i = count; i-- > 0;) { /* backwards: an earlier one may have lent its directory */
        if (failed && items[i].result == 0)
            items[i].result = -EIO;
        store_upload_abandon(&items[i].upload);
    }
}
