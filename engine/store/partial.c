#include "engine/store/partial.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "engine/store/map.h"
#include "engine/store/store_internal.h"

#define MODE 0666 /* less the umask, as that of every upload */
#define OPEN_ATTEMPTS 8
#define HASH_SHOWN 12 /* bytes of a hash that a name holds */
#define HASH_HALF 6
#define MAP STORE_PARTIAL_MAP
#define ROOM_SPARE (1u << 20) /* bytes that are not worth giving back */
#define SUFFIXED_SIZE (STORE_PARTIAL_NAME_SIZE + sizeof STORE_PARTIAL_MAP)
#define SOURCE_SIZE 32

struct store_partial {
    int directory, fd;
    uint64_t inode;
    char name[STORE_PARTIAL_NAME_SIZE];
    pthread_mutex_t lock;    /* of what follows */
    uint64_t size;           /* STORE_PARTIAL_ANY: not known */
    struct extents received; /* written, as far as this process knows */
    struct extents claimed;  /* by the map; part of `received` */
    uint64_t unkept;         /* bytes that were added since */
    pthread_mutex_t keeping; /* one at a time; of `over`, too */
    unsigned *numbered;      /* as in struct store_upload */
    bool over;               /* it has its name, or was dropped: there is nothing to be claimed any more */
};

/* -- names --------------------------------------------------------------------------------------------------------- */

static char *append_hash(char *next, const char *const *parts, size_t count, size_t shown)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char sum[SHA256_DIGEST_LENGTH];
    size_t length = 0;

    /* Each part with its NUL, so that no two lists of parts are the same bytes. */
    for (size_t i = 0; i < count; i++)
        length += strlen(parts[i]) + 1;
    char *bytes = malloc(length);
    if (!bytes)
        return NULL;
    char *at = bytes;
    for (size_t i = 0; i < count; i++)
        at = stpcpy(at, parts[i]) + 1;
    SHA256((unsigned char *)bytes, length, sum);
    free(bytes);
    for (size_t i = 0; i < shown; i++) {
        *next++ = digits[sum[i] >> 4];
        *next++ = digits[sum[i] & 15];
    }
    *next = '\0';
    return next;
}

static int call_it(struct store_place *place, const char *who, const char *leaf, const char *token)
{
    const char *parts[] = { who, leaf, token };
    char *next = append_hash(stpcpy(place->name, STORE_PARTIAL_PREFIX), parts, 1, HASH_HALF);

    if (next)
        next = append_hash(next, parts, 2, HASH_HALF);
    if (!next)
        return -ENOMEM;
    *next++ = '-';
    return append_hash(next, parts, 3, HASH_SHOWN) ? 0 : -ENOMEM;
}

int store_place_find(const struct store *store, const char *path, const char *who, const char *token, bool make,
                     struct store_place *place)
{
    struct stat facts;
    const char *leaf;

    *place = (struct store_place){ .directory = -1 };
    int rc = store_check_file(path);
    if (rc < 0)
        return rc;
    if (store_look(store, path, &facts) == 0 && !S_ISREG(facts.st_mode))
        return S_ISDIR(facts.st_mode) ? -EISDIR : -EACCES;
    place->directory = make ? store_make_parent(store, path, &leaf) : store_open_parent(store, path, &leaf);
    if (place->directory < 0)
        return place->directory;
    rc = fstat(place->directory, &facts) < 0 ? -errno : call_it(place, who, leaf, token);
    place->device = facts.st_dev;
    place->inode = facts.st_ino;
    if (rc < 0)
        store_place_clear(place);
    return rc;
}

void store_place_clear(struct store_place *place)
{
    if (place->directory >= 0)
        close(place->directory);
    place->directory = -1;
}

static void with_suffix(const char *name, const char *suffix, char out[SUFFIXED_SIZE])
{
    stpcpy(stpcpy(out, name), suffix);
}

static int remove_map(int directory, const char *name)
{
    char map[SUFFIXED_SIZE];

    with_suffix(name, MAP, map);
    return store_map_remove(directory, map);
}

/* The file first: a map without one claims nothing. */
static void remove_all(int directory, const char *name)
{
    unlinkat(directory, name, 0);
    remove_map(directory, name);
}

/* -- opening ------------------------------------------------------------------------------------------------------- */

