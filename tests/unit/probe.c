// rooms: ktls
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/tls.h>

#include "ktls/probe_internal.h"
#include "ktls/suite.h"

#define RELEASE "6.12.57-test"

/* A kernel with kTLS that refuses what it is told to. */
struct fake {
    struct ktls_sys sys;
    int ulp_error;   /* of TCP_ULP */
    int rekey_error; /* of a second TLS_TX on one socket */
    uint16_t lacks;  /* a kernel_type it does not know */
    int lacks_way;   /* TLS_TX or TLS_RX: it lacks that of every suite */
    uint16_t lacks_version;
    unsigned installs;
    bool has_key; /* the socket it was asked about last has a TLS_TX key */
};

static int fake_setsockopt(const struct ktls_sys *sys, int fd, int level, int option, const void *value,
                           socklen_t length)
{
    struct fake *fake = (struct fake *)(uintptr_t)sys;
    assert_true(fd >= 0);
    if (level == IPPROTO_TCP) {
        assert_int_equal(option, TCP_ULP);
        assert_memory_equal(value, "tls", length < 4 ? length : 4);
        fake->has_key = false;
        return -fake->ulp_error;
    }
    assert_int_equal(level, SOL_TLS);
    struct tls_crypto_info info;
    assert_true(length >= sizeof info);
    memcpy(&info, value, sizeof info);
    fake->installs++;
    if (info.cipher_type == fake->lacks || option == fake->lacks_way || info.version == fake->lacks_version)
        return -EINVAL;
    if (option != TLS_TX)
        return 0;
    if (fake->has_key)
        return -fake->rekey_error;
    fake->has_key = true;
    return 0;
}

static struct fake fake_kernel(void)
{
    return (struct fake){ .sys = { .setsockopt = fake_setsockopt } };
}

static char root[] = "/tmp/sluice-probe-XXXXXX";

static int remove_entry(const char *path, const struct stat *facts, int type, struct FTW *where)
{
    (void)facts;
    (void)type;
    (void)where;
    return remove(path);
}

