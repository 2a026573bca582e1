// rooms: catalog
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "engine/catalog/writer.h"

struct place {
    char folder[64], file[96], log_file[96], why[CATALOG_WHY_SIZE];
    FILE *out;
    struct event_log *log;
    struct catalog_writer *writer;
    sqlite3 *locker;
};

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    snprintf(place->folder, sizeof place->folder, "/tmp/sluice-writer-XXXXXX");
    if (!mkdtemp(place->folder))
        return -1;
    snprintf(place->file, sizeof place->file, "%s/catalog.db", place->folder);
    snprintf(place->log_file, sizeof place->log_file, "%s/log", place->folder);
    place->out = fopen(place->log_file, "w");
    place->log = event_log_new(place->out, false);
    *state = place;
    return place->log ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *facts, int flag, struct FTW *at)
{
    (void)facts;
    (void)flag;
    (void)at;
    return remove(path);
}

static int tear_down(void **state)
{
    struct place *place = *state;
    catalog_writer_free(place->writer, 0);
    sqlite3_close(place->locker);
    event_log_free(place->log);
    fclose(place->out);
    nftw(place->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(place);
    return 0;
}

static void start(struct place *place, size_t capacity)
{
    const struct catalog_writer_options options = { .file = place->file, .log = place->log, .capacity = capacity };
    assert_int_equal(catalog_writer_new(&place->writer, &options), 0);
}

static void stop(struct place *place, unsigned patience)
{
    catalog_writer_free(place->writer, patience);
    place->writer = NULL;
}

static uint64_t push(struct place *place, uint64_t id, enum catalog_state state, const char *remote)
{
    struct catalog_record record = { .id = id,
                                     .state = state,
                                     .remote = remote,
                                     .direction = CATALOG_IN,
                                     .bytes = 42,
                                     .partner = "node7",
                                     .size = CATALOG_UNKNOWN };
    return catalog_writer_push(place->writer, &record);
}

static void rest(void)
{
    const struct timespec moment = { .tv_nsec = 10 * 1000000 };
    nanosleep(&moment, NULL);
}

static void wait_written(struct place *place, uint64_t count)
{
    struct catalog_writer_counts counts = { 0 };
    for (int i = 0; i < 1000 && counts.written < count; i++) {
        rest();
        catalog_writer_count(place->writer, &counts);
    }
    assert_int_equal(counts.written, count);
}

static bool log_has(struct place *place, const char *text)
{
    char all[65536] = "";
    FILE *in = fopen(place->log_file, "r");
    assert_non_null(in);
    all[fread(all, 1, sizeof all - 1, in)] = '\0';
    fclose(in);
    return strstr(all, text) != NULL;
}

static void wait_log(struct place *place, const char *text)
{
    for (int i = 0; i < 1000 && !log_has(place, text); i++)
        rest();
    assert_true(log_has(place, text));
}

struct sum {
    size_t count;
    enum catalog_state state;
    uint64_t bytes;
};

static int add(void *argument, const struct catalog_record *record)
{
    struct sum *sum = argument;
    sum->count++;
    sum->state = record->state;
    sum->bytes += record->bytes;
    return 0;
}

static struct sum rows(struct place *place)
{
    struct catalog *catalog;
    struct sum sum = { 0 };
    assert_int_equal(catalog_open(&catalog, place->file, CATALOG_READ, place->why), 0);
    assert_int_equal(catalog_find(catalog, &(struct catalog_filter){ 0 }, add, &sum), 0);
    catalog_close(catalog);
    return sum;
}

static void lock(struct place *place)
{
    assert_int_equal(sqlite3_open(place->file, &place->locker), 0);
    sqlite3_busy_timeout(place->locker, 5000);
    assert_int_equal(sqlite3_exec(place->locker, "BEGIN EXCLUSIVE", NULL, NULL, NULL), 0);
}

static void unlock(struct place *place)
{
    assert_int_equal(sqlite3_exec(place->locker, "ROLLBACK", NULL, NULL, NULL), 0);
    sqlite3_close(place->locker);
    place->locker = NULL;
}

/* -- tests --------------------------------------------------------------------------------------------------------- */

static void what_is_pushed_is_written(void **state)
{
    struct place *place = *state;
    start(place, 0);
    for (int i = 0; i < 10000; i++)
        assert_true(push(place, 0, CATALOG_DONE, "x") > 0);
    stop(place, 5000);
    assert_int_equal(rows(place).count, 10000);
    assert_false(log_has(place, "W"));
}

static void a_record_pushed_twice_is_one_row(void **state)
{
    struct place *place = *state;
    start(place, 0);
    uint64_t id = push(place, 0, CATALOG_RUNNING, "x");
    wait_written(place, 1);
    assert_int_equal(rows(place).state, CATALOG_RUNNING);
    assert_true(push(place, id, CATALOG_DONE, "x") == id);
    wait_written(place, 2);
    assert_int_equal(rows(place).count, 1);
    assert_int_equal(rows(place).state, CATALOG_DONE);
}

static void *push_many(void *argument)
{
    for (int i = 0; i < 2000; i++)
        push(argument, 0, CATALOG_DONE, "x");
    return NULL;
}

static void many_threads_push_at_once(void **state)
{
    struct place *place = *state;
    pthread_t threads[4];
    start(place, 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, push_many, place), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    stop(place, 5000);
    assert_int_equal(rows(place).count, 8000); /* so no two ids were the same */
}

static void a_writer_that_is_none_takes_nothing(void **state)
{
    struct catalog_record record = { 0 };
    (void)state;
    assert_true(catalog_writer_push(NULL, &record) == 0);
    catalog_writer_free(NULL, 0);
}

static void a_locked_file_is_told_of_and_written_to_when_it_is_free(void **state)
{
    struct place *place = *state;
    start(place, 0);
    push(place, 0, CATALOG_DONE, "before");
    wait_written(place, 1);
    lock(place);
    push(place, 0, CATALOG_DONE, "meanwhile");
    wait_log(place, "C02W");
    assert_true(log_has(place, "locked"));
    unlock(place);
    wait_log(place, "C01I");
    stop(place, 5000);
    assert_int_equal(rows(place).count, 2);
    assert_false(log_has(place, "C03W"));
}

static void what_does_not_fit_into_the_queue_is_lost_and_told_of(void **state)
{
    struct place *place = *state;
    struct catalog_writer_counts counts;
    start(place, 10);
    push(place, 0, CATALOG_DONE, "first");
    wait_written(place, 1);
    lock(place);
    for (int i = 0; i < 15; i++)
        push(place, 0, CATALOG_FAILED, "na\nme");
    catalog_writer_count(place->writer, &counts);
    assert_int_equal(counts.lost, 5);
    assert_int_equal(counts.waiting, 10);
    assert_true(log_has(place, "C03W records=1 "));
    assert_true(log_has(place, "path=\"na\\x0ame\""));
    assert_true(log_has(place, "state=failed"));
    unlock(place);
    stop(place, 10000);
    assert_int_equal(rows(place).count, 11);
    assert_true(log_has(place, "C03W records=4 "));
}

static void what_cannot_be_written_by_the_end_is_told_of(void **state)
{
    struct place *place = *state;
    start(place, 0);
    push(place, 0, CATALOG_DONE, "first");
    wait_written(place, 1);
    lock(place);
    push(place, 0, CATALOG_DONE, "too late");
    push(place, 0, CATALOG_DONE, "too late");
    stop(place, 200);
    assert_true(log_has(place, "C03W records=2 "));
    assert_true(log_has(place, "too late"));
    unlock(place);
    assert_int_equal(rows(place).count, 1);
}

static void spoil(const char *file)
{
    char zeros[8192];
    memset(zeros, 0x5a, sizeof zeros);
    int fd = open(file, O_WRONLY);
    assert_true(fd >= 0);
    assert_true(pwrite(fd, zeros, sizeof zeros, 0) == sizeof zeros);
    close(fd);
}

static size_t set_aside(const struct place *place)
{
    char pattern[PATH_MAX];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s.damaged-*Z", place->file);
    size_t count = glob(pattern, 0, NULL, &found) == 0 ? found.gl_pathc : 0;
    globfree(&found);
    return count;
}

static void a_damaged_file_is_set_aside_and_a_new_one_begun(void **state)
{
    struct place *place = *state;
    start(place, 0);
    push(place, 0, CATALOG_DONE, "lost with the file");
    stop(place, 5000);
    spoil(place->file);
    start(place, 0);
    push(place, 0, CATALOG_DONE, "kept");
    wait_written(place, 1);
    assert_true(log_has(place, "C02W"));
    assert_true(log_has(place, ".damaged-"));
    assert_true(log_has(place, "C01I"));
    assert_int_equal(rows(place).count, 1);
    assert_int_equal(set_aside(place), 1);
}

static void a_disk_that_damages_every_file_is_not_filled_with_them(void **state)
{
    struct place *place = *state;
    for (int i = 0; i < 2; i++) {
        static const char *const parts[] = { "", "-wal", "-shm" }; /* which would repair it */
        for (size_t k = 0; k < 3; k++) {
            char path[PATH_MAX];
            snprintf(path, sizeof path, "%s%s", place->file, parts[k]);
            unlink(path);
        }
        FILE *out = fopen(place->file, "w");
        assert_non_null(out);
        assert_true(fprintf(out, "%0200d", 0) == 200);
        assert_int_equal(fclose(out), 0);
        if (i == 0) {
            start(place, 0);
            push(place, 0, CATALOG_DONE, "x");
            wait_written(place, 1);
        }
    }
    assert_int_equal(set_aside(place), 1);
    push(place, 0, CATALOG_DONE, "x");
    wait_log(place, "the one before it");
    assert_int_equal(set_aside(place), 1);
}

static void a_file_that_is_gone_is_made_again(void **state)
{
    struct place *place = *state;
    start(place, 0);
    push(place, 0, CATALOG_DONE, "x");
    wait_written(place, 1);
    char path[PATH_MAX];
    static const char *const parts[] = { "", "-wal", "-shm" };
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s%s", place->file, parts[i]);
        unlink(path);
    }
    push(place, 0, CATALOG_DONE, "y");
    wait_written(place, 2);
    assert_int_equal(rows(place).count, 1);
}

