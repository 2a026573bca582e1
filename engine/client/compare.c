#include "engine/client/client_internal.h"

#include <errno.h>
#include <poll.h>

#include "engine/http/digest.h"

int client_digest(struct client *client, int fd, uint64_t size, unsigned algorithms, struct digest_set *set)
{
    struct digest_follow *follow;
    bool spares = pump_would_spare_cache(fd, size, client->options.pump_path);
    int error = digest_follow_new(&follow, fd, algorithms, spares);

    if (error < 0)
        return error;
    digest_follow_complete(follow, size);
    do
        error = client_wait(client, digest_follow_fd(follow), POLLIN, client->options.idle_timeout);
    while (error == -ETIMEDOUT);
    if (error == 0)
        error = digest_follow_result(follow, set);
    digest_follow_free(follow);
    return error;
}

bool client_same(struct client *client, const char *remote, int fd, uint64_t size)
{
    const struct client_request request = {
        .method = "HEAD", .remote = remote, .fields = "Want-Repr-Digest: sha-256=10\r\n", .covers = size
    };
    struct digest_set ours = { 0 }, theirs = { 0 };

    int result = client_begin(client, "compare", remote, "");
    if (result == CLIENT_OK)
        result = client_exchange(client, &request);
    const struct http_head *head = result == CLIENT_OK ? http_reader_result(client->reader) : NULL;
    bool told = head && head->status == 200 && head->length == size && http_digests(head, "Repr-Digest", &theirs) == 0;
    if (told)
        told = client_digest(client, fd, size, 1u << DIGEST_SHA_256, &ours) == 0;
    client_finish(client, result);
    return told && digest_set_agree(&ours, &theirs);
}
