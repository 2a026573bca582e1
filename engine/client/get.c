#include "engine/client/exists.h"
#include "engine/client/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/store/store.h"

/* Where a fetched file will stand: its directory as a store, and the file on its way into it. */
struct landing {
    const char *local;
    uint64_t size;
    struct timespec modified; /* 0: as it comes */
    const char *expected;     /* as in store_upload_commit() */
    unsigned *numbered;       /* as in struct store_upload */
    char *directory;
    const char *name; /* within `local` */
    struct store *store;
    struct store_upload upload;
    unsigned bad; /* of the copy that is kept aside: NAME.bad.`bad`, 0: NAME.bad */
    int result;
};

static int landing_split(struct landing *landing)
{
    const char *slash = strrchr(landing->local, '/');
    landing->name = slash ? slash + 1 : landing->local;
    if (!slash)
        landing->directory = strdup(".");
    else
        landing->directory = strndup(landing->local, slash == landing->local ? 1 : (size_t)(slash - landing->local));
    return landing->directory ? 0 : -ENOMEM;
}

static void landing_open(void *argument)
{
    struct landing *landing = argument;
    landing->result = store_open(&landing->store, landing->directory);
    if (landing->result == 0)
        landing->result = store_upload_begin(landing->store, landing->name, landing->size, &landing->upload);
}

static void landing_commit(void *argument)
{
    struct landing *landing = argument;
    const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, landing->modified };
    struct stat facts;
    bool created;

    /* A file system without times is no reason to lose the file. */
    if (landing->modified.tv_sec > 0)
        (void)!futimens(landing->upload.fd, times);
    landing->upload.numbered = landing->numbered;
    landing->result = store_upload_commit(&landing->upload, landing->expected, &created, &facts);
}

static void landing_set_aside(void *argument)
{
    struct landing *landing = argument;
    char name[NAME_MAX + sizeof PART_BAD_SUFFIX];
    struct stat facts;
    bool created;

    snprintf(name, sizeof name, "%s" PART_BAD_SUFFIX, landing->name);
    landing->result = store_upload_rename(&landing->upload, name);
    landing->upload.numbered = &landing->bad;
    landing->upload.numbered_most = PART_BAD_MAX;
    if (landing->result == 0)
        landing->result = store_upload_commit(&landing->upload, NULL, &created, &facts);
    else
        store_upload_abandon(&landing->upload);
}

static void landing_abandon(void *argument)
{
    struct landing *landing = argument;
    store_upload_abandon(&landing->upload);
}

static void landing_close(struct landing *landing)
{
    store_close(landing->store);
    free(landing->directory);
}

static int landing_failed(struct client *client, const struct landing *landing)
{
    char name[512];
    if (strncmp(landing->name, STORE_PRIVATE, strlen(STORE_PRIVATE)) == 0)
        return client_fail(client, CLIENT_LOCAL,
                           "%s: names that begin with " STORE_PRIVATE " are for files on their way; choose another",
                           client_escape(landing->local, name, sizeof name));
    if (!landing->store && landing->result == -ENOENT)
        return client_fail(client, CLIENT_LOCAL, "the directory %s does not exist; make it first",
                           client_escape(landing->directory, name, sizeof name));
    return client_fail_local(client, "making", landing->result);
}

/* What a directory or device under that name means is found out before anything is fetched. */
static int check_target(struct client *client, const char *local, bool *as_it_is)
{
    struct stat facts;
    char name[512];

    client_escape(local, name, sizeof name);
    *as_it_is = false;
    size_t length = strlen(local);
    if (length == 0 || local[length - 1] == '/')
        return client_fail(client, CLIENT_LOCAL, "%s: the name of a file is needed, not of a directory",
                           length ? name : "\"\"");
    if (stat(local, &facts) < 0)
        return CLIENT_OK;
    if (S_ISDIR(facts.st_mode))
        return client_fail(client, CLIENT_LOCAL, "%s is a directory; give the name of a file", name);
    *as_it_is = !S_ISREG(facts.st_mode);
    return CLIENT_OK;
}

/* Asks for the file; CLIENT_OK where its body comes next. */
static int ask(struct client *client, const char *remote)
{
    const struct client_request request = { .method = "GET", .remote = remote };
    int result = client_exchange(client, &request);
    if (result != CLIENT_OK)
        return result;
    const struct http_head *head = http_reader_result(client->reader);
    const char *coding = http_field(head, "Content-Encoding");
    if (head->status == 200 && (!coding || strcasecmp(coding, "identity") == 0))
        return CLIENT_OK;
    if (head->status >= 300)
        return client_unwelcome(client);
    client->keep = false;
    if (head->status == 200)
        return client_fail(client, CLIENT_SERVER, "%s sends the file compressed, although it was not asked to",
                           client->peer);
    return client_fail(client, CLIENT_SERVER, "%s answers a GET with %u %s", client->peer, head->status,
                       http_reason(head->status));
}

static int fetch_body(struct client *client, int fd, uint64_t offset)
{
    int error = client_body_to_file(client, fd, offset);
    if (error >= 0)
        return error;
    if (error == -EBADMSG)
        return client_fail(client, CLIENT_SERVER, "%s: the chunked body is malformed", client->peer);
    return client_fail_channel(client, error, "in the middle of the file");
}

