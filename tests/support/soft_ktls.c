#include "tests/support/soft_ktls.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/tls.h>
#include <openssl/evp.h>

#define HEADER 5
#define FULL 16384
#define TAG 16
#define DATA 23
#define HANDSHAKE 22
#define KEY_UPDATE 24

#define MUST(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "soft_ktls.c:%d: %s\n", __LINE__, #condition);                                             \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

struct soft_socket *soft_ktls_socket(struct soft_ktls *soft, int fd)
{
    struct soft_socket *unused = NULL;

    for (size_t i = 0; i < SOFT_KTLS_SOCKETS; i++) {
        if (soft->sockets[i].ulp && soft->sockets[i].fd == fd)
            return &soft->sockets[i];
        if (!soft->sockets[i].ulp)
            unused = &soft->sockets[i];
    }
    MUST(unused);
    unused->fd = fd;
    return unused;
}

static int refused(struct soft_ktls *soft, enum soft_call call)
{
    if (soft->refuse != call)
        return 0;
    if (soft->spared > 0) {
        soft->spared--;
        return 0;
    }
    return -soft->refusal;
}

/* ---- records ---- */

static const EVP_CIPHER *cipher_of(const struct soft_key *key)
{
    switch (key->type) {
    case TLS_CIPHER_AES_GCM_128:
        return EVP_aes_128_gcm();
    case TLS_CIPHER_AES_GCM_256:
        return EVP_aes_256_gcm();
    case TLS_CIPHER_AES_CCM_128:
        return EVP_aes_128_ccm();
    default:
        return EVP_chacha20_poly1305();
    }
}

static bool is_13(const struct soft_key *key)
{
    return key->version == TLS_1_3_VERSION;
}

static size_t explicit_size(const struct soft_key *key)
{
    return is_13(key) || key->type == TLS_CIPHER_CHACHA20_POLY1305 ? 0 : 8;
}

static void put_be64(uint8_t *at, uint64_t value)
{
    for (int shift = 56; shift >= 0; shift -= 8)
        *at++ = (uint8_t)(value >> shift);
}

/* RFC 8446, 5.3 and RFC 7905: iv xor sequence. RFC 5288: salt, then what the record carries. */
static void nonce_of(const struct soft_key *key, const uint8_t *carried, uint8_t nonce[12])
{
    uint8_t sequence[8];

    memcpy(nonce, key->nonce, 12);
    put_be64(sequence, key->sequence);
    if (explicit_size(key) > 0)
        memcpy(nonce + 4, carried, 8);
    else
        for (int i = 0; i < 8; i++)
            nonce[4 + i] ^= sequence[i];
}

/* RFC 8446, 5.2: the header. RFC 5246, 6.2.3.3: sequence, type, version, length of the plaintext. */
static int aad_of(const struct soft_key *key, uint8_t type, size_t plain, size_t body, uint8_t aad[13])
{
    const uint8_t head_13[] = { DATA, 3, 3, (uint8_t)(body >> 8), (uint8_t)body };
    const uint8_t tail_12[] = { type, 3, 3, (uint8_t)(plain >> 8), (uint8_t)plain };

    if (is_13(key)) {
        memcpy(aad, head_13, sizeof(head_13));
        return sizeof(head_13);
    }
    put_be64(aad, key->sequence);
    memcpy(aad + 8, tail_12, sizeof(tail_12));
    return 13;
}

static bool aead(const struct soft_key *key, bool encrypt, const uint8_t *nonce, const uint8_t *aad, int aad_size,
                 const uint8_t *in, int size, uint8_t *out, uint8_t *tag)
{
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    bool ccm = key->type == TLS_CIPHER_AES_CCM_128;
    int got = 0, more = 0;

    MUST(context && EVP_CipherInit_ex2(context, cipher_of(key), NULL, NULL, encrypt, NULL));
    MUST(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, 12, NULL) > 0);
    if (!encrypt || ccm)
        MUST(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG, encrypt ? NULL : tag) > 0);
    MUST(EVP_CipherInit_ex2(context, NULL, key->key, nonce, encrypt, NULL));
    if (ccm)
        MUST(EVP_CipherUpdate(context, NULL, &got, NULL, size) > 0);
    MUST(EVP_CipherUpdate(context, NULL, &got, aad, aad_size) > 0);
    bool ok = EVP_CipherUpdate(context, out, &got, in, size) > 0;
    if (ok && !(ccm && !encrypt))
        ok = EVP_CipherFinal_ex(context, out + got, &more) > 0;
    if (ok && encrypt)
        MUST(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG, tag) > 0);
    EVP_CIPHER_CTX_free(context);
    return ok;
}

