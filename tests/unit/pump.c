// rooms: pump ktls config support
#include "tests/unit/pump_rig.h"

#include "engine/pump/pump_internal.h"

static const size_t sizes[] = { 0, 1, 16383, 16384, 16385, 65536, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, BODY_MAX };
static const uint64_t offsets[] = { 0, 13 };

/* It is the one that was asked for, unless the reason why not is told. */
static void assert_path(const struct rig *rig, enum channel_mode mode)
{
    if (!rig->pump.choice.refused)
        assert_string_equal(pump_path_name(&rig->pump), expected_path(mode, rig->pump.way));
    else
        assert_string_not_equal(rig->pump.choice.why, "");
}

static void send_every_size(enum channel_mode mode)
{
    struct world world;
    if (!is_concerned(mode, PUMP_SEND))
        return;
    world_open(&world, NULL, 4, 2);
    int file = file_with(body, sizeof(body));
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        for (size_t j = 0; j < sizeof(offsets) / sizeof(*offsets); j++) {
            struct rig rig;
            rig_open(&rig, &world, mode, (struct peer){ .role = PEER_TAKES });
            rig_start(&rig, file, offsets[j], sizes[i]);
            assert_path(&rig, mode);
            world_run(&world);
            assert_int_equal(rig.result, 0);
            assert_int_equal(rig.pump.fault, PUMP_FAULT_NONE);
            assert_int_equal(rig.pump.moved, sizes[i]);
            rig_close(&rig);
            assert_peer_has(&rig, body + offsets[j], sizes[i]);
            rig_forget(&rig);
        }
    }
    close(file);
    world_close(&world);
}

static void receive_every_size(enum channel_mode mode)
{
    struct world world;
    if (!is_concerned(mode, PUMP_RECEIVE))
        return;
    world_open(&world, NULL, 4, 2);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        for (size_t j = 0; j < sizeof(offsets) / sizeof(*offsets); j++) {
            struct rig rig;
            int file = file_with(NULL, 0);
            /* A byte more than the pump may take: it must stay in the channel. */
            rig_open(&rig, &world, mode, (struct peer){ .role = PEER_SENDS, .bytes = body, .length = sizes[i] + 1 });
            rig_start(&rig, file, offsets[j], sizes[i]);
            assert_path(&rig, mode);
            world_run(&world);
            assert_int_equal(rig.result, 0);
            assert_int_equal(rig.pump.fault, PUMP_FAULT_NONE);
            assert_int_equal(rig.pump.moved, sizes[i]);
            if (sizes[i] > 0)
                assert_file_holds(file, offsets[j], body, sizes[i]);
            uint8_t next;
            ssize_t got;
            while ((got = channel_read(rig.channel, &next, 1)) == -EAGAIN)
                wait_for_channel(rig.channel);
            assert_int_equal(got, 1);
            assert_int_equal(next, body[sizes[i]]);
            rig_close(&rig);
            close(file);
        }
    }
    world_close(&world);
}

static void sends_every_size_plain(void **state)
{
    (void)state;
    send_every_size(CHANNEL_PLAIN);
}

static void sends_every_size_through_openssl(void **state)
{
    (void)state;
    send_every_size(CHANNEL_USER);
}

static void sends_every_size_through_the_kernel(void **state)
{
    (void)state;
    SKIP_WITHOUT_KTLS(CHANNEL_KERNEL)
    send_every_size(CHANNEL_KERNEL);
}

static void receives_every_size_plain(void **state)
{
    (void)state;
    receive_every_size(CHANNEL_PLAIN);
}

static void receives_every_size_through_openssl(void **state)
{
    (void)state;
    receive_every_size(CHANNEL_USER);
}

static void receives_every_size_through_the_kernel(void **state)
{
    (void)state;
    SKIP_WITHOUT_KTLS(CHANNEL_KERNEL)
    receive_every_size(CHANNEL_KERNEL);
}