/* The digest is computed beside the transfer, and compared before the file gets its name. */
static int fetch_verified(const struct fetch *fetch, struct landing *landing)
{
    struct client *client = fetch->client;
    struct verify verify;
    struct digest_set said;
    bool told = verify_said(client, &said);

    verify_begin(&verify, client, verify_wanted(client, false, false), landing->upload.fd, true);
    client->verify = &verify;
    int result = fetch_body(client, landing->upload.fd, 0);
    client->verify = NULL;
    if (result == CLIENT_OK)
        result = verify_fetched(&verify, fetch->remote, fetch->source.etag, client->last.bytes, told ? &said : NULL);
    verify_end(&verify);
    return result;
}

static int fetch_into(const struct fetch *fetch, struct landing *landing)
{
    struct client *client = fetch->client;

    if (landing_split(landing) < 0)
        return client_fail(client, CLIENT_FAILED, "no memory");
    client_job(client, landing_open, landing);
    if (landing->result < 0) {
        client->keep = false;
        return landing_failed(client, landing);
    }
    int result = fetch_verified(fetch, landing);
    if (result == CLIENT_DIGEST) {
        client_job(client, landing_set_aside, landing);
        verify_aside(client, landing->result, landing->bad);
        return result;
    }
    client_job(client, result == CLIENT_OK ? landing_commit : landing_abandon, landing);
    if (result == CLIENT_OK)
        result = exists_after_get(client, landing->result);
    return result < 0 && result != EXISTS_DONE ? client_fail_local(client, "finishing", result) : result;
}

/* In one piece, to where nothing is left of it when it ends early. */
static int get_whole(struct client *client, const struct fetch *fetch)
{
    struct landing landing = { .local = fetch->local,
                               .size = fetch->source.size,
                               .modified = fetch->modified,
                               .expected = exists_expected(client),
                               .numbered = exists_number(client) };
    int result = fetch_into(fetch, &landing);
    landing_close(&landing);
    return result;
}

static void forget_part(void *argument)
{
    part_remove(argument); /* what stays is in nobody's way */
}

static int get_file(struct client *client, const char *remote, const char *local)
{
    struct fetch fetch;
    int result = fetch_begin(&fetch, client, remote, local);

    while (result == CLIENT_OK) {
        result = fetch_ask(&fetch);
        if (result == CLIENT_OK && fetch.in_parts)
            result = fetch_parts(&fetch);
        else if (result == CLIENT_OK)
            result = get_whole(client, &fetch);
        if (result != FETCH_AGAIN)
            break;
        result = CLIENT_OK;
    }
    if (result == CLIENT_OK && !fetch.in_parts)
        client_job(client, forget_part, &fetch.part);
    fetch_end(&fetch);
    return result;
}

/* Nothing is fetched. One that is known to be the same is what a .part would have become. */
static void tidy(void *argument)
{
    const struct client *client = argument;
    part_tidy(client->local, client->remote, client->last.verified);
}

static int get_fd(struct client *client, const char *remote, int fd)
{
    int result = ask(client, remote);
    if (result != CLIENT_OK)
        return result;
    off_t position = lseek(fd, 0, SEEK_CUR);
    result = fetch_body(client, fd, position < 0 ? RING_NO_OFFSET : (uint64_t)position);
    if (position >= 0)
        lseek(fd, position + (off_t)client->last.bytes, SEEK_SET);
    return result;
}

/* A FIFO that nobody reads would make a blocking open() wait for ever. */
static int open_as_it_is(const char *local)
{
    int fd = open(local, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int flags = fcntl(fd, F_GETFL);
    fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
    return fd;
}

/* What goes to a pipe or a device is gone before it could be compared. */
static int check_verifiable(struct client *client, const char *local)
{
    char name[512];

    if (client->options.verify != CLIENT_VERIFY_ALWAYS)
        return CLIENT_OK;
    return client_fail(client, CLIENT_USAGE,
                       "%s cannot be verified: it is no file that is read again; give the name of a file, or leave out "
                       "--verify",
                       client_escape(local, name, sizeof name));
}

static int get_as_it_is(struct client *client, const char *remote, const char *local)
{
    int result = check_verifiable(client, local);
    if (result != CLIENT_OK)
        return result;
    int fd = open_as_it_is(local);
    if (fd < 0)
        return client_fail_local(client, "opening", fd);
    result = get_fd(client, remote, fd);
    close(fd);
    return result;
}

int client_get(struct client *client, const char *remote, const char *local)
{
    bool as_it_is;
    int result = client_begin(client, "get", remote, local);
    if (result == CLIENT_OK)
        result = check_target(client, local, &as_it_is);
    if (result == CLIENT_OK && !as_it_is)
        result = exists_before_get(client, remote, local);
    if (result == EXISTS_DONE)
        client_job(client, tidy, client);
    if (result == CLIENT_OK)
        result = as_it_is ? get_as_it_is(client, remote, local) : get_file(client, remote, local);
    return client_finish(client, result == EXISTS_DONE ? CLIENT_OK : result);
}

int client_get_fd(struct client *client, const char *remote, int fd, const char *local)
{
    int result = client_begin(client, "get", remote, local);
    if (result == CLIENT_OK)
        result = check_verifiable(client, local);
    if (result == CLIENT_OK)
        result = get_fd(client, remote, fd);
    return client_finish(client, result);
}
