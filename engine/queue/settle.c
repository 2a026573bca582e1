/* What becomes of a queued transfer that has ended: its record, its event, its hooks. */
#include "engine/queue/queue_internal.h"

#include <errno.h>

#include "engine/catalog/job.h"

static void run_hooks(struct queue *queue, const struct queue_work *work, const struct catalog_record *record)
{
    char id[CATALOG_ID_SIZE];
    bool failed = record->state == CATALOG_FAILED;

    catalog_id_print(work->id, id);
    const struct hook_facts facts = {
        .event = failed                          ? CONFIG_HOOK_FAILED
                 : work->direction == CATALOG_IN ? CONFIG_HOOK_RECEIVED
                                                 : CONFIG_HOOK_SENT,
        .id = id,
        .direction = catalog_direction_word(work->direction),
        .path = work->remote,
        .local = work->local,
        .partner = work->partner,
        .reason = failed ? record->reason : NULL,
        .message = failed && work->message ? work->message : NULL,
        .bytes = record->bytes,
        .status = record->status,
    };
    if (queue->hooks)
        hooks_run(queue->hooks, work->hold->model.config, &facts);
}

static void tell(struct queue *queue, const struct queue_work *work, const struct catalog_record *record, uint64_t wait)
{
    const struct queue_outcome *outcome = &work->outcome;
    char id[CATALOG_ID_SIZE];

    catalog_id_print(work->id, id);
    event(queue->log, record->event, EVENT_T("transfer", id),
          EVENT_T("direction", catalog_direction_word(work->direction)), EVENT_T("partner", work->partner),
          EVENT_T("remote", work->remote), EVENT_T("local", work->local), EVENT_T("reason", record->reason),
          EVENT_N("code", outcome->result), EVENT_N("status", outcome->status), EVENT_N("bytes", outcome->bytes),
          EVENT_N("retries", work->retries), EVENT_N("again_s", wait / 1000),
          EVENT_T("pump", outcome->pump[0] ? outcome->pump : NULL));
}

/* What the record is to say, and after how many milliseconds it is to be tried again. */
static void judge(const struct queue_work *work, struct catalog_record *record, uint64_t *wait)
{
    const struct queue_outcome *outcome = &work->outcome;
    const struct config_partner *partner =
        work->partner ? config_find_partner(work->hold->model.config, work->partner) : NULL;

    record->state = CATALOG_FAILED;
    record->event = "Q02E";
    record->reason = outcome->reason;
    if (outcome->result == CLIENT_OK) {
        record->state = CATALOG_DONE;
        record->event = work->kind == CATALOG_MESSAGE ? "M03I" : "Q01I";
        record->reason = outcome->reason[0] ? outcome->reason : NULL;
    } else if (outcome->result == CLIENT_INTERRUPTED) {
        record->state = CATALOG_WAITING;
        record->event = NULL;
        record->reason = "the server stopped meanwhile";
    } else if (partner && queue_may_heal(outcome->result, outcome->status) &&
               queue_retry(partner, work->retries, wait)) {
        record->state = CATALOG_WAITING;
        record->event = "Q02W";
        record->retries = work->retries + 1;
    }
    if (record->state == CATALOG_WAITING)
        record->ended = 0;
}

bool queue_settle(struct queue *queue, struct queue_work *work)
{
    const struct queue_outcome *outcome = &work->outcome;
    struct catalog_record record = {
        .id = work->id,
        .direction = work->direction,
        .kind = work->kind,
        .role = CATALOG_CLIENT,
        .partner = work->partner,
        .remote = work->remote,
        .local = work->local,
        .size = outcome->result == CLIENT_OK ? outcome->bytes + outcome->unmoved : work->size,
        .bytes = outcome->bytes,
        .digest = outcome->digest,
        .begun = outcome->begun,
        .ended = outcome->ended,
        .retries = work->retries,
        .status = outcome->status,
        .code = outcome->result,
        .pump = outcome->pump,
        .tx = outcome->tx,
        .rx = outcome->rx,
        .version = outcome->version,
        .suite = outcome->suite,
        .peer = outcome->peer,
        .authentication = outcome->authentication,
        .subject = outcome->subject,
        .resumed = outcome->resumed,
    };
    enum catalog_state found = CATALOG_RUNNING;
    uint64_t wait = 0;

    judge(work, &record, &wait);
    int rc = catalog_job_ended(queue->catalog, &record, catalog_now() + wait * 1000, &found);
    if (rc == -ENOENT || (rc == -EBUSY && found != CATALOG_RUNNING)) {
        record.event = "Q04I"; /* an operator has the last word */
        record.reason = rc == -ENOENT ? "its record is gone" : catalog_state_word(found);
        tell(queue, work, &record, 0);
        return true;
    }
    if (!queue_went_well(queue, rc))
        return false;
    if (record.event)
        tell(queue, work, &record, wait);
    if (record.state == CATALOG_FAILED || (record.state == CATALOG_DONE && work->kind != CATALOG_MESSAGE))
        run_hooks(queue, work, &record);
    return true;
}
