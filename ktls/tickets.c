/*
 * Resumption skips the verification, so a ticket carries what it found and how long that holds. A server's tickets are
 * encrypted with keys of the context alone; a client keeps the same notes beside its session.
 *
 *     1 byte    the version of this layout
 *     1 byte    flags
 *     8 bytes   the verdict's `until`, most significant first
 *     the rest  why the peer was not verified
 */
#include <string.h>
#include <time.h>

#include "ktls/context_internal.h"
#include "ktls/verify_internal.h"

enum { LAYOUT = 1, HEAD = 10, FLAG_VERIFIED = 1, FLAG_SHOWN = 2 };

static bool mark(SSL_SESSION *session, const struct verdict *verdict)
{
    uint8_t notes[HEAD + VERDICT_REASON] = { LAYOUT };
    size_t reason = strlen(verdict->reason);

    notes[1] = (uint8_t)((verdict->verified ? FLAG_VERIFIED : 0) | (verdict->shown ? FLAG_SHOWN : 0));
    for (int i = 0; i < 8; i++)
        notes[2 + i] = (uint8_t)((uint64_t)verdict->until >> (56 - 8 * i));
    memcpy(notes + HEAD, verdict->reason, reason);
    return SSL_SESSION_set1_ticket_appdata(session, notes, HEAD + reason) == 1;
}

static bool recall(SSL_SESSION *session, struct verdict *verdict)
{
    void *data = NULL;
    size_t length = 0;
    if (!SSL_SESSION_get0_ticket_appdata(session, &data, &length) || !data || length < HEAD ||
        length - HEAD >= VERDICT_REASON)
        return false;
    const uint8_t *notes = data;
    if (notes[0] != LAYOUT)
        return false;
    uint64_t until = 0;
    for (int i = 0; i < 8; i++)
        until = until << 8 | notes[2 + i];
    verdict->until = (int64_t)until;
    verdict->verified = notes[1] & FLAG_VERIFIED;
    verdict->shown = notes[1] & FLAG_SHOWN;
    memcpy(verdict->reason, notes + HEAD, length - HEAD);
    verdict->reason[length - HEAD] = '\0';
    return true;
}

static bool holds(const struct verdict *verdict)
{
    return time(NULL) < verdict->until;
}

bool tickets_hold(SSL_SESSION *session)
{
    struct verdict verdict;
    return recall(session, &verdict) && holds(&verdict);
}

void tickets_recall(SSL *ssl)
{
    struct verdict *verdict = verdict_of(ssl);
    SSL_SESSION *session = SSL_get_session(ssl);
    if (verdict && session)
        recall(session, verdict);
}

/* ---- a server's ---- */

/* A session that was itself resumed has its notes, and they stay: nothing was verified since. */
static int write_ticket(SSL *ssl, void *rules)
{
    SSL_SESSION *session = SSL_get_session(ssl);
    const struct verdict *verdict = verdict_of(ssl);
    (void)rules;
    if (!session || !verdict)
        return 0;
    return SSL_session_reused(ssl) || mark(session, verdict);
}

static bool may_resume(const struct rules *rules, SSL_SESSION *session)
{
    struct verdict verdict;
    if (!recall(session, &verdict) || !holds(&verdict))
        return false;
    return rules->verify != CONFIG_VERIFY_REQUIRED || (verdict.verified && SSL_SESSION_get0_peer(session));
}

static SSL_TICKET_RETURN read_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *name, size_t length,
                                     SSL_TICKET_STATUS status, void *rules)
{
    (void)ssl;
    (void)name;
    (void)length;
    if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    if (!may_resume(rules, session))
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

void tickets_load(SSL_CTX *ssl, struct rules *rules)
{
    SSL_CTX_set_session_ticket_cb(ssl, write_ticket, read_ticket, rules);
}

/* ---- a client's ---- */

bool tickets_mark(SSL *ssl, SSL_SESSION *session, const struct rules *rules)
{
    struct verdict *verdict = verdict_of(ssl);
    if (!verdict)
        return false;
    if (SSL_session_reused(ssl)) {
        struct verdict before;
        return recall(session, &before);
    }
    if (rules->verify == CONFIG_VERIFY_ENFORCED && !channel_was_asked(ssl))
        return false; /* the handshake is about to fail */
    verdict->shown = channel_has_shown(ssl);
    return mark(session, verdict);
}
