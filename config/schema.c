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
#define CLASS(field) .name = #field, .offset = offsetof(struct config_class, field)
#define WATCH(field) .name = #field, .offset = offsetof(struct config_watch, field)
#define HOOK(field) .name = #field, .offset = offsetof(struct config_hook, field)
#define USER(field) .name = #field, .offset = offsetof(struct config_user, field)

static const struct config_choice events[] = {
    { "text", CONFIG_EVENTS_TEXT },
    { "json", CONFIG_EVENTS_JSON },
    { 0 },
};

static const struct config_choice events_to[] = {
    { "stderr", CONFIG_EVENTS_STDERR },
    { "journal", CONFIG_EVENTS_JOURNAL },
    { 0 },
};

static const struct config_choice transfer_events[] = {
    { "all", CONFIG_TRANSFER_EVENTS_ALL },
    { "failed", CONFIG_TRANSFER_EVENTS_FAILED },
    { 0 },
};

static const struct config_choice key_usage[] = {
    { "verify", CONFIG_KEY_USAGE_VERIFY },
    { "none", CONFIG_KEY_USAGE_NONE },
    { 0 },
};

static const struct config_choice ocsp[] = {
    { "no", CONFIG_OCSP_NO },
    { "staple", CONFIG_OCSP_STAPLE },
    { 0 },
};

static const struct config_choice class_tls[] = {
    { "required", CONFIG_REQUIRED },
    { "optional", CONFIG_OPTIONAL },
    { 0 },
};

static const struct config_choice need[] = {
    { "disabled", CONFIG_DISABLED },
    { "optional", CONFIG_OPTIONAL },
    { "required", CONFIG_REQUIRED },
    { 0 },
};

static const struct config_choice access_rights[] = {
    { "none", CONFIG_ACCESS_NONE },
    { "read", CONFIG_ACCESS_READ },
    { "write", CONFIG_ACCESS_WRITE },
    { 0 },
};

const struct config_choice config_path_choices[] = {
    { "auto", CONFIG_PATH_AUTO },     { "sendfile", CONFIG_PATH_SENDFILE },
    { "splice", CONFIG_PATH_SPLICE }, { "splice-hybrid", CONFIG_PATH_SPLICE_HYBRID },
    { "fixed", CONFIG_PATH_FIXED },   { "direct", CONFIG_PATH_DIRECT },
    { "recv", CONFIG_PATH_RECV },     { 0 },
};

