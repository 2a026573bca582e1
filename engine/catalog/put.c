#include "engine/catalog/catalog_internal.h"

#include <errno.h>
#include <string.h>

#define HEAD                                                                                                           \
    "INSERT INTO transfer(id, state, direction, kind, role, partner, facts, owner, size, offset, bytes, queued, "      \
    "begun,"                                                                                                           \
    " ended, retries, status, code, remote, local, digest, event, reason, streams) VALUES"
#define ROW "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
#define TAIL                                                                                                           \
    " ON CONFLICT(id) DO UPDATE SET state = excluded.state, direction = excluded.direction, kind = excluded.kind,"     \
    " role = excluded.role, partner = excluded.partner, facts = excluded.facts, owner = excluded.owner,"               \
    " size = excluded.size, offset = excluded.offset, bytes = excluded.bytes, queued = excluded.queued,"               \
    " begun = excluded.begun, ended = excluded.ended, retries = excluded.retries, status = excluded.status,"           \
    " code = excluded.code, remote = excluded.remote, local = excluded.local, digest = excluded.digest,"               \
    " event = excluded.event, reason = excluded.reason, streams = excluded.streams, rate = NULL"
#define FOUR(what) what "," what "," what "," what

static const char upsert_one[] = HEAD ROW TAIL;
static const char upsert_many[] = HEAD FOUR(FOUR(ROW)) TAIL; /* CATALOG_PUT_MANY */

/* The parameters of a row; those of the next one follow. */
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
    P_STREAMS,
    P_END,
    P_COUNT = P_END - P_ID
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

static void bind_facts(struct catalog *catalog, sqlite3_stmt *statement, int row, const struct catalog_record *record,
                       int64_t facts, int64_t partner)
{
    bind_number(statement, row + P_PARTNER, (uint64_t)partner, partner != 0);
    sqlite3_bind_int64(statement, row + P_FACTS, facts);
    bind_number(statement, row + P_OWNER, (uint64_t)catalog->owner, record->state == CATALOG_RUNNING);
}

static void bind_numbers(sqlite3_stmt *statement, int row, const struct catalog_record *record)
{
    sqlite3_bind_int64(statement, row + P_ID, (sqlite3_int64)record->id);
    sqlite3_bind_int(statement, row + P_STATE, (int)record->state);
    sqlite3_bind_int(statement, row + P_DIRECTION, (int)record->direction);
    sqlite3_bind_int(statement, row + P_KIND, (int)record->kind);
    sqlite3_bind_int(statement, row + P_ROLE, (int)record->role);
    bind_number(statement, row + P_SIZE, record->size, record->size != CATALOG_UNKNOWN);
    bind_counted(statement, row + P_OFFSET, record->offset);
    bind_counted(statement, row + P_BYTES, record->bytes);
    bind_counted(statement, row + P_QUEUED, record->queued ? record->queued : catalog_id_time(record->id));
    bind_number(statement, row + P_BEGUN, record->begun, record->begun != 0);
    bind_number(statement, row + P_ENDED, record->ended, record->ended != 0);
    sqlite3_bind_int64(statement, row + P_RETRIES, record->retries);
    sqlite3_bind_int64(statement, row + P_STATUS, record->status);
    sqlite3_bind_int(statement, row + P_CODE, record->code);
}

static void bind_words(sqlite3_stmt *statement, int row, const struct catalog_record *record)
{
    catalog_bind_bytes(statement, row + P_REMOTE, record->remote);
    catalog_bind_bytes(statement, row + P_LOCAL, record->local);
    catalog_bind_text(statement, row + P_DIGEST, record->digest);
    catalog_bind_text(statement, row + P_EVENT, record->event);
    catalog_bind_bytes(statement, row + P_REASON, record->reason);
    if (record->stream_count > 1 && record->stream_count <= CATALOG_STREAMS_MAX)
        sqlite3_bind_blob(statement, row + P_STREAMS, record->streams,
                          (int)(record->stream_count * sizeof *record->streams), SQLITE_STATIC);
    else
        sqlite3_bind_null(statement, row + P_STREAMS);
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

static int bind(struct catalog *catalog, sqlite3_stmt *statement, int row, const struct catalog_record *record)
{
    int64_t facts = 0, partner = 0;
    int rc = record->state == CATALOG_RUNNING ? catalog_owner_have(catalog) : 0;

    if (rc == 0)
        rc = catalog_facts(catalog, record, &facts, &partner);
    if (rc < 0)
        return rc;
    bind_facts(catalog, statement, row, record, facts, partner);
    bind_numbers(statement, row, record);
    bind_words(statement, row, record);
    return 0;
}

static int put(struct catalog *catalog, struct catalog_record *const *records, size_t count)
{
    int rc;
    sqlite3_stmt *statement = catalog_statement(catalog, count == 1 ? upsert_one : upsert_many, &rc);

    if (!statement)
        return rc;
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = bind(catalog, statement, (int)i * P_COUNT, records[i]);
    if (rc == 0)
        rc = catalog_step(catalog, statement);
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = records[i]->message ? put_message(catalog, records[i]) : 0;
    return rc;
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
    rc = put(catalog, &record, 1);
    return alone ? catalog_end(catalog, rc) : rc;
}

int catalog_put_many(struct catalog *catalog, struct catalog_record *const records[CATALOG_PUT_MANY])
{
    for (size_t i = 0; i < CATALOG_PUT_MANY; i++) {
        if (!is_good(records[i]) || records[i]->id == 0)
            return -EINVAL;
    }
    return put(catalog, records, CATALOG_PUT_MANY);
}
