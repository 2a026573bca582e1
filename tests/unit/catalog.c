// rooms: catalog
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/catalog/catalog_internal.h"

struct place {
    char folder[64], file[96], why[CATALOG_WHY_SIZE];
    struct catalog *catalog;
};

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    snprintf(place->folder, sizeof place->folder, "/tmp/sluice-catalog-XXXXXX");
    if (!mkdtemp(place->folder))
        return -1;
    snprintf(place->file, sizeof place->file, "%s/catalog.db", place->folder);
    *state = place;
    return catalog_open(&place->catalog, place->file, CATALOG_WRITE, place->why);
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
    catalog_close(place->catalog);
    nftw(place->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(place);
    return 0;
}

static const uint64_t three_streams[] = { 700, 200, 100 };

static struct catalog_record sample(void)
{
    return (struct catalog_record){
        .state = CATALOG_DONE,
        .direction = CATALOG_OUT,
        .role = CATALOG_CLIENT,
        .partner = "node7",
        .remote = "a\xff\n\"b",
        .local = "./x y",
        .size = 1000,
        .offset = 5,
        .bytes = 995,
        .digest = "sha-256:00ff",
        .queued = 1700000000000000,
        .begun = 1700000000000001,
        .ended = 1700000000000002,
        .retries = 3,
        .status = 206,
        .code = 8,
        .event = "T01I",
        .reason = "because",
        .streams = three_streams,
        .stream_count = 3,
        .user = "ann",
        .peer = "[::1]:8443",
        .protocol = "main",
        .pump = "splice",
        .tx = "kernel",
        .rx = "user: no body yet",
        .version = "TLSv1.3",
        .suite = "TLS_AES_128_GCM_SHA256",
        .authentication = "mutual",
        .subject = "CN=\xe9",
        .resumed = true,
    };
}

struct seen {
    struct catalog_record record;
    char text[CATALOG_STRINGS][64];
    uint64_t streams[CATALOG_STREAMS_MAX], ids[64];
    char message[CATALOG_MESSAGE_MAX];
    size_t count;
};

static int see(void *argument, const struct catalog_record *record)
{
    struct seen *seen = argument;
    struct catalog_record copy = *record;
    for (size_t i = 0; i < CATALOG_STRINGS; i++) {
        const char *text = *catalog_string(&copy, i);
        snprintf(seen->text[i], sizeof seen->text[i], "%s", text ? text : "(none)");
        *catalog_string(&copy, i) = seen->text[i];
    }
    memcpy(seen->streams, record->streams, record->stream_count * sizeof *record->streams);
    if (record->message_length)
        memcpy(seen->message, record->message, record->message_length);
    seen->record = copy;
    seen->ids[seen->count++ % 64] = record->id;
    return 0;
}

static void show(struct place *place, uint64_t id, struct seen *seen)
{
    *seen = (struct seen){ 0 };
    assert_int_equal(catalog_show(place->catalog, id, see, seen), 0);
    assert_int_equal(seen->count, 1);
}

static size_t find(struct place *place, const struct catalog_filter *filter, struct seen *seen)
{
    *seen = (struct seen){ 0 };
    assert_int_equal(catalog_find(place->catalog, filter, see, seen), 0);
    return seen->count;
}

static uint64_t put(struct place *place, const char *partner, enum catalog_state state,
                    enum catalog_direction direction, uint64_t time)
{
    struct catalog_record record = { .partner = partner,
                                     .state = state,
                                     .direction = direction,
                                     .remote = "x",
                                     .size = CATALOG_UNKNOWN,
                                     .ended = time };
    if (time)
        record.id = catalog_id_at(time) + place->catalog->tag;
    assert_int_equal(catalog_put(place->catalog, &record), 0);
    return record.id;
}

/* -- ids ----------------------------------------------------------------------------------------------------------- */

static void an_id_is_read_back_as_it_was_printed(void **state)
{
    static const uint64_t ids[] = { 1, 31, 32, 0x123456789abcdef, INT64_MAX };
    (void)state;
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        char text[CATALOG_ID_SIZE];
        uint64_t id = 0;
        catalog_id_print(ids[i], text);
        assert_int_equal(strlen(text), 13);
        assert_int_equal(catalog_id_parse(text, &id), 0);
        assert_true(id == ids[i]);
    }
    uint64_t a, b;
    assert_int_equal(catalog_id_parse("3O0IL1ABCDEFG", &a), 0);
    assert_int_equal(catalog_id_parse("300111abcdefg", &b), 0);
    assert_true(a == b);
}

