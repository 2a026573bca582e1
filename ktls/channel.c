#include "ktls/channel.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>

#include "ktls/channel_internal.h"

#define RECORD_ROOM ((size_t)TLS_RECORD_PLAINTEXT_MAX + 2048) /* also where the peer wants records of 512 bytes */
#define SEND_AT ((size_t)256 * 1024)                          /* bytes: enough for one system call */
#define SEND_AT_HELD ((size_t)32 * 1024)                      /* the same in a crowd, see channel_hold() */
#define HELD_ROOM ((size_t)40 * 1024)                         /* for that, and what is sent with it */
#define KERNEL_WRITE_MOST ((size_t)1024 * 1024)

/* ---- birth and death ---- */

static struct channel *channel_new(enum channel_mode mode, int fd, const struct ktls_sys *sys)
{
    struct channel *channel = calloc(1, sizeof(*channel));
    if (!channel) {
        close(fd);
        return NULL;
    }
    channel->wire.sys = sys ? sys : &ktls_sys_linux;
    channel->wire.fd = fd;
    channel->record_limit = UINT64_MAX;
    channel->events = POLLIN;
    channel->facts =
        (struct channel_facts){ .version = "", .suite = "", .group = "", .peer_subject = "", .peer_error = "" };
    for (enum channel_way way = CHANNEL_TX; way <= CHANNEL_RX; way++) {
        channel->way[way].mode = mode;
        snprintf(channel->way[way].why, sizeof(channel->way[way].why), "%s",
                 mode == CHANNEL_PLAIN ? "plain" : "user: no body yet");
    }
    return channel;
}

struct channel *channel_plain(int fd, const struct ktls_sys *sys)
{
    return channel_new(CHANNEL_PLAIN, fd, sys);
}

static bool open_ssl(struct channel *channel)
{
    SSL *ssl = SSL_new(tls_context_ssl(channel->context));
    BIO *bio = ssl ? wire_bio(&channel->wire) : NULL;

    channel->ssl = ssl;
    if (!bio)
        return false;
    SSL_set_bio(ssl, bio, bio);
    SSL_set_app_data(ssl, channel);
    SSL_set_msg_callback(ssl, channel_observe);
    SSL_set_msg_callback_arg(ssl, channel);
    /*
     * What the switch relies on, whatever openssl.cnf says: no bytes taken beyond the record that is asked for, keys
     * that change only as TLS 1.3 changes them, nobody else installing keys, truncation reported.
     */
    SSL_set_read_ahead(ssl, 0);
    SSL_set_options(ssl, SSL_OP_NO_RENEGOTIATION);
    SSL_clear_options(ssl, SSL_OP_ENABLE_KTLS | SSL_OP_IGNORE_UNEXPECTED_EOF);
    return true;
}

static struct channel *channel_open(struct tls_context *context, int fd, const struct ktls_sys *sys)
{
    struct channel *channel = channel_new(CHANNEL_USER, fd, sys);
    if (!channel)
        return NULL;
    channel->context = tls_context_hold(context);
    if (open_ssl(channel))
        return channel;
    channel_free(channel);
    return NULL;
}

struct channel *channel_accept(struct tls_context *context, int fd, const struct ktls_sys *sys)
{
    struct channel *channel = channel_open(context, fd, sys);
    if (!channel)
        return NULL;
    channel->server = true;
    SSL_set_accept_state(channel->ssl);
    return channel;
}

static bool offer_session(struct channel *channel, const char *name, uint16_t port)
{
    if (asprintf(&channel->key, "%s:%u", name, port) < 0) {
        channel->key = NULL;
        return false;
    }
    if (SSL_set_ex_data(channel->ssl, tls_context_key_index(), channel->key) != 1)
        return false;
    SSL_SESSION *session = tls_context_session(channel->context, channel->key);
    if (session)
        SSL_set_session(channel->ssl, session); /* where it is refused, a full handshake does as well */
    SSL_SESSION_free(session);
    return true;
}

struct channel *channel_connect(struct tls_context *context, int fd, const char *name, uint16_t port,
                                const struct ktls_sys *sys)
{
    struct channel *channel = channel_open(context, fd, sys);
    if (!channel)
        return NULL;
    SSL_set_connect_state(channel->ssl);
    int failed = tls_context_prepare(context, channel->ssl, name);
    if (failed == -EINVAL)
        channel_fail(channel, EACCES, "\"%s\" is no name a certificate could be checked against", name);
    if ((!failed || failed == -EINVAL) && offer_session(channel, name, port))
        return channel;
    channel_free(channel);
    return NULL;
}

