/* Whose certificate is this, and who has this name? */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/gate/gate_internal.h"

/* From where on letters are the same in either case: all of a name of a host, what is behind the @ of an address. */
static const char *fold_all(const char *value)
{
    return value;
}

static const char *fold_domain(const char *value)
{
    const char *at = strrchr(value, '@');
    return at ? at : value + strlen(value);
}

static const char *fold_nothing(const char *value)
{
    return value + strlen(value);
}

static const struct {
    const char *kind;
    const char *(*fold)(const char *value);
} san_kinds[] = {
    { "DNS", fold_all },      /* RFC 4343 */
    { "email", fold_domain }, /* RFC 5280, 7.5 */
    { "IP", fold_all },       /* hexadecimal digits */
    { "URI", fold_nothing },
};

static char *folded(const char *value, const char *(*fold)(const char *value))
{
    char *copy = strdup(value);
    for (char *at = copy ? copy + (fold(value) - value) : NULL; at && *at; at++)
        *at = (char)tolower((unsigned char)*at);
    return copy;
}

/* `wanted`: KIND:PATTERN. Where memory ends, it does not match. */
static bool san_matches(const char *wanted, const struct tls_san *san)
{
    size_t length = strlen(san->kind);
    if (strncmp(wanted, san->kind, length) != 0 || wanted[length] != ':')
        return false;
    for (size_t i = 0; i < sizeof(san_kinds) / sizeof(san_kinds[0]); i++) {
        if (strcmp(san_kinds[i].kind, san->kind) != 0)
            continue;
        char *pattern = folded(wanted + length + 1, san_kinds[i].fold);
        char *value = folded(san->value, san_kinds[i].fold);
        bool matches = pattern && value && config_glob(pattern, value);
        free(pattern);
        free(value);
        return matches;
    }
    return false;
}

static bool has_san(const struct tls_peer *peer, const char *wanted)
{
    for (size_t i = 0; i < peer->san_count; i++) {
        if (san_matches(wanted, &peer->sans[i]))
            return true;
    }
    return false;
}

static bool match_holds(const struct config_match *match, const struct tls_peer *peer)
{
    for (size_t i = 0; i < match->fingerprints.count; i++) {
        if (strcmp(match->fingerprints.items[i], peer->fingerprint) == 0)
            return true;
    }
    if (match->subject && config_expression_match(match->subject, &peer->subject_name))
        return true;
    for (size_t i = 0; i < match->sans.count; i++) {
        if (has_san(peer, match->sans.items[i]))
            return true;
    }
    return false;
}

bool gate_owner_find(const struct config *config, const struct tls_peer *peer, struct gate_owner *owner, char *why,
                     size_t size)
{
    const char *kind[2], *name[2];
    unsigned found = 0;
    *owner = (struct gate_owner){ 0 };
    for (size_t i = 0; i < config->user_count && found < 2; i++) {
        const struct config_user *user = &config->users[i];
        if (!match_holds(&user->match, peer))
            continue;
        owner->user = user;
        kind[found] = "user";
        name[found++] = user->name;
    }
    for (size_t i = 0; i < config->partner_count && found < 2; i++) {
        const struct config_partner *partner = &config->partners[i];
        if (!match_holds(&partner->match, peer))
            continue;
        owner->partner = partner;
        kind[found] = "partner";
        name[found++] = partner->name;
    }
    if (found < 2)
        return true;
    *owner = (struct gate_owner){ 0 };
    snprintf(why, size, "the certificate belongs to %s \"%s\" and to %s \"%s\"", kind[0], name[0], kind[1], name[1]);
    return false;
}

static int compare_name(const void *name, const void *user)
{
    return strcmp(name, (*(const struct config_user *const *)user)->name);
}

static const struct config_user *find_user(const struct gate *gate, const char *name)
{
    if (!gate->users)
        return NULL;
    const struct config_user **found =
        bsearch(name, gate->users, gate->config->user_count, sizeof(*gate->users), compare_name);
    return found ? *found : NULL;
}

static void set_name(struct gate_identity *identity, const char *name)
{
    snprintf(identity->name, sizeof(identity->name), "%s", name);
}

void gate_identity_of_user(const struct gate *gate, const char *name, struct gate_identity *identity)
{
    *identity = (struct gate_identity){ .user = find_user(gate, name) };
    if (identity->user)
        identity->partner = identity->user->partner;
    set_name(identity, name);
}

void gate_identity_of_owner(const struct gate_owner *owner, struct gate_identity *identity)
{
    *identity = (struct gate_identity){ .user = owner->user, .partner = owner->partner };
    if (owner->user) {
        identity->partner = owner->user->partner;
        set_name(identity, owner->user->name);
    } else if (owner->partner) {
        set_name(identity, owner->partner->name);
    }
}

const char *gate_user_name(const struct gate_identity *identity)
{
    if (identity->user)
        return identity->user->name;
    return identity->partner || !identity->name[0] ? NULL : identity->name;
}
