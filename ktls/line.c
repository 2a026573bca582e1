/* Settings of the whole machine that would hold a fast link back (tcp(7), Documentation/networking/ip-sysctl.rst). */
#include "ktls/line_internal.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/sockios.h>

#include "ktls/probe_internal.h"

/* The kernel counts its own overhead into a buffer, and offers half of a receive buffer as window. */
#define BUFFER_NEEDED (2 * LINE_BYTES)
_Static_assert(BUFFER_NEEDED == 25000000, "what the sentences below say");
#define BUFFER_ADVISED 33554432L
#define TEXT(number) TEXT_OF(number)
#define TEXT_OF(number) #number

enum kind { AT_LEAST, EXACTLY, LARGEST_OF_THREE };

struct setting {
    const char *name; /* as sysctl(8) writes it */
    enum kind kind;
    long wanted, advised;
    enum finding_status severity; /* FINDING_NOTE: it stays one however fast the link */
    const char *meaning;
};

static const struct setting settings[] = {
    { "net.ipv4.tcp_wmem", LARGEST_OF_THREE, BUFFER_NEEDED, BUFFER_ADVISED, FINDING_WARN,
      "What one connection may have under way: " TEXT(LINE_GBITS) " Gbit/s over " TEXT(
          LINE_RTT_MS) " ms are 12.5 MB, and buffers are counted with their overhead, so twice that." },
    { "net.ipv4.tcp_rmem", LARGEST_OF_THREE, BUFFER_NEEDED, BUFFER_ADVISED, FINDING_WARN,
      "The window one connection may offer is half of this: " TEXT(LINE_GBITS) " Gbit/s over " TEXT(
          LINE_RTT_MS) " ms need 12.5 MB of it." },
    { "net.core.wmem_max", AT_LEAST, BUFFER_NEEDED, BUFFER_ADVISED, FINDING_NOTE,
      "A program that sets the size of a socket's send buffer itself gets no more than this." },
    { "net.core.rmem_max", AT_LEAST, BUFFER_NEEDED, BUFFER_ADVISED, FINDING_NOTE,
      "A program that sets the size of a socket's receive buffer itself gets no more than this." },
    { "net.ipv4.tcp_window_scaling", EXACTLY, 1, 1, FINDING_WARN,
      "Without it a connection has at most 64 KiB under way." },
    { "net.ipv4.tcp_sack", EXACTLY, 1, 1, FINDING_WARN,
      "Without it one lost packet costs a round trip for each further one in the window." },
    { "net.ipv4.tcp_timestamps", AT_LEAST, 1, 1, FINDING_WARN,
      "They tell an old segment from a new one: at " TEXT(LINE_GBITS) " Gbit/s the sequence numbers of TCP come round "
                                                                      "three times a second." },
    { "net.ipv4.tcp_slow_start_after_idle", EXACTLY, 0, 0, FINDING_NOTE,
      "A connection that is kept for the next transfer begins slowly again after a pause." },
    { "net.core.somaxconn", AT_LEAST, 1024, 4096, FINDING_NOTE,
      "Connections that may wait for a worker to accept them: each asks for 1024, and gets no more than this." },
};

bool line_read(const struct line_view *view, char *text, size_t size, const char *path, ...)
{
    char name[PATH_MAX], full[PATH_MAX];
    va_list arguments;
    va_start(arguments, path);
    int length = vsnprintf(name, sizeof name, path, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof name)
        return false;
    length = snprintf(full, sizeof full, "%s/%s", view->root, name);
    FILE *file = length > 0 && (size_t)length < sizeof full ? fopen(full, "re") : NULL;
    bool ok = file && fgets(text, (int)size, file);
    if (ok)
        text[strcspn(text, "\n")] = '\0';
    if (file)
        fclose(file);
    return ok;
}

static long number_in(const char *text)
{
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    return end == text || errno || number < 0 ? -1 : number;
}