static void what_is_no_id_is_refused(void **state)
{
    static const char *const wrong[] = { "",
                                         "abc",
                                         "0000000000000",
                                         "8000000000000",
                                         "3u00000000000",
                                         "3-00000000000",
                                         "30000000000000",
                                         "3000000000\xffgg" };
    uint64_t id;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(catalog_id_parse(wrong[i], &id), -EINVAL);
}

static void ids_grow_also_where_the_clock_is_set_back(void **state)
{
    uint64_t future = catalog_id_at(catalog_now() + 3600u * 1000000u), last = future;
    (void)state;
    for (int i = 0; i < 1000; i++) {
        uint64_t id = catalog_id_after(last, 7);
        assert_true(id > last);
        last = id;
    }
    assert_true(catalog_id_time(last) - catalog_id_time(future) == 1000);
}

/* -- records ------------------------------------------------------------------------------------------------------- */

static void a_record_comes_back_as_it_was_put(void **state)
{
    struct place *place = *state;
    struct catalog_record record = sample();
    struct seen seen;
    assert_int_equal(catalog_put(place->catalog, &record), 0);
    assert_true(record.id > 0);
    show(place, record.id, &seen);
    for (size_t i = 0; i < CATALOG_STRINGS; i++)
        assert_string_equal(seen.text[i], *catalog_string(&record, i));
    assert_int_equal(seen.record.state, CATALOG_DONE);
    assert_int_equal(seen.record.direction, CATALOG_OUT);
    assert_int_equal(seen.record.role, CATALOG_CLIENT);
    assert_int_equal(seen.record.size, 1000);
    assert_int_equal(seen.record.offset, 5);
    assert_int_equal(seen.record.bytes, 995);
    assert_true(seen.record.queued == 1700000000000000 && seen.record.begun == 1700000000000001 &&
                seen.record.ended == 1700000000000002);
    assert_int_equal(seen.record.retries, 3);
    assert_int_equal(seen.record.status, 206);
    assert_int_equal(seen.record.code, 8);
    assert_true(seen.record.resumed);
    assert_int_equal(seen.record.stream_count, 3);
    assert_memory_equal(seen.streams, three_streams, sizeof three_streams);
}

static void what_is_not_known_stays_unknown(void **state)
{
    struct place *place = *state;
    struct seen seen;
    show(place, put(place, NULL, CATALOG_WAITING, CATALOG_IN, 0), &seen);
    assert_true(seen.record.size == CATALOG_UNKNOWN);
    assert_true(seen.record.begun == 0 && seen.record.ended == 0 && seen.record.queued > 0);
    assert_string_equal(seen.record.partner, "(none)");
    assert_string_equal(seen.record.digest, "(none)");
}

static void a_record_put_again_takes_the_place_of_the_first(void **state)
{
    struct place *place = *state;
    struct catalog_record record = { .state = CATALOG_RUNNING, .remote = "x" };
    struct seen seen;
    assert_int_equal(catalog_put(place->catalog, &record), 0);
    record.state = CATALOG_DONE;
    record.bytes = 7;
    assert_int_equal(catalog_put(place->catalog, &record), 0);
    assert_int_equal(find(place, &(struct catalog_filter){ 0 }, &seen), 1);
    assert_int_equal(seen.record.state, CATALOG_DONE);
    assert_int_equal(seen.record.bytes, 7);
}

static void a_message_keeps_its_bytes(void **state)
{
    struct place *place = *state;
    struct catalog_record record = { .kind = CATALOG_MESSAGE, .message = "a\0b\xff", .message_length = 4 };
    struct seen seen;
    assert_int_equal(catalog_put(place->catalog, &record), 0);
    show(place, record.id, &seen);
    assert_int_equal(seen.record.message_length, 4);
    assert_memory_equal(seen.message, "a\0b\xff", 4);
    record.id = 0;
    record.message_length = CATALOG_MESSAGE_MAX + 1;
    assert_int_equal(catalog_put(place->catalog, &record), -EINVAL);
}

