// rooms: support client
#include "tests/unit/client_rig.h"

#include "engine/client/manifest.h"

#define TIMES "\"mtime\":\"1700000000.123456789\",\"mode\":\"0640\""
#define FILE_A "{\"path\":\"a\",\"type\":\"file\",\"size\":5," TIMES ",\"etag\":\"x\"}\n"
#define END(n) "{\"end\":true,\"entries\":" #n "}\n"

struct seen {
    unsigned count;
    unsigned stop_after; /* 0: never */
    char text[1024];
};

static int see(void *argument, const struct manifest_node *node)
{
    static const char *const kinds[] = { "file", "directory", "link", "fault" };
    struct seen *seen = argument;
    size_t length = strlen(seen->text);
    snprintf(seen->text + length, sizeof seen->text - length, "%s %s %llu %lld.%09ld %o %s%s%s;", kinds[node->kind],
             node->path, (unsigned long long)node->size, (long long)node->modified.tv_sec, node->modified.tv_nsec,
             node->mode, node->target ? node->target : "", node->reason ? node->reason : "",
             node->to_file ? " to file" : "");
    return ++seen->count == seen->stop_after ? 77 : 0;
}

static int feed_all(struct manifest_reader *reader, const char *text, size_t at_once)
{
    size_t length = strlen(text);
    int result = 0;
    for (size_t i = 0; i < length && result == 0; i += at_once)
        result = manifest_feed(reader, text + i, i + at_once < length ? at_once : length - i);
    return result;
}

static void tells_of_what_it_reads_however_it_arrives(void **state)
{
    (void)state;
    static const char text[] =
        "{\"path\":\"b%20c\",\"type\":\"directory\"," TIMES "}\n"
        "{\"path\":\"b%20c/%FF%0A%25\",\"type\":\"file\",\"size\":9007199254740993," TIMES ",\"etag\":\"x\"}\n"
        "{\"path\":\"l\",\"type\":\"link\",\"target\":\"../x%0A\",\"to\":\"file\",\"size\":7," TIMES "}\n"
        "{\"path\":\"\",\"type\":\"fault\",\"reason\":\"no\"}\n" END(4);
    static const char wanted[] = "directory b c 0 1700000000.123456789 640 ;"
                                 "file b c/\xff\n% 9007199254740993 1700000000.123456789 640 ;"
                                 "link l 7 1700000000.123456789 640 ../x\n to file;"
                                 "fault  0 0.000000000 0 no;";
    static struct manifest_reader reader;
    for (size_t at_once = 1; at_once <= sizeof text; at_once += at_once < 4 ? 1 : 97) {
        struct seen seen = { 0 };
        reader = (struct manifest_reader){ .visit = see, .argument = &seen };
        assert_int_equal(feed_all(&reader, text, at_once), 0);
        assert_string_equal(seen.text, wanted);
        assert_true(reader.ended);
    }
}

static void refuses_paths_that_lead_out_or_are_none(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "..", "../x",  "a/../b", "a/..", "/etc/passwd", "%2Fetc", "%2E%2E/x", ".",    "a/./b", "a//b",       "a/",
        "",   "a%00b", "%zz",    "a%2",  "a?b",         "%2e%2e", "a/%2E",    "a%2F", "%2F",   "a%2F..%2Fb",
    };
    static struct manifest_reader reader;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct seen seen = { 0 };
        char line[200];
        snprintf(line, sizeof line, "{\"path\":\"%s\",\"type\":\"file\",\"size\":5," TIMES "}\n", paths[i]);
        reader = (struct manifest_reader){ .visit = see, .argument = &seen };
        assert_int_equal(manifest_feed(&reader, line, strlen(line)), -EBADMSG);
        assert_int_equal(seen.count, 0);
        assert_says(reader.reason, "no path within the directory");
    }
}

static void refuses_what_is_no_manifest(void **state)
{
    (void)state;
    static const struct {
        const char *text, *sentence;
    } cases[] = {
        { "nonsense\n", "line 1 is not JSON" },
        { "[1]\n", "line 1 is no object" },
        { "\n", "line 1 is not JSON" },
        { "{\"path\":\"a\"}\n", "no known type" },
        { "{\"path\":\"a\",\"type\":\"socket\"}\n", "no known type" },
        { "{\"type\":\"file\",\"size\":1," TIMES "}\n", "line 1 has no path" },
        { "{\"path\":7,\"type\":\"file\",\"size\":1," TIMES "}\n", "line 1 has no path" },
        { "{\"path\":\"a\",\"type\":\"file\",\"size\":-1," TIMES "}\n", "without a size" },
        { "{\"path\":\"a\",\"type\":\"file\"," TIMES "}\n", "without a size" },
        { "{\"path\":\"a\",\"type\":\"file\",\"size\":1}\n", "no mtime or no mode" },
        { "{\"path\":\"a\",\"type\":\"file\",\"size\":1,\"mtime\":\"1.5\",\"mode\":\"0644\"}\n",
          "no mtime or no mode" },
        { "{\"path\":\"a\",\"type\":\"file\",\"size\":1,\"mtime\":\"1.000000000\",\"mode\":\"4755\"}\n",
          "no mtime or no mode" },
        { "{\"path\":\"a\",\"path\":\"b\",\"type\":\"file\",\"size\":1," TIMES "}\n", "not JSON" },
        { "{\"path\":\"l\",\"type\":\"link\"," TIMES "}\n", "link without a target" },
        { "{\"path\":\"l\",\"type\":\"link\",\"target\":\"\"," TIMES "}\n", "link without a target" },
        { FILE_A END(2), "does not count" },
        { FILE_A END(1) FILE_A, "goes on after its last line" },
    };
    static struct manifest_reader reader;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct seen seen = { 0 };
        reader = (struct manifest_reader){ .visit = see, .argument = &seen };
        assert_int_equal(feed_all(&reader, cases[i].text, 7), -EBADMSG);
        assert_says(reader.reason, cases[i].sentence);
    }
}

