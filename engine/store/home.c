/* A folder of a store as a store of its own. */
#include "engine/store/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOME_MODE 0750 /* less the umask */

static int make_home(const struct store *store, const char *path)
{
    const char *leaf;
    int parent = store_make_parent(store, path, &leaf);

    if (parent < 0)
        return parent;
    int rc = mkdirat(parent, leaf, HOME_MODE) < 0 && errno != EEXIST ? -errno : store_sync(parent);
    close(parent);
    return rc;
}

int store_home(const struct store *store, const char *path, struct store **home)
{
    int rc = *path ? store_check_file(path) : -EINVAL;

    if (rc < 0)
        return rc == -EISDIR ? -EINVAL : rc;
    int fd = store_resolve(store->root, path, O_RDONLY | O_DIRECTORY);
    if (fd == -ENOENT) {
        rc = make_home(store, path);
        if (rc < 0)
            return rc;
        fd = store_resolve(store->root, path, O_RDONLY | O_DIRECTORY);
    }
    if (fd < 0)
        return fd;
    rc = store_new(home, fd, store->naming);
    if (rc == 0)
        (*home)->lacks = store->lacks;
    return rc;
}
