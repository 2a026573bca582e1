/*
 * The client's side of a manifest (HTTP_MANIFEST in engine/http/http.h): all beneath a remote directory, in one answer.
 *
 * What a server says is checked before anybody sees it: no path is absolute, empty, longer than PATH_MAX, or has a
 * component that is empty, ".", ".." or longer than NAME_MAX. A manifest with such a path is refused as a whole.
 */
#ifndef SLUICE_CLIENT_MANIFEST_H
#define SLUICE_CLIENT_MANIFEST_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct client;

enum manifest_kind {
    MANIFEST_FILE,
    MANIFEST_DIRECTORY,
    MANIFEST_LINK,
    MANIFEST_FAULT /* the server cannot read it; `reason` is its word for why */
};

struct manifest_node {
    enum manifest_kind kind;
    const char *path;           /* relative to the directory: any bytes but NUL, not encoded */
    const char *target;         /* of a link; any bytes but NUL. It may lead anywhere */
    const char *reason;         /* of a fault; bytes of a peer */
    bool to_file, to_directory; /* where a link leads; neither: to nothing that is served */
    uint64_t size;              /* of a file, or a link to one */
    struct timespec modified;
    unsigned mode; /* permission bits */
};
typedef int manifest_visit(void *argument, const struct manifest_node *node); /* non-zero ends it with that */

/*
 * Visits all beneath remote directory `remote` ("" for the root). `visit` must not call the client. *told: false where
 * the server knows no manifests, which is no failure: ask for its listings (client_list()). Returns 0, an enum
 * client_result, or what `visit` returned. A visit that was made before a failure is not taken back.
 */
int client_manifest(struct client *client, const char *remote, manifest_visit *visit, void *argument, bool *told);

/* Reading one, without a connection. Bytes are fed as they come. */
#define MANIFEST_LINE_MAX 32768
#define MANIFEST_BYTES_MAX (2ull << 30) /* of one, which may have 8 million entries of 256 bytes */
struct manifest_reader {
    manifest_visit *visit;
    void *argument;
    uint64_t entries, bytes;
    bool ended;       /* its last line was read: it is whole */
    char reason[400]; /* after -EBADMSG, escaped */

    /* private */
    size_t length;
    char line[MANIFEST_LINE_MAX];
    char path[PATH_MAX], target[PATH_MAX];
};

/* 0; -EBADMSG with a reason; -ENOMEM; or what `visit` returned. Only `visit` and `argument` need be set at first. */
int manifest_feed(struct manifest_reader *reader, const char *bytes, size_t length);

#endif
