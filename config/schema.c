#include "config/schema.h"

#include <string.h>

#include "config/internal.h"

#define SECONDS(n) ((n)*UINT64_C(1000))
#define MINUTES(n) SECONDS((n)*60)
#define KIB(n) ((uint64_t)(n) << 10)

#define SERVER(field) .name = #field, .offset = offsetof(struct config_server, field)
#define STORE(field) .name = #field, .offset = offsetof(struct config_store, field)
#define PROFILE(field) .name = #field, .offset = offsetof(struct config_profile, field)
#define PROTOCOL(field) .name = #field, .offset = offsetof(struct config_protocol, field)
#define PARTNER(field) .name = #field, .offset = offsetof(struct config_partner, field)

static const struct config_choice events[] = {
    { "text", CONFIG_EVENTS_TEXT },
    { "json", CONFIG_EVENTS_JSON },
    { 0 },
};

static const struct config_choice access_rights[] = {
    { "none", CONFIG_ACCESS_NONE },
    { "read", CONFIG_ACCESS_READ },
    { "write", CONFIG_ACCESS_WRITE },
    { 0 },
};

static const struct config_choice server_verify[] = {
    { "required", CONFIG_VERIFY_REQUIRED },
    { "optional", CONFIG_VERIFY_OPTIONAL },
    { "none", CONFIG_VERIFY_NONE },
    { 0 },
};

static const struct config_choice client_verify[] = {
    { "required", CONFIG_VERIFY_REQUIRED },
    { "enforced", CONFIG_VERIFY_ENFORCED },
    { "none", CONFIG_VERIFY_NONE },
    { 0 },
};

static const struct config_choice offload[] = {
    { "auto", CONFIG_OFFLOAD_AUTO },
    { "required", CONFIG_OFFLOAD_REQUIRED },
    { "off", CONFIG_OFFLOAD_OFF },
    { 0 },
};

static const struct config_choice hostname[] = {
    { "yes", CONFIG_HOSTNAME_DIALLED },
    { "no", CONFIG_HOSTNAME_ANY },
    { 0 },
};

/* Words that a list of paths takes as they are. */
static const struct config_choice system_trust[] = { { "system", 0 }, { 0 } };

static const struct config_key server_keys[] = {
    { SERVER(workers), .type = CONFIG_TYPE_NUMBER, .fallback = "0", .maximum = 1024,
      .help = "threads that move bytes; 0: one for each core that the process may run on" },
    { SERVER(handshake_threads), .type = CONFIG_TYPE_NUMBER, .fallback = "0", .maximum = 1024,
      .help = "threads for TLS handshakes, which must not hold up the workers; 0: as many as workers" },
    { SERVER(file_threads), .type = CONFIG_TYPE_NUMBER, .fallback = "8", .minimum = 1, .maximum = 1024,
      .help = "threads for calls on files that may block: open, fsync, rename, listings" },
    { SERVER(max_connections), .type = CONFIG_TYPE_NUMBER, .fallback = "10000", .minimum = 1, .maximum = 1000000,
      .help = "open connections over all workers; further ones are closed at once, with event S04W" },
    { SERVER(max_connections_per_address), .type = CONFIG_TYPE_NUMBER, .fallback = "1000", .minimum = 1,
      .maximum = 1000000, .help = "open connections from one address" },
    { SERVER(max_requests), .type = CONFIG_TYPE_NUMBER, .fallback = "100000", .minimum = 1, .maximum = 1000000000,
      .help = "requests on one connection; after the last it is closed in good order" },
    { SERVER(header_limit), .type = CONFIG_TYPE_SIZE, .fallback = "16K", .minimum = KIB(1), .maximum = KIB(1024),
      .help = "bytes of one request head; a longer one is answered with 431" },
    { SERVER(max_upload), .type = CONFIG_TYPE_SIZE, .fallback = "0", .maximum = INT64_MAX,
      .help = "bytes of one uploaded body; a longer one is answered with 413; 0: no limit but the disk's" },
    { SERVER(handshake_timeout), .type = CONFIG_TYPE_DURATION, .fallback = "10s", .minimum = 100,
      .maximum = MINUTES(10), .help = "from the connection to the end of its handshake" },
    { SERVER(header_timeout), .type = CONFIG_TYPE_DURATION, .fallback = "15s", .minimum = 100, .maximum = MINUTES(10),
      .help = "from the first byte of a request head to its last" },
    { SERVER(idle_timeout), .type = CONFIG_TYPE_DURATION, .fallback = "60s", .minimum = 100,
      .maximum = MINUTES(24 * 60), .help = "between two requests, and without progress in a body" },
    { SERVER(events), .type = CONFIG_TYPE_CHOICE, .fallback = "text", .choices = events,
      .help = "how events are written: `key=value`, or one JSON object a line" },
    { 0 },
};

