// rooms: hook
/* Hooks, with programs that are really run: /bin/sh is one like any other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "engine/hook/hook.h"

struct scene {
    char *log_text;
    size_t log_size;
    FILE *out;
    struct event_log *log;
    struct hooks *hooks;
    struct config *config;
};

static void begin(struct scene *scene, const char *ini)
{
    struct config_errors errors = { 0 };
    *scene = (struct scene){ 0 };
    scene->out = open_memstream(&scene->log_text, &scene->log_size);
    scene->log = event_log_new(scene->out, false);
    scene->config = config_parse("/x/site.ini", ini, strlen(ini), &errors);
    config_errors_print(&errors, stderr);
    assert_non_null(scene->config);
    config_errors_clear(&errors);
    assert_int_equal(hooks_new(&scene->hooks, scene->log), 0);
}

/* Waits for all that was asked for; the events are in log_text then. */
static void settle(struct scene *scene, unsigned grace)
{
    hooks_free(scene->hooks, grace);
    event_log_free(scene->log);
    fclose(scene->out);
}

static void end(struct scene *scene)
{
    config_free(scene->config);
    free(scene->log_text);
}

static unsigned count(const struct scene *scene, const char *what)
{
    unsigned found = 0;
    for (const char *at = scene->log_text; (at = strstr(at, what)); at++)
        found++;
    return found;
}

static uint64_t milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

#define expect(scene, text)                                                                                            \
    do {                                                                                                               \
        if (!strstr((scene)->log_text, (text)))                                                                        \
            fail_msg("no %s in:\n%s", (text), (scene)->log_text);                                                      \
    } while (0)

static const struct hook_facts received = { .event = CONFIG_HOOK_RECEIVED, .path = "a b;$(id)", .bytes = 7 };

static void runs_a_program_with_its_arguments_and_facts(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene,
          "[hook h]\non = received\ncommand = /bin/sh -c 'echo \"$0|$1|$SLUICE_PATH|$SLUICE_BYTES|$SLUICE_EVENT|"
          "$SLUICE_HOOK\"' \"one two\" '$HOME'\n");
    hooks_run(scene.hooks, scene.config, &received);
    settle(&scene, 10000);
    expect(&scene, " H01I hook=h on=received path=\"a b;$(id)\"");
    expect(&scene, "output=\"one two|$HOME|a b;$(id)|7|received|h\\x0a\"");
    end(&scene);
}

static void gives_a_clean_environment_and_no_descriptor_of_ours(void **state)
{
    (void)state;
    struct scene scene;
    struct rlimit before, high;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    high = before;
    high.rlim_cur = high.rlim_max;
    setrlimit(RLIMIT_NOFILE, &high);
    setenv("SECRET", "of the server", 1);
    int leaked = open("/etc/passwd", O_RDONLY); /* without O_CLOEXEC */
    assert_true(leaked >= 0);
    begin(&scene, "[hook h]\non = received\n"
                  "command = /bin/sh -c 'env | sort | tr \"\\n\" \" \"; cat; ls /proc/self/fd | wc -w; pwd; "
                  "grep -E \"^Sig(Blk|Ign)\" /proc/self/status | tr -d \"\\t\\n\"'\n");
    hooks_run(scene.hooks, scene.config, &received);
    settle(&scene, 10000);
    close(leaked);
    unsetenv("SECRET");
    setrlimit(RLIMIT_NOFILE, &before);
    assert_null(strstr(scene.log_text, "SECRET"));
    expect(&scene, "output=\"LANG=C.UTF-8 PATH=/usr/local/bin:/usr/bin:/bin PWD=/ SLUICE_BYTES=7 SLUICE_EVENT=received "
                   "SLUICE_HOOK=h SLUICE_OFFSET=0 SLUICE_PATH=a b;$(id) ");
    expect(&scene, " 4\\x0a/\\x0a"); /* 0, 1, 2, and that of the listing */
    static const char signals[] = "SigBlk:0000000000000000SigIgn:";
    expect(&scene, signals);
    uint64_t ignored = strtoull(strstr(scene.log_text, signals) + strlen(signals), NULL, 16);
    assert_int_equal(ignored & 0x7fffffff, 0); /* libc's own signals, 32 and 33, are its business */
    end(&scene);
}

static void tells_how_a_program_failed(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene, "[hook code]\non = received\ncommand = /bin/sh -c 'echo no >&2; exit 3'\n"
                  "[hook signal]\non = received\ncommand = /bin/sh -c 'kill -SEGV $$'\n"
                  "[hook gone]\non = received\ncommand = /no/such/program\n");
    hooks_run(scene.hooks, scene.config, &received);
    settle(&scene, 10000);
    expect(&scene, " H01W hook=code on=received reason=\"it ended with exit status 3\"");
    expect(&scene, "output=\"no\\x0a\"");
    expect(&scene, " H01W hook=signal on=received reason=\"it was ended by signal 11 (");
    expect(&scene, " H01W hook=gone on=received reason=\"/no/such/program could not be started: No such file");
    end(&scene);
}

