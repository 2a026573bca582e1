#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "ktls/channel_internal.h"
#include "ktls/secrets_internal.h"
#include "ktls/verify_internal.h"

#define LIMIT_UNKNOWN_SUITE (UINT64_C(1) << 23) /* the lowest of the table: AES-CCM's */

/* As the profile's rules left it; the verdict itself goes with the SSL. */
static int tell_unverified(struct channel *channel, const char *why)
{
    channel->peer_error = strdup(why);
    if (!channel->peer_error)
        return channel_fail(channel, ENOMEM, "no memory for what was found about the peer's certificate");
    channel->facts.peer_error = channel->peer_error;
    return 0;
}

static int take_peer(struct channel *channel)
{
    struct channel_facts *facts = &channel->facts;
    const struct verdict *verdict = verdict_of(channel->ssl);
    const char *reason = verdict ? verdict->reason : NULL;
    long verified = SSL_get_verify_result(channel->ssl);
    int error;

    channel->certificate = SSL_get1_peer_certificate(channel->ssl);
    if (!channel->certificate)
        return 0;
    channel->peer = tls_peer_new(channel->certificate, &error);
    if (!channel->peer && error == -ENOMEM)
        return channel_fail(channel, ENOMEM, "no memory for the peer's certificate");
    if (channel->peer)
        facts->peer_subject = channel->peer->subject;
    if (SSL_get_verify_mode(channel->ssl) == SSL_VERIFY_NONE)
        return tell_unverified(channel, "not checked: verify = none");
    if (verified != X509_V_OK)
        return tell_unverified(channel, reason && reason[0] ? reason : X509_verify_cert_error_string(verified));
    if (!channel->peer) /* nothing may be decided about what cannot be read */
        return channel_fail(channel, EACCES, "a name in the peer's certificate cannot be decoded");
    facts->peer_verified = true;
    facts->mutual = channel->server || channel->sent_certificate || (facts->resumed && verdict && verdict->shown);
    return 0;
}

static void take_own(struct channel *channel)
{
    const X509 *certificate = channel->sent_certificate ? SSL_get_certificate(channel->ssl) : NULL;

    if (certificate)
        channel->own = tls_context_own(channel->context, certificate);
}

void channel_drop_certificates(struct channel *channel)
{
    X509_free(channel->certificate);
    sk_X509_pop_free(channel->chain, X509_free);
    tls_peer_free(channel->peer);
    free(channel->peer_error);
}

bool channel_was_asked(const SSL *ssl)
{
    const struct channel *channel = SSL_get_app_data(ssl);
    return channel && channel->saw_certificate_request;
}

bool channel_has_shown(const SSL *ssl)
{
    const struct channel *channel = SSL_get_app_data(ssl);
    return channel && channel->sent_certificate;
}

const struct tls_peer *channel_peer(const struct channel *channel)
{
    return channel->peer;
}

const struct tls_peer *channel_own(const struct channel *channel)
{
    return channel->own;
}

static bool take_chain(struct channel *channel)
{
    STACK_OF(X509) *sent = SSL_get_peer_cert_chain(channel->ssl);

    if (!channel->certificate || channel->facts.resumed || !tls_context_save_chain(channel->context))
        return true;
    channel->chain = sent ? X509_chain_up_ref(sent) : sk_X509_new_null();
    /* OpenSSL leaves the leaf out on a server. */
    if (!channel->chain || !channel->server)
        return channel->chain;
    return X509_up_ref(channel->certificate) && sk_X509_unshift(channel->chain, channel->certificate);
}

char *channel_peer_chain(const struct channel *channel)
{
    BIO *memory = channel->chain ? BIO_new(BIO_s_mem()) : NULL;
    bool ok = memory != NULL;
    char *text, *copy = NULL;

    for (int i = 0; ok && i < sk_X509_num(channel->chain); i++)
        ok = PEM_write_bio_X509(memory, sk_X509_value(channel->chain, i)) == 1;
    if (ok) {
        long length = BIO_get_mem_data(memory, &text);
        copy = strndup(text, (size_t)length);
    }
    BIO_free(memory);
    return copy;
}

/*
 * CCM with a short tag has the same AEAD in OpenSSL's eyes, and the kernel has only the one with the full tag: the
 * suite's name is what tells them apart.
 */
static const struct ktls_suite *kernel_suite(const SSL_CIPHER *cipher)
{
    const char *name = SSL_CIPHER_standard_name(cipher);
    if (name && strstr(name, "_CCM_8"))
        return NULL;
    return ktls_suite_by_nid(SSL_CIPHER_get_cipher_nid(cipher));
}