static void what_is_out_of_range_is_refused(void **state)
{
    struct place *place = *state;
    struct catalog_record state_ = { .state = CATALOG_STATES }, id = { .id = UINT64_MAX };
    struct seen seen;
    assert_int_equal(catalog_put(place->catalog, &state_), -EINVAL);
    assert_int_equal(catalog_put(place->catalog, &id), -EINVAL);
    assert_int_equal(find(place, &(struct catalog_filter){ 0 }, &seen), 0);
    assert_int_equal(catalog_show(place->catalog, 12345, see, &seen), -ENOENT);
}

static void the_same_facts_are_kept_once(void **state)
{
    struct place *place = *state;
    struct catalog_filter all = { 0 };
    struct seen seen;
    for (int i = 0; i < 10; i++)
        put(place, "node7", CATALOG_DONE, CATALOG_IN, 0);
    put(place, "node8", CATALOG_DONE, CATALOG_IN, 0);
    assert_int_equal(find(place, &all, &seen), 11);
    sqlite3_stmt *count = NULL;
    assert_int_equal(sqlite3_prepare_v2(place->catalog->handle, "SELECT count(*) FROM facts", -1, &count, NULL), 0);
    assert_int_equal(sqlite3_step(count), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(count, 0), 2);
    sqlite3_finalize(count);
}

/* -- searching ----------------------------------------------------------------------------------------------------- */

static void a_search_finds_what_was_asked_for_and_nothing_else(void **state)
{
    struct place *place = *state;
    struct seen seen;
    uint64_t one = put(place, "a", CATALOG_DONE, CATALOG_IN, 1000);
    uint64_t two = put(place, "a", CATALOG_FAILED, CATALOG_OUT, 2000);
    uint64_t three = put(place, "b", CATALOG_HELD, CATALOG_OUT, 3000);
    uint64_t four = put(place, NULL, CATALOG_FAILED, CATALOG_IN, 4000);
    const struct {
        struct catalog_filter filter;
        size_t count;
        uint64_t first;
    } searches[] = {
        { { 0 }, 4, four },
        { { .oldest_first = true }, 4, one },
        { { .limit = 2 }, 2, four },
        { { .limit = 2, .oldest_first = true }, 2, one },
        { { .partner = "a" }, 2, two },
        { { .partner = "nobody" }, 0, 0 },
        { { .states = CATALOG_STATE_BIT(CATALOG_FAILED) }, 2, four },
        { { .states = CATALOG_STATE_BIT(CATALOG_DONE) }, 1, one },
        { { .states = CATALOG_STATE_BIT(CATALOG_DONE) | CATALOG_STATE_BIT(CATALOG_HELD) }, 2, three },
        { { .states = CATALOG_STATE_BIT(CATALOG_WAITING) | CATALOG_STATE_BIT(CATALOG_HELD) }, 1, three },
        { { .directions = 1u << CATALOG_OUT }, 2, three },
        { { .kinds = 1u << CATALOG_MESSAGE }, 0, 0 },
        { { .since = 2000 }, 3, four },
        { { .since = 2001, .partner = "a" }, 0, 0 },
        { { .partner = "a", .states = CATALOG_STATE_BIT(CATALOG_FAILED), .directions = 1u << CATALOG_OUT }, 1, two },
        { { .since = UINT64_MAX }, 0, 0 },
    };
    for (size_t i = 0; i < sizeof searches / sizeof *searches; i++) {
        assert_int_equal(find(place, &searches[i].filter, &seen), searches[i].count);
        assert_true(seen.ids[0] == searches[i].first);
    }
}

static int stop_at_once(void *argument, const struct catalog_record *record)
{
    (void)record;
    return ++*(int *)argument;
}

static void a_visit_can_end_a_search(void **state)
{
    struct place *place = *state;
    int visits = 0;
    put(place, NULL, CATALOG_DONE, CATALOG_IN, 0);
    put(place, NULL, CATALOG_DONE, CATALOG_IN, 0);
    assert_int_equal(catalog_find(place->catalog, &(struct catalog_filter){ 0 }, stop_at_once, &visits), 1);
    assert_int_equal(visits, 1);
}

