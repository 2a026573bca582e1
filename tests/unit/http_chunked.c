// rooms: http
#include "engine/http/http.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define LIMIT 1024
#define HEAD "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"

static struct http_reader *chunked_reader(void)
{
    struct http_reader *reader = http_reader_new(HTTP_REQUESTS, LIMIT);
    size_t used;

    assert_non_null(reader);
    assert_int_equal(http_reader_head(reader, HEAD, strlen(HEAD), &used), HTTP_COMPLETE);
    assert_int_equal(http_reader_result(reader)->framing, HTTP_BODY_CHUNKED);
    return reader;
}

struct outcome {
    char body[4096];
    size_t length, used;
    bool end;
    int error;
};

/* Decodes in steps of `step` bytes, each in a block of exactly that size. */
static struct outcome decode(struct http_reader *reader, const char *text, size_t size, size_t step)
{
    struct outcome outcome = { 0 };

    for (size_t at = 0; at < size && !outcome.end && !outcome.error; at += step) {
        size_t piece = size - at < step ? size - at : step, used;
        char *bytes = malloc(piece);
        memcpy(bytes, text + at, piece);
        ssize_t n = http_reader_chunked(reader, bytes, piece, &used, &outcome.end);
        if (n < 0) {
            outcome.error = (int)n;
        } else {
            assert_true(outcome.end || used == piece);
            assert_true(outcome.length + (size_t)n < sizeof outcome.body);
            memcpy(outcome.body + outcome.length, bytes, (size_t)n);
            outcome.length += (size_t)n;
            outcome.used += used;
        }
        free(bytes);
    }
    return outcome;
}

static void decodes_however_it_is_split(void **state)
{
    static const char text[] = "5\r\nhello\r\n00C;x=y\r\n, wide world\r\n1\r\n!\r\n0\r\nDigest: x\r\n\r\nGET /next";
    size_t body_size = strlen(text) - strlen("GET /next");

    for (size_t step = 1; step <= sizeof text; step++) {
        struct http_reader *reader = chunked_reader();
        struct outcome outcome = decode(reader, text, strlen(text), step);
        assert_int_equal(outcome.error, 0);
        assert_true(outcome.end);
        assert_int_equal(outcome.used, body_size);
        assert_int_equal(outcome.length, strlen("hello, wide world!"));
        assert_memory_equal(outcome.body, "hello, wide world!", outcome.length);
        http_reader_free(reader);
    }
    (void)state;
}

static void goes_on_with_the_next_request(void **state)
{
    struct http_reader *reader = chunked_reader();
    struct outcome outcome = decode(reader, "0\r\n\r\n", 5, 5);
    size_t used;

    assert_true(outcome.end);
    assert_int_equal(outcome.length, 0);
    http_reader_next(reader, false);
    assert_int_equal(http_reader_head(reader, HEAD, strlen(HEAD), &used), HTTP_COMPLETE);
    outcome = decode(reader, "2\r\nok\r\n0\r\n\r\n", 12, 3);
    assert_true(outcome.end);
    assert_memory_equal(outcome.body, "ok", 2);
    http_reader_free(reader);
    (void)state;
}

static void decodes_a_chunked_response(void **state)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    struct http_reader *reader = http_reader_new(HTTP_RESPONSES, LIMIT);
    size_t used;

    assert_int_equal(http_reader_head(reader, head, strlen(head), &used), HTTP_COMPLETE);
    struct outcome outcome = decode(reader, "3\r\nabc\r\n0\r\n\r\n", 13, 4);
    assert_true(outcome.end);
    assert_int_equal(outcome.length, 3);
    http_reader_free(reader);
    (void)state;
}

static void refuses_a_malformed_chunk(void **state)
{
    static const char *const texts[] = {
        "x\r\n",
        "\r\n",
        ";x\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\rhello\r\n0\r\n\r\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "5;a\rb\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhelloXX0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "10000000000000000\r\n",
        "fffffffffffffffff\r\n",
        "0\r\n\n",
        "0\r\nX: a\n\r\n",
        "0\r\n X: a\r\n\r\n",
        "0\r\nX: a\r\n b\r\n\r\n",
        "0\r\nX: \x01\r\n\r\n",
    };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        size_t steps[] = { 1, 2, strlen(texts[i]) };
        for (size_t k = 0; k < 3; k++) {
            struct http_reader *reader = chunked_reader();
            struct outcome outcome = decode(reader, texts[i], strlen(texts[i]), steps[k]);
            if (outcome.error != -EBADMSG)
                print_message("taken: %s\n", texts[i]);
            assert_int_equal(outcome.error, -EBADMSG);
            assert_false(outcome.end);
            outcome = decode(reader, "0\r\n\r\n", 5, 5); /* and stays refused */
            assert_int_equal(outcome.error, -EBADMSG);
            http_reader_free(reader);
        }
    }
    (void)state;
}

static void bounds_extensions_and_trailers(void **state)
{
    char text[2 * LIMIT];

    for (int trailer = 0; trailer < 2; trailer++) {
        struct http_reader *reader = chunked_reader();
        memset(text, 'a', sizeof text);
        memcpy(text, trailer ? "0\r\nX:" : "5;abc", 5);
        struct outcome outcome = decode(reader, text, sizeof text, 100);
        assert_int_equal(outcome.error, -EBADMSG);
        http_reader_free(reader);
    }
    (void)state;
}

static void takes_a_body_of_any_length(void **state)
{
    struct http_reader *reader = chunked_reader();
    size_t total = 0;

    for (int i = 0; i < 10000; i++) {
        struct outcome outcome = decode(reader, "4\r\nabcd\r\n", 9, 9);
        assert_int_equal(outcome.error, 0);
        total += outcome.length;
    }
    assert_int_equal(total, 40000);
    http_reader_free(reader);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_however_it_is_split),    cmocka_unit_test(goes_on_with_the_next_request),
        cmocka_unit_test(decodes_a_chunked_response),     cmocka_unit_test(refuses_a_malformed_chunk),
        cmocka_unit_test(bounds_extensions_and_trailers), cmocka_unit_test(takes_a_body_of_any_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
