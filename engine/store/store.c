#include "engine/store/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

int store_open(struct store **store, const char *root)
{
    int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    struct store *made = calloc(1, sizeof *made);
    if (!made) {
        close(fd);
        return -ENOMEM;
    }
    made->root = fd;
    pthread_mutex_init(&made->naming, NULL);
    *store = made;
    return 0;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    pthread_mutex_destroy(&store->naming);
    close(store->root);
    free(store);
}

int store_directory(const struct store *store)
{
    return store->root;
}

/*
 * The time of change, not of modification: anybody may set the latter back (tar, rsync -t and cp -p do), and a file of
 * the same size with other bytes would then have the old tag, and a resumed transfer would join two files. That a chmod
 * changes the tag, too, costs a transfer that starts again.
 */
void store_etag(const struct stat *facts, char etag[STORE_ETAG_SIZE])
{
    snprintf(etag, STORE_ETAG_SIZE, "\"%llx-%llx-%llx.%08lx\"", (unsigned long long)facts->st_ino,
             (unsigned long long)facts->st_size, (unsigned long long)facts->st_ctim.tv_sec,
             (unsigned long)facts->st_ctim.tv_nsec & 0xffffffff);
}

int store_sync(int fd)
{
    if (fsync(fd) == 0 || errno == EINVAL || errno == EROFS) /* a file system without it */
        return 0;
    return -errno;
}

void store_descriptor_path(int fd, char path[STORE_DESCRIPTOR_SIZE])
{
    snprintf(path, STORE_DESCRIPTOR_SIZE, "/proc/self/fd/%d", fd);
}
