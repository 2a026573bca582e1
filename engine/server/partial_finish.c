/* The end of an upload that comes in parts: whose digest is right gets its name. Or it is given up. */
#include "engine/server/partial_internal.h"

#include <errno.h>
#include <string.h>

#define OTHERS_WAIT_MS 50
#define OTHERS_WAITS 200

static enum flow step_digested(struct session *session);
static enum flow step_set_aside(struct session *session);
static enum flow step_named(struct session *session);

/* -- DELETE -------------------------------------------------------------------------------------------------------- */

static void give_up_run(struct job *job)
{
    struct session *session = session_of_job(job);
    struct upload *upload = session->part->upload;

    store_partial_drop(upload_partial(upload));
    upload_finish_end(upload, true);
    session->part->finishing = false;
    session->result = 0;
}

static enum flow step_given_up(struct session *session)
{
    part_set_deadline(session);
    return request_done(session);
}

/* -- PUT that finishes --------------------------------------------------------------------------------------------- */

enum flow part_claim(struct session *session)
{
    struct part *part = session->part;
    int rc = upload_finish_begin(part->upload, part->waits > 0);

    if (rc == -EAGAIN && part->waits++ < OTHERS_WAITS) {
        session->op.done = session_op_done;
        ring_timeout(session->worker->ring, &session->op, OTHERS_WAIT_MS);
        return session_wait_op(session);
    }
    if (rc == 0 || rc == -EBUSY)
        part->waits = 0;
    if (rc < 0)
        return part_refuse(session, rc);
    part->finishing = true;
    if (session->request->method == HTTP_DELETE)
        return part_run(session, step_given_up, give_up_run);
    if (!store_partial_complete(upload_partial(part->upload))) {
        store_partial_have(upload_partial(part->upload), part->have, sizeof part->have);
        return part_refuse(session, -ENODATA);
    }
    if (!session->promised.known) {
        session->result = 0;
        session->step = step_digested;
        return FLOW_GO;
    }
    session_set_deadline(session, 0, NULL);
    session->step = step_digested;
    return session_wait_arrival(session, store_partial_fd(upload_partial(part->upload)),
                                upload_take_front(part->upload, session->promised.known));
}

static void name_run(struct job *job)
{
    struct session *session = session_of_job(job);
    struct upload *upload = session->part->upload;
    struct store_partial *partial = upload_partial(upload);
    int rc = receive_conditions(session); /* what holds now */

    if (rc == 0) {
        receive_dress(session, store_partial_fd(partial));
        store_partial_number(partial, overwrite_number(session));
        rc = store_partial_commit(partial, session_store(session), session->path,
                                  session->expects ? session->expected : NULL, &session->created, &session->facts);
        store_partial_number(partial, NULL);
    }
    session->result = rc;
    if (rc != 0 && !store_partial_over(partial))
        return;
    upload_finish_end(upload, true);
    session->part->finishing = false;
}

static void set_aside_run(struct job *job)
{
    struct session *session = session_of_job(job);
    struct upload *upload = session->part->upload;

    session->result =
        store_partial_set_aside(upload_partial(upload), session_store(session), session->path, session->part->aside);
    upload_finish_end(upload, true);
    session->part->finishing = false;
}

static enum flow step_digested(struct session *session)
{
    if (session->result < 0)
        return part_refuse(session, session->result);
    if (session->promised.known && !session_digest_holds(session))
        return part_run(session, step_set_aside, set_aside_run);
    return part_run(session, step_named, name_run);
}

static enum flow step_set_aside(struct session *session)
{
    part_set_deadline(session);
    session_tell_mismatch(session, session->result == 0 ? session->part->aside : NULL);
    return request_refuse(session, 422, RECEIVE_OTHER_DIGEST);
}

static enum flow step_named(struct session *session)
{
    struct part *part = session->part;

    part_set_deadline(session);
    if (session->result != 0)
        return part_refuse(session, session->result);
    session->stored = part->size;
    upload_carriage(part->upload, &session->pump.choice, &session->began);
    return receive_answer(session);
}
