/* What of one network interface would hold a fast link back (Documentation/ABI/testing/sysfs-class-net, ethtool(8)). */
#include "ktls/line_internal.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/ethtool.h>
#include <linux/if_arp.h>

#include "ktls/probe_internal.h"

#define MTU_WANTED 9000
#define RING_WANTED 1024U
#define INTERRUPTS_MAX 1024

/* A finding about this interface; `fast` says whether what is not good is worth more than a note. */
struct about {
    struct findings *findings;
    const struct line_view *view;
    const char *name;
    bool fast;
    long speed;
};

static struct finding *add(const struct about *about, enum finding_status status, const char *what)
{
    char text[48];
    snprintf(text, sizeof text, "%s of %s", what, about->name);
    return findings_add(about->findings, status, text);
}

static enum finding_status bad(const struct about *about)
{
    return about->fast ? FINDING_WARN : FINDING_NOTE;
}

static bool exists(const struct line_view *view, const char *name, const char *what)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/sys/class/net/%s/%s", view->root, name, what);
    return length > 0 && (size_t)length < sizeof path && access(path, F_OK) == 0;
}

static bool is_physical(const struct line_view *view, const char *name)
{
    char state[16];
    if (!exists(view, name, "device") || exists(view, name, "phy80211") || exists(view, name, "wireless"))
        return false;
    if (line_read_number(view, "sys/class/net/%s/type", name) != ARPHRD_ETHER)
        return false;
    return !line_read(view, state, sizeof state, "sys/class/net/%s/operstate", name) || strcmp(state, "down") != 0;
}

static int by_name(const void *left, const void *right)
{
    return strcmp(((const struct line_nic *)left)->name, ((const struct line_nic *)right)->name);
}

size_t line_find_nics(const struct line_view *view, struct line_nic *nics, size_t capacity)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/sys/class/net", view->root);
    DIR *folder = length > 0 && (size_t)length < sizeof path ? opendir(path) : NULL;
    size_t count = 0;
    for (const struct dirent *entry; folder && count < capacity && (entry = readdir(folder));) {
        if (entry->d_name[0] == '.' || strlen(entry->d_name) >= IF_NAMESIZE || !is_physical(view, entry->d_name))
            continue;
        struct line_nic *nic = &nics[count++];
        strcpy(nic->name, entry->d_name);
        nic->speed = line_read_number(view, "sys/class/net/%s/speed", nic->name);
    }
    if (folder)
        closedir(folder);
    qsort(nics, count, sizeof *nics, by_name);
    return count;
}

static void add_speed(const struct about *about)
{
    if (about->speed <= 0) {
        finding_say(add(about, FINDING_NOTE, "speed"),
                    "Whether this interface is fast enough for the settings around it to matter.", "", "not known");
        return;
    }
    bool full = about->speed >= LINE_GBITS * 1000L;
    finding_say(add(about, FINDING_OK, "speed"),
                full ? "What is said of a link of 100 Gbit/s is meant for this one."
                : about->fast
                    ? "Less than the 100 Gbit/s that the settings around it are held against, but near enough."
                    : "What is said of a link of 100 Gbit/s need not be done for this one.",
                "", about->speed % 1000 ? "%ld Mbit/s" : "%ld Gbit/s",
                about->speed % 1000 ? about->speed : about->speed / 1000);
}

static void add_mtu(const struct about *about)
{
    long mtu = line_read_number(about->view, "sys/class/net/%s/mtu", about->name);
    char remedy[160] = "";
    if (mtu < 0) {
        finding_say(add(about, FINDING_NOTE, "MTU"), "Small packets cost each side more processor time.", "",
                    "cannot be read here");
        return;
    }
    if (mtu < MTU_WANTED)
        snprintf(remedy, sizeof remedy,
                 "where every switch and peer on its network takes it: ip link set dev %s mtu %d", about->name,
                 MTU_WANTED);
    char meaning[96] = "Few packets for many bytes.";
    if (mtu < MTU_WANTED)
        snprintf(meaning, sizeof meaning, "Takes %.0f packets where 9000 bytes would need one, each with its cost.",
                 (double)MTU_WANTED / (mtu > 0 ? (double)mtu : 1));
    finding_say(add(about, mtu < MTU_WANTED ? bad(about) : FINDING_OK, "MTU"), meaning, remedy, "%ld bytes", mtu);
}

/* What /sys says of the device, or of the one it sits on: a virtio device has neither interrupts nor a node itself. */
static DIR *open_interrupts(const struct about *about)
{
    static const char *const places[] = { "device/msi_irqs", "device/../msi_irqs" };
    DIR *folder = NULL;
    for (size_t i = 0; !folder && i < sizeof places / sizeof *places; i++) {
        char path[PATH_MAX];
        int length = snprintf(path, sizeof path, "%s/sys/class/net/%s/%s", about->view->root, about->name, places[i]);
        folder = length > 0 && (size_t)length < sizeof path ? opendir(path) : NULL;
    }
    return folder;
}

