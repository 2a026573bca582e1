#include <errno.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "ktls/pem_internal.h"

void pem_free_certificates(STACK_OF(X509) * certificates)
{
    sk_X509_pop_free(certificates, X509_free);
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
    default:
        return "make it readable";
    }
}

void pem_report_open(struct config_errors *errors, const struct config_section *section, const char *key,
                     const char *file, int error)
{
    config_errors_add_at(errors, CONFIG_ERROR, section, key, "%s \"%s\" cannot be read: %s; %s", key, file,
                         strerror(error), remedy_for(error));
}

/* The label of the first PEM block that is not `label`, and whether one with it was there at all. */
static void scan_labels(FILE *file, const char *label, char other[64], bool *found)
{
    char line[256];
    other[0] = '\0';
    *found = false;
    while (fgets(line, sizeof line, file)) {
        char name[64];
        if (sscanf(line, "-----BEGIN %63[^-]-----", name) != 1)
            continue;
        if (strstr(name, label))
            *found = true;
        else if (!other[0])
            strcpy(other, name);
    }
}

void pem_report_content(struct config_errors *errors, const struct config_section *section, const char *key,
                        const char *file, const char *what, const char *label)
{
    FILE *stream = fopen(file, "re");
    int first = stream ? fgetc(stream) : EOF;
    if (first == EOF) {
        int error = stream ? (ferror(stream) ? errno : 0) : errno;
        if (error)
            pem_report_open(errors, section, key, file, error);
        else
            config_errors_add_at(errors, CONFIG_ERROR, section, key, "%s \"%s\" is empty; put a %s in PEM form there",
                                 key, file, what);
        if (stream)
            fclose(stream);
        return;
    }
    ungetc(first, stream);
    char other[64];
    bool found;
    scan_labels(stream, label, other, &found);
    fclose(stream);

    if (found)
        config_errors_add_at(errors, CONFIG_ERROR, section, key,
                             "%s \"%s\" holds a damaged %s; put an intact one there", key, file, what);
    else if (other[0])
        config_errors_add_at(errors, CONFIG_ERROR, section, key,
                             "%s \"%s\" holds no %s but \"%s\"; name the file that has it", key, file, what, other);
    else
        config_errors_add_at(errors, CONFIG_ERROR, section, key, "%s \"%s\" is not PEM; %s", key, file,
                             first == 0x30 ? "it looks like DER: convert it with `openssl x509` or `openssl pkey`"
                                           : "a PEM file has lines that begin with -----BEGIN");
}

/* Reads until the end of the file; the error queue is then left with "no start line", which is not an error. */
static bool read_all(BIO *file, STACK_OF(X509) * certificates)
{
    X509 *certificate;
    while ((certificate = PEM_read_bio_X509_AUX(file, NULL, NULL, NULL))) {
        if (!sk_X509_push(certificates, certificate)) {
            X509_free(certificate);
            return false;
        }
    }
    unsigned long error = ERR_peek_last_error();
    bool at_end = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    return at_end && sk_X509_num(certificates) > 0;
}

STACK_OF(X509) * pem_read_certificates(struct config_errors *errors, const struct config_section *section,
                                       const char *key, const char *file)
{
    BIO *bio = BIO_new_file(file, "re");
    if (!bio) {
        pem_report_open(errors, section, key, file, errno);
        ERR_clear_error();
        return NULL;
    }
    STACK_OF(X509) *certificates = sk_X509_new_null();
    bool ok = certificates && read_all(bio, certificates);
    BIO_free(bio);
    if (ok)
        return certificates;
    pem_report_content(errors, section, key, file, "certificate", "CERTIFICATE");
    pem_free_certificates(certificates);
    return NULL;
}
