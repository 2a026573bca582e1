/*
 * Records transfers without anybody waiting for it: a thread of its own writes what others leave in a bounded queue, a
 * transaction for many at once.
 *
 * Whatever happens to the file, transfers go on, and events say what became of the records:
 *     C01I  recording goes on after it could not
 *     C02W  recording is not possible now: locked, no room, damaged, no permission. Records wait in the queue
 *     C03W  records were lost, as the queue is full or the end came: how many, and one of them
 *     C05I  old records were removed, where only those of some time are kept
 * A damaged file is set aside under another name, which C02W tells, and a new one begun.
 */
#ifndef SLUICE_CATALOG_WRITER_H
#define SLUICE_CATALOG_WRITER_H

#include "engine/catalog/catalog.h"
#include "engine/event/event.h"

struct catalog_writer;

struct catalog_writer_options {
    const char *file;        /* copied */
    struct catalog *catalog; /* already open, taken over; NULL: it is opened by the thread */
    struct event_log *log;   /* NULL: none; lent */
    size_t capacity;         /* records that may wait; 0: 65536 */
    size_t bytes;            /* and their memory; 0: 64 MiB */
    uint64_t keep;           /* microseconds: what ended longer ago is removed, at once and each hour; 0: nothing is */
};

/* 0 or -errno; the thread runs from here on. */
int catalog_writer_new(struct catalog_writer **writer, const struct catalog_writer_options *options);

/*
 * Waits until all is written, up to `patience` milliseconds where that is not possible; what is left then is lost
 * (C03W). Nobody may push any more. NULL is allowed.
 */
void catalog_writer_free(struct catalog_writer *writer, unsigned patience);

/* From here on another time; any thread. */
void catalog_writer_keep(struct catalog_writer *writer, uint64_t keep);

/* A new id, from any thread. */
uint64_t catalog_writer_id(struct catalog_writer *writer);

/*
 * Any thread; never waits for the file. The record is copied, and written as catalog_put() does; one with an id that
 * was pushed before takes its place. An id of 0 is given one, which is returned. A NULL writer takes nothing and
 * returns 0.
 */
uint64_t catalog_writer_push(struct catalog_writer *writer, const struct catalog_record *record);

/* What became of all that was pushed. */
struct catalog_writer_counts {
    uint64_t written, lost, waiting;
};
void catalog_writer_count(struct catalog_writer *writer, struct catalog_writer_counts *counts);

#endif
