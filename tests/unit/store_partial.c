// rooms: store
#include "engine/store/partial.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "engine/store/map.h"
#include "engine/store/store_internal.h"

#define SIZE 100000

struct tree {
    char path[64];
    int root;
    struct store *store;
};

static struct tree plant(void)
{
    struct tree tree = { .path = "/tmp/sluice-partial-XXXXXX" };

    assert_non_null(mkdtemp(tree.path));
    tree.root = open(tree.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(store_open(&tree.store, tree.path), 0);
    return tree;
}

static int remove_one(const char *path, const struct stat *facts, int type, struct FTW *walk)
{
    (void)facts, (void)type, (void)walk;
    return remove(path);
}

static void fell(struct tree *tree)
{
    store_close(tree->store);
    close(tree->root);
    assert_int_equal(nftw(tree->path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static struct store_place place_of(const struct tree *tree, const char *path, const char *who, const char *token)
{
    struct store_place place;

    assert_int_equal(store_place_find(tree->store, path, who, token, true, &place), 0);
    return place;
}

/* The usual one: dir/file, of somebody, with a token. */
static int open_usual(const struct tree *tree, uint64_t size, struct store_partial **partial)
{
    struct store_place place = place_of(tree, "dir/file", "somebody", "token");
    int rc = store_partial_open(&place, size, partial);

    store_place_clear(&place);
    return rc;
}

static struct store_partial *must_open(const struct tree *tree)
{
    struct store_partial *partial = NULL;

    assert_int_equal(open_usual(tree, SIZE, &partial), 0);
    return partial;
}

static uint8_t byte_at(uint64_t position)
{
    return (uint8_t)(position * 7 + (position >> 8));
}

static void put(struct store_partial *partial, uint64_t first, uint64_t end)
{
    uint8_t bytes[SIZE];

    for (uint64_t i = first; i < end; i++)
        bytes[i - first] = byte_at(i);
    assert_int_equal(pwrite(store_partial_fd(partial), bytes, end - first, (off_t)first), (ssize_t)(end - first));
    assert_int_equal(store_partial_add(partial, first, end), 0);
}

static void assert_has(struct store_partial *partial, const char *wanted)
{
    char have[512];

    store_partial_have(partial, have, sizeof have);
    assert_string_equal(have, wanted);
}

static unsigned count_files(const struct tree *tree, const char *directory)
{
    char command[200];
    unsigned count = 0;

    snprintf(command, sizeof command, "find %s/%s -type f | wc -l", tree->path, directory);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_int_equal(fscanf(pipe, "%u", &count), 1);
    pclose(pipe);
    return count;
}

static void assert_whole(const struct tree *tree, const char *name)
{
    char path[128];
    uint8_t bytes[SIZE + 1];

    snprintf(path, sizeof path, "%s/%s", tree->path, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, bytes, sizeof bytes), SIZE);
    close(fd);
    for (uint64_t i = 0; i < SIZE; i++)
        assert_int_equal(bytes[i], byte_at(i));
}

static void becomes_the_file_when_all_is_there(void **state)
{
    (void)state;
    struct tree tree = plant();
    struct store_partial *partial = must_open(&tree);
    struct stat facts;
    bool created = false;

    assert_has(partial, "none");
    assert_int_equal(store_partial_reserve(partial, 50000, 50000), 0);
    put(partial, 50000, SIZE);
    assert_int_equal(store_partial_commit(partial, tree.store, "dir/file", NULL, &created, &facts), -ENODATA);
    put(partial, 0, 50000);
    assert_int_equal(store_partial_unkept(partial), SIZE);
    assert_int_equal(store_partial_keep(partial), 0);
    assert_int_equal(store_partial_unkept(partial), 0);
    assert_int_equal(count_files(&tree, "dir"), 2);
    assert_true(store_partial_complete(partial));
    assert_int_equal(store_partial_commit(partial, tree.store, "dir/file", "", &created, &facts), 0);
    assert_true(created);
    assert_int_equal(facts.st_size, SIZE);
    /* A last look of whoever keeps the maps must not bring one back. */
    assert_int_equal(store_partial_keep(partial), 0);
    store_partial_close(partial);
    assert_whole(&tree, "dir/file");
    assert_int_equal(count_files(&tree, "dir"), 1);
    fell(&tree);
}

static void what_was_kept_is_found_again_and_nothing_else(void **state)
{
    (void)state;
    struct tree tree = plant();
    struct store_partial *partial = must_open(&tree);

    put(partial, 0, 1000);
    assert_int_equal(store_partial_keep(partial), 0);
    put(partial, 5000, 6000); /* then the process dies */
    assert_has(partial, "0-999,5000-5999");
    store_partial_close(partial);

    partial = must_open(&tree);
    assert_has(partial, "0-999");
    put(partial, 2000, 3000);
    assert_int_equal(store_partial_keep(partial), 0);
    store_partial_close(partial);
    assert_int_equal(open_usual(&tree, STORE_PARTIAL_ANY, &partial), 0);
    assert_has(partial, "0-999,2000-2999");
    assert_int_equal(store_partial_set_size(partial, SIZE + 1), -ESTALE);
    assert_int_equal(store_partial_set_size(partial, SIZE), 0);
    store_partial_close(partial);
    assert_int_equal(open_usual(&tree, SIZE - 1, &partial), -ESTALE);
    fell(&tree);
}

static void another_token_sender_or_name_is_another_upload(void **state)
{
    (void)state;
    struct tree tree = plant();
    const char *const others[][3] = { { "dir/file", "somebody", "other" },
                                      { "dir/file", "somebodyelse", "token" },
                                      { "dir/file2", "somebody", "token" },
                                      { "dir/file", "some", "bodytoken" },
                                      { "file", "somebody", "token" } };
    struct store_partial *partial = must_open(&tree), *none = NULL;
    struct store_place usual = place_of(&tree, "dir/file", "somebody", "token");

    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct store_place place = place_of(&tree, others[i][0], others[i][1], others[i][2]);
        assert_true(strcmp(place.name, usual.name) != 0 || place.inode != usual.inode);
        assert_int_equal(store_partial_open(&place, STORE_PARTIAL_ANY, &none), -ENOENT);
        assert_int_equal(strncmp(place.name, usual.name, STORE_PARTIAL_SENDER) == 0, i != 1 && i != 3);
        assert_int_equal(strncmp(place.name, usual.name, STORE_PARTIAL_KIN) == 0, i == 0 || i == 4);
        store_place_clear(&place);
    }
    store_place_clear(&usual);
    store_partial_close(partial);
    fell(&tree);
}

static void paths_that_are_no_file_are_refused(void **state)
{
    (void)state;
    struct tree tree = plant();
    struct store_place place;
    static const struct {
        const char *path;
        int error;
    } refused[] = { { "folder", -EISDIR },      { "", -EISDIR },     { "folder/", -EISDIR },
                    { "../file", -EINVAL },     { "fifo", -EACCES }, { ".sluice-up-x", -ENOENT },
                    { "folder/../x", -EINVAL }, { "out/x", -EXDEV }, { "missing/x", -ENOENT } };

    assert_int_equal(mkdirat(tree.root, "folder", 0755), 0);
    assert_int_equal(mkfifoat(tree.root, "fifo", 0644), 0);
    assert_int_equal(symlinkat("/tmp", tree.root, "out"), 0);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        assert_int_equal(store_place_find(tree.store, refused[i].path, "w", "t", false, &place), refused[i].error);
    assert_int_equal(store_place_find(tree.store, "missing/deep/x", "w", "t", true, &place), 0);
    store_place_clear(&place);
    fell(&tree);
}

static void sizes_that_no_file_has_are_refused(void **state)
{
    (void)state;
    struct tree tree = plant();
    struct store_partial *partial = NULL;

    assert_int_equal(open_usual(&tree, 0, &partial), -EINVAL);
    assert_int_equal(open_usual(&tree, (uint64_t)INT64_MAX + 1, &partial), -EFBIG);
    assert_int_equal(open_usual(&tree, (uint64_t)1 << 60, &partial), -ENOSPC);
    assert_int_equal(count_files(&tree, "."), 0);
    fell(&tree);
}

static void map_path(const struct tree *tree, char path[256])
{
    struct store_place place = place_of(tree, "dir/file", "somebody", "token");

    snprintf(path, 256, "%s/dir/%s" STORE_PARTIAL_MAP, tree->path, place.name);
    store_place_clear(&place);
}

static size_t read_whole(const char *path, char *bytes, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t n = read(fd, bytes, size);
    assert_true(n > 0);
    close(fd);
    return (size_t)n;
}

static void write_whole(const char *path, const char *bytes, size_t size)
{
    int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), (ssize_t)size);
    close(fd);
}