static const enum channel_mode modes[] = { CHANNEL_PLAIN, CHANNEL_USER, CHANNEL_KERNEL };
#define EACH_MODE_OF(mode, way)                                                                                        \
    EACH_MODE(mode)                                                                                                    \
    if (is_concerned(mode, way))
#define EACH_MODE(mode)                                                                                                \
    for (size_t mode##_at = 0; mode##_at < 3; mode##_at++)                                                             \
        for (enum channel_mode mode = modes[mode##_at], mode##_once = 0; mode##_once == 0 && !mode_is_missing(mode);   \
             mode##_once++)

/* ---- how a stream ends ---- */

static void receive_until(enum channel_mode mode, enum peer_ending ending, uint64_t length, int result,
                          enum pump_fault fault)
{
    const size_t arrives = 700000;
    struct world world;
    struct rig rig;
    if (!is_concerned(mode, PUMP_RECEIVE))
        return;
    world_open(&world, NULL, 2, 1);
    int file = file_with(NULL, 0);
    rig_open(&rig, &world, mode,
             (struct peer){ .role = PEER_SENDS, .bytes = body, .length = arrives, .ending = ending });
    rig_start(&rig, file, 0, length);
    world_run(&world);
    assert_int_equal(rig.result, result);
    assert_int_equal(rig.pump.fault, fault);
    if (ending != ENDS_RESET) /* a reset may overtake what was sent before it */
        assert_int_equal(rig.pump.moved, arrives);
    assert_file_holds(file, 0, body, (size_t)rig.pump.moved);
    if (result != 0)
        assert_string_not_equal(ending == ENDS_RESET ? channel_reason(rig.channel) : "-", "");
    rig_close(&rig);
    close(file);
    world_close(&world);
}

static void receives_until_the_peer_ends_in_good_order(void **state)
{
    (void)state;
    EACH_MODE(mode)
    receive_until(mode, ENDS_IN_ORDER, PUMP_TO_END, 0, PUMP_FAULT_NONE);
}

static void an_end_without_close_notify_is_a_cut(void **state)
{
    (void)state;
    receive_until(CHANNEL_USER, ENDS_CUT, PUMP_TO_END, -ENODATA, PUMP_FAULT_CHANNEL);
    if (!mode_is_missing(CHANNEL_KERNEL))
        receive_until(CHANNEL_KERNEL, ENDS_CUT, PUMP_TO_END, -ENODATA, PUMP_FAULT_CHANNEL);
}

static void an_end_before_the_length_is_a_cut_and_what_came_is_kept(void **state)
{
    (void)state;
    EACH_MODE(mode)
    {
        receive_until(mode, ENDS_IN_ORDER, 700001, -ENODATA, PUMP_FAULT_CHANNEL);
        receive_until(mode, ENDS_CUT, 700001, -ENODATA, PUMP_FAULT_CHANNEL);
    }
}

static void a_reset_is_said_as_a_broken_connection(void **state)
{
    (void)state;
    EACH_MODE(mode)
    receive_until(mode, ENDS_RESET, BODY_MAX, -ECONNRESET, PUMP_FAULT_CHANNEL);
}

static void a_peer_that_goes_away_ends_sending(void **state)
{
    (void)state;
    EACH_MODE_OF(mode, PUMP_SEND)
    {
        struct world world;
        struct rig rig;
        world_open(&world, NULL, 2, 1);
        int file = file_with(body, BODY_MAX);
        rig_open(&rig, &world, mode, (struct peer){ .role = PEER_TAKES, .ending = ENDS_RESET });
        rig_start(&rig, file, 0, BODY_MAX);
        world_run(&world);
        assert_int_equal(rig.result, -ECONNRESET);
        assert_int_equal(rig.pump.fault, PUMP_FAULT_CHANNEL);
        assert_string_not_equal(channel_reason(rig.channel), "");
        rig_close(&rig);
        rig_forget(&rig);
        close(file);
        world_close(&world);
    }
}

/* ---- files ---- */

static void a_file_that_shrank_is_told_apart(void **state)
{
    (void)state;
    EACH_MODE_OF(mode, PUMP_SEND)
    {
        struct world world;
        struct rig rig;
        world_open(&world, NULL, 2, 1);
        int file = file_with(body, 1500000);
        rig_open(&rig, &world, mode, (struct peer){ .role = PEER_TAKES });
        rig_start(&rig, file, 0, 3000000);
        world_run(&world);
        assert_int_equal(rig.result, -ENODATA);
        assert_int_equal(rig.pump.fault, PUMP_FAULT_SHRUNK);
        assert_true(rig.pump.moved <= 1500000);
        rig_close(&rig);
        assert_peer_has_most(&rig, mode, body);
        rig_forget(&rig);
        close(file);
        world_close(&world);
    }
}

static void a_file_that_cannot_be_used_is_told_apart(void **state)
{
    (void)state;
    EACH_MODE(mode)
    {
        struct world world;
        struct rig sends, receives;
        world_open(&world, NULL, 2, 1);
        int unreadable = open("/dev/null", O_WRONLY | O_CLOEXEC);
        int unwritable = open("/dev/null", O_RDONLY | O_CLOEXEC);
        rig_open(&sends, &world, mode, (struct peer){ .role = PEER_TAKES });
        rig_open(&receives, &world, mode, (struct peer){ .role = PEER_SENDS, .bytes = body, .length = 100 });
        rig_start(&sends, unreadable, 0, 100);
        rig_start(&receives, unwritable, 0, 100);
        world_run(&world);
        assert_int_equal(sends.result, -EBADF);
        assert_int_equal(sends.pump.fault, PUMP_FAULT_FILE);
        assert_int_equal(receives.result, -EBADF);
        assert_int_equal(receives.pump.fault, PUMP_FAULT_FILE);
        rig_close(&sends);
        rig_close(&receives);
        rig_forget(&sends);
        close(unreadable);
        close(unwritable);
        world_close(&world);
    }
}

struct drain {
    int fd;
    uint8_t *bytes;
    size_t length;
    pthread_t thread;
};

static void *drain_slowly(void *argument)
{
    struct drain *drain = argument;
    drain->bytes = malloc(BODY_MAX);
    ssize_t got;
    while ((got = read(drain->fd, drain->bytes + drain->length, 40000)) > 0) {
        drain->length += (size_t)got;
        usleep(50);
    }
    return NULL;
}

static void receive_into_a_pipe(enum channel_mode mode, int flags)
{
    struct world world;
    struct rig rig;
    struct drain drain = { 0 };
    int pipe[2];
    world_open(&world, NULL, 2, 1);
    assert_int_equal(pipe2(pipe, O_CLOEXEC), 0);
    assert_int_equal(fcntl(pipe[1], F_SETFL, flags), 0);
    drain.fd = pipe[0];
    assert_int_equal(pthread_create(&drain.thread, NULL, drain_slowly, &drain), 0);
    rig_open(&rig, &world, mode, (struct peer){ .role = PEER_SENDS, .bytes = body, .length = BODY_MAX });
    rig_start(&rig, pipe[1], 12345, BODY_MAX);
    world_run(&world);
    assert_int_equal(rig.result, 0);
    close(pipe[1]);
    pthread_join(drain.thread, NULL);
    assert_int_equal(drain.length, BODY_MAX);
    assert_memory_equal(drain.bytes, body, BODY_MAX);
    free(drain.bytes);
    close(pipe[0]);
    rig_close(&rig);
    world_close(&world);
}

static void receives_into_a_pipe_which_has_no_offsets(void **state)
{
    (void)state;
    EACH_MODE_OF(mode, PUMP_RECEIVE)
    {
        receive_into_a_pipe(mode, 0);
        receive_into_a_pipe(mode, O_NONBLOCK);
    }
}

static void *feed(void *argument)
{
    size_t sent = 0;
    ssize_t moved;
    while (sent < BODY_MAX && (moved = write(*(int *)argument, body + sent, BODY_MAX - sent)) > 0)
        sent += (size_t)moved;
    return NULL;
}

static void sends_from_a_pipe_which_has_no_offsets(void **state)
{
    (void)state;
    EACH_MODE_OF(mode, PUMP_SEND)
    {
        struct world world;
        struct rig rig;
        pthread_t thread;
        int pipe[2];
        world_open(&world, NULL, 2, 1);
        assert_int_equal(pipe2(pipe, O_CLOEXEC), 0);
        assert_int_equal(pthread_create(&thread, NULL, feed, &pipe[1]), 0);
        rig_open(&rig, &world, mode, (struct peer){ .role = PEER_TAKES });
        rig_start(&rig, pipe[0], 777, BODY_MAX);
        world_run(&world);
        assert_int_equal(rig.result, 0);
        pthread_join(thread, NULL);
        rig_close(&rig);
        assert_peer_has(&rig, body, BODY_MAX);
        rig_forget(&rig);
        close(pipe[0]);
        close(pipe[1]);
        world_close(&world);
    }
}

/* ---- filters ---- */

/* A coding of our own: 0xEE is dropped, 0xFF ends the body, 0xDD is malformed. */
struct decoder {
    size_t largest;
};

static ssize_t decode(void *argument, char *bytes, size_t length, size_t *used, bool *end)
{
    struct decoder *decoder = argument;
    size_t kept = 0;
    decoder->largest = length > decoder->largest ? length : decoder->largest;
    for (size_t i = 0; i < length; i++) {
        uint8_t byte = (uint8_t)bytes[i];
        if (byte == 0xDD)
            return -EBADMSG;
        if (byte == 0xFF) {
            *end = true;
            *used = i + 1;
            return (ssize_t)kept;
        }
        if (byte != 0xEE)
            bytes[kept++] = (char)byte;
    }
    *used = length;
    return (ssize_t)kept;
}

#define EXCESS 4096

static void filter_body(enum channel_mode mode, uint8_t last, size_t follows, int result)
{
    const size_t length = 300000;
    uint8_t *coded = malloc(length * 2 + 1 + follows), *plain = malloc(length);
    size_t coded_length = 0;
    for (size_t i = 0; i < length; i++) {
        plain[i] = body[i] & 0x7f;
        coded[coded_length++] = plain[i];
        if (body[i] & 0x80)
            coded[coded_length++] = 0xEE;
    }
    coded[coded_length++] = last;
    memset(coded + coded_length, 'n', follows);

    struct world world;
    struct rig rig;
    struct decoder decoder = { 0 };
    char excess[EXCESS];
    world_open(&world, NULL, 2, 1);
    int file = file_with(NULL, 0);
    rig_open(&rig, &world, mode,
             (struct peer){ .role = PEER_SENDS,
                            .bytes = coded,
                            .length = coded_length + follows,
                            .ending = last == 0xFF ? ENDS_WITH_US : ENDS_IN_ORDER });
    rig.pump.filter = decode;
    rig.pump.filter_argument = &decoder;
    rig.pump.excess = excess;
    rig.pump.excess_capacity = sizeof(excess);
    rig_start(&rig, file, 0, PUMP_TO_END);
    world_run(&world);
    assert_int_equal(rig.result, result);
    assert_true(decoder.largest <= EXCESS);
    if (result == 0)
        assert_int_equal(rig.pump.moved, length);
    assert_file_holds(file, 0, plain, (size_t)rig.pump.moved);

    /* Nothing that followed is lost: what the pump had read stands in `excess`, the rest in the channel. */
    size_t after = rig.pump.excess_length;
    for (size_t i = 0; i < after; i++)
        assert_int_equal(excess[i], 'n');
    while (result == 0 && after < follows) {
        char more[64];
        ssize_t got = channel_read(rig.channel, more, sizeof(more));
        if (got == -EAGAIN)
            wait_for_channel(rig.channel);
        else
            assert_true(got > 0);
        after += got > 0 ? (size_t)got : 0;
    }
    assert_int_equal(after, result == 0 ? follows : 0);
    rig_close(&rig);
    close(file);
    world_close(&world);
    free(coded);
    free(plain);
}

static void a_filter_decodes_and_keeps_what_follows_the_body(void **state)
{
    (void)state;
    EACH_MODE_OF(mode, PUMP_RECEIVE)
    {
        filter_body(mode, 0xFF, 0, 0);
        filter_body(mode, 0xFF, 50, 0);
        filter_body(mode, 0xFF, 20000, 0);
    }
}

static void a_filter_that_refuses_ends_the_pump(void **state)
{
    (void)state;
    EACH_MODE_OF(mode, PUMP_RECEIVE)
    filter_body(mode, 0xDD, 0, -EBADMSG);
}

static void an_end_before_the_filter_saw_it_is_a_cut(void **state)
{
    (void)state;
    EACH_MODE_OF(mode, PUMP_RECEIVE)
    filter_body(mode, 0xEE, 0, -ENODATA);
}

static void a_filter_needs_an_open_end_and_room(void **state)
{
    (void)state;
    struct world world;
    struct rig rig;
    struct decoder decoder;
    world_open(&world, NULL, 2, 1);
    rig_open(&rig, &world, CHANNEL_PLAIN, (struct peer){ .role = PEER_SENDS });
    rig.pump.filter = decode;
    rig.pump.filter_argument = &decoder;
    rig_start(&rig, 0, 0, PUMP_TO_END);
    world_run(&world);
    assert_int_equal(rig.result, -EINVAL);
    rig_close(&rig);
    world_close(&world);
}

/* ---- sharing and stopping ---- */

#define CROWD 8

static void many_share_one_buffer_and_one_pipe(void **state)
{
    (void)state;
    static struct rig rigs[CROWD];
    int files[CROWD];
    struct world world;
    world_open(&world, NULL, 1, 1);
    for (size_t i = 0; i < CROWD; i++) {
        bool sends = i % 2 == 0;
        enum channel_mode mode = modes[i / 2 % 2];
        rig_open(&rigs[i], &world, mode,
                 (struct peer){ .role = sends ? PEER_TAKES : PEER_SENDS, .bytes = body + i, .length = BODY_MAX / 2 });
        files[i] = sends ? file_with(body + i, BODY_MAX / 2) : file_with(NULL, 0);
    }
    for (size_t i = 0; i < CROWD; i++)
        rig_start(&rigs[i], files[i], 0, BODY_MAX / 2);
    world_run(&world);
    for (size_t i = 0; i < CROWD; i++) {
        assert_int_equal(rigs[i].result, 0);
        rig_close(&rigs[i]);
        if (rigs[i].pump.way == PUMP_SEND)
            assert_peer_has(&rigs[i], body + i, BODY_MAX / 2);
        else
            assert_file_holds(files[i], 0, body + i, BODY_MAX / 2);
        rig_forget(&rigs[i]);
        close(files[i]);
    }
    world_close(&world);
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
    pump_stop(&stopper->rig->pump);
    stopper->rig->world->left--;
    if (stopper->rig->world->left == 0)
        ring_stop(stopper->rig->world->ring);
}

static void stop_after(enum channel_mode mode, bool sends, bool stuck, unsigned milliseconds)
{
    struct world world;
    struct rig rig;
    struct stopper stopper = { .op.done = stop_now, .rig = &rig };
    if (!is_concerned(mode, sends ? PUMP_SEND : PUMP_RECEIVE))
        return;
    world_open(&world, NULL, 2, 1);
    int file = sends ? file_with(body, BODY_MAX) : file_with(NULL, 0);
    rig_open(&rig, &world, mode,
             (struct peer){ .role = sends ? PEER_TAKES : PEER_SENDS,
                            .bytes = body,
                            .length = stuck ? 100000 : BODY_MAX,
                            .pace = 20000,
                            .stuck = stuck });
    rig_start(&rig, file, 0, BODY_MAX);
    world.left++;
    if (milliseconds > 0) {
        ring_timeout(world.ring, &stopper.op, milliseconds);
    } else {
        world.left--;
        pump_stop(&rig.pump); /* before it ever had its turn */
    }
    world_run(&world);
    if (rig.result != 0)
        assert_int_equal(rig.result, -ECANCELED);
    else
        assert_false(stuck);
    assert_int_equal(rig.pump.fault, PUMP_FAULT_NONE);
    pump_stop(&rig.pump);
    rig_close(&rig);
    if (!sends)
        assert_file_holds(file, 0, body, (size_t)rig.pump.moved);
    else if (rig.result == 0)
        assert_peer_has(&rig, body, BODY_MAX);
    else
        assert_peer_has_most(&rig, mode, body);
    rig_forget(&rig);
    close(file);
    world_close(&world);
}

static void stops_at_any_moment(void **state)
{
    (void)state;
    EACH_MODE(mode)
    {
        for (unsigned i = 0; i < 16; i += asked ? 4 : 1) {
            stop_after(mode, true, false, i);
            stop_after(mode, false, false, i);
        }
    }
}

static void stops_while_the_peer_takes_or_sends_nothing(void **state)
{
    (void)state;
    EACH_MODE(mode)
    {
        for (unsigned i = 0; i < 4; i++) {
            stop_after(mode, true, true, 20 + i);
            stop_after(mode, false, true, 20 + i);
        }
    }
}

/* A pump that was stopped with bytes in its pipe must not leave them to the next. */
static void a_stopped_pump_leaves_nothing_to_the_next(void **state)
{
    (void)state;
    struct world world;
    if (asked && asked_way != PUMP_SEND)
        return;
    world_open(&world, NULL, 1, 1);
    for (unsigned i = 0; i < 5; i++) {
        struct rig first, second;
        struct stopper stopper = { .op.done = stop_now, .rig = &first };
        int file = file_with(body, BODY_MAX);
        rig_open(&first, &world, CHANNEL_PLAIN, (struct peer){ .role = PEER_TAKES, .stuck = true });
        rig_open(&second, &world, CHANNEL_PLAIN, (struct peer){ .role = PEER_TAKES });
        rig_start(&first, file, 0, BODY_MAX);
        rig_start(&second, file, 1, BODY_MAX - 1); /* waits for the pipe that the first has */
        world.left++;
        ring_timeout(world.ring, &stopper.op, 15 + i);
        world_run(&world);
        assert_int_equal(first.result, -ECANCELED);
        assert_int_equal(second.result, 0);
        rig_close(&first);
        rig_close(&second);
        assert_peer_has(&second, body + 1, BODY_MAX - 1);
        rig_forget(&first);
        rig_forget(&second);
        close(file);
    }
    world_close(&world);
}

static void one_who_waits_for_the_pool_can_be_stopped(void **state)
{
    (void)state;
    struct world world;
    struct rig holder, waiter;
    struct stopper stop_waiter = { .op.done = stop_now, .rig = &waiter };
    struct stopper stop_holder = { .op.done = stop_now, .rig = &holder };
    world_open(&world, NULL, 1, 1);
    int file = file_with(NULL, 0);
    rig_open(&holder, &world, CHANNEL_PLAIN, (struct peer){ .role = PEER_SENDS });
    rig_open(&waiter, &world, CHANNEL_PLAIN, (struct peer){ .role = PEER_SENDS });
    rig_start(&holder, file, 0, 100);
    rig_start(&waiter, file, 0, 100);
    world.left += 2;
    ring_timeout(world.ring, &stop_waiter.op, 5);
    ring_timeout(world.ring, &stop_holder.op, 20);
    world_run(&world);
    assert_int_equal(waiter.result, -ECANCELED);
    assert_int_equal(holder.result, -ECANCELED);
    rig_close(&holder);
    rig_close(&waiter);
    close(file);
    world_close(&world);
}

static struct rig silent[CROWD];

static void stop_the_silent(struct pump *pump, int result)
{
    pump_is_done(pump, result);
    for (size_t i = 0; i < CROWD; i++)
        pump_stop(&silent[i].pump);
}

/* Another goes on, and only its end stops those whose peers say nothing. */
static void receive_beside_the_silent(enum channel_mode mode, const char *path)
{
    struct world world;
    struct rig busy;
    world_open(&world, NULL, 1, 1);
    int nothing = file_with(NULL, 0), file = file_with(NULL, 0);
    for (size_t i = 0; i < CROWD; i++) {
        rig_open(&silent[i], &world, mode, (struct peer){ .role = PEER_SENDS });
        silent[i].pump.asked = path;
        rig_start(&silent[i], nothing, 0, 100);
    }
    rig_open(&busy, &world, mode, (struct peer){ .role = PEER_SENDS, .bytes = body, .length = BODY_MAX });
    busy.pump.asked = path;
    busy.pump.done = stop_the_silent;
    rig_start(&busy, file, 0, BODY_MAX);
    world_run(&world);
    assert_int_equal(busy.result, 0);
    assert_file_holds(file, 0, body, BODY_MAX);
    rig_close(&busy);
    for (size_t i = 0; i < CROWD; i++) {
        assert_int_equal(silent[i].result, -ECANCELED);
        rig_close(&silent[i]);
    }
    close(nothing);
    close(file);
    world_close(&world);
}

/* They hold no buffer where OpenSSL decrypts, and no pipe. */
static void silent_peers_do_not_use_up_the_pool(void **state)
{
    (void)state;
    receive_beside_the_silent(CHANNEL_USER, NULL);
    receive_beside_the_silent(CHANNEL_PLAIN, "splice");
}

/* As the kernel grants them beyond pipe-user-pages-soft (pipe(7)). */
static void shrink_pipes(struct pump_pool *pool, unsigned pipes)
{
    struct pool_item *items[2];
    for (unsigned i = 0; i < pipes; i++) {
        items[i] = pool_try(pool, POOL_PIPE);
        assert_non_null(items[i]);
        int granted = fcntl(items[i]->pipe[1], F_SETPIPE_SZ, 4096);
        assert_true(granted > 0);
        items[i]->pipe_size = (size_t)granted;
    }
    for (unsigned i = 0; i < pipes; i++)
        pool_give_back(pool, POOL_PIPE, items[i], false);
}

static void pipes_of_one_page_will_do(void **state)
{
    static const struct {
        enum peer_role role;
        const char *path;
    } cases[] = { { PEER_TAKES, "splice" }, { PEER_TAKES, "splice-hybrid" }, { PEER_SENDS, "splice" } };
    const size_t length = 300001;
    (void)state;
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        bool sends = cases[i / 2].role == PEER_TAKES;
        unsigned pipes = i % 2 + 1;
        struct world world;
        struct rig rig;
        world_open(&world, NULL, 1, pipes);
        shrink_pipes(world.pool, pipes);
        int file = file_with(body, sends ? length + 13 : 0);
        enum channel_mode mode = kernel_has_tls ? CHANNEL_KERNEL : CHANNEL_PLAIN;
        rig_open(&rig, &world, mode, (struct peer){ .role = cases[i / 2].role, .bytes = body + 13, .length = length });
        rig.pump.asked = cases[i / 2].path;
        rig_start(&rig, file, sends ? 13 : 0, length);
        world_run(&world);
        assert_int_equal(rig.result, 0);
        assert_string_equal(pump_path_name(&rig.pump), cases[i / 2].path);
        rig_close(&rig);
        if (sends)
            assert_peer_has(&rig, body + 13, length);
        else
            assert_file_holds(file, 0, body + 13, length);
        rig_forget(&rig);
        close(file);
        world_close(&world);
    }
}

static void a_pool_has_at_least_one_of_each(void **state)
{
    (void)state;
    struct ring *ring;
    struct pump_pool *pool;
    assert_int_equal(ring_new(&ring, 8, NULL), 0);
    assert_int_equal(pump_pool_new(&pool, ring, 0, 1), -EINVAL);
    assert_null(pool);
    assert_int_equal(pump_pool_new(&pool, ring, 1, 0), -EINVAL);
    pump_pool_free(NULL);
    ring_free(ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sends_every_size_plain),
        cmocka_unit_test(sends_every_size_through_openssl),
        cmocka_unit_test(sends_every_size_through_the_kernel),
        cmocka_unit_test(receives_every_size_plain),
        cmocka_unit_test(receives_every_size_through_openssl),
        cmocka_unit_test(receives_every_size_through_the_kernel),
        cmocka_unit_test(receives_until_the_peer_ends_in_good_order),
        cmocka_unit_test(an_end_without_close_notify_is_a_cut),
        cmocka_unit_test(an_end_before_the_length_is_a_cut_and_what_came_is_kept),
        cmocka_unit_test(a_reset_is_said_as_a_broken_connection),
        cmocka_unit_test(a_peer_that_goes_away_ends_sending),
        cmocka_unit_test(a_file_that_shrank_is_told_apart),
        cmocka_unit_test(a_file_that_cannot_be_used_is_told_apart),
        cmocka_unit_test(receives_into_a_pipe_which_has_no_offsets),
        cmocka_unit_test(sends_from_a_pipe_which_has_no_offsets),
        cmocka_unit_test(a_filter_decodes_and_keeps_what_follows_the_body),
        cmocka_unit_test(a_filter_that_refuses_ends_the_pump),
        cmocka_unit_test(an_end_before_the_filter_saw_it_is_a_cut),
        cmocka_unit_test(a_filter_needs_an_open_end_and_room),
        cmocka_unit_test(many_share_one_buffer_and_one_pipe),
        cmocka_unit_test(stops_at_any_moment),
        cmocka_unit_test(stops_while_the_peer_takes_or_sends_nothing),
        cmocka_unit_test(a_stopped_pump_leaves_nothing_to_the_next),
        cmocka_unit_test(one_who_waits_for_the_pool_can_be_stopped),
        cmocka_unit_test(silent_peers_do_not_use_up_the_pool),
        cmocka_unit_test(pipes_of_one_page_will_do),
        cmocka_unit_test(a_pool_has_at_least_one_of_each),
    };
    const struct CMUnitTest of_paths[] = {
        cmocka_unit_test(sends_every_size_plain),
        cmocka_unit_test(sends_every_size_through_the_kernel),
        cmocka_unit_test(receives_every_size_plain),
        cmocka_unit_test(receives_every_size_through_the_kernel),
        cmocka_unit_test(receives_until_the_peer_ends_in_good_order),
        cmocka_unit_test(an_end_before_the_length_is_a_cut_and_what_came_is_kept),
        cmocka_unit_test(a_reset_is_said_as_a_broken_connection),
        cmocka_unit_test(a_peer_that_goes_away_ends_sending),
        cmocka_unit_test(a_file_that_shrank_is_told_apart),
        cmocka_unit_test(a_filter_decodes_and_keeps_what_follows_the_body),
        cmocka_unit_test(stops_at_any_moment),
        cmocka_unit_test(stops_while_the_peer_takes_or_sends_nothing),
        cmocka_unit_test(many_share_one_buffer_and_one_pipe),
        cmocka_unit_test(a_stopped_pump_leaves_nothing_to_the_next),
    };
    int failures = 0;
    RUN_FOR_EACH_PATH(tests, of_paths, failures)
    return failures;
}
