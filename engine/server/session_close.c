/* How a session ends. */
#include "engine/server/server_internal.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#define LINGER_MS 2000
#define LINGER_BYTES (16u << 20)
#define LINGER_TURNS 256 /* reads before others may go on */

/*
 * Closing a socket that holds unread bytes makes the kernel send a reset, which can overtake our last answer. So the
 * write side is shut, and the peer has a moment to finish.
 */
static enum flow step_linger(struct session *session)
{
    char dropped[4096];

    for (int turn = 0; turn < LINGER_TURNS; turn++) {
        /* MSG_TRUNC: TCP drops them in the kernel. What a plain client says that was refused unheard is not read. */
        ssize_t n = recv(session->fd, dropped, sizeof dropped, MSG_DONTWAIT | MSG_TRUNC);
        if (n < 0 && errno == EAGAIN)
            return session_wait_events(session, POLLIN);
        if (n <= 0)
            return FLOW_GONE;
        session->lingered += (size_t)n;
        if (session->lingered > LINGER_BYTES)
            return FLOW_GONE;
    }
    return session_wait_events(session, POLLIN); /* the other sessions have their turn */
}

static enum flow linger(struct session *session)
{
    if (shutdown(session->fd, SHUT_WR) < 0)
        return FLOW_GONE;
    session->step = step_linger;
    return FLOW_GO;
}

enum flow session_linger(struct session *session)
{
    session_set_deadline(session, LINGER_MS, session_abort);
    return linger(session);
}

static enum flow step_close(struct session *session)
{
    int rc = channel_close_notify(session->channel);

    if (rc == -EAGAIN)
        return session_wait_socket(session);
    if (rc < 0 || channel_heard_close(session->channel))
        return FLOW_GONE; /* who will say nothing more cannot be cut off */
    return linger(session);
}

enum flow session_close(struct session *session)
{
    request_release(session);
    session_set_deadline(session, LINGER_MS, session_abort);
    session->step = step_close;
    return FLOW_GO;
}

enum flow session_abort(struct session *session)
{
    (void)session;
    return FLOW_GONE;
}
