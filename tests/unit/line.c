// rooms: ktls
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/ethtool.h>

#include "ktls/line_internal.h"

/* A machine of our own: files beneath a root, and a card that answers as it is told. */
struct machine {
    struct line_view view;
    char root[40];
    int error; /* of every SIOCETHTOOL */
    uint32_t tso, gro, rx, tx, most;
    struct findings findings;
};

static int fake_ethtool(const struct line_view *view, const char *interface, void *command)
{
    const struct machine *machine = (const void *)view;
    assert_string_equal(interface, "eth0");
    if (machine->error)
        return machine->error;
    uint32_t asked;
    memcpy(&asked, command, sizeof asked);
    if (asked == ETHTOOL_GRINGPARAM) {
        struct ethtool_ringparam *rings = command;
        rings->rx_pending = machine->rx;
        rings->tx_pending = machine->tx;
        rings->rx_max_pending = rings->tx_max_pending = machine->most;
        return 0;
    }
    struct ethtool_value *value = command;
    assert_true(asked == ETHTOOL_GTSO || asked == ETHTOOL_GGRO);
    value->data = asked == ETHTOOL_GTSO ? machine->tso : machine->gro;
    return 0;
}

static void lay(const struct machine *machine, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", machine->root, name);
    for (char *slash = strchr(path + strlen(machine->root) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    assert_true(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void take_away(const struct machine *machine, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", machine->root, name);
    assert_int_equal(unlink(path), 0);
}

static const struct {
    const char *name, *text;
} good[] = {
    { "proc/sys/net/ipv4/tcp_wmem", "4096\t65536\t33554432\n" },
    { "proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t33554432\n" },
    { "proc/sys/net/core/wmem_max", "33554432\n" },
    { "proc/sys/net/core/rmem_max", "33554432\n" },
    { "proc/sys/net/ipv4/tcp_window_scaling", "1\n" },
    { "proc/sys/net/ipv4/tcp_sack", "1\n" },
    { "proc/sys/net/ipv4/tcp_timestamps", "1\n" },
    { "proc/sys/net/ipv4/tcp_slow_start_after_idle", "0\n" },
    { "proc/sys/net/core/somaxconn", "4096\n" },
    { "proc/sys/net/ipv4/tcp_congestion_control", "cubic\n" },
    { "proc/sys/net/ipv4/tcp_available_congestion_control", "reno cubic\n" },
    { "sys/devices/system/cpu/online", "0-3\n" },
    { "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n" },
    { "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "performance\n" },
    { "sys/devices/system/cpu/cpufreq/policy0/scaling_governor", "powersave\n" }, /* no processor's folder */
    { "sys/devices/system/node/online", "0\n" },
    { "sys/devices/system/node/node0/cpulist", "0-3\n" },
    { "sys/class/net/lo/type", "772\n" },
    { "sys/class/net/eth0/type", "1\n" },
    { "sys/class/net/eth0/operstate", "up\n" },
    { "sys/class/net/eth0/speed", "100000\n" },
    { "sys/class/net/eth0/mtu", "9000\n" },
    { "sys/class/net/eth0/queues/rx-0/rps_cpus", "0\n" },
    { "sys/class/net/eth0/queues/rx-1/rps_cpus", "0\n" },
    { "sys/class/net/eth0/queues/tx-0/xps_cpus", "0\n" },
    { "sys/class/net/eth0/device/msi_irqs/40", "msix\n" },
    { "sys/class/net/eth0/device/msi_irqs/41", "msix\n" },
    { "sys/class/net/eth0/device/msi_irqs/42", "msix\n" }, /* never asked for: it has no affinity */
    { "sys/class/net/eth0/device/numa_node", "0\n" },
    { "sys/class/net/eth0/device/current_link_speed", "16.0 GT/s PCIe\n" },
    { "sys/class/net/eth0/device/current_link_width", "16\n" },
    { "proc/irq/40/smp_affinity_list", "0-3\n" },
    { "proc/irq/40/effective_affinity_list", "0\n" },
    { "proc/irq/41/smp_affinity_list", "1\n" },
};

static int set_up(void **state)
{
    struct machine *machine = calloc(1, sizeof *machine);
    assert_non_null(machine);
    *machine = (struct machine){
        .view = { .ethtool = fake_ethtool }, .tso = 1, .gro = 1, .rx = 1024, .tx = 1024, .most = 8192
    };
    strcpy(machine->root, "/tmp/sluice-line-XXXXXX");
    assert_non_null(mkdtemp(machine->root));
    machine->view.root = machine->root;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        lay(machine, good[i].name, good[i].text);
    *state = machine;
    return 0;
}

static int remove_entry(const char *path, const struct stat *facts, int type, struct FTW *where)
{
    (void)facts;
    (void)type;
    (void)where;
    return remove(path);
}

static int clean_up(void **state)
{
    struct machine *machine = *state;
    int result = nftw(machine->root, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    findings_clear(&machine->findings);
    free(machine);
    return result;
}

static const struct finding *find(struct machine *machine, const char *what)
{
    findings_clear(&machine->findings);
    line_add(&machine->findings, &machine->view);
    for (size_t i = 0; i < machine->findings.count; i++) {
        if (strcmp(machine->findings.items[i].what, what) == 0)
            return &machine->findings.items[i];
    }
    return NULL;
}

static void expect(struct machine *machine, const char *what, enum finding_status status, const char *value,
                   const char *remedy)
{
    const struct finding *finding = find(machine, what);
    assert_non_null(finding);
    assert_string_equal(finding->value, value);
    assert_int_equal(finding->status, status);
    assert_string_equal(finding->remedy, remedy);
    assert_string_not_equal(finding->meaning, "");
    assert_false(finding->kernel_path);
}

static void finds_nothing_wrong_with_a_machine_made_for_100_gbit(void **state)
{
    struct machine *machine = *state;
    line_add(&machine->findings, &machine->view);
    assert_int_equal(machine->findings.count, 11 + 7);
    for (size_t i = 0; i < machine->findings.count; i++) {
        assert_int_equal(machine->findings.items[i].status, FINDING_OK);
        assert_string_equal(machine->findings.items[i].remedy, "");
    }
    expect(machine, "speed of eth0", FINDING_OK, "100 Gbit/s", "");
    expect(machine, "interrupts of eth0", FINDING_OK, "2 on 2 processors, 2 receive queues", "");
    expect(machine, "PCIe of eth0", FINDING_OK, "252 Gbit/s", "");
    expect(machine, "processor clock", FINDING_OK, "performance on all 2 processors", "");
    expect(machine, "rings of eth0", FINDING_OK, "rx 1024 of 8192, tx 1024 of 8192", "");
}

static void names_the_command_for_each_setting_of_the_system(void **state)
{
    static const struct {
        const char *what, *file, *text, *value, *remedy;
        enum finding_status status;
    } rows[] = {
        { "tcp_wmem", "net/ipv4/tcp_wmem", "4096 16384 4194304\n", "4194304 bytes; 25000000 are needed",
          "sysctl net.ipv4.tcp_wmem=\"4096 16384 33554432\"", FINDING_WARN },
        { "tcp_wmem", "net/ipv4/tcp_wmem", "4096 16384 24999999\n", "24999999 bytes; 25000000 are needed",
          "sysctl net.ipv4.tcp_wmem=\"4096 16384 33554432\"", FINDING_WARN },
        { "tcp_wmem", "net/ipv4/tcp_wmem", "4096 16384 25000000\n", "25000000 bytes", "", FINDING_OK },
        { "tcp_rmem", "net/ipv4/tcp_rmem", "4096 131072 6291456\n", "6291456 bytes; 25000000 are needed",
          "sysctl net.ipv4.tcp_rmem=\"4096 131072 33554432\"", FINDING_WARN },
        { "wmem_max", "net/core/wmem_max", "212992\n", "212992 bytes; 25000000 are needed",
          "sysctl net.core.wmem_max=33554432", FINDING_NOTE },
        { "rmem_max", "net/core/rmem_max", "212992\n", "212992 bytes; 25000000 are needed",
          "sysctl net.core.rmem_max=33554432", FINDING_NOTE },
        { "tcp_window_scaling", "net/ipv4/tcp_window_scaling", "0\n", "0", "sysctl net.ipv4.tcp_window_scaling=1",
          FINDING_WARN },
        { "tcp_sack", "net/ipv4/tcp_sack", "0\n", "0", "sysctl net.ipv4.tcp_sack=1", FINDING_WARN },
        { "tcp_timestamps", "net/ipv4/tcp_timestamps", "0\n", "0", "sysctl net.ipv4.tcp_timestamps=1", FINDING_WARN },
        { "tcp_timestamps", "net/ipv4/tcp_timestamps", "2\n", "2", "", FINDING_OK },
        { "tcp_slow_start_after_idle", "net/ipv4/tcp_slow_start_after_idle", "1\n", "1",
          "sysctl net.ipv4.tcp_slow_start_after_idle=0", FINDING_NOTE },
        { "somaxconn", "net/core/somaxconn", "128\n", "128", "sysctl net.core.somaxconn=4096", FINDING_NOTE },
        { "congestion control", "net/ipv4/tcp_congestion_control", "reno\n", "reno (available: reno cubic)",
          "sysctl net.ipv4.tcp_congestion_control=cubic", FINDING_WARN },
        { "congestion control", "net/ipv4/tcp_congestion_control", "cub\n", "cub (available: reno cubic)",
          "sysctl net.ipv4.tcp_congestion_control=cubic", FINDING_WARN },
        { "congestion control", "net/ipv4/tcp_congestion_control", "bbr\n", "bbr (available: reno cubic)", "",
          FINDING_OK },
    };
    struct machine *machine = *state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char file[96];
        snprintf(file, sizeof file, "proc/sys/%s", rows[i].file);
        lay(machine, file, rows[i].text);
        expect(machine, rows[i].what, rows[i].status, rows[i].value, rows[i].remedy);
    }
    lay(machine, "proc/sys/net/ipv4/tcp_congestion_control", "reno\n");
    lay(machine, "proc/sys/net/ipv4/tcp_available_congestion_control", "reno\n");
    expect(machine, "congestion control", FINDING_WARN, "reno (available: reno)",
           "modprobe tcp_cubic; sysctl net.ipv4.tcp_congestion_control=cubic");
}

static void says_which_settings_it_cannot_read(void **state)
{
    static const char *const names[] = {
        "ipv4/tcp_wmem",           "ipv4/tcp_rmem",       "core/wmem_max",
        "core/rmem_max",           "ipv4/tcp_timestamps", "ipv4/tcp_sack",
        "ipv4/tcp_window_scaling", "core/somaxconn",      "ipv4/tcp_slow_start_after_idle"
    };
    static const char *const nonsense[] = { "", "many\n", "-1\n", "99999999999999999999999\n" };
    struct machine *machine = *state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char file[96];
        snprintf(file, sizeof file, "proc/sys/net/%s", names[i]);
        const char *what = strchr(names[i], '/') + 1;
        for (size_t n = 0; n < sizeof nonsense / sizeof *nonsense; n++) {
            lay(machine, file, nonsense[n]);
            expect(machine, what, FINDING_NOTE, "cannot be read here", "");
        }
        take_away(machine, file);
        expect(machine, what, FINDING_NOTE, "cannot be read here", "");
    }
    lay(machine, "proc/sys/net/ipv4/tcp_wmem", "4096 65536\n"); /* of three numbers, two */
    expect(machine, "tcp_wmem", FINDING_NOTE, "cannot be read here", "");
    take_away(machine, "proc/sys/net/ipv4/tcp_available_congestion_control");
    expect(machine, "congestion control", FINDING_OK, "cubic (available: not known)", "");
    take_away(machine, "proc/sys/net/ipv4/tcp_congestion_control");
    expect(machine, "congestion control", FINDING_NOTE, "cannot be read here", "");
}

static void warns_of_a_clock_that_may_go_down(void **state)
{
    struct machine *machine = *state;
    lay(machine, "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor", "powersave\n");
    expect(machine, "processor clock", FINDING_WARN, "powersave on 1 of 2 processors",
           "for g in /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor; do echo performance >$g; done");
    take_away(machine, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
    take_away(machine, "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor");
    expect(machine, "processor clock", FINDING_NOTE, "not set by this kernel", "");
}

static void only_notes_what_no_interface_here_is_fast_enough_for(void **state)
{
    struct machine *machine = *state;
    lay(machine, "proc/sys/net/ipv4/tcp_wmem", "4096 16384 4194304\n");
    lay(machine, "sys/class/net/eth0/mtu", "1500\n");
    lay(machine, "sys/class/net/eth0/speed", "25000\n");
    assert_int_equal(find(machine, "tcp_wmem")->status, FINDING_WARN);
    assert_int_equal(find(machine, "MTU of eth0")->status, FINDING_WARN);
    expect(machine, "speed of eth0", FINDING_OK, "25 Gbit/s", "");
    lay(machine, "sys/class/net/eth0/speed", "2500\n");
    assert_int_equal(find(machine, "tcp_wmem")->status, FINDING_NOTE);
    assert_int_equal(find(machine, "MTU of eth0")->status, FINDING_NOTE);
    expect(machine, "speed of eth0", FINDING_OK, "2500 Mbit/s", "");
    lay(machine, "sys/class/net/eth0/speed", "-1\n");
    assert_int_equal(find(machine, "tcp_wmem")->status, FINDING_NOTE);
    expect(machine, "speed of eth0", FINDING_NOTE, "not known", "");
    assert_null(find(machine, "PCIe of eth0"));
}

static void tells_what_small_packets_cost(void **state)
{
    struct machine *machine = *state;
    lay(machine, "sys/class/net/eth0/mtu", "1500\n");
    expect(machine, "MTU of eth0", FINDING_WARN, "1500 bytes",
           "where every switch and peer on its network takes it: ip link set dev eth0 mtu 9000");
    assert_non_null(strstr(find(machine, "MTU of eth0")->meaning, "6 packets"));
    take_away(machine, "sys/class/net/eth0/mtu");
    expect(machine, "MTU of eth0", FINDING_NOTE, "cannot be read here", "");
}

static void warns_where_one_processor_takes_every_interrupt(void **state)
{
    static const char spread[] =
        "systemctl enable --now irqbalance, or one by one: echo CPU >/proc/irq/N/smp_affinity_list";
    struct machine *machine = *state;
    lay(machine, "proc/irq/41/effective_affinity_list", "0\n");
    expect(machine, "interrupts of eth0", FINDING_WARN, "2 on 1 processor, 2 receive queues", spread);
    lay(machine, "sys/devices/system/cpu/online", "0\n"); /* there is no other */
    expect(machine, "interrupts of eth0", FINDING_OK, "2 on 1 processor, 2 receive queues", "");

    lay(machine, "sys/devices/system/cpu/online", "0-3\n");
    take_away(machine, "sys/class/net/eth0/queues/rx-1/rps_cpus");
    char queue[96];
    snprintf(queue, sizeof queue, "%s/sys/class/net/eth0/queues/rx-1", machine->root);
    assert_int_equal(rmdir(queue), 0);
    expect(machine, "interrupts of eth0", FINDING_WARN, "2 on 1 processor, 1 receive queue",
           "ethtool -L eth0 combined 4 (as many as it has: ethtool -l eth0)");
}

static void warns_of_interrupts_that_go_to_another_node(void **state)
{
    struct machine *machine = *state;
    lay(machine, "sys/devices/system/node/online", "0-1\n");
    lay(machine, "sys/devices/system/node/node0/cpulist", "0,2\n");
    lay(machine, "sys/devices/system/node/node1/cpulist", "1,3\n");
    const struct finding *finding = find(machine, "interrupts of eth0");
    assert_int_equal(finding->status, FINDING_WARN);
    assert_non_null(strstr(finding->meaning, "another NUMA node"));
    assert_non_null(strstr(finding->remedy, "irqbalance"));
    expect(machine, "NUMA node of eth0", FINDING_NOTE, "0 of 2 nodes",
           "numactl --cpunodebind=0 --membind=0 sluice serve ..., or in the service NUMAPolicy=bind, NUMAMask=0 and "
           "CPUAffinity=numa");
    lay(machine, "sys/class/net/eth0/device/numa_node", "-1\n");
    expect(machine, "NUMA node of eth0", FINDING_NOTE, "not known", "");
    expect(machine, "interrupts of eth0", FINDING_OK, "2 on 2 processors, 2 receive queues", "");
}

static void says_when_interrupts_cannot_be_seen(void **state)
{
    struct machine *machine = *state;
    take_away(machine, "proc/irq/40/effective_affinity_list");
    lay(machine, "proc/irq/40/smp_affinity_list", "everywhere\n");
    lay(machine, "proc/irq/41/smp_affinity_list", "3-1\n");
    expect(machine, "interrupts of eth0", FINDING_NOTE, "cannot be read here", "");
    take_away(machine, "sys/class/net/eth0/device/msi_irqs/40");
    take_away(machine, "sys/class/net/eth0/device/msi_irqs/41");
    take_away(machine, "sys/class/net/eth0/device/msi_irqs/42");
    expect(machine, "interrupts of eth0", FINDING_NOTE, "cannot be read here", "");
}

static void finds_the_interrupts_of_the_device_beneath_a_virtual_one(void **state)
{
    struct machine *machine = *state;
    take_away(machine, "sys/class/net/eth0/device/msi_irqs/40");
    take_away(machine, "sys/class/net/eth0/device/msi_irqs/41");
    take_away(machine, "sys/class/net/eth0/device/msi_irqs/42");
    char folder[96];
    snprintf(folder, sizeof folder, "%s/sys/class/net/eth0/device/msi_irqs", machine->root);
    assert_int_equal(rmdir(folder), 0);
    lay(machine, "sys/class/net/eth0/msi_irqs/41", "msix\n");
    lay(machine, "sys/class/net/eth0/msi_irqs/40", "msix\n");
    expect(machine, "interrupts of eth0", FINDING_OK, "2 on 2 processors, 2 receive queues", "");
}

static void names_the_offloads_that_are_off(void **state)
{
    struct machine *machine = *state;
    machine->tso = 0;
    expect(machine, "offloads of eth0", FINDING_WARN, "TSO off, GRO on", "ethtool -K eth0 tso on");
    machine->gro = 0;
    expect(machine, "offloads of eth0", FINDING_WARN, "TSO off, GRO off", "ethtool -K eth0 tso on gro on");
    machine->tso = 1;
    expect(machine, "offloads of eth0", FINDING_WARN, "TSO on, GRO off", "ethtool -K eth0 gro on");
    machine->error = -EOPNOTSUPP;
    expect(machine, "offloads of eth0", FINDING_NOTE, "TSO not known, GRO not known", "");
}

static void names_the_rings_that_could_hold_more(void **state)
{
    struct machine *machine = *state;
    machine->rx = 256;
    expect(machine, "rings of eth0", FINDING_WARN, "rx 256 of 8192, tx 1024 of 8192",
           "ethtool -G eth0 rx 1024 tx 1024");
    machine->most = 256;
    machine->tx = 256;
    expect(machine, "rings of eth0", FINDING_OK, "rx 256 of 256, tx 256 of 256", "");
    machine->error = -EPERM;
    expect(machine, "rings of eth0", FINDING_NOTE, "not known", "");
}

static void warns_of_a_slot_that_carries_less_than_the_link(void **state)
{
    struct machine *machine = *state;
    lay(machine, "sys/class/net/eth0/device/current_link_width", "8\n");
    lay(machine, "sys/class/net/eth0/device/current_link_speed", "8.0 GT/s PCIe\n");
    expect(machine, "PCIe of eth0", FINDING_WARN, "63 Gbit/s",
           "put the card into a slot with more lanes, or of a later PCIe");
    lay(machine, "sys/class/net/eth0/device/current_link_speed", "5.0 GT/s PCIe\n");
    assert_string_equal(find(machine, "PCIe of eth0")->value, "32 Gbit/s"); /* 8 in 10 before PCIe 3 */
    lay(machine, "sys/class/net/eth0/device/current_link_speed", "Unknown\n");
    assert_null(find(machine, "PCIe of eth0"));
    take_away(machine, "sys/class/net/eth0/device/current_link_speed");
    assert_null(find(machine, "PCIe of eth0"));
}

static void leaves_interfaces_alone_that_are_down_or_no_cards(void **state)
{
    struct machine *machine = *state;
    struct line_nic nics[4];
    assert_int_equal(line_find_nics(&machine->view, nics, 4), 1);
    assert_string_equal(nics[0].name, "eth0");
    lay(machine, "sys/class/net/veth1/type", "1\n");
    lay(machine, "sys/class/net/wlan0/type", "1\n");
    lay(machine, "sys/class/net/wlan0/device/vendor", "x\n");
    lay(machine, "sys/class/net/wlan0/phy80211/index", "0\n");
    lay(machine, "sys/class/net/ib0/type", "32\n");
    lay(machine, "sys/class/net/ib0/device/vendor", "x\n");
    assert_int_equal(line_find_nics(&machine->view, nics, 4), 1);
    lay(machine, "sys/class/net/eth0/operstate", "down\n");
    assert_int_equal(line_find_nics(&machine->view, nics, 4), 0);
    assert_null(find(machine, "MTU of eth0"));

    lay(machine, "sys/class/net/eth0/operstate", "up\n");
    lay(machine, "sys/class/net/eth1/type", "1\n");
    lay(machine, "sys/class/net/eth1/device/vendor", "x\n");
    assert_int_equal(line_find_nics(&machine->view, nics, 4), 2);
    assert_string_equal(nics[1].name, "eth1");
    assert_int_equal(nics[1].speed, -1);
    assert_int_equal(line_find_nics(&machine->view, nics, 1), 1);
}

static void reads_lists_of_processors(void **state)
{
    (void)state;
    static const struct {
        const char *list;
        int count;
    } rows[] = { { "0", 1 },    { "0-3", 4 }, { "0,2,4-5", 4 }, { "1,1", 1 },  { "", 0 },      { "3-1", -1 },
                 { "x", -1 },   { "0-", -1 }, { "-1", -1 },     { "4095", 1 }, { "4096", -1 }, { "0-9999999999", -1 },
                 { "1;2", -1 }, { "1,", 1 } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct line_processors processors = { 0 };
        assert_int_equal(line_add_processors(&processors, rows[i].list), rows[i].count);
    }
    struct line_processors processors = { 0 };
    assert_int_equal(line_add_processors(&processors, "1-2"), 2);
    assert_int_equal(line_add_processors(&processors, "2-3"), 1);
    assert_true(line_has_processor(&processors, 3));
    assert_false(line_has_processor(&processors, 0));
    assert_false(line_has_processor(&processors, 100000));
}

static void looks_at_this_machine_without_complaint(void **state)
{
    (void)state;
    struct findings findings = { 0 };
    line_findings(&findings);
    assert_true(findings.count >= 11);
    for (size_t i = 0; i < findings.count; i++) {
        const struct finding *finding = &findings.items[i];
        assert_true(finding->value[0] && finding->meaning[0]);
        assert_true(finding->status < FINDING_WARN || finding->remedy[0]);
        assert_int_not_equal(finding->status, FINDING_FAIL);
    }
    findings_clear(&findings);
}

#define WITH_MACHINE(test) cmocka_unit_test_setup_teardown(test, set_up, clean_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_MACHINE(finds_nothing_wrong_with_a_machine_made_for_100_gbit),
        WITH_MACHINE(names_the_command_for_each_setting_of_the_system),
        WITH_MACHINE(says_which_settings_it_cannot_read),
        WITH_MACHINE(warns_of_a_clock_that_may_go_down),
        WITH_MACHINE(only_notes_what_no_interface_here_is_fast_enough_for),
        WITH_MACHINE(tells_what_small_packets_cost),
        WITH_MACHINE(warns_where_one_processor_takes_every_interrupt),
        WITH_MACHINE(warns_of_interrupts_that_go_to_another_node),
        WITH_MACHINE(says_when_interrupts_cannot_be_seen),
        WITH_MACHINE(finds_the_interrupts_of_the_device_beneath_a_virtual_one),
        WITH_MACHINE(names_the_offloads_that_are_off),
        WITH_MACHINE(names_the_rings_that_could_hold_more),
        WITH_MACHINE(warns_of_a_slot_that_carries_less_than_the_link),
        WITH_MACHINE(leaves_interfaces_alone_that_are_down_or_no_cards),
        cmocka_unit_test(reads_lists_of_processors),
        cmocka_unit_test(looks_at_this_machine_without_complaint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
