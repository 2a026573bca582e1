// rooms: support client
#include "tests/unit/client_rig.h"

#include <signal.h>
#include <sys/resource.h>

#include "engine/client/part.h"

#define OK_HEAD "HTTP/1.1 200 OK\r\n"
#define BIG ((size_t)3 << 20)

static void fetches_a_file_whole_and_gives_it_the_servers_time(void **state)
{
    (void)state;
    struct stat facts;
    PLAY({ HEAR_HEAD, NULL, 0 },
         { SAY, OK_HEAD "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 3145728\r\n\r\n", 0 },
         { SAY_BODY, NULL, BIG });
    assert_int_equal(client_get(client, "a b/c", in_folder("file")), CLIENT_OK);
    assert_string_equal(client_reason(client), "");
    assert_pattern(in_folder("file"), BIG);
    assert_int_equal(stat(in_folder("file"), &facts), 0);
    assert_int_equal(facts.st_mtime, 784111777);
    const struct client_transfer *last = client_last(client);
    assert_string_equal(last->direction, "get");
    assert_string_equal(last->remote, "a b/c");
    assert_int_equal(last->bytes, BIG);
    assert_int_equal(last->status, 200);
    assert_true(last->seconds > 0);
    assert_true(last->rx[0] && last->tx[0] && last->suite[0]);
    assert_string_equal(last->version, "TLSv1.3");
    end_play();
    assert_says(notes.heads[0], "GET /a%20b/c HTTP/1.1\r\n");
    assert_says(notes.heads[0], "\r\nHost: 127.0.0.1:");
    assert_int_equal(files_in_folder(), 1);
}

static void replaces_an_existing_file_in_one_step(void **state)
{
    (void)state;
    write_text(in_folder("file"), "old and longer");
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, OK_HEAD "Content-Length: 3\r\n\r\n", 0 }, { HEAR_HEAD, NULL, 0 },
         { SAY, OK_HEAD "Content-Length: 3\r\n\r\nnew", 0 });
    assert_int_equal(client_get(client, "x", in_folder("file")), CLIENT_OK);
    assert_text(in_folder("file"), "new");
    assert_int_equal(files_in_folder(), 1);
    end_play();
    assert_says(notes.heads[0], "HEAD /x HTTP/1.1\r\n");
    assert_says(notes.heads[1], "GET /x HTTP/1.1\r\n");
}

#define SAME "Repr-Digest: sha-256=:LCa0a2j/xo/5m0U8HTBBNBNCLXBkg7+g+YpeiGJm564=:\r\n"  /* of "foo" */
#define OTHER "Repr-Digest: sha-256=:/N4rLtula/QIYB+3If6bXDONEO5CnqBPrlURto+/j7k=:\r\n" /* of "bar" */

static void leaves_a_file_alone_that_is_the_same(void **state)
{
    (void)state;
    write_text(in_folder("file"), "foo");
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, OK_HEAD "Content-Length: 3\r\n\r\n", 0 }, { HEAR_HEAD, NULL, 0 },
         { SAY, OK_HEAD SAME "Content-Length: 3\r\n\r\n", 0 });
    assert_int_equal(client_get(client, "x", in_folder("file")), CLIENT_OK);
    assert_string_equal(client_last(client)->skipped, "it is the same already (sha-256)");
    assert_int_equal(client_last(client)->bytes, 0);
    end_play();
    assert_int_equal(notes.head_count, 2);
    assert_says(notes.heads[1], "\r\nWant-Repr-Digest: sha-256=1\r\n");
}

static void replaces_a_file_of_the_same_size_with_other_bytes(void **state)
{
    (void)state;
    write_text(in_folder("file"), "foo");
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, OK_HEAD "Content-Length: 3\r\n\r\n", 0 }, { HEAR_HEAD, NULL, 0 },
         { SAY, OK_HEAD OTHER "Content-Length: 3\r\n\r\n", 0 }, { HEAR_HEAD, NULL, 0 },
         { SAY, OK_HEAD "Content-Length: 3\r\n\r\nbar", 0 });
    assert_int_equal(client_get(client, "x", in_folder("file")), CLIENT_OK);
    assert_string_equal(client_last(client)->skipped, "");
    assert_text(in_folder("file"), "bar");
}

/* Looking ahead is a favour: what goes wrong with it is no reason not to fetch. */
static void fetches_where_the_look_ahead_is_refused(void **state)
{
    (void)state;
    write_text(in_folder("file"), "old");
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, "HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\n", 0 },
         { HEAR_HEAD, NULL, 0 }, { SAY, OK_HEAD "Content-Length: 3\r\n\r\nnew", 0 });
    assert_int_equal(client_get(client, "x", in_folder("file")), CLIENT_OK);
    assert_text(in_folder("file"), "new");
}

