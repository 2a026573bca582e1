// rooms: catalog
/* Transfers that are queued, in the catalog. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/catalog/job.h"
#include "engine/catalog/seen.h"

struct place {
    char folder[64], file[96], why[CATALOG_WHY_SIZE];
    struct catalog *catalog;
};

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    snprintf(place->folder, sizeof place->folder, "/tmp/sluice-job-XXXXXX");
    if (!mkdtemp(place->folder))
        return -1;
    snprintf(place->file, sizeof place->file, "%s/c", place->folder);
    *state = place;
    return catalog_open(&place->catalog, place->file, CATALOG_WRITE, place->why);
}

static int tear_down(void **state)
{
    static const char *const ends[] = { "", "-wal", "-shm", ".owners" };
    struct place *place = *state;
    catalog_close(place->catalog);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s%s", place->file, ends[i]);
        unlink(path);
    }
    rmdir(place->folder);
    free(place);
    return 0;
}

static uint64_t add(struct place *place, const char *partner, uint64_t due)
{
    struct catalog_record record = { .direction = CATALOG_OUT,
                                     .role = CATALOG_CLIENT,
                                     .partner = partner,
                                     .remote = "r",
                                     .local = "/l",
                                     .size = CATALOG_UNKNOWN };
    assert_int_equal(catalog_job_add(place->catalog, &record, due, "what", 4), 0);
    return record.id;
}

struct list {
    uint64_t ids[8];
    size_t count;
};

static int collect(void *argument, const struct catalog_record *record)
{
    struct list *list = argument;
    list->ids[list->count++] = record->id;
    return 0;
}

static struct list due(struct place *place, uint64_t now)
{
    struct list list = { 0 };
    assert_int_equal(catalog_job_due(place->catalog, now, collect, &list), 0);
    return list;
}

static enum catalog_state state_of(struct place *place, uint64_t id)
{
    enum catalog_state state = CATALOG_STATES;
    assert_int_equal(catalog_job_state(place->catalog, id, &state), 0);
    return state;
}

static void finds_what_is_due_the_longest_waiting_first(void **state)
{
    struct place *place = *state;
    uint64_t next, late = add(place, "a", 300), first = add(place, "a", 100), second = add(place, NULL, 200);
    assert_int_equal(due(place, 99).count, 0);
    struct list list = due(place, 250);
    assert_int_equal(list.count, 2);
    assert_int_equal(list.ids[0], first);
    assert_int_equal(list.ids[1], second);
    assert_int_equal(due(place, 1000).ids[2], late);
    assert_int_equal(catalog_job_next(place->catalog, &next), 0);
    assert_int_equal(next, 100);
}

static void knows_when_nothing_waits(void **state)
{
    struct place *place = *state;
    uint64_t next = 0;
    assert_int_equal(catalog_job_next(place->catalog, &next), 0);
    assert_int_equal(next, UINT64_MAX);
}

static void keeps_what_is_to_be_done(void **state)
{
    struct place *place = *state;
    uint64_t id = add(place, "a", 1);
    char text[8];
    size_t length;
    assert_int_equal(catalog_job_request(place->catalog, id, text, sizeof text, &length), 0);
    assert_int_equal(length, 4);
    assert_memory_equal(text, "what", 4);
    assert_int_equal(catalog_job_request(place->catalog, id, text, 3, &length), -EMSGSIZE);
    assert_int_equal(catalog_job_request(place->catalog, id + 1, text, sizeof text, &length), -ENOENT);
}

static void run_it(struct place *place, uint64_t id)
{
    assert_int_equal(
        catalog_change(place->catalog, id, CATALOG_STATE_BIT(CATALOG_WAITING), CATALOG_RUNNING, NULL, NULL, NULL), 0);
}

static int end_it(struct place *place, uint64_t id, enum catalog_state to, uint64_t again, enum catalog_state *found)
{
    struct catalog_record record = { .id = id, .state = to, .direction = CATALOG_OUT, .role = CATALOG_CLIENT };
    return catalog_job_ended(place->catalog, &record, again, found);
}

static int keep(void *argument, const struct catalog_record *record)
{
    *(struct catalog_record *)argument = *record;
    return 0;
}

static struct catalog_record show(struct place *place, uint64_t id)
{
    struct catalog_record record;
    assert_int_equal(catalog_show(place->catalog, id, keep, &record), 0);
    return record; /* its strings are gone */
}

static void tells_how_far_what_runs_has_come_and_of_nothing_else(void **state)
{
    struct place *place = *state;
    enum catalog_state found;
    uint64_t id = add(place, "a", 100);
    assert_int_equal(catalog_job_progress(place->catalog, id, 10, 100, 5), 0); /* it waits */
    assert_true(show(place, id).rate == CATALOG_UNKNOWN && show(place, id).bytes == 0);
    run_it(place, id);
    assert_true(show(place, id).rate == CATALOG_UNKNOWN);
    assert_int_equal(catalog_job_progress(place->catalog, id, 10, 100, 5), 0);
    assert_true(show(place, id).rate == 5 && show(place, id).bytes == 10 && show(place, id).size == 100);
    assert_int_equal(catalog_job_progress(place->catalog, id, 30, CATALOG_UNKNOWN, 20), 0);
    assert_true(show(place, id).rate == 20 && show(place, id).bytes == 30 && show(place, id).size == 100);
    assert_int_equal(end_it(place, id, CATALOG_WAITING, 200, &found), 0);
    assert_true(show(place, id).rate == CATALOG_UNKNOWN);
    run_it(place, id);
    assert_true(show(place, id).rate == CATALOG_UNKNOWN); /* nothing is known of this try yet */
}

