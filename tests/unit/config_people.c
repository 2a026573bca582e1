// rooms: config
/* Partners, classes, users and grants of a right configuration; and which addresses a class is for. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/internal.h"

#define SUM "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd"

static struct config *model;

static const char text[] =
    "[server]\n"
    "user = sluice\n"
    "group = files\n"
    "events_to = journal\n"
    "password_file = users\n"
    "strict_partner_profiles = yes\n"
    "expiry_warning_days = 14\n"
    "[store main]\n"
    "root = /srv\n"
    "read = authenticated, class:night\n"
    "write = user:alice , partner:both\n"
    "list = anyone\n"
    "delete = group:staff\n"
    "[server-profile both]\n"
    "certificate = rsa.pem, ecdsa.p12\n"
    "key = rsa.key\n"
    "key_passphrase_file = one, two\n"
    "trust = ca.pem\n"
    "verify = optional\n"
    "subject = CN=node*, O=Acme AND \\\n"
    "  NOT OU=test\n"
    "issuer = contains:\"Acme\"\n"
    "depth = 3\n"
    "key_usage = none\n"
    "groups = X25519, P-256\n"
    "signature_algorithms = ecdsa_secp256r1_sha256\n"
    "crl = a.crl, b.crl\n"
    "ocsp_response = answer.der\n"
    "save_chain = chains\n"
    "fips = yes\n"
    "note = the bank's, since 2019: see = RFC, \"x\"\n"
    "[client-profile both]\n"
    "ocsp = staple\n"
    "[client-profile out]\n"
    "[server-profile in]\n"
    "certificate = c\n"
    "key = k\n"
    "trust = ca.pem\n"
    "[protocol bulk]\n"
    "listen = h:1\n"
    "profile = both\n"
    "store = main\n"
    "[partner both]\n"
    "host = node7:1\n"
    "profile = both\n"
    "match_fingerprint = 01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:\\\n"
    "  CD:EF:01:23:45:67:89:AB:CD:00, \\\n"
    "  " SUM "ff\n"
    "match_subject = CN=node7\n"
    "match_san = DNS:node7.*, email:*@Example.com, URI:https://x/?, IP:2001:DB8:0::7, IP:10.0.*,\\\n"
    "  IP:2001:DB8:1:*\n"
    "home = nodes/7\n"
    "login = me@edge\n"
    "login_password_file = secret\n"
    "[partner checks]\n"
    "profile = in\n"
    "[partner requester]\n"
    "host = node8:1\n"
    "profile = out\n"
    "[partner inherits]\n"
    "host = node9:1\n"
    "protocol = bulk\n"
    "[class last]\n"
    "order = 200\n"
    "[class night]\n"
    "users = a*, ?ob\n"
    "groups = staff\n"
    "partners = both\n"
    "from = 10.0.0.0/8\n"
    "tls = optional\n"
    "certificate = disabled\n"
    "password = required\n"
    "plain_password = yes\n"
    "[class first]\n"
    "order = 0\n"
    "users = zoe\n"
    "[class day]\n"
    "groups = staff\n"
    "[user alice]\n"
    "groups = staff, ops\n"
    "partner = checks\n"
    "home = alice\n"
    "[user b.o-b_+1@x]\n"
    "disabled = yes\n"
    "match_subject = CN=bob\n";

static int load(void **state)
{
    (void)state;
    struct config_errors errors = { 0 };
    model = config_parse("/etc/sluice/site.ini", text, strlen(text), &errors);
    config_errors_print(&errors, stderr);
    bool only_that = errors.count == 1 && strstr(errors.items[0].text, "plain_password");
    config_errors_clear(&errors);
    return model && only_that ? 0 : -1;
}

static int unload(void **state)
{
    (void)state;
    config_free(model);
    return 0;
}

static void expect_list(const struct config_list *list, const char *const *items)
{
    size_t count = 0;
    for (; items[count]; count++) {
        assert_true(count < list->count);
        assert_string_equal(list->items[count], items[count]);
    }
    assert_int_equal(list->count, count);
}

#define EXPECT_LIST(list, ...) expect_list((list), (const char *const[]){ __VA_ARGS__, NULL })

static void reads_the_servers_people(void **state)
{
    (void)state;
    const struct config_server *server = &model->server;
    assert_string_equal(server->user, "sluice");
    assert_string_equal(server->group, "files");
    assert_string_equal(server->password_file, "/etc/sluice/users");
    assert_int_equal(server->events_to, CONFIG_EVENTS_JOURNAL);
    assert_true(server->strict_partner_profiles);
    assert_int_equal(server->expiry_warning_days, 14);
}

static void reads_what_a_store_grants(void **state)
{
    (void)state;
    const struct config_store *store = config_find_store(model, "main");
    EXPECT_LIST(&store->read, "authenticated", "class:night");
    EXPECT_LIST(&store->write, "user:alice", "partner:both");
    EXPECT_LIST(&store->list, "anyone");
    EXPECT_LIST(&store->delete, "group:staff");
}

static void reads_every_key_of_a_profile(void **state)
{
    (void)state;
    const struct config_profile *profile = config_find_profile(model, CONFIG_SERVER, "both");
    EXPECT_LIST(&profile->certificate, "/etc/sluice/rsa.pem", "/etc/sluice/ecdsa.p12");
    EXPECT_LIST(&profile->key_passphrase_file, "/etc/sluice/one", "/etc/sluice/two");
    assert_string_equal(config_expression_text(profile->subject), "CN=node*, O=Acme AND NOT OU=test");
    assert_string_equal(config_expression_text(profile->issuer), "contains:\"Acme\"");
    assert_int_equal(profile->depth, 3);
    assert_int_equal(profile->key_usage, CONFIG_KEY_USAGE_NONE);
    EXPECT_LIST(&profile->groups, "X25519", "P-256");
    EXPECT_LIST(&profile->signature_algorithms, "ecdsa_secp256r1_sha256");
    EXPECT_LIST(&profile->crl, "/etc/sluice/a.crl", "/etc/sluice/b.crl");
    assert_string_equal(profile->ocsp_response, "/etc/sluice/answer.der");
    assert_string_equal(profile->save_chain, "/etc/sluice/chains");
    assert_true(profile->fips);
    assert_string_equal(profile->note, "the bank's, since 2019: see = RFC, \"x\"");
    assert_int_equal(config_find_profile(model, CONFIG_CLIENT, "both")->ocsp, CONFIG_OCSP_STAPLE);
}

static void gives_a_profile_its_defaults(void **state)
{
    (void)state;
    const struct config_profile *profile = config_find_profile(model, CONFIG_CLIENT, "out");
    assert_null(profile->subject);
    assert_null(profile->issuer);
    assert_null(profile->note);
    assert_null(profile->save_chain);
    assert_int_equal(profile->depth, 10);
    assert_int_equal(profile->key_usage, CONFIG_KEY_USAGE_VERIFY);
    assert_int_equal(profile->ocsp, CONFIG_OCSP_NO);
    assert_int_equal(profile->crl.count + profile->groups.count + profile->signature_algorithms.count, 0);
    assert_false(profile->fips);
}

static void reads_a_partner(void **state)
{
    (void)state;
    const struct config_partner *partner = config_find_partner(model, "both");
    EXPECT_LIST(&partner->match.fingerprints, SUM "00", SUM "ff");
    EXPECT_LIST(&partner->match.sans, "DNS:node7.*", "email:*@Example.com", "URI:https://x/?", "IP:2001:db8::7",
                "IP:10.0.*", "IP:2001:db8:1:*");
    assert_string_equal(config_expression_text(partner->match.subject), "CN=node7");
    assert_string_equal(partner->home, "nodes/7");
    assert_string_equal(partner->login, "me@edge");
    assert_string_equal(partner->login_password_file, "/etc/sluice/secret");
}

/* `profile` is looked up for both directions, whichever of them exist. */
static void joins_a_partner_with_its_profiles(void **state)
{
    (void)state;
    const struct config_partner *both = config_find_partner(model, "both");
    const struct config_partner *checks = config_find_partner(model, "checks");
    const struct config_partner *requester = config_find_partner(model, "requester");
    const struct config_partner *inherits = config_find_partner(model, "inherits");
    assert_string_equal(both->profile, "both");
    assert_ptr_equal(both->client_profile, config_find_profile(model, CONFIG_CLIENT, "both"));
    assert_ptr_equal(both->server_profile, config_find_profile(model, CONFIG_SERVER, "both"));
    assert_null(checks->client_profile);
    assert_ptr_equal(checks->server_profile, config_find_profile(model, CONFIG_SERVER, "in"));
    assert_ptr_equal(requester->client_profile, config_find_profile(model, CONFIG_CLIENT, "out"));
    assert_null(requester->server_profile);
    assert_null(inherits->profile);
    assert_ptr_equal(inherits->client_profile, config_find_profile(model, CONFIG_CLIENT, "both"));
    assert_null(inherits->server_profile); /* additional checks are only what a partner names itself */
}

