#include "engine/catalog/catalog_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define COLUMNS                                                                                                        \
    "transfer.id, state, direction, kind, role, size, offset, bytes, queued, begun, ended, retries, status, code,"     \
    " resumed, rate, streams, partner.name, remote, local, digest, event, reason, user, peer, protocol, pump, tx, rx," \
    " version, suite, authentication, subject"
/* The search chooses ids, and only those few are joined with what belongs to them. */
#define JOINED(ids)                                                                                                    \
    "SELECT " COLUMNS " FROM transfer LEFT JOIN facts ON facts.id = transfer.facts"                                    \
    " LEFT JOIN partner ON partner.id = transfer.partner WHERE " ids

enum {
    C_ID,
    C_STATE,
    C_DIRECTION,
    C_KIND,
    C_ROLE,
    C_SIZE,
    C_OFFSET,
    C_BYTES,
    C_QUEUED,
    C_BEGUN,
    C_ENDED,
    C_RETRIES,
    C_STATUS,
    C_CODE,
    C_RESUMED,
    C_RATE,
    C_STREAMS,
    C_STRINGS /* from here on as catalog_string() counts them */
};

/* -- a row --------------------------------------------------------------------------------------------------------- */

static uint64_t number(sqlite3_stmt *row, int column, uint64_t otherwise)
{
    if (sqlite3_column_type(row, column) == SQLITE_NULL)
        return otherwise;
    sqlite3_int64 value = sqlite3_column_int64(row, column);
    return value < 0 ? otherwise : (uint64_t)value;
}

/* A file that somebody else wrote to may hold any number. */
static unsigned word(sqlite3_stmt *row, int column, unsigned count)
{
    uint64_t value = number(row, column, 0);
    return value < count ? (unsigned)value : 0;
}

/* What is told of a NULL is NULL; else text that SQLite ends with a NUL. */
static void read_strings(sqlite3_stmt *row, struct catalog_record *record)
{
    for (size_t i = 0; i < CATALOG_STRINGS; i++)
        *catalog_string(record, i) = (const char *)sqlite3_column_text(row, C_STRINGS + (int)i);
}

static size_t read_streams(sqlite3_stmt *row, uint64_t streams[CATALOG_STREAMS_MAX])
{
    const void *bytes = sqlite3_column_blob(row, C_STREAMS);
    size_t length = bytes ? (size_t)sqlite3_column_bytes(row, C_STREAMS) : 0;

    if (length % sizeof *streams != 0 || length > CATALOG_STREAMS_MAX * sizeof *streams)
        return 0;
    if (length)
        memcpy(streams, bytes, length);
    return length / sizeof *streams;
}

static void read_row(sqlite3_stmt *row, struct catalog_record *record, uint64_t streams[CATALOG_STREAMS_MAX])
{
    *record = (struct catalog_record){
        .id = number(row, C_ID, 0),
        .state = (enum catalog_state)word(row, C_STATE, CATALOG_STATES),
        .direction = (enum catalog_direction)word(row, C_DIRECTION, CATALOG_DIRECTIONS),
        .kind = (enum catalog_kind)word(row, C_KIND, CATALOG_KINDS),
        .role = (enum catalog_role)word(row, C_ROLE, CATALOG_ROLES),
        .size = number(row, C_SIZE, CATALOG_UNKNOWN),
        .offset = number(row, C_OFFSET, 0),
        .bytes = number(row, C_BYTES, 0),
        .queued = number(row, C_QUEUED, 0),
        .begun = number(row, C_BEGUN, 0),
        .ended = number(row, C_ENDED, 0),
        .retries = (unsigned)number(row, C_RETRIES, 0),
        .status = (unsigned)number(row, C_STATUS, 0),
        .code = sqlite3_column_int(row, C_CODE),
        .rate = CATALOG_UNKNOWN,
        .resumed = sqlite3_column_int(row, C_RESUMED) != 0,
        .streams = streams,
    };
    if (record->state == CATALOG_RUNNING)
        record->rate = number(row, C_RATE, CATALOG_UNKNOWN);
    record->stream_count = read_streams(row, streams);
    read_strings(row, record);
}

static int visit_rows(struct catalog *catalog, sqlite3_stmt *statement, catalog_visit *visit, void *argument)
{
    uint64_t streams[CATALOG_STREAMS_MAX];
    struct catalog_record record;
    int result, told = 0;

    while (told == 0 && (result = sqlite3_step(statement)) == SQLITE_ROW) {
        read_row(statement, &record, streams);
        told = visit(argument, &record);
    }
    return told ? told : catalog_error(catalog, result);
}

