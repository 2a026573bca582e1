// rooms: gate config
/* The subcommand itself, with its main() left out: from a pipe, and typed at a terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pty.h>
#include <sys/wait.h>

#include "engine/cli/config_file.c"
#include "engine/cli/passwd.c"
#include "engine/cli/secret.c"

static char folder[] = "/tmp/sluice-passwd-XXXXXX";
static char file[64], ini[64];
static char said[8192];

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(file, sizeof(file), "%s/passwords", folder);
    snprintf(ini, sizeof(ini), "%s/site.ini", folder);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    return rmdir(folder);
}

static int end(void **state)
{
    (void)state;
    unlink(file);
    unlink(ini);
    return 0;
}

static void put(const char *path, const char *text, size_t length)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, length), (ssize_t)length);
    close(fd);
}

/* What it says on both outputs goes to said[]; `input` is its standard input, behind a pipe. */
static int run_with(const char *input, size_t length, int argc, char **argv)
{
    int in[2], old_in = dup(STDIN_FILENO), old_out = dup(STDOUT_FILENO), old_err = dup(STDERR_FILENO);
    FILE *capture = tmpfile();
    assert_true(capture && pipe(in) == 0);
    assert_int_equal(write(in[1], input, length), (ssize_t)length);
    close(in[1]);
    fflush(stdout);
    dup2(in[0], STDIN_FILENO);
    dup2(fileno(capture), STDOUT_FILENO);
    dup2(fileno(capture), STDERR_FILENO);
    int code = cli_passwd(argc, argv);
    fflush(stdout);
    dup2(old_in, STDIN_FILENO);
    dup2(old_out, STDOUT_FILENO);
    dup2(old_err, STDERR_FILENO);
    close(in[0]);
    close(old_in);
    close(old_out);
    close(old_err);
    ssize_t got = pread(fileno(capture), said, sizeof(said) - 1, 0);
    assert_true(got >= 0);
    said[got] = 0;
    fclose(capture);
    return code;
}

#define COUNT(...) ((int)(sizeof((char *[]){ "passwd", __VA_ARGS__ }) / sizeof(char *)))
#define RUN_BYTES(input, length, ...)                                                                                  \
    run_with((input), (length), COUNT(__VA_ARGS__), (char *[]){ "passwd", __VA_ARGS__, NULL })
#define RUN(input, ...) RUN_BYTES(input, strlen(input), __VA_ARGS__)

static bool holds(const char *name, const char *password)
{
    struct config_errors errors = { 0 };
    struct passwords *passwords = passwords_read(file, NULL, NULL, &errors);
    config_errors_print(&errors, stderr);
    config_errors_clear(&errors);
    assert_non_null(passwords);
    bool it_does = passwords_hold(passwords, name, password);
    passwords_free(passwords);
    return it_does;
}

static void assert_said(const char *words)
{
    if (!strstr(said, words))
        fail_msg("\"%s\" is not in: %s", words, said);
}

static void assert_nothing_made(void)
{
    assert_int_equal(access(file, F_OK), -1);
}

/* -- from a pipe --------------------------------------------------------------------------------------------------- */

