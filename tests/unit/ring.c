// rooms: ring
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/ring/ring.h"

/* An operation that notes how it ended, and stops the ring when nothing is left to wait for. */
struct waiter {
    struct ring_op op;
    struct fixture *fixture;
    int result;
    unsigned completions;
};

struct fixture {
    struct ring *ring;
    unsigned open; /* operations not over yet */
    int pipe[2], sockets[2];
};

static void waiter_done(struct ring_op *op, int result, unsigned flags)
{
    struct waiter *waiter = (struct waiter *)op;
    waiter->result = result;
    waiter->completions++;
    if (flags & RING_MORE)
        return;
    assert_null(op->ring);
    if (--waiter->fixture->open == 0)
        ring_stop(waiter->fixture->ring);
}

static struct ring_op *expect(struct fixture *fixture, struct waiter *waiter)
{
    *waiter = (struct waiter){ .op.done = waiter_done, .fixture = fixture };
    fixture->open++;
    return &waiter->op;
}

static void run(struct fixture *fixture)
{
    assert_int_equal(ring_run(fixture->ring), 0);
    assert_int_equal(fixture->open, 0);
}

static int setup(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){ 0 };
    *state = &fixture;
    if (ring_new(&fixture.ring, 8, NULL) != 0 || pipe2(fixture.pipe, O_CLOEXEC) != 0)
        return -1;
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fixture.sockets);
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    ring_free(fixture->ring);
    for (int i = 0; i < 2; i++) {
        close(fixture->pipe[i]);
        close(fixture->sockets[i]);
    }
    return 0;
}

static int memory_file(size_t size)
{
    int fd = memfd_create("ring-test", MFD_CLOEXEC);
    assert_true(fd >= 0);
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)(i * 31 + i / 251);
        assert_int_equal(pwrite(fd, &byte, 1, (off_t)i), 1);
    }
    return fd;
}

static void moves_bytes_with_each_operation(void **state)
{
    struct fixture *fixture = *state;
    struct waiter send, receive;
    char in[16] = { 0 };
    ring_send(fixture->ring, expect(fixture, &send), fixture->sockets[0], "through", 7);
    ring_recv(fixture->ring, expect(fixture, &receive), fixture->sockets[1], in, sizeof(in));
    assert_ptr_equal(send.op.ring, fixture->ring);
    run(fixture);
    assert_int_equal(send.result, 7);
    assert_int_equal(receive.result, 7);
    assert_string_equal(in, "through");

    int file = memory_file(0);
    struct waiter write, read;
    ring_write(fixture->ring, expect(fixture, &write), file, "0123456789", 10, 5);
    run(fixture);
    memset(in, 0, sizeof(in));
    ring_read(fixture->ring, expect(fixture, &read), file, in, 4, 8);
    run(fixture);
    assert_int_equal(write.result, 10);
    assert_int_equal(read.result, 4);
    assert_string_equal(in, "3456");
    close(file);

    struct waiter pipe_write, pipe_read;
    ring_write(fixture->ring, expect(fixture, &pipe_write), fixture->pipe[1], "pipe", 4, RING_NO_OFFSET);
    ring_read(fixture->ring, expect(fixture, &pipe_read), fixture->pipe[0], in, 4, RING_NO_OFFSET);
    run(fixture);
    assert_int_equal(pipe_read.result, 4);
    assert_memory_equal(in, "pipe", 4);
}

static void passes_errors_on_as_they_are(void **state)
{
    struct fixture *fixture = *state;
    struct waiter read;
    char byte;
    ring_read(fixture->ring, expect(fixture, &read), -1, &byte, 1, 0);
    run(fixture);
    assert_int_equal(read.result, -EBADF);
}

static void polls_until_something_is_there(void **state)
{
    struct fixture *fixture = *state;
    struct waiter poll, write;
    ring_poll(fixture->ring, expect(fixture, &poll), fixture->sockets[1], POLLIN);
    ring_write(fixture->ring, expect(fixture, &write), fixture->sockets[0], "x", 1, RING_NO_OFFSET);
    run(fixture);
    assert_int_equal(poll.result & POLLIN, POLLIN);
}