static void a_row_that_somebody_else_wrote_is_read_without_harm(void **state)
{
    static const char strange[] =
        "INSERT INTO transfer VALUES(5, 99, -1, 7, 'x', 12345, 6789, NULL, -5, 'text', -9223372036854775808, 1, NULL,"
        " NULL, -3, 4.5, 99999999999, NULL, x'', 17, NULL, x'ff00ff', x'010203', 'fast')";
    struct place *place = *state;
    struct seen seen;
    assert_int_equal(sqlite3_exec(place->catalog->handle, strange, NULL, NULL, NULL), SQLITE_OK);
    show(place, 5, &seen);
    assert_int_equal(seen.record.state, CATALOG_WAITING);
    assert_int_equal(seen.record.direction, CATALOG_IN);
    assert_true(seen.record.size == CATALOG_UNKNOWN);
    assert_int_equal(seen.record.bytes, 0);
    assert_int_equal(seen.record.stream_count, 0);
    assert_string_equal(seen.record.digest, "17");
    assert_string_equal(seen.record.suite, "(none)");
}

/* -- states -------------------------------------------------------------------------------------------------------- */

static void a_state_changes_only_from_those_that_are_allowed(void **state)
{
    struct place *place = *state;
    enum catalog_state found = CATALOG_DONE;
    struct seen seen;
    uint64_t id = put(place, NULL, CATALOG_WAITING, CATALOG_OUT, 0);
    assert_int_equal(
        catalog_change(place->catalog, id, CATALOG_STATE_BIT(CATALOG_HELD), CATALOG_WAITING, NULL, NULL, &found),
        -EBUSY);
    assert_int_equal(found, CATALOG_WAITING);
    assert_int_equal(
        catalog_change(place->catalog, id, CATALOG_STATE_BIT(CATALOG_WAITING), CATALOG_RUNNING, NULL, NULL, NULL), 0);
    show(place, id, &seen);
    assert_true(seen.record.begun > 0 && seen.record.ended == 0);
    assert_int_equal(catalog_change(place->catalog, id, CATALOG_STATE_BIT(CATALOG_RUNNING), CATALOG_FAILED, "T01E",
                                    "it broke", NULL),
                     0);
    show(place, id, &seen);
    assert_true(seen.record.ended >= seen.record.begun);
    assert_string_equal(seen.record.event, "T01E");
    assert_string_equal(seen.record.reason, "it broke");
    assert_int_equal(catalog_change(place->catalog, 77, ~0u, CATALOG_HELD, NULL, NULL, NULL), -ENOENT);
}

static void several_calls_are_all_or_nothing(void **state)
{
    struct place *place = *state;
    struct seen seen;
    assert_int_equal(catalog_begin(place->catalog), 0);
    put(place, "a", CATALOG_DONE, CATALOG_IN, 0);
    catalog_rollback(place->catalog);
    assert_int_equal(find(place, &(struct catalog_filter){ 0 }, &seen), 0);
    put(place, "a", CATALOG_RUNNING, CATALOG_IN, 0); /* its partner and facts are written again */
    assert_int_equal(find(place, &(struct catalog_filter){ .partner = "a" }, &seen), 1);
}

/* -- purging ------------------------------------------------------------------------------------------------------- */

static void purging_takes_what_is_over_and_old_and_leaves_the_rest(void **state)
{
    struct place *place = *state;
    struct seen seen;
    uint64_t removed = 0;
    put(place, "a", CATALOG_DONE, CATALOG_IN, 1000);
    put(place, "b", CATALOG_FAILED, CATALOG_IN, 2000);
    put(place, "b", CATALOG_WAITING, CATALOG_IN, 2500);
    put(place, "b", CATALOG_HELD, CATALOG_IN, 2600);
    put(place, "c", CATALOG_DONE, CATALOG_IN, 5000);
    assert_int_equal(catalog_purge(place->catalog, 3000, &removed), 0);
    assert_int_equal(removed, 2);
    assert_int_equal(find(place, &(struct catalog_filter){ 0 }, &seen), 3);
    put(place, "a", CATALOG_DONE, CATALOG_IN, 6000); /* whose facts were swept away and are remembered */
    assert_int_equal(find(place, &(struct catalog_filter){ .partner = "a" }, &seen), 1);
    assert_string_equal(seen.record.partner, "a");
}

