/*
 * What the tests of channels have in common: certificates for all tests of a program, and the two ends of a connection.
 * Ours has kTLS in software (tests/support/soft_ktls.h), and the test may refuse its system calls. The peer is OpenSSL
 * all the way unless told otherwise, so a wrong key, nonce, version or sequence number shows as a record that does not
 * decrypt.
 *
 * Include it behind cmocka.h.
 */
#ifndef SLUICE_TEST_TLS_SCENE_H
#define SLUICE_TEST_TLS_SCENE_H

#include <errno.h>

#include "ktls/channel_internal.h"
#include "tests/support/soft_ktls.h"
#include "tests/support/tls_pair.h"

static struct pki *pki; /* from group_setup() to group_teardown() */

struct scene_suite {
    const char *name; /* IANA's; NULL: the default list */
    unsigned version; /* 0: 1.2 to 1.3 */
};

/* Each cipher of ktls/suite.c, in each version. */
static const struct scene_suite suites[] = {
    { "TLS_AES_128_GCM_SHA256", TLS_1_3 },
    { "TLS_AES_256_GCM_SHA384", TLS_1_3 },
    { "TLS_CHACHA20_POLY1305_SHA256", TLS_1_3 },
    { "TLS_AES_128_CCM_SHA256", TLS_1_3 },
    { "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", TLS_1_2 },
    { "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", TLS_1_2 },
    { "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", TLS_1_2 },
    { "TLS_ECDHE_ECDSA_WITH_AES_128_CCM", TLS_1_2 },
};
#define SUITES (sizeof(suites) / sizeof(suites[0]))

/* AES-128-GCM of that version. */
static inline const struct scene_suite *suite_of(unsigned version)
{
    return &suites[version == TLS_1_3 ? 0 : 4];
}

struct scene {
    struct soft_ktls soft; /* ours, where its side has the `sys` of this */
    struct tls_end server_end, client_end;
    struct tls_pair pair;
    struct channel *ours, *peer; /* of the pair */
};

struct scene_side {
    enum config_offload offload;
    const struct ktls_sys *sys; /* NULL: Linux */
};

/* ---- a handshake ---- */

static inline void finish_handshake(struct tls_pair *pair)
{
    int at_server, at_client;

    tls_pair_shake(pair, &at_server, &at_client);
    if (at_server || at_client)
        fail_msg("server: %d %s, client: %d %s", at_server, channel_reason(pair->server), at_client,
                 channel_reason(pair->client));
}

static inline struct tls_pair shaken_pair(const struct tls_end *server, const struct tls_end *client,
                                          const struct ktls_sys *server_sys, const struct ktls_sys *client_sys)
{
    struct tls_pair pair = tls_pair_new(server, client, server_sys, client_sys);

    finish_handshake(&pair);
    return pair;
}

/* ---- the scene ---- */

/* The handshake is done, and nothing else. */
static inline void open_between(struct scene *scene, bool ours_is_server, const struct scene_suite *suite,
                                struct scene_side ours, struct scene_side peer)
{
    struct scene_side server = ours_is_server ? ours : peer, client = ours_is_server ? peer : ours;

    soft_ktls_init(&scene->soft);
    scene->server_end = tls_end_new(pki, CONFIG_SERVER, suite->name, suite->version, server.offload);
    scene->client_end = tls_end_new(pki, CONFIG_CLIENT, suite->name, suite->version, client.offload);
    scene->pair = shaken_pair(&scene->server_end, &scene->client_end, server.sys, client.sys);
    scene->ours = ours_is_server ? scene->pair.server : scene->pair.client;
    scene->peer = ours_is_server ? scene->pair.client : scene->pair.server;
}

/* The same with kTLS of the scene's at our end, which `offload` is for. */
static inline void open_shaken(struct scene *scene, bool ours_is_server, const struct scene_suite *suite,
                               enum config_offload offload)
{
    open_between(scene, ours_is_server, suite, (struct scene_side){ offload, &scene->soft.sys },
                 (struct scene_side){ CONFIG_OFFLOAD_OFF, NULL });
}

/* Request and response heads, which also bring the client its tickets. */
static inline void exchange_heads(struct scene *scene)
{
    assert_int_equal(tls_carry(scene->pair.client, scene->pair.server, 120), 0);
    assert_int_equal(tls_carry(scene->pair.server, scene->pair.client, 250), 0);
}

/* As both are before the first body. */
static inline void open_scene(struct scene *scene, bool ours_is_server, const struct scene_suite *suite,
                              enum config_offload offload)
{
    open_shaken(scene, ours_is_server, suite, offload);
    exchange_heads(scene);
}

/* And of ours the directions that are told are in the kernel. */
static inline void open_switched(struct scene *scene, bool ours_is_server, unsigned version, bool tx, bool rx)
{
    open_scene(scene, ours_is_server, suite_of(version), CONFIG_OFFLOAD_AUTO);
    if (tx)
        assert_int_equal(channel_switch(scene->ours, CHANNEL_TX, UINT64_MAX), 0);
    if (rx)
        assert_int_equal(channel_switch(scene->ours, CHANNEL_RX, UINT64_MAX), 0);
}

static inline void close_scene(struct scene *scene)
{
    tls_pair_free(&scene->pair);
    tls_end_free(&scene->server_end);
    tls_end_free(&scene->client_end);
    soft_ktls_clear(&scene->soft);
}

/* ---- in a scene ---- */

static inline const struct soft_socket *socket_of(struct scene *scene)
{
    return soft_ktls_socket(&scene->soft, channel_fd(scene->ours));
}

static inline void carry_both_ways(struct scene *scene, size_t size)
{
    assert_int_equal(tls_carry(scene->ours, scene->peer, size), 0);
    assert_int_equal(tls_carry(scene->peer, scene->ours, size), 0);
}

static inline ssize_t read_soon(struct channel *channel, void *buffer, size_t size)
{
    ssize_t got;
    while ((got = channel_read(channel, buffer, size)) == -EAGAIN)
        tls_wait(channel);
    return got;
}

/* Two records, which leave with one call. */
static inline void send_two(struct channel *channel, const void *one, size_t one_size, const void *two, size_t two_size)
{
    assert_int_equal(channel_write(channel, one, one_size), one_size);
    assert_int_equal(channel_write(channel, two, two_size), two_size);
    assert_int_equal(channel_flush(channel), 0);
}

/* ---- for cmocka_run_group_tests() ---- */

static inline int group_setup(void **state)
{
    (void)state;
    pki = pki_new();
    return 0;
}

static inline int group_teardown(void **state)
{
    (void)state;
    pki_free(pki);
    return 0;
}

#endif
