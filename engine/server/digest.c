/* Digests in requests and answers (RFC 9530). */
#include <errno.h>
#include <stdlib.h>

#include "engine/http/digest.h"
#include "engine/server/digests.h"
#include "engine/server/server_internal.h"
#include "engine/store/digest.h"

unsigned session_promised(struct session *session, bool content)
{
    int error = http_digests(session->request, "repr-digest", &session->promised);

    if ((error == 0 || error == -ENOENT) && content)
        error = http_digests(session->request, "content-digest", &session->promised);
    return error == -EINVAL ? 400 : 0;
}

bool session_digest_holds(const struct session *session)
{
    return digest_set_agree(&session->promised, &session->digests);
}

void session_tell_mismatch(struct session *session, const char *kept)
{
    const struct digest *promised = digest_set_strongest(&session->promised);
    char said[DIGEST_HEX_SIZE] = "", found[DIGEST_HEX_SIZE] = "";

    if (promised) {
        digest_hex(promised, said);
        digest_hex(&session->digests.items[promised->algorithm], found);
    }
    event(session->worker->server->log, "T11E", EVENT_T("direction", "in"), EVENT_T("path", session->path),
          EVENT_T("kept", kept), EVENT_T("algorithm", promised ? digest_name(promised->algorithm) : NULL),
          EVENT_T("promised", said), EVENT_T("found", found), EVENT_T("peer", session->peer),
          EVENT_T("name", session->identified && session->identity.name[0] ? session->identity.name : NULL),
          EVENT_T("subject", channel_facts(session->channel)->peer_subject));
}

/* -- computing ----------------------------------------------------------------------------------------------------- */

/* It is apart from the session, which may be many and seldom asks. */
struct session_ask {
    struct digest_ask ask;
    struct session *session;
};

static void ask_done(struct digest_ask *ask)
{
    struct session *session = ((struct session_ask *)ask)->session;
    int result = ask->result;

    if (result == 0) {
        for (int i = 0; i < DIGEST_ALGORITHMS; i++) {
            if (ask->set.known & 1u << i)
                digest_set_add(&session->digests, &ask->set.items[i]);
        }
    }
    free(ask);
    session_resume(session, result);
}

static enum flow cannot_ask(struct session *session, int error)
{
    session->result = error;
    return FLOW_GO;
}

enum flow session_wait_digest(struct session *session, int fd, unsigned algorithms, bool remember)
{
    struct session_ask *asking = calloc(1, sizeof *asking);

    if (!asking)
        return cannot_ask(session, -ENOMEM);
    asking->session = session;
    asking->ask = (struct digest_ask){
        .fd = fd, .algorithms = algorithms, .remember = remember, .home = session->worker->ring, .done = ask_done
    };
    if (remember) /* of what the answer is about, even if it was changed since */
        asking->ask.facts = session->facts;
    else if (fstat(fd, &asking->ask.facts) < 0) {
        int error = -errno;
        free(asking);
        return cannot_ask(session, error);
    }
    session->waiting = WAIT_JOB;
    digests_ask(session->worker->server->digests, &asking->ask);
    return FLOW_WAIT;
}

/* -- answers ------------------------------------------------------------------------------------------------------- */

/* What the file carries with it, or was computed before. */
static void recall_run(struct job *job)
{
    struct session *session = session_of_job(job);
    unsigned wanted = session->digest_wanted;

    session->result = 0;
    if (digests_recall(session->worker->server->digests, &session->facts, wanted, &session->digests))
        return;
    if (store_digest_recall(session->file, &session->facts, &session->digests) < 0 ||
        !(session->digests.known & wanted))
        session->digests.known = 0;
}

static enum flow step_computed(struct session *session)
{
    /* One that cannot be read, or is being changed, has none: the answer says nothing of it. */
    if (session->result < 0)
        session->digests.known = 0;
    session_set_deadline(session, session->epoch->config->server.idle_timeout, session_abort);
    session->step = session->after_digest;
    return FLOW_GO;
}

static enum flow step_recalled(struct session *session)
{
    if (session->digests.known)
        return step_computed(session);
    if (session->request->method != HTTP_HEAD) {
        /* Who wants it with a body, and does not get it, asks again when the body is over. */
        digests_expect(session->worker->server->digests, session->file, &session->facts, session->digest_wanted,
                       session->worker->ring);
        return step_computed(session);
    }
    session->step = step_computed;
    return session_wait_digest(session, session->file, session->digest_wanted, true);
}

enum flow session_seek_digest(struct session *session, enum flow (*then)(struct session *session))
{
    enum digest_algorithm algorithm;

    session->after_digest = then;
    session->step = then;
    if (http_digest_wanted(session->request, "want-repr-digest", &algorithm) < 0)
        return FLOW_GO; /* a wish that cannot be read is none */
    session->digest_wanted = 1u << algorithm;
    session_set_deadline(session, 0, NULL);
    session->step = step_recalled;
    return session_wait_job(session, session->worker->server->files, recall_run);
}

void session_write_digests(struct session *session)
{
    http_write_digests(&session->out, "Repr-Digest", &session->digests);
}

/* With times in whole seconds (store_digest_keep() could not make them finer) a change would not show. */
void session_remember_digests(struct session *session)
{
    if (session->digests.known && session->facts.st_mtim.tv_nsec != 0)
        digests_remember(session->worker->server->digests, &session->facts, &session->digests);
}
