/* What each network interface could encrypt by itself (Documentation/networking/tls-offload.rst). */
#include <net/if.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/ethtool.h>
#include <linux/sockios.h>

#include "ktls/probe_internal.h"

#define FEATURES_MAX 1024

static const struct {
    const char *feature, *word;
} offloads[] = {
    { "tls-hw-tx-offload", "tx" },
    { "tls-hw-rx-offload", "rx" },
    { "tls-hw-record", "record" },
};

#define OFFLOADS (sizeof offloads / sizeof *offloads)

/* Bits of the features above, by index: -1 where this kernel does not know one. */
struct bits {
    int at[OFFLOADS];
    uint32_t count; /* of all features */
};

static int ethtool(int fd, const char *name, void *command)
{
    struct ifreq request = { 0 };
    strncpy(request.ifr_name, name, sizeof request.ifr_name - 1);
    request.ifr_data = command;
    return ioctl(fd, SIOCETHTOOL, &request);
}

static uint32_t count_features(int fd, const char *name)
{
    struct ethtool_sset_info *query = calloc(1, sizeof *query + sizeof(uint32_t));
    uint32_t count = 0;
    if (!query)
        return 0;
    query->cmd = ETHTOOL_GSSET_INFO;
    query->sset_mask = 1ULL << ETH_SS_FEATURES;
    if (ethtool(fd, name, query) == 0 && query->sset_mask && query->data[0] <= FEATURES_MAX)
        count = query->data[0];
    free(query);
    return count;
}

static bool find_bits(int fd, const char *name, struct bits *bits)
{
    bits->count = count_features(fd, name);
    struct ethtool_gstrings *strings =
        bits->count ? calloc(1, sizeof *strings + (size_t)bits->count * ETH_GSTRING_LEN) : NULL;
    if (!strings)
        return false;
    *strings = (struct ethtool_gstrings){ .cmd = ETHTOOL_GSTRINGS, .string_set = ETH_SS_FEATURES, .len = bits->count };
    bool ok = ethtool(fd, name, strings) == 0;
    for (size_t o = 0; o < OFFLOADS; o++) {
        bits->at[o] = -1;
        for (uint32_t i = 0; ok && i < bits->count; i++)
            if (strncmp((const char *)strings->data + (size_t)i * ETH_GSTRING_LEN, offloads[o].feature,
                        ETH_GSTRING_LEN) == 0)
                bits->at[o] = (int)i;
    }
    free(strings);
    return ok;
}

static bool is_set(uint32_t word, int bit)
{
    return word >> (bit % 32) & 1;
}

/* "tx on, rx off, record no"; *offered where the interface can do any of it, *active where it does. */
static bool describe(int fd, const char *name, const struct bits *bits, char *out, size_t size, bool *offered,
                     bool *active)
{
    uint32_t blocks = (bits->count + 31) / 32;
    struct ethtool_gfeatures *features = calloc(1, sizeof *features + blocks * sizeof features->features[0]);
    if (!features)
        return false;
    features->cmd = ETHTOOL_GFEATURES;
    features->size = blocks;
    bool ok = ethtool(fd, name, features) == 0;
    size_t used = 0;
    *offered = *active = false;
    for (size_t o = 0; ok && o < OFFLOADS && used < size; o++) {
        const struct ethtool_get_features_block *block = bits->at[o] < 0 ? NULL : &features->features[bits->at[o] / 32];
        bool on = block && is_set(block->active, bits->at[o]);
        bool can = on || (block && is_set(block->available, bits->at[o]) && !is_set(block->never_changed, bits->at[o]));
        used += (size_t)snprintf(out + used, size - used, "%s%s %s", o ? ", " : "", offloads[o].word,
                                 on    ? "on"
                                 : can ? "off"
                                       : "no");
        *offered = *offered || can;
        *active = *active || on;
    }
    free(features);
    return ok;
}

static void add_interface(struct findings *findings, int fd, const char *name)
{
    struct bits bits;
    char value[96], what[48];
    bool offered, active;
    snprintf(what, sizeof what, "TLS offload of %s", name);
    if (!find_bits(fd, name, &bits) || !describe(fd, name, &bits, value, sizeof value, &offered, &active)) {
        finding_say(findings_add(findings, FINDING_NOTE, what), "This interface does not tell what it can do.", "",
                    "not known");
        return;
    }
    finding_say(findings_add(findings, active ? FINDING_NOTE : FINDING_OK, what),
                active
                    ? "The interface may take over encryption of TLS 1.2 sessions; small files can get slower with it."
                : offered ? "The interface could encrypt TLS 1.2 sessions. It is off, which suits small files; measure "
                            "before you switch it on."
                          : "The processor encrypts, as it does well.",
                "", "%s", value);
}

static bool is_loopback(int fd, const char *name)
{
    struct ifreq request = { 0 };
    strncpy(request.ifr_name, name, sizeof request.ifr_name - 1);
    return ioctl(fd, SIOCGIFFLAGS, &request) == 0 && request.ifr_flags & IFF_LOOPBACK;
}

void findings_add_interfaces(struct findings *findings)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct if_nameindex *interfaces = if_nameindex();
    for (size_t i = 0; fd >= 0 && interfaces && i < INTERFACES_MAX && interfaces[i].if_index; i++)
        if (!is_loopback(fd, interfaces[i].if_name))
            add_interface(findings, fd, interfaces[i].if_name);
    if (interfaces)
        if_freenameindex(interfaces);
    if (fd >= 0)
        close(fd);
}
