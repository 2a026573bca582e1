#include "ktls/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <linux/tls.h>
#include <openssl/crypto.h>

#include "ktls/probe_internal.h"
#include "ktls/suite.h"

#define SUITES_MAX (sizeof(((struct ktls_abilities *)0)->tx12) / sizeof(bool))
#define VERSION_12 0x0303
#define VERSION_13 0x0304

struct pair {
    int near, far;
};

static void pair_close(struct pair *pair)
{
    if (pair->near >= 0)
        close(pair->near);
    if (pair->far >= 0)
        close(pair->far);
}

/* Two connected TCP sockets; kTLS is only to be had on an established connection. */
static bool pair_open_at(struct pair *pair, const struct sockaddr *address, socklen_t length)
{
    struct sockaddr_storage bound;
    socklen_t bound_length = sizeof bound;
    int listener = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pair->near = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pair->far = -1;
    /* With room for one in the backlog, connect() is done before accept() is called. */
    if (listener >= 0 && pair->near >= 0 && bind(listener, address, length) == 0 && listen(listener, 1) == 0 &&
        getsockname(listener, (struct sockaddr *)&bound, &bound_length) == 0 &&
        connect(pair->near, (struct sockaddr *)&bound, bound_length) == 0)
        pair->far = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (listener >= 0)
        close(listener);
    if (pair->far >= 0)
        return true;
    pair_close(pair);
    return false;
}

static bool pair_open(struct pair *pair)
{
    const struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    const struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    return pair_open_at(pair, (const struct sockaddr *)&v4, sizeof v4) ||
           pair_open_at(pair, (const struct sockaddr *)&v6, sizeof v6);
}

static int set_ulp(const struct ktls_sys *sys, int fd)
{
    return sys->setsockopt(sys, fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof "tls");
}

static bool install(const struct ktls_sys *sys, int fd, int way, const struct ktls_suite *suite, uint16_t version,
                    uint8_t filler)
{
    struct ktls_keys keys = { .sequence = 0 };
    uint8_t info[KTLS_INFO_MAX];
    memset(keys.key, filler, sizeof keys.key);
    size_t length = ktls_suite_info(suite, version, &keys, info);
    return sys->setsockopt(sys, fd, SOL_TLS, way, info, (socklen_t)length) == 0;
}

/* Both directions of a socket must have the same suite and version, so each combination gets its own pair. */
static void try_suite(const struct ktls_sys *sys, const struct ktls_suite *suite, uint16_t version, bool *tx, bool *rx)
{
    struct pair pair;
    if (!pair_open(&pair))
        return;
    if (set_ulp(sys, pair.near) == 0) {
        *tx = install(sys, pair.near, TLS_TX, suite, version, 1);
        *rx = install(sys, pair.near, TLS_RX, suite, version, 2);
    }
    pair_close(&pair);
}

static bool try_rekey(const struct ktls_sys *sys, const struct ktls_suite *suite)
{
    struct pair pair;
    if (!pair_open(&pair))
        return false;
    bool works = set_ulp(sys, pair.near) == 0 && install(sys, pair.near, TLS_TX, suite, VERSION_13, 1) &&
                 install(sys, pair.near, TLS_TX, suite, VERSION_13, 3);
    pair_close(&pair);
    return works;
}

void ktls_probe(const struct ktls_sys *sys, struct ktls_abilities *abilities)
{
    *abilities = (struct ktls_abilities){ 0 };
    struct pair pair;
    bool connected = pair_open(&pair);
    int error = connected ? -set_ulp(sys, pair.near) : 0;
    if (connected)
        pair_close(&pair);
    abilities->ulp = connected && error == 0;
    if (!abilities->ulp) {
        struct utsname name;
        uname(&name);
        missing_explain("", name.release, error, abilities->missing, sizeof abilities->missing);
        return;
    }

    for (size_t i = 0; i < ktls_suite_count && i < SUITES_MAX; i++) {
        try_suite(sys, &ktls_suites[i], VERSION_12, &abilities->tx12[i], &abilities->rx12[i]);
        try_suite(sys, &ktls_suites[i], VERSION_13, &abilities->tx13[i], &abilities->rx13[i]);
        if (abilities->tx13[i] && !abilities->rekey)
            abilities->rekey = try_rekey(sys, &ktls_suites[i]);
    }
}
