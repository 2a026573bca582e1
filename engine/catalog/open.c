#include "engine/catalog/catalog_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* -- errors -------------------------------------------------------------------------------------------------------- */

static const struct {
    int result; /* SQLite's primary one */
    int error;
    const char *remedy;
} errors[] = {
    { SQLITE_BUSY, EBUSY, "another process keeps it locked: end that process, or wait for it" },
    { SQLITE_LOCKED, EBUSY, "another process keeps it locked: end that process, or wait for it" },
    { SQLITE_CORRUPT, EUCLEAN, "it is damaged" },
    { SQLITE_NOTADB, EUCLEAN, "it is damaged, or was never a catalog" },
    { SQLITE_FULL, ENOSPC, "make room on its disk" },
    { SQLITE_READONLY, EROFS, "make it and its directory writable" },
    { SQLITE_CANTOPEN, EACCES, "make it and its directory readable and writable" },
    { SQLITE_PERM, EACCES, "make it and its directory readable and writable" },
    { SQLITE_AUTH, EACCES, "make it and its directory readable and writable" },
    { SQLITE_NOMEM, ENOMEM, "there is no memory" },
    { SQLITE_CONSTRAINT, EINVAL, "the record is not one that fits" },
    { SQLITE_TOOBIG, EINVAL, "the record is too long" },
    { SQLITE_MISMATCH, EINVAL, "the record is not one that fits" },
};

int catalog_error(struct catalog *catalog, int result)
{
    int error = EIO, primary = result & 0xff, system = sqlite3_system_errno(catalog->handle);
    const char *remedy = "look at the disk";

    if (primary == SQLITE_OK || primary == SQLITE_ROW || primary == SQLITE_DONE)
        return 0;
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        if (errors[i].result == primary) {
            error = errors[i].error;
            remedy = errors[i].remedy;
        }
    }
    if (primary == SQLITE_IOERR && (system == ENOSPC || system == EDQUOT)) {
        error = ENOSPC;
        remedy = "make room on its disk";
    }
    snprintf(catalog->reason, sizeof catalog->reason, "%s: %s: %s", catalog->file, sqlite3_errstr(result), remedy);
    return -error;
}

const char *catalog_reason(const struct catalog *catalog)
{
    return catalog->reason;
}

/* -- statements ---------------------------------------------------------------------------------------------------- */

sqlite3_stmt *catalog_statement(struct catalog *catalog, const char *sql, int *rc)
{
    size_t i = 0;

    while (i < CATALOG_STATEMENTS && catalog->statements[i].sql && catalog->statements[i].sql != sql)
        i++;
    if (i == CATALOG_STATEMENTS) {
        *rc = -ENOBUFS;
        return NULL;
    }
    if (!catalog->statements[i].sql) {
        *rc = catalog_error(catalog, sqlite3_prepare_v3(catalog->handle, sql, -1, SQLITE_PREPARE_PERSISTENT,
                                                        &catalog->statements[i].statement, NULL));
        if (*rc < 0)
            return NULL;
        catalog->statements[i].sql = sql;
    }
    *rc = 0;
    return catalog->statements[i].statement;
}

int catalog_step(struct catalog *catalog, sqlite3_stmt *statement)
{
    int rc = catalog_error(catalog, sqlite3_step(statement));

    sqlite3_reset(statement);
    return rc;
}

int catalog_step_with(struct catalog *catalog, const char *sql, uint64_t id)
{
    int rc;
    sqlite3_stmt *statement = catalog_statement(catalog, sql, &rc);

    if (!statement)
        return rc;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)id);
    return catalog_step(catalog, statement);
}

int catalog_bind_text(sqlite3_stmt *statement, int index, const char *text)
{
    return text && text[0] ? sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC)
                           : sqlite3_bind_null(statement, index);
}

int catalog_bind_bytes(sqlite3_stmt *statement, int index, const char *text)
{
    size_t length = text ? strlen(text) : 0;

    if (length > INT_MAX)
        return SQLITE_TOOBIG;
    return length ? sqlite3_bind_blob(statement, index, text, (int)length, SQLITE_STATIC)
                  : sqlite3_bind_null(statement, index);
}

static int simple(struct catalog *catalog, const char *sql)
{
    int rc;
    sqlite3_stmt *statement = catalog_statement(catalog, sql, &rc);

    return statement ? catalog_step(catalog, statement) : rc;
}

int catalog_begin(struct catalog *catalog)
{
    static const char begin[] = "BEGIN IMMEDIATE";
    int rc = simple(catalog, begin);

    catalog->in_transaction = rc == 0;
    catalog->facts_checked = false;
    return rc;
}

int catalog_commit(struct catalog *catalog)
{
    static const char commit[] = "COMMIT";
    int rc = simple(catalog, commit);

    if (rc < 0)
        return rc;
    catalog->in_transaction = false;
    catalog->owner_written = catalog->owner != 0;
    return 0;
}

/* SQLite may have done it itself, as after SQLITE_FULL: then there is nothing to say. */
void catalog_rollback(struct catalog *catalog)
{
    sqlite3_exec(catalog->handle, "ROLLBACK", NULL, NULL, NULL);
    catalog->in_transaction = false;
    catalog_facts_forget(catalog);
}

