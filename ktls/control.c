/*
 * Control records on a direction that is in the kernel: it hands them over decrypted, with their type beside them, and
 * acts on none of them (Documentation/networking/tls.rst).
 */
#include <errno.h>
#include <string.h>

#include <linux/tls.h>
#include <poll.h>

#include "ktls/channel_internal.h"

#define MESSAGE_HEADER 4          /* type, and the length in three bytes */
#define MESSAGE_MOST (128 * 1024) /* bytes: a ticket of 64 KiB and its extensions */
#define MESSAGES_MOST 64          /* in a session, KeyUpdates not counted: those have a limit of their own */
#define WARNINGS_MOST 8
#define ALERT_SIZE 2
#define ILLEGAL_PARAMETER 47

/* ---- sending ---- */

int channel_send_control(struct channel *channel, uint8_t type, const void *bytes, size_t length)
{
    union {
        char bytes[CMSG_SPACE(sizeof(uint8_t))];
        struct cmsghdr align;
    } control = { 0 };
    struct iovec part = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = length };
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)
    };
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    ssize_t sent;

    if (channel->way[CHANNEL_TX].aead)
        return channel_cut_control(channel, type, bytes, length);
    header->cmsg_level = SOL_TLS;
    header->cmsg_type = TLS_SET_RECORD_TYPE;
    header->cmsg_len = CMSG_LEN(sizeof(type));
    memcpy(CMSG_DATA(header), &type, sizeof(type));
    do
        sent = channel->wire.sys->sendmsg(channel->wire.sys, channel->wire.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent == -EINTR);
    if (sent < 0)
        return (int)sent;
    return (size_t)sent == length ? 0 : -EIO; /* a record this small is taken whole or not at all */
}

void channel_send_alert(struct channel *channel, uint8_t level, uint8_t code)
{
    const uint8_t alert[ALERT_SIZE] = { level, code };
    if (channel->way[CHANNEL_TX].mode == CHANNEL_KERNEL && !channel->way[CHANNEL_TX].broken)
        (void)channel_send_control(channel, RECORD_ALERT, alert, sizeof(alert));
}

/* Against the protocol: the peer hears it where the kernel can say it. */
static int violated(struct channel *channel, uint8_t code, const char *what)
{
    channel_send_alert(channel, ALERT_FATAL, code);
    return channel_fail(channel, EPROTO, "the peer broke the protocol: %s", what);
}

/* ---- alerts ---- */

static int take_alert(struct channel *channel, const uint8_t *alert, size_t length)
{
    if (length != ALERT_SIZE)
        return violated(channel, ALERT_UNEXPECTED_MESSAGE, "an alert that is not two bytes long");
    if (alert[1] == ALERT_CLOSE_NOTIFY) {
        channel->close_received = true;
        return 1;
    }
    bool warning = channel->version == TLS_1_3 ? alert[1] == ALERT_USER_CANCELED : alert[0] == ALERT_WARNING;
    if (!warning)
        return channel_fail_alert(channel, alert[1]);
    if (++channel->warnings > WARNINGS_MOST)
        return violated(channel, ALERT_UNEXPECTED_MESSAGE, "one warning after another");
    return 0;
}

/* ---- handshake messages ---- */

static int take_ticket(struct channel *channel, bool ends_record)
{
    (void)channel;
    (void)ends_record;
    return 0; /* the session that resumes is one whose tickets OpenSSL still saw */
}

static int take_key_update(struct channel *channel, bool ends_record)
{
    /* The next record has another key, so nothing may follow in this one (RFC 8446, 5.1). */
    if (!ends_record)
        return violated(channel, ALERT_UNEXPECTED_MESSAGE, "a KeyUpdate that does not end its record");
    if (!channel->reader.any || channel->reader.first > 1)
        return violated(channel, ILLEGAL_PARAMETER, "a KeyUpdate that neither asks for one nor does not");
    return channel_follow_update(channel, channel->reader.first == 1);
}

static int refuse_renegotiation(struct channel *channel, bool ends_record)
{
    (void)ends_record;
    if (channel->way[CHANNEL_TX].mode != CHANNEL_KERNEL)
        return channel_fail(channel, EPROTO, "the peer wants to renegotiate, which is not done here");
    channel_send_alert(channel, ALERT_WARNING, ALERT_NO_RENEGOTIATION);
    return 0;
}

/* What may follow a handshake. Anything else is unexpected. */
static const struct message {
    uint16_t version;
    uint8_t type;
    bool to_client, to_server;
    uint32_t most; /* bytes of its body */
    int (*take)(struct channel *channel, bool ends_record);
} messages[] = {
    { TLS_1_3, MESSAGE_NEW_SESSION_TICKET, true, false, MESSAGE_MOST, take_ticket },
    { TLS_1_3, MESSAGE_KEY_UPDATE, true, true, 1, take_key_update },
    { TLS_1_2, MESSAGE_HELLO_REQUEST, true, false, 0, refuse_renegotiation },
    { TLS_1_2, MESSAGE_CLIENT_HELLO, false, true, MESSAGE_MOST, refuse_renegotiation },
};

