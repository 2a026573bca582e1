// rooms: gate config
/* Files of passwords: what is taken in, what is refused and how it is said, and how one entry changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/model.h"
#include "engine/gate/passwords_internal.h"

#define YESCRYPT "$y$j75$F5Jx5fExrKuPp53xLKQ..1$tnSYvahCwPBHKZUspmcxMfb0.WiB9W.zEaKlOBL35rC"

static char folder[] = "/tmp/sluice-passwords-XXXXXX";
static char file[64];
static struct config_errors errors;

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(file, sizeof(file), "%s/passwords", folder);
    umask(022);
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
    config_errors_clear(&errors);
    unlink(file);
    return 0;
}

static void write_bytes(const char *text, size_t length, mode_t mode)
{
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, length), (ssize_t)length);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void write_text(const char *text)
{
    write_bytes(text, strlen(text), 0600);
}

static const char *content(void)
{
    static char text[8192];
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t length = read(fd, text, sizeof(text) - 1);
    close(fd);
    assert_true(length >= 0);
    text[length] = 0;
    return text;
}

static mode_t mode_of(const char *path)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return status.st_mode & 07777;
}

static struct passwords *take(void)
{
    config_errors_clear(&errors);
    return passwords_read(file, NULL, "password_file", &errors);
}

static struct passwords *must_take(void)
{
    struct passwords *passwords = take();
    if (!passwords)
        config_errors_print(&errors, stderr);
    assert_non_null(passwords);
    return passwords;
}

/* -- hashes -------------------------------------------------------------------------------------------------------- */

static const char *const hashes[] = {
    "$2b$05$abcdefghijklmnopqrstuuhMPr/Nj4eVBhiFWLJnyGqxuBIoVnYSq",
    "$2y$05$abcdefghijklmnopqrstuuhMPr/Nj4eVBhiFWLJnyGqxuBIoVnYSq",
    "$6$saltstring$aToH6fQYcxcmnAHmXIKHD3uDHlGr3tOiQgJlLR5UpCbhiYO2vvMgEJPhxVSOgI5ap.TIBCGtYbTcWHjMUqFZD1",
    "$6$rounds=1000$saltstring$aToH6fQYcxcmnAHmXIKHD3uDHlGr3tOiQgJlLR5UpCbhiYO2vvMgEJPhxVSOgI5ap.TIBCGtYbTcWHjMUqFZD1",
    YESCRYPT,
};

struct fault {
    const char *hash, *words;
};

static const struct fault faults[] = {
    { "$apr1$abc$def", "too weak" },
    { "$1$abc$def", "too weak" },
    { "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "too weak" },
    { "$5$salt$hash", "not taken" },
    { "$7$CU..../....salt$hash", "not taken" },
    { "", "has no hash that is taken" },
    { "secret", "has no hash that is taken" },
    { "abJnggxhB/yWI", "has no hash that is taken" },
    { "*", "has no hash that is taken" },
    { "$y$", "malformed or cut short" },
    { "$y$j9T$abc", "malformed or cut short" },
    { YESCRYPT "x", "malformed or cut short" },
    { YESCRYPT ":1:2", "malformed or cut short" },
    { "$2b$05$abcdefghijklmnopqrstuuhMPr/Nj4eVBhiFWLJnyGqxuBIoVnYS", "malformed or cut short" },
    { "$2b$03$abcdefghijklmnopqrstuuhMPr/Nj4eVBhiFWLJnyGqxuBIoVnYSq", "cost is out of bounds" },
    { "$2b$99$abcdefghijklmnopqrstuuhMPr/Nj4eVBhiFWLJnyGqxuBIoVnYSq", "cost is out of bounds" },
    { "$2b$17$abcdefghijklmnopqrstuuhMPr/Nj4eVBhiFWLJnyGqxuBIoVnYSq", "cost is out of bounds" },
    { "$2b$31$abcdefghijklmnopqrstuuhMPr/Nj4eVBhiFWLJnyGqxuBIoVnYSq", "cost is out of bounds" },
    { "$6$rounds=5000001$salt$aToH6fQYcxcmnAHmXIKHD3uDHlGr3tOiQgJlLR5UpCbhiYO2vvMgEJPhxVSOgI5ap.TIBCGtYbTcWHjMUqFZD1",
      "cost is out of bounds" },
    { "$6$rounds=999999999$s$aToH6fQYcxcmnAHmXIKHD3uDHlGr3tOiQgJlLR5UpCbhiYO2vvMgEJPhxVSOgI5ap.TIBCGtYbTcWHjMUqFZD1",
      "cost is out of bounds" },
    { "$y$jFT$F5Jx5fExrKuPp53xLKQ..1$tnSYvahCwPBHKZUspmcxMfb0.WiB9W.zEaKlOBL35rC", "cost is out of bounds" },
    { "$y$j9z$F5Jx5fExrKuPp53xLKQ..1$tnSYvahCwPBHKZUspmcxMfb0.WiB9W.zEaKlOBL35rC", "cost is out of bounds" },
};

static void hashes_of_the_methods_that_are_taken_are_taken(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++) {
        const char *fault = passwords_hash_fault(hashes[i]);
        if (fault)
            fail_msg("%s %s", hashes[i], fault);
    }
}