static const struct config_key store_keys[] = {
    { STORE(root), .type = CONFIG_TYPE_PATH, .mandatory = 1,
      .help = "the directory that is served; nothing outside it can be reached" },
    { STORE(anonymous), .type = CONFIG_TYPE_CHOICE, .fallback = "none", .choices = access_rights,
      .help = "what those may do who showed no verified certificate; `write` includes `read`. A verified client "
              "certificate may read and write" },
    { 0 },
};

/* The rows that mean the same for both roles. */
#define CIPHERS                                                                                                        \
    {                                                                                                                  \
        PROFILE(ciphers),                                                                                              \
            .type = CONFIG_TYPE_NAMES,                                                                                 \
            .help = "suites of TLS 1.3 and 1.2 in one list, in order of preference, which is ours on a server: IANA "  \
                    "names, "                                                                                          \
                    "OpenSSL names or decimal numbers; without it: AES-GCM and ChaCha20-Poly1305 with forward secrecy" \
    }
#define MIN_VERSION                                                                                                    \
    {                                                                                                                  \
        PROFILE(min_version), .type = CONFIG_TYPE_VERSION, .fallback = "1.2", .help = "the oldest version of TLS"      \
    }
#define MAX_VERSION                                                                                                    \
    {                                                                                                                  \
        PROFILE(max_version), .type = CONFIG_TYPE_VERSION, .fallback = "1.3", .help = "the newest version of TLS"      \
    }
#define OFFLOAD                                                                                                        \
    {                                                                                                                  \
        PROFILE(offload),                                                                                              \
            .type = CONFIG_TYPE_CHOICE, .fallback = "auto", .choices = offload,                                        \
            .help = "who encrypts bodies: `auto`: the kernel where it can, else OpenSSL, and an event says why; "      \
                    "`required`: the kernel or not at all; `off`: OpenSSL"                                             \
    }

static const struct config_key server_profile_keys[] = {
    { PROFILE(certificate), .type = CONFIG_TYPE_PATH, .mandatory = 1,
      .help = "our certificate (PEM), the leaf first, then the intermediate ones" },
    { PROFILE(key), .type = CONFIG_TYPE_PATH, .mandatory = 1,
      .help = "its private key (PEM); readable by nobody but the owner" },
    { PROFILE(trust), .type = CONFIG_TYPE_PATHS, .choices = system_trust,
      .help = "CA certificates: files, or directories as `openssl rehash` makes them: whom we accept, and the CA names "
              "that we send; needed unless `verify = none`" },
    { PROFILE(verify), .type = CONFIG_TYPE_CHOICE, .fallback = "required", .choices = server_verify,
      .help =
          "`required`: a client must show a certificate that verifies; `optional`: it is asked for one, and without a "
          "good one it is anonymous; `none`: it is not asked" },
    CIPHERS,
    MIN_VERSION,
    MAX_VERSION,
    OFFLOAD,
    { 0 },
};

