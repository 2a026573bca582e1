// rooms: support client
#include "tests/unit/client_rig.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define ONE "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1"

/* A port of loopback that refuses: bound, so that nobody else takes it, but not listening. */
static int dead_port(uint16_t *port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

/* One that takes connections, as the kernel does for a listener, and never says a word. */
static int mute_port(uint16_t *port)
{
    int fd = dead_port(port);
    assert_int_equal(listen(fd, 4), 0);
    return fd;
}

static void tries_the_next_address(void **state)
{
    (void)state;
    static const struct script_step steps[] = { { HEAR_HEAD, NULL, 0 }, { SAY, ONE, 0 }, { SCRIPT_END, NULL, 0 } };
    uint16_t port;
    int dead = dead_port(&port);
    start_server(steps, false);
    addresses[1] = addresses[0];
    addresses[0].port = port;
    address_list.count = 2;
    open_client();
    assert_int_equal(client_get(client, "x", in_folder("file")), CLIENT_OK);
    assert_text(in_folder("file"), "1");
    close(dead);
}

static void tells_of_every_address_that_did_not_answer(void **state)
{
    (void)state;
    uint16_t refusing, mute;
    int dead = dead_port(&refusing), silent = mute_port(&mute);
    char sentence[64];
    addresses[0] = (struct config_address){ .host = (char *)(uintptr_t) "127.0.0.1", .port = refusing };
    addresses[1] = (struct config_address){ .host = (char *)(uintptr_t) "127.0.0.1", .port = mute };
    address_list.count = 2;
    options.connect_timeout = 300;
    open_client();
    int result = client_get(client, "x", in_folder("file"));
    snprintf(sentence, sizeof sentence, "127.0.0.1:%u: Connection refused; ", refusing);
    assert_fails(result, CLIENT_CONNECT, sentence);
    snprintf(sentence, sizeof sentence, "127.0.0.1:%u: no TLS handshake in time", mute);
    assert_fails(result, CLIENT_CONNECT, sentence);
    assert_int_equal(client_last(client)->status, 0);
    close(dead);
    close(silent);
}

static void resolves_a_name(void **state)
{
    (void)state;
    static const struct script_step steps[] = { { HEAR_HEAD, NULL, 0 }, { SAY, ONE, 0 }, { SCRIPT_END, NULL, 0 } };
    start_server(steps, false);
    addresses[0].host = (char *)(uintptr_t) "localhost"; /* perhaps ::1 first, where nobody listens */
    open_client();
    assert_int_equal(client_get(client, "x", in_folder("file")), CLIENT_OK);
    end_play();
    assert_says(notes.heads[0], "\r\nHost: localhost:");
}

static void tells_that_a_name_is_none(void **state)
{
    (void)state;
    addresses[0] = (struct config_address){ .host = (char *)(uintptr_t) "not a name", .port = 1 };
    address_list.count = 1;
    open_client();
    assert_fails(client_get(client, "x", in_folder("file")), CLIENT_CONNECT,
                 "not a name:1: the name cannot be resolved");
}

static void replace_trust(const char *file)
{
    free(profile->trust.items[0]);
    profile->trust.items[0] = must_copy(pki_path(pki, file));
}

static void refuses_a_server_it_does_not_trust(void **state)
{
    (void)state;
    pki_make(pki, &(struct pki_leaf){ .name = "other", .self_signed = 1, .starts = -3600, .ends = 60 * 86400 });
    replace_trust("other.pem");
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, ONE, 0 });
    assert_fails(client_get(client, "x", in_folder("file")), CLIENT_TLS, "TLS handshake failed: ");
    assert_int_equal(files_in_folder(), 0);
    end_play();
    assert_int_equal(notes.head_count, 0);
}

static void without_certificate(unsigned version)
{
    static const struct script_step steps[] = { { HEAR_HEAD, NULL, 0 }, { SAY, ONE, 0 }, { SCRIPT_END, NULL, 0 } };
    config_list_clear(&profile->certificate);
    config_list_clear(&profile->key);
    profile->min_version = profile->max_version = version;
    start_server(steps, true);
    open_client();
    assert_fails(client_get(client, "x", in_folder("file")), CLIENT_TLS, "");
    assert_true(client_reason(client)[0]);
    assert_int_equal(files_in_folder(), 0);
}

/* In TLS 1.3 the refusal comes after our handshake is done, as the first thing that is read. */
static void tells_that_the_server_wants_a_certificate_in_tls13(void **state)
{
    (void)state;
    without_certificate(0x0304);
}

static void tells_that_the_server_wants_a_certificate_in_tls12(void **state)
{
    (void)state;
    without_certificate(0x0303);
}

