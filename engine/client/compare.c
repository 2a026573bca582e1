#include "engine/client/client_internal.h"
#include "engine/http/digest.h"

struct comparison {
    int fd;
    uint64_t size;
    struct digest_set ours;
    int result;
};

static void compute(void *argument)
{
    struct comparison *comparison = argument;
    comparison->result = digest_file(comparison->fd, comparison->size, 1u << DIGEST_SHA_256, NULL, &comparison->ours);
}

bool client_same(struct client *client, const char *remote, int fd, uint64_t size)
{
    const struct client_request request = {
        .method = "HEAD", .remote = remote, .fields = "Want-Repr-Digest: sha-256=10\r\n", .covers = size
    };
    struct comparison comparison = { .fd = fd, .size = size };
    struct digest_set theirs = { 0 };

    int result = client_begin(client, "compare", remote, "");
    if (result == CLIENT_OK)
        result = client_exchange(client, &request);
    const struct http_head *head = result == CLIENT_OK ? http_reader_result(client->reader) : NULL;
    bool told = head && head->status == 200 && head->length == size && http_digests(head, "Repr-Digest", &theirs) == 0;
    if (told)
        client_job(client, compute, &comparison);
    client_finish(client, result);
    return told && comparison.result == 0 && digest_set_agree(&comparison.ours, &theirs);
}