static void seal_record(struct soft_socket *socket, uint8_t type, const uint8_t *bytes, size_t size)
{
    struct soft_key *key = &socket->tx;
    uint8_t plain[FULL + 1], nonce[12], aad[13];
    size_t inner = size + is_13(key), front = explicit_size(key), body = front + inner + TAG;

    socket->out = realloc(socket->out, socket->out_size + HEADER + body);
    MUST(socket->out && size <= FULL);
    uint8_t *at = socket->out + socket->out_size;
    const uint8_t header[] = { is_13(key) ? DATA : type, 3, 3, (uint8_t)(body >> 8), (uint8_t)body };
    memcpy(at, header, HEADER);
    if (front > 0)
        put_be64(at + HEADER, key->explicit_nonce);
    memcpy(plain, bytes, size);
    plain[size] = type;
    nonce_of(key, at + HEADER, nonce);
    int aad_size = aad_of(key, type, size, body, aad);
    uint8_t *sealed = at + HEADER + front;
    MUST(aead(key, true, nonce, aad, aad_size, plain, (int)inner, sealed, sealed + inner));
    socket->out_size += HEADER + body;
    key->sequence++;
    key->explicit_nonce++;
}

/* `body` bytes behind the header at `at`. */
static bool open_record(struct soft_socket *socket, uint8_t *at, size_t body)
{
    struct soft_key *key = &socket->rx;
    size_t front = explicit_size(key);
    uint8_t nonce[12], aad[13], *sealed = at + HEADER + front;

    if (body < front + TAG + is_13(key))
        return false;
    size_t inner = body - front - TAG;
    nonce_of(key, at + HEADER, nonce);
    int aad_size = aad_of(key, at[0], inner, body, aad);
    if (!aead(key, false, nonce, aad, aad_size, sealed, (int)inner, socket->record, sealed + inner))
        return false;
    socket->record_type = at[0];
    if (is_13(key)) {
        while (inner > 0 && socket->record[inner - 1] == 0)
            inner--;
        if (inner == 0)
            return false;
        socket->record_type = socket->record[--inner];
    }
    socket->record_at = 0;
    socket->record_size = inner;
    key->sequence++;
    return true;
}

/* ---- receiving ---- */

