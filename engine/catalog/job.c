#include "engine/catalog/job.h"

#include <errno.h>
#include <string.h>

#include "engine/catalog/catalog_internal.h"

#define NEVER ((uint64_t)INT64_MAX) /* of what neither waits nor runs: it stands behind all that is looked at */

/* -- one number ---------------------------------------------------------------------------------------------------- */

/* The first column of the first row, where there is one. 1: there is none. */
static int ask(struct catalog *catalog, const char *sql, uint64_t id, int64_t *value)
{
    int rc;
    sqlite3_stmt *statement = catalog_statement(catalog, sql, &rc);

    if (!statement)
        return rc;
    if (sqlite3_bind_parameter_count(statement) == 1)
        sqlite3_bind_int64(statement, 1, (sqlite3_int64)id);
    int result = sqlite3_step(statement);
    bool none = result != SQLITE_ROW || sqlite3_column_type(statement, 0) == SQLITE_NULL;
    if (!none)
        *value = sqlite3_column_int64(statement, 0);
    rc = catalog_error(catalog, result);
    sqlite3_reset(statement);
    return rc < 0 ? rc : none;
}

int catalog_job_state(struct catalog *catalog, uint64_t id, enum catalog_state *state)
{
    static const char sql[] = "SELECT state FROM transfer WHERE id = ?1";
    int64_t value = -1;
    int rc = ask(catalog, sql, id, &value);

    if (rc < 0)
        return rc;
    if (rc == 1 || value < 0 || value >= CATALOG_STATES)
        return -ENOENT;
    *state = (enum catalog_state)value;
    return 0;
}

int catalog_job_next(struct catalog *catalog, uint64_t *due)
{
    static const char sql[] = "SELECT job.due FROM job CROSS JOIN transfer ON transfer.id = job.id WHERE state = 0"
                              " ORDER BY job.due LIMIT 1";
    int64_t value = 0;
    int rc = ask(catalog, sql, 0, &value);

    *due = rc == 0 && value >= 0 ? (uint64_t)value : UINT64_MAX;
    return rc < 0 ? rc : 0;
}

int catalog_job_version(struct catalog *catalog, int64_t *version)
{
    static const char sql[] = "PRAGMA data_version";
    int rc = ask(catalog, sql, 0, version);

    return rc < 0 ? rc : 0;
}

/* -- adding -------------------------------------------------------------------------------------------------------- */

static int insert(struct catalog *catalog, uint64_t id, uint64_t due, const void *request, size_t length)
{
    static const char sql[] = "INSERT INTO job(id, due, request) VALUES(?1, ?2, ?3)";
    int rc;
    sqlite3_stmt *statement = catalog_statement(catalog, sql, &rc);

    if (!statement)
        return rc;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)id);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)due);
    if (length)
        sqlite3_bind_blob(statement, 3, request, (int)length, SQLITE_STATIC);
    else
        sqlite3_bind_zeroblob(statement, 3, 0);
    return catalog_step(catalog, statement);
}

static int set_due(struct catalog *catalog, uint64_t id, uint64_t due)
{
    static const char sql[] = "UPDATE job SET due = ?2 WHERE id = ?1";
    int rc;
    sqlite3_stmt *statement = catalog_statement(catalog, sql, &rc);

    if (!statement)
        return rc;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)id);
    sqlite3_bind_int64(statement, 2, due > INT64_MAX ? INT64_MAX : (sqlite3_int64)due);
    rc = catalog_step(catalog, statement);
    if (rc == 0 && sqlite3_changes(catalog->handle) == 0)
        return -ENOTSUP;
    return rc;
}

int catalog_job_add(struct catalog *catalog, struct catalog_record *record, uint64_t due, const void *request,
                    size_t length)
{
    if (length > CATALOG_REQUEST_MAX || due > INT64_MAX ||
        (record->state != CATALOG_WAITING && record->state != CATALOG_HELD))
        return -EINVAL;
    bool alone = !catalog->in_transaction;
    int rc = alone ? catalog_begin(catalog) : 0;
    if (rc < 0)
        return rc;
    rc = catalog_put(catalog, record);
    if (rc == 0)
        rc = insert(catalog, record->id, due, request, length);
    return alone ? catalog_end(catalog, rc) : rc;
}

/* -- carrying out -------------------------------------------------------------------------------------------------- */

int catalog_job_due(struct catalog *catalog, uint64_t now, catalog_visit *visit, void *argument)
{
    static const char sql[] = "SELECT job.id, partner.name FROM job CROSS JOIN transfer ON transfer.id = job.id"
                              " LEFT JOIN partner ON partner.id = transfer.partner"
                              " WHERE job.due <= ?1 AND state = 0 ORDER BY job.due, job.id";
    int rc, result = SQLITE_DONE, told = 0;
    sqlite3_stmt *statement = catalog_statement(catalog, sql, &rc);

    if (!statement)
        return rc;
    sqlite3_bind_int64(statement, 1, now > INT64_MAX ? INT64_MAX : (sqlite3_int64)now);
    while (told == 0 && (result = sqlite3_step(statement)) == SQLITE_ROW) {
        const struct catalog_record record = { .id = (uint64_t)sqlite3_column_int64(statement, 0),
                                               .state = CATALOG_WAITING,
                                               .partner = (const char *)sqlite3_column_text(statement, 1) };
        told = visit(argument, &record);
    }
    rc = told ? told : catalog_error(catalog, result);
    sqlite3_reset(statement);
    return rc;
}

