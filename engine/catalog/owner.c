/*
 * Who runs a transfer, and whether that process is still there: it holds a lock on a byte of FILE.owners, which the
 * kernel takes back however the process ends. Also another container's, or another machine's on a shared file system,
 * whose process ids would tell nothing.
 */
#include "engine/catalog/catalog_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct flock byte_of(int64_t owner)
{
    return (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)owner, .l_len = 1 };
}

int catalog_owner_open(struct catalog *catalog)
{
    char path[PATH_MAX];
    struct stat facts, own;

    if ((size_t)snprintf(path, sizeof path, "%s%s", catalog->file, CATALOG_OWNERS) >= sizeof path) {
        snprintf(catalog->reason, sizeof catalog->reason, "the name of the catalog is too long: %s", path);
        return -ENAMETOOLONG;
    }
    catalog->owners = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (catalog->owners < 0) {
        int error = errno;
        snprintf(catalog->reason, sizeof catalog->reason, "%s: %s: make it and its directory writable", path,
                 strerror(error));
        return -error;
    }
    /* As the catalog is, where root comes first; but not what has another name, too, and may be root's own. */
    if (geteuid() != 0 || fstat(catalog->owners, &own) < 0 || !S_ISREG(own.st_mode) || own.st_nlink != 1)
        return 0;
    if (stat(catalog->file, &facts) == 0 && facts.st_uid != 0 &&
        fchown(catalog->owners, facts.st_uid, facts.st_gid) < 0)
        return -errno;
    return 0;
}

static bool is_alive(const struct catalog *catalog, int64_t owner)
{
    struct flock lock = byte_of(owner);

    if (owner == catalog->owner)
        return true;
    return fcntl(catalog->owners, F_OFD_GETLK, &lock) < 0 || lock.l_type != F_UNLCK;
}

static int write_row(struct catalog *catalog)
{
    static const char insert[] = "INSERT OR REPLACE INTO owner(id, pid, begun) VALUES(?1, ?2, ?3)";
    int rc;
    sqlite3_stmt *statement = catalog_statement(catalog, insert, &rc);

    if (!statement)
        return rc;
    sqlite3_bind_int64(statement, 1, catalog->owner);
    sqlite3_bind_int64(statement, 2, getpid());
    sqlite3_bind_int64(statement, 3, (sqlite3_int64)catalog_now());
    return catalog_step(catalog, statement);
}

static int next_free(struct catalog *catalog, int64_t *owner)
{
    static const char sql[] = "SELECT coalesce(max(id), 0) + 1 FROM owner";
    int rc;
    sqlite3_stmt *statement = catalog_statement(catalog, sql, &rc);

    if (!statement)
        return rc;
    int result = sqlite3_step(statement);
    if (result == SQLITE_ROW)
        *owner = sqlite3_column_int64(statement, 0);
    rc = catalog_error(catalog, result);
    sqlite3_reset(statement);
    return rc;
}

/* The lock is kept through a rollback, the row is not. */
int catalog_owner_have(struct catalog *catalog)
{
    int64_t owner = 0;

    if (catalog->owner && catalog->owner_written)
        return 0;
    if (catalog->owner)
        return write_row(catalog);
    int rc = next_free(catalog, &owner);
    while (rc == 0) {
        struct flock lock = byte_of(owner);
        if (fcntl(catalog->owners, F_OFD_SETLK, &lock) == 0)
            break;
        if (errno != EAGAIN && errno != EACCES)
            rc = -errno;
        owner++; /* somebody's whose catalog was set aside */
    }
    if (rc < 0)
        return rc;
    catalog->owner = owner;
    return write_row(catalog);
}

/* -- those who are gone -------------------------------------------------------------------------------------------- */

static int with_owner(struct catalog *catalog, const char *sql, int64_t owner)
{
    int rc;
    sqlite3_stmt *statement = catalog_statement(catalog, sql, &rc);

    if (!statement)
        return rc;
    sqlite3_bind_int64(statement, 1, owner);
    if (sqlite3_bind_parameter_count(statement) == 2)
        sqlite3_bind_int64(statement, 2, (sqlite3_int64)catalog_now());
    return catalog_step(catalog, statement);
}

static int bury(struct catalog *catalog, int64_t owner)
{
    static const char again[] = "UPDATE transfer SET state = 0, owner = NULL, retries = retries + 1, event = 'C04W',"
                                " reason = 'the process that ran it ended without a word; it will be tried again'"
                                " WHERE state = 1 AND owner = ?1 AND id IN (SELECT id FROM job)";
    static const char failed[] =
        "UPDATE transfer SET state = 4, owner = NULL, ended = ?2, event = 'C04W',"
        " reason = 'the process that ran it ended without a word' WHERE state = 1 AND owner = ?1";
    static const char forget[] = "DELETE FROM owner WHERE id = ?1";
    int rc = with_owner(catalog, again, owner);

    if (rc == 0)
        rc = with_owner(catalog, failed, owner);
    return rc == 0 ? with_owner(catalog, forget, owner) : rc;
}

/* The next one behind `after` that is gone; 0: none. */
static int next_gone(struct catalog *catalog, int64_t after, int64_t *gone)
{
    static const char sql[] = "SELECT id FROM owner WHERE id > ?1 ORDER BY id";
    int rc, result;
    sqlite3_stmt *statement = catalog_statement(catalog, sql, &rc);

    *gone = 0;
    if (!statement)
        return rc;
    sqlite3_bind_int64(statement, 1, after);
    while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
        int64_t owner = sqlite3_column_int64(statement, 0);
        if (is_alive(catalog, owner))
            continue;
        *gone = owner;
        break;
    }
    rc = catalog_error(catalog, result);
    sqlite3_reset(statement);
    return rc;
}

int catalog_owner_bury(struct catalog *catalog)
{
    int64_t gone;
    int rc = next_gone(catalog, 0, &gone);

    if (rc < 0 || !gone)
        return rc;
    rc = catalog_begin(catalog);
    if (rc < 0)
        return rc;
    for (gone = 0; rc == 0;) { /* again from the first: somebody may have been quicker */
        rc = next_gone(catalog, gone, &gone);
        if (rc < 0 || !gone)
            break;
        rc = bury(catalog, gone);
    }
    return catalog_end(catalog, rc);
}
