/*
 * A small upload is gathered in memory, and then all that is to be done with files is done at once: by a thread that
 * may wait for a disk, or, where the store lives in memory and nothing is to be waited for, by the worker itself.
 */
#include "engine/server/server_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/path.h"

#define WHOLE_MOST ((uint64_t)64 << 10) /* bytes: what a session may hold in memory of one */
#define OTHER_DIGEST 1                  /* a result that is neither a status nor -errno */

/* Who asks for a path, a rate or the kernel gets it for small bodies, too; and who waits for our word first, that. */
bool whole_may_take(const struct session *session)
{
    const struct http_head *request = session->request;
    enum channel_mode mode = channel_mode(session->channel, CHANNEL_RX);

    if (request->framing != HTTP_BODY_LENGTH || request->length > WHOLE_MOST || request->expect_continue)
        return false;
    if (rate_limits(session) || config_path_word(session->service->protocol->store->path))
        return false;
    return mode != CHANNEL_USER || tls_context_offload(session->service->context) != CONFIG_OFFLOAD_REQUIRED;
}

void whole_release(struct session *session)
{
    free(session->whole);
    session->whole = NULL;
}

/* -- files --------------------------------------------------------------------------------------------------------- */

static bool is_conditional(const struct session *session)
{
    static const char *const names[] = { "if-match", "if-none-match", "if-unmodified-since" };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (http_field(session->request, names[i]))
            return true;
    }
    return overwrite_keeps(session);
}

/* What was promised is computed from what came. 0, OTHER_DIGEST or -errno. */
static int verify(struct session *session)
{
    struct digest_run *run;

    if (!session->promised.known)
        return 0;
    int rc = digest_run_new(&run, session->promised.known);
    if (rc < 0)
        return rc;
    rc = digest_run_add(run, session->whole, session->request->length);
    if (rc == 0)
        rc = digest_run_end(run, &session->digests);
    digest_run_free(run);
    return rc == 0 && !session_digest_holds(session) ? OTHER_DIGEST : rc;
}

static int commit(struct session *session, struct store_batch *file)
{
    receive_dress(session, file->upload.fd);
    file->upload.numbered = overwrite_number(session);
    file->expected = session->expects ? session->expected : NULL;
    store_upload_commit_all(file, 1);
    session->created = file->created;
    session->facts = file->facts;
    return file->result;
}

/* 0, a status to refuse with, OTHER_DIGEST or -errno. */
static int store_whole(struct session *session)
{
    struct store_batch file;
    int rc = store_batch_begin(session_store(session), session->path, &file, 0);

    if (rc < 0)
        return rc;
    if (is_conditional(session) || !store_upload_is_new(&file.upload))
        rc = receive_conditions(session);
    if (rc == 0)
        rc = store_write_all(file.upload.fd, session->whole, session->request->length);
    if (rc == 0)
        rc = verify(session);
    if (rc == 0)
        return commit(session, &file);
    if (rc != OTHER_DIGEST) {
        store_upload_abandon(&file.upload);
        return rc;
    }
    int kept = store_upload_set_aside(&file.upload, session->aside);
    if (kept < 0)
        session->aside[0] = '\0';
    return rc;
}

static void store_run(struct job *job)
{
    struct session *session = session_of_job(job);

    session->result = store_whole(session);
}

/* -- steps --------------------------------------------------------------------------------------------------------- */

static enum flow step_stored(struct session *session)
{
    if (session->result == 412)
        return request_refuse(session, 412, "the file is not the one that was asked for");
    if (session->result < 0)
        return receive_fail_file(session, session->result);
    if (session->result == 0)
        return receive_answer(session);
    session_set_deadline(session, session->epoch->config->server.idle_timeout, session_abort);
    session_tell_mismatch(session, session->aside[0] ? session->aside : NULL);
    return request_refuse(session, 422, RECEIVE_OTHER_DIGEST);
}

/* Which number is free may take a look at thousands of names. */
static bool waits_for_nothing(struct session *session)
{
    return store_in_memory(session_store(session)) && !overwrite_number(session);
}

static enum flow arrived(struct session *session)
{
    session->body_ended = true;
    channel_stay(session->channel, CHANNEL_RX, "the body came with its head");
    session->pump.choice = (struct pump_choice){ .path = &pump_path_whole, .why = "a small body, written at once" };
    session->step = step_stored;
    if (!waits_for_nothing(session)) {
        session_set_deadline(session, 0, NULL);
        return session_wait_job(session, session->worker->server->files, store_run);
    }
    session->result = store_whole(session);
    return FLOW_GO;
}

static enum flow overdue(struct session *session)
{
    return receive_fail(session, 0, "no progress for longer than idle_timeout");
}

static enum flow wait_for_more(struct session *session)
{
    session_set_deadline(session, session->epoch->config->server.idle_timeout, overdue);
    return session_wait_socket(session);
}

static void take_what_came(struct session *session, uint64_t left)
{
    size_t have = session->in_end - session->in_start, taken = have < left ? have : (size_t)left;

    memcpy(session->whole + session->stored, session->in + session->in_start, taken);
    session->in_start += taken;
    session->stored += taken;
}

static enum flow step_gather(struct session *session)
{
    uint64_t left = session->request->length - session->stored;

    if (left == 0)
        return arrived(session);
    if (session->in_start < session->in_end) {
        take_what_came(session, left);
        return FLOW_GO;
    }
    int rc = channel_switch(session->channel, CHANNEL_RX, left);
    if (rc < 0 && rc != -EAGAIN)
        return receive_fail_channel(session, rc);
    ssize_t n = channel_read(session->channel, session->whole + session->stored, (size_t)left);
    if (n == -EAGAIN)
        return wait_for_more(session);
    if (n <= 0)
        return receive_fail_channel(session, (int)n);
    session->stored += (uint64_t)n;
    return FLOW_GO;
}

enum flow whole_receive(struct session *session)
{
    uint64_t length = session->request->length;

    session->whole = malloc(length ? length : 1);
    if (!session->whole)
        return request_refuse(session, 503, "no memory");
    session->step = step_gather;
    return FLOW_GO;
}
