/* How many connections each address has, or the /64 of an IPv6 one. Any thread. */
#ifndef SLUICE_SERVER_PEERS_H
#define SLUICE_SERVER_PEERS_H

#include <netinet/in.h>
#include <stdbool.h>

struct peers;
int peers_new(struct peers **peers);
void peers_free(struct peers *peers);
bool peers_enter(struct peers *peers, const struct in6_addr *address,
                 unsigned limit); /* false: it has `limit` already */
void peers_leave(struct peers *peers, const struct in6_addr *address);
/* What counts as one: whoever has an address of IPv6 has all of its /64. */
struct in6_addr peers_part(const struct in6_addr *address);

#endif
