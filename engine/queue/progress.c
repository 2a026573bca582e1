/* How far the transfers that run have come, for `sluice history` and `sluice show`. */
#include "engine/queue/queue_internal.h"

#include "engine/catalog/job.h"

static int note(struct queue *queue, struct queue_work *work, uint64_t now)
{
    uint64_t moved = atomic_load(&work->moved), total = atomic_load(&work->total);
    uint64_t more = moved > work->noted ? moved - work->noted : 0, took = now - work->noted_at;

    int rc = catalog_job_progress(queue->catalog, work->id, moved, total == UINT64_MAX ? CATALOG_UNKNOWN : total,
                                  took ? (uint64_t)((double)more * 1000 / (double)took) : 0);
    work->noted = moved;
    work->noted_at = now;
    return rc;
}

/* Nothing is written of one that has ended, nor of one that has told nothing yet. */
static bool is_worth_it(const struct queue_work *work)
{
    return !atomic_load(&work->ended) && (atomic_load(&work->moved) > 0 || work->noted > 0);
}

void queue_note_progress(struct queue *queue, uint64_t now)
{
    bool any = false;

    if (now < queue->note_at)
        return;
    queue->note_at = now + QUEUE_PROGRESS_MS;
    for (const struct queue_work *work = queue->running; work; work = work->next)
        any = any || is_worth_it(work);
    if (!any || !queue_went_well(queue, catalog_begin(queue->catalog)))
        return;
    int rc = 0;
    for (struct queue_work *work = queue->running; rc == 0 && work; work = work->next)
        rc = is_worth_it(work) ? note(queue, work, now) : 0;
    if (rc == 0)
        rc = catalog_commit(queue->catalog);
    if (rc < 0)
        catalog_rollback(queue->catalog);
    queue_went_well(queue, rc);
}