static void a_folder_that_is_not_there_is_waited_for(void **state)
{
    struct place *place = *state;
    char folder[96];
    snprintf(folder, sizeof folder, "%s/later", place->folder);
    snprintf(place->file, sizeof place->file, "%s/later/db", place->folder);
    start(place, 0);
    push(place, 0, CATALOG_DONE, "x");
    wait_log(place, "C02W");
    assert_true(log_has(place, "make the directory"));
    assert_int_equal(mkdir(folder, 0700), 0);
    wait_log(place, "C01I");
    assert_int_equal(rows(place).count, 1);
}

static void one_record_that_fits_nowhere_does_not_hold_up_the_others(void **state)
{
    struct place *place = *state;
    start(place, 0);
    push(place, 0, CATALOG_DONE, "a");
    push(place, 0, CATALOG_STATES, "b");
    push(place, 0, CATALOG_DONE, "c");
    stop(place, 5000);
    assert_int_equal(rows(place).count, 2);
    assert_true(log_has(place, "C03W records=1 "));
}

static void one_that_fits_nowhere_among_many_does_not_either(void **state)
{
    struct place *place = *state;
    start(place, 0);
    for (int i = 0; i < 100; i++)
        push(place, 0, i == 37 || i == 90 ? CATALOG_STATES : CATALOG_DONE, "a");
    stop(place, 5000);
    assert_int_equal(rows(place).count, 98);
    assert_true(log_has(place, "C03W records=1 "));
}