static void what_is_to_be_tried_again_is_due_then(void **state)
{
    struct place *place = *state;
    enum catalog_state found;
    uint64_t id = add(place, "a", 1);
    run_it(place, id);
    assert_int_equal(due(place, 1000).count, 0);
    assert_int_equal(end_it(place, id, CATALOG_WAITING, 500, &found), 0);
    assert_int_equal(due(place, 499).count, 0);
    assert_int_equal(due(place, 500).count, 1);
}

static void what_ended_is_neither_due_nor_in_the_way(void **state)
{
    struct place *place = *state;
    enum catalog_state found;
    uint64_t id = add(place, "a", 1), next;
    run_it(place, id);
    assert_int_equal(end_it(place, id, CATALOG_DONE, 5, &found), 0);
    assert_int_equal(due(place, UINT64_MAX).count, 0);
    assert_int_equal(catalog_job_next(place->catalog, &next), 0);
    assert_int_equal(next, UINT64_MAX);
    assert_int_equal(state_of(place, id), CATALOG_DONE);
}

static void an_operator_has_the_last_word_over_what_runs(void **state)
{
    struct place *place = *state;
    enum catalog_state found;
    uint64_t id = add(place, "a", 1);
    run_it(place, id);
    assert_int_equal(catalog_job_order(place->catalog, id, CATALOG_CANCEL, &found), 0);
    assert_int_equal(end_it(place, id, CATALOG_DONE, 0, &found), -EBUSY);
    assert_int_equal(found, CATALOG_CANCELLED);
    assert_int_equal(state_of(place, id), CATALOG_CANCELLED);
}

static void orders_lead_only_from_where_they_mean_something(void **state)
{
    struct place *place = *state;
    static const struct {
        enum catalog_order order;
        int rc;
        enum catalog_state then;
    } steps[] = {
        { CATALOG_RELEASE, -EBUSY, CATALOG_WAITING },  { CATALOG_HOLD, 0, CATALOG_HELD },
        { CATALOG_HOLD, -EBUSY, CATALOG_HELD },        { CATALOG_RETRY, -EBUSY, CATALOG_HELD },
        { CATALOG_RELEASE, 0, CATALOG_WAITING },       { CATALOG_CANCEL, 0, CATALOG_CANCELLED },
        { CATALOG_CANCEL, -EBUSY, CATALOG_CANCELLED }, { CATALOG_HOLD, -EBUSY, CATALOG_CANCELLED },
        { CATALOG_RETRY, 0, CATALOG_WAITING },         { CATALOG_RETRY, 0, CATALOG_WAITING },
    };
    uint64_t id = add(place, "a", 1);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        enum catalog_state found = CATALOG_STATES;
        assert_int_equal(catalog_job_order(place->catalog, id, steps[i].order, &found), steps[i].rc);
        assert_int_equal(state_of(place, id), steps[i].then);
        assert_int_equal(due(place, UINT64_MAX).count, steps[i].then == CATALOG_WAITING);
    }
}

static void orders_are_for_queued_transfers_only(void **state)
{
    struct place *place = *state;
    enum catalog_state found;
    struct catalog_record record = { .state = CATALOG_RUNNING, .role = CATALOG_CLIENT };
    assert_int_equal(catalog_put(place->catalog, &record), 0);
    assert_int_equal(catalog_job_order(place->catalog, record.id, CATALOG_CANCEL, &found), -ENOTSUP);
    assert_int_equal(catalog_job_order(place->catalog, 4711, CATALOG_CANCEL, &found), -ENOENT);
    assert_int_equal(state_of(place, record.id), CATALOG_RUNNING);
}

static void what_a_process_that_is_gone_was_running_waits_again(void **state)
{
    struct place *place = *state;
    uint64_t id = add(place, "a", 1);
    run_it(place, id);
    catalog_close(place->catalog);
    assert_int_equal(catalog_open(&place->catalog, place->file, CATALOG_WRITE, place->why), 0);
    assert_int_equal(state_of(place, id), CATALOG_WAITING);
    assert_int_equal(due(place, 10).count, 1);
}

static void notices_what_another_connection_does(void **state)
{
    struct place *place = *state;
    struct catalog *other;
    enum catalog_state found;
    int64_t before = 0, after = 0;
    uint64_t id = add(place, "a", 1);
    assert_int_equal(catalog_job_version(place->catalog, &before), 0);
    assert_int_equal(catalog_job_version(place->catalog, &after), 0);
    assert_true(before == after);
    assert_int_equal(catalog_open(&other, place->file, CATALOG_WRITE, place->why), 0);
    assert_int_equal(catalog_job_order(other, id, CATALOG_HOLD, &found), 0);
    assert_int_equal(catalog_job_version(place->catalog, &after), 0);
    assert_true(before != after);
    catalog_close(other);
}

