/*
 * A channel from the inside, and how the files behind channel.h share the work. Private to ktls/ and its tests.
 *
 *     channel.c    from birth to death; write, flush, close
 *     handshake.c  the handshake, and the facts it leaves
 *     reading.c    what comes from the peer, whoever decrypts it
 *     observe.c    what OpenSSL tells of its records and secrets: the counts and keys that make a switch possible
 *     secrets.c    the same secrets, seen as they are made
 *     wire.c       the BIO between OpenSSL and the socket
 *     switch.c     from OpenSSL to the kernel
 *     shortcut.c   past OpenSSL's record layer, where the kernel does not take over
 *     keys.c       how much a key has protected, and its renewal
 *     control.c    alerts and handshake messages on a direction that is in the kernel
 *     pace.c       how fast the kernel may send, and how much may wait in it
 *     fault.c      what went wrong, as one sentence
 */
#ifndef SLUICE_KTLS_CHANNEL_INTERNAL_H
#define SLUICE_KTLS_CHANNEL_INTERNAL_H

#include <openssl/ssl.h>

#include "ktls/aead.h"
#include "ktls/channel.h"
#include "ktls/context_internal.h"
#include "ktls/peer_internal.h"
#include "ktls/record.h"
#include "ktls/schedule.h"
#include "ktls/suite.h"
#include "ktls/sys.h"

#define TLS_1_2 0x0303
#define TLS_1_3 0x0304

/* Content types (RFC 8446, 5.1) and the handshake messages that may follow a handshake (RFC 8446, 4; RFC 5246, 7.4). */
enum { RECORD_ALERT = 21, RECORD_HANDSHAKE = 22, RECORD_DATA = 23 };
enum {
    MESSAGE_HELLO_REQUEST = 0,
    MESSAGE_CLIENT_HELLO = 1,
    MESSAGE_NEW_SESSION_TICKET = 4,
    MESSAGE_CERTIFICATE = 11,
    MESSAGE_CERTIFICATE_REQUEST = 13,
    MESSAGE_FINISHED = 20,
    MESSAGE_KEY_UPDATE = 24,
};
enum { ALERT_WARNING = 1, ALERT_FATAL = 2 };
enum {
    ALERT_CLOSE_NOTIFY = 0,
    ALERT_UNEXPECTED_MESSAGE = 10,
    ALERT_USER_CANCELED = 90,
    ALERT_NO_RENEGOTIATION = 100,
};

/* ---- wire.c ---- */

struct wire_buffer {
    uint8_t *bytes;
    size_t start, end, capacity;
};

/*
 * Between OpenSSL and the socket. It never blocks, follows the framing in both directions, and gathers what OpenSSL
 * writes so that one system call carries many records. As long as RX may still be switched it reads exactly what
 * OpenSSL asks for, so that the socket stands where OpenSSL stands; once it cannot, `bulk` lets it read many records at
 * once.
 */
struct wire {
    const struct ktls_sys *sys;
    int fd;
    struct wire_buffer in, out;
    struct record_tracker seen[2]; /* by enum channel_way: what passed between OpenSSL and here */
    bool bulk;
    bool ahead;     /* a head is expected: what stands in the socket may be read with it, up to a bound */
    bool once;      /* a socket that was emptied is not asked again */
    bool drained;   /* the last read found less than it had room for */
    bool sealed[2]; /* the kernel has the direction: OpenSSL's reads find nothing, its writes go nowhere */
    bool ended;     /* the peer's FIN */
    int error[2];   /* errno that broke the socket */
};

BIO *wire_bio(struct wire *wire); /* NULL: no memory */
void wire_clear(struct wire *wire);

/* Bytes of room for records, after growing the buffer towards `wanted`. 0: no memory, or full of what must be sent
 * first. */
