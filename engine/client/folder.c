#include "engine/client/folder.h"

#include <string.h>

#include "engine/client/client_internal.h"

/* One word of a list as RFC 9110, 5.6.1 has it. */
static bool lists(const char *list, const char *word)
{
    size_t wanted = strlen(word);

    while (list && *list) {
        list += strspn(list, ", \t");
        size_t length = strcspn(list, ", \t");
        if (length == wanted && strncmp(list, word, length) == 0)
            return true;
        list += length;
    }
    return false;
}

static void read_answer(struct client *client, struct client_takes *takes)
{
    const struct http_head *head = http_reader_result(client->reader);
    const char *types = head->status == 200 || head->status == 204 ? http_field(head, HTTP_TYPE) : NULL;

    takes->status = head->status;
    takes->directories = lists(types, HTTP_TYPE_DIRECTORY);
    takes->links = lists(types, HTTP_TYPE_LINK);
    if (head->framing != HTTP_BODY_NONE)
        client_unwelcome(client); /* whatever it says is read away */
}

int client_ask_takes(struct client *client, const char *remote, struct client_takes *takes)
{
    const struct client_request request = { .method = "OPTIONS", .remote = remote, .fields = HTTP_TYPE ": ?\r\n" };

    *takes = (struct client_takes){ 0 };
    int result = client_begin(client, "list", remote, "");
    if (result != CLIENT_OK)
        return result;
    result = client_exchange(client, &request);
    if (result == CLIENT_OK)
        read_answer(client, takes);
    return client_finish(client, result);
}
