// rooms: config
/* Two configurations that let in the same people, and two that do not: every key that is marked as access. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/compare.h"
#include "config/expression.h"
#include "config/internal.h"

static struct config_errors found;

static struct config *parse(const char *file, const char *text)
{
    struct config_errors errors = { 0 };
    struct config *config = config_parse(file, text, strlen(text), &errors);
    if (!config)
        config_errors_print(&errors, stderr);
    assert_non_null(config);
    config_errors_clear(&errors);
    return config;
}

static bool name_of(void *argument, const char *word, char name[CONFIG_SUITE_NAME])
{
    (void)argument;
    static const char *const names[][2] = { { "49199", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" },
                                            { "ECDHE-RSA-AES128-GCM-SHA256",
                                              "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" } };
    for (size_t i = 0; i < 2; i++) {
        if (strcmp(names[i][0], word) == 0) {
            strcpy(name, names[i][1]);
            return true;
        }
    }
    return false;
}

static void compare(const char *a, const char *b, const char *text_a, const char *text_b)
{
    static const struct config_suites suites = { .name = name_of };
    struct config *config_a = parse(a, text_a), *config_b = parse(b, text_b);
    config_errors_clear(&found);
    assert_int_equal(config_compare_access(config_a, config_b, &suites, &found), 0);
    config_free(config_a);
    config_free(config_b);
}

static size_t count(const char *text_a, const char *text_b)
{
    compare("/a.ini", "/b.ini", text_a, text_b);
    return found.count;
}

static int clear(void **state)
{
    (void)state;
    config_errors_clear(&found);
    return 0;
}

/* A file with one section of each kind; what is inserted goes to the kind's place. */
static const struct {
    const char *kind, *text;
} frame[] = {
    { "server", "[server]\npassword_file = users\n" },
    { "store", "[store s]\nroot = /srv\n" },
    { "server-profile", "[server-profile p]\ncertificate = c.pem\nkey = c.key\ntrust = ca.pem\n" },
    { "client-profile", "[client-profile p]\ncertificate = c.pem\nkey = c.key\ninsecure = yes\n" },
    { "protocol", "[protocol w]\nlisten = 127.0.0.1:0\n" },
    { "partner", "[partner n]\n" },
    { "class", "[class k]\n" },
    { "user", "[user u]\nmatch_san = DNS:u\n[user v]\nmatch_san = DNS:v\ngroups = g, h\n" },
};

/* What must stand in a section whatever is tried, unless it is the key itself. */
static const struct {
    const char *kind, *key, *value;
} always[] = {
    { "protocol", "profile", "p" },
    { "protocol", "store", "s" },
};

static void frame_with(char *out, size_t size, const char *kind, const char *key, const char *value)
{
    size_t length = (size_t)snprintf(out, size,
                                     "[store t]\nroot = /srv/t\n[server-profile q]\ncertificate = c.pem\nkey = c.key\n"
                                     "trust = ca.pem\n[client-profile q]\n[partner m]\n");
    for (size_t i = 0; i < sizeof(frame) / sizeof(frame[0]); i++) {
        bool here = strcmp(frame[i].kind, kind) == 0;
        /* The key stands behind its own section's header, and [user v] is behind [user u]. */
        const char *rest = strchr(frame[i].text, '\n') + 1;
        length += (size_t)snprintf(out + length, size - length, "%.*s", (int)(rest - frame[i].text), frame[i].text);
        for (size_t j = 0; j < sizeof(always) / sizeof(always[0]); j++) {
            if (strcmp(always[j].kind, frame[i].kind) == 0 && !(here && strcmp(always[j].key, key) == 0))
                length += (size_t)snprintf(out + length, size - length, "%s = %s\n", always[j].key, always[j].value);
        }
        size_t own = here ? strlen(key) : 0;
        if (here && value)
            length += (size_t)snprintf(out + length, size - length, "%s = %s\n", key, value);
        if (own && strncmp(rest, key, own) == 0 && rest[own] == ' ')
            rest = strchr(rest, '\n') + 1; /* ours stands in its place */
        length += (size_t)snprintf(out + length, size - length, "%s", rest);
    }
    assert_true(length < size);
}

