/* What an upload in parts is called between us and the server. */
#include "engine/client/put.h"

#include <fcntl.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>
#include <unistd.h>

#define MACHINE_MAX 128

/* machine-id(5): the same at every start, and not to be known by others. "": there is none. */
static size_t read_machine(const char *path, char machine[MACHINE_MAX])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    ssize_t length = fd < 0 ? 0 : read(fd, machine, MACHINE_MAX);

    if (fd >= 0)
        close(fd);
    return length > 0 ? (size_t)length : 0;
}

static void print(const unsigned char *bytes, char token[PUT_TOKEN_SIZE])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < PUT_TOKEN_SIZE / 2; i++) {
        token[2 * i] = digits[bytes[i] >> 4];
        token[2 * i + 1] = digits[bytes[i] & 15];
    }
    token[PUT_TOKEN_SIZE - 1] = '\0';
}

bool put_token(const struct stat *facts, const char *remote, const char *machine_file, char token[PUT_TOKEN_SIZE])
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    char machine[MACHINE_MAX], text[256];
    size_t known = read_machine(machine_file, machine);
    EVP_MD_CTX *run = EVP_MD_CTX_new();

    int length = snprintf(text, sizeof text, "sluice upload %u %" PRIu64 " %lld.%ld %lld.%ld %" PRIu64 " %" PRIu64 " ",
                          (unsigned)geteuid(), (uint64_t)facts->st_size, (long long)facts->st_mtim.tv_sec,
                          facts->st_mtim.tv_nsec, (long long)facts->st_ctim.tv_sec, facts->st_ctim.tv_nsec,
                          (uint64_t)facts->st_ino, (uint64_t)facts->st_dev);
    bool done = run && EVP_DigestInit_ex(run, EVP_sha256(), NULL) && EVP_DigestUpdate(run, machine, known) &&
                EVP_DigestUpdate(run, text, (size_t)length) && EVP_DigestUpdate(run, remote, strlen(remote)) &&
                EVP_DigestFinal_ex(run, sum, NULL);
    if (done)
        print(sum, token);
    EVP_MD_CTX_free(run);
    OPENSSL_cleanse(machine, sizeof machine);
    return done;
}