/* Makes a decrypted record stand ready. 0, -EAGAIN, -ENODATA at the end of the stream, or what Linux would say. */
static int fetch_record(struct soft_ktls *soft, struct soft_socket *socket)
{
    while (socket->record_type == 0 || (socket->record_type == DATA && socket->record_at == socket->record_size)) {
        size_t body = socket->raw_size >= HEADER ? (size_t)socket->raw[3] << 8 | socket->raw[4] : 0;
        socket->record_type = 0;
        if (socket->broken)
            return -EBADMSG;
        if (socket->update_pending)
            return -EKEYEXPIRED;
        if (socket->raw_size < HEADER || socket->raw_size < HEADER + body) {
            uint8_t bytes[8192];
            ssize_t got = recv(socket->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
            if (got <= 0)
                return got == 0 ? -ENODATA : -errno;
            socket->raw = realloc(socket->raw, socket->raw_size + (size_t)got);
            MUST(socket->raw);
            memcpy(socket->raw + socket->raw_size, bytes, (size_t)got);
            socket->raw_size += (size_t)got;
            continue;
        }
        socket->broken = !open_record(socket, socket->raw, body);
        socket->raw_size -= HEADER + body;
        memmove(socket->raw, socket->raw + HEADER + body, socket->raw_size);
        if (socket->broken)
            return -EBADMSG;
        if (soft->rekeys && is_13(&socket->rx) && socket->record_type == HANDSHAKE && socket->record[0] == KEY_UPDATE)
            socket->update_pending = true;
    }
    return 0;
}

static bool put_type(struct msghdr *message, uint8_t type)
{
    struct cmsghdr *header = CMSG_FIRSTHDR(message);

    if (!header || message->msg_controllen < CMSG_LEN(sizeof(type)))
        return false;
    header->cmsg_level = SOL_TLS;
    header->cmsg_type = TLS_GET_RECORD_TYPE;
    header->cmsg_len = CMSG_LEN(sizeof(type));
    memcpy(CMSG_DATA(header), &type, sizeof(type));
    message->msg_controllen = header->cmsg_len;
    return true;
}

static ssize_t soft_recvmsg(const struct ktls_sys *sys, int fd, struct msghdr *message, int flags)
{
    struct soft_ktls *soft = (struct soft_ktls *)(uintptr_t)sys;
    struct soft_socket *socket = soft_ktls_socket(soft, fd);
    uint8_t *buffer = message->msg_iov[0].iov_base;
    size_t size = message->msg_iov[0].iov_len, have = 0;
    int failed = refused(soft, SOFT_RECEIVE);

    soft->receives++;
    if (failed)
        return failed;
    if (soft->shorten > 0 && size > soft->shorten)
        size = message->msg_iov[0].iov_len = soft->shorten;
    if (!socket->rx.set) {
        ssize_t got = recvmsg(fd, message, flags);
        return got >= 0 ? got : -errno;
    }
    failed = fetch_record(soft, socket);
    uint8_t type = socket->record_type;
    if (failed) {
        message->msg_controllen = 0;
        return failed == -ENODATA ? 0 : failed;
    }
    if (!put_type(message, type) && type != DATA)
        return -EIO;
    do {
        size_t part = socket->record_size - socket->record_at;
        part = part < size - have ? part : size - have;
        memcpy(buffer + have, socket->record + socket->record_at, part);
        have += part;
        if (flags & MSG_PEEK)
            return (ssize_t)have;
        socket->record_at += part;
        if (type != DATA && socket->record_at == socket->record_size)
            socket->record_type = 0;
    } while (type == DATA && have < size && fetch_record(soft, socket) == 0 && socket->record_type == DATA);
    return (ssize_t)have;
}

/* ---- sending ---- */

static int drain(struct soft_socket *socket)
{
    while (socket->out_size > 0) {
        ssize_t sent = send(socket->fd, socket->out, socket->out_size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0)
            return -errno;
        socket->out_size -= (size_t)sent;
        memmove(socket->out, socket->out + sent, socket->out_size);
    }
    return 0;
}

static uint8_t type_of(const struct msghdr *message)
{
    struct cmsghdr *header = CMSG_FIRSTHDR(message);
    return header && header->cmsg_level == SOL_TLS && header->cmsg_type == TLS_SET_RECORD_TYPE ? *CMSG_DATA(header)
                                                                                               : DATA;
}

static ssize_t soft_sendmsg(const struct ktls_sys *sys, int fd, const struct msghdr *message, int flags)
{
    struct soft_ktls *soft = (struct soft_ktls *)(uintptr_t)sys;
    struct soft_socket *socket = soft_ktls_socket(soft, fd);
    const uint8_t *bytes = message->msg_iov[0].iov_base;
    size_t size = message->msg_iov[0].iov_len;
    int failed = refused(soft, SOFT_SEND);

    soft->sends++;
    if (failed)
        return failed;
    if (soft->shorten > 0 && size > soft->shorten)
        size = soft->shorten;
    if (!socket->tx.set) {
        ssize_t sent = send(fd, bytes, size, flags);
        return sent >= 0 ? sent : -errno;
    }
    failed = drain(socket);
    if (failed)
        return failed;
    if (size > 8 * FULL)
        size = 8 * FULL;
    for (size_t at = 0; at < size; at += FULL)
        seal_record(socket, type_of(message), bytes + at, size - at < FULL ? size - at : FULL);
    failed = drain(socket);
    return failed && failed != -EAGAIN ? failed : (ssize_t)size;
}

/* ---- options ---- */

static int install(struct soft_ktls *soft, struct soft_socket *socket, bool tx, const void *value, socklen_t length)
{
    static const struct {
        uint16_t type;
        size_t key, salt, iv;
    } shapes[] = { { TLS_CIPHER_AES_GCM_128, 16, 4, 8 },
                   { TLS_CIPHER_AES_GCM_256, 32, 4, 8 },
                   { TLS_CIPHER_AES_CCM_128, 16, 4, 8 },
                   { TLS_CIPHER_CHACHA20_POLY1305, 32, 0, 12 } };
    struct soft_key *key = tx ? &socket->tx : &socket->rx, *other = tx ? &socket->rx : &socket->tx;
    const uint8_t *at = (const uint8_t *)value + sizeof(struct tls_crypto_info);
    struct tls_crypto_info head;

    memcpy(&head, value, sizeof(head));
    if (!socket->ulp)
        return -ENOPROTOOPT;
    if (key->set && !(soft->rekeys && head.version == TLS_1_3_VERSION))
        return -EBUSY;
    if (other->set && (other->version != head.version || other->type != head.cipher_type))
        return -EINVAL;
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        if (shapes[i].type != head.cipher_type)
            continue;
        if (length != sizeof(head) + shapes[i].iv + shapes[i].key + shapes[i].salt + 8)
            return -EINVAL;
        *key = (struct soft_key){ .set = true,
                                  .installs = key->installs + 1,
                                  .version = head.version,
                                  .type = head.cipher_type,
                                  .key_size = shapes[i].key,
                                  .info_size = length };
        memcpy(key->info, value, length);
        memcpy(key->nonce + shapes[i].salt, at, shapes[i].iv);
        memcpy(key->key, at + shapes[i].iv, shapes[i].key);
        memcpy(key->nonce, at + shapes[i].iv + shapes[i].key, shapes[i].salt);
        at += shapes[i].iv + shapes[i].key + shapes[i].salt;
        for (int j = 0; j < 8; j++) {
            key->sequence = key->sequence << 8 | at[j];
            key->explicit_nonce = key->explicit_nonce << 8 | key->nonce[4 + j];
        }
        if (!tx)
            socket->update_pending = false;
        return 0;
    }
    return -EINVAL;
}

