/* HOST:PORT, and what a host may look like. */
#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

#include "config/internal.h"

bool config_digits(const char *text, uint64_t *number, const char **end)
{
    *number = 0;
    const char *at = text;
    for (; isdigit((unsigned char)*at); at++) {
        if (__builtin_mul_overflow(*number, 10, number) ||
            __builtin_add_overflow(*number, (uint64_t)(*at - '0'), number))
            return false;
    }
    *end = at;
    return at != text;
}

bool config_is_host(const char *host)
{
    size_t length = strlen(host);
    for (size_t i = 0; i < length; i++) {
        if (!isalnum((unsigned char)host[i]) && host[i] != '.' && host[i] != '-' && host[i] != '_')
            return false;
    }
    if (length == 0 || length > 253 || host[0] == '-' || host[0] == '.')
        return false;
    /* Digits and dots alone are meant as an address. */
    struct in_addr address;
    return host[strspn(host, "0123456789.")] != 0 || inet_pton(AF_INET, host, &address) == 1;
}

bool config_is_ipv6(const char *host)
{
    char plain[INET6_ADDRSTRLEN];
    size_t length = strcspn(host, "%"); /* behind it: the scope of a link-local address */
    if (length >= sizeof(plain) || (host[length] && !host[length + 1]))
        return false;
    memcpy(plain, host, length);
    plain[length] = 0;
    struct in6_addr address;
    return inet_pton(AF_INET6, plain, &address) == 1;
}

const char *config_address_split(char *text, uint64_t least_port, char **host, uint16_t *port)
{
    if (strstr(text, "://"))
        return "is a URL: write HOST:PORT";
    char *colon = strrchr(text, ':');
    bool bracket = text[0] == '[';
    if (!colon || (bracket && colon[-1] != ']'))
        return bracket ? "has no port behind the bracket: write [ADDRESS]:PORT" : "has no port: write HOST:PORT";
    uint64_t number;
    const char *end;
    if (!config_digits(colon + 1, &number, &end) || *end)
        return "has no port number behind the colon: write HOST:PORT";
    if (number < least_port || number > UINT16_MAX)
        return least_port ? "has a port out of bounds: write one from 1 to 65535"
                          : "has a port out of bounds: write one from 0 to 65535";
    *port = (uint16_t)number;
    *colon = 0;
    *host = text;
    if (bracket) {
        colon[-1] = 0;
        *host = text + 1;
        return config_is_ipv6(*host) ? NULL : "has no IPv6 address between its brackets";
    }
    if (strchr(text, ':'))
        return "looks like an IPv6 address without brackets: write [ADDRESS]:PORT";
    if (text[0] == 0 || strcmp(text, "*") == 0)
        return least_port ? "names no host: write HOST:PORT"
                          : "names no address: write 0.0.0.0:PORT or [::]:PORT for every one";
    return config_is_host(text) ? NULL : "is neither an address nor a host name followed by :PORT";
}
