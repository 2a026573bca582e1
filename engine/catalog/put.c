#include "engine/catalog/catalog_internal.h"

#include <errno.h>
#include <string.h>

static const char upsert[] =
    "INSERT INTO transfer(id, state, direction, kind, role, partner, facts, owner, size, offset, bytes, queued, begun,"
    " ended, retries, status, code, remote, local, digest, event, reason, streams)"
    " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23)"
    " ON CONFLICT(id) DO UPDATE SET state = excluded.state, direction = excluded.direction, kind = excluded.kind,"
    " role = excluded.role, partner = excluded.partner, facts = excluded.facts, owner = excluded.owner,"
    " size = excluded.size, offset = excluded.offset, bytes = excluded.bytes, queued = excluded.queued,"
    " begun = excluded.begun, ended = excluded.ended, retries = excluded.retries, status = excluded.status,"
    " code = excluded.code, remote = excluded.remote, local = excluded.local, digest = excluded.digest,"
    " event = excluded.event, reason = excluded.reason, streams = excluded.streams, rate = NULL";

enum {
    P_ID = 1,
    P_STATE,
    P_DIRECTION,
    P_KIND,
    P_ROLE,
    P_PARTNER,
    P_FACTS,
    P_OWNER,
    P_SIZE,
    P_OFFSET,
    P_BYTES,
    P_QUEUED,
    P_BEGUN,
    P_ENDED,
    P_RETRIES,
    P_STATUS,
    P_CODE,
    P_REMOTE,
    P_LOCAL,
    P_DIGEST,
    P_EVENT,
    P_REASON,
    P_STREAMS
};

/* SQLite's integers have a sign: what is beyond, as a size that is not known, is NULL. */
static void bind_number(sqlite3_stmt *statement, int index, uint64_t number, bool known)
{
    if (known && number <= INT64_MAX)
        sqlite3_bind_int64(statement, index, (sqlite3_int64)number);
    else
        sqlite3_bind_null(statement, index);
}

static void bind_counted(sqlite3_stmt *statement, int index, uint64_t number)
{
    sqlite3_bind_int64(statement, index, number > INT64_MAX ? INT64_MAX : (sqlite3_int64)number);
}

static void bind_facts(struct catalog *catalog, sqlite3_stmt *statement, const struct catalog_record *record,
                       int64_t facts, int64_t partner)
{
    bind_number(statement, P_PARTNER, (uint64_t)partner, partner != 0);
    sqlite3_bind_int64(statement, P_FACTS, facts);
    bind_number(statement, P_OWNER, (uint64_t)catalog->owner, record->state == CATALOG_RUNNING);
}

static void bind_numbers(sqlite3_stmt *statement, const struct catalog_record *record)
{
    sqlite3_bind_int64(statement, P_ID, (sqlite3_int64)record->id);
    sqlite3_bind_int(statement, P_STATE, (int)record->state);
    sqlite3_bind_int(statement, P_DIRECTION, (int)record->direction);
    sqlite3_bind_int(statement, P_KIND, (int)record->kind);
    sqlite3_bind_int(statement, P_ROLE, (int)record->role);
    bind_number(statement, P_SIZE, record->size, record->size != CATALOG_UNKNOWN);
    bind_counted(statement, P_OFFSET, record->offset);
    bind_counted(statement, P_BYTES, record->bytes);
    bind_counted(statement, P_QUEUED, record->queued ? record->queued : catalog_id_time(record->id));
    bind_number(statement, P_BEGUN, record->begun, record->begun != 0);
    bind_number(statement, P_ENDED, record->ended, record->ended != 0);
    sqlite3_bind_int64(statement, P_RETRIES, record->retries);
    sqlite3_bind_int64(statement, P_STATUS, record->status);
    sqlite3_bind_int(statement, P_CODE, record->code);
}

static void bind_words(sqlite3_stmt *statement, const struct catalog_record *record)
{
    catalog_bind_bytes(statement, P_REMOTE, record->remote);
    catalog_bind_bytes(statement, P_LOCAL, record->local);
    catalog_bind_text(statement, P_DIGEST, record->digest);
    catalog_bind_text(statement, P_EVENT, record->event);
    catalog_bind_bytes(statement, P_REASON, record->reason);
    if (record->stream_count > 1 && record->stream_count <= CATALOG_STREAMS_MAX)
        sqlite3_bind_blob(statement, P_STREAMS, record->streams, (int)(record->stream_count * sizeof *record->streams),
                          SQLITE_STATIC);
    else
        sqlite3_bind_null(statement, P_STREAMS);
}

static int put_message(struct catalog *catalog, const struct catalog_record *record)
{
    static const char sql[] = "INSERT INTO message(id, body) VALUES(?1, ?2) ON CONFLICT(id) DO NOTHING";
    int rc;
    sqlite3_stmt *statement = catalog_statement(catalog, sql, &rc);

    if (!statement)
        return rc;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)record->id);
    if (record->message_length)
        sqlite3_bind_blob(statement, 2, record->message, (int)record->message_length, SQLITE_STATIC);
    else
        sqlite3_bind_zeroblob(statement, 2, 0);
    return catalog_step(catalog, statement);
}

static int put(struct catalog *catalog, const struct catalog_record *record)
{
    int64_t facts = 0, partner = 0;
    int rc = record->state == CATALOG_RUNNING ? catalog_owner_have(catalog) : 0;

    if (rc == 0)
        rc = catalog_facts(catalog, record, &facts, &partner);
    if (rc < 0)
        return rc;
    sqlite3_stmt *statement = catalog_statement(catalog, upsert, &rc);
    if (!statement)
        return rc;
    bind_facts(catalog, statement, record, facts, partner);
    bind_numbers(statement, record);
    bind_words(statement, record);
    rc = catalog_step(catalog, statement);
    return rc == 0 && record->message ? put_message(catalog, record) : rc;
}

static bool is_good(const struct catalog_record *record)
{
    return record->state < CATALOG_STATES && record->direction < CATALOG_DIRECTIONS && record->kind < CATALOG_KINDS &&
           record->role < CATALOG_ROLES && record->id <= INT64_MAX && record->message_length <= CATALOG_MESSAGE_MAX;
}

int catalog_put(struct catalog *catalog, struct catalog_record *record)
{
    bool alone = !catalog->in_transaction;

    if (!is_good(record))
        return -EINVAL;
    if (record->id == 0)
        record->id = catalog->last_id = catalog_id_after(catalog->last_id, catalog->tag);
    int rc = alone ? catalog_begin(catalog) : 0;
    if (rc < 0)
        return rc;
    rc = put(catalog, record);
    return alone ? catalog_end(catalog, rc) : rc;
}
