// rooms: server
#include "engine/server/uploads.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include <cmocka.h>

#include "engine/digest/crew.h"
#include "engine/server/server_internal.h"

#define MIB (UINT64_C(1) << 20)
#define SIZE (4 * MIB)
#define SHA_256 (1u << DIGEST_SHA_256)
#define PATIENCE_MS 60000

struct rig {
    char path[64];
    struct config_store section;
    struct config config;
    struct store *store;
    struct epoch epoch; /* one holder stays, so that nobody frees it */
    int said[2];        /* events, as text */
    FILE *out;
    struct event_log *log;
    struct uploads *uploads;
};

static void set_up(struct rig *rig)
{
    *rig = (struct rig){ .path = "/tmp/sluice-uploads-XXXXXX", .section = { .name = (char[]){ "main" } } };
    assert_non_null(mkdtemp(rig->path));
    assert_int_equal(store_open(&rig->store, rig->path), 0);
    rig->config.stores = &rig->section;
    rig->config.store_count = 1;
    rig->config.server.upload_keep = 3600 * 1000;
    rig->config.server.max_unfinished_uploads = 1000;
    rig->epoch.config = &rig->config;
    rig->epoch.stores = &rig->store;
    atomic_init(&rig->epoch.holders, 1);
    assert_int_equal(pipe2(rig->said, O_CLOEXEC), 0);
    rig->out = fdopen(rig->said[1], "w");
    rig->log = event_log_new(rig->out, false);
    assert_int_equal(uploads_new(&rig->uploads, rig->log, 2), 0);
}

static void start(struct rig *rig)
{
    assert_int_equal(uploads_follow(rig->uploads, &rig->epoch), 0);
}

static int remove_one(const char *path, const struct stat *facts, int type, struct FTW *walk)
{
    (void)facts, (void)type, (void)walk;
    return remove(path);
}