#define PRINT "00112233445566778899aabbccddeeff00112233445566778899aabbccddee"

/* A value, another way to write it (NULL: there is none), and a value that differs. NULL: the key is not given. */
static const struct row {
    const char *kind, *key, *value, *same, *other;
} rows[] = {
    { "server", "strict_partner_profiles", "yes", NULL, "no" },
    { "server", "strict_partner_profiles", "no", NULL, "yes" },
    { "store", "anonymous", "none", NULL, "read" },
    { "store", "anonymous", NULL, "none", "write" },
    { "store", "read", "user:u, user:v", "user:v , user:u,user:u", "user:u" },
    { "store", "read", "anyone", NULL, NULL },
    { "store", "write", "authenticated, class:k", "class:k,authenticated", "authenticated" },
    { "store", "list", "user:u, user:v", "user:v, user:u", "user:u" },
    { "store", "delete", "user:u, user:v", "user:v, user:u", NULL },
    { "store", "overwrite", NULL, "yes", "no" },
    { "server-profile", "verify", "required", NULL, "optional" },
    { "server-profile", "verify", NULL, "required", "none" },
    { "server-profile", "subject", "CN=a, O=b", "o=\"B\" OR CN=A", "CN=a AND O=b" },
    { "server-profile", "subject", "CN=a", "CN=a, CN=a", NULL },
    { "server-profile", "subject", "CN=a*", NULL, "CN=a\\*" },
    { "server-profile", "subject", "NOT (CN=a AND (O=b AND C=c))", "NOT (C=c AND O=b AND CN=a)",
      "CN=a AND O=b AND C=c" },
    { "server-profile", "subject", "contains:\"x\"", "contains:\"X\"", "contains:\"y\"" },
    { "server-profile", "issuer", "CN=a", "cn = A", "CN=b" },
    { "server-profile", "depth", "3", "03", "4" },
    { "server-profile", "depth", NULL, "10", "9" },
    { "server-profile", "key_usage", "verify", NULL, "none" },
    { "server-profile", "ciphers", "49199, 4865", "ECDHE-RSA-AES128-GCM-SHA256, 4865", "4865, 49199" },
    { "server-profile", "ciphers", "TLS_AES_128_GCM_SHA256", "tls_aes_128_gcm_sha256", NULL },
    { "server-profile", "min_version", NULL, "1.2", "1.3" },
    { "server-profile", "max_version", NULL, "1.3", "1.2" },
    { "server-profile", "groups", "X25519, P-256", "x25519,p-256", "P-256, X25519" },
    { "server-profile", "signature_algorithms", "a, b", "A, B", "b, a" },
    { "server-profile", "fips", "no", NULL, "yes" },
    { "client-profile", "verify", "required", NULL, "enforced" },
    { "client-profile", "hostname", "yes", NULL, "no" },
    { "client-profile", "hostname", "node7.example.com", "NODE7.example.com", "node8.example.com" },
    { "client-profile", "subject", "CN=a, CN=b", "CN=b, CN=a", "CN=a" },
    { "client-profile", "issuer", "CN=a", NULL, NULL },
    { "client-profile", "depth", "3", NULL, "4" },
    { "client-profile", "key_usage", "verify", NULL, "none" },
    { "client-profile", "ciphers", "49199, 4865", "ECDHE-RSA-AES128-GCM-SHA256, 4865", "49199" },
    { "client-profile", "min_version", NULL, "1.2", "1.3" },
    { "client-profile", "max_version", NULL, "1.3", "1.2" },
    { "client-profile", "groups", "X25519, P-256", NULL, "P-256" },
    { "client-profile", "signature_algorithms", "a, b", NULL, "a" },
    { "client-profile", "ocsp", "no", NULL, "staple" },
    { "client-profile", "fips", "no", NULL, "yes" },
    { "protocol", "profile", "p", NULL, "q" },
    { "protocol", "store", "s", NULL, "t" },
    { "partner", "profile", "p", NULL, "q" },
    { "partner", "profile", "p", NULL, NULL },
    { "partner", "match_fingerprint", PRINT "01, " PRINT "02", PRINT "02, " PRINT "01", PRINT "01" },
    { "partner", "match_subject", "CN=n", "cn=N", "CN=nn" },
    { "partner", "match_san", "DNS:a, DNS:b", "DNS:b, DNS:a", "DNS:a" },
    { "partner", "home", "a/b", NULL, "a/c" },
    { "class", "users", "u, v", "v, u", "u" },
    { "class", "groups", "g*, h", "h, g*", "g, h" },
    { "class", "partners", "n, m", "m,n", "n" },
    { "class", "from", "10.0.0.0/8, 192.0.2.*", "192.0.2.*,10.0.0.0/8", "10.0.0.0/9, 192.0.2.*" },
    { "class", "from", "2001:db8::/32", "2001:DB8:0::/32", "2001:db8::/33" },
    { "class", "from", "10.0.0.1", "10.0.0.1/32", "10.0.0.2" },
    { "class", "tls", "required", NULL, "optional" },
    { "class", "certificate", "optional", NULL, "disabled" },
    { "class", "password", NULL, "optional", "required" },
    { "class", "plain_password", "no", NULL, "yes" },
    { "user", "match_fingerprint", PRINT "01", NULL, PRINT "02" },
    { "user", "match_subject", "CN=u", "CN = u", "CN=uu" },
    { "user", "match_san", "DNS:u, DNS:x", "DNS:x,DNS:u", "DNS:x" },
    { "user", "groups", "g, h", "h, g", "g" },
    { "user", "partner", "n", NULL, "m" },
    { "user", "home", "a", NULL, NULL },
    { "user", "disabled", NULL, "no", "yes" },
};