void channel_drop_ssl(struct channel *channel)
{
    if (!channel->ssl)
        return;
    /*
     * OpenSSL makes the session unfit for resumption where it is freed before close_notify went both ways. How a
     * session ended says nothing about its keys, and the kernel may have done it; after a fatal alert OpenSSL has done
     * so already.
     */
    if (channel->established)
        SSL_set_shutdown(channel->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    /* What was read was wiped where it stood (set_wiping()), so the buffer needs no wiping of its own. */
    if (channel->established && !channel->way[CHANNEL_RX].broken && !SSL_has_pending(channel->ssl))
        channel_set_wiping(channel, false);
    SSL_free(channel->ssl);
    channel->ssl = NULL;
}

void channel_free(struct channel *channel)
{
    if (!channel)
        return;
    channel_drop_ssl(channel);
    wire_clear(&channel->wire);
    for (enum channel_way way = CHANNEL_TX; way <= CHANNEL_RX; way++)
        ktls_secret_wipe(&channel->way[way].secret);
    for (enum channel_way way = CHANNEL_TX; way <= CHANNEL_RX; way++)
        aead_free(channel->way[way].aead);
    OPENSSL_clear_free(channel->aside.bytes, TLS_RECORD_PLAINTEXT_MAX);
    /* A ring that has not yet put away its last operation still holds the socket: the peer must not wait for that. */
    shutdown(channel->wire.fd, SHUT_RDWR);
    close(channel->wire.fd);
    tls_context_drop(channel->context);
    free(channel->key);
    channel_drop_certificates(channel);
    free(channel);
}

/* ---- looking ---- */

int channel_fd(const struct channel *channel)
{
    return channel->wire.fd;
}

short channel_events(const struct channel *channel)
{
    return channel->events;
}

enum channel_mode channel_mode(const struct channel *channel, enum channel_way way)
{
    return channel->way[way].aead ? CHANNEL_USER : channel->way[way].mode;
}

const struct channel_facts *channel_facts(const struct channel *channel)
{
    return &channel->facts;
}

const char *channel_reason(const struct channel *channel)
{
    return channel->reason;
}

bool channel_failed_at_peer(const struct channel *channel)
{
    return channel->at_peer;
}

const char *channel_why(const struct channel *channel, enum channel_way way)
{
    return channel->way[way].why;
}

int channel_wait(struct channel *channel, short events)
{
    /* What OpenSSL wrote while it was reading must leave too, or both ends wait. */
    if (events == POLLIN && wire_unsent(&channel->wire) > 0)
        events |= POLLOUT;
    channel->events = events;
    return -EAGAIN;
}

/* ---- writing ---- */

static ssize_t direct_write(struct channel *channel, const void *bytes, size_t size)
{
    ssize_t sent = wire_send(&channel->wire, bytes, size < KERNEL_WRITE_MOST ? size : KERNEL_WRITE_MOST);
    if (sent == -EAGAIN)
        return channel_wait(channel, POLLOUT);
    return sent < 0 ? channel_fail_socket(channel, CHANNEL_TX, (int)-sent) : sent;
}

static ssize_t kernel_write(struct channel *channel, const void *bytes, size_t size)
{
    int failed = channel_before_write(channel, size < KERNEL_WRITE_MOST ? size : KERNEL_WRITE_MOST);
    if (failed)
        return failed == -EAGAIN ? channel_wait(channel, POLLOUT) : failed;
    ssize_t sent = direct_write(channel, bytes, size);
    if (sent > 0)
        failed = channel_account(channel, CHANNEL_TX, (uint64_t)sent);
    return failed ? failed : sent;
}

static size_t records_in(size_t bytes)
{
    return (bytes + TLS_RECORD_PLAINTEXT_MAX - 1) / TLS_RECORD_PLAINTEXT_MAX;
}

/*
 * Room for records, gathered for one system call. Where little may wait in the socket, as in a crowd, little waits
 * here, too, and the memory goes to the next channel that has something to send.
 */
static size_t make_room(struct channel *channel, size_t size)
{
    bool is_held = channel->unsent_most > 0;

    if (is_held && wire_unsent(&channel->wire) + RECORD_ROOM > HELD_ROOM)
        return 0;
    return wire_reserve(&channel->wire,
                        is_held ? RECORD_ROOM : records_in(size < SEND_AT ? size : SEND_AT) * RECORD_ROOM);
}

/* What was gathered goes out once it is enough. */
static int send_gathered(struct channel *channel)
{
    bool is_held = channel->unsent_most > 0;

    if (wire_unsent(&channel->wire) < (is_held ? SEND_AT_HELD : SEND_AT))
        return 0;
    int failed = channel_flush(channel);
    if (!failed && is_held)
        wire_trim(&channel->wire);
    return failed == -EAGAIN ? 0 : failed;
}

static ssize_t openssl_write(struct channel *channel, const void *bytes, size_t size)
{
    size_t written = 0;
    ERR_clear_error();
    int done = SSL_write_ex(channel->ssl, bytes, size, &written);
    return done == 1 ? (ssize_t)written : channel_fail_ssl(channel, CHANNEL_TX, SSL_get_error(channel->ssl, done));
}

/* Room is made before OpenSSL encrypts, so that its write never stops half way and never has to be repeated. */
static ssize_t user_write(struct channel *channel, const void *bytes, size_t size)
{
    size_t room = make_room(channel, size);

    if (room < RECORD_ROOM) {
        int failed = channel_flush(channel);
        if (failed)
            return failed;
        room = make_room(channel, size);
    }
    if (room < RECORD_ROOM)
        return channel_fail(channel, ENOMEM, "no memory for the outgoing records");
    if (size > room / RECORD_ROOM * TLS_RECORD_PLAINTEXT_MAX)
        size = room / RECORD_ROOM * TLS_RECORD_PLAINTEXT_MAX;
    if (channel->unsent_most > 0 && size > TLS_RECORD_PLAINTEXT_MAX)
        size = TLS_RECORD_PLAINTEXT_MAX;
    int failed = channel_before_write(channel, size);
    if (failed)
        return failed == -EAGAIN ? channel_wait(channel, POLLOUT) : failed;

    ssize_t written =
        channel->way[CHANNEL_TX].aead ? channel_cut_write(channel, bytes, size) : openssl_write(channel, bytes, size);
    if (written < 0)
        return written;
    failed = send_gathered(channel);
    return failed ? failed : written;
}

ssize_t channel_write(struct channel *channel, const void *bytes, size_t size)
{
    struct direction *tx = &channel->way[CHANNEL_TX];

    if (tx->broken)
        return tx->broken;
    if (channel->close_sent)
        return channel_fail(channel, EPROTO, "nothing can be sent after close_notify");
    if (size == 0)
        return 0;
    if (tx->mode == CHANNEL_KERNEL && !tx->aead)
        return kernel_write(channel, bytes, size);
    return tx->mode != CHANNEL_PLAIN ? user_write(channel, bytes, size) : direct_write(channel, bytes, size);
}

int channel_flush(struct channel *channel)
{
    if (channel->way[CHANNEL_TX].broken)
        return channel->way[CHANNEL_TX].broken;
    int failed = wire_flush(&channel->wire);
    if (failed == -EAGAIN)
        return channel_wait(channel, POLLOUT);
    return failed ? channel_fail_socket(channel, CHANNEL_TX, -failed) : 0;
}

/* ---- the end ---- */

static int say_close(struct channel *channel)
{
    static const uint8_t alert[] = { ALERT_WARNING, ALERT_CLOSE_NOTIFY };

    if (channel->way[CHANNEL_TX].mode == CHANNEL_KERNEL) {
        int failed = channel_send_control(channel, RECORD_ALERT, alert, sizeof(alert));
        if (failed == -EAGAIN)
            return channel_wait(channel, POLLOUT);
        return failed ? channel_fail_socket(channel, CHANNEL_TX, -failed) : 0;
    }
    ERR_clear_error();
    int done = SSL_shutdown(channel->ssl);
    return done >= 0 ? 0 : channel_fail_ssl(channel, CHANNEL_TX, SSL_get_error(channel->ssl, done));
}

int channel_close_notify(struct channel *channel)
{
    if (channel->way[CHANNEL_TX].mode == CHANNEL_PLAIN)
        return 0;
    if (channel->way[CHANNEL_TX].broken)
        return channel->way[CHANNEL_TX].broken;
    if (!channel->established)
        return -ENOTCONN;
    if (!channel->close_sent) {
        int failed = say_close(channel);
        if (failed)
            return failed;
        channel->close_sent = true;
    }
    return channel_flush(channel);
}

bool channel_heard_close(const struct channel *channel)
{
    return channel->close_received;
}

void channel_trim(struct channel *channel)
{
    wire_trim(&channel->wire);
    if (channel->aside.start < channel->aside.end)
        return;
    OPENSSL_clear_free(channel->aside.bytes, TLS_RECORD_PLAINTEXT_MAX);
    channel->aside.bytes = NULL;
}

/*
 * With SSL_MODE_RELEASE_BUFFERS OpenSSL's buffers go by themselves with each record, and before it frees one of 17 KiB
 * it wipes it all, a byte of which held something: that costs more than a small request does. So a busy channel keeps
 * them.
 */
void channel_busy(struct channel *channel)
{
    if (!channel->ssl || !channel->established || !(SSL_get_mode(channel->ssl) & SSL_MODE_RELEASE_BUFFERS))
        return;
    SSL_clear_mode(channel->ssl, SSL_MODE_RELEASE_BUFFERS);
    SSL_set_mode(channel->ssl, 0); /* as in channel_set_wiping() */
}

/*
 * Since 3.2 a record layer of OpenSSL's own has a copy of these, and hears of them where some are set, not where some
 * are cleared.
 */
void channel_set_wiping(struct channel *channel, bool wipes)
{
    if (!wipes)
        SSL_clear_options(channel->ssl, SSL_OP_CLEANSE_PLAINTEXT);
    SSL_set_options(channel->ssl, wipes ? SSL_OP_CLEANSE_PLAINTEXT : 0);
}

/*
 * What was read from OpenSSL's buffer was wiped where it stood (set_wiping()); told to wipe it as a whole, OpenSSL
 * since 3.2 would do so where it is gone already, too, at address zero. Within a record it still points into it.
 */
void channel_idle(struct channel *channel)
{
    channel_trim(channel);
    channel_rest(channel);
    if (!channel->ssl || !channel->established || SSL_has_pending(channel->ssl) ||
        !record_tracker_at_boundary(&channel->wire.seen[CHANNEL_RX]))
        return;
    channel_set_wiping(channel, false);
    SSL_free_buffers(channel->ssl);
}
