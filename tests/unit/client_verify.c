// rooms: support client
#include "tests/unit/client_rig.h"

/* Of "text": what the digest of our side must be. */
#define TEXT "text"
#define RIGHT "sha-256=:mC2ePrmW9VnmM/TRlN7zdh2Qn1o7ZH0ahR/q1nwyydE=:"
#define WRONG "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"
#define TAG "ETag: \"one\"\r\n"
#define BODY_OF_TEXT "HTTP/1.1 200 OK\r\n" TAG "Content-Length: 4\r\n\r\n" TEXT
#define HEAD_SAYS(fields) "HTTP/1.1 200 OK\r\n" TAG "Content-Length: 4\r\n" fields "\r\n"

/* Before anything moves the client asks whether it is the same already. */
#define NOT_THERE                                                                                                      \
    { HEAR_HEAD, NULL, 0 },                                                                                            \
    {                                                                                                                  \
        SAY, "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\n", 0                                                  \
    }
#define IS_THERE                                                                                                       \
    { HEAR_HEAD, NULL, 0 },                                                                                            \
    {                                                                                                                  \
        SAY, HEAD_SAYS("Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n"), 0                                          \
    }

static int verified(void **state)
{
    begin_test(state);
    options.verify = CLIENT_VERIFY_ALWAYS;
    options.idle_timeout = 5000; /* nothing here waits for it */
    return 0;
}

static int usual(void **state)
{
    begin_test(state);
    options.idle_timeout = 5000;
    return 0;
}

static int get(void)
{
    return client_get(client, "x", in_folder("file"));
}

static void asks_for_the_digest_of_just_what_it_got(void **state)
{
    (void)state;
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, BODY_OF_TEXT, 0 }, { HEAR_HEAD, NULL, 0 },
         { SAY, HEAD_SAYS("Repr-Digest: " RIGHT "\r\n"), 0 });
    assert_int_equal(get(), CLIENT_OK);
    assert_text(in_folder("file"), TEXT);
    const struct client_transfer *last = client_last(client);
    assert_true(last->verified);
    assert_string_equal(last->unverified, "");
    assert_string_equal(last->digest, "sha-256:982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1");
    assert_int_equal(last->bytes, 4);
    assert_int_equal(last->status, 200);
    end_play();
    assert_says(notes.heads[0], "\r\nWant-Repr-Digest: sha-256=10\r\n");
    assert_says(notes.heads[1], "HEAD /x HTTP/1.1\r\n");
    assert_says(notes.heads[1], "\r\nWant-Repr-Digest: sha-256=10\r\n");
    assert_says(notes.heads[1], "\r\nIf-Match: \"one\"\r\n");
    assert_int_equal(notes.connections, 1);
}