static void times_out(void **state)
{
    struct fixture *fixture = *state;
    struct waiter timeout;
    ring_timeout(fixture->ring, expect(fixture, &timeout), 5);
    run(fixture);
    assert_int_equal(timeout.result, -ETIME);
}

static void cancels_what_waits(void **state)
{
    struct fixture *fixture = *state;
    struct waiter poll, timeout, receive, idle;
    char byte;
    ring_poll(fixture->ring, expect(fixture, &poll), fixture->sockets[1], POLLIN);
    ring_timeout(fixture->ring, expect(fixture, &timeout), 60000);
    ring_recv(fixture->ring, expect(fixture, &receive), fixture->sockets[0], &byte, 1);
    ring_cancel(fixture->ring, &poll.op);
    ring_cancel(fixture->ring, &timeout.op);
    ring_cancel(fixture->ring, &receive.op);
    run(fixture);
    assert_int_equal(poll.result, -ECANCELED);
    assert_int_equal(timeout.result, -ECANCELED);
    assert_int_equal(receive.result, -ECANCELED);

    expect(fixture, &idle);
    ring_cancel(fixture->ring, &idle.op); /* not under way: nothing happens */
    ring_timeout(fixture->ring, &idle.op, 1);
    run(fixture);
    assert_int_equal(idle.result, -ETIME);
}

static void a_cancelled_operation_can_be_started_again_at_once(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 50; i++) {
        struct waiter first, again;
        ring_timeout(fixture->ring, expect(fixture, &first), 60000);
        ring_cancel(fixture->ring, &first.op);
        run(fixture);
        assert_int_equal(first.result, -ECANCELED);
        ring_timeout(fixture->ring, expect(fixture, &again), 1);
        run(fixture);
        assert_int_equal(again.result, -ETIME);
    }
}

#define CONNECTIONS 20

