// rooms: gate config
/* Every verdict of the gate: one row is one visitor to one set of classes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/gate_rig.h"

enum shown { NONE, OF_ALICE, OF_BOB, OF_NODE7, OF_NODE8, OF_NOBODY, OF_ALICE_AND_NODE7, OF_TWO_PARTNERS, UNVERIFIED };
enum how { TLS, PLAIN };

static const struct {
    const char *fingerprint, *common_name, *kind, *value;
} certificates[] = {
    [OF_ALICE] = { PRINT_A, "alice", NULL, NULL },
    [OF_BOB] = { PRINT_B, "bob", NULL, NULL },
    [OF_NODE7] = { NULL, "node7", NULL, NULL },
    [OF_NODE8] = { NULL, NULL, "DNS", "node8.example.com" },
    [OF_NOBODY] = { NULL, "stranger", "DNS", "stranger.example.com" },
    [OF_ALICE_AND_NODE7] = { PRINT_A, "node7", NULL, NULL },
    [OF_TWO_PARTNERS] = { NULL, "node7", "DNS", "node8.example.com" },
    [UNVERIFIED] = { PRINT_A, "alice", NULL, NULL },
};

/* `answer` is the first one. Where that is GATE_VERIFY, `then` is what follows once the password holds. */
struct row {
    const char *title;
    const char *classes;
    enum shown shown;
    const char *login;
    enum gate_answer answer, then;
    const char *event; /* of a refusal, whichever of the two */
    enum gate_means means;
    const char *name, *class; /* of whom is admitted */
    enum how how;
    const char *from, *store;
    bool no_passwords;
};

#define ADMITS(means_, name_, class_) .answer = GATE_ADMIT, .means = (means_), .name = (name_), .class = (class_)
#define VERIFIES(means_, name_, class_)                                                                                \
    .answer = GATE_VERIFY, .then = GATE_ADMIT, .means = (means_), .name = (name_), .class = (class_)
#define REFUSES(event_) .answer = GATE_REFUSE, .event = (event_)
#define VERIFIES_AND_REFUSES(event_) .answer = GATE_VERIFY, .then = GATE_REFUSE, .event = (event_)
#define ASKS .answer = GATE_ASK

#define STAFF "[class staff]\ngroups = staff\norder = 10\n"
#define NODES "[class nodes]\npartners = node?\norder = 20\n"
#define ALL "[class all]\norder = 900\n"
#define OPEN "[class open]\norder = 950\npassword = disabled\n"
#define PLAIN_TOO "tls = optional\n"
#define BOTH_WAYS "tls = optional\nplain_password = yes\n"
#define NO_PASSWORD "password = disabled\n"
#define AND_PASSWORD "password = required\n"
#define CERTIFICATE "certificate = required\n"
#define NO_CERTIFICATE "certificate = disabled\n"