int catalog_job_request(struct catalog *catalog, uint64_t id, void *request, size_t size, size_t *length)
{
    static const char sql[] = "SELECT request FROM job WHERE id = ?1";
    int rc;
    sqlite3_stmt *statement = catalog_statement(catalog, sql, &rc);

    if (!statement)
        return rc;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)id);
    int result = sqlite3_step(statement);
    rc = result == SQLITE_DONE ? -ENOENT : catalog_error(catalog, result);
    if (rc == 0) {
        const void *bytes = sqlite3_column_blob(statement, 0);
        *length = (size_t)sqlite3_column_bytes(statement, 0);
        if (*length > size)
            rc = -EMSGSIZE;
        else if (*length)
            memcpy(request, bytes, *length);
    }
    sqlite3_reset(statement);
    return rc;
}

static sqlite3_int64 signed_number(uint64_t number)
{
    return number > INT64_MAX ? INT64_MAX : (sqlite3_int64)number;
}

int catalog_job_progress(struct catalog *catalog, uint64_t id, uint64_t bytes, uint64_t size, uint64_t rate)
{
    static const char sql[] = "UPDATE transfer SET bytes = ?2, size = coalesce(?3, size), rate = ?4"
                              " WHERE id = ?1 AND state = 1";
    int rc;
    sqlite3_stmt *statement = catalog_statement(catalog, sql, &rc);

    if (!statement)
        return rc;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)id);
    sqlite3_bind_int64(statement, 2, signed_number(bytes));
    sqlite3_bind_int64(statement, 4, signed_number(rate));
    if (size == CATALOG_UNKNOWN)
        sqlite3_bind_null(statement, 3);
    else
        sqlite3_bind_int64(statement, 3, signed_number(size));
    return catalog_step(catalog, statement);
}

int catalog_job_ended(struct catalog *catalog, struct catalog_record *record, uint64_t due, enum catalog_state *found)
{
    int rc = catalog_begin(catalog);

    if (rc < 0)
        return rc;
    rc = catalog_job_state(catalog, record->id, found);
    if (rc == 0 && *found != CATALOG_RUNNING)
        rc = -EBUSY;
    if (rc == 0)
        rc = catalog_put(catalog, record);
    if (rc == 0)
        rc = set_due(catalog, record->id, record->state == CATALOG_WAITING ? due : NEVER);
    return catalog_end(catalog, rc);
}

/* -- an operator's orders ------------------------------------------------------------------------------------------ */

static const struct {
    unsigned from;
    enum catalog_state to;
    const char *event, *reason;
} orders[] = {
    [CATALOG_RETRY] = { CATALOG_STATE_BIT(CATALOG_WAITING) | CATALOG_STATE_BIT(CATALOG_FAILED) |
                            CATALOG_STATE_BIT(CATALOG_CANCELLED),
                        CATALOG_WAITING, NULL, "an operator wants it tried again" },
    [CATALOG_HOLD] = { CATALOG_STATE_BIT(CATALOG_WAITING) | CATALOG_STATE_BIT(CATALOG_RUNNING), CATALOG_HELD, NULL,
                       "held by an operator" },
    [CATALOG_RELEASE] = { CATALOG_STATE_BIT(CATALOG_HELD), CATALOG_WAITING, NULL, "released by an operator" },
    [CATALOG_CANCEL] = { CATALOG_STATE_BIT(CATALOG_WAITING) | CATALOG_STATE_BIT(CATALOG_RUNNING) |
                             CATALOG_STATE_BIT(CATALOG_HELD),
                         CATALOG_CANCELLED, NULL, "cancelled by an operator" },
};

/* An operator who has mended something wants all tries anew. */
static int forget_retries(struct catalog *catalog, uint64_t id)
{
    static const char sql[] = "UPDATE transfer SET retries = 0 WHERE id = ?1";

    return catalog_step_with(catalog, sql, id);
}

int catalog_job_order(struct catalog *catalog, uint64_t id, enum catalog_order order, enum catalog_state *found)
{
    static const char has_job[] = "SELECT count(*) FROM job WHERE id = ?1";
    int64_t count = 0;
    int rc = catalog_begin(catalog);

    if (rc < 0)
        return rc;
    rc = catalog_job_state(catalog, id, found);
    if (rc == 0)
        rc = ask(catalog, has_job, id, &count);
    if (rc == 0 && count == 0)
        rc = -ENOTSUP;
    if (rc == 0)
        rc = catalog_change(catalog, id, orders[order].from, orders[order].to, orders[order].event,
                            orders[order].reason, found);
    if (rc == 0 && order == CATALOG_RETRY)
        rc = forget_retries(catalog, id);
    if (rc == 0)
        rc = set_due(catalog, id, orders[order].to == CATALOG_WAITING ? catalog_now() : NEVER);
    return catalog_end(catalog, rc);
}
