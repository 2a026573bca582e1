// rooms: store
#include "engine/store/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

/* outside/secret, root/file, root/dir/inner */
struct tree {
    char path[64];
    int base, root;
    struct store *store;
};

static void write_file(int directory, const char *name, const char *text)
{
    int fd = openat(directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static int plant(void **state)
{
    struct tree *tree = calloc(1, sizeof *tree);
    char root[80];

    strcpy(tree->path, "/tmp/sluice-delete-XXXXXX");
    assert_non_null(mkdtemp(tree->path));
    tree->base = open(tree->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mkdirat(tree->base, "outside", 0755), 0);
    assert_int_equal(mkdirat(tree->base, "root", 0755), 0);
    write_file(tree->base, "outside/secret", "secret");
    tree->root = openat(tree->base, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mkdirat(tree->root, "dir", 0755), 0);
    write_file(tree->root, "file", "content");
    write_file(tree->root, "dir/inner", "inner");
    snprintf(root, sizeof root, "%s/root", tree->path);
    assert_int_equal(store_open(&tree->store, root), 0);
    *state = tree;
    return 0;
}

static int remove_one(const char *path, const struct stat *facts, int type, struct FTW *walk)
{
    (void)facts, (void)type, (void)walk;
    return remove(path);
}

static int fell(void **state)
{
    struct tree *tree = *state;

    store_close(tree->store);
    close(tree->root);
    close(tree->base);
    int rc = nftw(tree->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(tree);
    return rc;
}

static bool is_there(int directory, const char *name)
{
    struct stat facts;
    return fstatat(directory, name, &facts, AT_SYMLINK_NOFOLLOW) == 0;
}

/* The etag under which a reader sees the file. */
static void tag_of(const struct store *store, const char *path, char etag[STORE_ETAG_SIZE])
{
    struct stat facts;
    int fd = store_open_read(store, path, &facts);

    assert_true(fd >= 0);
    close(fd);
    store_etag(&facts, etag);
}

static int upload(const struct store *store, const char *path, const char *text, const char *expected)
{
    struct store_upload upload;
    struct stat facts;
    bool created;

    int rc = store_upload_begin(store, path, strlen(text), &upload);
    if (rc < 0)
        return rc;
    assert_int_equal(write(upload.fd, text, strlen(text)), strlen(text));
    return store_upload_commit(&upload, expected, &created, &facts);
}

/* -- deleting -- */

static void deletes_a_file(void **state)
{
    struct tree *tree = *state;

    assert_int_equal(store_delete(tree->store, "file", NULL), 0);
    assert_false(is_there(tree->root, "file"));
    assert_int_equal(store_delete(tree->store, "dir/inner", NULL), 0);
    assert_false(is_there(tree->root, "dir/inner"));
    assert_true(is_there(tree->root, "dir"));
    assert_int_equal(store_delete(tree->store, "file", NULL), -ENOENT);
    assert_int_equal(store_delete(tree->store, "none/file", NULL), -ENOENT);
}

static void deletes_no_directory(void **state)
{
    struct tree *tree = *state;

    assert_int_equal(mkdirat(tree->root, "empty", 0755), 0);
    assert_int_equal(store_delete(tree->store, "empty", NULL), -EISDIR);
    assert_int_equal(store_delete(tree->store, "empty/", NULL), -EISDIR);
    assert_int_equal(store_delete(tree->store, "", NULL), -EISDIR);
    assert_int_equal(store_delete(tree->store, "file/", NULL), -EISDIR);
    assert_true(is_there(tree->root, "empty"));
    assert_true(is_there(tree->root, "file"));
}

static void deletes_a_link_and_not_what_it_leads_to(void **state)
{
    struct tree *tree = *state;

    assert_int_equal(symlinkat("file", tree->root, "link"), 0);
    assert_int_equal(symlinkat("dir", tree->root, "folder"), 0);
    assert_int_equal(symlinkat("../outside/secret", tree->root, "out"), 0);
    assert_int_equal(symlinkat("nowhere", tree->root, "dangling"), 0);
    assert_int_equal(store_delete(tree->store, "link", NULL), 0);
    assert_int_equal(store_delete(tree->store, "folder", NULL), 0);
    assert_int_equal(store_delete(tree->store, "out", NULL), 0);
    assert_int_equal(store_delete(tree->store, "dangling", NULL), 0);
    assert_false(is_there(tree->root, "link") || is_there(tree->root, "folder") || is_there(tree->root, "out"));
    assert_true(is_there(tree->root, "file"));
    assert_true(is_there(tree->root, "dir/inner"));
    assert_true(is_there(tree->base, "outside/secret"));
}

static void deletes_nothing_outside_the_root(void **state)
{
    struct tree *tree = *state;

    assert_int_equal(symlinkat("../outside", tree->root, "way"), 0);
    assert_int_equal(store_delete(tree->store, "way/secret", NULL), -EXDEV);
    assert_int_equal(store_delete(tree->store, "../outside/secret", NULL), -EINVAL);
    assert_true(is_there(tree->base, "outside/secret"));
}

static void deletes_neither_private_names_nor_what_is_no_file(void **state)
{
    struct tree *tree = *state;

    write_file(tree->root, ".sluice-mine", "x");
    assert_int_equal(mkfifoat(tree->root, "fifo", 0644), 0);
    assert_int_equal(store_delete(tree->store, ".sluice-mine", NULL), -ENOENT);
    assert_int_equal(store_delete(tree->store, "fifo", NULL), -EACCES);
    assert_int_equal(store_delete(tree->store, "file/x", NULL), -ENOTDIR);
    assert_true(is_there(tree->root, ".sluice-mine"));
    assert_true(is_there(tree->root, "fifo"));
}

static void deletes_only_the_file_that_was_expected(void **state)
{
    struct tree *tree = *state;
    char etag[STORE_ETAG_SIZE];

    tag_of(tree->store, "file", etag);
    assert_int_equal(unlinkat(tree->root, "file", 0), 0);
    write_file(tree->root, "other", "holds the inode's number");
    write_file(tree->root, "file", "another");
    assert_int_equal(store_delete(tree->store, "file", etag), -ESTALE);
    assert_true(is_there(tree->root, "file"));
    tag_of(tree->store, "file", etag);
    assert_int_equal(store_delete(tree->store, "file", etag), 0);
    assert_int_equal(store_delete(tree->store, "file", etag), -ENOENT);
}

/* A reader sees a link's target, so its tag is the one that counts. */
static void a_links_tag_is_that_of_what_it_leads_to(void **state)
{
    struct tree *tree = *state;
    char etag[STORE_ETAG_SIZE];

    assert_int_equal(symlinkat("file", tree->root, "link"), 0);
    assert_int_equal(symlinkat("nowhere", tree->root, "dangling"), 0);
    tag_of(tree->store, "link", etag);
    assert_int_equal(store_delete(tree->store, "dangling", etag), -ESTALE);
    assert_int_equal(store_delete(tree->store, "link", etag), 0);
    assert_true(is_there(tree->root, "file"));
    assert_false(is_there(tree->root, "link"));
}

static void says_where_it_may_not(void **state)
{
    struct tree *tree = *state;

    assert_int_equal(fchmodat(tree->root, "dir", 0555, 0), 0);
    bool root = geteuid() == 0;
    if (root)
        assert_int_equal(seteuid(65534), 0); /* root may delete everything */
    int rc = store_delete(tree->store, "dir/inner", NULL);
    if (root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(rc, -EACCES);
    assert_int_equal(fchmodat(tree->root, "dir", 0755, 0), 0);
    assert_true(is_there(tree->root, "dir/inner"));
}

/* -- homes -- */

static void a_home_is_made_where_it_is_missing(void **state)
{
    struct tree *tree = *state;
    struct store *home, *again;
    struct stat facts;
    mode_t mask = umask(0);

    assert_int_equal(store_home(tree->store, "alice", &home), 0);
    assert_int_equal(store_home(tree->store, "homes/bob", &again), 0);
    umask(mask);
    assert_int_equal(fstatat(tree->root, "alice", &facts, 0), 0);
    assert_int_equal(facts.st_mode & 07777, 0750);
    assert_int_equal(fstatat(tree->root, "homes/bob", &facts, 0), 0);
    assert_int_equal(facts.st_mode & 07777, 0750);
    store_close(again);
    assert_int_equal(store_home(tree->store, "alice", &again), 0); /* it is there now */
    assert_int_equal(upload(home, "deep/mine", "hers", NULL), 0);
    assert_true(is_there(tree->root, "alice/deep/mine"));
    assert_int_equal(store_delete(again, "deep/mine", NULL), 0);
    assert_false(is_there(tree->root, "alice/deep/mine"));
    store_close(again);
    store_close(home);
}

static void nothing_leads_out_of_a_home(void **state)
{
    struct tree *tree = *state;
    struct store *home;
    struct stat facts;

    assert_int_equal(store_home(tree->store, "dir", &home), 0);
    assert_int_equal(symlinkat("../file", tree->root, "dir/up"), 0);
    int fd = store_open_read(tree->store, "dir/up", &facts); /* beneath the store's root, it leads somewhere */
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(store_open_read(home, "up", &facts), -EXDEV);
    assert_int_equal(store_open_read(home, "../file", &facts), -EINVAL);
    assert_int_equal(upload(home, "../new", "x", NULL), -EINVAL);
    store_close(home);
}

static void refuses_what_can_be_no_home(void **state)
{
    struct tree *tree = *state;
    struct store *home = NULL;

    assert_int_equal(symlinkat("../outside", tree->root, "way"), 0);
    assert_int_equal(symlinkat("../beyond", tree->root, "new"), 0);
    assert_int_equal(symlinkat("nowhere", tree->root, "dangling"), 0);
    assert_int_equal(store_home(tree->store, "way", &home), -EXDEV);
    assert_int_equal(store_home(tree->store, "way/deeper", &home), -EXDEV);
    assert_int_equal(store_home(tree->store, "new", &home), -EXDEV);
    assert_int_equal(store_home(tree->store, "dangling", &home), -ENOENT);
    assert_int_equal(store_home(tree->store, "file", &home), -ENOTDIR);
    assert_int_equal(store_home(tree->store, "file/x", &home), -ENOTDIR);
    assert_int_equal(store_home(tree->store, ".sluice-home", &home), -ENOENT);
    assert_int_equal(store_home(tree->store, "a/.sluice-home", &home), -ENOENT);
    assert_int_equal(store_home(tree->store, "..", &home), -EINVAL);
    assert_int_equal(store_home(tree->store, "a/", &home), -EINVAL);
    assert_int_equal(store_home(tree->store, "", &home), -EINVAL);
    assert_null(home);
    assert_false(is_there(tree->base, "outside/deeper"));
    assert_false(is_there(tree->base, "beyond"));
    assert_false(is_there(tree->root, "a"));
}

static void a_link_that_stays_inside_may_be_a_home(void **state)
{
    struct tree *tree = *state;
    struct store *home;

    assert_int_equal(symlinkat("dir", tree->root, "link"), 0);
    assert_int_equal(store_home(tree->store, "link", &home), 0);
    assert_int_equal(store_delete(home, "inner", NULL), 0);
    assert_false(is_there(tree->root, "dir/inner"));
    store_close(home);
}

static void conditions_hold_between_a_store_and_its_homes(void **state)
{
    struct tree *tree = *state;
    struct store *home;
    char etag[STORE_ETAG_SIZE];

    assert_int_equal(store_home(tree->store, "dir", &home), 0);
    assert_ptr_equal(home->naming, tree->store->naming);
    tag_of(home, "inner", etag);
    assert_int_equal(upload(tree->store, "dir/inner", "changed", etag), 0);
    assert_int_equal(store_delete(home, "inner", etag), -ESTALE);
    assert_int_equal(upload(home, "inner", "x", ""), -EEXIST);
    store_close(home);
}

static void a_home_outlives_its_store(void **state)
{
    struct tree *tree = *state;
    struct store *home;

    assert_int_equal(store_home(tree->store, "alice", &home), 0);
    store_close(tree->store);
    tree->store = NULL;
    assert_int_equal(upload(home, "file", "still", NULL), 0);
    store_close(home);
    assert_true(is_there(tree->root, "alice/file"));
}

/* -- small files of our own -- */

static void assert_holds(int directory, const char *name, const char *text)
{
    char found[64] = "";
    int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(read(fd, found, sizeof found - 1), strlen(text));
    assert_string_equal(found, text);
    close(fd);
}

static void keeps_a_text_once(void **state)
{
    struct tree *tree = *state;
    char root[80], missing[100];

    snprintf(root, sizeof root, "%s/root", tree->path);
    snprintf(missing, sizeof missing, "%s/none", root);
    assert_int_equal(store_keep(root, "abc.pem", "first"), 0);
    assert_int_equal(store_keep(root, "abc.pem", "second"), 0);
    assert_holds(tree->root, "abc.pem", "first");
    assert_int_equal(store_keep(missing, "abc.pem", "x"), -ENOENT);
    assert_int_equal(store_keep(root, "dir", "x"), 0); /* the name is taken */
    assert_true(is_there(tree->root, "dir/inner"));
    assert_int_equal(store_keep(root, "empty", ""), 0);
    assert_holds(tree->root, "empty", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(deletes_a_file, plant, fell),
        cmocka_unit_test_setup_teardown(deletes_no_directory, plant, fell),
        cmocka_unit_test_setup_teardown(deletes_a_link_and_not_what_it_leads_to, plant, fell),
        cmocka_unit_test_setup_teardown(deletes_nothing_outside_the_root, plant, fell),
        cmocka_unit_test_setup_teardown(deletes_neither_private_names_nor_what_is_no_file, plant, fell),
        cmocka_unit_test_setup_teardown(deletes_only_the_file_that_was_expected, plant, fell),
        cmocka_unit_test_setup_teardown(a_links_tag_is_that_of_what_it_leads_to, plant, fell),
        cmocka_unit_test_setup_teardown(says_where_it_may_not, plant, fell),
        cmocka_unit_test_setup_teardown(a_home_is_made_where_it_is_missing, plant, fell),
        cmocka_unit_test_setup_teardown(nothing_leads_out_of_a_home, plant, fell),
        cmocka_unit_test_setup_teardown(refuses_what_can_be_no_home, plant, fell),
        cmocka_unit_test_setup_teardown(a_link_that_stays_inside_may_be_a_home, plant, fell),
        cmocka_unit_test_setup_teardown(conditions_hold_between_a_store_and_its_homes, plant, fell),
        cmocka_unit_test_setup_teardown(a_home_outlives_its_store, plant, fell),
        cmocka_unit_test_setup_teardown(keeps_a_text_once, plant, fell),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
