// rooms: client
#include "engine/client/part.h"
#include "engine/client/source.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define SIZE 10000
#define SOURCE "\"abc\" "
static const struct timespec old = { .tv_sec = 784111777, .tv_nsec = 5 };

static char folder[] = "/tmp/sluice-part-XXXXXX";
static char local[64];

static const char *path_of(const char *suffix)
{
    static char paths[4][80];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s%s", local, suffix);
    return path;
}

static bool exists(const char *suffix)
{
    struct stat facts;
    return lstat(path_of(suffix), &facts) == 0;
}

static void put_text(const char *suffix, const char *text)
{
    FILE *file = fopen(path_of(suffix), "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void assert_text(const char *suffix, const char *text)
{
    char found[64] = "";
    FILE *file = fopen(path_of(suffix), "r");
    assert_non_null(file);
    found[fread(found, 1, sizeof found - 1, file)] = '\0';
    fclose(file);
    assert_string_equal(found, text);
}

static void must_open(struct part *part)
{
    assert_int_equal(part_open(part, local, "data/x"), 0);
}

/* As a transfer leaves it that was killed: half is claimed, more was written. */
static void leave_half(void)
{
    struct part part;
    struct extents have = { 0 };
    char bytes[SIZE * 3 / 4];

    memset(bytes, 'b', sizeof bytes);
    must_open(&part);
    assert_int_equal(part.fd, -1);
    assert_int_equal(part_begin(&part, SOURCE, "data/x", SIZE, NULL), 0);
    assert_int_equal(pwrite(part.fd, bytes, sizeof bytes, 0), sizeof bytes);
    assert_int_equal(extents_add(&have, 0, SIZE / 2), 0);
    assert_int_equal(part_save(&part, &have), 0);
    extents_clear(&have);
    part_close(&part);
}

static void finds_what_an_earlier_transfer_left(void **state)
{
    struct part part;

    (void)state;
    leave_half();
    must_open(&part);
    assert_true(part.fd >= 0);
    assert_int_equal(part.map.size, SIZE);
    assert_string_equal(part.map.source, SOURCE);
    assert_int_equal(extents_total(&part.map.have), SIZE / 2);
    assert_false(part.damaged);
    part_close(&part);
}

/* As a tree of somebody else's would bring both. */
static void believes_no_journal_of_another_file_of_that_name(void **state)
{
    struct part part;
    char bytes[SIZE] = "";

    (void)state;
    leave_half();
    int fd = open(path_of(".copy"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, sizeof bytes), sizeof bytes);
    close(fd);
    assert_int_equal(rename(path_of(".copy"), path_of(PART_SUFFIX)), 0);
    must_open(&part);
    assert_true(part.damaged);
    assert_int_equal(part.map.have.count, 0);
    assert_int_equal(part_begin(&part, SOURCE, "data/x", SIZE, NULL), 0);
    part_close(&part);
    must_open(&part);
    assert_false(part.damaged);
    assert_int_equal(extents_total(&part.map.have), 0);
    assert_string_equal(part.map.source, SOURCE);
    part_close(&part);
}

static void gives_the_name_only_to_the_whole(void **state)
{
    struct part part;
    struct stat facts;

    (void)state;
    put_text("", "old");
    leave_half();
    must_open(&part);
    assert_int_equal(part_commit(&part, old, true, NULL), -EBADMSG);
    assert_text("", "old");
    assert_true(exists(PART_SUFFIX) && exists(PART_JOURNAL_SUFFIX));
    assert_int_equal(ftruncate(part.fd, SIZE), 0);
    assert_int_equal(part_commit(&part, old, false, NULL), -EEXIST);
    assert_text("", "old");
    assert_int_equal(part_commit(&part, old, true, NULL), 0);
    part_close(&part);
    assert_int_equal(stat(local, &facts), 0);
    assert_int_equal(facts.st_size, SIZE);
    assert_int_equal(facts.st_mtim.tv_sec, old.tv_sec);
    assert_int_equal(facts.st_mtim.tv_nsec, old.tv_nsec);
    assert_false(exists(PART_SUFFIX) || exists(PART_JOURNAL_SUFFIX));
}

static void takes_a_number_where_the_name_is_taken(void **state)
{
    struct part part;
    unsigned number = 99;

    (void)state;
    put_text("", "old");
    put_text(".1", "older");
    leave_half();
    must_open(&part);
    assert_int_equal(ftruncate(part.fd, SIZE), 0);
    assert_int_equal(part_commit(&part, old, false, &number), 0);
    part_close(&part);
    assert_int_equal(number, 2);
    assert_text("", "old");
    assert_text(".1", "older");
    assert_true(exists(".2"));
    assert_false(exists(PART_SUFFIX) || exists(PART_JOURNAL_SUFFIX));
}

static void one_process_at_a_time_has_it(void **state)
{
    struct part part, other;

    (void)state;
    must_open(&part);
    assert_int_equal(part_begin(&part, SOURCE, "data/x", SIZE, NULL), 0);
    assert_int_equal(part_open(&other, local, "data/x"), -EBUSY);
    part_close(&other);
    part_close(&part);
    must_open(&other);
    part_close(&other);
}

static void a_journal_that_has_lost_its_part_is_tidied_up(void **state)
{
    (void)state;
    leave_half();
    assert_int_equal(rename(path_of(PART_SUFFIX), local), 0);
    part_tidy(local, "data/x", false);
    assert_true(exists(""));
    assert_false(exists(PART_SUFFIX) || exists(PART_JOURNAL_SUFFIX));
    put_text(PART_JOURNAL_SUFFIX, "somebody's");
    part_tidy(local, "data/x", true);
    assert_text(PART_JOURNAL_SUFFIX, "somebody's");
}

static void a_part_is_tidied_up_only_when_nobody_goes_on_with_it(void **state)
{
    struct part part;

    (void)state;
    leave_half();
    part_tidy(local, "data/x", false);
    assert_true(exists(PART_SUFFIX) && exists(PART_JOURNAL_SUFFIX));
    must_open(&part);
    part_tidy(local, "data/x", true);
    assert_true(exists(PART_SUFFIX) && exists(PART_JOURNAL_SUFFIX));
    part_close(&part);
    part_tidy(local, "data/x", true);
    assert_false(exists(PART_SUFFIX) || exists(PART_JOURNAL_SUFFIX));
    part_tidy(local, "data/x", true);
    assert_false(exists(""));
}

static void two_that_found_nothing_do_not_share_a_file(void **state)
{
    struct part part, other;

    (void)state;
    must_open(&part);
    must_open(&other);
    assert_int_equal(part_begin(&part, SOURCE, "data/x", SIZE, NULL), 0);
    assert_int_equal(part_begin(&other, SOURCE, "data/x", SIZE, NULL), -EBUSY);
    part_close(&other);
    assert_true(exists(PART_SUFFIX) && exists(PART_JOURNAL_SUFFIX));
    part_close(&part);
}

static void leaves_alone_what_is_not_its_own(void **state)
{
    struct part part;

    (void)state;
    put_text(PART_SUFFIX, "somebody's");
    assert_int_equal(part_open(&part, local, "data/x"), -EEXIST);
    part_close(&part);
    assert_text(PART_SUFFIX, "somebody's");
    unlink(path_of(PART_SUFFIX));
    assert_int_equal(symlink("/dev/null", path_of(PART_SUFFIX)), 0);
    assert_int_equal(part_open(&part, local, "data/x"), -EEXIST);
    part_close(&part);
    unlink(path_of(PART_SUFFIX));
    assert_int_equal(mkfifo(path_of(PART_SUFFIX), 0600), 0);
    assert_int_equal(part_open(&part, local, "data/x"), -EEXIST);
    part_close(&part);
    unlink(path_of(PART_SUFFIX));
    assert_int_equal(mkdir(path_of(PART_SUFFIX), 0700), 0);
    assert_int_equal(part_open(&part, local, "data/x"), -EEXIST);
    part_close(&part);
    rmdir(path_of(PART_SUFFIX));
}

/* Killed between the two names it gives: nothing was written yet. */
/* The kernel tells of a page that it could not write once, and takes it for clean then. */
static void after_a_sync_that_failed_nothing_is_claimed_or_named(void **state)
{
    struct part part;
    struct extents have = { 0 };
    int ends[2];

    (void)state;
    leave_half();
    must_open(&part);
    assert_int_equal(ftruncate(part.fd, SIZE), 0);
    assert_int_equal(extents_add(&have, 0, SIZE), 0);
    int file = dup(part.fd);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(dup2(ends[1], part.fd), part.fd);
    assert_int_equal(part_save(&part, &have), -EINVAL); /* as a disk that fails */
    assert_int_equal(dup2(file, part.fd), part.fd);
    assert_int_equal(part_save(&part, &have), -EINVAL);
    assert_int_equal(part_commit(&part, old, true, NULL), -EINVAL);
    close(file);
    close(ends[0]);
    close(ends[1]);
    extents_clear(&have);
    part_close(&part);
    assert_false(exists(""));
    must_open(&part);
    assert_int_equal(extents_total(&part.map.have), SIZE / 2);
    part_close(&part);
}

/* Another user could leave bytes and claims for us to take over. */
static void does_not_go_on_with_what_others_left_where_anybody_writes(void **state)
{
    struct part part;

    (void)state;
    if (geteuid() != 0)
        skip();
    leave_half();
    assert_int_equal(chown(path_of(PART_SUFFIX), 65534, 65534), 0);
    must_open(&part); /* nobody else may make files here */
    part_close(&part);
    assert_int_equal(chmod(folder, 01777), 0);
    assert_int_equal(part_open(&part, local, "data/x"), -EEXIST);
    part_close(&part);
    assert_true(exists(PART_SUFFIX) && exists(PART_JOURNAL_SUFFIX));
    assert_int_equal(chown(path_of(PART_SUFFIX), 0, 0), 0);
    must_open(&part);
    part_close(&part);
    assert_int_equal(chmod(folder, 0700), 0);
}

static void takes_up_an_empty_one_without_a_journal(void **state)
{
    struct part part;

    (void)state;
    put_text(PART_SUFFIX, "");
    must_open(&part);
    assert_true(part.fd >= 0);
    assert_int_equal(extents_total(&part.map.have), 0);
    part_close(&part);
}

static void does_not_believe_a_journal_of_a_finished_file(void **state)
{
    struct part part;

    (void)state;
    leave_half();
    unlink(path_of(PART_SUFFIX));
    must_open(&part);
    assert_int_equal(part.fd, -1);
    assert_int_equal(part_begin(&part, SOURCE, "data/x", SIZE, NULL), 0);
    part_close(&part);
    must_open(&part);
    assert_int_equal(extents_total(&part.map.have), 0);
    part_close(&part);
}

static void does_not_believe_more_than_the_file_holds(void **state)
{
    struct part part;

    (void)state;
    leave_half();
    assert_int_equal(truncate(path_of(PART_SUFFIX), SIZE / 2 - 1), 0);
    must_open(&part);
    assert_true(part.damaged);
    assert_int_equal(extents_total(&part.map.have), 0);
    part_close(&part);
}

static void does_not_go_on_with_another_remote_file(void **state)
{
    struct part part;

    (void)state;
    leave_half();
    assert_int_equal(part_open(&part, local, "data/y"), 0);
    assert_true(part.damaged);
    assert_int_equal(extents_total(&part.map.have), 0);
    part_close(&part);
}

static void starts_over_with_a_damaged_journal(void **state)
{
    struct part part;
    struct stat facts;

    (void)state;
    leave_half();
    put_text(PART_JOURNAL_SUFFIX, "sluice-map 1\nsize 1\n");
    must_open(&part);
    assert_true(part.damaged);
    assert_int_equal(part_begin(&part, SOURCE, "data/x", SIZE, NULL), 0);
    assert_int_equal(fstat(part.fd, &facts), 0);
    assert_int_equal(facts.st_size, 0);
    part_close(&part);
    must_open(&part);
    assert_false(part.damaged);
    assert_int_equal(extents_total(&part.map.have), 0);
    part_close(&part);
}

static void sets_a_bad_copy_aside(void **state)
{
    struct part part;
    unsigned number = 77;

    (void)state;
    put_text("", "old");
    leave_half();
    must_open(&part);
    assert_int_equal(part_set_aside(&part, &number), 0);
    assert_int_equal(number, 0);
    part_close(&part);
    assert_text("", "old");
    assert_true(exists(PART_BAD_SUFFIX));
    assert_false(exists(PART_SUFFIX) || exists(PART_JOURNAL_SUFFIX));
}

static void a_bad_copy_replaces_nothing_and_there_are_four_of_them_at_most(void **state)
{
    static const char *const names[] = { PART_BAD_SUFFIX, PART_BAD_SUFFIX ".1", PART_BAD_SUFFIX ".2",
                                         PART_BAD_SUFFIX ".3", PART_BAD_SUFFIX ".4" };
    struct part part;
    unsigned number = 77;

    (void)state;
    put_text(names[0], "somebody's own");
    put_text(names[2], "that, too");
    for (unsigned i = 1; i <= 3; i += 2) {
        leave_half();
        must_open(&part);
        assert_int_equal(part_set_aside(&part, &number), 0);
        assert_int_equal(number, i);
        part_close(&part);
        assert_true(exists(names[i]));
    }
    leave_half();
    must_open(&part);
    assert_int_equal(part_set_aside(&part, &number), -EEXIST);
    part_close(&part);
    assert_false(exists(PART_SUFFIX) || exists(PART_JOURNAL_SUFFIX) || exists(names[4]));
    assert_text(names[0], "somebody's own");
    assert_text(names[2], "that, too");
    for (size_t i = 0; i < 4; i++)
        remove(path_of(names[i]));
}

static void says_which_names_it_cannot_take(void **state)
{
    struct part part;
    char name[PATH_MAX];

    (void)state;
    snprintf(name, sizeof name, "%s/%0239d", folder, 0);
    assert_int_equal(part_open(&part, name, "x"), -ENAMETOOLONG);
    part_close(&part);
    snprintf(name, sizeof name, "%s/none/x", folder);
    assert_int_equal(part_open(&part, name, "x"), -ENOENT);
    part_close(&part);
    snprintf(name, sizeof name, "%s/.sluice-x", folder);
    assert_int_equal(part_open(&part, name, "x"), -EPERM);
    part_close(&part);
}

static void holes_are_there_from_the_beginning(void **state)
{
    struct part part;
    struct extents holes = { 0 };
    struct stat facts;
    const uint64_t size = UINT64_C(64) << 20;

    (void)state;
    leave_half();
    must_open(&part);
    assert_int_equal(extents_parse(&holes, "65536-67043327,67046400-67108863"), 0);
    assert_int_equal(part_begin(&part, SOURCE, "data/x", size, &holes), 0);
    assert_int_equal(fstat(part.fd, &facts), 0);
    assert_int_equal(facts.st_size, size);
    assert_true(facts.st_blocks * 512 <= 256 * 1024);
    assert_int_equal(pwrite(part.fd, "abc", 3, 0), 3);
    assert_int_equal(part_save(&part, &holes), 0);
    part_close(&part);

    must_open(&part);
    assert_int_equal(part.map.size, size);
    assert_int_equal(extents_total(&part.map.have), extents_total(&holes));
    assert_int_equal(part_commit(&part, (struct timespec){ 0 }, true, NULL), 0);
    part_close(&part);
    extents_clear(&holes);
    assert_int_equal(stat(local, &facts), 0);
    assert_int_equal(facts.st_size, size);
    assert_true(facts.st_blocks * 512 <= 256 * 1024);
    remove(local);
}

/* Holes take none of it. */
static void asks_for_room_for_data_only(void **state)
{
    struct part part;
    struct extents holes = { 0 };

    (void)state;
    must_open(&part);
    assert_int_equal(extents_add(&holes, 4096, UINT64_C(1) << 42), 0);
    assert_int_equal(part_begin(&part, SOURCE, "data/x", UINT64_C(1) << 42, &holes), 0);
    assert_int_equal(part_remove(&part), 0);
    part_close(&part);
    extents_clear(&holes);
}

static void refuses_a_file_there_is_no_room_for(void **state)
{
    struct part part;

    (void)state;
    must_open(&part);
    int rc = part_begin(&part, SOURCE, "data/x", INT64_MAX, NULL);
    assert_true(rc == -ENOSPC || rc == -EFBIG);
    assert_false(exists(PART_SUFFIX) || exists(PART_JOURNAL_SUFFIX));
    part_close(&part);
}

static int clean(void **state)
{
    static const char *const suffixes[] = { "", PART_SUFFIX, PART_JOURNAL_SUFFIX, PART_BAD_SUFFIX, ".1", ".2" };
    (void)state;
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        remove(path_of(suffixes[i]));
    return rmdir(folder) == 0 && mkdir(folder, 0700) == 0 ? 0 : -1; /* nothing else is left */
}

static int begin_group(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(local, sizeof local, "%s/file", folder);
    return 0;
}

static int end_group(void **state)
{
    (void)state;
    return rmdir(folder);
}

/* -- sources -- */

static void knows_what_a_source_can_be_told_by(void **state)
{
    static const struct {
        const char *etag, *modified, *ranges;
        bool good;
    } cases[] = {
        { "\"a\"", NULL, "bytes", true },
        { "\"a\"", NULL, "none", false },
        { "\"a\"", NULL, NULL, false },
        { "W/\"a\"", NULL, "bytes", false },
        { "W/\"a\"", "Sun, 06 Nov 1994 08:49:37 GMT", "bytes", true },
        { NULL, "Sun, 06 Nov 1994 08:50:37 GMT", "bytes", false }, /* within the minute before Date */
        { "a", NULL, "bytes", false },
        { "\"a\nb\"", NULL, "bytes", false },
        { NULL, "yesterday", "bytes", false },
        { NULL, NULL, "bytes", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_head head = { .status = 200, .framing = HTTP_BODY_LENGTH, .length = 10 };
        struct source source, again;
        char text[SOURCE_TEXT_SIZE];
        const struct http_field fields[] = { { "date", "Sun, 06 Nov 1994 08:51:00 GMT" },
                                             { "etag", cases[i].etag },
                                             { "last-modified", cases[i].modified },
                                             { "accept-ranges", cases[i].ranges } };
        for (size_t k = 0; k < sizeof fields / sizeof *fields; k++) {
            if (fields[k].value)
                head.fields[head.field_count++] = fields[k];
        }
        assert_int_equal(source_of(&source, &head), 0);
        if (source_can_be_resumed(&source) != cases[i].good)
            fail_msg("case %zu", i);
        if (!cases[i].good)
            continue;
        source_print(&source, text);
        assert_int_equal(source_parse(&again, text, 10), 0);
        assert_true(source_same(&source, &again));
    }
}

static void refuses_a_part_that_does_not_say_of_what(void **state)
{
    static const struct {
        const char *range;
        uint64_t length;
        int rc;
    } cases[] = {
        { "bytes 0-9/100", 10, 0 }, { "bytes 0-9/*", 10, -EINVAL }, { "bytes 0-9/100", 11, -EINVAL },
        { NULL, 10, -EINVAL },      { "bytes */100", 10, -EINVAL }, { "bytes 95-104/100", 10, -EINVAL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_head head = { .status = 206, .framing = HTTP_BODY_LENGTH, .length = cases[i].length };
        struct source source;
        if (cases[i].range)
            head.fields[head.field_count++] = (struct http_field){ "content-range", cases[i].range };
        assert_int_equal(source_of(&source, &head), cases[i].rc);
    }
}

static void another_server_is_alike_by_size_and_time(void **state)
{
    struct source a = { .size = 10, .etag = "\"a\"", .modified = "Sun, 06 Nov 1994 08:49:37 GMT" }, b = a;

    (void)state;
    assert_true(source_same(&a, &b) && source_alike(&a, &b));
    strcpy(b.etag, "\"b\"");
    assert_false(source_same(&a, &b));
    assert_true(source_alike(&a, &b));
    b.modified[0] = '\0';
    assert_false(source_alike(&a, &b));
    strcpy(b.etag, "\"a\"");
    assert_true(source_alike(&a, &b));
    b.size = 11;
    assert_false(source_alike(&a, &b));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_teardown(name, clean)
    const struct CMUnitTest tests[] = {
        TEST(finds_what_an_earlier_transfer_left),
        TEST(believes_no_journal_of_another_file_of_that_name),
        TEST(gives_the_name_only_to_the_whole),
        TEST(takes_a_number_where_the_name_is_taken),
        TEST(one_process_at_a_time_has_it),
        TEST(a_journal_that_has_lost_its_part_is_tidied_up),
        TEST(a_part_is_tidied_up_only_when_nobody_goes_on_with_it),
        TEST(two_that_found_nothing_do_not_share_a_file),
        TEST(leaves_alone_what_is_not_its_own),
        TEST(after_a_sync_that_failed_nothing_is_claimed_or_named),
        TEST(does_not_go_on_with_what_others_left_where_anybody_writes),
        TEST(takes_up_an_empty_one_without_a_journal),
        TEST(does_not_believe_a_journal_of_a_finished_file),
        TEST(does_not_believe_more_than_the_file_holds),
        TEST(does_not_go_on_with_another_remote_file),
        TEST(starts_over_with_a_damaged_journal),
        TEST(sets_a_bad_copy_aside),
        TEST(a_bad_copy_replaces_nothing_and_there_are_four_of_them_at_most),
        TEST(says_which_names_it_cannot_take),
        TEST(holes_are_there_from_the_beginning),
        TEST(asks_for_room_for_data_only),
        TEST(refuses_a_file_there_is_no_room_for),
        cmocka_unit_test(knows_what_a_source_can_be_told_by),
        cmocka_unit_test(refuses_a_part_that_does_not_say_of_what),
        cmocka_unit_test(another_server_is_alike_by_size_and_time),
    };
    return cmocka_run_group_tests(tests, begin_group, end_group);
}
