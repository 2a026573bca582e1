// rooms: gate config
/* What makes a certificate somebody's, and what somebody may do with a store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/gate/gate_internal.h"
#include "tests/unit/gate_rig.h"

/* -- certificates -------------------------------------------------------------------------------------------------- */

struct match_row {
    const char *match;
    const char *fingerprint, *common_name, *kind, *value;
    bool belongs;
};

static const struct match_row matches[] = {
    { "match_fingerprint = " PRINT_A, PRINT_A, NULL, NULL, NULL, true },
    { "match_fingerprint = " PRINT_A, PRINT_B, NULL, NULL, NULL, false },
    { "match_fingerprint = " PRINT_B ", " PRINT_A, PRINT_A, NULL, NULL, NULL, true },
    { "match_subject = CN=node*", NULL, "node9", NULL, NULL, true },
    { "match_subject = CN=node", NULL, "node9", NULL, NULL, false },
    { "match_subject = CN=node*", NULL, NULL, NULL, NULL, false },
    { "match_san = DNS:node9.example.com", NULL, NULL, "DNS", "node9.example.com", true },
    { "match_san = DNS:Node9.Example.com", NULL, NULL, "DNS", "nODE9.example.COM", true },
    { "match_san = DNS:node9.example.com", NULL, NULL, "DNS", "node9.example.com.evil.org", false },
    { "match_san = DNS:*.example.com", NULL, NULL, "DNS", "node9.example.com", true },
    { "match_san = DNS:node?.example.com", NULL, NULL, "DNS", "node9.example.com", true },
    { "match_san = DNS:node?.example.com", NULL, NULL, "DNS", "node10.example.com", false },
    { "match_san = DNS:node9.example.com", NULL, NULL, "email", "node9.example.com", false },
    { "match_san = DNS:node9.example.com", NULL, "node9.example.com", NULL, NULL, false },
    { "match_san = email:eve@example.com", NULL, NULL, "email", "eve@EXAMPLE.com", true },
    { "match_san = email:eve@EXAMPLE.com", NULL, NULL, "email", "eve@example.com", true },
    { "match_san = email:eve@example.com", NULL, NULL, "email", "EVE@example.com", false },
    { "match_san = email:*@example.com", NULL, NULL, "email", "Eve@example.com", true },
    { "match_san = email:*@example.com", NULL, NULL, "email", "eve@example.com.evil.org", false },
    { "match_san = email:eve*", NULL, NULL, "email", "eve@example.com", true },
    { "match_san = URI:urn:x:Y", NULL, NULL, "URI", "urn:x:Y", true },
    { "match_san = URI:urn:x:Y", NULL, NULL, "URI", "urn:x:y", false },
    { "match_san = IP:10.1.2.3", NULL, NULL, "IP", "10.1.2.3", true },
    { "match_san = IP:10.1.2.3", NULL, NULL, "IP", "10.1.2.33", false },
    { "match_san = IP:2001:DB8::1", NULL, NULL, "IP", "2001:db8::1", true },
    { "match_san = IP:10.1.2.3", NULL, NULL, "DNS", "10.1.2.3", false },
    { "match_san = DNS:a.example.com, URI:u", NULL, NULL, "URI", "u", true },
    { "match_fingerprint = " PRINT_A "\nmatch_subject = CN=x\nmatch_san = DNS:y", NULL, NULL, "DNS", "y", true },
    { "match_fingerprint = " PRINT_A "\nmatch_subject = CN=x\nmatch_san = DNS:y", NULL, "z", "DNS", "z", false },
};

static void belongs(const struct match_row *row, const char *kind)
{
    char *text = NULL;
    struct config_errors errors = { 0 };
    struct rig_certificate made;
    struct gate_owner owner;
    char why[256];
    int length = asprintf(&text, "[%s frida]\n%s\n[partner other]\nhome = x\n", kind, row->match);
    struct config *config = config_parse("/etc/sluice/x.ini", text, (size_t)length, &errors);
    if (!config)
        config_errors_print(&errors, stderr);
    config_errors_clear(&errors);
    free(text);
    assert_non_null(config);
    const struct tls_peer *peer = rig_certificate(&made, row->fingerprint, row->common_name, row->kind, row->value);
    assert_true(gate_owner_find(config, peer, &owner, why, sizeof(why)));
    bool user = kind[0] == 'u';
    if ((owner.user != NULL) != (row->belongs && user) || (owner.partner != NULL) != (row->belongs && !user))
        fail_msg("%s: %s %s %s", row->match, row->common_name ? row->common_name : "", row->kind ? row->kind : "",
                 row->value ? row->value : "");
    config_free(config);
}

