// rooms: pump ktls config support
/* Bodies that may move only so fast. Nothing here says how fast they must be: only that they are not faster. */
#include "tests/unit/pump_rig.h"

#include <netinet/tcp.h>
#include <time.h>

#include "engine/pump/pace.h"

static double seconds_since(const struct timespec *began)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - began->tv_sec) + (double)(now.tv_nsec - began->tv_nsec) / 1e9;
}

#define RATE ((uint64_t)4 << 20)
#define LENGTH ((size_t)2 << 20)
#define LEAST 0.25 /* seconds; at RATE it is half a second, but for what is allowed at once */

static void receive_slowly(enum channel_mode mode, const char *path)
{
    struct world world;
    struct rig rig;
    struct timespec began;
    world_open(&world, NULL, 4, 2);
    int file = file_with(NULL, 0);
    rig_open(&rig, &world, mode, (struct peer){ .role = PEER_SENDS, .bytes = body, .length = LENGTH });
    rig.pump.asked = path;
    rig.pump.rate = RATE;
    clock_gettime(CLOCK_MONOTONIC, &began);
    rig_start(&rig, file, 0, LENGTH);
    world_run(&world);
    assert_int_equal(rig.result, 0);
    assert_true(seconds_since(&began) >= LEAST);
    assert_file_holds(file, 0, body, LENGTH);
    rig_close(&rig);
    close(file);
    world_close(&world);
}

static void a_body_is_received_no_faster_than_it_may_by_the_kernel(void **state)
{
    (void)state;
    SKIP_WITHOUT_KTLS(CHANNEL_KERNEL);
    receive_slowly(CHANNEL_KERNEL, NULL);
}

static void a_body_is_received_no_faster_than_it_may_by_openssl(void **state)
{
    (void)state;
    receive_slowly(CHANNEL_USER, NULL);
}

static void a_plain_body_is_received_no_faster_than_it_may(void **state)
{
    (void)state;
    receive_slowly(CHANNEL_PLAIN, NULL);
    receive_slowly(CHANNEL_PLAIN, "splice");
}

static void send_slowly(enum channel_mode mode, const char *path)
{
    struct world world;
    struct rig rig;
    struct timespec began;
    world_open(&world, NULL, 4, 2);
    int file = file_with(body, LENGTH);
    rig_open(&rig, &world, mode, (struct peer){ .role = PEER_TAKES });
    rig.pump.asked = path;
    assert_int_equal(channel_pace(rig.channel, RATE), 0);
    rig.pump.rate = RATE;
    clock_gettime(CLOCK_MONOTONIC, &began);
    rig_start(&rig, file, 0, LENGTH);
    world_run(&world);
    assert_int_equal(rig.result, 0);
    rig_close(&rig);
    assert_true(seconds_since(&began) >= LEAST);
    assert_peer_has(&rig, body, LENGTH);
    rig_forget(&rig);
    close(file);
    world_close(&world);
}

static void a_body_is_sent_no_faster_than_it_may_in_every_mode(void **state)
{
    (void)state;
    send_slowly(CHANNEL_PLAIN, NULL);
    send_slowly(CHANNEL_PLAIN, "splice-hybrid");
    send_slowly(CHANNEL_USER, NULL);
    if (!mode_is_missing(CHANNEL_KERNEL))
        send_slowly(CHANNEL_KERNEL, NULL);
}

struct stopping {
    struct ring_op op;
    struct rig *rig;
};

static void stop_it(struct ring_op *op, int result, unsigned flags)
{
    struct stopping *stopping = (struct stopping *)op;
    (void)result;
    (void)flags;
    pump_stop(&stopping->rig->pump);
}

static void a_pump_that_pauses_can_be_stopped(void **state)
{
    struct world world;
    struct rig rig;
    struct timespec began;
    (void)state;
    world_open(&world, NULL, 1, 1);
    int file = file_with(NULL, 0);
    rig_open(&rig, &world, CHANNEL_PLAIN,
             (struct peer){ .role = PEER_SENDS, .bytes = body, .length = LENGTH, .ending = ENDS_CUT });
    rig.pump.rate = 1024;
    struct stopping stopping = { .op = { .done = stop_it }, .rig = &rig };
    clock_gettime(CLOCK_MONOTONIC, &began);
    ring_timeout(world.ring, &stopping.op, 120);
    rig_start(&rig, file, 0, LENGTH);
    world_run(&world);
    assert_int_equal(rig.result, -ECANCELED);
    assert_true(rig.pump.moved >= 1 && rig.pump.moved < 1024 * (1 + (uint64_t)seconds_since(&began)) + 256);
    assert_file_holds(file, 0, body, (size_t)rig.pump.moved);
    shutdown(channel_fd(rig.channel), SHUT_RDWR);
    rig_close(&rig);
    close(file);
    world_close(&world);
}

