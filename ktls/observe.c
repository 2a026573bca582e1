/*
 * What OpenSSL tells of its records and secrets while a direction is `user`.
 *
 * The kernel needs three things at the switch that OpenSSL has no function for: the sequence number of the next record,
 * the traffic secret in force (whose first one secrets.c sees, or the key log has), and (for TLS 1.2) an explicit nonce
 * that was never used. The first two are followed here:
 *
 *     each record's header          sequence + 1
 *     Finished, TLS 1.3             sequence = 0: the next record is the first one under the traffic keys
 *     Finished, TLS 1.2             sequence = 1: Finished itself was record 0 under the new keys
 *     KeyUpdate (TLS 1.3)           the next secret, sequence = 0
 *
 * OpenSSL reports a record's header before the message in it, so a message's reset is never undone by its own header.
 */
#include <errno.h>
#include <string.h>

#include "ktls/channel_internal.h"

#define RANDOM_DIGITS 64     /* a key-log line names the session by its client random */
#define CERTIFICATE_EMPTY 10 /* bytes: a Certificate message with none is shorter, with one longer */

static int digit(char character)
{
    if (character >= '0' && character <= '9')
        return character - '0';
    if (character >= 'a' && character <= 'f')
        return character - 'a' + 10;
    if (character >= 'A' && character <= 'F')
        return character - 'A' + 10;
    return -1;
}

/* What is no secret leaves none: the direction stays `user`. */
static void take_secret(struct ktls_secret *secret, const char *hex)
{
    uint8_t bytes[KTLS_SECRET_MAX];
    size_t length = 0;

    for (; hex[0] != '\0' && hex[0] != '\n'; hex += 2) {
        int high = digit(hex[0]), low = high < 0 ? -1 : digit(hex[1]);
        if (low < 0 || length == KTLS_SECRET_MAX) {
            length = 0;
            break;
        }
        bytes[length++] = (uint8_t)(high << 4 | low);
    }
    ktls_secret_set(secret, bytes, length);
    OPENSSL_cleanse(bytes, sizeof(bytes));
}

void channel_keylog(const SSL *ssl, const char *line)
{
    static const struct {
        const char *label;
        bool of_server;
    } wanted[] = { { "CLIENT_TRAFFIC_SECRET_0 ", false }, { "SERVER_TRAFFIC_SECRET_0 ", true } };
    struct channel *channel = SSL_get_app_data(ssl);

    if (!channel)
        return;
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        size_t label = strlen(wanted[i].label);
        if (strncmp(line, wanted[i].label, label) != 0 || strlen(line) < label + RANDOM_DIGITS + 1)
            continue;
        enum channel_way way = channel->server == wanted[i].of_server ? CHANNEL_TX : CHANNEL_RX;
        take_secret(&channel->way[way].secret, line + label + RANDOM_DIGITS + 1);
    }
}

static void observe_handshake(struct channel *channel, enum channel_way way, const uint8_t *message, size_t length)
{
    struct direction *direction = &channel->way[way];

    if (message[0] == MESSAGE_CERTIFICATE_REQUEST)
        *(way == CHANNEL_RX ? &channel->saw_certificate_request : &channel->sent_certificate_request) = true;
    if (message[0] == MESSAGE_CERTIFICATE && way == CHANNEL_TX)
        channel->sent_certificate = length > CERTIFICATE_EMPTY;
    if (message[0] == MESSAGE_FINISHED && way == CHANNEL_TX)
        channel->sent_finished = true;
    if (message[0] == MESSAGE_FINISHED)
        direction->sequence = SSL_version(channel->ssl) == TLS1_3_VERSION ? 0 : 1;
    if (message[0] != MESSAGE_KEY_UPDATE || SSL_version(channel->ssl) != TLS1_3_VERSION)
        return;
    if (direction->mode == CHANNEL_KERNEL) {
        /* OpenSSL answers a peer that asked for our new key, and nobody hears it: the kernel has to say it. */
        if (direction->renewal == RENEWAL_NONE)
            direction->renewal = RENEWAL_DUE;
        return;
    }
    /* Where it fails the secret is gone, and so is the switch. */
    if (direction->secret.length > 0)
        (void)ktls_schedule_update(tls_context_library(channel->context), &direction->secret);
    if (way == CHANNEL_RX) {
        channel->peer_asked = false;
        channel_count_update(channel);
    }
    direction->sequence = 0;
}

static void observe_alert(struct channel *channel, enum channel_way way, const uint8_t *alert)
{
    if (way == CHANNEL_TX && channel->way[way].mode == CHANNEL_KERNEL)
        channel->unsaid = (struct alert){ .level = alert[0], .code = alert[1] };
    /* TLS 1.3 knows no warnings beyond these two (RFC 8446, 6); before it the level decides. */
    bool warning = SSL_version(channel->ssl) == TLS1_3_VERSION
                       ? alert[1] == ALERT_CLOSE_NOTIFY || alert[1] == ALERT_USER_CANCELED
                       : alert[0] == ALERT_WARNING;
    if (!warning)
        channel->way[way].alert = (struct alert){ .level = ALERT_FATAL, .code = alert[1] };
}

void channel_observe(int write, int version, int type, const void *bytes, size_t length, SSL *ssl, void *argument)
{
    struct channel *channel = argument;
    enum channel_way way = write ? CHANNEL_TX : CHANNEL_RX;

    (void)version;
    (void)ssl;
    if (type == SSL3_RT_HEADER && channel->way[way].mode == CHANNEL_USER)
        channel->way[way].sequence++;
    else if (type == SSL3_RT_HANDSHAKE && length >= 4)
        observe_handshake(channel, way, bytes, length);
    else if (type == SSL3_RT_ALERT && length == 2)
        observe_alert(channel, way, bytes);
}
