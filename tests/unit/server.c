// rooms: server support
/* What a server does with its models, where a client does not see it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/server/server_internal.h"
#include "tests/support/pki.h"

#define DAY 86400L
#define PATIENCE_MS 20000

static struct pki *pki;
static char root[128], text[65536];
static FILE *events;
static struct event_log *event_log;
static struct config_errors errors;

static int make_pki(void **state)
{
    static const struct pki_leaf node = { .name = "node", .starts = -3600, .ends = 10 * DAY + 3600 };
    (void)state;

    pki = pki_new();
    pki_make(pki, &node);
    pki_make_ca(pki, "past", -2 * DAY);
    snprintf(root, sizeof root, "%s", pki_path(pki, "data"));
    return mkdir(root, 0755);
}

static int free_pki(void **state)
{
    (void)state;
    pki_free(pki);
    return 0;
}

static int open_log(void **state)
{
    (void)state;
    events = tmpfile();
    event_log = event_log_new(events, false);
    return events && event_log ? 0 : -1;
}

static int close_log(void **state)
{
    (void)state;
    event_log_free(event_log);
    fclose(events);
    config_errors_clear(&errors);
    return 0;
}

/* All lines so far; the workers go on writing. */
static const char *lines(void)
{
    ssize_t n = pread(fileno(events), text, sizeof text - 1, 0);

    assert_true(n >= 0);
    text[n] = '\0';
    return text;
}

static unsigned count(const char *id)
{
    unsigned found = 0;
    char mark[16];

    snprintf(mark, sizeof mark, "Z %s ", id);
    for (const char *at = lines(); (at = strstr(at, mark)); at++)
        found++;
    return found;
}

static void wait_for(const char *id, unsigned wanted)
{
    for (int waited = 0; count(id) < wanted; waited += 10) {
        assert_true(waited < PATIENCE_MS);
        usleep(10000);
    }
}

static struct config *parse(const char *ini)
{
    struct config *config = config_parse(pki_path(pki, "site.ini"), ini, strlen(ini), &errors);

    if (!config)
        config_errors_print(&errors, stderr);
    assert_non_null(config);
    return config;
}

#define SERVER "[server]\nworkers = 2\n"
#define BASE                                                                                                           \
    "[store main]\nroot = data\n"                                                                                      \
    "[server-profile p]\ncertificate = node.pem\nkey = node.key\ntrust = ca.pem\noffload = off\n"
#define LISTENS "profile = p\nstore = main\n"
#define ONE SERVER BASE "[protocol a]\nlisten = 127.0.0.1:0\n" LISTENS

static struct server *start(const char *ini, struct server_options options)
{
    struct server *server;

    options.config = parse(ini);
    options.log = event_log;
    assert_int_equal(server_new(&server, &options, &errors), 0);
    assert_int_equal(server_start(server), 0);
    return server;
}

static void end(struct server *server)
{
    server_stop(server, 0);
    server_free(server);
}

static int reload(struct server *server, const char *ini)
{
    return server_reload(server, parse(ini), &errors);
}

/* -- certificates that expire -------------------------------------------------------------------------------------- */

static void looks_for_certificates_that_expire_again_and_again(void **state)
{
    (void)state;
    struct server *server = start(ONE, (struct server_options){ .expiry_interval = 300 });

    wait_for("S79W", 4);
    assert_non_null(strstr(lines(), "subject=\"CN=node,O=Sluice tests\""));
    assert_non_null(strstr(lines(), " days=10 "));
    assert_non_null(strstr(lines(), "used_by=\"server-profile p (own)\""));
    assert_int_equal(count("S79E"), 0);
    end(server);
}

static void follows_the_current_model_in_what_it_looks_for(void **state)
{
    (void)state;
    struct server *server = start(ONE, (struct server_options){ .expiry_interval = 300 });

    wait_for("S79W", 2);
    assert_int_equal(
        reload(server, SERVER "expiry_warning_days = 0\n" BASE "[protocol a]\nlisten = 127.0.0.1:0\n" LISTENS), 0);
    usleep(400000); /* one that began before may still tell */
    unsigned before = count("S79W");
    usleep(1000000);
    assert_int_equal(count("S79W"), before);
    end(server);
}