static int64_t ask(struct place *place, const char *sql)
{
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(place->catalog->handle, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t answer = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return answer;
}

/* Each old, and with facts of its own. */
static void put_many(struct place *place, unsigned count)
{
    char peer[32];
    assert_int_equal(catalog_begin(place->catalog), 0);
    for (unsigned i = 0; i < count; i++) {
        snprintf(peer, sizeof peer, "10.0.0.1:%u", i);
        struct catalog_record record = { .id = (1000 + i) << 11,
                                         .state = i % 1000 == 7 ? CATALOG_HELD : CATALOG_DONE,
                                         .ended = 1000 + i,
                                         .queued = 1000 + i,
                                         .peer = peer };
        assert_int_equal(catalog_put(place->catalog, &record), 0);
    }
    assert_int_equal(catalog_commit(place->catalog), 0);
}

static void purging_goes_in_steps_and_takes_facts_that_nobody_has(void **state)
{
    struct place *place = *state;
    struct catalog_purging purging = { .before = 1000000000 };
    unsigned steps = 0;
    int rc;
    put_many(place, 9000);
    put(place, "a", CATALOG_DONE, CATALOG_IN, 0);
    do {
        rc = catalog_purge_step(place->catalog, &purging);
        steps++;
    } while (rc == 1);
    assert_int_equal(rc, 0);
    assert_int_equal(purging.removed, 9000 - 9);
    assert_true(steps >= 9); /* at most 2000 rows each, and facts as many */
    assert_int_equal(ask(place, "SELECT count(*) FROM transfer"), 10);
    assert_int_equal(ask(place, "SELECT count(*) FROM facts"), 10);
    assert_int_equal(ask(place, "SELECT count(*) FROM transfer WHERE facts NOT IN (SELECT id FROM facts)"), 0);
}

/* Facts that were in no transfer when they were looked for, and have come back into use since. */
static void purging_leaves_facts_that_another_uses_meanwhile(void **state)
{
    struct place *place = *state;
    struct catalog *other;
    struct catalog_purging purging = { .before = 1000000000 };
    struct catalog_record record = {
        .id = 1000 << 11, .state = CATALOG_DONE, .ended = 1000, .queued = 1000, .peer = "x"
    };
    unsigned late = 0;
    int rc;
    assert_int_equal(catalog_open(&other, place->file, CATALOG_WRITE, place->why), 0);
    put_many(place, 3000);
    assert_int_equal(catalog_put(other, &record), 0); /* over the first: it remembers these facts now */
    while ((rc = catalog_purge_step(place->catalog, &purging)) == 1) {
        record.id = 0; /* as others go on recording */
        record.queued = 0;
        late++;
        assert_int_equal(catalog_put(other, &record), 0);
    }
    catalog_close(other);
    assert_int_equal(rc, 0);
    assert_int_equal(ask(place, "SELECT count(*) FROM transfer WHERE facts NOT IN (SELECT id FROM facts)"), 0);
    assert_int_equal(ask(place, "SELECT count(*) FROM transfer"), 3 + (int64_t)late);
}

static void who_remembers_facts_notices_that_another_purged_them(void **state)
{
    struct place *place = *state;
    struct catalog *other;
    struct catalog_record record = sample();
    struct seen seen;
    uint64_t removed;
    assert_int_equal(catalog_put(place->catalog, &record), 0);
    assert_int_equal(catalog_open(&other, place->file, CATALOG_READ, place->why), 0);
    assert_int_equal(catalog_purge(other, catalog_now() + 1000000, &removed), 0);
    assert_int_equal(removed, 1);
    catalog_close(other);
    record.id = 0;
    assert_int_equal(catalog_put(place->catalog, &record), 0);
    show(place, record.id, &seen);
    assert_string_equal(seen.record.suite, record.suite);
}

/* -- who is gone --------------------------------------------------------------------------------------------------- */

static uint64_t leave_running(const char *file, bool job)
{
    int pipes[2];
    uint64_t id = 0;
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    if (child == 0) {
        struct catalog *catalog;
        char why[CATALOG_WHY_SIZE];
        struct catalog_record record = { .state = CATALOG_RUNNING, .remote = "left" };
        if (catalog_open(&catalog, file, CATALOG_WRITE, why) != 0 || catalog_put(catalog, &record) != 0)
            _exit(1);
        sqlite3_stmt *insert;
        if (job &&
            (sqlite3_prepare_v2(catalog->handle, "INSERT INTO job VALUES(?1, 0, x'00')", -1, &insert, NULL) != 0 ||
             sqlite3_bind_int64(insert, 1, (sqlite3_int64)record.id) != 0 || sqlite3_step(insert) != SQLITE_DONE))
            _exit(2);
        if (write(pipes[1], &record.id, sizeof record.id) != sizeof record.id)
            _exit(3);
        pause();
    }
    assert_true(read(pipes[0], &id, sizeof id) == sizeof id);
    struct catalog *catalog;
    char why[CATALOG_WHY_SIZE];
    struct seen seen = { 0 };
    assert_int_equal(catalog_open(&catalog, file, CATALOG_WRITE, why), 0);
    assert_int_equal(catalog_show(catalog, id, see, &seen), 0);
    assert_int_equal(seen.record.state, CATALOG_RUNNING); /* it lives */
    catalog_close(catalog);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(pipes[0]);
    close(pipes[1]);
    return id;
}

static void what_a_dead_process_left_running_has_failed(void **state)
{
    struct place *place = *state;
    struct catalog *again;
    struct seen seen;
    uint64_t id = leave_running(place->file, false);
    uint64_t ours = put(place, NULL, CATALOG_RUNNING, CATALOG_OUT, 0);
    assert_int_equal(catalog_open(&again, place->file, CATALOG_READ, place->why), 0);
    catalog_close(again);
    show(place, id, &seen);
    assert_int_equal(seen.record.state, CATALOG_FAILED);
    assert_string_equal(seen.record.event, "C04W");
    assert_true(seen.record.ended > 0);
    show(place, ours, &seen);
    assert_int_equal(seen.record.state, CATALOG_RUNNING);
}

static void what_a_dead_process_left_running_waits_again_where_it_is_queued(void **state)
{
    struct place *place = *state;
    struct catalog *again;
    struct seen seen;
    uint64_t id = leave_running(place->file, true);
    assert_int_equal(catalog_open(&again, place->file, CATALOG_WRITE, place->why), 0);
    catalog_close(again);
    show(place, id, &seen);
    assert_int_equal(seen.record.state, CATALOG_WAITING);
    assert_int_equal(seen.record.retries, 1);
}

/* -- the file ------------------------------------------------------------------------------------------------------ */

static void the_file_is_for_its_owner_only(void **state)
{
    struct place *place = *state;
    static const char *const parts[] = { "", "-wal", "-shm", CATALOG_OWNERS };
    put(place, NULL, CATALOG_RUNNING, CATALOG_IN, 0);
    for (size_t i = 0; i < 4; i++) {
        char path[PATH_MAX];
        struct stat facts;
        snprintf(path, sizeof path, "%s%s", place->file, parts[i]);
        assert_int_equal(stat(path, &facts), 0);
        assert_int_equal(facts.st_mode & 0777, 0600);
    }
}

static void write_file(const char *path, const char *bytes, size_t length)
{
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, length, out), length);
    assert_int_equal(fclose(out), 0);
}

