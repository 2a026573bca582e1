#include "engine/catalog/queue.h"

#include "engine/catalog/catalog_internal.h"

#include <stdlib.h>
#include <string.h>

struct catalog_waiting *catalog_waiting_new(const struct catalog_record *record)
{
    struct catalog_record copy = *record;
    size_t lengths[CATALOG_STRINGS], streams = 0, size = sizeof(struct catalog_waiting);

    if (copy.stream_count > 1 && copy.stream_count <= CATALOG_STREAMS_MAX)
        streams = copy.stream_count * sizeof *copy.streams;
    if (!copy.message)
        copy.message_length = 0;
    size += streams + copy.message_length;
    for (size_t i = 0; i < CATALOG_STRINGS; i++) {
        const char *text = *catalog_string(&copy, i);
        lengths[i] = text && text[0] ? strlen(text) + 1 : 0;
        size += lengths[i];
    }
    struct catalog_waiting *waiting = malloc(size);
    if (!waiting)
        return NULL;
    char *at = (char *)(waiting + 1);
    if (streams)
        memcpy(at, copy.streams, streams);
    copy.streams = streams ? (const uint64_t *)(void *)at : NULL;
    copy.stream_count = streams / sizeof *copy.streams;
    at += streams;
    for (size_t i = 0; i < CATALOG_STRINGS; i++) {
        if (lengths[i])
            memcpy(at, *catalog_string(&copy, i), lengths[i]);
        *catalog_string(&copy, i) = lengths[i] ? at : NULL;
        at += lengths[i];
    }
    if (copy.message_length)
        memcpy(at, copy.message, copy.message_length);
    copy.message = copy.message ? at : NULL;
    *waiting = (struct catalog_waiting){ .size = size, .record = copy };
    return waiting;
}

void catalog_queue_add(struct catalog_queue *queue, struct catalog_waiting *waiting)
{
    if (!queue->first)
        queue->last = &queue->first;
    waiting->next = NULL;
    *queue->last = waiting;
    queue->last = &waiting->next;
    queue->count++;
    queue->bytes += waiting->size;
}

struct catalog_waiting *catalog_queue_take(struct catalog_queue *queue)
{
    struct catalog_waiting *first = queue->first;

    if (!first)
        return NULL;
    queue->first = first->next;
    queue->count--;
    queue->bytes -= first->size;
    return first;
}

void catalog_queue_move(struct catalog_queue *to, struct catalog_queue *from)
{
    if (!from->first)
        return;
    if (!to->first)
        to->last = &to->first;
    *to->last = from->first;
    to->last = from->last;
    to->count += from->count;
    to->bytes += from->bytes;
    *from = (struct catalog_queue){ 0 };
}

void catalog_queue_clear(struct catalog_queue *queue)
{
    struct catalog_waiting *waiting;

    while ((waiting = catalog_queue_take(queue)))
        free(waiting);
}
