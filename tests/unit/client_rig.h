/*
 * What the tests of the client share: a scripted server, a client of it, and a folder for local files.
 *
 * PLAY(...) starts a server with a script and a client; the test then calls the client, and end_play() checks the
 * server's side into `notes`.
 */
#ifndef SLUICE_TEST_CLIENT_RIG_H
#define SLUICE_TEST_CLIENT_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/client/client.h"
#include "tests/support/pki.h"
#include "tests/support/scripted_server.h"

#define IDLE_MS 400 /* long for loopback, short for a test that waits for it */

static struct pki *pki;
static char folder[] = "/tmp/sluice-client-XXXXXX";
static struct config_profile *profile;
static struct config_address addresses[2];
static struct config_addresses address_list = { .items = addresses };
static struct client_options options;
static struct client *client;
static struct scripted_server *server;
static struct script_notes notes;

static inline char *must_copy(const char *text)
{
    char *copy = strdup(text);
    assert_non_null(copy);
    return copy;
}

/* The same name good until the eighth call after. */
static inline const char *in_folder(const char *name)
{
    static char paths[8][300];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static inline struct config_profile *client_profile(void)
{
    struct config_profile *made = config_profile_default(CONFIG_CLIENT);
    assert_non_null(made);
    config_list_clear(&made->trust);
    assert_int_equal(config_list_add(&made->trust, pki_path(pki, "ca.pem")), 0);
    assert_int_equal(config_list_add(&made->certificate, pki_path(pki, "client.pem")), 0);
    assert_int_equal(config_list_add(&made->key, pki_path(pki, "client.key")), 0);
    return made;
}

static inline void open_client(void)
{
    struct config_errors errors = { 0 };
    int result = client_new(&client, &options, &errors);
    if (result != CLIENT_OK)
        config_errors_print(&errors, stderr);
    config_errors_clear(&errors);
    assert_int_equal(result, CLIENT_OK);
}

static inline void start_server(const struct script_step *steps, bool wants_certificate)
{
    server = scripted_server_new(pki, steps, wants_certificate, 0);
    addresses[0] =
        (struct config_address){ .host = (char *)(uintptr_t) "127.0.0.1", .port = scripted_server_port(server) };
    address_list.count = 1;
}

#define PLAY(...)                                                                                                      \
    static const struct script_step steps_[] = { __VA_ARGS__, { SCRIPT_END, NULL, 0 } };                               \
    start_server(steps_, false);                                                                                       \
    open_client()

static inline void end_play(void)
{
    client_free(client);
    client = NULL;
    if (server)
        scripted_server_end(server, &notes);
    server = NULL;
}

static inline void write_file(const char *path, size_t size)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (size_t i = 0; i < size; i++)
        putc_unlocked(script_pattern(i), file);
    assert_int_equal(fclose(file), 0);
}

static inline void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
}

static inline void assert_pattern(const char *path, size_t size)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(getc(file), script_pattern(i));
    assert_int_equal(getc(file), EOF);
    fclose(file);
}

static inline void assert_text(const char *path, const char *text)
{
    char found[256] = "";
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t length = fread(found, 1, sizeof found - 1, file);
    fclose(file);
    found[length] = '\0';
    assert_string_equal(found, text);
}

/* Temporary names count, too. */
static inline unsigned files_in_folder(void)
{
    unsigned count = 0;
    DIR *directory = opendir(folder);
    assert_non_null(directory);
    for (const struct dirent *entry; (entry = readdir(directory));)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(directory);
    return count;
}

static inline void assert_says(const char *text, const char *wanted)
{
    if (!text || !strstr(text, wanted))
        fail_msg("\"%s\" does not say \"%s\"", text ? text : "", wanted);
}

static inline void assert_fails(int result, int wanted, const char *sentence)
{
    if (result != wanted)
        fail_msg("result %d, not %d: %s", result, wanted, client_reason(client));
    assert_says(client_reason(client), sentence);
}

static inline int remove_one(const char *path, const struct stat *facts, int kind, struct FTW *where)
{
    (void)facts;
    (void)kind;
    return where->level > 0 ? remove(path) : 0;
}

static inline int begin_test(void **state)
{
    (void)state;
    profile = client_profile();
    options = (struct client_options){
        .profile = profile, .addresses = &address_list, .connect_timeout = 60000, .idle_timeout = IDLE_MS, .retries = -1
    };
    return 0;
}

/* Also after a test that failed half way. */
static inline int end_test(void **state)
{
    (void)state;
    end_play();
    config_profile_free(profile);
    profile = NULL;
    return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline int begin_group(void **state)
{
    (void)state;
    pki = pki_new();
    pki_make(pki, &(struct pki_leaf){ .name = "server", .starts = -3600, .ends = 60 * 86400 });
    pki_make(pki, &(struct pki_leaf){ .name = "client", .starts = -3600, .ends = 60 * 86400 });
    return mkdtemp(folder) ? 0 : -1;
}

static inline int end_group(void **state)
{
    (void)state;
    pki_free(pki);
    return rmdir(folder);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_test, end_test)

#endif