static int make_root(void **state)
{
    (void)state;
    strcpy(root + sizeof root - 7, "XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
    (void)state;
    return nftw(root, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* A file below the root, with its folders. */
static void lay(const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *slash = strchr(path + strlen(root) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    assert_true(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

/* The strictest reading of RFC 8259 that the output needs: objects, arrays, strings, true and false. */
static const char *skip_value(const char *at);

static const char *skip_space(const char *at)
{
    return at + strspn(at, " \n");
}

static const char *skip_string(const char *at)
{
    assert_int_equal(*at++, '"');
    for (; *at != '"'; at++) {
        assert_true(*at >= ' ' && *at <= '~');
        if (*at != '\\')
            continue;
        at++;
        assert_true(*at == '"' || *at == '\\' || *at == 'u');
        for (int i = 0; *at == 'u' && i < 4; i++)
            assert_true(isxdigit((unsigned char)at[i + 1]));
        at += *at == 'u' ? 4 : 0;
    }
    return at + 1;
}

static const char *skip_members(const char *at, char end, bool named)
{
    at = skip_space(at + 1);
    for (bool first = true; *at != end; first = false) {
        if (!first) {
            assert_int_equal(*at, ',');
            at = skip_space(at + 1);
        }
        if (named) {
            at = skip_string(at);
            assert_int_equal(*at++, ':');
        }
        at = skip_space(skip_value(at));
    }
    return at + 1;
}

static const char *skip_value(const char *at)
{
    at = skip_space(at);
    if (*at == '{')
        return skip_members(at, '}', true);
    if (*at == '[')
        return skip_members(at, ']', false);
    if (*at == '"')
        return skip_string(at);
    if (strncmp(at, "true", 4) == 0)
        return at + 4;
    assert_memory_equal(at, "false", 5);
    return at + 5;
}

static char *printed(const struct findings *findings, bool json)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    (json ? findings_print_json : findings_print)(findings, out);
    fclose(out);
    return text;
}

static void assert_prints_as_json(const struct findings *findings)
{
    char *text = printed(findings, true);
    assert_string_equal(skip_space(skip_value(text)), "");
    free(text);
}

static const struct finding *find(const struct findings *findings, const char *what)
{
    for (size_t i = 0; i < findings->count; i++)
        if (strcmp(findings->items[i].what, what) == 0)
            return &findings->items[i];
    fail_msg("nothing was found about \"%s\"", what);
    return NULL;
}

static int count_descriptors(void)
{
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

static void finds_everything_on_a_kernel_that_has_everything(void **state)
{
    (void)state;
    struct fake fake = fake_kernel();
    struct ktls_abilities abilities;
    struct findings findings = { 0 };
    int descriptors = count_descriptors();
    ktls_probe(&fake.sys, &abilities);
    assert_int_equal(count_descriptors(), descriptors);
    assert_true(abilities.ulp && abilities.rekey);
    assert_string_equal(abilities.missing, "");
    assert_int_equal(fake.installs, ktls_suite_count * 4 + 2);
    for (size_t i = 0; i < ktls_suite_count; i++)
        assert_true(abilities.tx12[i] && abilities.rx12[i] && abilities.tx13[i] && abilities.rx13[i]);

    findings_add_abilities(&findings, &abilities, RELEASE);
    assert_true(findings_kernel_path_works(&findings));
    assert_int_equal(findings.count, ktls_suite_count + 2);
    for (size_t i = 0; i < findings.count; i++)
        assert_int_equal(findings.items[i].status, FINDING_OK);
    assert_string_equal(find(&findings, "kTLS AES-128-GCM")->value, "TLS 1.2 tx rx, TLS 1.3 tx rx");
    findings_clear(&findings);
}

static void tries_nothing_more_where_there_is_no_ktls(void **state)
{
    (void)state;
    static const int errors[] = { ENOENT, EPERM, EACCES, ENOPROTOOPT, ENOSYS, EINVAL };
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        struct fake fake = fake_kernel();
        struct ktls_abilities abilities;
        struct findings findings = { 0 };
        fake.ulp_error = errors[i];
        ktls_probe(&fake.sys, &abilities);
        assert_false(abilities.ulp || abilities.rekey);
        assert_int_equal(fake.installs, 0);
        assert_true(strlen(abilities.missing) > 0);

        findings_add_abilities(&findings, &abilities, RELEASE);
        assert_false(findings_kernel_path_works(&findings));
        const struct finding *ulp = find(&findings, "kTLS (tls ULP)");
        assert_int_equal(ulp->status, FINDING_FAIL);
        assert_true(ulp->value[0] && ulp->remedy[0]);
        assert_prints_as_json(&findings);
        findings_clear(&findings);
    }
}

static void says_that_it_could_not_try_where_no_connection_can_be_made(void **state)
{
    (void)state;
    struct fake fake = fake_kernel();
    struct ktls_abilities abilities;
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    const struct rlimit none = { 0, limit.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    ktls_probe(&fake.sys, &abilities);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_false(abilities.ulp);
    assert_non_null(strstr(abilities.missing, "loopback"));
}

static void notes_a_kernel_that_cannot_rekey(void **state)
{
    (void)state;
    struct fake fake = fake_kernel();
    struct ktls_abilities abilities;
    struct findings findings = { 0 };
    fake.rekey_error = EBUSY;
    ktls_probe(&fake.sys, &abilities);
    assert_true(abilities.ulp && abilities.tx13[0] && !abilities.rekey);
    findings_add_abilities(&findings, &abilities, RELEASE);
    assert_true(findings_kernel_path_works(&findings));
    assert_int_equal(find(&findings, "kTLS rekey")->status, FINDING_NOTE);
    assert_non_null(strstr(find(&findings, "kTLS rekey")->remedy, "Linux 6.14"));
    findings_clear(&findings);
}

static void warns_of_a_suite_that_the_kernel_lacks_and_goes_on_with_the_others(void **state)
{
    (void)state;
    struct fake fake = fake_kernel();
    struct ktls_abilities abilities;
    struct findings findings = { 0 };
    fake.lacks = TLS_CIPHER_CHACHA20_POLY1305;
    ktls_probe(&fake.sys, &abilities);
    findings_add_abilities(&findings, &abilities, RELEASE);
    assert_true(findings_kernel_path_works(&findings));
    const struct finding *suite = find(&findings, "kTLS ChaCha20-Poly1305");
    assert_int_equal(suite->status, FINDING_WARN);
    assert_string_equal(suite->value, "TLS 1.2 none, TLS 1.3 none");
    assert_non_null(strstr(suite->remedy, "modprobe chacha20poly1305"));
    assert_int_equal(find(&findings, "kTLS AES-128-GCM")->status, FINDING_OK);
    findings_clear(&findings);

    findings_add_abilities(&findings, &abilities, "5.4.0-old");
    assert_non_null(strstr(find(&findings, "kTLS ChaCha20-Poly1305")->remedy, "Linux 5.11 or later"));
    findings_clear(&findings);
}

static void tells_directions_and_versions_apart(void **state)
{
    (void)state;
    struct fake fake = fake_kernel();
    struct ktls_abilities abilities;
    struct findings findings = { 0 };
    fake.lacks_version = 0x0304;
    ktls_probe(&fake.sys, &abilities);
    findings_add_abilities(&findings, &abilities, RELEASE);
    assert_string_equal(find(&findings, "kTLS AES-256-GCM")->value, "TLS 1.2 tx rx, TLS 1.3 none");
    assert_true(findings_kernel_path_works(&findings));
    findings_clear(&findings);

    fake = fake_kernel();
    fake.lacks_way = TLS_RX;
    ktls_probe(&fake.sys, &abilities);
    findings_add_abilities(&findings, &abilities, RELEASE);
    assert_string_equal(find(&findings, "kTLS AES-256-GCM")->value, "TLS 1.2 tx, TLS 1.3 tx");
    assert_int_equal(find(&findings, "kTLS suites")->status, FINDING_FAIL);
    assert_false(findings_kernel_path_works(&findings));
    findings_clear(&findings);
}

static void assert_explains(int error, const char *what, const char *remedy)
{
    char sentence[sizeof(((struct ktls_abilities *)0)->missing)];
    missing_explain(root, RELEASE, error, sentence, sizeof sentence);
    if (!strstr(sentence, what) || !strstr(sentence, remedy))
        fail_msg("\"%s\" lacks \"%s\" or \"%s\"", sentence, what, remedy);
    assert_non_null(strstr(sentence, ": "));
    assert_true(strlen(sentence) < sizeof sentence - 1); /* or it was cut */
}

static void names_the_remedy_for_each_reason_why_there_is_no_ktls(void **state)
{
    (void)state;
    assert_explains(ENOENT, "neither its configuration nor its modules can be read", "modprobe tls");
    assert_explains(EPERM, "may not use kTLS (Operation not permitted)", "seccomp");
    assert_explains(EACCES, "may not use kTLS (Permission denied)", "security module");
    assert_explains(ENOPROTOOPT, "does not know TCP_ULP", "CONFIG_TLS");
    assert_explains(EINVAL, "Invalid argument", "log");
    assert_explains(0, "no TCP connection to ourselves", "ip link set lo up");

    lay("boot/config-" RELEASE, "CONFIG_NET=y\n# CONFIG_TLS is not set\n");
    assert_explains(ENOENT, "CONFIG_TLS is not set", "run a kernel that has it");
    lay("boot/config-" RELEASE, "CONFIG_TLS_DEVICE=y\nCONFIG_TLS=m\nCONFIG_ZLIB=y\n");
    assert_explains(ENOENT, "CONFIG_TLS=m", "install the kernel's modules");
    lay("boot/config-" RELEASE, "CONFIG_TLS=y\n");
    assert_explains(ENOENT, "built in", "security module");
    lay("boot/config-" RELEASE, "nothing of the kind\n");
    lay("lib/modules/" RELEASE "/modules.builtin", "kernel/net/tls/tls.ko\n");
    assert_explains(ENOENT, "built in", "sandbox");
    lay("lib/modules/" RELEASE "/modules.dep", "kernel/net/tls/tls.ko.xz:\nkernel/net/x.ko:\n");
    assert_explains(ENOENT, "installed but not loaded", "/etc/modules-load.d/tls.conf");
    lay("proc/sys/net/ipv4/tcp_available_ulp", "espintcp mptcp tls\n");
    assert_explains(ENOENT, "lists the tls ULP", "log");
}

static void reads_the_configuration_that_the_running_kernel_packs_in_itself(void **state)
{
    (void)state;
    char command[256];
    lay("proc/config.gz", "not packed at all\n");
    assert_explains(ENOENT, "neither its configuration", "modprobe tls");
    snprintf(command, sizeof command, "echo 'CONFIG_NET=y' | /bin/gzip -c > %s/proc/config.gz", root);
    assert_int_equal(system(command), 0);
    assert_explains(ENOENT, "CONFIG_TLS is not set", "run a kernel");
    snprintf(command, sizeof command, "printf 'CONFIG_NET=y\\nCONFIG_TLS=m\\n' | /bin/gzip -c > %s/proc/config.gz",
             root);
    assert_int_equal(system(command), 0);
    int descriptors = count_descriptors();
    assert_explains(ENOENT, "CONFIG_TLS=m", "modprobe tls");
    assert_int_equal(count_descriptors(), descriptors);
}

static const char generic_crypto[] = "name         : gcm(aes)\n"
                                     "driver       : gcm_base(ctr(aes-generic),ghash-generic)\n"
                                     "priority     : 100\n"
                                     "\n";
static const char fast_crypto[] = "name         : rfc4106(gcm(aes))\n"
                                  "driver       : rfc4106-gcm-other\n"
                                  "priority     : 900\n"
                                  "\n"
                                  "name         : gcm(aes)\n"
                                  "driver       : generic-gcm-aesni\n"
                                  "module       : aesni_intel\n"
                                  "priority     : 400\n"
                                  "\n"
                                  "name         : sha256\n"
                                  "driver       : sha256-generic\n"
                                  "priority     : 1000\n";

static void assert_driver(enum finding_status status, const char *value, const char *remedy)
{
    struct findings findings = { 0 };
    findings_add_driver(&findings, root);
    const struct finding *driver = find(&findings, "AES-GCM driver");
    assert_int_equal(driver->status, status);
    assert_string_equal(driver->value, value);
    assert_non_null(strstr(driver->remedy, remedy));
    assert_true(findings_kernel_path_works(&findings));
    findings_clear(&findings);
}

static void names_the_driver_that_the_kernel_will_choose_for_aes_gcm(void **state)
{
    (void)state;
    char both[1024];
    assert_driver(FINDING_NOTE, "/proc/crypto cannot be read", "");
    lay("proc/crypto", "name         : sha256\ndriver       : sha256-generic\npriority     : 100\n");
    assert_driver(FINDING_NOTE, "none in use", "");
    lay("proc/crypto", generic_crypto);
    assert_driver(FINDING_WARN, "gcm_base(ctr(aes-generic),ghash-generic)", "modprobe aesni_intel");
    snprintf(both, sizeof both, "%s%s", generic_crypto, fast_crypto);
    lay("proc/crypto", both);
    assert_driver(FINDING_OK, "generic-gcm-aesni (priority 400)", "");
    snprintf(both, sizeof both, "%s\n%s", fast_crypto, generic_crypto);
    lay("proc/crypto", both);
    assert_driver(FINDING_OK, "generic-gcm-aesni (priority 400)", "");
}

static void warns_of_limits_that_are_too_low(void **state)
{
    (void)state;
    struct findings findings = { 0 };
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    const struct rlimit few = { 256, limit.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    lay("proc/sys/fs/pipe-max-size", "65536\n");
    lay("proc/sys/fs/pipe-user-pages-soft", "1024\n");
    findings_add_limits(&findings, root);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(find(&findings, "limit: open files")->status, FINDING_WARN);
    assert_string_equal(find(&findings, "limit: open files")->value, "256");
    assert_int_equal(find(&findings, "limit: pipe size")->status, FINDING_WARN);
    assert_string_equal(find(&findings, "limit: pipe size")->remedy, "sysctl fs.pipe-max-size=1048576");
    assert_int_equal(find(&findings, "limit: pipe memory")->status, FINDING_WARN);
    findings_clear(&findings);

    lay("proc/sys/fs/pipe-max-size", "1048576\n");
    lay("proc/sys/fs/pipe-user-pages-soft", "0\n");
    findings_add_limits(&findings, root);
    assert_int_equal(find(&findings, "limit: pipe size")->status, FINDING_OK);
    assert_string_equal(find(&findings, "limit: pipe memory")->value, "unlimited");
    findings_clear(&findings);
}

static void compares_kernel_versions_as_numbers(void **state)
{
    (void)state;
    assert_true(kernel_at_least("6.14.0-rc1", "6.14"));
    assert_true(kernel_at_least("6.14", "6.2"));
    assert_true(kernel_at_least("7.0-x", "6.14"));
    assert_false(kernel_at_least("6.2.0", "6.14"));
    assert_false(kernel_at_least("5.19.0", "6.1"));
    assert_false(kernel_at_least("nonsense", "4.13"));
}

static void prints_nothing_that_acts_on_a_terminal_and_always_json(void **state)
{
    (void)state;
    struct findings findings = { 0 };
    finding_say(findings_add(&findings, FINDING_WARN, "TLS offload of e\"\\\x1b[2J\xff\n"), "mean\ting", "re\x7fmedy",
                "%s", "v\xc3\xa4lue");
    assert_prints_as_json(&findings);
    char *text = printed(&findings, false);
    for (const char *c = text; *c; c++)
        assert_true(*c == '\n' || (*c >= ' ' && *c <= '~'));
    free(text);
    findings_clear(&findings);
}

static void cuts_what_is_too_long_and_wraps_what_is_long(void **state)
{
    (void)state;
    struct findings findings = { 0 };
    char lengthy[400] = "";
    for (size_t i = 0; i < 39; i++)
        strcat(lengthy, "ten bytes ");
    finding_say(findings_add(&findings, FINDING_NOTE, lengthy), lengthy, lengthy, "%s", lengthy);
    char *text = printed(&findings, false);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        assert_true(strlen(line) <= 100);
        assert_true(line[strlen(line) - 1] != ' ');
    }
    free(text);
    findings_clear(&findings);
}

static void assert_summary(const struct findings *findings, const char *expected)
{
    char *text = printed(findings, true);
    if (!strstr(text, expected))
        fail_msg("\"%s\" lacks \"%s\"", text, expected);
    free(text);
}

static void sums_up_what_will_happen_and_what_to_do_first(void **state)
{
    (void)state;
    struct findings findings = { 0 };
    assert_false(findings_kernel_path_works(&findings));
    assert_summary(&findings, "Nothing could be found out");

    finding_say(findings_add(&findings, FINDING_OK, "first"), "Good.", "", "fine");
    assert_summary(&findings, "\"summary\":\"The kernel path works: bodies are encrypted and decrypted by kTLS.\"");
    finding_say(findings_add(&findings, FINDING_WARN, "second"), "Slow.", "do two", "slow");
    finding_say(findings_add(&findings, FINDING_FAIL, "third"), "Bad.", "do three", "absent");
    assert_true(findings_kernel_path_works(&findings));
    assert_summary(&findings, "Most worth doing, for \\\"third\\\": do three.");
    findings.items[2].kernel_path = true;
    assert_false(findings_kernel_path_works(&findings));
    assert_summary(&findings, "The kernel path does not work, because of \\\"third\\\". Bad. First remedy: do three.");
    assert_summary(&findings, "\"kernel_path\":false");
    findings_clear(&findings);
}

static void grows_with_what_is_found(void **state)
{
    (void)state;
    struct findings findings = { 0 };
    for (int i = 0; i < 100; i++) {
        char what[16];
        snprintf(what, sizeof what, "%d", i);
        assert_non_null(findings_add(&findings, FINDING_OK, what));
    }
    assert_int_equal(findings.count, 100);
    assert_string_equal(findings.items[99].what, "99");
    findings_clear(&findings);
    assert_null(findings.items);
    assert_int_equal(findings.count, 0);
}

static void examines_this_machine(void **state)
{
    (void)state;
    struct findings findings = { 0 };
    struct ktls_abilities abilities;
    int descriptors = count_descriptors();
    ktls_findings(&ktls_sys_linux, &findings);
    ktls_probe(&ktls_sys_linux, &abilities);
    assert_int_equal(count_descriptors(), descriptors);
    assert_memory_equal(find(&findings, "kernel")->value, "Linux ", 6);
    find(&findings, "OpenSSL");
    find(&findings, "AES-GCM driver");
    assert_int_equal(find(&findings, "kTLS (tls ULP)")->status, abilities.ulp ? FINDING_OK : FINDING_FAIL);
    assert_int_equal(!abilities.missing[0], abilities.ulp);
    assert_prints_as_json(&findings);
    findings_clear(&findings);
}

static void tells_what_packets_wait_in(void **state)
{
    (void)state;
    static const struct pacing_qdisc all[] = {
        { 1, 0, 0xffffffff, "noqueue" },
        { 2, 0, 0xffffffff, "pfifo_fast" },
        { 2, 0xffff0000, 0xfffffff1, "clsact" },
        { 3, 0x80010000, 0xffffffff, "fq" },
        { 4, 0, 0xffffffff, "mq" },
        { 4, 0, 1, "fq" },
        { 4, 0, 2, "fq" },
        { 5, 0x80020000, 0xffffffff, "mq" },
        { 5, 0x80030000, 0x80020001, "fq_codel" },
        { 5, 0x80040000, 0x80020002, "fq" },
        { 6, 0x10000, 0xffffffff, "htb" },
        { 6, 0x20000, 0x10010, "fq" },
    };
    static const struct {
        const char *text;
        bool fq;
    } wanted[] = { { "no queue", false }, { "noqueue", false }, { "pfifo_fast", false },
                   { "fq", true },        { "mq of fq", true }, { "mq of fq and others", false },
                   { "htb of fq", true } };
    for (int interface = 0; interface < 7; interface++) {
        char text[64];
        assert_int_equal(pacing_describe(all, sizeof all / sizeof *all, interface, text, sizeof text),
                         wanted[interface].fq);
        assert_string_equal(text, wanted[interface].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_everything_on_a_kernel_that_has_everything),
        cmocka_unit_test(tries_nothing_more_where_there_is_no_ktls),
        cmocka_unit_test(says_that_it_could_not_try_where_no_connection_can_be_made),
        cmocka_unit_test(notes_a_kernel_that_cannot_rekey),
        cmocka_unit_test(warns_of_a_suite_that_the_kernel_lacks_and_goes_on_with_the_others),
        cmocka_unit_test(tells_directions_and_versions_apart),
        cmocka_unit_test_setup_teardown(names_the_remedy_for_each_reason_why_there_is_no_ktls, make_root, remove_root),
        cmocka_unit_test_setup_teardown(reads_the_configuration_that_the_running_kernel_packs_in_itself, make_root,
                                        remove_root),
        cmocka_unit_test_setup_teardown(names_the_driver_that_the_kernel_will_choose_for_aes_gcm, make_root,
                                        remove_root),
        cmocka_unit_test_setup_teardown(warns_of_limits_that_are_too_low, make_root, remove_root),
        cmocka_unit_test(compares_kernel_versions_as_numbers),
        cmocka_unit_test(prints_nothing_that_acts_on_a_terminal_and_always_json),
        cmocka_unit_test(cuts_what_is_too_long_and_wraps_what_is_long),
        cmocka_unit_test(sums_up_what_will_happen_and_what_to_do_first),
        cmocka_unit_test(grows_with_what_is_found),
        cmocka_unit_test(examines_this_machine),
        cmocka_unit_test(tells_what_packets_wait_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