/* Once the close has arrived (found out before the request), and once it comes in answer to the request. */
static void connects_again_where_the_server_has_closed(void **state)
{
    (void)state;
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, ONE, 0 }, { PAUSE, NULL, 20 }, { SCRIPT_CLOSE, NULL, 0 },
         { HEAR_HEAD, NULL, 0 }, { SAY, ONE, 0 }, { HEAR_HEAD, NULL, 0 }, { HANG_UP, NULL, 0 }, { HEAR_HEAD, NULL, 0 },
         { SAY, ONE, 0 });
    assert_int_equal(client_get(client, "1", in_folder("1")), CLIENT_OK);
    assert_false(client_last(client)->resumed);
    usleep(100000);
    assert_int_equal(client_get(client, "2", in_folder("2")), CLIENT_OK);
    assert_true(client_last(client)->resumed);
    assert_int_equal(client_get(client, "3", in_folder("3")), CLIENT_OK);
    assert_true(client_last(client)->resumed);
    end_play();
    assert_int_equal(notes.connections, 3);
    assert_int_equal(notes.resumed, 2);
    assert_int_equal(notes.head_count, 4);
    assert_int_equal(files_in_folder(), 3);
}

static void connects_again_after_connection_close(void **state)
{
    (void)state;
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\n1", 0 },
         { AWAIT_END, NULL, 0 }, { SCRIPT_CLOSE, NULL, 0 }, { HEAR_HEAD, NULL, 0 }, { SAY, ONE, 0 });
    assert_int_equal(client_get(client, "1", in_folder("1")), CLIENT_OK);
    assert_int_equal(client_get(client, "2", in_folder("2")), CLIENT_OK);
    end_play();
    assert_int_equal(notes.connections, 2);
    assert_true(notes.heard_close_notify);
}

static void tries_again_once_and_only_on_a_kept_connection(void **state)
{
    (void)state;
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, ONE, 0 }, { HEAR_HEAD, NULL, 0 }, { HANG_UP, NULL, 0 }, { HEAR_HEAD, NULL, 0 },
         { HANG_UP, NULL, 0 }, { HEAR_HEAD, NULL, 0 }, { SAY, ONE, 0 });
    assert_int_equal(client_get(client, "1", in_folder("1")), CLIENT_OK);
    assert_int_equal(client_get(client, "2", in_folder("2")), CLIENT_CUT);
    assert_int_equal(client_get(client, "3", in_folder("3")), CLIENT_OK);
    end_play();
    assert_int_equal(notes.head_count, 4);
    assert_int_equal(notes.connections, 3);
}

/* Part of an answer came: the request was received, and the answer may not be taken for a connection that was gone. */
static void does_not_try_again_after_part_of_an_answer(void **state)
{
    (void)state;
    PLAY({ HEAR_HEAD, NULL, 0 }, { SAY, ONE, 0 }, { HEAR_HEAD, NULL, 0 }, { SAY, "HTTP/1.1 2", 0 }, { CUT, NULL, 0 },
         { HEAR_HEAD, NULL, 0 }, { SAY, ONE, 0 });
    assert_int_equal(client_get(client, "1", in_folder("1")), CLIENT_OK);
    assert_fails(client_get(client, "2", in_folder("2")), CLIENT_CUT, "in the head of the answer");
    end_play();
    assert_int_equal(notes.head_count, 2);
}

static int no_ulp(const struct ktls_sys *sys, int fd, int level, int option, const void *value, socklen_t length)
{
    (void)sys;
    if (level == IPPROTO_TCP && option == 31 /* TCP_ULP */)
        return -ENOENT;
    return setsockopt(fd, level, option, value, length) < 0 ? -errno : 0;
}

static void refuses_to_start_where_offload_is_required_and_absent(void **state)
{
    (void)state;
    struct ktls_sys sys = ktls_sys_linux;
    struct config_errors errors = { 0 };
    sys.setsockopt = no_ulp;
    profile->offload = CONFIG_OFFLOAD_REQUIRED;
    options.sys = &sys;
    addresses[0] = (struct config_address){ .host = (char *)(uintptr_t) "127.0.0.1", .port = 1 };
    address_list.count = 1;
    assert_int_equal(client_new(&client, &options, &errors), CLIENT_CONFIG);
    assert_null(client);
    assert_int_equal(errors.error_count, 1);
    assert_says(errors.items[0].text, "offload = required, but ");
    config_errors_clear(&errors);
}

static void refuses_to_start_with_a_profile_that_cannot_be_loaded(void **state)
{
    (void)state;
    struct config_errors errors = { 0 };
    config_list_clear(&profile->certificate);
    assert_int_equal(config_list_add(&profile->certificate, "/nowhere/client.pem"), 0);
    address_list.count = 1;
    assert_int_equal(client_new(&client, &options, &errors), CLIENT_CONFIG);
    assert_true(errors.error_count > 0);
    config_errors_clear(&errors);
    address_list.count = 0;
    assert_int_equal(client_new(&client, &options, &errors), CLIENT_CONFIG);
    assert_says(errors.items[0].text, "no address");
    config_errors_clear(&errors);
}

