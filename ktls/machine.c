/* The doctor's questions about this machine, one function each. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include <openssl/crypto.h>
#include <openssl/obj_mac.h>
#include <openssl/opensslv.h>

#include "ktls/probe_internal.h"
#include "ktls/suite.h"

#define KERNEL_FLOOR "6.1"
#define KERNEL_REKEY "6.14"
#define OPEN_FILES_MIN 4096
#define PIPE_SIZE (1UL << 20) /* what the splicing pump asks for */
#define PIPES_MIN 64

bool kernel_at_least(const char *release, const char *wanted)
{
    unsigned have[2] = { 0, 0 }, want[2] = { 0, 0 };
    sscanf(release, "%u.%u", &have[0], &have[1]);
    sscanf(wanted, "%u.%u", &want[0], &want[1]);
    return have[0] != want[0] ? have[0] > want[0] : have[1] >= want[1];
}

static void add_kernel(struct findings *findings, const char *release)
{
    bool enough = kernel_at_least(release, KERNEL_FLOOR);
    struct finding *finding = findings_add(findings, enough ? FINDING_OK : FINDING_WARN, "kernel");
    finding_say(finding,
                enough ? "Recent enough for everything Sluice does; later ones do it better."
                       : "Sluice is tested from Linux " KERNEL_FLOOR " on.",
                enough ? "" : "use Linux " KERNEL_FLOOR " or later", "Linux %s", release);
}

/* The kernel's module with a suite's cipher, for the remedy. */
static const char *cipher_module(int nid)
{
    static const struct {
        int nid;
        const char *module;
    } modules[] = {
        { NID_aes_128_gcm, "gcm" },
        { NID_aes_256_gcm, "gcm" },
        { NID_aes_128_ccm, "ccm" },
        { NID_chacha20_poly1305, "chacha20poly1305" },
    };
    for (size_t i = 0; i < sizeof modules / sizeof *modules; i++)
        if (modules[i].nid == nid)
            return modules[i].module;
    return "of the cipher";
}

static const char *ways(bool tx, bool rx)
{
    static const char *const names[] = { "none", "rx", "tx", "tx rx" };
    return names[tx * 2 + rx];
}

static bool suite_works(const struct ktls_abilities *abilities, size_t i)
{
    return (abilities->tx12[i] && abilities->rx12[i]) || (abilities->tx13[i] && abilities->rx13[i]);
}

static void add_suite(struct findings *findings, const struct ktls_abilities *abilities, size_t i, const char *release)
{
    const struct ktls_suite *suite = &ktls_suites[i];
    bool all = abilities->tx12[i] && abilities->rx12[i] && abilities->tx13[i] && abilities->rx13[i];
    const char *since = kernel_at_least(suite->since_12, suite->since_13) ? suite->since_12 : suite->since_13;
    char what[48], remedy[256] = "";
    snprintf(what, sizeof what, "kTLS %s", suite->name);
    if (!all && !kernel_at_least(release, since))
        snprintf(remedy, sizeof remedy, "use Linux %s or later, which has all of it", since);
    else if (!all)
        snprintf(remedy, sizeof remedy,
                 "run `modprobe %s` as root; if there is no such module, this kernel was built without it",
                 cipher_module(suite->nid));
    finding_say(findings_add(findings, all ? FINDING_OK : FINDING_WARN, what),
                all ? "Sessions with this suite are carried by the kernel."
                    : "What is not listed stays with OpenSSL in sessions with this suite.",
                remedy, "TLS 1.2 %s, TLS 1.3 %s", ways(abilities->tx12[i], abilities->rx12[i]),
                ways(abilities->tx13[i], abilities->rx13[i]));
}

static void add_suites(struct findings *findings, const struct ktls_abilities *abilities, const char *release)
{
    bool any = false;
    for (size_t i = 0; i < ktls_suite_count; i++) {
        add_suite(findings, abilities, i, release);
        any = any || suite_works(abilities, i);
    }
    if (any)
        return;
    struct finding *finding = findings_add(findings, FINDING_FAIL, "kTLS suites");
    finding_say(finding, "No suite can be given to the kernel in both directions, so OpenSSL encrypts everything.",
                "run `modprobe gcm` as root, or use a kernel with CONFIG_CRYPTO_GCM", "none");
    if (finding)
        finding->kernel_path = true;
}

