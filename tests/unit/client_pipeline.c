// rooms: support client
#include "tests/unit/client_rig.h"

#include "engine/client/pipeline.h"

#define OK(n) "HTTP/1.1 200 OK\r\nContent-Length: " #n "\r\n"
#define CREATED "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"

/* A lane's work: files "f0", "f1", ... and what became of them, in order. */
struct work {
    unsigned count, given;
    unsigned refuse_load; /* the number, from 1, of a file that cannot be read; 0: none */
    unsigned loads, pauses, ends;
    char names[32][8];
    char said[2048];
};

static void say(struct work *work, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct work *work, const char *format, ...)
{
    size_t length = strlen(work->said);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(work->said + length, sizeof work->said - length, format, arguments);
    va_end(arguments);
}

static bool give(void *argument, struct pipeline_item *item)
{
    struct work *work = argument;
    if (work->given == work->count)
        return false;
    snprintf(work->names[work->given], sizeof work->names[0], "f%u", work->given);
    item->remote = item->tag = work->names[work->given++];
    return true;
}

static int load(void *argument, const struct pipeline_item *item, struct pipeline_load *load)
{
    struct work *work = argument;
    work->loads++;
    if (work->refuse_load && strtoul(item->remote + 1, NULL, 10) + 1 == work->refuse_load) {
        say(work, "%s unread;", item->remote);
        return CLIENT_LOCAL;
    }
    load->length = 4;
    for (size_t i = 0; i < load->length; i++)
        load->bytes[i] = (char)script_pattern(i);
    strcpy(load->fields, "Sluice-Mode: 0640\r\n");
    return 0;
}

static void land(void *argument, const struct pipeline_item *item, const struct pipeline_answer *answer,
                 const struct client_transfer *transfer)
{
    assert_int_equal(transfer->bytes, answer->length);
    say(argument, "%s=%.*s", (const char *)item->tag, (int)answer->length, answer->bytes);
    if (answer->has_modified)
        say(argument, "@%lld.%09ld", (long long)answer->modified.tv_sec, answer->modified.tv_nsec);
    if (answer->has_mode)
        say(argument, "/%o", answer->mode);
    if (transfer->verified)
        say(argument, "=%.14s", transfer->digest);
    say(argument, ";");
}

static void done(void *argument, const struct pipeline_item *item, int result, const char *reason,
                 enum pipeline_alone alone, const struct client_transfer *transfer)
{
    static const char *const words[] = { [PIPELINE_DONE] = "",
                                         [PIPELINE_TOO_LARGE] = " large",
                                         [PIPELINE_OTHER_DIGEST] = " other",
                                         [PIPELINE_NO_DIGEST] = " undigested" };

    assert_true(result == CLIENT_OK || reason[0]);
    assert_false(alone && transfer->verified);
    say(argument, "%s:%d%s %u;", item->remote, result, words[alone], transfer->status);
}

static void pause_lane(void *argument, bool at_end)
{
    struct work *work = argument;
    work->pauses++;
    work->ends += at_end;
}

static int run(struct work *work, bool put, unsigned window)
{
    const struct pipeline_lane lane = { .argument = work,
                                        .put = put,
                                        .window = window,
                                        .next = give,
                                        .load = load,
                                        .land = land,
                                        .done = done,
                                        .pause = pause_lane };
    return client_pipelines(client, &lane, 1);
}

static void answers_are_read_in_order_however_they_come(void **state)
{
    (void)state;
    struct work work = { .count = 4 };
    PLAY({ HEAR_HEAD, NULL, 0 }, { HEAR_HEAD, NULL, 0 }, { HEAR_HEAD, NULL, 0 }, { HEAR_HEAD, NULL, 0 },
         { SAY, OK(3) "Sluice-Modified: 5.000000007\r\nSluice-Mode: 0640\r\n\r\noneHTTP/1.1 200 OK\r\nTransfer-Encod",
           0 },
         { PAUSE, NULL, 30 }, { SAY, "ing: chunked\r\n\r\n2\r\ntw\r\n1\r\no\r\n", 0 }, { PAUSE, NULL, 30 },
         { SAY, "0\r\n\r\n" OK(0) "\r\n" OK(5) "\r\nfo", 0 }, { PAUSE, NULL, 30 }, { SAY, "ur!", 0 });
    assert_int_equal(run(&work, false, 0), CLIENT_OK);
    assert_string_equal(work.said, "f0=one@5.000000007/640;f1=two;f2=;f3=four!;");
    assert_int_equal(work.ends, 1);
    end_play();
    assert_int_equal(notes.connections, 1);
    assert_says(notes.heads[0], "GET /f0 HTTP/1.1\r\n");
    assert_says(notes.heads[3], "GET /f3 HTTP/1.1\r\n");
}

