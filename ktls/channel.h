/*
 * A channel: one connected socket and, for each direction, who encrypts it.
 *
 *     plain    nobody
 *     user     OpenSSL, in this process: its record layer or, for a large body, its ciphers alone (shortcut.c)
 *     kernel   kTLS (Documentation/networking/tls.rst): what is written to the socket is plaintext
 *
 * A channel begins as `user` (or `plain`), and each direction may be *switched* to `kernel` once, at a record boundary.
 * After that the socket itself may be handed to splice, send and recv; channel_read() and channel_write() go on
 * working in every mode.
 *
 * No function here blocks. Where one must wait it returns -EAGAIN; wait for channel_events() on channel_fd() and call
 * again. The socket stays in blocking mode: waiting is avoided per call, so that io_uring may wait in the kernel.
 *
 * A channel belongs to one thread at a time. It owns its socket: channel_free() closes it. It holds its context.
 *
 * Errors are -errno; channel_reason() has the sentence. The ones a caller tells apart:
 *     -EAGAIN        wait, see above
 *     -ENODATA       the peer closed TCP without close_notify: the data may be cut short
 *     -ECONNRESET    the connection broke (reset, timed out, unreachable)
 *     -EACCES        the handshake was refused, by us or by the peer: authentication, version, suite
 *     -EKEYEXPIRED   a KeyUpdate arrived that this kernel cannot follow, or a key is used up
 *     -EPROTO        anything else that is against the protocol
 *     -EOPNOTSUPP    the profile says offload = required, and the direction cannot be in the kernel
 */
#ifndef SLUICE_KTLS_CHANNEL_H
#define SLUICE_KTLS_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ktls/context.h"
#include "ktls/peer.h"
#include "ktls/sys.h"

enum channel_mode { CHANNEL_PLAIN, CHANNEL_USER, CHANNEL_KERNEL };
enum channel_way { CHANNEL_TX, CHANNEL_RX };

struct channel;

/* What is known of a session once its handshake is done. Strings live as long as the channel. */
struct channel_facts {
    const char *version; /* "TLSv1.3", or "" for plain */
    const char *suite;   /* IANA name */
    const char *group;   /* key exchange group, "" where there was none */
    bool resumed;
    bool peer_verified;       /* the peer sent a certificate and it verified */
    bool mutual;              /* and so did we: it was asked for and sent, now or when the resumed session began */
    const char *peer_subject; /* channel_peer()'s, "" without one; bytes of the peer: escape before printing */
    const char *peer_error;   /* why a certificate did not verify, where that was tolerated; else "" */
};

/*
 * A server's end. `fd` is a connected TCP socket and is owned by the channel from here on, also when NULL (no memory)
 * is returned.
 */
struct channel *channel_accept(struct tls_context *context, int fd, const struct ktls_sys *sys);

/*
 * A client's end. `name` is what was dialled: it goes into SNI (unless it is an address) and the certificate is checked
 * against it as the profile says. A session kept from an earlier channel of this context to the same name and port is
 * resumed.
 */
struct channel *channel_connect(struct tls_context *context, int fd, const char *name, uint16_t port,
                                const struct ktls_sys *sys);

/* No TLS at all. */
struct channel *channel_plain(int fd, const struct ktls_sys *sys);

/* Closes the socket at once, wipes every secret. Say goodbye first with channel_close_notify(). NULL is allowed. */
void channel_free(struct channel *channel);

/*
 * Certificates of a session once its handshake is done: the peer's (also one that did not verify, see the facts; after
 * a resumption the one that was shown when the session began), and ours as it was sent. NULL: none.
 */
const struct tls_peer *channel_peer(const struct channel *channel);
const struct tls_peer *channel_own(const struct channel *channel);
/*
 * The peer's chain as it was sent, leaf first, in PEM, for free(). NULL: none, resumed, no memory, or the profile has
 * no save_chain.
 */
char *channel_peer_chain(const struct channel *channel);

/*
 * Goes on with the handshake: 0 when it is done. Signing happens in here, so call it off the threads that move bytes.
 */
int channel_handshake(struct channel *channel);
/*
 * What is left of a server's handshake is little: the peer's Finished and our tickets; no signature, no key exchange,
 * no certificate. Then it may go on wherever the caller stands.
 */
bool channel_handshake_is_light(const struct channel *channel);

int channel_fd(const struct channel *channel);
short channel_events(const struct channel *channel); /* POLLIN or POLLOUT, for the last -EAGAIN */
enum channel_mode channel_mode(const struct channel *channel, enum channel_way way);
const struct channel_facts *channel_facts(const struct channel *channel);
const char *channel_reason(const struct channel *channel); /* of the last error; "" where there was none */

/*
 * Where the last error came from: true where the peer refused (its alert) or went away, false where we refused. An
 * event tells the operator which side's log to read.
 */
bool channel_failed_at_peer(const struct channel *channel);

/*
 * Who encrypts in this direction and why, as one phrase for events and the line at a transfer's end: "kernel",
 * "user: offload = off", "user: this kernel has no kTLS (modprobe tls)", "user: no body yet".
 */
const char *channel_why(const struct channel *channel, enum channel_way way);

/*
 * Up to `size` bytes; of one record only, as long as RX may still be switched, so that a head's reader does not take
 * the body's next records away from the kernel. 0: the peer ended the stream in good order (close_notify; a plain
 * peer's FIN).
 */
ssize_t channel_read(struct channel *channel, void *buffer, size_t size);

/*
 * Takes up to `size` bytes, in `user` mode as many records at once as the outgoing buffer holds. What was taken may
 * still stand in that buffer: channel_flush() before waiting for an answer.
 */