static const struct config_choice overwrite[] = {
    { "yes", CONFIG_OVERWRITE_YES },
    { "no", CONFIG_OVERWRITE_NO },
    { "rename", CONFIG_OVERWRITE_RENAME },
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
    { SERVER(pin_workers), .type = CONFIG_TYPE_FLAG, .fallback = "no",
      .help =
          "each worker stays on a core of its own (event S01I says which), unless there are more workers than cores; "
          "for a machine that does nothing else" },
    { SERVER(handshake_threads), .type = CONFIG_TYPE_NUMBER, .fallback = "0", .maximum = 1024,
      .help = "threads for TLS handshakes, and as many again for passwords: neither holds up the workers; 0: as many "
              "as workers" },
    { SERVER(file_threads), .type = CONFIG_TYPE_NUMBER, .fallback = "8", .minimum = 1, .maximum = 1024,
      .help = "threads for calls on files that may block: open, fsync, rename, listings" },
    { SERVER(max_connections), .type = CONFIG_TYPE_NUMBER, .fallback = "10000", .minimum = 1, .maximum = 1000000,
      .help = "open connections over all workers; further ones are closed at once, with event S04W" },
    { SERVER(max_connections_per_address), .type = CONFIG_TYPE_NUMBER, .fallback = "1000", .minimum = 1,
      .maximum = 1000000, .help = "open connections from one address; of IPv6, from one /64" },
    { SERVER(max_requests), .type = CONFIG_TYPE_NUMBER, .fallback = "100000", .minimum = 1, .maximum = 1000000000,
      .help = "requests on one connection; after the last it is closed in good order" },
    { SERVER(header_limit), .type = CONFIG_TYPE_SIZE, .fallback = "16K", .minimum = KIB(1), .maximum = KIB(1024),
      .help = "bytes of one request head; a longer one is answered with 431" },
    { SERVER(max_upload), .type = CONFIG_TYPE_SIZE, .fallback = "0", .maximum = INT64_MAX,
      .help = "bytes of one uploaded file, holes included; a longer one is answered with 413; 0: no limit but the "
              "disk's, against which holes do not count: set one where not everybody who may write is trusted, since a "
              "digest takes its time over them, too" },
    { SERVER(upload_keep), .type = CONFIG_TYPE_DURATION, .fallback = "168h", .minimum = SECONDS(1),
      .maximum = MINUTES(49 * 24 * 60),
      .help = "how long an upload that came in parts and was not finished stays, to be gone on with; older ones are "
              "removed at start and once a day (S13I)" },
    { SERVER(max_unfinished_uploads), .type = CONFIG_TYPE_NUMBER, .fallback = "10000", .minimum = 1, .maximum = 1000000,
      .help = "of those, over all stores; further ones are answered with 503" },
    { SERVER(max_unfinished_per_sender), .type = CONFIG_TYPE_NUMBER, .fallback = "0", .maximum = 1000000,
      .help = "of those, of one partner, user or certificate, or of one address (of IPv6, one /64) where nobody is "
              "identified; 0: a quarter of `max_unfinished_uploads`, but not less than 16" },
    { SERVER(handshake_timeout), .type = CONFIG_TYPE_DURATION, .fallback = "10s", .minimum = 100,
      .maximum = MINUTES(10),
      .help =
          "that a client may take to connect and finish its handshake; what the server needs itself does not count" },
    { SERVER(header_timeout), .type = CONFIG_TYPE_DURATION, .fallback = "15s", .minimum = 100, .maximum = MINUTES(10),
      .help = "from the first byte of a request head to its last" },
    { SERVER(idle_timeout), .type = CONFIG_TYPE_DURATION, .fallback = "60s", .minimum = 100,
      .maximum = MINUTES(24 * 60), .help = "between two requests, and without progress in a body" },
    { SERVER(events), .type = CONFIG_TYPE_CHOICE, .fallback = "text", .choices = events,
      .help = "how events are written: `key=value`, or one JSON object a line" },
    { SERVER(events_to), .type = CONFIG_TYPE_CHOICE, .fallback = "stderr", .choices = events_to,
      .help = "where events go: standard error, or the journal with each field as a field of its own" },
    { SERVER(transfer_events), .type = CONFIG_TYPE_CHOICE, .fallback = "all", .choices = transfer_events,
      .help =
          "which transfers are told as an event each: `all`, or `failed`: where a great many small files move, what "
          "went well (T01I, T14I) need not be told; refusals, warnings, errors and deletions always are, and a "
          "`catalog` has all transfers" },
    { SERVER(user), .type = CONFIG_TYPE_WORD,
      .help =
          "the system's user to become once the ports are taken; a reload reads certificates and keys as that user" },
    { SERVER(group), .type = CONFIG_TYPE_WORD, .help = "the system's group to become; without it: the user's own" },
    { SERVER(password_file), .type = CONFIG_TYPE_PATH, .access = 1,
      .help = "names and password hashes, as `sluice passwd` writes them; without it nobody logs in with a password" },
    { SERVER(catalog), .type = CONFIG_TYPE_PATH,
      .help = "the file in which transfers are recorded, in and out, for `sluice history`: SQLite, made where there is "
              "none, in a directory that there must be; `sluice get` and `put` to partners record there, too, where "
              "they may write it; without it nothing is recorded" },
    { SERVER(catalog_keep_days), .type = CONFIG_TYPE_NUMBER, .fallback = "0", .maximum = 36500,
      .help = "days; what ended longer ago is removed from the catalog, messages with it, a few records at once, at "
              "start and each hour (C05I); 0: all is kept, until `sluice history --purge` is asked for" },
    { SERVER(max_messages), .type = CONFIG_TYPE_NUMBER, .fallback = "10000", .maximum = 1000000000,
      .help = "messages of one partner or user that nobody has acknowledged; further ones are answered with 507, with "
              "event M04W; 0: any number" },
    { SERVER(strict_partner_profiles), .type = CONFIG_TYPE_FLAG, .fallback = "no", .access = 1,
      .help = "a partner whose `profile` is missing as a server-profile is refused, not only warned about (T47W)" },
    { SERVER(expiry_warning_days), .type = CONFIG_TYPE_NUMBER, .fallback = "30", .maximum = 3650,
      .help = "a certificate with fewer days left is warned about (S79W): at start, at a reload and once a day" },
    { 0 },
};

