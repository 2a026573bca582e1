// rooms: http
#include "engine/http/http.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define LIMIT 4096
#define HOST "Host: h\r\n"

/* Feeds all at once from a block of exactly that size, so that AddressSanitizer sees a byte too far. */
static enum http_progress feed(struct http_reader *reader, const char *text, size_t *used)
{
    size_t length = strlen(text);
    char *copy = malloc(length ? length : 1);

    memcpy(copy, text, length);
    enum http_progress progress = http_reader_head(reader, copy, length, used);
    free(copy);
    return progress;
}

static struct http_reader *read_side(enum http_side side, bool to_head, const char *text, enum http_progress expected)
{
    struct http_reader *reader = http_reader_new(side, LIMIT);
    const char *why = NULL;
    size_t used;

    assert_non_null(reader);
    http_reader_next(reader, to_head);
    enum http_progress progress = feed(reader, text, &used);
    if (progress == HTTP_REFUSED && expected != HTTP_REFUSED) {
        http_reader_refusal(reader, &why);
        print_message("refused: %s\n", why);
    }
    assert_int_equal(progress, expected);
    return reader;
}

static struct http_reader *request(const char *text)
{
    return read_side(HTTP_REQUESTS, false, text, HTTP_COMPLETE);
}

static struct http_reader *response(const char *text)
{
    return read_side(HTTP_RESPONSES, false, text, HTTP_COMPLETE);
}

static void refused(enum http_side side, const char *text, unsigned status)
{
    struct http_reader *reader = read_side(side, false, text, HTTP_REFUSED);
    const char *why = NULL;

    if (http_reader_refusal(reader, &why) != status)
        print_message("%s: %s\n", text, why);
    assert_int_equal(http_reader_refusal(reader, &why), status);
    assert_true(why && *why);
    http_reader_free(reader);
}

struct case_ {
    unsigned status;
    const char *text;
};

static void all_refused(const struct case_ *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        refused(HTTP_REQUESTS, cases[i].text, cases[i].status);
}

#define ALL_REFUSED(cases) all_refused(cases, sizeof(cases) / sizeof *(cases))

static void reads_a_request(void **state)
{
    struct http_reader *reader =
        request("GET /a/b?c=d HTTP/1.1\r\nHost: node7:8443\r\nX-Empty:\r\nX: \t one two \t\r\n\r\n");
    const struct http_head *head = http_reader_result(reader);

    assert_int_equal(head->method, HTTP_GET);
    assert_string_equal(head->method_name, "GET");
    assert_string_equal(head->target, "/a/b?c=d");
    assert_string_equal(head->host, "node7:8443");
    assert_int_equal(head->minor, 1);
    assert_true(head->keep_alive);
    assert_int_equal(head->framing, HTTP_BODY_NONE);
    assert_int_equal(head->field_count, 3);
    assert_string_equal(http_field(head, "x-empty"), "");
    assert_string_equal(http_field(head, "X"), "one two");
    assert_null(http_field(head, "Y"));
    assert_int_equal(http_reader_refusal(reader, NULL), 0);
    http_reader_free(reader);
    (void)state;
}

static void reads_the_same_byte_by_byte(void **state)
{
    static const char text[] = "PUT /x HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\nExpect: 100-continue\r\n\r\n";
    struct http_reader *reader = http_reader_new(HTTP_REQUESTS, LIMIT);
    size_t used;

    assert_false(http_reader_began(reader));
    for (size_t i = 0; i + 1 < sizeof text - 1; i++) {
        assert_int_equal(http_reader_head(reader, text + i, 1, &used), HTTP_MORE);
        assert_int_equal(used, 1);
        assert_true(http_reader_began(reader));
    }
    assert_int_equal(http_reader_head(reader, text + sizeof text - 2, 1, &used), HTTP_COMPLETE);
    const struct http_head *head = http_reader_result(reader);
    assert_int_equal(head->method, HTTP_PUT);
    assert_int_equal(head->framing, HTTP_BODY_LENGTH);
    assert_int_equal(head->length, 12);
    assert_true(head->expect_continue);
    http_reader_free(reader);
    (void)state;
}

