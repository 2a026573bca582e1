#include "engine/catalog/catalog_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define STRINGS 11
#define KEY_MAX 65536

/* In the order of the columns of `facts`; the partner is last, and has a table of its own. */
static void strings_of(const struct catalog_record *record, const char *strings[STRINGS])
{
    const char *const all[STRINGS] = { record->user,    record->peer,   record->protocol,
                                       record->pump,    record->tx,     record->rx,
                                       record->version, record->suite,  record->authentication,
                                       record->subject, record->partner };

    for (size_t i = 0; i < STRINGS; i++)
        strings[i] = all[i] ? all[i] : "";
}

/* All of them, each with its NUL, and one byte for `resumed`. 0: too long to be kept. */
static size_t key_of(const struct catalog_record *record, char *key, size_t size)
{
    const char *strings[STRINGS];
    size_t length = 0;

    strings_of(record, strings);
    for (size_t i = 0; i < STRINGS; i++) {
        size_t more = strlen(strings[i]) + 1;
        if (more >= size - length)
            return 0;
        memcpy(key + length, strings[i], more);
        length += more;
    }
    key[length++] = record->resumed ? 1 : 0;
    return length;
}

static uint64_t hash_of(const char *bytes, size_t length)
{
    uint64_t hash = length * UINT64_C(0x9e3779b97f4a7c15);

    while (length) {
        uint64_t word = 0;
        size_t take = length < sizeof word ? length : sizeof word;
        memcpy(&word, bytes, take);
        hash = (hash ^ word) * UINT64_C(0xbf58476d1ce4e5b9);
        hash ^= hash >> 29;
        bytes += take;
        length -= take;
    }
    return hash;
}

void catalog_facts_forget(struct catalog *catalog)
{
    for (size_t i = 0; i < CATALOG_FACTS_KEPT; i++) {
        free(catalog->facts[i].bytes);
        catalog->facts[i] = (struct catalog_facts_kept){ 0 };
    }
}

int catalog_facts_check(struct catalog *catalog)
{
    static const char sql[] = "PRAGMA data_version";
    int rc;
    sqlite3_stmt *statement = catalog->facts_checked ? NULL : catalog_statement(catalog, sql, &rc);

    if (catalog->facts_checked)
        return 0;
    if (!statement)
        return rc;
    int result = sqlite3_step(statement);
    int64_t version = result == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    rc = catalog_error(catalog, result);
    sqlite3_reset(statement);
    if (rc < 0 || version != catalog->version)
        catalog_facts_forget(catalog);
    catalog->version = version;
    catalog->facts_checked = rc == 0;
    return rc;
}

/* A row of one number, or none: then *number stays. */
static int ask(struct catalog *catalog, sqlite3_stmt *statement, int64_t *number)
{
    int result = sqlite3_step(statement);

    if (result == SQLITE_ROW)
        *number = sqlite3_column_int64(statement, 0);
    int rc = catalog_error(catalog, result);
    sqlite3_reset(statement);
    return rc;
}

static int partner_row(struct catalog *catalog, const char *name, int64_t *id)
{
    static const char find[] = "SELECT id FROM partner WHERE name = ?1";
    static const char make[] = "INSERT INTO partner(name) VALUES(?1)";
    int rc;

    *id = 0;
    if (!name || !name[0])
        return 0;
    sqlite3_stmt *statement = catalog_statement(catalog, find, &rc);
    if (!statement)
        return rc;
    catalog_bind_bytes(statement, 1, name);
    rc = ask(catalog, statement, id);
    if (rc < 0 || *id)
        return rc;
    statement = catalog_statement(catalog, make, &rc);
    if (!statement)
        return rc;
    catalog_bind_bytes(statement, 1, name);
    rc = catalog_step(catalog, statement);
    *id = sqlite3_last_insert_rowid(catalog->handle);
    return rc;
}

static int facts_row(struct catalog *catalog, const struct catalog_record *record, int64_t *id)
{
    static const char make[] = "INSERT INTO facts(user, peer, protocol, pump, tx, rx, version, suite, authentication,"
                               " subject, resumed) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    const char *strings[STRINGS];
    int rc;
    sqlite3_stmt *statement = catalog_statement(catalog, make, &rc);

    if (!statement)
        return rc;
    strings_of(record, strings);
    for (int i = 0; i < STRINGS - 1; i++)
        catalog_bind_bytes(statement, i + 1, strings[i]);
    sqlite3_bind_int(statement, STRINGS, record->resumed);
    rc = catalog_step(catalog, statement);
    *id = sqlite3_last_insert_rowid(catalog->handle);
    return rc;
}

/* Without memory, it is not kept, and the next one like it gets a row of its own. */
static void keep(struct catalog_facts_kept *kept, const struct catalog_facts_kept *fresh, const char *key)
{
    free(kept->bytes);
    *kept = *fresh;
    kept->bytes = malloc(kept->length);
    if (kept->bytes)
        memcpy(kept->bytes, key, kept->length);
}

int catalog_facts(struct catalog *catalog, const struct catalog_record *record, int64_t *id, int64_t *partner)
{
    char key[KEY_MAX];
    struct catalog_facts_kept fresh = { .length = key_of(record, key, sizeof key) };
    int rc = catalog_facts_check(catalog);

    if (rc < 0)
        return rc;
    fresh.hash = hash_of(key, fresh.length);
    struct catalog_facts_kept *kept = &catalog->facts[fresh.hash % CATALOG_FACTS_KEPT];
    if (fresh.length == 0 || !kept->bytes || kept->hash != fresh.hash || kept->length != fresh.length ||
        memcmp(kept->bytes, key, fresh.length) != 0) {
        rc = partner_row(catalog, record->partner, &fresh.partner);
        if (rc == 0)
            rc = facts_row(catalog, record, &fresh.id);
        if (rc == 0 && fresh.length)
            keep(kept, &fresh, key);
    } else {
        fresh = *kept;
    }
    *id = fresh.id;
    *partner = fresh.partner;
    return rc;
}