/* These are compared by other means: see below, and engine/cli/same_access.c for what stands in files. */
static bool elsewhere(const struct config_key *key)
{
    return key->type == CONFIG_TYPE_PATH || key->type == CONFIG_TYPE_PATHS || strcmp(key->name, "order") == 0;
}

static void the_table_has_every_key_that_is_access(void **state)
{
    (void)state;
    for (const struct config_kind *kind = config_kinds; kind->name; kind++) {
        for (const struct config_key *key = kind->keys; key->name; key++) {
            bool listed = false;
            for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                listed = listed || (strcmp(rows[i].kind, kind->name) == 0 && strcmp(rows[i].key, key->name) == 0);
            if (listed != (key->access && !elsewhere(key)))
                fail_msg("%s of %s", key->name, kind->name);
        }
    }
}

static void a_value_is_no_difference_from_itself(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char a[4096], b[4096];
        frame_with(a, sizeof(a), rows[i].kind, rows[i].key, rows[i].value);
        frame_with(b, sizeof(b), rows[i].kind, rows[i].key, rows[i].same ? rows[i].same : rows[i].value);
        if (count(a, b) != 0 || count(b, a) != 0)
            fail_msg("row %zu: %s", i, found.items[0].text);
    }
}

static void another_value_is_a_difference_and_both_places_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *row = &rows[i];
        char a[4096], b[4096], wanted[64];
        frame_with(a, sizeof(a), row->kind, row->key, row->value);
        frame_with(b, sizeof(b), row->kind, row->key, row->other);
        snprintf(wanted, sizeof(wanted), ": %s is ", row->key);
        for (int turned = 0; turned < 2; turned++) {
            size_t differences = turned ? count(b, a) : count(a, b);
            if (differences != 1)
                fail_msg("row %zu (%s of %s): %zu differences", i, row->key, row->kind, differences);
            const char *text = found.items[0].text;
            const char *second = strstr(text, " in /b.ini:");
            if (strncmp(text, "/a.ini:", 7) != 0 || !strstr(text, wanted) || !second ||
                !strchr("123456789", second[11]))
                fail_msg("row %zu: %s", i, text);
        }
    }
}