static void stops_exactly_where_the_head_ends(void **state)
{
    static const char first[] = "GET /1 HTTP/1.1\r\nHost: h\r\n\r\n", second[] = "HEAD /2 HTTP/1.1\r\nHost: h\r\n\r\n";
    struct http_reader *reader = http_reader_new(HTTP_REQUESTS, LIMIT);
    char both[sizeof first + sizeof second];
    size_t used;

    snprintf(both, sizeof both, "%s%s", first, second);
    assert_int_equal(feed(reader, both, &used), HTTP_COMPLETE);
    assert_int_equal(used, sizeof first - 1);
    assert_string_equal(http_reader_result(reader)->target, "/1");
    assert_int_equal(feed(reader, both + used, &used), HTTP_COMPLETE); /* until next(), it stays with the first */
    assert_int_equal(used, 0);
    http_reader_next(reader, false);
    assert_int_equal(feed(reader, both + sizeof first - 1, &used), HTTP_COMPLETE);
    assert_int_equal(used, sizeof second - 1);
    assert_int_equal(http_reader_result(reader)->method, HTTP_HEAD);
    assert_string_equal(http_reader_result(reader)->target, "/2");
    http_reader_free(reader);
    (void)state;
}

static void passes_over_a_few_empty_lines_ahead_of_a_request(void **state)
{
    struct http_reader *reader = http_reader_new(HTTP_REQUESTS, LIMIT);
    size_t used;

    assert_int_equal(feed(reader, "\r\n", &used), HTTP_MORE);
    assert_false(http_reader_began(reader));
    assert_int_equal(feed(reader, "\r\nGET / HTTP/1.1\r\n" HOST "\r\n", &used), HTTP_COMPLETE);
    assert_string_equal(http_reader_result(reader)->target, "/");
    http_reader_free(reader);
    refused(HTTP_REQUESTS, "\r\n\r\n\r\n\r\n\r\n", 400);
    refused(HTTP_RESPONSES, "\r\n", 400);
    (void)state;
}

static void takes_the_host_of_an_absolute_form(void **state)
{
    static const struct {
        const char *target, *host, *path;
    } cases[] = {
        { "http://a.example:80/x/y?z", "a.example:80", "/x/y?z" },
        { "HTTPS://[::1]/", "[::1]", "/" },
        { "http://a", "a", "/" },
        { "http://a?q=1", "a", "/?q=1" },
        { "https://abcdefghijklmnopqrstuvwxyz?q", "abcdefghijklmnopqrstuvwxyz", "/?q" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];
        snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: other\r\n\r\n", cases[i].target);
        struct http_reader *reader = request(text);
        assert_string_equal(http_reader_result(reader)->host, cases[i].host);
        assert_string_equal(http_reader_result(reader)->target, cases[i].path);
        assert_string_equal(http_reader_result(reader)->method_name, "GET");
        http_reader_free(reader);
    }
    (void)state;
}

static void refuses_a_malformed_request_line(void **state)
{
    static const struct case_ cases[] = {
        { 400, "GET\r\n\r\n" },
        { 400, "GET /\r\n" HOST "\r\n" },
        { 400, "GET  / HTTP/1.1\r\n" HOST "\r\n" },
        { 400, "GET /  HTTP/1.1\r\n" HOST "\r\n" },
        { 400, "GET / HTTP/1.1 \r\n" HOST "\r\n" },
        { 400, " GET / HTTP/1.1\r\n" HOST "\r\n" },
        { 400, "GET /a b HTTP/1.1\r\n" HOST "\r\n" },
        { 400, "GET\t/ HTTP/1.1\r\n" HOST "\r\n" },
        { 400, "G(T / HTTP/1.1\r\n" HOST "\r\n" },
        { 400, "GET a HTTP/1.1\r\n" HOST "\r\n" },
        { 400, "GET * HTTP/1.1\r\n" HOST "\r\n" },
        { 400, "GET ftp://h/ HTTP/1.1\r\n" HOST "\r\n" },
        { 400, "GET http:///x HTTP/1.1\r\n" HOST "\r\n" },
        { 400, "GET http://u@h/x HTTP/1.1\r\n" HOST "\r\n" },
        { 400, "GET /a#b HTTP/1.1\r\n" HOST "\r\n" },
        { 400, "GET /\xc3\xa4 HTTP/1.1\r\n" HOST "\r\n" },
        { 400, "GET / http/1.1\r\n" HOST "\r\n" },
        { 400, "GET / XTTP/1.1\r\n" HOST "\r\n" },
    };

    ALL_REFUSED(cases);
    (void)state;
}

