/*
 * What no single value shows: references between sections, and combinations that make no sense or no safety.
 */
#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "config/internal.h"

#define REPORT(severity, section, key, ...) config_errors_add_at(errors, (severity), (section), (key), __VA_ARGS__)

/* A rule about a profile: where it holds, and what to say at which key. */
struct profile_rule {
    bool (*broken)(const struct config_profile *profile);
    enum config_severity severity;
    const char *key;
    const char *text;
};

bool config_given(const struct config_section *section, const char *key)
{
    return config_entry_find(section, key) != NULL;
}

static bool trusts_system(const struct config_profile *profile)
{
    for (size_t i = 0; i < profile->trust.count; i++) {
        if (strcmp(profile->trust.items[i], "system") == 0)
            return true;
    }
    return false;
}

static bool key_without_certificate(const struct config_profile *profile)
{
    return config_given(profile->section, "key") && !config_given(profile->section, "certificate") &&
           profile->role == CONFIG_CLIENT;
}

static bool passphrase_without_certificate(const struct config_profile *profile)
{
    return config_given(profile->section, "key_passphrase_file") && !config_given(profile->section, "certificate") &&
           profile->role == CONFIG_CLIENT;
}

static bool versions_crossed(const struct config_profile *profile)
{
    return profile->min_version > profile->max_version;
}

static bool verifies_without_trust(const struct config_profile *profile)
{
    return profile->verify != CONFIG_VERIFY_NONE && profile->trust.count == 0 &&
           !config_given(profile->section, "trust");
}

static bool system_among_others(const struct config_profile *profile)
{
    return profile->trust.count > 1 && trusts_system(profile);
}

static bool server_trusts_system(const struct config_profile *profile)
{
    return profile->role == CONFIG_SERVER && profile->verify != CONFIG_VERIFY_NONE && trusts_system(profile);
}

static bool client_verifies_nobody(const struct config_profile *profile)
{
    return profile->role == CONFIG_CLIENT && profile->verify == CONFIG_VERIFY_NONE;
}

static bool unverified_without_leave(const struct config_profile *profile)
{
    return client_verifies_nobody(profile) && !profile->insecure;
}

static bool unverified_with_leave(const struct config_profile *profile)
{
    return client_verifies_nobody(profile) && profile->insecure;
}

static bool enforced_without_certificate(const struct config_profile *profile)
{
    return profile->verify == CONFIG_VERIFY_ENFORCED && !config_given(profile->section, "certificate");
}

static const struct profile_rule profile_rules[] = {
    { key_without_certificate, CONFIG_ERROR, "key", "key has no certificate: add certificate, or remove key" },
    { passphrase_without_certificate, CONFIG_ERROR, "key_passphrase_file",
      "key_passphrase_file has no certificate: add certificate, or remove key_passphrase_file" },
    { versions_crossed, CONFIG_ERROR, "min_version",
      "min_version is newer than max_version: lower the one or raise the other" },
    { verifies_without_trust, CONFIG_ERROR, "verify",
      "trust is missing: name the CA certificates that client certificates must come from, or write verify = none" },
    { system_among_others, CONFIG_ERROR, "trust",
      "trust has \"system\" beside other entries: it stands alone, remove it or the others" },
    { server_trusts_system, CONFIG_WARNING, "trust",
      "trust = system lets in every client with a certificate of any public CA, to read and write the store: name your "
      "own CA" },
    { unverified_without_leave, CONFIG_ERROR, "verify",
      "verify = none authenticates nothing, anyone in between can read and change everything: write verify = required, "
      "or insecure = yes if that is what you want" },
    { unverified_with_leave, CONFIG_WARNING, "verify",
      "verify = none authenticates nothing, anyone in between can read and change everything: use it for tests only" },
    { enforced_without_certificate, CONFIG_ERROR, "verify",
      "verify = enforced needs our certificate: add certificate and key, or write verify = required" },
};

static bool holds_additional_checks(const struct config *config, const struct config_profile *profile)
{
    for (size_t i = 0; i < config->partner_count; i++) {
        const char *name = config_reference(config->partners[i].section, "profile");
        if (profile->role == CONFIG_SERVER && name && strcmp(name, profile->name) == 0)
            return true;
    }
    return false;
}

