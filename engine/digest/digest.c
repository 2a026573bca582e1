/* What digests are, and computing them. */
#include "engine/digest/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/digest/reader.h"

#define SEQUENTIAL_FROM (256u << 10) /* bytes to be read: fewer are there before reading ahead begins */

static const struct {
    const char *name, *fetched;
    size_t size;
} algorithms_known[DIGEST_ALGORITHMS] = {
    [DIGEST_SHA_256] = { "sha-256", "SHA2-256", 32 },
    [DIGEST_SHA_512] = { "sha-512", "SHA2-512", 64 },
};

const char *digest_name(enum digest_algorithm algorithm)
{
    return algorithms_known[algorithm].name;
}

size_t digest_size(enum digest_algorithm algorithm)
{
    return algorithms_known[algorithm].size;
}

bool digest_by_name(const char *name, size_t length, enum digest_algorithm *algorithm)
{
    for (int i = 0; i < DIGEST_ALGORITHMS; i++) {
        if (strlen(algorithms_known[i].name) == length && memcmp(algorithms_known[i].name, name, length) == 0) {
            *algorithm = (enum digest_algorithm)i;
            return true;
        }
    }
    return false;
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
    return a->algorithm == b->algorithm && memcmp(a->bytes, b->bytes, digest_size(a->algorithm)) == 0;
}

void digest_hex(const struct digest *digest, char hex[DIGEST_HEX_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    size_t size = digest_size(digest->algorithm);

    for (size_t i = 0; i < size; i++) {
        *hex++ = digits[digest->bytes[i] >> 4];
        *hex++ = digits[digest->bytes[i] & 15];
    }
    *hex = '\0';
}

static int nibble(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

int digest_from_hex(enum digest_algorithm algorithm, const char *hex, struct digest *digest)
{
    size_t size = digest_size(algorithm);

    if (strlen(hex) != 2 * size)
        return -EINVAL;
    digest->algorithm = algorithm;
    for (size_t i = 0; i < size; i++) {
        int high = nibble(hex[2 * i]), low = nibble(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return -EINVAL;
        digest->bytes[i] = (uint8_t)(high << 4 | low);
    }
    return 0;
}

void digest_set_add(struct digest_set *set, const struct digest *digest)
{
    set->known |= 1u << digest->algorithm;
    set->items[digest->algorithm] = *digest;
}

const struct digest *digest_set_strongest(const struct digest_set *set)
{
    for (int i = DIGEST_ALGORITHMS - 1; i >= 0; i--) {
        if (set->known & 1u << i)
            return &set->items[i];
    }
    return NULL;
}

bool digest_set_agree(const struct digest_set *a, const struct digest_set *b)
{
    for (int i = 0; i < DIGEST_ALGORITHMS; i++) {
        if ((a->known & b->known & 1u << i) && !digest_equal(&a->items[i], &b->items[i]))
            return false;
    }
    return (a->known & b->known) != 0;
}

/* -- computing ----------------------------------------------------------------------------------------------------- */

struct digest_run {
    unsigned algorithms;
    EVP_MD_CTX *contexts[DIGEST_ALGORITHMS];
};

static EVP_MD_CTX *context_new(const char *name)
{
    EVP_MD *md = EVP_MD_fetch(NULL, name, NULL);
    EVP_MD_CTX *context = md ? EVP_MD_CTX_new() : NULL;

    if (context && EVP_DigestInit_ex2(context, md, NULL) != 1) {
        EVP_MD_CTX_free(context);
        context = NULL;
    }
    EVP_MD_free(md);
    return context;
}

int digest_run_new(struct digest_run **made, unsigned algorithms)
{
    struct digest_run *run = calloc(1, sizeof *run);

    *made = NULL;
    if (!run)
        return -ENOMEM;
    for (int i = 0; i < DIGEST_ALGORITHMS; i++) {
        if (!(algorithms & 1u << i))
            continue;
        run->contexts[i] = context_new(algorithms_known[i].fetched);
        if (!run->contexts[i]) {
            digest_run_free(run);
            return -ENOMEM;
        }
        run->algorithms |= 1u << i;
    }
    *made = run;
    return 0;
}

void digest_run_free(struct digest_run *run)
{
    if (!run)
        return;
    for (int i = 0; i < DIGEST_ALGORITHMS; i++)
        EVP_MD_CTX_free(run->contexts[i]);
    free(run);
}

int digest_run_add(struct digest_run *run, const void *bytes, size_t length)
{
    for (int i = 0; i < DIGEST_ALGORITHMS; i++) {
        if (run->contexts[i] && EVP_DigestUpdate(run->contexts[i], bytes, length) != 1)
            return -EIO;
    }
    return 0;
}

int digest_run_end(struct digest_run *run, struct digest_set *set)
{
    *set = (struct digest_set){ 0 };
    for (int i = 0; i < DIGEST_ALGORITHMS; i++) {
        struct digest digest = { .algorithm = (enum digest_algorithm)i };
        if (!run->contexts[i])
            continue;
        if (EVP_DigestFinal_ex(run->contexts[i], digest.bytes, NULL) != 1)
            return -EIO;
        digest_set_add(set, &digest);
    }
    return 0;
}

int digest_run_finish(struct digest_run *run, int fd, uint64_t from, uint64_t size, bool spares_cache,
                      const atomic_bool *stop, struct digest_set *set)
{
    struct reader_file file;
    struct reader *reader;
    int error = reader_new(&reader, NULL);

    if (error < 0)
        return error;
    if (!spares_cache && size - from >= SEQUENTIAL_FROM)
        posix_fadvise(fd, (off_t)from, 0, POSIX_FADV_SEQUENTIAL);
    reader_file_begin(&file, fd, spares_cache);
    error = reader_feed(reader, &file, run, &from, size, stop);
    reader_file_end(&file);
    reader_free(reader);
    return error == 0 ? digest_run_end(run, set) : error;
}

int digest_file(int fd, uint64_t size, unsigned algorithms, const atomic_bool *stop, struct digest_set *set)
{
    struct digest_run *run;
    int error = digest_run_new(&run, algorithms);

    if (error < 0)
        return error;
    error = digest_run_finish(run, fd, 0, size, false, stop, set);
    digest_run_free(run);
    return error;
}
