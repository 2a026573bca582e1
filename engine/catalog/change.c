#include "engine/catalog/catalog_internal.h"

#include <errno.h>

static int state_of(struct catalog *catalog, uint64_t id, int *state)
{
    static const char sql[] = "SELECT state FROM transfer WHERE id = ?1";
    int rc;
    sqlite3_stmt *statement = catalog_statement(catalog, sql, &rc);

    if (!statement)
        return rc;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)id);
    int result = sqlite3_step(statement);
    *state = result == SQLITE_ROW ? sqlite3_column_int(statement, 0) : -1;
    rc = catalog_error(catalog, result);
    sqlite3_reset(statement);
    if (rc == 0 && (*state < 0 || *state >= CATALOG_STATES))
        return -ENOENT;
    return rc;
}

static bool is_over(enum catalog_state state)
{
    return state == CATALOG_DONE || state == CATALOG_FAILED || state == CATALOG_CANCELLED ||
           state == CATALOG_ACKNOWLEDGED;
}

static int set(struct catalog *catalog, uint64_t id, enum catalog_state to, const char *event, const char *reason)
{
    static const char sql[] = "UPDATE transfer SET state = ?2, owner = ?3, begun = coalesce(?4, begun), ended = ?5,"
                              " event = coalesce(?6, event), reason = coalesce(?7, reason) WHERE id = ?1";
    int rc = to == CATALOG_RUNNING ? catalog_owner_have(catalog) : 0;

    if (rc < 0)
        return rc;
    sqlite3_stmt *statement = catalog_statement(catalog, sql, &rc);
    if (!statement)
        return rc;
    sqlite3_clear_bindings(statement);
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)id);
    sqlite3_bind_int(statement, 2, (int)to);
    if (to == CATALOG_RUNNING) {
        sqlite3_bind_int64(statement, 3, catalog->owner);
        sqlite3_bind_int64(statement, 4, (sqlite3_int64)catalog_now());
    }
    if (is_over(to))
        sqlite3_bind_int64(statement, 5, (sqlite3_int64)catalog_now());
    catalog_bind_text(statement, 6, event);
    catalog_bind_bytes(statement, 7, reason);
    return catalog_step(catalog, statement);
}

int catalog_change(struct catalog *catalog, uint64_t id, unsigned from, enum catalog_state to, const char *event,
                   const char *reason, enum catalog_state *found)
{
    bool alone = !catalog->in_transaction;
    int state = -1;
    int rc = alone ? catalog_begin(catalog) : 0;

    if (rc < 0)
        return rc;
    rc = state_of(catalog, id, &state);
    if (rc == 0 && found)
        *found = (enum catalog_state)state;
    if (rc == 0 && !(CATALOG_STATE_BIT(state) & from))
        rc = -EBUSY;
    if (rc == 0)
        rc = set(catalog, id, to, event, reason);
    if (alone && rc == 0)
        rc = catalog_commit(catalog);
    if (alone && rc < 0)
        catalog_rollback(catalog);
    return rc;
}
