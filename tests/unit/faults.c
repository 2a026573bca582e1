// rooms: server client support
/*
 * The calls that the kernel path depends on are refused and shortened one by one, under a server and a client in this
 * process. Whatever fails: a transfer either ends with the same bytes or leaves nothing under its name, and with
 * offload = auto a refusal before the first body byte costs nothing but the kernel path.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/tls.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/client/client.h"
#include "engine/server/server.h"
#include "ktls/probe.h"
#include "tests/support/pki.h"

#ifndef TCP_ULP
#define TCP_ULP 31
#endif

#define BODY (3u * 1024 * 1024 + 17)

static struct pki *pki;

/* -- a table of system calls that fails as it is told ----------------------------------------------------------- */

struct fault {
    struct ktls_sys sys;
    struct ring_seam seam;
    atomic_bool armed;
    atomic_int calls; /* that could have failed, since it was armed */
    int at;           /* the one that fails; -1: none */
    int error;
    int level, option; /* only this socket option fails; 0: any */
    bool pretend_ulp;  /* TCP_ULP "works" without a kernel that has it, so that what comes after can be refused */
    enum ring_call call;
    size_t shorten; /* instead of failing: no operation may be longer than this */
};

static bool strikes(struct fault *fault)
{
    return atomic_load(&fault->armed) && atomic_fetch_add(&fault->calls, 1) == fault->at;
}

static int faulty_setsockopt(const struct ktls_sys *sys, int fd, int level, int option, const void *value,
                             socklen_t length)
{
    struct fault *fault = (struct fault *)(uintptr_t)sys;

    if ((fault->option == 0 || (level == fault->level && option == fault->option)) && strikes(fault))
        return -fault->error;
    if (fault->pretend_ulp && level == IPPROTO_TCP && option == TCP_ULP)
        return 0;
    return ktls_sys_linux.setsockopt(&ktls_sys_linux, fd, level, option, value, length);
}

static int plain_getsockopt(const struct ktls_sys *sys, int fd, int level, int option, void *value, socklen_t *length)
{
    (void)sys;
    return ktls_sys_linux.getsockopt(&ktls_sys_linux, fd, level, option, value, length);
}

static ssize_t faulty_recvmsg(const struct ktls_sys *sys, int fd, struct msghdr *message, int flags)
{
    struct fault *fault = (struct fault *)(uintptr_t)sys;

    if (fault->option == 0 && strikes(fault))
        return -fault->error;
    return ktls_sys_linux.recvmsg(&ktls_sys_linux, fd, message, flags);
}

static ssize_t faulty_sendmsg(const struct ktls_sys *sys, int fd, const struct msghdr *message, int flags)
{
    struct fault *fault = (struct fault *)(uintptr_t)sys;

    if (fault->option == 0 && strikes(fault))
        return -fault->error;
    return ktls_sys_linux.sendmsg(&ktls_sys_linux, fd, message, flags);
}

static int faulty_before(const struct ring_seam *seam, enum ring_call call, size_t *length)
{
    struct fault *fault = (struct fault *)((char *)(uintptr_t)seam - offsetof(struct fault, seam));

    if (call != fault->call || !atomic_load(&fault->armed))
        return 0;
    if (fault->shorten) {
        if (*length > fault->shorten)
            *length = fault->shorten;
        return 0;
    }
    return strikes(fault) ? -fault->error : 0;
}

static void fault_init(struct fault *fault)
{
    *fault = (struct fault){
        .sys = { faulty_setsockopt, plain_getsockopt, faulty_recvmsg, faulty_sendmsg },
        .seam = { faulty_before },
        .at = -1,
        .call = RING_CALLS,
    };
}

/* -- a server and a client ----------------------------------------------------------------------------------------- */

struct site {
    struct config *config; /* the server's */
    struct server *server;
    struct client *client;
    struct config_addresses addresses;
    struct config_address address;
    struct fault at_server, at_client;
};

static char store[128], fetched[160], stored[192];
static unsigned char *body;

