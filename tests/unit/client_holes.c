// rooms: client support
/* Files with holes, against a scripted server. */
#include "tests/unit/client_rig.h"

#define SIZE 3145728
#define PART(first, last, length)                                                                                      \
    "HTTP/1.1 206 Partial Content\r\nETag: \"a\"\r\n"                                                                  \
    "Content-Range: bytes " #first "-" #last "/3145728\r\nContent-Length: " #length "\r\n"

/* That `text` stands at `offset`, and nothing but zeros elsewhere, of those given. */
struct piece {
    size_t offset;
    const char *text;
};

static void assert_pieces(const char *path, const struct piece *pieces, size_t count)
{
    char *wanted = calloc(1, SIZE), *found = calloc(1, SIZE + 1);
    FILE *file = fopen(path, "r");

    assert_true(wanted && found && file);
    for (size_t i = 0; i < count; i++)
        memcpy(wanted + pieces[i].offset, pieces[i].text, strlen(pieces[i].text));
    assert_int_equal(fread(found, 1, SIZE + 1, file), SIZE);
    assert_memory_equal(wanted, found, SIZE);
    fclose(file);
    free(wanted);
    free(found);
}

static void fetches_data_and_leaves_holes(void **state)
{
    static const struct piece pieces[] = { { 0, "abcd" }, { 2097152, "efgh" }, { SIZE - 1, "z" } };

    (void)state;
    options.streams = 1;
    PLAY({ HEAR_HEAD, NULL, 0 },
         { SAY, PART(0, 3, 4) "Sluice-Data: 0-3,2097152-2097155, 3145727-3145727\r\n\r\nabcd", 0 },
         { HEAR_HEAD, NULL, 0 }, { SAY, PART(2097152, 2097155, 4) "\r\nefgh", 0 }, { HEAR_HEAD, NULL, 0 },
         { SAY, PART(3145727, 3145727, 1) "\r\nz", 0 });
    assert_int_equal(client_get(client, "x", in_folder("file")), CLIENT_OK);
    assert_int_equal(client_last(client)->bytes, 9);
    assert_int_equal(client_last(client)->hole_bytes, SIZE - 9);
    assert_int_equal(client_last(client)->resumed_bytes, 0);
    end_play();
    assert_says(notes.heads[0], "\r\nSluice-Want-Data: yes\r\n");
    assert_says(notes.heads[0], "\r\nRange: bytes=0-\r\n");
    assert_says(notes.heads[1], "\r\nRange: bytes=2097152-2097155\r\n");
    assert_says(notes.heads[1], "\r\nIf-Match: \"a\"\r\n");
    assert_says(notes.heads[2], "\r\nRange: bytes=3145727-3145727\r\n");
    assert_pieces(in_folder("file"), pieces, 3);
    assert_int_equal(files_in_folder(), 1);
}

static void begins_where_the_data_does(void **state)
{
    static const struct piece pieces[] = { { 1048576, "abcd" } };

    (void)state;
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, PART(1048576, 1048579, 4) "Sluice-Data: 1048576-1048579\r\n\r\nabcd", 0 });
    assert_int_equal(client_get(client, "x", in_folder("file")), CLIENT_OK);
    assert_int_equal(client_last(client)->bytes, 4);
    assert_pieces(in_folder("file"), pieces, 1);
}

static void a_file_of_nothing_but_a_hole_is_one_byte(void **state)
{
    (void)state;
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, PART(0, 0, 1) "Sluice-Data: none\r\n\r\n", 0 }, { SAY_BODY, NULL, 1 });
    assert_int_equal(client_get(client, "x", in_folder("file")), CLIENT_OK);
    assert_int_equal(client_last(client)->bytes, 1);
    assert_int_equal(client_last(client)->hole_bytes, SIZE - 1);
}

