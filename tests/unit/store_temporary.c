// rooms: store
#include "engine/store/store_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

struct tree {
    char path[64];
    int root;
    struct store *store;
};

/* With files that need no name before they have their own, and without. */
static const unsigned kinds[] = { 0, STORE_LACKS_TMPFILE };
#define KINDS (sizeof kinds / sizeof *kinds)

static struct tree plant(unsigned lacks)
{
    struct tree tree = { .path = "/tmp/sluice-temporary-XXXXXX" };

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

static int names_in(const struct tree *tree)
{
    DIR *stream = opendir(tree->path);
    int count = -2; /* "." and ".." */

    while (readdir(stream))
        count++;
    closedir(stream);
    return count;
}

static void bring(struct tree *tree, const char *name, const char *text)
{
    struct store_upload upload;
    struct stat facts;
    bool created;

    assert_int_equal(store_upload_begin(tree->store, name, strlen(text), &upload), 0);
    assert_int_equal(write(upload.fd, text, strlen(text)), strlen(text));
    assert_int_equal(store_upload_commit(&upload, NULL, &created, &facts), 0);
}

static void holds(const struct tree *tree, const char *name, const char *text)
{
    char found[32] = "";
    int fd = openat(tree->root, name, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_true(read(fd, found, sizeof found - 1) >= 0);
    close(fd);
    assert_string_equal(found, text);
}

/* A process that ends with a private name given, and the other not yet. */
static void die_between(const struct tree *tree, const char *name)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        struct store_upload upload;
        bool good = store_upload_begin(tree->store, name, 3, &upload) == 0 && write(upload.fd, "old", 3) == 3;
        if (good && !upload.temporary)
            good = store_link_temporary(&upload) == 0;
        _exit(good ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void what_a_killed_process_left_goes_with_the_next_of_that_name(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        struct tree tree = plant(kinds[i]);
        bring(&tree, "file", "before");
        die_between(&tree, "file");
        assert_int_equal(names_in(&tree), 2);
        bring(&tree, "other", "another");
        assert_int_equal(names_in(&tree), 3);
        bring(&tree, "file", "after");
        assert_int_equal(names_in(&tree), 2);
        holds(&tree, "file", "after");
        fell(&tree);
    }
}

static void what_another_process_is_still_writing_is_left_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        struct tree tree = plant(kinds[i]);
        struct store_upload first;
        struct stat facts;
        bool created;
        bring(&tree, "file", "before");
        assert_int_equal(store_upload_begin(tree.store, "file", 3, &first), 0);
        assert_int_equal(write(first.fd, "one", 3), 3);
        if (!first.temporary)
            assert_int_equal(store_link_temporary(&first), 0);
        bring(&tree, "file", "two");
        assert_int_equal(names_in(&tree), 2);
        holds(&tree, first.temporary, "one");
        assert_int_equal(store_upload_commit(&first, NULL, &created, &facts), 0);
        assert_int_equal(names_in(&tree), 1);
        holds(&tree, "file", "one");
        fell(&tree);
    }
}

static void what_is_no_file_of_ours_is_left_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        struct tree tree = plant(kinds[i]);
        struct store_upload upload;
        char name[64];
        bring(&tree, "file", "before");
        assert_int_equal(store_upload_begin(tree.store, "file", 3, &upload), 0);
        if (!upload.temporary)
            assert_int_equal(store_link_temporary(&upload), 0);
        assert_true(strlen(upload.temporary) < sizeof name);
        strcpy(name, upload.temporary);
        store_upload_abandon(&upload);
        assert_int_equal(mkdirat(tree.root, name, 0700), 0);
        bring(&tree, "file", "after");
        assert_int_equal(names_in(&tree), 2);
        holds(&tree, "file", "after");
        assert_int_equal(unlinkat(tree.root, name, AT_REMOVEDIR), 0);
        fell(&tree);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_killed_process_left_goes_with_the_next_of_that_name),
        cmocka_unit_test(what_another_process_is_still_writing_is_left_alone),
        cmocka_unit_test(what_is_no_file_of_ours_is_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
