#include "engine/client/client_internal.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int not_a_listing(struct client *client, const char *why)
{
    return client_fail(client, CLIENT_SERVER, "%s: the answer is not a listing in JSON: %s", client->peer, why);
}

/* A name from the wire becomes a local file's name: whatever could lead elsewhere is not a name. */
static bool name_is_safe(const char *name, size_t length)
{
    if (length == 0 || strlen(name) != length || strchr(name, '/'))
        return false;
    return strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static int read_entry(struct client *client, json_t *item, struct client_entry *entry)
{
    json_t *name = json_object_get(item, "name");
    const char *type = json_string_value(json_object_get(item, "type"));
    json_t *size = json_object_get(item, "size");
    const char *modified = json_string_value(json_object_get(item, "mtime"));
    char shown[300];

    if (!json_is_string(name) || !type)
        return not_a_listing(client, "an entry has no name or no type");
    if (!name_is_safe(json_string_value(name), json_string_length(name)))
        return client_fail(client, CLIENT_SERVER, "%s: the listing has an entry named \"%s\", which no file can be",
                           client->peer, client_escape(json_string_value(name), shown, sizeof shown));
    *entry = (struct client_entry){ .name = json_string_value(name),
                                    .directory = strcmp(type, "directory") == 0,
                                    .modified = modified ? modified : "" };
    if (json_is_integer(size) && json_integer_value(size) >= 0)
        entry->size = (uint64_t)json_integer_value(size);
    return CLIENT_OK;
}

/* Only files and directories are worth telling of; nginx has "other", too. */
static bool is_known_type(json_t *item)
{
    const char *type = json_string_value(json_object_get(item, "type"));
    return strcmp(type, "directory") == 0 || strcmp(type, "file") == 0;
}

static int visit_all(struct client *client, json_t *listing, client_visit *visit, void *argument)
{
    struct client_entry entry;
    json_t *item;
    size_t i;

    if (!json_is_array(listing))
        return not_a_listing(client, "it is not an array");
    json_array_foreach(listing, i, item)
    {
        int result = read_entry(client, item, &entry);
        if (result != CLIENT_OK)
            return result;
    }
    json_array_foreach(listing, i, item)
    {
        if (read_entry(client, item, &entry) == CLIENT_OK && is_known_type(item) && visit(argument, &entry) != 0)
            break;
    }
    return CLIENT_OK;
}

static int parse(struct client *client, const char *bytes, size_t length, client_visit *visit, void *argument)
{
    json_error_t error;
    char why[200];

    json_t *listing = json_loadb(bytes ? bytes : "", length, 0, &error);
    if (!listing)
        return not_a_listing(client, client_escape(error.text, why, sizeof why));
    int result = visit_all(client, listing, visit, argument);
    json_decref(listing);
    return result;
}

static int read_failed(struct client *client, int error)
{
    if (error == -EFBIG)
        return client_fail(client, CLIENT_SERVER, "%s: the listing is longer than %u MiB", client->peer,
                           CLIENT_LISTING_LIMIT >> 20);
    if (error == -EBADMSG)
        return client_fail(client, CLIENT_SERVER, "%s: the chunked body is malformed", client->peer);
    return client_fail_channel(client, error, "in the middle of the listing");
}

static int list(struct client *client, const char *remote, client_visit *visit, void *argument)
{
    const struct client_request request = { .method = "GET", .remote = remote, .accept = "application/json" };
    int result = client_exchange(client, &request);
    if (result != CLIENT_OK)
        return result;
    const struct http_head *head = http_reader_result(client->reader);
    if (head->status != 200)
        return client_unwelcome(client);
    const char *type = http_field(head, "Content-Type");
    if (!type || strncmp(type, "application/json", strlen("application/json")) != 0) {
        char shown[100];
        client->keep = false;
        client_escape(type ? type : "something without a type", shown, sizeof shown);
        return client_fail(client, CLIENT_SERVER,
                           "%s answers with %s, not with a listing in JSON (nginx: autoindex_format json)",
                           client->peer, shown);
    }
    char *bytes;
    size_t length;
    int error = client_body_to_memory(client, CLIENT_LISTING_LIMIT, &bytes, &length);
    if (error != 0)
        return read_failed(client, error);
    client->last.bytes = length;
    client_note_path(client, NULL);
    result = parse(client, bytes, length, visit, argument);
    free(bytes);
    return result;
}

int client_list(struct client *client, const char *remote, client_visit *visit, void *argument)
{
    size_t length = strlen(remote);
    bool complete = length == 0 || remote[length - 1] == '/';
    char *path;

    int result = client_begin(client, "list", remote, "");
    if (result != CLIENT_OK)
        return result;
    if (asprintf(&path, "%s%s", remote, complete ? "" : "/") < 0)
        return client_fail(client, CLIENT_FAILED, "no memory");
    result = list(client, path, visit, argument);
    free(path);
    return client_finish(client, result);
}