static void does_not_ask_where_the_answer_said_it(void **state)
{
    (void)state;
    PLAY({ HEAR_HEAD, NULL, 0 },
         { SAY, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nRepr-Digest: " RIGHT "\r\n\r\n" TEXT, 0 },
         { AWAIT_END, NULL, 0 });
    assert_int_equal(get(), CLIENT_OK);
    assert_true(client_last(client)->verified);
    end_play();
    assert_int_equal(notes.head_count, 1);
}

static void keeps_other_bytes_aside(void **state)
{
    (void)state;
    write_text(in_folder("file"), "before");
    write_text(in_folder("file.bad"), "somebody's own");
    PLAY(IS_THERE, { HEAR_HEAD, NULL, 0 }, { SAY, BODY_OF_TEXT, 0 }, { HEAR_HEAD, NULL, 0 },
         { SAY, HEAD_SAYS("Repr-Digest: " WRONG "\r\n"), 0 });
    assert_int_equal(get(), CLIENT_DIGEST);
    assert_says(client_reason(client), "is kept as ");
    assert_says(client_reason(client), "file.bad.1");
    assert_text(in_folder("file"), "before");
    assert_text(in_folder("file.bad"), "somebody's own");
    assert_text(in_folder("file.bad.1"), TEXT);
    assert_false(client_last(client)->verified);
    assert_string_equal(client_last(client)->unverified, "the digests differ");
    assert_int_equal(files_in_folder(), 3);
}

static void where_there_are_four_bad_copies_no_more_is_kept(void **state)
{
    (void)state;
    write_text(in_folder("file.bad"), "0");
    write_text(in_folder("file.bad.1"), "1");
    write_text(in_folder("file.bad.2"), "2");
    write_text(in_folder("file.bad.3"), "3");
    PLAY(IS_THERE, { HEAR_HEAD, NULL, 0 }, { SAY, BODY_OF_TEXT, 0 }, { HEAR_HEAD, NULL, 0 },
         { SAY, HEAD_SAYS("Repr-Digest: " WRONG "\r\n"), 0 });
    write_text(in_folder("file"), "before");
    assert_int_equal(get(), CLIENT_DIGEST);
    assert_says(client_reason(client), "is not kept: ");
    assert_text(in_folder("file.bad"), "0");
    assert_text(in_folder("file.bad.3"), "3");
    assert_int_equal(files_in_folder(), 5);
}

static void an_answer_that_says_another_is_asked_about_first(void **state)
{
    (void)state;
    PLAY({ HEAR_HEAD, NULL, 0 },
         { SAY, "HTTP/1.1 200 OK\r\n" TAG "Content-Length: 4\r\nRepr-Digest: " WRONG "\r\n\r\n" TEXT, 0 },
         { HEAR_HEAD, NULL, 0 }, { SAY, HEAD_SAYS("Repr-Digest: " RIGHT "\r\n"), 0 });
    assert_int_equal(get(), CLIENT_OK);
    assert_true(client_last(client)->verified);
}

/* What cannot be verified is a failure where it was demanded, and nothing gets its name. */
static void refuses_what_it_cannot_verify(void **state)
{
    static const struct {
        const char *answer, *why;
    } cases[] = {
        { HEAD_SAYS(""), "the server gives no digest" },
        { HEAD_SAYS("Repr-Digest: md5=:AAAA:\r\n"), "the server gives no digest" },
        { HEAD_SAYS("Repr-Digest: sha-256=:AAAA:\r\n"), "the server gives no digest" },
        { "HTTP/1.1 412 Precondition Failed\r\nContent-Length: 5\r\n\r\n", "the file was changed on the server since" },
        { "HTTP/1.1 200 OK\r\nETag: \"two\"\r\nContent-Length: 4\r\nRepr-Digest: " RIGHT "\r\n\r\n",
          "the file was changed on the server since" },
        { "HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n", "with 405" },
        { "nonsense\r\n\r\n", "HTTP" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct script_step steps[] = { { HEAR_HEAD, NULL, 0 },
                                             { SAY, BODY_OF_TEXT, 0 },
                                             { HEAR_HEAD, NULL, 0 },
                                             { SAY, cases[i].answer, 0 },
                                             { SCRIPT_END, NULL, 0 } };
        start_server(steps, false);
        open_client();
        assert_int_equal(get(), CLIENT_SERVER);
        assert_says(client_reason(client), cases[i].why);
        assert_says(client_last(client)->unverified, cases[i].why);
        end_play();
        assert_int_equal(files_in_folder(), 0);
    }
}

/* Known before anything is asked for: nobody listens there. */
static void refuses_to_verify_what_is_no_file(void **state)
{
    (void)state;
    addresses[0] = (struct config_address){ .host = (char *)(uintptr_t) "127.0.0.1", .port = 1 };
    address_list.count = 1;
    open_client();
    assert_int_equal(client_get(client, "x", "/dev/null"), CLIENT_USAGE);
    assert_says(client_reason(client), "/dev/null cannot be verified");
    assert_int_equal(client_get_fd(client, "x", 1, "standard output"), CLIENT_USAGE);
    assert_says(client_reason(client), "leave out --verify");
}

static void a_get_is_not_verified_unasked(void **state)
{
    (void)state;
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, BODY_OF_TEXT, 0 }, { AWAIT_END, NULL, 0 });
    assert_int_equal(get(), CLIENT_OK);
    assert_false(client_last(client)->verified);
    assert_string_equal(client_last(client)->unverified, "not asked for");
    end_play();
    assert_int_equal(notes.head_count, 1);
    assert_null(strstr(notes.heads[0], "Digest"));
}

static void an_empty_file_is_verified_too(void **state)
{
    (void)state;
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nRepr-Digest: " WRONG "\r\n\r\n", 0 });
    assert_int_equal(get(), CLIENT_OK); /* WRONG is that of nothing */
    assert_true(client_last(client)->verified);
}

static void a_chunked_body_is_verified_too(void **state)
{
    (void)state;
    PLAY({ HEAR_HEAD, NULL, 0 },
         { SAY, "HTTP/1.1 200 OK\r\n" TAG "Transfer-Encoding: chunked\r\n\r\n2\r\nte\r\n2\r\nxt\r\n0\r\n\r\n", 0 },
         { HEAR_HEAD, NULL, 0 }, { SAY, HEAD_SAYS("Repr-Digest: " RIGHT "\r\n"), 0 });
    assert_int_equal(get(), CLIENT_OK);
    assert_true(client_last(client)->verified);
}

