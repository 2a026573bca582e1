#include "engine/store/partial_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "engine/store/map.h"
#include "engine/store/store_internal.h"

#define MAP STORE_PARTIAL_MAP
#define ROOM_SPARE (1u << 20) /* bytes that are not worth giving back */
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
    bool hollow;             /* some of `received` takes no room */
    pthread_mutex_t keeping; /* one at a time; of `over`, too */
    unsigned *numbered;      /* as in struct store_upload */
    bool over;               /* it has its name, or was dropped: there is nothing to be claimed any more */
};

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
    char name[STORE_SUFFIXED_SIZE];
    struct store_map map;

    store_place_suffix(partial->name, MAP, name);
    int rc = store_map_load(&map, partial->directory, name);
    if (rc < 0)
        return rc == -ENOMEM || rc == -EMFILE || rc == -ENFILE ? rc : 0;
    if (speaks_of(&map, partial, facts)) {
        partial->size = map.size;
        partial->claimed = map.have;
        map.have = (struct extents){ 0 };
        partial->hollow = extents_total(&partial->claimed) > (uint64_t)facts->st_blocks * 512;
        rc = extents_add_all(&partial->received, &partial->claimed);
    }
    store_map_clear(&map);
    return rc;
}

/* Only a look: others may take the room meanwhile, or leave some. Each part's is asked for when it comes. */
static int look_for_room(struct store_partial *partial)
{
    struct statfs facts;
    struct stat present;

    if (fstatfs(partial->fd, &facts) < 0 || facts.f_blocks == 0 || fstat(partial->fd, &present) < 0)
        return 0;
    uint64_t has = (uint64_t)present.st_blocks * 512;
    pthread_mutex_lock(&partial->lock);
    uint64_t received = extents_total(&partial->received); /* with holes, which have no blocks */
    pthread_mutex_unlock(&partial->lock);
    if (has < received)
        has = received;
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

static int set_size(struct store_partial *partial, uint64_t size, bool looks)
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
    return first && looks ? look_for_room(partial) : rc;
}

int store_partial_set_size(struct store_partial *partial, uint64_t size)
{
    return set_size(partial, size, true);
}

static int begin(struct store_partial *partial, const struct stat *facts, bool fresh, bool looks, uint64_t size)
{
    int rc = fresh ? 0 : load_map(partial, facts);

    if (rc < 0 || size == STORE_PARTIAL_ANY)
        return rc;
    rc = set_size(partial, size, looks);
    if (rc < 0 && fresh)
        store_place_remove(partial->directory, partial->name);
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
        rc = partial->fd = store_place_open(place, size != STORE_PARTIAL_ANY, &facts, &fresh);
    if (rc >= 0) {
        partial->inode = facts.st_ino;
        rc = begin(partial, &facts, fresh, !place->hollow, size);
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

static int punch(int fd, uint64_t first, uint64_t end)
{
    while (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)first, (off_t)(end - first)) < 0) {
        if (errno != EINTR)
            return errno == ENOSYS ? -EOPNOTSUPP : -errno;
    }
    return 0;
}

/* By a write, which makes no file shorter that others write to meanwhile. */
static int reach(int fd, uint64_t end)
{
    struct stat facts;

    if (fstat(fd, &facts) < 0)
        return -errno;
    while ((uint64_t)facts.st_size < end) {
        if (pwrite(fd, "", 1, (off_t)(end - 1)) == 1)
            return 0;
        if (errno != EINTR)
            return -errno;
    }
    return 0;
}

int store_partial_hollow(struct store_partial *partial, const struct extents *holes)
{
    struct extents missing = { 0 };
    int rc = 0;

    pthread_mutex_lock(&partial->lock);
    for (size_t i = 0; i < holes->count && rc == 0; i++)
        rc = extents_add_missing(&partial->received, holes->items[i].first, holes->items[i].end, &missing);
    partial->hollow |= missing.count > 0;
    pthread_mutex_unlock(&partial->lock);
    for (size_t i = 0; i < missing.count && rc == 0; i++) {
        rc = reach(partial->fd, missing.items[i].end);
        if (rc == 0)
            rc = punch(partial->fd, missing.items[i].first, missing.items[i].end);
        if (rc == 0)
            rc = store_partial_add(partial, missing.items[i].first, missing.items[i].end);
    }
    extents_clear(&missing);
    return rc;
}

static void free_room(struct store_partial *partial, uint64_t length)
{
    uint64_t first, end = 0;

    while (extents_next_missing(&partial->received, length, end, &first, &end))
        (void)punch(partial->fd, first, end);
    (void)!ftruncate(partial->fd, (off_t)length); /* what lies behind its end */
}

void store_partial_give_back(struct store_partial *partial)
{
    struct stat facts;

    pthread_mutex_lock(&partial->keeping);
    if (!partial->over && fstat(partial->fd, &facts) == 0 &&
        (partial->hollow || (uint64_t)facts.st_blocks * 512 > extents_total(&partial->received) + ROOM_SPARE))
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
    char name[STORE_SUFFIXED_SIZE], source[SOURCE_SIZE], nothing[] = "";
    const struct store_map map = { .size = partial->size, .source = source, .name = nothing, .have = *have };

    store_place_suffix(partial->name, MAP, name);
    print_source(partial, source);
    return store_map_save(&map, partial->directory, name, true);
}

static void forget_unclaimed(struct store_partial *partial)
{
    pthread_mutex_lock(&partial->lock);
    extents_clear(&partial->received);
    partial->unkept = 0;
    /* Without memory it is even less that counts, which is right as well. */
    extents_add_all(&partial->received, &partial->claimed);
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
    int rc = idle ? 0 : extents_add_all(&snapshot, &partial->received);
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
        store_place_remove_map(partial->directory, partial->name);
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
    store_place_remove(partial->directory, partial->name);
    pthread_mutex_unlock(&partial->keeping);
    return rc;
}

void store_partial_drop(struct store_partial *partial)
{
    pthread_mutex_lock(&partial->keeping);
    partial->over = true;
    store_place_remove(partial->directory, partial->name);
    pthread_mutex_unlock(&partial->keeping);
}

int store_partial_drop_beside(const struct store_partial *partial, const char *name)
{
    return store_place_drop(partial->directory, name);
}
