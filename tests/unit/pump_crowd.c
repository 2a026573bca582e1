// rooms: pump support
/* More bodies at once than there are buffers. */
#include "tests/unit/pump_rig.h"

#define BODIES 4
#define SILENT (BODIES - 1) /* peers that read nothing, with one that reads among them */

static struct rig rigs[BODIES];
static uint64_t least; /* that any body had moved when the first was done */

static void note_the_first(struct pump *pump, int result)
{
    for (size_t i = 0; i < BODIES; i++)
        least = rigs[i].pump.moved < least ? rigs[i].pump.moved : least;
    pump_is_done(pump, result);
}

/*
 * A whole body finds room in the socket, so that who comes how far is the pumps' doing alone: how fast the peers'
 * threads read is the scheduler's. False where the system allows no such socket.
 */
static bool widen(int fd)
{
    int size = 2 * BODY_MAX, got = 0;
    socklen_t length = sizeof got;
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) != 0)
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    return getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &got, &length) == 0 && got >= size;
}

static void skip_without_wide_sockets(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool wide = widen(fd);
    close(fd);
    if (!wide) {
        print_message("skipped: net.core.wmem_max is less than a body, and only root may go past it\n");
        skip();
    }
}

static void move_all(enum channel_mode mode, const char *path, unsigned lanes)
{
    skip_without_wide_sockets();
    struct world world;
    world_open(&world, NULL, lanes, lanes);
    int file = file_with(body, BODY_MAX);
    least = BODY_MAX;
    for (size_t i = 0; i < BODIES; i++) {
        rig_open(&rigs[i], &world, mode, (struct peer){ .role = PEER_TAKES });
        assert_true(widen(channel_fd(rigs[i].channel)));
        rigs[i].pump.asked = path;
        rigs[i].pump.done = note_the_first;
    }
    for (size_t i = 0; i < BODIES; i++)
        rig_start(&rigs[i], file, 0, BODY_MAX);
    world_run(&world);
    for (size_t i = 0; i < BODIES; i++) {
        assert_int_equal(rigs[i].result, 0);
        rig_close(&rigs[i]);
        assert_peer_has(&rigs[i], body, BODY_MAX);
        rig_forget(&rigs[i]);
    }
    close(file);
    world_close(&world);
    /* None had to wait for another's end: they took turns, which are much shorter than a body. */
    assert_true(least >= BODY_MAX / 2);
}

static void bodies_that_openssl_encrypts_take_turns_with_one_buffer(void **state)
{
    (void)state;
    move_all(CHANNEL_USER, NULL, 1);
}

static void bodies_that_openssl_encrypts_take_turns_with_three_buffers(void **state)
{
    (void)state;
    move_all(CHANNEL_USER, NULL, 3);
}

static void bodies_from_registered_buffers_take_turns(void **state)
{
    (void)state;
    move_all(CHANNEL_PLAIN, "fixed", 1);
    move_all(CHANNEL_PLAIN, "fixed", 3);
}

/* ---- peers that read nothing ---- */

static bool is_reader_served;

/* Now the others read, too. */
static void let_all_read(struct pump *pump, int result)
{
    is_reader_served = true;
    for (size_t i = 0; i < SILENT; i++) {
        assert_false(rigs[i].done);
        assert_int_equal(write(rigs[i].peer.go_on[1], "x", 1), 1);
    }
    pump_is_done(pump, result);
}

