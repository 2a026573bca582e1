/* Private keys, and the passphrases that open them. */
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>

#include "ktls/load_internal.h"

bool load_passphrase(const struct load *load, const char *file, struct load_passphrase *passphrase)
{
    static const char key[] = "key_passphrase_file";
    struct load_bytes bytes;
    *passphrase = (struct load_passphrase){ .file = file, .unreadable = file != NULL };
    if (!file)
        return true;
    if (!load_file(load, key, file, "passphrase", &bytes))
        return false;
    load_check_mode(load, key, key, file, bytes.mode);

    const char *text = (const char *)bytes.data, *end = memchr(text, '\n', bytes.length);
    size_t length = end ? (size_t)(end - text) : bytes.length;
    if (length && text[length - 1] == '\r')
        length--;
    bool ok = false;
    if (!length || memchr(text, '\0', length))
        load_problem(load, CONFIG_ERROR, key, "%s \"%s\" has no passphrase in its first line; write it there", key,
                     file);
    else if (length >= sizeof passphrase->text)
        load_problem(load, CONFIG_ERROR, key, "%s \"%s\": its first line is longer than %zu bytes; shorten it", key,
                     file, sizeof passphrase->text - 1);
    else
        ok = true;
    if (ok) {
        memcpy(passphrase->text, text, length);
        passphrase->length = length;
        passphrase->unreadable = false;
    }
    load_free(&bytes);
    return ok;
}

struct answer {
    const struct load_passphrase *passphrase;
    bool asked;
};

/* Answers OpenSSL, which would otherwise ask at the terminal. */
static int answer_passphrase(char *buffer, int size, int writing, void *argument)
{
    struct answer *answer = argument;
    (void)writing;
    answer->asked = true;
    if (!answer->passphrase->length || answer->passphrase->length > (size_t)size)
        return -1;
    memcpy(buffer, answer->passphrase->text, answer->passphrase->length);
    return (int)answer->passphrase->length;
}

static EVP_PKEY *decode_pem(const struct load *load, const struct load_bytes *bytes, struct answer *answer)
{
    BIO *memory = BIO_new_mem_buf(bytes->data, (int)bytes->length);
    EVP_PKEY *key =
        memory ? PEM_read_bio_PrivateKey_ex(memory, NULL, answer_passphrase, answer, load->library, load->query) : NULL;
    BIO_free(memory);
    return key;
}

static EVP_PKEY *decode_encrypted(const struct load *load, const X509_SIG *locked, struct answer *answer)
{
    answer->asked = true;
    if (!answer->passphrase->length)
        return NULL;
    PKCS8_PRIV_KEY_INFO *info =
        PKCS8_decrypt_ex(locked, answer->passphrase->text, (int)answer->passphrase->length, load->library, load->query);
    EVP_PKEY *key = info ? EVP_PKCS82PKEY_ex(info, load->library, load->query) : NULL;
    PKCS8_PRIV_KEY_INFO_free(info);
    return key;
}

static EVP_PKEY *decode_der(const struct load *load, const struct load_bytes *bytes, struct answer *answer)
{
    const unsigned char *at = bytes->data;
    X509_SIG *locked = d2i_X509_SIG(NULL, &at, (long)bytes->length);
    if (locked) {
        EVP_PKEY *key = decode_encrypted(load, locked, answer);
        X509_SIG_free(locked);
        return key;
    }
    at = bytes->data;
    return d2i_AutoPrivateKey_ex(NULL, &at, (long)bytes->length, load->library, load->query);
}

EVP_PKEY *load_key(const struct load *load, const char *file, const struct load_passphrase *passphrase)
{
    struct load_bytes bytes;
    struct answer answer = { passphrase, false };
    if (!load_file(load, "key", file, "private key", &bytes))
        return NULL;
    EVP_PKEY *key = (load_is_pem(&bytes) ? decode_pem : decode_der)(load, &bytes, &answer);
    ERR_clear_error();
    if (key || answer.asked)
        load_check_mode(load, "key", "key", file, bytes.mode);
    if (!key && answer.asked && passphrase->unreadable)
        load_problem(load, CONFIG_ERROR, "key",
                     "key \"%s\" is encrypted, and its passphrase could not be read from \"%s\"; mend that file first",
                     file, passphrase->file);
    else if (!key && answer.asked && passphrase->file)
        load_problem(load, CONFIG_ERROR, "key",
                     "key \"%s\" does not open with the passphrase in \"%s\"; correct the first line of that file%s",
                     file, passphrase->file,
                     load->query ? ", or encrypt the key with what FIPS allows: `openssl pkcs8 -topk8 -v2 aes256`"
                                 : "");
    else if (!key && answer.asked)
        load_problem(load, CONFIG_ERROR, "key",
                     "key \"%s\" is encrypted with a passphrase; write that into a file with mode 600 and name it in "
                     "key_passphrase_file, or decrypt the key with `openssl pkey -in OLD -out NEW`",
                     file);
    else if (!key)
        load_problem_content(load, "key", file, &bytes, "private key", "PRIVATE KEY");
    load_free(&bytes);
    return key;
}