size_t wire_reserve(struct wire *wire, size_t wanted);
size_t wire_unsent(const struct wire *wire);
int wire_flush(struct wire *wire); /* 0, -EAGAIN or -errno */
/* Room for a record that is made in place, and what was made there. NULL: no memory, or full of what must go first. */
uint8_t *wire_room(struct wire *wire, size_t size);
void wire_add(struct wire *wire, size_t size);
bool wire_has_record(const struct wire *wire);
/*
 * Past OpenSSL: the next whole record, as it stands in the buffer until wire_take(). Its length; 0: the peer's FIN;
 * -EAGAIN, -EMSGSIZE (longer than TLS allows) or what broke the socket.
 */
ssize_t wire_record(struct wire *wire, const uint8_t **record);
void wire_take(struct wire *wire, size_t size);
size_t wire_unread(const struct wire *wire); /* bytes that OpenSSL has not asked for yet */
void wire_trim(struct wire *wire);

ssize_t wire_receive(struct wire *wire, void *buffer, size_t size);
ssize_t wire_send(const struct wire *wire, const void *bytes, size_t size);

/* ---- the channel ---- */

struct alert {
    uint8_t level; /* 0: none */
    uint8_t code;
};

enum renewal { RENEWAL_NONE, RENEWAL_DUE, RENEWAL_DUE_WITH_REQUEST /* and the peer is asked for the same */ };

struct direction {
    enum channel_mode mode; /* CHANNEL_KERNEL also where `aead` is there: what OpenSSL says has no way out */
    struct aead *aead;      /* our records, with OpenSSL's ciphers; NULL: not taken over */
    bool settled; /* stays `user` for good; `why` has the reason */
    char why[160];
    const char *stays;         /* of channel_stay(), where `why` has it */
    int broken;                /* -errno of what ended it */
    uint64_t sequence;         /* of the next record; in the kernel: at least that of the next record, see keys.c */
    uint64_t unasked;          /* bytes since the kernel was last asked for its sequence */
    struct ktls_secret secret; /* TLS 1.3, as long as a switch or a renewal may need it */
    enum renewal renewal;      /* TX: a KeyUpdate of ours is due before more data */
    struct alert alert;        /* the fatal one */
};

/* A handshake message on a kernel direction, which may span records and of which one record may hold several. */
struct message_reader {
    uint8_t header[4];
    uint8_t header_have;
    uint8_t first; /* byte of the body */
    bool any;      /* of the body was seen */
    uint32_t left;
};

struct channel {
    struct tls_context *context; /* NULL: plain */
    SSL *ssl;                    /* NULL: plain, or both directions are in the kernel */
    struct wire wire;
    struct direction way[2]; /* by enum channel_way */
    struct alert unsaid;     /* OpenSSL's, after TX went to the kernel: to be sent through it */
    bool owes;               /* something that OpenSSL wrote on the side of a read is not sent yet */
    short events;
    uint64_t pace; /* as channel_pace() was last told; 0: no limit */
    unsigned unsent_most; /* as channel_hold() was; 0: none */
    bool immutable;       /* as channel_immutable() was last told, and the kernel took */

    bool server;
    bool established; /* the handshake is done */
    bool saw_certificate_request, sent_certificate_request, sent_certificate, sent_finished;
    bool close_sent, close_received;

    const struct ktls_suite *suite; /* NULL: the kernel has none for it */
    uint16_t version;
    const char *digest;
    uint64_t record_limit;                                    /* per key; tests lower it */
    bool ulp;                                                 /* TCP_ULP "tls" is set on the socket */
    enum { REKEY_UNKNOWN, REKEY_WORKS, REKEY_REFUSED } rekey; /* of this kernel, as this channel found out */
    bool peer_asked;                                          /* the peer was asked to renew its key, and has not yet */
    unsigned hasty_updates, messages, warnings;
    struct message_reader reader;
    struct wire_buffer aside; /* of a record past OpenSSL, what its reader had no room for */
    unsigned empty_records;   /* in a row */