static struct config *make_config(const char *server_offload, const char *client_offload)
{
    struct config_errors errors = { 0 };
    char text[2048];

    snprintf(text, sizeof text,
             "[server]\nworkers = 1\n[store main]\nroot = %s\n"
             "[server-profile p]\ncertificate = server.pem\nkey = server.key\ntrust = ca.pem\noffload = %s\n"
             "[client-profile p]\ncertificate = client.pem\nkey = client.key\ntrust = ca.pem\noffload = %s\n"
             "[protocol bulk]\nlisten = 127.0.0.1:0\nprofile = p\nstore = main\n",
             store, server_offload, client_offload);
    struct config *config = config_parse(pki_path(pki, "site.ini"), text, strlen(text), &errors);
    config_errors_print(&errors, stderr);
    assert_non_null(config);
    config_errors_clear(&errors);
    return config;
}

static int site_open(struct site *site, const char *server_offload, const char *client_offload)
{
    struct config_errors errors = { 0 };

    site->config = make_config(server_offload, client_offload);
    struct server_options options = { .config = site->config,
                                      .sys = &site->at_server.sys,
                                      .seam = &site->at_server.seam };
    int rc = server_new(&site->server, &options, &errors);
    if (rc < 0) {
        config_errors_clear(&errors);
        return rc;
    }
    assert_int_equal(server_start(site->server), 0);
    site->address = (struct config_address){ strdup("127.0.0.1"), server_port(site->server, "bulk", 0) };
    site->addresses = (struct config_addresses){ &site->address, 1 };
    struct client_options client = { .profile = config_find_profile(site->config, CONFIG_CLIENT, "p"),
                                     .addresses = &site->addresses,
                                     .sys = &site->at_client.sys,
                                     .seam = &site->at_client.seam,
                                     .idle_timeout = 20000,
                                     .retries = 1 }; /* the next ones would do the same, after longer pauses */
    rc = client_new(&site->client, &client, &errors);
    config_errors_clear(&errors);
    return rc;
}

static void site_close(struct site *site)
{
    client_free(site->client);
    server_stop(site->server, 0);
    server_free(site->server);
    free(site->address.host);
}

static void write_file(const char *name)
{
    FILE *out = fopen(name, "wb");

    assert_non_null(out);
    assert_int_equal(fwrite(body, 1, BODY, out), BODY);
    assert_int_equal(fclose(out), 0);
}

static bool same(const char *name)
{
    unsigned char *bytes = malloc(BODY + 1);
    FILE *in = fopen(name, "rb");
    bool equal = in && fread(bytes, 1, BODY + 1, in) == BODY && memcmp(bytes, body, BODY) == 0;

    if (in)
        fclose(in);
    free(bytes);
    return equal;
}

static bool exists(const char *name)
{
    struct stat facts;

    return lstat(name, &facts) == 0;
}

static int get(struct site *site)
{
    unlink(fetched);
    return client_get(site->client, "source", fetched);
}

static int put(struct site *site)
{
    char source[160];

    snprintf(source, sizeof source, "%s/source", store);
    unlink(stored);
    return client_put(site->client, source, "stored");
}

/* A transfer that failed leaves nothing; one that did not has every byte. */
static void judge(int rc, const char *name)
{
    if (rc == CLIENT_OK)
        assert_true(same(name));
    else
        assert_false(exists(name));
}

static const int refusals[] = { ENOENT, ENOPROTOOPT, EOPNOTSUPP, EBUSY, EINVAL, ENOMEM, EPERM, ENOTCONN };

struct option {
    int level, option;
    const char *name;
};

static const struct option options[] = { { IPPROTO_TCP, TCP_ULP, "TCP_ULP" },
                                         { SOL_TLS, TLS_TX, "TLS_TX" },
                                         { SOL_TLS, TLS_RX, "TLS_RX" } };

