// rooms: config
/* What a right configuration becomes: every type of value, every default, every reference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/internal.h"

static struct config *model;

static const char text[] = "[server]\n"
                           "workers = 4\n"
                           "header_limit = 32K\n"
                           "max_upload = 3T\n"
                           "handshake_timeout = 2m\n"
                           "header_timeout = 500ms\n"
                           "idle_timeout = 1h\n"
                           "events = json\n"
                           "[store main]\n"
                           "root = ../data\n"
                           "anonymous = read\n"
                           "[store other]\n"
                           "root = /srv/other\n"
                           "[server-profile both]\n"
                           "certificate = certs/server.pem\n"
                           "key = /etc/ssl/private/server.key\n"
                           "trust = certs/ca.pem , /etc/ssl/certs\n"
                           "ciphers = TLS_AES_128_GCM_SHA256,49199, ECDHE-RSA-AES256-GCM-SHA384\n"
                           "verify = optional\n"
                           "min_version = 1.3\n"
                           "offload = required\n"
                           "[client-profile both]\n"
                           "hostname = node7.example.com\n"
                           "max_version = 1.2\n"
                           "offload = off\n"
                           "[client-profile mine]\n"
                           "certificate = c.pem\n"
                           "key = c.key\n"
                           "verify = enforced\n"
                           "hostname = no\n"
                           "[protocol bulk]\n"
                           "listen = 0.0.0.0:8443, [::1]:0, localhost:8444, [fe80::1%eth0]:8443\n"
                           "profile = both\n"
                           "store = main\n"
                           "[protocol out]\n"
                           "profile = mine\n"
                           "[partner a]\n"
                           "host = node7:8443, [2001:db8::7]:8443\n"
                           "protocol = bulk\n"
                           "[partner b]\n"
                           "host = node8:1\n"
                           "protocol = bulk\n"
                           "profile = mine\n"
                           "[partner c]\n";

static int load(void **state)
{
    (void)state;
    struct config_errors errors = { 0 };
    model = config_parse("/etc/sluice/site.ini", text, strlen(text), &errors);
    config_errors_print(&errors, stderr);
    size_t count = errors.count;
    config_errors_clear(&errors);
    return model && count == 0 ? 0 : -1;
}

static int unload(void **state)
{
    (void)state;
    config_free(model);
    return 0;
}

static void reads_numbers_sizes_times_and_choices(void **state)
{
    (void)state;
    assert_int_equal(model->server.workers, 4);
    assert_int_equal(model->server.header_limit, 32 * 1024);
    assert_true(model->server.max_upload == UINT64_C(3) << 40);
    assert_int_equal(model->server.handshake_timeout, 120000);
    assert_int_equal(model->server.header_timeout, 500);
    assert_int_equal(model->server.idle_timeout, 3600000);
    assert_int_equal(model->server.events, CONFIG_EVENTS_JSON);
    assert_non_null(model->server.section);
}

static void gives_defaults_to_keys_that_are_absent(void **state)
{
    (void)state;
    assert_int_equal(model->server.handshake_threads, 0);
    assert_int_equal(model->server.file_threads, 8);
    assert_int_equal(model->server.max_connections, 10000);
    assert_int_equal(config_find_store(model, "other")->anonymous, CONFIG_ACCESS_NONE);
}

static void gives_defaults_where_there_is_no_server_section(void **state)
{
    (void)state;
    struct config_errors errors = { 0 };
    struct config *empty = config_parse("x.ini", "", 0, &errors);
    assert_non_null(empty);
    assert_null(empty->server.section);
    assert_int_equal(empty->server.header_limit, 16 * 1024);
    assert_int_equal(empty->server.idle_timeout, 60000);
    assert_int_equal(empty->server.max_requests, 100000);
    assert_int_equal(empty->server.events, CONFIG_EVENTS_TEXT);
    config_free(empty);
    config_errors_clear(&errors);
}

static void takes_paths_relative_to_the_file(void **state)
{
    (void)state;
    const struct config_profile *profile = config_find_profile(model, CONFIG_SERVER, "both");
    assert_string_equal(config_find_store(model, "main")->root, "/etc/sluice/../data");
    assert_string_equal(profile->certificate.items[0], "/etc/sluice/certs/server.pem");
    assert_string_equal(profile->key.items[0], "/etc/ssl/private/server.key");
    assert_int_equal(profile->trust.count, 2);
    assert_string_equal(profile->trust.items[0], "/etc/sluice/certs/ca.pem");
    assert_string_equal(profile->trust.items[1], "/etc/ssl/certs");
}

static void expect_root(const char *file, const char *folder)
{
    static const char store[] = "[store s]\nroot = data\n";
    char root[4200];
    snprintf(root, sizeof(root), "%s/data", folder);
    struct config_errors errors = { 0 };
    struct config *config = config_parse(file, store, strlen(store), &errors);
    assert_non_null(config);
    assert_string_equal(config_find_store(config, "s")->root, root);
    config_free(config);
    config_errors_clear(&errors);
}

static void makes_paths_absolute(void **state)
{
    (void)state;
    char here[4096], below[4200];
    assert_non_null(getcwd(here, sizeof(here)));
    snprintf(below, sizeof(below), "%s/conf", here);
    expect_root("site.ini", here);
    expect_root("conf/site.ini", below);
    expect_root("/site.ini", "");
}

static void reads_a_server_profile(void **state)
{
    (void)state;
    const struct config_profile *profile = config_find_profile(model, CONFIG_SERVER, "both");
    assert_int_equal(profile->role, CONFIG_SERVER);
    assert_string_equal(profile->name, "both");
    assert_int_equal(profile->verify, CONFIG_VERIFY_OPTIONAL);
    assert_int_equal(profile->min_version, 0x0304);
    assert_int_equal(profile->max_version, 0x0304);
    assert_int_equal(profile->offload, CONFIG_OFFLOAD_REQUIRED);
    assert_int_equal(profile->ciphers.count, 3);
    assert_string_equal(profile->ciphers.items[0], "TLS_AES_128_GCM_SHA256");
    assert_string_equal(profile->ciphers.items[1], "49199");
    assert_string_equal(profile->ciphers.items[2], "ECDHE-RSA-AES256-GCM-SHA384");
}

static void reads_client_profiles(void **state)
{
    (void)state;
    const struct config_profile *both = config_find_profile(model, CONFIG_CLIENT, "both");
    const struct config_profile *mine = config_find_profile(model, CONFIG_CLIENT, "mine");
    assert_int_equal(both->role, CONFIG_CLIENT);
    assert_int_equal(both->hostname, CONFIG_HOSTNAME_NAMED);
    assert_string_equal(both->hostname_value, "node7.example.com");
    assert_int_equal(both->min_version, 0x0303);
    assert_int_equal(both->max_version, 0x0303);
    assert_int_equal(both->offload, CONFIG_OFFLOAD_OFF);
    assert_int_equal(both->trust.count, 1);
    assert_string_equal(both->trust.items[0], "system");
    assert_int_equal(both->certificate.count, 0);
    assert_int_equal(mine->hostname, CONFIG_HOSTNAME_ANY);
    assert_null(mine->hostname_value);
    assert_int_equal(mine->verify, CONFIG_VERIFY_ENFORCED);
    assert_int_equal(mine->ciphers.count, 0);
}

static void reads_addresses(void **state)
{
    (void)state;
    const struct config_addresses *listen = &config_find_protocol(model, "bulk")->listen;
    static const struct config_address expected[] = {
        { (char *)(uintptr_t) "0.0.0.0", 8443 },
        { (char *)(uintptr_t) "::1", 0 },
        { (char *)(uintptr_t) "localhost", 8444 },
        { (char *)(uintptr_t) "fe80::1%eth0", 8443 },
    };
    assert_int_equal(listen->count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(listen->items[i].host, expected[i].host);
        assert_int_equal(listen->items[i].port, expected[i].port);
    }
}

static void joins_a_protocol_with_its_profiles_and_store(void **state)
{
    (void)state;
    const struct config_protocol *bulk = config_find_protocol(model, "bulk");
    const struct config_protocol *out = config_find_protocol(model, "out");
    assert_ptr_equal(bulk->server_profile, config_find_profile(model, CONFIG_SERVER, "both"));
    assert_ptr_equal(bulk->client_profile, config_find_profile(model, CONFIG_CLIENT, "both"));
    assert_ptr_equal(bulk->store, config_find_store(model, "main"));
    assert_null(out->server_profile);
    assert_ptr_equal(out->client_profile, config_find_profile(model, CONFIG_CLIENT, "mine"));
    assert_null(out->store);
}

static void gives_a_partner_its_own_profile_or_its_protocols(void **state)
{
    (void)state;
    const struct config_partner *a = config_find_partner(model, "a"), *b = config_find_partner(model, "b");
    assert_ptr_equal(a->protocol, config_find_protocol(model, "bulk"));
    assert_ptr_equal(a->client_profile, config_find_profile(model, CONFIG_CLIENT, "both"));
    assert_ptr_equal(b->client_profile, config_find_profile(model, CONFIG_CLIENT, "mine"));
    assert_int_equal(a->host.count, 2);
    assert_string_equal(a->host.items[1].host, "2001:db8::7");
    assert_null(config_find_partner(model, "c")->client_profile);
}

static void finds_nothing_that_is_not_there(void **state)
{
    (void)state;
    assert_null(config_find_store(model, "bulk"));
    assert_null(config_find_protocol(model, "main"));
    assert_null(config_find_partner(model, ""));
    assert_null(config_find_profile(model, CONFIG_SERVER, "mine"));
}

static void makes_a_profile_without_a_file(void **state)
{
    (void)state;
    struct config_profile *profile = config_profile_default(CONFIG_CLIENT);
    assert_non_null(profile);
    assert_null(profile->section);
    assert_int_equal(profile->role, CONFIG_CLIENT);
    assert_int_equal(profile->verify, CONFIG_VERIFY_REQUIRED);
    assert_int_equal(profile->min_version, 0x0303);
    assert_int_equal(profile->max_version, 0x0304);
    assert_int_equal(profile->hostname, CONFIG_HOSTNAME_DIALLED);
    assert_int_equal(profile->offload, CONFIG_OFFLOAD_AUTO);
    assert_int_equal(profile->trust.count, 1);
    assert_string_equal(profile->trust.items[0], "system");
    assert_false(profile->insecure);
    assert_int_equal(config_list_add(&profile->certificate, "c.pem"), 0);
    assert_int_equal(config_list_add(&profile->key, "c.key"), 0);
    config_profile_free(profile);

    profile = config_profile_default(CONFIG_SERVER);
    assert_int_equal(profile->role, CONFIG_SERVER);
    assert_int_equal(profile->trust.count, 0);
    assert_int_equal(profile->certificate.count, 0);
    config_profile_free(profile);
    config_profile_free(NULL);
    config_free(NULL);
}

static void adds_an_error_at_a_key_of_the_model(void **state)
{
    (void)state;
    const struct config_profile *profile = config_find_profile(model, CONFIG_SERVER, "both");
    struct config_errors errors = { 0 };
    config_errors_add_at(&errors, CONFIG_WARNING, profile->section, "key", "%s is old", "key");
    config_errors_add_at(&errors, CONFIG_ERROR, profile->section, "max_version", "no");
    config_errors_add_at(&errors, CONFIG_ERROR, NULL, "key", "no place");
    config_errors_add_at(&errors, CONFIG_ERROR, model->server.section, "workers", "too many");
    assert_string_equal(errors.items[0].text, "/etc/sluice/site.ini:16: server-profile \"both\": key is old");
    assert_string_equal(errors.items[1].text, "/etc/sluice/site.ini:14: server-profile \"both\": no");
    assert_string_equal(errors.items[2].text, "no place");
    assert_string_equal(errors.items[3].text, "/etc/sluice/site.ini:2: server: too many");
    assert_int_equal(errors.error_count, 3);
    config_errors_sort(&errors);
    static const unsigned lines[] = { 0, 2, 14, 16 };
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(errors.items[i].line, lines[i]);
    config_errors_clear(&errors);
    assert_int_equal(errors.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_numbers_sizes_times_and_choices),
        cmocka_unit_test(gives_defaults_to_keys_that_are_absent),
        cmocka_unit_test(gives_defaults_where_there_is_no_server_section),
        cmocka_unit_test(takes_paths_relative_to_the_file),
        cmocka_unit_test(makes_paths_absolute),
        cmocka_unit_test(reads_a_server_profile),
        cmocka_unit_test(reads_client_profiles),
        cmocka_unit_test(reads_addresses),
        cmocka_unit_test(joins_a_protocol_with_its_profiles_and_store),
        cmocka_unit_test(gives_a_partner_its_own_profile_or_its_protocols),
        cmocka_unit_test(finds_nothing_that_is_not_there),
        cmocka_unit_test(makes_a_profile_without_a_file),
        cmocka_unit_test(adds_an_error_at_a_key_of_the_model),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