static const struct config_key store_keys[] = {
    { STORE(root), .type = CONFIG_TYPE_PATH, .mandatory = 1,
      .help = "the directory that is served; nothing outside it can be reached" },
    { STORE(anonymous), .type = CONFIG_TYPE_CHOICE, .access = 1, .fallback = "none", .choices = access_rights,
      .help = "what those may do who are not authenticated, where neither a [class] nor the four keys below say "
              "otherwise; `read` includes listing, `write` includes `read`. Who is authenticated may read, list and "
              "write" },
    { STORE(read), .type = CONFIG_TYPE_GRANTS, .access = 1,
      .help =
          "who may fetch files: `user:NAME`, `partner:NAME`, `class:NAME`, `group:NAME`, `authenticated` or `anyone`; "
          "where one of the four keys is given, what is not granted is refused" },
    { STORE(write), .type = CONFIG_TYPE_GRANTS, .access = 1, .help = "who may store and replace files" },
    { STORE(list), .type = CONFIG_TYPE_GRANTS, .access = 1,
      .help = "who may list directories; without it: those who may read" },
    { STORE(delete), .type = CONFIG_TYPE_GRANTS, .access = 1, .help = "who may delete files; without it: nobody" },
    { STORE(overwrite), .type = CONFIG_TYPE_CHOICE, .access = 1, .fallback = "yes", .choices = overwrite,
      .help = "what an upload under a name that is taken does: `yes`: it replaces the file, in one step; `no`: it is "
              "refused with 409, before its body; `rename`: it becomes NAME.1, NAME.2 and so on" },
    { STORE(path), .type = CONFIG_TYPE_CHOICE, .fallback = "auto", .choices = config_path_choices,
      .help =
          "how bodies move between file and socket; `auto` chooses for each by what is known of it. What was chosen "
          "and why is told with each transfer; a path of one direction leaves the other to `auto`" },
    { STORE(immutable), .type = CONFIG_TYPE_FLAG, .fallback = "no",
      .help =
          "promises that no file changes once it has its name (uploads replace files whole, and keep the promise): "
          "where a network card encrypts, it may then send the page cache as it stands (`TLS_TX_ZEROCOPY_RO`, Linux "
          "5.19). A file that does change while it is sent ends the session at the client" },
    { 0 },
};

/* The rows that mean the same for both roles. */
#define PASSPHRASE                                                                                                     \
    {                                                                                                                  \
        PROFILE(key_passphrase_file),                                                                                  \
            .type = CONFIG_TYPE_PATHS,                                                                                 \
            .help = "file whose first line opens an encrypted key or PKCS#12 file; one for all, or one for each "      \
                    "certificate"                                                                                      \
    }
#define SUBJECT(whose)                                                                                                 \
    {                                                                                                                  \
        PROFILE(subject), .type = CONFIG_TYPE_EXPRESSION, .access = 1,                                                 \
                          .help = "what the subject of the " whose                                                     \
                                  " certificate must be, such as `CN=node*, O=Acme AND NOT OU=test`"                   \
    }