/* What is held against the peer's certificate, where none is asked for or any will do. */
static void check_unused(const struct config *config, const struct config_profile *profile,
                         struct config_errors *errors)
{
    static const char *const keys[] = { "subject", "issuer", "crl" };
    bool server = profile->role == CONFIG_SERVER;
    if (profile->verify != CONFIG_VERIFY_NONE || holds_additional_checks(config, profile))
        return;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (config_given(profile->section, keys[i]))
            REPORT(CONFIG_WARNING, profile->section, keys[i],
                   "%s is never looked at: verify = none %s; remove it, or write %s", keys[i],
                   server ? "asks for no certificate" : "takes any certificate",
                   server ? "verify = required or optional" : "verify = required");
    }
    if (profile->ocsp == CONFIG_OCSP_STAPLE)
        REPORT(CONFIG_WARNING, profile->section, "ocsp",
               "ocsp = staple is never looked at: verify = none takes any certificate; remove it, or write verify = "
               "required");
}

static void check_profile(const struct config *config, const struct config_profile *profile,
                          struct config_errors *errors)
{
    check_unused(config, profile, errors);
    for (size_t i = 0; i < sizeof(profile_rules) / sizeof(profile_rules[0]); i++) {
        const struct profile_rule *rule = &profile_rules[i];
        if (rule->broken(profile))
            REPORT(rule->severity, profile->section, rule->key, "%s", rule->text);
    }
}

const char *config_reference(const struct config_section *section, const char *key)
{
    const struct config_entry *entry = config_entry_find(section, key);
    return entry && entry->value[0] ? entry->value : NULL;
}

const char *config_nearest(const struct config *config, const char *kind, const char *name)
{
    struct config_suggestion near = { .wanted = name };
    for (size_t i = 0; i < config->section_count; i++) {
        const struct config_section *section = &config->sections[i];
        if (section->schema && strcmp(section->schema->name, kind) == 0)
            config_suggest(&near, section->name);
    }
    return near.best;
}

void config_report_dangling(const struct config *config, const struct config_section *section, const char *key,
                            const char *kind, const char *id, struct config_errors *errors)
{
    const char *name = config_reference(section, key);
    const char *near = config_nearest(config, kind, name);
    if (near)
        REPORT(CONFIG_ERROR, section, key, "%s%s \"%s\": there is no [%s %s]: did you mean \"%s\"?", id, key, name,
               kind, name, near);
    else
        REPORT(CONFIG_ERROR, section, key, "%s%s \"%s\": there is no [%s %s]: add that section, or name another", id,
               key, name, kind, name);
}

static void join_protocol_store(const struct config *config, struct config_protocol *protocol, bool listens,
                                struct config_errors *errors)
{
    const char *name = config_reference(protocol->section, "store");
    protocol->store = name ? config_find_store(config, name) : NULL;
    if (name && !protocol->store)
        config_report_dangling(config, protocol->section, "store", "store", "", errors);
    else if (listens && !config_given(protocol->section, "store"))
        REPORT(CONFIG_ERROR, protocol->section, "listen",
               "store is missing: a protocol that listens serves one, add it");
}

static void join_protocol_profile(const struct config *config, struct config_protocol *protocol, bool listens,
                                  struct config_errors *errors)
{
    const char *name = config_reference(protocol->section, "profile");
    if (!name) {
        if (listens && !config_given(protocol->section, "profile"))
            REPORT(CONFIG_ERROR, protocol->section, "listen",
                   "P20F: profile is missing: a protocol that listens needs a server-profile, add it");
        return;
    }
    protocol->client_profile = config_find_profile(config, CONFIG_CLIENT, name);
    if (listens) {
        protocol->server_profile = config_find_profile(config, CONFIG_SERVER, name);
        if (!protocol->server_profile)
            config_report_dangling(config, protocol->section, "profile", "server-profile", "P20F: ", errors);
    } else if (!protocol->client_profile) {
        if (config_find_profile(config, CONFIG_SERVER, name))
            REPORT(CONFIG_ERROR, protocol->section, "profile",
                   "profile \"%s\" is a server-profile, but a protocol without listen is for outgoing sessions: add "
                   "listen, or name a client-profile",
                   name);
        else
            config_report_dangling(config, protocol->section, "profile", "client-profile", "", errors);
    }
}