static void accepts_many_with_one_operation(void **state)
{
    struct fixture *fixture = *state;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof(address);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(listener, CONNECTIONS), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);

    struct waiter accept = { .op.done = waiter_done, .fixture = fixture };
    ring_accept(fixture->ring, &accept.op, listener);
    for (unsigned i = 1; i <= CONNECTIONS; i++) {
        struct waiter connect, settle;
        int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        ring_connect(fixture->ring, expect(fixture, &connect), client, &address, length);
        run(fixture);
        assert_int_equal(connect.result, 0);
        if (accept.completions < i) {
            ring_timeout(fixture->ring, expect(fixture, &settle), 50);
            run(fixture);
        }
        assert_int_equal(accept.completions, i);
        assert_true(accept.result >= 0);
        assert_int_equal(fcntl(accept.result, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        assert_int_equal(fcntl(accept.result, F_GETFL) & O_NONBLOCK, 0);
        close(accept.result);
        close(client);
    }
    fixture->open++;
    ring_cancel(fixture->ring, &accept.op);
    run(fixture);
    assert_int_equal(accept.result, -ECANCELED);
    close(listener);
}

static void opens_beneath_a_directory_only(void **state)
{
    struct fixture *fixture = *state;
    char template[] = "/tmp/ring-XXXXXX";
    assert_non_null(mkdtemp(template));
    int directory = open(template, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(directory >= 0);
    struct open_how create = { .flags = O_CREAT | O_RDWR | O_CLOEXEC, .mode = 0600, .resolve = RESOLVE_BENEATH };
    struct waiter inside, outside;
    ring_open(fixture->ring, expect(fixture, &inside), directory, "file", &create);
    ring_open(fixture->ring, expect(fixture, &outside), directory, "../escape", &create);
    run(fixture);
    assert_true(inside.result >= 0);
    assert_int_equal(outside.result, -EXDEV);
    close(inside.result);
    assert_int_equal(unlinkat(directory, "file", 0), 0);
    close(directory);
    assert_int_equal(rmdir(template), 0);
}

static void opens_at_once_what_needs_no_waiting(void **state)
{
    struct fixture *fixture = *state;
    char template[] = "/tmp/ring-XXXXXX";
    assert_non_null(mkdtemp(template));
    int directory = open(template, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int file = openat(directory, "file", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    assert_true(directory >= 0 && file >= 0);
    struct open_how how = { .flags = O_RDONLY | O_CLOEXEC, .resolve = RESOLVE_BENEATH };
    int fd = ring_open_cached(fixture->ring, directory, "file", &how);
    assert_true(fd >= 0 || fd == -EAGAIN); /* -EAGAIN: this file system always wants to wait */
    assert_int_equal(ring_open_cached(fixture->ring, directory, "none", &how), -EAGAIN);
    assert_int_equal(ring_open_cached(fixture->ring, directory, "../escape", &how), -EAGAIN);
    close(fd);
    close(file);
    assert_int_equal(unlinkat(directory, "file", 0), 0);
    close(directory);
    assert_int_equal(rmdir(template), 0);
}

static void splices_a_file_through_a_pipe(void **state)
{
    struct fixture *fixture = *state;
    int file = memory_file(9000);
    struct waiter in, out;
    ring_splice_through(fixture->ring, expect(fixture, &in), expect(fixture, &out), file, 100, fixture->pipe,
                        fixture->sockets[0], 8000, false);
    run(fixture);
    assert_int_equal(in.result, 8000);
    assert_int_equal(out.result, 8000);
    uint8_t sent[8000], wanted[8000];
    assert_int_equal(recv(fixture->sockets[1], sent, sizeof(sent), MSG_WAITALL), 8000);
    assert_int_equal(pread(file, wanted, sizeof(wanted), 100), 8000);
    assert_memory_equal(sent, wanted, sizeof(sent));
    close(file);
}

static void a_short_file_breaks_the_link_and_the_rest_can_be_sent(void **state)
{
    struct fixture *fixture = *state;
    int file = memory_file(3000);
    struct waiter in, out, rest;
    ring_splice_through(fixture->ring, expect(fixture, &in), expect(fixture, &out), file, 0, fixture->pipe,
                        fixture->sockets[0], 8000, false);
    run(fixture);
    assert_int_equal(in.result, 3000);
    assert_int_equal(out.result, -ECANCELED);
    ring_splice_out(fixture->ring, expect(fixture, &rest), fixture->pipe[0], fixture->sockets[0], 3000, false);
    run(fixture);
    assert_int_equal(rest.result, 3000);
    close(file);
}

#define MANY 300

static void takes_more_operations_than_it_has_slots(void **state)
{
    struct fixture *fixture = *state;
    static struct waiter waiters[MANY];
    for (int round = 0; round < 3; round++) { /* the first before the ring ever ran */
        for (int i = 0; i < MANY; i++)
            ring_timeout(fixture->ring, expect(fixture, &waiters[i]), 1);
        run(fixture);
        for (int i = 0; i < MANY; i++)
            assert_int_equal(waiters[i].result, -ETIME);
    }
}

static void never_cuts_a_link_in_two(void **state)
{
    struct fixture *fixture = *state;
    static struct waiter fillers[MANY], ins[16], outs[16];
    int pipes[16][2];
    int file = memory_file(100);
    unsigned filled = 0;
    /* Every alignment of a pair within the queue of 8, before and after the first run. */
    for (int round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 16; i++) {
            assert_int_equal(pipe2(pipes[i], O_CLOEXEC), 0);
            for (unsigned j = 0; j < i; j++)
                ring_timeout(fixture->ring, expect(fixture, &fillers[filled++ % MANY]), 1);
            /* Shorter than asked for: where the link held, the second part is cancelled, and does not wait for ever. */
            ring_splice_through(fixture->ring, expect(fixture, &ins[i]), expect(fixture, &outs[i]), file, 0, pipes[i],
                                fixture->sockets[0], 200, false);
        }
        run(fixture);
        for (unsigned i = 0; i < 16; i++) {
            assert_int_equal(ins[i].result, 100);
            assert_int_equal(outs[i].result, -ECANCELED);
            close(pipes[i][0]);
            close(pipes[i][1]);
        }
    }
    close(file);
}

static void runs_again_and_again(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 200; i++) {
        struct waiter send, receive;
        char byte = 0;
        ring_recv(fixture->ring, expect(fixture, &receive), fixture->sockets[1], &byte, 1);
        ring_send(fixture->ring, expect(fixture, &send), fixture->sockets[0], "y", 1);
        run(fixture);
        assert_int_equal(byte, 'y');
    }
}

struct self_freeing {
    struct ring_op op;
    struct ring *ring;
    unsigned *left;
};

static void free_itself_and_start_another(struct ring_op *op, int result, unsigned flags)
{
    (void)flags;
    struct self_freeing self = *(struct self_freeing *)op;
    assert_int_equal(result, -ETIME);
    free(op);
    if (--*self.left == 0) {
        ring_stop(self.ring);
        return;
    }
    struct self_freeing *another = malloc(sizeof(*another));
    *another = self;
    ring_timeout(self.ring, &another->op, 0);
}

static void a_callback_may_free_its_operation_and_start_others(void **state)
{
    struct fixture *fixture = *state;
    unsigned left = 100;
    struct self_freeing *first = malloc(sizeof(*first));
    *first = (struct self_freeing){ .op.done = free_itself_and_start_another, .ring = fixture->ring, .left = &left };
    ring_timeout(fixture->ring, &first->op, 0);
    run(fixture);
    assert_int_equal(left, 0);
}

#define POSTERS 4
#define POSTS 2000

struct posted {
    struct ring_task task;
    struct fixture *fixture;
    unsigned poster, number;
};

static unsigned next_of[POSTERS];

static void posted_run(struct ring_task *task)
{
    struct posted *posted = (struct posted *)task;
    assert_int_equal(next_of[posted->poster]++, posted->number);
    if (--posted->fixture->open == 0)
        ring_stop(posted->fixture->ring);
    free(posted);
}

struct poster {
    struct fixture *fixture;
    unsigned number;
};

static void *post_many(void *argument)
{
    const struct poster *poster = argument;
    for (unsigned i = 0; i < POSTS; i++) {
        struct posted *posted = malloc(sizeof(*posted));
        *posted = (struct posted){ { .run = posted_run }, poster->fixture, poster->number, i };
        ring_post(poster->fixture->ring, &posted->task);
    }
    return NULL;
}

static void runs_what_other_threads_post_once_and_in_order(void **state)
{
    struct fixture *fixture = *state;
    pthread_t threads[POSTERS];
    struct poster posters[POSTERS];
    memset(next_of, 0, sizeof(next_of));
    fixture->open = POSTERS * POSTS;
    for (unsigned i = 0; i < POSTERS; i++) {
        posters[i] = (struct poster){ fixture, i };
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, &posters[i]), 0);
    }
    run(fixture);
    for (unsigned i = 0; i < POSTERS; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < POSTERS; i++)
        assert_int_equal(next_of[i], POSTS);
}

