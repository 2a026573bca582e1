// rooms: ring
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include "engine/ring/ring.h"
#include "ktls/probe.h"

static const struct finding *find(const struct findings *findings, const char *what)
{
    for (size_t i = 0; i < findings->count; i++) {
        if (strcmp(findings->items[i].what, what) == 0)
            return &findings->items[i];
    }
    return NULL;
}

static void says_what_of_io_uring_is_here(void **state)
{
    (void)state;
    struct findings findings = { 0 };
    ring_findings(&findings);
    static const char *const expected[] = { "io_uring", "io_uring operations", "io_uring multishot accept",
                                            "io_uring linked splice" };
    for (size_t i = 0; i < sizeof(expected) / sizeof(*expected); i++) {
        const struct finding *finding = find(&findings, expected[i]);
        assert_non_null(finding);
        assert_int_equal(finding->status, FINDING_OK);
        assert_string_not_equal(finding->meaning, "");
        assert_string_equal(finding->remedy, "");
    }
    assert_non_null(find(&findings, "limit: locked memory"));
    findings_clear(&findings);
}

static void is_usable_where_the_kernel_has_it(void **state)
{
    (void)state;
    char why[256] = "untouched";
    assert_int_equal(ring_usable(why, sizeof(why)), 0);
    assert_string_equal(why, "");
}

/* Makes io_uring_setup() fail with `error` for the rest of this process. */
static void forbid_io_uring(unsigned error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { .len = sizeof(filter) / sizeof(*filter), .filter = filter };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        _exit(2);
}

/* In a child of its own: exit status 0 where all was said as it should be. */
static void check_refusal(unsigned error, const char *reason, const char *remedy)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        forbid_io_uring(error);
        char why[512];
        struct findings findings = { 0 };
        int result = ring_usable(why, sizeof(why));
        ring_findings(&findings);
        const struct finding *finding = find(&findings, "io_uring");
        bool said = result == -(int)error && strstr(why, reason) && strstr(why, remedy);
        bool found = finding && finding->status == FINDING_FAIL && finding->kernel_path &&
                     strstr(finding->value, reason) && strstr(finding->remedy, remedy);
        if (!said || !found)
            fprintf(stderr, "result %d: %s\n", result, why);
        findings_clear(&findings);
        _exit(said && found ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void names_a_seccomp_filter_and_what_to_allow(void **state)
{
    (void)state;
    check_refusal(EPERM, "forbidden to this process", "io_uring_setup");
}

static void names_a_kernel_without_io_uring(void **state)
{
    (void)state;
    check_refusal(ENOSYS, "has no io_uring", "Linux 6.1");
}

static void names_the_limit_of_locked_memory(void **state)
{
    (void)state;
    check_refusal(ENOMEM, "RLIMIT_MEMLOCK", "ulimit -l");
}

static void expect_locked_memory(rlim_t soft, rlim_t hard, const char *value, enum finding_status status)
{
    const struct rlimit limit = { .rlim_cur = soft, .rlim_max = hard };
    assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
    struct findings findings = { 0 };
    ring_findings(&findings);
    const struct finding *finding = find(&findings, "limit: locked memory");
    assert_non_null(finding);
    assert_string_equal(finding->value, value);
    assert_int_equal(finding->status, status);
    assert_int_equal(finding->remedy[0] == '\0', status == FINDING_OK);
    findings_clear(&findings);
}

static void says_when_registered_buffers_do_not_fit_into_locked_memory(void **state)
{
    (void)state;
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_MEMLOCK, &before), 0);
    expect_locked_memory(64 << 10, before.rlim_max, "64 KiB", FINDING_NOTE);
    if (before.rlim_max >= 32 << 20)
        expect_locked_memory(32 << 20, before.rlim_max, "32768 KiB", FINDING_OK);
    if (before.rlim_max == RLIM_INFINITY)
        expect_locked_memory(RLIM_INFINITY, before.rlim_max, "unlimited", FINDING_OK);
    assert_int_equal(setrlimit(RLIMIT_MEMLOCK, &before), 0);
}

static void says_the_error_it_does_not_know(void **state)
{
    (void)state;
    check_refusal(EMFILE, "Too many open files", "Linux 6.1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_what_of_io_uring_is_here),
        cmocka_unit_test(is_usable_where_the_kernel_has_it),
        cmocka_unit_test(names_a_seccomp_filter_and_what_to_allow),
        cmocka_unit_test(names_a_kernel_without_io_uring),
        cmocka_unit_test(names_the_limit_of_locked_memory),
        cmocka_unit_test(says_when_registered_buffers_do_not_fit_into_locked_memory),
        cmocka_unit_test(says_the_error_it_does_not_know),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