static void runs_only_the_hooks_that_want_the_event_and_the_partner(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene, "[hook any]\non = received, failed\ncommand = /bin/true\n"
                  "[hook node]\non = received\npartners = node*\ncommand = /bin/true\n"
                  "[hook sent]\non = sent\ncommand = /bin/true\n");
    struct hook_facts facts = received;
    hooks_run(scene.hooks, scene.config, &facts); /* any */
    facts.partner = "node7";
    hooks_run(scene.hooks, scene.config, &facts); /* any, node */
    facts.partner = "other";
    hooks_run(scene.hooks, scene.config, &facts); /* any */
    facts.partner = NULL;
    facts.user = "node-user";
    hooks_run(scene.hooks, scene.config, &facts); /* any, node */
    facts.event = CONFIG_HOOK_FAILED;
    hooks_run(scene.hooks, scene.config, &facts); /* any */
    settle(&scene, 10000);
    assert_int_equal(count(&scene, "hook=any on=received"), 4);
    assert_int_equal(count(&scene, "hook=any on=failed"), 1);
    assert_int_equal(count(&scene, "hook=node"), 2);
    assert_int_equal(count(&scene, "hook=sent"), 0);
    assert_int_equal(count(&scene, "H01I"), 7);
    end(&scene);
}

static void ends_a_program_that_takes_too_long_with_all_it_started(void **state)
{
    (void)state;
    struct scene scene;
    char mark[64], command[256];
    snprintf(mark, sizeof mark, "/tmp/hook-%d-alive", (int)getpid());
    unlink(mark);
    /* It holds on against SIGTERM, and so does its child. */
    snprintf(command, sizeof command,
             "[hook h]\non = received\ntimeout = 200ms\ncommand = /bin/sh -c "
             "'trap : TERM; (trap : TERM; for i in 1 2 3 4 5 6 7 8; do sleep 0.5; done; touch %s) & while :; do sleep "
             "1; done'\n",
             mark);
    begin(&scene, command);
    uint64_t began = milliseconds();
    hooks_run(scene.hooks, scene.config, &received);
    settle(&scene, 20000);
    uint64_t took = milliseconds() - began;
    assert_in_range(took, 200 + HOOK_KILL_AFTER - 100, 15000);
    expect(&scene, "reason=\"it did not end within 0.200 s, and was ended\"");
    struct timespec more = { .tv_sec = took < 4500 ? 5 - (time_t)took / 1000 : 1 };
    nanosleep(&more, NULL);
    assert_int_not_equal(access(mark, F_OK), 0);
    end(&scene);
}

static void what_is_left_in_the_background_ends_with_the_program(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene, "[hook h]\non = received\ncommand = /bin/sh -c 'sleep 60 & echo begun'\n");
    uint64_t began = milliseconds();
    hooks_run(scene.hooks, scene.config, &received);
    settle(&scene, 30000);
    assert_true(milliseconds() - began < 20000);
    expect(&scene, " H01I ");
    end(&scene);
}

static void keeps_the_end_of_a_long_output(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene,
          "[hook h]\non = received\ncommand = /bin/sh -c 'head -c 3000000 /dev/zero | tr \"\\0\" x; echo END'\n");
    hooks_run(scene.hooks, scene.config, &received);
    settle(&scene, 20000);
    expect(&scene, "xxxEND");
    expect(&scene, " cut=yes");
    assert_true(scene.log_size < 3000);
    end(&scene);
}

static void bounds_how_many_run_at_once(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene, "[hook h]\non = received\nat_once = 2\ncommand = /bin/sleep 0.3\n");
    uint64_t began = milliseconds();
    for (unsigned i = 0; i < 6; i++)
        hooks_run(scene.hooks, scene.config, &received);
    settle(&scene, 20000);
    assert_true(milliseconds() - began >= 900);
    assert_int_equal(count(&scene, "H01I"), 6);
    end(&scene);
}

static void leaves_out_what_the_queue_cannot_hold_and_says_so(void **state)
{
    (void)state;
    struct scene scene;
    begin(&scene, "[hook h]\non = received\nat_once = 1\ncommand = /bin/sleep 100\n");
    for (unsigned i = 0; i < HOOKS_WAITING_MAX + 5; i++)
        hooks_run(scene.hooks, scene.config, &received);
    uint64_t began = milliseconds();
    settle(&scene, 100);
    assert_true(milliseconds() - began < 10000);
    assert_in_range(count(&scene, "reason=\"too many wait"), 4, 5); /* one may have begun to run already */
    assert_in_range(count(&scene, "reason=\"the server stops\""), HOOKS_WAITING_MAX - 1, HOOKS_WAITING_MAX);
    assert_int_equal(count(&scene, "reason=\"the server stopped, and ended it\""), 1);
    assert_int_equal(count(&scene, "H02W") + count(&scene, "H01W"), HOOKS_WAITING_MAX + 5);
    end(&scene);
}

