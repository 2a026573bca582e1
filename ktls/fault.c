#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#include "ktls/channel_internal.h"
#include "ktls/verify_internal.h"

/* Alerts (RFC 8446, 6) and what they mean to a caller: a refusal of who or how we are, or a broken protocol. */
static const struct {
    uint8_t code;
    const char *name;
    int error;
} alerts[] = {
    { 0, "close_notify", ECONNRESET },
    { 10, "unexpected_message", EPROTO },
    { 20, "bad_record_mac", EPROTO },
    { 22, "record_overflow", EPROTO },
    { 40, "handshake_failure", EACCES },
    { 42, "bad_certificate", EACCES },
    { 43, "unsupported_certificate", EACCES },
    { 44, "certificate_revoked", EACCES },
    { 45, "certificate_expired", EACCES },
    { 46, "certificate_unknown", EACCES },
    { 47, "illegal_parameter", EPROTO },
    { 48, "unknown_ca", EACCES },
    { 49, "access_denied", EACCES },
    { 50, "decode_error", EPROTO },
    { 51, "decrypt_error", EACCES },
    { 70, "protocol_version", EACCES },
    { 71, "insufficient_security", EACCES },
    { 80, "internal_error", EPROTO },
    { 86, "inappropriate_fallback", EACCES },
    { 90, "user_canceled", ECONNRESET },
    { 100, "no_renegotiation", EPROTO },
    { 109, "missing_extension", EACCES },
    { 110, "unsupported_extension", EPROTO },
    { 112, "unrecognized_name", EACCES },
    { 113, "bad_certificate_status_response", EACCES },
    { 115, "unknown_psk_identity", EACCES },
    { 116, "certificate_required", EACCES },
    { 120, "no_application_protocol", EACCES },
};

static const char *alert_name(uint8_t code)
{
    for (size_t i = 0; i < sizeof(alerts) / sizeof(alerts[0]); i++)
        if (alerts[i].code == code)
            return alerts[i].name;
    return "unknown";
}

static int alert_error(uint8_t code)
{
    for (size_t i = 0; i < sizeof(alerts) / sizeof(alerts[0]); i++)
        if (alerts[i].code == code)
            return alerts[i].error;
    return EPROTO;
}

__attribute__((format(printf, 4, 0))) static int fail(struct channel *channel, bool at_peer, int error,
                                                      const char *format, va_list arguments)
{
    vsnprintf(channel->reason, sizeof(channel->reason), format, arguments);
    channel->at_peer = at_peer;
    return -error;
}

int channel_fail(struct channel *channel, int error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int result = fail(channel, false, error, format, arguments);
    va_end(arguments);
    channel->way[CHANNEL_TX].broken = channel->way[CHANNEL_RX].broken = result;
    return result;
}

int channel_fail_at_peer(struct channel *channel, int error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int result = fail(channel, true, error, format, arguments);
    va_end(arguments);
    channel->way[CHANNEL_TX].broken = channel->way[CHANNEL_RX].broken = result;
    return result;
}

/*
 * Only the direction that failed is given up: a peer that refuses the rest of an upload closes its receiving side, and
 * its answer can still be read.
 */
__attribute__((format(printf, 5, 6))) static int fail_way(struct channel *channel, enum channel_way way, bool at_peer,
                                                          int error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int result = fail(channel, at_peer, error, format, arguments);
    va_end(arguments);
    channel->way[way].broken = result;
    return result;
}

static bool is_disconnection(int error)
{
    static const int disconnections[] = { ECONNRESET,  EPIPE,    ETIMEDOUT, ECONNABORTED, ENOTCONN,  EHOSTUNREACH,
                                          ENETUNREACH, ENETDOWN, EHOSTDOWN, ECONNREFUSED, ENETRESET, ESHUTDOWN };
    for (size_t i = 0; i < sizeof(disconnections) / sizeof(disconnections[0]); i++)
        if (disconnections[i] == error)
            return true;
    return false;
}

