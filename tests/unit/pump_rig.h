/*
 * What the tests of pumps share: a ring with a pool, connections whose other end is a thread of plain sockets or
 * OpenSSL, and files in memory. Everything here ends the program where it fails: there is nothing to test without it.
 */
#ifndef SLUICE_TEST_PUMP_RIG_H
#define SLUICE_TEST_PUMP_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/pump/pump.h"
#include "ktls/probe.h"
#include "tests/support/pki.h"

#define BODY_MAX ((size_t)5 << 20)
#define KEEP_GOING 0x7fffffff

static uint8_t body[BODY_MAX + 64];
static struct pki *pki;
static struct tls_context *server_context;
static SSL_CTX *peer_context;
static bool kernel_has_tls;

/* ---- the path under test ---- */

static const char *asked; /* NULL: chosen by the pump */
static enum pump_way asked_way;

/* Every path that can be asked for. */
static const struct {
    const char *name;
    enum pump_way way;
    const char *title; /* of its group of tests, whose report is a file of that name */
} all_paths[] = {
    { "sendfile", PUMP_SEND, "send sendfile" },
    { "splice", PUMP_SEND, "send splice" },
    { "splice-hybrid", PUMP_SEND, "send splice-hybrid" },
    { "fixed", PUMP_SEND, "send fixed" },
    { "direct", PUMP_SEND, "send direct" },
    { "recv", PUMP_RECEIVE, "receive recv" },
    { "direct", PUMP_RECEIVE, "receive direct" },
    { "splice", PUMP_RECEIVE, "receive splice" },
};

/*
 * False where the path that was asked for has nothing to do with it: that is tested without asking. Plain and in the
 * kernel are the same to a path, so one of them is enough.
 */
static inline bool is_concerned(enum channel_mode mode, enum pump_way way)
{
    return !asked || (asked_way == way && mode == (kernel_has_tls ? CHANNEL_KERNEL : CHANNEL_PLAIN));
}

static inline const char *expected_path(enum channel_mode mode, enum pump_way way)
{
    if (mode == CHANNEL_USER)
        return "user";
    if (asked && asked_way == way)
        return asked;
    return way == PUMP_SEND ? "sendfile" : "recv";
}

/* All tests where the pump chooses, and those that are about paths for each of them. */
#define RUN_FOR_EACH_PATH(tests, of_paths, failures)                                                                   \
    failures += cmocka_run_group_tests(tests, rig_group_setup, rig_group_teardown);                                    \
    for (size_t path_at = 0; path_at < sizeof(all_paths) / sizeof(*all_paths); path_at++) {                            \
        asked = all_paths[path_at].name;                                                                               \
        asked_way = all_paths[path_at].way;                                                                            \
        failures +=                                                                                                    \
            cmocka_run_group_tests_name(all_paths[path_at].title, of_paths, rig_group_setup, rig_group_teardown);      \
    }

/* ---- the other end of a connection ---- */

enum peer_role { PEER_TAKES, PEER_SENDS };
enum peer_ending { ENDS_WITH_US, ENDS_IN_ORDER, ENDS_CUT, ENDS_RESET };

struct peer {
    int fd;
    SSL *ssl; /* NULL: plain */
    enum peer_role role;
    enum peer_ending ending;
    const uint8_t *bytes; /* to send */
    size_t length;
    size_t pace;  /* bytes at a time, with a pause between; 0: as fast as it goes */
    bool stuck;   /* takes nothing until told to go on */
    int go_on[2]; /* a pipe */
    uint8_t *taken;
    size_t taken_length;
    pthread_t thread;
};

static int peer_io(struct peer *peer, bool writes, void *bytes, size_t size)
{
    if (!peer->ssl)
        return (int)(writes ? send(peer->fd, bytes, size, MSG_NOSIGNAL) : recv(peer->fd, bytes, size, 0));
    return writes ? SSL_write(peer->ssl, bytes, (int)size) : SSL_read(peer->ssl, bytes, (int)size);
}

static void peer_end(struct peer *peer)
{
    struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
    char byte;
    switch (peer->ending) {
    case ENDS_IN_ORDER:
        if (peer->ssl)
            SSL_shutdown(peer->ssl);
        shutdown(peer->fd, SHUT_WR);
        break;
    case ENDS_CUT:
        shutdown(peer->fd, SHUT_WR);
        break;
    case ENDS_RESET:
        setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
        close(peer->fd);
        peer->fd = -1;
        return;
    case ENDS_WITH_US:
        break;
    }
    while (recv(peer->fd, &byte, 1, 0) > 0)
        ;
}

static void peer_take(struct peer *peer)
{
    char byte;
    if (peer->stuck && read(peer->go_on[0], &byte, 1) < 0)
        return;
    peer->taken = malloc(BODY_MAX + 1);
    while (peer->taken_length <= BODY_MAX) {
        size_t size = BODY_MAX + 1 - peer->taken_length;
        int got =
            peer_io(peer, false, peer->taken + peer->taken_length, peer->pace && peer->pace < size ? peer->pace : size);
        if (got <= 0)
            return;
        peer->taken_length += (size_t)got;
        if (peer->ending == ENDS_RESET) {
            peer_end(peer);
            return;
        }
        if (peer->pace)
            usleep(100);
    }
}

