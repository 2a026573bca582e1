/*
 * Which files of a watched folder were queued already, and as which transfer. A file is known by its path and a mark
 * of what it was then. Errors as in catalog.h.
 */
#ifndef SLUICE_CATALOG_SEEN_H
#define SLUICE_CATALOG_SEEN_H

#include "engine/catalog/catalog.h"

/* Whether a file was queued as it is now. 0 with *seen, or -errno. */
int catalog_seen(struct catalog *catalog, const char *watch, const char *path, const char *mark, bool *seen);
int catalog_seen_put(struct catalog *catalog, const char *watch, const char *path, const char *mark, uint64_t id);
int catalog_seen_forget(struct catalog *catalog, const char *watch, const char *path);

/*
 * Visits what a watch has queued: all of it, only what has been carried out, or only that of it whose digest both sides
 * have compared. Non-zero from the visit ends the
 * search, which returns it. The visit must not change the catalog.
 */
enum catalog_seen_which { CATALOG_SEEN_ALL, CATALOG_SEEN_DONE, CATALOG_SEEN_VERIFIED };
typedef int catalog_seen_visit(void *argument, const char *path, const char *mark, uint64_t id);
int catalog_seen_each(struct catalog *catalog, const char *watch, enum catalog_seen_which which,
                      catalog_seen_visit *visit, void *argument);

#endif
