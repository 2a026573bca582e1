/*
 * kTLS in a test, without a kernel that has it: a struct ktls_sys that takes the keys as Linux would and then encrypts
 * and decrypts the socket's records itself, with OpenSSL's ciphers and nothing of ours.
 *
 * So a peer that is an ordinary OpenSSL proves that key, nonce, sequence number and version were handed over right. It
 * follows Documentation/networking/tls.rst where a caller can see the difference: EIO for a control record without room
 * for its type, EBUSY or EKEYEXPIRED around a rekey, EBADMSG for what does not decrypt, MSG_PEEK.
 *
 * Any call can be refused or its sends shortened. Sockets without keys go to Linux.
 */
#ifndef SLUICE_TEST_SOFT_KTLS_H
#define SLUICE_TEST_SOFT_KTLS_H

#include <stdbool.h>
#include <stdint.h>

#include "ktls/sys.h"

#define SOFT_KTLS_SOCKETS 4

struct soft_key {
    bool set;
    unsigned installs; /* how often a key was taken */
    uint16_t version, type;
    uint8_t key[32], nonce[12];
    size_t key_size;
    uint64_t sequence, explicit_nonce; /* of the next record */
    uint8_t info[64];                  /* as it was handed over first */
    socklen_t info_size;
};

struct soft_socket {
    int fd;
    bool ulp, update_pending, broken;
    unsigned zerocopy; /* TLS_TX_ZEROCOPY_RO */
    struct soft_key tx, rx;
    uint8_t *raw, *out; /* bytes from and for the socket */
    size_t raw_size, out_size;
    uint8_t record[17000]; /* decrypted, from `record_at` on not yet taken */
    size_t record_at, record_size;
    uint8_t record_type; /* 0: none */
};

enum soft_call { SOFT_NONE, SOFT_ULP, SOFT_TX, SOFT_RX, SOFT_NO_PAD, SOFT_ZEROCOPY, SOFT_ASK, SOFT_SEND, SOFT_RECEIVE };

struct soft_ktls {
    struct ktls_sys sys; /* first: what the channel gets */
    bool rekeys;         /* as Linux does from 6.14 */
    enum soft_call refuse;
    int refusal;              /* errno */
    unsigned spared;          /* so many of those calls succeed first */
    size_t shorten;           /* sends and receives of at most so many bytes; 0: as they are */
    unsigned sends, receives; /* counted */
    struct soft_socket sockets[SOFT_KTLS_SOCKETS];
};

void soft_ktls_init(struct soft_ktls *soft);
void soft_ktls_clear(struct soft_ktls *soft);
struct soft_socket *soft_ktls_socket(struct soft_ktls *soft, int fd);

#endif
