/* Sending a file: shared by put.c and put_parts.c. */
#ifndef SLUICE_CLIENT_PUT_H
#define SLUICE_CLIENT_PUT_H

#include <sys/stat.h>

#include "engine/client/client_internal.h"

#define PUT_PARTS_FROM (1u << 20) /* bytes: smaller files go in one request, which costs little to do again */

/* Not of enum client_result: */
#define PUT_CHANGED (-ESTALE)      /* the source is not what it was; nothing got its name */
#define PUT_NO_PARTS (-EOPNOTSUPP) /* the server takes no parts; nothing was sent */

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
/* What the answer says of the file's digest. */
struct verify;
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

#endif
