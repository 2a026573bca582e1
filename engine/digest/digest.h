/*
 * Digests of files: what they are, and how they are computed from an open file. Knows neither HTTP nor the store.
 */
#ifndef SLUICE_DIGEST_H
#define SLUICE_DIGEST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Those of RFC 9530, 5 that are to be used. In the order of their strength. */
enum digest_algorithm { DIGEST_SHA_256, DIGEST_SHA_512 };
#define DIGEST_ALGORITHMS 2
#define DIGEST_MAX 64
#define DIGEST_HEX_SIZE (2 * DIGEST_MAX + 1)

struct digest {
    enum digest_algorithm algorithm;
    uint8_t bytes[DIGEST_MAX]; /* digest_size() of them */
};

/* Some digests of the same bytes: at most one of each algorithm. */
struct digest_set {
    unsigned known; /* 1u << algorithm */
    struct digest items[DIGEST_ALGORITHMS];
};

const char *digest_name(enum digest_algorithm algorithm); /* "sha-256" */
size_t digest_size(enum digest_algorithm algorithm);
/* By a name of `length` bytes, in lower case as in the registry. False: none of ours. */
bool digest_by_name(const char *name, size_t length, enum digest_algorithm *algorithm);
bool digest_equal(const struct digest *a, const struct digest *b);
void digest_hex(const struct digest *digest, char hex[DIGEST_HEX_SIZE]);
int digest_from_hex(enum digest_algorithm algorithm, const char *hex, struct digest *digest); /* 0 or -EINVAL */

void digest_set_add(struct digest_set *set, const struct digest *digest); /* in place of one of that algorithm */
const struct digest *digest_set_strongest(const struct digest_set *set);  /* NULL: there is none */
/* Whether they have an algorithm in common, and no algorithm in common with another value. */
bool digest_set_agree(const struct digest_set *a, const struct digest_set *b);

/* A computation under way, of all algorithms of a mask at once. */
struct digest_run;
int digest_run_new(struct digest_run **run, unsigned algorithms); /* 0 or -errno */
void digest_run_free(struct digest_run *run);                     /* NULL is allowed */
int digest_run_add(struct digest_run *run, const void *bytes, size_t length);
int digest_run_end(struct digest_run *run, struct digest_set *set); /* after that: only free */

/*
 * Of the first `size` bytes of a file. Blocks. `stop`: ends it soon, with -ECANCELED, once it is true; NULL: nothing
 * does. 0 or -errno (-ENODATA: the file is shorter).
 */
int digest_file(int fd, uint64_t size, unsigned algorithms, const atomic_bool *stop, struct digest_set *set);
/*
 * The same, with a computation that has taken in the first `from` of them. After that: only free. `spares_cache`: what
 * is not in the page cache is read past it (O_DIRECT, where the file system has that), and so is not there afterwards,
 * either. That is for files that nobody else reads through the page cache now: for each it would be read once more.
 */
int digest_run_finish(struct digest_run *run, int fd, uint64_t from, uint64_t size, bool spares_cache,
                      const atomic_bool *stop, struct digest_set *set);

/*
 * Beside a transfer: a thread that follows the front of a file that is being written, or runs ahead through one that is
 * there already. It holds a descriptor of its own. Any thread may tell how far the file has come.
 */
struct digest_follow;
int digest_follow_new(struct digest_follow **follow, int fd, unsigned algorithms, bool spares_cache); /* 0 or -errno */
void digest_follow_spare(struct digest_follow *follow, bool spares_cache);                            /* from here on */
/* Bytes [0, front) are in the file for good. What is less than before is passed over. */
void digest_follow_reached(struct digest_follow *follow, uint64_t front);
/* No byte comes after `size`, and all of them are there. */
void digest_follow_complete(struct digest_follow *follow, uint64_t size);
int digest_follow_fd(const struct digest_follow *follow); /* readable (POLLIN) once there is a result or an error */
/* After digest_follow_complete(): waits. 0 or -errno. */
int digest_follow_result(struct digest_follow *follow, struct digest_set *set);
void digest_follow_free(struct digest_follow *follow); /* at any time, ends it first; NULL is allowed */

#endif