static void fetches_where_a_digest_cannot_be_read(void **state)
{
    (void)state;
    write_text(in_folder("file"), "old");
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, OK_HEAD "Content-Length: 3\r\n\r\n", 0 }, { HEAR_HEAD, NULL, 0 },
         { SAY, OK_HEAD "Content-Length: 3\r\nRepr-Digest: nonsense\r\n\r\n", 0 }, { HEAR_HEAD, NULL, 0 },
         { SAY, OK_HEAD "Content-Length: 3\r\n\r\nnew", 0 });
    assert_int_equal(client_get(client, "x", in_folder("file")), CLIENT_OK);
    assert_text(in_folder("file"), "new");
}

static void fetches_where_the_look_ahead_is_cut(void **state)
{
    (void)state;
    write_text(in_folder("file"), "old");
    PLAY({ HEAR_HEAD, NULL, 0 }, { CUT, NULL, 0 }, { HEAR_HEAD, NULL, 0 },
         { SAY, OK_HEAD "Content-Length: 3\r\n\r\nnew", 0 });
    assert_int_equal(client_get(client, "x", in_folder("file")), CLIENT_OK);
    assert_string_equal(client_reason(client), "");
    assert_text(in_folder("file"), "new");
}

static void asks_nothing_where_a_file_that_is_there_ends_it(void **state)
{
    (void)state;
    write_text(in_folder("file"), "mine");
    options.if_exists = CLIENT_IF_EXISTS_FAIL;
    PLAY({ PAUSE, NULL, 0 });
    assert_fails(client_get(client, "x", in_folder("file")), CLIENT_EXISTS, "is there already");
    end_play();
    assert_int_equal(notes.connections, 0);
    assert_text(in_folder("file"), "mine");
}

static void passes_over_a_file_that_is_there_where_told_to(void **state)
{
    (void)state;
    write_text(in_folder("file"), "mine");
    options.if_exists = CLIENT_IF_EXISTS_SKIP;
    PLAY({ PAUSE, NULL, 0 });
    assert_int_equal(client_get(client, "x", in_folder("file")), CLIENT_OK);
    assert_string_equal(client_last(client)->skipped, "a file of this name is there");
    end_play();
    assert_int_equal(notes.connections, 0);
    assert_text(in_folder("file"), "mine");
}

static void gives_a_number_where_the_name_is_taken(void **state)
{
    (void)state;
    write_text(in_folder("file"), "mine");
    write_text(in_folder("file.1"), "mine, too");
    options.if_exists = CLIENT_IF_EXISTS_RENAME;
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, OK_HEAD "Content-Length: 3\r\n\r\nnew", 0 });
    assert_int_equal(client_get(client, "x", in_folder("file")), CLIENT_OK);
    assert_text(in_folder("file"), "mine");
    assert_text(in_folder("file.1"), "mine, too");
    assert_text(in_folder("file.2"), "new");
    assert_says(client_last(client)->local, "/file.2");
    assert_int_equal(files_in_folder(), 3);
}

static void makes_an_empty_file_of_an_empty_body(void **state)
{
    (void)state;
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, OK_HEAD "Content-Length: 0\r\n\r\n", 0 });
    assert_int_equal(client_get(client, "x", in_folder("file")), CLIENT_OK);
    assert_pattern(in_folder("file"), 0);
    assert_string_equal(client_last(client)->path, "none");
}

static void keeps_the_connection_for_the_next_file(void **state)
{
    (void)state;
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, OK_HEAD "Content-Length: 3\r\n\r\none", 0 }, { HEAR_HEAD, NULL, 0 },
         { SAY, "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nsorry", 0 }, { HEAR_HEAD, NULL, 0 },
         { SAY, OK_HEAD "Content-Length: 5\r\n\r\nthree", 0 }, { AWAIT_END, NULL, 0 });
    assert_int_equal(client_get(client, "1", in_folder("1")), CLIENT_OK);
    assert_int_equal(client_get(client, "2", in_folder("2")), CLIENT_REFUSED);
    assert_int_equal(client_get(client, "3", in_folder("3")), CLIENT_OK);
    end_play();
    assert_text(in_folder("1"), "one");
    assert_text(in_folder("3"), "three");
    assert_int_equal(files_in_folder(), 2);
    assert_int_equal(notes.connections, 1);
    assert_true(notes.heard_close_notify);
}

