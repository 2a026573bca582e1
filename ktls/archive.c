/* PKCS#12 (RFC 7292): a key, its certificate and what is sent along, in one file. */
#include <string.h>

#include <openssl/err.h>
#include <openssl/pkcs12.h>

#include "ktls/credentials_internal.h"

static PKCS12 *decode(const struct load *load, const struct load_bytes *bytes)
{
    const unsigned char *at = bytes->data;
    PKCS12 *archive = PKCS12_init_ex(NID_pkcs7_data, load->library, load->query);
    /* A failing d2i frees what it was given. */
    return archive && d2i_PKCS12(&archive, &at, (long)bytes->length) ? archive : NULL;
}

bool load_is_archive(const struct load *load, const struct load_bytes *bytes)
{
    PKCS12 *archive = bytes->length && bytes->data[0] == 0x30 ? decode(load, bytes) : NULL;
    PKCS12_free(archive);
    ERR_clear_error();
    return archive != NULL;
}

/* Without a passphrase two things may be meant: none at all, or an empty one. */
static bool opens(PKCS12 *archive, const char *passphrase)
{
    if (!PKCS12_mac_present(archive))
        return true;
    return PKCS12_verify_mac(archive, passphrase, -1) || (!*passphrase && PKCS12_verify_mac(archive, NULL, 0));
}

static void problem_locked(const struct load *load, const char *file, const struct load_passphrase *passphrase)
{
    if (load->query)
        load_problem(load, CONFIG_ERROR, "certificate",
                     "certificate \"%s\" is PKCS#12, whose key derivation FIPS does not allow; take certificate and "
                     "key out of it with `openssl pkcs12`, into PEM files",
                     file);
    else if (passphrase->unreadable)
        load_problem(load, CONFIG_ERROR, "certificate",
                     "certificate \"%s\" (PKCS#12) is encrypted, and its passphrase could not be read from \"%s\"; "
                     "mend that file first",
                     file, passphrase->file);
    else if (passphrase->file)
        load_problem(load, CONFIG_ERROR, "certificate",
                     "certificate \"%s\" (PKCS#12) does not open with the passphrase in \"%s\"; correct the first line "
                     "of that file",
                     file, passphrase->file);
    else
        load_problem(
            load, CONFIG_ERROR, "certificate",
            "certificate \"%s\" (PKCS#12) needs a passphrase; write it into a file with mode 600 and name that "
            "in key_passphrase_file",
            file);
}

/* The order in the archive means nothing: what is sent along is put behind what it issued. */
static bool put_in_order(X509 *own, STACK_OF(X509) * others, STACK_OF(X509) * certificates)
{
    if (!X509_up_ref(own))
        return false;
    if (!sk_X509_push(certificates, own)) {
        X509_free(own);
        return false;
    }
    for (X509 *last = own; !chain_is_root(last);) {
        int i = 0;
        while (i < sk_X509_num(others) && !chain_issued(sk_X509_value(others, i), last))
            i++;
        if (i >= sk_X509_num(others)) /* -1 where the archive has no others at all */
            break;
        last = sk_X509_delete(others, i);
        if (!sk_X509_push(certificates, last)) {
            X509_free(last);
            return false;
        }
    }
    return true;
}

static const char *take(X509 *own, STACK_OF(X509) * others, struct load_own *out)
{
    if (!out->key)
        return "has no private key; export it again with its key";
    if (!own)
        return "has no certificate for its key; export it again with both";
    out->certificates = sk_X509_new_null();
    if (!out->certificates || !put_in_order(own, others, out->certificates))
        return "cannot be read: out of memory; free some";
    return NULL;
}

bool load_archive(const struct load *load, const char *file, const struct load_bytes *bytes,
                  const struct load_passphrase *passphrase, struct load_own *own)
{
    X509 *certificate = NULL;
    STACK_OF(X509) *others = NULL;
    const char *wrong = NULL;
    PKCS12 *archive = decode(load, bytes);

    if (!archive || !opens(archive, passphrase->text))
        problem_locked(load, file, passphrase);
    else if (!PKCS12_parse(archive, passphrase->text, &own->key, &certificate, &others))
        wrong = "opens, but is encrypted with an algorithm that this OpenSSL does not offer (RC2, in old ones), or is "
                "damaged; make it anew: `openssl pkcs12 -legacy -in OLD -out PEM`, then `openssl pkcs12 -export -in "
                "PEM -out NEW`";
    else
        wrong = take(certificate, others, own);
    if (wrong)
        load_problem(load, CONFIG_ERROR, "certificate", "certificate \"%s\" (PKCS#12) %s", file, wrong);
    X509_free(certificate);
    load_free_certificates(others);
    PKCS12_free(archive);
    ERR_clear_error();
    if (own->certificates && !wrong)
        return true;
    load_own_free(own);
    own->archive = true;
    return false;
}