static void refuses_what_no_job_may_be(void **state)
{
    struct place *place = *state;
    static const char large[CATALOG_REQUEST_MAX + 1];
    struct catalog_record record = { .state = CATALOG_DONE };
    assert_int_equal(catalog_job_add(place->catalog, &record, 1, "", 0), -EINVAL);
    record.state = CATALOG_WAITING;
    assert_int_equal(catalog_job_add(place->catalog, &record, 1, large, sizeof large), -EINVAL);
    assert_int_equal(catalog_job_add(place->catalog, &record, UINT64_MAX, "", 0), -EINVAL);
    assert_int_equal(catalog_job_add(place->catalog, &record, 1, NULL, 0), 0);
}

static bool seen(struct place *place, const char *watch, const char *path, const char *mark)
{
    bool answer = false;
    assert_int_equal(catalog_seen(place->catalog, watch, path, mark, &answer), 0);
    return answer;
}

static void remembers_files_as_they_were(void **state)
{
    struct place *place = *state;
    assert_false(seen(place, "w", "/f\xff", "1"));
    assert_int_equal(catalog_seen_put(place->catalog, "w", "/f\xff", "1", 7), 0);
    assert_true(seen(place, "w", "/f\xff", "1"));
    assert_false(seen(place, "w", "/f\xff", "2"));
    assert_false(seen(place, "other", "/f\xff", "1"));
    assert_int_equal(catalog_seen_put(place->catalog, "w", "/f\xff", "2", 8), 0);
    assert_false(seen(place, "w", "/f\xff", "1"));
    assert_true(seen(place, "w", "/f\xff", "2"));
    assert_int_equal(catalog_seen_forget(place->catalog, "w", "/f\xff"), 0);
    assert_false(seen(place, "w", "/f\xff", "2"));
}

static int count_seen(void *argument, const char *path, const char *mark, uint64_t id)
{
    uint64_t *last = argument;
    assert_string_equal(path, "/f");
    assert_string_equal(mark, "m");
    *last = id;
    return 0;
}

static void visits_what_was_sent_only_once_it_was(void **state)
{
    struct place *place = *state;
    enum catalog_state found;
    uint64_t id = add(place, "a", 1), last = 0;
    assert_int_equal(catalog_seen_put(place->catalog, "w", "/f", "m", id), 0);
    assert_int_equal(catalog_seen_each(place->catalog, "w", CATALOG_SEEN_DONE, count_seen, &last), 0);
    assert_int_equal(last, 0);
    assert_int_equal(catalog_seen_each(place->catalog, "w", CATALOG_SEEN_ALL, count_seen, &last), 0);
    assert_int_equal(last, id);
    run_it(place, id);
    assert_int_equal(end_it(place, id, CATALOG_DONE, 0, &found), 0);
    last = 0;
    assert_int_equal(catalog_seen_each(place->catalog, "w", CATALOG_SEEN_DONE, count_seen, &last), 0);
    assert_int_equal(last, id);
}

static void visits_what_was_verified_only_where_a_digest_says_so(void **state)
{
    static const char *const digests[] = { NULL, "", "sha-256:00" };
    struct place *place = *state;
    enum catalog_state found;

    for (size_t i = 0; i < 3; i++) {
        uint64_t id = add(place, "a", 1), last = 0;
        struct catalog_record record = {
            .id = id, .state = CATALOG_DONE, .direction = CATALOG_OUT, .role = CATALOG_CLIENT, .digest = digests[i]
        };
        assert_int_equal(catalog_seen_put(place->catalog, "w", "/f", "m", id), 0);
        run_it(place, id);
        assert_int_equal(catalog_job_ended(place->catalog, &record, 0, &found), 0);
        assert_int_equal(catalog_seen_each(place->catalog, "w", CATALOG_SEEN_VERIFIED, count_seen, &last), 0);
        assert_int_equal(last, i == 2 ? id : 0);
    }
}

#define each(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        each(finds_what_is_due_the_longest_waiting_first),
        each(knows_when_nothing_waits),
        each(keeps_what_is_to_be_done),
        each(tells_how_far_what_runs_has_come_and_of_nothing_else),
        each(what_is_to_be_tried_again_is_due_then),
        each(what_ended_is_neither_due_nor_in_the_way),
        each(an_operator_has_the_last_word_over_what_runs),
        each(orders_lead_only_from_where_they_mean_something),
        each(orders_are_for_queued_transfers_only),
        each(what_a_process_that_is_gone_was_running_waits_again),
        each(notices_what_another_connection_does),
        each(refuses_what_no_job_may_be),
        each(remembers_files_as_they_were),
        each(visits_what_was_sent_only_once_it_was),
        each(visits_what_was_verified_only_where_a_digest_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