static const struct row rows[] = {
    /* whose certificate */
    { "a certificate that one user claims is that user's", ALL, OF_ALICE, ADMITS(GATE_CERTIFICATE, "alice", "all") },
    { "a certificate that one partner claims is that partner's", ALL, OF_NODE7,
      ADMITS(GATE_CERTIFICATE, "node7", "all") },
    { "a certificate that a user and a partner claim is refused", ALL, OF_ALICE_AND_NODE7, REFUSES("G05E") },
    { "a certificate that two partners claim is refused", ALL, OF_TWO_PARTNERS, REFUSES("G05E") },
    { "a certificate that two claim is refused without classes, too", "", OF_TWO_PARTNERS, REFUSES("G05E") },
    { "a certificate that two claim is refused with a login, too", ALL, OF_TWO_PARTNERS, "alice", REFUSES("G05E") },
    { "a certificate of a disabled user is refused", ALL, OF_BOB, REFUSES("G06W") },
    { "a certificate that nobody claims authenticates somebody without a name", ALL, OF_NOBODY,
      ADMITS(GATE_CERTIFICATE, "", "all") },
    { "a certificate that did not verify is nobody's", ALL, UNVERIFIED, ASKS },
    { "a certificate that did not verify leaves the password", ALL, UNVERIFIED, "alice",
      VERIFIES(GATE_PASSWORD, "alice", "all") },

    /* a certificate and a login */
    { "a user's certificate and its own login are both", ALL AND_PASSWORD, OF_ALICE, "alice",
      VERIFIES(GATE_BOTH, "alice", "all") },
    { "a user's certificate and another's login are refused", ALL AND_PASSWORD, OF_ALICE, "carol", REFUSES("G03W") },
    { "a user's certificate and a login nobody has are refused alike", ALL AND_PASSWORD, OF_ALICE, "zz",
      REFUSES("G03W") },
    { "a partner's certificate takes a login of its user", ALL, OF_NODE7, "carol",
      VERIFIES(GATE_BOTH, "carol", "all") },
    { "a partner's certificate refuses the login of another partner's user", ALL, OF_NODE7, "dora", REFUSES("G03W") },
    { "a partner's certificate refuses the login of nobody's user", ALL, OF_NODE7, "alice", REFUSES("G03W") },
    { "a partner's certificate refuses a name of the password file", ALL, OF_NODE7, "zoe", REFUSES("G03W") },
    { "a partner's name is no user's", ALL, OF_NODE7, "node7", REFUSES("G03W") },
    { "a certificate nobody claims takes any login", ALL, OF_NOBODY, "alice", VERIFIES(GATE_BOTH, "alice", "all") },

    /* which class */
    { "the first class in order that matches decides", ALL STAFF, OF_ALICE,
      ADMITS(GATE_CERTIFICATE, "alice", "staff") },
    { "a partner matches by its name", STAFF NODES ALL, OF_NODE7, ADMITS(GATE_CERTIFICATE, "node7", "nodes") },
    { "a user matches by its partner", STAFF NODES ALL, NONE, "carol", VERIFIES(GATE_PASSWORD, "carol", "nodes") },
    { "a user matches by name", "[class a]\nusers = al*\n" ALL, NONE, "alice", VERIFIES(GATE_PASSWORD, "alice", "a") },
    { "a name of the password file matches by name", "[class z]\nusers = zoe\n" ALL, NONE, "zoe",
      VERIFIES(GATE_PASSWORD, "zoe", "z") },
    { "a partner is not matched as a user", "[class u]\nusers = *\norder = 1\n" NODES, OF_NODE7,
      ADMITS(GATE_CERTIFICATE, "node7", "nodes") },
    { "a visitor without a name matches no class that lists names", "[class u]\nusers = *\norder = 1\n" OPEN, NONE,
      ADMITS(GATE_NOTHING, "", "open") },
    { "the class of a certificate does not change with the login", STAFF NODES "[class c]\nusers = carol\norder = 1\n",
      OF_NODE7, "carol", VERIFIES(GATE_BOTH, "carol", "nodes") },
    { "no class matches a certificate", STAFF, OF_NODE7, REFUSES("G03W") },
    { "no class matches a certificate, whatever the login", STAFF, OF_NODE7, "carol", REFUSES("G03W") },
    { "no class matches a login, which only its password shows", STAFF, NONE, "zoe", VERIFIES_AND_REFUSES("G03W") },
    { "no class matches a login, and none takes passwords", STAFF NO_PASSWORD, NONE, "zoe", REFUSES("G03W") },
    { "no class matches a certificate nobody claims, but a login may", STAFF, OF_NOBODY, ASKS },
    { "an address that the class takes", "[class in]\nfrom = 10.0.0.0/8\n", OF_ALICE,
      ADMITS(GATE_CERTIFICATE, "alice", "in"), .from = "10.1.2.3" },
    { "an address that no class takes", "[class in]\nfrom = 10.0.0.0/8\n", OF_ALICE, REFUSES("G03W"),
      .from = "11.1.2.3" },
    { "an address that no class takes is not asked", "[class in]\nfrom = 10.0.0.0/8\n", NONE, REFUSES("G03W"),
      .from = "11.1.2.3" },
    { "an address that no class takes has no password looked at", "[class in]\nfrom = 10.0.0.0/8\n", NONE, "alice",
      REFUSES("G03W"), .from = "2001:db8::1" },
    { "an address decides between classes", "[class in]\nfrom = 10.*\norder = 1\n" ALL, OF_ALICE,
      ADMITS(GATE_CERTIFICATE, "alice", "all"), .from = "127.0.0.1" },

    /* certificate = disabled */
    { "a certificate counts for nothing where it is disabled", ALL NO_CERTIFICATE, OF_ALICE, ASKS },
    { "a login counts where the certificate is disabled", ALL NO_CERTIFICATE, OF_ALICE, "alice",
      VERIFIES(GATE_PASSWORD, "alice", "all") },
    { "without its certificate a visitor is looked at as one without a name", NODES NO_CERTIFICATE OPEN, OF_NODE7,
      ADMITS(GATE_NOTHING, "", "open") },
    { "a disabled certificate opens no class that demands one", NODES NO_CERTIFICATE ALL CERTIFICATE, OF_NODE7,
      .login = NULL, ASKS },

    /* tls */
    { "a plain visitor is let in where TLS is optional", OPEN PLAIN_TOO, NONE, ADMITS(GATE_NOTHING, "", "open"),
      .how = PLAIN },
    { "a plain visitor is refused where no class takes plain connections", OPEN, NONE, REFUSES("G07W"), .how = PLAIN },
    { "a plain visitor is refused where its class requires TLS",
      "[class a]\nusers = alice\n" PLAIN_TOO "[class b]\n" NO_PASSWORD, NONE, REFUSES("G07W"), .how = PLAIN },
    { "a plain login is refused where its class requires TLS, its password unread",
      "[class z]\nusers = zoe\n" BOTH_WAYS "[class b]\n", NONE, "alice", REFUSES("G07W"), .how = PLAIN },
    { "a plain login is refused where its class takes no plain password", ALL PLAIN_TOO, NONE, "alice", REFUSES("G07W"),
      .how = PLAIN },
    { "a plain login is verified where its class takes plain passwords", ALL BOTH_WAYS, NONE, "alice",
      VERIFIES(GATE_PASSWORD, "alice", "all"), .how = PLAIN },
    { "a plain visitor is asked where its class takes plain passwords", ALL BOTH_WAYS, NONE, ASKS, .how = PLAIN },
    { "a plain visitor is never asked where no class takes plain passwords", ALL PLAIN_TOO, NONE, REFUSES("G03W"),
      .how = PLAIN },
    { "the same visitor is let in over TLS", "[class a]\n" PLAIN_TOO NO_PASSWORD, NONE, ADMITS(GATE_NOTHING, "", "a") },

    /* certificate = required */
    { "a class that requires a certificate takes one", STAFF CERTIFICATE, OF_ALICE,
      ADMITS(GATE_CERTIFICATE, "alice", "staff") },
    { "a class that requires a certificate refuses a login alone", STAFF CERTIFICATE, NONE, "alice", REFUSES("G03W") },
    { "a class that requires a certificate refuses a certificate that nobody claims beside a login", STAFF CERTIFICATE,
      OF_NOBODY, "alice", VERIFIES_AND_REFUSES("G03W") },
    { "a class for everyone that requires a certificate takes one that nobody claims", ALL CERTIFICATE, OF_NOBODY,
      ADMITS(GATE_CERTIFICATE, "", "all") },
    { "a class for everyone that requires a certificate refuses a visitor without", ALL CERTIFICATE, NONE,
      REFUSES("G03W") },
    { "a class for everyone that requires a certificate refuses one that did not verify", ALL CERTIFICATE, UNVERIFIED,
      REFUSES("G03W") },
    { "a class that takes nothing but certificates lets nobody in without", ALL CERTIFICATE NO_PASSWORD, NONE,
      REFUSES("G03W") },
    { "which classes a name may enter is told to whoever has its password", STAFF CERTIFICATE ALL, NONE, "alice",
      VERIFIES_AND_REFUSES("G03W") },

    /* password = required, optional, disabled */
    { "a required password is asked for beside a certificate", ALL AND_PASSWORD, OF_ALICE, ASKS },
    { "a required password is enough where the certificate is optional", ALL AND_PASSWORD, NONE, "alice",
      VERIFIES(GATE_PASSWORD, "alice", "all") },
    { "a required password alone is refused where the certificate is required, too", ALL CERTIFICATE AND_PASSWORD, NONE,
      "alice", REFUSES("G03W") },
    { "a required password is asked for", ALL AND_PASSWORD, NONE, ASKS },
    { "both are admitted where both are required", ALL CERTIFICATE AND_PASSWORD, OF_ALICE, "alice",
      VERIFIES(GATE_BOTH, "alice", "all") },
    { "an optional password is not asked for beside a certificate", ALL, OF_ALICE,
      ADMITS(GATE_CERTIFICATE, "alice", "all") },
    { "an optional password is asked for without a certificate", ALL, NONE, ASKS },
    { "an optional password that was given is verified", ALL, OF_ALICE, "alice", VERIFIES(GATE_BOTH, "alice", "all") },
    { "a disabled password refuses a login", ALL NO_PASSWORD, NONE, "alice", REFUSES("G03W") },
    { "a disabled password ignores the login beside a certificate", ALL NO_PASSWORD, OF_ALICE, "alice",
      ADMITS(GATE_CERTIFICATE, "alice", "all") },
    { "a login that is ignored gives no name to a certificate without one", STAFF NO_PASSWORD OPEN, OF_NOBODY, "alice",
      ADMITS(GATE_CERTIFICATE, "", "open") },

    /* neither */
    { "a class for everyone without passwords lets everyone in", OPEN, NONE, ADMITS(GATE_NOTHING, "", "open") },
    { "a visitor without a name is asked where some class takes passwords", STAFF, NONE, ASKS },
    { "a visitor without a name is refused where no class takes passwords", STAFF NO_PASSWORD, NONE, REFUSES("G03W") },
    { "a visitor without a name is refused where nobody has a password", ALL, NONE, REFUSES("G03W"),
      .no_passwords = true },
    { "a login is refused where nobody has a password", ALL, NONE, "alice", REFUSES("G03W"), .no_passwords = true },

    /* names */
    { "a login that nobody has costs a verification", ALL, NONE, "nobody", VERIFIES(GATE_PASSWORD, "nobody", "all") },
    { "a disabled user is told so only with the password", ALL, NONE, "erin", VERIFIES_AND_REFUSES("G06W") },
    { "a disabled user is told so only with the password, without classes, too", "", NONE, "erin",
      VERIFIES_AND_REFUSES("G06W") },

    /* no class at all */
    { "without classes a certificate is enough", "", OF_NODE7, ADMITS(GATE_CERTIFICATE, "node7", NULL) },
    { "without classes a certificate that nobody claims is enough", "", OF_NOBODY, ADMITS(GATE_CERTIFICATE, "", NULL) },
    { "without classes a password is enough", "", NONE, "zoe", VERIFIES(GATE_PASSWORD, "zoe", NULL) },
    { "without classes both are both", "", OF_ALICE, "alice", VERIFIES(GATE_BOTH, "alice", NULL) },
    { "without classes plain connections are refused", "", NONE, REFUSES("G07W"), .how = PLAIN,
      .store = "anonymous = read" },
    { "without classes nobody is let in as nobody where the store lets them read", "", NONE,
      ADMITS(GATE_NOTHING, "", NULL), .store = "anonymous = read" },
    { "without classes nobody is let in as nobody where the store grants something to anyone", "", NONE,
      ADMITS(GATE_NOTHING, "", NULL), .store = "write = anyone" },
    { "without classes a password is asked for where the store grants nothing to anyone", "", NONE, ASKS,
      .store = "read = user:alice" },
    { "without classes and passwords nobody is asked", "", NONE, ADMITS(GATE_NOTHING, "", NULL), .no_passwords = true },
    { "without classes and passwords a login is not looked at", "", NONE, "alice", ADMITS(GATE_NOTHING, "", NULL),
      .no_passwords = true },
};