static void takes_a_chunked_body(void **state)
{
    (void)state;
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, OK_HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", 0 },
         { PAUSE, NULL, 50 }, { SAY, "6;x=y\r\n world\r\n0\r\nTrailer: 1\r\n\r\n", 0 }, { HEAR_HEAD, NULL, 0 },
         { SAY, OK_HEAD "Content-Length: 1\r\n\r\n", 0 }, { HEAR_HEAD, NULL, 0 },
         { SAY, OK_HEAD "Content-Length: 1\r\n\r\n2", 0 });
    assert_int_equal(client_get(client, "x", in_folder("file")), CLIENT_OK);
    assert_text(in_folder("file"), "hello world");
    assert_int_equal(client_get(client, "x", in_folder("file")), CLIENT_OK);
    assert_text(in_folder("file"), "2");
    end_play();
    assert_int_equal(notes.connections, 1);
}

static void takes_a_large_chunked_body(void **state)
{
    (void)state;
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, OK_HEAD "Transfer-Encoding: chunked\r\n\r\n300000\r\n", 0 },
         { SAY_BODY, NULL, BIG }, { SAY, "\r\n0\r\n\r\n", 0 });
    assert_int_equal(client_get(client, "x", in_folder("file")), CLIENT_OK);
    assert_pattern(in_folder("file"), BIG);
    assert_int_equal(client_last(client)->bytes, BIG);
}

static void does_not_take_what_follows_a_body_for_an_answer(void **state)
{
    (void)state;
    PLAY({ HEAR_HEAD, NULL, 0 },
         { SAY,
           OK_HEAD "Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n" OK_HEAD "Content-Length: 4\r\n\r\nevil",
           0 },
         { AWAIT_END, NULL, 0 }, { SCRIPT_CLOSE, NULL, 0 }, { HEAR_HEAD, NULL, 0 },
         { SAY, OK_HEAD "Content-Length: 3\r\n\r\ntwo" OK_HEAD "Content-Length: 4\r\n\r\nevil", 0 },
         { AWAIT_END, NULL, 0 }, { SCRIPT_CLOSE, NULL, 0 }, { HEAR_HEAD, NULL, 0 },
         { SAY, OK_HEAD "Content-Length: 5\r\n\r\nthree", 0 });
    assert_int_equal(client_get(client, "x", in_folder("1")), CLIENT_OK);
    assert_int_equal(client_get(client, "x", in_folder("2")), CLIENT_OK);
    assert_int_equal(client_get(client, "x", in_folder("3")), CLIENT_OK);
    assert_text(in_folder("1"), "one");
    assert_text(in_folder("2"), "two");
    assert_text(in_folder("3"), "three");
    end_play();
    assert_int_equal(notes.connections, 3);
}

static void takes_a_body_that_ends_with_close_notify(void **state)
{
    (void)state;
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, OK_HEAD "\r\n", 0 }, { SAY_BODY, NULL, BIG }, { SCRIPT_CLOSE, NULL, 0 });
    assert_int_equal(client_get(client, "x", in_folder("file")), CLIENT_OK);
    assert_pattern(in_folder("file"), BIG);
}

/* Each of these leaves nothing under a new name, and what stood under the name as it was: a link, which is not looked
 * through before. */
static void assert_nothing_kept(int wanted, const char *sentence)
{
    char target[8] = "";
    assert_int_equal(symlink("nowhere", in_folder("file")), 0);
    assert_fails(client_get(client, "x", in_folder("file")), wanted, sentence);
    end_play();
    assert_int_equal(readlink(in_folder("file"), target, sizeof target), 7);
    assert_memory_equal(target, "nowhere", 7);
    assert_int_equal(files_in_folder(), 1);
}

static void refuses_a_body_to_the_end_without_close_notify(void **state)
{
    (void)state;
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, OK_HEAD "\r\n", 0 }, { SAY_BODY, NULL, 100000 }, { CUT, NULL, 0 });
    assert_nothing_kept(CLIENT_CUT, "in the middle of the file");
}

static void refuses_a_body_that_is_cut(void **state)
{
    (void)state;
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, OK_HEAD "Content-Length: 3145728\r\n\r\n", 0 }, { SAY_BODY, NULL, BIG - 1 },
         { CUT, NULL, 0 });
    assert_nothing_kept(CLIENT_CUT, "in the middle of the file");
}

static void refuses_a_body_that_is_reset(void **state)
{
    (void)state;
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, OK_HEAD "Content-Length: 3145728\r\n\r\n", 0 }, { SAY_BODY, NULL, 100 },
         { HANG_UP, NULL, 0 });
    assert_nothing_kept(CLIENT_CUT, "in the middle of the file");
}

static void refuses_a_body_shorter_than_announced(void **state)
{
    (void)state;
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, OK_HEAD "Content-Length: 3145728\r\n\r\n", 0 }, { SAY_BODY, NULL, BIG - 1 },
         { SCRIPT_CLOSE, NULL, 0 });
    assert_nothing_kept(CLIENT_CUT, "in the middle of the file");
}

