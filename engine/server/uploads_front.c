/*
 * The digest of an upload while its parts still come: computed as far as all bytes stand that will not be written
 * again.
 *
 * That is the contiguous front of what is there, but not beyond where somebody still writes. Who then writes below it
 * all the same, after a part that was lost or because he sends one twice, makes it begin anew, a few times at most.
 */
#include "engine/server/uploads_internal.h"

#define FRONTS_MAX 256  /* over all uploads: each has a descriptor */
#define FRONTS_OF_ONE 3 /* then its digest is computed when all of it is there */

void upload_front_end(struct upload *upload)
{
    upload->home->fronts -= upload->front != NULL;
    digest_front_drop(upload->front);
    upload->front = NULL;
    upload->told = 0;
}

void upload_front_begin(struct upload *upload, const struct upload_writer *writer, unsigned algorithms)
{
    struct uploads *uploads = upload->home;

    if (upload->front && writer->at < upload->told)
        upload_front_end(upload);
    if (upload->front || !algorithms || upload->fronts == FRONTS_OF_ONE || uploads->fronts >= FRONTS_MAX)
        return;
    if (digest_front_new(&upload->front, uploads->crew, store_partial_fd(upload->partial), algorithms) < 0)
        return; /* it is computed later */
    upload->fronts++;
    uploads->fronts++;
}

void upload_front_move(struct upload *upload)
{
    if (!upload->front)
        return;
    uint64_t to = store_partial_front(upload->partial);
    for (const struct upload_writer *writer = upload->writers; writer; writer = writer->next) {
        if (writer->at < writer->end && writer->at < to)
            to = writer->at;
    }
    if (to <= upload->told)
        return;
    upload->told = to;
    digest_front_reached(upload->front, to);
}

struct digest_front *upload_take_front(struct upload *upload, unsigned algorithms)
{
    struct digest_front *front = NULL;

    pthread_mutex_lock(&upload->home->lock);
    if (upload->front && (digest_front_algorithms(upload->front) & algorithms) == algorithms) {
        front = upload->front;
        upload->front = NULL;
        upload->told = 0;
        upload->home->fronts--;
    } else {
        upload_front_end(upload);
    }
    pthread_mutex_unlock(&upload->home->lock);
    return front;
}
