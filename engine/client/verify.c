#include "engine/client/part.h"
#include "engine/client/verify.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LOOK_MS 1000 /* how long one wait for a digest lasts at most */

static void unverified(struct client *client, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void unverified(struct client *client, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(client->unverified, sizeof client->unverified, format, arguments);
    va_end(arguments);
}

bool verify_wanted(const struct client *client, bool put, bool resumed)
{
    if (client->options.verify == CLIENT_VERIFY_USUAL)
        return put || resumed;
    return client->options.verify == CLIENT_VERIFY_ALWAYS;
}

void verify_begin(struct verify *verify, struct client *client, bool wanted, int fd, bool spares_cache)
{
    bool never = client->options.verify == CLIENT_VERIFY_NEVER;
    unsigned algorithms = 1u << client->options.digest;

    *verify = (struct verify){ .client = client, .demanded = client->options.verify == CLIENT_VERIFY_ALWAYS };
    if (!wanted) {
        unverified(client, "%s", never ? "--no-verify" : "not asked for");
        return;
    }
    int error = digest_follow_new(&verify->follow, fd, algorithms, spares_cache);
    if (error < 0)
        unverified(client, "no digest of our own: %s", strerror(-error));
}

void verify_reached(struct verify *verify, uint64_t front)
{
    if (verify->follow)
        digest_follow_reached(verify->follow, front);
}

void verify_whole(struct verify *verify, uint64_t size)
{
    if (verify->follow)
        digest_follow_complete(verify->follow, size);
}

/* A file that is sent is read the way that it goes. Of one that arrives nobody needs what is not in the page cache. */
void verify_moves(struct verify *verify, const struct pump *pump)
{
    if (verify->follow && pump->way == PUMP_SEND)
        digest_follow_spare(verify->follow, pump_spares_cache(pump));
}

void verify_end(struct verify *verify)
{
    digest_follow_free(verify->follow);
    verify->follow = NULL;
}

const char *verify_want(const struct client *client, bool wanted)
{
    static const char *const wants[] = {
        [DIGEST_SHA_256] = "Want-Repr-Digest: sha-256=10\r\n",
        [DIGEST_SHA_512] = "Want-Repr-Digest: sha-512=10\r\n",
    };

    return wanted ? wants[client->options.digest] : "";
}

bool verify_said(const struct client *client, struct digest_set *set)
{
    *set = (struct digest_set){ 0 };
    return client->answered && http_digests(http_reader_result(client->reader), "repr-digest", set) == 0;
}

static void note_digest(struct client *client, const struct digest_set *set)
{
    const struct digest *digest = digest_set_strongest(set);
    char hex[DIGEST_HEX_SIZE];

    digest_hex(digest, hex);
    snprintf(client->digest, sizeof client->digest, "%s:%s", digest_name(digest->algorithm), hex);
}

int verify_digest(struct verify *verify, struct digest_set *set)
{
    struct client *client = verify->client;
    int error = -ETIMEDOUT;

    *set = (struct digest_set){ 0 };
    if (!verify->follow)
        return CLIENT_OK;
    while (error == -ETIMEDOUT)
        error = client_wait(client, digest_follow_fd(verify->follow), POLLIN, LOOK_MS);
    if (error == -EINTR)
        return client_fail(client, CLIENT_INTERRUPTED, "interrupted");
    error = digest_follow_result(verify->follow, set);
    if (error == 0) {
        note_digest(client, set);
        return CLIENT_OK;
    }
    verify_end(verify);
    unverified(client, "no digest of our own: %s",
               error == -ENODATA ? "the file became shorter meanwhile" : strerror(-error));
    return CLIENT_OK;
}

/* What the answer to a HEAD says; false: nothing, and why not. */
static bool read_answer(struct client *client, const char *etag, struct digest_set *theirs)
{
    const struct http_head *head = http_reader_result(client->reader);
    const char *now = http_field(head, "ETag");

    if (head->status == 412 || (head->status == 200 && *etag && now && strcmp(now, etag) != 0))
        unverified(client, "the file was changed on the server since");
    else if (head->status != 200)
        unverified(client, "the server answers the question for its digest with %u %s", head->status,
                   http_reason(head->status));
    else if (!verify_said(client, theirs) || !(theirs->known & 1u << client->options.digest))
        unverified(client, "the server gives no digest");
    else
        return true;
    return false;
}

/* Asks the server. A result other than CLIENT_OK has its sentence; `theirs` may be empty either way. */
static int ask(struct verify *verify, const char *remote, const char *etag, uint64_t size, struct digest_set *theirs)
{
    struct client *client = verify->client;
    bool strong = etag[0] == '"';
    char fields[1024];
    struct http_writer writer = { .bytes = fields, .capacity = sizeof fields - 1 };

    *theirs = (struct digest_set){ 0 };
    http_write(&writer, "%s", verify_want(client, true));
    if (strong)
        http_write(&writer, "If-Match: %s\r\n", etag);
    if (writer.overflow)
        return CLIENT_OK;
    fields[writer.length] = '\0';

    uint64_t bytes = client->last.bytes;
    unsigned status = client->last.status;
    const struct client_request request = { .method = "HEAD", .remote = remote, .fields = fields, .covers = size };
    int result = client_exchange(client, &request);
    if (result == CLIENT_OK && !read_answer(client, strong ? etag : "", theirs))
        *theirs = (struct digest_set){ 0 };
    client->last.bytes = bytes;
    client->last.status = status;
    return result;
}

/* What could not be verified is a failure only where it was demanded. */
static int give_up(struct verify *verify, int result)
{
    struct client *client = verify->client;

    if (verify->demanded)
        return result;
    client->reason[0] = '\0';
    return CLIENT_OK;
}

static int other(struct client *client, const struct digest_set *ours, const struct digest_set *theirs)
{
    enum digest_algorithm algorithm = client->options.digest;
    char here[DIGEST_HEX_SIZE], there[DIGEST_HEX_SIZE];

    digest_hex(&ours->items[algorithm], here);
    digest_hex(&theirs->items[algorithm], there);
    unverified(client, "the digests differ");
    return client_fail(client, CLIENT_DIGEST, "%s: the file there is not the one here: %s is %s there, %s here",
                       client->peer, digest_name(algorithm), there, here);
}

static int same(struct client *client)
{
    client->last.verified = true;
    client->unverified[0] = '\0';
    return CLIENT_OK;
}

static int compare(struct verify *verify, const char *remote, const char *etag, uint64_t size,
                   const struct digest_set *said)
{
    struct client *client = verify->client;
    struct digest_set ours, theirs = { 0 };
    bool had_said = said && said->known & 1u << client->options.digest;
    int result = CLIENT_OK;

    /* Theirs first, where it is not known: it is computed there while ours still is here. */
    if (!had_said)
        result = ask(verify, remote, etag, size, &theirs);
    if (result == CLIENT_INTERRUPTED)
        return result;
    if (result != CLIENT_OK) {
        unverified(client, "%s", client->reason);
        return give_up(verify, result);
    }
    result = verify_digest(verify, &ours);
    if (result != CLIENT_OK)
        return result;
    if (ours.known && had_said && digest_set_agree(&ours, said))
        return same(client);
    /* What stood in an answer to something else may have been meant of that: asked plainly, there is no doubt. */
    if (ours.known && had_said)
        result = ask(verify, remote, etag, size, &theirs);
    if (result != CLIENT_OK)
        return result == CLIENT_INTERRUPTED ? result : give_up(verify, result);
    if (ours.known && theirs.known)
        return digest_set_agree(&ours, &theirs) ? same(client) : other(client, &ours, &theirs);
    return give_up(verify, client_fail(client, CLIENT_SERVER, "%s: not verified: %s", client->peer,
                                       client->unverified[0] ? client->unverified : "the server gives no digest"));
}

static int verify_against(struct verify *verify, const char *remote, const char *etag, uint64_t size,
                          const struct digest_set *said)
{
    struct client *client = verify->client;

    if (verify->follow)
        return compare(verify, remote, etag, size, said);
    if (!verify->demanded)
        return CLIENT_OK;
    return client_fail(client, CLIENT_LOCAL, "not verified: %s", client->unverified);
}

int verify_fetched(struct verify *verify, const char *remote, const char *etag, uint64_t size,
                   const struct digest_set *said)
{
    verify_whole(verify, size);
    return verify_against(verify, remote, etag, size, said);
}

int verify_sent(struct verify *verify, const char *remote, const char *etag, uint64_t size,
                const struct digest_set *said)
{
    return verify_against(verify, remote, etag, size, said);
}

void verify_aside(struct client *client, int error, unsigned number)
{
    char name[512], dotted[16] = "";
    size_t length = strlen(client->reason);

    client_escape(client->local, name, sizeof name);
    if (number)
        snprintf(dotted, sizeof dotted, ".%u", number);
    if (error == 0)
        snprintf(client->reason + length, sizeof client->reason - length,
                 "; what came is kept as %s" PART_BAD_SUFFIX "%s", name, dotted);
    else if (error == -EEXIST)
        snprintf(client->reason + length, sizeof client->reason - length,
                 "; what came is not kept: %s" PART_BAD_SUFFIX " and " PART_BAD_SUFFIX
                 ".1 to .%d are there already; look at "
                 "them, and move them away",
                 name, PART_BAD_MAX);
    else
        snprintf(client->reason + length, sizeof client->reason - length, "; what came could not be kept aside: %s",
                 strerror(-error));
}
