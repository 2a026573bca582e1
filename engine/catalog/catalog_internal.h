/*
 * Private to engine/catalog: what its files share.
 *
 *     schema.c     what the file holds, and how it is made
 *     open.c       opening and errors          aside.c   a file that is damaged, or not there yet
 *     owner.c      who runs what, and who is gone
 *     put.c        a record to its rows        facts.c   what many records have in common
 *     find.c       rows to records             change.c  states        purge.c
 *     words.c      ids and words               job.c     what is queued
 *     queue.c      what waits for the writer           writer*.c the thread that writes it
 *     inbox.c      messages that came, by sender
 *     seen.c       files of watched folders            wake.c    when it was changed
 *
 * Statements are prepared once for a connection and only ever have their values bound.
 */
#ifndef SLUICE_CATALOG_INTERNAL_H
#define SLUICE_CATALOG_INTERNAL_H

#include <sqlite3.h>

#include "engine/catalog/catalog.h"

#define CATALOG_APPLICATION 0x536c7563 /* "Sluc", in the header of the file */
#define CATALOG_SCHEMA 2

enum { CATALOG_STATEMENTS = 32 };
#define CATALOG_FACTS_KEPT 256 /* rows of `facts` that a connection remembers */
#define CATALOG_OWNERS ".owners"

struct catalog_facts_kept {
    uint64_t hash;
    int64_t id, partner; /* 0: none */
    char *bytes;         /* NULL: nothing is kept here */
    size_t length;
};

struct catalog {
    sqlite3 *handle;
    char *file;
    ino_t inode;
    bool in_transaction;
    int owners;         /* FILE.owners, whose byte N is locked while owner N lives; -1: not open */
    int64_t owner;      /* our row of `owner`, and byte; 0: not needed yet */
    bool owner_written; /* and committed */
    int64_t version;    /* PRAGMA data_version, when `facts` was last known to be right */
    bool facts_checked; /* in this transaction */
    struct {
        const char *sql; /* the pointer is the key: a constant of the program */
        sqlite3_stmt *statement;
    } statements[CATALOG_STATEMENTS];
    struct catalog_facts_kept *facts; /* CATALOG_FACTS_KEPT, by hash; forgotten with a rollback */
    uint64_t last_id;
    unsigned tag;
    char reason[CATALOG_WHY_SIZE];
};

/* schema.c: checks it, or makes it in an empty file. 0 or -errno. */
int catalog_schema(struct catalog *catalog, bool may_make);

/* open.c: -errno for an SQLite result, with the sentence in catalog->reason. SQLITE_OK, _ROW and _DONE are 0. */
int catalog_error(struct catalog *catalog, int result);
/* The statement of that text, prepared once, with nothing bound. NULL: *rc is -errno. */
sqlite3_stmt *catalog_statement(struct catalog *catalog, const char *sql, int *rc);
/* Steps a statement that returns no row, and resets it. 0 or -errno. */
int catalog_step(struct catalog *catalog, sqlite3_stmt *statement);
/* The same with a statement whose only parameter is the id of a record. */
int catalog_step_with(struct catalog *catalog, const char *sql, uint64_t id);
/* The end of a transaction in which `rc` was reached: commits what went well, takes all back else. 0 or -errno. */
int catalog_end(struct catalog *catalog, int rc);
/* NULL and "" become NULL. Of a peer: as bytes, which need not be UTF-8. */
int catalog_bind_text(sqlite3_stmt *statement, int index, const char *text);
int catalog_bind_bytes(sqlite3_stmt *statement, int index, const char *text);
/* Gives up certainty that the last transactions outlive a power cut, for fewer writes to the disk. */
int catalog_hasten(struct catalog *catalog);

/*
 * put.c: so many records as one statement, which costs a third less than one for each; within a transaction, which
 * goes on where it fails: then none of them is written. Each has an id.
 */
#define CATALOG_PUT_MANY 16
int catalog_put_many(struct catalog *catalog, struct catalog_record *const records[CATALOG_PUT_MANY]);

/* owner.c: 0 or -errno */
int catalog_owner_open(struct catalog *catalog);
/* Our row of `owner`, made when it is first needed, within a transaction. */
int catalog_owner_have(struct catalog *catalog);
/* What those left running who are gone: failed, or waiting where there is a job. */
int catalog_owner_bury(struct catalog *catalog);

/*
 * facts.c: the rows of `facts` and `partner` that a record needs, made where there are none yet; within a transaction.
 * The partner is 0 where there is none.
 */
int catalog_facts(struct catalog *catalog, const struct catalog_record *record, int64_t *id, int64_t *partner);
/* Forgets what another connection may have removed, once for each transaction. */
int catalog_facts_check(struct catalog *catalog);
void catalog_facts_forget(struct catalog *catalog);

/* words.c: the strings of a record, so that they can be gone through. */
#define CATALOG_STRINGS 16
const char **catalog_string(struct catalog_record *record, size_t i);
#define CATALOG_TIME_MAX ((UINT64_C(1) << 52) - 1)
uint64_t catalog_id_at(uint64_t time); /* the least that could be made then */
uint64_t catalog_id_time(uint64_t id);
uint64_t catalog_id_after(uint64_t last, unsigned tag); /* newer than `last` */
unsigned catalog_id_tag(void);

#endif