static void refuses_a_short_body_that_came_with_the_head(void **state)
{
    (void)state;
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, OK_HEAD "Content-Length: 10\r\n\r\nshort", 0 }, { SCRIPT_CLOSE, NULL, 0 });
    assert_nothing_kept(CLIENT_CUT, "in the middle of the file");
}

static void refuses_a_chunked_body_without_its_last_chunk(void **state)
{
    (void)state;
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, OK_HEAD "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", 0 },
         { SCRIPT_CLOSE, NULL, 0 });
    assert_nothing_kept(CLIENT_CUT, "in the middle of the file");
}

static void refuses_a_malformed_chunk(void **state)
{
    (void)state;
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, OK_HEAD "Transfer-Encoding: chunked\r\n\r\n", 0 }, { PAUSE, NULL, 50 },
         { SAY, "zz\r\nhello\r\n", 0 }, { AWAIT_END, NULL, 0 });
    assert_nothing_kept(CLIENT_SERVER, "the chunked body is malformed");
}

static void gives_up_a_body_that_stands_still(void **state)
{
    (void)state;
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, OK_HEAD "Content-Length: 100\r\n\r\n", 0 }, { SAY_BODY, NULL, 50 },
         { AWAIT_END, NULL, 0 });
    assert_nothing_kept(CLIENT_CUT, "nothing moved for 400 ms");
}

static void gives_up_a_head_that_does_not_come(void **state)
{
    (void)state;
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, "HTTP/1.1 20", 0 }, { AWAIT_END, NULL, 0 });
    assert_nothing_kept(CLIENT_CUT, "nothing moved for 400 ms in the head of the answer");
}

#define DRIP                                                                                                           \
    { SAY, "x", 0 },                                                                                                   \
    {                                                                                                                  \
        PAUSE, NULL, 150                                                                                               \
    }

static void gives_up_a_head_that_comes_by_drops(void **state)
{
    (void)state;
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, "HTTP/1.1 200 OK\r\nX: ", 0 }, DRIP, DRIP, DRIP, DRIP, DRIP, DRIP, DRIP, DRIP,
         DRIP, DRIP, { SAY, "\r\nContent-Length: 0\r\n\r\n", 0 });
    assert_nothing_kept(CLIENT_CUT, "in the head of the answer");
}

/* What is claimed of a file is not believed where it cannot be; where it can, nothing is kept of a claim alone. */
static void a_part_that_is_no_answer_leaves_nothing(void **state)
{
#define PART(range, length)                                                                                            \
    "HTTP/1.1 206 Partial Content\r\nETag: \"a\"\r\nContent-Range: " range "\r\nContent-Length: " length "\r\n\r\nabc" \
    "d"
    static const struct {
        const char *answer;
        int result;
        const char *sentence;
    } cases[] = {
        { PART("bytes 4-7/9999999", "4"), CLIENT_SERVER, "another part than was asked for" },
        { PART("bytes 0-99999999/100000000", "100000000"), CLIENT_SERVER, "another part than was asked for" },
        { PART("bytes 0-3/2", "4"), CLIENT_SERVER, "does not say which" },
        { PART("bytes 3-0/9999999", "4"), CLIENT_SERVER, "does not say which" },
        { PART("bytes 0-3/*", "4"), CLIENT_SERVER, "does not say which" },
        { PART("bytes 0-3/18446744073709551615", "4"), CLIENT_SERVER, "does not say which" },
        { PART("bytes 0-3/99999999999999999999999", "4"), CLIENT_SERVER, "does not say which" },
        { PART("bytes -1-3/9999999", "4"), CLIENT_SERVER, "does not say which" },
        { PART("lines 0-3/9999999", "4"), CLIENT_SERVER, "does not say which" },
        { PART("bytes 0-7/9999999", "4"), CLIENT_SERVER, "does not say which" },
        { PART("bytes 0-3/18446744073709551614", "4"), CLIENT_LOCAL, "File too large" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct script_step steps[] = {
            { HEAR_HEAD, NULL, 0 }, { SAY, cases[i].answer, 0 }, { AWAIT_END, NULL, 0 }, { SCRIPT_END, NULL, 0 }
        };
        start_server(steps, false);
        open_client();
        assert_fails(client_get(client, "x", in_folder("file")), cases[i].result, cases[i].sentence);
        assert_int_equal(files_in_folder(), 0);
        end_play();
    }
}

/* A tag goes back to the server as it came, or not at all. */
static void a_tag_that_is_none_is_no_condition(void **state)
{
    static const char *const tags[] = { "\"a\" \"b\"", "\"a\", \"b\"", "a", "\"", "*", "\"a\x7f\"", "W/\"a\"" };

    (void)state;
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        char answer[300];
        snprintf(answer, sizeof answer,
                 "HTTP/1.1 206 Partial Content\r\nETag: %s\r\nContent-Range: bytes 0-3/9999999\r\n"
                 "Content-Length: 4\r\n\r\nabcd",
                 tags[i]);
        const struct script_step steps[] = { { HEAR_HEAD, NULL, 0 }, { SAY, answer, 0 },
                                             { AWAIT_END, NULL, 0 }, { HANG_UP, NULL, 0 },
                                             { HEAR_HEAD, NULL, 0 }, { SAY, OK_HEAD "Content-Length: 1\r\n\r\n1", 0 },
                                             { SCRIPT_END, NULL, 0 } };
        start_server(steps, false);
        open_client();
        int result = client_get(client, "x", in_folder("file"));
        end_play();
        assert_true(result == CLIENT_OK || result == CLIENT_SERVER);
        for (size_t k = 0; k < notes.head_count; k++)
            assert_null(strstr(notes.heads[k], "If-"));
        remove(in_folder("file"));
    }
}