/* Its own profile that is missing is not made up for by its protocol's: the transfer fails, with T47E. */
static void leaves_a_partner_without_a_client_profile(void **state)
{
    (void)state;
    static const char site[] = "[server-profile in]\ncertificate = c\nkey = k\ntrust = t\n[client-profile other]\n"
                               "[protocol p]\nprofile = other\n[partner n]\nhost = h:1\nprotocol = p\nprofile = in\n";
    struct config_errors errors = { 0 };
    struct config *config = config_parse("x.ini", site, strlen(site), &errors);
    assert_non_null(config);
    assert_int_equal(errors.count, 1);
    assert_non_null(strstr(errors.items[0].text, "T47E"));
    assert_null(config_find_partner(config, "n")->client_profile);
    assert_non_null(config_find_partner(config, "n")->server_profile);
    config_free(config);
    config_errors_clear(&errors);
}

static void puts_classes_in_the_order_of_their_trial(void **state)
{
    (void)state;
    static const char *const names[] = { "first", "night", "day", "last" };
    assert_int_equal(model->class_count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(model->classes[i].name, names[i]);
        assert_string_equal(model->classes[i].section->name, names[i]);
        assert_ptr_equal(config_find_class(model, names[i]), &model->classes[i]);
    }
    assert_null(config_find_class(model, "alice"));
}

