#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "ktls/context_internal.h"
#include "ktls/fips_internal.h"
#include "ktls/secrets_internal.h"
#include "ktls/verify_internal.h"

#define TICKETS 2        /* for each TLS 1.3 session: one to resume with, one for a second stream */
#define SECURITY_LEVEL 2 /* 112 bits: RSA and DH from 2048 bits, no SHA-1 signatures */
#define NAME_MAX_DNS 255

struct tls_context {
    atomic_uint references;
    struct fips fips; /* all that is made from `ssl` is made in its library */
    SSL_CTX *ssl;
    struct sessions *sessions;                       /* clients only */
    char *name, *note, *save_chain, *hostname_value; /* NULL: none; but for the name */
    enum config_role role;
    enum config_offload offload;
    enum config_hostname hostname;
    struct rules rules;
    struct staple *staple; /* servers only; NULL: none */
    struct own *own;
    bool without_kernel, fips_forbids_kernel;
    bool watches; /* what it asks OpenSSL for tells secrets.c of the traffic secrets */
};

static pthread_once_t indexes_once = PTHREAD_ONCE_INIT;
static int key_index = -1;     /* on an SSL: the peer's key in the session store */
static int context_index = -1; /* on an SSL_CTX: its struct tls_context */

static void make_indexes(void)
{
    key_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    context_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
}

int tls_context_key_index(void)
{
    pthread_once(&indexes_once, make_indexes);
    return key_index;
}

static int store_session(SSL *ssl, SSL_SESSION *session)
{
    const struct tls_context *context = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), context_index);
    const char *key = SSL_get_ex_data(ssl, key_index);
    return context && key && SSL_SESSION_is_resumable(session) && tickets_mark(ssl, session, &context->rules) &&
           sessions_put(context->sessions, key, session);
}

static bool set_common(SSL_CTX *ssl, const struct config_profile *profile)
{
    SSL_CTX_set_security_level(ssl, SECURITY_LEVEL);
    /* Also of who signed an OCSP response, where no handshake's level is asked. */
    X509_VERIFY_PARAM_set_auth_level(X509_STORE_get0_param(SSL_CTX_get_cert_store(ssl)), SECURITY_LEVEL);
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                 SSL_OP_NO_TX_CERTIFICATE_COMPRESSION | SSL_OP_NO_RX_CERTIFICATE_COMPRESSION);
    SSL_CTX_clear_options(ssl, SSL_OP_NO_TICKET | SSL_OP_LEGACY_SERVER_CONNECT | SSL_OP_IGNORE_UNEXPECTED_EOF |
                                   SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(ssl,
                     SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    /* Read-ahead would take bytes past the record boundary at which a direction is switched. */
    SSL_CTX_set_read_ahead(ssl, 0);
    return SSL_CTX_set_min_proto_version(ssl, (int)profile->min_version) &&
           SSL_CTX_set_max_proto_version(ssl, (int)profile->max_version) && SSL_CTX_set_max_early_data(ssl, 0) &&
           SSL_CTX_set_recv_max_early_data(ssl, 0);
}

/* A ticket is good for one protocol and profile: what they are called goes into every session. */
static bool set_session_scope(SSL_CTX *ssl, OSSL_LIB_CTX *library, const char *scope, const char *name)
{
    unsigned char id[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    EVP_MD *sha256 = EVP_MD_fetch(library, "SHA256", NULL);
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    bool ok = sha256 && digest && EVP_DigestInit_ex(digest, sha256, NULL) &&
              EVP_DigestUpdate(digest, scope, strlen(scope) + 1) && EVP_DigestUpdate(digest, name, strlen(name)) &&
              EVP_DigestFinal_ex(digest, id, &length) && SSL_CTX_set_session_id_context(ssl, id, length);
    EVP_MD_CTX_free(digest);
    EVP_MD_free(sha256);
    return ok;
}

static bool set_role(struct tls_context *context, const char *scope)
{
    SSL_CTX *ssl = context->ssl;
    if (context->role == CONFIG_SERVER) {
        SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF); /* tickets only: nothing is kept here */
        tickets_load(ssl, &context->rules);
        return SSL_CTX_set_num_tickets(ssl, TICKETS) && SSL_CTX_set_dh_auto(ssl, 1) &&
               set_session_scope(ssl, context->fips.library, scope, context->name);
    }
    context->sessions = sessions_new();
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ssl, store_session);
    return context->sessions && SSL_CTX_set_ex_data(ssl, context_index, context);
}