/* Each install refused with each errno, at either end: the body goes through OpenSSL, and it is said why. */
static void auto_falls_back_before_the_first_body_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * sizeof options / sizeof *options; i++) {
        for (size_t k = 0; k < sizeof refusals / sizeof *refusals; k++) {
            struct site site = { 0 };
            fault_init(&site.at_server);
            fault_init(&site.at_client);
            struct fault *fault = i % 2 ? &site.at_client : &site.at_server;
            const struct option *option = &options[i / 2];
            fault->level = option->level;
            fault->option = option->option;
            fault->at = 0;
            fault->error = refusals[k];
            fault->pretend_ulp = true; /* at start: a server that knows better does not even try */
            assert_int_equal(
                site_open(&site, fault == &site.at_server ? "auto" : "off", fault == &site.at_client ? "auto" : "off"),
                0);
            atomic_store(&fault->armed, true);
            bool is_rx = option->option == TLS_RX, at_server = fault == &site.at_server;
            bool by_get = is_rx != at_server; /* what makes this end switch this way */
            int rc = by_get ? get(&site) : put(&site);
            if (rc != CLIENT_OK)
                print_message("%s refused with %s: %s\n", option->name, strerror(refusals[k]),
                              client_reason(site.client));
            assert_int_equal(rc, CLIENT_OK);
            assert_true(same(by_get ? fetched : stored));
            assert_int_equal(atomic_load(&fault->calls), 1);
            if (!at_server) {
                const struct client_transfer *last = client_last(site.client);
                const char *why = is_rx ? last->rx : last->tx;
                assert_int_equal(strncmp(why, "user: ", 6), 0);
                assert_true(strlen(why) > 10);
            }
            site_close(&site);
        }
    }
}

static void required_fails_cleanly_before_the_first_body_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        for (int at_server = 0; at_server < 2; at_server++) {
            struct site site = { 0 };
            fault_init(&site.at_server);
            fault_init(&site.at_client);
            struct fault *fault = at_server ? &site.at_server : &site.at_client;
            fault->pretend_ulp = true;
            fault->level = options[i].level;
            fault->option = options[i].option;
            fault->error = EINVAL;
            fault->at = 0;
            int opened = site_open(&site, at_server ? "required" : "off", at_server ? "off" : "required");
            assert_int_equal(opened, 0);
            atomic_store(&fault->armed, true);
            bool by_get = (options[i].option == TLS_RX) != (at_server == 1);
            int rc = by_get ? get(&site) : put(&site);
            assert_int_not_equal(rc, CLIENT_OK);
            assert_true(client_reason(site.client)[0]);
            assert_false(exists(by_get ? fetched : stored));
            site_close(&site);
        }
    }
}

static void required_without_ktls_never_starts(void **state)
{
    struct site site = { 0 };
    struct config_errors errors = { 0 };
    struct client *client = NULL;
    (void)state;

    fault_init(&site.at_server);
    fault_init(&site.at_client);
    site.at_server.at = site.at_client.at = 0;
    site.at_server.error = site.at_client.error = ENOENT;
    site.at_server.level = site.at_client.level = IPPROTO_TCP;
    site.at_server.option = site.at_client.option = TCP_ULP;
    atomic_store(&site.at_server.armed, true);
    atomic_store(&site.at_client.armed, true);
    assert_true(site_open(&site, "required", "off") < 0);

    struct config *config = make_config("off", "required");
    struct config_address nowhere = { .host = (char *)(uintptr_t) "127.0.0.1", .port = 1 };
    struct config_addresses addresses = { &nowhere, 1 };
    struct client_options options_ = { .profile = config_find_profile(config, CONFIG_CLIENT, "p"),
                                       .addresses = &addresses,
                                       .sys = &site.at_client.sys };
    assert_int_equal(client_new(&client, &options_, &errors), CLIENT_CONFIG);
    assert_true(errors.error_count > 0);
    assert_non_null(strstr(errors.items[0].text, "offload"));
    config_errors_clear(&errors);
    config_free(config);
}