#define ISSUER(whose)                                                                                                  \
    {                                                                                                                  \
        PROFILE(issuer), .type = CONFIG_TYPE_EXPRESSION, .access = 1,                                                  \
                         .help = "the same for the direct issuer of the " whose " certificate"                         \
    }
#define DEPTH                                                                                                          \
    {                                                                                                                  \
        PROFILE(depth), .type = CONFIG_TYPE_NUMBER, .fallback = "10", .maximum = 10, .access = 1,                      \
                        .help = "CA certificates that may stand between the peer's certificate and the trusted one"    \
    }
#define KEY_USAGE(text)                                                                                                \
    {                                                                                                                  \
        PROFILE(key_usage), .type = CONFIG_TYPE_CHOICE, .fallback = "verify", .choices = key_usage, .access = 1,       \
                            .help = text                                                                               \
    }
#define GROUPS                                                                                                         \
    {                                                                                                                  \
        PROFILE(groups),                                                                                               \
            .type = CONFIG_TYPE_NAMES, .access = 1,                                                                    \
            .help = "key exchange groups in order of preference, as OpenSSL calls them: `X25519, P-256`; without it: " \
                    "OpenSSL's defaults, post-quantum hybrids among them where it has them"                            \
    }
#define SIGNATURE_ALGORITHMS                                                                                           \
    {                                                                                                                  \
        PROFILE(signature_algorithms),                                                                                 \
            .type = CONFIG_TYPE_NAMES, .access = 1,                                                                    \
            .help = "signature algorithms in order of preference: `ecdsa_secp256r1_sha256, rsa_pss_rsae_sha256`"       \
    }
#define CRL                                                                                                            \
    {                                                                                                                  \
        PROFILE(crl),                                                                                                  \
            .type = CONFIG_TYPE_PATHS, .access = 1,                                                                    \
            .help = "certificate revocation lists (PEM or DER), read again with the configuration; with any given, "   \
                    "the peer's issuer must have one that is current, and what it lists is refused"                    \
    }
#define SAVE_CHAIN                                                                                                     \
    {                                                                                                                  \
        PROFILE(save_chain),                                                                                           \
            .type = CONFIG_TYPE_PATH,                                                                                  \
            .help = "directory in which the chain of each peer is kept as PEM, named by the certificate's SHA-256; a " \
                    "failure to save is warned about and ends nothing"                                                 \
    }
#define FIPS                                                                                                           \
    {                                                                                                                  \
        PROFILE(fips),                                                                                                 \
            .type = CONFIG_TYPE_FLAG, .fallback = "no", .access = 1,                                                   \
            .help =                                                                                                    \
                "use OpenSSL's FIPS provider and nothing else; the kernel then encrypts only where it runs in FIPS "   \
                "mode itself"                                                                                          \
    }
#define NOTE                                                                                                           \
    {                                                                                                                  \
        PROFILE(note), .type = CONFIG_TYPE_TEXT, .help = "free text that events of its sessions carry"                 \
    }
#define CIPHERS                                                                                                        \
    {                                                                                                                  \
        PROFILE(ciphers),                                                                                              \
            .type = CONFIG_TYPE_NAMES, .access = 1,                                                                    \
            .help = "suites of TLS 1.3 and 1.2 in one list, in order of preference, which is ours on a server: IANA "  \
                    "names, "                                                                                          \
                    "OpenSSL names or decimal numbers; without it: AES-GCM and ChaCha20-Poly1305 with forward secrecy" \
    }
#define MIN_VERSION                                                                                                    \
    {                                                                                                                  \
        PROFILE(min_version), .access = 1, .type = CONFIG_TYPE_VERSION, .fallback = "1.2",                             \
                              .help = "the oldest version of TLS"                                                      \
    }
