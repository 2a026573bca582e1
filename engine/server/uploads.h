/*
 * The uploads that come in parts, over all workers: which are open, who writes into them, and who may finish one.
 *
 * Several sessions hold one upload at once, each with a part of its own. What they wrote is put on the disk and claimed
 * in its map by a thread of this room, every UPLOADS_KEEP_BYTES or UPLOADS_KEEP_MS and when the last one has left, so
 * that no session waits for it. Another thread sweeps the stores for leftovers: at start, and once a day. Where a
 * digest of the whole will be wanted it is computed while the parts come, on a few threads that are nicer than the
 * workers.
 */
#ifndef SLUICE_SERVER_UPLOADS_H
#define SLUICE_SERVER_UPLOADS_H

#include "engine/event/event.h"
#include "engine/store/partial.h"

#define UPLOADS_KEEP_BYTES (UINT64_C(64) << 20)
#define UPLOADS_KEEP_MS 5000

struct uploads;
struct upload;
struct epoch;

/* 0 or -errno. `threads` compute digests; the others start with the first uploads_follow(). */
int uploads_new(struct uploads **uploads, struct event_log *log, unsigned threads);
void uploads_free(struct uploads *uploads); /* keeps what was written; nobody may hold an upload. NULL is allowed */
/* Whose stores are swept, how long leftovers stay, and how many there may be. From the owner's thread. 0 or -errno. */
int uploads_follow(struct uploads *uploads, struct epoch *epoch);

struct upload_key {
    const struct store *store;
    const char *path, *who, *token;
    bool hollow; /* as in struct store_place */
};

/*
 * Holds the upload, from any thread that may block. `size` as for store_partial_open(), whose errors these are; and
 * -EUSERS: there are too many unfinished ones; -ETOOMANYREFS: too many of this sender's.
 */
int uploads_take(struct uploads *uploads, const struct upload_key *key, uint64_t size, struct upload **upload);
struct store_partial *upload_partial(const struct upload *upload);

/* These do not block. */
void upload_leave(struct upload *upload); /* holds it no longer */

/* Who writes bytes [at, end) of it, one after the other; lent from begin to end. */
struct upload_writer {
    uint64_t at, end;
    struct upload_writer *next; /* private */
};

/*
 * `algorithms`: of the digest that will be wanted of the whole; 0: none. `length` 0: it writes nothing, but keeps
 * others from finishing. 0; -EBUSY: it is being finished, and there is nothing to end.
 */
int upload_write_begin(struct upload *upload, struct upload_writer *writer, uint64_t first, uint64_t length,
                       unsigned algorithms);
/* The same for who writes nothing but what is not there yet: it does not make the digest begin anew. */
int upload_fill_begin(struct upload *upload, struct upload_writer *writer, uint64_t first, uint64_t end);
/* It came as far as `end`. 0, or an error of store_partial_add(): what came since then counts for nothing. */
int upload_wrote(struct upload *upload, struct upload_writer *writer, uint64_t end);
void upload_write_end(struct upload *upload, struct upload_writer *writer);
bool upload_unwanted(const struct upload *upload); /* who writes must stop soon: somebody finishes it */

/* By what path a part came, and when it began (microseconds); and what was told of the last and the first of them. */
struct pump_choice;
void upload_carried(struct upload *upload, const struct pump_choice *choice, uint64_t began);
void upload_carriage(const struct upload *upload, struct pump_choice *choice, uint64_t *began);

/*
 * 0: nobody else writes from here on; -EAGAIN: those who do were told to stop, ask again; -EBUSY: another finishes it.
 */
int upload_finish_begin(struct upload *upload, bool again);
/* What is computed already of its digest, by whoever finishes it: the caller's, as of engine/digest/crew.h. NULL:
 * nothing. */
struct digest_front;
struct digest_front *upload_take_front(struct upload *upload, unsigned algorithms);
/*
 * `gone`: the partial has its name or was dropped: others of the same sender and target, with which nobody goes on at
 * the moment, are left over and removed. May block.
 */
void upload_finish_end(struct upload *upload, bool gone);
void upload_finish_give_up(struct upload *upload); /* after -EAGAIN: no longer waited for. Does not block */

#endif