static void a_line_without_end_is_refused_in_bounded_memory(void **state)
{
    (void)state;
    static struct manifest_reader reader;
    struct seen seen = { 0 };
    char piece[4096];
    int result = 0;
    unsigned fed = 0;

    memset(piece, 'x', sizeof piece);
    reader = (struct manifest_reader){ .visit = see, .argument = &seen };
    while (result == 0 && fed++ < 100)
        result = manifest_feed(&reader, piece, sizeof piece);
    assert_int_equal(result, -EBADMSG);
    assert_says(reader.reason, "too long");
    assert_int_equal(fed, MANIFEST_LINE_MAX / sizeof piece + 1);
}

#define HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/x-sluice-manifest\r\n"

static int ask(const char *answer, struct seen *seen, bool *told)
{
    static struct script_step steps[3];
    steps[0] = (struct script_step){ HEAR_HEAD, NULL, 0 };
    steps[1] = (struct script_step){ SAY, answer, 0 };
    steps[2] = (struct script_step){ SCRIPT_END, NULL, 0 };
    start_server(steps, false);
    open_client();
    return client_manifest(client, "a b", see, seen, told);
}

static void a_manifest_of_more_bytes_than_one_may_have_is_refused(void **state)
{
    (void)state;
    static struct manifest_reader reader;
    struct seen seen = { 0 };

    reader = (struct manifest_reader){ .visit = see, .argument = &seen, .bytes = MANIFEST_BYTES_MAX - 10 };
    assert_int_equal(feed_all(&reader, FILE_A, sizeof FILE_A), -EBADMSG);
    assert_int_equal(seen.count, 0);
    assert_says(reader.reason, "longer than 2048 MiB");
    assert_says(reader.reason, "one by one");
}

static void asks_for_a_manifest_and_reads_it(void **state)
{
    (void)state;
    struct seen seen = { 0 };
    bool told;
    assert_int_equal(ask(HEAD "Transfer-Encoding: chunked\r\n\r\n"
                              "F\r\n{\"path\":\"a\",\"ty\r\n"
                              "5B\r\npe\":\"file\",\"size\":5," TIMES "}\n"
                              "{\"end\":true,\"entries\":1}\n\r\n0\r\n\r\n",
                         &seen, &told),
                     CLIENT_OK);
    assert_true(told);
    assert_string_equal(seen.text, "file a 5 1700000000.123456789 640 ;");
    end_play();
    assert_says(notes.heads[0], "GET /a%20b/ HTTP/1.1\r\n");
    assert_says(notes.heads[0], "\r\nAccept: application/x-sluice-manifest, application/json\r\n");
}

static void says_so_where_the_server_knows_no_manifests(void **state)
{
    (void)state;
    struct seen seen = { 0 };
    bool told;
    assert_int_equal(
        ask("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]", &seen, &told),
        CLIENT_OK);
    assert_false(told);
    assert_int_equal(seen.count, 0);
}

static void a_manifest_without_its_last_line_is_cut(void **state)
{
    (void)state;
    struct seen seen = { 0 };
    bool told;
    assert_fails(ask(HEAD "Content-Length: 3\r\n\r\n{\"a", &seen, &told), CLIENT_CUT, "has no end");
    end_play();
    assert_fails(ask(HEAD "Content-Length: 0\r\n\r\n", &seen, &told), CLIENT_CUT, "has no end");
}

static void a_hostile_manifest_is_a_fault_of_the_server_named_safely(void **state)
{
    (void)state;
    struct seen seen = { 0 };
    bool told;
    assert_fails(ask(HEAD "Content-Length: 31\r\n\r\n{\"path\":\"../x\",\"type\":\"fault\"}\n", &seen, &told),
                 CLIENT_SERVER, "it names \"../x\"");
    assert_int_equal(seen.count, 0);
}

static void a_refusal_is_told(void **state)
{
    (void)state;
    struct seen seen = { 0 };
    bool told;
    assert_fails(ask("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", &seen, &told), CLIENT_REFUSED, "404");
}

static void a_visitor_may_end_it(void **state)
{
    (void)state;
    struct seen seen = { .stop_after = 1 };
    bool told;
    assert_int_equal(ask(HEAD "Connection: close\r\n\r\n" FILE_A FILE_A, &seen, &told), 77);
    assert_int_equal(seen.count, 1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_of_what_it_reads_however_it_arrives),
        cmocka_unit_test(refuses_paths_that_lead_out_or_are_none),
        cmocka_unit_test(refuses_what_is_no_manifest),
        cmocka_unit_test(a_line_without_end_is_refused_in_bounded_memory),
        cmocka_unit_test(a_manifest_of_more_bytes_than_one_may_have_is_refused),
        TEST(asks_for_a_manifest_and_reads_it),
        TEST(says_so_where_the_server_knows_no_manifests),
        TEST(a_manifest_without_its_last_line_is_cut),
        TEST(a_hostile_manifest_is_a_fault_of_the_server_named_safely),
        TEST(a_refusal_is_told),
        TEST(a_visitor_may_end_it),
    };
    return cmocka_run_group_tests(tests, begin_group, end_group);
}
