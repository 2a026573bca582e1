// rooms: store
#include "engine/store/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

static char base[] = "/tmp/sluice-walk-XXXXXX";
static int outer, root;

static void write_file(const char *name, const char *text)
{
    int fd = openat(root, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static int plant(void **state)
{
    (void)state;
    strcpy(base, "/tmp/sluice-walk-XXXXXX");
    if (!mkdtemp(base))
        return -1;
    outer = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (mkdirat(outer, "root", 0755) < 0)
        return -1;
    root = openat(outer, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return root < 0 ? -1 : 0;
}

static int remove_one(const char *path, const struct stat *facts, int kind, struct FTW *where)
{
    (void)facts, (void)kind, (void)where;
    return remove(path);
}

static int fell(void **state)
{
    (void)state;
    close(root);
    close(outer);
    return nftw(base, remove_one, 256, FTW_DEPTH | FTW_PHYS);
}

struct seen {
    unsigned count;
    char lines[64][600];
};

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

static const char *const kinds[] = { [WALK_FILE] = "file",
                                     [WALK_DIRECTORY] = "directory",
                                     [WALK_LINK] = "link",
                                     [WALK_OTHER] = "other",
                                     [WALK_FAULT] = "fault" };

static void walk_all(const char *path, bool also_private, struct seen *seen)
{
    struct walk *walk;
    struct walk_entry entry;
    int more;

    seen->count = 0;
    assert_int_equal(walk_begin(&walk, root, path, also_private), 0);
    while ((more = walk_next(walk, &entry)) == 1) {
        assert_true(seen->count < 64);
        snprintf(seen->lines[seen->count++], sizeof seen->lines[0], "%s %s%s%s%s", entry.path, kinds[entry.kind],
                 entry.target ? " " : "", entry.target ? entry.target : "", entry.leads ? " leads" : "");
    }
    assert_int_equal(more, 0);
    walk_end(walk);
    qsort(seen->lines, seen->count, sizeof seen->lines[0], by_text);
}

static void tells_of_everything_once_and_of_directories_before_what_is_in_them(void **state)
{
    (void)state;
    struct walk *walk;
    struct walk_entry entry;
    unsigned place = 0, directory = 0, inner = 0;

    assert_int_equal(mkdirat(root, "d", 0755), 0);
    assert_int_equal(mkdirat(root, "d/empty", 0755), 0);
    write_file("d/f", "12345");
    write_file("a\nb\xff", "");
    assert_int_equal(mkfifoat(root, "pipe", 0600), 0);
    assert_int_equal(walk_begin(&walk, root, "", false), 0);
    while (walk_next(walk, &entry) == 1) {
        place++;
        if (strcmp(entry.path, "d") == 0)
            directory = place;
        if (strcmp(entry.path, "d/f") == 0) {
            inner = place;
            assert_int_equal(entry.kind, WALK_FILE);
            assert_int_equal(entry.facts.st_size, 5);
            assert_int_equal(entry.facts.st_mode & 0777, 0640);
        }
    }
    walk_end(walk);
    assert_int_equal(place, 5);
    assert_true(directory > 0 && directory < inner);
    struct seen seen;
    walk_all("d", false, &seen);
    assert_int_equal(seen.count, 2);
    assert_string_equal(seen.lines[0], "empty directory");
    assert_string_equal(seen.lines[1], "f file");
}

static void tells_of_links_and_walks_through_none(void **state)
{
    (void)state;
    struct seen seen;
    assert_int_equal(mkdirat(outer, "outside", 0755), 0);
    assert_int_equal(mkdirat(root, "d", 0755), 0);
    write_file("f", "x");
    assert_int_equal(symlinkat("../f", root, "d/in"), 0);
    assert_int_equal(symlinkat("d", root, "dir"), 0);
    assert_int_equal(symlinkat("../outside", root, "out"), 0);
    assert_int_equal(symlinkat("/etc/passwd", root, "absolute"), 0);
    assert_int_equal(symlinkat("nowhere", root, "broken"), 0);
    assert_int_equal(symlinkat("loop", root, "loop"), 0);
    walk_all("", false, &seen);
    static const char *const wanted[] = {
        "absolute link /etc/passwd",
        "broken link nowhere",
        "d directory",
        "d/in link ../f leads",
        "dir link d leads",
        "f file",
        "loop link loop",
        "out link ../outside",
    };
    assert_int_equal(seen.count, sizeof wanted / sizeof *wanted);
    for (unsigned i = 0; i < seen.count; i++)
        assert_string_equal(seen.lines[i], wanted[i]);
}

static void leaves_the_stores_own_names_out_unless_asked(void **state)
{
    (void)state;
    struct seen seen;
    write_file(".sluice-x", "");
    write_file("y", "");
    walk_all("", false, &seen);
    assert_int_equal(seen.count, 1);
    walk_all("", true, &seen);
    assert_int_equal(seen.count, 2);
    assert_string_equal(seen.lines[0], ".sluice-x file");
}

static void what_is_too_deep_is_a_fault_beside_which_it_goes_on(void **state)
{
    (void)state;
    struct walk *walk;
    struct walk_entry entry;
    unsigned faults = 0, directories = 0, files = 0;
    int at = dup(root);

    for (unsigned i = 0; i < WALK_DEPTH_MAX + 3; i++) {
        assert_int_equal(mkdirat(at, "d", 0755), 0);
        int next = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        close(at);
        at = next;
    }
    close(at);
    write_file("z", "");
    assert_int_equal(walk_begin(&walk, root, "", false), 0);
    while (walk_next(walk, &entry) == 1) {
        directories += entry.kind == WALK_DIRECTORY;
        files += entry.kind == WALK_FILE;
        if (entry.kind == WALK_FAULT) {
            faults++;
            assert_int_equal(entry.error, -ELOOP);
        }
    }
    walk_end(walk);
    assert_int_equal(faults, 1);
    assert_int_equal(directories, WALK_DEPTH_MAX);
    assert_int_equal(files, 1);
}

static unsigned open_descriptors(void)
{
    unsigned count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void holds_few_descriptors_however_deep_it_is(void **state)
{
    (void)state;
    struct walk *walk;
    struct walk_entry entry;
    char path[WALK_DEPTH_MAX * 2 + 8] = "d";
    unsigned before = open_descriptors(), most = 0, told = 0;

    for (unsigned i = 0; i < WALK_DEPTH_MAX - 1; i++, strcat(path, "/d"))
        assert_int_equal(mkdirat(root, path, 0755), 0);
    assert_int_equal(walk_begin(&walk, root, "", false), 0);
    while (walk_next(walk, &entry) == 1) {
        told += entry.kind == WALK_DIRECTORY;
        most = open_descriptors() - before > most ? open_descriptors() - before : most;
    }
    walk_end(walk);
    assert_int_equal(told, WALK_DEPTH_MAX - 1);
    assert_int_equal(most, 2);
    assert_int_equal(open_descriptors(), before);
}

/* More names than are kept: what is read waits until some were gone into, and none is lost or told of twice. */
static void goes_into_more_directories_than_it_can_note(void **state)
{
    (void)state;
    struct walk *walk;
    struct walk_entry entry;
    char name[NAME_MAX + 1], inner[NAME_MAX + 3];
    const unsigned many = WALK_NAMES_MAX / (NAME_MAX + 1) + 50;
    unsigned directories = 0, files = 0, faults = 0;

    for (unsigned i = 0; i < many; i++) {
        memset(name, 'n', sizeof name - 1);
        name[snprintf(name, sizeof name, "%06u", i)] = 'n';
        name[NAME_MAX] = '\0';
        assert_int_equal(mkdirat(root, name, 0755), 0);
        if (i % 1000 != 0)
            continue;
        snprintf(inner, sizeof inner, "%s/f", name);
        write_file(inner, "");
    }
    assert_int_equal(walk_begin(&walk, root, "", false), 0);
    while (walk_next(walk, &entry) == 1) {
        directories += entry.kind == WALK_DIRECTORY;
        files += entry.kind == WALK_FILE;
        faults += entry.kind == WALK_FAULT;
    }
    walk_end(walk);
    assert_int_equal(directories, many);
    assert_int_equal(files, (many + 999) / 1000);
    assert_int_equal(faults, 0);
}

static void a_path_that_grows_too_long_is_a_fault(void **state)
{
    (void)state;
    struct walk *walk;
    struct walk_entry entry;
    char name[NAME_MAX + 1];
    unsigned faults = 0, told = 0;
    int at = dup(root);

    memset(name, 'n', NAME_MAX);
    name[NAME_MAX] = '\0';
    for (unsigned i = 0; i < 18; i++) {
        assert_int_equal(mkdirat(at, name, 0755), 0);
        int next = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        close(at);
        at = next;
    }
    assert_int_equal(walk_begin(&walk, root, "", false), 0);
    while (walk_next(walk, &entry) == 1) {
        told++;
        assert_true(strlen(entry.path) < PATH_MAX);
        if (entry.kind == WALK_FAULT) {
            faults++;
            assert_int_equal(entry.error, -ENAMETOOLONG);
        }
    }
    walk_end(walk);
    assert_int_equal(faults, 1);
    assert_true(told > 10);
    /* By hand, from within: no path is long enough to name them. */
    close(at);
    char command[200];
    snprintf(command, sizeof command, "rm -rf %s/root/nnn*", base);
    assert_int_equal(system(command), 0);
}

static void a_walk_begins_at_no_file_and_not_outside(void **state)
{
    (void)state;
    struct walk *walk;
    write_file("f", "");
    assert_int_equal(symlinkat("..", root, "up"), 0);
    assert_int_equal(walk_begin(&walk, root, "f", false), -ENOTDIR);
    assert_int_equal(walk_begin(&walk, root, "none", false), -ENOENT);
    assert_int_equal(walk_begin(&walk, root, "up", false), -EXDEV);
    assert_int_equal(walk_begin(&walk, root, "..", false), -EXDEV);
    walk_end(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, plant, fell)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(tells_of_everything_once_and_of_directories_before_what_is_in_them),
        TEST(tells_of_links_and_walks_through_none),
        TEST(leaves_the_stores_own_names_out_unless_asked),
        TEST(what_is_too_deep_is_a_fault_beside_which_it_goes_on),
        TEST(holds_few_descriptors_however_deep_it_is),
        TEST(goes_into_more_directories_than_it_can_note),
        TEST(a_path_that_grows_too_long_is_a_fault),
        TEST(a_walk_begins_at_no_file_and_not_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