static void *run_elsewhere(void *argument)
{
    struct fixture *fixture = argument;
    return (void *)(intptr_t)ring_run(fixture->ring);
}

static void runs_on_another_thread_than_made_it(void **state)
{
    struct fixture *fixture = *state;
    struct waiter timeout;
    pthread_t thread;
    void *result;
    ring_timeout(fixture->ring, expect(fixture, &timeout), 1);
    assert_int_equal(pthread_create(&thread, NULL, run_elsewhere, fixture), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_null(result);
    assert_int_equal(timeout.result, -ETIME);
}

static void is_freed_without_ever_having_run(void **state)
{
    (void)state;
    struct ring *ring;
    assert_int_equal(ring_new(&ring, 64, NULL), 0);
    ring_free(ring);
    ring_free(NULL);
}

/* Refuses or shortens calls of one kind. */
struct seam {
    struct ring_seam seam;
    enum ring_call call;
    int result;
    size_t shorten_to;
    unsigned skip;
};

static int seam_before(const struct ring_seam *base, enum ring_call call, size_t *length)
{
    struct seam *self = (struct seam *)base;
    if (call != self->call)
        return 0;
    if (self->skip > 0) {
        self->skip--;
        return 0;
    }
    if (self->shorten_to && *length > self->shorten_to)
        *length = self->shorten_to;
    return self->result;
}

static struct seam seam;

static int setup_seam(void **state)
{
    if (setup(state) != 0)
        return -1;
    struct fixture *fixture = *state;
    ring_free(fixture->ring);
    return ring_new(&fixture->ring, 8, &seam.seam);
}

static void seam_arm(enum ring_call call, int result, size_t shorten_to)
{
    seam = (struct seam){ .seam.before = seam_before, .call = call, .result = result, .shorten_to = shorten_to };
}

static void a_refused_call_completes_like_any_other(void **state)
{
    struct fixture *fixture = *state;
    seam_arm(RING_WRITE, -ENOSPC, 0);
    struct waiter write, other;
    ring_write(fixture->ring, expect(fixture, &write), fixture->pipe[1], "x", 1, RING_NO_OFFSET);
    assert_int_equal(write.completions, 0);
    assert_ptr_equal(write.op.ring, fixture->ring);
    ring_cancel(fixture->ring, &write.op);
    ring_timeout(fixture->ring, expect(fixture, &other), 1);
    run(fixture);
    assert_int_equal(write.completions, 1);
    assert_int_equal(write.result, -ENOSPC);
    assert_int_equal(other.result, -ETIME);
}

static void a_shortened_call_moves_less(void **state)
{
    struct fixture *fixture = *state;
    seam_arm(RING_SEND, 0, 3);
    struct waiter send;
    ring_send(fixture->ring, expect(fixture, &send), fixture->sockets[0], "abcdef", 6);
    run(fixture);
    assert_int_equal(send.result, 3);
}

static void a_shortened_splice_breaks_the_link_as_the_kernel_does(void **state)
{
    struct fixture *fixture = *state;
    int file = memory_file(100);
    struct waiter in, out, rest;
    seam_arm(RING_SPLICE, 0, 40);
    ring_splice_through(fixture->ring, expect(fixture, &in), expect(fixture, &out), file, 0, fixture->pipe,
                        fixture->sockets[0], 100, false);
    run(fixture);
    assert_int_equal(in.result, 40);
    assert_int_equal(out.result, -ECANCELED);
    ring_splice_out(fixture->ring, expect(fixture, &rest), fixture->pipe[0], fixture->sockets[0], 40, false);
    run(fixture);
    assert_int_equal(rest.result, 40);

    seam.skip = 1; /* the first half as it is, the second shorter */
    ring_splice_through(fixture->ring, expect(fixture, &in), expect(fixture, &out), file, 0, fixture->pipe,
                        fixture->sockets[0], 100, false);
    run(fixture);
    assert_int_equal(in.result, 100);
    assert_int_equal(out.result, 40);
    close(file);
}

static void a_refused_splice_leaves_the_other_half_to_end_by_itself(void **state)
{
    struct fixture *fixture = *state;
    int file = memory_file(100);
    struct waiter in, out;
    seam_arm(RING_SPLICE, -EIO, 0);
    ring_splice_through(fixture->ring, expect(fixture, &in), expect(fixture, &out), file, 0, fixture->pipe,
                        fixture->sockets[0], 100, false);
    run(fixture);
    assert_int_equal(in.result, -EIO);
    assert_int_equal(out.result, -ECANCELED);
    seam.skip = 1;
    ring_splice_through(fixture->ring, expect(fixture, &in), expect(fixture, &out), file, 0, fixture->pipe,
                        fixture->sockets[0], 100, false);
    run(fixture);
    assert_int_equal(in.result, 100);
    assert_int_equal(out.result, -EIO);
    close(file);
}

static void every_kind_of_call_asks_the_seam(void **state)
{
    struct fixture *fixture = *state;
    struct open_how how = { .flags = O_RDONLY };
    struct sockaddr_in address = { .sin_family = AF_INET };
    for (enum ring_call call = 0; call < RING_CALLS; call++) {
        seam_arm(call, -EXDEV, 0);
        size_t length = 1;
        if (call == RING_SENDFILE || call == RING_REGISTER) { /* past the ring */
            assert_int_equal(ring_ask(fixture->ring, call, &length), -EXDEV);
            continue;
        }
        struct waiter waiter;
        struct ring_op *op = expect(fixture, &waiter);
        char byte;
        switch (call) {
        case RING_ACCEPT:
            ring_accept(fixture->ring, op, fixture->sockets[0]);
            break;
        case RING_POLL:
            ring_poll(fixture->ring, op, fixture->sockets[0], POLLIN);
            break;
        case RING_RECV:
            ring_recv(fixture->ring, op, fixture->sockets[0], &byte, 1);
            break;
        case RING_SEND:
            ring_send(fixture->ring, op, fixture->sockets[0], "x", 1);
            break;
        case RING_READ:
            ring_read(fixture->ring, op, fixture->pipe[0], &byte, 1, RING_NO_OFFSET);
            break;
        case RING_WRITE:
            ring_write(fixture->ring, op, fixture->pipe[1], "x", 1, RING_NO_OFFSET);
            break;
        case RING_SPLICE:
            ring_splice_out(fixture->ring, op, fixture->pipe[0], fixture->sockets[0], 1, false);
            break;
        case RING_CONNECT:
            ring_connect(fixture->ring, op, fixture->sockets[0], &address, sizeof(address));
            break;
        case RING_OPEN:
            ring_open(fixture->ring, op, AT_FDCWD, "/", &how);
            break;
        case RING_SENDFILE:
        case RING_REGISTER:
        case RING_CALLS:
            break;
        }
        run(fixture);
        assert_int_equal(waiter.result, -EXDEV);
    }
}

#define PLAIN(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define SEAM(test) cmocka_unit_test_setup_teardown(test, setup_seam, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLAIN(moves_bytes_with_each_operation),
        PLAIN(passes_errors_on_as_they_are),
        PLAIN(polls_until_something_is_there),
        PLAIN(times_out),
        PLAIN(cancels_what_waits),
        PLAIN(a_cancelled_operation_can_be_started_again_at_once),
        PLAIN(accepts_many_with_one_operation),
        PLAIN(opens_beneath_a_directory_only),
        PLAIN(opens_at_once_what_needs_no_waiting),
        PLAIN(splices_a_file_through_a_pipe),
        PLAIN(a_short_file_breaks_the_link_and_the_rest_can_be_sent),
        PLAIN(takes_more_operations_than_it_has_slots),
        PLAIN(never_cuts_a_link_in_two),
        PLAIN(runs_again_and_again),
        PLAIN(a_callback_may_free_its_operation_and_start_others),
        PLAIN(runs_what_other_threads_post_once_and_in_order),
        PLAIN(runs_on_another_thread_than_made_it),
        PLAIN(is_freed_without_ever_having_run),
        SEAM(a_refused_call_completes_like_any_other),
        SEAM(a_shortened_call_moves_less),
        SEAM(a_shortened_splice_breaks_the_link_as_the_kernel_does),
        SEAM(a_refused_splice_leaves_the_other_half_to_end_by_itself),
        SEAM(every_kind_of_call_asks_the_seam),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
