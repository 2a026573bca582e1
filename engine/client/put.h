/* Sending a file: shared by put.c and put_parts.c. */
#ifndef SLUICE_CLIENT_PUT_H
#define SLUICE_CLIENT_PUT_H

#include <sys/stat.h>

#include "engine/client/client_internal.h"

#define PUT_MACHINE_FILE "/etc/machine-id"
#define PUT_PARTS_FROM (1u << 20) /* bytes: smaller files go in one request, which costs little to do again */

/* Not of enum client_result: */
#define PUT_CHANGED (-ESTALE)      /* the source is not what it was; nothing got its name */
#define PUT_NO_PARTS (-EOPNOTSUPP) /* the server takes no parts; nothing was sent */
#define PUT_ENDED (-EINPROGRESS)   /* somebody else has just ended this upload: what stands there is to be looked at */

struct put_source {
    const char *local;
    int flags;         /* besides those that every source is opened with */
    int fd;            /* or -errno */
    struct stat facts; /* as it was opened */
    bool stale;        /* it was seen to be another by now */
};

/* Whether it is another by now: size, times of modification and change. Any thread; the second notes it, too. */
bool put_differs(const struct put_source *source);
bool put_changed(struct put_source *source);
/* The fields that tell of the source: its time and mode. */
void put_describe(const struct put_source *source, struct http_writer *fields);
/* Whether the server has all it says it has: of an answer to the request that ended a PUT. */
int put_judge(struct client *client);
struct verify;
/* Around all that is done to send it: the digest of all of it, for which it is read the way that it goes. */
void put_verify_begin(struct verify *verify, struct client *client, bool wanted, const struct put_source *source);
void put_verify_end(struct verify *verify);
/* What the answer says of the file's digest. */
int put_verify(struct client *client, struct verify *verify, const char *remote, uint64_t size);

/* 0, an enum client_result, PUT_CHANGED or PUT_NO_PARTS. */
int put_parts(struct client *client, struct put_source *source, const char *remote);

/*
 * What an upload is called: of the source as it is now, so that another state of it is another upload. Whoever knows it
 * may go on with an upload that belongs to nobody who is identified: so it cannot be guessed from outside this machine,
 * whose machine-id(5) it is made with. The same user gets the same for the same. False: no memory.
 */
#define PUT_TOKEN_SIZE 33
bool put_token(const struct stat *facts, const char *remote, const char *machine_file, char token[PUT_TOKEN_SIZE]);

/*
 * look.c: whoever looks what stands under the target's name (HEAD) may ask at once what the server has of an upload of
 * this source. put_look_field(): the field that asks, with its line end; "" where it would go in one request, or there
 * is no memory. put_look_heard() notes the answer; put_look_recall() is true where that was asked of the server the
 * client is connected to, about this very upload, and *have is what it said (Sluice-Upload-Have), or NULL: it takes no
 * parts. It is told once.
 */
#define PUT_LOOK_SIZE (PUT_TOKEN_SIZE + 20)
struct put_look;
void put_look_field(struct client *client, const struct stat *facts, const char *remote, char field[PUT_LOOK_SIZE]);
void put_look_heard(struct client *client);
bool put_look_recall(struct client *client, const char *token, const char **have);
void put_look_forget(struct client *client);

#endif
