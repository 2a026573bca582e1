/*
 * Why O_DIRECT, and not read and then drop (POSIX_FADV_DONTNEED): what is dropped is everybody's pages of that piece,
 * also those that somebody else has read meanwhile; what reading ahead has brought in behind the piece stays; and each
 * page is made, filled, copied from and freed again, which takes as much time again as SHA-256. A file system without
 * O_DIRECT has no body that leaves its page cache alone, either: there a digest reads as it always did.
 *
 * Why a piece is asked about first: what a body has at its odd ends is written through the page cache, and so is all of
 * it where another path carries it. There O_DIRECT would have to wait for the disk to write what is read.
 */
#include "engine/digest/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/disk/cache.h"

#define PIECE ((size_t)256 << 10) /* fits the second-level cache, from which the algorithm reads it again */

_Static_assert(READER_SPAN % DIRECT_ALIGN_MOST == 0, "spans follow each other");

struct span {
    uint64_t from;
    size_t length;
};

struct reader {
    const struct reader_seam *seam;
    char *piece;          /* read through the page cache; made with the first one, as all below */
    char *rooms[2];       /* read past it: one is taken in while the other is filled */
    unsigned room;        /* the one that was filled last */
    struct span span;     /* what stands there, or will where `ahead` */
    bool ahead;           /* the other one is being filled */
    int refusal;          /* ... or would be: the seam's */
    struct io_uring ring; /* for that */
    enum { RING_UNTRIED, RING_THERE, RING_REFUSED } ring_state;
};

int reader_new(struct reader **made, const struct reader_seam *seam)
{
    struct reader *reader = calloc(1, sizeof *reader);

    *made = reader;
    if (!reader)
        return -ENOMEM;
    reader->seam = seam;
    return 0;
}

void reader_file_begin(struct reader_file *file, int fd, bool spares)
{
    *file = (struct reader_file){ .fd = fd, .direct.fd = -1 };
    atomic_init(&file->spares, spares);
}

void reader_file_end(struct reader_file *file)
{
    direct_close(&file->direct);
}

static void refuse(struct reader_file *file)
{
    file->refused = true;
    direct_close(&file->direct);
}

/* -- through the page cache ---------------------------------------------------------------------------------------- */

static ssize_t read_cached(struct reader *reader, const struct reader_file *file, uint64_t at, uint64_t end,
                           const char **bytes)
{
    size_t want = end - at < PIECE ? (size_t)(end - at) : PIECE;
    ssize_t got;

    if (!reader->piece && !(reader->piece = malloc(PIECE)))
        return -ENOMEM;
    do
        got = pread(file->fd, reader->piece, want, (off_t)at);
    while (got < 0 && errno == EINTR);
    *bytes = reader->piece;
    if (got < 0)
        return -errno;
    return got > 0 ? got : -ENODATA;
}

/* -- past it ------------------------------------------------------------------------------------------------------- */

static bool make_rooms(struct reader *reader)
{
    for (int i = 0; i < 2; i++) {
        if (!reader->rooms[i])
            reader->rooms[i] = aligned_alloc(DIRECT_ALIGN_MOST, READER_SPAN);
    }
    return reader->rooms[0] && reader->rooms[1];
}

/* Whether what stands at `at` is to be read past the page cache, and can be. */
static bool goes_past(struct reader *reader, struct reader_file *file, uint64_t at, uint64_t end)
{
    if (!atomic_load_explicit(&file->spares, memory_order_relaxed) || file->refused || at < file->cached_to)
        return false;
    uint64_t to = end - at < READER_SPAN ? end : at + READER_SPAN;
    if (cache_holds_untouched(file->fd, at, to - at) == CACHED_YES) {
        file->cached_to = to;
        return false;
    }
    if (!make_rooms(reader) || (file->direct.fd < 0 && direct_open(&file->direct, file->fd, O_RDONLY)))
        file->refused = true;
    return !file->refused;
}

/* Whole blocks, and what is left behind the last of them by itself: often that alone stands in the page cache. */
static struct span span_at(const struct reader_file *file, uint64_t at, uint64_t end)
{
    uint64_t align = file->direct.align, from = at - at % align, whole = end - end % align;
    uint64_t length = whole > at ? whole - from : align;

    return (struct span){ .from = from, .length = length < READER_SPAN ? (size_t)length : READER_SPAN };
}

static int ask(const struct reader *reader, size_t *length)
{
    return reader->seam ? reader->seam->before(reader->seam, length) : 0;
}

