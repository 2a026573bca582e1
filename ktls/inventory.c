#include "ktls/inventory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ktls/credentials_internal.h"
#include "ktls/peer_internal.h"

/* A certificate while it is collected. */
struct found {
    X509 *certificate;
    struct tls_peer *peer; /* owns the strings */
    char *file, *used_by;
    unsigned uses;
    int issuer;                           /* place in the list, or as in the public header */
    const struct config_section *section; /* where it was found first, and under which key: as long as the model */
    const char *key;
};

struct collection {
    struct found *items;
    size_t count;
    bool no_memory;
    char *system_used_by;
    X509_STORE *system; /* opened when it is first needed */
    bool system_asked;
    /* what is being read */
    const struct load *load;
    const struct config_profile *profile;
};

/* What the caller gets, and behind it what it points into. */
struct owner {
    struct collection collection;
    struct tls_inventory inventory; /* last: its items follow */
};

static const char *use_name(unsigned use)
{
    return use == TLS_USE_OWN ? "own" : use == TLS_USE_CHAIN ? "chain" : "trust";
}

/* Adds "server-profile NAME (own)" to the list in *text, once. */
static void add_use(struct collection *collection, char **text, unsigned use)
{
    const struct config_profile *profile = collection->profile;
    char *one, *all;
    if (asprintf(&one, "%s %s (%s)", profile->role == CONFIG_SERVER ? "server-profile" : "client-profile",
                 profile->name ? profile->name : "", use_name(use)) < 0) {
        collection->no_memory = true;
        return;
    }
    if (*text && strstr(*text, one)) {
        free(one);
        return;
    }
    int length = asprintf(&all, "%s%s%s", *text ? *text : "", *text ? ", " : "", one);
    free(one);
    if (length < 0) {
        collection->no_memory = true;
        return;
    }
    free(*text);
    *text = all;
}

static struct found *find(const struct collection *collection, const X509 *certificate)
{
    for (size_t i = 0; i < collection->count; i++)
        if (X509_cmp(collection->items[i].certificate, certificate) == 0)
            return &collection->items[i];
    return NULL;
}

static struct found *append(struct collection *collection, X509 *certificate, const char *file, const char *key)
{
    int error;
    struct tls_peer *peer = tls_peer_new(certificate, &error);
    if (!peer && error != -ENOMEM) {
        load_problem(collection->load, CONFIG_ERROR, key,
                     "%s \"%s\" has a certificate with a name or date that cannot be read; have it made anew", key,
                     file);
        return NULL;
    }
    struct found *items = peer ? reallocarray(collection->items, collection->count + 1, sizeof *items) : NULL;
    char *copy = items ? strdup(file) : NULL;
    if (items)
        collection->items = items;
    if (!copy || !X509_up_ref(certificate)) {
        free(copy);
        tls_peer_free(peer);
        collection->no_memory = true;
        return NULL;
    }
    items[collection->count] = (struct found){
        .certificate = certificate, .peer = peer, .file = copy, .section = collection->load->section, .key = key
    };
    return &items[collection->count++];
}

static void add(struct collection *collection, X509 *certificate, const char *file, const char *key, unsigned use)
{
    struct found *found = find(collection, certificate);
    if (!found)
        found = append(collection, certificate, file, key);
    if (!found)
        return;
    found->uses |= use;
    add_use(collection, &found->used_by, use);
}

/* ---- what the profiles name ---- */

static const char *add_trusted(void *collection, X509 *certificate, const char *file)
{
    add(collection, certificate, file, "trust", TLS_USE_TRUST);
    return NULL;
}

static void read_own(struct collection *collection)
{
    const struct config_list *files = &collection->profile->certificate;
    for (size_t i = 0; i < files->count; i++) {
        struct load_passphrase passphrase = { 0 };
        struct load_own own;
        /* Only PKCS#12 needs one here; a certificate alone is no secret. */
        load_passphrase(collection->load, credentials_passphrase(collection->profile, i), &passphrase);
        load_own(collection->load, files->items[i], &passphrase, &own);
        OPENSSL_cleanse(&passphrase, sizeof passphrase);
        for (int place = 0; own.certificates && place < sk_X509_num(own.certificates); place++)
            add(collection, sk_X509_value(own.certificates, place), files->items[i], "certificate",
                place ? TLS_USE_CHAIN : TLS_USE_OWN);
        load_own_free(&own);
    }
}