static void context_free(struct tls_context *context)
{
    if (context->ssl)
        SSL_CTX_set_ex_data(context->ssl, context_index, NULL);
    SSL_CTX_free(context->ssl);
    sessions_free(context->sessions);
    rules_clear(&context->rules);
    ocsp_free(context->staple);
    own_free(context->own);
    fips_close(&context->fips);
    free(context->hostname_value);
    free(context->save_chain);
    free(context->note);
    free(context->name);
    free(context);
}

static bool copy_text(char **copy, const char *text)
{
    *copy = text ? strdup(text) : NULL;
    return *copy || !text;
}

static struct tls_context *context_alloc(const struct config_profile *profile, struct config_errors *errors)
{
    struct tls_context *context = calloc(1, sizeof *context);
    if (!context)
        return NULL;
    atomic_init(&context->references, 1);
    context->role = profile->role;
    context->offload = profile->offload;
    context->hostname = profile->hostname;
    bool copied = copy_text(&context->name, profile->name ? profile->name : "") &&
                  copy_text(&context->note, profile->note) && copy_text(&context->save_chain, profile->save_chain) &&
                  copy_text(&context->hostname_value, profile->hostname_value);
    context->fips = fips_open(profile, errors);
    context->fips_forbids_kernel = profile->fips && !fips_kernel();
    const char *query = context->fips.library ? fips_query(context->fips.library) : secrets_query();
    context->watches = query && !context->fips.library;
    context->ssl = SSL_CTX_new_ex(context->fips.library, query,
                                  profile->role == CONFIG_SERVER ? TLS_server_method() : TLS_client_method());
    if (copied && context->ssl)
        return context;
    context_free(context);
    return NULL;
}

static void warn_of_save_chain(const struct config_profile *profile, struct config_errors *errors)
{
    struct stat status;
    if (!profile->save_chain || (stat(profile->save_chain, &status) == 0 && S_ISDIR(status.st_mode)))
        return;
    config_errors_add_at(errors, CONFIG_WARNING, profile->section, "save_chain",
                         "save_chain \"%s\" is no directory that can be reached, so that no chain will be saved; make "
                         "it, and let the user that runs sluice write there",
                         profile->save_chain);
}

/*
 * Secrets are for the kernel and for the short cut, which a library of one's own (fips) has no part in; nor does
 * anybody see them made there.
 */
static void follow_secrets(struct tls_context *context)
{
    bool logged = context->fips.library ? tls_context_tries_kernel(context) : !context->watches;
    SSL_CTX_set_keylog_callback(context->ssl, logged ? channel_keylog : NULL);
}

struct tls_context *tls_context_new(const struct config_profile *profile, const char *scope,
                                    struct config_errors *errors)
{
    size_t errors_before = errors->error_count;
    struct tls_context *context = tls_context_key_index() >= 0 ? context_alloc(profile, errors) : NULL;
    if (!context || !set_common(context->ssl, profile) || !set_role(context, scope)) {
        char reason[256] = "out of memory";
        if (ERR_peek_last_error())
            ERR_error_string_n(ERR_peek_last_error(), reason, sizeof reason);
        config_errors_add_at(errors, CONFIG_ERROR, profile->section, NULL, "OpenSSL cannot make a context: %s", reason);
        goto out;
    }
    trust_load(context->ssl, context->fips.library, profile, errors);
    credentials_load(context->ssl, context->fips.library, profile, errors);
    ciphers_load(context->ssl, context->fips.library, profile, errors);
    groups_load(context->ssl, context->fips.library, profile, errors);
    rules_load(&context->rules, context->ssl, context->fips.library, profile, errors);
    context->staple = ocsp_load(context->ssl, context->fips.library, profile, errors);
    warn_of_save_chain(profile, errors);
    follow_secrets(context);
    context->own = own_load(context->ssl);
    if (!context->own)
        config_errors_add_at(errors, CONFIG_ERROR, profile->section, NULL, "no memory for the certificates");
out:
    ERR_clear_error();
    if (errors->error_count == errors_before)
        return context;
    tls_context_drop(context);
    return NULL;
}