#define MAX_VERSION                                                                                                    \
    {                                                                                                                  \
        PROFILE(max_version), .access = 1, .type = CONFIG_TYPE_VERSION, .fallback = "1.3",                             \
                              .help = "the newest version of TLS"                                                      \
    }
#define OFFLOAD                                                                                                        \
    {                                                                                                                  \
        PROFILE(offload),                                                                                              \
            .type = CONFIG_TYPE_CHOICE, .fallback = "auto", .choices = offload,                                        \
            .help = "who encrypts bodies: `auto`: the kernel where it can, else OpenSSL, and an event says why; "      \
                    "`required`: the kernel or not at all; `off`: OpenSSL"                                             \
    }

static const struct config_key server_profile_keys[] = {
    { PROFILE(certificate), .type = CONFIG_TYPE_PATHS, .mandatory = 1,
      .help = "our certificate, the leaf first, then the intermediate ones: PEM, DER or PKCS#12; several, separated by "
              "commas, for clients that take different types of key (RSA beside ECDSA)" },
    { PROFILE(key), .type = CONFIG_TYPE_PATHS,
      .help =
          "the private key of each certificate, in the same order (PEM or DER); readable by nobody but the owner; a "
          "PKCS#12 file has its key in it and is left out here" },
    PASSPHRASE,
    { PROFILE(trust), .type = CONFIG_TYPE_PATHS, .choices = system_trust,
      .help = "CA certificates: files, or directories as `openssl rehash` makes them: whom we accept, and the CA names "
              "that we send; needed unless `verify = none`" },
    { PROFILE(verify), .type = CONFIG_TYPE_CHOICE, .fallback = "required", .choices = server_verify, .access = 1,
      .help =
          "`required`: a client must show a certificate that verifies; `optional`: it is asked for one, and without a "
          "good one the session is not authenticated by certificate; `none`: it is not asked" },
    SUBJECT("client's"),
    ISSUER("client's"),
    DEPTH,
    KEY_USAGE("`verify`: the client's certificate must be made for clients (extended key usage clientAuth, key usage "
              "digitalSignature or keyAgreement, where it names any); `none`: it may be made for anything"),
    CIPHERS,
    MIN_VERSION,
    MAX_VERSION,
    GROUPS,
    SIGNATURE_ALGORITHMS,
    CRL,
    { PROFILE(ocsp_response), .type = CONFIG_TYPE_PATH,
      .help = "an OCSP response about our certificate (DER), stapled for clients that ask; read again with the "
              "configuration" },
    SAVE_CHAIN,
    OFFLOAD,
    FIPS,
    NOTE,
    { 0 },
};

static const struct config_key client_profile_keys[] = {
    { PROFILE(certificate), .type = CONFIG_TYPE_PATHS,
      .help = "our certificate, the leaf first: PEM, DER or PKCS#12; several for servers that take different types of "
              "key; without it we show none and authenticate the server only" },
    { PROFILE(key), .type = CONFIG_TYPE_PATHS,
      .help = "the private key of each certificate, in the same order (PEM or DER); readable by nobody but the owner" },
    PASSPHRASE,
    { PROFILE(trust), .type = CONFIG_TYPE_PATHS, .fallback = "system", .choices = system_trust,
      .help = "CA certificates that the server's chain must end in: files, directories, or `system` alone for the "
              "system's store" },
    { PROFILE(verify), .type = CONFIG_TYPE_CHOICE, .fallback = "required", .choices = client_verify, .access = 1,
      .help =
          "`required`: the server's certificate must verify; `enforced`: and the session fails if the server did not "
          "ask for ours; `none`: encrypts, but to nobody knows whom; needs `insecure = yes`" },
    { PROFILE(insecure), .type = CONFIG_TYPE_FLAG, .fallback = "no", .help = "allows `verify = none`" },
    { PROFILE(hostname), .type = CONFIG_TYPE_HOSTNAME, .fallback = "yes", .choices = hostname, .access = 1,
      .help = "what the server's certificate must be made out to: `yes`: the name that was dialled; a name: this one; "
              "`no`: any that the trusted CAs signed" },
    SUBJECT("server's"),
    ISSUER("server's"),
    DEPTH,
    KEY_USAGE("`verify`: the server's certificate must be made for servers (extended key usage serverAuth, key usage "
              "digitalSignature, keyEncipherment or keyAgreement, where it names any); `none`: it may be made for "
              "anything"),
    CIPHERS,
    MIN_VERSION,
    MAX_VERSION,
    GROUPS,
    SIGNATURE_ALGORITHMS,
    CRL,
    { PROFILE(ocsp), .type = CONFIG_TYPE_CHOICE, .fallback = "no", .choices = ocsp, .access = 1,
      .help = "`staple`: the server must staple an OCSP response that says that its certificate is good" },
    SAVE_CHAIN,
    OFFLOAD,
    FIPS,
    NOTE,
    { 0 },
};

