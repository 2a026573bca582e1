/* How fast the kernel may send. */
#include "ktls/channel_internal.h"

#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#define UNSENT_PART 8               /* of a second's bytes may wait in the socket unsent ... */
#define UNSENT_MIN ((uint64_t)4096) /* ... or this many */

static int set(const struct channel *channel, int level, int option, const void *value, socklen_t length)
{
    const struct ktls_sys *sys = channel->wire.sys;
    return sys->setsockopt(sys, channel->wire.fd, level, option, value, length);
}

int channel_pace(struct channel *channel, uint64_t rate)
{
    /* Since Linux 4.20 as wide as a long (socket(7)); all bits set: no limit. */
    unsigned long pace = rate == 0 || rate >= ULONG_MAX ? ULONG_MAX : (unsigned long)rate;
    uint64_t unsent = rate / UNSENT_PART;

    if (rate == channel->pace)
        return 0;
    if (unsent < UNSENT_MIN)
        unsent = UNSENT_MIN;
    /* 0: what net.ipv4.tcp_notsent_lowat says. Only a comfort: without it a slow body shows progress rarely. */
    int lowest = rate == 0 ? 0 : unsent > INT_MAX ? INT_MAX : (int)unsent;
    int error = set(channel, SOL_SOCKET, SO_MAX_PACING_RATE, &pace, sizeof pace);
    if (error < 0)
        return error;
    (void)set(channel, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowest, sizeof lowest);
    channel->pace = rate;
    return 0;
}