static void tells_what_has_expired(void **state)
{
    (void)state;
    struct server *server =
        start(SERVER "expiry_warning_days = 0\n[store main]\nroot = data\n"
                     "[server-profile p]\ncertificate = node.pem\nkey = node.key\n"
                     "trust = ca.pem, past.pem\noffload = off\n[protocol a]\nlisten = 127.0.0.1:0\n" LISTENS,
              (struct server_options){ 0 });

    assert_int_equal(count("S79E"), 1);
    assert_non_null(strstr(lines(), "subject=\"CN=past,O=Sluice tests\""));
    assert_non_null(strstr(lines(), " days_ago=2 "));
    assert_int_equal(count("S79W"), 0);
    end(server);
}

/* -- models -------------------------------------------------------------------------------------------------------- */

static void tells_at_most_twenty_problems_and_how_many_there_are(void **state)
{
    char ini[8192] = ONE;
    (void)state;
    struct server *server = start(ONE, (struct server_options){ 0 });

    for (int i = 0; i < 30; i++) {
        size_t used = strlen(ini);
        snprintf(ini + used, sizeof ini - used, "[client-profile c%d]\ntrust = nowhere-%d.pem\n", i, i);
    }
    assert_int_equal(reload(server, ini), -EINVAL);
    assert_int_equal(count("S10E"), 21);
    assert_non_null(strstr(lines(), "nowhere-19.pem"));
    assert_null(strstr(lines(), "nowhere-20.pem"));
    assert_non_null(strstr(lines(), "problems=30"));
    assert_int_equal(count("S10I"), 0);
    end(server);
}

static void keeps_its_model_where_there_is_none_to_take(void **state)
{
    (void)state;
    struct server *server = start(ONE, (struct server_options){ 0 });
    const struct epoch *epoch = server->epoch;

    config_errors_add(&errors, CONFIG_ERROR, "site.ini", 3, "it cannot be read");
    assert_int_equal(server_reload(server, NULL, &errors), -EINVAL);
    assert_ptr_equal(server->epoch, epoch);
    assert_int_equal(count("S10E"), 1);
    end(server);
}

static void gives_every_worker_the_new_model_before_it_says_so(void **state)
{
    (void)state;
    struct server *server = start(ONE, (struct server_options){ 0 });
    const struct epoch *before = server->epoch;

    for (int i = 0; i < 20; i++) {
        assert_int_equal(reload(server, ONE), 0);
        assert_ptr_not_equal(server->epoch, before);
        for (unsigned w = 0; w < server->worker_count; w++)
            assert_ptr_equal(server->workers[w].epoch, server->epoch);
        before = server->epoch;
        /* The server, two workers, each worker's listener, the uploads: whatever was before is gone. The sweep that
         * begins with the server may hold it for a moment, too. */
        for (int turn = 0; turn < 500 && atomic_load(&server->epoch->holders) > 1 + 2 + 2 + 1; turn++)
            usleep(10000);
        assert_int_equal(atomic_load(&server->epoch->holders), 1 + 2 + 2 + 1);
    }
    assert_int_equal(count("S10I"), 20);
    end(server);
}

static void shares_a_store_that_is_the_same_directory(void **state)
{
    (void)state;
    struct server *server = start(ONE, (struct server_options){ 0 });
    const struct store *before = server->epoch->stores[0];

    assert_int_equal(reload(server, SERVER "[store twin]\nroot = ./data/../data\n" BASE
                                           "[protocol a]\nlisten = 127.0.0.1:0\n" LISTENS),
                     0);
    assert_int_equal(server->epoch->config->store_count, 2);
    assert_ptr_equal(server->epoch->stores[0], before);
    assert_ptr_equal(server->epoch->stores[1], before);
    end(server);
}

