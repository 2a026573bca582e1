#include "engine/client/manifest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/client/client_internal.h"

static int not_read(struct client *client, const struct manifest_reader *reader, int error)
{
    if (error == -EBADMSG && reader->reason[0])
        return client_fail(client, CLIENT_SERVER, "%s: the manifest is not to be used: %s", client->peer,
                           reader->reason);
    if (error == -EBADMSG)
        return client_fail(client, CLIENT_SERVER, "%s: the chunked body is malformed", client->peer);
    if (error == -ENOMEM)
        return client_fail(client, CLIENT_FAILED, "no memory for the manifest");
    return client_fail_channel(client, error, "in the middle of the manifest");
}

static int take(void *argument, const char *bytes, size_t length)
{
    return manifest_feed(argument, bytes, length);
}

static int read_manifest(struct client *client, struct manifest_reader *reader, bool *told)
{
    const char *type = http_field(http_reader_result(client->reader), "Content-Type");

    *told = type && strncmp(type, HTTP_MANIFEST, strlen(HTTP_MANIFEST)) == 0;
    if (!*told) { /* a listing, or a page */
        client_discard(client);
        return CLIENT_OK;
    }
    int error = client_body_to_sink(client, take, reader);
    if (error == 0 && (!reader->ended || reader->length > 0)) {
        client->keep = false;
        return client_fail(client, CLIENT_CUT, "%s: the manifest has no end; nothing was begun", client->peer);
    }
    client_note_path(client, NULL);
    return error < 0 ? not_read(client, reader, error) : error;
}

static int ask(struct client *client, const char *path, struct manifest_reader *reader, bool *told)
{
    const struct client_request request = { .method = "GET",
                                            .remote = path,
                                            .accept = HTTP_MANIFEST ", application/json" };
    int result = client_exchange(client, &request);
    if (result != CLIENT_OK)
        return result;
    return client->last.status == 200 ? read_manifest(client, reader, told) : client_unwelcome(client);
}

int client_manifest(struct client *client, const char *remote, manifest_visit *visit, void *argument, bool *told)
{
    size_t length = strlen(remote);
    bool complete = length == 0 || remote[length - 1] == '/';
    char *path = NULL;

    *told = true;
    int result = client_begin(client, "list", remote, "");
    if (result != CLIENT_OK)
        return result;
    struct manifest_reader *reader = calloc(1, sizeof *reader);
    if (!reader || asprintf(&path, "%s%s", remote, complete ? "" : "/") < 0) {
        free(reader);
        return client_fail(client, CLIENT_FAILED, "no memory");
    }
    reader->visit = visit;
    reader->argument = argument;
    result = ask(client, path, reader, told);
    free(path);
    free(reader);
    return client_finish(client, result);
}
