/* The file of a writer: opened, opened again, set aside; and what is said of it. */
#include "engine/catalog/writer_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define RETRY_MS 1000 /* after a failure; then twice as long each time */
#define RETRY_MAX_MS 30000
#define RETRY_LOCKED_MS 4000 /* at most, where another process has the lock: it may go at any time */
#define ASIDE_MS 60000 /* between two files set aside: a disk that damages each one shall not be filled with them */

uint64_t writer_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* -- what is said -------------------------------------------------------------------------------------------------- */

void writer_tell_lost(struct catalog_writer *writer, const struct catalog_record *one, uint64_t lost, const char *why)
{
    char id[CATALOG_ID_SIZE] = "";

    if (one)
        catalog_id_print(one->id, id);
    event(writer->log, "C03W", EVENT_N("records", lost), EVENT_T("reason", why), EVENT_T("file", writer->file),
          EVENT_T("transfer", one ? id : NULL),
          EVENT_T("direction", one ? catalog_direction_word(one->direction) : NULL),
          EVENT_T("state", one ? catalog_state_word(one->state) : NULL), EVENT_T("path", one ? one->remote : NULL),
          EVENT_T("local", one ? one->local : NULL), EVENT_T("partner", one ? one->partner : NULL),
          EVENT_T("name", one ? one->user : NULL), EVENT_T("peer", one ? one->peer : NULL),
          EVENT_N("bytes", one ? one->bytes : 0));
}

void writer_tell_trouble(struct catalog_writer *writer, int rc, const char *reason)
{
    struct catalog_writer_counts counts;

    unsigned most = rc == -EBUSY ? RETRY_LOCKED_MS : RETRY_MAX_MS;

    writer->retry = writer->retry == 0 ? RETRY_MS : writer->retry * 2;
    if (writer->retry > most)
        writer->retry = most;
    if (writer->trouble == rc)
        return;
    writer->trouble = rc;
    catalog_writer_count(writer, &counts);
    event(writer->log, "C02W", EVENT_T("file", writer->file), EVENT_T("reason", reason),
          EVENT_N("waiting", counts.waiting), EVENT_N("lost", counts.lost));
}

void writer_tell_recovery(struct catalog_writer *writer)
{
    struct catalog_writer_counts counts;

    writer->retry = 0;
    if (!writer->trouble)
        return;
    writer->trouble = 0;
    catalog_writer_count(writer, &counts);
    event(writer->log, "C01I", EVENT_T("file", writer->file), EVENT_N("lost", counts.lost));
}

/* -- the file ------------------------------------------------------------------------------------------------------ */

void writer_shut(struct catalog_writer *writer)
{
    catalog_close(writer->catalog);
    writer->catalog = NULL;
}

static void set_aside(struct catalog_writer *writer, ino_t damaged, const char *reason)
{
    char aside[PATH_MAX], text[CATALOG_WHY_SIZE + PATH_MAX + 128];
    struct catalog_writer_counts counts;
    bool again = writer->aside_at && writer_clock() - writer->aside_at < ASIDE_MS;
    int rc = again ? -EAGAIN : catalog_set_aside(writer->file, damaged, aside, sizeof aside);

    if (rc == -ESTALE)
        return;
    if (again) {
        snprintf(text, sizeof text, "%s, and so was the one before it: look at the disk", reason);
        writer_tell_trouble(writer, -EUCLEAN, text);
        return;
    }
    if (rc < 0) {
        snprintf(text, sizeof text, "%s; it cannot be set aside: %s", reason, strerror(-rc));
        writer_tell_trouble(writer, -EUCLEAN, text);
        return;
    }
    catalog_writer_count(writer, &counts);
    snprintf(text, sizeof text, "%s; what was recorded until now stands in %s, and a new file is begun", reason, aside);
    event(writer->log, "C02W", EVENT_T("file", writer->file), EVENT_T("reason", text), EVENT_T("aside", aside),
          EVENT_N("waiting", counts.waiting), EVENT_N("lost", counts.lost));
    writer->trouble = -EUCLEAN;
    writer->aside_at = writer_clock();
}

void writer_damaged(struct catalog_writer *writer, const char *reason)
{
    char copy[CATALOG_WHY_SIZE];
    struct stat facts;
    ino_t inode = 0;

    snprintf(copy, sizeof copy, "%s", reason);
    if (writer->catalog)
        inode = catalog_inode(writer->catalog);
    else if (stat(writer->file, &facts) == 0)
        inode = facts.st_ino;
    writer_shut(writer);
    set_aside(writer, inode, copy);
}

int writer_open_again(struct catalog_writer *writer)
{
    char why[CATALOG_WHY_SIZE];

    if (writer->catalog && !catalog_is_current(writer->catalog))
        writer_shut(writer);
    if (writer->catalog)
        return 0;
    int rc = catalog_open(&writer->catalog, writer->file, CATALOG_WRITE, why);
    if (rc == -EUCLEAN) {
        writer_damaged(writer, why);
        rc = catalog_open(&writer->catalog, writer->file, CATALOG_WRITE, why);
    }
    if (rc == 0)
        rc = catalog_hasten(writer->catalog);
    if (rc < 0) {
        writer_tell_trouble(writer, rc, why);
        writer_shut(writer);
    }
    return rc;
}