static void a_send_that_is_held_back_is_done_in_steps_and_can_be_stopped(void **state)
{
    struct world world;
    struct rig rig;
    (void)state;
    world_open(&world, NULL, 1, 1);
    int file = file_with(body, BODY_MAX);
    rig_open(&rig, &world, CHANNEL_PLAIN, (struct peer){ .role = PEER_TAKES });
    assert_int_equal(channel_pace(rig.channel, 256 << 10), 0);
    rig.pump.rate = 256 << 10;
    struct stopping stopping = { .op = { .done = stop_it }, .rig = &rig };
    ring_timeout(world.ring, &stopping.op, 300);
    rig_start(&rig, file, 0, BODY_MAX);
    world_run(&world);
    assert_int_equal(rig.result, -ECANCELED);
    assert_true(rig.pump.moved > 0 && rig.pump.moved < BODY_MAX);
    rig_close(&rig);
    assert_peer_has_most(&rig, CHANNEL_PLAIN, body);
    rig_forget(&rig);
    close(file);
    world_close(&world);
}

static void a_pump_that_pauses_keeps_no_buffer_from_others(void **state)
{
    struct world world;
    struct rig slow, fast;
    (void)state;
    world_open(&world, NULL, 1, 1);
    int files[2] = { file_with(NULL, 0), file_with(NULL, 0) };
    rig_open(&slow, &world, CHANNEL_PLAIN, (struct peer){ .role = PEER_SENDS, .bytes = body, .length = 65536 });
    rig_open(&fast, &world, CHANNEL_PLAIN, (struct peer){ .role = PEER_SENDS, .bytes = body, .length = LENGTH });
    slow.pump.rate = 256 << 10;
    rig_start(&slow, files[0], 0, 65536);
    rig_start(&fast, files[1], 0, LENGTH);
    world_run(&world);
    assert_int_equal(slow.result, 0);
    assert_int_equal(fast.result, 0);
    assert_file_holds(files[0], 0, body, 65536);
    assert_file_holds(files[1], 0, body, LENGTH);
    rig_close(&slow);
    rig_close(&fast);
    close(files[0]);
    close(files[1]);
    world_close(&world);
}

static void what_is_allowed_grows_with_time_and_no_further_than_a_moments_worth(void **state)
{
    struct pace pace = { 0 };
    (void)state;
    assert_int_equal(pace_wait(&pace, 1 << 20, 16384), 0);
    assert_int_equal(pace_room(&pace, 1 << 20), (1 << 20) / 20);
    pace_used(&pace, (1 << 20) / 20);
    unsigned milliseconds = pace_wait(&pace, 1 << 20, 16384);
    assert_true(milliseconds >= 1 && milliseconds <= 51);
    pace.at -= 3600;
    assert_int_equal(pace_wait(&pace, 1 << 20, 16384), 0);
    assert_true(pace_room(&pace, 1 << 20) <= (1 << 20) / 5 + 1);
    pace = (struct pace){ 0 };
    assert_int_equal(pace_wait(&pace, 1024, 16384), 0);
    assert_int_equal(pace_room(&pace, 1 << 20), 51);
}

/* ---- what the kernel is told ---- */

struct told {
    struct ktls_sys sys;
    struct channel *channel;
    int peer;
    unsigned calls;
    unsigned long rate;
    int unsent, refuse;
};

static int note_option(const struct ktls_sys *sys, int fd, int level, int option, const void *value, socklen_t length)
{
    struct told *told = (struct told *)(uintptr_t)sys;
    (void)fd;
    told->calls++;
    if (told->refuse)
        return told->refuse;
    if (level == SOL_SOCKET && option == SO_MAX_PACING_RATE && length == sizeof told->rate)
        memcpy(&told->rate, value, length);
    if (level == IPPROTO_TCP && option == TCP_NOTSENT_LOWAT && length == sizeof told->unsent)
        memcpy(&told->unsent, value, length);
    return 0;
}

static void told_open(struct told *told, int refuse)
{
    int pair[2];
    tcp_pair(pair);
    *told = (struct told){ .sys = ktls_sys_linux, .peer = pair[1], .refuse = refuse };
    told->sys.setsockopt = note_option;
    told->channel = channel_plain(pair[0], &told->sys);
    assert_non_null(told->channel);
}