static const struct config_key protocol_keys[] = {
    { PROTOCOL(listen), .type = CONFIG_TYPE_ADDRESSES, .maximum = UINT16_MAX,
      .help =
          "where to accept connections: `0.0.0.0` or `[::]` stand for every address, port 0 for any free one; without "
          "it the protocol is for outgoing sessions only" },
    { .name = "profile",
      .type = CONFIG_TYPE_REFERENCE,
      .access = 1,
      .refers_to = "server-profile or client-profile",
      .help = "with `listen`: the server-profile of that name rules incoming sessions, and the client-profile of that "
              "name, if there is one, is the default for outgoing ones; without `listen`: a client-profile" },
    { PROTOCOL(store), .type = CONFIG_TYPE_REFERENCE, .refers_to = "store", .access = 1,
      .help = "what is served; needed with `listen`" },
    { 0 },
};

/* `owner`: the struct that has the match. */
#define MATCH(owner)                                                                                                   \
    { .name = "match_fingerprint",                                                                                     \
      .offset = offsetof(struct owner, match.fingerprints),                                                            \
      .type = CONFIG_TYPE_FINGERPRINTS,                                                                                \
      .access = 1,                                                                                                     \
      .help = "SHA-256 of a certificate that is this one's, as `sluice cert list --long` prints it" },                 \
        { .name = "match_subject",                                                                                     \
          .offset = offsetof(struct owner, match.subject),                                                             \
          .type = CONFIG_TYPE_EXPRESSION,                                                                              \
          .access = 1,                                                                                                 \
          .help = "what the subject of a verified certificate must be to be this one's" },                             \
    {                                                                                                                  \
        .name = "match_san", .offset = offsetof(struct owner, match.sans), .type = CONFIG_TYPE_SANS, .access = 1,      \
        .help = "subject alternative names: `DNS:NAME`, `email:NAME`, `URI:NAME` or `IP:ADDRESS`, with * and ? as "    \
                "patterns; one that fits makes a verified certificate this one's"                                      \
    }