static void reads_a_class(void **state)
{
    (void)state;
    const struct config_class *night = config_find_class(model, "night"), *last = config_find_class(model, "last");
    EXPECT_LIST(&night->users, "a*", "?ob");
    EXPECT_LIST(&night->groups, "staff");
    EXPECT_LIST(&night->partners, "both");
    assert_int_equal(night->from.count, 1);
    assert_int_equal(night->order, 100);
    assert_int_equal(night->tls, CONFIG_OPTIONAL);
    assert_int_equal(night->certificate, CONFIG_DISABLED);
    assert_int_equal(night->password, CONFIG_REQUIRED);
    assert_true(night->plain_password);
    assert_int_equal(last->users.count + last->groups.count + last->partners.count + last->from.count, 0);
    assert_int_equal(last->tls, CONFIG_REQUIRED);
    assert_int_equal(last->certificate, CONFIG_OPTIONAL);
    assert_int_equal(last->password, CONFIG_OPTIONAL);
    assert_false(last->plain_password);
}

static void reads_users(void **state)
{
    (void)state;
    const struct config_user *alice = config_find_user(model, "alice"), *bob = config_find_user(model, "b.o-b_+1@x");
    EXPECT_LIST(&alice->groups, "staff", "ops");
    assert_ptr_equal(alice->partner, config_find_partner(model, "checks"));
    assert_string_equal(alice->home, "alice");
    assert_false(alice->disabled);
    assert_true(bob->disabled);
    assert_null(bob->partner);
    assert_null(bob->home);
    assert_string_equal(config_expression_text(bob->match.subject), "CN=bob");
    assert_null(config_find_user(model, "carol"));
}

/* -- addresses ----------------------------------------------------------------------------------------------------- */

struct place {
    const char *from;
    const char *address;
    bool held;
};

