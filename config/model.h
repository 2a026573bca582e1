/*
 * The configuration as a checked, immutable model.
 *
 * config_load() reads one INI file and either returns a model in which every value has its type, lies within its
 * bounds and names only things that exist, or reports every problem it found (not the first alone) and returns none.
 * A model is never changed after it is returned: any number of threads may read it without a lock. A reload builds a
 * new model and swaps the pointer; sessions keep the one they began with.
 *
 * Strings and arrays belong to the model and live as long as it does. A list with no entries has count 0.
 * Paths are absolute: a relative path in the file is taken relative to the file's own folder.
 * This folder knows the shape of a value ("a file name", "a list of suite names"), never what OpenSSL thinks of it:
 * certificates, keys and suites are examined by ktls/context.h, which reports into the same error list.
 */
#ifndef SLUICE_CONFIG_MODEL_H
#define SLUICE_CONFIG_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/errors.h"

struct config_expression; /* config/expression.h */

enum config_role { CONFIG_SERVER, CONFIG_CLIENT };
enum config_verify { CONFIG_VERIFY_REQUIRED, CONFIG_VERIFY_ENFORCED, CONFIG_VERIFY_OPTIONAL, CONFIG_VERIFY_NONE };
enum config_offload { CONFIG_OFFLOAD_AUTO, CONFIG_OFFLOAD_REQUIRED, CONFIG_OFFLOAD_OFF };
enum config_access { CONFIG_ACCESS_NONE, CONFIG_ACCESS_READ, CONFIG_ACCESS_WRITE }; /* write includes read */
enum config_key_usage { CONFIG_KEY_USAGE_VERIFY, CONFIG_KEY_USAGE_NONE };
enum config_ocsp { CONFIG_OCSP_NO, CONFIG_OCSP_STAPLE };
enum config_need { CONFIG_DISABLED, CONFIG_OPTIONAL, CONFIG_REQUIRED };
enum config_hostname { CONFIG_HOSTNAME_DIALLED, CONFIG_HOSTNAME_ANY, CONFIG_HOSTNAME_NAMED };
/* The data paths that may be asked for, for either direction; what is not of one direction leaves it to be chosen. */
enum config_path {
    CONFIG_PATH_AUTO,
    CONFIG_PATH_SENDFILE,
    CONFIG_PATH_SPLICE,
    CONFIG_PATH_SPLICE_HYBRID,
    CONFIG_PATH_FIXED,
    CONFIG_PATH_DIRECT,
    CONFIG_PATH_RECV
};

enum config_overwrite { CONFIG_OVERWRITE_YES, CONFIG_OVERWRITE_NO, CONFIG_OVERWRITE_RENAME };
enum config_events { CONFIG_EVENTS_TEXT, CONFIG_EVENTS_JSON };
enum config_transfer_events { CONFIG_TRANSFER_EVENTS_ALL, CONFIG_TRANSFER_EVENTS_FAILED };
enum config_events_to { CONFIG_EVENTS_STDERR, CONFIG_EVENTS_JOURNAL };

struct config_list {
    char **items;
    size_t count;
};

/* Appends a copy. 0 or -ENOMEM. */
int config_list_add(struct config_list *list, const char *item);
void config_list_clear(struct config_list *list);

/* One ADDRESS:PORT. An IPv6 address is written [::1]:8443 and stored without its brackets. */
struct config_address {
    char *host;
    uint16_t port; /* host byte order; 0 only in listen: any free port, the start event says which */
};

struct config_addresses {
    struct config_address *items;
    size_t count;
};

/*
 * Addresses of clients: a CIDR block (an address alone is a block of one), or a pattern with * and ? that is held
 * against the address as text (inet_ntop(3)). An IPv4 block of n bits stands as ::ffff:a.b.c.d with 96 + n bits, and
 * only such blocks hold IPv4 addresses: ::/0 does not.
 */
struct config_network {
    char *pattern;       /* NULL for a block */
    uint8_t address[16]; /* network byte order; bits behind the prefix are 0 */
    unsigned prefix;     /* 0 to 128 */
};

struct config_networks {
    struct config_network *items;
    size_t count;
};

bool config_networks_hold(const struct config_networks *networks, const uint8_t address[16]);

/* * stands for any run of characters, ? for any one; case matters. */
bool config_glob(const char *pattern, const char *text);

/* What a verified certificate must be to belong to a user or a partner: any one of these. */
struct config_match {
    struct config_list fingerprints;   /* SHA-256 of the certificate: 64 lower-case hexadecimal digits each */
    struct config_expression *subject; /* or NULL */
    struct config_list sans;           /* "DNS:node7.example.com", "email:*@example.com", "URI:...", "IP:..." */
};

