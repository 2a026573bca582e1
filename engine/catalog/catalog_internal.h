/*
 * Private to engine/catalog: what its files share.
 *
 *     schema.c     what the file holds, and how it is made
 *     open.c       opening, owners that are gone, setting aside
 *     put.c        a record to its rows        read.c    rows to records
 *     change.c     states                      purge.c
 *     words.c      ids and words               queue.c   the bounded queue        writer.c  its thread
 *
 * Statements are prepared once for a connection and only ever have their values bound.
 */
#ifndef SLUICE_CATALOG_INTERNAL_H
#define SLUICE_CATALOG_INTERNAL_H

#include <sqlite3.h>

#include "engine/catalog/catalog.h"

#define CATALOG_APPLICATION 0x536c7563 /* "Sluc", in the header of the file */
#define CATALOG_SCHEMA 1

enum { CATALOG_STATEMENTS = 32 };
#define CATALOG_FACTS_KEPT 256 /* rows of `facts` that a connection remembers */

struct catalog_facts_kept {
    uint64_t hash; /* 0: none */
    int64_t id;
    char *bytes;
    size_t length;
};

struct catalog {
    sqlite3 *handle;
    char *file;
    ino_t inode;
    bool in_transaction;
    int64_t owner; /* our row of `owner`; 0: not written yet */
    struct {
        const char *sql; /* the pointer is the key: a constant of the program */
        sqlite3_stmt *statement;
    } statements[CATALOG_STATEMENTS];
    struct catalog_facts_kept *facts; /* CATALOG_FACTS_KEPT, by hash; forgotten with a rollback */
    uint64_t last_id;
    unsigned tag;
    char reason[CATALOG_WHY_SIZE];
};

/* schema.c */
int catalog_schema(struct catalog *catalog); /* makes or checks it; an SQLite result, or SQLITE_NOTADB-like -EMEDIUMTYPE */

/* open.c: -errno for an SQLite result, with the sentence in catalog->reason. SQLITE_OK, _ROW and _DONE are 0. */
int catalog_error(struct catalog *catalog, int result);
/* The statement of that text, prepared once, with nothing bound. NULL: *rc is -errno. */
sqlite3_stmt *catalog_statement(struct catalog *catalog, const char *sql, int *rc);
/* Steps a statement that returns no row, and resets it. 0 or -errno. */
int catalog_step(struct catalog *catalog, sqlite3_stmt *statement);
/* Our row of `owner`, made when it is first needed. 0 or -errno. */
int catalog_owner(struct catalog *catalog, int64_t *owner);

/* words.c: newer than `last`. */
uint64_t catalog_id_after(uint64_t last, unsigned tag);
unsigned catalog_id_tag(void);

#endif
