/* How fast the kernel may send, and how much may wait in it. */
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

/* What a body's rate leaves to wait: enough that the kernel is never without, little enough that progress shows. */
static uint64_t unsent_at(uint64_t rate)
{
    uint64_t unsent = rate / UNSENT_PART;

    return unsent > UNSENT_MIN ? unsent : UNSENT_MIN;
}

/* Only a comfort: without it the kernel takes what it takes. 0: what net.ipv4.tcp_notsent_lowat says. */
static int set_unsent(struct channel *channel, uint64_t rate, unsigned most)
{
    uint64_t unsent = rate ? unsent_at(rate) : most;

    if (most && unsent > most)
        unsent = most;
    int lowest = unsent > INT_MAX ? INT_MAX : (int)unsent;
    return set(channel, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowest, sizeof lowest);
}

int channel_hold(struct channel *channel, unsigned most)
{
    if (most == channel->unsent_most)
        return 0;
    int error = set_unsent(channel, channel->pace, most);
    if (error == 0)
        channel->unsent_most = most;
    return error;
}

int channel_pace(struct channel *channel, uint64_t rate)
{
    /* Since Linux 4.20 as wide as a long (socket(7)); all bits set: no limit. */
    unsigned long pace = rate == 0 || rate >= ULONG_MAX ? ULONG_MAX : (unsigned long)rate;

    if (rate == channel->pace)
        return 0;
    int error = set(channel, SOL_SOCKET, SO_MAX_PACING_RATE, &pace, sizeof pace);
    if (error < 0)
        return error;
    (void)set_unsent(channel, rate, channel->unsent_most);
    channel->pace = rate;
    return 0;
}
