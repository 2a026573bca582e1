/* What the server has of an upload, where that was asked together with what stands under its name. */
#include <stdlib.h>
#include <string.h>

#include "engine/client/put.h"

struct put_look {
    char token[PUT_TOKEN_SIZE];
    const struct config_address *address; /* who answered; NULL: nobody did */
    char *have;                           /* NULL: nothing was said of it */
};

void put_look_forget(struct client *client)
{
    if (client->look)
        free(client->look->have);
    free(client->look);
    client->look = NULL;
}

void put_look_field(struct client *client, const struct stat *facts, const char *remote, char field[PUT_LOOK_SIZE])
{
    field[0] = '\0';
    put_look_forget(client);
    if (facts->st_size < (off_t)PUT_PARTS_FROM || !(client->look = calloc(1, sizeof *client->look)))
        return;
    if (put_token(facts, remote, PUT_MACHINE_FILE, client->look->token))
        snprintf(field, PUT_LOOK_SIZE, "Sluice-Upload: %s\r\n", client->look->token);
    else
        put_look_forget(client);
}

void put_look_heard(struct client *client)
{
    if (!client->look)
        return;
    const char *have = http_field(http_reader_result(client->reader), "Sluice-Upload-Have");
    if (have && !(client->look->have = strdup(have)))
        return; /* it is asked again */
    client->look->address = client->address;
}

bool put_look_recall(struct client *client, const char *token, const char **have)
{
    struct put_look *look = client->look;

    if (!look || !look->address || look->address != client->address || strcmp(look->token, token) != 0)
        return false;
    *have = look->have;
    look->address = NULL;
    return true;
}
