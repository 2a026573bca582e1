// rooms: support client
#include "tests/unit/client_rig.h"

#define BIG ((size_t)3 << 20)
#define CREATED "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"
#define GO_ON "HTTP/1.1 100 Continue\r\n\r\n"
/* A client looks whether the file is there already; ahead of a large one it asks for what is there of it in parts. */
#define ABSENT                                                                                                         \
    { HEAR_HEAD, NULL, 0 },                                                                                            \
    {                                                                                                                  \
        SAY, "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", 0                                                         \
    }
#define NO_PARTS ABSENT

static const char *last_head(void)
{
    return notes.heads[notes.head_count - 1];
}

static void sends_a_file_whole(void **state)
{
    (void)state;
    PLAY(ABSENT, { HEAR_HEAD, NULL, 0 }, { HEAR_BODY, NULL, 100000 }, { SAY, CREATED, 0 });
    write_file(in_folder("file"), 100000);
    assert_int_equal(client_put(client, in_folder("file"), "a b/c?"), CLIENT_OK);
    assert_int_equal(client_last(client)->bytes, 100000);
    assert_int_equal(client_last(client)->status, 201);
    assert_string_equal(client_last(client)->direction, "put");
    end_play();
    assert_says(notes.heads[1], "PUT /a%20b/c%3F HTTP/1.1\r\n");
    assert_says(notes.heads[1], "\r\nContent-Length: 100000\r\n");
    assert_null(strstr(notes.heads[1], "Expect"));
    assert_int_equal(notes.body_heard, 100000);
    assert_true(notes.body_matches);
}

static void one_question_is_enough_for_what_stands_there_and_what_is_there_of_it(void **state)
{
    (void)state;
    PLAY({ HEAR_HEAD, NULL, 0 },
         { SAY, "HTTP/1.1 404 No\r\nSluice-Upload-Have: 0-3145727\r\nContent-Length: 0\r\n\r\n", 0 },
         { HEAR_HEAD, NULL, 0 }, { SAY, CREATED, 0 });
    write_file(in_folder("file"), BIG);
    options.verify = CLIENT_VERIFY_NEVER;
    assert_int_equal(client_put(client, in_folder("file"), "x"), CLIENT_OK);
    end_play();
    assert_int_equal(notes.head_count, 2);
    assert_says(notes.heads[0], "HEAD /x HTTP/1.1\r\n");
    assert_says(notes.heads[0], "\r\nSluice-If-Exists: replace\r\n");
    assert_says(notes.heads[0], "\r\nSluice-Upload: ");
    assert_says(notes.heads[1], "PUT /x HTTP/1.1\r\n");
    assert_says(notes.heads[1], "\r\nContent-Range: bytes */3145728\r\n");
}

/* Somebody else ended it just then: what he left is looked at, not sent again. */
static void an_upload_that_is_being_finished_is_waited_for(void **state)
{
    (void)state;
    PLAY({ HEAR_HEAD, NULL, 0 },
         { SAY, "HTTP/1.1 404 No\r\nSluice-Upload-Have: 0-3145727\r\nContent-Length: 0\r\n\r\n", 0 },
         { HEAR_HEAD, NULL, 0 }, { SAY, "HTTP/1.1 409 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n", 0 },
         { HEAR_HEAD, NULL, 0 },
         { SAY, "HTTP/1.1 409 Gone\r\nSluice-Upload-Have: none\r\nContent-Length: 0\r\n\r\n", 0 },
         { HEAR_HEAD, NULL, 0 },
         { SAY, "HTTP/1.1 404 No\r\nSluice-Upload-Have: 0-3145727\r\nContent-Length: 0\r\n\r\n", 0 },
         { HEAR_HEAD, NULL, 0 }, { SAY, CREATED, 0 });
    write_file(in_folder("file"), BIG);
    assert_int_equal(client_put(client, in_folder("file"), "x"), CLIENT_OK);
    end_play();
    assert_says(notes.heads[1], "PUT /x HTTP/1.1\r\n");
    assert_says(notes.heads[2], "PUT /x HTTP/1.1\r\n");
    assert_says(notes.heads[3], "HEAD /x HTTP/1.1\r\n");
}