static long read_node(const struct about *about)
{
    long node = line_read_number(about->view, "sys/class/net/%s/device/numa_node", about->name);
    return node >= 0 ? node : line_read_number(about->view, "sys/class/net/%s/device/../numa_node", about->name);
}

struct interrupts {
    int count, away; /* that go to one processor or some; of those, to another node's */
    int processors;  /* they go to */
    struct line_processors seen;
};

/* Where the interrupt goes in fact, else where it may go: what was never asked for has neither. */
static bool read_affinity(const struct about *about, long interrupt, char *list, size_t size)
{
    static const char *const files[] = { "effective_affinity_list", "smp_affinity_list" };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (line_read(about->view, list, size, "proc/irq/%ld/%s", interrupt, files[i]) && list[0])
            return true;
    }
    return false;
}

static bool all_within(const struct line_processors *some, const struct line_processors *all)
{
    for (size_t i = 0; i < sizeof some->is; i++) {
        if (some->is[i] & ~all->is[i])
            return false;
    }
    return true;
}

static void take_interrupt(const struct about *about, long interrupt, const struct line_processors *near,
                           struct interrupts *all)
{
    char list[256];
    struct line_processors own = { 0 };
    if (!read_affinity(about, interrupt, list, sizeof list) || line_add_processors(&own, list) <= 0)
        return;
    all->count++;
    all->processors += line_add_processors(&all->seen, list);
    all->away += near && !all_within(&own, near);
}

static void read_interrupts(const struct about *about, struct interrupts *all)
{
    struct line_processors near = { 0 };
    char list[256];
    long node = read_node(about);
    bool knows =
        node >= 0 && line_read(about->view, list, sizeof list, "sys/devices/system/node/node%ld/cpulist", node);
    knows = knows && line_add_processors(&near, list) > 0;
    DIR *folder = open_interrupts(about);
    for (const struct dirent *entry; folder && all->count < INTERRUPTS_MAX && (entry = readdir(folder));) {
        if (isdigit((unsigned char)entry->d_name[0]))
            take_interrupt(about, strtol(entry->d_name, NULL, 10), knows ? &near : NULL, all);
    }
    if (folder)
        closedir(folder);
}

static int count_queues(const struct about *about)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/sys/class/net/%s/queues", about->view->root, about->name), count = 0;
    DIR *folder = length > 0 && (size_t)length < sizeof path ? opendir(path) : NULL;
    for (const struct dirent *entry; folder && (entry = readdir(folder));)
        count += strncmp(entry->d_name, "rx-", 3) == 0;
    if (folder)
        closedir(folder);
    return count;
}

static int count_processors(const struct line_view *view)
{
    struct line_processors online = { 0 };
    char list[256];
    return line_read(view, list, sizeof list, "sys/devices/system/cpu/online") ? line_add_processors(&online, list)
                                                                               : -1;
}

static void add_interrupts(const struct about *about)
{
    static const char what[] = "interrupts";
    struct interrupts all = { 0 };
    char remedy[160] = "";
    int queues = count_queues(about), processors = count_processors(about->view);
    read_interrupts(about, &all);
    if (all.count == 0) {
        finding_say(add(about, FINDING_NOTE, what), "One processor alone cannot receive a fast link.", "",
                    "cannot be read here");
        return;
    }
    bool crowded = processors > 1 && (queues == 1 || all.processors == 1);
    const char *meaning = "Several processors share the receiving.";
    if (crowded && queues == 1) {
        meaning = "It has one queue, so one processor handles every packet that comes in.";
        snprintf(remedy, sizeof remedy, "ethtool -L %s combined %d (as many as it has: ethtool -l %s)", about->name,
                 processors, about->name);
    } else if (crowded) {
        meaning = "One processor handles the packets of all queues.";
        snprintf(remedy, sizeof remedy,
                 "systemctl enable --now irqbalance, or one by one: "
                 "echo CPU >/proc/irq/N/smp_affinity_list");
    } else if (all.away) {
        meaning = "Some go to processors of another NUMA node than the card's: packets cross between the two.";
        snprintf(remedy, sizeof remedy,
                 "systemctl enable --now irqbalance, or one by one: "
                 "echo CPU >/proc/irq/N/smp_affinity_list");
    }
    finding_say(add(about, remedy[0] ? bad(about) : FINDING_OK, what), meaning, remedy,
                "%d on %d processor%s, %d receive queue%s", all.count, all.processors, all.processors == 1 ? "" : "s",
                queues, queues == 1 ? "" : "s");
}

/* 1 on, 0 off, -1 not known. */
static int ask_offload(const struct about *about, uint32_t command)
{
    struct ethtool_value value = { .cmd = command };
    return about->view->ethtool(about->view, about->name, &value) == 0 ? value.data != 0 : -1;
}