static bool same_host(const char *a, const char *b)
{
    unsigned char address_a[sizeof(struct in6_addr)], address_b[sizeof(struct in6_addr)];
    if (inet_pton(AF_INET, a, address_a) == 1 && inet_pton(AF_INET, b, address_b) == 1)
        return memcmp(address_a, address_b, sizeof(struct in_addr)) == 0;
    if (inet_pton(AF_INET6, a, address_a) == 1 && inet_pton(AF_INET6, b, address_b) == 1)
        return memcmp(address_a, address_b, sizeof(struct in6_addr)) == 0;
    return strcasecmp(a, b) == 0;
}

static bool same_address(const struct config_address *a, const struct config_address *b)
{
    return a->port == b->port && a->port != 0 && same_host(a->host, b->host);
}

/* Looks for an address among those listed before it: in earlier protocols, and earlier in its own. */
static void check_listen(const struct config *config, size_t protocol, size_t index, struct config_errors *errors)
{
    const struct config_protocol *here = &config->protocols[protocol];
    const struct config_address *address = &here->listen.items[index];
    for (size_t i = 0; i <= protocol; i++) {
        const struct config_protocol *there = &config->protocols[i];
        size_t count = there == here ? index : there->listen.count;
        for (size_t j = 0; j < count; j++) {
            if (!same_address(address, &there->listen.items[j]))
                continue;
            bool bracket = strchr(address->host, ':') != NULL;
            REPORT(CONFIG_ERROR, here->section, "listen",
                   "listen %s%s%s:%u is taken by protocol \"%s\" in line %u: choose another port, or remove one",
                   bracket ? "[" : "", address->host, bracket ? "]" : "", address->port, there->name,
                   config_entry_find(there->section, "listen")->line);
            return;
        }
    }
}

static void check_idle(const struct config *config, struct config_errors *errors)
{
    for (size_t i = 0; i < config->section_count; i++) {
        const struct config_section *section = &config->sections[i];
        if (config_given(section, "listen") || config_given(section, "host"))
            return;
    }
    if (errors->error_count == 0)
        config_errors_add(
            errors, CONFIG_WARNING, config->file, 0,
            "no protocol listens and no partner has a host: there is nothing to do; add a [protocol NAME] "
            "or a [partner NAME]");
}

static void check_server(const struct config_server *server, struct config_errors *errors)
{
    if (config_given(server->section, "group") && !config_given(server->section, "user"))
        REPORT(CONFIG_ERROR, server->section, "group", "group has no user: add user, or remove group");
}

bool config_listeners_all(const struct config *config, enum config_verify verify)
{
    size_t listeners = 0;
    for (size_t i = 0; i < config->protocol_count; i++) {
        const struct config_protocol *protocol = &config->protocols[i];
        if (!config_given(protocol->section, "listen"))
            continue;
        if (!protocol->server_profile || protocol->server_profile->verify != verify)
            return false;
        listeners++;
    }
    return listeners > 0;
}

void config_rules(struct config *config, struct config_errors *errors)
{
    for (size_t i = 0; i < config->profile_count; i++)
        check_profile(config, &config->profiles[i], errors);
    for (size_t i = 0; i < config->protocol_count; i++) {
        struct config_protocol *protocol = &config->protocols[i];
        bool listens = config_given(protocol->section, "listen");
        join_protocol_store(config, protocol, listens, errors);
        join_protocol_profile(config, protocol, listens, errors);
        for (size_t j = 0; j < protocol->listen.count; j++)
            check_listen(config, i, j, errors);
    }
    check_server(&config->server, errors);
    config_partner_rules(config, errors);
    config_class_rules(config, errors);
    config_claim_rules(config, errors);
    config_hook_rules(config, errors);
    config_watch_rules(config, errors);
    check_idle(config, errors);
}
