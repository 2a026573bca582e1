// rooms: client
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/client/put.h"

#define SAYS_ONE "11111111111111111111111111111111\n"
#define SAYS_OTHER "21111111111111111111111111111111\n"

static const struct stat source = {
    .st_size = 5 << 20, .st_ino = 7, .st_dev = 8, .st_mtim = { 1500000000, 1 }, .st_ctim = { 1500000000, 2 }
};

/* The name of a new file that holds `text`. */
static const char *file_of(const char *text)
{
    static char names[2][32];
    static unsigned next;
    char *name = names[next++ % 2];
    strcpy(name, "/tmp/sluice-token-XXXXXX");
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    return name;
}

static void assert_alike(const struct stat *a, const struct stat *b, const char *at_a, const char *at_b, bool alike)
{
    char one[PUT_TOKEN_SIZE], other[PUT_TOKEN_SIZE];
    assert_true(put_token(a, "data/x", at_a, one));
    assert_true(put_token(b, "data/x", at_b, other));
    assert_int_equal(strlen(one), PUT_TOKEN_SIZE - 1);
    assert_int_equal(strcmp(one, other) == 0, alike);
}

static void the_same_command_has_the_same_token(void **state)
{
    (void)state;
    const char *machine = file_of(SAYS_ONE);
    assert_alike(&source, &source, machine, machine, true);
    assert_alike(&source, &source, "/tmp/none/there", "/tmp/none/there", true);
    unlink(machine);
}

static void who_knows_all_of_the_source_but_not_the_machine_does_not_know_the_token(void **state)
{
    (void)state;
    const char *one = file_of(SAYS_ONE), *other = file_of(SAYS_OTHER);
    assert_alike(&source, &source, one, other, false);
    assert_alike(&source, &source, one, "/tmp/none/there", false);
    unlink(one);
    unlink(other);
}

static void another_state_of_the_source_or_another_target_is_another_upload(void **state)
{
    (void)state;
    struct stat others[] = { source, source, source, source, source };
    others[0].st_size++;
    others[1].st_mtim.tv_nsec++;
    others[2].st_ctim.tv_nsec++;
    others[3].st_ino++;
    others[4].st_dev++;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_alike(&source, &others[i], "/tmp/none/there", "/tmp/none/there", false);
    char one[PUT_TOKEN_SIZE], other[PUT_TOKEN_SIZE], remote[6000];
    memset(remote, 'x', sizeof remote - 1);
    remote[sizeof remote - 1] = '\0';
    assert_true(put_token(&source, remote, "/tmp/none/there", one));
    remote[sizeof remote - 2] = 'y';
    assert_true(put_token(&source, remote, "/tmp/none/there", other));
    assert_string_not_equal(one, other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_command_has_the_same_token),
        cmocka_unit_test(who_knows_all_of_the_source_but_not_the_machine_does_not_know_the_token),
        cmocka_unit_test(another_state_of_the_source_or_another_target_is_another_upload),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