static void a_difference_is_a_sentence_with_its_lines(void **state)
{
    (void)state;
    compare("edge.ini", "/srv/server.ini", "[class x]\npassword = disabled\ntls = optional\n",
            "[class x]\n\n\n\npassword = disabled\n");
    assert_int_equal(found.count, 1);
    assert_string_equal(found.items[0].text,
                        "edge.ini:3: class \"x\": tls is \"optional\", but \"required\" by default in "
                        "/srv/server.ini:1");
    compare("/srv/server.ini", "edge.ini", "[class x]\n\n\n\npassword = disabled\n",
            "[class x]\npassword = disabled\ntls = optional\n");
    assert_string_equal(found.items[0].text, "/srv/server.ini:1: class \"x\": tls is \"required\" by default, but "
                                             "\"optional\" in edge.ini:3");
    compare("edge.ini", "b.ini", "[server]\nstrict_partner_profiles = yes\n", "");
    assert_string_equal(found.items[0].text,
                        "edge.ini:2: server: strict_partner_profiles is \"yes\", but \"no\" by default "
                        "in b.ini");
    compare("b.ini", "edge.ini", "", "[server]\nstrict_partner_profiles = yes\n");
    assert_string_equal(found.items[0].text,
                        "b.ini: server: strict_partner_profiles is \"no\" by default, but \"yes\" in "
                        "edge.ini:2");
    compare("a.ini", "b.ini", "[partner n]\nhome = x\n", "[partner n]\n");
    assert_string_equal(found.items[0].text, "a.ini:2: partner \"n\": home is \"x\", but not given in b.ini:1");
}

/* Sections that one side lacks, in a, in b, and what is told. */
static const struct {
    const char *a, *b, *told;
} lacks[] = {
    { "[store s]\nroot = /a\n", "", "a.ini:1: store \"s\": b.ini has no such section" },
    { "", "\n[class k]\n", "b.ini:2: class \"k\": a.ini has no such section" },
    { "[partner n]\n", "[partner m]\n", "a.ini:1: partner \"n\": b.ini has no such section" },
    { "[server-profile p]\ncertificate = c\nkey = k\ntrust = t\n", "[client-profile p]\n",
      "a.ini:1: server-profile \"p\": b.ini has no such section" },
    { "[user u]\nhome = x\n", "", "a.ini:1: user \"u\": b.ini has no such section" },
    { "[protocol w]\n", "", "a.ini:1: protocol \"w\": b.ini has no such section" },
    { "[user u]\n", "", NULL },
    { "[user u]\ndisabled = no\n", "", NULL },
};

static void sections_that_one_side_lacks_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(lacks) / sizeof(lacks[0]); i++) {
        compare("a.ini", "b.ini", lacks[i].a, lacks[i].b);
        size_t differences = found.count;
        bool told = !lacks[i].told;
        for (size_t j = 0; j < found.count; j++)
            told = told || strcmp(found.items[j].text, lacks[i].told) == 0;
        if (!told || (differences > 0) != (lacks[i].told != NULL))
            fail_msg("row %zu", i);
        compare("b.ini", "a.ini", lacks[i].b, lacks[i].a);
        assert_int_equal(found.count, differences);
    }
}

