// rooms: support client
#include "tests/unit/client_rig.h"

#define ONE "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1"
#define UNAUTHORIZED "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\n\r\n"

static void write_bytes(const char *path, const char *bytes, size_t length, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, length), length);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void log_in_as(const char *name, const char *password)
{
    write_bytes(in_folder("password"), password, strlen(password), 0600);
    options.login = name;
    options.password_file = in_folder("password");
}

/* client_new() must end so, with a message that says this. */
static void assert_new(int wanted, const char *sentence)
{
    struct config_errors errors = { 0 };
    static uint16_t port = 1;

    addresses[0] = (struct config_address){ .host = (char *)(uintptr_t) "127.0.0.1", .port = port };
    address_list.count = 1;
    int result = client_new(&client, &options, &errors);
    if (result != wanted)
        fail_msg("client_new() says %d, not %d", result, wanted);
    assert_int_equal(errors.count, 1);
    assert_says(errors.items[0].text, sentence);
    assert_null(strstr(errors.items[0].text, "secret"));
    assert_int_equal(errors.error_count, wanted == CLIENT_OK ? 0 : 1);
    config_errors_clear(&errors);
    client_free(client);
    client = NULL;
}

static void sends_its_login_with_every_request(void **state)
{
    (void)state;
    log_in_as("alice", "secret\n");
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, ONE, 0 }, { HEAR_HEAD, NULL, 0 }, { SAY, ONE, 0 });
    assert_int_equal(client_get(client, "a", in_folder("a")), CLIENT_OK);
    assert_int_equal(client_get(client, "b", in_folder("b")), CLIENT_OK);
    end_play();
    assert_int_equal(notes.head_count, 2);
    assert_says(notes.heads[0], "\r\nAuthorization: Basic YWxpY2U6c2VjcmV0\r\n");
    assert_says(notes.heads[1], "\r\nAuthorization: Basic YWxpY2U6c2VjcmV0\r\n");
}

static void sends_its_login_over_a_resumed_session_too(void **state)
{
    (void)state;
    log_in_as("alice", "secret\n");
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, ONE, 0 }, { SCRIPT_CLOSE, NULL, 0 }, { HEAR_HEAD, NULL, 0 }, { SAY, ONE, 0 });
    assert_int_equal(client_get(client, "a", in_folder("a")), CLIENT_OK);
    assert_int_equal(client_get(client, "b", in_folder("b")), CLIENT_OK);
    end_play();
    assert_int_equal(notes.connections, 2);
    assert_int_equal(notes.resumed, 1);
    assert_says(notes.heads[1], "\r\nAuthorization: Basic YWxpY2U6c2VjcmV0\r\n");
}

static void sends_no_login_where_there_is_none(void **state)
{
    (void)state;
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, ONE, 0 });
    assert_int_equal(client_get(client, "a", in_folder("a")), CLIENT_OK);
    end_play();
    assert_null(strstr(notes.heads[0], "Authorization"));
}

static void encodes_passwords_of_every_length(void **state)
{
    static const struct {
        const char *file, *field;
    } cases[] = {
        { "s", "Basic YTpz\r\n" },
        { "se", "Basic YTpzZQ==\r\n" },
        { "sec\r\nsecond line\n", "Basic YTpzZWM=\r\n" },
        { "p:\xc3\xa4 \xf0\x9f\x94\x91\n", "Basic YTpwOsOkIPCflJE=\r\n" },
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[2] = { (char)('1' + i), '\0' }; /* a file that is there would be asked after first */
        log_in_as("a", cases[i].file);
        PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, ONE, 0 });
        assert_int_equal(client_get(client, "x", in_folder(name)), CLIENT_OK);
        end_play();
        assert_says(notes.heads[0], cases[i].field);
    }
}

static void takes_a_password_as_long_as_one_may_be(void **state)
{
    char password[258];

    (void)state;
    memset(password, 's', sizeof password);
    strcpy(password + 255, "\r\n");
    log_in_as("a", password);
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, ONE, 0 });
    assert_int_equal(client_get(client, "x", in_folder("x")), CLIENT_OK);
    end_play();
    assert_says(notes.heads[0], "c3Nzc3M=\r\n");

    strcpy(password + 254, "ss");
    log_in_as("a", password);
    assert_new(CLIENT_CONFIG, "more than 255 bytes");
}