static int soft_setsockopt(const struct ktls_sys *sys, int fd, int level, int option, const void *value,
                           socklen_t length)
{
    struct soft_ktls *soft = (struct soft_ktls *)(uintptr_t)sys;
    struct soft_socket *socket = soft_ktls_socket(soft, fd);
    int failed = 0;

    if (level == IPPROTO_TCP && option == TCP_ULP) {
        failed = refused(soft, SOFT_ULP);
        socket->ulp = socket->ulp || !failed;
        return failed;
    }
    if (level != SOL_TLS)
        return setsockopt(fd, level, option, value, length) == 0 ? 0 : -errno;
    if (option == TLS_RX_EXPECT_NO_PAD)
        return refused(soft, SOFT_NO_PAD);
    if (option == TLS_TX_ZEROCOPY_RO) {
        failed = length == sizeof(socket->zerocopy) ? refused(soft, SOFT_ZEROCOPY) : -EINVAL;
        if (!failed)
            memcpy(&socket->zerocopy, value, length);
        return failed;
    }
    failed = refused(soft, option == TLS_TX ? SOFT_TX : SOFT_RX);
    return failed ? failed : install(soft, socket, option == TLS_TX, value, length);
}

static int soft_getsockopt(const struct ktls_sys *sys, int fd, int level, int option, void *value, socklen_t *length)
{
    struct soft_ktls *soft = (struct soft_ktls *)(uintptr_t)sys;
    struct soft_socket *socket = soft_ktls_socket(soft, fd);
    const struct soft_key *key = option == TLS_TX ? &socket->tx : &socket->rx;
    int failed = refused(soft, SOFT_ASK);

    if (level != SOL_TLS || failed)
        return failed ? failed : -ENOPROTOOPT;
    if (!key->set || *length != key->info_size)
        return -EINVAL;
    memcpy(value, key->info, key->info_size);
    put_be64((uint8_t *)value + key->info_size - 8, key->sequence);
    return 0;
}

void soft_ktls_init(struct soft_ktls *soft)
{
    *soft = (struct soft_ktls){ .sys = { .setsockopt = soft_setsockopt,
                                         .getsockopt = soft_getsockopt,
                                         .recvmsg = soft_recvmsg,
                                         .sendmsg = soft_sendmsg } };
}

void soft_ktls_clear(struct soft_ktls *soft)
{
    for (size_t i = 0; i < SOFT_KTLS_SOCKETS; i++) {
        free(soft->sockets[i].raw);
        free(soft->sockets[i].out);
    }
    soft_ktls_init(soft);
}