/* The part of "what is missing: what to do" behind the colon. */
static void split_missing(const char *missing, char *reason, size_t reason_size, const char **remedy)
{
    const char *colon = strstr(missing, ": ");
    size_t length = colon ? (size_t)(colon - missing) : strlen(missing);
    snprintf(reason, reason_size, "%.*s", (int)length, missing);
    *remedy = colon ? colon + 2 : "";
}

void findings_add_abilities(struct findings *findings, const struct ktls_abilities *abilities, const char *release)
{
    struct finding *ulp = findings_add(findings, abilities->ulp ? FINDING_OK : FINDING_FAIL, "kTLS (tls ULP)");
    if (!abilities->ulp) {
        char reason[sizeof abilities->missing];
        const char *remedy;
        split_missing(abilities->missing, reason, sizeof reason, &remedy);
        finding_say(ulp, "OpenSSL encrypts everything in this process: correct, but slower and with more CPU time.",
                    remedy, "%s", reason);
        if (ulp)
            ulp->kernel_path = true;
        return;
    }
    finding_say(ulp, "The kernel takes over encryption of a connection when it is given the keys.", "", "works");
    add_suites(findings, abilities, release);
    finding_say(findings_add(findings, abilities->rekey ? FINDING_OK : FINDING_NOTE, "kTLS rekey"),
                abilities->rekey
                    ? "A connection in the kernel can go on after a KeyUpdate."
                    : "A connection in the kernel ends in good order before its key is used up (about 380 GB), "
                      "and when the peer sends a KeyUpdate.",
                abilities->rekey ? "" : "use Linux " KERNEL_REKEY " or later if that happens to you", "%s",
                abilities->rekey ? "works" : "not in this kernel");
}

static FILE *open_proc(const char *root, const char *name)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/proc/%s", root, name);
    return length > 0 && (size_t)length < sizeof path ? fopen(path, "re") : NULL;
}

struct driver {
    char name[64];
    long priority; /* -1: none found */
};

/* The driver the kernel chooses for gcm(aes): the one with the highest priority. */
static struct driver find_driver(FILE *crypto)
{
    struct driver best = { .priority = -1 }, current = { .priority = -1 };
    bool wanted = false;
    char line[256];
    while (fgets(line, sizeof line, crypto)) {
        char key[32], value[64];
        if (sscanf(line, "%31s : %63[^\n]", key, value) != 2)
            continue;
        if (strcmp(key, "name") == 0)
            wanted = strcmp(value, "gcm(aes)") == 0;
        else if (strcmp(key, "driver") == 0)
            strcpy(current.name, value);
        else if (strcmp(key, "priority") == 0)
            current.priority = strtol(value, NULL, 10);
        if (wanted && strcmp(key, "priority") == 0 && current.priority > best.priority)
            best = current;
    }
    return best;
}

/* "generic-gcm-aesni" is fast, "gcm_base(ctr(aes-generic),ghash-generic)" is not: it is AES itself that counts. */
static bool is_slow(const char *driver)
{
    static const char *const slow[] = { "aes-generic", "aes-fixed-time", "aes-lib)" };
    for (size_t i = 0; i < sizeof slow / sizeof *slow; i++)
        if (strstr(driver, slow[i]))
            return true;
    return false;
}