long line_read_number(const struct line_view *view, const char *path, ...)
{
    char name[PATH_MAX], text[32];
    va_list arguments;
    va_start(arguments, path);
    int length = vsnprintf(name, sizeof name, path, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof name || !line_read(view, text, sizeof text, "%s", name))
        return -1;
    return number_in(text);
}

int line_add_processors(struct line_processors *processors, const char *list)
{
    int added = 0;
    while (*list) {
        char *end;
        if (*list < '0' || *list > '9')
            return -1;
        unsigned long first = strtoul(list, &end, 10), last = first;
        if (*end == '-' && end[1] >= '0' && end[1] <= '9')
            last = strtoul(end + 1, &end, 10);
        if (last < first || last >= LINE_PROCESSORS_MAX || (*end && *end != ','))
            return -1;
        for (unsigned long i = first; i <= last; i++) {
            added += !line_has_processor(processors, (unsigned)i);
            processors->is[i / 8] |= (unsigned char)(1U << i % 8);
        }
        list = *end ? end + 1 : end;
    }
    return added;
}

bool line_has_processor(const struct line_processors *processors, unsigned processor)
{
    return processor < LINE_PROCESSORS_MAX && processors->is[processor / 8] >> processor % 8 & 1;
}

static bool read_setting(const struct line_view *view, const char *name, char *text, size_t size)
{
    char path[96];
    snprintf(path, sizeof path, "%s", name);
    for (char *dot = strchr(path, '.'); dot; dot = strchr(dot, '.'))
        *dot = '/';
    return line_read(view, text, size, "proc/sys/%s", path);
}

static enum finding_status grade(bool good, bool fast, enum finding_status severity)
{
    return good ? FINDING_OK : fast ? severity : FINDING_NOTE;
}

static void add_setting(struct findings *findings, const struct line_view *view, const struct setting *setting,
                        bool fast)
{
    char text[96], remedy[256] = "";
    long numbers[3] = { -1, -1, -1 };
    const char *what = strrchr(setting->name, '.') + 1;
    bool three = setting->kind == LARGEST_OF_THREE;
    if (read_setting(view, setting->name, text, sizeof text)) {
        if (three && sscanf(text, "%ld %ld %ld", &numbers[0], &numbers[1], &numbers[2]) != 3)
            numbers[2] = -1;
        else if (!three)
            numbers[2] = number_in(text);
    }
    long value = numbers[2];
    if (value < 0) {
        finding_say(findings_add(findings, FINDING_NOTE, what), setting->meaning, "", "cannot be read here");
        return;
    }
    bool good = setting->kind == EXACTLY ? value == setting->wanted : value >= setting->wanted;
    if (!good && three)
        snprintf(remedy, sizeof remedy, "sysctl %s=\"%ld %ld %ld\"", setting->name, numbers[0], numbers[1],
                 setting->advised);
    else if (!good)
        snprintf(remedy, sizeof remedy, "sysctl %s=%ld", setting->name, setting->advised);
    const char *unit = setting->wanted < BUFFER_NEEDED ? "" : good ? " bytes" : " bytes; 25000000 are needed";
    finding_say(findings_add(findings, grade(good, fast, setting->severity), what), setting->meaning, remedy, "%ld%s",
                value, unit);
}

static bool has_word(const char *words, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = strstr(words, word); at; at = strstr(at + 1, word)) {
        bool begins = at == words || at[-1] == ' ', ends = at[length] == '\0' || at[length] == ' ';
        if (begins && ends)
            return true;
    }
    return false;
}