struct tls_context *tls_context_hold(struct tls_context *context)
{
    atomic_fetch_add_explicit(&context->references, 1, memory_order_relaxed);
    return context;
}

void tls_context_drop(struct tls_context *context)
{
    if (context && atomic_fetch_sub_explicit(&context->references, 1, memory_order_acq_rel) == 1)
        context_free(context);
}

const struct tls_peer *tls_context_own(const struct tls_context *context, const X509 *certificate)
{
    return own_find(context->own, certificate);
}

enum config_role tls_context_role(const struct tls_context *context)
{
    return context->role;
}

enum config_offload tls_context_offload(const struct tls_context *context)
{
    return context->offload;
}

void tls_context_without_kernel(struct tls_context *context)
{
    context->without_kernel = context->offload == CONFIG_OFFLOAD_AUTO;
    follow_secrets(context);
}

bool tls_context_tries_kernel(const struct tls_context *context)
{
    return context->offload != CONFIG_OFFLOAD_OFF && !context->without_kernel && !context->fips_forbids_kernel;
}

bool tls_context_watches(const struct tls_context *context)
{
    return context->watches;
}

bool tls_context_fips_forbids_kernel(const struct tls_context *context)
{
    return context->fips_forbids_kernel;
}

const char *tls_context_name(const struct tls_context *context)
{
    return context->name;
}

const char *tls_context_save_chain(const struct tls_context *context)
{
    return context->save_chain;
}

const char *tls_context_note(const struct tls_context *context)
{
    return context->note;
}

SSL_CTX *tls_context_ssl(const struct tls_context *context)
{
    return context->ssl;
}

OSSL_LIB_CTX *tls_context_library(const struct tls_context *context)
{
    return context->fips.library;
}

const struct rules *tls_context_rules(const struct tls_context *context)
{
    return &context->rules;
}

bool tls_context_enforced(const struct tls_context *context)
{
    return context->rules.verify == CONFIG_VERIFY_ENFORCED;
}

SSL_SESSION *tls_context_session(struct tls_context *context, const char *key)
{
    return context->sessions ? sessions_take(context->sessions, key) : NULL;
}

/* What a certificate can be compared with: no zone of an address (fe80::1%eth0), no dot at the end of a name. */
static int plain_name(const char *name, char out[NAME_MAX_DNS + 1], bool *address)
{
    size_t length = strcspn(name, "%");
    if (length && !strchr(name, ':') && name[length - 1] == '.')
        length--;
    if (!length || length > NAME_MAX_DNS)
        return -EINVAL;
    memcpy(out, name, length);
    out[length] = '\0';

    struct in6_addr binary;
    *address = inet_pton(AF_INET, out, &binary) == 1 || inet_pton(AF_INET6, out, &binary) == 1;
    return 0;
}

static int expect_name(SSL *ssl, const char *name, bool address)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    if (address)
        return X509_VERIFY_PARAM_set1_ip_asc(param, name) ? 0 : -EINVAL;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_host(param, name, 0) ? 0 : -ENOMEM;
}

int tls_context_prepare(const struct tls_context *context, SSL *ssl, const char *dialled)
{
    char name[NAME_MAX_DNS + 1], expected[NAME_MAX_DNS + 1];
    bool address, expected_address;
    const char *expect = context->hostname == CONFIG_HOSTNAME_NAMED ? context->hostname_value : dialled;
    if (!expect || plain_name(dialled, name, &address) || plain_name(expect, expected, &expected_address))
        return -EINVAL;

    /* Dialled by address, the server can still be told whom we expect behind it. */
    const char *indication = !address ? name : !expected_address ? expected : NULL;
    if (indication && !SSL_set_tlsext_host_name(ssl, indication))
        return -EINVAL;
    return context->hostname == CONFIG_HOSTNAME_ANY ? 0 : expect_name(ssl, expected, expected_address);
}
