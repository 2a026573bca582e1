#include "engine/client/exists.h"
#include "engine/client/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/client/put.h"
#include "engine/http/digest.h"
#include "engine/store/store.h"

#define NAMES_MAX 1000 /* that a server which knows no numbers is asked for */

static enum client_if_exists policy(const struct client *client)
{
    return client->options.if_exists;
}

static int skip(struct client *client, const char *why)
{
    snprintf(client->skipped, sizeof client->skipped, "%s", why);
    client->last.bytes = 0;
    event(client->options.log, "T19I", EVENT_T("direction", client->last.direction), EVENT_T("path", client->remote),
          EVENT_T("local", client->local), EVENT_T("reason", client->skipped));
    return EXISTS_DONE;
}

/* By --if-exists: fail or skip. `name`: of what stands there. */
static int there_already(struct client *client, const char *name)
{
    char shown[512];

    if (policy(client) == CLIENT_IF_EXISTS_SKIP)
        return skip(client, "a file of this name is there");
    return client_fail(client, CLIENT_EXISTS, "%s is there already; --if-exists replace, skip or rename goes on",
                       client_escape(name, shown, sizeof shown));
}

/* -- what the server has ------------------------------------------------------------------------------------------- */

struct theirs {
    bool there, known; /* what it says is to be relied on */
    uint64_t size;     /* UINT64_MAX: not known */
    bool numbers;      /* it gives numbers itself */
    struct digest_set digests;
    char etag[SOURCE_ETAG_SIZE]; /* "": none, or only a weak one */
};

/* `more`: fields. A server that does not let us look is not asked any further: then only what the PUT itself says
 * counts. */
static int look(struct client *client, const char *remote, const char *more, uint64_t covers, struct theirs *theirs)
{
    static const char *const words[] = { [CLIENT_IF_EXISTS_REPLACE] = "replace",
                                         [CLIENT_IF_EXISTS_FAIL] = "fail",
                                         [CLIENT_IF_EXISTS_SKIP] = "skip",
                                         [CLIENT_IF_EXISTS_RENAME] = HTTP_IF_EXISTS_RENAME };
    char fields[256];
    const struct client_request request = { .method = "HEAD", .remote = remote, .fields = fields, .covers = covers };
    /* By this field a server knows an orderly question, to which 404 is an answer as good as any. */
    snprintf(fields, sizeof fields, HTTP_IF_EXISTS ": %s\r\n%s", words[policy(client)], more);
    struct source source;
    int result = client_exchange(client, &request);

    *theirs = (struct theirs){ .size = UINT64_MAX };
    if (result != CLIENT_OK)
        return result;
    const struct http_head *head = http_reader_result(client->reader);
    theirs->known = head->status == 200 || head->status == 404;
    theirs->there = head->status == 200;
    if (theirs->there && http_field(head, "Content-Length"))
        theirs->size = head->length;
    theirs->numbers = http_field(head, HTTP_IF_EXISTS) != NULL;
    (void)http_digests(head, "Repr-Digest", &theirs->digests);
    if (theirs->there && source_of(&source, head) == 0)
        memcpy(theirs->etag, source.etag, sizeof theirs->etag);
    return CLIENT_OK;
}

/* -- the same bytes ------------------------------------------------------------------------------------------------ */

/* Where looking ahead went wrong on a connection that was there, the transfer itself may do better. */
static int favour(struct client *client, int result)
{
    if (result != CLIENT_CUT && result != CLIENT_SERVER)
        return result;
    client->reason[0] = '\0';
    return CLIENT_OK;
}

/* A server that has just refused what we saw, and shows it again, does not mean what it says: it is not asked twice. */
static void note_seen(struct client *client, const struct theirs *theirs)
{
    const char *seen = !theirs->known ? "" : theirs->there ? theirs->etag : "*";

    snprintf(client->seen, sizeof client->seen, "%s", strcmp(seen, client->refused) == 0 ? "" : seen);
}

static void note_same(struct client *client, const struct digest *digest)
{
    char hex[DIGEST_HEX_SIZE];

    digest_hex(digest, hex);
    snprintf(client->digest, sizeof client->digest, "%s:%s", digest_name(digest->algorithm), hex);
    client->last.verified = true;
}

/*
 * Whether the local file and the server's are the same. Digests are asked for, and computed, only where the sizes are
 * equal. `more`: to be asked on the way. CLIENT_OK: they differ, or it cannot be known; EXISTS_DONE; a result.
 */
