// rooms: support client
#include "tests/unit/client_rig.h"

#define JSON "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"

struct seen {
    unsigned count;
    unsigned stop_after; /* 0: never */
    char text[512];
};

static int see(void *argument, const struct client_entry *entry)
{
    struct seen *seen = argument;
    size_t length = strlen(seen->text);
    snprintf(seen->text + length, sizeof seen->text - length, "%s%s %llu %s;", entry->name, entry->directory ? "/" : "",
             (unsigned long long)entry->size, entry->modified);
    return ++seen->count == seen->stop_after;
}

/* One listing as the answer to one request, with Content-Length. */
static void start_listing(const char *type, const char *body)
{
    static char answer[4096];
    static struct script_step steps[] = { { HEAR_HEAD, NULL, 0 }, { SAY, answer, 0 }, { SCRIPT_END, NULL, 0 } };
    snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n%s", type,
             strlen(body), body);
    start_server(steps, false);
    open_client();
}

static void lists_files_and_directories(void **state)
{
    (void)state;
    struct seen seen = { 0 };
    start_listing("application/json; charset=utf-8",
                  "[ { \"name\":\"sub\", \"type\":\"directory\", \"mtime\":\"Sat, 21 Nov 2026 03:18:03 GMT\" },\n"
                  "{ \"name\":\"b\\u00e9.bin\", \"type\":\"file\", \"mtime\":\"M\", \"size\":9007199254740993 },\n"
                  "{ \"name\":\"socket\", \"type\":\"other\" }, { \"name\":\"e\", \"type\":\"file\", \"size\":0 } ]");
    assert_int_equal(client_list(client, "a b", see, &seen), CLIENT_OK);
    assert_string_equal(seen.text, "sub/ 0 Sat, 21 Nov 2026 03:18:03 GMT;b\xc3\xa9.bin 9007199254740993 M;e 0 ;");
    end_play();
    assert_says(notes.heads[0], "GET /a%20b/ HTTP/1.1\r\n");
    assert_says(notes.heads[0], "\r\nAccept: application/json\r\n");
}

static void lists_the_root_and_an_empty_directory(void **state)
{
    (void)state;
    struct seen seen = { 0 };
    start_listing("application/json", "[]");
    assert_int_equal(client_list(client, "", see, &seen), CLIENT_OK);
    assert_int_equal(seen.count, 0);
    end_play();
    assert_says(notes.heads[0], "GET / HTTP/1.1\r\n");
}

static void ends_when_the_visitor_has_seen_enough(void **state)
{
    (void)state;
    struct seen seen = { .stop_after = 1 };
    start_listing("application/json", "[{\"name\":\"a\",\"type\":\"file\"},{\"name\":\"b\",\"type\":\"file\"}]");
    assert_int_equal(client_list(client, "x/", see, &seen), CLIENT_OK);
    assert_int_equal(seen.count, 1);
}

static void takes_a_chunked_listing_and_keeps_the_connection(void **state)
{
    (void)state;
    struct seen seen = { 0 };
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, JSON "5\r\n[{\"na\r\n", 0 }, { PAUSE, NULL, 50 },
         { SAY, "17\r\nme\":\"a\",\"type\":\"file\"}]\r\n0\r\n\r\n", 0 }, { HEAR_HEAD, NULL, 0 },
         { SAY, JSON "2\r\n[]\r\n0\r\n\r\n", 0 });
    assert_int_equal(client_list(client, "x/", see, &seen), CLIENT_OK);
    assert_string_equal(seen.text, "a 0 ;");
    assert_int_equal(client_list(client, "x/", see, &seen), CLIENT_OK);
    end_play();
    assert_int_equal(notes.connections, 1);
}

static void refuses_names_that_lead_elsewhere(void **state)
{
    (void)state;
    static const char *const names[] = { "..", ".", "", "a/b", "/etc/passwd", "../x", "a\\u0000b" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct seen seen = { 0 };
        char body[200];
        snprintf(body, sizeof body, "[{\"name\":\"good\",\"type\":\"file\"},{\"name\":\"%s\",\"type\":\"file\"}]",
                 names[i]);
        start_listing("application/json", body);
        int result = client_list(client, "x/", see, &seen);
        assert_int_equal(result, CLIENT_SERVER);
        assert_true(client_reason(client)[0]);
        assert_int_equal(seen.count, 0);
        end_play();
    }
}

