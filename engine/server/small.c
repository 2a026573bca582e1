/* A small body goes with its head: in one record where it fits, with one system call, and without a pump. */
#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

#include "config/path.h"
#include "engine/disk/cache.h"
#include "engine/server/server_internal.h"

/*
 * Bytes. Measured in a guest that counts instructions, for each request of a keep-alive connection, TLS 1.3
 * AES-128-GCM:
 *
 *     bytes     with the head   by a pump, OpenSSL   by a pump, in the kernel since long
 *     4096           76,000             104,000              93,000
 *     8192           89,000             115,000             104,000
 *     16384         121,000             143,000             126,000
 *     32768                             201,000             172,000
 *
 * Each further byte costs 3.9 in the first way and 2.8 in the last, so that they meet at about 20 KiB; and a switch has
 * to be earned first.
 */
#define SMALL_MOST ((uint64_t)16 << 10)

/* Who asks for a path, a rate or the kernel gets it for small bodies, too. */
static bool may_join(const struct session *session)
{
    enum channel_mode mode = channel_mode(session->channel, CHANNEL_TX);

    if (session->range.length == 0 || session->range.length > SMALL_MOST || rate_limits(session))
        return false;
    if (config_path_word(session->service->protocol->store->path))
        return false;
    return mode != CHANNEL_USER || tls_context_offload(session->service->context) != CONFIG_OFFLOAD_REQUIRED;
}

/*
 * Nothing here waits for a disk. File systems that live in memory do not know RWF_NOWAIT on many kernels, and need
 * none: the last of them that was met is remembered, so that it is asked for once.
 */
static ssize_t read_cached(struct session *session, const struct iovec *room)
{
    struct worker *worker = session->worker;
    off_t offset = (off_t)session->range.first;

    if (worker->knows_memory && worker->memory == session->facts.st_dev)
        return pread(session->file, room->iov_base, room->iov_len, offset);
    ssize_t n = preadv2(session->file, room, 1, offset, RWF_NOWAIT);
    if (n >= 0 || errno != EOPNOTSUPP || !cache_is_home(session->file))
        return n;
    worker->knows_memory = true;
    worker->memory = session->facts.st_dev;
    return pread(session->file, room->iov_base, room->iov_len, offset);
}

/* What is not in the page cache, or not as long as it was, is the pump's. */
bool small_body_join(struct session *session)
{
    struct http_writer *out = &session->out;
    struct iovec room = { .iov_base = out->bytes + out->length, .iov_len = session->range.length };

    if (out->overflow || !may_join(session) || room.iov_len > session->out_room - out->length)
        return false;
    if (read_cached(session, &room) != (ssize_t)room.iov_len)
        return false;
    out->length += room.iov_len;
    session->joined = true;
    channel_stay(session->channel, CHANNEL_TX, "a small body is not worth the switch");
    session->pump.choice = (struct pump_choice){ .path = &pump_path_head, .why = "a small body in the page cache" };
    return true;
}

enum flow small_body_sent(struct session *session)
{
    session->joined = false;
    session->pump.moved = session->range.length;
    request_transferred(session, "out", session->range.length);
    return session_next(session);
}

void small_body_failed(struct session *session)
{
    if (session->joined)
        request_failed(session, "out", 0, channel_reason(session->channel));
    session->joined = false;
}