static int compare(struct client *client, const char *remote, int fd, const struct stat *facts, const char *more)
{
    struct digest_set ours = { 0 };
    struct theirs theirs;
    char fields[64], why[64];
    uint64_t size = (uint64_t)facts->st_size;

    int result = look(client, remote, more, 0, &theirs);
    if (result == CLIENT_OK) {
        put_look_heard(client);
        note_seen(client, &theirs);
    }
    if (result != CLIENT_OK || !theirs.there || theirs.size != size)
        return favour(client, result);
    snprintf(fields, sizeof fields, "Want-Repr-Digest: %s=1\r\n", digest_name(client->options.digest));
    result = look(client, remote, fields, size, &theirs);
    if (result != CLIENT_OK || theirs.size != size || !theirs.digests.known)
        return favour(client, result);
    int error = client_digest(client, fd, size, theirs.digests.known, &ours);
    if (error == -EINTR)
        return client_fail(client, CLIENT_INTERRUPTED, "interrupted");
    if (error < 0 || !digest_set_agree(&ours, &theirs.digests))
        return CLIENT_OK; /* what cannot be read now is found out by who moves it */
    note_same(client, digest_set_strongest(&ours));
    snprintf(why, sizeof why, "it is the same already (%s)", digest_name(digest_set_strongest(&ours)->algorithm));
    return skip(client, why);
}

struct opening {
    const char *local;
    struct stat facts;
    int flags, fd;
};

/* A symbolic link in the place of what is fetched is replaced, not compared. */
static void open_local(void *argument)
{
    struct opening *opening = argument;
    opening->fd = open(opening->local, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | opening->flags);
    if (opening->fd >= 0 && (fstat(opening->fd, &opening->facts) < 0 || !S_ISREG(opening->facts.st_mode))) {
        close(opening->fd);
        opening->fd = -1;
    }
}

static int compare_with(struct client *client, const char *remote, const char *local, int flags, bool sends)
{
    struct opening opening = { .local = local, .flags = flags };
    char upload[PUT_LOOK_SIZE] = "";

    client_job(client, open_local, &opening);
    if (opening.fd < 0)
        return CLIENT_OK;
    if (sends)
        put_look_field(client, &opening.facts, remote, upload);
    int result = compare(client, remote, opening.fd, &opening.facts, upload);
    close(opening.fd);
    return result;
}

/* -- GET ----------------------------------------------------------------------------------------------------------- */

int exists_before_get(struct client *client, const char *remote, const char *local)
{
    struct stat facts;

    client->number = 0;
    if (policy(client) == CLIENT_IF_EXISTS_RENAME || lstat(local, &facts) < 0)
        return CLIENT_OK;
    if (policy(client) == CLIENT_IF_EXISTS_REPLACE)
        return S_ISREG(facts.st_mode) ? compare_with(client, remote, local, O_NOFOLLOW, false) : CLIENT_OK;
    return there_already(client, local);
}

unsigned *exists_number(struct client *client)
{
    return policy(client) == CLIENT_IF_EXISTS_RENAME ? &client->number : NULL;
}

const char *exists_expected(const struct client *client)
{
    return policy(client) == CLIENT_IF_EXISTS_FAIL || policy(client) == CLIENT_IF_EXISTS_SKIP ? "" : NULL;
}

/* `kept`: the client's own name of one side. */
static int rename_to(struct client *client, char **kept, const char **told, char *name)
{
    if (!name)
        return client_fail(client, CLIENT_FAILED, "no memory");
    free(*kept);
    *kept = name;
    *told = name;
    return CLIENT_OK;
}

static int number_local(struct client *client)
{
    char *name = NULL;

    if (client->number == 0)
        return CLIENT_OK;
    if (asprintf(&name, "%s.%u", client->local, client->number) < 0)
        name = NULL;
    return rename_to(client, &client->local, &client->last.local, name);
}

int exists_after_get(struct client *client, int error)
{
    if (error == -EEXIST && policy(client) != CLIENT_IF_EXISTS_REPLACE)
        return there_already(client, client->local);
    return error == 0 ? number_local(client) : error;
}

/* -- PUT ----------------------------------------------------------------------------------------------------------- */

/* To a server that gives no numbers: the first name that it does not have. */
static int find_free(struct client *client, const char *remote, const char **target)
{
    struct theirs theirs;

    for (unsigned number = 1; number <= NAMES_MAX; number++) {
        char *name;
        if (asprintf(&name, "%s.%u", remote, number) < 0)
            return client_fail(client, CLIENT_FAILED, "no memory");
        int result = look(client, name, "", 0, &theirs);
        if (result == CLIENT_OK && !theirs.there)
            result = rename_to(client, &client->remote, &client->last.remote, name);
        else
            free(name);
        if (result != CLIENT_OK || !theirs.there) {
            *target = client->remote;
            return result;
        }
    }
    return client_fail(client, CLIENT_EXISTS, "%s has that name and %u others made of it already", client->peer,
                       NAMES_MAX);
}