int catalog_end(struct catalog *catalog, int rc)
{
    if (rc == 0)
        rc = catalog_commit(catalog);
    if (rc < 0)
        catalog_rollback(catalog);
    return rc;
}

/* -- opening ------------------------------------------------------------------------------------------------------- */

static int settle(struct catalog *catalog)
{
    static const char settings[] = "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;"
                                   "PRAGMA wal_autocheckpoint = 4000; PRAGMA journal_size_limit = 67108864;"
                                   "PRAGMA temp_store = MEMORY; PRAGMA synchronous = FULL";
    int on = 1, off = 0;

    sqlite3_extended_result_codes(catalog->handle, on);
    sqlite3_busy_timeout(catalog->handle, CATALOG_PATIENCE);
    sqlite3_db_config(catalog->handle, SQLITE_DBCONFIG_DEFENSIVE, on, NULL);
    sqlite3_db_config(catalog->handle, SQLITE_DBCONFIG_ENABLE_TRIGGER, off, NULL);
    sqlite3_db_config(catalog->handle, SQLITE_DBCONFIG_ENABLE_VIEW, off, NULL);
    return catalog_error(catalog, sqlite3_exec(catalog->handle, settings, NULL, NULL, NULL));
}

int catalog_hasten(struct catalog *catalog)
{
    return catalog_error(catalog, sqlite3_exec(catalog->handle, "PRAGMA synchronous = NORMAL", NULL, NULL, NULL));
}

/* Counting its memory costs SQLite a lock for each piece, and a tenth of what a record costs; nobody asks for it. */
static void prepare_library(void)
{
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

static int open_file(struct catalog *catalog, enum catalog_use use)
{
    struct stat facts;
    const char *what = "cannot be looked at";
    int error = 0;

    /* SQLite takes names like ":memory:" and follows what it is given: it gets a path that is a file. */
    if (stat(catalog->file, &facts) < 0)
        error = errno;
    else if (!S_ISREG(facts.st_mode)) {
        error = EACCES;
        what = "is not a file";
    }
    if (error) {
        snprintf(catalog->reason, sizeof catalog->reason, "%s %s: %s", catalog->file, what,
                 error == ENOENT ? "nothing was recorded there yet" : strerror(error));
        return -error;
    }
    catalog->inode = facts.st_ino;
    int rc = sqlite3_open_v2(catalog->file, &catalog->handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    rc = catalog->handle ? catalog_error(catalog, rc) : -ENOMEM;
    if (rc == 0)
        rc = settle(catalog);
    return rc == 0 ? catalog_schema(catalog, use == CATALOG_WRITE) : rc;
}

int catalog_open(struct catalog **opened, const char *file, enum catalog_use use, char why[CATALOG_WHY_SIZE])
{
    static pthread_once_t prepared = PTHREAD_ONCE_INIT;
    struct catalog *catalog = calloc(1, sizeof *catalog);
    int rc = 0;

    pthread_once(&prepared, prepare_library); /* which SQLite wants before anything else */

    snprintf(why, CATALOG_WHY_SIZE, "%s: %s", file, strerror(ENOMEM));
    if (!catalog)
        return -ENOMEM;
    catalog->owners = -1;
    catalog->tag = catalog_id_tag();
    catalog->file = strdup(file);
    catalog->facts = calloc(CATALOG_FACTS_KEPT, sizeof *catalog->facts);
    if (!catalog->file || !catalog->facts) {
        catalog_close(catalog);
        return -ENOMEM;
    }
    if (use == CATALOG_WRITE)
        rc = catalog_prepare(file, (uid_t)-1, (gid_t)-1, catalog->reason);
    if (rc == 0)
        rc = open_file(catalog, use);
    if (rc == 0)
        rc = catalog_owner_open(catalog);
    if (rc == 0)
        rc = catalog_owner_bury(catalog);
    if (rc == -EBUSY && use == CATALOG_READ)
        rc = 0; /* who reads can do without */
    if (rc < 0) {
        if (catalog->reason[0])
            memcpy(why, catalog->reason, CATALOG_WHY_SIZE);
        catalog_close(catalog);
        return rc;
    }
    *opened = catalog;
    return 0;
}

void catalog_close(struct catalog *catalog)
{
    if (!catalog)
        return;
    for (size_t i = 0; i < CATALOG_STATEMENTS; i++)
        sqlite3_finalize(catalog->statements[i].statement);
    sqlite3_close(catalog->handle);
    if (catalog->owners >= 0)
        close(catalog->owners);
    if (catalog->facts)
        catalog_facts_forget(catalog);
    free(catalog->facts);
    free(catalog->file);
    free(catalog);
}

bool catalog_is_current(const struct catalog *catalog)
{
    struct stat facts;

    if (stat(catalog->file, &facts) < 0)
        return errno != ENOENT; /* whom we have become may be kept out of the directory, but not of the file */
    return facts.st_ino == catalog->inode;
}

ino_t catalog_inode(const struct catalog *catalog)
{
    return catalog->inode;
}
