// rooms: ktls config support
/* Every certificate of a configuration, as a tree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ktls/inventory.h"
#include "tests/support/pki.h"

#define DAY 86400L

static struct pki *pki;

static void join(const char *to, const char *first, const char *second)
{
    char bytes[16384];
    size_t length = 0;
    const char *names[] = { first, second };
    for (size_t i = 0; i < 2; i++) {
        FILE *file = fopen(pki_path(pki, names[i]), "r");
        assert_non_null(file);
        length += fread(bytes + length, 1, sizeof bytes - length, file);
        fclose(file);
    }
    pki_write(pki, to, bytes, length);
}

static int set_up(void **state)
{
    (void)state;
    pki = pki_new();
    setenv("SSL_CERT_FILE", pki_path(pki, "system.pem"), 1);
    setenv("SSL_CERT_DIR", pki_path(pki, "nowhere"), 1);
    pki_make(pki, &(struct pki_leaf){ .name = "node", .starts = -DAY, .ends = 90 * DAY });
    pki_make(pki, &(struct pki_leaf){ .name = "old", .key = PKI_RSA, .starts = -90 * DAY, .ends = -DAY });
    pki_make(pki, &(struct pki_leaf){ .name = "self", .key = PKI_ED25519, .ends = 10 * DAY + 60, .self_signed = 1 });
    pki_make_ca(pki, "middle", 30 * DAY + 60);
    pki_make_below(pki, "middle", &(struct pki_leaf){ .name = "low", .starts = -DAY, .ends = 90 * DAY });
    join("full.pem", "low.pem", "middle.pem");
    join("twice.pem", "ca.pem", "ca.pem");
    join("system.pem", "self.pem", "self.pem");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pki_free(pki);
    return 0;
}

static struct tls_inventory *take(const char *text)
{
    struct config_errors errors = { 0 };
    struct config *config = config_parse(pki_path(pki, "site.ini"), text, strlen(text), &errors);
    if (!config)
        config_errors_print(&errors, stderr);
    assert_non_null(config);
    struct tls_inventory *inventory = tls_inventory_new(config);
    assert_non_null(inventory);
    config_errors_clear(&errors);
    config_free(config);
    return inventory;
}

/* The place of the one whose subject starts with CN=NAME, or -1. */
static int find(const struct tls_inventory *inventory, const char *name)
{
    for (size_t i = 0; i < inventory->count; i++) {
        const char *subject = inventory->items[i].subject;
        if (strncmp(subject, "CN=", 3) == 0 && strncmp(subject + 3, name, strlen(name)) == 0)
            return (int)i;
    }
    return -1;
}

static void stands_as_a_tree_with_the_roots_at_the_top(void **state)
{
    (void)state;
    struct tls_inventory *inventory = take(
        "[server-profile in]\ncertificate = full.pem, old.pem\nkey = low.key, old.key\ntrust = ca.pem, self.pem\n");
    static const struct {
        const char *name;
        unsigned depth, uses;
        int issuer;
        const char *key, *used_by;
    } rows[] = {
        { "Test CA", 0, TLS_USE_TRUST, 0, "ECDSA P-256", "server-profile in (trust)" },
        { "middle", 1, TLS_USE_CHAIN, 0, "ECDSA P-256", "server-profile in (chain)" },
        { "low", 2, TLS_USE_OWN, 1, "ECDSA P-256", "server-profile in (own)" },
        { "old", 1, TLS_USE_OWN, 0, "RSA 2048", "server-profile in (own)" },
        { "self", 0, TLS_USE_TRUST, 4, "Ed25519", "server-profile in (trust)" },
    };
    int expected_place[] = { find(inventory, "Test CA"), find(inventory, "middle"), find(inventory, "low"),
                             find(inventory, "old"), find(inventory, "self") };
    assert_int_equal(inventory->count, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_true(expected_place[i] >= 0);
        const struct tls_certificate *found = &inventory->items[expected_place[i]];
        assert_int_equal(found->depth, rows[i].depth);
        assert_int_equal(found->uses, rows[i].uses);
        assert_int_equal(found->issuer_index, expected_place[rows[i].issuer]);
        assert_string_equal(found->key, rows[i].key);
        assert_string_equal(found->used_by, rows[i].used_by);
        assert_int_equal(strlen(found->fingerprint), 64);
        if (found->depth) { /* behind what issued it, with nothing of less depth between */
            assert_true(found->issuer_index < expected_place[i]);
            for (int at = found->issuer_index + 1; at < expected_place[i]; at++)
                assert_true(inventory->items[at].depth >= found->depth);
        }
    }
    assert_int_equal(inventory->problems.count, 0);
    assert_int_equal(inventory->system_count, 0);
    assert_string_equal(inventory->system_used_by, "");
    tls_inventory_free(inventory);
}

static void counts_days(void **state)
{
    (void)state;
    struct tls_inventory *inventory = take("[client-profile out]\ncertificate = old.pem\nkey = old.key\ntrust = "
                                           "middle.pem, self.pem\n");
    const struct tls_certificate *old = &inventory->items[find(inventory, "old")];
    assert_true(old->days_left == -1 || old->days_left == -2);
    assert_int_equal(inventory->items[find(inventory, "middle")].days_left, 30);
    assert_int_equal(inventory->items[find(inventory, "self")].days_left, 10);
    assert_true(old->not_after - old->not_before == 89 * DAY);
    tls_inventory_free(inventory);
}

