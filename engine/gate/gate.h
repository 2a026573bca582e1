/*
 * The gate: who is this, and what may they do?
 *
 * Values in, a verdict out: nothing here knows sockets, requests or OpenSSL. A gate is made of one model with its
 * password file, never changes, and may be asked from any thread; guesses.h counts failures across models.
 *
 * Who it is. A verified certificate belongs to the one user or partner whose `match_*` it satisfies; where two claim
 * it, it is refused. A name and password (RFC 7617) belong to the user of that name: a [user], or a name that only the
 * password file has. A user's `partner` makes the session that partner's.
 *
 * Which class. The first class, in `order`, that matches name, groups, partner and address. A visitor nobody knows by
 * name matches only classes that list neither users, groups nor partners. No class matches: refused. A file without any
 * [class]: everyone is of one class that takes TLS only, a certificate or a password.
 */
#ifndef SLUICE_GATE_H
#define SLUICE_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/model.h"
#include "ktls/peer.h"

struct gate;

/* Reads the password file, where the model names one. NULL after a reason was added. `config` is lent. */
struct gate *gate_new(const struct config *config, struct config_errors *errors);
void gate_free(struct gate *gate); /* NULL is allowed */

/* What is known of a connection. */
struct gate_visit {
    const struct config_protocol *protocol;
    uint8_t address[16]; /* network byte order; IPv4 as ::ffff:a.b.c.d */
    bool tls;
    const struct tls_peer *peer; /* NULL: no certificate */
    bool verified;               /* it verified under the protocol's profile */
};

enum gate_means { GATE_NOTHING, GATE_CERTIFICATE, GATE_PASSWORD, GATE_BOTH };

/* Pointers are the model's. */
struct gate_identity {
    enum gate_means means; /* what authenticated the visitor; GATE_NOTHING: anonymous */
    char name[128];        /* the user's or partner's, "" where nobody is known by name */
    const struct config_user *user;
    const struct config_partner *partner;
    const struct config_class *class; /* NULL where the model has none */
};

#define GATE_NAME_MAX 127
#define GATE_PASSWORD_MAX 255

struct gate_login {
    char name[GATE_NAME_MAX + 1];
    char password[GATE_PASSWORD_MAX + 1];
};

void gate_login_wipe(struct gate_login *login);

/*
 * The value of an Authorization field. 0; -ENOENT: none (NULL); -EOPNOTSUPP: another scheme than Basic; -EINVAL:
 * malformed, not UTF-8, or it holds control characters.
 */
int gate_login_parse(const char *authorization, struct gate_login *login);

/* UTF-8 without control characters, as a name and a password must be. */
bool gate_text_good(const char *text, size_t length);

enum gate_answer {
    GATE_ADMIT,  /* go on as verdict.identity */
    GATE_VERIFY, /* only if gate_password_holds(): then ask gate_decide() again with `password_holds` */
    GATE_ASK,    /* 401: a password may be asked for here */
    GATE_REFUSE, /* 403 */
};

struct gate_verdict {
    enum gate_answer answer;
    struct gate_identity identity; /* for a refusal: as far as it is known */
    const char *event;             /* for a refusal: the id; NULL otherwise */
    char why[256];                 /* for ASK and REFUSE: one sentence for the log; bytes of the peer: escape */
    const char *say;               /* the same for the peer: tells nothing about who exists */
};

/*
 * Whether a plain connection may go on to send its request at all: false where no class that could match allows it, or
 * the protocol's profile has verify = required. *why: for the log. A true answer decides nothing about the request.
 */
bool gate_admits_plain(const struct gate *gate, const struct gate_visit *visit, const char **why);

/*
 * Decides about one request. `login` NULL: it came without a name and password. `password_holds`: this login's password
 * was verified before, so GATE_VERIFY will not be answered.
 */
void gate_decide(const struct gate *gate, const struct gate_visit *visit, const struct gate_login *login,
                 bool password_holds, struct gate_verdict *verdict);

/*
 * Whether a visitor who was admitted as nobody, and lacks a right, may be asked for a password: then 401, not 403. The
 * connection must allow it, and some class that takes from this address must take passwords.
 */
bool gate_may_ask(const struct gate *gate, const struct gate_visit *visit, const struct gate_identity *identity);

/* Tens of milliseconds of CPU, as long for a name that nobody has: run it as a job. */
bool gate_password_holds(const struct gate *gate, const struct gate_login *login);

/* -- rights -------------------------------------------------------------------------------------------------------- */

enum { GATE_READ = 1, GATE_LIST = 2, GATE_WRITE = 4, GATE_DELETE = 8 };

/* A set of the above. */
unsigned gate_rights(const struct gate *gate, const struct config_store *store, const struct gate_identity *identity);

/* The folder that is all this visitor sees of a store, or NULL: all of it. */
const char *gate_home(const struct gate_identity *identity);

#endif
