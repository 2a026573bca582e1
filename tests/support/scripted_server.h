/*
 * A TLS server on loopback that follows a script, mostly into misbehaviour: for tests of the client.
 *
 * It runs on a thread of its own and serves one connection after the other. What cannot be prepared ends the program
 * with a sentence; what the client does to it (hanging up in mid-word) is part of the play.
 */
#ifndef SLUICE_TEST_SCRIPTED_SERVER_H
#define SLUICE_TEST_SCRIPTED_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/support/pki.h"

enum script_verb {
    SCRIPT_END,   /* as SCRIPT_CLOSE, then nothing more */
    HEAR_HEAD,    /* the next request's head; takes a connection first where there is none */
    HEAR_BODY,    /* `amount` bytes of a body, or less where the client ends */
    SAY,          /* `text` */
    SAY_BODY,     /* `amount` bytes of the pattern, from its start */
    PAUSE,        /* `amount` milliseconds */
    AWAIT_WORD,   /* until scripted_server_go_on(), ten seconds at most */
    AWAIT_END,    /* until the client closes, ten seconds at most */
    SCRIPT_CLOSE, /* close_notify, then the end of TCP */
    CUT,          /* the end of TCP without close_notify */
    HANG_UP,      /* close() at once: a reset where something was not read */
};

struct script_step {
    enum script_verb verb;
    const char *text;
    size_t amount;
};

#define SCRIPT_HEADS 8

struct scripted_server;

/* `wants_certificate`: handshakes without one fail. `version`: 0x0303, 0x0304, or 0 for both. */
struct scripted_server *scripted_server_new(struct pki *pki, const struct script_step *steps, bool wants_certificate,
                                            unsigned version);
void scripted_server_go_on(struct scripted_server *server); /* from any thread; once */
uint16_t scripted_server_port(const struct scripted_server *server);

/* What came of it. The thread has ended by then; the client must have let go of its connection, or the script waits. */
struct script_notes {
    unsigned connections;
    unsigned resumed; /* of them */
    unsigned head_count;
    char heads[SCRIPT_HEADS][2048];
    size_t body_heard;
    bool body_matches; /* the pattern, from its start */
    bool heard_close_notify;
};
void scripted_server_end(struct scripted_server *server, struct script_notes *notes); /* frees it; notes may be NULL */

uint8_t script_pattern(size_t position);

#endif