static void no_more_is_asked_for_than_the_window_holds(void **state)
{
    (void)state;
    struct work work = { .count = 3 };
    /* The third head is only heard after the first answer: else the second one would have come with it. */
    PLAY({ HEAR_HEAD, NULL, 0 }, { HEAR_HEAD, NULL, 0 }, { PAUSE, NULL, 30 }, { SAY, OK(1) "\r\na", 0 },
         { HEAR_HEAD, NULL, 0 }, { SAY, OK(1) "\r\nb" OK(1) "\r\nc", 0 });
    assert_int_equal(run(&work, false, 2), CLIENT_OK);
    assert_string_equal(work.said, "f0=a;f1=b;f2=c;");
}

static void what_is_refused_is_told_and_the_others_come(void **state)
{
    (void)state;
    struct work work = { .count = 3 };
    PLAY({ HEAR_HEAD, NULL, 0 }, { HEAR_HEAD, NULL, 0 }, { HEAR_HEAD, NULL, 0 },
         { SAY,
           "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone" OK(
               1) "\r\nb"
                  "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n",
           0 });
    assert_int_equal(run(&work, false, 0), CLIENT_OK);
    assert_string_equal(work.said, "f0:6 404;f1=b;f2:7 500;");
}

static void a_cut_connection_is_followed_by_one_for_what_is_not_answered(void **state)
{
    (void)state;
    struct work work = { .count = 3 };
    PLAY({ HEAR_HEAD, NULL, 0 }, { HEAR_HEAD, NULL, 0 }, { HEAR_HEAD, NULL, 0 },
         { SAY, OK(1) "\r\na" OK(9) "\r\nhalf", 0 }, { CUT, NULL, 0 }, { HEAR_HEAD, NULL, 0 },
         { SAY, OK(1) "\r\nb", 0 }, { HEAR_HEAD, NULL, 0 }, { SAY, OK(1) "\r\nc", 0 });
    assert_int_equal(run(&work, false, 0), CLIENT_OK);
    assert_string_equal(work.said, "f0=a;f1=b;f2=c;");
    end_play();
    assert_int_equal(notes.connections, 2);
    assert_says(notes.heads[3], "GET /f1 HTTP/1.1\r\n");
}

static void a_server_that_says_it_closes_is_believed(void **state)
{
    (void)state;
    struct work work = { .count = 2 };
    PLAY({ HEAR_HEAD, NULL, 0 }, { HEAR_HEAD, NULL, 0 }, { SAY, OK(1) "Connection: close\r\n\r\na", 0 },
         { SCRIPT_CLOSE, NULL, 0 }, { HEAR_HEAD, NULL, 0 }, { SAY, "HTTP/1.1 200 OK\r\n\r\nto the end", 0 },
         { SCRIPT_CLOSE, NULL, 0 });
    assert_int_equal(run(&work, false, 0), CLIENT_OK);
    assert_string_equal(work.said, "f0=a;f1=to the end;");
}

static void a_body_that_ends_without_close_notify_is_not_taken(void **state)
{
    (void)state;
    struct work work = { .count = 1 };
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, "HTTP/1.1 200 OK\r\n\r\nto the", 0 }, { CUT, NULL, 0 }, { HEAR_HEAD, NULL, 0 },
         { SAY, OK(2) "\r\nok", 0 });
    assert_int_equal(run(&work, false, 0), CLIENT_OK);
    assert_string_equal(work.said, "f0=ok;");
}