static const struct config_key partner_keys[] = {
    { PARTNER(host), .type = CONFIG_TYPE_ADDRESSES, .minimum = 1, .maximum = UINT16_MAX,
      .help = "where it is; tried in order" },
    { PARTNER(protocol), .type = CONFIG_TYPE_REFERENCE, .refers_to = "protocol",
      .help = "whose client-profile is used where the partner names none" },
    { .name = "profile",
      .type = CONFIG_TYPE_REFERENCE,
      .access = 1,
      .refers_to = "client-profile or server-profile",
      .offset = offsetof(struct config_partner, profile),
      .help =
          "the client-profile of that name rules sessions to this partner (a partner with `host` needs one, here or "
          "by its protocol); the server-profile of that name is held against its sessions to us, as additional "
          "checks" },
    MATCH(config_partner),
    { PARTNER(home), .type = CONFIG_TYPE_FOLDER, .access = 1,
      .help = "a folder of the store that is all this partner sees of it; made when it is first needed" },
    { PARTNER(login), .type = CONFIG_TYPE_WORD,
      .help = "outgoing: the name to log in with, where this partner asks for one" },
    { PARTNER(login_password_file), .type = CONFIG_TYPE_PATH,
      .help = "outgoing: a file whose first line is the password; readable by nobody but the owner" },
    { PARTNER(limit_rate), .type = CONFIG_TYPE_RATE,
      .help =
          "how fast bodies may move, at most: those of a transfer to this partner, however many streams it has, and "
          "those of all sessions of this partner with our server taken together" },
    { PARTNER(at_once), .type = CONFIG_TYPE_NUMBER, .fallback = "2", .minimum = 1, .maximum = 32,
      .help = "queued transfers with this partner that may run at the same time" },
    { PARTNER(retry_fast), .type = CONFIG_TYPE_NUMBER, .fallback = "3", .maximum = 100,
      .help = "how often a queued transfer that failed is tried again quickly, 2 s later" },
    { PARTNER(retry_wait), .type = CONFIG_TYPE_DURATION, .fallback = "1m", .minimum = SECONDS(1),
      .maximum = MINUTES(24 * 60),
      .help = "how long it waits then, before it is tried again; twice as long each time, up to a day" },
    { PARTNER(retry_max), .type = CONFIG_TYPE_NUMBER, .fallback = "12", .maximum = 10000,
      .help = "how often it is tried again at all, quick tries included; then it has failed" },
    { 0 },
};

static const struct config_key class_keys[] = {
    { CLASS(users), .type = CONFIG_TYPE_PATTERNS, .access = 1,
      .help = "who is of this class: names of users; without `users`, `groups` and `partners`: everyone, nameless "
              "visitors included" },
    { CLASS(groups), .type = CONFIG_TYPE_PATTERNS, .access = 1, .help = "users of these groups" },
    { CLASS(partners), .type = CONFIG_TYPE_PATTERNS, .access = 1, .help = "these partners" },
    { CLASS(from), .type = CONFIG_TYPE_NETWORKS, .access = 1,
      .help = "only from these: addresses, blocks such as 10.0.0.0/8, or patterns such as 10.1.*" },
    { CLASS(order), .type = CONFIG_TYPE_NUMBER, .fallback = "100", .maximum = 1000000, .access = 1,
      .help =
          "the first class that matches decides: lower numbers are tried first, equal ones as they stand in the file" },
    { CLASS(tls), .type = CONFIG_TYPE_CHOICE, .fallback = "required", .choices = class_tls, .access = 1,
      .help =
          "`required`: a plain connection is refused before any password is read; `optional`: plain and TLS are both "
          "served on the same port" },
    { CLASS(certificate), .type = CONFIG_TYPE_CHOICE, .fallback = "optional", .choices = need, .access = 1,
      .help = "`required`: a verified certificate; `optional`: a certificate or a password; `disabled`: a certificate "
              "authenticates nobody" },
    { CLASS(password), .type = CONFIG_TYPE_CHOICE, .fallback = "optional", .choices = need, .access = 1,
      .help = "`optional`: asked for where no certificate authenticated; `required`: in addition to a certificate; "
              "`disabled`: never" },
    { CLASS(plain_password), .type = CONFIG_TYPE_FLAG, .fallback = "no", .access = 1,
      .help = "take passwords over plain connections, too, where everyone on the way can read them" },
    { 0 },
};

static const struct config_key user_keys[] = {
    MATCH(config_user),
    { USER(groups), .type = CONFIG_TYPE_NAMES, .access = 1, .help = "groups, for classes and stores" },
    { USER(partner), .type = CONFIG_TYPE_REFERENCE, .refers_to = "partner", .access = 1,
      .help = "the partner whose sessions this user's are, additional checks included" },
    { USER(home), .type = CONFIG_TYPE_FOLDER, .access = 1,
      .help = "a folder of the store that is all this user sees of it; made when it is first needed" },
    { USER(disabled), .type = CONFIG_TYPE_FLAG, .fallback = "no", .access = 1, .help = "refused, whatever it shows" },
    { 0 },
};