static void tells_what_the_server_refuses(void **state)
{
    (void)state;
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, "HTTP/1.1 404 Nope\r\nContent-Length: 0\r\n\r\n", 0 }, { HEAR_HEAD, NULL, 0 },
         { SAY, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", 0 }, { HEAR_HEAD, NULL, 0 },
         { SAY, "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", 0 }, { HEAR_HEAD, NULL, 0 },
         { SAY, "HTTP/1.1 301 Moved\r\nLocation: /y\x9b/\r\nContent-Length: 0\r\n\r\n", 0 });
    const char *local = in_folder("file");
    assert_fails(client_get(client, "x", local), CLIENT_REFUSED, "404 Not Found; look with `sluice ls`");
    assert_int_equal(client_last(client)->status, 404);
    assert_int_equal(client_last(client)->bytes, 0);
    assert_fails(client_get(client, "x", local), CLIENT_REFUSED, "403 Forbidden");
    assert_fails(client_get(client, "x", local), CLIENT_SERVER, "500 Internal Server Error");
    assert_fails(client_get(client, "x", local), CLIENT_REFUSED, "to /y\\x9b/, which is not followed");
    assert_int_equal(files_in_folder(), 0);
}

static void does_not_read_an_endless_refusal(void **state)
{
    (void)state;
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, "HTTP/1.1 404 Nope\r\nContent-Length: 999999999\r\n\r\n", 0 },
         { SAY_BODY, NULL, BIG }, { AWAIT_END, NULL, 0 }, { HANG_UP, NULL, 0 }, { HEAR_HEAD, NULL, 0 },
         { SAY, OK_HEAD "Content-Length: 1\r\n\r\n1", 0 });
    assert_fails(client_get(client, "x", in_folder("1")), CLIENT_REFUSED, "404");
    assert_int_equal(client_get(client, "x", in_folder("1")), CLIENT_OK);
    end_play();
    assert_int_equal(notes.connections, 2);
}

static void refuses_what_is_not_http(void **state)
{
    (void)state;
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, "220 ftp.example.com ready\r\n\r\n", 0 }, { AWAIT_END, NULL, 0 });
    assert_nothing_kept(CLIENT_SERVER, "does not answer as HTTP demands");
}

static void refuses_a_head_without_end(void **state)
{
    (void)state;
    static char head[100000];
    int length = snprintf(head, sizeof head, OK_HEAD "Long: ");
    memset(head + length, 'x', sizeof head - (size_t)length - 1);
    const struct script_step steps[] = {
        { HEAR_HEAD, NULL, 0 }, { SAY, head, 0 }, { AWAIT_END, NULL, 0 }, { SCRIPT_END, NULL, 0 }
    };
    start_server(steps, false);
    open_client();
    assert_nothing_kept(CLIENT_SERVER, "does not answer as HTTP demands");
}

static void passes_over_interim_answers_but_not_for_ever(void **state)
{
    (void)state;
#define HINT "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, HINT HINT OK_HEAD "Content-Length: 3\r\n\r\nyes", 0 }, { HEAR_HEAD, NULL, 0 },
         { SAY, HINT HINT HINT HINT HINT HINT HINT HINT HINT HINT HINT HINT HINT HINT HINT HINT HINT, 0 },
         { AWAIT_END, NULL, 0 });
    assert_int_equal(client_get(client, "x", in_folder("file")), CLIENT_OK);
    assert_text(in_folder("file"), "yes");
    assert_fails(client_get(client, "x", in_folder("other")), CLIENT_SERVER, "1xx without end");
    assert_int_equal(files_in_folder(), 1);
}

