/*
 * What stands for a file on the command line: a local path, PARTNER:PATH, or https://HOST[:PORT]/PATH.
 *
 * As with scp, a colon before the first slash makes it remote; a local file of such a name is written ./a:b.
 */
#ifndef SLUICE_CLI_REMOTE_H
#define SLUICE_CLI_REMOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum remote_kind { REMOTE_LOCAL, REMOTE_PARTNER, REMOTE_URL };

struct remote {
    enum remote_kind kind;
    char *name;    /* the partner's, or a URL's host without brackets; NULL for a local path */
    uint16_t port; /* of a URL */
    char *path;    /* not encoded, without leading slashes if remote; "" or with a trailing slash: a directory */
};

/* 0, or -EINVAL (-ENOMEM) with the sentence in `why`. remote_clear() may be called either way. */
int remote_parse(struct remote *remote, const char *text, char *why, size_t size);
void remote_clear(struct remote *remote);

bool remote_same_server(const struct remote *a, const struct remote *b);
bool path_is_directory(const char *path); /* "" or with a trailing slash */

/* The last component, trailing slashes aside: for "a/b/" it is "b". *length 0: there is none ("", "/", ".", ".."). */
const char *path_name(const char *path, size_t *length);

/* `directory`, a slash where one is missing, and `length` bytes of `name`. For free(); NULL: no memory. */
char *path_join(const char *directory, const char *name, size_t length);

#endif