static void an_interrupt_ends_waiting_for_a_handshake(void **state)
{
    (void)state;
    int ends[2];
    uint16_t port;
    int mute = mute_port(&port);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "!", 1), 1);
    options.interrupt_fd = ends[0];
    options.connect_timeout = 8000;
    addresses[0] = (struct config_address){ .host = (char *)(uintptr_t) "127.0.0.1", .port = port };
    address_list.count = 1;
    open_client();
    assert_fails(client_get(client, "x", in_folder("file")), CLIENT_INTERRUPTED, "interrupted");
    assert_true(client_last(client)->seconds < 4);
    end_play();
    close(ends[0]);
    close(ends[1]);
    close(mute);
}

/* What was told while `path` was fetched; for free(). */
static char *events_of_a_get(const struct script_step *steps, bool wants_certificate)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    struct event_log *log = event_log_new(out, false);

    options.log = log;
    start_server(steps, wants_certificate);
    open_client();
    assert_int_equal(client_get(client, "x", in_folder("file")), CLIENT_OK);
    end_play();
    event_log_free(log);
    fclose(out);
    options.log = NULL;
    return text;
}

static const struct script_step one_answer[] = { { HEAR_HEAD, NULL, 0 }, { SAY, ONE, 0 }, { SCRIPT_END, NULL, 0 } };

static void tells_of_both_certificates(void **state)
{
    (void)state;
    profile->note = must_copy("line 7");
    char *events = events_of_a_get(one_answer, true);
    const char *ours = strstr(events, " Y23I "), *theirs = strstr(events, " Y21I ");
    assert_says(ours, "subject=\"CN=client,");
    assert_says(ours, "days=");
    assert_says(theirs, "subject=\"CN=server,");
    assert_says(theirs, "serial=");
    assert_says(strstr(events, " Y14I "), "authentication=both");
    assert_says(strstr(events, " Y14I "), "note=\"line 7\"");
    free(events);
}

static void says_where_our_certificate_was_not_asked_for(void **state)
{
    (void)state;
    char *events = events_of_a_get(one_answer, false);
    assert_null(strstr(events, " Y23I "));
    assert_says(strstr(events, " Y14I "), "authentication=server");
    free(events);
}

static void keeps_the_servers_chain(void **state)
{
    char name[300] = "", text[64] = "";

    (void)state;
    assert_int_equal(mkdir(in_folder("chains"), 0700), 0);
    profile->save_chain = must_copy(in_folder("chains"));
    free(events_of_a_get(one_answer, false));
    DIR *directory = opendir(in_folder("chains"));
    unsigned count = 0;
    for (const struct dirent *entry; (entry = readdir(directory));) {
        if (entry->d_name[0] != '.') {
            snprintf(name, sizeof name, "%s/%s", in_folder("chains"), entry->d_name);
            count++;
        }
    }
    closedir(directory);
    assert_int_equal(count, 1);
    assert_int_equal(strlen(strrchr(name, '/') + 1), 64 + strlen(".pem"));
    FILE *file = fopen(name, "r");
    assert_int_equal(fread(text, 1, 27, file), 27);
    fclose(file);
    assert_string_equal(text, "-----BEGIN CERTIFICATE-----");
}

static void a_chain_that_cannot_be_kept_is_only_told(void **state)
{
    (void)state;
    profile->save_chain = must_copy(in_folder("missing"));
    char *events = events_of_a_get(one_answer, false);
    assert_says(strstr(events, " Y24W "), "No such file or directory");
    assert_text(in_folder("file"), "1");
    free(events);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tells_of_both_certificates),
        TEST(says_where_our_certificate_was_not_asked_for),
        TEST(keeps_the_servers_chain),
        TEST(a_chain_that_cannot_be_kept_is_only_told),
        TEST(tries_the_next_address),
        TEST(tells_of_every_address_that_did_not_answer),
        TEST(resolves_a_name),
        TEST(tells_that_a_name_is_none),
        TEST(refuses_a_server_it_does_not_trust),
        TEST(tells_that_the_server_wants_a_certificate_in_tls13),
        TEST(tells_that_the_server_wants_a_certificate_in_tls12),
        TEST(connects_again_where_the_server_has_closed),
        TEST(connects_again_after_connection_close),
        TEST(tries_again_once_and_only_on_a_kept_connection),
        TEST(does_not_try_again_after_part_of_an_answer),
        TEST(refuses_to_start_where_offload_is_required_and_absent),
        TEST(refuses_to_start_with_a_profile_that_cannot_be_loaded),
        TEST(an_interrupt_ends_waiting_for_a_handshake),
    };
    return cmocka_run_group_tests(tests, begin_group, end_group);
}
