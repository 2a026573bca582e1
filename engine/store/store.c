#include "engine/store/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <unistd.h>

static struct store_naming *naming_hold(struct store_naming *naming)
{
    if (naming) {
        atomic_fetch_add(&naming->holders, 1);
        return naming;
    }
    naming = calloc(1, sizeof *naming);
    if (naming) {
        pthread_mutex_init(&naming->lock, NULL);
        atomic_init(&naming->holders, 1);
    }
    return naming;
}

static void naming_drop(struct store_naming *naming)
{
    if (!naming || atomic_fetch_sub(&naming->holders, 1) != 1)
        return;
    pthread_mutex_destroy(&naming->lock);
    free(naming);
}

/* A file without a name gets one by this path, unless we may do anything: without /proc it would never get it. */
static unsigned find_lacks(int root)
{
    char path[STORE_DESCRIPTOR_SIZE];

    store_descriptor_path(root, path);
    return faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : STORE_LACKS_TMPFILE;
}

static bool is_in_memory(int root)
{
    struct statfs facts;

    return fstatfs(root, &facts) == 0 && (facts.f_type == TMPFS_MAGIC || facts.f_type == RAMFS_MAGIC);
}

int store_new(struct store **store, int root, struct store_naming *naming)
{
    struct store *made = calloc(1, sizeof *made);
    struct store_naming *held = made ? naming_hold(naming) : NULL;

    if (!held) {
        free(made);
        close(root);
        return -ENOMEM;
    }
    *made = (struct store){ .root = root, .lacks = find_lacks(root), .in_memory = is_in_memory(root), .naming = held };
    atomic_init(&made->holders, 1);
    *store = made;
    return 0;
}

int store_open(struct store **store, const char *root)
{
    int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 ? -errno : store_new(store, fd, NULL);
}

struct store *store_hold(struct store *store)
{
    atomic_fetch_add_explicit(&store->holders, 1, memory_order_relaxed);
    return store;
}

bool store_same(const struct store *store, const struct store *other)
{
    struct stat a, b;

    return fstat(store->root, &a) == 0 && fstat(other->root, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

void store_close(struct store *store)
{
    if (!store || atomic_fetch_sub_explicit(&store->holders, 1, memory_order_acq_rel) != 1)
        return;
    naming_drop(store->naming);
    close(store->root);
    free(store);
}

bool store_in_memory(const struct store *store)
{
    return store->in_memory;
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
/* At least so many digits, and one sign behind them. */
static char *put_hex(char *at, uint64_t number, unsigned least, char sign)
{
    unsigned digits = 1;

    while (digits < 16 && (digits < least || number >> 4 * digits))
        digits++;
    for (unsigned i = digits; i-- > 0; number >>= 4)
        at[i] = "0123456789abcdef"[number & 15];
    at[digits] = sign;
    return at + digits + 1;
}

void store_etag(const struct stat *facts, char etag[STORE_ETAG_SIZE])
{
    _Static_assert(STORE_ETAG_SIZE >= 1 + 3 * 17 + 9 + 1, "four numbers and what stands around them");
    char *at = etag;

    *at++ = '"';
    at = put_hex(at, facts->st_ino, 1, '-');
    at = put_hex(at, (uint64_t)facts->st_size, 1, '-');
    at = put_hex(at, (uint64_t)facts->st_ctim.tv_sec, 1, '.');
    at = put_hex(at, (uint64_t)facts->st_ctim.tv_nsec & 0xffffffff, 8, '"');
    *at = '\0';
}

void store_descriptor_path(int fd, char path[STORE_DESCRIPTOR_SIZE])
{
    snprintf(path, STORE_DESCRIPTOR_SIZE, "/proc/self/fd/%d", fd);
}