static void other_hashes_are_refused_each_with_its_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        const char *fault = passwords_hash_fault(faults[i].hash);
        if (!fault || !strstr(fault, faults[i].words))
            fail_msg("%s: %s", faults[i].hash, fault ? fault : "taken");
        if (!strstr(fault, "sluice passwd NAME"))
            fail_msg("%s: no remedy", faults[i].hash);
    }
}

static void a_new_hash_is_yescrypt_and_never_the_same_twice(void **state)
{
    (void)state;
    char *one = passwords_hash("secret"), *two = passwords_hash("secret");
    assert_true(one && two);
    assert_int_equal(strncmp(one, "$y$j9T$", 7), 0);
    assert_string_not_equal(one, two);
    assert_null(passwords_hash_fault(one));
    free(one);
    free(two);
}

/* -- reading ------------------------------------------------------------------------------------------------------- */

static void set(const char *name, const char *password, const char *setting)
{
    char hash[400];
    assert_true(passwords_crypt(password, setting, hash));
    assert_int_equal(passwords_change(file, name, hash), 0);
}

static void a_password_holds_with_every_method(void **state)
{
    (void)state;
    static const char *const settings[] = { "$y$j75$F5Jx5fExrKuPp53xLKQ..1", "$2b$05$abcdefghijklmnopqrstuu",
                                            "$2y$05$abcdefghijklmnopqrstuu", "$2a$05$abcdefghijklmnopqrstuu",
                                            "$6$rounds=1000$saltstring",     "$6$saltstring" };
    static const char *const names[] = { "yes", "b", "y", "a", "rounds", "sha" };
    static const char secret[] = "s\xc3\xa9same, open";
    for (size_t i = 0; i < 6; i++)
        set(names[i], secret, settings[i]);
    struct passwords *passwords = must_take();
    for (size_t i = 0; i < 6; i++) {
        assert_true(passwords_hold(passwords, names[i], secret));
        assert_false(passwords_hold(passwords, names[i], "s\xc3\xa9same, opem"));
        assert_false(passwords_hold(passwords, names[i], ""));
        assert_true(passwords_know(passwords, names[i]));
    }
    assert_string_equal(passwords_name(passwords, 0), "a");
    assert_string_equal(passwords_name(passwords, 5), "yes");
    assert_null(passwords_name(passwords, 6));
    passwords_free(passwords);
}

static void a_name_that_is_not_there_holds_nothing(void **state)
{
    (void)state;
    set("alice", "secret", "$6$rounds=1000$saltstring");
    struct passwords *passwords = must_take();
    assert_false(passwords_know(passwords, "bob"));
    assert_false(passwords_hold(passwords, "bob", "secret"));
    assert_false(passwords_hold(passwords, "", "secret"));
    passwords_free(passwords);
    assert_false(passwords_know(NULL, "alice"));
    assert_false(passwords_hold(NULL, "alice", "secret"));
}