static void has_each_certificate_once_with_all_who_use_it(void **state)
{
    (void)state;
    struct tls_inventory *inventory =
        take("[server-profile in]\ncertificate = node.pem\nkey = node.key\ntrust = ca.pem, twice.pem\n"
             "[client-profile out]\ncertificate = node.pem\nkey = node.key\ntrust = twice.pem\n");
    assert_int_equal(inventory->count, 2);
    const struct tls_certificate *root = &inventory->items[0], *node = &inventory->items[1];
    assert_string_equal(root->used_by, "server-profile in (trust), client-profile out (trust)");
    assert_string_equal(node->used_by, "server-profile in (own), client-profile out (own)");
    assert_string_equal(root->file, pki_path(pki, "ca.pem"));
    tls_inventory_free(inventory);
}

static void says_where_an_issuer_is_missing_or_the_systems(void **state)
{
    (void)state;
    static const char text[] = "[server-profile in]\ncertificate = low.pem\nkey = low.key\ntrust = self.pem\n";
    struct tls_inventory *inventory = take(text);
    int low = find(inventory, "low");
    assert_int_equal(inventory->items[low].issuer_index, TLS_ISSUER_MISSING);
    assert_int_equal(inventory->items[low].depth, 0);
    assert_int_equal(low, 1); /* behind the roots */
    tls_inventory_free(inventory);

    setenv("SSL_CERT_FILE", pki_path(pki, "middle.pem"), 1);
    inventory = take(text);
    assert_int_equal(inventory->items[find(inventory, "low")].issuer_index, TLS_ISSUER_SYSTEM);
    assert_int_equal(inventory->system_count, 0); /* nobody trusts it */
    tls_inventory_free(inventory);
    setenv("SSL_CERT_FILE", pki_path(pki, "system.pem"), 1);
}

static void counts_the_systems_store_and_does_not_list_it(void **state)
{
    (void)state;
    struct tls_inventory *inventory = take("[client-profile out]\ntrust = system\n");
    assert_int_equal(inventory->count, 0);
    assert_int_equal(inventory->system_count, 1);
    assert_string_equal(inventory->system_used_by, "client-profile out (trust)");
    tls_inventory_free(inventory);
}

static void goes_on_where_a_file_cannot_be_read_and_says_so(void **state)
{
    (void)state;
    struct tls_inventory *inventory =
        take("[server-profile in]\ncertificate = absent.pem\nkey = node.key\ntrust = ca.pem\n");
    assert_int_equal(inventory->count, 1);
    assert_int_equal(inventory->problems.error_count, 1);
    assert_non_null(strstr(inventory->problems.items[0].text, "site.ini:2: server-profile \"in\": certificate \""));
    assert_non_null(strstr(inventory->problems.items[0].text, "No such file"));
    tls_inventory_free(inventory);
    tls_inventory_free(NULL);
}

static void tells_what_expires_soon_from_what_has_expired(void **state)
{
    (void)state;
    static const struct {
        int days_left;
        unsigned warning_days;
        enum tls_expiry expiry;
    } cases[] = {
        { -1, 0, TLS_EXPIRY_PAST },   { -1, 30, TLS_EXPIRY_PAST },    { 0, 0, TLS_EXPIRY_LATER },
        { 0, 1, TLS_EXPIRY_SOON },    { 29, 30, TLS_EXPIRY_SOON },    { 30, 30, TLS_EXPIRY_LATER },
        { 30, 365, TLS_EXPIRY_SOON }, { 400, 365, TLS_EXPIRY_LATER },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct tls_certificate certificate = { .days_left = cases[i].days_left };
        assert_int_equal(tls_certificate_expiry(&certificate, cases[i].warning_days), cases[i].expiry);
    }
}

/* Each once, at the place that names it first; what has expired and what cannot be read is said elsewhere. */
static void warns_of_what_expires_soon(void **state)
{
    (void)state;
    static const char text[] = "[server]\nexpiry_warning_days = 11\n"
                               "[server-profile in]\ncertificate = full.pem, old.pem, absent.pem\nkey = low.key, "
                               "old.key, node.key\ntrust = ca.pem, self.pem\n"
                               "[client-profile out]\ntrust = self.pem\n";
    struct config_errors errors = { 0 };
    struct config *config = config_parse(pki_path(pki, "site.ini"), text, strlen(text), &errors);
    assert_non_null(config);
    config_errors_clear(&errors);
    tls_inventory_warn(config, &errors);
    assert_int_equal(errors.count, 1);
    assert_int_equal(errors.error_count, 0);
    assert_non_null(strstr(errors.items[0].text, "site.ini:6: server-profile \"in\": trust \""));
    assert_non_null(strstr(errors.items[0].text, "self.pem\": \"CN=self,O=Sluice tests\" expires on 20"));
    assert_non_null(strstr(errors.items[0].text, ", in 10 days; "));
    assert_non_null(strstr(errors.items[0].text, "server-profile in (trust), client-profile out (trust)"));
    config_errors_clear(&errors);
    config_free(config);
}

static void is_empty_for_a_configuration_without_profiles(void **state)
{
    (void)state;
    struct tls_inventory *inventory = take("[server]\n");
    assert_int_equal(inventory->count, 0);
    tls_inventory_free(inventory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stands_as_a_tree_with_the_roots_at_the_top),
        cmocka_unit_test(counts_days),
        cmocka_unit_test(has_each_certificate_once_with_all_who_use_it),
        cmocka_unit_test(says_where_an_issuer_is_missing_or_the_systems),
        cmocka_unit_test(counts_the_systems_store_and_does_not_list_it),
        cmocka_unit_test(goes_on_where_a_file_cannot_be_read_and_says_so),
        cmocka_unit_test(tells_what_expires_soon_from_what_has_expired),
        cmocka_unit_test(warns_of_what_expires_soon),
        cmocka_unit_test(is_empty_for_a_configuration_without_profiles),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