static void compare(const struct row *row, enum gate_answer wanted, const struct gate_verdict *verdict)
{
    const struct gate_identity *identity = &verdict->identity;
    bool refused = verdict->answer == GATE_REFUSE, asked = verdict->answer == GATE_ASK;
    const char *class = identity->class ? identity->class->name : "";
    if (verdict->answer != wanted || (refused && strcmp(verdict->event, row->event) != 0))
        fail_msg("%s: answer %d (not %d), event %s, because %s", row->title, (int)verdict->answer, (int)wanted,
                 verdict->event ? verdict->event : "none", verdict->why);
    if (refused != (verdict->event != NULL) || (refused || asked) != (verdict->say && verdict->say[0]) ||
        (refused || asked) != (verdict->why[0] != 0))
        fail_msg("%s: an answer without its words, or words without an answer", row->title);
    if (wanted != GATE_ADMIT)
        return;
    if (identity->means != row->means || strcmp(identity->name, row->name) != 0 ||
        strcmp(class, row->class ? row->class : "") != 0)
        fail_msg("%s: admitted as \"%s\" of class \"%s\" by %d", row->title, identity->name, class,
                 (int)identity->means);
    assert_true(!identity->user || strcmp(identity->user->name, identity->name) == 0);
}

static void run_row(const struct row *row)
{
    struct rig rig;
    struct rig_certificate made;
    struct gate_login storage;
    struct gate_verdict verdict;
    rig_open(&rig, !row->no_passwords, "optional", row->store ? row->store : "", row->classes);
    const struct tls_peer *peer = NULL;
    if (row->shown != NONE)
        peer = rig_certificate(&made, certificates[row->shown].fingerprint, certificates[row->shown].common_name,
                               certificates[row->shown].kind, certificates[row->shown].value);
    struct gate_visit visit = rig_visit(&rig, row->from ? row->from : "192.0.2.1", row->how == TLS, peer);
    visit.verified = peer && row->shown != UNVERIFIED;
    const struct gate_login *login = rig_login(&storage, row->login);

    gate_decide(rig.gate, &visit, login, false, &verdict);
    compare(row, row->answer, &verdict);
    gate_decide(rig.gate, &visit, login, true, &verdict);
    compare(row, row->answer == GATE_VERIFY ? row->then : row->answer, &verdict);
    rig_close(&rig);
}