static void peer_send(struct peer *peer)
{
    size_t sent = 0;
    while (sent < peer->length) {
        size_t size = peer->length - sent;
        size = peer->pace && peer->pace < size ? peer->pace : size;
        int moved = peer_io(peer, true, (void *)(uintptr_t)(peer->bytes + sent), size);
        if (moved <= 0)
            return;
        sent += (size_t)moved;
        if (peer->pace)
            usleep(100);
    }
    peer_end(peer);
}

static void *peer_main(void *argument)
{
    struct peer *peer = argument;
    if (peer->ssl && (SSL_connect(peer->ssl) != 1 || SSL_write(peer->ssl, "ready", 5) != 5))
        return (void *)"handshake failed";
    char byte;
    if (read(peer->go_on[0], &byte, 1) != 1)
        return (void *)"never told to go on";
    if (peer->role == PEER_TAKES)
        peer_take(peer);
    else
        peer_send(peer);
    return NULL;
}

/* ---- our end ---- */

struct world {
    struct ring *ring;
    struct pump_pool *pool;
    unsigned left; /* pumps not done yet */
    int descriptors;
};

struct rig {
    struct world *world;
    struct pump pump;
    struct channel *channel;
    struct peer peer;
    bool done;
    int result;
};

static int count_descriptors(void)
{
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    assert_non_null(directory);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count;
}

static void world_open(struct world *world, const struct ring_seam *seam, unsigned buffers, unsigned pipes)
{
    *world = (struct world){ .descriptors = count_descriptors() };
    assert_int_equal(ring_new(&world->ring, 64, seam), 0);
    assert_int_equal(pump_pool_new(&world->pool, world->ring, buffers, pipes), 0);
}

static void world_close(struct world *world)
{
    pump_pool_free(world->pool);
    ring_free(world->ring);
    assert_int_equal(count_descriptors(), world->descriptors);
}

static void world_run(struct world *world)
{
    alarm(60); /* a pump that never ends is the failure these tests look for */
    if (world->left > 0)
        assert_int_equal(ring_run(world->ring), 0);
    assert_int_equal(world->left, 0);
    alarm(0);
}

static void pump_is_done(struct pump *pump, int result)
{
    struct rig *rig = (struct rig *)((char *)pump - offsetof(struct rig, pump));
    assert_false(rig->done);
    rig->done = true;
    rig->result = result;
    if (--rig->world->left == 0)
        ring_stop(rig->world->ring);
}

static void tcp_pair(int pair[2])
{
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof(address);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    pair[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(pair[1], (struct sockaddr *)&address, length), 0);
    pair[0] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(pair[0] >= 0);
    close(listener);
}

static void wait_for_channel(struct channel *channel)
{
    struct pollfd wait = { .fd = channel_fd(channel), .events = channel_events(channel) };
    assert_int_equal(poll(&wait, 1, 20000), 1);
}

static void settle_tls(struct channel *channel, enum channel_mode mode)
{
    int result;
    while ((result = channel_handshake(channel)) == -EAGAIN)
        wait_for_channel(channel);
    assert_int_equal(result, 0);
    while ((result = channel_flush(channel)) == -EAGAIN)
        wait_for_channel(channel);
    assert_int_equal(result, 0);
    char ready[5];
    for (size_t got = 0; got < sizeof(ready);) {
        ssize_t more = channel_read(channel, ready + got, sizeof(ready) - got);
        if (more == -EAGAIN)
            wait_for_channel(channel);
        else
            assert_true(more > 0);
        got += more > 0 ? (size_t)more : 0;
    }
    if (mode != CHANNEL_KERNEL)
        return;
    assert_int_equal(channel_switch(channel, CHANNEL_TX, BODY_MAX), 0);
    assert_int_equal(channel_switch(channel, CHANNEL_RX, BODY_MAX), 0);
}

/* `peer` says what the other end does; the pump is filled but for file and length. */
static void rig_open(struct rig *rig, struct world *world, enum channel_mode mode, struct peer peer)
{
    int pair[2];
    tcp_pair(pair);
    *rig = (struct rig){ .world = world, .peer = peer };
    rig->peer.fd = pair[1];
    assert_int_equal(pipe2(rig->peer.go_on, O_CLOEXEC), 0);
    if (mode != CHANNEL_PLAIN) {
        rig->peer.ssl = SSL_new(peer_context);
        SSL_set_fd(rig->peer.ssl, pair[1]);
    }
    rig->channel = mode == CHANNEL_PLAIN ? channel_plain(pair[0], &ktls_sys_linux)
                                         : channel_accept(server_context, pair[0], &ktls_sys_linux);
    assert_non_null(rig->channel);
    assert_int_equal(pthread_create(&rig->peer.thread, NULL, peer_main, &rig->peer), 0);
    if (mode != CHANNEL_PLAIN)
        settle_tls(rig->channel, mode);
    assert_int_equal(write(rig->peer.go_on[1], "x", 1), 1);
    rig->pump = (struct pump){
        .way = peer.role == PEER_TAKES ? PUMP_SEND : PUMP_RECEIVE,
        .ring = world->ring,
        .pool = world->pool,
        .channel = rig->channel,
        .file = -1,
        .done = pump_is_done,
        .asked = asked,
    };
}