/* Now: bytes, or -errno. */
static ssize_t fetch(struct reader *reader, const struct reader_file *file, struct span span)
{
    size_t length = span.length;
    int refusal = ask(reader, &length);
    ssize_t got;

    reader->span = span;
    if (refusal < 0)
        return refusal;
    do
        got = pread(file->direct.fd, reader->rooms[reader->room], length, (off_t)span.from);
    while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

/* While the one before is taken in. Without a ring each is waited for. */
static void look_ahead(struct reader *reader, struct reader_file *file, uint64_t at, uint64_t end)
{
    if (reader->ring_state == RING_REFUSED || at >= end || !goes_past(reader, file, at, end))
        return;
    if (reader->ring_state == RING_UNTRIED)
        reader->ring_state = io_uring_queue_init(2, &reader->ring, 0) == 0 ? RING_THERE : RING_REFUSED;
    if (reader->ring_state == RING_REFUSED)
        return;
    struct span span = span_at(file, at, end);
    size_t length = span.length;
    reader->refusal = ask(reader, &length);
    if (reader->refusal == 0) {
        struct io_uring_sqe *sqe = io_uring_get_sqe(&reader->ring);
        io_uring_prep_read(sqe, file->direct.fd, reader->rooms[reader->room ^ 1], (unsigned)length, span.from);
        if (io_uring_submit(&reader->ring) != 1) {
            io_uring_queue_exit(&reader->ring); /* what it did not take is not to be taken later */
            reader->ring_state = RING_REFUSED;
            return;
        }
    }
    reader->span = span;
    reader->ahead = true;
}

/* What was looked ahead for: waits for it. */
static ssize_t arrive(struct reader *reader)
{
    struct io_uring_cqe *cqe;
    int error;

    reader->ahead = false;
    reader->room ^= 1;
    if (reader->refusal < 0)
        return reader->refusal;
    do
        error = io_uring_wait_cqe(&reader->ring, &cqe);
    while (error == -EINTR || error == -EAGAIN);
    if (error < 0)
        return error;
    ssize_t got = cqe->res;
    io_uring_cqe_seen(&reader->ring, cqe);
    return got;
}

static void settle(struct reader *reader)
{
    if (reader->ahead)
        (void)arrive(reader);
}

static ssize_t read_past(struct reader *reader, struct reader_file *file, uint64_t at, uint64_t end, ssize_t got,
                         const char **bytes)
{
    size_t head = (size_t)(at - reader->span.from);

    if (got == -EINVAL || got == -EOPNOTSUPP) {
        refuse(file);
        return read_cached(reader, file, at, end, bytes);
    }
    if (got < 0 && got != -EAGAIN && got != -EINTR)
        return got;
    /* It was only short, within a block; or there is nothing more. */
    if (got <= (ssize_t)head) {
        uint64_t block = reader->span.from + file->direct.align;
        return read_cached(reader, file, at, end < block ? end : block, bytes);
    }
    *bytes = reader->rooms[reader->room] + head;
    if ((size_t)got == reader->span.length)
        look_ahead(reader, file, reader->span.from + reader->span.length, end);
    size_t came = (size_t)got - head;
    return (ssize_t)(came < end - at ? came : end - at);
}

/* -- both ---------------------------------------------------------------------------------------------------------- */

static ssize_t next(struct reader *reader, struct reader_file *file, uint64_t at, uint64_t end, const char **bytes)
{
    if (reader->ahead && reader->span.from == at)
        return read_past(reader, file, at, end, arrive(reader), bytes);
    settle(reader);
    if (goes_past(reader, file, at, end))
        return read_past(reader, file, at, end, fetch(reader, file, span_at(file, at, end)), bytes);
    return read_cached(reader, file, at, at < file->cached_to && file->cached_to < end ? file->cached_to : end, bytes);
}

int reader_feed(struct reader *reader, struct reader_file *file, struct digest_run *run, uint64_t *at, uint64_t end,
                const atomic_bool *stop)
{
    int error = 0;

    while (error == 0 && *at < end) {
        const char *bytes;
        if (stop && atomic_load_explicit(stop, memory_order_relaxed)) {
            error = -ECANCELED;
            break;
        }
        ssize_t got = next(reader, file, *at, end, &bytes);
        error = got < 0 ? (int)got : digest_run_add(run, bytes, (size_t)got);
        if (error == 0)
            *at += (uint64_t)got;
    }
    settle(reader);
    return error;
}

void reader_free(struct reader *reader)
{
    if (!reader)
        return;
    if (reader->ring_state == RING_THERE)
        io_uring_queue_exit(&reader->ring);
    free(reader->rooms[0]);
    free(reader->rooms[1]);
    free(reader->piece);
    free(reader);
}