/* Every byte of it changed, and every length shorter than its own. */
static void a_damaged_map_claims_nothing(void **state)
{
    (void)state;
    struct tree tree = plant();
    char path[256], bytes[512];
    struct store_partial *partial = must_open(&tree);

    put(partial, 0, 1000);
    assert_int_equal(store_partial_keep(partial), 0);
    store_partial_close(partial);
    map_path(&tree, path);
    size_t length = read_whole(path, bytes, sizeof bytes);
    for (size_t i = 0; i < length; i++) {
        bytes[i] ^= 1;
        write_whole(path, bytes, length);
        bytes[i] ^= 1;
        partial = must_open(&tree);
        assert_has(partial, "none");
        store_partial_close(partial);
        write_whole(path, bytes, i);
        partial = must_open(&tree);
        assert_has(partial, "none");
        store_partial_close(partial);
    }
    write_whole(path, bytes, length);
    partial = must_open(&tree);
    assert_has(partial, "0-999");
    store_partial_close(partial);
    fell(&tree);
}

static void a_map_of_another_file_claims_nothing(void **state)
{
    (void)state;
    struct tree tree = plant();
    char path[256], data[256], aside[256 + 8];
    struct store_partial *partial = must_open(&tree);

    put(partial, 0, 1000);
    assert_int_equal(store_partial_keep(partial), 0);
    store_partial_close(partial);
    map_path(&tree, path);
    snprintf(data, sizeof data, "%.*s", (int)(strlen(path) - strlen(STORE_PARTIAL_MAP)), path);

    /* Shorter than what is claimed. */
    assert_int_equal(truncate(data, 500), 0);
    partial = must_open(&tree);
    assert_has(partial, "none");
    store_partial_close(partial);

    /* Of the right length, but another one: the old one is still there, so it cannot have its number. */
    snprintf(aside, sizeof aside, "%s.aside", data);
    assert_int_equal(rename(data, aside), 0);
    int fd = open(data, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, 1000), 0);
    close(fd);
    partial = must_open(&tree);
    assert_has(partial, "none");
    store_partial_close(partial);

    /* None: whoever begins anew does away with the map first. */
    assert_int_equal(unlink(data), 0);
    partial = must_open(&tree);
    assert_int_equal(access(path, F_OK), -1);
    store_partial_close(partial);
    fell(&tree);
}