static void goes_on_with_a_file_with_holes(void **state)
{
    static const struct piece pieces[] = { { 0, "abcd" }, { 2097152, "efgh" } };

    (void)state;
    options.streams = 1;
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, PART(0, 3, 4) "Sluice-Data: 0-3,2097152-2097155\r\n\r\nabcd", 0 },
         { HEAR_HEAD, NULL, 0 }, { SAY, PART(2097152, 2097155, 4) "\r\nef", 0 }, { CUT, NULL, 0 },
         { HEAR_HEAD, NULL, 0 }, { SAY, PART(2097154, 2097155, 2) "\r\ngh", 0 }, { HEAR_HEAD, NULL, 0 },
         { SAY, "HTTP/1.1 200 OK\r\nContent-Length: 3145728\r\nETag: \"a\"\r\n\r\n", 0 });
    assert_fails(client_get(client, "x", in_folder("file")), CLIENT_CUT, "what came is kept in");
    assert_int_equal(client_last(client)->bytes, 6);
    assert_int_equal(files_in_folder(), 2);
    assert_int_equal(client_get(client, "x", in_folder("file")), CLIENT_OK);
    assert_int_equal(client_last(client)->bytes, 2);
    assert_int_equal(client_last(client)->resumed_bytes, SIZE - 2);
    assert_int_equal(client_last(client)->hole_bytes, 0);
    end_play();
    assert_says(notes.heads[2], "\r\nRange: bytes=2097154-2097155\r\n");
    assert_null(strstr(notes.heads[2], "Sluice-Want-Data"));
    assert_pieces(in_folder("file"), pieces, 2);
}

/* What the server says is looked at before anything is believed. */
static void refuses_what_cannot_be_true_of_holes(void **state)
{
    static const char *const said[] = {
        "0-3,x",    "0-3,", "-", "3-0", "0-3145728", "0-3,4000000-4000001", "18446744073709551615-18446744073709551615",
        "0-3;9-10", "None",
    };

    (void)state;
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        char head[512];
        snprintf(head, sizeof head, PART(0, 3, 4) "Sluice-Data: %s\r\n\r\nabcd", said[i]);
        const struct script_step steps[] = {
            { HEAR_HEAD, NULL, 0 }, { SAY, head, 0 }, { AWAIT_END, NULL, 0 }, { SCRIPT_END, NULL, 0 }
        };
        start_server(steps, false);
        open_client();
        assert_fails(client_get(client, "x", in_folder("file")), CLIENT_SERVER, "in a way that cannot be true");
        end_play();
        assert_int_equal(files_in_folder(), 0);
    }
}

static void refuses_another_part_where_nothing_is_said_of_holes(void **state)
{
    (void)state;
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, PART(1048576, 1048579, 4) "\r\nabcd", 0 }, { AWAIT_END, NULL, 0 });
    assert_fails(client_get(client, "x", in_folder("file")), CLIENT_SERVER, "another part than was asked for");
    assert_int_equal(files_in_folder(), 0);
}

/* -- put -- */

#define NONE_YET                                                                                                       \
    { HEAR_HEAD, NULL, 0 },                                                                                            \
    {                                                                                                                  \
        SAY, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nSluice-Upload-Have: none\r\n\r\n", 0                      \
    }
#define PART_CAME                                                                                                      \
    {                                                                                                                  \
        SAY, "HTTP/1.1 204 No Content\r\n\r\n", 0                                                                      \
    }

/* 65536 bytes of the pattern at `offset`; all else is a hole. */
static void write_sparse(const char *path, size_t offset)
{
    char bytes[65536];
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)script_pattern(i);
    assert_int_equal(ftruncate(fd, SIZE), 0);
    assert_int_equal(pwrite(fd, bytes, sizeof bytes, (off_t)offset), sizeof bytes);
    assert_int_equal(fsync(fd), 0);
    close(fd);
}