static void tear_down(struct rig *rig)
{
    uploads_free(rig->uploads);
    event_log_free(rig->log);
    fclose(rig->out);
    close(rig->said[0]);
    store_close(rig->store);
    assert_int_equal(nftw(rig->path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static int take_of(struct rig *rig, const char *who, const char *path, const char *token, uint64_t size,
                   struct upload **upload)
{
    const struct upload_key key = { .store = rig->store, .path = path, .who = who, .token = token };

    return uploads_take(rig->uploads, &key, size, upload);
}

static struct upload *take(struct rig *rig, const char *token)
{
    struct upload *upload = NULL;

    assert_int_equal(take_of(rig, "ann", "file", token, SIZE, &upload), 0);
    assert_non_null(upload);
    return upload;
}

/* Bytes that tell where they stand, and which `time` they were written. */
static void put(struct upload *upload, uint64_t first, uint64_t end, unsigned char times)
{
    size_t length = (size_t)(end - first);
    unsigned char *bytes = malloc(length);

    assert_non_null(bytes);
    for (size_t i = 0; i < length; i++)
        bytes[i] = (unsigned char)((first + i) * 7 + times);
    assert_int_equal(pwrite(store_partial_fd(upload_partial(upload)), bytes, length, (off_t)first), length);
    free(bytes);
}

static void write_range(struct upload *upload, uint64_t first, uint64_t end, unsigned algorithms, unsigned char times)
{
    struct upload_writer writer;

    assert_int_equal(upload_write_begin(upload, &writer, first, end - first, algorithms), 0);
    put(upload, first, end, times);
    assert_int_equal(upload_wrote(upload, &writer, end), 0);
    upload_write_end(upload, &writer);
}

static bool there(const struct rig *rig, const char *name)
{
    char path[300];

    snprintf(path, sizeof path, "%s/%s", rig->path, name);
    return access(path, F_OK) == 0;
}

/* Its file in the store, and the map beside it. */
static void name_of(struct rig *rig, const char *who, const char *token, char name[STORE_PARTIAL_NAME_SIZE])
{
    struct store_place place;

    assert_int_equal(store_place_find(rig->store, "file", who, token, false, &place), 0);
    memcpy(name, place.name, STORE_PARTIAL_NAME_SIZE);
    store_place_clear(&place);
}

static void wait_until(bool (*holds)(void *argument), void *argument)
{
    for (unsigned waited = 0; !holds(argument); waited += 10) {
        assert_true(waited < PATIENCE_MS);
        usleep(10000);
    }
}

static void those_who_name_the_same_hold_the_same(void **state)
{
    (void)state;
    struct rig rig;
    struct upload *none = NULL;

    set_up(&rig);
    start(&rig);
    assert_int_equal(take_of(&rig, "ann", "file", "token", STORE_PARTIAL_ANY, &none), -ENOENT);
    assert_int_equal(take_of(&rig, "ann", "no/file", "token", STORE_PARTIAL_ANY, &none), -ENOENT);
    assert_null(none);
    struct upload *one = take(&rig, "token"), *two = take(&rig, "token"), *other = take(&rig, "other");
    assert_ptr_equal(one, two);
    assert_ptr_not_equal(one, other);
    assert_int_equal(take_of(&rig, "ann", "file", "token", SIZE + 1, &none), -ESTALE);
    assert_null(none);
    upload_leave(one);
    write_range(two, 0, 1000, 0, 0);
    upload_leave(two);
    one = take(&rig, "token");
    assert_int_equal(store_partial_front(upload_partial(one)), 1000);
    upload_leave(one);
    upload_leave(other);
    tear_down(&rig);
}

struct sender {
    struct rig *rig;
    uint64_t first, end, step;
    pthread_t thread;
};

/* Each of its pieces as a request of its own. */
static void *send_pieces(void *argument)
{
    struct sender *sender = argument;

    for (uint64_t at = sender->first; at < sender->end; at += sender->step) {
        struct upload *upload = take(sender->rig, "token");
        write_range(upload, at, at + sender->step, SHA_256, 0);
        upload_leave(upload);
    }
    return NULL;
}

static void several_at_a_time_make_one_file_and_its_digest(void **state)
{
    (void)state;
    struct rig rig;
    struct sender senders[8];
    struct digest_set found = { 0 }, right;
    struct digest_run *run;
    struct stat facts;
    uint64_t at;
    bool created;

    set_up(&rig);
    start(&rig);
    for (unsigned i = 0; i < 8; i++) {
        senders[i] = (struct sender){
            .rig = &rig, .first = SIZE / 8 * i, .end = SIZE / 8 * (i + 1), .step = UINT64_C(16384) << i % 3
        };
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send_pieces, &senders[i]), 0);
    }
    for (unsigned i = 0; i < 8; i++)
        pthread_join(senders[i].thread, NULL);

    struct upload *upload = take(&rig, "token");
    assert_true(store_partial_complete(upload_partial(upload)));
    assert_int_equal(upload_finish_begin(upload, false), 0);
    struct digest_front *front = upload_take_front(upload, SHA_256);
    int fd = store_partial_fd(upload_partial(upload));
    assert_int_equal(digest_file(fd, SIZE, SHA_256, NULL, &right), 0);
    if (front) { /* the registry may have closed it between two pieces, on a machine that is slow enough */
        assert_int_equal(digest_front_take(front, &run, &at), 0);
        assert_int_equal(digest_run_finish(run, fd, at, SIZE, true, NULL, &found), 0);
        assert_true(digest_set_agree(&found, &right));
        digest_run_free(run);
    }
    assert_int_equal(store_partial_commit(upload_partial(upload), rig.store, "file", NULL, &created, &facts), 0);
    upload_finish_end(upload, true);
    upload_leave(upload);
    assert_true(there(&rig, "file"));
    assert_int_equal(facts.st_size, SIZE);
    tear_down(&rig);
}

static void who_finishes_waits_for_who_writes_and_nobody_begins_to_write_meanwhile(void **state)
{
    (void)state;
    struct rig rig;
    struct upload_writer writer, late;

    set_up(&rig);
    start(&rig);
    struct upload *upload = take(&rig, "token");
    assert_int_equal(upload_write_begin(upload, &writer, 0, 1000, 0), 0);
    assert_false(upload_unwanted(upload));
    assert_int_equal(upload_finish_begin(upload, false), -EAGAIN);
    assert_true(upload_unwanted(upload));
    assert_int_equal(upload_finish_begin(upload, false), -EBUSY); /* another, who does not wait */
    assert_int_equal(upload_write_begin(upload, &late, 0, 1000, 0), -EBUSY);
    upload_finish_give_up(upload);
    assert_false(upload_unwanted(upload));
    assert_int_equal(upload_finish_begin(upload, false), -EAGAIN);
    upload_write_end(upload, &writer);
    assert_int_equal(upload_finish_begin(upload, true), 0);
    assert_int_equal(upload_write_begin(upload, &late, 0, 1000, 0), -EBUSY);
    assert_int_equal(upload_finish_begin(upload, false), -EBUSY);
    upload_finish_end(upload, false);
    assert_int_equal(upload_write_begin(upload, &late, 0, 1000, 0), 0);
    upload_write_end(upload, &late);
    upload_leave(upload);
    tear_down(&rig);
}

/* With a file and a map on the disk, and nobody who holds it. */
static void leave_behind(struct rig *rig, const char *who, const char *path, const char *token)
{
    struct upload *upload = NULL;

    assert_int_equal(take_of(rig, who, path, token, SIZE, &upload), 0);
    write_range(upload, 0, 1000, 0, 0);
    assert_int_equal(store_partial_keep(upload_partial(upload)), 0);
    upload_leave(upload);
}

struct on_disk {
    struct rig *rig;
    char name[STORE_PARTIAL_NAME_SIZE];
};

/* One that a thread of the registry is at just then stays for the next end. */
static bool goes_with_an_end(void *argument)
{
    const struct on_disk *file = argument;
    struct upload *upload = take(file->rig, "another");

    assert_int_equal(upload_finish_begin(upload, false), 0);
    store_partial_drop(upload_partial(upload));
    upload_finish_end(upload, true);
    upload_leave(upload);
    return !there(file->rig, file->name);
}

static void what_a_sender_left_of_the_same_file_goes_with_its_end_and_nothing_else_does(void **state)
{
    (void)state;
    struct rig rig;
    struct on_disk mine = { .rig = &rig };
    char theirs[STORE_PARTIAL_NAME_SIZE], held[STORE_PARTIAL_NAME_SIZE];
    struct upload *other = NULL;

    set_up(&rig);
    start(&rig);
    leave_behind(&rig, "ann", "file", "earlier");
    leave_behind(&rig, "bob", "file", "token");
    leave_behind(&rig, "ann", "file2", "token");
    name_of(&rig, "ann", "earlier", mine.name);
    name_of(&rig, "bob", "token", theirs);
    name_of(&rig, "ann", "held", held);
    struct upload *busy = take(&rig, "held");
    assert_true(there(&rig, mine.name) && there(&rig, theirs) && there(&rig, held));
    wait_until(goes_with_an_end, &mine);
    assert_true(there(&rig, theirs) && there(&rig, held));

    struct upload *upload = take(&rig, "token");
    assert_int_equal(upload_finish_begin(upload, false), 0);
    store_partial_drop(upload_partial(upload));
    upload_finish_end(upload, true);
    assert_int_equal(take_of(&rig, "ann", "file2", "token", STORE_PARTIAL_ANY, &other), 0);
    upload_leave(other);

    /* Who holds what is gone can do nothing with it; who asks for it by its name gets another. */
    struct upload_writer writer;
    assert_int_equal(upload_write_begin(upload, &writer, 0, 1, 0), -EBUSY);
    struct upload *again = take(&rig, "token");
    assert_ptr_not_equal(again, upload);
    assert_int_equal(store_partial_front(upload_partial(again)), 0);
    upload_leave(again);
    upload_leave(upload);
    upload_leave(busy);
    tear_down(&rig);
}

static bool is_closed(void *argument)
{
    const struct on_disk *file = argument;
    char path[200];

    snprintf(path, sizeof path, "%s/%s", file->rig->path, file->name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    bool free_now = flock(fd, LOCK_EX | LOCK_NB) == 0;
    close(fd);
    return free_now;
}

static void what_nobody_holds_is_kept_and_closed_and_can_be_taken_again(void **state)
{
    (void)state;
    struct rig rig;
    struct on_disk file = { .rig = &rig };

    set_up(&rig);
    start(&rig);
    struct upload *upload = take(&rig, "token");
    write_range(upload, 0, 2 * MIB, SHA_256, 0);
    name_of(&rig, "ann", "token", file.name);
    assert_false(is_closed(&file));
    upload_leave(upload);
    wait_until(is_closed, &file);
    upload = take(&rig, "token");
    assert_int_equal(store_partial_front(upload_partial(upload)), 2 * MIB);
    assert_int_equal(upload_finish_begin(upload, false), 0);
    assert_null(upload_take_front(upload, SHA_256)); /* that ended with it */
    upload_finish_end(upload, false);
    upload_leave(upload);
    tear_down(&rig);
}

static void wait_for_word(const struct rig *rig, const char *word)
{
    char text[4096] = "";
    size_t length = 0;

    while (!strstr(text, word)) {
        struct pollfd said = { .fd = rig->said[0], .events = POLLIN };
        assert_int_equal(poll(&said, 1, PATIENCE_MS), 1);
        ssize_t n = read(rig->said[0], text + length, sizeof text - 1 - length);
        assert_true(n > 0);
        length += (size_t)n;
        text[length] = '\0';
    }
}

static void that_it_could_not_be_kept_is_told_and_it_is_kept_later(void **state)
{
    (void)state;
    struct rig rig;
    struct on_disk file = { .rig = &rig };
    char path[200];

    set_up(&rig);
    start(&rig);
    struct upload *upload = take(&rig, "token");
    name_of(&rig, "ann", "token", file.name);
    snprintf(path, sizeof path, "%s/%s.map.new", rig.path, file.name);
    assert_int_equal(mkdir(path, 0700), 0); /* where the map is to be written first */
    write_range(upload, 0, 1000, 0, 0);
    upload_leave(upload);
    wait_for_word(&rig, "T15W");
    upload = take(&rig, "token");
    assert_int_equal(rmdir(path), 0);
    write_range(upload, 0, 1000, 0, 0); /* on a machine that is slow enough it was closed meanwhile */
    upload_leave(upload);
    wait_until(is_closed, &file);
    snprintf(path, sizeof path, "%s.map", file.name);
    assert_true(there(&rig, path));
    tear_down(&rig);
}

static int fill(struct rig *rig, const char *who, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        struct upload *upload = NULL;
        char token[16];
        snprintf(token, sizeof token, "t%u", i);
        int rc = take_of(rig, who, "file", token, SIZE, &upload);
        if (rc < 0)
            return rc;
        upload_leave(upload);
    }
    return 0;
}

static void there_are_so_many_and_so_many_of_one_sender(void **state)
{
    (void)state;
    struct rig rig;

    set_up(&rig);
    rig.config.server.max_unfinished_uploads = 12;
    rig.config.server.max_unfinished_per_sender = 5;
    start(&rig);
    assert_int_equal(fill(&rig, "ann", 0, 5), 0);
    assert_int_equal(fill(&rig, "ann", 5, 6), -ETOOMANYREFS);
    assert_int_equal(fill(&rig, "ann", 0, 5), 0); /* those that are there are gone on with */
    assert_int_equal(fill(&rig, "bob", 0, 5), 0);
    assert_int_equal(fill(&rig, "cyd", 0, 2), 0);
    assert_int_equal(fill(&rig, "cyd", 2, 3), -EUSERS);

    /* One that is over makes room for another. */
    struct upload *upload = take(&rig, "t1");
    assert_int_equal(upload_finish_begin(upload, false), 0);
    store_partial_drop(upload_partial(upload));
    upload_finish_end(upload, true);
    upload_leave(upload);
    assert_int_equal(fill(&rig, "ann", 5, 6), 0);
    tear_down(&rig);

    /* Nothing said: a quarter, but not less than 16. */
    set_up(&rig);
    rig.config.server.max_unfinished_uploads = 40;
    start(&rig);
    assert_int_equal(fill(&rig, "ann", 0, 16), 0);
    assert_int_equal(fill(&rig, "ann", 16, 17), -ETOOMANYREFS);
    tear_down(&rig);
}

struct swept {
    struct rig *rig;
    unsigned count;
};

static bool bob_is_counted(void *argument)
{
    struct swept *swept = argument;
    struct upload *upload = NULL;
    char token[16];

    snprintf(token, sizeof token, "new%u", swept->count++);
    int rc = take_of(swept->rig, "bob", "file", token, SIZE, &upload);
    if (rc == 0) {
        store_partial_drop(upload_partial(upload));
        assert_int_equal(upload_finish_begin(upload, false), 0);
        upload_finish_end(upload, true);
        upload_leave(upload);
    }
    return rc == -ETOOMANYREFS;
}

static void what_was_left_before_the_start_counts_as_its_sender_s(void **state)
{
    (void)state;
    struct rig rig;
    struct swept swept = { .rig = &rig };

    set_up(&rig);
    for (unsigned i = 0; i < 3; i++) {
        struct store_place place;
        struct store_partial *partial;
        char path[16];
        snprintf(path, sizeof path, "other%u", i); /* bob's, of other files, which the end of one does not take along */
        assert_int_equal(store_place_find(rig.store, path, "bob", "token", true, &place), 0);
        assert_int_equal(store_partial_open(&place, SIZE, &partial), 0);
        store_partial_close(partial);
        store_place_clear(&place);
    }
    rig.config.server.max_unfinished_per_sender = 3;
    start(&rig);
    wait_until(bob_is_counted, &swept);
    tear_down(&rig);
}

static bool room_is_small(void *argument)
{
    const struct on_disk *file = argument;
    struct stat facts;
    char path[200];

    snprintf(path, sizeof path, "%s/%s", file->rig->path, file->name);
    assert_int_equal(stat(path, &facts), 0);
    return (uint64_t)facts.st_blocks * 512 < 2 * MIB;
}

static void room_that_a_crash_left_is_given_back_at_the_start(void **state)
{
    (void)state;
    struct rig rig;
    struct on_disk file = { .rig = &rig };
    struct store_place place;
    struct store_partial *partial;

    set_up(&rig);
    assert_int_equal(store_place_find(rig.store, "file", "ann", "token", true, &place), 0);
    memcpy(file.name, place.name, sizeof file.name);
    assert_int_equal(store_partial_open(&place, 16 * MIB, &partial), 0);
    assert_int_equal(pwrite(store_partial_fd(partial), "begin", 5, 0), 5);
    assert_int_equal(store_partial_add(partial, 0, 5), 0);
    assert_int_equal(store_partial_keep(partial), 0);
    assert_int_equal(posix_fallocate(store_partial_fd(partial), 0, 16 * MIB), 0);
    store_partial_close(partial);
    store_place_clear(&place);
    assert_false(room_is_small(&file));
    start(&rig);
    wait_until(room_is_small, &file);

    struct upload *upload = NULL;
    assert_int_equal(take_of(&rig, "ann", "file", "token", 16 * MIB, &upload), 0);
    assert_int_equal(store_partial_front(upload_partial(upload)), 5);
    upload_leave(upload);
    tear_down(&rig);
}

/* -- the digest meanwhile ------------------------------------------------------------------------------------------ */

/* As who finishes: whatever was computed before, it is that of what stands there. Whether anything was. */
static bool digest_is_right(struct upload *upload, unsigned algorithms)
{
    struct digest_set found = { 0 }, right;
    struct digest_run *run;
    uint64_t at;

    assert_int_equal(upload_finish_begin(upload, false), 0);
    struct digest_front *front = upload_take_front(upload, algorithms);
    int fd = store_partial_fd(upload_partial(upload));
    if (front) {
        assert_int_equal(digest_front_take(front, &run, &at), 0);
        assert_int_equal(digest_run_finish(run, fd, at, SIZE, true, NULL, &found), 0);
        digest_run_free(run);
        assert_int_equal(digest_file(fd, SIZE, algorithms, NULL, &right), 0);
        assert_true(digest_set_agree(&found, &right));
    }
    upload_finish_end(upload, false);
    return front;
}

static void the_digest_is_of_what_was_written_last(void **state)
{
    (void)state;
    struct rig rig;

    set_up(&rig);
    start(&rig);
    struct upload *upload = take(&rig, "token");
    write_range(upload, 0, SIZE / 2, SHA_256, 0);
    usleep(20000); /* so that some of it is read, as a rule */
    write_range(upload, SIZE / 4, SIZE, SHA_256, 1);
    assert_true(digest_is_right(upload, SHA_256));
    upload_leave(upload);

    /* Nobody said that a digest will come; or it is another one. */
    upload = take(&rig, "other");
    write_range(upload, 0, SIZE, 0, 0);
    assert_false(digest_is_right(upload, SHA_256));
    write_range(upload, 0, SIZE, SHA_256, 0);
    assert_false(digest_is_right(upload, 1u << DIGEST_SHA_512));
    upload_leave(upload);
    tear_down(&rig);
}

/* It has begun where nothing was computed yet, and writes where by now all that it lacks is there. */
static void what_a_slow_one_still_writes_is_not_taken_in(void **state)
{
    (void)state;
    struct rig rig;
    struct upload_writer slow;

    set_up(&rig);
    start(&rig);
    struct upload *upload = take(&rig, "token");
    assert_int_equal(upload_write_begin(upload, &slow, MIB, 2 * MIB, SHA_256), 0);
    write_range(upload, 0, SIZE, SHA_256, 1);
    usleep(20000);
    put(upload, MIB, 3 * MIB, 2);
    assert_int_equal(upload_wrote(upload, &slow, 3 * MIB), 0);
    upload_write_end(upload, &slow);
    assert_true(digest_is_right(upload, SHA_256));
    upload_leave(upload);
    tear_down(&rig);
}

static void holes_are_filled_without_beginning_anew_and_hold_up_the_front(void **state)
{
    (void)state;
    struct rig rig;
    struct upload_writer filler;

    set_up(&rig);
    start(&rig);
    struct upload *upload = take(&rig, "token");
    write_range(upload, 0, MIB, SHA_256, 1);
    assert_int_equal(upload_fill_begin(upload, &filler, 0, SIZE), 0);
    put(upload, MIB, 2 * MIB, 1);
    assert_int_equal(store_partial_add(upload_partial(upload), MIB, 2 * MIB), 0);
    write_range(upload, 2 * MIB, SIZE, SHA_256, 1); /* now all is there, but it may be filled yet */
    usleep(20000);
    put(upload, MIB, 2 * MIB, 2);
    upload_write_end(upload, &filler);
    for (unsigned i = 0; i < 5; i++) { /* more often than it would begin anew */
        assert_int_equal(upload_fill_begin(upload, &filler, 0, SIZE), 0);
        upload_write_end(upload, &filler);
    }
    assert_true(digest_is_right(upload, SHA_256));
    upload_leave(upload);
    tear_down(&rig);
}

static void who_writes_the_same_again_and_again_is_not_followed_for_ever(void **state)
{
    (void)state;
    struct rig rig;

    set_up(&rig);
    start(&rig);
    struct upload *upload = take(&rig, "token");
    for (unsigned char times = 0; times < 3; times++)
        write_range(upload, 0, SIZE, SHA_256, times);
    assert_true(digest_is_right(upload, SHA_256));
    for (unsigned char times = 0; times < 3; times++)
        write_range(upload, 0, SIZE, SHA_256, times);
    assert_false(digest_is_right(upload, SHA_256));
    upload_leave(upload);
    tear_down(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(those_who_name_the_same_hold_the_same),
        cmocka_unit_test(several_at_a_time_make_one_file_and_its_digest),
        cmocka_unit_test(who_finishes_waits_for_who_writes_and_nobody_begins_to_write_meanwhile),
        cmocka_unit_test(what_a_sender_left_of_the_same_file_goes_with_its_end_and_nothing_else_does),
        cmocka_unit_test(what_nobody_holds_is_kept_and_closed_and_can_be_taken_again),
        cmocka_unit_test(that_it_could_not_be_kept_is_told_and_it_is_kept_later),
        cmocka_unit_test(there_are_so_many_and_so_many_of_one_sender),
        cmocka_unit_test(what_was_left_before_the_start_counts_as_its_sender_s),
        cmocka_unit_test(room_that_a_crash_left_is_given_back_at_the_start),
        cmocka_unit_test(the_digest_is_of_what_was_written_last),
        cmocka_unit_test(what_a_slow_one_still_writes_is_not_taken_in),
        cmocka_unit_test(holes_are_filled_without_beginning_anew_and_hold_up_the_front),
        cmocka_unit_test(who_writes_the_same_again_and_again_is_not_followed_for_ever),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