static double seconds_for(const struct passwords *passwords, const char *name)
{
    struct timespec before, after;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    for (int i = 0; i < 3; i++)
        assert_false(passwords_hold(passwords, name, "wrong"));
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    return (double)(after.tv_sec - before.tv_sec) + (double)(after.tv_nsec - before.tv_nsec) / 1e9;
}

/* Against a method far from the default's cost on either side, so that the wrong stand-in shows by an order. */
static void a_name_that_is_not_there_costs_what_one_costs_that_is(void **state)
{
    (void)state;
    static const char *const settings[] = { "$6$rounds=1000$saltstring", "$6$rounds=400000$saltstring" };
    for (size_t i = 0; i < 2; i++) {
        unlink(file);
        set("alice", "secret", settings[i]);
        struct passwords *passwords = must_take();
        double known = seconds_for(passwords, "alice"), unknown = seconds_for(passwords, "mallory");
        assert_true(unknown > known / 4 && unknown < known * 4);
        passwords_free(passwords);
    }
    write_text("# nobody yet\n");
    struct passwords *passwords = must_take();
    assert_true(seconds_for(passwords, "mallory") > 0.001);
    assert_true(seconds_for(NULL, "mallory") > 0.001);
    passwords_free(passwords);
}

static void comments_empty_lines_and_other_line_ends_are_read(void **state)
{
    (void)state;
    write_text("# of the site\n\nalice:" YESCRYPT "\r\n\n#bob:x\nbob:" YESCRYPT);
    struct passwords *passwords = must_take();
    assert_true(passwords_know(passwords, "alice") && passwords_know(passwords, "bob"));
    assert_string_equal(passwords_name(passwords, 1), "bob");
    assert_null(passwords_name(passwords, 2));
    passwords_free(passwords);
}

static void an_empty_file_is_one_with_nobody_in_it(void **state)
{
    (void)state;
    write_text("");
    struct passwords *passwords = must_take();
    assert_null(passwords_name(passwords, 0));
    passwords_free(passwords);
}

static void every_fault_is_told_at_once_with_its_line(void **state)
{
    (void)state;
    write_text("alice:" YESCRYPT "\n"
               "no colon\n"
               "bob:$apr1$abc$def\n"
               "b ob:" YESCRYPT "\n"
               ":" YESCRYPT "\n"
               "alice:" YESCRYPT "\n"
               "eve:hunter2\n");
    static const char *const said[] = {
        "line 2 is not NAME:HASH",
        "line 3 (bob) is MD5 ($apr1$), which is too weak",
        "line 4 has a name that is not",
        "line 5 has a name that is not",
        "line 7 (eve) has no hash that is taken",
        "line 6 (alice) is there already, in line 1",
    };
    assert_null(take());
    assert_int_equal(errors.count, sizeof(said) / sizeof(said[0]));
    for (size_t i = 0; i < errors.count; i++) {
        if (!strstr(errors.items[i].text, said[i]))
            fail_msg("%s", errors.items[i].text);
        assert_null(strstr(errors.items[i].text, "hunter2"));
        assert_null(strstr(errors.items[i].text, "abc$def"));
    }
}

static void a_long_name_and_a_zero_byte_are_refused(void **state)
{
    (void)state;
    char text[300];
    int length = snprintf(text, sizeof(text), "%0128d:" YESCRYPT "\n", 0);
    write_bytes(text, (size_t)length, 0600);
    assert_null(take());
    assert_non_null(strstr(errors.items[0].text, "line 1 has a name"));
    write_bytes("a\0b:c\n", 6, 0600);
    assert_null(take());
    assert_non_null(strstr(errors.items[0].text, "holds a NUL byte"));
}