static void tells_of_holes_and_sends_data(void **state)
{
    (void)state;
    options.verify = CLIENT_VERIFY_NEVER;
    PLAY(NONE_YET, { HEAR_HEAD, NULL, 0 }, PART_CAME, { HEAR_HEAD, NULL, 0 }, { HEAR_BODY, NULL, 65536 }, PART_CAME,
         { HEAR_HEAD, NULL, 0 }, { SAY, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", 0 });
    write_sparse(in_folder("file"), 1048576);
    assert_int_equal(client_put(client, in_folder("file"), "x"), CLIENT_OK);
    assert_int_equal(client_last(client)->bytes, 65536);
    assert_int_equal(client_last(client)->hole_bytes, SIZE - 65536);
    assert_string_equal(client_last(client)->note, "");
    end_play();
    assert_true(notes.body_matches);
    assert_says(notes.heads[1], "PUT /x HTTP/1.1\r\n");
    assert_says(notes.heads[1], "\r\nSluice-Upload: ");
    assert_says(notes.heads[1], "\r\nSluice-Holes: bytes 0-1048575,1114112-3145727/3145728\r\n");
    assert_says(notes.heads[1], "\r\nContent-Length: 0\r\n");
    assert_null(strstr(notes.heads[1], "Content-Range"));
    assert_says(notes.heads[2], "\r\nContent-Range: bytes 1048576-1114111/3145728\r\n");
    assert_says(notes.heads[3], "\r\nContent-Range: bytes */3145728\r\n");
}

static void sends_zeros_where_the_server_knows_of_no_holes(void **state)
{
    (void)state;
    options.streams = 1;
    options.idle_timeout = 60000; /* an emulated machine takes its time for so many bytes */
    options.verify = CLIENT_VERIFY_NEVER;
    PLAY(NONE_YET, { HEAR_HEAD, NULL, 0 }, { SAY, "HTTP/1.1 400 Bad Request\r\nContent-Length: 5\r\n\r\nwhat?", 0 },
         { HEAR_HEAD, NULL, 0 }, { SAY, "HTTP/1.1 100 Continue\r\n\r\n", 0 }, { HEAR_BODY, NULL, SIZE }, PART_CAME,
         { HEAR_HEAD, NULL, 0 }, { SAY, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", 0 });
    write_sparse(in_folder("file"), 1048576);
    assert_int_equal(client_put(client, in_folder("file"), "x"), CLIENT_OK);
    assert_int_equal(client_last(client)->bytes, SIZE);
    assert_int_equal(client_last(client)->hole_bytes, 0);
    assert_string_equal(client_last(client)->note, "the server takes no holes: they were sent as zeros");
    end_play();
    assert_int_equal(notes.body_heard, SIZE);
    assert_says(notes.heads[2], "\r\nContent-Range: bytes 0-3145727/3145728\r\n");
}

/* The one who has the upload ends; then nobody has to send zeros. */
static void tells_again_of_holes_where_another_has_the_upload_yet(void **state)
{
    (void)state;
    options.retries = 2;
    options.verify = CLIENT_VERIFY_NEVER;
    PLAY(NONE_YET, { HEAR_HEAD, NULL, 0 }, { SAY, "HTTP/1.1 409 Conflict\r\nContent-Length: 4\r\n\r\nbusy", 0 },
         { HEAR_HEAD, NULL, 0 }, { HANG_UP, NULL, 0 }, { HEAR_HEAD, NULL, 0 }, PART_CAME, { HEAR_HEAD, NULL, 0 },
         { HEAR_BODY, NULL, 65536 }, PART_CAME, { HEAR_HEAD, NULL, 0 },
         { SAY, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", 0 });
    write_sparse(in_folder("file"), 1048576);
    assert_int_equal(client_put(client, in_folder("file"), "x"), CLIENT_OK);
    assert_int_equal(client_last(client)->bytes, 65536);
    assert_string_equal(client_last(client)->note, "");
    assert_string_equal(client_reason(client), "");
    end_play();
    for (size_t i = 1; i < 4; i++)
        assert_says(notes.heads[i], "\r\nSluice-Holes: bytes 0-1048575,1114112-3145727/3145728\r\n");
}

/* What is there already is not told of, nor sent. */
static void tells_of_what_is_missing_only(void **state)
{
    (void)state;
    options.verify = CLIENT_VERIFY_NEVER;
    PLAY({ HEAR_HEAD, NULL, 0 },
         { SAY, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nSluice-Upload-Have: 100-2097151\r\n\r\n", 0 },
         { HEAR_HEAD, NULL, 0 }, PART_CAME, { HEAR_HEAD, NULL, 0 },
         { SAY, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", 0 });
    write_sparse(in_folder("file"), 1048576);
    assert_int_equal(client_put(client, in_folder("file"), "x"), CLIENT_OK);
    assert_int_equal(client_last(client)->bytes, 0);
    assert_int_equal(client_last(client)->resumed_bytes, 2097052);
    assert_int_equal(client_last(client)->hole_bytes, SIZE - 2097052);
    end_play();
    assert_says(notes.heads[1], "\r\nSluice-Holes: bytes 0-99,2097152-3145727/3145728\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(fetches_data_and_leaves_holes),
        TEST(begins_where_the_data_does),
        TEST(a_file_of_nothing_but_a_hole_is_one_byte),
        TEST(goes_on_with_a_file_with_holes),
        TEST(refuses_what_cannot_be_true_of_holes),
        TEST(refuses_another_part_where_nothing_is_said_of_holes),
        TEST(tells_of_holes_and_sends_data),
        TEST(sends_zeros_where_the_server_knows_of_no_holes),
        TEST(tells_again_of_holes_where_another_has_the_upload_yet),
        TEST(tells_of_what_is_missing_only),
    };
    return cmocka_run_group_tests(tests, begin_group, end_group);
}
