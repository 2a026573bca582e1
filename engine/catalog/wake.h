/*
 * Tells when a catalog may have been changed, so that nobody has to ask it twice a second: inotify on its files, and
 * where there is none to be had, or somebody on another machine writes to a shared file system, a look now and then.
 *
 * SQLite writes first, and only later, after an fsync it may be, makes known what it wrote; so that after a change
 * there are several looks, each after twice the time of the one before. Belongs to one thread.
 */
#ifndef SLUICE_CATALOG_WAKE_H
#define SLUICE_CATALOG_WAKE_H

#define CATALOG_WAKE_SOON 200   /* milliseconds from a change to the first look, and between two looks */
#define CATALOG_WAKE_SLOW 10000 /* without any change */
#define CATALOG_WAKE_POLL 500   /* without inotify */

struct catalog_wake;

/* Of a catalog that is open, so that its files are there. NULL: no memory; all below takes it, and then looks often. */
struct catalog_wake *catalog_wake_new(const char *file);
void catalog_wake_free(struct catalog_wake *wake);

int catalog_wake_fd(const struct catalog_wake *wake);   /* to poll(2) for reading; -1: nothing now */
int catalog_wake_wait(const struct catalog_wake *wake); /* milliseconds until the next look, at most */
void catalog_wake_heed(struct catalog_wake *wake);      /* after poll(2): takes what there is to be read */
void catalog_wake_look(struct catalog_wake *wake);      /* before each look */

#endif
