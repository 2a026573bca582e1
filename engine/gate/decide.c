/*
 * The verdict about one request.
 *
 * A visitor claims to be somebody by a certificate, by a name and password, or by both. The class is looked up by the
 * certificate's owner, else by the name. A class may say that the certificate or the login does not count: then that is
 * dropped, and the visitor is looked at again as if it had come without.
 *
 * A name alone proves nothing. So what would be refused because of the name, or let in, is told only to whoever has the
 * password, as long as some class takes passwords here: nobody can find out names by asking.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/gate/gate_internal.h"

struct claim {
    const struct gate *gate;
    const struct gate_visit *visit;
    struct gate_verdict *verdict;
    bool certificate; /* verified, and it counts */
    struct gate_owner owner;
    const struct gate_login *login; /* NULL: none, or it does not count */
    bool holds;
    const struct config_class *class; /* NULL: none matches */
};

static void say(struct claim *claim, enum gate_answer answer, const char *event, const char *words)
{
    claim->verdict->answer = answer;
    claim->verdict->event = event;
    claim->verdict->say = words;
}

/* What the peer is told does not depend on the reason. */
__attribute__((format(printf, 3, 4))) static void refuse(struct claim *claim, const char *event, const char *format,
                                                         ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(claim->verdict->why, sizeof(claim->verdict->why), format, arguments);
    va_end(arguments);
    say(claim, GATE_REFUSE, event,
        claim->visit->tls ? "you may not come in here" : "you may not come in here over a plain connection");
}

static void admit(struct claim *claim, enum gate_means means)
{
    claim->verdict->answer = GATE_ADMIT;
    claim->verdict->identity.means = means;
}

static void ask_or_refuse(struct claim *claim, const char *why)
{
    if (!gate_takes_passwords(claim->gate, claim->visit)) {
        refuse(claim, "G03W", "%s", why);
        return;
    }
    snprintf(claim->verdict->why, sizeof(claim->verdict->why), "%s", why);
    say(claim, GATE_ASK, NULL, "a user name and a password are needed here");
}

static bool is_owned(const struct claim *claim)
{
    return claim->owner.user || claim->owner.partner;
}

/* What is wrong with the connection, or with the certificate, whatever class it is. */
static bool refused_at_once(struct claim *claim)
{
    const char *why;
    if (!claim->visit->tls && !gate_admits_plain(claim->gate, claim->visit, &why)) {
        refuse(claim, "G07W", "TLS is required: %s", why);
        return true;
    }
    if (!claim->certificate)
        return false;
    char both[sizeof(claim->verdict->why)];
    if (!gate_owner_find(claim->gate->config, claim->visit->peer, &claim->owner, both, sizeof(both))) {
        refuse(claim, "G05E", "%s", both);
        return true;
    }
    gate_identity_of_owner(&claim->owner, &claim->verdict->identity);
    if (claim->owner.user && claim->owner.user->disabled) {
        refuse(claim, "G06W", "user \"%s\" is disabled", claim->owner.user->name);
        return true;
    }
    return false;
}

/* A certificate's owner and a name that go together: the user's own, or that of a user of the partner. */
static bool refused_as_two(struct claim *claim)
{
    if (!claim->login || !is_owned(claim))
        return false;
    struct gate_identity login;
    gate_identity_of_user(claim->gate, claim->login->name, &login);
    if (claim->owner.user ? login.user == claim->owner.user : login.user && login.partner == claim->owner.partner)
        return false;
    refuse(claim, "G03W", "the certificate belongs to %s \"%s\", the login to \"%s\"",
           claim->owner.user ? "user" : "partner", claim->verdict->identity.name, claim->login->name);
    return true;
}

static void look_up(struct claim *claim)
{
    struct gate_identity *identity = &claim->verdict->identity;
    gate_identity_of_owner(&claim->owner, identity);
    if (!is_owned(claim) && claim->login)
        gate_identity_of_user(claim->gate, claim->login->name, identity);
    claim->class = gate_class_find(claim->gate, claim->visit, identity);
    if (claim->login)
        gate_identity_of_user(claim->gate, claim->login->name, identity);
    if (claim->certificate)
        identity->means = GATE_CERTIFICATE;
    if (claim->gate->config->class_count)
        identity->class = claim->class;
}