static void a_file_that_no_connection_brings_is_given_up_in_the_end(void **state)
{
    (void)state;
    struct work work = { .count = 1 };
    PLAY({ HEAR_HEAD, NULL, 0 }, { CUT, NULL, 0 }, { HEAR_HEAD, NULL, 0 }, { CUT, NULL, 0 }, { HEAR_HEAD, NULL, 0 },
         { CUT, NULL, 0 });
    assert_int_equal(run(&work, false, 0), CLIENT_OK);
    assert_string_equal(work.said, "f0:8 0;");
    end_play();
    assert_int_equal(notes.connections, 3);
}

static void a_file_that_is_too_large_is_named_as_such(void **state)
{
    (void)state;
    struct work work = { .count = 2 };
    PLAY({ HEAR_HEAD, NULL, 0 }, { HEAR_HEAD, NULL, 0 }, { SAY, OK(1048577) "\r\n", 0 }, { SAY_BODY, NULL, 65536 },
         { AWAIT_END, NULL, 0 }, { SCRIPT_CLOSE, NULL, 0 }, { HEAR_HEAD, NULL, 0 }, { SAY, OK(1) "\r\nb", 0 });
    assert_int_equal(run(&work, false, 0), CLIENT_OK);
    assert_string_equal(work.said, "f0:7 large 200;f1=b;");
}

static void what_is_no_http_is_a_failure_of_the_server(void **state)
{
    (void)state;
    struct work work = { .count = 1 };
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, "nonsense\r\n\r\n", 0 }, { SCRIPT_CLOSE, NULL, 0 }, { HEAR_HEAD, NULL, 0 },
         { SAY, OK(1) "Transfer-Encoding: chunked\r\n\r\n", 0 }, { SCRIPT_CLOSE, NULL, 0 }, { HEAR_HEAD, NULL, 0 },
         { SAY, "HTTP/1.1 101 Switching Protocols\r\n\r\n", 0 }, { SCRIPT_CLOSE, NULL, 0 });
    assert_int_equal(run(&work, false, 0), CLIENT_OK);
    assert_says(work.said, "f0:7 ");
}

static void a_silent_server_costs_the_idle_timeout_and_no_more(void **state)
{
    (void)state;
    struct work work = { .count = 1 };
    PLAY({ HEAR_HEAD, NULL, 0 }, { AWAIT_END, NULL, 0 }, { SCRIPT_CLOSE, NULL, 0 }, { HEAR_HEAD, NULL, 0 },
         { SAY, OK(1) "\r\na", 0 });
    assert_int_equal(run(&work, false, 0), CLIENT_OK);
    assert_string_equal(work.said, "f0=a;");
}

/* Else each file from there on would get the bytes of the one before it; and which one was meant nobody knows. */
static void an_answer_that_nobody_asked_for_ends_the_lane(void **state)
{
    (void)state;
    struct work work = { .count = 2 };
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, OK(1) "\r\na" OK(1) "\r\nx", 0 }, { AWAIT_END, NULL, 0 });
    assert_int_equal(run(&work, false, 1), CLIENT_SERVER);
    assert_string_equal(work.said, "f0=a;");
}

static void one_behind_the_last_is_no_success_either(void **state)
{
    (void)state;
    struct work work = { .count = 1 };
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, OK(1) "\r\na" OK(1) "\r\nx", 0 }, { AWAIT_END, NULL, 0 });
    assert_int_equal(run(&work, false, 1), CLIENT_SERVER);
    assert_string_equal(work.said, "f0=a;");
}