/* What came with the head, too, counts when it is written. */
static void nothing_is_claimed_that_the_disk_did_not_take(void **state)
{
    static char answer[60000];
    const struct rlimit little = { 1000, RLIM_INFINITY }, no_limit = { RLIM_INFINITY, RLIM_INFINITY };
    struct part part;

    (void)state;
    int length = snprintf(answer, sizeof answer,
                          OK_HEAD "ETag: \"a\"\r\nAccept-Ranges: bytes\r\nContent-Length: 4000000\r\n\r\n");
    memset(answer + length, 'x', sizeof answer - (size_t)length - 1);
    const struct script_step steps[] = {
        { HEAR_HEAD, NULL, 0 }, { SAY, answer, 0 }, { AWAIT_END, NULL, 0 }, { SCRIPT_END, NULL, 0 }
    };
    signal(SIGXFSZ, SIG_IGN);
    options.streams = 1;
    start_server(steps, false);
    open_client();
    setrlimit(RLIMIT_FSIZE, &little);
    int result = client_get(client, "x", in_folder("file"));
    setrlimit(RLIMIT_FSIZE, &no_limit);
    assert_int_equal(result, CLIENT_LOCAL);
    assert_says(client_reason(client), "File too large");
    assert_int_equal(part_open(&part, in_folder("file"), "x"), 0);
    assert_false(part.damaged); /* it claims nothing behind the file's end either */
    assert_int_equal(extents_total(&part.map.have), 0);
    part_close(&part);
    remove(in_folder("file.part"));
    remove(in_folder("file.part.journal"));
}

static void refuses_a_part_unasked_or_a_compressed_body(void **state)
{
    char name[252];

    (void)state;
    memset(name, 'n', sizeof name - 1); /* too long for a .part: no range is asked for */
    name[sizeof name - 1] = '\0';
    PLAY({ HEAR_HEAD, NULL, 0 },
         { SAY, "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-2/9\r\nContent-Length: 3\r\n\r\nabc", 0 },
         { AWAIT_END, NULL, 0 }, { HANG_UP, NULL, 0 }, { HEAR_HEAD, NULL, 0 },
         { SAY, OK_HEAD "Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", 0 }, { AWAIT_END, NULL, 0 });
    assert_fails(client_get(client, "x", in_folder(name)), CLIENT_SERVER, "answers a GET with 206");
    assert_fails(client_get(client, "x", in_folder("file")), CLIENT_SERVER, "compressed");
    assert_int_equal(files_in_folder(), 0);
}

static void asks_for_the_whole_where_a_part_has_no_tag(void **state)
{
    (void)state;
    PLAY({ HEAR_HEAD, NULL, 0 },
         { SAY, "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-2/9\r\nContent-Length: 3\r\n\r\nabc", 0 },
         { AWAIT_END, NULL, 0 }, { HANG_UP, NULL, 0 }, { HEAR_HEAD, NULL, 0 },
         { SAY, OK_HEAD "Content-Length: 9\r\n\r\nabcdefghi", 0 });
    assert_int_equal(client_get(client, "x", in_folder("file")), CLIENT_OK);
    assert_text(in_folder("file"), "abcdefghi");
    end_play();
    assert_says(notes.heads[0], "\r\nRange: bytes=0-");
    assert_null(strstr(notes.heads[1], "Range"));
    assert_int_equal(files_in_folder(), 1);
}

static void asks_whether_what_it_kept_is_still_right(void **state)
{
    (void)state;
    options.retries = -1;
    PLAY({ HEAR_HEAD, NULL, 0 },
         { SAY, OK_HEAD "ETag: \"a\"\r\nAccept-Ranges: bytes\r\nContent-Length: 3145728\r\n\r\n", 0 },
         { SAY_BODY, NULL, BIG - 1 }, { CUT, NULL, 0 }, { HEAR_HEAD, NULL, 0 },
         { SAY, "HTTP/1.1 412 Precondition Failed\r\nContent-Length: 0\r\n\r\n", 0 }, { HEAR_HEAD, NULL, 0 },
         { SAY, OK_HEAD "ETag: \"b\"\r\nAccept-Ranges: bytes\r\nContent-Length: 3145728\r\n\r\n", 0 },
         { SAY_BODY, NULL, BIG });
    assert_fails(client_get(client, "x", in_folder("file")), CLIENT_CUT, "what came is kept in");
    assert_int_equal(files_in_folder(), 2);
    assert_int_equal(client_get(client, "x", in_folder("file")), CLIENT_OK);
    assert_string_equal(client_last(client)->note, "started over: the file on the server changed");
    assert_int_equal(client_last(client)->resumed_bytes, 0);
    assert_pattern(in_folder("file"), BIG);
    end_play();
    assert_says(notes.heads[1], "\r\nIf-Match: \"a\"\r\n");
    assert_null(strstr(notes.heads[2], "If-Match"));
    assert_int_equal(files_in_folder(), 1);
}

