/* An upload takes its name. */
#include "engine/store/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

static int link_file(int fd, int directory, const char *name)
{
    char path[STORE_DESCRIPTOR_SIZE];

    if (linkat(fd, "", directory, name, AT_EMPTY_PATH) == 0)
        return 0;
    if (errno != ENOENT && errno != EPERM) /* what those without CAP_DAC_READ_SEARCH get */
        return -errno;
    store_descriptor_path(fd, path);
    return linkat(AT_FDCWD, path, directory, name, AT_SYMLINK_FOLLOW) == 0 ? 0 : -errno;
}

int store_link_temporary(struct store_upload *upload)
{
    char name[STORE_TEMPORARY_SIZE];
    int rc = store_temporary_name(name);

    if (rc == 0)
        rc = link_file(upload->fd, upload->directory, name);
    if (rc < 0)
        return rc;
    upload->temporary = strdup(name);
    if (upload->temporary)
        return 0;
    unlinkat(upload->directory, name, 0);
    return -ENOMEM;
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

/* Called with the store's `naming` held. */
static int give_name(struct store_upload *upload, int parent, const char *leaf, const char *expected, bool *created)
{
    bool must_be_new = expected && *expected == '\0', must_be_there = expected && *expected;
    int rc = may_name(upload, expected);
    if (rc < 0)
        return rc;
    if (!upload->temporary && !must_be_there) {
        rc = link_file(upload->fd, parent, leaf);
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

static int publish(struct store_upload *upload, const char *expected, bool *created, struct stat *facts)
{
    pthread_mutex_t *naming = &upload->store->naming->lock;
    const char *leaf;
    int parent = store_make_parent(upload->store, upload->name, &leaf);
    if (parent < 0)
        return parent;

    pthread_mutex_lock(naming);
    int rc = give_name(upload, parent, leaf, expected, created);
    pthread_mutex_unlock(naming);

    /* Taking the name was a change, too: the tag is that of afterwards. */
    if (rc == 0 && fstat(upload->fd, facts) < 0)
        rc = -errno;
    if (rc == 0 && store_sync(parent) < 0)
        rc = -EIO;
    close(parent);
    return rc;
}

int store_upload_commit(struct store_upload *upload, const char *expected, bool *created, struct stat *facts)
{
    /* Asked twice: here, before anything is made or waited for, and again when it counts. */
    int rc = may_name(upload, expected);
    if (rc == 0)
        rc = store_sync(upload->fd);
    if (rc == 0)
        rc = publish(upload, expected, created, facts);
    store_upload_abandon(upload); /* of a file that has its name this only closes */
    return rc;
}