void findings_add_driver(struct findings *findings, const char *root)
{
    static const char what[] = "AES-GCM driver";
    FILE *crypto = open_proc(root, "crypto");
    struct driver driver = { .priority = -1 };
    if (crypto) {
        driver = find_driver(crypto);
        fclose(crypto);
    }
    if (driver.priority < 0)
        finding_say(findings_add(findings, FINDING_NOTE, what),
                    "The kernel has not needed AES-GCM yet, or does not show what it uses.", "", "%s",
                    crypto ? "none in use" : "/proc/crypto cannot be read");
    else if (is_slow(driver.name))
        finding_say(
            findings_add(findings, FINDING_WARN, what),
            "Plain C code: AES-GCM in the kernel is about 20 times slower than with the processor's AES "
            "instructions, and slower than OpenSSL.",
            "run `modprobe aesni_intel` as root and write it into /etc/modules-load.d/tls.conf (on other "
            "processors the module with their AES instructions); in a virtual machine, give it the host's CPU model",
            "%s", driver.name);
    else
        finding_say(findings_add(findings, FINDING_OK, what), "Uses the processor's AES instructions.", "",
                    "%s (priority %ld)", driver.name, driver.priority);
}

static void add_openssl(struct findings *findings)
{
    const char *running = OpenSSL_version(OPENSSL_FULL_VERSION_STRING);
    bool older = OpenSSL_version_num() < OPENSSL_VERSION_NUMBER;
    finding_say(findings_add(findings, older ? FINDING_WARN : FINDING_OK, "OpenSSL"),
                older ? "The library is older than the one Sluice was built with; something may be missing."
                      : "Handshakes, and everything the kernel does not encrypt.",
                older ? "install the newer libssl, or build Sluice again" : "", "%s (built with %s)", running,
                OPENSSL_FULL_VERSION_STR);
}

static void add_open_files(struct findings *findings)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    bool enough = limit.rlim_cur >= OPEN_FILES_MIN;
    char value[32];
    if (limit.rlim_cur == RLIM_INFINITY)
        strcpy(value, "unlimited");
    else
        snprintf(value, sizeof value, "%llu", (unsigned long long)limit.rlim_cur);
    finding_say(findings_add(findings, enough ? FINDING_OK : FINDING_WARN, "limit: open files"),
                "A transfer under way takes up to four: socket, file and a pipe.",
                enough ? "" : "raise it: `ulimit -n 65536`, or LimitNOFILE=65536 in the service", "%s", value);
}

/* A number in /proc/sys/fs; -1 where it cannot be read. */
static long read_limit(const char *root, const char *name)
{
    char path[64], text[32];
    snprintf(path, sizeof path, "sys/fs/%s", name);
    FILE *file = open_proc(root, path);
    long number = -1;
    if (file && fgets(text, sizeof text, file))
        number = strtol(text, NULL, 10);
    if (file)
        fclose(file);
    return number;
}

static void add_pipes(struct findings *findings, const char *root)
{
    long size = read_limit(root, "pipe-max-size"), pages = read_limit(root, "pipe-user-pages-soft");
    bool large = size >= (long)PIPE_SIZE, many = pages == 0 || pages >= (long)(PIPES_MIN * (PIPE_SIZE / 4096));
    if (size >= 0)
        finding_say(findings_add(findings, large ? FINDING_OK : FINDING_WARN, "limit: pipe size"),
                    "A file goes into a socket through a pipe; a small one means many more system calls.",
                    large ? "" : "sysctl fs.pipe-max-size=1048576", "%ld bytes", size);
    if (pages >= 0)
        finding_say(findings_add(findings, many ? FINDING_OK : FINDING_WARN, "limit: pipe memory"),
                    "Of one user, in pages; beyond it new pipes get one page instead of 1 MiB.",
                    many ? "" : "sysctl fs.pipe-user-pages-soft=65536", pages ? "%ld pages" : "unlimited", pages);
}

void findings_add_limits(struct findings *findings, const char *root)
{
    add_open_files(findings);
    add_pipes(findings, root);
}

void ktls_findings(const struct ktls_sys *sys, struct findings *findings)
{
    struct utsname name;
    struct ktls_abilities abilities;
    uname(&name);
    add_kernel(findings, name.release);
    ktls_probe(sys, &abilities);
    findings_add_abilities(findings, &abilities, name.release);
    findings_add_driver(findings, ""); /* behind the probe, which makes the kernel load what it has */
    findings_add_interfaces(findings);
    findings_add_pacing(findings);
    add_openssl(findings);
    findings_add_limits(findings, "");
}