static void files_are_sent_ahead_with_their_fields(void **state)
{
    (void)state;
    struct work work = { .count = 3 };
    PLAY({ HEAR_HEAD, NULL, 0 }, { HEAR_BODY, NULL, 4 }, { HEAR_HEAD, NULL, 0 }, { HEAR_BODY, NULL, 4 },
         { HEAR_HEAD, NULL, 0 }, { HEAR_BODY, NULL, 4 },
         { SAY,
           CREATED "HTTP/1.1 507 Insufficient Storage\r\nContent-Length: 0\r\n\r\n"
                   "HTTP/1.1 204 No Content\r\n\r\n",
           0 });
    assert_int_equal(run(&work, true, 0), CLIENT_OK);
    assert_string_equal(work.said, "f0:0 201;f1:7 507;f2:0 204;");
    end_play();
    assert_says(notes.heads[0], "PUT /f0 HTTP/1.1\r\n");
    assert_says(notes.heads[0], "\r\nContent-Length: 4\r\n");
    assert_says(notes.heads[0], "\r\nSluice-Mode: 0640\r\n");
    assert_int_equal(notes.body_heard, 12);
}

static void what_the_server_got_is_compared_with_what_was_sent(void **state)
{
    (void)state;
    struct work work = { .count = 3 };
    PLAY({ HEAR_HEAD, NULL, 0 }, { HEAR_BODY, NULL, 4 }, { HEAR_HEAD, NULL, 0 }, { HEAR_BODY, NULL, 4 },
         { HEAR_HEAD, NULL, 0 }, { HEAR_BODY, NULL, 4 },
         { SAY,
           "HTTP/1.1 422 Unprocessable Content\r\nContent-Length: 0\r\n\r\n"
           "HTTP/1.1 201 Created\r\nContent-Length: 0\r\nRepr-Digest: "
           "sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:\r\n\r\n"
           "HTTP/1.1 201 Created\r\nContent-Length: 0\r\nRepr-Digest: unixsum=7\r\n\r\n",
           0 });
    assert_int_equal(run(&work, true, 0), CLIENT_OK);
    assert_string_equal(work.said, "f0:10 422;f1:10 201;f2:0 201;");
    end_play();
    assert_says(notes.heads[0], "\r\nRepr-Digest: sha-256=:");
}

static void nothing_is_compared_where_nobody_wants_it(void **state)
{
    (void)state;
    struct work work = { .count = 1 };
    options.verify = CLIENT_VERIFY_NEVER;
    PLAY({ HEAR_HEAD, NULL, 0 }, { HEAR_BODY, NULL, 4 },
         { SAY, "HTTP/1.1 422 Unprocessable Content\r\nContent-Length: 0\r\n\r\n", 0 });
    assert_int_equal(run(&work, true, 0), CLIENT_OK);
    assert_string_equal(work.said, "f0:6 422;");
    end_play();
    assert_null(strstr(notes.heads[0], "Repr-Digest"));
}

#define DIGEST_OF_ONE "Repr-Digest: sha-256=:dpLDrTVAu4A8Ags67mbNiIcSMjTqDG5xQ8Ct1z/0Me0=:\r\n"

static void what_is_fetched_and_must_be_verified_comes_with_its_digest(void **state)
{
    (void)state;
    struct work work = { .count = 5 };
    options.verify = CLIENT_VERIFY_ALWAYS;
    PLAY({ HEAR_HEAD, NULL, 0 }, { HEAR_HEAD, NULL, 0 }, { HEAR_HEAD, NULL, 0 }, { HEAR_HEAD, NULL, 0 },
         { HEAR_HEAD, NULL, 0 },
         { SAY,
           OK(3) DIGEST_OF_ONE "\r\none" OK(3) DIGEST_OF_ONE
           "\r\nonE" OK(3) "\r\none" OK(3) "Repr-Digest: unixsum=7\r\n\r\none"
                                           "HTTP/1.1 404 Not Found\r\n" DIGEST_OF_ONE "Content-Length: 3\r\n\r\none",
           0 });
    assert_int_equal(run(&work, false, 0), CLIENT_OK);
    assert_string_equal(work.said,
                        "f0=one=sha-256:7692c3;f1:10 other 200;f2:10 undigested 200;f3:10 undigested 200;f4:6 404;");
    end_play();
    assert_says(notes.heads[0], "\r\nWant-Repr-Digest: sha-256=10\r\n");
}

#define DIGEST_OF_PATTERN "CCj76AaFIdkANQjwtAFcnC09hgCKSaj/EsFncQSDeHE="

