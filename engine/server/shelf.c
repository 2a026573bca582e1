#include "engine/server/shelf.h"

#include <stdlib.h>

void *shelf_take(struct shelf *shelf)
{
    return shelf->count > 0 ? shelf->buffers[--shelf->count] : malloc(SHELF_BUFFER);
}

void shelf_put(struct shelf *shelf, void *buffer)
{
    if (buffer && shelf->count < SHELF_PLACES)
        shelf->buffers[shelf->count++] = buffer;
    else
        free(buffer);
}

void shelf_clear(struct shelf *shelf)
{
    while (shelf->count > 0)
        free(shelf->buffers[--shelf->count]);
}