static const struct message *find_message(const struct channel *channel, uint8_t type)
{
    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++)
        if (messages[i].version == channel->version && messages[i].type == type &&
            (channel->server ? messages[i].to_server : messages[i].to_client))
            return &messages[i];
    return NULL;
}

static int begin_message(struct channel *channel)
{
    struct message_reader *reader = &channel->reader;
    const struct message *row = find_message(channel, reader->header[0]);

    reader->left = (uint32_t)reader->header[1] << 16 | (uint32_t)reader->header[2] << 8 | reader->header[3];
    if (!row || reader->left > row->most)
        return violated(channel, ALERT_UNEXPECTED_MESSAGE, "a handshake message that may not come now");
    if (row->type != MESSAGE_KEY_UPDATE && ++channel->messages > MESSAGES_MOST)
        return violated(channel, ALERT_UNEXPECTED_MESSAGE, "one handshake message after another");
    return 0;
}

static int end_message(struct channel *channel, bool ends_record)
{
    int result = find_message(channel, channel->reader.header[0])->take(channel, ends_record);
    memset(&channel->reader, 0, sizeof(channel->reader));
    return result;
}

static size_t take_body(struct message_reader *reader, const uint8_t *bytes, size_t length)
{
    size_t taken = length < reader->left ? length : reader->left;
    if (!reader->any && taken > 0) {
        reader->first = bytes[0];
        reader->any = true;
    }
    reader->left -= (uint32_t)taken;
    return taken;
}

static int take_handshake(struct channel *channel, const uint8_t *bytes, size_t length)
{
    struct message_reader *reader = &channel->reader;

    if (length == 0)
        return violated(channel, ALERT_UNEXPECTED_MESSAGE, "an empty handshake record");
    while (length > 0) {
        size_t taken = 1;
        int result = 0;
        if (reader->header_have < MESSAGE_HEADER) {
            reader->header[reader->header_have++] = *bytes;
            if (reader->header_have == MESSAGE_HEADER)
                result = begin_message(channel);
        } else {
            taken = take_body(reader, bytes, length);
        }
        bytes += taken;
        length -= taken;
        if (!result && reader->header_have == MESSAGE_HEADER && reader->left == 0)
            result = end_message(channel, length == 0);
        if (result)
            return result;
    }
    return 0;
}

/* ---- receiving ---- */

/* One record, or the front of it. *type is 0 where there was none: the end of the stream. */
static ssize_t receive_record(const struct channel *channel, void *buffer, size_t size, int flags, uint8_t *type)
{
    union {
        char bytes[CMSG_SPACE(sizeof(uint8_t))];
        struct cmsghdr align;
    } control;
    struct iovec part = { .iov_base = buffer, .iov_len = size };
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)
    };
    ssize_t got;

    *type = 0;
    do
        got = channel->wire.sys->recvmsg(channel->wire.sys, channel->wire.fd, &message, flags | MSG_DONTWAIT);
    while (got == -EINTR);
    if (got < 0)
        return got;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header && header->cmsg_level == SOL_TLS && header->cmsg_type == TLS_GET_RECORD_TYPE)
        memcpy(type, CMSG_DATA(header), sizeof(*type));
    else if (got > 0)
        *type = RECORD_DATA;
    return got;
}

static int control_failed(struct channel *channel, int error)
{
    if (error == EAGAIN)
        return channel_wait(channel, POLLIN);
    if (error == EKEYEXPIRED)
        return channel_fail(channel, EKEYEXPIRED,
                            "the peer renewed its key, and the kernel waits for one it never got");
    return channel_fail_socket(channel, CHANNEL_RX, error);
}

int channel_take_control(struct channel *channel, uint8_t type, const uint8_t *record, size_t length)
{
    if (type == RECORD_ALERT)
        return take_alert(channel, record, length);
    if (type == RECORD_HANDSHAKE)
        return take_handshake(channel, record, length);
    return violated(channel, ALERT_UNEXPECTED_MESSAGE, "a record of a type that may not come now");
}

int channel_control(struct channel *channel)
{
    struct direction *rx = &channel->way[CHANNEL_RX];
    uint8_t record[TLS_RECORD_PLAINTEXT_MAX], type;

    if (rx->mode != CHANNEL_KERNEL || rx->aead)
        return -EINVAL;
    if (rx->broken)
        return rx->broken;
    if (channel->close_received)
        return 1;
    /* Looked at first, because data that is taken here would be lost to a pump that reads the socket. */
    ssize_t got = receive_record(channel, record, 1, MSG_PEEK, &type);
    if (got < 0)
        return control_failed(channel, (int)-got);
    if (type == 0)
        return channel_fail_truncated(channel);
    if (type == RECORD_DATA)
        return 0;
    got = receive_record(channel, record, sizeof(record), 0, &type);
    if (got < 0)
        return control_failed(channel, (int)-got);
    return channel_take_control(channel, type, record, (size_t)got);
}