static void many_at_once_are_each_written_as_they_are(void **state)
{
    struct place *place = *state;
    struct catalog_record record = { .direction = CATALOG_IN, .state = CATALOG_RUNNING };
    uint64_t ids[40];
    start(place, 0);
    for (unsigned i = 0; i < 40; i++) {
        record.bytes = i;
        ids[i] = catalog_writer_push(place->writer, &record);
    }
    record.state = CATALOG_DONE; /* in the same statement as the first of it, as likely as not */
    for (unsigned i = 0; i < 40; i += 2) {
        record.id = ids[i];
        record.bytes = 1000;
        catalog_writer_push(place->writer, &record);
    }
    stop(place, 5000);
    assert_int_equal(rows(place).count, 40);
    assert_int_equal(rows(place).bytes, 20 * 1000 + 400); /* and 1 + 3 + ... + 39 */
}

static void a_queue_is_bounded_in_bytes_too(void **state)
{
    struct place *place = *state;
    const struct catalog_writer_options options = { .file = place->file, .log = place->log, .bytes = 1000 };
    char name[2000];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    assert_int_equal(catalog_writer_new(&place->writer, &options), 0);
    push(place, 0, CATALOG_DONE, name);
    assert_true(log_has(place, "C03W records=1 "));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static void what_is_older_than_is_to_be_kept_is_removed(void **state)
{
    struct place *place = *state;
    const struct catalog_writer_options options = { .file = place->file, .log = place->log, .keep = 3600000000 };
    struct catalog_record old = { .state = CATALOG_DONE, .ended = 1000, .queued = 1000 };
    start(place, 0);
    for (unsigned i = 0; i < 5000; i++) {
        old.id = (1000 + i) << 11;
        catalog_writer_push(place->writer, &old);
    }
    push(place, 0, CATALOG_DONE, "new");
    stop(place, 60000);
    assert_int_equal(rows(place).count, 5001);
    assert_int_equal(catalog_writer_new(&place->writer, &options), 0);
    wait_log(place, "C05I");
    assert_true(log_has(place, "records=5000"));
    assert_int_equal(rows(place).count, 1);
    /* And with another time, which is longer: nothing; then shorter than the age of what is there. */
    push(place, 0, CATALOG_DONE, "newer");
    wait_written(place, 1);
    catalog_writer_keep(place->writer, 1);
    for (int i = 0; i < 1000 && rows(place).count > 0; i++)
        rest();
    assert_int_equal(rows(place).count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_pushed_is_written),
        TEST(a_record_pushed_twice_is_one_row),
        TEST(many_threads_push_at_once),
        TEST(a_writer_that_is_none_takes_nothing),
        TEST(a_locked_file_is_told_of_and_written_to_when_it_is_free),
        TEST(what_does_not_fit_into_the_queue_is_lost_and_told_of),
        TEST(what_cannot_be_written_by_the_end_is_told_of),
        TEST(a_damaged_file_is_set_aside_and_a_new_one_begun),
        TEST(a_disk_that_damages_every_file_is_not_filled_with_them),
        TEST(a_file_that_is_gone_is_made_again),
        TEST(a_folder_that_is_not_there_is_waited_for),
        TEST(one_record_that_fits_nowhere_does_not_hold_up_the_others),
        TEST(one_that_fits_nowhere_among_many_does_not_either),
        TEST(many_at_once_are_each_written_as_they_are),
        TEST(a_queue_is_bounded_in_bytes_too),
        TEST(what_is_older_than_is_to_be_kept_is_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