static void refuses_local_names_before_it_asks(void **state)
{
    (void)state;
    assert_int_equal(mkdir(in_folder("directory"), 0700), 0);
    PLAY({ HEAR_HEAD, NULL, 0 });
    assert_fails(client_get(client, "x", in_folder("directory")), CLIENT_LOCAL, "is a directory");
    assert_fails(client_get(client, "x", in_folder("new/")), CLIENT_LOCAL, "the name of a file is needed");
    assert_fails(client_get(client, "x", ""), CLIENT_LOCAL, "the name of a file is needed");
    end_play();
    assert_int_equal(notes.connections, 0);
}

static void tells_why_a_local_file_cannot_be(void **state)
{
    (void)state;
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, OK_HEAD "Content-Length: 3\r\n\r\nabc", 0 }, { AWAIT_END, NULL, 0 },
         { HANG_UP, NULL, 0 }, { HEAR_HEAD, NULL, 0 }, { SAY, OK_HEAD "Content-Length: 3\r\n\r\nabc", 0 },
         { AWAIT_END, NULL, 0 });
    assert_fails(client_get(client, "x", in_folder("no/such/file")), CLIENT_LOCAL, "does not exist; make it first");
    assert_fails(client_get(client, "x", in_folder(".sluice-x")), CLIENT_LOCAL, "names that begin with .sluice-");
    assert_int_equal(files_in_folder(), 0);
}

static void replaces_a_symbolic_link_and_does_not_follow_it(void **state)
{
    (void)state;
    write_text(in_folder("elsewhere"), "old");
    assert_int_equal(symlink("elsewhere", in_folder("file")), 0);
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, OK_HEAD "Content-Length: 3\r\n\r\nnew", 0 });
    assert_int_equal(client_get(client, "x", in_folder("file")), CLIENT_OK);
    assert_text(in_folder("elsewhere"), "old");
    assert_text(in_folder("file"), "new");
}

static void writes_to_a_device_as_it_is(void **state)
{
    (void)state;
    struct stat facts;
    assert_int_equal(symlink("/dev/null", in_folder("null")), 0);
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, OK_HEAD "Content-Length: 3145728\r\n\r\n", 0 }, { SAY_BODY, NULL, BIG });
    assert_int_equal(client_get(client, "x", in_folder("null")), CLIENT_OK);
    assert_int_equal(client_last(client)->bytes, BIG);
    assert_int_equal(lstat(in_folder("null"), &facts), 0);
    assert_true(S_ISLNK(facts.st_mode));
}

static void refuses_a_fifo_that_nobody_reads(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
    PLAY({ HEAR_HEAD, NULL, 0 });
    assert_fails(client_get(client, "x", in_folder("fifo")), CLIENT_LOCAL, "No such device or address");
}

static void fetches_into_a_file_at_its_position(void **state)
{
    (void)state;
    write_text(in_folder("file"), "before ");
    int fd = open(in_folder("file"), O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(lseek(fd, 0, SEEK_END), 7);
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, OK_HEAD "Content-Length: 3\r\n\r\none", 0 }, { HEAR_HEAD, NULL, 0 },
         { SAY, OK_HEAD "Content-Length: 4\r\n\r\n", 0 }, { PAUSE, NULL, 50 }, { SAY, " two", 0 });
    assert_int_equal(client_get_fd(client, "x", fd, "a descriptor"), CLIENT_OK);
    assert_int_equal(client_get_fd(client, "x", fd, "a descriptor"), CLIENT_OK);
    close(fd);
    assert_text(in_folder("file"), "before one two");
}

static void fetches_into_a_pipe(void **state)
{
    (void)state;
    int ends[2];
    char text[16] = "";
    assert_int_equal(pipe(ends), 0);
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, OK_HEAD "Content-Length: 7\r\n\r\none", 0 }, { PAUSE, NULL, 50 },
         { SAY, " two", 0 });
    assert_int_equal(client_get_fd(client, "x", ends[1], "a pipe"), CLIENT_OK);
    assert_int_equal(read(ends[0], text, sizeof text), 7);
    assert_string_equal(text, "one two");
    close(ends[0]);
    close(ends[1]);
}

static void a_pipe_that_nobody_reads_any_more_is_a_local_failure(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, OK_HEAD "Content-Length: 3145728\r\n\r\n", 0 }, { SAY_BODY, NULL, BIG });
    assert_fails(client_get_fd(client, "x", ends[1], "a pipe"), CLIENT_LOCAL, "writing a pipe: Broken pipe");
    close(ends[1]);
}

