/* What the fuzzers of a channel have in common. */
#ifndef SLUICE_FUZZ_CHANNEL_H
#define SLUICE_FUZZ_CHANNEL_H

#include <stdlib.h>

#include "ktls/channel_internal.h"

/* Whatever is sent arrives. */
static ssize_t swallow(const struct ktls_sys *sys, int fd, const struct msghdr *message, int flags)
{
    (void)sys;
    (void)fd;
    (void)flags;
    return (ssize_t)message->msg_iov->iov_len;
}

/* One for all inputs: what a channel asks of it does not change. */
static struct tls_context *context(void)
{
    static struct tls_context *made;
    if (made)
        return made;
    struct config_errors errors = { 0 };
    struct config_profile *profile = config_profile_default(CONFIG_CLIENT);
    if (!profile)
        abort();
    profile->verify = CONFIG_VERIFY_NONE;
    profile->insecure = true;
    made = tls_context_new(profile, "", &errors);
    config_errors_print(&errors, stderr);
    if (!made)
        abort();
    config_profile_free(profile);
    return made;
}

#endif