static void what_is_no_catalog_is_refused(void **state)
{
    struct place *place = *state;
    struct catalog *other = NULL;
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/none/catalog", place->folder);
    assert_int_equal(catalog_open(&other, path, CATALOG_WRITE, place->why), -ENOENT);
    assert_non_null(strstr(place->why, "make the directory"));
    snprintf(path, sizeof path, "%s/text", place->folder);
    assert_int_equal(catalog_open(&other, path, CATALOG_READ, place->why), -ENOENT);
    write_file(path,
               "this is a text and no catalog at all, and long enough to be looked at by anybody who likes it; "
               "a header is 100 bytes",
               110);
    assert_int_equal(catalog_open(&other, path, CATALOG_WRITE, place->why), -EUCLEAN);
    assert_non_null(strstr(place->why, path));
    assert_int_equal(catalog_open(&other, place->folder, CATALOG_READ, place->why), -EACCES);
    snprintf(path, sizeof path, "%s/foreign", place->folder);
    sqlite3 *foreign;
    assert_int_equal(sqlite3_open(path, &foreign), 0);
    assert_int_equal(sqlite3_exec(foreign, "CREATE TABLE t(x)", NULL, NULL, NULL), 0);
    sqlite3_close(foreign);
    assert_int_equal(catalog_open(&other, path, CATALOG_WRITE, place->why), -EMEDIUMTYPE);
    snprintf(path, sizeof path, "%s/newer", place->folder);
    assert_int_equal(catalog_open(&other, path, CATALOG_WRITE, place->why), 0);
    assert_int_equal(sqlite3_exec(other->handle, "PRAGMA user_version = 99", NULL, NULL, NULL), 0);
    catalog_close(other);
    assert_int_equal(catalog_open(&other, path, CATALOG_WRITE, place->why), -EMEDIUMTYPE);
    assert_non_null(strstr(place->why, "newer"));
}

