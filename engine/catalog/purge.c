#include "engine/catalog/catalog_internal.h"

#include <errno.h>

#define STEP 5000 /* rows looked at in one transaction */

/* 0: there are none in [from, end). */
static int last_of_step(struct catalog *catalog, uint64_t from, uint64_t end, uint64_t *last)
{
    static const char sql[] =
        "SELECT max(id) FROM (SELECT id FROM transfer WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ?3)";
    int rc;
    sqlite3_stmt *statement = catalog_statement(catalog, sql, &rc);

    *last = 0;
    if (!statement)
        return rc;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)from);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)end);
    sqlite3_bind_int(statement, 3, STEP);
    int result = sqlite3_step(statement);
    if (result == SQLITE_ROW)
        *last = (uint64_t)sqlite3_column_int64(statement, 0);
    rc = catalog_error(catalog, result);
    sqlite3_reset(statement);
    return rc;
}

static int with_range(struct catalog *catalog, const char *sql, uint64_t from, uint64_t last, uint64_t before)
{
    int rc;
    sqlite3_stmt *statement = catalog_statement(catalog, sql, &rc);

    if (!statement)
        return rc;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)from);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)last);
    if (sqlite3_bind_parameter_count(statement) == 3)
        sqlite3_bind_int64(statement, 3, before > INT64_MAX ? INT64_MAX : (sqlite3_int64)before);
    return catalog_step(catalog, statement);
}

static int step(struct catalog *catalog, uint64_t from, uint64_t last, uint64_t before, uint64_t *removed)
{
    static const char transfers[] = "DELETE FROM transfer WHERE id BETWEEN ?1 AND ?2 AND state IN (3, 4, 5, 6)"
                                    " AND coalesce(ended, queued) < ?3";
    static const char messages[] = "DELETE FROM message WHERE id BETWEEN ?1 AND ?2 AND id NOT IN"
                                   " (SELECT id FROM transfer WHERE id BETWEEN ?1 AND ?2)";
    static const char jobs[] = "DELETE FROM job WHERE id BETWEEN ?1 AND ?2 AND id NOT IN"
                               " (SELECT id FROM transfer WHERE id BETWEEN ?1 AND ?2)";
    static const char inbox[] = "DELETE FROM inbox WHERE id BETWEEN ?1 AND ?2 AND id NOT IN"
                                " (SELECT id FROM transfer WHERE id BETWEEN ?1 AND ?2)";
    int rc = catalog_begin(catalog);

    if (rc < 0)
        return rc;
    rc = with_range(catalog, transfers, from, last, before);
    uint64_t gone = rc == 0 ? (uint64_t)sqlite3_changes(catalog->handle) : 0;
    if (rc == 0)
        rc = with_range(catalog, messages, from, last, before);
    if (rc == 0)
        rc = with_range(catalog, inbox, from, last, before);
    if (rc == 0)
        rc = with_range(catalog, jobs, from, last, before);
    rc = catalog_end(catalog, rc);
    *removed += rc == 0 ? gone : 0;
    return rc;
}

/* A connection that remembers such a row notices that the file was changed: catalog_facts_check(). */
static int sweep(struct catalog *catalog)
{
    static const char sql[] = "DELETE FROM facts WHERE id NOT IN (SELECT facts FROM transfer)";
    int rc;
    sqlite3_stmt *statement = catalog_statement(catalog, sql, &rc);

    return statement ? catalog_step(catalog, statement) : rc;
}

int catalog_purge(struct catalog *catalog, uint64_t before, uint64_t *removed)
{
    uint64_t from = 1, last, end = catalog_id_at(before);
    int rc;

    *removed = 0;
    for (;;) {
        rc = last_of_step(catalog, from, end, &last);
        if (rc < 0 || !last)
            break;
        rc = step(catalog, from, last, before, removed);
        if (rc < 0)
            return rc;
        from = last + 1;
    }
    if (rc == 0 && *removed)
        rc = sweep(catalog);
    return rc;
}