static void the_order_of_classes_counts_and_not_its_numbers(void **state)
{
    (void)state;
    assert_int_equal(count("[class x]\norder = 1\n[class y]\n", "[class y]\norder = 7\n[class x]\norder = 6\n"), 0);
    assert_int_equal(count("[class x]\n[class y]\n", "[class y]\n[class x]\norder = 6\n"), 0);
    compare("a.ini", "b.ini", "[class x]\n[class y]\n", "[class x]\n[class y]\norder = 6\n");
    assert_int_equal(found.count, 1);
    assert_string_equal(found.items[0].text, "a.ini:1: class \"x\": it is tried before \"y\", but after it in b.ini:2");
    compare("b.ini", "a.ini", "[class x]\n[class y]\norder = 6\n", "[class x]\n[class y]\n");
    assert_int_equal(found.count, 1);
    assert_string_equal(found.items[0].text, "b.ini:3: class \"y\": it is tried before \"x\", but after it in a.ini:1");
    /* A class that only one has is told of, and is not in the way. */
    assert_int_equal(count("[class x]\n[class only]\n[class y]\n", "[class x]\n[class y]\n"), 1);
}

static void who_may_list_follows_who_may_read(void **state)
{
    (void)state;
    assert_int_equal(
        count("[store s]\nroot = /a\nread = anyone\n", "[store s]\nroot = /a\nread = anyone\nlist = anyone\n"), 0);
    assert_int_equal(count("[store s]\nroot = /a\nread = anyone\n", "[store s]\nroot = /a\nread = authenticated\n"), 1);
    assert_int_equal(
        count("[store s]\nroot = /a\nread = anyone\n", "[store s]\nroot = /a\nread = anyone\nlist = authenticated\n"),
        1);
}

static void what_is_no_access_may_differ(void **state)
{
    (void)state;
    assert_int_equal(
        count("[server]\nworkers = 4\nmax_connections = 7\nevents = json\n[store s]\nroot = /a\n"
              "[server-profile p]\ncertificate = a.pem\nkey = a.key\ntrust = x\nnote = edge\noffload = off\n"
              "[protocol w]\nlisten = 127.0.0.1:1\nprofile = p\nstore = s\n[client-profile p]\n"
              "[partner n]\nhost = here:1\nprofile = p\n",
              "[store s]\nroot = /b\n[server-profile p]\ncertificate = b.pem\nkey = b.key\ntrust = y\n"
              "save_chain = chains\n[client-profile p]\ncertificate = z\nkey = z\n"
              "[partner n]\nhost = there:2\nprofile = p\n"
              "[protocol w]\nlisten = 0.0.0.0:2\nprofile = p\nstore = s\n"),
        0);
}

static void a_protocol_that_listens_on_one_side_only_is_named(void **state)
{
    (void)state;
    static const char profiles[] = "[store s]\nroot = /b\n[server-profile p]\ncertificate = b.pem\nkey = b.key\n"
                                   "trust = y\n[client-profile p]\n[protocol w]\nprofile = p\nstore = s\n";
    char listening[512];
    snprintf(listening, sizeof(listening), "%slisten = 127.0.0.1:1\n", profiles);
    assert_int_equal(count(listening, profiles), 1);
    assert_string_equal(found.items[0].text, "/a.ini:11: protocol \"w\": it listens, but does not in /b.ini:8");
    assert_int_equal(count(profiles, listening), 1);
    assert_string_equal(found.items[0].text, "/a.ini:8: protocol \"w\": it does not listen, but listens in /b.ini:11");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_has_every_key_that_is_access),
        cmocka_unit_test(a_value_is_no_difference_from_itself),
        cmocka_unit_test(another_value_is_a_difference_and_both_places_are_named),
        cmocka_unit_test(a_difference_is_a_sentence_with_its_lines),
        cmocka_unit_test(sections_that_one_side_lacks_are_named),
        cmocka_unit_test(the_order_of_classes_counts_and_not_its_numbers),
        cmocka_unit_test(who_may_list_follows_who_may_read),
        cmocka_unit_test(what_is_no_access_may_differ),
        cmocka_unit_test(a_protocol_that_listens_on_one_side_only_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, clear);
}
