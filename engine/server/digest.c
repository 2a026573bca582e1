/* Digests in requests and answers (RFC 9530). */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "config/path.h"
#include "engine/http/digest.h"
#include "engine/server/digests.h"
#include "engine/server/server_internal.h"
#include "engine/store/digest.h"

#define EXPECT_FROM (UINT64_C(16) << 20) /* bytes of a part's body */
#define AT_ONCE_MOST ((off_t)1 << 20)    /* bytes of a file whose digest comes with its body, whether known or not */
#define ON_WORKER_MOST ((off_t)16 << 10) /* and in memory: shorter than the way to another thread and back */

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
    struct session *session; /* NULL: nobody waits for it */
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
    session->asking = NULL;
    free(ask);
    session_resume(session, result);
}

static void expected_done(struct digest_ask *ask)
{
    struct session *session = ((struct session_ask *)ask)->session;

    if (session)
        session->expecting = NULL;
    free(ask);
}

/* One sender's, by the address: names are as many as a stranger likes. */
static uint64_t asker_of(const struct session *session)
{
    const struct in6_addr part = peers_part(&session->address);
    uint64_t hash = 14695981039346656037u;

    for (size_t i = 0; i < sizeof part.s6_addr; i++)
        hash = (hash ^ part.s6_addr[i]) * 1099511628211u;
    return hash | 1;
}

static struct session_ask *ask_new(struct session *session, int fd, unsigned algorithms, bool spares_cache)
{
    struct session_ask *asking = calloc(1, sizeof *asking);

    if (!asking)
        return NULL;
    asking->session = session;
    asking->ask = (struct digest_ask){
        .fd = fd,
        .algorithms = algorithms,
        .spares_cache = spares_cache,
        .facts = session->facts,
        .home = session->worker->ring,
        .done = ask_done,
    };
    return asking;
}

static enum flow cannot_ask(struct session *session, int error)
{
    session->result = error;
    return FLOW_GO;
}

static enum flow wait_for(struct session *session, struct session_ask *asking)
{
    int error = digests_ask(session->worker->server->digests, &asking->ask);

    if (error < 0) {
        free(asking);
        return cannot_ask(session, error);
    }
    (void)session_let_go(session);
    session->asking = asking;
    session->waiting = WAIT_JOB;
    return FLOW_WAIT;
}

enum flow session_wait_arrival(struct session *session, int fd, struct digest_front *front)
{
    struct session_ask *asking = ask_new(session, fd, session->promised.known, true);
    int error = asking ? 0 : -ENOMEM;

    if (error == 0 && fstat(fd, &asking->ask.facts) < 0)
        error = -errno;
    if (error < 0) {
        digest_front_drop(front);
        free(asking);
        return cannot_ask(session, error);
    }
    asking->ask.front = front;
    return wait_for(session, asking);
}

/* Of what the answer is about, even if it was changed since. */
static enum flow wait_for_served(struct session *session)
{
    const char *path = config_path_word(session->service->protocol->store->path);
    bool spares = pump_would_spare_cache(session->file, (uint64_t)session->facts.st_size, path);
    struct session_ask *asking = ask_new(session, session->file, session->digest_wanted, spares);

    if (!asking)
        return cannot_ask(session, -ENOMEM);
    asking->ask.remember = true;
    asking->ask.asker = asker_of(session);
    return wait_for(session, asking);
}

static void forget_expected(struct session *session)
{
    struct session_ask *asking = session->expecting;

    if (!asking)
        return;
    session->expecting = NULL;
    asking->session = NULL;
    if (digests_forget(session->worker->server->digests, &asking->ask))
        free(asking);
}