static void collect(struct collection *collection, const struct config *config, struct config_errors *problems)
{
    for (size_t i = 0; i < config->profile_count; i++) {
        const struct load load = { .errors = problems, .section = config->profiles[i].section };
        collection->load = &load;
        collection->profile = &config->profiles[i];
        read_own(collection);
        if (trust_read(&load, collection->profile, add_trusted, collection))
            add_use(collection, &collection->system_used_by, TLS_USE_TRUST);
    }
    collection->load = NULL;
    collection->profile = NULL;
}

/* ---- who issued whom ---- */

static bool in_system(struct collection *collection, X509 *certificate)
{
    if (!collection->system_asked)
        collection->system = trust_system_store(NULL, NULL);
    collection->system_asked = true;
    X509 *issuer = collection->system ? chain_find_issuer(collection->system, certificate) : NULL;
    X509_free(issuer);
    return issuer != NULL;
}

/* Two that issued each other (cross-signed) must not hang below one another. */
static bool is_above(const struct collection *collection, int lower, int upper)
{
    for (int at = lower; at >= 0; at = collection->items[at].issuer) {
        if (at == upper)
            return true;
        if (collection->items[at].issuer == at)
            break;
    }
    return false;
}

static int find_issuer(struct collection *collection, int index)
{
    X509 *certificate = collection->items[index].certificate;
    if (chain_is_root(certificate))
        return index;
    for (int i = 0; i < (int)collection->count; i++)
        if (i != index && chain_issued(collection->items[i].certificate, certificate) &&
            !is_above(collection, i, index))
            return i;
    return in_system(collection, certificate) ? TLS_ISSUER_SYSTEM : TLS_ISSUER_MISSING;
}

static void join(struct collection *collection)
{
    for (size_t i = 0; i < collection->count; i++)
        collection->items[i].issuer = TLS_ISSUER_MISSING;
    for (size_t i = 0; i < collection->count; i++)
        collection->items[i].issuer = find_issuer(collection, (int)i);
}

/* ---- in the order of the tree ---- */

static void fill(struct tls_certificate *out, const struct found *found, unsigned depth, int issuer)
{
    const struct tls_peer *peer = found->peer;
    *out = (struct tls_certificate){ .subject = peer->subject,
                                     .issuer = peer->issuer,
                                     .serial = peer->serial,
                                     .fingerprint = peer->fingerprint,
                                     .key = peer->key,
                                     .file = found->file,
                                     .used_by = found->used_by ? found->used_by : "",
                                     .uses = found->uses,
                                     .not_before = peer->not_before,
                                     .not_after = peer->not_after,
                                     .days_left = tls_peer_days(peer),
                                     .issuer_index = issuer,
                                     .depth = depth };
}

/*
 * Puts the certificate at `index` behind what is there already, and behind it what it issued. Without recursion: chains
 * come from files. `next` has, for each on the way down, the one to look at next.
 */
static void put_tree(const struct collection *collection, struct tls_inventory *inventory, int root, int *next,
                     int *places)
{
    int at = root;
    unsigned depth = 0;
    int issuer = collection->items[root].issuer;
    places[root] = (int)inventory->count;
    fill(&inventory->items[inventory->count], &collection->items[root], 0, issuer == root ? places[root] : issuer);
    inventory->count++;
    next[root] = 0;
    while (at != -1) {
        int child = next[at];
        while (child < (int)collection->count && (child == at || collection->items[child].issuer != at))
            child++;
        next[at] = child + 1;
        if (child == (int)collection->count) {
            at = at == root ? -1 : collection->items[at].issuer;
            depth--;
            continue;
        }
        depth++;
        places[child] = (int)inventory->count;
        fill(&inventory->items[inventory->count++], &collection->items[child], depth, places[at]);
        next[child] = 0;
        at = child;
    }
}

/* Roots first, then what hangs in the air. */
static bool order(const struct collection *collection, struct tls_inventory *inventory)
{
    int *next = calloc(collection->count + 1, sizeof *next), *places = calloc(collection->count + 1, sizeof *places);
    bool ok = next && places;
    for (int pass = 0; ok && pass < 2; pass++) {
        for (int i = 0; i < (int)collection->count; i++) {
            int issuer = collection->items[i].issuer;
            if (pass == 0 ? issuer == i : issuer < 0)
                put_tree(collection, inventory, i, next, places);
        }
    }
    free(next);
    free(places);
    return ok;
}

