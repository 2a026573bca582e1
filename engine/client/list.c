#include "engine/client/client_internal.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRY_BYTES_MAX 65536

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

struct listing {
    struct client *client;
    const char *at, *end;
};

static char next_byte(struct listing *listing)
{
    while (listing->at < listing->end && strchr(" \t\r\n", *listing->at) && *listing->at)
        listing->at++;
    return listing->at < listing->end ? *listing->at : '\0';
}

/* One entry is made sense of at a time: as a whole, what is 16 MiB on the wire could be a gigabyte in memory. */
static int next_entry(struct listing *listing, json_t **item)
{
    size_t left = (size_t)(listing->end - listing->at);
    bool cut = left > ENTRY_BYTES_MAX;
    json_error_t error;
    char why[200];

    *item = json_loadb(listing->at, cut ? ENTRY_BYTES_MAX : left, JSON_DISABLE_EOF_CHECK | JSON_DECODE_ANY, &error);
    if (!*item && cut)
        return not_a_listing(listing->client, "an entry is malformed, or longer than 64 KiB");
    if (!*item)
        return not_a_listing(listing->client, client_escape(error.text, why, sizeof why));
    listing->at += error.position;
    return CLIENT_OK;
}

/* Its end, or what comes before another entry. */
static int pass_separator(struct listing *listing, bool *over)
{
    char byte = next_byte(listing);

    if (byte != ',' && byte != ']')
        return not_a_listing(listing->client, "an entry is followed by neither a comma nor the end");
    listing->at++;
    *over = byte == ']';
    if (*over && next_byte(listing))
        return not_a_listing(listing->client, "something follows its end");
    if (!*over)
        next_byte(listing);
    return CLIENT_OK;
}

static int visit_entry(struct client *client, json_t *item, client_visit *visit, void *argument, bool *enough)
{
    struct client_entry entry;
    int result = read_entry(client, item, &entry);

    if (result == CLIENT_OK && visit && is_known_type(item))
        *enough = visit(argument, &entry) != 0;
    return result;
}

/* `visit` NULL: is it right, as a whole? */
static int visit_all(struct listing listing, client_visit *visit, void *argument)
{
    bool over = false, enough = false;
    int result = CLIENT_OK;
    json_t *item;

    if (next_byte(&listing) != '[')
        return not_a_listing(listing.client, "it is not an array");
    listing.at++;
    if (next_byte(&listing) == ']')
        return pass_separator(&listing, &over);
    while (result == CLIENT_OK && !over && !enough) {
        result = next_entry(&listing, &item);
        if (result != CLIENT_OK)
            break;
        result = visit_entry(listing.client, item, visit, argument, &enough);
        json_decref(item);
        if (result == CLIENT_OK)
            result = pass_separator(&listing, &over);
    }
    return result;
}

static int parse(struct client *client, const char *bytes, size_t length, client_visit *visit, void *argument)
{
    const struct listing listing = { .client = client, .at = bytes ? bytes : "", .end = bytes ? bytes + length : "" };
    int result = visit_all(listing, NULL, NULL);

    return result == CLIENT_OK ? visit_all(listing, visit, argument) : result;
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