static void take_suite(struct channel *channel)
{
    const SSL_CIPHER *cipher = SSL_get_current_cipher(channel->ssl);
    const EVP_MD *digest = SSL_CIPHER_get_handshake_digest(cipher);
    const char *name = SSL_CIPHER_standard_name(cipher);

    channel->facts.suite = name ? name : SSL_CIPHER_get_name(cipher);
    channel->suite = kernel_suite(cipher);
    channel->record_limit = channel->suite ? channel->suite->record_limit : LIMIT_UNKNOWN_SUITE;
    channel->digest = digest && EVP_MD_is_a(digest, "SHA384") ? "SHA384" : "SHA256";
}

static int establish(struct channel *channel)
{
    SSL *ssl = channel->ssl;
    struct channel_facts *facts = &channel->facts;
    const char *group = SSL_group_to_name(ssl, (int)SSL_get_negotiated_group(ssl));

    channel->version = (uint16_t)SSL_version(ssl);
    take_suite(channel);
    facts->version = SSL_get_version(ssl);
    facts->group = group ? group : "";
    facts->resumed = SSL_session_reused(ssl);
    if (facts->resumed)
        tickets_recall(ssl);
    int failed = take_peer(channel);
    if (failed)
        return failed;
    take_own(channel);
    if (!take_chain(channel))
        return channel_fail(channel, ENOMEM, "no memory for the peer's chain");
    if (!channel->server && tls_context_enforced(channel->context) && !facts->resumed &&
        !channel->saw_certificate_request)
        return channel_fail(channel, EACCES,
                            "the server did not ask for our certificate, and the profile says verify = enforced");
    channel->wire.bulk = !tls_context_tries_kernel(channel->context);
    channel->established = true;
    return 0;
}

/*
 * A peer that refuses us says so and closes; our next flight then fails to be sent. Its alert, where it can still be
 * read, says more than the broken pipe.
 */
static int fail_unsent(struct channel *channel, int error)
{
    ERR_clear_error();
    (void)SSL_do_handshake(channel->ssl);
    if (channel->way[CHANNEL_RX].alert.level != 0)
        return channel_fail_alert(channel, channel->way[CHANNEL_RX].alert.code);
    channel->way[CHANNEL_RX].broken = -error;
    return channel_fail_socket(channel, CHANNEL_TX, error);
}

/* Before TLS 1.3 a server's Finished is its last message, and where it resumes the first that is told of. */
bool channel_handshake_is_light(const struct channel *channel)
{
    return channel->server && channel->sent_finished && SSL_version(channel->ssl) == TLS1_3_VERSION &&
           !channel->sent_certificate_request && !SSL_get0_peer_certificate(channel->ssl);
}

/*
 * A client's flight is several records, and came whole or has to be waited for: a server reads what is there at once.
 * What is behind it is the head of a request.
 */
static int go_on(struct channel *channel)
{
    struct wire *wire = &channel->wire;

    wire->ahead = wire->once = channel->server;
    wire->drained = false;
    if (tls_context_watches(channel->context))
        secrets_expect(&channel->way[channel->server ? CHANNEL_RX : CHANNEL_TX].secret,
                       &channel->way[channel->server ? CHANNEL_TX : CHANNEL_RX].secret);
    int result = SSL_do_handshake(channel->ssl);
    secrets_expect(NULL, NULL);
    wire->ahead = wire->once = false;
    return result;
}

int channel_handshake(struct channel *channel)
{
    if (!channel->ssl || channel->established)
        return 0;
    for (enum channel_way way = CHANNEL_TX; way <= CHANNEL_RX; way++)
        if (channel->way[way].broken)
            return channel->way[way].broken;

    ERR_clear_error();
    int result = go_on(channel);
    int ssl_error = SSL_get_error(channel->ssl, result);
    int unsent = wire_flush(&channel->wire);
    if (unsent && unsent != -EAGAIN && (result == 1 || ssl_error == SSL_ERROR_WANT_READ))
        return fail_unsent(channel, -unsent);
    if (result == 1)
        return unsent ? channel_wait(channel, POLLOUT) : establish(channel);
    if (ssl_error == SSL_ERROR_WANT_READ)
        return channel_wait(channel, POLLIN);
    if (channel->wire.error[CHANNEL_TX])
        return channel_fail_ssl(channel, CHANNEL_TX, ssl_error);
    return channel_fail_ssl(channel, CHANNEL_RX, ssl_error);
}
