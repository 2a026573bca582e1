/*
 * A profile made into something that can do handshakes: trust, certificate, suites, versions.
 *
 * One context serves any number of channels on any number of threads. It is counted: every channel holds its context,
 * so a reload can drop the old one while sessions still use it.
 * Resumption is by tickets. Ticket keys belong to the context, so a ticket is good for the protocol and profile that
 * issued it and for no other.
 */
#ifndef SLUICE_KTLS_CONTEXT_H
#define SLUICE_KTLS_CONTEXT_H

#include <stdint.h>

#include "config/model.h"

struct tls_context;

/*
 * Loads what the profile names and checks it: files that cannot be read or parsed, a key that does not match its
 * certificate, a key others may read, suites that are unknown or insecure, versions that no listed suite can serve.
 * Every problem goes to `errors` with its place in the file. `scope` (the protocol's name for a server, "" for a
 * client) separates tickets. Returns NULL after an error.
 */
struct tls_context *tls_context_new(const struct config_profile *profile, const char *scope,
                                    struct config_errors *errors);
struct tls_context *tls_context_hold(struct tls_context *context);
void tls_context_drop(struct tls_context *context); /* NULL is allowed */

enum config_role tls_context_role(const struct tls_context *context);
enum config_offload tls_context_offload(const struct tls_context *context);

/*
 * Tells it that this kernel has no kTLS, as ktls_probe() found out: its channels stay `user` without asking again.
 * (Each refused TCP_ULP costs a run of modprobe.) Before the first channel; does nothing where offload = required.
 */
void tls_context_without_kernel(struct tls_context *context);
const char *tls_context_name(const struct tls_context *context);       /* the profile's name */
const char *tls_context_save_chain(const struct tls_context *context); /* a directory, or NULL */
const char *tls_context_note(const struct tls_context *context);       /* or NULL */

/*
 * The additional checks: a partner's server-profile held against a session as it is, whatever profile it was opened
 * under. In order: level, version, suite, subject, issuer, key_usage, crl; trust and depth are not run again. 0, or
 * -EACCES with the first check that failed and both values (bytes of the peer among them: escape).
 */
struct channel;
struct tls_denial {
    const char *check; /* "level", "version", ... */
    char wanted[256], found[256];
};
int tls_context_admit(const struct tls_context *context, const struct channel *channel, struct tls_denial *denial);

#endif