static void a_certificate_belongs_to_whoever_it_matches(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(matches) / sizeof(matches[0]); i++) {
        belongs(&matches[i], "user");
        belongs(&matches[i], "partner");
    }
}

static void one_who_matches_twice_is_still_one(void **state)
{
    (void)state;
    struct rig rig;
    struct rig_certificate made;
    struct gate_owner owner;
    char why[256];
    rig_open(&rig, false, "optional", "",
             "[user frida]\nmatch_fingerprint = " PRINT_0
             "\nmatch_subject = CN=frida\nmatch_san = DNS:frida, DNS:f*\n");
    const struct tls_peer *peer = rig_certificate(&made, PRINT_0, "frida", "DNS", "frida");
    assert_true(gate_owner_find(rig.config, peer, &owner, why, sizeof(why)));
    assert_string_equal(owner.user->name, "frida");
    rig_close(&rig);
}

static void a_user_and_its_own_partner_are_two(void **state)
{
    (void)state;
    struct rig rig;
    struct rig_certificate made;
    struct gate_owner owner;
    char why[256];
    rig_open(&rig, false, "optional", "", "[user frida]\npartner = node7\nmatch_fingerprint = " PRINT_0 "\n");
    const struct tls_peer *peer = rig_certificate(&made, PRINT_0, "node7", NULL, NULL);
    assert_false(gate_owner_find(rig.config, peer, &owner, why, sizeof(why)));
    assert_string_equal(why, "the certificate belongs to user \"frida\" and to partner \"node7\"");
    assert_null(owner.user);
    assert_null(owner.partner);
    rig_close(&rig);
}

/* -- rights -------------------------------------------------------------------------------------------------------- */

enum who { ANYBODY, SOMEBODY, ALICE, CAROL, NODE7, ZOE, VIP };

#define R GATE_READ
#define L GATE_LIST
#define W GATE_WRITE
#define D GATE_DELETE

struct right_row {
    const char *store;
    enum who who;
    unsigned rights;
};

static const struct right_row right_rows[] = {
    { "", ANYBODY, 0 },
    { "", SOMEBODY, R | L | W },
    { "", ZOE, R | L | W },
    { "", NODE7, R | L | W },
    { "anonymous = read", ANYBODY, R | L },
    { "anonymous = write", ANYBODY, R | L | W },
    { "anonymous = read", SOMEBODY, R | L | W },
    { "anonymous = write\nread = user:alice", ANYBODY, 0 },
    { "anonymous = write\nread = user:alice", SOMEBODY, 0 },
    { "read = user:alice", ALICE, R | L },
    { "read = user:alice", CAROL, 0 },
    { "read = user:carol", NODE7, 0 },
    { "read = user:zoe", ZOE, R | L },
    { "write = user:alice", ALICE, W },
    { "delete = user:alice", ALICE, D },
    { "list = user:alice", ALICE, L },
    { "read = user:alice\nlist = user:carol", ALICE, R },
    { "read = user:alice\nlist = user:carol", CAROL, L },
    { "read = partner:node7", NODE7, R | L },
    { "read = partner:node7", CAROL, R | L },
    { "read = partner:node8", CAROL, 0 },
    { "read = partner:node7", ALICE, 0 },
    { "read = partner:node7", ANYBODY, 0 },
    { "read = group:wheel", ALICE, R | L },
    { "read = group:wheel", CAROL, 0 },
    { "read = class:vip", VIP, R | L },
    { "read = class:vip", ALICE, 0 },
    { "read = anyone\nwrite = class:vip", VIP, R | L | W },
    { "read = authenticated", SOMEBODY, R | L },
    { "read = authenticated", ANYBODY, 0 },
    { "read = authenticated", VIP, 0 },
    { "read = anyone\nwrite = authenticated\ndelete = user:alice, partner:node7", ANYBODY, R | L },
    { "read = anyone\nwrite = authenticated\ndelete = user:alice, partner:node7", SOMEBODY, R | L | W },
    { "read = anyone\nwrite = authenticated\ndelete = user:alice, partner:node7", ALICE, R | L | W | D },
    { "read = anyone\nwrite = authenticated\ndelete = user:alice, partner:node7", NODE7, R | L | W | D },
};

