// rooms: ktls config
/*
 * Control records as a hostile peer could send them on a direction that is in the kernel: alerts, tickets, KeyUpdates,
 * fragments of them, anything. The first byte says which end and version we are; then each record is a type, a length
 * and so many bytes.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <linux/tls.h>
#include <openssl/obj_mac.h>

#include "tests/fuzz/channel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { IS_SERVER = 1, IS_TLS12 = 2, KERNEL_REKEYS = 4 };

struct script {
    struct ktls_sys sys;
    const uint8_t *at, *end;
    bool rekeys;
};

static ssize_t next_record(const struct ktls_sys *sys, int fd, struct msghdr *message, int flags)
{
    struct script *script = (struct script *)(uintptr_t)sys;
    struct cmsghdr *header = CMSG_FIRSTHDR(message);
    (void)fd;

    if (script->end - script->at < 2)
        return -EAGAIN;
    size_t length = script->at[1], left = (size_t)(script->end - script->at) - 2;
    if (length > left)
        length = left;
    header->cmsg_level = SOL_TLS;
    header->cmsg_type = TLS_GET_RECORD_TYPE;
    header->cmsg_len = CMSG_LEN(1);
    memcpy(CMSG_DATA(header), script->at, 1);
    size_t taken = length < message->msg_iov->iov_len ? length : message->msg_iov->iov_len;
    memcpy(message->msg_iov->iov_base, script->at + 2, taken);
    if (!(flags & MSG_PEEK))
        script->at += 2 + length;
    return (ssize_t)taken;
}

static int set(const struct ktls_sys *sys, int fd, int level, int option, const void *value, socklen_t length)
{
    (void)fd;
    (void)level;
    (void)option;
    (void)value;
    (void)length;
    return ((const struct script *)(uintptr_t)sys)->rekeys ? 0 : -EBUSY;
}

static int get(const struct ktls_sys *sys, int fd, int level, int option, void *value, socklen_t *length)
{
    (void)sys;
    (void)fd;
    (void)level;
    (void)option;
    memset(value, 0, *length);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct script script = { .sys = { set, get, next_record, swallow }, .at = data + 1, .end = data + size };
    struct channel channel = { .context = context(), .wire = { .sys = &script.sys, .fd = -1 }, .established = true };
    script.rekeys = data[0] & KERNEL_REKEYS;
    channel.server = data[0] & IS_SERVER;
    channel.version = data[0] & IS_TLS12 ? TLS_1_2 : TLS_1_3;
    channel.suite = ktls_suite_by_nid(NID_aes_128_gcm);
    channel.digest = "SHA256";
    channel.record_limit = channel.suite->record_limit;
    for (enum channel_way way = CHANNEL_TX; way <= CHANNEL_RX; way++) {
        channel.way[way].mode = CHANNEL_KERNEL;
        channel.way[way].secret = (struct ktls_secret){ .length = 32, .digest = "SHA256" };
    }

    /* Every call takes a record, or ends the session, or leaves data where a pump will take it. */
    for (;;) {
        const uint8_t *before = script.at;
        int result = channel_control(&channel);
        if (result != 0)
            break;
        if (script.at == before) {
            if (before[0] != RECORD_DATA)
                abort();
            size_t left = (size_t)(script.end - before) - 2;
            script.at += 2 + (before[1] < left ? before[1] : left);
        }
    }
    if (memchr(channel.reason, '\0', sizeof channel.reason) == NULL)
        abort();
    for (enum channel_way way = CHANNEL_TX; way <= CHANNEL_RX; way++)
        ktls_secret_wipe(&channel.way[way].secret);
    return 0;
}
