/*
 * A scene (tests/support/tls_scene.h) for the tests of a channel past OpenSSL's record layer. Include it behind
 * cmocka.h.
 */
#ifndef SLUICE_TEST_CUT_SCENE_H
#define SLUICE_TEST_CUT_SCENE_H

#include "tests/support/tls_scene.h"

#define CUT_SUITES 3 /* the first of `suites`: the others are CCM or of TLS 1.2 */
#define LARGE ((size_t)3 << 20)

static inline void cut(struct channel *channel, enum channel_way way)
{
    assert_int_equal(channel_switch(channel, way, LARGE), 1);
    assert_non_null(channel->way[way].aead);
    assert_int_equal(channel_mode(channel, way), CHANNEL_USER);
    assert_string_equal(channel_why(channel, way), "user: offload = off");
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
    open_scene(scene, ours_is_server, &suites[0], CONFIG_OFFLOAD_OFF);
    retire(scene->ours);
}

#endif