static const struct config_key client_profile_keys[] = {
    { PROFILE(certificate), .type = CONFIG_TYPE_PATH,
      .help = "our certificate (PEM), the leaf first; without it we show none" },
    { PROFILE(key), .type = CONFIG_TYPE_PATH, .help = "its private key (PEM); readable by nobody but the owner" },
    { PROFILE(trust), .type = CONFIG_TYPE_PATHS, .fallback = "system", .choices = system_trust,
      .help = "CA certificates that the server's chain must end in: files, directories, or `system` alone for the "
              "system's store" },
    { PROFILE(verify), .type = CONFIG_TYPE_CHOICE, .fallback = "required", .choices = client_verify,
      .help =
          "`required`: the server's certificate must verify; `enforced`: and the session fails if the server did not "
          "ask for ours; `none`: encrypts, but to nobody knows whom; needs `insecure = yes`" },
    { PROFILE(insecure), .type = CONFIG_TYPE_FLAG, .fallback = "no", .help = "allows `verify = none`" },
    { PROFILE(hostname), .type = CONFIG_TYPE_HOSTNAME, .fallback = "yes", .choices = hostname,
      .help = "what the server's certificate must be made out to: `yes`: the name that was dialled; a name: this one; "
              "`no`: any that the trusted CAs signed" },
    CIPHERS,
    MIN_VERSION,
    MAX_VERSION,
    OFFLOAD,
    { 0 },
};

static const struct config_key protocol_keys[] = {
    { PROTOCOL(listen), .type = CONFIG_TYPE_ADDRESSES, .maximum = UINT16_MAX,
      .help =
          "where to accept connections: `0.0.0.0` or `[::]` stand for every address, port 0 for any free one; without "
          "it the protocol is for outgoing sessions only" },
    { .name = "profile",
      .type = CONFIG_TYPE_REFERENCE,
      .refers_to = "server-profile or client-profile",
      .help = "with `listen`: the server-profile of that name rules incoming sessions, and the client-profile of that "
              "name, if there is one, is the default for outgoing ones; without `listen`: a client-profile" },
    { PROTOCOL(store), .type = CONFIG_TYPE_REFERENCE, .refers_to = "store",
      .help = "what is served; needed with `listen`" },
    { 0 },
};

static const struct config_key partner_keys[] = {
    { PARTNER(host), .type = CONFIG_TYPE_ADDRESSES, .minimum = 1, .maximum = UINT16_MAX,
      .help = "where it is; tried in order" },
    { PARTNER(protocol), .type = CONFIG_TYPE_REFERENCE, .refers_to = "protocol",
      .help = "whose client-profile is used where the partner names none" },
    { .name = "profile",
      .type = CONFIG_TYPE_REFERENCE,
      .refers_to = "client-profile",
      .offset = offsetof(struct config_partner, client_profile),
      .help = "the profile of sessions to this partner; a partner with `host` needs one, here or by its protocol" },
    { 0 },
};

const struct config_kind config_kinds[] = {
    { .name = "server", .keys = server_keys, .help = "The process: its threads and its limits. May be left out." },
    { .name = "store", .named = 1, .keys = store_keys, .help = "A directory tree that is served." },
    { .name = "server-profile",
      .named = 1,
      .keys = server_profile_keys,
      .help = "The rules of TLS for incoming sessions." },
    { .name = "client-profile",
      .named = 1,
      .keys = client_profile_keys,
      .help = "The rules of TLS for outgoing sessions. A server-profile may have the same name." },
    { .name = "protocol",
      .named = 1,
      .keys = protocol_keys,
      .help = "A listening address with its profile and store, or the default profile of outgoing sessions." },
    { .name = "partner",
      .named = 1,
      .keys = partner_keys,
      .help = "A remote party. `sluice get NAME:PATH` fetches from it; so its name has neither `:` nor `/`." },
    { 0 },
};

const struct config_kind *config_kind_find(const char *name)
{
    for (const struct config_kind *kind = config_kinds; kind->name; kind++) {
        if (strcmp(kind->name, name) == 0)
            return kind;
    }
    return NULL;
}

const struct config_key *config_key_find(const struct config_kind *kind, const char *name)
{
    for (const struct config_key *key = kind->keys; key->name; key++) {
        if (strcmp(key->name, name) == 0)
            return key;
    }
    return NULL;
}
