/*
 * The traffic secrets of TLS 1.3, as they are made.
 *
 * OpenSSL tells of them in its key log only: five lines of text for each handshake, of which two are wanted here, and
 * OpenSSL 3.0 takes as long to write them as for a twelfth of a handshake. But who derives them is a provider's
 * "TLS13-KDF" (provider-kdf(7), EVP_KDF-TLS13_KDF(7)), and a program may bring a provider of its own. Ours computes
 * what expand.c knows, and hands everything else to whoever would have been asked otherwise; and of the two secrets of
 * the handshake that this thread is in it keeps a copy.
 *
 * It is found by those who ask for it, which are our contexts: libssl gives all parameters with the derivation. Where
 * openssl.cnf wants something else (default_properties = fips=yes, or another provider than OpenSSL's default one), or
 * with a library context of its own (fips.c), it is not found, and the key log remains.
 */
#include <pthread.h>
#include <string.h>

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/provider.h>

#include "ktls/secrets_internal.h"

#define NAME "sluice"
#define ALGORITHM "TLS13-KDF"
/* What ours alone has. A name of our own, which has to have a dot (property(7)), leaves what openssl.cnf says of
 * others. */
#define OURS "sluice.tls=yes"

/* As long as the process lives. */
static EVP_KDF *delegate;
static OSSL_PROVIDER *ours; /* NULL: it could not be loaded */
static pthread_once_t loaded = PTHREAD_ONCE_INIT;

static _Thread_local struct {
    struct ktls_secret *client, *server; /* NULL: nobody is in a handshake here */
} expected;

void secrets_expect(struct ktls_secret *client, struct ktls_secret *server)
{
    expected.client = client;
    expected.server = server;
}

static struct ktls_secret *secret_for(const OSSL_PARAM parameters[])
{
    static const char client[] = "c ap traffic", server[] = "s ap traffic"; /* RFC 8446, 7.1 */
    const OSSL_PARAM *label = OSSL_PARAM_locate_const(parameters, OSSL_KDF_PARAM_LABEL);

    if (!label || !label->data || label->data_size != sizeof(client) - 1)
        return NULL;
    if (memcmp(label->data, client, sizeof(client) - 1) == 0)
        return expected.client;
    return memcmp(label->data, server, sizeof(server) - 1) == 0 ? expected.server : NULL;
}

/* ---- the algorithm ---- */

struct kdf {
    EVP_KDF_CTX *other; /* NULL: it was not needed yet */
    bool told;          /* parameters that are not among those of the derivation */
};

static void *kdf_new(void *provider)
{
    (void)provider;
    return OPENSSL_zalloc(sizeof(struct kdf));
}

static void kdf_free(void *context)
{
    struct kdf *kdf = context;

    if (!kdf)
        return;
    EVP_KDF_CTX_free(kdf->other);
    OPENSSL_free(kdf);
}

static EVP_KDF_CTX *other_of(struct kdf *kdf)
{
    if (!kdf->other)
        kdf->other = EVP_KDF_CTX_new(delegate);
    return kdf->other;
}

static void *kdf_dup(void *context)
{
    const struct kdf *kdf = context;
    struct kdf *copy = kdf_new(NULL);

    if (!copy)
        return NULL;
    copy->told = kdf->told;
    copy->other = kdf->other ? EVP_KDF_CTX_dup(kdf->other) : NULL;
    if (copy->other || !kdf->other)
        return copy;
    kdf_free(copy);
    return NULL;
}

static void kdf_reset(void *context)
{
    struct kdf *kdf = context;

    kdf->told = false;
    if (kdf->other)
        EVP_KDF_CTX_reset(kdf->other);
}

static int kdf_derive(void *context, unsigned char *output, size_t size, const OSSL_PARAM parameters[])
{
    struct kdf *kdf = context;
    int done = !kdf->told && parameters && expand_label(parameters, output, size);

    if (!done) {
        kdf->told = true;
        done = other_of(kdf) ? EVP_KDF_derive(kdf->other, output, size, parameters) : 0;
    }
    struct ktls_secret *secret = done == 1 && expected.client && parameters ? secret_for(parameters) : NULL;
    if (secret)
        ktls_secret_set(secret, output, size);
    return done;
}