static void one_process_has_it_at_a_time(void **state)
{
    (void)state;
    struct tree tree = plant();
    struct store_partial *partial = must_open(&tree), *second = NULL;
    struct store_place place = place_of(&tree, "dir/file", "somebody", "token");

    assert_int_equal(open_usual(&tree, SIZE, &second), -EBUSY);
    assert_int_equal(store_place_drop(place.directory, place.name), -EBUSY);
    store_partial_close(partial);
    assert_int_equal(open_usual(&tree, SIZE, &second), 0);
    store_partial_close(second);
    assert_int_equal(store_place_drop(place.directory, place.name), 0);
    assert_int_equal(store_place_drop(place.directory, place.name), -ENOENT);
    assert_int_equal(count_files(&tree, "."), 0);
    store_place_clear(&place);
    fell(&tree);
}

static void a_refused_name_leaves_it_as_it_was(void **state)
{
    (void)state;
    struct tree tree = plant();
    struct store_partial *partial = must_open(&tree);
    struct stat facts;
    bool created;

    put(partial, 0, SIZE);
    assert_int_equal(store_partial_keep(partial), 0);
    int fd = openat(tree.root, "dir/file", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_int_equal(write(fd, "old", 3), 3);
    close(fd);
    assert_int_equal(store_partial_commit(partial, tree.store, "dir/file", "", &created, &facts), -EEXIST);
    assert_int_equal(store_partial_commit(partial, tree.store, "dir/file", "\"no\"", &created, &facts), -ESTALE);
    assert_false(store_partial_over(partial));
    store_partial_close(partial);
    partial = must_open(&tree);
    assert_true(store_partial_complete(partial));
    assert_int_equal(store_partial_commit(partial, tree.store, "dir/file", NULL, &created, &facts), 0);
    assert_false(created);
    assert_true(store_partial_over(partial));
    store_partial_close(partial);
    assert_whole(&tree, "dir/file");
    assert_int_equal(count_files(&tree, "."), 1);
    fell(&tree);
}

static uint64_t room_of(struct store_partial *partial)
{
    struct stat facts;

    assert_int_equal(fstat(store_partial_fd(partial), &facts), 0);
    return (uint64_t)facts.st_blocks * 512;
}

/* Where a file system keeps no room for anybody there is nothing to be given back, and no byte may go either way. */
static void room_that_was_not_needed_is_given_back(void **state)
{
    (void)state;
    const uint64_t size = UINT64_C(64) << 20;
    struct tree tree = plant();
    struct store_partial *partial = NULL;
    uint8_t bytes[2000];

    assert_int_equal(open_usual(&tree, size, &partial), 0);
    assert_int_equal(store_partial_reserve(partial, 0, size / 2), 0);
    assert_int_equal(store_partial_reserve(partial, size / 2, size / 2), 0);
    put(partial, 100, 1100);
    assert_int_equal(pwrite(store_partial_fd(partial), "end", 3, (off_t)size / 2), 3);
    assert_int_equal(store_partial_add(partial, size / 2, size / 2 + 3), 0);
    store_partial_give_back(partial);
    assert_true(room_of(partial) < (1u << 20));
    assert_int_equal(pread(store_partial_fd(partial), bytes, sizeof bytes, 0), sizeof bytes);
    for (uint64_t i = 100; i < 1100; i++)
        assert_int_equal(bytes[i], byte_at(i));
    assert_int_equal(pread(store_partial_fd(partial), bytes, sizeof bytes, (off_t)size / 2), 3);
    assert_memory_equal(bytes, "end", 3);
    assert_int_equal(store_partial_keep(partial), 0);
    store_partial_close(partial);

    partial = NULL;
    assert_int_equal(open_usual(&tree, size, &partial), 0);
    assert_has(partial, "100-1099,33554432-33554434");
    store_partial_close(partial);
    fell(&tree);
}

static void room_that_a_crash_left_is_given_back_also_where_no_map_was_written(void **state)
{
    (void)state;
    const uint64_t size = 64u << 20;
    struct tree tree = plant();
    struct store_partial *partial = NULL;
    struct store_place place = place_of(&tree, "dir/file", "somebody", "token");

    assert_int_equal(store_partial_open(&place, size, &partial), 0);
    assert_int_equal(store_partial_reserve(partial, 0, size), 0);
    assert_true(posix_fallocate(store_partial_fd(partial), 0, 8 << 20) == 0); /* where a file system asks for no room */
    assert_true(room_of(partial) >= 8u << 20);
    store_partial_close(partial);

    assert_int_equal(store_partial_open(&place, STORE_PARTIAL_ANY, &partial), 0);
    store_partial_give_back(partial);
    assert_true(room_of(partial) < (1u << 20));
    assert_has(partial, EXTENTS_NONE);
    store_partial_close(partial);
    store_place_clear(&place);
    fell(&tree);
}

static void the_front_is_what_has_no_gap_before_it(void **state)
{
    (void)state;
    struct tree tree = plant();
    struct store_partial *partial = must_open(&tree);

    assert_int_equal(store_partial_front(partial), 0);
    assert_int_equal(store_partial_add(partial, 10, 20), 0);
    assert_int_equal(store_partial_front(partial), 0);
    assert_int_equal(store_partial_add(partial, 0, 5), 0);
    assert_int_equal(store_partial_front(partial), 5);
    assert_int_equal(store_partial_add(partial, 4, 10), 0);
    assert_int_equal(store_partial_front(partial), 20);
    store_partial_close(partial);
    fell(&tree);
}

/* Its mode is set before its name: a crash, or a refused name, leaves it so. */
static void one_that_is_read_only_is_gone_on_with_and_dropped(void **state)
{
    (void)state;
    struct tree tree = plant();
    bool is_root = geteuid() == 0;

    if (is_root) /* whom no mode keeps out */
        assert_int_equal(chown(tree.path, 65534, 65534) + seteuid(65534), 0);
    struct store_partial *partial = must_open(&tree);
    struct store_place place = place_of(&tree, "dir/file", "somebody", "token");
    struct stat facts;

    put(partial, 0, 1000);
    assert_int_equal(store_partial_keep(partial), 0);
    assert_int_equal(fchmod(store_partial_fd(partial), 0440), 0);
    assert_int_equal(store_place_drop(place.directory, place.name), -EBUSY);
    assert_int_equal(fstat(store_partial_fd(partial), &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0440); /* who has it open is not meddled with */
    store_partial_close(partial);

    partial = must_open(&tree);
    assert_has(partial, "0-999");
    put(partial, 1000, 2000);
    assert_int_equal(fchmod(store_partial_fd(partial), 0440), 0);
    store_partial_close(partial);
    assert_int_equal(store_place_drop(place.directory, place.name), 0);
    assert_int_equal(count_files(&tree, "."), 0);
    store_place_clear(&place);
    if (is_root)
        assert_int_equal(seteuid(0), 0);
    fell(&tree);
}

static void can_be_dropped_or_set_aside(void **state)
{
    (void)state;
    struct tree tree = plant();
    struct store_partial *partial = must_open(&tree);
    char name[STORE_BAD_NAME_SIZE], path[256];
    struct stat facts;

    put(partial, 0, 1000);
    assert_int_equal(store_partial_keep(partial), 0);
    store_partial_drop(partial);
    put(partial, 1000, 2000);
    assert_int_equal(store_partial_keep(partial), 0);
    store_partial_close(partial);
    assert_int_equal(count_files(&tree, "."), 0);

    partial = must_open(&tree);
    put(partial, 0, SIZE);
    assert_int_equal(store_partial_keep(partial), 0);
    assert_int_equal(store_partial_set_aside(partial, tree.store, "dir/file", name), 0);
    store_partial_close(partial);
    snprintf(path, sizeof path, "dir/%s", name);
    assert_int_equal(fstatat(tree.root, path, &facts, 0), 0);
    assert_int_equal(facts.st_size, SIZE);
    assert_int_equal(count_files(&tree, "."), 1);
    fell(&tree);
}

/* Its map was damaged, and it was begun anew with a smaller size: nothing of the old one may be in the file. */
static void what_was_longer_before_is_cut(void **state)
{
    (void)state;
    struct tree tree = plant();
    struct store_partial *partial = must_open(&tree);
    char path[256];
    struct stat facts;
    bool created;

    put(partial, 0, SIZE);
    store_partial_close(partial);
    map_path(&tree, path);
    assert_int_equal(open_usual(&tree, 1000, &partial), 0);
    put(partial, 0, 1000);
    assert_int_equal(store_partial_commit(partial, tree.store, "dir/file", NULL, &created, &facts), 0);
    assert_int_equal(facts.st_size, 1000);
    store_partial_close(partial);
    fell(&tree);
}

static void on_small_tmpfs(const char *path)
{
    struct tree tree = { 0 };
    struct store_partial *partial = NULL;
    uint8_t bytes[4096] = { 0 };

    if (mount("tmpfs", path, "tmpfs", 0, "size=1m") < 0)
        _exit(77);
    snprintf(tree.path, sizeof tree.path, "%s", path);
    tree.root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (store_open(&tree.store, path) != 0 || open_usual(&tree, 900000, &partial) != 0)
        _exit(1);
    if (pwrite(store_partial_fd(partial), bytes, sizeof bytes, 0) != sizeof bytes ||
        store_partial_add(partial, 0, sizeof bytes) != 0 || store_partial_keep(partial) != 0)
        _exit(2);
    int filler = openat(tree.root, "filler", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    while (write(filler, bytes, sizeof bytes) > 0)
        ;
    if (store_partial_reserve(partial, sizeof bytes, 800000) != -ENOSPC)
        _exit(3);
    /* The map cannot be written, the one from before stays, and what came is not forgotten by who has it open. */
    if (store_partial_add(partial, 0, 1) != 0 || store_partial_keep(partial) != -ENOSPC)
        _exit(4);
    store_partial_close(partial);
    if (open_usual(&tree, STORE_PARTIAL_ANY, &partial) != 0)
        _exit(5);
    char have[64];
    store_partial_have(partial, have, sizeof have);
    _exit(strcmp(have, "0-4095") == 0 ? 0 : 6);
}

static void a_full_disk_leaves_the_map_from_before(void **state)
{
    (void)state;
    char path[] = "/tmp/sluice-partial-XXXXXX";
    int status;

    assert_non_null(mkdtemp(path));
    pid_t child = fork();
    if (child == 0) {
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
            _exit(77);
        on_small_tmpfs(path);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    rmdir(path);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

struct found {
    unsigned count;
    char name[STORE_PARTIAL_NAME_SIZE];
};

static void note_found(void *argument, const struct store_place *place)
{
    struct found *found = argument;
    struct stat facts;

    assert_int_equal(fstat(place->directory, &facts), 0);
    assert_true(facts.st_dev == place->device && facts.st_ino == place->inode);
    assert_int_equal(faccessat(place->directory, place->name, F_OK, AT_SYMLINK_NOFOLLOW), 0);
    found->count++;
    memcpy(found->name, place->name, sizeof found->name);
}

static void make(const struct tree *tree, const char *name)
{
    int fd = openat(tree->root, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "x", 1), 1);
    close(fd);
}

static bool exists(const struct tree *tree, const char *name)
{
    return faccessat(tree->root, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void leftovers_go_when_they_are_old_and_nothing_else_does(void **state)
{
    (void)state;
    struct tree tree = plant();
    struct found found = { 0 };
    struct store_partial *partial = must_open(&tree);
    struct store_sweep sweep = { .before = time(NULL) - 10, .found = note_found, .argument = &found };
    static const char temporary[] = STORE_PRIVATE "0123456789abcdef0123456789abcdef", bad[] = STORE_BAD_PREFIX "1";

    put(partial, 0, 1000);
    assert_int_equal(store_partial_keep(partial), 0);
    make(&tree, "plain");
    make(&tree, temporary);
    make(&tree, bad);
    make(&tree, STORE_PRIVATE "other");
    make(&tree, "dir/" STORE_PARTIAL_PREFIX "short");
    assert_int_equal(symlinkat("dir", tree.root, "link"), 0);

    store_sweep(tree.store, &sweep);
    assert_int_equal(sweep.removed, 0);
    assert_int_equal(found.count, 1);

    /* Somebody has it open: however old it is, it stays. */
    sweep.before = time(NULL) + 10;
    store_sweep(tree.store, &sweep);
    assert_int_equal(found.count, 2);
    assert_int_equal(sweep.removed, 2); /* the other two kinds */
    assert_false(exists(&tree, temporary) || exists(&tree, bad));

    store_partial_close(partial);
    store_sweep(tree.store, &sweep);
    assert_int_equal(sweep.removed, 1);
    assert_int_equal(sweep.bytes, 1000);
    assert_int_equal(found.count, 2);
    assert_true(exists(&tree, "plain") && exists(&tree, STORE_PRIVATE "other"));
    assert_int_equal(count_files(&tree, "dir"), 1);
    fell(&tree);
}

static void a_map_without_its_file_is_swept(void **state)
{
    (void)state;
    struct tree tree = plant();
    struct store_partial *partial = must_open(&tree);
    struct store_sweep sweep = { .before = 0 };
    char path[256], data[256];

    put(partial, 0, 1000);
    assert_int_equal(store_partial_keep(partial), 0);
    store_partial_close(partial);
    map_path(&tree, path);
    snprintf(data, sizeof data, "%.*s", (int)(strlen(path) - strlen(STORE_PARTIAL_MAP)), path);
    store_sweep(tree.store, &sweep);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(unlink(data), 0);
    store_sweep(tree.store, &sweep);
    assert_int_equal(access(path, F_OK), -1);
    fell(&tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(becomes_the_file_when_all_is_there),
        cmocka_unit_test(what_was_kept_is_found_again_and_nothing_else),
        cmocka_unit_test(another_token_sender_or_name_is_another_upload),
        cmocka_unit_test(paths_that_are_no_file_are_refused),
        cmocka_unit_test(sizes_that_no_file_has_are_refused),
        cmocka_unit_test(a_damaged_map_claims_nothing),
        cmocka_unit_test(a_map_of_another_file_claims_nothing),
        cmocka_unit_test(one_process_has_it_at_a_time),
        cmocka_unit_test(a_refused_name_leaves_it_as_it_was),
        cmocka_unit_test(room_that_was_not_needed_is_given_back),
        cmocka_unit_test(room_that_a_crash_left_is_given_back_also_where_no_map_was_written),
        cmocka_unit_test(the_front_is_what_has_no_gap_before_it),
        cmocka_unit_test(one_that_is_read_only_is_gone_on_with_and_dropped),
        cmocka_unit_test(can_be_dropped_or_set_aside),
        cmocka_unit_test(what_was_longer_before_is_cut),
        cmocka_unit_test(a_full_disk_leaves_the_map_from_before),
        cmocka_unit_test(leftovers_go_when_they_are_old_and_nothing_else_does),
        cmocka_unit_test(a_map_without_its_file_is_swept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
