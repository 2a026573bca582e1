#include "engine/catalog/inbox.h"

#include <errno.h>
#include <string.h>

#include "engine/catalog/catalog_internal.h"
#include "engine/catalog/job.h"

bool catalog_given_is_good(const char *given)
{
    static const char good[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_.";
    size_t length = strspn(given, good);

    return length > 0 && length <= CATALOG_GIVEN_MAX && given[length] == '\0';
}

/* 1: it has that name already, as *id, where `same` says whether it is the same text. */
static int find(struct catalog *catalog, const struct catalog_record *record, const char *sender, const char *given,
                uint64_t *id, bool *same)
{
    static const char sql[] = "SELECT inbox.id, body IS ?3 FROM inbox LEFT JOIN message ON message.id = inbox.id"
                              " WHERE sender = ?1 AND given = ?2";
    int rc;
    sqlite3_stmt *statement = catalog_statement(catalog, sql, &rc);

    if (!statement)
        return rc;
    catalog_bind_bytes(statement, 1, sender);
    catalog_bind_text(statement, 2, given);
    sqlite3_bind_blob(statement, 3, record->message, (int)record->message_length, SQLITE_STATIC);
    int result = sqlite3_step(statement);
    if (result == SQLITE_ROW) {
        *id = (uint64_t)sqlite3_column_int64(statement, 0);
        *same = sqlite3_column_int(statement, 1) != 0;
    }
    rc = catalog_error(catalog, result);
    sqlite3_reset(statement);
    return rc < 0 ? rc : result == SQLITE_ROW;
}

/* Looks no further than the limit. */
static int check_room(struct catalog *catalog, const char *sender, uint64_t limit)
{
    static const char sql[] = "SELECT count(*) FROM (SELECT 1 FROM inbox WHERE sender = ?1 AND unread = 1 LIMIT ?2)";
    uint64_t count = 0;
    int rc;
    sqlite3_stmt *statement = limit ? catalog_statement(catalog, sql, &rc) : NULL;

    if (!limit)
        return 0;
    if (!statement)
        return rc;
    catalog_bind_bytes(statement, 1, sender);
    sqlite3_bind_int64(statement, 2, limit > INT64_MAX ? INT64_MAX : (sqlite3_int64)limit);
    int result = sqlite3_step(statement);
    if (result == SQLITE_ROW)
        count = (uint64_t)sqlite3_column_int64(statement, 0);
    rc = catalog_error(catalog, result);
    sqlite3_reset(statement);
    return rc < 0 ? rc : count >= limit ? -EDQUOT : 0;
}

static int insert(struct catalog *catalog, uint64_t id, const char *sender, const char *given)
{
    static const char sql[] = "INSERT INTO inbox(id, sender, given, unread) VALUES(?1, ?2, ?3, 1)";
    int rc;
    sqlite3_stmt *statement = catalog_statement(catalog, sql, &rc);

    if (!statement)
        return rc;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)id);
    catalog_bind_bytes(statement, 2, sender);
    catalog_bind_text(statement, 3, given);
    return catalog_step(catalog, statement);
}

int catalog_inbox_add(struct catalog *catalog, struct catalog_record *record, const char *sender, const char *given,
                      uint64_t limit)
{
    bool same = false;

    if (!sender[0] || !record->message || record->message_length == 0 || (given && !catalog_given_is_good(given)))
        return -EINVAL;
    int rc = catalog_begin(catalog);
    if (rc < 0)
        return rc;
    rc = given ? find(catalog, record, sender, given, &record->id, &same) : 0;
    if (rc == 1) {
        catalog_rollback(catalog);
        return same ? 1 : -EEXIST;
    }
    if (rc == 0)
        rc = check_room(catalog, sender, limit);
    if (rc == 0)
        rc = catalog_put(catalog, record);
    if (rc == 0)
        rc = insert(catalog, record->id, sender, given);
    return catalog_end(catalog, rc);
}

static int came_in(void *argument, const struct catalog_record *record)
{
    bool *answer = argument;

    *answer = record->kind == CATALOG_MESSAGE && record->direction == CATALOG_IN;
    return 0;
}

static int mark_read(struct catalog *catalog, uint64_t id)
{
    static const char sql[] = "UPDATE inbox SET unread = 0 WHERE id = ?1";

    return catalog_step_with(catalog, sql, id);
}

int catalog_inbox_acknowledge(struct catalog *catalog, uint64_t id, enum catalog_state *found)
{
    bool is_message = false;
    int rc = catalog_begin(catalog);

    if (rc < 0)
        return rc;
    rc = catalog_show(catalog, id, came_in, &is_message);
    if (rc == 0 && !is_message)
        rc = -ENOENT;
    if (rc == 0)
        rc = catalog_change(catalog, id, CATALOG_STATE_BIT(CATALOG_DONE), CATALOG_ACKNOWLEDGED, NULL, NULL, found);
    if (rc == 0)
        rc = mark_read(catalog, id);
    return catalog_end(catalog, rc);
}