    char *key; /* "name:port", for the context's sessions */
    struct channel_facts facts;
    X509 *certificate;           /* the peer's; NULL: none */
    STACK_OF(X509) * chain;      /* as the peer sent it, where it is to be saved; the leaf may be missing */
    struct tls_peer *peer;      /* NULL: none */
    const struct tls_peer *own; /* the context's; NULL: none */
    char *peer_error;            /* behind facts.peer_error, or NULL */
    char reason[512];
    bool at_peer;
};

/* channel.c */
void channel_drop_ssl(struct channel *channel);
int channel_wait(struct channel *channel, short events); /* -EAGAIN */
void channel_set_wiping(struct channel *channel, bool wipes); /* OpenSSL overwrites what was read from its buffer */

/* handshake.c */
void channel_drop_certificates(struct channel *channel);

/* observe.c: SSL_set_msg_callback(). The key-log callback is declared in context_internal.h. */
void channel_observe(int write, int version, int type, const void *bytes, size_t length, SSL *ssl, void *argument);

/* switch.c: hands keys to the kernel. Wipes them, whatever happens. 0 or what setsockopt said. */
int channel_install(struct channel *channel, enum channel_way way, struct ktls_keys *keys);
int channel_at_boundary(struct channel *channel, enum channel_way way); /* 0, -EAGAIN, or an error */
void channel_seal(struct channel *channel, enum channel_way way);      /* OpenSSL is no longer asked in this direction */

/* shortcut.c */
bool channel_may_cut(const struct channel *channel, enum channel_way way);
int channel_cut(struct channel *channel, enum channel_way way, uint64_t bytes); /* 0 whichever way; -EAGAIN; error */
int channel_cut_key(struct channel *channel, enum channel_way way, const struct ktls_keys *keys); /* 0, -ENOMEM */
int channel_cut_control(struct channel *channel, uint8_t type, const void *bytes, size_t size);
ssize_t channel_cut_write(struct channel *channel, const uint8_t *bytes, size_t size);
ssize_t channel_cut_read(struct channel *channel, uint8_t *buffer, size_t size);
bool channel_cut_pending(const struct channel *channel);
void channel_rest(struct channel *channel); /* until the next record keys are all that is kept past OpenSSL */

/* keys.c */
uint64_t channel_records_left(const struct channel *channel, enum channel_way way);
bool channel_in_kernel(const struct channel *channel, enum channel_way way); /* and not past OpenSSL only */
bool channel_kernel_rekeys(const struct channel *channel); /* as far as one can know without trying */
int channel_ask_sequence(struct channel *channel, enum channel_way way);
int channel_renew_user(struct channel *channel, bool request); /* TLS 1.3, TX in OpenSSL: sends a KeyUpdate */
int channel_say_update(struct channel *channel);               /* one that OpenSSL owes the peer */
int channel_renew_due(struct channel *channel);                /* TX in the kernel: what `renewal` asks for */
int channel_before_write(struct channel *channel, size_t bytes);
int channel_after_read(struct channel *channel);
int channel_follow_update(struct channel *channel, bool requested); /* RX in the kernel: the peer's KeyUpdate */
int channel_count_update(struct channel *channel); /* 0, or an error: the peer renews its key too often */

/* control.c */
int channel_take_control(struct channel *channel, uint8_t type, const uint8_t *record, size_t length); /* 1: closed */
int channel_send_control(struct channel *channel, uint8_t type, const void *bytes, size_t length);
void channel_send_alert(struct channel *channel, uint8_t level, uint8_t code); /* TX in the kernel; best effort */

/* fault.c: all return the -errno to hand on. */
int channel_fail(struct channel *channel, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));
int channel_fail_at_peer(struct channel *channel, int error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int channel_fail_socket(struct channel *channel, enum channel_way way, int error);
int channel_fail_alert(struct channel *channel, uint8_t code); /* the peer's */
int channel_fail_truncated(struct channel *channel);
int channel_fail_ssl(struct channel *channel, enum channel_way way, int ssl_error);

#endif
