// rooms: store
#include "engine/store/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <cmocka.h>

/*
 * A tree of its own for each test:
 *     outside/secret
 *     root/file, root/dir/inner, and what the test adds
 */
struct tree {
    char path[64];
    int base; /* directory of the tree */
    int root;
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

    strcpy(tree->path, "/tmp/sluice-store-XXXXXX");
    assert_non_null(mkdtemp(tree->path));
    tree->base = open(tree->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mkdirat(tree->base, "outside", 0755), 0);
    assert_int_equal(mkdirat(tree->base, "root", 0755), 0);
    write_file(tree->base, "outside/secret", "secret");
    tree->root = openat(tree->base, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mkdirat(tree->root, "dir", 0755), 0);
    write_file(tree->root, "file", "content");
    write_file(tree->root, "dir/inner", "inner");
    char root[80];
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

/* What opening for reading says; an opened file must hold `text`. */
static int open_says(struct tree *tree, const char *path, const char *text)
{
    struct stat facts;
    char buffer[64] = "";
    int fd = store_open_read(tree->store, path, &facts);

    if (fd < 0)
        return fd;
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    if (text) {
        assert_true(S_ISREG(facts.st_mode));
        assert_int_equal(read(fd, buffer, sizeof buffer - 1), strlen(text));
        assert_string_equal(buffer, text);
        assert_int_equal(facts.st_size, strlen(text));
    } else {
        assert_true(S_ISDIR(facts.st_mode));
    }
    close(fd);
    return 0;
}

/* -- reading -- */

static void needs_a_directory_as_its_root(void **state)
{
    struct tree *tree = *state;
    struct store *store;
    char path[80];

    snprintf(path, sizeof path, "%s/root/file", tree->path);
    assert_int_equal(store_open(&store, path), -ENOTDIR);
    assert_int_equal(store_open(&store, "/nonexistent/root"), -ENOENT);
    store_close(NULL);
}

static void opens_what_lies_beneath_the_root(void **state)
{
    struct tree *tree = *state;

    assert_int_equal(open_says(tree, "file", "content"), 0);
    assert_int_equal(open_says(tree, "dir/inner", "inner"), 0);
    assert_int_equal(open_says(tree, "", NULL), 0);
    assert_int_equal(open_says(tree, "dir", NULL), 0);
    assert_int_equal(open_says(tree, "dir/", NULL), 0);
    assert_int_equal(open_says(tree, "none", NULL), -ENOENT);
    assert_int_equal(open_says(tree, "file/", NULL), -ENOTDIR);
    assert_int_equal(open_says(tree, "file/x", NULL), -ENOTDIR);
}

static void checks_a_path_before_any_system_call(void **state)
{
    static const struct {
        const char *path;
        int rc;
    } cases[] = {
        { "", 0 },
        { "a", 0 },
        { "a/", 0 },
        { "a/b/c", 0 },
        { "...", 0 },
        { "..a/.b", 0 },
        { "a\nb\x01", 0 },
        { "/", -EINVAL },
        { "/a", -EINVAL },
        { "//", -EINVAL },
        { "a//", -EINVAL },
        { "a//b", -EINVAL },
        { ".", -EINVAL },
        { "..", -EINVAL },
        { "./a", -EINVAL },
        { "../a", -EINVAL },
        { "a/..", -EINVAL },
        { "a/../b", -EINVAL },
        { "a/../", -EINVAL },
        { "a/./b", -EINVAL },
        { "a/.", -EINVAL },
        { ".sluice-0123", -ENOENT },
        { "a/.sluice-", -ENOENT },
        { ".sluice-x/a", -ENOENT },
        { ".sluice", 0 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(store_path_check(cases[i].path), cases[i].rc);
    (void)state;
}

static void refuses_names_that_are_too_long(void **state)
{
    struct tree *tree = *state;
    char name[NAME_MAX + 2], path[PATH_MAX + 1];

    memset(name, 'a', sizeof name);
    name[NAME_MAX + 1] = '\0';
    assert_int_equal(store_path_check(name), -ENAMETOOLONG);
    name[NAME_MAX] = '\0';
    assert_int_equal(store_path_check(name), 0);
    assert_int_equal(open_says(tree, name, NULL), -ENOENT);
    for (size_t i = 0; i < PATH_MAX; i++)
        path[i] = i % 2 ? '/' : 'a';
    path[PATH_MAX] = '\0';
    assert_int_equal(store_path_check(path), -ENAMETOOLONG);
    path[PATH_MAX - 1] = '\0';
    assert_int_equal(store_path_check(path), 0);
    assert_int_equal(open_says(tree, path, NULL), -ENOENT);
}

static void follows_links_that_stay_inside(void **state)
{
    struct tree *tree = *state;

    assert_int_equal(symlinkat("file", tree->root, "link"), 0);
    assert_int_equal(symlinkat("../file", tree->root, "dir/up"), 0);
    assert_int_equal(symlinkat("dir", tree->root, "also"), 0);
    assert_int_equal(open_says(tree, "link", "content"), 0);
    assert_int_equal(open_says(tree, "dir/up", "content"), 0);
    assert_int_equal(open_says(tree, "also/inner", "inner"), 0);
}

static void follows_no_link_that_leads_out(void **state)
{
    struct tree *tree = *state;
    char absolute[80];

    snprintf(absolute, sizeof absolute, "%s/outside/secret", tree->path);
    assert_int_equal(symlinkat(absolute, tree->root, "absolute"), 0);
    assert_int_equal(symlinkat("../outside/secret", tree->root, "relative"), 0);
    assert_int_equal(symlinkat("../outside", tree->root, "directory"), 0);
    assert_int_equal(symlinkat("../root/file", tree->root, "out-and-in"), 0);
    assert_int_equal(symlinkat("loop", tree->root, "loop"), 0);
    assert_int_equal(open_says(tree, "absolute", NULL), -EXDEV);
    assert_int_equal(open_says(tree, "relative", NULL), -EXDEV);
    assert_int_equal(open_says(tree, "directory/secret", NULL), -EXDEV);
    assert_int_equal(open_says(tree, "out-and-in", NULL), -EXDEV);
    assert_int_equal(open_says(tree, "loop", NULL), -ELOOP);
}

static void follows_no_magic_link(void **state)
{
    struct store *store;
    struct stat facts;

    if (store_open(&store, "/proc/self") < 0) {
        print_message("there is no /proc here\n");
        skip();
    }
    assert_int_equal(store_open_read(store, "cwd", &facts), -ELOOP);
    assert_int_equal(store_open_read(store, "root/etc/passwd", &facts), -ELOOP);
    assert_int_equal(store_open_read(store, "fd/0", &facts), -ELOOP);
    store_close(store);
    (void)state;
}

struct swapper {
    int root;
    atomic_bool stop;
};

/* Turns a directory into a link that leads out, and back, all the time. */
static void *swap(void *argument)
{
    struct swapper *swapper = argument;

    while (!swapper->stop)
        renameat2(swapper->root, "real", swapper->root, "fake", RENAME_EXCHANGE);
    return NULL;
}

static void never_leaves_while_a_link_is_swapped(void **state)
{
    struct tree *tree = *state;
    struct swapper swapper = { .root = tree->root };
    pthread_t thread;
    int opened = 0, refused = 0;

    assert_int_equal(mkdirat(tree->root, "real", 0755), 0);
    write_file(tree->root, "real/secret", "decoy!");
    assert_int_equal(symlinkat("../outside", tree->root, "fake"), 0);
    assert_int_equal(pthread_create(&thread, NULL, swap, &swapper), 0);
    for (int i = 0; i < 20000 || (i < 1000000 && (opened == 0 || refused == 0)); i++) {
        struct stat facts;
        char text[8] = "";
        int fd = store_open_read(tree->store, "real/secret", &facts);
        if (fd >= 0) {
            assert_int_equal(read(fd, text, sizeof text - 1), 6);
            assert_string_equal(text, "decoy!");
            close(fd);
            opened++;
        } else {
            assert_true(fd == -EXDEV || fd == -EBUSY || fd == -ENOENT);
            refused++;
        }
    }
    swapper.stop = true;
    pthread_join(thread, NULL);
    assert_true(opened > 0 && refused > 0);
}

static void opens_nothing_but_files_and_directories(void **state)
{
    struct tree *tree = *state;
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct store_upload upload;

    assert_int_equal(mkfifoat(tree->root, "fifo", 0644), 0);
    assert_int_equal(open_says(tree, "fifo", NULL), -EACCES); /* and does not hang */
    snprintf(address.sun_path, sizeof address.sun_path, "%s/root/socket", tree->path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
    assert_int_equal(open_says(tree, "socket", NULL), -EACCES);
    if (mknodat(tree->root, "device", S_IFCHR | 0644, makedev(1, 5)) == 0)
        assert_int_equal(open_says(tree, "device", NULL), -EACCES);
    assert_int_equal(store_upload_begin(tree->store, "fifo", 1, &upload), -EACCES);
}

static void keeps_private_names_to_itself(void **state)
{
    struct tree *tree = *state;
    struct store_upload upload;

    write_file(tree->root, ".sluice-left", "x");
    assert_int_equal(open_says(tree, ".sluice-left", NULL), -ENOENT);
    assert_int_equal(store_upload_begin(tree->store, ".sluice-mine", 1, &upload), -ENOENT);
    assert_int_equal(store_upload_begin(tree->store, "dir/.sluice-x/y", 1, &upload), -ENOENT);
}

static void tells_a_ring_how_to_open(void **state)
{
    struct tree *tree = *state;
    struct open_how how = store_read_how();

    assert_true(how.flags & O_NONBLOCK && how.flags & O_CLOEXEC);
    assert_int_equal(how.resolve, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS);
    int fd = store_resolve(store_directory(tree->store), "dir/inner", how.flags);
    struct stat facts;
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_int_equal(store_opened(fd, &facts), 0);
    close(fd);
    assert_int_equal(store_opened(fd, &facts), -EBADF);
}

static void tags_change_with_the_content_even_where_its_time_is_set_back(void **state)
{
    struct tree *tree = *state;
    char before[STORE_ETAG_SIZE], after[STORE_ETAG_SIZE];
    struct stat facts, again;

    assert_int_equal(fstatat(tree->root, "file", &facts, 0), 0);
    store_etag(&facts, before);
    store_etag(&facts, after);
    assert_string_equal(before, after);
    assert_true(before[0] == '"' && before[strlen(before) - 1] == '"');
    usleep(20000); /* file systems count in ticks */
    write_file(tree->root, "file", "CONTENT");
    struct timespec times[2] = { facts.st_atim, facts.st_mtim };
    assert_int_equal(utimensat(tree->root, "file", times, 0), 0);
    assert_int_equal(fstatat(tree->root, "file", &again, 0), 0);
    assert_int_equal(again.st_mtim.tv_nsec, facts.st_mtim.tv_nsec);
    store_etag(&again, after);
    assert_string_not_equal(before, after);
    memset(&facts, 0xff, sizeof facts);
    store_etag(&facts, before);
    assert_true(strlen(before) < STORE_ETAG_SIZE && before[strlen(before) - 1] == '"');
}

/* -- listing -- */

struct collected {
    char text[256];
    int stop_after;
};

static int collect(void *argument, const struct store_entry *entry)
{
    struct collected *collected = argument;
    size_t length = strlen(collected->text);

    snprintf(collected->text + length, sizeof collected->text - length, "%s%s=%llu ", entry->name,
             entry->directory ? "/" : "", entry->directory ? 0 : (unsigned long long)entry->size);
    assert_true(entry->modified.tv_sec > 0);
    return --collected->stop_after == 0 ? 77 : 0;
}

static void lists_sorted_by_bytes(void **state)
{
    struct tree *tree = *state;
    struct collected all = { 0 }, again = { 0 }, some = { .stop_after = 2 };

    write_file(tree->root, "B", "12");
    write_file(tree->root, "a", "");
    write_file(tree->root, "\xc3\xa4", "1");
    write_file(tree->root, ".hidden", "1");
    write_file(tree->root, ".sluice-private", "1");
    assert_int_equal(mkfifoat(tree->root, "fifo", 0644), 0);
    assert_int_equal(symlinkat("file", tree->root, "link"), 0);
    assert_int_equal(symlinkat("../outside/secret", tree->root, "out"), 0);
    assert_int_equal(symlinkat("nowhere", tree->root, "dangling"), 0);
    int fd = openat(tree->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(store_list(fd, 100, collect, &all), 0);
    assert_string_equal(all.text, ".hidden=1 B=2 a=0 dir/=0 file=7 link=7 \xc3\xa4=1 ");
    assert_int_equal(store_list(fd, 7, collect, &again), 0); /* the descriptor is where it was */
    assert_string_equal(all.text, again.text);
    assert_int_equal(store_list(fd, 6, collect, &again), -E2BIG);
    assert_int_equal(store_list(fd, 100, collect, &some), 77);
    assert_string_equal(some.text, ".hidden=1 B=2 ");
    close(fd);
    fd = openat(tree->root, "file", O_RDONLY | O_CLOEXEC);
    assert_int_equal(store_list(fd, 7, collect, &again), -ENOTDIR);
    close(fd);
}

static void lists_an_empty_directory(void **state)
{
    struct tree *tree = *state;
    struct collected none = { 0 };

    assert_int_equal(mkdirat(tree->root, "empty", 0755), 0);
    int fd = openat(tree->root, "empty", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(store_list(fd, 0, collect, &none), 0);
    assert_string_equal(none.text, "");
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(needs_a_directory_as_its_root, plant, fell),
        cmocka_unit_test_setup_teardown(opens_what_lies_beneath_the_root, plant, fell),
        cmocka_unit_test(checks_a_path_before_any_system_call),
        cmocka_unit_test_setup_teardown(refuses_names_that_are_too_long, plant, fell),
        cmocka_unit_test_setup_teardown(follows_links_that_stay_inside, plant, fell),
        cmocka_unit_test_setup_teardown(follows_no_link_that_leads_out, plant, fell),
        cmocka_unit_test(follows_no_magic_link),
        cmocka_unit_test_setup_teardown(never_leaves_while_a_link_is_swapped, plant, fell),
        cmocka_unit_test_setup_teardown(opens_nothing_but_files_and_directories, plant, fell),
        cmocka_unit_test_setup_teardown(keeps_private_names_to_itself, plant, fell),
        cmocka_unit_test_setup_teardown(tells_a_ring_how_to_open, plant, fell),
        cmocka_unit_test_setup_teardown(tags_change_with_the_content_even_where_its_time_is_set_back, plant, fell),
        cmocka_unit_test_setup_teardown(lists_sorted_by_bytes, plant, fell),
        cmocka_unit_test_setup_teardown(lists_an_empty_directory, plant, fell),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