/* True where something was dropped. */
static bool drop_what_does_not_count(struct claim *claim)
{
    const struct config_class *class = claim->class;
    bool passwords = claim->gate->passwords || claim->gate->config->class_count;
    if (class && claim->certificate && class->certificate == CONFIG_DISABLED) {
        claim->certificate = false;
        claim->owner = (struct gate_owner){ 0 };
        return true;
    }
    if (claim->login && (!passwords || (class && claim->certificate && class->password == CONFIG_DISABLED))) {
        claim->login = NULL;
        return true;
    }
    return false;
}

static bool refused_as_plain(struct claim *claim)
{
    const struct config_class *class = claim->class;
    if (claim->visit->tls || !class)
        return false;
    if (class->tls == CONFIG_REQUIRED)
        refuse(claim, "G07W", "TLS is required: class \"%s\" has tls = required", class->name);
    else if (claim->login && !class->plain_password)
        refuse(claim, "G07W", "TLS is required for a password: class \"%s\" does not have plain_password = yes",
               class->name);
    else
        return false;
    return true;
}

static void decide_anonymous(struct claim *claim)
{
    const struct config_class *class = claim->class;
    bool classes = claim->gate->config->class_count > 0;
    if (!classes) {
        /*
         * Without a password file there is nothing to ask for: whoever may do nothing is told so, request by request.
         */
        if (!claim->gate->passwords ||
            gate_rights(claim->gate, claim->visit->protocol->store, &claim->verdict->identity))
            admit(claim, GATE_NOTHING);
        else
            ask_or_refuse(claim, "nobody may do anything here without a certificate or a password");
    } else if (!class) {
        ask_or_refuse(claim, "no class matches a visitor without a name from this address");
    } else if (class->password == CONFIG_DISABLED && class->certificate != CONFIG_REQUIRED) {
        admit(claim, GATE_NOTHING);
    } else {
        ask_or_refuse(claim, class->certificate == CONFIG_REQUIRED ? "the class demands a verified certificate"
                                                                   : "the class demands a certificate or a password");
    }
}

static void decide_certificate(struct claim *claim)
{
    if (!claim->class && is_owned(claim))
        refuse(claim, "G03W", "no class matches %s \"%s\" from this address", claim->owner.user ? "user" : "partner",
               claim->verdict->identity.name);
    else if (!claim->class)
        ask_or_refuse(claim, "no class matches a visitor without a name from this address");
    else if (claim->class->password == CONFIG_REQUIRED)
        ask_or_refuse(claim, "the class demands a password in addition to the certificate");
    else
        admit(claim, GATE_CERTIFICATE);
}

/* Why this name may not come in, even with its password; NULL: it may. */
static const char *obstacle(const struct claim *claim)
{
    const struct config_class *class = claim->class;
    if (!class)
        return "no class matches this name from this address";
    bool certified = claim->certificate && (is_owned(claim) || !gate_class_lists_names(class));
    if (class->certificate == CONFIG_REQUIRED && !certified)
        return claim->certificate ? "the class demands a certificate that belongs to one of its names"
                                  : "the class demands a verified certificate";
    if (class->password == CONFIG_DISABLED)
        return "the class takes no passwords";
    return claim->gate->passwords ? NULL : "there is no password_file";
}

static void decide_login(struct claim *claim)
{
    const char *why = obstacle(claim);
    const struct config_user *user = claim->verdict->identity.user;
    bool may_tell = claim->holds || is_owned(claim) || !gate_takes_passwords(claim->gate, claim->visit);
    if (why && may_tell)
        refuse(claim, "G03W", "%s", why);
    else if (!claim->holds)
        claim->verdict->answer = GATE_VERIFY;
    else if (user && user->disabled)
        refuse(claim, "G06W", "user \"%s\" is disabled", user->name);
    else
        admit(claim, claim->certificate ? GATE_BOTH : GATE_PASSWORD);
}

void gate_decide(const struct gate *gate, const struct gate_visit *visit, const struct gate_login *login,
                 bool password_holds, struct gate_verdict *verdict)
{
    *verdict = (struct gate_verdict){ 0 };
    struct claim claim = {
        .gate = gate,
        .visit = visit,
        .verdict = verdict,
        .certificate = visit->tls && visit->verified && visit->peer,
        .login = login,
        .holds = login && password_holds,
    };
    if (refused_at_once(&claim) || refused_as_two(&claim))
        return;
    do {
        look_up(&claim);
    } while (drop_what_does_not_count(&claim));
    if (refused_as_plain(&claim))
        return;
    if (claim.login)
        decide_login(&claim);
    else if (claim.certificate)
        decide_certificate(&claim);
    else
        decide_anonymous(&claim);
}