/* [server]: the process. All defaults come from the table in config/schema.h. */
struct config_server {
    struct config_section *section; /* NULL where the file has no [server] */
    unsigned workers;               /* 0: one per core that this process may run on */
    bool pin_workers;               /* each to a processor of its own, where there are enough */
    unsigned handshake_threads;     /* 0: as many as workers */
    unsigned file_threads;          /* threads for calls that may block: open, fsync, rename, listing */
    unsigned max_connections;       /* over all workers */
    unsigned max_connections_per_address;
    unsigned max_requests; /* on one connection; then it is closed in good order */
    uint64_t header_limit; /* bytes of one request head */
    uint64_t max_upload;   /* bytes of one body; 0: no limit but the disk's */
    unsigned upload_keep;  /* milliseconds that an unfinished upload stays */
    unsigned max_unfinished_uploads;
    unsigned max_unfinished_per_sender; /* 0: a share of these */
    unsigned handshake_timeout;         /* milliseconds; durations in the file have a unit: 10s, 500ms, 2m */
    unsigned header_timeout;            /* milliseconds, from a head's first byte to its last */
    unsigned idle_timeout;              /* milliseconds, between requests and without progress in a body */
    enum config_events events;
    enum config_events_to events_to;
    enum config_transfer_events transfer_events; /* which of them are told as events: T01I, T14I */
    char *user, *group;           /* to become once the ports are taken; NULL: stay who we are */
    char *password_file;          /* NULL: nobody has a password */
    char *catalog;                /* where transfers are recorded; NULL: nowhere */
    unsigned max_messages;        /* of one sender, that nobody has acknowledged; 0: any number */
    unsigned catalog_keep_days;   /* of what has ended; 0: for ever */
    bool strict_partner_profiles; /* a partner's server-profile that is missing refuses the session */
    unsigned expiry_warning_days; /* a certificate that expires within these is warned about */
};

struct config_store {
    struct config_section *section;
    char *name;
    char *root;                   /* an existing directory is checked for when the store is opened, not here */
    enum config_access anonymous; /* where there is no [class]: what those may do who are not authenticated */
    /*
     * Who may do what: "user:NAME", "partner:NAME", "class:NAME", "group:NAME", "authenticated" or "anyone". All four
     * empty: `anonymous` says it. Where `list` is not given, those who may read may list.
     */
    struct config_list read, write, list, delete;
    enum config_path path;
    enum config_overwrite overwrite;
    bool immutable; /* a file that has its name never changes any more */
};

struct config_profile {
    struct config_section *section;
    enum config_role role;
    char *name;
    struct config_list certificate; /* PEM, DER or PKCS#12; several for several types of key */
    struct config_list key;         /* in the order of the certificates, leaving out PKCS#12, which has its own */
    struct config_list key_passphrase_file; /* one for all keys, or one for each; the first line counts */
    struct config_list trust;               /* files or directories; "system" alone means the system's store */
    enum config_verify verify;              /* optional only for servers, enforced only for clients */
    bool insecure;                          /* client only: allows verify = none */
    struct config_list ciphers; /* as written: IANA names, OpenSSL names or decimal numbers; empty: the default list */
    unsigned min_version, max_version;          /* 0x0303 or 0x0304, as on the wire */
    enum config_hostname hostname;              /* client only */
    char *hostname_value;                       /* for CONFIG_HOSTNAME_NAMED */
    struct config_expression *subject, *issuer; /* of the peer's certificate; NULL: any */
    unsigned depth;                             /* CA certificates between the peer's and the trusted one */
    enum config_key_usage key_usage;
    struct config_list groups, signature_algorithms; /* OpenSSL's names; empty: its defaults */
    struct config_list crl;                          /* files */
    enum config_ocsp ocsp;                           /* client only */
    char *ocsp_response;                             /* server only: DER, to be stapled; NULL: none */
    char *save_chain;                                /* directory for the peers' chains; NULL: they are not kept */
    enum config_offload offload;
    bool fips;
    char *note; /* free text for events; NULL: none */
};

struct config_protocol {
    struct config_section *section;
    char *name;
    struct config_addresses listen;              /* none: requester-only */
    const struct config_profile *server_profile; /* set where listen is */
    const struct config_profile *client_profile; /* the default for outgoing sessions, or NULL */
    const struct config_store *store;            /* set where listen is */
};