static size_t count_system(struct collection *collection)
{
    if (!collection->system_asked)
        collection->system = trust_system_store(NULL, NULL);
    collection->system_asked = true;
    STACK_OF(X509) *all = collection->system ? X509_STORE_get1_all_certs(collection->system) : NULL;
    size_t count = all ? (size_t)sk_X509_num(all) : 0;
    load_free_certificates(all);
    return count;
}

static void clear(struct collection *collection)
{
    for (size_t i = 0; i < collection->count; i++) {
        struct found *found = &collection->items[i];
        X509_free(found->certificate);
        tls_peer_free(found->peer);
        free(found->file);
        free(found->used_by);
    }
    free(collection->items);
    free(collection->system_used_by);
    X509_STORE_free(collection->system);
}

static struct tls_inventory *finish(struct collection *collection, const struct config_errors *problems)
{
    join(collection);
    size_t system_count = collection->system_used_by ? count_system(collection) : 0;
    struct owner *owner = calloc(1, sizeof *owner + collection->count * sizeof *owner->inventory.items);
    if (!owner)
        return NULL;
    owner->inventory.problems = *problems;
    owner->inventory.system_count = system_count;
    owner->inventory.system_used_by = collection->system_used_by ? collection->system_used_by : "";
    if (!order(collection, &owner->inventory)) {
        free(owner);
        return NULL;
    }
    X509_STORE_free(collection->system); /* large, and of no more use */
    collection->system = NULL;
    owner->collection = *collection;
    return &owner->inventory;
}

struct tls_inventory *tls_inventory_new(const struct config *config)
{
    struct collection collection = { 0 };
    struct config_errors problems = { 0 };
    collect(&collection, config, &problems);
    struct tls_inventory *inventory = collection.no_memory ? NULL : finish(&collection, &problems);
    if (!inventory) {
        clear(&collection);
        config_errors_clear(&problems);
    }
    return inventory;
}

void tls_inventory_free(struct tls_inventory *inventory)
{
    if (!inventory)
        return;
    struct owner *owner = (struct owner *)((char *)inventory - offsetof(struct owner, inventory));
    clear(&owner->collection);
    config_errors_clear(&owner->inventory.problems);
    free(owner);
}

/* ---- what expires ---- */

static enum tls_expiry expiry_of(int days_left, unsigned warning_days)
{
    if (days_left < 0)
        return TLS_EXPIRY_PAST;
    return (unsigned)days_left < warning_days ? TLS_EXPIRY_SOON : TLS_EXPIRY_LATER;
}

enum tls_expiry tls_certificate_expiry(const struct tls_certificate *certificate, unsigned warning_days)
{
    return expiry_of(certificate->days_left, warning_days);
}

static void warn(const struct found *found, struct config_errors *errors)
{
    int days = tls_peer_days(found->peer);
    char day[32] = "an unreadable date", left[32] = "less than a day";
    struct tm tm;
    if (gmtime_r(&found->peer->not_after, &tm))
        strftime(day, sizeof day, "%Y-%m-%d", &tm);
    if (days)
        snprintf(left, sizeof left, "%d day%s", days, days == 1 ? "" : "s");
    config_errors_add_at(errors, CONFIG_WARNING, found->section, found->key,
                         "%s \"%s\": \"%s\" expires on %s, in %s; have it renewed, and put the new one there before "
                         "that (used by %s)",
                         found->key, found->file, found->peer->subject, day, left, found->used_by);
}

void tls_inventory_warn(const struct config *config, struct config_errors *errors)
{
    struct collection collection = { 0 };
    struct config_errors problems = { 0 };
    collect(&collection, config, &problems);
    for (size_t i = 0; i < collection.count; i++)
        if (collection.items[i].used_by &&
            expiry_of(tls_peer_days(collection.items[i].peer), config->server.expiry_warning_days) == TLS_EXPIRY_SOON)
            warn(&collection.items[i], errors);
    clear(&collection);
    config_errors_clear(&problems);
}