/* 0, -EBUSY, or -EAGAIN: it has just lost its name, or another has it now. File systems without locks go without. */
static int lock_file(int directory, const char *name, int fd, struct stat *facts)
{
    struct stat named;

    if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
        return -EBUSY;
    if (fstat(fd, facts) < 0)
        return -errno;
    if (fstatat(directory, name, &named, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? -EAGAIN : -errno;
    if (named.st_ino != facts->st_ino || named.st_dev != facts->st_dev)
        return -EAGAIN;
    return S_ISREG(facts->st_mode) ? 0 : -EACCES;
}

/* What an earlier file of this name left must be gone for good before there is a file it could be taken to speak of. */
static int open_fresh(int directory, const char *name)
{
    char map[SUFFIXED_SIZE];
    struct stat facts;

    with_suffix(name, MAP, map);
    if (fstatat(directory, map, &facts, AT_SYMLINK_NOFOLLOW) == 0) {
        int rc = remove_map(directory, name);
        if (rc == 0)
            rc = store_sync(directory);
        if (rc < 0)
            return rc;
    }
    int fd = openat(directory, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, MODE);
    if (fd >= 0)
        return fd;
    return errno == EEXIST ? -EAGAIN : -errno;
}

/* It is ours, and nobody's who has it open at the moment: then its mode is about to be that of a file with a name. */
static int make_writable(int fd)
{
    struct stat facts;

    if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
        return -EBUSY;
    if (fstat(fd, &facts) < 0)
        return -errno;
    if (!S_ISREG(facts.st_mode))
        return -EACCES;
    return fchmod(fd, (facts.st_mode & 0777) | S_IWUSR) < 0 ? -errno : 0;
}

/* What its sender wants as its mode is set before it gets its name: an end between the two leaves one that is
 * read-only. */
static int open_present(int directory, const char *name)
{
    const int flags = O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    int fd = openat(directory, name, O_RDWR | flags);

    if (fd >= 0 || errno != EACCES)
        return fd < 0 ? -errno : fd;
    fd = openat(directory, name, O_RDONLY | flags);
    if (fd < 0)
        return -errno;
    int rc = make_writable(fd);
    close(fd);
    if (rc < 0)
        return rc;
    fd = openat(directory, name, O_RDWR | flags);
    return fd < 0 ? -errno : fd;
}

static int open_once(const struct store_place *place, bool make, struct stat *facts, bool *fresh)
{
    int fd = open_present(place->directory, place->name);

    *fresh = fd == -ENOENT;
    if (*fresh && make)
        fd = open_fresh(place->directory, place->name);
    if (fd < 0)
        return fd;
    int rc = lock_file(place->directory, place->name, fd, facts);
    if (rc < 0)
        close(fd);
    return rc < 0 ? rc : fd;
}

static int open_file(const struct store_place *place, bool make, struct stat *facts, bool *fresh)
{
    int rc = -EAGAIN;

    for (int i = 0; i < OPEN_ATTEMPTS && rc == -EAGAIN; i++)
        rc = open_once(place, make, facts, fresh);
    return rc == -EAGAIN ? -EBUSY : rc;
}

static int copy_extents(struct extents *to, const struct extents *from)
{
    for (size_t i = 0; i < from->count; i++) {
        int rc = extents_add(to, from->items[i].first, from->items[i].end);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Whose bytes a map claims: those of one file, not of another that came to have its name. */
static void print_source(const struct store_partial *partial, char source[SOURCE_SIZE])
{
    snprintf(source, SOURCE_SIZE, "inode-%llx", (unsigned long long)partial->inode);
}

static bool speaks_of(const struct store_map *map, const struct store_partial *partial, const struct stat *facts)
{
    const struct extents *have = &map->have;
    char source[SOURCE_SIZE];

    print_source(partial, source);
    return strcmp(map->source, source) == 0 &&
           (have->count == 0 || have->items[have->count - 1].end <= (uint64_t)facts->st_size);
}

/* A map that cannot be believed is as none: what it may have claimed is sent again. */
static int load_map(struct store_partial *partial, const struct stat *facts)
{
    char name[SUFFIXED_SIZE];
    struct store_map map;

    with_suffix(partial->name, MAP, name);
    int rc = store_map_load(&map, partial->directory, name);
    if (rc < 0)
        return rc == -ENOMEM || rc == -EMFILE || rc == -ENFILE ? rc : 0;
    if (speaks_of(&map, partial, facts)) {
        partial->size = map.size;
        partial->claimed = map.have;
        map.have = (struct extents){ 0 };
        rc = copy_extents(&partial->received, &partial->claimed);
    }
    store_map_clear(&map);
    return rc;
}

/* Only a look: others may take the room meanwhile, or leave some. Each part's is asked for when it comes. */
static int look_for_room(const struct store_partial *partial)
{
    struct statfs facts;
    struct stat present;

    if (fstatfs(partial->fd, &facts) < 0 || facts.f_blocks == 0 || fstat(partial->fd, &present) < 0)
        return 0;
    uint64_t has = (uint64_t)present.st_blocks * 512;
    if (has >= partial->size)
        return 0;
    return (partial->size - has) / (uint64_t)facts.f_bsize > facts.f_bavail ? -ENOSPC : 0;
}

static int check_size(uint64_t size)
{
    if (size == 0)
        return -EINVAL;
    return size > INT64_MAX ? -EFBIG : 0;
}

int store_partial_set_size(struct store_partial *partial, uint64_t size)
{
    int rc = check_size(size);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&partial->lock);
    bool first = partial->size == STORE_PARTIAL_ANY;
    if (first)
        partial->size = size;
    else if (partial->size != size)
        rc = -ESTALE;
    pthread_mutex_unlock(&partial->lock);
    return first ? look_for_room(partial) : rc;
}

static int begin(struct store_partial *partial, const struct stat *facts, bool fresh, uint64_t size)
{
    int rc = fresh ? 0 : load_map(partial, facts);

    if (rc < 0 || size == STORE_PARTIAL_ANY)
        return rc;
    rc = store_partial_set_size(partial, size);
    if (rc < 0 && fresh)
        remove_all(partial->directory, partial->name);
    return rc;
}

int store_partial_open(const struct store_place *place, uint64_t size, struct store_partial **out)
{
    struct stat facts;
    bool fresh = false;

    int rc = size == STORE_PARTIAL_ANY ? 0 : check_size(size);
    if (rc < 0)
        return rc;
    struct store_partial *partial = calloc(1, sizeof *partial);
    if (!partial)
        return -ENOMEM;
    partial->size = STORE_PARTIAL_ANY;
    partial->fd = -1;
    memcpy(partial->name, place->name, sizeof partial->name);
    pthread_mutex_init(&partial->lock, NULL);
    pthread_mutex_init(&partial->keeping, NULL);
    partial->directory = fcntl(place->directory, F_DUPFD_CLOEXEC, 0);
    if (partial->directory < 0)
        rc = -errno;
    if (rc == 0)
        rc = partial->fd = open_file(place, size != STORE_PARTIAL_ANY, &facts, &fresh);
    if (rc >= 0) {
        partial->inode = facts.st_ino;
        rc = begin(partial, &facts, fresh, size);
    }
    if (rc < 0) {
        store_partial_close(partial);
        return rc;
    }
    *out = partial;
    return 0;
}

void store_partial_close(struct store_partial *partial)
{
    if (!partial)
        return;
    if (partial->fd >= 0)
        close(partial->fd);
    if (partial->directory >= 0)
        close(partial->directory);
    extents_clear(&partial->received);
    extents_clear(&partial->claimed);
    pthread_mutex_destroy(&partial->lock);
    pthread_mutex_destroy(&partial->keeping);
    free(partial);
}

/* -- what is there ------------------------------------------------------------------------------------------------- */

int store_partial_fd(const struct store_partial *partial)
{
    return partial->fd;
}

/* As store_upload_begin() does it for a whole file; memory has no extents to note down. */
int store_partial_reserve(struct store_partial *partial, uint64_t first, uint64_t length)
{
    struct statfs facts;

    if (length == 0)
        return 0;
    if (fstatfs(partial->fd, &facts) == 0 && facts.f_type == TMPFS_MAGIC)
        return look_for_room(partial);
    while (fallocate(partial->fd, FALLOC_FL_KEEP_SIZE, (off_t)first, (off_t)length) < 0) {
        if (errno == EINTR)
            continue;
        return errno == EOPNOTSUPP || errno == ENOSYS ? 0 : -errno;
    }
    return 0;
}

static void free_room(struct store_partial *partial, uint64_t length)
{
    uint64_t first, end = 0;

    while (extents_next_missing(&partial->received, length, end, &first, &end))
        (void)!fallocate(partial->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)first, (off_t)(end - first));
    (void)!ftruncate(partial->fd, (off_t)length); /* what lies behind its end */
}

void store_partial_give_back(struct store_partial *partial)
{
    struct stat facts;

    pthread_mutex_lock(&partial->keeping);
    if (!partial->over && fstat(partial->fd, &facts) == 0 &&
        (uint64_t)facts.st_blocks * 512 > extents_total(&partial->received) + ROOM_SPARE)
        free_room(partial, (uint64_t)facts.st_size);
    pthread_mutex_unlock(&partial->keeping);
}

int store_partial_add(struct store_partial *partial, uint64_t first, uint64_t end)
{
    pthread_mutex_lock(&partial->lock);
    int rc = extents_add(&partial->received, first, end);
    if (rc == 0)
        partial->unkept += end - first;
    pthread_mutex_unlock(&partial->lock);
    return rc;
}

uint64_t store_partial_unkept(struct store_partial *partial)
{
    pthread_mutex_lock(&partial->lock);
    uint64_t unkept = partial->unkept;
    pthread_mutex_unlock(&partial->lock);
    return unkept;
}

bool store_partial_complete(struct store_partial *partial)
{
    pthread_mutex_lock(&partial->lock);
    bool complete = partial->size != STORE_PARTIAL_ANY && extents_hold(&partial->received, 0, partial->size);
    pthread_mutex_unlock(&partial->lock);
    return complete;
}

uint64_t store_partial_front(struct store_partial *partial)
{
    uint64_t first, end;

    pthread_mutex_lock(&partial->lock);
    bool missing = extents_next_missing(&partial->received, UINT64_MAX, 0, &first, &end);
    pthread_mutex_unlock(&partial->lock);
    return missing ? first : UINT64_MAX;
}

void store_partial_have(struct store_partial *partial, char *out, size_t size)
{
    pthread_mutex_lock(&partial->lock);
    extents_print(&partial->received, out, size);
    pthread_mutex_unlock(&partial->lock);
}

/* -- the map ------------------------------------------------------------------------------------------------------- */

static int write_map(const struct store_partial *partial, const struct extents *have)
{
    char name[SUFFIXED_SIZE], source[SOURCE_SIZE], nothing[] = "";
    const struct store_map map = { .size = partial->size, .source = source, .name = nothing, .have = *have };

    with_suffix(partial->name, MAP, name);
    print_source(partial, source);
    return store_map_save(&map, partial->directory, name, true);
}

static void forget_unclaimed(struct store_partial *partial)
{
    pthread_mutex_lock(&partial->lock);
    extents_clear(&partial->received);
    partial->unkept = 0;
    /* Without memory it is even less that counts, which is right as well. */
    copy_extents(&partial->received, &partial->claimed);
    pthread_mutex_unlock(&partial->lock);
}

/* What is written meanwhile is not part of `snapshot`, nor of `added`, and waits for the next time. */
static int keep(struct store_partial *partial, struct extents *snapshot, uint64_t added)
{
    /* After an error the kernel may take what it lost for written: it must come again. */
    if (fdatasync(partial->fd) < 0 && errno != EINVAL && errno != EROFS) {
        int rc = -errno;
        forget_unclaimed(partial);
        return rc;
    }
    int rc = write_map(partial, snapshot);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&partial->lock);
    extents_clear(&partial->claimed);
    partial->claimed = *snapshot;
    partial->unkept -= added;
    *snapshot = (struct extents){ 0 };
    pthread_mutex_unlock(&partial->lock);
    return 0;
}

int store_partial_keep(struct store_partial *partial)
{
    struct extents snapshot = { 0 };

    pthread_mutex_lock(&partial->keeping);
    pthread_mutex_lock(&partial->lock);
    bool idle = partial->over || partial->size == STORE_PARTIAL_ANY; /* of unknown size: nobody could write */
    int rc = idle ? 0 : copy_extents(&snapshot, &partial->received);
    uint64_t added = partial->unkept;
    pthread_mutex_unlock(&partial->lock);
    if (rc == 0 && !idle)
        rc = keep(partial, &snapshot, added);
    pthread_mutex_unlock(&partial->keeping);
    extents_clear(&snapshot);
    return rc;
}

/* -- the end ------------------------------------------------------------------------------------------------------- */

/* A descriptor of the upload's own, since it closes what it has. */
static int make_upload(const struct store_partial *partial, const struct store *store, const char *path,
                       struct store_upload *upload)
{
    *upload = (struct store_upload){ .fd = fcntl(partial->fd, F_DUPFD_CLOEXEC, 0),
                                     .directory = fcntl(partial->directory, F_DUPFD_CLOEXEC, 0),
                                     .name = strdup(path),
                                     .temporary = strdup(partial->name),
                                     .numbered = partial->numbered,
                                     .stays = true,
                                     .store = store };
    if (upload->fd >= 0 && upload->directory >= 0 && upload->name && upload->temporary)
        return 0;
    int rc = upload->name && upload->temporary ? -EMFILE : -ENOMEM;
    store_upload_abandon(upload);
    return rc;
}

static int give_name(struct store_partial *partial, const struct store *store, const char *path, const char *expected,
                     bool *created, struct stat *facts)
{
    struct store_upload upload;
    struct stat present;

    if (fstat(partial->fd, &present) < 0)
        return -errno;
    if ((uint64_t)present.st_size < partial->size)
        return -EIO; /* somebody else was at it */
    /* One that was begun with another size, of which its map said nothing any more, may be longer. */
    if ((uint64_t)present.st_size > partial->size && ftruncate(partial->fd, (off_t)partial->size) < 0)
        return -errno;
    /* As keep() does: the kernel tells of what it lost once, and a second try would find nothing wrong. */
    int rc = store_sync(partial->fd);
    if (rc < 0) {
        forget_unclaimed(partial);
        return rc;
    }
    rc = make_upload(partial, store, path, &upload);
    if (rc == 0)
        rc = store_upload_commit(&upload, expected, created, facts);
    partial->over = rc == 0 || fstatat(partial->directory, partial->name, &present, AT_SYMLINK_NOFOLLOW) < 0;
    if (partial->over)
        remove_map(partial->directory, partial->name);
    return rc;
}

int store_partial_commit(struct store_partial *partial, const struct store *store, const char *path,
                         const char *expected, bool *created, struct stat *facts)
{
    if (!store_partial_complete(partial))
        return -ENODATA;
    pthread_mutex_lock(&partial->keeping);
    int rc = give_name(partial, store, path, expected, created, facts);
    pthread_mutex_unlock(&partial->keeping);
    return rc;
}

bool store_partial_over(struct store_partial *partial)
{
    pthread_mutex_lock(&partial->keeping);
    bool over = partial->over;
    pthread_mutex_unlock(&partial->keeping);
    return over;
}

void store_partial_number(struct store_partial *partial, unsigned *numbered)
{
    partial->numbered = numbered;
}

int store_partial_set_aside(struct store_partial *partial, const struct store *store, const char *path,
                            char name[STORE_BAD_NAME_SIZE])
{
    struct store_upload upload;

    pthread_mutex_lock(&partial->keeping);
    int rc = make_upload(partial, store, path, &upload);
    if (rc == 0) {
        upload.stays = false;
        rc = store_upload_set_aside(&upload, name);
    }
    partial->over = true;
    remove_all(partial->directory, partial->name);
    pthread_mutex_unlock(&partial->keeping);
    return rc;
}

void store_partial_drop(struct store_partial *partial)
{
    pthread_mutex_lock(&partial->keeping);
    partial->over = true;
    remove_all(partial->directory, partial->name);
    pthread_mutex_unlock(&partial->keeping);
}

int store_partial_drop_beside(const struct store_partial *partial, const char *name)
{
    return store_place_drop(partial->directory, name);
}

int store_place_drop(int directory, const char *name)
{
    struct stat facts;
    int fd = open_present(directory, name);

    if (fd < 0)
        return fd;
    int rc = lock_file(directory, name, fd, &facts);
    if (rc == 0)
        remove_all(directory, name);
    close(fd);
    return rc == -EAGAIN ? -ENOENT : rc;
}