static const OSSL_PARAM *kdf_settable(void *context, void *provider)
{
    (void)context;
    (void)provider;
    return EVP_KDF_settable_ctx_params(delegate);
}

static int kdf_set(void *context, const OSSL_PARAM parameters[])
{
    struct kdf *kdf = context;

    kdf->told = true;
    return other_of(kdf) && EVP_KDF_CTX_set_params(kdf->other, parameters);
}

static const OSSL_PARAM *kdf_gettable(void *context, void *provider)
{
    (void)context;
    (void)provider;
    return EVP_KDF_gettable_ctx_params(delegate);
}

static int kdf_get(void *context, OSSL_PARAM parameters[])
{
    struct kdf *kdf = context;

    return other_of(kdf) && EVP_KDF_CTX_get_params(kdf->other, parameters);
}

static const OSSL_DISPATCH kdf_table[] = {
    { OSSL_FUNC_KDF_NEWCTX, (void (*)(void))kdf_new },
    { OSSL_FUNC_KDF_DUPCTX, (void (*)(void))kdf_dup },
    { OSSL_FUNC_KDF_FREECTX, (void (*)(void))kdf_free },
    { OSSL_FUNC_KDF_RESET, (void (*)(void))kdf_reset },
    { OSSL_FUNC_KDF_DERIVE, (void (*)(void))kdf_derive },
    { OSSL_FUNC_KDF_SETTABLE_CTX_PARAMS, (void (*)(void))kdf_settable },
    { OSSL_FUNC_KDF_SET_CTX_PARAMS, (void (*)(void))kdf_set },
    { OSSL_FUNC_KDF_GETTABLE_CTX_PARAMS, (void (*)(void))kdf_gettable },
    { OSSL_FUNC_KDF_GET_CTX_PARAMS, (void (*)(void))kdf_get },
    { 0, NULL },
};

/* ---- the provider ---- */

static const OSSL_ALGORITHM *query(void *provider, int operation, int *no_cache)
{
    static const OSSL_ALGORITHM kdfs[] = {
        { ALGORITHM, "provider=" NAME "," OURS, kdf_table, "tells Sluice of traffic secrets" },
        { NULL, NULL, NULL, NULL },
    };

    (void)provider;
    *no_cache = 0;
    return operation == OSSL_OP_KDF ? kdfs : NULL;
}

static int start(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *core, const OSSL_DISPATCH **functions,
                 void **provider)
{
    static const OSSL_DISPATCH table[] = {
        { OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query },
        { 0, NULL },
    };

    (void)handle;
    (void)core;
    *functions = table;
    *provider = &delegate;
    return 1;
}

/*
 * The other one comes first: a provider loaded by name is otherwise the only one where openssl.cnf names none. Who has
 * chosen another than OpenSSL's default, as a validated one, wants it to derive everything.
 */
static void load(void)
{
    delegate = EVP_KDF_fetch(NULL, ALGORITHM, NULL);
    if (!delegate || strcmp(OSSL_PROVIDER_get0_name(EVP_KDF_get0_provider(delegate)), "default") != 0)
        return;
    expand_load();
    if (OSSL_PROVIDER_add_builtin(NULL, NAME, start) == 1)
        ours = OSSL_PROVIDER_try_load(NULL, NAME, 1);
}

const char *secrets_query(void)
{
    static const char wish[] = "?sluice.tls"; /* short: OpenSSL hashes it whenever it looks something up */

    pthread_once(&loaded, load);
    EVP_KDF *found = EVP_KDF_fetch(NULL, ALGORITHM, wish);
    bool is_ours = found && EVP_KDF_get0_provider(found) == ours;
    EVP_KDF_free(found);
    return is_ours ? wish : NULL;
}