static void speaks_only_http_1_0_and_1_1(void **state)
{
    static const struct case_ cases[] = {
        { 505, "GET / HTTP/2.0\r\n" HOST "\r\n" },  { 505, "GET / HTTP/1.2\r\n" HOST "\r\n" },
        { 505, "GET / HTTP/0.9\r\n" HOST "\r\n" },  { 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" },
        { 505, "GET / HTTP/1.10\r\n" HOST "\r\n" }, { 505, "GET / HTTP/2\r\n" HOST "\r\n" },
    };

    ALL_REFUSED(cases);
    http_reader_free(request("GET / HTTP/1.0\r\n\r\n"));
    (void)state;
}

static void refuses_what_it_does_not_offer(void **state)
{
    static const struct case_ cases[] = {
        { 501, "CONNECT h:443 HTTP/1.1\r\n" HOST "\r\n" },
        { 501, "BREW /pot HTTP/1.1\r\n" HOST "\r\n" },
        { 501, "get / HTTP/1.1\r\n" HOST "\r\n" },
        { 501, "GET / HTTP/1.1\r\n" HOST "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n" },
        { 501, "PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n" },
    };

    ALL_REFUSED(cases);
    (void)state;
}

static void names_methods_it_knows_but_does_not_serve(void **state)
{
    static const char *const methods[] = { "OPTIONS", "TRACE", "PATCH", "SEARCH" };

    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        char text[64];
        snprintf(text, sizeof text, "%s /x HTTP/1.1\r\n" HOST "\r\n", methods[i]);
        struct http_reader *reader = request(text);
        assert_int_equal(http_reader_result(reader)->method, HTTP_OTHER);
        assert_string_equal(http_reader_result(reader)->method_name, methods[i]);
        http_reader_free(reader);
    }
    struct http_reader *reader = request("OPTIONS * HTTP/1.1\r\n" HOST "\r\n");
    assert_string_equal(http_reader_result(reader)->target, "*");
    http_reader_free(reader);
    (void)state;
}

static void reads_a_post(void **state)
{
    struct http_reader *reader = request("POST /a HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\n");
    const struct http_head *head = http_reader_result(reader);

    assert_int_equal(head->method, HTTP_POST);
    assert_int_equal(head->length, 3);
    http_reader_free(reader);
    (void)state;
}

static void reads_a_deletion(void **state)
{
    struct http_reader *reader = request("DELETE /a/b HTTP/1.1\r\n" HOST "If-Match: \"x\"\r\n\r\n");
    const struct http_head *head = http_reader_result(reader);

    assert_int_equal(head->method, HTTP_DELETE);
    assert_string_equal(head->method_name, "DELETE");
    assert_int_equal(head->framing, HTTP_BODY_NONE);
    http_reader_free(reader);
    (void)state;
}

static void takes_one_login_and_not_two(void **state)
{
    static const struct case_ cases[] = {
        { 400, "GET / HTTP/1.1\r\n" HOST "Authorization: Basic YTpi\r\nAuthorization: Basic YTpi\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\n" HOST "Authorization: Basic YTpi\r\nauthorization: Basic Yzpk\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\nAuthorization: \r\n" HOST "AUTHORIZATION: Basic YTpi\r\n\r\n" },
    };

    ALL_REFUSED(cases);
    struct http_reader *reader = request("GET / HTTP/1.1\r\n" HOST "AUTHORIZATION:  Basic YTpi \r\n\r\n");
    assert_string_equal(http_field(http_reader_result(reader), "Authorization"), "Basic YTpi");
    http_reader_free(reader);
    (void)state;
}