/* For somebody who will ask for it soon: reads the file the way that its body goes. */
static void expect(struct session *session)
{
    bool spares = pump_spares_cache(&session->pump);
    struct session_ask *asking = ask_new(session, session->file, session->digest_wanted, spares);

    forget_expected(session);
    if (!asking)
        return;
    asking->ask.remember = true;
    asking->ask.asker = asker_of(session);
    asking->ask.done = expected_done;
    if (digests_ask(session->worker->server->digests, &asking->ask) < 0)
        free(asking);
    else
        session->expecting = asking;
}

/* A computation of minutes for a client that has left would be for nobody: what it reads is the others' disk. */
bool session_digest_unwanted(struct session *session)
{
    struct session_ask *asking = session->asking;
    struct pollfd socket = { .fd = session->fd, .events = POLLRDHUP };

    if (!asking || !asking->ask.remember || (!session->ending && poll(&socket, 1, 0) <= 0))
        return false;
    if (!digests_forget(session->worker->server->digests, &asking->ask))
        return false;
    session->asking = NULL;
    free(asking);
    return true;
}

void session_digest_leaves(struct session *session)
{
    session->expects_digest |= session->expecting != NULL;
    forget_expected(session);
}

void session_digest_begins(struct session *session)
{
    if (session->expects_digest)
        expect(session);
    session->expects_digest = false;
}

void session_digest_release(struct session *session)
{
    forget_expected(session);
}

/* -- answers ------------------------------------------------------------------------------------------------------- */

/* The whole file goes out, and is so small that computing its digest keeps nobody waiting. */
static bool comes_at_once(const struct session *session)
{
    off_t size = session->facts.st_size;

    return session->request->method == HTTP_GET && session->range.length == (uint64_t)size && size <= AT_ONCE_MOST;
}

/* What was computed before, or the file carries with it, which is from when it was sent; else what it is now. */
static void recall(struct session *session)
{
    struct digests *digests = session->worker->server->digests;
    unsigned wanted = session->digest_wanted;

    session->result = 0;
    if (digests_recall(digests, &session->facts, wanted, &session->digests))
        return;
    if (store_digest_recall(session->file, &session->facts, &session->digests) == 0 && session->digests.known & wanted)
        return;
    session->digests.known = 0;
    if (comes_at_once(session))
        session->result = digests_compute(session->file, &session->facts, wanted, &session->digests);
}

static void recall_run(struct job *job)
{
    recall(session_of_job(job));
}

static enum flow step_computed(struct session *session)
{
    session_set_deadline(session, session->epoch->config->server.idle_timeout, session_abort);
    if (session->result == -EUSERS && session->request->method == HTTP_HEAD)
        return request_refuse(session, 503, "your other questions for digests are being worked on: ask again later");
    /* One that cannot be read, or is being changed, has none: the answer says nothing of it. */
    if (session->result < 0)
        session->digests.known = 0;
    session->step = session->after_digest;
    return FLOW_GO;
}

static enum flow step_recalled(struct session *session)
{
    bool takes_little = session->range.length < EXPECT_FROM && session->range.length < (uint64_t)session->facts.st_size;

    if (session->digests.known || comes_at_once(session))
        return step_computed(session);
    if (session->request->method == HTTP_HEAD) {
        session->step = step_computed;
        return wait_for_served(session);
    }
    /* Who wants it with a body, and does not get it, asks again when the body is over: but not who takes one byte. */
    session->expects_digest = !takes_little;
    return step_computed(session);
}

enum flow session_seek_digest(struct session *session, enum flow (*then)(struct session *session))
{
    enum digest_algorithm algorithm;

    session->after_digest = then;
    session->expects_digest = false;
    session->step = then;
    if (http_digest_wanted(session->request, "want-repr-digest", &algorithm) < 0)
        return FLOW_GO; /* a wish that cannot be read is none */
    session->digest_wanted = 1u << algorithm;
    session->step = step_recalled;
    if (session->facts.st_size <= ON_WORKER_MOST && store_in_memory(session_store(session))) {
        recall(session);
        return FLOW_GO;
    }
    session_set_deadline(session, 0, NULL);
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