static const struct place places[] = {
    { "10.0.0.1", "10.0.0.1", true },
    { "10.0.0.1", "10.0.0.2", false },
    { "10.0.0.0/8", "10.255.255.255", true },
    { "10.0.0.0/8", "11.0.0.0", false },
    { "10.0.0.0/9", "10.127.255.255", true },
    { "10.0.0.0/9", "10.128.0.0", false },
    { "10.1.2.128/25", "10.1.2.129", true },
    { "10.1.2.128/25", "10.1.2.127", false },
    { "10.1.2.3/32", "10.1.2.3", true },
    { "10.1.2.3/32", "10.1.2.2", false },
    { "10.1.2.2/31", "10.1.2.3", true },
    { "0.0.0.0/0", "255.1.2.3", true },
    { "0.0.0.0/0", "2001:db8::1", false },
    { "::/0", "2001:db8::1", true },
    { "::/0", "10.0.0.1", false },
    { "::/64", "10.0.0.1", false },
    { "::ffff:10.0.0.1", "10.0.0.1", true },
    { "::ffff:10.0.0.0/104", "10.9.9.9", true },
    { "::ffff:10.0.0.0/104", "11.0.0.0", false },
    { "::ffff:0:0/96", "10.0.0.1", true },
    { "::1", "::1", true },
    { "::1", "::2", false },
    { "::1", "0.0.0.1", false },
    { "::1/128", "0:0:0:0:0:0:0:1", true },
    { "2001:DB8::/32", "2001:db8:ffff::1", true },
    { "2001:db8::/32", "2001:db9::", false },
    { "2001:db8::/127", "2001:db8::1", true },
    { "2001:db8::/127", "2001:db8::2", false },
    { "fe80::/10", "febf::1", true },
    { "fe80::/10", "fec0::1", false },
    { "10.1.*", "10.1.255.3", true },
    { "10.1.*", "10.11.0.1", false },
    { "10.?.0.1", "10.3.0.1", true },
    { "10.?.0.1", "10.33.0.1", false },
    { "*.7", "10.3.0.7", true },
    { "*.7", "10.3.0.17", false },
    { "2001:DB8:*", "2001:db8:1::1", true },
    { "2001:db8::*", "2001:db8:0:0:0:0:0:ab", true },
    { "*", "::1", true },
    { "*", "10.0.0.1", true },
    { "192.168.0.0/16, 10.1.*, ::1", "10.1.0.1", true },
    { "192.168.0.0/16, 10.1.*, ::1", "::1", true },
    { "192.168.0.0/16, 10.1.*, ::1", "10.2.0.1", false },
};

static void to_bytes(const char *address, uint8_t bytes[16])
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
    memcpy(bytes, mapped, sizeof(mapped));
    if (inet_pton(AF_INET, address, bytes + sizeof(mapped)) != 1)
        assert_int_equal(inet_pton(AF_INET6, address, bytes), 1);
}

static void a_class_is_for_the_addresses_it_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        char class[256];
        uint8_t bytes[16];
        snprintf(class, sizeof(class), "[class c]\npassword = disabled\nfrom = %s\n", places[i].from);
        struct config_errors errors = { 0 };
        struct config *config = config_parse("x.ini", class, strlen(class), &errors);
        assert_non_null(config);
        to_bytes(places[i].address, bytes);
        if (config_networks_hold(&config->classes[0].from, bytes) != places[i].held)
            fail_msg("from %s: %s: wanted %d", places[i].from, places[i].address, places[i].held);
        config_free(config);
        config_errors_clear(&errors);
    }
}

static void no_networks_hold_every_address(void **state)
{
    (void)state;
    static const struct config_networks none = { 0 };
    uint8_t bytes[16];
    to_bytes("10.0.0.1", bytes);
    assert_true(config_networks_hold(&none, bytes));
    to_bytes("::1", bytes);
    assert_true(config_networks_hold(&none, bytes));
}

static void covers_a_network_by_a_wider_one(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool covered;
    } pairs[] = {
        { "10.0.0.0/8", "10.1.0.0/16", true },
        { "10.1.0.0/16", "10.0.0.0/8", false },
        { "10.0.0.0/8", "10.0.0.0/8", true },
        { "10.0.0.0/8", "11.0.0.0/16", false },
        { "*", "10.0.0.0/8", true },
        { "**", "1*", true },
        { "10.*", "10.*", true },
        { "10.*", "10.1.*", false }, /* not told */
        { "10.*", "10.1.0.0/16", false },
        { "10.0.0.0/8", "10.*", false },
        { "::/0", "2001:db8::/32", true },
        { "::/0", "10.0.0.0/8", false },
        { "0.0.0.0/0", "::ffff:10.0.0.1", true },
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        struct config_network a, b;
        assert_null(config_network_read(pairs[i].a, &a));
        assert_null(config_network_read(pairs[i].b, &b));
        if (config_network_covers(&a, &b) != pairs[i].covered)
            fail_msg("%s, %s: wanted %d", pairs[i].a, pairs[i].b, pairs[i].covered);
        free(a.pattern);
        free(b.pattern);
    }
}

