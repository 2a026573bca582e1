// rooms: pump ktls config support
/*
 * Every operation of a pump is shortened, refused or both, one after the other: the pump always ends, says which side
 * failed, leaks nothing, and what arrived is right.
 */
#include "tests/unit/pump_rig.h"

#define LENGTH 1300000 /* more than one pipe and than two buffers */

struct seam {
    struct ring_seam seam;
    bool odd_lengths;
    unsigned calls, fail_at; /* counted from 1; 0: never */
    unsigned fail_for;       /* this many in a row */
    int error;
    bool no_splice;        /* what a file system says that can neither splice nor sendfile: not counted */
    bool no_register;      /* as where RLIMIT_MEMLOCK has no room */
    uint32_t kinds;        /* bit per enum ring_call that is counted; 0: all */
    enum ring_call failed; /* the kind that was refused */
    unsigned failures;
};

static int seam_before(const struct ring_seam *base, enum ring_call call, size_t *length)
{
    struct seam *seam = (struct seam *)(uintptr_t)base;
    if (seam->no_splice && (call == RING_SPLICE || call == RING_SENDFILE))
        return -EINVAL;
    if (call == RING_REGISTER) /* goes on without: not counted */
        return seam->no_register ? -ENOMEM : 0;
    if (seam->kinds && !(seam->kinds & 1u << call))
        return 0;
    seam->calls++;
    if (seam->odd_lengths && *length > 0) {
        size_t odd = 1 + (size_t)seam->calls * 7919 % 30011;
        *length = *length < odd ? *length : odd;
    }
    if (seam->fail_at == 0 || seam->calls < seam->fail_at || seam->calls >= seam->fail_at + seam->fail_for)
        return 0;
    seam->failed = call;
    seam->failures++;
    return seam->error;
}

static const enum channel_mode modes[] = { CHANNEL_PLAIN, CHANNEL_USER, CHANNEL_KERNEL };
static const enum peer_role roles[] = { PEER_TAKES, PEER_SENDS };

/* One transfer under a seam, in a world of its own. Afterwards all that can be checked has been. */
static void transfer(struct seam *seam, enum channel_mode mode, enum peer_role role, struct rig *rig)
{
    struct world world;
    world_open(&world, &seam->seam, 2, 1);
    int file = role == PEER_TAKES ? file_with(body, LENGTH) : file_with(NULL, 0);
    rig_open(rig, &world, mode, (struct peer){ .role = role, .bytes = body, .length = LENGTH });
    rig_start(rig, file, 0, LENGTH);
    world_run(&world);
    rig_close(rig);
    if (rig->result == 0)
        assert_int_equal(rig->pump.moved, LENGTH);
    if (role == PEER_SENDS)
        assert_file_holds(file, 0, body, (size_t)rig->pump.moved);
    else if (rig->result == 0)
        assert_peer_has(rig, body, LENGTH);
    else
        assert_peer_has_most(rig, mode, body);
    close(file);
    world_close(&world);
    rig_forget(rig);
}

static void every_call_may_do_less_than_asked(void **state)
{
    (void)state;
    for (size_t m = 0; m < 3; m++) {
        for (size_t r = 0; r < 2 && !mode_is_missing(modes[m]); r++) {
            if (!is_concerned(modes[m], r == 0 ? PUMP_SEND : PUMP_RECEIVE))
                continue;
            struct seam seam = { .seam.before = seam_before, .odd_lengths = true };
            struct rig rig;
            transfer(&seam, modes[m], roles[r], &rig);
            assert_int_equal(rig.result, 0);
            assert_true(seam.calls > 40);
        }
    }
}

static bool is_of_the_file(enum ring_call call)
{
    return call == RING_READ || call == RING_WRITE;
}

static void check_fault(const struct seam *seam, const struct rig *rig)
{
    if (seam->failures == 0) { /* it ended before its n-th call */
        assert_int_equal(rig->result, 0);
        return;
    }
    assert_int_not_equal(rig->result, 0);
    if (seam->failed == RING_SPLICE || seam->failed == RING_SENDFILE) /* either side */
        assert_true(rig->pump.fault == PUMP_FAULT_FILE || rig->pump.fault == PUMP_FAULT_CHANNEL);
    else
        assert_int_equal(rig->pump.fault, is_of_the_file(seam->failed) ? PUMP_FAULT_FILE : PUMP_FAULT_CHANNEL);
    if (rig->pump.fault == PUMP_FAULT_FILE)
        assert_int_equal(rig->result, seam->error);
}