/* Less than a body finds room in the socket. */
static void narrow(const struct rig *rig)
{
    int size = 64 << 10;
    assert_int_equal(setsockopt(channel_fd(rig->channel), SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
}

static void serve_a_reader_among_silent_ones(enum channel_mode mode, const char *path, unsigned buffers)
{
    struct world world;
    asked = path; /* for file_with() */
    world_open(&world, NULL, buffers, 1);
    int file = file_with(body, BODY_MAX);
    is_reader_served = false;
    for (size_t i = 0; i <= SILENT; i++) {
        rig_open(&rigs[i], &world, mode, (struct peer){ .role = PEER_TAKES, .stuck = i < SILENT });
        narrow(&rigs[i]);
    }
    rigs[SILENT].pump.done = let_all_read;
    for (size_t i = 0; i <= SILENT; i++)
        rig_start(&rigs[i], file, i, BODY_MAX - SILENT);
    world_run(&world);
    assert_true(is_reader_served);
    for (size_t i = 0; i <= SILENT; i++) {
        assert_int_equal(rigs[i].result, 0);
        rig_close(&rigs[i]);
        assert_peer_has(&rigs[i], body + i, BODY_MAX - SILENT);
        rig_forget(&rigs[i]);
    }
    close(file);
    world_close(&world);
    asked = NULL;
}

static void peers_that_read_nothing_keep_no_buffer_of_openssl_from_one_that_reads(void **state)
{
    (void)state;
    serve_a_reader_among_silent_ones(CHANNEL_USER, NULL, 1);
    serve_a_reader_among_silent_ones(CHANNEL_USER, NULL, 3);
}

static void peers_that_read_nothing_keep_no_registered_buffer_from_one_that_reads(void **state)
{
    (void)state;
    serve_a_reader_among_silent_ones(CHANNEL_PLAIN, "fixed", 1);
    serve_a_reader_among_silent_ones(CHANNEL_PLAIN, "fixed", 3);
}

static void peers_that_read_nothing_keep_no_buffer_of_a_disk_from_one_that_reads(void **state)
{
    (void)state;
    serve_a_reader_among_silent_ones(CHANNEL_PLAIN, "direct", 1);
    serve_a_reader_among_silent_ones(CHANNEL_PLAIN, "direct", 3);
}

static void peers_that_read_nothing_keep_no_buffer_that_the_kernel_encrypts_from(void **state)
{
    (void)state;
    SKIP_WITHOUT_KTLS(CHANNEL_KERNEL);
    serve_a_reader_among_silent_ones(CHANNEL_KERNEL, "fixed", 2);
}

static void bodies_that_go_through_pipes_take_turns(void **state)
{
    (void)state;
    move_all(CHANNEL_PLAIN, "splice-hybrid", 1);
    move_all(CHANNEL_PLAIN, "splice-hybrid", 3);
}

/* ---- short steps ---- */

#define STEP ((size_t)128 << 10)

static size_t longest;

static int note_length(const struct ring_seam *seam, enum ring_call call, size_t *length)
{
    (void)seam;
    if ((call == RING_SENDFILE || call == RING_SPLICE || call == RING_SEND) && *length > longest)
        longest = *length;
    return 0;
}

static size_t longest_step(const char *path, size_t step)
{
    static const struct ring_seam seam = { .before = note_length };
    struct world world;
    world_open(&world, &seam, 1, 1);
    int file = file_with(body, BODY_MAX);
    longest = 0;
    rig_open(&rigs[0], &world, CHANNEL_PLAIN, (struct peer){ .role = PEER_TAKES });
    rigs[0].pump.asked = path;
    rigs[0].pump.step = step;
    rig_start(&rigs[0], file, 0, BODY_MAX);
    world_run(&world);
    assert_int_equal(rigs[0].result, 0);
    rig_close(&rigs[0]);
    assert_peer_has(&rigs[0], body, BODY_MAX);
    rig_forget(&rigs[0]);
    close(file);
    world_close(&world);
    return longest;
}

static void steps_are_no_longer_than_they_may(void **state)
{
    static const char *const paths[] = { "sendfile", "splice", "splice-hybrid", "fixed" };
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        assert_true(longest_step(paths[i], 0) > STEP);
        assert_int_equal(longest_step(paths[i], STEP), STEP);
    }
}

/* ---- the socket of sendfile(2) ---- */

static bool waited; /* in some step, if the socket had been full */

static int look_at_socket(const struct ring_seam *seam, enum ring_call call, size_t *length)
{
    (void)seam;
    (void)length;
    if (call == RING_SENDFILE)
        waited |= !(fcntl(channel_fd(rigs[0].pump.channel), F_GETFL) & O_NONBLOCK);
    return 0;
}

static int refuse_sendfile(const struct ring_seam *seam, enum ring_call call, size_t *length)
{
    (void)seam;
    (void)length;
    return call == RING_SENDFILE ? -EINVAL : 0;
}

static void send_and_look(const struct ring_seam *seam, const char *path)
{
    struct world world;
    world_open(&world, seam, 1, 1);
    int file = file_with(body, BODY_MAX);
    waited = false;
    rig_open(&rigs[0], &world, CHANNEL_PLAIN, (struct peer){ .role = PEER_TAKES });
    int socket = channel_fd(rigs[0].channel), flags = fcntl(socket, F_GETFL);
    rigs[0].pump.asked = "sendfile";
    rig_start(&rigs[0], file, 0, BODY_MAX);
    world_run(&world);
    assert_int_equal(rigs[0].result, 0);
    assert_string_equal(pump_path_name(&rigs[0].pump), path);
    assert_int_equal(fcntl(socket, F_GETFL), flags);
    assert_false(waited);
    rig_close(&rigs[0]);
    assert_peer_has(&rigs[0], body, BODY_MAX);
    rig_forget(&rigs[0]);
    close(file);
    world_close(&world);
}

static void no_step_waits_for_the_socket_and_afterwards_the_ring_does_again(void **state)
{
    static const struct ring_seam looks = { .before = look_at_socket }, refuses = { .before = refuse_sendfile };
    (void)state;
    send_and_look(&looks, "sendfile");
    send_and_look(&refuses, "fixed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_that_openssl_encrypts_take_turns_with_one_buffer),
        cmocka_unit_test(bodies_that_openssl_encrypts_take_turns_with_three_buffers),
        cmocka_unit_test(bodies_from_registered_buffers_take_turns),
        cmocka_unit_test(peers_that_read_nothing_keep_no_buffer_of_openssl_from_one_that_reads),
        cmocka_unit_test(peers_that_read_nothing_keep_no_registered_buffer_from_one_that_reads),
        cmocka_unit_test(peers_that_read_nothing_keep_no_buffer_of_a_disk_from_one_that_reads),
        cmocka_unit_test(peers_that_read_nothing_keep_no_buffer_that_the_kernel_encrypts_from),
        cmocka_unit_test(bodies_that_go_through_pipes_take_turns),
        cmocka_unit_test(steps_are_no_longer_than_they_may),
        cmocka_unit_test(no_step_waits_for_the_socket_and_afterwards_the_ring_does_again),
    };
    return cmocka_run_group_tests(tests, rig_group_setup, rig_group_teardown);
}
