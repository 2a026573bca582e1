/* Two ends with certificates of a forge, and what became of their handshake: for the tests of ktls/'s rules. */
#ifndef SLUICE_TEST_VERIFY_RIG_H
#define SLUICE_TEST_VERIFY_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "config/expression.h"
#include "ktls/channel.h"
#include "tests/support/forge.h"
#include "tests/support/tls_pair.h"

static struct forge *forge;

/* A leaf may be NULL. `trust` is a file without its ending. */
__attribute__((unused)) static struct config_profile *rig_profile(enum config_role role, const char *leaf,
                                                                  const char *trust)
{
    struct config_profile *profile = config_profile_default(role);
    char file[64];
    assert_non_null(profile);
    free(profile->name);
    profile->name = strdup("tested");
    profile->offload = CONFIG_OFFLOAD_OFF;
    config_list_clear(&profile->trust);
    snprintf(file, sizeof(file), "%s.pem", trust);
    config_list_add(&profile->trust, forge_path(forge, file));
    if (!leaf)
        return profile;
    snprintf(file, sizeof(file), "%s-chain.pem", leaf);
    config_list_add(&profile->certificate, forge_path(forge, file));
    snprintf(file, sizeof(file), "%s.key", leaf);
    config_list_add(&profile->key, forge_path(forge, file));
    return profile;
}

__attribute__((unused)) static struct config_expression *rig_expression(const char *text)
{
    char why[256];
    size_t column;
    struct config_expression *expression = config_expression_parse(text, why, sizeof(why), &column);
    if (!expression)
        fail_msg("%s: %s", text, why);
    return expression;
}

/* Both handshakes to their ends; the reasons stay with the channels. */
__attribute__((unused)) static struct tls_pair rig_pair(const struct tls_end *server, const struct tls_end *client,
                                                        int *at_server, int *at_client)
{
    struct tls_pair pair = tls_pair_new(server, client, NULL, NULL);
    tls_pair_shake(&pair, at_server, at_client);
    return pair;
}

/* A TLS 1.3 client knows what the server thought of its certificate, and gets its tickets, once it reads. */
__attribute__((unused)) static void rig_read_on(struct channel *channel)
{
    char byte;
    for (int turns = 0; turns < 20 && channel_read(channel, &byte, 1) == -EAGAIN; turns++)
        usleep(1000);
}

__attribute__((unused)) static void rig_expect_text(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("expected \"%s\" in \"%s\"", part, text);
}

/* The one problem that a profile has, which both parts are in. Frees the profile. */
__attribute__((unused)) static void rig_expect_problem(struct config_profile *profile, enum config_severity severity,
                                                       const char *what, const char *remedy)
{
    struct config_errors errors = { 0 };
    struct tls_context *context = tls_context_new(profile, "test", &errors);
    const struct config_error *found = NULL;
    for (size_t i = 0; i < errors.count; i++)
        if (errors.items[i].severity == severity && strstr(errors.items[i].text, what))
            found = &errors.items[i];
    if (!found || !strstr(found->text, remedy) || (severity == CONFIG_ERROR && errors.error_count != 1) ||
        (severity == CONFIG_ERROR) != !context) {
        config_errors_print(&errors, stderr);
        fail_msg("expected a message with \"%s\" and \"%s\"", what, remedy);
    }
    tls_context_drop(context);
    config_errors_clear(&errors);
    config_profile_free(profile);
}

#endif