static void sends_an_empty_file(void **state)
{
    (void)state;
    PLAY(ABSENT, { HEAR_HEAD, NULL, 0 }, { SAY, "HTTP/1.1 204 No Content\r\n\r\n", 0 });
    write_file(in_folder("file"), 0);
    assert_int_equal(client_put(client, in_folder("file"), "x"), CLIENT_OK);
    assert_string_equal(client_last(client)->path, "none");
    end_play();
    assert_says(notes.heads[1], "\r\nContent-Length: 0\r\n");
}

static void sends_several_over_one_connection(void **state)
{
    (void)state;
    PLAY(ABSENT, { HEAR_HEAD, NULL, 0 }, { HEAR_BODY, NULL, 1 }, { SAY, CREATED, 0 }, ABSENT, { HEAR_HEAD, NULL, 0 },
         { SAY, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nthanks!", 0 }, ABSENT, { HEAR_HEAD, NULL, 0 },
         { HEAR_BODY, NULL, 20000 }, { SAY, CREATED, 0 });
    write_file(in_folder("1"), 1);
    write_file(in_folder("2"), 0);
    write_file(in_folder("3"), 20000);
    assert_int_equal(client_put(client, in_folder("1"), "1"), CLIENT_OK);
    assert_int_equal(client_put(client, in_folder("2"), "2"), CLIENT_OK);
    assert_int_equal(client_put(client, in_folder("3"), "3"), CLIENT_OK);
    assert_int_equal(client_last(client)->bytes, 20000);
    end_play();
    assert_int_equal(notes.connections, 1);
    assert_int_equal(notes.body_heard, 20001);
}

static void asks_first_with_a_large_body(void **state)
{
    (void)state;
    PLAY(NO_PARTS, { HEAR_HEAD, NULL, 0 }, { PAUSE, NULL, 50 }, { SAY, GO_ON, 0 }, { HEAR_BODY, NULL, BIG },
         { SAY, CREATED, 0 });
    write_file(in_folder("file"), BIG);
    assert_int_equal(client_put(client, in_folder("file"), "x"), CLIENT_OK);
    end_play();
    assert_says(last_head(), "\r\nExpect: 100-continue\r\n");
    assert_int_equal(notes.body_heard, BIG);
    assert_true(notes.body_matches);
}

static void sends_unasked_where_the_server_is_silent(void **state)
{
    (void)state;
    options.idle_timeout = 3000;
    PLAY(NO_PARTS, { HEAR_HEAD, NULL, 0 }, { HEAR_BODY, NULL, BIG }, { SAY, GO_ON CREATED, 0 });
    write_file(in_folder("file"), BIG);
    assert_int_equal(client_put(client, in_folder("file"), "x"), CLIENT_OK);
    assert_true(client_last(client)->seconds > 0.9);
    end_play();
    assert_true(notes.body_matches);
}

static void hears_a_late_go_ahead_in_mid_body(void **state)
{
    (void)state;
    options.idle_timeout = 3000;
    PLAY(NO_PARTS, { HEAR_HEAD, NULL, 0 }, { HEAR_BODY, NULL, 1000 }, { SAY, GO_ON, 0 }, { PAUSE, NULL, 50 },
         { HEAR_BODY, NULL, BIG - 1000 }, { SAY, CREATED, 0 });
    write_file(in_folder("file"), BIG);
    assert_int_equal(client_put(client, in_folder("file"), "x"), CLIENT_OK);
    end_play();
    assert_int_equal(notes.body_heard, BIG);
    assert_true(notes.body_matches);
}

static void sends_no_body_to_a_server_that_refuses_it(void **state)
{
    (void)state;
    PLAY(NO_PARTS, { HEAR_HEAD, NULL, 0 }, { SAY, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n", 0 },
         { AWAIT_END, NULL, 0 });
    write_file(in_folder("file"), BIG);
    assert_fails(client_put(client, in_folder("file"), "x"), CLIENT_REFUSED, "413 Content Too Large");
    assert_int_equal(client_last(client)->bytes, 0);
    end_play();
    assert_int_equal(notes.body_heard, 0);
    assert_int_equal(notes.connections, 1);
}

static void asks_again_without_expect_after_417(void **state)
{
    (void)state;
    PLAY(NO_PARTS, { HEAR_HEAD, NULL, 0 }, { SAY, "HTTP/1.1 417 What\r\nContent-Length: 0\r\n\r\n", 0 },
         { AWAIT_END, NULL, 0 }, { HANG_UP, NULL, 0 }, { HEAR_HEAD, NULL, 0 }, { HEAR_BODY, NULL, BIG },
         { SAY, CREATED, 0 });
    write_file(in_folder("file"), BIG);
    assert_int_equal(client_put(client, in_folder("file"), "x"), CLIENT_OK);
    end_play();
    assert_null(strstr(last_head(), "Expect"));
    assert_true(notes.body_matches);
}

/* The server hangs up with unread bytes in its socket: a reset follows its answer. */
static void a_refusal_in_mid_body_is_told_as_such(void **state)
{
    (void)state;
    PLAY(NO_PARTS, { HEAR_HEAD, NULL, 0 }, { SAY, GO_ON, 0 }, { HEAR_BODY, NULL, 100000 },
         { SAY, "HTTP/1.1 507 Full\r\nContent-Length: 0\r\n\r\n", 0 }, { PAUSE, NULL, 100 }, { HANG_UP, NULL, 0 });
    write_file(in_folder("file"), (size_t)16 << 20);
    assert_fails(client_put(client, in_folder("file"), "x"), CLIENT_SERVER,
                 "507 Insufficient Storage; the server's disk is full");
    assert_true(client_last(client)->bytes < (size_t)16 << 20);
}

static void a_refusal_ahead_of_a_reset_is_told_as_such(void **state)
{
    (void)state;
    PLAY(NO_PARTS, { HEAR_HEAD, NULL, 0 }, { SAY, GO_ON, 0 }, { HEAR_BODY, NULL, 100000 },
         { SAY, "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", 0 }, { HANG_UP, NULL, 0 });
    write_file(in_folder("file"), (size_t)16 << 20);
    assert_fails(client_put(client, in_folder("file"), "x"), CLIENT_REFUSED, "403 Forbidden");
}

static void does_not_believe_a_success_ahead_of_the_body(void **state)
{
    (void)state;
    PLAY(NO_PARTS, { HEAR_HEAD, NULL, 0 }, { SAY, GO_ON, 0 }, { HEAR_BODY, NULL, 1000 }, { SAY, CREATED, 0 },
         { AWAIT_END, NULL, 0 });
    write_file(in_folder("file"), (size_t)16 << 20);
    assert_fails(client_put(client, in_folder("file"), "x"), CLIENT_SERVER, "has not got the whole file");
}

static void a_success_that_is_none_is_refused(void **state)
{
    (void)state;
    PLAY(ABSENT, { HEAR_HEAD, NULL, 0 }, { HEAR_BODY, NULL, 10 },
         { SAY, "HTTP/1.1 202 Later\r\nContent-Length: 0\r\n\r\n", 0 });
    write_file(in_folder("file"), 10);
    assert_fails(client_put(client, in_folder("file"), "x"), CLIENT_SERVER, "answers a PUT with 202");
}

static void tells_of_a_connection_that_is_cut_in_mid_body(void **state)
{
    (void)state;
    PLAY(NO_PARTS, { HEAR_HEAD, NULL, 0 }, { SAY, GO_ON, 0 }, { HEAR_BODY, NULL, 1000 }, { HANG_UP, NULL, 0 });
    write_file(in_folder("file"), (size_t)16 << 20);
    assert_fails(client_put(client, in_folder("file"), "x"), CLIENT_CUT, "127.0.0.1:");
}

/* The first time it may have been the end of a connection that was kept. */
static void tells_of_an_answer_that_never_comes(void **state)
{
    (void)state;
    PLAY(ABSENT, { HEAR_HEAD, NULL, 0 }, { HEAR_BODY, NULL, 1000 }, { SCRIPT_CLOSE, NULL, 0 }, { HEAR_HEAD, NULL, 0 },
         { HEAR_BODY, NULL, 1000 }, { SCRIPT_CLOSE, NULL, 0 });
    write_file(in_folder("file"), 1000);
    assert_fails(client_put(client, in_folder("file"), "x"), CLIENT_CUT, "closed the connection without an answer");
    end_play();
    assert_int_equal(notes.connections, 2);
}

static void gives_up_a_server_that_takes_no_more(void **state)
{
    (void)state;
    PLAY(NO_PARTS, { HEAR_HEAD, NULL, 0 }, { SAY, GO_ON, 0 }, { HEAR_BODY, NULL, 1000 }, { PAUSE, NULL, 1500 });
    write_file(in_folder("file"), (size_t)16 << 20);
    assert_fails(client_put(client, in_folder("file"), "x"), CLIENT_CUT, "nothing moved for 400 ms");
}

static void refuses_what_is_not_a_file_before_it_connects(void **state)
{
    (void)state;
    PLAY({ HEAR_HEAD, NULL, 0 });
    assert_int_equal(mkdir(in_folder("directory"), 0700), 0);
    assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
    assert_fails(client_put(client, in_folder("missing"), "x"), CLIENT_LOCAL, "No such file or directory");
    assert_fails(client_put(client, in_folder("directory"), "x"), CLIENT_LOCAL, "is not a regular file");
    assert_fails(client_put(client, in_folder("fifo"), "x"), CLIENT_LOCAL, "is not a regular file");
    end_play();
    assert_int_equal(notes.connections, 0);
}

static void shrink(void *argument, uint64_t moved, uint64_t total, const char *path)
{
    (void)moved;
    (void)total;
    (void)path;
    assert_int_equal(truncate(argument, 100), 0);
}

static void breaks_off_when_the_file_becomes_shorter(void **state)
{
    (void)state;
    static char name[300];
    options.idle_timeout = 5000;
    snprintf(name, sizeof name, "%s", in_folder("file"));
    write_file(name, (size_t)64 << 20); /* which takes longer in an emulated machine than the server waits */
    PLAY(NO_PARTS, { HEAR_HEAD, NULL, 0 }, { SAY, GO_ON, 0 }, { PAUSE, NULL, 600 }, { AWAIT_END, NULL, 0 });
    client_watch(client, shrink, name);
    assert_fails(client_put(client, name, "x"), CLIENT_LOCAL, "became shorter while it was sent");
    end_play();
    assert_false(notes.heard_close_notify);
}

/* It was sent to its last byte; what the server says then is the end of it. */
static void a_part_that_is_refused_after_its_body_is_not_taken_for_sent(void **state)
{
    (void)state;
    PLAY({ HEAR_HEAD, NULL, 0 },
         { SAY, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nSluice-Upload-Have: none\r\n\r\n", 0 },
         { HEAR_HEAD, NULL, 0 }, { HEAR_BODY, NULL, 1 << 20 },
         { SAY, "HTTP/1.1 507 Insufficient Storage\r\nContent-Length: 0\r\n\r\n", 0 }, { AWAIT_END, NULL, 0 });
    write_file(in_folder("file"), 1 << 20);
    assert_fails(client_put(client, in_folder("file"), "x"), CLIENT_SERVER, "507");
    end_play();
    assert_int_equal(notes.head_count, 2);
    assert_says(notes.heads[1], "\r\nContent-Range: bytes 0-1048575/1048576\r\n");
}

static void a_server_that_has_more_than_there_is_is_not_believed(void **state)
{
    (void)state;
    PLAY({ HEAR_HEAD, NULL, 0 },
         { SAY, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nSluice-Upload-Have: 0-1048576\r\n\r\n", 0 },
         { AWAIT_END, NULL, 0 });
    write_file(in_folder("file"), 1 << 20);
    assert_fails(client_put(client, in_folder("file"), "x"), CLIENT_SERVER, "more of an upload than there is");
}

#define TAGGED(tag)                                                                                                    \
    { HEAR_HEAD, NULL, 0 },                                                                                            \
    {                                                                                                                  \
        SAY, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: " tag "\r\n\r\n", 0                                        \
    }
#define STALE "HTTP/1.1 412 Precondition Failed\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

/* Of a server that names what comes before it can be verified. */
static void what_goes_in_one_piece_replaces_only_what_was_looked_at(void **state)
{
    (void)state;
    PLAY(NO_PARTS, { HEAR_HEAD, NULL, 0 }, { SAY, GO_ON, 0 }, { HEAR_BODY, NULL, 2 << 20 }, { SAY, CREATED, 0 });
    write_file(in_folder("file"), 2 << 20);
    assert_int_equal(client_put(client, in_folder("file"), "x"), CLIENT_OK);
    assert_says(client_last(client)->note, "its name comes before it can be verified");
    end_play();
    assert_says(last_head(), "\r\nIf-None-Match: *\r\n");
    assert_null(strstr(last_head(), "If-Match"));
}

static void what_became_another_meanwhile_is_looked_at_again(void **state)
{
    (void)state;
    PLAY(TAGGED("\"one\""), { HEAR_HEAD, NULL, 0 }, { SAY, STALE, 0 }, { AWAIT_END, NULL, 0 }, { HANG_UP, NULL, 0 },
         TAGGED("\"two\""), { HEAR_HEAD, NULL, 0 }, { SAY, GO_ON, 0 }, { HEAR_BODY, NULL, 2 << 20 },
         { SAY, CREATED, 0 });
    write_file(in_folder("file"), 2 << 20);
    assert_int_equal(client_put(client, in_folder("file"), "x"), CLIENT_OK);
    end_play();
    assert_says(last_head(), "\r\nIf-Match: \"two\"\r\n");
}

static void a_server_that_refuses_what_it_shows_is_not_asked_on_that_condition_again(void **state)
{
    (void)state;
    PLAY(TAGGED("\"one\""), { HEAR_HEAD, NULL, 0 }, { SAY, STALE, 0 }, { AWAIT_END, NULL, 0 }, { HANG_UP, NULL, 0 },
         TAGGED("\"one\""), { HEAR_HEAD, NULL, 0 }, { SAY, GO_ON, 0 }, { HEAR_BODY, NULL, 2 << 20 },
         { SAY, CREATED, 0 });
    write_file(in_folder("file"), 2 << 20);
    assert_int_equal(client_put(client, in_folder("file"), "x"), CLIENT_OK);
    end_play();
    assert_null(strstr(last_head(), "If-Match"));
}

static void a_weak_tag_is_no_condition(void **state)
{
    (void)state;
    PLAY(TAGGED("W/\"one\""), { HEAR_HEAD, NULL, 0 }, { SAY, GO_ON, 0 }, { HEAR_BODY, NULL, 2 << 20 },
         { SAY, CREATED, 0 });
    write_file(in_folder("file"), 2 << 20);
    assert_int_equal(client_put(client, in_folder("file"), "x"), CLIENT_OK);
    end_play();
    assert_null(strstr(last_head(), "If-"));
}

static void sends_again_where_the_kept_connection_was_gone(void **state)
{
    (void)state;
    PLAY(ABSENT, { HEAR_HEAD, NULL, 0 }, { HEAR_BODY, NULL, 10 }, { SAY, CREATED, 0 }, ABSENT, { HEAR_HEAD, NULL, 0 },
         { HANG_UP, NULL, 0 }, { HEAR_HEAD, NULL, 0 }, { HEAR_BODY, NULL, 50000 }, { SAY, CREATED, 0 });
    write_file(in_folder("1"), 10);
    assert_int_equal(client_put(client, in_folder("1"), "1"), CLIENT_OK);
    end_play();
    /* The body's pattern starts anew with each file: a server of its own for the second part. */
    static const struct script_step steps[] = { ABSENT,
                                                { HEAR_HEAD, NULL, 0 },
                                                { SAY, CREATED, 0 },
                                                ABSENT,
                                                { HEAR_HEAD, NULL, 0 },
                                                { HANG_UP, NULL, 0 },
                                                { HEAR_HEAD, NULL, 0 },
                                                { HEAR_BODY, NULL, 50000 },
                                                { SAY, CREATED, 0 },
                                                { SCRIPT_END, NULL, 0 } };
    write_file(in_folder("1"), 0);
    write_file(in_folder("2"), 50000);
    start_server(steps, false);
    open_client();
    assert_int_equal(client_put(client, in_folder("1"), "1"), CLIENT_OK);
    assert_int_equal(client_put(client, in_folder("2"), "2"), CLIENT_OK);
    end_play();
    assert_int_equal(notes.connections, 2);
    assert_int_equal(notes.head_count, 5);
    assert_int_equal(notes.body_heard, 50000);
    assert_true(notes.body_matches);
}

static void interrupt(void *argument, uint64_t moved, uint64_t total, const char *path)
{
    (void)moved;
    (void)total;
    (void)path;
    const int *fd = argument;
    assert_int_equal(write(*fd, "!", 1), 1);
}

static void can_be_interrupted_in_mid_body(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    options.interrupt_fd = ends[0];
    options.idle_timeout = 5000;
    PLAY(NO_PARTS, { HEAR_HEAD, NULL, 0 }, { SAY, GO_ON, 0 }, { PAUSE, NULL, 600 }, { AWAIT_END, NULL, 0 });
    write_file(in_folder("file"), (size_t)16 << 20);
    client_watch(client, interrupt, &ends[1]);
    assert_fails(client_put(client, in_folder("file"), "x"), CLIENT_INTERRUPTED, "interrupted");
    end_play();
    close(ends[0]);
    close(ends[1]);
}

/* What is verified, and how, is told by tests of its own. */
static int begin_unverified(void **state)
{
    int result = begin_test(state);
    options.verify = CLIENT_VERIFY_NEVER;
    return result;
}

#undef TEST
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_unverified, end_test)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sends_a_file_whole),
        TEST(one_question_is_enough_for_what_stands_there_and_what_is_there_of_it),
        TEST(an_upload_that_is_being_finished_is_waited_for),
        TEST(sends_an_empty_file),
        TEST(sends_several_over_one_connection),
        TEST(a_part_that_is_refused_after_its_body_is_not_taken_for_sent),
        TEST(a_server_that_has_more_than_there_is_is_not_believed),
        TEST(what_goes_in_one_piece_replaces_only_what_was_looked_at),
        TEST(what_became_another_meanwhile_is_looked_at_again),
        TEST(a_server_that_refuses_what_it_shows_is_not_asked_on_that_condition_again),
        TEST(a_weak_tag_is_no_condition),
        TEST(asks_first_with_a_large_body),
        TEST(sends_unasked_where_the_server_is_silent),
        TEST(hears_a_late_go_ahead_in_mid_body),
        TEST(sends_no_body_to_a_server_that_refuses_it),
        TEST(asks_again_without_expect_after_417),
        TEST(a_refusal_in_mid_body_is_told_as_such),
        TEST(a_refusal_ahead_of_a_reset_is_told_as_such),
        TEST(does_not_believe_a_success_ahead_of_the_body),
        TEST(a_success_that_is_none_is_refused),
        TEST(tells_of_a_connection_that_is_cut_in_mid_body),
        TEST(tells_of_an_answer_that_never_comes),
        TEST(gives_up_a_server_that_takes_no_more),
        TEST(refuses_what_is_not_a_file_before_it_connects),
        TEST(breaks_off_when_the_file_becomes_shorter),
        TEST(sends_again_where_the_kept_connection_was_gone),
        TEST(can_be_interrupted_in_mid_body),
    };
    return cmocka_run_group_tests(tests, begin_group, end_group);
}
