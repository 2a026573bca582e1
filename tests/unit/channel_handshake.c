// rooms: support ktls
/* What a handshake costs a server's threads: which part of it is light, and how often the socket is asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "tests/support/tls_scene.h"

static struct tls_end server_new(unsigned version, enum config_verify verify, enum config_offload offload)
{
    struct config_profile *profile = tls_end_profile(pki, CONFIG_SERVER, NULL, version, offload);

    profile->verify = verify;
    return tls_end_from(profile);
}

/* The server has answered the ClientHello, and the client has not yet heard of it. */
static struct tls_pair pair_half_way(const struct tls_end *server, const struct tls_end *client,
                                     const struct ktls_sys *sys)
{
    struct tls_pair pair = tls_pair_new(server, client, sys, NULL);

    assert_false(channel_handshake_is_light(pair.server));
    assert_int_equal(channel_handshake(pair.client), -EAGAIN);
    tls_wait(pair.server);
    assert_int_equal(channel_handshake(pair.server), -EAGAIN);
    return pair;
}

static void finish(struct tls_pair *pair)
{
    finish_handshake(pair);
    /* The tickets come before it. */
    assert_int_equal(tls_carry(pair->server, pair->client, 1), 0);
}

static void what_is_left_is_light_where_no_certificate_and_no_key_exchange_is(void **state)
{
    static const struct {
        unsigned version;
        enum config_verify verify;
        bool light, light_when_resumed;
    } cases[] = {
        { TLS_1_3, CONFIG_VERIFY_NONE, true, true },       { TLS_1_3, CONFIG_VERIFY_REQUIRED, false, false },
        { TLS_1_3, CONFIG_VERIFY_OPTIONAL, false, false }, { TLS_1_2, CONFIG_VERIFY_NONE, false, false },
        { TLS_1_2, CONFIG_VERIFY_REQUIRED, false, false },
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tls_end server = server_new(cases[i].version, cases[i].verify, CONFIG_OFFLOAD_AUTO);
        struct tls_end client = tls_end_new(pki, CONFIG_CLIENT, NULL, cases[i].version, CONFIG_OFFLOAD_AUTO);

        for (int resumed = 0; resumed < 2; resumed++) {
            struct tls_pair pair = pair_half_way(&server, &client, NULL);
            assert_int_equal(channel_handshake_is_light(pair.server),
                             resumed ? cases[i].light_when_resumed : cases[i].light);
            finish(&pair);
            assert_int_equal(channel_facts(pair.server)->resumed, resumed);
            tls_pair_free(&pair);
        }
        tls_end_free(&server);
        tls_end_free(&client);
    }
}

static void a_flight_is_read_with_one_call(void **state)
{
    (void)state;
    struct tls_end server = server_new(TLS_1_3, CONFIG_VERIFY_REQUIRED, CONFIG_OFFLOAD_AUTO);
    struct tls_end client = tls_end_new(pki, CONFIG_CLIENT, NULL, TLS_1_3, CONFIG_OFFLOAD_AUTO);
    struct soft_ktls soft;

    soft_ktls_init(&soft);
    struct tls_pair pair = pair_half_way(&server, &client, &soft.sys);
    assert_int_equal(soft.receives, 1);
    tls_wait(pair.client);
    assert_int_equal(channel_handshake(pair.client), 0);
    tls_wait(pair.server);
    assert_int_equal(channel_handshake(pair.server), 0);
    assert_int_equal(soft.receives, 2);
    tls_pair_free(&pair);
    soft_ktls_clear(&soft);
    tls_end_free(&server);
    tls_end_free(&client);
}

/* A head that follows at once is read along with the client's last flight; the body behind it goes to the kernel. */
static void what_stands_behind_the_last_flight_is_not_lost(void **state)
{
    (void)state;
    struct tls_end server = server_new(TLS_1_3, CONFIG_VERIFY_NONE, CONFIG_OFFLOAD_AUTO);
    struct tls_end client = tls_end_new(pki, CONFIG_CLIENT, NULL, TLS_1_3, CONFIG_OFFLOAD_AUTO);
    struct soft_ktls soft;
    char bytes[64];

    soft_ktls_init(&soft);
    struct tls_pair pair = pair_half_way(&server, &client, &soft.sys);
    tls_wait(pair.client);
    assert_int_equal(channel_handshake(pair.client), 0);
    assert_int_equal(channel_write(pair.client, "head", 4), 4);
    assert_int_equal(channel_flush(pair.client), 0);
    tls_wait(pair.server);
    assert_int_equal(channel_handshake(pair.server), 0);
    assert_int_equal(tls_read_all(pair.server, bytes, 4), 4);
    assert_memory_equal(bytes, "head", 4);
    assert_int_equal(channel_switch(pair.server, CHANNEL_RX, UINT64_MAX), 0);
    assert_int_equal(channel_write(pair.client, "body", 4), 4);
    assert_int_equal(channel_flush(pair.client), 0);
    assert_int_equal(tls_read_all(pair.server, bytes, 4), 4);
    assert_memory_equal(bytes, "body", 4);
    tls_pair_free(&pair);
    soft_ktls_clear(&soft);
    tls_end_free(&server);
    tls_end_free(&client);
}

static void says_when_the_peer_has_said_that_nothing_more_will_come(void **state)
{
    (void)state;
    struct tls_end server = server_new(TLS_1_3, CONFIG_VERIFY_NONE, CONFIG_OFFLOAD_AUTO);
    struct tls_end client = tls_end_new(pki, CONFIG_CLIENT, NULL, TLS_1_3, CONFIG_OFFLOAD_AUTO);
    struct tls_pair pair = pair_half_way(&server, &client, NULL);
    char byte;

    finish(&pair);
    assert_false(channel_heard_close(pair.server));
    assert_int_equal(channel_close_notify(pair.client), 0);
    assert_int_equal(tls_read_all(pair.server, &byte, 1), 0);
    assert_true(channel_heard_close(pair.server));
    assert_false(channel_heard_close(pair.client));
    tls_pair_free(&pair);
    tls_end_free(&server);
    tls_end_free(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_left_is_light_where_no_certificate_and_no_key_exchange_is),
        cmocka_unit_test(a_flight_is_read_with_one_call),
        cmocka_unit_test(what_stands_behind_the_last_flight_is_not_lost),
        cmocka_unit_test(says_when_the_peer_has_said_that_nothing_more_will_come),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
