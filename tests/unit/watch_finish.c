// rooms: queue config
/* What becomes of a watched file that was sent: it, and no other, goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/queue/watch_internal.h"

static char folder[] = "/tmp/sluice-watch-XXXXXX";
static char out[64], done[64], path[80];
static struct config_watch watch;

static void write_text(const char *name, const char *text)
{
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static void assert_text(const char *name, const char *text)
{
    char bytes[64] = "";
    FILE *file = fopen(name, "r");
    assert_non_null(file);
    assert_int_equal(fread(bytes, 1, sizeof bytes - 1, file), strlen(text));
    assert_string_equal(bytes, text);
    fclose(file);
}

static const char *mark_of(const char *name)
{
    static char mark[WATCH_MARK_SIZE];
    struct stat facts;
    assert_int_equal(lstat(name, &facts), 0);
    watch_mark(&facts, mark);
    return mark;
}

static int begin(void **state)
{
    (void)state;
    snprintf(out, sizeof out, "%s/out", folder);
    snprintf(done, sizeof done, "%s/done", folder);
    snprintf(path, sizeof path, "%s/f", out);
    mkdir(out, 0700);
    mkdir(done, 0700);
    watch = (struct config_watch){ .folder = out, .move_to = done };
    write_text(path, "sent");
    return 0;
}

static int end(void **state)
{
    static const char *const names[] = { "out/f", "done/f", "done/f.1", "out", "done" };
    char name[96];

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(name, sizeof name, "%s/%s", folder, names[i]);
        remove(name);
    }
    return access(out, F_OK) == 0 || access(done, F_OK) == 0; /* nothing else was left there */
}

static void deletes_what_was_sent(void **state)
{
    (void)state;
    watch.then = CONFIG_WATCH_DELETE;
    assert_int_equal(watch_finish(&watch, path, mark_of(path), "id"), 0);
    assert_int_equal(access(path, F_OK), -1);
}

static void moves_what_was_sent_and_replaces_nothing(void **state)
{
    char name[80];

    (void)state;
    watch.then = CONFIG_WATCH_MOVE;
    snprintf(name, sizeof name, "%s/f", done);
    write_text(name, "earlier");
    assert_int_equal(watch_finish(&watch, path, mark_of(path), "id"), 0);
    assert_int_equal(access(path, F_OK), -1);
    assert_text(name, "earlier");
    snprintf(name, sizeof name, "%s/f.1", done);
    assert_text(name, "sent");
}

/* As when somebody replaces the file between the look at it and its end. */
static void gives_another_file_its_name_back(void **state)
{
    static const enum config_watch_then ends[] = { CONFIG_WATCH_DELETE, CONFIG_WATCH_MOVE };
    char mark[WATCH_MARK_SIZE];

    (void)state;
    strcpy(mark, mark_of(path));
    write_text(path, "another one");
    for (size_t i = 0; i < 2; i++) {
        watch.then = ends[i];
        assert_int_equal(watch_finish(&watch, path, mark, "id"), -ESTALE);
        assert_text(path, "another one");
    }
}

static void says_what_keeps_it(void **state)
{
    char gone[80];

    (void)state;
    snprintf(gone, sizeof gone, "%s/gone", out);
    watch.then = CONFIG_WATCH_DELETE;
    assert_int_equal(watch_finish(&watch, gone, mark_of(path), "id"), -ENOENT);
    watch.then = CONFIG_WATCH_MOVE;
    watch.move_to = gone;
    assert_int_equal(watch_finish(&watch, path, mark_of(path), "id"), -ENOENT);
    assert_text(path, "sent");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(deletes_what_was_sent),
        TEST(moves_what_was_sent_and_replaces_nothing),
        TEST(gives_another_file_its_name_back),
        TEST(says_what_keeps_it),
    };
    if (!mkdtemp(folder))
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return rmdir(folder) == 0 ? failed : 1;
}