static const struct config_choice hook_events[] = {
    { "received", CONFIG_HOOK_RECEIVED },
    { "sent", CONFIG_HOOK_SENT },
    { "failed", CONFIG_HOOK_FAILED },
    { "message", CONFIG_HOOK_MESSAGE },
    { 0 },
};

static const struct config_key hook_keys[] = {
    { HOOK(on), .type = CONFIG_TYPE_CHOICES, .mandatory = 1, .choices = hook_events,
      .help = "after what it runs: `received`: a file is here whole, under its name; `sent`: a file went out; "
              "`failed`: a transfer did not come to its end; `message`: a message came" },
    { HOOK(command), .type = CONFIG_TYPE_COMMAND, .mandatory = 1,
      .help = "the program, an absolute path, and its arguments, between blanks; quotes hold words together; no shell "
              "reads it" },
    { HOOK(partners), .type = CONFIG_TYPE_PATTERNS,
      .help = "only after transfers with these partners and users; without it: after all, those of visitors without a "
              "name included" },
    { HOOK(timeout), .type = CONFIG_TYPE_DURATION, .fallback = "1m", .minimum = 100, .maximum = MINUTES(24 * 60),
      .help = "that one run may take; then it gets SIGTERM, and two seconds later SIGKILL, with all that it started" },
    { HOOK(at_once), .type = CONFIG_TYPE_NUMBER, .fallback = "4", .minimum = 1, .maximum = 64,
      .help = "runs that may go on at the same time; further ones wait for their turn" },
    { 0 },
};

static const struct config_choice watch_then[] = {
    { "keep", CONFIG_WATCH_KEEP },
    { "move", CONFIG_WATCH_MOVE },
    { "delete", CONFIG_WATCH_DELETE },
    { 0 },
};

static const struct config_key watch_keys[] = {
    { WATCH(folder), .type = CONFIG_TYPE_PATH, .mandatory = 1,
      .help = "the folder; what is in its folders is not sent" },
    { .name = "partner",
      .type = CONFIG_TYPE_REFERENCE,
      .refers_to = "partner",
      .mandatory = 1,
      .help = "to whom its files are sent" },
    { WATCH(to), .type = CONFIG_TYPE_FOLDER,
      .help =
          "the folder at the partner, in which a file keeps its name; without it: where the partner's store begins" },
    { WATCH(files), .type = CONFIG_TYPE_PATTERNS,
      .help = "only files of these names; without it: all, but for names that begin with a dot or end in .part" },
    { WATCH(then), .type = CONFIG_TYPE_CHOICE, .fallback = "keep", .choices = watch_then,
      .help =
          "what becomes of a file once it was sent: `keep`: it stays, and is sent again when it has changed; `move`: "
          "it goes to `move_to`; `delete`: it is deleted, and so that this is safe it counts as sent only where the "
          "partner gave its digest" },
    { WATCH(move_to), .type = CONFIG_TYPE_PATH,
      .help =
          "a folder on the same file system, for `then = move`; where a name is taken, the file becomes NAME.1, NAME.2 "
          "and so on" },
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
    { .name = "class",
      .named = 1,
      .keys = class_keys,
      .help = "A kind of visitor, and what it must show. The first class that matches decides; where none does, the "
              "visitor is refused. A file without any class takes TLS only, and a certificate or a password." },
    { .name = "user",
      .named = 1,
      .keys = user_keys,
      .help = "Someone who logs in. A name that only the password file has is a user with the defaults." },
    { .name = "hook", .named = 1, .keys = hook_keys, .help = "A program that the server runs after transfers." },
    { .name = "watch", .named = 1, .keys = watch_keys, .help = "A folder whose files are sent to a partner." },
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
