/*
 * What the tests of a channel past OpenSSL's record layer have in common: ours, and at the other end an OpenSSL that
 * goes all the way. Include it behind cmocka.h.
 */
#ifndef SLUICE_TEST_CUT_SCENE_H
#define SLUICE_TEST_CUT_SCENE_H

#include <errno.h>

#include "ktls/channel_internal.h"
#include "tests/support/soft_ktls.h"
#include "tests/support/tls_pair.h"

#define LARGE ((size_t)3 << 20)

static struct pki *pki;

static const char *const suites[] = {
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
};
#define SUITES (sizeof(suites) / sizeof(suites[0]))

/* soft_ktls is only there to shorten and refuse calls: nobody gives it a key. */
struct scene {
    struct soft_ktls soft;
    struct tls_end server_end, client_end;
    struct tls_pair pair;
    struct channel *ours, *peer;
};

static inline void open_scene(struct scene *scene, bool ours_is_server, const char *suite, unsigned version)
{
    int at_server, at_client;

    soft_ktls_init(&scene->soft);
    scene->server_end = tls_end_new(pki, CONFIG_SERVER, suite, version, CONFIG_OFFLOAD_OFF);
    scene->client_end = tls_end_new(pki, CONFIG_CLIENT, suite, version, CONFIG_OFFLOAD_OFF);
    scene->pair = tls_pair_new(&scene->server_end, &scene->client_end, ours_is_server ? &scene->soft.sys : NULL,
                               ours_is_server ? NULL : &scene->soft.sys);
    scene->ours = ours_is_server ? scene->pair.server : scene->pair.client;
    scene->peer = ours_is_server ? scene->pair.client : scene->pair.server;
    tls_pair_shake(&scene->pair, &at_server, &at_client);
    assert_int_equal(at_server, 0);
    assert_int_equal(at_client, 0);
    assert_int_equal(tls_carry(scene->pair.client, scene->pair.server, 120), 0);
    assert_int_equal(tls_carry(scene->pair.server, scene->pair.client, 250), 0);
}

static inline void close_scene(struct scene *scene)
{
    tls_pair_free(&scene->pair);
    tls_end_free(&scene->server_end);
    tls_end_free(&scene->client_end);
    soft_ktls_clear(&scene->soft);
}

static inline void cut(struct channel *channel, enum channel_way way)
{
    assert_int_equal(channel_switch(channel, way, LARGE), 1);
    assert_non_null(channel->way[way].aead);
    assert_int_equal(channel_mode(channel, way), CHANNEL_USER);
    assert_string_equal(channel_why(channel, way), "user: offload = off");
}

static inline ssize_t read_soon(struct channel *channel, void *buffer, size_t size)
{
    ssize_t got;
    while ((got = channel_read(channel, buffer, size)) == -EAGAIN)
        tls_wait(channel);
    return got;
}

/* As a server does with a connection that has nothing to do: no OpenSSL's any more, and its ciphers rest. */
static inline void retire(struct channel *channel)
{
    channel_idle(channel);
    assert_true(channel_retire(channel));
    assert_null(channel->ssl);
    assert_non_null(channel->way[CHANNEL_TX].aead);
    assert_non_null(channel->way[CHANNEL_RX].aead);
}

static inline void open_retired(struct scene *scene, bool ours_is_server)
{
    open_scene(scene, ours_is_server, suites[0], 0x0304);
    retire(scene->ours);
}

static inline void carry_both_ways(struct scene *scene, size_t size)
{
    assert_int_equal(tls_carry(scene->ours, scene->peer, size), 0);
    assert_int_equal(tls_carry(scene->peer, scene->ours, size), 0);
}

static inline int group_setup(void **state)
{
    (void)state;
    pki = pki_new();
    pki_make(pki, &(struct pki_leaf){ .name = "server" });
    pki_make(pki, &(struct pki_leaf){ .name = "client" });
    return 0;
}

static inline int group_teardown(void **state)
{
    (void)state;
    pki_free(pki);
    return 0;
}

#endif
