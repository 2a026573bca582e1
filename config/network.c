/* Where a client comes from: CIDR blocks and patterns. */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/internal.h"

#define MAPPED 96 /* bits before an IPv4 address in ::ffff:a.b.c.d */

static const uint8_t mapped[MAPPED / 8] = { [10] = 0xff, [11] = 0xff };

bool config_glob(const char *pattern, const char *text)
{
    const char *star = NULL, *resume = NULL;
    while (*text) {
        if (*pattern == '*') {
            star = pattern++;
            resume = text;
        } else if (*pattern == '?' || *pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star + 1;
            text = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == 0;
}

static bool read_address(const char *text, uint8_t address[16], bool *v4)
{
    *v4 = inet_pton(AF_INET, text, address + 12) == 1;
    if (*v4)
        memcpy(address, mapped, sizeof(mapped));
    return *v4 || inet_pton(AF_INET6, text, address) == 1;
}

static bool has_bits_behind(const uint8_t address[16], unsigned prefix)
{
    for (unsigned bit = prefix; bit < 128; bit++) {
        if (address[bit / 8] & (0x80u >> (bit % 8)))
            return true;
    }
    return false;
}

/* Addresses are written without leading zeros and in lower case: a pattern that is not would never match. */
static bool has_leading_zero(const char *text)
{
    for (const char *at = text; *at; at++) {
        bool first = at == text || at[-1] == '.' || at[-1] == ':';
        if (first && at[0] == '0' && isxdigit((unsigned char)at[1]))
            return true;
    }
    return false;
}

static const char *read_pattern(const char *text, struct config_network *network)
{
    if (text[strspn(text, "0123456789abcdefABCDEF.:*?")] != 0)
        return "is neither an address, a block such as 10.0.0.0/8, nor a pattern such as 10.1.*";
    if (strncasecmp(text, "::ffff:", strlen("::ffff:")) == 0)
        return "is a pattern of IPv4 addresses, which are written without ::ffff: here";
    if (has_leading_zero(text))
        return "has a number with a leading zero, which no address is written with: leave the zero out";
    network->pattern = strdup(text);
    for (char *at = network->pattern; at && *at; at++)
        *at = (char)tolower((unsigned char)*at);
    return network->pattern ? NULL : "does not fit in memory";
}

const char *config_network_read(const char *text, struct config_network *network)
{
    *network = (struct config_network){ .prefix = 128 };
    if (strpbrk(text, "*?"))
        return read_pattern(text, network);
    char address[INET6_ADDRSTRLEN];
    size_t length = strcspn(text, "/");
    bool v4;
    if (length >= sizeof(address))
        return "is not an address";
    memcpy(address, text, length);
    address[length] = 0;
    if (!read_address(address, network->address, &v4))
        return "is neither an address, a block such as 10.0.0.0/8, nor a pattern such as 10.1.*";
    if (text[length] == 0)
        return NULL;
    uint64_t bits;
    const char *end;
    if (!config_digits(text + length + 1, &bits, &end) || *end || bits > (v4 ? 32u : 128u))
        return v4 ? "has no prefix of 0 to 32 bits behind the slash"
                  : "has no prefix of 0 to 128 bits behind the slash";
    network->prefix = (unsigned)bits + (v4 ? MAPPED : 0);
    return has_bits_behind(network->address, network->prefix)
               ? "has bits set behind its prefix: write the block's first address"
               : NULL;
}

static bool is_mapped(const uint8_t address[16])
{
    return memcmp(address, mapped, sizeof(mapped)) == 0;
}

static bool network_holds(const struct config_network *network, const uint8_t address[16], const char *text)
{
    if (network->pattern)
        return config_glob(network->pattern, text);
    /* ::/0 is every IPv6 address, not every IPv4 one as well. */
    if (network->prefix < MAPPED && is_mapped(address))
        return false;
    unsigned bytes = network->prefix / 8, rest = network->prefix % 8;
    uint8_t mask = (uint8_t)(0xff00u >> rest);
    return memcmp(network->address, address, bytes) == 0 &&
           (rest == 0 || (network->address[bytes] & mask) == (address[bytes] & mask));
}

bool config_network_covers(const struct config_network *a, const struct config_network *b)
{
    if (a->pattern)
        return a->pattern[strspn(a->pattern, "*")] == 0 || (b->pattern && strcmp(a->pattern, b->pattern) == 0);
    return !b->pattern && a->prefix <= b->prefix && network_holds(a, b->address, "");
}

bool config_networks_hold(const struct config_networks *networks, const uint8_t address[16])
{
    bool v4 = is_mapped(address);
    char text[INET6_ADDRSTRLEN];
    if (!inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? address + 12 : address, text, sizeof(text)))
        return false;
    for (size_t i = 0; i < networks->count; i++) {
        if (network_holds(&networks->items[i], address, text))
            return true;
    }
    return networks->count == 0;
}
