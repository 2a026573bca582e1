/* The holes of a file that is sent in parts: they are told of, and not sent. Private to this folder. */
#ifndef SLUICE_CLIENT_PUT_HOLES_H
#define SLUICE_CLIENT_PUT_HOLES_H

#include "engine/client/put.h"
#include "engine/store/extents.h"

struct put_holes {
    struct extents all;
    bool refused;   /* the server takes none, or not these: they are sent as the zeros they read as */
    uint64_t bytes; /* that were told of, and so not sent */
};

/* Those of the source; none where that cannot be known. */
void put_holes_find(struct put_holes *holes, struct client *client, const struct put_source *source);
/*
 * Tells what `have` lacks of them, and adds it. CLIENT_OK, also where the server refuses; else why it could not be
 * asked, with the client's reason set.
 */
int put_holes_tell(struct put_holes *holes, struct client *client, const char *remote, const char *token, uint64_t size,
                   struct extents *have);
void put_holes_clear(struct put_holes *holes);

#endif
