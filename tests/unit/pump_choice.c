// rooms: pump ktls config support
/* Which path is taken, what is told of that, and what becomes of one that was asked for and cannot be. */
#include "tests/unit/pump_rig.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "config/path.h"
#include "config/schema.h"
#include "engine/disk/cache.h"
#include "engine/disk/direct_file.h"
#include "engine/pump/pump_internal.h"

#define LENGTH ((size_t)3 << 20)

/* On a disk, where there is one: a file system in memory has nothing to wait for. */
static int disk_file(const void *bytes, size_t length)
{
    int fd = open("/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, length, 0), length);
    assert_int_equal(fsync(fd), 0);
    return fd;
}

static void carry(const struct ring_seam *seam, struct rig *rig, enum channel_mode mode, enum peer_role role,
                  const char *path, int file)
{
    struct world world;
    world_open(&world, seam, 4, 2);
    rig_open(rig, &world, mode, (struct peer){ .role = role, .bytes = body, .length = LENGTH });
    rig->pump.asked = path;
    rig_start(rig, file, 0, LENGTH);
    world_run(&world);
    assert_int_equal(rig->result, 0);
    rig_close(rig);
    world_close(&world);
}

static void assert_arrived(struct rig *rig, int file)
{
    if (rig->pump.way == PUMP_SEND)
        assert_peer_has(rig, body, LENGTH);
    else
        assert_file_holds(file, 0, body, LENGTH);
    rig_forget(rig);
}

static void move(struct rig *rig, enum channel_mode mode, enum peer_role role, const char *path, int file)
{
    carry(NULL, rig, mode, role, path, file);
    assert_arrived(rig, file);
}

static void assert_told(const struct rig *rig, const char *expected)
{
    char told[PUMP_TOLD_SIZE];
    assert_string_equal(pump_told(&rig->pump.choice, told), expected);
}

static void what_was_asked_for_is_taken_and_told(void **state)
{
    struct rig rig;
    (void)state;
    int file = file_with(body, LENGTH);
    move(&rig, CHANNEL_PLAIN, PEER_TAKES, "fixed", file);
    assert_told(&rig, "fixed: asked for");
    move(&rig, CHANNEL_PLAIN, PEER_TAKES, NULL, file);
    assert_told(&rig, "sendfile: in the page cache");
    close(file);
}

static void a_path_of_the_other_direction_changes_nothing(void **state)
{
    struct rig rig;
    (void)state;
    int file = file_with(body, LENGTH), other = file_with(NULL, 0);
    move(&rig, CHANNEL_PLAIN, PEER_TAKES, "recv", file);
    assert_told(&rig, "sendfile: in the page cache");
    move(&rig, CHANNEL_PLAIN, PEER_SENDS, "sendfile", other);
    assert_string_equal(pump_path_name(&rig.pump), "recv");
    assert_null(rig.pump.choice.refused);
    close(file);
    close(other);
}

static ssize_t refuse_all(void *argument, char *bytes, size_t length, size_t *used, bool *end)
{
    (void)argument;
    (void)bytes;
    (void)length;
    (void)used;
    (void)end;
    return -EBADMSG;
}

static void what_cannot_be_had_is_told_with_the_reason(void **state)
{
    struct rig rig;
    (void)state;
    int file = file_with(body, LENGTH), other = file_with(NULL, 0);
    move(&rig, CHANNEL_USER, PEER_TAKES, "sendfile", file);
    assert_told(&rig, "user: not sendfile as asked for: OpenSSL does the cryptography");
    close(file);

    int pipe[2];
    assert_int_equal(pipe2(pipe, O_CLOEXEC), 0);
    const struct {
        struct pump pump;
        const char *told;
    } cases[] = {
        { { .way = PUMP_SEND, .file = pipe[0], .length = 1, .asked = "sendfile" },
          "splice: not sendfile as asked for: the source has no offsets" },
        { { .way = PUMP_SEND, .file = pipe[0], .length = 1, .asked = "splice-hybrid" },
          "splice: not splice-hybrid as asked for: the source has no offsets" },
        { { .way = PUMP_RECEIVE, .file = pipe[1], .length = 1, .asked = "splice" },
          "recv: not splice as asked for: the target is not a regular file" },
        { { .way = PUMP_RECEIVE, .file = other, .length = PUMP_TO_END, .filter = refuse_all, .asked = "splice" },
          "recv: not splice as asked for: the body comes in chunks, which must be read" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pump pump = cases[i].pump;
        char told[PUMP_TOLD_SIZE];
        pump_choose(&pump, CHANNEL_KERNEL);
        assert_string_equal(pump_told(&pump.choice, told), cases[i].told);
    }
    close(pipe[0]);
    close(pipe[1]);
    close(other);
}

static int refuse_splices(const struct ring_seam *seam, enum ring_call call, size_t *length)
{
    (void)seam;
    (void)length;
    return call == RING_SENDFILE || call == RING_SPLICE ? -EINVAL : 0;
}

static void what_turns_out_not_to_work_is_told_too(void **state)
{
    static const struct ring_seam seam = { refuse_splices };
    static const struct {
        enum peer_role role;
        const char *asked, *told;
    } cases[] = {
        { PEER_TAKES, NULL, "fixed: this file system has no sendfile" },
        { PEER_TAKES, "sendfile", "fixed: not sendfile as asked for: this file system has no sendfile" },
        { PEER_TAKES, "splice-hybrid", "fixed: not splice-hybrid as asked for: this file system cannot splice" },
        { PEER_SENDS, "splice", "recv: not splice as asked for: this file system cannot splice" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig rig;
        bool sends = cases[i].role == PEER_TAKES;
        int file = file_with(body, sends ? LENGTH : 0);
        carry(&seam, &rig, CHANNEL_PLAIN, cases[i].role, cases[i].asked, file);
        assert_arrived(&rig, file);
        assert_told(&rig, cases[i].told);
        close(file);
    }
}

static void every_configured_name_is_a_path_and_every_path_has_its_name(void **state)
{
    (void)state;
    for (const struct config_choice *choice = config_path_choices; choice->word; choice++) {
        enum config_path path;
        bool found = strcmp(choice->word, "auto") == 0;
        assert_int_equal(config_path_parse(choice->word, &path), 0);
        assert_int_equal(path, choice->value);
        if (found) {
            assert_null(config_path_word(path));
            continue;
        }
        assert_string_equal(config_path_word(path), choice->word);
        assert_non_null(strstr(CONFIG_PATH_WORDS, choice->word));
        for (size_t i = 0; pump_paths[i]; i++)
            found |= strcmp(pump_paths[i]->name, choice->word) == 0;
        assert_true(found);
    }
    for (size_t i = 0; pump_paths[i]; i++) {
        enum config_path path;
        if (strcmp(pump_paths[i]->name, "user") != 0)
            assert_int_equal(config_path_parse(pump_paths[i]->name, &path), 0);
    }
    enum config_path none;
    assert_int_equal(config_path_parse("sendfil", &none), -1);
}

/* ---- what is in memory ---- */

static void a_file_in_memory_is_known_as_such(void **state)
{
    (void)state;
    int file = file_with(body, LENGTH);
    assert_true(cache_is_home(file));
    close(file);
}

static void what_was_just_written_is_in_the_page_cache(void **state)
{
    (void)state;
    int file = disk_file(body, LENGTH);
    enum cached found = cache_holds(file, 5, LENGTH - 5);
    assert_true(found == CACHED_YES || found == CACHED_UNKNOWN);
    assert_int_equal(cache_holds(file, 0, 0), CACHED_YES);
    assert_int_equal(cache_holds_untouched(file, 5, LENGTH - 5), CACHED_YES);
    assert_int_equal(cache_holds_untouched(file, 0, LENGTH + 8192), CACHED_NO); /* there is no such page */
    assert_int_equal(cache_holds_untouched(file, 0, 0), CACHED_YES);
    close(file);
}

/* True where the file's pages could be got rid of: it is on a disk that is read from. */
static bool is_cold(int file)
{
    return posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED) == 0 && !cache_is_home(file) &&
           cache_holds(file, 0, 1) == CACHED_NO;
}

static void what_the_kernel_does_not_tell_is_not_taken_to_be_there(void **state)
{
    (void)state;
    char name[32];
    int file = disk_file(body, LENGTH), reading;
    snprintf(name, sizeof(name), "/proc/self/fd/%d", file);
    reading = open(name, O_RDONLY | O_CLOEXEC);
    assert_true(reading >= 0);
    bool can_be_seen = is_cold(file) && geteuid() == 0;
    close(file); /* who may write to it is told */
    if (can_be_seen) {
        assert_int_equal(seteuid(65534), 0);
        enum cached found = cache_holds_untouched(reading, 0, LENGTH);
        assert_int_equal(seteuid(0), 0);
        assert_int_not_equal(found, CACHED_YES);
    }
    close(reading);
    if (!can_be_seen) {
        print_message("skipped: /var/tmp is not on a disk, or this is not root\n");
        skip();
    }
}

static void a_file_that_is_not_in_memory_is_sent_by_threads(void **state)
{
    struct rig rig;
    (void)state;
    int file = disk_file(body, LENGTH);
    if (!is_cold(file)) {
        print_message("skipped: /var/tmp is not on a disk\n");
        close(file);
        skip();
    }
    assert_int_equal(cache_holds_most(file, 0, LENGTH), CACHED_NO);
    move(&rig, CHANNEL_PLAIN, PEER_TAKES, NULL, file);
    assert_told(&rig, "sendfile: not in the page cache, so with threads");
    close(file);
}

struct stopper {
    struct ring_op op;
    struct rig *rig;
};

static void stop_now(struct ring_op *op, int result, unsigned flags)
{
    (void)result;
    (void)flags;
    struct stopper *stopper = (struct stopper *)op;
    pump_stop(&stopper->rig->pump);
    if (--stopper->rig->world->left == 0)
        ring_stop(stopper->rig->world->ring);
}

static void what_is_larger_than_half_the_memory_goes_past_the_page_cache(void **state)
{
    (void)state;
    char told[PUMP_TOLD_SIZE];
    int file = disk_file(body, LENGTH);
    struct pump out = { .way = PUMP_SEND, .file = file, .length = UINT64_C(8) << 40 };
    struct pump in = { .way = PUMP_RECEIVE, .file = file, .length = UINT64_C(8) << 40 };
    struct direct_file direct;
    bool has_direct = direct_open(&direct, file, O_RDONLY) == NULL;
    direct_close(&direct);
    struct stat facts;
    assert_int_equal(fstat(file, &facts), 0);
    if (!has_direct || major(facts.st_dev) == 0 || ftruncate(file, INT64_C(8) << 40) != 0) {
        print_message("skipped: /var/tmp is not on a disk that takes it\n");
        close(file);
        skip();
    }
    pump_choose(&out, CHANNEL_KERNEL);
    pump_choose(&in, CHANNEL_KERNEL);
    assert_string_equal(pump_told(&out.choice, told), "direct: larger than half the memory");
    assert_string_equal(pump_told(&in.choice, told), "direct: larger than half the memory");
    assert_true(pump_spares_cache(&out) && pump_spares_cache(&in));
    assert_true(pump_would_spare_cache(file, out.length, NULL));
    assert_true(pump_would_spare_cache(file, LENGTH, "direct"));
    assert_false(pump_would_spare_cache(file, LENGTH, NULL));
    assert_false(pump_would_spare_cache(file, out.length, "sendfile"));
    pump_choose(&out, CHANNEL_USER);
    assert_string_equal(pump_path_name(&out), "user");
    assert_false(pump_spares_cache(&out));
    close(file);
}

static void assert_cache_is_left_alone(enum peer_role role)
{
    struct rig rig;
    int file = disk_file(body, role == PEER_TAKES ? LENGTH : 0);
    if (role == PEER_TAKES && !is_cold(file)) {
        close(file);
        print_message("skipped: /var/tmp is not on a disk\n");
        skip();
    }
    carry(NULL, &rig, CHANNEL_PLAIN, role, "direct", file);
    if (rig.pump.choice.refused) {
        assert_string_not_equal(rig.pump.choice.why, "");
    } else {
        assert_int_equal(cache_holds(file, 0, LENGTH / 2), CACHED_NO);
        assert_int_equal(cache_holds(file, LENGTH / 2, LENGTH / 2), CACHED_NO);
    }
    assert_arrived(&rig, file); /* reads the file */
    close(file);
}

static void what_goes_past_the_page_cache_leaves_it_alone(void **state)
{
    (void)state;
    assert_cache_is_left_alone(PEER_TAKES);
    assert_cache_is_left_alone(PEER_SENDS);
}

static void steps_on_threads_can_be_stopped(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        struct world world;
        struct rig rig;
        struct stopper stopper = { .op.done = stop_now, .rig = &rig };
        int file = disk_file(body, LENGTH);
        is_cold(file);
        world_open(&world, NULL, 1, 1);
        rig_open(&rig, &world, CHANNEL_PLAIN, (struct peer){ .role = PEER_TAKES, .stuck = i % 2 });
        rig_start(&rig, file, 0, LENGTH);
        world.left++;
        if (i < 10)
            ring_next(world.ring, &stopper.op);
        else
            ring_timeout(world.ring, &stopper.op, i / 2 - 4);
        world_run(&world);
        assert_true(rig.result == -ECANCELED || rig.pump.moved == LENGTH);
        rig_close(&rig);
        assert_peer_has_most(&rig, CHANNEL_PLAIN, body);
        rig_forget(&rig);
        world_close(&world);
        close(file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_asked_for_is_taken_and_told),
        cmocka_unit_test(a_path_of_the_other_direction_changes_nothing),
        cmocka_unit_test(what_cannot_be_had_is_told_with_the_reason),
        cmocka_unit_test(what_turns_out_not_to_work_is_told_too),
        cmocka_unit_test(every_configured_name_is_a_path_and_every_path_has_its_name),
        cmocka_unit_test(a_file_in_memory_is_known_as_such),
        cmocka_unit_test(what_was_just_written_is_in_the_page_cache),
        cmocka_unit_test(what_the_kernel_does_not_tell_is_not_taken_to_be_there),
        cmocka_unit_test(a_file_that_is_not_in_memory_is_sent_by_threads),
        cmocka_unit_test(what_is_larger_than_half_the_memory_goes_past_the_page_cache),
        cmocka_unit_test(what_goes_past_the_page_cache_leaves_it_alone),
        cmocka_unit_test(steps_on_threads_can_be_stopped),
    };
    return cmocka_run_group_tests(tests, rig_group_setup, rig_group_teardown);
}