/* A reader is kept for the next request, and so would be the password. */
static void forgets_a_head_by_overwriting_it(void **state)
{
    struct http_reader *reader = request("GET / HTTP/1.1\r\n" HOST "Authorization: Basic YTpi\r\n\r\n");
    const char *login = http_field(http_reader_result(reader), "Authorization");

    assert_string_equal(login, "Basic YTpi");
    http_reader_next(reader, false);
    for (size_t i = 0; i < strlen("Basic YTpi"); i++)
        assert_int_equal(login[i], '\0');
    http_reader_free(reader);
    (void)state;
}

static void overwrites_one_field_and_leaves_the_others(void **state)
{
    struct http_reader *reader =
        request("GET /x HTTP/1.1\r\n" HOST "X: one\r\nAUTHORIZATION: Basic YTpi\r\nAuthorization2: two\r\n\r\n");
    const struct http_head *head = http_reader_result(reader);
    const char *login = http_field(head, "Authorization");

    http_field_wipe(head, "Authorization");
    for (size_t i = 0; i < strlen("Basic YTpi"); i++)
        assert_int_equal(login[i], '\0');
    assert_string_equal(http_field(head, "Authorization"), "");
    assert_string_equal(http_field(head, "X"), "one");
    assert_string_equal(http_field(head, "Authorization2"), "two");
    http_field_wipe(head, "Authorization");
    http_field_wipe(head, "None");
    http_reader_free(reader);
    (void)state;
}

static void wants_exactly_one_host(void **state)
{
    static const struct case_ cases[] = {
        { 400, "GET / HTTP/1.1\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n" },
        { 400, "GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\nHost: u@h\r\n\r\n" },
        { 400, "GET http://h/ HTTP/1.1\r\n\r\n" },
    };

    ALL_REFUSED(cases);
    struct http_reader *reader = request("GET / HTTP/1.0\r\n\r\n");
    assert_string_equal(http_reader_result(reader)->host, "");
    http_reader_free(reader);
    (void)state;
}

static void refuses_an_ambiguous_framing(void **state)
{
    static const struct case_ cases[] = {
        { 400, "PUT / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" },
        { 400, "PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n" },
        { 400, "PUT / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nContent-Length: 6\r\n\r\n" },
        { 400, "PUT / HTTP/1.1\r\n" HOST "Content-Length: 5, 5\r\n\r\n" },
        { 400, "PUT / HTTP/1.1\r\n" HOST "Content-Length: +5\r\n\r\n" },
        { 400, "PUT / HTTP/1.1\r\n" HOST "Content-Length: -5\r\n\r\n" },
        { 400, "PUT / HTTP/1.1\r\n" HOST "Content-Length: 0x5\r\n\r\n" },
        { 400, "PUT / HTTP/1.1\r\n" HOST "Content-Length: 5 5\r\n\r\n" },
        { 400, "PUT / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n" },
        { 400, "PUT / HTTP/1.1\r\n" HOST "Content-Length: 9223372036854775808\r\n\r\n" },
        { 400, "PUT / HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999999\r\n\r\n" },
        { 400, "PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, chunked\r\n\r\n" },
        { 400, "PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" },
        { 400, "PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, gzip\r\n\r\n" },
        { 400, "PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked;q=1\r\n\r\n" },
        { 400, "PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n" },
        { 400, "PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding: identity\r\n\r\n" },
        { 400, "PUT / HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n\r\n" },
        { 400, "PUT / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n" },
        { 400, "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" },
    };

    ALL_REFUSED(cases);
    (void)state;
}