static void a_file_that_others_can_read_is_refused_and_one_of_a_group_warned_about(void **state)
{
    (void)state;
    write_bytes("alice:" YESCRYPT "\n", strlen("alice:" YESCRYPT "\n"), 0644);
    assert_null(take());
    assert_int_equal(errors.count, 1);
    assert_non_null(strstr(errors.items[0].text, "open to every user of this machine (mode 0644); chmod 600"));
    assert_int_equal(chmod(file, 0640), 0);
    struct passwords *passwords = must_take();
    assert_int_equal(errors.count, 1);
    assert_int_equal(errors.items[0].severity, CONFIG_WARNING);
    assert_non_null(strstr(errors.items[0].text, "open to its whole group"));
    passwords_free(passwords);
    assert_int_equal(chmod(file, 0600), 0);
    passwords_free(must_take());
    assert_int_equal(errors.count, 0);
}

static void what_is_no_file_is_refused(void **state)
{
    (void)state;
    assert_null(take());
    assert_non_null(strstr(errors.items[0].text, "No such file or directory; make it with `sluice passwd NAME`"));
    assert_int_equal(mkdir(file, 0700), 0);
    assert_null(take());
    assert_non_null(strstr(errors.items[0].text, "is not a file"));
    assert_int_equal(passwords_change(file, "alice", YESCRYPT), -EISDIR);
    assert_int_equal(rmdir(file), 0);
    assert_int_equal(mkfifo(file, 0600), 0);
    assert_null(take());
    assert_non_null(strstr(errors.items[0].text, "is not a file"));
    assert_int_equal(passwords_change(file, "alice", YESCRYPT), -EINVAL);
}

static void a_file_may_be_so_long_and_no_longer(void **state)
{
    (void)state;
    size_t length = PASSWORDS_FILE_MAX + 1;
    char *text = malloc(length + 1);
    assert_non_null(text);
    memset(text, '\n', length);
    write_bytes(text, length, 0600);
    assert_null(take());
    assert_non_null(strstr(errors.items[0].text, "4 MiB is the most"));
    assert_int_equal(passwords_change(file, "alice", YESCRYPT), -EFBIG);
    write_bytes(text, length - 1, 0600);
    assert_int_equal(passwords_change(file, "alice", YESCRYPT), -EFBIG); /* nor may it become too long */
    passwords_free(must_take());

    static const char hash[] = "$2b$05$abcdefghijklmnopqrstuuhMPr/Nj4eVBhiFWLJnyGqxuBIoVnYSq";
    size_t used = 0;
    unsigned made = 0;
    while (used + 70 < length)
        used += (size_t)snprintf(text + used, 80, "%x:%s\n", made++, hash);
    write_bytes(text, used, 0600);
    assert_true(made > 60000);
    struct passwords *passwords = must_take();
    assert_true(passwords_know(passwords, "0") && passwords_know(passwords, "abc"));
    passwords_free(passwords);
    free(text);
}

/* -- changing ------------------------------------------------------------------------------------------------------ */

static void a_new_file_is_its_owners_alone(void **state)
{
    (void)state;
    umask(0);
    assert_int_equal(passwords_change(file, "alice", YESCRYPT), 0);
    umask(022);
    assert_int_equal(mode_of(file), 0600);
    assert_string_equal(content(), "alice:" YESCRYPT "\n");
}

static void a_change_keeps_comments_order_and_mode(void **state)
{
    (void)state;
    static const char before[] = "# site\nalice:old\n\nbob:$1$x\nalice:older\nal:" YESCRYPT;
    write_bytes(before, strlen(before), 0640);
    assert_int_equal(passwords_change(file, "alice", YESCRYPT), 0);
    assert_string_equal(content(), "# site\nalice:" YESCRYPT "\n\nbob:$1$x\nal:" YESCRYPT "\n");
    assert_int_equal(mode_of(file), 0640);
    assert_int_equal(passwords_change(file, "bob", NULL), 0);
    assert_string_equal(content(), "# site\nalice:" YESCRYPT "\n\nal:" YESCRYPT "\n");
    assert_int_equal(passwords_change(file, "zoe", YESCRYPT), 0);
    assert_string_equal(content(), "# site\nalice:" YESCRYPT "\n\nal:" YESCRYPT "\nzoe:" YESCRYPT "\n");
}

