#include "ktls/revocation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "ktls/load_internal.h"
#include "ktls/peer_internal.h"

struct naming {
    struct load load;
    struct config_list *names;
};

static char *print_number(const ASN1_INTEGER *number)
{
    BIGNUM *value = ASN1_INTEGER_to_BN(number, NULL);
    char *digits = value ? BN_bn2dec(value) : NULL, *text = NULL;
    if (!digits || asprintf(&text, "number %s", digits) < 0)
        text = NULL;
    OPENSSL_free(digits);
    BN_free(value);
    return text;
}

static char *print_date(const X509_CRL *list)
{
    struct tm tm;
    char date[64], *text = NULL;
    const ASN1_TIME *began = X509_CRL_get0_lastUpdate(list);
    if (!began || !ASN1_TIME_to_tm(began, &tm) || !strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S UTC", &tm))
        strcpy(date, "an unreadable date");
    return asprintf(&text, "of %s", date) < 0 ? NULL : text;
}

static bool add_name(struct naming *naming, X509_CRL *list)
{
    ASN1_INTEGER *number = X509_CRL_get_ext_d2i(list, NID_crl_number, NULL, NULL);
    char *issuer = tls_peer_name(X509_CRL_get_issuer(list)), *which = number ? print_number(number) : print_date(list);
    char *name = NULL;
    bool good = issuer && which && asprintf(&name, "%s, %s", issuer, which) >= 0;
    good = good && config_list_add(naming->names, name) == 0;
    if (good)
        free(name);
    ASN1_INTEGER_free(number);
    free(issuer);
    free(which);
    return good;
}

static bool read_pem(struct naming *naming, const struct load_bytes *bytes)
{
    BIO *text = BIO_new_mem_buf(bytes->data, (int)bytes->length);
    X509_CRL *list = NULL;
    bool good = text != NULL;
    size_t count = 0;
    ERR_clear_error();
    while (good && (list = PEM_read_bio_X509_CRL(text, NULL, NULL, NULL))) {
        good = add_name(naming, list);
        X509_CRL_free(list);
        count++;
    }
    unsigned long error = ERR_peek_last_error();
    good = good && count && ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    BIO_free(text);
    return good;
}

static bool read_der(struct naming *naming, const struct load_bytes *bytes)
{
    const unsigned char *at = bytes->data, *end = at + bytes->length;
    while (at < end) {
        X509_CRL *list = d2i_X509_CRL(NULL, &at, end - at);
        bool good = list && add_name(naming, list);
        X509_CRL_free(list);
        ERR_clear_error();
        if (!good)
            return false;
    }
    return true;
}

bool tls_revocation_names(const struct config_profile *profile, struct config_list *names, struct config_errors *errors)
{
    static const char what[] = "certificate revocation list";
    struct naming naming = { .load = { .errors = errors, .section = profile->section }, .names = names };
    size_t errors_before = errors->error_count;
    for (size_t i = 0; i < profile->crl.count; i++) {
        const char *file = profile->crl.items[i];
        struct load_bytes bytes;
        if (!load_file(&naming.load, "crl", file, what, &bytes))
            continue;
        if (!(load_is_pem(&bytes) ? read_pem(&naming, &bytes) : read_der(&naming, &bytes)))
            load_problem_content(&naming.load, "crl", file, &bytes, what, "X509 CRL");
        load_free(&bytes);
    }
    return errors->error_count == errors_before;
}