static void refuses_bytes_that_readers_disagree_about(void **state)
{
    static const struct case_ cases[] = {
        { 400, "GET / HTTP/1.1\n" HOST "\r\n" },
        { 400, "GET / HTTP/1.1\r\nHost: h\n\r\n" },
        { 400, "GET / HTTP/1.1\r\nHost: h\r\n\n" },
        { 400, "GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\nHost: h\r\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\n" HOST "X: a\r\n\tb\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\n Host: h\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\n" HOST "X: a\x01\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\n" HOST "X: a\x7f\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\n" HOST "X : a\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\n" HOST "X y: a\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\n" HOST "X\xe4: a\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\n" HOST "(X): a\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\n" HOST ": a\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\n" HOST "no colon\r\n\r\n" },
        { 400, "GET / HTTP/1.1\r\n" HOST "nocolon\r\n\r\n" },
        { 400, "\x16\x03\x01\x02" },
    };

    ALL_REFUSED(cases);
    struct http_reader *reader = http_reader_new(HTTP_REQUESTS, LIMIT);
    size_t used;
    assert_int_equal(http_reader_head(reader, "GET /\0", 6, &used), HTTP_REFUSED);
    assert_int_equal(http_reader_head(reader, "x", 1, &used), HTTP_REFUSED); /* and stays so */
    http_reader_free(reader);
    reader = request("GET / HTTP/1.1\r\n" HOST "X: a\tb \xe4\r\n\r\n");
    assert_string_equal(http_field(http_reader_result(reader), "x"), "a\tb \xe4");
    http_reader_free(reader);
    (void)state;
}

static char *long_head(const char *start, char fill, size_t count, const char *end)
{
    char *text = malloc(strlen(start) + count + strlen(end) + 1);

    char *next = stpcpy(text, start);
    memset(next, fill, count);
    strcpy(next + count, end);
    return text;
}

static void refuses_a_head_beyond_the_limit(void **state)
{
    char *target = long_head("GET /", 'a', LIMIT, " HTTP/1.1\r\n" HOST "\r\n");
    char *field = long_head("GET / HTTP/1.1\r\n" HOST "X: ", 'a', LIMIT, "\r\n\r\n");
    size_t fixed = strlen("GET / HTTP/1.1\r\n" HOST "X: \r\n\r\n");
    char *fits = long_head("GET / HTTP/1.1\r\n" HOST "X: ", 'a', LIMIT - fixed, "\r\n\r\n");
    char *over = long_head("GET / HTTP/1.1\r\n" HOST "X: ", 'a', LIMIT - fixed + 1, "\r\n\r\n");

    refused(HTTP_REQUESTS, target, 414);
    refused(HTTP_REQUESTS, field, 431);
    refused(HTTP_REQUESTS, over, 431);
    refused(HTTP_RESPONSES, target, 431);
    http_reader_free(request(fits));
    free(target);
    free(field);
    free(fits);
    free(over);
    (void)state;
}

/* Whatever the library's own limits are: 80 KiB for http_parser. */
static void refuses_what_is_too_long_for_the_library_or_the_target(void **state)
{
    struct http_reader *reader = http_reader_new(HTTP_REQUESTS, 1 << 20);
    char *field = long_head("GET / HTTP/1.1\r\n" HOST "X: ", 'a', 200 << 10, "\r\n\r\n");
    char *target = long_head("GET /", 'a', 20000, " HTTP/1.1\r\n" HOST "\r\n");
    size_t used;

    if (feed(reader, field, &used) == HTTP_REFUSED)
        assert_int_equal(http_reader_refusal(reader, NULL), 431);
    else
        assert_int_equal(strlen(http_field(http_reader_result(reader), "X")), 200 << 10);
    http_reader_next(reader, false);
    assert_int_equal(feed(reader, target, &used), HTTP_REFUSED);
    assert_int_equal(http_reader_refusal(reader, NULL), 414);
    http_reader_free(reader);
    free(field);
    free(target);
    (void)state;
}