static void a_locked_file_is_busy(void **state)
{
    struct place *place = *state;
    struct catalog *other;
    struct catalog_record record = sample();
    assert_int_equal(catalog_open(&other, place->file, CATALOG_WRITE, place->why), 0);
    sqlite3_busy_timeout(other->handle, 10);
    assert_int_equal(catalog_begin(place->catalog), 0);
    assert_int_equal(catalog_put(other, &record), -EBUSY);
    assert_non_null(strstr(catalog_reason(other), "locked"));
    catalog_rollback(place->catalog);
    assert_int_equal(catalog_put(other, &record), 0);
    catalog_close(other);
}

static void a_damaged_file_is_set_aside_once(void **state)
{
    struct place *place = *state;
    char aside[PATH_MAX], other[PATH_MAX];
    struct stat facts;
    put(place, NULL, CATALOG_DONE, CATALOG_IN, 0);
    ino_t inode = catalog_inode(place->catalog);
    assert_int_equal(catalog_set_aside(place->file, inode, aside, sizeof aside), 0);
    assert_non_null(strstr(aside, ".damaged-2"));
    assert_int_equal(stat(aside, &facts), 0);
    assert_true(facts.st_ino == inode);
    assert_int_equal(access(place->file, F_OK), -1);
    snprintf(other, sizeof other, "%s-wal", place->file);
    assert_int_equal(access(other, F_OK), -1);
    assert_int_equal(catalog_set_aside(place->file, inode, aside, sizeof aside), -ESTALE);
    write_file(place->file, "x", 1);
    assert_int_equal(catalog_set_aside(place->file, inode, aside, sizeof aside), -ESTALE);
    assert_int_equal(stat(place->file, &facts), 0);
    assert_int_equal(catalog_set_aside(place->file, facts.st_ino, other, sizeof other), 0); /* in the same second */
    assert_string_not_equal(aside, other);
}

static void a_link_is_not_given_away(void **state)
{
    struct place *place = *state;
    char link_path[PATH_MAX];
    if (geteuid() != 0)
        skip();
    snprintf(link_path, sizeof link_path, "%s/linked", place->folder);
    write_file(link_path, "", 0);
    snprintf(place->why, sizeof place->why, "%s/second", place->folder);
    char second[PATH_MAX];
    snprintf(second, sizeof second, "%s/second", place->folder);
    assert_int_equal(link(link_path, second), 0);
    assert_int_equal(catalog_prepare(link_path, 65534, 65534, place->why), -EMLINK);
    assert_int_equal(unlink(second), 0);
    assert_int_equal(catalog_prepare(link_path, 65534, 65534, place->why), 0);
    struct stat facts;
    assert_int_equal(stat(link_path, &facts), 0);
    assert_int_equal(facts.st_uid, 65534);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_is_read_back_as_it_was_printed),
        cmocka_unit_test(what_is_no_id_is_refused),
        cmocka_unit_test(ids_grow_also_where_the_clock_is_set_back),
        TEST(a_record_comes_back_as_it_was_put),
        TEST(what_is_not_known_stays_unknown),
        TEST(a_record_put_again_takes_the_place_of_the_first),
        TEST(a_message_keeps_its_bytes),
        TEST(what_is_out_of_range_is_refused),
        TEST(the_same_facts_are_kept_once),
        TEST(a_search_finds_what_was_asked_for_and_nothing_else),
        TEST(a_visit_can_end_a_search),
        TEST(a_row_that_somebody_else_wrote_is_read_without_harm),
        TEST(a_state_changes_only_from_those_that_are_allowed),
        TEST(several_calls_are_all_or_nothing),
        TEST(purging_takes_what_is_over_and_old_and_leaves_the_rest),
        TEST(purging_goes_in_steps_and_takes_facts_that_nobody_has),
        TEST(purging_leaves_facts_that_another_uses_meanwhile),
        TEST(who_remembers_facts_notices_that_another_purged_them),
        TEST(what_a_dead_process_left_running_has_failed),
        TEST(what_a_dead_process_left_running_waits_again_where_it_is_queued),
        TEST(the_file_is_for_its_owner_only),
        TEST(what_is_no_catalog_is_refused),
        TEST(a_locked_file_is_busy),
        TEST(a_damaged_file_is_set_aside_once),
        TEST(a_link_is_not_given_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