/* Any call of the table, the n-th, at either end, until n is more than a transfer makes. */
static void any_one_call_may_fail(void **state)
{
    (void)state;
    for (int side = 0; side < 4; side++) {
        for (int n = 0; n < 200; n++) {
            struct site site = { 0 };
            fault_init(&site.at_server);
            fault_init(&site.at_client);
            struct fault *fault = side % 2 ? &site.at_client : &site.at_server;
            fault->at = n;
            fault->error = n % 2 ? EIO : ENOMEM;
            assert_int_equal(site_open(&site, "auto", "auto"), 0);
            atomic_store(&fault->armed, true);
            int rc = side < 2 ? get(&site) : put(&site);
            /* The answer to a PUT may be lost after the file got its name: then it is whole. */
            if (side >= 2 && rc != CLIENT_OK && exists(stored))
                assert_true(same(stored));
            else
                judge(rc, side < 2 ? fetched : stored);
            bool past_the_last = atomic_load(&fault->calls) <= n;
            site_close(&site);
            if (past_the_last)
                break;
        }
    }
}

static const enum ring_call data_calls[] = { RING_RECV, RING_SEND, RING_READ, RING_WRITE, RING_SPLICE };

static void data_operations_may_be_short(void **state)
{
    static const size_t lengths[] = { 1000, 16383, 16385, 70001 };
    (void)state;

    for (size_t i = 0; i < 2 * sizeof data_calls / sizeof *data_calls; i++) {
        for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
            struct site site = { 0 };
            fault_init(&site.at_server);
            fault_init(&site.at_client);
            struct fault *fault = i % 2 ? &site.at_client : &site.at_server;
            fault->call = data_calls[i / 2];
            fault->shorten = lengths[k];
            atomic_store(&fault->armed, true);
            assert_int_equal(site_open(&site, "auto", "auto"), 0);
            assert_int_equal(get(&site), CLIENT_OK);
            assert_true(same(fetched));
            assert_int_equal(put(&site), CLIENT_OK);
            assert_true(same(stored));
            site_close(&site);
        }
    }
}

static void data_operations_may_fail(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * sizeof data_calls / sizeof *data_calls; i++) {
        for (int n = 0; n < 12; n++) {
            struct site site = { 0 };
            fault_init(&site.at_server);
            fault_init(&site.at_client);
            struct fault *fault = i % 2 ? &site.at_client : &site.at_server;
            fault->call = data_calls[i / 2];
            fault->at = n;
            fault->error = fault->call == RING_WRITE ? ENOSPC : EIO;
            assert_int_equal(site_open(&site, "auto", "auto"), 0);
            atomic_store(&fault->armed, true);
            judge(get(&site), fetched);
            atomic_store(&fault->calls, 0);
            judge(put(&site), stored);
            /* The server is whole afterwards, and so is the client. */
            atomic_store(&fault->armed, false);
            assert_int_equal(get(&site), CLIENT_OK);
            assert_true(same(fetched));
            site_close(&site);
        }
    }
}

static int setup(void **state)
{
    char source[160];
    (void)state;

    pki = pki_new();
    pki_make(pki, &(struct pki_leaf){ .name = "server" });
    pki_make(pki, &(struct pki_leaf){ .name = "client" });
    snprintf(store, sizeof store, "%s/store", pki_folder(pki));
    snprintf(fetched, sizeof fetched, "%s/fetched", pki_folder(pki));
    snprintf(stored, sizeof stored, "%s/stored", store);
    snprintf(source, sizeof source, "%s/source", store);
    body = malloc(BODY);
    if (!body || mkdir(store, 0755) < 0)
        return -1;
    unsigned seed = 1;
    for (size_t i = 0; i < BODY; i++) {
        seed = seed * 1103515245u + 12345u;
        body[i] = (unsigned char)(seed >> 16);
    }
    write_file(source);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(body);
    pki_free(pki);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(auto_falls_back_before_the_first_body_byte),
        cmocka_unit_test(required_fails_cleanly_before_the_first_body_byte),
        cmocka_unit_test(required_without_ktls_never_starts),
        cmocka_unit_test(any_one_call_may_fail),
        cmocka_unit_test(data_operations_may_be_short),
        cmocka_unit_test(data_operations_may_fail),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