/* One runs, and holds up all others. */
static void fill(struct scene *scene, const char *who, unsigned runs)
{
    struct hook_facts facts = received;
    facts.partner = who;
    for (unsigned i = 0; i < runs; i++)
        hooks_run(scene->hooks, scene->config, &facts);
}

static void who_has_most_waiting_gives_way_to_others(void **state)
{
    (void)state;
    struct scene scene;
    struct hook_facts quiet = { .event = CONFIG_HOOK_RECEIVED, .partner = "quiet" },
                      user = { .event = CONFIG_HOOK_RECEIVED, .user = "alice" };
    begin(&scene, "[hook h]\non = received\nat_once = 1\ncommand = /bin/sleep 100\n");
    fill(&scene, "loud", HOOKS_WAITING_MAX + 5);
    fill(&scene, "second", 10);
    hooks_run(scene.hooks, scene.config, &quiet);
    hooks_run(scene.hooks, scene.config, &user);
    settle(&scene, 100);
    assert_int_equal(count(&scene, "H02W") + count(&scene, "H01W"), HOOKS_WAITING_MAX + 5 + 12);
    /* Of those that were left out for want of room, all were the loud one's. */
    assert_in_range(
        count(&scene,
              "more than of this one: make the program faster, or raise at_once\" path=\"a b;$(id)\" partner=loud"),
        16, 17);
    assert_int_equal(count(&scene, "more than of this one:"),
                     count(&scene, "raise at_once\" path=\"a b;$(id)\" partner=loud"));
    assert_int_equal(count(&scene, "reason=\"the server stops\" path=\"a b;$(id)\" partner=second"), 10);
    assert_int_equal(count(&scene, "reason=\"the server stops\" partner=quiet"), 1);
    assert_int_equal(count(&scene, "reason=\"the server stops\" name=alice"), 1);
    end(&scene);
}

static void those_who_wait_take_turns(void **state)
{
    (void)state;
    struct scene scene;
    char release[64], ini[256];
    snprintf(release, sizeof release, "/tmp/hook-%d-release", (int)getpid());
    unlink(release);
    snprintf(ini, sizeof ini,
             "[hook h]\non = received\nat_once = 1\ncommand = /bin/sh -c 'while ! test -e %s; do sleep 0.05; done'\n",
             release);
    begin(&scene, ini);
    fill(&scene, "loud", 20);
    fill(&scene, "quiet", 2);
    int made = open(release, O_CREAT | O_WRONLY, 0600);
    assert_true(made >= 0);
    close(made);
    settle(&scene, 60000);
    unlink(release);
    assert_int_equal(count(&scene, "H01I"), 22);
    /* In the order in which they ended: the quiet one is through after a few, not behind all twenty. */
    unsigned before = 0, found = 0;
    for (const char *at = strstr(scene.log_text, "H01I"); at && found < 2; at = strstr(at + 1, "H01I")) {
        const char *line_end = strchr(at, '\n');
        const char *quiet = strstr(at, "partner=quiet");
        found += quiet && quiet < line_end;
        before++;
    }
    assert_int_equal(found, 2);
    assert_true(before <= 6);
    end(&scene);
}

static void checks_that_programs_can_be_run(void **state)
{
    (void)state;
    struct config_errors errors = { 0 };
    static const char ini[] = "[hook a]\non = sent\ncommand = /bin/true\n"
                              "[hook b]\non = sent\ncommand = /bin\n"
                              "[hook c]\non = sent\ncommand = /etc/passwd\n"
                              "[hook d]\non = sent\ncommand = /no/such\n";
    struct config *config = config_parse("x.ini", ini, strlen(ini), &errors);
    assert_non_null(config);
    config_errors_clear(&errors);
    hooks_check(config, &errors);
    assert_int_equal(errors.error_count, 3);
    assert_string_equal(errors.items[0].text, "x.ini:6: hook \"b\": command \"/bin\" cannot be run: it is no file; "
                                              "write the path of a program (chmod +x)");
    assert_non_null(strstr(errors.items[1].text, "\"/etc/passwd\" cannot be run: it may not be executed"));
    assert_non_null(strstr(errors.items[2].text, "\"/no/such\" cannot be run: No such file or directory"));
    config_errors_clear(&errors);
    config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_a_program_with_its_arguments_and_facts),
        cmocka_unit_test(gives_a_clean_environment_and_no_descriptor_of_ours),
        cmocka_unit_test(tells_how_a_program_failed),
        cmocka_unit_test(runs_only_the_hooks_that_want_the_event_and_the_partner),
        cmocka_unit_test(ends_a_program_that_takes_too_long_with_all_it_started),
        cmocka_unit_test(what_is_left_in_the_background_ends_with_the_program),
        cmocka_unit_test(keeps_the_end_of_a_long_output),
        cmocka_unit_test(bounds_how_many_run_at_once),
        cmocka_unit_test(leaves_out_what_the_queue_cannot_hold_and_says_so),
        cmocka_unit_test(who_has_most_waiting_gives_way_to_others),
        cmocka_unit_test(those_who_wait_take_turns),
        cmocka_unit_test(checks_that_programs_can_be_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
