// rooms: pump ktls config support
/* What is received is gathered before it is written, and yet nobody waits for what has come. */
#include "tests/unit/pump_rig.h"

#include <sys/socket.h>

#define SENT ((size_t)3 << 20)

/* Looks until all that the peer has sent is in the file, and stops the pump then. */
struct looker {
    struct ring_op op;
    struct rig *rig;
    size_t wanted;
};

static void look(struct ring_op *op, int result, unsigned flags)
{
    (void)result;
    (void)flags;
    struct looker *looker = (struct looker *)op;
    struct rig *rig = looker->rig;
    if (rig->pump.moved < looker->wanted) {
        ring_timeout(rig->world->ring, op, 5);
        return;
    }
    pump_stop(&rig->pump);
    if (--rig->world->left == 0)
        ring_stop(rig->world->ring);
}

static int low_water(const struct channel *channel)
{
    int bytes = 0;
    socklen_t size = sizeof(bytes);
    assert_int_equal(getsockopt(channel_fd(channel), SOL_SOCKET, SO_RCVLOWAT, &bytes, &size), 0);
    return bytes;
}

/* The peer sends so much of a longer body, and then nothing. */
static void what_came_is_written_by(const char *path, enum channel_mode mode, size_t sent, size_t pace)
{
    struct world world;
    struct rig rig;
    if (mode_is_missing(mode))
        return;
    world_open(&world, NULL, 2, 1);
    int file = file_with(NULL, 0);
    rig_open(&rig, &world, mode, (struct peer){ .role = PEER_SENDS, .bytes = body, .length = sent, .pace = pace });
    rig.pump.asked = path;
    struct looker looker = { .op.done = look, .rig = &rig, .wanted = sent };
    rig_start(&rig, file, 0, BODY_MAX);
    world.left++;
    ring_timeout(world.ring, &looker.op, 1);
    world_run(&world);
    assert_int_equal(rig.result, -ECANCELED);
    assert_int_equal(rig.pump.moved, sent);
    assert_file_holds(file, 0, body, sent);
    assert_int_equal(low_water(rig.channel), 1);
    shutdown(channel_fd(rig.channel), SHUT_RDWR);
    rig_close(&rig);
    close(file);
    world_close(&world);
}

static void what_came_is_written(enum channel_mode mode, size_t sent, size_t pace)
{
    what_came_is_written_by(NULL, mode, sent, pace);
}

static void what_came_through_a_pipe_is_written_at_once(void **state)
{
    (void)state;
    what_came_is_written_by("splice", CHANNEL_PLAIN, 100, 0);
    what_came_is_written_by("splice", CHANNEL_PLAIN, SENT + 1, 70001);
    what_came_is_written_by("splice", CHANNEL_KERNEL, 100, 0);
    what_came_is_written_by("splice", CHANNEL_KERNEL, SENT + 1, 70001);
}

static void a_little_that_came_is_written_although_more_is_due(void **state)
{
    (void)state;
    what_came_is_written(CHANNEL_PLAIN, 100, 0);
    what_came_is_written(CHANNEL_USER, 100, 0);
    what_came_is_written(CHANNEL_KERNEL, 100, 0);
}

static void a_fast_peer_that_falls_silent_is_not_waited_for(void **state)
{
    (void)state;
    what_came_is_written(CHANNEL_PLAIN, SENT + 12345, 0);
    what_came_is_written(CHANNEL_USER, SENT + 12345, 0);
    what_came_is_written(CHANNEL_KERNEL, SENT + 12345, 0);
}

static void a_peer_that_is_fast_and_slow_in_turns_is_followed(void **state)
{
    (void)state;
    what_came_is_written(CHANNEL_PLAIN, SENT + 1, 70001);
    what_came_is_written(CHANNEL_KERNEL, SENT + 1, 70001);
}

/* The next request must wake whoever waits for it, however short it is. */
static void after_a_body_the_socket_wakes_for_every_byte(void **state)
{
    (void)state;
    static const enum channel_mode modes[] = { CHANNEL_PLAIN, CHANNEL_KERNEL };
    for (size_t i = 0; i < 2 && !mode_is_missing(modes[i]); i++) {
        struct world world;
        struct rig rig;
        world_open(&world, NULL, 2, 1);
        int file = file_with(NULL, 0);
        rig_open(&rig, &world, modes[i], (struct peer){ .role = PEER_SENDS, .bytes = body, .length = BODY_MAX });
        rig_start(&rig, file, 0, BODY_MAX);
        world_run(&world);
        assert_int_equal(rig.result, 0);
        assert_int_equal(low_water(rig.channel), 1);
        assert_file_holds(file, 0, body, BODY_MAX);
        rig_close(&rig);
        close(file);
        world_close(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_little_that_came_is_written_although_more_is_due),
        cmocka_unit_test(a_fast_peer_that_falls_silent_is_not_waited_for),
        cmocka_unit_test(a_peer_that_is_fast_and_slow_in_turns_is_followed),
        cmocka_unit_test(what_came_through_a_pipe_is_written_at_once),
        cmocka_unit_test(after_a_body_the_socket_wakes_for_every_byte),
    };
    return cmocka_run_group_tests(tests, rig_group_setup, rig_group_teardown);
}