static void every_visitor_gets_its_verdict(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        run_row(&rows[i]);
}

/*
 * What stands in a file that asks for passwords tells nobody which names are good: the answers are byte for byte one.
 */
static void names_cannot_be_told_apart_without_a_password(void **state)
{
    (void)state;
    static const char *const names[] = { "alice", "bob", "carol", "erin", "zoe", "nobody", "node7", "a\"\n;'%00" };
    struct rig rig;
    rig_open(&rig, true, "optional", "", STAFF CERTIFICATE "[class z]\nusers = zoe\nfrom = 10.0.0.0/8\n" NODES);
    struct gate_visit visit = rig_visit(&rig, "192.0.2.1", true, NULL);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct gate_login storage;
        struct gate_verdict verdict;
        gate_decide(rig.gate, &visit, rig_login(&storage, names[i]), false, &verdict);
        assert_int_equal(verdict.answer, GATE_VERIFY);
        assert_null(verdict.event);
        assert_null(verdict.say);
    }
    rig_close(&rig);
}

static void what_the_peer_is_told_does_not_say_why(void **state)
{
    (void)state;
    struct rig rig;
    struct rig_certificate made;
    rig_open(&rig, true, "optional", "", STAFF);
    static const enum shown refused[] = { OF_BOB, OF_NODE7, OF_ALICE_AND_NODE7 };
    const char *said = NULL;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct gate_verdict verdict;
        struct gate_visit visit = rig_visit(&rig, "192.0.2.1", true,
                                            rig_certificate(&made, certificates[refused[i]].fingerprint,
                                                            certificates[refused[i]].common_name, NULL, NULL));
        gate_decide(rig.gate, &visit, NULL, false, &verdict);
        assert_int_equal(verdict.answer, GATE_REFUSE);
        assert_true(!said || strcmp(said, verdict.say) == 0);
        said = verdict.say;
    }
    rig_close(&rig);
}