static void a_change_takes_it_from_others(void **state)
{
    (void)state;
    write_bytes("", 0, 0646);
    assert_int_equal(passwords_change(file, "alice", YESCRYPT), 0);
    assert_int_equal(mode_of(file), 0640);
}

static void removing_what_is_not_there_changes_nothing(void **state)
{
    (void)state;
    assert_int_equal(passwords_change(file, "alice", NULL), -ENOENT);
    assert_int_equal(access(file, F_OK), -1);
    write_text("bob:x");
    assert_int_equal(passwords_change(file, "alice", NULL), -ENOENT);
    assert_string_equal(content(), "bob:x");
}

static void a_change_follows_a_link_and_keeps_it(void **state)
{
    (void)state;
    char link[80];
    struct stat status;
    snprintf(link, sizeof(link), "%s/link", folder);
    assert_int_equal(symlink("passwords", link), 0);
    write_text("bob:x\n");
    assert_int_equal(passwords_change(link, "bob", NULL), 0);
    assert_string_equal(content(), "");
    assert_int_equal(lstat(link, &status), 0);
    assert_true(S_ISLNK(status.st_mode));
    unlink(link);
}

static void a_folder_that_is_not_there_is_told(void **state)
{
    (void)state;
    assert_int_equal(passwords_change("/nowhere/at/all", "alice", YESCRYPT), -ENOENT);
}

static void *add_many(void *prefix)
{
    for (int i = 0; i < 25; i++) {
        char name[16];
        snprintf(name, sizeof(name), "%s%02d", (const char *)prefix, i);
        if (passwords_change(file, name, YESCRYPT) != 0)
            return prefix;
    }
    return NULL;
}

static void changes_at_the_same_time_are_all_kept(void **state)
{
    (void)state;
    static char prefixes[4][2] = { "a", "b", "c", "d" };
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_many, prefixes[i]), 0);
    for (size_t i = 0; i < 4; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    struct passwords *passwords = must_take();
    assert_string_equal(passwords_name(passwords, 0), "a00");
    assert_string_equal(passwords_name(passwords, 99), "d24");
    assert_null(passwords_name(passwords, 100));
    passwords_free(passwords);
}

static void names_hold_what_they_may(void **state)
{
    (void)state;
    static const char *const good[] = { "a", "alice.b_c-d@e.example+x", "0", "..", "-x" };
    static const char *const bad[] = { "", "a b", "a:b", "a\n", "\xc3\xa9", "a/b", "#a", "a\"" };
    char name[129];
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(passwords_name_good(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(passwords_name_good(bad[i]));
    snprintf(name, sizeof(name), "%0127d", 0);
    assert_true(passwords_name_good(name));
    snprintf(name, sizeof(name), "%0128d", 0);
    assert_false(passwords_name_good(name));
}

#define TEST(function) cmocka_unit_test_teardown(function, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(hashes_of_the_methods_that_are_taken_are_taken),
        TEST(other_hashes_are_refused_each_with_its_reason),
        TEST(a_new_hash_is_yescrypt_and_never_the_same_twice),
        TEST(a_password_holds_with_every_method),
        TEST(a_name_that_is_not_there_holds_nothing),
        TEST(a_name_that_is_not_there_costs_what_one_costs_that_is),
        TEST(comments_empty_lines_and_other_line_ends_are_read),
        TEST(an_empty_file_is_one_with_nobody_in_it),
        TEST(every_fault_is_told_at_once_with_its_line),
        TEST(a_long_name_and_a_zero_byte_are_refused),
        TEST(a_file_that_others_can_read_is_refused_and_one_of_a_group_warned_about),
        TEST(what_is_no_file_is_refused),
        TEST(a_file_may_be_so_long_and_no_longer),
        TEST(a_new_file_is_its_owners_alone),
        TEST(a_change_keeps_comments_order_and_mode),
        TEST(a_change_takes_it_from_others),
        TEST(removing_what_is_not_there_changes_nothing),
        TEST(a_change_follows_a_link_and_keeps_it),
        TEST(a_folder_that_is_not_there_is_told),
        TEST(changes_at_the_same_time_are_all_kept),
        TEST(names_hold_what_they_may),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
