#include "engine/store/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Whether what has the name may go. The leaf itself is looked at, not where a link leads to. */
static int may_go(const struct store *store, const char *path, int parent, const char *leaf, const char *expected)
{
    char etag[STORE_ETAG_SIZE];
    struct stat entry, seen;

    if (fstatat(parent, leaf, &entry, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (S_ISDIR(entry.st_mode))
        return -EISDIR;
    if (!S_ISREG(entry.st_mode) && !S_ISLNK(entry.st_mode))
        return -EACCES;
    if (!expected)
        return 0;
    if (store_look(store, path, &seen) < 0)
        return -ESTALE;
    store_etag(&seen, etag);
    return strcmp(etag, expected) == 0 ? 0 : -ESTALE;
}

static int take_name(const struct store *store, const char *path, int parent, const char *leaf, const char *expected)
{
    int rc = may_go(store, path, parent, leaf, expected);

    if (rc == 0 && unlinkat(parent, leaf, 0) < 0)
        rc = -errno;
    return rc;
}

int store_delete(const struct store *store, const char *path, const char *expected)
{
    const char *leaf;
    int rc = store_check_file(path);

    if (rc < 0)
        return rc;
    int parent = store_open_parent(store, path, &leaf);
    if (parent < 0)
        return parent;
    pthread_mutex_lock(&store->naming->lock);
    rc = take_name(store, path, parent, leaf, expected);
    pthread_mutex_unlock(&store->naming->lock);
    if (rc == 0 && store_sync(parent) < 0)
        rc = -EIO;
    close(parent);
    return rc;
}
