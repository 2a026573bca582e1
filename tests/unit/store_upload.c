// rooms: store
#include "engine/store/store_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

struct tree {
    char path[64];
    int root;
    struct store *store;
};

/* What a file system may lack: every test runs with each of these. */
static const unsigned lacking[] = {
    0,
    STORE_LACKS_TMPFILE,
    STORE_LACKS_TMPFILE | STORE_LACKS_NOREPLACE,
    STORE_LACKS_TMPFILE | STORE_LACKS_NOREPLACE | STORE_LACKS_LINK,
};
#define KINDS (sizeof lacking / sizeof *lacking)

static struct tree plant(unsigned lacks)
{
    struct tree tree = { .path = "/tmp/sluice-upload-XXXXXX" };

    assert_non_null(mkdtemp(tree.path));
    tree.root = open(tree.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(store_open(&tree.store, tree.path), 0);
    tree.store->lacks = lacks;
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

/* Whether files need no name here: not on every file system, for one not on overlayfs before Linux 6.3. */
static bool nameless(const struct tree *tree)
{
    if (tree->store->lacks & STORE_LACKS_TMPFILE)
        return false;
    int fd = openat(tree->root, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* How many names there are in a directory, private ones included. */
static int names_in(int directory)
{
    DIR *stream = fdopendir(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    int count = -2; /* "." and ".." */

    while (readdir(stream))
        count++;
    closedir(stream);
    return count;
}

static void must_hold(struct tree *tree, const char *path, const char *text)
{
    char buffer[64] = "";
    int fd = openat(tree->root, path, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(read(fd, buffer, sizeof buffer - 1), strlen(text));
    assert_string_equal(buffer, text);
    close(fd);
}

static int put(struct tree *tree, const char *path, const char *text, const char *expected, bool *created,
               struct stat *facts)
{
    struct store_upload upload;
    int rc = store_upload_begin(tree->store, path, strlen(text), &upload);

    if (rc < 0) {
        assert_int_equal(upload.fd, -1);
        return rc;
    }
    assert_int_equal(write(upload.fd, text, strlen(text)), strlen(text));
    rc = store_upload_commit(&upload, expected, created, facts);
    assert_int_equal(upload.fd, -1);
    store_upload_abandon(&upload); /* once more does no harm */
    return rc;
}

static void appears_when_it_is_complete(void **state)
{
    for (size_t i = 0; i < KINDS; i++) {
        struct tree tree = plant(lacking[i]);
        struct store_upload upload;
        struct stat facts, there;
        bool created = false;
        assert_int_equal(store_upload_begin(tree.store, "new", 5, &upload), 0);
        assert_int_equal(fcntl(upload.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        assert_int_equal(write(upload.fd, "hello", 5), 5);
        assert_int_equal(faccessat(tree.root, "new", F_OK, 0), -1);
        assert_int_equal(names_in(tree.root), nameless(&tree) ? 0 : 1);
        assert_int_equal(store_upload_commit(&upload, NULL, &created, &facts), 0);
        assert_true(created);
        must_hold(&tree, "new", "hello");
        assert_int_equal(names_in(tree.root), 1);
        assert_int_equal(fstatat(tree.root, "new", &there, 0), 0);
        char said[STORE_ETAG_SIZE], is[STORE_ETAG_SIZE];
        store_etag(&facts, said);
        store_etag(&there, is);
        assert_string_equal(said, is);
        assert_int_equal(there.st_nlink, 1);
        fell(&tree);
    }
    (void)state;
}

static void replaces_a_file(void **state)
{
    for (size_t i = 0; i < KINDS; i++) {
        struct tree tree = plant(lacking[i]);
        struct stat facts;
        bool created;
        assert_int_equal(put(&tree, "f", "one", NULL, &created, &facts), 0);
        assert_true(created);
        assert_int_equal(put(&tree, "f", "second", NULL, &created, &facts), 0);
        assert_false(created);
        assert_int_equal(facts.st_size, 6);
        must_hold(&tree, "f", "second");
        assert_int_equal(names_in(tree.root), 1);
        fell(&tree);
    }
    (void)state;
}

static void gives_new_files_the_usual_mode(void **state)
{
    for (size_t i = 0; i < KINDS; i++) {
        struct tree tree = plant(lacking[i]);
        struct stat facts;
        bool created;
        mode_t before = umask(027);
        assert_int_equal(put(&tree, "d/f", "x", NULL, &created, &facts), 0);
        umask(before);
        assert_int_equal(facts.st_mode & 07777, 0640);
        assert_int_equal(fstatat(tree.root, "d", &facts, 0), 0);
        assert_int_equal(facts.st_mode & 0777, 0750);
        fell(&tree);
    }
    (void)state;
}

static void an_abandoned_upload_leaves_nothing(void **state)
{
    for (size_t i = 0; i < KINDS; i++) {
        struct tree tree = plant(lacking[i]);
        struct store_upload upload;
        assert_int_equal(store_upload_begin(tree.store, "a/b/c", 5, &upload), 0);
        assert_int_equal(write(upload.fd, "he", 2), 2);
        store_upload_abandon(&upload);
        assert_int_equal(names_in(tree.root), 0);
        store_upload_abandon(&upload);
        fell(&tree);
    }
    (void)state;
}

/* The child ends without a word, as a crash does. */
static void a_process_that_dies_leaves_nothing_where_files_need_no_name(void **state)
{
    struct tree tree = plant(0);

    if (!nameless(&tree)) {
        fell(&tree);
        print_message("the file system of /tmp has no O_TMPFILE\n");
        skip();
    }
    pid_t child = fork();

    if (child == 0) {
        struct store_upload upload;
        int rc = store_upload_begin(tree.store, "f", 5, &upload);
        _exit(rc == 0 && upload.temporary == NULL && write(upload.fd, "x", 1) == 1 ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(names_in(tree.root), 0);
    fell(&tree);
    (void)state;
}

static void makes_parents(void **state)
{
    for (size_t i = 0; i < KINDS; i++) {
        struct tree tree = plant(lacking[i]);
        struct stat facts;
        bool created;
        assert_int_equal(put(&tree, "a/b/c/f", "deep", NULL, &created, &facts), 0);
        assert_int_equal(put(&tree, "a/b/g", "less", NULL, &created, &facts), 0);
        must_hold(&tree, "a/b/c/f", "deep");
        must_hold(&tree, "a/b/g", "less");
        assert_int_equal(names_in(tree.root), 1);
        fell(&tree);
    }
    (void)state;
}

static void makes_parents_behind_a_link_that_stays_inside(void **state)
{
    struct tree tree = plant(0);
    struct stat facts;
    bool created;

    assert_int_equal(mkdirat(tree.root, "real", 0755), 0);
    assert_int_equal(mkdirat(tree.root, "x", 0755), 0);
    assert_int_equal(symlinkat("../real", tree.root, "x/link"), 0);
    assert_int_equal(put(&tree, "x/link/new/f", "in", NULL, &created, &facts), 0);
    must_hold(&tree, "real/new/f", "in");
    fell(&tree);
    (void)state;
}

static void writes_nothing_outside_the_root(void **state)
{
    struct tree tree = plant(0), outside = plant(0);
    struct stat facts;
    bool created;

    assert_int_equal(symlinkat(outside.path, tree.root, "absolute"), 0);
    assert_int_equal(symlinkat("../..", tree.root, "up"), 0);
    assert_int_equal(symlinkat("nowhere", tree.root, "dangling"), 0);
    assert_int_equal(put(&tree, "absolute/f", "x", NULL, &created, &facts), -EXDEV);
    assert_int_equal(put(&tree, "absolute/d/f", "x", NULL, &created, &facts), -EXDEV);
    assert_int_equal(put(&tree, "up/f", "x", NULL, &created, &facts), -EXDEV);
    assert_int_equal(put(&tree, "dangling/f", "x", NULL, &created, &facts), -ENOENT);
    assert_int_equal(put(&tree, "../f", "x", NULL, &created, &facts), -EINVAL);
    assert_int_equal(put(&tree, "/tmp/f", "x", NULL, &created, &facts), -EINVAL);
    assert_int_equal(names_in(outside.root), 0);
    assert_int_equal(names_in(tree.root), 3);
    fell(&tree);
    fell(&outside);
    (void)state;
}

/* A link as the last name is itself replaced: what it leads to stays as it is, inside or outside. */
static void replaces_a_link_and_not_what_it_leads_to(void **state)
{
    for (size_t i = 0; i < KINDS; i++) {
        struct tree tree = plant(lacking[i]), outside = plant(0);
        struct stat facts;
        char target[80];
        bool created;
        assert_int_equal(put(&outside, "victim", "safe", NULL, &created, &facts), 0);
        snprintf(target, sizeof target, "%s/victim", outside.path);
        assert_int_equal(symlinkat(target, tree.root, "f"), 0);
        assert_int_equal(put(&tree, "f", "mine", "", &created, &facts), -EEXIST);
        assert_int_equal(put(&tree, "f", "mine", NULL, &created, &facts), 0);
        assert_false(created);
        must_hold(&tree, "f", "mine");
        must_hold(&outside, "victim", "safe");
        fell(&tree);
        fell(&outside);
    }
    (void)state;
}

static void never_overwrites_a_directory(void **state)
{
    for (size_t i = 0; i < KINDS; i++) {
        struct tree tree = plant(lacking[i]);
        struct store_upload upload;
        struct stat facts;
        bool created;
        assert_int_equal(mkdirat(tree.root, "d", 0755), 0);
        assert_int_equal(put(&tree, "d", "x", NULL, &created, &facts), -EISDIR);
        assert_int_equal(put(&tree, "d/", "x", NULL, &created, &facts), -EISDIR);
        assert_int_equal(put(&tree, "", "x", NULL, &created, &facts), -EISDIR);
        assert_int_equal(store_upload_begin(tree.store, "late", 1, &upload), 0);
        assert_int_equal(mkdirat(tree.root, "late", 0755), 0);
        assert_int_equal(store_upload_commit(&upload, NULL, &created, &facts), -EISDIR);
        assert_int_equal(names_in(tree.root), 2);
        fell(&tree);
    }
    (void)state;
}

static void a_file_is_no_parent(void **state)
{
    struct tree tree = plant(0);
    struct stat facts;
    bool created;

    assert_int_equal(put(&tree, "f", "x", NULL, &created, &facts), 0);
    assert_int_equal(put(&tree, "f/g", "x", NULL, &created, &facts), -ENOTDIR);
    assert_int_equal(put(&tree, "f/g/h", "x", NULL, &created, &facts), -ENOTDIR);
    must_hold(&tree, "f", "x");
    fell(&tree);
    (void)state;
}

static void takes_a_name_only_where_it_is_free(void **state)
{
    for (size_t i = 0; i < KINDS; i++) {
        struct tree tree = plant(lacking[i]);
        struct stat facts;
        bool created = false;
        assert_int_equal(put(&tree, "f", "one", "", &created, &facts), 0);
        assert_true(created);
        assert_int_equal(put(&tree, "f", "two", "", &created, &facts), -EEXIST);
        must_hold(&tree, "f", "one");
        assert_int_equal(symlinkat("nowhere", tree.root, "link"), 0);
        assert_int_equal(put(&tree, "link", "two", "", &created, &facts), -EEXIST);
        assert_int_equal(names_in(tree.root), 2);
        fell(&tree);
    }
    (void)state;
}

static void replaces_only_the_file_that_was_expected(void **state)
{
    for (size_t i = 0; i < KINDS; i++) {
        struct tree tree = plant(lacking[i]);
        char first[STORE_ETAG_SIZE];
        struct stat facts;
        bool created;
        assert_int_equal(put(&tree, "f", "one", "\"none\"", &created, &facts), -ESTALE);
        assert_int_equal(names_in(tree.root), 0);
        assert_int_equal(put(&tree, "f", "one", NULL, &created, &facts), 0);
        store_etag(&facts, first);
        assert_int_equal(put(&tree, "f", "two", first, &created, &facts), 0);
        assert_false(created);
        assert_int_equal(put(&tree, "f", "three", first, &created, &facts), -ESTALE);
        must_hold(&tree, "f", "two");
        assert_int_equal(names_in(tree.root), 1);
        fell(&tree);
    }
    (void)state;
}

struct racer {
    struct tree *tree;
    const char *expected;
    int rc;
};

static void *race(void *argument)
{
    struct racer *racer = argument;
    struct store_upload upload;
    struct stat facts;
    bool created;

    racer->rc = store_upload_begin(racer->tree->store, "f", 1, &upload);
    if (racer->rc == 0)
        racer->rc = store_upload_commit(&upload, racer->expected, &created, &facts);
    return NULL;
}

static void of_several_that_expect_the_same_one_wins(void **state)
{
    for (size_t i = 0; i < 2 * KINDS; i++) {
        struct tree tree = plant(lacking[i % KINDS]);
        char etag[STORE_ETAG_SIZE] = "";
        struct racer racers[8];
        pthread_t threads[8];
        struct stat facts;
        bool created;
        int won = 0;
        if (i >= KINDS) {
            assert_int_equal(put(&tree, "f", "one", NULL, &created, &facts), 0);
            store_etag(&facts, etag);
        }
        for (int k = 0; k < 8; k++) {
            racers[k] = (struct racer){ .tree = &tree, .expected = etag };
            assert_int_equal(pthread_create(&threads[k], NULL, race, &racers[k]), 0);
        }
        for (int k = 0; k < 8; k++) {
            pthread_join(threads[k], NULL);
            assert_true(racers[k].rc == 0 || racers[k].rc == (*etag ? -ESTALE : -EEXIST));
            won += racers[k].rc == 0;
        }
        assert_int_equal(won, 1);
        assert_int_equal(names_in(tree.root), 1);
        fell(&tree);
    }
    (void)state;
}

static int put_numbered(const struct tree *tree, const char *path, const char *text, unsigned *number)
{
    struct store_upload upload;
    struct stat facts;
    bool created = false;
    int rc = store_upload_begin(tree->store, path, strlen(text), &upload);

    if (rc < 0)
        return rc;
    assert_int_equal(write(upload.fd, text, strlen(text)), strlen(text));
    upload.numbered = number;
    rc = store_upload_commit(&upload, NULL, &created, &facts);
    assert_true(rc < 0 || created);
    return rc;
}

static void takes_the_first_free_number_where_the_name_is_taken(void **state)
{
    for (size_t i = 0; i < KINDS; i++) {
        struct tree tree = plant(lacking[i]);
        unsigned number = 77;
        assert_int_equal(put_numbered(&tree, "d/f", "one", &number), 0);
        assert_int_equal(number, 0);
        assert_int_equal(put_numbered(&tree, "d/f", "two", &number), 0);
        assert_int_equal(number, 1);
        assert_int_equal(symlinkat("nowhere", tree.root, "d/f.2"), 0);
        assert_int_equal(mkdirat(tree.root, "d/f.3", 0700), 0);
        assert_int_equal(put_numbered(&tree, "d/f", "three", &number), 0);
        assert_int_equal(number, 4);
        must_hold(&tree, "d/f", "one");
        must_hold(&tree, "d/f.1", "two");
        must_hold(&tree, "d/f.4", "three");
        int d = openat(tree.root, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(names_in(d), 5);
        close(d);
        fell(&tree);
    }
    (void)state;
}

static void take(const struct tree *tree, unsigned number)
{
    char name[32];
    snprintf(name, sizeof name, "f.%u", number);
    assert_int_equal(linkat(tree->root, "f", tree->root, name, 0), 0);
}

static void drop(const struct tree *tree, unsigned number)
{
    char name[32];
    snprintf(name, sizeof name, "f.%u", number);
    assert_int_equal(unlinkat(tree->root, name, 0), 0);
}

/* Up to the last, and one in the middle of thousands. */
static void finds_the_number_that_is_left_where_thousands_are_taken(void **state)
{
    static const unsigned missing[] = { 1, 17, 5000, STORE_NUMBERED_MAX };
    struct tree tree = plant(0);
    unsigned number = 77;

    (void)state;
    assert_int_equal(put_numbered(&tree, "f", "one", &number), 0);
    for (unsigned i = 1; i < 9000; i++)
        take(&tree, i);
    assert_int_equal(put_numbered(&tree, "f", "two", &number), 0);
    assert_int_equal(number, 9000);
    for (unsigned i = 9001; i <= STORE_NUMBERED_MAX; i++)
        take(&tree, i);
    assert_int_equal(put_numbered(&tree, "f", "three", &number), -EEXIST);
    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++) {
        drop(&tree, missing[i]);
        assert_int_equal(put_numbered(&tree, "f", "four", &number), 0);
        assert_int_equal(number, missing[i]);
    }
    assert_int_equal(put_numbered(&tree, "f", "five", &number), -EEXIST);
    assert_int_equal(names_in(tree.root), STORE_NUMBERED_MAX + 1);
    fell(&tree);
}

/* As few as they are, one is found wherever it is. */
static void finds_a_free_number_whatever_is_taken(void **state)
{
    struct tree tree = plant(0);
    unsigned number;

    (void)state;
    assert_int_equal(put_numbered(&tree, "f", "one", &number), 0);
    for (unsigned most = 1; most <= 40; most++) {
        take(&tree, most);
        assert_int_equal(store_free_number(tree.root, "f", most), 0);
        for (unsigned free = 1; free <= most; free++) {
            drop(&tree, free);
            assert_int_equal(store_free_number(tree.root, "f", most), free);
            take(&tree, free);
        }
    }
    assert_int_equal(store_free_number(tree.root, "g", 40), 1);
    fell(&tree);
}

static void a_number_that_makes_the_name_too_long_is_refused(void **state)
{
    struct tree tree = plant(0);
    char name[NAME_MAX + 1];
    unsigned number;
    memset(name, 'n', NAME_MAX);
    name[NAME_MAX] = '\0';
    assert_int_equal(put_numbered(&tree, name, "one", &number), 0);
    assert_int_equal(put_numbered(&tree, name, "two", &number), -ENAMETOOLONG);
    must_hold(&tree, name, "one");
    assert_int_equal(names_in(tree.root), 1);
    fell(&tree);
    (void)state;
}

static void *race_for_numbers(void *argument)
{
    struct racer *racer = argument;
    unsigned number = 0;
    racer->rc = put_numbered(racer->tree, "f", racer->expected, &number);
    if (racer->rc == 0)
        racer->rc = (int)number;
    return NULL;
}

static void of_several_each_gets_a_number_of_its_own(void **state)
{
    static const char *const texts[8] = { "a", "b", "c", "d", "e", "f", "g", "h" };
    for (size_t i = 0; i < KINDS; i++) {
        struct tree tree = plant(lacking[i]);
        struct racer racers[8];
        pthread_t threads[8];
        unsigned seen = 0;
        for (int k = 0; k < 8; k++) {
            racers[k] = (struct racer){ .tree = &tree, .expected = texts[k] };
            assert_int_equal(pthread_create(&threads[k], NULL, race_for_numbers, &racers[k]), 0);
        }
        for (int k = 0; k < 8; k++) {
            char name[16] = "f";
            pthread_join(threads[k], NULL);
            assert_true(racers[k].rc >= 0 && racers[k].rc < 8);
            seen |= 1u << racers[k].rc;
            if (racers[k].rc > 0)
                snprintf(name, sizeof name, "f.%d", racers[k].rc);
            must_hold(&tree, name, texts[k]);
        }
        assert_int_equal(seen, 0xff);
        assert_int_equal(names_in(tree.root), 8);
        fell(&tree);
    }
    (void)state;
}

static void refuses_a_length_no_file_can_have(void **state)
{
    struct tree tree = plant(0);
    struct store_upload upload;

    assert_int_equal(store_upload_begin(tree.store, "f", UINT64_MAX - 1, &upload), -EFBIG);
    int rc = store_upload_begin(tree.store, "f", INT64_MAX, &upload);
    assert_true(rc == -EFBIG || rc == -ENOSPC);
    assert_int_equal(names_in(tree.root), 0);
    fell(&tree);
    (void)state;
}

static void is_as_long_as_what_was_written(void **state)
{
    struct tree tree = plant(0);
    struct store_upload upload;
    struct stat facts;
    bool created;

    assert_int_equal(store_upload_begin(tree.store, "f", 100000, &upload), 0);
    assert_int_equal(write(upload.fd, "abc", 3), 3);
    assert_int_equal(store_upload_commit(&upload, NULL, &created, &facts), 0);
    assert_int_equal(facts.st_size, 3);
    fell(&tree);
    (void)state;
}

/* -- a file system of 256 KiB, in a mount namespace of its own: nothing of it outlives the child -- */

#define TEST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                            \
            return 1;                                                                                                  \
        }                                                                                                              \
    } while (0)

static int fill(struct tree *tree)
{
    static char block[64 << 10];
    struct store_upload upload;
    struct stat facts;
    bool created;

    TEST(store_upload_begin(tree->store, "big", 1 << 20, &upload) == -ENOSPC); /* known before the first byte */
    TEST(upload.fd == -1 && names_in(tree->root) == 0);
    TEST(store_upload_begin(tree->store, "big", UINT64_MAX, &upload) == 0);
    ssize_t n = 0;
    for (int i = 0; i < 8 && n >= 0; i++)
        n = write(upload.fd, block, sizeof block);
    TEST(n < 0 && errno == ENOSPC);
    store_upload_abandon(&upload);
    TEST(names_in(tree->root) == 0);
    TEST(store_upload_begin(tree->store, "fits", sizeof block, &upload) == 0); /* the room is free again */
    TEST(write(upload.fd, block, sizeof block) == sizeof block);
    TEST(store_upload_commit(&upload, NULL, &created, &facts) == 0);
    return 0;
}

#define CANNOT_MOUNT 77

static int write_proc(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return -1;
    int rc = write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
    close(fd);
    return rc;
}

/* Who may not mount may do so where they are root only to themselves, where the system allows that. */
static int own_mounts(void)
{
    char user[32], group[32];

    snprintf(user, sizeof user, "0 %u 1", geteuid());
    snprintf(group, sizeof group, "0 %u 1", getegid());
    if (unshare(CLONE_NEWNS) == 0)
        return 0;
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0 || write_proc("/proc/self/setgroups", "deny") < 0 ||
        write_proc("/proc/self/uid_map", user) < 0)
        return -1;
    return write_proc("/proc/self/gid_map", group);
}

static int on_a_full_disk(unsigned lacks)
{
    struct tree tree = { .path = "/tmp/sluice-full-XXXXXX" };

    if (own_mounts() < 0)
        return CANNOT_MOUNT;
    if (!mkdtemp(tree.path))
        return 1;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", tree.path, "tmpfs", 0, "size=256k") < 0) {
        rmdir(tree.path);
        return CANNOT_MOUNT;
    }
    tree.root = open(tree.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = store_open(&tree.store, tree.path) < 0;
    if (rc == 0) {
        tree.store->lacks = lacks;
        rc = fill(&tree);
        store_close(tree.store);
    }
    close(tree.root);
    umount2(tree.path, MNT_DETACH);
    rmdir(tree.path);
    return rc;
}

static void a_full_disk_is_refused_and_leaves_nothing(void **state)
{
    for (size_t i = 0; i < KINDS; i++) {
        int status;
        pid_t child = fork();
        if (child == 0)
            _exit(on_a_full_disk(lacking[i]));
        assert_int_equal(waitpid(child, &status, 0), child);
        if (WIFEXITED(status) && WEXITSTATUS(status) == CANNOT_MOUNT) {
            print_message("this user may not mount a small file system here\n");
            skip();
        }
        assert_int_equal(status, 0);
    }
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appears_when_it_is_complete),
        cmocka_unit_test(replaces_a_file),
        cmocka_unit_test(gives_new_files_the_usual_mode),
        cmocka_unit_test(an_abandoned_upload_leaves_nothing),
        cmocka_unit_test(a_process_that_dies_leaves_nothing_where_files_need_no_name),
        cmocka_unit_test(makes_parents),
        cmocka_unit_test(makes_parents_behind_a_link_that_stays_inside),
        cmocka_unit_test(writes_nothing_outside_the_root),
        cmocka_unit_test(replaces_a_link_and_not_what_it_leads_to),
        cmocka_unit_test(never_overwrites_a_directory),
        cmocka_unit_test(a_file_is_no_parent),
        cmocka_unit_test(takes_a_name_only_where_it_is_free),
        cmocka_unit_test(replaces_only_the_file_that_was_expected),
        cmocka_unit_test(of_several_that_expect_the_same_one_wins),
        cmocka_unit_test(takes_the_first_free_number_where_the_name_is_taken),
        cmocka_unit_test(finds_the_number_that_is_left_where_thousands_are_taken),
        cmocka_unit_test(finds_a_free_number_whatever_is_taken),
        cmocka_unit_test(a_number_that_makes_the_name_too_long_is_refused),
        cmocka_unit_test(of_several_each_gets_a_number_of_its_own),
        cmocka_unit_test(refuses_a_length_no_file_can_have),
        cmocka_unit_test(is_as_long_as_what_was_written),
        cmocka_unit_test(a_full_disk_is_refused_and_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