struct progress_seen {
    uint64_t moved;
    unsigned calls;
};

static void tells_of_progress(void *argument, uint64_t moved, uint64_t total, const char *path)
{
    struct progress_seen *seen = argument;
    assert_true(moved >= seen->moved);
    assert_int_equal(total, BIG);
    assert_string_equal(path, "user");
    seen->moved = moved;
    if (seen->calls++ == 0)
        scripted_server_go_on(server);
}

static void shows_progress_to_the_end(void **state)
{
    (void)state;
    struct progress_seen seen = { 0 };
    profile->offload = CONFIG_OFFLOAD_OFF;
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, OK_HEAD "Content-Length: 3145728\r\n\r\n", 0 }, { AWAIT_WORD, NULL, 0 },
         { SAY_BODY, NULL, BIG });
    client_watch(client, tells_of_progress, &seen);
    assert_int_equal(client_get(client, "x", in_folder("file")), CLIENT_OK);
    assert_int_equal(seen.moved, BIG);
    assert_true(seen.calls >= 2);
    assert_string_equal(client_last(client)->rx, "user: offload = off");
}

static void an_interrupt_leaves_nothing(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    options.interrupt_fd = ends[0];
    options.idle_timeout = 5000;
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, OK_HEAD "Content-Length: 100\r\n\r\n", 0 }, { SAY_BODY, NULL, 50 },
         { AWAIT_END, NULL, 0 });
    assert_int_equal(write(ends[1], "!", 1), 1);
    assert_fails(client_get(client, "x", in_folder("file")), CLIENT_INTERRUPTED, "interrupted");
    assert_fails(client_get(client, "x", in_folder("file")), CLIENT_INTERRUPTED, "interrupted");
    assert_int_equal(files_in_folder(), 0);
    end_play();
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(fetches_a_file_whole_and_gives_it_the_servers_time),
        TEST(replaces_an_existing_file_in_one_step),
        TEST(leaves_a_file_alone_that_is_the_same),
        TEST(replaces_a_file_of_the_same_size_with_other_bytes),
        TEST(fetches_where_the_look_ahead_is_refused),
        TEST(fetches_where_a_digest_cannot_be_read),
        TEST(fetches_where_the_look_ahead_is_cut),
        TEST(asks_nothing_where_a_file_that_is_there_ends_it),
        TEST(passes_over_a_file_that_is_there_where_told_to),
        TEST(gives_a_number_where_the_name_is_taken),
        TEST(makes_an_empty_file_of_an_empty_body),
        TEST(keeps_the_connection_for_the_next_file),
        TEST(takes_a_chunked_body),
        TEST(takes_a_large_chunked_body),
        TEST(does_not_take_what_follows_a_body_for_an_answer),
        TEST(takes_a_body_that_ends_with_close_notify),
        TEST(refuses_a_body_to_the_end_without_close_notify),
        TEST(refuses_a_body_that_is_cut),
        TEST(refuses_a_body_that_is_reset),
        TEST(refuses_a_body_shorter_than_announced),
        TEST(refuses_a_short_body_that_came_with_the_head),
        TEST(refuses_a_chunked_body_without_its_last_chunk),
        TEST(refuses_a_malformed_chunk),
        TEST(gives_up_a_body_that_stands_still),
        TEST(gives_up_a_head_that_does_not_come),
        TEST(gives_up_a_head_that_comes_by_drops),
        TEST(a_part_that_is_no_answer_leaves_nothing),
        TEST(a_tag_that_is_none_is_no_condition),
        TEST(tells_what_the_server_refuses),
        TEST(does_not_read_an_endless_refusal),
        TEST(refuses_what_is_not_http),
        TEST(refuses_a_head_without_end),
        TEST(passes_over_interim_answers_but_not_for_ever),
        TEST(nothing_is_claimed_that_the_disk_did_not_take),
        TEST(refuses_a_part_unasked_or_a_compressed_body),
        TEST(asks_for_the_whole_where_a_part_has_no_tag),
        TEST(asks_whether_what_it_kept_is_still_right),
        TEST(refuses_local_names_before_it_asks),
        TEST(tells_why_a_local_file_cannot_be),
        TEST(replaces_a_symbolic_link_and_does_not_follow_it),
        TEST(writes_to_a_device_as_it_is),
        TEST(refuses_a_fifo_that_nobody_reads),
        TEST(fetches_into_a_file_at_its_position),
        TEST(fetches_into_a_pipe),
        TEST(a_pipe_that_nobody_reads_any_more_is_a_local_failure),
        TEST(shows_progress_to_the_end),
        TEST(an_interrupt_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, begin_group, end_group);
}