static void keeps_the_ports_that_it_got(void **state)
{
    (void)state;
    static const char turned[] = SERVER BASE "[protocol b]\nlisten = 127.0.0.1:0\n" LISTENS
                                             "[protocol a]\nlisten = 127.0.0.1:0, 127.0.0.1:0\n" LISTENS;
    struct server *server = start(SERVER BASE "[protocol a]\nlisten = 127.0.0.1:0, 127.0.0.1:0\n" LISTENS
                                              "[protocol b]\nlisten = 127.0.0.1:0\n" LISTENS,
                                  (struct server_options){ 0 });
    unsigned first = server_port(server, "a", 0), second = server_port(server, "a", 1),
             other = server_port(server, "b", 0);

    assert_true(first && second && other && first != second && second != other && first != other);
    assert_int_equal(reload(server, turned), 0);
    unsigned now_first = server_port(server, "a", 0), now_second = server_port(server, "a", 1);
    assert_true((now_first == first && now_second == second) || (now_first == second && now_second == first));
    assert_int_equal(server_port(server, "b", 0), other);
    assert_int_equal(reload(server, ONE), 0);
    assert_int_equal(server_port(server, "b", 0), 0);
    assert_int_equal(server_port(server, "a", 1), 0);
    end(server);
}

static void refuses_one_address_under_two_names(void **state)
{
    char ini[2048];
    struct server_options options = { .log = event_log };
    struct server *server = start(ONE, options), *second = NULL;
    unsigned port = server_port(server, "a", 0);
    (void)state;

    end(server);
    snprintf(ini, sizeof ini,
             SERVER BASE "[protocol a]\nlisten = 127.0.0.1:%u\n" LISTENS
                         "[protocol b]\nlisten = 0x7f.0.0.1:%u\n" LISTENS,
             port, port);
    options.config = parse(ini);
    assert_true(server_new(&second, &options, &errors) < 0);
    assert_int_equal(errors.error_count, 1);
    bool said = false;
    for (size_t i = 0; i < errors.count; i++)
        said |= strstr(errors.items[i].text, "is there twice under different names") != NULL;
    assert_true(said);
}

/* -- a listener that cannot accept --------------------------------------------------------------------------------- */

static atomic_bool accepts = true;

static int refuse_accept(const struct ring_seam *seam, enum ring_call call, size_t *length)
{
    (void)seam;
    (void)length;
    return call == RING_ACCEPT && !atomic_load(&accepts) ? -EMFILE : 0;
}

#define WAITING 8

static int connect_to(uint16_t port)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_port = htons(port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void serves_whom_the_kernel_let_in_before_it_closes_a_listener(void **state)
{
    static const struct ring_seam seam = { refuse_accept };
    int waiting[WAITING];
    char byte;
    (void)state;
    atomic_store(&accepts, false);
    struct server *server =
        start(SERVER BASE "[protocol a]\nlisten = 127.0.0.1:0\n" LISTENS "[protocol b]\nlisten = 127.0.0.1:0\n" LISTENS,
              (struct server_options){ .seam = &seam });

    wait_for("S06W", 4);
    for (int i = 0; i < WAITING; i++)
        waiting[i] = connect_to(server_port(server, "b", 0));
    assert_int_equal(reload(server, ONE), 0);
    assert_non_null(strstr(lines(), "addresses_closed=1"));
    assert_int_equal(atomic_load(&server->connections), WAITING);
    for (int i = 0; i < WAITING; i++) {
        assert_int_equal(recv(waiting[i], &byte, 1, MSG_DONTWAIT), -1);
        assert_int_equal(errno, EAGAIN);
        close(waiting[i]);
    }
    atomic_store(&accepts, true);
    end(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_log, close_log)
        TEST(looks_for_certificates_that_expire_again_and_again),
        TEST(follows_the_current_model_in_what_it_looks_for),
        TEST(tells_what_has_expired),
        TEST(tells_at_most_twenty_problems_and_how_many_there_are),
        TEST(keeps_its_model_where_there_is_none_to_take),
        TEST(gives_every_worker_the_new_model_before_it_says_so),
        TEST(shares_a_store_that_is_the_same_directory),
        TEST(keeps_the_ports_that_it_got),
        TEST(refuses_one_address_under_two_names),
        TEST(serves_whom_the_kernel_let_in_before_it_closes_a_listener),
    };
    return cmocka_run_group_tests(tests, make_pki, free_pki);
}
