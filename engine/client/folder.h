/* What a server takes in a PUT beside files (HTTP_TYPE in engine/http/http.h). */
#ifndef SLUICE_CLIENT_FOLDER_H
#define SLUICE_CLIENT_FOLDER_H

#include <stdbool.h>

struct client;

struct client_takes {
    bool directories, links;
    unsigned status; /* of its answer; 0: none */
};

/*
 * Asks the server, about remote path `remote`. One that does not know the question takes neither, which is no failure;
 * it would store what makes a link as a file. CLIENT_OK or another enum client_result: no connection.
 */
int client_ask_takes(struct client *client, const char *remote, struct client_takes *takes);

#endif