int channel_fail_socket(struct channel *channel, enum channel_way way, int error)
{
    if (is_disconnection(error))
        return fail_way(channel, way, true, ECONNRESET, "the connection broke: %s", strerrordesc_np(error));
    if (error == EBADMSG) /* kTLS: authentication failed */
        return channel_fail(channel, EPROTO, "a record from the peer did not decrypt");
    if (error == EMSGSIZE)
        return channel_fail(channel, EPROTO, "a record from the peer is longer than TLS allows");
    if (error == EINVAL && way == CHANNEL_RX && channel->way[way].mode == CHANNEL_KERNEL)
        return channel_fail(channel, EPROTO, "what the peer sent is not a TLS record");
    return fail_way(channel, way, false, error, "%s: %s", way == CHANNEL_TX ? "sending failed" : "receiving failed",
                    strerrordesc_np(error));
}

int channel_socket_failed(struct channel *channel, enum channel_way way, int error)
{
    return channel_fail_socket(channel, way, -error);
}

int channel_fail_alert(struct channel *channel, uint8_t code)
{
    return channel_fail_at_peer(channel, alert_error(code), "the peer ended the session: alert %s (%u)",
                                alert_name(code), code);
}

int channel_fail_truncated(struct channel *channel)
{
    if (!channel->established)
        return channel_fail_at_peer(channel, ECONNRESET, "the peer closed the connection during the handshake");
    return fail_way(channel, CHANNEL_RX, true, ENODATA,
                    "the peer closed the connection without close_notify: the data may be cut short");
}

/* Of all that went wrong on the way up through OpenSSL, what the TLS layer made of it; else the first. */
static unsigned long take_error(void)
{
    unsigned long first = ERR_peek_error(), found = first, code;

    while ((code = ERR_get_error()) != 0)
        if (ERR_GET_LIB(code) == ERR_LIB_SSL)
            found = code;
    return found;
}

/* What the profile's rules say of the peer's certificate, where it is that. */
static const char *verdict_on(const struct channel *channel, int reason)
{
    if (reason != SSL_R_CERTIFICATE_VERIFY_FAILED && reason != SSL_R_INVALID_STATUS_RESPONSE)
        return "";
    const struct verdict *verdict = verdict_of(channel->ssl);
    if (verdict && verdict->reason[0])
        return verdict->reason;
    long verified = SSL_get_verify_result(channel->ssl);
    return verified == X509_V_OK ? "" : X509_verify_cert_error_string(verified);
}

/* "certificate verify failed: crl: wanted ..., found ...; sent alert certificate_revoked (44)" */
static int fail_here(struct channel *channel, unsigned long code)
{
    const char *reason = ERR_reason_error_string(code);
    const struct alert *sent = &channel->way[CHANNEL_TX].alert;
    const char *verdict = verdict_on(channel, ERR_GET_REASON(code)), *separator = verdict[0] ? ": " : "";

    if (!reason)
        reason = "OpenSSL failed and gave no reason";
    if (sent->level == 0)
        return channel_fail(channel, EPROTO, "%s%s%s", reason, separator, verdict);
    return channel_fail(channel, alert_error(sent->code), "%s%s%s; sent alert %s (%u)", reason, separator, verdict,
                        alert_name(sent->code), sent->code);
}

int channel_fail_ssl(struct channel *channel, enum channel_way way, int ssl_error)
{
    unsigned long code = take_error();

    if (channel->way[CHANNEL_RX].alert.level != 0)
        return channel_fail_alert(channel, channel->way[CHANNEL_RX].alert.code);
    if (channel->wire.error[way] != 0)
        return channel_fail_socket(channel, way, channel->wire.error[way]);
    if (channel->wire.ended &&
        (ssl_error == SSL_ERROR_SYSCALL || ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING))
        return channel_fail_truncated(channel);
    return fail_here(channel, code);
}