static void a_line_from_a_pipe_is_the_password(void **state)
{
    (void)state;
    struct stat status;
    assert_int_equal(RUN("open sesame\nand more\n", "-f", file, "alice"), PASSWD_DONE);
    assert_said("the password of alice is set in ");
    assert_said("next reload");
    assert_null(strstr(said, "sesame"));
    assert_true(holds("alice", "open sesame"));
    assert_int_equal(stat(file, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
}

static void a_line_may_end_with_the_input(void **state)
{
    (void)state;
    assert_int_equal(RUN("s\xc3\xa9same", "-f", file, "alice"), PASSWD_DONE);
    assert_true(holds("alice", "s\xc3\xa9same"));
}

static void a_password_is_changed_and_others_stay(void **state)
{
    (void)state;
    assert_int_equal(RUN("one\n", "-f", file, "alice"), PASSWD_DONE);
    assert_int_equal(RUN("two\n", "-f", file, "bob"), PASSWD_DONE);
    assert_int_equal(RUN("three\n", "-f", file, "alice"), PASSWD_DONE);
    assert_true(holds("alice", "three") && holds("bob", "two"));
    assert_false(holds("alice", "one"));
}

static void a_password_has_at_most_255_bytes(void **state)
{
    (void)state;
    char line[258];
    memset(line, 'x', sizeof(line));
    line[256] = '\n';
    assert_int_equal(RUN_BYTES(line, 257, "-f", file, "alice"), PASSWD_NOT_DONE);
    assert_said("longer than 255 bytes; nothing was changed");
    assert_nothing_made();
    line[255] = '\n';
    assert_int_equal(RUN_BYTES(line, 256, "-f", file, "alice"), PASSWD_DONE);
    line[255] = 0;
    assert_true(holds("alice", line));
}

static void passwords_that_no_client_could_send_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *input;
        size_t length;
        const char *words;
    } cases[] = {
        { "", 0, "no password was given" },
        { "\n", 1, "the password is empty" },
        { "a\tb\n", 4, "control characters" },
        { "a\r\n", 3, "control characters" },
        { "a\0b\n", 4, "control characters" },
        { "a\x7f\n", 3, "control characters" },
        { "\xff\n", 2, "control characters, or is not UTF-8" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(RUN_BYTES(cases[i].input, cases[i].length, "-f", file, "alice"), PASSWD_NOT_DONE);
        assert_said(cases[i].words);
        assert_said("nothing was changed");
        assert_nothing_made();
    }
}

/* -- removing, listing --------------------------------------------------------------------------------------------- */

static void names_are_listed_and_removed(void **state)
{
    (void)state;
    assert_int_equal(RUN("x\n", "-f", file, "bob"), PASSWD_DONE);
    assert_int_equal(RUN("x\n", "-f", file, "alice"), PASSWD_DONE);
    assert_int_equal(RUN("", "-f", file, "--list"), PASSWD_DONE);
    assert_string_equal(said, "alice\nbob\n");
    assert_int_equal(RUN("", "-f", file, "--delete", "bob"), PASSWD_DONE);
    assert_said("bob has no password any more");
    assert_int_equal(RUN("", "-f", file, "--list"), PASSWD_DONE);
    assert_string_equal(said, "alice\n");
    assert_int_equal(RUN("", "-f", file, "--delete", "bob"), PASSWD_NOT_DONE);
    assert_said("there is no bob in ");
}

static void a_file_that_cannot_be_used_is_told(void **state)
{
    (void)state;
    assert_int_equal(RUN("", "-f", file, "--list"), PASSWD_FILE);
    assert_said("cannot be read: No such file or directory");
    assert_int_equal(RUN("x\n", "-f", "/nowhere/at/all", "alice"), PASSWD_FILE);
    assert_said("/nowhere/at/all cannot be changed: No such file or directory; nothing was changed");
    put(file, "bob:$1$x$y\n", 11);
    assert_int_equal(RUN("", "-f", file, "--list"), PASSWD_FILE);
    assert_said("too weak");
    assert_int_equal(RUN("x\n", "-f", file, "bob"), PASSWD_DONE); /* which is the remedy */
    assert_true(holds("bob", "x"));
}

/* -- arguments ----------------------------------------------------------------------------------------------------- */

static void a_password_is_never_an_argument(void **state)
{
    (void)state;
    assert_int_equal(RUN("x\n", "-f", file, "alice", "sesame"), PASSWD_USAGE);
    assert_said("a password is never an argument");
    assert_null(strstr(said, "sesame"));
    assert_nothing_made();
}

static void wrong_arguments_are_explained(void **state)
{
    (void)state;
    assert_int_equal(RUN("", "-f", file), PASSWD_USAGE);
    assert_said("NAME is missing");
    assert_int_equal(RUN("", "-f", file, "a b"), PASSWD_USAGE);
    assert_said("NAME holds");
    assert_int_equal(RUN("", "-f", file, "a:b"), PASSWD_USAGE);
    assert_int_equal(RUN("", "-f", file, ""), PASSWD_USAGE);
    assert_int_equal(RUN("", "-f", file, "--list", "alice"), PASSWD_USAGE);
    assert_said("--list stands alone");
    assert_int_equal(RUN("", "-f", file, "--list", "--delete"), PASSWD_USAGE);
    assert_int_equal(RUN("", "-f", file, "--delete", "a", "b"), PASSWD_USAGE);
    assert_said("one NAME at a time");
    assert_int_equal(RUN("", "-f", file, "-c", ini, "alice"), PASSWD_USAGE);
    assert_said("choose one");
    assert_int_equal(RUN("", "--password", "x"), PASSWD_USAGE);
    assert_said("no such option");
    assert_int_equal(RUN("", "alice", "-f"), PASSWD_USAGE);
    assert_said("need a value");
    assert_int_equal(RUN("", "--help"), PASSWD_DONE);
    assert_said("Usage: sluice passwd");
    assert_nothing_made();
}

/* -- by the configuration ------------------------------------------------------------------------------------------ */

static void the_configuration_says_which_file(void **state)
{
    (void)state;
    static const char text[] = "[server]\npassword_file = passwords\n";
    put(ini, text, strlen(text));
    assert_int_equal(RUN("x\n", "-c", ini, "alice"), PASSWD_DONE);
    assert_true(holds("alice", "x"));
    setenv("SLUICE_CONFIG", ini, 1);
    assert_int_equal(RUN("", "--list"), PASSWD_DONE);
    unsetenv("SLUICE_CONFIG");
    assert_string_equal(said, "alice\n");
}

static void a_configuration_without_a_file_is_told(void **state)
{
    (void)state;
    put(ini, "[server]\n", 9);
    assert_int_equal(RUN("x\n", "-c", ini, "alice"), PASSWD_CONFIG);
    assert_said("password_file is missing: add it to [server], or name the file with -f");
    put(ini, "[sevrer]\n", 9);
    assert_int_equal(RUN("x\n", "-c", ini, "alice"), PASSWD_CONFIG);
    assert_said("site.ini:1: ");
    assert_int_equal(RUN("x\n", "-c", "/nowhere/at/all", "alice"), PASSWD_CONFIG);
    assert_said("cannot be read");
    assert_nothing_made();
}

static void a_file_that_the_server_could_not_read_is_warned_about(void **state)
{
    (void)state;
    static const char text[] = "[server]\npassword_file = passwords\nuser = nobody\n";
    put(ini, text, strlen(text));
    assert_int_equal(RUN("x\n", "-c", ini, "alice"), PASSWD_DONE);
    assert_said("warning: the server reads ");
    assert_said("as user \"nobody\" at a reload, and cannot: chown nobody ");
}

/* -- at a terminal ------------------------------------------------------------------------------------------------- */

/* A process of its own at a terminal of its own: shown[] is what its user sees. */
struct typing {
    int terminal;
    pid_t process;
    char shown[4096];
    size_t length;
};

static _Noreturn void run_and_exit(void)
{
    int code = cli_passwd(4, (char *[]){ "passwd", "-f", file, "alice", NULL });
    fflush(NULL);
    _exit(code);
}

static void begin(struct typing *typing)
{
    *typing = (struct typing){ 0 };
    fflush(NULL);
    typing->process = forkpty(&typing->terminal, NULL, NULL, NULL);
    assert_true(typing->process >= 0);
    if (typing->process == 0)
        run_and_exit();
}

/* Until `words` are seen, behind what was seen before. */
static void see(struct typing *typing, const char *words)
{
    size_t from = typing->length;
    for (;;) {
        if (strstr(typing->shown + from, words))
            return;
        struct pollfd ready = { .fd = typing->terminal, .events = POLLIN };
        if (poll(&ready, 1, 20000) != 1)
            break;
        ssize_t got =
            read(typing->terminal, typing->shown + typing->length, sizeof(typing->shown) - 1 - typing->length);
        if (got <= 0)
            break;
        typing->length += (size_t)got;
    }
    fail_msg("\"%s\" was not seen: %s", words, typing->shown);
}

static void type(const struct typing *typing, const char *text)
{
    assert_int_equal(write(typing->terminal, text, strlen(text)), (ssize_t)strlen(text));
}

static bool echoes(const struct typing *typing)
{
    struct termios terminal;
    assert_int_equal(tcgetattr(typing->terminal, &terminal), 0);
    return terminal.c_lflag & ECHO;
}

static int finish(struct typing *typing)
{
    int status;
    assert_int_equal(waitpid(typing->process, &status, 0), typing->process);
    return status;
}

static void close_terminal(struct typing *typing)
{
    close(typing->terminal);
    assert_null(strstr(typing->shown, "sesame"));
}

static void a_password_is_typed_twice_and_never_shown(void **state)
{
    (void)state;
    struct typing typing;
    begin(&typing);
    see(&typing, "New password for alice: ");
    assert_false(echoes(&typing));
    type(&typing, "sesame\n");
    see(&typing, "Once more: ");
    assert_false(echoes(&typing));
    type(&typing, "sesame\n");
    see(&typing, "the password of alice is set");
    assert_int_equal(finish(&typing), 0);
    assert_true(echoes(&typing));
    close_terminal(&typing);
    assert_true(holds("alice", "sesame"));
}

static void two_that_differ_change_nothing(void **state)
{
    (void)state;
    struct typing typing;
    begin(&typing);
    see(&typing, "New password for alice: ");
    type(&typing, "sesame\n");
    see(&typing, "Once more: ");
    type(&typing, "sesama\n");
    see(&typing, "the two are not the same; nothing was changed");
    assert_int_equal(WEXITSTATUS(finish(&typing)), PASSWD_NOT_DONE);
    assert_true(echoes(&typing));
    close_terminal(&typing);
    assert_nothing_made();
}

static void an_end_of_input_changes_nothing(void **state)
{
    (void)state;
    struct typing typing;
    begin(&typing);
    see(&typing, "New password for alice: ");
    type(&typing, "\x04");
    see(&typing, "no password was given");
    assert_int_equal(WEXITSTATUS(finish(&typing)), PASSWD_NOT_DONE);
    assert_true(echoes(&typing));
    close_terminal(&typing);
}

static void an_interrupt_puts_the_terminal_back(void **state)
{
    (void)state;
    static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct typing typing;
        begin(&typing);
        see(&typing, "New password for alice: ");
        type(&typing, "sesa");
        if (numbers[i] == SIGINT)
            type(&typing, "\x03");
        else
            kill(typing.process, numbers[i]);
        int status = finish(&typing);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), numbers[i]);
        assert_true(echoes(&typing));
        close_terminal(&typing);
        assert_nothing_made();
    }
}

