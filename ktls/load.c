#include "ktls/load_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>

#define FILE_MOST ((size_t)16 << 20) /* bytes: far more than any bundle of certificates */

void load_problem(const struct load *load, enum config_severity severity, const char *key, const char *format, ...)
{
    char *text;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    va_end(arguments);
    config_errors_add_at(load->errors, severity, load->section, key, "%s", text ? text : "out of memory");
    free(text);
}

static const char *remedy_for(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return "correct the name or put the file there";
    case EACCES:
    case EPERM:
        return "let the user that runs sluice read it";
    case EISDIR:
        return "name a file in it";
    case EFBIG:
        return "certificates and keys are never larger than 16 MiB: name the right file";
    default:
        return "make it readable";
    }
}

void load_problem_open(const struct load *load, const char *key, const char *file, int error)
{
    load_problem(load, CONFIG_ERROR, key, "%s \"%s\" cannot be read: %s; %s", key, file, strerror(error),
                 remedy_for(error));
}

/* ---- a file ---- */

/* 0 or errno. The buffer has a byte more than the file is said to be long, so that the end is seen. */
static int read_all(int fd, struct load_bytes *bytes)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return errno;
    if (S_ISDIR(status.st_mode))
        return EISDIR;
    if (!S_ISREG(status.st_mode))
        return EINVAL;
    if ((size_t)status.st_size > FILE_MOST)
        return EFBIG;
    size_t capacity = (size_t)status.st_size + 1;
    bytes->mode = status.st_mode;
    bytes->data = OPENSSL_zalloc(capacity);
    if (!bytes->data)
        return ENOMEM;
    for (ssize_t got = 1; got > 0 && bytes->length < capacity; bytes->length += (size_t)got) {
        got = read(fd, bytes->data + bytes->length, capacity - bytes->length);
        if (got < 0)
            return errno;
    }
    return bytes->length < capacity ? 0 : EAGAIN; /* it grew under our hands */
}

bool load_file(const struct load *load, const char *key, const char *file, const char *what, struct load_bytes *bytes)
{
    *bytes = (struct load_bytes){ 0 };
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    int error = fd < 0 ? errno : read_all(fd, bytes);
    if (fd >= 0)
        close(fd);
    if (error)
        load_problem_open(load, key, file, error);
    else if (!bytes->length)
        load_problem(load, CONFIG_ERROR, key, "%s \"%s\" is empty; put a %s there", key, file, what);
    else
        return true;
    load_free(bytes);
    return false;
}

void load_free(struct load_bytes *bytes)
{
    OPENSSL_clear_free(bytes->data, bytes->length);
    *bytes = (struct load_bytes){ 0 };
}

void load_check_mode(const struct load *load, const char *key, const char *what, const char *file, mode_t mode)
{
    if (mode & S_IRWXO)
        load_problem(load, CONFIG_ERROR, key,
                     "%s \"%s\" is open to every user of this machine (mode %04o); chmod 600 it, and replace what is "
                     "in it if others can have read it",
                     what, file, (unsigned)(mode & 07777));
    else if (mode & S_IRWXG)
        load_problem(load, CONFIG_WARNING, key,
                     "%s \"%s\" is open to its whole group (mode %04o); chmod 600 it unless that is meant", what, file,
                     (unsigned)(mode & 07777));
}

/* ---- what is in it ---- */

/* The start of the next PEM block at or behind `from`, with its label; NULL: there is none. */
static const char *next_block(const char *from, const char *end, char label[64])
{
    static const char begin[] = "-----BEGIN ";
    const char *at = from;
    while ((at = memmem(at, (size_t)(end - at), begin, sizeof begin - 1))) {
        const char *name = at + sizeof begin - 1, *stop = memchr(name, '-', (size_t)(end - name));
        if (stop && stop - name > 0 && stop - name < 64) {
            memcpy(label, name, (size_t)(stop - name));
            label[stop - name] = '\0';
            return at;
        }
        at = name;
    }
    return NULL;
}

bool load_is_pem(const struct load_bytes *bytes)
{
    char label[64];
    const char *text = (const char *)bytes->data;
    return next_block(text, text + bytes->length, label) != NULL;
}

/* What a DER file is, or NULL: nothing known. */
static const char *der_kind(const struct load_bytes *bytes)
{
    const unsigned char *at = bytes->data;
    long length = (long)bytes->length;
    X509 *certificate = d2i_X509(NULL, &at, length);
    X509_CRL *list = d2i_X509_CRL(NULL, (at = bytes->data, &at), length);
    X509_REQ *request = d2i_X509_REQ(NULL, (at = bytes->data, &at), length);
    PKCS12 *archive = d2i_PKCS12(NULL, (at = bytes->data, &at), length);
    X509_SIG *locked = d2i_X509_SIG(NULL, (at = bytes->data, &at), length);
    EVP_PKEY *key = d2i_AutoPrivateKey(NULL, (at = bytes->data, &at), length);
    const char *kind = certificate ? "certificate"
                       : list      ? "revocation list"
                       : request   ? "certificate request"
                       : archive   ? "PKCS#12 archive"
                       : locked    ? "encrypted private key"
                       : key       ? "private key"
                                   : NULL;
    X509_free(certificate);
    X509_CRL_free(list);
    X509_REQ_free(request);
    PKCS12_free(archive);
    X509_SIG_free(locked);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return kind;
}