static void told_close(struct told *told)
{
    channel_free(told->channel);
    close(told->peer);
}

static void the_kernel_is_told_once_and_told_again_that_there_is_no_limit(void **state)
{
    (void)state;
    struct told told;
    told_open(&told, 0);
    assert_int_equal(channel_pace(told.channel, 0), 0);
    assert_int_equal(told.calls, 0);
    assert_int_equal(channel_pace(told.channel, 8 << 20), 0);
    assert_int_equal(told.rate, 8 << 20);
    assert_int_equal(told.unsent, 1 << 20);
    assert_int_equal(channel_pace(told.channel, 8 << 20), 0);
    assert_int_equal(told.calls, 2);
    assert_int_equal(channel_pace(told.channel, 2048), 0);
    assert_int_equal(told.unsent, 4096);
    assert_int_equal(channel_pace(told.channel, UINT64_C(1) << 50), 0);
    assert_int_equal(told.unsent, INT32_MAX);
    assert_int_equal(channel_pace(told.channel, 0), 0);
    assert_true(told.rate == ~0ul);
    assert_int_equal(told.unsent, 0);
    told_close(&told);
}

static void a_kernel_that_refuses_is_asked_again(void **state)
{
    (void)state;
    struct told told;
    told_open(&told, -EPERM);
    assert_int_equal(channel_pace(told.channel, 8 << 20), -EPERM);
    told.refuse = 0;
    assert_int_equal(channel_pace(told.channel, 8 << 20), 0);
    assert_int_equal(told.rate, 8 << 20);
    told_close(&told);
}

static void what_waits_unsent_is_the_least_of_what_a_rate_and_a_crowd_leave(void **state)
{
    (void)state;
    struct told told;
    told_open(&told, 0);
    assert_int_equal(channel_hold(told.channel, 0), 0);
    assert_int_equal(told.calls, 0);
    assert_int_equal(channel_hold(told.channel, 128 << 10), 0);
    assert_int_equal(told.unsent, 128 << 10);
    assert_int_equal(channel_hold(told.channel, 128 << 10), 0);
    assert_int_equal(told.calls, 1);
    assert_int_equal(channel_pace(told.channel, 8 << 20), 0);
    assert_int_equal(told.unsent, 128 << 10);
    assert_int_equal(channel_pace(told.channel, 64 << 10), 0);
    assert_int_equal(told.unsent, 8 << 10);
    assert_int_equal(channel_pace(told.channel, 0), 0);
    assert_int_equal(told.unsent, 128 << 10);
    assert_int_equal(channel_pace(told.channel, 8 << 20), 0);
    assert_int_equal(channel_hold(told.channel, 0), 0);
    assert_int_equal(told.unsent, 1 << 20);
    told_close(&told);
}

static void a_kernel_that_refuses_to_hold_back_is_asked_again(void **state)
{
    (void)state;
    struct told told;
    told_open(&told, -ENOPROTOOPT);
    assert_int_equal(channel_hold(told.channel, 128 << 10), -ENOPROTOOPT);
    told.refuse = 0;
    assert_int_equal(channel_hold(told.channel, 128 << 10), 0);
    assert_int_equal(told.unsent, 128 << 10);
    told_close(&told);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_is_received_no_faster_than_it_may_by_the_kernel),
        cmocka_unit_test(a_body_is_received_no_faster_than_it_may_by_openssl),
        cmocka_unit_test(a_plain_body_is_received_no_faster_than_it_may),
        cmocka_unit_test(a_body_is_sent_no_faster_than_it_may_in_every_mode),
        cmocka_unit_test(a_pump_that_pauses_can_be_stopped),
        cmocka_unit_test(a_send_that_is_held_back_is_done_in_steps_and_can_be_stopped),
        cmocka_unit_test(a_pump_that_pauses_keeps_no_buffer_from_others),
        cmocka_unit_test(what_is_allowed_grows_with_time_and_no_further_than_a_moments_worth),
        cmocka_unit_test(the_kernel_is_told_once_and_told_again_that_there_is_no_limit),
        cmocka_unit_test(a_kernel_that_refuses_is_asked_again),
        cmocka_unit_test(what_waits_unsent_is_the_least_of_what_a_rate_and_a_crowd_leave),
        cmocka_unit_test(a_kernel_that_refuses_to_hold_back_is_asked_again),
    };
    return cmocka_run_group_tests(tests, rig_group_setup, rig_group_teardown);
}