static void a_refusal_for_the_log_names_both_who_claim_a_certificate(void **state)
{
    (void)state;
    struct rig rig;
    struct rig_certificate made;
    struct gate_verdict verdict;
    rig_open(&rig, true, "optional", "", ALL);
    struct gate_visit visit = rig_visit(&rig, "::1", true, rig_certificate(&made, PRINT_A, "node7", NULL, NULL));
    gate_decide(rig.gate, &visit, NULL, false, &verdict);
    assert_string_equal(verdict.why, "the certificate belongs to user \"alice\" and to partner \"node7\"");
    assert_string_equal(verdict.identity.name, "");
    rig_close(&rig);
}

static void a_reason_with_a_long_name_is_cut_and_ended(void **state)
{
    (void)state;
    struct rig rig;
    struct rig_certificate made;
    struct gate_login login = { .password = "x" };
    struct gate_verdict verdict;
    memset(login.name, '\xf0', GATE_NAME_MAX);
    rig_open(&rig, true, "optional", "", ALL);
    struct gate_visit visit = rig_visit(&rig, "::1", true, rig_certificate(&made, PRINT_A, "alice", NULL, NULL));
    gate_decide(rig.gate, &visit, &login, false, &verdict);
    assert_int_equal(verdict.answer, GATE_REFUSE);
    assert_true(strlen(verdict.why) < sizeof(verdict.why));
    assert_non_null(strstr(verdict.why, login.name));
    rig_close(&rig);
}

static void the_password_of_a_login_is_the_files(void **state)
{
    (void)state;
    struct rig rig;
    struct gate_login login;
    rig_open(&rig, true, "optional", "", "");
    assert_true(gate_password_holds(rig.gate, rig_login(&login, "alice")));
    strcpy(login.password, "Right");
    assert_false(gate_password_holds(rig.gate, &login));
    assert_false(gate_password_holds(rig.gate, rig_login(&login, "nobody")));
    rig_close(&rig);
    rig_open(&rig, false, "optional", "", "");
    assert_false(gate_password_holds(rig.gate, rig_login(&login, "alice")));
    rig_close(&rig);
}

