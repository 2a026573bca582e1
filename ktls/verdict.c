#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/x509v3.h>

#include "ktls/peer_internal.h"
#include "ktls/verify_internal.h"

#define SANS_TOLD 4

static pthread_once_t index_once = PTHREAD_ONCE_INIT;
static int verdict_index = -1; /* on an SSL */

static void drop(void *parent, void *verdict, CRYPTO_EX_DATA *data, int index, long length, void *argument)
{
    (void)parent;
    (void)data;
    (void)index;
    (void)length;
    (void)argument;
    free(verdict);
}

static void make_index(void)
{
    verdict_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, drop);
}

struct verdict *verdict_of(SSL *ssl)
{
    pthread_once(&index_once, make_index);
    struct verdict *verdict = verdict_index >= 0 ? SSL_get_ex_data(ssl, verdict_index) : NULL;
    if (verdict || verdict_index < 0)
        return verdict;
    verdict = calloc(1, sizeof(*verdict));
    if (!verdict)
        return NULL;
    verdict->until = VERDICT_ALWAYS;
    if (SSL_set_ex_data(ssl, verdict_index, verdict))
        return verdict;
    free(verdict);
    return NULL;
}

void verdict_hold_until(struct verdict *verdict, int64_t until)
{
    if (until < verdict->until)
        verdict->until = until;
}

void verdict_say(struct verdict *verdict, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(verdict->reason, sizeof(verdict->reason), format, arguments);
    va_end(arguments);
    verdict->verified = false;
}

/* ---- what a certificate is made for ---- */

static const struct usage {
    uint32_t flag;
    const char *name;
} extended[] = { { XKU_SSL_CLIENT, "clientAuth" },      { XKU_SSL_SERVER, "serverAuth" },
                 { XKU_SMIME, "emailProtection" },      { XKU_CODE_SIGN, "codeSigning" },
                 { XKU_OCSP_SIGN, "OCSPSigning" },      { XKU_TIMESTAMP, "timeStamping" },
                 { XKU_ANYEKU, "anyExtendedKeyUsage" }, { 0 } },
  plain[] = { { KU_DIGITAL_SIGNATURE, "digitalSignature" },
              { KU_NON_REPUDIATION, "nonRepudiation" },
              { KU_KEY_ENCIPHERMENT, "keyEncipherment" },
              { KU_DATA_ENCIPHERMENT, "dataEncipherment" },
              { KU_KEY_AGREEMENT, "keyAgreement" },
              { KU_KEY_CERT_SIGN, "keyCertSign" },
              { KU_CRL_SIGN, "cRLSign" },
              { 0 } };

static void list_usages(const struct usage *usages, uint32_t flags, char *text, size_t size)
{
    if (flags == UINT32_MAX) /* the extension is absent: anything */
        return;
    for (; usages->name; usages++) {
        size_t length = strlen(text);
        if (flags & usages->flag)
            snprintf(text + length, size - length, "%s%s", length ? ", " : "", usages->name);
    }
}

void verdict_key_usage(X509 *certificate, char *text, size_t size)
{
    text[0] = '\0';
    list_usages(extended, X509_get_extended_key_usage(certificate), text, size);
    list_usages(plain, X509_get_key_usage(certificate), text, size);
    if (!text[0])
        snprintf(text, size, "something else");
}

const char *verdict_key_usage_wanted(enum config_role role)
{
    return role == CONFIG_SERVER ? "a certificate for clients (clientAuth; digitalSignature or keyAgreement)"
                                 : "a certificate for servers (serverAuth; digitalSignature, keyEncipherment or "
                                   "keyAgreement)";
}

/* ---- what OpenSSL found ---- */

static void explain_key_usage(struct verdict *verdict, const struct rules *rules, X509 *certificate, const char *name)
{
    char found[160];
    verdict_key_usage(certificate, found, sizeof(found));
    verdict_say(verdict, "key_usage: wanted %s, found %s: \"%.100s\"", verdict_key_usage_wanted(rules->role), found,
                name);
}

static void explain_hostname(struct verdict *verdict, X509_STORE_CTX *store, X509 *certificate)
{
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(store);
    const char *host = X509_VERIFY_PARAM_get0_host(param, 0);
    char *address = host ? NULL : X509_VERIFY_PARAM_get1_ip_asc(param), found[160] = "";
    int error;
    struct tls_peer *peer = tls_peer_new(certificate, &error);

    for (size_t i = 0; peer && i < peer->san_count && i < SANS_TOLD; i++) {
        size_t length = strlen(found);
        snprintf(found + length, sizeof(found) - length, "%s%s:%s", i ? ", " : "", peer->sans[i].kind,
                 peer->sans[i].value);
    }
    if (peer && peer->san_count > SANS_TOLD)
        strncat(found, ", ...", sizeof(found) - strlen(found) - 1);
    verdict_say(verdict, "hostname: wanted %.128s, found %s",
                host      ? host
                : address ? address
                          : "another name",
                found[0] ? found : "no subject alternative name");
    tls_peer_free(peer);
    OPENSSL_free(address);
}

static const struct {
    int error;
    const char *check, *wanted, *found;
} checks[] = {
    { X509_V_ERR_CERT_REVOKED, "crl", "a certificate that is not revoked", "a revoked one" },
    { X509_V_ERR_UNABLE_TO_GET_CRL, "crl", "a list of the certificate's issuer", "none" },
    { X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER, "crl", "a list whose issuer is known", "none" },
    { X509_V_ERR_CRL_HAS_EXPIRED, "crl", "a current list of the certificate's issuer", "one that has expired" },
    { X509_V_ERR_CRL_NOT_YET_VALID, "crl", "a current list of the certificate's issuer", "one that is not yet valid" },
    { X509_V_ERR_CRL_SIGNATURE_FAILURE, "crl", "a list that the certificate's issuer signed", "a bad signature" },
    { X509_V_ERR_CERT_CHAIN_TOO_LONG, "depth", "a shorter chain", "one that is longer than any profile allows" },
};

static void explain_other(struct verdict *verdict, int error, const char *name)
{
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        if (checks[i].error != error)
            continue;
        verdict_say(verdict, "%s: wanted %s, found %s: \"%.160s\"", checks[i].check, checks[i].wanted, checks[i].found,
                    name);
        return;
    }
    verdict_say(verdict, "%s: \"%.200s\"", X509_verify_cert_error_string(error), name);
}

void verdict_explain(struct verdict *verdict, const struct rules *rules, X509_STORE_CTX *store)
{
    X509 *certificate = X509_STORE_CTX_get_current_cert(store);
    int error = X509_STORE_CTX_get_error(store);
    char *name = certificate ? tls_peer_name(X509_get_subject_name(certificate)) : NULL;

    if (error == X509_V_ERR_INVALID_PURPOSE && certificate)
        explain_key_usage(verdict, rules, certificate, name ? name : "");
    else if ((error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_IP_ADDRESS_MISMATCH) && certificate)
        explain_hostname(verdict, store, certificate);
    else
        explain_other(verdict, error, name ? name : "");
    free(name);
}
