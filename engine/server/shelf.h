/*
 * Buffers of one size that a worker's sessions use in turn: a session has one only while it is busy. A few stay here
 * for the next one; they hold nothing that is secret (whoever reads a head overwrites it).
 */
#ifndef SLUICE_SERVER_SHELF_H
#define SLUICE_SERVER_SHELF_H

#include <stddef.h>

#define SHELF_BUFFER ((size_t)20 * 1024) /* bytes: a head and a small body, or a record */
#define SHELF_PLACES 16

struct shelf {
    void *buffers[SHELF_PLACES];
    unsigned count;
};

void *shelf_take(struct shelf *shelf);             /* NULL: no memory */
void shelf_put(struct shelf *shelf, void *buffer); /* one that shelf_take() gave, here or on another shelf; or NULL */
void shelf_clear(struct shelf *shelf);

#endif