/* What a shell does: its job is in a group of its own, and may be stopped. A line from the terminal continues it. */
static int shell(void)
{
    int status;
    char byte;
    signal(SIGTTOU, SIG_IGN);
    pid_t job = fork();
    if (job == 0) {
        setpgid(0, 0);
        tcsetpgrp(STDIN_FILENO, getpid());
        signal(SIGTTOU, SIG_DFL);
        run_and_exit();
    }
    while (waitpid(job, &status, WUNTRACED) == job && WIFSTOPPED(status)) {
        tcsetpgrp(STDIN_FILENO, getpid());
        puts("it is stopped");
        fflush(stdout);
        while (read(STDIN_FILENO, &byte, 1) == 1 && byte != '\n')
            ;
        tcsetpgrp(STDIN_FILENO, job);
        kill(-job, SIGCONT);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

static void stopped_it_puts_the_terminal_back_and_continued_it_asks_again(void **state)
{
    (void)state;
    struct typing typing = { 0 };
    fflush(NULL);
    typing.process = forkpty(&typing.terminal, NULL, NULL, NULL);
    assert_true(typing.process >= 0);
    if (typing.process == 0)
        _exit(shell());
    see(&typing, "New password for alice: ");
    type(&typing, "ses\x1a");
    see(&typing, "it is stopped");
    assert_true(echoes(&typing));
    type(&typing, "\n");
    see(&typing, "New password for alice: ");
    assert_false(echoes(&typing));
    type(&typing, "sesame\n");
    see(&typing, "Once more: ");
    type(&typing, "sesame\n");
    see(&typing, "is set");
    assert_int_equal(finish(&typing), 0);
    assert_true(echoes(&typing));
    close_terminal(&typing);
    assert_true(holds("alice", "sesame"));
}

#define TEST(function) cmocka_unit_test_teardown(function, end)

int main(void)
{
    /* A terminal's signals, which nohup(1) and others leave ignored: children inherit that. */
    static const int terminal[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP };
    for (size_t i = 0; i < sizeof terminal / sizeof *terminal; i++)
        signal(terminal[i], SIG_DFL);
    const struct CMUnitTest tests[] = {
        TEST(a_line_from_a_pipe_is_the_password),
        TEST(a_line_may_end_with_the_input),
        TEST(a_password_is_changed_and_others_stay),
        TEST(a_password_has_at_most_255_bytes),
        TEST(passwords_that_no_client_could_send_are_refused),
        TEST(names_are_listed_and_removed),
        TEST(a_file_that_cannot_be_used_is_told),
        TEST(a_password_is_never_an_argument),
        TEST(wrong_arguments_are_explained),
        TEST(the_configuration_says_which_file),
        TEST(a_configuration_without_a_file_is_told),
        TEST(a_file_that_the_server_could_not_read_is_warned_about),
        TEST(a_password_is_typed_twice_and_never_shown),
        TEST(two_that_differ_change_nothing),
        TEST(an_end_of_input_changes_nothing),
        TEST(an_interrupt_puts_the_terminal_back),
        TEST(stopped_it_puts_the_terminal_back_and_continued_it_asks_again),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