/* -- searching ----------------------------------------------------------------------------------------------------- */

enum { B_PARTNER = 1, B_STATE, B_STATES, B_DIRECTIONS, B_KINDS, B_SINCE, B_LIMIT };

static int only_bit(unsigned bits)
{
    return bits && !(bits & (bits - 1)) ? __builtin_ctz(bits) : -1;
}

/*
 * Only which conditions there are depends on what is asked, never their values. An index that leaves out what is done
 * is only taken where the condition says so in so many words.
 */
static void write_search(const struct catalog_filter *filter, char *sql, size_t size)
{
    const char *order = filter->oldest_first ? "ASC" : "DESC";
    bool done = !filter->states || (filter->states & CATALOG_STATE_BIT(CATALOG_DONE));

    snprintf(sql, size,
             JOINED("transfer.id IN (SELECT id FROM transfer WHERE 1%s%s%s%s%s%s ORDER BY id %s LIMIT ?7)"
                    " ORDER BY transfer.id %s"),
             filter->partner ? " AND partner = (SELECT id FROM partner WHERE name = ?1)" : "",
             only_bit(filter->states) >= 0 ? " AND state = ?2"
             : filter->states              ? " AND ((1 << state) & ?3) <> 0"
                                           : "",
             done ? "" : " AND state <> 3", filter->directions ? " AND ((1 << direction) & ?4) <> 0" : "",
             filter->kinds ? " AND ((1 << kind) & ?5) <> 0" : "", filter->since ? " AND id >= ?6" : "", order, order);
}

static void bind_search(sqlite3_stmt *statement, const struct catalog_filter *filter)
{
    /* All of them: the last is always there, so the others may be bound where the text leaves them out. */
    catalog_bind_bytes(statement, B_PARTNER, filter->partner);
    sqlite3_bind_int(statement, B_STATE, only_bit(filter->states));
    sqlite3_bind_int64(statement, B_STATES, filter->states);
    sqlite3_bind_int64(statement, B_DIRECTIONS, filter->directions);
    sqlite3_bind_int64(statement, B_KINDS, filter->kinds);
    sqlite3_bind_int64(statement, B_SINCE, (sqlite3_int64)catalog_id_at(filter->since));
    sqlite3_bind_int64(statement, B_LIMIT,
                       filter->limit && filter->limit < INT64_MAX ? (sqlite3_int64)filter->limit : -1);
}

int catalog_find(struct catalog *catalog, const struct catalog_filter *filter, catalog_visit *visit, void *argument)
{
    char sql[2048];
    sqlite3_stmt *statement = NULL;

    write_search(filter, sql, sizeof sql);
    int rc = catalog_error(catalog, sqlite3_prepare_v2(catalog->handle, sql, -1, &statement, NULL));
    if (rc < 0)
        return rc;
    bind_search(statement, filter);
    rc = visit_rows(catalog, statement, visit, argument);
    sqlite3_finalize(statement);
    return rc;
}

/* -- one ----------------------------------------------------------------------------------------------------------- */

struct one {
    catalog_visit *visit;
    void *argument;
    sqlite3_stmt *message;
    bool found;
};

static int visit_one(void *argument, const struct catalog_record *record)
{
    struct one *one = argument;
    struct catalog_record whole = *record;

    one->found = true;
    if (whole.kind == CATALOG_MESSAGE && sqlite3_step(one->message) == SQLITE_ROW) {
        whole.message = sqlite3_column_blob(one->message, 0);
        whole.message_length = (size_t)sqlite3_column_bytes(one->message, 0);
        if (!whole.message)
            whole.message = "";
    }
    return one->visit(one->argument, &whole);
}

int catalog_show(struct catalog *catalog, uint64_t id, catalog_visit *visit, void *argument)
{
    static const char sql[] = JOINED("transfer.id = ?1");
    static const char body[] = "SELECT body FROM message WHERE id = ?1";
    struct one one = { .visit = visit, .argument = argument };
    int rc;
    sqlite3_stmt *statement = catalog_statement(catalog, sql, &rc);

    if (statement)
        one.message = catalog_statement(catalog, body, &rc);
    if (!statement || !one.message)
        return rc;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)id);
    sqlite3_bind_int64(one.message, 1, (sqlite3_int64)id);
    rc = visit_rows(catalog, statement, visit_one, &one);
    sqlite3_reset(statement);
    sqlite3_reset(one.message);
    return rc == 0 && !one.found ? -ENOENT : rc;
}