static void add_congestion_control(struct findings *findings, const struct line_view *view, bool fast)
{
    static const char what[] = "congestion control", fit[] = "cubic bbr dctcp";
    char current[32], available[96];
    if (!read_setting(view, "net.ipv4.tcp_congestion_control", current, sizeof current)) {
        finding_say(findings_add(findings, FINDING_NOTE, what), "Decides how fast TCP goes on after a loss.", "",
                    "cannot be read here");
        return;
    }
    if (!read_setting(view, "net.ipv4.tcp_available_congestion_control", available, sizeof available))
        strcpy(available, "not known");
    bool good = has_word(fit, current), has_cubic = has_word(available, "cubic");
    finding_say(
        findings_add(findings, grade(good, fast, FINDING_WARN), what),
        !good ? "After one loss it needs thousands of round trips to fill a line of " TEXT(LINE_GBITS) " Gbit/s."
        : has_word("cubic", current)
            ? "Fills a clean line; where a long one loses packets, bbr holds its rate better (`modprobe tcp_bbr`)."
            : "Made for lines as fast as this.",
        good        ? ""
        : has_cubic ? "sysctl net.ipv4.tcp_congestion_control=cubic"
                    : "modprobe tcp_cubic; sysctl net.ipv4.tcp_congestion_control=cubic",
        "%s (available: %s)", current, available);
}

/* Processors whose clock the kernel sets, and of those the ones that it may slow down; *governor is theirs. */
static void count_governors(const struct line_view *view, int *all, int *slow, char *governor, size_t size)
{
    char path[PATH_MAX], text[32];
    int length = snprintf(path, sizeof path, "%s/sys/devices/system/cpu", view->root);
    DIR *folder = length > 0 && (size_t)length < sizeof path ? opendir(path) : NULL;
    *all = *slow = 0;
    governor[0] = '\0';
    for (const struct dirent *entry; folder && (entry = readdir(folder));) {
        unsigned processor;
        char rest;
        if (sscanf(entry->d_name, "cpu%u%c", &processor, &rest) != 1 ||
            !line_read(view, text, sizeof text, "sys/devices/system/cpu/%s/cpufreq/scaling_governor", entry->d_name))
            continue;
        (*all)++;
        if (strcmp(text, "performance") == 0)
            continue;
        (*slow)++;
        snprintf(governor, size, "%s", text);
    }
    if (folder)
        closedir(folder);
}

static void add_governor(struct findings *findings, const struct line_view *view, bool fast)
{
    static const char what[] = "processor clock";
    char governor[32];
    int all, slow;
    count_governors(view, &all, &slow, governor, sizeof governor);
    if (all == 0)
        finding_say(findings_add(findings, FINDING_NOTE, what),
                    "In a virtual machine the host sets it: its governor should be \"performance\" there.", "",
                    "not set by this kernel");
    else if (slow == 0)
        finding_say(findings_add(findings, FINDING_OK, what), "A processor that waits for packets keeps its clock.", "",
                    "performance on all %d processors", all);
    else
        finding_say(findings_add(findings, grade(false, fast, FINDING_WARN), what),
                    "A processor that waits for packets is slowed down and takes its time to come back.",
                    "for g in /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor; do echo performance >$g; done",
                    "%s on %d of %d processors", governor, slow, all);
}

void line_add_system(struct findings *findings, const struct line_view *view, bool fast)
{
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        add_setting(findings, view, &settings[i], fast);
    add_congestion_control(findings, view, fast);
    add_governor(findings, view, fast);
}

void line_add(struct findings *findings, const struct line_view *view)
{
    struct line_nic nics[LINE_NICS_MAX];
    size_t count = line_find_nics(view, nics, LINE_NICS_MAX);
    bool fast = false;
    for (size_t i = 0; i < count; i++)
        fast = fast || nics[i].speed >= LINE_FAST_MBITS;
    line_add_system(findings, view, fast);
    for (size_t i = 0; i < count; i++)
        line_add_nic(findings, view, &nics[i]);
}

static int ask_ethtool(const struct line_view *view, const char *interface, void *command)
{
    (void)view;
    struct ifreq request = { .ifr_data = command };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    strncpy(request.ifr_name, interface, sizeof request.ifr_name - 1);
    int result = ioctl(fd, SIOCETHTOOL, &request) < 0 ? -errno : 0;
    close(fd);
    return result;
}

void line_findings(struct findings *findings)
{
    const struct line_view here = { .root = "", .ethtool = ask_ethtool };
    line_add(findings, &here);
}
