// rooms: store
#include "engine/store/folder.h"
#include "engine/store/store_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

static char base[32];
static int root;
static struct store *store;

static int plant(void **state)
{
    (void)state;
    strcpy(base, "/tmp/sluice-folder-XXXXXX");
    if (!mkdtemp(base))
        return -1;
    char path[64];
    snprintf(path, sizeof path, "%s/root", base);
    if (mkdir(path, 0755) < 0 || store_open(&store, path) < 0)
        return -1;
    root = store_directory(store);
    return 0;
}

static int remove_one(const char *path, const struct stat *facts, int kind, struct FTW *where)
{
    (void)facts, (void)kind, (void)where;
    return remove(path);
}

static int fell(void **state)
{
    (void)state;
    store_close(store);
    return nftw(base, remove_one, 64, FTW_DEPTH | FTW_PHYS);
}

static void write_file(const char *name)
{
    int fd = openat(root, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    close(fd);
}

static void makes_folders_and_those_above(void **state)
{
    (void)state;
    struct stat facts;
    assert_int_equal(store_make_folder(store, "a/b/c"), 0);
    assert_int_equal(store_make_folder(store, "a/b"), 0);
    assert_int_equal(fstatat(root, "a/b/c", &facts, 0), 0);
    assert_true(S_ISDIR(facts.st_mode));
}

static void makes_no_folder_through_or_instead_of_something_else(void **state)
{
    (void)state;
    write_file("f");
    assert_int_equal(symlinkat("..", root, "up"), 0);
    assert_int_equal(symlinkat(".", root, "here"), 0);
    assert_int_equal(store_make_folder(store, "f"), -ENOTDIR);
    assert_int_equal(store_make_folder(store, "f/x"), -ENOTDIR);
    assert_int_equal(store_make_folder(store, "up"), -ELOOP);
    assert_int_equal(store_make_folder(store, "here"), -ELOOP);
    assert_int_equal(store_make_folder(store, "up/x"), -EXDEV);
    assert_int_equal(store_make_folder(store, "../x"), -EINVAL);
    assert_int_equal(store_make_folder(store, ".sluice-x"), -ENOENT);
}

static void sets_mode_and_time_and_follows_no_link(void **state)
{
    (void)state;
    const struct timespec when = { .tv_sec = 1000000000, .tv_nsec = 123456789 };
    const unsigned mode = 0640;
    struct stat facts;
    write_file("f");
    assert_int_equal(symlinkat("f", root, "l"), 0);
    assert_int_equal(store_set_facts(store, "f", &mode, &when), 0);
    assert_int_equal(fstatat(root, "f", &facts, 0), 0);
    assert_int_equal(facts.st_mode & 07777, 0640);
    assert_int_equal(facts.st_mtim.tv_sec, when.tv_sec);
    assert_int_equal(facts.st_mtim.tv_nsec, when.tv_nsec);
    assert_int_equal(store_set_facts(store, "l", &mode, NULL), -ELOOP);
    assert_int_equal(store_set_facts(store, "none", &mode, NULL), -ENOENT);
    assert_int_equal(store_set_facts(store, "", NULL, &when), 0);
}

static void a_link_stays_only_where_it_cannot_climb_out(void **state)
{
    (void)state;
    static const struct {
        const char *path, *target;
        bool stays;
    } cases[] = {
        { "l", "f", true },
        { "l", "./f", true },
        { "l", "a/b/f", true },
        { "a/l", "../f", true },
        { "a/l", ".././/f", true },
        { "a/b/l", "../..", true },
        { "l", "..", false },
        { "l", "../f", false },
        { "a/l", "../../f", false },
        { "a/l", "/f", false },
        { "l", "", false },
        { "a/l", "b/../f", false }, /* b may be a link */
        { "a/b/l", "../x/../f", false },
        { "a/b/l", "./../../../f", false },
        { "a/l", "..f/...", true },
        { "l", ".sluice-up-1", false }, /* the store's own files are nobody's to read */
        { "a/l", "../b/.sluice-up-1", false },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(store_link_stays(cases[i].path, cases[i].target), cases[i].stays);
}

static void assert_link(const char *path, const char *target)
{
    char found[100];
    ssize_t length = readlinkat(root, path, found, sizeof found - 1);
    assert_true(length > 0);
    found[length] = '\0';
    assert_string_equal(found, target);
}

static void makes_links_that_stay_and_replaces_files_and_links(void **state)
{
    (void)state;
    assert_int_equal(store_make_folder(store, "a"), 0);
    assert_int_equal(store_make_link(store, "a/l", "../f"), 0);
    assert_link("a/l", "../f");
    assert_int_equal(store_make_link(store, "a/l", "g"), 0);
    assert_link("a/l", "g");
    write_file("f");
    assert_int_equal(store_make_link(store, "f", "a"), 0);
    assert_link("f", "a");
    assert_int_equal(store_make_link(store, "a", "f"), -EISDIR);
    assert_int_equal(store_make_link(store, "x", "/etc/passwd"), -EXDEV);
    assert_int_equal(store_make_link(store, "x", "../x"), -EXDEV);
}

/* "here" is the root itself: "here/x" looks one directory deep and is not. */
static void makes_no_link_behind_a_link(void **state)
{
    (void)state;
    assert_int_equal(store_make_link(store, "here", "."), 0);
    assert_int_equal(store_make_link(store, "here/x", "../secret"), -ELOOP);
    assert_int_equal(faccessat(root, "x", F_OK, AT_SYMLINK_NOFOLLOW), -1);
}

static void a_link_obeys_who_keeps_or_numbers_what_is_there(void **state)
{
    (void)state;
    unsigned number = 9;
    struct store_link link = { .target = "f", .keeps = true };
    write_file("f");
    assert_int_equal(mkfifoat(root, "fifo", 0600), 0);
    assert_int_equal(store_put_link(store, "a/b/l", &link), 0);
    assert_true(link.created);
    assert_int_equal(store_put_link(store, "a/b/l", &link), 0);
    assert_false(link.created);
    assert_int_equal(store_put_link(store, "f", &link), -EEXIST);
    link = (struct store_link){ .target = "g", .keeps = true };
    assert_int_equal(store_put_link(store, "a/b/l", &link), -EEXIST);
    assert_link("a/b/l", "f");
    link = (struct store_link){ .target = "g", .numbered = &number };
    assert_int_equal(store_put_link(store, "a/b/l", &link), 0);
    assert_int_equal(number, 1);
    assert_link("a/b/l.1", "g");
    assert_int_equal(store_put_link(store, "a/b/m", &link), 0);
    assert_int_equal(number, 0);
    assert_int_equal(store_make_link(store, "fifo", "g"), -EACCES);
    assert_int_equal(store_make_link(store, "f/x", "g"), -ENOTDIR);
}

static void puts_a_folder_with_what_it_is_to_have(void **state)
{
    (void)state;
    const struct timespec when = { .tv_sec = 1000000000, .tv_nsec = 5 };
    const unsigned mode = 0710;
    struct stat facts;
    bool created = false;
    assert_int_equal(store_put_folder(store, "a/b", &mode, &when, &created), 0);
    assert_true(created);
    assert_int_equal(fstatat(root, "a/b", &facts, 0), 0);
    assert_int_equal(facts.st_mode & 07777, 0710);
    assert_int_equal(facts.st_mtim.tv_sec, when.tv_sec);
    assert_int_equal(fchmodat(root, "a/b", 02750, 0), 0);
    assert_int_equal(store_put_folder(store, "a/b", &mode, NULL, &created), 0);
    assert_false(created);
    assert_int_equal(fstatat(root, "a/b", &facts, 0), 0);
    assert_int_equal(facts.st_mode & 07777, 02710);
    assert_int_equal(symlinkat("a", root, "l"), 0);
    write_file("f");
    assert_int_equal(store_put_folder(store, "l", &mode, NULL, &created), -ELOOP);
    assert_int_equal(store_put_folder(store, "f", &mode, NULL, &created), -ENOTDIR);
}

static void a_batch_takes_its_names_and_each_has_its_own_result(void **state)
{
    (void)state;
    static struct store_batch batch[STORE_BATCH_MAX];
    char name[32];

    assert_int_equal(mkdirat(root, "taken", 0755), 0);
    write_file("present");
    for (unsigned i = 0; i < STORE_BATCH_MAX; i++) {
        snprintf(name, sizeof name, i == 5 ? "present" : i == 7 ? "late" : "d%u/f%u", i % 3, i);
        batch[i] = (struct store_batch){ .expected = i == 5 ? "" : NULL };
        assert_int_equal(store_upload_begin(store, name, UINT64_MAX, &batch[i].upload), 0);
        assert_int_equal(write(batch[i].upload.fd, name, strlen(name)), strlen(name));
    }
    assert_int_equal(mkdirat(root, "late", 0755), 0);
    store_upload_commit_all(batch, STORE_BATCH_MAX);
    for (unsigned i = 0; i < STORE_BATCH_MAX; i++) {
        struct stat facts;
        int wanted = i == 5 ? -EEXIST : i == 7 ? -EISDIR : 0;
        assert_int_equal(batch[i].result, wanted);
        assert_int_equal(batch[i].upload.fd, -1);
        snprintf(name, sizeof name, "d%u/f%u", i % 3, i);
        if (wanted == 0) {
            assert_int_equal(fstatat(root, name, &facts, 0), 0);
            assert_int_equal(facts.st_size, strlen(name));
            assert_true(batch[i].created);
        }
    }
    store_upload_commit_all(batch, 0);
}

static void begin_in_batch(struct store_batch *batch, size_t count, const char *path)
{
    assert_int_equal(store_batch_begin(store, path, batch, count), 0);
    assert_int_equal(write(batch[count].upload.fd, path, strlen(path)), strlen(path));
}

static unsigned open_descriptors(void)
{
    unsigned count = 0;
    DIR *all = opendir("/proc/self/fd");

    while (all && readdir(all))
        count++;
    if (all)
        closedir(all);
    return count;
}

static void files_of_a_batch_share_their_directory_and_each_has_its_own_result(void **state)
{
    (void)state;
    static const char *const paths[] = { "d/one", "d/two", "e/one", "f", "d/taken", "new/folder/g", "d/present" };
    enum { COUNT = sizeof paths / sizeof *paths };
    struct store_batch batch[COUNT + 1];
    unsigned before = open_descriptors();
    struct stat facts;

    assert_int_equal(mkdirat(root, "d", 0755), 0);
    assert_int_equal(mkdirat(root, "d/taken", 0755), 0);
    assert_int_equal(mkdirat(root, "e", 0755), 0);
    write_file("d/present");
    for (size_t i = 0; i < COUNT; i++)
        begin_in_batch(batch, i, paths[i]);
    assert_true(store_upload_is_new(&batch[0].upload));
    assert_false(store_upload_is_new(&batch[4].upload));
    assert_true(store_upload_is_new(&batch[5].upload));
    assert_int_equal(store_batch_begin(store, "d/../e/x", batch, COUNT), -EINVAL);
    assert_int_equal(store_batch_begin(store, "d", batch, COUNT), 0); /* that it is a directory is found at the end */
    store_upload_abandon(&batch[COUNT].upload);
    store_upload_commit_all(batch, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(batch[i].result, i == 4 ? -EISDIR : 0);
        if (i == 4)
            continue;
        assert_int_equal(fstatat(root, paths[i], &facts, 0), 0);
        assert_int_equal(facts.st_size, strlen(paths[i]));
        assert_int_equal(batch[i].facts.st_ino, facts.st_ino);
        assert_int_equal(batch[i].created, i != 6);
    }
    assert_int_equal(open_descriptors(), before);
}

static void one_of_a_batch_that_is_abandoned_leaves_the_others_their_directory(void **state)
{
    (void)state;
    struct store_batch batch[3];
    struct stat facts;

    assert_int_equal(mkdirat(root, "d", 0755), 0);
    begin_in_batch(batch, 0, "d/one");
    begin_in_batch(batch, 1, "d/two");
    store_upload_abandon(&batch[1].upload);
    begin_in_batch(batch, 1, "d/three");
    begin_in_batch(batch, 2, "d/four");
    store_upload_commit_all(batch, 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(batch[i].result, 0);
    assert_int_equal(fstatat(root, "d/four", &facts, 0), 0);
    assert_int_equal(fstatat(root, "d/two", &facts, 0), -1);
}

/* In its place: fsync(2) fails on a descriptor that only names the file (EBADF), by itself and through a ring. */
static void make_unsyncable(int fd)
{
    char path[STORE_DESCRIPTOR_SIZE];

    store_descriptor_path(fd, path);
    int named = open(path, O_PATH | O_CLOEXEC);
    assert_true(named >= 0);
    assert_int_equal(dup3(named, fd, O_CLOEXEC), fd);
    close(named);
}

static void a_file_that_does_not_reach_the_disk_gets_no_name_and_the_others_do(void **state)
{
    (void)state;
    static const char *const names[] = { "d/one", "d/two", "e/three", "d/four" };
    unsigned before = open_descriptors();
    struct stat facts;

    assert_int_equal(mkdirat(root, "d", 0755), 0);
    assert_int_equal(mkdirat(root, "e", 0755), 0);
    for (int in_memory = 0; in_memory < 2; in_memory++) {
        struct store_batch batch[4];
        store->in_memory = in_memory;
        for (size_t i = 0; i < 4; i++)
            begin_in_batch(batch, i, names[i]);
        make_unsyncable(batch[1].upload.fd);
        store_upload_commit_all(batch, 4);
        for (size_t i = 0; i < 4; i++) {
            assert_int_equal(batch[i].result, i == 1 ? -EBADF : 0);
            assert_int_equal(fstatat(root, names[i], &facts, 0), i == 1 ? -1 : 0);
            (void)unlinkat(root, names[i], 0);
        }
    }
    assert_int_equal(open_descriptors(), before);
}

static void begin_synced(int fds[STORE_BATCH_MAX])
{
    for (size_t i = 0; i < STORE_BATCH_MAX; i++) {
        fds[i] = openat(root, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        if (fds[i] < 0)
            skip();
        assert_int_equal(write(fds[i], "x", 1), 1);
    }
    make_unsyncable(fds[0]);
    make_unsyncable(fds[STORE_BATCH_MAX - 1]);
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0); /* which knows no fsync: that is no failure */
    assert_int_equal(dup3(ends[0], fds[40], O_CLOEXEC), fds[40]);
    close(ends[0]);
    close(ends[1]);
}

static void check_synced(const int fds[STORE_BATCH_MAX], const int results[STORE_BATCH_MAX])
{
    for (int i = 0; i < STORE_BATCH_MAX; i++)
        assert_int_equal(results[i], i == 0 || i == STORE_BATCH_MAX - 1 ? -EBADF : 0);
    for (int i = 0; i < STORE_BATCH_MAX; i++)
        close(fds[i]);
}

static void many_are_synced_with_a_result_for_each_with_a_ring_and_without(void **state)
{
    (void)state;
    int fds[STORE_BATCH_MAX], results[STORE_BATCH_MAX] = { 0 };
    struct rlimit limit;

    begin_synced(fds);
    store_sync_all(fds, results, STORE_BATCH_MAX);
    check_synced(fds, results);
    begin_synced(fds);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    const struct rlimit none = { .rlim_cur = 0, .rlim_max = limit.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    store_sync_all(fds, results, STORE_BATCH_MAX);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    check_synced(fds, results);
    store_sync_all(fds, results, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, plant, fell)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(makes_folders_and_those_above),
        TEST(makes_no_folder_through_or_instead_of_something_else),
        TEST(sets_mode_and_time_and_follows_no_link),
        TEST(a_link_stays_only_where_it_cannot_climb_out),
        TEST(makes_links_that_stay_and_replaces_files_and_links),
        TEST(makes_no_link_behind_a_link),
        TEST(a_link_obeys_who_keeps_or_numbers_what_is_there),
        TEST(puts_a_folder_with_what_it_is_to_have),
        TEST(a_batch_takes_its_names_and_each_has_its_own_result),
        TEST(files_of_a_batch_share_their_directory_and_each_has_its_own_result),
        TEST(one_of_a_batch_that_is_abandoned_leaves_the_others_their_directory),
        TEST(a_file_that_does_not_reach_the_disk_gets_no_name_and_the_others_do),
        TEST(many_are_synced_with_a_result_for_each_with_a_ring_and_without),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
