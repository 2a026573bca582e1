/* Private to engine/gate. */
#ifndef SLUICE_GATE_INTERNAL_H
#define SLUICE_GATE_INTERNAL_H

#include "engine/gate/gate.h"
#include "engine/gate/passwords.h"

struct gate {
    const struct config *config;
    struct passwords *passwords;      /* NULL: the model names no file */
    const struct config_user **users; /* by name, for bsearch() */
};

/* Whose a certificate is: a user's, a partner's, or nobody's. */
struct gate_owner {
    const struct config_user *user;
    const struct config_partner *partner; /* its own, not that of `user` */
};

/* False: two claim it; their names are written to `why`. */
bool gate_owner_find(const struct config *config, const struct tls_peer *peer, struct gate_owner *owner, char *why,
                     size_t size);

/* As somebody of that name: with what a [user] says about it, where there is one. */
void gate_identity_of_user(const struct gate *gate, const char *name, struct gate_identity *identity);
void gate_identity_of_owner(const struct gate_owner *owner, struct gate_identity *identity);

/* The user's name; NULL for a partner as such, and for nobody. */
const char *gate_user_name(const struct gate_identity *identity);

/* The first that matches, or NULL. Where the model has none: the one that stands for everyone. */
const struct config_class *gate_class_find(const struct gate *gate, const struct gate_visit *visit,
                                           const struct gate_identity *identity);
bool gate_class_lists_names(const struct config_class *class);

/* Whether some class takes a password from that address over that kind of connection, and there is a file of them. */
bool gate_takes_passwords(const struct gate *gate, const struct gate_visit *visit);

#endif
