/*
 * Who moves which long body. Where the kernel puts a connection (SO_REUSEPORT) is chance, so at the start of a long
 * body its session goes to the worker that moves the fewest, where that is fewer than here. From then on it is that
 * worker's in all, until another long body finds it elsewhere.
 *
 * Nothing of a session is under way while it moves, and nobody has it in a list: whoever sends it does not touch it any
 * more. Workers know of each other only how many long bodies they have, and whether they take any more.
 */
#ifndef SLUICE_SERVER_HANDOVER_H
#define SLUICE_SERVER_HANDOVER_H

#include "engine/server/server_internal.h"

/* Shorter bodies are over before another thread is awake. */
#define HANDOVER_FROM ((uint64_t)1 << 20)

/* The body that session->pump stands ready for. True: the session is another worker's, who starts the pump. */
bool handover_body(struct session *session);
void handover_body_over(struct session *session); /* it ended, or never began */

/* So many long bodies move here that their bytes would not find each other in the caches any more. */
bool handover_crowded(const struct worker *worker);

/* Whether sessions may be sent here. Once it is shut, those that are on their way still arrive. */
void handover_open(struct worker *worker);
void handover_shut(struct worker *worker);
bool handover_awaits(const struct worker *worker); /* one is on its way */

#endif