static void rig_start(struct rig *rig, int file, uint64_t offset, uint64_t length)
{
    rig->pump.file = file;
    rig->pump.offset = offset;
    rig->pump.length = length;
    rig->world->left++;
    pump_start(&rig->pump);
    assert_false(rig->done);
}

/* Closes our end, and waits until the other has taken all that was sent. The peer's bytes stay until rig_forget(). */
static void rig_close(struct rig *rig)
{
    void *failure;
    channel_free(rig->channel);
    assert_int_equal(write(rig->peer.go_on[1], "x", 1), 1);
    assert_int_equal(pthread_join(rig->peer.thread, &failure), 0);
    assert_null(failure);
    SSL_free(rig->peer.ssl);
    if (rig->peer.fd >= 0)
        close(rig->peer.fd);
    close(rig->peer.go_on[0]);
    close(rig->peer.go_on[1]);
}

static inline void rig_forget(struct rig *rig)
{
    free(rig->peer.taken);
}

/* In memory; for a path that goes past the page cache on a disk, if there is one. */
static int file_with(const void *bytes, size_t length)
{
    bool past_cache = asked && strcmp(asked, "direct") == 0;
    int fd = past_cache ? open("/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600) : -1;
    fd = fd >= 0 ? fd : memfd_create("pump", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, length, 0), length);
    return fd;
}

static inline void assert_file_holds(int fd, uint64_t offset, const uint8_t *bytes, size_t length)
{
    uint8_t *found = malloc(length + 1);
    assert_int_equal(pread(fd, found, length + 1, (off_t)offset), length);
    if (length > 0)
        assert_memory_equal(found, bytes, length);
    free(found);
}

static inline void assert_peer_has(const struct rig *rig, const uint8_t *bytes, size_t length)
{
    assert_int_equal(rig->peer.taken_length, length);
    if (length > 0)
        assert_memory_equal(rig->peer.taken, bytes, length);
}

/*
 * After a pump that did not get to its end: what OpenSSL held back is lost with the channel, and so may be the kernel's
 * last record, which was left open for more or was on its way out.
 */
static inline void assert_peer_has_most(const struct rig *rig, enum channel_mode mode, const uint8_t *bytes)
{
    size_t moved = (size_t)rig->pump.moved, taken = rig->peer.taken_length;
    size_t may_lack = mode == CHANNEL_PLAIN ? 0 : mode == CHANNEL_KERNEL ? 2 * 16384 : moved;
    assert_true(taken <= moved && taken + may_lack >= moved);
    if (taken > 0)
        assert_memory_equal(rig->peer.taken, bytes, taken);
}

/* ---- once for the program ---- */

static int rig_group_setup(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    uint32_t seed = 2463534242u;
    for (size_t i = 0; i < sizeof(body); i++) {
        seed ^= seed << 13;
        seed ^= seed >> 17;
        seed ^= seed << 5;
        body[i] = (uint8_t)seed;
    }
    pki = pki_new();
    pki_make(pki, &(struct pki_leaf){ .name = "server" });
    struct config_errors errors = { 0 };
    struct config_profile *profile = config_profile_default(CONFIG_SERVER);
    config_list_add(&profile->certificate, pki_path(pki, "server.pem"));
    config_list_add(&profile->key, pki_path(pki, "server.key"));
    profile->verify = CONFIG_VERIFY_NONE;
    server_context = tls_context_new(profile, "test", &errors);
    config_errors_print(&errors, stderr);
    config_errors_clear(&errors);
    if (!server_context)
        return -1;
    config_profile_free(profile);
    peer_context = SSL_CTX_new(TLS_client_method());
    struct ktls_abilities abilities;
    ktls_probe(&ktls_sys_linux, &abilities);
    kernel_has_tls = abilities.ulp;
    return peer_context ? 0 : -1;
}

static int rig_group_teardown(void **state)
{
    (void)state;
    SSL_CTX_free(peer_context);
    tls_context_drop(server_context);
    pki_free(pki);
    return 0;
}

/* True where this kernel cannot do the mode. */
static inline bool mode_is_missing(enum channel_mode mode)
{
    return mode == CHANNEL_KERNEL && !kernel_has_tls;
}

#define SKIP_WITHOUT_KTLS(mode)                                                                                        \
    if (mode_is_missing(mode)) {                                                                                       \
        print_message("skipped: this kernel has no kTLS\n");                                                           \
        skip();                                                                                                        \
    }

#endif
