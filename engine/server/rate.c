/*
 * How fast a body may move. A partner's limit is for all its sessions together: the bodies that are under way share it,
 * and at each tick every one of them looks how many they are. What a client asks for itself (Sluice-Limit-Rate, so that
 * its kernel need not hold back what ours has sent) comes on top.
 */
#include "engine/server/server_internal.h"

#include <errno.h>
#include <string.h>

#include "config/rate.h"

static atomic_uint *bodies_of(const struct session *session)
{
    const struct config_partner *partner = session->identified ? session->identity.partner : NULL;

    if (!partner || partner->limit_rate == 0)
        return NULL;
    return &session->epoch->bodies[partner - session->epoch->config->partners];
}

/* What this client wishes; 0: nothing, or nothing that can be understood. */
static uint64_t wish_of(const struct http_head *request)
{
    const char *text = request->method == HTTP_GET ? http_field(request, HTTP_LIMIT_RATE) : NULL;
    uint64_t rate;

    return text && config_rate_parse(text, &rate) == 0 ? rate : 0;
}

static uint64_t share(const struct session *session)
{
    unsigned bodies = atomic_load_explicit(session->bodies, memory_order_relaxed);
    uint64_t part = session->identity.partner->limit_rate / (bodies ? bodies : 1);

    return part ? part : 1;
}

static uint64_t rate_now(const struct session *session)
{
    uint64_t wish = wish_of(session->request);
    uint64_t part = session->bodies ? share(session) : 0;

    return wish == 0 || (part && part < wish) ? part : wish;
}

uint64_t rate_announced(struct session *session)
{
    rate_count(session);
    return wish_of(session->request) ? rate_now(session) : 0;
}

bool rate_limits(const struct session *session)
{
    return bodies_of(session) || wish_of(session->request);
}

void rate_count(struct session *session)
{
    if (session->bodies || !(session->bodies = bodies_of(session)))
        return;
    atomic_fetch_add_explicit(session->bodies, 1, memory_order_relaxed);
}

static void apply(struct session *session, uint64_t rate)
{
    int rc = 0;

    if (session->pump.way == PUMP_SEND)
        rc = channel_pace(session->channel, rate);
    if (rc < 0 && session->rate == 0)
        event(session->worker->server->log, "T18W", EVENT_T("peer", session->peer), EVENT_T("path", session->path),
              EVENT_N("rate", rate), EVENT_T("reason", strerror(-rc)));
    session->rate = session->pump.rate = rate;
}

void rate_begin(struct session *session)
{
    rate_count(session);
    apply(session, rate_now(session));
}

void rate_tick(struct session *session)
{
    if (!session->bodies)
        return;
    uint64_t rate = rate_now(session);
    if (rate != session->rate)
        apply(session, rate);
}

void rate_end(struct session *session)
{
    if (session->bodies)
        atomic_fetch_sub_explicit(session->bodies, 1, memory_order_relaxed);
    session->bodies = NULL;
    session->rate = 0;
}