static void any_call_may_fail(void **state)
{
    (void)state;
    static const int errors[] = { -EIO, -ENOSPC, -ECONNRESET };
    for (size_t m = 0; m < 3; m++) {
        for (size_t r = 0; r < 2 && !mode_is_missing(modes[m]); r++) {
            if (!is_concerned(modes[m], r == 0 ? PUMP_SEND : PUMP_RECEIVE))
                continue;
            for (unsigned n = 1; n <= 24; n++) {
                struct seam seam = { .seam.before = seam_before,
                                     .fail_at = n,
                                     .fail_for = 1,
                                     .error = errors[n % 3],
                                     .odd_lengths = n % 2 == 0 };
                /* In the kernel, EIO from recv says "control record", and there is none: the pump goes on. */
                if (modes[m] == CHANNEL_KERNEL && seam.error == -EIO)
                    seam.error = -EFBIG;
                struct rig rig;
                transfer(&seam, modes[m], roles[r], &rig);
                check_fault(&seam, &rig);
            }
        }
    }
}

static void an_interrupted_call_is_tried_again(void **state)
{
    (void)state;
    static const int errors[] = { -EINTR, -EAGAIN };
    for (size_t m = 0; m < 3; m++) {
        for (size_t r = 0; r < 2 && !mode_is_missing(modes[m]); r++) {
            if (!is_concerned(modes[m], r == 0 ? PUMP_SEND : PUMP_RECEIVE))
                continue;
            for (unsigned n = 1; n <= 10; n++) {
                struct seam seam = { .seam.before = seam_before,
                                     .fail_at = n,
                                     .fail_for = 1,
                                     .error = errors[n % 2],
                                     .odd_lengths = n % 3 == 0 };
                seam.kinds = 1u << RING_RECV | 1u << RING_SEND | 1u << RING_READ | 1u << RING_WRITE;
                struct rig rig;
                transfer(&seam, modes[m], roles[r], &rig);
                assert_int_equal(rig.result, 0);
            }
        }
    }
}

static void a_file_system_without_splice_is_copied(void **state)
{
    (void)state;
    for (size_t m = 0; m < 3; m += 2) {
        for (int odd = 0; odd < 2 && !mode_is_missing(modes[m]); odd++) {
            struct seam seam = { .seam.before = seam_before, .no_splice = true, .odd_lengths = odd };
            struct rig rig;
            transfer(&seam, modes[m], PEER_TAKES, &rig);
            assert_int_equal(rig.result, 0);
            assert_string_equal(pump_path_name(&rig.pump), "fixed");
            assert_true(seam.calls > 0);
        }
    }
}

static void a_copy_meets_failing_calls_too(void **state)
{
    (void)state;
    static const int errors[] = { -EIO, -ECONNRESET, -EINTR, -EAGAIN };
    for (unsigned n = 1; n <= 24; n++) {
        struct seam seam = { .seam.before = seam_before,
                             .no_splice = true,
                             .odd_lengths = true,
                             .fail_at = n,
                             .fail_for = 1,
                             .error = errors[n % 4] };
        struct rig rig;
        transfer(&seam, CHANNEL_PLAIN, PEER_TAKES, &rig);
        if (n % 4 < 2)
            check_fault(&seam, &rig);
        else if (seam.failed != RING_POLL)
            assert_int_equal(rig.result, 0);
    }
}

static void buffers_that_cannot_be_registered_are_used_as_they_are(void **state)
{
    (void)state;
    struct seam seam = { .seam.before = seam_before, .no_register = true };
    struct rig rig;
    asked = "fixed";
    transfer(&seam, CHANNEL_PLAIN, PEER_TAKES, &rig);
    asked = NULL;
    char told[PUMP_TOLD_SIZE];
    assert_int_equal(rig.result, 0);
    assert_string_equal(pump_told(&rig.pump.choice, told),
                        "fixed: asked for; RLIMIT_MEMLOCK leaves no room for registered buffers (ulimit -l)");
}

static bool asks_for(const char *path, enum pump_way way)
{
    return asked && strcmp(asked, path) == 0 && asked_way == way;
}

static void splice_refused_later_is_the_files_fault(void **state)
{
    (void)state;
    if (!asks_for("splice", PUMP_SEND))
        return;
    struct seam seam = {
        .seam.before = seam_before, .kinds = 1u << RING_SPLICE, .fail_at = 3, .fail_for = 1, .error = -EINVAL
    };
    struct rig rig;
    transfer(&seam, CHANNEL_PLAIN, PEER_TAKES, &rig);
    assert_int_equal(rig.result, -EINVAL);
    assert_int_equal(rig.pump.fault, PUMP_FAULT_FILE);
    assert_string_equal(pump_path_name(&rig.pump), "splice");
}