ssize_t channel_write(struct channel *channel, const void *bytes, size_t size);
int channel_flush(struct channel *channel); /* 0: all of it is with the kernel */

/* Decrypted bytes stand ready: channel_read() will return without asking the socket. */
bool channel_pending(const struct channel *channel);

/*
 * Hands a direction to the kernel, for a body of about `bytes` (UINT64_MAX: not known).
 *
 *     0              the direction is in the kernel (it may have been before)
 *     -EAGAIN        not at a record boundary: TX: flush first; RX: channel_read() what stands ready first, and where
 *                    channel_pending() is false, wait for POLLIN and read
 *     1              it stays `user`, channel_why() says why; this will not change on this channel
 *     -EOPNOTSUPP    the same, but the profile says offload = required: end the session
 *     other -errno   the channel is broken
 *
 * Whatever OpenSSL had already decrypted must be read before an RX switch. After success nothing that can fail stands
 * between the installed key and the first record.
 */
int channel_switch(struct channel *channel, enum channel_way way, uint64_t bytes);

/* It is left where it is for now, for that reason (a phrase): channel_why() has it until the switch. */
void channel_stay(struct channel *channel, enum channel_way way, const char *phrase);

/*
 * After recv() or splice() on a `kernel` RX socket failed with EIO or EINVAL: a control record stands first in the
 * queue. Reads it and acts on it. 0: go on receiving; 1: close_notify, the stream is over; -EAGAIN: there was none yet;
 * else an error as above. `EKEYEXPIRED` from recv() is handled here too.
 */
int channel_control(struct channel *channel);

/*
 * A pump that moved bytes through the socket itself reports it here, at least once for every 256 MiB: records are
 * counted against the key's limit. 0, or an error as above; where the kernel can rekey, that happens in here (TX). So
 * for TX nothing may be under way that writes to the socket: the peer could not decrypt a record that came between the
 * KeyUpdate and the new key.
 */
int channel_account(struct channel *channel, enum channel_way way, uint64_t bytes);

/*
 * A pump whose own operation on the socket failed with -errno says so here: channel_reason() gets the sentence. Returns
 * the error in the terms above.
 */
int channel_socket_failed(struct channel *channel, enum channel_way way, int error);

/*
 * True where the keys of this channel are more than half used up and cannot be renewed: end it at the next request.
 */
bool channel_worn(const struct channel *channel);

/* Sends close_notify in whatever mode TX is in. 0 sent (or plain: nothing to send), -EAGAIN, or an error. Once only. */
int channel_close_notify(struct channel *channel);

/*
 * The files sent from here on never change: where a network card encrypts, it may send their pages as they stand, and
 * again where a segment is lost (TLS_TX_ZEROCOPY_RO, Documentation/networking/tls.rst; since Linux 5.19). Where the
 * processor does, nothing differs. 0; -EINVAL: TX is not in the kernel; else -errno, and all stays as it was. What
 * came of it is in channel_why().
 */
int channel_immutable(struct channel *channel, bool immutable);

/* The peer said that nothing more will come: its close_notify was read. */
bool channel_heard_close(const struct channel *channel);

/*
 * The kernel sends at most so many bytes a second from here on (SO_MAX_PACING_RATE, socket(7); TCP paces by itself
 * since Linux 4.13), and little more than an eighth of a second's worth waits in the socket. 0: as fast as it goes.
 * Costs nothing where it is so already. 0 or -errno: as before.
 */
int channel_pace(struct channel *channel, uint64_t rate);

/*
 * No more than so many bytes wait in the socket that TCP could not send yet (TCP_NOTSENT_LOWAT, tcp(7)); 0: as many as the
 * kernel likes, which is megabytes. What is on its way is not held back by it. Costs nothing where it is so already. 0 or
 * -errno: as before.
 */
int channel_hold(struct channel *channel, unsigned most);

/*
 * The next reads are of a head, with no body behind it that was not asked for: so they may take what else stands in the
 * socket, a little of it, which saves system calls. channel_switch() of RX ends that. With offload = required they do
 * not: the kernel can decrypt only what is still its own.
 */
void channel_expect_head(struct channel *channel);
/*
 * True: the last read emptied the socket, so that another would find nothing; wait for channel_events() instead. Said
 * once for each read.
 */
bool channel_drained(struct channel *channel);

/*
 * Gives back buffers that a channel does not need while it waits. channel_busy(): OpenSSL may keep its own from one
 * record to the next, until channel_idle() takes these, too: for whoever knows that it will be called.
 */
void channel_trim(struct channel *channel);
void channel_busy(struct channel *channel);
void channel_idle(struct channel *channel);

/*
 * Many small records go by on this channel: past OpenSSL's record layer each costs less, once that is left, which
 * takes as long as two small requests. The kernel may still have either direction, by channel_switch(). False: it
 * stands within a record, so another time; true: it was done, or will never be, and asking again does nothing.
 */
bool channel_hasten(struct channel *channel);

/*
 * Nothing has moved for so long that OpenSSL's part of the channel is not worth its memory. Where profile, suite and
 * kernel allow it both directions go to the kernel, as channel_switch() does it; what the kernel does not take keeps its
 * key, where the suite is one of TLS 1.3's and not CCM, and needs OpenSSL's ciphers alone from then on. Where both
 * directions found a place OpenSSL's part is freed. Somebody may wait for the socket meanwhile. True: that was tried,
 * which takes as long as a small request.
 */
bool channel_retire(struct channel *channel);

#endif
