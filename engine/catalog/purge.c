#include "engine/catalog/catalog_internal.h"

#include <errno.h>

#include "engine/catalog/job.h"

#define STEP 2000    /* rows looked at in one transaction */
#define SCANS_MAX 20 /* of what is used, in one purge */

enum { ROWS, SCAN, SWEEP };

static int ask_number(struct catalog *catalog, const char *sql, uint64_t from, uint64_t end, uint64_t *number)
{
    int rc;
    sqlite3_stmt *statement = catalog_statement(catalog, sql, &rc);

    *number = 0;
    if (!statement)
        return rc;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)from);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)end);
    sqlite3_bind_int(statement, 3, STEP);
    int result = sqlite3_step(statement);
    if (result == SQLITE_ROW)
        *number = (uint64_t)sqlite3_column_int64(statement, 0);
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

static int remove_rows(struct catalog *catalog, uint64_t from, uint64_t last, uint64_t before, uint64_t *removed)
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

/* 1: there may be more. */
static int step_rows(struct catalog *catalog, struct catalog_purging *purging)
{
    static const char last_of_step[] =
        "SELECT max(id) FROM (SELECT id FROM transfer WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT ?3)";
    uint64_t last;
    int rc = ask_number(catalog, last_of_step, purging->from, catalog_id_at(purging->before), &last);

    if (rc < 0)
        return rc;
    if (last) {
        rc = remove_rows(catalog, purging->from, last, purging->before, &purging->removed);
        purging->from = last + 1;
        return rc < 0 ? rc : 1;
    }
    purging->stage = SCAN;
    return purging->removed > 0;
}

/* -- facts that no transfer has any more --------------------------------------------------------------------------- */

/*
 * Which are used takes a look at every transfer, and nobody is to wait for the lock so long. So that is looked up
 * without one, into a table of our own, and holds until another connection has written; what we write ourselves has
 * facts that are newer, as we remember none.
 */
static int scan(struct catalog *catalog, struct catalog_purging *purging)
{
    static const char sql[] = "DROP TABLE IF EXISTS temp.used; CREATE TEMP TABLE used(id INTEGER PRIMARY KEY)";
    static const char fill[] = "INSERT OR IGNORE INTO temp.used SELECT facts FROM transfer";
    static const char newest[] = "SELECT max(id) FROM facts WHERE id >= ?1 AND id < ?2 AND ?3";
    int rc = catalog_job_version(catalog, &purging->version);

    catalog_facts_forget(catalog);
    if (rc == 0)
        rc = ask_number(catalog, newest, 0, INT64_MAX, &purging->last);
    if (rc == 0)
        rc = catalog_error(catalog, sqlite3_exec(catalog->handle, sql, NULL, NULL, NULL));
    if (rc == 0)
        rc = catalog_error(catalog, sqlite3_exec(catalog->handle, fill, NULL, NULL, NULL));
    purging->scans++;
    purging->from = 0;
    purging->stage = SWEEP;
    return rc < 0 ? rc : 1;
}

/* 1: another connection has written since the scan. */
static int sweep_rows(struct catalog *catalog, const struct catalog_purging *purging, uint64_t last)
{
    static const char sql[] = "DELETE FROM facts WHERE id BETWEEN ?1 AND ?2 AND NOT EXISTS (SELECT 1 FROM temp.used "
                              "WHERE used.id = facts.id)";
    int64_t version = 0;
    int rc = catalog_begin(catalog);

    if (rc < 0)
        return rc;
    rc = catalog_job_version(catalog, &version);
    if (rc == 0 && version != purging->version) {
        catalog_rollback(catalog);
        return 1;
    }
    if (rc == 0)
        rc = with_range(catalog, sql, purging->from, last, 0);
    return catalog_end(catalog, rc);
}

static int step_sweep(struct catalog *catalog, struct catalog_purging *purging)
{
    static const char last_of_step[] =
        "SELECT max(id) FROM (SELECT id FROM facts WHERE id >= ?1 AND id <= ?2 ORDER BY id LIMIT ?3)";
    uint64_t last;
    int rc = ask_number(catalog, last_of_step, purging->from, purging->last, &last);

    if (rc == 0 && last)
        rc = sweep_rows(catalog, purging, last);
    if (rc < 0)
        return rc;
    if (rc == 1 && purging->scans < SCANS_MAX) {
        purging->stage = SCAN;
        return 1;
    }
    if (rc == 0 && last) {
        purging->from = last + 1;
        return 1;
    }
    return catalog_error(catalog, sqlite3_exec(catalog->handle, "DROP TABLE IF EXISTS temp.used", NULL, NULL, NULL));
}

int catalog_purge_step(struct catalog *catalog, struct catalog_purging *purging)
{
    static int (*const steps[])(struct catalog *,
                                struct catalog_purging *) = { [ROWS] = step_rows, [SCAN] = scan, [SWEEP] = step_sweep };

    return steps[purging->stage](catalog, purging);
}

int catalog_purge(struct catalog *catalog, uint64_t before, uint64_t *removed)
{
    struct catalog_purging purging = { .before = before };
    int rc;

    do
        rc = catalog_purge_step(catalog, &purging);
    while (rc == 1);
    *removed = purging.removed;
    return rc;
}
