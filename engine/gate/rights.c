/* What an identity may do with a store. */
#include <string.h>

#include "engine/gate/gate_internal.h"

static bool is_user(const struct gate_identity *identity, const char *name)
{
    const char *user = gate_user_name(identity);
    return user && strcmp(user, name) == 0;
}

static bool is_partner(const struct gate_identity *identity, const char *name)
{
    return identity->partner && strcmp(identity->partner->name, name) == 0;
}

static bool is_class(const struct gate_identity *identity, const char *name)
{
    return identity->class && strcmp(identity->class->name, name) == 0;
}

static bool is_in_group(const struct gate_identity *identity, const char *name)
{
    for (size_t i = 0; identity->user && i < identity->user->groups.count; i++) {
        if (strcmp(identity->user->groups.items[i], name) == 0)
            return true;
    }
    return false;
}

static bool grant_holds(const char *grant, const struct gate_identity *identity)
{
    static const struct {
        const char *kind;
        bool (*holds)(const struct gate_identity *identity, const char *name);
    } kinds[] = { { "user:", is_user }, { "partner:", is_partner }, { "class:", is_class }, { "group:", is_in_group } };
    if (strcmp(grant, "anyone") == 0)
        return true;
    if (strcmp(grant, "authenticated") == 0)
        return identity->means != GATE_NOTHING;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t length = strlen(kinds[i].kind);
        if (strncmp(grant, kinds[i].kind, length) == 0)
            return kinds[i].holds(identity, grant + length);
    }
    return false;
}

static bool granted(const struct config_list *grants, const struct gate_identity *identity)
{
    for (size_t i = 0; i < grants->count; i++) {
        if (grant_holds(grants->items[i], identity))
            return true;
    }
    return false;
}

static unsigned rights_without_grants(const struct config_store *store, const struct gate_identity *identity)
{
    static const unsigned anonymous[] = {
        [CONFIG_ACCESS_NONE] = 0,
        [CONFIG_ACCESS_READ] = GATE_READ | GATE_LIST,
        [CONFIG_ACCESS_WRITE] = GATE_READ | GATE_LIST | GATE_WRITE,
    };
    if (identity->means != GATE_NOTHING)
        return GATE_READ | GATE_LIST | GATE_WRITE;
    return anonymous[store->anonymous];
}

unsigned gate_rights(const struct gate *gate, const struct config_store *store, const struct gate_identity *identity)
{
    (void)gate;
    if (!store->read.count && !store->write.count && !store->list.count && !store->delete.count)
        return rights_without_grants(store, identity);
    const struct config_list *list = store->list.count ? &store->list : &store->read;
    unsigned rights = 0;
    rights |= granted(&store->read, identity) ? GATE_READ : 0;
    rights |= granted(list, identity) ? GATE_LIST : 0;
    rights |= granted(&store->write, identity) ? GATE_WRITE : 0;
    rights |= granted(&store->delete, identity) ? GATE_DELETE : 0;
    return rights;
}

const char *gate_home(const struct gate_identity *identity)
{
    if (identity->user && identity->user->home)
        return identity->user->home;
    return identity->partner ? identity->partner->home : NULL;
}