/* -- plain connections --------------------------------------------------------------------------------------------- */

static void admits_plain(const char *verify, const char *classes, const char *from, const char *reason)
{
    struct rig rig;
    struct gate_verdict verdict;
    const char *why = NULL;
    rig_open(&rig, true, verify, "", classes);
    struct gate_visit visit = rig_visit(&rig, from, false, NULL);
    assert_int_equal(gate_admits_plain(rig.gate, &visit, &why), reason == NULL);
    if (reason) {
        assert_non_null(strstr(why, reason));
        gate_decide(rig.gate, &visit, NULL, false, &verdict);
        assert_int_equal(verdict.answer, GATE_REFUSE);
        assert_string_equal(verdict.event, "G07W");
        assert_non_null(strstr(verdict.why, reason));
        assert_non_null(strstr(verdict.say, "plain"));
    }
    rig_close(&rig);
}

static void a_plain_connection_goes_on_where_a_class_may_take_it(void **state)
{
    (void)state;
    admits_plain("optional", ALL PLAIN_TOO, "192.0.2.1", NULL);
    admits_plain("none", ALL STAFF PLAIN_TOO, "192.0.2.1", NULL);
    admits_plain("none", "[class in]\nfrom = 10.0.0.0/8\n" PLAIN_TOO, "10.0.0.1", NULL);
}

static void a_plain_connection_is_refused_where_none_can(void **state)
{
    (void)state;
    admits_plain("optional", "", "192.0.2.1", "no class has tls = optional");
    admits_plain("optional", ALL, "192.0.2.1", "no class for this address");
    admits_plain("optional", "[class in]\nfrom = 10.0.0.0/8\n" PLAIN_TOO, "192.0.2.1", "no class for this address");
}

static void verify_required_beats_any_class(void **state)
{
    (void)state;
    admits_plain("required", ALL BOTH_WAYS NO_CERTIFICATE, "192.0.2.1", "verify = required");
}

static void may_ask(const char *classes, bool tls, const char *from, bool passwords, bool wanted)
{
    struct rig rig;
    struct gate_identity identity = { 0 };
    rig_open(&rig, passwords, "optional", "", classes);
    struct gate_visit visit = rig_visit(&rig, from, tls, NULL);
    assert_int_equal(gate_may_ask(rig.gate, &visit, &identity), wanted);
    for (enum gate_means means = GATE_CERTIFICATE; means <= GATE_BOTH; means++) {
        identity.means = means;
        assert_false(gate_may_ask(rig.gate, &visit, &identity));
    }
    rig_close(&rig);
}

static void an_anonymous_visitor_who_lacks_a_right_may_be_asked_where_passwords_are_taken(void **state)
{
    (void)state;
    may_ask("", true, "::1", true, true);
    may_ask("", true, "::1", false, false);
    may_ask("", false, "::1", true, false);
    may_ask(OPEN, true, "::1", true, false);
    may_ask(OPEN STAFF, true, "::1", true, true);
    may_ask(OPEN STAFF CERTIFICATE, true, "::1", true, false);
    may_ask(OPEN PLAIN_TOO STAFF PLAIN_TOO, false, "::1", true, false);
    may_ask(OPEN PLAIN_TOO STAFF BOTH_WAYS, false, "::1", true, true);
    may_ask(OPEN STAFF "from = 10.0.0.0/8\n", true, "::1", true, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_visitor_gets_its_verdict),
        cmocka_unit_test(names_cannot_be_told_apart_without_a_password),
        cmocka_unit_test(what_the_peer_is_told_does_not_say_why),
        cmocka_unit_test(a_refusal_for_the_log_names_both_who_claim_a_certificate),
        cmocka_unit_test(a_reason_with_a_long_name_is_cut_and_ended),
        cmocka_unit_test(the_password_of_a_login_is_the_files),
        cmocka_unit_test(a_plain_connection_goes_on_where_a_class_may_take_it),
        cmocka_unit_test(a_plain_connection_is_refused_where_none_can),
        cmocka_unit_test(verify_required_beats_any_class),
        cmocka_unit_test(an_anonymous_visitor_who_lacks_a_right_may_be_asked_where_passwords_are_taken),
    };
    return cmocka_run_group_tests(tests, rig_set_up, rig_tear_down);
}