static void a_weak_tag_is_no_condition(void **state)
{
    (void)state;
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, "HTTP/1.1 200 OK\r\nETag: W/\"one\"\r\nContent-Length: 4\r\n\r\n" TEXT, 0 },
         { HEAR_HEAD, NULL, 0 },
         { SAY, "HTTP/1.1 200 OK\r\nETag: W/\"one\"\r\nContent-Length: 4\r\nRepr-Digest: " RIGHT "\r\n\r\n", 0 });
    assert_int_equal(get(), CLIENT_OK);
    assert_true(client_last(client)->verified);
    end_play();
    assert_null(strstr(notes.heads[1], "If-Match"));
}

/* -- sending -- */

static int put(void)
{
    write_text(in_folder("file"), TEXT);
    return client_put(client, in_folder("file"), "x");
}

static void sends_a_small_file_with_its_digest(void **state)
{
    (void)state;
    PLAY(NOT_THERE, { HEAR_HEAD, NULL, 0 }, { HEAR_BODY, NULL, 4 },
         { SAY, "HTTP/1.1 204 No Content\r\nRepr-Digest: " RIGHT "\r\n\r\n", 0 }, { AWAIT_END, NULL, 0 });
    assert_int_equal(put(), CLIENT_OK);
    assert_true(client_last(client)->verified);
    end_play();
    assert_says(notes.heads[1], "\r\nRepr-Digest: " RIGHT "\r\n");
    assert_int_equal(notes.head_count, 2);
}

static void asks_a_server_that_took_it_in_silence(void **state)
{
    (void)state;
    PLAY(NOT_THERE, { HEAR_HEAD, NULL, 0 }, { HEAR_BODY, NULL, 4 },
         { SAY, "HTTP/1.1 201 Created\r\n" TAG "Content-Length: 0\r\n\r\n", 0 }, { HEAR_HEAD, NULL, 0 },
         { SAY, HEAD_SAYS(""), 0 });
    assert_int_equal(put(), CLIENT_OK);
    assert_false(client_last(client)->verified);
    assert_string_equal(client_last(client)->unverified, "the server gives no digest");
    assert_string_equal(client_reason(client), "");
    assert_int_equal(client_last(client)->status, 201);
    end_play();
    assert_says(notes.heads[2], "\r\nIf-Match: \"one\"\r\n");
}

static void a_server_that_has_other_bytes_is_told_of(void **state)
{
    (void)state;
    PLAY(NOT_THERE, { HEAR_HEAD, NULL, 0 }, { HEAR_BODY, NULL, 4 },
         { SAY, "HTTP/1.1 201 Created\r\n" TAG "Content-Length: 0\r\n\r\n", 0 }, { HEAR_HEAD, NULL, 0 },
         { SAY, HEAD_SAYS("Repr-Digest: " WRONG "\r\n"), 0 });
    assert_int_equal(put(), CLIENT_DIGEST);
    assert_says(client_reason(client), "982d9e3eb996f559");
}

static void a_server_that_refuses_the_bytes_is_told_of(void **state)
{
    (void)state;
    PLAY(NOT_THERE, { HEAR_HEAD, NULL, 0 }, { HEAR_BODY, NULL, 4 },
         { SAY, "HTTP/1.1 422 Unprocessable Content\r\nContent-Length: 0\r\n\r\n", 0 });
    assert_int_equal(put(), CLIENT_DIGEST);
    assert_int_equal(client_last(client)->status, 422);
}

int main(void)
{
#define WITH(setup, name) cmocka_unit_test_setup_teardown(name, setup, end_test)
    const struct CMUnitTest tests[] = {
        WITH(verified, asks_for_the_digest_of_just_what_it_got),
        WITH(verified, does_not_ask_where_the_answer_said_it),
        WITH(verified, keeps_other_bytes_aside),
        WITH(verified, where_there_are_four_bad_copies_no_more_is_kept),
        WITH(verified, an_answer_that_says_another_is_asked_about_first),
        WITH(verified, refuses_what_it_cannot_verify),
        WITH(verified, refuses_to_verify_what_is_no_file),
        WITH(usual, a_get_is_not_verified_unasked),
        WITH(verified, an_empty_file_is_verified_too),
        WITH(verified, a_chunked_body_is_verified_too),
        WITH(verified, a_weak_tag_is_no_condition),
        WITH(usual, sends_a_small_file_with_its_digest),
        WITH(usual, asks_a_server_that_took_it_in_silence),
        WITH(usual, a_server_that_has_other_bytes_is_told_of),
        WITH(usual, a_server_that_refuses_the_bytes_is_told_of),
    };
    return cmocka_run_group_tests(tests, begin_group, end_group);
}