static struct gate_identity identity_of(const struct rig *rig, enum who who)
{
    static const char *const names[] = { [ALICE] = "alice", [CAROL] = "carol", [ZOE] = "zoe" };
    struct gate_identity identity = { 0 };
    const struct gate_owner node7 = { .partner = config_find_partner(rig->config, "node7") };
    if (who == NODE7)
        gate_identity_of_owner(&node7, &identity);
    else if (who == ALICE || who == CAROL || who == ZOE)
        gate_identity_of_user(rig->gate, names[who], &identity);
    if (who == VIP)
        identity.class = config_find_class(rig->config, "vip");
    else if (who != ANYBODY)
        identity.means = GATE_CERTIFICATE;
    return identity;
}

static void what_a_store_grants(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(right_rows) / sizeof(right_rows[0]); i++) {
        const struct right_row *row = &right_rows[i];
        struct rig rig;
        rig_open(&rig, true, "optional", row->store, "[class vip]\npassword = disabled\n");
        struct gate_identity identity = identity_of(&rig, row->who);
        unsigned rights = gate_rights(rig.gate, rig.config->protocols[0].store, &identity);
        if (rights != row->rights)
            fail_msg("\"%s\": %d may %u, not %u", row->store, (int)row->who, rights, row->rights);
        rig_close(&rig);
    }
}

static void a_home_is_the_users_else_its_partners(void **state)
{
    (void)state;
    struct rig rig;
    struct gate_identity dora;
    rig_open(&rig, true, "optional", "", "");
    const struct {
        enum who who;
        const char *home;
    } homes[] = {
        { ALICE, "people/alice" }, { CAROL, "node7" }, { NODE7, "node7" }, { ZOE, NULL }, { ANYBODY, NULL },
    };
    for (size_t i = 0; i < sizeof(homes) / sizeof(homes[0]); i++) {
        struct gate_identity identity = identity_of(&rig, homes[i].who);
        const char *home = gate_home(&identity);
        assert_int_equal(home != NULL, homes[i].home != NULL);
        assert_true(!home || strcmp(home, homes[i].home) == 0);
    }
    gate_identity_of_user(rig.gate, "dora", &dora);
    assert_string_equal(gate_home(&dora), "people/dora");
    rig_close(&rig);
}

/* -- making one ---------------------------------------------------------------------------------------------------- */

static void a_gate_without_its_password_file_is_refused_with_the_line(void **state)
{
    (void)state;
    static const char text[] = "[store s]\nroot = /srv\n[server]\npassword_file = /nowhere/at/all\n";
    struct config_errors errors = { 0 };
    struct config *config = config_parse("/etc/sluice/x.ini", text, strlen(text), &errors);
    assert_non_null(config);
    config_errors_clear(&errors);
    assert_null(gate_new(config, &errors));
    assert_int_equal(errors.count, 1);
    assert_string_equal(
        errors.items[0].text,
        "/etc/sluice/x.ini:4: server: password_file \"/nowhere/at/all\" cannot be read: No such file or "
        "directory; make it with `sluice passwd NAME`, or remove the key");
    config_errors_clear(&errors);
    config_free(config);
}

static void nothing_is_freed_as_nothing(void **state)
{
    (void)state;
    gate_free(NULL);
    passwords_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_certificate_belongs_to_whoever_it_matches),
        cmocka_unit_test(one_who_matches_twice_is_still_one),
        cmocka_unit_test(a_user_and_its_own_partner_are_two),
        cmocka_unit_test(what_a_store_grants),
        cmocka_unit_test(a_home_is_the_users_else_its_partners),
        cmocka_unit_test(a_gate_without_its_password_file_is_refused_with_the_line),
        cmocka_unit_test(nothing_is_freed_as_nothing),
    };
    return cmocka_run_group_tests(tests, rig_set_up, rig_tear_down);
}