static void refuses_what_is_not_a_listing(void **state)
{
    (void)state;
    static const struct {
        const char *type, *body, *sentence;
    } cases[] = {
        { "text/html", "<html>", "answers with text/html, not with a listing in JSON" },
        { "application/json", "", "not a listing in JSON" },
        { "application/json", "[{\"name\":\"a\"", "not a listing in JSON" },
        { "application/json", "{\"name\":\"a\"}", "it is not an array" },
        { "application/json", "[{\"name\":\"a\"}]", "no name or no type" },
        { "application/json", "[{\"name\":7,\"type\":\"file\"}]", "no name or no type" },
        { "application/json", "[7]", "no name or no type" },
        { "application/json", "[[[]]]", "no name or no type" },
        { "application/json", "[,]", "not a listing in JSON" },
        { "application/json", "[{\"name\":\"a\",\"type\":\"file\"},]", "not a listing in JSON" },
        { "application/json", "[{\"name\":\"a\",\"type\":\"file\"} {}]", "followed by neither a comma nor the end" },
        { "application/json", "[{\"name\":\"a\",\"type\":\"file\"}", "followed by neither a comma nor the end" },
        { "application/json", "[{\"name\":\"a\",\"type\":\"file\"}]]", "something follows its end" },
        { "application/json", "[] []", "something follows its end" },
        { "application/json", "[", "not a listing in JSON" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct seen seen = { 0 };
        start_listing(cases[i].type, cases[i].body);
        assert_fails(client_list(client, "x/", see, &seen), CLIENT_SERVER, cases[i].sentence);
        assert_int_equal(seen.count, 0);
        end_play();
    }
}

static void refuses_a_listing_without_end(void **state)
{
    (void)state;
    struct seen seen = { 0 };
    PLAY({ HEAR_HEAD, NULL, 0 },
         { SAY, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 33554432\r\n\r\n", 0 },
         { SAY_BODY, NULL, (size_t)32 << 20 });
    assert_fails(client_list(client, "x/", see, &seen), CLIENT_SERVER, "longer than 16 MiB");
}

/* Whatever there is of it, one entry is in memory at a time, and one is small. */
static void refuses_an_entry_that_is_large(void **state)
{
    (void)state;
    struct seen seen = { 0 };
    static char answer[100200];
    char *at = stpcpy(answer, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100002\r\n\r\n[[");
    for (int i = 0; i < 50000; i++)
        at = stpcpy(at, "0,");
    static const struct script_step steps[] = { { HEAR_HEAD, NULL, 0 }, { SAY, answer, 0 }, { SCRIPT_END, NULL, 0 } };
    start_server(steps, false);
    open_client();
    assert_fails(client_list(client, "x/", see, &seen), CLIENT_SERVER, "longer than 64 KiB");
    assert_int_equal(seen.count, 0);
}

#define DRIP                                                                                                           \
    { SAY, " ", 0 },                                                                                                   \
    {                                                                                                                  \
        PAUSE, NULL, 200                                                                                               \
    }

/* A byte now and then is progress, but not for ever. */
static void gives_up_a_listing_that_comes_by_drops(void **state)
{
    (void)state;
    struct seen seen = { 0 };
    options.idle_timeout = 600;
    PLAY({ HEAR_HEAD, NULL, 0 },
         { SAY, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n", 0 }, DRIP, DRIP,
         DRIP, DRIP, DRIP, DRIP, DRIP, DRIP, DRIP, DRIP, { SAY, "[]", 0 });
    assert_fails(client_list(client, "x/", see, &seen), CLIENT_CUT, "in the middle of the listing");
}

static void tells_of_a_listing_that_is_cut(void **state)
{
    (void)state;
    struct seen seen = { 0 };
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, JSON "2\r\n[]\r\n", 0 }, { CUT, NULL, 0 });
    assert_fails(client_list(client, "x/", see, &seen), CLIENT_CUT, "in the middle of the listing");
}

static void tells_that_there_is_no_such_directory(void **state)
{
    (void)state;
    struct seen seen = { 0 };
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, "HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nno", 0 });
    assert_fails(client_list(client, "x/", see, &seen), CLIENT_REFUSED, "404 Not Found");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lists_files_and_directories),
        TEST(lists_the_root_and_an_empty_directory),
        TEST(ends_when_the_visitor_has_seen_enough),
        TEST(takes_a_chunked_listing_and_keeps_the_connection),
        TEST(refuses_names_that_lead_elsewhere),
        TEST(refuses_what_is_not_a_listing),
        TEST(refuses_a_listing_without_end),
        TEST(tells_of_a_listing_that_is_cut),
        TEST(tells_that_there_is_no_such_directory),
        TEST(refuses_an_entry_that_is_large),
        TEST(gives_up_a_listing_that_comes_by_drops),
    };
    return cmocka_run_group_tests(tests, begin_group, end_group);
}
