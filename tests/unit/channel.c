// rooms: support ktls
/* Channels whose both directions stay in OpenSSL, and what every channel does before a switch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/tls_scene.h"

struct ends {
    struct tls_end server, client;
};

static struct ends ends_new(const char *suite, unsigned version, enum config_offload offload)
{
    return (struct ends){ tls_end_new(pki, CONFIG_SERVER, suite, version, offload),
                          tls_end_new(pki, CONFIG_CLIENT, suite, version, offload) };
}

static void ends_free(struct ends *ends)
{
    tls_end_free(&ends->server);
    tls_end_free(&ends->client);
}

static struct tls_pair pair_shaken(const struct ends *ends, const struct ktls_sys *server_sys)
{
    return shaken_pair(&ends->server, &ends->client, server_sys, NULL);
}

static void carries_bytes_both_ways_with_each_suite(void **state)
{
    (void)state;
    for (size_t i = 0; i < SUITES; i++) {
        struct ends ends = ends_new(suites[i].name, suites[i].version, CONFIG_OFFLOAD_AUTO);
        struct tls_pair pair = pair_shaken(&ends, NULL);
        const struct channel_facts *facts = channel_facts(pair.server);

        assert_string_equal(facts->suite, suites[i].name);
        assert_string_equal(facts->version, suites[i].version == 0x0304 ? "TLSv1.3" : "TLSv1.2");
        assert_true(facts->peer_verified);
        assert_string_equal(facts->peer_error, "");
        assert_non_null(strstr(facts->peer_subject, "CN=client"));
        assert_string_not_equal(facts->group, "");
        assert_false(facts->resumed);
        assert_int_equal(tls_carry(pair.client, pair.server, 100000), 0);
        assert_int_equal(tls_carry(pair.server, pair.client, 700001), 0);
        assert_int_equal(channel_mode(pair.client, CHANNEL_RX), CHANNEL_USER);
        assert_string_equal(channel_why(pair.client, CHANNEL_RX), "user: no body yet");
        tls_pair_free(&pair);
        ends_free(&ends);
    }
}

static void many_records_leave_and_arrive_with_one_system_call(void **state)
{
    (void)state;
    struct soft_ktls soft;
    struct ends ends = ends_new(suites[0].name, 0x0304, CONFIG_OFFLOAD_OFF);
    static uint8_t bytes[256 * 1024];

    soft_ktls_init(&soft);
    struct tls_pair pair = pair_shaken(&ends, &soft.sys);
    unsigned before = soft.sends;
    assert_int_equal(tls_write_all(pair.server, bytes, sizeof(bytes)), sizeof(bytes));
    assert_true(soft.sends - before <= 2);
    assert_int_equal(tls_read_all(pair.client, bytes, sizeof(bytes)), sizeof(bytes));
    assert_int_equal(tls_write_all(pair.client, bytes, sizeof(bytes)), sizeof(bytes));
    before = soft.receives;
    assert_int_equal(tls_read_all(pair.server, bytes, sizeof(bytes)), sizeof(bytes));
    assert_true(soft.receives - before <= 8);
    tls_pair_free(&pair);
    soft_ktls_clear(&soft);
    ends_free(&ends);
}

static void says_when_decrypted_bytes_or_whole_records_stand_ready(void **state)
{
    (void)state;
    struct ends ends = ends_new(suites[0].name, 0x0304, CONFIG_OFFLOAD_OFF);
    struct tls_pair pair = pair_shaken(&ends, NULL);
    uint8_t bytes[30000] = { 0 };

    assert_int_equal(tls_write_all(pair.server, bytes, sizeof(bytes)), sizeof(bytes));
    assert_false(channel_pending(pair.client));
    assert_int_equal(read_soon(pair.client, bytes, 10), 10);
    assert_true(channel_pending(pair.client)); /* the rest of the first record */
    assert_int_equal(channel_read(pair.client, bytes, 16374), 16374);
    assert_true(channel_pending(pair.client)); /* the second, not yet decrypted */
    assert_int_equal(channel_read(pair.client, bytes, sizeof(bytes)), 30000 - 16384);
    assert_false(channel_pending(pair.client));
    tls_pair_free(&pair);
    ends_free(&ends);
}