static void takes_as_many_fields_as_fit_and_no_more(void **state)
{
    for (int extra = 0; extra < 2; extra++) {
        char text[LIMIT] = "GET / HTTP/1.1\r\n" HOST;
        size_t length = strlen(text);
        for (int i = 1; i < HTTP_FIELDS_MAX + extra; i++)
            length += (size_t)snprintf(text + length, sizeof text - length, "X%d: %d\r\n", i, i);
        strcpy(text + length, "\r\n");
        if (extra) {
            refused(HTTP_REQUESTS, text, 431);
            continue;
        }
        struct http_reader *reader = request(text);
        assert_int_equal(http_reader_result(reader)->field_count, HTTP_FIELDS_MAX);
        assert_string_equal(http_field(http_reader_result(reader), "x127"), "127");
        http_reader_free(reader);
    }
    (void)state;
}

static void keeps_the_connection_as_both_sides_say(void **state)
{
    static const struct {
        const char *text;
        bool keep;
    } cases[] = {
        { "GET / HTTP/1.1\r\n" HOST "\r\n", true },
        { "GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", false },
        { "GET / HTTP/1.1\r\n" HOST "Connection: x, CLOSE\r\n\r\n", false },
        { "GET / HTTP/1.1\r\n" HOST "Connection: x\r\nConnection: close\r\n\r\n", false },
        { "GET / HTTP/1.1\r\n" HOST "Connection: closed\r\n\r\n", true },
        { "GET / HTTP/1.0\r\n\r\n", false },
        { "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true },
        { "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_reader *reader = request(cases[i].text);
        assert_int_equal(http_reader_result(reader)->keep_alive, cases[i].keep);
        http_reader_free(reader);
    }
    (void)state;
}

static void frames_the_body_of_any_request(void **state)
{
    static const struct {
        const char *text;
        enum http_framing framing;
        uint64_t length;
    } cases[] = {
        { "GET / HTTP/1.1\r\n" HOST "Content-Length: 7\r\n\r\n", HTTP_BODY_LENGTH, 7 },
        { "HEAD / HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\r\n\r\n", HTTP_BODY_CHUNKED, 0 },
        { "PUT / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", HTTP_BODY_LENGTH, 0 },
        { "PUT / HTTP/1.1\r\n" HOST "Content-Length: 9223372036854775807\r\n\r\n", HTTP_BODY_LENGTH, INT64_MAX },
        { "PUT / HTTP/1.1\r\n" HOST "\r\n", HTTP_BODY_NONE, 0 },
        { "PUT / HTTP/1.0\r\nContent-Length: 3\r\n\r\n", HTTP_BODY_LENGTH, 3 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct http_reader *reader = request(cases[i].text);
        assert_int_equal(http_reader_result(reader)->framing, cases[i].framing);
        assert_int_equal(http_reader_result(reader)->length, cases[i].length);
        http_reader_free(reader);
    }
    (void)state;
}

static void expects_continue_only_in_http_1_1(void **state)
{
    struct http_reader *reader = request("PUT / HTTP/1.0\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    assert_false(http_reader_result(reader)->expect_continue);
    http_reader_free(reader);
    reader = request("PUT / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nexpect: 100-Continue\r\n\r\n");
    assert_true(http_reader_result(reader)->expect_continue);
    http_reader_free(reader);
    (void)state;
}

static void joins_fields_of_one_name(void **state)
{
    struct http_reader *reader = request("GET / HTTP/1.1\r\n" HOST "A: 1\r\nB: x\r\na: 22\r\n\r\n");
    const struct http_head *head = http_reader_result(reader);
    char buffer[6];

    assert_string_equal(http_field_joined(head, "A", buffer, sizeof buffer), "1, 22");
    assert_null(http_field_joined(head, "A", buffer, sizeof buffer - 1));
    assert_null(http_field_joined(head, "C", buffer, sizeof buffer));
    http_reader_free(reader);
    (void)state;
}

static void reads_a_response(void **state)
{
    struct http_reader *reader = response("HTTP/1.1 206 Partial Content\r\nContent-Length: 10\r\n\r\nxyz");
    const struct http_head *head = http_reader_result(reader);

    assert_int_equal(head->status, 206);
    assert_int_equal(head->framing, HTTP_BODY_LENGTH);
    assert_int_equal(head->length, 10);
    assert_true(head->keep_alive);
    http_reader_free(reader);
    http_reader_free(response("HTTP/1.1 200\r\n\r\n"));
    http_reader_free(response("HTTP/1.1 200 \r\n\r\n"));
    http_reader_free(response("HTTP/1.1 599 R\xe9sum\xe9\r\n\r\n"));
    http_reader_free(response("HTTP/1.1 200 OK\r\nUpgrade: h2,h2c\r\nConnection: Upgrade, Keep-Alive\r\n\r\n"));
    (void)state;
}

static void knows_which_responses_have_no_body(void **state)
{
    static const char *const without[] = {
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
    };

    for (size_t i = 0; i < sizeof without / sizeof *without; i++) {
        struct http_reader *reader = response(without[i]);
        assert_int_equal(http_reader_result(reader)->framing, HTTP_BODY_NONE);
        assert_true(http_reader_result(reader)->keep_alive);
        http_reader_free(reader);
    }
    struct http_reader *reader =
        read_side(HTTP_RESPONSES, true, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", HTTP_COMPLETE);
    assert_int_equal(http_reader_result(reader)->framing, HTTP_BODY_NONE);
    assert_int_equal(http_reader_result(reader)->length, 9);
    http_reader_free(reader);
    (void)state;
}

static void takes_a_response_without_length_to_the_end(void **state)
{
    struct http_reader *reader = response("HTTP/1.1 200 OK\r\n\r\n");

    assert_int_equal(http_reader_result(reader)->framing, HTTP_BODY_TO_END);
    assert_false(http_reader_result(reader)->keep_alive);
    http_reader_free(reader);
    (void)state;
}

static void refuses_a_malformed_response(void **state)
{
    static const char *const texts[] = {
        "HTTP/1.1\r\n\r\n",
        "HTTP/1.1 20\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 099 Low\r\n\r\n",
        "HTTP/1.1 600 High\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.1 +20 OK\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        refused(HTTP_RESPONSES, texts[i], 400);
    refused(HTTP_RESPONSES, "HTTP/2 200\r\n\r\n", 505);
    refused(HTTP_RESPONSES, "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501);
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_request),
        cmocka_unit_test(reads_the_same_byte_by_byte),
        cmocka_unit_test(stops_exactly_where_the_head_ends),
        cmocka_unit_test(passes_over_a_few_empty_lines_ahead_of_a_request),
        cmocka_unit_test(takes_the_host_of_an_absolute_form),
        cmocka_unit_test(refuses_a_malformed_request_line),
        cmocka_unit_test(speaks_only_http_1_0_and_1_1),
        cmocka_unit_test(refuses_what_it_does_not_offer),
        cmocka_unit_test(names_methods_it_knows_but_does_not_serve),
        cmocka_unit_test(reads_a_deletion),
        cmocka_unit_test(reads_a_post),
        cmocka_unit_test(takes_one_login_and_not_two),
        cmocka_unit_test(forgets_a_head_by_overwriting_it),
        cmocka_unit_test(overwrites_one_field_and_leaves_the_others),
        cmocka_unit_test(wants_exactly_one_host),
        cmocka_unit_test(refuses_an_ambiguous_framing),
        cmocka_unit_test(refuses_bytes_that_readers_disagree_about),
        cmocka_unit_test(refuses_a_head_beyond_the_limit),
        cmocka_unit_test(refuses_what_is_too_long_for_the_library_or_the_target),
        cmocka_unit_test(takes_as_many_fields_as_fit_and_no_more),
        cmocka_unit_test(keeps_the_connection_as_both_sides_say),
        cmocka_unit_test(frames_the_body_of_any_request),
        cmocka_unit_test(expects_continue_only_in_http_1_1),
        cmocka_unit_test(joins_fields_of_one_name),
        cmocka_unit_test(reads_a_response),
        cmocka_unit_test(knows_which_responses_have_no_body),
        cmocka_unit_test(takes_a_response_without_length_to_the_end),
        cmocka_unit_test(refuses_a_malformed_response),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
