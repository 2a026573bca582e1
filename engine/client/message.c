/* Messages: left with a server, and asked after. */
#include "engine/client/client_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#define ID_MAX 64

static int check_text(struct client *client, const char *text, size_t length)
{
    if (length == 0)
        return client_fail(client, CLIENT_USAGE, "the message is empty");
    if (length > CLIENT_MESSAGE_MAX)
        return client_fail(client, CLIENT_USAGE, "the message has %zu bytes: no more than %d are taken", length,
                           CLIENT_MESSAGE_MAX);
    if (memchr(text, '\0', length))
        return client_fail(client, CLIENT_USAGE, "the message holds a NUL: it must be text");
    return CLIENT_OK;
}

/* A word of letters and digits, of which nothing can go wrong on a terminal or in a path. */
static bool is_plain(const char *id)
{
    size_t length = id ? strspn(id, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_") : 0;

    return length > 0 && length < ID_MAX && id[length] == '\0';
}

#define OWN_MAX 64

static bool is_good_name(const char *own)
{
    size_t length = strspn(own, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_.");

    return length > 0 && length <= OWN_MAX && own[length] == '\0';
}

static int make_name(char name[OWN_MAX + 1])
{
    uint64_t chance[2];

    if (getrandom(chance, sizeof chance, 0) != (ssize_t)sizeof chance)
        return -EIO;
    snprintf(name, OWN_MAX + 1, "%016" PRIx64 "%016" PRIx64, chance[0], chance[1]);
    return 0;
}

static int post(struct client *client, int file, size_t length, const char *own, char *id, size_t size)
{
    char fields[OWN_MAX + 96];

    snprintf(fields, sizeof fields, "Content-Type: text/plain; charset=utf-8\r\n" HTTP_MESSAGE_ID ": %s\r\n", own);
    const struct client_request request = {
        .method = "POST",
        .remote = HTTP_MESSAGES_PATH,
        .fields = fields,
        .file = file,
        .has_body = true,
        .length = length,
    };
    int result = client_exchange(client, &request);

    if (result != CLIENT_OK)
        return result;
    const struct http_head *head = http_reader_result(client->reader);
    const char *given = http_field(head, HTTP_MESSAGE);
    if (head->status == 404 || head->status == 405 || (head->status < 300 && !is_plain(given))) {
        client_unwelcome(client);
        return client_fail(client, CLIENT_REFUSED, "%s takes no messages (status %u)", client->peer,
                           client->last.status);
    }
    if (head->status != 201)
        return client_unwelcome(client);
    snprintf(id, size, "%s", given);
    char *body = NULL;
    size_t ignored;
    int error = client_body_to_memory(client, CLIENT_MESSAGE_MAX, &body, &ignored);
    free(body);
    if (error != 0)
        client->keep = false; /* it is stored all the same */
    return CLIENT_OK;
}

int client_message(struct client *client, const char *text, size_t length, const char *own, char *id, size_t size)
{
    char made[OWN_MAX + 1];
    int result = client_begin(client, "message", HTTP_MESSAGES_PATH, "");

    if (result == CLIENT_OK)
        result = check_text(client, text, length);
    if (result == CLIENT_OK && own && !is_good_name(own))
        result = client_fail(client, CLIENT_USAGE, "a message's own id has 1 to %d letters, digits, `-`, `_` and `.`",
                             OWN_MAX);
    if (result == CLIENT_OK && !own && make_name(made) < 0)
        result = client_fail(client, CLIENT_FAILED, "there are no random numbers to name the message by");
    if (result != CLIENT_OK)
        return client_finish(client, result);
    int file = memfd_create("message", MFD_CLOEXEC);
    if (file < 0 || pwrite(file, text, length, 0) != (ssize_t)length) {
        result = client_fail(client, CLIENT_FAILED, "no memory for the message: %s", strerror(errno));
    } else {
        result = post(client, file, length, own ? own : made, id, size);
        client->last.bytes = result == CLIENT_OK ? length : 0;
    }
    if (file >= 0)
        close(file);
    return client_finish(client, result);
}

static int ask(struct client *client, const char *path, bool *acknowledged)
{
    const struct client_request request = { .method = "GET", .remote = path };
    char *body = NULL;
    size_t length;
    int result = client_exchange(client, &request);

    if (result != CLIENT_OK)
        return result;
    const struct http_head *head = http_reader_result(client->reader);
    const char *state = http_field(head, HTTP_MESSAGE_STATE);
    if (head->status != 200)
        return client_unwelcome(client);
    bool known = state && (strcmp(state, HTTP_MESSAGE_STORED) == 0 || strcmp(state, HTTP_MESSAGE_ACKNOWLEDGED) == 0);
    *acknowledged = known && strcmp(state, HTTP_MESSAGE_ACKNOWLEDGED) == 0;
    if (client_body_to_memory(client, CLIENT_MESSAGE_MAX, &body, &length) != 0)
        client->keep = false;
    free(body);
    return known ? CLIENT_OK
                 : client_fail(client, CLIENT_SERVER, "%s does not say what became of the message", client->peer);
}

int client_message_state(struct client *client, const char *id, bool *acknowledged)
{
    char path[sizeof HTTP_MESSAGES_PATH + ID_MAX + 1];

    if (!is_plain(id)) {
        int result = client_begin(client, "message", HTTP_MESSAGES_PATH, "");
        return client_finish(client, result == CLIENT_OK ? client_fail(client, CLIENT_USAGE, "this is no message's id")
                                                         : result);
    }
    snprintf(path, sizeof path, "%s/%s", HTTP_MESSAGES_PATH, id);
    int result = client_begin(client, "message", path, "");
    return client_finish(client, result == CLIENT_OK ? ask(client, path, acknowledged) : result);
}