static void reads_one_record_at_a_time_while_the_switch_is_open(void **state)
{
    (void)state;
    struct ends ends = ends_new(suites[0].name, 0x0304, CONFIG_OFFLOAD_AUTO);
    struct tls_pair pair = pair_shaken(&ends, NULL);
    uint8_t bytes[1000];

    assert_int_equal(tls_write_all(pair.server, "head", 4), 4);
    assert_int_equal(tls_write_all(pair.server, "body", 4), 4);
    assert_int_equal(read_soon(pair.client, bytes, sizeof(bytes)), 4);
    assert_memory_equal(bytes, "head", 4);
    assert_int_equal(read_soon(pair.client, bytes, sizeof(bytes)), 4);
    assert_memory_equal(bytes, "body", 4);
    tls_pair_free(&pair);
    ends_free(&ends);
}

/* Returns the bytes of the buffer behind a writer whose socket is full. */
static size_t fill_a_socket(unsigned held)
{
    struct ends ends = ends_new(suites[0].name, 0x0304, CONFIG_OFFLOAD_OFF);
    struct tls_pair pair = pair_shaken(&ends, NULL);
    static uint8_t bytes[64 * 1024], back[64 * 1024];
    size_t sent = 0, received = 0;
    int small = 65536;

    setsockopt(channel_fd(pair.server), SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    setsockopt(channel_fd(pair.client), SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    assert_int_equal(channel_hold(pair.server, held), 0);
    for (;;) {
        for (size_t i = 0; i < sizeof(bytes); i++)
            bytes[i] = (uint8_t)((sent + i) / 1024);
        ssize_t done = channel_write(pair.server, bytes, sizeof(bytes));
        if (done == -EAGAIN)
            break;
        assert_true(done > 0);
        sent += (size_t)done;
        assert_true(sent < 64 * 1024 * 1024);
    }
    assert_int_equal(channel_events(pair.server), POLLOUT);
    size_t capacity = pair.server->wire.out.capacity;
    while (received < sent) {
        (void)channel_flush(pair.server);
        ssize_t got = channel_read(pair.client, back, sizeof(back));
        if (got == -EAGAIN) {
            tls_wait(pair.client);
            continue;
        }
        assert_true(got > 0);
        for (ssize_t i = 0; i < got; i++)
            assert_int_equal(back[i], (uint8_t)((received + (size_t)i) / 1024));
        received += (size_t)got;
    }
    assert_int_equal(channel_flush(pair.server), 0);
    tls_pair_free(&pair);
    ends_free(&ends);
    return capacity;
}

static void a_full_socket_makes_the_writer_wait_and_loses_nothing(void **state)
{
    (void)state;
    assert_true(fill_a_socket(0) >= 256 * 1024);
}

static void a_channel_that_is_held_gathers_little_behind_a_full_socket(void **state)
{
    (void)state;
    assert_true(fill_a_socket(128 * 1024) <= 40 * 1024);
}

static void a_channel_that_is_held_keeps_no_buffer_once_all_is_sent(void **state)
{
    (void)state;
    struct ends ends = ends_new(suites[0].name, 0x0304, CONFIG_OFFLOAD_OFF);
    struct tls_pair pair = pair_shaken(&ends, NULL);
    static const uint8_t bytes[64 * 1024];

    assert_int_equal(channel_hold(pair.server, 128 * 1024), 0);
    assert_int_equal(channel_flush(pair.server), 0); /* tickets */
    for (size_t sent = 0; sent < 32 * 1024;) {
        ssize_t done = channel_write(pair.server, bytes, sizeof(bytes));
        assert_true(done > 0);
        sent += (size_t)done;
        assert_true((pair.server->wire.out.capacity > 0) == (sent < 32 * 1024));
    }
    tls_pair_free(&pair);
    ends_free(&ends);
}

static void survives_reads_and_writes_of_any_shortness(void **state)
{
    (void)state;
    for (size_t i = 0; i < 8; i += 4) {
        struct soft_ktls soft;
        struct ends ends = ends_new(suites[i].name, suites[i].version, CONFIG_OFFLOAD_AUTO);
        soft_ktls_init(&soft);
        soft.shorten = 3;
        struct tls_pair pair = pair_shaken(&ends, &soft.sys);
        assert_int_equal(tls_carry(pair.client, pair.server, 20000), 0);
        soft.shorten = 7;
        assert_int_equal(tls_carry(pair.server, pair.client, 20000), 0);
        tls_pair_free(&pair);
        soft_ktls_clear(&soft);
        ends_free(&ends);
    }
}

static void ends_in_good_order_with_close_notify(void **state)
{
    (void)state;
    struct ends ends = ends_new(NULL, 0, CONFIG_OFFLOAD_AUTO);
    struct tls_pair pair = pair_shaken(&ends, NULL);
    uint8_t bytes[10];

    assert_int_equal(tls_write_all(pair.client, "last", 4), 4);
    assert_int_equal(channel_close_notify(pair.client), 0);
    assert_int_equal(channel_close_notify(pair.client), 0);
    assert_int_equal(channel_write(pair.client, "more", 4), -EPROTO);
    assert_int_equal(read_soon(pair.server, bytes, sizeof(bytes)), 4);
    assert_int_equal(read_soon(pair.server, bytes, sizeof(bytes)), 0);
    assert_int_equal(channel_read(pair.server, bytes, sizeof(bytes)), 0);
    assert_int_equal(tls_write_all(pair.server, "answer", 6), 6); /* half closed: the other way goes on */
    assert_int_equal(channel_close_notify(pair.server), 0);
    tls_pair_free(&pair);
    ends_free(&ends);
}

static void reports_an_end_without_close_notify_as_truncation(void **state)
{
    (void)state;
    for (int bulk = 0; bulk <= 1; bulk++) {
        struct ends ends = ends_new(NULL, 0, bulk ? CONFIG_OFFLOAD_OFF : CONFIG_OFFLOAD_AUTO);
        struct tls_pair pair = pair_shaken(&ends, NULL);
        uint8_t bytes[10];

        assert_int_equal(tls_write_all(pair.server, "half", 4), 4);
        shutdown(channel_fd(pair.server), SHUT_WR);
        assert_int_equal(read_soon(pair.client, bytes, sizeof(bytes)), 4);
        assert_int_equal(read_soon(pair.client, bytes, sizeof(bytes)), -ENODATA);
        assert_int_equal(channel_read(pair.client, bytes, sizeof(bytes)), -ENODATA);
        assert_non_null(strstr(channel_reason(pair.client), "without close_notify"));
        assert_true(channel_failed_at_peer(pair.client));
        tls_pair_free(&pair);
        ends_free(&ends);
    }
}

static void reports_a_reset_as_a_broken_connection(void **state)
{
    (void)state;
    const struct sockaddr nowhere = { .sa_family = AF_UNSPEC };
    struct ends ends = ends_new(NULL, 0, CONFIG_OFFLOAD_OFF);
    struct tls_pair pair = pair_shaken(&ends, NULL);
    uint8_t bytes[10];

    assert_int_equal(connect(channel_fd(pair.server), &nowhere, sizeof(nowhere)), 0); /* sends a reset */
    assert_int_equal(read_soon(pair.client, bytes, sizeof(bytes)), -ECONNRESET);
    assert_int_equal(channel_read(pair.client, bytes, sizeof(bytes)), -ECONNRESET);
    assert_non_null(strstr(channel_reason(pair.client), "the connection broke"));
    assert_true(channel_failed_at_peer(pair.client));
    tls_pair_free(&pair);
    ends_free(&ends);
}

static void tells_the_errors_of_a_socket_apart(void **state)
{
    (void)state;
    static const struct {
        enum soft_call call;
        int error, result;
    } cases[] = {
        { SOFT_SEND, EPIPE, -ECONNRESET },
        { SOFT_SEND, ENOBUFS, -ENOBUFS },
        { SOFT_RECEIVE, ETIMEDOUT, -ECONNRESET },
        { SOFT_RECEIVE, ENOMEM, -ENOMEM },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct soft_ktls soft;
        struct ends ends = ends_new(NULL, 0, CONFIG_OFFLOAD_AUTO);
        char byte = 0;

        soft_ktls_init(&soft);
        struct tls_pair pair = pair_shaken(&ends, &soft.sys);
        soft.refuse = cases[i].call;
        soft.refusal = cases[i].error;
        for (int again = 0; again < 2; again++)
            assert_int_equal(cases[i].call == SOFT_SEND ? tls_write_all(pair.server, &byte, 1)
                                                        : channel_read(pair.server, &byte, 1),
                             cases[i].result);
        assert_string_not_equal(channel_reason(pair.server), "");
        soft.refuse = SOFT_NONE;
        if (cases[i].call == SOFT_SEND) /* what the peer said before can still be read */
            assert_int_equal(tls_carry(pair.client, pair.server, 1000), 0);
        tls_pair_free(&pair);

        pair = tls_pair_new(&ends.server, &ends.client, &soft.sys, NULL);
        assert_int_equal(channel_handshake(pair.client), -EAGAIN);
        tls_wait(pair.server);
        soft.refuse = cases[i].call;
        for (int again = 0; again < 2; again++)
            assert_int_equal(channel_handshake(pair.server), cases[i].result);
        assert_string_not_equal(channel_reason(pair.server), "");
        tls_pair_free(&pair);
        soft_ktls_clear(&soft);
        ends_free(&ends);
    }
}

static void a_peer_that_leaves_in_the_handshake_broke_the_connection(void **state)
{
    (void)state;
    struct ends ends = ends_new(NULL, 0, CONFIG_OFFLOAD_AUTO);
    struct tls_pair pair = tls_pair_new(&ends.server, &ends.client, NULL, NULL);

    assert_int_equal(channel_handshake(pair.client), -EAGAIN);
    shutdown(channel_fd(pair.client), SHUT_WR);
    int result;
    while ((result = channel_handshake(pair.server)) == -EAGAIN)
        tls_wait(pair.server);
    assert_int_equal(result, -ECONNRESET);
    assert_int_equal(channel_handshake(pair.server), -ECONNRESET);
    assert_non_null(strstr(channel_reason(pair.server), "during the handshake"));
    assert_true(channel_failed_at_peer(pair.server));
    tls_pair_free(&pair);
    ends_free(&ends);
}

static void something_that_is_not_tls_is_refused(void **state)
{
    (void)state;
    struct ends ends = ends_new(NULL, 0, CONFIG_OFFLOAD_AUTO);
    struct tls_pair pair = tls_pair_new(&ends.server, &ends.client, NULL, NULL);
    static const char request[] = "GET / HTTP/1.1\r\nHost: here\r\n\r\n";

    assert_int_equal(send(channel_fd(pair.client), request, sizeof(request), 0), sizeof(request));
    assert_int_equal(channel_handshake(pair.server), -EPROTO);
    assert_string_not_equal(channel_reason(pair.server), "");
    assert_false(channel_failed_at_peer(pair.server));
    tls_pair_free(&pair);
    ends_free(&ends);
}

static void each_side_names_the_alert_of_an_untrusted_server(void **state)
{
    (void)state;
    struct pki *strangers = pki_new();
    pki_make(strangers, &(struct pki_leaf){ .name = "server", .self_signed = 1 });
    struct tls_end server = tls_end_new(strangers, CONFIG_SERVER, NULL, 0, CONFIG_OFFLOAD_AUTO);
    struct tls_end client = tls_end_new(pki, CONFIG_CLIENT, NULL, 0, CONFIG_OFFLOAD_AUTO);
    struct tls_pair pair = tls_pair_new(&server, &client, NULL, NULL);
    int at_server, at_client;

    tls_pair_shake(&pair, &at_server, &at_client);
    assert_int_equal(at_client, -EACCES);
    assert_non_null(strstr(channel_reason(pair.client), "certificate verify failed: self"));
    assert_non_null(strstr(channel_reason(pair.client), "sent alert unknown_ca"));
    assert_false(channel_failed_at_peer(pair.client));
    assert_int_equal(at_server, -EACCES);
    assert_string_equal(channel_reason(pair.server), "the peer ended the session: alert unknown_ca (48)");
    assert_true(channel_failed_at_peer(pair.server));
    tls_pair_free(&pair);
    tls_end_free(&server);
    tls_end_free(&client);
    pki_free(strangers);
}

static void a_client_without_certificate_is_refused_where_one_is_required(void **state)
{
    (void)state;
    static const unsigned versions[] = { 0x0303, 0x0304 };

    for (size_t i = 0; i < 2; i++) {
        struct config_profile *bare = tls_end_profile(pki, CONFIG_CLIENT, NULL, versions[i], CONFIG_OFFLOAD_AUTO);
        config_list_clear(&bare->certificate);
        config_list_clear(&bare->key);
        struct tls_end client = tls_end_from(bare);
        struct tls_end server = tls_end_new(pki, CONFIG_SERVER, NULL, versions[i], CONFIG_OFFLOAD_AUTO);
        struct tls_pair pair = tls_pair_new(&server, &client, NULL, NULL);
        int at_server, at_client;
        char byte;

        tls_pair_shake(&pair, &at_server, &at_client);
        assert_int_equal(at_server, -EACCES);
        assert_false(channel_failed_at_peer(pair.server));
        if (at_client == 0) /* TLS 1.3: the client is done before the server looks */
            at_client = (int)read_soon(pair.client, &byte, 1);
        assert_int_equal(at_client, -EACCES);
        assert_true(channel_failed_at_peer(pair.client));
        assert_non_null(strstr(channel_reason(pair.client), i == 0 ? "handshake_failure" : "certificate_required"));
        tls_pair_free(&pair);
        tls_end_free(&server);
        tls_end_free(&client);
    }
}

static void sides_without_a_common_version_say_so(void **state)
{
    (void)state;
    struct tls_end server = tls_end_new(pki, CONFIG_SERVER, NULL, 0x0303, CONFIG_OFFLOAD_AUTO);
    struct tls_end client = tls_end_new(pki, CONFIG_CLIENT, NULL, 0x0304, CONFIG_OFFLOAD_AUTO);
    struct tls_pair pair = tls_pair_new(&server, &client, NULL, NULL);
    int at_server, at_client;

    tls_pair_shake(&pair, &at_server, &at_client);
    assert_int_equal(at_server, -EACCES);
    assert_int_equal(at_client, -EACCES);
    assert_non_null(strstr(channel_reason(pair.server), "protocol_version"));
    assert_non_null(strstr(channel_reason(pair.client), "protocol_version"));
    tls_pair_free(&pair);
    tls_end_free(&server);
    tls_end_free(&client);
}

static void a_server_that_tolerates_a_bad_certificate_says_what_was_wrong(void **state)
{
    (void)state;
    struct pki *strangers = pki_new();
    struct config_profile *lenient = tls_end_profile(pki, CONFIG_SERVER, NULL, 0, CONFIG_OFFLOAD_AUTO);
    struct config_profile *stranger = tls_end_profile(strangers, CONFIG_CLIENT, NULL, 0, CONFIG_OFFLOAD_AUTO);

    lenient->verify = CONFIG_VERIFY_OPTIONAL;
    free(stranger->trust.items[0]);
    stranger->trust.items[0] = strdup(pki_path(pki, "ca.pem"));
    struct ends ends = { tls_end_from(lenient), tls_end_from(stranger) };
    struct tls_pair pair = pair_shaken(&ends, NULL);
    assert_false(channel_facts(pair.server)->peer_verified);
    assert_string_not_equal(channel_facts(pair.server)->peer_error, "");
    assert_non_null(strstr(channel_facts(pair.server)->peer_subject, "CN=client"));
    tls_pair_free(&pair);
    ends_free(&ends);
    pki_free(strangers);
}

static void enforced_wants_to_be_asked_for_its_certificate(void **state)
{
    (void)state;
    for (unsigned version = 0x0303; version <= 0x0304; version++) {
        for (int asks = 0; asks <= 1; asks++) {
            struct config_profile *careless = tls_end_profile(pki, CONFIG_SERVER, NULL, version, CONFIG_OFFLOAD_AUTO);
            struct config_profile *strict = tls_end_profile(pki, CONFIG_CLIENT, NULL, version, CONFIG_OFFLOAD_AUTO);
            int at_server, at_client;

            careless->verify = asks ? CONFIG_VERIFY_REQUIRED : CONFIG_VERIFY_NONE;
            strict->verify = CONFIG_VERIFY_ENFORCED;
            struct ends ends = { tls_end_from(careless), tls_end_from(strict) };
            struct tls_pair pair = tls_pair_new(&ends.server, &ends.client, NULL, NULL);
            tls_pair_shake(&pair, &at_server, &at_client);
            assert_int_equal(at_client, asks ? 0 : -EACCES);
            assert_false(channel_failed_at_peer(pair.client));
            tls_pair_free(&pair);
            ends_free(&ends);
        }
    }
}

static void resumes_a_session_also_after_an_abrupt_end(void **state)
{
    (void)state;
    for (unsigned version = 0x0303; version <= 0x0304; version++) {
        struct ends ends = ends_new(NULL, version, CONFIG_OFFLOAD_AUTO);
        for (int round = 0; round < 3; round++) {
            struct tls_pair pair = pair_shaken(&ends, NULL);
            assert_int_equal(channel_facts(pair.client)->resumed, round > 0);
            assert_int_equal(channel_facts(pair.server)->resumed, round > 0);
            assert_true(channel_facts(pair.server)->peer_verified);
            assert_non_null(strstr(channel_facts(pair.server)->peer_subject, "CN=client"));
            assert_int_equal(tls_carry(pair.server, pair.client, 1000), 0); /* the tickets come before it */
            tls_pair_free(&pair);
        }
        ends_free(&ends);
    }
}

static void follows_key_updates_of_the_peer_and_ends_where_they_are_too_many(void **state)
{
    (void)state;
    struct ends ends = ends_new(NULL, 0x0304, CONFIG_OFFLOAD_AUTO);
    struct tls_pair pair = pair_shaken(&ends, NULL);
    int result = 0, rounds = 0;

    for (; rounds < 100 && result == 0; rounds++) {
        assert_int_equal(channel_renew_user(pair.client, rounds % 2), 0);
        result = tls_carry(pair.client, pair.server, 1);
        if (result == 0)
            result = tls_carry(pair.server, pair.client, 1);
    }
    assert_int_equal(result, -EPROTO);
    assert_int_equal(rounds, 33);
    assert_non_null(strstr(channel_reason(pair.server), "renews its key"));
    tls_pair_free(&pair);
    ends_free(&ends);
}

static void renews_a_key_that_is_half_used_up_and_has_the_peer_renew_its_own(void **state)
{
    (void)state;
    struct ends ends = ends_new(suites[0].name, 0x0304, CONFIG_OFFLOAD_AUTO);
    struct tls_pair pair = pair_shaken(&ends, NULL);

    pair.server->record_limit = 64;
    assert_int_equal(tls_carry(pair.server, pair.client, 200 * 16384), 0);
    assert_true(pair.server->way[CHANNEL_TX].sequence <= 64);
    assert_int_equal(pair.server->way[CHANNEL_TX].sequence, pair.client->way[CHANNEL_RX].sequence);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(tls_carry(pair.client, pair.server, 20 * 16384), 0);
        assert_int_equal(tls_carry(pair.server, pair.client, 1), 0); /* brings the wish for a new key */
    }
    assert_true(pair.server->way[CHANNEL_RX].sequence <= 64);
    assert_false(channel_worn(pair.server));
    tls_pair_free(&pair);
    ends_free(&ends);
}

static void a_key_of_tls_12_wears_out_and_then_is_used_no_more(void **state)
{
    (void)state;
    struct ends ends = ends_new(suites[4].name, 0x0303, CONFIG_OFFLOAD_AUTO);
    struct tls_pair pair = pair_shaken(&ends, NULL);

    pair.server->record_limit = 64;
    assert_int_equal(tls_carry(pair.server, pair.client, 30 * 16384), 0);
    assert_false(channel_worn(pair.server));
    assert_int_equal(tls_carry(pair.server, pair.client, 5 * 16384), 0);
    assert_true(channel_worn(pair.server));
    assert_int_equal(tls_carry(pair.server, pair.client, 100 * 16384), -EKEYEXPIRED);
    assert_true(pair.server->way[CHANNEL_TX].sequence <= 64);
    assert_non_null(strstr(channel_reason(pair.server), "connect anew"));
    tls_pair_free(&pair);
    ends_free(&ends);
}

static void a_plain_channel_moves_bytes_and_has_nothing_to_say(void **state)
{
    (void)state;
    int server_fd, client_fd;
    char bytes[8];

    tls_sockets(&server_fd, &client_fd);
    struct tls_pair pair = { channel_plain(server_fd, NULL), channel_plain(client_fd, NULL) };
    assert_int_equal(channel_handshake(pair.server), 0);
    assert_int_equal(tls_carry(pair.server, pair.client, 100000), 0);
    assert_int_equal(channel_switch(pair.server, CHANNEL_TX, UINT64_MAX), 1);
    assert_string_equal(channel_why(pair.server, CHANNEL_TX), "plain");
    assert_string_equal(channel_facts(pair.server)->version, "");
    assert_int_equal(channel_close_notify(pair.server), 0);
    assert_int_equal(channel_read(pair.client, bytes, sizeof(bytes)), -EAGAIN);
    assert_int_equal(channel_events(pair.client), POLLIN);
    shutdown(server_fd, SHUT_WR);
    assert_int_equal(read_soon(pair.client, bytes, sizeof(bytes)), 0);
    assert_false(channel_worn(pair.server));
    tls_pair_free(&pair);
    channel_free(NULL);
}

static void an_idle_channel_gives_its_buffers_back(void **state)
{
    (void)state;
    struct ends ends = ends_new(NULL, 0, CONFIG_OFFLOAD_OFF);
    struct tls_pair pair = pair_shaken(&ends, NULL);

    assert_int_equal(tls_carry(pair.server, pair.client, 400000), 0);
    assert_true(pair.server->wire.out.capacity > 0 && pair.client->wire.in.capacity > 0);
    channel_trim(pair.server);
    channel_trim(pair.client);
    assert_int_equal(pair.server->wire.out.capacity, 0);
    assert_int_equal(pair.client->wire.in.capacity, 0);
    assert_int_equal(tls_carry(pair.server, pair.client, 400000), 0);
    tls_pair_free(&pair);
    ends_free(&ends);
}

/* What is read with little room is wiped; that must not meet a buffer that is not there any more. */
static void an_idle_channel_that_read_a_head_gives_its_buffers_back_again_and_again(void **state)
{
    (void)state;
    struct ends ends = ends_new(NULL, 0, CONFIG_OFFLOAD_OFF);
    struct tls_pair pair = pair_shaken(&ends, NULL);
    char bytes[64];

    for (int i = 0; i < 3; i++) {
        assert_int_equal(channel_write(pair.client, "head", 4), 4);
        assert_int_equal(channel_flush(pair.client), 0);
        assert_int_equal(read_soon(pair.server, bytes, sizeof(bytes)), 4);
        for (int j = 0; j < 2; j++) {
            channel_trim(pair.server);
            channel_trim(pair.client);
        }
    }
    tls_pair_free(&pair);
    ends_free(&ends);
}

static void a_busy_channel_keeps_openssls_buffers_until_it_is_idle(void **state)
{
    (void)state;
    struct ends ends = ends_new(NULL, 0, CONFIG_OFFLOAD_OFF);
    struct tls_pair pair = pair_shaken(&ends, NULL);
    char bytes[64];

    for (int i = 0; i < 3; i++) {
        channel_busy(pair.server);
        assert_int_equal(channel_write(pair.client, "head", 4), 4);
        assert_int_equal(channel_flush(pair.client), 0);
        assert_int_equal(read_soon(pair.server, bytes, sizeof(bytes)), 4);
        assert_memory_equal(bytes, "head", 4);
        for (int j = 0; j < 2; j++)
            channel_idle(pair.server);
        assert_int_equal(tls_carry(pair.server, pair.client, 40000), 0);
    }
    tls_pair_free(&pair);
    ends_free(&ends);
}

static void a_socket_that_was_emptied_is_not_asked_again(void **state)
{
    (void)state;
    struct ends ends = ends_new(NULL, 0, CONFIG_OFFLOAD_AUTO);
    struct tls_pair pair = pair_shaken(&ends, NULL);
    char bytes[64];

    channel_expect_head(pair.server);
    send_two(pair.client, "one", 3, "two", 3);
    assert_int_equal(read_soon(pair.server, bytes, sizeof(bytes)), 3);
    assert_false(channel_drained(pair.server)); /* the other record stands ready */
    assert_int_equal(read_soon(pair.server, bytes, sizeof(bytes)), 3);
    assert_memory_equal(bytes, "two", 3);
    assert_true(channel_drained(pair.server));
    assert_int_equal(channel_events(pair.server), POLLIN);
    assert_false(channel_drained(pair.server)); /* once for each read */
    assert_int_equal(channel_read(pair.server, bytes, sizeof(bytes)), -EAGAIN);
    tls_pair_free(&pair);
    ends_free(&ends);
}

static void what_only_the_kernel_may_decrypt_is_not_read_with_a_head(void **state)
{
    (void)state;
    struct ends ends = ends_new(NULL, 0, CONFIG_OFFLOAD_REQUIRED);
    struct tls_pair pair = pair_shaken(&ends, NULL);
    char bytes[64];

    channel_expect_head(pair.server);
    send_two(pair.client, "head", 4, "body", 4);
    assert_int_equal(read_soon(pair.server, bytes, sizeof(bytes)), 4);
    assert_memory_equal(bytes, "head", 4);
    assert_int_equal(wire_unread(&pair.server->wire), 0);
    assert_false(channel_pending(pair.server));
    tls_pair_free(&pair);
    ends_free(&ends);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(carries_bytes_both_ways_with_each_suite),
        cmocka_unit_test(many_records_leave_and_arrive_with_one_system_call),
        cmocka_unit_test(says_when_decrypted_bytes_or_whole_records_stand_ready),
        cmocka_unit_test(reads_one_record_at_a_time_while_the_switch_is_open),
        cmocka_unit_test(a_full_socket_makes_the_writer_wait_and_loses_nothing),
        cmocka_unit_test(a_channel_that_is_held_gathers_little_behind_a_full_socket),
        cmocka_unit_test(a_channel_that_is_held_keeps_no_buffer_once_all_is_sent),
        cmocka_unit_test(survives_reads_and_writes_of_any_shortness),
        cmocka_unit_test(ends_in_good_order_with_close_notify),
        cmocka_unit_test(reports_an_end_without_close_notify_as_truncation),
        cmocka_unit_test(reports_a_reset_as_a_broken_connection),
        cmocka_unit_test(tells_the_errors_of_a_socket_apart),
        cmocka_unit_test(a_peer_that_leaves_in_the_handshake_broke_the_connection),
        cmocka_unit_test(something_that_is_not_tls_is_refused),
        cmocka_unit_test(each_side_names_the_alert_of_an_untrusted_server),
        cmocka_unit_test(a_client_without_certificate_is_refused_where_one_is_required),
        cmocka_unit_test(sides_without_a_common_version_say_so),
        cmocka_unit_test(a_server_that_tolerates_a_bad_certificate_says_what_was_wrong),
        cmocka_unit_test(enforced_wants_to_be_asked_for_its_certificate),
        cmocka_unit_test(resumes_a_session_also_after_an_abrupt_end),
        cmocka_unit_test(follows_key_updates_of_the_peer_and_ends_where_they_are_too_many),
        cmocka_unit_test(renews_a_key_that_is_half_used_up_and_has_the_peer_renew_its_own),
        cmocka_unit_test(a_key_of_tls_12_wears_out_and_then_is_used_no_more),
        cmocka_unit_test(a_plain_channel_moves_bytes_and_has_nothing_to_say),
        cmocka_unit_test(an_idle_channel_gives_its_buffers_back),
        cmocka_unit_test(an_idle_channel_that_read_a_head_gives_its_buffers_back_again_and_again),
        cmocka_unit_test(a_busy_channel_keeps_openssls_buffers_until_it_is_idle),
        cmocka_unit_test(a_socket_that_was_emptied_is_not_asked_again),
        cmocka_unit_test(what_only_the_kernel_may_decrypt_is_not_read_with_a_head),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