static void add_offloads(const struct about *about)
{
    static const char *const words[] = { "not known", "off", "on" };
    int tso = ask_offload(about, ETHTOOL_GTSO), gro = ask_offload(about, ETHTOOL_GGRO);
    char remedy[96] = "";
    if (tso == 0 || gro == 0)
        snprintf(remedy, sizeof remedy, "ethtool -K %s%s%s", about->name, tso == 0 ? " tso on" : "",
                 gro == 0 ? " gro on" : "");
    enum finding_status status = remedy[0] ? bad(about) : tso < 0 && gro < 0 ? FINDING_NOTE : FINDING_OK;
    finding_say(add(about, status, "offloads"),
                tso == 0   ? "The processor cuts what is sent into packets, and this card leaves it that."
                : gro == 0 ? "Each packet that comes in goes through TCP by itself."
                : tso < 0  ? "Cutting and joining packets is what the card, or GRO, should do for the processor."
                           : "The card cuts what is sent into packets, and what comes in is joined before TCP sees it.",
                remedy, "TSO %s, GRO %s", words[tso + 1], words[gro + 1]);
}

static uint32_t enough_of(uint32_t most)
{
    return most < RING_WANTED ? most : RING_WANTED;
}

static void add_rings(const struct about *about)
{
    struct ethtool_ringparam rings = { .cmd = ETHTOOL_GRINGPARAM };
    char remedy[96] = "";
    if (about->view->ethtool(about->view, about->name, &rings) != 0) {
        finding_say(add(about, FINDING_NOTE, "rings"), "Packets that find no room in a ring are lost.", "",
                    "not known");
        return;
    }
    uint32_t rx = enough_of(rings.rx_max_pending), tx = enough_of(rings.tx_max_pending);
    bool small = rings.rx_pending < rx || rings.tx_pending < tx;
    if (small)
        snprintf(remedy, sizeof remedy, "ethtool -G %s rx %u tx %u", about->name,
                 rings.rx_pending < rx ? rx : rings.rx_pending, rings.tx_pending < tx ? tx : rings.tx_pending);
    finding_say(add(about, small ? bad(about) : FINDING_OK, "rings"),
                small ? "A burst that comes while the processor is elsewhere finds no room, and is lost."
                      : "Room for what comes while the processor is elsewhere.",
                remedy, "rx %u of %u, tx %u of %u", rings.rx_pending, rings.rx_max_pending, rings.tx_pending,
                rings.tx_max_pending);
}

/* Gbit/s that the slot carries: each lane's transfers, of which 128 in 130 (8 in 10 before PCIe 3) are bits. -1: not
 * known. */
static long read_slot(const struct about *about)
{
    char text[48];
    double transfers;
    long lanes = line_read_number(about->view, "sys/class/net/%s/device/current_link_width", about->name);
    if (lanes <= 0 ||
        !line_read(about->view, text, sizeof text, "sys/class/net/%s/device/current_link_speed", about->name) ||
        sscanf(text, "%lf GT/s", &transfers) != 1 || transfers <= 0 || transfers > 1000 || lanes > 64)
        return -1;
    return (long)(transfers * (double)lanes * (transfers < 8 ? 0.8 : 128.0 / 130.0));
}

static void add_slot(const struct about *about)
{
    long gbits = read_slot(about);
    if (gbits < 0 || about->speed <= 0) /* no PCIe, or nothing to hold it against */
        return;
    bool narrow = gbits * 1000 < about->speed;
    finding_say(add(about, narrow ? FINDING_WARN : FINDING_OK, "PCIe"),
                narrow ? "The slot carries less than the link." : "The slot carries more than the link.",
                narrow ? "put the card into a slot with more lanes, or of a later PCIe" : "", "%ld Gbit/s", gbits);
}

static void add_node(const struct about *about)
{
    char online[64], remedy[256] = "";
    struct line_processors nodes = { 0 };
    long node = read_node(about);
    int count = line_read(about->view, online, sizeof online, "sys/devices/system/node/online")
                    ? line_add_processors(&nodes, online)
                    : -1;
    if (count == 1) {
        finding_say(add(about, FINDING_OK, "NUMA node"), "All memory is equally near.", "", "the only one");
        return;
    }
    if (count > 1 && node >= 0)
        snprintf(remedy, sizeof remedy,
                 "numactl --cpunodebind=%ld --membind=%ld sluice serve ..., or in the service "
                 "NUMAPolicy=bind, NUMAMask=%ld and CPUAffinity=numa",
                 node, node, node);
    finding_say(add(about, FINDING_NOTE, "NUMA node"),
                "Workers and their memory should be on the node of the card, or each byte crosses between two.", remedy,
                node >= 0 && count > 1 ? "%ld of %d nodes" : "not known", node, count);
}

void line_add_nic(struct findings *findings, const struct line_view *view, const struct line_nic *nic)
{
    const struct about about = { .findings = findings,
                                 .view = view,
                                 .name = nic->name,
                                 .fast = nic->speed >= LINE_FAST_MBITS,
                                 .speed = nic->speed };
    add_speed(&about);
    add_mtu(&about);
    add_interrupts(&about);
    add_offloads(&about);
    add_rings(&about);
    add_slot(&about);
    add_node(&about);
}
