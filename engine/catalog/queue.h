/* Private to engine/catalog: records that wait for the writer's thread, copied, within bounds. */
#ifndef SLUICE_CATALOG_QUEUE_H
#define SLUICE_CATALOG_QUEUE_H

#include "engine/catalog/catalog.h"

struct catalog_waiting {
    struct catalog_waiting *next;
    size_t size; /* of all of it: what it holds lies behind it */
    struct catalog_record record;
};

/* A copy in one piece, for free(). NULL: no memory. */
struct catalog_waiting *catalog_waiting_new(const struct catalog_record *record);

struct catalog_queue {
    struct catalog_waiting *first, **last;
    size_t count, bytes;
};

void catalog_queue_clear(struct catalog_queue *queue); /* frees what is in it, and makes it empty */
void catalog_queue_add(struct catalog_queue *queue, struct catalog_waiting *waiting);
struct catalog_waiting *catalog_queue_take(struct catalog_queue *queue);       /* the oldest; NULL: none */
void catalog_queue_move(struct catalog_queue *to, struct catalog_queue *from); /* all, behind what is there */

#endif