/* Anybody could be at the other end. */
static void an_unverified_server_gets_no_login(void **state)
{
    struct config_errors errors = { 0 };
    static const struct script_step steps[] = { { HEAR_HEAD, NULL, 0 }, { SAY, UNAUTHORIZED, 0 }, { 0 } };

    (void)state;
    log_in_as("alice", "secret\n");
    profile->verify = CONFIG_VERIFY_NONE;
    profile->insecure = true;
    start_server(steps, false);
    assert_int_equal(client_new(&client, &options, &errors), CLIENT_OK);
    bool said = false;
    for (size_t i = 0; i < errors.count; i++)
        said |= strstr(errors.items[i].text, "the login is not sent") != NULL;
    assert_true(said);
    config_errors_clear(&errors);
    assert_fails(client_get(client, "a", in_folder("a")), CLIENT_REFUSED, "verify = required");
    end_play();
    assert_null(strstr(notes.heads[0], "Authorization"));
    assert_null(strstr(notes.heads[0], "YWxpY2U6"));
}

static void says_what_to_do_about_a_401(void **state)
{
    (void)state;
    {
        PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, UNAUTHORIZED, 0 });
        assert_fails(client_get(client, "a", in_folder("a")), CLIENT_REFUSED,
                     "give the partner `login` and `login_password_file`");
        end_play();
    }
    log_in_as("alice", "secret");
    {
        PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, UNAUTHORIZED, 0 });
        assert_fails(client_get(client, "a", in_folder("a")), CLIENT_REFUSED, "it does not take this login");
        end_play();
    }
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n", 0 });
    assert_fails(client_get(client, "a", in_folder("a")), CLIENT_REFUSED, "wait some minutes");
}

static void refuses_a_password_file_that_cannot_be_used(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
        mode_t mode;
        const char *sentence;
    } cases[] = {
        { "", 0, 0600, "has no password in its first line" },
        { "\nsecret\n", 8, 0600, "has no password in its first line" },
        { "\r\n", 2, 0600, "has no password in its first line" },
        { "sec\0ret\n", 8, 0600, "has a control character" },
        { "sec\tret", 7, 0600, "has a control character" },
        { "secret\n", 7, 0604, "is open to every user of this machine (mode 0604)" },
        { "secret\n", 7, 0602, "is open to every user of this machine (mode 0602)" },
    };
    (void)state;

    options.login = "alice";
    options.password_file = in_folder("password");
    assert_new(CLIENT_CONFIG, "No such file or directory");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        options.password_file = in_folder("password");
        write_bytes(options.password_file, cases[i].bytes, cases[i].length, cases[i].mode);
        assert_new(CLIENT_CONFIG, cases[i].sentence);
    }
    write_bytes(options.password_file, "secret\n", 7, 0640);
    assert_new(CLIENT_OK, "is open to its whole group (mode 0640)");
    options.password_file = folder;
    assert_new(CLIENT_CONFIG, "is not a regular file");
    options.password_file = in_folder("fifo");
    assert_int_equal(mkfifo(options.password_file, 0600), 0);
    assert_new(CLIENT_CONFIG, "is not a regular file");
}

static void a_login_is_a_name_and_a_password(void **state)
{
    char name[130];

    (void)state;
    options.login = "alice";
    assert_new(CLIENT_CONFIG, "login_password_file is missing");
    log_in_as("alice", "secret");
    options.login = NULL;
    assert_new(CLIENT_CONFIG, "login is missing");
    options.login = "al:ice";
    assert_new(CLIENT_CONFIG, "is no name to log in with");
    memset(name, 'a', sizeof name);
    name[128] = '\0';
    options.login = name;
    assert_new(CLIENT_CONFIG, "is no name to log in with");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sends_its_login_with_every_request),
        TEST(sends_its_login_over_a_resumed_session_too),
        TEST(sends_no_login_where_there_is_none),
        TEST(encodes_passwords_of_every_length),
        TEST(takes_a_password_as_long_as_one_may_be),
        TEST(an_unverified_server_gets_no_login),
        TEST(says_what_to_do_about_a_401),
        TEST(refuses_a_password_file_that_cannot_be_used),
        TEST(a_login_is_a_name_and_a_password),
    };
    return cmocka_run_group_tests(tests, begin_group, end_group);
}
