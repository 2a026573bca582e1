#include "engine/catalog/seen.h"

#include <string.h>

#include "engine/catalog/catalog_internal.h"

static sqlite3_stmt *prepare(struct catalog *catalog, const char *sql, const char *watch, const char *path, int *rc)
{
    sqlite3_stmt *statement = catalog_statement(catalog, sql, rc);

    if (!statement)
        return NULL;
    catalog_bind_bytes(statement, 1, watch);
    if (path)
        catalog_bind_bytes(statement, 2, path);
    return statement;
}

int catalog_seen(struct catalog *catalog, const char *watch, const char *path, const char *mark, bool *seen)
{
    static const char sql[] = "SELECT mark = ?3 FROM seen WHERE watch = ?1 AND path = ?2";
    int rc;
    sqlite3_stmt *statement = prepare(catalog, sql, watch, path, &rc);

    if (!statement)
        return rc;
    catalog_bind_text(statement, 3, mark);
    int result = sqlite3_step(statement);
    *seen = result == SQLITE_ROW && sqlite3_column_int(statement, 0) == 1;
    rc = catalog_error(catalog, result);
    sqlite3_reset(statement);
    return rc;
}

int catalog_seen_put(struct catalog *catalog, const char *watch, const char *path, const char *mark, uint64_t id)
{
    static const char sql[] = "INSERT OR REPLACE INTO seen(watch, path, mark, id) VALUES(?1, ?2, ?3, ?4)";
    int rc;
    sqlite3_stmt *statement = prepare(catalog, sql, watch, path, &rc);

    if (!statement)
        return rc;
    catalog_bind_text(statement, 3, mark);
    sqlite3_bind_int64(statement, 4, (sqlite3_int64)id);
    return catalog_step(catalog, statement);
}

int catalog_seen_forget(struct catalog *catalog, const char *watch, const char *path)
{
    static const char sql[] = "DELETE FROM seen WHERE watch = ?1 AND path = ?2";
    int rc;
    sqlite3_stmt *statement = prepare(catalog, sql, watch, path, &rc);

    return statement ? catalog_step(catalog, statement) : rc;
}

#define DONE                                                                                                           \
    "SELECT path, mark, seen.id FROM seen JOIN transfer ON transfer.id = seen.id WHERE watch = ?1 AND state = 3"

int catalog_seen_each(struct catalog *catalog, const char *watch, enum catalog_seen_which which,
                      catalog_seen_visit *visit, void *argument)
{
    static const char *const sql[] = {
        [CATALOG_SEEN_ALL] = "SELECT path, mark, id FROM seen WHERE watch = ?1",
        [CATALOG_SEEN_DONE] = DONE,
        [CATALOG_SEEN_VERIFIED] = DONE " AND length(digest) > 0",
    };
    int rc, result = SQLITE_DONE, told = 0;
    sqlite3_stmt *statement = prepare(catalog, sql[which], watch, NULL, &rc);

    if (!statement)
        return rc;
    while (told == 0 && (result = sqlite3_step(statement)) == SQLITE_ROW) {
        const char *path = (const char *)sqlite3_column_text(statement, 0);
        const char *mark = (const char *)sqlite3_column_text(statement, 1);
        if (path && mark)
            told = visit(argument, path, mark, (uint64_t)sqlite3_column_int64(statement, 2));
    }
    rc = told ? told : catalog_error(catalog, result);
    sqlite3_reset(statement);
    return rc;
}