static void stars_and_question_marks(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool holds;
    } globs[] = {
        { "", "", true },        { "", "a", false },          { "*", "", true },
        { "*", "abc", true },    { "?", "", false },          { "?", "a", true },
        { "a*c", "abbc", true }, { "a*c", "abcb", false },    { "*b*", "abc", true },
        { "a?c", "abc", true },  { "a?c", "ac", false },      { "A", "a", false },
        { "*ab", "aab", true },  { "a**b", "ab", true },      { "ab", "abc", false },
        { "abc", "ab", false },  { "*a*a*b", "aaaa", false }, { "??*", "a", false },
        { "[a]", "a", false },   { "\\*", "*", false },
    };
    for (size_t i = 0; i < sizeof(globs) / sizeof(globs[0]); i++) {
        if (config_glob(globs[i].pattern, globs[i].text) != globs[i].holds)
            fail_msg("%s, %s: wanted %d", globs[i].pattern, globs[i].text, globs[i].holds);
    }
}

/* A thousand users are compared, each with each; what takes longer is left, and said. */
static void compares_a_thousand_certificates(void **state)
{
    (void)state;
    char *site = NULL;
    size_t size;
    FILE *out = open_memstream(&site, &size);
    for (unsigned i = 0; i < 1000; i++)
        fprintf(out, "[user u%u]\nmatch_subject = O=Acme AND CN=user%u\n", i, i == 999 ? 998 : i);
    fclose(out);
    struct config_errors errors = { 0 };
    struct config *config = config_parse("x.ini", site, size, &errors);
    assert_non_null(config);
    assert_int_equal(errors.count, 2); /* and that there is nothing to do */
    assert_non_null(strstr(errors.items[1].text, "that of user \"u998\" in line 1998"));
    config_free(config);
    config_errors_clear(&errors);
    free(site);
}

static void leaves_what_takes_too_long_and_says_so(void **state)
{
    (void)state;
    char *site = NULL;
    size_t size;
    FILE *out = open_memstream(&site, &size);
    for (unsigned i = 0; i < 250; i++) {
        fprintf(out, "[user u%u]\nmatch_subject = CN=%u", i, i);
        for (unsigned j = 0; j < 40; j++)
            fprintf(out, " AND \\\nO=%090u", j);
        fprintf(out, "\n");
    }
    fclose(out);
    struct config_errors errors = { 0 };
    struct config *config = config_parse("x.ini", site, size, &errors);
    bool said = false;
    for (size_t i = 0; i < errors.count; i++)
        said = said || strstr(errors.items[i].text, "too many long match_ keys to compare each with each");
    if (!said)
        config_errors_print(&errors, stderr);
    assert_true(said);
    assert_non_null(config);
    config_free(config);
    config_errors_clear(&errors);
    free(site);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_servers_people),
        cmocka_unit_test(reads_what_a_store_grants),
        cmocka_unit_test(reads_every_key_of_a_profile),
        cmocka_unit_test(gives_a_profile_its_defaults),
        cmocka_unit_test(reads_a_partner),
        cmocka_unit_test(joins_a_partner_with_its_profiles),
        cmocka_unit_test(leaves_a_partner_without_a_client_profile),
        cmocka_unit_test(puts_classes_in_the_order_of_their_trial),
        cmocka_unit_test(reads_a_class),
        cmocka_unit_test(reads_users),
        cmocka_unit_test(a_class_is_for_the_addresses_it_names),
        cmocka_unit_test(no_networks_hold_every_address),
        cmocka_unit_test(covers_a_network_by_a_wider_one),
        cmocka_unit_test(stars_and_question_marks),
        cmocka_unit_test(compares_a_thousand_certificates),
        cmocka_unit_test(leaves_what_takes_too_long_and_says_so),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