static void what_is_sent_and_must_be_verified_is_not_done_without_an_answer_of_its_digest(void **state)
{
    (void)state;
    struct work work = { .count = 2 };
    options.verify = CLIENT_VERIFY_ALWAYS;
    PLAY({ HEAR_HEAD, NULL, 0 }, { HEAR_BODY, NULL, 4 }, { HEAR_HEAD, NULL, 0 }, { HEAR_BODY, NULL, 4 },
         { SAY, CREATED "HTTP/1.1 201 Created\r\nContent-Length: 0\r\nRepr-Digest: sha-256=:", 0 },
         { SAY, DIGEST_OF_PATTERN ":\r\n\r\n", 0 });
    assert_int_equal(run(&work, true, 0), CLIENT_OK);
    assert_string_equal(work.said, "f0:10 undigested 201;f1:0 201;");
}

static void a_file_that_cannot_be_read_is_passed_over_and_one_is_read_again_after_a_cut(void **state)
{
    (void)state;
    struct work work = { .count = 3, .refuse_load = 2 };
    PLAY({ HEAR_HEAD, NULL, 0 }, { HEAR_BODY, NULL, 4 }, { HEAR_HEAD, NULL, 0 }, { HEAR_BODY, NULL, 4 },
         { SAY, CREATED, 0 }, { CUT, NULL, 0 }, { HEAR_HEAD, NULL, 0 }, { HEAR_BODY, NULL, 4 }, { SAY, CREATED, 0 });
    assert_int_equal(run(&work, true, 0), CLIENT_OK);
    assert_string_equal(work.said, "f1 unread;f0:0 201;f2:0 201;");
    assert_int_equal(work.loads, 4);
}

static void a_server_that_nobody_reaches_fails_what_was_begun_and_says_so(void **state)
{
    (void)state;
    struct work work = { .count = 5 };
    addresses[0] = (struct config_address){ .host = (char *)(uintptr_t) "127.0.0.1", .port = 1 };
    address_list.count = 1;
    open_client();
    assert_fails(run(&work, false, 0), CLIENT_CONNECT, "no connection");
    assert_string_equal(work.said, "f0:4 0;");
    assert_int_equal(work.given, 1);
}

static void nothing_to_do_takes_no_connection(void **state)
{
    (void)state;
    struct work work = { 0 };
    addresses[0] = (struct config_address){ .host = (char *)(uintptr_t) "127.0.0.1", .port = 1 };
    address_list.count = 1;
    open_client();
    assert_int_equal(run(&work, false, 0), CLIENT_OK);
    assert_int_equal(work.ends, 1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(answers_are_read_in_order_however_they_come),
        TEST(no_more_is_asked_for_than_the_window_holds),
        TEST(what_is_refused_is_told_and_the_others_come),
        TEST(a_cut_connection_is_followed_by_one_for_what_is_not_answered),
        TEST(a_server_that_says_it_closes_is_believed),
        TEST(a_body_that_ends_without_close_notify_is_not_taken),
        TEST(a_file_that_no_connection_brings_is_given_up_in_the_end),
        TEST(a_file_that_is_too_large_is_named_as_such),
        TEST(what_is_no_http_is_a_failure_of_the_server),
        TEST(a_silent_server_costs_the_idle_timeout_and_no_more),
        TEST(an_answer_that_nobody_asked_for_ends_the_lane),
        TEST(one_behind_the_last_is_no_success_either),
        TEST(files_are_sent_ahead_with_their_fields),
        TEST(what_the_server_got_is_compared_with_what_was_sent),
        TEST(nothing_is_compared_where_nobody_wants_it),
        TEST(what_is_fetched_and_must_be_verified_comes_with_its_digest),
        TEST(what_is_sent_and_must_be_verified_is_not_done_without_an_answer_of_its_digest),
        TEST(a_file_that_cannot_be_read_is_passed_over_and_one_is_read_again_after_a_cut),
        TEST(a_server_that_nobody_reaches_fails_what_was_begun_and_says_so),
        TEST(nothing_to_do_takes_no_connection),
    };
    return cmocka_run_group_tests(tests, begin_group, end_group);
}
