#include "engine/catalog/catalog_internal.h"

#include <errno.h>

#include "engine/catalog/job.h"

static bool is_over(enum catalog_state state)
{
    return state == CATALOG_DONE || state == CATALOG_FAILED || state == CATALOG_CANCELLED ||
           state == CATALOG_ACKNOWLEDGED;
}

static int set(struct catalog *catalog, uint64_t id, enum catalog_state to, const char *event, const char *reason)
{
    static const char sql[] = "UPDATE transfer SET state = ?2, owner = ?3, begun = coalesce(?4, begun), ended = ?5,"
                              " event = coalesce(?6, event), reason = coalesce(?7, reason), rate = NULL WHERE id = ?1";
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
    enum catalog_state state = CATALOG_WAITING;
    int rc = alone ? catalog_begin(catalog) : 0;

    if (rc < 0)
        return rc;
    rc = catalog_job_state(catalog, id, &state);
    if (rc == 0 && found)
        *found = state;
    if (rc == 0 && !(CATALOG_STATE_BIT(state) & from))
        rc = -EBUSY;
    if (rc == 0)
        rc = set(catalog, id, to, event, reason);
    return alone ? catalog_end(catalog, rc) : rc;
}