static void problem_pem(const struct load *load, const char *key, const char *file, const struct load_bytes *bytes,
                        const char *what, const char *label)
{
    const char *text = (const char *)bytes->data, *end = text + bytes->length;
    char found[64], first[64] = "";
    for (const char *at = text; (at = next_block(at, end, found)); at++) {
        if (strstr(found, label)) {
            load_problem(load, CONFIG_ERROR, key, "%s \"%s\" holds a damaged %s; put an intact one there", key, file,
                         what);
            return;
        }
        if (!first[0])
            strcpy(first, found);
    }
    load_problem(load, CONFIG_ERROR, key, "%s \"%s\" holds no %s but \"%s\"; name the file that has it", key, file,
                 what, first);
}

void load_problem_content(const struct load *load, const char *key, const char *file, const struct load_bytes *bytes,
                          const char *what, const char *label)
{
    const char *kind = load_is_pem(bytes) ? NULL : der_kind(bytes);
    if (load_is_pem(bytes))
        problem_pem(load, key, file, bytes, what, label);
    else if (kind && strcmp(kind, what) != 0)
        load_problem(load, CONFIG_ERROR, key, "%s \"%s\" holds no %s but a %s (DER); name the file that has it", key,
                     file, what, kind);
    else if (bytes->data[0] == 0x30)
        load_problem(load, CONFIG_ERROR, key, "%s \"%s\" looks like DER and holds no intact %s; put one there", key,
                     file, what);
    else
        load_problem(load, CONFIG_ERROR, key,
                     "%s \"%s\" is neither PEM nor DER; a PEM file has lines that begin with -----BEGIN", key, file);
}

/* ---- certificates ---- */

void load_free_certificates(STACK_OF(X509) * certificates)
{
    sk_X509_pop_free(certificates, X509_free);
}

static bool keep(STACK_OF(X509) * certificates, X509 *certificate)
{
    if (certificate && sk_X509_push(certificates, certificate))
        return true;
    X509_free(certificate);
    return false;
}

/* Reads until the end of the file; the error queue is then left with "no start line", which is not an error. */
static bool read_pem(const struct load *load, const struct load_bytes *bytes, STACK_OF(X509) * certificates)
{
    BIO *memory = BIO_new_mem_buf(bytes->data, (int)bytes->length);
    bool more = memory != NULL;
    while (more) {
        X509 *certificate = X509_new_ex(load->library, load->query);
        if (certificate && !PEM_read_bio_X509_AUX(memory, &certificate, NULL, NULL)) {
            X509_free(certificate); /* NULL where it is malformed, but not at the end of the file */
            certificate = NULL;
        }
        more = keep(certificates, certificate);
    }
    BIO_free(memory);
    unsigned long error = ERR_peek_last_error();
    return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

/* One certificate, or several without anything between them. */
static bool read_der(const struct load *load, const struct load_bytes *bytes, STACK_OF(X509) * certificates)
{
    const unsigned char *at = bytes->data, *end = at + bytes->length;
    while (at < end) {
        X509 *certificate = X509_new_ex(load->library, load->query);
        if (certificate && !d2i_X509(&certificate, &at, end - at))
            certificate = NULL; /* and freed */
        if (!keep(certificates, certificate))
            return false;
    }
    return true;
}

static STACK_OF(X509) *
    take_certificates(const struct load *load, const char *key, const char *file, const struct load_bytes *bytes)
{
    STACK_OF(X509) *certificates = sk_X509_new_null();
    bool ok = certificates && (load_is_pem(bytes) ? read_pem : read_der)(load, bytes, certificates);
    ERR_clear_error();
    if (ok && sk_X509_num(certificates) > 0)
        return certificates;
    load_problem_content(load, key, file, bytes, "certificate", "CERTIFICATE");
    load_free_certificates(certificates);
    return NULL;
}

STACK_OF(X509) * load_certificates(const struct load *load, const char *key, const char *file)
{
    struct load_bytes bytes;
    if (!load_file(load, key, file, "certificate", &bytes))
        return NULL;
    STACK_OF(X509) *certificates = take_certificates(load, key, file, &bytes);
    load_free(&bytes);
    return certificates;
}

bool load_own(const struct load *load, const char *file, const struct load_passphrase *passphrase, struct load_own *own)
{
    struct load_bytes bytes;
    *own = (struct load_own){ 0 };
    if (!load_file(load, "certificate", file, "certificate", &bytes))
        return false;
    own->archive = load_is_archive(load, &bytes);
    bool ok;
    if (own->archive) {
        load_check_mode(load, "certificate", "PKCS#12 file", file, bytes.mode);
        ok = load_archive(load, file, &bytes, passphrase, own);
    } else {
        own->certificates = take_certificates(load, "certificate", file, &bytes);
        ok = own->certificates != NULL;
    }
    load_free(&bytes);
    return ok;
}

void load_own_free(struct load_own *own)
{
    load_free_certificates(own->certificates);
    EVP_PKEY_free(own->key);
    *own = (struct load_own){ 0 };
}

void load_describe_key(const EVP_PKEY *key, char out[64])
{
    char group[48] = "";
    const char *type = key ? EVP_PKEY_get0_type_name(key) : NULL;
    if (!type) {
        strcpy(out, "unknown");
    } else if (EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof group, NULL)) {
        const char *nist = EC_curve_nid2nist(OBJ_txt2nid(group));
        snprintf(out, 64, "ECDSA %s", nist ? nist : group);
    } else if (EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448")) {
        strcpy(out, EVP_PKEY_is_a(key, "ED448") ? "Ed448" : "Ed25519");
    } else {
        snprintf(out, 64, "%.40s %d", type, EVP_PKEY_get_bits(key));
    }
    ERR_clear_error(); /* a key nobody knows is no error here: no signature will verify with it */
}