static void each_half_of_a_splice_has_its_own_side(void **state)
{
    (void)state;
    if (!asks_for("splice", PUMP_SEND))
        return;
    for (unsigned n = 1; n <= 4; n++) {
        struct seam seam = {
            .seam.before = seam_before, .kinds = 1u << RING_SPLICE, .fail_at = n, .fail_for = 1, .error = -EIO
        };
        struct rig rig;
        transfer(&seam, CHANNEL_PLAIN, PEER_TAKES, &rig);
        assert_int_equal(rig.result, -EIO);
        assert_int_equal(rig.pump.fault, n % 2 ? PUMP_FAULT_FILE : PUMP_FAULT_CHANNEL);
        assert_int_equal(rig.pump.moved, n > 2 ? 1 << 20 : 0);
    }
}

static void a_full_disk_is_the_files_fault_and_keeps_what_fitted(void **state)
{
    (void)state;
    static const int errors[] = { -ENOSPC, -EFBIG, -EDQUOT };
    for (size_t m = 0; m < 3; m++) {
        for (size_t e = 0; e < 3 && !mode_is_missing(modes[m]); e++) {
            struct seam seam = { .seam.before = seam_before,
                                 .kinds = 1u << RING_WRITE,
                                 .fail_at = 5,
                                 .fail_for = 1000,
                                 .error = errors[e],
                                 .odd_lengths = true };
            struct rig rig;
            transfer(&seam, modes[m], PEER_SENDS, &rig);
            assert_int_equal(rig.result, errors[e]);
            assert_int_equal(rig.pump.fault, PUMP_FAULT_FILE);
            assert_true(rig.pump.moved > 0);
        }
    }
}

static void a_wait_that_fails_ends_the_pump(void **state)
{
    (void)state;
    for (size_t m = 0; m < 3; m++) {
        for (size_t r = 0; r < 2 && !mode_is_missing(modes[m]); r++) {
            if (!is_concerned(modes[m], r == 0 ? PUMP_SEND : PUMP_RECEIVE))
                continue;
            struct seam seam = {
                .seam.before = seam_before, .kinds = 1u << RING_POLL, .fail_at = 1, .fail_for = 1000, .error = -ENOMEM
            };
            struct rig rig;
            transfer(&seam, modes[m], roles[r], &rig);
            check_fault(&seam, &rig);
        }
    }
}

/* An error that says "control record" where there never is one must not be asked about for ever. */
static void a_control_record_that_never_comes_ends_the_pump(void **state)
{
    (void)state;
    SKIP_WITHOUT_KTLS(CHANNEL_KERNEL)
    for (int i = 0; i < 3 && is_concerned(CHANNEL_KERNEL, PUMP_RECEIVE); i++) {
        static const int errors[] = { -EIO, -EINVAL, -EKEYEXPIRED };
        struct seam seam = { .seam.before = seam_before,
                             .kinds = 1u << RING_RECV | 1u << RING_SPLICE,
                             .fail_at = 2,
                             .fail_for = 100000,
                             .error = errors[i] };
        struct rig rig;
        transfer(&seam, CHANNEL_KERNEL, PEER_SENDS, &rig);
        assert_int_not_equal(rig.result, 0);
        assert_int_equal(rig.pump.fault, PUMP_FAULT_CHANNEL);
        assert_true(seam.failures < 100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_may_do_less_than_asked),
        cmocka_unit_test(any_call_may_fail),
        cmocka_unit_test(an_interrupted_call_is_tried_again),
        cmocka_unit_test(a_file_system_without_splice_is_copied),
        cmocka_unit_test(a_copy_meets_failing_calls_too),
        cmocka_unit_test(buffers_that_cannot_be_registered_are_used_as_they_are),
        cmocka_unit_test(a_full_disk_is_the_files_fault_and_keeps_what_fitted),
        cmocka_unit_test(a_wait_that_fails_ends_the_pump),
        cmocka_unit_test(a_control_record_that_never_comes_ends_the_pump),
    };
    const struct CMUnitTest of_paths[] = {
        cmocka_unit_test(every_call_may_do_less_than_asked),
        cmocka_unit_test(any_call_may_fail),
        cmocka_unit_test(an_interrupted_call_is_tried_again),
        cmocka_unit_test(splice_refused_later_is_the_files_fault),
        cmocka_unit_test(each_half_of_a_splice_has_its_own_side),
        cmocka_unit_test(a_full_disk_is_the_files_fault_and_keeps_what_fitted),
        cmocka_unit_test(a_wait_that_fails_ends_the_pump),
        cmocka_unit_test(a_control_record_that_never_comes_ends_the_pump),
    };
    int failures = 0;
    RUN_FOR_EACH_PATH(tests, of_paths, failures)
    return failures;
}
