// rooms: store
#include "engine/store/digest.h"
#include "engine/store/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <cmocka.h>

static char folder[] = "/var/tmp/sluice-store-digest-XXXXXX"; /* on a disk: not every tmpfs has user attributes */

static int fresh_folder(void **state)
{
    (void)state;
    strcpy(strrchr(folder, '-'), "-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *facts, int type, struct FTW *walk)
{
    (void)facts, (void)type, (void)walk;
    return remove(path);
}

static int remove_folder(void **state)
{
    (void)state;
    return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static const char *in_folder(const char *name)
{
    static char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int file_of(const char *name, const char *text)
{
    int fd = open(in_folder(name), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    return fd;
}

static bool has_attributes(void)
{
    if (setxattr(folder, "user.sluice.test", "", 0, 0) == 0 || errno != EOPNOTSUPP)
        return true;
    print_message("the file system of /var/tmp has no user attributes\n");
    return false;
}

static struct digest_set both(uint8_t filling)
{
    struct digest_set set = { 0 };
    for (int i = 0; i < DIGEST_ALGORITHMS; i++) {
        struct digest digest = { .algorithm = (enum digest_algorithm)i };
        memset(digest.bytes, filling, digest_size(digest.algorithm));
        digest_set_add(&set, &digest);
    }
    return set;
}

static int recall(int fd, struct digest_set *set)
{
    struct stat facts;
    assert_int_equal(fstat(fd, &facts), 0);
    return store_digest_recall(fd, &facts, set);
}

static void what_was_kept_is_recalled(void **state)
{
    if (!has_attributes())
        skip();
    struct digest_set kept = both(7), found;
    int fd = file_of("a", "text");
    (void)state;

    assert_int_equal(recall(fd, &found), -ENOENT);
    assert_int_equal(store_digest_keep(fd, &kept, true), 0);
    assert_int_equal(recall(fd, &found), 0);
    assert_int_equal(found.known, kept.known);
    assert_true(digest_set_agree(&kept, &found));
    close(fd);
    fd = open(in_folder("a"), O_RDONLY | O_CLOEXEC); /* as a server has it */
    assert_int_equal(recall(fd, &found), 0);
    close(fd);
}

static void keeping_again_replaces(void **state)
{
    if (!has_attributes())
        skip();
    struct digest_set first = both(1), second = { 0 }, found;
    int fd = file_of("a", "text");
    (void)state;

    second.known = 1u << DIGEST_SHA_256;
    assert_int_equal(store_digest_keep(fd, &first, true), 0);
    assert_int_equal(store_digest_keep(fd, &second, true), 0);
    assert_int_equal(recall(fd, &found), 0);
    assert_int_equal(found.known, 1u << DIGEST_SHA_256);
    assert_true(digest_set_agree(&second, &found));
    close(fd);
}

static void nothing_is_kept_of_nothing(void **state)
{
    struct digest_set none = { 0 }, found;
    int fd = file_of("a", "text");
    (void)state;

    assert_int_equal(store_digest_keep(fd, &none, true), 0);
    assert_int_equal(recall(fd, &found), -ENOENT);
    close(fd);
}

static void a_file_that_grew_has_none(void **state)
{
    if (!has_attributes())
        skip();
    struct digest_set kept = both(7), found;
    int fd = file_of("a", "text");
    struct stat facts;
    (void)state;

    assert_int_equal(store_digest_keep(fd, &kept, true), 0);
    assert_int_equal(fstat(fd, &facts), 0);
    assert_int_equal(write(fd, "!", 1), 1);
    const struct timespec times[2] = { facts.st_atim, facts.st_mtim }; /* somebody who hides it */
    assert_int_equal(futimens(fd, times), 0);
    assert_int_equal(recall(fd, &found), -ENOENT);
    assert_int_equal(found.known, 0);
    close(fd);
}

static void a_file_that_was_changed_in_place_has_none(void **state)
{
    if (!has_attributes())
        skip();
    struct digest_set kept = both(7), found;
    const struct timespec past[2] = { { 1000000000, 5 }, { 1000000000, 5 } };
    int fd = file_of("a", "text");
    (void)state;

    assert_int_equal(futimens(fd, past), 0);
    assert_int_equal(store_digest_keep(fd, &kept, true), 0);
    assert_int_equal(recall(fd, &found), 0);
    assert_int_equal(pwrite(fd, "T", 1, 0), 1);
    assert_int_equal(recall(fd, &found), -ENOENT);
    close(fd);
}

static void a_change_within_the_same_tick_is_seen(void **state)
{
    if (!has_attributes())
        skip();
    struct digest_set kept = both(7), found;
    (void)state;

    for (int i = 0; i < 200; i++) {
        int fd = file_of("a", "text");
        assert_int_equal(store_digest_keep(fd, &kept, false), 0);
        assert_int_equal(pwrite(fd, "T", 1, 0), 1);
        assert_int_equal(recall(fd, &found), -ENOENT);
        close(fd);
    }
}

static void a_time_that_somebody_has_set_stays(void **state)
{
    if (!has_attributes())
        skip();
    struct digest_set kept = both(7), found;
    struct stat facts;
    struct timespec now, times[2] = { { .tv_nsec = UTIME_OMIT } };
    int fd = file_of("a", "text");
    (void)state;

    clock_gettime(CLOCK_REALTIME, &now);
    times[1] = (struct timespec){ now.tv_sec - 1, 5 };
    assert_int_equal(futimens(fd, times), 0);
    assert_int_equal(store_digest_keep(fd, &kept, true), 0);
    assert_int_equal(fstat(fd, &facts), 0);
    assert_int_equal(facts.st_mtim.tv_sec, times[1].tv_sec);
    assert_int_equal(facts.st_mtim.tv_nsec, 5);
    assert_int_equal(recall(fd, &found), 0);
    close(fd);
}

static void a_nanosecond_counts(void **state)
{
    if (!has_attributes())
        skip();
    struct digest_set kept = both(7), found;
    struct timespec times[2] = { { 1000000000, 5 }, { 1000000000, 5 } };
    int fd = file_of("a", "text");
    (void)state;

    assert_int_equal(futimens(fd, times), 0);
    assert_int_equal(store_digest_keep(fd, &kept, true), 0);
    times[1].tv_nsec++;
    assert_int_equal(futimens(fd, times), 0);
    assert_int_equal(recall(fd, &found), -ENOENT);
    close(fd);
}

static void a_copy_with_its_attributes_has_none(void **state)
{
    if (!has_attributes())
        skip();
    struct digest_set kept = both(7), found;
    const struct timespec past[2] = { { 1000000000, 5 }, { 1000000000, 5 } };
    char text[1000];
    int fd = file_of("a", "text"), copy = file_of("b", "text");
    (void)state;

    assert_int_equal(futimens(fd, past), 0);
    assert_int_equal(futimens(copy, past), 0);
    assert_int_equal(store_digest_keep(fd, &kept, true), 0);
    ssize_t length = fgetxattr(fd, STORE_DIGEST_ATTRIBUTE, text, sizeof text);
    assert_true(length > 0);
    assert_int_equal(fsetxattr(copy, STORE_DIGEST_ATTRIBUTE, text, (size_t)length, 0), 0);
    assert_int_equal(recall(copy, &found), -ENOENT);
    close(fd);
    close(copy);
}

static void another_name_does_not_matter(void **state)
{
    if (!has_attributes())
        skip();
    struct digest_set kept = both(7), found;
    char before[200];
    int fd = file_of("a", "text");
    (void)state;

    assert_int_equal(store_digest_keep(fd, &kept, true), 0);
    strcpy(before, in_folder("a"));
    assert_int_equal(rename(before, in_folder("b")), 0);
    assert_int_equal(recall(fd, &found), 0);
    close(fd);
}

/* What stands there may have been written by anybody who owns the file. */
static void what_is_damaged_is_not_believed(void **state)
{
    if (!has_attributes())
        skip();
    static const char *const behind[] = { "",
                                          " ",
                                          " sha-256",
                                          " sha-256:",
                                          " sha-256:0707",
                                          " md5:07070707070707070707070707070707",
                                          " sha-256:070707070707070707070707070707070707070707070707070707070707070x",
                                          "0" };
    struct digest_set kept = both(7), found;
    char text[1000], good[1000];
    int fd = file_of("a", "text");
    (void)state;

    assert_int_equal(store_digest_keep(fd, &kept, true), 0);
    ssize_t length = fgetxattr(fd, STORE_DIGEST_ATTRIBUTE, good, sizeof good - 1);
    assert_true(length > 0);
    good[length] = '\0';
    size_t binding = (size_t)(strstr(good, " sha-") - good);
    for (size_t i = 0; i < sizeof behind / sizeof *behind; i++) {
        int made = snprintf(text, sizeof text, "%.*s%s", (int)binding, good, behind[i]);
        assert_int_equal(fsetxattr(fd, STORE_DIGEST_ATTRIBUTE, text, (size_t)made, 0), 0);
        assert_int_equal(recall(fd, &found), -ENOENT);
        assert_int_equal(found.known, 0);
    }
    for (ssize_t cut = 0; cut < length; cut++) { /* a NUL within */
        memcpy(text, good, (size_t)length);
        text[cut] = '\0';
        assert_int_equal(fsetxattr(fd, STORE_DIGEST_ATTRIBUTE, text, (size_t)length, 0), 0);
        assert_int_equal(recall(fd, &found), -ENOENT);
    }
    memset(text, ' ', sizeof text);
    assert_int_equal(fsetxattr(fd, STORE_DIGEST_ATTRIBUTE, text, sizeof text, 0), 0);
    assert_int_equal(recall(fd, &found), -ENOENT);
    close(fd);
}

static void a_file_system_without_attributes_has_none(void **state)
{
    struct digest_set kept = both(7), found;
    int fd = open("/proc/self/comm", O_RDWR | O_CLOEXEC);
    (void)state;

    assert_true(fd >= 0);
    assert_int_equal(store_digest_keep(fd, &kept, true), -EOPNOTSUPP);
    assert_int_equal(recall(fd, &found), -ENOENT);
    close(fd);
}

static void an_error_is_told(void **state)
{
    struct digest_set kept = both(7), found;
    struct stat facts = { 0 };
    (void)state;

    assert_int_equal(store_digest_keep(-1, &kept, false), -EBADF);
    assert_int_equal(store_digest_recall(-1, &facts, &found), -EBADF);
}

/* -- what is set aside -- */

static void assert_holds(const char *name, const char *text)
{
    char found[100] = "";
    int fd = open(in_folder(name), O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_true(read(fd, found, sizeof found - 1) >= 0);
    assert_string_equal(found, text);
    close(fd);
}

static void set_aside(struct store *store, const char *path, const char *text, char name[STORE_BAD_NAME_SIZE])
{
    struct store_upload upload;
    assert_int_equal(store_upload_begin(store, path, strlen(text), &upload), 0);
    assert_int_equal(write(upload.fd, text, strlen(text)), strlen(text));
    assert_int_equal(store_upload_set_aside(&upload, name), 0);
    assert_int_equal(upload.fd, -1);
}

static void a_bad_upload_is_kept_once_for_each_path(void **state)
{
    static const unsigned lacking[] = { 0, STORE_LACKS_TMPFILE };
    char first[STORE_BAD_NAME_SIZE], second[STORE_BAD_NAME_SIZE], other[STORE_BAD_NAME_SIZE];
    (void)state;

    for (size_t i = 0; i < sizeof lacking / sizeof *lacking; i++) {
        struct store *store;
        assert_int_equal(store_open(&store, folder), 0);
        store->lacks = lacking[i];
        close(file_of("a", "good"));
        set_aside(store, "a", "bad", first);
        assert_holds("a", "good");
        assert_holds(first, "bad");
        assert_int_equal(store_path_check(first), -ENOENT); /* never served */
        set_aside(store, "a", "worse", second);
        assert_string_equal(first, second);
        assert_holds(first, "worse");
        set_aside(store, "b", "bad, too", other);
        assert_string_not_equal(first, other);
        assert_holds(first, "worse");
        store_close(store);
    }
}

static void an_upload_that_cannot_be_set_aside_leaves_nothing(void **state)
{
    struct store *store;
    struct store_upload upload;
    char name[STORE_BAD_NAME_SIZE];
    struct stat facts;
    (void)state;

    assert_int_equal(store_open(&store, folder), 0);
    store->lacks = STORE_LACKS_TMPFILE;
    assert_int_equal(store_bad_name("a", name), 0);
    assert_int_equal(mkdir(in_folder(name), 0700), 0); /* stands in the way */
    assert_int_equal(store_upload_begin(store, "a", 3, &upload), 0);
    char temporary[300];
    strcpy(temporary, in_folder(upload.temporary));
    assert_int_equal(stat(temporary, &facts), 0);
    assert_int_equal(store_upload_set_aside(&upload, name), -EISDIR);
    assert_int_equal(stat(temporary, &facts), -1);
    store_close(store);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        TEST(what_was_kept_is_recalled),
        TEST(keeping_again_replaces),
        TEST(nothing_is_kept_of_nothing),
        TEST(a_file_that_grew_has_none),
        TEST(a_file_that_was_changed_in_place_has_none),
        TEST(a_change_within_the_same_tick_is_seen),
        TEST(a_time_that_somebody_has_set_stays),
        TEST(a_nanosecond_counts),
        TEST(a_copy_with_its_attributes_has_none),
        TEST(another_name_does_not_matter),
        TEST(what_is_damaged_is_not_believed),
        TEST(a_file_system_without_attributes_has_none),
        TEST(an_error_is_told),
        TEST(a_bad_upload_is_kept_once_for_each_path),
        TEST(an_upload_that_cannot_be_set_aside_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