/* What cannot be looked at now is found out by who sends it. */
static void ask_of_upload(struct client *client, const char *local, const char *remote, char field[PUT_LOOK_SIZE])
{
    struct opening opening = { .local = local, .flags = client->options.no_links ? O_NOFOLLOW : 0 };

    field[0] = '\0';
    client_job(client, open_local, &opening);
    if (opening.fd < 0)
        return;
    put_look_field(client, &opening.facts, remote, field);
    close(opening.fd);
}

int exists_before_put(struct client *client, const char *local, const char *remote, const char **target)
{
    struct theirs theirs;
    char upload[PUT_LOOK_SIZE];

    *target = remote;
    client->numbers = false;
    client->seen[0] = '\0';
    if (policy(client) == CLIENT_IF_EXISTS_REPLACE)
        return compare_with(client, remote, local, client->options.no_links ? O_NOFOLLOW : 0, true);
    ask_of_upload(client, local, remote, upload);
    int result = look(client, remote, upload, 0, &theirs);
    if (result == CLIENT_OK)
        put_look_heard(client);
    if (result != CLIENT_OK || !theirs.there)
        return result;
    if (policy(client) != CLIENT_IF_EXISTS_RENAME)
        return there_already(client, remote);
    client->numbers = theirs.numbers;
    return theirs.numbers ? CLIENT_OK : find_free(client, remote, target);
}

/* One that was not seen to give numbers may know nothing of them: then the name must be free. */
void exists_write_fields(const struct client *client, struct http_writer *fields)
{
    if (policy(client) == CLIENT_IF_EXISTS_RENAME)
        http_write(fields, HTTP_IF_EXISTS ": " HTTP_IF_EXISTS_RENAME "\r\n");
    if (policy(client) != CLIENT_IF_EXISTS_REPLACE && !client->numbers)
        http_write(fields, "If-None-Match: *\r\n");
}

void exists_begin_put(struct client *client)
{
    client->refused[0] = '\0';
}

void exists_write_seen(const struct client *client, struct http_writer *fields)
{
    if (policy(client) != CLIENT_IF_EXISTS_REPLACE || !client->seen[0])
        return;
    if (strcmp(client->seen, "*") == 0)
        http_write(fields, "If-None-Match: *\r\n");
    else
        http_write(fields, "If-Match: %s\r\n", client->seen);
}

/* The path of a Location that our own servers write, for free(). NULL: none, or another kind. */
static char *read_location(const struct client *client)
{
    char path[4096];
    const char *location = http_field(http_reader_result(client->reader), "Location");

    if (!location || location[0] != '/' || http_target_path(location, path, sizeof path) < 0)
        return NULL;
    return strdup(path);
}

bool exists_keeps(const struct client *client)
{
    return client->answered && client->last.status == 409 &&
           http_field(http_reader_result(client->reader), HTTP_IF_EXISTS) != NULL;
}

int exists_after_put(struct client *client, int result)
{
    bool keeps = result == CLIENT_REFUSED && exists_keeps(client);

    if (policy(client) == CLIENT_IF_EXISTS_REPLACE && keeps)
        return client_fail(
            client, result,
            "%s has a file of that name and replaces none (its store says overwrite = no); send it under "
            "another name, or with --if-exists rename",
            client->peer);
    if (policy(client) == CLIENT_IF_EXISTS_REPLACE && result == CLIENT_REFUSED && client->last.status == 412 &&
        client->seen[0]) {
        memcpy(client->refused, client->seen, sizeof client->refused);
        return EXISTS_AGAIN;
    }
    if (policy(client) == CLIENT_IF_EXISTS_REPLACE || result != CLIENT_REFUSED)
        return result;
    if (!keeps && client->last.status != 412)
        return result;
    /* It came between our look and the PUT; now the server shows that it is there, and whether it gives numbers. */
    return policy(client) == CLIENT_IF_EXISTS_RENAME ? EXISTS_AGAIN : there_already(client, client->remote);
}

void exists_note_name(struct client *client)
{
    char *name = client->numbers && client->last.status == 201 ? read_location(client) : NULL;

    if (name)
        rename_to(client, &client->remote, &client->last.remote, name);
}
