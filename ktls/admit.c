/* A partner's server-profile, held against a session that was opened under another one. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "ktls/channel_internal.h"
#include "ktls/verify_internal.h"

struct inquiry {
    const struct tls_context *context;
    const struct rules *rules;
    const struct channel *channel;
    struct tls_denial *denial;
};

__attribute__((format(printf, 2, 3))) static void want(struct tls_denial *denial, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(denial->wanted, sizeof(denial->wanted), format, arguments);
    va_end(arguments);
}

/* Always false, for the checks below. */
__attribute__((format(printf, 2, 3))) static bool found(struct tls_denial *denial, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(denial->found, sizeof(denial->found), format, arguments);
    va_end(arguments);
    return false;
}

/* A certificate that did not verify is nobody's. */
static const struct tls_peer *verified_peer(const struct inquiry *inquiry)
{
    return inquiry->channel->facts.peer_verified ? inquiry->channel->peer : NULL;
}

static bool found_nobody(const struct inquiry *inquiry)
{
    const struct channel_facts *facts = &inquiry->channel->facts;
    if (!facts->version[0])
        return found(inquiry->denial, "a plain connection");
    if (!inquiry->channel->certificate)
        return found(inquiry->denial, "no certificate");
    return found(inquiry->denial, "a certificate that did not verify: %s", facts->peer_error);
}

static bool admits_level(const struct inquiry *inquiry)
{
    bool demands = inquiry->rules->verify == CONFIG_VERIFY_REQUIRED || inquiry->rules->verify == CONFIG_VERIFY_ENFORCED;
    if (!demands || verified_peer(inquiry))
        return true;
    want(inquiry->denial, "a verified certificate");
    return found_nobody(inquiry);
}

static const char *version_name(long version)
{
    return version == TLS1_3_VERSION ? "TLSv1.3" : "TLSv1.2";
}

static bool admits_version(const struct inquiry *inquiry)
{
    SSL_CTX *ssl = tls_context_ssl(inquiry->context);
    long least = SSL_CTX_get_min_proto_version(ssl), most = SSL_CTX_get_max_proto_version(ssl);
    const struct channel *channel = inquiry->channel;
    if (channel->facts.version[0] && channel->version >= least && channel->version <= most)
        return true;
    if (least == most)
        want(inquiry->denial, "%s", version_name(least));
    else
        want(inquiry->denial, "%s to %s", version_name(least), version_name(most));
    return found(inquiry->denial, "%s", channel->facts.version[0] ? channel->facts.version : "a plain connection");
}

static bool admits_suite(const struct inquiry *inquiry)
{
    STACK_OF(SSL_CIPHER) *listed = SSL_CTX_get_ciphers(tls_context_ssl(inquiry->context));
    struct tls_denial *denial = inquiry->denial;
    size_t length = 0;

    denial->wanted[0] = '\0';
    for (int i = 0; i < sk_SSL_CIPHER_num(listed); i++) {
        const char *name = SSL_CIPHER_standard_name(sk_SSL_CIPHER_value(listed, i));
        if (name && strcmp(name, inquiry->channel->facts.suite) == 0)
            return true;
        if (!name || length + strlen(name) + strlen(", ...") >= sizeof(denial->wanted))
            continue;
        length +=
            (size_t)snprintf(denial->wanted + length, sizeof(denial->wanted) - length, "%s%s", i ? ", " : "", name);
    }
    return found(denial, "%s", inquiry->channel->facts.suite);
}

static bool admits_name(const struct inquiry *inquiry, const struct config_expression *wanted,
                        const struct config_name *name)
{
    if (!wanted || (name && config_expression_match(wanted, name)))
        return true;
    want(inquiry->denial, "%s", config_expression_text(wanted));
    return name ? found(inquiry->denial, "%s", name->text) : found_nobody(inquiry);
}

static bool admits_subject(const struct inquiry *inquiry)
{
    const struct tls_peer *peer = verified_peer(inquiry);
    return admits_name(inquiry, inquiry->rules->subject, peer ? &peer->subject_name : NULL);
}

static bool admits_issuer(const struct inquiry *inquiry)
{
    const struct tls_peer *peer = verified_peer(inquiry);
    return admits_name(inquiry, inquiry->rules->issuer, peer ? &peer->issuer_name : NULL);
}

/* Whether there must be a certificate is the level's to say. */
static bool admits_key_usage(const struct inquiry *inquiry)
{
    X509 *certificate = inquiry->channel->certificate;
    char usage[160];
    if (inquiry->rules->key_usage == CONFIG_KEY_USAGE_NONE || !verified_peer(inquiry) ||
        X509_check_purpose(certificate, X509_PURPOSE_SSL_CLIENT, 0) == 1)
        return true;
    want(inquiry->denial, "%s", verdict_key_usage_wanted(inquiry->rules->role));
    verdict_key_usage(certificate, usage, sizeof(usage));
    return found(inquiry->denial, "%s", usage);
}

static bool admits_crl(const struct inquiry *inquiry)
{
    const struct tls_peer *peer = verified_peer(inquiry);
    if (!inquiry->rules->crls || !peer)
        return true;
    enum crls_answer answer = crls_look(inquiry->rules->crls, inquiry->channel->certificate);
    if (answer == CRLS_GOOD)
        return true;
    if (answer == CRLS_REVOKED) {
        want(inquiry->denial, "a certificate that is not revoked");
        return found(inquiry->denial, "a revoked one, serial %s", peer->serial);
    }
    want(inquiry->denial, "a current list of \"%s\"", peer->issuer);
    return found(inquiry->denial, "%s", answer == CRLS_EXPIRED ? "one that has expired" : "none");
}

static const struct {
    const char *name;
    bool (*admits)(const struct inquiry *inquiry);
} checks[] = {
    { "level", admits_level },     { "version", admits_version }, { "suite", admits_suite },
    { "subject", admits_subject }, { "issuer", admits_issuer },   { "key_usage", admits_key_usage },
    { "crl", admits_crl },
};

int tls_context_admit(const struct tls_context *context, const struct channel *channel, struct tls_denial *denial)
{
    const struct inquiry inquiry = { context, tls_context_rules(context), channel, denial };
    *denial = (struct tls_denial){ .check = "" };
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        if (checks[i].admits(&inquiry))
            continue;
        denial->check = checks[i].name;
        return -EACCES;
    }
    *denial = (struct tls_denial){ .check = "" }; /* what was wanted on the way was found */
    return 0;
}
