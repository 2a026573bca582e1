/* What a word of `ciphers` means to this build, outside of any profile. */
#ifndef SLUICE_KTLS_CIPHERS_H
#define SLUICE_KTLS_CIPHERS_H

#include <stdbool.h>

#define TLS_CIPHER_TEXT 256

struct tls_ciphers;

struct tls_ciphers *tls_ciphers_new(void); /* NULL: no memory */
void tls_ciphers_free(struct tls_ciphers *ciphers);

/*
 * An IANA name, OpenSSL's name or a decimal number. True: the suite may be used, and `text` is its IANA name. False:
 * `text` says why not and what to use instead, as a sentence without a full stop.
 */
bool tls_ciphers_look(const struct tls_ciphers *ciphers, const char *word, char text[TLS_CIPHER_TEXT]);

#endif
