#include "engine/catalog/catalog_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/*
 * A transfer's id is its row id, so that every index is in the order of time by itself. Almost all transfers are done,
 * and many have no partner: the indexes leave these out, and what cannot use one follows the row ids, newest first.
 * `facts` holds what many transfers have in common, so that a row of `transfer` stays small.
 */
static const char schema[] =
    "CREATE TABLE owner(id INTEGER PRIMARY KEY, pid INTEGER NOT NULL, begun INTEGER NOT NULL);"
    "CREATE TABLE partner(id INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE);"
    "CREATE TABLE facts(id INTEGER PRIMARY KEY, user BLOB, peer BLOB, protocol BLOB, pump TEXT, tx BLOB, rx BLOB,"
    " version TEXT, suite TEXT, authentication TEXT, subject BLOB, resumed INTEGER NOT NULL);"
    "CREATE TABLE transfer(id INTEGER PRIMARY KEY, state INTEGER NOT NULL, direction INTEGER NOT NULL,"
    " kind INTEGER NOT NULL, role INTEGER NOT NULL, partner INTEGER, facts INTEGER NOT NULL, owner INTEGER,"
    " size INTEGER, offset INTEGER NOT NULL, bytes INTEGER NOT NULL, queued INTEGER NOT NULL, begun INTEGER,"
    " ended INTEGER, retries INTEGER NOT NULL, status INTEGER NOT NULL, code INTEGER NOT NULL, remote BLOB, local BLOB,"
    " digest TEXT, event TEXT, reason BLOB, streams BLOB);"
    "CREATE INDEX transfer_by_partner ON transfer(partner) WHERE partner IS NOT NULL;"
    "CREATE INDEX transfer_by_state ON transfer(state) WHERE state <> 3;"
    "CREATE TABLE job(id INTEGER PRIMARY KEY, due INTEGER NOT NULL, request BLOB NOT NULL);"
    "CREATE INDEX job_by_due ON job(due);"
    "CREATE TABLE message(id INTEGER PRIMARY KEY, body BLOB NOT NULL);"
    "CREATE TABLE seen(watch BLOB NOT NULL, path BLOB NOT NULL, mark TEXT NOT NULL, id INTEGER NOT NULL,"
    " PRIMARY KEY(watch, path)) WITHOUT ROWID;";

/* What came with each later version, for files of the earlier ones; a new file gets all of them. */
static const char *const additions[] = {
    [2] = "CREATE TABLE inbox(id INTEGER PRIMARY KEY, sender BLOB NOT NULL, given TEXT, unread INTEGER NOT NULL);"
          "CREATE UNIQUE INDEX inbox_by_given ON inbox(sender, given) WHERE given IS NOT NULL;"
          "CREATE INDEX inbox_by_sender ON inbox(sender) WHERE unread = 1;"
          "ALTER TABLE transfer ADD COLUMN rate INTEGER;",
};

static int read_number(struct catalog *catalog, const char *pragma, int *value)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(catalog->handle, pragma, -1, &statement, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW) {
        *value = sqlite3_column_int(statement, 0);
        rc = SQLITE_OK;
    }
    sqlite3_finalize(statement);
    return catalog_error(catalog, rc);
}

static int run(struct catalog *catalog, const char *sql)
{
    return catalog_error(catalog, sqlite3_exec(catalog->handle, sql, NULL, NULL, NULL));
}

static int not_ours(struct catalog *catalog, const char *what)
{
    snprintf(catalog->reason, sizeof catalog->reason, "%s is %s: name another file as `catalog`", catalog->file, what);
    return -EMEDIUMTYPE;
}

/* What it is: 0 with the version, which is 0 of a file that is empty. */
static int look(struct catalog *catalog, int *found)
{
    int application = 0, version = 0, tables = 0;
    int rc = read_number(catalog, "PRAGMA application_id", &application);

    if (rc == 0)
        rc = read_number(catalog, "PRAGMA user_version", &version);
    if (rc == 0)
        rc = read_number(catalog, "SELECT count(*) FROM sqlite_schema", &tables);
    if (rc < 0)
        return rc;
    *found = 0;
    if (application == 0 && tables == 0)
        return 0;
    if (application != CATALOG_APPLICATION)
        return not_ours(catalog, "an SQLite file of another program");
    *found = version;
    return version > 0 && version <= CATALOG_SCHEMA ? 0 : not_ours(catalog, "a catalog of a newer Sluice");
}

static int add_what_lacks(struct catalog *catalog, int version)
{
    char marks[96];
    int rc = version == 0 ? run(catalog, schema) : 0;

    for (int next = version < 1 ? 2 : version + 1; rc == 0 && next <= CATALOG_SCHEMA; next++)
        rc = run(catalog, additions[next]);
    snprintf(marks, sizeof marks, "PRAGMA application_id = %d; PRAGMA user_version = %d", CATALOG_APPLICATION,
             CATALOG_SCHEMA);
    return rc == 0 ? run(catalog, marks) : rc;
}

static int make(struct catalog *catalog)
{
    int version = 0;
    /* Before the first table, or never; it stays in the file. */
    int rc = run(catalog, "PRAGMA journal_mode = WAL");

    if (rc == 0)
        rc = run(catalog, "BEGIN IMMEDIATE");
    if (rc < 0)
        return rc;
    rc = look(catalog, &version); /* somebody may have been quicker */
    if (rc == 0 && version < CATALOG_SCHEMA)
        rc = add_what_lacks(catalog, version);
    if (rc == 0)
        rc = run(catalog, "COMMIT");
    if (rc < 0)
        sqlite3_exec(catalog->handle, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

int catalog_schema(struct catalog *catalog, bool may_make)
{
    int version = 0, rc = look(catalog, &version);

    if (rc < 0 || version == CATALOG_SCHEMA)
        return rc;
    return version == 0 && !may_make ? not_ours(catalog, "empty") : make(catalog);
}
