/* What comes from the peer, whoever decrypts it. */
#include "ktls/channel_internal.h"

#include <errno.h>
#include <poll.h>

#include <openssl/err.h>

static ssize_t plain_read(struct channel *channel, void *buffer, size_t size)
{
    ssize_t got = wire_receive(&channel->wire, buffer, size);
    if (got == -EAGAIN)
        return channel_wait(channel, POLLIN);
    return got < 0 ? channel_fail_socket(channel, CHANNEL_RX, (int)-got) : got;
}

static ssize_t kernel_read(struct channel *channel, void *buffer, size_t size)
{
    for (;;) { /* ends: channel_control() bounds the control records of a session */
        if (channel->close_received)
            return 0;
        ssize_t got = wire_receive(&channel->wire, buffer, size);
        if (got > 0) {
            int failed = channel_account(channel, CHANNEL_RX, (uint64_t)got);
            return failed ? failed : got;
        }
        if (got == 0)
            return channel_fail_truncated(channel);
        if (got == -EAGAIN)
            return channel_wait(channel, POLLIN);
        if (got != -EIO && got != -EINVAL && got != -EKEYEXPIRED)
            return channel_fail_socket(channel, CHANNEL_RX, (int)-got);
        int result = channel_control(channel);
        if (result < 0)
            return result;
    }
}

/* What OpenSSL wrote on the side of a read: out with it, or through the kernel where that has the direction. */
static void say_unsaid(struct channel *channel)
{
    if (channel->unsaid.level != 0)
        channel_send_alert(channel, channel->unsaid.level, channel->unsaid.code);
    channel->unsaid.level = 0;
    (void)wire_flush(&channel->wire); /* a failure shows at the next write */
    channel->owes = wire_unsent(&channel->wire) > 0;
}

static int read_failed(struct channel *channel, int ssl_error)
{
    if (ssl_error == SSL_ERROR_WANT_READ)
        return channel_wait(channel, POLLIN);
    if (ssl_error == SSL_ERROR_ZERO_RETURN) {
        channel->close_received = true;
        return 0;
    }
    return channel_fail_ssl(channel, CHANNEL_RX, ssl_error);
}

/*
 * OpenSSL leaves what it decrypted in its buffer, unless told to overwrite it. A head may hold a password, and is read
 * with room for one record at the most; pumps have more, and their bodies need not pay for it.
 */
static void set_wiping(struct channel *channel, size_t size)
{
    bool wipes = size <= SSL3_RT_MAX_PLAIN_LENGTH;

    if (wipes != ((SSL_get_options(channel->ssl) & SSL_OP_CLEANSE_PLAINTEXT) != 0))
        channel_set_wiping(channel, wipes);
}

/* Neither the socket nor what lies between it and the reader held more when it was last asked. */
static bool is_empty(const struct channel *channel)
{
    return channel->wire.drained && wire_unread(&channel->wire) == 0 && !SSL_has_pending(channel->ssl);
}

/*
 * As long as RX may be switched, one record for each call: what follows a request's or response's head is the body, and
 * shall find its way to the kernel.
 */
static ssize_t user_read(struct channel *channel, void *buffer, size_t size)
{
    size_t have = 0;
    int result = 0;

    set_wiping(channel, size);
    while (have < size && !channel->close_received) {
        size_t got = 0, unsent = wire_unsent(&channel->wire);
        ERR_clear_error();
        int done = SSL_read_ex(channel->ssl, (char *)buffer + have, size - have, &got);
        int ssl_error = SSL_get_error(channel->ssl, done);
        channel->owes |= wire_unsent(&channel->wire) > unsent; /* what was there before waits for its writer */
        if (channel->unsaid.level != 0 || channel->owes)
            say_unsaid(channel);
        have += got;
        if (done != 1) {
            result = read_failed(channel, ssl_error);
            break;
        }
        if (!channel->wire.bulk || channel_may_cut(channel, CHANNEL_RX) || is_empty(channel))
            break;
    }
    /* What fails here is kept, and told once this data is taken. */
    if (!channel->way[CHANNEL_RX].broken && channel->way[CHANNEL_TX].mode == CHANNEL_KERNEL)
        (void)channel_say_update(channel);
    if (!channel->way[CHANNEL_RX].broken)
        (void)channel_after_read(channel);
    if (have > 0)
        return (ssize_t)have;
    return channel->way[CHANNEL_RX].broken ? channel->way[CHANNEL_RX].broken : result;
}

ssize_t channel_read(struct channel *channel, void *buffer, size_t size)
{
    struct direction *rx = &channel->way[CHANNEL_RX];

    if (rx->broken)
        return rx->broken;
    if (size == 0 || channel->close_received)
        return 0;
    if (rx->aead)
        return channel_cut_read(channel, buffer, size);
    if (rx->mode == CHANNEL_KERNEL)
        return kernel_read(channel, buffer, size);
    return rx->mode == CHANNEL_USER ? user_read(channel, buffer, size) : plain_read(channel, buffer, size);
}

bool channel_pending(const struct channel *channel)
{
    if (channel->way[CHANNEL_RX].aead)
        return channel_cut_pending(channel);
    return channel->way[CHANNEL_RX].mode == CHANNEL_USER &&
           (SSL_pending(channel->ssl) > 0 || wire_has_record(&channel->wire));
}

void channel_expect_head(struct channel *channel)
{
    /* The kernel cannot decrypt what stands here. Where it has to, a body is not read with its head. */
    channel->wire.ahead = channel->established && channel_mode(channel, CHANNEL_RX) == CHANNEL_USER &&
                          tls_context_offload(channel->context) != CONFIG_OFFLOAD_REQUIRED;
}

bool channel_drained(struct channel *channel)
{
    const struct direction *rx = &channel->way[CHANNEL_RX];

    if (!channel->wire.drained || channel_in_kernel(channel, CHANNEL_RX) || rx->broken || channel->close_received)
        return false;
    if (rx->aead ? channel_cut_pending(channel) : rx->mode == CHANNEL_USER && !is_empty(channel))
        return false;
    channel->wire.drained = false;
    (void)channel_wait(channel, POLLIN);
    return true;
}
