/*
 * Two ends of one TLS connection over loopback TCP, both driven by one thread: for tests of channels.
 *
 * Link `support ktls`. Like tests/support/pki.h, what cannot be prepared ends the program with a sentence.
 */
#ifndef SLUICE_TEST_TLS_PAIR_H
#define SLUICE_TEST_TLS_PAIR_H

#include <stddef.h>
#include <stdint.h>

#include "config/model.h"
#include "ktls/channel.h"
#include "tests/support/pki.h"

struct tls_end {
    struct config_profile *profile;
    struct tls_context *context;
};

/* `suite` is an IANA name, NULL: the default list. `version` 0: 1.2 to 1.3. Certificates are made in `pki` once. */
struct tls_end tls_end_new(struct pki *pki, enum config_role role, const char *suite, unsigned version,
                           enum config_offload offload);
/* The same from a profile that the test has changed; tls_end_profile() makes one. */
struct config_profile *tls_end_profile(struct pki *pki, enum config_role role, const char *suite, unsigned version,
                                       enum config_offload offload);
struct tls_end tls_end_from(struct config_profile *profile);
void tls_end_free(struct tls_end *end);

void tls_sockets(int *server, int *client); /* connected, over loopback TCP */

struct tls_pair {
    struct channel *server, *client;
};

/* Connected, no handshake yet. A `sys` of NULL is Linux. */
struct tls_pair tls_pair_new(const struct tls_end *server, const struct tls_end *client,
                             const struct ktls_sys *server_sys, const struct ktls_sys *client_sys);
void tls_pair_free(struct tls_pair *pair);

/* Both handshakes to their ends. What each returned last. */
void tls_pair_shake(struct tls_pair *pair, int *server, int *client);

/* Waits for what channel_events() says, a second at most. Ends the program where nothing comes. */
void tls_wait(const struct channel *channel);

/* Read or write it all, waiting as needed. Return what was moved, or the error; a read ends early at close_notify. */
ssize_t tls_read_all(struct channel *channel, void *buffer, size_t size);
ssize_t tls_write_all(struct channel *channel, const void *bytes, size_t size);

/*
 * Carries `size` bytes of a pattern from one to the other, both moving in turns, and compares. 0, or the first error of
 * either.
 */
int tls_carry(struct channel *from, struct channel *to, size_t size);

#endif