struct config_partner {
    struct config_section *section;
    char *name;
    struct config_addresses host;
    const struct config_protocol *protocol;      /* or NULL */
    const char *profile;                         /* as named by the partner itself; NULL: it names none */
    const struct config_profile *client_profile; /* the partner's own, else its protocol's. NULL: none (T47E) */
    const struct config_profile *server_profile; /* the additional checks; NULL with `profile` named: missing (T47W) */
    struct config_match match;
    char *home;                /* a folder of the store that is all it sees; NULL: the whole store */
    char *login;               /* outgoing: the user name to log in with; NULL: none */
    char *login_password_file; /* outgoing: its first line is the password */
    unsigned at_once;          /* queued transfers with it that may run at the same time */
    unsigned retry_fast;       /* quick tries after the first */
    unsigned retry_wait;       /* milliseconds before the first slow try; doubled after each */
    unsigned retry_max;        /* tries after the first, quick ones included */
    uint64_t limit_rate;       /* bytes per second: of a transfer to it, and of all its sessions here. 0: no limit */
};

/* A kind of visitor. The first class, in `order`, that a visitor matches decides. */
struct config_class {
    struct config_section *section;
    char *name;
    struct config_list users, groups, partners; /* patterns (config_glob); all three empty: everyone */
    struct config_networks from;                /* empty: from everywhere */
    unsigned order;                             /* lower ones first; equal ones as they stand in the file */
    enum config_need tls;                       /* optional or required */
    enum config_need certificate, password;
    bool plain_password;
};

struct config_user {
    struct config_section *section;
    char *name;
    struct config_match match;
    struct config_list groups;
    const struct config_partner *partner; /* whose sessions these are, checks included; or NULL */
    char *home;
    bool disabled;
};

/* What a hook can run after: bits. */
enum config_hook_event {
    CONFIG_HOOK_RECEIVED = 1,
    CONFIG_HOOK_SENT = 2,
    CONFIG_HOOK_FAILED = 4,
    CONFIG_HOOK_MESSAGE = 8
};

/* A program that the server runs after transfers. */
struct config_hook {
    struct config_section *section;
    char *name;
    unsigned on;                 /* of enum config_hook_event */
    struct config_list command;  /* the program, an absolute path, and its arguments */
    struct config_list partners; /* patterns (config_glob) for partners and users; empty: after all transfers */
    unsigned timeout;            /* milliseconds that one run may take */
    unsigned at_once;            /* runs that may go on at the same time; others wait */
};

enum config_watch_then { CONFIG_WATCH_KEEP, CONFIG_WATCH_MOVE, CONFIG_WATCH_DELETE };

/* A folder whose files are sent to a partner. */
struct config_watch {
    struct config_section *section;
    char *name;
    char *folder;
    const struct config_partner *partner;
    char *to;                 /* folder at the partner; NULL: where its store begins */
    struct config_list files; /* patterns for names; empty: all */
    enum config_watch_then then;
    char *move_to; /* set where `then` is to move */
};

struct config {
    char *file; /* as given to config_load */
    struct config_server server;
    struct config_store *stores;
    size_t store_count;
    struct config_profile *profiles; /* both roles; a profile's key is (role, name) */
    size_t profile_count;
    struct config_protocol *protocols;
    size_t protocol_count;
    struct config_partner *partners;
    size_t partner_count;
    struct config_class *classes; /* in the order in which they are tried */
    size_t class_count;
    struct config_user *users;
    size_t user_count;
    struct config_hook *hooks;
    size_t hook_count;
    struct config_watch *watches;
    size_t watch_count;
    struct config_section *sections; /* private: every section and key with its line */
    size_t section_count;
};

/*
 * Reads and checks a file. Returns the model, which the caller frees with config_free(), or NULL after at least one
 * error was added to `errors`. Warnings may be added either way.
 */
struct config *config_load(const char *file, struct config_errors *errors);

/* The same for text that is already in memory; `file` is only the name that messages use and relative paths follow. */
struct config *config_parse(const char *file, const char *text, size_t length, struct config_errors *errors);

/* Frees the model and everything it owns. NULL is allowed. */
void config_free(struct config *config);

const struct config_store *config_find_store(const struct config *, const char *name);
const struct config_protocol *config_find_protocol(const struct config *, const char *name);
const struct config_partner *config_find_partner(const struct config *, const char *name);
const struct config_class *config_find_class(const struct config *, const char *name);
const struct config_user *config_find_user(const struct config *, const char *name);
const struct config_hook *config_find_hook(const struct config *, const char *name);
const struct config_profile *config_find_profile(const struct config *, enum config_role, const char *name);

/*
 * A profile made without a file, with every default of the table: what a client uses for an https:// URL. The caller
 * sets fields (strings from malloc) and frees it with config_profile_free().
 */
struct config_profile *config_profile_default(enum config_role role);
void config_profile_free(struct config_profile *profile);

/* How many sections, as they are written, two models do not share: for the event of a reload. */
struct config_difference {
    size_t added, changed, removed;
};
void config_compare(const struct config *before, const struct config *after, struct config_difference *difference);

#endif
